/* SPDX-License-Identifier: Apache-2.0
 *
 * option_set: what the setters of submission options share, private to lib/job. A setter
 * (opt_*, option.h) does what its kind of option does with its value; the caller puts the
 * option's name (and script line or variable) in front of an error.
 *   option_set.c    texts, numbers, switches, sizes and times
 *   option_nodes.c  which and how many nodes, tasks and generic resources
 *   option_policy.c when and under what conditions the job runs
 *   option_exec.c   how its tasks are started
 */
#ifndef SL_JOB_OPTION_SET_H
#define SL_JOB_OPTION_SET_H

#include "job/option.h"

/* The option's member in the job's and in the step's spec (srun), NULL if none. */
void *opt_in_job(struct request *r, const struct option *o);
void *opt_in_step(struct request *r, const struct option *o);
/* ... in the public part of the request. */
void *opt_in_pub(struct request *r, const struct option *o);
/* A copy that lives as long as the request. */
char *opt_keep(struct request *r, const char *text);
void opt_store_text(struct request *r, const struct option *o, const char *value);
void opt_store_u32(struct request *r, const struct option *o, uint32_t value);
/* Fails: "value" is not `expected`. */
int opt_bad(struct err *err, const char *value, const char *expected);
int opt_number(const char *value, uint32_t min, uint32_t max, uint32_t *out, struct err *err);
/* A variable or an optional argument that switches something on or off: off? */
bool opt_is_off(const char *value);

#endif
