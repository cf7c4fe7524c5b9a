/* SPDX-License-Identifier: Apache-2.0
 *
 * fetch: a job's script and environment, from the cache or from the store on
 * the reader thread.
 */
#ifndef SL_CTLD_FETCH_H
#define SL_CTLD_FETCH_H

#include "ctld.h"

/* Called once, perhaps before fetch_blobs returns. m NULL: it could not be read
 * (why). m is valid during the call only. */
typedef void (*fetch_f)(struct ctld *d, uint32_t job_id, const Sl__SubmitRequest *m,
                        const struct err *why, void *arg);
/* job_id: for an array's task the array's. */
void fetch_blobs(struct ctld *d, uint32_t job_id, fetch_f done, void *arg);

#endif
