/* SPDX-License-Identifier: Apache-2.0
 *
 * The queue: pending jobs that no gate holds back, by class. Jobs that a plan cannot tell
 * apart are a class, each class keeps its own in order, and a pass looks at the best of
 * each: it costs what there are kinds of jobs, not jobs. Those that have a reservation
 * stand in core.resv instead (reserve.c).
 */
#include "sched/plan.h"

#include "base/buf.h"

#include <stdlib.h>
#include <string.h>

int queue_order(const void *a, const void *b, void *core)
{
    const struct core *c = core;
    const struct job *x = *(struct job *const *)a, *y = *(struct job *const *)b;
    bool fcfs = c->policy.plan_order == PLAN_FCFS;
    if (x->tier != y->tier)
        return x->tier > y->tier ? -1 : 1;
    if (c->policy.plan_order == PLAN_DUE)
        return order_due(c, x, y);
    if (fcfs && x->submit != y->submit)
        return x->submit < y->submit ? -1 : 1;
    if (!fcfs && x->priority != y->priority)
        return x->priority > y->priority ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

/* ---- a class ----------------------------------------------------------------------- */

/* Where a job stands, or would stand: its first `head` places are empty. */
static uint32_t class_find(struct core *c, const struct jobclass *k, struct job *j)
{
    uint32_t lo = k->head, hi = k->head + k->count;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (queue_order(&k->job[mid], &j, c) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

void class_put(struct core *c, struct job *j)
{
    struct jobclass *k = &c->class[j->class];
    if (k->head && k->head + k->count == k->cap) {
        memmove(k->job, k->job + k->head, k->count * sizeof *k->job);
        k->head = 0;
    }
    GROW(k->job, k->cap, k->head + k->count + 1);
    uint32_t at = c->queue_sorted ? class_find(c, k, j) : k->head + k->count;
    memmove(k->job + at + 1, k->job + at, (k->head + k->count - at) * sizeof *k->job);
    k->job[at] = j;
    k->count++;
}

void class_take(struct core *c, struct job *j)
{
    struct jobclass *k = &c->class[j->class];
    uint32_t at = k->head;
    if (c->queue_sorted)
        at = class_find(c, k, j);
    else
        while (at < k->head + k->count && k->job[at] != j)
            at++;
    ASSERT(at < k->head + k->count && k->job[at] == j);
    if (at == k->head)
        k->head++;
    else
        memmove(k->job + at, k->job + at + 1, (k->head + k->count - at - 1) * sizeof *k->job);
    if (--k->count == 0)
        k->head = 0;
}

static void class_join(struct core *c, struct job *j)
{
    struct jobclass_key key;
    bool fresh;
    memset(&key, 0, sizeof key); /* padding is part of the key */
    key.request = j->request;
    key.parts = j->parts;
    key.limit = j->limit_given ? j->limit : 0;
    if (c->policy.enforce) {
        key.user = j->user;
        key.account = j->account;
        key.qos = j->qos;
    }
    key.limit_min = j->limit_min;
    key.het = j->het_id;
    struct predict_class like;
    key.like = order_like(c, j, &like);
    j->class = intern_get(&c->class_keys, &key, sizeof key, &fresh);
    if (j->class >= c->class_cap) {
        uint32_t cap = c->class_cap;
        GROW(c->class, c->class_cap, j->class + 1);
        memset(c->class + cap, 0, (c->class_cap - cap) * sizeof *c->class);
    }
    struct jobclass *k = &c->class[j->class];
    if (fresh) {
        k->failed_pass = 0;
        k->parts_gen = NONE;
        order_class(c, k, j);
    }
    order_expect(c, j);
    class_put(c, j);
}

static void class_leave(struct core *c, struct job *j)
{
    struct jobclass *k = &c->class[j->class];
    if (j->resv)
        reservation_drop(c, j);
    class_take(c, j);
    if (!intern_drop(&c->class_keys, j->class))
        return;
    free(k->job);
    free(k->part);
    memset(k, 0, sizeof *k);
}

/* sbatch(1) --partition: those of a higher tier are considered first. */
static void part_put(const struct core *c, struct jobclass *k, uint32_t part)
{
    uint32_t at = k->parts;
    k->part = xrealloc(k->part, (k->parts + 1) * sizeof *k->part);
    for (; at > 0 && c->part[k->part[at - 1]].conf.priority_tier < c->part[part].conf.priority_tier; at--)
        k->part[at] = k->part[at - 1];
    k->part[at] = part;
    k->parts++;
}

uint32_t class_before(struct core *c, const struct jobclass *k, struct job *j)
{
    return k->count ? class_find(c, k, j) - k->head : 0;
}

/* It is in its class, so that it can be compared, but takes no part in any pass. */
void queue_guest(struct core *c, struct job *j, bool enter)
{
    if (enter)
        class_join(c, j);
    else
        class_leave(c, j);
}

void class_parts(struct core *c, struct jobclass *k, const char *names)
{
    if (k->parts_gen == c->nodes_gen)
        return;
    k->parts_gen = c->nodes_gen;
    k->parts = 0;
    while (*names) {
        size_t n = strcspn(names, ",");
        uint32_t i = 0;
        while (i < c->parts && (strncmp(c->part[i].conf.name, names, n) != 0 ||
                                c->part[i].conf.name[n] != '\0'))
            i++;
        if (i < c->parts)
            part_put(c, k, i);
        names += n + (names[n] == ',');
    }
}

void classes_fini(struct core *c)
{
    for (uint32_t i = 0; i < c->class_cap; i++) {
        free(c->class[i].job);
        free(c->class[i].part);
    }
    free(c->class);
}

/* ---- the queue ------------------------------------------------------------------------ */

void queue_put(struct core *c, struct job *j)
{
    if (j->queued)
        return;
    j->queued = true;
    c->queued++;
    class_join(c, j);
    reservations_yield(c, j);
    c->plan_wanted = true;
}

void queue_del(struct core *c, struct job *j)
{
    if (!j->queued)
        return;
    class_leave(c, j);
    j->queued = false;
    c->queued--;
}

/* Nor did anyone who could have a reservation come to stand before one who has. */
bool queue_in_order(struct core *c)
{
    struct job *last = c->resv_count ? c->resv[c->resv_count - 1]->job : NULL;
    for (uint32_t i = 1; i < c->resv_count; i++)
        if (queue_order(&c->resv[i - 1]->job, &c->resv[i]->job, c) > 0)
            return false;
    for (uint32_t i = 0; i < c->class_cap; i++) {
        const struct jobclass *k = &c->class[i];
        bool out = k->failed_pass == c->pass && k->reason != REASON_PRIORITY;
        for (uint32_t n = 1; n < k->count; n++)
            if (queue_order(&k->job[k->head + n - 1], &k->job[k->head + n], c) > 0)
                return false;
        if (last && k->count && !out && queue_order(&k->job[k->head], &last, c) < 0)
            return false;
    }
    return true;
}

void queue_reclass(struct core *c)
{
    reservations_clear(c);
    for (uint32_t i = 0; i < c->jobs; i++) {
        if (!c->job[i]->queued)
            continue;
        class_leave(c, c->job[i]);
        class_join(c, c->job[i]);
    }
    plan_afresh(c);
}

void queue_unsorted(struct core *c)
{
    c->queue_sorted = false;
    plan_afresh(c);
}

void queue_sort(struct core *c)
{
    if (c->queue_sorted)
        return;
    for (uint32_t i = 0; i < c->class_cap; i++) {
        struct jobclass *k = &c->class[i];
        if (k->count > 1)
            qsort_r(k->job + k->head, k->count, sizeof *k->job, queue_order, c);
    }
    c->queue_sorted = true;
}
