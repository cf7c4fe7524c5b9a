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

/* For each node that could take a part of the job: when at the earliest. */
static uint32_t node_times(struct core *c, const struct job *j, uint32_t part, usec_t span,
                           usec_t now, usec_t *at)
{
    const struct partition *p = &c->part[part];
    bool whole = part_whole(c, j, part);
    uint32_t n = 0;
    BS_EACH(i, p->nodes, c->words)
    {
        struct demand d;
        if (!place_piece(c, j, part, (uint32_t)i, &d))
            continue;
        at[n] = timeline_first(c, (uint32_t)i, &d, whole, now, span);
        n += at[n] != INT64_MAX;
    }
    return n;
}

/* All times after t and before another at which something ends on the partition's nodes, ascending. */
static usec_t *times_between(struct core *c, uint32_t part, usec_t t, usec_t before,
                             uint32_t *count)
{
    usec_t *v = NULL;
    uint32_t n = 0, cap = 0, k = 0;
    BS_EACH(i, c->part[part].nodes, c->words)
    {
        for (usec_t x = timeline_next(c, (uint32_t)i, t); x < before;
             x = timeline_next(c, (uint32_t)i, x)) {
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

static bool fits_at(struct core *c, const struct job *j, uint32_t part, usec_t span, usec_t t,
                    struct placement *p)
{
    struct rooms *rooms = timeline_rooms_at(c, c->part[part].nodes, t, t + span);
    return place(c, j, part, rooms, NULL, p) == 1;
}

usec_t plan_earliest(struct core *c, const struct job *j, uint32_t part, usec_t span,
                     usec_t now, usec_t before, struct placement *p)
{
    if (het_is(j))
        return het_earliest(c, (struct job *)j, span, now, before, p);
    request_names(c, &c->request[j->request]);
    usec_t *at = xmalloc((c->part[part].nodes_count + 1) * sizeof *at), start = INT64_MAX;
    uint32_t n = node_times(c, j, part, span, now, at), least = plan_nodes_least(c, j, part), times;
    if (n >= least) {
        qsort(at, n, sizeof *at, by_time);
        start = at[least - 1];
    }
    free(at);
    if (start >= before)
        return INT64_MAX;
    if (fits_at(c, j, part, span, start, p))
        return start;
    usec_t *v = times_between(c, part, start, before, &times);
    uint32_t lo = 0, hi = times; /* all before lo do not fit; hi does, or is the end */
    start = INT64_MAX;
    while (lo < hi) {
        uint32_t mid = lo < TRIES_IN_ORDER && hi == times ? lo : (lo + hi) / 2;
        if (fits_at(c, j, part, span, v[mid], p))
            hi = mid;
        else
            lo = mid + 1;
    }
    if (hi < times && fits_at(c, j, part, span, v[hi], p))
        start = v[hi];
    free(v);
    return start;
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
        timeline_untake(c, TAKE_JOB, j->id, r->start, r->node, r->count);
    for (uint32_t k = 0; k < r->count; k++)
        plan_relief(c, r->node[k].node, true);
    free(r->node);
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
    if (het_is(j)) /* any component could use it */
        return c->relief_count != 0;
    for (uint32_t i = 0; i < c->relief_count; i++) {
        uint32_t node = c->relief[i];
        struct demand d;
        if (bs_test(p->nodes, node) && place_piece(c, j, r->part, node, &d) &&
            timeline_first(c, node, &d, whole, now, r->end - r->start) < r->start)
            return true;
    }
    return false;
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
