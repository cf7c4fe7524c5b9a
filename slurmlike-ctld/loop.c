/* SPDX-License-Identifier: Apache-2.0 */
#include "loop.h"

#include "blobs.h"
#include "commit.h"
#include "launch.h"
#include "nodes.h"
#include "persist.h"
#include "session.h"
#include "stats.h"
#include "watch.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct held_effect {
    uint64_t generation;
    struct effect effect;
};

struct held_submit {
    uint64_t generation, session_id;
    uint32_t tag, job_id;
};

struct loop {
    struct ctld *d;
    struct batch batch;        /* of the last command or pass */
    struct event *turn, *wake, *retry;
    bool turn_wanted;
    uint64_t gathering, durable;
    bool dirty;                /* the generation being gathered holds something */
    bool in_flight;            /* gathering - 1 is with the commit thread or waits for retry */
    struct store_txn *flight;
    usec_t flight_start;       /* monotonic */
    bool failing;
    struct err why;
    usec_t retry_pause;
    bool plan_more;            /* the last slice of the pass stopped for its budget */
    usec_t plan_next;          /* a pass happens then even when nothing changed */
    struct held_effect *effects;
    size_t effects_count, effects_cap;
    struct held_submit *submits;
    size_t submits_count, submits_cap;
    struct loop_stats stats;
};

static void *grown(void *list, size_t count, size_t *cap, size_t size)
{
    if (count < *cap)
        return list;
    *cap = *cap ? 2 * *cap : 64;
    return xrealloc(list, *cap * size);
}

static void timer_arm(struct event *ev, usec_t span)
{
    struct timeval tv = {.tv_sec = span / USEC_PER_SEC, .tv_usec = span % USEC_PER_SEC};
    event_add(ev, &tv);
}

void loop_kick(struct ctld *d)
{
    struct loop *l = d->loop;
    if (l->turn_wanted)
        return;
    l->turn_wanted = true;
    /* A timer of zero runs behind every socket that is readable by then. */
    timer_arm(l->turn, 0);
}

uint64_t loop_generation(const struct ctld *d)
{
    const struct loop *l = d->loop;
    return l->dirty ? l->gathering : l->gathering - 1;
}

uint64_t loop_generation_read(const struct ctld *d)
{
    return d->loop->failing ? d->loop->durable : loop_generation(d);
}

bool loop_is_durable(const struct ctld *d, uint64_t generation)
{
    return generation <= d->loop->durable;
}

bool loop_failing(const struct ctld *d, struct err *why)
{
    const struct loop *l = d->loop;
    if (l->failing && why)
        err_set(why, SL_ESTORE, "%s: %s; requests are refused until it can be written again",
                err_name(SL_ESTORE), l->why.text);
    return l->failing;
}

bool loop_is_clean(const struct ctld *d)
{
    return !d->loop->dirty && !d->loop->in_flight;
}

const struct batch *loop_result(const struct ctld *d)
{
    return &d->loop->batch;
}

const struct loop_stats *loop_stats(const struct ctld *d)
{
    return &d->loop->stats;
}

void loop_note_write(struct ctld *d)
{
    d->loop->dirty = true;
    loop_kick(d);
}

void loop_note_submit(struct ctld *d, uint64_t session_id, uint32_t tag, uint32_t job_id)
{
    struct loop *l = d->loop;
    l->submits = grown(l->submits, l->submits_count, &l->submits_cap, sizeof(*l->submits));
    l->submits[l->submits_count++] =
        (struct held_submit){loop_generation(d), session_id, tag, job_id};
}

/* ---- what a command or a planning pass brought ------------------------------------ */

static void loop_hold(struct loop *l, const struct effect *e)
{
    l->effects = grown(l->effects, l->effects_count, &l->effects_cap, sizeof(*l->effects));
    l->effects[l->effects_count++] = (struct held_effect){l->gathering, *e};
}

static void loop_absorb(struct loop *l, enum command_kind cause)
{
    struct ctld *d = l->d;
    struct batch *b = &l->batch;

    if (!b->changes_count && !b->effects_count)
        return;
    l->dirty = true;
    stats_batch(d, b, cause);
    for (size_t i = 0; i < b->changes_count; i++)
        persist_note(d, &b->changes[i], cause);
    for (size_t i = 0; i < b->effects_count; i++) {
        const struct effect *e = &b->effects[i];
        if (e->kind == EFFECT_NOTIFY)
            watch_notify(d, e->job_id);
        else
            loop_hold(l, e);
    }
    loop_kick(d);
}

int loop_apply(struct ctld *d, const struct command *cmd, struct err *err)
{
    struct loop *l = d->loop;

    batch_clear(&l->batch);
    l->stats.commands++;
    int rc = core_apply(d->core, cmd, ctld_now(d), &l->batch, err);
    if (rc < 0) {
        l->stats.refused++;
        return rc;
    }
    loop_absorb(l, cmd->kind);
    /* a command may let something start without changing a record */
    loop_kick(d);
    return 0;
}

/* ---- durable: let it out ------------------------------------------------------------ */

static void effect_carry_out(struct ctld *d, const struct effect *e)
{
    switch (e->kind) {
    case EFFECT_LAUNCH:
        launch_job(d, e->job_id, e->restart);
        break;
    case EFFECT_LAUNCH_NODE:
        launch_node(d, e->job_id, e->restart, e->node);
        break;
    case EFFECT_TERMINATE:
        nodes_terminate(d, e);
        break;
    case EFFECT_NODE_SHUT:
        nodes_shut(d, e->node, e->text);
        break;
    case EFFECT_GONE:
        watch_gone(d, e->job_id);
        blobs_forget(d->blobs, e->job_id);
        break;
    case EFFECT_NONE:
    case EFFECT_NOTIFY:
        break;
    }
}

static void loop_release(struct loop *l)
{
    size_t n = 0, submits = 0;

    while (submits < l->submits_count && l->submits[submits].generation <= l->durable)
        submits++;
    l->submits_count -= submits;
    if (submits)
        memmove(l->submits, l->submits + submits, l->submits_count * sizeof(*l->submits));
    sessions_release(l->d);
    while (n < l->effects_count && l->effects[n].generation <= l->durable) {
        /* by value: carrying one out may hold another */
        struct effect e = l->effects[n++].effect;
        effect_carry_out(l->d, &e);
    }
    l->effects_count -= n;
    if (n)
        memmove(l->effects, l->effects + n, l->effects_count * sizeof(*l->effects));
}

static void loop_committed(struct loop *l)
{
    store_txn_destroy(l->flight);
    l->flight = NULL;
    l->in_flight = false;
    l->durable = l->gathering - 1;
    loop_release(l);
    loop_kick(l->d);
}

/* Who waited for a submission is told that it was refused, and the job, which
 * nobody knows, ends before it could start. */
static void loop_refuse_submits(struct loop *l)
{
    struct err why;
    size_t count = l->submits_count;
    struct held_submit *list = l->submits;

    l->submits = NULL;
    l->submits_count = l->submits_cap = 0;
    loop_failing(l->d, &why);
    for (size_t i = 0; i < count; i++) {
        struct command cmd = {.kind = CMD_CANCEL,
                              .actor = {.uid = l->d->self_uid, .admin = true, .user = ""}};
        cmd.job.job_id = list[i].job_id;
        cmd.job.reason = "the store could not be written";
        watch_gone(l->d, list[i].job_id);
        session_refuse_held(l->d, list[i].session_id, list[i].tag, &why);
        blobs_forget(l->d->blobs, list[i].job_id);
        (void)loop_apply(l->d, &cmd, NULL);
    }
    free(list);
}

static void loop_commit_done(struct ctld *d, int rc, const struct err *err)
{
    struct loop *l = d->loop;
    usec_t took = clock_mono_usec() - l->flight_start;

    if (rc == 0) {
        l->stats.commits++;
        l->stats.commit_usec_sum += took;
        if (took > l->stats.commit_usec_max)
            l->stats.commit_usec_max = took;
        if (l->failing)
            log_info("store", "the store can be written again");
        l->failing = false;
        loop_committed(l);
        return;
    }
    l->stats.commit_failures++;
    if (!l->failing) {
        log_error("store", "%s; submissions are refused until it can be written", err->text);
        l->failing = true;
        l->retry_pause = COMMIT_RETRY_USEC_MIN;
    } else if (l->retry_pause < COMMIT_RETRY_USEC_MAX) {
        l->retry_pause *= 2;
    }
    l->why = *err;
    timer_arm(l->retry, l->retry_pause);
    loop_refuse_submits(l);
    sessions_release(d); /* answers to queries need not wait any more */
}

static void loop_retry(evutil_socket_t fd, short what, void *arg)
{
    struct loop *l = arg;
    (void)fd;
    (void)what;
    commit_start(l->d, l->flight, loop_commit_done);
}

/* ---- the turn ------------------------------------------------------------------------- */

static void loop_seal(struct loop *l)
{
    struct ctld *d = l->d;

    if (!l->dirty || l->in_flight)
        return;
    l->flight = persist_seal(d);
    l->dirty = false;
    l->gathering++;
    if (store_txn_empty(l->flight)) {
        loop_committed(l);
        return;
    }
    l->in_flight = true;
    l->flight_start = clock_mono_usec();
    commit_start(d, l->flight, loop_commit_done);
}

int loop_commit_now(struct ctld *d, struct err *err)
{
    struct loop *l = d->loop;
    struct store_txn *txn = persist_seal(d);
    int rc = store_commit(d->store, txn, err);

    store_txn_destroy(txn);
    l->dirty = false;
    l->durable = l->gathering++;
    return rc;
}

static void loop_plan(struct loop *l, usec_t now)
{
    struct ctld *d = l->d;
    bool due = core_plan_wanted(d->core) || now >= l->plan_next;

    /* While a commit is under way starts could not be carried out anyway: one
     * pass for all that arrives meanwhile costs less. */
    if (l->failing || d->stopping || !(l->plan_more || (due && !l->in_flight)))
        return;
    usec_t start = clock_mono_usec();
    batch_clear(&l->batch);
    l->plan_more = core_plan(d->core, now, d->conf->sched_work_budget, &l->batch) == 1;
    loop_absorb(l, CMD_NONE);
    if (!l->plan_more)
        l->plan_next = now + d->conf->sched_interval;
    usec_t took = clock_mono_usec() - start;
    l->stats.plans++;
    l->stats.plan_usec_sum += took;
    l->stats.plan_usec_last = took;
    if (took > l->stats.plan_usec_max)
        l->stats.plan_usec_max = took;
}

static void loop_arm(struct loop *l)
{
    usec_t now = ctld_now(l->d);
    usec_t at = core_next_wakeup(l->d->core);

    if (l->plan_next < at)
        at = l->plan_next;
    timer_arm(l->wake, at <= now ? 1000 : at - now);
    if (l->plan_more && !l->failing)
        loop_kick(l->d);
}

static void loop_turn(evutil_socket_t fd, short what, void *arg)
{
    struct loop *l = arg;
    struct ctld *d = l->d;
    usec_t now = ctld_now(d);
    (void)fd;
    (void)what;

    l->turn_wanted = false;
    if (core_next_wakeup(d->core) <= now) {
        struct command tick = {.kind = CMD_TICK, .actor = {.admin = true, .user = ""}};
        struct err err;
        if (loop_apply(d, &tick, &err) < 0)
            log_error("core", "timers: %s", err.text);
    }
    loop_plan(l, now);
    watch_flush(d);
    loop_seal(l);
    loop_arm(l);
}

struct loop *loop_create(struct ctld *d)
{
    struct loop *l = xcalloc(1, sizeof(*l));
    l->d = d;
    batch_init(&l->batch);
    l->gathering = 1;
    l->turn = evtimer_new(d->base, loop_turn, l);
    l->wake = evtimer_new(d->base, loop_turn, l);
    l->retry = evtimer_new(d->base, loop_retry, l);
    ASSERT(l->turn && l->wake && l->retry);
    return l;
}

void loop_destroy(struct loop *l)
{
    if (!l)
        return;
    event_free(l->turn);
    event_free(l->wake);
    event_free(l->retry);
    store_txn_destroy(l->flight);
    batch_fini(&l->batch);
    free(l->effects);
    free(l->submits);
    free(l);
}
