/* SPDX-License-Identifier: Apache-2.0
 *
 * salloc: an allocation for as long as a command (or the user's shell) runs.
 */
#include "alloc.h"

#include "job/state.h"
#include <errno.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

static const char program[] = "salloc";
extern char **environ;

#define BELL_AFTER (10 * USEC_PER_SEC) /* salloc(1): a short wait needs no bell */

struct salloc {
    struct job_request *req;
    struct alloc alloc;
    int signal_fd;
    sigset_t mask_before;
    bool terminal;   /* we own the terminal's foreground */
    pid_t child;
    bool revoked;
};

/* ---- signals ------------------------------------------------------------------------- */

static int signals_open(struct salloc *s, struct err *err)
{
    static const int set_of[] = {SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGCHLD, SIGUSR1, SIGUSR2};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof(set_of) / sizeof(set_of[0]); i++)
        sigaddset(&set, set_of[i]);
    sigprocmask(SIG_BLOCK, &set, &s->mask_before);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGTTOU, SIG_IGN); /* to take the terminal back */
    s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return s->signal_fd < 0 ? err_errno(err, "signalfd") : 0;
}

static int signal_next(const struct salloc *s)
{
    struct signalfd_siginfo si;
    return read(s->signal_fd, &si, sizeof(si)) == (ssize_t)sizeof(si) ? (int)si.ssi_signo : 0;
}

/* ---- waiting for the grant -------------------------------------------------------------- */

static int refused(const char *why, bool immediate)
{
    const char *text = getenv("SLURM_EXIT_IMMEDIATE");
    int code = immediate && text != NULL ? atoi(text) : 0;
    command_error(program, "Job submit/allocate failed: %s", why);
    return code > 0 && code < 256 ? code : command_exit_error();
}

static int grant_wait(struct salloc *s, struct err *err)
{
    struct alloc *a = &s->alloc;
    const struct job_request *r = s->req;
    usec_t deadline = r->immediate && r->immediate_usec > 0
                          ? clock_mono_usec() + r->immediate_usec : INT64_MAX;
    for (;;) {
        if (alloc_pump(a, err) < 0)
            return command_fail(program, err);
        if (alloc_granted(a))
            return 0;
        if (alloc_ended(a)) {
            command_say(program, "Job allocation %u has been revoked.", a->job_id);
            return command_exit_error();
        }
        usec_t now = clock_mono_usec();
        bool at_once = r->immediate && r->immediate_usec == 0;
        if (now >= deadline || (at_once && alloc_waits(a))) {
            alloc_cancel(a);
            return refused(err_name(SL_EBUSY_NODES), true);
        }
        int timeout = alloc_poll_timeout(a);
        int left = deadline == INT64_MAX ? -1 : (int)((deadline - now) / 1000 + 1);
        if (left >= 0 && (timeout < 0 || timeout > left))
            timeout = left;
        struct pollfd p[2] = {{.fd = alloc_fd(a), .events = POLLIN},
                              {.fd = s->signal_fd, .events = POLLIN}};
        poll(p, 2, timeout);
        int sig = p[1].revents != 0 ? signal_next(s) : 0;
        if (sig == SIGINT || sig == SIGQUIT || sig == SIGTERM || sig == SIGHUP) {
            alloc_cancel(a);
            command_say(program, "Job aborted due to signal");
            command_say(program, "Job allocation %u has been revoked.", a->job_id);
            return command_exit_error();
        }
    }
}

/* ---- the command -------------------------------------------------------------------------- */

static char **job_environment(struct salloc *s)
{
    struct job_request *r = s->req;
    struct env_list e;
    Sl__JobInfo info = SL__JOB_INFO__INIT;
    const struct passwd *pw = getpwuid(getuid());

    env_list_init(&e, &r->arena);
    for (char **p = environ; *p != NULL; p++) {
        size_t n = strcspn(*p, "=");
        if ((*p)[n] == '=')
            env_list_set(&e, arena_printf(&r->arena, "%.*s", (int)n, *p), "%s", *p + n + 1);
    }
    info.job_id = s->alloc.job_id;
    info.restart = s->alloc.last->restart;
    info.uid = getuid();
    info.gid = getgid();
    info.user = arena_strdup(&r->arena, pw != NULL ? pw->pw_name : "");
    info.spec = &r->spec;
    info.alloc = s->alloc.last->alloc;
    info.het = s->alloc.last->het;
    info.n_het = s->alloc.last->n_het;
    info.cluster = s->alloc.client.conf->cluster_name;
    info.account = r->spec.account;
    info.qos = r->spec.qos;
    env_job(&e, &info);
    return e.v;
}

static void child_exec(struct salloc *s, char **argv, char **env)
{
    if (s->terminal) {
        setpgid(0, 0);
        tcsetpgrp(STDIN_FILENO, getpid());
    }
    signal(SIGPIPE, SIG_DFL);
    signal(SIGTTOU, SIG_DFL);
    sigprocmask(SIG_SETMASK, &s->mask_before, NULL);
    if (s->req->spec.work_dir[0] != '\0' && chdir(s->req->spec.work_dir) != 0) {
        command_error(program, "cannot change to %s: %s", s->req->spec.work_dir, strerror(errno));
        _exit(1);
    }
    execvpe(argv[0], argv, env);
    command_error(program, "Unable to exec command \"%s\": %s", argv[0], strerror(errno));
    _exit(errno == ENOENT ? 127 : 126);
}

static int command_start(struct salloc *s, struct err *err)
{
    struct job_request *r = s->req;
    const char *shell = getenv("SHELL");
    char *own[2] = {(char *)(shell != NULL && *shell != '\0' ? shell : "/bin/sh"), NULL};
    char **argv = r->argc > 0 ? r->argv : own;
    char **env = job_environment(s);

    s->terminal = isatty(STDIN_FILENO) && tcgetpgrp(STDIN_FILENO) == getpgrp();
    s->child = fork();
    if (s->child < 0)
        return err_errno(err, "cannot fork");
    if (s->child == 0)
        child_exec(s, argv, env);
    if (s->terminal) { /* both sides set it: whichever runs first */
        setpgid(s->child, s->child);
        tcsetpgrp(STDIN_FILENO, s->child);
    }
    return 0;
}

static void child_signal(const struct salloc *s, int sig)
{
    kill(s->terminal ? -s->child : s->child, sig);
}

/* The allocation went away while the command runs. */
static void revoked(struct salloc *s)
{
    s->revoked = true;
    command_say(program, "Job allocation %u has been revoked.", s->alloc.job_id);
    if (s->req->kill_command != 0)
        child_signal(s, s->req->kill_command);
}

/* Suspends us together with a command that was stopped from the terminal. */
static void child_stopped(struct salloc *s)
{
    if (s->terminal)
        tcsetpgrp(STDIN_FILENO, getpgrp());
    kill(getpid(), SIGSTOP);
    if (s->terminal)
        tcsetpgrp(STDIN_FILENO, s->child);
    child_signal(s, SIGCONT);
}

/* true: the command has ended, with *status. */
static bool child_reap(struct salloc *s, int *status)
{
    pid_t pid = waitpid(s->child, status, WNOHANG | WUNTRACED);
    if (pid != s->child)
        return false;
    if (!WIFSTOPPED(*status))
        return true;
    child_stopped(s);
    return false;
}

/* salloc(1) SIGNALS: SIGTERM is the command's; most others are nobody's, as those of a
 * terminal reach the command by themselves. True: SIGHUP, which ends us at once. */
static bool command_signals(const struct salloc *s)
{
    bool hangup = false;
    for (int sig; (sig = signal_next(s)) != 0;) {
        if (sig == SIGTERM)
            child_signal(s, sig);
        hangup = hangup || sig == SIGHUP;
    }
    return hangup;
}

/* The command's wait(2) status; SIGHUP when it was not waited for. */
static int command_wait(struct salloc *s)
{
    struct err err = {0};
    int status = 0;
    while (!child_reap(s, &status)) {
        struct pollfd p[2] = {{.fd = s->revoked ? -1 : alloc_fd(&s->alloc), .events = POLLIN},
                              {.fd = s->signal_fd, .events = POLLIN}};
        poll(p, 2, s->revoked ? -1 : alloc_poll_timeout(&s->alloc));
        if (!s->revoked && alloc_pump(&s->alloc, &err) < 0)
            revoked(s);
        else if (!s->revoked && alloc_ended(&s->alloc))
            revoked(s);
        if (p[1].revents != 0 && command_signals(s))
            return SIGHUP;
    }
    if (s->terminal)
        tcsetpgrp(STDIN_FILENO, getpgrp());
    return status;
}

/* ---- main ------------------------------------------------------------------------------------ */

static void bell(const struct salloc *s)
{
    bool waited = clock_mono_usec() - s->alloc.submitted > BELL_AFTER;
    if ((s->req->bell == 1 || (s->req->bell < 0 && waited)) && isatty(STDOUT_FILENO)) {
        putchar('\a');
        fflush(stdout);
    }
}

static int granted(struct salloc *s, struct err *err)
{
    if (!s->req->quiet)
        command_say(program, "Granted job allocation %u", s->alloc.job_id);
    bell(s);
    if (s->req->no_shell)
        return 0;
    int status = command_start(s, err) != 0 ? command_fail(program, err) << 8 : command_wait(s);
    if (!s->revoked) {
        if (!s->req->quiet)
            command_say(program, "Relinquishing job allocation %u", s->alloc.job_id);
        alloc_complete(&s->alloc, status);
    }
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int run(struct job_request *r, struct err *err)
{
    struct salloc s = {.req = r, .signal_fd = -1};
    Sl__SubmitRequest q = SL__SUBMIT_REQUEST__INIT;

    if (job_request_finish(r, clock_wall_usec(), err) != 0 ||
        alloc_init(&s.alloc, program, r->quiet, err) != 0)
        return command_fail(program, err);
    command_warn(program, r);
    q.spec = &r->spec;
    q.het = job_request_het(r, &q.n_het);
    q.immediate = r->immediate && r->immediate_usec == 0;
    q.no_owner = r->no_shell;
    s.alloc.say_pending = true;
    int rc = signals_open(&s, err);
    if (rc != 0)
        rc = command_fail(program, err);
    else if ((rc = alloc_submit(&s.alloc, &q, err)) != 0)
        rc = rc == SL_ECTLD_DOWN ? command_fail(program, err)
                                 : refused(err->text, q.immediate && rc == SL_EBUSY_NODES);
    else if ((rc = grant_wait(&s, err)) == 0)
        rc = granted(&s, err);
    alloc_fini(&s.alloc);
    if (s.signal_fd >= 0)
        close(s.signal_fd);
    return rc;
}

int main(int argc, char **argv)
{
    struct err err = {0};
    struct job_request *r = job_request_create(JOB_CMD_SALLOC);
    int rc = 0;

    if (job_request_argv(r, argc, argv, &err) != 0)
        rc = command_usage_fail(program, &err);
    else if (r->help)
        job_print_help(r->command, stdout);
    else if (r->usage)
        job_print_usage(r->command, stdout);
    else if (r->version)
        command_version();
    else if (job_request_env(r, environ, &err) != 0)
        rc = command_fail(program, &err);
    else
        rc = run(r, &err);
    job_request_destroy(r);
    return command_end(program, rc);
}
