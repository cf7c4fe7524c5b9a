/* SPDX-License-Identifier: Apache-2.0 */
#include "base/folder.h"

#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* By descriptors: a name may be exchanged for a link between two looks at it. */
static void remove_at(int parent, const char *name)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d) {
        if (fd >= 0)
            close(fd);
        return;
    }
    for (struct dirent *e; (e = readdir(d));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (unlinkat(fd, e->d_name, 0) < 0 && (errno == EISDIR || errno == EPERM))
            remove_at(fd, e->d_name);
    }
    closedir(d);
    if (unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
        log_warn("folder", "folder=%s cannot be removed: %s", name, strerror(errno));
}

void folder_remove(const char *path)
{
    remove_at(AT_FDCWD, path);
}
