/* SPDX-License-Identifier: Apache-2.0
 *
 * Interactive steps on one node, as srun and sattach see them.
 */
#include "config.h" /* WITH_SANITIZERS */
#include "stepd_client.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STRANGER 4711

static struct test_daemon d;
static struct test_client c;

static int setup(void **state)
{
    (void)state;
    daemon_start(&d, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    client_close(&c);
    daemon_stop(&d);
    return 0;
}

static uid_t owner(const struct test_launch *l)
{
    return l->job.uid;
}

static void test_output_events_and_worst_code(void **state)
{
    struct test_launch l;
    (void)state;
    launch_step(&l, &d, 30, 0, 1, 3,
                "echo out $SLURM_PROCID $SLURM_NTASKS; echo err >&2; exit $SLURM_PROCID");
    daemon_spawn(&d, &l.m);
    client_attach(&c, &d, 0, 1, owner(&l));
    assert_true(c.attached);
    client_until_done(&c, &d);
    for (uint32_t r = 0; r < 3; r++) {
        char want[32];
        snprintf(want, sizeof(want), "out %u 3\n", r);
        assert_string_equal(buf_str(&c.out[1][r]), want);
        assert_string_equal(buf_str(&c.out[2][r]), "err\n");
        assert_true(c.eof[1][r] && c.eof[2][r] && c.started[r] && c.ended[r]);
        assert_int_equal(c.status[r], r << 8);
    }
    assert_int_equal(c.exit_status, 2 << 8);
    daemon_all_gone(&d);
    const Sl__JobReport *r = daemon_report(&d, SL__REPORT_KIND__REPORT_STEP_END, 0);
    assert_int_equal(r->exit_status, 2 << 8);
    assert_int_equal(r->step->ntasks, 3);
}

static bool started(struct test_daemon *td, void *arg)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/ran", td->dir);
    (void)arg;
    return access(path, F_OK) == 0;
}

static void test_nothing_runs_before_the_owner_is_there(void **state)
{
    struct test_launch l;
    (void)state;
    launch_step(&l, &d, 31, 0, 1, 1, "touch ran; cat");
    daemon_spawn(&d, &l.m);
    client_attach(&c, &d, 0, 1, STRANGER); /* a round trip in which it could have run */
    assert_true(c.down && !c.attached);
    assert_false(started(&d, NULL));
    client_attach(&c, &d, 0, 1, owner(&l));
    daemon_until(&d, started, NULL, "the task to run");
}

static void test_stdin_goes_to_all_or_one(void **state)
{
    struct test_launch l;
    (void)state;
    launch_step(&l, &d, 32, 0, 1, 2, "cat");
    daemon_spawn(&d, &l.m);
    client_attach(&c, &d, 0, 1, owner(&l));
    client_input(&c, UINT32_MAX, "both\n", false);
    client_input(&c, 1, "one\n", false);
    client_input(&c, UINT32_MAX, "end\n", true);
    client_until_done(&c, &d);
    assert_string_equal(buf_str(&c.out[1][0]), "both\nend\n");
    assert_string_equal(buf_str(&c.out[1][1]), "both\none\nend\n");
    assert_int_equal(c.grants, 3);
    assert_int_equal(c.exit_status, 0);
}

static bool second_ended(struct test_daemon *td, void *arg)
{
    (void)td;
    return ((struct test_client *)arg)->ended[1];
}

static void test_signals_reach_all_or_one_rank(void **state)
{
    struct test_launch l;
    uint32_t one = 1;
    (void)state;
    launch_step(&l, &d, 33, 0, 1, 2,
                "trap 'echo got; exit 0' USR1; echo up; while :; do sleep 0.02; done");
    daemon_spawn(&d, &l.m);
    client_attach(&c, &d, 0, 1, owner(&l));
    client_until_out(&c, &d, 0, "up");
    client_until_out(&c, &d, 1, "up");
    client_signal(&c, SIGUSR1, &one, 1);
    client_until_out(&c, &d, 1, "got");
    daemon_until(&d, second_ended, &c, "the end of rank 1");
    assert_null(strstr(buf_str(&c.out[1][0]), "got"));
    client_signal(&c, SIGKILL, NULL, 0);
    client_until_done(&c, &d);
    assert_int_equal(c.status[0], SIGKILL);
    assert_int_equal(c.status[1], 0);
}

static void test_lost_owner_ends_the_step(void **state)
{
    struct test_launch l;
    (void)state;
    launch_step(&l, &d, 34, 0, 1, 1, "echo up; exec sleep 1000");
    daemon_spawn(&d, &l.m);
    client_attach(&c, &d, 0, 1, owner(&l));
    client_until_out(&c, &d, 0, "up");
    client_close(&c);
    const Sl__JobReport *r = daemon_report(&d, SL__REPORT_KIND__REPORT_STEP_END, 0);
    assert_int_equal(r->state, JOB_CANCELLED);
    daemon_all_gone(&d);
}

static void test_missing_program(void **state)
{
    struct test_launch l;
    (void)state;
    launch_step(&l, &d, 35, 0, 1, 1, "");
    l.argv[0] = (char *)"./nosuch";
    l.spec.n_argv = 1;
    daemon_spawn(&d, &l.m);
    client_attach(&c, &d, 0, 1, owner(&l));
    client_until_done(&c, &d);
    assert_string_equal(buf_str(&c.out[2][0]), "slurmstepd: error: execve(): ./nosuch: "
                                               "No such file or directory\n");
    assert_int_equal(c.status[0], 2 << 8);
}

static void test_bad_output_file_is_told_to_srun(void **state)
{
    struct test_launch l;
    (void)state;
    launch_step(&l, &d, 36, 0, 1, 1, "true");
    l.spec.std_out = (char *)"/nosuchdir/%t";
    daemon_spawn(&d, &l.m);
    client_attach(&c, &d, 0, 1, owner(&l));
    client_until_done(&c, &d);
    assert_non_null(strstr(c.why, "Could not open stdout file /nosuchdir/0"));
    assert_int_equal(c.exit_status, 53);
}

static void test_terminal(void **state)
{
    struct test_launch l;
    Sl__WinSize w = SL__WIN_SIZE__INIT;
    (void)state;
    launch_step(&l, &d, 37, 0, 1, 1,
                "tty >/dev/null && stty size; read x; stty size; echo got $x");
    l.spec.pty = true;
    l.spec.pty_rows = 24;
    l.spec.pty_cols = 80;
    daemon_spawn(&d, &l.m);
    client_attach(&c, &d, 0, 1, owner(&l));
    client_until_out(&c, &d, 0, "24 80");
    w.rows = 50;
    w.cols = 132;
    wire_link_send(c.link, WIRE_WIN_SIZE, 0, &w.base, NULL);
    client_input(&c, UINT32_MAX, "word\n", false);
    client_until_done(&c, &d);
    assert_non_null(strstr(buf_str(&c.out[1][0]), "50 132"));
    assert_non_null(strstr(buf_str(&c.out[1][0]), "got word"));
    assert_int_equal(c.exit_status, 0);
}

static void test_bad_exit_ends_the_others_when_asked(void **state)
{
    struct test_launch l;
    (void)state;
    launch_step(&l, &d, 38, 0, 1, 2, "[ $SLURM_PROCID = 1 ] && exit 7; exec sleep 1000");
    l.spec.kill_on_bad_exit = 1;
    daemon_spawn(&d, &l.m);
    client_attach(&c, &d, 0, 1, owner(&l));
    client_until_done(&c, &d);
    assert_int_equal(c.status[1], 7 << 8);
    assert_int_equal(c.status[0], SIGTERM);
}

static void test_wait_time_ends_the_others(void **state)
{
    struct test_launch l;
    (void)state;
    launch_step(&l, &d, 39, 0, 1, 2, "[ $SLURM_PROCID = 1 ] && exit 0; exec sleep 1000");
    l.spec.wait_usec = 50 * 1000;
    daemon_spawn(&d, &l.m);
    client_attach(&c, &d, 0, 1, owner(&l));
    client_until_done(&c, &d);
    assert_int_equal(c.status[1], 0);
    assert_int_equal(c.status[0], SIGTERM);
}

static bool much_queued(struct test_daemon *td, void *arg)
{
    (void)td;
    return ((struct test_client *)arg)->bytes > 100000;
}

/* 64 MiB through a reader that stops for a while: nothing is lost, the supervisor stays
 * within its bounds. */
static void test_slow_reader_gets_everything(void **state)
{
    struct test_launch l;
    char path[64], line[256];
    long peak = 0;
    (void)state;
    launch_step(&l, &d, 40, 0, 1, 1, "head -c 67108864 /dev/zero");
    daemon_spawn(&d, &l.m);
    client_attach(&c, &d, 0, 1, owner(&l));
    daemon_until(&d, much_queued, &c, "first output");
    wire_link_pause_reading(c.link, true);
    struct timeval tv = {0, 300 * 1000};
    event_base_loopexit(d.base, &tv);
    event_base_dispatch(d.base);
    snprintf(path, sizeof(path), "/proc/%u/status", d.sup[0].pid);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof(line), f))
        sscanf(line, "VmHWM: %ld", &peak);
    assert_non_null(f);
    fclose(f);
    wire_link_pause_reading(c.link, false);
    client_until_done(&c, &d);
    assert_int_equal(c.bytes, 67108864);
    assert_true(peak > 0);
#ifndef WITH_SANITIZERS
    assert_true(peak < 48 * 1024);
#endif
}

static void test_watcher_sees_output_and_strangers_nothing(void **state)
{
    struct test_launch l;
    struct test_client w = {0}, stranger = {0};
    (void)state;
    launch_step(&l, &d, 41, 0, 1, 1, "echo first; read x; echo second");
    daemon_spawn(&d, &l.m);
    client_attach(&c, &d, 0, 1, owner(&l));
    client_until_out(&c, &d, 0, "first");
    client_attach(&stranger, &d, 0, 2, STRANGER);
    assert_true(stranger.down && !stranger.attached);
    client_attach(&w, &d, 0, 2, owner(&l));
    assert_true(w.attached);
    client_input(&c, UINT32_MAX, "x\n", false);
    client_until_done(&c, &d);
    client_until_done(&w, &d);
    assert_string_equal(buf_str(&w.out[1][0]), "second\n");
    client_close(&w);
    client_close(&stranger);
}

static void test_a_second_owner_is_refused(void **state)
{
    struct test_launch l;
    struct test_client second = {0};
    (void)state;
    launch_step(&l, &d, 42, 0, 1, 1, "cat");
    daemon_spawn(&d, &l.m);
    client_attach(&c, &d, 0, 1, owner(&l));
    client_attach(&second, &d, 0, 1, owner(&l));
    assert_true(second.refused);
    client_close(&second);
    client_input(&c, UINT32_MAX, "", true);
    client_until_done(&c, &d);
}

static void test_step_time_limit(void **state)
{
    struct test_launch l;
    (void)state;
    launch_step(&l, &d, 43, 0, 1, 1, "exec sleep 1000");
    l.spec.time_limit_usec = 100 * 1000;
    daemon_spawn(&d, &l.m);
    client_attach(&c, &d, 0, 1, owner(&l));
    client_until_done(&c, &d);
    assert_int_equal(c.state, JOB_TIMEOUT);
    assert_non_null(strstr(buf_str(&c.text), "DUE TO TIME LIMIT"));
}

static void test_output_files_by_pattern(void **state)
{
    struct test_launch l;
    (void)state;
    launch_step(&l, &d, 44, 3, 1, 2, "echo out $SLURM_PROCID; echo err $SLURM_PROCID >&2");
    l.spec.std_out = l.spec.std_err = (char *)"o.%j.%s.%t";
    daemon_spawn(&d, &l.m);
    client_attach(&c, &d, 0, 1, owner(&l));
    client_until_done(&c, &d);
    char *out = test_file(&d, "o.44.3.1");
    assert_string_equal(out, "out 1\nerr 1\n");
    free(out);
    assert_int_equal(c.bytes, 0);
}

static void test_suspend_and_resume(void **state)
{
    struct test_launch l;
    Sl__Terminate t = SL__TERMINATE__INIT;
    (void)state;
    launch_step(&l, &d, 45, 0, 1, 1, "echo up; read x; echo down");
    daemon_spawn(&d, &l.m);
    client_attach(&c, &d, 0, 1, owner(&l));
    client_until_out(&c, &d, 0, "up");
    t.suspend = true;
    daemon_send(&d, 0, WIRE_STEP_TERMINATE, &t.base);
    t.suspend = false;
    t.resume = true;
    client_input(&c, UINT32_MAX, "x\n", false);
    daemon_send(&d, 0, WIRE_STEP_TERMINATE, &t.base);
    client_until_done(&c, &d);
    const Sl__JobReport *r = daemon_report(&d, SL__REPORT_KIND__REPORT_STEP_END, 0);
    assert_true(r->step->suspended_usec > 0);
    assert_int_equal(c.exit_status, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_output_events_and_worst_code),
        T(test_nothing_runs_before_the_owner_is_there),
        T(test_stdin_goes_to_all_or_one),
        T(test_signals_reach_all_or_one_rank),
        T(test_lost_owner_ends_the_step),
        T(test_missing_program),
        T(test_bad_output_file_is_told_to_srun),
        T(test_terminal),
        T(test_bad_exit_ends_the_others_when_asked),
        T(test_wait_time_ends_the_others),
        T(test_slow_reader_gets_everything),
        T(test_watcher_sees_output_and_strangers_nothing),
        T(test_a_second_owner_is_refused),
        T(test_step_time_limit),
        T(test_output_files_by_pattern),
        T(test_suspend_and_resume),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
