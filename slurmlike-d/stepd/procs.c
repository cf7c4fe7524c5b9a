/* SPDX-License-Identifier: Apache-2.0 */
#include "stepd/procs.h"

#include "base/buf.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SIGNAL_ROUNDS_MAX 64 /* a fork bomb is stopped by SIGSTOP or SIGKILL before */

void proc_list_fini(struct proc_list *l)
{
    free(l->pids);
    *l = (struct proc_list){0};
}

static void list_add(struct proc_list *l, pid_t pid)
{
    if (l->count == l->cap) {
        l->cap = l->cap ? 2 * l->cap : 32;
        l->pids = xrealloc(l->pids, l->cap * sizeof(*l->pids));
    }
    l->pids[l->count++] = pid;
}

/* One pseudo file, read whole into text (NUL-terminated, cut at size). */
static ssize_t file_read(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t n = read(fd, text, size - 1);
    close(fd);
    text[n > 0 ? n : 0] = '\0';
    return n;
}

/* /proc/PID/task/TID/children: "12 13 14 ", of any length. */
static void thread_children(const char *path, struct proc_list *out)
{
    FILE *f = fopen(path, "re");
    int pid;
    if (!f)
        return;
    while (fscanf(f, "%d", &pid) == 1)
        list_add(out, (pid_t)pid);
    fclose(f);
}

void procs_children(pid_t pid, struct proc_list *out)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    DIR *dir = opendir(path);
    if (!dir)
        return;
    for (struct dirent *e; (e = readdir(dir));) {
        if (!isdigit((unsigned char)e->d_name[0]))
            continue;
        snprintf(path, sizeof(path), "/proc/%d/task/%.12s/children", (int)pid, e->d_name);
        thread_children(path, out);
    }
    closedir(dir);
}

void procs_below(pid_t pid, struct proc_list *out)
{
    size_t next = out->count;
    procs_children(pid, out);
    for (; next < out->count; next++)
        procs_children(out->pids[next], out);
}

static bool list_has(const struct proc_list *l, pid_t pid)
{
    for (size_t i = 0; i < l->count; i++)
        if (l->pids[i] == pid)
            return true;
    return false;
}

size_t procs_signal(pid_t pid, int signal)
{
    struct proc_list done = {0}, found = {0};
    size_t fresh = 1;
    for (unsigned round = 0; fresh > 0 && round < SIGNAL_ROUNDS_MAX; round++) {
        fresh = 0;
        found.count = 0;
        procs_below(pid, &found);
        for (size_t i = 0; i < found.count; i++) {
            if (list_has(&done, found.pids[i]))
                continue;
            kill(found.pids[i], signal);
            list_add(&done, found.pids[i]);
            fresh++;
        }
    }
    size_t count = done.count;
    proc_list_fini(&found);
    proc_list_fini(&done);
    return count;
}

/* ---- usage ------------------------------------------------------------------------ */

/* stat: fields from the third on, after the last ')' of the name: proc(5). */
static bool stat_add(pid_t pid, struct proc_usage *u)
{
    char path[64], text[1024];
    unsigned long major, major_c, user, system, vsize;
    long user_c, system_c, rss;
    static long tick_hz, page_kib;

    if (!tick_hz) {
        tick_hz = sysconf(_SC_CLK_TCK);
        page_kib = sysconf(_SC_PAGESIZE) / 1024;
    }
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    if (file_read(path, text, sizeof(text)) <= 0)
        return false;
    char *p = strrchr(text, ')');
    if (!p || p[1] == '\0')
        return false;
    /* with those of its reaped children (..._c), so that nothing is missed */
    if (sscanf(p + 2,
               "%*c %*d %*d %*d %*d %*d %*u %*u %*u %lu %lu %lu %lu %ld %ld %*d %*d %*d "
               "%*d %*u %lu %ld",
               &major, &major_c, &user, &system, &user_c, &system_c, &vsize, &rss) != 8)
        return false;
    u->faults += major + major_c;
    u->user_usec += ((int64_t)user + user_c) * 1000000 / tick_hz;
    u->system_usec += ((int64_t)system + system_c) * 1000000 / tick_hz;
    u->vsize_kib += vsize / 1024;
    u->rss_kib += rss > 0 ? (uint64_t)(rss * page_kib) : 0;
    return true;
}

bool proc_io_add(pid_t pid, struct proc_usage *u)
{
    char path[64], text[512];
    unsigned long long rd, wr;
    snprintf(path, sizeof(path), "/proc/%d/io", (int)pid);
    if (file_read(path, text, sizeof(text)) <= 0 ||
        sscanf(text, "rchar: %llu wchar: %llu", &rd, &wr) != 2)
        return false;
    u->read_bytes += rd;
    u->write_bytes += wr;
    return true;
}

bool proc_usage_add(pid_t pid, struct proc_usage *u)
{
    if (!stat_add(pid, u))
        return false;
    proc_io_add(pid, u);
    return true;
}

void proc_usage_sum(struct proc_usage *a, const struct proc_usage *b)
{
    a->rss_kib += b->rss_kib;
    a->vsize_kib += b->vsize_kib;
    a->read_bytes += b->read_bytes;
    a->write_bytes += b->write_bytes;
    a->faults += b->faults;
    a->user_usec += b->user_usec;
    a->system_usec += b->system_usec;
}
