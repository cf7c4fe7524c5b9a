/* SPDX-License-Identifier: Apache-2.0
 *
 * What options of a submission make the core do later: --signal before the limit,
 * --kill-on-invalid-dep, --no-kill, aftercorr, -N min-max, partitions' access. Each holds
 * over a restart as well.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "sched/core.h"
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define T0 (1700000000 * USEC_PER_SEC)
#define SEC USEC_PER_SEC

static const struct core_policy policy = {
    .kill_wait = 30 * SEC, .node_timeout = 300 * SEC, .job_keep = 3000 * SEC,
    .job_id_first = 1, .job_id_max = 1000000, .jobs_max = 1000, .array_size_max = 1000,
    .requeue_max = 3, .requeue_default = false, .return_to_service = 2, .backfill = BACKFILL_CONSERVATIVE,
    .backfill_depth = 1};
static const struct core_partition parts[] = {
    {.name = "main", .nodes = "ALL", .is_default = true, .time_max = SPAN_INFINITE},
    {.name = "club", .nodes = "ALL", .time_max = SPAN_INFINITE, .allow_groups = "wheel,staff"},
    {.name = "paid", .nodes = "ALL", .time_max = SPAN_INFINITE, .allow_accounts = "a,b"},
    {.name = "small", .nodes = "ALL", .time_max = SPAN_INFINITE, .nodes_max = 1,
     .mem_max_per_node_mib = 100}};

struct scene {
    struct core *c;
    struct batch b;
    usec_t now;
    struct err err;
};

static struct core *core_empty(void)
{
    struct err err = {0};
    struct core *c = core_create(&policy, &err);
    assert_int_equal(core_configure(c, &policy, parts, 4, NULL, 0, true, T0, &err), 0);
    return c;
}

/* What the command answers; the batch holds what it and the pass behind it did. */
static int apply(struct scene *s, const struct command *cmd)
{
    s->err = (struct err){0};
    batch_clear(&s->b);
    int rc = core_apply(s->c, cmd, s->now, &s->b, &s->err);
    while (core_plan(s->c, s->now, 100, &s->b) == 1)
        ;
    struct err broken = {0};
    if (core_check(s->c, &broken) < 0)
        fail_msg("%s", broken.text);
    return rc;
}

static void tick_to(struct scene *s, usec_t when)
{
    struct command tick = {.kind = CMD_TICK};
    s->now = when;
    assert_int_equal(apply(s, &tick), 0);
}

static void node_register(struct scene *s, const char *name)
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
    reg.topo = &topo;
    reg.mem_mib = 4096;
    struct command cmd = {.kind = CMD_NODE_REGISTER, .actor = {.admin = true}, .reg = &reg};
    assert_int_equal(apply(s, &cmd), 0);
}

static void scene_begin(struct scene *s, unsigned nodes)
{
    *s = (struct scene){.c = core_empty(), .now = T0};
    batch_init(&s->b);
    assert_int_equal(core_load_end(s->c, T0, &s->err), 0);
    for (unsigned i = 1; i <= nodes; i++) {
        char name[8];
        snprintf(name, sizeof name, "n%u", i);
        node_register(s, name);
    }
}

static void scene_end(struct scene *s)
{
    core_destroy(s->c);
    batch_fini(&s->b);
}

/* The same core from its records, as after a crash of the controller. */
static void scene_restart(struct scene *s, uint32_t jobs)
{
    struct core *fresh = core_empty();
    struct buf rec;
    buf_init(&rec);
    core_meta_save(s->c, &rec);
    assert_int_equal(core_meta_load(fresh, rec.data, rec.len, &s->err), 0);
    for (uint32_t i = 0; i < core_node_count(s->c); i++) {
        buf_clear(&rec);
        core_node_save(s->c, i, &rec);
        assert_int_equal(core_node_load(fresh, rec.data, rec.len, &s->err), 0);
    }
    for (uint32_t id = 1; id <= jobs; id++) {
        buf_clear(&rec);
        if (core_job_save(s->c, id, &rec))
            assert_int_equal(core_job_load(fresh, rec.data, rec.len, &s->err), 0);
    }
    buf_fini(&rec);
    core_destroy(s->c);
    s->c = fresh;
    assert_int_equal(core_load_end(s->c, s->now, &s->err), 0);
}

static void spec_begin(Sl__JobSpec *spec)
{
    sl__job_spec__init(spec);
    spec->type = SL__JOB_TYPE__JOB_TYPE_BATCH;
    spec->name = (char *)"job";
    spec->ntasks = 1;
    spec->mem_per_node_mib = 1;
}

static int submit_in(struct scene *s, const Sl__JobSpec *spec, const char *const *groups)
{
    struct command cmd = {.kind = CMD_SUBMIT, .actor = {.uid = 1000, .user = "u"},
                          .submit = {.spec = spec, .user = "u", .groups = groups}};
    return apply(s, &cmd);
}

static uint32_t submit(struct scene *s, const Sl__JobSpec *spec)
{
    if (submit_in(s, spec, NULL) < 0)
        fail_msg("%s", s->err.text);
    return s->b.job_id;
}

static void done(struct scene *s, const char *node, uint32_t job, Sl__ReportKind kind, int status)
{
    Sl__JobReport r = SL__JOB_REPORT__INIT;
    r.kind = kind;
    r.job_id = job;
    r.exit_status = (uint32_t)status;
    r.node_clean = kind == SL__REPORT_KIND__REPORT_JOB_DONE;
    struct command cmd = {.kind = CMD_REPORT, .report = {.node = node, .report = &r}};
    assert_int_equal(apply(s, &cmd), 0);
}

static struct job_view view(struct scene *s, uint32_t id)
{
    struct job_view v = {.state = JOB_NONE};
    core_job_view(s->c, id, true, &v);
    return v;
}

/* Signals that the batch sends, on all nodes. */
static unsigned signals_sent(const struct scene *s, uint32_t signal, bool batch_only)
{
    unsigned n = 0;
    for (size_t i = 0; i < s->b.effects_count; i++)
        n += s->b.effects[i].kind == EFFECT_TERMINATE && signal &&
             s->b.effects[i].term.signal == signal &&
             s->b.effects[i].term.batch_only == batch_only;
    return n;
}

/* ---- --signal ------------------------------------------------------------------------------- */

static void the_signal_comes_once_before_the_limit_and_over_a_restart(void **unused)
{
    static const struct { const char *option; bool batch_only; } cases[] = {
        {"USR1@60", false}, {"B:10@60", true}};
    (void)unused;
    for (size_t i = 0; i < 2; i++) {
        struct scene s;
        Sl__JobSpec spec;
        scene_begin(&s, 2);
        spec_begin(&spec);
        spec.nodes_min = spec.nodes_max = spec.ntasks = 2;
        spec.signal = (char *)cases[i].option;
        spec.time_limit_usec = 300 * SEC;
        uint32_t id = submit(&s, &spec);
        tick_to(&s, T0 + 239 * SEC);
        assert_int_equal(s.b.effects_count, 0);
        scene_restart(&s, id);
        tick_to(&s, T0 + 240 * SEC);
        assert_int_equal(signals_sent(&s, SIGUSR1, cases[i].batch_only), 2);
        scene_restart(&s, id);
        tick_to(&s, T0 + 250 * SEC);
        assert_int_equal(signals_sent(&s, SIGUSR1, cases[i].batch_only), 0);
        assert_int_equal(view(&s, id).state, JOB_RUNNING);
        tick_to(&s, T0 + 300 * SEC);
        assert_int_equal(view(&s, id).state, JOB_TIMEOUT);
        scene_end(&s);
    }
}

static void a_longer_limit_moves_the_signal(void **unused)
{
    struct scene s;
    Sl__JobSpec spec;
    (void)unused;
    scene_begin(&s, 1);
    spec_begin(&spec);
    spec.signal = (char *)"USR1@60";
    spec.time_limit_usec = 120 * SEC;
    uint32_t id = submit(&s, &spec);
    struct command more = {.kind = CMD_JOB_UPDATE, .actor = {.admin = true},
                           .update = {.object = "1", .job_id = id, .key = "TimeLimit", .value = "4"}};
    assert_int_equal(apply(&s, &more), 0);
    tick_to(&s, T0 + 60 * SEC);
    assert_int_equal(signals_sent(&s, SIGUSR1, false), 0);
    tick_to(&s, T0 + 180 * SEC);
    assert_int_equal(signals_sent(&s, SIGUSR1, false), 1);
    scene_end(&s);
}

/* ---- dependencies ------------------------------------------------------------------------------ */

static void a_dependency_that_can_not_be_met_ends_a_job_that_asked_for_it(void **unused)
{
    struct scene s;
    Sl__JobSpec spec;
    (void)unused;
    scene_begin(&s, 1);
    spec_begin(&spec);
    uint32_t first = submit(&s, &spec);
    spec.dependency = (char *)"afterok:1";
    uint32_t stays = submit(&s, &spec);
    spec.kill_on_invalid_dep = 1;
    uint32_t goes = submit(&s, &spec);
    scene_restart(&s, goes);
    done(&s, "n1", first, SL__REPORT_KIND__REPORT_LAUNCHED, 0);
    done(&s, "n1", first, SL__REPORT_KIND__REPORT_JOB_DONE, 1 << 8);
    assert_int_equal(view(&s, stays).state, JOB_PENDING);
    assert_int_equal(view(&s, stays).reason, REASON_DEPENDENCY_NEVER);
    assert_int_equal(view(&s, goes).state, JOB_CANCELLED);
    assert_int_equal(view(&s, goes).reason, REASON_DEPENDENCY_NEVER);
    scene_end(&s);
}

static void tasks_of_two_arrays_follow_each_other_in_pairs(void **unused)
{
    struct scene s;
    Sl__JobSpec spec;
    (void)unused;
    scene_begin(&s, 1);
    spec_begin(&spec);
    spec.array = (char *)"1-3";
    uint32_t a = submit(&s, &spec);
    spec.dependency = (char *)"aftercorr:1";
    uint32_t b = submit(&s, &spec);
    for (uint32_t task = 1; task <= 3; task++)
        assert_int_equal(view(&s, core_job_task(s.c, a, task)).state, JOB_RUNNING);
    done(&s, "n1", core_job_task(s.c, a, 2), SL__REPORT_KIND__REPORT_JOB_DONE, 0);
    assert_int_equal(view(&s, core_job_task(s.c, b, 2)).state, JOB_RUNNING);
    assert_int_equal(view(&s, core_job_task(s.c, b, 1)).state, JOB_PENDING);
    done(&s, "n1", core_job_task(s.c, a, 3), SL__REPORT_KIND__REPORT_JOB_DONE, 1 << 8);
    assert_int_equal(view(&s, core_job_task(s.c, b, 3)).reason, REASON_DEPENDENCY_NEVER);
    assert_int_equal(view(&s, core_job_task(s.c, b, 1)).reason, REASON_DEPENDENCY);
    done(&s, "n1", core_job_task(s.c, a, 1), SL__REPORT_KIND__REPORT_JOB_DONE, 0);
    assert_int_equal(view(&s, core_job_task(s.c, b, 1)).state, JOB_RUNNING);
    scene_end(&s);
}

/* ---- nodes --------------------------------------------------------------------------------------- */

static void lose(struct scene *s, const char *node)
{
    struct command lost = {.kind = CMD_NODE_LOST, .node = {.name = node}};
    assert_int_equal(apply(s, &lost), 0);
    tick_to(s, s->now + policy.node_timeout);
}

static void no_kill_lets_a_job_outlive_its_other_nodes(void **unused)
{
    struct scene s;
    Sl__JobSpec spec;
    (void)unused;
    for (int keep = 0; keep <= 1; keep++) {
        scene_begin(&s, 2);
        spec_begin(&spec);
        spec.nodes_min = spec.nodes_max = spec.ntasks = 2;
        spec.no_kill = keep;
        uint32_t id = submit(&s, &spec);
        done(&s, "n1", id, SL__REPORT_KIND__REPORT_LAUNCHED, 0);
        done(&s, "n2", id, SL__REPORT_KIND__REPORT_LAUNCHED, 0);
        lose(&s, "n2");
        assert_int_equal(view(&s, id).state, keep ? JOB_RUNNING : JOB_NODE_FAIL);
        if (keep) { /* the home of its script is another matter */
            scene_restart(&s, id);
            assert_int_equal(view(&s, id).state, JOB_RUNNING);
            node_register(&s, "n1");
            assert_int_equal(view(&s, id).state, JOB_NODE_FAIL);
        }
        scene_end(&s);
    }
}

static void a_range_of_nodes_gives_as_many_as_are_free(void **unused)
{
    struct scene s;
    Sl__JobSpec spec;
    (void)unused;
    scene_begin(&s, 3);
    spec_begin(&spec);
    spec.nodes_min = 1;
    spec.nodes_max = spec.ntasks = 4;
    assert_int_equal(view(&s, submit(&s, &spec)).nodes_count, 3);
    spec.use_min_nodes = true;
    assert_int_equal(view(&s, submit(&s, &spec)).nodes_count, 2); /* 10 tasks' room is left */
    scene_end(&s);
}

static void a_limit_gives_way_to_a_promise(void **unused)
{
    struct scene s;
    Sl__JobSpec spec;
    (void)unused;
    scene_begin(&s, 1);
    spec_begin(&spec);
    spec.ntasks = 2;
    spec.time_limit_usec = 600 * SEC;
    submit(&s, &spec);
    spec.ntasks = 4;
    uint32_t first = submit(&s, &spec);
    spec.ntasks = 1;
    spec.time_limit_usec = 1200 * SEC;
    uint32_t stiff = submit(&s, &spec);
    spec.time_min_usec = 300 * SEC;
    uint32_t gives = submit(&s, &spec);
    assert_int_equal(view(&s, first).state, JOB_PENDING);
    assert_int_equal(view(&s, stiff).state, JOB_PENDING);
    assert_int_equal(view(&s, gives).state, JOB_RUNNING);
    assert_int_equal(view(&s, gives).time_limit, 600 * SEC);
    scene_end(&s);
}

/* ---- admission ------------------------------------------------------------------------------------- */

static void refused(struct scene *s, const Sl__JobSpec *spec, const char *const *groups, int code,
                    const char *word)
{
    size_t before = core_job_count(s->c, false);
    assert_int_equal(submit_in(s, spec, groups), code);
    if (!strstr(s->err.text, word))
        fail_msg("\"%s\" is not in \"%s\"", word, s->err.text);
    assert_int_equal(core_job_count(s->c, false), before);
}

static void partitions_take_whom_they_are_for(void **unused)
{
    static const char *const mine[] = {"users", "staff", NULL}, *const other[] = {"users", NULL};
    struct scene s;
    Sl__JobSpec spec;
    char *name = (char *)"club";
    (void)unused;
    scene_begin(&s, 2);
    spec_begin(&spec);
    spec.partitions = &name;
    spec.n_partitions = 1;
    refused(&s, &spec, other, SL_EACCESS, "club");
    refused(&s, &spec, NULL, SL_EACCESS, "club");
    assert_int_equal(submit_in(&s, &spec, mine), 0);
    name = (char *)"paid";
    refused(&s, &spec, mine, SL_EINVAL_ACCOUNT, "paid");
    spec.account = (char *)"b";
    assert_int_equal(submit_in(&s, &spec, mine), 0);
    name = (char *)"small";
    spec.mem_per_node_mib = 101;
    refused(&s, &spec, mine, SL_EBAD_CONFIG, "small");
    spec.mem_per_node_mib = 100;
    spec.nodes_min = spec.nodes_max = 2;
    refused(&s, &spec, mine, SL_EBAD_CONFIG, "small");
    scene_end(&s);
}

static void what_is_not_there_is_named(void **unused)
{
    struct scene s;
    Sl__JobSpec spec;
    (void)unused;
    scene_begin(&s, 1);
    spec_begin(&spec);
    spec.nodelist = (char *)"n[1-2]";
    refused(&s, &spec, NULL, SL_EINVAL_NODE, "n2");
    spec.nodelist = (char *)"";
    spec.constraints = (char *)"fast|slow";
    refused(&s, &spec, NULL, SL_EINVAL_FIELD, "fast");
    spec.constraints = (char *)"";
    spec.nice = -1;
    refused(&s, &spec, NULL, SL_EACCESS, "nice");
    spec.nice = 0;
    spec.has_priority = true;
    spec.priority = 7;
    refused(&s, &spec, NULL, SL_EACCESS, "priority");
    scene_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_signal_comes_once_before_the_limit_and_over_a_restart),
        cmocka_unit_test(a_longer_limit_moves_the_signal),
        cmocka_unit_test(a_dependency_that_can_not_be_met_ends_a_job_that_asked_for_it),
        cmocka_unit_test(tasks_of_two_arrays_follow_each_other_in_pairs),
        cmocka_unit_test(no_kill_lets_a_job_outlive_its_other_nodes),
        cmocka_unit_test(a_range_of_nodes_gives_as_many_as_are_free),
        cmocka_unit_test(a_limit_gives_way_to_a_promise),
        cmocka_unit_test(partitions_take_whom_they_are_for),
        cmocka_unit_test(what_is_not_there_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
