/* SPDX-License-Identifier: Apache-2.0 */
#include "stepd/zygote.h"

#include "stepd/idle.h"
#include "stepd/mpi.h"
#include "stepd/procs.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define READ_BYTES (256u << 10)

struct supervisor {
    pid_t pid;
    int fd;    /* launches for it when it is idle; -1: it gets none */
    bool idle;
};
struct dead { /* a killed supervisor whose left-overs are not all gone */
    pid_t pid;
    int status;
};
struct zygote {
    const struct node_opts *opts;
    struct buf in;
    int signal_fd;
    int notes_fd[2]; /* supervisors that are idle write their pid */
    struct supervisor *supervisors;
    size_t supervisors_count, supervisors_cap;
    unsigned idle_count;
    struct dead *dead;
    size_t dead_count;
};

/* ---- answers ----------------------------------------------------------------------- */

static void reply(uint32_t tag, pid_t pid, int code, const char *text)
{
    Sl__StepLaunchReply r = SL__STEP_LAUNCH_REPLY__INIT;
    struct buf b;
    r.pid = (uint32_t)pid;
    r.code = code;
    r.text = (char *)text;
    buf_init(&b);
    if (wire_pack(&b, WIRE_STEP_LAUNCH_REPLY, tag, &r.base, NULL) == 0)
        for (size_t at = 0; at < b.len;) {
            ssize_t n = send(ZYGOTE_FD, b.data + at, b.len - at, MSG_NOSIGNAL);
            if (n < 0 && errno == EINTR)
                continue;
            if (n <= 0)
                break; /* the daemon is gone: the next read says so */
            at += (size_t)n;
        }
    buf_fini(&b);
}

/* ---- supervisors ---------------------------------------------------------------------- */

static void supervisors_add(struct zygote *z, pid_t pid, int fd)
{
    if (z->supervisors_count == z->supervisors_cap) {
        z->supervisors_cap = z->supervisors_cap ? 2 * z->supervisors_cap : 64;
        z->supervisors =
            xrealloc(z->supervisors, z->supervisors_cap * sizeof(*z->supervisors));
    }
    z->supervisors[z->supervisors_count++] = (struct supervisor){.pid = pid, .fd = fd};
}

static size_t supervisors_find(const struct zygote *z, pid_t pid)
{
    size_t i = 0;
    while (i < z->supervisors_count && z->supervisors[i].pid != pid)
        i++;
    return i;
}

/* It gets no more launches, and exits when it waits for one. */
static void supervisor_release(struct zygote *z, struct supervisor *s)
{
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
    z->idle_count -= s->idle;
    s->idle = false;
}

static void supervisors_idle(struct zygote *z)
{
    pid_t pids[64];
    ssize_t n;
    while ((n = read(z->notes_fd[0], pids, sizeof(pids))) > 0) {
        for (size_t k = 0; k < (size_t)n / sizeof(*pids); k++) {
            size_t i = supervisors_find(z, pids[k]);
            if (i == z->supervisors_count)
                continue;
            if (z->idle_count >= IDLE_MAX) {
                supervisor_release(z, &z->supervisors[i]);
            } else {
                z->supervisors[i].idle = true;
                z->idle_count++;
            }
        }
    }
}

/* The pid of the idle supervisor that has the launch now; 0: none. */
static pid_t spawn_idle(struct zygote *z, const struct wire_msg *m)
{
    for (size_t i = 0; z->idle_count > 0 && i < z->supervisors_count; i++) {
        struct supervisor *s = &z->supervisors[i];
        if (!s->idle)
            continue;
        if (idle_launch(s->fd, m->tag, (Sl__StepLaunch *)m->body, z->opts->starting)) {
            s->idle = false;
            z->idle_count--;
            return s->pid;
        }
        supervisor_release(z, s);
    }
    return 0;
}

__attribute__((noreturn)) static void spawn_child(struct zygote *z, struct wire_msg *m,
                                                  int launches)
{
    struct idle_seat seat = {.launches = launches, .notes = z->notes_fd[1]};
    for (size_t i = 0; i < z->supervisors_count; i++)
        if (z->supervisors[i].fd >= 0)
            close(z->supervisors[i].fd);
    close(z->notes_fd[0]);
    close(ZYGOTE_FD);
    close(z->signal_fd);
    buf_fini(&z->in);
    free(z->supervisors);
    free(z->dead);
    supervisor_run(z->opts, (Sl__StepLaunch *)m->body, &seat);
}

static pid_t spawn_fork(struct zygote *z, struct wire_msg *m)
{
    int sv[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0) {
        close(sv[0]);
        spawn_child(z, m, sv[1]);
    }
    int saved = errno;
    close(sv[1]);
    if (pid > 0)
        supervisors_add(z, pid, sv[0]);
    else
        close(sv[0]);
    errno = saved;
    return pid;
}

static void spawn(struct zygote *z, struct wire_msg *m)
{
    supervisors_idle(z);
    pid_t pid = spawn_idle(z, m);
    if (pid == 0)
        pid = spawn_fork(z, m);
    if (pid < 0)
        reply(m->tag, 0, -errno, strerror(errno));
    else
        reply(m->tag, pid, 0, "");
}

/* Children that are no supervisors were left by one that died. Returns how many. */
static size_t orphans_kill(struct zygote *z)
{
    struct proc_list l = {0};
    size_t count = 0;
    procs_children(getpid(), &l);
    for (size_t i = 0; i < l.count; i++) {
        if (supervisors_find(z, l.pids[i]) < z->supervisors_count)
            continue;
        kill(l.pids[i], SIGKILL);
        count++;
    }
    proc_list_fini(&l);
    return count;
}

static void dead_add(struct zygote *z, pid_t pid, int status)
{
    z->dead = xrealloc(z->dead, (z->dead_count + 1) * sizeof(*z->dead));
    z->dead[z->dead_count++] = (struct dead){pid, status};
}

static void dead_report(struct zygote *z)
{
    for (size_t i = 0; i < z->dead_count; i++) {
        char text[96];
        int st = z->dead[i].status;
        if (WIFSIGNALED(st))
            snprintf(text, sizeof(text), "supervisor killed by signal %d (%s)",
                     WTERMSIG(st), strsignal(WTERMSIG(st)));
        else
            snprintf(text, sizeof(text), "supervisor exited with code %d", WEXITSTATUS(st));
        log_error("zygote", "pid=%d %s", (int)z->dead[i].pid, text);
        reply(0, z->dead[i].pid, -ESRCH, text);
    }
    z->dead_count = 0;
}

static void reap(struct zygote *z)
{
    bool strangers = false;
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        size_t i = supervisors_find(z, pid);
        if (i == z->supervisors_count) {
            strangers = true;
            continue;
        }
        supervisor_release(z, &z->supervisors[i]);
        z->supervisors[i] = z->supervisors[--z->supervisors_count];
        if (status != 0)
            dead_add(z, pid, status);
    }
    /* a death or an orphan's death may have brought us more orphans; each of those ends
     * with another SIGCHLD and so another round */
    if ((strangers || z->dead_count > 0) && orphans_kill(z) == 0)
        dead_report(z);
}

/* ---- loop --------------------------------------------------------------------------------- */

/* False at end of file. */
static bool serve_frames(struct zygote *z)
{
    struct wire_msg m = {0};
    struct err err;
    int rc;

    buf_reserve(&z->in, READ_BYTES);
    ssize_t n = read(ZYGOTE_FD, z->in.data + z->in.len, READ_BYTES);
    if (n < 0)
        return errno == EINTR || errno == EAGAIN;
    if (n == 0)
        return false;
    z->in.len += (size_t)n;
    while ((rc = wire_unpack(&z->in, true, &m, &err)) > 0) {
        if (m.type == WIRE_STEP_SPAWN)
            spawn(z, &m);
        else
            log_warn("zygote", "unexpected message type=%d", m.type);
        wire_msg_clear(&m);
    }
    if (rc < 0)
        log_error("zygote", "from the daemon: %s", err.text);
    return rc == 0;
}

/* Loads what the first look-up of a user and MPI load, once for all supervisors. */
static void warm_up(const struct node_opts *opts)
{
    gid_t groups[64];
    int count = 64;
    const struct passwd *pw = getpwuid(getuid());
    if (pw)
        getgrouplist(pw->pw_name, pw->pw_gid, groups, &count);
    tzset();
    mpi_preload(opts);
}

/* Several made-up nodes share this machine: each gets a hostname of its own, as programs
 * tell nodes apart by it (MPI libraries name shared memory after it, and would take
 * tasks of two such nodes for neighbours). Only root may. */
static void hostname_take(const struct node_opts *opts)
{
    char host[256] = "";
    gethostname(host, sizeof(host) - 1);
    host[strcspn(host, ".")] = '\0';
    if (!opts->synthetic || strcmp(host, opts->node) == 0)
        return;
    if (unshare(CLONE_NEWUTS) < 0 || sethostname(opts->node, strlen(opts->node)) < 0)
        log_verbose("zygote", "tasks see the machine's hostname %s, not %s: %s", host,
                    opts->node, strerror(errno));
}

int zygote_run(const struct node_opts *opts)
{
    struct zygote z = {.opts = opts};
    struct signalfd_siginfo si;
    sigset_t set;

    prctl(PR_SET_CHILD_SUBREAPER, 1);
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    z.signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    ASSERT(z.signal_fd >= 0);
    ASSERT(pipe2(z.notes_fd, O_CLOEXEC) == 0);
    fcntl(z.notes_fd[0], F_SETFL, O_NONBLOCK);
    fcntl(ZYGOTE_FD, F_SETFD, FD_CLOEXEC);
    if (opts->starting)
        fcntl(STARTING_FD, F_SETFD, FD_CLOEXEC);
    buf_init(&z.in);
    warm_up(opts);
    hostname_take(opts);
    for (;;) {
        struct pollfd p[3] = {{.fd = ZYGOTE_FD, .events = POLLIN},
                              {.fd = z.signal_fd, .events = POLLIN},
                              {.fd = z.notes_fd[0], .events = POLLIN}};
        if (poll(p, 3, -1) < 0 && errno != EINTR)
            break;
        if (p[1].revents) {
            while (read(z.signal_fd, &si, sizeof(si)) == (ssize_t)sizeof(si))
                ;
            reap(&z);
        }
        if (p[2].revents)
            supervisors_idle(&z);
        if (p[0].revents && !serve_frames(&z))
            break;
    }
    while (z.supervisors_count > 0)
        supervisor_release(&z, &z.supervisors[--z.supervisors_count]);
    buf_fini(&z.in);
    free(z.supervisors);
    free(z.dead);
    return 0;
}
