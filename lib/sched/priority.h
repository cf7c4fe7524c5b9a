/* SPDX-License-Identifier: Apache-2.0
 *
 * priority: multi-factor job priority (policy.multifactor), as Slurm's:
 *
 *   priority = age x W + fair-share x W + size x W + partition x W + QOS x W
 *            + association x W + sum(TRES x W) - nice
 *
 * Each factor is 0 .. FACTOR_ONE, each product is rounded down, the sum is kept within
 * 1 .. 2^32 - 2. `basic` gives each job one less than the one before.
 *
 * What depends on the job alone (size, partition, QOS, association, TRES, nice) is made once
 * and kept; age and fair-share are added at each period and when the job becomes eligible.
 * So a period costs a few additions a pending job, and a pass costs nothing. The queue is
 * only sorted again when that changed its order.
 *
 * Differences from Slurm: a job in several partitions has one priority, of the partition with
 * the largest factor; TRES are normalised to the cluster, not to the partition.
 */
#ifndef SL_SCHED_PRIORITY_H
#define SL_SCHED_PRIORITY_H

#include "sched/tenant.h"

struct job_factors { /* norm: FACTOR_ONE each */
    uint64_t age, fair_share, size, partition, qos, assoc;
    uint64_t weighted[6]; /* in that order */
    uint64_t tres[TRES_MAX], tres_weighted[TRES_MAX];
    int32_t nice;
    uint32_t priority;
};
extern const char *const priority_factor_names[6];

/* Computes a pending job's priority. True when it changed. */
bool priority_set(struct core *c, struct job *j, usec_t now);
/* Ranks users and recomputes all when the period is over, and sets the timer. */
void priority_tick(struct core *c, usec_t now, struct batch *out);
/* The first ranking, and the timer of the next. */
void priority_start(struct core *c, usec_t now);
/* Every pending job again at once: weights, shares, QOS changed. */
void priority_all(struct core *c, usec_t now);
void priority_factors(struct core *c, struct job *j, usec_t now, struct job_factors *f);
/* What factors are taken of: the cluster's size, the largest QOS priority ... */
void priority_totals(struct core *c);

#endif
