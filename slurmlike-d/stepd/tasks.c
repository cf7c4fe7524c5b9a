/* SPDX-License-Identifier: Apache-2.0 */
#include "stepd/tasks.h"

#include "job/jobspec.h"
#include "stepd/bind.h"
#include "stepd/contain.h"
#include "stepd/environ.h"
#include "stepd/mpi.h"
#include "stepd/sample.h"
#include "stepd/stdio.h"
#include "stepd/tree.h"
#include "stepd/user.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

/* All that the child needs, made before the fork. */
struct exec_plan {
    const struct step *step;
    struct stdio_child io;
    struct bind bind;
    const char *path;  /* NULL: look argv[0] up in PATH */
    char **argv, **envp;
    pid_t parent;
};

int tasks_init(struct step *s, struct err *err)
{
    const Sl__StepNode *node = s->launch->layout->nodes[s->node_index];
    uint32_t count = s->step_id == STEP_EXTERN ? 0 : (uint32_t)node->n_tasks;
    if (count > TASKS_PER_NODE_MAX)
        return err_set(err, SL_EBAD_CONFIG, "%u tasks on one node: the most is %u", count,
                       TASKS_PER_NODE_MAX);
    s->tasks = xcalloc(count, sizeof(*s->tasks));
    s->tasks_count = count;
    for (uint32_t i = 0; i < count; i++) {
        struct task *t = &s->tasks[i];
        t->step = s;
        t->rank = node->tasks[i];
        t->local = i;
        t->in.fd = -1;
        for (unsigned k = 0; k < 2; k++)
            t->out[k] = (struct stream_out){.task = t, .number = k + 1, .fd = -1};
    }
    return 0;
}

void tasks_fini(struct step *s)
{
    free(s->tasks);
    s->tasks = NULL;
    s->tasks_count = 0;
}

struct task *task_by_rank(struct step *s, uint32_t rank)
{
    for (uint32_t i = 0; i < s->tasks_count; i++)
        if (s->tasks[i].rank == rank)
            return &s->tasks[i];
    return NULL;
}

/* ---- the child: nothing here allocates ------------------------------------------------ */

static void child_say(const char *what, const char *object, int error, const char *more)
{
    char line[PATH_LEN_MAX + 256];
    int n = snprintf(line, sizeof(line), "slurmstepd: error: %s%s: %s%s\n", what, object,
                     strerror(error), more);
    if (n > 0 && write(2, line, (size_t)n < sizeof(line) ? (size_t)n : sizeof(line)) < 0)
        return;
}

static void child_signals(void)
{
    struct sigaction dfl = {.sa_handler = SIG_DFL};
    sigset_t none;
    for (int i = 1; i < NSIG; i++) /* also what the daemons were started with */
        if (i != SIGKILL && i != SIGSTOP)
            sigaction(i, &dfl, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void child_limits(const Sl__StepSpec *spec)
{
    for (size_t i = 0; i < spec->n_rlimits; i++) {
        const Sl__Rlimit *want = spec->rlimits[i];
        struct rlimit r;
        if (getrlimit((int)want->resource, &r) < 0)
            continue;
        /* the submit host's hard limits are not this node's: only the soft one moves */
        r.rlim_cur = want->soft < r.rlim_max ? (rlim_t)want->soft : r.rlim_max;
        if (setrlimit((int)want->resource, &r) < 0)
            child_say("setrlimit", "", errno, "");
    }
}

static void child_stdio(const struct stdio_child *io)
{
    /* a source among 0..2 would be overwritten before it is copied: they are not,
     * because the supervisor itself keeps 0..2 open on /dev/null */
    for (int i = 0; i < 3; i++)
        dup2(io->fd[i], i);
    if (io->pty)
        ioctl(0, TIOCSCTTY, 0);
    close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
}

static void child_chdir(const Sl__StepSpec *spec)
{
    if (!spec->work_dir[0] || chdir(spec->work_dir) == 0)
        return;
    char line[PATH_LEN_MAX + 256];
    int n = snprintf(line, sizeof(line),
                     "slurmstepd: error: couldn't chdir to `%s': %s: going to /tmp instead\n",
                     spec->work_dir, strerror(errno));
    if (n > 0 && write(2, line, (size_t)n) < 0)
        return;
    if (chdir("/tmp") < 0)
        child_say("chdir(): ", "/tmp", errno, "");
}

static void child_exec_in_path(const struct exec_plan *p, const char *name)
{
    char path[PATH_LEN_MAX + 1];
    const char *dirs = environ_get(p->envp, "PATH");
    int denied = 0;
    for (const char *d = dirs ? dirs : "/usr/bin:/bin"; d;) {
        const char *end = strchrnul(d, ':');
        size_t n = (size_t)(end - d);
        if (snprintf(path, sizeof(path), "%.*s%s%s", (int)n, d, n ? "/" : "", name) <
            (int)sizeof(path)) {
            execve(path, p->argv, p->envp);
            if (errno == EACCES)
                denied = EACCES;
            else if (errno != ENOENT && errno != ENOTDIR)
                return;
        }
        d = *end ? end + 1 : NULL;
    }
    errno = denied ? denied : ENOENT;
}

__attribute__((noreturn)) static void child_run(const struct exec_plan *p)
{
    const Sl__StepSpec *spec = p->step->launch->spec;
    int rc;

    child_signals();
    setsid();
    child_stdio(&p->io);
    child_limits(spec);
    umask(spec->umask & 0777);
    if ((rc = bind_apply(&p->bind)) < 0)
        child_say("unable to bind the task", "", -rc, "");
    if ((rc = user_become(&p->step->user)) < 0) {
        child_say("cannot become user ", p->step->user.name, -rc, "");
        _exit(-rc);
    }
    /* after the change of uid, which clears it: prctl(2) */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != p->parent)
        _exit(128 + SIGKILL);
    child_chdir(spec);
    environ_task_pid(p->envp, getpid());
    if (p->path)
        execve(p->path, p->argv, p->envp);
    else if (strchr(p->argv[0], '/'))
        execve(p->argv[0], p->argv, p->envp);
    else
        child_exec_in_path(p, p->argv[0]);
    rc = errno;
    child_say("execve(): ", p->path ? p->path : p->argv[0], rc, "");
    _exit(rc);
}

/* ---- the parent -------------------------------------------------------------------------- */

static int plan_make(struct step *s, struct task *t, struct arena *a, struct exec_plan *p,
                     struct err *err)
{
    const Sl__StepSpec *spec = s->launch->spec;
    size_t first = 0;

    p->step = s;
    p->parent = getpid();
    int rc = bind_make(s, t, a, &p->bind, err);
    if (rc < 0)
        return rc;
    p->envp = environ_task(s, t, &p->bind, a, err);
    if (!p->envp)
        return err->code;
    if (s->launch->script.len > 0) {
        p->path = arena_printf(a, "%s/slurm_script", s->dir);
        first = 1;
    } else if (spec->n_argv == 0) {
        return err_set(err, -EINVAL, "step %s has no command", s->name);
    } else if (spec->multi_prog) {
        size_t count;
        return multiprog_argv((const char *)spec->multi_prog_conf.data,
                              spec->multi_prog_conf.len, t->rank, spec->argv + 1,
                              spec->n_argv - 1, a, &p->argv, &count, err);
    }
    p->argv = arena_alloc(a, (spec->n_argv + first + 1) * sizeof(*p->argv));
    p->argv[0] = (char *)p->path;
    for (size_t i = 0; i < spec->n_argv; i++)
        p->argv[first + i] = spec->argv[i];
    return 0;
}

static int task_start(struct step *s, struct task *t, struct err *err)
{
    struct exec_plan p = {0};
    struct arena a;

    int rc = stdio_task_open(s, t, &p.io, err);
    if (rc < 0) {
        t->status = STATUS_IO_SETUP;
        return rc;
    }
    arena_init(&a);
    rc = plan_make(s, t, &a, &p, err);
    if (rc == 0) {
        pid_t pid = contain_fork(s->contain);
        if (pid == 0)
            child_run(&p);
        if (pid < 0)
            rc = err_errno(err, "fork");
        else
            t->pid = pid;
    }
    if (rc < 0)
        t->status = 1 << 8;
    stdio_task_started(s, t, &p.io, rc == 0);
    arena_fini(&a);
    return rc;
}

static void task_ended(struct step *s, struct task *t, int status, const struct rusage *ru)
{
    t->ended = true;
    t->status = status & ~0x80; /* without the core dump flag, as Slurm records it */
    if (ru)
        t->ru = *ru;
    ASSERT(s->tasks_running > 0);
    s->tasks_running--;
    stdio_task_flush(s, t);
}

void tasks_start(struct step *s)
{
    s->tasks_running = s->tasks_count;
    for (uint32_t i = 0; i < s->tasks_count; i++) {
        struct task *t = &s->tasks[i];
        struct err err;
        if (task_start(s, t, &err) < 0) {
            task_ended(s, t, t->status, NULL);
            tree_task_failed(s, t, err.text);
        }
    }
    tree_tasks_started(s);
}

struct task *task_by_pid(struct step *s, pid_t pid)
{
    for (uint32_t i = 0; i < s->tasks_count; i++)
        if (s->tasks[i].pid == pid && !s->tasks[i].ended)
            return &s->tasks[i];
    return NULL;
}

/* A process stays a zombie until its figures in /proc were read. */
bool tasks_reap(struct step *s)
{
    siginfo_t si;
    struct rusage ru;
    int status;

    for (;;) {
        si.si_pid = 0;
        if (waitid(P_ALL, 0, &si, WEXITED | WNOHANG | WNOWAIT) < 0) {
            if (errno == EINTR)
                continue;
            break;
        }
        if (si.si_pid == 0)
            return false;
        struct task *t = task_by_pid(s, si.si_pid);
        sample_zombie(s, t, si.si_pid);
        if (wait4(si.si_pid, &status, 0, &ru) != si.si_pid)
            continue;
        sample_reaped(s, t, &ru);
        if (t)
            task_ended(s, t, status, &ru);
    }
    return true;
}
