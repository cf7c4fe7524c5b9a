/* SPDX-License-Identifier: Apache-2.0
 *
 * alloc: a job that this command owns and watches: from submission through the
 * grant to its end. srun (outside an allocation) and salloc use it.
 *
 * The controller may be restarted at any time: the watch is taken up again, and
 * what happened meanwhile comes with its first event.
 */
#ifndef SL_COMMANDS_ALLOC_H
#define SL_COMMANDS_ALLOC_H

#include "command.h"

struct alloc {
    const char *program;
    struct client client;
    uint32_t job_id;
    Sl__JobEvent *last;  /* newest event, NULL before the first */
    bool quiet;
    bool say_pending;    /* salloc's own line before the one about the queue */
    bool said_queued, said_granted;
    bool lost;           /* the controller is away; tried again at retry_at */
    bool said_lost;
    usec_t submitted, retry_at; /* monotonic */
};

/* Loads the configuration. 0 or negative. */
int alloc_init(struct alloc *a, const char *program, bool quiet, struct err *err);
void alloc_fini(struct alloc *a);
/* Submits and watches; q->spec and the rest are filled by the caller. */
int alloc_submit(struct alloc *a, Sl__SubmitRequest *q, struct err *err);
/* Watches a job that exists already. reattach: as its owner. */
int alloc_watch(struct alloc *a, uint32_t job_id, bool reattach, struct err *err);
/* Descriptor to poll for reading, -1 while the controller is away. */
int alloc_fd(const struct alloc *a);
/* How long poll() may sleep: -1 for ever, else milliseconds. */
int alloc_poll_timeout(const struct alloc *a);
/* Takes in what is there without waiting; 1 the state changed, 0 nothing, negative:
 * the controller refused (the job is unknown ...). Says "queued" and "allocated". */
int alloc_pump(struct alloc *a, struct err *err);
bool alloc_granted(const struct alloc *a); /* has its resources and has not ended */
bool alloc_ended(const struct alloc *a);
/* The controller has had its try and the job waits: for --immediate. */
bool alloc_waits(const struct alloc *a);
/* salloc: the command has ended with that wait(2) status. */
void alloc_complete(struct alloc *a, int status);
/* Ends the job; errors are of no use to the caller. */
void alloc_cancel(struct alloc *a);

#endif
