/* SPDX-License-Identifier: Apache-2.0
 *
 * Exact cores and gres indices on each node of a placement. Cores are taken from as few
 * NUMA nodes as possible: the fullest one that still holds the rest first, which keeps
 * large free pieces whole; gres indices come from those NUMA nodes when they can.
 */
#include "sched/license.h"
#include "sched/timeline.h"

#include "base/buf.h"

#include <stdlib.h>
#include <string.h>

static void numa_free(const struct core *c, const struct node *n, const uint64_t *mine,
                      uint32_t *count)
{
    const struct shape *s = &c->shape[n->shape];
    memset(count, 0, s->numas * sizeof *count);
    for (uint32_t i = 0; i < s->cores; i++)
        count[s->core_numa[i]] += !bs_test(n->core_used, i) && !bs_test(mine, i);
}

static uint32_t numa_choose(const uint32_t *count, uint32_t numas, uint32_t need)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < numas; i++) {
        bool fits = count[i] >= need, best_fits = count[best] >= need;
        if (fits != best_fits ? fits
            : fits            ? count[i] < count[best]
                              : count[i] > count[best])
            best = i;
    }
    return best;
}

static void cores_choose(struct core *c, const struct node *n, struct alloc_node *k,
                         uint64_t *numas)
{
    const struct shape *s = &c->shape[n->shape];
    uint32_t *count = xcalloc(s->numas, sizeof *count);
    uint32_t need = k->cores;
    while (need) {
        numa_free(c, n, k->core, count);
        uint32_t at = numa_choose(count, s->numas, need);
        ASSERT(count[at] > 0); /* the placement was checked against cores_free */
        bs_set(numas, at);
        for (uint32_t i = 0; i < s->cores && need; i++) {
            if (s->core_numa[i] != at || bs_test(n->core_used, i) || bs_test(k->core, i))
                continue;
            bs_set(k->core, i);
            need--;
        }
    }
    free(count);
}

static void gres_choose(const struct node *n, uint32_t p, uint32_t need,
                        const uint64_t *numas, struct alloc_node *k)
{
    const struct pool *pool = &n->pool[p];
    if (need == 0 || pool->share)
        return;
    k->gres[p] = xcalloc(BS_WORDS(pool->count), sizeof *k->gres[p]);
    for (int near = 1; near >= 0 && need; near--) {
        for (uint32_t i = 0; i < pool->count && need; i++) {
            bool close = pool->numa[i] >= 0 && bs_test(numas, (size_t)pool->numa[i]);
            bool shared = pool->first != NONE && n->gpu_shared[pool->first + i];
            if (shared || (k->gpu && pool->first != NONE && k->gpu[pool->first + i]) ||
                bs_test(pool->used, i) || bs_test(k->gres[p], i) || (near && !close))
                continue;
            bs_set(k->gres[p], i);
            need--;
        }
    }
    ASSERT(need == 0);
}

/* Parts of a GPU are taken (negative: given back): counts of the node follow. */
static void gpu_share(struct node *n, uint32_t g, int parts)
{
    bool was = n->gpu_shared[g] != 0;
    n->gpu_shared[g] = (uint16_t)(n->gpu_shared[g] + parts);
    ASSERT(n->gpu_shared[g] <= n->gpu_whole);
    for (uint32_t p = 0; p < n->pools_count; p++) {
        struct pool *pool = &n->pool[p];
        if (pool->first == NONE || g < pool->first || g >= pool->first + pool->count)
            continue;
        pool->free = pool->free + was - (n->gpu_shared[g] != 0);
        for (uint32_t s = 0; s < n->pools_count; s++)
            if (n->pool[s].share && (!n->pool[s].type || n->pool[s].type == pool->type))
                n->pool[s].free = (uint32_t)((int)n->pool[s].free -
                                             parts * (int)n->pool[s].share / (int)n->gpu_whole);
    }
}

static void node_take(struct core *c, struct job *j, struct alloc_node *k)
{
    struct node *n = &c->node[k->node];
    size_t words = core_words(n);
    ASSERT(!bs_meets(n->core_used, k->core, words));
    bs_or(n->core_used, k->core, words);
    n->cores_free -= k->cores;
    n->mem_used += k->mem;
    for (uint32_t p = 0; p < n->pools_count; p++) {
        if (!k->gres[p])
            continue;
        size_t w = BS_WORDS(n->pool[p].count);
        ASSERT(!bs_meets(n->pool[p].used, k->gres[p], w));
        bs_or(n->pool[p].used, k->gres[p], w);
        n->pool[p].free -= (uint32_t)bs_count(k->gres[p], w);
    }
    for (uint32_t g = 0; k->gpu && g < n->gpus; g++)
        gpu_share(n, g, k->gpu[g]);
    n->jobs_count++;
    n->exclusive += job_exclusive(c, j);
    free(n->gres_used_text);
    n->gres_used_text = NULL;
    rooms_node(c, k->node);
    timeline_hold(c, j, k);
}

bool part_whole(const struct core *c, const struct job *j, uint32_t part)
{
    return c->request[j->request].exclusive || c->part[part].conf.oversubscribe_exclusive;
}

bool job_exclusive(const struct core *c, const struct job *j)
{
    return c->request[j->request].exclusive || j->alone;
}

void alloc_make(struct core *c, struct job *j, const struct placement *p)
{
    struct alloc *a = xcalloc(1, sizeof *a);
    j->free_at = plan_end(j);
    a->count = a->unclean = a->unlaunched = p->count;
    a->node = xcalloc(p->count, sizeof *a->node);
    for (uint32_t i = 0; i < p->count; i++) {
        const struct demand *d = &p->node[i];
        struct alloc_node *k = &a->node[i];
        struct node *n = &c->node[d->node];
        uint64_t numas[BS_WORDS(CPUS_PER_NODE_MAX)] = {0};
        k->node = d->node;
        k->tasks = d->tasks;
        k->cores = d->cores;
        k->mem = d->mem;
        if (core_words(n)) {
            k->core = xcalloc(core_words(n), sizeof *k->core);
            cores_choose(c, n, k, numas);
        }
        for (uint32_t g = 0; g < n->gpus; g++) {
            if (d->gpu[g] && !k->gpu)
                k->gpu = xcalloc(n->gpus, sizeof *k->gpu);
            if (d->gpu[g])
                k->gpu[g] = d->gpu[g];
        }
        for (uint32_t g = 0; g < n->pools_count; g++)
            gres_choose(n, g, d->gres[g], numas, k);
        a->cpus += k->cores * n->threads;
        a->mem += k->mem;
        node_take(c, j, k);
    }
    alloc_set(c, j, a);
}

void alloc_take(struct core *c, struct job *j)
{
    j->free_at = plan_end(j);
    for (uint32_t i = 0; i < j->alloc->count; i++)
        if (!j->alloc->node[i].clean)
            node_take(c, j, &j->alloc->node[i]);
}

void alloc_give_node(struct core *c, struct job *j, struct alloc_node *k)
{
    struct node *n = &c->node[k->node];
    size_t words = core_words(n);
    bs_andnot(n->core_used, k->core, words);
    n->cores_free += k->cores;
    n->mem_used -= k->mem;
    for (uint32_t p = 0; p < n->pools_count; p++) {
        if (!k->gres[p])
            continue;
        size_t w = BS_WORDS(n->pool[p].count);
        bs_andnot(n->pool[p].used, k->gres[p], w);
        n->pool[p].free += (uint32_t)bs_count(k->gres[p], w);
    }
    for (uint32_t g = 0; k->gpu && g < n->gpus; g++)
        gpu_share(n, g, -(int)k->gpu[g]);
    n->jobs_count--;
    n->exclusive -= job_exclusive(c, j);
    if (j->flags & JOBF_COMPLETING)
        n->completing--;
    n->last_busy = c->now;
    free(n->gres_used_text);
    n->gres_used_text = NULL;
    rooms_node(c, k->node);
    timeline_release(c, j, k);
}

void alloc_set(struct core *c, struct job *j, struct alloc *a)
{
    ASSERT(!j->alloc);
    j->alloc = a;
    jobset_put(&c->running, SET_RUNNING, j, true);
    license_count(c, j, 1);
}

void alloc_free(struct core *c, struct job *j)
{
    struct alloc *a = j->alloc;
    if (!a)
        return;
    jobset_put(&c->running, SET_RUNNING, j, false);
    license_count(c, j, -1);
    c->plan_wanted = c->counts_freed = true;
    for (uint32_t i = 0; i < a->count; i++) {
        free(a->node[i].core);
        free(a->node[i].gpu);
        for (uint32_t p = 0; p < GRES_POOLS_MAX; p++)
            free(a->node[i].gres[p]);
    }
    free(a->node);
    free(a->nodelist);
    free(a);
    j->alloc = NULL;
}
