/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/priority.h"

#include "base/buf.h"
#include "sched/fairshare.h"
#include "sched/limits.h"
#include "sched/request.h"
#include "sched/tres.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const priority_factor_names[6] = {"age",       "fair-share", "job size",
                                              "partition", "qos",        "association"};

static uint64_t ratio(uint64_t part, uint64_t all)
{
    if (all == 0)
        return 0;
    return part >= all ? FACTOR_ONE : (uint64_t)(((amount_t)part << 32) / all);
}

static uint64_t weigh(uint64_t factor, uint64_t weight)
{
    return (uint64_t)(((amount_t)factor * weight) >> 32);
}

/* ---- factors ------------------------------------------------------------------------ */

static uint64_t factor_age(const struct core *c, const struct job *j, usec_t now)
{
    if (!j->eligible || now <= j->eligible || c->policy.priority_max_age <= 0)
        return 0;
    return ratio((uint64_t)(now - j->eligible), (uint64_t)c->policy.priority_max_age);
}

/* The mean of its part of the nodes and of the cpus, or, where small jobs are favoured, the
 * rest to one. */
static uint64_t factor_size(const struct core *c, const uint64_t *tres)
{
    const struct tenants *tn = c->tenants;
    uint64_t f = (ratio(tres[TRES_NODE], tn->nodes_total) + ratio(tres[TRES_CPU], tn->cpus_total)) / 2;
    return c->policy.priority_favor_small ? FACTOR_ONE - f : f;
}

static uint64_t factor_partition(const struct core *c, const struct job *j)
{
    char *list = xstrdup(text_of(c, j->parts)), *save = NULL;
    uint32_t best = 0, most = 0;
    for (uint32_t p = 0; p < c->parts; p++)
        if (c->part[p].conf.priority_job_factor > most)
            most = c->part[p].conf.priority_job_factor;
    for (char *p = strtok_r(list, ",", &save); p; p = strtok_r(NULL, ",", &save)) {
        long at = parts_find(c, p);
        if (at >= 0 && c->part[at].conf.priority_job_factor > best)
            best = c->part[at].conf.priority_job_factor;
    }
    free(list);
    return ratio(best, most);
}

static uint32_t assoc_priority(const struct core *c, uint32_t i)
{
    for (; i != NONE; i = c->tenants->assoc[i].parent)
        if (c->tenants->assoc[i].has_priority)
            return c->tenants->assoc[i].priority;
    return 0;
}

static uint32_t first_part(const struct core *c, const struct job *j)
{
    char first[NAME_LEN_MAX + 1];
    const char *parts = text_of(c, j->parts);
    snprintf(first, sizeof first, "%.*s", (int)strcspn(parts, ","), parts);
    long at = parts_find(c, first);
    return at < 0 ? NONE : (uint32_t)at;
}

static void factors_static(struct core *c, const struct job *j, struct job_factors *f)
{
    const struct tenants *tn = c->tenants;
    const struct core_policy *p = &c->policy;
    uint64_t tres[TRES_MAX];
    tres_of_request(c, j, first_part(c, j), tres);
    f->size = factor_size(c, tres);
    f->partition = factor_partition(c, j);
    f->qos = j->qos_id == NONE ? 0 : ratio(tn->qos[j->qos_id].priority, tn->qos_priority_max);
    f->assoc = ratio(assoc_priority(c, j->assoc), tn->assoc_priority_max);
    f->weighted[2] = weigh(f->size, p->weight_job_size);
    f->weighted[3] = weigh(f->partition, p->weight_partition);
    f->weighted[4] = weigh(f->qos, p->weight_qos);
    f->weighted[5] = weigh(f->assoc, p->weight_assoc);
    for (uint32_t t = 0; tn->weight_tres && t < tn->tres_count; t++) {
        if (!tn->weight_tres[t])
            continue;
        f->tres[t] = ratio(tres[t], tn->tres_total[t]);
        f->tres_weighted[t] = weigh(f->tres[t], tn->weight_tres[t] / WEIGHT_ONE);
    }
    f->nice = j->nice;
}

static void factors_moving(const struct core *c, const struct job *j, usec_t now,
                           struct job_factors *f)
{
    f->age = factor_age(c, j, now);
    f->fair_share = j->assoc == NONE ? 0 : c->tenants->assoc[j->assoc].fs;
    f->weighted[0] = weigh(f->age, c->policy.weight_age);
    f->weighted[1] = weigh(f->fair_share, c->policy.weight_fair_share);
}

static uint32_t clamp(int64_t p)
{
    return p < 1 ? 1 : p > UINT32_MAX - 1 ? UINT32_MAX - 1 : (uint32_t)p;
}

bool priority_set(struct core *c, struct job *j, usec_t now)
{
    struct job_factors f = {0};
    if (!c->policy.multifactor || j->prio_fixed || j->state != JOB_PENDING)
        return false;
    if (j->prio_made != c->tenants->generation) {
        factors_static(c, j, &f);
        int64_t sum = -(int64_t)j->nice;
        for (int k = 2; k < 6; k++)
            sum += (int64_t)f.weighted[k];
        for (uint32_t t = 0; t < TRES_MAX; t++)
            sum += (int64_t)f.tres_weighted[t];
        j->prio_static = sum;
        j->prio_made = c->tenants->generation;
    }
    factors_moving(c, j, now, &f);
    uint32_t p = clamp(j->prio_static + (int64_t)(f.weighted[0] + f.weighted[1]));
    bool changed = p != j->priority;
    j->priority = p;
    return changed;
}

void priority_factors(struct core *c, struct job *j, usec_t now, struct job_factors *f)
{
    memset(f, 0, sizeof *f);
    factors_static(c, j, f);
    factors_moving(c, j, now, f);
    f->priority = j->priority;
}

/* ---- the period ------------------------------------------------------------------------- */

void priority_totals(struct core *c)
{
    struct tenants *tn = c->tenants;
    uint64_t total[TRES_MAX] = {0};
    uint32_t qos = 0, assoc = 0;
    for (uint32_t i = 0; i < c->nodes; i++) {
        const struct node *n = &c->node[i];
        if (n->shape == NONE)
            continue;
        total[TRES_NODE]++;
        total[TRES_CPU] += (uint64_t)n->cores * n->threads;
        total[TRES_MEM] += n->mem;
        for (uint32_t p = 0; p < n->pools_count; p++) {
            char text[2 * NAME_LEN_MAX + 16];
            snprintf(text, sizeof text, "gres/%s", text_of(c, n->pool[p].name));
            uint32_t t = tres_find(c, text, false);
            if (t != NONE)
                total[t] += n->pool[p].count;
        }
    }
    total[TRES_BILLING] = total[TRES_CPU];
    for (uint32_t i = 0; i < tn->qoses; i++)
        if (tn->qos[i].live && tn->qos[i].priority > qos)
            qos = tn->qos[i].priority;
    for (uint32_t i = ASSOC_ROOT; i < tn->assocs; i++)
        if (tn->assoc[i].live && tn->assoc[i].has_priority && tn->assoc[i].priority > assoc)
            assoc = tn->assoc[i].priority;
    if (memcmp(total, tn->tres_total, sizeof total) == 0 && qos == tn->qos_priority_max &&
        assoc == tn->assoc_priority_max)
        return;
    memcpy(tn->tres_total, total, sizeof total);
    tn->cpus_total = total[TRES_CPU];
    tn->nodes_total = total[TRES_NODE];
    tn->qos_priority_max = qos;
    tn->assoc_priority_max = assoc;
    tn->generation++;
}

void priority_all(struct core *c, usec_t now)
{
    fairshare_rank(c, now);
    if (!c->policy.multifactor)
        return;
    priority_totals(c);
    for (uint32_t i = 0; i < c->jobs; i++)
        priority_set(c, c->job[i], now);
    if (!c->queue_sorted || !queue_in_order(c))
        queue_unsorted(c);
}

void priority_start(struct core *c, usec_t now)
{
    usec_t period = c->policy.priority_period;
    if (period <= 0 || !(c->policy.multifactor || c->policy.enforce & ENFORCE_LIMITS))
        return;
    priority_all(c, now);
    c->tenants->tick_at = (now / period + 1) * period;
    timer_add(c, c->tenants->tick_at, TIMER_PRIORITY, 0);
}

void priority_tick(struct core *c, usec_t now, struct batch *out)
{
    priority_start(c, now);
    limits_tick(c, now, out);
}
