/* SPDX-License-Identifier: Apache-2.0
 *
 * Schema-driven walk over a payload's bytes, before unpacking and after packing.
 *
 * protobuf-c takes what it gets: strings with NULs (cut silently) or in no
 * encoding, singular submessages many times (merged), and two-byte elements that
 * become a structure of hundreds of bytes each. This walk refuses all of it in
 * one pass without allocating, so that the parser behind it sees only what an
 * honest peer would send. The nesting depth is bounded by the schema: no message
 * type contains itself (a unit test checks it).
 *
 * Unknown fields pass: a peer one minor version newer may send them.
 */
#include "wire/frame.h"

#include <string.h>

#define FIELDS_MAX 128      /* of one message type, for the duplicate check */
#define MEMBER_BYTES 64     /* protobuf-c's scan record, with slab rounding */
#define ALLOCATION_BYTES 16 /* malloc's own */
#define UNKNOWN_FIELD_BYTES 48

enum wire_encoding { ENC_VARINT = 0, ENC_64BIT = 1, ENC_BYTES = 2, ENC_32BIT = 5 };

struct walk {
    bool repair;
    size_t bytes; /* estimate of unpacked memory */
    struct err *err;
};

/* Strings that go to execve(2) or open(2) as they are: any byte but NUL. */
static bool field_is_raw(const ProtobufCFieldDescriptor *f)
{
    static const char *const raw[] = {"env",     "argv",    "work_dir", "std_in",
                                      "std_out", "std_err", "command"};
    for (size_t i = 0; i < sizeof(raw) / sizeof(raw[0]); i++)
        if (strcmp(f->name, raw[i]) == 0)
            return true;
    return false;
}

/* Length of the UTF-8 sequence at p (RFC 3629: no overlong forms, no surrogates,
 * nothing over U+10FFFF), 0 when there is none. NUL is none. */
static size_t utf8_length(const uint8_t *p, size_t n)
{
    uint8_t c = p[0];
    if (c < 0x80)
        return c != 0;
    size_t len = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
    if (c < 0xc2 || c > 0xf4 || n < len)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((c == 0xe0 && p[1] < 0xa0) || (c == 0xed && p[1] > 0x9f) ||
        (c == 0xf0 && p[1] < 0x90) || (c == 0xf4 && p[1] > 0x8f))
        return 0;
    return len;
}

/* Bytes of the varint at p, 0 when it does not end within 10 bytes or n. */
static size_t varint_read(const uint8_t *p, size_t n, uint64_t *value)
{
    uint64_t v = 0;
    for (size_t i = 0; i < n && i < 10; i++) {
        v |= (uint64_t)(p[i] & 0x7f) << (7 * i);
        if (!(p[i] & 0x80)) {
            *value = v;
            return i + 1;
        }
    }
    return 0;
}

static int string_walk(struct walk *w, const ProtobufCFieldDescriptor *f, uint8_t *p,
                       size_t n)
{
    if (field_is_raw(f)) {
        if (!w->repair && memchr(p, 0, n))
            return err_set(w->err, SL_EPROTO, "%s: NUL in a string", f->name);
        return 0;
    }
    for (size_t i = 0; i < n;) {
        size_t len = utf8_length(p + i, n - i);
        if (len == 0 && !w->repair)
            return err_set(w->err, SL_EPROTO, "%s: not UTF-8 text", f->name);
        if (len == 0)
            p[i] = '?';
        i += len ? len : 1;
    }
    return 0;
}

/* Wire encoding and unpacked size of one value of a field's type. */
static void scalar_form(ProtobufCType type, enum wire_encoding *enc, size_t *size)
{
    switch (type) {
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
        *enc = ENC_32BIT;
        *size = 4;
        return;
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        *enc = ENC_64BIT;
        *size = 8;
        return;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE:
        *enc = ENC_BYTES;
        *size = sizeof(ProtobufCBinaryData);
        return;
    default:
        *enc = ENC_VARINT;
        *size = 8;
    }
}

static int packed_walk(struct walk *w, const ProtobufCFieldDescriptor *f,
                       enum wire_encoding enc, size_t size, const uint8_t *p, size_t n)
{
    size_t count = 0;
    if (enc == ENC_VARINT) {
        uint64_t value;
        for (size_t i = 0, k; i < n; i += k, count++)
            if ((k = varint_read(p + i, n - i, &value)) == 0)
                return err_set(w->err, SL_EPROTO, "%s: broken packed number", f->name);
    } else {
        if (n % size != 0)
            return err_set(w->err, SL_EPROTO, "%s: broken packed numbers", f->name);
        count = n / size;
    }
    w->bytes += count * size;
    return 0;
}

static int message_walk(struct walk *w, const ProtobufCMessageDescriptor *desc,
                        uint8_t *p, size_t n);

/* A known field's value of n bytes (the content, for length-prefixed ones). */
static int value_walk(struct walk *w, const ProtobufCFieldDescriptor *f,
                      enum wire_encoding enc, uint8_t *p, size_t n)
{
    enum wire_encoding want;
    size_t size;
    scalar_form(f->type, &want, &size);
    bool repeated = f->label == PROTOBUF_C_LABEL_REPEATED;
    if (enc == ENC_BYTES && want != ENC_BYTES && repeated)
        return packed_walk(w, f, want, size, p, n);
    if (enc != want)
        return err_set(w->err, SL_EPROTO, "%s: wrong encoding", f->name);
    if (repeated)
        w->bytes += size;
    switch (f->type) {
    case PROTOBUF_C_TYPE_STRING:
        w->bytes += n + 1 + ALLOCATION_BYTES;
        return string_walk(w, f, p, n);
    case PROTOBUF_C_TYPE_BYTES:
        w->bytes += n + ALLOCATION_BYTES;
        return 0;
    case PROTOBUF_C_TYPE_MESSAGE:
        return message_walk(w, f->descriptor, p, n);
    default:
        return 0;
    }
}

/* Header of the field at p: number and encoding, where its value starts (*at) and
 * how long it is. 0 when it is broken or runs over the end. */
static size_t field_read(const uint8_t *p, size_t n, unsigned *number,
                         enum wire_encoding *enc, size_t *at)
{
    uint64_t key, len = 0;
    size_t k = varint_read(p, n, &key), v = 0;
    if (k == 0 || k > 5 || key >> 3 == 0 || key > UINT32_MAX)
        return 0;
    *number = (unsigned)(key >> 3);
    *enc = key & 7;
    *at = k;
    switch (*enc) {
    case ENC_VARINT:
        v = varint_read(p + k, n - k, &len);
        return v ? k + v : 0;
    case ENC_64BIT:
        return n - k >= 8 ? k + 8 : 0;
    case ENC_32BIT:
        return n - k >= 4 ? k + 4 : 0;
    case ENC_BYTES:
        v = varint_read(p + k, n - k, &len);
        if (v == 0 || v > 5 || len > n - k - v)
            return 0;
        *at = k + v;
        return k + v + (size_t)len;
    }
    return 0; /* groups, and the two codes that mean nothing */
}

static int message_walk(struct walk *w, const ProtobufCMessageDescriptor *desc,
                        uint8_t *p, size_t n)
{
    uint64_t seen[FIELDS_MAX / 64] = {0};
    ASSERT(desc->n_fields <= FIELDS_MAX);
    w->bytes += desc->sizeof_message + ALLOCATION_BYTES;
    for (size_t i = 0; i < n;) {
        unsigned number;
        enum wire_encoding enc;
        size_t at, used = field_read(p + i, n - i, &number, &enc, &at);
        if (used == 0)
            return err_set(w->err, SL_EPROTO, "broken field in %s", desc->short_name);
        w->bytes += MEMBER_BYTES;
        const ProtobufCFieldDescriptor *f =
            protobuf_c_message_descriptor_get_field(desc, number);
        if (f) {
            size_t index = (size_t)(f - desc->fields);
            uint64_t bit = UINT64_C(1) << (index % 64);
            if (f->label != PROTOBUF_C_LABEL_REPEATED && (seen[index / 64] & bit))
                return err_set(w->err, SL_EPROTO, "%s: given twice", f->name);
            seen[index / 64] |= bit;
            int rc = value_walk(w, f, enc, p + i + at, used - at);
            if (rc < 0)
                return rc;
        } else {
            w->bytes += used + UNKNOWN_FIELD_BYTES;
        }
        if (w->bytes > UNPACK_BYTES_MAX)
            return err_set(w->err, SL_EPROTO, "needs more than %zu bytes unpacked",
                           UNPACK_BYTES_MAX);
        i += used;
    }
    return 0;
}

int payload_check(const ProtobufCMessageDescriptor *desc, const uint8_t *p, size_t n,
                  struct err *err)
{
    struct walk w = {.err = err};
    /* Without `repair` nothing writes through p. */
    return message_walk(&w, desc, (uint8_t *)(uintptr_t)p, n);
}

int payload_repair(const ProtobufCMessageDescriptor *desc, uint8_t *p, size_t n,
                   struct err *err)
{
    struct walk w = {.repair = true, .err = err};
    return message_walk(&w, desc, p, n);
}
