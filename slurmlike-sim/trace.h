/* SPDX-License-Identifier: Apache-2.0
 *
 * trace: jobs as they were submitted, in order of submission, with the run time that each
 * turned out to need. Times are whole seconds from the trace's beginning; -1 is "unknown"
 * where the text says so. Names live in the trace and are kept once.
 */
#ifndef SL_SIM_TRACE_H
#define SL_SIM_TRACE_H

#include "base/buf.h"
#include "lines.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct trace_job {
    int64_t submit, run;    /* run: -1 when it never ran */
    int64_t limit;          /* requested time; -1: none was asked for */
    uint64_t mem_mib;       /* in all; 0: none was asked for */
    uint32_t number;        /* as in the file, or the place in it */
    uint32_t procs;         /* SWF: processors in all. GPU tables: 0 */
    uint32_t nodes;         /* GPU tables: 0 when not said */
    uint32_t cpus;          /* GPU tables: in all; 0 when not said */
    uint32_t gpus;          /* in all */
    uint32_t gpu_milli;     /* of each; 1000: whole ones; 0: no GPU */
    uint32_t user_id;       /* place of `user` among the trace's users, from 0 */
    const char *user, *account, *name; /* "" when not said */
};

struct trace_name; /* a name that is kept once */
struct trace {
    struct trace_job *job;
    size_t count, cap;
    uint32_t procs_max;     /* of the machine, as the header says; 0: it does not */
    int64_t unix_start;     /* of second 0; 0: not said */
    size_t skipped;         /* records that are no jobs: no processors, run or request */
    uint32_t users;         /* distinct ones */
    struct trace_name *names, *user_names;
    struct arena arena;
};

/* By content: JSON is what sacct prints (live.h), a first line with "submit_s" heads a GPU
 * table, else it is Standard Workload Format.
 * Records that are not understood are errors; 0 or negative. */
int trace_load(const char *path, struct trace *t, struct err *err);
void trace_fini(struct trace *t);
/* Keeps the first or the second half of the jobs (by submission); the second begins at
 * second 0 again. */
void trace_half(struct trace *t, bool second);
/* Each limit becomes the run time: what a scheduler could do that knew it. */
void trace_limits_exact(struct trace *t);
void trace_no_memory(struct trace *t); /* no job asks for memory */

/* For the readers. */
struct trace_job *trace_add(struct trace *t);
const char *trace_name(struct trace *t, const char *text);
void trace_user(struct trace *t, struct trace_job *j, const char *text);
int swf_line(struct trace *t, char *line, struct err *err); /* of one line */
struct gpucsv;
/* The table's head names its columns. */
struct gpucsv *gpucsv_create(const char *head, struct err *err);
int gpucsv_line(struct gpucsv *g, struct trace *t, char *line, struct err *err);
void gpucsv_destroy(struct gpucsv *g);
/* A number of a record's field: a decimal whose fraction is dropped, within min..max. */
int field_number(const char *what, const char *text, int64_t min, int64_t max, int64_t *v,
                 struct err *err);

#endif
