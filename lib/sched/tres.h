/* SPDX-License-Identifier: Apache-2.0
 *
 * tres: trackable resources, by index into tenants.tres, and what of each a job wants, would
 * get or has. gres/NAME is tracked when a job has it; gres/NAME:TYPE when a limit or a weight
 * names it.
 */
#ifndef SL_SCHED_TRES_H
#define SL_SCHED_TRES_H

#include "sched/tenant.h"

#define WEIGHT_ONE UINT64_C(1000000000) /* 1.0 of a billing weight, per unit */

/* The resource's index; with add a new one is given a place. NONE: unknown, or no place. */
uint32_t tres_find(struct core *c, const char *name, bool add);
/* "cpu=1.0,mem=0.25G,gres/gpu=2.0": weights a unit (of memory: a MiB) in out[TRES_MAX]. */
int tres_weights_parse(struct core *c, const char *text, uint64_t *out, struct err *err);
/* part NONE: weights of no partition. */
void tres_of_request(struct core *c, const struct job *j, uint32_t part, uint64_t *out);
void tres_of_placement(struct core *c, const struct job *j, uint32_t part, const struct placement *p, uint64_t *out);
void tres_of_alloc(struct core *c, const struct job *j, uint64_t *out);
/* What the job is billed for: while it runs that, else what its request would be. */
uint64_t tres_billing(struct core *c, const struct job *j);
/* The most that one node would give, of the resources that a node can give. */
void tres_of_node(struct core *c, const struct job *j, const struct placement *p, uint64_t *out);

#endif
