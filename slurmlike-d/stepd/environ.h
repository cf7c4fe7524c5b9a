/* SPDX-License-Identifier: Apache-2.0
 *
 * environ: the environment of a task: the user's, then SLURM_* of job, step and task, then
 * binding and MPI.
 */
#ifndef SL_STEPD_ENVIRON_H
#define SL_STEPD_ENVIRON_H

#include "job/jobspec.h"
#include "stepd/bind.h"
#include "stepd/stepd.h"

/* Marks a process as the step's on this node: "SLURMLIKE_STEP_SECRET=<hex of the
 * job's>:<step id>:<node>"; virtual nodes share the machine's processes. */
#define ENV_SECRET "SLURMLIKE_STEP_SECRET"
/* Where the job's manager is found: "host:port" of the first node's daemon. */
#define ENV_JOB_ADDR "SLURMLIKE_JOB_ADDR"
/* Its Unix socket, for steps that are asked for on its own machine. */
#define ENV_JOB_SOCK "SLURMLIKE_JOB_SOCK"

/* NULL-terminated, from the arena; NULL and *err when MPI has none for the task. */
char **environ_task(struct step *s, const struct task *t, const struct bind *b,
                    struct arena *a, struct err *err);
/* In the task itself, which knows its pid: sets SLURM_TASK_PID in place. */
void environ_task_pid(char **envp, int pid);
/* Value of name in such a vector, or NULL. */
const char *environ_get(char *const *envp, const char *name);

#endif
