/* SPDX-License-Identifier: Apache-2.0 */
#include "persist.h"

#include "loop.h"
#include "users.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

struct ids { /* marked records; duplicates are dropped when sealed */
    uint32_t *v;
    size_t count, cap;
};

struct run { /* an allocation whose end is not recorded */
    uint32_t job_id;
    struct store_alloc row; /* strings are owned */
    UT_hash_handle hh;      /* by job_id */
};

struct digests { /* of a job submitted in this generation */
    uint32_t job_id;
    unsigned char script[32], env[32];
    UT_hash_handle hh; /* by job_id */
};

#define PREDICT_NAME "predict." /* and the page: meta records */

struct persist {
    struct store_txn *txn;
    struct ids jobs, nodes, partitions, resvs, predict, tenants[TENANT_KIND_COUNT];
    bool meta;
    struct run *runs;
    struct digests *digests;
};

struct persist *persist_create(void)
{
    struct persist *p = xcalloc(1, sizeof(*p));
    p->txn = store_txn_create();
    return p;
}

static void run_drop(struct persist *p, struct run *r)
{
    HASH_DEL(p->runs, r);
    free((char *)r->row.partition);
    free((char *)r->row.account);
    free((char *)r->row.user);
    free((char *)r->row.qos);
    free((char *)r->row.nodelist);
    free((char *)r->row.tres);
    free(r);
}

static void digests_clear(struct persist *p)
{
    struct digests *g, *next;
    HASH_ITER(hh, p->digests, g, next) {
        HASH_DEL(p->digests, g);
        free(g);
    }
}

void persist_destroy(struct persist *p)
{
    if (!p)
        return;
    while (p->runs)
        run_drop(p, p->runs);
    digests_clear(p);
    store_txn_destroy(p->txn);
    free(p->jobs.v);
    free(p->nodes.v);
    free(p->partitions.v);
    for (int k = 0; k < TENANT_KIND_COUNT; k++)
        free(p->tenants[k].v);
    free(p->resvs.v);
    free(p->predict.v);
    free(p);
}

static void ids_add(struct ids *l, uint32_t id)
{
    if (l->count && l->v[l->count - 1] == id)
        return;
    if (l->count == l->cap) {
        l->cap = l->cap ? 2 * l->cap : 256;
        l->v = xrealloc(l->v, l->cap * sizeof(*l->v));
    }
    l->v[l->count++] = id;
}

static int id_order(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void ids_settle(struct ids *l)
{
    size_t n = 0;
    if (l->count)
        qsort(l->v, l->count, sizeof(*l->v), id_order);
    for (size_t i = 0; i < l->count; i++)
        if (n == 0 || l->v[n - 1] != l->v[i])
            l->v[n++] = l->v[i];
    l->count = n;
}

/* ---- runs ------------------------------------------------------------------------- */

static struct run *run_find(struct persist *p, uint32_t job_id)
{
    struct run *r;
    HASH_FIND(hh, p->runs, &job_id, sizeof(job_id), r);
    return r;
}

static bool view_has_run(const struct job_view *v)
{
    return v->start != 0 && (v->state == JOB_RUNNING || v->state == JOB_SUSPENDED);
}

static struct run *run_open(struct ctld *d, uint32_t job_id)
{
    struct job_view v;

    if (!core_job_view(d->core, job_id, true, &v))
        return NULL;
    struct run *r = xcalloc(1, sizeof(*r));
    r->job_id = job_id;
    r->row = (struct store_alloc){.job_id = job_id,
                                  .restart = v.restart,
                                  .state = v.state,
                                  .nodes_count = v.nodes_count,
                                  .cpus = v.cpus,
                                  .mem_mib = v.mem_mib,
                                  .start = v.start,
                                  .suspended = v.suspended_total,
                                  .partition = xstrdup(v.partition),
                                  .account = xstrdup(v.account),
                                  .user = xstrdup(v.user),
                                  .qos = xstrdup(v.qos),
                                  .nodelist = xstrdup(v.nodelist),
                                  .tres = xstrdup(v.tres_alloc)};
    HASH_ADD(hh, d->persist->runs, job_id, sizeof(r->job_id), r);
    return r;
}

static void run_close(struct persist *p, struct run *r, enum job_state state, usec_t end,
                      uint32_t exit_status)
{
    r->row.state = state;
    r->row.end = end;
    r->row.exit_status = exit_status;
    store_txn_put_alloc(p->txn, &r->row);
    run_drop(p, r);
}

/* Follows one job from a change to the next: opens, refreshes and closes its run. */
static void run_follow(struct ctld *d, uint32_t job_id)
{
    struct persist *p = d->persist;
    struct run *r = run_find(p, job_id);
    struct job_view v;

    if (!core_job_view(d->core, job_id, false, &v)) {
        if (r)
            run_close(p, r, r->row.state, ctld_now(d), r->row.exit_status);
        return;
    }
    if (r && r->row.restart != v.restart) {
        run_close(p, r, v.last_run_state, v.last_run_end ? v.last_run_end : ctld_now(d),
                  v.last_run_exit);
        r = NULL;
    }
    if (view_has_run(&v)) {
        bool known = r && r->row.state == v.state && r->row.suspended == v.suspended_total;
        if (known || (!r && !(r = run_open(d, job_id))))
            return;
        r->row.state = v.state;
        r->row.suspended = v.suspended_total;
        store_txn_put_alloc(p->txn, &r->row);
    } else if (r && job_state_finished(v.state)) {
        r->row.suspended = v.suspended_total;
        run_close(p, r, v.state, v.end, v.exit_status);
    } else if (r) { /* pending again under the same number: never ran */
        run_close(p, r, v.last_run_state, ctld_now(d), v.last_run_exit);
    }
}

/* ---- steps and nodes: history, written at once ---------------------------------------- */

static void step_put(struct ctld *d, const Sl__StepRecord *s, const Sl__StepUsage *u)
{
    struct store_step row = {.job_id = s->job_id,
                             .restart = s->restart,
                             .step_id = s->step_id,
                             .state = s->state,
                             .exit_status = s->exit_status,
                             .nodes_count = s->nodes_count,
                             .ntasks = s->ntasks,
                             .cpus = s->cpus,
                             .cancelled_by = s->kill_uid,
                             .name = s->name,
                             .nodelist = s->nodelist,
                             .layout = s->layout,
                             .command = s->command,
                             .start = s->start,
                             .end = s->end,
                             .suspended = s->suspended_usec};
    struct buf tres;

    buf_init(&tres);
    buf_printf(&tres, "cpu=%u", s->cpus);
    if (s->mem_mib) /* 0: the step did not ask, it shares the job's */
        buf_printf(&tres, ",mem=%lluM", (unsigned long long)s->mem_mib);
    buf_printf(&tres, ",node=%u", s->nodes_count);
    if (s->gres && s->gres[0])
        buf_printf(&tres, ",%s", s->gres);
    row.tres = buf_str(&tres);
    if (!u)
        u = s->usage;
    if (u) {
        row.user_cpu_usec = u->user_cpu_usec;
        row.system_cpu_usec = u->system_cpu_usec;
        row.rss_max_kib = u->rss_max_kib;
        row.rss_ave_kib = u->rss_ave_kib;
        row.vsize_max_kib = u->vsize_max_kib;
        row.read_bytes = u->read_bytes;
        row.write_bytes = u->write_bytes;
        row.page_faults = u->page_faults;
        row.rss_max_node = u->rss_max_node;
        row.rss_max_task = u->rss_max_task;
    }
    store_txn_put_step(d->persist->txn, &row);
    buf_fini(&tres);
}

void persist_step_report(struct ctld *d, const Sl__JobReport *report)
{
    if (!report->step)
        return;
    step_put(d, report->step, report->usage);
    loop_note_write(d);
}

static const Sl__StepRecord *step_known(struct ctld *d, uint32_t job_id, uint32_t step_id)
{
    size_t count = core_step_count(d->core, job_id);
    for (size_t i = 0; i < count; i++) {
        const Sl__StepRecord *s = core_step_at(d->core, job_id, i);
        if (s && s->step_id == step_id)
            return s;
    }
    return NULL;
}

uint32_t persist_step_killer(struct ctld *d, const Sl__JobReport *report)
{
    const Sl__StepRecord *s = step_known(d, report->job_id, report->step_id);
    return s && s->restart == report->restart ? s->kill_uid : 0;
}

void persist_step_died(struct ctld *d, const Sl__JobReport *report)
{
    const Sl__StepRecord *known = step_known(d, report->job_id, report->step_id);
    if (!known || known->restart != report->restart)
        return;
    Sl__StepRecord s = *known;
    s.end = report->time;
    s.state = report->state;
    s.exit_status = report->exit_status;
    step_put(d, &s, report->usage);
    loop_note_write(d);
}

static void step_note(struct ctld *d, uint32_t job_id, uint32_t step_id)
{
    const Sl__StepRecord *s = step_known(d, job_id, step_id);
    if (s)
        step_put(d, s, NULL);
}

static void node_event_put(struct ctld *d, uint32_t index)
{
    struct node_view v;
    struct buf tres;

    if (!core_node_view(d->core, index, &v))
        return;
    buf_init(&tres);
    buf_printf(&tres, "cpu=%u,mem=%lluM", v.cpus, (unsigned long long)v.mem_mib);
    if (v.gres && v.gres[0])
        buf_printf(&tres, ",%s", v.gres);
    struct store_node_event row = {.node = v.name,
                                   .start = ctld_now(d),
                                   .state = v.state,
                                   .flags = v.flags,
                                   .cpus = v.cpus,
                                   .mem_mib = v.mem_mib,
                                   .tres = buf_str(&tres),
                                   .reason = v.reason,
                                   .reason_uid = v.reason_uid};
    store_txn_put_node_event(d->persist->txn, &row);
    buf_fini(&tres);
}

void persist_note(struct ctld *d, const struct change *change, enum command_kind cause)
{
    struct persist *p = d->persist;
    (void)cause;

    switch (change->kind) {
    case CHANGE_JOB:
        ids_add(&p->jobs, change->id);
        run_follow(d, change->id);
        break;
    case CHANGE_NODE:
        ids_add(&p->nodes, change->id);
        break;
    case CHANGE_PARTITION:
        ids_add(&p->partitions, change->id);
        break;
    case CHANGE_TENANT:
        ids_add(&p->tenants[change->sub], change->id);
        break;
    case CHANGE_RESV:
        ids_add(&p->resvs, change->id);
        break;
    case CHANGE_STEP:
        step_note(d, change->id, change->sub);
        break;
    case CHANGE_META:
        p->meta = true;
        break;
    case CHANGE_NODE_EVENT:
        node_event_put(d, change->id);
        break;
    case CHANGE_PREDICT:
        ids_add(&p->predict, change->id);
        break;
    case CHANGE_NONE:
        break;
    }
}

void persist_note_tables(struct ctld *d)
{
    for (uint32_t i = 0; i < core_node_count(d->core); i++)
        ids_add(&d->persist->nodes, i);
    for (uint32_t i = 0; i < core_partition_count(d->core); i++)
        ids_add(&d->persist->partitions, i);
    d->persist->meta = true;
    loop_note_write(d);
}

void persist_blobs(struct ctld *d, uint32_t job_id, const void *script, size_t script_bytes,
                   const void *env, size_t env_bytes)
{
    struct persist *p = d->persist;
    struct digests *g = xcalloc(1, sizeof(*g));

    g->job_id = job_id;
    if (script_bytes)
        store_txn_put_blob(p->txn, script, script_bytes, g->script);
    if (env_bytes)
        store_txn_put_blob(p->txn, env, env_bytes, g->env);
    HASH_ADD(hh, p->digests, job_id, sizeof(g->job_id), g);
}

/* ---- sealing ------------------------------------------------------------------------ */

static void job_put(struct ctld *d, uint32_t job_id, struct buf *record)
{
    struct persist *p = d->persist;
    struct job_view v;
    struct digests *g;

    buf_clear(record);
    /* the view last: its texts live until the core is asked for something else */
    if (!core_job_save(d->core, job_id, record) || !core_job_view(d->core, job_id, true, &v)) {
        store_txn_retire_job(p->txn, job_id);
        return;
    }
    struct store_job row = {.job_id = job_id,
                            .array_job_id = v.array_job_id,
                            .array_task_id = v.is_array_task ? v.array_task_id : NO_VAL,
                            .het_job_id = v.het_id,
                            .het_offset = v.het_offset,
                            .uid = v.uid,
                            .gid = v.gid,
                            .restart = v.restart,
                            .state = v.state,
                            .state_flags = v.flags,
                            .priority = v.priority,
                            .reason = v.reason,
                            .live = true,
                            .cancelled_by = v.cancelled_by,
                            .user = v.user,
                            .group = users_group_name(d->users, v.gid),
                            .account = v.account,
                            .partition = v.partition,
                            .qos = v.qos,
                            .name = v.name,
                            .wckey = v.spec->wckey,
                            .comment = v.spec->comment,
                            .work_dir = v.spec->work_dir,
                            .submit_line = v.spec->submit_line,
                            .reservation = v.spec->reservation,
                            .constraints = v.spec->constraints,
                            .array_tasks = v.is_array_rest ? v.array_text : "",
                            .submit = v.submit,
                            .eligible = v.eligible,
                            .start = v.start,
                            .end = v.end,
                            .time_limit = v.time_limit,
                            .suspended = v.suspended_total,
                            .ntasks = v.ntasks,
                            .req_cpus = v.cpus,
                            .req_nodes = v.nodes_count,
                            .req_mem_mib = v.mem_mib,
                            .tres_req = v.tres_req,
                            .tres_alloc = v.tres_alloc,
                            .nodelist = v.nodelist,
                            .exit_status = v.exit_status,
                            .derived_exit = v.derived_exit,
                            .state_record = {record->data, record->len}};
    if (v.nodelist[0]) {
        row.nodes_count = v.nodes_count;
        row.cpus = v.cpus;
    }
    HASH_FIND(hh, p->digests, &job_id, sizeof(job_id), g);
    if (g) {
        memcpy(row.script, g->script, sizeof(row.script));
        memcpy(row.env, g->env, sizeof(row.env));
    }
    store_txn_put_job(p->txn, &row);
}

static void node_put(struct ctld *d, uint32_t index, struct buf *record)
{
    struct node_view v;

    buf_clear(record);
    if (core_node_view(d->core, index, &v) && core_node_save(d->core, index, record))
        store_txn_put_node(d->persist->txn, v.name,
                           (struct store_bytes){record->data, record->len});
}

static void partition_put(struct ctld *d, uint32_t index, struct buf *record)
{
    struct partition_view v;

    buf_clear(record);
    if (core_partition_view(d->core, index, &v) && core_partition_save(d->core, index, record))
        store_txn_put_partition(d->persist->txn, v.conf.name,
                                (struct store_bytes){record->data, record->len});
}

/* A record that is no more is removed by its name. */
static void tenant_put(struct ctld *d, enum tenant_kind kind, uint32_t id, struct buf *record)
{
    char name[64];

    buf_clear(record);
    if (!core_tenant_save(d->core, kind, id, name, record))
        buf_clear(record);
    store_txn_put_tenant(d->persist->txn, name, (struct store_bytes){record->data, record->len});
}

#define RESV_KEY "resv:"

/* An empty record says that there is none any more. */
static void resv_put(struct ctld *d, uint32_t id, struct buf *record)
{
    char key[32];

    buf_clear(record);
    core_resv_save(d->core, id, record);
    snprintf(key, sizeof(key), RESV_KEY "%u", id);
    store_txn_put_meta(d->persist->txn, key, (struct store_bytes){record->data, record->len});
}

static void meta_put_u64(struct persist *p, const char *key, uint64_t value)
{
    unsigned char bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)(value >> (8 * i));
    store_txn_put_meta(p->txn, key, (struct store_bytes){bytes, sizeof(bytes)});
}

void persist_put_identity(struct ctld *d)
{
    meta_put_u64(d->persist, "epoch", d->epoch);
    store_txn_put_meta(d->persist->txn, "secret_key",
                       (struct store_bytes){d->secret_key, sizeof(d->secret_key)});
    loop_note_write(d);
}

/* Each page has a name of its own, so that an end of a job writes a few hundred bytes. */
static void predict_put(struct ctld *d, uint32_t page, struct buf *record)
{
    char name[sizeof PREDICT_NAME + 10];
    buf_clear(record);
    if (!core_predict_save(d->core, page, record))
        return;
    snprintf(name, sizeof name, PREDICT_NAME "%u", page);
    store_txn_put_meta(d->persist->txn, name, (struct store_bytes){record->data, record->len});
}

struct store_txn *persist_seal(struct ctld *d)
{
    struct persist *p = d->persist;
    struct buf record;

    buf_init(&record);
    ids_settle(&p->jobs);
    ids_settle(&p->nodes);
    ids_settle(&p->partitions);
    ids_settle(&p->resvs);
    ids_settle(&p->predict);
    for (size_t i = 0; i < p->jobs.count; i++)
        job_put(d, p->jobs.v[i], &record);
    for (size_t i = 0; i < p->nodes.count; i++)
        node_put(d, p->nodes.v[i], &record);
    for (size_t i = 0; i < p->partitions.count; i++)
        partition_put(d, p->partitions.v[i], &record);
    for (int k = 0; k < TENANT_KIND_COUNT; k++) {
        ids_settle(&p->tenants[k]);
        for (size_t i = 0; i < p->tenants[k].count; i++)
            tenant_put(d, (enum tenant_kind)k, p->tenants[k].v[i], &record);
        p->tenants[k].count = 0;
    }
    for (size_t i = 0; i < p->resvs.count; i++)
        resv_put(d, p->resvs.v[i], &record);
    for (size_t i = 0; i < p->predict.count; i++)
        predict_put(d, p->predict.v[i], &record);
    if (p->meta) {
        buf_clear(&record);
        core_meta_save(d->core, &record);
        store_txn_put_meta(p->txn, "core", (struct store_bytes){record.data, record.len});
    }
    if (!store_txn_empty(p->txn))
        meta_put_u64(p, "clock", (uint64_t)ctld_now(d));
    buf_fini(&record);
    digests_clear(p);
    p->jobs.count = p->nodes.count = p->partitions.count = p->resvs.count = p->predict.count = 0;
    p->meta = false;
    struct store_txn *txn = p->txn;
    p->txn = store_txn_create();
    return txn;
}

/* ---- loading -------------------------------------------------------------------------- */

struct load {
    struct ctld *d;
    struct persist_meta *meta;
    int (*into)(struct core *c, const void *p, size_t n, struct err *err);
    const char *what;
    unsigned loaded, broken;
};

static uint64_t bytes_u64(struct store_bytes b)
{
    uint64_t value = 0;
    const unsigned char *p = b.p;
    for (size_t i = 0; i < b.n && i < 8; i++)
        value |= (uint64_t)p[i] << (8 * i);
    return value;
}

static int meta_record(const char *name, uint64_t key, struct store_bytes b, void *arg)
{
    struct persist_meta *meta = arg;
    (void)key;

    if (strcmp(name, "epoch") == 0) {
        meta->epoch = bytes_u64(b);
    } else if (strcmp(name, "clock") == 0) {
        meta->clock = (usec_t)bytes_u64(b);
    } else if (strcmp(name, "secret_key") == 0 && b.n == SECRET_KEY_BYTES) {
        memcpy(meta->key, b.p, b.n);
        meta->has_key = true;
    } else if (strcmp(name, "core") == 0) {
        buf_put(&meta->core, b.p, b.n);
    }
    return 0;
}

int persist_load_meta(struct ctld *d, struct persist_meta *meta, struct err *err)
{
    return store_each_meta(d->store, meta_record, meta, err);
}

static int core_record(const char *name, uint64_t key, struct store_bytes b, void *arg)
{
    struct load *load = arg;
    struct err err;

    if (load->into(load->d->core, b.p, b.n, &err) < 0) {
        log_error("store", "%s=%s id=%llu record not loaded: %s", load->what,
                  name ? name : "", (unsigned long long)key, err.text);
        load->broken++;
    } else {
        load->loaded++;
    }
    return 0;
}

static int resv_record(const char *name, uint64_t key, struct store_bytes b, void *arg)
{
    if (strncmp(name, RESV_KEY, strlen(RESV_KEY)) != 0 || b.n == 0)
        return 0;
    return core_record(name, key, b, arg);
}

static void runs_load(struct ctld *d)
{
    uint32_t cursor = 0, job_id;
    struct job_view v;

    while ((cursor = core_job_next(d->core, cursor, &job_id)) != UINT32_MAX)
        if (core_job_view(d->core, job_id, false, &v) && view_has_run(&v))
            run_open(d, job_id);
}

static int predict_record(const char *name, uint64_t key, struct store_bytes b, void *arg)
{
    size_t n = sizeof PREDICT_NAME - 1;
    struct err err;
    (void)key;
    if (strncmp(name, PREDICT_NAME, n) != 0)
        return 0;
    unsigned long page = strtoul(name + n, NULL, 10);
    if (core_predict_load(arg, page > UINT32_MAX ? UINT32_MAX : (uint32_t)page, b.p, b.n, &err) < 0)
        log_error("store", "%s not loaded: %s", name, err.text);
    return 0;
}

int persist_load(struct ctld *d, const struct persist_meta *meta, struct err *err)
{
    struct load nodes = {.d = d, .into = core_node_load, .what = "node"};
    struct load partitions = {.d = d, .into = core_partition_load, .what = "partition"};
    struct load tenants = {.d = d, .into = core_tenant_load, .what = "tenant"};
    struct load resvs = {.d = d, .into = core_resv_load, .what = "reservation"};
    struct load jobs = {.d = d, .into = core_job_load, .what = "job"};
    int rc = 0;

    if (meta->core.len)
        rc = core_meta_load(d->core, meta->core.data, meta->core.len, err);
    if (rc == 0)
        rc = store_each_tenant(d->store, core_record, &tenants, err);
        rc = store_each_meta(d->store, predict_record, d->core, err);
    if (rc == 0)
        rc = store_each_node(d->store, core_record, &nodes, err);
    if (rc == 0)
        rc = store_each_partition(d->store, core_record, &partitions, err);
    if (rc == 0)
        rc = store_each_meta(d->store, resv_record, &resvs, err);
    if (rc == 0)
        rc = store_each_live_job(d->store, core_record, &jobs, err);
    if (rc == 0)
        rc = core_load_end(d->core, ctld_now(d), err);
    if (rc < 0)
        return rc;
    runs_load(d);
    log_info("store", "jobs=%u nodes=%u partitions=%u tenants=%u broken=%u loaded", jobs.loaded,
             nodes.loaded, partitions.loaded, tenants.loaded, jobs.broken + nodes.broken + partitions.broken + tenants.broken);
    return 0;
}
