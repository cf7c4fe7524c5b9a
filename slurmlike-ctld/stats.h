/* SPDX-License-Identifier: Apache-2.0
 *
 * stats: what sdiag shows of the controller: what became of jobs, and how often and how
 * long it was asked what, by kind of request and by user. Since its start or a reset;
 * nothing of it is stored. Planning and commits are counted by the loop.
 */
#ifndef SL_CTLD_STATS_H
#define SL_CTLD_STATS_H

#include "ctld.h"

struct stats *stats_create(void);
void stats_destroy(struct stats *st);
/* What a command or a pass of the planner brought. */
void stats_batch(struct ctld *d, const struct batch *b, enum command_kind cause);
/* A request was looked at for so long; of a query the first page. */
void stats_request(struct ctld *d, enum wire_type type, uid_t uid, usec_t took);
void stats_reset(struct ctld *d);
/* Every figure as key and value; requests as "request.QUERY" and "user.1000.alice" with
 * "count usec". */
void stats_each(struct ctld *d, void (*put)(const char *key, const char *value, void *arg), void *arg);

#endif
