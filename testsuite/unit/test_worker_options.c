/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/buf.h"
#include "train/settings.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct settings set;

static int setup(void **state)
{
    (void)state;
    options_init(&settings_table, &set);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    options_fini(&settings_table, &set);
    return 0;
}

/* Parses a command line of words separated by single spaces. */
static int parse(const char *line, struct err *err)
{
    char *copy = xasprintf("pretrain %s", line), *argv[32];
    int argc = 0;
    for (char *w = strtok(copy, " "); w && argc < 31; w = strtok(NULL, " "))
        argv[argc++] = w;
    argv[argc] = NULL;
    *err = (struct err){0};
    int rc = options_parse(&settings_table, &set, argc, argv, NULL, err);
    free(copy);
    return rc;
}

static void mistakes_are_named(void **state)
{
    static const struct {
        const char *line, *word;
    } cases[] = {
        {"--widht 12", "width"},           {"--width twelve", "whole number"},
        {"--width 12.5", "whole number"},  {"--width -3", "out of range"},
        {"--width 99999999999999999999", "whole number"},
        {"--lr nan", "not a number"},      {"--lr", "value"},
        {"--norm batch", "layer|rms"},     {"--tied=perhaps", "neither"},
        {"file.h5", "file.h5"},            {"-x", "two dashes"},
        {"--config /no/such/file", "/no/such/file"},
    };
    struct err err;
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (parse(cases[i].line, &err) >= 0)
            fail_msg("%s was taken", cases[i].line);
        if (!strstr(err.text, cases[i].word))
            fail_msg("%s: %s", cases[i].line, err.text);
    }
}

static void values_arrive(void **state)
{
    struct err err;
    (void)state;
    assert_int_equal(parse("--width=128 --lr 2.5e-4 --kv_heads 2 --norm layer --bias --no-tied "
                           "--data x.h5 --validation 0", &err), 0);
    assert_int_equal(set.width, 128);
    assert_true(set.lr == 2.5e-4);
    assert_int_equal(set.kv_heads, 2);
    assert_int_equal(set.norm, NORM_LAYER);
    assert_true(set.bias && !set.tied);
    assert_string_equal(set.data, "x.h5");
    assert_int_equal(set.heads, 6); /* default */
    assert_int_equal(parse("--help", &err), 1);
}

static void config(const char *text, const char *more, int want, const char *word)
{
    char path[] = "/tmp/slurmlike-options-XXXXXX";
    struct err err;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    char *line = xasprintf("%s --config %s", more, path);
    int rc = parse(line, &err);
    if ((rc < 0 ? -1 : rc) != want)
        fail_msg("%s: %d %s", text, rc, err.text);
    if (rc < 0 && (!strstr(err.text, word) || !strstr(err.text, path)))
        fail_msg("%s: %s", text, err.text);
    free(line);
    unlink(path);
}

static void a_file_gives_values_and_the_command_line_wins(void **state)
{
    (void)state;
    config("# model\nwidth = 96;\nlr = 1e-2;\ndata = \"a.h5\";\nkv_heads = 3;\ntied = false;\n",
           "--width 192", 0, "");
    assert_int_equal(set.width, 192);
    assert_true(set.lr == 1e-2 && !set.tied);
    assert_string_equal(set.data, "a.h5");
    assert_int_equal(set.kv_heads, 3);
    config("width = 96;\nwidht = 1;\n", "--lr 1", -1, ":2: widht");
    config("width = 99999999999;\n", "--lr 1", -1, "too large");
    config("width = { a = 1; };\n", "--lr 1", -1, "width");
    config("width 3", "--lr 1", -1, ":1");
    config("@include \"/etc/passwd\"\n", "--lr 1", -1, "@include");
}

static void values_that_do_not_go_together(void **state)
{
    static const struct {
        const char *line, *word;
    } cases[] = {
        {"--heads 5", "width 384"},           {"--shards 3", "power of two"},
        {"--batch 12", "multiple"},           {"--accumulate 3", "power of two"},
        {"--stop 2000", "stop 2000"},         {"--lr 1e-5", "lr-min"},
        {"--resume auto --checkpoint-dir=", "checkpoint-dir"},
    };
    struct err err;
    (void)state;
    assert_int_equal(settings_check(&set, &err), -22);
    assert_non_null(strstr(err.text, "--data"));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        teardown(NULL);
        setup(NULL);
        assert_int_equal(parse("--data x", &err), 0);
        assert_int_equal(settings_check(&set, &err), 0);
        assert_int_equal(parse(cases[i].line, &err), 0);
        assert_true(settings_check(&set, &err) < 0);
        if (!strstr(err.text, cases[i].word))
            fail_msg("%s: %s", cases[i].line, err.text);
    }
    assert_int_equal(settings_check_ranks(&set, 4, &err), 0);
    assert_true(settings_check_ranks(&set, 3, &err) < 0);
    assert_true(settings_check_ranks(&set, 16, &err) < 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(mistakes_are_named),
        TEST(values_arrive),
        TEST(a_file_gives_values_and_the_command_line_wins),
        TEST(values_that_do_not_go_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
