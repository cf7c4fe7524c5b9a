/* SPDX-License-Identifier: Apache-2.0
 *
 * What srun and sattach see of a step: everything that a root supervisor sends, kept.
 */
#ifndef STEPD_CLIENT_H
#define STEPD_CLIENT_H

#include "stepd_daemon.h"

#define CLIENT_RANKS 64

struct test_client {
    struct wire_link *link; /* NULL: gone */
    bool attached, refused, done, down;
    char refusal[256];
    uint32_t exit_status, state, grants;
    struct buf out[3][CLIENT_RANKS]; /* by descriptor and rank */
    struct buf text;                 /* STEP_TEXT lines */
    bool eof[3][CLIENT_RANKS];
    bool started[CLIENT_RANKS], ended[CLIENT_RANKS];
    uint32_t status[CLIENT_RANKS];
    char why[256];                   /* text of a TASK_EVENT */
    size_t bytes;
};
/* Attaches to the supervisor (kind 1: owner, 2: watcher) as that uid. */
void client_attach(struct test_client *c, struct test_daemon *d, size_t sup, uint32_t kind,
                   uid_t uid);
/* Waits until the step says it is done. */
void client_until_done(struct test_client *c, struct test_daemon *d);
void client_until_out(struct test_client *c, struct test_daemon *d, uint32_t rank,
                      const char *text);
void client_input(struct test_client *c, uint32_t task, const char *text, bool eof);
void client_signal(struct test_client *c, uint32_t signal, const uint32_t *ranks, size_t n);
void client_close(struct test_client *c);
extern const struct wire_link_ops client_ops;

#endif
