/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/hostlist.h"

/* Names joined by spaces; "!" when the expression is refused. */
static char *expand(const char *expr)
{
    struct err err = {0};
    struct hostlist *hl = hostlist_create(expr, &err);
    if (!hl) {
        assert_true(err.code < 0);
        assert_true(err.text[0] != '\0');
        return xstrdup("!");
    }
    struct buf b;
    buf_init(&b);
    for (size_t i = 0; i < hostlist_count(hl); i++)
        buf_printf(&b, "%s%s", i ? " " : "", hostlist_nth(hl, i));
    assert_null(hostlist_nth(hl, hostlist_count(hl)));
    hostlist_destroy(hl);
    return buf_steal(&b);
}

static void malformed_and_hostile_expressions_are_refused(void **state)
{
    static const char *const bad[] = {
        "n[0-999999999]", "n[5-1]", "n[5-4]", "n[", "n[1", "n[1-", "n[1-3", "n[]", "n[,1]", "n[1,]",
        "n[-5]", "n[1-3-5]", "n[a]", "n[1 ,2]", "n]", "n[1]]", "n[[1]]", "n[1-131073]",
        "n[1-400]m[1-400]", "n[0-999999999999999999]", "n[1234567890123456789]", "a/b",
        "../x", "-rf", ".", "..", "n\001", "n[1-131072],m", "n\"", "n$x", "n;x",
        "[1][1][1][1][1][1][1][1][1]",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char *s = expand(bad[i]);
        if (strcmp(s, "!") != 0)
            fail_msg("\"%s\" was accepted", bad[i]);
        free(s);
    }
    assert_null(hostlist_create("n[5-1]", NULL)); /* no err wanted */
}

static void names_are_bounded_in_length(void **state)
{
    char text[HOSTNAME_LEN_MAX + 2];
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = '\0';
    assert_null(hostlist_create(text, NULL));
    text[HOSTNAME_LEN_MAX] = '\0';
    struct hostlist *hl = hostlist_create(text, NULL);
    assert_non_null(hl);
    hostlist_destroy(hl);
    memcpy(text + HOSTNAME_LEN_MAX - 6, "[10]", 5); /* 249 + 2 */
    hl = hostlist_create(text, NULL);
    assert_non_null(hl);
    hostlist_destroy(hl);
}

static void expansion_keeps_order_width_and_duplicates(void **state)
{
    static const char *const cases[][2] = {
        {"", ""}, {",, ,", ""}, {"a", "a"}, {"b,a,b", "b a b"}, {"n[1-3]", "n1 n2 n3"},
        {"n[001-003,200]", "n001 n002 n003 n200"}, {"n[8-11]", "n8 n9 n10 n11"},
        {"n[08-11]", "n08 n09 n10 n11"}, {"gpu[1-2]-ib", "gpu1-ib gpu2-ib"},
        {"r[1-2]n[01-02]", "r1n01 r1n02 r2n01 r2n02"}, {"a1 b2\tc3\nd4", "a1 b2 c3 d4"},
        {"n[3,1,3]", "n3 n1 n3"}, {"[1-2]", "1 2"}, {"h.example.org", "h.example.org"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *s = expand(cases[i][0]);
        assert_string_equal(s, cases[i][1]);
        free(s);
    }
}

static void ranged_text_expands_to_the_same_names(void **state)
{
    static const char *const cases[][2] = {
        {"n1,n2,n3", "n[1-3]"}, {"n1,n2,n3,m1", "n[1-3],m1"}, {"n3,n1,n2", "n[3,1-2]"},
        {"n09,n10,n11", "n[09-11]"}, {"n9,n10", "n[9-10]"}, {"n99,n100", "n[99-100]"},
        {"n1,n01", "n[1,01]"}, {"n1,n1", "n[1,1]"}, {"a,a", "a,a"}, {"a,b", "a,b"},
        {"gpu1-ib,gpu2-ib", "gpu[1-2]-ib"}, {"n1-ib0,n2-ib0", "n[1-2]-ib0"},
        {"r[1-2]n[01-02]", "r1n[01-02],r2n[01-02]"}, {"n1", "n1"}, {"", ""},
        {"n1234567890123456789,n1234567890123456790",
         "n1234567890123456789,n1234567890123456790"},
        {"n1,n2,x,n3", "n[1-2],x,n3"}, {"1,2", "[1-2]"}, {"n,n1", "n,n1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hostlist *hl = hostlist_create(cases[i][0], NULL);
        assert_non_null(hl);
        char *text = hostlist_ranged(hl);
        assert_string_equal(text, cases[i][1]);
        char *a = expand(cases[i][0]), *b = expand(text);
        assert_string_equal(a, b);
        free(a);
        free(b);
        free(text);
        hostlist_destroy(hl);
    }
}

/* Random lists out of awkward pieces; the seed is fixed so that a failure repeats. */
static void random_lists_survive_the_round_trip(void **state)
{
    static const char *const pieces[] = {"n", "m-", "0", "00", "1", "9", "10", "099", ".", "x"};
    unsigned seed = 20261124;
    print_message("seed %u\n", seed);
    for (int round = 0; round < 2000; round++) {
        struct hostlist *hl = hostlist_create("", NULL);
        for (int k = rand_r(&seed) % 8; k > 0; k--) {
            char name[64] = "n";
            for (int j = rand_r(&seed) % 4; j > 0; j--)
                strcat(name, pieces[(unsigned)rand_r(&seed) % 10]);
            assert_int_equal(hostlist_push(hl, name, NULL), 0);
        }
        char *text = hostlist_ranged(hl);
        struct hostlist *again = hostlist_create(text, NULL);
        assert_non_null(again);
        assert_int_equal(hostlist_count(again), hostlist_count(hl));
        for (size_t i = 0; i < hostlist_count(hl); i++)
            assert_string_equal(hostlist_nth(again, i), hostlist_nth(hl, i));
        hostlist_destroy(again);
        hostlist_destroy(hl);
        free(text);
    }
}

static void the_largest_list_is_accepted_and_no_more(void **state)
{
    struct err err;
    struct hostlist *hl = hostlist_create("n[1-131072]", &err);
    assert_non_null(hl);
    assert_int_equal(hostlist_count(hl), HOSTLIST_MAX);
    assert_true(hostlist_push(hl, "m", &err) < 0);
    assert_int_equal(hostlist_count(hl), HOSTLIST_MAX);
    hostlist_destroy(hl);
}

static void push_refuses_brackets_and_changes_nothing(void **state)
{
    struct hostlist *hl = hostlist_create("a", NULL);
    assert_true(hostlist_push(hl, "n[1-2]", NULL) < 0);
    assert_true(hostlist_push(hl, "", NULL) < 0);
    assert_int_equal(hostlist_count(hl), 1);
    assert_int_equal(hostlist_find(hl, "a"), 0);
    assert_int_equal(hostlist_find(hl, "b"), -1);
    hostlist_destroy(hl);
    hostlist_destroy(NULL);
}

static void sorting_is_natural(void **state)
{
    struct hostlist *hl = hostlist_create("n10,n2,n1,m,n01,n2,a10b2,a10b1,a9b3", NULL);
    hostlist_uniq(hl);
    char *text = hostlist_ranged(hl);
    assert_string_equal(text, "a9b3,a10b[1-2],m,n[01,1-2,10]");
    free(text);
    hostlist_destroy(hl);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(malformed_and_hostile_expressions_are_refused),
        cmocka_unit_test(names_are_bounded_in_length),
        cmocka_unit_test(expansion_keeps_order_width_and_duplicates),
        cmocka_unit_test(ranged_text_expands_to_the_same_names),
        cmocka_unit_test(random_lists_survive_the_round_trip),
        cmocka_unit_test(the_largest_list_is_accepted_and_no_more),
        cmocka_unit_test(push_refuses_brackets_and_changes_nothing),
        cmocka_unit_test(sorting_is_natural),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
