/* SPDX-License-Identifier: Apache-2.0 */
#include "store/rows.h"

#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define C(kind, field)                                                                 \
    {                                                                                  \
#field, COLUMN_##kind, offsetof(struct ROW, field)                             \
    }
/* for fields whose name is a word of SQL */
#define CN(kind, field, name)                                                          \
    {                                                                                  \
        name, COLUMN_##kind, offsetof(struct ROW, field)                               \
    }

#define ROW store_job
static const struct column job_columns[] = {
    C(U32, job_id),
    C(U32, array_job_id),
    C(U32, array_task_id),
    C(U32, uid),
    C(U32, gid),
    C(U32, restart),
    C(U32, state),
    C(U32, state_flags),
    C(U32, priority),
    C(U32, reason),
    C(U32, cancelled_by),
    C(I64, submit),
    C(I64, eligible),
    CN(I64, start, "start_time"),
    CN(I64, end, "end_time"),
    C(I64, time_limit),
    C(I64, suspended),
    C(U32, req_cpus),
    C(U32, req_nodes),
    C(U32, ntasks),
    C(U64, req_mem_mib),
    C(U32, nodes_count),
    C(U32, cpus),
    C(U32, exit_status),
    C(U32, derived_exit),
    CN(TEXT, user, "user_name"),
    CN(TEXT, group, "group_name"),
    C(TEXT, account),
    CN(TEXT, partition, "partition_name"),
    C(TEXT, qos),
    C(TEXT, name),
    C(TEXT, wckey),
    C(TEXT, comment),
    C(TEXT, work_dir),
    C(TEXT, submit_line),
    C(TEXT, reservation),
    C(TEXT, constraints),
    C(TEXT, array_tasks),
    C(U32, het_job_id),
    C(U32, het_offset),
    C(TEXT, tres_req),
    C(TEXT, tres_alloc),
    C(TEXT, nodelist),
    C(DIGEST, script),
    C(DIGEST, env),
};
#undef ROW

#define ROW store_alloc
static const struct column alloc_columns[] = {
    C(U32, job_id),
    C(U32, restart),
    C(U32, state),
    C(U32, exit_status),
    C(U32, nodes_count),
    C(U32, cpus),
    C(U64, mem_mib),
    CN(I64, start, "start_time"),
    CN(I64, end, "end_time"),
    C(I64, suspended),
    CN(TEXT, partition, "partition_name"),
    C(TEXT, account),
    CN(TEXT, user, "user_name"),
    C(TEXT, qos),
    C(TEXT, nodelist),
    C(TEXT, tres),
};
#undef ROW

#define ROW store_step
static const struct column step_columns[] = {
    C(U32, job_id),
    C(U32, restart),
    C(STEP, step_id),
    C(U32, state),
    C(U32, exit_status),
    C(U32, nodes_count),
    C(U32, ntasks),
    C(U32, cpus),
    C(U32, cancelled_by),
    CN(I64, start, "start_time"),
    CN(I64, end, "end_time"),
    C(I64, suspended),
    C(I64, user_cpu_usec),
    C(I64, system_cpu_usec),
    C(U64, rss_max_kib),
    C(U64, rss_ave_kib),
    C(U64, vsize_max_kib),
    C(U64, read_bytes),
    C(U64, write_bytes),
    C(U64, page_faults),
    C(U32, rss_max_task),
    C(TEXT, rss_max_node),
    C(TEXT, name),
    C(TEXT, nodelist),
    C(TEXT, tres),
    C(TEXT, layout),
    C(TEXT, command),
};
#undef ROW

const struct table table_job = {"job", job_columns, COUNT(job_columns), 1,
                                sizeof(struct store_job)};
const struct table table_alloc = {"alloc", alloc_columns, COUNT(alloc_columns), 2,
                                  sizeof(struct store_alloc)};
const struct table table_step = {"step", step_columns, COUNT(step_columns), 3,
                                 sizeof(struct store_step)};

void *row_copy(const struct table *t, const void *row, struct arena *a)
{
    char *copy = arena_alloc(a, t->row_bytes);
    memcpy(copy, row, t->row_bytes);
    for (size_t i = 0; i < t->columns_count; i++) {
        if (t->columns[i].kind != COLUMN_TEXT)
            continue;
        const char **text = (const char **)(copy + t->columns[i].offset);
        *text = *text && **text ? arena_strdup(a, *text) : "";
    }
    return copy;
}

void table_column_list(const struct table *t, const char *prefix, struct buf *out)
{
    for (size_t i = 0; i < t->columns_count; i++)
        buf_printf(out, "%s%s%s", i ? "," : "", prefix, t->columns[i].name);
}
