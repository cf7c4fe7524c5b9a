/* SPDX-License-Identifier: Apache-2.0
 *
 * Node topologies (shapes) and gres pools, from the wire's messages to flat tables.
 */
#include "sched/model.h"
#include "base/buf.h"
#include "job/jobspec.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PU_MAX 65536u

/* Reads "0-3,8" number by number; false at the end or on nonsense (*p then not at
 * the end of the text). */
struct ranges { const char *p; uint32_t next, last; bool open; };

static bool ranges_next(struct ranges *r, uint32_t *v)
{
    if (!r->open) {
        char *end;
        if (*r->p < '0' || *r->p > '9')
            return false;
        unsigned long lo = strtoul(r->p, &end, 10), hi = lo;
        if (*end == '-')
            hi = strtoul(end + 1, &end, 10);
        if (hi < lo || hi >= PU_MAX || (*end != ',' && *end != '\0'))
            return false;
        r->p = *end == ',' ? end + 1 : end;
        r->next = (uint32_t)lo;
        r->last = (uint32_t)hi;
        r->open = true;
    }
    *v = r->next;
    if (r->next++ == r->last)
        r->open = false;
    return true;
}

/* Without tables: so many cores that are not told apart. */
static bool is_pool(const struct core *c, const Sl__NodeTopo *t)
{
    return c->policy.core_pools && t->synthetic && t->cores > 0 &&
           t->cores <= TASKS_PER_STEP_MAX && t->sockets == 1 && t->threads_per_core == 1 &&
           t->n_core_cpus + t->n_core_socket + t->n_core_numa + t->n_numa == 0;
}

static int shape_check(const struct core *c, const Sl__NodeTopo *t, struct err *err)
{
    if (is_pool(c, t))
        return 0;
    if (t->cores == 0 || t->cores > CPUS_PER_NODE_MAX || t->threads_per_core == 0 ||
        t->threads_per_core > 64 || t->n_core_cpus != t->cores ||
        t->n_core_socket != t->cores || t->n_core_numa != t->cores || t->n_numa == 0 ||
        t->n_numa > t->cores || t->sockets == 0 || t->sockets > t->cores)
        return err_set(err, -EINVAL, "topology: counts do not agree (%u sockets, %u cores, "
                       "%zu NUMA nodes)", t->sockets, t->cores, t->n_numa);
    for (uint32_t i = 0; i < t->cores; i++)
        if (t->core_socket[i] >= t->sockets || t->core_numa[i] >= t->n_numa)
            return err_set(err, -EINVAL, "topology: core %u is on socket %u and NUMA node %u "
                           "of %u and %zu", i, t->core_socket[i], t->core_numa[i],
                           t->sockets, t->n_numa);
    return 0;
}

static int shape_fill(struct shape *s, const Sl__NodeTopo *t, struct err *err)
{
    *s = (struct shape){.cores = t->cores, .sockets = t->sockets,
                        .numas = (uint32_t)t->n_numa, .threads = t->threads_per_core,
                        .cpus = t->cores * t->threads_per_core, .pool = t->n_numa == 0};
    if (s->pool)
        return 0;
    s->core_numa = xcalloc(s->cores, sizeof *s->core_numa);
    s->core_socket = xcalloc(s->cores, sizeof *s->core_socket);
    s->numa_socket = xcalloc(s->numas, sizeof *s->numa_socket);
    s->numa_os = xcalloc(s->numas, sizeof *s->numa_os);
    s->core_pu = xmalloc((size_t)s->cpus * sizeof *s->core_pu);
    memset(s->core_pu, 0xff, (size_t)s->cpus * sizeof *s->core_pu);
    for (uint32_t i = 0; i < s->numas; i++)
        s->numa_os[i] = t->numa[i]->os_index;
    for (uint32_t i = 0; i < s->cores; i++) {
        s->core_numa[i] = (uint16_t)t->core_numa[i];
        s->core_socket[i] = (uint16_t)t->core_socket[i];
        s->numa_socket[t->core_numa[i]] = (uint16_t)t->core_socket[i];
        struct ranges r = {.p = t->core_cpus[i]};
        uint32_t n = 0, pu;
        while (n < s->threads && ranges_next(&r, &pu))
            s->core_pu[i * s->threads + n++] = pu;
        if (n == 0 || r.open || *r.p != '\0')
            return err_set(err, -EINVAL, "topology: core %u has the cpus \"%s\", at most %u "
                           "are possible", i, t->core_cpus[i], s->threads);
    }
    return 0;
}

static void shape_fini(struct shape *s)
{
    free(s->core_numa);
    free(s->core_socket);
    free(s->numa_socket);
    free(s->numa_os);
    free(s->core_pu);
    memset(s, 0, sizeof *s);
}

uint32_t shape_get(struct core *c, const Sl__NodeTopo *t, struct err *err)
{
    if (shape_check(c, t, err) != 0)
        return NONE;
    size_t n = sl__node_topo__get_packed_size(t);
    uint8_t *p = xmalloc(n);
    bool fresh;
    sl__node_topo__pack(t, p);
    uint32_t id = intern_get(&c->shape_keys, p, n, &fresh);
    free(p);
    if (!fresh)
        return id;
    GROW(c->shape, c->shape_cap, id + 1);
    if (shape_fill(&c->shape[id], t, err) == 0)
        return id;
    shape_drop(c, id);
    return NONE;
}

void shape_drop(struct core *c, uint32_t id)
{
    if (id != NONE && intern_drop(&c->shape_keys, id))
        shape_fini(&c->shape[id]);
}

/* ---- gres pools ---------------------------------------------------------------------- */

bool gres_is_share(const char *name)
{
    return strcmp(name, "shard") == 0 || strcmp(name, "gpu_milli") == 0;
}

static uint32_t common(uint32_t a, uint32_t b) /* greatest common divisor */
{
    while (b) {
        uint32_t r = a % b;
        a = b;
        b = r;
    }
    return a;
}

int pools_share(struct core *c, struct pool *pool, uint32_t count, uint32_t *gpus,
                uint32_t *whole, struct err *err)
{
    uint32_t total = 0, at = 0;
    *whole = 1;
    for (uint32_t p = 0; p < count; p++)
        total += pool[p].name == c->gpu_name ? pool[p].count : 0;
    *gpus = total <= GPUS_SHARED_MAX ? total : 0;
    for (uint32_t p = 0; *gpus && p < count; p++) {
        if (pool[p].name != c->gpu_name)
            continue;
        pool[p].first = at;
        at += pool[p].count;
    }
    for (uint32_t s = 0; s < count; s++) {
        uint32_t of = 0;
        if (!gres_is_share(text_of(c, pool[s].name)) || pool[s].count == 0)
            continue;
        for (uint32_t p = 0; p < count; p++)
            if (pool[p].first != NONE && (!pool[s].type || pool[s].type == pool[p].type))
                of += pool[p].count;
        if (of == 0 || pool[s].count % of || pool[s].count / of > SHARES_MAX)
            return err_set(err, SL_EINVAL_GRES, "gres %s: %u cannot be shared out evenly over %u "
                           "GPUs (up to %u GPUs, with up to %u each)", text_of(c, pool[s].name),
                           pool[s].count, of, GPUS_SHARED_MAX, SHARES_MAX);
        pool[s].share = pool[s].count / of;
        *whole = *whole / common(*whole, pool[s].share) * pool[s].share;
        if (*whole > UINT16_MAX)
            return err_set(err, SL_EINVAL_GRES, "gres %s: %u on a GPU have no common measure with "
                           "its other shares", text_of(c, pool[s].name), pool[s].share);
    }
    return 0;
}

/* The pair's place in core.kind; what comes after the last place shares it. */
static uint32_t kind_get(struct core *c, const char *name, const char *type)
{
    for (uint32_t i = 0; i < c->kinds; i++)
        if (strcmp(text_of(c, c->kind[i].name), name) == 0 &&
            strcmp(text_of(c, c->kind[i].type), type) == 0)
            return i;
    if (c->kinds == KINDS_MAX)
        return KINDS_MAX - 1;
    c->kind[c->kinds].name = intern_text(&c->text, name);
    c->kind[c->kinds].type = intern_text(&c->text, type);
    return c->kinds++;
}

static struct pool *pool_add(struct core *c, struct pool **pool, uint32_t *count,
                             const char *name, const char *type, uint32_t n)
{
    *pool = xrealloc(*pool, (*count + 1) * sizeof **pool);
    struct pool *p = &(*pool)[(*count)++];
    memset(p, 0, sizeof *p);
    p->name = intern_text(&c->text, name);
    p->type = intern_text(&c->text, type);
    p->kind = kind_get(c, name, type);
    p->count = p->free = n;
    p->first = NONE;
    if (gres_is_share(name)) /* counted on the GPUs that they are parts of */
        n = 0;
    p->used = xcalloc(BS_WORDS(n) + 1, sizeof *p->used);
    p->numa = xmalloc((n ? n : 1) * sizeof *p->numa);
    memset(p->numa, 0xff, n * sizeof *p->numa);
    return p;
}

void pools_free(struct core *c, struct pool *pool, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        intern_drop(&c->text, pool[i].name);
        intern_drop(&c->text, pool[i].type);
        free(pool[i].used);
        free(pool[i].numa);
    }
    free(pool);
}

static bool pool_twice(const struct core *c, const struct pool *pool, uint32_t count,
                       const char *name, const char *type)
{
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(text_of(c, pool[i].name), name) == 0 &&
            strcmp(text_of(c, pool[i].type), type) == 0)
            return true;
    return false;
}

static int pool_room(const struct core *c, const struct pool *pool, uint32_t count,
                     const char *name, const char *type, uint64_t n, struct err *err)
{
    if (count == GRES_POOLS_MAX)
        return err_set(err, SL_EINVAL_GRES, "gres %s: more than %d kinds on one node", name,
                       GRES_POOLS_MAX);
    uint32_t most = gres_is_share(name) ? GPUS_SHARED_MAX * SHARES_MAX : GRES_PER_NODE_MAX;
    if (n > most)
        return err_set(err, SL_EINVAL_GRES, "gres %s: count %llu, at most %u on one node", name,
                       (unsigned long long)n, most);
    if (pool_twice(c, pool, count, name, type))
        return err_set(err, SL_EINVAL_GRES, "gres %s%s%s is listed twice", name,
                       type[0] ? ":" : "", type);
    return 0;
}

int pools_parse(struct core *c, const char *text, struct pool **out, uint32_t *count,
                struct err *err)
{
    struct arena a;
    Sl__GresReq **list = NULL;
    size_t n = 0;
    *out = NULL;
    *count = 0;
    if (text == NULL || text[0] == '\0')
        return 0;
    arena_init(&a);
    int rc = gres_parse(text, SL__GRES_PER__GRES_PER_NODE, &a, &list, &n, err);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        rc = pool_room(c, *out, *count, list[i]->name, list[i]->type, list[i]->count, err);
        if (rc == 0)
            pool_add(c, out, count, list[i]->name, list[i]->type, (uint32_t)list[i]->count);
    }
    arena_fini(&a);
    if (rc != 0) {
        pools_free(c, *out, *count);
        *out = NULL;
        *count = 0;
    }
    return rc;
}

/* The NUMA node that holds most of the listed cpus, -1 when none does. */
static int16_t cpus_numa(const struct shape *s, const char *cpus)
{
    uint16_t hits[CPUS_PER_NODE_MAX] = {0};
    uint64_t set[PU_MAX / 64] = {0};
    struct ranges r = {.p = cpus};
    uint32_t pu;
    int best = -1;
    while (ranges_next(&r, &pu))
        bs_set(set, pu);
    for (uint32_t i = 0; i < s->cores; i++) {
        pu = s->core_pu[i * s->threads];
        if (pu != NONE && bs_test(set, pu))
            hits[s->core_numa[i]]++;
    }
    for (uint32_t i = 0; i < s->numas; i++)
        if (hits[i] > 0 && (best < 0 || hits[i] > hits[best]))
            best = (int)i;
    return (int16_t)best;
}

int pools_read(struct core *c, const struct shape *s, Sl__NodeGres *const *gres,
               size_t n, struct pool **out, uint32_t *count, struct err *err)
{
    int rc = 0;
    *out = NULL;
    *count = 0;
    for (size_t i = 0; rc == 0 && i < n; i++) {
        const Sl__NodeGres *g = gres[i];
        rc = pool_room(c, *out, *count, g->name, g->type, g->count, err);
        if (rc != 0)
            break;
        struct pool *p = pool_add(c, out, count, g->name, g->type, g->count);
        for (uint32_t k = 0; k < p->count && !gres_is_share(g->name); k++) {
            bool same = k > 0 && k < g->n_cpus && strcmp(g->cpus[k], g->cpus[k - 1]) == 0;
            p->numa[k] = same           ? p->numa[k - 1]
                         : k < g->n_cpus ? cpus_numa(s, g->cpus[k])
                                         : (int16_t)-1;
        }
    }
    if (rc == 0)
        return 0;
    pools_free(c, *out, *count);
    *out = NULL;
    *count = 0;
    return rc;
}
