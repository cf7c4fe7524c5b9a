/* SPDX-License-Identifier: Apache-2.0 */
#include "acctcells.h"

#include "job/field.h"
#include "job/jobspec.h"
#include "job/state.h"

#include <inttypes.h>
#include <string.h>
#include <sys/wait.h>

typedef void (*cell_f)(const struct acct_line *l, struct buf *out);

/* What a line says of itself, whether a job or a step. */
struct common {
    uint32_t state, exit_status, nodes_count, cpus, cancelled_by;
    usec_t start, end, suspended;
    const char *nodelist, *tres;
};

static struct common common(const struct acct_line *l)
{
    const struct store_job *j = l->job;
    const struct store_step *s = l->step;
    struct common c = s ? (struct common){s->state, s->exit_status,  s->nodes_count,
                                          s->cpus,  s->cancelled_by, s->start,
                                          s->end,   s->suspended,    s->nodelist,
                                          s->tres}
                        : (struct common){j->state,     j->exit_status,  j->nodes_count,
                                          j->cpus,      j->cancelled_by, j->start,
                                          j->end,       j->suspended,    j->nodelist,
                                          j->tres_alloc};
    if (!c.start) { /* it holds nothing: the counts are what was asked for */
        c.cpus = 0;
        c.nodes_count = 0;
    }
    if (l->cut_start && c.start && c.start < l->cut_start)
        c.start = l->cut_start;
    if (l->cut_end && c.start && (!c.end || c.end > l->cut_end))
        c.end = l->cut_end;
    return c;
}

static usec_t elapsed(const struct acct_line *l)
{
    struct common c = common(l);
    if (!c.start)
        return 0;
    usec_t span = (c.end ? c.end : l->now) - c.start - c.suspended;
    return span > 0 ? span : 0;
}

static void put_time(usec_t t, struct buf *out)
{
    buf_printf(out, "%" PRId64, t / USEC_PER_SEC);
}

static void put_exit(uint32_t status, struct buf *out)
{
    int s = (int)status;
    int signal = WIFSIGNALED(s) ? WTERMSIG(s) : 0;
    buf_printf(out, "%d:%d", signal ? 0 : WEXITSTATUS(s), signal);
}

/* "[D-]HH:MM:SS", below an hour "MM:SS.mmm": sacct's CPU times. */
static void put_cpu(int64_t usec, struct buf *out)
{
    int64_t s = usec / USEC_PER_SEC;
    int days = (int)(s / 86400), hours = (int)(s / 3600 % 24),
        minutes = (int)(s / 60 % 60);
    if (days)
        buf_printf(out, "%d-%02d:%02d:%02d", days, hours, minutes, (int)(s % 60));
    else if (hours || usec % USEC_PER_SEC / 1000 == 0)
        buf_printf(out, "%02d:%02d:%02d", hours, minutes, (int)(s % 60));
    else
        buf_printf(out, "%02d:%02d.%03d", minutes, (int)(s % 60),
                   (int)(usec % USEC_PER_SEC / 1000));
}

/* ---- identity -------------------------------------------------------------- */

static void put_step_suffix(const struct acct_line *l, struct buf *out)
{
    char text[STEP_ID_TEXT_MAX];
    if (l->step)
        buf_printf(out, ".%s", step_id_format(l->step->step_id, text));
}

static void cell_job_id(const struct acct_line *l, struct buf *out)
{
    const struct store_job *j = l->job;
    if (j->array_job_id && *j->array_tasks)
        buf_printf(out, "%u_[%s]", j->array_job_id, j->array_tasks);
    else if (j->array_job_id && j->array_task_id != NO_VAL)
        buf_printf(out, "%u_%u", j->array_job_id, j->array_task_id);
    else if (j->het_job_id)
        buf_printf(out, "%u+%u", j->het_job_id, j->het_offset);
    else
        buf_printf(out, "%u", j->job_id);
    put_step_suffix(l, out);
}

static void cell_job_id_raw(const struct acct_line *l, struct buf *out)
{
    buf_printf(out, "%u", l->job->job_id);
    put_step_suffix(l, out);
}

static void cell_array_task_id(const struct acct_line *l, struct buf *out)
{
    if (l->job->array_job_id && l->job->array_task_id != NO_VAL)
        buf_printf(out, "%u", l->job->array_task_id);
}

static void cell_name(const struct acct_line *l, struct buf *out)
{
    buf_puts(out, l->step ? l->step->name : l->job->name);
}

static void cell_cluster(const struct acct_line *l, struct buf *out)
{
    buf_puts(out, l->cluster);
}

static void cell_submit_line(const struct acct_line *l, struct buf *out)
{
    buf_puts(out, l->step ? l->step->command : l->job->submit_line);
}

/* ---- state ----------------------------------------------------------------- */

static void cell_state(const struct acct_line *l, struct buf *out)
{
    struct common c = common(l);
    buf_puts(out, job_state_name(c.state));
    if (c.state == JOB_CANCELLED && c.cancelled_by)
        buf_printf(out, " by %u", c.cancelled_by - 1);
}

static void cell_cancelled_by(const struct acct_line *l, struct buf *out)
{
    uint32_t by = common(l).cancelled_by;
    if (by)
        buf_printf(out, "%u", by - 1);
}

static void cell_exit(const struct acct_line *l, struct buf *out)
{
    put_exit(common(l).exit_status, out);
}

static void cell_derived_exit(const struct acct_line *l, struct buf *out)
{
    if (!l->step)
        put_exit(l->job->derived_exit, out);
}

static void cell_reason(const struct acct_line *l, struct buf *out)
{
    if (!l->step)
        buf_puts(out, job_reason_name(l->job->reason));
}

/* ---- times ----------------------------------------------------------------- */

static void cell_submit(const struct acct_line *l, struct buf *out)
{
    put_time(l->step ? l->step->start : l->job->submit, out);
}

static void cell_eligible(const struct acct_line *l, struct buf *out)
{
    put_time(l->step ? l->step->start : l->job->eligible, out);
}

static void cell_start(const struct acct_line *l, struct buf *out)
{
    struct common c = common(l);
    if (!c.start && c.end) /* ended without having started */
        buf_puts(out, "None");
    else
        put_time(c.start, out);
}

static void cell_end(const struct acct_line *l, struct buf *out)
{
    put_time(common(l).end, out);
}

static void cell_elapsed(const struct acct_line *l, struct buf *out)
{
    put_time(elapsed(l), out);
}

static void cell_suspended(const struct acct_line *l, struct buf *out)
{
    put_time(common(l).suspended, out);
}

static void cell_planned(const struct acct_line *l, struct buf *out)
{
    const struct store_job *j = l->job;
    if (l->step || !j->eligible)
        return;
    usec_t until = j->start ? j->start : j->end ? j->end : l->now;
    put_time(until > j->eligible ? until - j->eligible : 0, out);
}

static void cell_timelimit(const struct acct_line *l, struct buf *out)
{
    if (l->step || !l->job->time_limit)
        return;
    if (l->job->time_limit == SPAN_INFINITE)
        buf_puts(out, "inf");
    else
        put_time(l->job->time_limit, out);
}

static void cell_timelimit_raw(const struct acct_line *l, struct buf *out)
{
    if (l->step || !l->job->time_limit)
        return;
    if (l->job->time_limit == SPAN_INFINITE)
        buf_puts(out, "UNLIMITED");
    else
        buf_printf(out, "%" PRId64, l->job->time_limit / (60 * USEC_PER_SEC));
}

static void cell_cpu_time(const struct acct_line *l, struct buf *out)
{
    buf_printf(out, "%" PRId64, elapsed(l) / USEC_PER_SEC * common(l).cpus);
}

static void cell_user_cpu(const struct acct_line *l, struct buf *out)
{
    put_cpu(l->step ? l->step->user_cpu_usec : l->user_cpu_usec, out);
}

static void cell_system_cpu(const struct acct_line *l, struct buf *out)
{
    put_cpu(l->step ? l->step->system_cpu_usec : l->system_cpu_usec, out);
}

static void cell_total_cpu(const struct acct_line *l, struct buf *out)
{
    put_cpu(l->step ? l->step->user_cpu_usec + l->step->system_cpu_usec
                    : l->user_cpu_usec + l->system_cpu_usec,
            out);
}

/* ---- size ------------------------------------------------------------------ */

static void cell_alloc_cpus(const struct acct_line *l, struct buf *out)
{
    buf_printf(out, "%u", common(l).cpus);
}

static void cell_alloc_nodes(const struct acct_line *l, struct buf *out)
{
    buf_printf(out, "%u", common(l).nodes_count);
}

static void cell_nnodes(const struct acct_line *l, struct buf *out)
{
    uint32_t n = common(l).nodes_count;
    buf_printf(out, "%u", n ? n : l->job->req_nodes);
}

static void cell_req_cpus(const struct acct_line *l, struct buf *out)
{
    buf_printf(out, "%u", l->step ? l->step->cpus : l->job->req_cpus);
}

static void cell_ntasks(const struct acct_line *l, struct buf *out)
{
    if (l->step)
        buf_printf(out, "%u", l->step->ntasks);
}

static void cell_nodelist(const struct acct_line *l, struct buf *out)
{
    const char *nodes = common(l).nodelist;
    buf_puts(out, *nodes ? nodes : "None assigned");
}

static void cell_alloc_tres(const struct acct_line *l, struct buf *out)
{
    struct common c = common(l);
    if (c.start)
        buf_puts(out, c.tres);
}

static void cell_req_mem(const struct acct_line *l, struct buf *out)
{
    if (!l->step && l->job->req_mem_mib != MEM_ALL)
        buf_printf(out, "%" PRIu64 "M", l->job->req_mem_mib);
}

/* ---- use: steps only ------------------------------------------------------- */

static void put_kib(uint64_t kib, struct buf *out)
{
    buf_printf(out, "%" PRIu64 "%s", kib, kib ? "K" : "");
}

static void cell_max_rss(const struct acct_line *l, struct buf *out)
{
    if (l->step)
        put_kib(l->step->rss_max_kib, out);
}

static void cell_ave_rss(const struct acct_line *l, struct buf *out)
{
    if (l->step)
        put_kib(l->step->rss_ave_kib, out);
}

static void cell_max_vsize(const struct acct_line *l, struct buf *out)
{
    if (l->step)
        put_kib(l->step->vsize_max_kib, out);
}

static void cell_max_rss_node(const struct acct_line *l, struct buf *out)
{
    if (l->step)
        buf_puts(out, l->step->rss_max_node);
}

static void cell_max_rss_task(const struct acct_line *l, struct buf *out)
{
    if (l->step)
        buf_printf(out, "%u", l->step->rss_max_task);
}

static void cell_ave_cpu(const struct acct_line *l, struct buf *out)
{
    if (l->step)
        put_cpu((l->step->user_cpu_usec + l->step->system_cpu_usec) /
                    (l->step->ntasks ? l->step->ntasks : 1) / USEC_PER_SEC *
                    USEC_PER_SEC,
                out);
}

static void cell_disk_read(const struct acct_line *l, struct buf *out)
{
    if (l->step)
        buf_printf(out, "%" PRIu64, l->step->read_bytes);
}

static void cell_disk_write(const struct acct_line *l, struct buf *out)
{
    if (l->step)
        buf_printf(out, "%" PRIu64, l->step->write_bytes);
}

static void cell_max_pages(const struct acct_line *l, struct buf *out)
{
    if (l->step)
        buf_printf(out, "%" PRIu64, l->step->page_faults);
}

static void cell_layout(const struct acct_line *l, struct buf *out)
{
    if (l->step)
        buf_puts(out, l->step->layout);
}

/* Waiting time on so many CPUs: seconds. */
static void cell_resv_cpu(const struct acct_line *l, struct buf *out)
{
    const struct store_job *j = l->job;
    if (l->step || !j->eligible)
        return;
    usec_t until = j->start ? j->start : j->end ? j->end : l->now;
    buf_printf(out, "%" PRId64,
               until > j->eligible ? (until - j->eligible) / USEC_PER_SEC * j->req_cpus : 0);
}

static int64_t step_cpu(const struct acct_line *l)
{
    return l->step->user_cpu_usec + l->step->system_cpu_usec;
}

/* "cpu=00:00:12,mem=5120K": sorted by name, as Slurm has them. */
static void put_tres(int64_t cpu_usec, uint64_t mem_kib, struct buf *out)
{
    buf_puts(out, "cpu=");
    put_cpu(cpu_usec / USEC_PER_SEC * USEC_PER_SEC, out);
    buf_puts(out, ",mem=");
    put_kib(mem_kib, out);
}

static void cell_tres_in_ave(const struct acct_line *l, struct buf *out)
{
    if (l->step)
        put_tres(step_cpu(l) / (l->step->ntasks ? l->step->ntasks : 1), l->step->rss_ave_kib, out);
}

static void cell_tres_in_tot(const struct acct_line *l, struct buf *out)
{
    if (l->step)
        put_tres(step_cpu(l), l->step->rss_ave_kib * l->step->ntasks, out);
}

static void cell_tres_in_max(const struct acct_line *l, struct buf *out)
{
    if (!l->step)
        return;
    buf_printf(out, "fs/disk=%" PRIu64 ",mem=", l->step->read_bytes);
    put_kib(l->step->rss_max_kib, out);
    buf_printf(out, ",pages=%" PRIu64 ",vmem=", l->step->page_faults);
    put_kib(l->step->vsize_max_kib, out);
}

static void cell_tres_in_max_node(const struct acct_line *l, struct buf *out)
{
    if (l->step && *l->step->rss_max_node)
        buf_printf(out, "mem=%s", l->step->rss_max_node);
}

static void cell_tres_in_max_task(const struct acct_line *l, struct buf *out)
{
    if (l->step)
        buf_printf(out, "mem=%u", l->step->rss_max_task);
}

static void cell_tres_out_max(const struct acct_line *l, struct buf *out)
{
    if (l->step)
        buf_printf(out, "fs/disk=%" PRIu64, l->step->write_bytes);
}

/* Slurm's, of which nothing is measured or known here. */
static void cell_none(const struct acct_line *l, struct buf *out)
{
    (void)l;
    (void)out;
}

/* ---- plain columns of the job ---------------------------------------------- */

enum plain { PLAIN_NONE, PLAIN_TEXT, PLAIN_U32 };

static const struct cell {
    uint32_t field;
    cell_f fill; /* NULL: a plain column */
    enum plain plain;
    size_t offset; /* in struct store_job */
    bool steps;    /* plain: printed for steps too */
} cells[] = {
#define TEXT(sym, member, steps)                                                       \
    {                                                                                  \
        FIELD_ACCT_##sym, NULL, PLAIN_TEXT, offsetof(struct store_job, member), steps  \
    }
#define U32(sym, member, steps)                                                        \
    {                                                                                  \
        FIELD_ACCT_##sym, NULL, PLAIN_U32, offsetof(struct store_job, member), steps   \
    }
#define FILL(sym, fn)                                                                  \
    {                                                                                  \
        FIELD_ACCT_##sym, fn, PLAIN_NONE, 0, false                                     \
    }
    FILL(JOB_ID, cell_job_id),
    FILL(JOB_ID_RAW, cell_job_id_raw),
    FILL(NAME, cell_name),
    TEXT(PARTITION, partition, false),
    TEXT(ACCOUNT, account, true),
    TEXT(USER, user, false),
    U32(UID, uid, false),
    TEXT(GROUP, group, false),
    U32(GID, gid, false),
    FILL(STATE, cell_state),
    FILL(EXIT_CODE, cell_exit),
    FILL(DERIVED_EXIT, cell_derived_exit),
    FILL(SUBMIT, cell_submit),
    FILL(ELIGIBLE, cell_eligible),
    FILL(START, cell_start),
    FILL(END, cell_end),
    FILL(ELAPSED, cell_elapsed),
    FILL(ELAPSED_RAW, cell_elapsed),
    FILL(TIMELIMIT, cell_timelimit),
    FILL(TIMELIMIT_RAW, cell_timelimit_raw),
    FILL(SUSPENDED, cell_suspended),
    FILL(ALLOC_CPUS, cell_alloc_cpus),
    FILL(NCPUS, cell_alloc_cpus),
    FILL(REQ_CPUS, cell_req_cpus),
    FILL(ALLOC_NODES, cell_alloc_nodes),
    FILL(NNODES, cell_nnodes),
    U32(REQ_NODES, req_nodes, false),
    FILL(NTASKS, cell_ntasks),
    FILL(NODELIST, cell_nodelist),
    FILL(ALLOC_TRES, cell_alloc_tres),
    TEXT(REQ_TRES, tres_req, false),
    FILL(REQ_MEM, cell_req_mem),
    FILL(CPU_TIME, cell_cpu_time),
    FILL(CPU_TIME_RAW, cell_cpu_time),
    FILL(TOTAL_CPU, cell_total_cpu),
    FILL(USER_CPU, cell_user_cpu),
    FILL(SYSTEM_CPU, cell_system_cpu),
    FILL(MAX_RSS, cell_max_rss),
    FILL(MAX_RSS_NODE, cell_max_rss_node),
    FILL(MAX_RSS_TASK, cell_max_rss_task),
    FILL(AVE_RSS, cell_ave_rss),
    FILL(MAX_VSIZE, cell_max_vsize),
    FILL(AVE_CPU, cell_ave_cpu),
    FILL(MAX_DISK_READ, cell_disk_read),
    FILL(MAX_DISK_WRITE, cell_disk_write),
    FILL(MAX_PAGES, cell_max_pages),
    TEXT(QOS, qos, false),
    TEXT(WORKDIR, work_dir, false),
    TEXT(COMMENT, comment, false),
    FILL(CLUSTER, cell_cluster),
    FILL(REASON, cell_reason),
    TEXT(RESERVATION, reservation, false),
    U32(PRIORITY, priority, false),
    FILL(LAYOUT, cell_layout),
    FILL(SUBMIT_LINE, cell_submit_line),
    TEXT(WCKEY, wckey, false),
    U32(RESTARTS, restart, false),
    FILL(RESERVED, cell_planned),
    TEXT(CONSTRAINTS, constraints, false),
    U32(ARRAY_JOB_ID, array_job_id, true),
    FILL(ARRAY_TASK_ID, cell_array_task_id),
    FILL(CANCELLED_BY, cell_cancelled_by),
    FILL(RESV_CPU, cell_resv_cpu),
    FILL(RESV_CPU_RAW, cell_resv_cpu),
    FILL(TRES_IN_AVE, cell_tres_in_ave),
    FILL(TRES_IN_MAX, cell_tres_in_max),
    FILL(TRES_IN_MAX_NODE, cell_tres_in_max_node),
    FILL(TRES_IN_MAX_TASK, cell_tres_in_max_task),
    FILL(TRES_IN_TOT, cell_tres_in_tot),
    FILL(TRES_OUT_MAX, cell_tres_out_max),
    FILL(TRES_OUT_TOT, cell_tres_out_max),
    FILL(ADMIN_COMMENT, cell_none),
    FILL(ASSOC_ID, cell_none),
    FILL(AVE_CPUFREQ, cell_none),
    FILL(AVE_DISK_READ, cell_none),
    FILL(AVE_DISK_WRITE, cell_none),
    FILL(AVE_PAGES, cell_none),
    FILL(AVE_VMSIZE, cell_none),
    FILL(BLOCK_ID, cell_none),
    FILL(CONSUMED_ENERGY, cell_none),
    FILL(CONSUMED_ENERGY_RAW, cell_none),
    FILL(CONTAINER, cell_none),
    FILL(DB_INDEX, cell_none),
    FILL(FLAGS, cell_none),
    FILL(MAX_DISK_READ_NODE, cell_none),
    FILL(MAX_DISK_READ_TASK, cell_none),
    FILL(MAX_DISK_WRITE_NODE, cell_none),
    FILL(MAX_DISK_WRITE_TASK, cell_none),
    FILL(MAX_PAGES_NODE, cell_none),
    FILL(MAX_PAGES_TASK, cell_none),
    FILL(MAX_VMSIZE_NODE, cell_none),
    FILL(MAX_VMSIZE_TASK, cell_none),
    FILL(MCS_LABEL, cell_none),
    FILL(MIN_CPU, cell_none),
    FILL(MIN_CPUNODE, cell_none),
    FILL(MIN_CPUTASK, cell_none),
    FILL(QOS_RAW, cell_none),
    FILL(REQ_CPUFREQ, cell_none),
    FILL(REQ_CPUFREQ_GOV, cell_none),
    FILL(REQ_CPUFREQ_MAX, cell_none),
    FILL(REQ_CPUFREQ_MIN, cell_none),
    FILL(RESERVATION_ID, cell_none),
    FILL(SYSTEM_COMMENT, cell_none),
    FILL(TRESUSAGE_IN_MIN, cell_none),
    FILL(TRESUSAGE_IN_MIN_NODE, cell_none),
    FILL(TRESUSAGE_IN_MIN_TASK, cell_none),
    FILL(TRESUSAGE_OUT_AVE, cell_none),
    FILL(TRESUSAGE_OUT_MAX_NODE, cell_none),
    FILL(TRESUSAGE_OUT_MAX_TASK, cell_none),
    FILL(TRESUSAGE_OUT_MIN, cell_none),
    FILL(TRESUSAGE_OUT_MIN_NODE, cell_none),
    FILL(TRESUSAGE_OUT_MIN_TASK, cell_none),
    FILL(WCKEY_ID, cell_none),
#undef TEXT
#undef U32
#undef FILL
};

static const struct cell *cell_find(uint32_t field)
{
    for (size_t i = 0; i < sizeof(cells) / sizeof(cells[0]); i++)
        if (cells[i].field == field)
            return &cells[i];
    return NULL;
}

bool acct_cell_known(uint32_t field)
{
    return cell_find(field) != NULL;
}

void acct_cell(const struct acct_line *l, uint32_t field, struct buf *out)
{
    const struct cell *c = cell_find(field);
    if (!c)
        return;
    if (c->fill) {
        c->fill(l, out);
        return;
    }
    if (l->step && !c->steps)
        return;
    const char *p = (const char *)l->job + c->offset;
    if (c->plain == PLAIN_TEXT)
        buf_puts(out, *(const char *const *)p);
    else
        buf_printf(out, "%u", *(const uint32_t *)p);
}
