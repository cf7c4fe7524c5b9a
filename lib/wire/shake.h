/* SPDX-License-Identifier: Apache-2.0
 *
 * shake: what happens on a TCP connection before its first frame.
 *
 *     dial:    look up name -> connect -> make credential -> send HELLO -> TLS
 *     accept:  read HELLO -> check credential -> hand over when it has a route -> TLS
 *     local:   read HELLO, which only names a route -> hand over
 *     adopt:   (HELLO was read by another program) -> TLS
 *
 * All of it against one deadline, on an event loop; names and credentials on helper
 * threads. A shake ends by exactly one call of its `done`, from the loop, and owns
 * everything until then. Internal to lib/wire.
 */
#ifndef SL_WIRE_SHAKE_H
#define SL_WIRE_SHAKE_H

#include "wire/addr.h"
#include "wire/hello.h"
#include "wire/offload.h"

#define ACCEPT_TIMEOUT (10 * USEC_PER_SEC)

struct event_base;
struct shake;

struct shake_result {
    int fd;               /* -1 on failure; else the callee's, as is tls */
    struct wire_tls *tls; /* NULL when the peer asks for a route */
    struct wire_peer peer;
    const char *route;
    const unsigned char *psk; /* with a route */
};
/* The shake is gone when done is called. r->fd is -1 on failure and *why says why.
 * shake_destroy() must not be called on it. */
typedef void (*shake_done_f)(void *owner, struct shake_result *r,
                             const struct err *why);

struct shake *shake_dial(struct event_base *base, const struct target *t,
                         const struct wire_dial_opts *opts, usec_t timeout,
                         shake_done_f done, void *owner, struct err *err);
/* fd is owned from here on, in both cases, even on failure. */
struct shake *shake_accept(struct event_base *base, struct offload_port *port, int fd,
                           const char *munge_socket, shake_done_f done, void *owner,
                           struct err *err);
/* A Unix peer, whom the kernel vouches for: its HELLO has no credential, and a route. */
struct shake *shake_accept_local(struct event_base *base, int fd, const struct wire_peer *peer,
                                 shake_done_f done, void *owner, struct err *err);
struct shake *shake_adopt(struct event_base *base, int fd,
                          const unsigned char psk[PSK_BYTES],
                          const struct wire_peer *peer, shake_done_f done, void *owner,
                          struct err *err);
/* Ends it without a call of done. */
void shake_destroy(struct shake *s);
const struct wire_peer *shake_peer(const struct shake *s);

#endif
