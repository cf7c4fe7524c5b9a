/* SPDX-License-Identifier: Apache-2.0
 *
 * explain: why a job waits, when it may start and what would start it sooner; why one that
 * started did so just then and there. The codes and their words are in job/explain.h.
 *
 * Made on demand, never in a pass, and pure reading: the core is afterwards what it was. An
 * answer is about the state at that moment; it promises nothing.
 *
 *   held     explain_held.c, explain_room.c: gates, limits, licenses, reservations, nodes
 *   start    whatif.c: with the promises of all jobs ahead of it in place
 *   sooner   whatif.c: the request is changed as `scontrol update` would change it, checked
 *            as an update is, and planned again
 *   why      noted when a job starts, in its record (explain_note)
 *
 * Cost: some looks at each node of the job's partitions, and a bounded number of searches for
 * a start (WHATIF_WORK); EXPLAIN_BRIEF makes none.
 *
 * Known limits: the start of a job that waits for its limits, for a release or for jobs
 * without an end is not guessed, only that it waits for them. Jobs submitted later, and jobs
 * that end early, change any start.
 */
#ifndef SL_SCHED_EXPLAIN_H
#define SL_SCHED_EXPLAIN_H

#include "base/buf.h"
#include "job/explain.h"
#include "sched/core.h"

enum explain_depth {
    EXPLAIN_BRIEF, /* what holds it, and a start that the planner knows already */
    EXPLAIN_FULL
};

struct explanation { /* texts are of the core or of the arena */
    struct explain_item item[EXPLAIN_ITEMS_MAX];
    uint32_t count;
    struct arena *arena;
};

/* false: there is no such job. */
bool core_explain(struct core *c, uint32_t job_id, enum explain_depth depth, usec_t now,
                  struct arena *a, struct explanation *out);
/* The first item of the code, NULL when there is none. */
const struct explain_item *explanation_find(const struct explanation *e, enum explain_code code);

#endif
