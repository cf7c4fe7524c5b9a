/* SPDX-License-Identifier: Apache-2.0 */
#include "jobctl.h"

#include "base/hostlist.h"
#include "filter.h"
#include "job/jobspec.h"
#include "loop.h"
#include "users.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define ACK_ERRORS_MAX 1000u /* told one by one; more are only counted */

/* ---- the answer: object by object ------------------------------------------------------ */

struct answer {
    struct arena arena;
    Sl__JobError **errors;
    size_t count, cap, failed, done;
    const char *text; /* of a success; NULL: none */
    struct err first;
};

static void answer_init(struct answer *a)
{
    *a = (struct answer){.errors = NULL};
    arena_init(&a->arena);
}

static void answer_error(struct answer *a, const char *what, const struct err *err)
{
    if (a->failed++ == 0)
        a->first = *err;
    if (a->count == ACK_ERRORS_MAX)
        return;
    if (a->count == a->cap) {
        a->cap = a->cap ? 2 * a->cap : 16;
        a->errors = xrealloc(a->errors, a->cap * sizeof(Sl__JobError *));
    }
    Sl__JobError *e = arena_alloc(&a->arena, sizeof(*e));
    sl__job_error__init(e);
    e->what = arena_strdup(&a->arena, what);
    e->code = err->code;
    e->text = arena_strdup(&a->arena, err->text);
    a->errors[a->count++] = e;
}

static void answer_send(struct answer *a, struct session *s, uint32_t tag)
{
    Sl__Ack ack = SL__ACK__INIT;

    if (a->text)
        ack.text = (char *)a->text;
    if (a->failed) {
        ack.code = a->first.code;
        ack.text = a->failed > a->count
                       ? arena_printf(&a->arena, "%s (%zu objects failed)", a->first.text,
                                      a->failed)
                       : a->first.text;
        ack.errors = a->errors;
        ack.n_errors = a->count;
    }
    session_send(s, WIRE_ACK, tag, &ack.base, loop_generation(s->d));
    free(a->errors);
    arena_fini(&a->arena);
}

/* ---- one selector, several commands ---------------------------------------------------- */

struct target { /* what one core command acts on */
    uint32_t job_id, task_id, step_id;
    bool has_task, has_step, only_it /* of a heterogeneous job's components */;
};
typedef int (*target_f)(struct ctld *d, const struct target *t, void *arg, struct err *err);

/* Calls fn for "12", each task of "12_[1-5]", "12.0"; errors go to the answer. */
static void selector_each(struct ctld *d, const char *text, struct answer *a, target_f fn,
                          void *arg)
{
    struct job_sel sel;
    struct err err;

    if (job_sel_parse(text, &a->arena, &sel, &err) < 0) {
        answer_error(a, text, &err);
        return;
    }
    struct target t = {.job_id = sel.job_id, .has_step = sel.has_step, .step_id = sel.step_id,
                       .only_it = sel.has_het};
    if (!sel.has_array) {
        if (fn(d, &t, arg, &err) < 0)
            answer_error(a, text, &err);
        else
            a->done++;
        return;
    }
    t.has_task = true;
    for (size_t i = 0; i < sel.tasks_count; i++) {
        t.task_id = sel.task_ids[i];
        if (fn(d, &t, arg, &err) < 0)
            answer_error(a, arena_printf(&a->arena, "%u_%u", t.job_id, t.task_id), &err);
        else
            a->done++;
    }
}

static bool too_many(size_t count, struct session *s, uint32_t tag)
{
    struct err err;
    if (count <= JOBS_PER_REQUEST_MAX)
        return false;
    err_set(&err, SL_ETOO_MANY, "%zu jobs in one request, the limit is %u", count,
            JOBS_PER_REQUEST_MAX);
    session_error(s, tag, &err);
    return true;
}

static uint32_t target_record(struct ctld *d, const struct target *t)
{
    return t->has_task ? core_job_task(d->core, t->job_id, t->task_id) : t->job_id;
}

/* ---- cancel ----------------------------------------------------------------------------- */

struct cancel {
    const Sl__CancelRequest *m;
    struct session *s;
    struct job_filter *filter;
};

static int cancel_one(struct ctld *d, const struct target *t, void *arg, struct err *err)
{
    const struct cancel *c = arg;
    struct command cmd = {.kind = CMD_CANCEL, .actor = session_actor(c->s)};
    struct job_view v;

    /* an id is only taken when the other conditions hold as well, as scancel(1) */
    if (!filter_is_empty(c->filter) &&
        (!core_job_view(d->core, target_record(d, t), filter_wide(c->filter), &v) ||
         !filter_match(c->filter, &v)))
        return 0;
    cmd.job.job_id = t->job_id;
    cmd.job.only_it = t->only_it;
    cmd.job.has_task = t->has_task;
    cmd.job.task_id = t->task_id;
    cmd.job.has_step = t->has_step;
    cmd.job.step_id = t->step_id;
    cmd.job.signal = c->m->signal;
    cmd.job.batch = c->m->batch;
    cmd.job.full = c->m->full;
    cmd.job.hurry = c->m->hurry;
    cmd.job.reason = "";
    return loop_apply(d, &cmd, err);
}

static int cancel_filter(struct session *s, const Sl__CancelRequest *m, struct job_filter *f,
                         struct arena *a, struct err *err)
{
    const struct {
        const char *key, *value;
    } rows[] = {
        {"user", m->user},        {"name", m->name},   {"partition", m->partition},
        {"account", m->account},  {"qos", m->qos},     {"state", m->state},
        {"nodes", m->nodelist},   {"wckey", m->wckey}, {"reservation", m->reservation},
        {"user", m->me ? arena_printf(a, "%u", (unsigned)s->uid) : ""},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int rc = filter_add(f, rows[i].key, rows[i].value, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static void cancel_try(struct ctld *d, const struct target *t, struct cancel *c,
                       struct answer *a)
{
    struct err err;
    int rc = cancel_one(d, t, c, &err);
    /* an earlier command of this request may have ended it */
    if (rc < 0 && rc != SL_EALREADY_DONE)
        answer_error(a, arena_printf(&a->arena, "%u", t->job_id), &err);
}

/* The record that stands for an array's unstarted tasks: when states are asked for
 * its running tasks are not meant. */
static void cancel_rest(struct ctld *d, const struct job_view *v, struct cancel *c,
                        struct answer *a)
{
    struct target t = {.job_id = v->array_job_id};
    size_t count = v->array_rest_count;
    uint32_t *tasks;

    if (!filter_has_state(c->filter)) {
        cancel_try(d, &t, c, a);
        return;
    }
    tasks = arena_alloc(&a->arena, count * sizeof(*tasks) + 1);
    memcpy(tasks, v->array_rest, count * sizeof(*tasks));
    t.has_task = true;
    for (size_t i = 0; i < count; i++) {
        t.task_id = tasks[i];
        cancel_try(d, &t, c, a);
    }
}

static void cancel_record(struct ctld *d, uint32_t job_id, struct cancel *c, struct answer *a)
{
    struct job_view v;

    if (!core_job_view(d->core, job_id, false, &v))
        return;
    if (v.is_array_rest) {
        cancel_rest(d, &v, c, a);
        return;
    }
    struct target t = {.job_id = job_id};
    if (v.is_array_task) /* an array's own id would mean all its tasks */
        t = (struct target){
            .job_id = v.array_job_id, .has_task = true, .task_id = v.array_task_id};
    cancel_try(d, &t, c, a);
}

/* Ids first, commands after: a command moves what the cursor walks on. */
static void cancel_matching(struct ctld *d, struct cancel *c, struct answer *a)
{
    uint32_t cursor = 0, job_id, *ids = NULL;
    size_t count = 0, cap = 0;
    struct job_view v;

    while ((cursor = core_job_next(d->core, cursor, &job_id)) != UINT32_MAX) {
        if (!core_job_view(d->core, job_id, filter_wide(c->filter), &v) ||
            job_state_finished(v.state) || !filter_match(c->filter, &v))
            continue;
        if (count == cap) {
            cap = cap ? 2 * cap : 256;
            ids = xrealloc(ids, cap * sizeof(*ids));
        }
        ids[count++] = job_id;
    }
    for (size_t i = 0; i < count; i++)
        cancel_record(d, ids[i], c, a);
    free(ids);
}

void jobctl_cancel(struct ctld *d, struct session *s, struct wire_msg *m)
{
    const Sl__CancelRequest *r = (const Sl__CancelRequest *)m->body;
    struct cancel c = {.m = r, .s = s};
    struct answer a;
    struct err err;

    if (too_many(r->n_job_ids, s, m->tag))
        return;
    answer_init(&a);
    c.filter = filter_create(&a.arena);
    if (cancel_filter(s, r, c.filter, &a.arena, &err) < 0) {
        answer_error(&a, "", &err);
    } else if (r->n_job_ids) {
        for (size_t i = 0; i < r->n_job_ids; i++)
            selector_each(d, r->job_ids[i], &a, cancel_one, &c);
    } else if (filter_is_empty(c.filter)) {
        err_set(&err, SL_EINVAL_JOB_ID, "No job identification provided");
        answer_error(&a, "", &err);
    } else {
        cancel_matching(d, &c, &a);
    }
    answer_send(&a, s, m->tag);
}

/* ---- hold, release, requeue, suspend ... --------------------------------------------------- */

struct op {
    const Sl__JobOpRequest *m;
    struct session *s;
    enum command_kind kind;
};

static int op_one(struct ctld *d, const struct target *t, void *arg, struct err *err)
{
    const struct op *o = arg;
    struct command cmd = {.kind = o->kind, .actor = session_actor(o->s)};

    cmd.job.job_id = t->job_id;
    cmd.job.only_it = t->only_it;
    cmd.job.has_task = t->has_task;
    cmd.job.task_id = t->task_id;
    cmd.job.user_hold = o->m->op == SL__JOB_OP__JOB_OP_UHOLD;
    cmd.job.requeue_hold = o->m->op == SL__JOB_OP__JOB_OP_REQUEUEHOLD;
    cmd.job.incomplete = o->m->incomplete;
    cmd.job.exit_status = o->m->exit_status;
    cmd.job.reason = "";
    return loop_apply(d, &cmd, err);
}

static enum command_kind op_command(Sl__JobOp op)
{
    switch (op) {
    case SL__JOB_OP__JOB_OP_HOLD:
    case SL__JOB_OP__JOB_OP_UHOLD:
        return CMD_HOLD;
    case SL__JOB_OP__JOB_OP_RELEASE:
        return CMD_RELEASE;
    case SL__JOB_OP__JOB_OP_REQUEUE:
    case SL__JOB_OP__JOB_OP_REQUEUEHOLD:
        return CMD_REQUEUE;
    case SL__JOB_OP__JOB_OP_SUSPEND:
        return CMD_SUSPEND;
    case SL__JOB_OP__JOB_OP_RESUME:
        return CMD_RESUME;
    case SL__JOB_OP__JOB_OP_TOP:
        return CMD_TOP;
    case SL__JOB_OP__JOB_OP_COMPLETE:
        return CMD_COMPLETE;
    default:
        return CMD_NONE;
    }
}

void jobctl_op(struct ctld *d, struct session *s, struct wire_msg *m)
{
    const Sl__JobOpRequest *r = (const Sl__JobOpRequest *)m->body;
    struct op o = {.m = r, .s = s, .kind = op_command(r->op)};
    struct answer a;
    struct err err;

    if (too_many(r->n_job_ids, s, m->tag))
        return;
    if (o.kind == CMD_NONE) {
        err_set(&err, SL_EINVAL_FIELD, "job operation %d is unknown", (int)r->op);
        session_error(s, m->tag, &err);
        return;
    }
    answer_init(&a);
    for (size_t i = 0; i < r->n_job_ids; i++)
        selector_each(d, r->job_ids[i], &a, op_one, &o);
    answer_send(&a, s, m->tag);
}

/* ---- update ---------------------------------------------------------------------------------- */

struct update {
    const Sl__UpdateRequest *m;
    struct session *s;
    enum command_kind kind;
};

/* The pairs in order, a node's Reason first because its State may need one; the first
 * that fails ends the object's update. */
static int update_pairs(struct ctld *d, const struct update *u, struct command *cmd,
                        struct err *err)
{
    struct err why;
    size_t done = 0;
    int rc = 0;
    cmd->kind = u->kind;
    cmd->actor = session_actor(u->s);
    for (size_t i = 0; rc == 0 && i < 2 * u->m->n_set; i++) {
        const Sl__KeyValue *pair = u->m->set[i % u->m->n_set];
        bool first = u->kind == CMD_NODE_UPDATE && strcasecmp(pair->key, "Reason") == 0;
        if (first != (i < u->m->n_set))
            continue;
        cmd->update.key = pair->key;
        cmd->update.value = pair->value;
        rc = loop_apply(d, cmd, &why);
        done += rc == 0;
    }
    if (rc < 0 && done > 0)
        return err_set(err, rc, "%s (the changes named before it were made)", why.text);
    return rc < 0 ? err_set(err, rc, "%s", why.text) : 0;
}

static int update_job(struct ctld *d, const struct target *t, void *arg, struct err *err)
{
    struct command cmd = {0};
    char object[32];

    struct job_view v;

    snprintf(object, sizeof(object), "%u", t->job_id);
    if (core_job_view(d->core, t->job_id, false, &v))
        cmd.update.groups = users_get(d->users, v.uid, ctld_now(d))->groups;
    cmd.update.object = object;
    cmd.update.job_id = t->job_id;
    cmd.update.has_task = t->has_task;
    cmd.update.task_id = t->task_id;
    return update_pairs(d, arg, &cmd, err);
}

static void update_named(struct ctld *d, struct update *u, const char *name, struct answer *a)
{
    struct command cmd = {0};
    struct err err;

    cmd.update.object = name;
    if (update_pairs(d, u, &cmd, &err) < 0)
        answer_error(a, name, &err);
}

static void update_nodes(struct ctld *d, struct update *u, struct answer *a)
{
    struct node_view v;
    struct err err;

    if (strcasecmp(u->m->ids, "ALL") == 0) {
        for (uint32_t i = 0; core_node_view(d->core, i, &v); i++)
            update_named(d, u, arena_strdup(&a->arena, v.name), a);
        return;
    }
    struct hostlist *hl = hostlist_create(u->m->ids, &err);
    if (!hl)
        answer_error(a, u->m->ids, &err);
    for (size_t i = 0; hl && i < hostlist_count(hl); i++)
        update_named(d, u, hostlist_nth(hl, i), a);
    hostlist_destroy(hl);
}

/* Job selectors, cut at commas outside brackets. */
static void update_jobs(struct ctld *d, struct update *u, struct answer *a)
{
    const char *p = u->m->ids;
    int depth = 0;
    size_t n = 0;

    for (;; n++) {
        depth += p[n] == '[' ? 1 : p[n] == ']' ? -1 : 0;
        if (p[n] && (p[n] != ',' || depth > 0))
            continue;
        if (n)
            selector_each(d, arena_printf(&a->arena, "%.*s", (int)n, p), a, update_job, u);
        if (!p[n])
            return;
        p += n + 1;
        n = (size_t)-1;
    }
}

/* All pairs at once: a reservation is checked as a whole. "create reservation" without a
 * name gets one, which the answer says. */
static void update_resv(struct ctld *d, struct session *s, const Sl__UpdateRequest *m,
                        enum command_kind kind, struct answer *a)
{
    struct command cmd = {.kind = kind, .actor = session_actor(s)};
    const char **key = arena_alloc(&a->arena, (m->n_set + 1) * sizeof(*key));
    const char **value = arena_alloc(&a->arena, (m->n_set + 1) * sizeof(*value));
    struct err err;

    for (size_t i = 0; i < m->n_set; i++) {
        key[i] = m->set[i]->key;
        value[i] = m->set[i]->value;
    }
    cmd.resv.name = m->ids;
    cmd.resv.key = key;
    cmd.resv.value = value;
    cmd.resv.count = m->n_set;
    if (loop_apply(d, &cmd, &err) < 0)
        answer_error(a, m->ids, &err);
    else if (kind == CMD_RESV_CREATE)
        a->text = arena_strdup(&a->arena, loop_result(d)->resv_name);
}

void jobctl_update(struct ctld *d, struct session *s, struct wire_msg *m)
{
    const Sl__UpdateRequest *r = (const Sl__UpdateRequest *)m->body;
    struct update u = {.m = r, .s = s};
    struct answer a;
    struct err err;

    answer_init(&a);
    if (strcmp(r->what, "reservation") == 0) {
        update_resv(d, s, r, CMD_RESV_UPDATE, &a);
    } else if (strcmp(r->what, "reservation-create") == 0) {
        update_resv(d, s, r, CMD_RESV_CREATE, &a);
    } else if (strcmp(r->what, "reservation-delete") == 0) {
        update_resv(d, s, r, CMD_RESV_DELETE, &a);
    } else if (!r->ids[0]) {
        err_set(&err, SL_EINVAL_FIELD, "no %s is named", r->what[0] ? r->what : "object");
        answer_error(&a, "", &err);
    } else if (strcmp(r->what, "job") == 0) {
        u.kind = CMD_JOB_UPDATE;
        update_jobs(d, &u, &a);
    } else if (strcmp(r->what, "node") == 0) {
        u.kind = CMD_NODE_UPDATE;
        update_nodes(d, &u, &a);
    } else if (strcmp(r->what, "partition") == 0) {
        u.kind = CMD_PARTITION_UPDATE;
        update_named(d, &u, r->ids, &a);
    } else {
        err_set(&err, SL_ENOT_BUILT, "update of a %s is not built yet", r->what);
        answer_error(&a, r->ids, &err);
    }
    answer_send(&a, s, m->tag);
}
