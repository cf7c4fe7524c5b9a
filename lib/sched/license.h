/* SPDX-License-Identifier: Apache-2.0
 *
 * license: counted resources of the whole cluster, sbatch(1) --licenses. A job holds its
 * licenses from its start until the last of its nodes is clean: until then a process that
 * uses one may be left.
 *
 * Who waits for licenses is not overtaken for good: the first in the queue that misses some
 * of a license is promised them at the time when running jobs will have given back enough
 * (their limits); who comes behind may take of it only what is over by then or left over
 * then.
 *
 * Counts of use are derived from the running jobs; totals come from the configuration and
 * may be set below what is in use.
 */
#ifndef SL_SCHED_LICENSE_H
#define SL_SCHED_LICENSE_H

#include "sched/model.h"

struct license {
    uint32_t name;           /* interned */
    uint32_t total, used;
    uint64_t promised_pass;  /* in which the next two hold */
    usec_t promised;         /* when the first that waits can have them */
    uint32_t spare;          /* what is left then */
};

/* "a:10,b": checked (license_check), then taken over; what is in use stays so. */
int license_check(const char *text, struct err *err);
void license_configure(struct core *c, const char *text);
void license_fini(struct core *c);
/* --licenses of a request: names may be unknown, admission says so. */
int license_read(struct core *c, struct request *r, const char *text, struct err *err);
void license_drop(struct core *c, struct request *r);
/* There are as many, used or not. */
int license_admit(const struct core *c, const struct request *r, struct err *err);
/* Enough are free, and nobody before j is delayed if it runs until `end`. */
bool license_fits(const struct core *c, const struct job *j, usec_t end);
/* What license_fits() misses: of each license that there is too little of. Returns how many. */
struct license_lack {
    uint32_t name, asks, free, total;
    bool promised; /* enough are free, but promised to a job ahead of it */
    usec_t until;  /* when that is over if running jobs use their limits; SPAN_INFINITE */
};
uint32_t license_lacks(const struct core *c, const struct job *j, usec_t end,
                       struct license_lack out[LICENSE_ITEMS_MAX]);
/* j is the next that waits: promises the licenses that it misses. */
void license_promise(struct core *c, const struct job *j, usec_t now);
/* From the beginning (sign 1) and the end (-1) of an allocation. */
void license_count(struct core *c, const struct job *j, int sign);
void license_text(const struct core *c, const struct request *r, struct buf *out); /* ",license/a=2" */
int license_verify(const struct core *c, struct err *err); /* counts against the jobs */

#endif
