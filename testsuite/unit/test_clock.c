/* SPDX-License-Identifier: Apache-2.0
 *
 * The controller's clock: accounting times never run backwards, whatever the wall clock
 * does, and timers do not jump with it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "slurmlike-ctld/clock.h"

#define T(seconds) ((usec_t)(seconds) * USEC_PER_SEC)
#define WALL T(1700000000)

static void test_a_step_back_does_not_run_time_back(void **unused)
{
    struct clock c;
    (void)unused;
    clock_start(&c, WALL, T(5), 0);
    assert_int_equal(clock_step(&c, WALL + T(10), T(15)), WALL + T(10));
    usec_t last = WALL + T(10);
    for (int i = 1; i <= 100; i++) { /* an hour back, then a second a second */
        usec_t now = clock_step(&c, WALL + T(10) - T(3600) + T(i), T(15 + i));
        assert_true(now > last);
        assert_true(now - last <= T(1));
        last = now;
    }
    assert_true(last >= WALL + T(10) + T(98)); /* the slew is a hundredth */
}

static void test_a_step_ahead_is_worked_off_slowly(void **unused)
{
    struct clock c;
    (void)unused;
    clock_start(&c, WALL, T(5), 0);
    usec_t now = clock_step(&c, WALL + T(3600), T(6));
    assert_true(now <= WALL + T(1) + T(1) / 100);
    /* a second of difference is gone in under two minutes */
    clock_start(&c, WALL, T(5), 0);
    now = clock_step(&c, WALL + T(121), T(125));
    assert_int_equal(now, WALL + T(121));
}

static void test_a_start_is_not_before_what_was_recorded(void **unused)
{
    struct clock c;
    (void)unused;
    clock_start(&c, WALL, T(5), WALL + T(500));
    assert_int_equal(clock_step(&c, WALL, T(5)), WALL + T(500));
    assert_true(clock_step(&c, WALL + T(10), T(15)) > WALL + T(509));
}

static void test_the_monotonic_clock_may_stand_still(void **unused)
{
    struct clock c;
    (void)unused;
    clock_start(&c, WALL, T(5), 0);
    assert_int_equal(clock_step(&c, WALL + T(9), T(5)), WALL);
    assert_int_equal(clock_step(&c, WALL - T(9), T(5)), WALL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_step_back_does_not_run_time_back),
        cmocka_unit_test(test_a_step_ahead_is_worked_off_slowly),
        cmocka_unit_test(test_a_start_is_not_before_what_was_recorded),
        cmocka_unit_test(test_the_monotonic_clock_may_stand_still),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
