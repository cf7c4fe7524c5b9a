/* SPDX-License-Identifier: Apache-2.0
 *
 * A look at the words of a text before libconfig parses it. It knows of the
 * syntax what it takes to tell numbers from strings, comments and names.
 */
#include "conftext.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct scan {
    const char *p;
    unsigned line;
};

static void skip_line(struct scan *s)
{
    s->p += strcspn(s->p, "\n");
}

static void skip_block_comment(struct scan *s)
{
    for (s->p += 2; *s->p && strncmp(s->p, "*/", 2) != 0; s->p++)
        s->line += *s->p == '\n';
    s->p += *s->p ? 2 : 0;
}

static void skip_string(struct scan *s)
{
    for (s->p++; *s->p && *s->p != '"'; s->p++) {
        if (*s->p == '\\' && s->p[1])
            s->p++;
        s->line += *s->p == '\n';
    }
    s->p += *s->p ? 1 : 0;
}

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '.' || c == '-' || c == '*';
}

/* True when the word is a decimal integer beyond 32 bits; with L: beyond 64. */
static bool is_cut_number(const char *word, size_t n)
{
    size_t digits = strspn(word, "0123456789");
    bool is_long = digits < n && strspn(word + digits, "L") == n - digits;
    if (digits == 0 || (digits < n && !is_long))
        return false;
    errno = 0;
    long long v = strtoll(word, NULL, 10);
    return errno == ERANGE || (!is_long && v > INT32_MAX);
}

int conftext_check(const char *text, const char *name, struct err *err)
{
    struct scan s = {.p = text, .line = 1};
    while (*s.p) {
        if (*s.p == '#' || strncmp(s.p, "//", 2) == 0) {
            skip_line(&s);
        } else if (strncmp(s.p, "/*", 2) == 0) {
            skip_block_comment(&s);
        } else if (*s.p == '"') {
            skip_string(&s);
        } else if (*s.p == '@') {
            return err_set(err, -EINVAL, "%s:%u: @include is not supported", name, s.line);
        } else if (is_word(*s.p)) {
            size_t n = 0, sign = *s.p == '-';
            while (is_word(s.p[n]))
                n++;
            if (is_cut_number(s.p + sign, n - sign))
                return err_set(err, -ERANGE, "%s:%u: the number %.*s is too large", name,
                               s.line, n < 40 ? (int)n : 40, s.p);
            s.p += n;
        } else {
            s.line += *s.p == '\n';
            s.p++;
        }
    }
    return 0;
}
