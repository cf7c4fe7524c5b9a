/* SPDX-License-Identifier: Apache-2.0 */
#include "stepd/sample.h"

#include "stepd/dlink.h"
#include "stepd/procs.h"
#include "stepd/tasks.h"
#include "stepd/tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct sampler {
    struct step *step;
    struct event *timer;
    struct proc_usage reaped;   /* sums over ended processes */
    struct proc_usage living;   /* at the last sample */
    uint64_t *task_rss_max_kib; /* [tasks_count] */
    uint64_t vsize_max_kib;
};

static uint64_t memory_limit_kib(const struct step *s)
{
    const Sl__StepNode *node = s->launch->layout->nodes[s->node_index];
    if (!s->opts->memory_enforce || node->mem_mib == 0 || node->mem_mib == MEM_ALL)
        return UINT64_MAX;
    return node->mem_mib * 1024;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct sampler *sp = arg;
    struct step *s = sp->step;
    (void)fd;
    (void)what;
    uint64_t used = sample_now(s), limit = memory_limit_kib(s);
    dlink_usage(s);
    if (used > limit && s->phase == PHASE_RUNNING) {
        s->oom = true;
        step_tell(s, "Exceeded step memory limit: %llu KiB used, %llu KiB granted",
                  (unsigned long long)used, (unsigned long long)limit);
        tree_abort(s, SIGKILL, "out of memory");
    }
}

struct sampler *sampler_create(struct step *s)
{
    struct sampler *sp = xcalloc(1, sizeof(*sp));
    sp->step = s;
    sp->task_rss_max_kib = xcalloc(s->tasks_count, sizeof(uint64_t));
    if (s->opts->sample_interval > 0 && s->tasks_count > 0) {
        struct timeval tv = {s->opts->sample_interval / USEC_PER_SEC,
                             s->opts->sample_interval % USEC_PER_SEC};
        sp->timer = event_new(s->base, -1, EV_PERSIST, on_timer, sp);
        ASSERT(sp->timer);
        event_add(sp->timer, &tv);
    }
    return sp;
}

void sampler_destroy(struct sampler *sp)
{
    if (!sp)
        return;
    if (sp->timer)
        event_free(sp->timer);
    free(sp->task_rss_max_kib);
    free(sp);
}

static void rss_seen(struct sampler *sp, uint32_t local, uint64_t kib)
{
    if (kib > sp->task_rss_max_kib[local])
        sp->task_rss_max_kib[local] = kib;
}

void sample_zombie(struct step *s, const struct task *t, pid_t pid)
{
    struct proc_usage u = {0};
    (void)t;
    if (s->sampler && proc_io_add(pid, &u)) {
        s->sampler->reaped.read_bytes += u.read_bytes;
        s->sampler->reaped.write_bytes += u.write_bytes;
    }
}

/* The figures of a reaped process include those of its own reaped children. */
void sample_reaped(struct step *s, const struct task *t, const struct rusage *ru)
{
    struct sampler *sp = s->sampler;
    if (!sp)
        return;
    sp->reaped.user_usec += ru->ru_utime.tv_sec * USEC_PER_SEC + ru->ru_utime.tv_usec;
    sp->reaped.system_usec += ru->ru_stime.tv_sec * USEC_PER_SEC + ru->ru_stime.tv_usec;
    sp->reaped.faults += (uint64_t)ru->ru_majflt;
    if (t)
        rss_seen(sp, t->local, (uint64_t)ru->ru_maxrss);
}

/* Also what has lost its parent and fell to us, which belongs to no task any more. */
uint64_t sample_now(struct step *s)
{
    struct sampler *sp = s->sampler;
    struct proc_list children = {0}, l = {0};
    struct proc_usage all = {0};

    procs_children(getpid(), &children);
    for (size_t i = 0; i < children.count; i++) {
        struct proc_usage u = {0};
        const struct task *t = task_by_pid(s, children.pids[i]);
        l.count = 0;
        procs_below(children.pids[i], &l);
        proc_usage_add(children.pids[i], &u);
        for (size_t k = 0; k < l.count; k++)
            proc_usage_add(l.pids[k], &u);
        if (t)
            rss_seen(sp, t->local, u.rss_kib);
        proc_usage_sum(&all, &u);
    }
    proc_list_fini(&children);
    proc_list_fini(&l);
    sp->living = all;
    if (all.vsize_kib > sp->vsize_max_kib)
        sp->vsize_max_kib = all.vsize_kib;
    return all.rss_kib;
}

void sample_fill(struct step *s, Sl__StepUsage *u)
{
    struct sampler *sp = s->sampler;
    uint64_t sum = 0;

    if (s->tasks_running == 0)
        sp->living = (struct proc_usage){0};
    u->job_id = s->job_id;
    u->restart = s->restart;
    u->step_id = s->step_id;
    u->ntasks = s->tasks_count;
    u->user_cpu_usec = sp->reaped.user_usec + sp->living.user_usec;
    u->system_cpu_usec = sp->reaped.system_usec + sp->living.system_usec;
    u->read_bytes = sp->reaped.read_bytes + sp->living.read_bytes;
    u->write_bytes = sp->reaped.write_bytes + sp->living.write_bytes;
    u->page_faults = sp->reaped.faults + sp->living.faults;
    u->vsize_max_kib = sp->vsize_max_kib;
    u->rss_max_kib = 0;
    for (uint32_t i = 0; i < s->tasks_count; i++) {
        sum += sp->task_rss_max_kib[i];
        if (i > 0 && sp->task_rss_max_kib[i] <= u->rss_max_kib)
            continue;
        u->rss_max_kib = sp->task_rss_max_kib[i];
        u->rss_max_task = s->tasks[i].rank;
    }
    u->rss_ave_kib = s->tasks_count ? sum / s->tasks_count : 0;
    u->rss_max_node = (char *)s->opts->node;
}

void usage_merge(Sl__StepUsage *a, const Sl__StepUsage *b, char *node)
{
    uint64_t tasks = (uint64_t)a->ntasks + b->ntasks;
    if (tasks > 0)
        a->rss_ave_kib = (a->rss_ave_kib * a->ntasks + b->rss_ave_kib * b->ntasks) / tasks;
    a->ntasks = (uint32_t)tasks;
    a->user_cpu_usec += b->user_cpu_usec;
    a->system_cpu_usec += b->system_cpu_usec;
    a->read_bytes += b->read_bytes;
    a->write_bytes += b->write_bytes;
    a->page_faults += b->page_faults;
    if (b->vsize_max_kib > a->vsize_max_kib)
        a->vsize_max_kib = b->vsize_max_kib;
    if (b->rss_max_kib > a->rss_max_kib) {
        a->rss_max_kib = b->rss_max_kib;
        a->rss_max_task = b->rss_max_task;
        snprintf(node, NAME_LEN_MAX + 1, "%s", b->rss_max_node);
        a->rss_max_node = node;
    }
}
