/* SPDX-License-Identifier: Apache-2.0 */
#include "sched_setting.h"

#include "base/buf.h"
#include "conf/conf.h"
#include "setup/setup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void tiers(struct core_policy *p)
{
    p->preempt = PREEMPT_TIER;
    p->preempt_mode = PREEMPT_REQUEUE;
    p->preempt_exempt = 5 * USEC_PER_SEC;
}

static void fcfs(struct core_policy *p, enum backfill backfill)
{
    p->plan_order = PLAN_FCFS;
    p->backfill = backfill;
    p->backfill_candidates = CANDIDATES_QUEUE;
    p->predict = false;
}

static void conservative(struct core_policy *p)
{
    fcfs(p, BACKFILL_CONSERVATIVE);
    p->plan_order = PLAN_BY_PRIORITY;
    p->backfill_depth = 2;
    tiers(p);
}

static void deep(struct core_policy *p)
{
    fcfs(p, BACKFILL_CONSERVATIVE);
    p->backfill_depth = UINT32_MAX;
    p->priority_half_life = 0;
    p->enforce |= ENFORCE_SAFE;
}

static void easy(struct core_policy *p)
{
    fcfs(p, BACKFILL_EASY);
    p->priority_half_life = 0;
}

static void shortest(struct core_policy *p)
{
    fcfs(p, BACKFILL_EASY);
    p->backfill_candidates = CANDIDATES_SHORTEST;
    tiers(p);
}

static void in_turn(struct core_policy *p)
{
    fcfs(p, BACKFILL_NONE);
    p->priority_half_life = 0;
}

/* Its spans are days; here a job lives for minutes. */
static void due(struct core_policy *p)
{
    fcfs(p, BACKFILL_CONSERVATIVE);
    p->plan_order = PLAN_DUE;
    p->predict = true;
    p->backfill_candidates = CANDIDATES_SHORTEST;
    p->backfill_depth = 2;
    p->due_factor = 3;
    p->due_max = 900 * USEC_PER_SEC;
    p->wait_first = 300 * USEC_PER_SEC;
    p->wait_strict = 600 * USEC_PER_SEC;
}

static void weighed(struct core_policy *p)
{
    fcfs(p, BACKFILL_CONSERVATIVE);
    p->plan_order = PLAN_BY_PRIORITY;
    p->backfill_depth = 4;
    p->multifactor = true;
    snprintf(p->priority_type, sizeof p->priority_type, "multifactor");
    p->weight_age = 1000;
    p->weight_fair_share = 5000;
    p->weight_job_size = 500;
    p->weight_partition = 100;
    p->weight_qos = 2000;
    p->weight_assoc = 100;
    p->preempt = PREEMPT_QOS;
    p->preempt_mode = PREEMPT_CANCEL;
}

static void predicted(struct core_policy *p)
{
    conservative(p);
    p->preempt = PREEMPT_NONE;
    p->predict = true;
}

static const struct setting settings[] = {
    {"shipped", NULL, false},      {"conservative", conservative, true},
    {"deep", deep, false},         {"easy", easy, true},
    {"easy-sjbf", shortest, true}, {"in-turn", in_turn, false},
    {"due", due, false},           {"multifactor", weighed, true},
    {"predict", predicted, false},
};
#define SETTINGS (sizeof settings / sizeof *settings)

const struct setting *setting_of(uint64_t seed)
{
    const char *name = getenv("SLURMLIKE_SETTING");
    for (size_t i = 0; name && i < SETTINGS; i++)
        if (strcmp(settings[i].name, name) == 0)
            return &settings[i];
    return &settings[seed % SETTINGS];
}

/* What the world needs to be small and quick, whatever is shipped. */
static void small(struct core_policy *p)
{
    p->kill_wait = 30 * USEC_PER_SEC;
    p->node_timeout = 60 * USEC_PER_SEC;
    p->inactive_limit = 120 * USEC_PER_SEC;
    p->job_keep = 30 * 86400 * USEC_PER_SEC;
    p->job_id_first = 1;
    p->job_id_max = 1000000000;
    p->jobs_max = p->array_size_max = 1000;
    p->requeue_max = 3;
    p->requeue_default = true;
    p->return_to_service = 2;
    p->enforce = ENFORCE_LIMITS;
    p->priority_half_life = 86400 * USEC_PER_SEC;
    p->licenses = "tool:3,other:2";
}

void setting_policy(const struct setting *s, struct core_policy *p)
{
    struct err err = {0};
    struct conf *conf = conf_defaults();
    if (!conf || setup_policy(conf, p, &err) < 0) {
        fprintf(stderr, "defaults: %s\n", err.text);
        exit(1);
    }
    conf_destroy(conf);
    small(p);
    if (s->change)
        s->change(p);
}
