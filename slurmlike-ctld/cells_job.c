/* SPDX-License-Identifier: Apache-2.0 */
#include "cells.h"

#include "job/jobspec.h"
#include "launch.h"
#include "users.h"
#include "sched/explain.h"

#include <string.h>
#include <sys/wait.h>

static usec_t used_time(const struct cell_source *s)
{
    const struct job_view *v = s->job;
    usec_t until = v->end && job_state_finished(v->state) ? v->end : s->now;

    if (!v->start || v->state == JOB_PENDING)
        return 0;
    if (v->suspended_since && !job_state_finished(v->state))
        until = v->suspended_since;
    usec_t used = until - v->start - v->suspended_total;
    return used > 0 ? used : 0;
}

static void put_texts(struct buf *out, const char *text)
{
    if (text)
        buf_puts(out, text);
}

static usec_t pending_time(const struct cell_source *s)
{
    const struct job_view *v = s->job;
    usec_t until = v->start ? v->start : v->end ? v->end : s->now;
    return until > v->submit ? until - v->submit : 0;
}

static uint32_t cpus_per_task(const Sl__JobSpec *spec)
{
    return spec->cpus_per_task ? spec->cpus_per_task : 1;
}

/* ---- cells made of one expression ------------------------------------------------------- */

#define CELL_TEXT(name, expr)                                                              \
    static void cell_##name(const struct cell_source *s, struct buf *out)                  \
    {                                                                                      \
        put_texts(out, expr);                                                              \
    }
#define CELL_NUM(name, expr)                                                               \
    static void cell_##name(const struct cell_source *s, struct buf *out)                  \
    {                                                                                      \
        cell_u64(out, expr);                                                               \
    }
#define CELL_TIME(name, expr)                                                              \
    static void cell_##name(const struct cell_source *s, struct buf *out)                  \
    {                                                                                      \
        cell_time(out, expr);                                                              \
    }
#define CELL_SPAN(name, expr)                                                              \
    static void cell_##name(const struct cell_source *s, struct buf *out)                  \
    {                                                                                      \
        cell_span(out, expr);                                                              \
    }

CELL_NUM(job_id, s->job->job_id)
CELL_TEXT(partition, s->job->partition)
CELL_TEXT(name, s->job->name)
CELL_TEXT(user, s->job->user)
CELL_NUM(uid, s->job->uid)
CELL_NUM(gid, s->job->gid)
CELL_TEXT(group, users_group_name(s->d->users, s->job->gid))
CELL_TEXT(state, job_state_shown(s->job->state, s->job->flags, false))
CELL_TEXT(state_compact, job_state_shown(s->job->state, s->job->flags, true))
CELL_SPAN(time_used, used_time(s))
CELL_SPAN(time_limit, s->job->time_limit)
CELL_TIME(submit, s->job->submit)
CELL_TIME(eligible, s->job->eligible)
CELL_TIME(start, s->job->start ? s->job->start : s->job->start_estimate)
CELL_NUM(nodes, s->job->nodes_count)
CELL_NUM(cpus, s->job->cpus)
CELL_NUM(ntasks, s->job->ntasks)
CELL_NUM(cpus_per_task, cpus_per_task(s->job->spec))
CELL_TEXT(nodelist, s->job->nodelist)
CELL_TEXT(req_nodes, s->job->spec->nodelist)
CELL_TEXT(exc_nodes, s->job->spec->exclude)
CELL_NUM(priority, s->job->priority)
CELL_TEXT(account, s->job->account)
CELL_TEXT(qos, s->job->qos)
CELL_TEXT(comment, s->job->spec->comment)
CELL_TEXT(workdir, s->job->spec->work_dir)
CELL_TEXT(dependency, s->job->spec->dependency)
CELL_TEXT(features, s->job->spec->constraints)
CELL_NUM(restarts, s->job->restart)
CELL_NUM(batch_flag, s->job->type == SL__JOB_TYPE__JOB_TYPE_BATCH)
CELL_TEXT(batch_host, s->job->batch_host)
CELL_TEXT(tres_req, s->job->tres_req)
CELL_TEXT(tres_alloc, s->job->tres_alloc)
CELL_NUM(contiguous, s->job->spec->contiguous)
CELL_TEXT(licenses, s->job->spec->licenses)
CELL_TEXT(reservation, s->job->spec->reservation)
CELL_TEXT(wckey, s->job->spec->wckey)
CELL_NUM(ntasks_per_node, s->job->spec->ntasks_per_node)
CELL_TEXT(submit_line, s->job->spec->submit_line)
CELL_TEXT(alloc_host, s->job->spec->submit_host)
CELL_TIME(deadline, s->job->deadline)
CELL_SPAN(suspended, s->job->suspended_total)
CELL_NUM(array_throttle, s->job->array_throttle)
CELL_NUM(min_cpus, s->job->spec->mincpus ? s->job->spec->mincpus : cpus_per_task(s->job->spec))
CELL_NUM(min_tmp, s->job->spec->tmp_disk_mib)
CELL_TEXT(mail_user, s->job->spec->mail_user)
CELL_TEXT(mail_type, s->job->spec->mail_type)
CELL_TEXT(cluster, s->d->conf->cluster_name)
CELL_NUM(nodes_max, s->job->spec->nodes_max)
CELL_TIME(suspended_at, s->job->suspended_since)
CELL_NUM(pending_time, (uint64_t)pending_time(s) / USEC_PER_SEC)

static void cell_explain(const struct cell_source *s, struct buf *out)
{
    struct explanation e;
    if (!core_explain(s->d->core, s->job->job_id, s->named ? EXPLAIN_FULL : EXPLAIN_BRIEF, s->now,
                      s->arena, &e))
        return;
    for (uint32_t i = 0; i < e.count && out->len < EXPLAIN_BYTES_MAX; i++)
        explain_put(out, &e.item[i]);
}

static void cell_core_spec(const struct cell_source *s, struct buf *out)
{
    (void)s;
    buf_puts(out, "N/A");
}

/* ---- the others --------------------------------------------------------------------------- */

/* What this controller does not have: preemption, MCS labels, planned node lists. */
static void cell_empty(const struct cell_source *s, struct buf *out)
{
    (void)s;
    (void)out;
}

/* "0-9%2": the view's own text is there only when it is wide. */
static void array_rest_put(const struct cell_source *s, struct buf *out)
{
    const struct job_view *v = s->job;
    buf_puts(out, array_format(s->arena, v->array_rest, v->array_rest_count));
    if (v->array_throttle) {
        buf_putc(out, '%');
        cell_u64(out, v->array_throttle);
    }
}

static void cell_array_id(const struct cell_source *s, struct buf *out)
{
    const struct job_view *v = s->job;

    if (v->is_array_rest) {
        cell_u64(out, v->array_job_id);
        buf_put(out, "_[", 2);
        array_rest_put(s, out);
        buf_putc(out, ']');
    } else if (v->is_array_task) {
        cell_u64(out, v->array_job_id);
        buf_putc(out, '_');
        cell_u64(out, v->array_task_id);
    } else if (v->het_size) {
        cell_u64(out, v->het_id);
        buf_putc(out, '+');
        cell_u64(out, v->het_offset);
    } else {
        cell_u64(out, v->job_id);
    }
}

static void cell_het_id(const struct cell_source *s, struct buf *out)
{
    if (s->job->het_size)
        cell_u64(out, s->job->het_id);
}

static void cell_het_offset(const struct cell_source *s, struct buf *out)
{
    if (s->job->het_size)
        cell_u64(out, s->job->het_offset);
}

static void cell_het_set(const struct cell_source *s, struct buf *out)
{
    const struct job_view *v = s->job;
    if (v->het_size > 1)
        buf_printf(out, "%u-%u", v->het_id, v->het_id + v->het_size - 1);
    else if (v->het_size)
        cell_u64(out, v->het_id);
}

static void cell_array_job_id(const struct cell_source *s, struct buf *out)
{
    cell_u64(out, s->job->array_job_id ? s->job->array_job_id : s->job->job_id);
}

static void cell_array_task_id(const struct cell_source *s, struct buf *out)
{
    if (s->job->is_array_rest)
        array_rest_put(s, out);
    else if (s->job->is_array_task)
        cell_u64(out, s->job->array_task_id);
}

static void cell_reason(const struct cell_source *s, struct buf *out)
{
    const struct job_view *v = s->job;
    buf_puts(out, v->reason_text && v->reason_text[0] ? v->reason_text
                                                      : job_reason_name(v->reason));
}

/* squeue(1) NODELIST(REASON): the nodes of a job that has them, else why not. */
static void cell_reason_list(const struct cell_source *s, struct buf *out)
{
    const struct job_view *v = s->job;
    bool failed = v->state == JOB_TIMEOUT || v->state == JOB_OOM || v->state == JOB_DEADLINE ||
                  v->state == JOB_FAILED;

    if (v->state == JOB_PENDING || (failed && !(v->flags & JOBF_COMPLETING))) {
        buf_putc(out, '(');
        cell_reason(s, out);
        buf_putc(out, ')');
    } else {
        put_texts(out, v->nodelist);
    }
}

static void cell_time_left(const struct cell_source *s, struct buf *out)
{
    usec_t limit = s->job->time_limit;
    cell_span(out, limit == SPAN_INFINITE ? limit : limit - used_time(s));
}

/* When it ended, or when it will by its limit. */
static void cell_end(const struct cell_source *s, struct buf *out)
{
    const struct job_view *v = s->job;
    usec_t start = v->start ? v->start : v->start_estimate;

    if (v->end && job_state_finished(v->state))
        cell_time(out, v->end);
    else if (start && v->time_limit != SPAN_INFINITE)
        cell_time(out, start + v->time_limit + v->suspended_total);
    else
        cell_time(out, 0);
}

static void cell_min_mem(const struct cell_source *s, struct buf *out)
{
    const Sl__JobSpec *spec = s->job->spec;
    uint64_t mib = spec->mem_per_node_mib ? spec->mem_per_node_mib : spec->mem_per_cpu_mib;
    cell_u64(out, mib == MEM_ALL ? 0 : mib);
}

static void cell_priority_norm(const struct cell_source *s, struct buf *out)
{
    buf_printf(out, "%.14f", (double)s->job->priority / (double)UINT32_MAX);
}

static void cell_nice(const struct cell_source *s, struct buf *out)
{
    buf_printf(out, "%d", (int)s->job->nice);
}

static void cell_command(const struct cell_source *s, struct buf *out)
{
    const Sl__JobSpec *spec = s->job->spec;
    buf_puts(out, spec->command);
    if (s->job->type == SL__JOB_TYPE__JOB_TYPE_BATCH)
        for (size_t i = 0; i < spec->n_argv; i++)
            buf_printf(out, "%s%s", out->len ? " " : "", spec->argv[i]);
}

static void cell_file(const struct cell_source *s, struct buf *out, const char *pattern)
{
    Sl__JobInfo info;
    job_info_fill(s->d, s->job, NULL, &info);
    const char *path =
        filename_expand(s->arena, pattern, &info, STEP_BATCH, NO_VAL, 0, "", NULL);
    put_texts(out, path ? path : pattern);
}

static bool has_files(const struct cell_source *s)
{
    return s->job->type == SL__JOB_TYPE__JOB_TYPE_BATCH;
}

static void cell_stdin(const struct cell_source *s, struct buf *out)
{
    if (!has_files(s))
        return;
    if (s->job->spec->std_in[0])
        cell_file(s, out, s->job->spec->std_in);
    else
        buf_puts(out, "/dev/null");
}

static void cell_stdout(const struct cell_source *s, struct buf *out)
{
    if (has_files(s))
        cell_file(s, out, s->job->spec->std_out);
}

static void cell_stderr(const struct cell_source *s, struct buf *out)
{
    const Sl__JobSpec *spec = s->job->spec;
    if (has_files(s))
        cell_file(s, out, spec->std_err[0] ? spec->std_err : spec->std_out);
}

static void gres_put(const struct cell_source *s, Sl__GresPer per, struct buf *out)
{
    const Sl__JobSpec *spec = s->job->spec;
    for (size_t i = 0; i < spec->n_gres; i++) {
        const Sl__GresReq *g = spec->gres[i];
        if (g->per == per)
            buf_printf(out, "%sgres/%s%s%s:%llu", out->len ? "," : "", g->name,
                       g->type[0] ? ":" : "", g->type, (unsigned long long)g->count);
    }
}

static void cell_tres_per_node(const struct cell_source *s, struct buf *out)
{
    gres_put(s, SL__GRES_PER__GRES_PER_NODE, out);
}

static void cell_tres_per_job(const struct cell_source *s, struct buf *out)
{
    gres_put(s, SL__GRES_PER__GRES_PER_JOB, out);
}

static void cell_tres_per_task(const struct cell_source *s, struct buf *out)
{
    gres_put(s, SL__GRES_PER__GRES_PER_TASK, out);
}

static void cell_tres_per_socket(const struct cell_source *s, struct buf *out)
{
    gres_put(s, SL__GRES_PER__GRES_PER_SOCKET, out);
}

/* What was not asked for is "*", as Slurm shows it. */
static void count_put(struct buf *out, uint32_t n)
{
    if (n)
        cell_u64(out, n);
    else
        buf_putc(out, '*');
}

static void cell_sockets(const struct cell_source *s, struct buf *out)
{
    count_put(out, s->job->spec->sockets_per_node);
}

static void cell_cores(const struct cell_source *s, struct buf *out)
{
    count_put(out, s->job->spec->cores_per_socket);
}

static void cell_threads(const struct cell_source *s, struct buf *out)
{
    count_put(out, s->job->spec->threads_per_core);
}

static void cell_sct(const struct cell_source *s, struct buf *out)
{
    cell_sockets(s, out);
    buf_putc(out, ':');
    cell_cores(s, out);
    buf_putc(out, ':');
    cell_threads(s, out);
}

static void cell_nt_per_core(const struct cell_source *s, struct buf *out)
{
    count_put(out, s->job->spec->ntasks_per_core);
}

static void cell_nt_per_socket(const struct cell_source *s, struct buf *out)
{
    count_put(out, s->job->spec->ntasks_per_socket);
}

static void cell_nt_per(const struct cell_source *s, struct buf *out)
{
    cell_u64(out, s->job->spec->ntasks_per_node);
    buf_put(out, ":0:", 3);
    cell_nt_per_socket(s, out);
    buf_putc(out, ':');
    cell_nt_per_core(s, out);
}

static void cell_mem_per_cpu(const struct cell_source *s, struct buf *out)
{
    if (s->job->spec->mem_per_cpu_mib)
        cell_u64(out, s->job->spec->mem_per_cpu_mib);
}

static void cell_oversubscribe(const struct cell_source *s, struct buf *out)
{
    static const char *const exclusive[] = {NULL, "NO", "USER", "MCS", "TOPO"};
    const Sl__JobSpec *spec = s->job->spec;

    if (spec->exclusive && spec->exclusive < sizeof(exclusive) / sizeof(exclusive[0]))
        buf_puts(out, exclusive[spec->exclusive]);
    else
        buf_puts(out, spec->oversubscribe ? "YES" : "OK");
}

CELL_NUM(requeue, s->job->spec->requeue == 1)

static void exit_put(struct buf *out, uint32_t status)
{
    cell_u64(out, WIFEXITED(status) ? (uint64_t)WEXITSTATUS(status) : 0);
    buf_putc(out, ':');
    cell_u64(out, WIFSIGNALED(status) ? (uint64_t)WTERMSIG(status) : 0);
}

static void cell_exit(const struct cell_source *s, struct buf *out)
{
    exit_put(out, s->job->exit_status);
}

static void cell_derived_exit(const struct cell_source *s, struct buf *out)
{
    exit_put(out, s->job->derived_exit);
}

static void cell_nodes_req(const struct cell_source *s, struct buf *out)
{
    const Sl__JobSpec *spec = s->job->spec;
    if (s->job->state != JOB_PENDING)
        return;
    uint32_t min = spec->nodes_min ? spec->nodes_min : s->job->nodes_count;
    uint32_t max = spec->nodes_max ? spec->nodes_max : min;
    buf_printf(out, "%u-%u", min, max > min ? max : min);
}

/* A line a node, as `scontrol show job -d` prints them. */
static void cell_node_detail(const struct cell_source *s, struct buf *out)
{
    const Sl__Allocation *a = core_job_alloc(s->d->core, s->job->job_id, s->arena);

    if (a && s->job->leafs)
        buf_printf(out, "LeafSwitches=%u HopsBetweenNeighbours=%.2f ", s->job->leafs,
                   s->job->hops_mean);
    if (a)
        buf_printf(out, "NUMANodesPerTask=%.2f\n", s->job->numas_per_task);
    for (size_t i = 0; a && i < a->n_nodes; i++) {
        const Sl__AllocNode *n = a->nodes[i];
        buf_printf(out, "%sNodes=%s CPU_IDs=%s Mem=%llu GRES=", i ? "\n" : "", n->name, n->cpus,
                   (unsigned long long)n->mem_mib);
        for (size_t g = 0; g < n->n_gres; g++) {
            const Sl__GresAlloc *gres = n->gres[g];
            buf_printf(out, "%s%s%s%s:%zu(IDX:%s)", g ? "," : "", gres->name,
                       gres->type[0] ? ":" : "", gres->type, gres->n_index,
                       array_format(s->arena, gres->index, gres->n_index));
        }
    }
}

const struct cell cells_job[] = {
    {FIELD_JOB_ID, CELL_NARROW, cell_job_id},
    {FIELD_JOB_ARRAY_ID, CELL_NARROW, cell_array_id},
    {FIELD_JOB_ARRAY_JOB_ID, CELL_NARROW, cell_array_job_id},
    {FIELD_JOB_ARRAY_TASK_ID, CELL_NARROW, cell_array_task_id},
    {FIELD_JOB_PARTITION, CELL_NARROW, cell_partition},
    {FIELD_JOB_NAME, CELL_NARROW, cell_name},
    {FIELD_JOB_USER, CELL_NARROW, cell_user},
    {FIELD_JOB_UID, CELL_NARROW, cell_uid},
    {FIELD_JOB_GID, CELL_NARROW, cell_gid},
    {FIELD_JOB_GROUP, CELL_NARROW, cell_group},
    {FIELD_JOB_STATE, CELL_NARROW, cell_state},
    {FIELD_JOB_STATE_COMPACT, CELL_NARROW, cell_state_compact},
    {FIELD_JOB_REASON, CELL_NARROW, cell_reason},
    {FIELD_JOB_REASON_LIST, CELL_WIDE_RUN, cell_reason_list},
    {FIELD_JOB_TIME_USED, CELL_NARROW, cell_time_used},
    {FIELD_JOB_TIME_LEFT, CELL_NARROW, cell_time_left},
    {FIELD_JOB_TIME_LIMIT, CELL_NARROW, cell_time_limit},
    {FIELD_JOB_SUBMIT, CELL_NARROW, cell_submit},
    {FIELD_JOB_ELIGIBLE, CELL_NARROW, cell_eligible},
    {FIELD_JOB_START, CELL_NARROW, cell_start},
    {FIELD_JOB_END, CELL_NARROW, cell_end},
    {FIELD_JOB_NODES, CELL_NARROW, cell_nodes},
    {FIELD_JOB_CPUS, CELL_NARROW, cell_cpus},
    {FIELD_JOB_NTASKS, CELL_NARROW, cell_ntasks},
    {FIELD_JOB_CPUS_PER_TASK, CELL_WIDE, cell_cpus_per_task},
    {FIELD_JOB_MIN_MEM, CELL_WIDE, cell_min_mem},
    {FIELD_JOB_NODELIST, CELL_WIDE_RUN, cell_nodelist},
    {FIELD_JOB_REQ_NODES, CELL_WIDE, cell_req_nodes},
    {FIELD_JOB_EXC_NODES, CELL_WIDE, cell_exc_nodes},
    {FIELD_JOB_PRIORITY, CELL_NARROW, cell_priority},
    {FIELD_JOB_PRIORITY_NORM, CELL_NARROW, cell_priority_norm},
    {FIELD_JOB_NICE, CELL_NARROW, cell_nice},
    {FIELD_JOB_ACCOUNT, CELL_NARROW, cell_account},
    {FIELD_JOB_QOS, CELL_NARROW, cell_qos},
    {FIELD_JOB_COMMENT, CELL_WIDE, cell_comment},
    {FIELD_JOB_COMMAND, CELL_WIDE, cell_command},
    {FIELD_JOB_WORKDIR, CELL_WIDE, cell_workdir},
    {FIELD_JOB_STDIN, CELL_WIDE, cell_stdin},
    {FIELD_JOB_STDOUT, CELL_WIDE, cell_stdout},
    {FIELD_JOB_STDERR, CELL_WIDE, cell_stderr},
    {FIELD_JOB_DEPENDENCY, CELL_WIDE, cell_dependency},
    {FIELD_JOB_FEATURES, CELL_WIDE, cell_features},
    {FIELD_JOB_GRES, CELL_WIDE, cell_tres_per_node},
    {FIELD_JOB_OVERSUBSCRIBE, CELL_WIDE, cell_oversubscribe},
    {FIELD_JOB_REQUEUE, CELL_WIDE, cell_requeue},
    {FIELD_JOB_RESTARTS, CELL_NARROW, cell_restarts},
    {FIELD_JOB_BATCH_FLAG, CELL_NARROW, cell_batch_flag},
    {FIELD_JOB_BATCH_HOST, CELL_WIDE, cell_batch_host},
    {FIELD_JOB_EXIT_CODE, CELL_NARROW, cell_exit},
    {FIELD_JOB_TRES_REQ, CELL_WIDE, cell_tres_req},
    {FIELD_JOB_TRES_ALLOC, CELL_WIDE, cell_tres_alloc},
    {FIELD_JOB_NODE_DETAIL, CELL_WIDE, cell_node_detail},
    {FIELD_JOB_CONTIGUOUS, CELL_WIDE, cell_contiguous},
    {FIELD_JOB_LICENSES, CELL_WIDE, cell_licenses},
    {FIELD_JOB_RESERVATION, CELL_WIDE, cell_reservation},
    {FIELD_JOB_WCKEY, CELL_WIDE, cell_wckey},
    {FIELD_JOB_NTASKS_PER_NODE, CELL_WIDE, cell_ntasks_per_node},
    {FIELD_JOB_SUBMIT_LINE, CELL_WIDE, cell_submit_line},
    {FIELD_JOB_ALLOC_HOST, CELL_WIDE, cell_alloc_host},
    {FIELD_JOB_DEADLINE, CELL_NARROW, cell_deadline},
    {FIELD_JOB_SCHED_NODES, CELL_NARROW, cell_empty},
    {FIELD_JOB_EXPLAIN, CELL_NARROW, cell_explain},
    {FIELD_JOB_PREEMPT_TIME, CELL_NARROW, cell_empty},
    {FIELD_JOB_SUSPENDED, CELL_NARROW, cell_suspended},
    {FIELD_JOB_NODES_REQ, CELL_WIDE, cell_nodes_req},
    {FIELD_JOB_ARRAY_THROTTLE, CELL_NARROW, cell_array_throttle},
    {FIELD_JOB_HET_ID, CELL_NARROW, cell_het_id},
    {FIELD_JOB_HET_OFFSET, CELL_NARROW, cell_het_offset},
    {FIELD_JOB_HET_SET, CELL_NARROW, cell_het_set},
    {FIELD_JOB_MCS, CELL_NARROW, cell_empty},
    {FIELD_JOB_MIN_CPUS, CELL_WIDE, cell_min_cpus},
    {FIELD_JOB_MIN_TMP, CELL_WIDE, cell_min_tmp},
    {FIELD_JOB_SOCKETS, CELL_WIDE, cell_sockets},
    {FIELD_JOB_CORES, CELL_WIDE, cell_cores},
    {FIELD_JOB_THREADS, CELL_WIDE, cell_threads},
    {FIELD_JOB_SCT, CELL_WIDE, cell_sct},
    {FIELD_JOB_CORE_SPEC, CELL_NARROW, cell_core_spec},
    {FIELD_JOB_DERIVED_EXIT, CELL_NARROW, cell_derived_exit},
    {FIELD_JOB_MAIL_USER, CELL_WIDE, cell_mail_user},
    {FIELD_JOB_MAIL_TYPE, CELL_WIDE, cell_mail_type},
    {FIELD_JOB_TRES_PER_JOB, CELL_WIDE, cell_tres_per_job},
    {FIELD_JOB_TRES_PER_TASK, CELL_WIDE, cell_tres_per_task},
    {FIELD_JOB_TRES_PER_SOCKET, CELL_WIDE, cell_tres_per_socket},
    {FIELD_JOB_CLUSTER, CELL_NARROW, cell_cluster},
    {FIELD_JOB_NODES_MAX, CELL_WIDE, cell_nodes_max},
    {FIELD_JOB_NT_PER_CORE, CELL_WIDE, cell_nt_per_core},
    {FIELD_JOB_NT_PER_SOCKET, CELL_WIDE, cell_nt_per_socket},
    {FIELD_JOB_PENDING_TIME, CELL_NARROW, cell_pending_time},
    {FIELD_JOB_SUSPENDED_AT, CELL_NARROW, cell_suspended_at},
    {FIELD_JOB_MEM_PER_CPU, CELL_WIDE, cell_mem_per_cpu},
    {FIELD_JOB_NT_PER, CELL_WIDE, cell_nt_per},
};
const size_t cells_job_count = sizeof(cells_job) / sizeof(cells_job[0]);

/* ---- steps ---------------------------------------------------------------------------------- */

static void cell_step_id(const struct cell_source *s, struct buf *out)
{
    char text[STEP_ID_TEXT_MAX];
    cell_array_id(s, out);
    buf_putc(out, '.');
    buf_puts(out, step_id_format(s->step->step_id, text));
}

static void cell_step_time(const struct cell_source *s, struct buf *out)
{
    usec_t until = s->step->end ? s->step->end : s->now;
    cell_span(out, s->step->start ? until - s->step->start - s->step->suspended_usec : 0);
}

CELL_TEXT(step_name, s->step->name)
CELL_TEXT(step_state, job_state_name((enum job_state)s->step->state))
CELL_TEXT(step_nodelist, s->step->nodelist)
CELL_NUM(step_nodes, s->step->nodes_count)
CELL_NUM(step_ntasks, s->step->ntasks)
CELL_NUM(step_cpus, s->step->cpus)
CELL_TIME(step_start, s->step->start)
CELL_TEXT(step_gres, s->step->gres)
CELL_TEXT(step_layout, s->step->layout)

/* Slurm's steps have these; this cluster's have not, or no one records them. */
static void cell_step_none(const struct cell_source *s, struct buf *out)
{
    (void)s;
    (void)out;
}

const struct cell cells_step[] = {
    {FIELD_STEP_ID, CELL_NARROW, cell_step_id},
    {FIELD_STEP_NAME, CELL_NARROW, cell_step_name},
    {FIELD_STEP_PARTITION, CELL_NARROW, cell_partition},
    {FIELD_STEP_USER, CELL_NARROW, cell_user},
    {FIELD_STEP_STATE, CELL_NARROW, cell_step_state},
    {FIELD_STEP_TIME_USED, CELL_NARROW, cell_step_time},
    {FIELD_STEP_NODELIST, CELL_NARROW, cell_step_nodelist},
    {FIELD_STEP_NODES, CELL_NARROW, cell_step_nodes},
    {FIELD_STEP_NTASKS, CELL_NARROW, cell_step_ntasks},
    {FIELD_STEP_CPUS, CELL_NARROW, cell_step_cpus},
    {FIELD_STEP_START, CELL_NARROW, cell_step_start},
    {FIELD_STEP_JOB_ID, CELL_NARROW, cell_job_id},
    {FIELD_STEP_GRES, CELL_NARROW, cell_step_gres},
    {FIELD_STEP_LAYOUT, CELL_NARROW, cell_step_layout},
    {FIELD_STEP_ARRAY_JOB_ID, CELL_NARROW, cell_array_job_id},
    {FIELD_STEP_ARRAY_TASK_ID, CELL_NARROW, cell_array_task_id},
    {FIELD_STEP_CLUSTER, CELL_NARROW, cell_cluster},
    {FIELD_STEP_CONTAINER, CELL_NARROW, cell_step_none},
    {FIELD_STEP_CPU_FREQ, CELL_NARROW, cell_step_none},
    {FIELD_STEP_NETWORK, CELL_NARROW, cell_step_none},
    {FIELD_STEP_RESV_PORT, CELL_NARROW, cell_step_none},
    {FIELD_STEP_TIME_LIMIT, CELL_NARROW, cell_step_none},
    {FIELD_STEP_UID, CELL_NARROW, cell_uid},
    {FIELD_STEP_TRES_BIND, CELL_NARROW, cell_step_none},
    {FIELD_STEP_TRES_FREQ, CELL_NARROW, cell_step_none},
    {FIELD_STEP_TRES_PER_STEP, CELL_NARROW, cell_step_none},
    {FIELD_STEP_TRES_PER_TASK, CELL_NARROW, cell_step_none},
};
const size_t cells_step_count = sizeof(cells_step) / sizeof(cells_step[0]);
