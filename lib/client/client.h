/* SPDX-License-Identifier: Apache-2.0
 *
 * client: what every command shares: find the controller, ask, print errors.
 *
 * The controller is found through the configuration: its Unix socket when that
 * exists on this machine, else host and port. With the controller down a
 * command says so within 2 s (exit 1) unless told to wait. client never
 * prints to stdout.
 */
#ifndef SL_CLIENT_CLIENT_H
#define SL_CLIENT_CLIENT_H

#include "conf/conf.h"
#include "wire/wire.h"

struct client_kept; /* a message that arrived while a call waited for its reply */

struct client {
    const char *program;    /* for messages: "sbatch" */
    struct conf *conf;      /* owned */
    struct wire_conn *conn; /* NULL until connected */
    uint32_t tag_last;
    uint32_t connects; /* how often connected: a watch ends with its connection */
    struct client_kept *kept_first, **kept_end;
    size_t kept_count;
};

/* Loads the configuration ($SLURMLIKE_CONF and defaults). 0 or negative. */
int client_init(struct client *c, const char *program, struct err *err);
void client_fini(struct client *c);
/* Connects if not connected. wait: how long to keep trying (0: one try). With the
 * controller down: SL_ECTLD_DOWN. */
int client_connect(struct client *c, usec_t wait, struct err *err);
/* Closes the connection, if any, and forgets kept messages. */
void client_disconnect(struct client *c);
/* Sends a request and waits for its reply on the same tag. An ERROR frame
 * becomes a negative return with its text; another type than `want` is a
 * protocol error. On 0 the caller clears *reply. Reconnects once if the
 * connection was idle and has died. timeout 0: controller.message_timeout. The tag is c->tag_last. Without
 * an answer the connection is closed: a late one would be taken for another's. */
int client_call(struct client *c, enum wire_type type, const ProtobufCMessage *body,
                enum wire_type want, usec_t timeout, struct wire_msg *reply, struct err *err);
/* The two halves of client_call(), for a request that has several replies. */
int client_send(struct client *c, enum wire_type type, const ProtobufCMessage *body,
                uint32_t *tag, struct err *err);
int client_reply(struct client *c, uint32_t tag, enum wire_type want, usec_t timeout,
                 struct wire_msg *reply, struct err *err);
/* The next message that no call waited for (JobEvent of a watched tag ...), those
 * first that arrived during a call. Returns as wire_recv(). Poll on
 * wire_conn_fd(c->conn) only while client_event_pending() is false. */
int client_event(struct client *c, usec_t timeout, struct wire_msg *m, struct err *err);
bool client_event_pending(const struct client *c);
/* Runs a query and calls fn for each row; cells are NUL-terminated texts valid
 * during the call. fn returning non-zero stops: a negative value is returned, a
 * positive one gives 0. 0 or negative. */
typedef int (*client_row_f)(char *const *cells, size_t count, void *arg);
int client_query(struct client *c, const Sl__QueryRequest *q, client_row_f fn, void *arg,
                 struct err *err);
/* "sbatch: error: text" on stderr, as Slurm prints. */
void client_error(const struct client *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
