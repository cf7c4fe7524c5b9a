/* SPDX-License-Identifier: Apache-2.0
 *
 * Dependencies, as sbatch(1) words them: when each kind lets a job go, what it is refused
 * for, what a restart of the controller and the forgetting of old jobs leave of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sched_scene.h"

#include <stdio.h>
#include <string.h>

#define ANY JOB_REASON_COUNT

static uint32_t depending(struct scene *s, const char *fmt, uint32_t a, uint32_t b)
{
    Sl__JobSpec spec;
    char text[96];
    spec_begin(&spec);
    snprintf(text, sizeof text, fmt, a, b);
    spec.dependency = text;
    return scene_submit(s, &spec);
}

static uint32_t plain(struct scene *s)
{
    Sl__JobSpec spec;
    spec_begin(&spec);
    return scene_submit(s, &spec);
}

static uint32_t array_of(struct scene *s, const char *tasks)
{
    Sl__JobSpec spec;
    spec_begin(&spec);
    spec.array = (char *)tasks;
    return scene_submit(s, &spec);
}

static void wrong_lists_are_refused(void **unused)
{
    static const struct { const char *text; int code; const char *word; } cases[] = {
        {"never:1", SL_EINVAL_DEPEND, "never"},
        {"afterok", SL_EINVAL_DEPEND, "needs a job id"},
        {"afterok:", SL_EINVAL_DEPEND, "unexpected"},
        {"afterok:x", SL_EINVAL_DEPEND, "\"x\""},
        {"afterok:-1", SL_EINVAL_DEPEND, "\"-1\""},
        {"afterok:1x", SL_EINVAL_DEPEND, "1x"},
        {"afterok:1,", SL_EINVAL_DEPEND, "unexpected"},
        {"afterok:1?afterany:1,singleton", SL_EINVAL_DEPEND, "unexpected"},
        {"afterok:1+5", SL_EINVAL_DEPEND, "only \"after\""},
        {"after:1+", SL_EINVAL_DEPEND, "unexpected"},
        {"after:1+99999999", SL_EINVAL_DEPEND, "99999999"},
        {"afterok:99999999999", SL_EINVAL_DEPEND, "99999999999"},
        {"afterok:77", SL_EINVAL_DEPEND, "no job 77"},
        {"afterok:1_4", SL_EINVAL_DEPEND, "no task 1_4"},
        {"singleton:1", SL_EINVAL_DEPEND, "unexpected"},
        {"afterburstbuffer:1", SL_ENOT_BUILT, "burst"}};
    struct scene s;
    Sl__JobSpec spec;
    (void)unused;
    scene_begin(&s, 1);
    plain(&s);
    spec_begin(&spec);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        spec.dependency = (char *)cases[i].text;
        scene_refuses(&s, &spec, cases[i].code, cases[i].word);
    }
    scene_end(&s);
}

static void a_bare_id_is_afterany(void **unused)
{
    struct scene s;
    (void)unused;
    scene_begin(&s, 1);
    uint32_t a = plain(&s), b = plain(&s), c = depending(&s, "%u:%u", a, b);
    assert_string_equal(scene_job(&s, c).spec->dependency,
                        "afterany:1(unfulfilled),afterany:2(unfulfilled)");
    scene_done(&s, a, 1 << 8);
    scene_expect(&s, c, JOB_PENDING, REASON_DEPENDENCY);
    scene_done(&s, b, 0);
    scene_expect(&s, c, JOB_RUNNING, ANY);
    scene_end(&s);
}

/* "After the specified jobs start or are cancelled and 'time' in minutes from job start or
 * cancellation happens": also when the target is long forgotten by then. */
static void after_counts_minutes_from_start_or_cancel(void **unused)
{
    struct scene s;
    (void)unused;
    for (int restart = 0; restart < 2; restart++) {
        scene_begin(&s, 1);
        uint32_t a = plain(&s), later = depending(&s, "after:%u+90", a, 0);
        scene_done(&s, a, 0);
        scene_expect(&s, later, JOB_PENDING, REASON_DEPENDENCY);
        assert_string_equal(scene_job(&s, later).spec->dependency, "after:1+90(unfulfilled)");
        if (restart)
            scene_restart(&s);
        scene_tick(&s, T0 + 3001 * SEC);
        scene_expect(&s, a, JOB_NONE, ANY);
        if (restart)
            scene_restart(&s);
        scene_node(&s, "n1", "");
        scene_tick(&s, T0 + 5399 * SEC);
        scene_expect(&s, later, JOB_PENDING, REASON_DEPENDENCY);
        scene_tick(&s, T0 + 5400 * SEC);
        scene_expect(&s, later, JOB_RUNNING, ANY);
        scene_end(&s);
    }
    scene_begin(&s, 1);
    Sl__JobSpec spec;
    spec_begin(&spec);
    spec.hold = true;
    uint32_t held = scene_submit(&s, &spec), then = depending(&s, "after:%u+1", held, 0);
    scene_tick(&s, T0 + 600 * SEC);
    scene_expect(&s, then, JOB_PENDING, REASON_DEPENDENCY);
    scene_op(&s, CMD_CANCEL, held);
    scene_tick(&s, T0 + 659 * SEC);
    scene_expect(&s, then, JOB_PENDING, REASON_DEPENDENCY);
    scene_tick(&s, T0 + 660 * SEC);
    scene_expect(&s, then, JOB_RUNNING, ANY);
    scene_end(&s);
}

static void one_task_of_an_array_is_enough_for_who_names_it(void **unused)
{
    struct scene s;
    (void)unused;
    scene_begin(&s, 1);
    uint32_t a = array_of(&s, "0-7%1");
    uint32_t first = depending(&s, "afterok:%u_0", a, 0), all = depending(&s, "afterok:%u", a, 0);
    uint32_t third = depending(&s, "afterany:%u_2", a, 0), star = depending(&s, "afterok:%u_*", a, 0);
    scene_done(&s, core_job_task(s.c, a, 0), 0);
    scene_expect(&s, first, JOB_RUNNING, ANY);
    scene_done(&s, core_job_task(s.c, a, 1), 0);
    scene_expect(&s, third, JOB_PENDING, REASON_DEPENDENCY);
    scene_done(&s, core_job_task(s.c, a, 2), 1 << 8);
    scene_expect(&s, third, JOB_RUNNING, ANY);
    scene_expect(&s, all, JOB_PENDING, REASON_DEPENDENCY_NEVER);
    scene_expect(&s, star, JOB_PENDING, REASON_DEPENDENCY_NEVER);
    scene_end(&s);
}

/* The records of early tasks go while later ones still run: what they were is kept. */
static void a_forgotten_task_still_counts(void **unused)
{
    struct scene s;
    (void)unused;
    for (int good = 0; good < 2; good++) {
        scene_begin(&s, 1);
        uint32_t a = array_of(&s, "0-2%1");
        uint32_t none = core_job_task(s.c, a, 0);
        scene_done(&s, none, good ? 0 : 1 << 8);
        scene_done(&s, core_job_task(s.c, a, 1), 0);
        scene_tick(&s, T0 + 4000 * SEC);
        scene_expect(&s, none, JOB_NONE, ANY);
        scene_restart(&s);
        scene_node(&s, "n1", "");
        uint32_t after = depending(&s, "afterok:%u", a, 0);
        assert_int_equal(scene_job(&s, after).reason,
                         good ? REASON_DEPENDENCY : REASON_DEPENDENCY_NEVER);
        if (good)
            scene_expect(&s, depending(&s, "afterok:%u_1", a, 0), JOB_RUNNING, ANY);
        scene_done(&s, core_job_task(s.c, a, 2), 0);
        assert_int_equal(scene_job(&s, after).state, good ? JOB_RUNNING : JOB_PENDING);
        scene_end(&s);
    }
}

/* "if the preceding job is requeued and has a different termination state": no matter. */
static void what_was_decided_stays_so(void **unused)
{
    struct scene s;
    (void)unused;
    scene_begin(&s, 1);
    uint32_t a = plain(&s), b = depending(&s, "afterok:%u", a, 0);
    scene_done(&s, a, 1 << 8);
    scene_expect(&s, b, JOB_PENDING, REASON_DEPENDENCY_NEVER);
    scene_op(&s, CMD_REQUEUE, a);
    scene_expect(&s, a, JOB_RUNNING, ANY);
    scene_done(&s, a, 0);
    scene_expect(&s, b, JOB_PENDING, REASON_DEPENDENCY_NEVER);
    assert_int_equal(scene_update(&s, b, "Dependency", ""), 0);
    scene_expect(&s, b, JOB_RUNNING, ANY);
    scene_end(&s);
}

static void a_requeue_after_a_lost_node_decides_nothing(void **unused)
{
    struct scene s;
    (void)unused;
    scene_begin(&s, 2);
    uint32_t a = plain(&s), ok = depending(&s, "afterok:%u", a, 0);
    struct command lost = {.kind = CMD_NODE_LOST, .node = {.name = "n1"}};
    assert_int_equal(scene_apply(&s, &lost), 0);
    scene_tick(&s, T0 + 300 * SEC);
    assert_int_equal(scene_job(&s, a).restart, 1);
    scene_expect(&s, ok, JOB_PENDING, REASON_DEPENDENCY);
    scene_done(&s, a, 0);
    scene_expect(&s, ok, JOB_RUNNING, ANY);
    scene_end(&s);
}

static void any_of_several_lets_go(void **unused)
{
    struct scene s;
    (void)unused;
    scene_begin(&s, 1);
    uint32_t a = plain(&s), b = plain(&s);
    uint32_t one = depending(&s, "afterok:%u?afternotok:%u", a, b);
    uint32_t no = depending(&s, "afternotok:%u?afterok:%u", a, b);
    scene_done(&s, b, 1 << 8);
    scene_expect(&s, one, JOB_RUNNING, ANY);
    scene_expect(&s, no, JOB_PENDING, REASON_DEPENDENCY);
    scene_done(&s, a, 0);
    scene_expect(&s, no, JOB_PENDING, REASON_DEPENDENCY_NEVER);
    scene_end(&s);
}

static uint32_t single(struct scene *s, uint32_t uid, const char *name, const char *array)
{
    Sl__JobSpec spec;
    spec_begin(&spec);
    spec.name = (char *)name;
    spec.array = (char *)array;
    spec.dependency = (char *)"singleton";
    assert_int_equal(scene_submit_as(s, uid, &spec), 0);
    return s->b.job_id;
}

static void singletons_go_one_by_one_by_user_and_name(void **unused)
{
    struct scene s;
    (void)unused;
    scene_begin(&s, 2);
    uint32_t a = single(&s, 1000, "x", ""), b = single(&s, 1000, "x", ""),
             c = single(&s, 1000, "x", "");
    uint32_t other = single(&s, 1000, "y", ""), foreign = single(&s, 1001, "x", "");
    scene_expect(&s, a, JOB_RUNNING, ANY);
    scene_expect(&s, other, JOB_RUNNING, ANY);
    scene_expect(&s, foreign, JOB_RUNNING, ANY);
    scene_expect(&s, b, JOB_PENDING, REASON_DEPENDENCY);
    scene_restart(&s);
    scene_node(&s, "n1", "");
    scene_node(&s, "n2", "");
    scene_op(&s, CMD_HOLD, b);
    scene_done(&s, a, 1 << 8);
    scene_expect(&s, c, JOB_PENDING, REASON_DEPENDENCY); /* b was there before */
    assert_int_equal(scene_update(&s, b, "JobName", "z"), 0);
    scene_expect(&s, c, JOB_RUNNING, ANY);
    assert_int_equal(scene_update(&s, b, "JobName", "x"), 0);
    scene_op(&s, CMD_RELEASE, b);
    scene_expect(&s, b, JOB_RUNNING, ANY); /* decided while it was alone of its name */
    scene_end(&s);
}

static void an_array_is_no_obstacle_to_itself(void **unused)
{
    struct scene s;
    (void)unused;
    scene_begin(&s, 2);
    uint32_t first = single(&s, 1000, "x", ""), all = single(&s, 1000, "x", "0-3");
    uint32_t last = single(&s, 1000, "x", "");
    scene_expect(&s, all, JOB_PENDING, REASON_DEPENDENCY);
    scene_done(&s, first, 0);
    for (uint32_t t = 0; t < 4; t++)
        scene_expect(&s, core_job_task(s.c, all, t), JOB_RUNNING, ANY);
    for (uint32_t t = 0; t < 4; t++) {
        scene_expect(&s, last, JOB_PENDING, REASON_DEPENDENCY);
        scene_done(&s, core_job_task(s.c, all, t), 0);
    }
    scene_expect(&s, last, JOB_RUNNING, ANY);
    scene_end(&s);
}

static void a_task_without_a_counterpart_never_starts(void **unused)
{
    struct scene s;
    Sl__JobSpec spec;
    (void)unused;
    scene_begin(&s, 2);
    uint32_t a = array_of(&s, "1-2");
    spec_begin(&spec);
    spec.array = (char *)"1-3";
    spec.dependency = (char *)"aftercorr:1";
    uint32_t b = scene_submit(&s, &spec);
    scene_expect(&s, core_job_task(s.c, b, 3), JOB_PENDING, REASON_DEPENDENCY_NEVER);
    scene_done(&s, core_job_task(s.c, a, 2), 0);
    scene_expect(&s, core_job_task(s.c, b, 2), JOB_RUNNING, ANY);
    scene_expect(&s, core_job_task(s.c, b, 1), JOB_PENDING, REASON_DEPENDENCY);
    scene_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_lists_are_refused),
        cmocka_unit_test(a_bare_id_is_afterany),
        cmocka_unit_test(after_counts_minutes_from_start_or_cancel),
        cmocka_unit_test(one_task_of_an_array_is_enough_for_who_names_it),
        cmocka_unit_test(a_forgotten_task_still_counts),
        cmocka_unit_test(what_was_decided_stays_so),
        cmocka_unit_test(a_requeue_after_a_lost_node_decides_nothing),
        cmocka_unit_test(any_of_several_lets_go),
        cmocka_unit_test(singletons_go_one_by_one_by_user_and_name),
        cmocka_unit_test(an_array_is_no_obstacle_to_itself),
        cmocka_unit_test(a_task_without_a_counterpart_never_starts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
