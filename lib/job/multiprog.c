/* SPDX-License-Identifier: Apache-2.0
 *
 * srun(1) "MULTIPLE PROGRAM CONFIGURATION": lines of
 *
 *   RANKS PROGRAM [ARGUMENT...]      0,2-5 ./worker %t of range, place %o
 *   * PROGRAM                        all ranks that no line before names
 *
 * '#' begins a comment, a backslash at the end of a line joins the next, quotes keep
 * blanks; %t is the task's rank, %o its place within the line's ranks, except within
 * single quotes.
 */
#include "job/jobspec.h"

#include "base/limits.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

struct reader {
    const char *p, *end;
    uint32_t rank, offset; /* the task's, for %t and %o */
    struct arena *arena;
    unsigned line;
};

/* Skips blanks; false at the end of the logical line. */
static bool word_next(struct reader *r)
{
    for (; r->p < r->end && *r->p != '\n' && *r->p != '#'; r->p++) {
        if (*r->p == '\\' && r->p + 1 < r->end && r->p[1] == '\n') {
            r->p++;
            r->line++;
        } else if (!isspace((unsigned char)*r->p)) {
            return true;
        }
    }
    return false;
}

static void line_skip(struct reader *r)
{
    while (r->p < r->end && *r->p != '\n') {
        if (*r->p == '\\' && r->p + 1 < r->end) {
            r->line += r->p[1] == '\n';
            r->p++;
        }
        r->p++;
    }
    if (r->p < r->end) {
        r->p++;
        r->line++;
    }
}

/* One word, unquoted, with %t and %o replaced. NULL: a quote is not closed. */
static char *word_take(struct reader *r, struct err *err)
{
    struct buf b;
    char quote = '\0', *text = NULL;

    buf_init(&b);
    for (; r->p < r->end && *r->p != '\n' && (quote || !isspace((unsigned char)*r->p)); r->p++) {
        char c = *r->p, next = r->p + 1 < r->end ? r->p[1] : '\0';
        if (c == '\\' && next == '\n' && !quote)
            break;
        if (quote && c == quote) {
            quote = '\0';
        } else if (!quote && (c == '\'' || c == '"')) {
            quote = c;
        } else if (c == '\\' && next != '\0' && next != '\n' && quote != '\'') {
            buf_putc(&b, next);
            r->p++;
        } else if (c == '%' && (next == 't' || next == 'o') && quote != '\'') {
            buf_printf(&b, "%u", next == 't' ? r->rank : r->offset);
            r->p++;
        } else {
            buf_putc(&b, c);
        }
    }
    if (quote)
        err_set(err, SL_EINVAL_FIELD, "--multi-prog: line %u: unmatched %c", r->line, quote);
    else
        text = arena_strdup(r->arena, buf_str(&b));
    buf_fini(&b);
    return text;
}

/* Is the rank in "0,2-5"? 1 with *offset its place, 0 no, negative: malformed. */
static int ranks_has(const char *text, uint32_t rank, unsigned line, uint32_t *offset,
                     struct err *err)
{
    uint64_t before = 0;
    int found = 0;
    if (strcmp(text, "*") == 0) {
        *offset = rank;
        return 1;
    }
    for (const char *p = text;; p++) {
        char *end;
        unsigned long long first = strtoull(p, &end, 10), last = first;
        bool ok = isdigit((unsigned char)*p);
        if (ok && *end == '-') {
            ok = isdigit((unsigned char)end[1]);
            last = strtoull(end + 1, &end, 10);
        }
        if (!ok || (*end != ',' && *end != '\0') || last < first || last >= TASKS_PER_STEP_MAX)
            return err_set(err, SL_EINVAL_FIELD,
                           "--multi-prog: line %u: \"%.64s\" are no task ranks", line, text);
        if (!found && rank >= first && rank <= last) {
            *offset = (uint32_t)(before + rank - first);
            found = 1;
        }
        before += last - first + 1;
        p = end;
        if (*p == '\0')
            return found;
    }
}

static int words_take(struct reader *r, char *const *more, size_t more_count, char ***out,
                      size_t *count, struct err *err)
{
    size_t n = 0, cap = 8 + more_count;
    char **v = arena_alloc(r->arena, (cap + 1) * sizeof(*v));
    while (word_next(r)) {
        char *word = word_take(r, err);
        if (word == NULL)
            return err->code;
        if (n + more_count == cap) {
            char **larger = arena_alloc(r->arena, (cap * 2 + 1) * sizeof(*v));
            memcpy(larger, v, n * sizeof(*v));
            v = larger;
            cap *= 2;
        }
        v[n++] = word;
    }
    if (n == 0)
        return err_set(err, SL_EINVAL_FIELD, "--multi-prog: line %u names no program", r->line);
    for (size_t i = 0; i < more_count; i++)
        v[n++] = more[i];
    *out = v;
    *count = n;
    return 0;
}

int multiprog_argv(const char *text, size_t n, uint32_t rank, char *const *more,
                   size_t more_count, struct arena *a, char ***argv, size_t *argc, struct err *err)
{
    struct reader r = {.p = text, .end = text + n, .rank = rank, .arena = a, .line = 1};

    for (; r.p < r.end; line_skip(&r)) {
        if (!word_next(&r))
            continue;
        char *ranks = word_take(&r, err);
        int has = ranks != NULL ? ranks_has(ranks, rank, r.line, &r.offset, err) : err->code;
        if (has < 0)
            return has;
        if (has > 0)
            return words_take(&r, more, more_count, argv, argc, err);
    }
    return err_set(err, SL_EINVAL_FIELD, "No executable program specified for this task");
}
