/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/het.h"

#include "base/buf.h"
#include "sched/advres.h"
#include "sched/license.h"
#include "sched/limits.h"
#include "sched/plan.h"

#include <stdlib.h>
#include <string.h>

struct job *het_part(const struct core *c, const struct job *j, uint32_t k)
{
    struct job *p = k < j->het_size ? job_find(c, j->het_id + k) : NULL;
    return p && p->het_id == j->het_id ? p : NULL;
}

/* ---- gates --------------------------------------------------------------------------- */

bool het_open(const struct core *c, const struct job *j, enum job_reason *why)
{
    *why = REASON_NONE;
    if (j->het_offset)
        return false;
    for (uint32_t k = 1; k < j->het_size; k++) {
        const struct job *p = het_part(c, j, k);
        if (!p || (p->state == JOB_PENDING && p->gate == GATE_HET && !(p->flags & JOBF_COMPLETING)))
            continue;
        *why = p->state == JOB_PENDING ? (enum job_reason)p->reason : REASON_RESOURCES;
        return false;
    }
    return true;
}

void het_gate(struct core *c, struct job *j, usec_t now)
{
    struct job *leader = j->het_offset ? het_part(c, j, 0) : NULL;
    if (leader && leader->state == JOB_PENDING)
        job_gate(c, leader, now);
}

/* ---- where ----------------------------------------------------------------------------- */

static usec_t limit_in(const struct core *c, const struct job *j, uint32_t part)
{
    return parts_limit(&c->part[part], j->limit_given ? j->limit : 0);
}

/* May component j start in the partition, whatever is free there? */
static bool allowed(struct core *c, struct job *j, uint32_t part, const struct limits_more *more,
                    enum job_reason *why)
{
    const struct partition *pt = &c->part[part];
    if (pt->state == PART_DOWN || pt->state == PART_INACTIVE)
        *why = pt->state == PART_DOWN ? REASON_PART_DOWN : REASON_PART_INACTIVE;
    else if (limit_in(c, j, part) > pt->conf.time_max)
        *why = REASON_PART_TIME_LIMIT;
    else if (!advres_open(c, j, c->now))
        *why = REASON_RESERVATION;
    else if (!license_fits(c, j, c->now + plan_span(j, limit_in(c, j, part))))
        *why = REASON_LICENSES;
    else
        *why = limits_check_more(c, j, part, NULL, more);
    return *why == REASON_NONE;
}

/* In the first of its partitions that has room. */
static bool place_part(struct core *c, struct job *j, struct rooms *rooms, bool starts,
                       struct limits_more *more, struct het_place *at, enum job_reason *why)
{
    struct jobclass one = {.parts_gen = NONE};
    bool placed = false;
    *why = REASON_PART_INACTIVE;
    class_parts(c, &one, text_of(c, j->parts));
    for (uint32_t i = 0; i < one.parts && !placed; i++) {
        at->part = one.part[i];
        if (starts && !allowed(c, j, at->part, more, why))
            continue;
        placed = place(c, j, at->part, rooms, NULL, &at->p) == 1;
        *why = REASON_RESOURCES;
        if (placed && starts)
            *why = limits_check_more(c, j, at->part, &at->p, more);
        placed = placed && (!starts || *why == REASON_NONE);
    }
    free(one.part);
    if (placed) {
        rooms_take(rooms, c, &at->p, part_whole(c, j, at->part));
        limits_more_add(c, j, at->part, &at->p, more);
    }
    return placed;
}

bool het_place(struct core *c, struct job *leader, struct rooms *rooms, bool starts,
               struct het_place *v)
{
    struct limits_more more = {0};
    for (uint32_t k = 0; k < leader->het_size; k++) {
        struct job *j = het_part(c, leader, k);
        enum job_reason why = REASON_NONE;
        if (!j || place_part(c, j, rooms, starts, &more, &v[k], &why))
            continue;
        leader->reason = (uint8_t)why;
        return false;
    }
    return true;
}

void het_place_free(struct het_place *v, uint32_t n)
{
    for (uint32_t k = 0; k < n; k++)
        free(v[k].p.node);
    memset(v, 0, n * sizeof *v);
}

static bool undisturbed(struct core *c, const struct job *leader, const struct het_place *v,
                        usec_t end)
{
    for (uint32_t k = 0; k < leader->het_size; k++) {
        const struct job *j = het_part(c, leader, k);
        bool whole = j && part_whole(c, j, v[k].part);
        for (uint32_t i = 0; i < v[k].p.count; i++)
            if (timeline_obstacle(c, v[k].p.node[i].node, &v[k].p.node[i], whole, end))
                return false;
    }
    return true;
}

/* Its time has come: those behind it give way. */
static bool push_back(struct core *c, const struct job *leader, const struct het_place *v,
                      usec_t end)
{
    bool good = leader->resv && leader->resv->start <= c->now;
    for (uint32_t k = 0; good && k < leader->het_size; k++) {
        const struct job *j = het_part(c, leader, k);
        good = !j || plan_push_back(c, leader, &v[k].p, part_whole(c, j, v[k].part), end);
    }
    return good;
}

/* Do components share a node? What each of them leaves of a promise says nothing of both. */
static bool shares_nodes(const struct core *c, const struct het_place *v, uint32_t n)
{
    uint64_t *seen = xcalloc(c->words + 1, sizeof *seen);
    bool shared = false;
    for (uint32_t k = 0; k < n; k++)
        for (uint32_t i = 0; i < v[k].p.count; i++) {
            shared = shared || bs_test(seen, v[k].p.node[i].node);
            bs_set(seen, v[k].p.node[i].node);
        }
    free(seen);
    return shared;
}

static bool place_copy(struct core *c, struct job *leader, const struct rooms *from, bool starts,
                       struct het_place *v)
{
    struct rooms rooms = {0};
    rooms_copy(&rooms, from);
    bool good = het_place(c, leader, &rooms, starts, v);
    rooms_fini(&rooms);
    if (!good)
        het_place_free(v, leader->het_size);
    return good;
}

/* On what no promise wants before `end`. */
static bool place_beside(struct core *c, struct job *leader, usec_t now, usec_t end,
                         struct het_place *v)
{
    uint64_t *all = xcalloc(c->words + 1, sizeof *all);
    bs_fill(all, c->nodes);
    bool good = place_copy(c, leader, timeline_rooms_at(c, all, now, end), true, v);
    free(all);
    return good;
}

bool het_fits_now(struct core *c, struct job *leader, usec_t now, struct het_place *v)
{
    usec_t end = now + het_span(c, leader);
    if (!place_copy(c, leader, rooms_of(c, ROOMS_NOW), true, v))
        return false;
    if (bs_empty(c->timeline.taken, c->timeline.taken_words) ||
        (!shares_nodes(c, v, leader->het_size) && undisturbed(c, leader, v, end)))
        return true;
    het_place_free(v, leader->het_size);
    if (place_beside(c, leader, now, end, v))
        return true;
    if (!place_copy(c, leader, rooms_of(c, ROOMS_NOW), true, v))
        return false;
    if (push_back(c, leader, v, end))
        return true;
    het_place_free(v, leader->het_size);
    leader->reason = REASON_RESOURCES;
    return false;
}

bool het_could_run(struct core *c, struct job *leader)
{
    struct het_place *v = xcalloc(leader->het_size, sizeof *v);
    bool good = place_copy(c, leader, rooms_of(c, ROOMS_UP), false, v);
    het_place_free(v, leader->het_size);
    free(v);
    return good;
}

usec_t het_span(const struct core *c, const struct job *leader)
{
    usec_t most = 0;
    for (uint32_t k = 0; k < leader->het_size; k++) {
        const struct job *j = het_part(c, leader, k);
        const char *name = j ? text_of(c, j->parts) : "";
        char first[NAME_LEN_MAX + 1];
        snprintf(first, sizeof first, "%.*s", (int)strcspn(name, ","), name);
        long at = parts_find(c, first);
        usec_t span = j && at >= 0 ? plan_span(j, limit_in(c, j, (uint32_t)at)) : 0;
        most = span > most ? span : most;
    }
    return most ? most : USEC_PER_SEC;
}

bool het_alone(const struct core *c, const struct job *leader, uint32_t part)
{
    bool alone = c->part[part].conf.oversubscribe_exclusive;
    for (uint32_t k = 0; k < leader->het_size; k++) {
        const struct job *j = het_part(c, leader, k);
        alone = alone || (j && c->request[j->request].exclusive);
    }
    return alone;
}

/* ---- when ------------------------------------------------------------------------------- */

static int by_time(const void *a, const void *b)
{
    usec_t x = *(const usec_t *)a, y = *(const usec_t *)b;
    return x < y ? -1 : x > y;
}

/* Now, and when something ends on any node before `before`: ascending, each once. */
static usec_t *times_of(struct core *c, usec_t now, usec_t before, uint32_t *count)
{
    usec_t *v = NULL;
    uint32_t n = 0, cap = 0, k = 0;
    GROW(v, cap, 1);
    v[n++] = now;
    for (uint32_t i = 0; i < c->nodes; i++)
        for (usec_t t = timeline_next(c, i, now); t < before; t = timeline_next(c, i, t)) {
            GROW(v, cap, n + 1);
            v[n++] = t;
        }
    qsort(v, n, sizeof *v, by_time);
    for (uint32_t i = 0; i < n; i++)
        if (k == 0 || v[k - 1] != v[i])
            v[k++] = v[i];
    *count = k;
    return v;
}

/* All pieces in one list, a node once: what two components take of it is one amount. */
static void pieces_join(struct placement *p, const struct placement *more)
{
    for (uint32_t i = 0; i < more->count; i++) {
        const struct demand *d = &more->node[i];
        uint32_t at = 0;
        while (at < p->count && p->node[at].node != d->node)
            at++;
        if (at == p->count) {
            GROW(p->node, p->cap, p->count + 1);
            p->node[p->count++] = *d;
            continue;
        }
        struct demand *to = &p->node[at];
        to->tasks += d->tasks;
        to->cores += d->cores;
        to->mem += d->mem;
        for (uint32_t g = 0; g < GRES_POOLS_MAX; g++)
            to->gres[g] += d->gres[g];
        for (uint32_t g = 0; g < GPUS_SHARED_MAX; g++)
            to->gpu[g] = (uint16_t)(to->gpu[g] + d->gpu[g]);
    }
}

static bool fits_at(struct core *c, struct job *leader, usec_t span, usec_t t,
                    const uint64_t *all, struct het_place *v)
{
    return place_copy(c, leader, timeline_rooms_at(c, all, t, t + span), false, v);
}

usec_t het_earliest(struct core *c, struct job *leader, usec_t span, usec_t now, usec_t before,
                    struct placement *p)
{
    const uint8_t reason = leader->reason;
    struct het_place *v = xcalloc(leader->het_size, sizeof *v);
    uint64_t *all = xcalloc(c->words + 1, sizeof *all);
    uint32_t times;
    usec_t *t = times_of(c, now, before, &times), start = INT64_MAX;
    bs_fill(all, c->nodes);
    for (uint32_t lo = 0, hi = times; lo < hi;) { /* as plan_earliest(): few in order, then halves */
        uint32_t mid = lo < 8 && hi == times ? lo : (lo + hi) / 2;
        if (!fits_at(c, leader, span, t[mid], all, v)) {
            lo = mid + 1;
            continue;
        }
        hi = mid;
        start = t[mid];
        p->count = 0;
        for (uint32_t k = 0; k < leader->het_size; k++)
            pieces_join(p, &v[k].p);
        het_place_free(v, leader->het_size);
    }
    leader->reason = reason;
    free(t);
    free(all);
    free(v);
    return start < before ? start : INT64_MAX;
}

/* ---- the end ------------------------------------------------------------------------------ */

/* What ends with the component that has ended so? */
static bool takes_along(const struct job *j, enum then then)
{
    return j->het_offset == 0 || then != THEN_NOTHING || j->state == JOB_NODE_FAIL ||
           j->state == JOB_PREEMPTED;
}

void het_end(struct core *c, struct job *j, uint32_t exit_status, enum then then, usec_t now,
             struct batch *out, const char *text)
{
    if (!takes_along(j, then))
        return;
    for (uint32_t k = 0; k < j->het_size; k++) {
        struct job *p = het_part(c, j, k);
        if (!p || p == j || !p->alloc || p->flags & JOBF_COMPLETING)
            continue;
        p->cancelled_by = j->cancelled_by;
        job_end(c, p, (enum job_state)j->state, (enum job_reason)j->reason, exit_status, then, now,
                out, text);
    }
}

void het_cancel_pending(struct core *c, struct job *j, usec_t now, struct batch *out)
{
    for (uint32_t k = 0; k < j->het_size; k++) {
        struct job *p = het_part(c, j, k);
        if (p && p != j && p->state == JOB_PENDING)
            job_cancel_pending(c, p, (enum job_state)j->state, j->cancelled_by, now, out);
    }
}
