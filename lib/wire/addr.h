/* SPDX-License-Identifier: Apache-2.0
 *
 * addr: target texts ("unix:/path", "host:port", "[::1]:6817") and socket
 * addresses. Internal to lib/wire.
 */
#ifndef SL_WIRE_ADDR_H
#define SL_WIRE_ADDR_H

#include "wire/wire.h"
#include <sys/socket.h>
#include <sys/un.h>

struct target {
    bool local;
    struct sockaddr_un un; /* local */
    char host[256];        /* else; "" is any address, for listening */
    char port[6];
};
int target_parse(const char *text, struct target *t, struct err *err);

/* "127.0.0.1:4711" into peer->addr. */
void peer_set_addr(struct wire_peer *peer, const struct sockaddr *sa, socklen_t len);
/* Peer of a connected Unix socket by SO_PEERCRED. */
int peer_set_unix(struct wire_peer *peer, int fd, struct err *err);

#endif
