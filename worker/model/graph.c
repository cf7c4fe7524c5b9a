/* SPDX-License-Identifier: Apache-2.0 */
#include "model/graph.h"

#include "base/buf.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Places are multiples of 16 elements: one vector register, one cache line. */
#define PLACE_ALIGN 16

/* Which values the backward step of an operation reads: bit i for in[i], bit
 * 2 + i for out[i]. */
static const struct {
    const char *name;
    unsigned backward_reads;
} OPS[OP_COUNT] = {
    [OP_EMBED] = {"embed", 0},
    [OP_NORM] = {"norm", 1u << 2 | 1u << 4},
    [OP_LINEAR] = {"linear", 1u << 0 | 1u << 2},
    [OP_ROPE] = {"rope", 0},
    [OP_ATTENTION] = {"attention", 1u << 0 | 1u << 2 | 1u << 3},
    [OP_LOSS] = {"loss", 1u << 0 | 1u << 2},
};

const char *op_name(enum op op)
{
    return OPS[op].name;
}

struct graph *graph_create(const struct shape *shape, int batch, int context)
{
    struct graph *g = xcalloc(1, sizeof(*g));
    g->shape = *shape;
    g->batch = batch;
    g->context = context;
    g->rows = batch * context;
    return g;
}

void graph_destroy(struct graph *g)
{
    if (!g)
        return;
    free(g->params);
    free(g->values);
    free(g->nodes);
    free(g);
}

int graph_param(struct graph *g, const char *name, int rows, int cols, bool decay,
                enum param_init init, double std)
{
    int i = g->params_count++;
    g->params = xrealloc(g->params, (size_t)g->params_count * sizeof(*g->params));
    struct param *p = &g->params[i];
    *p = (struct param){
        .rows = rows, .cols = cols, .decay = decay, .init = init, .init_std = std};
    snprintf(p->name, sizeof(p->name), "%s", name);
    return i;
}

int graph_value(struct graph *g, const char *name, int rows, int cols, bool has_grad)
{
    int i = g->values_count++;
    g->values = xrealloc(g->values, (size_t)g->values_count * sizeof(*g->values));
    struct value *v = &g->values[i];
    *v = (struct value){.rows = rows,
                        .cols = cols,
                        .alias = GRAPH_NONE,
                        .has_grad = has_grad,
                        .grad_alias = GRAPH_NONE};
    snprintf(v->name, sizeof(v->name), "%s", name);
    return i;
}

int graph_node(struct graph *g, struct node node)
{
    int i = g->nodes_count++;
    g->nodes = xrealloc(g->nodes, (size_t)g->nodes_count * sizeof(*g->nodes));
    g->nodes[i] = node;
    return i;
}

int graph_find_param(const struct graph *g, const char *name)
{
    for (int i = 0; i < g->params_count; i++)
        if (strcmp(g->params[i].name, name) == 0)
            return i;
    return GRAPH_NONE;
}

/* Decayed parameters come first, so that weight decay is a prefix of the flat
 * buffer and the optimizer needs no per-element flag. */
static void params_place(struct graph *g)
{
    size_t at = 0;
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < g->params_count; i++) {
            struct param *p = &g->params[i];
            if (p->decay != (pass == 0))
                continue;
            p->offset = at;
            g->param_total += param_count(p);
            at += (param_count(p) + PLACE_ALIGN - 1) / PLACE_ALIGN * PLACE_ALIGN;
        }
    g->flat_count = (at + SUM_CHUNK - 1) / SUM_CHUNK * SUM_CHUNK;
}

/* The first node in backward order that touches a parameter assigns its
 * gradient; later ones add. */
static void params_accumulate(struct graph *g)
{
    bool *seen = xcalloc((size_t)g->params_count, sizeof(*seen));
    for (int i = g->nodes_count - 1; i >= 0; i--)
        for (int k = 0; k < 2; k++) {
            int p = g->nodes[i].param[k];
            if (p == GRAPH_NONE)
                continue;
            g->nodes[i].accumulate[k] = seen[p];
            seen[p] = true;
        }
    free(seen);
}

struct place { /* one buffer: a value or a gradient, with all its aliases */
    int birth, death; /* first and last time it is needed, inclusive */
    size_t count, offset;
};

static int value_root(const struct graph *g, int v)
{
    while (g->values[v].alias != GRAPH_NONE)
        v = g->values[v].alias;
    return v;
}

static int grad_root(const struct graph *g, int v)
{
    while (g->values[v].grad_alias != GRAPH_NONE)
        v = g->values[v].grad_alias;
    return v;
}

static void place_touch(struct place *p, int time)
{
    if (p->birth < 0 || time < p->birth)
        p->birth = time;
    if (time > p->death)
        p->death = time;
}

static unsigned node_backward_reads(const struct node *node)
{
    unsigned reads = OPS[node->op].backward_reads;
    if (node->op == OP_LINEAR && node->activation == ACT_NONE)
        reads &= ~(1u << 2); /* only an activation looks at the sums again */
    return reads;
}

static void lifetimes(const struct graph *g, struct place *values, struct place *grads)
{
    int n = g->nodes_count;
    for (int i = 0; i < n; i++) {
        const struct node *node = &g->nodes[i];
        int back = 2 * n - 1 - i;
        for (int k = 0; k < 5; k++) {
            int v = k < 2 ? node->in[k] : node->out[k - 2];
            if (v == GRAPH_NONE)
                continue;
            place_touch(&values[value_root(g, v)], i);
            if (node_backward_reads(node) & 1u << k)
                place_touch(&values[value_root(g, v)], back);
            if (g->values[v].has_grad)
                place_touch(&grads[grad_root(g, v)], back);
        }
    }
    /* The losses are read after the run. */
    const struct node *last = &g->nodes[n - 1];
    if (last->op == OP_LOSS)
        place_touch(&values[value_root(g, last->out[0])], 2 * n - 1);
}

static int place_compare(const void *a, const void *b)
{
    const struct place *const *pa = a, *const *pb = b;
    if ((*pa)->count != (*pb)->count)
        return (*pa)->count < (*pb)->count ? 1 : -1;
    return (*pa)->birth - (*pb)->birth;
}

/* Largest first, each at the lowest offset where nothing alive at the same
 * time overlaps. Quadratic in the number of buffers, a few hundred. */
static size_t places_fit(struct place **order, int count)
{
    size_t total = 0;
    for (int i = 0; i < count; i++) {
        struct place *p = order[i];
        bool moved = true;
        p->offset = 0;
        while (moved) {
            moved = false;
            for (int k = 0; k < i; k++) {
                const struct place *q = order[k];
                if (q->death < p->birth || p->death < q->birth ||
                    q->offset >= p->offset + p->count ||
                    p->offset >= q->offset + q->count)
                    continue;
                p->offset = q->offset + q->count;
                moved = true;
            }
        }
        if (p->offset + p->count > total)
            total = p->offset + p->count;
    }
    return total;
}

void graph_plan(struct graph *g)
{
    params_place(g);
    params_accumulate(g);
    int n = g->values_count, count = 0;
    struct place *places = xcalloc(2 * (size_t)n, sizeof(*places));
    struct place **order = xcalloc(2 * (size_t)n, sizeof(struct place *));
    struct place *values = places, *grads = places + n;
    for (int i = 0; i < 2 * n; i++)
        places[i].birth = places[i].death = -1;
    lifetimes(g, values, grads);
    for (int i = 0; i < 2 * n; i++) {
        const struct value *v = &g->values[i % n];
        size_t size = (size_t)v->rows * (size_t)v->cols;
        places[i].count = (size + PLACE_ALIGN - 1) / PLACE_ALIGN * PLACE_ALIGN;
        if (places[i].birth >= 0)
            order[count++] = &places[i];
    }
    qsort(order, (size_t)count, sizeof(struct place *), place_compare);
    g->act_count = places_fit(order, count);
    for (int i = 0; i < n; i++) {
        g->values[i].offset = values[value_root(g, i)].offset;
        g->values[i].grad_offset = grads[grad_root(g, i)].offset;
    }
    free(order);
    free(places);
}
