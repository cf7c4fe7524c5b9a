/* SPDX-License-Identifier: Apache-2.0
 *
 * The last resort where no cgroup holds a job together: every process of a job
 * carries SLURMLIKE_STEP_SECRET in the environment it was executed with, which a process
 * cannot change for its ancestors' readers (/proc/PID/environ is the initial one).
 * A process that execs with an emptied environment escapes this; cgroup v2 does not
 * let it.
 */
#include "noded.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ENVIRON_BYTES_MAX (4u << 20)

static bool environ_has(pid_t pid, const char *needle, size_t n, struct buf *b)
{
    char path[64], chunk[16384];
    ssize_t got;
    snprintf(path, sizeof(path), "/proc/%d/environ", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    buf_clear(b);
    while (b->len < ENVIRON_BYTES_MAX && (got = read(fd, chunk, sizeof(chunk))) > 0)
        buf_put(b, chunk, (size_t)got);
    close(fd);
    return b->len >= n && memmem(b->data, b->len, needle, n) != NULL;
}

static char proc_state(pid_t pid, uint64_t *start)
{
    char path[64], text[1024];
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t n = read(fd, text, sizeof(text) - 1);
    close(fd);
    if (n <= 0)
        return 0;
    text[n] = '\0';
    /* the command name may hold anything but ends at the last ')' : proc(5) */
    char *p = strrchr(text, ')');
    if (!p || p[1] != ' ')
        return 0;
    char state = p[2];
    p += 2;
    for (int field = 3; field < 22 && p; field++) {
        p = strchr(p, ' ');
        if (p)
            p++;
    }
    *start = p ? strtoull(p, NULL, 10) : 0;
    return state;
}

uint64_t proc_start_time(pid_t pid)
{
    uint64_t start = 0;
    char state = proc_state(pid, &start);
    return state && state != 'Z' && state != 'X' ? start : 0;
}

unsigned procs_kill(const ProtobufCBinaryData *secret, uint32_t step_id, const char *node)
{
    char needle[128 + NAME_LEN_MAX] = "SLURMLIKE_STEP_SECRET=";
    unsigned found = 0;
    struct buf b;
    DIR *dir = opendir("/proc");

    if (!dir || secret->len == 0 || secret->len > 32) {
        if (dir)
            closedir(dir);
        return 0;
    }
    for (size_t i = 0, n = strlen(needle); i < secret->len; i++, n += 2)
        snprintf(needle + n, sizeof(needle) - n, "%02x", secret->data[i]);
    size_t hex = strlen(needle);
    snprintf(needle + hex, sizeof(needle) - hex, ":%u:%s", step_id, node);
    buf_init(&b);
    for (struct dirent *e; (e = readdir(dir));) {
        pid_t pid = isdigit((unsigned char)e->d_name[0]) ? (pid_t)atoi(e->d_name) : 0;
        if (pid <= 1 || pid == getpid() || !environ_has(pid, needle, strlen(needle) + 1, &b))
            continue;
        if (proc_start_time(pid) && kill(pid, SIGKILL) == 0)
            found++;
    }
    buf_fini(&b);
    closedir(dir);
    return found;
}
