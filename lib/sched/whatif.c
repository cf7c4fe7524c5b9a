/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/whatif.h"

#include "sched/license.h"
#include "sched/limits.h"

#include "base/buf.h"

#include <stdlib.h>
#include <string.h>

#define PARTS_TRIED_MAX 16u /* partitions of one job */

/* ---- its place in the queue --------------------------------------------------------------- */

static bool parts_meet(const struct jobclass *x, const struct jobclass *y)
{
    for (uint32_t i = 0; i < x->parts; i++)
        for (uint32_t k = 0; k < y->parts; k++)
            if (x->part[i] == y->part[k])
                return true;
    return false;
}

static const struct jobclass *class_of(struct core *c, const struct job *j)
{
    struct jobclass *k = &c->class[j->class];
    class_parts(c, k, text_of(c, j->parts));
    return k;
}

/* Those of a class that failed for something else than its place stand in nobody's way. */
static bool in_line(const struct core *c, const struct jobclass *k)
{
    return k->failed_pass != c->pass || (!k->counted_out && (k->reason == REASON_NONE ||
                                                             k->reason == REASON_PRIORITY ||
                                                             k->reason == REASON_RESOURCES));
}

static uint32_t runs_of(const struct job *j)
{
    return j->rest_count ? j->rest_count : 1;
}

static void first_note(struct whatif *w, struct job *j)
{
    struct job *first = w->first ? job_find(w->c, w->first) : NULL;
    if (!first || queue_order(&j, &first, w->c) < 0)
        w->first = j->id;
}

static void promises_put_aside(struct whatif *w)
{
    struct core *c = w->c;
    const struct jobclass *own = class_of(c, w->j);
    w->aside = xmalloc((c->resv_count + 1) * sizeof *w->aside);
    for (uint32_t i = 0; i < c->resv_count; i++) {
        struct reservation *r = c->resv[i];
        if (!parts_meet(class_of(c, r->job), own))
            continue;
        if (r->job == w->j || queue_order(&r->job, &w->j, c) > 0) {
            if (r->aside)
                continue;
            timeline_untake(c, TAKE_JOB, r->job->id, r->node, r->count);
            w->aside[w->asides++] = r;
            continue;
        }
        w->ahead++;
        w->counted++;
        first_note(w, r->job);
    }
}

static void ahead_count(struct whatif *w)
{
    struct core *c = w->c;
    const struct jobclass *own = class_of(c, w->j);
    for (uint32_t i = 0; i < c->class_cap; i++) {
        struct jobclass *k = &c->class[i];
        if (k->count == 0)
            continue;
        class_parts(c, k, text_of(c, k->job[k->head]->parts));
        if (!in_line(c, k) || !parts_meet(k, own))
            continue;
        uint32_t n = class_before(c, k, w->j);
        for (uint32_t m = 0; m < n; m++)
            w->ahead += runs_of(k->job[k->head + m]);
        if (n)
            first_note(w, k->job[k->head]);
    }
}

void whatif_begin(struct whatif *w, struct core *c, struct job *j, usec_t now)
{
    *w = (struct whatif){.c = c, .j = j, .now = now, .from = now, .work = WHATIF_WORK};
    if (c->now < now)
        c->now = now;
    w->now = w->from = c->now;
    if (!c->queue_sorted) /* the promises are of another order: the next pass drops them */
        reservations_clear(c);
    queue_sort(c);
    if (!j->queued) {
        w->guest = true;
        queue_guest(c, j, true);
    }
    promises_put_aside(w);
    ahead_count(w);
}

void whatif_end(struct whatif *w)
{
    struct core *c = w->c;
    while (w->takens) {
        struct reservation *r = &w->taken[--w->takens];
        timeline_untake(c, TAKE_JOB, r->job->id, r->node, r->count);
        free(r->node);
    }
    for (uint32_t i = 0; i < w->asides; i++) {
        struct reservation *r = w->aside[i];
        timeline_take(c, TAKE_JOB, r->job->id, r->start, r->end, r->node, r->count, r->exclusive);
    }
    if (w->guest)
        queue_guest(c, w->j, false);
    free(w->taken);
    free(w->aside);
}

/* ---- a start ------------------------------------------------------------------------------ */

static usec_t limit_in(const struct core *c, const struct job *x, uint32_t part)
{
    return parts_limit(&c->part[part], x->limit_given ? x->limit : 0);
}

/* As of a job of its kind under that limit. */
static usec_t span_in(const struct core *c, const struct job *x, uint32_t part)
{
    struct predict_class like;
    struct job guess = {.expected = 0};
    usec_t limit = limit_in(c, x, part);
    if (order_believes(c, c->now, limit) && order_like(c, x, &like))
        guess.expected = predict_span(c->predict, &like, limit);
    return plan_span(&guess, limit);
}

/* From when on neither the partition, limits nor licenses keep it back; INT64_MAX: not known. */
static usec_t open_from(const struct whatif *w, struct job *x, uint32_t part)
{
    struct license_lack lack[LICENSE_ITEMS_MAX];
    const struct partition *p = &w->c->part[part];
    usec_t from = w->from;
    if (p->state == PART_DOWN || p->state == PART_INACTIVE ||
        limit_in(w->c, x, part) > p->conf.time_max ||
        limits_check(w->c, x, part, NULL) != REASON_NONE)
        return INT64_MAX;
    uint32_t n = license_lacks(w->c, x, from + span_in(w->c, x, part), lack);
    for (uint32_t i = 0; i < n; i++)
        from = lack[i].until > from ? lack[i].until : from;
    return from;
}

static bool work_take(struct whatif *w)
{
    unsigned cost = 1 + w->c->nodes / 32;
    bool enough = w->work >= cost;
    w->work -= enough ? cost : w->work;
    return enough;
}

static usec_t start_in(struct whatif *w, const struct job *x, uint32_t part, usec_t before,
                       struct placement *p)
{
    struct job copy = *x; /* a check of limits may note a reason */
    usec_t from = open_from(w, &copy, part);
    if (from >= before || !work_take(w))
        return INT64_MAX;
    return plan_earliest(w->c, x, part, span_in(w->c, x, part), from, before, p);
}

usec_t whatif_start(struct whatif *w, const struct job *x, uint32_t *part, struct placement *p)
{
    struct jobclass own = {.parts_gen = NONE};
    usec_t first = INT64_MAX;
    class_parts(w->c, &own, text_of(w->c, x->parts));
    for (uint32_t i = 0; i < own.parts && i < PARTS_TRIED_MAX && first > w->from; i++) {
        struct placement there = {0};
        usec_t at = start_in(w, x, own.part[i], first, &there);
        if (at < first) {
            first = at;
            *part = own.part[i];
            if (p) {
                free(p->node);
                *p = there;
                there = (struct placement){0};
            }
        }
        free(there.node);
    }
    free(own.part);
    return first;
}

/* ---- those ahead get a place ----------------------------------------------------------------- */

struct line_of_jobs { struct jobclass *class; uint32_t next, end; };

/* One more run of x is given a place. */
static void take_place(struct whatif *w, struct job *x)
{
    struct placement p = {0};
    uint32_t part = NONE;
    usec_t start = whatif_start(w, x, &part, &p);
    if (start == INT64_MAX) {
        free(p.node);
        return;
    }
    struct reservation *r = &w->taken[w->takens++];
    *r = (struct reservation){.job = x, .part = part, .start = start, .node = p.node,
                              .count = p.count, .exclusive = job_exclusive(w->c, x),
                              .end = start + span_in(w->c, x, part)};
    timeline_take(w->c, TAKE_JOB, x->id, r->start, r->end, r->node, r->count, r->exclusive);
    w->counted++;
}

static struct line_of_jobs *lines_find(struct whatif *w, uint32_t *count)
{
    struct core *c = w->c;
    const struct jobclass *own = class_of(c, w->j);
    struct line_of_jobs *v = NULL;
    uint32_t n = 0, cap = 0;
    for (uint32_t i = 0; i < c->class_cap; i++) {
        struct jobclass *k = &c->class[i];
        if (k->count == 0 || !in_line(c, k) || !parts_meet(k, own))
            continue;
        uint32_t before = class_before(c, k, w->j);
        if (before == 0)
            continue;
        GROW(v, cap, n + 1);
        v[n++] = (struct line_of_jobs){k, k->head, k->head + before};
    }
    *count = n;
    return v;
}

void whatif_ahead(struct whatif *w)
{
    uint32_t n;
    struct line_of_jobs *v = lines_find(w, &n);
    usec_t from = w->from;
    unsigned keep = w->work / 2; /* for the job itself */
    w->from = w->now;
    w->taken = xmalloc(WHATIF_AHEAD_MAX * sizeof *w->taken);
    while (n && w->work > keep && w->takens < WHATIF_AHEAD_MAX) {
        uint32_t best = 0;
        for (uint32_t i = 1; i < n; i++)
            if (queue_order(&v[i].class->job[v[i].next], &v[best].class->job[v[best].next], w->c) < 0)
                best = i;
        struct job *x = v[best].class->job[v[best].next];
        uint32_t runs = runs_of(x);
        while (runs-- && w->work > keep && w->takens < WHATIF_AHEAD_MAX)
            take_place(w, x);
        if (++v[best].next == v[best].end)
            v[best] = v[--n];
    }
    w->from = from;
    free(v);
}
