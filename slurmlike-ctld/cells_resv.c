/* SPDX-License-Identifier: Apache-2.0
 *
 * Advance reservations: fields 820 and on.
 */
#include "cells.h"

#define CELL_TEXT(name, expr)                                                              \
    static void cell_##name(const struct cell_source *s, struct buf *out)                  \
    {                                                                                      \
        buf_puts(out, expr);                                                               \
    }
#define CELL_NUM(name, expr)                                                               \
    static void cell_##name(const struct cell_source *s, struct buf *out)                  \
    {                                                                                      \
        cell_u64(out, expr);                                                               \
    }
CELL_TEXT(name, s->resv->name)
CELL_TEXT(state, s->resv->active ? "ACTIVE" : "INACTIVE")
CELL_TEXT(nodes, s->resv->nodes)
CELL_NUM(nodes_count, s->resv->nodes_count)
CELL_NUM(cores, s->resv->cores)
CELL_TEXT(partition, s->resv->partition)
CELL_TEXT(flags, s->resv->flags)
CELL_TEXT(users, s->resv->users)
CELL_TEXT(groups, s->resv->groups)
CELL_TEXT(accounts, s->resv->accounts)
CELL_TEXT(comment, s->resv->comment)

static void cell_start(const struct cell_source *s, struct buf *out)
{
    cell_time(out, s->resv->start);
}

/* One that never ends is shown with a year, as Slurm's. */
static void cell_end(const struct cell_source *s, struct buf *out)
{
    bool open = s->resv->end == SPAN_INFINITE;
    cell_time(out, open ? s->resv->start + 365 * 86400 * USEC_PER_SEC : s->resv->end);
}

static void cell_duration(const struct cell_source *s, struct buf *out)
{
    cell_span(out, s->resv->end == SPAN_INFINITE ? SPAN_INFINITE : s->resv->end - s->resv->start);
}

static void cell_tres(const struct cell_source *s, struct buf *out)
{
    buf_printf(out, "cpu=%u", s->resv->cpus);
}

const struct cell cells_resv[] = {
    {FIELD_RESV_NAME, CELL_NARROW, cell_name},
    {FIELD_RESV_STATE, CELL_NARROW, cell_state},
    {FIELD_RESV_START, CELL_NARROW, cell_start},
    {FIELD_RESV_END, CELL_NARROW, cell_end},
    {FIELD_RESV_DURATION, CELL_NARROW, cell_duration},
    {FIELD_RESV_NODES, CELL_NARROW, cell_nodes},
    {FIELD_RESV_NODES_COUNT, CELL_NARROW, cell_nodes_count},
    {FIELD_RESV_CORES, CELL_NARROW, cell_cores},
    {FIELD_RESV_PARTITION, CELL_NARROW, cell_partition},
    {FIELD_RESV_FLAGS, CELL_NARROW, cell_flags},
    {FIELD_RESV_TRES, CELL_NARROW, cell_tres},
    {FIELD_RESV_USERS, CELL_NARROW, cell_users},
    {FIELD_RESV_GROUPS, CELL_NARROW, cell_groups},
    {FIELD_RESV_ACCOUNTS, CELL_NARROW, cell_accounts},
    {FIELD_RESV_COMMENT, CELL_NARROW, cell_comment},
};
const size_t cells_resv_count = sizeof(cells_resv) / sizeof(cells_resv[0]);
