/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/hostlist.h"
#include "place_scene.h"

#define T0 (1700000000 * USEC_PER_SEC)
#define SEC USEC_PER_SEC

const struct core_policy scene_policy = {
    .kill_wait = 30 * SEC, .node_timeout = 300 * SEC, .job_keep = 3000 * SEC,
    .job_id_first = 1, .job_id_max = 1000000, .jobs_max = 100000, .array_size_max = 1000,
    .requeue_max = 3, .return_to_service = 2, .backfill = BACKFILL_EASY};

static void apply(struct scene *s, const struct command *cmd)
{
    batch_clear(&s->b);
    if (core_apply(s->c, cmd, s->now, &s->b, &s->err) < 0)
        fail_msg("%s", s->err.text);
    scene_plan(s);
}

void scene_plan(struct scene *s)
{
    struct err broken = {0};
    while (core_plan(s->c, s->now, 1000, &s->b) == 1)
        ;
    if (core_check(s->c, &broken) < 0)
        fail_msg("%s", broken.text);
}

void scene_begin(struct scene *s, const struct core_policy *policy)
{
    static const struct core_partition parts[] = {
        {.name = "main", .nodes = "ALL", .is_default = true, .time_max = SPAN_INFINITE}};
    *s = (struct scene){.now = T0};
    s->c = core_create(policy, &s->err);
    assert_non_null(s->c);
    assert_int_equal(core_configure(s->c, policy, parts, 1, NULL, 0, true, T0, &s->err), 0);
    assert_int_equal(core_load_end(s->c, T0, &s->err), 0);
    batch_init(&s->b);
}

void scene_end(struct scene *s)
{
    core_destroy(s->c);
    batch_fini(&s->b);
}

static Sl__NodeGres *gres_make(struct arena *a, const char *name, const char *type,
                               uint32_t count, uint32_t cores, uint32_t numas)
{
    Sl__NodeGres *g = arena_alloc(a, sizeof *g);
    sl__node_gres__init(g);
    g->name = (char *)name;
    g->type = (char *)type;
    g->count = count;
    g->n_cpus = numas > 1 ? count : 0;
    g->cpus = arena_alloc(a, (count + 1) * sizeof *g->cpus);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t per = cores / numas, at = i * numas / count;
        g->cpus[i] = arena_printf(a, "%u-%u", at * per, (at + 1) * per - 1);
    }
    return g;
}

void scene_node(struct scene *s, const struct scene_node *n)
{
    Sl__NodeRegister reg = SL__NODE_REGISTER__INIT;
    Sl__NodeTopo topo = SL__NODE_TOPO__INIT;
    struct arena a;
    Sl__NodeGres *gres[3];
    arena_init(&a);
    uint32_t numas = n->numas ? n->numas : 1;
    topo.sockets = topo.threads_per_core = 1;
    topo.cores = topo.cpus = n->cores;
    topo.n_core_cpus = topo.n_core_socket = topo.n_core_numa = n->cores;
    topo.core_cpus = arena_alloc(&a, n->cores * sizeof *topo.core_cpus);
    topo.core_socket = arena_alloc(&a, n->cores * sizeof *topo.core_socket);
    topo.core_numa = arena_alloc(&a, n->cores * sizeof *topo.core_numa);
    for (uint32_t i = 0; i < n->cores; i++) {
        topo.core_cpus[i] = arena_printf(&a, "%u", i);
        topo.core_numa[i] = i * numas / n->cores;
    }
    topo.n_numa = numas;
    topo.numa = arena_alloc(&a, numas * sizeof *topo.numa);
    for (uint32_t i = 0; i < numas; i++) {
        topo.numa[i] = arena_alloc(&a, sizeof **topo.numa);
        sl__numa_node__init(topo.numa[i]);
        topo.numa[i]->os_index = i;
        topo.numa[i]->cpus = arena_printf(&a, "%u-%u", i * (n->cores / numas),
                                          (i + 1) * (n->cores / numas) - 1);
    }
    reg.name = (char *)n->name;
    reg.topo = &topo;
    reg.mem_mib = n->mem_mib ? n->mem_mib : 65536;
    reg.gres = gres;
    if (n->gpus)
        gres[reg.n_gres++] = gres_make(&a, "gpu", n->gpu_type ? n->gpu_type : "", n->gpus,
                                       n->cores, numas);
    if (n->shards)
        gres[reg.n_gres++] = gres_make(&a, "shard", "", n->shards, n->cores, numas);
    if (n->nvme)
        gres[reg.n_gres++] = gres_make(&a, "nvme", "", n->nvme, n->cores, 1);
    struct command cmd = {.kind = CMD_NODE_REGISTER, .actor = {.admin = true}, .reg = &reg};
    apply(s, &cmd);
    arena_fini(&a);
}

void scene_nodes(struct scene *s, const char *names, uint32_t cores)
{
    struct hostlist *hl = hostlist_create(names, &s->err);
    assert_non_null(hl);
    for (size_t i = 0; i < hostlist_count(hl); i++)
        scene_node(s, &(struct scene_node){.name = hostlist_nth(hl, i), .cores = cores});
    hostlist_destroy(hl);
}

uint32_t scene_submit(struct scene *s, const Sl__JobSpec *spec)
{
    struct command cmd = {.kind = CMD_SUBMIT, .actor = {.uid = 1000, .user = "u"},
                          .submit = {.spec = spec, .user = "u"}};
    batch_clear(&s->b);
    if (core_apply(s->c, &cmd, s->now, &s->b, &s->err) < 0)
        fail_msg("%s", s->err.text);
    uint32_t id = s->b.job_id;
    scene_plan(s);
    return id;
}

static void report(struct scene *s, uint32_t id, const char *node, Sl__ReportKind kind)
{
    Sl__JobReport r = SL__JOB_REPORT__INIT;
    static uint64_t seq;
    r.seq = ++seq;
    r.kind = kind;
    r.job_id = id;
    r.time = s->now;
    r.text = (char *)"";
    struct command cmd = {.kind = CMD_REPORT, .actor = {.admin = true},
                          .report = {.node = node, .report = &r}};
    apply(s, &cmd);
}

void scene_finish(struct scene *s, uint32_t id)
{
    struct hostlist *hl = hostlist_create(scene_where(s, id), &s->err);
    assert_non_null(hl);
    size_t n = hostlist_count(hl);
    assert_true(n > 0);
    for (size_t i = 0; i < n; i++)
        report(s, id, hostlist_nth(hl, i), SL__REPORT_KIND__REPORT_LAUNCHED);
    report(s, id, hostlist_nth(hl, 0), SL__REPORT_KIND__REPORT_JOB_DONE);
    for (size_t i = 0; i < n; i++)
        report(s, id, hostlist_nth(hl, i), SL__REPORT_KIND__REPORT_NODE_CLEAN);
    hostlist_destroy(hl);
}

const char *scene_where(struct scene *s, uint32_t id)
{
    struct job_view v;
    assert_true(core_job_view(s->c, id, true, &v));
    return v.state == JOB_PENDING ? "" : v.nodelist;
}
