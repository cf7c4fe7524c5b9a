/* SPDX-License-Identifier: Apache-2.0
 *
 * Sets of array task ids, and job ids as users type them.
 */
#include "job/jobspec.h"

#include "base/limits.h"
#include "job/state.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int id_compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* Digits at *p; false: none, or over 32 bits. */
static bool digits(const char **p, uint32_t *value)
{
    uint64_t v = 0;
    const char *start = *p;
    for (; **p >= '0' && **p <= '9'; (*p)++) {
        v = v * 10 + (uint64_t)(**p - '0');
        if (v > UINT32_MAX)
            return false;
    }
    *value = (uint32_t)v;
    return *p != start;
}

struct range {
    uint32_t first, last, step;
};

/* "a", "a-b", "a-b:s" at *p. */
static bool range_parse(const char **p, struct range *r)
{
    r->step = 1;
    if (!digits(p, &r->first))
        return false;
    r->last = r->first;
    if (**p != '-')
        return true;
    (*p)++;
    if (!digits(p, &r->last) || r->last < r->first)
        return false;
    if (**p == ':') {
        (*p)++;
        return digits(p, &r->step) && r->step != 0;
    }
    return true;
}

static int ids_collect(const char *text, const char *p, const char *end, uint32_t task_max,
                       uint32_t **ids, size_t *count, struct err *err)
{
    size_t n = 0;
    for (;;) {
        struct range r;
        if (!range_parse(&p, &r) || (p != end && *p != ','))
            return err_set(err, SL_EINVAL_ARRAY, "Invalid job array specification: \"%s\"", text);
        if (r.last >= task_max)
            return err_set(err, SL_EINVAL_ARRAY,
                           "Invalid job array specification: \"%s\": the highest task id is %u",
                           text, task_max - 1);
        size_t more = (r.last - r.first) / r.step + 1;
        if (n + more > ARRAY_TASKS_MAX)
            return err_set(err, SL_EINVAL_ARRAY,
                           "Invalid job array specification: \"%s\": more than %u tasks", text,
                           ARRAY_TASKS_MAX);
        *ids = xrealloc(*ids, (n + more) * sizeof(**ids));
        for (uint64_t id = r.first; id <= r.last; id += r.step)
            (*ids)[n++] = (uint32_t)id;
        if (p == end)
            break;
        p++;
    }
    *count = n;
    return 0;
}

int array_parse(const char *text, uint32_t task_max, struct arena *a, uint32_t **ids,
                size_t *count, uint32_t *throttle, struct err *err)
{
    const char *end = strchrnul(text, '%');
    uint32_t *all = NULL;
    size_t n = 0;

    *throttle = 0;
    if (task_max == 0 || task_max > ARRAY_TASKS_MAX)
        task_max = ARRAY_TASKS_MAX;
    if (*end == '%') {
        const char *p = end + 1;
        if (!digits(&p, throttle) || *p != '\0' || *throttle == 0)
            return err_set(err, SL_EINVAL_ARRAY,
                           "Invalid job array specification: \"%s\": a number from 1 must follow %%",
                           text);
    }
    int rc = ids_collect(text, text, end, task_max, &all, &n, err);
    if (rc == 0) {
        qsort(all, n, sizeof(*all), id_compare);
        size_t kept = 0;
        for (size_t i = 0; i < n; i++)
            if (kept == 0 || all[kept - 1] != all[i])
                all[kept++] = all[i];
        *ids = arena_alloc(a, kept * sizeof(**ids));
        memcpy(*ids, all, kept * sizeof(**ids));
        *count = kept;
    }
    free(all);
    return rc;
}

/* How many ids from ids[i] on lie at the same distance. */
static size_t run_length(const uint32_t *ids, size_t count, size_t i)
{
    if (i + 1 >= count)
        return 1;
    uint32_t step = ids[i + 1] - ids[i];
    size_t n = 2;
    while (i + n < count && ids[i + n] - ids[i + n - 1] == step)
        n++;
    /* "1,3" is shorter than "1-3:2"; two neighbours read better as "1-2". */
    if (n == 2 && step != 1)
        return 1;
    return n;
}

char *array_format(struct arena *a, const uint32_t *ids, size_t count)
{
    struct buf b;
    buf_init(&b);
    for (size_t i = 0; i < count;) {
        size_t n = run_length(ids, count, i);
        if (i != 0)
            buf_putc(&b, ',');
        buf_printf(&b, "%u", ids[i]);
        if (n > 1) {
            buf_printf(&b, "-%u", ids[i + n - 1]);
            if (ids[i + 1] - ids[i] != 1)
                buf_printf(&b, ":%u", ids[i + 1] - ids[i]);
        }
        i += n;
    }
    char *text = arena_strdup(a, buf_str(&b));
    buf_fini(&b);
    return text;
}

/* ---- job ids ----------------------------------------------------------------- */

static bool step_parse(const char *p, uint32_t *step_id)
{
    if (strcmp(p, "batch") == 0)
        *step_id = STEP_BATCH;
    else if (strcmp(p, "extern") == 0)
        *step_id = STEP_EXTERN;
    else if (strcmp(p, "interactive") == 0)
        *step_id = STEP_INTERACTIVE;
    else
        return digits(&p, step_id) && *p == '\0' && *step_id < STEP_MAX;
    return true;
}

char *step_id_format(uint32_t step_id, char out[STEP_ID_TEXT_MAX])
{
    if (step_id == STEP_BATCH)
        strcpy(out, "batch");
    else if (step_id == STEP_EXTERN)
        strcpy(out, "extern");
    else if (step_id == STEP_INTERACTIVE)
        strcpy(out, "interactive");
    else
        snprintf(out, STEP_ID_TEXT_MAX, "%u", step_id);
    return out;
}

int job_sel_parse(const char *text, struct arena *a, struct job_sel *out, struct err *err)
{
    const char *p = text;
    struct job_sel s = {0};

    if (!digits(&p, &s.job_id) || s.job_id == 0)
        return err_set(err, SL_EINVAL_JOB_ID, "Invalid job id %s", text);
    if (*p == '+') {
        p++;
        if (!digits(&p, &s.het_offset) || s.het_offset >= HET_SIZE_MAX)
            return err_set(err, SL_EINVAL_JOB_ID, "Invalid job id %s", text);
        s.has_het = true;
        s.job_id += s.het_offset;
    }
    if (*p == '_') {
        const char *end = p + 1;
        uint32_t throttle;
        bool bracket = *end == '[';
        if (bracket)
            p++;
        end = bracket ? strchrnul(end, ']') : end + strspn(end, "0123456789");
        if (bracket && *end != ']')
            return err_set(err, SL_EINVAL_JOB_ID, "Invalid job id %s", text);
        char *list = arena_printf(a, "%.*s", (int)(end - p - 1), p + 1);
        if (strchr(list, '%') != NULL)
            return err_set(err, SL_EINVAL_JOB_ID, "Invalid job id %s", text);
        int rc = array_parse(list, 0, a, &s.task_ids, &s.tasks_count, &throttle, err);
        if (rc != 0)
            return err_set(err, SL_EINVAL_JOB_ID, "Invalid job id %s", text);
        s.has_array = true;
        p = bracket ? end + 1 : end;
    }
    if (*p == '.') {
        if (!step_parse(p + 1, &s.step_id))
            return err_set(err, SL_EINVAL_STEP, "Invalid job step id %s", text);
        s.has_step = true;
        p += strlen(p);
    }
    if (*p != '\0')
        return err_set(err, SL_EINVAL_JOB_ID, "Invalid job id %s", text);
    *out = s;
    return 0;
}
