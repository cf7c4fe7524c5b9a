/* SPDX-License-Identifier: Apache-2.0
 *
 * query: tables of jobs, steps, nodes, partitions, settings and counters,
 * streamed page by page as the cells that were asked for.
 *
 * Queries cannot slow the controller down, however many there are: they stand in one
 * ring, each gets a page in its turn, and all of them together get
 * QUERY_USEC_PER_TURN of a turn of the loop. One whose client does not read leaves the
 * ring until it does. So an answer is not a picture of one instant: a row is as it
 * was when it was printed. Accounting ("acct_job") is acct.c's.
 */
#ifndef SL_CTLD_QUERY_H
#define SL_CTLD_QUERY_H

#include "session.h"

/* Destroyed after the sessions, whose queries it holds. */
struct queries *queries_create(struct ctld *d);
void queries_destroy(struct queries *all);
void query_handle(struct ctld *d, struct session *s, struct wire_msg *m);
/* The session can take rows again. */
void query_resume(struct session *s);
void query_session_gone(struct session *s);

#endif
