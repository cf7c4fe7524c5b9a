/* SPDX-License-Identifier: Apache-2.0
 *
 * A pass: jobs by priority; what fits starts. The first jobs that do not fit
 * (policy.backfill_depth, at least one) get a reservation: the earliest time at which they
 * fit if running jobs use their whole limits, and the nodes they would get then. A later
 * job may start on reserved nodes only if it is over before that time; so no
 * reservation is delayed by backfill. A job without a limit counts as endless.
 *
 * Cost: jobs of one class (jobclass_key) fail together, and a pass is over when every class
 * that is queued has failed. A pass starts afresh only when something may fit that did not
 * fit before (plan_afresh); a job that comes meanwhile is tried alone, behind the others.
 */
#include "sched/license.h"

#include "base/buf.h"
#include "sched/limits.h"

#include <stdlib.h>
#include <string.h>

struct end_event { usec_t end; struct job *job; };

static int by_end(const void *a, const void *b)
{
    const struct end_event *x = a, *y = b;
    if (x->end != y->end)
        return x->end < y->end ? -1 : 1;
    return x->job->id < y->job->id ? -1 : x->job->id > y->job->id;
}

static usec_t limit_end(const struct job *j, usec_t now)
{
    usec_t end = j->limit == SPAN_INFINITE ? j->start + SPAN_UNKNOWN : j->start + j->limit;
    return end > now ? end : now + 1;
}

static void rooms_give(const struct core *c, const struct job *j, struct rooms *room)
{
    for (uint32_t i = 0; i < j->alloc->count; i++) {
        const struct alloc_node *k = &j->alloc->node[i];
        if (k->clean)
            continue;
        rooms_touch(room, c, k->node);
        room_give(&c->node[k->node], &room->v[k->node], k, job_exclusive(c, j));
    }
}

static void reservations_clear(struct core *c)
{
    for (uint32_t i = 0; i < c->resv_count; i++)
        free(c->resv[i].nodes);
    c->resv_count = 0;
}

/* When and where could j start at the earliest? Keeps it as a reservation. */
static void reserve(struct core *c, struct job *j, uint32_t part, usec_t now)
{
    uint32_t n = 0, depth = c->policy.backfill_depth;
    if (depth == 0 || c->policy.backfill != BACKFILL_CONSERVATIVE)
        depth = 1;
    if (c->resv_count >= depth)
        return;
    struct rooms room = {0};
    const struct jobset *running = &c->running;
    struct end_event *ev = xmalloc((running->count + 1) * sizeof *ev);
    struct placement p = {0};
    rooms_copy(&room, rooms_of(c, ROOMS_NOW));
    for (; n < running->count; n++)
        ev[n] = (struct end_event){limit_end(running->v[n], now), running->v[n]};
    qsort(ev, n, sizeof *ev, by_end);
    for (uint32_t i = 0; i < n; i++) {
        rooms_give(c, ev[i].job, &room);
        if (i + 1 < n && ev[i + 1].end == ev[i].end)
            continue;
        if (place(c, j, part, &room, NULL, &p) != 1)
            continue;
        c->resv = xrealloc(c->resv, (c->resv_count + 1) * sizeof *c->resv);
        struct reservation *r = &c->resv[c->resv_count++];
        r->start = ev[i].end;
        r->nodes = xcalloc(c->words, sizeof *r->nodes);
        for (uint32_t k = 0; k < p.count; k++)
            bs_set(r->nodes, p.node[k].node);
        j->estimate = ev[i].end;
        break;
    }
    free(p.node);
    free(ev);
    rooms_fini(&room);
}

/* Nodes that a job of this length must leave alone. NULL: none; the caller frees. */
static uint64_t *closed_nodes(const struct core *c, usec_t end)
{
    uint64_t *set = NULL;
    for (uint32_t i = 0; i < c->resv_count; i++) {
        if (end <= c->resv[i].start)
            continue;
        if (!set)
            set = xcalloc(c->words, sizeof *set);
        bs_or(set, c->resv[i].nodes, c->words);
    }
    return set;
}

enum verdict { STARTED, BLOCKED, UNAVAILABLE };

static enum verdict try_part(struct core *c, struct job *j, uint32_t part, usec_t now,
                             struct batch *out)
{
    const struct partition *pt = &c->part[part];
    struct placement p = {0};
    usec_t limit = parts_limit(pt, j->limit_given ? j->limit : 0);
    usec_t end = now + (limit == SPAN_INFINITE ? SPAN_UNKNOWN : limit);
    enum verdict v = BLOCKED;
    if (pt->state == PART_DOWN || pt->state == PART_INACTIVE) {
        j->reason = pt->state == PART_DOWN ? REASON_PART_DOWN : REASON_PART_INACTIVE;
        return UNAVAILABLE;
    }
    if (limit > pt->conf.time_max) {
        j->reason = REASON_PART_TIME_LIMIT;
        return UNAVAILABLE;
    }
    enum job_reason held = limits_check(c, j, part, NULL);
    if (held != REASON_NONE) {
        j->reason = (uint8_t)held;
        return UNAVAILABLE;
    }
    if (!license_fits(c, j, end)) {
        license_promise(c, j, now);
        j->reason = REASON_LICENSES;
        return UNAVAILABLE;
    }
    uint64_t *closed = closed_nodes(c, end);
    bool fits = place(c, j, part, rooms_of(c, ROOMS_NOW), closed, &p) == 1;
    if (fits)
        held = limits_check(c, j, part, &p); /* it may get more than it asked for */
    if (held != REASON_NONE) {
        j->reason = (uint8_t)held;
        v = UNAVAILABLE;
    } else if (fits) {
        struct job *run = j;
        if (j->rest_count)
            run = job_split(c, j, j->rest[0], out);
        if (run) {
            job_start(c, run, part, &p, now, out);
            v = STARTED;
        }
    } else {
        if (place(c, j, part, rooms_of(c, ROOMS_UP), NULL, &p) != 1)
            v = UNAVAILABLE; /* not even if all nodes that are up were free */
        j->reason = v == UNAVAILABLE ? REASON_NODE_NOT_AVAIL : REASON_RESOURCES;
    }
    free(p.node);
    free(closed);
    return v;
}

/* Tries the job's partitions in order. True when something started. */
static bool try_job(struct core *c, struct job *j, usec_t now, struct batch *out)
{
    char *list = xstrdup(text_of(c, j->parts)), *save = NULL;
    struct jobclass *class = &c->class[j->class];
    uint32_t blocked = NONE;
    bool started = false;
    for (char *name = strtok_r(list, ",", &save); name && !started;
         name = strtok_r(NULL, ",", &save)) {
        long at = parts_find(c, name);
        if (at < 0) {
            j->reason = REASON_PART_INACTIVE;
            continue;
        }
        enum verdict v = try_part(c, j, (uint32_t)at, now, out);
        started = v == STARTED;
        if (v == BLOCKED && blocked == NONE)
            blocked = (uint32_t)at;
    }
    free(list);
    if (started)
        return true;
    class->failed_pass = c->pass;
    class->reason = REASON_PRIORITY;
    c->plan_blocked += intern_refs(&c->class_keys, j->class);
    if (blocked != NONE) {
        j->reason = c->resv_count ? REASON_PRIORITY : REASON_RESOURCES;
        reserve(c, j, blocked, now);
    } else {
        class->reason = j->reason;
    }
    return false;
}

/* One attempt. True when the job at c->plan_at need not be looked at again. */
static bool plan_one(struct core *c, struct job *j, usec_t now, struct batch *out)
{
    if (j->throttle) { /* another of its array may have started in this pass */
        job_gate(c, j, now);
        if (j->gate != GATE_OPEN)
            return true;
    }
    if (!try_job(c, j, now, out))
        return true;
    if (j->state != JOB_PENDING)
        return false; /* started: its place is empty now */
    job_gate(c, j, now); /* an array with tasks left */
    return j->gate != GATE_OPEN;
}

/* A new pass from the front, when something may fit that did not; else the last one goes on,
 * if only with the jobs that came after its end. One that ran out of budget is finished
 * first: reservations protect the jobs at the front meanwhile. */
static void plan_begin(struct core *c)
{
    queue_sort(c);
    if (!c->plan_afresh || !c->plan_done)
        return;
    c->plan_afresh = false;
    c->pass++;
    c->plan_at = c->queue_head;
    c->plan_blocked = 0;
    reservations_clear(c);
}

int core_plan(struct core *c, usec_t now, unsigned work_budget, struct batch *out)
{
    c->now = now;
    depend_again(c, now, out);
    if (!c->plan_wanted || c->loading)
        return 0;
    unsigned work = 0;
    plan_begin(c);
    while (c->plan_at < c->queue_count && work < work_budget) {
        if (c->plan_blocked == c->queue_count - c->queue_holes) { /* no other class is left */
            c->plan_at = c->queue_count;
            break;
        }
        struct job *j = c->queue[c->plan_at];
        if (!j || c->class[j->class].failed_pass == c->pass) {
            c->plan_at++;
            continue;
        }
        work++;
        if (plan_one(c, j, now, out))
            c->plan_at++;
    }
    c->plan_done = c->plan_at >= c->queue_count;
    c->plan_wanted = c->plan_afresh || !c->plan_done;
    depend_again(c, now, out);
    return c->plan_wanted ? 1 : 0;
}
