/* SPDX-License-Identifier: Apache-2.0
 *
 * slurmlike-sim: the scheduling core on virtual time.
 *
 *   lines    a text file line by line, plain or xz
 *   trace    what was submitted: Standard Workload Format (swf.c), GPU tables (gpucsv.c)
 *   cluster  the machine: N processors, a table of nodes, or slurmlike.conf's nodes
 *   policy   slurmlike.conf's scheduler section, or a preset of the same fields
 *   engine   events in order of virtual time, to and from the core
 *   stats    what came out: waits, slowdowns, utilisation, fairness
 *   report   the same as text, table and CSV; chart: as SVG
 *
 * The core is the controller's own, reached through sched/core.h alone: what is measured
 * here is what the controller does. The simulator plays nodes and users: a launch is
 * confirmed at once, and a run ends after the time that the trace says, cut to its limit.
 * No clock is read but for progress and the speed that is printed; equal arguments give
 * equal output.
 *
 * Known limits: prologs, launch times and the time that a real pass takes are not
 * simulated.
 */
#ifndef SL_SIM_SIM_H
#define SL_SIM_SIM_H

#include "base/timefmt.h"

#include <stdbool.h>
#include <stdint.h>

#define LINE_BYTES_MAX 65536u          /* of a trace; SWF lines have about 100 */
#define TRACE_JOBS_MAX 50000000u       /* 4 GiB of records */
#define TRACE_SECONDS_MAX (INT64_C(1) << 36) /* 2,000 years: any time in a trace */
#define PROCS_MAX 1000000u             /* of a machine that --procs describes */
#define SIM_EPOCH INT64_C(946684800)   /* 2000-01-01: second 0 of a trace that names no date */

#endif
