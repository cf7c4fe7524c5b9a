/* SPDX-License-Identifier: Apache-2.0
 *
 * piece: the least that a job takes of a node. Nodes that are alike in all that decides
 * that (hardware, features, partitions, may it be used) are of one model, and the answer is
 * remembered for each model: a cluster has few, and its planner asks for each node.
 */
#include "sched/place.h"

#include "base/buf.h"
#include "sched/constraint.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PIECES 8192u /* remembered; a power of two */

struct piece {
    uint64_t serial, gen;  /* of the request; core.models_serial */
    uint32_t part, model;
    bool can;
    struct demand d;
};
struct pieces {
    struct piece slot[PIECES];
    struct demand own;     /* of a job that names nodes: each is its own case */
};

static void model_key(const struct core *c, uint32_t i, struct buf *key)
{
    const struct node *n = &c->node[i];
    uint64_t head[] = {nodes_usable(n), n->shape, n->cores, n->threads, n->mem, n->gpus,
                       n->gpu_whole, n->reg ? n->reg->tmp_disk_mib : 0, n->pools_count};
    buf_clear(key);
    buf_put(key, head, sizeof head);
    for (uint32_t p = 0; p < n->pools_count; p++) {
        const struct pool *g = &n->pool[p];
        uint32_t pool[] = {g->name, g->type, g->first, g->share, g->count};
        buf_put(key, pool, sizeof pool);
    }
    for (uint32_t p = 0; p < c->parts; p++) {
        uint8_t in = bs_test(c->part[p].nodes, i);
        buf_put(key, &in, 1);
    }
    buf_puts(key, nodes_features(n));
}

void models_forget(struct core *c, uint32_t node)
{
    c->node[node].model = 0;
    c->models_stale = true;
}

static void models_derive(struct core *c)
{
    bool all = c->models_gen != c->nodes_gen;
    struct buf key;
    if (!all && !c->models_stale)
        return;
    buf_init(&key);
    if (all) {
        intern_fini(&c->models);
        intern_init(&c->models);
    }
    for (uint32_t i = 0; i < c->nodes; i++) {
        if (!all && c->node[i].model)
            continue;
        model_key(c, i, &key);
        c->node[i].model = intern_get(&c->models, key.data, key.len, NULL);
    }
    buf_fini(&key);
    c->models_gen = c->nodes_gen;
    c->models_stale = false;
    c->models_serial++;
}

void pieces_free(struct core *c)
{
    intern_fini(&c->models);
    free(c->pieces);
}

const struct demand *place_piece(struct core *c, const struct job *j, uint32_t part,
                                 uint32_t node)
{
    const struct request *q = &c->request[j->request];
    if (!c->pieces)
        c->pieces = xcalloc(1, sizeof *c->pieces);
    models_derive(c);
    if (q->has_names)
        return piece_find(c, j, part, node, &c->pieces->own) ? &c->pieces->own : NULL;
    uint32_t model = c->node[node].model;
    uint64_t h = (q->serial * 64 + part) * UINT64_C(0x9e3779b97f4a7c15) + model;
    struct piece *s = &c->pieces->slot[(h ^ h >> 32) % PIECES];
    if (s->serial != q->serial || s->part != part || s->model != model ||
        s->gen != c->models_serial) {
        constraint_ready(c, q);
        s->can = piece_find(c, j, part, node, &s->d);
        s->serial = q->serial;
        s->part = part;
        s->model = model;
        s->gen = c->models_serial;
    }
    return s->can ? &s->d : NULL;
}

bool place_fits(struct core *c, const struct job *j, uint32_t part, uint32_t node,
                const struct room *r)
{
    if (r->cores == 0 || r->exclusive)
        return false;
    const struct demand *d = place_piece(c, j, part, node);
    bool whole = part_whole(c, j, part);
    if (!d || (whole && r->jobs) || d->cores > r->cores || d->mem > r->mem)
        return false;
    /* which of several pools it takes from is open */
    return c->node[node].pools_count != 1 || d->gres[0] <= r->gres[0];
}

int pieces_check(const struct core *c, struct err *err)
{
    struct buf key;
    int rc = 0;
    if (c->models_gen != c->nodes_gen)
        return 0; /* they are made again */
    buf_init(&key);
    for (uint32_t i = 0; rc == 0 && i < c->nodes; i++) {
        uint32_t model = c->node[i].model;
        model_key(c, i, &key);
        if (model && (intern_len(&c->models, model) != key.len ||
                      memcmp(intern_str(&c->models, model), key.data, key.len) != 0))
            rc = err_set(err, -EINVAL, "node %s is taken for one of another model",
                         c->node[i].name);
    }
    buf_fini(&key);
    return rc;
}
