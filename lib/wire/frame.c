/* SPDX-License-Identifier: Apache-2.0
 *
 * Frames: header, bounds, packing and strict unpacking.
 */
#include "wire/frame.h"

#include <errno.h>
#include <string.h>

#define VERSION ((WIRE_VERSION_MAJOR << 8) | WIRE_VERSION_MINOR)

static void put_u16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static void put_u32(uint8_t *p, uint32_t v)
{
    put_u16(p, (uint16_t)(v >> 16));
    put_u16(p + 2, (uint16_t)v);
}

static uint16_t get_u16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t get_u32(const uint8_t *p)
{
    return (uint32_t)get_u16(p) << 16 | get_u16(p + 2);
}

void wire_msg_clear(struct wire_msg *m)
{
    if (m->body)
        protobuf_c_message_free_unpacked(m->body, NULL);
    memset(m, 0, sizeof(*m));
}

int wire_pack(struct buf *out, enum wire_type type, uint32_t tag,
              const ProtobufCMessage *body, struct err *err)
{
    const struct wire_type_info *info = wire_type_info(type);
    ASSERT(info && body && body->descriptor == info->descriptor);

    size_t n = protobuf_c_message_get_packed_size(body);
    if (n > info->payload_bytes_max)
        return err_set(err, -EMSGSIZE,
                       "%s message of %zu bytes is over its limit of %u bytes",
                       info->name, n, info->payload_bytes_max);
    buf_reserve(out, WIRE_HEADER_BYTES + n);
    uint8_t *p = (uint8_t *)out->data + out->len;
    put_u32(p, (uint32_t)n);
    put_u16(p + 4, (uint16_t)type);
    put_u16(p + 6, VERSION);
    put_u32(p + 8, tag);
    size_t packed = protobuf_c_message_pack(body, p + WIRE_HEADER_BYTES);
    ASSERT(packed == n);
    if (payload_repair(info->descriptor, p + WIRE_HEADER_BYTES, n, NULL) < 0)
        return err_set(err, -EMSGSIZE, "%s message has too many parts", info->name);
    out->len += WIRE_HEADER_BYTES + n;
    out->data[out->len] = '\0';
    return 0;
}

/* A peer one minor version older is served, a newer one decides itself whether
 * it still talks to this version. */
static int version_check(uint16_t version, struct err *err)
{
    int major = version >> 8, minor = version & 0xff;
    if (major == WIRE_VERSION_MAJOR && minor >= WIRE_VERSION_MINOR - 1)
        return 0;
    return err_set(
        err, SL_EVERSION,
        "protocol version %d.%d of the peer does not fit %d.%d of this program;"
        " install the same release on both machines",
        major, minor, WIRE_VERSION_MAJOR, WIRE_VERSION_MINOR);
}

int frame_parse(const uint8_t *p, size_t n, bool auth, struct wire_msg *m, size_t *used,
                struct err *err)
{
    *used = 0;
    if (n < WIRE_HEADER_BYTES)
        return 0;
    uint32_t length = get_u32(p);
    unsigned type = get_u16(p + 4);
    int rc = version_check(get_u16(p + 6), err);
    if (rc < 0)
        return rc;
    const struct wire_type_info *info = wire_type_info(type);
    if (!info)
        return err_set(err, SL_EPROTO, "unknown message type %u", type);
    uint32_t bound = info->payload_bytes_max;
    if (!auth && bound > FRAME_BYTES_MAX_UNAUTH)
        bound = FRAME_BYTES_MAX_UNAUTH;
    if (length > bound)
        return err_set(err, SL_EPROTO, "%s message of %u bytes is over its limit of %u",
                       info->name, length, bound);
    *used = WIRE_HEADER_BYTES + (size_t)length;
    if (n < *used)
        return 0;

    const uint8_t *payload = p + WIRE_HEADER_BYTES;
    rc = payload_check(info->descriptor, payload, length, err);
    if (rc < 0) {
        err_prefix(err, "%s message", info->name);
        return rc;
    }
    ProtobufCMessage *body =
        protobuf_c_message_unpack(info->descriptor, NULL, length, payload);
    if (!body)
        return err_set(err, SL_EPROTO, "%s message cannot be unpacked", info->name);
    m->type = info->type;
    m->tag = get_u32(p + 8);
    m->body = body;
    return 1;
}

int wire_unpack(struct buf *in, bool auth, struct wire_msg *m, struct err *err)
{
    size_t used;
    int rc = frame_parse((const uint8_t *)in->data, in->len, auth, m, &used, err);
    if (rc == 1)
        buf_consume(in, used);
    return rc;
}
