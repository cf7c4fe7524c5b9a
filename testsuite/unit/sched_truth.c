/* SPDX-License-Identifier: Apache-2.0 */
#include "sched_truth.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void broken(const struct world *w, const char *fmt, ...)
{
    va_list ap;
    fprintf(stderr, "SLURMLIKE_SEED=%" PRIu64 " command %" PRIu64 ": ", w->seed,
            w->stats.commands);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    abort();
}

static struct unit *unit_find(struct truth *t, uint32_t job_id, uint32_t task)
{
    struct unit_key key = {job_id, task};
    struct unit *u;
    HASH_FIND(hh, t->units, &key, sizeof key, u);
    return u;
}

static struct unit *unit_of(struct world *w, const struct job_view *v)
{
    return v->is_array_task ? unit_find(w->truth, v->array_job_id, v->array_task_id)
                            : unit_find(w->truth, v->job_id, NO_VAL);
}

static struct started *start_get(struct truth *t, uint32_t node, struct run_key run)
{
    struct started *s, key = {.key = {run.job_id, run.restart, node}};
    HASH_FIND(hh, t->starts, &key.key, sizeof key.key, s);
    if (!s) {
        s = xcalloc(1, sizeof *s);
        s->key = key.key;
        HASH_ADD(hh, t->starts, key, sizeof s->key, s);
    }
    return s;
}

/* ---- promises ------------------------------------------------------------------- */

void truth_submitted(struct truth *t, uint32_t job_id, uint32_t tasks, struct need need)
{
    for (uint32_t i = 0; i < (tasks ? tasks : 1); i++) {
        struct unit *u = xcalloc(1, sizeof *u);
        u->key = (struct unit_key){job_id, tasks ? i : NO_VAL};
        u->need = need;
        HASH_ADD(hh, t->units, key, sizeof u->key, u);
    }
}

static void unit_drop(struct truth *t, struct unit *u)
{
    HASH_DEL(t->units, u);
    free(u);
}

void truth_forget(struct truth *t, uint32_t job_id)
{
    struct unit *u, *next;
    HASH_ITER(hh, t->units, u, next)
    {
        if (u->key.job_id == job_id)
            unit_drop(t, u);
    }
}

void truth_kept(struct world *w, const struct promise *p)
{
    struct unit *u, *next;
    HASH_ITER(hh, w->truth->units, u, next)
    {
        if (u->key.job_id != p->job_id || (p->task != NO_VAL && u->key.task != p->task))
            continue;
        switch (p->kind) {
        case PROMISE_SUBMIT:
            u->acked = true;
            w->truth->acked++;
            break;
        case PROMISE_CANCEL:
            u->cancelled = p->command > u->let_go;
            w->truth->cancelled++;
            break;
        case PROMISE_HOLD:
            u->held = p->command > u->let_go;
            break;
        case PROMISE_ACK:
            break;
        }
    }
}

void truth_let_go(struct world *w, uint32_t job_id, uint32_t task)
{
    struct unit *u, *next;
    HASH_ITER(hh, w->truth->units, u, next)
    {
        if (u->key.job_id != job_id || (task != NO_VAL && u->key.task != task))
            continue;
        u->cancelled = u->held = false;
        u->let_go = w->stats.commands;
    }
}

void truth_free(struct world *w, uint32_t job_id)
{
    struct unit *u, *next;
    HASH_ITER(hh, w->truth->units, u, next)
    {
        if (u->key.job_id == job_id)
            u->need.job_id = 0;
    }
}

/* ---- what the core says --------------------------------------------------------- */

static void times_check(struct world *w, const struct job_view *v)
{
    usec_t now = w->last, end = v->end ? v->end : now;
    if (v->submit > now || (v->start && v->start < v->submit) || v->start > now)
        broken(w, "job %u: submitted %lld, started %lld, now %lld", v->job_id,
               (long long)v->submit, (long long)v->start, (long long)now);
    if (v->end &&
        (v->end > now || v->end < v->submit || (v->start && v->end < v->start)))
        broken(w, "job %u: started %lld, ended %lld, now %lld", v->job_id,
               (long long)v->start, (long long)v->end, (long long)now);
    if (v->suspended_total < 0 || (v->start && v->suspended_total > end - v->start))
        broken(w, "job %u ran %lld us, of which suspended %lld", v->job_id,
               (long long)(end - v->start), (long long)v->suspended_total);
}

/* A run that is over stays as it ended, but for a cancel of the run that was to follow. */
static void ended_check(struct world *w, const struct job_view *v)
{
    struct ended *e;
    uint32_t id = v->job_id;
    HASH_FIND(hh, w->truth->ended, &id, sizeof id, e);
    if (e && e->restart == v->restart && e->state != v->state &&
        !(e->completing && v->state == JOB_CANCELLED))
        broken(w, "job %u was over as %s and is %s", id, job_state_name(e->state),
               job_state_name(v->state));
    if (!job_state_finished(v->state))
        return;
    if (!e) {
        e = xcalloc(1, sizeof *e);
        e->job_id = id;
        HASH_ADD(hh, w->truth->ended, job_id, sizeof e->job_id, e);
    }
    e->restart = v->restart;
    e->state = v->state;
    e->completing = v->flags & JOBF_COMPLETING;
}

void truth_changed(struct world *w, uint32_t job_id)
{
    struct job_view v;
    unsigned saw = 0;
    if (!core_job_view(w->core, job_id, false, &v))
        return;
    times_check(w, &v);
    ended_check(w, &v);
    if (v.start)
        saw = SAW_START;
    if (job_state_finished(v.state))
        saw = SAW_START | SAW_OVER | (v.state == JOB_COMPLETED ? SAW_GOOD : SAW_BAD);
    struct unit *u = unit_of(w, &v);
    if (u)
        u->saw |= saw;
    for (size_t i = 0; i < v.array_rest_count; i++)
        if ((u = unit_find(w->truth, v.array_job_id, v.array_rest[i])))
            u->saw |= saw;
}

static bool need_met(struct world *w, const struct need *n)
{
    unsigned want = n->kind == 's'   ? SAW_START
                    : n->kind == 'o' ? SAW_OVER
                    : n->kind == 'g' ? SAW_GOOD
                                     : SAW_BAD;
    bool all = true, any = false;
    struct unit *u, *next;
    HASH_ITER(hh, w->truth->units, u, next)
    {
        if (u->key.job_id != n->job_id)
            continue;
        all = all && (u->saw & want);
        any = any || (u->saw & want);
    }
    return n->kind == 'b' ? any : all;
}

void truth_crashed(struct truth *t)
{
    struct ended *e, *next;
    HASH_ITER(hh, t->ended, e, next)
    {
        HASH_DEL(t->ended, e);
        free(e);
    }
}

void truth_launched(struct world *w, uint32_t job_id)
{
    struct job_view v;
    struct unit *u = core_job_view(w->core, job_id, false, &v) ? unit_of(w, &v) : NULL;
    if (!u)
        broken(w, "job %u was launched, but nobody submitted it", job_id);
    if (u->cancelled)
        broken(w, "job %u_%u was launched after its cancel was acknowledged",
               u->key.job_id, u->key.task);
    if (u->held)
        broken(w, "job %u_%u was launched while held", u->key.job_id, u->key.task);
    if (u->need.job_id && !need_met(w, &u->need))
        broken(w, "job %u_%u was launched before job %u was %c", u->key.job_id,
               u->key.task, u->need.job_id, u->need.kind);
}

/* ---- what nodes do -------------------------------------------------------------- */

void truth_started(struct world *w, uint32_t node, struct run_key run)
{
    struct started *s = start_get(w->truth, node, run);
    w->truth->runs++;
    if (++s->times > 1)
        broken(w, "job %u restart %u ran twice on %s", run.job_id, run.restart,
               w->node[node].name);
}

void truth_ended(struct world *w, uint32_t node, struct run_key run, uint32_t status)
{
    start_get(w->truth, node, run)->good |= status == 0;
}

/* ---- all is quiet --------------------------------------------------------------- */

static bool ran_well(struct truth *t, uint32_t job_id)
{
    struct started *s, *next;
    HASH_ITER(hh, t->starts, s, next)
    {
        if (s->key.job_id == job_id && s->good)
            return true;
    }
    return false;
}

static void unit_settled(struct world *w, const struct unit *u)
{
    struct job_view v;
    uint32_t id = u->key.task == NO_VAL
                      ? u->key.job_id
                      : core_job_task(w->core, u->key.job_id, u->key.task);
    if (!id || !core_job_view(w->core, id, false, &v))
        broken(w, "acknowledged job %u_%u is lost", u->key.job_id, u->key.task);
    if (!job_state_finished(v.state) || v.flags)
        broken(w, "job %u (%u_%u) is stuck: %s, flags %u, %s", id, u->key.job_id,
               u->key.task, job_state_name(v.state), v.flags, v.reason_text);
    if (v.state == JOB_COMPLETED && !ran_well(w->truth, id))
        broken(w, "job %u is COMPLETED but did not run", id);
    if (v.state == JOB_CANCELLED && v.cancelled_by == 1001 && !u->cancel_asked)
        broken(w, "job %u is CANCELLED by its owner, who did not ask", id);
    w->truth->completed += v.state == JOB_COMPLETED;
}

void truth_settled(struct world *w)
{
    struct unit *u, *next;
    HASH_ITER(hh, w->truth->units, u, next)
    {
        if (u->acked)
            unit_settled(w, u);
    }
}

void truth_clear(struct truth *t)
{
    struct unit *u, *un;
    struct started *s, *sn;
    HASH_ITER(hh, t->units, u, un)
    {
        unit_drop(t, u);
    }
    truth_crashed(t);
    HASH_ITER(hh, t->starts, s, sn)
    {
        HASH_DEL(t->starts, s);
        free(s);
    }
}
