/* SPDX-License-Identifier: Apache-2.0
 *
 * submit: a job of a trace as the JobSpec that its user would have sent.
 *
 * On a pool of processors it is one task a processor on the one node; on nodes, tasks
 * anywhere. GPUs without a number of nodes: the fewest nodes on which equal shares fit.
 */
#ifndef SL_SIM_SUBMIT_H
#define SL_SIM_SUBMIT_H

#include "cluster.h"
#include "trace.h"

/* The job's id, or negative with the core's reason. */
long submit_job(struct core *core, const struct cluster *cl, const struct trace_job *t,
                usec_t now, struct batch *out, struct err *err);
/* Processors and GPUs that it counts for; 0 of either: none asked for. */
uint32_t submit_procs(const struct trace_job *t);

#endif
