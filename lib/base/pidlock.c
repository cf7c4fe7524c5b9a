/* SPDX-License-Identifier: Apache-2.0 */
#include "base/pidlock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PID_TEXT_MAX 32 /* "PID\n" */

static pid_t holder_read(int fd)
{
    char text[PID_TEXT_MAX] = "";
    if (pread(fd, text, sizeof(text) - 1, 0) <= 0)
        return 0;
    long pid = strtol(text, NULL, 10);
    return pid > 0 && pid <= INT_MAX ? (pid_t)pid : 0;
}

/* A pidfd, unlike the state in /proc, tells of the end of the last thread. */
static void end_await(pid_t pid, int wait_msec)
{
    int pidfd = pid && pid != getpid() ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
    if (pidfd < 0)
        return; /* gone by now, or ourselves */
    struct pollfd end = {.fd = pidfd, .events = POLLIN};
    (void)poll(&end, 1, wait_msec);
    close(pidfd);
}

static int locked(int fd)
{
    return flock(fd, LOCK_EX | LOCK_NB) == 0 ? 0 : -errno;
}

static int pid_write(int fd)
{
    char text[PID_TEXT_MAX];
    int n = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
    return ftruncate(fd, 0) == 0 && pwrite(fd, text, (size_t)n, 0) == n ? 0 : -errno;
}

int pidlock_take(const char *path, mode_t mode, int wait_msec, pid_t *holder, struct err *err)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, mode);
    if (fd < 0)
        return err_errno(err, "%s", path);
    int rc = locked(fd);
    *holder = rc == -EWOULDBLOCK ? holder_read(fd) : 0;
    if (rc == -EWOULDBLOCK) {
        end_await(*holder, wait_msec);
        rc = locked(fd);
    }
    if (rc == 0)
        rc = pid_write(fd);
    if (rc == 0)
        return fd;
    close(fd);
    if (rc == -EWOULDBLOCK)
        return err_set(err, -EBUSY, "%s: process %ld holds it", path, (long)*holder);
    errno = -rc;
    return err_errno(err, "%s", path);
}
