/* SPDX-License-Identifier: Apache-2.0
 *
 * The core and its commits. Its disk is in sched_disk.c, nodes and links in sched_nodes.c.
 */
#include "sched_world.h"

#include "sched_truth.h"
#include "topo/fabric.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORLD_START (INT64_C(1700000000) * USEC_PER_SEC)

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

/* ---- a core --------------------------------------------------------------------- */

static const struct core_partition parts[] = {
    {.name = "main",
     .nodes = "ALL",
     .is_default = true,
     .time_max = SPAN_INFINITE,
     .time_default = 600 * USEC_PER_SEC,
     .priority_tier = 1,
     .grace_time = 20 * USEC_PER_SEC},
    {.name = "few",
     .nodes = "n[1-3]",
     .time_max = 1800 * USEC_PER_SEC,
     .nodes_max = 2,
     .priority_tier = 2,
     .qos = "part"},
    {.name = "whole",
     .nodes = "n[4-5]",
     .time_max = SPAN_INFINITE,
     .time_default = 300 * USEC_PER_SEC,
     .oversubscribe_exclusive = true,
     .priority_tier = 1,
     .preempt_mode = "off"}};
#define PARTS (sizeof parts / sizeof *parts)

/* Index in the world; node tables of two cores may differ in order. */
uint32_t world_node(const struct world *w, uint32_t index)
{
    struct node_view v;
    if (core_node_view(w->core, index, &v))
        for (uint32_t i = 0; i < WORLD_NODES; i++)
            if (strcmp(w->node[i].name, v.name) == 0)
                return i;
    broken(w, "the core has a node %u that does not exist", index);
}

static struct fabric *switches(void)
{
    static const struct fabric_switch sw[] = {
        {"s1", "", "n[1-2]"}, {"s2", "", "n[3-5]"}, {"top", "s[1-2]", ""}};
    return fabric_switches(FABRIC_TREE, sw, sizeof sw / sizeof *sw, NULL);
}

void world_begin(struct world *w)
{
    struct err err = {0};
    clock_start(&w->clock, w->wall, w->mono, w->disk_clock);
    w->last = 0;
    w->core = core_create(&w->policy, &err);
    if (!w->core || core_configure(w->core, &w->policy, parts, PARTS, NULL, 0, true,
                                   world_now(w), &err) < 0)
        broken(w, "configuration: %s", err.text);
    if (w->setting->fabric)
        core_fabric(w->core, switches());
    w->changes++;
    disk_load(w);
    judge_begin(w);
}

struct world *world_create(uint64_t seed, struct truth *truth)
{
    static const struct {
        uint32_t cores, numas, gpus;
        const char *features;
    } made_of[WORLD_NODES] = {{4, 1, 0, "fast"},
                              {4, 1, 0, "old"},
                              {8, 2, 2, "fast,big"},
                              {2, 1, 0, "old"},
                              {8, 2, 4, "fast,big"}};
    struct world *w = xcalloc(1, sizeof *w);
    w->seed = w->random = seed;
    w->truth = truth;
    w->setting = setting_of(seed);
    setting_policy(w->setting, &w->policy);
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
        n->features = made_of[i].features;
        n->seq_last = 1;
    }
    world_begin(w);
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
    judge_fini(&w->judge);
    generation_fini(&w->gather);
    generation_fini(&w->flight);
    for (int t = 0; t < TABLE_COUNT; t++)
        records_fini(&w->disk[t]);
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
        generation_note(g, ch);
        if (ch->kind == CHANGE_JOB) {
            say_job(w, ch->id);
            truth_changed(w, ch->id);
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

/* What may move promises that were made. The rest is seen from the core's own state. */
static bool disturbs(enum command_kind k)
{
    return k != CMD_REPORT && k != CMD_TICK && k != CMD_SUBMIT && k != CMD_NODE_PING &&
           k != CMD_CLIENT_LOST && k != CMD_CLIENT_BACK;
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
    w->changes++;
    books_follow(w);
    w->judge.disturbed = w->judge.disturbed || disturbs(cmd->kind);
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
    usec_t now = world_now(w);
    judge_pass_begin(w);
    int more = core_plan(w->core, now, budget, &w->batch);
    w->changes++;
    books_follow(w);
    absorb(w);
    for (size_t i = 0; i < w->batch.effects_count; i++)
        if (w->batch.effects[i].kind == EFFECT_LAUNCH)
            judge_start(w, w->batch.effects[i].job_id);
    judge_pass_end(w, more == 0);
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
    if (w->in_flight || generation_empty(&w->gather))
        return;
    w->flight = w->gather;
    memset(&w->gather, 0, sizeof w->gather);
    w->in_flight = true;
    generation_seal(w, &w->flight);
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
            world_node(w, (uint32_t)core_node_find(w->core, alloc->nodes[i]->name));
        if (e->kind == EFFECT_LAUNCH_NODE && node != world_node(w, e->node))
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
        send_down(w, world_node(w, e->node),
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
    disk_write(w, &w->flight);
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
    generation_fini(g);
}

void world_crash(struct world *w, bool lands)
{
    w->stats.crashes++;
    world_say(w, "crash%s", lands ? ", the commit lands" : "");
    if (w->in_flight && lands) {
        disk_write(w, &w->flight);
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
    world_begin(w);
}

/* ---- checks --------------------------------------------------------------------- */

void world_check(struct world *w)
{
    struct err err = {0};
    struct license_view lic;
    if (w->checked == w->changes) /* the core was not called */
        return;
    w->checked = w->changes;
    books_check(w);
    for (uint32_t i = 0; core_license_view(w->core, i, &lic); i++)
        if (lic.used > lic.total)
            broken(w, "%u of %u licenses %s are in use", lic.used, lic.total, lic.name);
    if (core_check(w->core, &err) < 0)
        broken(w, "%s", err.text);
}

void world_check_disk(struct world *w)
{
    if (!w->in_flight && generation_empty(&w->gather))
        disk_check(w);
}

bool world_quiet(const struct world *w)
{
    for (uint32_t i = 0; i < WORLD_NODES; i++)
        if (w->node[i].up.count || w->node[i].down.count || w->node[i].log_count)
            return false;
    return !w->in_flight && generation_empty(&w->gather) && !w->late_count;
}
