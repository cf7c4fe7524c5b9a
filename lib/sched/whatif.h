/* SPDX-License-Identifier: Apache-2.0
 *
 * whatif: asks the planner when a job would start, as it is or changed, without changing
 * anything.
 *
 * While a whatif is open the timeline is laid out as a pass would lay it for this job: its
 * own promise and those of jobs behind it are put aside, and (whatif_ahead) jobs ahead of it
 * that have none get one, in the queue's order. Then whatif_start() is the planner's own
 * search for the earliest start. whatif_end() restores the timeline.
 *
 * Under BACKFILL_CONSERVATIVE with a depth that covers the queue this is what passes will do
 * if running jobs use their limits. Otherwise jobs behind may slip in, and a start that is
 * not `now` is an estimate.
 *
 * Searches cost about 1 + nodes / 32 attempts each. WHATIF_WORK bounds their sum, so one
 * explanation stays below what one slice of a pass may take.
 */
#ifndef SL_SCHED_WHATIF_H
#define SL_SCHED_WHATIF_H

#include "sched/plan.h"

#define WHATIF_WORK 3500u    /* attempts of one explanation */
#define WHATIF_AHEAD_MAX 64u /* jobs ahead that get a place */

struct explanation;

struct whatif {
    struct core *c;
    struct job *j;
    usec_t now, from;      /* from: gates keep it back until then */
    unsigned work;         /* attempts left */
    bool guest;            /* j is in its class only meanwhile */
    struct reservation **aside;
    uint32_t asides;
    struct reservation *taken; /* places of jobs ahead; owned */
    uint32_t takens;
    uint64_t ahead;        /* jobs that stand before it and could start */
    uint32_t counted;      /* of them with a place, promised or taken */
    uint32_t first;        /* id of the first, 0: none */
};

/* j: pending; it need not be queued. */
void whatif_begin(struct whatif *w, struct core *c, struct job *j, usec_t now);
void whatif_ahead(struct whatif *w);
void whatif_end(struct whatif *w);

/* When would it start at the earliest, and in which partition? x: w->j or a changed copy.
 * INT64_MAX: never as things are, or the work is used up. p: may be NULL. */
usec_t whatif_start(struct whatif *w, const struct job *x, uint32_t *part, struct placement *p);

/* sooner.c: changes by which it starts before `start` (INT64_MAX: it does not), the smallest
 * first. */
void whatif_sooner(struct whatif *w, usec_t start, struct explanation *e);

#endif
