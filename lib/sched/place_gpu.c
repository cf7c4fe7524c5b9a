/* SPDX-License-Identifier: Apache-2.0
 *
 * Which node, and which of its GPUs, for a job that one node can hold.
 *
 * FGD (Weng et al., "Beware of Fragmentation", ATC'23): a node's fragmentation is the part
 * of its free GPUs that a job of the target workload could not use, taken over all classes
 * of it by how often they come. A class that the node cannot run (cores, memory or GPUs are
 * short) can use none of them; one that it can run cannot use the GPUs that have less free
 * than it wants of each. A job goes where it adds least to that. The target workload is
 * learned from the jobs that were submitted, in a bounded number of classes; classes
 * without GPUs could use no GPU anywhere and are left out. To it is added what cores and
 * memory strand (class_frag), which FGD does not see, and that a job may outlast all others
 * on its node (outlast_score), which FGD, made for jobs that do not end, leaves out.
 *
 * The result depends on what is free on the node, its hardware and the demand only, so that
 * it is kept by a hash of them: most nodes of a cluster are in one of few states.
 */
#include "sched/place.h"

#include "base/buf.h"
#include "sched/timeline.h"

#include <stdlib.h>
#include <string.h>

#define CLASSES_MAX 64      /* of the target workload; the rarest makes room */
#define SEEN_MAX 1000000u   /* then all counts are halved: what was long ago fades */
#define SCORES 8192         /* kept; a power of two */
#define OUTLAST_PART 100    /* what a node that is kept from getting whole counts: 1 in so many */

struct gpu_class {
    uint32_t name, type;    /* interned ids; only compared */
    uint32_t count;         /* whole GPUs, or shares of one */
    uint32_t times;         /* so many GPUs with `count` shares each */
    bool share;
    uint32_t cpus, seen;
    uint64_t mem;
};
struct gpu_score { uint64_t key; int64_t score; uint32_t gpu; };
struct gpu_target {
    struct gpu_class class[CLASSES_MAX];
    uint32_t count, seen, since; /* since: jobs seen since scores were forgotten */
    struct gpu_score score[SCORES];
};

void gpu_target_free(struct core *c)
{
    free(c->gpu_target);
    c->gpu_target = NULL;
}

/* ---- the target workload ----------------------------------------------------------------- */

/* What one node of such a job takes. False: no GPUs. */
static bool class_of(const struct core *c, const struct request *q, struct gpu_class *k)
{
    uint32_t nodes = q->nodes_min ? q->nodes_min : 1;
    uint32_t tasks = q->ntasks > nodes ? (q->ntasks - 1) / nodes + 1 : 1;
    memset(k, 0, sizeof *k);
    for (uint32_t i = 0; i < q->gres_count && k->count == 0; i++) {
        const struct req_gres *g = &q->gres[i];
        if (g->name != c->gpu_name && !g->share)
            continue;
        *k = (struct gpu_class){.name = g->name, .type = g->type, .share = g->share,
                                .count = g->count, .times = 1};
        if (g->share)
            k->times = g->per == SL__GRES_PER__GRES_PER_TASK ? tasks : 1;
        else if (g->per == SL__GRES_PER__GRES_PER_TASK)
            k->count *= tasks;
        else if (g->per == SL__GRES_PER__GRES_PER_JOB)
            k->count = (k->count - 1) / nodes + 1;
    }
    k->cpus = tasks * q->cpus_per_task;
    if (q->cpus_per_gpu * k->count > k->cpus && !k->share)
        k->cpus = q->cpus_per_gpu * k->count;
    k->mem = q->mem_kind == MEM_BY_NODE  ? q->mem_mib
             : q->mem_kind == MEM_BY_CPU ? q->mem_mib * k->cpus
             : q->mem_kind == MEM_BY_GPU ? q->mem_mib * k->count
                                         : 0;
    return k->count != 0;
}

static bool class_same(const struct gpu_class *a, const struct gpu_class *b)
{
    return a->name == b->name && a->type == b->type && a->count == b->count &&
           a->times == b->times && a->cpus == b->cpus && a->mem == b->mem;
}

static void scores_forget(struct gpu_target *t)
{
    memset(t->score, 0, sizeof t->score);
    t->since = 0;
}

void gpu_target_note(struct core *c, const struct request *q, uint32_t jobs)
{
    struct gpu_class k;
    struct gpu_target *t = c->gpu_target;
    uint32_t i = 0, rarest = 0;
    if (!class_of(c, q, &k))
        return;
    if (!t)
        t = c->gpu_target = xcalloc(1, sizeof *t);
    for (; i < t->count && !class_same(&t->class[i], &k); i++)
        if (t->class[i].seen < t->class[rarest].seen)
            rarest = i;
    if (i == t->count && t->count < CLASSES_MAX)
        t->class[t->count++] = k;
    else if (i == t->count) { /* takes over the rarest and its count, so that it may stay */
        k.seen = t->class[rarest].seen;
        t->class[i = rarest] = k;
    }
    t->class[i].seen += jobs;
    t->seen += jobs;
    t->since += jobs;
    while (t->seen > SEEN_MAX) {
        t->seen = 0;
        for (uint32_t n = 0; n < t->count; n++)
            t->seen += t->class[n].seen /= 2;
    }
    if (t->since > t->seen / 16) /* shares of the classes have hardly moved before */
        scores_forget(t);
}

/* ---- fragmentation ------------------------------------------------------------------------ */

/* Parts of a GPU of this node that the class wants of each; 0: there are no such. */
static uint32_t class_parts(const struct node *n, const struct gpu_class *k)
{
    if (!k->share)
        return n->gpu_whole;
    for (uint32_t p = 0; p < n->pools_count; p++)
        if (n->pool[p].share && n->pool[p].name == k->name && k->count <= n->pool[p].share)
            return k->count * (n->gpu_whole / n->pool[p].share);
    return 0;
}

/* FGD's measure, and beside it (unless `alone`) what is left when the node is filled with jobs
 * of the class: the former takes a GPU for useful as long as one more such job can run, also
 * where cores or memory end with it. */
static uint64_t class_frag(const struct node *n, const struct room *r, const struct gpu_class *k,
                           bool alone)
{
    uint32_t parts = class_parts(n, k), fits = 0, all = 0, unfit = 0;
    uint32_t wanted = k->share ? k->times : k->count;
    for (uint32_t p = 0; p < n->pools_count; p++) {
        const struct pool *g = &n->pool[p];
        bool typed = k->type && k->type != g->type;
        for (uint32_t i = g->first; g->first != NONE && i < g->first + g->count; i++) {
            bool good = parts && !typed && r->gpu[i] >= parts;
            all += r->gpu[i];
            unfit += good ? 0 : r->gpu[i];
            fits += good ? r->gpu[i] / parts : 0;
        }
    }
    uint64_t cpus = (uint64_t)r->cores * n->threads, jobs = fits / wanted;
    if (k->cpus && cpus / k->cpus < jobs)
        jobs = cpus / k->cpus;
    if (k->mem && r->mem / k->mem < jobs)
        jobs = r->mem / k->mem;
    return (alone ? 0 : all - jobs * wanted * parts) + (jobs ? unfit : all);
}

/* Of all classes, weighted by their number; in parts of a GPU. */
static int64_t room_frag(const struct core *c, const struct node *n, const struct room *r)
{
    const struct gpu_target *t = c->gpu_target;
    bool alone = c->policy.gpu_placement == GPU_FGD_ALONE;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < t->count; i++)
        sum += t->class[i].seen * class_frag(n, r, &t->class[i], alone);
    return (int64_t)(sum * SHARES_MAX / n->gpu_whole);
}

/* ---- shares ----------------------------------------------------------------------------------- */

static bool shares_gpu(const struct node *n, uint32_t m, uint32_t g)
{
    for (uint32_t p = 0; p < n->pools_count; p++) {
        const struct pool *pool = &n->pool[p];
        if (pool->first != NONE && g >= pool->first && g < pool->first + pool->count)
            return !n->pool[m].type || n->pool[m].type == pool->type;
    }
    return false;
}

bool gpu_share(const struct attempt *a, uint32_t node, uint32_t m, const struct req_gres *g,
               uint32_t tasks, struct demand *d)
{
    const struct node *n = &a->c->node[node];
    const struct room *r = &a->rooms->v[node];
    uint32_t times = g->per == SL__GRES_PER__GRES_PER_TASK ? tasks : 1;
    if (g->count > n->pool[m].share || n->gpus == 0)
        return false;
    uint32_t parts = g->count * (n->gpu_whole / n->pool[m].share);
    for (uint32_t k = 0; k < times; k++) {
        uint32_t best = NONE, most = 0;
        for (uint32_t i = 0; i < n->gpus; i++) {
            uint32_t left = r->gpu[i] - d->gpu[i];
            if (left < parts || !shares_gpu(n, m, i) || (a->gpu != NONE && times == 1 && i != a->gpu))
                continue;
            if (best == NONE || left < most) {
                best = i;
                most = left;
            }
        }
        if (best == NONE)
            return false;
        d->gpu[best] = (uint16_t)(d->gpu[best] + parts);
    }
    return true;
}

/* ---- scores ----------------------------------------------------------------------------------- */

static uint64_t mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * UINT64_C(0x9e3779b97f4a7c15);
    return h ^ h >> 29;
}

static uint64_t state_key(const struct node *n, const struct room *r, const struct demand *d)
{
    uint64_t h = mix(mix(n->gpu_whole, r->cores), r->mem), w[2 * GPUS_SHARED_MAX / 4];
    memcpy(w, r->gpu, sizeof r->gpu);
    memcpy(w + GPUS_SHARED_MAX / 4, d->gpu, sizeof d->gpu);
    for (uint32_t i = 0; i < sizeof w / sizeof *w; i++)
        h = mix(h, w[i]);
    h = mix(mix(h, d->cores), d->mem);
    for (uint32_t p = 0; p < n->pools_count; p++)
        h = mix(h, (uint64_t)n->pool[p].kind << 32 | n->pool[p].count << 16 | d->gres[p]);
    return mix(h, n->threads) | 1;
}

/* The GPU that a demand has its only share of; NONE. */
static uint32_t only_share(const struct node *n, const struct demand *d)
{
    uint32_t at = NONE;
    for (uint32_t g = 0; g < n->gpus; g++) {
        if (d->gpu[g] && at != NONE)
            return NONE;
        at = d->gpu[g] ? g : at;
    }
    return at;
}

static int64_t frag_after(const struct core *c, const struct node *n, const struct room *r,
                          const struct demand *d)
{
    struct room after = *r;
    room_take(n, &after, d, false);
    return room_frag(c, n, &after);
}

/* The least that the demand adds, and on which GPU if there is a choice. */
static int64_t fgd_score(const struct attempt *a, const struct node *n, const struct room *r,
                         struct demand *d, uint32_t *gpu)
{
    struct gpu_target *t = a->c->gpu_target;
    if (!t || n->gpus == 0)
        return 0;
    uint64_t key = state_key(n, r, d);
    struct gpu_score *s = &t->score[key % SCORES];
    if (s->key == key) {
        *gpu = s->gpu;
        return s->score;
    }
    uint32_t only = only_share(n, d), parts = only == NONE ? 0 : d->gpu[only];
    int64_t best = frag_after(a->c, n, r, d);
    *gpu = only;
    for (uint32_t g = 0; only != NONE && g < n->gpus; g++) {
        bool again = g == only || r->gpu[g] < parts || r->gpu[g] == r->gpu[only];
        for (uint32_t e = 0; e < g && !again; e++)
            again = r->gpu[e] == r->gpu[g];
        if (again)
            continue;
        memset(d->gpu, 0, sizeof d->gpu);
        d->gpu[g] = (uint16_t)parts;
        int64_t f = frag_after(a->c, n, r, d);
        if (f < best || (f == best && r->gpu[g] < r->gpu[*gpu])) {
            best = f;
            *gpu = g;
        }
    }
    best -= room_frag(a->c, n, r);
    *s = (struct gpu_score){key, best, *gpu};
    return s->score;
}

/* A node whose jobs all end before this one would not be whole again for so much longer: a small
 * part of its GPUs counts as fragmented then, which mostly decides between equals. */
static int64_t outlast_score(const struct attempt *a, const struct node *n, uint32_t node)
{
    const struct core *c = a->c;
    usec_t until = c->now + a->span, idle = timeline_idle(c, node);
    if (!c->gpu_target || idle <= c->now || idle >= until)
        return 0;
    int64_t permille = (until - idle) / (a->span / 1000 + 1);
    return permille * n->gpus * c->gpu_target->seen / OUTLAST_PART * SHARES_MAX / 1000;
}

static uint64_t gpus_left(const struct node *n, const struct room *r)
{
    uint64_t sum = 0;
    for (uint32_t g = 0; g < n->gpus; g++)
        sum += r->gpu[g];
    return sum;
}

/* What would be left of each resource, as parts of a million of the largest node's. */
static int64_t bestfit_score(const struct core *c, const struct node *n, const struct room *r,
                             const struct demand *d)
{
    struct room after = *r;
    room_take(n, &after, d, false);
    uint64_t gpu = gpus_left(n, &after) * 1000000 / n->gpu_whole;
    return (int64_t)((uint64_t)after.cores * 1000000 / c->cores_most +
                     after.mem * 1000000 / c->mem_most + gpu / (c->gpus_most ? c->gpus_most : 1));
}

/* Shares on GPUs in use first, then nodes with GPUs in use, then idle ones. */
static int64_t packing_score(const struct node *n, const struct room *r, const struct demand *d)
{
    uint32_t only = only_share(n, d);
    uint64_t left = gpus_left(n, r), all = (uint64_t)n->gpus * n->gpu_whole;
    int64_t tier = only != NONE && r->gpu[only] < n->gpu_whole ? 0 : left < all ? 1 : 2;
    return tier << 32 | (int64_t)(n->gpu_whole ? left * SHARES_MAX / n->gpu_whole : 0);
}

static int64_t random_score(struct attempt *a, struct candidate *v, const struct node *n,
                            const struct room *r, const struct demand *d)
{
    uint64_t h = mix(mix(mix(a->c->policy.gpu_seed, a->job), v->node), 1);
    uint32_t only = only_share(n, d), from = (uint32_t)(h >> 40);
    for (uint32_t k = 0; only != NONE && k < n->gpus && v->gpu == NONE; k++)
        if (r->gpu[(from + k) % n->gpus] >= d->gpu[only])
            v->gpu = (from + k) % n->gpus;
    return (int64_t)(h >> 1);
}

bool gpu_scored(const struct attempt *a)
{
    return a->c->gpus_most != 0;
}

void gpu_score(struct attempt *a, struct candidate *v, uint32_t tasks)
{
    const struct core *c = a->c;
    const struct node *n = &c->node[v->node];
    const struct room *r = &a->rooms->v[v->node];
    struct demand d;
    if (!node_takes(a, v->node, tasks, &d))
        return;
    switch (c->policy.gpu_placement) {
    case GPU_BESTFIT:
        v->score = bestfit_score(c, n, r, &d);
        break;
    case GPU_PACKING:
        v->score = packing_score(n, r, &d);
        break;
    case GPU_RANDOM:
        v->score = random_score(a, v, n, r, &d);
        break;
    default:
        v->score = fgd_score(a, n, r, &d, &v->gpu);
        if (c->policy.gpu_placement == GPU_FGD)
            v->score += outlast_score(a, n, v->node);
    }
}
