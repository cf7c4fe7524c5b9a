/* SPDX-License-Identifier: Apache-2.0
 *
 * Supervisors. A step's record lives from the spawn (or from the hello of one that a
 * former daemon started) until its process is gone and its end is recorded:
 *
 *   SPAWNED --hello--> LINKED --STEP_END recorded, link closed--> forgotten
 *                        |  link closed early
 *                        v
 *                     DETACHED --process lives: waits for its next hello--> LINKED
 *                        |  process gone
 *                        v
 *                     CLEANING --no process left--> STEP_END "supervisor died"
 */
#include "noded.h"

#include "base/folder.h"
#include "base/limits.h"
#include "job/state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK_MSEC_FIRST 5    /* a closing process is still visible for a moment */
#define CHECK_MSEC_MAX 1000
#define HELLO_MSEC_MAX 30000  /* spawn to hello, on a machine under heavy load */
#define KILL_MSEC 20
#define ZYGOTE_CHECK_MSEC 100
#define RECORD_RETRY_MSEC 1000 /* the spool is full: until the supervisor says it again */
#define ASKS_WAITING_MAX 1024

struct ask { /* came before the job's own launch */
    struct wire_link *from;
    uint32_t tag;
    usec_t deadline;
    Sl__StepLaunch *m;
    struct ask *next;
};

/* ---- zygote --------------------------------------------------------------------- */

struct zygote {
    struct noded *d;
    pid_t pid;
    struct wire_link *link;
    uint64_t tag_last;
};

static void step_spawn_failed(struct step *s, const char *why);

static void zygote_free(struct zygote *z)
{
    int status;
    waitpid(z->pid, &status, 0);
    free(z);
}

static void step_timer(struct step *s, unsigned msec);

/* The death of one that had said hello is told by its link. */
static void on_supervisor_died(struct noded *d, pid_t pid)
{
    for (struct step *s = d->steps; s; s = s->hh.next) {
        if (s->state != STEP_SPAWNED || s->pid != pid)
            continue;
        s->state = STEP_CLEANING;
        step_timer(s, 0);
        return;
    }
}

static void on_zygote_message(struct wire_link *l, struct wire_msg *m, void *arg)
{
    struct zygote *z = arg;
    (void)l;
    if (m->type != WIRE_STEP_LAUNCH_REPLY)
        return;
    const Sl__StepLaunchReply *r = (Sl__StepLaunchReply *)m->body;
    struct step *s, *tmp;
    if (m->tag == 0) {
        on_supervisor_died(z->d, (pid_t)r->pid);
        return;
    }
    HASH_ITER(hh, z->d->steps, s, tmp)
    {
        if (s->state != STEP_SPAWNED || (uint32_t)s->spawn_tag != m->tag)
            continue;
        s->pid = (pid_t)r->pid;
        if (r->code < 0)
            step_spawn_failed(s, r->text);
        return;
    }
}

static void on_zygote_down(struct wire_link *l, const char *why, void *arg)
{
    struct zygote *z = arg;
    struct noded *d = z->d;
    (void)l;
    if (!d->stopping)
        log_error("step", "supervisor zygote ended (%s); a new one follows", why);
    d->zygote = NULL;
    kill(z->pid, SIGKILL);
    zygote_free(z);
}

static const struct wire_link_ops zygote_ops = {.message = on_zygote_message,
                                                .down = on_zygote_down};

/* Its cpu numbers are not this machine's: supervisors must not bind to them. */
static bool node_is_made_up(const struct noded *d)
{
    return d->opts.topology && strcmp(d->opts.topology, "real") != 0;
}

static void zygote_child(const struct noded *d, int fd)
{
    const char *stepd = d->opts.stepd ? d->opts.stepd : SL_PKGLIBEXECDIR "/slurmlike-stepd";
    char kill_wait[32], node_uid[32], sample[32];
    snprintf(kill_wait, sizeof(kill_wait), "%lld",
             (long long)(d->conf->kill_wait / USEC_PER_SEC));
    snprintf(node_uid, sizeof(node_uid), "%u", (unsigned)d->node_uid);
    snprintf(sample, sizeof(sample), "%lld",
             (long long)(d->conf->sample_interval / USEC_PER_SEC));
    char *flags[2] = {NULL, NULL}, **flag = flags;
    if (node_is_made_up(d))
        *flag++ = (char *)"--synthetic";
    if (d->conf->memory_enforce)
        *flag++ = (char *)"--memory-enforce";
    char *argv[] = {
        (char *)"slurmlike-stepd", (char *)"--spool", d->spool, (char *)"--node", d->name,
        (char *)"--kill-wait", kill_wait, (char *)"--node-user", node_uid,
        (char *)"--sample-interval", sample,
        (char *)"--mpi-default", d->conf->mpi_default,
        (char *)"--cpu-bind", d->conf->task_plugin_cpu_bind,
        (char *)"--starting",
        (char *)"--munge-socket", (char *)d->opts.munge_socket,
        (char *)"--log-level", (char *)log_level_name(log_level_get()),
        flags[0], flags[1], NULL};
    /* to 3 and 4, whatever numbers they have now; copies are not close-on-exec */
    int socket = fcntl(fd, F_DUPFD, 10), starting = fcntl(d->starting_fd, F_DUPFD, 10);
    dup2(socket, 3);
    dup2(starting, 4);
    close_range(5, ~0u, 0);
    execv(stepd, argv);
    fprintf(stderr, "slurmlike-d: error: cannot run %s: %s\n", stepd, strerror(errno));
    _exit(127);
}

int zygote_start(struct noded *d, struct err *err)
{
    int sv[2];
    if (d->zygote)
        return 0;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
        return err_errno(err, "socketpair");
    pid_t pid = fork();
    if (pid == 0)
        zygote_child(d, sv[1]);
    close(sv[1]);
    if (pid < 0) {
        close(sv[0]);
        return err_errno(err, "fork");
    }
    struct zygote *z = xcalloc(1, sizeof(*z));
    z->d = d;
    z->pid = pid;
    z->link = wire_link_unix(d->base, sv[0], &zygote_ops, z, err);
    if (!z->link) {
        kill(pid, SIGKILL);
        zygote_free(z);
        return err->code;
    }
    d->zygote = z;
    return 0;
}

void zygote_stop(struct noded *d)
{
    struct zygote *z = d->zygote;
    if (!z)
        return;
    d->zygote = NULL;
    wire_link_close(z->link); /* end of file: it exits, its supervisors stay */
    zygote_free(z);
}

/* Until it has ended: a child of ours must be waited for. */
static void on_zygote_ends(evutil_socket_t fd, short what, void *arg)
{
    struct zygote *z = arg;
    struct timeval soon = {0, ZYGOTE_CHECK_MSEC * 1000};
    int status;
    (void)fd;
    (void)what;
    if (waitpid(z->pid, &status, WNOHANG) != 0)
        free(z);
    else
        event_base_once(z->d->base, -1, EV_TIMEOUT, on_zygote_ends, z, &soon);
}

void zygote_retire(struct noded *d)
{
    struct zygote *z = d->zygote;
    if (!z)
        return;
    d->zygote = NULL;
    wire_link_finish(z->link);
    on_zygote_ends(-1, 0, z);
}

/* ---- step records -------------------------------------------------------------------- */

struct step *step_find(struct noded *d, uint32_t job_id, uint32_t restart, uint32_t step_id)
{
    struct step_key key = {job_id, restart, step_id};
    struct step *s;
    HASH_FIND(hh, d->steps, &key, sizeof(key), s);
    return s;
}

static void on_step_timer(evutil_socket_t fd, short what, void *arg);

static struct step *step_create(struct noded *d, struct job *j, uint32_t step_id)
{
    struct step *s = xcalloc(1, sizeof(*s));
    s->key = (struct step_key){j->key.job_id, j->key.restart, step_id};
    s->job = j;
    s->timer = evtimer_new(d->base, on_step_timer, s);
    HASH_ADD(hh, d->steps, key, sizeof(s->key), s);
    j->steps_count++;
    return s;
}

static void step_timer(struct step *s, unsigned msec)
{
    struct timeval tv = {msec / 1000, (msec % 1000) * 1000};
    evtimer_add(s->timer, &tv);
}

static struct noded *step_noded(const struct step *s)
{
    return s->job->d;
}

static char *step_path(const struct noded *d, struct step_key k, const char *file)
{
    return xasprintf("%s/step.%u.%u.%u%s%s", d->spool, k.job_id, k.restart, k.step_id,
                     file[0] ? "/" : "", file);
}

/* The supervisor removes its own folders at its end; this is for those that died. */
static void step_folder_remove(const struct noded *d, struct step_key k)
{
    char target[PATH_LEN_MAX + 1];
    char *link = step_path(d, k, "shm"), *path = step_path(d, k, "");
    ssize_t n = readlink(link, target, sizeof(target) - 1);
    if (n > 0) { /* stepd/pmix/folders.c */
        target[n] = '\0';
        folder_remove(target);
    }
    folder_remove(path);
    free(link);
    free(path);
}

static void step_answer(struct step *s, int code, const char *text)
{
    Sl__StepLaunchReply r = SL__STEP_LAUNCH_REPLY__INIT;
    struct err err;
    if (!s->asker)
        return;
    r.code = code;
    r.text = (char *)text;
    r.pid = (uint32_t)s->pid;
    if (wire_link_send(s->asker, WIRE_STEP_LAUNCH_REPLY, s->asker_tag, &r.base, &err) < 0)
        log_warn("step", "reply not sent: %s", err.text);
    s->asker = NULL;
}

/* Tells the manager that launched the step, once, that its resources are free. */
static void step_done_tell(struct step *s)
{
    Sl__StepDone done = SL__STEP_DONE__INIT;
    struct err err;
    if (!s->watcher || s->done_told)
        return;
    s->done_told = true;
    if (wire_link_send(s->watcher, WIRE_STEP_DONE, s->key.step_id, &done.base, &err) < 0)
        log_warn("step", "its manager is not told of the end: %s", err.text);
}

void step_drop(struct noded *d, struct step *s)
{
    s->job->steps_count--;
    if (s->link)
        wire_link_close(s->link);
    event_free(s->timer);
    if (s->record)
        sl__step_record__free_unpacked(s->record, NULL);
    HASH_DEL(d->steps, s);
    free(s);
}

static void step_forget(struct noded *d, struct step *s)
{
    struct job *j = s->job;
    step_done_tell(s);
    step_drop(d, s);
    job_step_gone(d, j);
}

/* ---- reports ----------------------------------------------------------------------------- */

/* A job that leaves nothing behind is reported done and clean at once, which saves the
 * controller a round trip a job. */
static bool job_leaves_nothing(const struct noded *d, const struct step *s)
{
    const struct job *j = s->job;
    return j->launch->job->alloc->n_nodes == 1 && j->steps_count == 1 &&
           !(d->conf->epilog && d->conf->epilog[0]) && j->phase == JOB_PRESENT;
}

static int step_report_complete(struct noded *d, struct step *s, Sl__JobReport *r,
                                struct err *err)
{
    r->job_id = s->key.job_id;
    r->restart = s->key.restart;
    if (r->kind != SL__REPORT_KIND__REPORT_JOB_DONE)
        return 0;
    if (!s->manager)
        return err_set(err, SL_EPROTO, "job end from a step that is not the manager");
    r->node_clean = job_leaves_nothing(d, s);
    return 0;
}

/* What follows from a report that is in the log. */
static void step_report_noted(struct step *s, const Sl__JobReport *r)
{
    if (r->kind == SL__REPORT_KIND__REPORT_NONE) /* a node's part: the step's root reports */
        s->ended = true;
    if (r->kind == SL__REPORT_KIND__REPORT_STEP_END)
        s->ended = true;
    if (r->kind == SL__REPORT_KIND__REPORT_JOB_DONE) {
        s->job->done_reported = true;
        s->job->clean_reported = r->node_clean;
        if (r->node_clean)
            s->job->phase = JOB_ENDING;
    }
}

/* Of a supervisor that lives: it repeats what could not be written. */
static int step_report_record(struct noded *d, struct step *s, Sl__JobReport *r,
                              struct err *err)
{
    int rc = step_report_complete(d, s, r, err);
    if (rc == 0 && r->kind != SL__REPORT_KIND__REPORT_NONE)
        rc = report_log_add(d->reports, r, err);
    if (rc == 0)
        step_report_noted(s, r);
    return rc;
}

/* Of one that is gone: nobody would repeat it. */
static void step_report_keep(struct noded *d, struct step *s, Sl__JobReport *r)
{
    struct err err;
    if (step_report_complete(d, s, r, &err) < 0) {
        log_error("step", "job=%u step=%u %s", s->key.job_id, s->key.step_id, err.text);
        return;
    }
    if (r->kind != SL__REPORT_KIND__REPORT_NONE)
        report_log_keep(d->reports, r);
    step_report_noted(s, r);
}

static void on_step_reports(struct noded *d, struct step *s, const Sl__JobReports *list)
{
    struct err err;
    uint64_t acked = 0;
    for (size_t i = 0; i < list->n_reports; i++) {
        uint64_t seq = list->reports[i]->seq; /* the supervisor's own count */
        if (step_report_record(d, s, list->reports[i], &err) < 0) {
            log_error("step", "job=%u step=%u report not recorded, asked for again: %s",
                      s->key.job_id, s->key.step_id, err.text);
            s->unrecorded = true;
            step_timer(s, RECORD_RETRY_MSEC);
            break;
        }
        acked = seq;
    }
    if (acked) {
        Sl__ReportAck ack = SL__REPORT_ACK__INIT;
        ack.seq = acked;
        if (wire_link_send(s->link, WIRE_REPORT_ACK, 0, &ack.base, &err) < 0)
            log_warn("step", "acknowledgement not sent: %s", err.text);
    }
    ctld_link_kick(d);
}

/* ---- a supervisor that died ------------------------------------------------------------------ */

static bool step_result_read(struct noded *d, struct step *s)
{
    char *path = step_path(d, s->key, "result");
    uint8_t data[65536];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, data, sizeof(data)) : -1;
    if (fd >= 0)
        close(fd);
    free(path);
    const uint8_t *line = n > 0 ? memchr(data, '\n', (size_t)n) : NULL; /* of the pid */
    Sl__JobReports *list =
        line ? sl__job_reports__unpack(NULL, (size_t)(data + n - line - 1), line + 1) : NULL;
    bool good = list && list->n_reports;
    for (size_t i = 0; good && i < list->n_reports; i++)
        step_report_keep(d, s, list->reports[i]);
    if (list)
        sl__job_reports__free_unpacked(list, NULL);
    return good;
}

static void step_report_died(struct noded *d, struct step *s)
{
    Sl__JobReport r = SL__JOB_REPORT__INIT;
    r.kind = SL__REPORT_KIND__REPORT_STEP_END;
    r.step_id = s->key.step_id;
    r.exit_status = SIGKILL;
    r.state = JOB_FAILED;
    r.time = clock_wall_usec();
    r.text = (char *)job_reason_name(REASON_SUPERVISOR_DIED);
    if (s->record) {
        s->record->end = r.time;
        s->record->state = r.state;
        s->record->exit_status = r.exit_status;
        r.step = s->record;
    }
    log_error("step", "job=%u step=%u its supervisor died; the step was killed",
              s->key.job_id, s->key.step_id);
    step_report_keep(d, s, &r);
    if (s->manager && !s->job->done_reported) {
        r.kind = SL__REPORT_KIND__REPORT_JOB_DONE;
        step_report_keep(d, s, &r);
    }
}

static void step_clean_round(struct noded *d, struct step *s)
{
    const Sl__JobInfo *job = s->job->launch->job;
    if (procs_kill(&job->secret, s->key.step_id, d->name)) {
        step_timer(s, KILL_MSEC);
        return;
    }
    if (!s->ended && !step_result_read(d, s))
        step_report_died(d, s);
    step_answer(s, SL_EINVAL_STEP, "the step's supervisor died at its start");
    step_folder_remove(d, s->key);
    step_forget(d, s);
    ctld_link_kick(d);
}

static void step_detached(struct step *s)
{
    s->state = STEP_DETACHED;
    s->unrecorded = false;
    s->check_msec = CHECK_MSEC_FIRST;
    step_timer(s, s->check_msec);
}

static bool step_process_lives(const struct step *s)
{
    return s->pid > 1 && s->pid_start && proc_start_time(s->pid) == s->pid_start;
}

static void on_step_timer(evutil_socket_t fd, short what, void *arg)
{
    struct step *s = arg;
    struct noded *d = step_noded(s);
    (void)fd;
    (void)what;
    if (s->state == STEP_LINKED) {
        if (s->unrecorded) { /* it dials again and repeats what was not acknowledged */
            steps_forget_link(d, s->link);
            wire_link_close(s->link);
            s->link = NULL;
            step_detached(s);
        }
        return;
    }
    if (s->state == STEP_SPAWNED) { /* HELLO_MSEC_MAX are over */
        if (s->pid > 1 && proc_start_time(s->pid))
            kill(s->pid, SIGKILL);
        s->state = STEP_CLEANING;
    }
    if (s->state == STEP_DETACHED) {
        if (step_process_lives(s)) {
            s->check_msec = s->check_msec * 2 < CHECK_MSEC_MAX ? s->check_msec * 2
                                                               : CHECK_MSEC_MAX;
            step_timer(s, s->check_msec);
            return;
        }
        s->state = STEP_CLEANING;
    }
    step_clean_round(d, s);
}

/* ---- living figures ----------------------------------------------------------------------------- */

static void step_usage_keep(struct step *s, const Sl__StepUsage *u)
{
    static const Sl__StepUsage fresh = SL__STEP_USAGE__INIT;
    s->usage = *u;
    s->usage.base = fresh.base; /* unknown fields belong to the message */
    s->usage.rss_max_node = step_noded(s)->name;
    s->usage_fresh = true;
}

size_t steps_usage(struct noded *d, Sl__StepUsage **out, size_t max)
{
    size_t n = 0;
    for (struct step *s = d->steps; s && n < max; s = s->hh.next) {
        if (!s->usage_fresh)
            continue;
        s->usage_fresh = false;
        out[n++] = &s->usage;
    }
    return n;
}

/* ---- links from supervisors -------------------------------------------------------------------- */

static void on_step_message(struct wire_link *l, struct wire_msg *m, void *arg);

static void on_step_down(struct wire_link *l, const char *why, void *arg)
{
    struct step *s = arg;
    struct noded *d = step_noded(s);
    (void)why;
    s->link = NULL;
    steps_forget_link(d, l);
    if (s->ended) { /* all recorded: a normal end */
        step_folder_remove(d, s->key);
        step_forget(d, s);
    } else {
        step_detached(s);
    }
}

static const struct wire_link_ops step_ops = {.message = on_step_message,
                                              .down = on_step_down};

static void on_step_message(struct wire_link *l, struct wire_msg *m, void *arg)
{
    struct step *s = arg;
    struct noded *d = step_noded(s);
    if (m->type == WIRE_STEP_REPORT)
        on_step_reports(d, s, (Sl__JobReports *)m->body);
    else if (m->type == WIRE_STEP_DONE)
        step_done_tell(s);
    else if (m->type == WIRE_STEP_LAUNCH && s->manager)
        step_launch_request(d, l, m->tag, (Sl__StepLaunch *)m->body);
    else if (m->type == WIRE_STEP_WATCH && s->manager)
        step_watch_request(d, l, (Sl__StepWatch *)m->body);
    else if (m->type == WIRE_STEP_TERMINATE && s->manager)
        step_end_request(d, (Sl__Terminate *)m->body);
    else if (m->type == WIRE_STEP_USAGE)
        step_usage_keep(s, (Sl__StepUsage *)m->body);
    else
        log_warn("step", "job=%u step=%u unexpected message %d", s->key.job_id,
                 s->key.step_id, m->type);
}

static void step_record_keep(struct step *s, Sl__StepHello *h)
{
    if (s->record)
        sl__step_record__free_unpacked(s->record, NULL);
    s->record = h->record;
    h->record = NULL;
}

static void on_hello(struct noded *d, struct wire_link *l, Sl__StepHello *h)
{
    struct job *j = job_find(d, h->job_id, h->restart);
    struct err err;
    if (!j) { /* the job was ended here while the supervisor was away */
        Sl__Terminate t = SL__TERMINATE__INIT;
        t.job_id = h->job_id;
        t.restart = h->restart;
        t.reason = (char *)"";
        if (wire_link_send(l, WIRE_STEP_TERMINATE, 0, &t.base, &err) < 0)
            log_warn("step", "%s", err.text);
        log_warn("step", "job=%u step=%u unknown supervisor told to end", h->job_id,
                 h->step_id);
        return;
    }
    struct step *s = step_find(d, h->job_id, h->restart, h->step_id);
    pid_t pid = wire_link_peer(l)->pid; /* what the kernel says, not what the message does */
    if (s && s->pid && s->pid != pid && step_process_lives(s)) {
        log_warn("step", "job=%u step=%u pid=%d is not its supervisor", h->job_id,
                 h->step_id, (int)pid);
        wire_link_close(l);
        return;
    }
    if (!s)
        s = step_create(d, j, h->step_id);
    if (s->link)
        wire_link_close(s->link);
    evtimer_del(s->timer);
    s->link = l;
    s->state = STEP_LINKED;
    s->manager = h->manager;
    s->pid = pid;
    s->pid_start = proc_start_time(s->pid);
    step_record_keep(s, h);
    wire_link_set_ops(l, &step_ops, s);
    job_started(d, j);
    step_answer(s, 0, "");
    routes_step_up(d, s);
    bool ending = j->phase == JOB_ENDING && !j->clean_reported;
    if (s->unwanted || s->cancelled || ending) {
        Sl__Terminate t = SL__TERMINATE__INIT;
        t.job_id = h->job_id;
        t.restart = h->restart;
        t.kill_wait_usec = s->unwanted ? 0 : d->conf->kill_wait;
        t.state = s->cancelled && !ending ? JOB_CANCELLED : 0;
        step_send_terminate(s, &t);
    }
}

static void on_fresh_message(struct wire_link *l, struct wire_msg *m, void *arg)
{
    if (m->type == WIRE_STEP_HELLO)
        on_hello(arg, l, (Sl__StepHello *)m->body);
    else
        log_warn("step", "supervisor socket: message %d before a hello", m->type);
}

static void on_fresh_down(struct wire_link *l, const char *why, void *arg)
{
    (void)l;
    (void)why;
    (void)arg;
}

static const struct wire_link_ops fresh_ops = {.message = on_fresh_message,
                                               .down = on_fresh_down};

static void on_accepted(struct wire_link *l, void *arg)
{
    wire_link_set_ops(l, &fresh_ops, arg);
}

int supervisors_listen(struct noded *d, struct err *err)
{
    static const struct wire_listener_ops ops = {.accepted = on_accepted};
    char *target = xasprintf("unix:%s/d.sock", d->spool);
    d->supervisors = wire_listen(d->base, target, 0600, NULL, &ops, d, err);
    free(target);
    return d->supervisors ? 0 : err->code;
}

void supervisors_close(struct noded *d)
{
    if (d->supervisors)
        wire_listener_close(d->supervisors);
    while (d->asks) {
        struct ask *a = d->asks;
        d->asks = a->next;
        sl__step_launch__free_unpacked(a->m, NULL);
        free(a);
    }
}

void step_send_terminate(struct step *s, const Sl__Terminate *t)
{
    struct err err;
    if (s->link &&
        wire_link_send(s->link, WIRE_STEP_TERMINATE, 0, &t->base, &err) < 0)
        log_warn("step", "job=%u step=%u terminate not sent: %s", s->key.job_id,
                 s->key.step_id, err.text);
}

/* ---- spawn -------------------------------------------------------------------------------------- */

static void step_spawn_failed(struct step *s, const char *why)
{
    struct noded *d = step_noded(s);
    struct job *j = s->job;
    log_error("step", "job=%u step=%u cannot start: %s", s->key.job_id, s->key.step_id,
              why);
    step_answer(s, SL_EINVAL_STEP, why);
    if (s->manager)
        job_report(d, j, SL__REPORT_KIND__REPORT_LAUNCH_FAILED, why);
    step_forget(d, s);
}

int step_spawn(struct noded *d, struct job *j, const Sl__StepLaunch *launch,
               struct wire_link *asker, uint32_t tag, struct err *err)
{
    uint32_t step_id = launch->layout->step_id;
    if (step_find(d, j->key.job_id, j->key.restart, step_id))
        return err_set(err, -EEXIST, "step %u.%u runs here already", j->key.job_id,
                       step_id);
    if (zygote_start(d, err) < 0)
        return err->code;
    d->zygote->tag_last = (uint32_t)(d->zygote->tag_last + 1) ? d->zygote->tag_last + 1 : 1;
    uint32_t spawn_tag = (uint32_t)d->zygote->tag_last;
    if (wire_link_send(d->zygote->link, WIRE_STEP_SPAWN, spawn_tag, &launch->base, err) < 0)
        return err->code;
    struct step *s = step_create(d, j, step_id);
    s->state = STEP_SPAWNED;
    s->manager = launch->manager;
    s->asker = s->watcher = asker;
    s->asker_tag = tag;
    s->spawn_tag = spawn_tag;
    step_timer(s, HELLO_MSEC_MAX);
    return 0;
}

/* ---- STEP_LAUNCH from managers ------------------------------------------------------------------------ */

static void ask_refuse(struct wire_link *from, uint32_t tag, int code, const char *text)
{
    Sl__StepLaunchReply r = SL__STEP_LAUNCH_REPLY__INIT;
    struct err err;
    r.code = code;
    r.text = (char *)text;
    if (wire_link_send(from, WIRE_STEP_LAUNCH_REPLY, tag, &r.base, &err) < 0)
        log_warn("step", "refusal not sent: %s", err.text);
}

/* A manager, whose word ends the job, is only started for the controller. */
static bool ask_usable(const Sl__StepLaunch *m)
{
    return m->job && m->job->spec && m->job->alloc && m->spec && m->layout &&
           m->node_index < m->layout->n_nodes && !m->manager && m->script.len == 0 &&
           m->layout->step_id <= STEP_MAX;
}

void step_launch_request(struct noded *d, struct wire_link *from, uint32_t tag,
                         const Sl__StepLaunch *m)
{
    struct err err;
    if (!ask_usable(m)) {
        ask_refuse(from, tag, SL_EPROTO, "incomplete step launch, or one of a manager");
        return;
    }
    struct job *j = job_find(d, m->job->job_id, m->job->restart);
    /* whose job it is was said by the controller, not by another node */
    if (j && (m->job->uid != j->launch->job->uid || m->job->gid != j->launch->job->gid)) {
        log_error("step", "job=%u step launch for uid=%u refused: the job is uid %u's",
                  j->key.job_id, (unsigned)m->job->uid,
                  (unsigned)j->launch->job->uid);
        ask_refuse(from, tag, SL_EACCESS, "the job belongs to another user");
        return;
    }
    if (j && j->phase == JOB_PRESENT) {
        if (step_spawn(d, j, m, from, tag, &err) < 0)
            ask_refuse(from, tag, err.code, err.text);
        return;
    }
    if (j && j->phase != JOB_PROLOG) {
        ask_refuse(from, tag, SL_EALREADY_DONE, "the job is ending");
        return;
    }
    if (d->asks_count >= ASKS_WAITING_MAX) {
        ask_refuse(from, tag, SL_ETOO_MANY, "too many step launches wait for their job");
        return;
    }
    struct ask *a = xcalloc(1, sizeof(*a));
    size_t n = sl__step_launch__get_packed_size(m);
    uint8_t *p = xmalloc(n);
    sl__step_launch__pack(m, p);
    a->m = sl__step_launch__unpack(NULL, n, p);
    free(p);
    a->from = from;
    a->tag = tag;
    a->deadline = clock_mono_usec() + 10 * USEC_PER_SEC;
    a->next = d->asks;
    d->asks = a;
    d->asks_count++;
}

void step_watch_request(struct noded *d, struct wire_link *from, const Sl__StepWatch *m)
{
    struct step *s = step_find(d, m->job_id, m->restart, m->step_id);
    Sl__StepDone done = SL__STEP_DONE__INIT;
    struct err err;
    if (s) {
        s->watcher = from;
        s->done_told = false;
    } else if (wire_link_send(from, WIRE_STEP_DONE, m->step_id, &done.base, &err) < 0) {
        log_warn("step", "end of step %u.%u not told: %s", m->job_id, m->step_id, err.text);
    }
}

void step_end_request(struct noded *d, const Sl__Terminate *t)
{
    struct step *s = step_find(d, t->job_id, t->restart, t->step_id);
    if (!s || !t->has_step)
        return;
    s->unwanted = true;
    step_send_terminate(s, t);
}

void steps_job_present(struct noded *d, struct job *j)
{
    struct ask **at = &d->asks;
    while (*at) {
        struct ask *a = *at;
        bool late = clock_mono_usec() > a->deadline;
        bool mine = j && a->m->job->job_id == j->key.job_id &&
                    a->m->job->restart == j->key.restart;
        if (!late && !mine) {
            at = &a->next;
            continue;
        }
        *at = a->next;
        d->asks_count--;
        if (mine)
            step_launch_request(d, a->from, a->tag, a->m);
        else
            ask_refuse(a->from, a->tag, SL_EINVAL_JOB_ID, "no such job on this node");
        sl__step_launch__free_unpacked(a->m, NULL);
        free(a);
        at = &d->asks; /* a request may have changed the list */
    }
}

void steps_forget_link(struct noded *d, struct wire_link *l)
{
    struct ask **at = &d->asks;
    while (*at) {
        struct ask *a = *at;
        if (a->from != l) {
            at = &a->next;
            continue;
        }
        *at = a->next;
        d->asks_count--;
        sl__step_launch__free_unpacked(a->m, NULL);
        free(a);
    }
    for (struct step *s = d->steps; s; s = s->hh.next) {
        if (s->asker == l)
            s->asker = NULL;
        if (s->watcher == l)
            s->watcher = NULL;
    }
}

/* ---- restart of the daemon ------------------------------------------------------------------------------ */

static void step_load(struct noded *d, const char *name, bool same_boot)
{
    struct step_key k;
    if (strncmp(name, "idle.", 5) == 0) { /* nobody's: their supervisors went with the zygote */
        char *path = xasprintf("%s/%s", d->spool, name);
        folder_remove(path);
        free(path);
    }
    if (sscanf(name, "step.%u.%u.%u", &k.job_id, &k.restart, &k.step_id) != 3)
        return;
    struct job *j = job_find(d, k.job_id, k.restart);
    if (!j) {
        step_folder_remove(d, k);
        return;
    }
    struct step *s = step_create(d, j, k.step_id);
    s->manager = k.step_id == STEP_BATCH || k.step_id == STEP_EXTERN ||
                 (j->launch->job->spec->type == SL__JOB_TYPE__JOB_TYPE_RUN &&
                  k.step_id == 0 && j->launch->node_index == 0);
    /* it was started: a later daemon must not start it again once this folder is gone */
    job_started(d, j);
    char *path = step_path(d, k, "pid"), *over = step_path(d, k, "result");
    FILE *f = fopen(path, "re");
    if (!f) /* its end is recorded, it may wait for us to take it */
        f = fopen(over, "re");
    free(over);
    int pid = 0;
    unsigned long long start = 0;
    bool named = f && fscanf(f, "%d %llu", &pid, &start) == 2;
    if (named && same_boot) {
        s->pid = pid;
        s->pid_start = start;
    }
    if (f)
        fclose(f);
    free(path);
    if (named || !same_boot) {
        step_detached(s);
    } else { /* it has just made its folder: its hello comes, or never will */
        s->state = STEP_SPAWNED;
        step_timer(s, HELLO_MSEC_MAX);
    }
}

void steps_load(struct noded *d)
{
    char *path = xasprintf("%s/boot_id", d->spool);
    char old[64] = "";
    FILE *f = fopen(path, "re");
    if (f) {
        if (fgets(old, sizeof(old), f))
            old[strcspn(old, "\n")] = '\0';
        fclose(f);
    }
    bool same_boot = strcmp(old, d->boot_id) == 0;
    if (!same_boot && (f = fopen(path, "we"))) {
        fprintf(f, "%s\n", d->boot_id);
        fclose(f);
    }
    free(path);
    DIR *dir = opendir(d->spool);
    if (!dir)
        return;
    for (struct dirent *e; (e = readdir(dir));)
        step_load(d, e->d_name, same_boot);
    closedir(dir);
}
