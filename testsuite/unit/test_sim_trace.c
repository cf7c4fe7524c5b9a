/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <lzma.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim.h"
#include "trace.h"

#define SWF_TAIL " -1 -1 1 2 3 -1 -1 -1 -1\n"

static char path[] = "/tmp/test_sim_trace.XXXXXX";

static int setup(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int teardown(void **state)
{
    (void)state;
    return unlink(path);
}

static void write_bytes(const void *p, size_t n)
{
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    assert_int_equal(fwrite(p, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static int load(const char *text, struct trace *t, struct err *err)
{
    write_bytes(text, strlen(text));
    return trace_load(path, t, err);
}

/* The error names the file, the line and what is wrong. */
static void refuses(const char *text, const char *line, const char *what)
{
    struct trace t;
    struct err err = {0};
    char where[64];
    assert_true(load(text, &t, &err) < 0);
    snprintf(where, sizeof where, "%s%s", path, line);
    if (!strstr(err.text, where) || !strstr(err.text, what))
        fail_msg("\"%s\" does not have \"%s\" and \"%s\"", err.text, where, what);
}

static void bad_records_are_named_by_line_and_field(void **state)
{
    (void)state;
    refuses("1 0 -1 x 2 -1 -1 2 20" SWF_TAIL, ":1", "field 4: run time: \"x\"");
    refuses("; c\n1 0 -1 9 2 -1 -1 2 20" SWF_TAIL "2 0 -1 9\n", ":3", "fewer fields");
    refuses("1 0 -1 9 2 -1 -1 2 20 7" SWF_TAIL, ":1", "more fields");
    refuses("1 0 -1 9 2 -1 -1 99999999 20" SWF_TAIL, ":1", "99999999 processors");
    refuses("1 -1 -1 9 2 -1 -1 2 20" SWF_TAIL, ":1", "submit time");
    refuses("1 0 -1 99999999999999999999 2 -1 -1 2 20" SWF_TAIL, ":1", "run time");
    refuses("; MaxProcs: 0\n", ":1", "MaxProcs");
    refuses("job_id,submit_s\n", ":1", "no column run_s");
    refuses("job_id,submit_s,run_s\n1,2\n", ":2", "2 fields");
    refuses("job_id,submit_s,run_s\n1,2,3,4\n", ":2", "more fields");
    refuses("job_id,submit_s,run_s\n1,2,-3\n", ":2", "run_s: -3");
    refuses("job_id,submit_s,run_s,gpu_milli\n1,2,3,1001\n", ":2", "gpu_milli");
    refuses("job_id,submit_s,run_s\n1,,3\n", ":2", "submit_s: unknown");
    refuses("", "", "no job");
    refuses("; only comments\n", "", "no job");
}

static void a_line_without_end_is_refused_before_it_is_held(void **state)
{
    (void)state;
    char *text = malloc(LINE_BYTES_MAX * 3);
    memset(text, '7', LINE_BYTES_MAX * 3 - 1);
    text[LINE_BYTES_MAX * 3 - 1] = '\0';
    refuses(text, ":1", "a line of more than");
    free(text);
    write_bytes("1 0\0 3\n", 7);
    struct trace t;
    struct err err = {0};
    assert_true(trace_load(path, &t, &err) < 0);
    assert_non_null(strstr(err.text, "NUL"));
}

static void swf_fields_are_read_as_the_format_says(void **state)
{
    (void)state;
    struct trace t;
    assert_int_equal(load("; MaxProcs: 64\n; UnixStartTime: 1000000\n\n"
                          "7 5 -1 90 2 10.5 -1 4 100 2048 1 12 3 9 -1 -1 -1 -1\r\n"
                          "8 5 -1 90 2 -1 -1 -1 100 -1 1 12 3 9 -1 -1 -1 -1\n"
                          "9 6 -1 0 2 -1 -1 2 100" SWF_TAIL
                          "10 2 -1 9 2 -1 -1 2 100 -1 1 13 3 9 -1 -1 -1 -1", &t, NULL), 0);
    assert_int_equal(t.procs_max, 64);
    assert_int_equal(t.unix_start, 1000000);
    assert_int_equal(t.count, 3);
    assert_int_equal(t.skipped, 1); /* run 0 */
    assert_int_equal(t.users, 2);
    assert_int_equal(t.job[0].number, 10); /* by submission */
    const struct trace_job *j = &t.job[1];
    assert_int_equal(j->number, 7);
    assert_int_equal(j->submit, 5);
    assert_int_equal(j->run, 90);
    assert_int_equal(j->procs, 4);
    assert_int_equal(j->limit, 100);
    assert_int_equal(j->mem_mib, 8); /* 4 processors of 2048 KiB */
    assert_string_equal(j->user, "u12");
    assert_string_equal(j->account, "g3");
    assert_string_equal(j->name, "app9");
    assert_int_equal(t.job[2].procs, 2); /* allocated, where no request is known */
    trace_fini(&t);
}

static void gpu_tables_follow_their_head(void **state)
{
    (void)state;
    struct trace t;
    assert_int_equal(load("gpus,job_id,run_s,submit_s,colour,user,gpu_milli,cpus\n"
                          "1,a,60,7,red,bo,250,4\n"
                          "8,b,,9,,,,\n", &t, NULL), 0);
    assert_int_equal(t.count, 2);
    assert_int_equal(t.job[0].gpus, 1);
    assert_int_equal(t.job[0].gpu_milli, 250);
    assert_int_equal(t.job[0].cpus, 4);
    assert_string_equal(t.job[0].user, "bo");
    assert_int_equal(t.job[0].limit, -1);
    assert_int_equal(t.job[1].run, -1); /* it never ran */
    assert_int_equal(t.job[1].gpu_milli, 1000);
    trace_fini(&t);
}

static size_t pack(const char *text, uint8_t *out, size_t cap)
{
    size_t n = 0;
    assert_int_equal(lzma_easy_buffer_encode(6, LZMA_CHECK_CRC64, NULL, (const uint8_t *)text,
                                             strlen(text), out, &n, cap), LZMA_OK);
    return n;
}

static void an_archive_reads_as_its_text(void **state)
{
    (void)state;
    static uint8_t packed[4096];
    struct trace t;
    struct err err = {0};
    size_t n = pack("1 0 -1 9 2 -1 -1 2 20" SWF_TAIL "2 3 -1 9 2 -1 -1 2 20" SWF_TAIL, packed,
                    sizeof packed);
    write_bytes(packed, n);
    assert_int_equal(trace_load(path, &t, NULL), 0);
    assert_int_equal(t.count, 2);
    trace_fini(&t);
    write_bytes(packed, n - 20);
    assert_true(trace_load(path, &t, &err) < 0);
    assert_non_null(strstr(err.text, "too early"));
    packed[n / 2] ^= 0x55;
    write_bytes(packed, n);
    assert_true(trace_load(path, &t, &err) < 0);
    assert_non_null(strstr(err.text, path));
}

static void halves_share_the_jobs(void **state)
{
    (void)state;
    static const char text[] = "job_id,submit_s,run_s\n1,5,1\n2,6,1\n3,8,1\n";
    struct trace t;
    assert_int_equal(load(text, &t, NULL), 0);
    trace_half(&t, false);
    assert_int_equal(t.count, 1);
    assert_int_equal(t.job[0].submit, 5);
    trace_fini(&t);
    assert_int_equal(load(text, &t, NULL), 0);
    trace_half(&t, true);
    assert_int_equal(t.count, 2);
    assert_int_equal(t.job[0].submit, 0);
    assert_int_equal(t.job[1].submit, 2);
    trace_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_records_are_named_by_line_and_field),
        cmocka_unit_test(a_line_without_end_is_refused_before_it_is_held),
        cmocka_unit_test(swf_fields_are_read_as_the_format_says),
        cmocka_unit_test(gpu_tables_follow_their_head),
        cmocka_unit_test(an_archive_reads_as_its_text),
        cmocka_unit_test(halves_share_the_jobs),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
