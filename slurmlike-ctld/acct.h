/* SPDX-License-Identifier: Apache-2.0
 *
 * acct: accounting queries ("acct_job": sacct) answered from the store.
 *
 * A query is produced chunk by chunk on a helper thread with a read-only store
 * connection of its own, never on the loop, and never ahead of its reader: the
 * next chunk is begun when the last one has been taken and the query is not
 * paused. So memory is one chunk a query, a slow client holds neither a thread
 * nor the store, and queries share the helpers chunk by chunk. Rows are those that
 * are durable.
 *
 * A row is a job, or one of its steps right after it (batch, extern, then by
 * number), sorted by job id; cells are the canonical forms of job/field.h.
 *
 * Filters ("user", "a,b"; several values are or, several filters are and):
 *   me           the viewer's own jobs
 *   user         names or uids           account, partition, name, qos, wckey
 *   group        names or gids           job     "12", "12_3", "12.0", "12.batch"
 *   state        names, any form (job/state.h); PD and R: was so in the window
 *   start, end   window, seconds since the epoch; absent: open
 *   nodes        hostlist: ran on any of these
 *   nnodes, ncpus, timelimit   "min" or "min-max" (timelimit in minutes)
 *   duplicates   "1": earlier runs of requeued jobs too
 *   allocations  "1": no steps
 *   truncate     "1": start and end are cut to the window
 *   limit        so many jobs
 */
#ifndef SL_CTLD_ACCT_H
#define SL_CTLD_ACCT_H

#include "base/err.h"
#include "wire/slurmlike.pb-c.h"

#include <event2/event.h>
#include <stdbool.h>
#include <sys/types.h>

#define ACCT_QUERIES_MAX 256u /* at once; more are SL_ETOO_MANY */

struct acct;
struct acct_query;

struct acct_ops { /* called on the loop thread */
    /* A chunk; its memory is valid during the call. The last one has `last` set
     * and may be empty. May pause or cancel the query. */
    void (*rows)(struct acct_query *q, const Sl__QueryRows *rows, void *arg);
    /* The query is over: 0 after the last chunk, else a negative code with its text. It
     * is freed when this returns. Not called for one that was cancelled. */
    void (*done)(struct acct_query *q, int code, const char *text, void *arg);
};

/* store_url, cluster: copied. The store is opened at the first query. */
struct acct *acct_create(struct event_base *base, const char *store_url,
                         const char *cluster, struct err *err);
/* Cancels every query and waits for the helpers. */
void acct_destroy(struct acct *a);

/* True when acct answers this kind of request ("acct_job"). */
bool acct_knows(const char *what);
/* Checks the request (nothing of it is kept) and begins. NULL and *err: wrong
 * field, filter or value, or too many queries. No callback comes before this
 * has returned. */
struct acct_query *acct_query_start(struct acct *a, const Sl__QueryRequest *request,
                                    uid_t viewer, const struct acct_ops *ops, void *arg,
                                    struct err *err);
/* While paused no further chunk comes after the one under way (wire_link_full). */
void acct_query_pause(struct acct_query *q, bool pause);
/* The client has left: no callback follows, q is gone. */
void acct_query_cancel(struct acct_query *q);

#endif
