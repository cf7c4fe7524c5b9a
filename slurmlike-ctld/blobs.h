/* SPDX-License-Identifier: Apache-2.0
 *
 * blobs: scripts, environments and steps of recently submitted jobs, so that a
 * launch need not read the store. A cache of bounded size, least recently used
 * goes first; the store has everything. An array's tasks share the array's entry.
 *
 * In the store a job has two blobs: "script" is the script's bytes, "env" a
 * packed SubmitRequest that holds only `env` and `step`.
 */
#ifndef SL_CTLD_BLOBS_H
#define SL_CTLD_BLOBS_H

#include "wire/slurmlike.pb-c.h"

#include <stddef.h>
#include <stdint.h>

struct blobs;

struct blobs *blobs_create(size_t bytes_max);
void blobs_destroy(struct blobs *b);
/* Keeps the request (owned from here on), of which only script, env and step count. */
void blobs_put(struct blobs *b, uint32_t job_id, Sl__SubmitRequest *m);
/* NULL when it is not cached. Valid until the next call. */
const Sl__SubmitRequest *blobs_get(struct blobs *b, uint32_t job_id);
void blobs_forget(struct blobs *b, uint32_t job_id);

/* To and from the store's form. The packed bytes are the caller's to free;
 * unpack gives NULL when rest is not what blobs_pack_rest made. */
void *blobs_pack_rest(const Sl__SubmitRequest *m, size_t *bytes);
Sl__SubmitRequest *blobs_unpack(const void *script, size_t script_bytes, const void *rest,
                                size_t rest_bytes);

#endif
