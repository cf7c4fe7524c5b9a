/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sched_scene.h"

#include "base/hostlist.h"

#include <stdio.h>
#include <string.h>

const struct core_policy scene_policy = {
    .kill_wait = 30 * SEC, .node_timeout = 300 * SEC, .job_keep = 3000 * SEC,
    .job_id_first = 1, .job_id_max = 1000000, .jobs_max = 100000, .array_size_max = 100000,
    .requeue_max = 3, .requeue_default = true, .return_to_service = 2,
    .backfill = BACKFILL_CONSERVATIVE, .backfill_depth = 10};
static const struct core_partition one_part[] = {
    {.name = "main", .nodes = "ALL", .is_default = true, .time_max = SPAN_INFINITE}};

static struct core *core_empty(struct scene *s)
{
    struct core *c = core_create(&s->policy, &s->err);
    if (!c || core_configure(c, &s->policy, s->parts, s->parts_count, NULL, 0, true, T0,
                             &s->err) < 0)
        fail_msg("%s", s->err.text);
    return c;
}

void scene_begin_with(struct scene *s, unsigned nodes)
{
    s->now = T0;
    s->err = (struct err){0};
    batch_init(&s->b);
    s->c = core_empty(s);
    assert_int_equal(core_load_end(s->c, T0, &s->err), 0);
    for (unsigned i = 1; i <= nodes; i++) {
        char name[16];
        snprintf(name, sizeof name, "n%u", i);
        scene_node(s, name, "");
    }
}

void scene_begin(struct scene *s, unsigned nodes)
{
    *s = (struct scene){.policy = scene_policy, .parts = one_part, .parts_count = 1};
    scene_begin_with(s, nodes);
}

void scene_end(struct scene *s)
{
    core_destroy(s->c);
    batch_fini(&s->b);
}

static void check(struct scene *s)
{
    struct err broken = {0};
    if (core_check(s->c, &broken) < 0)
        fail_msg("%s", broken.text);
}

int scene_apply(struct scene *s, const struct command *cmd)
{
    s->err = (struct err){0};
    batch_clear(&s->b);
    int rc = core_apply(s->c, cmd, s->now, &s->b, &s->err);
    check(s);
    while (core_plan(s->c, s->now, 100, &s->b) == 1)
        ;
    check(s);
    return rc;
}

void scene_tick(struct scene *s, usec_t when)
{
    struct command tick = {.kind = CMD_TICK};
    s->now = when;
    assert_int_equal(scene_apply(s, &tick), 0);
}

void scene_restart(struct scene *s)
{
    struct core *fresh = core_empty(s);
    struct buf rec;
    uint32_t cursor = 0, id;
    buf_init(&rec);
    core_meta_save(s->c, &rec);
    assert_int_equal(core_meta_load(fresh, rec.data, rec.len, &s->err), 0);
    for (uint32_t i = 0; i < core_node_count(s->c); i++) {
        buf_clear(&rec);
        core_node_save(s->c, i, &rec);
        assert_int_equal(core_node_load(fresh, rec.data, rec.len, &s->err), 0);
    }
    struct resv_view resv;
    for (uint32_t i = 0; core_resv_view(s->c, i, &resv); i++) {
        buf_clear(&rec);
        assert_true(core_resv_save(s->c, resv.id, &rec));
        assert_int_equal(core_resv_load(fresh, rec.data, rec.len, &s->err), 0);
    }
    while ((cursor = core_job_next(s->c, cursor, &id)) != UINT32_MAX) {
        buf_clear(&rec);
        assert_true(core_job_save(s->c, id, &rec));
        assert_int_equal(core_job_load(fresh, rec.data, rec.len, &s->err), 0);
    }
    char names[64][32];
    size_t nodes = core_node_count(s->c);
    assert_true(nodes <= 64);
    for (uint32_t i = 0; i < nodes; i++)
        snprintf(names[i], sizeof names[i], "%s", core_node_name(s->c, i));
    buf_fini(&rec);
    core_destroy(s->c);
    s->c = fresh;
    if (core_load_end(s->c, s->now, &s->err) < 0)
        fail_msg("%s", s->err.text);
    scene_tick(s, s->now);
}

void scene_node(struct scene *s, const char *name, const char *features)
{
    Sl__NodeRegister reg = SL__NODE_REGISTER__INIT;
    Sl__NodeTopo topo = SL__NODE_TOPO__INIT;
    Sl__NumaNode numa = SL__NUMA_NODE__INIT, *numas[1] = {&numa};
    char *cpus[4] = {(char *)"0", (char *)"1", (char *)"2", (char *)"3"};
    uint32_t zero[4] = {0};
    topo.sockets = topo.threads_per_core = 1;
    topo.cores = topo.cpus = 4;
    topo.core_cpus = cpus;
    topo.core_socket = topo.core_numa = zero;
    topo.n_core_cpus = topo.n_core_socket = topo.n_core_numa = 4;
    topo.numa = numas;
    topo.n_numa = 1;
    numa.cpus = (char *)"0-3";
    reg.name = (char *)name;
    reg.features = (char *)features;
    reg.boot_id = (char *)"boot";
    reg.topo = &topo;
    reg.mem_mib = 4096;
    Sl__NodeJob nj[256], *njs[256];
    uint32_t cursor = 0, id;
    while ((cursor = core_job_next(s->c, cursor, &id)) != UINT32_MAX) { /* it keeps its jobs */
        struct job_view v = scene_job(s, id);
        if (v.state != JOB_RUNNING && v.state != JOB_SUSPENDED)
            continue;
        struct hostlist *hl = hostlist_create(v.nodelist, NULL);
        if (hostlist_find(hl, name) >= 0) {
            sl__node_job__init(&nj[reg.n_jobs]);
            nj[reg.n_jobs].job_id = id;
            nj[reg.n_jobs].restart = v.restart;
            njs[reg.n_jobs] = &nj[reg.n_jobs];
            reg.n_jobs++;
        }
        hostlist_destroy(hl);
    }
    reg.jobs = njs;
    struct command cmd = {.kind = CMD_NODE_REGISTER, .actor = {.admin = true}, .reg = &reg};
    assert_int_equal(scene_apply(s, &cmd), 0);
}

void spec_begin(Sl__JobSpec *spec)
{
    sl__job_spec__init(spec);
    spec->type = SL__JOB_TYPE__JOB_TYPE_BATCH;
    spec->name = (char *)"job";
    spec->ntasks = 1;
    spec->mem_per_node_mib = 1;
}

int scene_submit_as(struct scene *s, uint32_t uid, const Sl__JobSpec *spec)
{
    char user[16];
    snprintf(user, sizeof user, "u%u", uid);
    struct command cmd = {.kind = CMD_SUBMIT,
                          .actor = {.uid = uid, .gid = uid, .admin = uid == 0, .user = user},
                          .submit = {.spec = spec, .user = user}};
    return scene_apply(s, &cmd);
}

uint32_t scene_submit(struct scene *s, const Sl__JobSpec *spec)
{
    if (scene_submit_as(s, 1000, spec) < 0)
        fail_msg("%s", s->err.text);
    return s->b.job_id;
}

void scene_refuses(struct scene *s, const Sl__JobSpec *spec, int code, const char *word)
{
    size_t before = core_job_count(s->c, false);
    int rc = scene_submit_as(s, 1000, spec);
    if (rc != code || !strstr(s->err.text, word))
        fail_msg("%d \"%s\", not %d with \"%s\"", rc, s->err.text, code, word);
    assert_int_equal(core_job_count(s->c, false), before);
}

void scene_done(struct scene *s, uint32_t job, int status)
{
    struct job_view v = scene_job(s, job);
    struct hostlist *hl = hostlist_create(v.nodelist, NULL);
    static const Sl__ReportKind order[] = {SL__REPORT_KIND__REPORT_LAUNCHED,
                                           SL__REPORT_KIND__REPORT_JOB_DONE,
                                           SL__REPORT_KIND__REPORT_NODE_CLEAN};
    uint32_t restart = v.restart;
    for (int k = 0; k < 3; k++) {
        for (size_t i = 0; i < hostlist_count(hl); i++) {
            Sl__JobReport r = SL__JOB_REPORT__INIT;
            if (order[k] == SL__REPORT_KIND__REPORT_JOB_DONE && i > 0)
                continue;
            r.kind = order[k];
            r.job_id = job;
            r.restart = restart;
            r.exit_status = (uint32_t)status;
            struct command cmd = {.kind = CMD_REPORT,
                                  .report = {.node = hostlist_nth(hl, i), .report = &r}};
            assert_int_equal(scene_apply(s, &cmd), 0);
        }
    }
    hostlist_destroy(hl);
}

void scene_op(struct scene *s, enum command_kind kind, uint32_t job)
{
    struct command cmd = {.kind = kind, .actor = {.admin = true}, .job = {.job_id = job}};
    if (scene_apply(s, &cmd) < 0)
        fail_msg("%s", s->err.text);
}

int scene_update(struct scene *s, uint32_t job, const char *key, const char *value)
{
    struct command cmd = {.kind = CMD_JOB_UPDATE, .actor = {.admin = true},
                          .update = {.object = "", .job_id = job, .key = key, .value = value}};
    return scene_apply(s, &cmd);
}

struct job_view scene_job(struct scene *s, uint32_t job)
{
    struct job_view v = {.state = JOB_NONE, .reason_text = "", .nodelist = ""};
    core_job_view(s->c, job, true, &v);
    return v;
}

void scene_expect(struct scene *s, uint32_t job, enum job_state state, enum job_reason reason)
{
    struct job_view v = scene_job(s, job);
    if (v.state != state || (reason != JOB_REASON_COUNT && v.reason != reason))
        fail_msg("job %u is %s (%s), not %s (%s)", job, job_state_name(v.state), v.reason_text,
                 job_state_name(state),
                 reason == JOB_REASON_COUNT ? "any" : job_reason_name(reason));
}
