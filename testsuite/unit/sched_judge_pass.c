/* SPDX-License-Identifier: Apache-2.0
 *
 * What a whole pass, and time, must have brought about.
 */
#include "sched_judge.h"

#include "base/buf.h"
#include "sched/advres.h"
#include "sched/license.h"
#include "sched/limits.h"
#include "sched/plan.h"
#include "sched/tenant.h"
#include "sched_truth.h"
#include "sched_world.h"

#include <stdlib.h>
#include <string.h>

void judge_fini(struct judge *g)
{
    free(g->promise);
    free(g->queued);
    free(g->victim);
    memset(g, 0, sizeof *g);
}

bool judge_promised(const struct judge *g, uint32_t job_id)
{
    for (size_t i = 0; i < g->promises; i++)
        if (g->promise[i].job_id == job_id)
            return true;
    return false;
}

void judge_begin(struct world *w)
{
    w->judge.promises = w->judge.queued_count = w->judge.victims = 0;
    w->judge.disturbed = true;
}

/* ---- reasons and depth -------------------------------------------------------------------- */

static void rule_reason(struct world *w)
{
    for (uint32_t i = 0; i < w->core->jobs; i++) {
        const struct job *j = w->core->job[i];
        struct job_view v;
        if (j->state == JOB_PENDING && !(j->flags & JOBF_COMPLETING) &&
            core_job_view(w->core, j->id, false, &v) && v.reason == REASON_NONE)
            broken(w, "reason: job %u waits without one, gate %d", j->id, j->gate);
    }
}

static void rule_depth(struct world *w)
{
    const struct core *c = w->core;
    uint32_t depth = c->policy.backfill == BACKFILL_CONSERVATIVE ? c->policy.backfill_depth : 1;
    for (uint32_t p = 0; p < c->parts; p++) {
        uint32_t promised = 0;
        uint64_t most = c->policy.plan_order == PLAN_DUE ? 2 * (uint64_t)depth : depth;
        for (uint32_t i = 0; i < c->resv_count; i++)
            promised += c->resv[i]->part == p;
        if (promised > most)
            broken(w, "depth: %u promises in partition %s", promised, c->part[p].conf.name);
    }
}

/* Where nothing else is promised, one that fits now does not wait. */
static void rule_idle(struct world *w)
{
    struct core *c = w->core;
    struct placement p = {0};
    bool backfill = c->policy.backfill != BACKFILL_NONE;
    const struct reservation *r = backfill && c->resv_count == 1 ? c->resv[0] : NULL;
    bool switches = r && c->request[r->job->request].switches; /* may wait for fewer */
    if (r && r->start > w->last + 1 && !switches && !(r->job->throttle && r->job->rest_count) &&
        place(c, r->job, r->part, rooms_of(c, ROOMS_NOW), NULL, &p) == 1 &&
        limits_check(c, r->job, r->part, &p) == REASON_NONE &&
        advres_open(c, r->job, w->last) && license_fits(c, r->job, INT64_MAX))
        broken(w, "idle: job %u would fit now, and is to start in %lld us", r->job->id,
               (long long)(r->start - w->last));
    free(p.node);
}

/* ---- promises -------------------------------------------------------------------------------- */

static uint64_t run_of(const struct job *j)
{
    return (uint64_t)j->id << 32 | j->restart;
}

static int by_run(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static bool stood(const struct judge *g, const struct job *j)
{
    uint64_t run = run_of(j);
    return g->queued_count &&
           bsearch(&run, g->queued, g->queued_count, sizeof run, by_run) != NULL;
}

/* Who has left the queue counts as new when it comes back. */
static void queued_prune(struct world *w)
{
    struct judge *g = &w->judge;
    size_t n = 0;
    for (size_t i = 0; i < g->queued_count; i++) {
        const struct job *j = job_find(w->core, (uint32_t)(g->queued[i] >> 32));
        if (j && j->queued && run_of(j) == g->queued[i])
            g->queued[n++] = g->queued[i];
    }
    g->queued_count = n;
}

/* Who came to stand before a promise may move it. */
static bool overtaken(struct world *w)
{
    struct core *c = w->core;
    for (uint32_t i = 0; i < c->jobs; i++) {
        const struct job *j = c->job[i];
        bool started = j->state == JOB_RUNNING && j->start == w->last;
        if ((!j->queued && !started) || stood(&w->judge, j))
            continue;
        for (size_t k = 0; k < w->judge.promises; k++) {
            const struct job *p = job_find(c, w->judge.promise[k].job_id);
            if (p && p->queued && queue_order(&j, &p, c) < 0)
                return true;
        }
    }
    return false;
}

/* Something holds its nodes for longer than was planned, or a start was due before. */
static bool late(const struct world *w)
{
    for (size_t i = 0; i < w->judge.promises; i++)
        if (w->judge.promise[i].start < w->last)
            return true;
    for (uint32_t i = 0; i < w->core->running.count; i++)
        if (w->core->running.v[i]->free_at <= w->last)
            return true;
    return false;
}

/* Due times and predictions move with time. */
static bool promises_move(const struct world *w)
{
    return w->policy.plan_order == PLAN_DUE || w->policy.predict || w->policy.multifactor;
}

static void rule_promise(struct world *w)
{
    for (size_t i = 0; i < w->judge.promises; i++) {
        const struct judge_promise *p = &w->judge.promise[i];
        const struct job *j = job_find(w->core, p->job_id);
        if (!j || !j->queued || j->restart != p->restart || j->rest_count != p->rest ||
            p->start <= w->last || w->core->request[j->request].licenses)
            continue; /* licenses are counted, not planned: who lacks one has no promise */
        bool waits_for_room = j->reason == REASON_RESOURCES || j->reason == REASON_PRIORITY;
        if (!j->resv && waits_for_room)
            broken(w, "promise: job %u has lost its start", p->job_id);
        if (j->resv && j->resv->start > p->start)
            broken(w, "promise: job %u is to start %lld us later than was promised",
                   p->job_id, (long long)(j->resv->start - p->start));
        w->judge.kept++;
    }
}

static void promises_note(struct world *w)
{
    struct judge *g = &w->judge;
    const struct core *c = w->core;
    g->promises = g->queued_count = 0;
    g->disturbed = false;
    for (uint32_t i = 0; i < c->resv_count; i++) {
        const struct job *j = c->resv[i]->job;
        struct judge_promise p = {j->id, j->restart, j->rest_count, c->resv[i]->start};
        PUSH(g->promise, g->promises, g->promises_cap, p);
    }
    for (uint32_t i = 0; i < c->jobs; i++)
        if (c->job[i]->queued)
            PUSH(g->queued, g->queued_count, g->queued_cap, run_of(c->job[i]));
}

/* ---- victims ------------------------------------------------------------------------------------ */

static bool on_its_nodes(const struct core *c, uint32_t part, const struct job *victim)
{
    for (uint32_t i = 0; victim->alloc && i < victim->alloc->count; i++)
        if (core_partition_has(c, part, victim->alloc->node[i].node))
            return true;
    return false;
}

static bool tier_above(const struct core *c, const struct job *j, const struct job *victim)
{
    long of = parts_find(c, text_of(c, victim->partition));
    for (uint32_t p = 0; p < c->parts; p++)
        if (names_has(text_of(c, j->parts), c->part[p].conf.name) && of >= 0 &&
            c->part[p].conf.priority_tier > c->part[of].conf.priority_tier &&
            on_its_nodes(c, p, victim))
            return true;
    return false;
}

static bool entitled(const struct core *c, const struct job *j, const struct job *victim)
{
    if (c->policy.preempt == PREEMPT_TIER)
        return tier_above(c, j, victim);
    uint32_t q = qos_find(c, text_of(c, j->qos));
    return c->policy.preempt == PREEMPT_QOS && q != NONE &&
           names_has(text_of(c, c->tenants->qos[q].preempt), text_of(c, victim->qos));
}

static void rule_victim(struct world *w, const struct job *victim)
{
    const struct core *c = w->core;
    long part = parts_find(c, text_of(c, victim->partition));
    usec_t ran = w->last - victim->start;
    bool fair = false;
    if (c->policy.preempt == PREEMPT_TIER && part >= 0 && c->part[part].conf.preempt_mode &&
        strcmp(c->part[part].conf.preempt_mode, "off") == 0)
        broken(w, "victim: job %u was preempted in a partition that forbids it", victim->id);
    if (victim->start && ran < c->policy.preempt_exempt)
        broken(w, "victim: job %u was preempted after %lld us", victim->id, (long long)ran);
    for (uint32_t i = 0; i < c->jobs && !fair; i++) {
        const struct job *j = c->job[i];
        bool wants = j->queued || (j->state == JOB_RUNNING && j->start == w->last);
        fair = j != victim && wants && entitled(c, j, victim);
    }
    if (!fair)
        broken(w, "victim: job %u was preempted, and for nobody above it", victim->id);
}

static bool was_victim(const struct judge *g, uint32_t id)
{
    for (size_t i = 0; i < g->victims; i++)
        if (g->victim[i] == id)
            return true;
    return false;
}

/* ---- a pass -------------------------------------------------------------------------------------- */

void judge_pass_begin(struct world *w)
{
    struct judge *g = &w->judge;
    struct core *c = w->core;
    queued_prune(w);
    g->disturbed = g->disturbed || c->plan_afresh || late(w) || overtaken(w);
    g->victims = 0;
    for (uint32_t i = 0; i < c->jobs; i++)
        if (c->job[i]->preempt_at)
            PUSH(g->victim, g->victims, g->victims_cap, c->job[i]->id);
}

void judge_pass_end(struct world *w, bool whole)
{
    const struct core *c = w->core;
    for (uint32_t i = 0; i < c->jobs; i++)
        if (c->job[i]->preempt_at && !was_victim(&w->judge, c->job[i]->id))
            rule_victim(w, c->job[i]);
    w->judge.disturbed = w->judge.disturbed || overtaken(w);
    if (!whole) {
        queued_prune(w);
        return;
    }
    w->judge.passes++;
    rule_reason(w);
    rule_depth(w);
    rule_idle(w);
    if (!w->judge.disturbed && !promises_move(w))
        rule_promise(w);
    promises_note(w);
}

/* ---- time ------------------------------------------------------------------------------------------- */

static void job_in_time(struct world *w, const struct job *j)
{
    usec_t now = w->last, over = w->policy.over_time_limit;
    bool live = j->state == JOB_PENDING || j->state == JOB_RUNNING || j->state == JOB_SUSPENDED;
    if (j->state == JOB_RUNNING && j->limit != SPAN_INFINITE &&
        now >= j->start + j->suspended_total + j->limit + over)
        broken(w, "timelimit: job %u runs beyond its limit", j->id);
    if (j->state == JOB_RUNNING && j->until && now >= j->until)
        broken(w, "timelimit: job %u runs beyond its reservation", j->id);
    if (live && j->deadline && now >= j->deadline && !(j->flags & JOBF_COMPLETING))
        broken(w, "deadline: job %u is behind it as %s", j->id,
               job_state_name((enum job_state)j->state));
    if (j->state == JOB_PENDING && !(j->flags & JOBF_COMPLETING) &&
        j->reason == REASON_BEGIN_TIME && j->begin <= now)
        broken(w, "begin: job %u waits for a time that has come", j->id);
    if (j->state == JOB_PREEMPTED && j->preempt_at && j->end < j->preempt_at)
        broken(w, "grace: job %u was ended before its grace time was over", j->id);
    if ((j->state == JOB_RUNNING || j->state == JOB_SUSPENDED) && j->preempt_at &&
        now >= j->preempt_at)
        broken(w, "grace: job %u outlives its grace time", j->id);
}

void judge_tick(struct world *w)
{
    const struct core *c = w->core;
    w->judge.ticks++;
    for (uint32_t i = 0; i < c->jobs; i++)
        job_in_time(w, c->job[i]);
    for (uint32_t i = 0; i < c->nodes; i++) {
        const struct node *n = &c->node[i];
        if (!n->connected && n->lost_at && w->last >= n->lost_at + w->policy.node_timeout &&
            n->down == DOWN_NONE)
            broken(w, "silent: node %s is not given up", n->name);
    }
    for (uint32_t i = 0; i < c->advress; i++)
        if (c->advres[i]->end <= w->last)
            broken(w, "reserved: %s is over and still there", c->advres[i]->name);
    if (core_next_wakeup(c) <= w->last)
        broken(w, "timer: one is due and was not served");
}
