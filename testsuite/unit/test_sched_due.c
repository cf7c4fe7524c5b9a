/* SPDX-License-Identifier: Apache-2.0
 *
 * The due order and predictions: what is believed of a job's kind, for how long, and that the
 * oldest job gets what it was promised however wrong that was.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sched_scene.h"

#include <stdlib.h>

#define WAIT_FIRST 300
#define WAIT_STRICT 3600
#define QUICK 1000 /* uids: jobs of 10 seconds; others, of whom nothing is known */
#define OTHER 1001
#define OLD 1002

static const struct core_partition part[] = {
    {.name = "main", .nodes = "ALL", .is_default = true, .time_max = SPAN_INFINITE}};

static void begin(struct scene *s, int64_t wait_strict)
{
    *s = (struct scene){.policy = scene_policy, .parts = part, .parts_count = 1};
    s->policy.plan_order = PLAN_DUE;
    s->policy.backfill = BACKFILL_EASY;
    s->policy.backfill_candidates = CANDIDATES_SHORTEST;
    s->policy.predict = true;
    s->policy.due_factor = 3;
    s->policy.due_max = 900 * SEC;
    s->policy.wait_first = WAIT_FIRST * SEC;
    s->policy.wait_strict = wait_strict * SEC;
    scene_begin_with(s, 1);
}

static uint32_t submit(struct scene *s, uint32_t uid, uint32_t cores, int64_t limit)
{
    Sl__JobSpec spec;
    spec_begin(&spec);
    spec.ntasks = cores;
    spec.time_limit_usec = limit * SEC;
    if (scene_submit_as(s, uid, &spec) < 0)
        fail_msg("%s", s->err.text);
    return s->b.job_id;
}

static void at(struct scene *s, int64_t second)
{
    scene_tick(s, T0 + second * SEC);
}

/* Two jobs of QUICK have run for 10 seconds each; it is second 20. */
static void learn(struct scene *s)
{
    for (int i = 1; i <= 2; i++) {
        uint32_t job = submit(s, QUICK, 1, 2400);
        at(s, 10 * i);
        scene_done(s, job, 0);
    }
}

static void a_prediction_ends_no_job_and_moves_no_limit(void **state)
{
    struct scene s;
    struct predict_view v;
    (void)state;
    begin(&s, WAIT_STRICT);
    learn(&s);
    uint32_t job = submit(&s, QUICK, 1, 2400);
    for (int64_t t = 25; t < 2420; t += 45) {
        at(&s, t);
        scene_expect(&s, job, JOB_RUNNING, JOB_REASON_COUNT);
        assert_int_equal(scene_job(&s, job).time_limit, 2400 * SEC);
    }
    core_predict_view(s.c, &v);
    assert_int_equal(v.predicted, 0); /* neither had one before it */
    scene_done(&s, job, 0);
    core_predict_view(s.c, &v);
    assert_int_equal(v.ended, 3);
    assert_int_equal(v.predicted, 1);
    assert_int_equal(v.under, 1); /* 10 seconds were predicted: sdiag says so */
    scene_end(&s);
}

/* One of three cores until second 600, and OLD's, of all four, since second 20. */
static uint32_t one_waits(struct scene *s)
{
    begin(s, WAIT_STRICT);
    learn(s);
    submit(s, OTHER, 3, 580);
    uint32_t old = submit(s, OLD, 4, 3600);
    scene_expect(s, old, JOB_PENDING, JOB_REASON_COUNT);
    return old;
}

static void short_by_prediction_passes_one_that_has_not_waited_for_long(void **state)
{
    struct scene s;
    (void)state;
    one_waits(&s);
    at(&s, 100);
    scene_expect(&s, submit(&s, OTHER, 1, 10800), JOB_PENDING, JOB_REASON_COUNT);
    scene_expect(&s, submit(&s, QUICK, 1, 10800), JOB_RUNNING, JOB_REASON_COUNT);
    scene_end(&s);
}

static void no_prediction_is_believed_that_could_cost_the_promise(void **state)
{
    struct scene s;
    (void)state;
    uint32_t old = one_waits(&s);
    at(&s, 400);
    /* over at 400 + 2400 by its limit; the promise is for 20 + 3600 */
    uint32_t may = submit(&s, QUICK, 1, 2400), may_not;
    scene_expect(&s, may, JOB_RUNNING, JOB_REASON_COUNT);
    at(&s, 410);
    scene_done(&s, may, 0);
    may_not = submit(&s, QUICK, 1, 10800);
    scene_expect(&s, may_not, JOB_PENDING, JOB_REASON_COUNT);
    at(&s, 1300); /* by now not even the shorter ones */
    scene_expect(&s, submit(&s, QUICK, 1, 2400), JOB_PENDING, JOB_REASON_COUNT);
    scene_expect(&s, old, JOB_PENDING, JOB_REASON_COUNT);
    scene_end(&s);
}

static void a_longer_limit_of_a_run_is_not_believed_either(void **state)
{
    struct scene s;
    (void)state;
    uint32_t old = one_waits(&s);
    at(&s, 400);
    uint32_t quick = submit(&s, QUICK, 1, 2400);
    assert_int_equal(scene_job(&s, old).start_estimate, T0 + 600 * SEC);
    assert_int_equal(scene_update(&s, quick, "timelimit", "10-0"), 0);
    scene_expect(&s, quick, JOB_RUNNING, JOB_REASON_COUNT);
    assert_int_equal(scene_job(&s, old).start_estimate, T0 + (400 + 10 * 86400) * SEC);
    scene_end(&s);
}

/* ---- nobody waits for ever ------------------------------------------------------------- */

#define JOBS 400
#define LIMIT_MAX 1200
#define SOON 1500 /* wait_strict */
#define STEP 5 /* all times are multiples of it */

struct life { uint32_t id; int64_t submit, start, run; };

static uint64_t dice(uint64_t *state, uint64_t sides)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (*state >> 33) % sides;
}

static void life_begins(struct scene *s, struct life *l, uint64_t *seed, int64_t now)
{
    int64_t limit = STEP * (2 + (int64_t)dice(seed, LIMIT_MAX / STEP - 1));
    bool as_long = dice(seed, 6) == 0; /* nearly its limit, unlike its user's other jobs */
    *l = (struct life){.submit = now, .start = -1, .run = as_long ? limit - STEP : STEP};
    l->id = submit(s, (uint32_t)(1000 + dice(seed, 4)), dice(seed, 12) ? 1 : 4, limit);
}

/* When the oldest that waits was the oldest of them, and had waited for wait_first. */
static int64_t held_up_since(const struct life *l, int n, int i)
{
    int64_t since = l[i].submit + WAIT_FIRST;
    for (int k = 0; k < n; k++) {
        bool older = l[k].submit < l[i].submit ||
                     (l[k].submit == l[i].submit && l[k].id < l[i].id);
        if (older && l[k].start > since)
            since = l[k].start;
    }
    return since;
}

static void the_oldest_starts_as_promised_whatever_was_predicted(void **state)
{
    const char *one = getenv("SLURMLIKE_SEED");
    uint64_t first = one ? strtoull(one, NULL, 10) : 1, last = one ? first : first + 2;
    (void)state;
    for (uint64_t seed = first; seed <= last; seed++) {
        static struct life l[JOBS];
        struct scene s;
        uint64_t random = seed;
        int n = 0, over = 0;
        begin(&s, SOON);
        for (int64_t now = 0; over < JOBS; now += STEP) {
            at(&s, now);
            for (int i = 0; i < n; i++) {
                if (l[i].start >= 0 && l[i].start + l[i].run == now) {
                    scene_done(&s, l[i].id, 0);
                    over++;
                }
            }
            if (n < JOBS && dice(&random, 6) == 0)
                life_begins(&s, &l[n++], &random, now);
            for (int i = 0; i < n; i++)
                if (l[i].start < 0 && scene_job(&s, l[i].id).state == JOB_RUNNING)
                    l[i].start = now;
            assert_true(now < 200000); /* or one is never over */
        }
        for (int i = 0; i < n; i++) {
            int64_t by = l[i].submit + SOON, since = held_up_since(l, n, i) + LIMIT_MAX;
            by = since > by ? since : by;
            if (l[i].start > by)
                fail_msg("seed %llu: job %u started at %lld, %lld too late",
                         (unsigned long long)seed, l[i].id, (long long)l[i].start,
                         (long long)(l[i].start - by));
        }
        scene_end(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_prediction_ends_no_job_and_moves_no_limit),
        cmocka_unit_test(short_by_prediction_passes_one_that_has_not_waited_for_long),
        cmocka_unit_test(no_prediction_is_believed_that_could_cost_the_promise),
        cmocka_unit_test(a_longer_limit_of_a_run_is_not_believed_either),
        cmocka_unit_test(the_oldest_starts_as_promised_whatever_was_predicted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
