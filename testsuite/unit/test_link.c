/* SPDX-License-Identifier: Apache-2.0
 *
 * Unix connections: links, listeners, blocking connections, passed descriptors.
 */
#include "config.h"
#include "wire/wire.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define DEADLINE (20 * USEC_PER_SEC)

struct end { /* one end of a link, and what happened to it */
    struct wire_link *link;
    int ups, messages, downs, draineds;
    char why[256];
    uint32_t tag_last;
    char text[64];
    int fd, fds;
    uint64_t bytes;
    bool echo, close_in_message, close_in_up, finish_in_message, pause_in_message;
    bool in_order;
};

struct world {
    struct event_base *base;
    char dir[64], path[96], target[112];
    struct wire_listener *listener;
    struct end server; /* the last accepted one */
    int accepted;
    bool refuse;
};

static void end_up(struct wire_link *l, void *arg)
{
    struct end *e = arg;
    assert_int_equal(e->messages, 0);
    e->ups++;
    if (e->close_in_up) {
        e->link = NULL;
        wire_link_close(l);
    }
}

static int send_text(struct wire_link *l, uint32_t tag, const char *text)
{
    Sl__ErrorReply e = SL__ERROR_REPLY__INIT;
    e.code = SL_EPROTO;
    e.text = (char *)(uintptr_t)text;
    return wire_link_send(l, WIRE_ERROR, tag, &e.base, NULL);
}

static void end_message(struct wire_link *l, struct wire_msg *m, void *arg)
{
    struct end *e = arg;
    e->messages++;
    if (m->tag != e->tag_last + 1)
        e->in_order = false;
    e->tag_last = m->tag;
    if (m->type == WIRE_ERROR)
        snprintf(e->text, sizeof(e->text), "%s", ((Sl__ErrorReply *)m->body)->text);
    if (m->type == WIRE_IO_DATA)
        e->bytes += ((Sl__IoData *)m->body)->data.len;
    int fd = wire_link_take_fd(l);
    if (fd >= 0) {
        assert_int_equal(m->type, WIRE_STEP_ROUTE);
        if (e->fd >= 0)
            close(e->fd);
        e->fd = fd;
        e->fds++;
    }
    if (e->echo)
        assert_int_equal(send_text(l, m->tag, e->text), 0);
    if (e->pause_in_message)
        wire_link_pause_reading(l, true);
    if (e->finish_in_message) {
        e->link = NULL;
        wire_link_finish(l);
    }
    if (e->close_in_message) {
        e->link = NULL;
        wire_link_close(l);
    }
}

static void end_down(struct wire_link *l, const char *why, void *arg)
{
    struct end *e = arg;
    assert_ptr_equal(l, e->link);
    e->downs++;

    e->link = NULL;
    snprintf(e->why, sizeof(e->why), "%s", why);
}

static void end_drained(struct wire_link *l, void *arg)
{
    (void)l;
    ((struct end *)arg)->draineds++;
}

static const struct wire_link_ops end_ops = {end_up, end_message, end_down,
                                             end_drained};

static void end_reset(struct end *e)
{
    *e = (struct end){.fd = -1, .in_order = true};
}

static void accepted(struct wire_link *l, void *arg)
{
    struct world *w = arg;
    w->accepted++;
    if (w->refuse) {
        wire_link_close(l);
        return;
    }
    w->server.link = l;
    wire_link_set_ops(l, &end_ops, &w->server);
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    struct wire_listener_ops ops = {.accepted = accepted};
    struct err err = {0};
    strcpy(w->dir, "/tmp/test-link-XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    snprintf(w->path, sizeof(w->path), "%s/sock", w->dir);
    snprintf(w->target, sizeof(w->target), "unix:%s", w->path);
    w->base = event_base_new();
    end_reset(&w->server);
    w->listener = wire_listen(w->base, w->target, 0600, NULL, &ops, w, &err);
    if (!w->listener)
        fail_msg("%s", err.text);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    wire_link_close(w->server.link);
    if (w->server.fd >= 0)
        close(w->server.fd);
    wire_listener_close(w->listener);
    event_base_free(w->base);
    rmdir(w->dir);
    free(w);
    return 0;
}

/* Runs the loop until *what reaches n. */
static void until(struct world *w, const int *what, int n)
{
    usec_t end = clock_mono_usec() + DEADLINE;
    while (*what < n) {
        struct timeval tv = {.tv_usec = 100000};
        if (clock_mono_usec() > end)
            fail_msg("waited in vain for %d, it is %d", n, *what);
        event_base_loopexit(w->base, &tv);
        event_base_loop(w->base, EVLOOP_ONCE);
    }
}

static void dial(struct world *w, struct end *e)
{
    struct err err = {0};
    end_reset(e);
    e->link = wire_link_dial(w->base, w->target, NULL, &end_ops, e, &err);
    if (!e->link)
        fail_msg("%s", err.text);
}

static void dial_of_nothing_fails_at_once(void **state)
{
    struct world *w = *state;
    struct err err = {0};
    assert_null(
        wire_link_dial(w->base, "unix:/nonexistent/s", NULL, &end_ops, w, &err));
    assert_int_equal(err.code, -ENOENT);
    assert_non_null(strstr(err.text, "/nonexistent/s"));
    assert_null(wire_dial("unix:/nonexistent/s", NULL, &err));
    assert_int_equal(err.code, -ENOENT);
    assert_null(wire_dial("nonsense", NULL, &err));
    assert_int_equal(err.code, -EINVAL);
    char longpath[300] = "unix:/";
    memset(longpath + 6, 'x', 200);
    assert_null(wire_dial(longpath, NULL, &err));
    assert_int_equal(err.code, -EINVAL);
}

static void listen_refuses_a_used_socket_and_replaces_an_old_one(void **state)
{
    struct world *w = *state;
    struct wire_listener_ops ops = {.accepted = accepted};
    struct err err = {0};
    assert_null(wire_listen(w->base, w->target, 0600, NULL, &ops, w, &err));
    assert_int_equal(err.code, -EADDRINUSE);

    char old[128], plain[128];
    snprintf(old, sizeof(old), "unix:%s/old", w->dir);
    snprintf(plain, sizeof(plain), "unix:%s/plain", w->dir);
    pid_t pid = fork();
    if (pid == 0) {
        /* dies without removing its socket */
        _exit(wire_listen(w->base, old, 0600, NULL, &ops, w, NULL) ? 0 : 1);
    }
    int status;
    waitpid(pid, &status, 0);
    assert_int_equal(status, 0);
    assert_int_equal(access(old + 5, F_OK), 0);
    struct wire_listener *l = wire_listen(w->base, old, 0640, NULL, &ops, w, &err);
    assert_non_null(l);
    struct stat st;
    assert_int_equal(stat(old + 5, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    wire_listener_close(l);
    assert_int_equal(access(old + 5, F_OK), -1);

    int fd = open(plain + 5, O_CREAT | O_WRONLY, 0600);
    close(fd);
    assert_null(wire_listen(w->base, plain, 0600, NULL, &ops, w, &err));
    assert_int_equal(err.code, -EEXIST);
    unlink(plain + 5);
}

static void messages_go_both_ways_in_order(void **state)
{
    struct world *w = *state;
    struct end c;
    w->server.echo = true;
    dial(w, &c);
    for (uint32_t i = 1; i <= 5000; i++)
        assert_int_equal(send_text(c.link, i, "hello"), 0);
    until(w, &c.messages, 5000);
    assert_true(c.in_order && w->server.in_order);
    assert_int_equal(c.ups, 1);
    assert_int_equal(w->server.ups, 1);
    assert_string_equal(c.text, "hello");
    const struct wire_peer *p = wire_link_peer(w->server.link);
    assert_int_equal(p->uid, getuid());
    assert_int_equal(p->gid, getgid());
    assert_int_equal(p->pid, getpid());
    assert_true(p->local);
    wire_link_close(c.link);
    until(w, &w->server.downs, 1);
    assert_string_equal(w->server.why, "");
}

static void closing_in_any_callback_is_safe(void **state)
{
    struct world *w = *state;
    struct end c;
    w->server.close_in_message = true;
    dial(w, &c);
    for (uint32_t i = 1; i <= 10; i++)
        send_text(c.link, i, "x");
    until(w, &c.downs, 1);
    assert_int_equal(w->server.messages, 1);
    assert_int_equal(w->server.downs, 0);

    end_reset(&w->server);
    w->server.close_in_up = true;
    dial(w, &c);
    until(w, &c.downs, 1);
    assert_int_equal(w->server.ups, 1);

    w->refuse = true;
    dial(w, &c);
    until(w, &c.downs, 1);
    assert_int_equal(w->accepted, 3);
}

static void finish_writes_out_first(void **state)
{
    struct world *w = *state;
    struct end c;
    w->server.echo = true;
    w->server.finish_in_message = true;
    dial(w, &c);
    /* unread input must not reset the connection under the reply */
    for (uint32_t i = 1; i <= 1000; i++)
        send_text(c.link, i, "x");
    until(w, &c.downs, 1);
    assert_int_equal(w->server.messages, 1);
    assert_int_equal(c.messages, 1);
    assert_string_equal(c.why, "");
    event_base_loop(w->base,
                    EVLOOP_NONBLOCK); /* the finished end sees the end of file */
}

static void a_pause_holds_messages_back(void **state)
{
    struct world *w = *state;
    struct end c;
    w->server.pause_in_message = true;
    dial(w, &c);
    for (uint32_t i = 1; i <= 3; i++)
        send_text(c.link, i, "x");
    for (int i = 1; i <= 3; i++) {
        until(w, &w->server.messages, i);
        event_base_loop(w->base, EVLOOP_NONBLOCK);
        event_base_loop(w->base, EVLOOP_NONBLOCK);
        assert_int_equal(w->server.messages, i);
        wire_link_pause_reading(w->server.link, false);
    }
    wire_link_close(c.link);
}

static void a_slow_reader_is_felt(void **state)
{
    struct world *w = *state;
    struct end c;
    dial(w, &c);
    until(w, &w->server.ups, 1);
    wire_link_pause_reading(w->server.link, true);

    static uint8_t chunk[1 << 19];
    Sl__IoData data = SL__IO_DATA__INIT;
    data.data.data = chunk;
    data.data.len = sizeof(chunk);
    uint32_t tag = 0;
    struct err err;
    uint64_t sent = 0;
    while (!wire_link_full(c.link)) {
        assert_int_equal(wire_link_send(c.link, WIRE_IO_DATA, ++tag, &data.base, &err),
                         0);
        sent += sizeof(chunk);
        event_base_loop(w->base, EVLOOP_NONBLOCK);
    }
    assert_true(wire_link_queued(c.link) > CLIENT_OUTQ_BYTES_MAX / 4);
    while (wire_link_send(c.link, WIRE_IO_DATA, ++tag, &data.base, &err) == 0)
        sent += sizeof(chunk);
    assert_int_equal(err.code, -ENOBUFS);
    assert_true(wire_link_queued(c.link) <=
                CLIENT_OUTQ_BYTES_MAX + sizeof(chunk) + 100);
    assert_int_equal(c.draineds, 0);

    wire_link_pause_reading(w->server.link, false);
    until(w, &c.draineds, 1);
    until(w, &w->server.messages, (int)(tag - 1));
    assert_int_equal(w->server.bytes, sent);
    assert_true(w->server.in_order);
    assert_int_equal(c.draineds, 1);
    wire_link_close(c.link);
}

static void a_descriptor_comes_with_its_message(void **state)
{
    struct world *w = *state;
    struct end c;
    int pipes[8][2];
    dial(w, &c);
    uint32_t tag = 0;
    for (int i = 0; i < 8; i++) {
        assert_int_equal(pipe2(pipes[i], O_CLOEXEC), 0);
        for (int k = 0; k < 3; k++)
            send_text(c.link, ++tag, "before");
        Sl__StepRoute r = SL__STEP_ROUTE__INIT;
        r.route = (char *)"step:1.0";
        assert_int_equal(wire_link_send_fd(c.link, WIRE_STEP_ROUTE, ++tag, &r.base,
                                           pipes[i][1], NULL),
                         0);
    }
    until(w, &w->server.messages, 32);
    assert_int_equal(w->server.fds, 8);
    assert_true(w->server.in_order);
    assert_true(w->server.fd >= 0);
    assert_int_equal(fcntl(w->server.fd, F_GETFD), FD_CLOEXEC);
    assert_int_equal(write(w->server.fd, "!", 1), 1);
    char got = 0;
    assert_int_equal(read(pipes[7][0], &got, 1), 1);
    assert_int_equal(got, '!');
    for (int i = 0; i < 8; i++)
        close(pipes[i][0]);
    wire_link_close(c.link);
}

static int open_fds(void)
{
    int n = 0;
    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

/* What a hostile local user can send: descriptors that nobody asked for. */
static void unwanted_descriptors_are_closed(void **state)
{
    struct world *w = *state;
    int sv[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
    struct end e;
    end_reset(&e);
    e.link = wire_link_unix(w->base, sv[0], &end_ops, &e, NULL);
    assert_non_null(e.link);
    int before = open_fds();

    char byte = 0;
    struct iovec iov = {&byte, 1};
    union {
        char data[CMSG_SPACE(3 * sizeof(int))];
        struct cmsghdr align;
    } control = {{0}};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control.data,
                         .msg_controllen = sizeof(control.data)};
    struct cmsghdr *cm = CMSG_FIRSTHDR(&msg);
    cm->cmsg_level = SOL_SOCKET;
    cm->cmsg_type = SCM_RIGHTS;
    cm->cmsg_len = CMSG_LEN(3 * sizeof(int));
    for (int i = 0; i < 3; i++)
        memcpy(CMSG_DATA(cm) + i * sizeof(int), &(int){0}, sizeof(int));
    assert_int_equal(sendmsg(sv[1], &msg, 0), 1);
    until(w, &e.downs, 1);
    assert_non_null(strstr(e.why, "descriptor"));
    assert_int_equal(open_fds(), before - 1);
    close(sv[1]);
}

static void garbage_closes_the_link(void **state)
{
    struct world *w = *state;
    static const struct {
        uint8_t bytes[12];
        const char *why;
    } cases[] = {
        {"GET / HTTP/1", "version"},
        {{0, 0, 0, 0, 0xff, 0xff, 1, 0}, "unknown message type"},
        {{0xff, 0xff, 0xff, 0xff, 0, 1, 1, 0}, "over its limit"},
        {{0, 0, 0, 0, 0, 1, 2, 0}, "version"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int sv[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
        struct end e;
        end_reset(&e);
        e.link = wire_link_unix(w->base, sv[0], &end_ops, &e, NULL);
        assert_int_equal(write(sv[1], cases[i].bytes, 12), 12);
        until(w, &e.downs, 1);
        assert_int_equal(e.messages, 0);
        if (!strstr(e.why, cases[i].why))
            fail_msg("case %zu: %s", i, e.why);
        close(sv[1]);
    }
}

/* The blocking side, in another process: connect, call, stream, be cut off. */
static void child(const char *target)
{
    struct err err = {0};
    struct wire_conn *c = wire_dial(target, NULL, &err);
    if (!c)
        _exit(10);
    Sl__ErrorReply e = SL__ERROR_REPLY__INIT;
    e.text = (char *)"from the child";
    struct wire_msg m = {0};
    if (wire_recv(c, 0, &m, &err) != 0 || wire_recv(c, 1000, &m, &err) != 0)
        _exit(11);
    for (uint32_t i = 1; i <= 3; i++)
        if (wire_send(c, WIRE_ERROR, i, &e.base, &err) < 0)
            _exit(12);
    for (uint32_t i = 1; i <= 3; i++) {
        if (wire_recv(c, DEADLINE, &m, &err) != 1 || m.tag != i)
            _exit(13);
        wire_msg_clear(&m);
    }
    /* both sides send far more than the socket holds before they read */
    static uint8_t chunk[1 << 20];
    Sl__IoData data = SL__IO_DATA__INIT;
    data.data.data = chunk;
    data.data.len = sizeof(chunk) - 100;
    for (uint32_t i = 4; i <= 20; i++)
        if (wire_send(c, WIRE_IO_DATA, i, &data.base, &err) < 0)
            _exit(14);
    int rc;
    while ((rc = wire_recv(c, DEADLINE, &m, &err)) == 1)
        wire_msg_clear(&m);
    _exit(rc == -ECONNRESET ? 0 : 15);
}

static void a_blocking_client_is_served(void **state)
{
    struct world *w = *state;
    w->server.echo = true;
    pid_t pid = fork();
    if (pid == 0)
        child(w->target);
    until(w, &w->server.messages, 20);
    assert_int_equal(wire_link_peer(w->server.link)->pid, pid);
    wire_link_finish(w->server.link);
    w->server.link = NULL;
    int status = -1, done = 0;
    usec_t end = clock_mono_usec() + DEADLINE;
    while (!done && clock_mono_usec() < end) {
        struct timeval tv = {.tv_usec = 10000};
        event_base_loopexit(w->base, &tv);
        event_base_loop(w->base, EVLOOP_ONCE);
        done = waitpid(pid, &status, WNOHANG) == pid;
    }
    assert_true(done);
    assert_int_equal(status, 0);
}

static void the_listener_may_go_before_its_links(void **state)
{
    struct world *w = *state;
    struct end c;
    w->server.echo = true;
    dial(w, &c);
    until(w, &w->server.ups, 1);
    wire_listener_close(w->listener);
    w->listener = NULL;
    send_text(c.link, 1, "still there");
    until(w, &c.messages, 1);
    wire_link_close(c.link);
    until(w, &w->server.downs, 1);
}

/* ---- a peer that sends damaged messages
 * ---------------------------------------------- */

static void guest_message(struct wire_link *l, struct wire_msg *m, void *arg)
{
    ((struct world *)arg)->server.messages++;
    assert_int_equal(send_text(l, m->tag, "?"), 0);
}

static void guest_down(struct wire_link *l, const char *why, void *arg)
{
    (void)l;
    (void)why;
    ((struct world *)arg)->server.downs++;
}

static const struct wire_link_ops guest_ops = {.message = guest_message,
                                               .down = guest_down};

static void guest_accepted(struct wire_link *l, void *arg)
{
    ((struct world *)arg)->accepted++;
    wire_link_set_ops(l, &guest_ops, arg);
}

static void damaged_messages_leave_the_listener_up(void **state)
{
    struct world *w = *state;
    char target[128];
    struct wire_listener_ops ops = {.accepted = guest_accepted};
    snprintf(target, sizeof(target), "unix:%s/fuzz", w->dir);
    struct wire_listener *l = wire_listen(w->base, target, 0600, NULL, &ops, w, NULL);
    assert_non_null(l);
    pid_t pid = fork();
    if (pid == 0) {
        execl(TEST_BUILD_DIR "/unit/fuzz_client", "fuzz_client", target, "ALL",
              "300", "20261123", NULL);
        _exit(127);
    }
    int status = -1;
    usec_t end = clock_mono_usec() + 3 * DEADLINE;
    while (waitpid(pid, &status, WNOHANG) != pid) {
        assert_true(clock_mono_usec() < end);
        struct timeval tv = {.tv_usec = 10000};
        event_base_loopexit(w->base, &tv);
        event_base_loop(w->base, EVLOOP_ONCE);
    }
    assert_int_equal(status, 0);
    assert_true(w->server.messages > 100);
    assert_true(w->accepted > 100);
    until(w, &w->server.downs, w->accepted);
    wire_listener_close(l);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(dial_of_nothing_fails_at_once),
        T(listen_refuses_a_used_socket_and_replaces_an_old_one),
        T(messages_go_both_ways_in_order),
        T(closing_in_any_callback_is_safe),
        T(finish_writes_out_first),
        T(a_pause_holds_messages_back),
        T(a_slow_reader_is_felt),
        T(a_descriptor_comes_with_its_message),
        T(unwanted_descriptors_are_closed),
        T(garbage_closes_the_link),
        T(a_blocking_client_is_served),
        T(the_listener_may_go_before_its_links),
        T(damaged_messages_leave_the_listener_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
