/* SPDX-License-Identifier: Apache-2.0
 *
 * preempt: running jobs make room for one that stands above them: by the tier of its
 * partition, or because its QOS lists theirs (policy.preempt).
 *
 * Of those that may be preempted the fewest needed go, those that lose least work first
 * (cpus times the time that they have run). What is about to end by itself, or was
 * preempted before, counts as room that comes, so that one job never takes more than it
 * needs. With a grace time a victim first gets SIGCONT and SIGTERM; when it is over, the
 * job ends as PREEMPTED, and runs again if the mode is requeue and the job may.
 */
#ifndef SL_SCHED_PREEMPT_H
#define SL_SCHED_PREEMPT_H

#include "sched/model.h"

/* j fits nowhere in the partition now. True: victims are ending, or there is room to come. */
bool preempt_for(struct core *c, const struct job *j, uint32_t part, usec_t now,
                 struct batch *out);
/* A victim's grace time may be over. */
void preempt_tick(struct core *c, struct job *j, usec_t now, struct batch *out);
int preempt_mode_find(const char *name); /* enum preempt_mode, -1: no such one */

#endif
