/* SPDX-License-Identifier: Apache-2.0 */
#include "watch.h"

#include "launch.h"
#include "loop.h"

#include <stdlib.h>
#include <utlist.h>

struct watch {
    struct session *s;
    uint32_t tag, job_id;
    bool owner, fresh; /* fresh: no event was sent yet */
    struct watched *job;
    struct watch *job_prev, *job_next, *session_prev, *session_next;
};

struct watched { /* a job with its watchers */
    uint32_t job_id;
    struct watch *list;
    UT_hash_handle hh; /* by job_id */
};

struct watches {
    struct ctld *d;
    struct watched *jobs;
    uint32_t *fresh; /* jobs that got a new watch in this turn */
    size_t fresh_count, fresh_cap;
    struct event *expect;
};

static struct watched *watched_find(struct ctld *d, uint32_t job_id)
{
    struct watched *j;
    HASH_FIND(hh, d->watches->jobs, &job_id, sizeof(job_id), j);
    return j;
}

static void watch_free(struct watch *w)
{
    struct watches *all = w->s->d->watches;
    struct watched *j = w->job;

    DL_DELETE2(w->s->watches, w, session_prev, session_next);
    DL_DELETE2(j->list, w, job_prev, job_next);
    if (!j->list) {
        HASH_DEL(all->jobs, j);
        free(j);
    }
    free(w);
}

/* ---- events -------------------------------------------------------------------------------- */

/* While it completes it may still be put back into the queue. */
static bool view_ended(const struct job_view *v)
{
    return job_state_finished(v->state) && !(v->flags & JOBF_COMPLETING);
}

static void event_fill(struct ctld *d, const struct job_view *v, struct arena *a,
                       Sl__JobEvent *m)
{
    m->job_id = v->job_id;
    m->restart = v->restart;
    m->state = v->state;
    m->state_flags = v->flags;
    m->reason = (char *)(v->reason_text && v->reason_text[0] ? v->reason_text
                                                             : job_reason_name(v->reason));
    m->exit_status = v->exit_status;
    m->alloc = core_job_alloc(d->core, v->job_id, a);
    if (v->het_size && v->het_offset == 0 && m->alloc) /* what v points to is over then */
        job_info_het(d, v->het_id, v->het_size, a, &m->het, &m->n_het);
}

/* To every watcher of the job, or to the fresh ones only. */
static void events_send(struct ctld *d, uint32_t job_id, bool fresh_only)
{
    struct watched *j = watched_find(d, job_id);
    struct watch *w, *next;
    struct job_view v;
    struct arena a;

    if (!j || !core_job_view(d->core, job_id, false, &v))
        return;
    Sl__JobEvent m = SL__JOB_EVENT__INIT;
    bool ended = view_ended(&v);
    arena_init(&a);
    event_fill(d, &v, &a, &m);
    DL_FOREACH_SAFE2(j->list, w, next, job_next) {
        if (fresh_only && !w->fresh)
            continue;
        w->fresh = false;
        session_send(w->s, WIRE_JOB_EVENT, w->tag, &m.base, loop_generation(d));
        if (ended)
            watch_free(w); /* the last one takes j along, and ends the loop */
    }
    arena_fini(&a);
}

void watch_notify(struct ctld *d, uint32_t job_id)
{
    events_send(d, job_id, false);
}

void watch_flush(struct ctld *d)
{
    struct watches *all = d->watches;
    for (size_t i = 0; i < all->fresh_count; i++)
        events_send(d, all->fresh[i], true);
    all->fresh_count = 0;
}

/* ---- watchers -------------------------------------------------------------------------------- */

void watch_add(struct session *s, uint32_t tag, uint32_t job_id, bool owner)
{
    struct watches *all = s->d->watches;
    struct watched *j = watched_find(s->d, job_id);
    struct watch *w = xcalloc(1, sizeof(*w));

    if (!j) {
        j = xcalloc(1, sizeof(*j));
        j->job_id = job_id;
        HASH_ADD(hh, all->jobs, job_id, sizeof(j->job_id), j);
    }
    *w = (struct watch){
        .s = s, .tag = tag, .job_id = job_id, .owner = owner, .fresh = true, .job = j};
    DL_APPEND2(j->list, w, job_prev, job_next);
    DL_APPEND2(s->watches, w, session_prev, session_next);
    if (all->fresh_count == all->fresh_cap) {
        all->fresh_cap = all->fresh_cap ? 2 * all->fresh_cap : 16;
        all->fresh = xrealloc(all->fresh, all->fresh_cap * sizeof(*all->fresh));
    }
    all->fresh[all->fresh_count++] = job_id;
    loop_kick(s->d);
}

static int client_command(struct ctld *d, enum command_kind kind, uint32_t job_id, bool gone,
                          struct err *err)
{
    struct command cmd = {.kind = kind,
                          .actor = {.uid = d->self_uid, .admin = true, .user = ""}};
    cmd.job.job_id = job_id;
    cmd.job.gone = gone;
    cmd.job.reason = "";
    return loop_apply(d, &cmd, err);
}

static bool is_interactive(uint32_t type)
{
    return type == SL__JOB_TYPE__JOB_TYPE_RUN || type == SL__JOB_TYPE__JOB_TYPE_ALLOC;
}

void watch_handle(struct ctld *d, struct session *s, struct wire_msg *m)
{
    const Sl__WatchRequest *r = (const Sl__WatchRequest *)m->body;
    struct job_view v;
    struct err err;

    if (!core_job_view(d->core, r->job_id, false, &v)) {
        err_set(&err, SL_EINVAL_JOB_ID, "%s: %u", err_name(SL_EINVAL_JOB_ID), r->job_id);
        session_error(s, m->tag, &err);
        return;
    }
    if (!s->admin && v.uid != s->uid) {
        err_set(&err, SL_EACCESS, "%s: job %u belongs to another user", err_name(SL_EACCESS),
                r->job_id);
        session_error(s, m->tag, &err);
        return;
    }
    bool owner = r->reattach && is_interactive(v.type);
    if (owner && v.client_lost && client_command(d, CMD_CLIENT_BACK, r->job_id, false, &err) < 0) {
        session_error(s, m->tag, &err);
        return;
    }
    watch_add(s, m->tag, r->job_id, owner);
}

static bool has_owner(struct ctld *d, uint32_t job_id)
{
    struct watched *j = watched_find(d, job_id);
    struct watch *w;

    if (j)
        DL_FOREACH2(j->list, w, job_next)
            if (w->owner)
                return true;
    return false;
}

static void owner_lost(struct ctld *d, uint32_t job_id, bool gone)
{
    struct job_view v;
    struct err err;

    if (d->stopping || has_owner(d, job_id) || !core_job_view(d->core, job_id, false, &v) ||
        job_state_finished(v.state))
        return;
    log_verbose("job", "job=%u its client is gone", job_id);
    if (client_command(d, CMD_CLIENT_LOST, job_id, gone, &err) < 0)
        log_error("job", "job=%u client lost: %s", job_id, err.text);
}

void watch_gone(struct ctld *d, uint32_t job_id)
{
    struct watched *j = watched_find(d, job_id);
    struct watch *w, *next;

    if (j)
        DL_FOREACH_SAFE2(j->list, w, next, job_next)
            watch_free(w);
}

void watch_session_gone(struct session *s)
{
    struct ctld *d = s->d;

    while (s->watches) {
        uint32_t job_id = s->watches->job_id;
        bool owner = s->watches->owner;
        watch_free(s->watches);
        if (owner)
            owner_lost(d, job_id, s->ended);
    }
}

static void expect_over(evutil_socket_t fd, short what, void *arg)
{
    struct ctld *d = arg;
    uint32_t cursor = 0, job_id, *lost = NULL;
    size_t count = 0, cap = 0;
    struct job_view v;
    (void)fd;
    (void)what;

    while ((cursor = core_job_next(d->core, cursor, &job_id)) != UINT32_MAX) {
        if (!core_job_view(d->core, job_id, false, &v) || !is_interactive(v.type) ||
            v.het_offset || v.client_lost || v.submit >= d->started)
            continue;
        if (count == cap) {
            cap = cap ? 2 * cap : 16;
            lost = xrealloc(lost, cap * sizeof(*lost));
        }
        lost[count++] = job_id;
    }
    for (size_t i = 0; i < count; i++)
        owner_lost(d, lost[i], false);
    free(lost);
}

void watch_expect_owners(struct ctld *d)
{
    struct timeval tv = {.tv_sec = REATTACH_USEC / USEC_PER_SEC};
    event_add(d->watches->expect, &tv);
}

struct watches *watches_create(struct ctld *d)
{
    struct watches *all = xcalloc(1, sizeof(*all));
    all->d = d;
    all->expect = evtimer_new(d->base, expect_over, d);
    ASSERT(all->expect);
    return all;
}

void watches_destroy(struct watches *all)
{
    if (!all)
        return;
    event_free(all->expect);
    free(all->fresh);
    free(all);
}
