/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/store_sample.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void wrong_urls_are_refused(void **state)
{
    (void)state;
    struct err err = {0};
    assert_null(store_open("sqlite:", false, &err));
    assert_null(store_open("/tmp/x", false, &err));
    assert_null(store_open("postgresql://db/slurmlike", false, &err));
    assert_int_equal(err.code, SL_ENOT_BUILT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_urls_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
