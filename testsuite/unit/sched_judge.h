/* SPDX-License-Identifier: Apache-2.0
 *
 * judge: the rules that a decision of the core must keep, from what was asked for and what
 * the nodes are; it shares no code with the planner. core_check says that the core's books
 * are right; the judge says that what it did was allowed.
 *
 *   a start     judge_start    what was asked for is there, on nodes and in a partition that
 *                              may be used; nothing that is reserved; within every limit
 *   a pass      judge_pass_*   each waiting job has a reason; no promise has moved back by
 *                              planning; no more promises than the depth; victims were fair
 *   a tick      judge_tick     what time brings has been brought
 *
 * The first word of a message is the rule's name (doc/measurements/fault).
 */
#ifndef SL_TEST_SCHED_JUDGE_H
#define SL_TEST_SCHED_JUDGE_H

#include "base/timefmt.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct world;

struct judge_promise {
    uint32_t job_id, restart, rest;
    usec_t start;
};
struct judge { /* what the last whole pass left */
    struct judge_promise *promise;
    size_t promises, promises_cap;
    uint64_t *queued; /* those who have stood in the queue since then: runs, ascending */
    size_t queued_count, queued_cap;
    uint32_t *victim; /* ids of those who had been preempted when this pass began */
    size_t victims, victims_cap;
    bool disturbed;   /* since then something has happened that may move promises */
    uint64_t starts, passes, kept, ticks; /* how often each was judged */
};

void judge_fini(struct judge *g);
/* Had it a promise after the last whole pass? */
bool judge_promised(const struct judge *g, uint32_t job_id);
void judge_begin(struct world *w); /* another core: it has promised nothing */
void judge_start(struct world *w, uint32_t job_id);
void judge_pass_begin(struct world *w);
void judge_pass_end(struct world *w, bool whole);
void judge_tick(struct world *w);

#endif
