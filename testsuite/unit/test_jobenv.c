/* SPDX-License-Identifier: Apache-2.0
 *
 * Output variables as sbatch(1) and srun(1) list them, states, printable fields.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "job/field.h"
#include "job/jobspec.h"
#include "job/state.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct sample {
    struct arena arena;
    Sl__JobSpec spec;
    Sl__JobInfo job;
    Sl__Allocation alloc;
    Sl__AllocNode node[2], *nodes[2];
    Sl__GresAlloc gpu, *gpus[1];
    Sl__GresReq gres_req, *gres_reqs[1];
    uint32_t gpu_index[2], ranks[2][2];
    Sl__KeyValue extra, *extras[1];
    Sl__StepSpec step;
    Sl__StepLayout layout;
    Sl__StepNode step_node[2], *step_nodes[2];
};

static struct sample t;

/* A batch job array's task on two nodes, four tasks, two GPUs on each node. */
static int setup(void **state)
{
    (void)state;
    memset(&t, 0, sizeof(t));
    arena_init(&t.arena);
    sl__job_spec__init(&t.spec);
    sl__job_info__init(&t.job);
    sl__allocation__init(&t.alloc);
    sl__gres_alloc__init(&t.gpu);
    sl__gres_req__init(&t.gres_req);
    sl__key_value__init(&t.extra);
    sl__step_spec__init(&t.step);
    sl__step_layout__init(&t.layout);
    t.spec.type = SL__JOB_TYPE__JOB_TYPE_BATCH;
    t.spec.name = (char *)"sim";
    t.spec.ntasks = 4;
    t.spec.cpus_per_task = 2;
    t.spec.ntasks_per_node = 2;
    t.spec.mem_per_cpu_mib = 512;
    t.spec.work_dir = (char *)"/home/alice";
    t.spec.submit_host = (char *)"login";
    t.spec.dependency = (char *)"afterok:3";
    t.spec.distribution = (char *)"plane=2";
    t.gres_req.name = (char *)"gpu";
    t.gres_req.count = 2;
    t.gres_reqs[0] = &t.gres_req;
    t.spec.gres = t.gres_reqs;
    t.spec.n_gres = 1;
    t.extra.key = (char *)"SLURM_PRIO_PROCESS";
    t.extra.value = (char *)"5";
    t.extras[0] = &t.extra;
    t.spec.extra = t.extras;
    t.spec.n_extra = 1;
    t.gpu.name = (char *)"gpu";
    t.gpu_index[0] = 1;
    t.gpu_index[1] = 3;
    t.gpu.index = t.gpu_index;
    t.gpu.n_index = 2;
    t.gpus[0] = &t.gpu;
    for (int i = 0; i < 2; i++) {
        sl__alloc_node__init(&t.node[i]);
        t.node[i].name = (char *)(i == 0 ? "n1" : "n2");
        t.node[i].addr = (char *)"10.0.0.1";
        t.node[i].port = 6818;
        t.node[i].cpus = (char *)"0-3";
        t.node[i].cpus_count = 4;
        t.node[i].ntasks = 2;
        t.node[i].gres = t.gpus;
        t.node[i].n_gres = 1;
        t.nodes[i] = &t.node[i];
        sl__step_node__init(&t.step_node[i]);
        t.step_node[i].alloc_index = (uint32_t)i;
        t.step_node[i].cpus = (char *)"0-1,3";
        t.step_node[i].gres = t.gpus;
        t.step_node[i].n_gres = 1;
        t.ranks[i][0] = (uint32_t)(2 * i);
        t.ranks[i][1] = (uint32_t)(2 * i + 1);
        t.step_node[i].tasks = t.ranks[i];
        t.step_node[i].n_tasks = 2;
        t.step_nodes[i] = &t.step_node[i];
    }
    t.alloc.nodes = t.nodes;
    t.alloc.n_nodes = 2;
    t.alloc.nodelist = (char *)"n[1-2]";
    t.alloc.partition = (char *)"main";
    t.alloc.start = 1700000000 * USEC_PER_SEC;
    t.alloc.end = 1700003600 * USEC_PER_SEC;
    t.job.job_id = 42;
    t.job.restart = 1;
    t.job.array_job_id = 40;
    t.job.array_task_id = 2;
    t.job.array_count = 5;
    t.job.array_min = 0;
    t.job.array_max = 8;
    t.job.array_step = 2;
    t.job.uid = 1000;
    t.job.gid = 100;
    t.job.user = (char *)"alice";
    t.job.account = (char *)"physics";
    t.job.qos = (char *)"normal";
    t.job.cluster = (char *)"c1";
    t.job.spec = &t.spec;
    t.job.alloc = &t.alloc;
    t.layout.job_id = 42;
    t.layout.step_id = 7;
    t.layout.nodes = t.step_nodes;
    t.layout.n_nodes = 2;
    t.layout.ntasks = 4;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_fini(&t.arena);
    return 0;
}

struct pair {
    const char *name, *value; /* NULL: must not be set */
};

static void check(const struct env_list *e, const struct pair *want, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *got = env_list_get(e, want[i].name);
        if (want[i].value == NULL && got != NULL)
            fail_msg("%s is set to %s", want[i].name, got);
        if (want[i].value != NULL && (got == NULL || strcmp(got, want[i].value) != 0))
            fail_msg("%s is %s, not %s", want[i].name, got != NULL ? got : "not set",
                     want[i].value);
    }
}

static void batch_variables(void **state)
{
    static const struct pair want[] = {
        {"SLURM_JOB_ID", "42"}, {"SLURM_JOBID", "42"}, {"SLURM_ARRAY_JOB_ID", "40"},
        {"SLURM_ARRAY_TASK_ID", "2"}, {"SLURM_ARRAY_TASK_COUNT", "5"},
        {"SLURM_ARRAY_TASK_MIN", "0"}, {"SLURM_ARRAY_TASK_MAX", "8"},
        {"SLURM_ARRAY_TASK_STEP", "2"}, {"SLURM_CLUSTER_NAME", "c1"},
        {"SLURM_CPUS_ON_NODE", "4"}, {"SLURM_CPUS_PER_TASK", "2"},
        {"SLURM_DISTRIBUTION", "plane"}, {"SLURM_DIST_PLANESIZE", "2"},
        {"SLURM_GPUS_PER_NODE", "2"}, {"SLURM_GPUS", NULL}, {"SLURM_GPUS_ON_NODE", "2"},
        {"SLURM_JOB_GPUS", "1,3"}, {"SLURM_GTIDS", "0"}, {"SLURM_JOB_ACCOUNT", "physics"},
        {"SLURM_JOB_CPUS_PER_NODE", "4(x2)"}, {"SLURM_JOB_DEPENDENCY", "afterok:3"},
        {"SLURM_JOB_NAME", "sim"}, {"SLURM_JOB_NODELIST", "n[1-2]"},
        {"SLURM_JOB_NUM_NODES", "2"}, {"SLURM_JOB_PARTITION", "main"}, {"SLURM_JOB_QOS", "normal"},
        {"SLURM_LOCALID", "0"}, {"SLURM_MEM_PER_CPU", "512"}, {"SLURM_MEM_PER_NODE", NULL},
        {"SLURM_NNODES", "2"}, {"SLURM_NODEID", "0"}, {"SLURM_NODELIST", "n[1-2]"},
        {"SLURM_NPROCS", "4"}, {"SLURM_NTASKS", "4"}, {"SLURM_NTASKS_PER_NODE", "2"},
        {"SLURM_NTASKS_PER_CORE", NULL}, {"SLURM_OVERCOMMIT", NULL},
        {"SLURM_PRIO_PROCESS", "5"}, {"SLURM_PROCID", "0"}, {"SLURM_RESTART_COUNT", "1"},
        {"SLURM_SUBMIT_DIR", "/home/alice"}, {"SLURM_SUBMIT_HOST", "login"},
        {"SLURM_TASKS_PER_NODE", "2(x2)"}, {"SLURM_TOPOLOGY_ADDR", "n1"},
        {"SLURM_TOPOLOGY_ADDR_PATTERN", "node"}, {"SLURMD_NODENAME", "n1"},
        {"SLURM_JOB_START_TIME", "1700000000"}, {"SLURM_JOB_END_TIME", "1700003600"},
        {"SLURM_JOB_UID", "1000"}, {"SLURM_JOB_USER", "alice"}, {"ENVIRONMENT", "BATCH"},
        {"SLURMLIKE_JOB_ADDR", "10.0.0.1:6818"}, {"SLURM_STEP_ID", NULL},
    };
    struct env_list e;
    (void)state;
    env_list_init(&e, &t.arena);
    env_job(&e, &t.job);
    check(&e, want, COUNT(want));
    assert_null(e.v[e.count]);
}

static void allocation_variables(void **state)
{
    static const struct pair want[] = {{"SLURM_JOB_ID", "42"}, {"SLURM_PROCID", NULL},
                                       {"ENVIRONMENT", NULL}, {"SLURMD_NODENAME", NULL},
                                       {"SLURM_JOB_NODELIST", "n[1-2]"}, {"SLURM_MEM_PER_NODE", "0"},
                                       {"SLURM_RESTART_COUNT", NULL}, {"SLURM_ARRAY_JOB_ID", NULL},
                                       {"SLURM_TASKS_PER_NODE", "2(x2)"}};
    struct env_list e;
    (void)state;
    t.spec.type = SL__JOB_TYPE__JOB_TYPE_ALLOC;
    t.spec.mem_per_cpu_mib = 0;
    t.spec.mem_per_node_mib = MEM_ALL;
    t.job.restart = t.job.array_job_id = 0;
    t.node[0].ntasks = t.node[1].ntasks = 0; /* no layout: as many as the cpus allow */
    env_list_init(&e, &t.arena);
    env_job(&e, &t.job);
    check(&e, want, COUNT(want));
}

static void step_variables(void **state)
{
    static const struct pair want[] = {
        {"SLURM_STEP_ID", "7"}, {"SLURM_STEPID", "7"}, {"SLURM_JOB_ID", "42"},
        {"SLURM_STEP_NODELIST", "n[1-2]"}, {"SLURM_STEP_NUM_NODES", "2"},
        {"SLURM_STEP_NUM_TASKS", "4"}, {"SLURM_STEP_TASKS_PER_NODE", "2(x2)"},
        {"SLURM_NTASKS", "4"}, {"SLURM_NODEID", "1"}, {"SLURM_PROCID", "3"},
        {"SLURM_LOCALID", "1"}, {"SLURM_TASK_PID", "99"}, {"SLURM_GTIDS", "2,3"},
        {"SLURM_CPUS_ON_NODE", "3"}, {"SLURM_GPUS_ON_NODE", "2"}, {"SLURM_STEP_GPUS", "1,3"},
        {"SLURM_UMASK", "0027"}, {"SLURM_LAUNCH_NODE_IPADDR", "login"},
        {"SLURM_CPU_BIND", "verbose,mask_cpu:0x3,0xc"}, {"SLURM_CPU_BIND_TYPE", "mask_cpu:"},
        {"SLURM_CPU_BIND_LIST", "0x3,0xc"}, {"SLURM_CPU_BIND_VERBOSE", "verbose"},
        {"SLURMD_NODENAME", "n2"}, {"SLURM_CPUS_PER_TASK", "2"}, {"SRUN_DEBUG", "3"},
        {"ENVIRONMENT", NULL},
    };
    struct env_list e;
    (void)state;
    t.step.umask = 027;
    t.step.srun_host = (char *)"login";
    t.step.cpu_bind = (char *)"verbose,mask_cpu:0x3,0xc";
    env_list_init(&e, &t.arena);
    env_list_set(&e, "ENVIRONMENT", "BATCH"); /* srun inside a batch script */
    env_step(&e, &t.job, &t.step, &t.layout, 1);
    env_task(&e, &t.layout, 1, 3, 1, 99);
    check(&e, want, COUNT(want));
}

static void list_keeps_the_last(void **state)
{
    struct env_list e;
    (void)state;
    env_list_init(&e, &t.arena);
    for (int i = 0; i < 300; i++) {
        char name[16];
        snprintf(name, sizeof(name), "V%d", i % 150);
        env_list_set(&e, name, "%d", i);
    }
    assert_int_equal(e.count, 150);
    assert_string_equal(env_list_get(&e, "V7"), "157");
    assert_null(env_list_get(&e, "V"));
    env_list_unset(&e, "V7");
    assert_null(env_list_get(&e, "V7"));
    assert_string_equal(env_list_get(&e, "V149"), "299");
    assert_null(e.v[e.count]);
}

/* ---- states -------------------------------------------------------------------------- */

static void job_states(void **state)
{
    enum job_state s;
    uint32_t flags;
    (void)state;
    assert_string_equal(job_state_shown(JOB_RUNNING, 0, true), "R");
    assert_string_equal(job_state_shown(JOB_RUNNING, JOBF_CONFIGURING, true), "CF");
    assert_string_equal(job_state_shown(JOB_FAILED, JOBF_COMPLETING | JOBF_CONFIGURING, false),
                        "COMPLETING");
    assert_true(job_state_parse("pd", &s, &flags) && s == JOB_PENDING && flags == 0);
    assert_true(job_state_parse("completing", &s, &flags) && flags == JOBF_COMPLETING);
    assert_false(job_state_parse("RUNNINGX", &s, &flags));
    for (int i = JOB_NONE + 1; i < JOB_STATE_COUNT; i++) {
        assert_true(job_state_parse(job_state_name((enum job_state)i), &s, &flags) && (int)s == i);
        assert_true(job_state_parse(job_state_compact((enum job_state)i), &s, &flags) && (int)s == i);
    }
}

static void node_states(void **state)
{
    static const struct {
        enum node_state s;
        uint32_t flags;
        const char *full, *word, *compact;
    } cases[] = {
        {NODE_IDLE, 0, "IDLE", "idle", "idle"},
        {NODE_IDLE, NODEF_DRAIN, "IDLE+DRAIN", "drained", "drain"},
        {NODE_MIXED, NODEF_DRAIN, "MIXED+DRAIN", "draining", "drng"},
        {NODE_DOWN, NODEF_NO_RESPOND, "DOWN+NOT_RESPONDING", "down*", "down*"},
        {NODE_IDLE, NODEF_COMPLETING, "IDLE+COMPLETING", "completing", "comp"},
        {NODE_ALLOCATED, 0, "ALLOCATED", "allocated", "alloc"},
    };
    char text[NODE_STATE_TEXT_MAX];
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        enum node_state s;
        uint32_t flags;
        assert_string_equal(node_state_shown(cases[i].s, cases[i].flags, false, text, sizeof(text)),
                            cases[i].full);
        assert_true(node_state_parse(text, &s, &flags));
        assert_true(s == cases[i].s && flags == cases[i].flags);
        assert_string_equal(node_state_word(s, flags, false, text, sizeof(text)), cases[i].word);
        assert_string_equal(node_state_word(s, flags, true, text, sizeof(text)), cases[i].compact);
    }
    assert_int_equal(node_state_matches("drain", NODE_IDLE, NODEF_DRAIN), 1);
    assert_int_equal(node_state_matches("idle", NODE_IDLE, NODEF_DRAIN), 0);
    assert_int_equal(node_state_matches("asleep", NODE_IDLE, 0), -1);
    assert_string_equal(node_state_shown(NODE_DOWN, NODEF_DRAIN, false, text, 6), "DOWN+");
}

/* ---- fields --------------------------------------------------------------------------- */

static void formats(void **state)
{
    struct field_format f;
    struct err err = {0};
    (void)state;
    assert_int_equal(field_format_letters(FIELD_OF_JOB, "<%.18i %9P|%R>", &f, &err), 0);
    assert_int_equal(f.count, 3);
    assert_string_equal(f.columns[0].prefix, "<");
    assert_int_equal(f.columns[0].width, 18);
    assert_true(f.columns[0].right);
    assert_string_equal(f.columns[0].suffix, " ");
    assert_false(f.columns[1].right);
    assert_string_equal(f.columns[2].suffix, ">");
    field_format_fini(&f);
    assert_int_equal(field_format_names(FIELD_OF_JOB, "jobid:10,STATE,Name:.5|", &f, &err), 0);
    assert_int_equal(f.columns[0].width, 10);
    assert_int_equal(f.columns[1].width, 20);
    assert_true(f.columns[2].right && f.columns[2].width == 5);
    assert_string_equal(f.columns[2].suffix, "|");
    field_format_fini(&f);
    assert_int_equal(field_format_letters(FIELD_OF_SINFO, "%#P %t %a", &f, &err), 0);
    assert_int_equal(f.columns[0].width, FIELD_WIDTH_WIDEST);
    field_format_fini(&f);
    static const char *const wrong[] = {"", "plain", "%", "%.5", "%?", "%99999i"};
    for (size_t i = 0; i < COUNT(wrong); i++)
        assert_true(field_format_letters(FIELD_OF_JOB, wrong[i], &f, &err) < 0);
    assert_true(field_format_names(FIELD_OF_JOB, "JobID,Bogus", &f, &err) < 0);
    assert_string_equal(err.text, "Invalid job format specification: Bogus");
}

static void field_rows(void **state)
{
    size_t n;
    const struct field *table = field_table(&n);
    (void)state;
    for (size_t i = 0; i < n; i++) {
        const struct field *f = &table[i];
        assert_ptr_equal(field_by_id(f->id), f);
        assert_ptr_equal(field_by_name(f->what, f->name), f);
        assert_true(f->header[0] != '\0' && f->json[0] != '\0');
        for (size_t k = i + 1; k < n; k++) {
            assert_int_not_equal(f->id, table[k].id);
            if (f->what == table[k].what)
                assert_string_not_equal(f->json, table[k].json);
            /* A step's %A is its task count in squeue(1); its job id has no letter. */
            if (f->what == table[k].what && f->letter != '\0')
                assert_true(f->letter != table[k].letter);
        }
    }
    assert_null(field_by_id(0));
    assert_null(field_by_id(299));
    assert_null(field_by_id(1000000));
}

static void cells(void **state)
{
    static const struct {
        enum field_id id;
        const char *cell, *shown;
    } cases[] = {
        {FIELD_JOB_TIME_USED, "5", "0:05"},       {FIELD_JOB_TIME_LIMIT, "inf", "UNLIMITED"},
        {FIELD_JOB_TIME_LIMIT, "1800", "30:00"},  {FIELD_PART_TIME_MAX, "inf", "infinite"},
        {FIELD_ACCT_ELAPSED, "5", "00:00:05"},    {FIELD_JOB_START, "0", "N/A"},
        {FIELD_ACCT_START, "0", "Unknown"},       {FIELD_JOB_NAME, "x y", "x y"},
        {FIELD_JOB_CONTIGUOUS, "1", "1"},         {FIELD_JOB_TIME_LIMIT, "NOT_SET", "NOT_SET"},
        {FIELD_JOB_TIME_LEFT, "", ""},            {FIELD_PART_ROOT, "0", "no"},
        {FIELD_JOB_MIN_MEM, "2048", "2G"},        {FIELD_JOB_MIN_MEM, "2048M", "2048M"},
    };
    struct buf b;
    (void)state;
    buf_init(&b);
    for (size_t i = 0; i < COUNT(cases); i++) {
        buf_clear(&b);
        field_show(field_by_id(cases[i].id), cases[i].cell, &b);
        assert_string_equal(buf_str(&b), cases[i].shown);
    }
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(batch_variables, setup, teardown),
        cmocka_unit_test_setup_teardown(allocation_variables, setup, teardown),
        cmocka_unit_test_setup_teardown(step_variables, setup, teardown),
        cmocka_unit_test_setup_teardown(list_keeps_the_last, setup, teardown),
        cmocka_unit_test(job_states),
        cmocka_unit_test(node_states),
        cmocka_unit_test(formats),
        cmocka_unit_test(field_rows),
        cmocka_unit_test(cells),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
