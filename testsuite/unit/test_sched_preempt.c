/* SPDX-License-Identifier: Apache-2.0
 *
 * Preemption by the tier of partitions: who goes, how, and who is left alone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sched_scene.h"

#include <signal.h>
#include <string.h>

#define ANY JOB_REASON_COUNT

static struct core_partition parts[] = {
    {.name = "low", .nodes = "ALL", .is_default = true, .time_max = SPAN_INFINITE, .priority_tier = 1},
    {.name = "high", .nodes = "ALL", .time_max = SPAN_INFINITE, .priority_tier = 2},
    {.name = "grace", .nodes = "ALL", .time_max = SPAN_INFINITE, .priority_tier = 1, .grace_time = 60 * SEC},
    {.name = "kept", .nodes = "ALL", .time_max = SPAN_INFINITE, .priority_tier = 1, .preempt_mode = "off"},
    {.name = "ended", .nodes = "ALL", .time_max = SPAN_INFINITE, .priority_tier = 1, .preempt_mode = "cancel"}};

static void begin(struct scene *s, unsigned nodes, enum preempt by, usec_t exempt)
{
    *s = (struct scene){.policy = scene_policy, .parts = parts, .parts_count = 5};
    s->policy.preempt = by;
    s->policy.preempt_mode = PREEMPT_REQUEUE;
    s->policy.preempt_exempt = exempt;
    scene_begin_with(s, nodes);
}

static uint32_t in(struct scene *s, const char *part, uint32_t cpus)
{
    Sl__JobSpec spec;
    char *name = (char *)part;
    spec_begin(&spec);
    spec.partitions = &name;
    spec.n_partitions = 1;
    spec.ntasks = cpus;
    spec.nodes_min = spec.nodes_max = 1;
    spec.time_limit_usec = 3600 * SEC;
    return scene_submit(s, &spec);
}

/* The victim's nodes report that nothing is left. */
static void clean(struct scene *s, uint32_t id, const char *node, uint32_t restart)
{
    Sl__JobReport r = SL__JOB_REPORT__INIT;
    r.kind = SL__REPORT_KIND__REPORT_NODE_CLEAN;
    r.job_id = id;
    r.restart = restart;
    struct command cmd = {.kind = CMD_REPORT, .report = {.node = node, .report = &r}};
    assert_int_equal(scene_apply(s, &cmd), 0);
}

static void the_one_with_least_work_goes_and_runs_again(void **unused)
{
    struct scene s;
    (void)unused;
    begin(&s, 2, PREEMPT_TIER, 0);
    uint32_t old = in(&s, "low", 4);
    scene_tick(&s, T0 + 100 * SEC);
    uint32_t young = in(&s, "low", 4);
    scene_tick(&s, T0 + 200 * SEC);
    uint32_t top = in(&s, "high", 2);
    scene_expect(&s, old, JOB_RUNNING, ANY);
    scene_expect(&s, young, JOB_PREEMPTED, ANY);
    scene_expect(&s, top, JOB_PENDING, ANY);
    clean(&s, young, "n2", 0);
    scene_expect(&s, top, JOB_RUNNING, ANY);
    scene_expect(&s, young, JOB_PENDING, ANY);
    scene_expect(&s, old, JOB_RUNNING, ANY);
    assert_int_equal(scene_job(&s, young).restart, 1);
    assert_int_equal(scene_job(&s, young).last_run_state, JOB_PREEMPTED);
    scene_end(&s);
}

static void one_takes_no_more_than_it_needs(void **unused)
{
    struct scene s;
    (void)unused;
    begin(&s, 1, PREEMPT_TIER, 0);
    uint32_t v[4];
    for (int i = 0; i < 4; i++)
        v[i] = in(&s, "low", 1);
    scene_tick(&s, T0 + 10 * SEC);
    uint32_t top = in(&s, "high", 2);
    scene_tick(&s, T0 + 11 * SEC); /* while they end nobody else is taken */
    unsigned gone = 0;
    for (int i = 0; i < 4; i++)
        gone += scene_job(&s, v[i]).state == JOB_PREEMPTED;
    assert_int_equal(gone, 2);
    scene_expect(&s, top, JOB_PENDING, ANY);
    scene_end(&s);
}

static void grace_comes_first_and_over_a_restart(void **unused)
{
    struct scene s;
    (void)unused;
    begin(&s, 1, PREEMPT_TIER, 0);
    uint32_t victim = in(&s, "grace", 4), top = in(&s, "high", 4);
    unsigned cont = 0, term = 0;
    for (size_t i = 0; i < s.b.effects_count; i++) {
        cont += s.b.effects[i].kind == EFFECT_TERMINATE && s.b.effects[i].term.signal == SIGCONT;
        term += s.b.effects[i].kind == EFFECT_TERMINATE && s.b.effects[i].term.signal == SIGTERM;
    }
    assert_int_equal(cont, 1);
    assert_int_equal(term, 1);
    scene_expect(&s, victim, JOB_RUNNING, ANY);
    scene_tick(&s, T0 + 59 * SEC);
    scene_expect(&s, victim, JOB_RUNNING, ANY);
    scene_restart(&s);
    scene_node(&s, "n1", "");
    scene_tick(&s, T0 + 60 * SEC);
    scene_expect(&s, victim, JOB_PREEMPTED, ANY);
    clean(&s, victim, "n1", 0);
    scene_expect(&s, top, JOB_RUNNING, ANY);
    scene_end(&s);
}

static void some_are_left_alone(void **unused)
{
    struct scene s;
    (void)unused;
    begin(&s, 1, PREEMPT_TIER, 0);
    uint32_t kept = in(&s, "kept", 4), top = in(&s, "high", 1);
    scene_expect(&s, kept, JOB_RUNNING, ANY);
    scene_expect(&s, top, JOB_PENDING, REASON_RESOURCES);
    scene_end(&s);
    begin(&s, 1, PREEMPT_NONE, 0);
    kept = in(&s, "low", 4);
    top = in(&s, "high", 1);
    scene_expect(&s, kept, JOB_RUNNING, ANY);
    scene_end(&s);
    begin(&s, 1, PREEMPT_TIER, 300 * SEC);
    kept = in(&s, "low", 4);
    top = in(&s, "high", 1);
    scene_expect(&s, kept, JOB_RUNNING, ANY);
    scene_tick(&s, T0 + 299 * SEC);
    in(&s, "high", 1);
    scene_expect(&s, kept, JOB_RUNNING, ANY);
    scene_tick(&s, T0 + 300 * SEC);
    in(&s, "high", 1);
    scene_expect(&s, kept, JOB_PREEMPTED, ANY);
    scene_end(&s);
}

static void a_cancelled_one_stays_so(void **unused)
{
    struct scene s;
    (void)unused;
    begin(&s, 1, PREEMPT_TIER, 0);
    uint32_t victim = in(&s, "ended", 4), top = in(&s, "high", 4);
    clean(&s, victim, "n1", 0);
    scene_expect(&s, victim, JOB_PREEMPTED, ANY);
    scene_expect(&s, top, JOB_RUNNING, ANY);
    scene_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_one_with_least_work_goes_and_runs_again),
        cmocka_unit_test(one_takes_no_more_than_it_needs),
        cmocka_unit_test(grace_comes_first_and_over_a_restart),
        cmocka_unit_test(some_are_left_alone),
        cmocka_unit_test(a_cancelled_one_stays_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
