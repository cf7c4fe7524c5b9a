/* SPDX-License-Identifier: Apache-2.0
 *
 * place: which nodes, and how much of each. Here: what a node takes, and the shares of
 * chosen nodes; place_fabric.c chooses.
 *
 * One node that holds everything is preferred; else the fewest nodes. The work is then
 * spread evenly over the chosen nodes, as far as each can take it.
 */
#include "sched/place.h"

#include "base/buf.h"
#include "sched/plan.h"
#include "sched/request.h"

#include <stdlib.h>
#include <string.h>

static uint32_t div_up(uint32_t a, uint32_t b)
{
    return b ? (a + b - 1) / b : 0;
}

/* Does the pool count for a gres item? */
bool pool_matches(const struct pool *p, const struct req_gres *g)
{
    return p->name == g->name && (g->type == 0 || p->type == g->type);
}

/* CPUs of one core that tasks may use. */
static uint32_t core_cpus(const struct request *q, const struct node *n)
{
    return q->threads && q->threads < n->threads ? q->threads : n->threads;
}

uint32_t cores_for(const struct attempt *a, const struct node *n, uint32_t tasks)
{
    const struct request *q = a->q;
    uint32_t cpus = q->overcommit ? 1 : tasks * q->cpus_per_task;
    if (cpus < q->mincpus)
        cpus = q->mincpus;
    if (a->whole)
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

/* sbatch(1) --exclusive: all CPUs and gres of its nodes, but only the memory asked for. Of
 * what is parts of something else, as shards of GPUs, nothing. */
static void take_all_gres(const struct node *n, const struct room *r, struct demand *d)
{
    bool parts = false;
    for (uint32_t g = 0; g < n->gpus; g++)
        parts = parts || d->gpu[g];
    for (uint32_t m = 0; m < n->pools_count; m++)
        if (!n->pool[m].share && !(parts && n->pool[m].first != NONE))
            d->gres[m] = r->gres[m];
}

/* Does the node take `tasks` tasks? Fills d but for per-job gres. */
bool node_takes(const struct attempt *a, uint32_t i, uint32_t tasks, struct demand *d)
{
    const struct request *q = a->q;
    const struct node *n = &a->c->node[i];
    const struct room *r = &a->rooms->v[i];
    uint32_t gpus = 0;
    memset(d, 0, sizeof *d);
    d->node = i;
    d->tasks = tasks;
    d->cores = cores_for(a, n, tasks);
    for (uint32_t k = 0; k < q->gres_count; k++) {
        const struct req_gres *g = &q->gres[k];
        uint32_t want = gres_count(g, tasks);
        if (g->per == SL__GRES_PER__GRES_PER_JOB)
            continue;
        if (g->name == a->c->gpu_name)
            gpus += want;
        for (uint32_t m = 0; m < n->pools_count && want; m++) {
            if (!pool_matches(&n->pool[m], g))
                continue;
            if (g->share) {
                if (gpu_share(a, i, m, g, tasks, d))
                    want = 0;
                continue;
            }
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
    d->mem = mem_for(a->c, a->p, q, n, d->cores, gpus);
    if (a->whole)
        take_all_gres(n, r, d);
    return d->cores <= r->cores && d->mem <= r->mem;
}

uint32_t tasks_most(const struct attempt *a, uint32_t i, uint32_t want)
{
    const struct request *q = a->q;
    const struct node *n = &a->c->node[i];
    const struct room *r = &a->rooms->v[i];
    struct demand d;
    uint32_t lo = 0, hi = want;
    uint32_t cpus = r->cores * core_cpus(q, n);
    if (!q->overcommit && hi > cpus / q->cpus_per_task)
        hi = cpus / q->cpus_per_task;
    if (q->tasks_per_node && hi > q->tasks_per_node)
        hi = q->tasks_per_node;
    if (q->tasks_per_core && hi > q->tasks_per_core * r->cores)
        hi = q->tasks_per_core * r->cores;
    if (hi && node_takes(a, i, hi, &d))
        return hi;
    while (lo + 1 < hi) {
        uint32_t mid = (lo + hi) / 2;
        if (node_takes(a, i, mid, &d))
            lo = mid;
        else
            hi = mid;
    }
    return lo;
}

/* Choice and ranks follow the fabric; where there is none, names. */
static int by_line(const void *x, const void *y, void *core)
{
    const struct core *c = core;
    uint32_t a = c->node[((const struct demand *)x)->node].line;
    uint32_t b = c->node[((const struct demand *)y)->node].line;
    return a < b ? -1 : a > b;
}

static int by_preference(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if (x->weight != y->weight)
        return x->weight < y->weight ? -1 : 1;
    if (x->tasks != y->tasks)
        return x->tasks > y->tasks ? -1 : 1;
    return x->line < y->line ? -1 : 1;
}

/* Mostly they are: leafs are looked at along the fabric. */
static void sort_by_preference(struct candidate *v, uint32_t n)
{
    for (uint32_t i = 1; i < n; i++) {
        if (by_preference(&v[i - 1], &v[i]) > 0) {
            qsort(v, n, sizeof *v, by_preference);
            return;
        }
    }
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

uint32_t nodes_wanted(const struct attempt *a, const struct candidate *v, uint32_t n, bool many)
{
    uint32_t most = a->most < n ? a->most : n, at_least = a->at_least, k = 0;
    uint32_t ntasks = a->q->ntasks;
    uint64_t tasks = 0;
    if (most > ntasks && ntasks)
        most = ntasks > at_least ? ntasks : at_least;
    while (k < most && (many || k < at_least || tasks < ntasks))
        tasks += v[k++].tasks;
    return k >= at_least && k <= n && tasks >= ntasks ? k : 0;
}

/* Even shares, each bounded by what its node takes: task by task around the nodes, as many
 * rounds at once as no node is full after. */
static void share_tasks(const struct candidate *v, uint32_t k, uint32_t ntasks, uint32_t *share)
{
    uint32_t left = ntasks;
    for (uint32_t i = 0; i < k; i++) {
        share[i] = 1;
        left -= left ? 1 : 0;
    }
    while (left) {
        uint32_t open = 0, least = left;
        for (uint32_t i = 0; i < k; i++) {
            uint32_t room = share[i] < v[i].tasks ? v[i].tasks - share[i] : 0;
            open += room > 0;
            least = room && room < least ? room : least;
        }
        if (open == 0)
            return;
        uint32_t rounds = left / open < least ? left / open : least;
        rounds = rounds ? rounds : 1;
        for (uint32_t i = 0; i < k && left; i++) {
            uint32_t n = share[i] >= v[i].tasks ? 0 : rounds < left ? rounds : left;
            share[i] += n;
            left -= n;
        }
    }
}

/* Gres per job: taken from the chosen nodes in order. */
static bool job_gres(const struct attempt *a, struct placement *out)
{
    const struct request *q = a->q;
    for (uint32_t k = 0; k < q->gres_count; k++) {
        const struct req_gres *g = &q->gres[k];
        uint32_t want = g->per == SL__GRES_PER__GRES_PER_JOB ? g->count : 0;
        for (uint32_t i = 0; i < out->count && want; i++) {
            struct demand *d = &out->node[i];
            const struct node *n = &a->c->node[d->node];
            for (uint32_t m = 0; m < n->pools_count && want; m++) {
                if (!pool_matches(&n->pool[m], g))
                    continue;
                uint32_t free_here = a->rooms->v[d->node].gres[m] - d->gres[m];
                uint32_t take = free_here < want ? free_here : want;
                if (a->whole && d->gres[m]) /* it has all of them already */
                    take = d->gres[m] < want ? d->gres[m] : want;
                else
                    d->gres[m] += take;
                want -= take;
            }
        }
        if (want)
            return false;
    }
    return true;
}

bool place_on(struct attempt *a, const struct candidate *v, uint32_t k, struct placement *out)
{
    uint32_t *share = xcalloc(k, sizeof *share);
    bool good = true;
    share_tasks(v, k, a->q->ntasks ? a->q->ntasks : k, share);
    out->count = 0;
    GROW(out->node, out->cap, k);
    for (uint32_t i = 0; good && i < k; i++)
        good = node_takes(a, v[i].node, share[i], &out->node[out->count++]);
    free(share);
    if (!good)
        return false;
    qsort_r(out->node, out->count, sizeof *out->node, by_line, a->c);
    return !a->in_all || job_gres(a, out);
}

static bool is_required(const struct request *q, uint32_t node)
{
    return q->has_names && q->required_count && bs_test(q->required, node);
}

/* A run of k neighbours (--contiguous), which stand by name, that takes all tasks and has
 * all nodes that are required. */
static uint32_t contiguous(const struct attempt *a, const struct candidate *v, uint32_t n,
                           uint32_t k)
{
    const struct node *node = a->c->node;
    uint32_t required = 0, want = a->q->has_names ? a->q->required_count : 0;
    uint64_t tasks = 0;
    for (uint32_t i = 0; i < n; i++) {
        tasks += v[i].tasks;
        required += is_required(a->q, v[i].node);
        if (i >= k) {
            tasks -= v[i - k].tasks;
            required -= is_required(a->q, v[i - k].node);
        }
        if (i + 1 >= k && tasks >= a->q->ntasks && required == want &&
            node[v[i].node].order - node[v[i + 1 - k].node].order == k - 1)
            return i + 1 - k;
    }
    return NONE;
}

static int by_name(const void *a, const void *b, void *core)
{
    const struct core *c = core;
    uint32_t x = c->node[((const struct candidate *)a)->node].order;
    uint32_t y = c->node[((const struct candidate *)b)->node].order;
    return x < y ? -1 : x > y;
}

/* Nodes that have some of what the job wants in all come first, in their order. */
static void gres_first(const struct attempt *a, struct candidate *v, uint32_t n)
{
    uint32_t at = 0;
    for (uint32_t i = 0; i < n && a->in_all; i++) {
        const struct node *node = &a->c->node[v[i].node];
        bool has = false;
        for (uint32_t k = 0; k < a->q->gres_count; k++)
            for (uint32_t m = 0; m < node->pools_count; m++)
                has = has || (a->q->gres[k].per == SL__GRES_PER__GRES_PER_JOB &&
                              pool_matches(&node->pool[m], &a->q->gres[k]) &&
                              a->rooms->v[v[i].node].gres[m]);
        if (!has)
            continue;
        struct candidate t = v[i];
        memmove(v + at + 1, v + at, (i - at) * sizeof *v);
        v[at++] = t;
    }
}

/* On the first k of the n candidates; 0 of them: not now. */
static bool place_count(struct attempt *a, struct candidate *v, uint32_t n, uint32_t k,
                        struct placement *out)
{
    uint32_t first = 0;
    if (k == 0)
        return false;
    if (a->q->contiguous) {
        qsort_r(v, n, sizeof *v, by_name, a->c);
        first = contiguous(a, v, n, k);
    }
    return first != NONE && place_on(a, v + first, k, out);
}

bool place_some(struct attempt *a, struct candidate *v, uint32_t n, bool many,
                struct placement *out)
{
    if (n < a->at_least)
        return false;
    sort_by_preference(v, n);
    gres_first(a, v, n);
    if (!required_first(a->q, v, n))
        return false;
    uint32_t k = nodes_wanted(a, v, n, many);
    if (place_count(a, v, n, k, out))
        return true;
    uint32_t fewer = k; /* as many neighbours as there are */
    while (many && a->q->contiguous && fewer > a->at_least)
        if (place_count(a, v, n, --fewer, out))
            return true;
    /* what the job wants in all may be spread over more nodes than its tasks need, and
     * neighbours may take fewer tasks than the best nodes */
    uint32_t most = a->most < n ? a->most : n;
    bool more = !many && (a->in_all || a->q->contiguous);
    for (k++; k > 1 && more && k <= most; k++)
        if (place_count(a, v, n, k, out))
            return true;
    return false;
}

/* ---- an attempt ---------------------------------------------------------------------- */

/* False: the request and the partition leave no number of nodes. */
static bool attempt_init(struct attempt *a, struct core *c, const struct job *j, uint32_t part,
                         struct rooms *rooms, const uint64_t *closed)
{
    struct request *q = &c->request[j->request];
    const struct partition *p = &c->part[part];
    *a = (struct attempt){.c = c, .q = q, .p = p, .rooms = rooms, .closed = closed,
                          .weight_most = NONE, .most = q->nodes_max, .gpu = NONE, .job = j->id};
    a->span = plan_span(j, parts_limit(p, j->limit_given ? j->limit : 0));
    request_names(c, q);
    a->whole = q->exclusive || p->conf.oversubscribe_exclusive;
    for (uint32_t k = 0; k < q->gres_count; k++)
        a->in_all = a->in_all || q->gres[k].per == SL__GRES_PER__GRES_PER_JOB;
    a->at_least = q->nodes_min ? q->nodes_min : 1;
    if (q->has_names && q->required_count > a->at_least)
        a->at_least = q->required_count;
    if (p->conf.nodes_min > a->at_least)
        a->at_least = p->conf.nodes_min;
    if (a->most < a->at_least) /* the partition, or a list of nodes, wants more */
        a->most = a->at_least;
    if (p->conf.nodes_max && p->conf.nodes_max < a->most)
        a->most = p->conf.nodes_max;
    return !q->names_missing && a->at_least <= a->most && a->at_least <= p->nodes_count;
}

static bool attempt_run(struct attempt *a, struct placement *out)
{
    const struct request *q = a->q;
    bool required = q->has_names && q->required_count;
    if (!bounds_pass(a))
        return false;
    if (q->spread)
        return place_whole(a, true, out);
    if (q->nodes_many && place_whole(a, true, out))
        return true;
    if (a->at_least == 1 && !required && place_one(a, out))
        return true;
    if (a->most == 1 && !required)
        return false;
    return place_pieces(a, out) || place_whole(a, false, out);
}

void place_nodes(struct core *c, const struct job *j, uint32_t part, struct rooms *rooms,
                 const uint64_t *closed, uint64_t *set)
{
    struct attempt a;
    if (!attempt_init(&a, c, j, part, rooms, closed))
        return;
    BS_EACH(i, a.p->nodes, c->words)
    if (node_suits(&a, (uint32_t)i) && tasks_most(&a, (uint32_t)i, 1) > 0)
        bs_set(set, i);
}

int place_open(struct core *c, const struct job *j, uint32_t part, struct rooms *rooms,
               const uint64_t *closed, struct placement *out)
{
    struct attempt a;
    if (!attempt_init(&a, c, j, part, rooms, closed))
        return 0;
    GROW(c->leaf_try, c->leaf_tries_cap, rooms->leafs + 1);
    GROW(c->candidate, c->candidates_cap, 2 * (a.p->nodes_count + 1)); /* and a copy */
    a.leaf = c->leaf_try;
    a.v = c->candidate;
    memset(a.leaf, 0, rooms->leafs * sizeof *a.leaf);
    bool good = attempt_run(&a, out);
    /* light nodes first: the fewest of the lightest weights that will do */
    for (uint32_t w = 0; good && w + 1 < c->weights_count; w++) {
        struct placement light = {0};
        memset(a.leaf, 0, rooms->leafs * sizeof *a.leaf);
        a.n = 0;
        a.weight_most = c->weights[w];
        free(a.spare);
        a.spare = NULL;
        bool will_do = attempt_run(&a, &light);
        if (will_do) {
            free(out->node);
            *out = light;
            break;
        }
        free(light.node);
    }
    if (good)
        placement_measure(c, a.q, out);
    free(a.spare);
    return good;
}

bool piece_find(struct core *c, const struct job *j, uint32_t part, uint32_t node,
                struct demand *d)
{
    struct attempt a;
    struct placement all = {.node = d, .count = 1, .cap = 1};
    if (!attempt_init(&a, c, j, part, rooms_of(c, ROOMS_UP), NULL) || !node_suits(&a, node))
        return false;
    uint32_t most = a.most < a.p->nodes_count ? a.most : a.p->nodes_count;
    uint32_t tasks = a.q->ntasks / most;
    return node_takes(&a, node, tasks ? tasks : 1, d) &&
           (most > 1 || !a.in_all || job_gres(&a, &all));
}
