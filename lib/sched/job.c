/* SPDX-License-Identifier: Apache-2.0
 *
 * The job table, the queue, and the transitions of a job: the only file, with report.c
 * calling into it, that assigns a job's state.
 */
#include "sched/model.h"

#include "base/buf.h"
#include "job/jobspec.h"
#include "sched/advres.h"
#include "sched/explain_parts.h"
#include "sched/het.h"
#include "sched/kin.h"
#include "sched/limits.h"
#include "sched/priority.h"
#include "sched/order.h"
#include "sched/request.h"
#include "sched/timeline.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- table ------------------------------------------------------------------------- */

/* Index of the first job with an id of at least `id`. */
static uint32_t job_lower(const struct core *c, uint32_t id)
{
    uint32_t lo = 0, hi = c->jobs;
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        if (c->job[mid]->id < id)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

struct job *job_find(const struct core *c, uint32_t id)
{
    uint32_t i = job_lower(c, id);
    return i < c->jobs && c->job[i]->id == id ? c->job[i] : NULL;
}

struct job *job_add(struct core *c, uint32_t id)
{
    struct job *j = xcalloc(1, sizeof *j);
    GROW(c->job, c->jobs_cap, c->jobs + 1);
    uint32_t i = c->jobs && c->job[c->jobs - 1]->id > id ? job_lower(c, id) : c->jobs;
    memmove(c->job + i + 1, c->job + i, (c->jobs - i) * sizeof *c->job);
    c->job[i] = j;
    c->jobs++;
    j->id = id;
    j->array_task = NO_VAL;
    j->assoc = j->qos_id = j->part_qos = NONE;
    for (int k = 0; k < SET_COUNT; k++)
        j->place[k] = NONE;
    j->state = JOB_PENDING;
    c->pending++;
    return j;
}

/* The first of n ids in a row; 0: there are none. */
static uint32_t job_ids_take(struct core *c, uint32_t n)
{
    for (uint32_t tries = 0; tries <= c->jobs + 1; tries++) {
        uint32_t id = job_id_take(c), k = 1;
        while (id && k < n && id + k < c->policy.job_id_max && !job_find(c, id + k))
            k++;
        if (id == 0)
            return 0;
        c->job_id_next = id + k;
        if (k == n)
            return id;
        if (c->job_id_next >= c->policy.job_id_max)
            c->job_id_next = c->policy.job_id_first;
    }
    return 0;
}

uint32_t job_id_take(struct core *c)
{
    for (uint32_t tries = 0; tries <= c->jobs; tries++) {
        uint32_t id = c->job_id_next;
        c->job_id_next = id >= c->policy.job_id_max ? c->policy.job_id_first : id + 1;
        if (!job_find(c, id))
            return id;
    }
    return 0;
}

/* What is known of a failed task stays known when its record goes. */
static void array_remember(struct core *c, const struct job *j, struct batch *out)
{
    struct job *base = j->id != j->array_id ? job_find(c, j->array_id) : NULL;
    if (!base || base->array_failed)
        return;
    base->array_failed = true;
    job_changed(c, base, out, false);
}

void job_drop(struct core *c, struct job *j, struct batch *out)
{
    if (out && j->array && j->tally & TALLY_FAILED)
        array_remember(c, j, out);
    queue_del(c, j);
    kin_leave(c, j);
    uint32_t i = job_lower(c, j->id);
    memmove(c->job + i, c->job + i + 1, (c->jobs - i - 1) * sizeof *c->job);
    c->jobs--;
    tenant_forget(c, j);
    if (j->state == JOB_PENDING)
        c->pending--;
    if (out) {
        batch_change(out, CHANGE_JOB, j->id, 0);
        batch_effect(out, EFFECT_GONE)->job_id = j->id;
    }
    alloc_free(c, j);
    for (uint32_t k = 0; k < j->steps_count; k++)
        sl__step_record__free_unpacked(j->steps[k], NULL);
    free(j->steps);
    free(j->deps);
    free(j->rest);
    spec_drop(c, j);
    intern_drop(&c->text, j->user);
    intern_drop(&c->text, j->name);
    intern_drop(&c->text, j->account);
    intern_drop(&c->text, j->qos);
    intern_drop(&c->text, j->parts);
    intern_drop(&c->text, j->partition);
    intern_drop(&c->text, j->ran_on);
    intern_drop(&c->text, j->ran_tres);
    intern_drop(&c->text, j->ran_host);
    intern_drop(&c->text, j->reason_text);
    free(j);
}

void job_changed(struct core *c, struct job *j, struct batch *out, bool notify)
{
    kin_note(c, j);
    tenant_follow(c, j, out);
    if (!out)
        return;
    batch_change(out, CHANGE_JOB, j->id, 0);
    if (notify) {
        struct effect *e = batch_effect(out, EFFECT_NOTIFY);
        e->job_id = j->id;
        e->restart = j->restart;
    }
}

/* ---- gates -------------------------------------------------------------------------- */

static void gate_set(struct core *c, struct job *j, enum gate gate, enum job_reason reason)
{
    j->gate = (uint8_t)gate;
    if (gate != GATE_OPEN) {
        j->reason = (uint8_t)reason;
        queue_del(c, j);
        return;
    }
    if (!j->queued && (j->reason != REASON_PRIORITY && j->reason != REASON_RESOURCES))
        j->reason = REASON_NONE;
    queue_put(c, j);
}

static enum job_reason hold_reason(const struct job *j)
{
    return j->hold & HOLD_LAUNCH  ? REASON_LAUNCH_FAILED_HELD
           : j->hold & HOLD_ADMIN ? REASON_HELD_ADMIN
                                  : REASON_HELD_USER;
}

void job_gate(struct core *c, struct job *j, usec_t now)
{
    kin_note(c, j);
    kin_throttle(c, j, false);
    if (j->state != JOB_PENDING || (j->flags & JOBF_COMPLETING)) {
        kin_wait(c, j, false);
        queue_del(c, j);
        if (het_is(j))
            het_gate(c, j, now);
        return;
    }
    enum dep_state dep = j->deps_count ? depend_eval(c, j, now) : DEP_MET;
    /* also behind a hold: what it depends on may be forgotten before the release */
    kin_wait(c, j, dep == DEP_WAIT);
    if (j->hold) {
        gate_set(c, j, GATE_HOLD, hold_reason(j));
    } else if (dep != DEP_MET) {
        gate_set(c, j, GATE_DEPENDENCY,
                 dep == DEP_NEVER ? REASON_DEPENDENCY_NEVER : REASON_DEPENDENCY);
    } else if (j->begin > now) {
        gate_set(c, j, GATE_BEGIN, REASON_BEGIN_TIME);
        j->eligible = j->begin;
        timer_add(c, j->begin, TIMER_BEGIN, j->id);
    } else if (j->throttle && j->array && j->array->running >= j->throttle) {
        kin_throttle(c, j, true);
        gate_set(c, j, GATE_ARRAY_LIMIT, REASON_ARRAY_TASK_LIMIT);
    } else {
        if (j->eligible == 0)
            j->eligible = now;
        enum job_reason why = REASON_NONE;
        bool open = !het_is(j) || het_open(c, j, &why);
        gate_set(c, j, open ? GATE_OPEN : GATE_HET, why);
    }
    if (het_is(j))
        het_gate(c, j, now);
}

void job_gate_load(struct core *c, struct job *j, usec_t now)
{
    bool waits = false;
    for (uint32_t i = 0; i < j->deps_count; i++)
        waits = waits || j->deps[i].state == DEP_WAIT;
    if (waits) {
        kin_wait(c, j, true);
        kin_wake_one(c, j);
        gate_set(c, j, j->hold ? GATE_HOLD : GATE_DEPENDENCY,
                 j->hold ? hold_reason(j) : REASON_DEPENDENCY);
    } else if (j->begin && !j->hold && j->reason == REASON_BEGIN_TIME) {
        gate_set(c, j, GATE_BEGIN, REASON_BEGIN_TIME);
        timer_add(c, j->begin, TIMER_BEGIN, j->id);
    } else {
        job_gate(c, j, now);
    }
}

/* ---- submit ------------------------------------------------------------------------------- */

static int array_take(struct core *c, struct job *j, const Sl__JobSpec *s, struct err *err)
{
    struct arena a;
    uint32_t *ids = NULL, throttle = 0;
    size_t n = 0;
    if (!s->array[0])
        return 0;
    arena_init(&a);
    int rc = array_parse(s->array, c->policy.array_size_max, &a, &ids, &n, &throttle, err);
    if (rc == 0) {
        j->array_id = j->id;
        j->rest = xmalloc(n * sizeof *j->rest);
        memcpy(j->rest, ids, n * sizeof *ids);
        j->rest_count = j->array_count = (uint32_t)n;
        j->throttle = throttle;
        j->array_min = ids[0];
        j->array_max = ids[n - 1];
        j->array_step = n > 1 ? ids[1] - ids[0] : 1;
    }
    arena_fini(&a);
    return rc;
}

static int warn_take(struct job *j, const char *text, struct err *err)
{
    struct signal_option warn;
    if (!text[0])
        return 0;
    int rc = signal_option_parse(text, &warn, err);
    if (rc == 0) {
        j->warn_signal = (uint8_t)warn.signal;
        j->warn_sec = warn.before_sec;
        j->warn_batch = warn.batch_only;
    }
    return rc;
}

/* sbatch(1) --priority, --nice: only operators move a job up. */
static int rank_check(const Sl__JobSpec *s, const struct actor *who, struct err *err)
{
    if (s->has_priority && s->priority != 0 && !who->admin)
        return err_set(err, SL_EACCESS, "%s: --priority is for operators", err_name(SL_EACCESS));
    if (s->nice < 0 && !who->admin)
        return err_set(err, SL_EACCESS, "%s: a negative --nice is for operators",
                       err_name(SL_EACCESS));
    return 0;
}

static void text_replace(struct core *c, uint32_t *id, const char *text)
{
    uint32_t had = *id;
    *id = intern_text(&c->text, text);
    intern_drop(&c->text, had);
}

static int job_fill(struct core *c, struct job *j, const struct command *cmd, usec_t now,
                    struct err *err)
{
    const Sl__JobSpec *s = cmd->submit.spec;
    struct buf names;
    j->user = intern_text(&c->text, cmd->submit.user);
    j->name = intern_text(&c->text, s->name);
    j->account = intern_text(&c->text, s->account);
    j->qos = intern_text(&c->text, s->qos);
    j->uid = cmd->actor.uid;
    j->parts = intern_text(&c->text, s->n_partitions ? s->partitions[0] : "");
    int rc = tenant_admit(c, j, err);
    const struct admit who = {.actor = &cmd->actor, .groups = cmd->submit.groups,
                              .account = text_of(c, j->account), .qos = text_of(c, j->qos)};
    buf_init(&names);
    if (rc == 0)
        rc = admit_partitions(c, s->partitions, s->n_partitions, &who, &names, &j->tier, err);
    text_replace(c, &j->parts, buf_str(&names));
    buf_fini(&names);
    j->gid = cmd->actor.gid;
    j->type = (uint8_t)s->type;
    j->nice = s->nice;
    j->submit = now;
    j->begin = s->begin_usec;
    j->deadline = s->deadline_usec;
    j->limit = s->time_limit_usec;
    j->limit_given = s->time_limit_usec != 0;
    j->limit_min = s->time_min_usec;
    j->requeue = s->requeue ? s->requeue == 1 : c->policy.requeue_default;
    j->kill_dep = s->kill_on_invalid_dep == 1;
    j->no_kill = s->no_kill;
    j->hold = s->hold ? HOLD_USER : 0;
    j->prio_fixed = s->has_priority && cmd->actor.admin;
    if (s->has_priority && s->priority == 0)
        j->hold |= HOLD_USER;
    if (rc == 0)
        rc = warn_take(j, s->signal, err);
    if (rc == 0)
        rc = rank_check(s, &cmd->actor, err);
    if (rc == 0)
        rc = spec_store(c, j, s, err);
    if (rc == 0)
        rc = advres_admit(c, s->reservation, &who, cmd->submit.user, err);
    if (rc == 0)
        rc = admit_fits(c, j, err);
    if (rc == 0)
        rc = array_take(c, j, s, err);
    if (rc == 0)
        rc = depend_parse(c, j, s->dependency, err);
    tenant_place(c, j);
    if (rc == 0)
        rc = limits_submit(c, j, j->rest_count ? j->rest_count : 1, err);
    if (rc == 0 && j->deadline && job_start_latest(j) < now)
        rc = err_set(err, SL_EINVAL_TIME, "--deadline: the job could not end by then: its time "
                     "limit (--time, --time-min) is longer");
    return rc;
}

static void job_priority(struct core *c, struct job *j, const Sl__JobSpec *s)
{
    int64_t p = j->prio_fixed ? (int64_t)s->priority : (int64_t)c->priority_next - j->nice;
    if (!j->prio_fixed && c->priority_next > 2)
        c->priority_next--;
    j->priority = p < 1 ? 1 : p > UINT32_MAX - 1 ? UINT32_MAX - 1 : (uint32_t)p;
    priority_set(c, j, c->now);
}

static void forecast(struct core *c, struct job *j, const Sl__JobSpec *s, usec_t now,
                     struct batch *out);

/* What a component may not have: it is the leader's. */
static int het_check(const Sl__JobSpec *s, uint32_t offset, struct err *err)
{
    if (s->array[0])
        return err_set(err, SL_EINVAL_ARRAY, "--array: a heterogeneous job is no array");
    if (offset && s->licenses[0])
        return err_set(err, SL_EINVAL_FIELD, "--licenses: of a heterogeneous job only the first "
                       "component has licenses");
    return 0;
}

static void job_enter(struct core *c, struct job *j, const Sl__JobSpec *s, usec_t now,
                      struct batch *out)
{
    job_priority(c, j, s);
    gpu_target_note(c, &c->request[j->request], j->rest_count ? j->rest_count : 1);
    job_gate(c, j, now);
    if (depend_pairs(j))
        kin_wake_one(c, j);
    job_deadline_timer(c, j);
    job_changed(c, j, out, false);
}

int job_submit(struct core *c, const struct command *cmd, usec_t now, struct batch *out,
               struct err *err)
{
    const uint32_t n = 1 + (uint32_t)cmd->submit.het_count;
    if (c->jobs + n > c->policy.jobs_max)
        return err_set(err, SL_ETOO_MANY,
                       "the controller holds %u jobs, its limit (jobs.max); try again later",
                       c->jobs);
    struct job *v[HET_SIZE_MAX];
    struct command one = *cmd;
    uint32_t next = c->job_id_next, made = 0;
    uint32_t id = n > HET_SIZE_MAX ? 0 : n > 1 ? job_ids_take(c, n) : job_id_take(c);
    int rc = 0;
    if (id == 0)
        return err_set(err, SL_ETOO_MANY, "no job id is free");
    while (rc == 0 && made < n) {
        struct job *j = v[made] = job_add(c, id + made);
        if (made)
            one.submit.spec = cmd->submit.het[made - 1];
        if (n > 1) {
            j->het_id = id;
            j->het_offset = made;
            j->het_size = n;
            rc = het_check(one.submit.spec, made, err);
        }
        made++;
        if (rc == 0)
            rc = job_fill(c, j, &one, now, err);
        j->requeue = v[0]->requeue; /* it runs again as a whole */
        if (rc < 0 && n > 1)
            err_prefix(err, "component %u of the heterogeneous job", made - 1);
    }
    if (rc == 0 && cmd->submit.test_only)
        forecast(c, v[0], cmd->submit.spec, now, out);
    if (rc < 0 || cmd->submit.test_only) {
        while (made)
            job_drop(c, v[--made], NULL);
        c->job_id_next = next;
        return rc;
    }
    for (uint32_t k = n; k-- > 0;) /* the leader last: its gate opens with theirs */
        job_enter(c, v[k], k ? cmd->submit.het[k - 1] : cmd->submit.spec, now, out);
    out->job_id = id;
    for (uint32_t k = 0; k < n; k++)
        job_drop_invalid(c, v[k], now, out);
    batch_change(out, CHANGE_META, 0, 0);
    return 0;
}

/* When and where would it start, and why then? It is in no table but that of the jobs. */
static void forecast(struct core *c, struct job *j, const Sl__JobSpec *s, usec_t now,
                     struct batch *out)
{
    struct placement p = {0};
    struct arena a;
    struct explanation *e = xmalloc(sizeof *e);
    uint32_t priority_next = c->priority_next;
    arena_init(&a);
    job_priority(c, j, s);
    c->priority_next = priority_next;
    j->eligible = j->begin > now ? j->begin : now;
    if (j->deps_count)
        depend_eval(c, j, now);
    usec_t start = explain_job(c, j, now, &a, &p, e);
    out->start_estimate = start == INT64_MAX ? 0 : start;
    size_t len = 0;
    for (uint32_t i = 0; i < p.count && len < sizeof out->nodes_estimate; i++)
        len += (size_t)snprintf(out->nodes_estimate + len, sizeof out->nodes_estimate - len,
                                "%s%s", i ? "," : "", c->node[p.node[i].node].name);
    for (uint32_t i = 0; i < e->count; i++)
        explain_put(&out->explained, &e->item[i]);
    free(p.node);
    free(e);
    arena_fini(&a);
}

/* ---- arrays ------------------------------------------------------------------------------------ */

bool task_waits(const struct job *j, uint32_t task)
{
    uint32_t lo = 0, hi = j->rest_count;
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        if (j->rest[mid] < task)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < j->rest_count && j->rest[lo] == task;
}

/* The record that has the array's id is kept until all tasks are over: it remembers. */
static void purge_later(struct core *c, struct job *j, usec_t now)
{
    timer_add(c, now + c->policy.job_keep, TIMER_PURGE, j->id);
    kin_note(c, j);
    if (j->array && j->array->open == 0 && j->array_id != j->id)
        timer_add(c, now + c->policy.job_keep, TIMER_PURGE, j->array_id);
}

/* Takes one task out of the array's record, as a record of its own (the last task takes the
 * array's record over). NULL when no job id is free. */
struct job *job_split(struct core *c, struct job *j, uint32_t task, struct batch *out)
{
    if (j->rest_count == 1 && j->rest[0] == task) {
        j->rest_count = 0;
        j->is_task = true;
        j->array_task = task;
        job_changed(c, j, out, false);
        return j;
    }
    uint32_t id = job_id_take(c);
    if (id == 0)
        return NULL;
    uint32_t at = 0;
    while (at < j->rest_count && j->rest[at] != task)
        at++;
    ASSERT(at < j->rest_count);
    struct job *t = job_add(c, id);
    struct job fresh = *j;
    fresh.id = id;
    fresh.rest = NULL;
    fresh.rest_count = 0;
    fresh.is_task = true;
    fresh.array_task = task;
    fresh.queued = fresh.woken = fresh.kin_running = fresh.array_failed = false;
    fresh.resv = NULL;
    fresh.array = NULL;
    fresh.namesakes = NULL;
    fresh.tally = 0;
    fresh.deps = NULL;
    if (j->deps_count) { /* a task taken out before they are met waits for them by itself */
        fresh.deps = xmalloc(j->deps_count * sizeof *fresh.deps);
        memcpy(fresh.deps, j->deps, j->deps_count * sizeof *fresh.deps);
        for (uint32_t i = 0; i < j->deps_count; i++)
            fresh.deps[i].list = NULL;
    }
    fresh.steps = NULL;
    fresh.steps_count = fresh.steps_cap = 0;
    fresh.gate = GATE_OPEN;
    fresh.counted = 0;
    fresh.charge = NULL;
    memcpy(fresh.place, t->place, sizeof fresh.place);
    *t = fresh;
    if (t->state != JOB_PENDING) { /* the array was cancelled, and this task runs again */
        c->pending--;
        timer_add(c, t->end + c->policy.job_keep, TIMER_PURGE, t->id);
    }
    job_deadline_timer(c, t);
    intern_ref(&c->text, t->user);
    intern_ref(&c->text, t->name);
    intern_ref(&c->text, t->account);
    intern_ref(&c->text, t->qos);
    intern_ref(&c->text, t->parts);
    intern_ref(&c->text, t->partition);
    intern_ref(&c->text, t->reason_text);
    t->ran_on = t->ran_tres = t->ran_host = 0;
    intern_ref(&c->request_keys, t->request);
    intern_ref(&c->blobs, t->tail);
    intern_ref(&c->blobs, t->ident);
    memmove(j->rest + at, j->rest + at + 1, (j->rest_count - at - 1) * sizeof *j->rest);
    j->rest_count--;
    job_changed(c, j, out, false);
    job_changed(c, t, out, false);
    batch_change(out, CHANGE_META, 0, 0);
    return t;
}

/* Takes a split back, before anyone saw it. */
void job_unsplit(struct core *c, struct job *j, struct job *t, uint32_t id_next)
{
    uint32_t at = 0, task = t->array_task;
    if (t == j) {
        j->rest_count = 1;
        j->is_task = false;
        j->array_task = NO_VAL;
        kin_note(c, j);
        return;
    }
    while (at < j->rest_count && j->rest[at] < task)
        at++;
    memmove(j->rest + at + 1, j->rest + at, (j->rest_count - at) * sizeof *j->rest);
    j->rest[at] = task;
    j->rest_count++;
    job_drop(c, t, NULL);
    tenant_follow(c, j, NULL);
    c->job_id_next = id_next;
}

/* ---- start and end -------------------------------------------------------------------------------- */

static usec_t limit_at(const struct job *j)
{
    return j->start + j->suspended_total + j->limit;
}

void job_limit_timers(struct core *c, struct job *j)
{
    order_limit(c, j);
    timeline_move(c, j, plan_end(j));
    if (j->until)
        timer_add(c, j->until, TIMER_LIMIT, j->id);
    order_timer(c, j);
    if (j->limit == SPAN_INFINITE)
        return;
    timer_add(c, limit_at(j) + c->policy.over_time_limit, TIMER_LIMIT, j->id);
    if (j->warn_signal && !j->warn_sent)
        timer_add(c, limit_at(j) - (usec_t)j->warn_sec * USEC_PER_SEC, TIMER_WARN, j->id);
}

usec_t job_start_latest(const struct job *j)
{
    usec_t least = j->limit_min ? j->limit_min : j->limit_given ? j->limit : 0;
    return least < j->deadline ? j->deadline - least : j->deadline;
}

void job_deadline_timer(struct core *c, struct job *j)
{
    if (j->deadline)
        timer_add(c, j->state == JOB_PENDING ? job_start_latest(j) : j->deadline,
                  TIMER_DEADLINE, j->id);
}

void job_deadline(struct core *c, struct job *j, usec_t now, struct batch *out)
{
    if (!j->deadline || (j->state != JOB_PENDING && !j->alloc) || j->flags & JOBF_COMPLETING)
        return;
    if (j->state == JOB_PENDING && now >= job_start_latest(j))
        job_cancel_pending(c, j, JOB_DEADLINE, 0, now, out);
    else if (j->state != JOB_PENDING && now >= j->deadline)
        job_end(c, j, JOB_DEADLINE, REASON_DEADLINE, SIGTERM, THEN_NOTHING, now, out,
                "DUE TO DEADLINE");
    else
        job_deadline_timer(c, j);
}

void job_warn(struct core *c, struct job *j, usec_t now, struct batch *out)
{
    if (j->state != JOB_RUNNING || j->flags & JOBF_COMPLETING || j->warn_sent ||
        !j->warn_signal || j->limit == SPAN_INFINITE ||
        now < limit_at(j) - (usec_t)j->warn_sec * USEC_PER_SEC)
        return;
    j->warn_sent = true;
    for (uint32_t i = 0; i < j->alloc->count; i++) {
        terminate(c, j, j->alloc->node[i].node, 0, out, "");
        struct effect *e = &out->effects[out->effects_count - 1];
        e->term.signal = j->warn_signal;
        e->term.batch_only = j->warn_batch;
    }
    job_changed(c, j, out, false);
}

void job_start(struct core *c, struct job *j, uint32_t part, const struct placement *p,
               usec_t now, struct batch *out)
{
    queue_del(c, j);
    c->pending--;
    j->start = now;
    j->limit = parts_limit(&c->part[part], j->limit_given ? j->limit : 0);
    order_start(c, j);
    j->state = JOB_RUNNING;
    j->flags = JOBF_CONFIGURING;
    j->reason = REASON_NONE;
    j->end = 0;
    j->suspended_total = j->suspended_since = 0;
    j->exit_status = 0;
    intern_drop(&c->text, j->partition);
    j->partition = intern_text(&c->text, c->part[part].conf.name);
    j->alone = part_whole(c, j, part);
    j->warn_sent = false;
    advres_enter(c, j, now);
    alloc_make(c, j, p); /* until its planned end, which all of this decides */
    job_deadline_timer(c, j);
    job_limit_timers(c, j);
    job_ran(c, j);
    struct effect *e = batch_effect(out, EFFECT_LAUNCH);
    e->job_id = j->id;
    e->restart = j->restart;
    for (uint32_t i = 0; i < j->alloc->count; i++)
        nodes_used(c, j->alloc->node[i].node);
    job_changed(c, j, out, true);
    kin_wake(c, j);
}

void terminate(struct core *c, struct job *j, uint32_t node, usec_t kill_wait,
               struct batch *out, const char *text)
{
    struct effect *e = batch_effect(out, EFFECT_TERMINATE);
    (void)c;
    e->job_id = j->id;
    e->restart = j->restart;
    e->node = node;
    e->term.kill_wait = kill_wait;
    e->term.state = j->state;
    snprintf(e->text, sizeof e->text, "%s", text ? text : "");
}

void step_cancels_send(struct core *c, struct job *j, uint32_t node, struct batch *out)
{
    for (uint32_t i = 0; i < j->steps_count; i++) {
        if (!j->steps[i]->kill_uid)
            continue;
        terminate(c, j, node, c->policy.kill_wait, out, "");
        struct effect *e = &out->effects[out->effects_count - 1];
        e->term.has_step = true;
        e->term.step_id = j->steps[i]->step_id;
        e->term.state = JOB_CANCELLED;
    }
}

void suspend_send(struct core *c, struct job *j, uint32_t node, bool suspend,
                  struct batch *out)
{
    terminate(c, j, node, 0, out, "");
    struct effect *e = &out->effects[out->effects_count - 1];
    e->term.suspend = suspend;
    e->term.resume = !suspend;
}

static void job_run_over(struct core *c, struct job *j, usec_t now, struct batch *out)
{
    alloc_free(c, j);
    advres_idle(c, j, now);
    j->flags &= (uint16_t)~(JOBF_COMPLETING | JOBF_CONFIGURING);
    kin_wake(c, j);
    c->plan_wanted = true;
    if (j->state == JOB_PENDING)
        job_gate(c, j, now);
    else
        purge_later(c, j, now);
    job_changed(c, j, out, true);
}

/* Back to PENDING as the next run; its processes may still be ending. */
static void job_requeue(struct core *c, struct job *j, bool hold, usec_t now)
{
    if (j->state == JOB_PREEMPTED) /* or it were back before the one that it made room for */
        j->begin = now + c->policy.kill_wait + USEC_PER_SEC;
    j->last_state = j->state;
    j->last_end = j->end;
    j->last_exit = j->exit_status;
    j->state = JOB_PENDING;
    c->pending++;
    j->restart++;
    j->start = j->end = j->until = j->preempt_at = 0;
    j->advres_id = 0;
    j->alone = false;
    if (j->limit_asked) {
        j->limit_given = j->limit_asked != LIMIT_NOT_GIVEN;
        j->limit = j->limit_given ? j->limit_asked : 0;
    }
    j->limit_asked = 0;
    job_deadline_timer(c, j);
    j->eligible = now;
    j->reason = REASON_NONE;
    j->cancelled_by = 0;
    j->client_lost = false;
    if (hold)
        j->hold |= HOLD_USER;
}

void job_end(struct core *c, struct job *j, enum job_state state, enum job_reason reason,
             uint32_t exit_status, enum then then, usec_t now, struct batch *out,
             const char *text)
{
    if (j->state == JOB_SUSPENDED)
        j->suspended_total += now - j->suspended_since;
    j->suspended_since = 0;
    j->state = (uint8_t)state;
    j->reason = (uint8_t)reason;
    j->exit_status = exit_status;
    j->end = now;
    j->then = (uint8_t)then;
    j->flags = (uint16_t)((j->flags & ~JOBF_CONFIGURING) | JOBF_COMPLETING);
    if (then == THEN_NOTHING)
        order_ended(c, j, now, out);
    timeline_move(c, j, plan_end(j));
    for (uint32_t k = 0; k < j->steps_count; k++)
        sl__step_record__free_unpacked(j->steps[k], NULL);
    j->steps_count = 0;
    for (uint32_t i = 0; i < j->alloc->count; i++) {
        struct alloc_node *an = &j->alloc->node[i];
        if (an->clean)
            continue;
        c->node[an->node].completing++;
        terminate(c, j, an->node, c->policy.kill_wait, out, text);
        nodes_used(c, an->node);
    }
    kin_wake(c, j);
    job_changed(c, j, out, true);
    if (het_is(j))
        het_end(c, j, exit_status, then, now, out, text);
    if (j->alloc->unclean == 0)
        job_node_clean(c, j, NONE, now, out);
}

void job_node_clean(struct core *c, struct job *j, uint32_t node, usec_t now,
                    struct batch *out)
{
    for (uint32_t i = 0; j->alloc && i < j->alloc->count; i++) {
        struct alloc_node *an = &j->alloc->node[i];
        if (an->node != node || an->clean)
            continue;
        an->clean = true;
        alloc_give_node(c, j, an);
        j->alloc->unclean--;
        nodes_given(c, node, out);
    }
    if (j->alloc && j->alloc->unclean == 0) {
        enum then then = (enum then)j->then;
        j->then = THEN_NOTHING;
        if (then != THEN_NOTHING) {
            /* the ended run is shown to accounting before the next one begins */
            job_requeue(c, j, then == THEN_REQUEUE_HOLD, now);
            if (j->deadline && now >= job_start_latest(j)) /* it came while the run ended */
                job_cancel_pending(c, j, JOB_DEADLINE, 0, now, out);
        }
        job_run_over(c, j, now, out);
    } else {
        job_changed(c, j, out, false);
    }
}

void job_drop_invalid(struct core *c, struct job *j, usec_t now, struct batch *out)
{
    if (j->state != JOB_PENDING || !j->kill_dep || j->gate != GATE_DEPENDENCY ||
        j->reason != REASON_DEPENDENCY_NEVER)
        return;
    job_cancel_pending(c, j, JOB_CANCELLED, 0, now, out);
    j->reason = REASON_DEPENDENCY_NEVER;
}

void job_cancel_pending(struct core *c, struct job *j, enum job_state state, uint32_t by,
                        usec_t now, struct batch *out)
{
    queue_del(c, j);
    kin_wait(c, j, false);
    kin_throttle(c, j, false);
    j->gate = GATE_OPEN;
    c->pending--;
    j->state = (uint8_t)state;
    j->reason = state == JOB_DEADLINE ? REASON_DEADLINE : REASON_NONE;
    j->flags &= (uint16_t)~JOBF_RESV_DEL_HOLD;
    j->end = now;
    j->cancelled_by = by;
    kin_wake(c, j);
    if (het_is(j))
        het_cancel_pending(c, j, now, out);
    if (!(j->flags & JOBF_COMPLETING))
        purge_later(c, j, now);
    job_changed(c, j, out, true);
}
