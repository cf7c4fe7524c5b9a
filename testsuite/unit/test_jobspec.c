/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "job/jobspec.h"
#include "job/state.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct arena arena;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_fini(&arena);
    return 0;
}

static void arrays(void **state)
{
    static const struct {
        const char *text, *canonical;
        size_t count;
        uint32_t throttle;
    } cases[] = {
        {"0", "0", 1, 0},
        {"0-3", "0-3", 4, 0},
        {"0-15:4", "0-12:4", 4, 0},
        {"5,1,3", "1-5:2", 3, 0},
        {"1,3", "1,3", 2, 0},
        {"1-3,2-4%2", "1-4", 4, 2},
        {"7,7,7", "7", 1, 0},
        {"0-4,10,20-22", "0-4,10,20-22", 9, 0},
    };
    uint32_t *ids, throttle;
    size_t count;
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct err err = {0};
        assert_int_equal(array_parse(cases[i].text, 0, &arena, &ids, &count, &throttle, &err), 0);
        assert_int_equal(count, cases[i].count);
        assert_int_equal(throttle, cases[i].throttle);
        assert_string_equal(array_format(&arena, ids, count), cases[i].canonical);
    }
}

static void wrong_arrays(void **state)
{
    static const char *const cases[] = {"", "a", "1-", "-1", "3-1", "1:2", "1-5:0", "1,,2", "1,",
                                        "1%", "1%0", "1%x", "%2", "1001", "4294967296",
                                        "1-2-3", "0-4294967295", " 1"};
    uint32_t *ids, throttle;
    size_t count;
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct err err = {0};
        assert_int_equal(array_parse(cases[i], 1001, &arena, &ids, &count, &throttle, &err),
                         SL_EINVAL_ARRAY);
        assert_memory_equal(err.text, "Invalid job array specification: ", 33);
    }
}

/* What is formatted reads back as the same set. */
static void array_round_trip(void **state)
{
    unsigned seed = 20261124;
    (void)state;
    print_message("seed %u\n", seed);
    for (int round = 0; round < 200; round++) {
        uint32_t in[64], *out, throttle, next = 0;
        size_t n = 1 + (size_t)(seed % 64), count;
        struct err err = {0};
        for (size_t i = 0; i < n; i++) {
            seed = seed * 1103515245u + 12345u;
            next += 1 + (seed >> 16) % 4;
            in[i] = next;
        }
        char *text = array_format(&arena, in, n);
        assert_int_equal(array_parse(text, 0, &arena, &out, &count, &throttle, &err), 0);
        assert_int_equal(count, n);
        assert_memory_equal(in, out, n * sizeof(*in));
    }
}

static void gres(void **state)
{
    static const struct {
        const char *text, *name, *type;
        uint64_t count;
    } cases[] = {
        {"gpu", "gpu", "", 1},           {"gpu:4", "gpu", "", 4},
        {"gpu:a100", "gpu", "a100", 1},  {"gpu:a100:2", "gpu", "a100", 2},
        {"gres:gpu:3", "gpu", "", 3},    {"gres/gpu:tesla:1", "gpu", "tesla", 1},
        {"mps:2k", "mps", "", 2048},
    };
    static const char *const wrong[] = {":", "gpu:", "gpu::2", "gpu:2:3", "gpu:a:b", "gpu:a:b:2",
                                        ",", "gpu,,mps", "g pu", "gpu:-1", "gpu:9999999999p"};
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        Sl__GresReq **list = NULL;
        size_t n = 0;
        struct err err = {0};
        assert_int_equal(gres_parse(cases[i].text, SL__GRES_PER__GRES_PER_TASK, &arena, &list, &n,
                                    &err), 0);
        assert_int_equal(n, 1);
        assert_string_equal(list[0]->name, cases[i].name);
        assert_string_equal(list[0]->type, cases[i].type);
        assert_int_equal(list[0]->count, cases[i].count);
        assert_int_equal(list[0]->per, SL__GRES_PER__GRES_PER_TASK);
    }
    for (size_t i = 0; i < COUNT(wrong); i++) {
        Sl__GresReq **list = NULL;
        size_t n = 0;
        struct err err = {0};
        if (gres_parse(wrong[i], SL__GRES_PER__GRES_PER_NODE, &arena, &list, &n, &err) !=
            SL_EINVAL_GRES)
            fail_msg("accepted: %s", wrong[i]);
        assert_int_equal(n, 0);
    }
}

static void gres_appends_and_drops_none(void **state)
{
    Sl__GresReq **list = NULL;
    size_t n = 0;
    (void)state;
    assert_int_equal(gres_parse("gpu:1,mps:5", SL__GRES_PER__GRES_PER_NODE, &arena, &list, &n, NULL), 0);
    assert_int_equal(gres_parse("none", SL__GRES_PER__GRES_PER_NODE, &arena, &list, &n, NULL), 0);
    assert_int_equal(gres_parse("gpu:0", SL__GRES_PER__GRES_PER_NODE, &arena, &list, &n, NULL), 0);
    assert_int_equal(gres_parse("gpu:2", SL__GRES_PER__GRES_PER_JOB, &arena, &list, &n, NULL), 0);
    assert_int_equal(n, 3);
    assert_string_equal(list[1]->name, "mps");
    assert_int_equal(list[2]->per, SL__GRES_PER__GRES_PER_JOB);
}

/* Ranks of each node, nodes apart by '|': "0,1|2|3". */
static char *layout_text(const struct layout *l)
{
    struct buf b;
    buf_init(&b);
    for (uint32_t i = 0; i < l->nodes_count; i++) {
        bool first = true;
        if (i > 0)
            buf_putc(&b, '|');
        for (uint32_t r = 0; r < l->ntasks; r++)
            if (l->rank_node[r] == i) {
                buf_printf(&b, "%s%u", first ? "" : ",", r);
                first = false;
            }
    }
    char *text = arena_strdup(&arena, buf_str(&b));
    buf_fini(&b);
    return text;
}

static void layouts(void **state)
{
    static const struct {
        uint32_t cpus[4], nodes, ntasks, cpus_per_task, per_node;
        const char *distribution;
        bool overcommit;
        const char *ranks;
    } cases[] = {
        /* srun(1)'s examples: three nodes of two cpus, four tasks */
        {{2, 2, 2}, 3, 4, 1, 0, "block", false, "0,1|2|3"},
        {{2, 2, 2}, 3, 4, 1, 0, "cyclic", false, "0,3|1|2"},
        {{2, 2, 2}, 3, 4, 1, 0, "", false, "0,1|2|3"},
        {{2, 2, 2}, 3, 3, 1, 0, "", false, "0|1|2"},
        {{4, 4}, 2, 4, 1, 0, "block", false, "0,1,2|3"},
        {{4, 4}, 2, 4, 1, 0, "block,NoPack", false, "0,1|2,3"},
        {{4, 4}, 2, 4, 1, 0, "block,Pack", false, "0,1,2,3|"},
        {{4, 4}, 2, 4, 2, 0, "block", false, "0,1|2,3"},
        {{4, 4}, 2, 4, 1, 2, "block", false, "0,1|2,3"},
        {{4, 4}, 2, 6, 1, 0, "plane=2", false, "0,1,4|2,3,5"},
        {{4, 4, 4}, 3, 8, 1, 0, "plane=2", false, "0,1,6|2,3,7|4,5"},
        {{1, 4}, 2, 5, 1, 0, "cyclic", false, "0|1,2,3,4"},
        {{1, 1}, 2, 6, 1, 0, "block", true, "0,1,2|3,4,5"},
        {{1, 1}, 2, 5, 1, 0, "cyclic", true, "0,2,4|1,3"},
        {{4, 4}, 2, 1, 1, 0, "", false, "0|"},
        {{4}, 1, 2, 8, 0, "", true, "0,1"},
        {{4, 4}, 2, 4, 1, 0, "cyclic:block:fcyclic", false, "0,2|1,3"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct layout l;
        struct err err = {0};
        int rc = layout_make(cases[i].cpus, cases[i].nodes, cases[i].ntasks, cases[i].cpus_per_task,
                             cases[i].per_node, cases[i].distribution, cases[i].overcommit, &arena,
                             &l, &err);
        if (rc != 0)
            fail_msg("case %zu: %s", i, err.text);
        assert_string_equal(layout_text(&l), cases[i].ranks);
    }
}

static void wrong_layouts(void **state)
{
    static const uint32_t cpus[] = {2, 2};
    struct layout l;
    struct err err = {0};
    (void)state;
    assert_int_equal(layout_make(cpus, 2, 5, 1, 0, "", false, &arena, &l, &err), SL_EBAD_CONFIG);
    assert_string_equal(err.text,
                        "More processors requested than permitted: 5 tasks, room for 4");
    assert_int_equal(layout_make(cpus, 2, 3, 2, 0, "", false, &arena, &l, &err), SL_EBAD_CONFIG);
    assert_int_equal(layout_make(cpus, 2, 3, 1, 1, "", false, &arena, &l, &err), SL_EBAD_CONFIG);
    assert_true(layout_make(cpus, 0, 3, 1, 0, "", false, &arena, &l, &err) < 0);
    assert_true(layout_make(cpus, 2, 0, 1, 0, "", false, &arena, &l, &err) < 0);
    assert_true(layout_make(cpus, 2, TASKS_PER_STEP_MAX + 1, 1, 0, "", true, &arena, &l, &err) < 0);
    static const char *const dists[] = {"plane=0", "plane", "plane=2:block", "block:x",
                                        "block:block:block:block", "block,sometimes", "arbitrary"};
    for (size_t i = 0; i < COUNT(dists); i++)
        assert_true(layout_make(cpus, 2, 2, 1, 0, dists[i], false, &arena, &l, &err) < 0);
}

/* Any request that fits gives each rank one node and no node more than its share. */
static void layout_properties(void **state)
{
    static const char *const dists[] = {"", "block", "cyclic", "plane=3", "block,NoPack",
                                        "block,Pack"};
    unsigned seed = 7;
    (void)state;
    print_message("seed %u\n", seed);
    for (int round = 0; round < 300; round++) {
        uint32_t cpus[8], n, room = 0, sum = 0;
        struct layout l;
        struct err err = {0};
        seed = seed * 1103515245u + 12345u;
        n = 1 + (seed >> 16) % 8;
        for (uint32_t i = 0; i < n; i++) {
            seed = seed * 1103515245u + 12345u;
            cpus[i] = 1 + (seed >> 16) % 6;
            room += cpus[i];
        }
        uint32_t ntasks = 1 + (seed >> 20) % room;
        const char *dist = dists[(seed >> 8) % COUNT(dists)];
        assert_int_equal(layout_make(cpus, n, ntasks, 1, 0, dist, false, &arena, &l, &err), 0);
        uint32_t got[8] = {0};
        for (uint32_t r = 0; r < ntasks; r++)
            got[l.rank_node[r]]++;
        for (uint32_t i = 0; i < n; i++) {
            assert_int_equal(got[i], l.tasks_per_node[i]);
            assert_true(got[i] <= cpus[i]);
            sum += got[i];
        }
        assert_int_equal(sum, ntasks);
    }
}

static void counts(void **state)
{
    static const uint32_t a[] = {2, 2, 2, 1}, b[] = {3}, c[] = {1, 2, 2, 1};
    (void)state;
    assert_string_equal(layout_counts(&arena, a, 4), "2(x3),1");
    assert_string_equal(layout_counts(&arena, b, 1), "3");
    assert_string_equal(layout_counts(&arena, c, 4), "1,2(x2),1");
    assert_string_equal(layout_counts(&arena, NULL, 0), "");
}

static void file_names(void **state)
{
    Sl__JobSpec spec = SL__JOB_SPEC__INIT;
    Sl__JobInfo job = SL__JOB_INFO__INIT;
    static const struct {
        const char *pattern, *path;
    } cases[] = {
        {"", "/w/slurm-128.out"},
        {"job%J.out", "/w/job128.0.out"}, /* srun(1)'s examples */
        {"job%4j.out", "/w/job0128.out"},
        {"job%j-%2t.out", "/w/job128-03.out"},
        {"/abs/%x-%u-%N-%n", "/abs/name-alice-node7-2"},
        {"%%j", "/w/%j"},
        {"%s.%A.%b", "/w/0.128.0"},
        {"\\\\%j", "/w/%j"},
        {"%q%", "/w/%q%"},
        {"%99j", "/w/0000000128"},
    };
    (void)state;
    spec.name = (char *)"name";
    spec.work_dir = (char *)"/w";
    job.job_id = 128;
    job.user = (char *)"alice";
    job.spec = &spec;
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_string_equal(filename_expand(&arena, cases[i].pattern, &job, 0, 3, 2,
                                            "node7.example.org", NULL), cases[i].path);
    assert_string_equal(filename_expand(&arena, "%J-%s", &job, STEP_BATCH, NO_VAL, 0, "n", NULL),
                        "/w/128-batch");
    job.array_job_id = 100;
    job.array_task_id = 17;
    assert_string_equal(filename_expand(&arena, "", &job, STEP_BATCH, 0, 0, "n", NULL),
                        "/w/slurm-100_17.out");
    assert_string_equal(filename_expand(&arena, "%3a.%b", &job, 0, 0, 0, "n", NULL), "/w/017.7");
}

static void file_names_have_a_limit(void **state)
{
    Sl__JobSpec spec = SL__JOB_SPEC__INIT;
    Sl__JobInfo job = SL__JOB_INFO__INIT;
    char name[300], pattern[4096];
    struct err err = {0};
    (void)state;
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    spec.name = name;
    job.spec = &spec;
    memset(pattern, 'a', sizeof(pattern));
    for (int i = 0; i < 40; i++)
        memcpy(pattern + 2 * i, "%x", 2);
    pattern[4000] = '\0';
    assert_null(filename_expand(&arena, pattern, &job, 0, 0, 0, "n", &err));
    assert_true(err.code < 0);
    assert_true(filename_per_task("a%3t"));
    assert_false(filename_per_task("a%%t"));
    assert_true(filename_per_node("%N"));
    assert_false(filename_per_node("\\\\%N"));
    assert_false(filename_per_task("100%"));
}

static void signals(void **state)
{
    struct signal_option o;
    struct err err = {0};
    (void)state;
    assert_int_equal(signal_parse("9"), 9);
    assert_int_equal(signal_parse("sigterm"), SIGTERM);
    assert_int_equal(signal_parse("USR1"), SIGUSR1);
    assert_int_equal(signal_parse("0"), -1);
    assert_int_equal(signal_parse("9x"), -1);
    assert_int_equal(signal_parse("SIG"), -1);
    assert_string_equal(signal_name(SIGKILL), "KILL");
    assert_int_equal(signal_option_parse("B:USR2@120", &o, &err), 0);
    assert_true(o.batch_only);
    assert_int_equal(o.signal, SIGUSR2);
    assert_int_equal(o.before_sec, 120);
    assert_int_equal(signal_option_parse("10", &o, &err), 0);
    assert_int_equal(o.before_sec, 60);
    assert_true(signal_option_parse("USR1@99999", &o, &err) < 0);
    assert_true(signal_option_parse("USR1@", &o, &err) < 0);
}

static void job_ids(void **state)
{
    static const char *const wrong[] = {"", "0", "x", "1x", "12_", "12_[", "12_[1-3", "12_[1%2]",
                                        "12.", "12.x", "12.0x", "12.4294967290", "12+", "12+x", "12+128", "-1",
                                        "4294967296", "12_3_4", "12_[]"};
    struct job_sel s;
    struct err err = {0};
    (void)state;
    assert_int_equal(job_sel_parse("12", &arena, &s, &err), 0);
    assert_true(s.job_id == 12 && !s.has_array && !s.has_step);
    assert_int_equal(job_sel_parse("12_3", &arena, &s, &err), 0);
    assert_true(s.has_array && s.tasks_count == 1 && s.task_ids[0] == 3);
    assert_int_equal(job_sel_parse("12_[1-5,9].7", &arena, &s, &err), 0);
    assert_true(s.tasks_count == 6 && s.has_step && s.step_id == 7);
    assert_int_equal(job_sel_parse("12.batch", &arena, &s, &err), 0);
    assert_true(s.step_id == STEP_BATCH);
    assert_int_equal(job_sel_parse("12.extern", &arena, &s, &err), 0);
    assert_true(s.step_id == STEP_EXTERN);
    assert_int_equal(job_sel_parse("12+0", &arena, &s, &err), 0);
    assert_true(s.has_het && s.job_id == 12 && s.het_offset == 0);
    assert_int_equal(job_sel_parse("12+3.0", &arena, &s, &err), 0);
    assert_true(s.has_het && s.job_id == 15 && s.het_offset == 3 && s.has_step);
    for (size_t i = 0; i < COUNT(wrong); i++)
        if (job_sel_parse(wrong[i], &arena, &s, &err) == 0)
            fail_msg("accepted: %s", wrong[i]);
}

/* ---- specs from the wire -------------------------------------------------------------- */

static void sound_spec(Sl__JobSpec *s)
{
    sl__job_spec__init(s);
    s->type = SL__JOB_TYPE__JOB_TYPE_BATCH;
    s->work_dir = (char *)"/tmp";
}

#define REFUSED(statement, message)                                                       \
    do {                                                                                  \
        Sl__JobSpec s;                                                                    \
        struct err err = {0};                                                             \
        sound_spec(&s);                                                                   \
        statement;                                                                        \
        assert_true(jobspec_check(&s, &err) < 0);                                         \
        assert_string_equal(err.text, message);                                           \
    } while (0)

static void spec_checks(void **state)
{
    Sl__JobSpec ok;
    static char long_name[NAME_LEN_MAX + 2];
    Sl__KeyValue kv = SL__KEY_VALUE__INIT, *extra[] = {&kv};
    Sl__GresReq g = SL__GRES_REQ__INIT, *gres_list[] = {&g};
    Sl__Rlimit rl = SL__RLIMIT__INIT, *limits[] = {&rl};
    (void)state;
    memset(long_name, 'x', NAME_LEN_MAX + 1);
    sound_spec(&ok);
    assert_int_equal(jobspec_check(&ok, NULL), 0);
    REFUSED(s.type = 99, "job type 99 is unknown");
    REFUSED(s.name = long_name, "--job-name: more than 255 bytes");
    REFUSED(s.comment = (char *)"a\nb", "--comment: control character 0x0a");
    REFUSED(s.account = (char *)"a,b", "--account: character ',' in \"a,b\"");
    REFUSED(s.ntasks = TASKS_PER_STEP_MAX + 1, "--ntasks: 1048577 is over the limit of 1048576");
    REFUSED((s.nodes_min = 3, s.nodes_max = 2), "--nodes: minimum 3 is over the maximum 2");
    REFUSED((s.mem_per_node_mib = 1, s.mem_per_cpu_mib = 1),
            "--mem, --mem-per-cpu, and --mem-per-gpu are mutually exclusive");
    REFUSED(s.mem_per_node_mib = UINT64_C(1) << 50,
            "--mem: 1125899906842624 MiB is not a memory size");
    REFUSED(s.work_dir = (char *)"tmp", "--chdir: \"tmp\" is not an absolute path");
    REFUSED(s.nice = INT32_MIN, "--nice: -2147483648 is not within +-2147483645");
    REFUSED(s.time_limit_usec = -1, "--time: negative");
    REFUSED((s.type = SL__JOB_TYPE__JOB_TYPE_RUN, s.array = (char *)"1"),
            "--array: only batch jobs can be arrays");
    REFUSED((kv.key = (char *)"LD_PRELOAD", s.extra = extra, s.n_extra = 1),
            "pass-through variable \"LD_PRELOAD\" is not allowed");
    REFUSED((s.gres = gres_list, s.n_gres = 1),
            "Invalid generic resource (gres) specification: \"\"");
    REFUSED((rl.resource = 99, s.rlimits = limits, s.n_rlimits = 1),
            "resource limit 99 is malformed");
}

static void step_checks(void **state)
{
    Sl__StepSpec s = SL__STEP_SPEC__INIT;
    struct err err = {0};
    (void)state;
    assert_int_equal(stepspec_check(&s, &err), 0);
    s.kill_on_bad_exit = 2;
    assert_true(stepspec_check(&s, &err) < 0);
    assert_string_equal(err.text, "--kill-on-bad-exit: 2");
    s.kill_on_bad_exit = -1;
    s.pty_rows = 70000;
    assert_true(stepspec_check(&s, &err) < 0);
    s.pty_rows = 0;
    s.nodelist = (char *)"n[1-";
    assert_true(stepspec_check(&s, &err) < 0);
    assert_memory_equal(err.text, "--nodelist: ", 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(arrays, setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_arrays, setup, teardown),
        cmocka_unit_test_setup_teardown(array_round_trip, setup, teardown),
        cmocka_unit_test_setup_teardown(gres, setup, teardown),
        cmocka_unit_test_setup_teardown(gres_appends_and_drops_none, setup, teardown),
        cmocka_unit_test_setup_teardown(layouts, setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_layouts, setup, teardown),
        cmocka_unit_test_setup_teardown(layout_properties, setup, teardown),
        cmocka_unit_test_setup_teardown(counts, setup, teardown),
        cmocka_unit_test_setup_teardown(file_names, setup, teardown),
        cmocka_unit_test_setup_teardown(file_names_have_a_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(signals, setup, teardown),
        cmocka_unit_test_setup_teardown(job_ids, setup, teardown),
        cmocka_unit_test(spec_checks),
        cmocka_unit_test(step_checks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
