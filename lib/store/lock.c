/* SPDX-License-Identifier: Apache-2.0
 *
 * lock: the files around the database. flock() is on the open file, so it goes
 * with the process however that dies, and a second open in the same process
 * conflicts as well.
 */
#include "store/engine.h"

#include "base/buf.h"
#include "base/pidlock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int dir_sync(const char *dir, struct err *err)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, "store directory %s", dir);
    int rc = fsync(fd) == 0 ? 0 : err_errno(err, "store directory %s: fsync", dir);
    close(fd);
    return rc;
}

/* Creates the directories of path that do not exist; path is changed and restored. */
static int dirs_make(char *path, struct err *err)
{
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        int rc = 0;
        if (mkdir(path, 0700) != 0 && errno != EEXIST)
            rc = err_errno(err, "store: cannot create directory %s", path);
        *slash = '/';
        if (rc)
            return rc;
    }
    return 0;
}

/* A new file and its name must be on disk before the first commit counts. */
static int file_create(const char *path, struct err *err)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 && errno == EEXIST)
        return 0;
    if (fd < 0)
        return err_errno(err, "store %s: cannot create", path);
    close(fd);
    const char *slash = strrchr(path, '/');
    char *dir = !slash          ? xstrdup(".")
                : slash == path ? xstrdup("/")
                                : strndup(path, slash - path);
    ASSERT(dir);
    int rc = dir_sync(dir, err);
    free(dir);
    return rc;
}

static int lock_file(const char *path, const char *name, int *lock_fd, struct err *err)
{
    pid_t holder;
    int fd = pidlock_take(name, 0600, PIDLOCK_WAIT_MSEC, &holder, err);
    if (fd == -EBUSY)
        return err_set(err, SL_ESTORE,
                       "store %s: another controller, process %ld, is using it; stop that "
                       "one first",
                       path, (long)holder);
    if (fd < 0)
        return err_prefix(err, "store lock");
    *lock_fd = fd;
    return 0;
}

int lock_take(const char *path, int *lock_fd, struct err *err)
{
    char *name = xasprintf("%s.lock", path);
    int rc = dirs_make(name, err);
    if (!rc)
        rc = lock_file(path, name, lock_fd, err);
    if (!rc && (rc = file_create(path, err)) != 0) {
        close(*lock_fd);
        *lock_fd = -1;
    }
    free(name);
    return rc;
}
