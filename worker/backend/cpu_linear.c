/* SPDX-License-Identifier: Apache-2.0
 *
 * The CPU backend's linear layers and the loss: everything made of large
 * matrix products. What can be done to a tile of rows while it is in cache
 * (activation, softmax, the product that consumes it) is done in the same task.
 */
#include "backend/cpu.h"

#include <math.h>
#include <omp.h>
#include <string.h>

/* Rows of a tile by the rows of the product: enough tasks for the threads, yet
 * large enough for the product's full speed (measured, see gemm.h). */
static int tile_size(int rows)
{
    return rows >= 1024 ? 128 : 64;
}

int cpu_tiles_plan(struct cpu *cpu, struct tiles *t, struct gemm_shape shape,
                   struct err *err)
{
    t->rows = shape.m;
    t->size = tile_size(shape.m);
    t->count = (t->rows + t->size - 1) / t->size;
    int tail = t->rows % t->size;
    if (t->rows >= t->size) {
        shape.m = t->size;
        t->plan = gemm_plan(cpu->gemm, &shape, err);
        if (t->plan < 0)
            return t->plan;
    }
    if (tail) {
        shape.m = tail;
        t->plan_tail = gemm_plan(cpu->gemm, &shape, err);
        if (t->plan_tail < 0)
            return t->plan_tail;
    }
    return 0;
}

/* --- linear --------------------------------------------------------------- */

int cpu_linear_plan(struct cpu *cpu, const struct node *node, struct err *err)
{
    const struct graph *g = cpu->base.graph;
    struct node_plan *plan = &cpu->plans[node - g->nodes];
    int in = g->values[node->in[0]].cols, out = g->values[node->out[0]].cols;
    int rows = g->rows;
    int rc = cpu_tiles_plan(cpu, &plan->forward,
                            (struct gemm_shape){.m = rows,
                                                .n = out,
                                                .k = in,
                                                .b_trans = true,
                                                .lda = in,
                                                .ldb = in,
                                                .ldc = out,
                                                .bias = node->param[1] != GRAPH_NONE},
                            err);
    if (rc == 0)
        rc = cpu_tiles_plan(cpu, &plan->d_in,
                            (struct gemm_shape){.m = rows,
                                                .n = in,
                                                .k = out,
                                                .lda = out,
                                                .ldb = in,
                                                .ldc = in},
                            err);
    if (rc == 0)
        rc = cpu_tiles_plan(cpu, &plan->d_weight,
                            (struct gemm_shape){.m = out,
                                                .n = in,
                                                .k = rows,
                                                .a_trans = true,
                                                .lda = out,
                                                .ldb = in,
                                                .ldc = in,
                                                .accumulate = node->accumulate[0]},
                            err);
    return rc;
}

void cpu_linear_forward(struct backend *be, const struct exec *x, const struct node *node)
{
    struct cpu *cpu = cpu_of(be);
    const struct graph *g = be->graph;
    const struct tiles *t = &cpu_plan(cpu, node)->forward;
    size_t in = (size_t)g->values[node->in[0]].cols;
    size_t out = (size_t)g->values[node->out[0]].cols;
    const real *src = cpu_value(cpu, node->in[0]);
    const real *weight = x->params + cpu_offset(cpu, node->param[0]);
    const real *bias =
        node->param[1] == GRAPH_NONE ? NULL : x->params + cpu_offset(cpu, node->param[1]);
    real *dst = cpu_value(cpu, node->out[0]);
    real *act = node->activation == ACT_NONE ? NULL : cpu_value(cpu, node->out[1]);

#pragma omp parallel for schedule(dynamic, 1) num_threads(cpu->threads)
    for (int i = 0; i < t->count; i++) {
        size_t row = (size_t)i * (size_t)t->size;
        gemm_run(cpu->gemm, tile_plan(t, i), omp_get_thread_num(), src + row * in, weight,
                 bias, dst + row * out);
        if (act)
            cpu->k->gelu_forward(act + row * out, dst + row * out,
                                 (size_t)tile_rows(t, i) * out);
    }
}

/* Column sums of rows x cols from column `from` on, `count` of them. */
static void bias_gradient(const struct cpu *cpu, real *dbias, bool accumulate,
                          const real *dout, size_t cols, size_t from, size_t count)
{
    size_t rows = (size_t)cpu->base.graph->rows;
    if (!accumulate)
        memset(dbias + from, 0, count * sizeof(real));
    for (size_t r = 0; r < rows; r++)
        cpu->k->add(dbias + from, dout + r * cols + from, count);
}

void cpu_linear_backward(struct backend *be, const struct exec *x, const struct node *node)
{
    struct cpu *cpu = cpu_of(be);
    const struct graph *g = be->graph;
    const struct node_plan *plan = cpu_plan(cpu, node);
    const struct tiles *td = &plan->d_in, *tw = &plan->d_weight;
    size_t in = (size_t)g->values[node->in[0]].cols;
    size_t out = (size_t)g->values[node->out[0]].cols;
    const real *src = cpu_value(cpu, node->in[0]);
    const real *sums = cpu_value(cpu, node->out[0]);
    const real *weight = x->params + cpu_offset(cpu, node->param[0]);
    real *dweight = x->grads + cpu_offset(cpu, node->param[0]);
    real *dbias =
        node->param[1] == GRAPH_NONE ? NULL : x->grads + cpu_offset(cpu, node->param[1]);
    real *dout = cpu_grad(cpu, node->out[0]); /* d(activation) before, d(sums) after */
    real *din = cpu_grad(cpu, node->in[0]);

#pragma omp parallel num_threads(cpu->threads)
    {
        int thread = omp_get_thread_num();
#pragma omp for schedule(dynamic, 1)
        for (int i = 0; i < td->count; i++) {
            size_t row = (size_t)i * (size_t)td->size;
            if (node->activation != ACT_NONE)
                cpu->k->gelu_backward(dout + row * out, sums + row * out,
                                      (size_t)tile_rows(td, i) * out);
            gemm_run(cpu->gemm, tile_plan(td, i), thread, dout + row * out, weight, NULL,
                     din + row * in);
        }
#pragma omp for schedule(dynamic, 1)
        for (int i = 0; i < tw->count; i++) {
            size_t from = (size_t)i * (size_t)tw->size;
            gemm_run(cpu->gemm, tile_plan(tw, i), thread, dout + from, src, NULL,
                     dweight + from * in);
            if (dbias)
                bias_gradient(cpu, dbias, node->accumulate[1], dout, out, from,
                              (size_t)tile_rows(tw, i));
        }
    }
}

/* --- loss ----------------------------------------------------------------- */

/* The logits of all rows never exist at once: rows go in chunks, and training
 * computes loss and gradients of a chunk in one visit, in the backward pass. */
int cpu_loss_plan(struct cpu *cpu, const struct node *node, struct err *err)
{
    const struct graph *g = cpu->base.graph;
    struct node_plan *plan = &cpu->plans[node - g->nodes];
    int c = g->shape.width, v = g->shape.vocab, chunk = cpu->loss_chunk;
    int tail = g->rows % chunk;
    struct gemm_shape logits = {
        .m = chunk, .n = v, .k = c, .b_trans = true, .lda = c, .ldb = c, .ldc = v};
    struct gemm_shape din = {.m = chunk, .n = c, .k = v, .lda = v, .ldb = c, .ldc = c};
    struct gemm_shape dweight = {
        .m = v, .n = c, .k = chunk, .a_trans = true, .lda = v, .ldb = c, .ldc = c};
    int rc = cpu_tiles_plan(cpu, &plan->forward, logits, err);
    if (rc == 0)
        rc = cpu_tiles_plan(cpu, &plan->d_in, din, err);
    if (rc == 0)
        rc = cpu_tiles_plan(cpu, &plan->d_weight_first, dweight, err);
    dweight.accumulate = true;
    if (rc == 0)
        rc = cpu_tiles_plan(cpu, &plan->d_weight, dweight, err);
    if (rc < 0 || tail == 0)
        return rc;
    dweight.k = tail;
    rc = cpu_tiles_plan(cpu, &plan->d_weight_tail, dweight, err);
    dweight.accumulate = false;
    if (rc == 0)
        rc = cpu_tiles_plan(cpu, &plan->d_weight_tail_first, dweight, err);
    /* Tiles of a short last chunk: a size that no full tile has may occur. */
    int last = tail % plan->forward.size;
    if (rc == 0 && last) {
        logits.m = din.m = last;
        rc = plan->forward.plan_tail = gemm_plan(cpu->gemm, &logits, err);
        if (rc >= 0)
            rc = plan->d_in.plan_tail = gemm_plan(cpu->gemm, &din, err);
    }
    return rc < 0 ? rc : 0;
}

/* Row of logits to its loss; with train, to d(logits) in place. */
static real loss_row(const struct cpu *cpu, real *z, size_t vocab, uint32_t target,
                     bool train, real weight)
{
    real at_target = z[target], max;
    double sum = cpu->k->exp_row(z, vocab, 1, &max);
    if (train) {
        cpu->k->scale(z, vocab, (real)((double)weight / sum));
        z[target] -= weight;
    }
    return (real)(log(sum) + (double)max - (double)at_target);
}

struct loss_job {
    struct cpu *cpu;
    const struct exec *x;
    const struct node_plan *plan;
    const real *in, *weight;
    real *losses, *d_in;
    size_t width, vocab;
};

/* Rows [from, from + count) of the chunk's tile: logits, loss and, with
 * train, the gradient of the input. */
static void loss_tile(const struct loss_job *j, int tile, size_t chunk_from,
                      int chunk_rows, bool train)
{
    struct cpu *cpu = j->cpu;
    int thread = omp_get_thread_num(), size = j->plan->forward.size;
    int at = tile * size, rows = chunk_rows - at < size ? chunk_rows - at : size;
    size_t row = chunk_from + (size_t)at;
    real *z = cpu->logits + (size_t)at * j->vocab;
    bool full = rows == size;
    gemm_run(cpu->gemm, full ? j->plan->forward.plan : j->plan->forward.plan_tail, thread,
             j->in + row * j->width, j->weight, NULL, z);
    for (int r = 0; r < rows; r++)
        j->losses[row + (size_t)r] =
            loss_row(cpu, z + (size_t)r * j->vocab, j->vocab,
                     j->x->batch.targets[row + (size_t)r], train,
                     j->x->batch.row_weights[row + (size_t)r]);
    if (train)
        gemm_run(cpu->gemm, full ? j->plan->d_in.plan : j->plan->d_in.plan_tail, thread, z,
                 j->weight, NULL, j->d_in + row * j->width);
}

static const struct tiles *loss_weight_tiles(const struct node_plan *plan, bool first,
                                             bool full)
{
    if (full)
        return first ? &plan->d_weight_first : &plan->d_weight;
    return first ? &plan->d_weight_tail_first : &plan->d_weight_tail;
}

static void loss_run(struct backend *be, const struct exec *x, const struct node *node,
                     bool train)
{
    struct cpu *cpu = cpu_of(be);
    const struct graph *g = be->graph;
    size_t weight_at = cpu_offset(cpu, node->param[0]);
    struct loss_job j = {.cpu = cpu,
                         .x = x,
                         .plan = cpu_plan(cpu, node),
                         .in = cpu_value(cpu, node->in[0]),
                         .weight = x->params + weight_at,
                         .losses = cpu_value(cpu, node->out[0]),
                         .d_in = train ? cpu_grad(cpu, node->in[0]) : NULL,
                         .width = (size_t)g->shape.width,
                         .vocab = (size_t)g->shape.vocab};
    for (int from = 0; from < g->rows; from += cpu->loss_chunk) {
        int rows = g->rows - from < cpu->loss_chunk ? g->rows - from : cpu->loss_chunk;
        int tiles = (rows + j.plan->forward.size - 1) / j.plan->forward.size;
        bool first = from == 0 && !node->accumulate[0];
        const struct tiles *tw =
            loss_weight_tiles(j.plan, first, rows == cpu->loss_chunk);
#pragma omp parallel num_threads(cpu->threads)
        {
#pragma omp for schedule(dynamic, 1)
            for (int i = 0; i < tiles; i++)
                loss_tile(&j, i, (size_t)from, rows, train);
#pragma omp for schedule(dynamic, 1)
            for (int i = 0; i < (train ? tw->count : 0); i++) {
                size_t at = (size_t)i * (size_t)tw->size;
                gemm_run(cpu->gemm, tile_plan(tw, i), omp_get_thread_num(),
                         cpu->logits + at, j.in + (size_t)from * j.width, NULL,
                         x->grads + weight_at + at * j.width);
            }
        }
    }
}

void cpu_loss_forward(struct backend *be, const struct exec *x, const struct node *node)
{
    if (!x->grads)
        loss_run(be, x, node, false);
}

void cpu_loss_backward(struct backend *be, const struct exec *x, const struct node *node)
{
    loss_run(be, x, node, true);
}
