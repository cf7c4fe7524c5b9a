/* SPDX-License-Identifier: Apache-2.0 */
#include "parallel/shards.h"

#include "base/buf.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BUCKET ((size_t)1 << 20) /* elements received before they are added */

static int levels_of(int leaves)
{
    int levels = 1;
    while (leaves > 1) {
        leaves /= 2;
        levels++;
    }
    return levels;
}

static size_t decayed(const struct graph *g)
{
    size_t count = 0;
    for (int i = 0; i < g->params_count; i++) {
        size_t end = g->params[i].offset + param_count(&g->params[i]);
        if (g->params[i].decay && end > count)
            count = end;
    }
    return count;
}

static int allocate(struct shards *s, struct err *err)
{
    size_t flat = s->graph->flat_count * sizeof(real), own = s->end - s->begin;
    size_t chunks = s->graph->flat_count / SUM_CHUNK;
    size_t sizes[] = {own * sizeof(real), own * sizeof(real), BUCKET * sizeof(real),
                      chunks * sizeof(double)};
    size_t total = (size_t)(s->levels_count - 1) * memory_round(flat);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        total += memory_round(sizes[i]);
    int rc = memory_init(&s->mem, total, err);
    if (rc < 0)
        return rc;
    s->levels = xcalloc((size_t)s->levels_count, sizeof(*s->levels));
    for (int i = 1; i < s->levels_count; i++)
        s->levels[i] = memory_take(&s->mem, flat);
    s->m = memory_take(&s->mem, sizes[0]);
    s->v = memory_take(&s->mem, sizes[1]);
    s->bucket = memory_take(&s->mem, sizes[2]);
    s->partial = memory_take(&s->mem, sizes[3]);
    return 0;
}

static int share(struct shards *s, struct err *err)
{
    size_t flat = s->graph->flat_count * sizeof(real);
    const struct comm *c = s->comm;
    int rc = comm_share(c, c->block_rank == 0 ? flat : 0, &s->params_window, err);
    if (rc == 0)
        rc = comm_share(c, flat, &s->grads_window, err);
    if (rc < 0)
        return rc;
    s->params = s->params_window.parts[0];
    s->total = s->grads_window.parts[0];
    s->levels[0] = s->grads_window.parts[c->block_rank];
    return 0;
}

struct shards *shards_create(const struct graph *graph, struct backend *backend,
                             const struct comm *comm, int leaves, struct err *err)
{
    ASSERT(leaves % comm->ranks == 0 && (leaves & (leaves - 1)) == 0);
    struct shards *s = xcalloc(1, sizeof(*s));
    s->graph = graph;
    s->backend = backend;
    s->comm = comm;
    s->leaves = leaves;
    s->leaves_own = leaves / comm->ranks;
    s->levels_count = levels_of(s->leaves_own);
    s->decay_count = decayed(graph);
    slices_of(&s->slices, graph->flat_count / SUM_CHUNK, comm->rank, comm->block_ranks,
              comm->ranks);
    struct slice own = s->slices.held[s->slices.levels];
    s->begin = own.begin * SUM_CHUNK;
    s->end = own.end * SUM_CHUNK;
    int rc = allocate(s, err);
    rc = comm_agree(comm, rc, err);
    if (rc == 0)
        rc = comm_agree(comm, share(s, err), err);
    if (rc < 0) {
        shards_destroy(s);
        return NULL;
    }
    return s;
}

void shards_destroy(struct shards *s)
{
    if (!s)
        return;
    comm_unshare(&s->grads_window);
    comm_unshare(&s->params_window);
    memory_fini(&s->mem);
    free(s->levels);
    free(s);
}

size_t shards_bytes(const struct shards *s)
{
    size_t flat = s->graph->flat_count * sizeof(real);
    return s->mem.bytes + flat + (s->comm->block_rank == 0 ? flat : 0);
}

void shards_init(struct shards *s, uint64_t seed)
{
    params_init(s->graph, seed, s->params, s->begin, s->end);
    size_t own = (s->end - s->begin) * sizeof(real);
    memset(s->m, 0, own);
    memset(s->v, 0, own);
    shards_publish(s);
}

/* The halvings backwards: each level doubles what the block's rank has. */
void shards_publish(struct shards *s)
{
    const struct comm *c = s->comm;
    for (int level = s->slices.levels - 1; level >= 0; level--) {
        struct slice own = s->slices.held[level + 1];
        struct slice other = slices_given(&s->slices, level);
        comm_exchange(c, slices_peer(c->rank, c->block_ranks, level),
                      s->params + own.begin * SUM_CHUNK, (own.end - own.begin) * SUM_CHUNK,
                      s->params + other.begin * SUM_CHUNK,
                      (other.end - other.begin) * SUM_CHUNK);
    }
    comm_fence(c, &s->params_window);
}

/* A binary counter: two gradients of one level become one of the next, in the
 * place of the first. Parity of the leaf's number says how often. */
void shards_gradient(struct shards *s, const struct batch *batch)
{
    const struct backend_class *class = s->backend->class;
    struct exec x = {.batch = *batch, .params = s->params, .grads = s->levels[s->depth]};
    backend_run(s->backend, &x);
    s->depth++;
    for (int pairs = s->leaf; pairs % 2 == 1; pairs /= 2) {
        s->depth--;
        real *sum = s->levels[s->depth - 1];
        const real *terms[2] = {sum, s->levels[s->depth]};
        class->sum_tree(s->backend, sum, terms, 2, s->graph->flat_count);
    }
    s->leaf++;
}

/* Between blocks: gives one half of what is held, adds the peer's other half. */
static void halve(struct shards *s, int level)
{
    const struct comm *c = s->comm;
    struct slice keep = s->slices.held[level + 1], give = slices_given(&s->slices, level);
    const real *out = s->total + give.begin * SUM_CHUNK;
    real *own = s->total + keep.begin * SUM_CHUNK;
    size_t out_left = (give.end - give.begin) * SUM_CHUNK;
    size_t in_left = (keep.end - keep.begin) * SUM_CHUNK;
    while (out_left || in_left) {
        size_t send = out_left < BUCKET ? out_left : BUCKET;
        size_t receive = in_left < BUCKET ? in_left : BUCKET;
        const real *terms[2] = {own, s->bucket};
        comm_exchange(c, slices_peer(c->rank, c->block_ranks, level), out, send, s->bucket,
                      receive);
        if (receive)
            s->backend->class->sum_tree(s->backend, own, terms, 2, receive);
        out += send;
        own += receive;
        out_left -= send;
        in_left -= receive;
    }
}

void shards_sum(struct shards *s)
{
    const struct comm *c = s->comm;
    ASSERT(s->leaf == s->leaves_own && s->depth == 1);
    s->leaf = s->depth = 0;
    comm_fence(c, &s->grads_window);
    struct slice held = s->slices.held[0];
    size_t at = held.begin * SUM_CHUNK, n = (held.end - held.begin) * SUM_CHUNK;
    const real *terms[COMM_BLOCK_MAX];
    for (int i = 0; i < c->block_ranks; i++)
        terms[i] = (const real *)s->grads_window.parts[i] + at;
    if (n)
        s->backend->class->sum_tree(s->backend, s->total + at, terms, c->block_ranks, n);
    for (int level = 0; level < s->slices.levels; level++)
        halve(s, level);
}

double sum_pairs(const double *x, size_t n)
{
    if (n == 0)
        return 0;
    if (n == 1)
        return x[0];
    size_t half = 1;
    while (2 * half < n)
        half *= 2;
    return sum_pairs(x, half) + sum_pairs(x + half, n - half);
}

double shards_norm(struct shards *s)
{
    size_t chunks = s->graph->flat_count / SUM_CHUNK;
    memset(s->partial, 0, chunks * sizeof(*s->partial));
    s->backend->class->sum_squares(s->backend, s->total + s->begin, s->end - s->begin,
                                   s->partial + s->begin / SUM_CHUNK);
    comm_merge(s->comm, s->partial, chunks);
    return sqrt(sum_pairs(s->partial, chunks));
}

void shards_update(struct shards *s, const struct adamw *h)
{
    size_t n = s->end - s->begin;
    size_t decay = s->decay_count > s->begin ? s->decay_count - s->begin : 0;
    s->backend->class->adamw(s->backend, h, s->params + s->begin, s->m, s->v,
                             s->total + s->begin, n, decay < n ? decay : n);
    shards_publish(s);
}
