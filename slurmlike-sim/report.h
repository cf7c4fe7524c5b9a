/* SPDX-License-Identifier: Apache-2.0
 *
 * report: the figures as text.
 */
#ifndef SL_SIM_REPORT_H
#define SL_SIM_REPORT_H

#include "arrive.h"
#include "stats.h"

#include <stdio.h>

/* The head of the output: what is simulated. */
void report_head(FILE *out, const char *path, const struct trace *t, const struct cluster *cl);
/* One policy's figures, one a line. */
void report_stats(FILE *out, const char *policy, const struct stats *s,
                  const struct engine_result *res);
/* Several policies side by side; the first is the baseline. */
void report_table(FILE *out, const char *const *policy, const struct stats *s, size_t n);
/* "jobs=... avg_wait=... avg_bsld=... max_wait=... util=..." */
void report_line(FILE *out, const struct stats *s);
/* --arrive: allocation and fragments, one policy a line. */
void report_arrive_head(FILE *out, uint32_t percent, uint32_t seeds);
void report_arrive(FILE *out, const char *policy, const struct arrive_result *res);
/* "metric,policy,0,1,2..." with a line a metric and policy. */
int report_curve(const char *path, const char *const *policy, const struct arrive_result *res,
                 size_t n, struct err *err);
/* A line for each job of the trace. 0, or negative: the file cannot be written. */
int report_jobs(const char *path, const struct trace *t, const struct engine_result *res,
                struct err *err);

#endif
