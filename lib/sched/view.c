/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading: what the controller shows.
 */
#include "sched/het.h"
#include "sched/model.h"

#include "base/buf.h"
#include "base/hostlist.h"
#include "job/jobspec.h"
#include "sched/advres.h"
#include "sched/kin.h"
#include "sched/license.h"
#include "sched/request.h"
#include "sched/tres.h"

#include <errno.h>
#include <hwloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint32_t core_job_next(const struct core *c, uint32_t cursor, uint32_t *job_id)
{
    uint32_t lo = 0, hi = c->jobs;
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        if (c->job[mid]->id <= cursor)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo == c->jobs)
        return UINT32_MAX;
    *job_id = c->job[lo]->id;
    return *job_id;
}

size_t core_job_count(const struct core *c, bool pending_only)
{
    return pending_only ? c->pending : c->jobs;
}

uint32_t core_job_task(const struct core *c, uint32_t array_job_id, uint32_t task_id)
{
    const struct array *a = array_job_id ? kin_array(c, array_job_id) : NULL;
    const struct job *t = a ? kin_task(a, task_id) : NULL;
    if (t)
        return t->id;
    return a && a->rest && task_waits(a->rest, task_id) ? a->rest->id : 0;
}

static const char *alloc_nodelist(const struct core *c, struct alloc *a)
{
    if (!a->nodelist) {
        struct hostlist *hl = hostlist_create("", NULL);
        for (uint32_t i = 0; i < a->count; i++)
            hostlist_push(hl, c->node[a->node[i].node].name, NULL);
        a->nodelist = hostlist_ranged(hl);
        hostlist_destroy(hl);
    }
    return a->nodelist;
}

/* Of the share pool: what the node's GPUs are held by, in its units. */
static uint32_t shares_held(const struct node *n, const struct alloc_node *k, uint32_t p)
{
    uint32_t parts = 0;
    for (uint32_t g = 0; k->gpu && g < n->gpus; g++)
        parts += k->gpu[g];
    return parts * n->pool[p].share / n->gpu_whole;
}

/* What an allocation has of gres of that name and type (0: any). */
static uint32_t gres_held(const struct core *c, const struct alloc *a, uint32_t name, uint32_t type,
                          bool share)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < a->count; i++) {
        const struct node *n = &c->node[a->node[i].node];
        for (uint32_t p = 0; p < n->pools_count; p++)
            if (a->node[i].gres[p] && n->pool[p].name == name && (!type || n->pool[p].type == type))
                sum += (uint32_t)bs_count(a->node[i].gres[p], BS_WORDS(n->pool[p].count));
            else if (share && n->pool[p].name == name)
                sum += shares_held(n, &a->node[i], p);
    }
    return sum;
}

/* --exclusive: it has gres that it did not name. */
static void tres_gres_more(const struct core *c, const struct job *j, struct buf *b)
{
    const struct request *q = &c->request[j->request];
    uint32_t said[GRES_POOLS_MAX + GRES_ITEMS_MAX], n = 0;
    for (uint32_t g = 0; g < q->gres_count; g++)
        said[n++] = q->gres[g].name;
    for (uint32_t i = 0; i < j->alloc->count; i++) {
        const struct alloc_node *k = &j->alloc->node[i];
        for (uint32_t p = 0; p < c->node[k->node].pools_count; p++) {
            uint32_t name = c->node[k->node].pool[p].name, at = 0;
            while (at < n && said[at] != name)
                at++;
            if (!k->gres[p] || at < n || n == sizeof said / sizeof *said)
                continue;
            said[n++] = name;
            buf_printf(b, ",gres/%s=%u", text_of(c, name), gres_held(c, j->alloc, name, 0, false));
        }
    }
}

static void tres_gres(const struct core *c, const struct job *j, struct buf *b)
{
    const struct alloc *a = j->alloc;
    const struct request *q = &c->request[j->request];
    struct request_size size;
    if (!a) {
        request_size(q, &size);
        for (uint32_t i = 0; i < q->gres_count; i++)
            buf_printf(b, ",gres/%s%s%s=%u", text_of(c, q->gres[i].name),
                       q->gres[i].type ? ":" : "", text_of(c, q->gres[i].type), size.gres[i]);
        return;
    }
    for (uint32_t g = 0; g < q->gres_count; g++)
        buf_printf(b, ",gres/%s%s%s=%u", text_of(c, q->gres[g].name),
                   q->gres[g].type ? ":" : "", text_of(c, q->gres[g].type),
                   gres_held(c, a, q->gres[g].name, q->gres[g].type, q->gres[g].share));
    if (job_exclusive(c, j))
        tres_gres_more(c, j, b);
}

static const char *tres_text(const struct core *c, const struct job *j, uint32_t cpus,
                             uint64_t mem, uint32_t nodes, struct arena *a)
{
    struct buf b;
    char size[SIZE_TEXT_MAX];
    buf_init(&b);
    buf_printf(&b, "cpu=%u", cpus);
    if (mem)
        buf_printf(&b, ",mem=%s", mem_format_mib(mem, size));
    buf_printf(&b, ",node=%u,billing=%llu", nodes, (unsigned long long)tres_billing((struct core *)c, j));
    tres_gres(c, j, &b);
    license_text(c, &c->request[j->request], &b);
    const char *text = arena_strdup(a, buf_str(&b));
    buf_fini(&b);
    return text;
}

void job_ran(struct core *c, struct job *j)
{
    struct arena *a = &c->scratch;
    arena_reset(a);
    intern_drop(&c->text, j->ran_on);
    intern_drop(&c->text, j->ran_tres);
    intern_drop(&c->text, j->ran_host);
    j->ran_nodes = j->alloc->count;
    j->ran_cpus = j->alloc->cpus;
    j->ran_mem = j->alloc->mem;
    j->ran_on = intern_text(&c->text, alloc_nodelist(c, j->alloc));
    j->ran_host = intern_text(&c->text, c->node[j->alloc->node[0].node].name);
    j->ran_tres = intern_text(&c->text, tres_text(c, j, j->ran_cpus, j->ran_mem, j->ran_nodes, a));
}

static void view_wide(const struct core *c, struct job *j, struct job_view *v)
{
    struct arena *a = &((struct core *)c)->scratch;
    struct request_size size;
    arena_reset(a);
    request_size(&c->request[j->request], &size);
    v->spec = spec_unpack(c, j, a);
    ((Sl__JobSpec *)v->spec)->dependency = depend_text(c, j, a);
    v->tres_req = tres_text(c, j, size.cpus, size.mem_mib, size.nodes, a);
    if (j->state != JOB_PENDING) {
        v->nodelist = text_of(c, j->ran_on);
        v->batch_host = text_of(c, j->ran_host);
        v->tres_alloc = text_of(c, j->ran_tres);
    }
    if (j->rest_count) {
        char *ids = array_format(a, j->rest, j->rest_count);
        v->array_text = j->throttle ? arena_printf(a, "%s%%%u", ids, j->throttle) : ids;
    }
    if (j->alloc)
        placement_report(c, j->alloc, v);
}

/* A pass does not visit the jobs of a class that has failed: they have its reason. */
static enum job_reason job_reason(const struct core *c, const struct job *j)
{
    const struct job *leader = j->gate == GATE_HET && j->het_offset ? het_part(c, j, 0) : NULL;
    if (leader && j->state == JOB_PENDING)
        j = leader;
    if (j->reason == REASON_NONE && j->queued && c->class[j->class].failed_pass)
        return (enum job_reason)c->class[j->class].reason;
    return (enum job_reason)j->reason;
}

bool core_job_view(const struct core *c, uint32_t job_id, bool wide, struct job_view *v)
{
    struct job *j = job_find(c, job_id);
    struct request_size size;
    if (!j)
        return false;
    request_size(&c->request[j->request], &size);
    bool ran = j->state != JOB_PENDING && j->ran_nodes;
    enum job_reason reason = job_reason(c, j);
    *v = (struct job_view){
        .job_id = j->id, .restart = j->restart, .array_job_id = j->array_id,
        .array_task_id = j->is_task ? j->array_task : 0, .is_array_task = j->is_task,
        .is_array_rest = j->rest_count != 0, .array_rest = j->rest,
        .het_id = j->het_id, .het_offset = j->het_offset, .het_size = j->het_size,
        .array_rest_count = j->rest_count, .array_throttle = j->throttle,
        .array_count = j->array_count, .array_min = j->array_min, .array_max = j->array_max,
        .array_step = j->array_step, .type = j->type, .cancelled_by = j->cancelled_by,
        .array_text = "", .state = (enum job_state)j->state, .flags = j->flags,
        .reason = reason, .reason_text = job_reason_name(reason),
        .uid = j->uid, .gid = j->gid, .user = text_of(c, j->user), .name = text_of(c, j->name),
        .partition = text_of(c, j->partition ? j->partition : j->parts),
        .account = text_of(c, j->account), .qos = text_of(c, j->qos),
        .priority = j->hold ? 0 : j->priority, .nice = j->nice, .assoc_id = j->assoc, .submit = j->submit,
        .eligible = j->eligible, .start = j->start, .end = j->end, .deadline = j->deadline,
        .suspended_since = j->suspended_since, .suspended_total = j->suspended_total,
        .start_estimate = j->estimate, .exit_status = j->exit_status,
        .derived_exit = j->derived_exit, .nodelist = "", .batch_host = "", .tres_req = "",
        .tres_alloc = "", .client_lost = j->client_lost,
        .last_run_state = (enum job_state)j->last_state, .last_run_end = j->last_end,
        .last_run_exit = j->last_exit,
        .nodes_count = ran ? j->ran_nodes : size.nodes,
        .cpus = ran ? j->ran_cpus : size.cpus,
        .mem_mib = ran ? j->ran_mem : size.mem_mib,
        .ntasks = size.ntasks};
    v->time_limit = j->limit;
    if (j->limit == 0) {
        char first[NAME_LEN_MAX + 1];
        snprintf(first, sizeof first, "%.*s", (int)strcspn(text_of(c, j->parts), ","),
                 text_of(c, j->parts));
        long p = parts_find(c, first);
        v->time_limit = p >= 0 ? parts_limit(&c->part[p], 0) : SPAN_INFINITE;
    }
    if (wide)
        view_wide(c, j, v);
    return true;
}

/* ---- the allocation as the wire carries it ------------------------------------------- */

static char *bitmap_text(hwloc_bitmap_t set, struct arena *a)
{
    char *text = NULL;
    hwloc_bitmap_list_asprintf(&text, set);
    char *out = arena_strdup(a, text ? text : "");
    free(text);
    return out;
}

static void node_gres(const struct core *c, const struct node *n, const struct alloc_node *k,
                      Sl__AllocNode *out, struct arena *a)
{
    out->gres = arena_alloc(a, (n->pools_count + 1) * sizeof *out->gres);
    for (uint32_t p = 0; p < n->pools_count; p++) {
        bool shared = false; /* GPUs of which it has a share are its to use */
        for (uint32_t i = 0; k->gpu && n->pool[p].first != NONE && i < n->pool[p].count; i++)
            shared = shared || k->gpu[n->pool[p].first + i];
        if (!k->gres[p] && !shared)
            continue;
        Sl__GresAlloc *g = arena_alloc(a, sizeof *g);
        sl__gres_alloc__init(g);
        g->name = (char *)text_of(c, n->pool[p].name);
        g->type = (char *)text_of(c, n->pool[p].type);
        g->index = arena_alloc(a, (n->pool[p].count + 1) * sizeof *g->index);
        for (uint32_t i = 0; i < n->pool[p].count; i++)
            if ((k->gres[p] && bs_test(k->gres[p], i)) ||
                (shared && k->gpu[n->pool[p].first + i]))
                g->index[g->n_index++] = i;
        out->gres[out->n_gres++] = g;
    }
}

/* Where cores have several threads, steps need to know which PUs belong together. */
static void node_core_pus(const struct node *n, const struct shape *s,
                          const struct alloc_node *k, Sl__AllocNode *out, struct arena *a)
{
    if (s->threads < 2)
        return;
    out->threads = s->threads;
    out->core_pus = arena_alloc(a, (size_t)k->cores * s->threads * sizeof *out->core_pus + 1);
    BS_EACH(i, k->core, core_words(n))
    {
        for (uint32_t t = 0; t < s->threads && out->n_core_pus < (size_t)k->cores * s->threads; t++)
            out->core_pus[out->n_core_pus++] = s->core_pu[i * s->threads + t];
    }
}

static Sl__AllocNode *node_message(const struct core *c, const struct alloc_node *k,
                                   struct arena *a)
{
    const struct node *n = &c->node[k->node];
    const struct shape *s = &c->shape[n->shape];
    hwloc_bitmap_t cpus = hwloc_bitmap_alloc(), mems = hwloc_bitmap_alloc();
    Sl__AllocNode *out = arena_alloc(a, sizeof *out);
    sl__alloc_node__init(out);
    out->name = n->name;
    out->addr = n->addr_conf && n->addr_conf[0] ? n->addr_conf
                : n->reg && n->reg->addr[0]     ? n->reg->addr
                                                : n->name;
    out->port = n->port_conf ? n->port_conf : n->reg ? n->reg->port : 0;
    BS_EACH(i, k->core, core_words(n))
    {
        for (uint32_t t = 0; t < s->threads; t++)
            if (s->core_pu[i * s->threads + t] != NONE)
                hwloc_bitmap_set(cpus, s->core_pu[i * s->threads + t]);
        hwloc_bitmap_set(mems, s->numa_os[s->core_numa[i]]);
    }
    out->cpus = bitmap_text(cpus, a);
    out->mems = bitmap_text(mems, a);
    node_core_pus(n, s, k, out, a);
    out->cpus_count = k->cores * n->threads;
    out->mem_mib = k->mem;
    out->ntasks = k->tasks;
    if (c->fabric)
        topology_address(c, k->node, a, &out->topology_addr, &out->topology_pattern);
    node_gres(c, n, k, out, a);
    hwloc_bitmap_free(cpus);
    hwloc_bitmap_free(mems);
    return out;
}

uint32_t core_job_nodes(const struct core *c, uint32_t job_id)
{
    const struct job *j = job_find(c, job_id);
    return j && j->alloc ? j->alloc->count : 0;
}

uint32_t core_job_node(const struct core *c, uint32_t job_id, uint32_t i)
{
    const struct job *j = job_find(c, job_id);
    return j && j->alloc && i < j->alloc->count ? j->alloc->node[i].node : UINT32_MAX;
}

bool core_job_spread(const struct core *c, uint32_t job_id, uint32_t *leafs, double *hops)
{
    const struct job *j = job_find(c, job_id);
    uint32_t last = NONE, links = 0;
    *leafs = 0;
    if (!c->fabric || !j || !j->alloc || j->alloc->count == 0)
        return false;
    for (uint32_t i = 0; i < j->alloc->count; i++) {
        const struct node *n = &c->node[j->alloc->node[i].node];
        if (n->line == FABRIC_NO)
            return false;
        if (i)
            links += fabric_hops(c->fabric, c->node[j->alloc->node[i - 1].node].line, n->line);
        *leafs += n->leaf != last; /* ranks go along the fabric */
        last = n->leaf;
    }
    *hops = j->alloc->count > 1 ? (double)links / (j->alloc->count - 1) : 0;
    return true;
}

Sl__Allocation *core_job_alloc(const struct core *c, uint32_t job_id, struct arena *a)
{
    struct job *j = job_find(c, job_id);
    if (!j || !j->alloc || j->alloc->count == 0)
        return NULL;
    Sl__Allocation *m = arena_alloc(a, sizeof *m);
    sl__allocation__init(m);
    m->job_id = j->id;
    m->restart = j->restart;
    m->partition = (char *)text_of(c, j->partition);
    m->start = j->start;
    m->end = j->limit == SPAN_INFINITE ? INT64_MAX : j->start + j->limit;
    m->nodelist = arena_strdup(a, alloc_nodelist(c, j->alloc));
    m->nodes = arena_alloc(a, j->alloc->count * sizeof *m->nodes);
    m->n_nodes = j->alloc->count;
    for (uint32_t i = 0; i < j->alloc->count; i++)
        m->nodes[i] = node_message(c, &j->alloc->node[i], a);
    return m;
}

/* ---- nodes ----------------------------------------------------------------------------- */

/* A GPU of which only shares are held is not counted: they are. */
static uint32_t pool_used(const struct pool *p)
{
    return p->first != NONE ? (uint32_t)bs_count(p->used, BS_WORDS(p->count)) : p->count - p->free;
}

static const char *gres_text(const struct core *c, struct node *n, bool used)
{
    char **at = used ? &n->gres_used_text : &n->gres_text;
    struct buf b;
    if (*at)
        return *at;
    buf_init(&b);
    for (uint32_t p = 0; p < n->pools_count; p++)
        buf_printf(&b, "%s%s%s%s:%u", b.len ? "," : "", text_of(c, n->pool[p].name),
                   n->pool[p].type ? ":" : "", text_of(c, n->pool[p].type),
                   used ? pool_used(&n->pool[p]) : n->pool[p].count);
    char *text = buf_steal(&b);
    *at = text ? text : xstrdup("");
    return *at;
}

static const char *node_partitions(const struct core *c, uint32_t i)
{
    struct node *n = &c->node[i];
    struct buf b;
    if (n->partitions_text)
        return n->partitions_text;
    buf_init(&b);
    for (uint32_t p = 0; p < c->parts; p++)
        if (core_partition_has(c, p, i))
            buf_printf(&b, "%s%s", b.len ? "," : "", c->part[p].conf.name);
    char *text = buf_steal(&b);
    n->partitions_text = text ? text : xstrdup("");
    return n->partitions_text;
}

static enum node_state node_state(const struct node *n, uint32_t *flags)
{
    *flags = (n->drain ? NODEF_DRAIN : 0) | (n->fail ? NODEF_FAIL : 0) |
             (n->completing ? NODEF_COMPLETING : 0) |
             (n->invalid_reg ? NODEF_INVALID_REG : 0) |
             (n->shape != NONE && !n->connected ? NODEF_NO_RESPOND : 0);
    if (n->future)
        return NODE_FUTURE;
    if (n->down != DOWN_NONE)
        return NODE_DOWN;
    if (n->shape == NONE)
        return NODE_UNKNOWN;
    if (n->jobs_count == n->completing)
        return NODE_IDLE;
    return n->cores_free == 0 || n->exclusive ? NODE_ALLOCATED : NODE_MIXED;
}

size_t core_node_free(const struct core *c, uint32_t index, uint32_t *cpus, uint16_t *gpu_milli,
                      size_t cap)
{
    const struct node *n = &c->node[index];
    size_t gpus = 0;
    *cpus = n->cores_free * n->threads;
    for (uint32_t p = 0; p < n->pools_count; p++)
        for (uint32_t i = 0; n->pool[p].name == c->gpu_name && i < n->pool[p].count && gpus < cap;
             i++) {
            uint32_t g = n->pool[p].first + i;
            uint32_t taken = bs_test(n->pool[p].used, i)   ? 1000
                             : n->pool[p].first == NONE ? 0
                                                           : 1000 * n->gpu_shared[g] / n->gpu_whole;
            gpu_milli[gpus++] = (uint16_t)(1000 - taken);
        }
    return gpus;
}

const char *core_node_name(const struct core *c, uint32_t index)
{
    return c->node[index].name;
}

bool core_node_view(const struct core *c, uint32_t index, struct node_view *v)
{
    if (index >= c->nodes)
        return false;
    struct node *n = &c->node[index];
    const Sl__NodeRegister *r = n->reg;
    memset(v, 0, sizeof *v);
    v->index = index;
    v->name = n->name;
    v->addr = n->addr_conf && n->addr_conf[0] ? n->addr_conf : r ? r->addr : n->name;
    v->hostname = r ? r->hostname : "";
    v->port = n->port_conf ? n->port_conf : r ? r->port : 0;
    v->state = node_state(n, &v->flags);
    v->flags |= advres_node_flags(c, index);
    v->reason = n->reason ? n->reason : "";
    v->comment = n->comment ? n->comment : "";
    v->reason_uid = n->reason_uid;
    v->reason_time = n->reason_time;
    v->sockets = n->shape != NONE ? c->shape[n->shape].sockets : 1;
    v->cores = n->cores / v->sockets; /* a socket's */
    v->threads = n->shape != NONE ? n->threads : 1;
    v->cpus = n->shape != NONE ? n->cores * n->threads : n->cpus_conf;
    v->cpus_alloc = n->exclusive ? v->cpus : (n->cores - n->cores_free) * n->threads;
    v->weight = n->weight;
    v->mem_mib = n->shape != NONE ? n->mem : n->mem_conf;
    v->mem_alloc_mib = n->mem_used;
    v->mem_free_mib = n->mem_free_mib;
    v->tmp_mib = r ? r->tmp_disk_mib : 0;
    v->gres = gres_text(c, n, false);
    v->gres_used = gres_text(c, n, true);
    v->features = nodes_features(n);
    v->partitions = node_partitions(c, index);
    v->version = r ? r->version : "";
    v->arch = r ? r->arch : "";
    v->os = r ? r->os : "";
    v->load1 = n->load1;
    v->boot_time = r ? r->boot_time : 0;
    v->daemon_start = r ? r->daemon_start : 0;
    v->last_seen = n->last_seen;
    v->last_busy = n->last_busy;
    v->jobs_count = n->jobs_count;
    v->connected = n->connected;
    return true;
}

bool core_node_has_user(const struct core *c, uint32_t index, uint32_t uid)
{
    for (uint32_t i = 0; i < c->running.count; i++) {
        const struct job *j = c->running.v[i];
        for (uint32_t k = 0; j->uid == uid && k < j->alloc->count; k++)
            if (j->alloc->node[k].node == index && !j->alloc->node[k].clean)
                return true;
    }
    return false;
}

/* ---- partitions and steps ------------------------------------------------------------------ */

size_t core_partition_count(const struct core *c)
{
    return c->parts;
}

bool core_partition_has(const struct core *c, uint32_t partition, uint32_t node)
{
    return partition < c->parts && node < c->nodes && bs_test(c->part[partition].nodes, node);
}

bool core_partition_view(const struct core *c, uint32_t index, struct partition_view *v)
{
    if (index >= c->parts)
        return false;
    struct partition *p = &c->part[index];
    memset(v, 0, sizeof *v);
    v->conf = p->conf;
    v->nodes_total = p->nodes_count;
    if (!p->nodes_text) {
        struct hostlist *hl = hostlist_create("", NULL);
        BS_EACH(i, p->nodes, c->words)
        hostlist_push(hl, c->node[i].name, NULL);
        hostlist_sort(hl);
        p->nodes_text = hostlist_ranged(hl);
        hostlist_destroy(hl);
    }
    BS_EACH(i, p->nodes, c->words)
    v->cpus_total += c->node[i].cores * c->node[i].threads;
    v->nodes_text = p->nodes_text;
    return true;
}

size_t core_step_count(const struct core *c, uint32_t job_id)
{
    const struct job *j = job_find(c, job_id);
    return j ? j->steps_count : 0;
}

const Sl__StepRecord *core_step_at(const struct core *c, uint32_t job_id, size_t i)
{
    const struct job *j = job_find(c, job_id);
    return j && i < j->steps_count ? j->steps[i] : NULL;
}
