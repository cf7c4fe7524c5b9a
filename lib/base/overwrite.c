/* SPDX-License-Identifier: Apache-2.0 */
#include "overwrite.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

int fd_overwrite(int fd, off_t at, const void *p, size_t n)
{
    const char *c = p;
    struct stat st;

    while (n > 0) {
        ssize_t got = pwrite(fd, c, n, at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? -errno : -ENOSPC;
        c += got;
        at += got;
        n -= (size_t)got;
    }
    if (fstat(fd, &st) < 0 || (st.st_size > at && ftruncate(fd, at) < 0))
        return -errno;
    return 0;
}
