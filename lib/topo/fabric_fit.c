/* SPDX-License-Identifier: Apache-2.0
 *
 * Which leafs for a number of nodes, and in which order.
 *
 * Nodes stand leaf by leaf, so each leaf but the first adds one link between neighbours that
 * leaves a leaf, each group of leafs (a pod) one that leaves a group, and so on. What a
 * selection costs is therefore a sum over the pieces it touches, and the cheapest one is
 * found by dynamic programming up the tree: reach[c] of a piece is the most nodes in it for
 * a cost of c. Leafs of one piece cost the same, so that of them the largest come first.
 */
#include "topo/fabric.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

#define STEPS_MAX (1u << 24) /* of a search: about 20 ms */
#define ORDER_MAX 64u        /* leafs whose order is improved: squared, a few times over */
#define ORDER_ROUNDS 8

struct fit {
    const struct fabric *f;
    const uint32_t *avail;
    const uint64_t *spare;
    uint32_t n, cost_max;
    uint32_t *sorted;        /* [leafs] by parent, then as they are to be taken */
    uint32_t *from;          /* [pieces + 1]: those below p are sorted[from[p]] ... */
    uint32_t *room;          /* [pieces] nodes in all */
    uint32_t **reach;        /* [pieces]: [cost_max + 1], of what lies inside */
    uint32_t **given;        /* [pieces]: of its parent's cost c, what goes to it */
    uint32_t *leafs;         /* [pieces] leafs taken */
};

/* Links that a way between neighbours is longer by when it leaves a piece of the level. */
static uint32_t level_cost(const struct fabric *f, uint32_t level)
{
    return f->kind == FABRIC_DRAGONFLY && level == 1 ? 1 : 2;
}

static int leaf_order(const void *x, const void *y, void *fit)
{
    const struct fit *t = fit;
    uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;
    uint32_t pa = t->f->piece[a].parent, pb = t->f->piece[b].parent;
    if (pa != pb)
        return pa < pb ? -1 : 1;
    if (t->avail[a] != t->avail[b])
        return t->avail[a] > t->avail[b] ? -1 : 1;
    if (t->spare[a] != t->spare[b])
        return t->spare[a] < t->spare[b] ? -1 : 1;
    return a < b ? -1 : a > b;
}

static void fit_begin(struct fit *t)
{
    const struct fabric *f = t->f;
    uint32_t used = 0;
    t->sorted = xmalloc((f->leafs + 1) * sizeof *t->sorted);
    t->from = xcalloc(f->pieces + 2, sizeof *t->from);
    t->room = xcalloc(f->pieces, sizeof *t->room);
    t->leafs = xcalloc(f->pieces, sizeof *t->leafs);
    t->reach = xcalloc(f->pieces, sizeof *t->reach);
    t->given = xcalloc(f->pieces, sizeof *t->given);
    for (uint32_t l = 0; l < f->leafs; l++) {
        if (t->avail[l] == 0)
            continue;
        t->sorted[used++] = l;
        for (uint32_t p = l; p != FABRIC_NO; p = f->piece[p].parent)
            t->room[p] += t->avail[l];
    }
    qsort_r(t->sorted, used, sizeof *t->sorted, leaf_order, t);
    for (uint32_t i = 0; i < used; i++)
        if (f->piece[t->sorted[i]].parent != FABRIC_NO)
            t->from[f->piece[t->sorted[i]].parent + 1]++;
    for (uint32_t p = 1; p <= f->pieces; p++)
        t->from[p] += t->from[p - 1];
}

static void fit_end(struct fit *t)
{
    for (uint32_t p = 0; p < t->f->pieces; p++) {
        free(t->reach[p]);
        free(t->given[p]);
    }
    free(t->sorted);
    free(t->from);
    free(t->room);
    free(t->leafs);
    free(t->reach);
    free(t->given);
}

/* What the largest leafs cost, wherever they are: the cheapest is no dearer. */
static uint32_t cost_bound(const struct fit *t)
{
    const struct fabric *f = t->f;
    uint32_t left = t->n, cost = 0, used = t->from[f->pieces];
    uint32_t *v = xmalloc((used + 1) * sizeof *v), *count = xcalloc(t->n + 1, sizeof *count);
    bool *seen = xcalloc(f->pieces, sizeof *seen);
    for (uint32_t i = 0; i < used; i++) /* by number of nodes, n and more alike */
        count[t->avail[t->sorted[i]] < t->n ? t->avail[t->sorted[i]] : t->n]++;
    for (uint32_t k = t->n, at = 0; k > 0; k--) {
        uint32_t n = count[k];
        count[k] = at;
        at += n;
    }
    for (uint32_t i = 0; i < used; i++)
        v[count[t->avail[t->sorted[i]] < t->n ? t->avail[t->sorted[i]] : t->n]++] = t->sorted[i];
    for (uint32_t i = 0; left; i++) {
        left -= t->avail[v[i]] < left ? t->avail[v[i]] : left;
        for (uint32_t p = v[i]; f->piece[p].parent != FABRIC_NO && !seen[p];
             p = f->piece[p].parent) {
            seen[p] = true;
            cost += level_cost(f, f->piece[p].level);
        }
    }
    free(v);
    free(count);
    free(seen);
    return cost;
}

/* Inside piece p: leafs right below it, largest first. */
static void reach_leafs(struct fit *t, uint32_t p)
{
    uint32_t step = level_cost(t->f, 1), c = 0, sum = 0;
    t->reach[p] = xcalloc(t->cost_max + 1, sizeof *t->reach[p]);
    for (uint32_t i = t->from[p]; i < t->from[p + 1] && c + step <= t->cost_max; i++) {
        for (uint32_t k = 1; k <= step; k++)
            t->reach[p][c + k] = sum;
        c += step;
        sum += t->avail[t->sorted[i]];
        t->reach[p][c] = sum < t->n ? sum : t->n;
    }
    for (; c < t->cost_max; c++)
        t->reach[p][c + 1] = t->reach[p][c];
}

/* Joins piece q to what its parent reaches without it. Where all n are reached, as much as
 * possible comes from q: the fuller pieces are joined last. */
static void reach_join(struct fit *t, uint32_t p, uint32_t q)
{
    uint32_t own = level_cost(t->f, t->f->piece[q].level), most = t->cost_max;
    uint32_t *old = t->reach[p], *out = xmalloc((most + 1) * sizeof *out);
    t->given[q] = xcalloc(most + 1, sizeof *t->given[q]);
    memcpy(out, old, (most + 1) * sizeof *out);
    for (uint32_t x = own + 1; x <= most; x++) {
        uint32_t some = t->reach[q][x - own];
        if (some == t->reach[q][x - own - 1])
            continue; /* no more than for less */
        for (uint32_t c = x; c <= most; c++) {
            uint32_t sum = old[c - x] + some < t->n ? old[c - x] + some : t->n;
            if (sum > out[c] || (sum == t->n && out[c] == t->n)) {
                out[c] = sum;
                t->given[q][c] = x;
            }
        }
    }
    free(old);
    t->reach[p] = out;
}

struct child { uint32_t piece, room; };

static int roomy_first(const void *x, const void *y)
{
    const struct child *a = x, *b = y;
    if (a->room != b->room)
        return a->room > b->room ? -1 : 1;
    return a->piece < b->piece ? 1 : -1;
}

/* Pieces of level 2 and above, those without room left out: roomy ones first, by level. */
static struct child *children_list(const struct fit *t, uint32_t *n)
{
    const struct fabric *f = t->f;
    struct child *v = xmalloc((f->pieces - f->leafs + 1) * sizeof *v);
    *n = 0;
    for (uint32_t p = f->leafs; p < f->pieces; p++)
        if (t->room[p])
            v[(*n)++] = (struct child){p, t->room[p]};
    for (uint32_t i = 0, k; i < *n; i = k) {
        for (k = i; k < *n && f->piece[v[k].piece].level == f->piece[v[i].piece].level; k++)
            ;
        qsort(v + i, k - i, sizeof *v, roomy_first);
    }
    return v;
}

/* Shares out cost c of piece p: to the pieces below it, and the rest to its leafs. */
static void share_cost(struct fit *t, const struct child *v, uint32_t n, uint32_t p, uint32_t c)
{
    for (uint32_t i = n; i-- > 0;) {
        uint32_t q = v[i].piece;
        if (t->f->piece[q].parent != p)
            continue;
        uint32_t x = t->given[q][c];
        if (x)
            share_cost(t, v, n, q, x - level_cost(t->f, t->f->piece[q].level));
        c -= x;
    }
    uint32_t leafs = c / level_cost(t->f, 1), have = t->from[p + 1] - t->from[p];
    t->leafs[p] = leafs < have ? leafs : have;
}

/* The cheapest selection; false: the search would take too long. */
static bool fit_search(struct fit *t)
{
    const struct fabric *f = t->f;
    uint32_t n, top = f->pieces - 1, c = 0;
    t->cost_max = cost_bound(t);
    struct child *v = children_list(t, &n);
    bool good = (uint64_t)t->cost_max * (n + t->from[f->pieces]) * f->levels <= STEPS_MAX;
    for (uint32_t i = 0; good && i < n; i++)
        reach_leafs(t, v[i].piece);
    for (uint32_t i = 0; good && i < n; i++)
        if (v[i].piece != top)
            reach_join(t, f->piece[v[i].piece].parent, v[i].piece);
    while (good && t->reach[top][c] < t->n)
        c++;
    if (good)
        share_cost(t, v, n, top, c);
    free(v);
    return good;
}

/* Swaps taken leafs, smallest first, for smaller ones beside them as long as all together
 * hold enough: large ones stay whole. */
static void fit_shrink(struct fit *t, uint32_t *take)
{
    uint32_t surplus = 0;
    for (uint32_t p = t->f->leafs; p < t->f->pieces; p++)
        for (uint32_t i = 0; i < t->leafs[p]; i++)
            surplus += t->avail[t->sorted[t->from[p] + i]];
    surplus -= t->n;
    for (uint32_t p = t->f->leafs; p < t->f->pieces; p++) {
        uint32_t *v = t->sorted + t->from[p], k = t->leafs[p];
        uint32_t have = t->from[p + 1] - t->from[p];
        for (uint32_t i = k, end = have; i-- > 0;) {
            uint32_t best = i;
            for (uint32_t s = k; s < end; s++)
                if (t->avail[v[i]] - t->avail[v[s]] <= surplus && t->avail[v[s]] < t->avail[v[best]])
                    best = s;
            surplus -= t->avail[v[i]] - t->avail[v[best]];
            take[v[best]] = t->avail[v[best]];
            end = best == i ? end : best; /* what is left to larger ones is larger */
        }
    }
    while (surplus) { /* the smallest gives it back */
        uint32_t least = FABRIC_NO;
        for (uint32_t l = 0; l < t->f->leafs; l++)
            if (take[l] && (least == FABRIC_NO || take[l] <= take[least]))
                least = l;
        uint32_t back = take[least] < surplus ? take[least] : surplus;
        take[least] -= back;
        surplus -= back;
    }
}

/* One leaf that holds all: the fullest, in the fullest of pieces. */
static bool fit_leaf(const struct fit *t, uint32_t *take)
{
    const struct fabric *f = t->f;
    uint32_t best = FABRIC_NO;
    for (uint32_t l = 0; l < f->leafs; l++) {
        if (t->avail[l] < t->n || (best != FABRIC_NO && t->avail[l] > t->avail[best]))
            continue;
        bool better = best == FABRIC_NO || t->avail[l] < t->avail[best] ||
                      t->spare[l] < t->spare[best];
        if (!better && t->spare[l] == t->spare[best]) {
            uint32_t p = f->piece[l].parent, q = f->piece[best].parent;
            while (p != q && t->room[p] == t->room[q]) {
                p = f->piece[p].parent;
                q = f->piece[q].parent;
            }
            better = p != q && t->room[p] < t->room[q];
        }
        if (better)
            best = l;
    }
    if (best != FABRIC_NO)
        take[best] = t->n;
    return best != FABRIC_NO;
}

bool fabric_fit(const struct fabric *f, const uint32_t *avail, const uint64_t *spare, uint32_t n,
                uint32_t *take)
{
    struct fit t = {.f = f, .avail = avail, .spare = spare, .n = n};
    uint64_t all = 0;
    memset(take, 0, f->leafs * sizeof *take);
    for (uint32_t l = 0; l < f->leafs; l++)
        all += avail[l];
    if (n == 0 || all < n)
        return false;
    fit_begin(&t);
    bool good = fit_leaf(&t, take);
    if (!good && (good = fit_search(&t)))
        fit_shrink(&t, take);
    fit_end(&t);
    return good;
}

/* ---- order ------------------------------------------------------------------------------- */

static uint32_t leaf_hops(const struct fabric *f, uint32_t a, uint32_t b)
{
    return fabric_hops(f, f->piece[a].first, f->piece[b].first);
}

static uint64_t order_hops(const struct fabric *f, const uint32_t *leaf, uint32_t n)
{
    uint64_t hops = 0;
    for (uint32_t i = 1; i < n; i++)
        hops += leaf_hops(f, leaf[i - 1], leaf[i]);
    return hops;
}

/* From leaf[0] on always to the nearest of those that are left. */
static void order_nearest(const struct fabric *f, uint32_t *leaf, uint32_t n)
{
    for (uint32_t i = 1; i + 1 < n; i++) {
        uint32_t best = i;
        for (uint32_t k = i + 1; k < n; k++)
            if (leaf_hops(f, leaf[i - 1], leaf[k]) < leaf_hops(f, leaf[i - 1], leaf[best]))
                best = k;
        uint32_t l = leaf[best];
        memmove(leaf + i + 1, leaf + i, (best - i) * sizeof *leaf);
        leaf[i] = l;
    }
}

/* Runs turned round where that makes the way shorter; false: nowhere. */
static bool order_turn(const struct fabric *f, uint32_t *leaf, uint32_t n)
{
    bool turned = false;
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = i + 1; k < n; k++) {
            uint32_t was = 0, is = 0;
            if (i > 0) {
                was += leaf_hops(f, leaf[i - 1], leaf[i]);
                is += leaf_hops(f, leaf[i - 1], leaf[k]);
            }
            if (k + 1 < n) {
                was += leaf_hops(f, leaf[k], leaf[k + 1]);
                is += leaf_hops(f, leaf[i], leaf[k + 1]);
            }
            for (uint32_t a = i, b = k; is < was && a < b; a++, b--) {
                uint32_t l = leaf[a];
                leaf[a] = leaf[b];
                leaf[b] = l;
            }
            turned = turned || is < was;
        }
    return turned;
}

void fabric_order(const struct fabric *f, uint32_t *leaf, uint32_t n)
{
    if (!f->routers || n < 3 || n > ORDER_MAX) /* in trees the order of the pieces is best */
        return;
    uint32_t *one = xmalloc(n * sizeof *one), *first = xmalloc(n * sizeof *first);
    uint64_t best = order_hops(f, leaf, n);
    memcpy(first, leaf, n * sizeof *first);
    for (uint32_t start = 0; start < n && start < ORDER_ROUNDS; start++) {
        memcpy(one, first, n * sizeof *one);
        one[0] = first[start];
        one[start] = first[0];
        order_nearest(f, one, n);
        for (uint32_t i = 0; i < ORDER_ROUNDS && order_turn(f, one, n); i++)
            ;
        uint64_t hops = order_hops(f, one, n);
        if (hops < best) {
            best = hops;
            memcpy(leaf, one, n * sizeof *leaf);
        }
    }
    free(one);
    free(first);
}
