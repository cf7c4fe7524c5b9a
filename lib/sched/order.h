/* SPDX-License-Identifier: Apache-2.0
 *
 * order: the due order of the queue, and what is expected of jobs (predict.h).
 *
 * A job is due policy.due_factor times its expected run time after it became eligible, and at
 * most policy.due_max after. Jobs stand by due time, so short jobs pass long ones, but each
 * only for a while, and nobody waits for ever:
 *
 *     waited wait_first    stands before all that have not, oldest first. The oldest that
 *                          does not fit has a reservation, and so has the first of the rest.
 *     will have            the oldest of them is to run by then. No prediction is believed of
 *     waited wait_strict   a run whose limit lets it go on after that: such a run counts with
 *                          its limit, whether it is under way or about to start. So what is
 *                          over by then at the latest may still slip in before the oldest,
 *                          and once the time has come limits alone count until it runs.
 *
 * Within a partition's tier. What an operator sets goes first: jobs whose priority was set by
 * hand stand before all others (above half of the range) or behind them. --nice=N counts as N
 * seconds later.
 *
 * Expectations are for plans: they change no limit, end no job, and where nothing is known,
 * or policy.predict is off, or a job has run for longer, its limit counts.
 */
#ifndef SL_SCHED_ORDER_H
#define SL_SCHED_ORDER_H

#include "sched/model.h"

/* Of queued jobs of one tier, as qsort(3). Among jobs of a class it never changes. */
int order_due(const struct core *c, const struct job *x, const struct job *y);
bool order_waited(const struct core *c, const struct job *j, usec_t span); /* at least so long */

/* 0 when nothing is predicted; else jobs of equal numbers have equal predictions. */
uint64_t order_like(const struct core *c, const struct job *j, struct predict_class *like);
/* A class with a first job. */
void order_class(struct core *c, struct jobclass *k, const struct job *j);
/* Brings what is planned for a queued job up to date: its class's expectation. */
void order_expect(const struct core *c, struct job *j);
/* Are those behind the reservations tried by length? In due order only while one of those who
 * have waited for long is held up: so it gave the lower slowdowns (doc/measurements/policy). */
static inline bool order_by_length(const struct core *c, const struct partition *p)
{
    return c->policy.plan_order != PLAN_DUE ||
           (p->promised_first && p->promised > p->promised_first);
}
/* Is it a prediction that counts, for a run from `start` under that limit? */
static inline bool order_believes(const struct core *c, usec_t start, usec_t limit)
{
    return c->promised_by == 0 ||
           (limit != SPAN_INFINITE && start + limit <= c->promised_by);
}
/* What counts when candidates are tried by length. */
usec_t order_length(const struct core *c, const struct job *j, usec_t limit);

/* j starts under its limit: the prediction of this run. Its timer: order_timer(). */
void order_start(struct core *c, struct job *j);
void order_limit(const struct core *c, struct job *j); /* its limit moves while it runs */
void order_timer(struct core *c, struct job *j);
void order_outran(struct core *c, struct job *j, usec_t now); /* TIMER_EXPECT */
/* j's run has ended by itself or at its limit: later jobs are predicted by it. */
void order_ended(struct core *c, const struct job *j, usec_t now, struct batch *out);
/* policy.predict has changed. */
void order_predict(struct core *c);
/* A pass begins, without reservations. */
void order_pass(struct core *c);

#endif
