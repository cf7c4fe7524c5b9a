/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/timeline.h"

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
    free(t->start);
    free(t->touched);
    free(t->taken);
    rooms_fini(&t->ahead);
    rooms_fini(&t->later);
    memset(t, 0, sizeof *t);
}

/* `ahead` has to look at the node again. */
static void touch(struct core *c, uint32_t node)
{
    struct timeline *t = &c->timeline;
    if (!t->ahead.v || (t->touched_count && t->touched[t->touched_count - 1] == node))
        return;
    if (t->touched_count > c->nodes) { /* cheaper to fill it again */
        rooms_fini(&t->ahead);
        t->touched_count = 0;
        return;
    }
    GROW(t->touched, t->touched_cap, t->touched_count + 1);
    t->touched[t->touched_count++] = node;
}

/* ---- levels ----------------------------------------------------------------------- */

static struct stretch *level_at(const struct line *l, uint32_t i)
{
    return (struct stretch *)(void *)(l->level + (size_t)i * l->stride);
}

/* Index of the level that holds at time t: the last that begins at or before it. */
static uint32_t level_find(const struct line *l, usec_t t)
{
    uint32_t lo = 0, hi = l->levels;
    while (lo + 1 < hi) {
        uint32_t mid = (lo + hi) / 2;
        if (level_at(l, mid)->at <= t)
            lo = mid;
        else
            hi = mid;
    }
    return lo;
}

static void level_drop(struct line *l, uint32_t i, uint32_t count)
{
    memmove(l->level + (size_t)i * l->stride, l->level + (size_t)(i + count) * l->stride,
            (size_t)(l->levels - i - count) * l->stride);
    l->levels -= count;
}

/* The level that begins at exactly t, which is not before the first. */
static uint32_t level_cut(struct line *l, usec_t t)
{
    uint32_t i = level_find(l, t);
    if (level_at(l, i)->at == t)
        return i;
    if (l->levels == l->levels_cap) {
        l->levels_cap = l->levels_cap * 2 + 8;
        l->level = xrealloc(l->level, (size_t)l->levels_cap * l->stride);
    }
    memmove(l->level + (size_t)(i + 1) * l->stride, l->level + (size_t)i * l->stride,
            (size_t)(l->levels - i) * l->stride);
    l->levels++;
    level_at(l, i + 1)->at = t;
    return i + 1;
}

/* Levels that are no step. */
static void level_join(struct line *l, uint32_t i)
{
    if (i == 0 || i >= l->levels)
        return;
    const char *a = (const char *)level_at(l, i - 1), *b = (const char *)level_at(l, i);
    if (memcmp(a + sizeof(usec_t), b + sizeof(usec_t), l->stride - sizeof(usec_t)) == 0)
        level_drop(l, i, 1);
}

/* Free parts of each GPU, behind the pools. */
static int16_t *level_gpu(const struct line *l, const struct stretch *v)
{
    return (int16_t *)(void *)((char *)(uintptr_t)v->gres + l->pools * sizeof(int32_t));
}

/* Adds (sign 1) or takes away amounts over [from, until); what is past does not matter. */
static void levels_add(const struct core *c, struct line *l, usec_t from, usec_t until,
                       const struct demand *d, bool exclusive, int sign)
{
    uint32_t past = level_find(l, c->now);
    if (past)
        level_drop(l, 0, past);
    if (from < c->now)
        from = c->now;
    if (until <= from)
        return;
    if (level_at(l, 0)->at > from)
        level_at(l, 0)->at = from;
    uint32_t a = level_cut(l, from), b = until == INT64_MAX ? l->levels : level_cut(l, until);
    for (uint32_t i = a; i < b; i++) {
        struct stretch *v = level_at(l, i);
        v->cores += sign * (int32_t)d->cores;
        v->mem += sign * (int64_t)d->mem;
        v->jobs -= sign;
        v->exclusive -= sign * exclusive;
        for (uint32_t p = 0; p < l->pools; p++)
            v->gres[p] += sign * (int32_t)d->gres[p];
        for (uint32_t g = 0; g < l->gpus; g++)
            level_gpu(l, v)[g] = (int16_t)(level_gpu(l, v)[g] + sign * (int)d->gpu[g]);
    }
    level_join(l, b);
    level_join(l, a);
}

/* What a job holds. GPUs that are looked at one by one are counted in parts of each. */
static void piece_demand(const struct core *c, const struct alloc_node *piece, struct demand *d)
{
    const struct node *n = &c->node[piece->node];
    memset(d, 0, sizeof *d);
    d->node = piece->node;
    d->cores = piece->cores;
    d->mem = piece->mem;
    for (uint32_t g = 0; piece->gpu && g < n->gpus; g++)
        d->gpu[g] = piece->gpu[g];
    for (uint32_t p = 0; p < n->pools_count; p++) {
        size_t words = BS_WORDS(n->pool[p].count);
        if (!piece->gres[p])
            continue;
        if (n->pool[p].first == NONE)
            d->gres[p] = (uint32_t)bs_count(piece->gres[p], words);
        else
            BS_EACH(i, piece->gres[p], words)
            d->gpu[n->pool[p].first + i] = (uint16_t)n->gpu_whole;
    }
}

/* The levels of a line that gets its first take: the room now, holds given back at their
 * ends. */
static void levels_make(struct core *c, uint32_t node, struct line *l)
{
    const struct node *n = &c->node[node];
    struct room r;
    struct demand d;
    nodes_room(n, &r, false);
    l->pools = n->pools_count;
    l->gpus = n->gpus;
    l->stride = (uint32_t)((sizeof(struct stretch) + l->pools * sizeof(int32_t) +
                            l->gpus * sizeof(int16_t) + 7) & ~7u);
    free(l->level);
    l->levels_cap = l->holds + 8;
    l->level = xcalloc(l->levels_cap, l->stride);
    l->levels = 1;
    struct stretch *v = level_at(l, 0);
    *v = (struct stretch){.at = c->now, .mem = (int64_t)r.mem, .cores = (int32_t)r.cores,
                        .jobs = (int32_t)r.jobs, .exclusive = (int32_t)r.exclusive};
    for (uint32_t p = 0; p < l->pools; p++)
        v->gres[p] = n->pool[p].first == NONE && !n->pool[p].share ? (int32_t)r.gres[p] : 0;
    for (uint32_t g = 0; g < l->gpus; g++)
        level_gpu(l, v)[g] = (int16_t)r.gpu[g];
    for (uint32_t i = 0; i < l->holds; i++) {
        const struct hold *h = &l->hold[i];
        piece_demand(c, h->piece, &d);
        levels_add(c, l, h->end, INT64_MAX, &d, job_exclusive(c, h->job), 1);
    }
}

static void line_change(struct core *c, struct line *l, uint32_t node, usec_t from, usec_t until,
                        const struct demand *d, bool exclusive, int sign)
{
    if (l->takes)
        levels_add(c, l, from, until, d, exclusive, sign);
    touch(c, node);
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

void timeline_hold(struct core *c, const struct job *j, const struct alloc_node *piece)
{
    struct line *l = line_of(c, piece->node);
    usec_t end = j->free_at;
    hold_put(l, (struct hold){end, j, piece});
    if (l->takes) {
        struct demand d;
        piece_demand(c, piece, &d);
        levels_add(c, l, c->now, end, &d, job_exclusive(c, j), -1);
    }
    touch(c, piece->node);
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

static uint32_t start_lower(const struct timeline *t, usec_t start)
{
    uint32_t lo = 0, hi = t->starts;
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        if (t->start[mid] < start)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

void timeline_take(struct core *c, enum take_kind kind, uint32_t owner, usec_t start,
                   usec_t end, const struct demand *what, uint32_t count, bool exclusive)
{
    struct timeline *t = &c->timeline;
    uint32_t at = start_lower(t, start);
    if (t->taken_words < c->words) {
        t->taken = xrealloc(t->taken, c->words * sizeof *t->taken);
        memset(t->taken + t->taken_words, 0, (c->words - t->taken_words) * sizeof *t->taken);
        t->taken_words = c->words;
    }
    GROW(t->start, t->starts_cap, t->starts + 1);
    memmove(t->start + at + 1, t->start + at, (t->starts - at) * sizeof *t->start);
    t->start[at] = start;
    t->starts++;
    t->ahead_starts += at < t->ahead_starts;
    for (uint32_t k = 0; k < count; k++) {
        struct line *l = line_of(c, what[k].node);
        uint32_t i = l->takes;
        if (l->takes == 0)
            levels_make(c, what[k].node, l);
        GROW(l->take, l->takes_cap, l->takes + 1);
        for (; i > 0 && l->take[i - 1].start > start; i--)
            l->take[i] = l->take[i - 1];
        l->take[i] = (struct take){start, end, kind, owner, exclusive, what[k]};
        l->takes++;
        bs_set(t->taken, what[k].node);
        line_change(c, l, what[k].node, start, end, &what[k], exclusive, -1);
    }
}

void timeline_untake(struct core *c, enum take_kind kind, uint32_t owner, usec_t start,
                     const struct demand *what, uint32_t count)
{
    struct timeline *t = &c->timeline;
    uint32_t at = start_lower(t, start);
    ASSERT(at < t->starts && t->start[at] == start);
    memmove(t->start + at, t->start + at + 1, (t->starts - at - 1) * sizeof *t->start);
    t->starts--;
    t->ahead_starts -= at < t->ahead_starts;
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

static void level_room(const struct node *n, const struct line *l, const struct stretch *v,
                       struct room *r)
{
    struct demand some = {0}; /* whole GPUs that are promised: any will do */
    memset(r, 0, sizeof *r);
    r->cores = v->cores > 0 ? (uint32_t)v->cores : 0;
    r->mem = v->mem > 0 ? (uint64_t)v->mem : 0;
    r->jobs = v->jobs > 0 ? (uint32_t)v->jobs : 0;
    r->exclusive = v->exclusive > 0 ? (uint32_t)v->exclusive : 0;
    for (uint32_t g = 0; g < l->gpus; g++)
        r->gpu[g] = (uint16_t)(level_gpu(l, v)[g] > 0 ? level_gpu(l, v)[g] : 0);
    for (uint32_t p = 0; p < l->pools; p++) {
        if (n->pool[p].first != NONE)
            some.gres[p] = v->gres[p] < 0 ? (uint32_t)-v->gres[p] : 0;
        else if (!n->pool[p].share)
            r->gres[p] = v->gres[p] > 0 ? (uint32_t)v->gres[p] : 0;
    }
    if (l->gpus) {
        room_take(n, r, &some, false);
        r->jobs--;
    }
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

static void hold_give(const struct core *c, const struct hold *h, struct room *r)
{
    room_give(&c->node[h->piece->node], r, h->piece, job_exclusive(c, h->job));
}

void timeline_room(struct core *c, uint32_t node, usec_t from, usec_t until, struct room *out)
{
    const struct node *n = &c->node[node];
    struct line *l = line_of(c, node);
    struct room r;
    nodes_room(n, out, false);
    if (l->takes == 0) {
        for (uint32_t i = 0; i < l->holds && l->hold[i].end <= from && from > c->now; i++)
            hold_give(c, &l->hold[i], out);
        return;
    }
    if (from > c->now)
        level_room(n, l, level_at(l, level_find(l, from)), out);
    for (uint32_t i = 0; i < l->takes && l->take[i].start < until; i++) {
        if (l->take[i].start > from) {
            level_room(n, l, level_at(l, level_find(l, l->take[i].start)), &r);
            room_least(n, out, &r);
        } else if (from <= c->now) { /* due, and waits for what is late */
            room_take(n, out, &l->take[i].what, l->take[i].exclusive);
        }
    }
}

/* Is there a GPU for each share? */
static bool shares_hold(const struct node *n, const struct room *r, const struct demand *d)
{
    for (uint32_t g = 0; g < n->gpus; g++) {
        uint32_t i = 0;
        while (d->gpu[g] && i < n->gpus && r->gpu[i] < d->gpu[g])
            i++;
        if (i == n->gpus)
            return false;
    }
    return true;
}

static bool room_holds(const struct node *n, const struct room *r, const struct demand *d,
                       bool whole)
{
    if (r->cores < d->cores || r->mem < d->mem || r->exclusive || (whole && r->jobs))
        return false;
    for (uint32_t p = 0; p < n->pools_count; p++)
        if (!n->pool[p].share && r->gres[p] < d->gres[p])
            return false;
    return n->gpus == 0 || shares_hold(n, r, d);
}

static bool level_holds(const struct node *n, const struct line *l, const struct stretch *v,
                        const struct demand *d, bool whole)
{
    struct room r;
    if (v->cores < (int32_t)d->cores || v->mem < (int64_t)d->mem || v->exclusive > 0 ||
        (whole && v->jobs > 0))
        return false;
    if (l->gpus == 0) {
        for (uint32_t p = 0; p < l->pools; p++)
            if (v->gres[p] < (int32_t)d->gres[p])
                return false;
        return true;
    }
    level_room(n, l, v, &r);
    return room_holds(n, &r, d, whole);
}

/* May just these amounts, of these very GPUs, be taken from what is promised there? */
static bool level_spares(const struct node *n, const struct line *l, const struct stretch *v,
                         const struct demand *d, bool whole)
{
    if (!level_holds(n, l, v, d, whole))
        return false;
    for (uint32_t p = 0; p < l->pools && l->gpus; p++) {
        const struct pool *pool = &n->pool[p];
        int32_t left = v->gres[p] - (int32_t)d->gres[p];
        for (uint32_t i = 0; pool->first != NONE && i < pool->count; i++) {
            int parts = level_gpu(l, v)[pool->first + i] - (int)d->gpu[pool->first + i];
            if (parts < 0 && d->gpu[pool->first + i])
                return false;
            left += parts == (int)n->gpu_whole;
        }
        if (pool->first != NONE && left < 0)
            return false;
    }
    return true;
}

/* No take: what is free only grows. */
static usec_t first_of_holds(struct core *c, uint32_t node, const struct demand *d, bool whole,
                             usec_t from)
{
    const struct node *n = &c->node[node];
    const struct line *l = line_of(c, node);
    struct room r;
    usec_t at = c->now;
    nodes_room(&c->node[node], &r, false);
    for (uint32_t i = 0; !room_holds(n, &r, d, whole); i++) {
        if (i == l->holds)
            return INT64_MAX;
        hold_give(c, &l->hold[i], &r);
        at = l->hold[i].end > c->now ? l->hold[i].end : c->now + 1;
    }
    return at > from ? at : from;
}

usec_t timeline_first(struct core *c, uint32_t node, const struct demand *d, bool whole,
                      usec_t from, usec_t span)
{
    const struct node *n = &c->node[node];
    const struct line *l = line_of(c, node);
    struct room now;
    if (l->takes == 0)
        return first_of_holds(c, node, d, whole, from);
    if (from <= c->now) {
        timeline_room(c, node, c->now, c->now + span, &now);
        if (room_holds(n, &now, d, whole))
            return c->now;
        from = l->holds && l->hold[0].end <= c->now ? c->now + 1 : c->now;
    }
    for (uint32_t i = level_find(l, from), k; i < l->levels; i = k + 1) {
        usec_t at = level_at(l, i)->at > from ? level_at(l, i)->at : from;
        for (k = i; k < l->levels && level_at(l, k)->at < at + span; k++)
            if (!level_holds(n, l, level_at(l, k), d, whole))
                break;
        if (k == l->levels || level_at(l, k)->at >= at + span)
            return at == c->now ? c->now + 1 : at; /* now was looked at */
        while (k + 1 < l->levels && !level_holds(n, l, level_at(l, k + 1), d, whole))
            k++;
    }
    return INT64_MAX;
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

static void ahead_node(struct core *c, uint32_t node, usec_t until)
{
    struct timeline *t = &c->timeline;
    timeline_room(c, node, c->now, until, &t->ahead.v[node]);
    rooms_touch(&t->ahead, c, node);
}

struct rooms *timeline_rooms(struct core *c, usec_t until)
{
    struct timeline *t = &c->timeline;
    struct rooms *now = rooms_of(c, ROOMS_NOW);
    if (t->starts == 0 || t->start[0] >= until)
        return now;
    uint32_t starts = start_lower(t, until);
    bool afresh = t->ahead.gen != c->nodes_gen || !t->ahead.v;
    if (afresh)
        rooms_copy(&t->ahead, now);
    for (uint32_t i = 0; i < t->touched_count && !afresh; i++)
        ahead_node(c, t->touched[i], until);
    if (afresh || starts != t->ahead_starts) {
        BS_EACH(i, t->taken, t->taken_words)
        {
            ahead_node(c, (uint32_t)i, until);
        }
    }
    t->touched_count = 0;
    t->ahead_starts = starts;
    return &t->ahead;
}

struct rooms *timeline_rooms_at(struct core *c, const uint64_t *nodes, usec_t from, usec_t until)
{
    struct rooms *later = &c->timeline.later;
    if (later->gen != c->nodes_gen || !later->v) {
        rooms_fini(later);
        rooms_init(later, c, false);
    }
    memset(later->v, 0, later->nodes * sizeof *later->v);
    BS_EACH(i, nodes, c->words)
    {
        timeline_room(c, (uint32_t)i, from, until, &later->v[i]);
    }
    bs_fill(later->stale, later->leafs);
    return later;
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
    struct line *l = &c->timeline.line[node], fresh = {0};
    int rc = 0;
    if (l->takes == 0)
        return 0;
    fresh.hold = l->hold;
    fresh.holds = l->holds;
    levels_make(c, node, &fresh);
    for (uint32_t i = 0; i < l->takes; i++) {
        const struct take *t = &l->take[i];
        levels_add(c, &fresh, t->start, t->end, &t->what, t->exclusive, -1);
    }
    for (uint32_t i = 0; rc == 0 && i < fresh.levels; i++) {
        const struct stretch *want = level_at(&fresh, i);
        const struct stretch *is = level_at(l, level_find(l, want->at));
        if (memcmp((const char *)is + sizeof is->at, (const char *)want + sizeof is->at,
                   l->stride - sizeof is->at) != 0)
            rc = err_set(err, -EINVAL, "node %s: at %lld %d cores are planned to be free, not %d",
                         c->node[node].name, (long long)want->at, want->cores, is->cores);
        if (rc == 0 && !c->plan_afresh && !c->policy.predict /* a guess */ &&
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

static int check_ahead(struct core *c, struct err *err)
{
    struct timeline *t = &c->timeline;
    if (!t->ahead.v || t->ahead.gen != c->nodes_gen || t->ahead_starts >= t->starts + 1)
        return 0;
    for (uint32_t i = 0; i < c->nodes; i++) {
        struct room want;
        const struct line *l = line_of(c, i);
        bool again = l->takes && l->take[0].start <= c->now; /* it is due: a pass comes */
        for (uint32_t k = 0; k < t->touched_count; k++)
            again = again || t->touched[k] == i;
        usec_t until = t->ahead_starts ? t->start[t->ahead_starts - 1] + 1 : c->now;
        timeline_room(c, i, c->now, until, &want);
        if (!again && memcmp(&want, &t->ahead.v[i], sizeof want) != 0)
            return err_set(err, -EINVAL, "node %s: %u cores are free ahead, but %u in the table",
                           c->node[i].name, want.cores, t->ahead.v[i].cores);
    }
    return 0;
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
    return check_ahead((struct core *)c, err);
}
