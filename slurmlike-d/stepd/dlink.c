/* SPDX-License-Identifier: Apache-2.0 */
#include "stepd/dlink.h"

#include "stepd/attach.h"
#include "stepd/manager.h"
#include "stepd/record.h"
#include "stepd/route.h"
#include "stepd/sample.h"
#include "stepd/tree.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct dlink {
    struct step *step;
    struct wire_link *link; /* NULL: not connected */
    struct event *redial;
    usec_t redial_delay;
    uint64_t seq_last, seq_acked;
    /* not acknowledged, oldest first, packed JobReport each */
    struct { uint64_t seq; uint8_t *data; size_t n; } *pending;
    size_t pending_count;
};

static void dlink_dial(struct dlink *d, bool again);

/* ---- reports ------------------------------------------------------------------------- */

static void pending_add(struct dlink *d, Sl__JobReport *r)
{
    d->pending = xrealloc(d->pending, (d->pending_count + 1) * sizeof(*d->pending));
    r->seq = ++d->seq_last;
    size_t n = sl__job_report__get_packed_size(r);
    uint8_t *p = xmalloc(n);
    sl__job_report__pack(r, p);
    d->pending[d->pending_count].seq = r->seq;
    d->pending[d->pending_count].data = p;
    d->pending[d->pending_count].n = n;
    d->pending_count++;
}

static void reports_send(struct dlink *d, Sl__JobReport **reports, size_t count)
{
    Sl__JobReports list = SL__JOB_REPORTS__INIT;
    struct err err;
    list.reports = reports;
    list.n_reports = count;
    if (wire_link_send(d->link, WIRE_STEP_REPORT, 0, &list.base, &err) < 0)
        log_error("dlink", "step=%s report not sent: %s", d->step->name, err.text);
}

static void reports_resend(struct dlink *d)
{
    for (size_t i = 0; i < d->pending_count; i++) {
        Sl__JobReport *r = sl__job_report__unpack(NULL, d->pending[i].n, d->pending[i].data);
        ASSERT(r);
        reports_send(d, &r, 1);
        sl__job_report__free_unpacked(r, NULL);
    }
}

static void on_ack(struct dlink *d, uint64_t seq)
{
    size_t done = 0;
    while (done < d->pending_count && d->pending[done].seq <= seq)
        free(d->pending[done++].data);
    d->pending_count -= done;
    if (done)
        memmove(d->pending, d->pending + done, d->pending_count * sizeof(*d->pending));
    step_advance(d->step);
}

void dlink_report(struct step *s, Sl__JobReport **reports, size_t count)
{
    struct dlink *d = s->dlink;
    for (size_t i = 0; i < count; i++)
        pending_add(d, reports[i]);
    if (d->link)
        reports_send(d, reports, count);
}

bool dlink_idle(const struct dlink *d)
{
    return d->pending_count == 0;
}

void dlink_usage(struct step *s)
{
    Sl__StepUsage u = SL__STEP_USAGE__INIT;
    if (!s->dlink->link)
        return;
    sample_fill(s, &u);
    if (wire_link_send(s->dlink->link, WIRE_STEP_USAGE, 0, &u.base, NULL) < 0)
        log_debug("dlink", "step=%s usage not sent", s->name);
}

int dlink_send(struct step *s, enum wire_type type, uint32_t tag,
               const ProtobufCMessage *m, struct err *err)
{
    if (!s->dlink->link)
        return err_set(err, -ENOTCONN, "the node daemon of %s is not running", s->opts->node);
    return wire_link_send(s->dlink->link, type, tag, m, err);
}

/* ---- messages ---------------------------------------------------------------------------- */

/* What Slurm writes into the job's stderr, so that users (and their scripts) find it. */
static void tell_terminated(struct step *s, uint32_t state)
{
    char when[TIME_TEXT_MAX];
    const char *why = state == JOB_TIMEOUT     ? " DUE TO TIME LIMIT"
                      : state == JOB_PREEMPTED ? " DUE TO PREEMPTION"
                      : state == JOB_NODE_FAIL ? " DUE TO NODE FAILURE"
                                               : "";
    if (!s->root || s->step_id == STEP_EXTERN)
        return;
    if (s->batch)
        step_tell(s, "*** JOB %u ON %s CANCELLED AT %s%s ***", s->job_id, s->opts->node,
                  time_format(clock_wall_usec(), when), why);
    else
        step_tell(s, "*** STEP %s ON %s CANCELLED AT %s%s ***", s->name, s->opts->node,
                  time_format(clock_wall_usec(), when), why);
}

/* What a step is recorded as that its job's end ends: a job that has completed cancels its
 * other steps; the one that only stood for the allocation has done its duty. */
static uint32_t end_state(const struct step *s, uint32_t job_state)
{
    if (job_state != 0 && job_state != JOB_COMPLETED && job_state != JOB_FAILED)
        return job_state;
    return s->step_id == STEP_EXTERN ? JOB_COMPLETED : JOB_CANCELLED;
}

static void on_terminate(struct step *s, const Sl__Terminate *t)
{
    if (t->has_step && t->step_id != s->step_id)
        return;
    if (t->part_lost) {
        tree_node_died(s, t->reason);
        return;
    }
    /* another node's part hears of it from the root */
    if (t->unowned && (!s->root || s->launch->spec->detached || attach_owned(s->attach)))
        return;
    if (t->suspend || t->resume) {
        step_suspend(s, t->suspend);
        return;
    }
    if (t->signal) {
        /* scancel -s: the steps; -b: the batch shell only; -f: everything */
        if (t->batch_only && !s->batch)
            return;
        if (s->batch && !t->batch_only && !t->full && t->signal != SIGKILL && !t->has_step)
            return;
        if (t->batch_only)
            step_signal(s, (int)t->signal, &s->tasks[0].rank, 1);
        else
            step_signal(s, (int)t->signal, NULL, 0);
        return;
    }
    if (!s->terminating && s->phase <= PHASE_RUNNING) /* else its tasks had ended before */
        tell_terminated(s, t->state);
    step_terminate(s, t->kill_wait_usec, end_state(s, t->state));
}

static void on_message(struct wire_link *l, struct wire_msg *m, void *arg)
{
    struct dlink *d = arg;
    struct step *s = d->step;
    switch (m->type) {
    case WIRE_REPORT_ACK:
        on_ack(d, ((Sl__ReportAck *)m->body)->seq);
        break;
    case WIRE_STEP_ROUTE:
        route_accept(s, (Sl__StepRoute *)m->body, wire_link_take_fd(l));
        break;
    case WIRE_STEP_TERMINATE:
        on_terminate(s, (Sl__Terminate *)m->body);
        break;
    case WIRE_STEP_LAUNCH_REPLY:
        manager_launch_reply(s, m->tag, (Sl__StepLaunchReply *)m->body);
        break;
    case WIRE_STEP_DONE:
        manager_step_done(s, 0, m->tag);
        break;
    default:
        log_warn("dlink", "step=%s unexpected message type=%d", s->name, m->type);
        break;
    }
}

/* ---- connection ------------------------------------------------------------------------------ */

static void hello(struct dlink *d)
{
    struct step *s = d->step;
    Sl__StepHello h = SL__STEP_HELLO__INIT;
    struct step_record rec;
    struct err err;

    h.job_id = s->job_id;
    h.restart = s->restart;
    h.step_id = s->step_id;
    h.pid = (uint32_t)getpid();
    h.start = s->start;
    h.manager = s->manager;
    h.uid = s->user.uid;
    record_fill(s, &rec);
    h.record = &rec.m;
    if (wire_link_send(d->link, WIRE_STEP_HELLO, 0, &h.base, &err) < 0)
        log_error("dlink", "step=%s hello not sent: %s", s->name, err.text);
    record_fini(&rec);
}

static void on_up(struct wire_link *l, void *arg)
{
    struct dlink *d = arg;
    (void)l;
    d->redial_delay = REDIAL_USEC_MIN;
}

static void redial_later(struct dlink *d)
{
    struct timeval tv = {d->redial_delay / USEC_PER_SEC, d->redial_delay % USEC_PER_SEC};
    d->redial_delay = d->redial_delay * 2 < REDIAL_USEC_MAX ? d->redial_delay * 2
                                                            : REDIAL_USEC_MAX;
    event_add(d->redial, &tv);
}

static void on_down(struct wire_link *l, const char *why, void *arg)
{
    struct dlink *d = arg;
    (void)l;
    log_debug("dlink", "step=%s daemon gone: %s", d->step->name, why);
    d->link = NULL;
    redial_later(d);
}

static const struct wire_link_ops dlink_ops = {.up = on_up, .message = on_message,
                                               .down = on_down};

static void dlink_dial(struct dlink *d, bool again)
{
    struct err err;
    char *target = xasprintf("unix:%s/d.sock", d->step->opts->spool);
    d->link = wire_link_dial(d->step->base, target, NULL, &dlink_ops, d, &err);
    free(target);
    if (!d->link) {
        redial_later(d);
        return;
    }
    /* the link keeps both until it is up, so that nothing overtakes the hello */
    hello(d);
    reports_resend(d);
    if (again)
        manager_node_up(d->step, 0);
}

/* The node's whole spool was removed: no daemon will come back for this step. */
static bool forsaken(const struct step *s)
{
    return access(s->opts->spool, F_OK) < 0 && errno == ENOENT;
}

static void on_redial(evutil_socket_t fd, short what, void *arg)
{
    struct dlink *d = arg;
    (void)fd;
    (void)what;
    if (!forsaken(d->step)) {
        dlink_dial(d, true);
        return;
    }
    if (d->step->childless) {
        log_error("dlink", "step=%s: %s is gone, and with it whoever wants the result",
                  d->step->name, d->step->opts->spool);
        _exit(1);
    }
    step_terminate(d->step, 0, JOB_CANCELLED);
    redial_later(d);
}

struct dlink *dlink_create(struct step *s)
{
    struct dlink *d = xcalloc(1, sizeof(*d));
    d->step = s;
    d->redial_delay = REDIAL_USEC_MIN;
    d->redial = evtimer_new(s->base, on_redial, d);
    ASSERT(d->redial);
    dlink_dial(d, false);
    return d;
}

void dlink_destroy(struct dlink *d)
{
    if (!d)
        return;
    if (d->link)
        wire_link_close(d->link);
    event_free(d->redial);
    for (size_t i = 0; i < d->pending_count; i++)
        free(d->pending[i].data);
    free(d->pending);
    free(d);
}
