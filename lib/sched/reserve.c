/* SPDX-License-Identifier: Apache-2.0
 *
 * Promises: when and where the first jobs that do not fit will start.
 *
 * The search for the earliest start asks each node when it first holds what the job takes
 * of it at least; before the k-th such time a job of k nodes cannot start. Most start just
 * then. A job that may be spread over its nodes in many ways goes on from there.
 */
#include "sched/plan.h"

#include "base/buf.h"
#include "sched/het.h"
#include "sched/request.h"

#include <stdlib.h>
#include <string.h>

#define TRIES_IN_ORDER 8u /* times looked at one by one, before the search by halves */

/* ---- the earliest start --------------------------------------------------------------- */

static int by_time(const void *a, const void *b)
{
    usec_t x = *(const usec_t *)a, y = *(const usec_t *)b;
    return x < y ? -1 : x > y;
}

uint32_t plan_nodes_least(const struct core *c, const struct job *j, uint32_t part)
{
    const struct request *q = &c->request[j->request];
    const struct partition *p = &c->part[part];
    uint32_t least = q->nodes_min ? q->nodes_min : 1;
    if (q->has_names && q->required_count > least)
        least = q->required_count;
    return p->conf.nodes_min > least ? p->conf.nodes_min : least;
}

struct search {
    struct core *c;
    const struct job *j;
    uint32_t part, least;    /* nodes */
    usec_t span, now;
    uint64_t *nodes;         /* that could take a part of it some time */
    uint64_t *set;           /* ... at the time that is looked at */
};

static bool alone(const struct search *s)
{
    return part_whole(s->c, s->j, s->part);
}

/* For each node: when could it first take a part of the job? *v: the times, of so many. */
static uint32_t node_times(struct search *s, usec_t *v)
{
    struct core *c = s->c;
    bool whole = alone(s);
    uint32_t n = 0;
    GROW(c->at, c->at_cap, c->nodes);
    BS_EACH(i, c->part[s->part].nodes, c->words)
    {
        const struct demand *d = place_piece(c, s->j, s->part, (uint32_t)i);
        c->at[i] = d ? timeline_first(c, (uint32_t)i, d, whole, s->now, s->span) : INT64_MAX;
        if (c->at[i] == INT64_MAX)
            continue;
        bs_set(s->nodes, i);
        v[n++] = c->at[i];
    }
    return n;
}

/* The k-th smallest (from 1) of n, which change their places: Hoare's selection. */
static usec_t nth_time(usec_t *v, uint32_t n, uint32_t k)
{
    uint32_t lo = 0, hi = n - 1, at = k - 1;
    while (lo < hi) {
        usec_t pivot = v[lo + (hi - lo) / 2];
        uint32_t i = lo, j = hi;
        while (i <= j) {
            while (v[i] < pivot)
                i++;
            while (v[j] > pivot)
                j--;
            if (i <= j) {
                usec_t t = v[i];
                v[i++] = v[j];
                v[j] = t;
                if (j == 0)
                    break;
                j--;
            }
        }
        if (at <= j)
            hi = j;
        else if (at >= i)
            lo = i;
        else
            break;
    }
    return v[at];
}

/* All times after t and before another at which something changes on the nodes, ascending. */
static usec_t *times_between(const struct search *s, usec_t t, usec_t before, uint32_t *count)
{
    usec_t *v = NULL;
    uint32_t n = 0, cap = 0, k = 0;
    BS_EACH(i, s->nodes, s->c->words)
    {
        for (usec_t x = timeline_next(s->c, (uint32_t)i, t); x < before;
             x = timeline_next(s->c, (uint32_t)i, x)) {
            GROW(v, cap, n + 1);
            v[n++] = x;
        }
    }
    if (n)
        qsort(v, n, sizeof *v, by_time);
    for (uint32_t i = 0; i < n; i++)
        if (k == 0 || v[k - 1] != v[i])
            v[k++] = v[i];
    *count = k;
    return v;
}

/* Only nodes that could take a part of it at t are of use. */
static bool fits_at(struct search *s, usec_t t, struct placement *p)
{
    struct core *c = s->c;
    bool whole = alone(s);
    uint32_t n = 0;
    memset(s->set, 0, c->words * sizeof *s->set);
    BS_EACH(i, s->nodes, c->words)
    {
        if (c->at[i] > t)
            continue;
        const struct demand *d = c->at[i] == t ? NULL : place_piece(c, s->j, s->part, (uint32_t)i);
        if (d && timeline_first(c, (uint32_t)i, d, whole, t, s->span) != t)
            continue;
        bs_set(s->set, i);
        n++;
    }
    return n >= s->least &&
           place(c, s->j, s->part, timeline_rooms_at(c, s->set, t, t + s->span), NULL, p) == 1;
}

/* After `start`, at which it does not fit. */
static usec_t search_on(struct search *s, usec_t start, usec_t before, struct placement *p)
{
    uint32_t times, lo = 0;
    usec_t *v = times_between(s, start, before, &times), found = INT64_MAX;
    uint32_t hi = times; /* all before lo do not fit; hi does, or is the end */
    while (lo < hi) {
        uint32_t mid = lo < TRIES_IN_ORDER && hi == times ? lo : (lo + hi) / 2;
        if (fits_at(s, v[mid], p))
            hi = mid;
        else
            lo = mid + 1;
    }
    if (hi < times && fits_at(s, v[hi], p))
        found = v[hi];
    free(v);
    return found;
}

usec_t plan_earliest(struct core *c, const struct job *j, uint32_t part, usec_t span,
                     usec_t now, usec_t before, struct placement *p)
{
    if (het_is(j))
        return het_earliest(c, (struct job *)j, span, now, before, p);
    struct search s = {.c = c, .j = j, .part = part, .span = span, .now = now,
                       .nodes = xcalloc(2 * c->words + 1, sizeof *s.nodes)};
    usec_t *v = xmalloc((c->part[part].nodes_count + 1) * sizeof *v), start = INT64_MAX;
    request_names(c, &c->request[j->request]);
    s.set = s.nodes + c->words;
    s.least = plan_nodes_least(c, j, part);
    uint32_t n = node_times(&s, v);
    if (n >= s.least)
        start = nth_time(v, n, s.least);
    free(v);
    if (start >= before)
        start = INT64_MAX;
    else if (!fits_at(&s, start, p))
        start = search_on(&s, start, before, p);
    free(s.nodes);
    return start;
}

bool plan_beside(struct core *c, const struct job *j, uint32_t part, usec_t end,
                 struct placement *p)
{
    struct search s = {.c = c, .j = j, .part = part};
    const struct rooms *now = rooms_of(c, ROOMS_NOW);
    uint64_t *set = xcalloc(c->words + 1, sizeof *set);
    uint32_t n = 0;
    bool whole = alone(&s);
    request_names(c, &c->request[j->request]);
    BS_EACH(i, c->part[part].nodes, c->words)
    {
        if (!place_fits(c, j, part, (uint32_t)i, &now->v[i]))
            continue;
        if (timeline_taken(c, (uint32_t)i) &&
            timeline_first(c, (uint32_t)i, place_piece(c, j, part, (uint32_t)i), whole, c->now,
                           end - c->now) > c->now)
            continue;
        bs_set(set, i);
        n++;
    }
    bool good = n >= plan_nodes_least(c, j, part) &&
                place(c, j, part, timeline_rooms_at(c, set, c->now, end), NULL, p) == 1;
    free(set);
    return good;
}

/* ---- reservations ---------------------------------------------------------------------- */

static uint32_t resv_find(struct core *c, struct job *j)
{
    uint32_t lo = 0, hi = c->resv_count;
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        if (queue_order(&c->resv[mid]->job, &j, c) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

void reservation_note(struct core *c, struct reservation *r)
{
    r->early = xrealloc(r->early, (c->words + 1) * sizeof *r->early);
    memset(r->early, 0, c->words * sizeof *r->early);
    r->early_count = 0;
    r->seen = c->relief_looked = c->relief_base + c->relief_count;
    if (het_is(r->job)) /* several searches in one */
        return;
    BS_EACH(i, c->part[r->part].nodes, c->words)
    {
        if (c->at[i] >= r->start)
            continue;
        bs_set(r->early, i);
        r->early_count++;
    }
}

void reservation_set(struct core *c, struct reservation *r, usec_t start, struct placement *p,
                     usec_t now)
{
    usec_t span = r->end - r->start;
    free(r->node);
    r->node = p->node;
    r->count = p->count;
    *p = (struct placement){0};
    r->start = start;
    r->end = start + span;
    r->round = c->round;
    r->aside = false;
    reservation_note(c, r);
    timeline_take(c, TAKE_JOB, r->job->id, start, r->end, r->node, r->count, r->exclusive);
    r->job->estimate = start;
    if (start > now + 1 && c->policy.plan_order != PLAN_DUE) /* else what it waits for is late: its end will call */
        timer_add(c, start, TIMER_PLAN, r->job->id);
}

bool reservation_make(struct core *c, struct job *j, uint32_t part, usec_t now)
{
    struct placement p = {0};
    usec_t span = plan_span(j, parts_limit(&c->part[part], j->limit_given ? j->limit : 0));
    if (het_is(j))
        span = het_span(c, j);
    usec_t start = plan_earliest(c, j, part, span, now, INT64_MAX, &p);
    if (start == INT64_MAX) {
        free(p.node);
        return false;
    }
    uint32_t at = resv_find(c, j);
    class_take(c, j);
    j->resv = xcalloc(1, sizeof *j->resv);
    *j->resv = (struct reservation){.job = j, .part = part, .end = span,
                                    .least = plan_nodes_least(c, j, part),
                                    .exclusive = part_whole(c, j, part) ||
                                                 (het_is(j) && het_alone(c, j, part))};
    GROW(c->resv, c->resv_cap, c->resv_count + 1);
    memmove(c->resv + at + 1, c->resv + at, (c->resv_count - at) * sizeof *c->resv);
    c->resv[at] = j->resv;
    c->resv_count++;
    c->part[part].promised++;
    j->resv->first = order_waited(c, j, c->policy.wait_first);
    c->part[part].promised_first += j->resv->first;
    reservation_set(c, j->resv, start, &p, now);
    return true;
}

void reservation_drop(struct core *c, struct job *j)
{
    struct reservation *r = j->resv;
    uint32_t at = 0;
    if (c->queue_sorted && c->policy.plan_order != PLAN_DUE) /* there dues move with time */
        at = resv_find(c, j);
    while (c->resv[at] != r)
        at++;
    memmove(c->resv + at, c->resv + at + 1, (c->resv_count - at - 1) * sizeof *c->resv);
    c->resv_count--;
    c->part[r->part].promised--;
    c->part[r->part].promised_first -= r->first;
    if (!r->aside)
        timeline_untake(c, TAKE_JOB, j->id, r->node, r->count);
    for (uint32_t k = 0; k < r->count; k++)
        plan_relief(c, r->node[k].node, true);
    free(r->node);
    free(r->early);
    free(r);
    j->resv = NULL;
    j->estimate = 0;
    class_put(c, j);
}

bool reservation_helped(struct core *c, struct reservation *r, usec_t now)
{
    const struct partition *p = &c->part[r->part];
    const struct job *j = r->job;
    bool whole = part_whole(c, j, r->part);
    if (r->seen < c->relief_base || het_is(j)) /* they are forgotten; several searches in one */
        return true;
    for (uint64_t i = r->seen - c->relief_base; i < c->relief_count; i++) {
        uint32_t node = c->relief[i];
        const struct demand *d = bs_test(p->nodes, node) ? place_piece(c, j, r->part, node) : NULL;
        bool early = d && timeline_first(c, node, d, whole, now, r->end - r->start) < r->start;
        if (early == bs_test(r->early, node))
            continue;
        bs_put(r->early, node, early);
        r->early_count += early ? 1 : -1u;
    }
    r->seen = c->relief_looked = c->relief_base + c->relief_count;
    return r->early_count >= r->least;
}

static bool part_shared(struct core *c, const struct job *j, uint32_t part)
{
    struct jobclass *k = &c->class[j->class];
    class_parts(c, k, text_of(c, j->parts));
    for (uint32_t i = 0; i < k->parts; i++)
        if (k->part[i] == part)
            return true;
    return false;
}

void reservations_yield(struct core *c, struct job *j)
{
    if (!c->queue_sorted) /* a pass from afresh is due: it clears them all */
        return;
    for (uint32_t i = c->resv_count; i-- > 0;) {
        struct reservation *r = c->resv[i];
        if (queue_order(&r->job, &j, c) < 0)
            return;
        if (part_shared(c, j, r->part))
            reservation_drop(c, r->job);
    }
}

void reservations_clear(struct core *c)
{
    while (c->resv_count)
        reservation_drop(c, c->resv[c->resv_count - 1]->job);
}
