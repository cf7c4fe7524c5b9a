/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "frag.h"

#define NEAR(a, b) assert_true(fabs((a) - (b)) < 1e-9)

/* A quarter each: no GPU, half a GPU, a GPU, two GPUs; 4 processors each. */
static struct trace_job jobs[4] = {
    {.cpus = 4},
    {.cpus = 4, .gpus = 1, .gpu_milli = 500},
    {.cpus = 4, .gpus = 1, .gpu_milli = 1000},
    {.cpus = 4, .gpus = 2, .gpu_milli = 1000}};
static const struct trace trace = {.job = jobs, .count = 4};
static const struct cluster cluster = {.nodes = 1};

static void fragments_are_the_mean_over_what_jobs_ask_for(void **state)
{
    (void)state;
    struct frag f;
    frag_init(&f, &cluster, &trace);
    assert_int_equal(f.count, 4);
    /* all idle: of no use only to jobs without GPUs */
    NEAR(frag_node(&f, 8, (uint16_t[]){1000, 1000}, 2), 2000 / 4.0);
    /* 0.4 and 1 left: none 1.4; half: 0.4; one: 0.4; two: 1.4 */
    NEAR(frag_node(&f, 8, (uint16_t[]){400, 1000}, 2), (1400 + 400 + 400 + 1400) / 4.0);
    /* no processor left: all of it is a fragment for everyone */
    NEAR(frag_node(&f, 3, (uint16_t[]){1000, 1000}, 2), 2000);
    NEAR(frag_node(&f, 8, (uint16_t[]){0, 0}, 2), 0);
    frag_fini(&f);
}

static void equal_jobs_are_one_class(void **state)
{
    (void)state;
    struct trace_job same[3] = {jobs[1], jobs[2], jobs[1]};
    const struct trace t = {.job = same, .count = 3};
    struct frag f;
    frag_init(&f, &cluster, &t);
    assert_int_equal(f.count, 2);
    NEAR(f.class[0].share, 2 / 3.0);
    frag_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fragments_are_the_mean_over_what_jobs_ask_for),
        cmocka_unit_test(equal_jobs_are_one_class),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
