/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "base/timefmt.h"

#define SEC USEC_PER_SEC

static usec_t now; /* Tuesday 2026-11-24 10:20:30 in the zone of the test */

static int set_zone(void **state)
{
    setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
    tzset();
    struct tm tm = {.tm_year = 126, .tm_mon = 10, .tm_mday = 24, .tm_hour = 10,
                    .tm_min = 20, .tm_sec = 30, .tm_isdst = -1};
    now = (usec_t)mktime(&tm) * SEC;
    return 0;
}

static void wrong_spans_are_refused(void **state)
{
    static const char *const bad[] = {"", "x", "-2", "1:", ":1", "1:2:3:4", "1-", "-", "1-2-3",
        "1-2:3:4:5", "1 ", " 1", "+1", "1.5", "99999999999999999999", "4294967293",
        "1-99999999999999999999", "UNLIMITEDX", "0x10"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        usec_t span = 42;
        struct err err;
        if (span_parse(bad[i], &span, &err) >= 0)
            fail_msg("\"%s\" was accepted", bad[i]);
        assert_int_equal(err.code, SL_EINVAL_TIME);
        assert_int_equal(span, 42);
    }
}

static void each_form_of_a_span_is_read(void **state)
{
    static const struct {
        const char *text;
        int64_t seconds;
        const char *longer, *shorter;
    } cases[] = {
        {"0", 0, "00:00:00", "0:00"},
        {"60", 3600, "01:00:00", "1:00:00"},
        {"1:30", 90, "00:01:30", "1:30"},
        {"0:90", 90, "00:01:30", "1:30"},
        {"0:05", 5, "00:00:05", "0:05"},
        {"1:02:03", 3723, "01:02:03", "1:02:03"},
        {"2-1", 176400, "2-01:00:00", "2-01:00:00"},
        {"2-01:02", 176520, "2-01:02:00", "2-01:02:00"},
        {"2-01:02:03", 176523, "2-01:02:03", "2-01:02:03"},
        {"4294967292", INT64_C(4294967292) * 60, "2982616-04:12:00", "2982616-04:12:00"},
    };
    char out[SPAN_TEXT_MAX];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        usec_t span;
        assert_int_equal(span_parse(cases[i].text, &span, NULL), 0);
        assert_int_equal(span, cases[i].seconds * SEC);
        assert_string_equal(span_format(span, out), cases[i].longer);
        assert_string_equal(span_format_short(span, out), cases[i].shorter);
    }
    const char *const forever[] = {"UNLIMITED", "infinite", "-1"};
    for (int i = 0; i < 3; i++) {
        usec_t span;
        assert_int_equal(span_parse(forever[i], &span, NULL), 0);
        assert_int_equal(span, SPAN_INFINITE);
    }
    assert_string_equal(span_format(SPAN_INFINITE, out), "UNLIMITED");
    assert_string_equal(span_format_short(-SEC, out), "INVALID");
}

static void wrong_times_are_refused(void **state)
{
    static const char *const bad[] = {"", " ", "x", "25:00", "10:60", "10:00:60", "1:2", "13:00PM",
        "0:00AM", "2026-02-29", "2026-13-01", "2026-00-10", "2026-04-31", "13/01", "00/10",
        "02/30", "1969-12-31", "now+", "now+x", "now+1fortnight", "now+9999999999", "now 16:00",
        "16:00 17:00", "today tomorrow", "2026-11-24T", "2026-11-24T10", "20261124", "12345",
        "now+1hourx", "uts", "uts99999999999999999999", "uts0", "16:00x", "2026-1", "1/2/345"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        usec_t when = 42;
        if (time_parse(bad[i], now, &when, NULL) >= 0)
            fail_msg("\"%s\" was accepted", bad[i]);
        assert_int_equal(when, 42);
    }
}

/* sbatch(1) --begin, and the rest of the header's list. */
static void each_form_of_a_time_is_read(void **state)
{
    static const char *const cases[][2] = {
        {"now", "2026-11-24T10:20:30"}, {"now+60", "2026-11-24T10:21:30"},
        {"now+1hour", "2026-11-24T11:20:30"}, {"now + 2 minutes", "2026-11-24T10:22:30"},
        {"now+3days", "2026-11-27T10:20:30"}, {"now+1week", "2026-12-01T10:20:30"},
        {"now-10sec", "2026-11-24T10:20:20"}, {"16:00", "2026-11-24T16:00:00"},
        {"09:00", "2026-11-25T09:00:00"}, {"10:20:30", "2026-11-24T10:20:30"},
        {"4:05PM", "2026-11-24T16:05:00"}, {"12:00AM", "2026-11-25T00:00:00"},
        {"12:30 pm", "2026-11-24T12:30:00"}, {"4PM", "2026-11-24T16:00:00"},
        {"midnight", "2026-11-25T00:00:00"}, {"noon", "2026-11-24T12:00:00"},
        {"fika", "2026-11-24T15:00:00"}, {"teatime", "2026-11-24T16:00:00"},
        {"today", "2026-11-24T00:00:00"}, {"tomorrow", "2026-11-25T00:00:00"},
        {"16:00 tomorrow", "2026-11-25T16:00:00"}, {"tomorrow noon", "2026-11-25T12:00:00"},
        {"122426", "2026-12-24T00:00:00"}, {"12/24", "2026-12-24T00:00:00"},
        {"01/02", "2027-01-02T00:00:00"}, {"12/24/27", "2027-12-24T00:00:00"},
        {"12/24/2027", "2027-12-24T00:00:00"}, {"12.24.27", "2027-12-24T00:00:00"},
        {"12/24-18:30", "2026-12-24T18:30:00"}, {"11/24-10:00", "2027-11-24T10:00:00"},
        {"2027-01-20", "2027-01-20T00:00:00"}, {"2027-01-20T12:34", "2027-01-20T12:34:00"},
        {"2010-01-20T12:34:00", "2010-01-20T12:34:00"}, {"2028-02-29", "2028-02-29T00:00:00"},
        {"2027-07-01T12:00", "2027-07-01T12:00:00"}, {"uts1767225600", "2026-01-01T01:00:00"},
    };
    char out[TIME_TEXT_MAX];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        usec_t when;
        struct err err;
        if (time_parse(cases[i][0], now, &when, &err) < 0)
            fail_msg("\"%s\": %s", cases[i][0], err.text);
        assert_string_equal(time_format(when, out), cases[i][1]);
    }
}

static void the_past_is_not_moved_when_asked_for(void **state)
{
    char out[TIME_TEXT_MAX];
    usec_t when;
    assert_int_equal(time_parse_past("09:00", now, &when, NULL), 0);
    assert_string_equal(time_format(when, out), "2026-11-24T09:00:00");
    assert_int_equal(time_parse_past("01/02", now, &when, NULL), 0);
    assert_string_equal(time_format(when, out), "2026-01-02T00:00:00");
    assert_string_equal(time_format(0, out), "Unknown");
    assert_string_equal(time_format_or(0, "N/A", out), "N/A");
}

static void memory_sizes_are_read_and_rounded_up(void **state)
{
    static const struct {
        const char *text;
        uint64_t mib;
    } cases[] = {{"0", 0}, {"1", 1}, {"500M", 500}, {"16G", 16384}, {"16g", 16384},
                 {"1.5G", 1536}, {"1K", 1}, {"1025K", 2}, {"2T", 2097152}, {"4GB", 4096},
                 {"4GiB", 4096}, {"1024P", SIZE_MIB_MAX}, {"0.000001G", 1}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t mib;
        assert_int_equal(mem_parse_mib(cases[i].text, &mib, NULL), 0);
        assert_int_equal(mib, cases[i].mib);
    }
    static const char *const bad[] = {"", "G", "-1", "+1", "1X", "1GX", "1 G", "1.G", ".5G",
        "1.1234567G", "1025P", "99999999999999999999", "18446744073709551615P", "1e3"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint64_t mib = 42;
        if (mem_parse_mib(bad[i], &mib, NULL) >= 0)
            fail_msg("\"%s\" was accepted", bad[i]);
        assert_int_equal(mib, 42);
    }
}

static void sizes_print_as_slurm_does(void **state)
{
    char out[SIZE_TEXT_MAX];
    assert_string_equal(mem_format_mib(0, out), "0");
    assert_string_equal(mem_format_mib(500, out), "500M");
    assert_string_equal(mem_format_mib(16384, out), "16G");
    assert_string_equal(mem_format_mib(1536, out), "1.50G");
    assert_string_equal(mem_format_mib(1048575, out), "1.00T");
    assert_string_equal(size_format_bytes(0, out), "0");
    assert_string_equal(size_format_bytes(512, out), "512");
    assert_string_equal(size_format_bytes(1536, out), "1.50K");
    assert_string_equal(size_format_bytes(UINT64_MAX, out), "16E");
}

static void numbers_are_strict_and_name_the_field(void **state)
{
    uint64_t v = 42;
    struct err err;
    static const char *const bad[] = {"", "x", "1x", " 1", "-1", "+1", "0x1", "1.0"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(num_parse_u64("--nodes", bad[i], 0, 9, &v, &err), -EINVAL);
        assert_memory_equal(err.text, "--nodes", 7);
    }
    assert_int_equal(num_parse_u64("n", "10", 0, 9, &v, &err), -ERANGE);
    assert_int_equal(num_parse_u64("n", "99999999999999999999", 0, 9, &v, &err), -ERANGE);
    assert_true(num_parse_u64("n", "18446744073709551616", 0, UINT64_MAX, &v, &err) < 0);
    assert_int_equal(v, 42);
    assert_int_equal(num_parse_u64("n", "18446744073709551615", 0, UINT64_MAX, &v, &err), 0);
    assert_true(v == UINT64_MAX);
}

static void styles_of_slurm_time_format(void **state)
{
    char out[TIME_STYLE_MAX];
    struct tm noon = {.tm_year = 126, .tm_mon = 6, .tm_mday = 15, .tm_hour = 12, .tm_isdst = -1};
    const usec_t day = 86400 * USEC_PER_SEC, now = (usec_t)mktime(&noon) * USEC_PER_SEC;
    static const struct {
        const char *style;
        int days;
        const char *text;
    } cases[] = {
        {"standard", 0, "2026-07-15T12:00:00"}, {"%H %d", 1, "12 16"},
        {"", 0, "2026-07-15T12:00:00"},         {"relative", 0, "12:00:00"},
        {"relative", 1, "Tomorr 12:00"},        {"relative", -1, "Ystday 12:00"},
        {"relative", 3, "Sat 12:00"},           {"relative", -3, "12 Jul 12:00"},
        {"relative", 40, "24 Aug 12:00"},       {"relative", 300, "11 May 2027"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_string_equal(time_format_style(cases[i].style, now + cases[i].days * day, now, out),
                            cases[i].text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(styles_of_slurm_time_format),
        cmocka_unit_test(wrong_spans_are_refused),
        cmocka_unit_test(each_form_of_a_span_is_read),
        cmocka_unit_test(wrong_times_are_refused),
        cmocka_unit_test(each_form_of_a_time_is_read),
        cmocka_unit_test(the_past_is_not_moved_when_asked_for),
        cmocka_unit_test(memory_sizes_are_read_and_rounded_up),
        cmocka_unit_test(sizes_print_as_slurm_does),
        cmocka_unit_test(numbers_are_strict_and_name_the_field),
    };
    return cmocka_run_group_tests(tests, set_zone, NULL);
}
