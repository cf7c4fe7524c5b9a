/* SPDX-License-Identifier: Apache-2.0
 *
 * session: one authenticated connection, from a command or from a node daemon.
 *
 * session.c has the table of requests: message type, handler, and whether it
 * changes something. Who may send what is msg.def's column. A handler gets the
 * message and answers on its tag with one of the functions below; it never
 * writes to the link itself, so that nothing overtakes the commit it depends on.
 *
 * Across loop turns others keep a session's id, not its pointer.
 */
#ifndef SL_CTLD_SESSION_H
#define SL_CTLD_SESSION_H

#include "ctld.h"

#include <uthash.h>

struct held;
struct node_peer;
struct query;
struct watch;

struct session {
    uint64_t id;
    struct ctld *d;
    struct wire_link *link; /* owned */
    uid_t uid;
    gid_t gid;
    bool admin;
    bool ended; /* the process at the other end has, for all that can be seen */
    /* frames that wait for a commit, oldest first */
    struct held *held_first, **held_last;
    size_t held_bytes;
    struct session *held_prev, *held_next; /* in the list of those that hold frames */
    struct node_peer *node; /* nodes.c: this is a node daemon */
    struct query *queries;  /* query.c: answers being streamed */
    struct watch *watches;  /* watch.c */
    UT_hash_handle hh;      /* by id */
};

struct sessions *sessions_create(struct ctld *d);
void sessions_destroy(struct sessions *all);
size_t sessions_count(const struct ctld *d);
struct session *session_find(const struct ctld *d, uint64_t id);
extern const struct wire_listener_ops session_listener_ops; /* arg: struct ctld */

/* The requester as the core wants it; user's text is valid until the next look-up. */
struct actor session_actor(struct session *s);

/* Sends when `generation` is durable, in order with what is already held. */
void session_send(struct session *s, enum wire_type type, uint32_t tag,
                  const ProtobufCMessage *body, uint64_t generation);
/* Sends now: what depends on no state. */
void session_send_now(struct session *s, enum wire_type type, uint32_t tag,
                      const ProtobufCMessage *body);
void session_error(struct session *s, uint32_t tag, const struct err *err);
/* Drops what is held for tag and answers it with an error. */
void session_refuse_held(struct ctld *d, uint64_t id, uint32_t tag, const struct err *err);
/* Lets out everything whose generation is durable. */
void sessions_release(struct ctld *d);
/* True when a producer should stop until session_drained (query.c) is called. */
bool session_full(const struct session *s);
/* Ends it and everything that hangs on it. finish: what is queued is written first. */
void session_close(struct session *s);
void session_finish(struct session *s);
/* Bytes that are held or queued for all sessions. */
size_t sessions_queued(const struct ctld *d);

#endif
