/* SPDX-License-Identifier: Apache-2.0
 *
 * What commands share, against a controller that is told how to behave.
 */
#include "config.h"
#include "client/client.h"

#include "wire/cells.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* What the fake controller does with a CONTROL request, by its argument. */
#define ECHO "echo"                /* a reply with its own pid and request count */
#define ERROR_REPLY "error"        /* an ERROR frame */
#define WRONG_TYPE "wrong"         /* another type than asked for */
#define EVENT_FIRST "event"        /* a JobEvent on another tag, then the reply */
#define HANG_UP "hang up"          /* close without an answer */
#define HANG_UP_AFTER "hang after" /* answer, then close */
#define SILENT "silent"

struct world {
    char dir[64], conf[96], path[96];
    pid_t pid;
    struct client client;
};

static unsigned requests;

static void reply(struct wire_link *l, uint32_t tag)
{
    Sl__ControlReply r = SL__CONTROL_REPLY__INIT;
    r.pid = (uint32_t)getpid();
    r.epoch = requests;
    wire_link_send(l, WIRE_CONTROL_REPLY, tag, &r.base, NULL);
}

static void on_control(struct wire_link *l, uint32_t tag, const char *how)
{
    requests++;
    if (strcmp(how, ERROR_REPLY) == 0) {
        Sl__ErrorReply e = SL__ERROR_REPLY__INIT;
        e.code = SL_EINVAL_JOB_ID;
        e.text = (char *)"job 12: no such job";
        wire_link_send(l, WIRE_ERROR, tag, &e.base, NULL);
    } else if (strcmp(how, WRONG_TYPE) == 0) {
        Sl__SubmitReply s = SL__SUBMIT_REPLY__INIT;
        wire_link_send(l, WIRE_SUBMIT_REPLY, tag, &s.base, NULL);
    } else if (strcmp(how, EVENT_FIRST) == 0) {
        Sl__JobEvent e = SL__JOB_EVENT__INIT;
        for (e.job_id = 1; e.job_id <= 3; e.job_id++)
            wire_link_send(l, WIRE_JOB_EVENT, 999, &e.base, NULL);
        reply(l, tag);
    } else if (strcmp(how, HANG_UP) == 0) {
        wire_link_close(l);
    } else if (strcmp(how, HANG_UP_AFTER) == 0) {
        reply(l, tag);
        wire_link_finish(l);
    } else if (strcmp(how, SILENT) != 0) {
        reply(l, tag);
    }
}

/* rows: what; "N" rows in chunks of 10, or a broken answer. */
static void on_query(struct wire_link *l, uint32_t tag, const Sl__QueryRequest *q)
{
    unsigned n = (unsigned)atoi(q->what),
             columns = q->n_fields ? (unsigned)q->n_fields : 2;
    for (unsigned i = 0; i == 0 || i < n; i += 10) {
        Sl__QueryRows rows = SL__QUERY_ROWS__INIT;
        struct buf b;
        buf_init(&b);
        rows.rows = n - i < 10 ? n - i : 10;
        for (unsigned k = 0; k < rows.rows * columns; k++) {
            char text[32];
            int len =
                snprintf(text, sizeof(text), "r%u c%u", i + k / columns, k % columns);
            cells_put(&b, text, (size_t)len);
        }
        rows.cells.data = (uint8_t *)b.data;
        rows.cells.len = b.len;
        rows.last = i + 10 >= n;
        if (strchr(q->what, '-') && rows.cells.len > 0)
            rows.cells.len--; /* "5-": the last cell is cut */
        if (strchr(q->what, '+'))
            rows.rows++; /* "5+": a row too many is promised */
        wire_link_send(l, WIRE_QUERY_ROWS, tag, &rows.base, NULL);
        buf_fini(&b);
    }
}

static void on_message(struct wire_link *l, struct wire_msg *m, void *arg)
{
    (void)arg;
    if (m->type == WIRE_CONTROL)
        on_control(l, m->tag, ((Sl__ControlRequest *)m->body)->argument);
    else if (m->type == WIRE_QUERY)
        on_query(l, m->tag, (Sl__QueryRequest *)m->body);
}

static const struct wire_link_ops ops = {.message = on_message};

static void on_accept(struct wire_link *l, void *arg)
{
    (void)arg;
    wire_link_set_ops(l, &ops, NULL);
}

/* Starts it and waits until it listens. */
static void controller_start(struct world *w)
{
    int ready[2];
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    w->pid = fork();
    if (w->pid == 0) {
        char target[112];
        struct wire_listener_ops lops = {.accepted = on_accept};
        struct event_base *base = event_base_new();
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        snprintf(target, sizeof(target), "unix:%s", w->path);
        if (!wire_listen(base, target, 0600, NULL, &lops, NULL, NULL))
            _exit(1);
        (void)!write(ready[1], "!", 1);
        event_base_dispatch(base);
        _exit(0);
    }
    close(ready[1]);
    char byte;
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
}

static void controller_kill(struct world *w)
{
    kill(w->pid, SIGKILL);
    waitpid(w->pid, NULL, 0);
    w->pid = 0;
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    struct err err = {0};
    strcpy(w->dir, "/tmp/test-client-XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    snprintf(w->conf, sizeof(w->conf), "%s/conf", w->dir);
    snprintf(w->path, sizeof(w->path), "%s/sock", w->dir);
    FILE *f = fopen(w->conf, "w");
    fprintf(f, "controller = { host = \"127.0.0.1\"; port = 0; socket = \"%s\"; };\n",
            w->path);
    fclose(f);
    setenv("SLURMLIKE_CONF", w->conf, 1);
    if (client_init(&w->client, "test", &err) < 0)
        fail_msg("%s", err.text);
    *state = w;
    return 0;
}

static int setup_running(void **state)
{
    setup(state);
    controller_start(*state);
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    client_fini(&w->client);
    if (w->pid > 0)
        controller_kill(w);
    unlink(w->path);
    unlink(w->conf);
    rmdir(w->dir);
    free(w);
    return 0;
}

static int call(struct world *w, const char *how, usec_t timeout, uint64_t *count,
                struct err *err)
{
    Sl__ControlRequest q = SL__CONTROL_REQUEST__INIT;
    struct wire_msg m;
    q.argument = (char *)(uintptr_t)how;
    int rc = client_call(&w->client, WIRE_CONTROL, &q.base, WIRE_CONTROL_REPLY, timeout,
                         &m, err);
    if (rc == 0) {
        assert_int_equal(((Sl__ControlReply *)m.body)->pid, w->pid);
        if (count)
            *count = ((Sl__ControlReply *)m.body)->epoch;
        wire_msg_clear(&m);
    }
    return rc;
}

static void a_missing_controller_is_told_at_once(void **state)
{
    struct world *w = *state;
    struct err err = {0};
    usec_t start = clock_mono_usec();
    assert_int_equal(client_connect(&w->client, 0, &err), SL_ECTLD_DOWN);
    assert_int_equal(strncmp(err.text,
                             "Unable to contact slurmlike controller (connect failure)",
                             56),
                     0);
    assert_non_null(strstr(err.text, w->path));
    assert_true(clock_mono_usec() - start < 2 * USEC_PER_SEC);
    /* a socket file that a dead one left is no controller */
    controller_start(w);
    controller_kill(w);
    assert_int_equal(access(w->path, F_OK), 0);
    assert_int_equal(call(w, ECHO, 0, NULL, &err), SL_ECTLD_DOWN);
}

static void told_to_wait_it_waits(void **state)
{
    struct world *w = *state;
    struct err err = {0};
    usec_t start = clock_mono_usec();
    assert_int_equal(client_connect(&w->client, USEC_PER_SEC / 5, &err), SL_ECTLD_DOWN);
    assert_true(clock_mono_usec() - start >= USEC_PER_SEC / 5);
    pid_t pid = fork();
    if (pid == 0) {
        w->pid = getpid();
        struct client *c = &w->client;
        _exit(client_connect(c, 20 * USEC_PER_SEC, NULL) == 0 ? 0 : 1);
    }
    controller_start(w);
    int status;
    waitpid(pid, &status, 0);
    assert_int_equal(status, 0);
}

static void a_call_has_a_reply_or_an_error(void **state)
{
    struct world *w = *state;
    struct err err = {0};
    assert_int_equal(call(w, ECHO, 0, NULL, &err), 0);
    assert_int_equal(call(w, ERROR_REPLY, 0, NULL, &err), SL_EINVAL_JOB_ID);
    assert_string_equal(err.text, "job 12: no such job");
    assert_int_equal(call(w, ECHO, 0, NULL, &err), 0);
    assert_int_equal(w->client.connects, 1);
    assert_int_equal(call(w, WRONG_TYPE, 0, NULL, &err), SL_EPROTO);
    assert_non_null(strstr(err.text, "SUBMIT_REPLY instead of CONTROL_REPLY"));
    assert_int_equal(call(w, ECHO, 0, NULL, &err), 0);
    assert_int_equal(w->client.connects, 2);
}

static void a_silent_controller_is_given_up(void **state)
{
    struct world *w = *state;
    struct err err = {0};
    assert_int_equal(call(w, SILENT, USEC_PER_SEC / 10, NULL, &err), -ETIMEDOUT);
    assert_null(w->client.conn);
    assert_int_equal(call(w, ECHO, 0, NULL, &err), 0);
}

static void events_during_a_call_are_kept(void **state)
{
    struct world *w = *state;
    struct err err = {0};
    struct wire_msg m;
    assert_int_equal(call(w, EVENT_FIRST, 0, NULL, &err), 0);
    for (uint32_t i = 1; i <= 3; i++) {
        assert_true(client_event_pending(&w->client));
        assert_int_equal(client_event(&w->client, 0, &m, &err), 1);
        assert_int_equal(m.tag, 999);
        assert_int_equal(((Sl__JobEvent *)m.body)->job_id, i);
        wire_msg_clear(&m);
    }
    assert_false(client_event_pending(&w->client));
    assert_int_equal(client_event(&w->client, 0, &m, &err), 0);
}

/* A submission must not be made twice. */
static void a_request_is_repeated_only_when_nobody_saw_it(void **state)
{
    struct world *w = *state;
    struct err err = {0};
    uint64_t count = 0;
    assert_int_equal(call(w, ECHO, 0, &count, &err), 0);
    assert_int_equal(count, 1);
    assert_int_equal(call(w, HANG_UP, 0, NULL, &err), -ECONNRESET);
    assert_non_null(strstr(err.text, "may have been carried out"));
    assert_int_equal(call(w, ECHO, 0, &count, &err), 0);
    assert_int_equal(count, 3);
    /* idle, the connection dies: the next call makes another */
    assert_int_equal(call(w, HANG_UP_AFTER, 0, NULL, &err), 0);
    struct pollfd p = {.fd = wire_conn_fd(w->client.conn), .events = POLLIN};
    assert_int_equal(poll(&p, 1, 20000), 1);
    assert_int_equal(call(w, ECHO, 0, &count, &err), 0);
    assert_int_equal(count, 5);
    controller_kill(w);
    controller_start(w);
    assert_int_equal(call(w, ECHO, 0, &count, &err), 0);
    assert_int_equal(count, 1);
    controller_kill(w);
    assert_int_equal(call(w, ECHO, 0, &count, &err), SL_ECTLD_DOWN);
}

struct seen {
    unsigned rows;
    size_t columns;
    int stop_at, stop_with;
};

static int on_row(char *const *cells, size_t n, void *arg)
{
    struct seen *s = arg;
    for (size_t i = 0; i < n; i++) {
        char want[32];
        snprintf(want, sizeof(want), "r%u c%zu", s->rows, i);
        assert_string_equal(cells[i], want);
    }
    s->columns = n;
    s->rows++;
    return (int)s->rows == s->stop_at ? s->stop_with : 0;
}

static int query(struct world *w, const char *what, size_t fields, struct seen *s,
                 struct err *err)
{
    Sl__QueryRequest q = SL__QUERY_REQUEST__INIT;
    uint32_t ids[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    q.what = (char *)(uintptr_t)what;
    q.n_fields = fields;
    q.fields = ids;
    return client_query(&w->client, &q, on_row, s, err);
}

static void rows_come_as_texts(void **state)
{
    struct world *w = *state;
    struct err err = {0};
    const int counts[] = {0, 1, 10, 11, 1000};
    for (size_t i = 0; i < 5; i++) {
        struct seen s = {0};
        char what[16];
        snprintf(what, sizeof(what), "%d", counts[i]);
        assert_int_equal(query(w, what, 3, &s, &err), 0);
        assert_int_equal(s.rows, counts[i]);
    }
    struct seen s = {0}; /* no fields asked: the answer is as wide as it is */
    assert_int_equal(query(w, "25", 0, &s, &err), 0);
    assert_int_equal(s.rows, 25);
    assert_int_equal(s.columns, 2);
    assert_int_equal(w->client.connects, 1);
}

static void rows_may_be_stopped(void **state)
{
    struct world *w = *state;
    struct err err = {0};
    struct seen s = {.stop_at = 15, .stop_with = 1};
    assert_int_equal(query(w, "1000", 3, &s, &err), 0);
    assert_int_equal(s.rows, 15);
    s = (struct seen){.stop_at = 1, .stop_with = -EPIPE};
    assert_int_equal(query(w, "3", 3, &s, &err), -EPIPE);
    assert_int_equal(call(w, ECHO, 0, NULL, &err), 0);
}

static void broken_rows_are_told(void **state)
{
    struct world *w = *state;
    struct err err = {0};
    struct seen s = {0};
    assert_int_equal(query(w, "5-", 3, &s, &err), SL_EPROTO);
    s = (struct seen){0};
    assert_int_equal(query(w, "5+", 3, &s, &err), SL_EPROTO);
    s = (struct seen){0};
    assert_int_equal(query(w, "5+", 0, &s, &err), SL_EPROTO);
    assert_int_equal(call(w, ECHO, 0, NULL, &err), 0);
}

int main(void)
{
#define T(name, start) cmocka_unit_test_setup_teardown(name, start, teardown)
    const struct CMUnitTest tests[] = {
        T(a_missing_controller_is_told_at_once, setup),
        T(told_to_wait_it_waits, setup),
        T(a_call_has_a_reply_or_an_error, setup_running),
        T(a_silent_controller_is_given_up, setup_running),
        T(events_during_a_call_are_kept, setup_running),
        T(a_request_is_repeated_only_when_nobody_saw_it, setup_running),
        T(rows_come_as_texts, setup_running),
        T(rows_may_be_stopped, setup_running),
        T(broken_rows_are_told, setup_running),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
