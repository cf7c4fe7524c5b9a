/* SPDX-License-Identifier: Apache-2.0
 *
 * mpi: what an MPI library's start-up needs from the supervisor.
 *
 * "none" needs nothing. "pmix" is a module (mpi_pmix.so) that is loaded by steps that
 * want it, so that others neither link nor initialise libpmix. The module gets its host's
 * functions in a table and gives its own in another; both sides run on the supervisor's
 * loop thread only.
 */
#ifndef SL_STEPD_MPI_H
#define SL_STEPD_MPI_H

#include "job/jobspec.h"
#include "stepd/stepd.h"

/* Starts what spec.mpi (or the node's default) names. SL_ENOT_BUILT for unknown names. */
int mpi_start(struct step *s, struct err *err);
void mpi_stop(struct step *s);
void mpi_task_env(struct step *s, const struct task *t, struct env_list *e);
/* True when the end of this task must end the step: a rank that had not finalized
 * leaves the others waiting for ever. */
bool mpi_task_ended(struct step *s, const struct task *t);
/* A PMIX frame from below (child: layout index of the sender) or above (child -1). */
void mpi_message(struct step *s, const Sl__PmixMsg *m, long child);

/* A node below will not answer any more. */
void mpi_node_lost(struct step *s, uint32_t node_index);

#endif
