/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "base/err.h"

static void set_stores_code_and_text_and_returns_the_code(void **state)
{
    struct err err;
    assert_int_equal(err_set(&err, SL_EINVAL_NODE, "node %s", "n1"), SL_EINVAL_NODE);
    assert_int_equal(err.code, SL_EINVAL_NODE);
    assert_string_equal(err.text, "node n1");
    assert_int_equal(err_set(NULL, -EINVAL, "unwanted"), -EINVAL);
}

static void errno_is_named_in_words(void **state)
{
    struct err err;
    errno = ENOENT;
    assert_int_equal(err_errno(&err, "open %s", "/x"), -ENOENT);
    assert_string_equal(err.text, "open /x: No such file or directory");
}

static void prefix_goes_in_front_and_the_text_may_be_its_own_argument(void **state)
{
    struct err err;
    err_set(&err, -EINVAL, "bad");
    assert_int_equal(err_prefix(&err, "line %d", 3), -EINVAL);
    assert_string_equal(err.text, "line 3: bad");
    err_set(&err, -EIO, "again: %s", err.text);
    assert_string_equal(err.text, "again: line 3: bad");
}

static void long_text_is_cut_between_characters(void **state)
{
    struct err err;
    char text[2 * ERR_TEXT_MAX + 1];
    for (int shift = 0; shift < 3; shift++) { /* of two-byte characters */
        memset(text, 'a', sizeof text);
        for (size_t i = (size_t)shift; i + 1 < sizeof text; i += 2)
            memcpy(text + i, "\xc3\xa4", 2);
        text[sizeof text - 1] = '\0';
        err_set(&err, -EINVAL, "%s", text);
        size_t n = strlen(err.text);
        assert_true(n < ERR_TEXT_MAX);
        assert_string_equal(err.text + n - 3, "...");
        assert_int_not_equal((unsigned char)err.text[n - 4], 0xc3);
    }
}

static void a_message_is_one_line_whatever_it_quotes(void **state)
{
    struct err err;
    err_set(&err, -EINVAL, "name \"%s\"", "a\nb\033[0m\x7f");
    assert_string_equal(err.text, "name \"a?b?[0m?\"");
}

static void every_code_has_a_name(void **state)
{
#define X(sym, val, text) assert_string_equal(err_name(sym), text);
    SL_ERR_MAP(X)
#undef X
    assert_string_equal(err_name(-EPERM), "Operation not permitted");
    assert_string_equal(err_name(-999999), "Unknown error");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_stores_code_and_text_and_returns_the_code),
        cmocka_unit_test(errno_is_named_in_words),
        cmocka_unit_test(prefix_goes_in_front_and_the_text_may_be_its_own_argument),
        cmocka_unit_test(long_text_is_cut_between_characters),
        cmocka_unit_test(a_message_is_one_line_whatever_it_quotes),
        cmocka_unit_test(every_code_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
