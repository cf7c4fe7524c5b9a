/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/preempt.h"

#include "base/buf.h"
#include "sched/het.h"
#include "sched/tenant.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

int preempt_mode_find(const char *name)
{
    static const char *const names[] = {"", "off", "cancel", "requeue"};
    for (int i = 0; i < 4; i++)
        if (strcasecmp(names[i], name ? name : "") == 0)
            return i;
    return -1;
}

static const struct partition *part_of(const struct core *c, const struct job *j)
{
    long at = parts_find(c, text_of(c, j->partition));
    return at < 0 ? NULL : &c->part[at];
}

static const struct qos *qos_named(const struct core *c, uint32_t name)
{
    const struct tenants *t = c->tenants;
    for (uint32_t i = 0; t && i < t->qoses; i++)
        if (t->qos[i].live && t->qos[i].name == name)
            return &t->qos[i];
    return NULL;
}

static bool listed(const char *list, const char *name)
{
    size_t want = strlen(name);
    for (const char *p = list; *p;) {
        size_t n = strcspn(p, ",");
        if (n == want && strncmp(p, name, n) == 0)
            return true;
        p += n + (p[n] == ',');
    }
    return false;
}

static enum preempt_mode mode_of(const struct core *c, const struct job *victim)
{
    const struct partition *p = part_of(c, victim);
    int mode = p ? preempt_mode_find(p->conf.preempt_mode) : PREEMPT_INHERIT;
    if (c->policy.preempt == PREEMPT_QOS) {
        const struct qos *q = qos_named(c, victim->qos);
        mode = q ? preempt_mode_find(text_of(c, q->preempt_mode)) : PREEMPT_INHERIT;
    }
    return mode > PREEMPT_INHERIT ? (enum preempt_mode)mode : c->policy.preempt_mode;
}

static usec_t grace_of(const struct core *c, const struct job *victim)
{
    const struct partition *p = part_of(c, victim);
    const struct qos *q = c->policy.preempt == PREEMPT_QOS ? qos_named(c, victim->qos) : NULL;
    return q ? (usec_t)q->grace_sec * USEC_PER_SEC : p ? p->conf.grace_time : 0;
}

static bool stands_above(const struct core *c, const struct job *j, uint32_t part,
                         const struct job *victim)
{
    const struct partition *p = part_of(c, victim);
    const struct qos *q;
    switch (c->policy.preempt) {
    case PREEMPT_TIER:
        return p && c->part[part].conf.priority_tier > p->conf.priority_tier;
    case PREEMPT_QOS:
        q = qos_named(c, j->qos);
        return q && listed(text_of(c, q->preempt), text_of(c, victim->qos));
    default:
        return false;
    }
}

static bool may_be_preempted(const struct core *c, const struct job *j, uint32_t part,
                             const struct job *victim)
{
    if (victim->state != JOB_RUNNING && victim->state != JOB_SUSPENDED)
        return false;
    return !victim->preempt_at && stands_above(c, j, part, victim) &&
           mode_of(c, victim) != PREEMPT_OFF;
}

/* ---- whom ----------------------------------------------------------------------------- */

struct victim { struct job *job; uint64_t lost; bool needed; };

static int by_loss(const void *a, const void *b)
{
    const struct victim *x = a, *y = b;
    if (x->lost != y->lost)
        return x->lost < y->lost ? -1 : 1;
    return x->job->id < y->job->id ? -1 : x->job->id > y->job->id;
}

static void room_after(struct core *c, const struct job *j, struct rooms *rooms)
{
    for (uint32_t i = 0; i < j->alloc->count; i++) {
        const struct alloc_node *k = &j->alloc->node[i];
        if (k->clean)
            continue;
        rooms_touch(rooms, c, k->node);
        room_give(&c->node[k->node], &rooms->v[k->node], k, job_exclusive(c, j));
    }
}

static bool on_nodes(const struct job *j, const struct placement *p)
{
    for (uint32_t i = 0; i < j->alloc->count; i++)
        for (uint32_t k = 0; k < p->count; k++)
            if (!j->alloc->node[i].clean && j->alloc->node[i].node == p->node[k].node)
                return true;
    return false;
}

/* What is free when all that is ending has ended. */
static void rooms_coming(struct core *c, struct rooms *rooms)
{
    rooms_copy(rooms, rooms_of(c, ROOMS_NOW));
    for (uint32_t i = 0; i < c->running.count; i++)
        if (c->running.v[i]->flags & JOBF_COMPLETING || c->running.v[i]->preempt_at)
            room_after(c, c->running.v[i], rooms);
}

static uint32_t candidates(struct core *c, const struct job *j, uint32_t part, usec_t now,
                           struct victim *v)
{
    uint32_t n = 0;
    usec_t later = SPAN_INFINITE; /* when the first that is exempt yet is not any more */
    for (uint32_t i = 0; i < c->running.count; i++) {
        struct job *r = c->running.v[i];
        if (!may_be_preempted(c, j, part, r))
            continue;
        if (now - r->start >= c->policy.preempt_exempt)
            v[n++] = (struct victim){r, (uint64_t)r->alloc->cpus * (uint64_t)(now - r->start), false};
        else if (r->start + c->policy.preempt_exempt < later)
            later = r->start + c->policy.preempt_exempt;
    }
    timer_add(c, later, TIMER_PREEMPT, j->id);
    qsort(v, n, sizeof *v, by_loss);
    return n;
}

/* Could it run without those of the first `n` that are needed, `but` excepted? */
static bool fits_without(struct core *c, const struct job *j, uint32_t part,
                         const struct victim *v, uint32_t n, uint32_t but, struct placement *p)
{
    struct rooms rooms = {0};
    rooms_coming(c, &rooms);
    for (uint32_t i = 0; i < n; i++)
        if (v[i].needed && i != but)
            room_after(c, v[i].job, &rooms);
    int rc = place(c, j, part, &rooms, NULL, p);
    rooms_fini(&rooms);
    return rc == 1;
}

/* ---- how ------------------------------------------------------------------------------- */

/* A heterogeneous job goes as a whole, as its leader's mode says. */
static void end(struct core *c, struct job *j, usec_t now, struct batch *out)
{
    struct job *leader = het_is(j) ? het_part(c, j, 0) : NULL;
    if (leader && leader->alloc && !(leader->flags & JOBF_COMPLETING))
        j = leader;
    bool again = mode_of(c, j) == PREEMPT_REQUEUE && j->requeue &&
                 j->type == SL__JOB_TYPE__JOB_TYPE_BATCH;
    job_end(c, j, JOB_PREEMPTED, REASON_NONE, SIGTERM, again ? THEN_REQUEUE : THEN_NOTHING, now,
            out, "DUE TO PREEMPTION");
}

static void preempt(struct core *c, struct job *j, usec_t now, struct batch *out)
{
    usec_t grace = grace_of(c, j);
    j->preempt_at = now + grace;
    if (grace == 0) {
        end(c, j, now, out);
        return;
    }
    static const int signals[] = {SIGCONT, SIGTERM};
    for (uint32_t i = 0; i < j->alloc->count; i++) {
        for (int k = 0; k < 2; k++) {
            terminate(c, j, j->alloc->node[i].node, 0, out, "");
            struct effect *e = &out->effects[out->effects_count - 1];
            e->term.signal = (uint32_t)signals[k];
            e->term.full = true; /* the script as well: it may be all there is */
        }
    }
    timer_add(c, j->preempt_at, TIMER_PREEMPT, j->id);
    job_changed(c, j, out, false);
}

void preempt_tick(struct core *c, struct job *j, usec_t now, struct batch *out)
{
    if (j->state == JOB_PENDING) /* someone is not exempt any more */
        plan_afresh(c);
    else if (j->preempt_at && now >= j->preempt_at && !(j->flags & JOBF_COMPLETING) &&
             (j->state == JOB_RUNNING || j->state == JOB_SUSPENDED))
        end(c, j, now, out);
}

/* The fewest of the cheapest without whom it could run; 0: not even without all. */
static uint32_t cheapest(struct core *c, const struct job *j, uint32_t part, struct victim *v,
                         uint32_t n, struct placement *p)
{
    uint32_t lo = 1, hi = n;
    for (uint32_t i = 0; i < n; i++)
        v[i].needed = true;
    if (n == 0 || !fits_without(c, j, part, v, n, NONE, p))
        return 0;
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        if (fits_without(c, j, part, v, mid, NONE, p))
            hi = mid;
        else
            lo = mid + 1;
    }
    return fits_without(c, j, part, v, lo, NONE, p) ? lo : 0;
}

bool preempt_for(struct core *c, const struct job *j, uint32_t part, usec_t now,
                 struct batch *out)
{
    if (c->policy.preempt == PREEMPT_NONE)
        return false;
    struct victim *v = xmalloc((c->running.count + 1) * sizeof *v);
    struct placement p = {0};
    bool coming = fits_without(c, j, part, v, 0, NONE, &p);
    uint32_t n = coming ? 0 : candidates(c, j, part, now, v);
    n = cheapest(c, j, part, v, n, &p);
    for (uint32_t i = 0; i < n; i++)
        v[i].needed = on_nodes(v[i].job, &p);
    for (uint32_t k = n; k-- > 0;) /* the dearest are let off first */
        v[k].needed = v[k].needed && !fits_without(c, j, part, v, n, k, &p);
    for (uint32_t i = 0; i < n; i++)
        if (v[i].needed)
            preempt(c, v[i].job, now, out);
    free(p.node);
    free(v);
    return coming || n;
}
