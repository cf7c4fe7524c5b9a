/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/plan.h"

#include "base/buf.h"
#include "sched/advres.h"
#include "sched/constraint.h"
#include "sched/kin.h"
#include "sched/license.h"
#include "sched/request.h"
#include "sched/tenant.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- batches -------------------------------------------------------------------- */

void batch_init(struct batch *b)
{
    memset(b, 0, sizeof *b);
}

void batch_clear(struct batch *b)
{
    b->changes_count = b->effects_count = 0;
    b->job_id = 0;
    b->start_estimate = 0;
    b->nodes_estimate[0] = b->resv_name[0] = '\0';
    buf_clear(&b->said);
    buf_clear(&b->explained);
}

void batch_fini(struct batch *b)
{
    free(b->changes);
    free(b->effects);
    buf_fini(&b->said);
    buf_fini(&b->explained);
    memset(b, 0, sizeof *b);
}

void batch_change(struct batch *b, enum change_kind kind, uint32_t id, uint32_t sub)
{
    /* the latest entries are where a repeat is: one command touches few entities */
    for (size_t i = b->changes_count; i > 0 && i + 16 > b->changes_count; i--) {
        struct change *ch = &b->changes[i - 1];
        if (ch->kind == kind && ch->id == id && ch->sub == sub)
            return;
    }
    GROW(b->changes, b->changes_cap, b->changes_count + 1);
    b->changes[b->changes_count++] = (struct change){kind, id, sub};
}

struct effect *batch_effect(struct batch *b, enum effect_kind kind)
{
    GROW(b->effects, b->effects_cap, b->effects_count + 1);
    struct effect *e = &b->effects[b->effects_count++];
    memset(e, 0, sizeof *e);
    e->kind = kind;
    return e;
}

/* ---- sets of jobs -------------------------------------------------------------------- */

void jobset_put(struct jobset *s, enum job_set set, struct job *j, bool member)
{
    if (member == (j->place[set] != NONE))
        return;
    if (member) {
        GROW(s->v, s->cap, s->count + 1);
        j->place[set] = s->count;
        s->v[s->count++] = j;
        return;
    }
    struct job *last = s->v[--s->count];
    s->v[j->place[set]] = last;
    last->place[set] = j->place[set];
    j->place[set] = NONE;
}

/* ---- timers: a binary heap by time --------------------------------------------------- */

static bool timer_before(const struct timer *a, const struct timer *b)
{
    if (a->at != b->at)
        return a->at < b->at;
    return a->kind != b->kind ? a->kind < b->kind : a->id < b->id;
}

void timer_add(struct core *c, usec_t at, enum timer_kind kind, uint32_t id)
{
    if (at == SPAN_INFINITE || at == 0)
        return;
    GROW(c->timer, c->timers_cap, c->timers + 1);
    uint32_t i = c->timers++;
    struct timer t = {at, kind, id};
    while (i > 0 && timer_before(&t, &c->timer[(i - 1) / 2])) {
        c->timer[i] = c->timer[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    c->timer[i] = t;
}

bool timer_take(struct core *c, usec_t now, struct timer *out)
{
    if (c->timers == 0 || c->timer[0].at > now)
        return false;
    *out = c->timer[0];
    struct timer t = c->timer[--c->timers];
    uint32_t i = 0;
    for (;;) {
        uint32_t k = 2 * i + 1;
        if (k >= c->timers)
            break;
        if (k + 1 < c->timers && timer_before(&c->timer[k + 1], &c->timer[k]))
            k++;
        if (!timer_before(&c->timer[k], &t))
            break;
        c->timer[i] = c->timer[k];
        i = k;
    }
    if (c->timers > 0)
        c->timer[i] = t;
    return true;
}

usec_t core_next_wakeup(const struct core *c)
{
    return c->timers ? c->timer[0].at : INT64_MAX;
}

/* ---- life of a core -------------------------------------------------------------------- */

static int name_find(const char *const *names, int count, const char *name)
{
    int i = 0;
    while (i < count && strcmp(names[i], name) != 0)
        i++;
    return i < count ? i : -1;
}

int plan_order_find(const char *name)
{
    static const char *const names[PLAN_ORDER_COUNT] = {"priority", "fcfs", "due"};
    return name_find(names, PLAN_ORDER_COUNT, name);
}

int backfill_find(const char *name)
{
    static const char *const names[BACKFILL_COUNT] = {"none", "easy", "conservative"};
    return name_find(names, BACKFILL_COUNT, name);
}

int backfill_candidates_find(const char *name)
{
    static const char *const names[CANDIDATES_COUNT] = {"queue", "shortest"};
    return name_find(names, CANDIDATES_COUNT, name);
}

struct core *core_create(const struct core_policy *policy, struct err *err)
{
    if (policy->job_id_first == 0 || policy->job_id_first > policy->job_id_max) {
        err_set(err, -EINVAL, "job ids %u to %u: no such range", policy->job_id_first,
                policy->job_id_max);
        return NULL;
    }
    struct core *c = xcalloc(1, sizeof *c);
    c->policy = *policy;
    c->policy.licenses = NULL;
    c->loading = true;
    c->job_id_next = policy->job_id_first;
    c->priority_next = PRIORITY_TOP;
    c->queue_sorted = true;
    c->pass = c->up_gen = c->sweep = 1;
    c->predict = predict_create();
    intern_init(&c->text);
    intern_init(&c->blobs);
    intern_init(&c->request_keys);
    intern_init(&c->shape_keys);
    intern_init(&c->class_keys);
    intern_init(&c->constraint_keys);
    intern_init(&c->feature_lists);
    intern_init(&c->models);
    c->models_gen = NONE;
    c->feature_gen = NONE;
    c->advres_next = 1;
    idmap_init(&c->node_by_name);
    arena_init(&c->scratch);
    c->gpu_name = intern_text(&c->text, "gpu");
    tenants_create(c);
    if (tenants_configure(c, policy, err) == 0)
        return c;
    core_destroy(c);
    return NULL;
}

const struct fabric *core_fabric_view(const struct core *c)
{
    return c->fabric;
}

void core_fabric(struct core *c, struct fabric *f)
{
    fabric_destroy(c->fabric);
    c->fabric = f;
    c->nodes_gen++;
    plan_afresh(c);
}

void core_destroy(struct core *c)
{
    if (!c)
        return;
    queue_sort(c); /* the last in the table is quickly found in it */
    reservations_clear(c);
    while (c->jobs)
        job_drop(c, c->job[c->jobs - 1], NULL);
    free(c->job);
    free(c->running.v);
    kin_fini(c);
    classes_fini(c);
    free(c->timer);
    free(c->resv);
    free(c->relief);
    free(c->at);
    free(c->candidate);
    free(c->leaf_try);
    pieces_free(c);
    timeline_fini(&c->timeline);
    predict_destroy(c->predict);
    parts_fini(c);
    nodes_fini(c);
    for (uint32_t i = 0; i < c->kinds; i++) {
        intern_drop(&c->text, c->kind[i].name);
        intern_drop(&c->text, c->kind[i].type);
    }
    for (int k = 0; k < ROOMS_KINDS; k++)
        rooms_fini(&c->rooms[k]);
    fabric_destroy(c->fabric);
    gpu_target_free(c);
    free(c->leaf_first);
    free(c->leaf_node);
    requests_fini(c);
    constraints_fini(c);
    license_fini(c);
    tenants_destroy(c);
    advres_fini(c);
    free(c->shape);
    idmap_fini(&c->node_by_name);
    intern_drop(&c->text, c->gpu_name);
    intern_fini(&c->text);
    intern_fini(&c->blobs);
    intern_fini(&c->request_keys);
    intern_fini(&c->shape_keys);
    intern_fini(&c->class_keys);
    arena_fini(&c->scratch);
    free(c);
}

bool core_plan_wanted(const struct core *c)
{
    return c->plan_wanted || c->woken_count;
}

/* ---- the transition table ------------------------------------------------------------------ */

static const struct {
    const char *from, *event, *to;
} transitions[] = {
    {"(none)", "submit", "PENDING"},
    {"PENDING", "plan", "RUNNING+CONFIGURING"},
    {"PENDING", "cancel", "CANCELLED"},
    {"PENDING", "deadline", "DEADLINE"},
    {"RUNNING+CONFIGURING", "launched on each node", "RUNNING"},
    {"RUNNING", "suspend", "SUSPENDED"},
    {"SUSPENDED", "resume", "RUNNING"},
    {"RUNNING", "done, exit 0", "COMPLETED+COMPLETING"},
    {"RUNNING", "done, not 0", "FAILED+COMPLETING"},
    {"RUNNING", "cancel", "CANCELLED+COMPLETING"},
    {"RUNNING", "time limit", "TIMEOUT+COMPLETING"},
    {"RUNNING", "node lost", "NODE_FAIL+COMPLETING"},
    {"RUNNING", "out of memory", "OUT_OF_MEMORY+COMPLETING"},
    {"RUNNING", "requeue, launch failure", "PENDING+COMPLETING"},
    {"(final)+COMPLETING", "clean on each node", "(final)"},
    {"PENDING+COMPLETING", "clean on each node", "PENDING"},
    {"(final)", "requeue", "PENDING"},
    {"(final)", "job_keep over", "(none)"},
};

void core_states_print(struct buf *out)
{
    for (size_t i = 0; i < sizeof transitions / sizeof *transitions; i++)
        buf_printf(out, "%-22s %-26s %s\n", transitions[i].from, transitions[i].event,
                   transitions[i].to);
}
