/* SPDX-License-Identifier: Apache-2.0
 *
 * launch: from an allocation to LAUNCH messages on the way to its nodes.
 *
 * Nodes that are not connected get theirs when they register (the core asks for
 * it with EFFECT_LAUNCH_NODE). A launch that cannot be made (script lost, layout
 * impossible) is reported to the core as a failed launch.
 */
#ifndef SL_CTLD_LAUNCH_H
#define SL_CTLD_LAUNCH_H

#include "ctld.h"

/* Everything of JobInfo but the secret; v is the wide view, and pointers into it
 * and alloc (may be NULL) stay. */
void job_info_fill(const struct ctld *d, const struct job_view *v, Sl__Allocation *alloc,
                   Sl__JobInfo *out);
/* JobInfo of each component of a heterogeneous job, packed, in the arena; what views pointed
 * to is not valid any more. */
void job_info_het(const struct ctld *d, uint32_t het_id, uint32_t het_size, struct arena *a,
                  ProtobufCBinaryData **out, size_t *count);
/* 16 bytes that mark the processes of one run: the same whenever it is launched. */
void launch_secret(const struct ctld *d, uint32_t job_id, uint32_t restart,
                   unsigned char out[16]);

/* To each of its nodes, if it still runs under this restart count. */
void launch_job(struct ctld *d, uint32_t job_id, uint32_t restart);
void launch_node(struct ctld *d, uint32_t job_id, uint32_t restart, uint32_t node);

#endif
