/* SPDX-License-Identifier: Apache-2.0 */
#include "sched_people.h"

#include "sched_truth.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OWNER 1000u
#define JOBS_ALIVE_MAX 60u

static const struct actor owner = {.uid = OWNER, .gid = OWNER, .user = "u"};
static const struct actor root = {.admin = true, .user = "root"};

/* ---- users ---------------------------------------------------------------------- */

static uint32_t job_any(struct world *w)
{
    uint32_t count = (uint32_t)core_job_count(w->core, false), id = 0, cursor = 0;
    for (uint32_t skip = world_below(w, count) + 1; skip && cursor != UINT32_MAX;
         skip--) {
        uint32_t found;
        cursor = core_job_next(w->core, cursor, &found);
        if (cursor != UINT32_MAX)
            id = found;
    }
    return id;
}

static struct need need_draw(struct world *w, char *text, size_t n)
{
    static const struct {
        const char *name;
        char kind;
    } kinds[] = {
        {"after", 's'}, {"afterany", 'o'}, {"afterok", 'g'}, {"afternotok", 'b'}};
    struct job_view v;
    uint32_t id = job_any(w), k = world_below(w, 4), form = world_below(w, 10);
    text[0] = '\0';
    if (!core_job_view(w->core, id, false, &v))
        return (struct need){0};
    if (v.array_job_id)
        id = v.array_job_id; /* all of the array */
    /* forms whose meaning the invariants and the rest of the episode judge */
    if (form == 0)
        snprintf(text, n, "singleton");
    else if (form == 1)
        snprintf(text, n, "aftercorr:%u", id);
    else if (form == 2)
        snprintf(text, n, "afterok:%u?afternotok:%u?singleton", id, id);
    else if (form == 3 && v.is_array_task)
        snprintf(text, n, "%s:%u_%u", kinds[k].name, id, v.array_task_id);
    if (text[0])
        return (struct need){0};
    snprintf(text, n, "%s:%u%s", kinds[k].name, id, form == 4 && k == 0 ? "+1" : "");
    return (struct need){id, kinds[k].kind};
}

struct wish { /* storage of one submission */
    Sl__JobSpec spec;
    Sl__GresReq gres, *gress[1];
    char array[16], depend[48];
    char *part[2];
    uint32_t tasks;
    struct need need;
};

static void wish_size(struct world *w, struct wish *s)
{
    static char gpu[] = "gpu";
    s->spec.ntasks = 1 + world_below(w, 4);
    s->spec.mem_per_cpu_mib = 1 + world_below(w, 400);
    if (world_chance(w, 20))
        s->spec.nodes_min = s->spec.nodes_max = 1 + world_below(w, 3);
    if (world_chance(w, 10))
        s->spec.exclusive = 1;
    if (world_chance(w, 15)) {
        sl__gres_req__init(&s->gres);
        s->gres.name = gpu;
        s->gres.count = 1 + world_below(w, 2);
        s->gress[0] = &s->gres;
        s->spec.gres = s->gress;
        s->spec.n_gres = 1;
    }
    if (world_chance(w, 10))
        s->spec.cpus_per_task = 1 + world_below(w, 2);
    if (world_chance(w, 5)) {
        s->spec.mem_per_cpu_mib = 0;
        s->spec.mem_per_node_mib = 1 + world_below(w, 3000);
    }
}

/* Where: partitions, nodes, features. */
static void wish_place(struct world *w, struct wish *s)
{
    static char main[] = "main", few[] = "few", whole[] = "whole";
    static char *const parts[][2] = {{few}, {few}, {whole}, {main, few}};
    static char features[][20] = {"fast", "big", "old", "fast&big", "big|old",
                                  "[fast|old]", "[big*1&old*1]", "fast*2"};
    static char nodes[][8] = {"n1", "n[2-3]", "n5"};
    if (world_chance(w, 25)) {
        uint32_t k = world_below(w, 4);
        s->part[0] = parts[k][0];
        s->part[1] = parts[k][1];
        s->spec.partitions = s->part;
        s->spec.n_partitions = parts[k][1] ? 2 : 1;
    }
    if (world_chance(w, 12))
        s->spec.constraints = features[world_below(w, 8)];
    if (world_chance(w, 3))
        s->spec.prefer = features[world_below(w, 3)];
    if (world_chance(w, 4))
        s->spec.nodelist = nodes[world_below(w, 3)];
    if (world_chance(w, 4))
        s->spec.exclude = nodes[world_below(w, 3)];
    s->spec.contiguous = world_chance(w, 3);
    s->spec.spread = world_chance(w, 3);
    if (world_chance(w, 4)) {
        s->spec.switches = 1;
        s->spec.switches_wait_usec = world_below(w, 120) * USEC_PER_SEC;
    }
}

/* When, and for whom. */
static void wish_policy(struct world *w, struct wish *s)
{
    static char accounts[2][4] = {"a", "b"}, high[] = "high", warn[] = "USR1@20";
    s->spec.hold = world_chance(w, 8);
    s->spec.requeue = world_below(w, 3);
    if (world_chance(w, 5))
        s->spec.begin_usec = world_now(w) + world_below(w, 300) * USEC_PER_SEC;
    if (world_chance(w, 4))
        s->spec.deadline_usec =
            world_now(w) + (60 + world_below(w, 900)) * USEC_PER_SEC;
    if (world_chance(w, 40))
        s->spec.time_limit_usec = (30 + world_below(w, 600)) * USEC_PER_SEC;
    if (s->spec.time_limit_usec && world_chance(w, 15))
        s->spec.time_min_usec = (1 + world_below(w, 30)) * USEC_PER_SEC;
    if (world_chance(w, 25))
        s->spec.account = accounts[world_below(w, 2)];
    if (world_chance(w, 15))
        s->spec.qos = high;
    if (world_chance(w, 5))
        s->spec.signal = warn;
    s->spec.nice = world_chance(w, 5) ? (int32_t)world_below(w, 100) : 0;
    s->spec.no_kill = world_chance(w, 5);
    s->spec.kill_on_invalid_dep = world_chance(w, 10);
}

static void wish_make(struct world *w, struct wish *s)
{
    static char names[3][8] = {"job", "other", "third"};
    static char reservations[3][8] = {"ra", "rb", "rb,rc"};
    static char licenses[4][16] = {"tool", "tool:2", "other,tool:3", "tool:4"};
    memset(s, 0, sizeof *s);
    sl__job_spec__init(&s->spec);
    s->spec.name = names[world_below(w, 3)];
    s->spec.type = world_chance(w, 85) ? SL__JOB_TYPE__JOB_TYPE_BATCH
                                       : SL__JOB_TYPE__JOB_TYPE_ALLOC;
    wish_size(w, s);
    wish_place(w, s);
    if (world_chance(w, 15) && s->spec.type == SL__JOB_TYPE__JOB_TYPE_BATCH) {
        s->tasks = 1 + world_below(w, 5);
        snprintf(s->array, sizeof s->array, world_chance(w, 50) ? "0-%u" : "0-%u%%2",
                 s->tasks - 1);
        s->spec.array = s->array;
    }
    if (world_chance(w, 20)) {
        s->need = need_draw(w, s->depend, sizeof s->depend);
        s->spec.dependency = s->depend;
    }
    if (world_chance(w, 8))
        s->spec.reservation = reservations[world_below(w, 3)];
    if (world_chance(w, 15))
        s->spec.licenses = licenses[world_below(w, 4)];
    wish_policy(w, s);
}

static void submit(struct world *w)
{
    struct wish s;
    struct err err = {0};
    if (core_job_count(w->core, true) > JOBS_ALIVE_MAX)
        return;
    wish_make(w, &s);
    struct command cmd = {
        .kind = CMD_SUBMIT,
        .actor = owner,
        .submit = {.spec = &s.spec, .user = "u", .test_only = world_chance(w, 3)}};
    if (world_apply(w, &cmd, &err) < 0 || cmd.submit.test_only)
        return;
    truth_submitted(w->truth, w->batch.job_id, s.tasks, s.need);
    truth_changed(w, w->batch.job_id); /* it may be over already */
    world_promise(w, (struct promise){.kind = PROMISE_SUBMIT,
                                      .job_id = w->batch.job_id,
                                      .task = NO_VAL});
    if (s.spec.hold)
        world_promise(w, (struct promise){.kind = PROMISE_HOLD,
                                          .job_id = w->batch.job_id,
                                          .task = NO_VAL});
}

/* Marks what the owner asked for, whether or not an answer comes. */
static void ask_cancel(struct world *w, uint32_t job_id, uint32_t task)
{
    struct unit *u, *next;
    HASH_ITER(hh, w->truth->units, u, next)
    {
        if (u->key.job_id == job_id && (task == NO_VAL || u->key.task == task))
            u->cancel_asked = true;
    }
}

static bool over_or_ending(struct world *w, uint32_t id)
{
    struct job_view v;
    return !core_job_view(w->core, id, false, &v) || job_state_finished(v.state);
}

/* One command on a job, one task of an array, or a whole array. */
static void command_job(struct world *w, enum command_kind kind)
{
    struct job_view v;
    uint32_t id = job_any(w);
    struct command cmd = {.kind = kind, .actor = world_chance(w, 60) ? owner : root};
    struct err err = {0};
    if (!core_job_view(w->core, id, false, &v))
        return;
    uint32_t unit = id, task = NO_VAL;
    cmd.job.job_id = id;
    if (v.array_job_id) {
        unit = cmd.job.job_id = v.array_job_id;
        if (world_chance(w, 60)) {
            cmd.job.has_task = true;
            cmd.job.task_id = task = world_below(w, 5);
        }
    }
    cmd.job.requeue_hold = kind == CMD_REQUEUE && world_chance(w, 20);
    if (kind == CMD_CANCEL && world_chance(w, 20))
        cmd.job.signal = world_chance(w, 50) ? SIGUSR1 : SIGKILL;
    bool whole_array = v.array_job_id && task == NO_VAL;
    bool cancel = kind == CMD_CANCEL && cmd.job.signal == 0;
    if (cancel)
        ask_cancel(w, unit, task);
    if (kind == CMD_CANCEL && cmd.job.signal == SIGKILL)
        ask_cancel(w, unit, task); /* of a pending job: ends it */
    uint32_t target = task == NO_VAL ? unit : core_job_task(w->core, unit, task);
    bool over = kind == CMD_REQUEUE && over_or_ending(w, target);
    if (world_apply(w, &cmd, &err) < 0)
        return;
    if (kind == CMD_RELEASE || (kind == CMD_REQUEUE && (over || whole_array)))
        truth_let_go(w, unit, task);
    if (cancel)
        world_promise(
            w, (struct promise){.kind = PROMISE_CANCEL, .job_id = unit, .task = task});
    /* a hold of an array leaves its running tasks as they are */
    if (kind == CMD_HOLD && !whole_array)
        world_promise(
            w, (struct promise){.kind = PROMISE_HOLD, .job_id = unit, .task = task});
}

static void update_job(struct world *w)
{
    static const struct {
        const char *key, *value;
    } pairs[] = {{"TimeLimit", "5"},         {"TimeLimit", "+1"},
                 {"Priority", "1000"},       {"Nice", "5"},
                 {"Requeue", "1"},           {"JobName", "other"},
                 {"MailUser", "m"}, {"Comment", "c"},
                 {"Partition", "main"},      {"Partition", "none"},
                 {"MinMemoryNode", "100"},   {"NumNodes", "2"},
                 {"TimeLimit", "x"},         {"Dependency", "afterok:999999999"},
                 {"Dependency", "singleton"}, {"Dependency", ""},
                 {"Features", "fast"},       {"Features", ""},
                 {"QOS", "high"},            {"Account", "b"},
                 {"ArrayTaskThrottle", "1"}, {"ArrayTaskThrottle", "0"},
                 {"ReqNodeList", "n3"},      {"ExcNodeList", "n1"},
                 {"Licenses", "other"},      {"ReservationName", "ra"},
                 {"StartTime", "now+60"},    {"EndTime", "now+90"},
                 {"Partition", "few"},       {"Partition", "whole"},
                 {"NumTasks", "3"},          {"CPUsPerTask", "2"}};
    struct job_view v;
    struct err err = {0};
    uint32_t k = world_below(w, sizeof pairs / sizeof *pairs);
    struct command cmd = {.kind = CMD_JOB_UPDATE,
                          .actor = world_chance(w, 50) ? owner : root};
    if (!core_job_view(w->core, job_any(w), false, &v))
        return;
    cmd.update.job_id = v.job_id;
    if (v.array_job_id && world_chance(w, 50)) {
        cmd.update.job_id = v.array_job_id;
        cmd.update.has_task = true;
        cmd.update.task_id = world_below(w, 5);
    }
    cmd.update.key = pairs[k].key;
    cmd.update.value = pairs[k].value;
    if (world_apply(w, &cmd, &err) < 0)
        return;
    /* scontrol(1): a priority given to a held job releases it */
    if (strcmp(cmd.update.key, "Priority") == 0)
        truth_let_go(w, v.array_job_id ? v.array_job_id : v.job_id, NO_VAL);
    if (strcmp(cmd.update.key, "Dependency") == 0)
        truth_free(w, v.array_job_id ? v.array_job_id : v.job_id);
}

static void client(struct world *w)
{
    struct job_view v;
    struct err err = {0};
    struct command cmd = {
        .kind = world_chance(w, 50) ? CMD_CLIENT_LOST : CMD_CLIENT_BACK, .actor = root};
    if (!core_job_view(w->core, job_any(w), false, &v) ||
        v.type != SL__JOB_TYPE__JOB_TYPE_ALLOC)
        return;
    cmd.job.job_id = v.job_id;
    world_apply(w, &cmd, &err);
}

/* ---- operators and time --------------------------------------------------------- */

static void node_update(struct world *w, const char *name, const char *key,
                        const char *value)
{
    struct command cmd = {.kind = CMD_NODE_UPDATE,
                          .actor = root,
                          .update = {.object = name, .key = key, .value = value}};
    struct err err = {0};
    world_apply(w, &cmd, &err);
}

/* Reservations of an hour at most, some of which recur until they are deleted. */
static void reserve(struct world *w)
{
    static const char *const names[] = {"ra", "rb", "rc"}, *const nodes[] = {"n1", "n[2-4]", "ALL"};
    static const char *const flags[] = {"", "MAINT,IGNORE_JOBS", "FLEX", "PURGE_COMP=1", "OVERLAP,IGNORE_JOBS",
                                        "HOURLY,IGNORE_JOBS", "NO_HOLD_JOBS_AFTER"};
    char start[32], minutes[16];
    struct err err = {0};
    snprintf(start, sizeof start, "now+%uminutes", world_below(w, 20));
    snprintf(minutes, sizeof minutes, "%u", 1 + world_below(w, 30));
    const char *key[] = {"StartTime", "Duration", "Nodes", "Users", "Flags"};
    const char *value[] = {start, minutes, nodes[world_below(w, 3)],
                           world_chance(w, 70) ? "u" : "-u", flags[world_below(w, 7)]};
    struct command cmd = {.kind = world_chance(w, 60)   ? CMD_RESV_CREATE
                                  : world_chance(w, 50) ? CMD_RESV_UPDATE
                                                        : CMD_RESV_DELETE,
                          .actor = root,
                          .resv = {.name = names[world_below(w, 3)], .key = key, .value = value,
                                   .count = 5}};
    if (cmd.kind == CMD_RESV_DELETE)
        cmd.resv.count = 0;
    world_apply(w, &cmd, &err);
}

void people_operate(struct world *w)
{
    if (world_chance(w, 25)) {
        reserve(w);
        return;
    }
    static const char *const states[] = {"DRAIN", "DOWN", "RESUME", "RESUME",
                                         "UNDRAIN"};
    static const char *const part[] = {"UP", "UP", "DOWN", "DRAIN", "INACTIVE"};
    struct err err = {0};
    const char *node = w->node[world_below(w, WORLD_NODES)].name;
    if (world_chance(w, 70)) {
        node_update(w, node, "Reason", "drill");
        node_update(w, node, "State", states[world_below(w, 5)]);
        return;
    }
    struct command cmd = {.kind = CMD_PARTITION_UPDATE,
                          .actor = root,
                          .update = {.object = world_chance(w, 50) ? "main" : world_chance(w, 50) ? "few" : "whole",
                                     .key = "State",
                                     .value = part[world_below(w, 5)]}};
    world_apply(w, &cmd, &err);
}

void people_tick(struct world *w)
{
    struct command cmd = {.kind = CMD_TICK, .actor = root};
    struct err err = {0};
    world_apply(w, &cmd, &err);
    judge_tick(w);
}

void people_time_passes(struct world *w)
{
    uint32_t kind = world_below(w, 10);
    world_pass(w, kind < 6   ? (usec_t)world_below(w, 200000)
                  : kind < 9 ? world_below(w, 20) * USEC_PER_SEC
                             : world_below(w, 120) * USEC_PER_SEC);
    if (world_chance(w, 5))
        world_wall_jump(w, ((usec_t)world_below(w, 7200) - 3600) * USEC_PER_SEC);
    people_tick(w);
}

/* ---- tenants ---------------------------------------------------------------------- */

static const struct {
    Sl__TenantOp op;
    const char *what, *where, *set; /* one pair each, or two after a blank */
} tenant_ops[] = {
    {SL__TENANT_OP__TENANT_OP_ADD, "account", "", "name=a"},
    {SL__TENANT_OP__TENANT_OP_ADD, "account", "", "name=b parent=a"},
    {SL__TENANT_OP__TENANT_OP_ADD, "user", "", "name=u account=a"},
    {SL__TENANT_OP__TENANT_OP_ADD, "user", "", "name=u account=b"},
    {SL__TENANT_OP__TENANT_OP_DELETE, "user", "name=u account=b", ""},
    {SL__TENANT_OP__TENANT_OP_DELETE, "account", "name=b", ""},
    {SL__TENANT_OP__TENANT_OP_DELETE, "account", "name=a", ""},
    {SL__TENANT_OP__TENANT_OP_MODIFY, "account", "name=b", "parent=root"},
    {SL__TENANT_OP__TENANT_OP_MODIFY, "account", "name=b", "parent=a"},
    {SL__TENANT_OP__TENANT_OP_MODIFY, "account", "name=a", "rawusage=0"},
    {SL__TENANT_OP__TENANT_OP_MODIFY, "account", "name=a", "grptres=cpu=6"},
    {SL__TENANT_OP__TENANT_OP_MODIFY, "user", "name=u", "maxjobs=3"},
    {SL__TENANT_OP__TENANT_OP_MODIFY, "qos", "name=normal", "maxtrespu=cpu=9"},
    {SL__TENANT_OP__TENANT_OP_MODIFY, "qos", "name=normal", "grpsubmit=40"},
    {SL__TENANT_OP__TENANT_OP_ADD, "qos", "", "name=high preempt=normal priority=10"},
    {SL__TENANT_OP__TENANT_OP_ADD, "qos", "", "name=high preempt=normal priority=10"},
    {SL__TENANT_OP__TENANT_OP_ADD, "qos", "", "name=part"},
    {SL__TENANT_OP__TENANT_OP_MODIFY, "qos", "name=high", "grpjobs=2 maxtrespernode=cpu=3"},
    {SL__TENANT_OP__TENANT_OP_MODIFY, "qos", "name=part", "maxjobspu=3 maxtres=cpu=5"},
    {SL__TENANT_OP__TENANT_OP_MODIFY, "user", "name=u", "maxtres=cpu=6 maxwall=8"},
    {SL__TENANT_OP__TENANT_OP_MODIFY, "account", "name=b", "grptresrunmins=cpu=60"},
    {SL__TENANT_OP__TENANT_OP_MODIFY, "account", "name=a", "grpjobs=4"},
    {SL__TENANT_OP__TENANT_OP_MODIFY, "account", "name=root", "grptres=cpu=20"},
    /* the rest lifts all limits */
    {SL__TENANT_OP__TENANT_OP_MODIFY, "account", "name=a", "grptres=cpu=-1"},
    {SL__TENANT_OP__TENANT_OP_MODIFY, "user", "name=u", "maxjobs=-1"},
    {SL__TENANT_OP__TENANT_OP_MODIFY, "qos", "name=normal", "maxtrespu=cpu=-1"},
    {SL__TENANT_OP__TENANT_OP_MODIFY, "qos", "name=normal", "grpsubmit=-1"},
    {SL__TENANT_OP__TENANT_OP_MODIFY, "qos", "name=high", "grpjobs=-1 maxtrespernode=cpu=-1"},
    {SL__TENANT_OP__TENANT_OP_MODIFY, "qos", "name=part", "maxjobspu=-1 maxtres=cpu=-1"},
    {SL__TENANT_OP__TENANT_OP_MODIFY, "user", "name=u", "maxtres=cpu=-1 maxwall=-1"},
    {SL__TENANT_OP__TENANT_OP_MODIFY, "account", "name=b", "grptresrunmins=cpu=-1"},
    {SL__TENANT_OP__TENANT_OP_MODIFY, "account", "name=a", "grpjobs=-1"},
    {SL__TENANT_OP__TENANT_OP_MODIFY, "account", "name=root", "grptres=cpu=-1"},
};
#define TENANT_OPS (sizeof tenant_ops / sizeof *tenant_ops)
#define TENANT_LIFTS 10

static size_t pairs(char *text, Sl__KeyValue *kv, Sl__KeyValue **out)
{
    size_t n = 0;
    char *save = NULL;
    for (char *p = strtok_r(text, " ", &save); p; p = strtok_r(NULL, " ", &save)) {
        char *eq = strchr(p, '=');
        *eq = '\0';
        sl__key_value__init(&kv[n]);
        kv[n].key = p;
        kv[n].value = eq + 1;
        out[n] = &kv[n];
        n++;
    }
    return n;
}

static void tenant(struct world *w, size_t at)
{
    Sl__TenantRequest r = SL__TENANT_REQUEST__INIT;
    Sl__KeyValue kv[8], *where[4], *set[4];
    char a[64], b[64];
    struct err err = {0};
    snprintf(a, sizeof a, "%s", tenant_ops[at].where);
    snprintf(b, sizeof b, "%s", tenant_ops[at].set);
    r.op = tenant_ops[at].op;
    r.what = (char *)tenant_ops[at].what;
    r.where = where;
    r.n_where = pairs(a, kv, where);
    r.set = set;
    r.n_set = pairs(b, kv + 4, set);
    if (w->policy.priority_half_life == 0 && strstr(tenant_ops[at].set, "rawusage"))
        return; /* there all usage is compared with what jobs ran */
    struct command cmd = {.kind = CMD_TENANT, .actor = root, .tenant = &r};
    world_say(w, "tenant %s %s %s", tenant_ops[at].what, tenant_ops[at].where, tenant_ops[at].set);
    world_apply(w, &cmd, &err);
}

void people_user(struct world *w)
{
    static const enum command_kind kinds[] = {
        CMD_CANCEL,  CMD_CANCEL,  CMD_HOLD,   CMD_RELEASE, CMD_RELEASE,
        CMD_REQUEUE, CMD_SUSPEND, CMD_RESUME, CMD_RESUME,  CMD_TOP};
    uint32_t r = world_below(w, 100);
    if (r < 55)
        submit(w);
    else if (r < 90)
        command_job(w, kinds[world_below(w, sizeof kinds / sizeof *kinds)]);
    else if (r < 95)
        update_job(w);
    else if (r < 97)
        tenant(w, world_below(w, TENANT_OPS));
    else
        client(w);
}

void people_heal(struct world *w)
{
    struct err err = {0};
    static const char *const names[] = {"main", "few", "whole"};
    struct resv_view resv;
    while (core_resv_view(w->core, 0, &resv)) {
        char name[8];
        const char *const end = "Flags", *const none = "NO_HOLD_JOBS_AFTER,IGNORE_JOBS,OVERLAP";
        snprintf(name, sizeof name, "%s", resv.name);
        struct command cmd = {.kind = CMD_RESV_UPDATE, .actor = root,
                              .resv = {.name = name, .key = &end, .value = &none, .count = 1}};
        world_apply(w, &cmd, &err);
        cmd.kind = CMD_RESV_DELETE;
        cmd.resv.count = 0;
        if (world_apply(w, &cmd, &err) < 0) /* in use */
            break;
    }
    for (size_t i = TENANT_OPS - TENANT_LIFTS; i < TENANT_OPS; i++)
        tenant(w, i);
    for (uint32_t i = 0; i < WORLD_NODES; i++)
        node_update(w, w->node[i].name, "State", "RESUME");
    for (int i = 0; i < 3; i++) {
        struct command cmd = {
            .kind = CMD_PARTITION_UPDATE,
            .actor = root,
            .update = {.object = names[i], .key = "State", .value = "UP"}};
        world_apply(w, &cmd, &err);
    }
}
