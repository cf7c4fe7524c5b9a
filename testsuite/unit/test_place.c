/* SPDX-License-Identifier: Apache-2.0
 *
 * Which nodes a job gets: the smallest sufficient piece of the fabric, best fit, in the
 * order of the fabric. core_check follows each step.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "place_scene.h"
#include "topo/fabric.h"

static uint32_t run(struct scene *s, uint32_t nodes, uint32_t ntasks)
{
    Sl__JobSpec spec = SL__JOB_SPEC__INIT;
    spec.type = SL__JOB_TYPE__JOB_TYPE_BATCH;
    spec.name = (char *)"job";
    spec.nodes_min = spec.nodes_max = nodes;
    spec.ntasks = ntasks;
    spec.mem_per_node_mib = 1;
    return scene_submit(s, &spec);
}

/* A job alone on each of its nodes. */
static uint32_t run_alone(struct scene *s, uint32_t nodes, const char *list)
{
    Sl__JobSpec spec = SL__JOB_SPEC__INIT;
    spec.type = SL__JOB_TYPE__JOB_TYPE_BATCH;
    spec.name = (char *)"job";
    spec.nodes_min = spec.nodes_max = nodes;
    spec.exclusive = 1;
    spec.nodelist = (char *)list;
    spec.mem_per_node_mib = 1;
    return scene_submit(s, &spec);
}

/* Four leafs of four nodes in two pods: n0-3 n4-7 | n8-11 n12-15. */
static void tree_begin(struct scene *s)
{
    scene_begin(s, &scene_policy);
    scene_nodes(s, "n[0-15]", 4);
    const struct fabric_switch sw[] = {
        {"s0", NULL, "n[0-3]"}, {"s1", NULL, "n[4-7]"}, {"s2", NULL, "n[8-11]"},
        {"s3", NULL, "n[12-15]"}, {"pod0", "s[0-1]", NULL}, {"pod1", "s[2-3]", NULL},
        {"top", "pod[0-1]", NULL}};
    struct fabric *f = fabric_switches(FABRIC_TREE, sw, 7, &s->err);
    assert_non_null(f);
    core_fabric(s->c, f);
    scene_plan(s);
}

static void a_job_goes_to_the_leaf_it_fills_best(void **state)
{
    struct scene s;
    tree_begin(&s);
    run_alone(&s, 1, "n0");
    run_alone(&s, 2, "n[4-5]"); /* free: 3, 2, 4, 4 */
    assert_string_equal(scene_where(&s, run_alone(&s, 2, "")), "n[6-7]");
    assert_string_equal(scene_where(&s, run_alone(&s, 3, "")), "n[1-3]");
    assert_string_equal(scene_where(&s, run_alone(&s, 4, "")), "n[8-11]");
    scene_end(&s);
}

static void a_job_larger_than_a_leaf_stays_in_a_pod(void **state)
{
    struct scene s;
    tree_begin(&s);
    run_alone(&s, 2, "n[0-1]"); /* free: 2, 4 | 4, 4 */
    assert_string_equal(scene_where(&s, run_alone(&s, 6, "")), "n[2-7]");
    assert_string_equal(scene_where(&s, run_alone(&s, 5, "")), "n[8-12]");
    scene_end(&s);
}

static void two_whole_leafs_are_nearer_than_three_parts(void **state)
{
    struct scene s;
    tree_begin(&s);
    run_alone(&s, 3, "n[4-6]");   /* free: 4, 1 | 3, 4: no pod has 8 */
    run_alone(&s, 1, "n8");
    assert_string_equal(scene_where(&s, run_alone(&s, 8, "")), "n[0-3,12-15]");
    scene_end(&s);
}

static void eight_nodes_fill_a_pod_and_not_four_leafs(void **state)
{
    struct scene s;
    tree_begin(&s);
    run_alone(&s, 1, "n3"); /* 7 in the first pod */
    assert_string_equal(scene_where(&s, run_alone(&s, 8, "")), "n[8-15]");
    scene_end(&s);
}

static void small_jobs_fill_nodes_that_are_in_use(void **state)
{
    struct scene s;
    tree_begin(&s);
    uint32_t a = run(&s, 1, 3);
    assert_string_equal(scene_where(&s, a), "n0");
    assert_string_equal(scene_where(&s, run(&s, 1, 1)), "n0");
    assert_string_equal(scene_where(&s, run(&s, 1, 1)), "n1");
    scene_end(&s);
}

static void tasks_without_a_node_count_stay_in_a_leaf(void **state)
{
    struct scene s;
    tree_begin(&s);
    run(&s, 4, 10); /* n0-3: 6 cores are left in s0 */
    assert_string_equal(scene_where(&s, run(&s, 0, 16)), "n[4-7]");
    assert_string_equal(scene_where(&s, run(&s, 0, 6)), "n[0-3]");
    scene_end(&s);
}

static void ranks_follow_the_fabric_not_the_names(void **state)
{
    struct scene s;
    scene_begin(&s, &scene_policy);
    scene_nodes(&s, "n[0-3]", 4);
    const struct fabric_switch sw[] = {{"s0", NULL, "n0,n2"}, {"s1", NULL, "n1,n3"},
                                       {"top", "s[0-1]", NULL}};
    core_fabric(s.c, fabric_switches(FABRIC_TREE, sw, 3, &s.err));
    assert_string_equal(scene_where(&s, run_alone(&s, 4, "")), "n[0,2,1,3]");
    scene_end(&s);
}

static void nodes_outside_the_fabric_are_used_last(void **state)
{
    struct scene s;
    tree_begin(&s);
    scene_nodes(&s, "a[0-3]", 4);
    assert_string_equal(scene_where(&s, run_alone(&s, 4, "")), "n[0-3]");
    assert_string_equal(scene_where(&s, run_alone(&s, 14, "")), "n[4-15],a[0-1]");
    scene_end(&s);
}

static void named_nodes_are_kept_and_completed_nearby(void **state)
{
    struct scene s;
    tree_begin(&s);
    assert_string_equal(scene_where(&s, run_alone(&s, 3, "n9")), "n[8-10]");
    assert_string_equal(scene_where(&s, run_alone(&s, 2, "n[3,12]")), "n[3,12]");
    scene_end(&s);
}

static void light_nodes_are_used_before_heavy_ones(void **state)
{
    struct scene s;
    tree_begin(&s);
    for (int i = 0; i < 4; i++) {
        char name[8];
        snprintf(name, sizeof name, "n%d", i);
        struct command cmd = {.kind = CMD_NODE_UPDATE, .actor = {.admin = true},
                              .update = {.object = name, .key = "Weight", .value = "10"}};
        assert_int_equal(core_apply(s.c, &cmd, s.now, &s.b, &s.err), 0);
    }
    run_alone(&s, 1, "n2"); /* s0 would be the best fit for three */
    assert_string_equal(scene_where(&s, run_alone(&s, 3, "")), "n[4-6]");
    /* more than the light ones: then the fabric decides */
    assert_string_equal(scene_where(&s, run_alone(&s, 10, "")), "n[0-1,8-15]");
    scene_end(&s);
}

static void a_run_of_neighbours_is_one(void **state)
{
    struct scene s;
    tree_begin(&s);
    run_alone(&s, 3, "n[1,6,10]");
    Sl__JobSpec spec = SL__JOB_SPEC__INIT;
    spec.type = SL__JOB_TYPE__JOB_TYPE_BATCH;
    spec.name = (char *)"job";
    spec.nodes_min = spec.nodes_max = 5;
    spec.exclusive = 1;
    spec.mem_per_node_mib = 1;
    spec.contiguous = true;
    assert_string_equal(scene_where(&s, scene_submit(&s, &spec)), "n[11-15]");
    assert_string_equal(scene_where(&s, scene_submit(&s, &spec)), "");
    scene_end(&s);
}

static void spread_takes_a_node_of_each_leaf_in_turn(void **state)
{
    struct scene s;
    tree_begin(&s);
    Sl__JobSpec spec = SL__JOB_SPEC__INIT;
    spec.type = SL__JOB_TYPE__JOB_TYPE_BATCH;
    spec.name = (char *)"job";
    spec.ntasks = 4;
    spec.mem_per_node_mib = 1;
    spec.spread = true;
    assert_string_equal(scene_where(&s, scene_submit(&s, &spec)), "n[0,4,8,12]");
    scene_end(&s);
}

static void freed_leafs_are_used_again(void **state)
{
    struct scene s;
    tree_begin(&s);
    uint32_t all = run_alone(&s, 16, "");
    uint32_t next = run_alone(&s, 4, "");
    assert_string_equal(scene_where(&s, next), "");
    scene_finish(&s, all);
    assert_string_equal(scene_where(&s, next), "n[0-3]");
    scene_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_goes_to_the_leaf_it_fills_best),
        cmocka_unit_test(a_job_larger_than_a_leaf_stays_in_a_pod),
        cmocka_unit_test(two_whole_leafs_are_nearer_than_three_parts),
        cmocka_unit_test(eight_nodes_fill_a_pod_and_not_four_leafs),
        cmocka_unit_test(small_jobs_fill_nodes_that_are_in_use),
        cmocka_unit_test(tasks_without_a_node_count_stay_in_a_leaf),
        cmocka_unit_test(ranks_follow_the_fabric_not_the_names),
        cmocka_unit_test(nodes_outside_the_fabric_are_used_last),
        cmocka_unit_test(named_nodes_are_kept_and_completed_nearby),
        cmocka_unit_test(light_nodes_are_used_before_heavy_ones),
        cmocka_unit_test(a_run_of_neighbours_is_one),
        cmocka_unit_test(spread_takes_a_node_of_each_leaf_in_turn),
        cmocka_unit_test(freed_leafs_are_used_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
