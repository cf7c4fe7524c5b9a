/* SPDX-License-Identifier: Apache-2.0
 *
 * manager: steps within a job's allocation.
 *
 * The first supervisor of a job on its first node (the batch step, step 0 of an srun, an
 * extern step of salloc) hands out the allocation's cores, memory and gres to
 * steps. Clients reach it by route "job:J":
 *
 *   srun       STEP_CREATE{spec} -> STEP_CREATED{layout} or ERROR; waits while what it
 *              asks for is held by other steps
 *   root supervisor of a step on another node
 *              STEP_HELLO, held open, STEP_DONE at its end
 *
 * A step's resources are free again when its root says STEP_DONE, when its daemon
 * says it of a root that died, or when its root's connection stays broken.
 */
#ifndef SL_STEPD_MANAGER_H
#define SL_STEPD_MANAGER_H

#include "stepd/stepd.h"

struct manager *manager_create(struct step *s);
void manager_destroy(struct manager *m);
/* First message of a route to the job. False: not one for a manager. The link is owned
 * from here when true. */
bool manager_accept(struct step *s, struct wire_link *l, struct wire_msg *m);
/* From our own daemon. No-ops in a supervisor that is no manager. */
void manager_launch_reply(struct step *s, uint32_t tag, const Sl__StepLaunchReply *r);
void manager_step_done(struct step *s, uint32_t step_id);
void manager_daemon_gone(struct step *s);

/* ---- the other side: a step's root, to its manager ------------------------------------- */

/* Connects to a manager on another node, so that it sees us die. */
void manager_watch(struct step *s);
void manager_tell_done(struct step *s);
bool manager_told(const struct step *s);

#endif
