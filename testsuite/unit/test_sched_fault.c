/* SPDX-License-Identifier: Apache-2.0
 *
 * The core under faults: what users, nodes, links, disk and clock may do, drawn from a
 * seed, with every invariant checked after each step and every promise (sched_truth.h)
 * at the end of each episode, when all faults are healed and all must come to rest.
 *
 *   SLURMLIKE_SEED=N         one run with this seed (a failure prints its own)
 *   SLURMLIKE_FAULT_STEPS=N  steps a run, 3000 unless set
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sched_people.h"
#include "sched_truth.h"
#include "sched_world.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EPISODE_STEPS 1500u
#define REST_ROUNDS_MAX 20000u
#define STEPS_DEFAULT 3000u

/* ---- one step ------------------------------------------------------------------- */

static void fault(struct world *w)
{
    uint32_t node = world_below(w, WORLD_NODES);
    switch (world_below(w, 8)) {
    case 0:
        world_crash(w, world_chance(w, 50));
        people_tick(w); /* as the controller does */
        break;
    case 1:
        world_reboot(w, node, world_chance(w, 50));
        break;
    case 2:
        people_operate(w);
        break;
    case 3:
        world_repeat_late(w);
        break;
    default:
        world_cut(w, node);
        break;
    }
}

static void step(struct world *w)
{
    uint32_t r = world_below(w, 200), node = world_below(w, WORLD_NODES);
    if (r < 36)
        people_user(w);
    else if (r < 40)
        fault(w);
    else if (r < 52)
        world_plan(w, 1 + world_below(w, 20));
    else if (r < 70)
        world_seal(w);
    else if (r < 88)
        world_commit(w);
    else if (r < 92)
        world_late(w);
    else if (r < 100)
        world_dial(w, node);
    else if (r < 104)
        world_notice(w, node);
    else if (r < 134)
        world_deliver_up(w, node, world_chance(w, 20));
    else if (r < 164)
        world_deliver_down(w, node);
    else if (r < 190)
        world_work(w, node);
    else
        people_time_passes(w);
}

/* ---- rest ----------------------------------------------------------------------- */

/* Lets go of what waits for a person, and cancels what never can start. */
static bool release_all(struct world *w)
{
    uint32_t cursor = 0, id;
    bool alive = false;
    while ((cursor = core_job_next(w->core, cursor, &id)) != UINT32_MAX) {
        struct job_view v;
        struct err err = {0};
        if (!core_job_view(w->core, id, false, &v))
            continue;
        alive = alive || !job_state_finished(v.state) || v.flags;
        bool held = v.reason == REASON_HELD_USER || v.reason == REASON_HELD_ADMIN ||
                    v.reason == REASON_LAUNCH_FAILED_HELD;
        struct command cmd = {.actor = {.admin = true, .user = "root"}, .job = {.job_id = id}};
        if (v.state == JOB_SUSPENDED)
            cmd.kind = CMD_RESUME;
        else if (v.state == JOB_PENDING && held)
            cmd.kind = CMD_RELEASE;
        else if (v.state == JOB_PENDING && (v.reason == REASON_DEPENDENCY_NEVER ||
                                              v.reason == REASON_PART_TIME_LIMIT))
            cmd.kind = CMD_CANCEL;
        else
            continue;
        if (world_apply(w, &cmd, &err) == 0 && cmd.kind == CMD_RELEASE)
            truth_let_go(w, v.array_job_id ? v.array_job_id : id,
                         v.is_array_task && v.array_job_id != id ? v.array_task_id
                                                                 : NO_VAL);
    }
    return alive;
}

static void round_of_all(struct world *w)
{
    while (world_plan(w, 100) == 1)
        ;
    world_settle(w);
    world_late(w);
    for (uint32_t i = 0; i < WORLD_NODES; i++) {
        world_notice(w, i);
        world_dial(w, i);
        world_deliver_up(w, i, false);
        world_deliver_down(w, i);
        world_work(w, i);
    }
    world_pass(w, USEC_PER_SEC / 4);
    people_tick(w);
    world_check(w);
}

static void rest(struct world *w)
{
    uint32_t round = 0;
    w->calm = true;
    people_heal(w);
    while ((release_all(w) || !world_quiet(w)) && round++ < REST_ROUNDS_MAX)
        round_of_all(w);
    world_settle(w);
    truth_settled(w);
    world_check_disk(w);
    if (!world_quiet(w))
        broken(w, "no job is left, but the nodes do not come to rest");
    world_pass(w, 31 * 86400 * USEC_PER_SEC);
    people_tick(w);
    world_settle(w);
    if (core_job_count(w->core, false))
        broken(w, "%zu ended jobs are never forgotten", core_job_count(w->core, false));
    world_check_disk(w);
    for (uint32_t i = 0; i < WORLD_NODES; i++)
        if (w->node[i].jobs_count)
            broken(w, "node %s still has job %u", w->node[i].name,
                   w->node[i].job[0].run.job_id);
    truth_clear(w->truth);
    w->calm = false;
}

/* ---- runs ----------------------------------------------------------------------- */

static uint64_t number(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text && text[0] ? strtoull(text, NULL, 10) : otherwise;
}

static uint64_t run(uint64_t seed, uint64_t steps, bool say)
{
    struct truth truth = {0};
    struct world *w = world_create(seed, &truth);
    for (uint64_t i = 1; i <= steps; i++) {
        step(w);
        world_check(w);
        if (i % (w->trace ? 1 : 50) == 0)
            world_check_disk(w);
        if (i % EPISODE_STEPS == 0)
            rest(w);
    }
    rest(w);
    uint64_t digest = w->digest;
    if (say)
        print_message("seed=%" PRIu64 " steps=%" PRIu64 " commands=%" PRIu64
                      " refused=%" PRIu64 " acknowledged=%" PRIu64 " cancelled=%" PRIu64
                      " runs=%" PRIu64 " completed=%" PRIu64 " crashes=%" PRIu64
                      " cuts=%" PRIu64 " reboots=%" PRIu64 " commits=%" PRIu64
                      " late=%" PRIu64 " starts=%" PRIu64 " passes=%" PRIu64
                      " promises=%" PRIu64 " ticks=%" PRIu64 " setting=%s\n",
                      seed, steps, w->stats.commands, w->stats.refused, truth.acked,
                      truth.cancelled, truth.runs, truth.completed, w->stats.crashes,
                      w->stats.cuts, w->stats.reboots, w->stats.commits, w->stats.repeats,
                      w->judge.starts, w->judge.passes, w->judge.kept, w->judge.ticks,
                      w->setting->name);
    world_destroy(w);
    truth_clear(&truth);
    return digest;
}

static void test_promises_hold_under_faults(void **unused)
{
    static const uint64_t seeds[] = {0, 1, 2, 3, 4, 5, 6, 7, 8}; /* each setting */
    uint64_t steps = number("SLURMLIKE_FAULT_STEPS", STEPS_DEFAULT);
    (void)unused;
    if (getenv("SLURMLIKE_SEED")) {
        run(number("SLURMLIKE_SEED", 0), steps, true);
        return;
    }
    for (size_t i = 0; i < sizeof seeds / sizeof *seeds; i++)
        run(seeds[i], steps, true);
}

static void test_equal_seeds_give_equal_bytes(void **unused)
{
    (void)unused;
    assert_true(run(7, 2000, false) == run(7, 2000, false));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_promises_hold_under_faults),
        cmocka_unit_test(test_equal_seeds_give_equal_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
