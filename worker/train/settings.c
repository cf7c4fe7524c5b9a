/* SPDX-License-Identifier: Apache-2.0
 *
 * To add an option: its field in settings.h and one row here; when it changes
 * the weights of a run, its name in IDENTITY.
 */
#include "train/settings.h"

#include "command.h"
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define AT(field) offsetof(struct settings, field)
#define INT(name, field, min, max, def, help)                                   \
    {name, OPTION_INT, AT(field), min, max, def, NULL, help}
#define REAL(name, field, min, max, def, help)                                  \
    {name, OPTION_REAL, AT(field), min, max, def, NULL, help}
#define BOOL(name, field, def, help)                                            \
    {name, OPTION_BOOL, AT(field), 0, 0, def, NULL, help}
#define TEXT(name, field, def, help)                                            \
    {name, OPTION_TEXT, AT(field), 0, 0, def, NULL, help}
#define CHOICE(name, field, choices, def, help)                                 \
    {name, OPTION_CHOICE, AT(field), 0, 0, def, choices, help}

#define STEPS_MAX 1e12
#define BATCH_MAX (1 << 20)

static const struct option_row ROWS[] = {
    TEXT("data", data, "", "Token set, made by worker tokenize."),

    INT("layers", layers, 1, 1024, "6", "Transformer layers."),
    INT("heads", heads, 1, 1024, "6", "Attention heads; width is a multiple of it."),
    INT("kv-heads", kv_heads, 0, 1024, "0", "Key and value heads. 0: as many as heads."),
    INT("width", width, 2, 65536, "384", "Width of the residual stream."),
    INT("ffn", ffn, 0, 1 << 20, "0", "Width of the feed-forward layer. 0: 4 width."),
    INT("context", context, 2, SHAPE_CONTEXT_MAX, "256", "Tokens of a sequence."),
    CHOICE("positions", positions, "learned|rope", "rope", "Where positions come from."),
    CHOICE("norm", norm, "layer|rms", "rms", "Kind of normalisation."),
    BOOL("bias", bias, "false", "Linear layers and layer norms have biases."),
    BOOL("tied", tied, "true", "The output layer is the token embedding."),
    REAL("rope-theta", rope_theta, 1, 1e9, "10000", "Base of the rotary angles."),
    REAL("norm-eps", norm_eps, 1e-12, 1, "1e-5", "Added to variances before the root."),

    INT("batch", batch, 1, BATCH_MAX, "32", "Sequences of a step, over all ranks."),
    INT("shards", shards, 1, 1 << 16, "8",
        "Parts of a step's batch, a power of two and a multiple of the ranks. It decides "
        "the order of sums; the number of ranks does not."),
    INT("accumulate", accumulate, 1, 1 << 12, "1",
        "Micro-batches of a shard, a power of two. More need less memory."),

    INT("steps", steps, 1, STEPS_MAX, "1000", "Steps of the run and of its schedule."),
    INT("stop", stop, 0, STEPS_MAX, "0",
        "Stop after this step, with a checkpoint; the schedule goes on to steps. 0: steps."),
    INT("warmup", warmup, 0, STEPS_MAX, "100", "Steps in which the rate rises from 0."),
    REAL("lr", lr, 0, 1e6, "1e-3", "Highest learning rate."),
    REAL("lr-min", lr_min, 0, 1e6, "1e-4", "Learning rate at the last step."),
    REAL("beta1", beta1, 0, 0.9999999, "0.9", "Decay of AdamW's first moment."),
    REAL("beta2", beta2, 0, 0.9999999, "0.95", "Decay of AdamW's second moment."),
    REAL("eps", eps, 1e-16, 1, "1e-8", "Added to the root of the second moment."),
    REAL("weight-decay", weight_decay, 0, 10, "0.1", "Decay of matrices."),
    REAL("clip", clip, 0, 1e9, "1", "Largest norm of a step's gradient. 0: no limit."),
    INT("seed", seed, 0, 9007199254740992.0, "1", "Decides weights, order and split."),

    REAL("validation", validation, 0, 0.5, "0.02", "Part of the data set aside."),
    INT("validation-every", validation_every, 0, STEPS_MAX, "100",
        "Steps between validations. 0: only at the end."),
    INT("validation-max", validation_max, 1, 1 << 20, "256",
        "Sequences of a validation at most."),

    TEXT("checkpoint-dir", checkpoint_dir, "checkpoints",
         "Folder of checkpoints. \"\": none are written."),
    INT("checkpoint-every", checkpoint_every, 0, STEPS_MAX, "200",
        "Steps between checkpoints. 0: only at the end and on a signal."),
    INT("keep", keep, 1, 1 << 20, "2", "Checkpoints that are kept."),
    TEXT("resume", resume, "",
         "auto: go on from the newest good checkpoint of checkpoint-dir, or begin when it "
         "has none; else a checkpoint file."),

    INT("log-every", log_every, 1, STEPS_MAX, "10", "Steps between progress lines."),
    TEXT("metrics", metrics, "", "File to which each step is appended as a JSON line."),

    INT("threads", threads, 0, 4096, "0",
        "Threads of a rank. 0: OMP_NUM_THREADS, SLURM_CPUS_PER_TASK, or its share of the "
        "processors that it may use."),
    CHOICE("device", device, "cpu|cuda", "cpu", "What computes."),
    TEXT("kernels", kernels, "", "base, avx2 or avx512. None: the best of the processor."),
    INT("block", block, 0, 64, "0",
        "Most ranks of a node that share gradients in memory. 0: all; 1: messages only."),
};

const struct option_table settings_table = {
    .command = "pretrain",
    .arguments = "",
    .about = "Trains a decoder-only transformer on a token set. Start it with\n"
             "srun --mpi=pmix or mpirun; 1, 2 or more ranks give the same weights, bit by "
             "bit.",
    .after = "SIGTERM or SIGUSR1: the step is finished, a checkpoint written, and the exit\n"
             "code is 75: requeue with --resume auto to go on. 0: done, 1: an error, 2: wrong\n"
             "options, 3: the loss or the gradient is not finite.\n",
    .rows = ROWS,
    .count = sizeof(ROWS) / sizeof(ROWS[0]),
};

static const char *const IDENTITY[] = {
    "layers", "heads",  "kv-heads", "width",   "ffn",      "context", "positions",
    "norm",   "bias",   "tied",     "batch",   "shards",   "accumulate", "rope-theta",
    "norm-eps", "seed", "validation",
};

json_t *settings_identity(const struct settings *s, const struct tokenset *ts)
{
    json_t *all = options_json(&settings_table, s), *o = json_object();
    for (size_t i = 0; i < sizeof(IDENTITY) / sizeof(IDENTITY[0]); i++)
        json_object_set(o, IDENTITY[i], json_object_get(all, IDENTITY[i]));
    json_object_set_new(o, "data digest", json_string(ts->digest));
    json_decref(all);
    return o;
}

const char *settings_device(const struct settings *s)
{
    return s->device == 0 ? "cpu" : "cuda";
}

static bool power_of_two(int64_t x)
{
    return x > 0 && (x & (x - 1)) == 0;
}

int settings_check(struct settings *s, struct err *err)
{
    if (!*s->data)
        return err_set(err, -EINVAL, "--data FILE is missing");
    if (!power_of_two(s->shards))
        return err_set(err, -EINVAL, "shards: %" PRId64 " is not a power of two", s->shards);
    if (!power_of_two(s->accumulate))
        return err_set(err, -EINVAL, "accumulate: %" PRId64 " is not a power of two",
                       s->accumulate);
    if (s->batch % (s->shards * s->accumulate) != 0)
        return err_set(err, -EINVAL,
                       "batch %" PRId64 " is not a multiple of shards x accumulate = %d",
                       s->batch, settings_leaves(s));
    if (s->batch / settings_leaves(s) * s->context > INT32_MAX / 2)
        return err_set(err, -EINVAL, "a micro-batch of %" PRId64 " x %" PRId64
                       " tokens is too large: raise accumulate",
                       s->batch / settings_leaves(s), s->context);
    if (s->stop == 0)
        s->stop = s->steps;
    if (s->stop > s->steps)
        return err_set(err, -EINVAL, "stop %" PRId64 " is after the last of %" PRId64
                       " steps", s->stop, s->steps);
    if (s->lr_min > s->lr)
        return err_set(err, -EINVAL, "lr-min %g is above lr %g", s->lr_min, s->lr);
    if (strcmp(s->resume, "auto") == 0 && !*s->checkpoint_dir)
        return err_set(err, -EINVAL, "resume auto needs a checkpoint-dir");
    struct shape shape;
    settings_shape(s, VOCAB_MIN, &shape);
    return shape_check(&shape, err);
}

int settings_check_ranks(const struct settings *s, int ranks, struct err *err)
{
    if (s->shards % ranks == 0)
        return 0;
    return err_set(err, -EINVAL,
                   "%d ranks cannot share %" PRId64
                   " shards evenly: use a power of two of ranks, or more shards",
                   ranks, s->shards);
}

void settings_shape(const struct settings *s, uint32_t vocab, struct shape *shape)
{
    *shape = (struct shape){.layers = (int)s->layers,
                            .heads = (int)s->heads,
                            .kv_heads = (int)s->kv_heads,
                            .width = (int)s->width,
                            .ffn = (int)s->ffn,
                            .context = (int)s->context,
                            .vocab = (int)vocab,
                            .positions = (enum positions)s->positions,
                            .norm = (enum norm_kind)s->norm,
                            .bias = s->bias,
                            .tied = s->tied,
                            .rope_theta = s->rope_theta,
                            .norm_eps = s->norm_eps};
}
