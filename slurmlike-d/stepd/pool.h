/* SPDX-License-Identifier: Apache-2.0
 *
 * pool: a job's allocation as its manager shares it out among steps: which cores,
 * memory and gres of each node a step holds, and where the next one fits.
 *
 * What a step gets, after srun(1):
 *   cores    all that is free on its nodes; with --exact, --exclusive only as many as
 *            its tasks need. Whole cores: two steps never share one.
 *   memory   held only when the step names it; else the job's, shared with other steps
 *   gres     those it names, held; naming none it sees all of the job's, shared
 *   --overlap holds nothing and fits beside whatever runs.
 *
 * Pure: no I/O, no clock. It knows nothing of queues: the caller asks again when
 * something came free.
 */
#ifndef SL_STEPD_POOL_H
#define SL_STEPD_POOL_H

#include "base/buf.h"
#include "base/err.h"
#include "wire/slurmlike.pb-c.h"
#include <stdbool.h>

struct pool;

/* alloc is borrowed for the pool's life. threads_per_core: what the job may use of a core,
 * 0: all. */
struct pool *pool_create(const Sl__Allocation *alloc, uint32_t threads_per_core);
void pool_destroy(struct pool *p);

/* Finds room for a step, holds it, and makes its layout (arena). SL_EBUSY_NODES: it fits
 * once other steps have ended; any other error: it never does, and the text says why. */
int pool_place(struct pool *p, const Sl__StepSpec *spec, uint32_t step_id, struct arena *a,
               Sl__StepLayout **out, struct err *err);
/* 0 when the step would fit if no other were there, else negative. */
int pool_fits(const struct pool *p, const Sl__StepSpec *spec, struct arena *a, struct err *err);
/* Holds all of a layout's nodes: for a step that was there before the pool. */
void pool_hold(struct pool *p, const Sl__StepLayout *layout);
/* Gives back what the step holds. No-op when it holds nothing. */
void pool_release(struct pool *p, uint32_t step_id);
/* A lost node takes no more steps. */
void pool_node_lost(struct pool *p, uint32_t alloc_index);

#endif
