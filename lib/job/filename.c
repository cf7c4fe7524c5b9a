/* SPDX-License-Identifier: Apache-2.0
 *
 * Filename patterns, sbatch(1) "FILENAME PATTERN" and srun(1) "IO Redirection".
 */
#include "job/jobspec.h"

#include "base/limits.h"
#include "job/state.h"
#include <string.h>

#define PAD_MAX 10u /* srun(1): the widest zero padding */

struct subject {
    const Sl__JobInfo *job;
    uint32_t step_id, rank, node_index;
    const char *node;
};

static void number(struct buf *b, uint32_t value, unsigned pad)
{
    buf_printf(b, "%0*u", (int)pad, value);
}

static void step_put(struct buf *b, uint32_t step_id, unsigned pad)
{
    char text[STEP_ID_TEXT_MAX];
    if (step_id < STEP_MAX)
        number(b, step_id, pad);
    else
        buf_puts(b, step_id_format(step_id, text));
}

/* Replaces one specifier; false: not one, the text stays as it is. */
static bool specifier(struct buf *b, char c, unsigned pad, const struct subject *s)
{
    const Sl__JobInfo *job = s->job;
    bool task = job->array_job_id != 0;

    switch (c) {
    case 'A':
        number(b, task ? job->array_job_id : job->job_id, pad);
        return true;
    case 'a': /* NO_VAL - 1 outside an array is what Slurm writes */
        number(b, task ? job->array_task_id : NO_VAL - 1, pad);
        return true;
    case 'b':
        number(b, task ? job->array_task_id % 10 : 0, pad);
        return true;
    case 'J':
        number(b, job->job_id, pad);
        if (s->step_id < STEP_MAX)
            buf_printf(b, ".%u", s->step_id);
        return true;
    case 'j':
        number(b, job->job_id, pad);
        return true;
    case 's':
        step_put(b, s->step_id, pad);
        return true;
    case 'N': {
        size_t n = s->node != NULL ? strcspn(s->node, ".") : 0;
        buf_put(b, s->node != NULL ? s->node : "", n);
        return true;
    }
    case 'n':
        number(b, s->node_index != NO_VAL ? s->node_index : 0, pad);
        return true;
    case 't':
        number(b, s->rank != NO_VAL ? s->rank : 0, pad);
        return true;
    case 'u':
        buf_puts(b, job->user);
        return true;
    case 'x':
        buf_puts(b, job->spec != NULL ? job->spec->name : "");
        return true;
    case '%':
        buf_putc(b, '%');
        return true;
    default:
        return false;
    }
}

static void expand(struct buf *b, const char *p, const struct subject *s)
{
    while (*p != '\0' && b->len <= PATH_LEN_MAX) {
        if (*p != '%') {
            buf_putc(b, *p++);
            continue;
        }
        const char *q = p + 1;
        unsigned pad = 0;
        for (; *q >= '0' && *q <= '9'; q++)
            pad = pad * 10 + (unsigned)(*q - '0') > PAD_MAX ? PAD_MAX
                                                            : pad * 10 + (unsigned)(*q - '0');
        if (!specifier(b, *q, pad, s)) {
            buf_putc(b, *p++);
            continue;
        }
        p = q + 1;
    }
}

/* Two backslashes anywhere turn replacement off; they are not part of the name. */
static void literal(struct buf *b, const char *p)
{
    while (*p != '\0')
        if (p[0] == '\\' && p[1] == '\\')
            p += 2;
        else
            buf_putc(b, *p++);
}

char *filename_expand(struct arena *a, const char *pattern, const Sl__JobInfo *job,
                      uint32_t step_id, uint32_t rank, uint32_t node_index, const char *node,
                      struct err *err)
{
    const struct subject s = {job, step_id, rank, node_index, node};
    const char *dir = job->spec != NULL ? job->spec->work_dir : "";
    struct buf name;
    char *path = NULL;

    if (pattern == NULL || *pattern == '\0')
        pattern = job->array_job_id != 0 ? "slurm-%A_%a.out" : "slurm-%j.out";
    if (strlen(pattern) > PATH_LEN_MAX) {
        err_set(err, SL_EINVAL_FIELD, "file name pattern of more than %u bytes", PATH_LEN_MAX);
        return NULL;
    }
    buf_init(&name);
    if (strstr(pattern, "\\\\") != NULL)
        literal(&name, pattern);
    else
        expand(&name, pattern, &s);
    if (name.len == 0)
        err_set(err, SL_EINVAL_FIELD, "file name pattern \"%s\" gives an empty name", pattern);
    else if (name.data[0] == '/' || dir[0] == '\0')
        path = arena_strdup(a, buf_str(&name));
    else
        path = arena_printf(a, "%s%s%s", dir, dir[strlen(dir) - 1] == '/' ? "" : "/",
                            buf_str(&name));
    if (path != NULL && strlen(path) > PATH_LEN_MAX) {
        err_set(err, SL_EINVAL_FIELD, "file name from \"%.100s\" has more than %u bytes", pattern,
                PATH_LEN_MAX);
        path = NULL;
    }
    buf_fini(&name);
    return path;
}

/* Does the pattern hold %L (with padding) for a letter of `letters`? */
static bool has_specifier(const char *p, const char *letters)
{
    if (strstr(p, "\\\\") != NULL)
        return false;
    while ((p = strchr(p, '%')) != NULL) {
        p++;
        p += strspn(p, "0123456789");
        if (*p == '\0')
            return false;
        if (strchr(letters, *p) != NULL)
            return true;
        p++;
    }
    return false;
}

bool filename_per_task(const char *pattern)
{
    return has_specifier(pattern, "t");
}

bool filename_per_node(const char *pattern)
{
    return has_specifier(pattern, "Nn");
}
