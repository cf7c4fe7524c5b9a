/* SPDX-License-Identifier: Apache-2.0 */
#include "stepd/stdio.h"

#include "job/jobspec.h"
#include "stepd/tree.h"
#include "stepd/user.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#define ROOM_WAIT_MSEC 1000 /* for the reader of a FIFO that output goes to */

enum route { ROUTE_NULL, ROUTE_STREAM, ROUTE_ONE_TASK /* a stream, of only_task */,
             ROUTE_SHARED /* one file for the step */, ROUTE_PER_TASK, ROUTE_ROOT };

struct flow {             /* stdin, stdout or stderr of the whole step */
    enum route route;
    uint32_t only_task;
    const char *pattern;
    char *path;           /* ROUTE_SHARED and ROUTE_ROOT: expanded; in the step's arena */
    int fd;               /* of that file, -1: none */
    int own_fd;           /* the same for our own lines; does not block; -1: none */
};
struct stdio {
    struct flow flow[3];
    int null_fd;
    bool paused;
    char chunk[STDIO_CHUNK_BYTES];
};

/* ---- what goes where ------------------------------------------------------------------- */

/* srun(1) "IO Redirection": all, none, a task's number, or a file name. */
static void flow_parse(const struct step *s, unsigned number, const char *pattern,
                       struct flow *f)
{
    char *end;
    *f = (struct flow){.route = ROUTE_STREAM, .pattern = pattern, .fd = -1, .own_fd = -1};
    if (!pattern[0] || (!s->batch && strcmp(pattern, "all") == 0)) {
        if (s->launch->spec->detached)
            f->route = ROUTE_NULL;
        return;
    }
    if (strcmp(pattern, "/dev/null") == 0 || (!s->batch && strcmp(pattern, "none") == 0)) {
        f->route = ROUTE_NULL;
        return;
    }
    if (!s->batch && isdigit((unsigned char)pattern[0])) {
        unsigned long task = strtoul(pattern, &end, 10);
        if (!*end && task < s->launch->layout->ntasks) {
            f->route = ROUTE_ONE_TASK;
            f->only_task = (uint32_t)task;
            return;
        }
    }
    if (filename_per_task(pattern))
        f->route = ROUTE_PER_TASK;
    else if (number == 0 || s->nodes_count == 1 || filename_per_node(pattern))
        f->route = ROUTE_SHARED;
    else
        f->route = ROUTE_ROOT;
}

/* Relative to the step's folder, which need not be the job's (srun -D). */
static char *flow_path(struct step *s, const struct flow *f, struct arena *a, uint32_t rank,
                       struct err *err)
{
    Sl__JobSpec spec = *s->launch->job->spec;
    Sl__JobInfo job = *s->launch->job;
    if (s->launch->spec->work_dir[0])
        spec.work_dir = s->launch->spec->work_dir;
    job.spec = &spec;
    return filename_expand(a, f->pattern, &job, s->step_id, rank, s->node_index,
                           s->opts->node, err);
}

/* O_NONBLOCK so that a FIFO without a peer does not stop us; taken off again. */
static int file_open(struct step *s, unsigned number, const char *path, struct err *err)
{
    static const char *const names[] = {"stdin", "stdout", "stderr"};
    int flags = number == 0 ? O_RDONLY : O_WRONLY | O_CREAT | O_APPEND;
    if (number > 0 && s->launch->spec->open_mode != 1)
        flags |= O_TRUNC;
    mode_t saved = umask(s->launch->spec->umask & 0777);
    int fd = user_open(&s->user, path, flags | O_NONBLOCK | O_NOCTTY, 0666);
    umask(saved);
    if (fd < 0)
        return err_set(err, fd, "Could not open %s file %s: %s", names[number], path,
                       strerror(-fd));
    fcntl(fd, F_SETFL, flags & O_APPEND);
    return fd;
}

/* What we write must never wait for a FIFO's reader: a step that waits cannot be
 * ended. The tasks' descriptor blocks as they expect, so ours is opened anew; of the file
 * that is open already, not of whatever has its name by now. */
static void own_fd_open(struct flow *f)
{
    char path[64];
    struct stat st;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", f->fd);
    if (fstat(f->fd, &st) == 0 && S_ISREG(st.st_mode))
        f->own_fd = fcntl(f->fd, F_DUPFD_CLOEXEC, 3);
    else
        f->own_fd = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

/* The step-wide files: here when this process writes them. */
static int flow_open(struct step *s, unsigned number, struct err *err)
{
    struct flow *f = &s->stdio->flow[number], *out = &s->stdio->flow[1];
    if (f->route != ROUTE_SHARED && f->route != ROUTE_ROOT)
        return 0;
    f->path = flow_path(s, f, &s->arena, NO_VAL, err);
    if (!f->path)
        return err->code;
    if (f->route == ROUTE_ROOT && !s->root)
        return 0;
    if (number == 2 && out->fd >= 0 && strcmp(f->path, out->path) == 0) {
        f->fd = fcntl(out->fd, F_DUPFD_CLOEXEC, 3);
        if (f->fd < 0)
            return err_errno(err, "%s", f->path);
    } else if ((f->fd = file_open(s, number, f->path, err)) < 0) {
        return f->fd;
    }
    if (number > 0)
        own_fd_open(f);
    return 0;
}

int stdio_create(struct step *s, struct err *err)
{
    const Sl__StepSpec *spec = s->launch->spec;
    struct stdio *io = xcalloc(1, sizeof(*io));
    s->stdio = io;
    flow_parse(s, 0, spec->std_in, &io->flow[0]);
    flow_parse(s, 1, spec->std_out, &io->flow[1]);
    /* without an error file stderr follows stdout into its file */
    flow_parse(s, 2, spec->std_err[0] || io->flow[1].route == ROUTE_ONE_TASK
                         ? spec->std_err : spec->std_out, &io->flow[2]);
    if (io->flow[0].route == ROUTE_STREAM && spec->stdin_task > 0) {
        io->flow[0].route = ROUTE_ONE_TASK;
        io->flow[0].only_task = spec->stdin_task - 1;
    }
    if (spec->pty) { /* srun(1) --pty: task 0 has the terminal, the others nothing */
        for (unsigned i = 0; i < 3; i++)
            io->flow[i].route = ROUTE_NULL;
    }
    io->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (io->null_fd < 0)
        return err_errno(err, "/dev/null");
    for (unsigned i = 0; i < 3; i++) {
        int rc = flow_open(s, i, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static void out_close(struct stream_out *o)
{
    if (o->ev)
        event_free(o->ev);
    o->ev = NULL;
    if (o->fd >= 0)
        close(o->fd);
    o->fd = -1;
}

static void in_close(struct stream_in *in, bool shared)
{
    if (in->ev)
        event_free(in->ev);
    in->ev = NULL;
    if (in->fd >= 0 && !shared) /* a pty has one descriptor for both ways */
        close(in->fd);
    in->fd = -1;
    buf_fini(&in->queue);
}

void stdio_destroy(struct step *s)
{
    if (!s->stdio)
        return;
    for (uint32_t i = 0; i < s->tasks_count; i++) {
        in_close(&s->tasks[i].in, s->tasks[i].pty);
        out_close(&s->tasks[i].out[0]);
        out_close(&s->tasks[i].out[1]);
    }
    for (unsigned i = 0; i < 3; i++) {
        if (s->stdio->flow[i].fd >= 0)
            close(s->stdio->flow[i].fd);
        if (s->stdio->flow[i].own_fd >= 0)
            close(s->stdio->flow[i].own_fd);
    }
    if (s->stdio->null_fd >= 0)
        close(s->stdio->null_fd);
    free(s->stdio);
    s->stdio = NULL;
}

/* ---- one task -------------------------------------------------------------------------------- */

static int null_for_child(struct step *s, struct err *err)
{
    int fd = fcntl(s->stdio->null_fd, F_DUPFD_CLOEXEC, 3);
    return fd < 0 ? err_errno(err, "/dev/null") : fd;
}

/* One pipe; the parent's end does not block. out: the parent reads. */
static int pipe_open(bool out, int *ours, struct err *err)
{
    int p[2];
    if (pipe2(p, O_CLOEXEC) < 0)
        return err_errno(err, "pipe");
    int mine = out ? p[0] : p[1];
    fcntl(mine, F_SETFL, O_NONBLOCK);
    *ours = mine;
    return out ? p[1] : p[0];
}

/* srun -u: a terminal makes libc flush at each line; raw, so that bytes pass unchanged. */
static int raw_tty_open(int *ours, struct err *err)
{
    struct termios raw;
    int theirs;
    if (openpty(ours, &theirs, NULL, NULL, NULL) < 0)
        return err_errno(err, "openpty");
    if (tcgetattr(theirs, &raw) == 0) {
        cfmakeraw(&raw);
        tcsetattr(theirs, TCSANOW, &raw);
    }
    fcntl(*ours, F_SETFL, O_NONBLOCK);
    fcntl(*ours, F_SETFD, FD_CLOEXEC);
    fcntl(theirs, F_SETFD, FD_CLOEXEC);
    return theirs;
}

static int stream_open(struct step *s, struct task *t, unsigned number, struct err *err)
{
    if (number == 0)
        return pipe_open(false, &t->in.fd, err);
    if (number == 1 && s->launch->spec->unbuffered)
        return raw_tty_open(&t->out[0].fd, err);
    return pipe_open(true, &t->out[number - 1].fd, err);
}

static int task_fd(struct step *s, struct task *t, unsigned number, const struct stdio_child *c,
                   struct arena *a, struct err *err)
{
    struct flow *f = &s->stdio->flow[number], *out = &s->stdio->flow[1];
    char *path;
    int fd;

    switch (f->route) {
    case ROUTE_ONE_TASK:
        if (f->only_task != t->rank)
            return null_for_child(s, err);
        return stream_open(s, t, number, err);
    case ROUTE_STREAM:
    case ROUTE_ROOT:
        return stream_open(s, t, number, err);
    case ROUTE_SHARED:
        fd = fcntl(f->fd, F_DUPFD_CLOEXEC, 3);
        return fd < 0 ? err_errno(err, "%s", f->path) : fd;
    case ROUTE_PER_TASK:
        path = flow_path(s, f, a, t->rank, err);
        if (!path)
            return err->code;
        if (number == 2 && out->route == ROUTE_PER_TASK) {
            char *other = flow_path(s, out, a, t->rank, err);
            if (other && strcmp(other, path) == 0)
                return fcntl(c->fd[1], F_DUPFD_CLOEXEC, 3);
        }
        return file_open(s, number, path, err);
    case ROUTE_NULL:
        break;
    }
    return null_for_child(s, err);
}

static int pty_open(struct step *s, struct task *t, struct stdio_child *c, struct err *err)
{
    const Sl__StepSpec *spec = s->launch->spec;
    struct winsize size = {.ws_row = (unsigned short)spec->pty_rows,
                           .ws_col = (unsigned short)spec->pty_cols};
    int ours, theirs;
    if (openpty(&ours, &theirs, NULL, NULL, &size) < 0)
        return err_errno(err, "openpty");
    fcntl(ours, F_SETFD, FD_CLOEXEC);
    fcntl(ours, F_SETFL, O_NONBLOCK);
    fcntl(theirs, F_SETFD, FD_CLOEXEC);
    if (s->user.drop && fchown(theirs, s->user.uid, (gid_t)-1) < 0)
        log_warn("stdio", "step=%s terminal stays root's: %s", s->name, strerror(errno));
    t->pty = c->pty = true;
    t->in.fd = t->out[0].fd = ours;
    c->fd[0] = theirs;
    c->fd[1] = fcntl(theirs, F_DUPFD_CLOEXEC, 3);
    c->fd[2] = fcntl(theirs, F_DUPFD_CLOEXEC, 3);
    return c->fd[1] < 0 || c->fd[2] < 0 ? err_errno(err, "dup") : 0;
}

static void child_close(struct stdio_child *c)
{
    for (unsigned i = 0; i < 3; i++) {
        if (c->fd[i] >= 0)
            close(c->fd[i]);
        c->fd[i] = -1;
    }
}

int stdio_task_open(struct step *s, struct task *t, struct stdio_child *c, struct err *err)
{
    struct arena a;
    int rc = 0;
    *c = (struct stdio_child){.fd = {-1, -1, -1}};
    buf_init(&t->in.queue);
    if (s->launch->spec->pty && t->rank == 0) {
        rc = pty_open(s, t, c, err);
    } else {
        arena_init(&a);
        for (unsigned i = 0; i < 3 && rc >= 0; i++)
            rc = c->fd[i] = task_fd(s, t, i, c, &a, err);
        arena_fini(&a);
    }
    if (rc < 0) {
        child_close(c);
        stdio_task_started(s, t, c, false);
        return rc;
    }
    return 0;
}

/* ---- output --------------------------------------------------------------------------------------- */

/* One read: true when there may be more. */
static bool out_read(struct stream_out *o)
{
    struct step *s = o->task->step;
    ssize_t n = read(o->fd, s->stdio->chunk, STDIO_CHUNK_BYTES);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return errno == EINTR;
    if (n > 0) {
        tree_output(s, o->task->rank, o->number, s->stdio->chunk, (size_t)n, false);
        return true;
    }
    /* end of file; a terminal whose other side is closed says EIO */
    if (o->task->pty)
        in_close(&o->task->in, true);
    out_close(o);
    tree_output(s, o->task->rank, o->number, NULL, 0, true);
    return false;
}

static void on_output(evutil_socket_t fd, short what, void *arg)
{
    struct stream_out *o = arg;
    (void)fd;
    (void)what;
    if (!out_read(o) || o->fd >= 0)
        return;
    step_advance(o->task->step);
}

void stdio_task_flush(struct step *s, struct task *t)
{
    for (unsigned k = 0; k < 2; k++)
        while (t->out[k].fd >= 0 && !s->stdio->paused && out_read(&t->out[k]))
            ;
}

void stdio_pause(struct step *s, bool pause)
{
    if (!s->stdio || s->stdio->paused == pause)
        return;
    s->stdio->paused = pause;
    for (uint32_t i = 0; i < 2 * s->tasks_count; i++) {
        struct stream_out *o = &s->tasks[i / 2].out[i % 2];
        if (!o->ev)
            continue;
        if (pause)
            event_del(o->ev);
        else
            event_add(o->ev, NULL);
    }
}

bool stdio_paused(const struct step *s)
{
    return s->stdio && s->stdio->paused;
}

void stdio_finish(struct step *s)
{
    for (uint32_t i = 0; s->stdio && i < s->tasks_count; i++) {
        struct task *t = &s->tasks[i];
        for (unsigned k = 0; k < 2; k++) {
            while (t->out[k].fd >= 0 && out_read(&t->out[k]))
                ;
            if (t->out[k].fd >= 0) { /* held open by someone outside of the step */
                out_close(&t->out[k]);
                tree_output(s, t->rank, k + 1, NULL, 0, true);
            }
        }
        in_close(&t->in, t->pty);
    }
}

/* ---- input ------------------------------------------------------------------------------------------ */

static void on_input_room(evutil_socket_t fd, short what, void *arg);

static void in_write(struct task *t)
{
    struct stream_in *in = &t->in;
    while (in->fd >= 0 && in->queue.len > 0) {
        ssize_t n = write(in->fd, in->queue.data, in->queue.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN) {
            event_add(in->ev, NULL);
            return;
        }
        if (n < 0) { /* the task closed it */
            in_close(in, t->pty);
            break;
        }
        buf_consume(&in->queue, (size_t)n);
    }
    if (in->fd >= 0 && in->eof && !t->pty)
        in_close(in, false);
}

static void on_input_room(evutil_socket_t fd, short what, void *arg)
{
    struct task *t = arg;
    (void)fd;
    (void)what;
    in_write(t);
    tree_input_drained(t->step);
}

static void in_put(struct task *t, const void *p, size_t n, bool eof)
{
    if (t->in.fd < 0 || t->in.eof)
        return;
    bool idle = t->in.queue.len == 0;
    buf_put(&t->in.queue, p, n);
    if (eof && t->pty) /* what a terminal understands as the end: VEOF */
        buf_putc(&t->in.queue, 4);
    t->in.eof = eof;
    if (idle)
        in_write(t);
}

void stdio_input(struct step *s, uint32_t rank, const void *p, size_t n, bool eof)
{
    for (uint32_t i = 0; i < s->tasks_count; i++)
        if (rank == UINT32_MAX || s->tasks[i].rank == rank)
            in_put(&s->tasks[i], p, n, eof);
}

size_t stdio_input_queued(const struct step *s)
{
    size_t most = 0;
    for (uint32_t i = 0; i < s->tasks_count; i++)
        if (s->tasks[i].in.queue.len > most)
            most = s->tasks[i].in.queue.len;
    return most;
}

void stdio_task_started(struct step *s, struct task *t, struct stdio_child *c, bool started)
{
    child_close(c);
    if (!started) {
        in_close(&t->in, t->pty);
        out_close(&t->out[0]);
        out_close(&t->out[1]);
        return;
    }
    if (t->in.fd >= 0)
        t->in.ev = event_new(s->base, t->in.fd, EV_WRITE, on_input_room, t);
    for (unsigned k = 0; k < 2; k++) {
        struct stream_out *o = &t->out[k];
        if (o->fd < 0)
            continue;
        o->ev = event_new(s->base, o->fd, EV_READ | EV_PERSIST, on_output, o);
        if (!s->stdio->paused)
            event_add(o->ev, NULL);
    }
}

void stdio_window(struct step *s, uint32_t rows, uint32_t cols)
{
    struct task *t = s->tasks_count ? &s->tasks[0] : NULL;
    struct winsize size = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)cols};
    if (t && t->pty && t->in.fd >= 0)
        ioctl(t->in.fd, TIOCSWINSZ, &size);
}

/* ---- files of the whole step ---------------------------------------------------------------------------- */

/* A reader that is slow is waited for a little, unless the step is being ended. */
static bool file_room(const struct step *s, const struct flow *f)
{
    struct pollfd p = {.fd = f->own_fd, .events = POLLOUT};
    return errno == EAGAIN && !s->terminating && poll(&p, 1, ROOM_WAIT_MSEC) == 1 &&
           !(p.revents & POLLERR);
}

static void file_put(struct step *s, struct flow *f, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t got = write(f->own_fd, p, n);
        if (got < 0 && (errno == EINTR || file_room(s, f)))
            continue;
        if (got <= 0) {
            log_warn("stdio", "step=%s file=%s output lost: %s", s->name, f->path,
                     strerror(errno));
            return;
        }
        p += got;
        n -= (size_t)got;
    }
}

bool stdio_sink(struct step *s, unsigned fd, const void *p, size_t n)
{
    if (!s->stdio || s->stdio->flow[fd].route != ROUTE_ROOT)
        return false;
    if (s->stdio->flow[fd].own_fd >= 0)
        file_put(s, &s->stdio->flow[fd], p, n);
    return true;
}

bool stdio_tell(struct step *s, const char *line)
{
    struct flow *f = s->stdio ? &s->stdio->flow[2] : NULL;
    if (!f || f->own_fd < 0)
        return false;
    file_put(s, f, line, strlen(line));
    return true;
}
