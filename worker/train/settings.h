/* SPDX-License-Identifier: Apache-2.0
 *
 * settings: what worker pretrain can be told, as plain values; the table of
 * rows is in settings.c.
 */
#ifndef WORKER_TRAIN_SETTINGS_H
#define WORKER_TRAIN_SETTINGS_H

#include "data/tokenset.h"
#include "model/shape.h"
#include "options.h"
#include <jansson.h>

struct settings {
    char *data;
    int64_t layers, heads, kv_heads, width, ffn, context;
    int positions, norm;
    bool bias, tied;
    double rope_theta, norm_eps;
    int64_t batch, shards, accumulate;
    int64_t steps, stop, warmup;
    double lr, lr_min, beta1, beta2, eps, weight_decay, clip;
    int64_t seed;
    double validation;
    int64_t validation_every, validation_max;
    char *checkpoint_dir, *resume;
    int64_t checkpoint_every, keep;
    char *metrics;
    int64_t log_every;
    int64_t threads, block;
    int device;
    char *kernels;
};

extern const struct option_table settings_table;
/* What no single row can tell. */
int settings_check(struct settings *s, struct err *err);
/* Needs the number of ranks. */
int settings_check_ranks(const struct settings *s, int ranks, struct err *err);
void settings_shape(const struct settings *s, uint32_t vocab, struct shape *shape);
/* Micro-batches of a step. */
static inline int settings_leaves(const struct settings *s)
{
    return (int)(s->shards * s->accumulate);
}
/* What decides every bit of a run's weights up to the learning rate: a
 * checkpoint goes on only under the same values. */
json_t *settings_identity(const struct settings *s, const struct tokenset *ts);
const char *settings_device(const struct settings *s);

#endif
