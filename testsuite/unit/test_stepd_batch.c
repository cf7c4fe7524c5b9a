/* SPDX-License-Identifier: Apache-2.0
 *
 * A batch step as its user and its daemon see it.
 */
#include "stepd_daemon.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct test_daemon d;

static int setup(void **state)
{
    (void)state;
    daemon_start(&d, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    daemon_stop(&d);
    return 0;
}

static bool step_dir_gone(uint32_t job_id)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/step.%u.0.%u", d.spool, job_id, STEP_BATCH);
    return access(path, F_OK) < 0;
}

/* Runs the script to its end; returns the JOB_DONE report. */
static const Sl__JobReport *run(struct test_launch *l)
{
    daemon_spawn(&d, &l->m);
    const Sl__JobReport *done =
        daemon_report(&d, SL__REPORT_KIND__REPORT_JOB_DONE, STEP_BATCH);
    daemon_all_gone(&d);
    assert_true(step_dir_gone(l->job.job_id));
    return done;
}

static void test_output_and_exit_code(void **state)
{
    struct test_launch l;
    (void)state;
    launch_batch(&l, &d, 12, "#!/bin/sh\necho $GREETING $SLURM_JOB_ID $1\necho err >&2\nexit 3\n");
    l.argv[0] = (char *)"arg";
    l.spec.argv = l.argv;
    l.spec.n_argv = 1;
    const Sl__JobReport *r = run(&l);
    assert_int_equal(r->exit_status, 3 << 8);
    char *out = test_file(&d, "slurm-12.out");
    assert_string_equal(out, "hello 12 arg\nerr\n");
    free(out);
    r = daemon_report(&d, SL__REPORT_KIND__REPORT_STEP_END, STEP_BATCH);
    assert_int_equal(r->state, JOB_FAILED);
    assert_non_null(r->step);
    assert_true(r->step->start > 0 && r->step->end >= r->step->start);
    assert_non_null(r->step->usage);
    assert_true(r->step->usage->rss_max_kib > 100);
}

static void test_runs_as_user_in_work_dir(void **state)
{
    struct test_launch l;
    char want[128];
    (void)state;
    launch_batch(&l, &d, 13, "#!/bin/sh\necho $(id -u):$(id -g) $PWD $(umask)\n");
    run(&l);
    snprintf(want, sizeof(want), "%u:%u %s 0022\n", l.job.uid, l.job.gid, d.dir);
    char *out = test_file(&d, "slurm-13.out");
    assert_string_equal(out, want);
    free(out);
}

static void test_unwritable_output_ends_as_slurm_users_know(void **state)
{
    struct test_launch l;
    (void)state;
    launch_batch(&l, &d, 14, "#!/bin/sh\ntouch ran\n");
    l.spec.std_out = (char *)"/nosuchdir/x";
    const Sl__JobReport *r = run(&l);
    assert_int_equal(r->exit_status, 53);
    assert_non_null(strstr(r->text, "/nosuchdir/x"));
    char *out = test_file(&d, "ran");
    assert_string_equal(out, "");
    free(out);
}

static void test_missing_work_dir_falls_back(void **state)
{
    struct test_launch l;
    char out_path[128];
    (void)state;
    launch_batch(&l, &d, 15, "#!/bin/sh\npwd\n");
    snprintf(out_path, sizeof(out_path), "%s/o", d.dir);
    l.spec.work_dir = (char *)"/nosuchdir";
    l.spec.std_out = out_path;
    run(&l);
    char *out = test_file(&d, "o");
    assert_string_equal(out, "slurmstepd: error: couldn't chdir to `/nosuchdir': "
                             "No such file or directory: going to /tmp instead\n/tmp\n");
    free(out);
}

static void test_bad_interpreter_reports_errno(void **state)
{
    struct test_launch l;
    (void)state;
    launch_batch(&l, &d, 16, "#!/nosuch/interp\n");
    const Sl__JobReport *r = run(&l);
    assert_int_equal(r->exit_status, 2 << 8);
    char *out = test_file(&d, "slurm-16.out");
    assert_non_null(strstr(out, "slurmstepd: error: execve(): "));
    assert_non_null(strstr(out, "No such file or directory"));
    free(out);
}

static bool file_has(struct test_daemon *td, void *arg)
{
    char *out = test_file(td, arg);
    bool there = out[0] != '\0';
    free(out);
    return there;
}

static void test_cancel_kills_everything(void **state)
{
    struct test_launch l;
    Sl__Terminate t = SL__TERMINATE__INIT;
    (void)state;
    /* the grandchild daemonizes and ignores SIGTERM */
    launch_batch(&l, &d, 17,
                 "#!/bin/sh\n(setsid sh -c 'trap \"\" TERM; echo $$ >pid; sleep 1000' &)\n"
                 "sleep 1000\n");
    daemon_spawn(&d, &l.m);
    daemon_until(&d, file_has, (void *)"pid", "the script's pid file");
    t.kill_wait_usec = USEC_PER_SEC;
    t.state = JOB_CANCELLED;
    daemon_send(&d, 0, WIRE_STEP_TERMINATE, &t.base);
    const Sl__JobReport *r =
        daemon_report(&d, SL__REPORT_KIND__REPORT_STEP_END, STEP_BATCH);
    assert_int_equal(r->state, JOB_CANCELLED);
    assert_int_equal(r->exit_status, SIGTERM);
    char *pid = test_file(&d, "pid");
    assert_int_equal(kill(atoi(pid), 0), -1);
    free(pid);
    char *out = test_file(&d, "slurm-17.out");
    assert_non_null(strstr(out, "slurmstepd: error: *** JOB 17 ON n1 CANCELLED AT 20"));
    free(out);
    daemon_all_gone(&d);
}

static void test_end_of_script_ends_what_it_left(void **state)
{
    struct test_launch l;
    (void)state;
    launch_batch(&l, &d, 18, "#!/bin/sh\nsetsid sh -c 'echo $$ >pid; exec sleep 1000' &\n"
                             "while [ ! -s pid ]; do :; done\n");
    run(&l);
    char *pid = test_file(&d, "pid");
    assert_int_equal(kill(atoi(pid), 0), -1);
    free(pid);
}

static void test_signals_reach_whom_scancel_says(void **state)
{
    struct test_launch l;
    Sl__Terminate t = SL__TERMINATE__INIT;
    (void)state;
    launch_batch(&l, &d, 19, "#!/bin/sh\ntrap 'echo usr1; exit 0' USR1\necho up >up\n"
                             "while :; do sleep 0.02; done\n");
    daemon_spawn(&d, &l.m);
    daemon_until(&d, file_has, (void *)"up", "the script to be up");
    t.signal = SIGTERM; /* for steps: the script would die of it */
    daemon_send(&d, 0, WIRE_STEP_TERMINATE, &t.base);
    t.signal = SIGUSR1;
    t.batch_only = true;
    daemon_send(&d, 0, WIRE_STEP_TERMINATE, &t.base);
    const Sl__JobReport *r =
        daemon_report(&d, SL__REPORT_KIND__REPORT_JOB_DONE, STEP_BATCH);
    assert_int_equal(r->exit_status, 0);
    char *out = test_file(&d, "slurm-19.out");
    assert_string_equal(out, "usr1\n");
    free(out);
    daemon_all_gone(&d);
}

static bool links_are(struct test_daemon *td, void *arg)
{
    return td->sup_count >= *(size_t *)arg;
}

static void test_result_survives_the_daemon(void **state)
{
    struct test_launch l;
    size_t one = 1, two = 2;
    (void)state;
    launch_batch(&l, &d, 20, "#!/bin/sh\necho up >up\nwhile [ ! -e go ]; do sleep 0.02; done\n");
    daemon_spawn(&d, &l.m);
    daemon_until(&d, file_has, (void *)"up", "the script to be up");
    daemon_until(&d, links_are, &one, "the supervisor's hello");
    daemon_unlisten(&d);
    char path[128];
    snprintf(path, sizeof(path), "%s/go", d.dir);
    fclose(fopen(path, "we"));
    d.sup[0].gone = true;
    daemon_until(&d, file_has, (void *)"spool/step.20.0.4294967291/result", "the result file");
    daemon_listen(&d);
    daemon_until(&d, links_are, &two, "the supervisor to dial again");
    const Sl__JobReport *r =
        daemon_report(&d, SL__REPORT_KIND__REPORT_JOB_DONE, STEP_BATCH);
    assert_int_equal(r->exit_status, 0);
    daemon_all_gone(&d);
}

static bool death_seen(struct test_daemon *td, void *arg)
{
    (void)arg;
    return td->deaths == 1;
}

static void test_killed_supervisor_leaves_nothing(void **state)
{
    struct test_launch l;
    (void)state;
    launch_batch(&l, &d, 21, "#!/bin/sh\nsetsid sh -c 'echo $$ >pid; exec sleep 1000' &\n"
                             "sleep 1000\n");
    daemon_spawn(&d, &l.m);
    daemon_until(&d, file_has, (void *)"pid", "the script's pid file");
    kill((pid_t)d.sup[0].pid, SIGKILL);
    daemon_until(&d, death_seen, NULL, "the zygote's report of the death");
    assert_non_null(strstr(d.spawn_text, "signal 9"));
    char *pid = test_file(&d, "pid");
    assert_int_equal(kill(atoi(pid), 0), -1);
    free(pid);
    daemon_all_gone(&d);
}

static void test_a_step_runs_once(void **state)
{
    struct test_launch l;
    char path[256];
    (void)state;
    snprintf(path, sizeof(path), "%s/step.22.0.%u", d.spool, STEP_BATCH);
    assert_int_equal(mkdir(path, 0711), 0);
    launch_batch(&l, &d, 22, "#!/bin/sh\ntouch ran\n");
    daemon_spawn(&d, &l.m);
    daemon_until(&d, death_seen, NULL, "the supervisor to refuse");
    snprintf(path, sizeof(path), "%s/ran", d.dir);
    assert_int_equal(access(path, F_OK), -1);
}

/* Others may run the script by its path at most; nothing of a step is theirs to read. */
static void test_spool_is_closed_to_others(void **state)
{
    struct test_launch l;
    char path[256];
    struct stat st;
    (void)state;
    launch_batch(&l, &d, 23, "#!/bin/sh\necho up >up\nwhile [ ! -e go ]; do sleep 0.02; done\n");
    daemon_spawn(&d, &l.m);
    daemon_until(&d, file_has, (void *)"up", "the script to be up");
    snprintf(path, sizeof(path), "%s/step.23.0.%u", d.spool, STEP_BATCH);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0711);
    snprintf(path, sizeof(path), "%s/step.23.0.%u/slurm_script", d.spool, STEP_BATCH);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_int_equal(st.st_uid, l.job.uid);
    snprintf(path, sizeof(path), "%s/go", d.dir);
    fclose(fopen(path, "we"));
    daemon_all_gone(&d);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_output_and_exit_code),
        T(test_runs_as_user_in_work_dir),
        T(test_unwritable_output_ends_as_slurm_users_know),
        T(test_missing_work_dir_falls_back),
        T(test_bad_interpreter_reports_errno),
        T(test_cancel_kills_everything),
        T(test_end_of_script_ends_what_it_left),
        T(test_signals_reach_whom_scancel_says),
        T(test_result_survives_the_daemon),
        T(test_killed_supervisor_leaves_nothing),
        T(test_a_step_runs_once),
        T(test_spool_is_closed_to_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
