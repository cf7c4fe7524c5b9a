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

struct client {
    const char *program;  /* for messages: "sbatch" */
    struct conf *conf;    /* owned */
    struct wire_conn *conn; /* NULL until connected */
    uint32_t tag_last;
};

/* Loads the configuration ($SLURMLIKE_CONF and defaults). 0 or negative. */
int client_init(struct client *c, const char *program, struct err *err);
void client_fini(struct client *c);
/* Connects if not connected. wait: how long to keep trying (0: one try). */
int client_connect(struct client *c, usec_t wait, struct err *err);
/* Sends a request and waits for its reply on the same tag. An ERROR frame
 * becomes a negative return with its text; another type than `want` is a
 * protocol error. On 0 the caller clears *reply. Reconnects once if the
 * connection was idle and has died. timeout 0: 30 s. */
int client_call(struct client *c, enum wire_type type, const ProtobufCMessage *body,
                enum wire_type want, usec_t timeout, struct wire_msg *reply, struct err *err);
/* Runs a query and calls fn for each row; cells are NUL-terminated texts valid
 * during the call. fn returning non-zero stops. 0 or negative. */
typedef int (*client_row_f)(char *const *cells, size_t count, void *arg);
int client_query(struct client *c, const Sl__QueryRequest *q, client_row_f fn, void *arg,
                 struct err *err);
/* "sbatch: error: text" as Slurm prints; fatal adds nothing and exits with rc. */
void client_error(const struct client *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
