/* SPDX-License-Identifier: Apache-2.0 */
#include "stats.h"

#include "base/buf.h"

#include <stdlib.h>
#include <string.h>

static double seconds(usec_t span)
{
    return (double)span / (double)USEC_PER_SEC;
}

bool run_counts(const struct job_run *r)
{
    return r->start && r->end > r->start;
}

double run_wait(const struct job_run *r)
{
    return seconds(r->start - r->submit);
}

double run_bsld(const struct job_run *r)
{
    double run = seconds(r->end - r->start);
    double slowdown = (run_wait(r) + run) / (run > BSLD_RUN_MIN ? run : BSLD_RUN_MIN);
    return slowdown > 1 ? slowdown : 1;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

struct spread { double avg, median, p95, max; };

/* Sorts v. Nearest-rank percentiles; the median of an even count is the lower one. */
static struct spread spread_of(double *v, size_t n)
{
    struct spread s = {0};
    if (n == 0)
        return s;
    for (size_t i = 0; i < n; i++)
        s.avg += v[i];
    s.avg /= (double)n;
    qsort(v, n, sizeof *v, by_value);
    s.median = v[(n - 1) / 2];
    s.p95 = v[(n * 95 + 99) / 100 - 1];
    s.max = v[n - 1];
    return s;
}

struct user { double wait, bsld, jobs; };

static struct user *users_of(const struct trace *t, const struct engine_result *res)
{
    struct user *u = xcalloc(t->users, sizeof *u);
    for (size_t i = 0; i < res->runs; i++) {
        const struct job_run *r = &res->run[i];
        if (!run_counts(r))
            continue;
        struct user *x = &u[t->job[i].user_id];
        x->wait += run_wait(r);
        x->bsld += run_bsld(r);
        x->jobs++;
    }
    return u;
}

static void fairness(const struct trace *t, const struct engine_result *res,
                     const struct engine_result *baseline, struct stats *out)
{
    struct user *own = users_of(t, res), *base = baseline ? users_of(t, baseline) : NULL;
    double sum = 0, squares = 0, worse = 0;
    for (uint32_t i = 0; i < t->users; i++) {
        if (own[i].jobs == 0)
            continue;
        double x = own[i].bsld / own[i].jobs;
        out->users++;
        sum += x;
        squares += x * x;
        if (base && base[i].jobs > 0 &&
            own[i].wait / own[i].jobs > WORSE_FACTOR * base[i].wait / base[i].jobs)
            worse++;
    }
    out->jain = out->users ? sum * sum / (out->users * squares) : 1;
    out->has_worse = base != NULL;
    out->users_worse = out->users ? worse / out->users : 0;
    free(own);
    free(base);
}

static void spread(const struct engine_result *res, struct stats *out)
{
    double leafs = 0, hops = 0, jobs = 0;
    for (size_t i = 0; i < res->runs; i++) {
        const struct job_run *r = &res->run[i];
        if (!run_counts(r) || r->leafs == 0 || r->nodes < 2)
            continue;
        leafs += r->leafs;
        hops += r->hops;
        jobs++;
    }
    out->has_spread = jobs > 0;
    out->leafs_avg = jobs > 0 ? leafs / jobs : 0;
    out->hops_avg = jobs > 0 ? hops / jobs : 0;
}

static void usage(const struct engine_options *o, const struct engine_result *res,
                  struct stats *out)
{
    double procs = 0, gpus = 0, nodes = 0;
    usec_t first = INT64_MAX, last = 0;
    for (size_t i = 0; i < res->runs; i++) {
        const struct job_run *r = &res->run[i];
        out->restarts += r->restarts;
        if (!run_counts(r))
            continue;
        double run = seconds(r->end - r->start);
        procs += r->procs * run;
        gpus += r->gpus * run * o->trace->job[i].gpu_milli / 1000.0;
        nodes += r->nodes;
        first = r->submit < first ? r->submit : first;
        last = r->end > last ? r->end : last;
    }
    if (out->jobs == 0)
        return;
    out->makespan = seconds(last - first);
    out->nodes_avg = nodes / (double)out->jobs;
    out->util_is_gpu = o->cluster->gpus > 0 && gpus > 0;
    out->util = (out->util_is_gpu ? gpus / o->cluster->gpus : procs / o->cluster->procs) /
                out->makespan;
}

void stats_make(const struct engine_options *o, const struct engine_result *res,
                const struct engine_result *baseline, struct stats *out)
{
    double *wait = xcalloc(res->runs, sizeof *wait), *bsld = xcalloc(res->runs, sizeof *bsld);
    memset(out, 0, sizeof *out);
    out->refused = res->refused;
    for (size_t i = 0; i < res->runs; i++) {
        if (!run_counts(&res->run[i]))
            continue;
        wait[out->jobs] = run_wait(&res->run[i]);
        bsld[out->jobs++] = run_bsld(&res->run[i]);
    }
    struct spread w = spread_of(wait, out->jobs), b = spread_of(bsld, out->jobs);
    out->wait_avg = w.avg;
    out->wait_median = w.median;
    out->wait_p95 = w.p95;
    out->wait_max = w.max;
    out->bsld_avg = b.avg;
    out->bsld_median = b.median;
    out->bsld_p95 = b.p95;
    out->bsld_max = b.max;
    out->has_fragments = res->measured > 0;
    out->fragments = res->idle > 0 ? res->fragment / res->idle : 0;
    usage(o, res, out);
    spread(res, out);
    fairness(o->trace, res, baseline, out);
    free(wait);
    free(bsld);
}
