/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/advres.h"
#include "sched/het.h"
#include "sched/kin.h"
#include "sched/order.h"
#include "sched/preempt.h"
#include "sched/timeline.h"

#include "base/buf.h"
#include "sched/priority.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

static int denied(const struct command *cmd, const struct job *j, struct err *err)
{
    if (cmd->actor.admin || cmd->actor.uid == j->uid)
        return 0;
    return err_set(err, SL_EACCESS, "%s", err_name(SL_EACCESS));
}

static int not_pending(const struct job *j, struct err *err)
{
    if (j->state == JOB_PENDING)
        return 0;
    return err_set(err, SL_EINVAL_STATE, "Job is no longer pending execution");
}

/* Steps begin on the nodes: one that began in this instant is not known before its report. */
static Sl__StepRecord *step_known(const struct job *j, uint32_t step_id)
{
    for (uint32_t i = 0; i < j->steps_count; i++)
        if (j->steps[i]->step_id == step_id)
            return j->steps[i];
    return NULL;
}

/* An end is repeated until it is carried out; a signal is for those who are there. */
static bool signal_reaches(const struct core *c, const struct job *j)
{
    for (uint32_t i = 0; i < j->alloc->count; i++)
        if (c->node[j->alloc->node[i].node].connected)
            return true;
    return false;
}

/* A job that waits is cancelled, held or changed as a whole. */
static int not_whole(const struct job *j, const struct command *cmd, struct err *err)
{
    if (!het_is(j) || j->state != JOB_PENDING || (j->het_offset == 0 && !cmd->job.only_it))
        return 0;
    return err_set(err, SL_EINVAL_STATE, "Operation not permitted on individual components of a "
                   "pending heterogeneous job: job %u as a whole", j->het_id);
}

static int cancel_refused(const struct core *c, const struct job *j, const struct command *cmd,
                          struct err *err)
{
    uint32_t signal = cmd->job.signal;
    bool ended = job_state_finished((enum job_state)j->state);
    if (ended && (!(j->flags & JOBF_COMPLETING) || cmd->job.has_step))
        return err_set(err, SL_EALREADY_DONE, "%s", err_name(SL_EALREADY_DONE));
    if (cmd->job.has_step && !step_known(j, cmd->job.step_id))
        return err_set(err, SL_EINVAL_STEP, "%s", err_name(SL_EINVAL_STEP));
    if (j->state == JOB_PENDING && signal && signal != SIGKILL)
        return err_set(err, SL_EINVAL_STATE, "Job is pending: no process to signal");
    if (signal && j->alloc && !(j->flags & JOBF_COMPLETING) && !signal_reaches(c, j))
        return err_set(err, SL_EINVAL_NODE, "No node of the job answers: the signal was not sent");
    return 0;
}

static int complete_refused(const struct job *j, struct err *err)
{
    if (j->type != SL__JOB_TYPE__JOB_TYPE_ALLOC)
        return err_set(err, SL_EINVAL_STATE, "Only an allocation ends with its command");
    if (!j->alloc || (j->flags & JOBF_COMPLETING))
        return err_set(err, SL_EALREADY_DONE, "%s", err_name(SL_EALREADY_DONE));
    return 0;
}

static int requeue_refused(const struct job *j, struct err *err)
{
    if (j->type != SL__JOB_TYPE__JOB_TYPE_BATCH)
        return err_set(err, SL_EINVAL_STATE, "Only batch jobs can be requeued");
    if (!j->requeue) /* sbatch(1) --no-requeue: under no circumstances */
        return err_set(err, SL_EINVAL_STATE, "%s: the job was submitted with --no-requeue",
                       err_name(SL_EINVAL_STATE));
    if (j->state == JOB_PENDING)
        return err_set(err, SL_EINVAL_STATE, "Job is already pending execution");
    return 0;
}

/* Every reason not to carry out a command on one job, before anything changes: an array's
 * task is taken out of its array's record only for a command that will be carried out. */
static int refused(const struct core *c, const struct job *j, const struct command *cmd,
                   struct err *err)
{
    if (denied(cmd, j, err) < 0 || not_whole(j, cmd, err) < 0)
        return err->code;
    switch (cmd->kind) {
    case CMD_CANCEL:
        return cancel_refused(c, j, cmd, err);
    case CMD_RELEASE:
        if (j->state == JOB_PENDING && j->hold & HOLD_ADMIN && !cmd->actor.admin)
            return err_set(err, SL_EACCESS, "%s", err_name(SL_EACCESS));
        return not_pending(j, err);
    case CMD_REQUEUE:
        return requeue_refused(j, err);
    case CMD_COMPLETE:
        return complete_refused(j, err);
    case CMD_SUSPEND:
    case CMD_RESUME:
        if (!cmd->actor.admin)
            return err_set(err, SL_EACCESS, "%s", err_name(SL_EACCESS));
        if (j->state != (cmd->kind == CMD_SUSPEND ? JOB_RUNNING : JOB_SUSPENDED))
            return err_set(err, SL_EINVAL_STATE,
                           cmd->kind == CMD_SUSPEND ? "Job is not running"
                                                    : "Job is not suspended");
        return 0;
    default: /* hold, top */
        return not_pending(j, err);
    }
}

/* ---- one job ----------------------------------------------------------------------- */

/* The step is marked first, so that a node that is away is told when it comes back. */
static void cancel_step(struct core *c, struct job *j, const struct command *cmd,
                        struct batch *out)
{
    step_known(j, cmd->job.step_id)->kill_uid = cmd->actor.uid + 1;
    for (uint32_t i = 0; i < j->alloc->count; i++)
        step_cancels_send(c, j, j->alloc->node[i].node, out);
    batch_change(out, CHANGE_STEP, j->id, cmd->job.step_id);
    job_changed(c, j, out, false);
}

static void cancel_running(struct core *c, struct job *j, const struct command *cmd,
                           usec_t now, struct batch *out)
{
    uint32_t signal = cmd->job.signal;
    if (signal == 0 && cmd->job.has_step) {
        cancel_step(c, j, cmd, out);
        return;
    }
    if (signal == 0) {
        j->cancelled_by = cmd->actor.uid + 1;
        job_end(c, j, JOB_CANCELLED, REASON_NONE, SIGTERM, THEN_NOTHING, now, out,
                cmd->job.reason && cmd->job.reason[0] ? cmd->job.reason : "CANCELLED");
        return;
    }
    for (uint32_t i = 0; i < j->alloc->count; i++) {
        terminate(c, j, j->alloc->node[i].node, c->policy.kill_wait, out, cmd->job.reason);
        struct effect *e = &out->effects[out->effects_count - 1];
        e->term.signal = signal;
        e->term.batch_only = cmd->job.batch;
        e->term.full = cmd->job.full;
        e->term.has_step = cmd->job.has_step;
        e->term.step_id = cmd->job.step_id;
        e->term.state = JOB_CANCELLED;
    }
}

/* Its run is ending: what there is to cancel is the run that was to follow. */
static void cancel_ending(struct core *c, struct job *j, const struct command *cmd,
                          struct batch *out)
{
    if (j->then == THEN_NOTHING || cmd->job.signal || cmd->job.has_step)
        return;
    j->then = THEN_NOTHING;
    j->state = JOB_CANCELLED;
    j->reason = REASON_NONE;
    j->cancelled_by = cmd->actor.uid + 1;
    job_changed(c, j, out, true);
}

static void apply_cancel(struct core *c, struct job *j, const struct command *cmd, usec_t now,
                         struct batch *out)
{
    if (j->flags & JOBF_COMPLETING)
        cancel_ending(c, j, cmd, out);
    else if (j->state == JOB_PENDING)
        job_cancel_pending(c, j, JOB_CANCELLED, cmd->actor.uid + 1, now, out);
    else
        cancel_running(c, j, cmd, now, out);
}

/* One's own job is held as its user, whoever one is; another's as an operator. */
void job_hold(struct job *j, const struct actor *who, bool as_user)
{
    j->hold |= who->admin && who->uid != j->uid && !as_user ? HOLD_ADMIN : HOLD_USER;
}

static void apply_hold(struct core *c, struct job *j, const struct command *cmd, usec_t now,
                       struct batch *out)
{
    if (cmd->kind == CMD_HOLD) {
        job_hold(j, &cmd->actor, cmd->job.user_hold);
    } else {
        j->hold = 0;
        j->flags &= (uint16_t)~JOBF_RESV_DEL_HOLD;
        j->launch_failures = 0;
    }
    job_gate(c, j, now);
    job_changed(c, j, out, false);
}

static void apply_requeue(struct core *c, struct job *j, const struct command *cmd, usec_t now,
                          struct batch *out)
{
    enum then then = cmd->job.requeue_hold ? THEN_REQUEUE_HOLD : THEN_REQUEUE;
    if (j->flags & JOBF_COMPLETING) {
        j->then = (uint8_t)then;
    } else if (j->alloc) {
        job_end(c, j, JOB_CANCELLED, REASON_NONE, SIGTERM, then, now, out, "REQUEUE");
    } else { /* finished: runs again */
        j->then = (uint8_t)then;
        alloc_set(c, j, xcalloc(1, sizeof *j->alloc));
        job_node_clean(c, j, NONE, now, out);
    }
    job_changed(c, j, out, false);
    for (uint32_t k = 1; het_leads(j) && k < j->het_size; k++) {
        struct job *p = het_part(c, j, k);
        if (p && p->state != JOB_PENDING && !(p->flags & JOBF_COMPLETING && p->then == then))
            apply_requeue(c, p, cmd, now, out);
    }
}

static void apply_complete(struct core *c, struct job *j, const struct command *cmd, usec_t now,
                           struct batch *out)
{
    uint32_t status = cmd->job.exit_status;
    job_end(c, j, status ? JOB_FAILED : JOB_COMPLETED,
            status == 0             ? REASON_NONE
            : WIFSIGNALED(status)   ? REASON_RAISED_SIGNAL
                                    : REASON_NONZERO_EXIT,
            status, THEN_NOTHING, now, out, "");
}

static void apply_suspend(struct core *c, struct job *j, const struct command *cmd, usec_t now,
                          struct batch *out)
{
    bool suspend = cmd->kind == CMD_SUSPEND;
    for (uint32_t i = 0; i < j->alloc->count; i++)
        suspend_send(c, j, j->alloc->node[i].node, suspend, out);
    if (suspend) {
        j->suspended_since = now;
        j->state = JOB_SUSPENDED;
        timeline_move(c, j, plan_end(j));
    } else {
        j->suspended_total += now - j->suspended_since;
        j->suspended_since = 0;
        j->state = JOB_RUNNING;
        job_limit_timers(c, j);
    }
    job_changed(c, j, out, true);
}

static int by_priority(const void *a, const void *b)
{
    const struct job *x = *(struct job *const *)a, *y = *(struct job *const *)b;
    if (x->priority != y->priority)
        return x->priority < y->priority ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

/* The owner's better jobs each move down to the next one's priority and this one takes the
 * best: no job of another user loses a place by it. */
static void apply_top(struct core *c, struct job *j, struct batch *out)
{
    struct job **better = xmalloc((c->pending + 1) * sizeof *better);
    uint32_t n = 0, least = j->priority;
    for (uint32_t i = 0; i < c->jobs; i++) {
        struct job *r = c->job[i];
        if (r->state == JOB_PENDING && r->uid == j->uid && r->priority > j->priority)
            better[n++] = r;
    }
    qsort(better, n, sizeof *better, by_priority);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t own = better[i]->priority;
        better[i]->priority = least;
        least = own;
        job_changed(c, better[i], out, false);
    }
    free(better);
    if (n) {
        j->priority = least;
        queue_unsorted(c);
    }
    job_changed(c, j, out, false);
}

/* Its srun has ended. A step that it was attached to has seen that itself, and may even have
 * ended before: only one that still waits for it is to be told. */
static void client_gone(struct core *c, struct job *j, usec_t now, struct batch *out)
{
    if (j->state == JOB_PENDING) {
        job_cancel_pending(c, j, JOB_CANCELLED, 1, now, out);
        return;
    }
    for (uint32_t i = 0; j->alloc && i < j->alloc->count; i++) {
        terminate(c, j, j->alloc->node[i].node, 0, out, "its srun is gone");
        struct effect *e = &out->effects[out->effects_count - 1];
        e->term.unowned = true;
        e->term.state = JOB_CANCELLED;
    }
}

static void apply_client(struct core *c, struct job *j, const struct command *cmd, usec_t now,
                         struct batch *out)
{
    bool lost = cmd->kind == CMD_CLIENT_LOST;
    if (job_state_finished((enum job_state)j->state))
        return;
    j->client_lost = lost;
    j->client_lost_at = lost ? now : 0;
    if (lost && c->policy.inactive_limit)
        timer_add(c, now + c->policy.inactive_limit, TIMER_CLIENT, j->id);
    job_changed(c, j, out, false);
    if (lost && cmd->job.gone && j->type == SL__JOB_TYPE__JOB_TYPE_RUN)
        client_gone(c, j, now, out);
}

static int apply_one(struct core *c, struct job *j, const struct command *cmd, usec_t now,
                     struct batch *out, struct err *err)
{
    if (cmd->kind == CMD_CLIENT_LOST || cmd->kind == CMD_CLIENT_BACK) {
        apply_client(c, j, cmd, now, out);
        return 0;
    }
    if (refused(c, j, cmd, err) < 0)
        return err->code;
    switch (cmd->kind) {
    case CMD_CANCEL:
        apply_cancel(c, j, cmd, now, out);
        break;
    case CMD_HOLD:
    case CMD_RELEASE:
        apply_hold(c, j, cmd, now, out);
        break;
    case CMD_REQUEUE:
        apply_requeue(c, j, cmd, now, out);
        break;
    case CMD_COMPLETE:
        apply_complete(c, j, cmd, now, out);
        break;
    case CMD_SUSPEND:
    case CMD_RESUME:
        apply_suspend(c, j, cmd, now, out);
        break;
    default:
        apply_top(c, j, out);
        break;
    }
    return 0;
}

/* The record of an array stands for its waiting tasks; started ones have their own. */
static int apply_array(struct core *c, uint32_t array_id, const struct command *cmd,
                       usec_t now, struct batch *out, struct err *err)
{
    int rc = 0, done = 0;
    uint32_t n, *ids = kin_ids(c, array_id, &n);
    for (uint32_t i = 0; i < n; i++) {
        struct job *j = job_find(c, ids[i]);
        struct err one = {0};
        int r = j ? apply_one(c, j, cmd, now, out, &one) : 0;
        done += r == 0;
        if (r < 0 && rc == 0) {
            rc = r;
            if (err)
                *err = one;
        }
    }
    free(ids);
    return done ? 0 : rc;
}

/* Who may be told only by the leader: the others follow. */
static bool het_follows(enum command_kind kind)
{
    return kind == CMD_REQUEUE || kind == CMD_COMPLETE || kind == CMD_CLIENT_LOST ||
           kind == CMD_CLIENT_BACK || kind == CMD_TOP;
}

/* A component that has ended alone is no reason to refuse the others. */
static int apply_het(struct core *c, struct job *leader, const struct command *cmd, usec_t now,
                     struct batch *out, struct err *err)
{
    const uint32_t id = leader->het_id, n = leader->het_size;
    struct err ended = {0};
    int rc = apply_one(c, leader, cmd, now, out, err);
    for (uint32_t k = 1; rc == 0 && k < n && !het_follows(cmd->kind); k++) {
        struct job *p = job_find(c, id + k);
        struct command one = *cmd;
        one.job.batch = false;
        if (!p || p->het_id != id || (cmd->job.batch && cmd->kind == CMD_CANCEL))
            continue;
        if (p->state == JOB_PENDING && cmd->kind != CMD_CANCEL) /* held and released with it */
            apply_hold(c, p, &one, now, out);
        else
            apply_one(c, p, &one, now, out, &ended);
    }
    return rc;
}

static int apply_job(struct core *c, const struct command *cmd, usec_t now,
                     struct batch *out, struct err *err)
{
    struct job *j = job_find(c, cmd->job.job_id);
    if (!j)
        return err_set(err, SL_EINVAL_JOB_ID, "%s %u", err_name(SL_EINVAL_JOB_ID),
                       cmd->job.job_id);
    if (!cmd->job.has_task) {
        if (j->array && j->array_id == j->id)
            return apply_array(c, j->array_id, cmd, now, out, err);
        if (het_leads(j) && !cmd->job.only_it && !cmd->job.has_step)
            return apply_het(c, j, cmd, now, out, err);
        return apply_one(c, j, cmd, now, out, err);
    }
    uint32_t id = core_job_task(c, cmd->job.job_id, cmd->job.task_id);
    struct job *t = id ? job_find(c, id) : NULL;
    if (!t)
        return err_set(err, SL_EINVAL_JOB_ID, "%s %u_%u", err_name(SL_EINVAL_JOB_ID),
                       cmd->job.job_id, cmd->job.task_id);
    if (refused(c, t, cmd, err) < 0)
        return err->code;
    if (task_waits(t, cmd->job.task_id)) {
        t = job_split(c, t, cmd->job.task_id, out);
        if (!t)
            return err_set(err, SL_ETOO_MANY, "no job id is free");
        job_gate(c, t, now);
    }
    return apply_one(c, t, cmd, now, out, err);
}

/* ---- timers ------------------------------------------------------------------------------ */

static void timer_job(struct core *c, struct job *j, const struct timer *t, usec_t now,
                      struct batch *out)
{
    switch (t->kind) {
    case TIMER_BEGIN:
    case TIMER_AFTER:
        job_gate(c, j, now);
        job_changed(c, j, out, false);
        break;
    case TIMER_LIMIT:
        if (j->state == JOB_RUNNING && j->until && now >= j->until)
            job_end(c, j, JOB_TIMEOUT, REASON_TIME_LIMIT, SIGTERM, THEN_NOTHING, now, out,
                    "AT THE END OF ITS RESERVATION");
        else if (j->state == JOB_RUNNING && j->limit != SPAN_INFINITE &&
            now >= j->start + j->suspended_total + j->limit + c->policy.over_time_limit)
            job_end(c, j, JOB_TIMEOUT, REASON_TIME_LIMIT, SIGTERM, THEN_NOTHING, now, out,
                    "DUE TO TIME LIMIT");
        break;
    case TIMER_PREEMPT:
        preempt_tick(c, j, now, out);
        break;
    case TIMER_WARN:
        job_warn(c, j, now, out);
        break;
    case TIMER_DEADLINE:
        job_deadline(c, j, now, out);
        break;
    case TIMER_CLIENT:
        if (!j->client_lost || now < j->client_lost_at + c->policy.inactive_limit)
            break;
        if (j->state == JOB_PENDING)
            job_cancel_pending(c, j, JOB_CANCELLED, 1, now, out);
        else if (j->alloc && !(j->flags & JOBF_COMPLETING))
            job_end(c, j, JOB_CANCELLED, REASON_INACTIVE_LIMIT, SIGTERM, THEN_NOTHING, now,
                    out, "DUE TO INACTIVITY OF ITS CLIENT");
        break;
    case TIMER_PURGE:
        if (job_state_finished((enum job_state)j->state) && !j->alloc &&
            !(j->array && j->array_id == j->id && j->array->open) && now >= j->end + c->policy.job_keep)
            job_drop(c, j, out);
        break;
    case TIMER_EXPECT:
        order_outran(c, j, now);
        break;
    case TIMER_PLAN: /* its reservation, or the end of its wait for fewer switches */
        if (j->queued)
            plan_again(c, j);
        break;
    default:
        break;
    }
}

static void apply_tick(struct core *c, usec_t now, struct batch *out)
{
    struct timer t;
    while (timer_take(c, now, &t)) {
        if (t.kind == TIMER_PRIORITY) {
            if (t.at == c->tenants->tick_at) /* not one of before a reconfiguration */
                priority_tick(c, now, out);
            continue;
        }
        if (t.kind == TIMER_NODE) {
            struct node *n = &c->node[t.id];
            if (!n->connected && n->lost_at && now >= n->lost_at + c->policy.node_timeout)
                nodes_set_down(c, t.id, DOWN_SILENT, "Not responding", now, out);
            continue;
        }
        if (t.kind == TIMER_RESV) {
            advres_tick(c, t.id, now, out);
            continue;
        }
        struct job *j = job_find(c, t.id);
        if (j)
            timer_job(c, j, &t, now, out);
    }
}

/* ---- all commands ------------------------------------------------------------------------------ */

static int apply_partition(struct core *c, const struct command *cmd, struct batch *out,
                           struct err *err)
{
    long at = parts_find(c, cmd->update.object);
    if (!cmd->actor.admin)
        return err_set(err, SL_EACCESS, "%s", err_name(SL_EACCESS));
    if (at < 0)
        return err_set(err, SL_EINVAL_PARTITION, "invalid partition specified: %s",
                       cmd->update.object);
    int rc = part_override(c, (uint32_t)at, cmd->update.key, cmd->update.value, err);
    if (rc == 0)
        batch_change(out, CHANGE_PARTITION, (uint32_t)at, 0);
    return rc;
}

int core_apply(struct core *c, const struct command *cmd, usec_t now, struct batch *out,
               struct err *err)
{
    struct err own = {0};
    long at;
    err = err ? err : &own;
    c->now = now;
    switch (cmd->kind) {
    case CMD_SUBMIT:
        return job_submit(c, cmd, now, out, err);
    case CMD_CANCEL:
    case CMD_HOLD:
    case CMD_RELEASE:
    case CMD_REQUEUE:
    case CMD_SUSPEND:
    case CMD_RESUME:
    case CMD_TOP:
    case CMD_COMPLETE:
    case CMD_CLIENT_LOST:
    case CMD_CLIENT_BACK:
        return apply_job(c, cmd, now, out, err);
    case CMD_JOB_UPDATE:
        return update_job(c, cmd, now, out, err);
    case CMD_NODE_REGISTER:
        return nodes_enrol(c, cmd->reg, now, out, err);
    case CMD_NODE_LOST:
        at = core_node_find(c, cmd->node.name);
        if (at >= 0)
            nodes_set_lost(c, (uint32_t)at, now, out);
        return 0;
    case CMD_NODE_PING:
        at = core_node_find(c, cmd->node.name);
        if (at >= 0) {
            c->node[at].last_seen = now;
            c->node[at].load1 = cmd->node.load1;
            c->node[at].mem_free_mib = cmd->node.mem_free_mib;
        }
        return 0;
    case CMD_NODE_UPDATE:
        return nodes_change(c, cmd->update.object, cmd->update.key, cmd->update.value,
                            &cmd->actor, now, out, err);
    case CMD_RESV_CREATE:
        return advres_create(c, cmd, now, out, err);
    case CMD_RESV_UPDATE:
        return advres_update(c, cmd, now, out, err);
    case CMD_RESV_DELETE:
        return advres_delete(c, cmd, now, out, err);
    case CMD_PARTITION_UPDATE:
        return apply_partition(c, cmd, out, err);
    case CMD_REPORT:
        report_apply(c, cmd->report.node, cmd->report.report, now, out);
        return 0;
    case CMD_TENANT:
        return tenant_apply(c, cmd, now, out, err);
    case CMD_TICK:
        apply_tick(c, now, out);
        return 0;
    default:
        return err_set(err, SL_EPROTO, "unknown command %d", (int)cmd->kind);
    }
}
