/* SPDX-License-Identifier: Apache-2.0
 *
 * A pass, in two parts. First those who have a reservation, in the queue's order: whose
 * start is due, or can be earlier after a relief. Then the classes that are not known to
 * fail, best job first: what fits without delaying a reservation starts; the first jobs of
 * a partition that do not fit get one (policy.backfill).
 *
 * Jobs of one class fail together. A class that has failed is not looked at again in this
 * pass or a later one until a node that its jobs could use gets relief.
 */
#include "sched/advres.h"
#include "sched/explain_parts.h"
#include "sched/het.h"
#include "sched/license.h"
#include "sched/plan.h"
#include "sched/preempt.h"

#include "base/buf.h"
#include "sched/limits.h"

#include <stdlib.h>
#include <string.h>

#define LATE_USEC (60 * USEC_PER_SEC) /* nodes are clean by then, or something is wrong */

/* Nodes for which an attempt, or the search for a time, costs as much as one on few nodes
 * (about 5 us); measured with core_bench. */
#define NODES_PER_ATTEMPT 1024u
#define NODES_PER_SEARCH 32u

#define RELIEF_KEPT 1024u /* and as many as there are nodes */

enum verdict { STARTED, BLOCKED, BARRED /* nobody passes */,
               WAITS /* it could, and waits for fewer switches */,
               COUNTED_OUT /* by limits, licenses, reservations */, UNAVAILABLE };

void plan_relief(struct core *c, uint32_t node, bool early)
{
    c->plan_wanted = c->sweep_new = true;
    c->early = c->early || early;
    if (c->relief_count > c->relief_spent && c->relief[c->relief_count - 1] == node &&
        c->relief_base + c->relief_count > c->relief_looked)
        return;
    GROW(c->relief, c->relief_cap, c->relief_count + 1);
    c->relief[c->relief_count++] = node;
}

void plan_again(struct core *c, struct job *j)
{
    c->plan_wanted = true;
    if (j->resv)
        j->resv->round = c->round - 1; /* to be looked at */
    else if (c->class[j->class].failed_pass == c->pass)
        c->class[j->class].failed_pass = c->pass - 1;
}

usec_t plan_end(const struct job *j)
{
    if (j->flags & JOBF_COMPLETING) /* its nodes are being cleaned */
        return j->end;
    if (j->state == JOB_SUSPENDED) /* nobody knows */
        return j->start + SPAN_UNKNOWN;
    usec_t end = j->start + j->suspended_total + plan_span(j, j->limit);
    return j->until && j->until < end ? j->until : end;
}

/* ---- one job --------------------------------------------------------------------------- */

/* Is every chosen node free for it until it is planned to end? */
static bool undisturbed(struct core *c, const struct placement *p, bool whole, usec_t end)
{
    for (uint32_t i = 0; i < p->count; i++)
        if (timeline_obstacle(c, p->node[i].node, &p->node[i], whole, end))
            return false;
    return true;
}

bool plan_push_back(struct core *c, const struct job *j, const struct placement *p, bool whole,
                    usec_t end)
{
    const struct take *t;
    for (uint32_t i = 0; i < p->count; i++) {
        while ((t = timeline_obstacle(c, p->node[i].node, &p->node[i], whole, end))) {
            struct job *other = t->kind == TAKE_JOB ? job_find(c, t->owner) : NULL;
            if (!other || queue_order(&other, &j, c) < 0)
                return false;
            while (c->resv[c->resv_count - 1] != other->resv)
                reservation_drop(c, c->resv[c->resv_count - 1]->job);
            reservation_drop(c, other);
        }
    }
    return true;
}

/* Its time has come, and the very amounts that it was promised are there. */
static bool as_promised(struct core *c, const struct reservation *r, bool whole, usec_t end,
                        struct placement *p)
{
    for (uint32_t i = 0; i < r->count; i++)
        if (!timeline_serves(c, r->node[i].node, &r->node[i], whole))
            return false;
    GROW(p->node, p->cap, r->count);
    memcpy(p->node, r->node, r->count * sizeof *p->node);
    p->count = r->count;
    placement_measure(c, &c->request[r->job->request], p);
    return undisturbed(c, p, whole, end) || plan_push_back(c, r->job, p, whole, end);
}

/* What is free now decides most attempts. Only what would run into a promise is placed
 * again, by what is free all the time. */
static bool fits_now(struct core *c, struct job *j, uint32_t part, usec_t end,
                     struct placement *p)
{
    bool whole = part_whole(c, j, part);
    if (place(c, j, part, rooms_of(c, ROOMS_NOW), NULL, p) != 1)
        return false;
    if (undisturbed(c, p, whole, end))
        return true;
    if (c->part[part].nodes_count > 1 && plan_beside(c, j, part, end, p))
        return true;
    return j->resv && j->resv->part == part && j->resv->start <= c->now &&
           as_promised(c, j->resv, whole, end, p);
}

/* --time-min: the longest limit under which it could start now, SPAN_INFINITE: none. */
static usec_t shorter_limit(struct core *c, struct job *j, uint32_t part, usec_t now,
                            usec_t limit, struct placement *p)
{
    usec_t most = limit;
    const struct take *t;
    if (!j->limit_min || j->limit_min >= limit ||
        !fits_now(c, j, part, now + plan_span(j, j->limit_min), p))
        return SPAN_INFINITE;
    for (uint32_t i = 0; i < p->count; i++)
        while ((t = timeline_obstacle(c, p->node[i].node, &p->node[i], part_whole(c, j, part),
                                      now + most)))
            most = t->start - now;
    most -= most % USEC_PER_SEC;
    return most > j->limit_min ? most : j->limit_min;
}

/* --deadline: a limit that may be lowered ends with it. */
static usec_t limit_in_time(const struct job *j, usec_t limit, usec_t now)
{
    usec_t left = (j->deadline - now) / USEC_PER_SEC * USEC_PER_SEC;
    bool gives = j->limit_min || !j->limit_given;
    return j->deadline && gives && left > 0 && left < limit ? left : limit;
}

/* Is the partition open to jobs like this one? */
static bool part_takes(const struct partition *pt, struct job *j, usec_t limit)
{
    if (pt->state == PART_DOWN || pt->state == PART_INACTIVE) {
        j->reason = pt->state == PART_DOWN ? REASON_PART_DOWN : REASON_PART_INACTIVE;
        return false;
    }
    if (limit > pt->conf.time_max) {
        j->reason = REASON_PART_TIME_LIMIT;
        return false;
    }
    return true;
}

/* Could it run there if nothing else did? Remembered until nodes come or go. */
static bool could_run(struct core *c, struct job *j, uint32_t part, struct placement *p)
{
    struct jobclass *k = &c->class[j->class];
    if (k->parts == 1 && k->up_gen == c->up_gen)
        return true;
    if (place(c, j, part, rooms_of(c, ROOMS_UP), NULL, p) != 1) {
        j->reason = REASON_NODE_NOT_AVAIL;
        return false;
    }
    k->up_gen = c->up_gen;
    return true;
}

/* --switches=N@time: it may wait for a place on fewer switches than there are now. */
static bool waits_for_switches(struct core *c, struct job *j, const struct placement *p,
                               usec_t now)
{
    usec_t until = place_switches_wait(c, j, p);
    if (until <= now)
        return false;
    j->reason = REASON_RESOURCES;
    timer_add(c, until, TIMER_PLAN, j->id);
    return true;
}

static bool within_limits(struct core *c, struct job *j, uint32_t part,
                          const struct placement *p)
{
    enum job_reason held = limits_check(c, j, part, p);
    if (held != REASON_NONE)
        j->reason = (uint8_t)held;
    return held == REASON_NONE;
}

/* What was promised to j is free for others, but for what it takes now as was planned. */
static void promise_over(struct core *c, struct job *j, const struct placement *p)
{
    const struct reservation *r = j->resv;
    bool early = c->early, as_planned = r->start <= c->now + 1 && r->count == p->count;
    for (uint32_t i = 0; i < p->count && as_planned; i++)
        as_planned = memcmp(&p->node[i], &r->node[i], sizeof *r->node) == 0;
    reservation_drop(c, j);
    c->early = early || !as_planned || c->policy.backfill == BACKFILL_NONE; /* who is next? */
}

static enum verdict start(struct core *c, struct job *j, uint32_t part,
                          const struct placement *p, usec_t now, struct batch *out)
{
    struct job *run = j;
    if (waits_for_switches(c, j, p, now))
        return WAITS;
    if (!within_limits(c, j, part, p)) /* it may get more than it asked for */
        return COUNTED_OUT;
    explain_note(c, j, part, p, now);
    if (j->resv)
        promise_over(c, j, p);
    if (j->rest_count)
        run = job_split(c, j, j->rest[0], out);
    if (run)
        job_start(c, run, part, p, now, out);
    return run ? STARTED : BLOCKED;
}

/* ... under a limit that is shorter than what it asked for. */
static enum verdict start_short(struct core *c, struct job *j, uint32_t part, usec_t limit,
                                const struct placement *p, usec_t now, struct batch *out)
{
    const usec_t had = j->limit;
    const bool given = j->limit_given;
    j->limit_asked = given ? had : LIMIT_NOT_GIVEN;
    j->limit = limit;
    j->limit_given = true;
    enum verdict v = start(c, j, part, p, now, out);
    if (j->state == JOB_PENDING) { /* an array's other tasks keep what they asked for */
        j->limit = had;
        j->limit_given = given;
        j->limit_asked = 0;
    }
    return v;
}

static enum verdict try_part(struct core *c, struct job *j, uint32_t part, usec_t now,
                             struct batch *out)
{
    const struct partition *pt = &c->part[part];
    struct placement p = {0};
    const usec_t asked = parts_limit(pt, j->limit_given ? j->limit : 0);
    usec_t limit = limit_in_time(j, asked, now);
    enum verdict v = BLOCKED;
    if (!part_takes(pt, j, limit))
        return UNAVAILABLE;
    if (!within_limits(c, j, part, NULL))
        return COUNTED_OUT;
    if (c->policy.backfill == BACKFILL_NONE &&
        pt->promised > (j->resv && j->resv->part == part))
        return BARRED;
    if (!advres_open(c, j, now)) {
        j->reason = REASON_RESERVATION;
        return COUNTED_OUT;
    }
    if (!license_fits(c, j, now + plan_span(j, limit))) {
        license_promise(c, j, now);
        j->reason = REASON_LICENSES;
        return COUNTED_OUT;
    }
    if (fits_now(c, j, part, now + plan_span(j, limit), &p)) {
        v = limit == asked ? start(c, j, part, &p, now, out)
                           : start_short(c, j, part, limit, &p, now, out);
    } else if ((limit = shorter_limit(c, j, part, now, limit, &p)) != SPAN_INFINITE) {
        v = start_short(c, j, part, limit, &p, now, out);
    } else if (!could_run(c, j, part, &p)) {
        v = UNAVAILABLE;
    } else {
        preempt_for(c, j, part, now, out);
    }
    free(p.node);
    return v;
}

/* A heterogeneous job: all components start, or none. */
static enum verdict try_het(struct core *c, struct job *j, usec_t now, struct batch *out,
                            uint32_t *blocked)
{
    struct het_place *v = xcalloc(j->het_size, sizeof *v);
    const uint32_t n = j->het_size;
    enum verdict verdict = STARTED;
    if (het_fits_now(c, j, now, v)) {
        if (j->resv)
            reservation_drop(c, j);
        for (uint32_t k = 0; k < n; k++) {
            struct job *p = het_part(c, j, k);
            if (p)
                job_start(c, p, v[k].part, &v[k].p, now, out);
        }
    } else if (j->reason != REASON_RESOURCES) {
        verdict = COUNTED_OUT;
    } else if (!het_could_run(c, j)) {
        j->reason = REASON_NODE_NOT_AVAIL;
        verdict = UNAVAILABLE;
    } else {
        *blocked = c->class[j->class].part[0];
        j->reason = REASON_RESOURCES;
        verdict = BLOCKED;
    }
    het_place_free(v, n);
    free(v);
    return verdict;
}

/* Tries the job's partitions in order. *blocked: the first in which it has to wait, NONE:
 * there is none. */
static enum verdict try_job(struct core *c, struct job *j, usec_t now, struct batch *out,
                            uint32_t *blocked)
{
    uint32_t class = j->class;
    enum verdict worst = UNAVAILABLE;
    *blocked = NONE;
    class_parts(c, &c->class[class], text_of(c, j->parts));
    if (c->class[class].parts == 0)
        j->reason = REASON_PART_INACTIVE;
    if (het_is(j) && c->class[class].parts)
        return try_het(c, j, now, out, blocked);
    for (uint32_t i = 0; i < c->class[class].parts; i++) {
        uint32_t part = c->class[class].part[i];
        enum verdict v = try_part(c, j, part, now, out);
        if (v == STARTED)
            return v;
        if (v == BLOCKED && *blocked == NONE)
            *blocked = part;
        worst = v < worst && v != BLOCKED ? v : worst;
    }
    return *blocked == NONE ? worst : BLOCKED;
}

/* Nobody but the reservations needs those so far: they are kept while they are few. */
static void relief_forget(struct core *c)
{
    c->relief_spent = c->relief_count;
    if (c->resv_count && c->relief_count < RELIEF_KEPT + c->nodes)
        return;
    c->relief_base += c->relief_count;
    c->relief_count = c->relief_spent = 0;
}

static bool relief_unspent(const struct core *c)
{
    return c->relief_count > c->relief_spent;
}

/* ---- those who have a reservation -------------------------------------------------------- */

/* An array's record goes on with its other tasks. True: no longer open. */
static bool closed(struct core *c, struct job *j, usec_t now)
{
    if (j->throttle)
        job_gate(c, j, now);
    return !j->queued;
}

static void put_aside(struct core *c, struct reservation *r)
{
    timeline_untake(c, TAKE_JOB, r->job->id, r->node, r->count);
    r->aside = true;
}

static void put_back(struct core *c, struct reservation *r)
{
    timeline_take(c, TAKE_JOB, r->job->id, r->start, r->end, r->node, r->count, r->exclusive);
    r->aside = false;
}

/* Its nodes are promised to nobody now. */
static void relieve(struct core *c, const struct demand *d, uint32_t count)
{
    for (uint32_t k = 0; k < count; k++)
        plan_relief(c, d[k].node, false);
}

/* Moves the promise, whose take is put aside, forward if that can be; back only when its
 * time has come and what it waits for is late for long. */
static void move(struct core *c, struct reservation *r, usec_t now)
{
    struct job *j = r->job;
    struct placement p = {0};
    bool late = r->start + LATE_USEC < now;
    while (late && c->resv[c->resv_count - 1] != r)
        reservation_drop(c, c->resv[c->resv_count - 1]->job);
    usec_t start = plan_earliest(c, j, r->part, r->end - r->start, now,
                                 late ? INT64_MAX : r->start, &p);
    if (start == INT64_MAX && late) {
        reservation_drop(c, j);
    } else if (start < r->start || late) {
        relieve(c, r->node, r->count);
        reservation_set(c, r, start, &p, now);
    } else {
        reservation_note(c, r);
        put_back(c, r);
    }
    free(p.node);
}

/* Looks at one promise again. False: it is gone from the list. */
static bool look_again(struct core *c, struct reservation *r, usec_t now, unsigned *work,
                       struct batch *out)
{
    struct job *j = r->job;
    uint32_t blocked;
    bool due = r->start <= now + 1, more = c->class[j->class].parts > 1 && relief_unspent(c);
    r->round = c->round;
    r->sweep = c->sweep;
    if (closed(c, j, now))
        return false;
    put_aside(c, r);
    if (!due && !more && !reservation_helped(c, r, now)) {
        put_back(c, r);
        return true;
    }
    *work += c->nodes / NODES_PER_SEARCH;
    switch (try_job(c, j, now, out, &blocked)) {
    case STARTED:
        if (j->queued)
            job_gate(c, j, now); /* an array with tasks left */
        return false;
    case BLOCKED:
    case BARRED:
        move(c, r, now);
        return j->resv != NULL;
    case WAITS: /* what it was promised is the latest that it starts */
        put_back(c, r);
        return true;
    default:
        reservation_drop(c, j);
        return false;
    }
}

/* The first of a partition waits for resources, the others for it. */
static void reason_of_place(struct core *c, struct reservation *r)
{
    struct partition *pt = &c->part[r->part];
    r->job->reason = pt->headed == c->passes ? REASON_PRIORITY : REASON_RESOURCES;
    pt->headed = c->passes;
}

static void plan_promised(struct core *c, usec_t now, unsigned budget, unsigned *work,
                          struct batch *out)
{
    uint32_t i = 0;
    while (i < c->resv_count && *work < budget) {
        struct reservation *r = c->resv[i];
        bool look = r->start <= now + 1 || r->round != c->round ||
                    (relief_unspent(c) && c->class[r->job->class].parts > 1);
        if (look && r->sweep != c->sweep) {
            *work += 1;
            if (!look_again(c, r, now, work, out))
                continue;
        }
        reason_of_place(c, r);
        i++;
    }
}

/* ---- the classes -------------------------------------------------------------------------- */

struct entry { /* a class by its best job */
    struct job *job;
    uint32_t class;
    bool behind;             /* behind the first that waits, and tried by length */
    usec_t span;
};
struct heap {
    struct core *c;
    struct entry *v;
    uint32_t count, cap;
};

static bool entry_before(const struct heap *h, const struct entry *a, const struct entry *b)
{
    if (a->behind != b->behind)
        return b->behind;
    if (a->behind && a->span != b->span)
        return a->span < b->span;
    return queue_order(&a->job, &b->job, h->c) < 0;
}

static void heap_down(struct heap *h, uint32_t i)
{
    struct entry e = h->v[i];
    for (uint32_t k = 2 * i + 1; k < h->count; k = 2 * i + 1) {
        if (k + 1 < h->count && entry_before(h, &h->v[k + 1], &h->v[k]))
            k++;
        if (!entry_before(h, &h->v[k], &e))
            break;
        h->v[i] = h->v[k];
        i = k;
    }
    h->v[i] = e;
}

static void heap_pop(struct heap *h)
{
    h->v[0] = h->v[--h->count];
    if (h->count)
        heap_down(h, 0);
}

/* Would a failure of its next job, if it has one, make a reservation? */
static bool class_promises(const struct core *c, const struct jobclass *k)
{
    for (uint32_t i = 0; i < k->parts && k->count; i++)
        if (part_promises(c, &c->part[k->part[i]], k->job[k->head]))
            return true;
    return false;
}

static bool class_failed(const struct core *c, const struct jobclass *k)
{
    return k->failed_pass == c->pass;
}

static void entry_fill(const struct core *c, struct entry *e, uint32_t class)
{
    const struct jobclass *k = &c->class[class];
    struct job *j = k->job[k->head];
    *e = (struct entry){.job = j, .class = class};
    if (c->policy.backfill_candidates != CANDIDATES_SHORTEST || k->parts == 0 ||
        class_promises(c, k) || !order_by_length(c, &c->part[k->part[0]]))
        return;
    e->behind = true;
    e->span = order_length(c, j, parts_limit(&c->part[k->part[0]], j->limit_given ? j->limit : 0));
}

static void heap_fill(struct heap *h)
{
    struct core *c = h->c;
    h->count = 0;
    for (uint32_t i = 0; i < c->class_cap; i++) {
        struct jobclass *k = &c->class[i];
        if (k->count == 0 || k->barred_sweep == c->sweep)
            continue;
        class_parts(c, k, text_of(c, k->job[k->head]->parts));
        if (class_failed(c, k) && (k->reason != REASON_PRIORITY || !class_promises(c, k)))
            continue;
        GROW(h->v, h->cap, h->count + 1);
        entry_fill(c, &h->v[h->count++], i);
    }
    for (uint32_t i = h->count / 2; i-- > 0;)
        heap_down(h, i);
}

/* Which of the classes that failed could use what was relieved? */
static void relief_spend(struct core *c)
{
    const struct rooms *now = rooms_of(c, ROOMS_NOW);
    for (uint32_t i = 0; i < c->class_cap && (relief_unspent(c) || c->counts_freed); i++) {
        struct jobclass *k = &c->class[i];
        if (k->count == 0 || !class_failed(c, k))
            continue;
        const struct job *j = k->job[k->head];
        if ((c->counts_freed && k->counted_out) || (het_is(j) && c->relief_count))
            k->failed_pass = c->pass - 1;
        class_parts(c, k, text_of(c, j->parts));
        for (uint32_t n = c->relief_spent; n < c->relief_count && class_failed(c, k); n++) {
            uint32_t node = c->relief[n];
            for (uint32_t p = 0; p < k->parts; p++)
                if (bs_test(c->part[k->part[p]].nodes, node) &&
                    place_fits(c, j, k->part[p], node, &now->v[node]))
                    k->failed_pass = c->pass - 1;
        }
    }
    relief_forget(c);
    c->counts_freed = false;
}

/* The best job of a class. False: the class is done with in this pass. */
static bool plan_one(struct core *c, uint32_t class, usec_t now, struct batch *out, bool *promised)
{
    struct jobclass *k = &c->class[class];
    struct job *j = k->job[k->head];
    uint32_t blocked = k->parts ? k->part[0] : NONE;
    enum verdict v = BLOCKED;
    if (closed(c, j, now))
        return true; /* its place is empty now */
    order_expect(c, j);
    if (!class_failed(c, k))
        v = try_job(c, j, now, out, &blocked);
    k = &c->class[class]; /* the table may have moved */
    if (v == STARTED) {
        if (j->queued)
            job_gate(c, j, now);
        return true;
    }
    k->failed_pass = v == BARRED ? c->pass - 1 : c->pass; /* barred: until the first starts */
    k->barred_sweep = v == BARRED ? c->sweep : 0;
    k->counted_out = v == COUNTED_OUT;
    k->reason = v > BARRED ? j->reason : REASON_PRIORITY;
    if (v != BLOCKED)
        return false;
    struct partition *pt = &c->part[blocked];
    j->reason = pt->promised ? REASON_PRIORITY : REASON_RESOURCES;
    *promised = part_promises(c, pt, j) && reservation_make(c, j, blocked, now);
    return *promised && class_promises(c, k);
}

static void plan_classes(struct core *c, usec_t now, unsigned budget, unsigned *work,
                         struct batch *out, bool *done)
{
    struct heap h = {.c = c};
    heap_fill(&h);
    while (h.count && *work < budget) {
        uint32_t class = h.v[0].class;
        bool promised = false;
        bool more = plan_one(c, class, now, out, &promised);
        *work += 1 + c->nodes / (promised ? NODES_PER_SEARCH : NODES_PER_ATTEMPT);
        if (promised && c->policy.backfill_candidates == CANDIDATES_SHORTEST) {
            heap_fill(&h); /* those behind it have another order */
        } else if (more && c->class[class].count) {
            entry_fill(c, &h.v[0], class);
            heap_down(&h, 0);
        } else {
            heap_pop(&h);
        }
    }
    *done = h.count == 0;
    free(h.v);
}

/* ---- a pass ----------------------------------------------------------------------------------- */

/* Afresh: no failure and no promise of before counts. Else those who can gain by what was
 * freed early look at it in turn. */
static void plan_begin(struct core *c)
{
    c->passes++;
    /* Expectations and dues move: promises follow. Not between the slices of a pass: what is
     * dropped is relief, and each slice would begin the pass again, for ever. */
    if (c->policy.plan_order == PLAN_DUE && c->sweep_new) {
        reservations_clear(c);
        order_pass(c);
    }
    if (c->plan_afresh) {
        c->plan_afresh = false;
        reservations_clear(c);
        queue_sort(c);
        c->pass++;
        relief_forget(c);
    } else if (c->early) {
        c->round++;
    }
    c->sweep += c->sweep_new;
    c->early = false;
}

int core_plan(struct core *c, usec_t now, unsigned work_budget, struct batch *out)
{
    unsigned work = 0;
    bool done = false;
    c->now = now;
    depend_again(c, now, out);
    if (!c->plan_wanted || c->loading)
        return 0;
    plan_begin(c);
    plan_promised(c, now, work_budget, &work, out);
    while (c->early && work < work_budget) { /* a promise gave way: those before it gain too */
        c->early = false;
        c->round++;
        c->sweep++;
        plan_promised(c, now, work_budget, &work, out);
    }
    if (work < work_budget) {
        relief_spend(c);
        c->plan_wanted = false; /* what was wanted so far is done in this pass */
        plan_classes(c, now, work_budget, &work, out, &done);
    }
    c->sweep_new = done;
    depend_again(c, now, out);
    c->plan_wanted = c->plan_wanted || !done;
    return c->plan_wanted ? 1 : 0;
}
