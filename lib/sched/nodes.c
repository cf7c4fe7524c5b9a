/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/timeline.h"

#include "base/buf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static uint64_t name_key(const char *name)
{
    uint64_t key = hash_bytes(name, strlen(name));
    return key == UINT64_MAX ? 0 : key; /* which idmap has no place for */
}

long core_node_find(const struct core *c, const char *name)
{
    uint32_t at = idmap_get(&c->node_by_name, name_key(name));
    if (at == UINT32_MAX)
        return -1;
    if (strcmp(c->node[at].name, name) == 0)
        return at;
    for (uint32_t i = 0; i < c->nodes; i++) /* two names of one key */
        if (strcmp(c->node[i].name, name) == 0)
            return i;
    return -1;
}

size_t core_node_count(const struct core *c)
{
    return c->nodes;
}

uint32_t nodes_add(struct core *c, const char *name)
{
    uint32_t i = c->nodes++;
    GROW(c->node, c->nodes_cap, c->nodes);
    struct node *n = &c->node[i];
    memset(n, 0, sizeof *n);
    n->name = xstrdup(name);
    if (idmap_get(&c->node_by_name, name_key(name)) == UINT32_MAX)
        idmap_put(&c->node_by_name, name_key(name), i);
    n->shape = NONE;
    n->weight = 1;
    for (uint32_t k = 0; k < i; k++) {
        if (strverscmp(c->node[k].name, name) < 0)
            n->order++;
        else
            c->node[k].order++;
    }
    c->words = (uint32_t)BS_WORDS(c->nodes);
    c->nodes_gen++;
    return i;
}

static void node_fini(struct core *c, struct node *n)
{
    free(n->name);
    free(n->addr_conf);
    free(n->gres_conf);
    free(n->features_conf);
    free(n->features_set);
    free(n->gres_set);
    free(n->comment);
    free(n->reason);
    free(n->core_used);
    free(n->partitions_text);
    free(n->gres_text);
    free(n->gres_used_text);
    if (n->reg)
        sl__node_register__free_unpacked(n->reg, NULL);
    shape_drop(c, n->shape);
    pools_free(c, n->pool, n->pools_count);
}

void nodes_fini(struct core *c)
{
    for (uint32_t i = 0; i < c->nodes; i++)
        node_fini(c, &c->node[i]);
    free(c->node);
}

void nodes_reason(struct node *n, const char *reason, uint32_t uid, usec_t now)
{
    free(n->reason);
    n->reason = reason && reason[0] ? xstrdup(reason) : NULL;
    n->reason_uid = uid;
    n->reason_time = n->reason ? now : 0;
}

const char *nodes_features(const struct node *n)
{
    if (n->features_set)
        return n->features_set;
    if (n->features_conf && n->features_conf[0])
        return n->features_conf;
    return n->reg ? n->reg->features : "";
}

uint32_t nodes_weight(const struct node *n)
{
    return n->weight;
}

bool nodes_up(const struct node *n)
{
    return n->shape != NONE && !n->drain && !n->fail && !n->future && !n->invalid_reg &&
           (n->down == DOWN_NONE || n->down == DOWN_SILENT);
}

bool nodes_usable(const struct node *n)
{
    return nodes_up(n) && n->down == DOWN_NONE && n->connected;
}

void nodes_changed(struct core *c, uint32_t i, struct batch *out)
{
    plan_afresh(c);
    timeline_afresh(c, i);
    models_forget(c, i);
    nodes_used(c, i);
    if (!out)
        return;
    batch_change(out, CHANGE_NODE, i, 0);
    batch_change(out, CHANGE_NODE_EVENT, i, 0);
}

void nodes_used(struct core *c, uint32_t i)
{
    struct node *n = &c->node[i];
    free(n->gres_text);
    free(n->gres_used_text);
    n->gres_text = n->gres_used_text = NULL;
    rooms_node(c, i);
}

void nodes_given(struct core *c, uint32_t i, struct batch *out)
{
    nodes_used(c, i);
    if (out)
        batch_change(out, CHANGE_NODE, i, 0);
}

void nodes_room(const struct node *n, struct room *r, bool empty)
{
    memset(r, 0, sizeof *r);
    r->cores = empty ? n->cores : n->cores_free;
    r->mem = n->mem - (empty || n->mem_used > n->mem ? (empty ? 0 : n->mem) : n->mem_used);
    r->jobs = empty ? 0 : n->jobs_count;
    r->exclusive = empty ? 0 : n->exclusive;
    for (uint32_t p = 0; p < n->pools_count; p++)
        r->gres[p] = empty ? n->pool[p].count : n->pool[p].free;
    for (uint32_t p = 0; n->gpus && p < n->pools_count; p++)
        for (uint32_t i = 0; n->pool[p].first != NONE && i < n->pool[p].count; i++) {
            uint32_t g = n->pool[p].first + i;
            r->gpu[g] = (uint16_t)(empty                            ? n->gpu_whole
                                   : bs_test(n->pool[p].used, i) ? 0
                                                                    : n->gpu_whole - n->gpu_shared[g]);
        }
    if (n->gpus)
        room_shares(n, r);
}

/* ---- capacity -------------------------------------------------------------------------- */

/* Takes over what jobs hold when the table of a busy node is made again. */
static void pools_keep(struct pool *fresh, uint32_t n, const struct pool *old, uint32_t m)
{
    for (uint32_t i = 0; i < n && i < m; i++) {
        if (fresh[i].share || old[i].share) {
            fresh[i].free -= fresh[i].share == old[i].share ? old[i].count - old[i].free : 0;
            continue;
        }
        size_t words = BS_WORDS(old[i].count < fresh[i].count ? old[i].count
                                                              : fresh[i].count);
        memcpy(fresh[i].used, old[i].used, words * sizeof *fresh[i].used);
        fresh[i].free = fresh[i].count - (uint32_t)bs_count(fresh[i].used,
                                                             BS_WORDS(fresh[i].count));
    }
}

/* A GPU of which a job holds a share is not free as a whole. */
static void gpus_keep(const struct node *n, struct pool *pool, uint32_t count)
{
    for (uint32_t p = 0; p < count; p++)
        for (uint32_t i = 0; pool[p].first != NONE && i < pool[p].count; i++)
            pool[p].free -= n->gpu_shared[pool[p].first + i] != 0;
}

int nodes_capacity(struct core *c, uint32_t i, struct err *err)
{
    struct node *n = &c->node[i];
    struct pool *pool = NULL;
    uint32_t pools = 0;
    if (!n->reg || !n->reg->topo)
        return 0;
    uint32_t shape = shape_get(c, n->reg->topo, err);
    if (shape == NONE)
        return err_prefix(err, "node %s", n->name);
    const char *set = n->gres_set ? n->gres_set : n->gres_conf;
    int rc = n->reg->n_gres || !set || !set[0]
                 ? pools_read(c, &c->shape[shape], n->reg->gres, n->reg->n_gres, &pool,
                              &pools, err)
                 : pools_parse(c, set, &pool, &pools, err);
    if (rc < 0) {
        shape_drop(c, shape);
        return err_prefix(err, "node %s", n->name);
    }
    if (n->jobs_count && n->shape != shape) { /* busy: another machine under its name */
        shape_drop(c, shape);
        pools_free(c, pool, pools);
        return err_set(err, SL_EINVAL_NODE,
                       "node %s holds jobs but registered with other hardware", n->name);
    }
    uint32_t gpus, whole;
    rc = pools_share(c, pool, pools, &gpus, &whole, err);
    if (rc == 0 && n->jobs_count && (gpus != n->gpus || whole != n->gpu_whole))
        rc = err_set(err, SL_EINVAL_NODE, "it holds jobs, but has %u GPUs in %u parts now", gpus,
                     whole);
    if (rc < 0) {
        shape_drop(c, shape);
        pools_free(c, pool, pools);
        return err_prefix(err, "node %s", n->name);
    }
    pools_keep(pool, pools, n->pool, n->pools_count);
    gpus_keep(n, pool, pools);
    n->gpus = gpus;
    n->gpu_whole = whole;
    pools_free(c, n->pool, n->pools_count);
    n->pool = pool;
    n->pools_count = pools;
    if (n->shape != shape) {
        shape_drop(c, n->shape);
        n->shape = shape;
        n->cores = n->cores_free = c->shape[shape].cores;
        n->threads = c->shape[shape].threads;
        free(n->core_used);
        n->core_used = c->shape[shape].pool
                           ? NULL
                           : xcalloc(BS_WORDS(n->cores), sizeof *n->core_used);
    } else {
        shape_drop(c, shape); /* the reference it has is enough */
    }
    n->mem = n->mem_conf && n->mem_conf < n->reg->mem_mib ? n->mem_conf : n->reg->mem_mib;
    n->invalid_reg = n->cpus_conf > n->cores * n->threads || n->mem_conf > n->reg->mem_mib;
    c->nodes_gen++;
    timeline_afresh(c, i);
    return 0;
}

/* ---- registration ------------------------------------------------------------------------- */

static Sl__NodeRegister *reg_copy(const Sl__NodeRegister *reg)
{
    Sl__NodeRegister slim = *reg;
    slim.n_jobs = slim.n_reports = 0;
    size_t n = sl__node_register__get_packed_size(&slim);
    uint8_t *p = xmalloc(n);
    sl__node_register__pack(&slim, p);
    Sl__NodeRegister *r = sl__node_register__unpack(NULL, n, p);
    free(p);
    ASSERT(r);
    return r;
}

static bool reg_has(const Sl__NodeRegister *reg, const struct job *j)
{
    for (size_t i = 0; i < reg->n_jobs; i++)
        if (reg->jobs[i]->job_id == j->id && reg->jobs[i]->restart == j->restart)
            return true;
    return false;
}

/* What the node runs and we know nothing of, or gave up: end it there. What is ours is told
 * whether it is suspended: that message may have been lost with the former link. */
static void reg_orphans(struct core *c, uint32_t i, const Sl__NodeRegister *reg,
                        struct batch *out)
{
    for (size_t k = 0; k < reg->n_jobs; k++) {
        const Sl__NodeJob *nj = reg->jobs[k];
        struct job *j = job_find(c, nj->job_id);
        bool ours = false;
        for (uint32_t a = 0; j && j->alloc && j->restart == nj->restart && a < j->alloc->count; a++)
            ours = ours || (j->alloc->node[a].node == i && !j->alloc->node[a].clean &&
                            j->state <= JOB_SUSPENDED && j->state != JOB_PENDING);
        if (ours && (j->state == JOB_SUSPENDED || j->suspended_total))
            suspend_send(c, j, i, j->state == JOB_SUSPENDED, out);
        if (ours)
            continue;
        struct effect *e = batch_effect(out, EFFECT_TERMINATE);
        e->job_id = nj->job_id;
        e->restart = nj->restart;
        e->node = i;
        e->term.kill_wait = c->policy.kill_wait;
        e->term.state = JOB_CANCELLED;
    }
}

/* The a-th node of a run is lost. --no-kill: the run goes on, unless that node was the
 * home of its script. */
static void job_node_fail(struct core *c, struct job *j, uint32_t a, usec_t now,
                          struct batch *out)
{
    struct alloc_node *an = &j->alloc->node[a];
    an->clean = true;
    alloc_give_node(c, j, an);
    j->alloc->unclean--;
    if (j->no_kill && a != 0 && an->launched)
        job_changed(c, j, out, true);
    else
        job_end(c, j, JOB_NODE_FAIL, REASON_NODE_FAIL, 0,
                j->requeue ? THEN_REQUEUE : THEN_NOTHING, now, out, "NODE FAILURE");
}

/* Our jobs there: not confirmed and absent: launch again; confirmed and absent: lost. After
 * a reboot an unconfirmed one may have run, with its reports lost: lost as well, since it
 * must not run twice under one number. */
static void reg_expected(struct core *c, uint32_t i, const Sl__NodeRegister *reg,
                         bool rebooted, usec_t now, struct batch *out)
{
    for (uint32_t k = 0; k < c->jobs; k++) {
        struct job *j = c->job[k];
        for (uint32_t a = 0; j->alloc && a < j->alloc->count; a++) {
            struct alloc_node *an = &j->alloc->node[a];
            if (an->node != i || an->clean)
                continue;
            if (reg_has(reg, j)) {
                if (!(j->flags & JOBF_COMPLETING))
                    step_cancels_send(c, j, i, out);
                break;
            }
            if (j->flags & JOBF_COMPLETING) {
                job_node_clean(c, j, i, now, out);
            } else if (!an->launched && !rebooted) {
                struct effect *e = batch_effect(out, EFFECT_LAUNCH_NODE);
                e->job_id = j->id;
                e->restart = j->restart;
                e->node = i;
            } else {
                job_node_fail(c, j, a, now, out);
            }
            break;
        }
    }
}

int nodes_enrol(struct core *c, const Sl__NodeRegister *reg, usec_t now,
                   struct batch *out, struct err *err)
{
    long at = core_node_find(c, reg->name);
    if (!reg->topo)
        return err_set(err, SL_EINVAL_NODE, "node %s registered without a topology", reg->name);
    if (at < 0 && !c->dynamic_nodes)
        return err_set(err, SL_EINVAL_NODE, "node %s is not in the configuration", reg->name);
    if (at < 0 && c->nodes >= NODES_MAX)
        return err_set(err, SL_ETOO_MANY, "more than %u nodes", NODES_MAX);
    bool fresh = at < 0;
    uint32_t i = fresh ? nodes_add(c, reg->name) : (uint32_t)at;
    struct node *n = &c->node[i];
    Sl__NodeRegister *old = n->reg;
    bool rebooted = old && strcmp(old->boot_id, reg->boot_id) != 0;
    n->reg = reg_copy(reg);
    int rc = nodes_capacity(c, i, err);
    if (rc < 0) {
        sl__node_register__free_unpacked(n->reg, NULL);
        n->reg = old;
        if (fresh)
            parts_derive(c);
        return rc;
    }
    if (old)
        sl__node_register__free_unpacked(old, NULL);
    n->connected = true;
    n->lost_at = 0;
    n->last_seen = now;
    if (n->down == DOWN_SILENT || (n->down == DOWN_REBOOT && c->policy.return_to_service == 2)) {
        n->down = DOWN_NONE;
        nodes_reason(n, NULL, 0, now);
    }
    if (rebooted && n->jobs_count == 0)
        n->last_busy = 0;
    parts_derive(c);
    reg_orphans(c, i, reg, out);
    reg_expected(c, i, reg, rebooted, now, out);
    nodes_changed(c, i, out);
    return 0;
}

void nodes_set_lost(struct core *c, uint32_t i, usec_t now, struct batch *out)
{
    struct node *n = &c->node[i];
    if (!n->connected)
        return;
    n->connected = false;
    n->lost_at = now;
    timer_add(c, now + c->policy.node_timeout, TIMER_NODE, i);
    nodes_changed(c, i, out);
}

/* Jobs on a node that is given up: their part there is gone. */
static void node_jobs_fail(struct core *c, uint32_t i, usec_t now, struct batch *out)
{
    for (uint32_t k = 0; k < c->jobs; k++) {
        struct job *j = c->job[k];
        for (uint32_t a = 0; j->alloc && a < j->alloc->count; a++) {
            struct alloc_node *an = &j->alloc->node[a];
            if (an->node != i || an->clean)
                continue;
            if (!(j->flags & JOBF_COMPLETING)) {
                if (c->node[i].connected) /* given up by an operator, but it listens */
                    terminate(c, j, i, c->policy.kill_wait, out, "NODE FAILURE");
                job_node_fail(c, j, a, now, out);
            } else {
                job_node_clean(c, j, i, now, out);
            }
            break;
        }
    }
}

void nodes_set_down(struct core *c, uint32_t i, enum down_cause why, const char *reason,
                usec_t now, struct batch *out)
{
    struct node *n = &c->node[i];
    n->down = why;
    n->lost_at = 0;
    nodes_reason(n, reason, 0, now);
    node_jobs_fail(c, i, now, out);
    nodes_changed(c, i, out);
}

/* ---- scontrol update nodename= ---------------------------------------------------------------- */

static int node_state_set(struct core *c, uint32_t i, const char *value,
                          const struct actor *who, usec_t now, struct batch *out,
                          struct err *err)
{
    struct node *n = &c->node[i];
    if (strcasecmp(value, "DRAIN") == 0 || strcasecmp(value, "FAIL") == 0) {
        if (!n->reason)
            return err_set(err, SL_EINVAL_FIELD, "You must specify a reason when DOWNING a node: give Reason=");
        if (strcasecmp(value, "FAIL") == 0)
            n->fail = true;
        else
            n->drain = true;
    } else if (strcasecmp(value, "DOWN") == 0) {
        if (!n->reason)
            return err_set(err, SL_EINVAL_FIELD, "You must specify a reason when DOWNING a node: give Reason=");
        char *reason = xstrdup(n->reason);
        nodes_set_down(c, i, DOWN_ADMIN, reason, now, out);
        n->reason_uid = who->uid;
        free(reason);
    } else if (strcasecmp(value, "RESUME") == 0 || strcasecmp(value, "IDLE") == 0 ||
               strcasecmp(value, "UNDRAIN") == 0) {
        n->drain = n->fail = false;
        if (strcasecmp(value, "UNDRAIN") != 0)
            n->down = DOWN_NONE;
        nodes_reason(n, NULL, 0, now);
    } else {
        return err_set(err, SL_EINVAL_FIELD,
                       "Invalid node state specified: State=%s (DRAIN, RESUME, UNDRAIN, DOWN, IDLE, FAIL)",
                       value);
    }
    return 0;
}

int nodes_change(struct core *c, const char *name, const char *key, const char *value,
                 const struct actor *who, usec_t now, struct batch *out, struct err *err)
{
    long at = core_node_find(c, name);
    int rc = 0;
    if (!who->admin)
        return err_set(err, SL_EACCESS, "%s", err_name(SL_EACCESS));
    if (at < 0)
        return err_set(err, SL_EINVAL_NODE, "Invalid node name specified: %s", name);
    struct node *n = &c->node[at];
    if (strcasecmp(key, "Reason") == 0) {
        nodes_reason(n, value, who->uid, now);
    } else if (strcasecmp(key, "State") == 0) {
        rc = node_state_set(c, (uint32_t)at, value, who, now, out, err);
    } else if (strcasecmp(key, "Weight") == 0) {
        uint64_t w;
        rc = num_parse_u64(key, value, 0, UINT32_MAX, &w, err);
        if (rc == 0) {
            n->weight = (uint32_t)w;
            n->weight_set = true;
            c->nodes_gen++;
        }
    } else if (strcasecmp(key, "Features") == 0 || strcasecmp(key, "AvailableFeatures") == 0 ||
               strcasecmp(key, "ActiveFeatures") == 0) {
        free(n->features_set);
        n->features_set = xstrdup(value);
        c->nodes_gen++;
    } else if (strcasecmp(key, "Comment") == 0) {
        free(n->comment);
        n->comment = xstrdup(value);
    } else {
        rc = err_set(err, SL_EINVAL_FIELD,
                     "Update of node field %s is not built, or there is none", key);
    }
    if (rc == 0)
        nodes_changed(c, (uint32_t)at, out);
    return rc;
}
