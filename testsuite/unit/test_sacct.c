/* SPDX-License-Identifier: Apache-2.0
 *
 * The sacct program against accounting queries over a real socket: a child
 * process answers QUERY frames as the controller does, from a store that the
 * test has filled; the test compares what sacct prints.
 */
#include "unit/store_dir.h"
#include "unit/store_sample.h"

#include "acct.h"
#include "base/buf.h"
#include "job/state.h"
#include "wire/wire.h"

#include <jansson.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <cmocka.h>

#define T(seconds) ((seconds)*USEC_PER_SEC)

static struct err err;
static struct store_dir dir;
static pid_t server;

/* ---- the server: a child process ------------------------------------------- */

struct answer {
    struct wire_link *link;
    uint32_t tag;
};
static struct acct *queries;

static void send_rows(struct acct_query *q, const Sl__QueryRows *rows, void *arg)
{
    struct answer *a = arg;
    (void)q;
    if (wire_link_send(a->link, WIRE_QUERY_ROWS, a->tag, &rows->base, &err))
        _exit(2);
}

static void send_done(struct acct_query *q, int code, const char *text, void *arg)
{
    struct answer *a = arg;
    (void)q;
    if (code) {
        Sl__ErrorReply reply = SL__ERROR_REPLY__INIT;
        reply.code = code;
        reply.text = (char *)text;
        wire_link_send(a->link, WIRE_ERROR, a->tag, &reply.base, NULL);
    }
    free(a);
}

static void on_message(struct wire_link *l, struct wire_msg *m, void *arg)
{
    static const struct acct_ops ops = {send_rows, send_done};
    (void)arg;
    struct answer *a = xcalloc(1, sizeof(*a));
    *a = (struct answer){l, m->tag};
    if (m->type != WIRE_QUERY)
        _exit(3);
    const Sl__QueryRequest *request = (const Sl__QueryRequest *)m->body;
    if (!acct_query_start(queries, request, wire_link_peer(l)->uid, &ops, a, &err))
        send_done(NULL, err.code, err.text, a);
}

static void on_nothing(struct wire_link *l, void *arg)
{
    (void)l;
    (void)arg;
}

static void on_down(struct wire_link *l, const char *why, void *arg)
{
    (void)l;
    (void)why;
    (void)arg;
}

static void on_accepted(struct wire_link *l, void *arg)
{
    static const struct wire_link_ops ops = {
        .up = on_nothing, .message = on_message, .down = on_down};
    (void)arg;
    wire_link_set_ops(l, &ops, NULL);
}

static void server_run(const char *socket, int ready)
{
    static const struct wire_listener_ops ops = {.accepted = on_accepted};
    struct event_base *base = event_base_new();
    queries = acct_create(base, dir.url, "testcluster", &err);
    if (!queries || !wire_listen(base, socket, 0600, NULL, &ops, NULL, &err))
        _exit(1);
    if (write(ready, "", 1) != 1)
        _exit(1);
    event_base_dispatch(base);
    _exit(0);
}

/* ---- the history ----------------------------------------------------------- */

static void put_steps(struct store_txn *t, const struct store_job *job)
{
    struct store_step step = sample_step(job, STEP_BATCH);
    step.rss_max_kib = 2048;
    store_txn_put_step(t, &step);
    step = sample_step(job, 0);
    step.name = "hostname";
    step.ntasks = 4;
    step.user_cpu_usec = 1500000, step.system_cpu_usec = 500000;
    store_txn_put_step(t, &step);
}

static void history_put(struct store *s, usec_t now)
{
    struct store_txn *t = store_txn_create();
    struct store_job job = sample_job(12);
    job.uid = getuid();
    job.submit = job.eligible = T(1000000);
    sample_start(&job);
    job.start = T(1000060);
    sample_end(&job);
    job.live = false;
    job.state = JOB_COMPLETED;
    put_steps(t, &job);
    store_txn_put_job(t, &job);

    job = sample_job(13);
    job.submit = job.eligible = now - T(7200);
    job.end = now;
    job.live = false;
    job.state = JOB_CANCELLED;
    job.cancelled_by = 1000 + 1;
    job.uid = getuid();
    store_txn_put_job(t, &job);

    job = sample_job(14);
    job.submit = job.eligible = now - T(100);
    sample_start(&job);
    job.state = JOB_RUNNING;
    job.name = "a name that is long";
    job.uid = getuid() + 1;
    job.array_job_id = 14, job.array_task_id = 3;
    store_txn_put_job(t, &job);
    assert_int_equal(store_commit(s, t, &err), 0);
    store_txn_destroy(t);
}

static int setup(void **state)
{
    char path[128], socket[128], byte;
    int fds[2];
    (void)state;
    store_dir_init(&dir);
    struct store *s = store_open(dir.url, false, &err);
    assert_non_null(s);
    history_put(s, clock_wall_usec());
    store_close(s);
    snprintf(socket, sizeof(socket), "%s/ctld.sock", dir.dir);
    snprintf(path, sizeof(path), "%s/slurmlike.conf", dir.dir);
    FILE *f = fopen(path, "w");
    fprintf(f, "controller = { socket = \"%s\"; };\n", socket);
    fclose(f);
    setenv("SLURMLIKE_CONF", path, 1);
    setenv("TZ", "UTC", 1);
    unsetenv("SACCT_FORMAT");
    assert_int_equal(pipe(fds), 0);
    server = fork();
    if (server == 0) {
        char target[160];
        snprintf(target, sizeof(target), "unix:%s", socket);
        server_run(target, fds[1]);
    }
    close(fds[1]);
    assert_int_equal(read(fds[0], &byte, 1), 1); /* it listens */
    close(fds[0]);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
    store_dir_fini(&dir);
    return 0;
}

/* ---- the program ----------------------------------------------------------- */

/* stdout and stderr of `sacct ARGS`; the exit code in *code. */
static const char *sacct(const char *args, int *code)
{
    static struct buf out;
    char line[512], chunk[4096];
    snprintf(line, sizeof(line), "%s %s 2>&1", SACCT, args);
    buf_clear(&out);
    FILE *p = popen(line, "r");
    assert_non_null(p);
    for (size_t n; (n = fread(chunk, 1, sizeof(chunk), p)) > 0;)
        buf_put(&out, chunk, n);
    int status = pclose(p);
    *code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return buf_str(&out);
}

static void prints(const char *args, const char *want)
{
    int code;
    const char *got = sacct(args, &code);
    if (strcmp(got, want) != 0 || code != 0)
        fail_msg("sacct %s: exit %d\n%s-- wanted\n%s", args, code, got, want);
}

static void fails(const char *args, const char *names)
{
    int code;
    const char *got = sacct(args, &code);
    if (code != 1 || strncmp(got, "sacct: error: ", 14) != 0 || !strstr(got, names))
        fail_msg("sacct %s: exit %d\n%s-- wanted an error with %s", args, code, got,
                 names);
}

static void the_default_is_slurms_table(void **state)
{
    (void)state;
    prints("-j 12", "JobID           JobName  Partition    Account  AllocCPUS      "
                    "State ExitCode \n"
                    "------------ ---------- ---------- ---------- ---------- "
                    "---------- -------- \n"
                    "12           train.sba+       main    physics          4  "
                    "COMPLETED      0:0 \n"
                    "12.batch          batch               physics          4  "
                    "COMPLETED      0:0 \n"
                    "12.0           hostname               physics          4  "
                    "COMPLETED      0:0 \n");
    prints("-bnX -j 12,13", "12            COMPLETED      0:0 \n"
                            "13           CANCELLED+      0:0 \n");
}

static void the_default_window_is_today(void **state)
{
    (void)state;
    prints("-aPnX -o jobid", "13\n14_3\n");
    prints("-PnX -o jobid -u 4294967290", "");
    prints("-aPnX -o jobid -S now-1hour", "13\n14_3\n");
    prints("-aPnX -o jobid -S 1970-01-01", "12\n13\n14_3\n");
    prints("-aPnX -o jobid -S 1970-01-01 -E 1970-02-01", "12\n");
    prints("-aPnX -o jobid -s R", "14_3\n");
    prints("-aPnX -o jobid -s S", "");
    prints("-aPnX -o jobid -s CD -S 1970-01-01 -E now", "12\n");
}

static void fields_widths_and_units(void **state)
{
    (void)state;
    prints("-j 12 -n -o jobid%6,state%-12,elapsed,start,end,timelimit",
           "    12 COMPLETED      00:01:00 1970-01-12T13:47:40 1970-01-12T13:48:40   "
           "01:00:00 \n"
           "12.ba+ COMPLETED      00:01:00 1970-01-12T13:47:40 1970-01-12T13:48:40     "
           "       \n"
           "  12.0 COMPLETED      00:01:00 1970-01-12T13:47:40 1970-01-12T13:48:40     "
           "       \n");
    prints(
        "-j 12 -Pn -o JobIDRaw,MaxRSS,ReqMem,TotalCPU,AveCPU,NTasks,CPUTime,AllocTRES",
        "12||4G|00:02.012|||00:04:00|cpu=4,mem=4G,node=1,billing=4\n"
        "12.batch|2M||00:00.012|00:00:00|1|00:04:00|cpu=4,mem=4G,node=1\n"
        "12.0|4567K||00:00:02|00:00:00|4|00:04:00|cpu=4,mem=4G,node=1\n");
    prints("-j 12.0 -Pn --units=M -o maxrss", "4.46M\n");
    prints("-j 12.batch -Pn --noconvert -o maxrss", "2048K\n");
    prints("-j 12.batch -p -o jobid,state --delimiter=', '",
           "JobID, State, \n12.batch, COMPLETED, \n");
    prints(
        "-j 13 -Pn -o state,start,end%1,cluster,planned -T -S 1970-01-01 -E 1970-01-02",
        "");
    prints("-j 13 -Pn -o state,start,cluster", "CANCELLED by 1000|None|testcluster\n");
    prints("-j 14_3 -Pn -o end,jobidraw,jobname", "Unknown|14|a name that is long\n");
    prints("-j 12 -XTPn -S 1970-01-12T13:48:00 -o start,end,elapsed",
           "1970-01-12T13:48:00|1970-01-12T13:48:40|00:00:40\n");
}

static void json_holds_steps_in_jobs(void **state)
{
    (void)state;
    int code;
    json_error_t why;
    json_t *root = json_loads(sacct("--json -j 12,14", &code), 0, &why);
    assert_int_equal(code, 0);
    if (!root)
        fail_msg("not JSON: %s", why.text);
    json_t *jobs = json_object_get(root, "jobs");
    assert_int_equal(json_array_size(jobs), 2);
    json_t *job = json_array_get(jobs, 0), *steps = json_object_get(job, "steps");
    assert_int_equal(json_array_size(steps), 2);
    json_t *state_now = json_object_get(json_object_get(job, "state"), "current");
    assert_string_equal(json_string_value(state_now), "COMPLETED");
    json_t *start = json_object_get(json_object_get(job, "time"), "start");
    assert_int_equal(json_integer_value(start), 1000060);
    assert_string_equal(
        json_string_value(json_object_get(json_array_get(steps, 1), "name")),
        "hostname");
    assert_int_equal(json_array_size(json_object_get(json_array_get(jobs, 1), "steps")),
                     0);
    json_decref(root);
}

static void mistakes_are_one_clear_line(void **state)
{
    (void)state;
    fails("-o colour", "\"colour\"");
    fails("-o jobid%x", "jobid%x");
    fails("-j 12x", "12x");
    fails("-s asleep", "asleep");
    fails("-S never", "never");
    fails("-S 2020-01-02 -E 2020-01-01", "after the end");
    fails("--units=X", "units");
    fails("--colour", "--colour");
    fails("-B -j 12", "not built");
    fails("12", "12");
    fails("-N 'n[1-'", "n[1-");
    fails("-g 'no such group'", "no such group");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_default_is_slurms_table),
        cmocka_unit_test(the_default_window_is_today),
        cmocka_unit_test(fields_widths_and_units),
        cmocka_unit_test(json_holds_steps_in_jobs),
        cmocka_unit_test(mistakes_are_one_clear_line),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
