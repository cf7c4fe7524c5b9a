/* SPDX-License-Identifier: Apache-2.0
 *
 * rooms: what is free on each node at one time, and a summary of each leaf of the fabric
 * (32 neighbours where there is none). A summary never says less than its nodes have, so
 * that whoever asks for more than it says need not look at them. It is made again when it
 * is next wanted after a node of the leaf has changed.
 */
#include "sched/model.h"

#include "base/buf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LEAF_NODES 32 /* where there is no fabric */

/* Along the fabric; what is not in it comes after it, by name. */
static int by_line(const void *a, const void *b, void *core)
{
    const struct core *c = core;
    const struct node *x = &c->node[*(const uint32_t *)a], *y = &c->node[*(const uint32_t *)b];
    if (x->line != y->line)
        return x->line < y->line ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

static void weight_note(struct core *c, uint32_t weight)
{
    uint32_t i = 0;
    while (i < c->weights_count && c->weights[i] < weight)
        i++;
    if (i < c->weights_count && c->weights[i] == weight)
        return;
    if (c->weights_count == WEIGHTS_MAX) {
        if (i + 1 < WEIGHTS_MAX) /* the heaviest are told apart least */
            c->weights[WEIGHTS_MAX - 1] = NONE;
        return;
    }
    memmove(&c->weights[i + 1], &c->weights[i], (c->weights_count - i) * sizeof c->weights[0]);
    c->weights[i] = weight;
    c->weights_count++;
}

void leafs_derive(struct core *c)
{
    uint32_t leafs = c->fabric ? c->fabric->leafs : 0, known = 0;
    if (c->leafs_gen == c->nodes_gen && c->leaf_first)
        return;
    c->leafs_gen = c->nodes_gen;
    c->leaf_node = xrealloc(c->leaf_node, (c->nodes + 1) * sizeof *c->leaf_node);
    c->threads_most = c->weights_count = c->cores_most = c->gpus_most = 0;
    c->mem_most = 0;
    for (uint32_t i = 0; i < c->nodes; i++) {
        struct node *n = &c->node[i];
        c->leaf_node[i] = i;
        n->line = c->fabric ? fabric_find(c->fabric, n->name) : FABRIC_NO;
        known += n->line != FABRIC_NO;
        if (n->threads > c->threads_most)
            c->threads_most = n->threads;
        c->cores_most = n->cores > c->cores_most ? n->cores : c->cores_most;
        c->mem_most = n->mem > c->mem_most ? n->mem : c->mem_most;
        c->gpus_most = n->gpus > c->gpus_most ? n->gpus : c->gpus_most;
        weight_note(c, n->weight);
    }
    qsort_r(c->leaf_node, c->nodes, sizeof *c->leaf_node, by_line, c);
    c->leafs = leafs + (c->nodes - known + LEAF_NODES - 1) / LEAF_NODES;
    c->leaf_first = xrealloc(c->leaf_first, (c->leafs + 1) * sizeof *c->leaf_first);
    for (uint32_t k = 0, l = 0; k <= c->nodes; k++) {
        uint32_t leaf = c->leafs;
        if (k < known)
            leaf = c->fabric->leaf_of[c->node[c->leaf_node[k]].line];
        else if (k < c->nodes)
            leaf = leafs + (k - known) / LEAF_NODES;
        while (l <= leaf)
            c->leaf_first[l++] = k;
        if (k == c->nodes)
            break;
        c->node[c->leaf_node[k]].leaf = leaf;
        c->node[c->leaf_node[k]].line = k;
    }
}

void rooms_init(struct rooms *rs, struct core *c, bool any_state)
{
    leafs_derive(c);
    *rs = (struct rooms){.nodes = c->nodes, .leafs = c->leafs, .gen = c->nodes_gen,
                         .any_state = any_state};
    rs->v = xcalloc(rs->nodes ? rs->nodes : 1, sizeof *rs->v);
    rs->leaf = xcalloc(rs->leafs ? rs->leafs : 1, sizeof *rs->leaf);
    rs->stale = xcalloc(BS_WORDS(rs->leafs) + 1, sizeof *rs->stale);
    bs_fill(rs->stale, rs->leafs);
}

void rooms_fini(struct rooms *rs)
{
    free(rs->v);
    free(rs->leaf);
    free(rs->stale);
    memset(rs, 0, sizeof *rs);
}

void rooms_copy(struct rooms *to, const struct rooms *from)
{
    if (to->nodes != from->nodes || to->leafs != from->leafs || !to->v) {
        rooms_fini(to);
        to->v = xmalloc((from->nodes + 1) * sizeof *to->v);
        to->leaf = xmalloc((from->leafs + 1) * sizeof *to->leaf);
        to->stale = xmalloc((BS_WORDS(from->leafs) + 1) * sizeof *to->stale);
    }
    struct room *v = to->v;
    struct leaf_room *leaf = to->leaf;
    uint64_t *stale = to->stale;
    *to = *from;
    to->v = v;
    to->leaf = leaf;
    to->stale = stale;
    memcpy(v, from->v, from->nodes * sizeof *v);
    memcpy(leaf, from->leaf, from->leafs * sizeof *leaf);
    memcpy(stale, from->stale, BS_WORDS(from->leafs) * sizeof *stale);
}

void rooms_fill(struct rooms *rs, struct core *c, bool empty)
{
    if (rs->gen != c->nodes_gen || rs->nodes != c->nodes || !rs->v) {
        bool any_state = rs->any_state;
        rooms_fini(rs);
        rooms_init(rs, c, any_state);
    }
    for (uint32_t i = 0; i < rs->nodes; i++)
        nodes_room(&c->node[i], &rs->v[i], empty);
    bs_fill(rs->stale, rs->leafs);
}

/* What one node adds to its leaf's summary. */
static void leaf_add(struct leaf_room *l, const struct node *n, const struct room *r)
{
    if (r->exclusive)
        return;
    l->nodes++;
    l->idle += r->jobs == 0;
    l->cores += r->cores;
    if (r->cores > l->cores_max)
        l->cores_max = r->cores;
    if (r->mem > l->mem_max)
        l->mem_max = r->mem;
    for (uint32_t k = 0; k < LEAF_STEPS && r->cores >> k; k++)
        l->roomy[k]++;
    for (uint32_t p = 0; p < n->pools_count; p++) {
        uint32_t kind = n->pool[p].kind;
        l->gres[kind] += r->gres[p];
        if (r->gres[p] > l->gres_max[kind])
            l->gres_max[kind] = r->gres[p];
    }
}

const struct leaf_room *rooms_leaf(struct rooms *rs, const struct core *c, uint32_t leaf)
{
    struct leaf_room *l = &rs->leaf[leaf];
    if (!bs_test(rs->stale, leaf))
        return l;
    memset(l, 0, sizeof *l);
    for (uint32_t k = c->leaf_first[leaf]; k < c->leaf_first[leaf + 1]; k++) {
        uint32_t i = c->leaf_node[k];
        if (rs->any_state ? c->node[i].shape != NONE : nodes_usable(&c->node[i]))
            leaf_add(l, &c->node[i], &rs->v[i]);
    }
    bs_clear(rs->stale, leaf);
    return l;
}

void room_shares(const struct node *n, struct room *r)
{
    for (uint32_t s = 0; s < n->pools_count; s++) {
        const struct pool *share = &n->pool[s];
        uint32_t most = 0;
        for (uint32_t p = 0; share->share && p < n->pools_count; p++) {
            const struct pool *g = &n->pool[p];
            if (g->first == NONE || (share->type && share->type != g->type))
                continue;
            for (uint32_t i = g->first; i < g->first + g->count; i++)
                most = r->gpu[i] > most ? r->gpu[i] : most;
        }
        if (share->share)
            r->gres[s] = most * share->share / n->gpu_whole;
    }
}

/* Whole GPUs, from their parts. */
static void gpus_count(const struct node *n, struct room *r)
{
    for (uint32_t p = 0; p < n->pools_count; p++) {
        const struct pool *g = &n->pool[p];
        if (g->first == NONE)
            continue;
        r->gres[p] = 0;
        for (uint32_t i = g->first; i < g->first + g->count; i++)
            r->gres[p] += r->gpu[i] == n->gpu_whole;
    }
    room_shares(n, r);
}

/* Which of the whole GPUs a placement takes is not known yet: any will do. */
static void gpus_take(const struct node *n, struct room *r, const struct pool *g, uint32_t take)
{
    for (uint32_t i = g->first; i < g->first + g->count && take; i++) {
        if (r->gpu[i] != n->gpu_whole)
            continue;
        r->gpu[i] = 0;
        take--;
    }
}

void room_take(const struct node *n, struct room *r, const struct demand *d, bool exclusive)
{
    r->cores -= d->cores < r->cores ? d->cores : r->cores;
    r->mem -= d->mem < r->mem ? d->mem : r->mem;
    r->jobs++;
    r->exclusive += exclusive;
    for (uint32_t g = 0; g < n->gpus; g++) /* before those of which any will do */
        r->gpu[g] -= d->gpu[g] < r->gpu[g] ? d->gpu[g] : r->gpu[g];
    for (uint32_t p = 0; p < n->pools_count; p++) {
        if (n->pool[p].first != NONE)
            gpus_take(n, r, &n->pool[p], d->gres[p]);
        else if (!n->pool[p].share)
            r->gres[p] -= d->gres[p] < r->gres[p] ? d->gres[p] : r->gres[p];
    }
    if (n->gpus)
        gpus_count(n, r);
}

/* The GPU that a job had whole; another one, when it is free in this room already. */
static void gpu_give(const struct node *n, struct room *r, const struct pool *g, uint32_t index)
{
    for (uint32_t k = 0; k < g->count; k++) {
        uint32_t i = g->first + (index + k) % g->count;
        if (r->gpu[i] == 0) {
            r->gpu[i] = n->gpu_whole;
            return;
        }
    }
}

void room_give(const struct node *n, struct room *r, const struct alloc_node *k, bool exclusive)
{
    r->cores += k->cores;
    r->mem += k->mem;
    r->jobs--;
    r->exclusive -= exclusive;
    for (uint32_t p = 0; p < n->pools_count; p++) {
        size_t words = BS_WORDS(n->pool[p].count);
        if (!k->gres[p])
            continue;
        if (n->pool[p].first == NONE)
            r->gres[p] += (uint32_t)bs_count(k->gres[p], words);
        else
            BS_EACH(i, k->gres[p], words)
            gpu_give(n, r, &n->pool[p], (uint32_t)i);
    }
    for (uint32_t g = 0; k->gpu && g < n->gpus; g++) {
        uint32_t parts = r->gpu[g] + k->gpu[g];
        r->gpu[g] = (uint16_t)(parts < n->gpu_whole ? parts : n->gpu_whole);
    }
    if (n->gpus)
        gpus_count(n, r);
}

void rooms_take(struct rooms *rs, const struct core *c, const struct placement *p,
                bool exclusive)
{
    for (uint32_t i = 0; i < p->count; i++) {
        room_take(&c->node[p->node[i].node], &rs->v[p->node[i].node], &p->node[i], exclusive);
        rooms_touch(rs, c, p->node[i].node);
    }
}

struct rooms *rooms_of(struct core *c, enum rooms_kind kind)
{
    struct rooms *rs = &c->rooms[kind];
    if (rs->gen != c->nodes_gen || !rs->v) {
        rs->any_state = kind == ROOMS_EMPTY;
        rooms_fill(rs, c, kind != ROOMS_NOW);
    }
    return rs;
}

void rooms_node(struct core *c, uint32_t i)
{
    for (int k = 0; k < ROOMS_KINDS; k++) {
        struct rooms *rs = &c->rooms[k];
        if (rs->gen != c->nodes_gen || !rs->v)
            continue; /* it will be filled again */
        if (k == ROOMS_NOW)
            nodes_room(&c->node[i], &rs->v[i], false);
        rooms_touch(rs, c, i);
    }
}

static int check_rooms(struct core *c, const struct rooms *rs, bool empty, struct err *err)
{
    struct rooms fresh;
    int rc = 0;
    rooms_init(&fresh, c, rs->any_state);
    rooms_fill(&fresh, c, empty);
    for (uint32_t i = 0; rc == 0 && i < rs->nodes; i++)
        if (memcmp(&rs->v[i], &fresh.v[i], sizeof fresh.v[i]) != 0)
            rc = err_set(err, -EINVAL, "node %s: %u cores are free, but %u in the table of rooms",
                         c->node[i].name, fresh.v[i].cores, rs->v[i].cores);
    for (uint32_t l = 0; rc == 0 && l < rs->leafs; l++) {
        const struct leaf_room *want = rooms_leaf(&fresh, c, l);
        if (!bs_test(rs->stale, l) && memcmp(&rs->leaf[l], want, sizeof *want) != 0)
            rc = err_set(err, -EINVAL, "leaf %u: %u cores on %u nodes are free, but summed up "
                         "are %u on %u", l, want->cores, want->nodes, rs->leaf[l].cores,
                         rs->leaf[l].nodes);
    }
    rooms_fini(&fresh);
    return rc;
}

int rooms_check(const struct core *c, struct err *err)
{
    int rc = 0;
    for (int k = 0; rc == 0 && k < ROOMS_KINDS; k++)
        if (c->rooms[k].gen == c->nodes_gen && c->rooms[k].v) /* then nothing is derived */
            rc = check_rooms((struct core *)c, &c->rooms[k], k != ROOMS_NOW, err);
    return rc;
}
