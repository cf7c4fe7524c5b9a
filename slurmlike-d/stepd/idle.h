/* SPDX-License-Identifier: Apache-2.0
 *
 * idle: a supervisor whose step is over waits for another one.
 *
 * A forked supervisor costs page tables, page faults and their release, about as much
 * CPU time as everything else that a short batch job needs on its node. So one that is as good as
 * new (no thread, no MPI, no process left) tells the zygote so, by its pid through one
 * pipe for all, and gets its next step through a socket of its own:
 *
 *   zygote -> supervisor   one packet: a STEP_SPAWN frame, with STARTING_FD as it holds it
 *   either end closed      the supervisor exits; a zygote forks instead
 *
 * The lock of STARTING_FD travels with the packet, so that a step is at no time neither
 * in the spool nor under the lock.
 */
#ifndef SL_STEPD_IDLE_H
#define SL_STEPD_IDLE_H

#include "stepd/stepd.h"

#define IDLE_MAX 16u                     /* idle supervisors of a node */
#define IDLE_STEPS_MAX 1000u             /* then a supervisor makes room for a fresh one */
#define IDLE_FRAME_BYTES_MAX ((64u << 10) - 1) /* a larger launch goes to a fork */

struct idle_seat { /* what a supervisor keeps of its zygote */
    int launches;  /* packets come here */
    int notes;     /* its pid goes here */
};

/* One packet. false: this supervisor is gone, or the launch is too large. */
bool idle_launch(int fd, uint32_t tag, const Sl__StepLaunch *launch, bool starting);
/* Says that this process is free and waits. The next launch (the caller's) and in
 * *starting its lock or -1; NULL: this process is to exit. */
Sl__StepLaunch *idle_wait(const struct idle_seat *seat, int *starting);

#endif
