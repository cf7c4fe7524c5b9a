/* SPDX-License-Identifier: Apache-2.0
 *
 * The core, its generations and its disk. Nodes and links are in sched_nodes.c.
 */
#include "sched_world.h"

#include "sched/record.pb-c.h"
#include "sched/tenant.h"
#include "sched_truth.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORLD_START (INT64_C(1700000000) * USEC_PER_SEC)

#define PUSH(list, count, cap, value)                                                  \
    do {                                                                               \
        if ((count) == (cap)) {                                                        \
            (cap) = 2 * (cap) + 16;                                                    \
            (list) = xrealloc((list), (cap) * sizeof *(list));                         \
        }                                                                              \
        (list)[(count)++] = (value);                                                   \
    } while (0)

/* ---- chance and time ------------------------------------------------------------ */

/* splitmix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators"
 * (2014) */
uint64_t world_random(struct world *w)
{
    uint64_t z = w->random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint32_t world_below(struct world *w, uint32_t n)
{
    uint64_t r = world_random(w);
    return n ? (uint32_t)(r % n) : 0;
}

bool world_chance(struct world *w, uint32_t percent)
{
    return world_below(w, 100) < percent;
}

usec_t world_now(struct world *w)
{
    usec_t now = clock_step(&w->clock, w->wall, w->mono);
    if (now < w->last)
        broken(w, "the clock ran back by %lld us", (long long)(w->last - now));
    return w->last = now;
}

void world_pass(struct world *w, usec_t span)
{
    w->wall += span;
    w->mono += span;
}

void world_wall_jump(struct world *w, usec_t span)
{
    w->wall += span;
    if (w->wall < USEC_PER_SEC)
        w->wall = USEC_PER_SEC;
}

void world_say(const struct world *w, const char *fmt, ...)
{
    va_list ap;
    if (!w->trace)
        return;
    fprintf(stderr, "%6" PRIu64 " %12.3f ", w->stats.commands,
            (double)(w->last - WORLD_START) / USEC_PER_SEC);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
}

static void digest(struct world *w, const void *p, size_t n)
{
    const unsigned char *c = p;
    for (size_t i = 0; i < n; i++) /* FNV-1a */
        w->digest = (w->digest ^ c[i]) * UINT64_C(0x100000001b3);
}

/* ---- records -------------------------------------------------------------------- */

static size_t records_at(const struct records *r, uint32_t id)
{
    size_t lo = 0, hi = r->count;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (r->v[mid].id < id)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* The place for the record; the caller writes or clears the bytes. */
static struct buf *records_put(struct records *r, uint32_t id)
{
    size_t at = records_at(r, id);
    if (at == r->count || r->v[at].id != id) {
        struct record fresh = {.id = id};
        buf_init(&fresh.bytes);
        PUSH(r->v, r->count, r->cap, fresh);
        memmove(r->v + at + 1, r->v + at, (r->count - at - 1) * sizeof *r->v);
        r->v[at] = fresh;
    }
    buf_clear(&r->v[at].bytes);
    return &r->v[at].bytes;
}

static void records_drop(struct records *r, uint32_t id)
{
    size_t at = records_at(r, id);
    if (at == r->count || r->v[at].id != id)
        return;
    buf_fini(&r->v[at].bytes);
    memmove(r->v + at, r->v + at + 1, (r->count - at - 1) * sizeof *r->v);
    r->count--;
}

static void records_clear(struct records *r)
{
    for (size_t i = 0; i < r->count; i++)
        buf_fini(&r->v[i].bytes);
    r->count = 0;
}

static void records_fini(struct records *r)
{
    records_clear(r);
    free(r->v);
}

static void generation_clear(struct generation *g)
{
    g->jobs_count = g->nodes_count = g->resvs_count = g->promises_count = g->effects_count = 0;
    records_clear(&g->resv_records);
    g->meta = false;
    g->tenants_count = 0;
    records_clear(&g->job_records);
    records_clear(&g->node_records);
    records_clear(&g->tenant_records);
    buf_clear(&g->meta_record);
}

static void generation_fini(struct generation *g)
{
    records_fini(&g->job_records);
    records_fini(&g->resv_records);
    free(g->resvs);
    records_fini(&g->node_records);
    records_fini(&g->tenant_records);
    buf_fini(&g->meta_record);
    free(g->tenants);
    free(g->jobs);
    free(g->nodes);
    free(g->promises);
    free(g->effects);
}

static bool generation_empty(const struct generation *g)
{
    return !g->jobs_count && !g->nodes_count && !g->resvs_count && !g->meta && !g->promises_count &&
           !g->effects_count;
}

/* ---- a core --------------------------------------------------------------------- */

static const struct core_policy policy = {.kill_wait = 30 * USEC_PER_SEC,
                                          .node_timeout = 60 * USEC_PER_SEC,
                                          .inactive_limit = 120 * USEC_PER_SEC,
                                          .job_keep = 30 * 86400 * USEC_PER_SEC,
                                          .job_id_first = 1,
                                          .job_id_max = 1000000000,
                                          .jobs_max = 1000,
                                          .array_size_max = 1000,
                                          .requeue_max = 3,
                                          .requeue_default = true,
                                          .return_to_service = 2,
                                          .enforce = ENFORCE_LIMITS,
                                          .priority_period = 300 * USEC_PER_SEC,
                                          .priority_half_life = 86400 * USEC_PER_SEC,
                                          .backfill = BACKFILL_CONSERVATIVE,
                                          .backfill_depth = 2,
                                          .preempt = PREEMPT_TIER,
                                          .preempt_mode = PREEMPT_REQUEUE,
                                          .preempt_exempt = 5 * USEC_PER_SEC,
                                          .licenses = "tool:3,other:2"};
static const struct core_partition parts[] = {
    {.name = "main",
     .nodes = "ALL",
     .is_default = true,
     .time_max = SPAN_INFINITE,
     .time_default = 600 * USEC_PER_SEC,
     .priority_tier = 1,
     .grace_time = 20 * USEC_PER_SEC},
    {.name = "few", .nodes = "n[1-3]", .time_max = SPAN_INFINITE, .priority_tier = 2}};

/* Index in the world; node tables of two cores may differ in order. */
static uint32_t node_of(const struct world *w, uint32_t index)
{
    struct node_view v;
    if (core_node_view(w->core, index, &v))
        for (uint32_t i = 0; i < WORLD_NODES; i++)
            if (strcmp(w->node[i].name, v.name) == 0)
                return i;
    broken(w, "the core has a node %u that does not exist", index);
}

static void load(struct world *w, struct buf *bytes, const char *what,
                 int (*into)(struct core *c, const void *p, size_t n, struct err *err))
{
    struct err err = {0};
    if (bytes->len && into(w->core, bytes->data, bytes->len, &err) < 0)
        broken(w, "a %s's record is not loaded: %s", what, err.text);
}

static void core_begin(struct world *w)
{
    struct err err = {0};
    clock_start(&w->clock, w->wall, w->mono, w->disk_clock);
    w->last = 0;
    w->core = core_create(&policy, &err);
    if (!w->core || core_configure(w->core, &policy, parts, 2, NULL, 0, true,
                                   world_now(w), &err) < 0)
        broken(w, "configuration: %s", err.text);
    load(w, &w->disk_meta, "counter", core_meta_load);
    for (size_t i = 0; i < w->disk_tenants.count; i++)
        load(w, &w->disk_tenants.v[i].bytes, "tenant", core_tenant_load);
    for (size_t i = 0; i < w->disk_nodes.count; i++)
        load(w, &w->disk_nodes.v[i].bytes, "node", core_node_load);
    for (size_t i = 0; i < w->disk_resvs.count; i++)
        load(w, &w->disk_resvs.v[i].bytes, "reservation", core_resv_load);
    for (size_t i = 0; i < w->disk_jobs.count; i++)
        load(w, &w->disk_jobs.v[i].bytes, "job", core_job_load);
    if (core_load_end(w->core, world_now(w), &err) < 0)
        broken(w, "after loading: %s", err.text);
}

struct world *world_create(uint64_t seed, struct truth *truth)
{
    static const struct {
        uint32_t cores, numas, gpus;
    } made_of[WORLD_NODES] = {{4, 1, 0}, {4, 1, 0}, {8, 2, 2}, {2, 1, 0}, {8, 2, 4}};
    struct world *w = xcalloc(1, sizeof *w);
    w->seed = w->random = seed;
    w->truth = truth;
    w->trace = getenv("SLURMLIKE_TRACE") != NULL;
    w->wall = WORLD_START;
    w->mono = USEC_PER_SEC;
    w->digest = UINT64_C(0xcbf29ce484222325);
    batch_init(&w->batch);
    for (uint32_t i = 0; i < WORLD_NODES; i++) {
        struct sim_node *n = &w->node[i];
        snprintf(n->name, sizeof n->name, "n%u", i + 1);
        n->cores = made_of[i].cores;
        n->numas = made_of[i].numas;
        n->gpus = made_of[i].gpus;
        n->seq_last = 1;
    }
    core_begin(w);
    return w;
}

static void queue_fini(struct sim_queue *q)
{
    for (size_t i = 0; i < q->count; i++) {
        free(q->v[i].reports);
        free(q->v[i].jobs);
    }
    free(q->v);
}

void world_destroy(struct world *w)
{
    core_destroy(w->core);
    batch_fini(&w->batch);
    generation_fini(&w->gather);
    generation_fini(&w->flight);
    records_fini(&w->disk_jobs);
    records_fini(&w->disk_resvs);
    records_fini(&w->disk_nodes);
    records_fini(&w->disk_tenants);
    buf_fini(&w->disk_meta);
    free(w->late);
    for (uint32_t i = 0; i < WORLD_NODES; i++) {
        queue_fini(&w->node[i].down);
        queue_fini(&w->node[i].up);
        free(w->node[i].job);
        free(w->node[i].log);
    }
    free(w);
}

/* ---- commands ------------------------------------------------------------------- */

static void say_job(const struct world *w, uint32_t job_id)
{
    struct job_view v;
    if (w->trace && core_job_view(w->core, job_id, false, &v))
        world_say(w, "  job %u.%u of %u_%d%s %s flags=%u reason=%s", job_id, v.restart,
                  v.array_job_id, v.is_array_task ? (int)v.array_task_id : -1,
                  v.array_text, job_state_name(v.state), v.flags, v.reason_text);
}

static void absorb(struct world *w)
{
    struct generation *g = &w->gather;
    const struct batch *b = &w->batch;
    for (size_t i = 0; i < b->changes_count; i++) {
        const struct change *ch = &b->changes[i];
        digest(w, ch, sizeof *ch);
        if (ch->kind == CHANGE_JOB) {
            PUSH(g->jobs, g->jobs_count, g->jobs_cap, ch->id);
            say_job(w, ch->id);
            truth_changed(w, ch->id);
        } else if (ch->kind == CHANGE_NODE) {
            PUSH(g->nodes, g->nodes_count, g->nodes_cap, ch->id);
        } else if (ch->kind == CHANGE_RESV) {
            PUSH(g->resvs, g->resvs_count, g->resvs_cap, ch->id);
        } else if (ch->kind == CHANGE_TENANT) {
            PUSH(g->tenants, g->tenants_count, g->tenants_cap, *ch);
        } else if (ch->kind == CHANGE_META) {
            g->meta = true;
        }
    }
    for (size_t i = 0; i < b->effects_count; i++) {
        const struct effect *e = &b->effects[i];
        if (e->kind != EFFECT_NOTIFY)
            world_say(w, "  effect %d job %u.%u node %u signal %u", e->kind, e->job_id,
                      e->restart, e->node, e->term.signal);
        uint32_t sum[] = {e->kind, e->job_id, e->restart, e->node, e->term.signal};
        digest(w, sum, sizeof sum);
        if (e->kind == EFFECT_NOTIFY)
            truth_changed(w, e->job_id);
        else
            PUSH(g->effects, g->effects_count, g->effects_cap, *e);
    }
    w->stats.starts += b->effects_count && b->effects[0].kind == EFFECT_LAUNCH;
}

/* Every job as it would be saved. */
static void snapshot(const struct world *w, struct records *out)
{
    uint32_t cursor = 0, id;
    records_clear(out);
    while ((cursor = core_job_next(w->core, cursor, &id)) != UINT32_MAX)
        core_job_save(w->core, id, records_put(out, id));
    core_meta_save(w->core, records_put(out, 0));
}

static void unchanged(struct world *w, const struct records *before, const struct command *cmd,
                      const struct err *err)
{
    struct records after = {0};
    snapshot(w, &after);
    if (before->count != after.count)
        broken(w, "refused command %d made or dropped jobs: %s", cmd->kind, err->text);
    for (size_t i = 0; i < after.count; i++) {
        const struct buf *a = &before->v[i].bytes, *b = &after.v[i].bytes;
        if (a->len != b->len || memcmp(a->data, b->data, a->len) != 0)
            broken(w, "refused command %d changed job %u: %s", cmd->kind, after.v[i].id,
                   err->text);
    }
    records_fini(&after);
}

int world_apply(struct world *w, const struct command *cmd, struct err *err)
{
    struct records before = {0};
    bool compare = world_chance(w, 10);
    if (compare)
        snapshot(w, &before);
    batch_clear(&w->batch);
    w->stats.commands++;
    world_say(w, "command %d job %u task %d uid %u", cmd->kind,
              cmd->kind >= CMD_CANCEL && cmd->kind <= CMD_COMPLETE ? cmd->job.job_id : 0,
              cmd->kind >= CMD_CANCEL && cmd->kind <= CMD_COMPLETE && cmd->job.has_task
                  ? (int)cmd->job.task_id
                  : -1,
              cmd->actor.uid);
    int rc = core_apply(w->core, cmd, world_now(w), &w->batch, err);
    if (rc == 0) {
        absorb(w);
    } else {
        w->stats.refused++;
        if (compare)
            unchanged(w, &before, cmd, err);
    }
    records_fini(&before);
    return rc;
}

int world_plan(struct world *w, unsigned budget)
{
    batch_clear(&w->batch);
    int more = core_plan(w->core, world_now(w), budget, &w->batch);
    absorb(w);
    return more;
}

void world_promise(struct world *w, struct promise p)
{
    struct generation *g = &w->gather;
    p.command = w->stats.commands;
    PUSH(g->promises, g->promises_count, g->promises_cap, p);
}

/* ---- commit --------------------------------------------------------------------- */

void world_seal(struct world *w)
{
    struct generation *g = &w->flight;
    if (w->in_flight || generation_empty(&w->gather))
        return;
    generation_fini(&w->flight); /* of a crash */
    w->flight = w->gather;
    memset(&w->gather, 0, sizeof w->gather);
    w->in_flight = true;
    for (size_t i = 0; i < g->jobs_count; i++)
        core_job_save(w->core, g->jobs[i], records_put(&g->job_records, g->jobs[i]));
    for (size_t i = 0; i < g->nodes_count; i++)
        core_node_save(w->core, g->nodes[i],
                       records_put(&g->node_records, node_of(w, g->nodes[i])));
    for (size_t i = 0; i < g->resvs_count; i++)
        core_resv_save(w->core, g->resvs[i], records_put(&g->resv_records, g->resvs[i]));
    for (size_t i = 0; i < g->tenants_count; i++) {
        char name[64];
        struct buf b;
        buf_init(&b);
        core_tenant_save(w->core, (enum tenant_kind)g->tenants[i].sub, g->tenants[i].id, name, &b);
        struct buf *to = records_put(&g->tenant_records, (uint32_t)hash_bytes(name, strlen(name)));
        buf_put(to, b.data, b.len);
        buf_fini(&b);
    }
    if (g->meta)
        core_meta_save(w->core, &g->meta_record);
    g->clock = world_now(w);
}

static void write_disk(struct world *w)
{
    struct generation *g = &w->flight;
    for (size_t i = 0; i < g->job_records.count; i++) {
        const struct record *r = &g->job_records.v[i];
        if (r->bytes.len == 0)
            records_drop(&w->disk_jobs, r->id);
        else
            buf_put(records_put(&w->disk_jobs, r->id), r->bytes.data, r->bytes.len);
    }
    for (size_t i = 0; i < g->node_records.count; i++) {
        const struct record *r = &g->node_records.v[i];
        buf_put(records_put(&w->disk_nodes, r->id), r->bytes.data, r->bytes.len);
    }
    for (size_t i = 0; i < g->resv_records.count; i++) {
        const struct record *r = &g->resv_records.v[i];
        if (r->bytes.len == 0)
            records_drop(&w->disk_resvs, r->id);
        else
            buf_put(records_put(&w->disk_resvs, r->id), r->bytes.data, r->bytes.len);
    }
    for (size_t i = 0; i < g->tenant_records.count; i++) {
        const struct record *r = &g->tenant_records.v[i];
        if (r->bytes.len == 0)
            records_drop(&w->disk_tenants, r->id);
        else
            buf_put(records_put(&w->disk_tenants, r->id), r->bytes.data, r->bytes.len);
    }
    if (g->meta_record.len) {
        buf_clear(&w->disk_meta);
        buf_put(&w->disk_meta, g->meta_record.data, g->meta_record.len);
    }
    w->disk_clock = g->clock;
}

static bool launch_due(struct world *w, const struct effect *e)
{
    struct job_view v;
    return core_job_view(w->core, e->job_id, false, &v) && v.restart == e->restart &&
           (v.state == JOB_RUNNING || v.state == JOB_SUSPENDED);
}

static void send_down(struct world *w, uint32_t node, struct sim_msg m)
{
    struct sim_node *n = &w->node[node];
    if (n->registered)
        PUSH(n->down.v, n->down.count, n->down.cap, m);
}

static void launch(struct world *w, const struct effect *e)
{
    struct arena a;
    if (!launch_due(w, e))
        return;
    world_say(w, "launch job %u.%u", e->job_id, e->restart);
    truth_launched(w, e->job_id);
    arena_init(&a);
    Sl__Allocation *alloc = core_job_alloc(w->core, e->job_id, &a);
    for (uint32_t i = 0; alloc && i < alloc->n_nodes; i++) {
        uint32_t node =
            node_of(w, (uint32_t)core_node_find(w->core, alloc->nodes[i]->name));
        if (e->kind == EFFECT_LAUNCH_NODE && node != node_of(w, e->node))
            continue;
        send_down(w, node,
                  (struct sim_msg){.kind = SIM_LAUNCH,
                                   .run = {e->job_id, e->restart},
                                   .index = i,
                                   .single = alloc->n_nodes == 1});
    }
    arena_fini(&a);
}

static void carry_out(struct world *w, const struct effect *e)
{
    if (e->kind == EFFECT_LAUNCH || e->kind == EFFECT_LAUNCH_NODE) {
        if (!w->calm && world_chance(w, 20))
            PUSH(w->late, w->late_count, w->late_cap, *e);
        else
            launch(w, e);
    } else if (e->kind == EFFECT_TERMINATE) {
        bool plain =
            !e->term.signal && !e->term.suspend && !e->term.resume && !e->term.has_step;
        send_down(w, node_of(w, e->node),
                  (struct sim_msg){.kind = SIM_TERMINATE,
                                   .run = {e->job_id, e->restart},
                                   .final = plain,
                                   .suspend = e->term.suspend,
                                   .resume = e->term.resume});
    }
}

void world_late(struct world *w)
{
    if (w->late_count == 0)
        return;
    size_t at = world_below(w, (uint32_t)w->late_count);
    struct effect e = w->late[at];
    w->late[at] = w->late[--w->late_count];
    launch(w, &e);
}

void world_commit(struct world *w)
{
    if (!w->in_flight)
        return;
    w->stats.commits++;
    world_say(w, "commit");
    write_disk(w);
    w->in_flight = false;
    for (size_t i = 0; i < w->flight.promises_count; i++) {
        const struct promise *p = &w->flight.promises[i];
        truth_kept(w, p);
        if (p->kind == PROMISE_ACK && w->node[p->node].session == p->session)
            send_down(w, p->node, (struct sim_msg){.kind = SIM_ACK, .seq = p->seq});
    }
    for (size_t i = 0; i < w->flight.effects_count; i++)
        carry_out(w, &w->flight.effects[i]);
    generation_fini(&w->flight);
    memset(&w->flight, 0, sizeof w->flight);
}

void world_settle(struct world *w)
{
    do {
        world_commit(w);
        world_seal(w);
    } while (w->in_flight);
}

static void lost(struct world *w, struct generation *g)
{
    for (size_t i = 0; i < g->promises_count; i++)
        if (g->promises[i].kind == PROMISE_SUBMIT)
            truth_forget(w->truth, g->promises[i].job_id);
    generation_clear(g);
}

void world_crash(struct world *w, bool lands)
{
    w->stats.crashes++;
    world_say(w, "crash%s", lands ? ", the commit lands" : "");
    if (w->in_flight && lands) {
        write_disk(w);
        w->flight.promises_count = 0; /* nobody was told, but it is so */
    }
    lost(w, &w->flight);
    lost(w, &w->gather);
    w->in_flight = false;
    w->late_count = 0;
    truth_crashed(w->truth);
    core_destroy(w->core);
    for (uint32_t i = 0; i < WORLD_NODES; i++) {
        world_cut(w, i);
        w->node[i].loss_due = false;
    }
    core_begin(w);
}

/* ---- checks --------------------------------------------------------------------- */

void world_check(struct world *w)
{
    struct err err = {0};
    struct license_view lic;
    for (uint32_t i = 0; core_license_view(w->core, i, &lic); i++)
        if (lic.used > lic.total)
            broken(w, "%u of %u licenses %s are in use", lic.used, lic.total, lic.name);
    if (core_check(w->core, &err) < 0)
        broken(w, "%s", err.text);
}

/* The record without what need not be durable. */
static Sl__JobRecord *durable(const struct world *w, const struct buf *from)
{
    Sl__JobRecord *r =
        sl__job_record__unpack(NULL, from->len, (const uint8_t *)from->data);
    if (!r)
        broken(w, "a job's record does not parse");
    if (r->state == JOB_PENDING)
        r->reason = 0;
    return r;
}

/* First field of the packed record that differs. */
static void record_compare(struct world *w, uint32_t id, const struct buf *core,
                           const struct buf *disk)
{
    Sl__JobRecord *r[2] = {durable(w, core), durable(w, disk)};
    struct buf b[2];
    for (int i = 0; i < 2; i++) {
        size_t n = sl__job_record__get_packed_size(r[i]);
        buf_init(&b[i]);
        buf_reserve(&b[i], n);
        b[i].len = sl__job_record__pack(r[i], (uint8_t *)b[i].data);
    }
    if (b[0].len != b[1].len || memcmp(b[0].data, b[1].data, b[0].len) != 0)
        broken(w,
               "job %u changed, and its record on the disk did not: state %u %u, flags "
               "%u %u, "
               "rest %zu %zu, deps %zu %zu, hold %u %u, then %u %u, eligible %" PRId64
               " %" PRId64
               ", nodes %zu %zu, steps %zu %zu, first dependency %u %u of job %u",
               id, r[0]->state, r[1]->state, r[0]->flags, r[1]->flags, r[0]->n_rest,
               r[1]->n_rest, r[0]->n_deps, r[1]->n_deps, r[0]->hold, r[1]->hold,
               r[0]->then, r[1]->then, r[0]->eligible, r[1]->eligible, r[0]->n_nodes,
               r[1]->n_nodes, r[0]->n_steps, r[1]->n_steps,
               r[0]->n_deps ? r[0]->deps[0]->state : 0,
               r[1]->n_deps ? r[1]->deps[0]->state : 0,
               r[0]->n_deps ? r[0]->deps[0]->job_id : 0);
    for (int i = 0; i < 2; i++) {
        buf_fini(&b[i]);
        sl__job_record__free_unpacked(r[i], NULL);
    }
}

static amount_t used_at(const struct core *c, uint32_t i, uint32_t tres, usec_t now)
{
    const struct tenants *tn = c->tenants;
    struct usage u = tn->assoc[i].usage;
    usage_settle(&u, &tn->decay, true, tn->tres_count, now);
    return u.used[tres];
}

/* A core that began now from the disk would know of each association what this one does. */
static void usage_compare(struct world *w)
{
    struct core *own = w->core;
    struct clock clock = w->clock;
    usec_t last = w->last;
    core_begin(w);
    usec_t now = world_now(w);
    const struct tenants *a = own->tenants, *b = w->core->tenants;
    for (uint32_t i = ASSOC_ROOT; i < a->assocs; i++) {
        bool there = i < b->assocs && b->assoc[i].live;
        if (there != a->assoc[i].live)
            broken(w, "association %u is %son the disk", i, there ? "" : "not ");
        for (uint32_t t = 0; there && t < TRES_FIRST_NAMED; t++)
            if (used_at(own, i, t, now) != used_at(w->core, i, t, now))
                broken(w, "association %u has used another amount of resource %u by the disk", i, t);
    }
    core_destroy(w->core);
    w->core = own;
    w->clock = clock;
    w->last = last;
}

void world_check_disk(struct world *w)
{
    struct buf now;
    if (w->in_flight || !generation_empty(&w->gather))
        return;
    buf_init(&now);
    struct resv_view resv;
    if (core_resv_view(w->core, (uint32_t)w->disk_resvs.count, &resv))
        broken(w, "reservation %s is not on the disk", resv.name);
    for (size_t i = 0; i < w->disk_resvs.count; i++) {
        const struct record *r = &w->disk_resvs.v[i];
        buf_clear(&now);
        if (!core_resv_save(w->core, r->id, &now) || now.len != r->bytes.len ||
            memcmp(now.data, r->bytes.data, now.len) != 0)
            broken(w, "reservation %u is another on the disk", r->id);
    }
    buf_clear(&now);
    if (core_job_count(w->core, false) != w->disk_jobs.count)
        broken(w, "%zu jobs, but %zu on the disk", core_job_count(w->core, false),
               w->disk_jobs.count);
    for (size_t i = 0; i < w->disk_jobs.count; i++) {
        struct record *r = &w->disk_jobs.v[i];
        buf_clear(&now);
        if (!core_job_save(w->core, r->id, &now))
            broken(w, "job %u is on the disk only", r->id);
        record_compare(w, r->id, &now, &r->bytes);
    }
    buf_fini(&now);
    usage_compare(w);
}

bool world_quiet(const struct world *w)
{
    for (uint32_t i = 0; i < WORLD_NODES; i++)
        if (w->node[i].up.count || w->node[i].down.count || w->node[i].log_count)
            return false;
    return !w->in_flight && generation_empty(&w->gather) && !w->late_count;
}
