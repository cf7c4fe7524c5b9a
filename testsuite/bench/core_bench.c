/* SPDX-License-Identifier: Apache-2.0
 *
 * core_bench: what the scheduling core costs, alone, at a size. Jobs of many kinds on nodes
 * of 128 cores and 8 GPUs; the same numbers give the same jobs.
 *
 *   core_bench NODES JOBS easy|conservative [DEPTH]
 *
 * One result a line: name value unit n=COUNT, as testsuite/bench/run prints them.
 */
#include "base/buf.h"
#include "sched/core.h"
#include "sched/explain.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define T0 (1700000000 * USEC_PER_SEC)
#define CORES 128u
#define NUMAS 8u
#define ENDS 300u
#define EXPLAINED 30u
#define BUDGET 10000u /* scheduler.work_budget */

static uint64_t rnd_state = 88172645463325252u;

static uint32_t below(uint32_t n)
{
    rnd_state ^= rnd_state << 13;
    rnd_state ^= rnd_state >> 7;
    rnd_state ^= rnd_state << 17;
    return (uint32_t)(rnd_state >> 33) % n;
}

static double clock_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void die(const char *what, const char *why)
{
    fprintf(stderr, "core_bench: %s: %s\n", what, why);
    exit(1);
}

struct bench {
    struct core *c;
    struct batch b;
    usec_t now;
    uint32_t nodes, jobs;
};

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void apply(struct bench *w, const struct command *cmd)
{
    struct err err = {0};
    batch_clear(&w->b);
    if (core_apply(w->c, cmd, w->now, &w->b, &err) < 0)
        die("command refused", err.text);
}

static void nodes_make(struct bench *w)
{
    Sl__NodeRegister reg = SL__NODE_REGISTER__INIT;
    Sl__NodeTopo topo = SL__NODE_TOPO__INIT;
    Sl__NumaNode numa[NUMAS], *numas[NUMAS];
    Sl__NodeGres gres = SL__NODE_GRES__INIT, *all[1] = {&gres};
    char text[CORES][8], *cpus[CORES];
    uint32_t socket[CORES], of[CORES];
    for (uint32_t i = 0; i < CORES; i++) {
        snprintf(text[i], sizeof text[i], "%u", i);
        cpus[i] = text[i];
        of[i] = i / (CORES / NUMAS);
        socket[i] = i / (CORES / 2);
    }
    for (uint32_t i = 0; i < NUMAS; i++) {
        sl__numa_node__init(&numa[i]);
        numa[i].os_index = i;
        numas[i] = &numa[i];
    }
    topo.sockets = 2;
    topo.threads_per_core = 1;
    topo.cores = topo.cpus = CORES;
    topo.core_cpus = cpus;
    topo.core_socket = socket;
    topo.core_numa = of;
    topo.n_core_cpus = topo.n_core_socket = topo.n_core_numa = CORES;
    topo.numa = numas;
    topo.n_numa = NUMAS;
    gres.name = (char *)"gpu";
    gres.type = (char *)"h100";
    gres.count = 8;
    reg.topo = &topo;
    reg.mem_mib = 1 << 20;
    reg.gres = all;
    reg.n_gres = 1;
    for (uint32_t i = 0; i < w->nodes; i++) {
        char name[16];
        snprintf(name, sizeof name, "n%05u", i);
        reg.name = name;
        struct command cmd = {.kind = CMD_NODE_REGISTER, .actor = {.admin = true}, .reg = &reg};
        apply(w, &cmd);
    }
}

/* Small, GPU, whole-node and large jobs; sizes and limits as people round them. */
static void submit(struct bench *w)
{
    static const uint32_t limits[] = {10, 30, 60, 120, 240, 480, 720, 1440, 2880, 4320};
    Sl__JobSpec spec = SL__JOB_SPEC__INIT;
    Sl__GresReq gpu = SL__GRES_REQ__INIT, *gres[1] = {&gpu};
    uint32_t kind = below(100);
    char user[8];
    spec.type = SL__JOB_TYPE__JOB_TYPE_BATCH;
    spec.name = (char *)"job";
    spec.ntasks = 1;
    spec.cpus_per_task = 1u << below(7);
    spec.mem_per_cpu_mib = 1024u << below(3);
    spec.time_limit_usec = limits[below(10)] * 60 * USEC_PER_SEC;
    gpu.name = (char *)"gpu";
    gpu.type = (char *)"";
    gpu.per = SL__GRES_PER__GRES_PER_NODE;
    if (kind >= 60 && kind < 85) {
        gpu.count = 1u << below(4);
        spec.cpus_per_task = 8 * (uint32_t)gpu.count;
        spec.gres = gres;
        spec.n_gres = 1;
    } else if (kind >= 85) {
        uint32_t n = kind < 97 ? 2u << below(5) : 64u << below(4);
        spec.nodes_min = spec.nodes_max = n < w->nodes ? n : w->nodes;
        spec.ntasks = spec.nodes_min;
        spec.cpus_per_task = CORES;
    }
    snprintf(user, sizeof user, "u%u", below(500));
    struct command cmd = {.kind = CMD_SUBMIT, .actor = {.uid = 1000, .user = user},
                          .submit = {.spec = &spec, .user = user}};
    apply(w, &cmd);
}

struct pass { double all, slice; uint32_t started; };

static struct pass plan(struct bench *w)
{
    struct pass p = {0};
    int more;
    do {
        batch_clear(&w->b);
        double t = clock_ms();
        more = core_plan(w->c, w->now, BUDGET, &w->b);
        t = clock_ms() - t;
        p.all += t;
        p.slice = t > p.slice ? t : p.slice;
        for (size_t i = 0; i < w->b.effects_count; i++)
            p.started += w->b.effects[i].kind == EFFECT_LAUNCH;
    } while (more == 1);
    return p;
}

static void report(struct bench *w, uint32_t id, uint32_t node, Sl__ReportKind kind)
{
    Sl__JobReport rep = SL__JOB_REPORT__INIT;
    rep.kind = kind;
    rep.job_id = id;
    rep.node_clean = true;
    struct command cmd = {.kind = CMD_REPORT, .report = {core_node_name(w->c, node), &rep}};
    apply(w, &cmd);
}

/* One running job ends before its limit; false: it does not run. */
static bool end(struct bench *w, uint32_t id)
{
    struct job_view v;
    if (!core_job_view(w->c, id, false, &v) || v.state != JOB_RUNNING)
        return false;
    uint32_t n = core_job_nodes(w->c, id), *at = xmalloc(n * sizeof *at);
    for (uint32_t i = 0; i < n; i++)
        at[i] = core_job_node(w->c, id, i);
    for (uint32_t i = 0; i < n; i++)
        report(w, id, at[i], i ? SL__REPORT_KIND__REPORT_NODE_CLEAN
                               : SL__REPORT_KIND__REPORT_JOB_DONE);
    free(at);
    return true;
}

static void bench_ends(struct bench *w)
{
    double *ms = xmalloc(ENDS * sizeof *ms);
    uint32_t n = 0, started = 0;
    for (uint32_t tries = 0; n < ENDS && tries < 100 * ENDS; tries++) {
        if (!end(w, 1 + below(w->jobs)))
            continue;
        w->now += USEC_PER_SEC;
        struct pass p = plan(w);
        started += p.started;
        ms[n++] = p.all;
    }
    qsort(ms, n, sizeof *ms, by_value);
    if (n == 0)
        die("no job runs", "nothing can end");
    printf("pass_after_one_end %.3f ms n=%u\n", ms[n / 2], n);
    printf("pass_after_one_end_p95 %.3f ms n=%u\n", ms[n * 95 / 100], n);
    printf("pass_after_one_end_max %.3f ms n=%u\n", ms[n - 1], n);
    printf("# %u jobs started by them\n", started);
    free(ms);
}

/* One explanation, which no pass makes: a page of a query in the controller's loop. */
static void bench_explain(struct bench *w, enum explain_depth depth, const char *name)
{
    double ms[EXPLAINED];
    uint32_t n = 0;
    struct explanation e;
    struct arena a;
    arena_init(&a);
    for (uint32_t tries = 0; n < EXPLAINED && tries < 100 * EXPLAINED; tries++) {
        struct job_view v;
        uint32_t id = 1 + below(w->jobs);
        if (!core_job_view(w->c, id, false, &v) || v.state != JOB_PENDING)
            continue;
        double t = clock_ms();
        core_explain(w->c, id, depth, w->now, &a, &e);
        ms[n++] = clock_ms() - t;
        arena_reset(&a);
    }
    arena_fini(&a);
    if (n == 0)
        return;
    qsort(ms, n, sizeof *ms, by_value);
    printf("explain_%s %.3f ms n=%u\n", name, ms[n / 2], n);
    printf("explain_%s_max %.3f ms n=%u\n", name, ms[n - 1], n);
}

int main(int argc, char **argv)
{
    struct bench w = {.now = T0};
    struct err err = {0};
    if (argc < 4 || backfill_find(argv[3]) < 0)
        die("usage", "core_bench NODES JOBS easy|conservative [DEPTH]");
    w.nodes = (uint32_t)strtoul(argv[1], NULL, 10);
    w.jobs = (uint32_t)strtoul(argv[2], NULL, 10);
    if (w.nodes == 0 || w.jobs == 0)
        die("usage", "NODES and JOBS are numbers above 0");
    struct core_policy policy = {
        .kill_wait = 30 * USEC_PER_SEC, .node_timeout = 300 * USEC_PER_SEC,
        .job_keep = 86400 * USEC_PER_SEC, .job_id_first = 1, .job_id_max = 67043328,
        .jobs_max = 10000000, .array_size_max = 1000, .requeue_max = 3, .requeue_default = true,
        .backfill = (enum backfill)backfill_find(argv[3]),
        .backfill_depth = argc > 4 ? (uint32_t)strtoul(argv[4], NULL, 10) : 100};
    struct core_partition part = {.name = "main", .nodes = "ALL", .is_default = true,
                                  .time_max = SPAN_INFINITE};
    batch_init(&w.b);
    w.c = core_create(&policy, &err);
    if (!w.c || core_configure(w.c, &policy, &part, 1, NULL, 0, true, T0, &err) < 0 ||
        core_load_end(w.c, T0, &err) < 0)
        die("core", err.text);
    nodes_make(&w);
    plan(&w);
    printf("# %u nodes, %u jobs, %s\n", w.nodes, w.jobs, argv[3]);
    size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
    double t = clock_ms();
    for (uint32_t i = 0; i < w.jobs; i++)
        submit(&w);
    t = clock_ms() - t;
    size_t bytes = mallinfo2().uordblks + mallinfo2().hblkhd - before;
    printf("submit %.3g jobs/s n=%u\n", w.jobs / t * 1e3, w.jobs);
    printf("memory_per_pending_job %.0f B n=%u\n", (double)bytes / w.jobs, w.jobs);
    struct pass p = plan(&w);
    printf("first_pass %.1f ms n=%zu\n", p.all, core_job_count(w.c, true) + p.started);
    printf("first_pass_slice_max %.1f ms n=%u\n", p.slice, BUDGET);
    printf("started %.3g jobs/s n=%u\n", p.started / p.all * 1e3, p.started);
    struct command up = {.kind = CMD_PARTITION_UPDATE, .actor = {.admin = true},
                         .update = {.object = "main", .key = "State", .value = "UP"}};
    apply(&w, &up);
    size_t pending = core_job_count(w.c, true);
    p = plan(&w);
    printf("full_pass %.1f ms n=%zu\n", p.all, pending);
    printf("full_pass_slice_max %.1f ms n=%u\n", p.slice, BUDGET);
    bench_ends(&w);
    bench_explain(&w, EXPLAIN_BRIEF, "brief");
    bench_explain(&w, EXPLAIN_FULL, "full");
    if (core_check(w.c, &err) < 0)
        die("core_check", err.text);
    core_destroy(w.c);
    batch_fini(&w.b);
    return 0;
}
