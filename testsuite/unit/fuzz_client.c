/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_client SOCKET TYPE COUNT SEED [UID]: damaged messages for a running daemon.
 *
 * Sends COUNT damaged frames of one type ("SUBMIT", or "ALL") to a Unix socket,
 * connecting anew whenever the daemon hangs up. Each frame is looked at: one that
 * wire_unpack() refuses must make the daemon hang up, and the next goes over a fresh
 * connection. Every 500 frames and at the end the daemon must take a connection and
 * answer a ping or hang up on it. Exit status 0: it does all that; 1: it does not (the
 * seed and the frame's number are printed); 2: usage. With UID it becomes that user
 * first: root's damaged messages may be valid orders, a shutdown among them.
 */
#include "lib/mutate.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define CHECK_EVERY 500
#define ANSWER_MS 20000

struct target {
    struct sockaddr_un un;
    int fd; /* -1: none */
    unsigned long connects, answer_bytes;
};

static int target_connect(const struct target *t)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&t->un, sizeof(t->un)) == 0)
        return fd;
    int why = errno;
    close(fd);
    errno = why;
    return -1;
}

static void target_close(struct target *t)
{
    close(t->fd);
    t->fd = -1;
}

/* Takes in what the daemon says. */
static void target_drain(struct target *t)
{
    char bytes[65536];
    ssize_t n;
    while ((n = recv(t->fd, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
        t->answer_bytes += (unsigned long)n;
    if (n == 0 || (errno != EAGAIN && errno != EINTR))
        target_close(t);
}

/* 0 sent or cut off in the middle, -1 the daemon neither reads nor hangs up. */
static int target_send(struct target *t, const struct buf *frame)
{
    for (size_t at = 0; at < frame->len && t->fd >= 0;) {
        ssize_t n =
            send(t->fd, frame->data + at, frame->len - at, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0) {
            at += (size_t)n;
        } else if (errno == EAGAIN) {
            struct pollfd p = {.fd = t->fd, .events = POLLIN | POLLOUT};
            if (poll(&p, 1, ANSWER_MS) == 0)
                return -1;
            if (p.revents & POLLIN)
                target_drain(t);
        } else if (errno != EINTR) {
            target_close(t);
        }
    }
    return 0;
}

/* A fresh connection, a ping: an answer or the end of file says that its loop runs. */
static int target_alive(const struct target *t)
{
    Sl__ControlRequest q = SL__CONTROL_REQUEST__INIT;
    struct buf b;
    char byte;
    int fd = target_connect(t);
    if (fd < 0)
        return 0;
    buf_init(&b);
    q.op = SL__CONTROL_OP__CONTROL_PING;
    wire_pack(&b, WIRE_CONTROL, 1, &q.base, NULL);
    (void)!send(fd, b.data, b.len, MSG_NOSIGNAL);
    buf_fini(&b);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int alive = poll(&p, 1, ANSWER_MS) == 1 &&
                (recv(fd, &byte, 1, 0) >= 0 || errno == ECONNRESET);
    close(fd);
    return alive;
}

/* What a receiver makes of these bytes: 1 messages and nothing else, 0 it waits for
 * more, negative it hangs up. */
static int fate(const struct buf *frame)
{
    struct buf in;
    struct wire_msg m = {0};
    int rc = 1;
    buf_init(&in);
    buf_put(&in, frame->data, frame->len);
    while (in.len > 0 && (rc = wire_unpack(&in, true, &m, NULL)) == 1)
        wire_msg_clear(&m);
    buf_fini(&in);
    return rc;
}

/* Waits until the daemon hangs up: 0, or -1 when it does not. */
static int target_hung_up(struct target *t)
{
    while (t->fd >= 0) {
        struct pollfd p = {.fd = t->fd, .events = POLLIN};
        if (poll(&p, 1, ANSWER_MS) == 0)
            return -1;
        target_drain(t);
    }
    return 0;
}

static int fuzz(struct target *t, const struct wire_type_info *info,
                unsigned long count, uint64_t seed)
{
    struct mutate r;
    struct buf frame;
    int rc = 0;
    buf_init(&frame);
    mutate_seed(&r, seed ^ ((uint64_t)info->type << 32));
    for (unsigned long i = 0; i < count && rc == 0; i++) {
        buf_clear(&frame);
        mutate_frame(&r, info, (uint32_t)i + 1, &frame);
        mutate_damage(&r, &frame, 0, mutate_below(&r, 8) != 0);
        if (t->fd < 0) {
            t->fd = target_connect(t);
            t->connects++;
        }
        if (t->fd < 0 || target_send(t, &frame) < 0)
            rc = 1;
        int end = fate(&frame);
        if (rc == 0 && end < 0 && target_hung_up(t) < 0)
            rc = 1;
        if (rc == 0 && end == 0 && t->fd >= 0)
            target_close(t);
        if (t->fd >= 0)
            target_drain(t);
        if (rc == 0 && (i % CHECK_EVERY == CHECK_EVERY - 1 || i == count - 1))
            rc = !target_alive(t);
        if (rc != 0)
            fprintf(stderr, "%s seed %lu frame %lu: no answer: %s\n", info->name,
                    (unsigned long)seed, i, strerror(errno));
    }
    buf_fini(&frame);
    return rc;
}

int main(int argc, char **argv)
{
    struct target t = {.un.sun_family = AF_UNIX, .fd = -1};
    if (argc < 5 || argc > 6 || strlen(argv[1]) >= sizeof(t.un.sun_path)) {
        fprintf(stderr, "usage: fuzz_client SOCKET TYPE|ALL COUNT SEED [UID]\n");
        return 2;
    }
    strcpy(t.un.sun_path, argv[1]);
    unsigned long count = strtoul(argv[3], NULL, 10);
    uint64_t seed = strtoull(argv[4], NULL, 10);
    if (argc == 6) {
        uid_t uid = (uid_t)strtoul(argv[5], NULL, 10);
        if (setgid(uid) < 0 || setuid(uid) < 0) {
            perror("setuid");
            return 2;
        }
    }
    size_t types_count;
    const struct wire_type_info *types = wire_types(&types_count);
    int rc = 0, known = 0;
    for (size_t i = 0; i < types_count && rc == 0; i++)
        if (strcmp(argv[2], "ALL") == 0 || strcmp(argv[2], types[i].name) == 0) {
            known = 1;
            rc = fuzz(&t, &types[i], count, seed);
        }
    if (!known) {
        fprintf(stderr, "%s: no such message type\n", argv[2]);
        return 2;
    }
    printf(
        "%s seed %lu: %lu frames a type, %lu connections, %lu bytes of answers, %s\n",
        argv[2], (unsigned long)seed, count, t.connects, t.answer_bytes,
        rc == 0 ? "alive" : "DEAD");
    return rc;
}
