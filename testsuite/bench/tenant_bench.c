/* SPDX-License-Identifier: Apache-2.0
 *
 * tenant_bench: what tenants cost the core: ranking users and computing the priorities of
 * all pending jobs, at several numbers of jobs and associations, and a start and an end on
 * a deep path. Prints one line a size.
 */
#include "sched/fairshare.h"
#include "sched/limits.h"
#include "sched/priority.h"
#include "sched/request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct core *core_of(uint32_t accounts, uint32_t users)
{
    const struct core_policy policy = {
        .job_id_first = 1, .job_id_max = 10000000, .jobs_max = 10000000, .array_size_max = 10,
        .job_keep = USEC_PER_SEC, .backfill_depth = 1, .multifactor = true,
        .priority_period = 300 * USEC_PER_SEC, .priority_half_life = 604800 * USEC_PER_SEC,
        .priority_max_age = 604800 * USEC_PER_SEC, .weight_age = 1000, .weight_fair_share = 100000,
        .weight_job_size = 1000, .weight_qos = 1000, .enforce = ENFORCE_ASSOCIATIONS | ENFORCE_LIMITS};
    const struct core_partition part = {.name = "main", .nodes = "ALL", .is_default = true,
                                        .time_max = SPAN_INFINITE};
    const struct core_node_conf node = {.name = "n1", .addr = "", .gres = "", .features = "", .state = "", .reason = ""};
    struct core *c = core_create(&policy, NULL);
    if (!c || core_configure(c, &policy, &part, 1, &node, 1, true, USEC_PER_SEC, NULL) < 0 ||
        core_load_end(c, USEC_PER_SEC, NULL) < 0)
        abort();
    for (uint32_t a = 0; a < accounts; a++) {
        char account[32], user[32];
        snprintf(account, sizeof account, "a%u", a);
        uint32_t up = assoc_add(c, ASSOC_ROOT, account, "", "");
        for (uint32_t u = 0; u < users; u++) {
            snprintf(user, sizeof user, "u%u.%u", a, u);
            uint32_t i = assoc_add(c, up, account, user, "");
            c->tenants->assoc[i].usage.used[TRES_BILLING] = (amount_t)(a * 31 + u * 7 + 1) * AMOUNT_PER_SEC;
        }
    }
    assocs_link(c);
    return c;
}

static void jobs_submit(struct core *c, uint32_t jobs, uint32_t accounts, uint32_t users)
{
    struct batch b;
    struct err err = {0};
    batch_init(&b);
    for (uint32_t k = 0; k < jobs; k++) {
        Sl__JobSpec spec = SL__JOB_SPEC__INIT;
        char account[32], user[32];
        snprintf(account, sizeof account, "a%u", k % accounts);
        snprintf(user, sizeof user, "u%u.%u", k % accounts, k / accounts % users);
        spec.type = SL__JOB_TYPE__JOB_TYPE_BATCH;
        spec.name = (char *)"job";
        spec.ntasks = 1 + k % 16;
        spec.account = account;
        spec.time_limit_usec = (1 + k % 24) * 3600 * USEC_PER_SEC;
        spec.hold = true; /* nothing is to be planned */
        struct command cmd = {.kind = CMD_SUBMIT, .actor = {.uid = 1000 + k % 5000, .user = user},
                              .submit = {.spec = &spec, .user = user}};
        batch_clear(&b);
        if (core_apply(c, &cmd, 2 * USEC_PER_SEC, &b, &err) < 0) {
            fprintf(stderr, "%s\n", err.text);
            exit(1);
        }
    }
    batch_fini(&b);
}

int main(void)
{
    static const struct { uint32_t jobs, accounts, users; } sizes[] = {
        {1000, 10, 10}, {10000, 100, 10}, {100000, 100, 10}, {100000, 1000, 10}, {1000000, 1000, 10}};
    printf("%8s %12s %12s %14s %16s\n", "jobs", "associations", "rank_usec", "priority_usec", "usec_a_job");
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct core *c = core_of(sizes[i].accounts, sizes[i].users);
        jobs_submit(c, sizes[i].jobs, sizes[i].accounts, sizes[i].users);
        usec_t now = 1000 * USEC_PER_SEC;
        priority_all(c, now); /* static parts are made */
        usec_t t0 = clock_mono_usec();
        fairshare_rank(c, now + 300 * USEC_PER_SEC);
        usec_t t1 = clock_mono_usec();
        priority_all(c, now + 600 * USEC_PER_SEC);
        usec_t t2 = clock_mono_usec();
        printf("%8u %12u %12lld %14lld %16.3f\n", sizes[i].jobs, sizes[i].accounts * (sizes[i].users + 1),
               (long long)(t1 - t0), (long long)(t2 - t1), (double)(t2 - t1) / sizes[i].jobs);
        core_destroy(c);
    }
    return 0;
}
