/* SPDX-License-Identifier: Apache-2.0
 *
 * cells: the fields of job/field.def computed from the core's views, in the
 * canonical forms of job/field.h. One table a kind of object; accounting's
 * fields are acctcells.c's.
 */
#ifndef SL_CTLD_CELLS_H
#define SL_CTLD_CELLS_H

#include "ctld.h"
#include "job/field.h"

enum cell_need {
    CELL_NARROW,
    CELL_WIDE_RUN, /* the wide view, but only of a job that has been started */
    CELL_WIDE,     /* the wide view: spec, node list, tres */
};

struct cell_source { /* one row's object; those that do not apply are NULL */
    struct ctld *d;
    usec_t now;
    struct arena *arena; /* of the row */
    const struct job_view *job;
    const Sl__StepRecord *step; /* with its job */
    const struct node_view *node;
    const struct partition_view *partition;
    const struct license_view *license;
    const struct resv_view *resv;
    bool named; /* the query named the job: it may be looked at in depth */
};

struct cell {
    unsigned field;
    enum cell_need need;
    void (*fill)(const struct cell_source *src, struct buf *text);
};

/* NULL: no such field of that kind of object. */
const struct cell *cell_find(enum field_what what, unsigned field);

void cell_u64(struct buf *out, uint64_t value);
/* FIELD_TIME and FIELD_SPAN. */
void cell_time(struct buf *out, usec_t when);
void cell_span(struct buf *out, usec_t span);

/* cells_job.c, cells_node.c, cells_license.c: the tables */
extern const struct cell cells_job[], cells_step[], cells_node[], cells_partition[];
extern const size_t cells_job_count, cells_step_count, cells_node_count, cells_partition_count;

extern const struct cell cells_license[], cells_resv[], cells_spec[];
extern const size_t cells_license_count, cells_resv_count, cells_spec_count;

#endif
