/* SPDX-License-Identifier: Apache-2.0 */
#include "stepd/idle.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union fd_room { /* of one descriptor, aligned: cmsg(3) */
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
};

bool idle_launch(int fd, uint32_t tag, const Sl__StepLaunch *launch, bool starting)
{
    union fd_room room = {0};
    struct buf b;
    ssize_t n = -1;

    buf_init(&b);
    if (wire_pack(&b, WIRE_STEP_SPAWN, tag, &launch->base, NULL) == 0 &&
        b.len <= IDLE_FRAME_BYTES_MAX) {
        struct iovec iov = {b.data, b.len};
        struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
        if (starting) {
            m.msg_control = room.bytes;
            m.msg_controllen = sizeof(room.bytes);
            struct cmsghdr *c = CMSG_FIRSTHDR(&m);
            *c = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)),
                                  .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
            memcpy(CMSG_DATA(c), &(int){STARTING_FD}, sizeof(int));
        }
        n = sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    buf_fini(&b);
    return n > 0;
}

/* Into `in`. False at end of file. */
static bool packet_read(int fd, struct buf *in, int *starting)
{
    union fd_room room = {0};
    buf_reserve(in, IDLE_FRAME_BYTES_MAX);
    struct iovec iov = {in->data, IDLE_FRAME_BYTES_MAX};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1,
                       .msg_control = room.bytes, .msg_controllen = sizeof(room.bytes)};
    ssize_t n;
    while ((n = recvmsg(fd, &m, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR)
        ;
    const struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&m) : NULL;
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
        memcpy(starting, CMSG_DATA(c), sizeof(int));
    in->len = n > 0 ? (size_t)n : 0;
    return n > 0;
}

Sl__StepLaunch *idle_wait(const struct idle_seat *seat, int *starting)
{
    const pid_t self = getpid();
    struct wire_msg m = {0};
    struct buf in;
    struct err err;
    sigset_t term;
    Sl__StepLaunch *launch = NULL;

    *starting = -1;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_UNBLOCK, &term, NULL); /* one that comes now is not the next step's */
    if (write(seat->notes, &self, sizeof(self)) != (ssize_t)sizeof(self))
        return NULL; /* the zygote is gone */
    buf_init(&in);
    if (packet_read(seat->launches, &in, starting)) {
        if (wire_unpack(&in, true, &m, &err) > 0 && m.type == WIRE_STEP_SPAWN)
            launch = (Sl__StepLaunch *)m.body;
        else
            log_error("idle", "not a step launch from the zygote");
    }
    buf_fini(&in);
    return launch;
}
