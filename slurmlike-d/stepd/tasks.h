/* SPDX-License-Identifier: Apache-2.0
 *
 * tasks: one process per task, run as the user.
 *
 * All that can be computed is computed before the fork; between fork and exec the child
 * allocates nothing (PMIx's thread may hold malloc's lock at the fork).
 */
#ifndef SL_STEPD_TASKS_H
#define SL_STEPD_TASKS_H

#include "stepd/stepd.h"

/* Fills s->tasks from the layout. */
int tasks_init(struct step *s, struct err *err);
void tasks_fini(struct step *s);
/* Starts every task. One that cannot start ends at once with a status and a text. */
void tasks_start(struct step *s);
/* wait(2)s for all that has ended; calls task_ended for tasks. Returns true when this
 * process has no child left. */
bool tasks_reap(struct step *s);
struct task *task_by_rank(struct step *s, uint32_t rank);
/* The running task with this process id, or NULL. */
struct task *task_by_pid(struct step *s, pid_t pid);

/* Status of a step whose output could not be set up: users of Slurm know
 * "RaisedSignal:53" as exactly this. */
#define STATUS_IO_SETUP 53

#endif
