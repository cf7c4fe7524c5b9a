/* SPDX-License-Identifier: Apache-2.0
 *
 * shards: the training state of a run, divided among its ranks.
 *
 * A step's batch is cut into `leaves` micro-batches, a power of two that does
 * not depend on the number of ranks. Each rank runs leaves/ranks of them; the
 * gradients are summed in one binary tree over all leaves, the lower levels
 * inside a rank, the upper ones between ranks (parallel/slices.h). So 1, 2 or 64
 * ranks give the same bits.
 *
 *   parameters   one copy a block, in a window
 *   gradients    one array a rank in a window, plus one a level of its own tree
 *   m, v         the rank's slice only (ZeRO stage 1)
 */
#ifndef WORKER_PARALLEL_SHARDS_H
#define WORKER_PARALLEL_SHARDS_H

#include "backend/backend.h"
#include "comm/comm.h"
#include "memory.h"
#include "parallel/slices.h"

struct shards {
    const struct graph *graph;
    struct backend *backend;
    const struct comm *comm;
    int leaves, leaves_own;
    struct slices slices;
    size_t begin, end;   /* own elements of the flat buffer */
    size_t decay_count;  /* elements from 0 on that decay */
    struct window params_window, grads_window;
    real *params;        /* all */
    real *total;         /* element 0 of the summed gradient; own slice is valid */
    real **levels;       /* [levels_count] gradient arrays, [0] is the window's */
    int levels_count;
    int leaf, depth; /* leaves done in this step, arrays that hold their sums */
    real *m, *v;         /* element `begin` first */
    real *bucket;
    double *partial;     /* sums of squares, one a chunk */
    struct memory mem;
};

/* leaves must be a power of two and a multiple of the ranks. Collective. */
struct shards *shards_create(const struct graph *graph, struct backend *backend,
                             const struct comm *comm, int leaves, struct err *err);
void shards_destroy(struct shards *s);
/* Parameters from the seed, optimizer state zero. */
void shards_init(struct shards *s, uint64_t seed);
/* After the own slice of params was written: every rank has all. */
void shards_publish(struct shards *s);
/* Runs one of the own leaves; leaves_own calls make a step. */
void shards_gradient(struct shards *s, const struct batch *batch);
/* After them: the sum over all leaves, in the own slice of total. */
void shards_sum(struct shards *s);
/* Euclidean norm of the summed gradient, the same on all ranks. */
double shards_norm(struct shards *s);
/* Updates the own slice and publishes. */
void shards_update(struct shards *s, const struct adamw *h);
size_t shards_bytes(const struct shards *s); /* held by this rank */

/* Sum of x[0..n) in a fixed binary tree. */
double sum_pairs(const double *x, size_t n);

#endif
