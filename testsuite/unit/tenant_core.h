/* SPDX-License-Identifier: Apache-2.0
 *
 * tenant_core: a small cluster in a core, with tenants, on virtual time, for tests.
 */
#ifndef SL_TEST_TENANT_CORE_H
#define SL_TEST_TENANT_CORE_H

#include "sched/core.h"

#define T0 (1700000000 * USEC_PER_SEC)
#define MINUTE (60 * USEC_PER_SEC)

struct wish { /* of one job; 0: one cpu, 1 MiB, 10 minutes */
    uint32_t cpus, nodes, gpus, minutes, array;
    uint64_t mem_mib;
    const char *user, *account, *qos, *partition;
};
struct tc_record { char name[64]; struct buf bytes; };
struct tc { /* record: the store's table of tenants, written as batches say */
    struct core *c;
    struct batch b;
    usec_t now;
    struct core_policy policy;
    struct core_partition part[2];
    uint32_t nodes, cores;
    struct tc_record record[512];
    size_t records;
};

/* Multi-factor priority by fair-share alone; `enforce` as in accounting.enforce. */
void tc_init(struct tc *t, const char *enforce, uint32_t nodes, uint32_t cores);
void tc_fini(struct tc *t);
/* "add account name=a fairshare=3", "modify user name=u set maxjobs=1". 0 or the error. */
int tc_mgr(struct tc *t, struct err *err, const char *words);
void tc_must(struct tc *t, const char *words);
/* Job id, 0 with *err. Plans. */
uint32_t tc_submit(struct tc *t, const struct wish *w, struct err *err);
void tc_end(struct tc *t, uint32_t job);
void tc_cancel(struct tc *t, uint32_t job);
/* Serves timers up to then. */
void tc_pass(struct tc *t, usec_t until);
struct job_view tc_view(struct tc *t, uint32_t job);
/* One cell of a listing: of the row whose `key` column is `is` (and column `key2` `is2`). */
void tc_cell(struct tc *t, const char *what, const char *key, const char *is, const char *key2,
             const char *is2, const char *column, char *out, size_t n);
/* The same core from its records; its nodes have yet to connect. */
void tc_reload(struct tc *t);
void tc_connect(struct tc *t);

#endif
