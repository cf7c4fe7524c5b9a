/* SPDX-License-Identifier: Apache-2.0
 *
 * plan: what the files of the planner share. queue.c keeps the jobs that may start in
 * order, reserve.c promises times to those that do not fit, plan.c makes the passes.
 *
 * A pass costs what changed. Since the last one some nodes got relief (something on them
 * is free, or will be free earlier, than was planned); a class of jobs that did not fit
 * is tried again only when one of its jobs could use such a node. When that is not all
 * (a node went, a limit or priority changed) the pass starts afresh.
 *
 * Reservations outlive passes. A promised start never moves later by planning: each pass
 * after a relief looks at the promises in the order of the queue and moves those that
 * can be earlier while all others stand ("compression"). Only the world makes them late:
 * nodes that go, jobs that overrun, and a job that comes to stand before them.
 */
#ifndef SL_SCHED_PLAN_H
#define SL_SCHED_PLAN_H

#include "sched/order.h"
#include "sched/timeline.h"

struct reservation {
    struct job *job;
    uint32_t part;
    uint64_t round;          /* of core.round, in which it was last moved forward */
    uint64_t sweep;          /* of core.sweep, in which it was last looked at */
    usec_t start, end;
    bool first;              /* counted in promised_first */
    bool exclusive, aside;   /* aside: its take is put aside, it is being looked at */
    struct demand *node;
    uint32_t count;
    uint64_t *early;         /* nodes that, when it last looked, could take a part before `start` */
    uint32_t early_count;
    uint32_t least;          /* of so many it could start earlier, of fewer it could not */
    uint64_t seen;           /* how many nodes had got relief by then */
};

/* How long a run of j is planned to take under that limit: the one place where what is
 * expected of it (j->expected, a prediction) may take the limit's place. */
static inline usec_t plan_span(const struct job *j, usec_t limit)
{
    if (j->expected && j->expected < limit)
        return j->expected;
    return limit == SPAN_INFINITE ? SPAN_UNKNOWN : limit;
}

/* plan.c */
/* j starts later than it was promised, because what it got was late: those behind it that
 * were promised what comes after are late as well. They and all behind them are promised
 * anew, in their order: else the last would keep their time, and the first lose theirs.
 * False: someone else is in the way. */
bool plan_push_back(struct core *c, const struct job *j, const struct placement *p, bool whole,
                    usec_t end);

/* queue.c */
void class_put(struct core *c, struct job *j);  /* among its class; it is no member yet */
void class_take(struct core *c, struct job *j);
void class_parts(struct core *c, struct jobclass *k, const char *names); /* k->part */
/* How many of the class stand before j. */
uint32_t class_before(struct core *c, const struct jobclass *k, struct job *j);
/* A pending job that is not queued stands among its class, or leaves it: between two passes,
 * for whatif.h. */
void queue_guest(struct core *c, struct job *j, bool enter);

/* reserve.c */
/* Nodes that it takes there at the least. */
uint32_t plan_nodes_least(const struct core *c, const struct job *j, uint32_t part);
/* The earliest start of j in the partition with what is promised now, and where; INT64_MAX:
 * none before that time, or not even when all that runs is over. */
usec_t plan_earliest(struct core *c, const struct job *j, uint32_t part, usec_t span,
                     usec_t now, usec_t before, struct placement *p);
/* Now, on what no promise wants before `end`. */
bool plan_beside(struct core *c, const struct job *j, uint32_t part, usec_t end,
                 struct placement *p);
bool reservation_make(struct core *c, struct job *j, uint32_t part, usec_t now);
/* r, whose take is put aside, gets another place; p->node is taken over. */
void reservation_set(struct core *c, struct reservation *r, usec_t start, struct placement *p,
                     usec_t now);
/* After a search for it that gave no earlier start: what `early` is from now on. */
void reservation_note(struct core *c, struct reservation *r);
void reservation_drop(struct core *c, struct job *j); /* it stands in its class again */
/* Could the nodes that got relief since it last looked give the promised job an earlier start?
 * Its take is put aside. */
bool reservation_helped(struct core *c, struct reservation *r, usec_t now);
void reservations_yield(struct core *c, struct job *j); /* those behind j in its partitions */
void reservations_clear(struct core *c);
/* Would a reservation be made for j if it did not fit? In due order those who have waited for
 * long have their own number of them. */
static inline bool part_promises(const struct core *c, const struct partition *p,
                                 const struct job *j)
{
    uint32_t depth = c->policy.backfill == BACKFILL_CONSERVATIVE ? c->policy.backfill_depth : 1;
    uint32_t made = p->promised;
    if (c->policy.plan_order == PLAN_DUE)
        made = order_waited(c, j, c->policy.wait_first) ? p->promised_first
                                                        : made - p->promised_first;
    return made < (depth ? depth : 1);
}

#endif
