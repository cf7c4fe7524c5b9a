/* SPDX-License-Identifier: Apache-2.0
 *
 * cpu: the inside of the CPU backend, shared by its files only.
 *
 * Work is divided into tasks whose size depends on shapes alone; threads take
 * tasks dynamically. A task writes its own part of the result and sums in a
 * fixed order, hence 1, 2 or 64 threads give the same bits.
 */
#ifndef WORKER_BACKEND_CPU_H
#define WORKER_BACKEND_CPU_H

#include "backend/backend.h"
#include "backend/gemm.h"
#include "memory.h"

/* A product cut into tiles of rows of its result. */
struct tiles {
    int rows; /* in all */
    int size; /* of a tile; the last may be smaller */
    int count;
    int plan, plan_tail;
};

#define ATTN_TILE 64 /* queries handled together */

struct attn_plans { /* of one tile of queries: it sees keys 0 .. keys-1 */
    int queries, keys;
    int scores, out;                                       /* S = Q K^T, O = P V */
    int d_out, d_query, d_key, d_value;                    /* d_out: dP = dO V^T */
    int d_key_first, d_value_first;                        /* assign, not add */
};

struct node_plan {
    struct tiles forward, d_in, d_weight;
    struct tiles d_weight_first, d_weight_tail, d_weight_tail_first; /* OP_LOSS */
    struct attn_plans *attn; /* [attn_count] */
    int attn_count;
};

struct cpu {
    struct backend base;
    const struct kernels *k;
    struct gemm *gemm;
    int threads;
    struct memory mem;
    real *act;
    real *scratch;       /* threads * scratch_each */
    size_t scratch_each; /* elements */
    real *logits;        /* loss_chunk * vocab */
    int loss_chunk;      /* rows */
    real *rope;          /* [context][head_width]: cos, sin pairs; NULL without RoPE */
    struct node_plan *plans; /* [nodes_count] */
};

static inline struct cpu *cpu_of(struct backend *be)
{
    return (struct cpu *)be;
}

static inline real *cpu_value(const struct cpu *cpu, int v)
{
    return cpu->act + cpu->base.graph->values[v].offset;
}

static inline real *cpu_grad(const struct cpu *cpu, int v)
{
    return cpu->act + cpu->base.graph->values[v].grad_offset;
}

static inline size_t cpu_offset(const struct cpu *cpu, int p)
{
    return cpu->base.graph->params[p].offset;
}

static inline const struct node_plan *cpu_plan(const struct cpu *cpu,
                                               const struct node *node)
{
    return &cpu->plans[node - cpu->base.graph->nodes];
}

/* Plans shape->m rows in tiles; shape->m is set per tile. */
int cpu_tiles_plan(struct cpu *cpu, struct tiles *t, struct gemm_shape shape,
                   struct err *err);
static inline int tile_rows(const struct tiles *t, int i)
{
    return i == t->count - 1 ? t->rows - i * t->size : t->size;
}
static inline int tile_plan(const struct tiles *t, int i)
{
    return tile_rows(t, i) == t->size ? t->plan : t->plan_tail;
}

/* cpu_attention.c */
int cpu_attention_plan(struct cpu *cpu, const struct node *node, struct err *err);
size_t cpu_attention_scratch(const struct graph *g); /* elements per thread */
void cpu_attention_forward(struct backend *be, const struct exec *x,
                           const struct node *node);
void cpu_attention_backward(struct backend *be, const struct exec *x,
                            const struct node *node);
void cpu_rope_init(struct cpu *cpu, double theta);
void cpu_rope_forward(struct backend *be, const struct exec *x, const struct node *node);
void cpu_rope_backward(struct backend *be, const struct exec *x, const struct node *node);

/* cpu_linear.c */
int cpu_linear_plan(struct cpu *cpu, const struct node *node, struct err *err);
void cpu_linear_forward(struct backend *be, const struct exec *x, const struct node *node);
void cpu_linear_backward(struct backend *be, const struct exec *x,
                         const struct node *node);
int cpu_loss_plan(struct cpu *cpu, const struct node *node, struct err *err);
void cpu_loss_forward(struct backend *be, const struct exec *x, const struct node *node);
void cpu_loss_backward(struct backend *be, const struct exec *x, const struct node *node);

#endif
