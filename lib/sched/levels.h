/* SPDX-License-Identifier: Apache-2.0
 *
 * levels: the curve of what is free on one node, from now on: a step for each time at which
 * something ends or begins. Private to timeline.c, which keeps it. It is made when it is
 * first asked for and follows from then on what its line is told.
 *
 * Amounts may be below 0: what is late is counted as over and held all the same.
 */
#ifndef SL_SCHED_LEVELS_H
#define SL_SCHED_LEVELS_H

#include "sched/model.h"

/* The line's levels, made from its holds and takes when there are none. */
void levels_ready(struct core *c, uint32_t node, struct line *l);
void levels_make(struct core *c, uint32_t node, struct line *l);
/* Adds (sign 1) or takes away amounts over [from, until); what is past does not matter. */
void levels_add(struct core *c, uint32_t node, struct line *l, usec_t from, usec_t until,
                const struct demand *d, bool exclusive, int sign);
/* What a job holds. GPUs that are looked at one by one are counted in parts of each. */
void piece_demand(const struct core *c, const struct alloc_node *piece, struct demand *d);

static inline struct stretch *level_at(const struct line *l, uint32_t i)
{
    return (struct stretch *)(void *)(l->level + (size_t)i * l->stride);
}
/* Index of the level that holds at time t: the last that begins at or before it. */
uint32_t level_find(const struct line *l, usec_t t);
void level_room(const struct node *n, const struct line *l, const struct stretch *v, struct room *r);
bool level_holds(const struct node *n, const struct line *l, const struct stretch *v,
                 const struct demand *d, bool whole);
/* May just these amounts, of these very GPUs, be taken from what is promised there? */
bool level_spares(const struct node *n, const struct line *l, const struct stretch *v,
                  const struct demand *d, bool whole);
bool room_holds(const struct node *n, const struct room *r, const struct demand *d, bool whole);
bool demand_shares(const struct demand *d); /* parts of GPUs */

#endif
