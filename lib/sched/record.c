/* SPDX-License-Identifier: Apache-2.0
 *
 * The core's records: record.proto. A job's packed specification is written as the three
 * interned runs of bytes that it is kept as, so that saving needs no unpacking.
 */
#include "sched/model.h"

#include "base/buf.h"
#include "sched/advres.h"
#include "sched/kin.h"
#include "sched/record.pb-c.h"
#include "sched/priority.h"
#include "sched/request.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void put(struct buf *out, const ProtobufCMessage *m)
{
    size_t n = protobuf_c_message_get_packed_size(m);
    buf_reserve(out, n);
    protobuf_c_message_pack(m, (uint8_t *)out->data + out->len);
    out->len += n;
    out->data[out->len] = '\0';
}

static ProtobufCBinaryData interned(const struct intern *p, uint32_t id)
{
    return (ProtobufCBinaryData){.len = intern_len(p, id), .data = (uint8_t *)intern_str(p, id)};
}

/* ---- save ---------------------------------------------------------------------------- */

static Sl__AllocNodeRecord *save_alloc_node(const struct core *c, const struct alloc_node *k,
                                            struct arena *a)
{
    const struct node *n = &c->node[k->node];
    Sl__AllocNodeRecord *r = arena_alloc(a, sizeof *r);
    sl__alloc_node_record__init(r);
    r->node = n->name;
    r->tasks = k->tasks;
    r->mem_mib = k->mem;
    r->launched = k->launched;
    r->clean = k->clean;
    r->cores.data = (uint8_t *)k->core;
    r->cores.len = core_words(n) * 8;
    r->pool_cores = core_words(n) ? 0 : k->cores;
    r->gres = arena_alloc(a, (n->pools_count + 1) * sizeof *r->gres);
    for (uint32_t p = 0; p < n->pools_count; p++) {
        if (!k->gres[p])
            continue;
        Sl__GresTaken *g = arena_alloc(a, sizeof *g);
        sl__gres_taken__init(g);
        g->name = (char *)text_of(c, n->pool[p].name);
        g->type = (char *)text_of(c, n->pool[p].type);
        g->index = arena_alloc(a, (n->pool[p].count + 1) * sizeof *g->index);
        BS_EACH(i, k->gres[p], BS_WORDS(n->pool[p].count))
        g->index[g->n_index++] = (uint32_t)i;
        r->gres[r->n_gres++] = g;
    }
    r->gpu = arena_alloc(a, (n->gpus + 1) * sizeof *r->gpu);
    for (uint32_t g = 0; k->gpu && g < n->gpus; g++)
        r->gpu[r->n_gpu++] = k->gpu[g];
    return r;
}

static void save_lists(const struct core *c, const struct job *j, Sl__JobRecord *r,
                       struct arena *a)
{
    uint32_t n = j->alloc ? j->alloc->count : 0;
    r->nodes = arena_alloc(a, (n + 1) * sizeof *r->nodes);
    for (uint32_t i = 0; i < n; i++)
        r->nodes[r->n_nodes++] = save_alloc_node(c, &j->alloc->node[i], a);
    r->deps = arena_alloc(a, (j->deps_count + 1) * sizeof *r->deps);
    for (uint32_t i = 0; i < j->deps_count; i++) {
        Sl__DependencyRecord *d = arena_alloc(a, sizeof *d);
        sl__dependency_record__init(d);
        d->kind = j->deps[i].kind;
        d->state = j->deps[i].state;
        d->job_id = j->deps[i].target;
        d->task = j->deps[i].task;
        d->delay = j->deps[i].delay;
        d->due = j->deps[i].due;
        r->deps[r->n_deps++] = d;
    }
    r->steps = arena_alloc(a, (j->steps_count + 1) * sizeof *r->steps);
    for (uint32_t i = 0; i < j->steps_count; i++) {
        size_t len = sl__step_record__get_packed_size(j->steps[i]);
        r->steps[i].data = arena_alloc(a, len + 1);
        r->steps[i].len = sl__step_record__pack(j->steps[i], r->steps[i].data);
    }
    r->n_steps = j->steps_count;
}

/* Fields of equal name in struct job and JobRecord. */
#define SAME_FIELDS(X)                                                          \
    X(restart) X(array_id) X(array_task) X(is_task) X(throttle) X(array_count)  \
    X(array_min) X(array_max) X(array_step) X(uid) X(gid) X(nice) X(priority)   \
    X(state) X(flags) X(reason) X(type) X(hold) X(requeue) X(client_lost)       \
    X(limit_given) X(exit_status) X(derived_exit) X(launch_failures)            \
    X(cancelled_by) X(submit) X(eligible) X(begin) X(start) X(end) X(deadline)  \
    X(limit) X(suspended_since) X(suspended_total) X(deps_any) X(then) \
    X(ran_nodes) X(ran_cpus) X(ran_mem) X(warn_signal) X(warn_sec)              \
    X(warn_batch) X(warn_sent) X(kill_dep) X(no_kill) X(array_failed) X(advres_id) X(until) \
    X(preempt_at) X(predicted) X(limit_min) X(limit_asked) X(alone) X(why) X(why_job) X(placed_by) X(placed_leafs) \
    X(het_id) X(het_offset) X(het_size)

bool core_job_save(const struct core *c, uint32_t job_id, struct buf *out)
{
    const struct job *j = job_find(c, job_id);
    struct arena *a = &((struct core *)c)->scratch;
    Sl__JobRecord r = SL__JOB_RECORD__INIT;
    char *parts[1];
    if (!j)
        return false;
    arena_reset(a);
    r.job_id = j->id;
#define X(f) r.f = j->f;
    SAME_FIELDS(X)
#undef X
    r.priority_fixed = j->prio_fixed;
    r.rest = j->rest;
    r.n_rest = j->rest_count;
    r.shape = interned(&c->request_keys, j->request);
    r.tail = interned(&c->blobs, j->tail);
    r.ident = interned(&c->blobs, j->ident);
    r.user = (char *)text_of(c, j->user);
    r.name = (char *)text_of(c, j->name);
    r.account = (char *)text_of(c, j->account);
    r.qos = (char *)text_of(c, j->qos);
    r.partition = (char *)text_of(c, j->partition);
    r.ran_on = (char *)text_of(c, j->ran_on);
    r.ran_tres = (char *)text_of(c, j->ran_tres);
    r.ran_host = (char *)text_of(c, j->ran_host);
    parts[0] = (char *)text_of(c, j->parts);
    r.partitions = parts;
    r.n_partitions = 1;
    save_lists(c, j, &r, a);
    put(out, &r.base);
    return true;
}

bool core_node_save(const struct core *c, uint32_t index, struct buf *out)
{
    Sl__NodeRecord r = SL__NODE_RECORD__INIT;
    if (index >= c->nodes)
        return false;
    const struct node *n = &c->node[index];
    struct buf reg;
    buf_init(&reg);
    r.name = n->name;
    if (n->reg) {
        put(&reg, &n->reg->base);
        r.registration.data = (uint8_t *)reg.data;
        r.registration.len = reg.len;
    }
    r.drain = n->drain;
    r.fail = n->fail;
    r.down = n->down;
    r.reason = n->reason ? n->reason : (char *)"";
    r.reason_uid = n->reason_uid;
    r.reason_time = n->reason_time;
    r.features_given = n->features_set != NULL;
    r.features_set = n->features_set ? n->features_set : (char *)"";
    r.weight = n->weight;
    r.weight_set = n->weight_set;
    r.comment = n->comment ? n->comment : (char *)"";
    r.last_busy = n->last_busy;
    r.dynamic = !n->configured;
    put(out, &r.base);
    buf_fini(&reg);
    return true;
}

bool core_partition_save(const struct core *c, uint32_t index, struct buf *out)
{
    Sl__PartitionRecord r = SL__PARTITION_RECORD__INIT;
    if (index >= c->parts)
        return false;
    const struct partition *p = &c->part[index];
    Sl__Override *v = xcalloc(p->overrides_count, sizeof *v);
    r.overrides = xcalloc(p->overrides_count, sizeof *r.overrides);
    r.n_overrides = p->overrides_count;
    r.name = (char *)p->conf.name;
    for (size_t i = 0; i < p->overrides_count; i++) {
        sl__override__init(&v[i]);
        v[i].key = p->override[i].key;
        v[i].value = p->override[i].value;
        r.overrides[i] = &v[i];
    }
    put(out, &r.base);
    free(r.overrides);
    free(v);
    return true;
}

void core_meta_save(const struct core *c, struct buf *out)
{
    Sl__MetaRecord r = SL__META_RECORD__INIT;
    r.job_id_next = c->job_id_next;
    r.priority_next = c->priority_next;
    r.advres_next = c->advres_next;
    put(out, &r.base);
}

/* ---- load ------------------------------------------------------------------------------ */

int core_meta_load(struct core *c, const void *p, size_t n, struct err *err)
{
    Sl__MetaRecord *r = sl__meta_record__unpack(NULL, n, p);
    if (!r)
        return err_set(err, SL_EPROTO, "the record of the counters does not parse");
    c->advres_next = r->advres_next ? r->advres_next : 1;
    c->job_id_next = r->job_id_next ? r->job_id_next : c->policy.job_id_first;
    c->priority_next = r->priority_next ? r->priority_next : PRIORITY_TOP;
    sl__meta_record__free_unpacked(r, NULL);
    return 0;
}

int core_node_load(struct core *c, const void *p, size_t len, struct err *err)
{
    Sl__NodeRecord *r = sl__node_record__unpack(NULL, len, p);
    int rc = 0;
    if (!r)
        return err_set(err, SL_EPROTO, "a node's record does not parse");
    long at = core_node_find(c, r->name);
    uint32_t i = at >= 0 ? (uint32_t)at : nodes_add(c, r->name);
    struct node *n = &c->node[i];
    n->drain = n->drain || r->drain;
    n->fail = r->fail;
    if (r->down && n->down == DOWN_NONE)
        n->down = (enum down_cause)r->down;
    if (r->reason[0])
        nodes_reason(n, r->reason, r->reason_uid, r->reason_time);
    if (r->features_given)
        n->features_set = xstrdup(r->features_set);
    n->weight_set = r->weight_set;
    if (r->weight_set)
        n->weight = r->weight;
    if (r->comment[0])
        n->comment = xstrdup(r->comment);
    n->last_busy = r->last_busy;
    if (r->registration.len) {
        n->reg = sl__node_register__unpack(NULL, r->registration.len, r->registration.data);
        if (!n->reg)
            rc = err_set(err, SL_EPROTO, "node %s: its registration does not parse", n->name);
        else
            rc = nodes_capacity(c, i, err);
    }
    sl__node_record__free_unpacked(r, NULL);
    return rc;
}

int core_partition_load(struct core *c, const void *p, size_t n, struct err *err)
{
    Sl__PartitionRecord *r = sl__partition_record__unpack(NULL, n, p);
    int rc = 0;
    if (!r)
        return err_set(err, SL_EPROTO, "a partition's record does not parse");
    long at = parts_find(c, r->name);
    for (size_t i = 0; at >= 0 && rc == 0 && i < r->n_overrides; i++)
        rc = part_override(c, (uint32_t)at, r->overrides[i]->key, r->overrides[i]->value, err);
    sl__partition_record__free_unpacked(r, NULL);
    return rc;
}

static int load_alloc_node(struct core *c, const Sl__AllocNodeRecord *r,
                           struct alloc_node *k, struct err *err)
{
    long at = core_node_find(c, r->node);
    if (at < 0 || c->node[at].shape == NONE)
        return err_set(err, SL_EINVAL_NODE, "node %s is not known any more", r->node);
    const struct node *n = &c->node[at];
    if (r->cores.len != core_words(n) * 8)
        return err_set(err, SL_EPROTO, "node %s: a core set of %zu bytes", r->node, r->cores.len);
    k->node = (uint32_t)at;
    k->tasks = r->tasks;
    k->mem = r->mem_mib;
    k->launched = r->launched;
    k->clean = r->clean;
    k->cores = r->pool_cores;
    if (core_words(n)) {
        k->core = xcalloc(core_words(n), sizeof *k->core);
        memcpy(k->core, r->cores.data, r->cores.len);
        k->cores = (uint32_t)bs_count(k->core, core_words(n));
    }
    for (size_t i = 0; i < r->n_gres; i++) {
        const Sl__GresTaken *g = r->gres[i];
        for (uint32_t p = 0; p < n->pools_count; p++) {
            const struct pool *pool = &n->pool[p];
            if (strcmp(text_of(c, pool->name), g->name) != 0 ||
                strcmp(text_of(c, pool->type), g->type) != 0 || k->gres[p])
                continue;
            k->gres[p] = xcalloc(BS_WORDS(pool->count), sizeof *k->gres[p]);
            for (size_t x = 0; x < g->n_index; x++)
                if (g->index[x] < pool->count)
                    bs_set(k->gres[p], g->index[x]);
        }
    }
    if (r->n_gpu && r->n_gpu != n->gpus)
        return err_set(err, SL_EPROTO, "node %s: shares of %zu GPUs, not %u", r->node, r->n_gpu,
                       n->gpus);
    if (r->n_gpu)
        k->gpu = xcalloc(n->gpus, sizeof *k->gpu);
    for (uint32_t g = 0; g < r->n_gpu; g++) {
        if (r->gpu[g] > n->gpu_whole)
            return err_set(err, SL_EPROTO, "node %s: %u parts of a GPU of %u", r->node, r->gpu[g],
                           n->gpu_whole);
        k->gpu[g] = (uint16_t)r->gpu[g];
    }
    return 0;
}

static int load_alloc(struct core *c, struct job *j, const Sl__JobRecord *r, struct err *err)
{
    int rc = 0;
    bool holds = r->state == JOB_RUNNING || r->state == JOB_SUSPENDED ||
                 (r->flags & JOBF_COMPLETING);
    if (!holds)
        return 0;
    struct alloc *a = xcalloc(1, sizeof *a);
    alloc_set(c, j, a);
    a->node = xcalloc(r->n_nodes ? r->n_nodes : 1, sizeof *a->node);
    for (size_t i = 0; rc == 0 && i < r->n_nodes; i++) {
        struct alloc_node *k = &a->node[a->count++];
        rc = load_alloc_node(c, r->nodes[i], k, err);
        if (rc < 0)
            break;
        a->unclean += !k->clean;
        a->unlaunched += !k->launched;
        a->cpus += k->cores * c->node[k->node].threads;
        a->mem += k->mem;
    }
    if (rc < 0)
        alloc_free(c, j);
    else
        alloc_take(c, j);
    return rc;
}

static void load_lists(struct job *j, const Sl__JobRecord *r)
{
    if (r->n_rest) {
        j->rest = xmalloc(r->n_rest * sizeof *j->rest);
        memcpy(j->rest, r->rest, r->n_rest * sizeof *j->rest);
        j->rest_count = (uint32_t)r->n_rest;
    }
    for (size_t i = 0; i < r->n_deps && i < DEPS_MAX; i++) {
        j->deps = xrealloc(j->deps, (j->deps_count + 1) * sizeof *j->deps);
        j->deps[j->deps_count++] = (struct dep){
            .kind = (uint8_t)r->deps[i]->kind, .state = (uint8_t)r->deps[i]->state,
            .target = r->deps[i]->job_id, .task = r->deps[i]->task, .delay = r->deps[i]->delay, .due = r->deps[i]->due};
    }
    for (size_t i = 0; i < r->n_steps; i++) {
        Sl__StepRecord *s = sl__step_record__unpack(NULL, r->steps[i].len, r->steps[i].data);
        if (!s)
            continue;
        GROW(j->steps, j->steps_cap, j->steps_count + 1);
        j->steps[j->steps_count++] = s;
    }
}

static int job_fill_record(struct core *c, struct job *j, const Sl__JobRecord *r,
                           struct err *err)
{
    int rc = spec_load(c, j, r->shape, r->tail, r->ident, err);
    if (rc < 0)
        return rc;
    c->pending--; /* job_add counted it; its own state follows */
#define X(f) j->f = r->f;
    SAME_FIELDS(X)
#undef X
    c->pending += j->state == JOB_PENDING;
    j->prio_fixed = r->priority_fixed;
    j->expected = c->policy.predict ? j->predicted : 0;
    j->user = intern_text(&c->text, r->user);
    j->name = intern_text(&c->text, r->name);
    j->account = intern_text(&c->text, r->account);
    j->qos = intern_text(&c->text, r->qos);
    j->parts = intern_text(&c->text, r->n_partitions ? r->partitions[0] : "");
    j->partition = intern_text(&c->text, r->partition);
    j->ran_on = intern_text(&c->text, r->ran_on);
    j->ran_tres = intern_text(&c->text, r->ran_tres);
    j->ran_host = intern_text(&c->text, r->ran_host);
    load_lists(j, r);
    rc = load_alloc(c, j, r, err);
    kin_note(c, j);
    return rc;
}

int core_job_load(struct core *c, const void *p, size_t n, struct err *err)
{
    struct err own = {0};
    err = err ? err : &own;
    Sl__JobRecord *r = sl__job_record__unpack(NULL, n, p);
    if (!r)
        return err_set(err, SL_EPROTO, "a job's record does not parse");
    int rc;
    if (r->job_id == 0 || job_find(c, r->job_id) || r->state == 0 || r->state >= JOB_STATE_COUNT) {
        rc = err_set(err, SL_EPROTO, "a job's record has id %u and state %u", r->job_id, r->state);
    } else {
        struct job *j = job_add(c, r->job_id);
        rc = job_fill_record(c, j, r, err);
        if (rc < 0) {
            err_prefix(err, "job %u", r->job_id);
            job_drop(c, j, NULL);
        }
    }
    sl__job_record__free_unpacked(r, NULL);
    return rc;
}

/* The tier is derived from the partitions as they are now. */
static void load_tier(struct core *c, struct job *j)
{
    char *list = xstrdup(text_of(c, j->parts)), *save = NULL;
    for (char *p = strtok_r(list, ",", &save); p; p = strtok_r(NULL, ",", &save)) {
        long at = parts_find(c, p);
        if (at >= 0 && c->part[at].conf.priority_tier > j->tier)
            j->tier = c->part[at].conf.priority_tier;
    }
    free(list);
}

int core_load_end(struct core *c, usec_t now, struct err *err)
{
    c->now = now;
    c->loading = false;
    parts_derive(c);
    assocs_link(c);
    for (uint32_t i = 0; i < c->jobs; i++)
        tenant_follow(c, c->job[i], NULL);
    for (uint32_t i = 0; i < c->jobs; i++) {
        struct job *j = c->job[i];
        load_tier(c, j);
        gpu_target_note(c, &c->request[j->request], j->rest_count ? j->rest_count : 1);
        if (j->flags & JOBF_COMPLETING)
            for (uint32_t k = 0; j->alloc && k < j->alloc->count; k++)
                c->node[j->alloc->node[k].node].completing += !j->alloc->node[k].clean;
        if (j->state == JOB_PENDING)
            job_gate_load(c, j, now);
        if (j->alloc && j->state == JOB_RUNNING)
            job_limit_timers(c, j);
        if (j->preempt_at)
            timer_add(c, j->preempt_at, TIMER_PREEMPT, j->id);
        job_deadline_timer(c, j);
        if (job_state_finished((enum job_state)j->state) && !j->alloc)
            timer_add(c, j->end + c->policy.job_keep, TIMER_PURGE, j->id);
        if (j->client_lost && c->policy.inactive_limit)
            timer_add(c, now + c->policy.inactive_limit, TIMER_CLIENT, j->id);
    }
    for (uint32_t i = 0; i < c->nodes; i++) {
        struct node *n = &c->node[i];
        if (n->shape == NONE || n->down != DOWN_NONE)
            continue;
        n->lost_at = now;
        timer_add(c, now + c->policy.node_timeout, TIMER_NODE, i);
    }
    priority_start(c, now);
    advres_load_end(c);
    plan_afresh(c);
    return core_check(c, err);
}
