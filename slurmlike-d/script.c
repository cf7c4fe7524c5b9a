/* SPDX-License-Identifier: Apache-2.0 */
#include "noded.h"

#include "job/jobspec.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SCRIPT_OUTPUT_MAX 4096u              /* kept for the log */
#define SCRIPT_SECONDS_MAX 300               /* slurm.conf(5) PrologEpilogTimeout, bounded here */
#define SCRIPT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

struct script_run {
    struct noded *d;
    pid_t pid;
    int out;
    struct event *readable, *timeout;
    struct buf output;
    script_done_f done;
    void *arg;
};

static void script_free(struct script_run *r)
{
    if (r->readable)
        event_free(r->readable);
    if (r->timeout)
        event_free(r->timeout);
    if (r->out >= 0)
        close(r->out);
    buf_fini(&r->output);
    free(r);
}

static void script_end(struct script_run *r, int status)
{
    script_done_f done = r->done;
    struct noded *d = r->d;
    void *arg = r->arg;
    char *text = buf_steal(&r->output);
    script_free(r);
    done(d, status, text ? text : "", arg);
    free(text);
}

/* End of file on the pipe: the script and all it started have ended. */
static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct script_run *r = arg;
    char chunk[1024];
    int status;
    (void)what;
    ssize_t n = read(fd, chunk, sizeof(chunk));
    if (n > 0) {
        if (r->output.len + (size_t)n <= SCRIPT_OUTPUT_MAX)
            buf_put(&r->output, chunk, (size_t)n);
        return;
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (waitpid(r->pid, &status, 0) != r->pid)
        status = -1;
    script_end(r, status);
}

static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
    struct script_run *r = arg;
    int status;
    (void)fd;
    (void)what;
    kill(-r->pid, SIGKILL);
    waitpid(r->pid, &status, 0);
    buf_puts(&r->output, " (timed out)");
    script_end(r, -1);
}

static void script_child(const char *path, const struct env_list *env, int out)
{
    char *argv[] = {(char *)path, NULL};
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    setpgid(0, 0);
    dup2(null, 0);
    dup2(out, 1);
    dup2(out, 2);
    close_range(3, ~0u, 0);
    signal(SIGPIPE, SIG_DFL);
    if (chdir("/") < 0)
        dprintf(2, "/: %s\n", strerror(errno));
    execve(path, argv, env->v);
    dprintf(2, "%s: %s\n", path, strerror(errno));
    _exit(127);
}

struct script_run *script_start(struct noded *d, const char *path, const Sl__JobInfo *job,
                                const char *context, script_done_f done, void *arg,
                                struct err *err)
{
    int p[2];
    struct arena a;
    struct env_list env;

    if (pipe2(p, O_CLOEXEC) < 0) {
        err_errno(err, "pipe");
        return NULL;
    }
    arena_init(&a);
    env_list_init(&env, &a);
    env_job(&env, job);
    env_list_set(&env, "PATH", "%s", SCRIPT_PATH);
    env_list_set(&env, "SLURM_SCRIPT_CONTEXT", "%s", context);
    env_list_set(&env, "SLURM_JOB_UID", "%u", job->uid);
    env_list_set(&env, "SLURM_JOB_USER", "%s", job->user);
    env_list_set(&env, "SLURMD_NODENAME", "%s", d->name);
    pid_t pid = fork();
    if (pid == 0)
        script_child(path, &env, p[1]);
    arena_fini(&a);
    close(p[1]);
    if (pid < 0) {
        err_errno(err, "fork for %s", path);
        close(p[0]);
        return NULL;
    }
    struct script_run *r = xcalloc(1, sizeof(*r));
    struct timeval limit = {SCRIPT_SECONDS_MAX, 0};
    r->d = d;
    r->pid = pid;
    r->out = p[0];
    r->done = done;
    r->arg = arg;
    buf_init(&r->output);
    evutil_make_socket_nonblocking(p[0]);
    r->readable = event_new(d->base, p[0], EV_READ | EV_PERSIST, on_readable, r);
    r->timeout = evtimer_new(d->base, on_timeout, r);
    event_add(r->readable, NULL);
    evtimer_add(r->timeout, &limit);
    return r;
}

void script_cancel(struct script_run *r)
{
    int status;
    if (!r)
        return;
    kill(-r->pid, SIGKILL);
    waitpid(r->pid, &status, 0);
    script_free(r);
}
