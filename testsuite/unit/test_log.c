/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"

static char dir[] = "/tmp/test_log-XXXXXX";
static char file[64];

static int make_dir(void **state)
{
    if (!mkdtemp(dir))
        return -1;
    snprintf(file, sizeof file, "%s/log", dir);
    return 0;
}

static int remove_dir(void **state)
{
    return rmdir(dir);
}

/* The file's text; the file is removed. */
static char *take_file(const char *path)
{
    struct buf b;
    buf_init(&b);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    for (int c; (c = getc(f)) != EOF;)
        buf_putc(&b, (char)c);
    fclose(f);
    unlink(path);
    return buf_steal(&b);
}

static size_t count_lines(const char *s)
{
    size_t n = 0;
    for (; *s; s++)
        n += *s == '\n';
    return n;
}

static void a_target_that_cannot_be_opened_leaves_the_old_one(void **state)
{
    struct err err;
    assert_int_equal(log_init("t", file, LOG_L_INFO, NULL), 0);
    assert_true(log_init("t", "/nonexistent/log", LOG_L_INFO, &err) < 0);
    assert_non_null(strstr(err.text, "/nonexistent/log"));
    assert_true(log_init("t", "nowhere", LOG_L_INFO, &err) < 0);
    assert_true(log_init("t", "journald:/nonexistent", LOG_L_INFO, &err) < 0);
    log_info("area", "still here key=%d", 7);
    log_fini();
    char *s = take_file(file);
    assert_non_null(strstr(s, " t: info area: still here key=7\n"));
    free(s);
}

static void less_important_messages_are_dropped(void **state)
{
    log_init("t", file, LOG_L_WARN, NULL);
    log_info("a", "hidden");
    log_warn("a", "seen");
    log_level_set(LOG_L_DEBUG);
    log_debug("a", "seen too");
    log_fini();
    char *s = take_file(file);
    assert_null(strstr(s, "hidden"));
    assert_int_equal(count_lines(s), 2);
    free(s);
}

static void repeats_are_summed_up_after_the_burst(void **state)
{
    log_init("t", file, LOG_L_DEBUG, NULL);
    for (int i = 0; i < 1000; i++)
        log_error("a", "same n=%d", i);
    for (int i = 0; i < 50; i++)
        log_debug("a", "debug n=%d", i); /* never held back */
    log_fini();
    char *s = take_file(file);
    unsigned held = 0, shown = 0;
    for (char *p = s; (p = strstr(p, "repeats=")); p++)
        held += (unsigned)atoi(p + 8);
    for (char *p = s; (p = strstr(p, "same n=")); p++)
        shown += p[7] != '%';
    assert_int_equal(held + shown, 1000);
    assert_in_range(shown, LOG_BURST, 10 * LOG_BURST);
    assert_non_null(strstr(s, "debug n=49"));
    free(s);
}

static void a_message_cannot_forge_a_line(void **state)
{
    char text[2 * LOG_LINE_MAX];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    memcpy(text, "a\nerror forged\r", 15);
    log_init("t", file, LOG_L_INFO, NULL);
    log_info("a", "user said %s", text);
    log_fini();
    char *s = take_file(file);
    assert_int_equal(count_lines(s), 1);
    assert_non_null(strstr(s, "user said a?error forged?x"));
    assert_string_equal(s + strlen(s) - 4, "...\n");
    free(s);
}

static void reopen_follows_a_rotated_file(void **state)
{
    char old[80];
    snprintf(old, sizeof old, "%s.1", file);
    log_init("t", file, LOG_L_INFO, NULL);
    log_info("a", "before");
    assert_int_equal(rename(file, old), 0);
    assert_int_equal(log_reopen(NULL), 0);
    log_info("a", "after");
    log_fini();
    char *s = take_file(old), *n = take_file(file);
    assert_non_null(strstr(s, "before"));
    assert_null(strstr(s, "after"));
    assert_non_null(strstr(n, "after"));
    free(s);
    free(n);
}

static void journald_gets_one_datagram_of_fields(void **state)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    char target[80], text[1024];
    snprintf(sa.sun_path, sizeof sa.sun_path, "%s/sock", dir);
    snprintf(target, sizeof target, "journald:%s", sa.sun_path);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof sa), 0);
    assert_int_equal(log_init("prog", target, LOG_L_INFO, NULL), 0);
    log_error("disk", "full\nPRIORITY=7");
    ssize_t n = recv(fd, text, sizeof text - 1, MSG_DONTWAIT);
    assert_true(n > 0);
    text[n] = '\0';
    assert_memory_equal(text, "PRIORITY=3\nSYSLOG_IDENTIFIER=prog\n", 34);
    assert_non_null(strstr(text, "\nMESSAGE=error disk: full?PRIORITY=7\n"));
    log_fini();
    close(fd);
    unlink(sa.sun_path);
}

static void *log_many(void *arg)
{
    for (int i = 0; i < 2000; i++)
        log_debug("thread", "id=%d line=%d end", *(int *)arg, i);
    return NULL;
}

static void lines_of_several_threads_do_not_mix(void **state)
{
    pthread_t threads[4];
    int ids[4] = {0, 1, 2, 3};
    log_init("t", file, LOG_L_DEBUG, NULL);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, log_many, &ids[i]), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    log_fini();
    char *s = take_file(file);
    assert_int_equal(count_lines(s), 8000);
    for (char *line = strtok(s, "\n"); line; line = strtok(NULL, "\n"))
        assert_string_equal(line + strlen(line) - 4, " end");
    free(s);
}

static void level_names_go_both_ways(void **state)
{
    for (int i = LOG_L_ERROR; i < LOG_L_COUNT; i++)
        assert_int_equal(log_level_parse(log_level_name((enum log_level)i)), i);
    assert_int_equal(log_level_parse("loud"), LOG_NONE);
    assert_int_equal(log_level_parse(""), LOG_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_target_that_cannot_be_opened_leaves_the_old_one),
        cmocka_unit_test(less_important_messages_are_dropped),
        cmocka_unit_test(repeats_are_summed_up_after_the_burst),
        cmocka_unit_test(a_message_cannot_forge_a_line),
        cmocka_unit_test(reopen_follows_a_rotated_file),
        cmocka_unit_test(journald_gets_one_datagram_of_fields),
        cmocka_unit_test(lines_of_several_threads_do_not_mix),
        cmocka_unit_test(level_names_go_both_ways),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
