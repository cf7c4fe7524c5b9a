/* SPDX-License-Identifier: Apache-2.0
 *
 * --constraint and --prefer: which nodes each form of sbatch(1) leaves, and what is refused.
 *
 *   n1 n2   rack1,fast       n5      rack3,fast,old
 *   n3 n4   rack2            n6      (nothing)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sched_scene.h"

#include <stdio.h>
#include <string.h>

static void begin(struct scene *s)
{
    static const char *const features[] = {"rack1,fast", "rack1,fast", "rack2", "rack2",
                                           "rack3,fast,old", ""};
    scene_begin(s, 0);
    for (int i = 0; i < 6; i++) {
        char name[8];
        snprintf(name, sizeof name, "n%d", i + 1);
        scene_node(s, name, features[i]);
    }
}

static void ask(Sl__JobSpec *spec, const char *constraint, const char *prefer, uint32_t nodes)
{
    spec_begin(spec);
    spec->constraints = (char *)constraint;
    spec->prefer = (char *)prefer;
    spec->nodes_min = spec->nodes_max = nodes;
    spec->ntasks = nodes ? nodes : 1;
    spec->exclusive = 1;
}

static void each_form_gets_the_nodes_it_names(void **unused)
{
    static const struct { const char *constraint; uint32_t nodes; const char *list; } cases[] = {
        {"rack2", 2, "n[3-4]"}, {"rack1&fast", 2, "n[1-2]"}, {"fast,old", 1, "n5"},
        {"rack1|rack2", 4, "n[1-4]"}, {"(rack1|rack3)&fast", 3, "n[1-2,5]"},
        {"old|rack2&fast", 1, "n5"}, {"[rack3|rack1|rack2]", 2, "n[1-2]"},
        {"[rack3|rack2]&fast", 1, "n5"}, {"[(rack1&fast)|rack2]", 2, "n[1-2]"},
        {"[rack1*1&rack2*2]", 0, "n[1,3-4]"}, {"[rack1*1&rack2*2]", 3, "n[1,3-4]"},
        {"[(rack1|rack3)*3&rack2*1]", 0, "n[1-3,5]"}, {"old*1&fast", 3, "n[1-2,5]"},
        {"[fast*2&old*1]", 0, "n[1-2,5]"}, {"[fast*3]", 3, "n[1-2,5]"}, {"[old]", 1, "n5"},
        {"fast&[old*1]", 3, "n[1-2,5]"}, {"(rack1&fast)*2&old*1", 0, "n[1-2,5]"}};
    struct scene s;
    Sl__JobSpec spec;
    (void)unused;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        begin(&s);
        ask(&spec, cases[i].constraint, "", cases[i].nodes);
        uint32_t id = scene_submit(&s, &spec);
        if (strcmp(scene_job(&s, id).nodelist, cases[i].list) != 0)
            fail_msg("%s, %u nodes: %s, not %s", cases[i].constraint, cases[i].nodes,
                     scene_job(&s, id).nodelist, cases[i].list);
        scene_end(&s);
    }
}

static void what_says_nothing_is_refused(void **unused)
{
    static const struct { const char *constraint; uint32_t nodes; const char *word; } cases[] = {
        {"&fast", 1, "name is wanted"}, {"fast&", 1, "name is wanted"}, {"fast||old", 1, "name"},
        {"(fast", 1, "\")\""}, {"fast)", 1, "unexpected"}, {"[fast", 1, "name is wanted"},
        {"[fast&old]", 1, "count each"}, {"[rack1]&[rack2]", 1, "only one []"},
        {"fast*0", 1, "count of nodes"}, {"fast*x", 1, "*x"}, {"fast*", 1, "count of nodes"},
        {"fast*99999999999", 1, "count of nodes"}, {"[rack1*2|rack2*2]", 2, "unexpected"},
        {"fast*2|old", 2, "unexpected"}, {"fast old", 1, "unexpected"},
        {"[rack1*2&rack2*2]", 3, "--nodes allows 3"}, {"slow", 1, "no node has slow"},
        {"[slow|fast]", 1, ""}, {"fast&rack2", 1, ""}};
    struct scene s;
    Sl__JobSpec spec;
    char deep[200];
    (void)unused;
    begin(&s);
    for (size_t i = 0; i < sizeof cases / sizeof *cases - 2; i++) {
        ask(&spec, cases[i].constraint, "", cases[i].nodes);
        scene_refuses(&s, &spec, SL_EINVAL_FIELD, cases[i].word);
    }
    memset(deep, '(', sizeof deep - 1);
    deep[sizeof deep - 1] = '\0';
    ask(&spec, deep, "", 1);
    scene_refuses(&s, &spec, SL_EINVAL_FIELD, "nested too deep");
    ask(&spec, "fast&rack2", "", 1); /* each is there, but on no node together */
    scene_refuses(&s, &spec, SL_EBAD_CONFIG, "");
    ask(&spec, "", "no|", 1);
    scene_refuses(&s, &spec, SL_EINVAL_FIELD, "--prefer");
    ask(&spec, "[slow|fast]", "", 1);
    scene_submit(&s, &spec);
    scene_end(&s);
}

static void what_is_preferred_comes_first_and_is_not_waited_for(void **unused)
{
    struct scene s;
    Sl__JobSpec spec;
    (void)unused;
    begin(&s);
    ask(&spec, "rack1", "rack2", 2); /* overrides the constraint "if possible" */
    uint32_t a = scene_submit(&s, &spec), b = scene_submit(&s, &spec);
    assert_string_equal(scene_job(&s, a).nodelist, "n[3-4]");
    assert_string_equal(scene_job(&s, b).nodelist, "n[1-2]");
    uint32_t c = scene_submit(&s, &spec);
    scene_expect(&s, c, JOB_PENDING, JOB_REASON_COUNT);
    scene_done(&s, b, 0);
    assert_string_equal(scene_job(&s, c).nodelist, "n[1-2]");
    scene_end(&s);
}

/* Only one of the counts' nodes is left: the node that both could have goes to the other. */
static void counts_share_out_nodes_that_have_both(void **unused)
{
    struct scene s;
    Sl__JobSpec spec;
    (void)unused;
    begin(&s);
    ask(&spec, "", "", 1);
    spec.nodelist = (char *)"n1";
    scene_submit(&s, &spec);
    ask(&spec, "[fast*1&old*1]", "", 0); /* n2 n5; the light first: n5 for neither fast alone */
    uint32_t id = scene_submit(&s, &spec);
    assert_string_equal(scene_job(&s, id).nodelist, "n[2,5]");
    scene_end(&s);
}

static void a_nodes_new_features_count_and_survive_a_restart(void **unused)
{
    struct scene s;
    Sl__JobSpec spec;
    (void)unused;
    begin(&s);
    ask(&spec, "old", "", 1);
    uint32_t a = scene_submit(&s, &spec), b = scene_submit(&s, &spec);
    scene_expect(&s, a, JOB_RUNNING, JOB_REASON_COUNT);
    scene_expect(&s, b, JOB_PENDING, REASON_RESOURCES);
    scene_restart(&s);
    for (int i = 1; i <= 6; i++) {
        char name[8];
        snprintf(name, sizeof name, "n%d", i);
        scene_node(&s, name, i == 5 ? "rack3,fast,old" : "");
    }
    scene_expect(&s, b, JOB_PENDING, REASON_RESOURCES);
    struct command cmd = {.kind = CMD_NODE_UPDATE, .actor = {.admin = true},
                          .update = {.object = "n6", .key = "Features", .value = "x,old"}};
    assert_int_equal(scene_apply(&s, &cmd), 0);
    assert_string_equal(scene_job(&s, b).nodelist, "n6");
    scene_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_form_gets_the_nodes_it_names),
        cmocka_unit_test(what_says_nothing_is_refused),
        cmocka_unit_test(what_is_preferred_comes_first_and_is_not_waited_for),
        cmocka_unit_test(counts_share_out_nodes_that_have_both),
        cmocka_unit_test(a_nodes_new_features_count_and_survive_a_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
