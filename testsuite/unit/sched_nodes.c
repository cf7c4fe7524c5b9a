/* SPDX-License-Identifier: Apache-2.0
 *
 * Node daemons as the controller sees them, and the links to them.
 */
#include "sched_truth.h"
#include "sched_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- queues --------------------------------------------------------------------- */

static void msg_free(struct sim_msg *m)
{
    free(m->reports);
    free(m->jobs);
}

static void queue_clear(struct sim_queue *q)
{
    for (size_t i = 0; i < q->count; i++)
        msg_free(&q->v[i]);
    q->count = 0;
}

static bool queue_take(struct sim_queue *q, struct sim_msg *out)
{
    if (q->count == 0)
        return false;
    *out = q->v[0];
    memmove(q->v, q->v + 1, --q->count * sizeof *q->v);
    return true;
}

/* ---- reports and jobs of a node ------------------------------------------------- */

static void report_add(const struct world *w, struct sim_node *n, struct run_key run,
                       Sl__ReportKind kind, uint32_t status, bool clean)
{
    world_say(w, "%s reports %d of job %u.%u status %u%s", n->name, kind, run.job_id,
              run.restart, status, clean ? " clean" : "");
    struct sim_report r = {++n->seq_last, kind, run.job_id, run.restart, 0,
                           status,        clean};
    PUSH(n->log, n->log_count, n->log_cap, r);
}

static struct sim_job *job_on(struct sim_node *n, struct run_key run)
{
    for (size_t i = 0; i < n->jobs_count; i++)
        if (n->job[i].run.job_id == run.job_id && n->job[i].run.restart == run.restart)
            return &n->job[i];
    return NULL;
}

static void job_forget(struct sim_node *n, struct sim_job *j)
{
    *j = n->job[--n->jobs_count];
}

/* Over here, and the controller has not yet said that it knows. */
static bool end_unacknowledged(const struct sim_node *n, struct run_key run)
{
    for (size_t i = 0; i < n->log_count; i++) {
        const struct sim_report *r = &n->log[i];
        if (r->job_id == run.job_id && r->restart == run.restart &&
            (r->kind == SL__REPORT_KIND__REPORT_NODE_CLEAN || r->clean))
            return true;
    }
    return false;
}

static void on_launch(struct world *w, uint32_t node, const struct sim_msg *m)
{
    struct sim_node *n = &w->node[node];
    if (job_on(n, m->run)) {
        report_add(w, n, m->run, SL__REPORT_KIND__REPORT_LAUNCHED, 0, false);
        return;
    }
    if (end_unacknowledged(n, m->run))
        return;
    struct sim_job j = {.run = m->run, .manager = m->index == 0, .single = m->single};
    PUSH(n->job, n->jobs_count, n->jobs_cap, j);
    if (!w->calm && world_chance(w, 3)) {
        report_add(w, n, m->run, SL__REPORT_KIND__REPORT_LAUNCH_FAILED, 1 << 8, false);
        return;
    }
    truth_started(w, node, m->run);
    report_add(w, n, m->run, SL__REPORT_KIND__REPORT_LAUNCHED, 0, false);
}

static void on_terminate(struct world *w, uint32_t node, const struct sim_msg *m)
{
    struct sim_node *n = &w->node[node];
    struct sim_job *j = job_on(n, m->run);
    if (j && m->final)
        j->ending = true;
    else if (j && m->suspend)
        j->suspended = true;
    else if (j && m->resume)
        j->suspended = false;
    else if (!j && m->final)
        report_add(w, n, m->run, SL__REPORT_KIND__REPORT_NODE_CLEAN, 0, false);
}

static void on_ack(struct sim_node *n, uint64_t seq)
{
    size_t k = 0;
    while (k < n->log_count && n->log[k].seq <= seq)
        k++;
    if (k == 0)
        return;
    memmove(n->log, n->log + k, (n->log_count - k) * sizeof *n->log);
    n->log_count -= k;
    n->log_sent = n->log_sent > k ? n->log_sent - k : 0;
}

static void job_done(struct world *w, uint32_t node, struct sim_job *j)
{
    struct sim_node *n = &w->node[node];
    uint32_t status = world_chance(w, 75) ? 0 : world_chance(w, 50) ? 1 << 8 : 9;
    bool clean = j->single && !j->ending && world_chance(w, 70);
    if (j->stepping)
        report_add(w, n, j->run, SL__REPORT_KIND__REPORT_STEP_END, status, false);
    truth_ended(w, node, j->run, status);
    report_add(w, n, j->run, SL__REPORT_KIND__REPORT_JOB_DONE, status, clean);
    j->done = true;
    if (clean)
        job_forget(n, j);
}

void world_work(struct world *w, uint32_t node)
{
    struct sim_node *n = &w->node[node];
    if (n->jobs_count == 0)
        return;
    struct sim_job *j = &n->job[world_below(w, (uint32_t)n->jobs_count)];
    if (j->manager && !j->done && !j->suspended && world_chance(w, 70)) {
        if (!j->stepping && !j->ending && world_chance(w, 40)) {
            j->stepping = true;
            report_add(w, n, j->run, SL__REPORT_KIND__REPORT_STEP_START, 0, false);
            return;
        }
        job_done(w, node, j);
    } else if (j->ending) {
        report_add(w, n, j->run, SL__REPORT_KIND__REPORT_NODE_CLEAN, 0, false);
        job_forget(n, j);
    }
}

/* ---- links ---------------------------------------------------------------------- */

void world_dial(struct world *w, uint32_t node)
{
    struct sim_node *n = &w->node[node];
    struct sim_msg m = {.kind = SIM_REGISTER, .boot = n->boot};
    if (n->dialled)
        return;
    n->dialled = true;
    n->session++;
    m.jobs = xmalloc(n->jobs_count * sizeof *m.jobs);
    for (size_t i = 0; i < n->jobs_count; i++)
        m.jobs[m.jobs_count++] = n->job[i].run;
    m.reports = xmalloc(n->log_count * sizeof *m.reports);
    for (size_t i = 0; i < n->log_count; i++)
        m.reports[m.reports_count++] = n->log[i];
    n->log_sent = n->log_count;
    PUSH(n->up.v, n->up.count, n->up.cap, m);
}

void world_cut(struct world *w, uint32_t node)
{
    struct sim_node *n = &w->node[node];
    w->stats.cuts += n->dialled;
    world_say(w, "%s is cut off", n->name);
    n->loss_due = n->loss_due || n->registered;
    n->dialled = n->registered = false;
    n->log_sent = 0;
    queue_clear(&n->down);
    queue_clear(&n->up);
}

void world_notice(struct world *w, uint32_t node)
{
    struct command cmd = {.kind = CMD_NODE_LOST, .actor = {.admin = true}};
    struct err err = {0};
    if (!w->node[node].loss_due)
        return;
    w->node[node].loss_due = false;
    cmd.node.name = w->node[node].name;
    world_apply(w, &cmd, &err);
}

void world_reboot(struct world *w, uint32_t node, bool keep_spool)
{
    struct sim_node *n = &w->node[node];
    w->stats.reboots++;
    world_say(w, "%s reboots%s", w->node[node].name,
              keep_spool ? "" : " without its spool");
    world_cut(w, node);
    n->boot++;
    if (!keep_spool) {
        n->jobs_count = n->log_count = 0;
        n->seq_last += 1000000; /* starts from the clock */
        return;
    }
    /* its supervisors are gone: reported as the restarted daemon finds them */
    for (size_t i = 0; i < n->jobs_count; i++) {
        struct sim_job *j = &n->job[i];
        if (j->manager && !j->done)
            report_add(w, n, j->run, SL__REPORT_KIND__REPORT_JOB_DONE, 9, false);
        j->done = true;
    }
}

static void report_apply(struct world *w, uint32_t node, const struct sim_report *r)
{
    Sl__JobReport m = SL__JOB_REPORT__INIT;
    Sl__StepRecord step = SL__STEP_RECORD__INIT;
    struct command cmd = {.kind = CMD_REPORT, .actor = {.admin = true}};
    struct err err = {0};
    m.kind = r->kind;
    m.job_id = step.job_id = r->job_id;
    m.restart = step.restart = r->restart;
    m.step_id = step.step_id = r->step_id;
    m.exit_status = r->status;
    m.node_clean = r->clean;
    if (r->kind == SL__REPORT_KIND__REPORT_STEP_START)
        m.step = &step;
    cmd.report.node = w->node[node].name;
    cmd.report.report = &m;
    world_apply(w, &cmd, &err);
}

/* All of a frame; the acknowledgement waits for the generation. */
static void reports_take(struct world *w, uint32_t node, struct sim_report *r,
                         size_t count, bool shuffle)
{
    uint64_t seq = 0;
    for (size_t i = 0; shuffle && i + 1 < count; i++) {
        size_t k = i + world_below(w, (uint32_t)(count - i));
        struct sim_report swap = r[i];
        r[i] = r[k];
        r[k] = swap;
    }
    for (size_t i = 0; i < count; i++) {
        report_apply(w, node, &r[i]);
        size_t at = w->past_count++ % WORLD_LATE;
        w->past[at].node = node;
        w->past[at].report = r[i];
        if (r[i].seq > seq)
            seq = r[i].seq;
    }
    if (count)
        world_promise(w, (struct promise){.kind = PROMISE_ACK,
                                          .node = node,
                                          .session = w->node[node].session,
                                          .seq = seq});
}

void world_repeat_late(struct world *w)
{
    size_t n = w->past_count < WORLD_LATE ? w->past_count : WORLD_LATE;
    if (n == 0)
        return;
    size_t at = world_below(w, (uint32_t)n);
    w->stats.repeats++;
    report_apply(w, w->past[at].node, &w->past[at].report);
}

struct topo { /* storage of one registration's topology */
    Sl__NodeTopo topo;
    Sl__NumaNode numa[2], *numas[2];
    char text[8][4], *cpus[8];
    uint32_t core_numa[8];
    Sl__NodeGres gres, *gress[1];
};

static void topo_fill(const struct sim_node *n, struct topo *t)
{
    static char all[] = "0-7", gpu[] = "gpu", none[] = "";
    sl__node_topo__init(&t->topo);
    t->topo.sockets = n->numas;
    t->topo.threads_per_core = 1;
    t->topo.cores = t->topo.cpus = n->cores;
    for (uint32_t i = 0; i < n->cores; i++) {
        snprintf(t->text[i], sizeof t->text[i], "%u", i % 8);
        t->cpus[i] = t->text[i];
        t->core_numa[i] = i * n->numas / n->cores;
    }
    for (uint32_t i = 0; i < n->numas; i++) {
        sl__numa_node__init(&t->numa[i]);
        t->numa[i].os_index = i;
        t->numa[i].cpus = all;
        t->numas[i] = &t->numa[i];
    }
    t->topo.core_cpus = t->cpus;
    t->topo.core_numa = t->topo.core_socket = t->core_numa;
    t->topo.n_core_cpus = t->topo.n_core_numa = t->topo.n_core_socket = n->cores;
    t->topo.numa = t->numas;
    t->topo.n_numa = n->numas;
    sl__node_gres__init(&t->gres);
    t->gres.name = gpu;
    t->gres.type = none;
    t->gres.count = n->gpus;
    t->gress[0] = &t->gres;
}

static void on_register(struct world *w, uint32_t node, struct sim_msg *m)
{
    struct sim_node *n = &w->node[node];
    Sl__NodeRegister reg = SL__NODE_REGISTER__INIT;
    Sl__NodeJob *jobs = xcalloc(m->jobs_count, sizeof *jobs);
    Sl__NodeJob **at = xcalloc(m->jobs_count, sizeof *at);
    struct command cmd = {
        .kind = CMD_NODE_REGISTER, .actor = {.admin = true}, .reg = &reg};
    struct err err = {0};
    struct topo t = {0};
    char boot[16];

    snprintf(boot, sizeof boot, "boot-%u", m->boot);
    topo_fill(n, &t);
    reg.name = n->name;
    reg.boot_id = boot;
    reg.features = (char *)n->features;
    reg.topo = &t.topo;
    reg.mem_mib = 4096;
    reg.gres = t.gress;
    reg.n_gres = n->gpus ? 1 : 0;
    for (size_t i = 0; i < m->jobs_count; i++) {
        sl__node_job__init(&jobs[i]);
        jobs[i].job_id = m->jobs[i].job_id;
        jobs[i].restart = m->jobs[i].restart;
        at[i] = &jobs[i];
    }
    reg.jobs = at;
    reg.n_jobs = m->jobs_count;
    world_say(w, "%s registers with %zu jobs and %zu reports", n->name, m->jobs_count,
              m->reports_count);
    reports_take(w, node, m->reports, m->reports_count, false);
    if (world_apply(w, &cmd, &err) < 0)
        broken(w, "node %s: registration refused: %s", n->name, err.text);
    n->registered = true;
    n->loss_due = false; /* the former session was replaced */
    free(jobs);
    free(at);
}

/* What was added since the last frame. */
static void flush(struct sim_node *n)
{
    struct sim_msg m = {.kind = SIM_REPORTS};
    if (!n->registered || n->log_sent == n->log_count)
        return;
    m.reports_count = n->log_count - n->log_sent;
    m.reports = xmalloc(m.reports_count * sizeof *m.reports);
    memcpy(m.reports, n->log + n->log_sent, m.reports_count * sizeof *m.reports);
    n->log_sent = n->log_count;
    PUSH(n->up.v, n->up.count, n->up.cap, m);
}

void world_deliver_up(struct world *w, uint32_t node, bool shuffle)
{
    struct sim_msg m;
    flush(&w->node[node]);
    if (!queue_take(&w->node[node].up, &m))
        return;
    if (m.kind == SIM_REGISTER)
        on_register(w, node, &m);
    else
        reports_take(w, node, m.reports, m.reports_count, shuffle);
    msg_free(&m);
}

void world_deliver_down(struct world *w, uint32_t node)
{
    struct sim_msg m;
    if (!queue_take(&w->node[node].down, &m))
        return;
    world_say(w, "%s gets %s of job %u.%u", w->node[node].name,
              m.kind == SIM_LAUNCH      ? "launch"
              : m.kind == SIM_TERMINATE ? "terminate"
                                        : "ack",
              m.run.job_id, m.run.restart);
    if (m.kind == SIM_LAUNCH)
        on_launch(w, node, &m);
    else if (m.kind == SIM_TERMINATE)
        on_terminate(w, node, &m);
    else
        on_ack(&w->node[node], m.seq);
    msg_free(&m);
}
