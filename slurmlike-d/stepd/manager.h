/* SPDX-License-Identifier: Apache-2.0
 *
 * manager: steps within a job's allocation.
 *
 * The first supervisor of a job on its first node (the batch step, step 0 of an srun, an
 * extern step of salloc) hands out the allocation's cores, memory and gres (pool.h) to
 * steps. A client reaches it by route "job:J":
 *
 *   srun       STEP_CREATE{spec} -> STEP_CREATED{layout} or ERROR; then srun attaches to the
 *              step's root and says ACK. Without that word its going ends the step.
 *
 * A request goes through these states; the controller has no part in any of them.
 *
 *   QUEUED     other steps hold what it asks for; strictly first come, first served
 *   LAUNCHING  STEP_LAUNCH went to the daemon of each of its nodes (peers.h)
 *   RUNNING    all said that their supervisor is up; srun knows
 *   gone       the daemon of its first node said STEP_DONE
 *
 * A daemon says STEP_DONE{tag = step id} to the manager that launched a step (or asked
 * for it by STEP_WATCH) when the step's root said that it is over, or when the
 * supervisor is gone without a word. So a killed root, a restarted daemon and a lost
 * node all end in the resources' release.
 *
 * The manager needs no memory on disk: it lives exactly as long as its supervisor, and when
 * that dies the job is over.
 */
#ifndef SL_STEPD_MANAGER_H
#define SL_STEPD_MANAGER_H

#include "stepd/stepd.h"

#define STEPS_QUEUED_BYTES_MAX (256u << 20) /* of all of them: it is not the job's memory */
#define STEPS_QUEUED_MAX 16384u /* requests that wait for resources, each with its environment */

struct manager *manager_create(struct step *s);
void manager_destroy(struct manager *m);
/* First message of a route to the job. False: not one for a manager. The link is owned
 * from here when true. */
bool manager_accept(struct step *s, struct wire_link *l, struct wire_msg *m);

/* ---- from the nodes' daemons; no-ops in a supervisor that is no manager -------------------- */

void manager_launch_reply(struct step *s, uint32_t tag, const Sl__StepLaunchReply *r);
void manager_step_done(struct step *s, uint32_t alloc_index, uint32_t step_id);
/* The daemon is connected again: it hears again what it may have missed. */
void manager_node_up(struct step *s, uint32_t alloc_index);
/* It could not be reached for too long. */
void manager_node_lost(struct step *s, uint32_t alloc_index);
/* Is a step being launched on the node, or does one have its root there? */
bool manager_node_matters(const struct step *s, uint32_t alloc_index);

/* ---- the other side: a step's root ------------------------------------------------------------ */

/* Tells the manager, through the daemons, that the step is over. */
void manager_tell_done(struct step *s);

#endif
