/* SPDX-License-Identifier: Apache-2.0
 *
 * Which piece of the fabric: the smallest that is sufficient, the fullest first, so that
 * large pieces stay whole. How many nodes that takes is known then; which leafs give them,
 * wherever they are, is fabric_fit()'s choice: the shortest ways between neighbours, and
 * among equals the leafs that would have least free while the job runs.
 */
#include "sched/place.h"

#include "base/buf.h"
#include "sched/request.h"
#include "sched/timeline.h"

#include <stdlib.h>
#include <string.h>

#define LEAFS_LOOKED_AT 16 /* for one node: leafs with a fit, before the best is taken */
#define LEAFS_SCORED_ALL 64 /* by score, which costs more: all of so many */
#define LEAFS_SCORED 4
#define FITS_TRIED 8 /* each finds leafs that cannot give what their summaries promised */

/* How much of the leafs that are partly in use stays free while the job runs, a->spare: the
 * less, the better it goes with those that run there. */
static void spare_find(struct attempt *a)
{
    const struct core *c = a->c;
    usec_t until = c->now + a->span;
    a->spare = xcalloc(a->rooms->leafs + 1, sizeof *a->spare);
    for (uint32_t l = 0; l < a->rooms->leafs; l++) {
        uint32_t from = c->leaf_first[l], to = c->leaf_first[l + 1];
        for (uint32_t k = from; a->leaf[l].nodes && k < to; k++) {
            usec_t idle = timeline_idle(c, c->leaf_node[k]);
            idle = idle < c->now ? c->now : idle;
            a->spare[l] += idle < until ? (uint64_t)(until - idle) / USEC_PER_SEC : 0;
        }
    }
}

/* ---- one node ---------------------------------------------------------------------------------- */

/* The fullest leaf not yet seen that may have such a node; NONE. */
static uint32_t leaf_next(const struct attempt *a, const struct least *want)
{
    uint32_t best = NONE;
    for (uint32_t l = 0; l < a->rooms->leafs; l++) {
        const struct leaf_try *t = &a->leaf[l];
        if (t->seen || t->nodes == 0 || (best != NONE && t->cores > a->leaf[best].cores) ||
            (best != NONE && t->cores == a->leaf[best].cores &&
             (!a->spare || a->spare[l] >= a->spare[best])))
            continue;
        if (leaf_holds(a, &a->rooms->leaf[l], want))
            best = l;
    }
    return best;
}

/* Is x the better choice for a job that either can hold? */
static bool one_better(const struct candidate *x, const struct candidate *y)
{
    if (x->weight != y->weight)
        return x->weight < y->weight;
    if (x->score != y->score)
        return x->score < y->score;
    if (x->left != y->left)
        return x->left < y->left;
    return false;
}

bool place_one(struct attempt *a, struct placement *out)
{
    uint32_t tasks = a->q->ntasks ? a->q->ntasks : 1, looked = 0, leaf;
    struct candidate best = {.node = NONE};
    struct least want;
    least_find(a, tasks, &want);
    bool scored = gpu_scored(a);
    if (a->whole && a->c->fabric && a->c->policy.fabric_choice == CHOOSE_NEAREST && !a->spare)
        spare_find(a);
    uint32_t most = !scored                                ? LEAFS_LOOKED_AT
                    : a->rooms->leafs <= LEAFS_SCORED_ALL ? NONE
                                                           : LEAFS_SCORED;
    while (looked < most && (leaf = leaf_next(a, &want)) != NONE) {
        leaf_look(a, leaf);
        for (uint32_t i = a->leaf[leaf].first; i < a->n; i++) {
            if (a->v[i].tasks < tasks)
                continue;
            if (scored)
                gpu_score(a, &a->v[i], tasks);
            if (best.node == NONE || one_better(&a->v[i], &best))
                best = a->v[i];
        }
        looked += best.node != NONE;
        if (!scored && best.node != NONE && best.left == 0)
            break; /* nothing fits better */
    }
    a->gpu = best.node != NONE ? best.gpu : NONE;
    bool good = best.node != NONE && place_on(a, &best, 1, out);
    a->gpu = NONE;
    return good;
}

/* ---- pieces --------------------------------------------------------------------------------------- */

/* Nodes and cores that a piece's leafs may give, and how many of the required are there. */
struct piece_sum { uint32_t nodes, required; uint64_t cores; };

static struct piece_sum *pieces_sum(const struct attempt *a)
{
    const struct fabric *f = a->c->fabric;
    struct piece_sum *s = xcalloc(f->pieces, sizeof *s);
    for (uint32_t l = 0; l < f->leafs; l++) {
        uint32_t required = 0;
        for (uint32_t k = a->c->leaf_first[l]; a->q->has_names && k < a->c->leaf_first[l + 1]; k++)
            required += bs_test(a->q->required, a->c->leaf_node[k]);
        for (uint32_t p = l; p != FABRIC_NO; p = f->piece[p].parent) {
            s[p].nodes += a->leaf[l].nodes;
            s[p].cores += a->leaf[l].cores;
            s[p].required += required;
        }
    }
    return s;
}

static uint32_t cores_least(const struct attempt *a)
{
    struct least l;
    if (a->q->overcommit)
        return 1;
    least_find(a, a->q->ntasks, &l);
    return l.cores;
}

/* Has p less room than q, or what it is a part of? */
static bool fuller(const struct attempt *a, const struct piece_sum *s, uint32_t p, uint32_t q)
{
    const struct fabric *f = a->c->fabric;
    while (p != q && p != FABRIC_NO && q != FABRIC_NO) {
        if (s[p].nodes != s[q].nodes)
            return s[p].nodes < s[q].nodes;
        if (s[p].cores != s[q].cores)
            return s[p].cores < s[q].cores;
        if (a->c->policy.fabric_choice == CHOOSE_LEAFS)
            return false;
        p = f->piece[p].parent;
        q = f->piece[q].parent;
    }
    return false;
}

/* The fullest sufficient piece of the level that has not been tried; NONE. */
static uint32_t piece_next(const struct attempt *a, const struct piece_sum *s, uint32_t level,
                           const uint64_t *tried)
{
    uint32_t first, n = fabric_level(a->c->fabric, level, &first), best = NONE;
    uint32_t required = a->q->has_names ? a->q->required_count : 0, cores = cores_least(a);
    for (uint32_t p = first; p < first + n; p++) {
        if (bs_test(tried, p) || s[p].nodes < a->at_least || s[p].required < required ||
            (cores <= CPUS_PER_NODE_MAX && s[p].cores < cores))
            continue;
        if (best == NONE || fuller(a, s, p, best))
            best = p;
    }
    return best;
}

/* Nodes that take an even share, by leaf and summed up for each piece; the piece's. */
static uint32_t full_count(struct attempt *a, uint32_t piece, uint32_t share)
{
    const struct fabric *f = a->c->fabric;
    const struct fabric_piece *p = &f->piece[piece];
    memset(a->avail, 0, f->pieces * sizeof *a->avail);
    for (uint32_t l = p->leaf; l < p->leaf + p->leafs; l++) {
        const struct leaf_try *t = &a->leaf[l];
        uint32_t n = 0;
        for (uint32_t i = t->first; i < t->first + t->count; i++)
            n += a->v[i].tasks >= share;
        for (uint32_t q = l; q != FABRIC_NO; q = f->piece[q].parent)
            a->avail[q] += n;
    }
    return a->avail[piece];
}

static void leaf_take(struct attempt *a, uint32_t leaf, uint32_t n)
{
    a->take[leaf] += n;
    for (uint32_t q = leaf; q != FABRIC_NO; q = a->c->fabric->piece[q].parent)
        a->avail[q] -= n;
}

/* Of the pieces of `level` inside `in`: the smallest that holds n (`holds`), or the largest;
 * among equals a sibling of `near`. NONE: there is none. */
static uint32_t piece_pick(const struct attempt *a, uint32_t in, uint32_t level, uint32_t n,
                           bool holds, uint32_t near)
{
    const struct fabric *f = a->c->fabric;
    uint32_t first, count = fabric_level(f, level, &first), best = NONE;
    uint32_t stop = f->piece[in].first + f->piece[in].count;
    uint32_t family = near == NONE ? FABRIC_NO : f->piece[near].parent;
    for (uint32_t p = first; p < first + count; p++) {
        uint32_t have = a->avail[p];
        if (f->piece[p].first < f->piece[in].first ||
            f->piece[p].first + f->piece[p].count > stop || have == 0 || (holds && have < n))
            continue;
        if (best != NONE && have == a->avail[best]
                ? f->piece[best].parent != family && f->piece[p].parent == family
                : best == NONE || holds == (have < a->avail[best]))
            best = p;
    }
    return best;
}

/* The fewest leafs, wherever in the piece: the smallest that holds the rest; when none does,
 * the largest is taken whole. */
static void take_leafs(struct attempt *a, uint32_t in, uint32_t n)
{
    uint32_t near = NONE;
    while (n) {
        uint32_t at = piece_pick(a, in, 1, n, true, near);
        if (at == NONE)
            at = piece_pick(a, in, 1, n, false, near);
        uint32_t some = a->avail[at] < n ? a->avail[at] : n;
        leaf_take(a, at, some);
        n -= some;
        near = at;
    }
}

static int by_cores(const void *x, const void *y)
{
    const struct candidate *a = x, *b = y;
    if (a->cores != b->cores)
        return a->cores < b->cores ? -1 : 1;
    return a->line < b->line ? -1 : a->line > b->line;
}

/* From each leaf as many as `take` says, those with least to spare; their number. */
static uint32_t take_nodes(struct attempt *a, uint32_t share, struct candidate *pick)
{
    uint32_t n = 0;
    for (uint32_t l = 0; l < a->c->fabric->leafs; l++) {
        struct leaf_try *t = &a->leaf[l];
        uint32_t need = a->take[l];
        if (need == 0)
            continue;
        qsort(a->v + t->first, t->count, sizeof *a->v, by_cores);
        for (uint32_t i = t->first; need && i < t->first + t->count; i++)
            if (a->v[i].tasks >= share) {
                pick[n++] = a->v[i];
                need--;
            }
    }
    return n;
}

/* Puts the leafs of a placement, which stands along the fabric, into the order with the
 * shortest ways. */
static void ranks_order(const struct attempt *a, struct placement *p)
{
    const struct core *c = a->c;
    uint32_t *leaf = xmalloc((p->count + 1) * sizeof *leaf), n = 0, at = 0;
    struct demand *out = xmalloc((p->count + 1) * sizeof *out);
    for (uint32_t i = 0; i < p->count; i++)
        if (n == 0 || leaf[n - 1] != c->node[p->node[i].node].leaf)
            leaf[n++] = c->node[p->node[i].node].leaf;
    fabric_order(c->fabric, leaf, n);
    for (uint32_t k = 0; k < n; k++)
        for (uint32_t i = 0; i < p->count; i++)
            if (c->node[p->node[i].node].leaf == leaf[k])
                out[at++] = p->node[i];
    memcpy(p->node, out, p->count * sizeof *out);
    free(leaf);
    free(out);
}

/* The nodes that `take` says, along the fabric. */
static bool place_taken(struct attempt *a, uint32_t k, uint32_t share, struct placement *out)
{
    struct candidate *pick = xmalloc((k + 1) * sizeof *pick);
    bool good = place_on(a, pick, take_nodes(a, share, pick), out);
    free(pick);
    if (good && a->c->fabric->routers && a->c->policy.fabric_choice == CHOOSE_NEAREST)
        ranks_order(a, out);
    return good;
}

/* k nodes that take the share, wherever they make the shortest ways. What leafs that were not
 * looked at can give is a bound: those that are chosen are looked at, and when they give
 * less the choice is made again. */
static bool place_near(struct attempt *a, uint32_t k, uint32_t share, struct placement *out)
{
    const struct fabric *f = a->c->fabric;
    for (uint32_t l = 0; l < f->leafs; l++)
        a->avail[l] = leaf_nodes(a, l, share);
    if (!a->spare)
        spare_find(a);
    for (int tries = 0; tries < FITS_TRIED; tries++) {
        bool good = fabric_fit(f, a->avail, a->spare, k, a->take);
        if (!good)
            return false;
        for (uint32_t l = 0; l < f->leafs; l++) {
            if (a->take[l] == 0 || a->leaf[l].seen)
                continue;
            leaf_look(a, l);
            a->avail[l] = leaf_nodes(a, l, share);
            good = good && a->avail[l] >= a->take[l];
        }
        if (good)
            return place_taken(a, k, share, out);
    }
    return false;
}

/* k nodes that take the share, of the piece. */
static bool place_fewest(struct attempt *a, uint32_t piece, uint32_t k, uint32_t share,
                         struct placement *out)
{
    full_count(a, piece, share);
    memset(a->take, 0, a->c->fabric->leafs * sizeof *a->take);
    take_leafs(a, piece, k);
    return place_taken(a, k, share, out);
}

/* The piece's candidates, in a copy. */
static struct candidate *piece_candidates(struct attempt *a, uint32_t piece, uint32_t *n)
{
    const struct fabric_piece *p = &a->c->fabric->piece[piece];
    *n = 0;
    for (uint32_t l = p->leaf; l < p->leaf + p->leafs; l++) {
        leaf_look(a, l);
        *n += a->leaf[l].count;
    }
    struct candidate *v = xmalloc((*n + 1) * sizeof *v);
    uint32_t at = 0;
    for (uint32_t l = p->leaf; l < p->leaf + p->leafs; l++) {
        memcpy(v + at, a->v + a->leaf[l].first, a->leaf[l].count * sizeof *v);
        at += a->leaf[l].count;
    }
    return v;
}

static int by_tasks(const void *x, const void *y)
{
    const struct candidate *a = x, *b = y;
    return a->tasks > b->tasks ? -1 : a->tasks < b->tasks;
}

static bool place_in(struct attempt *a, uint32_t piece, struct placement *out)
{
    const struct request *q = a->q;
    uint32_t n;
    struct candidate *v = piece_candidates(a, piece, &n);
    bool good = false, plain = !q->contiguous && !a->in_all && !(q->has_names && q->required_count);
    if (plain && n >= a->at_least) {
        qsort(v, n, sizeof *v, by_tasks);
        uint32_t k = nodes_wanted(a, v, n, false), ntasks = q->ntasks ? q->ntasks : k;
        uint32_t share = k ? (ntasks + k - 1) / k : 0;
        bool even = k && full_count(a, piece, share) >= k;
        /* of leafs with parts of nodes free the fullest, which it is, is the better one */
        bool near = a->c->policy.fabric_choice == CHOOSE_NEAREST &&
                    (a->whole || a->c->fabric->piece[piece].level > 1);
        good = (even && near && place_near(a, k, share, out)) ||
               (even && place_fewest(a, piece, k, share, out));
    }
    if (!good)
        good = place_some(a, v, n, false, out);
    free(v);
    return good;
}

bool place_pieces(struct attempt *a, struct placement *out)
{
    const struct fabric *f = a->c->fabric;
    bool good = false;
    if (!f || a->c->policy.fabric_choice == CHOOSE_FIRST)
        return false;
    struct piece_sum *sum = pieces_sum(a);
    uint64_t *tried = xcalloc(BS_WORDS(f->pieces), sizeof *tried);
    a->avail = xmalloc((f->pieces + f->leafs) * sizeof *a->avail);
    a->take = a->avail + f->pieces;
    for (uint32_t level = 1; !good && level <= f->levels; level++) {
        uint32_t p;
        while (!good && (p = piece_next(a, sum, level, tried)) != NONE) {
            bs_set(tried, p);
            good = place_in(a, p, out);
        }
    }
    free(a->avail);
    free(tried);
    free(sum);
    return good;
}

bool place_whole(struct attempt *a, bool many, struct placement *out)
{
    for (uint32_t l = 0; l < a->rooms->leafs; l++)
        leaf_look(a, l);
    struct candidate *v = a->v + a->p->nodes_count + 1;
    memcpy(v, a->v, a->n * sizeof *v);
    for (uint32_t l = 0; a->q->spread && l < a->rooms->leafs; l++) /* one of each leaf in turn */
        for (uint32_t i = 0; i < a->leaf[l].count; i++)
            v[a->leaf[l].first + i].line = i * a->rooms->leafs + l;
    return place_some(a, v, a->n, many, out);
}

/* ---- what was found ------------------------------------------------------------------------------ */

void placement_measure(const struct core *c, const struct request *q, struct placement *p)
{
    uint32_t last = NONE;
    p->leafs = 0;
    for (uint32_t i = 0; c->fabric && i < p->count; i++) { /* along the fabric */
        uint32_t leaf = c->node[p->node[i].node].leaf;
        p->leafs += leaf != last;
        last = leaf;
    }
    p->over_switches = q->switches && p->leafs > q->switches;
}

usec_t place_switches_wait(const struct core *c, const struct job *j, const struct placement *p)
{
    usec_t since = j->eligible > j->submit ? j->eligible : j->submit;
    return p->over_switches ? since + c->request[j->request].switches_wait : 0;
}
