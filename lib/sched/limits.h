/* SPDX-License-Identifier: Apache-2.0
 *
 * limits: what a job may not do, by the limits of its association and QOS (job/limit.h).
 *
 * Layers, first to last: the partition's QOS, the job's QOS (the two change places with
 * the QOS flag OverPartQOS), the user's association, its accounts up to the root. A limit
 * a job has ("Max", "Min") is taken from the first layer that sets it. A limit of a group
 * ("Grp") is checked in each association, since each counts its own jobs, and so the
 * strictest wins; a QOS that sets it speaks for all of them.
 *
 * Checked only when accounting.enforce has `limits`. The cost is the depth of the path times
 * the limits set on it; nothing is counted here, usage.h has the counters.
 */
#ifndef SL_SCHED_LIMITS_H
#define SL_SCHED_LIMITS_H

#include "sched/tenant.h"

/* May a pending job (of an array: one more task) start now in the partition, with the
 * placement, or, when that is NULL, with what it asks for? REASON_NONE, or what holds it. */
enum job_reason limits_check(struct core *c, struct job *j, uint32_t part, const struct placement *p);
/* Every limit that holds it, not only the first: for what is told to people. */
struct limit_found {
    enum limit_kind kind;
    uint32_t qos, assoc;  /* whose: one is NONE */
    const char *tres;     /* "" where the limit has none */
    uint64_t used, asks, allows; /* in the limit's unit; asks: rounded up */
};
typedef void limits_found_f(void *arg, const struct limit_found *f);
void limits_each(struct core *c, const struct job *j, uint32_t part, limits_found_f *found, void *arg);
/* ... together with jobs that are to start in the same instant: what these take counts as
 * taken. */
struct limits_more { uint64_t tres[TRES_MAX]; uint32_t jobs; };
enum job_reason limits_check_more(struct core *c, struct job *j, uint32_t part,
                                  const struct placement *p, const struct limits_more *more);
void limits_more_add(struct core *c, const struct job *j, uint32_t part,
                     const struct placement *p, struct limits_more *more);
/* At submission of `tasks` jobs: too many are submitted, or, under a QOS with DenyOnLimit,
 * it could never start. Gives a job without a time limit the longest that it may have. */
int limits_submit(struct core *c, struct job *j, uint32_t tasks, struct err *err);
/* Each period: ends jobs whose group has used up its minutes, unless accounting.enforce has
 * `safe`, and lets the plan look again at what they held back. */
void limits_tick(struct core *c, usec_t now, struct batch *out);

#endif
