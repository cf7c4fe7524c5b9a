/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of GPU jobs: comma-separated, a head that names the columns. Known: job_id,
 * submit_s, run_s, req_walltime_s, nodes, cpus, gpus, gpu_milli, mem_mb, user, vc; others
 * are left out. An empty field is unknown. job_id, submit_s and run_s must be there.
 */
#include "trace.h"

#include "base/limits.h"
#include "sim.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS_MAX 64

enum column { COL_OTHER, COL_JOB, COL_SUBMIT, COL_RUN, COL_LIMIT, COL_NODES, COL_CPUS,
              COL_GPUS, COL_MILLI, COL_MEM, COL_USER, COL_VC, COL_COUNT };

static const struct {
    const char *name;
    int64_t max; /* of a number; 0: text */
} columns[COL_COUNT] = {
    [COL_OTHER] = {"", 0},
    [COL_JOB] = {"job_id", 0},
    [COL_SUBMIT] = {"submit_s", TRACE_SECONDS_MAX},
    [COL_RUN] = {"run_s", TRACE_SECONDS_MAX},
    [COL_LIMIT] = {"req_walltime_s", TRACE_SECONDS_MAX},
    [COL_NODES] = {"nodes", NODES_MAX},
    [COL_CPUS] = {"cpus", PROCS_MAX},
    [COL_GPUS] = {"gpus", PROCS_MAX},
    [COL_MILLI] = {"gpu_milli", 1000},
    [COL_MEM] = {"mem_mb", INT64_C(1) << 40},
    [COL_USER] = {"user", 0},
    [COL_VC] = {"vc", 0},
};

struct gpucsv {
    enum column column[COLUMNS_MAX];
    size_t count;
};

static enum column column_find(const char *name)
{
    for (int i = COL_OTHER + 1; i < COL_COUNT; i++)
        if (strcmp(columns[i].name, name) == 0)
            return (enum column)i;
    return COL_OTHER;
}

static bool column_has(const struct gpucsv *g, enum column column)
{
    for (size_t i = 0; i < g->count; i++)
        if (g->column[i] == column)
            return true;
    return false;
}

struct gpucsv *gpucsv_create(const char *head, struct err *err)
{
    struct gpucsv *g = xcalloc(1, sizeof *g);
    char *copy = xstrdup(head), *rest = copy, *name;
    while ((name = strsep(&rest, ",")) && g->count < COLUMNS_MAX)
        g->column[g->count++] = column_find(name);
    free(copy);
    for (int i = COL_JOB; i <= COL_RUN; i++) {
        if (column_has(g, (enum column)i))
            continue;
        err_set(err, -EINVAL, "the table has no column %s", columns[i].name);
        free(g);
        return NULL;
    }
    return g;
}

void gpucsv_destroy(struct gpucsv *g)
{
    free(g);
}

/* Fields by column; absent and empty ones stay NULL. */
static int split(const struct gpucsv *g, char *line, const char **f, struct err *err)
{
    char *rest = line, *text;
    size_t n = 0;
    while ((text = strsep(&rest, ","))) {
        if (n == g->count)
            return err_set(err, -EINVAL, "more fields than the %zu of the head", g->count);
        if (text[0] == '"')
            return err_set(err, -EINVAL, "field %zu: quoted text is not known here", n + 1);
        f[g->column[n++]] = text[0] ? text : NULL;
    }
    if (n < g->count)
        return err_set(err, -EINVAL, "%zu fields, the head names %zu", n, g->count);
    return 0;
}

static int numbers(const char *const *f, int64_t *v, struct err *err)
{
    for (int i = 0; i < COL_COUNT; i++) {
        v[i] = -1;
        if (f[i] && columns[i].max &&
            field_number(columns[i].name, f[i], 0, columns[i].max, &v[i], err) < 0)
            return err ? err->code : -EINVAL;
    }
    return 0;
}

static uint32_t count_of(int64_t v)
{
    return v > 0 ? (uint32_t)v : 0;
}

int gpucsv_line(struct gpucsv *g, struct trace *t, char *line, struct err *err)
{
    const char *f[COL_COUNT] = {NULL};
    int64_t v[COL_COUNT];
    if (line[0] == '\0')
        return 0;
    int rc = split(g, line, f, err);
    if (rc == 0)
        rc = numbers(f, v, err);
    if (rc < 0)
        return rc;
    if (v[COL_SUBMIT] < 0)
        return err_set(err, -EINVAL, "submit_s: unknown");
    struct trace_job *j = trace_add(t);
    j->submit = v[COL_SUBMIT];
    j->run = v[COL_RUN];
    j->limit = v[COL_LIMIT] > 0 ? v[COL_LIMIT] : -1;
    j->nodes = count_of(v[COL_NODES]);
    j->cpus = count_of(v[COL_CPUS]);
    j->gpus = count_of(v[COL_GPUS]);
    j->gpu_milli = j->gpus == 0 ? 0 : v[COL_MILLI] > 0 ? (uint32_t)v[COL_MILLI] : 1000;
    j->mem_mib = v[COL_MEM] > 0 ? (uint64_t)v[COL_MEM] : 0;
    trace_user(t, j, f[COL_USER] ? f[COL_USER] : "");
    if (f[COL_VC])
        j->account = trace_name(t, f[COL_VC]);
    return 0;
}
