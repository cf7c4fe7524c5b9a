/* SPDX-License-Identifier: Apache-2.0 */
#include "stepd/contain.h"

#include "stepd/procs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

struct contain {
    char *job_dir, *dir; /* NULL: no cgroup */
    int fd;              /* of dir, -1: none */
};

/* ---- files of a cgroup ------------------------------------------------------------------ */

static bool file_put(const char *dir, const char *name, const char *text)
{
    char path[PATH_LEN_MAX + 1];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool ok = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    close(fd);
    return ok;
}

static bool file_has(const char *dir, const char *name, const char *word)
{
    char path[PATH_LEN_MAX + 1], text[1024];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, text, sizeof(text) - 1);
    close(fd);
    text[n > 0 ? n : 0] = '\0';
    return strstr(text, word) != NULL;
}

/* ---- the node's slice ---------------------------------------------------------------------- */

/* Where cgroup2 is mounted, and our own group in it: "MOUNT/OWN". NULL: nowhere. */
static char *own_group(void)
{
    char line[PATH_LEN_MAX + 1], mount[PATH_LEN_MAX + 1] = "", *own = NULL;
    FILE *f = fopen("/proc/self/mountinfo", "re");
    while (f && fgets(line, sizeof(line), f)) {
        const char *type = strstr(line, " - cgroup2 ");
        if (type && sscanf(line, "%*s %*s %*s %*s %4095s", mount) == 1)
            break;
        mount[0] = '\0';
    }
    if (f)
        fclose(f);
    f = mount[0] ? fopen("/proc/self/cgroup", "re") : NULL;
    while (f && !own && fgets(line, sizeof(line), f)) {
        if (strncmp(line, "0::/", 4) != 0)
            continue;
        line[strcspn(line, "\n")] = '\0';
        own = xasprintf("%s%s", mount, strcmp(line + 3, "/") == 0 ? "" : line + 3);
    }
    if (f)
        fclose(f);
    return own;
}

/* Usable: we may make groups there, can kill one whole, and memory can be limited (without
 * that a group would bring nothing over the walk but cost). */
static bool slice_usable(const char *slice)
{
    char path[PATH_LEN_MAX + 1];
    if (mkdir(slice, 0755) < 0 && errno != EEXIST)
        return false;
    snprintf(path, sizeof(path), "%s/cgroup.kill", slice);
    if (access(path, W_OK) < 0)
        return false;
    file_put(slice, "cgroup.subtree_control", "+memory");
    file_put(slice, "cgroup.subtree_control", "+cpuset");
    return file_has(slice, "cgroup.subtree_control", "memory");
}

char *contain_slice(const struct node_opts *opts)
{
    char *slice, *own;
    if (strcmp(opts->cgroup, "none") == 0)
        return NULL;
    if (opts->cgroup[0] == '/') {
        slice = xstrdup(opts->cgroup);
    } else {
        own = own_group();
        if (!own)
            return NULL;
        slice = xasprintf("%s/slurmlike-%s", own, opts->node);
        free(own);
    }
    if (slice_usable(slice))
        return slice;
    log_verbose("contain", "cgroup=%s is not usable with a memory controller, steps are "
                           "held by session and subreaper", slice);
    rmdir(slice);
    free(slice);
    return NULL;
}

/* ---- one step ----------------------------------------------------------------------------------- */

static void limits_set(const struct step *s, const struct contain *c)
{
    const Sl__StepNode *node = s->launch->layout->nodes[s->node_index];
    const Sl__Allocation *alloc = s->launch->job->alloc;
    char text[64];
    file_put(c->job_dir, "cgroup.subtree_control", "+memory");
    if (alloc && node->alloc_index < alloc->n_nodes &&
        alloc->nodes[node->alloc_index]->mem_mib > 0) {
        snprintf(text, sizeof(text), "%lluM",
                 (unsigned long long)alloc->nodes[node->alloc_index]->mem_mib);
        file_put(c->job_dir, "memory.max", text);
    }
    if (node->mem_mib > 0 && node->mem_mib != MEM_ALL) {
        snprintf(text, sizeof(text), "%lluM", (unsigned long long)node->mem_mib);
        file_put(c->dir, "memory.max", text);
    }
    if (s->launch->job->spec->oom_kill_step)
        file_put(c->dir, "memory.oom.group", "1");
}

struct contain *contain_create(const struct step *s, const char *slice)
{
    struct contain *c = xcalloc(1, sizeof(*c));
    c->fd = -1;
    if (!slice)
        return c;
    c->job_dir = xasprintf("%s/job_%u.%u", slice, s->job_id, s->restart);
    c->dir = xasprintf("%s/step_%u", c->job_dir, s->step_id);
    if ((mkdir(c->job_dir, 0755) < 0 && errno != EEXIST) ||
        (mkdir(c->dir, 0755) < 0 && errno != EEXIST) ||
        (c->fd = open(c->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0) {
        log_warn("contain", "cgroup=%s cannot be made: %s", c->dir, strerror(errno));
        return c;
    }
    limits_set(s, c);
    return c;
}

void contain_destroy(struct contain *c)
{
    if (!c)
        return;
    if (c->fd >= 0) {
        close(c->fd);
        if (rmdir(c->dir) < 0)
            log_warn("contain", "cgroup=%s cannot be removed: %s", c->dir,
                     strerror(errno));
        rmdir(c->job_dir); /* the last step's supervisor succeeds */
    }
    free(c->dir);
    free(c->job_dir);
    free(c);
}

pid_t contain_fork(struct contain *c)
{
    if (c->fd < 0)
        return _Fork();
    struct clone_args args = {.flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD};
    args.cgroup = (uint64_t)c->fd;
    return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

void contain_signal(struct contain *c, int signal)
{
    if (c->fd >= 0 && signal == SIGKILL)
        file_put(c->dir, "cgroup.kill", "1");
    procs_signal(getpid(), signal);
}

bool contain_oom(const struct contain *c)
{
    char path[PATH_LEN_MAX + 1], line[128];
    unsigned long long count = 0;
    if (c->fd < 0)
        return false;
    snprintf(path, sizeof(path), "%s/memory.events", c->dir);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof(line), f))
        if (sscanf(line, "oom_kill %llu", &count) == 1)
            break;
    if (f)
        fclose(f);
    return count > 0;
}
