/* SPDX-License-Identifier: Apache-2.0 */
#include "stepd/pool.h"

#include "base/hostlist.h"
#include "base/limits.h"
#include "job/jobspec.h"
#include "job/state.h"
#include "stepd/bind.h"

#include <stdlib.h>
#include <string.h>

#define FREE UINT32_MAX /* no step has this id */
#define PUS_MAX (BIND_MASK_WORDS * 64)

struct pool_gres { /* one kind of one node: "gpu" of type "a100" */
    const Sl__GresAlloc *from;
    uint32_t *owner; /* step id by place in from->index */
};
struct pool_mem { /* memory that a step named */
    uint32_t step_id;
    uint64_t mib;
    struct pool_mem *next;
};
struct pool_node {
    const Sl__AllocNode *from;
    uint32_t cores, threads;
    uint32_t *pu;    /* [cores * threads], UINT32_MAX: the core has fewer */
    uint32_t *owner; /* step id by core */
    uint32_t held;   /* cores */
    uint64_t mem_held;
    struct pool_mem *mem;
    struct pool_gres *gres;
    bool lost;
};
struct pool {
    const Sl__Allocation *alloc;
    uint32_t threads_per_core;
    struct pool_node *node;
    uint32_t count;
};

/* One request while it is being placed. */
struct ask {
    const Sl__StepSpec *spec;
    uint32_t step_id;
    struct arena *arena;
    uint32_t ntasks, nodes_min, nodes_max, cpus_per_task, ntasks_per_node;
    bool exact;     /* no more cores than the tasks need */
    bool ideal;     /* as if no other step were there */
    bool *required; /* by alloc index, from --nodelist; NULL: none is */
    bool *barred;   /* not to be used */
    bool short_mem, short_gres; /* some node could do with more of it */
};
/* The nodes of a placement, in allocation order. */
struct choice {
    uint32_t *index; /* of the allocation */
    uint32_t *cap;   /* tasks it can take */
    uint32_t count;
    uint64_t room;   /* sum of cap */
};

/* ---- sets of PUs ------------------------------------------------------------------------ */

static bool set_has(const uint64_t *set, uint32_t pu)
{
    return pu < PUS_MAX && (set[pu / 64] >> (pu % 64) & 1);
}

/* "0-3,8" */
static char *set_text(const uint64_t *set, struct arena *a)
{
    struct buf b;
    buf_init(&b);
    for (uint32_t pu = 0; pu < PUS_MAX; pu++) {
        uint32_t last = pu;
        if (!set_has(set, pu))
            continue;
        while (set_has(set, last + 1))
            last++;
        buf_printf(&b, b.len > 0 ? ",%u" : "%u", pu);
        if (last > pu)
            buf_printf(&b, "-%u", last);
        pu = last;
    }
    char *text = arena_strdup(a, buf_str(&b));
    buf_fini(&b);
    return text;
}

/* ---- the allocation ------------------------------------------------------------------ */

static void node_cores(struct pool_node *n)
{
    const Sl__AllocNode *from = n->from;
    n->threads = from->threads > 1 && from->n_core_pus >= from->threads ? from->threads : 1;
    if (n->threads > 1) {
        n->cores = (uint32_t)from->n_core_pus / n->threads;
        n->pu = xcalloc((size_t)n->cores * n->threads, sizeof(*n->pu));
        memcpy(n->pu, from->core_pus, (size_t)n->cores * n->threads * sizeof(*n->pu));
    } else {
        uint64_t set[BIND_MASK_WORDS] = {0};
        bind_cpus_parse(from->cpus, set, PUS_MAX);
        for (uint32_t pu = 0; pu < PUS_MAX; pu++)
            n->cores += set_has(set, pu);
        n->pu = xcalloc(n->cores, sizeof(*n->pu));
        for (uint32_t pu = 0, i = 0; pu < PUS_MAX; pu++)
            if (set_has(set, pu))
                n->pu[i++] = pu;
    }
    n->owner = xcalloc(n->cores, sizeof(*n->owner));
    for (uint32_t i = 0; i < n->cores; i++)
        n->owner[i] = FREE;
}

static void node_init(struct pool_node *n, const Sl__AllocNode *from)
{
    n->from = from;
    node_cores(n);
    n->gres = xcalloc(from->n_gres, sizeof(*n->gres));
    for (size_t i = 0; i < from->n_gres; i++) {
        struct pool_gres *g = &n->gres[i];
        g->from = from->gres[i];
        g->owner = xcalloc(g->from->n_index, sizeof(*g->owner));
        for (size_t k = 0; k < g->from->n_index; k++)
            g->owner[k] = FREE;
    }
}

struct pool *pool_create(const Sl__Allocation *alloc, uint32_t threads_per_core)
{
    struct pool *p = xcalloc(1, sizeof(*p));
    p->alloc = alloc;
    p->threads_per_core = threads_per_core;
    p->count = alloc ? (uint32_t)alloc->n_nodes : 0;
    p->node = xcalloc(p->count, sizeof(*p->node));
    for (uint32_t i = 0; i < p->count; i++)
        node_init(&p->node[i], alloc->nodes[i]);
    return p;
}

void pool_destroy(struct pool *p)
{
    if (!p)
        return;
    for (uint32_t i = 0; i < p->count; i++) {
        struct pool_node *n = &p->node[i];
        for (size_t k = 0; k < n->from->n_gres; k++)
            free(n->gres[k].owner);
        while (n->mem) {
            struct pool_mem *next = n->mem->next;
            free(n->mem);
            n->mem = next;
        }
        free(n->gres);
        free(n->owner);
        free(n->pu);
    }
    free(p->node);
    free(p);
}

/* ---- what a node has to give ------------------------------------------------------------ */

/* As if nothing were held: for --overlap, and to tell "busy" from "never". */
static bool ignores_holds(const struct ask *q)
{
    return q->ideal || q->spec->overlap;
}

static uint32_t cores_free(const struct ask *q, const struct pool_node *n)
{
    return ignores_holds(q) ? n->cores : n->cores - n->held;
}

/* CPUs that count on one core. */
static uint32_t core_cpus(const struct pool *p, const struct ask *q, const struct pool_node *n)
{
    uint32_t use = q->spec->threads_per_core ? q->spec->threads_per_core : p->threads_per_core;
    return use && use < n->threads ? use : n->threads;
}

static bool gres_is(const Sl__GresReq *want, const Sl__GresAlloc *have)
{
    return strcmp(want->name, have->name) == 0 &&
           (!want->type[0] || strcmp(want->type, have->type) == 0);
}

static uint64_t gres_free(const struct ask *q, const struct pool_node *n, const Sl__GresReq *want)
{
    uint64_t count = 0;
    for (size_t i = 0; i < n->from->n_gres; i++)
        for (size_t k = 0; gres_is(want, n->gres[i].from) && k < n->gres[i].from->n_index; k++)
            count += ignores_holds(q) || n->gres[i].owner[k] == FREE;
    return count;
}

/* Memory a step names for a task's share of a node; 0: none. */
static uint64_t mem_per_task(const struct ask *q)
{
    uint64_t mib = q->spec->mem_per_cpu_mib;
    return mib == MEM_ALL || mib > UINT64_MAX / q->cpus_per_task ? 0 : mib * q->cpus_per_task;
}

static uint64_t mem_per_node(const struct ask *q)
{
    return q->spec->mem_per_node_mib == MEM_ALL ? 0 : q->spec->mem_per_node_mib;
}

static uint64_t mem_free(const struct ask *q, const struct pool_node *n)
{
    uint64_t held = ignores_holds(q) ? 0 : n->mem_held;
    return n->from->mem_mib > held ? n->from->mem_mib - held : 0;
}

static uint64_t cap_by_mem(struct ask *q, const struct pool_node *n, uint64_t cap)
{
    uint64_t fits = cap;
    if (mem_per_node(q) > mem_free(q, n))
        fits = 0;
    if (mem_per_task(q) > 0 && mem_free(q, n) / mem_per_task(q) < fits)
        fits = mem_free(q, n) / mem_per_task(q);
    q->short_mem |= fits < cap;
    return fits;
}

static uint64_t cap_by_gres(struct ask *q, const struct pool_node *n, uint64_t cap)
{
    uint64_t fits = cap;
    for (size_t i = 0; i < q->spec->n_gres; i++) {
        const Sl__GresReq *want = q->spec->gres[i];
        uint64_t have = gres_free(q, n, want);
        if (want->per == SL__GRES_PER__GRES_PER_NODE && have < want->count)
            fits = 0;
        else if (want->per == SL__GRES_PER__GRES_PER_TASK && have / want->count < fits)
            fits = have / want->count;
        else if (want->per == SL__GRES_PER__GRES_PER_JOB && have == 0)
            fits = 0;
    }
    q->short_gres |= fits < cap;
    return fits;
}

/* How many of the step's tasks the node can take. */
static uint32_t node_cap(const struct pool *p, struct ask *q, uint32_t i)
{
    const struct pool_node *n = &p->node[i];
    uint64_t cpus = (uint64_t)cores_free(q, n) * core_cpus(p, q, n);
    uint64_t cap = cpus / q->cpus_per_task;
    if (n->lost || (q->barred && q->barred[i]))
        return 0;
    if (q->spec->overcommit && cpus > 0)
        cap = q->ntasks;
    if (q->ntasks_per_node && cap > q->ntasks_per_node)
        cap = q->ntasks_per_node;
    cap = cap_by_gres(q, n, cap_by_mem(q, n, cap));
    return cap > UINT32_MAX ? UINT32_MAX : (uint32_t)cap;
}

/* ---- choosing nodes --------------------------------------------------------------------------- */

static int choice_order(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void choice_take(struct choice *c, const uint32_t *cap, bool *taken, uint32_t node)
{
    taken[node] = true;
    c->index[c->count++] = node;
    c->room += cap[node];
}

/* Trades the smallest chosen node for the largest one left, while that helps. */
static void choice_improve(const struct ask *q, struct choice *c, const uint32_t *cap,
                           bool *taken, uint32_t count)
{
    while (c->room < q->ntasks) {
        uint32_t small = c->count, large = count;
        for (uint32_t i = 0; i < c->count; i++)
            if (!(q->required && q->required[c->index[i]]) &&
                (small == c->count || cap[c->index[i]] < cap[c->index[small]]))
                small = i;
        for (uint32_t i = 0; i < count; i++)
            if (!taken[i] && (large == count || cap[i] > cap[large]))
                large = i;
        if (small == c->count || large == count || cap[large] <= cap[c->index[small]])
            return;
        c->room += cap[large] - cap[c->index[small]];
        taken[c->index[small]] = false;
        taken[large] = true;
        c->index[small] = large;
    }
}

/* Required nodes, then others in order until both nodes and room are enough. */
static bool choose(const struct pool *p, struct ask *q, struct choice *c)
{
    uint32_t *cap = arena_alloc(q->arena, p->count * sizeof(*cap) + 1);
    bool *taken = arena_alloc(q->arena, p->count * sizeof(*taken) + 1);

    c->count = 0;
    c->room = 0;
    c->index = arena_alloc(q->arena, p->count * sizeof(*c->index) + 1);
    for (uint32_t i = 0; i < p->count; i++) {
        cap[i] = node_cap(p, q, i);
        if (!q->required || !q->required[i])
            continue;
        if (cap[i] == 0)
            return false;
        choice_take(c, cap, taken, i);
    }
    for (uint32_t i = 0; i < p->count && c->count < q->nodes_max; i++) {
        if (c->count >= q->nodes_min && c->room >= q->ntasks)
            break;
        if (!taken[i] && cap[i] > 0)
            choice_take(c, cap, taken, i);
    }
    choice_improve(q, c, cap, taken, p->count);
    qsort(c->index, c->count, sizeof(*c->index), choice_order);
    c->cap = arena_alloc(q->arena, c->count * sizeof(*c->cap) + 1);
    for (uint32_t i = 0; i < c->count; i++)
        c->cap[i] = cap[c->index[i]];
    return c->count >= q->nodes_min && c->count > 0 && c->room >= q->ntasks;
}

/* ---- taking ---------------------------------------------------------------------------------------- */

/* `want` cores, free ones before those that are shared with other steps. */
static char *cores_take(const struct ask *q, struct pool_node *n, uint32_t want)
{
    uint64_t set[BIND_MASK_WORDS] = {0};
    for (int shared = 0; shared < 2 && want > 0; shared++)
        for (uint32_t i = 0; i < n->cores && want > 0; i++) {
            if ((n->owner[i] != FREE) != shared || (shared && !q->spec->overlap))
                continue;
            for (uint32_t t = 0; t < n->threads; t++) {
                uint32_t pu = n->pu[i * n->threads + t];
                if (pu < PUS_MAX)
                    set[pu / 64] |= UINT64_C(1) << (pu % 64);
            }
            if (!q->spec->overlap) {
                n->owner[i] = q->step_id;
                n->held++;
            }
            want--;
        }
    return set_text(set, q->arena);
}

static void gres_take(const struct ask *q, struct pool_node *n, const Sl__GresReq *want,
                      uint64_t count, Sl__StepNode *out)
{
    for (size_t i = 0; i < n->from->n_gres && count > 0; i++) {
        struct pool_gres *g = &n->gres[i];
        if (!gres_is(want, g->from))
            continue;
        Sl__GresAlloc *got = arena_alloc(q->arena, sizeof(*got));
        sl__gres_alloc__init(got);
        got->name = g->from->name;
        got->type = g->from->type;
        got->index = arena_alloc(q->arena, g->from->n_index * sizeof(*got->index) + 1);
        for (size_t k = 0; k < g->from->n_index && count > 0; k++) {
            if (g->owner[k] != FREE && !q->spec->overlap)
                continue;
            if (!q->spec->overlap)
                g->owner[k] = q->step_id;
            got->index[got->n_index++] = g->from->index[k];
            count--;
        }
        if (got->n_index > 0)
            out->gres[out->n_gres++] = got;
    }
}

static void mem_take(const struct ask *q, struct pool_node *n, uint64_t mib)
{
    if (mib == 0 || q->spec->overlap)
        return;
    struct pool_mem *m = xcalloc(1, sizeof(*m));
    m->step_id = q->step_id;
    m->mib = mib;
    m->next = n->mem;
    n->mem = m;
    n->mem_held += mib;
}

/* How many of a gres that is counted for the whole step each chosen node gives: dealt one
 * by one, so that no node gives much more than another. */
static uint64_t *gres_shares(const struct pool *p, const struct ask *q, const struct choice *c,
                             const Sl__GresReq *want)
{
    uint64_t *share = arena_alloc(q->arena, c->count * sizeof(*share) + 1);
    uint64_t left = want->count, before = left + 1;
    while (left > 0 && left < before) {
        before = left;
        for (uint32_t i = 0; i < c->count && left > 0; i++)
            if (share[i] < gres_free(q, &p->node[c->index[i]], want)) {
                share[i]++;
                left--;
            }
    }
    return share;
}

static uint64_t gres_wanted(const Sl__GresReq *want, uint32_t tasks, const uint64_t *share,
                            uint32_t i)
{
    switch (want->per) {
    case SL__GRES_PER__GRES_PER_TASK:
        return want->count * tasks;
    case SL__GRES_PER__GRES_PER_JOB:
        return share[i];
    default:
        return want->count;
    }
}

/* A step's part of the i-th chosen node. share: by request, of those counted for the step. */
static Sl__StepNode *node_take(struct pool *p, const struct ask *q, const struct choice *c,
                               uint32_t i, uint32_t tasks, uint64_t *const *share)
{
    uint32_t index = c->index[i];
    const Sl__StepSpec *spec = q->spec;
    struct pool_node *n = &p->node[index];
    Sl__StepNode *out = arena_alloc(q->arena, sizeof(*out));
    uint32_t per_core = core_cpus(p, q, n), want = cores_free(q, n);

    sl__step_node__init(out);
    out->alloc_index = index;
    out->tasks = arena_alloc(q->arena, tasks * sizeof(*out->tasks) + 1);
    if (q->exact) {
        uint64_t need = ((uint64_t)tasks * q->cpus_per_task + per_core - 1) / per_core;
        want = need < want ? (uint32_t)need : want;
    }
    out->cpus = cores_take(q, n, want);
    uint64_t mem = mem_per_node(q) ? mem_per_node(q) : mem_per_task(q) * tasks;
    mem_take(q, n, mem);
    out->mem_mib = mem ? mem : n->from->mem_mib;
    if (spec->n_gres == 0 && !spec->gres_none) {
        out->gres = n->from->gres;
        out->n_gres = n->from->n_gres;
        return out;
    }
    out->gres = arena_alloc(q->arena, (spec->n_gres * n->from->n_gres + 1) * sizeof(*out->gres));
    for (size_t k = 0; k < spec->n_gres; k++)
        gres_take(q, n, spec->gres[k], gres_wanted(spec->gres[k], tasks, share[k], i), out);
    return out;
}

static void layout_take(struct pool *p, const struct ask *q, const struct choice *c,
                        const struct layout *l, Sl__StepLayout *out)
{
    Sl__StepNode **by_choice = arena_alloc(q->arena, c->count * sizeof(Sl__StepNode *) + 1);
    uint64_t **share = arena_alloc(q->arena, q->spec->n_gres * sizeof(*share) + 1);

    for (size_t i = 0; i < q->spec->n_gres; i++)
        if (q->spec->gres[i]->per == SL__GRES_PER__GRES_PER_JOB)
            share[i] = gres_shares(p, q, c, q->spec->gres[i]);
    out->nodes = arena_alloc(q->arena, c->count * sizeof(Sl__StepNode *) + 1);
    for (uint32_t i = 0; i < c->count; i++)
        if (l->tasks_per_node[i] > 0)
            out->nodes[out->n_nodes++] = by_choice[i] =
                node_take(p, q, c, i, l->tasks_per_node[i], share);
    for (uint32_t r = 0; r < l->ntasks; r++) {
        Sl__StepNode *n = by_choice[l->rank_node[r]];
        n->tasks[n->n_tasks++] = r;
    }
    out->job_id = p->alloc->job_id;
    out->restart = p->alloc->restart;
    out->step_id = q->step_id;
    out->ntasks = l->ntasks;
}

/* ---- the request --------------------------------------------------------------------------------------- */

static int mark_hosts(const struct pool *p, const char *text, bool must_be_ours, bool *mark,
                      uint32_t *count, struct err *err)
{
    struct hostlist *hl = hostlist_create(text, err);
    int rc = hl ? 0 : err->code;
    for (size_t i = 0; rc == 0 && i < hostlist_count(hl); i++) {
        const char *name = hostlist_nth(hl, i);
        uint32_t k = 0;
        while (k < p->count && strcmp(p->node[k].from->name, name) != 0)
            k++;
        if (k == p->count && must_be_ours)
            rc = err_set(err, SL_EBAD_CONFIG,
                         "Requested node configuration is not available: node %s is not in the "
                         "job's allocation", name);
        if (k == p->count)
            continue;
        *count += !mark[k];
        mark[k] = true;
    }
    hostlist_destroy(hl);
    return rc;
}

/* --nodelist, --exclude and --relative. *usable, *required: how many nodes. */
static int ask_hosts(const struct pool *p, struct ask *q, uint32_t *usable, uint32_t *required,
                     struct err *err)
{
    const Sl__StepSpec *spec = q->spec;
    uint32_t barred = 0;
    int rc = 0;

    *required = 0;
    if (spec->nodelist[0]) {
        q->required = arena_alloc(q->arena, p->count + 1);
        rc = mark_hosts(p, spec->nodelist, true, q->required, required, err);
    }
    if (rc == 0 && (spec->exclude[0] || spec->relative)) {
        q->barred = arena_alloc(q->arena, p->count + 1);
        rc = mark_hosts(p, spec->exclude, false, q->barred, &barred, err);
    }
    for (uint32_t i = 0; rc == 0 && spec->relative && i + 1 < spec->relative && i < p->count; i++) {
        barred += !q->barred[i];
        q->barred[i] = true;
    }
    *usable = p->count - barred;
    return rc;
}

static int ask_init(const struct pool *p, struct ask *q, struct err *err)
{
    const Sl__StepSpec *spec = q->spec;
    uint32_t usable, required;
    int rc = ask_hosts(p, q, &usable, &required, err);

    if (rc < 0)
        return rc;
    q->cpus_per_task = spec->cpus_per_task ? spec->cpus_per_task : 1;
    q->ntasks_per_node = spec->ntasks_per_node;
    q->exact = spec->exact || spec->exclusive;
    q->ntasks = spec->ntasks;
    q->nodes_min = spec->nodes_min > required ? spec->nodes_min : required;
    if (q->nodes_min == 0)
        q->nodes_min = q->ntasks ? 1 : usable;
    q->nodes_max = spec->nodes_max ? spec->nodes_max : spec->nodes_min ? spec->nodes_min : usable;
    if (q->nodes_max < q->nodes_min)
        q->nodes_max = q->nodes_min;
    if (q->nodes_min > usable || q->nodes_min == 0)
        return err_set(err, SL_EBAD_CONFIG,
                       "Requested node configuration is not available: %u nodes of the job's "
                       "allocation can be used, the step needs %u", usable, q->nodes_min);
    if (q->ntasks == 0)
        q->ntasks = q->nodes_min * (q->ntasks_per_node ? q->ntasks_per_node : 1);
    if (q->nodes_min > q->ntasks && required <= q->ntasks) /* no use for a node without task */
        q->nodes_min = q->nodes_max = q->ntasks;
    for (size_t i = 0; i < spec->n_gres; i++)
        if (spec->gres[i]->per == SL__GRES_PER__GRES_PER_SOCKET)
            return err_set(err, SL_ENOT_BUILT, "not built yet: gres per socket in a step");
        else if (spec->gres[i]->count == 0)
            return err_set(err, SL_EINVAL_GRES, "%s: a count of zero", spec->gres[i]->name);
    return 0;
}

/* Gres counted for the whole step must be there on the chosen nodes together. */
static bool gres_enough(const struct pool *p, struct ask *q, const struct choice *c)
{
    for (size_t i = 0; i < q->spec->n_gres; i++) {
        const Sl__GresReq *want = q->spec->gres[i];
        uint64_t have = 0;
        if (want->per != SL__GRES_PER__GRES_PER_JOB)
            continue;
        for (uint32_t k = 0; k < c->count; k++)
            have += gres_free(q, &p->node[c->index[k]], want);
        if (have < want->count) {
            q->short_gres = true;
            return false;
        }
    }
    return true;
}

static int never(const struct ask *q, struct err *err)
{
    if (q->short_gres)
        return err_set(err, SL_EINVAL_GRES,
                       "Invalid generic resource (gres) specification: the job's allocation does "
                       "not have what the step asks for");
    if (q->short_mem)
        return err_set(err, SL_EBAD_CONFIG, "Memory required by task is not available");
    return err_set(err, SL_EBAD_CONFIG, "More processors requested than permitted");
}

/* What layout_make() is to share out: room in tasks, whatever set it, told as cpus. With
 * --overcommit it sees the real cpus, over which it spreads what is too much. */
static uint32_t *layout_cpus(const struct pool *p, const struct ask *q, const struct choice *c)
{
    uint32_t *cpus = arena_alloc(q->arena, c->count * sizeof(*cpus) + 1);
    for (uint32_t i = 0; i < c->count; i++) {
        const struct pool_node *n = &p->node[c->index[i]];
        uint64_t told = q->spec->overcommit ? (uint64_t)cores_free(q, n) * core_cpus(p, q, n)
                                            : (uint64_t)c->cap[i] * q->cpus_per_task;
        cpus[i] = told > UINT32_MAX ? UINT32_MAX : (uint32_t)told;
    }
    return cpus;
}

/* Could the step run if no other were there? */
static int ask_check(const struct pool *p, struct ask *q, struct err *err)
{
    struct choice c;
    int rc = ask_init(p, q, err);
    if (rc < 0)
        return rc;
    q->ideal = true;
    bool fits = choose(p, q, &c) && gres_enough(p, q, &c);
    q->ideal = false;
    return fits ? 0 : never(q, err);
}

int pool_fits(const struct pool *p, const Sl__StepSpec *spec, struct arena *a, struct err *err)
{
    struct ask q = {.spec = spec, .arena = a};
    return ask_check(p, &q, err);
}

int pool_place(struct pool *p, const Sl__StepSpec *spec, uint32_t step_id, struct arena *a,
               Sl__StepLayout **out, struct err *err)
{
    struct ask q = {.spec = spec, .step_id = step_id, .arena = a};
    struct choice c;
    struct layout l;

    int rc = ask_check(p, &q, err);
    if (rc < 0)
        return rc;
    if (!choose(p, &q, &c) || !gres_enough(p, &q, &c))
        return err_set(err, SL_EBUSY_NODES, "%s", err_name(SL_EBUSY_NODES));
    rc = layout_make(layout_cpus(p, &q, &c), c.count, q.ntasks, q.cpus_per_task,
                     q.ntasks_per_node, spec->distribution, spec->overcommit, a, &l, err);
    if (rc < 0)
        return rc;
    *out = arena_alloc(a, sizeof(**out));
    sl__step_layout__init(*out);
    layout_take(p, &q, &c, &l, *out);
    return 0;
}

void pool_hold(struct pool *p, const Sl__StepLayout *layout)
{
    for (size_t i = 0; i < layout->n_nodes; i++) {
        if (layout->nodes[i]->alloc_index >= p->count)
            continue;
        struct pool_node *n = &p->node[layout->nodes[i]->alloc_index];
        for (uint32_t k = 0; k < n->cores; k++)
            n->owner[k] = layout->step_id;
        n->held = n->cores;
    }
}

void pool_release(struct pool *p, uint32_t step_id)
{
    for (uint32_t i = 0; i < p->count; i++) {
        struct pool_node *n = &p->node[i];
        for (uint32_t k = 0; n->held > 0 && k < n->cores; k++)
            if (n->owner[k] == step_id) {
                n->owner[k] = FREE;
                n->held--;
            }
        for (size_t g = 0; g < n->from->n_gres; g++)
            for (size_t k = 0; k < n->gres[g].from->n_index; k++)
                if (n->gres[g].owner[k] == step_id)
                    n->gres[g].owner[k] = FREE;
        for (struct pool_mem **at = &n->mem; *at;) {
            struct pool_mem *m = *at;
            if (m->step_id != step_id) {
                at = &m->next;
                continue;
            }
            *at = m->next;
            n->mem_held -= m->mib;
            free(m);
        }
    }
}

void pool_node_lost(struct pool *p, uint32_t alloc_index)
{
    if (alloc_index < p->count)
        p->node[alloc_index].lost = true;
}
