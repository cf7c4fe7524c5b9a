/* SPDX-License-Identifier: Apache-2.0
 *
 * shape: what a decoder-only transformer is made of, as a table of options.
 *
 * A family (GPT-2, LLaMA, Qwen ...) is a set of values of these options and
 * nothing else; model/decoder.c turns a shape into a graph. Values outside a
 * row's range, and combinations that cannot work, are errors of shape_check().
 */
#ifndef WORKER_MODEL_SHAPE_H
#define WORKER_MODEL_SHAPE_H

#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum positions { POSITIONS_LEARNED, POSITIONS_ROPE };
enum norm_kind { NORM_LAYER, NORM_RMS };
enum activation { ACT_NONE, ACT_GELU };

#define SHAPE_VOCAB_MAX (1 << 22)
#define SHAPE_CONTEXT_MAX (1 << 20)

struct shape {
    int layers;
    int heads;
    int kv_heads; /* 0: as many as heads */
    int width;
    int ffn;      /* 0: 4 * width */
    int context;
    int vocab;
    enum positions positions;
    enum norm_kind norm;
    bool bias;    /* of the linear layers and, with NORM_LAYER, of the norms */
    bool tied;    /* the head uses the token embedding */
    double rope_theta;
    double norm_eps;
};

/* Fills the values that 0 leaves open and checks the rest. */
int shape_check(struct shape *shape, struct err *err);
size_t shape_head_width(const struct shape *shape);
/* Forward + backward FLOP per token, full square attention counted
 * (6 (matrix parameters) + 12 L T C), the convention of most MFU figures. */
double shape_flop_per_token(const struct shape *shape);

#endif
