/* SPDX-License-Identifier: Apache-2.0
 *
 * What a plan promises. Random work on a small cluster, every run over at its limit or
 * before: the start that a waiting job was promised never moves later, and it starts then
 * or earlier, under each policy that promises; core_check() after every step. A failure
 * prints its seed; SLURMLIKE_SEED runs that one, SLURMLIKE_SEEDS so many.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "sched/core.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define T0 (1700000000 * USEC_PER_SEC)
#define SEC USEC_PER_SEC
#define JOBS 300u
#define CORES 8u
#define NODES 5u

struct run { usec_t submit, end, span, promise; bool over; };
struct scene {
    struct core *c;
    struct core_policy policy;
    struct batch b;
    usec_t now;
    uint64_t seed, state;
    uint32_t submitted, promised, started_early;
    struct run job[JOBS + 1]; /* by id */
};

static uint32_t below(struct scene *s, uint32_t n)
{
    s->state = s->state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((s->state >> 33) % n);
}

#define FAIL(s, ...)                                                                      \
    do {                                                                                  \
        fprintf(stderr, "SLURMLIKE_SEED=%llu\n", (unsigned long long)(s)->seed);          \
        fail_msg(__VA_ARGS__);                                                            \
    } while (0)

static const struct core_partition parts[] = {
    {.name = "main", .nodes = "ALL", .is_default = true, .time_max = SPAN_INFINITE}};

static void apply(struct scene *s, const struct command *cmd)
{
    struct err err = {0};
    batch_clear(&s->b);
    if (core_apply(s->c, cmd, s->now, &s->b, &err) < 0)
        FAIL(s, "%s", err.text);
}

static void node_register(struct scene *s, const char *name, uint32_t gpus)
{
    Sl__NodeRegister reg = SL__NODE_REGISTER__INIT;
    Sl__NodeTopo topo = SL__NODE_TOPO__INIT;
    Sl__NumaNode numa = SL__NUMA_NODE__INIT, *numas[1] = {&numa};
    Sl__NodeGres gres = SL__NODE_GRES__INIT, *all[1] = {&gres};
    static char text[CORES][4], *cpus[CORES];
    uint32_t zero[CORES] = {0};
    for (uint32_t i = 0; i < CORES; i++) {
        snprintf(text[i], sizeof text[i], "%u", i);
        cpus[i] = text[i];
    }
    topo.sockets = topo.threads_per_core = 1;
    topo.cores = topo.cpus = CORES;
    topo.core_cpus = cpus;
    topo.core_socket = topo.core_numa = zero;
    topo.n_core_cpus = topo.n_core_socket = topo.n_core_numa = CORES;
    topo.numa = numas;
    topo.n_numa = 1;
    numa.cpus = (char *)"0-7";
    gres.name = (char *)"gpu";
    gres.count = gpus;
    reg.name = (char *)name;
    reg.topo = &topo;
    reg.mem_mib = 4096;
    reg.gres = all;
    reg.n_gres = gpus ? 1 : 0;
    struct command cmd = {.kind = CMD_NODE_REGISTER, .actor = {.admin = true}, .reg = &reg};
    apply(s, &cmd);
}

static void submit(struct scene *s)
{
    Sl__JobSpec spec = SL__JOB_SPEC__INIT;
    Sl__GresReq gpu = SL__GRES_REQ__INIT, *gres[1] = {&gpu};
    uint32_t kind = below(s, 10), limit = 1 + below(s, 40);
    spec.type = SL__JOB_TYPE__JOB_TYPE_BATCH;
    spec.name = (char *)"job";
    spec.ntasks = 1 + below(s, kind < 6 ? CORES : kind < 8 ? 2 * CORES : 2);
    spec.cpus_per_task = 1 + (kind == 9 ? below(s, 4) : 0);
    spec.mem_per_node_mib = 1 + below(s, 1500);
    spec.time_limit_usec = limit * 10 * SEC;
    if (kind == 8)
        spec.nodes_min = spec.nodes_max = spec.ntasks = 1 + below(s, NODES);
    spec.exclusive = kind == 8 && below(s, 3) == 0 ? 1 : 0;
    gpu.name = (char *)"gpu";
    gpu.type = (char *)"";
    gpu.count = 1 + below(s, 2);
    gpu.per = SL__GRES_PER__GRES_PER_NODE;
    if (kind == 7) {
        spec.ntasks = spec.nodes_min = spec.nodes_max = 1;
        spec.gres = gres;
        spec.n_gres = 1;
    }
    struct command cmd = {.kind = CMD_SUBMIT, .actor = {.uid = 1000, .user = "u"},
                          .submit = {.spec = &spec, .user = "u"}};
    apply(s, &cmd);
    struct run *r = &s->job[s->b.job_id];
    r->submit = s->now;
    r->span = below(s, 3) ? (1 + below(s, limit)) * 10 * SEC : spec.time_limit_usec;
    r->promise = INT64_MAX;
    s->submitted++;
}

static void report(struct scene *s, uint32_t id, uint32_t node, Sl__ReportKind kind)
{
    Sl__JobReport rep = SL__JOB_REPORT__INIT;
    rep.kind = kind;
    rep.job_id = id;
    rep.node_clean = true;
    struct command cmd = {.kind = CMD_REPORT, .report = {core_node_name(s->c, node), &rep}};
    apply(s, &cmd);
}

static void end(struct scene *s, uint32_t id)
{
    uint32_t node[NODES], n = core_job_nodes(s->c, id);
    for (uint32_t i = 0; i < n; i++)
        node[i] = core_job_node(s->c, id, i);
    for (uint32_t i = 0; i < n; i++)
        report(s, id, node[i], i ? SL__REPORT_KIND__REPORT_NODE_CLEAN
                                 : SL__REPORT_KIND__REPORT_JOB_DONE);
    s->job[id].over = true;
}

/* What each job was promised still stands. */
static void look(struct scene *s)
{
    for (uint32_t id = 1; id <= s->submitted; id++) {
        struct run *r = &s->job[id];
        struct job_view v;
        if (r->over || r->end || !core_job_view(s->c, id, false, &v))
            continue;
        if (v.state == JOB_RUNNING) {
            if (s->now > r->promise)
                FAIL(s, "job %u was promised %lld s, it started at %lld s", id,
                     (long long)((r->promise - T0) / SEC), (long long)((s->now - T0) / SEC));
            s->started_early += r->promise != INT64_MAX && s->now < r->promise;
            r->end = s->now + r->span;
            continue;
        }
        if (r->promise != INT64_MAX && (v.start_estimate == 0 || v.start_estimate > r->promise))
            FAIL(s, "job %u was promised %lld s, now it is %lld s", id,
                 (long long)((r->promise - T0) / SEC),
                 (long long)((v.start_estimate - T0) / SEC));
        if (v.start_estimate) {
            s->promised += r->promise == INT64_MAX;
            r->promise = v.start_estimate;
        }
    }
}

static void plan(struct scene *s)
{
    struct err err = {0};
    unsigned budget = below(s, 4) ? 1000 : 1 + below(s, 5); /* also in slices */
    batch_clear(&s->b);
    while (core_plan(s->c, s->now, budget, &s->b) == 1)
        if (core_check(s->c, &err) < 0)
            FAIL(s, "in a slice: %s", err.text);
    if (core_check(s->c, &err) < 0)
        FAIL(s, "%s", err.text);
    look(s);
}

static void step(struct scene *s, usec_t next_submit)
{
    struct command tick = {.kind = CMD_TICK};
    s->now = next_submit < core_next_wakeup(s->c) ? next_submit : core_next_wakeup(s->c);
    for (uint32_t id = 1; id <= s->submitted; id++)
        if (s->job[id].end && !s->job[id].over && s->job[id].end < s->now)
            s->now = s->job[id].end;
    for (uint32_t id = 1; id <= s->submitted; id++)
        if (s->job[id].end && !s->job[id].over && s->job[id].end == s->now) {
            end(s, id);
            if (below(s, 2)) /* a pass of its own, or one for all */
                plan(s);
        }
    apply(s, &tick);
}

static void run(uint64_t seed, const struct core_policy *policy)
{
    struct scene *s = calloc(1, sizeof *s);
    struct err err = {0};
    usec_t next = T0;
    s->seed = s->state = seed;
    s->policy = *policy;
    s->now = T0;
    batch_init(&s->b);
    s->policy.backfill_depth = 1 + below(s, 20);
    s->c = core_create(&s->policy, &err);
    assert_int_equal(core_configure(s->c, &s->policy, parts, 1, NULL, 0, true, T0, &err), 0);
    assert_int_equal(core_load_end(s->c, T0, &err), 0);
    for (uint32_t i = 1; i <= NODES; i++) {
        char name[8];
        snprintf(name, sizeof name, "n%u", i);
        node_register(s, name, i < 3 ? 2 : 0);
    }
    while (s->submitted < JOBS || core_job_count(s->c, true)) {
        step(s, s->submitted < JOBS ? next : INT64_MAX);
        if (s->now == next && s->submitted < JOBS) {
            for (uint32_t n = 1 + below(s, 3); n && s->submitted < JOBS; n--)
                submit(s);
            next = s->now + below(s, 40) * SEC;
        }
        plan(s);
    }
    if (s->promised == 0)
        FAIL(s, "nothing was promised");
    batch_fini(&s->b);
    core_destroy(s->c);
    free(s);
}

#define POLICY(how, order)                                                                \
    {.kill_wait = 30 * SEC, .node_timeout = 300 * SEC, .job_keep = 86400 * SEC,           \
     .job_id_first = 1, .job_id_max = 1000000, .jobs_max = 1000, .array_size_max = 1000,  \
     .plan_order = PLAN_FCFS, .backfill = (how), .backfill_candidates = (order)}

static const struct core_policy policies[] = {
    POLICY(BACKFILL_CONSERVATIVE, CANDIDATES_QUEUE),
    POLICY(BACKFILL_CONSERVATIVE, CANDIDATES_SHORTEST),
    POLICY(BACKFILL_EASY, CANDIDATES_QUEUE),
    POLICY(BACKFILL_EASY, CANDIDATES_SHORTEST),
    POLICY(BACKFILL_NONE, CANDIDATES_QUEUE)};

static void test_a_promised_start_is_never_delayed(void **state)
{
    const char *one = getenv("SLURMLIKE_SEED"), *many = getenv("SLURMLIKE_SEEDS");
    uint64_t first = one ? strtoull(one, NULL, 10) : 1;
    uint64_t count = one ? 1 : many ? strtoull(many, NULL, 10) : 2;
    (void)state;
    for (uint64_t seed = first; seed < first + count; seed++)
        for (size_t i = 0; i < sizeof policies / sizeof *policies; i++)
            run(seed, &policies[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_promised_start_is_never_delayed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
