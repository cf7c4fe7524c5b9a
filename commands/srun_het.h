/* SPDX-License-Identifier: Apache-2.0
 *
 * srun_het: one srun over several components of a heterogeneous job. Each component gets a
 * step of its own, started by an srun of its own as if it were called inside that
 * component's allocation; this one waits for all of them and ends as the worst did. What is
 * typed goes to the first of them.
 *
 * Known flaw: each component's tasks have ranks from 0 and an MPI world of their own.
 */
#ifndef SL_COMMANDS_SRUN_HET_H
#define SL_COMMANDS_SRUN_HET_H

#include "job/jobspec.h"

/* Does the command line ask for more than a step of the first component? */
bool srun_het_wanted(const struct job_request *r);
/* The whole run; srun's exit code. argv: srun's own. */
int srun_het_run(struct job_request *r, int argc, char **argv);

#endif
