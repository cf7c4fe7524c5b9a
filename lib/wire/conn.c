/* SPDX-License-Identifier: Apache-2.0
 *
 * Blocking connections for commands: a chan and poll().
 */
#include "wire/chan.h"
#include "wire/shake.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define DIAL_TIMEOUT (2 * USEC_PER_SEC)

struct wire_conn {
    struct chan chan;
};

/* Waits for events until the deadline (negative: for ever): 1 ready, 0 timeout. */
static int conn_wait(struct wire_conn *c, short events, usec_t deadline)
{
    for (;;) {
        int ms = -1;
        if (deadline >= 0) {
            usec_t left = deadline - clock_mono_usec();
            ms = left <= 0                 ? 0
                 : left / 1000 >= 86400000 ? 86400000
                                           : (int)(left / 1000 + 1);
        }
        struct pollfd p = {.fd = c->chan.fd, .events = events};
        int n = poll(&p, 1, ms);
        if (n > 0)
            return p.revents;
        if (n == 0 && (ms == 0 || clock_mono_usec() >= deadline))
            return 0;
        if (n < 0 && errno != EINTR)
            return POLLERR;
    }
}

/* SO_SNDTIMEO bounds connect() on a Unix socket, where a full backlog cannot be
 * polled for. */
static int unix_connect(const struct target *t, usec_t timeout, struct err *err)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_errno(err, "socket");
    struct timeval tv = {.tv_sec = timeout / USEC_PER_SEC,
                         .tv_usec = timeout % USEC_PER_SEC};
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
    int rc;
    do
        rc = connect(fd, (const struct sockaddr *)&t->un, sizeof(t->un));
    while (rc < 0 && errno == EINTR);
    if (rc < 0) {
        rc = err_errno(err, "connect to %s", t->un.sun_path);
        close(fd);
        return rc;
    }
    if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0) {
        rc = err_errno(err, "O_NONBLOCK");
        close(fd);
        return rc;
    }
    return fd;
}

/* The kernel has said who each side is: the route is all that is left to say. */
static int route_ask(struct wire_conn *c, const struct wire_dial_opts *opts, struct err *err)
{
    struct hello hello = {0};
    uint8_t bytes[HELLO_BYTES_MAX];
    if (c->chan.peer.uid != opts->service_uid && c->chan.peer.uid != 0)
        return err_set(err, SL_EAUTH, "the service there runs as uid %u, not %u",
                       (unsigned)c->chan.peer.uid, (unsigned)opts->service_uid);
    int rc = hello_route_check(opts->route, err);
    if (rc < 0)
        return rc;
    strcpy(hello.route, opts->route);
    int n = hello_pack(&hello, bytes);
    if (n < 0 || send(c->chan.fd, bytes, (size_t)n, MSG_NOSIGNAL) != n)
        return err_errno(err, "route %s", opts->route);
    return 0;
}

static struct wire_conn *dial_unix(const struct target *t, const struct wire_dial_opts *opts,
                                   usec_t timeout, struct err *err)
{
    int fd = unix_connect(t, timeout, err);
    if (fd < 0)
        return NULL;
    struct wire_conn *c = xcalloc(1, sizeof(*c));
    chan_init(&c->chan, fd);
    int rc = peer_set_unix(&c->chan.peer, fd, err);
    if (rc == 0 && opts->route && opts->route[0])
        rc = route_ask(c, opts, err);
    if (rc < 0) {
        wire_conn_close(c);
        return NULL;
    }
    return c;
}

struct dial_end {
    struct wire_conn *conn; /* NULL: failed */
    struct err *err;
};

static void dial_done(void *owner, struct shake_result *r, const struct err *why)
{
    struct dial_end *end = owner;
    if (why) {
        if (end->err)
            *end->err = *why;
        return;
    }
    end->conn = xcalloc(1, sizeof(*end->conn));
    chan_init(&end->conn->chan, r->fd);
    chan_set_tls(&end->conn->chan, r->tls);
    end->conn->chan.peer = r->peer;
}

/* A loop of its own carries the connection to the point where poll() can take over; so
 * the deadline holds even while the name service or munged hangs. */
static struct wire_conn *dial_tcp(const struct target *t,
                                  const struct wire_dial_opts *opts, usec_t timeout,
                                  struct err *err)
{
    struct dial_end end = {.err = err};
    struct event_base *base = event_base_new();
    ASSERT(base);
    if (shake_dial(base, t, opts, timeout, dial_done, &end, err))
        event_base_dispatch(base); /* until no event is left */
    event_base_free(base);
    return end.conn;
}

struct wire_conn *wire_dial(const char *target, const struct wire_dial_opts *opts,
                            struct err *err)
{
    static const struct wire_dial_opts none;
    struct target t;
    if (target_parse(target, &t, err) < 0)
        return NULL;
    if (!opts)
        opts = &none;
    usec_t timeout = opts->timeout > 0 ? opts->timeout : DIAL_TIMEOUT;
    return t.local ? dial_unix(&t, opts, timeout, err) : dial_tcp(&t, opts, timeout, err);
}

void wire_conn_close(struct wire_conn *c)
{
    if (!c)
        return;
    chan_fini(&c->chan);
    free(c);
}

int wire_conn_fd(const struct wire_conn *c)
{
    return c->chan.fd;
}

const struct wire_peer *wire_conn_peer(const struct wire_conn *c)
{
    return &c->chan.peer;
}

bool wire_conn_pending(const struct wire_conn *c)
{
    return chan_has_frame(&c->chan) || c->chan.tls_unread;
}

/* While the peer does not read, takes in what it sends: two programs that both send
 * a lot would wait for each other for ever. What is taken in is bounded; the error of
 * a closed connection is left for the write to meet. */
static void conn_drain(struct wire_conn *c)
{
    while (c->chan.in.len - c->chan.in_pos < 2 * (size_t)FRAME_BYTES_MAX)
        if (chan_fill(&c->chan, READ_TURN_BYTES, NULL) <= 0)
            break;
}

static int conn_flush(struct wire_conn *c, struct err *err)
{
    int rc;
    while ((rc = chan_flush(&c->chan, err)) == 0) {
        bool room = c->chan.in.len - c->chan.in_pos < 2 * (size_t)FRAME_BYTES_MAX;
        int ready = conn_wait(c, (short)(POLLOUT | (room ? POLLIN : 0)), -1);
        if ((ready & POLLIN) && !(ready & POLLHUP))
            conn_drain(c);
    }
    return rc < 0 ? rc : 0;
}

int wire_send(struct wire_conn *c, enum wire_type type, uint32_t tag,
              const ProtobufCMessage *body, struct err *err)
{
    int rc = wire_pack(&c->chan.out, type, tag, body, err);
    return rc < 0 ? rc : conn_flush(c, err);
}

int wire_send_packed(struct wire_conn *c, const void *frames, size_t n, struct err *err)
{
    buf_put(&c->chan.out, frames, n);
    return conn_flush(c, err);
}

int wire_recv(struct wire_conn *c, usec_t timeout, struct wire_msg *m, struct err *err)
{
    usec_t deadline = timeout < 0 ? -1 : clock_mono_usec() + timeout;
    for (;;) {
        int fd;
        int rc = chan_next(&c->chan, m, &fd, err);
        if (fd >= 0)
            close(fd);
        if (rc != 0)
            return rc;
        ssize_t got = chan_fill(&c->chan, READ_TURN_BYTES, err);
        if (got == -EAGAIN) {
            if (conn_wait(c, POLLIN, deadline) == 0)
                return 0;
        } else if (got < 0) {
            return (int)got;
        }
    }
}
