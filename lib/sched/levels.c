/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/levels.h"

#include "base/buf.h"

#include <stdlib.h>
#include <string.h>

uint32_t level_find(const struct line *l, usec_t t)
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

/* Of GPUs that are looked at one by one, gres counts those that are whole, less what is
 * promised of them. */
static void level_gpus_add(const struct node *n, const struct line *l, struct stretch *v,
                           const struct demand *d, int sign)
{
    int16_t *parts = level_gpu(l, v), whole = (int16_t)n->gpu_whole;
    for (uint32_t p = 0; p < l->pools; p++) {
        const struct pool *pool = &n->pool[p];
        for (uint32_t g = pool->first; pool->first != NONE && g < pool->first + pool->count; g++) {
            bool was = parts[g] == whole;
            parts[g] = (int16_t)(parts[g] + sign * (int)d->gpu[g]);
            v->gres[p] += (parts[g] == whole) - was;
        }
    }
}

static void level_add(const struct node *n, const struct line *l, struct stretch *v,
                      const struct demand *d, bool exclusive, int sign)
{
    v->cores += sign * (int32_t)d->cores;
    v->mem += sign * (int64_t)d->mem;
    v->jobs -= sign;
    v->exclusive -= sign * exclusive;
    for (uint32_t p = 0; p < l->pools; p++)
        v->gres[p] += sign * (int32_t)d->gres[p];
    if (l->gpus && demand_shares(d))
        level_gpus_add(n, l, v, d, sign);
}

void levels_add(struct core *c, uint32_t node, struct line *l, usec_t from, usec_t until,
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
    for (uint32_t i = a; i < b; i++)
        level_add(&c->node[node], l, level_at(l, i), d, exclusive, sign);
    level_join(l, b);
    level_join(l, a);
}

void piece_demand(const struct core *c, const struct alloc_node *piece, struct demand *d)
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

/* The first level: the room now. */
static void level_first(const struct core *c, const struct node *n, const struct line *l,
                        struct stretch *v)
{
    struct room r;
    nodes_room(n, &r, false);
    *v = (struct stretch){.at = c->now, .mem = (int64_t)r.mem, .cores = (int32_t)r.cores,
                        .jobs = (int32_t)r.jobs, .exclusive = (int32_t)r.exclusive};
    for (uint32_t g = 0; g < l->gpus; g++)
        level_gpu(l, v)[g] = (int16_t)r.gpu[g];
    for (uint32_t p = 0; p < l->pools; p++) {
        const struct pool *pool = &n->pool[p];
        v->gres[p] = pool->first == NONE && !pool->share ? (int32_t)r.gres[p] : 0;
        for (uint32_t i = 0; pool->first != NONE && i < pool->count; i++)
            v->gres[p] += r.gpu[pool->first + i] == n->gpu_whole;
    }
}

void levels_make(struct core *c, uint32_t node, struct line *l)
{
    const struct node *n = &c->node[node];
    struct demand d;
    l->pools = n->pools_count;
    l->gpus = n->gpus;
    l->stride = (uint32_t)((sizeof(struct stretch) + l->pools * sizeof(int32_t) +
                            l->gpus * sizeof(int16_t) + 7) & ~7u);
    free(l->level);
    l->levels_cap = l->holds + 8;
    l->level = xcalloc(l->levels_cap, l->stride);
    l->levels = 1;
    level_first(c, n, l, level_at(l, 0));
    for (uint32_t i = 0; i < l->holds; i++) {
        const struct hold *h = &l->hold[i];
        piece_demand(c, h->piece, &d);
        levels_add(c, node, l, h->end, INT64_MAX, &d, job_exclusive(c, h->job), 1);
    }
    for (uint32_t i = 0; i < l->takes; i++) {
        const struct take *t = &l->take[i];
        levels_add(c, node, l, t->start, t->end, &t->what, t->exclusive, -1);
    }
}

void levels_ready(struct core *c, uint32_t node, struct line *l)
{
    if (l->levels == 0)
        levels_make(c, node, l);
}

void level_room(const struct node *n, const struct line *l, const struct stretch *v,
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
        const struct pool *pool = &n->pool[p];
        int32_t whole = 0;
        for (uint32_t i = 0; pool->first != NONE && i < pool->count; i++)
            whole += r->gpu[pool->first + i] == n->gpu_whole;
        if (pool->first != NONE)
            some.gres[p] = whole > v->gres[p] ? (uint32_t)(whole - v->gres[p]) : 0;
        else if (!pool->share)
            r->gres[p] = v->gres[p] > 0 ? (uint32_t)v->gres[p] : 0;
    }
    if (l->gpus) {
        room_take(n, r, &some, false);
        r->jobs--;
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

bool room_holds(const struct node *n, const struct room *r, const struct demand *d, bool whole)
{
    if (r->cores < d->cores || r->mem < d->mem || r->exclusive || (whole && r->jobs))
        return false;
    for (uint32_t p = 0; p < n->pools_count; p++)
        if (!n->pool[p].share && r->gres[p] < d->gres[p])
            return false;
    return n->gpus == 0 || shares_hold(n, r, d);
}

bool demand_shares(const struct demand *d)
{
    uint64_t w[sizeof d->gpu / sizeof(uint64_t)], some = 0;
    memcpy(w, d->gpu, sizeof w);
    for (size_t i = 0; i < sizeof w / sizeof *w; i++)
        some |= w[i];
    return some != 0;
}

bool level_holds(const struct node *n, const struct line *l, const struct stretch *v,
                 const struct demand *d, bool whole)
{
    struct room r;
    if (v->cores < (int32_t)d->cores || v->mem < (int64_t)d->mem || v->exclusive > 0 ||
        (whole && v->jobs > 0))
        return false;
    for (uint32_t p = 0; p < l->pools; p++)
        if (v->gres[p] < (int32_t)d->gres[p] && !n->pool[p].share)
            return false;
    if (l->gpus == 0 || !demand_shares(d))
        return true;
    level_room(n, l, v, &r);
    return room_holds(n, &r, d, whole);
}

bool level_spares(const struct node *n, const struct line *l, const struct stretch *v,
                  const struct demand *d, bool whole)
{
    if (!level_holds(n, l, v, d, whole))
        return false;
    for (uint32_t p = 0; p < l->pools && l->gpus; p++) {
        const struct pool *pool = &n->pool[p];
        int32_t left = v->gres[p] - (int32_t)d->gres[p];
        for (uint32_t i = 0; pool->first != NONE && i < pool->count; i++) {
            int parts = level_gpu(l, v)[pool->first + i], taken = (int)d->gpu[pool->first + i];
            if (parts < taken && taken)
                return false;
            left -= taken && parts == (int)n->gpu_whole;
        }
        if (pool->first != NONE && left < 0)
            return false;
    }
    return true;
}
