/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "base/buf.h"
#include "chart.h"
#include "options.h"
#include "policy.h"
#include "report.h"
#include "sim.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct sim {
    struct options opt;
    struct trace trace;
    struct cluster cluster;
};

static int machine(struct sim *s, struct err *err)
{
    const struct options *o = &s->opt;
    if (o->cluster)
        return cluster_conf(&s->cluster, o->cluster, err);
    if (o->nodes)
        return cluster_table(&s->cluster, o->nodes, o->gpu_nodes, err);
    uint32_t procs = o->procs ? o->procs : s->trace.procs_max;
    if (procs == 0)
        return err_set(err, -EINVAL, "%s does not say how large the machine is: give --procs, "
                       "--cluster or --nodes", o->trace);
    return cluster_procs(&s->cluster, procs, err);
}

static void progress(double share, void *arg)
{
    fprintf(stderr, "\r%s: %3.0f %%", (const char *)arg, 100 * share);
}

static bool shows_progress(const struct sim *s)
{
    return !s->opt.quiet && isatty(STDERR_FILENO);
}

static void progress_end(const struct sim *s, const char *name)
{
    if (shows_progress(s))
        fprintf(stderr, "\r%*s\r", (int)strlen(name) + 8, "");
}

static struct engine_options engine_options(const struct sim *s, const char *name,
                                            const struct core_policy *policy)
{
    return (struct engine_options){
        .cluster = &s->cluster, .trace = &s->trace, .policy = policy, .ties = s->opt.ties,
        .samples = s->opt.svg != NULL, .mtbf = s->opt.mtbf, .mttr = s->opt.mttr,
        .seed = s->opt.seed, .progress = shows_progress(s) ? progress : NULL,
        .progress_arg = (void *)name};
}

static int run_policy(struct sim *s, const char *name, struct engine_options *eo,
                      struct engine_result *res, struct err *err)
{
    struct policy policy;
    int rc = policy_load(name, &policy, err);
    if (rc < 0)
        return rc;
    *eo = engine_options(s, name, &policy.core);
    rc = engine_run(eo, res, err);
    eo->policy = NULL; /* it ends here */
    progress_end(s, name);
    policy_fini(&policy);
    return rc;
}

static int draw(const struct sim *s, const struct series *series, size_t n, struct err *err)
{
    if (!s->opt.svg)
        return 0;
    char *use = xasprintf("%s-use.svg", s->opt.svg), *wait = xasprintf("%s-wait.svg", s->opt.svg);
    int rc = chart_use(use, &s->cluster, series, n, err);
    if (rc == 0)
        rc = chart_wait(wait, series, n, err);
    free(use);
    free(wait);
    return rc;
}

static int run_one(struct sim *s, struct err *err)
{
    const struct options *o = &s->opt;
    struct engine_options eo;
    struct engine_result res = {0}, base = {0};
    struct stats stats;
    int rc = o->baseline ? run_policy(s, o->baseline, &eo, &base, err) : 0;
    if (rc == 0)
        rc = run_policy(s, o->policy[0], &eo, &res, err);
    if (rc == 0)
        stats_make(&eo, &res, o->baseline ? &base : NULL, &stats);
    if (rc == 0 && !o->quiet)
        report_stats(stdout, o->policy[0], &stats, &res);
    if (rc == 0 && o->jobs_csv)
        rc = report_jobs(o->jobs_csv, &s->trace, &res, err);
    if (rc == 0)
        rc = draw(s, &(struct series){o->policy[0], &res}, 1, err);
    if (rc == 0)
        report_line(stdout, &stats);
    engine_result_fini(&res);
    engine_result_fini(&base);
    return rc;
}

static int run_compared(struct sim *s, struct err *err)
{
    const struct options *o = &s->opt;
    struct engine_options eo;
    struct engine_result res[POLICIES_MAX] = {{0}};
    struct stats stats[POLICIES_MAX];
    struct series series[POLICIES_MAX];
    int rc = 0;
    size_t n = 0;
    for (; rc == 0 && n < o->policies; n++) {
        rc = run_policy(s, o->policy[n], &eo, &res[n], err);
        if (rc == 0)
            stats_make(&eo, &res[n], n ? &res[0] : NULL, &stats[n]);
        series[n] = (struct series){o->policy[n], &res[n]};
    }
    if (rc == 0)
        rc = draw(s, series, n, err);
    if (rc == 0 && !o->quiet)
        report_table(stdout, o->policy, stats, n);
    if (rc == 0)
        for (size_t i = 0; i < n; i++) {
            printf("policy=%s ", o->policy[i]);
            report_line(stdout, &stats[i]);
        }
    for (size_t i = 0; i < n; i++)
        engine_result_fini(&res[i]);
    return rc;
}

static int run_arrive(struct sim *s, struct err *err)
{
    const struct options *o = &s->opt;
    struct arrive_result *res = xcalloc(o->policies, sizeof *res);
    int rc = 0;
    if (!o->quiet)
        report_arrive_head(stdout, o->until, o->runs);
    for (size_t i = 0; rc == 0 && i < o->policies; i++) {
        struct policy policy;
        rc = policy_load(o->policy[i], &policy, err);
        if (rc < 0)
            break;
        struct engine_options eo = engine_options(s, o->policy[i], &policy.core);
        rc = arrive_run(&eo, o->until, o->runs, &res[i], err);
        progress_end(s, o->policy[i]);
        policy_fini(&policy);
        if (rc == 0)
            report_arrive(stdout, o->policy[i], &res[i]);
    }
    if (rc == 0 && o->curve)
        rc = report_curve(o->curve, o->policy, res, o->policies, err);
    free(res);
    return rc;
}

static int run(struct sim *s, struct err *err)
{
    const struct options *o = &s->opt;
    int rc = trace_load(o->trace, &s->trace, err);
    if (rc < 0)
        return rc;
    if (o->half)
        trace_half(&s->trace, o->half == 2);
    if (o->no_memory)
        trace_no_memory(&s->trace);
    if (o->exact)
        trace_limits_exact(&s->trace);
    rc = machine(s, err);
    if (rc == 0 && !o->quiet)
        report_head(stdout, o->trace, &s->trace, &s->cluster);
    if (rc == 0)
        rc = o->arrive    ? run_arrive(s, err)
             : o->compare ? run_compared(s, err)
                          : run_one(s, err);
    cluster_fini(&s->cluster);
    trace_fini(&s->trace);
    return rc;
}

int main(int argc, char **argv)
{
    struct sim s = {0};
    struct err err = {0};
    int rc = options_parse(&s.opt, argc, argv, &err);
    if (rc == 0 && s.opt.help)
        options_help(stdout);
    else if (rc == 0 && s.opt.version)
        puts("slurmlike-sim " PACKAGE_VERSION);
    else if (rc == 0)
        rc = run(&s, &err);
    if (rc == 0 && fflush(stdout) != 0)
        rc = err_errno(&err, "standard output");
    if (rc < 0)
        fprintf(stderr, "slurmlike-sim: error: %s\n", err.text);
    return rc < 0 ? 1 : 0;
}
