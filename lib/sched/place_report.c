/* SPDX-License-Identifier: Apache-2.0
 *
 * What a placement is like, for the people and programs that have it.
 */
#include "sched/model.h"

#include "base/buf.h"

#include <stdlib.h>
#include <string.h>

/* NUMA nodes under each task's even share of the cores, summed over the node's tasks. */
static uint32_t numas_under(const struct core *c, const struct alloc_node *k)
{
    const struct node *n = &c->node[k->node];
    const struct shape *s = &c->shape[n->shape];
    uint32_t tasks = k->tasks ? k->tasks : 1, at = 0, sum = 0, task = NONE;
    uint64_t *seen = xcalloc(BS_WORDS(s->numas) + 1, sizeof *seen);
    BS_EACH(i, k->core, core_words(n))
    {
        uint32_t mine = k->cores ? (uint32_t)((uint64_t)at++ * tasks / k->cores) : 0;
        if (mine != task)
            memset(seen, 0, (BS_WORDS(s->numas) + 1) * sizeof *seen);
        task = mine;
        sum += !bs_test(seen, s->core_numa[i]);
        bs_set(seen, s->core_numa[i]);
    }
    free(seen);
    return sum;
}

static uint32_t position(const struct core *c, uint32_t node)
{
    return c->fabric ? fabric_find(c->fabric, c->node[node].name) : FABRIC_NO;
}

void placement_report(const struct core *c, const struct alloc *a, struct job_view *v)
{
    uint64_t hops = 0, numas = 0, tasks = 0, leafs_seen = 0;
    uint32_t pairs = 0, last = FABRIC_NO, leaf = FABRIC_NO;
    uint64_t *seen = xcalloc(BS_WORDS(c->fabric ? c->fabric->leafs : 0) + 1, sizeof *seen);
    for (uint32_t i = 0; i < a->count; i++) {
        const struct alloc_node *k = &a->node[i];
        uint32_t pos = position(c, k->node);
        if (pos != FABRIC_NO && last != FABRIC_NO) {
            hops += fabric_hops(c->fabric, last, pos);
            pairs++;
        }
        leaf = pos != FABRIC_NO ? c->fabric->leaf_of[pos] : FABRIC_NO;
        if (leaf != FABRIC_NO && !bs_test(seen, leaf)) {
            bs_set(seen, leaf);
            leafs_seen++;
        }
        last = pos;
        tasks += k->tasks ? k->tasks : 1;
        numas += k->core && c->node[k->node].shape != NONE ? numas_under(c, k) : 0;
    }
    free(seen);
    v->leafs = (uint32_t)leafs_seen;
    v->hops_mean = pairs ? (double)hops / pairs : 0;
    v->numas_per_task = tasks ? (double)numas / (double)tasks : 0;
}

/* "top.pod0.s0.n3" and "switch.switch.switch.node", as Slurm's topology plugins say it.
 * Pieces without a name of their own are left out. */
void topology_address(const struct core *c, uint32_t node, struct arena *a, char **address,
                      char **pattern)
{
    const char *kind = c->fabric && c->fabric->kind == FABRIC_BLOCKS ? "block" : "switch";
    uint32_t pos = position(c, node);
    *address = c->node[node].name;
    *pattern = (char *)"node";
    for (uint32_t p = pos != FABRIC_NO ? c->fabric->leaf_of[pos] : FABRIC_NO; p != FABRIC_NO;
         p = c->fabric->piece[p].parent) {
        if (!c->fabric->piece[p].name[0])
            continue;
        *address = arena_printf(a, "%s.%s", c->fabric->piece[p].name, *address);
        *pattern = arena_printf(a, "%s.%s", kind, *pattern);
    }
}
