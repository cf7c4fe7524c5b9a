/* SPDX-License-Identifier: Apache-2.0
 *
 * truth: what users and nodes saw, against which the core is judged. A unit is a job or
 * one task of an array: what a user has been promised.
 *
 *   acknowledged        -> it exists until it is over and job_keep has passed
 *   acknowledged cancel -> it is not launched any more
 *   acknowledged hold   -> it is not launched until released
 *   a run (job id, restart) starts at most once on a node
 *   COMPLETED           -> its run ended there with status 0
 *   dependencies        -> met before the launch
 *   over                -> a run does not change its state any more
 *   times               -> submit <= start <= end <= now, suspended within
 *
 * A broken promise ends the program with the seed.
 */
#ifndef SL_TEST_SCHED_TRUTH_H
#define SL_TEST_SCHED_TRUTH_H

#include "sched_world.h"

#include <uthash.h>

struct unit_key {
    uint32_t job_id, task;
}; /* task NO_VAL: not an array */
enum { SAW_START = 1, SAW_OVER = 2, SAW_GOOD = 4, SAW_BAD = 8 };

struct need {
    uint32_t job_id;
    char kind;
}; /* 's'tarted, 'o'ver, 'g'ood, 'b'ad */

struct unit {
    struct unit_key key;
    bool acked, cancel_asked, cancelled, held;
    uint64_t let_go; /* command that released or requeued it last */
    unsigned saw;
    struct need need; /* of the whole unit; job_id 0: none */
    UT_hash_handle hh;
};
struct started {
    struct {
        uint32_t job_id, restart, node;
    } key;
    unsigned times;
    bool good; /* ended with status 0 */
    UT_hash_handle hh;
};

struct ended { /* the last run of a job record, in this core */
    uint32_t job_id, restart;
    enum job_state state;
    bool completing;
    UT_hash_handle hh;
};

struct truth {
    struct unit *units;
    struct started *starts;
    struct ended *ended;
    uint64_t acked, cancelled, completed, runs;
};

/* What was not on the disk did not happen. */
void truth_crashed(struct truth *t);
/* Every failure of the fault test ends here: one line with the seed, and exit. */
void broken(const struct world *w, const char *fmt, ...)
    __attribute__((format(printf, 2, 3), noreturn));

void truth_submitted(struct truth *t, uint32_t job_id, uint32_t tasks,
                     struct need need);
void truth_forget(struct truth *t,
                  uint32_t job_id); /* a submission that was not acknowledged */
/* A release or requeue was carried out: from here on it may be launched, acknowledged
 * or not. */
void truth_let_go(struct world *w, uint32_t job_id, uint32_t task);
/* It does not wait for another any more. */
void truth_free(struct world *w, uint32_t job_id);
void truth_kept(struct world *w, const struct promise *p);
void truth_changed(struct world *w, uint32_t job_id);
void truth_launched(struct world *w, uint32_t job_id);
void truth_started(struct world *w, uint32_t node, struct run_key run);
void truth_ended(struct world *w, uint32_t node, struct run_key run, uint32_t status);
/* All is quiet: each acknowledged unit is over, with a state that its runs explain. */
void truth_settled(struct world *w);
void truth_clear(struct truth *t);

#endif
