/* SPDX-License-Identifier: Apache-2.0
 *
 * hello: the one plaintext message of a TCP connection.
 *
 *     0        4      6            8            10
 *     | "SLW1" | vers | cred bytes | route bytes | credential | route |
 *
 * Numbers in network order; neither text has a NUL. The version is the frames'; its
 * major number must fit. Internal to lib/wire.
 */
#ifndef SL_WIRE_HELLO_H
#define SL_WIRE_HELLO_H

#include "wire/tls.h"
#include <stddef.h>

#define HELLO_HEADER_BYTES 10
#define HELLO_BYTES_MAX (HELLO_HEADER_BYTES + CRED_BYTES_MAX + ROUTE_BYTES_MAX)

struct hello {
    char cred[CRED_BYTES_MAX];
    char route[ROUTE_BYTES_MAX];
};

/* Bytes written to out, or negative: credential or route too long. */
int hello_pack(const struct hello *h, uint8_t out[HELLO_BYTES_MAX]);
/* Checks the header: bytes that follow it, or SL_EPROTO, SL_EVERSION. */
int hello_header(const uint8_t p[HELLO_HEADER_BYTES], struct err *err);
/* Takes apart a whole message whose header was checked. 0 or SL_EPROTO. On a Unix socket
 * the credential is empty. */
int hello_parse(const uint8_t *p, struct hello *h, struct err *err);
/* 0, or -EINVAL: a route is made of letters, digits, ':' and '.'. */
int hello_route_check(const char *route, struct err *err);

#endif
