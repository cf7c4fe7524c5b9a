/* SPDX-License-Identifier: Apache-2.0
 *
 * What tenants count, against a rebuild from the jobs: what is held, at which rate it
 * accrues, what may still be used, how many run and are submitted; and that the tree is one.
 */
#include "sched/tenant.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct rebuilt {
    struct usage *assoc, *qos, *part;
};

static int live_tasks(const struct job *j)
{
    bool live = j->state == JOB_PENDING || j->state == JOB_RUNNING || j->state == JOB_SUSPENDED;
    return !live ? 0 : j->rest_count ? (int)j->rest_count : 1;
}

static int job_sane(const struct core *c, const struct job *j, struct err *err)
{
    const struct tenants *tn = c->tenants;
    bool runs = j->alloc && (j->state == JOB_RUNNING || j->state == JOB_SUSPENDED);
    if ((int)j->counted != live_tasks(j))
        return err_set(err, -EINVAL, "job %u stands for %d submitted jobs, counted are %u", j->id,
                       live_tasks(j), j->counted);
    if (runs != (j->charge != NULL) || (j->charge && j->charge->on != (j->state == JOB_RUNNING)))
        return err_set(err, -EINVAL, "job %u in state %d is %scharged", j->id, j->state,
                       j->charge ? "" : "not ");
    if (j->counted && (j->assoc >= tn->assocs || !tn->assoc[j->assoc].live))
        return err_set(err, -EINVAL, "job %u: association %u is none", j->id, j->assoc);
    if (j->counted && j->qos_id != NONE && (j->qos_id >= tn->qoses || !tn->qos[j->qos_id].live))
        return err_set(err, -EINVAL, "job %u: QOS %u is none", j->id, j->qos_id);
    return 0;
}

static void count(const struct tenants *tn, const struct job *j, struct usage *u)
{
    u->submitted += j->counted;
    if (!j->charge)
        return;
    usage_hold(u, j->charge, tn->tres_count, 1);
    if (j->charge->on)
        usage_rate(u, j->charge, tn->tres_count, 1);
}

static void rebuild(const struct core *c, const struct job *j, struct rebuilt *r)
{
    const struct tenants *tn = c->tenants;
    const uint32_t qos[] = {j->qos_id, j->part_qos};
    for (uint32_t i = j->assoc; i != NONE; i = tn->assoc[i].parent)
        count(tn, j, &r->assoc[i]);
    for (int k = 0; k < 2; k++) {
        if (qos[k] == NONE)
            continue;
        count(tn, j, &r->qos[qos[k]]);
        for (uint32_t p = 0; p < tn->parts; p++)
            if (tn->part[p].qos == qos[k] &&
                tn->part[p].name == (tn->part[p].is_account ? j->bound_account : j->user))
                count(tn, j, &r->part[p]);
    }
}

static int same(const struct core *c, const struct usage *is, const struct usage *want,
                const char *what, uint32_t id, struct err *err)
{
    const struct tenants *tn = c->tenants;
    for (uint32_t t = 0; t < tn->tres_count; t++) {
        const char *name = t == TRES_WALL ? "wall" : tn->tres[t];
        if (is->alloc[t] != want->alloc[t])
            return err_set(err, -EINVAL, "%s %u: jobs hold %llu %s, counted are %llu", what, id,
                           (unsigned long long)want->alloc[t], name,
                           (unsigned long long)is->alloc[t]);
        if (is->rate[t] != want->rate[t] || is->due[t] != want->due[t])
            return err_set(err, -EINVAL, "%s %u: %s accrues at %llu, by its jobs at %llu", what,
                           id, name, (unsigned long long)is->rate[t],
                           (unsigned long long)want->rate[t]);
    }
    if (is->running != want->running || is->submitted != want->submitted)
        return err_set(err, -EINVAL, "%s %u: %u run, %u submitted, counted are %u, %u", what, id,
                       want->running, want->submitted, is->running, is->submitted);
    return 0;
}

static int tree_sane(const struct tenants *tn, struct err *err)
{
    for (uint32_t i = ASSOC_ROOT; i < tn->assocs; i++) {
        uint32_t up = i, depth = 0;
        if (!tn->assoc[i].live)
            continue;
        while (up != ASSOC_ROOT && depth++ < tn->assocs && up < tn->assocs && tn->assoc[up].live)
            up = tn->assoc[up].parent;
        if (up != ASSOC_ROOT)
            return err_set(err, -EINVAL, "association %u does not hang on the root", i);
    }
    return 0;
}

/* What users used is among what their account used: a parent never has less than a child. */
static int usage_sane(const struct tenants *tn, struct err *err)
{
    for (uint32_t i = ASSOC_ROOT; i < tn->assocs; i++) {
        const struct assoc *a = &tn->assoc[i];
        if (!a->live || a->parent == NONE || a->usage.settled != tn->assoc[a->parent].usage.settled)
            continue;
        for (uint32_t t = 0; t < tn->tres_count; t++)
            if (a->usage.used[t] > tn->assoc[a->parent].usage.used[t])
                return err_set(err, -EINVAL, "association %u has used more of resource %u than its parent", i, t);
    }
    return 0;
}

int tenants_check(const struct core *c, struct err *err)
{
    const struct tenants *tn = c->tenants;
    struct rebuilt r = {xcalloc(tn->assocs, sizeof *r.assoc), xcalloc(tn->qoses, sizeof *r.qos),
                        xcalloc(tn->parts, sizeof *r.part)};
    int rc = tree_sane(tn, err);
    for (uint32_t i = 0; rc == 0 && i < c->jobs; i++) {
        rc = job_sane(c, c->job[i], err);
        if (rc == 0 && c->job[i]->counted)
            rebuild(c, c->job[i], &r);
    }
    for (uint32_t i = 0; rc == 0 && i < tn->assocs; i++)
        if (tn->assoc[i].live)
            rc = same(c, &tn->assoc[i].usage, &r.assoc[i], "association", i, err);
    for (uint32_t i = 0; rc == 0 && i < tn->qoses; i++)
        if (tn->qos[i].live)
            rc = same(c, &tn->qos[i].usage, &r.qos[i], "QOS", i, err);
    for (uint32_t i = 0; rc == 0 && i < tn->parts; i++)
        if (tn->part[i].qos != NONE)
            rc = same(c, &tn->part[i].usage, &r.part[i], "part of a QOS", i, err);
    if (rc == 0)
        rc = usage_sane(tn, err);
    free(r.assoc);
    free(r.qos);
    free(r.part);
    return rc;
}
