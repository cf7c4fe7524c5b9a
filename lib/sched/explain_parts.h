/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of explain share. Private to lib/sched.
 */
#ifndef SL_SCHED_EXPLAIN_PARTS_H
#define SL_SCHED_EXPLAIN_PARTS_H

#include "sched/explain.h"
#include "sched/whatif.h"

#define EX_N(x) ((struct explain_value){.n = (int64_t)(x)})
#define EX_S(x) ((struct explain_value){.s = (x)})
/* Adds an item; what is over EXPLAIN_ITEMS_MAX is left out. */
#define EXPLAIN(e, code, ...)                                                               \
    explain_add((e), (code), (const struct explain_value[]){{0}, __VA_ARGS__},              \
                sizeof((const struct explain_value[]){{0}, __VA_ARGS__}) /                  \
                    sizeof(struct explain_value))
/* values[0] is not used, so that an item may have none. */
void explain_add(struct explanation *e, enum explain_code code,
                 const struct explain_value *values, size_t count);

/* explain.c: of a job that is only asked about. Returns its start, INT64_MAX: not known, and
 * where (p, which the caller frees). */
usec_t explain_job(struct core *c, struct job *j, usec_t now, struct arena *a,
                   struct placement *p, struct explanation *out);
/* explain_held.c: gates, partitions, limits, licenses and reservations. Returns what the
 * start is subject to, and in *from before when it will not start because of them. */
enum explain_after explain_held(struct core *c, const struct job *j, usec_t now, usec_t *from,
                                struct explanation *e);
/* explain_room.c: the partition's nodes. */
void explain_room(struct core *c, const struct job *j, uint32_t part, usec_t now,
                  struct explanation *e);
/* explain_started.c */
void explain_started(const struct core *c, const struct job *j, struct explanation *e);
/* j is about to start there: notes why in its record. */
void explain_note(struct core *c, struct job *j, uint32_t part, const struct placement *p,
                  usec_t now);

#endif
