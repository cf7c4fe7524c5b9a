/* SPDX-License-Identifier: Apache-2.0
 *
 * query: tables of jobs, steps, nodes, partitions, settings and counters,
 * streamed row by row as the cells that were asked for.
 *
 * A query walks a cursor: at most QUERY_ROWS_PER_TURN rows a turn of the loop,
 * and none while its client does not read. So it is not a snapshot: a row is as it
 * was when it was printed. Accounting ("acct_job") is acct.c's.
 */
#ifndef SL_CTLD_QUERY_H
#define SL_CTLD_QUERY_H

#include "session.h"

void query_handle(struct ctld *d, struct session *s, struct wire_msg *m);
/* The session can take rows again. */
void query_resume(struct session *s);
void query_session_gone(struct session *s);

#endif
