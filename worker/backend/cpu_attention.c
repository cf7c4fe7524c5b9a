/* SPDX-License-Identifier: Apache-2.0
 *
 * The CPU backend's causal attention, tiled over queries.
 *
 * A task is one sequence and one key/value head. It takes ATTN_TILE queries at
 * a time and only the keys they may see, so half of the square is never
 * computed and the T x T matrix never exists: forward keeps one log-sum-exp per
 * query and head, backward recomputes the probabilities from it
 * (FlashAttention's algebra; Dao et al., 2022).
 *
 *   rows of in0:  | q head 0 .. H-1 | k head 0 .. G-1 | v head 0 .. G-1 |
 */
#include "backend/cpu.h"

#include <math.h>
#include <omp.h>
#include <string.h>

struct layout {
    int heads, groups, per_group; /* query heads, key/value heads, their ratio */
    int hd;                       /* width of a head */
    int ld, ld_out;               /* row distance of q|k|v and of the output */
    int context;
};

static struct layout layout_of(const struct graph *g)
{
    const struct shape *s = &g->shape;
    int hd = (int)shape_head_width(s);
    return (struct layout){.heads = s->heads,
                           .groups = s->kv_heads,
                           .per_group = s->heads / s->kv_heads,
                           .hd = hd,
                           .ld = s->width + 2 * s->kv_heads * hd,
                           .ld_out = s->width,
                           .context = g->context};
}

size_t cpu_attention_scratch(const struct graph *g)
{
    return 2 * (size_t)ATTN_TILE * (size_t)g->context + ATTN_TILE;
}

static int plan_tile(struct cpu *cpu, struct attn_plans *p, const struct layout *l,
                     struct err *err)
{
    int q = p->queries, k = p->keys, t = l->context;
    const struct {
        int *id;
        struct gemm_shape shape;
    } rows[] = {
        {&p->scores, {q, k, l->hd, false, true, l->ld, l->ld, t, false, false}},
        {&p->out, {q, l->hd, k, false, false, t, l->ld, l->ld_out, false, false}},
        {&p->d_out, {q, k, l->hd, false, true, l->ld_out, l->ld, t, false, false}},
        {&p->d_query, {q, l->hd, k, false, false, t, l->ld, l->ld, false, false}},
        {&p->d_key, {k, l->hd, q, true, false, t, l->ld, l->ld, true, false}},
        {&p->d_key_first, {k, l->hd, q, true, false, t, l->ld, l->ld, false, false}},
        {&p->d_value, {k, l->hd, q, true, false, t, l->ld_out, l->ld, true, false}},
        {&p->d_value_first, {k, l->hd, q, true, false, t, l->ld_out, l->ld, false, false}},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        *rows[i].id = gemm_plan(cpu->gemm, &rows[i].shape, err);
        if (*rows[i].id < 0)
            return *rows[i].id;
    }
    return 0;
}

int cpu_attention_plan(struct cpu *cpu, const struct node *node, struct err *err)
{
    const struct graph *g = cpu->base.graph;
    struct node_plan *plan = &cpu->plans[node - g->nodes];
    struct layout l = layout_of(g);
    for (int i = 0; i < plan->attn_count; i++) {
        struct attn_plans *p = &plan->attn[i];
        int from = i * ATTN_TILE;
        p->queries = l.context - from < ATTN_TILE ? l.context - from : ATTN_TILE;
        p->keys = from + p->queries;
        int rc = plan_tile(cpu, p, &l, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* --- forward -------------------------------------------------------------- */

static void tile_forward(struct cpu *cpu, const struct layout *l,
                         const struct attn_plans *p, const real *q, const real *k,
                         const real *v, real *out, real *lse, real *s)
{
    int thread = omp_get_thread_num(), first = p->keys - p->queries;
    real scale = (real)(1.0 / sqrt((double)l->hd));
    gemm_run(cpu->gemm, p->scores, thread, q, k, NULL, s);
    for (int i = 0; i < p->queries; i++) {
        real *row = s + (size_t)i * (size_t)l->context, max;
        int seen = first + i + 1;
        double sum = cpu->k->exp_row(row, (size_t)seen, scale, &max);
        cpu->k->scale(row, (size_t)seen, (real)(1.0 / sum));
        memset(row + seen, 0, (size_t)(p->keys - seen) * sizeof(real));
        lse[(size_t)i * (size_t)l->heads] = (real)((double)max + log(sum));
    }
    gemm_run(cpu->gemm, p->out, thread, s, v, NULL, out);
}

void cpu_attention_forward(struct backend *be, const struct exec *x,
                           const struct node *node)
{
    struct cpu *cpu = cpu_of(be);
    const struct graph *g = be->graph;
    const struct node_plan *plan = cpu_plan(cpu, node);
    struct layout l = layout_of(g);
    const real *in = cpu_value(cpu, node->in[0]);
    real *out = cpu_value(cpu, node->out[0]), *lse = cpu_value(cpu, node->out[1]);
    int tiles = plan->attn_count;
    (void)x;

    /* Late tiles cost most: they go first, so that threads end together. */
#pragma omp parallel for schedule(dynamic, 1) num_threads(cpu->threads)
    for (int task = 0; task < g->batch * l.heads * tiles; task++) {
        int tile = tiles - 1 - task / (g->batch * l.heads);
        int head = task % l.heads, b = task / l.heads % g->batch;
        size_t row = (size_t)b * (size_t)l.context, from = row + (size_t)tile * ATTN_TILE;
        const real *base = in + row * (size_t)l.ld;
        const real *k = base + (l.heads + head / l.per_group) * l.hd;
        tile_forward(cpu, &l, &plan->attn[tile],
                     in + from * (size_t)l.ld + head * l.hd, k, k + l.groups * l.hd,
                     out + from * (size_t)l.ld_out + head * l.hd,
                     lse + from * (size_t)l.heads + head,
                     cpu->scratch + (size_t)omp_get_thread_num() * cpu->scratch_each);
    }
}

/* --- backward ------------------------------------------------------------- */

struct head_views { /* of one tile and head */
    const real *q, *k, *v, *out, *d_out, *lse;
    real *dq, *dk, *dv;
};

static void tile_backward(struct cpu *cpu, const struct layout *l,
                          const struct attn_plans *pl, const struct head_views *h,
                          bool first)
{
    int thread = omp_get_thread_num(), start = pl->keys - pl->queries;
    real *p = cpu->scratch + (size_t)thread * cpu->scratch_each;
    real *ds = p + (size_t)ATTN_TILE * (size_t)l->context;
    real scale = (real)(1.0 / sqrt((double)l->hd));
    gemm_run(cpu->gemm, pl->scores, thread, h->q, h->k, NULL, p);
    gemm_run(cpu->gemm, pl->d_out, thread, h->d_out, h->v, NULL, ds);
    for (int i = 0; i < pl->queries; i++) {
        size_t at = (size_t)i * (size_t)l->context, seen = (size_t)(start + i + 1);
        size_t o = (size_t)i * (size_t)l->ld_out, rest = (size_t)pl->keys - seen;
        real d = (real)cpu->k->dot(h->out + o, h->d_out + o, (size_t)l->hd);
        cpu->k->exp_known(p + at, seen, scale, h->lse[(size_t)i * (size_t)l->heads]);
        cpu->k->softmax_backward(ds + at, p + at, seen, d, scale);
        memset(p + at + seen, 0, rest * sizeof(real));
        memset(ds + at + seen, 0, rest * sizeof(real));
    }
    gemm_run(cpu->gemm, pl->d_query, thread, ds, h->k, NULL, h->dq);
    gemm_run(cpu->gemm, first ? pl->d_key_first : pl->d_key, thread, ds, h->q, NULL, h->dk);
    gemm_run(cpu->gemm, first ? pl->d_value_first : pl->d_value, thread, p, h->d_out, NULL,
             h->dv);
}

void cpu_attention_backward(struct backend *be, const struct exec *x,
                            const struct node *node)
{
    struct cpu *cpu = cpu_of(be);
    const struct graph *g = be->graph;
    const struct node_plan *plan = cpu_plan(cpu, node);
    struct layout l = layout_of(g);
    const real *in = cpu_value(cpu, node->in[0]), *out = cpu_value(cpu, node->out[0]);
    const real *lse = cpu_value(cpu, node->out[1]), *d_out = cpu_grad(cpu, node->out[0]);
    real *d_in = cpu_grad(cpu, node->in[0]);
    (void)x;

    /* Tiles run from the last, which sees every key and so assigns the keys'
     * gradients, to the first; the order of the sum is fixed. */
#pragma omp parallel for schedule(dynamic, 1) num_threads(cpu->threads)
    for (int task = 0; task < g->batch * l.groups; task++) {
        int group = task % l.groups, b = task / l.groups;
        size_t row = (size_t)b * (size_t)l.context, base = row * (size_t)l.ld;
        size_t key = base + (size_t)((l.heads + group) * l.hd);
        size_t value = key + (size_t)(l.groups * l.hd);
        for (int h = 0; h < l.per_group; h++)
            for (int t = plan->attn_count - 1; t >= 0; t--) {
                size_t head = (size_t)(group * l.per_group + h) * (size_t)l.hd;
                size_t from = row + (size_t)t * ATTN_TILE;
                size_t q = from * (size_t)l.ld + head, o = from * (size_t)l.ld_out + head;
                struct head_views views = {.q = in + q,
                                           .k = in + key,
                                           .v = in + value,
                                           .out = out + o,
                                           .d_out = d_out + o,
                                           .lse = lse + from * (size_t)l.heads +
                                                  head / (size_t)l.hd,
                                           .dq = d_in + q,
                                           .dk = d_in + key,
                                           .dv = d_in + value};
                tile_backward(cpu, &l, &plan->attn[t], &views,
                              h == 0 && t == plan->attn_count - 1);
            }
    }
}

/* --- rotary positions ------------------------------------------------------ */

void cpu_rope_init(struct cpu *cpu, double theta)
{
    const struct graph *g = cpu->base.graph;
    size_t hd = shape_head_width(&g->shape), half = hd / 2;
    for (int t = 0; t < g->context; t++)
        for (size_t i = 0; i < half; i++) {
            double angle = t * pow(theta, -2.0 * (double)i / (double)hd);
            cpu->rope[(size_t)t * hd + i] = (real)cos(angle);
            cpu->rope[(size_t)t * hd + half + i] = (real)sin(angle);
        }
}

/* Pairs (i, i + half) of each query and key head turn by the position's angle,
 * LLaMA's layout; sign -1 turns back, which is the gradient. */
static void rope(struct cpu *cpu, real *rows, real sign)
{
    const struct graph *g = cpu->base.graph;
    struct layout l = layout_of(g);
    size_t half = (size_t)l.hd / 2;
#pragma omp parallel for schedule(static) num_threads(cpu->threads)
    for (int r = 0; r < g->rows; r++) {
        const real *cosine = cpu->rope + (size_t)(r % l.context) * (size_t)l.hd;
        const real *sine = cosine + half;
        for (int h = 0; h < l.heads + l.groups; h++) {
            real *a = rows + (size_t)r * (size_t)l.ld + (size_t)h * (size_t)l.hd;
            real *b = a + half;
            for (size_t i = 0; i < half; i++) {
                real u = a[i], w = b[i], s = sign * sine[i];
                a[i] = u * cosine[i] - w * s;
                b[i] = w * cosine[i] + u * s;
            }
        }
    }
}

void cpu_rope_forward(struct backend *be, const struct exec *x, const struct node *node)
{
    (void)x;
    rope(cpu_of(be), cpu_value(cpu_of(be), node->out[0]), 1);
}

void cpu_rope_backward(struct backend *be, const struct exec *x, const struct node *node)
{
    (void)x;
    rope(cpu_of(be), cpu_grad(cpu_of(be), node->out[0]), -1);
}
