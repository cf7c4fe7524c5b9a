/* SPDX-License-Identifier: Apache-2.0
 *
 * watch: sessions that want to hear of a job: srun, salloc, sbatch --wait.
 *
 * An event is made right after the command that changed the job, so that it shows
 * just that state, and waits in the session for the commit. A watch ends with the
 * event of a final state.
 *
 * The watcher of an interactive job (srun, salloc) that it submitted or came back
 * for is its owner: when the last owner's connection ends, the core hears
 * CMD_CLIENT_LOST. After a restart of the controller owners have REATTACH_USEC
 * to come back.
 */
#ifndef SL_CTLD_WATCH_H
#define SL_CTLD_WATCH_H

#include "session.h"

struct watches *watches_create(struct ctld *d);
void watches_destroy(struct watches *w);
/* Events of the job go to the session on tag. The first, when the job is still
 * as it was, comes at the end of the turn: by then it may have started. */
void watch_add(struct session *s, uint32_t tag, uint32_t job_id, bool owner);
void watch_handle(struct ctld *d, struct session *s, struct wire_msg *m);
/* The job changed. */
void watch_notify(struct ctld *d, uint32_t job_id);
/* First events of new watches; once a turn, after planning. */
void watch_flush(struct ctld *d);
/* The job's record is gone, or its submission was refused: no more events. */
void watch_gone(struct ctld *d, uint32_t job_id);
void watch_session_gone(struct session *s);
/* After loading: interactive jobs have to be claimed within REATTACH_USEC. */
void watch_expect_owners(struct ctld *d);

#endif
