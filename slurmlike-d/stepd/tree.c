/* SPDX-License-Identifier: Apache-2.0 */
#include "stepd/tree.h"

#include "stepd/attach.h"
#include "stepd/mpi.h"
#include "stepd/sample.h"
#include "stepd/stdio.h"
#include "stepd/tasks.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define STDIN_AHEAD_MAX 16 /* chunks that a client sends without waiting for grants */

struct child {
    struct step *step;
    uint32_t node_index;
    struct wire_link *link; /* NULL: not attached yet, or gone */
    struct buf early;       /* frames for it from before it attached */
    bool done, lost;
    uint64_t input_taken;   /* stdin chunks that its subtree has taken in */
};
struct tree {
    struct step *step;
    struct child *children;
    uint32_t children_count;
    struct wire_link *parent; /* NULL: root, not connected, or gone */
    struct event *redial, *children_timer;
    usec_t dial_deadline;
    bool node_done_sent;
    uint64_t input_got, input_granted; /* stdin chunks from above, and answered */
    uint8_t *rank_ended;               /* root: one byte a rank of the step */
    struct event *first_end_timer;     /* root: srun --wait */
};

static void on_children_timer(evutil_socket_t fd, short what, void *arg);

static const char *node_name(const struct step *s, uint32_t node_index)
{
    const Sl__Allocation *alloc = s->launch->job->alloc;
    uint32_t i = s->launch->layout->nodes[node_index]->alloc_index;
    return alloc && i < alloc->n_nodes ? alloc->nodes[i]->name : "?";
}

static void parent_send(struct step *s, enum wire_type type, const ProtobufCMessage *m)
{
    struct err err;
    if (s->tree->parent && wire_link_send(s->tree->parent, type, 0, m, &err) < 0)
        log_error("tree", "step=%s message up not sent: %s", s->name, err.text);
}

/* Children come up in their own time: until then their frames wait, in order, so that none
 * misses the go, a signal or a chunk of stdin. False: nobody is there to get it. */
static bool child_send(struct child *c, enum wire_type type, const ProtobufCMessage *m)
{
    struct err err;
    int rc;
    if (c->done || c->lost)
        return false;
    rc = c->link ? wire_link_send(c->link, type, 0, m, &err)
                 : wire_pack(&c->early, type, 0, m, &err);
    if (rc < 0)
        log_error("tree", "step=%s message down not sent: %s", c->step->name, err.text);
    return rc == 0;
}

static void children_send(struct step *s, enum wire_type type, const ProtobufCMessage *m)
{
    for (uint32_t i = 0; s->tree && i < s->tree->children_count; i++)
        child_send(&s->tree->children[i], type, m);
}

/* ---- the root's view of all tasks -------------------------------------------------------- */

static void on_first_end(evutil_socket_t fd, short what, void *arg)
{
    struct step *s = arg;
    (void)fd;
    (void)what;
    step_tell(s, "*** STEP %s: tasks are still running after the --wait time ***", s->name);
    step_terminate(s, s->opts->kill_wait, 0);
}

/* An aborted step has the status that it was aborted with, or a worse one that a task
 * came to by itself: TERM and KILL are from us then. */
static void root_count(struct step *s, int status)
{
    if (s->aborted && WIFSIGNALED(status) &&
        (WTERMSIG(status) == SIGTERM || WTERMSIG(status) == SIGKILL))
        return;
    s->status = status_worst(s->status, status);
}

static void root_tasks_ended(struct step *s, const Sl__TaskEvent *e)
{
    const Sl__StepSpec *spec = s->launch->spec;
    for (size_t i = 0; i < e->n_tasks; i++)
        if (e->tasks[i] < s->launch->layout->ntasks)
            s->tree->rank_ended[e->tasks[i]] = 1;
    root_count(s, (int)e->status);
    s->oom |= e->oom;
    if (e->text[0] && !s->text[0])
        snprintf(s->text, sizeof(s->text), "%s", e->text);
    if (spec->wait_usec > 0 && !s->tree->first_end_timer && !s->terminating)
        timer_set(s, &s->tree->first_end_timer, spec->wait_usec, on_first_end, s);
    if (e->status != 0 && spec->kill_on_bad_exit == 1 && !s->terminating)
        step_terminate(s, s->opts->kill_wait, 0);
}

static void event_up(struct step *s, const Sl__TaskEvent *e)
{
    if (!s->root) {
        parent_send(s, WIRE_TASK_EVENT, &e->base);
        return;
    }
    attach_event(s, WIRE_TASK_EVENT, &e->base);
    if (e->kind == 2)
        root_tasks_ended(s, e);
}

/* At the end srun hears of every task that was to run, also where the node is lost. */
static void root_tell_missing(struct step *s)
{
    const Sl__StepLayout *layout = s->launch->layout;
    uint32_t *ranks = xcalloc(layout->ntasks, sizeof(*ranks));
    bool none_ran = s->tasks_count == 0 || s->setup.code != 0;
    for (uint32_t n = 0; n < layout->n_nodes && !none_ran; n++) {
        Sl__TaskEvent e = SL__TASK_EVENT__INIT;
        for (size_t i = 0; i < layout->nodes[n]->n_tasks; i++)
            if (!s->tree->rank_ended[layout->nodes[n]->tasks[i]])
                ranks[e.n_tasks++] = layout->nodes[n]->tasks[i];
        e.tasks = ranks;
        e.kind = 2;
        e.status = SIGKILL;
        e.node_index = n;
        if (e.n_tasks > 0)
            event_up(s, &e);
    }
    free(ranks);
}

/* ---- events of our own tasks ---------------------------------------------------------------- */

void tree_tasks_started(struct step *s)
{
    Sl__TaskEvent e = SL__TASK_EVENT__INIT;
    uint32_t *ranks = xcalloc(s->tasks_count, sizeof(*ranks));
    uint32_t *pids = xcalloc(s->tasks_count, sizeof(*pids));
    for (uint32_t i = 0; i < s->tasks_count; i++) {
        if (!s->tasks[i].pid)
            continue;
        ranks[e.n_tasks] = s->tasks[i].rank;
        pids[e.n_tasks++] = (uint32_t)s->tasks[i].pid;
    }
    e.tasks = ranks;
    e.pids = pids;
    e.n_pids = e.n_tasks;
    e.kind = 1;
    e.node_index = s->node_index;
    if (e.n_tasks > 0 && !s->batch)
        event_up(s, &e);
    free(ranks);
    free(pids);
}

/* One event for all that ended alike, so that thousands of ranks cost one frame. */
void tree_tasks_ended(struct step *s)
{
    uint32_t *ranks = xcalloc(s->tasks_count, sizeof(*ranks));
    for (uint32_t i = 0; i < s->tasks_count; i++) {
        Sl__TaskEvent e = SL__TASK_EVENT__INIT;
        const struct task *first = &s->tasks[i];
        if (!first->ended || first->told)
            continue;
        for (uint32_t k = i; k < s->tasks_count; k++) {
            struct task *t = &s->tasks[k];
            if (!t->ended || t->told || t->status != first->status)
                continue;
            t->told = true;
            ranks[e.n_tasks++] = t->rank;
        }
        e.tasks = ranks;
        e.kind = 2;
        e.status = (uint32_t)first->status;
        e.node_index = s->node_index;
        e.oom = s->oom;
        if (!s->root) /* the root counts what event_up brings it */
            s->status = status_worst(s->status, first->status);
        event_up(s, &e);
    }
    free(ranks);
}

void tree_task_failed(struct step *s, struct task *t, const char *why)
{
    Sl__TaskEvent e = SL__TASK_EVENT__INIT;
    log_verbose("tree", "step=%s task=%u cannot start: %s", s->name, t->rank, why);
    t->told = true;
    e.tasks = &t->rank;
    e.n_tasks = 1;
    e.kind = 2;
    e.status = (uint32_t)t->status;
    e.node_index = s->node_index;
    e.text = (char *)why;
    s->status = status_worst(s->status, t->status);
    if (!s->text[0])
        snprintf(s->text, sizeof(s->text), "%s", why);
    event_up(s, &e);
}

void tree_text(struct step *s, const char *line)
{
    Sl__StepText t = SL__STEP_TEXT__INIT;
    t.level = 1;
    t.text = (char *)line;
    if (s->root)
        attach_event(s, WIRE_STEP_TEXT, &t.base);
    else
        parent_send(s, WIRE_STEP_TEXT, &t.base);
}

void tree_abort(struct step *s, int status, const char *text)
{
    Sl__StepSignal m = SL__STEP_SIGNAL__INIT;
    if (s->root || !s->tree->parent) {
        s->status = status_worst(s->status, status);
        s->aborted = s->aborted || (status != 0 && !s->terminating);
        if (text && !s->text[0])
            snprintf(s->text, sizeof(s->text), "%s", text);
        step_terminate(s, ABORT_GRACE_USEC, JOB_FAILED);
        return;
    }
    m.terminate = true;
    m.signal = (uint32_t)status; /* upward: the wait(2) status to record */
    m.reason = (char *)(text ? text : "");
    parent_send(s, WIRE_STEP_SIGNAL, &m.base);
}

bool tree_pmix_up(struct step *s, const Sl__PmixMsg *m)
{
    parent_send(s, WIRE_PMIX, &m->base);
    return s->tree->parent != NULL;
}

/* ---- output and backpressure --------------------------------------------------------------------- */

void tree_output(struct step *s, uint32_t rank, unsigned fd, const void *p, size_t n,
                 bool eof)
{
    Sl__IoData d = SL__IO_DATA__INIT;
    if (s->root) {
        if (!stdio_sink(s, fd, p, n))
            attach_output(s, rank, fd, p, n, eof);
        return;
    }
    if (!s->tree->parent)
        return;
    d.task = rank;
    d.fd = fd;
    d.data.data = (uint8_t *)(uintptr_t)p;
    d.data.len = n;
    d.eof = eof;
    parent_send(s, WIRE_IO_DATA, &d.base);
    if (wire_link_full(s->tree->parent))
        tree_pause(s, true);
}

void tree_pause(struct step *s, bool pause)
{
    stdio_pause(s, pause);
    for (uint32_t i = 0; i < s->tree->children_count; i++)
        if (s->tree->children[i].link)
            wire_link_pause_reading(s->tree->children[i].link, pause);
    if (!pause)
        step_advance(s);
}

size_t tree_queued(const struct step *s)
{
    size_t n = s->tree->parent ? wire_link_queued(s->tree->parent) : 0;
    for (uint32_t i = 0; i < s->tree->children_count; i++)
        if (s->tree->children[i].link)
            n += wire_link_queued(s->tree->children[i].link);
    return n + (s->root ? attach_queued(s->attach) : 0);
}

uint32_t tree_children_count(const struct step *s)
{
    return s->tree->children_count;
}

/* ---- stdin -------------------------------------------------------------------------------------------- */

/* A chunk counts as taken in when no queue here is long and each child said so of its
 * part; then the one above may send another. */
static void input_grant(struct step *s)
{
    struct tree *t = s->tree;
    uint64_t taken = t->input_got;
    if (stdio_input_queued(s) > STDIN_QUEUE_BYTES_MAX)
        taken = t->input_granted; /* what is here is not taken in yet */
    for (uint32_t i = 0; i < t->children_count; i++)
        if (!t->children[i].done && !t->children[i].lost &&
            t->children[i].input_taken < taken)
            taken = t->children[i].input_taken;
    while (t->input_granted < taken) {
        Sl__IoData d = SL__IO_DATA__INIT;
        d.task = UINT32_MAX;
        t->input_granted++;
        if (s->root)
            attach_input_grant(s);
        else
            parent_send(s, WIRE_IO_DATA, &d.base);
    }
    if (s->root) /* a client that does not wait for grants is not read on */
        attach_input_pause(s, t->input_got - t->input_granted > STDIN_AHEAD_MAX);
}

void tree_input(struct step *s, const Sl__IoData *m)
{
    s->tree->input_got++;
    children_send(s, WIRE_IO_DATA, &m->base);
    stdio_input(s, m->task, m->data.data, m->data.len, m->eof);
    input_grant(s);
}

void tree_input_drained(struct step *s)
{
    input_grant(s);
}

/* ---- other messages downward ------------------------------------------------------------------------------ */

void tree_signal(struct step *s, const Sl__StepSignal *m)
{
    children_send(s, WIRE_STEP_SIGNAL, &m->base);
    /* children that were ended before they could attach are not waited for in full */
    if (m->terminate && s->tree && s->tree->children_timer)
        timer_set(s, &s->tree->children_timer,
                  m->kill_wait_usec > ABORT_GRACE_USEC ? m->kill_wait_usec : ABORT_GRACE_USEC,
                  on_children_timer, s);
}

void tree_window(struct step *s, const Sl__WinSize *m)
{
    stdio_window(s, m->rows, m->cols);
    children_send(s, WIRE_WIN_SIZE, &m->base);
}

void tree_pmix_down(struct step *s, const Sl__PmixMsg *m)
{
    children_send(s, WIRE_PMIX, &m->base);
}

bool tree_pmix_to(struct step *s, uint32_t node_index, const Sl__PmixMsg *m)
{
    uint32_t hop = node_index;
    if (node_index <= s->node_index)
        return false;
    while (hop > 0 && (hop - 1) / TREE_WIDTH != s->node_index) {
        hop = (hop - 1) / TREE_WIDTH;
        if (hop <= s->node_index)
            return false;
    }
    return child_send(&s->tree->children[hop - s->node_index * TREE_WIDTH - 1], WIRE_PMIX,
                      &m->base);
}

void tree_go(struct step *s)
{
    Sl__IoAttached m = SL__IO_ATTACHED__INIT;
    m.state = JOB_RUNNING;
    children_send(s, WIRE_IO_ATTACHED, &m.base);
}

/* ---- children ------------------------------------------------------------------------------------------------ */

static void child_lost(struct child *c, const char *why)
{
    struct step *s = c->step;
    char text[256];
    c->link = NULL;
    c->lost = true;
    buf_fini(&c->early);
    snprintf(text, sizeof(text), "node %s of step %s is lost: %s",
             node_name(s, c->node_index), s->name, why[0] ? why : "connection closed");
    log_error("tree", "%s", text);
    mpi_node_lost(s, c->node_index);
    if (s->launch->spec->no_kill) {
        s->status = status_worst(s->status, SIGKILL);
    } else {
        step_tell(s, "%s", text);
        tree_abort(s, SIGKILL, text);
    }
    input_grant(s);
    step_advance(s);
}

static void child_done(struct child *c, const Sl__StepNodeDone *m)
{
    struct step *s = c->step;
    c->done = true;
    wire_link_finish(c->link); /* it has nothing more to say */
    c->link = NULL;
    if (s->root)
        root_count(s, (int)m->exit_status);
    else
        s->status = status_worst(s->status, (int)m->exit_status);
    s->oom |= m->oom;
    if (m->text[0] && !s->text[0])
        snprintf(s->text, sizeof(s->text), "%s", m->text);
    if (m->usage)
        usage_merge(&s->usage, m->usage, s->usage_node);
    input_grant(s);
    step_advance(s);
}

static void child_message(struct wire_link *l, struct wire_msg *m, void *arg)
{
    struct child *c = arg;
    struct step *s = c->step;
    const Sl__IoData *d = (Sl__IoData *)m->body;
    const Sl__StepSignal *g = (Sl__StepSignal *)m->body;
    (void)l;
    switch (m->type) {
    case WIRE_IO_DATA:
        if (d->fd == 0) {
            c->input_taken++;
            input_grant(s);
        } else if (d->fd < 3) {
            tree_output(s, d->task, d->fd, d->data.data, d->data.len, d->eof);
        }
        break;
    case WIRE_TASK_EVENT:
        event_up(s, (Sl__TaskEvent *)m->body);
        break;
    case WIRE_STEP_TEXT:
        step_tell_line(s, ((Sl__StepText *)m->body)->text);
        break;
    case WIRE_STEP_NODE_DONE:
        child_done(c, (Sl__StepNodeDone *)m->body);
        break;
    case WIRE_STEP_SIGNAL:
        tree_abort(s, (int)g->signal, g->reason);
        break;
    case WIRE_PMIX:
        mpi_message(s, (Sl__PmixMsg *)m->body);
        break;
    default:
        log_warn("tree", "step=%s unexpected message type=%d", s->name, m->type);
        break;
    }
}

static void child_down(struct wire_link *l, const char *why, void *arg)
{
    struct child *c = arg;
    (void)l;
    child_lost(c, why);
}

static const struct wire_link_ops child_ops = {.message = child_message, .down = child_down};

bool tree_child_accept(struct step *s, struct wire_link *l, const Sl__IoAttach *m)
{
    struct tree *t = s->tree;
    uint32_t first = s->node_index * TREE_WIDTH + 1;
    if (m->node_index < first || m->node_index - first >= t->children_count)
        return false;
    struct child *c = &t->children[m->node_index - first];
    if (c->link || c->lost || c->done)
        return false;
    c->link = l;
    wire_link_set_ops(l, &child_ops, c);
    if (c->early.len > 0)
        wire_link_send_packed(l, c->early.data, c->early.len);
    buf_fini(&c->early);
    return true;
}

bool tree_below_done(const struct tree *t)
{
    for (uint32_t i = 0; i < t->children_count; i++)
        if (!t->children[i].done && !t->children[i].lost)
            return false;
    return true;
}

static void on_children_timer(evutil_socket_t fd, short what, void *arg)
{
    struct step *s = arg;
    (void)fd;
    (void)what;
    for (uint32_t i = 0; i < s->tree->children_count; i++) {
        struct child *c = &s->tree->children[i];
        if (!c->link && !c->done && !c->lost)
            child_lost(c, "its supervisor did not come up in time");
    }
}

/* ---- parent ----------------------------------------------------------------------------------------------------- */

static void parent_lost(struct step *s, const char *why)
{
    log_error("tree", "step=%s lost the supervisors above: %s", s->name, why);
    s->state = JOB_NODE_FAIL;
    step_terminate(s, 0, JOB_NODE_FAIL);
}

static void parent_up(struct wire_link *l, void *arg)
{
    struct step *s = arg;
    Sl__IoAttach m = SL__IO_ATTACH__INIT;
    (void)l;
    m.kind = 3;
    m.node_index = s->node_index;
    parent_send(s, WIRE_IO_ATTACH, &m.base);
    s->tree->dial_deadline = 0; /* from now on its loss is final */
}

static void parent_signal(struct step *s, const Sl__StepSignal *m)
{
    if (m->terminate)
        step_terminate(s, m->kill_wait_usec, JOB_CANCELLED);
    else
        step_signal(s, (int)m->signal, m->tasks, m->n_tasks);
}

static void parent_message(struct wire_link *l, struct wire_msg *m, void *arg)
{
    struct step *s = arg;
    (void)l;
    switch (m->type) {
    case WIRE_IO_ATTACHED:
        step_go(s);
        break;
    case WIRE_IO_DATA:
        tree_input(s, (Sl__IoData *)m->body);
        break;
    case WIRE_STEP_SIGNAL:
        parent_signal(s, (Sl__StepSignal *)m->body);
        break;
    case WIRE_WIN_SIZE:
        tree_window(s, (Sl__WinSize *)m->body);
        break;
    case WIRE_PMIX:
        mpi_message(s, (Sl__PmixMsg *)m->body);
        break;
    default:
        log_warn("tree", "step=%s unexpected message type=%d", s->name, m->type);
        break;
    }
}

static void parent_redial_later(struct step *s);

static void parent_down(struct wire_link *l, const char *why, void *arg)
{
    struct step *s = arg;
    (void)l;
    s->tree->parent = NULL;
    if (s->tree->node_done_sent)
        return;
    if (s->tree->dial_deadline && clock_mono_usec() < s->tree->dial_deadline) {
        log_debug("tree", "step=%s parent not reached: %s", s->name, why);
        parent_redial_later(s);
        return;
    }
    parent_lost(s, why);
    tree_pause(s, false);
}

static void parent_drained(struct wire_link *l, void *arg)
{
    (void)l;
    tree_pause(arg, false);
}

static const struct wire_link_ops parent_ops = {.up = parent_up,
                                                .message = parent_message,
                                                .down = parent_down,
                                                .drained = parent_drained};

static void parent_dial(struct step *s)
{
    const Sl__Allocation *alloc = s->launch->job->alloc;
    uint32_t parent = (s->node_index - 1) / TREE_WIDTH;
    uint32_t i = s->launch->layout->nodes[parent]->alloc_index;
    struct wire_dial_opts opts = {.munge_socket = s->opts->munge_socket,
                                  .service_uid = s->opts->node_uid,
                                  .timeout = 10 * USEC_PER_SEC};
    char route[64], *target;
    struct err err;

    snprintf(route, sizeof(route), "step:%u.%u", s->job_id, s->step_id);
    opts.route = route;
    if (!alloc || i >= alloc->n_nodes) {
        parent_lost(s, "the layout names no such node");
        return;
    }
    target = xasprintf("%s:%u", alloc->nodes[i]->addr, alloc->nodes[i]->port);
    s->tree->parent = wire_link_dial(s->base, target, &opts, &parent_ops, s, &err);
    free(target);
    if (s->tree->parent)
        return;
    log_debug("tree", "step=%s parent not reached: %s", s->name, err.text);
    if (clock_mono_usec() < s->tree->dial_deadline)
        parent_redial_later(s);
    else
        parent_lost(s, err.text);
}

static void on_redial(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    parent_dial(arg);
}

static void parent_redial_later(struct step *s)
{
    timer_set(s, &s->tree->redial, REDIAL_USEC_MIN, on_redial, s);
}

/* ---- deaths that no link tells of ------------------------------------------------------------------------------- */

static void parent_died(struct step *s)
{
    struct tree *t = s->tree;
    timer_stop(&t->redial);
    if (t->parent)
        wire_link_close(t->parent);
    t->parent = NULL;
    t->dial_deadline = 0;
    parent_lost(s, "its supervisor died");
}

void tree_node_died(struct step *s, const char *node)
{
    if (!s->root && s->tree->dial_deadline &&
        strcmp(node_name(s, (s->node_index - 1) / TREE_WIDTH), node) == 0)
        parent_died(s);
    for (uint32_t i = 0; i < s->tree->children_count; i++) {
        struct child *c = &s->tree->children[i];
        if (!c->link && !c->done && !c->lost && strcmp(node_name(s, c->node_index), node) == 0)
            child_lost(c, "its supervisor died");
    }
}

/* ---- life ---------------------------------------------------------------------------------------------------------- */

struct tree *tree_create(struct step *s)
{
    struct tree *t = xcalloc(1, sizeof(*t));
    uint64_t first = (uint64_t)s->node_index * TREE_WIDTH + 1;
    s->tree = t;
    t->step = s;
    if (first < s->nodes_count)
        t->children_count = s->nodes_count - (uint32_t)first < TREE_WIDTH
                                ? s->nodes_count - (uint32_t)first : TREE_WIDTH;
    t->children = xcalloc(t->children_count, sizeof(*t->children));
    for (uint32_t i = 0; i < t->children_count; i++) {
        t->children[i].step = s;
        t->children[i].node_index = (uint32_t)first + i;
        buf_init(&t->children[i].early);
    }
    if (t->children_count > 0)
        timer_set(s, &t->children_timer, ATTACH_WAIT_USEC, on_children_timer, s);
    if (s->root) {
        t->rank_ended = xcalloc(s->launch->layout->ntasks, 1);
        return t;
    }
    t->dial_deadline = clock_mono_usec() + ATTACH_WAIT_USEC;
    parent_dial(s);
    return t;
}

void tree_destroy(struct tree *t)
{
    if (!t)
        return;
    timer_stop(&t->redial);
    timer_stop(&t->children_timer);
    timer_stop(&t->first_end_timer);
    wire_link_finish(t->parent);
    for (uint32_t i = 0; i < t->children_count; i++) {
        wire_link_finish(t->children[i].link);
        buf_fini(&t->children[i].early);
    }
    free(t->children);
    free(t->rank_ended);
    free(t);
}

void tree_node_done(struct step *s)
{
    Sl__StepNodeDone m = SL__STEP_NODE_DONE__INIT;
    if (s->tree->node_done_sent)
        return;
    s->tree->node_done_sent = true;
    timer_stop(&s->tree->first_end_timer);
    timer_stop(&s->tree->redial);
    if (s->root) {
        root_tell_missing(s);
        attach_done(s);
        return;
    }
    m.node_index = s->node_index;
    m.usage = &s->usage;
    m.exit_status = (uint32_t)s->status;
    m.text = s->text;
    m.oom = s->oom;
    parent_send(s, WIRE_STEP_NODE_DONE, &m.base);
}
