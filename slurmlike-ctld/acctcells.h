/* SPDX-License-Identifier: Apache-2.0
 *
 * acctcells: one line of sacct, cell by cell in the canonical forms of
 * job/field.h. Sizes carry the unit that they were measured in ("4567K",
 * "4096M"), and sacct converts.
 */
#ifndef SL_CTLD_ACCTCELLS_H
#define SL_CTLD_ACCTCELLS_H

#include "base/buf.h"
#include "store/store.h"

struct acct_line {
    const struct store_job *job;
    const struct store_step *step;          /* NULL: the job's own line */
    int64_t user_cpu_usec, system_cpu_usec; /* job: the sum of its steps */
    usec_t now;
    usec_t cut_start, cut_end; /* --truncate; 0: none */
    const char *cluster;
};

/* False when accounting has no such field. */
bool acct_cell_known(uint32_t field);
/* The text of one cell, appended. */
void acct_cell(const struct acct_line *line, uint32_t field, struct buf *out);

#endif
