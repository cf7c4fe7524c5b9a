/* SPDX-License-Identifier: Apache-2.0
 *
 * Licenses: counted over the whole cluster, from a job's start until its nodes are clean.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sched_scene.h"

#include <string.h>

#define ANY JOB_REASON_COUNT

static const struct core_partition parts[] = {
    {.name = "main", .nodes = "ALL", .is_default = true, .time_max = SPAN_INFINITE}};

static void begin(struct scene *s)
{
    *s = (struct scene){.policy = scene_policy, .parts = parts, .parts_count = 1};
    s->policy.licenses = "tool:3,other";
    scene_begin_with(s, 2);
}

static uint32_t wants(struct scene *s, const char *licenses, int64_t minutes)
{
    Sl__JobSpec spec;
    spec_begin(&spec);
    spec.licenses = (char *)licenses;
    spec.time_limit_usec = minutes * 60 * SEC;
    return scene_submit(s, &spec);
}

static void uses(struct scene *s, const char *name, uint32_t used, uint32_t total)
{
    struct license_view v;
    for (uint32_t i = 0; core_license_view(s->c, i, &v); i++) {
        if (strcmp(v.name, name) != 0)
            continue;
        assert_int_equal(v.used, used);
        assert_int_equal(v.total, total);
        assert_int_equal(v.free, used < total ? total - used : 0);
        return;
    }
    fail_msg("no license %s", name);
}

static void what_is_no_license_is_refused(void **unused)
{
    static const struct { const char *text; int code; const char *word; } cases[] = {
        {"none", SL_EINVAL_FIELD, "there is no license none"}, {"tool:4", SL_EINVAL_FIELD, "there are 3"},
        {"tool:2,tool:2", SL_EINVAL_FIELD, "4 of tool"}, {"tool:", SL_EINVAL_FIELD, "count"},
        {"tool:x", SL_EINVAL_FIELD, "count"}, {"tool:-1", SL_EINVAL_FIELD, "count"},
        {"tool:99999999999", SL_EINVAL_FIELD, "count"}, {":2", SL_EINVAL_FIELD, "no name"},
        {"tool,", SL_EINVAL_FIELD, "comma"}, {"tool|other", SL_EINVAL_FIELD, "no name"},
        {"tool@db:1", SL_ENOT_BUILT, "another server"}};
    struct scene s;
    Sl__JobSpec spec;
    (void)unused;
    begin(&s);
    spec_begin(&spec);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        spec.licenses = (char *)cases[i].text;
        scene_refuses(&s, &spec, cases[i].code, cases[i].word);
    }
    scene_end(&s);
}

static void jobs_share_what_there_is_over_a_restart(void **unused)
{
    struct scene s;
    (void)unused;
    begin(&s);
    uint32_t a = wants(&s, "tool:2", 10), b = wants(&s, "tool:2", 10), c = wants(&s, "other", 10);
    scene_expect(&s, a, JOB_RUNNING, ANY);
    scene_expect(&s, b, JOB_PENDING, REASON_LICENSES);
    scene_expect(&s, c, JOB_RUNNING, ANY);
    assert_non_null(strstr(scene_job(&s, a).tres_alloc, "license/tool=2"));
    uses(&s, "tool", 2, 3);
    scene_restart(&s);
    scene_node(&s, "n1", "");
    scene_node(&s, "n2", "");
    uses(&s, "tool", 2, 3);
    scene_expect(&s, b, JOB_PENDING, REASON_LICENSES);
    scene_done(&s, a, 0);
    scene_expect(&s, b, JOB_RUNNING, ANY);
    uses(&s, "tool", 2, 3);
    scene_done(&s, b, 0);
    uses(&s, "tool", 0, 3);
    scene_end(&s);
}

static void nobody_overtakes_for_good(void **unused)
{
    struct scene s;
    (void)unused;
    begin(&s);
    uint32_t a = wants(&s, "tool:2", 10), all = wants(&s, "tool:3", 10);
    uint32_t longer = wants(&s, "tool:1", 20), shorter = wants(&s, "tool:1", 5);
    uint32_t without = wants(&s, "", 20);
    scene_expect(&s, all, JOB_PENDING, REASON_LICENSES);
    scene_expect(&s, longer, JOB_PENDING, REASON_LICENSES);
    scene_expect(&s, shorter, JOB_RUNNING, ANY); /* over before `all` could start */
    scene_expect(&s, without, JOB_RUNNING, ANY);
    scene_done(&s, a, 0);
    scene_done(&s, shorter, 0);
    scene_expect(&s, all, JOB_RUNNING, ANY);
    scene_expect(&s, longer, JOB_PENDING, REASON_LICENSES);
    scene_end(&s);
}

static void fewer_in_the_configuration_take_none_away(void **unused)
{
    struct scene s;
    (void)unused;
    begin(&s);
    uint32_t a = wants(&s, "tool:3", 10), b = wants(&s, "tool:1", 10);
    s.policy.licenses = "tool:1";
    assert_int_equal(core_configure(s.c, &s.policy, parts, 1, NULL, 0, true, s.now, &s.err), 0);
    scene_tick(&s, s.now + SEC);
    uses(&s, "tool", 3, 1);
    scene_expect(&s, b, JOB_PENDING, REASON_LICENSES);
    scene_done(&s, a, 0);
    scene_expect(&s, b, JOB_RUNNING, ANY);
    uses(&s, "tool", 1, 1);
    s.policy.licenses = "tool:1x";
    assert_int_equal(core_configure(s.c, &s.policy, parts, 1, NULL, 0, true, s.now, &s.err),
                     SL_EINVAL_FIELD);
    uses(&s, "tool", 1, 1);
    scene_end(&s);
}

static void each_task_of_an_array_takes_its_own(void **unused)
{
    struct scene s;
    Sl__JobSpec spec;
    (void)unused;
    begin(&s);
    spec_begin(&spec);
    spec.licenses = (char *)"tool";
    spec.array = (char *)"0-5";
    uint32_t a = scene_submit(&s, &spec);
    uses(&s, "tool", 3, 3);
    scene_done(&s, core_job_task(s.c, a, 0), 0);
    uses(&s, "tool", 3, 3);
    scene_expect(&s, core_job_task(s.c, a, 3), JOB_RUNNING, ANY);
    scene_expect(&s, core_job_task(s.c, a, 4), JOB_PENDING, REASON_LICENSES);
    assert_int_equal(scene_update(&s, core_job_task(s.c, a, 4), "Licenses", "other"), 0);
    scene_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_license_is_refused),
        cmocka_unit_test(jobs_share_what_there_is_over_a_restart),
        cmocka_unit_test(nobody_overtakes_for_good),
        cmocka_unit_test(fewer_in_the_configuration_take_none_away),
        cmocka_unit_test(each_task_of_an_array_takes_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
