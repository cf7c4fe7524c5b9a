/* SPDX-License-Identifier: Apache-2.0 */
#include "train/train.h"

#include "base/buf.h"
#include "base/timefmt.h"
#include "command.h"
#include "train/place.h"
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- life ------------------------------------------------------------------------ */

static int open_data(struct train *t, struct err *err)
{
    const struct settings *set = t->set;
    int rc = tokenset_open(&t->tokens, set->data, err);
    if (rc < 0)
        return rc;
    rc = sampler_init(&t->sampler, (uint64_t)set->seed, t->tokens.count,
                      (uint64_t)set->context, set->validation, err);
    if (rc < 0)
        return err_prefix(err, "token set %s", set->data);
    settings_shape(set, t->tokens.vocab, &t->shape);
    t->identity = settings_identity(set, &t->tokens);
    return shape_check(&t->shape, err);
}

static int open_model(struct train *t, struct err *err)
{
    const struct settings *set = t->set;
    const struct backend_class *class = backend_find(settings_device(set), err);
    t->threads = set->threads ? (int)set->threads : place_threads(t->comm);
    if (!class)
        return err->code;
    t->graph = decoder_create(&t->shape, (int)(set->batch / settings_leaves(set)));
    t->backend = class->create(t->graph, t->threads, *set->kernels ? set->kernels : NULL, err);
    return t->backend ? 0 : err->code;
}

static void allocate(struct train *t)
{
    size_t rows = (size_t)t->graph->rows, leaves = (size_t)settings_leaves(t->set);
    t->window = xcalloc((size_t)t->graph->context + 1, sizeof(*t->window));
    t->inputs = xcalloc(rows, sizeof(*t->inputs));
    t->targets = xcalloc(rows, sizeof(*t->targets));
    t->weights = xcalloc(rows, sizeof(*t->weights));
    t->losses = xcalloc(rows, sizeof(*t->losses));
    t->sums = xcalloc(rows, sizeof(*t->sums));
    t->merged = xcalloc(leaves + 2, sizeof(*t->merged));
    for (size_t r = 0; r < rows; r++)
        t->weights[r] = (real)(1.0 / ((double)rows * (double)leaves));
}

static void describe(struct train *t)
{
    const struct comm *c = t->comm;
    char backend[160], mem[SIZE_TEXT_MAX];
    double peak = t->backend->class->peak(t->backend) * t->processors / t->threads;
    comm_merge(c, &peak, 1);
    t->report.peak = peak;
    t->report.flop_per_token = shape_flop_per_token(&t->shape);
    t->report.tokens_per_step = t->set->batch * t->set->context;
    t->report.log_every = t->set->log_every;
    t->report.last = t->set->stop;
    t->backend->class->describe(t->backend, backend, sizeof(backend));
    size_format_bytes(shards_bytes(t->shards), mem);
    report_line(&t->report, "ranks: %d in blocks of %d; each %s; peak %.1f GFLOP/s", c->ranks,
                c->block_ranks, backend, peak / 1e9);
    report_line(&t->report,
                "model: %zu parameters, %.1f MFLOP a token; state %s on this rank",
                t->graph->param_total, t->report.flop_per_token / 1e6, mem);
    report_line(&t->report,
                "data: %" PRIu64 " tokens, vocabulary %u; %" PRIu64
                " sequences to train, %" PRIu64 " to validate",
                t->tokens.count, t->tokens.vocab,
                t->sampler.windows - t->sampler.validation, t->sampler.validation);
    report_event(&t->report,
                 json_pack("{s:s, s:i, s:i, s:s, s:f, s:I, s:O}", "event", "start", "ranks",
                           c->ranks, "block", c->block_ranks, "backend", backend, "peak_flops",
                           peak, "parameters", (json_int_t)t->graph->param_total, "run",
                           t->identity));
}

int train_open(struct train *t, const struct settings *set, const struct comm *comm,
               struct err *err)
{
    *t = (struct train){.set = set,
                        .comm = comm,
                        .tokens = {.file = -1, .tokens = -1},
                        .schedule = {set->lr, set->lr_min, set->warmup, set->steps},
                        .saved = -1};
    int rc = report_open(&t->report, comm->rank == 0, set->metrics, err);
    if (rc == 0)
        rc = open_data(t, err);
    if (comm_agree(comm, rc, err) < 0)
        return err->code;
    rc = comm_agree(comm, open_model(t, err), err);
    if (rc < 0)
        return rc;
    allocate(t);
    t->shards = shards_create(t->graph, t->backend, comm, settings_leaves(set), err);
    if (!t->shards)
        return err->code;
    t->processors = place_processors(comm, t->threads);
    describe(t);
    return 0;
}

void train_close(struct train *t)
{
    shards_destroy(t->shards);
    if (t->backend)
        t->backend->class->destroy(t->backend);
    graph_destroy(t->graph);
    tokenset_close(&t->tokens);
    json_decref(t->identity);
    report_close(&t->report);
    free(t->window);
    free(t->inputs);
    free(t->targets);
    free(t->weights);
    free(t->losses);
    free(t->sums);
    free(t->merged);
}

/* --- a step ------------------------------------------------------------------------ */

int train_fill(struct train *t, int sequence, uint64_t token, struct err *err)
{
    size_t context = (size_t)t->graph->context, at = (size_t)sequence * context;
    int rc = tokenset_read(&t->tokens, token, context + 1, t->window, err);
    if (rc < 0)
        return rc;
    memcpy(t->inputs + at, t->window, context * sizeof(*t->inputs));
    memcpy(t->targets + at, t->window + 1, context * sizeof(*t->targets));
    return 0;
}

static double mean_loss(struct train *t)
{
    size_t rows = (size_t)t->graph->rows;
    t->backend->class->losses(t->backend, t->losses);
    for (size_t r = 0; r < rows; r++)
        t->sums[r] = (double)t->losses[r];
    return sum_pairs(t->sums, rows) / (double)rows;
}

/* The own micro-batches; their losses go to their places in merged. */
static int run_leaves(struct train *t, struct err *err)
{
    struct shards *s = t->shards;
    const struct batch batch = {t->inputs, t->targets, t->weights};
    uint64_t first = (uint64_t)t->step * (uint64_t)t->set->batch;
    int rc = 0;
    for (int i = 0; i < s->leaves_own; i++) {
        int leaf = t->comm->rank * s->leaves_own + i;
        for (int b = 0; b < t->graph->batch && rc == 0; b++) {
            uint64_t sample = first + (uint64_t)leaf * (uint64_t)t->graph->batch + (uint64_t)b;
            rc = train_fill(t, b, sampler_train(&t->sampler, sample), err);
        }
        shards_gradient(s, &batch); /* also when reading failed: others wait for us */
        t->merged[leaf] = mean_loss(t);
    }
    return rc;
}

static void update(struct train *t, double norm, double rate)
{
    const struct settings *set = t->set;
    double steps = (double)(t->step + 1);
    struct adamw h = {.lr = rate,
                      .beta1 = set->beta1,
                      .beta2 = set->beta2,
                      .eps = set->eps,
                      .weight_decay = set->weight_decay,
                      .correction1 = 1 - pow(set->beta1, steps),
                      .correction2 = 1 - pow(set->beta2, steps),
                      .grad_scale = set->clip > 0 && norm > set->clip ? set->clip / norm : 1};
    shards_update(t->shards, &h);
}

static int not_finite(struct train *t, const char *what, double value, struct err *err)
{
    char last[64] = "there is no checkpoint";
    if (t->saved >= 0)
        snprintf(last, sizeof(last), "the last checkpoint is of step %" PRId64, t->saved);
    return err_set(err, -EDOM,
                   "step %" PRId64 ": the %s is not finite (%g); nothing was changed by this "
                   "step, %s; a lower lr or a longer warmup may help",
                   t->step + 1, what, value, last);
}

/* 0, 1 when a rank was asked to stop, or negative. */
static int run_step(struct train *t, struct err *err)
{
    size_t leaves = (size_t)t->shards->leaves;
    double from = report_now();
    memset(t->merged, 0, (leaves + 2) * sizeof(*t->merged));
    int rc = run_leaves(t, err);
    t->merged[leaves] = place_asked_to_stop();
    t->merged[leaves + 1] = rc < 0;
    comm_merge(t->comm, t->merged, leaves + 2);
    if (t->merged[leaves + 1] > 0)
        return comm_agree(t->comm, rc, err);
    double loss = sum_pairs(t->merged, leaves) / (double)leaves;
    if (!isfinite(loss))
        return not_finite(t, "loss", loss, err);
    shards_sum(t->shards);
    double norm = shards_norm(t->shards), rate = schedule_rate(&t->schedule, t->step + 1);
    if (!isfinite(norm))
        return not_finite(t, "norm of the gradient", norm, err);
    update(t, norm, rate);
    t->step++;
    t->loss = loss;
    report_step(&t->report, &(struct report_step){.step = t->step,
                                                  .loss = loss,
                                                  .norm = norm,
                                                  .rate = rate,
                                                  .seconds = report_now() - from});
    return t->merged[leaves] > 0;
}

/* --- the run ------------------------------------------------------------------------ */

static bool due(int64_t step, int64_t every)
{
    return every > 0 && step % every == 0;
}

/* A checkpoint that fails in the middle of a run is told and tried again at the
 * next time: losing hours of training is worse. */
static int save_or_warn(struct train *t, struct err *err)
{
    int rc = train_save(t, err);
    if (rc < 0 && t->comm->rank == 0)
        fprintf(stderr, "worker pretrain: warning: %s; training goes on\n", err->text);
    return 0;
}

/* After the last step of this process: the checkpoint must succeed. */
static int finish(struct train *t, bool asked, struct err *err)
{
    int rc = *t->set->checkpoint_dir && t->saved != t->step ? train_save(t, err) : 0;
    if (rc < 0)
        return EXIT_ERROR;
    if (asked) {
        report_line(&t->report, "stopped by a signal after step %" PRId64 ": %s", t->step,
                    *t->set->checkpoint_dir ? "requeue to go on" : "nothing was saved");
        return EXIT_REQUEUE;
    }
    report_line(&t->report, "done: step %" PRId64 " of %" PRId64, t->step, t->set->steps);
    return EXIT_OK;
}

int train_run(struct train *t, struct err *err)
{
    const struct settings *set = t->set;
    int asked = 0;
    bool validated = false;
    report_start(&t->report, t->step);
    while (t->step < set->stop && !asked) {
        int rc = asked = run_step(t, err);
        if (rc < 0)
            return rc == -EDOM ? EXIT_DIVERGED : EXIT_ERROR;
        validated = due(t->step, set->validation_every);
        if (validated && train_validate(t, err) < 0)
            return EXIT_ERROR;
        if (*set->checkpoint_dir && due(t->step, set->checkpoint_every) &&
            t->step < set->stop && !asked)
            save_or_warn(t, err);
    }
    if (!asked && !validated && train_validate(t, err) < 0)
        return EXIT_ERROR;
    return finish(t, asked, err);
}
