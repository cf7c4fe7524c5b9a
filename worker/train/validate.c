/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "train/train.h"

#include <inttypes.h>
#include <stdlib.h>

/* Loss of each sequence of the micro-batch that begins with sequence `first`,
 * into losses[first ..]; the last micro-batch repeats sequences to be full. */
static int run_micro_batch(struct train *t, uint64_t first, uint64_t count, double *losses,
                           struct err *err)
{
    const struct batch batch = {t->inputs, t->targets, t->weights};
    struct exec x = {.batch = batch, .params = t->shards->params};
    size_t context = (size_t)t->graph->context;
    for (int b = 0; b < t->graph->batch; b++) {
        uint64_t i = first + (uint64_t)b < count ? first + (uint64_t)b : first;
        int rc = train_fill(t, b, sampler_validation(&t->sampler, i), err);
        if (rc < 0)
            return rc;
    }
    backend_run(t->backend, &x);
    t->backend->class->losses(t->backend, t->losses);
    for (size_t b = 0; b < (size_t)t->graph->batch && first + b < count; b++) {
        for (size_t r = 0; r < context; r++)
            t->sums[r] = (double)t->losses[b * context + r];
        losses[first + b] = sum_pairs(t->sums, context) / (double)context;
    }
    return 0;
}

int train_validate(struct train *t, struct err *err)
{
    uint64_t most = (uint64_t)t->set->validation_max, batch = (uint64_t)t->graph->batch;
    uint64_t count = t->sampler.validation < most ? t->sampler.validation : most;
    double from = report_now(), *losses = xcalloc(count + 1, sizeof(*losses));
    int rc = 0, turn = 0;
    for (uint64_t first = 0; first < count && rc == 0; first += batch)
        if (turn++ % t->comm->ranks == t->comm->rank)
            rc = run_micro_batch(t, first, count, losses, err);
    rc = comm_agree(t->comm, rc, err);
    if (rc == 0 && count > 0) {
        comm_merge(t->comm, losses, count);
        double loss = sum_pairs(losses, count) / (double)count;
        report_line(&t->report, "step %" PRId64 "  validation loss %.4f on %" PRIu64
                    " sequences", t->step, loss, count);
        report_event(&t->report, json_pack("{s:s, s:I, s:f}", "event", "validation", "step",
                                           (json_int_t)t->step, "loss", loss));
    }
    free(losses);
    report_pause(&t->report, report_now() - from);
    return rc;
}
