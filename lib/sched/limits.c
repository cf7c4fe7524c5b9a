/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/limits.h"

#include "sched/tres.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LAYERS_MAX 66 /* two QOS and the depth of the tree, which tenant_apply bounds */

enum when { WHEN_START, WHEN_SUBMIT, WHEN_ALONE /* could it ever start? */ };

struct layer {
    const struct limits *limits;
    const struct usage *usage;
    unsigned owner; /* LIMIT_OF_QOS, LIMIT_OF_ASSOC */
    uint32_t qos, assoc; /* whose: index; the other is NONE */
    bool root;
};
struct probe {
    struct core *c;
    const struct job *j;
    enum when when;
    uint32_t part_qos, tasks;
    usec_t span;              /* its time limit */
    const struct limits_more *more; /* never NULL */
    uint64_t tres[TRES_MAX], node[TRES_MAX];
    uint32_t factor;          /* thousandths: of usage */
    uint32_t limit_factor;    /* thousandths: of associations' limits of resources */
    struct layer layer[LAYERS_MAX];
    uint32_t layers;
};

static bool of_group(enum limit_kind k)
{
    return k == LIMIT_GRP_JOBS || k == LIMIT_GRP_SUBMIT || k == LIMIT_GRP_TRES ||
           k == LIMIT_GRP_TRES_MINS || k == LIMIT_GRP_RUN_MINS || k == LIMIT_GRP_WALL;
}

static bool of_submission(enum limit_kind k)
{
    return k == LIMIT_GRP_SUBMIT || k == LIMIT_MAX_SUBMIT || k == LIMIT_MAX_SUBMIT_PU ||
           k == LIMIT_MAX_SUBMIT_PA;
}

/* A QOS' limit on its users is the same limit as an association's on itself. */
static enum limit_kind as_assoc(enum limit_kind k)
{
    return k == LIMIT_MAX_JOBS_PU ? LIMIT_MAX_JOBS : k == LIMIT_MAX_SUBMIT_PU ? LIMIT_MAX_SUBMIT : k;
}

static bool sets(const struct layer *l, enum limit_kind kind, uint32_t tres)
{
    for (uint32_t i = 0; i < l->limits->count; i++) {
        const struct limit_value *v = &l->limits->v[i];
        if (v->tres == tres && (v->kind == kind || as_assoc((enum limit_kind)v->kind) == kind))
            return true;
    }
    return false;
}

/* Does an earlier layer speak for this one? */
static bool shadowed(const struct probe *p, uint32_t at, const struct limit_value *v)
{
    for (uint32_t i = 0; i < at; i++) {
        if (of_group((enum limit_kind)v->kind) && p->layer[i].owner == LIMIT_OF_ASSOC)
            break;
        if (sets(&p->layer[i], (enum limit_kind)v->kind, v->tres))
            return true;
    }
    return false;
}

static void layer_add(struct probe *p, const struct limits *l, const struct usage *u,
                      uint32_t qos, uint32_t assoc)
{
    if (l->count && p->layers < LAYERS_MAX)
        p->layer[p->layers++] = (struct layer){l, u, qos == NONE ? LIMIT_OF_ASSOC : LIMIT_OF_QOS,
                                               qos, assoc, assoc == ASSOC_ROOT};
}

static void layers_find(struct probe *p)
{
    const struct tenants *tn = p->c->tenants;
    const struct job *j = p->j;
    uint32_t first = p->part_qos, second = j->qos_id;
    if (second != NONE && tn->qos[second].flags & QOSF_OVER_PART_QOS) {
        first = j->qos_id;
        second = p->part_qos;
    }
    if (first != NONE)
        layer_add(p, &tn->qos[first].limits, &tn->qos[first].usage, first, NONE);
    if (second != NONE)
        layer_add(p, &tn->qos[second].limits, &tn->qos[second].usage, second, NONE);
    for (uint32_t i = j->assoc; i != NONE; i = tn->assoc[i].parent)
        layer_add(p, &tn->assoc[i].limits, &tn->assoc[i].usage, NONE, i);
}

/* ---- one limit ------------------------------------------------------------------------- */

/* Exceeded when more than `allows` would be in use, or, of a least, when less is asked for. */
struct measure {
    amount_t used, asks, allows;
    bool least;
};

static amount_t minutes(uint64_t m)
{
    return (amount_t)m * 60 * AMOUNT_PER_SEC;
}

/* What it would use if it ran to its limit. */
static amount_t need(const struct probe *p, uint32_t tres)
{
    return (amount_t)p->tres[tres] * p->factor * (amount_t)p->span;
}

static void measure_minutes(const struct probe *p, const struct layer *l, uint32_t tres,
                            struct measure *m)
{
    const struct tenants *tn = p->c->tenants;
    struct usage u = *l->usage;
    bool decays = l->owner == LIMIT_OF_ASSOC || !(tn->qos[l->qos].flags & QOSF_NO_DECAY);
    m->asks = 0;
    if (l->root) /* sacctmgr(1): not enforced there */
        return;
    m->asks = need(p, tres);
    if (p->when == WHEN_ALONE)
        return;
    usage_settle(&u, &tn->decay, decays, tn->tres_count, p->c->now);
    m->used = u.used[tres];
    if (p->c->policy.enforce & ENFORCE_SAFE)
        m->used += usage_due(&u, tres, p->c->now);
    else
        m->asks = 1; /* it may start until all are used */
}

static const struct usage *part_usage(const struct probe *p, const struct layer *l, bool is_account)
{
    static const struct usage none;
    const struct qos_part *part =
        qos_part_get(p->c, l->qos, is_account, is_account ? p->j->account : p->j->user, false);
    return part ? &part->usage : &none;
}

static struct measure measure(const struct probe *p, const struct layer *l,
                              const struct limit_value *v)
{
    const struct tenants *tn = p->c->tenants;
    enum limit_kind kind = (enum limit_kind)v->kind;
    const struct usage *own = p->j->assoc == NONE ? l->usage : &tn->assoc[p->j->assoc].usage;
    struct measure m = {.asks = 1, .allows = v->value, .least = kind == LIMIT_MIN_TRES};
    enum limit_unit unit = limit_table[kind].unit;
    uint32_t t = v->tres;
    if (unit == LIMIT_TRES) {
        m.asks = p->tres[t];
        if (l->owner != LIMIT_OF_QOS && p->limit_factor)
            m.allows = (uint64_t)((amount_t)v->value * p->limit_factor / 1000);
    } else if (unit == LIMIT_TRES_MINS || unit == LIMIT_SPAN) {
        m.allows = minutes(v->value);
        m.asks = need(p, t);
    }
    switch (kind) {
    case LIMIT_GRP_JOBS:
        m.used = l->usage->running + p->more->jobs;
        break;
    case LIMIT_GRP_SUBMIT:
        m.used = l->usage->submitted;
        m.asks = p->tasks;
        break;
    case LIMIT_GRP_TRES:
        m.used = l->usage->alloc[t] + p->more->tres[t];
        break;
    case LIMIT_GRP_TRES_MINS:
        measure_minutes(p, l, t, &m);
        break;
    case LIMIT_GRP_WALL:
        measure_minutes(p, l, TRES_WALL, &m);
        break;
    case LIMIT_GRP_RUN_MINS:
        m.used = usage_due(l->usage, t, p->c->now);
        break;
    case LIMIT_MAX_JOBS:
        m.used = own->running + p->more->jobs;
        break;
    case LIMIT_MAX_SUBMIT:
        m.used = own->submitted;
        m.asks = p->tasks;
        break;
    case LIMIT_MAX_TRES_NODE:
        m.asks = p->node[t];
        break;
    case LIMIT_MAX_WALL:
        m.asks = (amount_t)p->span * (AMOUNT_PER_SEC / USEC_PER_SEC);
        break;
    case LIMIT_MAX_TRES_PU:
    case LIMIT_MAX_TRES_PA:
        m.used = part_usage(p, l, kind == LIMIT_MAX_TRES_PA)->alloc[t] + p->more->tres[t];
        m.allows = v->value;
        break;
    case LIMIT_MAX_JOBS_PU:
    case LIMIT_MAX_JOBS_PA:
        m.used = part_usage(p, l, kind == LIMIT_MAX_JOBS_PA)->running + p->more->jobs;
        break;
    case LIMIT_MAX_SUBMIT_PU:
    case LIMIT_MAX_SUBMIT_PA:
        m.used = part_usage(p, l, kind == LIMIT_MAX_SUBMIT_PA)->submitted;
        m.asks = p->tasks;
        break;
    default: /* what one job may ask for */
        break;
    }
    if (p->when == WHEN_ALONE && !of_submission(kind))
        m.used = 0;
    return m;
}

static bool exceeded(const struct measure *m)
{
    return m->least ? m->asks < m->allows : m->used + m->asks > m->allows;
}

typedef bool limit_f(void *arg, const struct probe *p, const struct layer *l,
                     const struct limit_value *v, const struct measure *m);

/* Each limit that is exceeded, until `found` says that it has seen enough. */
static void probe_each(struct probe *p, limit_f *found, void *arg)
{
    layers_find(p);
    for (uint32_t i = 0; i < p->layers; i++) {
        const struct layer *l = &p->layer[i];
        for (uint32_t k = 0; k < l->limits->count; k++) {
            const struct limit_value *v = &l->limits->v[k];
            enum limit_kind kind = (enum limit_kind)v->kind;
            if (of_submission(kind) != (p->when == WHEN_SUBMIT) || shadowed(p, i, v))
                continue;
            struct measure m = measure(p, l, v);
            if (exceeded(&m) && !found(arg, p, l, v, &m))
                return;
        }
    }
}

static bool reason_of(void *arg, const struct probe *p, const struct layer *l,
                      const struct limit_value *v, const struct measure *m)
{
    (void)m;
    *(enum job_reason *)arg =
        limit_reason((enum limit_kind)v->kind, l->owner, p->c->tenants->tres[v->tres]);
    return false;
}

static enum job_reason probe_run(struct probe *p)
{
    enum job_reason why = REASON_NONE;
    probe_each(p, reason_of, &why);
    return why;
}

/* ---- a job --------------------------------------------------------------------------------- */

static struct probe probe_make(struct core *c, const struct job *j, uint32_t part, enum when when)
{
    static const struct limits_more nobody;
    struct probe p = {.c = c, .j = j, .when = when, .tasks = 1, .factor = 1000, .more = &nobody};
    const struct qos *q = j->qos_id == NONE ? NULL : &c->tenants->qos[j->qos_id];
    usec_t limit = j->limit_given ? j->limit : 0;
    p.part_qos = part_qos(c, part, j->qos_id);
    p.span = part == NONE ? limit : parts_limit(&c->part[part], limit);
    if (p.span == SPAN_INFINITE)
        p.span = SPAN_UNKNOWN;
    if (q) {
        p.factor = q->usage_factor;
        p.limit_factor = q->limit_factor;
        if (c->policy.enforce & ENFORCE_SAFE && !(q->flags & QOSF_USAGE_FACTOR_SAFE))
            p.factor = 1000; /* sacctmgr(1) UsageFactorSafe */
    }
    return p;
}

/* Before it is placed: as even over its nodes as it can be. */
static void node_share(struct probe *p)
{
    uint64_t nodes = p->tres[TRES_NODE] ? p->tres[TRES_NODE] : 1;
    for (uint32_t t = 0; t < TRES_MAX; t++)
        p->node[t] = (p->tres[t] + nodes - 1) / nodes;
}

void limits_more_add(struct core *c, const struct job *j, uint32_t part,
                     const struct placement *p, struct limits_more *more)
{
    uint64_t tres[TRES_MAX];
    tres_of_placement(c, j, part, p, tres);
    for (uint32_t t = 0; t < TRES_MAX; t++)
        more->tres[t] += tres[t];
    more->jobs++;
}

enum job_reason limits_check(struct core *c, struct job *j, uint32_t part, const struct placement *pl)
{
    static const struct limits_more nobody;
    return limits_check_more(c, j, part, pl, &nobody);
}

enum job_reason limits_check_more(struct core *c, struct job *j, uint32_t part,
                                  const struct placement *pl, const struct limits_more *more)
{
    const struct tenants *tn = c->tenants;
    uint32_t enforce = c->policy.enforce;
    if (!enforce)
        return REASON_NONE;
    if (enforce & ENFORCE_ASSOCIATIONS && j->assoc == ASSOC_ROOT && j->uid != 0)
        return REASON_INVALID_ACCOUNT;
    if (enforce & ENFORCE_QOS && j->qos_id == NONE)
        return REASON_INVALID_QOS;
    if (!(enforce & ENFORCE_LIMITS))
        return REASON_NONE;
    const struct qos *q = j->qos_id == NONE ? NULL : &tn->qos[j->qos_id];
    if (q && q->usage_threshold && j->assoc != NONE &&
        tn->assoc[j->assoc].fs < FACTOR_ONE / 1000000 * q->usage_threshold)
        return REASON_QOS_USAGE_THRESHOLD;
    struct probe p = probe_make(c, j, part, WHEN_START);
    p.more = more;
    if (pl) {
        tres_of_placement(c, j, part, pl, p.tres);
        tres_of_node(c, j, pl, p.node);
    } else {
        tres_of_request(c, j, part, p.tres);
        node_share(&p);
    }
    return probe_run(&p);
}

struct listing {
    limits_found_f *found;
    void *arg;
};

static bool list_one(void *arg, const struct probe *p, const struct layer *l,
                     const struct limit_value *v, const struct measure *m)
{
    const struct listing *to = arg;
    enum limit_unit unit = limit_table[v->kind].unit;
    bool spans = unit == LIMIT_TRES_MINS || unit == LIMIT_SPAN;
    amount_t one = spans ? minutes(1) : 1;
    const struct limit_found f = {
        .kind = (enum limit_kind)v->kind, .qos = l->qos, .assoc = l->assoc,
        .tres = p->c->tenants->tres[v->tres], .used = (uint64_t)(m->used / one),
        .asks = (uint64_t)((m->asks + one - 1) / one), .allows = v->value};
    to->found(to->arg, &f);
    return true;
}

void limits_each(struct core *c, const struct job *j, uint32_t part, limits_found_f *found,
                 void *arg)
{
    struct listing to = {found, arg};
    if (!(c->policy.enforce & ENFORCE_LIMITS))
        return;
    struct probe p = probe_make(c, j, part, WHEN_START);
    tres_of_request(c, j, part, p.tres);
    node_share(&p);
    probe_each(&p, list_one, &to);
}

static uint64_t wall_max(const struct core *c, const struct job *j)
{
    const struct tenants *tn = c->tenants;
    const uint32_t qos[] = {j->part_qos, j->qos_id};
    uint64_t v = UINT64_MAX;
    for (int k = 0; k < 2 && v == UINT64_MAX; k++)
        if (qos[k] != NONE)
            v = limits_get(&tn->qos[qos[k]].limits, LIMIT_MAX_WALL, 0);
    for (uint32_t i = j->assoc; i != NONE && v == UINT64_MAX; i = tn->assoc[i].parent)
        v = limits_get(&tn->assoc[i].limits, LIMIT_MAX_WALL, 0);
    return v;
}

int limits_submit(struct core *c, struct job *j, uint32_t tasks, struct err *err)
{
    const struct tenants *tn = c->tenants;
    char first[NAME_LEN_MAX + 1];
    const char *parts = text_of(c, j->parts);
    if (!(c->policy.enforce & ENFORCE_LIMITS))
        return 0;
    snprintf(first, sizeof first, "%.*s", (int)strcspn(parts, ","), parts);
    long at = parts_find(c, first);
    uint32_t part = at < 0 ? NONE : (uint32_t)at;
    uint64_t wall = wall_max(c, j);
    usec_t most = wall < (uint64_t)(SPAN_UNKNOWN / USEC_PER_SEC) ? (usec_t)wall * 60 * USEC_PER_SEC : SPAN_INFINITE;
    if (!j->limit_given && part != NONE && parts_limit(&c->part[part], 0) > most) {
        j->limit = most;
        j->limit_given = true;
    }
    struct probe p = probe_make(c, j, part, WHEN_SUBMIT);
    p.tasks = tasks;
    enum job_reason why = probe_run(&p);
    const struct qos *q = j->qos_id == NONE ? NULL : &tn->qos[j->qos_id];
    const struct qos *pq = j->part_qos == NONE ? NULL : &tn->qos[j->part_qos];
    if (why == REASON_NONE && ((q && q->flags & QOSF_DENY_ON_LIMIT) || (pq && pq->flags & QOSF_DENY_ON_LIMIT))) {
        p = probe_make(c, j, part, WHEN_ALONE);
        tres_of_request(c, j, part, p.tres);
        node_share(&p);
        why = probe_run(&p);
    }
    return why == REASON_NONE ? 0 : err_set(err, SL_ELIMIT, "%s: %s", job_reason_name(why), err_name(SL_ELIMIT));
}

/* ---- the period ------------------------------------------------------------------------------ */

static enum job_reason used_up(const struct core *c, const struct limits *l, const struct usage *u,
                               unsigned owner)
{
    for (uint32_t i = 0; i < l->count; i++) {
        const struct limit_value *v = &l->v[i];
        uint32_t t = v->kind == LIMIT_GRP_WALL ? (uint32_t)TRES_WALL : v->tres;
        if ((v->kind == LIMIT_GRP_WALL || v->kind == LIMIT_GRP_TRES_MINS) &&
            u->used[t] >= minutes(v->value))
            return limit_reason((enum limit_kind)v->kind, owner, c->tenants->tres[v->tres]);
    }
    return REASON_NONE;
}

static enum job_reason job_used_up(const struct core *c, const struct job *j)
{
    const struct tenants *tn = c->tenants;
    const uint32_t qos[] = {j->part_qos, j->qos_id};
    enum job_reason why = REASON_NONE;
    for (int k = 0; k < 2 && why == REASON_NONE; k++)
        if (qos[k] != NONE)
            why = used_up(c, &tn->qos[qos[k]].limits, &tn->qos[qos[k]].usage, LIMIT_OF_QOS);
    for (uint32_t i = j->assoc; i != NONE && i != ASSOC_ROOT && why == REASON_NONE; i = tn->assoc[i].parent)
        why = used_up(c, &tn->assoc[i].limits, &tn->assoc[i].usage, LIMIT_OF_ASSOC);
    return why;
}

void limits_tick(struct core *c, usec_t now, struct batch *out)
{
    const struct jobset *running = &c->running;
    if (!(c->policy.enforce & ENFORCE_LIMITS))
        return;
    plan_afresh(c);
    if (c->policy.enforce & ENFORCE_SAFE)
        return;
    uint32_t n = running->count, *ids = xmalloc((n + 1) * sizeof *ids);
    for (uint32_t i = 0; i < n; i++)
        ids[i] = running->v[i]->id;
    for (uint32_t i = 0; i < n; i++) {
        struct job *j = job_find(c, ids[i]);
        enum job_reason why = j && j->charge ? job_used_up(c, j) : REASON_NONE;
        if (why != REASON_NONE)
            job_end(c, j, JOB_TIMEOUT, why, SIGTERM, THEN_NOTHING, now, out, job_reason_name(why));
    }
    free(ids);
}
