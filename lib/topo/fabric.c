/* SPDX-License-Identifier: Apache-2.0 */
#include "topo/fabric.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/limits.h"
#include "topo/fabric_draft.h"

/* Names to positions: open addressing, at most half full. */
struct fabric_index { uint32_t mask, *slot; };

static uint32_t name_hash(const char *s)
{
    uint32_t h = 2166136261u; /* FNV-1a */
    for (; *s; s++)
        h = (h ^ (unsigned char)*s) * 16777619u;
    return h;
}

/* The name's slot: holds its position, or FABRIC_NO where it would go. */
static uint32_t *index_slot(const struct fabric *f, const char *name)
{
    uint32_t i = name_hash(name) & f->index->mask;
    while (f->index->slot[i] != FABRIC_NO && strcmp(f->node[f->index->slot[i]], name) != 0)
        i = (i + 1) & f->index->mask;
    return &f->index->slot[i];
}

static int index_build(struct fabric *f, struct err *err)
{
    uint32_t size = 16;
    while (size < 2 * f->nodes)
        size *= 2;
    f->index = xcalloc(1, sizeof *f->index);
    f->index->mask = size - 1;
    f->index->slot = xmalloc(size * sizeof *f->index->slot);
    memset(f->index->slot, 0xff, size * sizeof *f->index->slot);
    for (uint32_t i = 0; i < f->nodes; i++) {
        uint32_t *slot = index_slot(f, f->node[i]);
        if (*slot != FABRIC_NO)
            return err_set(err, -EEXIST, "topology: node %s is connected twice, to %s and to %s",
                           f->node[i], f->piece[f->leaf_of[*slot]].name,
                           f->piece[f->leaf_of[i]].name);
        *slot = i;
    }
    return 0;
}

uint32_t fabric_find(const struct fabric *f, const char *node)
{
    return *index_slot(f, node);
}

void fabric_destroy(struct fabric *f)
{
    if (!f)
        return;
    for (uint32_t i = 0; i < f->nodes; i++)
        free(f->node[i]);
    for (uint32_t i = 0; i < f->pieces; i++)
        free(f->piece[i].name);
    if (f->index)
        free(f->index->slot);
    free(f->index);
    free(f->node);
    free(f->piece);
    free(f->leaf_of);
    free(f);
}

/* ---- distances --------------------------------------------------------------------- */

/* Global link q = router * links + k of group i leads to group i + q + 1 (all groups are
 * connected, in consecutive order), so its other end is link i - j - 1 of group j. */
static uint32_t dragonfly_hops(const struct fabric *f, uint32_t a, uint32_t b)
{
    uint32_t ra = a / f->hosts, rb = b / f->hosts;
    uint32_t i = ra / f->routers, j = rb / f->routers, groups = f->routers * f->links + 1;
    if (ra == rb)
        return 2;
    if (i == j)
        return 3;
    uint32_t out = (j + groups - i - 1) % groups / f->links;
    uint32_t in = (i + groups - j - 1) % groups / f->links;
    return 3 + (ra % f->routers != out) + (rb % f->routers != in);
}

uint32_t fabric_hops(const struct fabric *f, uint32_t a, uint32_t b)
{
    if (a == b)
        return 0;
    if (f->routers)
        return dragonfly_hops(f, a, b);
    uint32_t x = f->leaf_of[a], y = f->leaf_of[b], hops = 2;
    while (x != y) { /* up from the lower of the two; levels differ by more than one where
                        a switch has leafs and other switches below it */
        if (f->piece[x].level > f->piece[y].level) {
            uint32_t t = x;
            x = y;
            y = t;
        }
        if (f->piece[x].level == f->piece[y].level) {
            y = f->piece[y].parent;
            hops++;
        }
        x = f->piece[x].parent;
        hops++;
    }
    if (f->kind == FABRIC_DRAGONFLY) /* routers of a group, and groups, are connected */
        return hops == 2 ? 2 : hops == 4 ? 3 : 5;
    return hops;
}

uint32_t fabric_level(const struct fabric *f, uint32_t level, uint32_t *first)
{
    uint32_t i = 0, n = 0;
    while (i < f->pieces && f->piece[i].level < level)
        i++;
    *first = i;
    while (i + n < f->pieces && f->piece[i + n].level == level)
        n++;
    return n;
}

uint32_t fabric_common(const struct fabric *f, uint32_t first, uint32_t last)
{
    uint32_t p = f->leaf_of[first];
    while (last >= f->piece[p].first + f->piece[p].count)
        p = f->piece[p].parent;
    return p;
}

/* ---- drafts ---------------------------------------------------------------------------- */

void draft_init(struct fabric_draft *d)
{
    memset(d, 0, sizeof *d);
}

void draft_fini(struct fabric_draft *d)
{
    for (uint32_t i = 0; i < d->pieces; i++)
        free(d->piece[i].name);
    for (uint32_t i = 0; i < d->nodes; i++)
        free(d->node[i].name);
    free(d->piece);
    free(d->node);
    draft_init(d);
}

uint32_t draft_piece(struct fabric_draft *d, const char *name, uint32_t parent, struct err *err)
{
    if (d->pieces == FABRIC_PIECES_MAX) {
        err_set(err, -E2BIG, "topology: more than %u switches", FABRIC_PIECES_MAX);
        return FABRIC_NO;
    }
    if (d->pieces == d->pieces_cap) {
        d->pieces_cap = d->pieces_cap * 2 + 16;
        d->piece = xrealloc(d->piece, d->pieces_cap * sizeof *d->piece);
    }
    if (parent != FABRIC_NO)
        d->piece[parent].has_pieces = true;
    d->piece[d->pieces] = (struct draft_piece){.name = xstrdup(name), .parent = parent};
    return d->pieces++;
}

int draft_node(struct fabric_draft *d, const char *name, uint32_t piece, struct err *err)
{
    if (d->nodes == NODES_MAX)
        return err_set(err, -E2BIG, "topology: more than %u nodes", NODES_MAX);
    if (d->nodes == d->nodes_cap) {
        d->nodes_cap = d->nodes_cap * 2 + 64;
        d->node = xrealloc(d->node, d->nodes_cap * sizeof *d->node);
    }
    d->node[d->nodes++] = (struct draft_node){xstrdup(name), piece};
    d->piece[piece].has_nodes = true;
    return 0;
}

/* Lists of children and of nodes by piece: those of p are at[from[p]] ... at[from[p+1]-1]. */
static void lists_make(uint32_t count, uint32_t n, const uint32_t *owner, uint32_t *from,
                       uint32_t *at)
{
    memset(from, 0, (count + 2) * sizeof *from);
    for (uint32_t i = 0; i < n; i++)
        if (owner[i] != FABRIC_NO)
            from[owner[i] + 2]++;
    for (uint32_t p = 2; p <= count + 1; p++)
        from[p] += from[p - 1];
    for (uint32_t i = 0; i < n; i++)
        if (owner[i] != FABRIC_NO)
            at[from[owner[i] + 1]++] = i;
}

struct walk { /* from a draft to the fabric, depth first */
    struct fabric_draft *d;
    struct fabric *f;
    uint32_t *child_from, *child, *node_from, *node;
};

/* Places nodes of piece p and below; its level, 0 when it is too deep. */
static uint32_t walk_down(struct walk *w, uint32_t p, uint32_t depth)
{
    struct fabric_piece *at = &w->f->piece[p];
    uint32_t level = 1;
    if (depth > FABRIC_LEVELS_MAX)
        return 0;
    at->first = w->f->nodes;
    for (uint32_t i = w->node_from[p]; i < w->node_from[p + 1]; i++) {
        struct draft_node *n = &w->d->node[w->node[i]];
        w->f->leaf_of[w->f->nodes] = p;
        w->f->node[w->f->nodes++] = n->name;
        n->name = NULL;
    }
    for (uint32_t i = w->child_from[p]; i < w->child_from[p + 1]; i++) {
        uint32_t below = walk_down(w, w->child[i], depth + 1);
        if (below == 0)
            return 0;
        if (below >= level)
            level = below + 1;
    }
    at->count = w->f->nodes - at->first;
    at->level = level;
    at->name = w->d->piece[p].name;
    at->parent = w->d->piece[p].parent;
    w->d->piece[p].name = NULL;
    return level;
}

static int by_level(const void *a, const void *b)
{
    const struct fabric_piece *x = a, *y = b;
    if (x->level != y->level)
        return x->level < y->level ? -1 : 1;
    if (x->first != y->first)
        return x->first < y->first ? -1 : 1;
    return x->leaf < y->leaf ? -1 : x->leaf > y->leaf; /* empty ones: as drafted */
}

/* Sorts pieces by level and mends what names them by number. */
static void pieces_sort(struct fabric *f)
{
    uint32_t *now = xmalloc((f->pieces + 1) * sizeof *now);
    for (uint32_t i = 0; i < f->pieces; i++)
        f->piece[i].leaf = i;
    qsort(f->piece, f->pieces, sizeof *f->piece, by_level);
    for (uint32_t i = 0; i < f->pieces; i++)
        now[f->piece[i].leaf] = i;
    for (uint32_t i = 0; i < f->pieces; i++)
        if (f->piece[i].parent != FABRIC_NO)
            f->piece[i].parent = now[f->piece[i].parent];
    for (uint32_t i = 0; i < f->nodes; i++)
        f->leaf_of[i] = now[f->leaf_of[i]];
    free(now);
    f->leafs = fabric_level(f, 1, &(uint32_t){0});
    f->levels = f->piece[f->pieces - 1].level;
    for (uint32_t i = 0; i < f->pieces; i++) {
        struct fabric_piece *p = &f->piece[i];
        p->leaf = p->count ? f->leaf_of[p->first] : 0;
        p->leafs = p->count ? f->leaf_of[p->first + p->count - 1] - p->leaf + 1 : 0;
    }
}

static int draft_check(struct fabric_draft *d, struct err *err)
{
    uint32_t tops = 0;
    if (d->nodes == 0)
        return err_set(err, -EINVAL, "topology: no node is connected to any switch");
    for (uint32_t i = 0; i < d->pieces; i++) {
        tops += d->piece[i].parent == FABRIC_NO;
        if (d->piece[i].has_nodes && d->piece[i].has_pieces)
            return err_set(err, -EINVAL, "topology: %s has nodes and other switches; give "
                           "its nodes a switch of their own", d->piece[i].name);
    }
    if (tops == 0)
        return err_set(err, -ELOOP, "topology: each switch is below another: a circle");
    if (tops == 1)
        return 0;
    uint32_t pieces = d->pieces, top = draft_piece(d, "", FABRIC_NO, err);
    if (top == FABRIC_NO)
        return -E2BIG;
    for (uint32_t i = 0; i < pieces; i++)
        if (d->piece[i].parent == FABRIC_NO)
            d->piece[i].parent = top;
    d->piece[top].has_pieces = true;
    return 0;
}

static int draft_walk(struct fabric_draft *d, struct fabric *f, struct err *err)
{
    uint32_t *owner = xmalloc(((size_t)d->pieces + d->nodes) * sizeof *owner);
    struct walk w = {.d = d, .f = f};
    uint32_t top = FABRIC_NO;
    w.child_from = xmalloc((d->pieces + 2) * sizeof *w.child_from);
    w.node_from = xmalloc((d->pieces + 2) * sizeof *w.node_from);
    w.child = xmalloc(d->pieces * sizeof *w.child);
    w.node = xmalloc(d->nodes * sizeof *w.node);
    for (uint32_t i = 0; i < d->pieces; i++) {
        owner[i] = d->piece[i].parent;
        if (owner[i] == FABRIC_NO)
            top = i;
    }
    lists_make(d->pieces, d->pieces, owner, w.child_from, w.child);
    for (uint32_t i = 0; i < d->nodes; i++)
        owner[i] = d->node[i].piece;
    lists_make(d->pieces, d->nodes, owner, w.node_from, w.node);
    f->pieces = d->pieces;
    uint32_t level = walk_down(&w, top, 1);
    free(owner);
    free(w.child_from);
    free(w.node_from);
    free(w.child);
    free(w.node);
    if (level == 0)
        return err_set(err, -ELOOP, "topology: more than %u switches one above another",
                       FABRIC_LEVELS_MAX);
    for (uint32_t i = 0; i < f->pieces; i++)
        if (f->piece[i].level == 0)
            return err_set(err, -ELOOP, "topology: switch %s is above itself: a circle",
                           d->piece[i].name);
    pieces_sort(f);
    return 0;
}

struct fabric *draft_seal(struct fabric_draft *d, enum fabric_kind kind, struct err *err)
{
    struct fabric *f = xcalloc(1, sizeof *f);
    f->kind = kind;
    int rc = draft_check(d, err);
    if (rc == 0) {
        f->piece = xcalloc(d->pieces, sizeof *f->piece);
        f->node = xcalloc(d->nodes, sizeof *f->node);
        f->leaf_of = xcalloc(d->nodes, sizeof *f->leaf_of);
        rc = draft_walk(d, f, err);
    }
    if (rc == 0)
        rc = index_build(f, err);
    draft_fini(d);
    if (rc == 0)
        return f;
    fabric_destroy(f);
    return NULL;
}
