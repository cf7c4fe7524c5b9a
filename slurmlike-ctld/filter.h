/* SPDX-License-Identifier: Apache-2.0
 *
 * filter: which jobs a query or a cancellation means.
 *
 * Built from key=value pairs as commands send them (squeue, scancel); an empty
 * filter matches every job. Values are comma lists; a job matches a key when
 * it matches one element, and the filter when it matches all keys.
 */
#ifndef SL_CTLD_FILTER_H
#define SL_CTLD_FILTER_H

#include "ctld.h"
#include "job/jobspec.h"

struct job_filter;

/* NULL never; everything lives in `a`. */
struct job_filter *filter_create(struct arena *a);
/* Keys: user name state partition account qos nodes wckey reservation license job. An
 * empty value adds nothing. Unknown keys and values are errors. */
int filter_add(struct job_filter *f, const char *key, const char *value, struct err *err);
bool filter_is_empty(const struct job_filter *f);
/* v must be the wide view when filter_wide(). */
/* Of a step whose job passes: is it one of the steps that were named, or were none? */
bool filter_match_step(const struct job_filter *f, const struct job_view *v, uint32_t step_id);
bool filter_match(const struct job_filter *f, const struct job_view *v);
bool filter_has_state(const struct job_filter *f);
bool filter_wide(const struct job_filter *f);
/* The selectors of key "job", when given: an enumeration costs less than a scan. */
const struct job_sel *filter_jobs(const struct job_filter *f, size_t *count);

/* Is name an element of the comma list? */
bool list_has(const char *list, const char *name);

#endif
