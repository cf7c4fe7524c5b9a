/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "stats.h"

#define S USEC_PER_SEC
#define NEAR(a, b) assert_true(fabs((a) - (b)) < 1e-9)

static struct trace_job jobs[4] = {
    {.user_id = 0}, {.user_id = 0}, {.user_id = 1}, {.user_id = 1}};
static const struct trace trace = {.job = jobs, .count = 4, .users = 2};
static const struct cluster cluster = {.procs = 4};
static const struct engine_options options = {.cluster = &cluster, .trace = &trace};

/* Waits 0, 10, 20 and 2 s; runs 20, 10, 10 and 1 s. */
static struct job_run runs[4] = {
    {.submit = 100 * S, .start = 100 * S, .end = 120 * S, .procs = 1, .nodes = 1},
    {.submit = 100 * S, .start = 110 * S, .end = 120 * S, .procs = 2, .nodes = 1},
    {.submit = 105 * S, .start = 125 * S, .end = 135 * S, .procs = 4, .nodes = 2},
    {.submit = 138 * S, .start = 140 * S, .end = 141 * S, .procs = 1, .nodes = 1}};

static void figures_are_as_computed_by_hand(void **state)
{
    (void)state;
    struct engine_result res = {.run = runs, .runs = 4};
    struct stats s;
    stats_make(&options, &res, NULL, &s);
    assert_int_equal(s.jobs, 4);
    NEAR(s.wait_avg, 8);
    NEAR(s.wait_median, 2);
    NEAR(s.wait_p95, 20);
    NEAR(s.wait_max, 20);
    NEAR(s.bsld_avg, (1 + 2 + 3 + 1) / 4.0); /* 1 s of run counts as 10 */
    NEAR(s.makespan, 41);
    NEAR(s.util, (20 + 20 + 40 + 1) / (4 * 41.0));
    NEAR(s.nodes_avg, 1.25);
    NEAR(s.jain, 3.5 * 3.5 / (2 * (1.5 * 1.5 + 2 * 2)));
    assert_false(s.has_worse);
}

static void users_are_compared_with_the_baseline(void **state)
{
    (void)state;
    struct job_run later[4];
    memcpy(later, runs, sizeof later);
    later[2].start += 5 * S; /* the second user waits 13.5 s instead of 11 */
    later[2].end += 5 * S;
    struct engine_result res = {.run = later, .runs = 4}, base = {.run = runs, .runs = 4};
    struct stats s;
    stats_make(&options, &res, &base, &s);
    assert_true(s.has_worse);
    NEAR(s.users_worse, 0.5);
    stats_make(&options, &base, &base, &s);
    NEAR(s.users_worse, 0);
}

static void jobs_that_never_ran_count_for_nothing(void **state)
{
    (void)state;
    struct job_run none[4];
    memcpy(none, runs, sizeof none);
    none[1].start = none[1].end = 0;
    struct engine_result res = {.run = none, .runs = 4};
    struct stats s;
    stats_make(&options, &res, NULL, &s);
    assert_int_equal(s.jobs, 3);
    NEAR(s.wait_avg, 22 / 3.0);
    memset(none, 0, sizeof none);
    stats_make(&options, &res, NULL, &s);
    assert_int_equal(s.jobs, 0);
    NEAR(s.wait_avg, 0);
    NEAR(s.util, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures_are_as_computed_by_hand),
        cmocka_unit_test(users_are_compared_with_the_baseline),
        cmocka_unit_test(jobs_that_never_ran_count_for_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
