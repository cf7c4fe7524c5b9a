/* SPDX-License-Identifier: Apache-2.0
 *
 * usage: what the jobs of an association or a QOS hold and have used.
 *
 * Usage accrues while jobs run: each counter has a rate that changes only when a job starts,
 * ends, is suspended or resumed, and is brought up to date (settled) when someone looks. So a
 * job costs the depth of its path at its start and its end, and nothing in between.
 *
 * Units. An amount is resource x usage factor x time in units of 1/1000 resource x 1 us:
 * whole numbers of 128 bits, exact. 10^10 MiB for ten years are below 2^93.
 * Decay multiplies by 2^-(period/half-life), a fraction of 32 bits, at each multiple of
 * the period since the epoch, and rounds down; so it depends on no call in between, and a
 * controller that was down catches up exactly.
 *
 * The minutes that running jobs may still use (GrpTRESRunMins) are sum(rate x end) -
 * sum(rate) x now: two sums that, too, only change with jobs.
 */
#ifndef SL_SCHED_USAGE_H
#define SL_SCHED_USAGE_H

#include "base/timefmt.h"
#include <stdbool.h>
#include <stdint.h>

#define TRES_MAX 32u
enum { TRES_CPU, TRES_MEM, TRES_ENERGY, TRES_NODE, TRES_BILLING,
       TRES_WALL, /* 1 of each job: wall clock time; not shown */
       TRES_FIRST_NAMED }; /* gres/... from here */

__extension__ typedef unsigned __int128 amount_t;
#define AMOUNT_PER_SEC ((amount_t)1000 * 1000000) /* of one resource with factor 1 */

struct decay {
    usec_t period;   /* 0: none */
    uint32_t factor; /* x / 2^32 of what was there; 0 with a period: nothing is left */
};
struct usage {
    usec_t settled;
    amount_t used[TRES_MAX];
    uint64_t alloc[TRES_MAX]; /* held now, also by suspended jobs; memory in MiB */
    uint64_t rate[TRES_MAX];  /* thousandths */
    amount_t due[TRES_MAX];   /* sum of rate x end of the limit, us */
    uint32_t running, submitted;
};
struct charge { /* what one running job counts for; also what must be taken off again */
    uint64_t tres[TRES_MAX];
    uint32_t factor; /* thousandths */
    usec_t end;      /* by its limit */
    bool on;         /* accrues: not suspended */
};

/* half_life 0: no decay. */
struct decay decay_make(usec_t period, usec_t half_life);
/* Brings used to `now`; does not go back. decays false: never less (QOS flag NoDecay). */
void usage_settle(struct usage *u, const struct decay *d, bool decays, uint32_t tres_count, usec_t now);
/* A run begins (sign 1) or ends (-1); rates: only what accrues. Settle before. */
void usage_hold(struct usage *u, const struct charge *c, uint32_t tres_count, int sign);
void usage_rate(struct usage *u, const struct charge *c, uint32_t tres_count, int sign);
/* Whole resource-seconds, rounded down; what running jobs may still use at `now`. */
uint64_t usage_seconds(const struct usage *u, uint32_t tres);
amount_t usage_due(const struct usage *u, uint32_t tres, usec_t now);

#endif
