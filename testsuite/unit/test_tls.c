/* SPDX-License-Identifier: Apache-2.0
 *
 * TCP: munge credentials, TLS, routes, and those who have no business here.
 */
#include "wire/wire.h"

#include "lib/munged.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define DEADLINE (20 * USEC_PER_SEC)
#define OTHER_UID 4711

struct end {
    struct wire_link *link;
    int ups, messages, downs;
    char why[ERR_TEXT_MAX];
    uint64_t bytes;
    bool echo, in_order;
    uint32_t tag_last;
};

struct world {
    struct event_base *base;
    struct wire_listener *listener;
    struct sockaddr_in addr;
    char target[64];
    struct end server;
    int accepted, routed;
    char route[64];
    struct wire_peer routed_peer;
    int done; /* a child has ended */
    int child_status;
};

static struct munged munged, stranger; /* the second has another key */

static void end_up(struct wire_link *l, void *arg)
{
    struct end *e = arg;
    assert_true(wire_link_is_up(l));
    e->ups++;
}

static void end_message(struct wire_link *l, struct wire_msg *m, void *arg)
{
    struct end *e = arg;
    e->messages++;
    if (m->tag != e->tag_last + 1)
        e->in_order = false;
    e->tag_last = m->tag;
    if (m->type == WIRE_IO_DATA)
        e->bytes += ((Sl__IoData *)m->body)->data.len;
    if (e->echo)
        assert_int_equal(wire_link_send(l, m->type, m->tag, m->body, NULL), 0);
}

static void end_down(struct wire_link *l, const char *why, void *arg)
{
    struct end *e = arg;
    (void)l;
    e->downs++;
    e->link = NULL;
    snprintf(e->why, sizeof(e->why), "%s", why);
}

static const struct wire_link_ops end_ops = {end_up, end_message, end_down, NULL};

static void accepted(struct wire_link *l, void *arg)
{
    struct world *w = arg;
    w->accepted++;
    w->server.link = l;
    wire_link_set_ops(l, &end_ops, &w->server);
}

static void routed(int fd, const char *route, const struct wire_peer *peer,
                   const unsigned char psk[32], void *arg)
{
    struct world *w = arg;
    w->routed++;
    w->routed_peer = *peer;
    snprintf(w->route, sizeof(w->route), "%s", route);
    w->server.link =
        wire_link_accept_psk(w->base, fd, psk, peer, &end_ops, &w->server, NULL);
    assert_non_null(w->server.link);
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    struct wire_listener_ops ops = {.accepted = accepted, .routed = routed};
    struct err err = {0};
    w->base = event_base_new();
    w->server = (struct end){.in_order = true};
    w->listener = wire_listen(w->base, "127.0.0.1:0", 0, munged.socket, &ops, w, &err);
    if (!w->listener)
        fail_msg("%s", err.text);
    unsigned port = wire_listener_port(w->listener);
    snprintf(w->target, sizeof(w->target), "127.0.0.1:%u", port);
    w->addr.sin_family = AF_INET;
    w->addr.sin_port = htons((uint16_t)port);
    w->addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    wire_link_close(w->server.link);
    wire_listener_close(w->listener);
    event_base_free(w->base);
    free(w);
    return 0;
}

static int group_setup(void **state)
{
    (void)state;
    setenv("SLURMLIKE_MODULE_DIR", TEST_MODULE_DIR, 1);
    return munged_start(&munged, NULL) < 0 || munged_start(&stranger, NULL) < 0;
}

static int group_teardown(void **state)
{
    (void)state;
    munged_stop(&munged);
    munged_stop(&stranger);
    return 0;
}

static void turn(struct world *w)
{
    struct timeval tv = {.tv_usec = 20000};
    event_base_loopexit(w->base, &tv);
    event_base_loop(w->base, EVLOOP_ONCE);
}

static void until(struct world *w, const int *what, int n)
{
    usec_t end = clock_mono_usec() + DEADLINE;
    while (*what < n) {
        if (clock_mono_usec() > end)
            fail_msg("waited in vain for %d, it is %d", n, *what);
        turn(w);
    }
}

static void child_end(struct world *w, pid_t pid, int want)
{
    usec_t end = clock_mono_usec() + DEADLINE;
    int status;
    while (waitpid(pid, &status, WNOHANG) != pid) {
        assert_true(clock_mono_usec() < end);
        turn(w);
    }
    assert_int_equal(status, want << 8);
}

static struct wire_dial_opts opts_of(const struct munged *m, const char *route)
{
    return (struct wire_dial_opts){.munge_socket = m->socket,
                                   .service_uid = getuid(),
                                   .route = route,
                                   .timeout = 5 * USEC_PER_SEC};
}

static void dial(struct world *w, struct end *e, const struct wire_dial_opts *opts)
{
    struct err err = {0};
    *e = (struct end){.in_order = true};
    e->link = wire_link_dial(w->base, w->target, opts, &end_ops, e, &err);
    if (!e->link)
        fail_msg("%s", err.text);
}

static void send_bytes(struct wire_link *l, uint32_t tag, size_t n)
{
    static uint8_t chunk[1 << 20];
    Sl__IoData data = SL__IO_DATA__INIT;
    data.data.data = chunk;
    data.data.len = n;
    assert_int_equal(wire_link_send(l, WIRE_IO_DATA, tag, &data.base, NULL), 0);
}

static void links_talk_over_tls(void **state)
{
    struct world *w = *state;
    struct end c;
    struct wire_dial_opts opts = opts_of(&munged, NULL);
    w->server.echo = true;
    dial(w, &c, &opts);
    assert_false(wire_link_is_up(c.link));
    send_bytes(c.link, 1, 10); /* kept until up */
    until(w, &c.messages, 1);
    for (uint32_t i = 2; i <= 200; i++)
        send_bytes(c.link, i, i * 500);
    until(w, &c.messages, 200);
    assert_true(c.in_order && w->server.in_order);
    assert_int_equal(c.bytes, w->server.bytes);
    assert_int_equal(c.ups, 1);
    const struct wire_peer *p = wire_link_peer(w->server.link);
    assert_int_equal(p->uid, getuid());
    assert_int_equal(p->gid, getgid());
    assert_int_equal(p->pid, 0);
    assert_false(p->local);
    assert_int_equal(strncmp(p->addr, "127.0.0.1:", 10), 0);
    wire_link_finish(w->server.link);
    w->server.link = NULL;
    until(w, &c.downs, 1);
    assert_string_equal(c.why, "");
    turn(w);
}

static void a_pause_over_tls_loses_nothing(void **state)
{
    struct world *w = *state;
    struct end c;
    struct wire_dial_opts opts = opts_of(&munged, NULL);
    dial(w, &c, &opts);
    until(w, &w->server.ups, 1);
    until(w, &c.ups, 1);
    for (uint32_t i = 1; i <= 300; i++)
        send_bytes(c.link, i, 5000);
    while (w->server.messages < 300) {
        wire_link_pause_reading(w->server.link, true);
        turn(w);
        wire_link_pause_reading(w->server.link, false);
        until(w, &w->server.messages, w->server.messages + 1);
    }
    assert_true(w->server.in_order);
    wire_link_close(c.link);
    until(w, &w->server.downs, 1);
}

/* A blocking client in another process, under another uid. */
static void other_user(const char *target)
{
    struct wire_dial_opts opts = opts_of(&munged, NULL);
    struct err err = {0};
    if (setgid(OTHER_UID + 1) < 0 || setuid(OTHER_UID) < 0)
        _exit(9);
    struct wire_conn *c = wire_dial(target, &opts, &err);
    if (!c) {
        fprintf(stderr, "%s\n", err.text);
        _exit(10);
    }
    static uint8_t chunk[1 << 20];
    Sl__IoData data = SL__IO_DATA__INIT;
    data.data.data = chunk;
    data.data.len = sizeof(chunk) - 100;
    struct wire_msg m;
    for (uint32_t i = 1; i <= 8; i++)
        if (wire_send(c, WIRE_IO_DATA, i, &data.base, &err) < 0)
            _exit(11);
    for (uint32_t i = 1; i <= 8; i++) {
        if (wire_recv(c, DEADLINE, &m, &err) != 1 || m.tag != i)
            _exit(12);
        wire_msg_clear(&m);
    }
    /* what is buffered is told: poll() and pending() together miss nothing */
    struct pollfd p = {.fd = wire_conn_fd(c), .events = POLLIN};
    if (wire_recv(c, 0, &m, &err) != 0 || wire_conn_pending(c) || poll(&p, 1, 0) != 0)
        _exit(13);
    wire_conn_close(c);
    _exit(0);
}

static void the_peer_is_who_it_is(void **state)
{
    struct world *w = *state;
    if (getuid() != 0) /* needs to become another user */
        skip();
    w->server.echo = true;
    pid_t pid = fork();
    if (pid == 0)
        other_user(w->target);
    until(w, &w->server.ups, 1);
    const struct wire_peer *p = wire_link_peer(w->server.link);
    assert_int_equal(p->uid, OTHER_UID);
    assert_int_equal(p->gid, OTHER_UID + 1);
    child_end(w, pid, 0);
    until(w, &w->server.downs, 1);
    assert_string_equal(w->server.why, "");
}

static void a_wrong_munge_key_gets_nothing(void **state)
{
    struct world *w = *state;
    struct end c;
    struct wire_dial_opts opts = opts_of(&stranger, NULL);
    dial(w, &c, &opts);
    until(w, &c.downs, 1);
    assert_non_null(strstr(c.why, "munge key"));
    assert_int_equal(c.ups, 0);
    assert_int_equal(w->accepted, 0);
}

static void a_service_of_another_user_gets_nothing(void **state)
{
    struct world *w = *state;
    struct end c;
    struct wire_dial_opts opts = opts_of(&munged, NULL);
    opts.service_uid = OTHER_UID; /* the listener runs as somebody else */
    dial(w, &c, &opts);
    until(w, &c.downs, 1);
    assert_int_equal(w->accepted, 0);
}

static void dead_munged_and_dead_port_are_told(void **state)
{
    struct world *w = *state;
    struct end c;
    struct err err = {0};
    struct wire_dial_opts opts = opts_of(&munged, NULL);
    opts.munge_socket = "/nonexistent/munge.sock";
    dial(w, &c, &opts);
    until(w, &c.downs, 1);
    assert_non_null(strstr(c.why, "munge"));

    opts = opts_of(&munged, NULL);
    wire_listener_close(w->listener);
    w->listener = NULL;
    assert_null(wire_dial(w->target, &opts, &err));
    assert_int_equal(err.code, -ECONNREFUSED);
    assert_non_null(strstr(err.text, w->target));
    assert_null(wire_dial("no-such-host.invalid:1", &opts, &err));
    assert_non_null(strstr(err.text, "no-such-host.invalid"));
}

static void a_dial_is_over_in_time(void **state)
{
    struct world *w = *state;
    struct err err = {0};
    struct wire_dial_opts opts = opts_of(&munged, NULL);
    opts.timeout = USEC_PER_SEC / 5;
    /* a server that takes connections and says nothing */
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in addr = w->addr;
    socklen_t len = sizeof(addr);
    addr.sin_port = 0;
    assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(listen(fd, 5), 0);
    getsockname(fd, (struct sockaddr *)&addr, &len);
    char target[64];
    snprintf(target, sizeof(target), "127.0.0.1:%u", ntohs(addr.sin_port));
    usec_t start = clock_mono_usec();
    assert_null(wire_dial(target, &opts, &err));
    assert_int_equal(err.code, -ETIMEDOUT);
    /* libevent counts from when it last read the clock, a little before the call at most */
    assert_in_range(clock_mono_usec() - start, USEC_PER_SEC / 10, 5 * USEC_PER_SEC);
    close(fd);
}

static void a_route_is_handed_over(void **state)
{
    struct world *w = *state;
    struct end c;
    struct wire_dial_opts opts = opts_of(&munged, "step:12.0");
    w->server.echo = true;
    dial(w, &c, &opts);
    send_bytes(c.link, 1, 100);
    until(w, &c.messages, 1);
    assert_int_equal(w->routed, 1);
    assert_int_equal(w->accepted, 0);
    assert_string_equal(w->route, "step:12.0");
    assert_int_equal(w->routed_peer.uid, getuid());
    wire_link_close(c.link);
    until(w, &w->server.downs, 1);

    struct err err = {0};
    opts.route = "job:1/../2";
    assert_null(wire_link_dial(w->base, w->target, &opts, &end_ops, &c, &err));
    assert_int_equal(err.code, -EINVAL);
}

/* ---- those who do not play by the rules --------------------------------------------
 */

static int tcp(struct world *w)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&w->addr, sizeof(w->addr)), 0);
    return fd;
}

/* The listener closes fd without a byte. */
static void until_cut_off(struct world *w, int fd)
{
    usec_t end = clock_mono_usec() + DEADLINE;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    while (poll(&p, 1, 0) == 0) {
        assert_true(clock_mono_usec() < end);
        turn(w);
    }
    char byte;
    assert_true(read(fd, &byte, 1) <= 0);
    close(fd);
}

static void garbage_is_cut_off(void **state)
{
    struct world *w = *state;
    static const struct {
        char bytes[16];
        size_t n;
    } cases[] = {
        {"GET / HTTP/1.1\r\n", 16},
        {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03xxx", 14}, /* a TLS hello */
        {"SLW1\x02\x00\x00\xbb\x00\x00", 10},                    /* another version */
        {"SLW1\x01\x00\xff\xff\x00\x00", 10},
        {"SLW1\x01\x00\x00\x00\x00\x00", 10},
        {"SLW1\x01\x00\x00\x05\xff\xff", 10},
        {"SLW1\x01\x00\x00\x05\x00\x00MUNGE", 15},
        {"SLW1\x01\x00\x00\x03\x00\x02xyz/.", 15},
        {"SLW1\x01\x00\x00\x05\x00\x00MU\0GE", 15},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int fd = tcp(w);
        assert_int_equal(write(fd, cases[i].bytes, cases[i].n), cases[i].n);
        until_cut_off(w, fd);
    }
    int fd = tcp(w);
    shutdown(fd, SHUT_WR);
    until_cut_off(w, fd);
    assert_int_equal(w->accepted + w->routed, 0);
}

/* A man in the middle: hands the client's bytes on, keeps a copy, may change one. */
struct relay {
    struct world *w;
    int listen_fd, up, down;
    uint8_t copy[4096];
    size_t copy_bytes;
    long change_at; /* -1: none */
    char target[64];
};

static void relay_open(struct relay *r, struct world *w, long change_at)
{
    *r = (struct relay){.w = w, .up = -1, .down = -1, .change_at = change_at};
    r->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in addr = w->addr;
    socklen_t len = sizeof(addr);
    addr.sin_port = 0;
    assert_int_equal(bind(r->listen_fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(listen(r->listen_fd, 5), 0);
    getsockname(r->listen_fd, (struct sockaddr *)&addr, &len);
    snprintf(r->target, sizeof(r->target), "127.0.0.1:%u", ntohs(addr.sin_port));
}

static void relay_turn(struct relay *r)
{
    uint8_t bytes[2048];
    struct pollfd p = {.fd = r->listen_fd, .events = POLLIN};
    if (r->up < 0 && poll(&p, 1, 0) == 1) {
        r->up = accept(r->listen_fd, NULL, NULL);
        r->down = tcp(r->w);
    }
    if (r->up < 0)
        return;
    ssize_t n = recv(r->up, bytes, sizeof(bytes), MSG_DONTWAIT);
    if (n > 0) {
        long at = r->change_at - (long)r->copy_bytes;
        if (r->change_at >= 0 && at >= 0 && at < n)
            bytes[at] ^= 1;
        memcpy(r->copy + r->copy_bytes, bytes, (size_t)n);
        r->copy_bytes += (size_t)n;
        assert_int_equal(send(r->down, bytes, (size_t)n, MSG_NOSIGNAL), n);
    }
    n = recv(r->down, bytes, sizeof(bytes), MSG_DONTWAIT);
    if (n > 0)
        assert_int_equal(send(r->up, bytes, (size_t)n, MSG_NOSIGNAL), n);
    if (n == 0)
        shutdown(r->up, SHUT_RDWR);
}

static void relay_close(struct relay *r)
{
    close(r->listen_fd);
    close(r->up);
    close(r->down);
}

static void relay_until(struct relay *r, const int *what)
{
    usec_t end = clock_mono_usec() + DEADLINE;
    while (*what < 1) {
        assert_true(clock_mono_usec() < end);
        relay_turn(r);
        struct timeval tv = {.tv_usec = 1000};
        event_base_loopexit(r->w->base, &tv);
        event_base_loop(r->w->base, EVLOOP_ONCE);
    }
}

static size_t hello_length(const uint8_t *p)
{
    return 10 + (size_t)(p[6] << 8 | p[7]) + (size_t)(p[8] << 8 | p[9]);
}

static void a_replayed_credential_is_refused(void **state)
{
    struct world *w = *state;
    struct relay r;
    struct end c;
    struct wire_dial_opts opts = opts_of(&munged, NULL);
    relay_open(&r, w, -1);
    c = (struct end){.in_order = true};
    c.link = wire_link_dial(w->base, r.target, &opts, &end_ops, &c, NULL);
    relay_until(&r, &c.ups);
    relay_until(&r, &w->accepted);
    wire_link_close(c.link);
    relay_close(&r);
    until(w, &w->server.downs, 1);

    /* the same HELLO again, alone and with the same TLS hello behind it */
    for (int i = 0; i < 2; i++) {
        int fd = tcp(w);
        size_t n = i ? r.copy_bytes : hello_length(r.copy);
        assert_int_equal(write(fd, r.copy, n), n);
        until_cut_off(w, fd);
    }
    assert_int_equal(w->accepted, 1);
}

static void a_changed_route_or_credential_is_refused(void **state)
{
    struct world *w = *state;
    struct wire_dial_opts opts = opts_of(&munged, "step:12.0");
    /* A first connection tells where the credential ends. */
    long cred_at = 10 + 100, route_at = -1;
    for (int i = 0; i < 3; i++) {
        struct relay r;
        struct end c = {.in_order = true};
        relay_open(&r, w, i == 0 ? -1 : i == 1 ? cred_at : route_at);
        c.link = wire_link_dial(w->base, r.target, &opts, &end_ops, &c, NULL);
        relay_until(&r, i == 0 ? &c.ups : &c.downs);
        if (i == 0)
            route_at = (long)hello_length(r.copy) - 1; /* step:12.0 -> step:12.1 */
        assert_int_equal(c.ups, i == 0);
        wire_link_close(c.link);
        relay_close(&r);
        w->server.downs = w->server.ups = 0;
        wire_link_close(w->server.link);
        w->server.link = NULL;
    }
    assert_string_equal(w->route, "step:12.1"); /* seen, but TLS did not come up */
    assert_int_equal(w->server.ups, 0);
}

static void a_silent_peer_does_not_keep_others_out(void **state)
{
    struct world *w = *state;
    enum { SILENT = 1100 };
    static int fds[SILENT];
    for (int i = 0; i < SILENT; i++) {
        fds[i] = tcp(w);
        if (i % 100 == 0)
            turn(w);
    }
    struct end c;
    struct wire_dial_opts opts = opts_of(&munged, NULL);
    dial(w, &c, &opts);
    until(w, &c.ups, 1);
    until_cut_off(w, fds[0]); /* the oldest had to go */
    for (int i = 1; i < SILENT; i++)
        close(fds[i]);
    wire_link_close(c.link);
    until(w, &w->server.downs, 1);
}

static void a_listener_may_go_while_peers_are_at_the_door(void **state)
{
    struct world *w = *state;
    struct end c[4];
    struct wire_dial_opts opts = opts_of(&munged, NULL);
    for (int i = 0; i < 4; i++)
        dial(w, &c[i], &opts);
    event_base_loop(w->base, EVLOOP_NONBLOCK);
    event_base_loop(w->base, EVLOOP_NONBLOCK);
    wire_listener_close(w->listener);
    w->listener = NULL;
    wire_link_close(c[0].link);
    for (int i = 1; i < 4; i++) { /* on a busy machine one may have come in before */
        int over = 0;
        usec_t end = clock_mono_usec() + DEADLINE;
        for (; !over && clock_mono_usec() < end; over = c[i].downs + c[i].ups)
            turn(w);
        assert_int_not_equal(over, 0);
        if (!c[i].downs)
            wire_link_close(c[i].link);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        /* before this process starts helper threads of its own, which fork() loses */
        T(the_peer_is_who_it_is),
        T(links_talk_over_tls),
        T(a_pause_over_tls_loses_nothing),
        T(a_wrong_munge_key_gets_nothing),
        T(a_service_of_another_user_gets_nothing),
        T(dead_munged_and_dead_port_are_told),
        T(a_dial_is_over_in_time),
        T(a_route_is_handed_over),
        T(garbage_is_cut_off),
        T(a_replayed_credential_is_refused),
        T(a_changed_route_or_credential_is_refused),
        T(a_silent_peer_does_not_keep_others_out),
        T(a_listener_may_go_while_peers_are_at_the_door),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
