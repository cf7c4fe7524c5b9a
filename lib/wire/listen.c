/* SPDX-License-Identifier: Apache-2.0
 *
 * Listeners: sockets that turn into links.
 */
#include "config.h"
#include "wire/addr.h"
#include "wire/link.h"

#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BACKLOG 4096            /* the kernel cuts it to net.core.somaxconn */
#define ACCEPTS_PER_TURN 64     /* so that a flood does not stop the links */
#define FULL_RETRY USEC_PER_SEC /* out of descriptors: look again after */

struct wire_listener {
    struct event_base *base;
    int fd; /* -1 once closed; the struct stays for its links */
    struct wire_listener_ops ops;
    void *arg;
    struct event on_accept, on_time;
    unsigned links_count; /* alive */
    unsigned depth;
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* "": TCP */
    dev_t dev; /* of the socket file, to remove no other's */
    ino_t ino;
};

static void listener_release(struct wire_listener *l)
{
    if (l->fd < 0 && l->links_count == 0 && l->depth == 0)
        free(l);
}

static void link_gone(void *owner)
{
    struct wire_listener *l = owner;
    l->links_count--;
    listener_release(l);
}

static void accept_pause(struct wire_listener *l)
{
    struct timeval tv = {.tv_sec = FULL_RETRY / USEC_PER_SEC};
    event_del(&l->on_accept);
    event_add(&l->on_time, &tv);
}

/* The owner sets the link's callbacks or closes it; a link without callbacks would
 * stay for ever. */
static void accept_unix(struct wire_listener *l, int fd)
{
    struct wire_peer peer;
    struct err err;
    if (peer_set_unix(&peer, fd, &err) < 0) {
        log_warn("wire", "socket=%s %s", l->path, err.text);
        close(fd);
        return;
    }
    struct wire_link *link = link_create(l->base, fd, NULL, NULL);
    link->chan.peer = peer;
    link->owner = l;
    link->gone = link_gone;
    l->links_count++;
    link_enter(link);
    l->ops.accepted(link, l->arg);
    if (!link->ops)
        wire_link_close(link);
    link_leave(link);
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
                          "socket=%s cannot accept: %s; raise the limit on open"
                          " files",
                          l->path, strerror(errno));
                accept_pause(l);
            }
            break;
        }
        if (l->links_count >= CLIENTS_MAX) {
            log_warn("wire", "socket=%s refused: %u connections are open", l->path,
                     l->links_count);
            close(fd);
            continue;
        }
        accept_unix(l, fd);
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

/* Removes a socket file that nobody listens on. */
static int unix_clear(const struct target *t, struct err *err)
{
    struct stat st;
    if (lstat(t->un.sun_path, &st) < 0)
        return errno == ENOENT ? 0 : err_errno(err, "socket %s", t->un.sun_path);
    if (!S_ISSOCK(st.st_mode))
        return err_set(err, -EEXIST, "socket %s: a file that is no socket is there",
                       t->un.sun_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_errno(err, "socket");
    int rc = connect(fd, (const struct sockaddr *)&t->un, sizeof(t->un));
    int why = errno;
    close(fd);
    if (rc == 0 || why == EAGAIN)
        return err_set(err, -EADDRINUSE, "socket %s: another program listens on it",
                       t->un.sun_path);
    if (unlink(t->un.sun_path) < 0 && errno != ENOENT)
        return err_errno(err, "remove old socket %s", t->un.sun_path);
    return 0;
}

static int unix_listen(struct wire_listener *l, const struct target *t, mode_t mode,
                       struct err *err)
{
    int rc = unix_clear(t, err);
    if (rc < 0)
        return rc;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_errno(err, "socket");
    struct stat st;
    /* Linux takes the mode of the socket inode for the file, so that it is at no
     * instant wider than asked; chmod() only undoes the umask. */
    if (fchmod(fd, mode) < 0 ||
        bind(fd, (const struct sockaddr *)&t->un, sizeof(t->un)) < 0 ||
        chmod(t->un.sun_path, mode) < 0 || lstat(t->un.sun_path, &st) < 0 ||
        listen(fd, BACKLOG) < 0) {
        rc = err_errno(err, "listen on %s", t->un.sun_path);
        close(fd);
        return rc;
    }
    l->fd = fd;
    l->dev = st.st_dev;
    l->ino = st.st_ino;
    memcpy(l->path, t->un.sun_path, sizeof(l->path));
    return 0;
}

struct wire_listener *wire_listen(struct event_base *base, const char *target,
                                  mode_t mode, const char *munge_socket,
                                  const struct wire_listener_ops *ops, void *arg,
                                  struct err *err)
{
    (void)munge_socket;
    struct target t;
    if (target_parse(target, &t, err) < 0)
        return NULL;
    if (!t.local) {
        err_set(err, SL_ENOT_BUILT, "%s: connections over TCP are not built yet",
                target);
        return NULL;
    }
    struct wire_listener *l = xcalloc(1, sizeof(*l));
    l->base = base;
    l->fd = -1;
    l->ops = *ops;
    l->arg = arg;
    if (unix_listen(l, &t, mode, err) < 0) {
        free(l);
        return NULL;
    }
    event_assign(&l->on_accept, base, l->fd, EV_READ | EV_PERSIST, accept_cb, l);
    event_assign(&l->on_time, base, -1, 0, time_cb, l);
    event_add(&l->on_accept, NULL);
    return l;
}

void wire_listener_close(struct wire_listener *l)
{
    if (!l)
        return;
    event_del(&l->on_accept);
    event_del(&l->on_time);
    struct stat st;
    if (l->path[0] && lstat(l->path, &st) == 0 && st.st_dev == l->dev &&
        st.st_ino == l->ino)
        unlink(l->path);
    close(l->fd);
    l->fd = -1;
    listener_release(l);
}

unsigned wire_listener_port(const struct wire_listener *l)
{
    (void)l;
    return 0;
}
