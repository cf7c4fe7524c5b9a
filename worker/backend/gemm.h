/* SPDX-License-Identifier: Apache-2.0
 *
 * gemm: matrix products of one thread on row-major matrices.
 *
 *   C (m x n) = op(A) (m x k) * op(B) (k x n)  [+ C]  [+ bias, one per column]
 *
 * Every product here runs on the calling thread alone; the CPU backend divides
 * a large product into row tiles of a size that depends on its shape only. So
 * results cannot depend on the number of threads, and nothing is lost: tiles of
 * 64 to 128 rows on 2 threads reach 200-225 GFLOP/s in f32 where oneDNN's own
 * threading reaches 200-228 (2-core Zen 4, peak 232, 2026-11).
 *
 * A product is planned once (oneDNN generates its code then) and run often.
 * This file pair is the only one that knows oneDNN (2.x API) or CBLAS.
 */
#ifndef WORKER_BACKEND_GEMM_H
#define WORKER_BACKEND_GEMM_H

#include "base/err.h"
#include "real.h"
#include <stdbool.h>

struct gemm_shape {
    int m, n, k;
    bool a_trans, b_trans; /* stored transposed: A is k x m, B is n x k */
    int lda, ldb, ldc;     /* distance of rows as stored, in elements */
    bool accumulate;
    bool bias;
};

struct gemm; /* planned products and their scratch memory */

struct gemm *gemm_create(int threads, struct err *err);
void gemm_destroy(struct gemm *g);
/* The plan's id, the same for equal shapes; negative and *err on failure. Not
 * to be called once the products run. */
int gemm_plan(struct gemm *g, const struct gemm_shape *shape, struct err *err);
/* After the last plan: allocates what running needs. */
int gemm_commit(struct gemm *g, struct err *err);
/* thread: 0 .. threads-1, each used by one thread at a time. */
void gemm_run(struct gemm *g, int plan, int thread, const real *a, const real *b,
              const real *bias, real *c);
const char *gemm_library(void);

#endif
