/* SPDX-License-Identifier: Apache-2.0
 *
 * The life of one step on one node. Everything that happens changes some state and then
 * calls step_advance(), the only place where a phase changes forward.
 */
#include "stepd/stepd.h"

#include "stepd/attach.h"
#include "stepd/contain.h"
#include "stepd/dlink.h"
#include "stepd/idle.h"
#include "stepd/manager.h"
#include "stepd/mpi.h"
#include "stepd/record.h"
#include "stepd/route.h"
#include "stepd/sample.h"
#include "stepd/spool.h"
#include "stepd/stdio.h"
#include "stepd/tasks.h"
#include "stepd/title.h"
#include "stepd/tree.h"
#include "stepd/user.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PREPARE_USEC 1000           /* the daemon has heard of us, and answered, by then */
#define KILL_AGAIN_USEC (50 * 1000) /* a killed process may fork once more before it dies */

/* ---- timers ------------------------------------------------------------------------- */

void timer_set(struct step *s, struct event **ev, usec_t delay,
               void (*fn)(evutil_socket_t, short, void *), void *arg)
{
    struct timeval tv = {delay / USEC_PER_SEC, delay % USEC_PER_SEC};
    timer_stop(ev);
    *ev = event_new(s->base, -1, 0, fn, arg);
    ASSERT(*ev);
    event_add(*ev, &tv);
}

void timer_stop(struct event **ev)
{
    if (*ev)
        event_free(*ev);
    *ev = NULL;
}

/* ---- telling the user ------------------------------------------------------------------ */

void step_tell_line(struct step *s, const char *line)
{
    char *text = xasprintf("%s\n", line);
    if (!stdio_tell(s, text) && s->tree)
        tree_text(s, line);
    free(text);
}

static void tell_format(struct step *s, const char *prefix, const char *fmt, va_list ap)
{
    char text[1024];
    int n = snprintf(text, sizeof(text), "%s", prefix);
    vsnprintf(text + n, sizeof(text) - (size_t)n, fmt, ap);
    step_tell_line(s, text);
}

void step_tell(struct step *s, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    tell_format(s, "slurmstepd: error: ", fmt, ap);
    va_end(ap);
}

void step_note(struct step *s, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    tell_format(s, "", fmt, ap);
    va_end(ap);
}

static int shell_code(int status)
{
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int status_worst(int a, int b)
{
    return shell_code(b) > shell_code(a) ? b : a;
}

/* Wall time that does not run backwards within the step, whatever happens to the clock. */
static usec_t step_now(const struct step *s)
{
    return clock_mono_usec() + s->clock_offset;
}

/* ---- signals and ending -------------------------------------------------------------------- */

static void step_kill(struct step *s);

static void on_kill_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    step_kill(arg);
}

/* Until wait(2) says that nothing is left. */
static void step_kill(struct step *s)
{
    if (s->childless)
        return;
    s->killed = true;
    contain_signal(s->contain, SIGKILL);
    timer_set(s, &s->kill_timer, KILL_AGAIN_USEC, on_kill_timer, s);
}

void step_terminate(struct step *s, usec_t kill_wait, uint32_t state)
{
    Sl__StepSignal m = SL__STEP_SIGNAL__INIT;
    usec_t deadline = clock_mono_usec() + (kill_wait > 0 ? kill_wait : 0);

    if (s->phase >= PHASE_REPORTING || (s->terminating && deadline >= s->kill_deadline))
        return;
    if (state && !s->state)
        s->state = state;
    bool first = !s->terminating;
    s->terminating = true;
    s->kill_deadline = deadline;
    m.terminate = true;
    m.kill_wait_usec = kill_wait;
    tree_signal(s, &m);
    if (s->phase == PHASE_WAITING) { /* no task was started, none will be */
        s->phase = PHASE_RUNNING;
        s->start = step_now(s);
    }
    if (kill_wait <= 0) {
        step_kill(s);
    } else {
        if (first) {
            contain_signal(s->contain, SIGTERM);
            contain_signal(s->contain, SIGCONT);
        }
        timer_set(s, &s->kill_timer, kill_wait, on_kill_timer, s);
    }
    step_advance(s);
}

void step_signal(struct step *s, int signal, const uint32_t *ranks, size_t ranks_count)
{
    Sl__StepSignal m = SL__STEP_SIGNAL__INIT;
    if (signal <= 0 || signal >= NSIG)
        return;
    m.signal = (uint32_t)signal;
    m.tasks = (uint32_t *)(uintptr_t)ranks;
    m.n_tasks = ranks_count;
    tree_signal(s, &m);
    if (ranks_count == 0)
        contain_signal(s->contain, signal);
    for (size_t i = 0; i < ranks_count; i++) {
        const struct task *t = task_by_rank(s, ranks[i]);
        if (!t || !t->pid || t->ended)
            continue;
        /* a rank is its process group; the batch script only its shell: scancel(1) -b */
        kill(s->batch ? t->pid : -t->pid, signal);
    }
}

void step_suspend(struct step *s, bool stop)
{
    usec_t now = step_now(s);
    if (stop == (s->suspended_since != 0))
        return;
    contain_signal(s->contain, stop ? SIGSTOP : SIGCONT);
    if (!stop)
        s->suspended_total += now - s->suspended_since;
    s->suspended_since = stop ? now : 0;
}

static void on_limit(evutil_socket_t fd, short what, void *arg)
{
    struct step *s = arg;
    char when[TIME_TEXT_MAX];
    (void)fd;
    (void)what;
    step_tell(s, "*** STEP %s ON %s CANCELLED AT %s DUE TO TIME LIMIT ***", s->name,
              s->opts->node, time_format(clock_wall_usec(), when));
    step_terminate(s, s->opts->kill_wait, JOB_TIMEOUT);
}

static void on_attach_timer(evutil_socket_t fd, short what, void *arg)
{
    struct step *s = arg;
    (void)fd;
    (void)what;
    snprintf(s->text, sizeof(s->text), "no srun attached to the step in time");
    step_terminate(s, 0, JOB_CANCELLED);
}

static void mpi_prepare(struct step *s)
{
    struct err err = {0};
    if (s->setup.code == 0 && !s->terminating && mpi_start(s, &err) < 0) {
        s->setup = err;
        s->setup_status = 1 << 8;
    }
}

/* While srun, or the supervisor above, is on its way. */
static void on_prepare_timer(evutil_socket_t fd, short what, void *arg)
{
    struct step *s = arg;
    (void)fd;
    (void)what;
    if (s->phase == PHASE_WAITING)
        mpi_prepare(s);
}

static void on_start_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    record_report_start(arg);
}

/* ---- phases --------------------------------------------------------------------------------- */

void step_go(struct step *s)
{
    const Sl__StepSpec *spec = s->launch->spec;

    if (s->phase != PHASE_WAITING || s->terminating)
        return;
    timer_stop(&s->attach_timer);
    s->phase = PHASE_RUNNING;
    s->start = step_now(s);
    tree_go(s);
    mpi_prepare(s);
    if (s->setup.code != 0) {
        step_tell(s, "%s", s->setup.text);
        tree_abort(s, s->setup_status, s->setup.text);
        return;
    }
    s->childless = false;
    tasks_start(s);
    if (s->root && spec->time_limit_usec > 0 && spec->time_limit_usec != SPAN_INFINITE)
        timer_set(s, &s->limit_timer, spec->time_limit_usec, on_limit, s);
    timer_set(s, &s->start_timer, REPORT_DELAY_USEC, on_start_timer, s);
    step_advance(s);
}

/* An allocation without tasks of its own (salloc) lasts until it is ended. */
static bool step_tasks_over(const struct step *s)
{
    return s->tasks_running == 0 && (s->step_id != STEP_EXTERN || s->terminating);
}

/* Nothing runs here any more and all its output is on its way. */
static void step_local_done(struct step *s)
{
    Sl__StepUsage own = SL__STEP_USAGE__INIT;
    stdio_finish(s);
    sample_fill(s, &own);
    usage_merge(&s->usage, &own, s->usage_node);
    s->oom |= contain_oom(s->contain);
    s->local_done = true;
}

static void step_report(struct step *s)
{
    s->phase = PHASE_REPORTING;
    s->end = step_now(s);
    if (s->suspended_since)
        step_suspend(s, false);
    timer_stop(&s->start_timer);
    timer_stop(&s->limit_timer);
    timer_stop(&s->kill_timer);
    timer_stop(&s->attach_timer);
    tree_node_done(s);
    record_report_end(s);
    manager_tell_done(s);
}

void step_advance(struct step *s)
{
    if (s->phase == PHASE_RUNNING && step_tasks_over(s)) {
        s->phase = PHASE_DRAINING;
        s->childless = tasks_reap(s);
        step_kill(s); /* what the tasks left behind */
    }
    if (s->phase == PHASE_DRAINING && s->childless && !s->local_done &&
        !stdio_paused(s))
        step_local_done(s);
    if (s->phase == PHASE_DRAINING && s->local_done && tree_below_done(s->tree))
        step_report(s);
    if (s->phase == PHASE_REPORTING && dlink_idle(s->dlink) && tree_queued(s) == 0)
        s->over = true;
}

/* The others would wait for it for ever. srun tells of a code or signal by itself. */
static void task_broke(struct step *s, const struct task *t)
{
    char text[128];
    snprintf(text, sizeof(text), "task %u ended without MPI_Finalize: the step is ended",
             t->rank);
    step_tell(s, "%s", text);
    tree_abort(s, t->status ? t->status : 1 << 8, text);
    if (!s->root)
        step_terminate(s, ABORT_GRACE_USEC, 0);
}

static void on_child_signal(evutil_socket_t fd, short what, void *arg)
{
    struct step *s = arg;
    struct signalfd_siginfo si;
    (void)what;
    while (read(fd, &si, sizeof(si)) == (ssize_t)sizeof(si))
        if (si.ssi_signo == SIGTERM)
            step_terminate(s, s->opts->kill_wait, JOB_CANCELLED);
    s->childless = tasks_reap(s);
    tree_tasks_ended(s);
    for (uint32_t i = 0; i < s->tasks_count && !s->terminating; i++)
        if (s->tasks[i].ended && mpi_task_ended(s, &s->tasks[i]))
            task_broke(s, &s->tasks[i]);
    step_advance(s);
}

/* ---- birth ------------------------------------------------------------------------------------- */

static bool launch_usable(const Sl__StepLaunch *m)
{
    if (!m->job || !m->job->spec || !m->spec || !m->layout ||
        m->node_index >= m->layout->n_nodes || m->layout->n_nodes > NODES_MAX ||
        m->layout->ntasks > TASKS_PER_STEP_MAX || m->layout->job_id != m->job->job_id)
        return false;
    for (size_t i = 0; i < m->layout->n_nodes; i++)
        for (size_t k = 0; k < m->layout->nodes[i]->n_tasks; k++)
            if (m->layout->nodes[i]->tasks[k] >= m->layout->ntasks)
                return false;
    return true;
}

static void step_name(struct step *s)
{
    if (s->step_id == STEP_BATCH)
        snprintf(s->name, sizeof(s->name), "%u.batch", s->job_id);
    else if (s->step_id == STEP_EXTERN)
        snprintf(s->name, sizeof(s->name), "%u.extern", s->job_id);
    else if (s->step_id == STEP_INTERACTIVE)
        snprintf(s->name, sizeof(s->name), "%u.interactive", s->job_id);
    else
        snprintf(s->name, sizeof(s->name), "%u.%u", s->job_id, s->step_id);
}

static void step_init(struct step *s, const struct node_opts *opts, Sl__StepLaunch *m)
{
    *s = (struct step){.opts = opts, .launch = m, .phase = PHASE_WAITING,
                       .childless = true, .sigchld_fd = -1};
    s->job_id = m->job->job_id;
    s->restart = m->layout->restart;
    s->step_id = m->layout->step_id;
    s->node_index = m->node_index;
    s->nodes_count = (uint32_t)m->layout->n_nodes;
    s->batch = m->script.len > 0;
    s->root = s->node_index == 0;
    s->manager = m->manager;
    s->clock_offset = clock_wall_usec() - clock_mono_usec();
    s->start = step_now(s);
    sl__step_usage__init(&s->usage);
    s->usage.rss_max_node = s->usage_node;
    arena_init(&s->arena);
    step_name(s);
    s->dir = spool_step_dir(opts->spool, s->job_id, s->restart, s->step_id);
}

/* What outlasts the step that this process supervises. */
struct life {
    int starting; /* STARTING_FD or what came in its place; -1: none */
    char *folder; /* kept from the step before; NULL: none */
    struct kept_socket socket;
};

static void process_init(void)
{
    setsid();
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    prctl(PR_SET_DUMPABLE, 0); /* it knows the job's secret and peers' keys */
}

static void process_name(const char *step)
{
    char comm[16];
    snprintf(comm, sizeof(comm), "stepd %.9s", step);
    prctl(PR_SET_NAME, comm);
    title_set("slurmlike-stepd: [%s]", step);
}

static void signals_init(struct step *s)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_SETMASK, &set, NULL);
    s->sigchld_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    ASSERT(s->sigchld_fd >= 0);
    s->sigchld_ev = event_new(s->base, s->sigchld_fd, EV_READ | EV_PERSIST,
                              on_child_signal, s);
    ASSERT(s->sigchld_ev);
    event_add(s->sigchld_ev, NULL);
}

/* The first thing that fails is what the step ends with. */
static int step_setup(struct step *s, struct err *err)
{
    const Sl__JobInfo *job = s->launch->job;
    int rc = user_init(&s->user, job->uid, job->gid, job->user, err);
    if (rc == 0 && s->batch)
        rc = spool_script(s->dir, &s->launch->script, s->user.uid, s->user.gid, err);
    if (rc < 0) {
        s->setup_status = 1 << 8;
        return rc;
    }
    rc = stdio_create(s, err);
    if (rc < 0)
        s->setup_status = STATUS_IO_SETUP;
    return rc;
}

static void step_start(struct step *s, struct life *life)
{
    struct err err;
    int made = spool_create(s->dir, life->folder, &err);
    if (life->starting >= 0)
        close(life->starting);
    if (made == -EEXIST) { /* never run a step twice */
        log_error("step", "step=%s restart=%u was started here before", s->name,
                  s->restart);
        _exit(1);
    }
    s->base = event_base_new();
    ASSERT(s->base);
    signals_init(s);
    s->contain = contain_create(s, s->opts->slice);
    if (made < 0) {
        s->setup = err;
        s->setup_status = 1 << 8;
    } else if (step_setup(s, &s->setup) == 0 && tasks_init(s, &s->setup) < 0) {
        s->setup_status = 1 << 8;
    }
    s->sampler = sampler_create(s);
    if (s->manager)
        s->steps = manager_create(s);
    if (s->root)
        s->attach = attach_create(s);
    s->tree = tree_create(s);
    if (made == 0)
        route_listen(s, &life->socket);
    s->dlink = dlink_create(s);
    timer_set(s, &s->prepare_timer, PREPARE_USEC, on_prepare_timer, s);
    if (s->root && s->launch->spec->detached)
        step_go(s);
    else if (s->root)
        timer_set(s, &s->attach_timer, ATTACH_WAIT_USEC, on_attach_timer, s);
}

/* Threads stay, and what they know. */
static bool process_threaded(void)
{
    struct stat st;
    return stat("/proc/self/task", &st) < 0 || st.st_nlink != 3;
}

/* False: the process has to end by _exit(2). */
static bool step_fini(struct step *s, struct life *life)
{
    bool as_new = !s->mpi, orderly = mpi_stop(s);
    stdio_destroy(s);
    timer_stop(&s->kill_timer);
    timer_stop(&s->prepare_timer);
    sampler_destroy(s->sampler);
    contain_destroy(s->contain);
    bool keep = as_new && !process_threaded();
    if (keep)
        route_keep(s, &life->socket);
    else
        route_unlisten(s);
    char *kept = xasprintf("%s/idle.%d", s->opts->spool, (int)getpid());
    free(life->folder);
    life->folder = NULL;
    if (!keep)
        spool_remove(s->dir);
    else if (spool_keep(s->dir, kept))
        life->folder = xstrdup(kept);
    free(kept);
    /* links that still owe their peer bytes go on until those are read */
    attach_destroy(s->attach);
    tree_destroy(s->tree);
    manager_destroy(s->steps);
    dlink_destroy(s->dlink);
    event_free(s->sigchld_ev);
    close(s->sigchld_fd);
    event_base_dispatch(s->base);
    event_base_free(s->base);
    tasks_fini(s);
    user_fini(&s->user);
    arena_fini(&s->arena);
    free(s->dir);
    sl__step_launch__free_unpacked(s->launch, NULL);
    return orderly;
}

static bool step_run(const struct node_opts *opts, Sl__StepLaunch *launch,
                     struct life *life)
{
    struct step s;
    if (!launch_usable(launch)) {
        log_error("step", "unusable step launch from the daemon");
        _exit(1);
    }
    step_init(&s, opts, launch);
    process_name(s.name);
    step_start(&s, life);
    while (!s.over && event_base_loop(s.base, EVLOOP_ONCE) == 0)
        step_advance(&s);
    return step_fini(&s, life);
}

void supervisor_run(const struct node_opts *opts, Sl__StepLaunch *launch,
                    const struct idle_seat *seat)
{
    struct life life = {.starting = opts->starting ? STARTING_FD : -1, .socket.fd = -1};
    process_init();
    mpi_keep_from_tasks();
    for (unsigned steps = 1; launch; steps++) {
        if (!step_run(opts, launch, &life))
            _exit(0);
        if (!life.folder || steps == IDLE_STEPS_MAX)
            break;
        process_name("idle");
        launch = idle_wait(seat, &life.starting);
    }
    if (life.folder)
        spool_remove(life.folder);
    free(life.folder);
    if (life.socket.fd >= 0)
        close(life.socket.fd);
    exit(0);
}
