/* SPDX-License-Identifier: Apache-2.0
 *
 * What leafs could give at most, from their summaries; and their nodes one by one.
 */
#include "sched/constraint.h"
#include "sched/place.h"

#include "base/buf.h"
#include "sched/request.h"

#include <string.h>

void least_find(const struct attempt *a, uint32_t tasks, struct least *l)
{
    const struct request *q = a->q;
    uint32_t threads = a->c->threads_most ? a->c->threads_most : 1, gpus = 0;
    if (q->threads && q->threads < threads)
        threads = q->threads;
    uint64_t cpus = q->overcommit ? 1 : (uint64_t)tasks * q->cpus_per_task;
    memset(l, 0, sizeof *l);
    if (cpus < q->mincpus)
        cpus = q->mincpus;
    for (uint32_t k = 0; k < q->gres_count; k++) {
        const struct req_gres *g = &q->gres[k];
        if (g->per == SL__GRES_PER__GRES_PER_JOB)
            continue;
        l->gres[k] = (uint64_t)g->count *
                     (g->per == SL__GRES_PER__GRES_PER_TASK && !g->share ? tasks : 1);
        if (g->name == a->c->gpu_name)
            gpus += (uint32_t)l->gres[k];
    }
    if ((uint64_t)q->cpus_per_gpu * gpus > cpus)
        cpus = (uint64_t)q->cpus_per_gpu * gpus;
    uint64_t cores = (cpus + threads - 1) / threads;
    l->cores = cores < 1 ? 1 : cores > CPUS_PER_NODE_MAX ? CPUS_PER_NODE_MAX + 1 : (uint32_t)cores;
    l->step = 31 - (uint32_t)__builtin_clz(l->cores);
    l->mem = q->mem_kind == MEM_BY_NODE  ? q->mem_mib
             : q->mem_kind == MEM_BY_CPU ? q->mem_mib * l->cores
             : q->mem_kind == MEM_BY_GPU ? q->mem_mib * gpus
                                         : 0;
}

/* Summed over the kinds that the item counts; kinds that share the last place count as
 * every name. */
static uint64_t leaf_gres(const struct core *c, const uint32_t *gres, const struct req_gres *g)
{
    uint64_t n = 0;
    for (uint32_t k = 0; k < c->kinds; k++)
        if ((c->kind[k].name == g->name && (g->type == 0 || c->kind[k].type == g->type)) ||
            k == KINDS_MAX - 1)
            n += gres[k];
    return n;
}

bool leaf_holds(const struct attempt *a, const struct leaf_room *r, const struct least *l)
{
    if (r->cores_max < l->cores || r->mem_max < l->mem || (a->whole && r->idle == 0))
        return false;
    for (uint32_t k = 0; k < a->q->gres_count; k++)
        if (l->gres[k] && leaf_gres(a->c, r->gres_max, &a->q->gres[k]) < l->gres[k])
            return false;
    return true;
}

bool bounds_pass(struct attempt *a)
{
    const struct request *q = a->q;
    struct least one, all;
    uint64_t nodes = 0, cores = 0, gres[GRES_ITEMS_MAX] = {0};
    uint32_t share = q->ntasks && a->most < q->ntasks ? (q->ntasks - 1) / a->most + 1 : 1;
    bool some = false; /* a node with an even share of the tasks */
    least_find(a, 1, &one);
    least_find(a, share, &all);
    for (uint32_t l = 0; l < a->rooms->leafs; l++) {
        const struct leaf_room *r = rooms_leaf(a->rooms, a->c, l);
        struct leaf_try *t = &a->leaf[l];
        if (!leaf_holds(a, r, &one))
            continue;
        t->nodes = a->whole ? r->idle : one.step < LEAF_STEPS ? r->roomy[one.step] : 0;
        t->cores = r->cores;
        nodes += t->nodes;
        cores += t->cores;
        some = some || share == 1 || leaf_holds(a, r, &all);
        for (uint32_t k = 0; k < q->gres_count; k++)
            gres[k] += leaf_gres(a->c, r->gres, &q->gres[k]);
    }
    if (!some || nodes < a->at_least)
        return false;
    struct least total;
    least_find(a, q->ntasks, &total);
    if (!q->overcommit && total.cores <= CPUS_PER_NODE_MAX && cores < total.cores)
        return false;
    for (uint32_t k = 0; k < q->gres_count; k++)
        if (q->gres[k].per != SL__GRES_PER__GRES_PER_NODE && !q->gres[k].share &&
            gres[k] < (uint64_t)q->gres[k].count *
                          (q->gres[k].per == SL__GRES_PER__GRES_PER_TASK ? q->ntasks : 1))
            return false;
    return true;
}

uint32_t leaf_nodes(const struct attempt *a, uint32_t leaf, uint32_t tasks)
{
    const struct leaf_try *t = &a->leaf[leaf];
    uint32_t n = 0;
    if (t->seen) {
        for (uint32_t i = t->first; i < t->first + t->count; i++)
            n += a->v[i].tasks >= tasks;
        return n;
    }
    struct least l;
    const struct leaf_room *r = rooms_leaf(a->rooms, a->c, leaf);
    least_find(a, tasks, &l);
    if (t->nodes == 0 || !leaf_holds(a, r, &l))
        return 0;
    n = a->whole ? r->idle : l.step < LEAF_STEPS ? r->roomy[l.step] : 0;
    return n < t->nodes ? n : t->nodes;
}

/* ---- nodes of a leaf ----------------------------------------------------------------------- */

bool node_suits(const struct attempt *a, uint32_t i)
{
    const struct core *c = a->c;
    const struct request *q = a->q;
    const struct node *n = &c->node[i];
    const struct room *r = &a->rooms->v[i];
    if (!bs_test(a->p->nodes, i) || (a->closed && bs_test(a->closed, i)))
        return false;
    if (a->rooms->any_state ? n->shape == NONE : !nodes_usable(n))
        return false;
    if (r->exclusive || (a->whole && r->jobs) || nodes_weight(n) > a->weight_most)
        return false;
    if (q->has_names && q->excluded && bs_test(q->excluded, i))
        return false;
    if (q->has_names && q->required_count && q->required_count >= q->nodes_min &&
        q->nodes_max != NONE && q->required_count >= q->nodes_max && !bs_test(q->required, i))
        return false;
    if (q->sockets_min > c->shape[n->shape].sockets)
        return false;
    if (q->tmp_mib && n->reg && q->tmp_mib > n->reg->tmp_disk_mib)
        return false;
    return constraint_allows(c, q, i);
}

void leaf_look(struct attempt *a, uint32_t leaf)
{
    const struct core *c = a->c;
    struct leaf_try *t = &a->leaf[leaf];
    if (t->seen)
        return;
    t->seen = true;
    t->first = a->n;
    for (uint32_t k = c->leaf_first[leaf]; t->nodes && k < c->leaf_first[leaf + 1]; k++) {
        uint32_t i = c->leaf_node[k];
        uint32_t tasks = node_suits(a, i) ? tasks_most(a, i, a->q->ntasks ? a->q->ntasks : 1) : 0;
        if (tasks == 0)
            continue;
        uint32_t used = cores_for(a, &c->node[i], tasks), cores = a->rooms->v[i].cores;
        a->v[a->n++] = (struct candidate){
            .node = i, .tasks = tasks, .weight = nodes_weight(&c->node[i]),
            .line = c->node[i].line, .gpu = NONE, .cores = cores,
            .left = cores > used ? cores - used : 0};
    }
    t->count = a->n - t->first;
    t->nodes = t->count;
}
