/* SPDX-License-Identifier: Apache-2.0 */
#include "trace.h"

#include "live.h"
#include "sim.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

struct trace_name {
    UT_hash_handle hh;
    uint32_t id; /* place in its table */
    char text[];
};

static struct trace_name *name_get(struct trace *t, struct trace_name **table,
                                   const char *text)
{
    struct trace_name *n;
    size_t len = strlen(text);
    HASH_FIND(hh, *table, text, len, n);
    if (n)
        return n;
    n = arena_alloc(&t->arena, sizeof *n + len + 1);
    memcpy(n->text, text, len + 1);
    n->id = HASH_COUNT(*table);
    HASH_ADD_KEYPTR(hh, *table, n->text, len, n);
    return n;
}

const char *trace_name(struct trace *t, const char *text)
{
    return name_get(t, &t->names, text)->text;
}

void trace_user(struct trace *t, struct trace_job *j, const char *text)
{
    struct trace_name *n = name_get(t, &t->user_names, text);
    j->user = n->text;
    j->user_id = n->id;
    t->users = HASH_COUNT(t->user_names);
}

struct trace_job *trace_add(struct trace *t)
{
    if (t->count == t->cap) {
        t->cap = t->cap ? 2 * t->cap : 4096;
        t->job = xrealloc(t->job, t->cap * sizeof *t->job);
    }
    struct trace_job *j = &t->job[t->count++];
    *j = (struct trace_job){.number = (uint32_t)t->count, .user = "", .account = "", .name = ""};
    return j;
}

int field_number(const char *what, const char *text, int64_t min, int64_t max, int64_t *v,
                 struct err *err)
{
    char *end;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    bool good = end != text && errno == 0;
    if (good && *end == '.')
        for (end++; *end >= '0' && *end <= '9'; end++)
            ;
    if (!good || *end != '\0')
        return err_set(err, -EINVAL, "%s: \"%.64s\" is not a number", what, text);
    if (n < min || n > max)
        return err_set(err, -ERANGE, "%s: %lld is not within %lld and %lld", what, n,
                       (long long)min, (long long)max);
    *v = n;
    return 0;
}

static int by_submit(const void *a, const void *b)
{
    const struct trace_job *x = a, *y = b;
    if (x->submit != y->submit)
        return x->submit < y->submit ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

/* Jobs by submission; those of one second stay as the file has them. */
static void trace_sort(struct trace *t)
{
    bool sorted = true;
    for (size_t i = 1; i < t->count; i++)
        sorted = sorted && t->job[i - 1].submit <= t->job[i].submit;
    if (!sorted)
        qsort(t->job, t->count, sizeof *t->job, by_submit);
}

static int read_lines(struct lines *l, struct trace *t, struct err *err)
{
    struct gpucsv *csv = NULL;
    char *line;
    int rc, one = 0;
    while ((rc = lines_next(l, &line, err)) > 0 && one == 0) {
        if (lines_number(l) == 1 && strstr(line, "submit_s")) {
            csv = gpucsv_create(line, err);
            one = csv ? 0 : -EINVAL;
        } else {
            one = csv ? gpucsv_line(csv, t, line, err) : swf_line(t, line, err);
        }
        if (one == 0 && t->count > TRACE_JOBS_MAX)
            one = err_set(err, -E2BIG, "more than %u jobs", TRACE_JOBS_MAX);
        if (one < 0)
            lines_fail(l, err);
    }
    gpucsv_destroy(csv);
    return one < 0 ? one : rc;
}

static int text_load(const char *path, struct trace *t, struct err *err)
{
    struct lines *l = lines_open(path, err);
    int rc = l ? read_lines(l, t, err) : -ENOENT;
    lines_close(l);
    return rc;
}

int trace_load(const char *path, struct trace *t, struct err *err)
{
    memset(t, 0, sizeof *t);
    arena_init(&t->arena);
    int rc = live_is_json(path) ? live_trace(path, t, err) : text_load(path, t, err);
    if (rc == 0 && t->count == 0)
        rc = err_set(err, -EINVAL, "%s: no job in it%s", path,
                     t->skipped ? " that has processors, a run and a requested time" : "");
    if (rc < 0)
        trace_fini(t);
    else
        trace_sort(t);
    return rc;
}

void trace_fini(struct trace *t)
{
    HASH_CLEAR(hh, t->names);
    HASH_CLEAR(hh, t->user_names);
    arena_fini(&t->arena);
    free(t->job);
    memset(t, 0, sizeof *t);
}

void trace_half(struct trace *t, bool second)
{
    size_t half = t->count / 2;
    if (second) {
        memmove(t->job, t->job + half, (t->count - half) * sizeof *t->job);
        int64_t first = t->job[0].submit;
        for (size_t i = 0; i < t->count - half; i++)
            t->job[i].submit -= first;
    }
    t->count = second ? t->count - half : half;
}

void trace_limits_exact(struct trace *t)
{
    for (size_t i = 0; i < t->count; i++)
        if (t->job[i].run > 0)
            t->job[i].limit = t->job[i].run;
}

void trace_no_memory(struct trace *t)
{
    for (size_t i = 0; i < t->count; i++)
        t->job[i].mem_mib = 0;
}
