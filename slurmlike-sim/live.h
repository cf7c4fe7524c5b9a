/* SPDX-License-Identifier: Apache-2.0
 *
 * live: a running cluster's history and machine, as the commands print them: `sacct
 * --allusers --json` and `scontrol show nodes --json`.
 *
 * Of jobs that have not ended it is not known how long they run: to their limit is taken. A
 * job that never started counts when it has a limit.
 */
#ifndef SL_SIM_LIVE_H
#define SL_SIM_LIVE_H

#include "cluster.h"
#include "trace.h"

/* Is the file JSON? False also when it cannot be read. */
bool live_is_json(const char *path);
int live_trace(const char *path, struct trace *t, struct err *err);
/* The text of a `nodes` section. */
int live_nodes(const char *path, struct buf *out, struct err *err);

#endif
