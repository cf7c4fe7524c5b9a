/* SPDX-License-Identifier: Apache-2.0
 *
 * scontrol listpids and pidinfo: processes of jobs on this machine, found by the variables
 * that every process of a job inherits. So one sees what one may read in /proc: one's own,
 * root those of all.
 */
#include "scontrol.h"

#include "job/field.h"
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ENVIRON_BYTES_MAX (4u << 20) /* of one process */

struct process {
    long pid, parent;
    char job[16], step[16], local[16], global[16], node[256], cluster[128];
};

/* The whole of /proc/PID/NAME, NUL behind it; NULL: gone, or not ours to read. */
static char *proc_read(long pid, const char *name, size_t *n)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%ld/%s", pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    size_t cap = 16384;
    char *text = xcalloc(cap, 1);
    *n = 0;
    for (;;) {
        if (*n + 1 == cap && cap < ENVIRON_BYTES_MAX) {
            text = xrealloc(text, 2 * cap);
            cap *= 2;
        }
        ssize_t got = *n + 1 < cap ? read(fd, text + *n, cap - *n - 1) : 0;
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        *n += (size_t)got;
    }
    close(fd);
    text[*n] = '\0';
    return text;
}

static void variable_take(struct process *p, const char *entry)
{
    const struct {
        const char *name;
        char *to;
        size_t size;
    } rows[] = {
        {"SLURM_JOB_ID=", p->job, sizeof(p->job)},
        {"SLURM_STEP_ID=", p->step, sizeof(p->step)},
        {"SLURM_LOCALID=", p->local, sizeof(p->local)},
        {"SLURM_PROCID=", p->global, sizeof(p->global)},
        {"SLURMD_NODENAME=", p->node, sizeof(p->node)},
        {"SLURM_CLUSTER_NAME=", p->cluster, sizeof(p->cluster)},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t n = strlen(rows[i].name);
        if (strncmp(entry, rows[i].name, n) == 0)
            snprintf(rows[i].to, rows[i].size, "%s", entry + n);
    }
}

/* The fourth word of stat, behind the name in parentheses, which may hold anything. */
static long parent_of(long pid)
{
    size_t n;
    char *text = proc_read(pid, "stat", &n);
    const char *end = text != NULL ? strrchr(text, ')') : NULL;
    long parent = 0;
    if (end != NULL)
        sscanf(end + 1, " %*c %ld", &parent);
    free(text);
    return parent;
}

/* False: no process of a job, or not to be seen. */
static bool process_read(long pid, struct process *p)
{
    size_t n;
    char *env = proc_read(pid, "environ", &n);
    memset(p, 0, sizeof(*p));
    if (env == NULL)
        return false;
    for (const char *e = env; e < env + n; e += strlen(e) + 1)
        variable_take(p, e);
    free(env);
    p->pid = pid;
    p->parent = parent_of(pid);
    if (p->step[0] == '\0')
        strcpy(p->step, "batch"); /* a batch script is in no numbered step */
    return p->job[0] != '\0';
}

static bool same_task(const struct process *a, const struct process *b)
{
    return strcmp(a->job, b->job) == 0 && strcmp(a->step, b->step) == 0 &&
           strcmp(a->global, b->global) == 0;
}

struct wanted {
    const char *cluster, *job, *step, *node; /* NULL: any */
};

static bool fits(const struct wanted *w, const struct process *p)
{
    return (p->cluster[0] == '\0' || strcmp(p->cluster, w->cluster) == 0) &&
           (w->job == NULL || strcmp(p->job, w->job) == 0) &&
           (w->step == NULL || strcmp(p->step, w->step) == 0) &&
           (w->node == NULL || strcmp(p->node, w->node) == 0);
}

/* What a task has started has its variables too, but is not the task. */
static void process_print(const struct process *p)
{
    struct process parent;
    bool task = strcmp(p->step, "batch") != 0 && !(process_read(p->parent, &parent) && same_task(&parent, p));
    printf("%-8ld %-8s %-8s %-7s %-8s\n", p->pid, p->job, p->step, task ? p->local : "-", task ? p->global : "-");
}

static size_t processes_print(const struct wanted *w)
{
    DIR *dir = opendir("/proc");
    size_t count = 0;
    for (struct dirent *d; dir != NULL && (d = readdir(dir)) != NULL;) {
        struct process p;
        if (!isdigit((unsigned char)d->d_name[0]) || !process_read(strtol(d->d_name, NULL, 10), &p) || !fits(w, &p))
            continue;
        if (count++ == 0)
            printf("%-8s %-8s %-8s %-7s %-8s\n", "PID", "JOBID", "STEPID", "LOCALID", "GLOBALID");
        process_print(&p);
    }
    if (dir != NULL)
        closedir(dir);
    return count;
}

int scontrol_listpids(struct scontrol *s, int argc, char **argv)
{
    struct wanted w = {.cluster = s->client.conf->cluster_name};
    char job[32];

    if (argc > 2)
        return scontrol_fail(1, "listpids: [JOB[.STEP]] [NODE]");
    w.node = argc > 1 ? argv[1] : NULL;
    if (argc > 0 && strcmp(argv[0], "*") != 0) {
        size_t n = strcspn(argv[0], ".");
        if (n == 0 || n >= sizeof(job) || strspn(argv[0], "0123456789") != n)
            return scontrol_fail(1, "Invalid job id specified: %s", argv[0]);
        snprintf(job, sizeof(job), "%.*s", (int)n, argv[0]);
        w.job = job;
        w.step = argv[0][n] == '.' ? argv[0] + n + 1 : NULL;
    }
    if (processes_print(&w) > 0)
        return 0;
    return argc > 0 ? scontrol_fail(1, "listpids: no process of %s is to be seen on this machine", argv[0])
                    : scontrol_fail(1, "listpids: no process of a job is to be seen on this machine");
}

static int end_take(char *const *cells, size_t count, void *arg)
{
    (void)count;
    *(long long *)arg = strtoll(cells[0], NULL, 10);
    return 0;
}

int scontrol_pidinfo(struct scontrol *s, int argc, char **argv)
{
    struct process p;
    struct arena a;
    struct err err = {0};
    char *stop, text[TIME_TEXT_MAX];
    long long end = 0;
    long pid = argc == 1 ? strtol(argv[0], &stop, 10) : 0;

    if (pid <= 0 || *stop != '\0')
        return scontrol_fail(1, "pidinfo: a process id is needed");
    if (!process_read(pid, &p))
        return scontrol_fail(1, "process %ld is of no job, or not to be seen", pid);
    arena_init(&a);
    Sl__QueryRequest *q = command_query(&a, "job");
    command_filter(&a, q, "job", p.job);
    command_field(&a, q, FIELD_JOB_END);
    q->all = true;
    int rc = client_query(&s->client, q, end_take, &end, &err);
    arena_fini(&a);
    if (rc != 0)
        return scontrol_fail(1, "%s", err.text);
    printf("Slurm JobId=%s ends at %s\n", p.job,
           end != 0 ? time_format(end * USEC_PER_SEC, text) : "no time that is known");
    return 0;
}
