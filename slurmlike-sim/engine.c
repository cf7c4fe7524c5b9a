/* SPDX-License-Identifier: Apache-2.0 */
#include "engine.h"

#include "frag.h"
#include "heap.h"
#include "random.h"
#include "sim.h"
#include "submit.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WORK_BUDGET 1000000u  /* of a slice of a pass; slices follow at once */
#define PROGRESS_EVERY 16384u /* instants */
#define NOBODY UINT32_MAX
#define FRAG_TIMES 500        /* fragments are measured, from the first to the last submission */

struct playing { /* of a job, beside its job_run */
    uint32_t id;        /* the core's */
    uint32_t restart;   /* of the run that the core knows of */
    uint32_t ticket;    /* of its end event: others of it are void */
    usec_t left;        /* run time that is left, while suspended */
    bool waiting, running;
    bool lost;          /* a node of it is dead: no end will be reported */
};

struct engine {
    const struct engine_options *o;
    struct engine_result *res;
    struct core *core;
    struct batch batch;
    struct heap events;
    struct playing *play;  /* [trace->count] */
    uint32_t *job_of_id;   /* the core's id -> index in the trace */
    size_t ids_cap;
    struct event *due;     /* ends of this instant, in order of their starts */
    size_t due_count, due_cap;
    usec_t now, origin;
    size_t arrived;        /* jobs of the trace that were submitted */
    uint32_t procs, gpus, queued;
    uint32_t *boots;       /* of each node */
    struct frag frag;      /* where the machine has GPUs */
    usec_t frag_next, frag_step;
    struct random random;
    struct err *err;
    int rc;
};

static uint32_t job_of(const struct engine *e, uint32_t id)
{
    return id < e->ids_cap ? e->job_of_id[id] : NOBODY;
}

static void command(struct engine *e, const struct command *cmd)
{
    struct err err = {0};
    int rc = core_apply(e->core, cmd, e->now, &e->batch, &err);
    if (rc < 0 && e->rc == 0) {
        e->rc = rc;
        if (e->err)
            *e->err = err;
    }
}

/* ---- nodes' side ------------------------------------------------------------------------- */

static void report(struct engine *e, uint32_t job, uint32_t node, Sl__ReportKind kind,
                   bool node_clean)
{
    Sl__JobReport r = SL__JOB_REPORT__INIT;
    r.kind = kind;
    r.job_id = e->play[job].id;
    r.restart = e->play[job].restart;
    r.node_clean = node_clean;
    struct command cmd = {.kind = CMD_REPORT, .actor = {.admin = true},
                          .report = {.node = core_node_name(e->core, node), .report = &r}};
    command(e, &cmd);
}

static void end_at(struct engine *e, uint32_t job, usec_t at)
{
    struct playing *p = &e->play[job];
    heap_put(&e->events, (struct event){.at = at, .kind = EVENT_END, .id = job,
                                        .ticket = ++p->ticket});
}

/* A run is over, by itself or not: what it used is free. */
static void run_over(struct engine *e, uint32_t job)
{
    struct playing *p = &e->play[job];
    if (!p->running)
        return;
    p->running = false;
    p->ticket++;
    e->procs -= e->res->run[job].procs;
    e->gpus -= e->res->run[job].gpus;
    e->res->run[job].end = e->now;
}

static void waits(struct engine *e, uint32_t job, bool waiting)
{
    struct playing *p = &e->play[job];
    if (p->waiting == waiting)
        return;
    p->waiting = waiting;
    e->queued += waiting ? 1 : -1u;
    if (e->queued > e->res->queued_max)
        e->res->queued_max = e->queued;
}

/* After the core ended a run by itself: is it over, and does the job wait again? */
static void look(struct engine *e, uint32_t job)
{
    struct job_view v;
    if (!core_job_view(e->core, e->play[job].id, false, &v))
        return;
    if (v.state != JOB_RUNNING && v.state != JOB_SUSPENDED)
        run_over(e, job);
    if (v.state == JOB_PENDING && !(v.flags & JOBF_COMPLETING))
        waits(e, job, true);
}

static int64_t run_seconds(const struct trace_job *t)
{
    return t->limit > 0 && t->run > t->limit ? t->limit : t->run;
}

static void on_launch(struct engine *e, const struct effect *f)
{
    uint32_t job = job_of(e, f->job_id);
    struct playing *p = &e->play[job];
    struct job_run *r = &e->res->run[job];
    p->restart = f->restart;
    p->running = true;
    p->lost = false;
    r->start = e->now;
    r->restarts = f->restart;
    r->nodes = core_job_nodes(e->core, f->job_id);
    double hops;
    if (core_job_spread(e->core, f->job_id, &r->leafs, &hops))
        r->hops = (float)hops;
    e->procs += r->procs;
    e->gpus += r->gpus;
    waits(e, job, false);
    e->res->starts++;
    end_at(e, job, e->now + run_seconds(&e->o->trace->job[job]) * USEC_PER_SEC);
    for (uint32_t i = 0; i < r->nodes; i++)
        report(e, job, core_job_node(e->core, f->job_id, i),
               SL__REPORT_KIND__REPORT_LAUNCHED, false);
}

static void on_terminate(struct engine *e, const struct effect *f)
{
    uint32_t job = job_of(e, f->job_id);
    struct playing *p = &e->play[job];
    if (f->restart != p->restart || f->term.signal)
        return; /* a warning only */
    if (f->term.suspend || f->term.resume) {
        if (f->term.suspend && p->left == 0) {
            p->left = e->res->run[job].start +
                      run_seconds(&e->o->trace->job[job]) * USEC_PER_SEC - e->now;
            p->ticket++;
        } else if (f->term.resume && p->left) {
            end_at(e, job, e->now + p->left);
            p->left = 0;
        }
        return;
    }
    run_over(e, job);
    report(e, job, f->node, SL__REPORT_KIND__REPORT_NODE_CLEAN, false);
    look(e, job);
}

/* What the core wants done. Doing it has effects too: they go to the end of the list. */
static void carry_out(struct engine *e)
{
    for (size_t i = 0; i < e->batch.effects_count; i++) {
        struct effect f = e->batch.effects[i];
        if (f.kind == EFFECT_LAUNCH)
            on_launch(e, &f);
        else if (f.kind == EFFECT_TERMINATE)
            on_terminate(e, &f);
        else if (f.kind == EFFECT_NOTIFY && e->play[job_of(e, f.job_id)].lost)
            look(e, job_of(e, f.job_id));
    }
    batch_clear(&e->batch);
}

static void job_done(struct engine *e, uint32_t job)
{
    bool alone = e->res->run[job].nodes == 1;
    uint32_t node = core_job_node(e->core, e->play[job].id, 0);
    run_over(e, job);
    report(e, job, node, SL__REPORT_KIND__REPORT_JOB_DONE, alone);
    carry_out(e);
}

/* ---- users' side --------------------------------------------------------------------------- */

static usec_t virtual_time(const struct engine *e, int64_t seconds)
{
    return e->origin + seconds * USEC_PER_SEC;
}

static void id_note(struct engine *e, uint32_t id, uint32_t job)
{
    if (id >= e->ids_cap) {
        size_t cap = id + id / 2 + 1024;
        e->job_of_id = xrealloc(e->job_of_id, cap * sizeof *e->job_of_id);
        memset(e->job_of_id + e->ids_cap, 0xff, (cap - e->ids_cap) * sizeof *e->job_of_id);
        e->ids_cap = cap;
    }
    e->job_of_id[id] = job;
    e->play[job].id = id;
}

static void arrive(struct engine *e)
{
    uint32_t job = (uint32_t)e->arrived++;
    const struct trace_job *t = &e->o->trace->job[job];
    struct job_run *r = &e->res->run[job];
    struct err err = {0};
    r->submit = e->now;
    r->procs = submit_procs(t);
    r->gpus = t->gpus;
    long id = t->run <= 0 ? err_set(&err, -EINVAL, "job %u never ran", t->number)
                          : submit_job(e->core, e->o->cluster, t, e->now, &e->batch, &err);
    if (id > 0) {
        id_note(e, (uint32_t)id, job);
        waits(e, job, true);
    } else if (e->res->refused++ == 0) {
        snprintf(e->res->refused_text, sizeof e->res->refused_text, "job %u: %.400s", t->number,
                 err.text);
    }
    carry_out(e);
}

static usec_t next_arrival(const struct engine *e)
{
    if (e->arrived == e->o->trace->count)
        return INT64_MAX;
    return virtual_time(e, e->o->trace->job[e->arrived].submit);
}

/* ---- failures of nodes ------------------------------------------------------------------------ */

static usec_t random_span(struct engine *e, usec_t mean)
{
    double u = random_unit(&e->random);
    double span = -(double)mean * log(u > 0 ? u : 1e-18);
    return span < (double)USEC_PER_SEC ? USEC_PER_SEC : (usec_t)span;
}

static void node_event(struct engine *e, uint32_t node, enum event_kind kind, usec_t mean)
{
    heap_put(&e->events, (struct event){.at = e->now + random_span(e, mean), .kind = kind,
                                        .id = node});
}

static bool job_on(const struct engine *e, uint32_t job, uint32_t node)
{
    for (uint32_t i = 0; i < e->res->run[job].nodes; i++)
        if (core_job_node(e->core, e->play[job].id, i) == node)
            return true;
    return false;
}

/* The node is dead: what ran there says nothing more, and the core finds out in its time. */
static void node_dies(struct engine *e, uint32_t node)
{
    struct command cmd = {.kind = CMD_NODE_LOST, .actor = {.admin = true},
                          .node = {.name = e->o->cluster->node[node].name}};
    for (uint32_t job = 0; job < e->arrived; job++)
        if (e->play[job].running && !e->play[job].lost && job_on(e, job, node)) {
            e->play[job].lost = true;
            e->play[job].ticket++;
        }
    e->res->failures++;
    command(e, &cmd);
    carry_out(e);
    node_event(e, node, EVENT_REPAIR, e->o->mttr);
}

static void node_returns(struct engine *e, uint32_t node)
{
    int rc = cluster_register(e->o->cluster, e->core, node, ++e->boots[node], e->now,
                              &e->batch, e->err);
    if (rc < 0)
        e->rc = rc;
    carry_out(e);
    node_event(e, node, EVENT_FAIL, e->o->mtbf);
}

/* ---- time ------------------------------------------------------------------------------------------ */

static void pass(struct engine *e)
{
    e->res->passes++;
    while (core_plan(e->core, e->now, WORK_BUDGET, &e->batch) > 0)
        carry_out(e);
    carry_out(e);
}

/* Ends of this instant into `due`; failures and repairs happen at once. */
static void collect(struct engine *e)
{
    e->due_count = 0;
    while (heap_next(&e->events) <= e->now) {
        struct event ev = heap_take(&e->events);
        if (ev.kind == EVENT_FAIL) {
            node_dies(e, ev.id);
        } else if (ev.kind == EVENT_REPAIR) {
            node_returns(e, ev.id);
        } else if (ev.ticket == e->play[ev.id].ticket) {
            if (e->due_count == e->due_cap) {
                e->due_cap = e->due_cap ? 2 * e->due_cap : 64;
                e->due = xrealloc(e->due, e->due_cap * sizeof *e->due);
            }
            e->due[e->due_count++] = ev;
        }
    }
}

static bool still_due(const struct engine *e, const struct event *ev)
{
    return ev->ticket == e->play[ev->id].ticket;
}

/* Did it run for as long as its limit allows? */
static bool reached_limit(const struct engine *e, const struct event *ev)
{
    const struct trace_job *t = &e->o->trace->job[ev->id];
    return t->limit > 0 && t->run >= t->limit;
}

static void timers(struct engine *e)
{
    struct command cmd = {.kind = CMD_TICK, .actor = {.admin = true}};
    if (core_next_wakeup(e->core) > e->now)
        return;
    command(e, &cmd);
    carry_out(e);
}

static void instant_batch(struct engine *e)
{
    for (size_t i = 0; i < e->due_count; i++)
        if (still_due(e, &e->due[i]))
            job_done(e, e->due[i].id);
    while (next_arrival(e) <= e->now)
        arrive(e);
    timers(e);
    if (core_plan_wanted(e->core))
        pass(e);
}

static void instant_pyss(struct engine *e)
{
    for (size_t i = 0; i < e->due_count; i++)
        if (still_due(e, &e->due[i]) && reached_limit(e, &e->due[i]))
            job_done(e, e->due[i].id);
    while (next_arrival(e) <= e->now) {
        arrive(e);
        pass(e);
    }
    for (size_t i = 0; i < e->due_count; i++) {
        if (still_due(e, &e->due[i]))
            job_done(e, e->due[i].id);
        if (core_plan_wanted(e->core))
            pass(e);
    }
    timers(e);
    if (core_plan_wanted(e->core))
        pass(e);
}

static void sample(struct engine *e)
{
    struct engine_result *r = e->res;
    const struct sample *last = r->samples ? &r->sample[r->samples - 1] : NULL;
    if (last && last->procs == e->procs && last->gpus == e->gpus && last->queued == e->queued)
        return;
    if (r->samples == r->samples_cap) {
        r->samples_cap = r->samples_cap ? 2 * r->samples_cap : 4096;
        r->sample = xrealloc(r->sample, r->samples_cap * sizeof *r->sample);
    }
    r->sample[r->samples++] = (struct sample){e->now, e->procs, e->gpus, e->queued};
}

/* What was true from the last instant up to the next. */
static void fragments(struct engine *e, usec_t next)
{
    while (e->frag_next < next && next_arrival(e) != INT64_MAX) {
        struct frag_sum f = frag_measure(&e->frag, e->core);
        e->res->fragment += f.fragment;
        e->res->idle += f.idle;
        e->res->measured++;
        e->frag_next += e->frag_step;
    }
}

/* The next time at which something happens; INT64_MAX: all is over. With failing nodes
 * events never end, jobs do. */
static usec_t next_time(const struct engine *e)
{
    usec_t arrival = next_arrival(e), event = heap_next(&e->events);
    usec_t timer = core_next_wakeup(e->core);
    usec_t first = arrival < event ? arrival : event;
    if (arrival == INT64_MAX && core_job_count(e->core, false) == 0)
        return INT64_MAX;
    return timer < first ? timer : first;
}

static int instants(struct engine *e)
{
    for (uint64_t n = 0;; n++) {
        usec_t next = next_time(e);
        if (next == INT64_MAX || e->rc < 0)
            return e->rc;
        fragments(e, next);
        e->now = next;
        collect(e);
        if (e->o->ties == TIES_PYSS)
            instant_pyss(e);
        else
            instant_batch(e);
        if (e->o->samples)
            sample(e);
        if (e->o->progress && n % PROGRESS_EVERY == 0)
            e->o->progress((double)e->arrived / (double)e->o->trace->count, e->o->progress_arg);
    }
}

static int engine_init(struct engine *e, struct err *err)
{
    const struct trace *t = e->o->trace;
    e->origin = (t->unix_start ? t->unix_start : SIM_EPOCH) * USEC_PER_SEC;
    e->now = virtual_time(e, t->count ? t->job[0].submit : 0);
    random_init(&e->random, e->o->seed);
    e->res->run = xcalloc(t->count, sizeof *e->res->run);
    e->res->runs = t->count;
    e->play = xcalloc(t->count, sizeof *e->play);
    e->boots = xcalloc(e->o->cluster->nodes, sizeof *e->boots);
    e->err = err;
    batch_init(&e->batch);
    e->core = cluster_core(e->o->cluster, e->o->policy, e->now, err);
    if (!e->core)
        return err && err->code ? err->code : -EINVAL;
    e->frag_step = 1 + (virtual_time(e, t->job[t->count - 1].submit) - e->now) / FRAG_TIMES;
    e->frag_next = e->o->cluster->gpus ? e->now + e->frag_step : INT64_MAX;
    if (e->o->cluster->gpus)
        frag_init(&e->frag, e->o->cluster, t);
    for (uint32_t i = 0; e->o->mtbf && i < e->o->cluster->nodes; i++)
        node_event(e, i, EVENT_FAIL, e->o->mtbf);
    return 0;
}

static void engine_fini(struct engine *e)
{
    core_destroy(e->core);
    batch_fini(&e->batch);
    heap_fini(&e->events);
    frag_fini(&e->frag);
    free(e->play);
    free(e->boots);
    free(e->job_of_id);
    free(e->due);
}

/* Jobs that wait though nothing will happen any more. */
static int stuck(const struct engine *e, struct err *err)
{
    uint32_t id = 0;
    if (core_job_next(e->core, 0, &id) == UINT32_MAX && id == 0)
        return 0;
    struct job_view v;
    if (!core_job_view(e->core, id, false, &v))
        return 0;
    return err_set(err, -EDEADLK, "job %u waits for good: %s",
                   e->o->trace->job[job_of(e, id)].number, job_reason_name(v.reason));
}

int engine_run(const struct engine_options *o, struct engine_result *res, struct err *err)
{
    struct engine e = {.o = o, .res = res};
    usec_t began = clock_mono_usec();
    clock_t cpu = clock();
    memset(res, 0, sizeof *res);
    int rc = engine_init(&e, err);
    if (rc == 0)
        rc = instants(&e);
    if (rc == 0 && core_job_count(e.core, true) > 0)
        rc = stuck(&e, err);
    engine_fini(&e);
    if (res->measured) {
        res->fragment /= (double)res->measured;
        res->idle /= (double)res->measured;
    }
    res->wall = clock_mono_usec() - began;
    res->cpu = (usec_t)(clock() - cpu) * USEC_PER_SEC / CLOCKS_PER_SEC;
    if (rc < 0)
        engine_result_fini(res);
    return rc;
}

void engine_result_fini(struct engine_result *res)
{
    free(res->run);
    free(res->sample);
    res->run = NULL;
    res->sample = NULL;
}
