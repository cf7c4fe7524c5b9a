/* SPDX-License-Identifier: Apache-2.0 */
#include "live.h"

#include "base/limits.h"
#include "base/timefmt.h"
#include "sim.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool live_is_json(const char *path)
{
    struct lines *l = lines_open(path, NULL);
    char *line;
    bool is = l && lines_next(l, &line, NULL) > 0 && line[strspn(line, " \t")] == '{';
    lines_close(l);
    return is;
}

/* The list of that name in the file's object; the caller drops *root. */
static json_t *list_load(const char *path, const char *name, json_t **root, struct err *err)
{
    json_error_t e;
    *root = json_load_file(path, JSON_REJECT_DUPLICATES, &e);
    if (!*root) {
        err_set(err, -EBADMSG, "%s:%d: %s", path, e.line, e.text);
        return NULL;
    }
    json_t *list = json_object_get(*root, name);
    if (json_is_array(list))
        return list;
    err_set(err, -EINVAL, "%s: has no list \"%s\"", path, name);
    return NULL;
}

static const char *text_at(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text ? text : "";
}

/* -1 where it is absent or no number within 0..max. */
static int64_t number_at(const json_t *o, const char *key, int64_t max)
{
    const json_t *v = json_object_get(o, key);
    int64_t n = json_is_integer(v) ? json_integer_value(v) : -1;
    return n >= 0 && n <= max ? n : -1;
}

/* "cpu=2,mem=200M,node=2,gres/gpu=2": the value of one, "" when it is not there. */
static void tres_at(const char *tres, const char *name, char out[32])
{
    size_t len = strlen(name);
    out[0] = '\0';
    for (const char *p = tres; *p;) {
        size_t n = strcspn(p, ",");
        if (n > len + 1 && strncmp(p, name, len) == 0 && p[len] == '=' && n - len - 1 < 32)
            snprintf(out, 32, "%.*s", (int)(n - len - 1), p + len + 1);
        p += n + (p[n] == ',');
    }
}

static uint32_t tres_count(const char *tres, const char *name)
{
    char text[32];
    uint64_t n;
    tres_at(tres, name, text);
    return num_parse_u64(name, text, 0, PROCS_MAX, &n, NULL) == 0 ? (uint32_t)n : 0;
}

static bool job_read(const json_t *o, struct trace *t)
{
    const json_t *time = json_object_get(o, "time"), *need = json_object_get(o, "required");
    const json_t *tres = json_object_get(o, "tres");
    const char *asked = text_at(tres, "requested");
    int64_t submit = number_at(time, "submission", INT64_C(1) << 40);
    int64_t end = number_at(time, "end", INT64_C(1) << 40);
    int64_t limit = number_at(time, "limit", TRACE_SECONDS_MAX / 60);
    int64_t run = number_at(time, "elapsed", TRACE_SECONDS_MAX);
    int64_t cpus = number_at(need, "CPUs", PROCS_MAX);
    limit = limit > 0 ? 60 * limit : -1;
    if (end <= 0)
        run = limit;
    else if (run == 0)
        run = 1; /* less than a second */
    if (submit <= 0 || run <= 0 || cpus <= 0)
        return false;
    struct trace_job *j = trace_add(t);
    char mem[32];
    j->number = (uint32_t)number_at(o, "job_id", UINT32_MAX);
    j->submit = submit;
    j->run = run;
    j->limit = limit;
    j->cpus = (uint32_t)cpus;
    j->nodes = tres_count(asked, "node");
    j->gpus = tres_count(asked, "gres/gpu");
    j->gpu_milli = j->gpus ? 1000 : 0;
    tres_at(asked, "mem", mem);
    if (mem_parse_mib(mem, &j->mem_mib, NULL) < 0)
        j->mem_mib = 0;
    trace_user(t, j, text_at(o, "user"));
    j->account = trace_name(t, text_at(o, "account"));
    j->name = trace_name(t, text_at(o, "name"));
    return true;
}

int live_trace(const char *path, struct trace *t, struct err *err)
{
    json_t *root, *list = list_load(path, "jobs", &root, err), *o;
    size_t i;
    json_array_foreach(list, i, o)
        if (t->count < TRACE_JOBS_MAX && !job_read(o, t))
            t->skipped++;
    int64_t first = INT64_MAX;
    for (size_t k = 0; k < t->count; k++)
        first = t->job[k].submit < first ? t->job[k].submit : first;
    for (size_t k = 0; k < t->count; k++)
        t->job[k].submit -= first;
    t->unix_start = t->count ? first : 0;
    json_decref(root);
    return list ? 0 : -EINVAL;
}

static int node_print(const json_t *o, struct buf *out, struct err *err)
{
    const char *name = text_at(o, "name"), *gres = text_at(o, "gres");
    int64_t cpus = number_at(o, "cpus", CPUS_PER_NODE_MAX);
    int64_t mem = number_at(o, "real_memory", INT32_MAX);
    if (!name[0] || strpbrk(name, "\"\\\n") || strpbrk(gres, "\"\\\n") || cpus <= 0)
        return err_set(err, -EINVAL, "node \"%.64s\": no name, or no cpus", name);
    buf_printf(out, "%s\n  { names = \"%s\"; cpus = %lld; memory = %lld; gres = \"%s\"; }",
               out->data[out->len - 1] == '(' ? "" : ",", name, (long long)cpus,
               (long long)(mem > 0 ? mem : 0), gres);
    return 0;
}

int live_nodes(const char *path, struct buf *out, struct err *err)
{
    json_t *root, *list = list_load(path, "nodes", &root, err), *o;
    size_t i;
    int rc = list ? 0 : -EINVAL;
    buf_puts(out, "nodes = (");
    json_array_foreach(list, i, o)
    {
        rc = rc == 0 ? node_print(o, out, err) : rc;
    }
    buf_puts(out, "\n);\n");
    json_decref(root);
    return rc < 0 && list && err ? err_prefix(err, "%s", path) : rc;
}
