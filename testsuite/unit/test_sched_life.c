/* SPDX-License-Identifier: Apache-2.0
 *
 * The core through its commands: one node, jobs from submission to their end, and the
 * same after save and load.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "sched/core.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define T0 (1700000000 * USEC_PER_SEC)

static const struct core_policy policy = {
    .kill_wait = 30 * USEC_PER_SEC, .node_timeout = 300 * USEC_PER_SEC,
    .job_keep = 300 * USEC_PER_SEC, .job_id_first = 1, .job_id_max = 1000000,
    .jobs_max = 1000, .array_size_max = 1000, .requeue_max = 3, .requeue_default = true,
    .return_to_service = 2, .backfill = BACKFILL_CONSERVATIVE,
    .backfill_depth = 1};
static const struct core_partition parts[] = {
    {.name = "main", .nodes = "ALL", .is_default = true, .time_max = SPAN_INFINITE}};

static struct core *core_empty(void)
{
    struct err err = {0};
    struct core *c = core_create(&policy, &err);
    assert_non_null(c);
    assert_int_equal(core_configure(c, &policy, parts, 1, NULL, 0, true, T0, &err), 0);
    return c;
}

static struct core *core_make(void)
{
    struct err err = {0};
    struct core *c = core_empty();
    assert_int_equal(core_load_end(c, T0, &err), 0);
    return c;
}

static void apply(struct core *c, struct command *cmd, struct batch *b, int want)
{
    struct err err = {0};
    int rc = core_apply(c, cmd, T0, b, &err);
    if ((rc < 0) != (want < 0))
        fail_msg("command %d: %d %s", cmd->kind, rc, err.text);
    while (core_plan(c, T0, 100, b) == 1)
        ;
    if (core_check(c, &err) < 0)
        fail_msg("%s", err.text);
}

static void node_register(struct core *c, const char *name, uint32_t cores, struct batch *b)
{
    Sl__NodeRegister reg = SL__NODE_REGISTER__INIT;
    Sl__NodeTopo topo = SL__NODE_TOPO__INIT;
    Sl__NumaNode numa = SL__NUMA_NODE__INIT, *numas[1] = {&numa};
    char text[64][8], *cpus[64];
    uint32_t zero[64] = {0};
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
    reg.name = (char *)name;
    reg.topo = &topo;
    reg.mem_mib = 4096;
    struct command cmd = {.kind = CMD_NODE_REGISTER, .actor = {.admin = true}, .reg = &reg};
    apply(c, &cmd, b, 0);
}

static uint32_t submit(struct core *c, uint32_t ntasks, const char *array, const char *dep,
                       struct batch *b)
{
    Sl__JobSpec spec = SL__JOB_SPEC__INIT;
    spec.type = SL__JOB_TYPE__JOB_TYPE_BATCH;
    spec.name = (char *)"job";
    spec.ntasks = ntasks;
    spec.mem_per_cpu_mib = 1;
    spec.array = (char *)array;
    spec.dependency = (char *)dep;
    struct command cmd = {.kind = CMD_SUBMIT, .actor = {.uid = 1000, .user = "u"},
                          .submit = {.spec = &spec, .user = "u"}};
    batch_clear(b);
    apply(c, &cmd, b, 0);
    return b->job_id;
}

static void report(struct core *c, const char *node, uint32_t job, Sl__ReportKind kind,
                   uint32_t status, bool clean, struct batch *b)
{
    Sl__JobReport r = SL__JOB_REPORT__INIT;
    r.kind = kind;
    r.job_id = job;
    r.exit_status = status;
    r.node_clean = clean;
    struct command cmd = {.kind = CMD_REPORT, .report = {.node = node, .report = &r}};
    apply(c, &cmd, b, 0);
}

static enum job_state state(struct core *c, uint32_t id)
{
    struct job_view v;
    return core_job_view(c, id, true, &v) ? v.state : JOB_NONE;
}

static size_t effects(const struct batch *b, enum effect_kind kind)
{
    size_t n = 0;
    for (size_t i = 0; i < b->effects_count; i++)
        n += b->effects[i].kind == kind;
    return n;
}

static void test_job_starts_at_once_and_ends(void **unused)
{
    struct batch b;
    (void)unused;
    batch_init(&b);
    struct core *c = core_make();
    node_register(c, "n1", 4, &b);
    uint32_t id = submit(c, 2, "", "", &b);
    assert_int_equal(effects(&b, EFFECT_LAUNCH), 1);
    assert_int_equal(state(c, id), JOB_RUNNING);
    report(c, "n1", id, SL__REPORT_KIND__REPORT_LAUNCHED, 0, false, &b);
    report(c, "n1", id, SL__REPORT_KIND__REPORT_JOB_DONE, 3 << 8, true, &b);
    assert_int_equal(state(c, id), JOB_FAILED);
    report(c, "n1", id, SL__REPORT_KIND__REPORT_JOB_DONE, 0, true, &b);
    assert_int_equal(state(c, id), JOB_FAILED);
    core_destroy(c);
    batch_fini(&b);
}

static void test_third_job_waits_for_cores(void **unused)
{
    struct batch b;
    struct job_view v;
    (void)unused;
    batch_init(&b);
    struct core *c = core_make();
    node_register(c, "n1", 4, &b);
    uint32_t a = submit(c, 3, "", "", &b), w = submit(c, 2, "", "", &b);
    assert_int_equal(state(c, w), JOB_PENDING);
    core_job_view(c, w, true, &v);
    assert_int_equal(v.reason, REASON_RESOURCES);
    report(c, "n1", a, SL__REPORT_KIND__REPORT_JOB_DONE, 0, true, &b);
    assert_int_equal(state(c, w), JOB_RUNNING);
    core_destroy(c);
    batch_fini(&b);
}

static void test_cancel_frees_after_the_node_is_clean(void **unused)
{
    struct batch b;
    (void)unused;
    batch_init(&b);
    struct core *c = core_make();
    node_register(c, "n1", 4, &b);
    uint32_t a = submit(c, 4, "", "", &b), w = submit(c, 1, "", "", &b);
    struct command cancel = {.kind = CMD_CANCEL, .actor = {.uid = 1001}, .job = {.job_id = a}};
    apply(c, &cancel, &b, -1); /* not the owner */
    cancel.actor.uid = 1000;
    batch_clear(&b);
    apply(c, &cancel, &b, 0);
    assert_int_equal(effects(&b, EFFECT_TERMINATE), 1);
    assert_int_equal(state(c, a), JOB_CANCELLED);
    assert_int_equal(state(c, w), JOB_PENDING);
    report(c, "n1", a, SL__REPORT_KIND__REPORT_NODE_CLEAN, 0, false, &b);
    assert_int_equal(state(c, w), JOB_RUNNING);
    core_destroy(c);
    batch_fini(&b);
}

static void test_array_and_dependency(void **unused)
{
    struct batch b;
    (void)unused;
    batch_init(&b);
    struct core *c = core_make();
    node_register(c, "n1", 4, &b);
    uint32_t a = submit(c, 1, "1-3%2", "", &b);
    char dep[32];
    snprintf(dep, sizeof dep, "afterok:%u", a);
    uint32_t d = submit(c, 1, "", dep, &b);
    assert_int_equal(state(c, d), JOB_PENDING);
    for (uint32_t task = 1; task <= 3; task++) {
        uint32_t id = core_job_task(c, a, task);
        assert_int_not_equal(id, 0);
        assert_int_equal(state(c, id), JOB_RUNNING);
        report(c, "n1", id, SL__REPORT_KIND__REPORT_JOB_DONE, 0, true, &b);
        assert_int_equal(state(c, id), JOB_COMPLETED);
    }
    assert_int_equal(state(c, d), JOB_RUNNING);
    core_destroy(c);
    batch_fini(&b);
}

/* The cost of a submission does not grow with the jobs that wait. */
static void test_a_job_behind_others_that_wait_is_tried_alone(void **arg)
{
    (void)arg;
    struct core *c = core_make();
    struct batch b;
    struct command cmd = {.kind = CMD_SUBMIT, .actor = {.uid = 1000, .user = "u"}};
    Sl__JobSpec spec = SL__JOB_SPEC__INIT;
    struct err err = {0};
    batch_init(&b);
    node_register(c, "n1", 16, &b);
    uint32_t first = submit(c, 16, "", "", &b), wide = submit(c, 15, "", "", &b);
    for (uint32_t n = 2; n < 15; n++) /* each of another kind */
        assert_int_equal(state(c, submit(c, n, "", "", &b)), JOB_PENDING);
    spec.type = SL__JOB_TYPE__JOB_TYPE_BATCH;
    spec.name = (char *)"job";
    spec.ntasks = 1;
    cmd.submit.spec = &spec;
    cmd.submit.user = "u";
    assert_int_equal(core_apply(c, &cmd, T0, &b, &err), 0);
    assert_int_equal(core_plan(c, T0, 1, &b), 0); /* one attempt is all it takes */
    /* what frees room is offered to those that came first */
    report(c, "n1", first, SL__REPORT_KIND__REPORT_JOB_DONE, 0, true, &b);
    assert_int_equal(state(c, wide), JOB_RUNNING);
    assert_int_equal(core_check(c, &err), 0);
    batch_fini(&b);
    core_destroy(c);
}

static void test_save_and_load_give_the_same(void **unused)
{
    struct batch b;
    struct err err = {0};
    struct buf rec, again;
    (void)unused;
    batch_init(&b);
    buf_init(&rec);
    buf_init(&again);
    struct core *c = core_make(), *d = core_empty();
    node_register(c, "n1", 4, &b);
    uint32_t run = submit(c, 3, "", "", &b), wait = submit(c, 4, "1-5", "", &b);
    core_meta_save(c, &rec);
    assert_int_equal(core_meta_load(d, rec.data, rec.len, &err), 0);
    buf_clear(&rec);
    assert_true(core_node_save(c, 0, &rec));
    assert_int_equal(core_node_load(d, rec.data, rec.len, &err), 0);
    for (uint32_t id = run; id <= wait; id++) {
        buf_clear(&rec);
        buf_clear(&again);
        assert_true(core_job_save(c, id, &rec));
        assert_int_equal(core_job_load(d, rec.data, rec.len, &err), 0);
        assert_true(core_job_save(d, id, &again));
        assert_int_equal(rec.len, again.len);
        assert_memory_equal(rec.data, again.data, rec.len);
    }
    assert_int_equal(core_load_end(d, T0, &err), 0);
    assert_int_equal(state(d, run), JOB_RUNNING);
    assert_int_equal(state(d, wait), JOB_PENDING);
    assert_int_not_equal(submit(d, 1, "", "", &b), wait);
    core_destroy(c);
    core_destroy(d);
    batch_fini(&b);
    buf_fini(&rec);
    buf_fini(&again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_job_starts_at_once_and_ends),
        cmocka_unit_test(test_third_job_waits_for_cores),
        cmocka_unit_test(test_cancel_frees_after_the_node_is_clean),
        cmocka_unit_test(test_array_and_dependency),
        cmocka_unit_test(test_a_job_behind_others_that_wait_is_tried_alone),
        cmocka_unit_test(test_save_and_load_give_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
