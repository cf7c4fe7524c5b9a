/* SPDX-License-Identifier: Apache-2.0 */
#include "tenant_core.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void record_put(struct tc *t, const struct change *ch)
{
    char name[64];
    struct buf b;
    size_t i = 0;
    buf_init(&b);
    bool there = core_tenant_save(t->c, (enum tenant_kind)ch->sub, ch->id, name, &b);
    while (i < t->records && strcmp(t->record[i].name, name) != 0)
        i++;
    assert_true(i < 512);
    if (i < t->records)
        buf_fini(&t->record[i].bytes);
    if (there) {
        t->records += i == t->records;
        snprintf(t->record[i].name, sizeof t->record[i].name, "%s", name);
        t->record[i].bytes = b;
    } else if (i < t->records) {
        t->record[i] = t->record[--t->records];
    }
}

static void records_put(struct tc *t)
{
    for (size_t i = 0; i < t->b.changes_count; i++)
        if (t->b.changes[i].kind == CHANGE_TENANT)
            record_put(t, &t->b.changes[i]);
    t->b.changes_count = 0;
}

static void check(struct tc *t)
{
    struct err err = {0};
    records_put(t);
    t->b.effects_count = 0;
    while (core_plan(t->c, t->now, 1000, &t->b) == 1)
        ;
    records_put(t);
    if (core_check(t->c, &err) < 0)
        fail_msg("%s", err.text);
}

static int apply(struct tc *t, struct command *cmd, struct err *err)
{
    int rc = core_apply(t->c, cmd, t->now, &t->b, err);
    check(t);
    return rc;
}

static void node_register(struct tc *t, const char *name, uint32_t cores)
{
    Sl__NodeRegister reg = SL__NODE_REGISTER__INIT;
    Sl__NodeTopo topo = SL__NODE_TOPO__INIT;
    Sl__NumaNode numa = SL__NUMA_NODE__INIT, *numas[1] = {&numa};
    Sl__NodeGres gpu = SL__NODE_GRES__INIT, *gpus[1] = {&gpu};
    static char text[128][8];
    char *cpus[128];
    uint32_t zero[128] = {0};
    struct err err = {0};
    for (uint32_t i = 0; i < cores; i++) {
        snprintf(text[i], sizeof text[i], "%u", i);
        cpus[i] = text[i];
    }
    topo.sockets = topo.threads_per_core = 1;
    topo.cores = topo.cpus = cores;
    topo.core_cpus = cpus;
    topo.core_socket = topo.core_numa = zero;
    topo.n_core_cpus = topo.n_core_socket = topo.n_core_numa = cores;
    topo.numa = numas;
    topo.n_numa = 1;
    numa.cpus = (char *)"0-3";
    gpu.name = (char *)"gpu";
    gpu.count = 4;
    reg.name = (char *)name;
    reg.topo = &topo;
    reg.mem_mib = 16384;
    reg.gres = gpus;
    reg.n_gres = 1;
    struct command cmd = {.kind = CMD_NODE_REGISTER, .actor = {.admin = true}, .reg = &reg};
    assert_int_equal(apply(t, &cmd, &err), 0);
}

static void configure(struct tc *t)
{
    struct err err = {0};
    t->c = core_create(&t->policy, &err);
    assert_non_null(t->c);
    if (core_configure(t->c, &t->policy, t->part, 2, NULL, 0, true, t->now, &err) < 0)
        fail_msg("%s", err.text);
}

void tc_init(struct tc *t, const char *enforce, uint32_t nodes, uint32_t cores)
{
    struct err err = {0};
    memset(t, 0, sizeof *t);
    batch_init(&t->b);
    t->now = T0;
    t->nodes = nodes;
    t->cores = cores;
    t->policy = (struct core_policy){
        .kill_wait = 30 * USEC_PER_SEC, .node_timeout = 300 * USEC_PER_SEC,
        .job_keep = 60 * USEC_PER_SEC, .job_id_first = 1, .job_id_max = 1000000,
        .jobs_max = 100000, .array_size_max = 1000, .requeue_max = 3, .backfill = BACKFILL_EASY,
        .backfill_depth = 1, .multifactor = true, .priority_period = 5 * MINUTE,
        .priority_half_life = 7 * 1440 * MINUTE, .priority_max_age = 1440 * MINUTE,
        .weight_fair_share = 100000};
    t->part[0] = (struct core_partition){.name = "main", .nodes = "ALL", .is_default = true,
                                         .time_max = SPAN_INFINITE};
    t->part[1] = (struct core_partition){.name = "lab", .nodes = "ALL", .time_max = SPAN_INFINITE,
                                         .qos = "labqos"};
    int flags = enforce_parse(enforce, &err);
    assert_true(flags >= 0);
    t->policy.enforce = (uint32_t)flags;
    configure(t);
    assert_int_equal(core_load_end(t->c, t->now, &err), 0);
    tc_connect(t);
}

void tc_connect(struct tc *t)
{
    for (uint32_t i = 0; i < t->nodes; i++) {
        char name[16];
        snprintf(name, sizeof name, "n%u", i + 1);
        node_register(t, name, t->cores);
    }
}

void tc_fini(struct tc *t)
{
    for (size_t i = 0; i < t->records; i++)
        buf_fini(&t->record[i].bytes);
    core_destroy(t->c);
    batch_fini(&t->b);
}

/* ---- sacctmgr --------------------------------------------------------------------------- */

int tc_mgr(struct tc *t, struct err *err, const char *words)
{
    Sl__TenantRequest r = SL__TENANT_REQUEST__INIT;
    Sl__KeyValue pairs[32], *where[32], *set[32];
    char text[1024], *save = NULL;
    snprintf(text, sizeof text, "%s", words);
    char *op = strtok_r(text, " ", &save);
    bool add = strcmp(op, "add") == 0, to_set = add;
    size_t n = 0;
    r.what = strtok_r(NULL, " ", &save);
    r.op = add ? SL__TENANT_OP__TENANT_OP_ADD
           : strcmp(op, "modify") == 0 ? SL__TENANT_OP__TENANT_OP_MODIFY : SL__TENANT_OP__TENANT_OP_DELETE;
    r.where = where;
    r.set = set;
    for (char *w = strtok_r(NULL, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
        if (strcmp(w, "set") == 0) {
            to_set = true;
            continue;
        }
        char *eq = strchr(w, '=');
        assert_non_null(eq);
        *eq = '\0';
        sl__key_value__init(&pairs[n]);
        pairs[n].key = w;
        pairs[n].value = eq + 1;
        if (to_set)
            set[r.n_set++] = &pairs[n++];
        else
            where[r.n_where++] = &pairs[n++];
    }
    struct command cmd = {.kind = CMD_TENANT, .actor = {.admin = true, .user = "root"}, .tenant = &r};
    return apply(t, &cmd, err);
}

void tc_must(struct tc *t, const char *words)
{
    struct err err = {0};
    if (tc_mgr(t, &err, words) < 0)
        fail_msg("%s: %s", words, err.text);
}

/* ---- jobs ---------------------------------------------------------------------------------- */

uint32_t tc_submit(struct tc *t, const struct wish *w, struct err *err)
{
    Sl__JobSpec spec = SL__JOB_SPEC__INIT;
    Sl__GresReq gpu = SL__GRES_REQ__INIT, *gpus[1] = {&gpu};
    char array[32], *parts[1] = {(char *)(w->partition ? w->partition : "main")};
    const char *user = w->user ? w->user : "u";
    spec.type = SL__JOB_TYPE__JOB_TYPE_BATCH;
    spec.name = (char *)"job";
    spec.ntasks = w->cpus ? w->cpus : w->nodes ? w->nodes : 1;
    spec.nodes_min = spec.nodes_max = w->nodes;
    spec.mem_per_node_mib = w->mem_mib ? w->mem_mib : 1;
    spec.time_limit_usec = (w->minutes ? w->minutes : 10) * MINUTE;
    spec.account = (char *)(w->account ? w->account : "");
    spec.qos = (char *)(w->qos ? w->qos : "");
    spec.partitions = parts;
    spec.n_partitions = 1;
    if (w->gpus) {
        gpu.name = (char *)"gpu";
        gpu.count = w->gpus;
        spec.gres = gpus;
        spec.n_gres = 1;
    }
    if (w->array) {
        snprintf(array, sizeof array, "1-%u", w->array);
        spec.array = array;
    }
    struct command cmd = {.kind = CMD_SUBMIT, .actor = {.uid = 1000, .user = user},
                          .submit = {.spec = &spec, .user = user}};
    batch_clear(&t->b);
    return apply(t, &cmd, err) < 0 ? 0 : t->b.job_id;
}

static void report(struct tc *t, uint32_t job, const char *node, Sl__ReportKind kind, bool clean)
{
    struct err err = {0};
    Sl__JobReport r = SL__JOB_REPORT__INIT;
    r.kind = kind;
    r.job_id = job;
    r.node_clean = clean;
    struct command cmd = {.kind = CMD_REPORT, .report = {.node = node, .report = &r}};
    apply(t, &cmd, &err);
}

void tc_end(struct tc *t, uint32_t job)
{
    struct job_view v = tc_view(t, job);
    char host[64];
    bool one = v.nodes_count == 1;
    snprintf(host, sizeof host, "%s", v.batch_host);
    report(t, job, host, SL__REPORT_KIND__REPORT_LAUNCHED, false);
    report(t, job, host, SL__REPORT_KIND__REPORT_JOB_DONE, one);
    for (uint32_t i = 0; !one && i < t->nodes; i++) {
        snprintf(host, sizeof host, "n%u", i + 1);
        report(t, job, host, SL__REPORT_KIND__REPORT_NODE_CLEAN, true);
    }
}

void tc_cancel(struct tc *t, uint32_t job)
{
    struct err err = {0};
    struct command cmd = {.kind = CMD_CANCEL, .actor = {.admin = true}, .job = {.job_id = job}};
    assert_int_equal(apply(t, &cmd, &err), 0);
    for (uint32_t i = 0; i < t->nodes; i++) {
        char host[16];
        snprintf(host, sizeof host, "n%u", i + 1);
        report(t, job, host, SL__REPORT_KIND__REPORT_NODE_CLEAN, true);
    }
}

void tc_pass(struct tc *t, usec_t until)
{
    struct err err = {0};
    struct command cmd = {.kind = CMD_TICK};
    while (t->now < until) {
        usec_t next = core_next_wakeup(t->c);
        t->now = next > t->now && next < until ? next : next <= t->now ? t->now : until;
        assert_int_equal(apply(t, &cmd, &err), 0);
    }
}

struct job_view tc_view(struct tc *t, uint32_t job)
{
    struct job_view v;
    assert_true(core_job_view(t->c, job, true, &v));
    return v;
}

/* ---- listings --------------------------------------------------------------------------------- */

void tc_cell(struct tc *t, const char *what, const char *key, const char *is, const char *key2,
             const char *is2, const char *column, char *out, size_t n)
{
    struct err err = {0};
    uint16_t at[3];
    char names[200];
    size_t count;
    struct buf cell;
    snprintf(names, sizeof names, "%s,%s,%s", key, key2 ? key2 : key, column);
    if (core_tenant_columns(what, names, at, 3, &count, &err) < 0)
        fail_msg("%s", err.text);
    buf_init(&cell);
    out[0] = '\0';
    for (uint32_t row = 0; (row = core_tenant_next(t->c, what, row, t->now)) != UINT32_MAX; row++) {
        bool found = true;
        for (int k = 0; k < 2; k++) {
            buf_clear(&cell);
            core_tenant_cell(t->c, what, row, at[k], &cell);
            found = found && strcmp(buf_str(&cell), k && key2 ? is2 : is) == 0;
        }
        if (!found)
            continue;
        buf_clear(&cell);
        core_tenant_cell(t->c, what, row, at[2], &cell);
        snprintf(out, n, "%s", buf_str(&cell));
        buf_fini(&cell);
        return;
    }
    fail_msg("%s has no row %s=%s", what, key, is);
}

/* ---- records ------------------------------------------------------------------------------------ */

struct records {
    struct buf v[4096];
    size_t count;
};

static void keep(struct records *r, struct buf *b)
{
    assert_true(r->count < 4096);
    r->v[r->count++] = *b;
    buf_init(b);
}

void tc_reload(struct tc *t)
{
    struct records *nodes = calloc(1, sizeof *nodes), *jobs = calloc(1, sizeof *jobs);
    struct err err = {0};
    struct buf b, meta;
    uint32_t cursor = 0, id;
    buf_init(&b);
    buf_init(&meta);
    core_meta_save(t->c, &meta);
    for (uint32_t i = 0; i < core_node_count(t->c); i++)
        if (core_node_save(t->c, i, &b))
            keep(nodes, &b);
    while ((cursor = core_job_next(t->c, cursor, &id)) != UINT32_MAX)
        if (core_job_save(t->c, id, &b))
            keep(jobs, &b);
    core_destroy(t->c);
    configure(t);
    assert_int_equal(core_meta_load(t->c, meta.data, meta.len, &err), 0);
    for (size_t i = 0; i < t->records; i++)
        if (core_tenant_load(t->c, t->record[i].bytes.data, t->record[i].bytes.len, &err) < 0)
            fail_msg("%s: %s", t->record[i].name, err.text);
    for (size_t i = 0; i < nodes->count; i++)
        assert_int_equal(core_node_load(t->c, nodes->v[i].data, nodes->v[i].len, &err), 0);
    for (size_t i = 0; i < jobs->count; i++)
        assert_int_equal(core_job_load(t->c, jobs->v[i].data, jobs->v[i].len, &err), 0);
    if (core_load_end(t->c, t->now, &err) < 0)
        fail_msg("%s", err.text);
    struct records *all[] = {nodes, jobs};
    for (int k = 0; k < 2; k++) {
        for (size_t i = 0; i < all[k]->count; i++)
            buf_fini(&all[k]->v[i]);
        free(all[k]);
    }
    buf_fini(&b);
    buf_fini(&meta);
}
