/* SPDX-License-Identifier: Apache-2.0
 *
 * What a pending job misses on a partition's nodes: how many suit it, how many of them have
 * room for its share now, and what the others lack. A node's share is the least that the job
 * takes of it (place_piece).
 */
#include "sched/explain_parts.h"

#include "sched/advres.h"
#include "sched/constraint.h"
#include "sched/place.h"
#include "sched/request.h"

#include <stdlib.h>
#include <string.h>

#define RESERVED_MAX 4u /* reservations of others told */

enum { SHORT_CPUS, SHORT_MEM, SHORT_GRES, SHORT_KINDS = SHORT_GRES + GRES_ITEMS_MAX };

struct lack { /* nodes that would do but for this */
    uint32_t nodes;
    uint64_t asks, most;
};
struct survey {
    struct core *c;
    const struct job *j;
    const struct request *q;
    uint32_t part;
    usec_t now, end;         /* end: of its run if it started now */
    bool whole;
    const struct advres *reserved[RESERVED_MAX];
    uint32_t reserved_nodes[RESERVED_MAX], reservations;
    uint32_t suitable, down, free, promised;
    uint64_t cpus_free;
    uint32_t promised_job;
    usec_t promised_at;
    struct lack lack[SHORT_KINDS];
};

static bool down_suits(const struct survey *s, uint32_t i)
{
    const struct node *n = &s->c->node[i];
    const struct request *q = s->q;
    return n->shape != NONE && !n->future && !nodes_usable(n) &&
           constraint_allows(s->c, q, i) && !(q->has_names && q->excluded && bs_test(q->excluded, i));
}

static bool is_reserved(struct survey *s, uint32_t i)
{
    bool any = false;
    for (uint32_t k = 0; k < s->reservations; k++) {
        if (!bs_test(s->reserved[k]->set, i))
            continue;
        s->reserved_nodes[k]++;
        any = true;
    }
    return any;
}

/* How much of the item its demand takes of the node, and how much is free. */
static void gres_of(const struct survey *s, uint32_t i, const struct req_gres *g,
                    const struct demand *d, const struct room *r, uint64_t *asks, uint64_t *have)
{
    const struct node *n = &s->c->node[i];
    *asks = *have = 0;
    for (uint32_t p = 0; p < n->pools_count; p++) {
        if (!pool_matches(&n->pool[p], g))
            continue;
        *asks += d->gres[p];
        *have += r->gres[p];
    }
}

/* The only kind of resource that the node lacks; SHORT_KINDS: none, or several. */
static uint32_t lack_find(struct survey *s, uint32_t i, const struct demand *d,
                          const struct room *r, bool *fits)
{
    uint64_t asks[SHORT_KINDS] = {0}, have[SHORT_KINDS] = {0};
    uint32_t kinds = 0, which = SHORT_KINDS, threads = s->c->node[i].threads;
    asks[SHORT_CPUS] = (uint64_t)d->cores * threads;
    have[SHORT_CPUS] = (uint64_t)r->cores * threads;
    asks[SHORT_MEM] = d->mem;
    have[SHORT_MEM] = r->mem;
    for (uint32_t k = 0; k < s->q->gres_count; k++)
        gres_of(s, i, &s->q->gres[k], d, r, &asks[SHORT_GRES + k], &have[SHORT_GRES + k]);
    for (uint32_t k = 0; k < SHORT_KINDS; k++) {
        if (asks[k] <= have[k])
            continue;
        kinds++;
        which = k;
    }
    *fits = kinds == 0;
    if (kinds != 1)
        return SHORT_KINDS;
    struct lack *l = &s->lack[which];
    l->nodes++;
    l->asks = asks[which];
    l->most = have[which] > l->most ? have[which] : l->most;
    return which;
}

static void promise_look(struct survey *s, uint32_t i, const struct demand *d)
{
    const struct take *t = timeline_obstacle(s->c, i, d, s->whole, s->end);
    if (!t)
        return;
    s->promised++;
    if (s->promised_job && t->start >= s->promised_at)
        return;
    s->promised_job = t->owner;
    s->promised_at = t->start;
}

static void node_look(struct survey *s, uint32_t i, const struct rooms *rooms)
{
    bool fits;
    if (down_suits(s, i)) {
        s->down++;
        return;
    }
    const struct demand *d = place_piece(s->c, s->j, s->part, i);
    if (!d)
        return;
    s->suitable++;
    if (is_reserved(s, i))
        return;
    const struct room *r = &rooms->v[i];
    if (r->exclusive || (s->whole && r->jobs))
        return;
    s->cpus_free += (uint64_t)r->cores * s->c->node[i].threads;
    lack_find(s, i, d, r, &fits);
    if (!fits)
        return;
    s->free++;
    promise_look(s, i, d);
}

/* ---- what is told -------------------------------------------------------------------------- */

static void lacks_tell(const struct survey *s, struct explanation *e)
{
    const struct explain_value part = EX_S(s->c->part[s->part].conf.name);
    for (uint32_t k = 0; k < SHORT_KINDS; k++) {
        const struct lack *l = &s->lack[k];
        if (l->nodes == 0)
            continue;
        if (k == SHORT_MEM)
            EXPLAIN(e, EX_SHORT_MEM, EX_N(l->asks), EX_N(l->most), EX_N(l->nodes), part);
        else
            EXPLAIN(e, EX_SHORT, EX_S(k == SHORT_CPUS ? "CPUs" : text_of(s->c, s->q->gres[k - SHORT_GRES].name)),
                    EX_N(l->asks), EX_N(l->most), EX_N(l->nodes), part);
    }
}

static void reserved_tell(const struct survey *s, struct explanation *e)
{
    for (uint32_t k = 0; k < s->reservations; k++)
        if (s->reserved_nodes[k])
            EXPLAIN(e, EX_NODES_RESERVED, EX_N(s->reserved_nodes[k]), EX_S(s->reserved[k]->name),
                    EX_N(s->reserved[k]->start));
}

/* Enough nodes have room, each for its least share. What else is in the way? */
static void enough_tell(struct survey *s, uint32_t want, struct explanation *e)
{
    struct core *c = s->c;
    const char *name = c->part[s->part].conf.name;
    struct placement p = {0};
    int placed = place(c, s->j, s->part, rooms_of(c, ROOMS_NOW), NULL, &p);
    usec_t until = placed == 1 ? place_switches_wait(c, s->j, &p) : 0;
    free(p.node);
    if (placed != 1)
        EXPLAIN(e, EX_SCATTERED, EX_N(s->free), EX_S(name));
    else if (until > s->now)
        EXPLAIN(e, EX_SWITCHES, EX_N(s->q->switches), EX_N(until));
    if (s->promised && s->free - s->promised < want)
        EXPLAIN(e, EX_PROMISED, EX_N(s->promised), EX_N(s->promised_job), EX_N(s->promised_at));
}

static void survey_tell(struct survey *s, uint32_t want, const char *features,
                        struct explanation *e)
{
    const struct partition *p = &s->c->part[s->part];
    const struct explain_value name = EX_S(p->conf.name), with = EX_S(features);
    struct request_size size;
    request_size(s->q, &size);
    if (s->suitable < want) {
        EXPLAIN(e, EX_NODES_FEW, EX_N(want), EX_N(s->suitable), name, with);
    } else if (s->free < want) {
        EXPLAIN(e, EX_NODES, EX_N(want - s->free), EX_N(want), EX_N(s->free), EX_N(s->suitable),
                name, with, EX_S(s->whole ? "idle" : ""));
        lacks_tell(s, e);
    } else if (!s->q->nodes_given && size.cpus > s->cpus_free) {
        EXPLAIN(e, EX_CPUS, EX_N(size.cpus - s->cpus_free), EX_N(size.cpus), EX_N(s->cpus_free),
                name, with);
    } else {
        enough_tell(s, want, e);
        return;
    }
    if (s->down)
        EXPLAIN(e, EX_NODES_DOWN, EX_N(s->down), name);
    reserved_tell(s, e);
}

void explain_room(struct core *c, const struct job *j, uint32_t part, usec_t now,
                  struct explanation *e)
{
    struct request *q = &c->request[j->request];
    usec_t limit = parts_limit(&c->part[part], j->limit_given ? j->limit : 0);
    struct survey s = {.c = c, .j = j, .q = q, .part = part, .now = now,
                       .end = now + plan_span(j, limit),
                       .whole = q->exclusive || c->part[part].conf.oversubscribe_exclusive};
    const struct rooms *rooms = rooms_of(c, ROOMS_NOW);
    request_names(c, q);
    s.reservations = advres_closing(c, j, part, s.reserved, RESERVED_MAX);
    BS_EACH(i, c->part[part].nodes, c->words)
    node_look(&s, (uint32_t)i, rooms);
    survey_tell(&s, plan_nodes_least(c, j, part), spec_unpack(c, j, e->arena)->constraints, e);
}
