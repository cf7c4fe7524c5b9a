/* SPDX-License-Identifier: Apache-2.0
 *
 * het: heterogeneous jobs. Each component is a job of its own, with its own request,
 * partition and allocation; component k of the job whose first component (the leader)
 * has id L has id L + k and shows as "L+k".
 *
 * Only the leader stands in the queue, and only while every component may start: another
 * component waits behind GATE_HET, and what holds it back holds the leader (het_gate). The
 * planner places all components one after the other, each beside what the ones before it
 * take, and starts all or none. What the leader is promised is the sum of their pieces, for
 * the longest of their times.
 *
 * The script runs with the leader; the others are allocations that end with it, are queued
 * again with it, and end it when a node of theirs fails or they are preempted. One that is
 * cancelled by itself, or reaches its own time limit, ends alone.
 *
 * Known flaws: limits of minutes see the components one by one. A component that does not
 * fit where the ones before it were placed is not tried with these placed differently.
 */
#ifndef SL_SCHED_HET_H
#define SL_SCHED_HET_H

#include "sched/model.h"

static inline bool het_is(const struct job *j)
{
    return j->het_size != 0;
}
static inline bool het_leads(const struct job *j)
{
    return j->het_size && j->het_offset == 0;
}
/* Component k of j's job, NULL when its record is gone. */
struct job *het_part(const struct core *c, const struct job *j, uint32_t k);

/* A component's own gates are open. May it, as far as the others are concerned, go into the
 * queue? Else *why is what is shown. */
bool het_open(const struct core *c, const struct job *j, enum job_reason *why);
/* The gate of a component has moved: the leader's may too. */
void het_gate(struct core *c, struct job *j, usec_t now);

/* Where each component would run, beside the others, with what `rooms` says is free; it is
 * used up. v[het_size] is filled. False: not so, and the leader's reason says why. starts:
 * limits and reservations are asked too. */
struct het_place { uint32_t part; struct placement p; };
bool het_place(struct core *c, struct job *leader, struct rooms *rooms, bool starts,
               struct het_place *v);
void het_place_free(struct het_place *v, uint32_t n);
/* ... now, without delaying what others are promised. */
bool het_fits_now(struct core *c, struct job *leader, usec_t now, struct het_place *v);
/* Could it run if nothing else did? */
bool het_could_run(struct core *c, struct job *leader);
/* How long the longest of them is planned to run. */
usec_t het_span(const struct core *c, const struct job *leader);
/* As plan_earliest(); p gets the pieces of all. */
usec_t het_earliest(struct core *c, struct job *leader, usec_t span, usec_t now, usec_t before,
                    struct placement *p);
/* Whole nodes are asked for by some component. */
bool het_alone(const struct core *c, const struct job *leader, uint32_t part);

/* j's run has ended: the others', as far as they go with it. */
void het_end(struct core *c, struct job *j, uint32_t exit_status, enum then then, usec_t now,
             struct batch *out, const char *text);
/* j was taken out of the queue for good. */
void het_cancel_pending(struct core *c, struct job *j, usec_t now, struct batch *out);

#endif
