/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/timeline.h"

#include "sched/levels.h"

#include "base/buf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct line *line_of(struct core *c, uint32_t node)
{
    struct timeline *t = &c->timeline;
    if (node >= t->cap) {
        uint32_t cap = c->nodes_cap > node ? c->nodes_cap : node + 1;
        t->line = xrealloc(t->line, cap * sizeof *t->line);
        memset(t->line + t->cap, 0, (cap - t->cap) * sizeof *t->line);
        t->cap = cap;
    }
    return &t->line[node];
}

static void line_fini(struct line *l)
{
    free(l->hold);
    free(l->take);
    free(l->level);
}

void timeline_fini(struct timeline *t)
{
    for (uint32_t i = 0; i < t->cap; i++)
        line_fini(&t->line[i]);
    free(t->line);
    free(t->taken);
    free(t->later_set);
    rooms_fini(&t->later);
    memset(t, 0, sizeof *t);
}

static void line_change(struct core *c, struct line *l, uint32_t node, usec_t from, usec_t until,
                        const struct demand *d, bool exclusive, int sign)
{
    if (l->levels)
        levels_add(c, node, l, from, until, d, exclusive, sign);
}

/* ---- holds --------------------------------------------------------------------------- */

static uint32_t hold_lower(const struct line *l, usec_t end)
{
    uint32_t lo = 0, hi = l->holds;
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        if (l->hold[mid].end < end)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static void hold_put(struct line *l, struct hold h)
{
    uint32_t i = hold_lower(l, h.end);
    GROW(l->hold, l->holds_cap, l->holds + 1);
    memmove(l->hold + i + 1, l->hold + i, (l->holds - i) * sizeof *l->hold);
    l->hold[i] = h;
    l->holds++;
}

static void hold_del(struct line *l, const struct alloc_node *piece, usec_t end)
{
    uint32_t i = hold_lower(l, end);
    while (i < l->holds && l->hold[i].piece != piece)
        i++;
    ASSERT(i < l->holds);
    memmove(l->hold + i, l->hold + i + 1, (l->holds - i - 1) * sizeof *l->hold);
    l->holds--;
}

void timeline_afresh(struct core *c, uint32_t node)
{
    if (node < c->timeline.cap)
        c->timeline.line[node].levels = 0;
}

void timeline_hold(struct core *c, const struct job *j, const struct alloc_node *piece)
{
    struct line *l = line_of(c, piece->node);
    usec_t end = j->free_at;
    hold_put(l, (struct hold){end, j, piece});
    if (l->levels) {
        struct demand d;
        piece_demand(c, piece, &d);
        levels_add(c, piece->node, l, c->now, end, &d, job_exclusive(c, j), -1);
    }
}

void timeline_release(struct core *c, const struct job *j, const struct alloc_node *piece)
{
    struct line *l = line_of(c, piece->node);
    struct demand d;
    usec_t end = j->free_at;
    hold_del(l, piece, end);
    piece_demand(c, piece, &d);
    line_change(c, l, piece->node, c->now, end, &d, job_exclusive(c, j), 1);
    plan_relief(c, piece->node, end > c->now);
}

void timeline_move(struct core *c, struct job *j, usec_t free_at)
{
    usec_t before = j->free_at;
    for (uint32_t k = 0; j->alloc && k < j->alloc->count && free_at != before; k++) {
        const struct alloc_node *piece = &j->alloc->node[k];
        struct line *l = line_of(c, piece->node);
        struct demand d;
        if (piece->clean)
            continue;
        hold_del(l, piece, before);
        hold_put(l, (struct hold){free_at, j, piece});
        piece_demand(c, piece, &d);
        if (free_at < before)
            line_change(c, l, piece->node, free_at, before, &d, job_exclusive(c, j), 1);
        else
            line_change(c, l, piece->node, before, free_at, &d, job_exclusive(c, j), -1);
        plan_relief(c, piece->node, free_at < before);
        if (free_at > before) /* promises may not hold any more */
            plan_afresh(c);
    }
    if (j->alloc)
        j->free_at = free_at;
}

/* ---- takes --------------------------------------------------------------------------- */

void timeline_take(struct core *c, enum take_kind kind, uint32_t owner, usec_t start,
                   usec_t end, const struct demand *what, uint32_t count, bool exclusive)
{
    struct timeline *t = &c->timeline;
    if (t->taken_words < c->words) {
        t->taken = xrealloc(t->taken, c->words * sizeof *t->taken);
        memset(t->taken + t->taken_words, 0, (c->words - t->taken_words) * sizeof *t->taken);
        t->taken_words = c->words;
    }
    for (uint32_t k = 0; k < count; k++) {
        struct line *l = line_of(c, what[k].node);
        uint32_t i = l->takes;
        levels_ready(c, what[k].node, l);
        GROW(l->take, l->takes_cap, l->takes + 1);
        for (; i > 0 && l->take[i - 1].start > start; i--)
            l->take[i] = l->take[i - 1];
        l->take[i] = (struct take){start, end, kind, owner, exclusive, what[k]};
        l->takes++;
        bs_set(t->taken, what[k].node);
        line_change(c, l, what[k].node, start, end, &what[k], exclusive, -1);
    }
}

void timeline_untake(struct core *c, enum take_kind kind, uint32_t owner,
                     const struct demand *what, uint32_t count)
{
    struct timeline *t = &c->timeline;
    for (uint32_t k = 0; k < count; k++) {
        struct line *l = line_of(c, what[k].node);
        uint32_t i = 0;
        while (i < l->takes && (l->take[i].owner != owner || l->take[i].kind != kind))
            i++;
        ASSERT(i < l->takes);
        struct take gone = l->take[i];
        memmove(l->take + i, l->take + i + 1, (l->takes - i - 1) * sizeof *l->take);
        line_change(c, l, what[k].node, gone.start, gone.end, &gone.what, gone.exclusive, 1);
        if (--l->takes == 0)
            bs_clear(t->taken, what[k].node);
    }
}

/* ---- questions ------------------------------------------------------------------------- */

/* Counts of whole GPUs and shares follow from the parts of each. */
static void room_recount(const struct node *n, struct room *r)
{
    static const struct demand nothing;
    room_take(n, r, &nothing, false);
    r->jobs--;
}

/* The least of both. */
static void room_least(const struct node *n, struct room *r, const struct room *b)
{
    r->cores = b->cores < r->cores ? b->cores : r->cores;
    r->mem = b->mem < r->mem ? b->mem : r->mem;
    r->jobs = b->jobs > r->jobs ? b->jobs : r->jobs;
    r->exclusive = b->exclusive > r->exclusive ? b->exclusive : r->exclusive;
    for (uint32_t p = 0; p < n->pools_count; p++)
        r->gres[p] = b->gres[p] < r->gres[p] ? b->gres[p] : r->gres[p];
    for (uint32_t g = 0; g < n->gpus; g++)
        r->gpu[g] = b->gpu[g] < r->gpu[g] ? b->gpu[g] : r->gpu[g];
    if (n->gpus)
        room_recount(n, r);
}

void timeline_room(struct core *c, uint32_t node, usec_t from, usec_t until, struct room *out)
{
    const struct node *n = &c->node[node];
    struct line *l = line_of(c, node);
    struct room r;
    levels_ready(c, node, l);
    if (from > c->now)
        level_room(n, l, level_at(l, level_find(l, from)), out);
    else
        nodes_room(n, out, false);
    for (uint32_t i = 0; i < l->takes && l->take[i].start < until; i++) {
        if (l->take[i].start > from) {
            level_room(n, l, level_at(l, level_find(l, l->take[i].start)), &r);
            room_least(n, out, &r);
        } else if (from <= c->now) { /* due, and waits for what is late */
            room_take(n, out, &l->take[i].what, l->take[i].exclusive);
        }
    }
}

/* The curve alone: from `from` on. */
static usec_t first_of_levels(const struct core *c, uint32_t node, const struct line *l,
                              const struct demand *d, bool whole, usec_t from, usec_t span)
{
    const struct node *n = &c->node[node];
    for (uint32_t i = level_find(l, from), k; i < l->levels; i = k + 1) {
        usec_t at = level_at(l, i)->at > from ? level_at(l, i)->at : from;
        for (k = i; k < l->levels && level_at(l, k)->at < at + span; k++)
            if (!level_holds(n, l, level_at(l, k), d, whole))
                break;
            else if (l->takes == 0) /* what is free only grows */
                return at;
        if (k == l->levels || level_at(l, k)->at >= at + span)
            return at;
        while (k + 1 < l->levels && !level_holds(n, l, level_at(l, k + 1), d, whole))
            k++;
    }
    return INT64_MAX;
}

bool timeline_taken(const struct core *c, uint32_t node)
{
    return node / 64 < c->timeline.taken_words && bs_test(c->timeline.taken, node);
}

usec_t timeline_first(struct core *c, uint32_t node, const struct demand *d, bool whole,
                      usec_t from, usec_t span)
{
    struct line *l = line_of(c, node);
    levels_ready(c, node, l);
    bool late = l->holds && l->hold[0].end <= c->now;
    if (from > c->now || (!late && !demand_shares(d)))
        return first_of_levels(c, node, l, d, whole, from, span);
    struct room some;
    const struct room *now = &rooms_of(c, ROOMS_NOW)->v[node];
    if (l->takes) {
        timeline_room(c, node, c->now, c->now + span, &some);
        now = &some;
    }
    if (room_holds(&c->node[node], now, d, whole))
        return c->now;
    usec_t at = first_of_levels(c, node, l, d, whole, late ? c->now + 1 : c->now, span);
    return at == c->now ? c->now + 1 : at; /* now was looked at */
}

const struct take *timeline_obstacle(struct core *c, uint32_t node, const struct demand *d,
                                     bool whole, usec_t until)
{
    const struct node *n = &c->node[node];
    const struct line *l = line_of(c, node);
    if (l->takes && l->take[0].start <= c->now) {
        struct room r;
        timeline_room(c, node, c->now, c->now + 1, &r);
        if (!room_holds(n, &r, d, whole))
            return &l->take[0];
    }
    for (uint32_t i = 0; i < l->takes && l->take[i].start < until; i++)
        if (l->take[i].start > c->now &&
            !level_spares(n, l, level_at(l, level_find(l, l->take[i].start)), d, whole))
            return &l->take[i];
    return NULL;
}

bool timeline_serves(struct core *c, uint32_t node, const struct demand *d, bool whole)
{
    const struct node *n = &c->node[node];
    struct room r;
    timeline_room(c, node, c->now, c->now + 1, &r);
    for (uint32_t g = 0; g < n->gpus; g++)
        if (r.gpu[g] < d->gpu[g])
            return false;
    return nodes_usable(n) && room_holds(n, &r, d, whole);
}

usec_t timeline_idle(const struct core *c, uint32_t node)
{
    const struct line *l = node < c->timeline.cap ? &c->timeline.line[node] : NULL;
    return l && l->holds ? l->hold[l->holds - 1].end : 0;
}

usec_t timeline_next(struct core *c, uint32_t node, usec_t t)
{
    const struct line *l = line_of(c, node);
    if (t <= c->now && l->holds && l->hold[0].end <= c->now) /* late: over in the next instant */
        return c->now + 1;
    if (l->takes) {
        uint32_t i = level_find(l, t);
        while (i < l->levels && level_at(l, i)->at <= t)
            i++;
        return i < l->levels ? level_at(l, i)->at : INT64_MAX;
    }
    if (t <= c->now && l->holds && l->hold[0].end <= c->now) /* late: over in an instant */
        return c->now + 1;
    uint32_t i = hold_lower(l, t + 1);
    return i < l->holds ? l->hold[i].end : INT64_MAX;
}

/* Nodes that have no room do not count among those of their leaf either. */
static void later_close(struct core *c, uint32_t node)
{
    struct rooms *later = &c->timeline.later;
    later->v[node] = (struct room){.jobs = 1, .exclusive = 1};
    rooms_touch(later, c, node);
}

static void later_begin(struct core *c)
{
    struct timeline *t = &c->timeline;
    if (t->later.gen == c->nodes_gen && t->later.v) {
        BS_EACH(i, t->later_set, c->words)
        {
            later_close(c, (uint32_t)i);
        }
        return;
    }
    rooms_fini(&t->later);
    rooms_init(&t->later, c, false);
    t->later_set = xrealloc(t->later_set, (c->words + 1) * sizeof *t->later_set);
    for (uint32_t i = 0; i < c->nodes; i++)
        later_close(c, i);
}

struct rooms *timeline_rooms_at(struct core *c, const uint64_t *nodes, usec_t from, usec_t until)
{
    struct timeline *t = &c->timeline;
    later_begin(c);
    memcpy(t->later_set, nodes, c->words * sizeof *nodes);
    BS_EACH(i, nodes, c->words)
    {
        timeline_room(c, (uint32_t)i, from, until, &t->later.v[i]);
        rooms_touch(&t->later, c, (uint32_t)i);
    }
    return &t->later;
}

/* ---- check ---------------------------------------------------------------------------- */

static int check_holds(const struct core *c, uint32_t node, uint32_t *pieces, struct err *err)
{
    const struct line *l = &c->timeline.line[node];
    const char *name = c->node[node].name;
    for (uint32_t i = 0; i < l->holds; i++) {
        const struct hold *h = &l->hold[i];
        if ((i && l->hold[i - 1].end > h->end) || h->end != h->job->free_at ||
            h->piece->node != node || h->piece->clean || !h->job->alloc)
            return err_set(err, -EINVAL, "node %s: its timeline has job %u wrong", name,
                           h->job->id);
    }
    *pieces += l->holds;
    for (uint32_t i = 1; i < l->takes; i++)
        if (l->take[i - 1].start > l->take[i].start)
            return err_set(err, -EINVAL, "node %s: takes are not in order", name);
    if ((l->takes != 0) != (node / 64 < c->timeline.taken_words &&
                            bs_test(c->timeline.taken, node)))
        return err_set(err, -EINVAL, "node %s: %u takes, but not so marked", name, l->takes);
    return 0;
}

/* The curve against one made from the holds and takes. */
static int check_levels(struct core *c, uint32_t node, struct err *err)
{
    struct line *l = &c->timeline.line[node], fresh = *l;
    int rc = 0;
    if (l->levels == 0)
        return 0;
    fresh.level = NULL;
    levels_make(c, node, &fresh);
    for (uint32_t i = 0; rc == 0 && i < fresh.levels; i++) {
        const struct stretch *want = level_at(&fresh, i);
        const struct stretch *is = level_at(l, level_find(l, want->at));
        if (memcmp((const char *)is + sizeof is->at, (const char *)want + sizeof is->at,
                   l->stride - sizeof is->at) != 0)
            rc = err_set(err, -EINVAL, "node %s: at %lld %d cores are planned to be free, not %d",
                         c->node[node].name, (long long)want->at, want->cores, is->cores);
        if (rc == 0 && l->takes && !c->plan_afresh && !c->policy.predict /* a guess */ &&
            l->take[0].start > c->now && (want->cores < 0 || want->mem < 0))
            rc = err_set(err, -EINVAL, "node %s: at %lld %d cores too many are promised",
                         c->node[node].name, (long long)want->at, -want->cores);
    }
    if (rc == 0 && fresh.levels > l->levels)
        rc = err_set(err, -EINVAL, "node %s: a step of its timeline is missing",
                     c->node[node].name);
    free(fresh.level);
    return rc;
}

int timeline_check(const struct core *c, struct err *err)
{
    uint32_t pieces = 0, held = 0;
    for (uint32_t i = 0; i < c->timeline.cap && i < c->nodes; i++)
        if (check_holds(c, i, &pieces, err) < 0 || check_levels((struct core *)c, i, err) < 0)
            return err->code;
    for (uint32_t i = 0; i < c->jobs; i++)
        for (uint32_t k = 0; c->job[i]->alloc && k < c->job[i]->alloc->count; k++)
            held += !c->job[i]->alloc->node[k].clean;
    if (pieces != held)
        return err_set(err, -EINVAL, "jobs hold %u pieces of nodes, the timeline has %u", held,
                       pieces);
    return 0;
}
