/* SPDX-License-Identifier: Apache-2.0
 *
 * link: what listen.c needs of a link beyond wire.h. Internal to lib/wire.
 */
#ifndef SL_WIRE_LINK_H
#define SL_WIRE_LINK_H

#include "wire/chan.h"
#include "wire/shake.h"
#include <event2/event.h>
#include <event2/event_struct.h>

enum link_state {
    LINK_NONE,
    LINK_CONNECTING, /* dialled, not yet usable; output is kept */
    LINK_UP,
    LINK_FINISHING, /* writes out what is queued, then closes */
    LINK_DEAD,      /* freed as soon as no callback of it is running */
    LINK_STATE_COUNT
};

struct wire_link {
    struct event_base *base;
    struct chan chan;
    enum link_state state;
    const struct wire_link_ops *ops; /* NULL until set */
    void *arg;
    struct event on_read, on_write, on_turn, on_time;
    bool events_assigned;
    bool announced; /* ops->up was called */
    bool paused;
    bool was_full;
    size_t full_bytes; /* 0: the default */
    unsigned depth; /* callbacks and own functions that still use this struct */
    int msg_fd;     /* came with the message being delivered, or -1 */

    struct target *target; /* Unix socket being dialled, else NULL */
    usec_t deadline;       /* of that */
    struct shake *shake;   /* of TCP, until it is up, else NULL */

    /* Tells the listener that its link is gone; NULL: none. */
    void (*gone)(void *owner);
    void *owner;
};

/* A usable link on a connected non-blocking socket and its TLS session (NULL: none),
 * both owned from here on. */
struct wire_link *link_create(struct event_base *base, int fd, struct wire_tls *tls,
                              const struct wire_peer *peer,
                              const struct wire_link_ops *ops, void *arg);
/* Keeps the struct over a call that may close the link, and lets go of it. */
void link_enter(struct wire_link *l);
void link_leave(struct wire_link *l);

#endif
