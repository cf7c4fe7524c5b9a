/* SPDX-License-Identifier: Apache-2.0
 *
 * The portable flavour: CBLAS for float (the OpenMP build of OpenBLAS runs on
 * the calling thread alone inside a parallel region), plain loops for double,
 * which only the gradient checks use.
 */
#include "backend/gemm.h"

#include "base/buf.h"
#include <stdlib.h>
#include <string.h>
#ifndef REAL_DOUBLE
#include <cblas.h>
#endif

struct gemm {
    struct gemm_shape *plans;
    int plans_count;
};

const char *gemm_library(void)
{
#ifdef REAL_DOUBLE
    return "loops";
#else
    return "CBLAS";
#endif
}

struct gemm *gemm_create(int threads, struct err *err)
{
    (void)threads;
    (void)err;
    return xcalloc(1, sizeof(struct gemm));
}

void gemm_destroy(struct gemm *g)
{
    if (!g)
        return;
    free(g->plans);
    free(g);
}

int gemm_plan(struct gemm *g, const struct gemm_shape *shape, struct err *err)
{
    (void)err;
    g->plans = xrealloc(g->plans, (size_t)(g->plans_count + 1) * sizeof(*g->plans));
    g->plans[g->plans_count] = *shape;
    return g->plans_count++;
}

int gemm_commit(struct gemm *g, struct err *err)
{
    (void)g;
    (void)err;
    return 0;
}

#ifdef REAL_DOUBLE
static void product(const struct gemm_shape *s, const real *a, const real *b, real *c)
{
    size_t ai = s->a_trans ? 1 : (size_t)s->lda, ak = s->a_trans ? (size_t)s->lda : 1;
    size_t bk = s->b_trans ? 1 : (size_t)s->ldb, bj = s->b_trans ? (size_t)s->ldb : 1;
    for (int i = 0; i < s->m; i++)
        for (int k = 0; k < s->k; k++) {
            real x = a[(size_t)i * ai + (size_t)k * ak];
            for (int j = 0; j < s->n; j++)
                c[(size_t)i * (size_t)s->ldc + (size_t)j] +=
                    x * b[(size_t)k * bk + (size_t)j * bj];
        }
}
#else
static void product(const struct gemm_shape *s, const real *a, const real *b, real *c)
{
    cblas_sgemm(CblasRowMajor, s->a_trans ? CblasTrans : CblasNoTrans,
                s->b_trans ? CblasTrans : CblasNoTrans, s->m, s->n, s->k, 1.0f, a, s->lda,
                b, s->ldb, 1.0f, c, s->ldc);
}
#endif

void gemm_run(struct gemm *g, int plan, int thread, const real *a, const real *b,
              const real *bias, real *c)
{
    const struct gemm_shape *s = &g->plans[plan];
    (void)thread;
    for (int i = 0; i < s->m; i++) {
        real *row = c + (size_t)i * (size_t)s->ldc;
        if (!s->accumulate)
            memset(row, 0, (size_t)s->n * sizeof(real));
        for (int j = 0; s->bias && j < s->n; j++)
            row[j] += bias[j];
    }
    product(s, a, b, c);
}
