/* SPDX-License-Identifier: Apache-2.0 */
#include "cells.h"

#include <stdlib.h>

/* Queries of 100,000 rows print a dozen numbers a row: printf would cost most. */
void cell_u64(struct buf *out, uint64_t value)
{
    char digits[20];
    size_t n = sizeof(digits);

    do
        digits[--n] = (char)('0' + value % 10);
    while ((value /= 10));
    buf_put(out, digits + n, sizeof(digits) - n);
}

void cell_time(struct buf *out, usec_t when)
{
    cell_u64(out, when > 0 ? (uint64_t)(when / USEC_PER_SEC) : 0);
}

void cell_span(struct buf *out, usec_t span)
{
    if (span == SPAN_INFINITE)
        buf_put(out, "inf", 3);
    else
        cell_u64(out, span > 0 ? (uint64_t)(span / USEC_PER_SEC) : 0);
}

const struct cell *cell_find(enum field_what what, unsigned field)
{
    const struct {
        enum field_what what;
        const struct cell *rows;
        size_t count;
    } tables[] = {
        {FIELD_OF_JOB, cells_job, cells_job_count},
        {FIELD_OF_JOB, cells_spec, cells_spec_count},
        {FIELD_OF_STEP, cells_step, cells_step_count},
        {FIELD_OF_NODE, cells_node, cells_node_count},
        {FIELD_OF_PARTITION, cells_partition, cells_partition_count},
        {FIELD_OF_RESV, cells_resv, cells_resv_count},
        {FIELD_OF_LICENSE, cells_license, cells_license_count},
    };
    for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++)
        for (size_t i = 0; tables[t].what == what && i < tables[t].count; i++)
            if (tables[t].rows[i].field == field)
                return &tables[t].rows[i];
    return NULL;
}
