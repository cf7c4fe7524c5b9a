/* SPDX-License-Identifier: Apache-2.0
 *
 * loop: the turn that makes the core's decisions durable and then visible.
 *
 * Everything the core changes belongs to the generation being gathered. A
 * generation is sealed into one store transaction when no other is being
 * committed; it is durable when its commit has returned. Replies and effects
 * name the generation they must not overtake.
 *
 * When a commit fails (disk full) the transaction is kept and tried again with
 * a growing pause. Meanwhile nothing is acknowledged or launched, nothing is
 * planned, requests that would change something are refused with the store's
 * reason, and submissions that were waiting are refused and cancelled. Running
 * jobs go on; their nodes keep what they report until it is acknowledged.
 */
#ifndef SL_CTLD_LOOP_H
#define SL_CTLD_LOOP_H

#include "ctld.h"

struct loop *loop_create(struct ctld *d);
void loop_destroy(struct loop *l);

/* core_apply at the present time; on 0 its changes and effects are taken care
 * of, and loop_result() has what a submission answers until the next call. */
int loop_apply(struct ctld *d, const struct command *cmd, struct err *err);
const struct batch *loop_result(const struct ctld *d);
/* A turn follows when the sockets are drained. */
void loop_kick(struct ctld *d);

/* The generation that has to be durable before the present state may be seen. */
uint64_t loop_generation(const struct ctld *d);
/* The same for answers that only read: while the store fails they are not held
 * back, so that the queue can be looked at. */
uint64_t loop_generation_read(const struct ctld *d);
bool loop_is_durable(const struct ctld *d, uint64_t generation);
/* True, with the store's words in *why, while commits fail. */
bool loop_failing(const struct ctld *d, struct err *why);

/* A submission's reply waits for the present generation: when its commit fails
 * the session gets an error on tag and the job is cancelled. */
void loop_note_submit(struct ctld *d, uint64_t session_id, uint32_t tag, uint32_t job_id);
/* Something outside the core must go into the transaction (persist_*). */
void loop_note_write(struct ctld *d);
/* Commits what was gathered on this thread: before the commit thread exists. */
int loop_commit_now(struct ctld *d, struct err *err);
/* True when nothing waits for a commit. */
bool loop_is_clean(const struct ctld *d);

struct loop_stats {
    uint64_t commands, refused, plans, commits, commit_failures;
    usec_t commit_usec_sum, commit_usec_max, plan_usec_sum, plan_usec_max, plan_usec_last;
};
const struct loop_stats *loop_stats(const struct ctld *d);

#endif
