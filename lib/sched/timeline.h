/* SPDX-License-Identifier: Apache-2.0
 *
 * timeline: what will be free on each node, and when.
 *
 * A node's line has the pieces of running jobs (holds: until their planned end) and what
 * is promised for later (takes: from a start to an end). Amounts are exact cores, memory
 * and gres, never whole nodes, so that backfill may use what a promise leaves.
 *
 *     free  |      ____________      a hold ends: more is free
 *           |  ___|            |___  a take begins: less is free
 *           +--+--+------------+---> time
 *             now
 *
 * Each node has its curve (levels.h): the steps of what is free, whole GPUs counted. It is
 * made when it is first asked for; later a start, an end or a promise changes it from that
 * time on. Where there are no takes it only rises. A job that wants [from, until) need look
 * at `from` and at the starts of takes in between, for only there is less free than before.
 *
 * Invariants (timeline_check, against lines made again from jobs and takes): holds are in
 * order of their ends, takes of their starts; a line with takes has levels; the levels from
 * `now` on are the room now, with each hold given back at its end and each take taken
 * between its start and its end. A hold whose end is past (the job is late, or its nodes are
 * being cleaned) counts as over in the next instant.
 *
 * A take is known by its owner, any number; the planner uses a job's id. What is promised
 * to others than jobs (maintenance, advance reservations) is a take of its own kind: whoever
 * may use it is planned with that take put aside (timeline_untake, timeline_take).
 */
#ifndef SL_SCHED_TIMELINE_H
#define SL_SCHED_TIMELINE_H

#include "sched/model.h"

void timeline_fini(struct timeline *t);

/* A job's piece is taken on a node until j->free_at, or given back. */
void timeline_hold(struct core *c, const struct job *j, const struct alloc_node *piece);
void timeline_release(struct core *c, const struct job *j, const struct alloc_node *piece);
/* The node's capacity is another. */
void timeline_afresh(struct core *c, uint32_t node);
/* j->free_at is to be another; no-op when it is not, or when j holds nothing. */
void timeline_move(struct core *c, struct job *j, usec_t free_at);

/* A promise of `count` nodes' amounts over [start, end), end above start and now. */
void timeline_take(struct core *c, enum take_kind kind, uint32_t owner, usec_t start,
                   usec_t end, const struct demand *what, uint32_t count, bool exclusive);
void timeline_untake(struct core *c, enum take_kind kind, uint32_t owner,
                     const struct demand *what, uint32_t count);

/* The least that is free on a node during [from, until), from >= now. */
void timeline_room(struct core *c, uint32_t node, usec_t from, usec_t until, struct room *out);
/* ... on each of a set of nodes; valid until the next call. The others have no room. */
struct rooms *timeline_rooms_at(struct core *c, const uint64_t *nodes, usec_t from, usec_t until);
/* Is something promised on the node? */
bool timeline_taken(const struct core *c, uint32_t node);
/* The first time from which the node holds `d` for `span`; INT64_MAX: never. */
usec_t timeline_first(struct core *c, uint32_t node, const struct demand *d, bool whole,
                      usec_t from, usec_t span);
/* The first take in the way of `d`, for which there is room now, until then. NULL: none. */
const struct take *timeline_obstacle(struct core *c, uint32_t node, const struct demand *d,
                                     bool whole, usec_t until);
/* Is there room for just these amounts in this instant? */
bool timeline_serves(struct core *c, uint32_t node, const struct demand *d, bool whole);
/* When something changes on the node after `t`: a hold or take ends. INT64_MAX: nothing. */
usec_t timeline_next(struct core *c, uint32_t node, usec_t t);
/* When the last of the jobs that run on the node is planned to be over; 0: there is none. */
usec_t timeline_idle(const struct core *c, uint32_t node);

int timeline_check(const struct core *c, struct err *err);

#endif
