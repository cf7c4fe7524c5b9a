/* SPDX-License-Identifier: Apache-2.0
 *
 * place_bench: how well jobs are placed, on recorded workloads; see bench/placement, which
 * feeds it. It drives the core as the controller does and keeps its own books of what runs
 * where: nothing that is printed was computed by the code that is measured.
 *
 *   place_bench fill NODES PODS SEEDS [RULE] openb until 130 % of the GPUs have arrived
 *   place_bench gpus NODES JOBS LOAD [RULE]  jobs coming and going; frag: for jobs by their
 *                                            number, frag_work: by their GPUs' time
 *   place_bench fabric TEXT JOBS LOAD NODES  whole nodes of a generated fabric
 */
#include "base/buf.h"
#include "sched/core.h"
#include "topo/fabric.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define T0 (1700000000 * USEC_PER_SEC)
#define GPUS_MAX 8
#define CLASSES_MAX 512
#define DRAWN 8 /* tables of jobs until 130 % have arrived, at most */

struct node { uint32_t cpu, mem, gpus; char name[24]; };
struct job {
    double submit, run, limit;
    uint32_t nodes, cpu, mem, gpus, milli; /* of each node; milli: of each GPU */
};
struct table { struct node *node; uint32_t nodes, gpus; struct job *job; uint32_t jobs; };
struct class { uint32_t cpu, gpus, milli; double count; };

struct run { /* of a job that was started */
    uint32_t job, id, nodes;
    uint32_t *at;            /* node indices in rank order */
    uint16_t (*gpu)[GPUS_MAX]; /* parts taken of each node; NULL: none */
    usec_t start, end;
};
struct world {
    const struct table *t;
    struct core *c;
    struct batch b;
    usec_t now;
    uint32_t *cpu, (*gpu)[GPUS_MAX]; /* free, by our own books */
    struct run *run;         /* by job */
    uint32_t *heap, ends;    /* of jobs, by end */
    uint32_t *job_of, ids;   /* by job id */
};

static uint64_t rnd_state;
static uint32_t rnd(uint32_t n) /* xorshift64* */
{
    rnd_state ^= rnd_state >> 12;
    rnd_state ^= rnd_state << 25;
    rnd_state ^= rnd_state >> 27;
    return (uint32_t)((rnd_state * UINT64_C(0x2545f4914f6cdd1d)) >> 33) % n;
}

static void die(const char *what)
{
    fprintf(stderr, "place_bench: %s\n", what);
    exit(1);
}

static void must(int rc, const struct err *err)
{
    if (rc < 0)
        die(err->text);
}

/* ---- tables: numbers separated by blanks, one line each ------------------------------------ */

static FILE *table_open(const char *path)
{
    FILE *f = fopen(path, "re");
    if (!f)
        die(path);
    return f;
}

/* "cpu_milli mem gpus" a line. */
static void nodes_read(struct table *t, const char *path)
{
    FILE *f = table_open(path);
    struct node n;
    while (memset(&n, 0, sizeof n), fscanf(f, "%u %u %u", &n.cpu, &n.mem, &n.gpus) == 3) {
        t->node = xrealloc(t->node, (t->nodes + 1) * sizeof *t->node);
        snprintf(n.name, sizeof n.name, "n%u", t->nodes);
        if (n.gpus > GPUS_MAX)
            die("a node has more than 8 GPUs");
        t->gpus += n.gpus;
        t->node[t->nodes++] = n;
    }
    fclose(f);
}

/* "submit run limit nodes cpu_milli mem gpus milli" a line. */
static void jobs_read(struct table *t, const char *path)
{
    FILE *f = table_open(path);
    struct job j;
    while (fscanf(f, "%lf %lf %lf %u %u %u %u %u", &j.submit, &j.run, &j.limit, &j.nodes, &j.cpu,
                  &j.mem, &j.gpus, &j.milli) == 8) {
        t->job = xrealloc(t->job, (t->jobs + 1) * sizeof *t->job);
        t->job[t->jobs++] = j;
    }
    fclose(f);
}

/* ---- the core's world ------------------------------------------------------------------------ */

static void node_register(struct world *w, const struct node *n)
{
    Sl__NodeRegister reg = SL__NODE_REGISTER__INIT;
    Sl__NodeTopo topo = SL__NODE_TOPO__INIT;
    Sl__NodeGres gpu = SL__NODE_GRES__INIT, milli = SL__NODE_GRES__INIT, *gres[2] = {&gpu, &milli};
    struct err err = {0};
    topo.sockets = topo.threads_per_core = 1;
    topo.cores = topo.cpus = n->cpu;
    topo.synthetic = true;
    reg.name = (char *)n->name;
    reg.topo = &topo;
    reg.mem_mib = n->mem;
    gpu.name = (char *)"gpu";
    gpu.count = n->gpus;
    milli.name = (char *)"gpu_milli";
    milli.count = n->gpus * 1000;
    reg.gres = gres;
    reg.n_gres = n->gpus ? 2 : 0;
    struct command cmd = {.kind = CMD_NODE_REGISTER, .actor = {.admin = true}, .reg = &reg};
    batch_clear(&w->b);
    must(core_apply(w->c, &cmd, w->now, &w->b, &err), &err);
}

static void world_begin(struct world *w, const struct table *t, const struct core_policy *p,
                        struct fabric *f)
{
    static const struct core_partition parts[] = {
        {.name = "main", .nodes = "ALL", .is_default = true, .time_max = SPAN_INFINITE}};
    struct err err = {0};
    *w = (struct world){.t = t, .now = T0};
    batch_init(&w->b);
    w->c = core_create(p, &err);
    must(w->c ? 0 : -1, &err);
    must(core_configure(w->c, p, parts, 1, NULL, 0, true, T0, &err), &err);
    must(core_load_end(w->c, T0, &err), &err);
    w->cpu = xcalloc(t->nodes, sizeof *w->cpu);
    w->gpu = xcalloc(t->nodes, sizeof *w->gpu);
    for (uint32_t i = 0; i < t->nodes; i++) {
        node_register(w, &t->node[i]);
        w->cpu[i] = t->node[i].cpu;
        for (uint32_t g = 0; g < t->node[i].gpus; g++)
            w->gpu[i][g] = 1000;
    }
    core_fabric(w->c, f);
    w->run = xcalloc(t->jobs, sizeof *w->run);
    w->heap = xcalloc(t->jobs, sizeof *w->heap);
}

static void world_end(struct world *w)
{
    struct err err = {0};
    must(core_check(w->c, &err), &err);
    core_destroy(w->c);
    batch_fini(&w->b);
    for (uint32_t i = 0; i < w->t->jobs; i++) {
        free(w->run[i].at);
        free(w->run[i].gpu);
    }
    free(w->cpu);
    free(w->gpu);
    free(w->run);
    free(w->heap);
    free(w->job_of);
}

static const struct core_policy policy_base = {
    .kill_wait = 30 * USEC_PER_SEC, .node_timeout = 300 * USEC_PER_SEC, .job_keep = 1,
    .job_id_first = 1, .job_id_max = 67000000, .jobs_max = 10000000, .array_size_max = 1000,
    .requeue_max = 3, .return_to_service = 2, .core_pools = true, .plan_order = PLAN_FCFS,
    .backfill = BACKFILL_EASY, .backfill_depth = 1, .gpu_seed = 1};

static uint32_t job_submit(struct world *w, uint32_t job, double limit)
{
    const struct job *j = &w->t->job[job];
    Sl__JobSpec s = SL__JOB_SPEC__INIT;
    Sl__GresReq g = SL__GRES_REQ__INIT, *list[1] = {&g};
    struct err err = {0};
    s.type = SL__JOB_TYPE__JOB_TYPE_BATCH;
    s.name = (char *)"j";
    s.nodes_min = s.nodes_max = s.ntasks = j->nodes;
    s.cpus_per_task = j->cpu ? j->cpu : 1;
    s.mem_per_node_mib = j->mem ? j->mem : 1;
    s.exclusive = j->cpu == 0;
    s.time_limit_usec = (int64_t)(limit * 1e6);
    g.name = (char *)(j->milli < 1000 ? "gpu_milli" : "gpu");
    g.count = j->milli < 1000 ? j->milli : j->gpus;
    s.gres = list;
    s.n_gres = j->gpus ? 1 : 0;
    struct command cmd = {.kind = CMD_SUBMIT, .actor = {.uid = 1000, .user = "u"},
                          .submit = {.spec = &s, .user = "u"}};
    must(core_apply(w->c, &cmd, w->now, &w->b, &err), &err);
    if (w->b.job_id >= w->ids) {
        w->ids = w->b.job_id * 2 + 64;
        w->job_of = xrealloc(w->job_of, w->ids * sizeof *w->job_of);
    }
    w->job_of[w->b.job_id] = job;
    return w->b.job_id;
}

static void report(struct world *w, uint32_t id, uint32_t node, Sl__ReportKind kind, bool clean)
{
    Sl__JobReport r = SL__JOB_REPORT__INIT;
    struct err err = {0};
    r.kind = kind;
    r.job_id = id;
    r.time = w->now;
    r.node_clean = clean;
    struct command cmd = {.kind = CMD_REPORT, .actor = {.admin = true},
                          .report = {.node = core_node_name(w->c, node), .report = &r}};
    must(core_apply(w->c, &cmd, w->now, &w->b, &err), &err);
}

/* Our own books: what the core says that the job has, checked against what is free. */
static void book(struct world *w, struct run *r, int sign)
{
    const struct job *j = &w->t->job[r->job];
    for (uint32_t i = 0; i < r->nodes; i++) {
        uint32_t n = r->at[i], cpu = j->cpu ? j->cpu : w->t->node[n].cpu;
        if (sign > 0 && w->cpu[n] < cpu)
            die("a node was given twice");
        w->cpu[n] = sign > 0 ? w->cpu[n] - cpu : w->cpu[n] + cpu;
        for (uint32_t g = 0; g < GPUS_MAX && r->gpu; g++) {
            if (sign > 0 && w->gpu[n][g] < r->gpu[i][g])
                die("a GPU was given twice");
            w->gpu[n][g] = sign > 0 ? w->gpu[n][g] - r->gpu[i][g] : w->gpu[n][g] + r->gpu[i][g];
        }
    }
}

static void run_gpus(struct world *w, struct run *r)
{
    const struct job *j = &w->t->job[r->job];
    struct arena a;
    arena_init(&a);
    Sl__Allocation *m = core_job_alloc(w->c, r->id, &a);
    r->gpu = xcalloc(r->nodes, sizeof *r->gpu);
    for (uint32_t n = 0; n < r->nodes; n++)
        for (size_t k = 0; k < m->nodes[n]->n_gres; k++)
            for (size_t i = 0; i < m->nodes[n]->gres[k]->n_index; i++)
                r->gpu[n][m->nodes[n]->gres[k]->index[i]] =
                    (uint16_t)(j->milli < 1000 ? j->milli : 1000);
    arena_fini(&a);
}

static void heap_push(struct world *w, uint32_t job)
{
    uint32_t i = w->ends++;
    for (; i > 0 && w->run[w->heap[(i - 1) / 2]].end > w->run[job].end; i = (i - 1) / 2)
        w->heap[i] = w->heap[(i - 1) / 2];
    w->heap[i] = job;
}

static uint32_t heap_pop(struct world *w)
{
    uint32_t top = w->heap[0], last = w->heap[--w->ends], i = 0;
    for (;;) {
        uint32_t k = 2 * i + 1;
        if (k >= w->ends)
            break;
        if (k + 1 < w->ends && w->run[w->heap[k + 1]].end < w->run[w->heap[k]].end)
            k++;
        if (w->run[w->heap[k]].end >= w->run[last].end)
            break;
        w->heap[i] = w->heap[k];
        i = k;
    }
    w->heap[i] = last;
    return top;
}

/* A pass, and the books of what it started; the number of starts. */
static uint32_t plan(struct world *w)
{
    uint32_t n = 0;
    while (core_plan(w->c, w->now, 100000, &w->b) == 1)
        ;
    for (size_t i = 0; i < w->b.effects_count; i++) {
        if (w->b.effects[i].kind != EFFECT_LAUNCH)
            continue;
        uint32_t id = w->b.effects[i].job_id, job = w->job_of[id];
        struct run *r = &w->run[job];
        r->job = job;
        r->id = id;
        r->nodes = core_job_nodes(w->c, id);
        r->at = xcalloc(r->nodes, sizeof *r->at);
        for (uint32_t k = 0; k < r->nodes; k++)
            r->at[k] = core_job_node(w->c, id, k);
        if (w->t->job[job].gpus)
            run_gpus(w, r);
        book(w, r, 1);
        r->start = w->now;
        r->end = w->now + (usec_t)(w->t->job[job].run * 1e6);
        heap_push(w, job);
        n++;
    }
    batch_clear(&w->b);
    return n;
}

static void finish(struct world *w, uint32_t job)
{
    struct run *r = &w->run[job];
    for (uint32_t k = 0; k < r->nodes; k++)
        report(w, r->id, r->at[k], SL__REPORT_KIND__REPORT_LAUNCHED, false);
    report(w, r->id, r->at[0], SL__REPORT_KIND__REPORT_JOB_DONE, r->nodes == 1);
    for (uint32_t k = 0; k < r->nodes && r->nodes > 1; k++)
        report(w, r->id, r->at[k], SL__REPORT_KIND__REPORT_NODE_CLEAN, false);
    book(w, r, -1);
    batch_clear(&w->b);
}

static void tick(struct world *w)
{
    struct command cmd = {.kind = CMD_TICK};
    struct err err = {0};
    must(core_apply(w->c, &cmd, w->now, &w->b, &err), &err);
}

/* ---- fragmentation, as the paper defines it ----------------------------------------------------- */

static int by_count(const void *a, const void *b)
{
    const struct class *x = a, *y = b;
    return x->count > y->count ? -1 : x->count < y->count;
}

/* The commonest classes that make 95 % of the jobs, or of their GPUs' time. */
static uint32_t classes_find(const struct table *t, struct class *k, bool by_work)
{
    uint32_t n = 0, keep = 0;
    double sum = 0, all = 0;
    for (uint32_t i = 0; i < t->jobs; i++) {
        const struct job *j = &t->job[i];
        double weight = by_work ? j->run * j->nodes * j->gpus * j->milli : 1;
        all += weight;
        uint32_t at = 0;
        while (at < n && (k[at].cpu != j->cpu || k[at].gpus != j->gpus || k[at].milli != j->milli))
            at++;
        if (at == CLASSES_MAX)
            continue;
        if (at == n)
            k[n++] = (struct class){j->cpu, j->gpus, j->milli, 0};
        k[at].count += weight;
    }
    qsort(k, n, sizeof *k, by_count);
    while (keep < n && sum < all * 0.95)
        sum += k[keep++].count;
    return keep;
}

/* Expected part of the free GPUs that a job of the classes could not use, in per cent. */
static double frag_pct(const struct world *w, const struct class *k, uint32_t classes)
{
    double frag = 0, idle = 0, total = 0;
    for (uint32_t m = 0; m < classes; m++)
        total += k[m].count;
    for (uint32_t n = 0; n < w->t->nodes; n++) {
        uint32_t all = 0;
        for (uint32_t g = 0; g < w->t->node[n].gpus; g++)
            all += w->gpu[n][g];
        idle += all;
        for (uint32_t m = 0; m < classes && all; m++) {
            uint32_t fits = 0, unfit = 0;
            for (uint32_t g = 0; g < w->t->node[n].gpus; g++) {
                bool good = k[m].gpus && w->gpu[n][g] >= k[m].milli;
                fits += good;
                unfit += good ? 0 : w->gpu[n][g];
            }
            bool can = k[m].gpus && fits >= k[m].gpus && w->cpu[n] >= k[m].cpu;
            frag += (can ? unfit : all) * (k[m].count / total);
        }
    }
    return idle > 0 ? 100 * frag / idle : 0;
}

/* ---- fill ------------------------------------------------------------------------------------------ */

static const char *const gpu_names[] = {"fgd", "bestfit", "packing", "random", "fgd-only"};

struct fill { double alloc[2], frag[2]; }; /* at 100 and 130 %, at 80 and 90 % */

static struct fill fill_run(const struct table *t, const struct class *k, uint32_t classes,
                            enum gpu_placement how, uint32_t seed)
{
    struct core_policy p = policy_base;
    struct world w;
    struct fill out = {0};
    uint32_t *order = xcalloc(DRAWN * t->jobs, sizeof *order), n = 0;
    double arrived = 0, placed = 0;
    p.gpu_placement = how;
    p.gpu_seed = seed;
    rnd_state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    for (; n < t->jobs; n++) {
        uint32_t at = rnd(n + 1);
        order[n] = order[at];
        order[at] = n;
    }
    for (; n < DRAWN * t->jobs; n++) /* what is short of 130 % is drawn again */
        order[n] = rnd(t->jobs);
    struct table drawn = *t;
    drawn.job = xcalloc(DRAWN * t->jobs, sizeof *drawn.job);
    drawn.jobs = DRAWN * t->jobs;
    for (uint32_t i = 0; i < n; i++)
        drawn.job[i] = t->job[order[i]];
    world_begin(&w, &drawn, &p, NULL);
    for (uint32_t i = 0; i < n && arrived < 1.3 * t->gpus; i++) {
        const struct job *j = &drawn.job[i];
        double was = arrived / t->gpus, want = j->gpus * j->milli / 1000.0;
        uint32_t id = job_submit(&w, i, 1e8);
        if (plan(&w) == 1) {
            placed += want;
        } else {
            struct err err = {0};
            struct command cmd = {.kind = CMD_CANCEL, .actor = {.admin = true}, .job = {.job_id = id}};
            must(core_apply(w.c, &cmd, w.now, &w.b, &err), &err);
            batch_clear(&w.b);
        }
        arrived += want;
        double is = arrived / t->gpus;
        if (was < 0.8 && is >= 0.8)
            out.frag[0] = frag_pct(&w, k, classes);
        if (was < 0.9 && is >= 0.9)
            out.frag[1] = frag_pct(&w, k, classes);
        if (was < 1.0 && is >= 1.0)
            out.alloc[0] = 100 * placed / t->gpus;
    }
    out.alloc[1] = 100 * placed / t->gpus;
    world_end(&w);
    free(drawn.job);
    free(order);
    return out;
}

static void fill(const struct table *t, uint32_t seeds, const char *only)
{
    struct class k[CLASSES_MAX];
    uint32_t classes = classes_find(t, k, false);
    printf("# %u nodes, %u GPUs, %u pods, %u seeds, %u classes in the measure\n", t->nodes,
           t->gpus, t->jobs, seeds, classes);
    printf("%-8s %9s %9s %9s %9s\n", "rule", "alloc100", "alloc130", "frag80", "frag90");
    for (int how = 0; how < GPU_PLACEMENTS; how++) {
        struct fill sum = {0};
        if (only && strcmp(only, gpu_names[how]) != 0)
            continue;
        for (uint32_t s = 1; s <= seeds; s++) {
            struct fill one = fill_run(t, k, classes, (enum gpu_placement)how, s);
            for (int i = 0; i < 2; i++) {
                sum.alloc[i] += one.alloc[i] / seeds;
                sum.frag[i] += one.frag[i] / seeds;
            }
        }
        printf("%-8s %9.2f %9.2f %9.2f %9.2f\n", gpu_names[how], sum.alloc[0], sum.alloc[1],
               sum.frag[0], sum.frag[1]);
        fflush(stdout);
    }
}

/* ---- jobs that come and go ---------------------------------------------------------------------------- */

struct measure { const struct class *k, *w; uint32_t classes, classes_w; };

struct replay {
    double wait, util, frag, frag_w, hops, hops_weighted, leafs;
    double span, busy, frag_time, pairs; /* sums on the way */
    uint32_t waits, several;
};

static void measure_run(const struct world *w, const struct fabric *f, uint32_t job,
                        struct replay *out)
{
    const struct run *r = &w->run[job];
    double hops = 0;
    uint32_t leafs = 0, last = UINT32_MAX;
    for (uint32_t k = 0; f && k < r->nodes; k++) {
        uint32_t pos = fabric_find(f, w->t->node[r->at[k]].name);
        uint32_t leaf = f->leaf_of[pos];
        bool seen = false;
        for (uint32_t e = 0; e < k && leaf != last; e++)
            seen = seen || f->leaf_of[fabric_find(f, w->t->node[r->at[e]].name)] == leaf;
        leafs += leaf != last && !seen;
        last = leaf;
        if (k)
            hops += fabric_hops(f, fabric_find(f, w->t->node[r->at[k - 1]].name), pos);
    }
    out->wait += (double)(r->start - T0) / 1e6 - w->t->job[job].submit;
    out->waits++;
    if (r->nodes < 2 || !f)
        return;
    out->several++;
    out->hops += hops / (r->nodes - 1);
    out->hops_weighted += hops;
    out->pairs += r->nodes - 1;
    out->leafs += leafs;
}

/* As if each job were alone: the least that there can be. */
static struct replay replay_alone(const struct table *t, const struct fabric *f)
{
    struct world w = {.t = t, .run = xcalloc(t->jobs, sizeof *w.run)};
    struct replay out = {0};
    uint32_t *at = xcalloc(t->nodes, sizeof *at);
    for (uint32_t i = 0; i < t->nodes; i++) /* the fabric's first nodes */
        at[i] = i;
    for (uint32_t i = 0; i < t->jobs; i++) {
        w.run[i] = (struct run){.job = i, .nodes = t->job[i].nodes, .at = at};
        measure_run(&w, f, i, &out);
    }
    out.hops /= out.several;
    out.leafs /= out.several;
    out.hops_weighted /= out.pairs;
    free(at);
    free(w.run);
    return out;
}

/* The whole table; jobs wait first come, first served, with EASY backfill. Shares of time are
 * taken while jobs still arrive. */
static struct replay replay_run(const struct table *t, const struct core_policy *p,
                                struct fabric *f, const struct measure *m)
{
    struct world w;
    struct replay out = {0};
    double last = t->job[t->jobs - 1].submit, sampled = 0;
    uint32_t next = 0;
    world_begin(&w, t, p, f);
    while (next < t->jobs || w.ends) {
        usec_t arrive = next < t->jobs ? T0 + (usec_t)(t->job[next].submit * 1e6) : INT64_MAX;
        usec_t end = w.ends ? w.run[w.heap[0]].end : INT64_MAX, then = arrive < end ? arrive : end;
        double to = (double)(then - T0) / 1e6, from = (double)(w.now - T0) / 1e6;
        if (from < last) {
            double step = (to < last ? to : last) - from, busy = 0;
            for (uint32_t n = 0; n < t->nodes; n++)
                busy += f ? (w.cpu[n] == 0) : 0;
            for (uint32_t n = 0; n < t->nodes && !f; n++)
                for (uint32_t g = 0; g < t->node[n].gpus; g++)
                    busy += (1000 - w.gpu[n][g]) / 1000.0;
            out.busy += step * busy;
            out.span += step;
            if (m && to - sampled >= last / 1000) { /* dear: at 1,000 points of time */
                out.frag += frag_pct(&w, m->k, m->classes);
                out.frag_w += frag_pct(&w, m->w, m->classes_w);
                out.frag_time += 1;
                sampled = to;
            }
        }
        w.now = then;
        while (w.ends && w.run[w.heap[0]].end <= w.now)
            finish(&w, heap_pop(&w));
        while (next < t->jobs && T0 + (usec_t)(t->job[next].submit * 1e6) <= w.now) {
            job_submit(&w, next, (t->job[next].limit > 0 ? t->job[next].limit : t->job[next].run) + 1);
            next++;
        }
        tick(&w);
        plan(&w);
    }
    for (uint32_t i = 0; i < t->jobs; i++)
        measure_run(&w, f, i, &out);
    out.util = 100 * out.busy / out.span / (f ? t->nodes : t->gpus);
    out.wait /= out.waits;
    out.frag /= out.frag_time ? out.frag_time : 1;
    out.frag_w /= out.frag_time ? out.frag_time : 1;
    out.hops /= out.several ? out.several : 1;
    out.leafs /= out.several ? out.several : 1;
    out.hops_weighted /= out.pairs ? out.pairs : 1;
    world_end(&w);
    return out;
}

static int by_submit(const void *a, const void *b)
{
    const struct job *x = a, *y = b;
    return x->submit < y->submit ? -1 : x->submit > y->submit;
}

/* Arrivals closer or further apart, so that their work is `load` of the machine. */
static void load_set(struct table *t, double load)
{
    double work = 0, all = t->gpus ? t->gpus : t->nodes;
    qsort(t->job, t->jobs, sizeof *t->job, by_submit);
    double first = t->job[0].submit, span = t->job[t->jobs - 1].submit - first;
    for (uint32_t i = 0; i < t->jobs; i++)
        work += t->job[i].run * t->job[i].nodes *
                (t->gpus ? t->job[i].gpus * t->job[i].milli / 1000.0 : 1);
    double scale = work / (load * all) / span;
    for (uint32_t i = 0; i < t->jobs; i++)
        t->job[i].submit = (t->job[i].submit - first) * scale;
}

static void gpus(struct table *t, double load, const char *only)
{
    struct class k[CLASSES_MAX], w[CLASSES_MAX];
    struct measure m = {k, w, classes_find(t, k, false), classes_find(t, w, true)};
    load_set(t, load);
    double gpu_sec = 0, gpu_sec_several = 0;
    for (uint32_t i = 0; i < t->jobs; i++) {
        double g = t->job[i].run * t->job[i].gpus * t->job[i].milli * t->job[i].nodes;
        gpu_sec += g;
        gpu_sec_several += t->job[i].gpus > 1 ? g : 0;
    }
    printf("# %u nodes, %u GPUs, %u jobs (of several GPUs: %.0f %% of the work), load %.2f, "
           "first come, first served with EASY\n", t->nodes, t->gpus, t->jobs,
           100 * gpu_sec_several / gpu_sec, load);
    printf("%-8s %12s %9s %9s %9s\n", "rule", "wait_avg_s", "gpu_util", "frag", "frag_work");
    for (int how = 0; how < GPU_PLACEMENTS; how++) {
        struct core_policy p = policy_base;
        p.gpu_placement = (enum gpu_placement)how;
        if (only && strcmp(only, gpu_names[how]) != 0)
            continue;
        struct replay r = replay_run(t, &p, NULL, &m);
        printf("%-8s %12.1f %9.2f %9.2f %9.2f\n", gpu_names[how], r.wait, r.util, r.frag, r.frag_w);
        fflush(stdout);
    }
}

static void fabric(struct table *t, const char *text, double load, uint32_t nodes)
{
    static const char *const rules[] = {"nearest", "leafs", "first"};
    char hosts[32];
    struct err err = {0};
    snprintf(hosts, sizeof hosts, "n[0-%u]", nodes - 1);
    for (uint32_t i = 0; i < nodes; i++) {
        t->node = xrealloc(t->node, (t->nodes + 1) * sizeof *t->node);
        t->node[t->nodes] = (struct node){.cpu = 1, .mem = 1000};
        snprintf(t->node[t->nodes].name, sizeof t->node[0].name, "n%u", i);
        t->nodes++;
    }
    load_set(t, load);
    printf("# %s, %u nodes, %u jobs, load %.2f\n", text, nodes, t->jobs, load);
    printf("%-8s %10s %10s %10s %12s %8s\n", "rule", "hops_job", "hops_rank", "leafs_job",
           "wait_avg_s", "util");
    struct fabric *empty = fabric_generate(text, hosts, &err);
    must(empty ? 0 : -1, &err);
    struct replay alone = replay_alone(t, empty);
    printf("%-8s %10.3f %10.3f %10.3f\n", "(alone)", alone.hops, alone.hops_weighted, alone.leafs);
    fabric_destroy(empty);
    for (int how = 0; how < FABRIC_CHOICES; how++) {
        struct core_policy p = policy_base;
        p.fabric_choice = (enum fabric_choice)how;
        struct fabric *f = fabric_generate(text, hosts, &err);
        must(f ? 0 : -1, &err);
        struct replay r = replay_run(t, &p, f, NULL);
        printf("%-8s %10.3f %10.3f %10.3f %12.1f %8.2f\n", rules[how], r.hops, r.hops_weighted,
               r.leafs, r.wait, r.util);
        fflush(stdout);
    }
}

int main(int argc, char **argv)
{
    struct table t = {0};
    if (argc >= 5 && strcmp(argv[1], "fill") == 0) {
        nodes_read(&t, argv[2]);
        jobs_read(&t, argv[3]);
        fill(&t, (uint32_t)atoi(argv[4]), argv[5]);
    } else if (argc >= 5 && strcmp(argv[1], "gpus") == 0) {
        nodes_read(&t, argv[2]);
        jobs_read(&t, argv[3]);
        gpus(&t, atof(argv[4]), argv[5]);
    } else if (argc == 6 && strcmp(argv[1], "fabric") == 0) {
        jobs_read(&t, argv[3]);
        fabric(&t, argv[2], atof(argv[4]), (uint32_t)atoi(argv[5]));
    } else {
        die("fill NODES PODS SEEDS | gpus NODES JOBS LOAD | fabric TEXT JOBS LOAD NODES");
    }
    free(t.node);
    free(t.job);
    return 0;
}
