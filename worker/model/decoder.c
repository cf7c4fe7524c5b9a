/* SPDX-License-Identifier: Apache-2.0
 *
 * decoder: the graph of a decoder-only transformer.
 *
 *   x = embed(tokens)
 *   per layer   n = norm(x)            x' = x + project(attention(qkv(n)))
 *               m = norm(x')           x  = x' + down(act(up(m)))
 *   loss(norm(x))
 *
 * A residual addition is fused into the norm that follows it, so the residual
 * stream is one chain of values: x_k = x_(k-1) + p_k. All gradients of that
 * chain (and of the p_k) share one buffer, which each norm's backward updates
 * in place.
 */
#include "model/graph.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#define INIT_STD 0.02

struct builder {
    struct graph *g;
    int layer;       /* -1 outside the layers */
    int stream;      /* newest value of the residual stream */
    int pending;     /* its not yet added term, or GRAPH_NONE */
    int stream_grad; /* the value whose gradient buffer the stream shares */
};

static const char *name_in(const struct builder *b, char *buf, size_t size,
                           const char *name)
{
    if (b->layer < 0)
        snprintf(buf, size, "%s", name);
    else
        snprintf(buf, size, "h%d.%s", b->layer, name);
    return buf;
}

static int value(struct builder *b, const char *name, int cols, bool has_grad)
{
    char buf[TENSOR_NAME_MAX];
    return graph_value(b->g, name_in(b, buf, sizeof(buf), name), b->g->rows, cols,
                       has_grad);
}

static int param(struct builder *b, const char *name, const char *part, int rows, int cols,
                 enum param_init init, double std)
{
    char suffixed[TENSOR_NAME_MAX], buf[TENSOR_NAME_MAX + 16];
    snprintf(suffixed, sizeof(suffixed), "%s.%s", name, part);
    return graph_param(b->g, name_in(b, buf, sizeof(buf), suffixed), rows, cols, rows > 1,
                       init, std);
}

static struct node node_named(const struct builder *b, enum op op, const char *name)
{
    struct node n = {.op = op,
                     .in = {GRAPH_NONE, GRAPH_NONE},
                     .out = {GRAPH_NONE, GRAPH_NONE, GRAPH_NONE},
                     .param = {GRAPH_NONE, GRAPH_NONE}};
    name_in(b, n.name, sizeof(n.name), name);
    return n;
}

/* Adds the pending term to the stream and normalises; returns the result. */
static int norm(struct builder *b, const char *name, bool last)
{
    struct graph *g = b->g;
    const struct shape *s = &g->shape;
    char stream_name[TENSOR_NAME_MAX];
    snprintf(stream_name, sizeof(stream_name), "%.40s.x", name);
    struct node n = node_named(b, OP_NORM, name);
    n.norm = s->norm;
    n.eps = s->norm_eps;
    n.in[0] = b->stream;
    n.in[1] = b->pending;
    /* Nothing reads the last stream value but the norm itself: no gradient
     * comes from above. */
    n.out[0] = value(b, stream_name, s->width, !last);
    if (b->pending == GRAPH_NONE)
        g->values[n.out[0]].alias = b->stream;
    if (!last)
        g->values[n.out[0]].grad_alias = b->stream_grad;
    n.out[1] = value(b, name, s->width, true);
    n.out[2] = value(b, "stats", 2, false);
    n.param[0] = param(b, name, "weight", 1, s->width, INIT_ONE, 0);
    if (s->norm == NORM_LAYER && s->bias)
        n.param[1] = param(b, name, "bias", 1, s->width, INIT_ZERO, 0);
    b->stream = n.out[0];
    b->pending = GRAPH_NONE;
    graph_node(g, n);
    return n.out[1];
}

static int linear(struct builder *b, const char *name, int in, int cols, double std,
                  enum activation act)
{
    struct graph *g = b->g;
    struct node n = node_named(b, OP_LINEAR, name);
    n.in[0] = in;
    n.activation = act;
    n.param[0] = param(b, name, "weight", cols, g->values[in].cols, INIT_NORMAL, std);
    if (g->shape.bias)
        n.param[1] = param(b, name, "bias", 1, cols, INIT_ZERO, 0);
    n.out[0] = value(b, name, cols, true);
    int out = n.out[0];
    if (act != ACT_NONE) {
        char buf[TENSOR_NAME_MAX];
        snprintf(buf, sizeof(buf), "%.40s.act", name);
        out = n.out[1] = value(b, buf, cols, true);
        /* d(pre-activation) overwrites d(activation) element by element. */
        g->values[n.out[0]].grad_alias = out;
    }
    graph_node(g, n);
    return out;
}

static int attention(struct builder *b, int in)
{
    struct graph *g = b->g;
    const struct shape *s = &g->shape;
    int hd = (int)shape_head_width(s);
    int qkv = linear(b, "attn.qkv", in, s->width + 2 * s->kv_heads * hd, INIT_STD, ACT_NONE);
    if (s->positions == POSITIONS_ROPE) {
        struct node r = node_named(b, OP_ROPE, "attn.rope");
        r.theta = s->rope_theta;
        r.in[0] = qkv;
        r.out[0] = value(b, "attn.rope", g->values[qkv].cols, true);
        g->values[r.out[0]].alias = qkv;
        g->values[r.out[0]].grad_alias = qkv;
        qkv = r.out[0];
        graph_node(g, r);
    }
    struct node n = node_named(b, OP_ATTENTION, "attn");
    n.in[0] = qkv;
    n.out[0] = value(b, "attn", s->width, true);
    n.out[1] = value(b, "attn.lse", s->heads, false);
    graph_node(g, n);
    return n.out[0];
}

static void residual(struct builder *b, int term)
{
    b->pending = term;
    b->g->values[term].grad_alias = b->stream_grad;
}

static void layer(struct builder *b)
{
    const struct shape *s = &b->g->shape;
    /* GPT-2's rule: projections into the residual stream start smaller by the
     * square root of their number. */
    double std = INIT_STD / sqrt(2.0 * s->layers);
    int n = norm(b, "norm1", false);
    residual(b, linear(b, "attn.proj", attention(b, n), s->width, std, ACT_NONE));
    n = norm(b, "norm2", false);
    int up = linear(b, "mlp.up", n, s->ffn, INIT_STD, ACT_GELU);
    residual(b, linear(b, "mlp.down", up, s->width, std, ACT_NONE));
}

struct graph *decoder_create(const struct shape *shape, int batch)
{
    struct graph *g = graph_create(shape, batch, shape->context);
    struct builder b = {.g = g, .layer = -1, .pending = GRAPH_NONE};
    struct node e = node_named(&b, OP_EMBED, "embed");
    int wte = e.param[0] = param(&b, "embed.tokens", "weight", shape->vocab, shape->width,
                                 INIT_NORMAL, INIT_STD);
    if (shape->positions == POSITIONS_LEARNED)
        e.param[1] = param(&b, "embed.positions", "weight", shape->context, shape->width,
                           INIT_NORMAL, INIT_STD);
    e.out[0] = b.stream = b.stream_grad = value(&b, "embed", shape->width, true);
    graph_node(g, e);
    for (b.layer = 0; b.layer < shape->layers; b.layer++)
        layer(&b);
    b.layer = -1;
    struct node l = node_named(&b, OP_LOSS, "loss");
    l.in[0] = norm(&b, "norm_final", true);
    l.param[0] = wte;
    if (!shape->tied)
        l.param[0] = param(&b, "head", "weight", shape->vocab, shape->width, INIT_NORMAL,
                           INIT_STD);
    l.out[0] = value(&b, "loss", 1, false);
    graph_node(g, l);
    graph_plan(g);
    return g;
}
