/* SPDX-License-Identifier: Apache-2.0
 *
 * backend: what runs a graph, one interface for every kind of processor.
 *
 * A backend owns the activations of one graph and knows how to compute each
 * operation forward and backward. Parameters, gradients and optimizer state
 * belong to the caller (parallel/shards.h), which gets their memory from the
 * backend's device. cpu.c is always built; cuda.cu only --with-cuda.
 *
 * All results are pure functions of their inputs: no backend may let the
 * number of threads, timing or an atomic decide the order of a sum.
 */
#ifndef WORKER_BACKEND_BACKEND_H
#define WORKER_BACKEND_BACKEND_H

#include "backend/kernels.h"
#include "model/graph.h"

struct batch { /* one micro-batch: graph->rows entries each */
    const uint32_t *tokens;
    const uint32_t *targets;
    /* Each row's share in the gradient: 1 / (tokens of the global batch) for
     * pre-training; masks and preference weights use the same door. */
    const real *row_weights;
};

struct exec { /* what one run over the graph reads and writes */
    struct batch batch;
    const real *params;
    real *grads; /* flat; NULL: forward only */
};

struct backend {
    const struct backend_class *class;
    const struct graph *graph;
};

struct backend_class {
    const char *name;
    /* kernels: see kernels_select. NULL and *err on failure. */
    struct backend *(*create)(const struct graph *graph, int threads, const char *kernels,
                              struct err *err);
    void (*destroy)(struct backend *be);
    /* One line for the log: libraries, instruction set, threads. */
    void (*describe)(const struct backend *be, char *buf, size_t size);
    void (*forward[OP_COUNT])(struct backend *be, const struct exec *x,
                              const struct node *node);
    void (*backward[OP_COUNT])(struct backend *be, const struct exec *x,
                               const struct node *node);
    /* The last run's cross-entropy per row, to host memory. */
    void (*losses)(struct backend *be, real *losses);
    /* dst[i] = sum of terms[0..count)[i] in a binary tree over the terms:
     * ((t0 + t1) + (t2 + t3)) ...; count is a power of two; dst may be terms[0]. */
    void (*sum_tree)(struct backend *be, real *dst, const real *const *terms, int count,
                     size_t n);
    /* Sums of squares of each SUM_CHUNK elements; n is a multiple of it. */
    void (*sum_squares)(struct backend *be, const real *x, size_t n, double *partial);
    /* Elements below decay_count decay, the others do not. */
    void (*adamw)(struct backend *be, const struct adamw *h, real *p, real *m, real *v,
                  const real *g, size_t n, size_t decay_count);
    /* FLOP/s that this rank's processor reaches in multiply-adds, measured. */
    double (*peak)(struct backend *be);
};

extern const struct backend_class backend_cpu;

/* "cpu" or "cuda"; NULL and *err when unknown or not built. */
const struct backend_class *backend_find(const char *device, struct err *err);

/* Forward, and backward when x->grads is set. */
void backend_run(struct backend *be, const struct exec *x);

#endif
