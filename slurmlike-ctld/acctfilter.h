/* SPDX-License-Identifier: Apache-2.0
 *
 * acctfilter: what an accounting request selects. The part that the store can
 * decide by its columns goes into a store_filter; the rest is decided row by
 * row here. The filters' names and forms are in acct.h.
 */
#ifndef SL_CTLD_ACCTFILTER_H
#define SL_CTLD_ACCTFILTER_H

#include "base/buf.h"
#include "base/hostlist.h"
#include "store/store.h"
#include "wire/slurmlike.pb-c.h"

#include <sys/types.h>

struct acct_range {
    uint64_t min, max; /* max 0: no range */
};
struct acct_list {
    const char **v;
    size_t count;
};

struct acct_filter {
    struct arena arena; /* owns every list */
    struct store_filter store;
    struct acct_list users, groups; /* as written, until resolved */
    struct acct_list qos, wckeys;
    struct job_sel *sels;
    size_t sels_count;
    struct hostlist *nodes; /* NULL: any */
    struct acct_range nnodes, ncpus, timelimit_min;
    uint32_t *gids;
    size_t gids_count;
    bool steps, truncate;
};

/* Checks and takes the request's filters. On failure f needs no fini. */
int acct_filter_init(struct acct_filter *f, const Sl__QueryRequest *request,
                     uid_t viewer, struct err *err);
void acct_filter_fini(struct acct_filter *f);
/* Names of users and groups to numbers: blocks, helper thread. */
int acct_filter_resolve(struct acct_filter *f, struct err *err);
bool acct_filter_job(const struct acct_filter *f, const struct store_job *row);
/* Whether the job's own line, or a step of it, was asked for (12.batch). */
bool acct_filter_job_line(const struct acct_filter *f, const struct store_job *row);
bool acct_filter_step(const struct acct_filter *f, const struct store_job *job,
                      const struct store_step *row);

#endif
