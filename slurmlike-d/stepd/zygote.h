/* SPDX-License-Identifier: Apache-2.0
 *
 * zygote: a process that is ready to be a supervisor, and forks into one for a step
 * that no idle supervisor (idle.h) can have.
 *
 * Forking an initialised process costs a fraction of exec and dynamic linking, which is
 * what limits how many jobs a node can start. It reads frames from fd 3:
 *
 *   STEP_SPAWN{StepLaunch} tag   -> STEP_LAUNCH_REPLY{pid} with that tag
 *   (a supervisor was killed)    -> STEP_LAUNCH_REPLY{pid, code -ESRCH} with tag 0, sent
 *                                   when nothing that it started is left
 *
 * It is a child subreaper: what a killed supervisor leaves behind becomes its child,
 * and any child that it did not fork itself is such a left-over and is killed. On end of
 * file it exits; its supervisors go on, but for idle ones.
 */
#ifndef SL_STEPD_ZYGOTE_H
#define SL_STEPD_ZYGOTE_H

#include "stepd/stepd.h"

#define ZYGOTE_FD 3

/* Serves until the daemon is gone. Returns the exit code. */
int zygote_run(const struct node_opts *opts);

#endif
