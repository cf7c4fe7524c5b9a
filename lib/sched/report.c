/* SPDX-License-Identifier: Apache-2.0
 *
 * Reports of nodes. Each may come twice, late, or for a run that is over: what no longer
 * applies changes nothing.
 */
#include "sched/het.h"
#include "sched/model.h"

#include "base/buf.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

static struct alloc_node *alloc_at(struct job *j, uint32_t node)
{
    for (uint32_t i = 0; j->alloc && i < j->alloc->count; i++)
        if (j->alloc->node[i].node == node)
            return &j->alloc->node[i];
    return NULL;
}

static void on_launched(struct core *c, struct job *j, uint32_t node, struct batch *out)
{
    struct alloc_node *k = alloc_at(j, node);
    if (!k || k->launched)
        return;
    k->launched = true;
    if (j->state == JOB_SUSPENDED) /* the launch may have overtaken the suspension */
        suspend_send(c, j, node, true, out);
    if (--j->alloc->unlaunched == 0 && (j->flags & JOBF_CONFIGURING)) {
        j->flags &= (uint16_t)~JOBF_CONFIGURING;
        j->launch_failures = 0;
        job_changed(c, j, out, true);
        return;
    }
    job_changed(c, j, out, false);
}

static void on_launch_failed(struct core *c, struct job *j, uint32_t node,
                             const Sl__JobReport *r, usec_t now, struct batch *out)
{
    if (!alloc_at(j, node) || (j->flags & JOBF_COMPLETING))
        return;
    if (strstr(r->text, "node fault")) {
        c->node[node].drain = true;
        nodes_reason(&c->node[node], r->text, 0, now);
        nodes_changed(c, node, out);
    }
    struct job *leader = het_is(j) ? het_part(c, j, 0) : NULL;
    if (leader && leader->alloc && !(leader->flags & JOBF_COMPLETING))
        j = leader; /* it runs again, or not, as a whole */
    bool batch = j->type == SL__JOB_TYPE__JOB_TYPE_BATCH;
    bool again = batch && j->requeue && ++j->launch_failures <= c->policy.requeue_max;
    job_end(c, j, JOB_FAILED, REASON_JOB_LAUNCH_FAILURE, 1 << 8,
            again   ? THEN_REQUEUE
            : batch ? THEN_REQUEUE_HOLD
                    : THEN_NOTHING,
            now, out, r->text);
    if (!again && batch)
        j->hold |= HOLD_LAUNCH;
}

static enum job_state end_state(const Sl__JobReport *r, enum job_reason *reason)
{
    if (r->oom) {
        *reason = REASON_OUT_OF_MEMORY;
        return JOB_OOM;
    }
    if (r->state && r->state < JOB_STATE_COUNT &&
        job_state_finished((enum job_state)r->state)) {
        *reason = strcmp(r->text, job_reason_name(REASON_SUPERVISOR_DIED)) == 0
                      ? REASON_SUPERVISOR_DIED
                  : r->state == JOB_COMPLETED ? REASON_NONE
                  : WIFSIGNALED(r->exit_status) ? REASON_RAISED_SIGNAL
                                                : REASON_NONZERO_EXIT;
        return (enum job_state)r->state;
    }
    if (r->exit_status == 0) {
        *reason = REASON_NONE;
        return JOB_COMPLETED;
    }
    *reason = WIFSIGNALED(r->exit_status) ? REASON_RAISED_SIGNAL : REASON_NONZERO_EXIT;
    return JOB_FAILED;
}

static void on_job_done(struct core *c, struct job *j, uint32_t node,
                        const Sl__JobReport *r, usec_t now, struct batch *out)
{
    struct alloc_node *k = alloc_at(j, node);
    enum job_reason reason;
    if (!k)
        return;
    if (r->node_clean && !k->clean) {
        k->clean = true;
        k->launched = true;
        alloc_give_node(c, j, k);
        j->alloc->unclean--;
        nodes_given(c, node, out);
    }
    if (!(j->flags & JOBF_COMPLETING)) {
        enum job_state state = end_state(r, &reason);
        job_end(c, j, state, reason, r->exit_status, THEN_NOTHING, now, out, "");
    } else if (j->alloc->unclean == 0) {
        job_node_clean(c, j, NONE, now, out);
    }
}

/* Who cancelled it, as in its record; 0: nobody. */
static uint32_t step_drop(struct job *j, uint32_t step_id)
{
    for (uint32_t i = 0; i < j->steps_count; i++) {
        if (j->steps[i]->step_id != step_id)
            continue;
        uint32_t killer = j->steps[i]->kill_uid;
        sl__step_record__free_unpacked(j->steps[i], NULL);
        j->steps[i] = j->steps[--j->steps_count];
        return killer;
    }
    return 0;
}

static Sl__StepRecord *step_copy(const Sl__StepRecord *s)
{
    size_t n = sl__step_record__get_packed_size(s);
    uint8_t *p = xmalloc(n);
    sl__step_record__pack(s, p);
    Sl__StepRecord *copy = sl__step_record__unpack(NULL, n, p);
    free(p);
    ASSERT(copy);
    return copy;
}

/* The step's other supervisors see a link break; those to whom it was not up yet would wait
 * for it in vain. */
static void part_lost(struct core *c, struct job *j, uint32_t node, uint32_t step_id,
                      struct batch *out)
{
    for (uint32_t i = 0; j->alloc && i < j->alloc->count; i++) {
        if (j->alloc->node[i].node == node)
            continue;
        terminate(c, j, j->alloc->node[i].node, 0, out, c->node[node].name);
        struct effect *e = &out->effects[out->effects_count - 1];
        e->term.part_lost = true;
        e->term.has_step = true;
        e->term.step_id = step_id;
    }
}

static void on_step(struct core *c, struct job *j, uint32_t node, const Sl__JobReport *r,
                    struct batch *out)
{
    if (r->kind == SL__REPORT_KIND__REPORT_STEP_START && r->step &&
        j->alloc && !(j->flags & JOBF_COMPLETING)) {
        uint32_t killer = step_drop(j, r->step_id);
        GROW(j->steps, j->steps_cap, j->steps_count + 1);
        j->steps[j->steps_count] = step_copy(r->step);
        j->steps[j->steps_count++]->kill_uid = killer;
    } else if (r->kind == SL__REPORT_KIND__REPORT_STEP_END) {
        step_drop(j, r->step_id);
        if (strcmp(r->text, job_reason_name(REASON_SUPERVISOR_DIED)) == 0)
            part_lost(c, j, node, r->step_id, out);
        uint32_t code = WIFEXITED(r->exit_status) ? WEXITSTATUS(r->exit_status) : 0;
        if (r->step_id < STEP_MAX && code > WEXITSTATUS(j->derived_exit))
            j->derived_exit = r->exit_status;
    }
    batch_change(out, CHANGE_STEP, r->job_id, r->step_id);
    job_changed(c, j, out, false); /* its record has the running steps and the worst exit */
}

void report_apply(struct core *c, const char *name, const Sl__JobReport *r, usec_t now,
                  struct batch *out)
{
    long node = core_node_find(c, name);
    struct job *j = job_find(c, r->job_id);
    if (node < 0 || !j || j->restart != r->restart)
        return;
    switch (r->kind) {
    case SL__REPORT_KIND__REPORT_LAUNCHED:
        on_launched(c, j, (uint32_t)node, out);
        break;
    case SL__REPORT_KIND__REPORT_LAUNCH_FAILED:
        on_launch_failed(c, j, (uint32_t)node, r, now, out);
        break;
    case SL__REPORT_KIND__REPORT_JOB_DONE:
        on_job_done(c, j, (uint32_t)node, r, now, out);
        break;
    case SL__REPORT_KIND__REPORT_NODE_CLEAN:
        if (j->flags & JOBF_COMPLETING)
            job_node_clean(c, j, (uint32_t)node, now, out);
        break;
    case SL__REPORT_KIND__REPORT_STEP_START:
    case SL__REPORT_KIND__REPORT_STEP_END:
        on_step(c, j, (uint32_t)node, r, out);
        break;
    default:
        break;
    }
}
