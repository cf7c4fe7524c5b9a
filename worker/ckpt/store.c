/* SPDX-License-Identifier: Apache-2.0 */
#include "ckpt/store.h"

#include "data/h5.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define NAME_PREFIX "step_"
#define NAME_SUFFIX ".h5"
#define LATEST "LATEST"
#define SPARE_BYTES ((uint64_t)4 << 20)

char *store_path(const char *folder, int64_t step)
{
    return xasprintf("%s/" NAME_PREFIX "%010" PRId64 NAME_SUFFIX, folder, step);
}

/* The step in a checkpoint's file name, or -1. */
static int64_t name_step(const char *name)
{
    char *end;
    if (strncmp(name, NAME_PREFIX, sizeof(NAME_PREFIX) - 1) != 0)
        return -1;
    const char *digits = name + sizeof(NAME_PREFIX) - 1;
    if (*digits < '0' || *digits > '9')
        return -1;
    errno = 0;
    long long step = strtoll(digits, &end, 10);
    return errno || strcmp(end, NAME_SUFFIX) != 0 ? -1 : step;
}

static bool name_is_left_over(const char *name)
{
    size_t n = strlen(name), tail = sizeof(STORE_TMP) - 1;
    return n > tail && strcmp(name + n - tail, STORE_TMP) == 0 &&
           (strncmp(name, NAME_PREFIX, sizeof(NAME_PREFIX) - 1) == 0 ||
            strcmp(name, LATEST STORE_TMP) == 0);
}

static int step_compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? 1 : x > y ? -1 : 0;
}

/* Steps in the folder, falling; left-over files are removed when clean. */
static int scan(const char *folder, bool clean, struct buf *steps, struct err *err)
{
    DIR *d = opendir(folder);
    struct dirent *e;
    if (!d)
        return err_errno(err, "cannot read folder %s", folder);
    while ((e = readdir(d)) != NULL) {
        int64_t step = name_step(e->d_name);
        if (step >= 0)
            buf_put(steps, &step, sizeof(step));
        else if (clean && name_is_left_over(e->d_name))
            unlinkat(dirfd(d), e->d_name, 0);
    }
    closedir(d);
    if (steps->len)
        qsort(steps->data, steps->len / sizeof(int64_t), sizeof(int64_t), step_compare);
    return 0;
}

int store_prepare(const char *folder, uint64_t bytes, struct err *err)
{
    struct statvfs fs;
    struct buf steps;
    if (mkdir(folder, 0777) < 0 && errno != EEXIST)
        return err_errno(err, "cannot make folder %s", folder);
    buf_init(&steps);
    int rc = scan(folder, true, &steps, err);
    buf_fini(&steps);
    if (rc < 0)
        return rc;
    if (access(folder, W_OK) < 0)
        return err_errno(err, "cannot write to folder %s", folder);
    if (statvfs(folder, &fs) == 0 &&
        (uint64_t)fs.f_bavail * fs.f_frsize < bytes + SPARE_BYTES)
        return err_set(err, -ENOSPC, "%s has %" PRIu64 " MiB free, %" PRIu64 " are needed",
                       folder, (uint64_t)fs.f_bavail * fs.f_frsize >> 20,
                       (bytes + SPARE_BYTES) >> 20);
    return 0;
}

static int write_latest(const char *folder, const char *name, struct err *err)
{
    char *path = xasprintf("%s/" LATEST, folder), *tmp = xasprintf("%s" STORE_TMP, path);
    int rc = 0, fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    size_t len = strlen(name);
    if (fd < 0 || write(fd, name, len) != (ssize_t)len || write(fd, "\n", 1) != 1 ||
        fsync(fd) < 0)
        rc = err_errno(err, "cannot write %s", tmp);
    if (fd >= 0 && close(fd) < 0 && rc == 0)
        rc = err_errno(err, "cannot write %s", tmp);
    if (rc == 0 && rename(tmp, path) < 0)
        rc = err_errno(err, "cannot rename %s", tmp);
    free(tmp);
    free(path);
    return rc;
}

/* The newest `keep` stay; a failure to remove an old one harms nothing. */
static void prune(const char *folder, int keep)
{
    struct buf steps;
    buf_init(&steps);
    if (scan(folder, false, &steps, NULL) == 0) {
        const int64_t *list = (const int64_t *)(const void *)steps.data;
        for (size_t i = (size_t)keep; i < steps.len / sizeof(int64_t); i++) {
            char *path = store_path(folder, list[i]);
            unlink(path);
            free(path);
        }
    }
    buf_fini(&steps);
}

int store_publish(const char *folder, const char *tmp, const char *path, int keep,
                  struct err *err)
{
    int rc = file_sync(tmp, err);
    if (rc == 0 && rename(tmp, path) < 0)
        rc = err_errno(err, "cannot rename %s", tmp);
    if (rc < 0)
        return store_abandon(tmp, rc);
    rc = file_sync(folder, err);
    if (rc == 0)
        rc = write_latest(folder, strrchr(path, '/') + 1, err);
    if (rc == 0)
        rc = file_sync(folder, err);
    if (rc == 0)
        prune(folder, keep);
    return rc;
}

int store_abandon(const char *tmp, int rc)
{
    unlink(tmp);
    return rc;
}

/* The step that LATEST names, or -1. */
static int64_t latest_step(const char *folder)
{
    char *path = xasprintf("%s/" LATEST, folder), line[NAME_MAX + 2] = "";
    FILE *f = fopen(path, "re");
    free(path);
    if (!f)
        return -1;
    if (fgets(line, sizeof(line), f))
        line[strcspn(line, "\n")] = '\0';
    fclose(f);
    return name_step(line);
}

static void put_path(struct buf *paths, const char *folder, int64_t step)
{
    char *path = store_path(folder, step);
    buf_put(paths, path, strlen(path) + 1);
    free(path);
}

int store_list(const char *folder, struct buf *paths, struct err *err)
{
    struct buf steps;
    if (access(folder, F_OK) < 0 && errno == ENOENT)
        return 0;
    buf_init(&steps);
    int rc = scan(folder, false, &steps, err);
    const int64_t *list = (const int64_t *)(const void *)steps.data;
    size_t count = rc == 0 ? steps.len / sizeof(int64_t) : 0;
    int64_t latest = latest_step(folder);
    for (size_t i = 0; i < count; i++)
        if (list[i] == latest)
            put_path(paths, folder, latest);
    for (size_t i = 0; i < count; i++)
        if (list[i] != latest)
            put_path(paths, folder, list[i]);
    buf_fini(&steps);
    return rc;
}
