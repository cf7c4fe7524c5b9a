/* SPDX-License-Identifier: Apache-2.0 */
#include "mutate.h"

#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 4
#define ELEMENTS_MAX 4
#define TEXT_BYTES_MAX 24

void mutate_seed(struct mutate *r, uint64_t seed)
{
    r->state = seed;
}

/* Sebastiano Vigna's splitmix64. */
uint64_t mutate_next(struct mutate *r)
{
    uint64_t z = (r->state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

size_t mutate_below(struct mutate *r, size_t n)
{
    return n ? (size_t)(mutate_next(r) % n) : 0;
}

/* Small, large and edge values, each about as often. */
static uint64_t number(struct mutate *r)
{
    static const uint64_t edges[] = {
        0,          1,          127,        128,       0x7fffffff,
        0x80000000, 0xfffffffe, 0xffffffff, INT64_MAX, (uint64_t)INT64_MIN,
        UINT64_MAX};
    switch (mutate_below(r, 3)) {
    case 0:
        return mutate_below(r, 20);
    case 1:
        return edges[mutate_below(r, sizeof(edges) / sizeof(edges[0]))];
    default:
        return mutate_next(r) >> mutate_below(r, 64);
    }
}

/* What the fields of this schema hold, and what their parsers must survive. */
static char *text(struct mutate *r)
{
    static const char *const samples[] = {"",
                                          "n1",
                                          "n[1-4]",
                                          "n[1-",
                                          "n[0-999999999]",
                                          "main",
                                          "12",
                                          "12_[1-5]",
                                          "12.0",
                                          "12.batch",
                                          "4294967295",
                                          "-1",
                                          "0-99:2%4",
                                          "gpu:a100:4",
                                          "0-3,8",
                                          "1:00:00",
                                          "UNLIMITED",
                                          "%j.%t",
                                          "A=B",
                                          "afterok:1",
                                          "../../etc/passwd",
                                          "%s%n",
                                          "\xc3\xa4\xe2\x82\xac",
                                          "PENDING,RUNNING"};
    if (mutate_below(r, 3))
        return xstrdup(samples[mutate_below(r, sizeof(samples) / sizeof(samples[0]))]);
    size_t n = mutate_below(r, TEXT_BYTES_MAX);
    char *s = xmalloc(n + 1);
    for (size_t i = 0; i < n; i++)
        s[i] = (char)(' ' + mutate_below(r, 95));
    s[n] = '\0';
    return s;
}

static size_t value_size(const ProtobufCFieldDescriptor *f)
{
    switch (f->type) {
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_DOUBLE:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_SFIXED64:
        return 8;
    default:
        return 4;
    }
}

static void value(struct mutate *r, const ProtobufCFieldDescriptor *f, void *to,
                  unsigned depth);

static ProtobufCMessage *message(struct mutate *r, const ProtobufCMessageDescriptor *d,
                                 unsigned depth)
{
    ProtobufCMessage *m = xcalloc(1, d->sizeof_message);
    d->message_init(m);
    for (unsigned i = 0; i < d->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &d->fields[i];
        char *at = (char *)m + f->offset;
        if ((depth >= DEPTH_MAX && f->type == PROTOBUF_C_TYPE_MESSAGE) ||
            mutate_below(r, 2) == 0)
            continue;
        if (f->label != PROTOBUF_C_LABEL_REPEATED) {
            value(r, f, at, depth);
            continue;
        }
        size_t n = 1 + mutate_below(r, ELEMENTS_MAX);
        /* the widest element is a binary value */
        char *list = xcalloc(n, sizeof(ProtobufCBinaryData));
        size_t size = value_size(f);
        for (size_t k = 0; k < n; k++)
            value(r, f, list + k * size, depth);
        *(void **)at = list;
        *(size_t *)((char *)m + f->quantifier_offset) = n;
    }
    return m;
}

static void value(struct mutate *r, const ProtobufCFieldDescriptor *f, void *to,
                  unsigned depth)
{
    switch (f->type) {
    case PROTOBUF_C_TYPE_STRING:
        *(char **)to = text(r);
        return;
    case PROTOBUF_C_TYPE_MESSAGE:
        *(ProtobufCMessage **)to = message(r, f->descriptor, depth + 1);
        return;
    case PROTOBUF_C_TYPE_BYTES: {
        ProtobufCBinaryData *b = to;
        b->len = mutate_below(r, TEXT_BYTES_MAX);
        b->data = xmalloc(b->len);
        for (size_t i = 0; i < b->len; i++)
            b->data[i] = (uint8_t)mutate_next(r);
        return;
    }
    case PROTOBUF_C_TYPE_BOOL:
        *(protobuf_c_boolean *)to = 1;
        return;
    case PROTOBUF_C_TYPE_ENUM:
        *(int *)to = (int)mutate_below(r, 8);
        return;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        *(uint64_t *)to = number(r);
        return;
    default:
        *(uint32_t *)to = (uint32_t)number(r);
    }
}

ProtobufCMessage *mutate_message(struct mutate *r, const ProtobufCMessageDescriptor *d)
{
    return message(r, d, 0);
}

/* ---- changes within a message -------------------------------------------------------- */

static void value_free(const ProtobufCFieldDescriptor *f, void *at)
{
    if (f->type == PROTOBUF_C_TYPE_MESSAGE && *(ProtobufCMessage **)at)
        protobuf_c_message_free_unpacked(*(ProtobufCMessage **)at, NULL);
    else if (f->type == PROTOBUF_C_TYPE_STRING && *(const char **)at != f->default_value)
        free(*(char **)at);
    else if (f->type == PROTOBUF_C_TYPE_BYTES)
        free(((ProtobufCBinaryData *)at)->data);
    memset(at, 0, value_size(f));
    if (f->type == PROTOBUF_C_TYPE_STRING && f->label != PROTOBUF_C_LABEL_REPEATED)
        *(const void **)at = f->default_value;
}

static void change_one(struct mutate *r, const ProtobufCFieldDescriptor *f, void *at,
                       size_t odds)
{
    bool message_is_there =
        f->type == PROTOBUF_C_TYPE_MESSAGE && *(ProtobufCMessage **)at != NULL;
    if (mutate_below(r, odds) != 0) {
        if (message_is_there)
            mutate_change(r, *(ProtobufCMessage **)at, odds);
        return;
    }
    value_free(f, at);
    if (mutate_below(r, 4) != 0)
        value(r, f, at, DEPTH_MAX - 2);
}

/* An element more or less, or changes within the elements. */
static void change_list(struct mutate *r, const ProtobufCFieldDescriptor *f, void *list,
                        size_t *n, size_t odds)
{
    size_t size = value_size(f);
    char *v = *(char **)list;
    if (mutate_below(r, odds) == 0 && *n > 0 && mutate_below(r, 2)) {
        value_free(f, v + --*n * size);
        if (*n == 0) {
            free(v);
            *(char **)list = NULL;
        }
        return;
    }
    for (size_t i = 0; i < *n; i++) {
        if (mutate_below(r, odds) == 0) {
            value_free(f, v + i * size);
            value(r, f, v + i * size, DEPTH_MAX - 2);
        } else if (f->type == PROTOBUF_C_TYPE_MESSAGE) {
            mutate_change(r, *(ProtobufCMessage **)(v + i * size), odds);
        }
    }
    if (mutate_below(r, odds) != 0)
        return;
    v = xrealloc(v, (*n + 1) * size);
    memset(v + *n * size, 0, size);
    value(r, f, v + *n * size, DEPTH_MAX - 2);
    ++*n;
    *(char **)list = v;
}

void mutate_change(struct mutate *r, ProtobufCMessage *m, size_t odds)
{
    const ProtobufCMessageDescriptor *d = m->descriptor;
    for (unsigned i = 0; i < d->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &d->fields[i];
        char *at = (char *)m + f->offset;
        if (f->label == PROTOBUF_C_LABEL_REPEATED)
            change_list(r, f, at, (size_t *)((char *)m + f->quantifier_offset), odds);
        else
            change_one(r, f, at, odds);
    }
}

/* ---- bytes ---------------------------------------------------------------------------- */

static void put_length(struct buf *out, size_t at, size_t n)
{
    for (int i = 0; i < 4; i++)
        out->data[at + i] = (char)(n >> (24 - 8 * i));
}

void mutate_frame(struct mutate *r, const struct wire_type_info *info, uint32_t tag,
                  struct buf *out)
{
    struct err err;
    for (;;) { /* a random message may be over the bound of a small type */
        ProtobufCMessage *m = mutate_message(r, info->descriptor);
        int rc = wire_pack(out, info->type, tag, m, &err);
        protobuf_c_message_free_unpacked(m, NULL);
        if (rc == 0)
            return;
    }
}

/* One change within out from `from` to its end. */
static void damage_once(struct mutate *r, struct buf *out, size_t from)
{
    static const uint8_t edges[] = {0x00, 0x01, 0x7f, 0x80, 0x81, 0xff, 0x0a, 0x0b};
    size_t n = out->len - from;
    char *p = out->data + from + mutate_below(r, n);
    char piece[64];
    size_t k = mutate_below(r, sizeof(piece));
    if (n == 0) {
        buf_putc(out, (char)mutate_next(r));
        return;
    }
    if (k > (size_t)(out->data + out->len - p))
        k = (size_t)(out->data + out->len - p);
    switch (mutate_below(r, 6)) {
    case 0:
        *p = (char)(*p ^ (1 << mutate_below(r, 8)));
        return;
    case 1:
        *p = (char)edges[mutate_below(r, sizeof(edges))];
        return;
    case 2:
        out->len -= k;
        out->data[out->len] = '\0';
        return;
    case 3: /* a piece of it again, at the end */
        memcpy(piece, p, k);
        buf_put(out, piece, k);
        return;
    case 4: /* a piece of it over another */
        memmove(p, out->data + from + mutate_below(r, n - k + 1), k);
        return;
    default: /* a long varint, as a key, length or value */
        for (size_t i = 0; i < k && i < 12; i++)
            p[i] = (char)(0x80 | mutate_next(r));
    }
}

void mutate_damage(struct mutate *r, struct buf *out, size_t at, bool keep_header)
{
    size_t from = at + (keep_header ? WIRE_HEADER_BYTES : 0);
    size_t times = 1 + mutate_below(r, 4);
    for (size_t i = 0; i < times; i++)
        damage_once(r, out, from);
    if (keep_header)
        put_length(out, at, out->len - at - WIRE_HEADER_BYTES);
}
