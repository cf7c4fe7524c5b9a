/* SPDX-License-Identifier: Apache-2.0 */
#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

void report_head(FILE *out, const char *path, const struct trace *t, const struct cluster *cl)
{
    fprintf(out, "trace      %s: %zu jobs of %u users", path, t->count, t->users);
    if (t->skipped)
        fprintf(out, ", %zu records that are no jobs", t->skipped);
    if (cl->is_pool)
        fprintf(out, "\nmachine    %u processors\n", cl->procs);
    else if (cl->gpus)
        fprintf(out, "\nmachine    %zu nodes, %u processors, %u GPUs\n", cl->nodes, cl->procs,
                cl->gpus);
    else
        fprintf(out, "\nmachine    %zu nodes, %u processors\n", cl->nodes, cl->procs);
}

struct row { /* of the table; read by both forms of the report */
    const char *name, *format;
    size_t at;
    double scale;
};
#define AT(field) offsetof(struct stats, field)
static const struct row rows[] = {
    {"average wait, s", "%.1f", AT(wait_avg), 1},
    {"median wait, s", "%.0f", AT(wait_median), 1},
    {"95 % wait, s", "%.0f", AT(wait_p95), 1},
    {"maximum wait, s", "%.0f", AT(wait_max), 1},
    {"average bounded slowdown", "%.3f", AT(bsld_avg), 1},
    {"median bounded slowdown", "%.3f", AT(bsld_median), 1},
    {"95 % bounded slowdown", "%.3f", AT(bsld_p95), 1},
    {"maximum bounded slowdown", "%.1f", AT(bsld_max), 1},
    {"utilisation, %", "%.2f", AT(util), 100},
    {"makespan, h", "%.1f", AT(makespan), 1 / 3600.0},
    {"fairness between users", "%.3f", AT(jain), 1},
    {"nodes of a job", "%.2f", AT(nodes_avg), 1},
    {"leaf switches of a job", "%.2f", AT(leafs_avg), 1},
    {"links between neighbours", "%.2f", AT(hops_avg), 1},
    {"fragments of idle GPUs, %", "%.2f", AT(fragments), 100},
    {"users worse off, %", "%.1f", AT(users_worse), 100},
};
#define ROWS (sizeof rows / sizeof *rows)
/* Does the figure mean something for this run? */
static bool row_shown(const struct row *r, const struct stats *s)
{
    return r->at == AT(fragments) ? s->has_fragments
           : r->at == AT(leafs_avg) || r->at == AT(hops_avg) ? s->has_spread
           : r->at == AT(users_worse) ? s->has_worse
                                       : true;
}

static void cell(FILE *out, const struct row *r, const struct stats *s, int width)
{
    char text[64];
    double v = *(const double *)((const char *)s + r->at) * r->scale;
    int n = snprintf(text, sizeof text, r->format, v);
    fprintf(out, "%*s%s", n < width ? width - n : 1, "", text);
}

void report_stats(FILE *out, const char *policy, const struct stats *s,
                  const struct engine_result *res)
{
    double wall = (double)res->wall / (double)USEC_PER_SEC;
    double cpu = (double)res->cpu / (double)USEC_PER_SEC;
    fprintf(out, "policy     %s\n", policy);
    for (size_t i = 0; i < ROWS; i++) {
        if (!row_shown(&rows[i], s))
            continue;
        fprintf(out, "  %-26s", rows[i].name);
        cell(out, &rows[i], s, 12);
        fputc('\n', out);
    }
    if (res->failures)
        fprintf(out, "  %-26s%12zu, restarts of jobs: %zu\n", "failures of nodes",
                res->failures, s->restarts);
    fprintf(out, "  %-26s%12u\n", "longest queue, jobs", res->queued_max);
    fprintf(out, "  %-26s%12.2f, of the processor: %.2f, starts in a second of it: %.0f, "
                 "passes: %zu\n", "replayed in, s", wall, cpu,
            cpu > 0 ? (double)res->starts / cpu : 0, res->passes);
    if (s->refused)
        fprintf(out, "  %-26s%12zu, the first: %s\n", "jobs refused", s->refused,
                res->refused_text);
}

void report_table(FILE *out, const char *const *policy, const struct stats *s, size_t n)
{
    fprintf(out, "%-26s", "");
    for (size_t k = 0; k < n; k++)
        fprintf(out, " %15.15s", base_name(policy[k]));
    fputc('\n', out);
    for (size_t i = 0; i < ROWS; i++) {
        if (!row_shown(&rows[i], &s[n - 1]))
            continue;
        fprintf(out, "%-26s", rows[i].name);
        for (size_t k = 0; k < n; k++)
            if (row_shown(&rows[i], &s[k]))
                cell(out, &rows[i], &s[k], 16);
            else
                fprintf(out, "%16s", "-");
        fputc('\n', out);
    }
    if (n > 1)
        fprintf(out, "(users worse off: whose average wait is over 10 %% above the first column's)\n");
}

void report_line(FILE *out, const struct stats *s)
{
    fprintf(out, "jobs=%zu avg_wait=%.1f avg_bsld=%.3f max_wait=%.0f util=%.4f\n", s->jobs,
            s->wait_avg, s->bsld_avg, s->wait_max, s->util);
}

static int file_close(FILE *f, const char *path, struct err *err)
{
    bool bad = ferror(f);
    if (fclose(f) != 0 || bad)
        return err_errno(err, "%s", path);
    return 0;
}

int report_jobs(const char *path, const struct trace *t, const struct engine_result *res,
                struct err *err)
{
    FILE *f = fopen(path, "we");
    if (!f)
        return err_errno(err, "%s", path);
    fprintf(f, "job,user,submit_s,start_s,end_s,wait_s,run_s,bounded_slowdown,procs,gpus,nodes,"
               "restarts\n");
    for (size_t i = 0; i < res->runs; i++) {
        const struct job_run *r = &res->run[i];
        const struct trace_job *j = &t->job[i];
        if (!run_counts(r)) {
            fprintf(f, "%u,%s,%lld,,,,,,%u,%u,0,%u\n", j->number, j->user, (long long)j->submit,
                    r->procs, r->gpus, r->restarts);
            continue;
        }
        long long wait = (r->start - r->submit) / USEC_PER_SEC;
        long long run = (r->end - r->start) / USEC_PER_SEC;
        fprintf(f, "%u,%s,%lld,%lld,%lld,%lld,%lld,%.3f,%u,%u,%u,%u\n", j->number, j->user,
                (long long)j->submit, (long long)j->submit + wait,
                (long long)j->submit + wait + run, wait, run, run_bsld(r), r->procs, r->gpus,
                r->nodes, r->restarts);
    }
    return file_close(f, path, err);
}

/* ---- --arrive ------------------------------------------------------------------------------ */

void report_arrive_head(FILE *out, uint32_t percent, uint32_t seeds)
{
    fprintf(out, "arrival    random order, until %u %% of the GPUs; means of %u seeds\n", percent,
            seeds);
}

static void at_percent(FILE *out, const char *name, const double *v, uint32_t p, uint32_t most)
{
    if (p <= most)
        fprintf(out, " %s_%u=%.2f", name, p, v[p]);
}

void report_arrive(FILE *out, const char *policy, const struct arrive_result *res)
{
    fprintf(out, "policy=%s jobs=%zu placed=%zu", base_name(policy), res->jobs, res->placed);
    if (res->percent > 100)
        at_percent(out, "alloc", res->alloc, 100, res->percent);
    at_percent(out, "alloc", res->alloc, res->percent, res->percent);
    at_percent(out, "fragment", res->fragment, 80, res->percent);
    at_percent(out, "fragment", res->fragment, 90, res->percent);
    fputc('\n', out);
}

static void curve(FILE *f, const char *metric, const char *policy, const double *v, uint32_t n)
{
    fprintf(f, "%s,%s", metric, base_name(policy));
    for (uint32_t p = 0; p <= n; p++)
        fprintf(f, ",%.3f", v[p]);
    fputc('\n', f);
}

int report_curve(const char *path, const char *const *policy, const struct arrive_result *res,
                 size_t n, struct err *err)
{
    FILE *f = fopen(path, "we");
    if (!f)
        return err_errno(err, "%s", path);
    fprintf(f, "metric,policy");
    for (uint32_t p = 0; n && p <= res[0].percent; p++)
        fprintf(f, ",%u", p);
    fputc('\n', f);
    for (size_t i = 0; i < n; i++) {
        curve(f, "gpu_alloc_pct", policy[i], res[i].alloc, res[i].percent);
        curve(f, "frag_ratio_pct", policy[i], res[i].fragment, res[i].percent);
    }
    return file_close(f, path, err);
}
