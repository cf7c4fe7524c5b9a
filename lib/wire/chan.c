/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/chan.h"

#include "wire/frame.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_BYTES 16384u      /* least room for one read */
#define READ_BYTES_BIG 65536u  /* least room inside a big frame */
#define IDLE_BYTES_MAX 4096u   /* memory that an empty buffer may keep */
#define COMPACT_BYTES 1048576u /* written bytes worth moving the rest for */

void chan_init(struct chan *c, int fd)
{
    memset(c, 0, sizeof(*c));
    c->fd = fd;
    buf_init(&c->in);
    buf_init(&c->out);
    TAILQ_INIT(&c->out_fds);
}

void chan_set_tls(struct chan *c, struct wire_tls *tls)
{
    c->tls = tls;
    c->tls_unread = tls != NULL;
}

void chan_fini(struct chan *c)
{
    if (c->tls)
        c->tls->module->destroy(c->tls);
    c->tls = NULL;
    c->tls_unread = false;
    struct chan_fd *f;
    while ((f = TAILQ_FIRST(&c->out_fds))) {
        TAILQ_REMOVE(&c->out_fds, f, next);
        close(f->fd);
        free(f);
    }
    while (c->in_fds_count > 0)
        close(c->in_fds[--c->in_fds_count].fd);
    if (c->fd >= 0)
        close(c->fd);
    buf_fini(&c->in);
    buf_fini(&c->out);
    c->fd = -1;
}

static void buf_release(struct buf *b)
{
    if (b->cap > IDLE_BYTES_MAX)
        buf_fini(b);
    else
        buf_clear(b);
}

/* Whole length of the frame at the front of the input, 0 when not known yet. */
static size_t chan_frame_length(const struct chan *c)
{
    if (c->in.len - c->in_pos < WIRE_HEADER_BYTES)
        return 0;
    const uint8_t *p = (const uint8_t *)c->in.data + c->in_pos;
    return WIRE_HEADER_BYTES +
           ((size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3]);
}

/* Room for one read. A big frame's room grows with what has arrived, not with what
 * its header promises. */
static size_t chan_read_size(const struct chan *c)
{
    size_t have = c->in.len - c->in_pos, whole = chan_frame_length(c);
    size_t most = have > READ_BYTES_BIG ? have : READ_BYTES_BIG;
    size_t want = whole > have ? whole - have : 0;
    if (want > most)
        want = most;
    return want > READ_BYTES ? want : READ_BYTES;
}

/* The one descriptor that a read may bring. */
static int chan_take_control(struct chan *c, struct msghdr *msg, size_t n,
                             struct err *err)
{
    struct cmsghdr *cm = CMSG_FIRSTHDR(msg);
    int fd = -1;
    if (cm && cm->cmsg_level == SOL_SOCKET && cm->cmsg_type == SCM_RIGHTS &&
        cm->cmsg_len == CMSG_LEN(sizeof(fd)))
        memcpy(&fd, CMSG_DATA(cm), sizeof(fd));
    if (fd >= 0 && (c->in_fds_count == 2 || (msg->msg_flags & MSG_CTRUNC))) {
        close(fd);
        return err_set(err, SL_EPROTO, "more descriptors than messages");
    }
    if (fd >= 0) {
        c->in_fds[c->in_fds_count].fd = fd;
        c->in_fds[c->in_fds_count++].at = c->in_start + c->in.len + n - 1;
    }
    return 0;
}

static ssize_t chan_read_plain(struct chan *c, void *p, size_t n, struct err *err)
{
    /* Exactly one descriptor's room: the kernel closes the others. */
    union {
        char data[CMSG_LEN(sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec iov = {.iov_base = p, .iov_len = n};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    if (c->peer.local) {
        msg.msg_control = control.data;
        msg.msg_controllen = CMSG_LEN(sizeof(int));
    }
    ssize_t got;
    do
        got = recvmsg(c->fd, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return errno == EAGAIN ? -EAGAIN : err_errno(err, "receive");
    if (got > 0 && c->peer.local) {
        int rc = chan_take_control(c, &msg, (size_t)got, err);
        if (rc < 0)
            return rc;
    }
    return got;
}

ssize_t chan_fill(struct chan *c, size_t max, struct err *err)
{
    if (c->in_pos > 0) {
        buf_consume(&c->in, c->in_pos);
        c->in_start += c->in_pos;
        c->in_pos = 0;
    }
    size_t n = chan_read_size(c);
    if (n > max)
        n = max;
    buf_reserve(&c->in, n);
    char *to = c->in.data + c->in.len;
    ssize_t got = c->tls ? c->tls->module->read(c->tls, to, n, err)
                         : chan_read_plain(c, to, n, err);
    c->tls_unread = c->tls && got > 0;
    if (got > 0)
        c->in.len += (size_t)got;
    c->in.data[c->in.len] = '\0';
    if (got != 0)
        return got;
    if (c->in.len > 0)
        return err_set(err, -ECONNRESET,
                       "connection closed in the middle of a message");
    return err_set(err, -ECONNRESET, "%s", "");
}

int chan_next(struct chan *c, struct wire_msg *m, int *fd, struct err *err)
{
    *fd = -1;
    uint64_t at = c->in_start + c->in_pos;
    size_t used = 0;
    int rc = 0;
    if (c->in_pos < c->in.len)
        rc = frame_parse((const uint8_t *)c->in.data + c->in_pos, c->in.len - c->in_pos,
                         true, m, &used, err);
    if (rc < 0)
        return rc;
    if (rc == 0) {
        if (c->in_pos == c->in.len) {
            c->in_start += c->in_pos;
            c->in_pos = 0;
            buf_release(&c->in);
        }
        return 0;
    }
    if (c->in_fds_count > 0 && c->in_fds[0].at < at + used) {
        if (c->in_fds[0].at != at) {
            wire_msg_clear(m);
            return err_set(err, SL_EPROTO, "descriptor inside a message");
        }
        *fd = c->in_fds[0].fd;
        c->in_fds[0] = c->in_fds[1];
        c->in_fds_count--;
    }
    c->in_pos += used;
    return 1;
}

bool chan_has_frame(const struct chan *c)
{
    size_t whole = chan_frame_length(c);
    return whole > 0 && c->in.len - c->in_pos >= whole;
}

static ssize_t chan_write(struct chan *c, const void *p, size_t n, int fd,
                          struct err *err)
{
    if (c->tls)
        return c->tls->module->write(c->tls, p, n, err);
    union {
        char data[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec iov = {.iov_base = (void *)(uintptr_t)p, .iov_len = n};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    if (fd >= 0) {
        memset(&control, 0, sizeof(control));
        msg.msg_control = control.data;
        msg.msg_controllen = sizeof(control.data);
        struct cmsghdr *cm = CMSG_FIRSTHDR(&msg);
        cm->cmsg_level = SOL_SOCKET;
        cm->cmsg_type = SCM_RIGHTS;
        cm->cmsg_len = CMSG_LEN(sizeof(fd));
        memcpy(CMSG_DATA(cm), &fd, sizeof(fd));
    }
    ssize_t put;
    do
        put = sendmsg(c->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (put < 0 && errno == EINTR);
    if (put < 0)
        return errno == EAGAIN ? -EAGAIN : err_errno(err, "send");
    return put;
}

static void chan_compact(struct chan *c)
{
    bool empty = c->out_pos == c->out.len;
    if (!empty && (c->out_pos < COMPACT_BYTES || c->out_pos < c->out.len / 2))
        return;
    c->out_start += c->out_pos;
    if (empty)
        buf_release(&c->out);
    else
        buf_consume(&c->out, c->out_pos);
    c->out_pos = 0;
}

int chan_flush(struct chan *c, struct err *err)
{
    while (c->out_pos < c->out.len) {
        size_t n = c->out.len - c->out_pos;
        struct chan_fd *f = TAILQ_FIRST(&c->out_fds);
        uint64_t at = c->out_start + c->out_pos;
        bool with_fd = f && f->at == at;
        if (with_fd)
            n = 1;
        else if (f && f->at - at < n)
            n = (size_t)(f->at - at);
        ssize_t put =
            chan_write(c, c->out.data + c->out_pos, n, with_fd ? f->fd : -1, err);
        if (put == -EAGAIN) {
            chan_compact(c);
            return 0;
        }
        if (put < 0)
            return (int)put;
        if (with_fd) {
            TAILQ_REMOVE(&c->out_fds, f, next);
            c->out_fds_count--;
            close(f->fd);
            free(f);
        }
        c->out_pos += (size_t)put;
    }
    chan_compact(c);
    return 1;
}

void chan_finish(struct chan *c)
{
    if (c->tls)
        c->tls->module->finish(c->tls);
    shutdown(c->fd, SHUT_WR);
}

size_t chan_queued(const struct chan *c)
{
    return c->out.len - c->out_pos;
}

int chan_queue_fd(struct chan *c, int fd, struct err *err)
{
    if (!c->peer.local)
        return err_set(err, -EOPNOTSUPP, "a descriptor goes over a Unix socket only");
    if (c->out_fds_count >= CHAN_FDS_QUEUED_MAX)
        return err_set(err, -ENOBUFS, "more than %d descriptors are waiting to be sent",
                       CHAN_FDS_QUEUED_MAX);
    struct chan_fd *f = xmalloc(sizeof(*f));
    f->at = c->out_start + c->out.len;
    f->fd = fd;
    TAILQ_INSERT_TAIL(&c->out_fds, f, next);
    c->out_fds_count++;
    return 0;
}

void chan_unqueue_fd(struct chan *c)
{
    struct chan_fd *f = TAILQ_LAST(&c->out_fds, chan_fds);
    TAILQ_REMOVE(&c->out_fds, f, next);
    c->out_fds_count--;
    free(f);
}
