/* SPDX-License-Identifier: Apache-2.0 */
#include "stats.h"

#include "loop.h"
#include "session.h"
#include "users.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#define TYPES_MAX 128u /* beyond the numbers of msg.def */
#define USERS_MAX 4096u

struct figures {
    uint64_t count;
    usec_t usec;
};

struct asker {
    uid_t uid;
    struct figures f;
    UT_hash_handle hh; /* by uid */
};

struct stats {
    usec_t since; /* 0: the start */
    uint64_t submitted, started, completed, cancelled, failed;
    struct figures types[TYPES_MAX];
    struct asker *askers;
    struct loop_stats base; /* the loop's at the reset */
};

struct stats *stats_create(void)
{
    return xcalloc(1, sizeof(struct stats));
}

static void askers_free(struct stats *st)
{
    struct asker *a, *next;
    HASH_ITER(hh, st->askers, a, next)
    {
        HASH_DEL(st->askers, a);
        free(a);
    }
}

void stats_destroy(struct stats *st)
{
    if (!st)
        return;
    askers_free(st);
    free(st);
}

void stats_reset(struct ctld *d)
{
    struct stats *st = d->stats;
    askers_free(st);
    *st = (struct stats){.since = ctld_now(d), .base = *loop_stats(d)};
}

/* A job that has ended is told of once more when its nodes are clean: then it counts. */
static void job_told(struct ctld *d, uint32_t job_id)
{
    struct job_view v;
    struct stats *st = d->stats;

    if (!core_job_view(d->core, job_id, false, &v) || !job_state_finished(v.state) ||
        (v.flags & JOBF_COMPLETING))
        return;
    if (v.state == JOB_COMPLETED)
        st->completed++;
    else if (v.state == JOB_CANCELLED)
        st->cancelled++;
    else
        st->failed++;
}

void stats_batch(struct ctld *d, const struct batch *b, enum command_kind cause)
{
    if (cause == CMD_SUBMIT)
        d->stats->submitted++;
    uint32_t told = 0; /* its end and its nodes' cleanness may come at once, one behind the other */
    for (size_t i = 0; i < b->effects_count; i++) {
        const struct effect *e = &b->effects[i];
        if (e->kind == EFFECT_LAUNCH)
            d->stats->started++;
        if (e->kind != EFFECT_NOTIFY || e->job_id == told)
            continue;
        told = e->job_id;
        job_told(d, told);
    }
}

static struct figures *asker_figures(struct stats *st, uid_t uid)
{
    struct asker *a;
    HASH_FIND(hh, st->askers, &uid, sizeof(uid), a);
    if (!a && HASH_COUNT(st->askers) < USERS_MAX) {
        a = xcalloc(1, sizeof(*a));
        a->uid = uid;
        HASH_ADD(hh, st->askers, uid, sizeof(a->uid), a);
    }
    return a ? &a->f : NULL;
}

void stats_request(struct ctld *d, enum wire_type type, uid_t uid, usec_t took)
{
    struct figures *of[] = {(unsigned)type < TYPES_MAX ? &d->stats->types[type] : NULL,
                            asker_figures(d->stats, uid)};
    for (size_t i = 0; i < 2; i++)
        if (of[i]) {
            of[i]->count++;
            of[i]->usec += took;
        }
}

/* ---- telling ------------------------------------------------------------------------------ */

struct teller {
    void (*put)(const char *key, const char *value, void *arg);
    void *arg;
};

static void tell(const struct teller *t, const char *key, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof(text), "%" PRIu64, value);
    t->put(key, text, t->arg);
}

static uint64_t mean(usec_t sum, uint64_t count)
{
    return count ? (uint64_t)sum / count : 0;
}

static void tell_figures(const struct teller *t, const char *key, const struct figures *f)
{
    char text[48];
    snprintf(text, sizeof(text), "%" PRIu64 " %" PRId64, f->count, f->usec);
    t->put(key, text, t->arg);
}

static void tell_requests(struct ctld *d, const struct teller *t)
{
    const struct stats *st = d->stats;
    struct asker *a, *next;
    char key[96];

    for (unsigned i = 0; i < TYPES_MAX; i++) {
        const struct wire_type_info *info = wire_type_info(i);
        if (!info || !st->types[i].count)
            continue;
        snprintf(key, sizeof(key), "request.%s", info->name);
        tell_figures(t, key, &st->types[i]);
    }
    HASH_ITER(hh, st->askers, a, next)
    {
        snprintf(key, sizeof(key), "user.%u.%s", (unsigned)a->uid,
                 users_get(d->users, a->uid, ctld_now(d))->name);
        tell_figures(t, key, &a->f);
    }
}

void stats_each(struct ctld *d, void (*put)(const char *key, const char *value, void *arg), void *arg)
{
    const struct teller t = {put, arg};
    const struct stats *s = d->stats;
    const struct loop_stats *l = loop_stats(d);
    uint64_t plans = l->plans - s->base.plans, commits = l->commits - s->base.commits;

    tell(&t, "now", (uint64_t)(ctld_now(d) / USEC_PER_SEC));
    tell(&t, "started", (uint64_t)(d->started / USEC_PER_SEC));
    tell(&t, "since", (uint64_t)((s->since ? s->since : d->started) / USEC_PER_SEC));
    tell(&t, "epoch", d->epoch);
    tell(&t, "clients", sessions_count(d));
    tell(&t, "jobs", core_job_count(d->core, false));
    tell(&t, "jobs_pending", core_job_count(d->core, true));
    tell(&t, "nodes", core_node_count(d->core));
    tell(&t, "jobs_submitted", s->submitted);
    tell(&t, "jobs_started", s->started);
    tell(&t, "jobs_completed", s->completed);
    tell(&t, "jobs_cancelled", s->cancelled);
    tell(&t, "jobs_failed", s->failed);
    tell(&t, "commands", l->commands - s->base.commands);
    tell(&t, "commands_refused", l->refused - s->base.refused);
    tell(&t, "plans", plans);
    tell(&t, "plan_usec_last", (uint64_t)l->plan_usec_last);
    tell(&t, "plan_usec_max", (uint64_t)l->plan_usec_max);
    tell(&t, "plan_usec_mean", mean(l->plan_usec_sum - s->base.plan_usec_sum, plans));
    tell(&t, "commits", commits);
    tell(&t, "commit_failures", l->commit_failures - s->base.commit_failures);
    tell(&t, "commit_usec_max", (uint64_t)l->commit_usec_max);
    tell(&t, "commit_usec_mean", mean(l->commit_usec_sum - s->base.commit_usec_sum, commits));
    tell_requests(d, &t);
}
