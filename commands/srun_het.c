/* SPDX-License-Identifier: Apache-2.0 */
#include "srun_het.h"

#include "base/limits.h"
#include "job/state.h"
#include "srun.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

#define MARK "SLURMLIKE_HET_STEP" /* an srun that was started here, for one component */

struct het {
    struct job_request *req;
    char **env;              /* with SLURM_*_HET_GROUP_# */
    int signal_fd;
    sigset_t mask_before;
    pid_t child[HET_SIZE_MAX];
    unsigned children, left;
    int code;
};

bool srun_het_wanted(const struct job_request *r)
{
    if (getenv(MARK) != NULL) {
        unsetenv(MARK); /* an srun that a task starts is another matter */
        return false;
    }
    return r->next != NULL || (r->het_group != NULL && strcmp(r->het_group, "0") != 0);
}

static const char *value_of(char *const *env, const char *name)
{
    size_t n = strlen(name);
    for (; env != NULL && *env != NULL; env++)
        if (strncmp(*env, name, n) == 0 && (*env)[n] == '=')
            return *env + n + 1;
    return NULL;
}

/* ---- a component's environment --------------------------------------------------------- */

/* Length of the name in front of "_HET_GROUP_<group>=", 0: the variable is no such one. */
static size_t group_name(const char *pair, unsigned group)
{
    char suffix[32];
    size_t n = strcspn(pair, "=");
    int len = snprintf(suffix, sizeof(suffix), "_HET_GROUP_%u", group);
    if (n <= (size_t)len || strncmp(pair + n - (size_t)len, suffix, (size_t)len) != 0)
        return 0;
    return n - (size_t)len;
}

/* What the first component has is taken away, what this one has is set in its place. */
static char **group_env(const struct het *h, unsigned group)
{
    struct env_list e;
    struct arena *a = &h->req->arena;
    env_list_init(&e, a);
    for (char *const *p = h->env; *p != NULL; p++) {
        size_t n = strcspn(*p, "=");
        if ((*p)[n] == '=')
            env_list_set(&e, arena_printf(a, "%.*s", (int)n, *p), "%s", *p + n + 1);
    }
    for (int set = 0; set <= 1; set++)
        for (char *const *p = h->env; *p != NULL; p++) {
            size_t n = group_name(*p, set ? group : 0);
            char *name = arena_printf(a, "%.*s", (int)n, *p);
            if (n != 0 && set)
                env_list_set(&e, name, "%s", strchr(*p, '=') + 1);
            else if (n != 0)
                env_list_unset(&e, name);
        }
    if (group != 0)
        env_list_unset(&e, "SLURMLIKE_JOB_SOCK"); /* the first one's manager, on this machine */
    env_list_set(&e, MARK, "1");
    return e.v;
}

/* ---- one srun for each component --------------------------------------------------------- */

static int groups_of(const struct job_request *r, unsigned block, unsigned size, struct arena *a,
                     uint32_t **groups, size_t *count, struct err *err)
{
    uint32_t throttle;
    const char *text = r->het_group != NULL ? r->het_group : arena_printf(a, "%u", block);
    int rc = array_parse(text, HET_SIZE_MAX, a, groups, count, &throttle, err);
    if (rc != 0)
        return err_prefix(err, "--het-group");
    for (size_t i = 0; i < *count; i++)
        if ((*groups)[i] >= size)
            return err_set(err, SL_EINVAL_FIELD, "--het-group: there is no component %u, the job "
                           "has %u", (*groups)[i], size);
    return 0;
}

static int child_start(struct het *h, unsigned group, char **argv, struct err *err)
{
    char **env = group_env(h, group);
    if (h->children == HET_SIZE_MAX)
        return err_set(err, SL_ETOO_MANY, "more than %d steps at once", HET_SIZE_MAX);
    pid_t parent = getpid(), pid = fork();
    if (pid < 0)
        return err_errno(err, "cannot fork");
    if (pid > 0) {
        h->child[h->children++] = pid;
        h->left++;
        return 0;
    }
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(1);
    if (h->children > 0) { /* what is typed is the first one's */
        int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (null < 0 || dup2(null, STDIN_FILENO) < 0)
            _exit(1);
    }
    sigprocmask(SIG_SETMASK, &h->mask_before, NULL);
    execve("/proc/self/exe", argv, env);
    command_error(srun_program, "cannot start srun: %s", strerror(errno));
    _exit(1);
}

/* The words of one block of the command line, as a command line of their own. */
static char **block_argv(struct arena *a, int argc, char **argv, int from, int *next)
{
    char **v = arena_alloc(a, ((size_t)argc + 2) * sizeof(*v));
    int n = 0, i = from;
    v[n++] = (char *)srun_program;
    for (; i < argc && !(strcmp(argv[i], ":") == 0 && i + 1 < argc); i++)
        v[n++] = argv[i];
    v[n] = NULL;
    *next = i + 1;
    return v;
}

static int children_start(struct het *h, int argc, char **argv, struct err *err)
{
    struct arena *a = &h->req->arena;
    const char *text = value_of(h->env, "SLURM_HET_SIZE");
    unsigned size = text != NULL ? (unsigned)strtoul(text, NULL, 10) : 1, block = 0;
    int at = 1, rc = 0;
    for (struct job_request *r = h->req; rc == 0 && r != NULL; r = r->next, block++) {
        uint32_t *groups;
        size_t count;
        char **words = block_argv(a, argc, argv, at, &at);
        if (r->argc == 0)
            return err_set(err, SL_EINVAL_FIELD, "No command given to execute (component %u).", block);
        rc = groups_of(r, block, size, a, &groups, &count, err);
        for (size_t i = 0; rc == 0 && i < count; i++)
            rc = child_start(h, groups[i], words, err);
    }
    return rc;
}

static void children_signal(const struct het *h, int sig)
{
    for (unsigned i = 0; i < h->children; i++)
        if (h->child[i] > 0)
            kill(h->child[i], sig);
}

static void children_reap(struct het *h)
{
    int status;
    for (unsigned i = 0; i < h->children; i++) {
        if (h->child[i] <= 0 || waitpid(h->child[i], &status, WNOHANG) != h->child[i])
            continue;
        int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        h->code = code > h->code ? code : h->code;
        h->child[i] = 0;
        h->left--;
    }
}

static void signals_take(struct het *h)
{
    struct signalfd_siginfo si;
    while (read(h->signal_fd, &si, sizeof(si)) == (ssize_t)sizeof(si)) {
        if (si.ssi_signo == SIGCHLD)
            children_reap(h);
        else if (si.ssi_code == SI_USER || si.ssi_code == SI_QUEUE || si.ssi_code == SI_TKILL)
            children_signal(h, (int)si.ssi_signo); /* a terminal's reach them by themselves */
    }
}

static int signals_open(struct het *h, struct err *err)
{
    static const int set_of[] = {SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGCHLD, SIGUSR1, SIGUSR2, SIGALRM};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof(set_of) / sizeof(set_of[0]); i++)
        sigaddset(&set, set_of[i]);
    sigprocmask(SIG_BLOCK, &set, &h->mask_before);
    h->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return h->signal_fd < 0 ? err_errno(err, "signalfd") : 0;
}

/* a: the allocation of our own, whose end is the end; NULL: somebody else's. */
static int children_wait(struct het *h, struct alloc *a)
{
    struct err err = {0};
    while (h->left > 0) {
        struct pollfd p[2] = {{.fd = h->signal_fd, .events = POLLIN},
                              {.fd = a != NULL ? alloc_fd(a) : -1, .events = POLLIN}};
        poll(p, 2, a != NULL ? alloc_poll_timeout(a) : -1);
        signals_take(h);
        if (a != NULL && (alloc_pump(a, &err) < 0 || alloc_ended(a)))
            a = NULL; /* the steps end with it */
    }
    return h->code;
}

/* ---- a job of our own --------------------------------------------------------------------- */

static char **own_env(struct het *h, const struct alloc *a)
{
    struct env_list e;
    Sl__JobInfo info = SL__JOB_INFO__INIT;
    env_list_init(&e, &h->req->arena);
    for (char **p = environ; *p != NULL; p++) {
        size_t n = strcspn(*p, "=");
        if ((*p)[n] == '=')
            env_list_set(&e, arena_printf(&h->req->arena, "%.*s", (int)n, *p), "%s", *p + n + 1);
    }
    info.job_id = a->job_id;
    info.spec = &h->req->spec;
    info.alloc = a->last->alloc;
    info.cluster = a->client.conf->cluster_name;
    info.het = a->last->het;
    info.n_het = a->last->n_het;
    env_job(&e, &info);
    return e.v;
}

/* 0: granted; else the exit code. */
static int grant_wait(struct het *h, struct alloc *a, struct err *err)
{
    while (!alloc_granted(a)) {
        struct pollfd p[2] = {{.fd = alloc_fd(a), .events = POLLIN},
                              {.fd = h->signal_fd, .events = POLLIN}};
        struct signalfd_siginfo si;
        if (alloc_pump(a, err) < 0)
            return command_fail(srun_program, err);
        if (alloc_granted(a))
            break;
        if (alloc_ended(a)) {
            command_error(srun_program, "Unable to allocate resources: job %u ended", a->job_id);
            return command_exit_error();
        }
        poll(p, 2, alloc_poll_timeout(a));
        if (read(h->signal_fd, &si, sizeof(si)) == (ssize_t)sizeof(si) && si.ssi_signo != SIGCHLD) {
            alloc_cancel(a);
            command_say(srun_program, "Job allocation %u has been revoked.", a->job_id);
            return command_exit_error();
        }
    }
    return 0;
}

static int own_job(struct het *h, int argc, char **argv, struct err *err)
{
    struct job_request *r = h->req;
    struct alloc a;
    Sl__SubmitRequest q = SL__SUBMIT_REQUEST__INIT;

    if (r->het_group != NULL) {
        err_set(err, SL_EINVAL_FIELD, "--het-group is for steps inside an allocation");
        return command_fail(srun_program, err);
    }
    if (job_request_finish(r, clock_wall_usec(), err) != 0 ||
        alloc_init(&a, srun_program, r->quiet, err) != 0)
        return command_fail(srun_program, err);
    r->spec.type = SL__JOB_TYPE__JOB_TYPE_ALLOC;
    q.spec = &r->spec;
    q.het = job_request_het(r, &q.n_het);
    int rc = alloc_submit(&a, &q, err);
    if (rc != 0) {
        if (rc != SL_ECTLD_DOWN)
            err_prefix(err, "Unable to allocate resources");
        rc = command_fail(srun_program, err);
    } else if ((rc = grant_wait(h, &a, err)) == 0) {
        h->env = own_env(h, &a);
        rc = children_start(h, argc, argv, err) != 0 ? command_fail(srun_program, err) : 0;
        if (rc != 0)
            children_signal(h, SIGTERM);
        int code = children_wait(h, &a);
        rc = rc != 0 ? rc : code;
        alloc_complete(&a, rc > 128 ? rc - 128 : rc << 8);
    }
    alloc_fini(&a);
    return rc;
}

int srun_het_run(struct job_request *r, int argc, char **argv)
{
    struct het h = {.req = r, .env = environ, .signal_fd = -1};
    struct err err = {0};
    int rc;

    if (signals_open(&h, &err) != 0)
        return command_fail(srun_program, &err);
    if (r->jobid == NULL) {
        rc = own_job(&h, argc, argv, &err);
    } else if (getenv("SLURM_HET_SIZE") == NULL) {
        err_set(&err, SL_EINVAL_FIELD, "--het-group and \":\" are for steps of a heterogeneous job, "
                "called from inside it");
        rc = command_fail(srun_program, &err);
    } else {
        rc = children_start(&h, argc, argv, &err) != 0 ? command_fail(srun_program, &err) : 0;
        if (rc != 0)
            children_signal(&h, SIGTERM);
        int code = children_wait(&h, NULL);
        rc = rc != 0 ? rc : code;
    }
    close(h.signal_fd);
    return rc;
}
