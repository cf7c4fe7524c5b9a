/* SPDX-License-Identifier: Apache-2.0
 *
 * scontrol update jobid=: one pair at a time. The table says which fields exist; the rules
 * on who and when are scontrol(1)'s: owners may change pending jobs and lower limits.
 */
#include "sched/model.h"

#include "base/buf.h"
#include "sched/request.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

typedef int (*update_f)(struct core *c, struct job *j, const struct command *cmd,
                        const char *value, usec_t now, struct err *err);

static int text_set(struct core *c, uint32_t *at, const char *value)
{
    uint32_t id = intern_text(&c->text, value);
    intern_drop(&c->text, *at);
    *at = id;
    return 0;
}

static int up_name(struct core *c, struct job *j, const struct command *cmd, const char *v,
                   usec_t now, struct err *err)
{
    (void)cmd;
    (void)now;
    if (!v[0] || strlen(v) > NAME_LEN_MAX)
        return err_set(err, SL_EINVAL_FIELD, "JobName: 1 to %u characters", NAME_LEN_MAX);
    return text_set(c, &j->name, v);
}

static int up_account(struct core *c, struct job *j, const struct command *cmd,
                      const char *v, usec_t now, struct err *err)
{
    (void)cmd;
    (void)now;
    (void)err;
    return text_set(c, &j->account, v);
}

static int up_limit(struct core *c, struct job *j, const struct command *cmd, const char *v,
                    usec_t now, struct err *err)
{
    usec_t span, limit;
    int sign = v[0] == '+' ? 1 : v[0] == '-' && v[1] ? -1 : 0;
    if (span_parse(v + (sign != 0), &span, err) < 0)
        return err_prefix(err, "TimeLimit");
    limit = sign == 0 ? span : j->limit == SPAN_INFINITE ? j->limit : j->limit + sign * span;
    if (limit <= 0)
        return err_set(err, SL_EINVAL_TIME, "%s: TimeLimit=%s", err_name(SL_EINVAL_TIME), v);
    if (j->state != JOB_PENDING && limit > j->limit && !cmd->actor.admin)
        return err_set(err, SL_EACCESS, "Access/permission denied: only an administrator raises a running job's limit");
    j->limit = limit;
    j->limit_given = true;
    if (j->alloc && limit != SPAN_INFINITE)
        timer_add(c, j->start + j->suspended_total + limit + c->policy.over_time_limit,
                  TIMER_LIMIT, j->id);
    (void)now;
    return 0;
}

static int up_partition(struct core *c, struct job *j, const struct command *cmd,
                        const char *v, usec_t now, struct err *err)
{
    char *list = xstrdup(v), *save = NULL;
    uint32_t tier = 0;
    int rc = 0;
    (void)cmd;
    (void)now;
    for (char *p = strtok_r(list, ",", &save); p && rc == 0; p = strtok_r(NULL, ",", &save)) {
        long at = parts_find(c, p);
        if (at < 0)
            rc = err_set(err, SL_EINVAL_PARTITION, "invalid partition specified: %s", p);
        else if (c->part[at].conf.priority_tier > tier)
            tier = c->part[at].conf.priority_tier;
    }
    free(list);
    if (rc < 0)
        return rc;
    j->tier = tier;
    return text_set(c, &j->parts, v);
}

static int up_nice(struct core *c, struct job *j, const struct command *cmd, const char *v,
                   usec_t now, struct err *err)
{
    char *end;
    long n = strtol(v, &end, 10);
    (void)now;
    if (!*v || *end || n < -2147483645L || n > 2147483645L)
        return err_set(err, SL_EINVAL_FIELD, "Nice=%s: a number is wanted", v);
    if (n < j->nice && !cmd->actor.admin)
        return err_set(err, SL_EACCESS, "%s", err_name(SL_EACCESS));
    int64_t p = (int64_t)j->priority + j->nice - n;
    j->priority = p < 1 ? 1 : p > UINT32_MAX - 1 ? UINT32_MAX - 1 : (uint32_t)p;
    j->nice = (int32_t)n;
    c->queue_sorted = false;
    return 0;
}

static int up_priority(struct core *c, struct job *j, const struct command *cmd,
                       const char *v, usec_t now, struct err *err)
{
    uint64_t n;
    (void)now;
    if (num_parse_u64("Priority", v, 0, UINT32_MAX - 1, &n, err) < 0)
        return err->code;
    if (n > j->priority && !cmd->actor.admin)
        return err_set(err, SL_EACCESS, "%s", err_name(SL_EACCESS));
    if (n == 0) {
        j->hold |= cmd->actor.admin ? HOLD_ADMIN : HOLD_USER;
    } else {
        j->priority = (uint32_t)n;
        j->prio_fixed = true;
    }
    c->queue_sorted = false;
    return 0;
}

static int up_depend(struct core *c, struct job *j, const struct command *cmd, const char *v,
                     usec_t now, struct err *err)
{
    struct dep *old = j->deps;
    uint32_t n = j->deps_count;
    bool any = j->deps_any;
    (void)cmd;
    (void)now;
    j->deps = NULL;
    j->deps_count = 0;
    if (depend_parse(c, j, v, err) < 0) {
        free(j->deps);
        j->deps = old;
        j->deps_count = n;
        j->deps_any = any;
        return err->code;
    }
    free(old);
    return 0;
}

static int up_begin(struct core *c, struct job *j, const struct command *cmd, const char *v,
                    usec_t now, struct err *err)
{
    (void)c;
    (void)cmd;
    return time_parse(v, now, &j->begin, err) < 0 ? err_prefix(err, "StartTime") : 0;
}

static int up_deadline(struct core *c, struct job *j, const struct command *cmd,
                       const char *v, usec_t now, struct err *err)
{
    (void)cmd;
    if (time_parse(v, now, &j->deadline, err) < 0)
        return err_prefix(err, "Deadline");
    timer_add(c, j->deadline, TIMER_DEADLINE, j->id);
    return 0;
}

static int up_requeue(struct core *c, struct job *j, const struct command *cmd,
                      const char *v, usec_t now, struct err *err)
{
    (void)c;
    (void)cmd;
    (void)now;
    if (strcmp(v, "0") != 0 && strcmp(v, "1") != 0)
        return err_set(err, SL_EINVAL_FIELD, "Requeue=%s: 0 or 1 is wanted", v);
    j->requeue = v[0] == '1';
    return 0;
}

static int up_throttle(struct core *c, struct job *j, const struct command *cmd,
                       const char *v, usec_t now, struct err *err)
{
    uint64_t n;
    (void)c;
    (void)cmd;
    (void)now;
    if (num_parse_u64("ArrayTaskThrottle", v, 0, ARRAY_TASKS_MAX, &n, err) < 0)
        return err->code;
    j->throttle = (uint32_t)n;
    return 0;
}

/* Fields that live in the specification: unpack, change, store again. */
static int up_spec(struct core *c, struct job *j, const struct command *cmd, const char *v,
                   usec_t now, struct err *err)
{
    const char *key = cmd->update.key;
    struct arena a;
    uint64_t n = 0;
    int rc = 0;
    (void)now;
    arena_init(&a);
    Sl__JobSpec *s = spec_unpack(c, j, &a);
    char *text = arena_strdup(&a, v);
    if (strcasecmp(key, "Comment") == 0)
        s->comment = text;
    else if (strcasecmp(key, "Features") == 0)
        s->constraints = text;
    else if (strcasecmp(key, "ReqNodeList") == 0)
        s->nodelist = text;
    else if (strcasecmp(key, "ExcNodeList") == 0)
        s->exclude = text;
    else if (strcasecmp(key, "WorkDir") == 0)
        s->work_dir = text;
    else if (strcasecmp(key, "StdOut") == 0)
        s->std_out = text;
    else if (strcasecmp(key, "StdErr") == 0)
        s->std_err = text;
    else if (strcasecmp(key, "MinMemoryNode") == 0)
        rc = mem_parse_mib(v, &s->mem_per_node_mib, err);
    else if (strcasecmp(key, "MinMemoryCPU") == 0)
        rc = mem_parse_mib(v, &s->mem_per_cpu_mib, err);
    else if ((rc = num_parse_u64(key, v, 1, NODES_MAX, &n, err)) == 0)
        s->nodes_min = s->nodes_max = (uint32_t)n; /* NumNodes */
    if (rc == 0)
        rc = spec_store(c, j, s, err);
    arena_fini(&a);
    return rc;
}

static const struct {
    const char *key;
    update_f set;
    enum { PENDING, RUNNING, SIZE } when; /* RUNNING: also while it runs; SIZE: while pending, and
                                             it must still be possible afterwards */
} fields[] = {
    {"TimeLimit", up_limit, RUNNING},        {"JobName", up_name, RUNNING},
    {"Name", up_name, RUNNING},              {"Account", up_account, PENDING},
    {"Partition", up_partition, SIZE}, {"Nice", up_nice, PENDING},
    {"Priority", up_priority, PENDING},     {"Dependency", up_depend, PENDING},
    {"StartTime", up_begin, PENDING},       {"EligibleTime", up_begin, PENDING},
    {"Deadline", up_deadline, PENDING},     {"Requeue", up_requeue, RUNNING},
    {"ArrayTaskThrottle", up_throttle, RUNNING}, {"Comment", up_spec, RUNNING},
    {"Features", up_spec, SIZE},   {"ReqNodeList", up_spec, SIZE},
    {"ExcNodeList", up_spec, SIZE}, {"WorkDir", up_spec, PENDING},
    {"StdOut", up_spec, PENDING},           {"StdErr", up_spec, PENDING},
    {"MinMemoryNode", up_spec, SIZE}, {"MinMemoryCPU", up_spec, SIZE},
    {"NumNodes", up_spec, SIZE},
};

/* Sets what decides where it can run; all as before when it could run nowhere. */
static int size_set(struct core *c, struct job *j, const struct command *cmd, update_f set,
                    usec_t now, struct err *err)
{
    struct job was = {.request = j->request, .tail = j->tail, .ident = j->ident,
                      .parts = j->parts, .tier = j->tier};
    intern_ref(&c->request_keys, was.request);
    intern_ref(&c->blobs, was.tail);
    intern_ref(&c->blobs, was.ident);
    intern_ref(&c->text, was.parts);
    int rc = set(c, j, cmd, cmd->update.value, now, err);
    if (rc == 0)
        rc = job_fits_ever(c, j, err);
    if (rc < 0) { /* `was` takes what is to be dropped */
        struct job now_is = {.request = j->request, .tail = j->tail, .ident = j->ident,
                             .parts = j->parts};
        j->request = was.request;
        j->tail = was.tail;
        j->ident = was.ident;
        j->parts = was.parts;
        j->tier = was.tier;
        was = now_is;
    }
    spec_drop(c, &was);
    intern_drop(&c->text, was.parts);
    return rc;
}

static int update_one(struct core *c, struct job *j, const struct command *cmd, usec_t now,
                      struct batch *out, struct err *err)
{
    if (!cmd->actor.admin && cmd->actor.uid != j->uid)
        return err_set(err, SL_EACCESS, "%s", err_name(SL_EACCESS));
    if (job_state_finished((enum job_state)j->state))
        return err_set(err, SL_EALREADY_DONE, "%s", err_name(SL_EALREADY_DONE));
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        if (strcasecmp(fields[i].key, cmd->update.key) != 0)
            continue;
        if (j->state != JOB_PENDING && fields[i].when != RUNNING)
            return err_set(err, SL_EINVAL_STATE, "Job is no longer pending execution");
        int rc = fields[i].when == SIZE
                     ? size_set(c, j, cmd, fields[i].set, now, err)
                     : fields[i].set(c, j, cmd, cmd->update.value, now, err);
        if (rc < 0)
            return rc;
        queue_del(c, j);
        job_gate(c, j, now);
        c->plan_wanted = true;
        job_changed(c, j, out, false);
        return 0;
    }
    return err_set(err, SL_EINVAL_FIELD, "Update of job field %s is not built, or there is none",
                   cmd->update.key);
}

int update_job(struct core *c, const struct command *cmd, usec_t now, struct batch *out,
               struct err *err)
{
    uint32_t id = cmd->update.has_task
                      ? core_job_task(c, cmd->update.job_id, cmd->update.task_id)
                      : cmd->update.job_id;
    struct job *j = id ? job_find(c, id) : NULL;
    if (!j)
        return err_set(err, SL_EINVAL_JOB_ID, "%s %u", err_name(SL_EINVAL_JOB_ID),
                       cmd->update.job_id);
    bool waits = false; /* one task of those that the array's record stands for */
    for (uint32_t i = 0; cmd->update.has_task && i < j->rest_count; i++)
        waits = waits || j->rest[i] == cmd->update.task_id;
    uint32_t id_next = c->job_id_next;
    struct job *t = waits ? job_split(c, j, cmd->update.task_id, out) : j;
    if (!t)
        return err_set(err, SL_ETOO_MANY, "no job id is free");
    int rc = update_one(c, t, cmd, now, out, err);
    if (rc < 0 && waits)
        job_unsplit(c, j, t, id_next);
    return rc;
}
