/* SPDX-License-Identifier: Apache-2.0
 *
 * request: what a job needs, parsed once for all jobs that need the same.
 *
 * A job's specification is kept as three packed JobSpec messages, each interned:
 *   shape  what decides where it could run        -> one struct request
 *   tail   how it runs (paths, limits, account)   shared by similar jobs
 *   ident  what tends to differ from job to job   (arguments, comment, line)
 * The concatenation of the three unpacks to the whole again (protobuf merges).
 * Name, time limit, nice, hold, begin, deadline and priority are in struct job.
 */
#ifndef SL_SCHED_REQUEST_H
#define SL_SCHED_REQUEST_H

#include "sched/model.h"

/* Sets j->request, j->tail, j->ident (dropping what they were). Fails on what
 * cannot be asked for: malformed constraints or node lists, too many gres. */
int spec_store(struct core *c, struct job *j, const Sl__JobSpec *spec, struct err *err);
/* Checks without keeping anything. */
int spec_check(struct core *c, const Sl__JobSpec *spec, struct err *err);
/* As spec_store, from the three packed parts of a record. */
int spec_load(struct core *c, struct job *j, ProtobufCBinaryData shape,
              ProtobufCBinaryData tail, ProtobufCBinaryData ident, struct err *err);
void spec_drop(struct core *c, struct job *j);
/* The whole specification; memory from `a`, which must outlive it. */
Sl__JobSpec *spec_unpack(const struct core *c, const struct job *j, struct arena *a);
ProtobufCAllocator arena_allocator(struct arena *a);

/* Node sets of --nodelist and --exclude for the present node table. */
void request_names(struct core *c, struct request *r);
void requests_fini(struct core *c);

/* CPUs, memory and nodes that pending jobs are shown with. */
struct request_size { uint32_t nodes, cpus, ntasks; uint64_t mem_mib; uint32_t gres[GRES_ITEMS_MAX]; };
void request_size(const struct request *r, struct request_size *s);

#endif
