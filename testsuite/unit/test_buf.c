/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

static void a_fresh_buf_reads_as_empty_text(void **state)
{
    struct buf b;
    buf_init(&b);
    assert_string_equal(buf_str(&b), "");
    buf_clear(&b);
    buf_consume(&b, 0);
    char *s = buf_steal(&b);
    assert_string_equal(s, "");
    free(s);
    buf_fini(&b);
}

static void text_stays_terminated_while_it_grows(void **state)
{
    struct buf b;
    buf_init(&b);
    for (int i = 0; i < 1000; i++) {
        buf_printf(&b, "%d,", i);
        assert_int_equal(strlen(b.data), b.len);
    }
    buf_putc(&b, 'x');
    buf_put(&b, "a\0b", 3);
    assert_memory_equal(b.data + b.len - 4, "xa\0b", 5);
    char long_text[5000];
    memset(long_text, 'y', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    buf_clear(&b);
    buf_printf(&b, "<%s>", long_text);
    assert_int_equal(b.len, sizeof long_text + 1);
    buf_consume(&b, sizeof long_text);
    assert_string_equal(buf_str(&b), ">");
    buf_fini(&b);
    assert_null(b.data);
}

static void an_arena_gives_zeroed_aligned_distinct_memory(void **state)
{
    struct arena a;
    arena_init(&a);
    for (int round = 0; round < 3; round++) {
        unsigned char *last = NULL;
        for (size_t n = 0; n < 3000; n += 7) {
            unsigned char *p = arena_alloc(&a, n);
            assert_int_equal((uintptr_t)p % 16, 0);
            assert_ptr_not_equal(p, last);
            for (size_t i = 0; i < n; i++)
                assert_int_equal(p[i], 0);
            memset(p, 0xff, n);
            last = p;
        }
        memset(arena_alloc(&a, 3 << 20), 0xff, 3 << 20); /* beyond a chunk */
        assert_string_equal(arena_printf(&a, "%s-%d", "x", 7), "x-7");
        assert_string_equal(arena_strdup(&a, ""), "");
        arena_reset(&a);
        assert_int_equal(a.bytes, 0);
    }
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fresh_buf_reads_as_empty_text),
        cmocka_unit_test(text_stays_terminated_while_it_grows),
        cmocka_unit_test(an_arena_gives_zeroed_aligned_distinct_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
