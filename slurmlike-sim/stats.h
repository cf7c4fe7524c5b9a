/* SPDX-License-Identifier: Apache-2.0
 *
 * stats: the figures of a run.
 *
 *   wait               start - submission (the last start, of a job that was requeued)
 *   bounded slowdown   max(1, (wait + run) / max(run, 10 s))
 *   utilisation        sum of processors x run / (machine x (last end - first submission));
 *                      of GPUs, where both machine and jobs have them
 *   fairness           Jain's index of the users' average bounded slowdowns: 1 is equal
 *   users worse off    share of users whose average wait is over 10 % above the baseline's
 */
#ifndef SL_SIM_STATS_H
#define SL_SIM_STATS_H

#include "engine.h"

#define BSLD_RUN_MIN 10.0 /* seconds */
#define WORSE_FACTOR 1.1

struct stats {
    size_t jobs, refused;
    double wait_avg, wait_median, wait_p95, wait_max; /* seconds */
    double bsld_avg, bsld_median, bsld_p95, bsld_max;
    double util, makespan;   /* makespan: seconds */
    bool util_is_gpu;
    uint32_t users;
    double jain;
    bool has_worse;
    double users_worse;      /* against a baseline: share of the users */
    double nodes_avg;        /* of a job */
    bool has_spread;         /* the machine's fabric is known */
    double leafs_avg, hops_avg; /* of jobs with several nodes: leaf switches, links between
                              * neighbours in rank order */
    bool has_fragments;      /* the machine has GPUs */
    double fragments;        /* share of the idle GPUs that is of no use (frag.h) */
    size_t restarts;
};

/* baseline: of the same trace, or NULL. */
void stats_make(const struct engine_options *o, const struct engine_result *res,
                const struct engine_result *baseline, struct stats *out);
double run_wait(const struct job_run *r);  /* seconds */
double run_bsld(const struct job_run *r);
bool run_counts(const struct job_run *r);  /* it ran to its end */

#endif
