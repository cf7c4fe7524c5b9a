/* SPDX-License-Identifier: Apache-2.0 */
#include "arrive.h"

#include "frag.h"
#include "random.h"
#include "sim.h"
#include "submit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct arrival {
    const struct engine_options *o;
    struct core *core;
    struct batch batch;
    struct frag frag;
    const struct trace_job **job; /* in order of arrival */
    size_t count;
    usec_t now;
};

static double gpus_of(const struct trace_job *t)
{
    return t->gpus * (t->gpu_milli / 1000.0);
}

/* All of the trace, more of it until the GPUs suffice, shuffled. */
static void jobs_draw(struct arrival *a, double gpus_wanted, uint64_t seed)
{
    const struct trace *t = a->o->trace;
    struct random r;
    size_t cap = t->count;
    double gpus = 0;
    random_init(&r, seed);
    a->job = xcalloc(cap, sizeof *a->job);
    for (size_t i = 0; i < t->count; i++) {
        a->job[a->count++] = &t->job[i];
        gpus += gpus_of(&t->job[i]);
    }
    while (gpus < gpus_wanted) {
        const struct trace_job *j = &t->job[random_below(&r, t->count)];
        if (a->count == cap) {
            cap *= 2;
            a->job = xrealloc(a->job, cap * sizeof *a->job);
        }
        a->job[a->count++] = j;
        gpus += gpus_of(j);
    }
    for (size_t i = a->count; i > 1; i--) {
        size_t k = random_below(&r, i);
        const struct trace_job *j = a->job[i - 1];
        a->job[i - 1] = a->job[k];
        a->job[k] = j;
    }
}

/* Placed at once (1), turned away (0), or negative. */
static int place_one(struct arrival *a, const struct trace_job *t, struct err *err)
{
    struct trace_job endless = *t;
    struct err why = {0};
    struct job_view v;
    endless.limit = -1;
    a->now += USEC_PER_SEC;
    long id = submit_job(a->core, a->o->cluster, &endless, a->now, &a->batch, &why);
    if (id < 0)
        return 0;
    while (core_plan(a->core, a->now, UINT32_MAX, &a->batch) > 0)
        ;
    batch_clear(&a->batch);
    if (core_job_view(a->core, (uint32_t)id, false, &v) && v.state == JOB_RUNNING)
        return 1;
    struct command cancel = {.kind = CMD_CANCEL, .actor = {.admin = true},
                             .job = {.job_id = (uint32_t)id, .reason = ""}};
    int rc = core_apply(a->core, &cancel, a->now, &a->batch, err);
    struct command tick = {.kind = CMD_TICK, .actor = {.admin = true}};
    if (rc == 0)
        rc = core_apply(a->core, &tick, a->now, &a->batch, err);
    batch_clear(&a->batch);
    return rc;
}

static int run_seed(struct arrival *a, struct arrive_result *res, struct err *err)
{
    double capacity = a->o->cluster->gpus, arrived = 0, allocated = 0;
    uint32_t percent = 0;
    for (size_t i = 0; i < a->count && percent <= res->percent; i++) {
        int rc = place_one(a, a->job[i], err);
        if (rc < 0)
            return rc;
        arrived += gpus_of(a->job[i]);
        allocated += rc * gpus_of(a->job[i]);
        res->jobs++;
        res->placed += (size_t)rc;
        if (arrived * 100 < percent * capacity)
            continue;
        struct frag_sum f = frag_measure(&a->frag, a->core);
        for (; percent <= res->percent && arrived * 100 >= percent * capacity; percent++) {
            res->alloc[percent] += 100 * allocated / capacity;
            res->fragment[percent] += f.idle > 0 ? 100 * f.fragment / f.idle : 0;
        }
    }
    return 0;
}

static int one_seed(const struct engine_options *o, uint64_t seed, struct arrive_result *res,
                    struct err *err)
{
    struct arrival a = {.o = o, .now = SIM_EPOCH * USEC_PER_SEC};
    batch_init(&a.batch);
    frag_init(&a.frag, o->cluster, o->trace);
    jobs_draw(&a, (res->percent + 1) / 100.0 * o->cluster->gpus, seed);
    struct core_policy policy = *o->policy;
    policy.gpu_seed = (uint32_t)seed;
    a.core = cluster_core(o->cluster, &policy, a.now, err);
    int rc = a.core ? run_seed(&a, res, err) : -EINVAL;
    core_destroy(a.core);
    frag_fini(&a.frag);
    batch_fini(&a.batch);
    free(a.job);
    return rc;
}

int arrive_run(const struct engine_options *o, uint32_t percent, uint32_t seeds,
               struct arrive_result *res, struct err *err)
{
    int rc = 0;
    *res = (struct arrive_result){.percent = percent, .seeds = seeds};
    double gpus = 0;
    for (size_t i = 0; i < o->trace->count; i++)
        gpus += gpus_of(&o->trace->job[i]);
    if (o->cluster->gpus == 0 || gpus <= 0)
        return err_set(err, -EINVAL, "--arrive counts GPUs: %s have none",
                       gpus <= 0 ? "the trace's jobs" : "the nodes");
    for (uint32_t s = 0; rc == 0 && s < seeds; s++) {
        rc = one_seed(o, o->seed + s, res, err);
        if (o->progress)
            o->progress((s + 1.0) / seeds, o->progress_arg);
    }
    for (uint32_t p = 0; p <= percent; p++) {
        res->alloc[p] /= seeds;
        res->fragment[p] /= seeds;
    }
    return rc;
}
