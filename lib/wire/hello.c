/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/hello.h"

#include "base/limits.h"
#include "wire/wire.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

static const char magic[4] = {'S', 'L', 'W', '1'};

static_assert(HELLO_BYTES_MAX <= FRAME_BYTES_MAX_UNAUTH, "an unknown peer may send it");

static void put_u16(uint8_t *p, size_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static unsigned get_u16(const uint8_t *p)
{
    return (unsigned)p[0] << 8 | p[1];
}

int hello_pack(const struct hello *h, uint8_t out[HELLO_BYTES_MAX])
{
    size_t cred = strnlen(h->cred, CRED_BYTES_MAX);
    size_t route = strnlen(h->route, ROUTE_BYTES_MAX);
    if (cred == CRED_BYTES_MAX || route == ROUTE_BYTES_MAX)
        return -EMSGSIZE;
    memcpy(out, magic, sizeof(magic));
    put_u16(out + 4, WIRE_VERSION_MAJOR << 8 | WIRE_VERSION_MINOR);
    put_u16(out + 6, cred);
    put_u16(out + 8, route);
    memcpy(out + HELLO_HEADER_BYTES, h->cred, cred);
    memcpy(out + HELLO_HEADER_BYTES + cred, h->route, route);
    return (int)(HELLO_HEADER_BYTES + cred + route);
}

int hello_header(const uint8_t p[HELLO_HEADER_BYTES], struct err *err)
{
    if (memcmp(p, magic, sizeof(magic)) != 0)
        return err_set(err, SL_EPROTO, "it does not speak this protocol");
    if (p[4] != WIRE_VERSION_MAJOR)
        return err_set(err, SL_EVERSION, "it speaks version %d.%d, this program %d.%d",
                       p[4], p[5], WIRE_VERSION_MAJOR, WIRE_VERSION_MINOR);
    unsigned cred = get_u16(p + 6), route = get_u16(p + 8);
    if (cred >= CRED_BYTES_MAX || route >= ROUTE_BYTES_MAX)
        return err_set(err, SL_EPROTO, "credential of %u and route of %u bytes", cred,
                       route);
    return (int)(cred + route);
}

int hello_route_check(const char *route, struct err *err)
{
    size_t n = strlen(route);
    if (n >= ROUTE_BYTES_MAX)
        return err_set(err, -EINVAL, "route of %zu bytes is too long", n);
    for (const char *p = route; *p; p++)
        if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
              (*p >= '0' && *p <= '9') || *p == ':' || *p == '.'))
            return err_set(err, -EINVAL,
                           "route with a character other than letters,"
                           " digits, ':' and '.'");
    return 0;
}

int hello_parse(const uint8_t *p, struct hello *h, struct err *err)
{
    size_t cred = get_u16(p + 6), route = get_u16(p + 8);
    memset(h, 0, sizeof(*h));
    memcpy(h->cred, p + HELLO_HEADER_BYTES, cred);
    memcpy(h->route, p + HELLO_HEADER_BYTES + cred, route);
    if (strlen(h->cred) != cred || strlen(h->route) != route)
        return err_set(err, SL_EPROTO, "NUL in credential or route");
    return hello_route_check(h->route, err) < 0 ? SL_EPROTO : 0;
}
