/* SPDX-License-Identifier: Apache-2.0
 *
 * Event-driven connections. A link is a chan and four events: readable, writable,
 * "this turn" and a timer.
 *
 * Sending only appends; the output is written by the "this turn" event, which
 * libevent runs behind the callbacks already active, so that all frames queued in
 * one turn leave in one system call. Nothing but that event and the read event
 * finds a connection broken, so wire_link_send() never calls back.
 *
 * A callback may close its own link at any point: `depth` keeps the struct until
 * the last function that uses it has returned.
 */
#include "wire/link.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FULL_BYTES (CLIENT_OUTQ_BYTES_MAX / 4)
#define DIAL_TIMEOUT (2 * USEC_PER_SEC)
#define DIAL_RETRY (10 * 1000)             /* a Unix listener's backlog was full */
#define FINISH_TIMEOUT (10 * USEC_PER_SEC) /* for a peer that does not read */

void link_enter(struct wire_link *l)
{
    l->depth++;
}

void link_leave(struct wire_link *l)
{
    ASSERT(l->depth > 0);
    if (--l->depth > 0 || l->state != LINK_DEAD)
        return;
    chan_fini(&l->chan);
    if (l->msg_fd >= 0)
        close(l->msg_fd);
    if (l->gone)
        l->gone(l->owner);
    free(l->target);
    free(l);
}

/* Stops all events and lets go of the socket now, of the memory in link_leave(). */
static void link_kill(struct wire_link *l)
{
    if (l->state == LINK_DEAD)
        return;
    l->state = LINK_DEAD;
    if (l->events_assigned) {
        event_del(&l->on_read);
        event_del(&l->on_write);
    }
    event_del(&l->on_turn);
    event_del(&l->on_time);
    shake_destroy(l->shake);
    l->shake = NULL;
    chan_fini(&l->chan);
}

static void link_fail(struct wire_link *l, const char *why)
{
    bool silent = l->state == LINK_FINISHING || l->state == LINK_DEAD;
    link_kill(l);
    if (!silent && l->ops && l->ops->down)
        l->ops->down(l, why, l->arg);
}

static void link_turn(struct wire_link *l)
{
    event_active(&l->on_turn, EV_WRITE, 0);
}

static void timer_set(struct wire_link *l, usec_t span)
{
    struct timeval tv = {.tv_sec = span / USEC_PER_SEC, .tv_usec = span % USEC_PER_SEC};
    event_add(&l->on_time, &tv);
}

/* up comes before anything else, and from the loop. */
static void link_announce(struct wire_link *l)
{
    if (l->announced || l->state != LINK_UP)
        return;
    l->announced = true;
    if (l->ops && l->ops->up)
        l->ops->up(l, l->arg);
}

/* Tells a peer of another version why it is cut off; it may not read it. */
static void link_refuse(struct wire_link *l, const struct err *why)
{
    Sl__ErrorReply reply = SL__ERROR_REPLY__INIT;
    reply.code = why->code;
    reply.text = (char *)(uintptr_t)why->text;
    if (wire_pack(&l->chan.out, WIRE_ERROR, 0, &reply.base, NULL) == 0)
        (void)chan_flush(&l->chan, NULL);
}

/* Delivers the frames that have arrived. */
static void link_deliver(struct wire_link *l)
{
    while (l->state == LINK_UP && !l->paused) {
        struct wire_msg m = {0};
        struct err err;
        int rc = chan_next(&l->chan, &m, &l->msg_fd, &err);
        if (rc == 0)
            return;
        if (rc < 0) {
            if (rc == SL_EVERSION)
                link_refuse(l, &err);
            link_fail(l, err.text);
            return;
        }
        if (l->ops && l->ops->message)
            l->ops->message(l, &m, l->arg);
        wire_msg_clear(&m);
        if (l->msg_fd >= 0)
            close(l->msg_fd);
        l->msg_fd = -1;
    }
}

static void link_read_turn(struct wire_link *l)
{
    for (size_t budget = READ_TURN_BYTES; budget > 0;) {
        struct err err;
        ssize_t got = chan_fill(&l->chan, budget, &err);
        if (got == -EAGAIN)
            return;
        if (got < 0) {
            link_fail(l, err.text);
            return;
        }
        link_deliver(l);
        if (l->state != LINK_UP || l->paused)
            return;
        budget -= (size_t)got;
    }
    /* What TLS has read ahead raises no event. */
    if (l->chan.tls_unread)
        event_active(&l->on_read, EV_READ, 0);
}

/* A finishing link only waits for the peer's end of file. */
static void link_read_rest(struct wire_link *l)
{
    for (size_t budget = READ_TURN_BYTES; budget > 0;) {
        ssize_t got = chan_fill(&l->chan, budget, NULL);
        if (got == -EAGAIN)
            return;
        if (got < 0) {
            link_kill(l);
            return;
        }
        l->chan.in_start += l->chan.in.len;
        buf_clear(&l->chan.in);
        budget -= (size_t)got;
    }
    if (l->chan.tls_unread)
        event_active(&l->on_read, EV_READ, 0);
}

static void read_cb(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct wire_link *l = arg;
    link_enter(l);
    link_announce(l);
    if (l->state == LINK_FINISHING)
        link_read_rest(l);
    else if (l->state == LINK_UP && !l->paused)
        link_read_turn(l);
    link_leave(l);
}

static size_t full_bytes(const struct wire_link *l)
{
    return l->full_bytes ? l->full_bytes : FULL_BYTES;
}

static void link_drained(struct wire_link *l)
{
    if (!l->was_full || chan_queued(&l->chan) > full_bytes(l) / 2)
        return;
    l->was_full = false;
    if (l->state == LINK_UP && l->ops && l->ops->drained)
        l->ops->drained(l, l->arg);
}

static void link_write_turn(struct wire_link *l)
{
    if (l->state != LINK_UP && l->state != LINK_FINISHING)
        return;
    struct err err;
    int rc = chan_flush(&l->chan, &err);
    if (rc < 0) {
        link_fail(l, err.text);
        return;
    }
    if (rc == 0)
        event_add(&l->on_write, NULL);
    if (rc == 1 && l->state == LINK_FINISHING)
        /* Closing with input unread would reset the connection under the output. */
        chan_finish(&l->chan);
    link_drained(l);
}

static void write_cb(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct wire_link *l = arg;
    link_enter(l);
    link_write_turn(l);
    link_leave(l);
}

static void turn_cb(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct wire_link *l = arg;
    link_enter(l);
    link_announce(l);
    link_deliver(l); /* what was held back by a pause */
    link_write_turn(l);
    link_leave(l);
}

static void link_dial_unix(struct wire_link *l);

static void time_cb(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct wire_link *l = arg;
    link_enter(l);
    if (l->state == LINK_FINISHING)
        link_kill(l);
    else if (l->state == LINK_CONNECTING)
        link_dial_unix(l);
    link_leave(l);
}

static struct wire_link *link_alloc(struct event_base *base,
                                    const struct wire_link_ops *ops, void *arg)
{
    struct wire_link *l = xcalloc(1, sizeof(*l));
    l->base = base;
    l->ops = ops;
    l->arg = arg;
    l->msg_fd = -1;
    l->state = LINK_CONNECTING;
    chan_init(&l->chan, -1);
    event_assign(&l->on_turn, base, -1, 0, turn_cb, l);
    event_assign(&l->on_time, base, -1, 0, time_cb, l);
    return l;
}

static void link_read_start(struct wire_link *l)
{
    event_add(&l->on_read, NULL);
    if (l->chan.tls_unread)
        event_active(&l->on_read, EV_READ, 0);
}

/* The socket is connected and the peer known. */
static void link_start(struct wire_link *l, int fd, struct wire_tls *tls,
                       const struct wire_peer *peer)
{
    l->chan.fd = fd;
    l->chan.peer = *peer;
    chan_set_tls(&l->chan, tls);
    l->state = LINK_UP;
    event_assign(&l->on_read, l->base, fd, EV_READ | EV_PERSIST, read_cb, l);
    event_assign(&l->on_write, l->base, fd, EV_WRITE, write_cb, l);
    l->events_assigned = true;
    if (!l->paused)
        link_read_start(l);
    link_turn(l);
}

struct wire_link *link_create(struct event_base *base, int fd, struct wire_tls *tls,
                              const struct wire_peer *peer,
                              const struct wire_link_ops *ops, void *arg)
{
    struct wire_link *l = link_alloc(base, ops, arg);
    link_start(l, fd, tls, peer);
    return l;
}

struct wire_link *wire_link_unix(struct event_base *base, int fd,
                                 const struct wire_link_ops *ops, void *arg,
                                 struct err *err)
{
    struct wire_peer peer;
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
        fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) {
        err_errno(err, "descriptor %d", fd);
        return NULL;
    }
    if (peer_set_unix(&peer, fd, err) < 0)
        return NULL;
    return link_create(base, fd, NULL, &peer, ops, arg);
}

static void link_shaken(void *owner, struct shake_result *r, const struct err *why)
{
    struct wire_link *l = owner;
    link_enter(l);
    l->shake = NULL;
    if (why)
        link_fail(l, why->text);
    else
        link_start(l, r->fd, r->tls, &r->peer);
    link_leave(l);
}

struct wire_link *wire_link_accept_psk(struct event_base *base, int fd,
                                       const unsigned char psk[32],
                                       const struct wire_peer *peer,
                                       const struct wire_link_ops *ops, void *arg,
                                       struct err *err)
{
    struct wire_link *l = link_alloc(base, ops, arg);
    l->chan.peer = *peer;
    l->shake = shake_adopt(base, fd, psk, peer, link_shaken, l, err);
    if (l->shake)
        return l;
    wire_link_close(l);
    return NULL;
}

/* One attempt: 0 connected (*fd), -EAGAIN the listener's backlog is full, else an
 * error. */
static int unix_connect(const struct target *t, int *fd, struct err *err)
{
    *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (*fd < 0)
        return err_errno(err, "socket");
    if (connect(*fd, (const struct sockaddr *)&t->un, sizeof(t->un)) == 0)
        return 0;
    int rc = err_errno(err, "connect to %s", t->un.sun_path);
    close(*fd);
    return rc;
}

static int link_try_unix(struct wire_link *l, struct err *err)
{
    int fd;
    int rc = unix_connect(l->target, &fd, err);
    if (rc == -EAGAIN && clock_mono_usec() < l->deadline) {
        timer_set(l, DIAL_RETRY);
        return 0;
    }
    struct wire_peer peer;
    if (rc == 0 && (rc = peer_set_unix(&peer, fd, err)) < 0)
        close(fd);
    if (rc == 0)
        link_start(l, fd, NULL, &peer);
    return rc;
}

static void link_dial_unix(struct wire_link *l)
{
    struct err err;
    if (link_try_unix(l, &err) < 0)
        link_fail(l, err.text);
}

struct wire_link *wire_link_dial(struct event_base *base, const char *target,
                                 const struct wire_dial_opts *opts,
                                 const struct wire_link_ops *ops, void *arg,
                                 struct err *err)
{
    static const struct wire_dial_opts none;
    struct target t;
    if (target_parse(target, &t, err) < 0)
        return NULL;
    if (!opts)
        opts = &none;
    usec_t timeout = opts->timeout > 0 ? opts->timeout : DIAL_TIMEOUT;
    struct wire_link *l = link_alloc(base, ops, arg);
    snprintf(l->chan.peer.addr, sizeof(l->chan.peer.addr), "%s", target);
    int rc = 0;
    if (t.local) {
        l->target = xmalloc(sizeof(t));
        *l->target = t;
        l->deadline = clock_mono_usec() + timeout;
        rc = link_try_unix(l, err);
    } else {
        l->shake = shake_dial(base, &t, opts, timeout, link_shaken, l, err);
    }
    if (rc == 0 && (t.local || l->shake))
        return l;
    wire_link_close(l);
    return NULL;
}

void wire_link_close(struct wire_link *l)
{
    if (!l || l->state == LINK_DEAD)
        return;
    link_enter(l);
    link_kill(l);
    link_leave(l);
}

void wire_link_finish(struct wire_link *l)
{
    if (!l || l->state == LINK_DEAD || l->state == LINK_FINISHING)
        return;
    if (l->state != LINK_UP) {
        wire_link_close(l);
        return;
    }
    l->state = LINK_FINISHING;
    l->ops = NULL;
    link_read_start(l);
    timer_set(l, FINISH_TIMEOUT);
    link_turn(l);
}

const struct wire_peer *wire_link_peer(const struct wire_link *l)
{
    return &l->chan.peer;
}

bool wire_link_is_up(const struct wire_link *l)
{
    return l->state == LINK_UP;
}

/* A queue may go over its bound by one message. */
static int link_room(const struct wire_link *l, struct err *err)
{
    if (l->state != LINK_UP && l->state != LINK_CONNECTING)
        return err_set(err, -EPIPE, "connection to %s is closed", l->chan.peer.addr);
    if (chan_queued(&l->chan) > CLIENT_OUTQ_BYTES_MAX)
        return err_set(err, -ENOBUFS, "%zu bytes wait for %s, which does not read",
                       chan_queued(&l->chan), l->chan.peer.addr);
    return 0;
}

static void link_queued(struct wire_link *l)
{
    if (wire_link_full(l))
        l->was_full = true;
    if (l->state == LINK_UP)
        link_turn(l);
}

int wire_link_send(struct wire_link *l, enum wire_type type, uint32_t tag,
                   const ProtobufCMessage *body, struct err *err)
{
    int rc = link_room(l, err);
    if (rc == 0)
        rc = wire_pack(&l->chan.out, type, tag, body, err);
    if (rc == 0)
        link_queued(l);
    return rc;
}

int wire_link_send_packed(struct wire_link *l, const void *frames, size_t n)
{
    int rc = link_room(l, NULL);
    if (rc == 0) {
        buf_put(&l->chan.out, frames, n);
        link_queued(l);
    }
    return rc;
}

int wire_link_send_fd(struct wire_link *l, enum wire_type type, uint32_t tag,
                      const ProtobufCMessage *body, int fd, struct err *err)
{
    int rc = link_room(l, err);
    if (rc == 0)
        rc = chan_queue_fd(&l->chan, fd, err);
    if (rc < 0)
        return rc;
    rc = wire_pack(&l->chan.out, type, tag, body, err);
    if (rc < 0) {
        chan_unqueue_fd(&l->chan);
        return rc;
    }
    link_queued(l);
    return 0;
}

int wire_link_take_fd(struct wire_link *l)
{
    int fd = l->msg_fd;
    l->msg_fd = -1;
    return fd;
}

size_t wire_link_queued(const struct wire_link *l)
{
    return chan_queued(&l->chan);
}

bool wire_link_full(const struct wire_link *l)
{
    return chan_queued(&l->chan) > full_bytes(l);
}

void wire_link_set_full(struct wire_link *l, size_t bytes)
{
    l->full_bytes = bytes;
}

void wire_link_pause_reading(struct wire_link *l, bool pause)
{
    if (l->paused == pause)
        return;
    l->paused = pause;
    if (l->state != LINK_UP)
        return;
    if (pause) {
        event_del(&l->on_read);
    } else {
        link_read_start(l);
        link_turn(l);
    }
}

void wire_link_set_ops(struct wire_link *l, const struct wire_link_ops *ops, void *arg)
{
    l->ops = ops;
    l->arg = arg;
}

void *wire_link_arg(const struct wire_link *l)
{
    return l->arg;
}
