/* SPDX-License-Identifier: Apache-2.0
 *
 * More fields of jobs: of what was asked for, and those of Slurm's that nothing stands
 * for here (burst buffers, federations). These are empty; the commands show them as
 * Slurm's show what was not asked for, field_empty().
 */
#include "cells.h"

static void cell_none(const struct cell_source *s, struct buf *out)
{
    (void)s;
    (void)out;
}

static void cell_never(const struct cell_source *s, struct buf *out)
{
    (void)s;
    cell_time(out, 0);
}

#define CELL(name, put)                                                                    \
    static void cell_##name(const struct cell_source *s, struct buf *out)                  \
    {                                                                                      \
        put;                                                                               \
    }

CELL(assoc, cell_u64(out, s->job->assoc_id))
CELL(delay_boot, cell_span(out, s->job->spec->delay_boot_usec))
CELL(time_min, cell_span(out, s->job->spec->time_min_usec))
CELL(prefer, buf_puts(out, s->job->spec->prefer))
CELL(reboot, cell_u64(out, s->job->spec->reboot))
CELL(switches, cell_u64(out, s->job->spec->switches))
CELL(switches_wait, cell_span(out, s->job->spec->switches_wait_usec))

/* A count has no upper end, only one of nodes has. */
static void cell_max_cpus(const struct cell_source *s, struct buf *out)
{
    (void)s;
    cell_u64(out, 0);
}

static void cell_cpus_per_tres(const struct cell_source *s, struct buf *out)
{
    if (s->job->spec->cpus_per_gpu)
        buf_printf(out, "gres/gpu:%u", s->job->spec->cpus_per_gpu);
}

static void cell_mem_per_tres(const struct cell_source *s, struct buf *out)
{
    if (s->job->spec->mem_per_gpu_mib)
        buf_printf(out, "gres/gpu:%llu", (unsigned long long)s->job->spec->mem_per_gpu_mib);
}

const struct cell cells_spec[] = {
    {FIELD_JOB_ADMIN_COMMENT, CELL_NARROW, cell_none},
    {FIELD_JOB_ASSOC_ID, CELL_NARROW, cell_assoc},
    {FIELD_JOB_BOARDS, CELL_NARROW, cell_none},
    {FIELD_JOB_BURST_BUFFER, CELL_NARROW, cell_none},
    {FIELD_JOB_BURST_STATE, CELL_NARROW, cell_none},
    {FIELD_JOB_CLUSTER_FEATURE, CELL_NARROW, cell_none},
    {FIELD_JOB_CONTAINER, CELL_NARROW, cell_none},
    {FIELD_JOB_CPUS_PER_TRES, CELL_WIDE, cell_cpus_per_tres},
    {FIELD_JOB_DELAY_BOOT, CELL_WIDE, cell_delay_boot},
    {FIELD_JOB_LAST_SCHED, CELL_NARROW, cell_none},
    {FIELD_JOB_MAX_CPUS, CELL_NARROW, cell_max_cpus},
    {FIELD_JOB_MEM_PER_TRES, CELL_WIDE, cell_mem_per_tres},
    {FIELD_JOB_TIME_MIN, CELL_WIDE, cell_time_min},
    {FIELD_JOB_NETWORK, CELL_NARROW, cell_none},
    {FIELD_JOB_NT_PER_BOARD, CELL_NARROW, cell_none},
    {FIELD_JOB_ORIGIN, CELL_NARROW, cell_none},
    {FIELD_JOB_ORIGIN_RAW, CELL_NARROW, cell_none},
    {FIELD_JOB_PREFER, CELL_WIDE, cell_prefer},
    {FIELD_JOB_PROFILE, CELL_NARROW, cell_none},
    {FIELD_JOB_REBOOT, CELL_WIDE, cell_reboot},
    {FIELD_JOB_SWITCHES, CELL_WIDE, cell_switches},
    {FIELD_JOB_RESIZE_TIME, CELL_NARROW, cell_never},
    {FIELD_JOB_SELECT_INFO, CELL_NARROW, cell_none},
    {FIELD_JOB_SIBLINGS_ACTIVE, CELL_NARROW, cell_none},
    {FIELD_JOB_SIBLINGS_ACTIVE_RAW, CELL_NARROW, cell_none},
    {FIELD_JOB_SIBLINGS_VIABLE, CELL_NARROW, cell_none},
    {FIELD_JOB_SIBLINGS_VIABLE_RAW, CELL_NARROW, cell_none},
    {FIELD_JOB_SOCKETS_PER_BOARD, CELL_NARROW, cell_none},
    {FIELD_JOB_SYSTEM_COMMENT, CELL_NARROW, cell_none},
    {FIELD_JOB_TRES_BIND, CELL_NARROW, cell_none},
    {FIELD_JOB_TRES_FREQ, CELL_NARROW, cell_none},
    {FIELD_JOB_TRES_PER_STEP, CELL_NARROW, cell_none},
    {FIELD_JOB_SWITCHES_WAIT, CELL_WIDE, cell_switches_wait},
};
const size_t cells_spec_count = sizeof(cells_spec) / sizeof(cells_spec[0]);
