/* SPDX-License-Identifier: Apache-2.0 */
#include "stepd/attach.h"

#include "stepd/stdio.h"
#include "stepd/tree.h"

#include <stdlib.h>

struct watcher {
    struct step *step;
    struct wire_link *link;
    bool want[3]; /* by descriptor */
    bool input;
    bool lost;    /* output was dropped since it was last told */
    struct watcher *next;
};
struct attach {
    struct wire_link *owner; /* NULL: not there, or gone */
    bool owned, done, input_paused;
    struct watcher *watchers;
    unsigned watchers_count;
};

/* ---- what both may send -------------------------------------------------------------- */

static void on_signal(struct step *s, const Sl__StepSignal *m)
{
    if (m->terminate) {
        if (m->reason[0] && !s->terminating)
            step_tell(s, "%s", m->reason);
        step_terminate(s, m->kill_wait_usec, JOB_CANCELLED);
        return;
    }
    step_signal(s, (int)m->signal, m->tasks, m->n_tasks);
}

static bool on_common(struct step *s, const struct wire_msg *m)
{
    switch (m->type) {
    case WIRE_STEP_SIGNAL:
        on_signal(s, (Sl__StepSignal *)m->body);
        return true;
    case WIRE_IO_DATA:
        if (((Sl__IoData *)m->body)->fd == 0)
            tree_input(s, (Sl__IoData *)m->body);
        return true;
    default:
        return false;
    }
}

/* ---- owner --------------------------------------------------------------------------------- */

static void owner_message(struct wire_link *l, struct wire_msg *m, void *arg)
{
    struct step *s = arg;
    (void)l;
    if (on_common(s, m))
        return;
    if (m->type == WIRE_WIN_SIZE)
        tree_window(s, (Sl__WinSize *)m->body);
    else
        log_warn("attach", "step=%s unexpected message type=%d", s->name, m->type);
}

static void owner_down(struct wire_link *l, const char *why, void *arg)
{
    struct step *s = arg;
    (void)l;
    s->attach->owner = NULL;
    tree_pause(s, false);
    if (s->attach->done)
        return;
    log_verbose("attach", "step=%s its srun is gone (%s): the step is ended", s->name, why);
    step_terminate(s, s->opts->kill_wait, JOB_CANCELLED);
}

static void owner_drained(struct wire_link *l, void *arg)
{
    (void)l;
    tree_pause(arg, false);
}

static const struct wire_link_ops owner_ops = {
    .message = owner_message, .down = owner_down, .drained = owner_drained};

/* ---- watchers --------------------------------------------------------------------------------- */

static void watcher_drop(struct watcher *w)
{
    struct attach *a = w->step->attach;
    for (struct watcher **at = &a->watchers; *at; at = &(*at)->next)
        if (*at == w) {
            *at = w->next;
            break;
        }
    a->watchers_count--;
    free(w);
}

static void watcher_message(struct wire_link *l, struct wire_msg *m, void *arg)
{
    struct watcher *w = arg;
    (void)l;
    if (m->type == WIRE_IO_DATA && !w->input)
        return;
    if (!on_common(w->step, m))
        log_warn("attach", "step=%s unexpected message type=%d", w->step->name, m->type);
}

static void watcher_down(struct wire_link *l, const char *why, void *arg)
{
    (void)l;
    (void)why;
    watcher_drop(arg);
}

static void watcher_drained(struct wire_link *l, void *arg)
{
    struct watcher *w = arg;
    Sl__StepText t = SL__STEP_TEXT__INIT;
    if (!w->lost)
        return;
    w->lost = false;
    t.text = (char *)"slurmstepd: error: output was lost because it was read too slowly";
    wire_link_send(l, WIRE_STEP_TEXT, 0, &t.base, NULL);
}

static const struct wire_link_ops watcher_ops = {
    .message = watcher_message, .down = watcher_down, .drained = watcher_drained};

/* ---- accepting ------------------------------------------------------------------------------------ */

struct attach *attach_create(struct step *s)
{
    (void)s;
    return xcalloc(1, sizeof(struct attach));
}

void attach_destroy(struct attach *a)
{
    if (!a)
        return;
    wire_link_finish(a->owner);
    while (a->watchers) {
        wire_link_finish(a->watchers->link);
        watcher_drop(a->watchers);
    }
    free(a);
}

static int refuse(struct wire_link *l, uint32_t tag, int code, const char *text)
{
    Sl__ErrorReply e = SL__ERROR_REPLY__INIT;
    e.code = code;
    e.text = (char *)text;
    wire_link_send(l, WIRE_ERROR, tag, &e.base, NULL);
    wire_link_finish(l);
    return code;
}

int attach_accept(struct step *s, struct wire_link *l, uint32_t tag, const Sl__IoAttach *m)
{
    struct attach *a = s->attach;
    Sl__IoAttached reply = SL__IO_ATTACHED__INIT;

    if (!a || s->phase == PHASE_REPORTING)
        return refuse(l, tag, SL_EALREADY_DONE, "the step has ended");
    if (m->kind == 1 && (a->owned || s->launch->spec->detached))
        return refuse(l, tag, SL_EINVAL_STEP, "the step has an owner already");
    if (m->kind == 2 && a->watchers_count >= WATCHERS_MAX)
        return refuse(l, tag, SL_ETOO_MANY, "too many clients are attached to the step");
    reply.layout = s->launch->layout;
    reply.state = s->phase == PHASE_WAITING ? JOB_PENDING : JOB_RUNNING;
    wire_link_send(l, WIRE_IO_ATTACHED, tag, &reply.base, NULL);
    if (m->kind == 1) {
        a->owner = l;
        a->owned = true;
        wire_link_set_ops(l, &owner_ops, s);
        step_go(s);
        return 0;
    }
    struct watcher *w = xcalloc(1, sizeof(*w));
    w->step = s;
    w->link = l;
    w->want[1] = m->want_stdout;
    w->want[2] = m->want_stderr;
    w->input = m->send_stdin;
    w->next = a->watchers;
    a->watchers = w;
    a->watchers_count++;
    wire_link_set_ops(l, &watcher_ops, w);
    if (w->input && a->input_paused)
        wire_link_pause_reading(l, true);
    return 0;
}

bool attach_owned(const struct attach *a)
{
    return a->owned;
}

/* ---- output ------------------------------------------------------------------------------------------- */

void attach_output(struct step *s, uint32_t rank, unsigned fd, const void *p, size_t n,
                   bool eof)
{
    struct attach *a = s->attach;
    Sl__IoData d = SL__IO_DATA__INIT;
    d.task = rank;
    d.fd = fd;
    d.data.data = (uint8_t *)(uintptr_t)p;
    d.data.len = n;
    d.eof = eof;
    for (struct watcher *w = a->watchers; w; w = w->next) {
        if (!w->want[fd])
            continue;
        if (wire_link_full(w->link))
            w->lost = true;
        else
            wire_link_send(w->link, WIRE_IO_DATA, 0, &d.base, NULL);
    }
    if (!a->owner)
        return;
    wire_link_send(a->owner, WIRE_IO_DATA, 0, &d.base, NULL);
    if (wire_link_full(a->owner))
        tree_pause(s, true);
}

void attach_event(struct step *s, enum wire_type type, const ProtobufCMessage *m)
{
    struct attach *a = s->attach;
    if (a->owner)
        wire_link_send(a->owner, type, 0, m, NULL);
    for (struct watcher *w = a->watchers; w; w = w->next)
        wire_link_send(w->link, type, 0, m, NULL);
}

void attach_input_grant(struct step *s)
{
    Sl__IoData d = SL__IO_DATA__INIT;
    d.task = UINT32_MAX;
    if (s->attach && s->attach->owner)
        wire_link_send(s->attach->owner, WIRE_IO_DATA, 0, &d.base, NULL);
}

/* sattach's input is held back as well: nobody grants it anything. */
void attach_input_pause(struct step *s, bool pause)
{
    struct attach *a = s->attach;
    if (!a || a->input_paused == pause)
        return;
    a->input_paused = pause;
    if (a->owner)
        wire_link_pause_reading(a->owner, pause);
    for (struct watcher *w = a->watchers; w; w = w->next)
        if (w->input)
            wire_link_pause_reading(w->link, pause);
}

void attach_done(struct step *s)
{
    Sl__StepDone d = SL__STEP_DONE__INIT;
    d.exit_status = (uint32_t)s->status;
    d.state = s->state ? s->state : s->oom ? JOB_OOM : s->status ? JOB_FAILED : JOB_COMPLETED;
    d.text = s->text;
    d.usage = &s->usage;
    s->attach->done = true;
    attach_event(s, WIRE_STEP_DONE, &d.base);
}

size_t attach_queued(const struct attach *a)
{
    size_t n = a && a->owner ? wire_link_queued(a->owner) : 0;
    for (struct watcher *w = a ? a->watchers : NULL; w; w = w->next)
        n += wire_link_queued(w->link);
    return n;
}
