/* SPDX-License-Identifier: Apache-2.0 */
#include "stepd/spool.h"

#include "base/buf.h"
#include "base/folder.h"
#include "base/limits.h"
#include "base/overwrite.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

char *spool_step_dir(const char *spool, uint32_t job_id, uint32_t restart, uint32_t step_id)
{
    return xasprintf("%s/step.%u.%u.%u", spool, job_id, restart, step_id);
}

/* Opens name in the folder for writing; it does not exist yet. */
static int file_create(const char *dir, const char *name, mode_t mode, struct err *err)
{
    char path[PATH_LEN_MAX + 1];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    return fd < 0 ? err_errno(err, "%s", path) : fd;
}

static int file_finish(const char *dir, const char *name, int fd, int rc, struct err *err)
{
    if (close(fd) < 0 && rc == 0)
        rc = -errno;
    if (rc < 0)
        return err_set(err, rc, "%s/%s: cannot be written: %s", dir, name, strerror(-rc));
    return 0;
}

/* "PID (comm) S ppid ..." : the comm may hold anything but ends at the last ')'. */
static unsigned long long own_start_time(void)
{
    char text[1024];
    int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t n = read(fd, text, sizeof(text) - 1);
    close(fd);
    if (n <= 0)
        return 0;
    text[n] = '\0';
    char *p = strrchr(text, ')');
    for (int field = 2; p && field < 22; field++) {
        p = strchr(p, ' ');
        if (p)
            p++;
    }
    return p ? strtoull(p, NULL, 10) : 0;
}

int spool_create(const char *dir, const char *kept, struct err *err)
{
    char text[64];
    if (kept && renameat2(AT_FDCWD, kept, AT_FDCWD, dir, RENAME_NOREPLACE) == 0)
        return 0;
    if (mkdir(dir, 0711) < 0)
        return err_errno(err, "%s", dir);
    int n = snprintf(text, sizeof(text), "%d %llu\n", (int)getpid(), own_start_time());
    int fd = file_create(dir, "pid", 0600, err);
    if (fd < 0)
        return fd;
    return file_finish(dir, "pid", fd, fd_overwrite(fd, 0, text, (size_t)n), err);
}

/* The script file of the step before, when it is the same user's and no one else has it
 * open or by another name; -1: none. */
static int script_reopen(const char *path, uid_t uid)
{
    struct stat st;
    int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -1;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == uid && st.st_nlink == 1 &&
        fcntl(fd, F_SETLEASE, F_WRLCK) == 0 && fcntl(fd, F_SETLEASE, F_UNLCK) == 0 &&
        fchmod(fd, 0700) == 0)
        return fd;
    close(fd);
    return -1;
}

int spool_script(const char *dir, const ProtobufCBinaryData *script, uid_t uid, gid_t gid,
                 struct err *err)
{
    char path[PATH_LEN_MAX + 1];
    snprintf(path, sizeof(path), "%s/slurm_script", dir);
    int fd = script_reopen(path, uid);
    if (fd < 0) {
        unlink(path);
        fd = file_create(dir, "slurm_script", 0700, err);
    }
    if (fd < 0)
        return fd;
    int rc = fd_overwrite(fd, 0, script->data, script->len);
    if (rc == 0 && geteuid() == 0 && fchown(fd, uid, gid) < 0)
        rc = -errno;
    return file_finish(dir, "slurm_script", fd, rc, err);
}

/* Where the first line of the file ends; 0: nowhere. */
static off_t first_line(int fd)
{
    char text[64];
    ssize_t n = pread(fd, text, sizeof(text), 0);
    const char *end = n > 0 ? memchr(text, '\n', (size_t)n) : NULL;
    return end ? end + 1 - text : 0;
}

int spool_result_write(const char *dir, const Sl__JobReports *reports, struct err *err)
{
    char from[PATH_LEN_MAX + 1], to[PATH_LEN_MAX + 1];
    size_t n = sl__job_reports__get_packed_size(reports);
    uint8_t *packed = xmalloc(n);
    sl__job_reports__pack(reports, packed);
    snprintf(from, sizeof(from), "%s/pid", dir);
    snprintf(to, sizeof(to), "%s/result", dir);
    int fd = open(from, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    int rc = fd < 0 ? err_errno(err, "%s", from) : 0;
    if (fd < 0)
        goto out;
    rc = fd_overwrite(fd, first_line(fd), packed, n);
    rc = file_finish(dir, "pid", fd, rc, err);
    if (rc < 0)
        goto out;
    if (rename(from, to) < 0)
        rc = err_errno(err, "%s", to);
out:
    free(packed);
    return rc;
}

/* Back to its first line, for whoever reads it. */
static bool result_to_pid(const char *dir)
{
    char from[PATH_LEN_MAX + 1], to[PATH_LEN_MAX + 1];
    snprintf(from, sizeof(from), "%s/result", dir);
    snprintf(to, sizeof(to), "%s/pid", dir);
    int fd = open(from, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    off_t end = fd < 0 ? 0 : first_line(fd);
    bool good = end > 0 && ftruncate(fd, end) == 0;
    if (fd >= 0)
        close(fd);
    return good && rename(from, to) == 0;
}

/* Where the job's user is the folder's owner, jobs can leave files in it. */
static bool only_ours(const char *dir)
{
    static const char *const ours[] = {".", "..", "pid", "slurm_script", "sock"};
    bool only = true;
    DIR *d = opendir(dir);
    for (const struct dirent *e; d && only && (e = readdir(d));) {
        only = false;
        for (size_t i = 0; i < sizeof(ours) / sizeof(*ours); i++)
            only |= strcmp(e->d_name, ours[i]) == 0;
    }
    if (d)
        closedir(d);
    return d && only;
}

bool spool_keep(const char *dir, const char *kept)
{
    if (result_to_pid(dir) && only_ours(dir) && rename(dir, kept) == 0)
        return true;
    spool_remove(dir);
    return false;
}

void spool_remove(const char *dir)
{
    folder_remove(dir); /* users own folders in it (PMIx) */
}
