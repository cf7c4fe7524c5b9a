/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/gemm.h"

#include "base/buf.h"
#include "memory.h"
#include <dnnl.h>
#include <errno.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#define ARGS_MAX 5

struct plan {
    struct gemm_shape shape;
    dnnl_primitive_t primitive;
    dnnl_memory_desc_t a, b, c, bias, scratch;
    size_t scratch_bytes;
};

struct gemm {
    int threads;
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    struct plan *plans;
    int plans_count;
    struct memory scratch; /* threads * scratch_each */
    size_t scratch_each;
    dnnl_exec_arg_t *args; /* [plan][thread][ARGS_MAX] */
};

const char *gemm_library(void)
{
    return "oneDNN";
}

static int dnnl_failed(struct err *err, const char *what, dnnl_status_t status)
{
    return err_set(err, status == dnnl_out_of_memory ? -ENOMEM : -EIO,
                   "oneDNN: %s failed (status %d)", what, (int)status);
}

struct gemm *gemm_create(int threads, struct err *err)
{
    struct gemm *g = xcalloc(1, sizeof(*g));
    g->threads = threads;
    /* oneDNN takes this many threads, at planning and outside of a parallel
     * region of two threads or more. Ours all say how many they want. */
    omp_set_num_threads(1);
    dnnl_status_t st = dnnl_engine_create(&g->engine, dnnl_cpu, 0);
    if (st == dnnl_success)
        st = dnnl_stream_create(&g->stream, g->engine, dnnl_stream_default_flags);
    if (st != dnnl_success) {
        dnnl_failed(err, "creating an engine", st);
        gemm_destroy(g);
        return NULL;
    }
    return g;
}

void gemm_destroy(struct gemm *g)
{
    if (!g)
        return;
    for (int p = 0; p < g->plans_count; p++) {
        dnnl_exec_arg_t *args = g->args ? g->args + (size_t)p * g->threads * ARGS_MAX : NULL;
        for (int i = 0; args && i < g->threads * ARGS_MAX; i++)
            if (args[i].memory)
                dnnl_memory_destroy(args[i].memory);
        if (g->plans[p].primitive)
            dnnl_primitive_destroy(g->plans[p].primitive);
    }
    if (g->stream)
        dnnl_stream_destroy(g->stream);
    if (g->engine)
        dnnl_engine_destroy(g->engine);
    memory_fini(&g->scratch);
    free(g->args);
    free(g->plans);
    free(g);
}

static bool shape_equal(const struct gemm_shape *x, const struct gemm_shape *y)
{
    return x->m == y->m && x->n == y->n && x->k == y->k && x->a_trans == y->a_trans &&
           x->b_trans == y->b_trans && x->lda == y->lda && x->ldb == y->ldb &&
           x->ldc == y->ldc && x->accumulate == y->accumulate && x->bias == y->bias;
}

static dnnl_status_t describe(struct plan *p)
{
    const struct gemm_shape *s = &p->shape;
    dnnl_dims_t a = {s->m, s->k}, b = {s->k, s->n}, c = {s->m, s->n}, bias = {1, s->n};
    dnnl_dims_t as = {s->a_trans ? 1 : s->lda, s->a_trans ? s->lda : 1};
    dnnl_dims_t bs = {s->b_trans ? 1 : s->ldb, s->b_trans ? s->ldb : 1};
    dnnl_dims_t cs = {s->ldc, 1}, bias_strides = {s->n, 1};
    dnnl_status_t st = dnnl_memory_desc_init_by_strides(&p->a, 2, a, dnnl_f32, as);
    if (st == dnnl_success)
        st = dnnl_memory_desc_init_by_strides(&p->b, 2, b, dnnl_f32, bs);
    if (st == dnnl_success)
        st = dnnl_memory_desc_init_by_strides(&p->c, 2, c, dnnl_f32, cs);
    if (st == dnnl_success)
        st = dnnl_memory_desc_init_by_strides(&p->bias, 2, bias, dnnl_f32, bias_strides);
    return st;
}

/* Scratch memory is the caller's: oneDNN's default is a buffer of the creating
 * thread, and running on another thread would overrun it. */
static dnnl_status_t attributes(const struct gemm_shape *s, dnnl_primitive_attr_t *attr)
{
    dnnl_status_t st = dnnl_primitive_attr_create(attr);
    if (st == dnnl_success)
        st = dnnl_primitive_attr_set_scratchpad_mode(*attr, dnnl_scratchpad_mode_user);
    if (st != dnnl_success || !s->accumulate)
        return st;
    dnnl_post_ops_t ops;
    st = dnnl_post_ops_create(&ops);
    if (st != dnnl_success)
        return st;
    st = dnnl_post_ops_append_sum(ops, 1.0f);
    if (st == dnnl_success)
        st = dnnl_primitive_attr_set_post_ops(*attr, ops);
    dnnl_post_ops_destroy(ops);
    return st;
}

static dnnl_status_t build(struct gemm *g, struct plan *p)
{
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_matmul_desc_t op;
    dnnl_status_t st = describe(p);
    if (st == dnnl_success)
        st = attributes(&p->shape, &attr);
    if (st == dnnl_success)
        st = dnnl_matmul_desc_init(&op, &p->a, &p->b, p->shape.bias ? &p->bias : NULL,
                                   &p->c);
    if (st == dnnl_success)
        st = dnnl_primitive_desc_create(&pd, &op, attr, g->engine, NULL);
    if (st == dnnl_success) {
        p->scratch = *dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0);
        p->scratch_bytes = dnnl_memory_desc_get_size(&p->scratch);
        st = dnnl_primitive_create(&p->primitive, pd);
    }
    if (pd)
        dnnl_primitive_desc_destroy(pd);
    if (attr)
        dnnl_primitive_attr_destroy(attr);
    return st;
}

int gemm_plan(struct gemm *g, const struct gemm_shape *shape, struct err *err)
{
    for (int i = 0; i < g->plans_count; i++)
        if (shape_equal(&g->plans[i].shape, shape))
            return i;
    g->plans = xrealloc(g->plans, (size_t)(g->plans_count + 1) * sizeof(*g->plans));
    struct plan *p = &g->plans[g->plans_count];
    *p = (struct plan){.shape = *shape};
    dnnl_status_t st = build(g, p);
    if (st != dnnl_success)
        return dnnl_failed(err, "planning a matrix product", st);
    if (p->scratch_bytes > g->scratch_each)
        g->scratch_each = p->scratch_bytes;
    return g->plans_count++;
}

static dnnl_status_t plan_args(struct gemm *g, const struct plan *p, dnnl_exec_arg_t *args,
                               char *scratch)
{
    const struct {
        int kind;
        const dnnl_memory_desc_t *desc;
        void *data;
        bool used;
    } rows[ARGS_MAX] = {
        {DNNL_ARG_SRC, &p->a, NULL, true},
        {DNNL_ARG_WEIGHTS, &p->b, NULL, true},
        {DNNL_ARG_DST, &p->c, NULL, true},
        {DNNL_ARG_SCRATCHPAD, &p->scratch, scratch, true},
        {DNNL_ARG_BIAS, &p->bias, NULL, p->shape.bias},
    };
    for (int i = 0; i < ARGS_MAX; i++) {
        args[i].arg = rows[i].kind;
        if (!rows[i].used)
            continue;
        dnnl_status_t st =
            dnnl_memory_create(&args[i].memory, rows[i].desc, g->engine, rows[i].data);
        if (st != dnnl_success)
            return st;
    }
    return dnnl_success;
}

int gemm_commit(struct gemm *g, struct err *err)
{
    g->scratch_each = memory_round(g->scratch_each);
    int rc = memory_init(&g->scratch, g->scratch_each * (size_t)g->threads, err);
    if (rc < 0)
        return rc;
    g->args = xcalloc((size_t)g->plans_count * (size_t)g->threads * ARGS_MAX,
                      sizeof(*g->args));
    for (int p = 0; p < g->plans_count; p++)
        for (int t = 0; t < g->threads; t++) {
            dnnl_exec_arg_t *args = g->args + ((size_t)p * g->threads + t) * ARGS_MAX;
            char *scratch = g->scratch.base + (size_t)t * g->scratch_each;
            dnnl_status_t st = plan_args(g, &g->plans[p], args, scratch);
            if (st != dnnl_success)
                return dnnl_failed(err, "describing memory", st);
        }
    return 0;
}

void gemm_run(struct gemm *g, int plan, int thread, const real *a, const real *b,
              const real *bias, real *c)
{
    const struct plan *p = &g->plans[plan];
    dnnl_exec_arg_t *args = g->args + ((size_t)plan * g->threads + thread) * ARGS_MAX;
    dnnl_status_t st = dnnl_memory_set_data_handle(args[0].memory, (void *)(uintptr_t)a);
    if (st == dnnl_success)
        st = dnnl_memory_set_data_handle(args[1].memory, (void *)(uintptr_t)b);
    if (st == dnnl_success)
        st = dnnl_memory_set_data_handle(args[2].memory, c);
    if (st == dnnl_success && p->shape.bias)
        st = dnnl_memory_set_data_handle(args[4].memory, (void *)(uintptr_t)bias);
    if (st == dnnl_success)
        st = dnnl_primitive_execute(p->primitive, g->stream,
                                    p->shape.bias ? ARGS_MAX : ARGS_MAX - 1, args);
    ASSERT(st == dnnl_success);
}
