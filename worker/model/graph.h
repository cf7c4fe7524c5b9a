/* SPDX-License-Identifier: Apache-2.0
 *
 * graph: a model as a list of named operations over named tensors.
 *
 * A graph is built once per run for one micro-batch shape. It knows
 *   - parameters: logical tensors at fixed places of one flat buffer (the same
 *     places hold gradients and optimizer state in buffers of the same size);
 *   - values: activations, each produced by one node and read by later ones;
 *     a value that carries a gradient has exactly one consumer that writes it,
 *     so that no backward step needs to accumulate into activations;
 *   - nodes in execution order; backward runs them in reverse.
 * graph_plan() gives values and their gradients places in one activation
 * buffer, reusing the place of what is no longer needed:
 *
 *   time   0 .. n-1 forward of node i        n .. 2n-1 backward of node 2n-1-t
 *
 * What each operation computes is in the table at the top of graph.c. The
 * graph executes nothing: backends (backend/backend.h) read it.
 */
#ifndef WORKER_MODEL_GRAPH_H
#define WORKER_MODEL_GRAPH_H

#include "base/err.h"
#include "model/shape.h"
#include "real.h"
#include <stdbool.h>

#define TENSOR_NAME_MAX 48
#define GRAPH_NONE (-1)

/*  X(symbol, name) */
#define OP_MAP(X)                                                               \
    X(OP_EMBED, "embed")         /* out = tokens[param0] (+ positions[param1]) */   \
    X(OP_NORM, "norm")           /* out0 = in0 (+ in1); out1 = norm(out0), stats out2 */ \
    X(OP_LINEAR, "linear")       /* out0 = in0 W^T + b; out1 = activation(out0) */  \
    X(OP_ROPE, "rope")           /* rotates queries and keys of in0 in place */     \
    X(OP_ATTENTION, "attention") /* causal; in0 = q|k|v rows; out1 = log-sum-exp */ \
    X(OP_LOSS, "loss")           /* head and cross-entropy; out0 = loss per row */

enum op {
#define X(sym, name) sym,
    OP_MAP(X)
#undef X
    OP_COUNT
};
const char *op_name(enum op op);

enum param_init { INIT_ZERO, INIT_ONE, INIT_NORMAL };

struct param {
    char name[TENSOR_NAME_MAX];
    int rows;      /* 1 for vectors */
    int cols;
    size_t offset; /* in the flat buffer */
    bool decay;    /* weight decay applies (matrices) */
    enum param_init init;
    double init_std;
};

static inline size_t param_count(const struct param *p)
{
    return (size_t)p->rows * (size_t)p->cols;
}

struct value {
    char name[TENSOR_NAME_MAX];
    int rows, cols;
    int alias;       /* shares the place of this value, or GRAPH_NONE */
    bool has_grad;
    int grad_alias;  /* the gradient shares the place of that value's gradient */
    size_t offset;      /* places in the activation buffer, set by graph_plan */
    size_t grad_offset;
};

struct node {
    enum op op;
    char name[TENSOR_NAME_MAX];
    int in[2];    /* values, GRAPH_NONE where absent */
    int out[3];
    int param[2]; /* weight, bias or GRAPH_NONE */
    bool accumulate[2]; /* backward adds to the parameter's gradient, else assigns */
    enum activation activation; /* OP_LINEAR */
    enum norm_kind norm;        /* OP_NORM */
    double eps;                 /* OP_NORM */
    double theta;               /* OP_ROPE */
};

struct graph {
    struct shape shape;
    int batch;   /* sequences of a micro-batch */
    int context; /* tokens of a sequence */
    int rows;    /* batch * context */
    struct param *params;
    int params_count;
    struct value *values;
    int values_count;
    struct node *nodes;
    int nodes_count;
    size_t flat_count;  /* elements of the parameter buffer, padding included */
    size_t param_total; /* elements without padding */
    size_t act_count;   /* elements of the activation buffer */
};

struct graph *graph_create(const struct shape *shape, int batch, int context);
void graph_destroy(struct graph *g);
/* Each returns the new index. Names are cut at TENSOR_NAME_MAX - 1. */
int graph_param(struct graph *g, const char *name, int rows, int cols, bool decay,
                enum param_init init, double std);
int graph_value(struct graph *g, const char *name, int rows, int cols, bool has_grad);
int graph_node(struct graph *g, struct node node);
/* Lays out parameters and activations; after it the graph does not change. */
void graph_plan(struct graph *g);
/* Index of the parameter, or GRAPH_NONE. */
int graph_find_param(const struct graph *g, const char *name);

/* model/decoder.c: the graph of a decoder-only transformer with its loss. */
struct graph *decoder_create(const struct shape *shape, int batch);

/* model/init.c: elements [begin, end) of the flat buffer, a pure function of
 * the seed; `flat` points at element 0. */
void params_init(const struct graph *g, uint64_t seed, real *flat, size_t begin,
                 size_t end);

#endif
