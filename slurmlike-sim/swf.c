/* SPDX-License-Identifier: Apache-2.0
 *
 * Standard Workload Format 2.2 (https://www.cs.huji.ac.il/labs/parallel/workload/swf.html):
 * 18 numbers a job, -1 for "unknown"; comments begin with ';', and those at the head say
 * what the machine was.
 */
#include "trace.h"

#include "base/limits.h"
#include "sim.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define FIELDS 18
#define BLANKS " \t"

enum { F_JOB, F_SUBMIT, F_WAIT, F_RUN, F_ALLOCATED, F_CPU, F_MEM_USED, F_PROCS, F_LIMIT,
       F_MEM, F_STATUS, F_USER, F_GROUP, F_APP };

static const char *const field_names[FIELDS] = {
    "job number", "submit time", "wait time", "run time", "allocated processors",
    "average CPU time", "used memory", "requested processors", "requested time",
    "requested memory", "status", "user", "group", "application", "queue", "partition",
    "preceding job", "think time"};

/* "; MaxProcs: 100" */
static int swf_head(struct trace *t, const char *line, struct err *err)
{
    char key[32], value[32];
    int64_t v;
    if (sscanf(line, "; %31[A-Za-z]: %31[0-9]", key, value) != 2)
        return 0;
    if (strcasecmp(key, "MaxProcs") == 0) {
        if (field_number(key, value, 1, PROCS_MAX, &v, err) < 0)
            return err ? err->code : -EINVAL;
        t->procs_max = (uint32_t)v;
    } else if (strcasecmp(key, "UnixStartTime") == 0) {
        if (field_number(key, value, 0, INT64_C(1) << 33, &v, err) < 0)
            return err ? err->code : -EINVAL;
        t->unix_start = v;
    }
    return 0;
}

static int swf_fields(char *line, int64_t *f, struct err *err)
{
    int n = 0;
    for (line += strspn(line, BLANKS); *line && n < FIELDS; n++) {
        char *end = line + strcspn(line, BLANKS), *next = end + strspn(end, BLANKS);
        *end = '\0';
        if (field_number(field_names[n], line, -1, TRACE_SECONDS_MAX, &f[n], err) < 0)
            return err ? err_prefix(err, "field %d", n + 1) : -EINVAL;
        line = next;
    }
    if (n < FIELDS || *line)
        return err_set(err, -EINVAL, "%s fields than the %d of a job in Standard Workload "
                       "Format", *line ? "more" : "fewer", FIELDS);
    return 0;
}

static const char *numbered(struct trace *t, const char *prefix, int64_t number)
{
    char text[32];
    if (number < 0)
        return "";
    snprintf(text, sizeof text, "%s%lld", prefix, (long long)number);
    return trace_name(t, text);
}

int swf_line(struct trace *t, char *line, struct err *err)
{
    int64_t f[FIELDS];
    line += strspn(line, BLANKS);
    if (*line == ';')
        return swf_head(t, line, err);
    if (*line == '\0')
        return 0;
    int rc = swf_fields(line, f, err);
    if (rc < 0)
        return rc;
    int64_t procs = f[F_PROCS] > 0 ? f[F_PROCS] : f[F_ALLOCATED];
    if (procs > (int64_t)PROCS_MAX)
        return err_set(err, -ERANGE, "%lld processors, at most %u are possible",
                       (long long)procs, PROCS_MAX);
    if (f[F_SUBMIT] < 0)
        return err_set(err, -EINVAL, "field 2 (submit time): unknown");
    if (procs <= 0 || f[F_RUN] <= 0 || f[F_LIMIT] <= 0) {
        t->skipped++;
        return 0;
    }
    struct trace_job *j = trace_add(t);
    j->number = f[F_JOB] > 0 && f[F_JOB] < UINT32_MAX ? (uint32_t)f[F_JOB] : j->number;
    j->submit = f[F_SUBMIT];
    j->run = f[F_RUN];
    j->limit = f[F_LIMIT];
    j->procs = (uint32_t)procs;
    if (f[F_MEM] > 0) /* KiB a processor */
        j->mem_mib = ((uint64_t)f[F_MEM] * (uint64_t)procs + 1023) / 1024;
    trace_user(t, j, numbered(t, "u", f[F_USER]));
    j->account = numbered(t, "g", f[F_GROUP]);
    j->name = numbered(t, "app", f[F_APP]);
    return 0;
}
