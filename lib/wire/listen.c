/* SPDX-License-Identifier: Apache-2.0
 *
 * Listeners: sockets that turn into links.
 *
 * A TCP peer is nobody until its credential was decoded and TLS is up. Of such
 * connections only STRANGERS_MAX are held; the oldest goes when one more comes, so
 * that those who connect and say nothing cannot keep others out.
 */
#include "config.h"
#include "wire/bind.h"
#include "wire/link.h"

#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BACKLOG 4096        /* the kernel cuts it to net.core.somaxconn */
#define ACCEPTS_PER_TURN 64 /* so that a flood does not stop the links */
#define STRANGERS_MAX 1024
#define FULL_RETRY USEC_PER_SEC /* out of descriptors: look again after */

struct stranger {
    TAILQ_ENTRY(stranger) next;
    struct wire_listener *listener;
    struct shake *shake;
};

struct wire_listener {
    struct event_base *base;
    int fd; /* -1 once closed; the struct stays for its links */
    struct wire_listener_ops ops;
    void *arg;
    struct event on_accept, on_time;
    unsigned links_count;             /* alive */
    TAILQ_HEAD(, stranger) strangers; /* oldest first */
    unsigned strangers_count;
    struct offload_port *port; /* TCP */
    char *munge_socket;
    char name[300]; /* for logs */
    unsigned depth;
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* "": TCP */
    struct stat file; /* the socket file's, to remove no other's */
    unsigned tcp_port;
};

static void listener_release(struct wire_listener *l)
{
    if (l->fd >= 0 || l->links_count > 0 || l->depth > 0)
        return;
    free(l->munge_socket);
    free(l);
}

static void link_gone(void *owner)
{
    struct wire_listener *l = owner;
    l->links_count--;
    listener_release(l);
}

/* The owner sets the link's callbacks or closes it; a link without callbacks would
 * stay for ever. */
static void link_hand_over(struct wire_listener *l, int fd, struct wire_tls *tls,
                           const struct wire_peer *peer)
{
    struct wire_link *link = link_create(l->base, fd, tls, peer, NULL, NULL);
    link->owner = l;
    link->gone = link_gone;
    l->links_count++;
    link_enter(link);
    l->ops.accepted(link, l->arg);
    if (!link->ops)
        wire_link_close(link);
    link_leave(link);
}

static void accept_pause(struct wire_listener *l)
{
    struct timeval tv = {.tv_sec = FULL_RETRY / USEC_PER_SEC};
    event_del(&l->on_accept);
    event_add(&l->on_time, &tv);
}

static void stranger_free(struct stranger *st)
{
    struct wire_listener *l = st->listener;
    TAILQ_REMOVE(&l->strangers, st, next);
    l->strangers_count--;
    shake_destroy(st->shake);
    free(st);
}

static void stranger_known(void *owner, struct shake_result *r, const struct err *why)
{
    struct stranger *st = owner;
    struct wire_listener *l = st->listener;
    st->shake = NULL;
    stranger_free(st);
    if (why) {
        log_warn("wire", "listener=%s peer=%s refused: %s", l->name, r->peer.addr,
                 why->text);
        return;
    }
    l->depth++;
    if (r->tls) {
        link_hand_over(l, r->fd, r->tls, &r->peer);
    } else if (l->ops.routed) {
        l->ops.routed(r->fd, r->route, &r->peer, r->psk, l->arg);
    } else {
        log_warn("wire", "listener=%s peer=%s uid=%u refused: route %s is not served",
                 l->name, r->peer.addr, (unsigned)r->peer.uid, r->route);
        close(r->fd);
    }
    l->depth--;
    listener_release(l);
}

/* peer: of a Unix socket; NULL: TCP. */
static void accept_stranger(struct wire_listener *l, int fd, const struct wire_peer *peer)
{
    struct err err;
    if (l->strangers_count >= STRANGERS_MAX) {
        struct stranger *oldest = TAILQ_FIRST(&l->strangers);
        log_warn(
            "wire",
            "listener=%s peer=%s dropped: %u connections have not said who they are",
            l->name, shake_peer(oldest->shake)->addr, l->strangers_count);
        stranger_free(oldest);
    }
    struct stranger *st = xcalloc(1, sizeof(*st));
    st->listener = l;
    st->shake = peer ? shake_accept_local(l->base, fd, peer, stranger_known, st, &err)
                     : shake_accept(l->base, l->port, fd, l->munge_socket, stranger_known,
                                    st, &err);
    if (!st->shake) {
        log_warn("wire", "listener=%s %s", l->name, err.text);
        free(st);
        return;
    }
    TAILQ_INSERT_TAIL(&l->strangers, st, next);
    l->strangers_count++;
}

static void accept_unix(struct wire_listener *l, int fd)
{
    struct wire_peer peer;
    struct err err;
    if (peer_set_unix(&peer, fd, &err) < 0) {
        log_warn("wire", "listener=%s %s", l->name, err.text);
        close(fd);
    } else if (l->ops.accepted) {
        link_hand_over(l, fd, NULL, &peer);
    } else {
        accept_stranger(l, fd, &peer);
    }
}

static void accept_cb(evutil_socket_t listen_fd, short what, void *arg)
{
    (void)what;
    struct wire_listener *l = arg;
    l->depth++;
    for (int i = 0; i < ACCEPTS_PER_TURN && l->fd >= 0; i++) {
        int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
                errno == ENOMEM) {
                log_error("wire",
                          "listener=%s cannot accept: %s; raise the limit on open"
                          " files",
                          l->name, strerror(errno));
                accept_pause(l);
            }
            break;
        }
        if (l->links_count >= CLIENTS_MAX) {
            log_warn("wire", "listener=%s refused: %u connections are open", l->name,
                     l->links_count);
            close(fd);
            continue;
        }
        if (l->path[0])
            accept_unix(l, fd);
        else
            accept_stranger(l, fd, NULL);
    }
    l->depth--;
    listener_release(l);
}

static void time_cb(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct wire_listener *l = arg;
    event_add(&l->on_accept, NULL);
}

static int listener_bind(struct wire_listener *l, const char *target,
                         const struct target *t, mode_t mode, struct err *err)
{
    snprintf(l->name, sizeof(l->name), "%s", target);
    if (t->local) {
        l->fd = bind_unix(t, mode, &l->file, err);
        memcpy(l->path, t->un.sun_path, sizeof(l->path));
        return l->fd;
    }
    /* A daemon that cannot check credentials should not come up. */
    if (!wire_tls_load(err))
        return -ENOENT;
    l->fd = bind_tcp(t, &l->tcp_port, err);
    if (l->fd >= 0 && !(l->port = offload_port_create(l->base, err))) {
        close(l->fd);
        l->fd = -EMFILE;
    }
    return l->fd;
}

static struct wire_listener *listener_new(struct event_base *base,
                                          const struct wire_listener_ops *ops, void *arg)
{
    struct wire_listener *l = xcalloc(1, sizeof(*l));
    l->base = base;
    l->ops = *ops;
    l->arg = arg;
    TAILQ_INIT(&l->strangers);
    return l;
}

static void listener_begin(struct wire_listener *l, const char *munge_socket)
{
    l->munge_socket = xstrdup(munge_socket ? munge_socket : "");
    event_assign(&l->on_accept, l->base, l->fd, EV_READ | EV_PERSIST, accept_cb, l);
    event_assign(&l->on_time, l->base, -1, 0, time_cb, l);
    event_add(&l->on_accept, NULL);
}

struct wire_listener *wire_listen(struct event_base *base, const char *target,
                                  mode_t mode, const char *munge_socket,
                                  const struct wire_listener_ops *ops, void *arg,
                                  struct err *err)
{
    struct target t;
    if (target_parse(target, &t, err) < 0)
        return NULL;
    struct wire_listener *l = listener_new(base, ops, arg);
    if (listener_bind(l, target, &t, mode, err) < 0) {
        free(l);
        return NULL;
    }
    listener_begin(l, munge_socket);
    return l;
}

struct wire_listener *wire_listen_again(struct event_base *base, int fd, const char *target,
                                        const struct wire_listener_ops *ops, void *arg,
                                        struct err *err)
{
    struct target t;
    struct stat st;
    int peer, rc = target_parse(target, &t, err);
    if (rc == 0 && lstat(t.un.sun_path, &st) < 0)
        rc = err_errno(err, "%s", target);
    if (rc < 0) {
        close(fd);
        return NULL;
    }
    while ((peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC)) >= 0 || errno == ECONNABORTED)
        if (peer >= 0)
            close(peer);
    struct wire_listener *l = listener_new(base, ops, arg);
    l->fd = fd;
    l->file = st;
    snprintf(l->name, sizeof(l->name), "%s", target);
    memcpy(l->path, t.un.sun_path, sizeof(l->path));
    listener_begin(l, NULL);
    return l;
}

static void listener_end(struct wire_listener *l)
{
    event_del(&l->on_accept);
    event_del(&l->on_time);
    struct stranger *stranger;
    while ((stranger = TAILQ_FIRST(&l->strangers)))
        stranger_free(stranger);
    offload_port_destroy(l->port);
    l->port = NULL;
    l->fd = -1;
    listener_release(l);
}

void wire_listener_close(struct wire_listener *l)
{
    struct stat st;
    if (!l)
        return;
    if (l->path[0] && lstat(l->path, &st) == 0 && st.st_dev == l->file.st_dev &&
        st.st_ino == l->file.st_ino)
        unlink(l->path);
    int fd = l->fd;
    listener_end(l);
    close(fd);
}

int wire_listener_detach(struct wire_listener *l)
{
    int fd = l->fd;
    listener_end(l);
    return fd;
}

unsigned wire_listener_port(const struct wire_listener *l)
{
    return l->tcp_port;
}
