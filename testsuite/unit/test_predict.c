/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/predict.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#define SEC USEC_PER_SEC
#define HOUR (3600 * SEC)

static struct predict_class of(uint32_t uid, const char *account, const char *name, usec_t limit)
{
    struct predict_class k;
    predict_classify(&k, uid, account, name, limit);
    return k;
}

static usec_t seconds(struct predict *p, struct predict_class k, usec_t limit)
{
    return predict_span(p, &k, limit) / SEC;
}

static void feed(struct predict *p, struct predict_class k, usec_t ran)
{
    predict_feed(p, &k, ran * SEC, 0, HOUR);
}

static void nothing_is_known_before_two_jobs_have_ended(void **state)
{
    struct predict *p = predict_create();
    struct predict_class k = of(1000, "physics", "relax", HOUR);
    (void)state;
    assert_int_equal(seconds(p, k, HOUR), 0);
    feed(p, k, 100);
    assert_int_equal(seconds(p, k, HOUR), 0);
    feed(p, k, 301);
    assert_int_equal(seconds(p, k, HOUR), 200); /* (100 + 301) / 2, whole seconds */
    feed(p, k, 11);
    assert_int_equal(seconds(p, k, HOUR), 156); /* (301 + 11) / 2: the first counts no more */
    predict_destroy(p);
}

static void a_prediction_is_a_second_at_least_and_the_limit_at_most(void **state)
{
    struct predict *p = predict_create();
    struct predict_class k = of(1000, "", "", HOUR);
    (void)state;
    feed(p, k, 0);
    feed(p, k, 0);
    assert_int_equal(predict_span(p, &k, HOUR), SEC);
    feed(p, k, 3000);
    feed(p, k, 3000);
    assert_int_equal(seconds(p, k, 600 * SEC), 600);
    assert_int_equal(seconds(p, k, SPAN_INFINITE), 3000);
    predict_destroy(p);
}

static void the_narrowest_class_with_two_runs_decides(void **state)
{
    struct predict *p = predict_create();
    (void)state;
    feed(p, of(1000, "a", "solve", HOUR), 1000);
    feed(p, of(1000, "a", "solve", HOUR), 1000);
    feed(p, of(1000, "a", "test", HOUR), 10);
    /* of "test" one run: so jobs with that limit, the last two of which took 1000 and 10 */
    assert_int_equal(seconds(p, of(1000, "a", "test", HOUR), HOUR), 505);
    feed(p, of(1000, "a", "test", HOUR), 20);
    assert_int_equal(seconds(p, of(1000, "a", "test", HOUR), HOUR), 15);
    assert_int_equal(seconds(p, of(1000, "a", "solve", HOUR), HOUR), 1000);
    /* another limit: any job of the user; another user: nothing */
    assert_int_equal(seconds(p, of(1000, "a", "test", 2 * HOUR), 2 * HOUR), 15);
    assert_int_equal(seconds(p, of(1001, "a", "test", HOUR), HOUR), 0);
    /* another account is another narrow class */
    assert_int_equal(seconds(p, of(1000, "b", "solve", HOUR), HOUR), 15);
    predict_destroy(p);
}

static void digits_of_a_name_do_not_count(void **state)
{
    struct predict *p = predict_create();
    (void)state;
    feed(p, of(1, "", "run_9", HOUR), 50);
    feed(p, of(1, "", "run_10", HOUR), 60);
    feed(p, of(1, "", "other", HOUR), 3000);
    feed(p, of(1, "", "other", HOUR), 3000);
    assert_int_equal(seconds(p, of(1, "", "run_123", HOUR), HOUR), 55);
    assert_int_equal(seconds(p, of(1, "", "run_x", HOUR), HOUR), 3000);
    /* where account and name meet matters */
    assert_true(of(1, "ab", "c", HOUR).key[0] != of(1, "a", "bc", HOUR).key[0]);
    predict_destroy(p);
}

static void the_error_is_reported_for_prediction_and_limit(void **state)
{
    struct predict *p = predict_create();
    struct predict_class k = of(1, "", "", HOUR);
    struct predict_error e;
    (void)state;
    predict_feed(p, &k, 900 * SEC, 0, HOUR);
    predict_feed(p, &k, 900 * SEC, 450 * SEC, HOUR);   /* half of it; a quarter of the limit */
    predict_feed(p, &k, 900 * SEC, 1000 * SEC, HOUR);  /* 900/1000; a quarter */
    predict_error(p, &e);
    assert_int_equal(e.ended, 3);
    assert_int_equal(e.predicted, 2);
    assert_int_equal(e.under, 1);
    assert_int_equal(e.right_permille, 500 + 900);
    assert_int_equal(e.limit_right_permille, 250 + 250);
    predict_destroy(p);
}

static void memory_is_bounded_and_the_least_fed_is_forgotten(void **state)
{
    struct predict *p = predict_create();
    struct predict_class first = of(0, "", "", HOUR), last;
    uint32_t seen = 0;
    struct buf out;
    (void)state;
    feed(p, first, 7);
    feed(p, first, 7);
    for (uint32_t uid = 1; uid <= 100000; uid++) {
        last = of(uid, "", "", HOUR);
        feed(p, last, 9);
        feed(p, last, 9);
    }
    assert_int_equal(seconds(p, last, HOUR), 9);
    assert_int_equal(seconds(p, first, HOUR), 0);
    buf_init(&out);
    for (uint32_t i = 0; i < PREDICT_PAGES; i++) {
        buf_clear(&out);
        if (predict_page_save(p, i, &out))
            seen++;
        assert_true(out.len <= 1 + PREDICT_WAYS * 24);
    }
    assert_int_equal(seen, PREDICT_PAGES);
    buf_fini(&out);
    predict_destroy(p);
}

static void pages_that_changed_bring_it_all_back(void **state)
{
    struct predict *p = predict_create(), *q = predict_create();
    uint32_t pages[8];
    struct err err;
    struct buf out;
    (void)state;
    buf_init(&out);
    for (uint32_t i = 0; i < 300; i++)
        feed(p, of(i % 100, "acc", "name", HOUR), (usec_t)i * 10);
    for (uint32_t n; (n = predict_dirty(p, pages, 8)) > 0;)
        for (uint32_t i = 0; i < n; i++) {
            buf_clear(&out);
            assert_true(predict_page_save(p, pages[i], &out));
            assert_int_equal(predict_page_load(q, pages[i], out.data, out.len, &err), 0);
        }
    for (uint32_t uid = 0; uid < 100; uid++)
        assert_int_equal(seconds(q, of(uid, "acc", "name", HOUR), HOUR),
                         ((uid + 100) * 10 + (uid + 200) * 10) / 2);
    assert_int_equal(predict_dirty(p, pages, 8), 0);
    assert_int_equal(predict_dirty(q, pages, 8), 0); /* loading changes nothing on disk */
    feed(p, of(7, "acc", "name", HOUR), 1);
    assert_in_range(predict_dirty(p, pages, 8), 1, 3);
    buf_fini(&out);
    predict_destroy(p);
    predict_destroy(q);
}

static void damaged_pages_are_refused_or_unknown(void **state)
{
    struct predict *p = predict_create();
    unsigned char record[1 + PREDICT_WAYS * 24 + 24];
    struct err err;
    (void)state;
    memset(record, 0xff, sizeof record);
    assert_true(predict_page_load(p, 0, record, 25, &err) < 0); /* version */
    record[0] = 1;
    assert_true(predict_page_load(p, 0, record, 0, &err) < 0);
    assert_true(predict_page_load(p, 0, record, 24, &err) < 0);
    assert_true(predict_page_load(p, 0, record, sizeof record, &err) < 0);
    assert_true(predict_page_load(p, PREDICT_PAGES, record, 25, &err) < 0);
    assert_non_null(strstr(err.text, "page 4096"));
    assert_int_equal(predict_page_load(p, 0, record, 25, &err), 0); /* key of another page */
    predict_destroy(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_known_before_two_jobs_have_ended),
        cmocka_unit_test(a_prediction_is_a_second_at_least_and_the_limit_at_most),
        cmocka_unit_test(the_narrowest_class_with_two_runs_decides),
        cmocka_unit_test(digits_of_a_name_do_not_count),
        cmocka_unit_test(the_error_is_reported_for_prediction_and_limit),
        cmocka_unit_test(memory_is_bounded_and_the_least_fed_is_forgotten),
        cmocka_unit_test(pages_that_changed_bring_it_all_back),
        cmocka_unit_test(damaged_pages_are_refused_or_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
