/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "conf/conf.h"

static const struct {
    const char *text, *message; /* a part that the error must have */
} wrong[] = {
    {"port = 5;", "t:1: port: unknown key; did you mean controller.port?"},
    {"\njobs = { kil_wait = 3; };", "t:2: jobs.kil_wait: unknown key; did you mean jobs.kill_wait?"},
    {"zzzzzzzzz = 1;", "t:1: zzzzzzzzz: unknown key"},
    {"nodes = ( { names = \"n\"; cpu = 3; } );", "nodes.cpu: unknown key; did you mean cpus?"},
    {"controller = { port = 65536; };", "controller.port: must be from 0 to 65535"},
    {"controller = { port = -1; };", "controller.port: must be from"},
    {"controller = { port = \"x\"; };", "controller.port: a whole number is expected"},
    {"controller = { port = 1.5; };", "a whole number is expected"},
    {"controller = 5;", "controller: is a group"},
    {"nodes = 5;", "nodes: is a list"},
    {"nodes = ( 5 );", "each entry is a group"},
    {"nodes = ( { cpus = 1; } );", "an entry without `names`"},
    {"nodes = ( { names = \"n[5-1]\"; } );", "ends before it begins"},
    {"nodes = ( { names = \"n[0-999999999]\"; } );", "too many names"},
    {"nodes = ( { names = \"n[1-65536]\"; }, { names = \"m\"; } );", "more than 65536 nodes"},
    {"nodes = ( { names = \"n[1-3]\"; }, { names = \"n2\"; } );", "n2 is described twice"},
    {"nodes = ( { names = \"n[1-3]\"; addr = \"a\"; } );", "1 addresses for 3 nodes"},
    {"nodes = ( { names = \"n\"; memory = \"5X\"; } );", "nodes.memory"},
    {"nodes = ( { names = \"n\"; state = \"UPSIDE\"; } );", "is not one of |DRAIN|DOWN|FUTURE"},
    {"partitions = ( { nodes = \"ALL\"; } );", "an entry without `name`"},
    {"partitions = ( { name = \"a\"; }, { name = \"a\"; } );", "partition a is described twice"},
    {"partitions = ( { name = \"a\"; default = true; }, { name = \"b\"; default = true; } );",
     "both the default"},
    {"partitions = ( { name = \"a\"; max_time = \"10\"; default_time = \"20\"; } );",
     "default_time is above max_time"},
    {"partitions = ( { name = \"a\"; min_nodes = 3; max_nodes = 2; } );", "min_nodes is above"},
    {"node = { dynamic = false; }; partitions = ( { name = \"a\"; nodes = \"n9\"; } );",
     "node n9 is not in `nodes`"},
    {"jobs = { kill_wait = \"30\"; };", "write 30 for seconds"},
    {"jobs = { kill_wait = 99999999999999; };", "t:1: the number 99999999999999 is too large"},
    {"jobs = { id_first = 9; id_max = 3; };", "jobs.id_first is above jobs.id_max"},
    {"node = { timeout = 10; ping_interval = 10; };", "ping_interval must be below"},
    {"cluster_name = \"a b\";", "only letters, digits"},
    {"cluster_name = \"\";", "must not be empty"},
    {"cluster_name = \"a\\nb\";", "control characters"},
    {"log = { level = \"loud\"; };", "is not one of error|warn|info|verbose|debug"},
    {"run_dir = \"relative\";", "is not an absolute path"},
    {"run_dir = \"%r/x\";", "%r cannot be used here"},
    {"log = { target = \"/%x\"; };", "unknown sequence %x"},
    {"state = \"memory\";", "is not sqlite:"},
    {"state = \"postgresql://h/d\";", "not built yet"},
    {"scheduler = { order = \"lifo\"; };", "scheduler.order: \"lifo\" is not one of priority|fcfs|due"},
    {"scheduler = { backfill = true; };", "scheduler.backfill"},
    {"scheduler = { backfill = \"eager\"; };", "is not one of none|easy|conservative"},
    {"scheduler = { backfill_depth = 0; };", "scheduler.backfill_depth: must be from 1 to"},
    {"scheduler = { backfill_candidates = \"longest\"; };", "is not one of queue|shortest"},
    {"scheduler = { due_factor = 1000001; };", "scheduler.due_factor"},
    {"switches = ( { name = \"s\"; nods = \"n1\"; } );", "did you mean nodes?"},
    {"switches = ( { nodes = \"n1\"; } );", "an entry without `name`"},
    {"blocks = ( { name = \"b\"; } );", "an entry without `nodes`"},
    {"topology = { generate = \"rails:nodes=2\"; }; blocks = ( { name = \"b\"; nodes = \"n1\"; } );",
     "give one of switches, blocks"},
    {"topology = { block_sizes = \"4\"; };", "there are no blocks"},
    {"@include \"/etc/passwd\"", "@include is not supported"},
    {"x = {", "syntax error"},
    {"run_dir = \"/a\"; run_dir = \"/b\";", "t:1: duplicate"},
};

static void wrong_input_names_place_key_and_cause(void **state)
{
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct err err = {0};
        struct conf *conf = conf_load_text(wrong[i].text, "t", &err);
        if (conf || !strstr(err.text, wrong[i].message))
            fail_msg("%s: \"%s\" lacks \"%s\"", wrong[i].text, err.text, wrong[i].message);
        assert_true(err.code < 0);
        assert_memory_equal(err.text, "t:", 2);
        assert_null(conf_load_text(wrong[i].text, "t", NULL));
    }
}

static void a_file_that_is_not_there_is_an_error(void **state)
{
    struct err err;
    assert_null(conf_load("/nonexistent/slurmlike.conf", &err));
    assert_non_null(strstr(err.text, "/nonexistent/slurmlike.conf"));
    assert_null(conf_load("/tmp", &err));
    assert_non_null(strstr(err.text, "not a regular file"));
    setenv("SLURMLIKE_CONF", "/nonexistent/env.conf", 1);
    assert_null(conf_load(NULL, &err));
    assert_non_null(strstr(err.text, "/nonexistent/env.conf"));
    unsetenv("SLURMLIKE_CONF");
}

static void defaults_are_a_whole_one_machine_cluster(void **state)
{
    struct conf *c = conf_defaults();
    assert_string_equal(c->cluster_name, "linux");
    assert_int_equal(c->ctld_port, 6817);
    assert_int_equal(c->node_port, 6818);
    assert_int_equal(c->kill_wait, 30 * USEC_PER_SEC);
    assert_int_equal(c->node_timeout, 300 * USEC_PER_SEC);
    assert_int_equal(c->job_keep, 300 * USEC_PER_SEC);
    assert_true(c->node_dynamic);
    assert_int_equal(c->partitions_count, 1);
    assert_string_equal(c->partitions[0].name, "main");
    assert_string_equal(c->partitions[0].nodes, "ALL");
    assert_true(c->partitions[0].is_default);
    assert_true(c->partitions[0].time_max == SPAN_INFINITE);
    assert_null(strstr(c->ctld_socket, "%"));
    assert_non_null(strstr(c->node_spool_dir, "%n"));
    assert_string_equal(c->path, "");
    conf_destroy(c);
    conf_destroy(NULL);
}

static void values_land_in_their_fields(void **state)
{
    struct err err;
    struct conf *c = conf_load_text(
        "run_dir = \"/r\"; log = { target = \"%r/log\"; level = \"DEBUG\"; };\n"
        "jobs = { kill_wait = \"1:30\"; requeue = false; mem_default_per_cpu = \"1.5G\"; };\n"
        "node = { timeout = 60; spool_dir = \"%r/%n\"; };\n"
        "nodes = ( { names = \"n[1-4]\"; cpus = 8; memory = \"16G\"; gres = \"gpu:a100:4\";\n"
        "            weight = 4294967293L; state = \"drain\"; reason = \"a \\\"b\\\"\"; } );\n"
        "partitions = ( { name = \"p\"; max_time = \"1-0\"; default_time = 90; } );\n"
        "switches = ( { name = \"s1\"; nodes = \"n[1-2]\"; }, { name = \"top\"; switches = \"s1\"; } );",
        "t", &err);
    if (!c)
        fail_msg("%s", err.text);
    assert_int_equal(c->switches_count, 2);
    assert_string_equal(c->switches[0].nodes, "n[1-2]");
    assert_string_equal(c->switches[1].switches, "s1");
    assert_string_equal(c->log_target, "/r/log");
    assert_int_equal(c->log_level, LOG_L_DEBUG);
    assert_int_equal(c->kill_wait, 90 * USEC_PER_SEC);
    assert_false(c->requeue_default);
    assert_int_equal(c->mem_default_per_cpu_mib, 1536);
    assert_string_equal(c->node_spool_dir, "/r/%n");
    assert_int_equal(c->nodes_count, 1);
    assert_int_equal(c->nodes[0].memory_mib, 16384);
    assert_true(c->nodes[0].weight == 4294967293u);
    assert_string_equal(c->nodes[0].state, "DRAIN");
    assert_string_equal(c->nodes[0].reason, "a \"b\"");
    assert_int_equal(c->partitions[0].time_max, 86400 * USEC_PER_SEC);
    assert_int_equal(c->partitions[0].time_default, 90 * USEC_PER_SEC);
    assert_false(c->partitions[0].is_default);

    char *text = conf_save_text(c);
    struct conf *again = conf_load_text(text, "saved", &err);
    if (!again)
        fail_msg("%s", err.text);
    char *text2 = conf_save_text(again);
    assert_string_equal(text, text2);
    free(text);
    free(text2);
    conf_destroy(again);
    conf_destroy(c);
}

static void the_example_loads_back_as_the_defaults(void **state)
{
    char *example = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&example, &n);
    conf_print_example(f);
    fclose(f);
    struct err err;
    struct conf *c = conf_load_text(example, "example", &err), *d = conf_defaults();
    if (!c)
        fail_msg("%s", err.text);
    char *a = conf_save_text(c), *b = conf_save_text(d);
    assert_string_equal(a, b);
    free(a);
    free(b);
    free(example);
    conf_destroy(c);
    conf_destroy(d);
}

static void collect(const char *key, const char *value, void *arg)
{
    buf_printf(arg, "%s=%s\n", key, value);
}

static void each_key_is_listed_with_its_value(void **state)
{
    struct conf *c = conf_defaults();
    struct buf b;
    buf_init(&b);
    conf_each(c, collect, &b);
    assert_non_null(strstr(b.data, "cluster_name=linux\n"));
    assert_non_null(strstr(b.data, "\njobs.kill_wait=30\n"));
    assert_non_null(strstr(b.data, "\nlog.level=info\n"));
    buf_fini(&b);
    conf_destroy(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_input_names_place_key_and_cause),
        cmocka_unit_test(a_file_that_is_not_there_is_an_error),
        cmocka_unit_test(defaults_are_a_whole_one_machine_cluster),
        cmocka_unit_test(values_land_in_their_fields),
        cmocka_unit_test(the_example_loads_back_as_the_defaults),
        cmocka_unit_test(each_key_is_listed_with_its_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
