/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/buf.h"
#include "data/sampler.h"
#include "optim/schedule.h"
#include "parallel/slices.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void permute_visits_each_place_once(void **state)
{
    static const uint64_t sizes[] = {1, 2, 3, 4, 5, 15, 16, 17, 1000, 4096, 65537};
    (void)state;
    for (size_t k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++) {
        uint64_t n = sizes[k];
        char *seen = xcalloc(n, 1);
        for (uint64_t i = 0; i < n; i++) {
            uint64_t at = permute(42, 3, n, i);
            assert_true(at < n);
            assert_int_equal(seen[at], 0);
            seen[at] = 1;
        }
        free(seen);
    }
}

/* A permutation that moves little would train in the order of the file. */
static void permute_mixes(void **state)
{
    const uint64_t n = 10007;
    uint64_t same = 0, rising = 0;
    double product = 0;
    (void)state;
    for (uint64_t i = 0; i < n; i++) {
        uint64_t at = permute(1, 9, n, i);
        same += at == permute(2, 9, n, i);
        rising += i && at > permute(1, 9, n, i - 1);
        product += ((double)i - (double)n / 2) * ((double)at - (double)n / 2);
    }
    assert_true(same < 10); /* one is expected */
    assert_true(rising > n / 2 - 300 && rising < n / 2 + 300);
    assert_true(fabs(product / ((double)n * n * n / 12)) < 0.05);
}

static void an_epoch_takes_each_window_once(void **state)
{
    struct sampler s;
    struct err err;
    (void)state;
    assert_int_equal(sampler_init(&s, 5, 64 * 1000 + 1, 64, 0.1, &err), 0);
    assert_int_equal(s.windows, 1000);
    assert_int_equal(s.validation, 100);
    uint64_t differ = 0;
    for (uint64_t epoch = 0; epoch < 3; epoch++) {
        char seen[1000] = {0};
        for (uint64_t i = 0; i < s.validation; i++)
            seen[sampler_validation(&s, i) / 64] = 2;
        for (uint64_t i = 0; i < 900; i++) {
            uint64_t at = sampler_train(&s, epoch * 900 + i);
            assert_int_equal(at % 64, 0);
            assert_true(at + 64 < 64 * 1000 + 1);
            assert_int_equal(seen[at / 64], 0); /* neither twice nor validation */
            seen[at / 64] = 1;
            differ += at != sampler_train(&s, i);
        }
    }
    assert_true(differ > 1700); /* of 1800: each epoch has its own order */
}

static void too_few_tokens_are_told(void **state)
{
    struct sampler s;
    struct err err;
    (void)state;
    assert_true(sampler_init(&s, 1, 64, 64, 0, &err) < 0);
    assert_non_null(strstr(err.text, "64 tokens"));
    assert_true(sampler_init(&s, 1, 65, 64, 0.02, &err) < 0);
    assert_true(sampler_init(&s, 1, 0, 64, 0, &err) < 0);
    assert_int_equal(sampler_init(&s, 1, 65, 64, 0, &err), 0);
    assert_int_equal(sampler_train(&s, 12345), 0);
}

static void schedule_has_its_closed_form(void **state)
{
    const struct schedule s = {.peak = 1e-3, .least = 1e-4, .warmup = 10, .total = 110};
    (void)state;
    assert_true(fabs(schedule_rate(&s, 1) - 1e-4) < 1e-15);
    assert_true(fabs(schedule_rate(&s, 10) - 1e-3) < 1e-15);
    assert_true(fabs(schedule_rate(&s, 60) - 5.5e-4) < 1e-15);
    assert_true(fabs(schedule_rate(&s, 110) - 1e-4) < 1e-15);
    assert_true(schedule_rate(&s, 500) == 1e-4);
    for (int64_t i = 11; i <= 110; i++)
        assert_true(schedule_rate(&s, i) < schedule_rate(&s, i - 1));
    const struct schedule none = {.peak = 1, .least = 1, .warmup = 0, .total = 1};
    assert_true(schedule_rate(&none, 1) == 1);
}

/* Own slices of all ranks are the whole, once; what a rank gives away at a level
 * is what its peer keeps. */
static void slices_divide_the_whole(void **state)
{
    (void)state;
    for (int ranks = 1; ranks <= 16; ranks *= 2)
        for (int block = 1; block <= ranks; block *= 2)
            for (size_t chunks = 1; chunks < 40; chunks += 3) {
                int owner[40] = {0};
                for (int r = 0; r < ranks; r++) {
                    struct slices s, peer;
                    slices_of(&s, chunks, r, block, ranks);
                    for (size_t i = s.held[s.levels].begin; i < s.held[s.levels].end; i++)
                        owner[i]++;
                    for (int level = 0; level < s.levels; level++) {
                        slices_of(&peer, chunks, slices_peer(r, block, level), block, ranks);
                        struct slice given = slices_given(&s, level);
                        assert_memory_equal(&s.held[level], &peer.held[level], sizeof(given));
                        if (given.begin != given.end)
                            assert_memory_equal(&given, &peer.held[level + 1],
                                                sizeof(given));
                    }
                }
                for (size_t i = 0; i < chunks; i++)
                    assert_int_equal(owner[i], 1);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(too_few_tokens_are_told),
        cmocka_unit_test(permute_visits_each_place_once),
        cmocka_unit_test(permute_mixes),
        cmocka_unit_test(an_epoch_takes_each_window_once),
        cmocka_unit_test(schedule_has_its_closed_form),
        cmocka_unit_test(slices_divide_the_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
