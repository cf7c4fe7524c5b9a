/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/cpu.h"

#include "base/buf.h"
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define COLUMN_BLOCK 64 /* columns that one task sums over all rows */
#define FLAT_BLOCK 4096 /* elements of a flat buffer handled while in cache */
#define LOGITS_BYTES_MAX ((size_t)96 << 20)

/* --- embedding ------------------------------------------------------------ */

static void embed_forward(struct backend *be, const struct exec *x, const struct node *node)
{
    struct cpu *cpu = cpu_of(be);
    const struct graph *g = be->graph;
    size_t c = (size_t)g->shape.width;
    const real *tokens = x->params + cpu_offset(cpu, node->param[0]);
    const real *positions =
        node->param[1] == GRAPH_NONE ? NULL : x->params + cpu_offset(cpu, node->param[1]);
    real *out = cpu_value(cpu, node->out[0]);
#pragma omp parallel for schedule(static) num_threads(cpu->threads)
    for (int r = 0; r < g->rows; r++) {
        const real *row = tokens + (size_t)x->batch.tokens[r] * c;
        real *dst = out + (size_t)r * c;
        if (positions)
            cpu->k->sum2(dst, row, positions + (size_t)(r % g->context) * c, c);
        else
            memcpy(dst, row, c * sizeof(real));
    }
}

/* Adds rows to the table rows that `index` names, columns [from, from+count). */
static void scatter_columns(const struct cpu *cpu, real *table, int table_rows, bool clear,
                            const real *grad, const uint32_t *tokens, size_t from,
                            size_t count)
{
    const struct graph *g = cpu->base.graph;
    size_t c = (size_t)g->shape.width;
    for (int r = 0; clear && r < table_rows; r++)
        memset(table + (size_t)r * c + from, 0, count * sizeof(real));
    for (int r = 0; r < g->rows; r++) {
        size_t to = tokens ? tokens[r] : (size_t)(r % g->context);
        cpu->k->add(table + to * c + from, grad + (size_t)r * c + from, count);
    }
}

static void embed_backward(struct backend *be, const struct exec *x,
                           const struct node *node)
{
    struct cpu *cpu = cpu_of(be);
    const struct graph *g = be->graph;
    int c = g->shape.width;
    const real *grad = cpu_grad(cpu, node->out[0]);
#pragma omp parallel for schedule(dynamic, 1) num_threads(cpu->threads)
    for (int from = 0; from < c; from += COLUMN_BLOCK) {
        size_t count = (size_t)(c - from < COLUMN_BLOCK ? c - from : COLUMN_BLOCK);
        scatter_columns(cpu, x->grads + cpu_offset(cpu, node->param[0]), g->shape.vocab,
                        !node->accumulate[0], grad, x->batch.tokens, (size_t)from, count);
        if (node->param[1] != GRAPH_NONE)
            scatter_columns(cpu, x->grads + cpu_offset(cpu, node->param[1]), g->context,
                            !node->accumulate[1], grad, NULL, (size_t)from, count);
    }
}

/* --- norm ----------------------------------------------------------------- */

static void norm_forward(struct backend *be, const struct exec *x, const struct node *node)
{
    struct cpu *cpu = cpu_of(be);
    const struct graph *g = be->graph;
    size_t c = (size_t)g->values[node->out[1]].cols;
    const real *a = cpu_value(cpu, node->in[0]);
    const real *b = node->in[1] == GRAPH_NONE ? NULL : cpu_value(cpu, node->in[1]);
    const real *gain = x->params + cpu_offset(cpu, node->param[0]);
    const real *bias =
        node->param[1] == GRAPH_NONE ? NULL : x->params + cpu_offset(cpu, node->param[1]);
    real *sum = cpu_value(cpu, node->out[0]), *out = cpu_value(cpu, node->out[1]);
    real *stats = cpu_value(cpu, node->out[2]);
#pragma omp parallel for schedule(static) num_threads(cpu->threads)
    for (int r = 0; r < g->rows; r++) {
        size_t at = (size_t)r * c;
        if (b)
            cpu->k->sum2(sum + at, a + at, b + at, c);
        cpu->k->norm_forward(out + at, stats + 2 * (size_t)r, sum + at, gain, bias, c,
                             node->eps, node->norm == NORM_RMS);
    }
}

static void norm_backward(struct backend *be, const struct exec *x, const struct node *node)
{
    struct cpu *cpu = cpu_of(be);
    const struct graph *g = be->graph;
    int rows = g->rows, c = g->values[node->out[1]].cols;
    const real *sum = cpu_value(cpu, node->out[0]);
    const real *stats = cpu_value(cpu, node->out[2]);
    const real *dout = cpu_grad(cpu, node->out[1]);
    const real *gain = x->params + cpu_offset(cpu, node->param[0]);
    real *dgain = x->grads + cpu_offset(cpu, node->param[0]);
    real *dbias =
        node->param[1] == GRAPH_NONE ? NULL : x->grads + cpu_offset(cpu, node->param[1]);
    real *din = cpu_grad(cpu, node->in[0]);
    /* The stream's own gradient is already in din unless nothing read it. */
    bool add = g->values[node->out[0]].has_grad;
#pragma omp parallel num_threads(cpu->threads)
    {
#pragma omp for schedule(dynamic, 1) nowait
        for (int from = 0; from < c; from += COLUMN_BLOCK) {
            size_t count = (size_t)(c - from < COLUMN_BLOCK ? c - from : COLUMN_BLOCK);
            if (!node->accumulate[0])
                memset(dgain + from, 0, count * sizeof(real));
            if (dbias && !node->accumulate[1])
                memset(dbias + from, 0, count * sizeof(real));
            for (size_t r = 0, at = (size_t)from; r < (size_t)rows; r++, at += (size_t)c)
                cpu->k->norm_params(dgain + from, dbias ? dbias + from : NULL, dout + at,
                                    sum + at, stats + 2 * r, count);
        }
#pragma omp for schedule(static)
        for (int r = 0; r < rows; r++) {
            size_t at = (size_t)r * (size_t)c;
            cpu->k->norm_backward(din + at, dout + at, sum + at, stats + 2 * (size_t)r,
                                  gain, (size_t)c, node->norm == NORM_RMS, add);
        }
    }
}

/* --- flat buffers ---------------------------------------------------------- */

static void losses(struct backend *be, real *out)
{
    struct cpu *cpu = cpu_of(be);
    const struct graph *g = be->graph;
    const struct node *last = &g->nodes[g->nodes_count - 1];
    memcpy(out, cpu_value(cpu, last->out[0]), (size_t)g->rows * sizeof(real));
}

/* Up to 2^TREE_DEPTH_MAX terms; one partial sum is kept per level. */
#define TREE_DEPTH_MAX 16

static void sum_tree_block(const struct kernels *k, real *dst, const real *const *terms,
                           int count, size_t at, size_t n)
{
    real partial[TREE_DEPTH_MAX + 1][FLAT_BLOCK / 8];
    int depth = 0;
    for (int i = 0; i < count; i += 2) {
        k->sum2(partial[depth++], terms[i] + at, terms[i + 1] + at, n);
        for (int pairs = i / 2 + 1; pairs % 2 == 0; pairs /= 2) {
            depth--;
            k->add(partial[depth - 1], partial[depth], n);
        }
    }
    ASSERT(depth == 1);
    memcpy(dst + at, partial[0], n * sizeof(real));
}

static void sum_tree(struct backend *be, real *dst, const real *const *terms, int count,
                     size_t n)
{
    struct cpu *cpu = cpu_of(be);
    size_t step = count == 2 ? FLAT_BLOCK * 4 : FLAT_BLOCK / 8;
    ASSERT(count >= 1 && count <= 1 << TREE_DEPTH_MAX && (count & (count - 1)) == 0);
    if (count == 1 && dst == terms[0])
        return;
#pragma omp parallel for schedule(static) num_threads(cpu->threads)
    for (size_t at = 0; at < n; at += step) {
        size_t len = n - at < step ? n - at : step;
        if (count == 1)
            memcpy(dst + at, terms[0] + at, len * sizeof(real));
        else if (count == 2)
            cpu->k->sum2(dst + at, terms[0] + at, terms[1] + at, len);
        else
            sum_tree_block(cpu->k, dst, terms, count, at, len);
    }
}

static void sum_squares(struct backend *be, const real *x, size_t n, double *partial)
{
    struct cpu *cpu = cpu_of(be);
#pragma omp parallel for schedule(static) num_threads(cpu->threads)
    for (size_t i = 0; i < n / SUM_CHUNK; i++)
        partial[i] = cpu->k->sum_squares(x + i * SUM_CHUNK, SUM_CHUNK);
}

static void adamw(struct backend *be, const struct adamw *h, real *p, real *m, real *v,
                  const real *g, size_t n, size_t decay_count)
{
    struct cpu *cpu = cpu_of(be);
#pragma omp parallel for schedule(static) num_threads(cpu->threads)
    for (size_t at = 0; at < n; at += FLAT_BLOCK) {
        size_t len = n - at < FLAT_BLOCK ? n - at : FLAT_BLOCK;
        size_t decayed = decay_count <= at ? 0 : decay_count - at;
        if (decayed > len)
            decayed = len;
        size_t rest = at + decayed;
        cpu->k->adamw(h, p + at, m + at, v + at, g + at, decayed, h->weight_decay);
        cpu->k->adamw(h, p + rest, m + rest, v + rest, g + rest, len - decayed, 0);
    }
}

static double seconds(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

/* Each thread's best of a few short runs, added up: a neighbour on the machine can
 * only slow us down, and not all threads at the same time. */
static double peak(struct backend *be)
{
    struct cpu *cpu = cpu_of(be);
    const size_t count = 200000;
    double total = 0;
    volatile real sink = 0;
#pragma omp parallel num_threads(cpu->threads)
    {
        double best = 0;
        for (int i = 0; i < 8; i++) {
            double from = seconds();
            real r = cpu->k->fma_burn(count);
            double rate = 2.0 * 8 * KERNEL_LANES * (double)count / (seconds() - from);
            best = rate > best ? rate : best;
#pragma omp critical
            sink = sink + r;
        }
#pragma omp critical
        total += best;
    }
    return total;
}

/* --- life ------------------------------------------------------------------ */

static void destroy(struct backend *be)
{
    struct cpu *cpu = cpu_of(be);
    if (!cpu)
        return;
    for (int i = 0; i < be->graph->nodes_count; i++)
        free(cpu->plans[i].attn);
    free(cpu->plans);
    gemm_destroy(cpu->gemm);
    memory_fini(&cpu->mem);
    free(cpu);
}

static int plan_nodes(struct cpu *cpu, struct err *err)
{
    const struct graph *g = cpu->base.graph;
    int rc = 0;
    for (int i = 0; i < g->nodes_count && rc == 0; i++) {
        const struct node *node = &g->nodes[i];
        if (node->op == OP_LINEAR) {
            rc = cpu_linear_plan(cpu, node, err);
        } else if (node->op == OP_LOSS) {
            rc = cpu_loss_plan(cpu, node, err);
        } else if (node->op == OP_ATTENTION) {
            int tiles = (g->context + ATTN_TILE - 1) / ATTN_TILE;
            cpu->plans[i].attn = xcalloc((size_t)tiles, sizeof(*cpu->plans[i].attn));
            cpu->plans[i].attn_count = tiles;
            rc = cpu_attention_plan(cpu, node, err);
        }
    }
    return rc == 0 ? gemm_commit(cpu->gemm, err) : rc;
}

static int allocate(struct cpu *cpu, struct err *err)
{
    const struct graph *g = cpu->base.graph;
    size_t vocab = (size_t)g->shape.vocab;
    size_t chunk = LOGITS_BYTES_MAX / (vocab * sizeof(real));
    chunk = chunk > 512 ? 512 : chunk < 64 ? 64 : chunk / 64 * 64;
    cpu->loss_chunk = (int)chunk < g->rows ? (int)chunk : g->rows;
    cpu->scratch_each = memory_round(cpu_attention_scratch(g) * sizeof(real)) / sizeof(real);
    bool rope = g->shape.positions == POSITIONS_ROPE;
    size_t rope_count = rope ? (size_t)g->context * shape_head_width(&g->shape) : 0;
    size_t sizes[] = {g->act_count * sizeof(real),
                      cpu->scratch_each * (size_t)cpu->threads * sizeof(real),
                      (size_t)cpu->loss_chunk * vocab * sizeof(real),
                      rope_count * sizeof(real)};
    size_t total = 0;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        total += memory_round(sizes[i]);
    int rc = memory_init(&cpu->mem, total, err);
    if (rc < 0)
        return rc;
    cpu->act = memory_take(&cpu->mem, sizes[0]);
    cpu->scratch = memory_take(&cpu->mem, sizes[1]);
    cpu->logits = memory_take(&cpu->mem, sizes[2]);
    if (rope) {
        cpu->rope = memory_take(&cpu->mem, sizes[3]);
        cpu_rope_init(cpu, g->shape.rope_theta);
    }
    return 0;
}

static struct backend *create(const struct graph *graph, int threads, const char *kernels,
                              struct err *err)
{
    const struct kernels *k = kernels_select(kernels, err);
    if (!k)
        return NULL;
    struct cpu *cpu = xcalloc(1, sizeof(*cpu));
    cpu->base = (struct backend){.class = &backend_cpu, .graph = graph};
    cpu->k = k;
    cpu->threads = threads > 0 ? threads : omp_get_max_threads();
    cpu->plans = xcalloc((size_t)graph->nodes_count, sizeof(*cpu->plans));
    cpu->gemm = gemm_create(cpu->threads, err);
    if (!cpu->gemm || allocate(cpu, err) < 0 || plan_nodes(cpu, err) < 0) {
        destroy(&cpu->base);
        return NULL;
    }
    return &cpu->base;
}

static void describe(const struct backend *be, char *buf, size_t size)
{
    const struct cpu *cpu = (const struct cpu *)be;
    snprintf(buf, size, "cpu, %s, %s kernels, %d thread%s", gemm_library(), cpu->k->name,
             cpu->threads, cpu->threads == 1 ? "" : "s");
}

const struct backend_class backend_cpu = {
    .name = "cpu",
    .create = create,
    .destroy = destroy,
    .describe = describe,
    .forward = {[OP_EMBED] = embed_forward,
                [OP_NORM] = norm_forward,
                [OP_LINEAR] = cpu_linear_forward,
                [OP_ROPE] = cpu_rope_forward,
                [OP_ATTENTION] = cpu_attention_forward,
                [OP_LOSS] = cpu_loss_forward},
    .backward = {[OP_EMBED] = embed_backward,
                 [OP_NORM] = norm_backward,
                 [OP_LINEAR] = cpu_linear_backward,
                 [OP_ROPE] = cpu_rope_backward,
                 [OP_ATTENTION] = cpu_attention_backward,
                 [OP_LOSS] = cpu_loss_backward},
    .losses = losses,
    .sum_tree = sum_tree,
    .sum_squares = sum_squares,
    .adamw = adamw,
    .peak = peak,
};
