/* SPDX-License-Identifier: Apache-2.0
 *
 * scontrol update jobid=: one pair at a time. The table says which keys exist, in which
 * states and by whom they may be changed, as scontrol(1) does: owners change their pending
 * jobs and may only lower their limits and priorities. What lives in the specification is
 * checked as a submission is, and a request that could never run is not taken.
 */
#include "sched/model.h"

#include "base/buf.h"
#include "job/jobspec.h"
#include "sched/advres.h"
#include "sched/kin.h"
#include "sched/priority.h"
#include "sched/request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct update {
    struct core *c;
    struct job *j;
    const struct command *cmd;
    const char *value;
    usec_t now;
    struct batch *out;
};
struct key;
typedef int (*update_f)(struct update *u, const struct key *k, struct err *err);

enum { RUNNING = 1 /* also while it runs */, OPERATOR = 2 /* only by operators */ };

struct key {
    const char *name; /* a later row of equal `set` and `where` is another name for it */
    update_f set;
    unsigned rules;
    size_t where; /* of keys in the specification: offset in Sl__JobSpec */
    uint32_t max; /* of numbers */
};

static bool is_operator(const struct update *u)
{
    return u->cmd->actor.admin;
}

static int denied(const char *why, struct err *err)
{
    return err_set(err, SL_EACCESS, "%s: %s", err_name(SL_EACCESS), why);
}

static void text_set(struct core *c, uint32_t *at, const char *value)
{
    uint32_t id = intern_text(&c->text, value);
    intern_drop(&c->text, *at);
    *at = id;
}

/* ---- keys of the job itself --------------------------------------------------------- */

static int up_name(struct update *u, const struct key *k, struct err *err)
{
    size_t n = strlen(u->value);
    (void)k;
    for (const char *p = u->value; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            return err_set(err, SL_EINVAL_FIELD, "JobName: control character 0x%02x", (unsigned char)*p);
    if (n == 0 || n > NAME_LEN_MAX)
        return err_set(err, SL_EINVAL_FIELD, "JobName: 1 to %u characters", NAME_LEN_MAX);
    text_set(u->c, &u->j->name, u->value);
    return 0;
}

/* Without a limit of its own a waiting job has its partition's, which any limit lowers. */
static int limit_take(struct update *u, usec_t limit, struct err *err)
{
    struct job *j = u->j;
    usec_t had = j->state == JOB_PENDING && !j->limit_given ? SPAN_INFINITE : j->limit;
    if (limit > had && !is_operator(u))
        return denied("only operators raise a job's time limit", err);
    j->limit = limit;
    j->limit_given = true;
    j->limit_asked = 0;
    if (j->state == JOB_RUNNING)
        job_limit_timers(u->c, j);
    return 0;
}

static int up_limit(struct update *u, const struct key *k, struct err *err)
{
    const char *v = u->value;
    const struct job *j = u->j;
    usec_t span, limit;
    int sign = v[0] == '+' ? 1 : v[0] == '-' && v[1] && strcmp(v, "-1") != 0 ? -1 : 0;
    (void)k;
    if (span_parse(v + (sign != 0), &span, err) < 0)
        return err_prefix(err, "TimeLimit");
    if (sign != 0 && j->state == JOB_PENDING && !j->limit_given)
        return err_set(err, SL_EINVAL_TIME, "TimeLimit=%s: the job has no time limit to change", v);
    limit = sign == 0 ? span : j->limit == SPAN_INFINITE ? j->limit : j->limit + sign * span;
    if (limit <= 0)
        return err_set(err, SL_EINVAL_TIME, "%s: TimeLimit=%s", err_name(SL_EINVAL_TIME), v);
    return limit_take(u, limit, err);
}

/* EndTime of a running job: its limit, said differently. */
static int up_end(struct update *u, const struct key *k, struct err *err)
{
    const struct job *j = u->j;
    usec_t end;
    (void)k;
    if (j->state == JOB_PENDING)
        return err_set(err, SL_EINVAL_STATE, "EndTime: the job does not run; set TimeLimit");
    if (time_parse(u->value, u->now, &end, err) < 0)
        return err_prefix(err, "EndTime");
    if (end <= u->now)
        return err_set(err, SL_EINVAL_TIME, "EndTime=%s is in the past", u->value);
    return limit_take(u, end - j->start - j->suspended_total, err);
}

static int up_partition(struct update *u, const struct key *k, struct err *err)
{
    enum { NAMES_MAX = 64 };
    struct core *c = u->c;
    struct job *j = u->j;
    const struct actor owner = {.uid = j->uid, .gid = j->gid, .user = text_of(c, j->user)};
    const struct admit who = {.actor = &owner, .groups = u->cmd->update.groups,
                              .account = text_of(c, j->account), .qos = text_of(c, j->qos)};
    char *list = xstrdup(u->value), *save = NULL, *names[NAMES_MAX];
    size_t n = 0;
    uint32_t tier = 0;
    struct buf text;
    (void)k;
    for (char *p = strtok_r(list, ",", &save); p && n < NAMES_MAX; p = strtok_r(NULL, ",", &save))
        names[n++] = p;
    buf_init(&text);
    int rc = n ? admit_partitions(c, names, n, &who, &text, &tier, err)
               : err_set(err, SL_EINVAL_PARTITION, "Partition=: no partition is named");
    if (rc == 0) {
        uint32_t had = j->parts;
        j->parts = intern_text(&c->text, buf_str(&text));
        rc = admit_fits(c, j, err);
        intern_drop(&c->text, rc == 0 ? had : j->parts);
        if (rc == 0) {
            j->tier = tier;
            text_set(c, &j->partition, "");
        } else {
            j->parts = had;
        }
    }
    buf_fini(&text);
    free(list);
    return rc;
}

/* Account and QOS: the job's partitions must take them. */
static int up_tenant(struct update *u, const struct key *k, struct err *err)
{
    struct core *c = u->c;
    struct job *j = u->j;
    bool account = strcasecmp(k->name, "Account") == 0;
    const char *v = account || u->value[0] ? u->value : "normal";
    const struct actor owner = {.uid = j->uid, .gid = j->gid};
    const struct admit who = {.actor = &owner, .groups = u->cmd->update.groups,
                              .account = account ? v : text_of(c, j->account),
                              .qos = account ? text_of(c, j->qos) : v};
    char *list = xstrdup(text_of(c, j->parts)), *save = NULL;
    uint32_t tier;
    int rc = 0;
    if (strlen(v) > NAME_LEN_MAX || strpbrk(v, " ,/\\\"'\t\n"))
        rc = err_set(err, SL_EINVAL_FIELD, "%s=%.64s: not a name", k->name, v);
    if (rc == 0)
        rc = tenant_may(c, j, who.account, who.qos, err);
    for (char *p = strtok_r(list, ",", &save); p && rc == 0; p = strtok_r(NULL, ",", &save)) {
        struct buf ignored;
        buf_init(&ignored);
        rc = admit_partitions(c, &p, 1, &who, &ignored, &tier, err);
        buf_fini(&ignored);
    }
    free(list);
    if (rc == 0)
        text_set(c, account ? &j->account : &j->qos, v);
    return rc;
}

static void priority_move(struct job *j, int64_t to)
{
    j->priority = to < 1 ? 1 : to > UINT32_MAX - 1 ? UINT32_MAX - 1 : (uint32_t)to;
}

static int up_nice(struct update *u, const struct key *k, struct err *err)
{
    const long most = 2147483645L; /* scontrol(1) */
    struct job *j = u->j;
    char *end;
    long n = u->value[0] ? strtol(u->value, &end, 10) : 100;
    (void)k;
    if (u->value[0] && (*end || n < -most || n > most))
        return err_set(err, SL_EINVAL_FIELD, "Nice=%s: a number is wanted", u->value);
    if (n < j->nice && !is_operator(u))
        return denied("only operators lower a nice value", err);
    priority_move(j, (int64_t)j->priority + j->nice - n);
    j->nice = (int32_t)n;
    return 0;
}

static int up_priority(struct update *u, const struct key *k, struct err *err)
{
    struct job *j = u->j;
    uint64_t n;
    (void)k;
    if (num_parse_u64("Priority", u->value, 0, UINT32_MAX - 1, &n, err) < 0)
        return err->code;
    if (n == 0) {
        job_hold(j, &u->cmd->actor, false);
        return 0;
    }
    if (!is_operator(u) && (n > j->priority || j->hold)) /* held: its priority is zero */
        return denied("only operators raise a job's priority", err);
    priority_move(j, (int64_t)n);
    j->prio_fixed = true;
    j->nice = 0;
    j->hold = 0;
    return 0;
}

static int up_depend(struct update *u, const struct key *k, struct err *err)
{
    struct job *j = u->j;
    bool waits = kin_waits(j);
    kin_wait(u->c, j, false); /* the gate hangs in again what there is then */
    struct dep *old = j->deps;
    uint32_t n = j->deps_count;
    bool any = j->deps_any;
    (void)k;
    j->deps = NULL;
    j->deps_count = 0;
    if (depend_parse(u->c, j, u->value, err) < 0 || depend_circle(u->c, j, err) < 0) {
        free(j->deps);
        j->deps = old;
        j->deps_count = n;
        j->deps_any = any;
        kin_wait(u->c, j, waits);
        return err->code;
    }
    free(old);
    return 0;
}

static int up_begin(struct update *u, const struct key *k, struct err *err)
{
    usec_t begin;
    if (time_parse(u->value, u->now, &begin, err) < 0)
        return err_prefix(err, "%s", k->name);
    u->j->begin = begin;
    u->j->eligible = 0;
    return 0;
}

static int up_deadline(struct update *u, const struct key *k, struct err *err)
{
    usec_t deadline;
    (void)k;
    if (time_parse(u->value, u->now, &deadline, err) < 0)
        return err_prefix(err, "Deadline");
    if (deadline <= u->now)
        return err_set(err, SL_EINVAL_TIME, "Deadline=%s is in the past", u->value);
    u->j->deadline = deadline;
    return 0;
}

static int up_requeue(struct update *u, const struct key *k, struct err *err)
{
    (void)k;
    if (strcmp(u->value, "0") != 0 && strcmp(u->value, "1") != 0)
        return err_set(err, SL_EINVAL_FIELD, "Requeue=%s: 0 or 1 is wanted", u->value);
    u->j->requeue = u->value[0] == '1';
    return 0;
}

/* The record of an array's waiting tasks has the throttle; started ones only show it. */
static int up_throttle(struct update *u, const struct key *k, struct err *err)
{
    uint64_t n;
    if (u->j->array_id == 0)
        return err_set(err, SL_EINVAL_JOB_ID, "%s: the job is no array", k->name);
    if (num_parse_u64(k->name, u->value, 0, ARRAY_TASKS_MAX, &n, err) < 0)
        return err->code;
    uint32_t count, *ids = kin_ids(u->c, u->j->array_id, &count); /* it is the array's */
    for (uint32_t i = 0; i < count; i++) {
        struct job *t = job_find(u->c, ids[i]);
        if (t->throttle == n)
            continue;
        t->throttle = (uint32_t)n;
        if (t != u->j)
            job_gate(u->c, t, u->now);
        job_changed(u->c, t, u->out, false);
    }
    free(ids);
    return 0;
}

/* ---- keys in the specification ------------------------------------------------------- */

static int yes_parse(const struct key *k, const char *v, protobuf_c_boolean *out, struct err *err)
{
    bool yes = strcasecmp(v, "yes") == 0 || strcmp(v, "1") == 0;
    if (!yes && strcasecmp(v, "no") != 0 && strcmp(v, "0") != 0)
        return err_set(err, SL_EINVAL_FIELD, "%s=%s: YES or NO is wanted", k->name, v);
    *out = yes;
    return 0;
}

static int u32_parse(const struct key *k, const char *v, uint32_t *out, struct err *err)
{
    uint64_t n;
    if (num_parse_u64(k->name, v, 1, k->max, &n, err) < 0)
        return err->code;
    *out = (uint32_t)n;
    return 0;
}

static int nodes_parse(const struct key *k, const char *v, Sl__JobSpec *s, struct err *err)
{
    char min[24];
    size_t n = strcspn(v, "-");
    snprintf(min, sizeof min, "%.*s", (int)n, v);
    if (n >= sizeof min)
        return err_set(err, SL_EINVAL_FIELD, "%s=%.64s: min[-max] is wanted", k->name, v);
    if (u32_parse(k, min, &s->nodes_min, err) < 0)
        return err->code;
    s->nodes_max = s->nodes_min;
    return v[n] ? u32_parse(k, v + n + 1, &s->nodes_max, err) : 0;
}

/* The new request in place of the old, if it passes the checks of a submission. */
static int spec_take(struct update *u, const Sl__JobSpec *s, struct err *err)
{
    struct arena a;
    arena_init(&a);
    const Sl__JobSpec *old = spec_unpack(u->c, u->j, &a);
    int rc = jobspec_check(s, err);
    if (rc == 0)
        rc = spec_store(u->c, u->j, s, err);
    if (rc == 0 && u->j->state == JOB_PENDING && (rc = admit_fits(u->c, u->j, err)) < 0)
        ASSERT(spec_store(u->c, u->j, old, NULL) == 0);
    arena_fini(&a);
    return rc;
}

#define SPEC_KEY(fn, type, statement)                                                       \
    static int fn(struct update *u, const struct key *k, struct err *err)                   \
    {                                                                                       \
        struct arena a;                                                                     \
        arena_init(&a);                                                                     \
        Sl__JobSpec *s = spec_unpack(u->c, u->j, &a);                                       \
        type *at = (type *)((char *)s + k->where);                                          \
        int rc = (statement);                                                               \
        rc = rc < 0 ? rc : spec_take(u, s, err);                                            \
        arena_fini(&a);                                                                     \
        return rc;                                                                          \
    }

SPEC_KEY(up_text, char *, (*at = arena_strdup(&a, u->value), 0))
SPEC_KEY(up_u32, uint32_t, u32_parse(k, u->value, at, err))
SPEC_KEY(up_yes, protobuf_c_boolean, yes_parse(k, u->value, at, err))
SPEC_KEY(up_nodes, uint32_t, ((void)at, nodes_parse(k, u->value, s, err)))
SPEC_KEY(up_memory, uint64_t,
         (s->mem_per_node_mib = s->mem_per_cpu_mib = s->mem_per_gpu_mib = 0,
          mem_parse_mib(u->value, at, err) < 0 ? err_prefix(err, "%s", k->name) : 0))
SPEC_KEY(up_disk, uint64_t,
         mem_parse_mib(u->value, at, err) < 0 ? err_prefix(err, "%s", k->name) : 0)
SPEC_KEY(up_gres, void,
         ((void)at, s->n_gres = 0,
          gres_parse(u->value, SL__GRES_PER__GRES_PER_NODE, &a, &s->gres, &s->n_gres, err)))

/* Not by SPEC_KEY alone: it must take the owner. */
static int up_reservation(struct update *u, const struct key *k, struct err *err)
{
    const struct job *j = u->j;
    const struct actor owner = {.uid = j->uid, .gid = j->gid};
    const struct admit who = {.actor = &owner, .groups = u->cmd->update.groups,
                              .account = text_of(u->c, j->account), .qos = text_of(u->c, j->qos)};
    if (advres_admit(u->c, u->value, &who, text_of(u->c, j->user), err) < 0)
        return err->code;
    int rc = up_text(u, k, err);
    if (rc == 0)
        u->j->flags &= (uint16_t)~JOBF_RESV_DEL_HOLD;
    return rc;
}

/* ---- the table ------------------------------------------------------------------------- */

#define AT(member) offsetof(Sl__JobSpec, member)
static const struct key keys[] = {
    {"Account", up_tenant, 0, 0, 0},
    {"ArrayTaskThrottle", up_throttle, RUNNING, 0, 0},
    {"Comment", up_text, RUNNING, AT(comment), 0},
    {"Contiguous", up_yes, OPERATOR, AT(contiguous), 0},
    {"CPUsPerTask", up_u32, 0, AT(cpus_per_task), CPUS_PER_NODE_MAX},
    {"Deadline", up_deadline, OPERATOR, 0, 0},
    {"Dependency", up_depend, 0, 0, 0},
    {"EligibleTime", up_begin, 0, 0, 0},
    {"EndTime", up_end, RUNNING, 0, 0},
    {"ExcNodeList", up_text, 0, AT(exclude), 0},
    {"Features", up_text, 0, AT(constraints), 0},
    {"Gres", up_gres, 0, 0, 0},
    {"JobName", up_name, RUNNING, 0, 0},
    {"Licenses", up_text, 0, AT(licenses), 0},
    {"MailType", up_text, RUNNING, AT(mail_type), 0},
    {"MailUser", up_text, RUNNING, AT(mail_user), 0},
    {"MinCPUsNode", up_u32, 0, AT(mincpus), CPUS_PER_NODE_MAX},
    {"MinMemoryCPU", up_memory, 0, AT(mem_per_cpu_mib), 0},
    {"MinMemoryNode", up_memory, 0, AT(mem_per_node_mib), 0},
    {"MinTmpDiskNode", up_disk, OPERATOR, AT(tmp_disk_mib), 0},
    {"Name", up_name, RUNNING, 0, 0},
    {"Nice", up_nice, 0, 0, 0},
    {"NumNodes", up_nodes, 0, 0, NODES_MAX},
    {"NumTasks", up_u32, 0, AT(ntasks), TASKS_PER_STEP_MAX},
    {"OverSubscribe", up_yes, 0, AT(oversubscribe), 0},
    {"Partition", up_partition, 0, 0, 0},
    {"Prefer", up_text, 0, AT(prefer), 0},
    {"Priority", up_priority, 0, 0, 0},
    {"QOS", up_tenant, 0, 0, 0},
    {"ReqCores", up_u32, 0, AT(cores_per_socket), CPUS_PER_NODE_MAX},
    {"ReqNodeList", up_text, 0, AT(nodelist), 0},
    {"ReqNodes", up_nodes, 0, 0, NODES_MAX},
    {"ReqProcs", up_u32, 0, AT(ntasks), TASKS_PER_STEP_MAX},
    {"ReqSockets", up_u32, 0, AT(sockets_per_node), CPUS_PER_NODE_MAX},
    {"ReqThreads", up_u32, 0, AT(threads_per_core), CPUS_PER_NODE_MAX},
    {"Requeue", up_requeue, RUNNING, 0, 0},
    {"ReservationName", up_reservation, 0, AT(reservation), 0},
    {"Shared", up_yes, 0, AT(oversubscribe), 0},
    {"StartTime", up_begin, 0, 0, 0},
    {"StdErr", up_text, 0, AT(std_err), 0},
    {"StdIn", up_text, 0, AT(std_in), 0},
    {"StdOut", up_text, 0, AT(std_out), 0},
    {"TasksPerNode", up_u32, 0, AT(ntasks_per_node), CPUS_PER_NODE_MAX},
    {"TimeLimit", up_limit, RUNNING, 0, 0},
    {"WCKey", up_text, RUNNING, AT(wckey), 0},
    {"WorkDir", up_text, 0, AT(work_dir), 0},
};
#define KEYS_COUNT (sizeof keys / sizeof *keys)

/* Keys of scontrol(1) that mean nothing here so far. */
static const char not_built[] =
    ",AdminComment,BurstBuffer,Clusters,ClusterFeatures,CoreSpec,DelayBoot,ExitCode,Extra,"
    "NodeList,NumCPUs,Reboot,ResetAccrueTime,SiteFactor,"
    "StepId,Switches,ThreadSpec,TimeMin,UserID,";

/* The whole name, or a beginning of three letters or more that no other key has. */
static const struct key *key_find(const char *name, struct err *err)
{
    const struct key *found = NULL;
    char word[64];
    size_t n = strlen(name), several = 0;
    for (size_t i = 0; i < KEYS_COUNT; i++) {
        if (strncasecmp(keys[i].name, name, n) != 0)
            continue;
        if (keys[i].name[n] == '\0')
            return &keys[i];
        found = &keys[i];
        several++;
    }
    if (several == 1 && n >= 3)
        return found;
    snprintf(word, sizeof word, ",%.60s,", name);
    if (n != 0 && strcasestr(not_built, word))
        err_set(err, SL_ENOT_BUILT, "update of a job's %s is not built yet", name);
    else
        err_set(err, SL_EINVAL_FIELD, "Invalid input: %.64s: a job has no such field to update", name);
    return NULL;
}

static int update_one(struct update *u, struct err *err)
{
    struct job *j = u->j;
    if (!is_operator(u) && u->cmd->actor.uid != j->uid)
        return err_set(err, SL_EACCESS, "%s", err_name(SL_EACCESS));
    const struct key *k = key_find(u->cmd->update.key, err);
    if (!k)
        return err->code;
    if (job_state_finished((enum job_state)j->state))
        return err_set(err, SL_EALREADY_DONE, "%s", err_name(SL_EALREADY_DONE));
    if (k->rules & OPERATOR && !is_operator(u))
        return err_set(err, SL_EACCESS, "%s: only operators change %s", err_name(SL_EACCESS),
                       k->name);
    if (j->state != JOB_PENDING && !(k->rules & RUNNING))
        return err_set(err, SL_EINVAL_STATE, "Job is no longer pending execution");
    bool queued = j->queued;
    queue_del(u->c, j); /* its place there depends on what may change */
    int rc = k->set(u, k, err);
    if (rc < 0) {
        if (queued)
            queue_put(u->c, j);
        return rc;
    }
    tenant_follow(u->c, j, u->out);
    job_deadline_timer(u->c, j);
    j->prio_made = 0;
    priority_set(u->c, j, u->now);
    job_gate(u->c, j, u->now);
    plan_afresh(u->c);
    job_changed(u->c, j, u->out, false);
    job_drop_invalid(u->c, j, u->now, u->out);
    return 0;
}

/* All records of an array; those that have begun may refuse what only waiting ones take. */
static int update_array(struct update *u, uint32_t array_id, struct err *err)
{
    struct core *c = u->c;
    struct err first = {0};
    uint32_t done = 0;
    uint32_t n, *ids = kin_ids(c, array_id, &n);
    for (uint32_t i = 0; i < n; i++) {
        struct err one = {0};
        if (!(u->j = job_find(c, ids[i])))
            continue;
        if (update_one(u, &one) == 0)
            done++;
        else if (first.code == 0 || one.code != SL_EALREADY_DONE)
            first = one;
    }
    free(ids);
    if (done == 0)
        *err = first;
    return done ? 0 : first.code;
}

int update_job(struct core *c, const struct command *cmd, usec_t now, struct batch *out,
               struct err *err)
{
    struct update u = {.c = c, .cmd = cmd, .value = cmd->update.value, .now = now, .out = out};
    uint32_t task = cmd->update.task_id;
    uint32_t id = cmd->update.has_task ? core_job_task(c, cmd->update.job_id, task)
                                       : cmd->update.job_id;
    u.j = id ? job_find(c, id) : NULL;
    if (!u.j)
        return err_set(err, SL_EINVAL_JOB_ID, "%s %u", err_name(SL_EINVAL_JOB_ID),
                       cmd->update.job_id);
    if (!cmd->update.has_task && u.j->array_id == id)
        return update_array(&u, id, err);
    if (!cmd->update.has_task || !task_waits(u.j, task))
        return update_one(&u, err);
    struct job *rest = u.j;
    uint32_t id_next = c->job_id_next;
    u.j = job_split(c, rest, task, out);
    if (!u.j)
        return err_set(err, SL_ETOO_MANY, "no job id is free");
    int rc = update_one(&u, err);
    if (rc < 0)
        job_unsplit(c, rest, u.j, id_next);
    return rc;
}
