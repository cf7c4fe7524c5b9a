/* SPDX-License-Identifier: Apache-2.0
 *
 * mpi: what an MPI library's start-up needs from the supervisor.
 *
 * "none" needs nothing. "pmix" is a module (mpi_pmix.so, mpi_module.h): the zygote loads
 * it when it is there, only steps that want it start it.
 */
#ifndef SL_STEPD_MPI_H
#define SL_STEPD_MPI_H

#include "job/jobspec.h"
#include "stepd/stepd.h"

/* In the zygote: loads what supervisors would each have to, and changes the environment
 * as it has to be, while there is one thread to read it. A failure is told by mpi_start. */
void mpi_preload(const struct node_opts *opts);
/* In a supervisor, before its first task: the code that mpi_preload() loaded is left out of
 * the children it makes. Copying these mappings is half of what a fork costs here, and a
 * task calls none of them before its exec. */
void mpi_keep_from_tasks(void);
/* Starts what spec.mpi (or the node's default) names; no-op when it is started. Costs
 * milliseconds, so it is called while the owner is still on its way, too.
 * SL_ENOT_BUILT for unknown names. */
int mpi_start(struct step *s, struct err *err);
/* False: threads are left, the process has to end by _exit(2). */
bool mpi_stop(struct step *s);
int mpi_task_env(struct step *s, const struct task *t, struct env_list *e, struct err *err);
/* True when the end of this task must end the step: a rank that had not finalized
 * leaves the others waiting for ever. */
bool mpi_task_ended(struct step *s, const struct task *t);
/* A PMIx frame from another supervisor of the step. */
void mpi_message(struct step *s, const Sl__PmixMsg *m);
/* A node below, and all below it, will not answer any more. */
void mpi_node_lost(struct step *s, uint32_t node_index);

#endif
