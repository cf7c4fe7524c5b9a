/* SPDX-License-Identifier: Apache-2.0
 *
 * What holds a pending job back before its nodes are looked at: all of it, not only what
 * Reason= shows.
 */
#include "sched/explain_parts.h"

#include "sched/advres.h"
#include "sched/kin.h"
#include "sched/license.h"
#include "sched/limits.h"

#include <stdlib.h>
#include <string.h>

#define DEPS_TOLD_MAX 8u  /* dependencies told one by one */
#define PARTS_TOLD_MAX 8u

struct held {
    struct core *c;
    const struct job *j;
    usec_t now, from;
    enum explain_after after;
    struct explanation *e;
};

static void later(struct held *h, usec_t from)
{
    if (from > h->from)
        h->from = from;
}

/* The first that applies is told. */
static void subject_to(struct held *h, enum explain_after after)
{
    if (h->after == AFTER_NONE)
        h->after = after;
}

/* ---- gates --------------------------------------------------------------------------------- */

static void hold_tell(struct held *h)
{
    const struct job *j = h->j;
    if (j->hold == 0)
        return;
    subject_to(h, AFTER_RELEASE);
    if (j->hold & HOLD_LAUNCH)
        EXPLAIN(h->e, EX_HELD_LAUNCH, EX_N(j->launch_failures));
    else if (j->flags & JOBF_RESV_DEL_HOLD)
        EXPLAIN(h->e, EX_HELD_RESV);
    else
        EXPLAIN(h->e, j->hold & HOLD_ADMIN ? EX_HELD_ADMIN : EX_HELD_USER);
}

/* When what it waits for is over, or has begun: INT64_MAX: nobody knows. */
static usec_t target_until(const struct dep *d, const struct job *t)
{
    if (!t || d->kind == DEP_AFTER || t->rest_count || t->array_id == t->id)
        return INT64_MAX;
    if (t->alloc)
        return plan_end(t);
    return t->resv && t->limit != SPAN_INFINITE ? t->resv->end : INT64_MAX;
}

static const char *target_state(const struct core *c, const struct dep *d, const struct job *t)
{
    const struct array *a = d->task == NO_VAL ? kin_array(c, d->target) : NULL;
    if (a)
        return a->running ? "RUNNING" : "PENDING";
    return t ? job_state_shown((enum job_state)t->state, t->flags, false) : "gone";
}

static void dep_tell(struct held *h, const struct dep *d)
{
    const char *task = d->task == NO_VAL ? "" : arena_printf(h->e->arena, "%u", d->task);
    const char *kind = depend_kind_name((enum dep_kind)d->kind);
    uint32_t id = d->task == NO_VAL ? d->target : core_job_task(h->c, d->target, d->task);
    const struct job *t = job_find(h->c, id);
    if (d->state == DEP_NEVER) {
        EXPLAIN(h->e, EX_DEPENDENCY_NEVER, EX_S(kind), EX_N(d->target), EX_S(task));
        later(h, INT64_MAX);
    } else if (d->kind == DEP_SINGLETON) {
        const struct namesakes *g = kin_namesakes(h->c, h->j);
        const struct job *first = g ? g->head : NULL;
        EXPLAIN(h->e, EX_SINGLETON, EX_S(text_of(h->c, h->j->name)),
                EX_N(first && first != h->j ? first->id : 0));
        later(h, first && first != h->j && first->alloc ? plan_end(first) : INT64_MAX);
    } else if (d->due) {
        EXPLAIN(h->e, EX_DEPENDENCY_DELAY, EX_N(d->target), EX_N(d->due));
        later(h, d->due);
    } else {
        usec_t until = target_until(d, t);
        bool known = until < h->now + SPAN_UNKNOWN / 2;
        EXPLAIN(h->e, EX_DEPENDENCY, EX_S(kind), EX_N(d->target), EX_S(task),
                EX_S(target_state(h->c, d, t)), EX_N(known ? until : 0));
        later(h, known ? until : INT64_MAX);
    }
}

static void deps_tell(struct held *h)
{
    const struct job *j = h->j;
    uint32_t told = 0, met = 0;
    for (uint32_t i = 0; i < j->deps_count; i++)
        met += j->deps[i].state == DEP_MET;
    if (met == j->deps_count || (j->deps_any && met))
        return;
    for (uint32_t i = 0; i < j->deps_count && told < DEPS_TOLD_MAX; i++) {
        if (j->deps[i].state == DEP_MET)
            continue;
        dep_tell(h, &j->deps[i]);
        told++;
    }
    subject_to(h, AFTER_DEPENDENCY);
}

static void array_tell(struct held *h)
{
    const struct job *j = h->j;
    if (!j->throttle || !j->array || j->array->running < j->throttle)
        return;
    usec_t first = INT64_MAX;
    for (uint32_t i = 0; i < h->c->running.count; i++) {
        const struct job *t = h->c->running.v[i];
        if (t->array == j->array && plan_end(t) < first)
            first = plan_end(t);
    }
    EXPLAIN(h->e, EX_ARRAY_LIMIT, EX_N(j->array->running), EX_N(j->throttle));
    later(h, first);
}

/* ---- partitions and limits --------------------------------------------------------------------- */

static const char *owner_text(const struct held *h, const struct limit_found *f)
{
    const struct tenants *tn = h->c->tenants;
    if (f->qos != NONE)
        return arena_printf(h->e->arena, "QOS %s", text_of(h->c, tn->qos[f->qos].name));
    if (f->assoc == ASSOC_ROOT)
        return "the cluster";
    const struct assoc *a = &tn->assoc[f->assoc];
    if (a->user == 0)
        return arena_printf(h->e->arena, "account %s", text_of(h->c, a->account));
    return arena_printf(h->e->arena, "user %s in account %s", text_of(h->c, a->user),
                        text_of(h->c, a->account));
}

static void limit_tell(void *arg, const struct limit_found *f)
{
    struct held *h = arg;
    const struct limit_row *row = &limit_table[f->kind];
    bool spans = row->unit == LIMIT_SPAN || row->unit == LIMIT_TRES_MINS;
    bool of_tres = row->unit == LIMIT_TRES || row->unit == LIMIT_TRES_MINS;
    bool mib = row->unit == LIMIT_TRES && tres_class(f->tres) == TRES_CLASS_MEM;
    const struct explain_value name = EX_S(row->name), owner = EX_S(owner_text(h, f));
    const struct explain_value tres = EX_S(of_tres ? f->tres : "");
    const struct explain_value unit = EX_S(spans ? "minutes" : mib ? "MiB" : "");
    subject_to(h, AFTER_LIMITS);
    if (f->kind == LIMIT_MIN_TRES)
        EXPLAIN(h->e, EX_LIMIT_LEAST, name, tres, owner, EX_N(f->allows), EX_N(f->asks), unit);
    else if (f->asks > f->allows)
        EXPLAIN(h->e, EX_LIMIT_MOST, name, tres, owner, EX_N(f->allows), EX_N(f->asks), unit);
    else
        EXPLAIN(h->e, EX_LIMIT_USE, name, tres, owner, EX_N(f->allows), EX_N(f->used),
                EX_N(f->asks), unit);
}

/* What limits_check() looks at before the limits themselves. */
static void standing_tell(struct held *h)
{
    struct core *c = h->c;
    struct job copy = *h->j;
    enum job_reason held = limits_check(c, &copy, NONE, NULL);
    const char *qos = text_of(c, copy.qos);
    if (held == REASON_INVALID_ACCOUNT)
        EXPLAIN(h->e, EX_ACCOUNT, EX_S(text_of(c, copy.account)));
    else if (held == REASON_INVALID_QOS)
        EXPLAIN(h->e, EX_QOS, EX_S(qos));
    else if (held == REASON_QOS_USAGE_THRESHOLD)
        EXPLAIN(h->e, EX_THRESHOLD, EX_S(qos));
    else
        return;
    subject_to(h, AFTER_LIMITS);
}

/* True: it may start jobs like this one. */
static bool part_tell(struct held *h, uint32_t part)
{
    const struct partition *p = &h->c->part[part];
    const char *name = p->conf.name;
    usec_t limit = parts_limit(p, h->j->limit_given ? h->j->limit : 0);
    if (p->state == PART_DOWN)
        EXPLAIN(h->e, EX_PART_DOWN, EX_S(name));
    else if (p->state == PART_INACTIVE)
        EXPLAIN(h->e, EX_PART_INACTIVE, EX_S(name));
    else if (limit > p->conf.time_max)
        EXPLAIN(h->e, EX_PART_TIME, EX_S(name), EX_N(limit), EX_N(p->conf.time_max));
    else
        return true;
    return false;
}

/* The partition's limits count where it would run; those of the first that is open are told. */
static void parts_tell(struct held *h)
{
    struct jobclass own = {.parts_gen = NONE};
    uint32_t open = NONE;
    class_parts(h->c, &own, text_of(h->c, h->j->parts));
    if (own.parts == 0)
        EXPLAIN(h->e, EX_PART_NONE, EX_S(text_of(h->c, h->j->parts)));
    for (uint32_t i = 0; i < own.parts && i < PARTS_TOLD_MAX; i++)
        if (part_tell(h, own.part[i]) && open == NONE)
            open = own.part[i];
    free(own.part);
    if (open == NONE)
        subject_to(h, AFTER_PARTITION);
    else
        limits_each(h->c, h->j, open, limit_tell, h);
}

/* ---- licenses and reservations ------------------------------------------------------------------ */

static void licenses_tell(struct held *h)
{
    struct license_lack lack[LICENSE_ITEMS_MAX];
    const struct job *j = h->j;
    uint32_t n = license_lacks(h->c, j, h->now + plan_span(j, j->limit ? j->limit : SPAN_INFINITE),
                               lack);
    for (uint32_t i = 0; i < n; i++) {
        const struct license_lack *l = &lack[i];
        const struct explain_value name = EX_S(text_of(h->c, l->name));
        const struct explain_value until = EX_N(l->until == SPAN_INFINITE ? 0 : l->until);
        if (l->promised)
            EXPLAIN(h->e, EX_LICENSE_PROMISED, name, EX_N(l->asks), until);
        else
            EXPLAIN(h->e, EX_LICENSE, name, EX_N(l->asks - l->free), EX_N(l->asks), EX_N(l->free),
                    EX_N(l->total), until);
        if (l->until == SPAN_INFINITE)
            subject_to(h, AFTER_LICENSES);
    }
}

static const struct advres *advres_named(const struct core *c, const char *name, size_t n)
{
    for (uint32_t i = 0; i < c->advress; i++)
        if (strlen(c->advres[i]->name) == n && memcmp(c->advres[i]->name, name, n) == 0)
            return c->advres[i];
    return NULL;
}

static void reservation_tell(struct held *h)
{
    const char *p = text_of(h->c, h->c->request[h->j->request].reservation);
    if (*p == '\0' || advres_open(h->c, h->j, h->now))
        return;
    for (size_t n; *p; p += n + (p[n] == ',')) {
        n = strcspn(p, ",");
        const struct advres *r = advres_named(h->c, p, n);
        const char *name = arena_printf(h->e->arena, "%.*s", (int)n, p);
        if (!r)
            EXPLAIN(h->e, EX_RESV_NONE, EX_S(name));
        else
            EXPLAIN(h->e, EX_RESV_BEGINS, EX_S(name), EX_N(r->start));
    }
    subject_to(h, AFTER_RESERVATION);
}

enum explain_after explain_held(struct core *c, const struct job *j, usec_t now, usec_t *from,
                                struct explanation *e)
{
    struct held h = {.c = c, .j = j, .now = now, .from = *from, .e = e};
    hold_tell(&h);
    deps_tell(&h);
    if (j->begin > now) {
        EXPLAIN(e, EX_BEGIN, EX_N(j->begin));
        later(&h, j->begin);
    }
    array_tell(&h);
    parts_tell(&h);
    standing_tell(&h);
    licenses_tell(&h);
    reservation_tell(&h);
    *from = h.from;
    return h.after;
}
