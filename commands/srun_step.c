/* SPDX-License-Identifier: Apache-2.0
 *
 * The step's side of srun: its manager (inside an allocation), its root supervisor.
 */
#include "srun.h"

#include "base/hostlist.h"
#include "job/state.h"
#include <errno.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define DIAL_TIMEOUT (20 * USEC_PER_SEC) /* a supervisor that is being born is waited for */
#define REDIAL_MS 100
#define BUSY_SAY_AFTER USEC_PER_SEC /* a step that starts sooner has not waited in a user's eyes */
#define TOLD_BYTES_MAX 65536u
#define OOM_CODE 253 /* srun(1) "RETURN VALUE" */

/* ---- names -------------------------------------------------------------------------- */

const char *srun_node_name(const struct srun *s, uint32_t node_index)
{
    if (s->layout == NULL || s->nodes == NULL || node_index >= s->layout->n_nodes)
        return "?";
    uint32_t i = s->layout->nodes[node_index]->alloc_index;
    return i < s->nodes->n_nodes ? s->nodes->nodes[i]->name : "?";
}

char *srun_ranks(const uint32_t *ranks, size_t n)
{
    struct buf b;
    buf_init(&b);
    for (size_t i = 0; i < n;) {
        size_t k = i;
        while (k + 1 < n && ranks[k + 1] == ranks[k] + 1)
            k++;
        buf_printf(&b, "%s%u", i == 0 ? "" : ",", ranks[i]);
        if (k > i)
            buf_printf(&b, "-%u", ranks[k]);
        i = k + 1;
    }
    return buf_steal(&b);
}

/* ---- connecting ------------------------------------------------------------------------ */

static int node_uid(const struct conf *conf, uid_t *uid, struct err *err)
{
    uint64_t number;
    *uid = 0;
    if (conf->node_user[0] == '\0' || strcmp(conf->node_user, "root") == 0)
        return 0;
    if (num_parse_u64("node_user", conf->node_user, 0, UINT32_MAX - 1, &number, NULL) == 0) {
        *uid = (uid_t)number;
        return 0;
    }
    const struct passwd *pw = getpwnam(conf->node_user);
    if (pw == NULL)
        return err_set(err, -ENOENT, "node user %s: no such user on this machine", conf->node_user);
    *uid = pw->pw_uid;
    return 0;
}

/* Waits before the next attempt; true: the user gave up meanwhile. */
static bool redial_wait(struct srun *s)
{
    struct pollfd p = {.fd = s->signal_fd, .events = POLLIN};
    return poll(&p, 1, REDIAL_MS) > 0 && srun_signals_handle(s) != 0;
}

/* By the daemon's socket, when the node is this very machine. NULL: it is not, or the daemon
 * is away. */
static struct wire_conn *neighbour_dial(const struct conf *conf, const char *node,
                                        const struct wire_dial_opts *opts)
{
    char *path = xasprintf("%s/node.%s.sock", conf->run_dir, node);
    char *target = xasprintf("unix:%s", path);
    struct wire_conn *c = access(path, F_OK) == 0 ? wire_dial(target, opts, NULL) : NULL;
    free(target);
    free(path);
    return c;
}

/* A node daemon that is being restarted is waited for: its supervisors live.
 * node: NULL when only the address is known. */
static struct wire_conn *route_dial(struct srun *s, const char *node, const char *target,
                                    const char *route, struct err *err)
{
    const struct conf *conf = s->alloc.client.conf;
    usec_t until = clock_mono_usec() + DIAL_TIMEOUT;
    struct wire_dial_opts opts = {
        .munge_socket = conf->munge_socket, .route = route, .timeout = DIAL_TIMEOUT};
    if (node_uid(conf, &opts.service_uid, err) != 0)
        return NULL;
    struct wire_conn *near = node ? neighbour_dial(conf, node, &opts) : NULL;
    if (near)
        return near;
    for (;;) {
        struct wire_conn *c = wire_dial(target, &opts, err);
        bool away = err->code == -ECONNREFUSED || err->code == -ECONNRESET || err->code == -EPIPE;
        if (c != NULL || !away || clock_mono_usec() >= until || redial_wait(s))
            return c;
    }
}

/* Without munge and TLS, when the other end is on this machine and one of the system's. NULL:
 * it is not, and TCP is the way. */
static struct wire_conn *local_dial(struct srun *s, const char *path)
{
    uid_t system;
    if (path == NULL || *path == '\0' || node_uid(s->alloc.client.conf, &system, NULL) != 0)
        return NULL;
    char *target = xasprintf("unix:%s", path);
    struct wire_conn *c = wire_dial(target, NULL, NULL);
    free(target);
    if (c != NULL && wire_conn_peer(c)->uid != 0 && wire_conn_peer(c)->uid != system) {
        wire_conn_close(c);
        c = NULL;
    }
    return c;
}

static char *node_target(const Sl__AllocNode *n)
{
    const char *addr = n->addr[0] != '\0' ? n->addr : n->name;
    bool v6 = strchr(addr, ':') != NULL && addr[0] != '[';
    return xasprintf(v6 ? "[%s]:%u" : "%s:%u", addr, n->port);
}

/* ---- inside an allocation: a step from the job's manager ---------------------------------- */

/* A variable that the job we ask a step of has set; NULL: none. */
static const char *job_variable(const struct srun *s, const char *name)
{
    const char *value = getenv(name), *job = getenv("SLURM_JOB_ID");
    bool ours = job != NULL && strtoul(job, NULL, 10) == s->job_id;
    return ours && value != NULL && *value != '\0' ? value : NULL;
}

/* Where the manager is: the job's own variable, else the controller knows. */
static int manager_target(struct srun *s, char **target, struct err *err)
{
    const char *addr = job_variable(s, "SLURMLIKE_JOB_ADDR");
    if (addr != NULL) {
        *target = xstrdup(addr);
        return 0;
    }
    int rc = alloc_watch(&s->alloc, s->job_id, false, err);
    while (rc == 0 && s->alloc.last == NULL) {
        struct pollfd p = {.fd = alloc_fd(&s->alloc), .events = POLLIN};
        if (poll(&p, 1, alloc_poll_timeout(&s->alloc) == 0 ? 0 : 5000) == 0 &&
            !client_event_pending(&s->alloc.client))
            return err_set(err, SL_ECTLD_DOWN, "the controller does not answer");
        rc = alloc_pump(&s->alloc, err) < 0 ? err->code : 0;
    }
    if (rc != 0)
        return rc;
    if (alloc_ended(&s->alloc))
        return err_set(err, SL_EALREADY_DONE, "job %u: %s", s->job_id, err_name(SL_EALREADY_DONE));
    if (!alloc_granted(&s->alloc))
        return err_set(err, SL_EINVAL_JOB_ID, "job %u has no allocation", s->job_id);
    *target = node_target(s->alloc.last->alloc->nodes[0]);
    return 0;
}

/* Takes STEP_CREATED over. */
static int created_take(struct srun *s, struct wire_msg *m, struct err *err)
{
    Sl__StepCreated *c = (Sl__StepCreated *)m->body;
    if (c->layout == NULL || c->alloc == NULL || c->layout->n_nodes == 0 ||
        c->root >= c->layout->n_nodes ||
        c->layout->nodes[c->root]->alloc_index >= c->alloc->n_nodes)
        return err_set(err, SL_EPROTO, "the manager's answer has no usable layout");
    s->step_id = c->step_id;
    s->layout = c->layout;
    s->nodes = c->alloc;
    c->layout = NULL;
    c->alloc = NULL;
    if (s->local && c->root_sock[0] != '\0')
        s->root_sock = xstrdup(c->root_sock);
    return 0;
}

static int answer_take(struct srun *s, struct wire_msg *m, struct err *err)
{
    const Sl__ErrorReply *e = (const Sl__ErrorReply *)m->body;
    if (m->type == WIRE_ERROR)
        return err_set(err, e->code < 0 ? e->code : SL_EPROTO, "%s", e->text);
    return m->type == WIRE_STEP_CREATED ? created_take(s, m, err)
                                        : err_set(err, SL_EPROTO, "unexpected answer");
}

/* Waits for the manager's answer; resources may be held by other steps. */
static int created_wait(struct srun *s, struct wire_conn *c, struct err *err)
{
    const struct job_request *q = s->req;
    usec_t now = clock_mono_usec(), say_at = q->quiet ? INT64_MAX : now + BUSY_SAY_AFTER;
    usec_t until = q->immediate && q->immediate_usec > 0 ? now + q->immediate_usec : INT64_MAX;
    bool said = false;
    for (;;) {
        struct pollfd p[2] = {{.fd = wire_conn_fd(c), .events = POLLIN},
                              {.fd = s->signal_fd, .events = POLLIN}};
        struct wire_msg m;
        int rc = wire_recv(c, 0, &m, err);
        if (rc < 0)
            return err_prefix(err, "the job's first node");
        if (rc == 1) {
            rc = answer_take(s, &m, err);
            wire_msg_clear(&m);
            if (rc == 0 && said)
                command_say(srun_program, "Step created for StepId=%u.%u", s->job_id, s->step_id);
            return rc;
        }
        if (wire_conn_pending(c))
            continue;
        now = clock_mono_usec();
        if (now >= until)
            return err_set(err, SL_EBUSY_NODES, "%s", err_name(SL_EBUSY_NODES));
        if (now >= say_at) {
            command_say(srun_program,
                        "Job %u step creation temporarily disabled, retrying (Requested nodes are busy)",
                        s->job_id);
            said = true;
            say_at = INT64_MAX;
        }
        usec_t wake = until < say_at ? until : say_at;
        poll(p, 2, wake == INT64_MAX ? -1 : (int)((wake - now) / 1000 + 1));
        if (p[1].revents != 0 && srun_signals_handle(s) != 0)
            return err_set(err, -EINTR, "Cancelled pending job step with signal 2");
    }
}

static struct wire_conn *manager_dial(struct srun *s, struct err *err)
{
    char route[32], *target = NULL;
    struct wire_conn *c = local_dial(s, job_variable(s, "SLURMLIKE_JOB_SOCK"));
    s->local = c != NULL;
    if (c != NULL || manager_target(s, &target, err) != 0)
        return c;
    snprintf(route, sizeof(route), "job:%u", s->job_id);
    c = route_dial(s, NULL, target, route, err);
    free(target);
    return c;
}

int srun_create_step(struct srun *s, struct err *err)
{
    Sl__StepCreate q = SL__STEP_CREATE__INIT;
    struct wire_conn *c = manager_dial(s, err);
    if (c == NULL)
        return err->code;
    q.job_id = s->job_id;
    q.spec = &s->req->step;
    int rc = wire_send(c, WIRE_STEP_CREATE, 1, &q.base, err);
    if (rc == 0)
        rc = created_wait(s, c, err);
    if (rc == 0)
        s->manager = c;
    else
        wire_conn_close(c);
    return rc;
}

/* Closed without this word, as when we die, the manager ends the step. */
static void manager_leave(struct srun *s)
{
    Sl__Ack ack = SL__ACK__INIT;
    if (s->manager == NULL)
        return;
    wire_send(s->manager, WIRE_ACK, 1, &ack.base, NULL);
    wire_conn_close(s->manager);
    s->manager = NULL;
}

/* ---- the step itself ------------------------------------------------------------------------- */

static int layout_check(const struct srun *s, struct err *err)
{
    uint64_t tasks = 0;
    for (size_t i = 0; i < s->layout->n_nodes; i++)
        tasks += s->layout->nodes[i]->n_tasks;
    if (tasks != s->layout->ntasks || tasks == 0 || tasks > TASKS_PER_STEP_MAX)
        return err_set(err, SL_EPROTO, "the step's layout is inconsistent");
    return 0;
}

static int attached_take(struct srun *s, struct wire_msg *m, struct err *err)
{
    Sl__IoAttached *a = (Sl__IoAttached *)m->body;
    if (a->layout != NULL) {
        if (s->layout != NULL)
            sl__step_layout__free_unpacked(s->layout, NULL);
        s->layout = a->layout;
        a->layout = NULL;
    }
    if (s->layout == NULL)
        return err_set(err, SL_EPROTO, "the step has no layout");
    return layout_check(s, err);
}

static struct wire_conn *root_dial(struct srun *s, struct err *err)
{
    char route[48];
    uint32_t first = s->layout != NULL ? s->layout->nodes[0]->alloc_index : 0;
    struct wire_conn *c = local_dial(s, s->root_sock);
    if (c != NULL)
        return c;
    snprintf(route, sizeof(route), "step:%u.%u", s->job_id, s->step_id);
    char *target = node_target(s->nodes->nodes[first]);
    c = route_dial(s, s->nodes->nodes[first]->name, target, route, err);
    free(target);
    return c;
}

int srun_attach(struct srun *s, struct err *err)
{
    Sl__IoAttach q = SL__IO_ATTACH__INIT;
    struct wire_msg m;

    s->step = root_dial(s, err);
    if (s->step == NULL)
        return err->code;
    q.kind = 1;
    q.want_stdout = q.want_stderr = q.send_stdin = true;
    int rc = wire_send(s->step, WIRE_IO_ATTACH, 1, &q.base, err);
    if (rc == 0) {
        rc = wire_recv(s->step, DIAL_TIMEOUT, &m, err);
        if (rc == 0)
            rc = err_set(err, -ETIMEDOUT, "the step's supervisor does not answer");
    }
    if (rc < 0)
        return rc;
    if (m.type == WIRE_ERROR) {
        const Sl__ErrorReply *e = (const Sl__ErrorReply *)m.body;
        rc = err_set(err, e->code < 0 ? e->code : SL_EPROTO, "%s", e->text);
    } else if (m.type == WIRE_IO_ATTACHED)
        rc = attached_take(s, &m, err);
    else
        rc = err_set(err, SL_EPROTO, "unexpected answer of the step's supervisor");
    wire_msg_clear(&m);
    if (rc != 0)
        return rc;
    manager_leave(s);
    s->attached = true;
    s->ntasks = s->layout->ntasks;
    s->state = xcalloc(s->ntasks, 1);
    return 0;
}

static void worst(struct srun *s, int status)
{
    int code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    if (code > s->code)
        s->code = code;
}

/* "srun: error: n1: tasks 0-3: Exited with exit code 3", as Slurm words it. */
static void exit_say(const struct srun *s, const Sl__TaskEvent *e)
{
    int status = (int)e->status;
    if (status == 0 && e->text[0] == '\0')
        return;
    char *ranks = srun_ranks(e->tasks, e->n_tasks);
    const char *node = srun_node_name(s, e->node_index), *many = e->n_tasks == 1 ? "" : "s";
    if (e->text[0] != '\0')
        command_error(srun_program, "%s: task%s %s: %s", node, many, ranks, e->text);
    else if (e->oom)
        command_error(srun_program, "%s: task%s %s: Out Of Memory", node, many, ranks);
    else if (WIFSIGNALED(status))
        command_error(srun_program, "%s: task%s %s: %s%s", node, many, ranks,
                      strsignal(WTERMSIG(status)), WCOREDUMP(status) ? " (core dumped)" : "");
    else
        command_error(srun_program, "%s: task%s %s: Exited with exit code %d", node, many, ranks,
                      WEXITSTATUS(status));
    free(ranks);
}

static void task_event(struct srun *s, const Sl__TaskEvent *e)
{
    for (size_t i = 0; i < e->n_tasks; i++) {
        uint32_t rank = e->tasks[i];
        if (rank >= s->ntasks || s->state[rank] == TASK_ENDED)
            continue;
        if (e->kind == 1 && s->state[rank] == TASK_WAITING) {
            s->state[rank] = TASK_RUNNING;
            s->running++;
        } else if (e->kind == 2) {
            s->running -= s->state[rank] == TASK_RUNNING;
            s->state[rank] = TASK_ENDED;
            s->ended++;
        }
    }
    if (e->kind != 2)
        return;
    worst(s, (int)e->status);
    s->oom = s->oom || e->oom;
    s->said_why = s->said_why || e->text[0] != '\0';
    if (!s->req->quiet)
        exit_say(s, e);
}

static void text_told(struct srun *s, const char *text)
{
    fprintf(stderr, "%s\n", text);
    if (s->told.len < TOLD_BYTES_MAX)
        buf_printf(&s->told, "%s\n", text);
}

static void step_done(struct srun *s, const Sl__StepDone *d)
{
    s->done = true;
    /* the root knows which ends do not count: those that it brought about by an abort */
    s->code = 0;
    worst(s, (int)d->exit_status);
    if (d->text[0] != '\0' && !s->said_why && strstr(buf_str(&s->told), d->text) == NULL)
        command_error(srun_program, "%s", d->text);
    if (s->oom || d->state == JOB_OOM)
        s->code = OOM_CODE;
}

static void message(struct srun *s, const struct wire_msg *m)
{
    switch (m->type) {
    case WIRE_IO_DATA:
        srun_io_output(s, (const Sl__IoData *)m->body);
        break;
    case WIRE_TASK_EVENT:
        task_event(s, (const Sl__TaskEvent *)m->body);
        break;
    case WIRE_STEP_TEXT:
        text_told(s, ((const Sl__StepText *)m->body)->text);
        break;
    case WIRE_STEP_DONE:
        step_done(s, (const Sl__StepDone *)m->body);
        break;
    case WIRE_ERROR:
        command_error(srun_program, "%s", ((const Sl__ErrorReply *)m->body)->text);
        break;
    default: /* a newer supervisor's news */
        break;
    }
}

int srun_step_pump(struct srun *s, struct err *err)
{
    while (!s->done) {
        struct wire_msg m;
        int rc = wire_recv(s->step, 0, &m, err);
        if (rc <= 0)
            return rc;
        message(s, &m);
        wire_msg_clear(&m);
    }
    return 0;
}

int srun_signal_tasks(struct srun *s, int signal)
{
    Sl__StepSignal q = SL__STEP_SIGNAL__INIT;
    q.signal = (uint32_t)signal;
    return wire_send(s->step, WIRE_STEP_SIGNAL, 0, &q.base, NULL);
}

int srun_terminate(struct srun *s)
{
    Sl__StepSignal q = SL__STEP_SIGNAL__INIT;
    q.terminate = true;
    q.kill_wait_usec = s->alloc.client.conf->kill_wait;
    return wire_send(s->step, WIRE_STEP_SIGNAL, 0, &q.base, NULL);
}
