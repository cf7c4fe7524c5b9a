/* SPDX-License-Identifier: Apache-2.0
 *
 * place: which nodes, and how much of each. Cost is one visit a candidate node.
 *
 * One node that holds everything is preferred, the one with least left over (best fit,
 * after weight); else the fewest nodes, roomiest first. The work is then spread evenly
 * over the chosen nodes, as far as each can take it.
 */
#include "sched/model.h"

#include "base/buf.h"
#include "sched/request.h"

#include <stdlib.h>
#include <string.h>

struct candidate {
    uint32_t node, tasks, weight; /* tasks: how many it could take */
    uint32_t order;               /* the node's, by name */
    uint32_t left;                /* cores that would stay free */
};

static uint32_t div_up(uint32_t a, uint32_t b)
{
    return b ? (a + b - 1) / b : 0;
}

/* Does the pool count for a gres item? */
static bool pool_matches(const struct pool *p, const struct req_gres *g)
{
    return p->name == g->name && (g->type == 0 || p->type == g->type);
}

/* CPUs of one core that tasks may use. */
static uint32_t core_cpus(const struct request *q, const struct node *n)
{
    return q->threads && q->threads < n->threads ? q->threads : n->threads;
}

static uint32_t cores_for(const struct request *q, const struct node *n, uint32_t tasks)
{
    uint32_t cpus = q->overcommit ? 1 : tasks * q->cpus_per_task;
    if (cpus < q->mincpus)
        cpus = q->mincpus;
    if (q->exclusive)
        return n->cores;
    return div_up(cpus ? cpus : 1, core_cpus(q, n));
}

static uint64_t mem_for(const struct core *c, const struct partition *p,
                        const struct request *q, const struct node *n, uint32_t cores,
                        uint32_t gpus)
{
    switch (q->mem_kind) {
    case MEM_BY_NODE:
        return q->mem_mib;
    case MEM_BY_CPU:
        return q->mem_mib * cores * n->threads;
    case MEM_BY_GPU:
        return q->mem_mib * gpus;
    case MEM_WHOLE:
        return n->mem;
    case MEM_BY_SHARE:
        break;
    }
    uint64_t per_cpu = p->conf.mem_default_per_cpu_mib ? p->conf.mem_default_per_cpu_mib
                                                       : c->policy.mem_default_per_cpu_mib;
    uint64_t per_node = p->conf.mem_default_per_node_mib
                            ? p->conf.mem_default_per_node_mib
                            : c->policy.mem_default_per_node_mib;
    if (per_cpu)
        return per_cpu * cores * n->threads;
    return per_node < n->mem ? per_node : n->mem;
}

static uint32_t gres_count(const struct req_gres *g, uint32_t tasks)
{
    return g->per == SL__GRES_PER__GRES_PER_TASK ? g->count * tasks : g->count;
}

/* Does the node take `tasks` tasks? Fills d but for per-job gres. */
static bool node_takes(const struct core *c, const struct partition *p,
                       const struct request *q, uint32_t i, const struct room *r,
                       uint32_t tasks, struct demand *d)
{
    const struct node *n = &c->node[i];
    uint32_t gpus = 0;
    memset(d, 0, sizeof *d);
    d->node = i;
    d->tasks = tasks;
    d->cores = cores_for(q, n, tasks);
    for (uint32_t k = 0; k < q->gres_count; k++) {
        const struct req_gres *g = &q->gres[k];
        uint32_t want = gres_count(g, tasks);
        if (g->per == SL__GRES_PER__GRES_PER_JOB)
            continue;
        if (strcmp(text_of(c, g->name), "gpu") == 0)
            gpus += want;
        for (uint32_t m = 0; m < n->pools_count && want; m++) {
            if (!pool_matches(&n->pool[m], g))
                continue;
            uint32_t room = r->gres[m] - d->gres[m];
            uint32_t take = room < want ? room : want;
            d->gres[m] += take;
            want -= take;
        }
        if (want)
            return false;
    }
    if (q->cpus_per_gpu && d->cores < div_up(q->cpus_per_gpu * gpus, core_cpus(q, n)))
        d->cores = div_up(q->cpus_per_gpu * gpus, core_cpus(q, n));
    d->mem = mem_for(c, p, q, n, d->cores, gpus);
    return d->cores <= r->cores && d->mem <= r->mem;
}

static uint32_t tasks_most(const struct core *c, const struct partition *p,
                           const struct request *q, uint32_t i, const struct room *r,
                           uint32_t want)
{
    const struct node *n = &c->node[i];
    struct demand d;
    uint32_t lo = 0, hi = want;
    uint32_t cpus = r->cores * core_cpus(q, n);
    if (!q->overcommit && hi > cpus / q->cpus_per_task)
        hi = cpus / q->cpus_per_task;
    if (q->tasks_per_node && hi > q->tasks_per_node)
        hi = q->tasks_per_node;
    if (q->tasks_per_core && hi > q->tasks_per_core * r->cores)
        hi = q->tasks_per_core * r->cores;
    if (hi && node_takes(c, p, q, i, r, hi, &d))
        return hi;
    while (lo + 1 < hi) {
        uint32_t mid = (lo + hi) / 2;
        if (node_takes(c, p, q, i, r, mid, &d))
            lo = mid;
        else
            hi = mid;
    }
    return lo;
}

static bool node_suits(const struct core *c, const struct job *j, const struct request *q,
                       uint32_t i, bool any_state)
{
    const struct node *n = &c->node[i];
    if (any_state ? n->shape == NONE : !nodes_usable(n))
        return false;
    if (q->has_names && q->excluded && bs_test(q->excluded, i))
        return false;
    if (q->has_names && q->required_count && q->required_count >= q->nodes_min &&
        q->nodes_max != NONE && q->required_count >= q->nodes_max &&
        !bs_test(q->required, i))
        return false;
    if (q->sockets_min > c->shape[n->shape].sockets)
        return false;
    if (q->tmp_mib && n->reg && q->tmp_mib > n->reg->tmp_disk_mib)
        return false;
    (void)j;
    return q->features_count == 0 || features_match(c, q, nodes_features(n));
}

static int by_preference(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if (x->weight != y->weight)
        return x->weight < y->weight ? -1 : 1;
    if (x->tasks != y->tasks)
        return x->tasks > y->tasks ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

/* Choice and ranks follow names: nodes that registered by themselves are numbered in the
 * order in which they happened to come up. */
static int by_name(const void *a, const void *b, void *core)
{
    const struct core *c = core;
    const struct demand *x = a, *y = b;
    return c->node[x->node].order < c->node[y->node].order ? -1 : 1;
}

/* Candidates with what each could take; *total tasks, *need: nodes that must be used. */
static uint32_t candidates(struct core *c, const struct job *j, uint32_t part,
                           const struct rooms *room, const uint64_t *closed,
                           struct candidate *out, uint64_t *total)
{
    struct request *q = &c->request[j->request];
    const struct partition *p = &c->part[part];
    uint32_t n = 0, want = q->ntasks ? q->ntasks : UINT16_MAX;
    bool whole = q->exclusive || p->conf.oversubscribe_exclusive;
    *total = 0;
    BS_EACH(i, p->nodes, c->words)
    {
        if ((closed && bs_test(closed, i)) || !node_suits(c, j, q, (uint32_t)i, room->any_state))
            continue;
        if (room->v[i].exclusive || (whole && room->v[i].jobs))
            continue;
        uint32_t t = tasks_most(c, p, q, (uint32_t)i, &room->v[i], q->ntasks ? want : 1);
        if (t == 0)
            continue;
        out[n].node = (uint32_t)i;
        out[n].tasks = t;
        out[n].weight = nodes_weight(&c->node[i]);
        out[n].order = c->node[i].order;
        uint32_t used = cores_for(q, &c->node[i], t);
        out[n].left = room->v[i].cores > used ? room->v[i].cores - used : 0;
        *total += t;
        n++;
    }
    return n;
}

/* Required nodes to the front; false when one of them is no candidate. */
static bool required_first(const struct request *q, struct candidate *v, uint32_t n)
{
    uint32_t at = 0;
    if (!q->has_names || q->required_count == 0)
        return true;
    for (uint32_t i = 0; i < n; i++) {
        if (!bs_test(q->required, v[i].node))
            continue;
        struct candidate t = v[at];
        v[at++] = v[i];
        v[i] = t;
    }
    return at == q->required_count;
}

/* The one node with least left over, moved to the front. */
static void best_fit_first(struct candidate *v, uint32_t n, uint32_t tasks)
{
    uint32_t best = NONE;
    for (uint32_t i = 0; i < n; i++) {
        if (v[i].tasks < tasks)
            continue;
        if (best == NONE || v[i].weight < v[best].weight ||
            (v[i].weight == v[best].weight && v[i].left < v[best].left))
            best = i;
    }
    if (best != NONE && best != 0) {
        struct candidate t = v[best];
        memmove(v + 1, v, best * sizeof *v);
        v[0] = t;
    }
}

/* How many of the candidates, in their order: 0 when it cannot be done. many: as many as
 * the request allows, else as few as it takes. */
static uint32_t nodes_wanted(const struct request *q, const struct candidate *v, uint32_t n,
                             uint32_t at_least, bool many)
{
    uint32_t most = q->nodes_max == NONE ? n : q->nodes_max, k = 0;
    uint64_t tasks = 0;
    if (most > n)
        most = n;
    if (most > q->ntasks && q->ntasks)
        most = q->ntasks > at_least ? q->ntasks : at_least;
    while (k < most && (many || k < at_least || tasks < q->ntasks))
        tasks += v[k++].tasks;
    return k >= at_least && k <= n && tasks >= q->ntasks ? k : 0;
}

/* Even shares, each bounded by what its node takes. */
static void share_tasks(struct candidate *v, uint32_t k, uint32_t ntasks, uint32_t *share)
{
    uint32_t left = ntasks;
    for (uint32_t i = 0; i < k; i++) {
        share[i] = 1;
        left -= left ? 1 : 0;
    }
    while (left) {
        uint32_t before = left;
        for (uint32_t i = 0; i < k && left; i++) {
            if (share[i] < v[i].tasks) {
                share[i]++;
                left--;
            }
        }
        if (left == before)
            break;
    }
}

/* Gres per job: taken from the chosen nodes in order. */
static bool job_gres(const struct core *c, const struct request *q, const struct rooms *room,
                     struct placement *out)
{
    for (uint32_t k = 0; k < q->gres_count; k++) {
        const struct req_gres *g = &q->gres[k];
        uint32_t want = g->per == SL__GRES_PER__GRES_PER_JOB ? g->count : 0;
        for (uint32_t i = 0; i < out->count && want; i++) {
            struct demand *d = &out->node[i];
            const struct node *n = &c->node[d->node];
            for (uint32_t m = 0; m < n->pools_count && want; m++) {
                if (!pool_matches(&n->pool[m], g))
                    continue;
                uint32_t free_here = room->v[d->node].gres[m] - d->gres[m];
                uint32_t take = free_here < want ? free_here : want;
                d->gres[m] += take;
                want -= take;
            }
        }
        if (want)
            return false;
    }
    return true;
}

static int place_on(struct core *c, const struct job *j, uint32_t part,
                    const struct rooms *room, struct candidate *v, uint32_t k,
                    struct placement *out)
{
    const struct request *q = &c->request[j->request];
    uint32_t *share = xcalloc(k, sizeof *share);
    bool good = true;
    share_tasks(v, k, q->ntasks ? q->ntasks : k, share);
    out->count = 0;
    GROW(out->node, out->cap, k);
    for (uint32_t i = 0; good && i < k; i++)
        good = node_takes(c, &c->part[part], q, v[i].node, &room->v[v[i].node], share[i],
                          &out->node[out->count++]);
    free(share);
    if (!good)
        return 0;
    qsort_r(out->node, out->count, sizeof *out->node, by_name, c);
    return job_gres(c, q, room, out) ? 1 : 0;
}

/* A run of neighbours (--contiguous): by name. */
static uint32_t contiguous(struct candidate *v, uint32_t n, uint32_t k)
{
    for (uint32_t i = 0; i + k <= n; i++) {
        if (v[i + k - 1].order - v[i].order == k - 1)
            return i;
    }
    return NONE;
}

static int by_order(const void *a, const void *b)
{
    uint32_t x = ((const struct candidate *)a)->order;
    uint32_t y = ((const struct candidate *)b)->order;
    return x < y ? -1 : x > y;
}

static bool gres_in_all(const struct request *q)
{
    for (uint32_t k = 0; k < q->gres_count; k++)
        if (q->gres[k].per == SL__GRES_PER__GRES_PER_JOB)
            return true;
    return false;
}

/* Nodes that have some of what the job wants in all come first, in their order. */
static void gres_first(const struct core *c, const struct request *q, const struct rooms *room,
                       struct candidate *v, uint32_t n)
{
    uint32_t at = 0;
    for (uint32_t i = 0; i < n && gres_in_all(q); i++) {
        const struct node *node = &c->node[v[i].node];
        bool has = false;
        for (uint32_t k = 0; k < q->gres_count; k++)
            for (uint32_t m = 0; m < node->pools_count; m++)
                has = has || (q->gres[k].per == SL__GRES_PER__GRES_PER_JOB &&
                              pool_matches(&node->pool[m], &q->gres[k]) &&
                              room->v[v[i].node].gres[m]);
        if (!has)
            continue;
        struct candidate t = v[i];
        memmove(v + at + 1, v + at, (i - at) * sizeof *v);
        v[at++] = t;
    }
}

/* On the first k of the n candidates; 0 of them: not now. */
static int place_count(struct core *c, const struct job *j, uint32_t part,
                       const struct rooms *room, struct candidate *v, uint32_t n, uint32_t k,
                       struct placement *out)
{
    uint32_t most = c->part[part].conf.nodes_max, first = 0;
    if (k == 0 || (most && k > most))
        return 0;
    if (c->request[j->request].contiguous) {
        qsort(v, n, sizeof *v, by_order);
        first = contiguous(v, n, k);
    }
    return first != NONE ? place_on(c, j, part, room, v + first, k, out) : 0;
}

int place(struct core *c, const struct job *j, uint32_t part, struct rooms *room,
          const uint64_t *closed, struct placement *out)
{
    struct request *q = &c->request[j->request];
    const struct partition *p = &c->part[part];
    uint64_t total;
    int rc = 0;
    request_names(c, q);
    if (q->names_missing)
        return 0;
    struct candidate *v = xmalloc((p->nodes_count + 1) * sizeof *v);
    uint32_t n = candidates(c, j, part, room, closed, v, &total);
    uint32_t at_least = q->nodes_min ? q->nodes_min : 1;
    if (q->required_count > at_least && q->has_names)
        at_least = q->required_count;
    if (p->conf.nodes_min > at_least)
        at_least = p->conf.nodes_min;
    if (n >= at_least) {
        qsort(v, n, sizeof *v, by_preference);
        if (at_least <= 1 && q->required_count == 0)
            best_fit_first(v, n, q->ntasks ? q->ntasks : 1);
        gres_first(c, q, room, v, n);
        bool possible = required_first(q, v, n);
        if (possible && q->nodes_many)
            rc = place_count(c, j, part, room, v, n, nodes_wanted(q, v, n, at_least, true), out);
        uint32_t few = possible ? nodes_wanted(q, v, n, at_least, false) : 0;
        if (few && rc == 0)
            rc = place_count(c, j, part, room, v, n, few, out);
        /* what the job wants in all may be spread over more nodes than its tasks need */
        uint32_t most = q->nodes_max < n ? q->nodes_max : n;
        for (uint32_t k = few + 1; few && rc == 0 && gres_in_all(q) && k <= most; k++)
            rc = place_count(c, j, part, room, v, n, k, out);
    }
    free(v);
    return rc;
}
