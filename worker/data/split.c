/* SPDX-License-Identifier: Apache-2.0 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "data/split.h"

#include "base/buf.h"
#include <errno.h>
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

/* The patterns of the published tokenizers, as their tokenizer.json files state
 * them. */
static const struct {
    const char *name, *pattern;
} PATTERNS[] = {
    {"gpt2", "'(?:[sdmt]|ll|ve|re)| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"},
    {"llama3", "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}|"
               " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"},
};
const char split_choices[] = "gpt2|llama3";
#define PATTERNS_COUNT ((int)(sizeof(PATTERNS) / sizeof(PATTERNS[0])))

struct split {
    pcre2_code *code;
    pcre2_match_data *match;
    bool jit;
};

const char *split_name(int pattern)
{
    return PATTERNS[pattern].name;
}

int split_find(const char *name)
{
    for (int i = 0; i < PATTERNS_COUNT; i++)
        if (strcmp(PATTERNS[i].name, name) == 0)
            return i;
    return -1;
}

struct split *split_create(int pattern, struct err *err)
{
    int number;
    PCRE2_SIZE at;
    struct split *s = xcalloc(1, sizeof(*s));
    s->code = pcre2_compile((PCRE2_SPTR)PATTERNS[pattern].pattern, PCRE2_ZERO_TERMINATED,
                            PCRE2_ANCHORED | PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF,
                            &number, &at, NULL);
    if (!s->code) {
        char text[128];
        pcre2_get_error_message(number, (PCRE2_UCHAR *)text, sizeof(text));
        err_set(err, -EINVAL, "pattern %s, at %zu: %s", PATTERNS[pattern].name, (size_t)at,
                text);
        free(s);
        return NULL;
    }
    s->jit = pcre2_jit_compile(s->code, PCRE2_JIT_COMPLETE) == 0;
    s->match = pcre2_match_data_create_from_pattern(s->code, NULL);
    ASSERT(s->match);
    return s;
}

void split_destroy(struct split *s)
{
    if (!s)
        return;
    pcre2_match_data_free(s->match);
    pcre2_code_free(s->code);
    free(s);
}

size_t split_next(struct split *s, const char *text, size_t n, bool final)
{
    if (n < SPLIT_VIEW && !final)
        return 0;
    size_t view = n < SPLIT_VIEW ? n : SPLIT_VIEW;
    PCRE2_SPTR subject = (PCRE2_SPTR)text;
    int rc = s->jit ? pcre2_jit_match(s->code, subject, view, 0, 0, s->match, NULL)
                    : pcre2_match(s->code, subject, view, 0, 0, s->match, NULL);
    if (rc < 1)
        return 1;
    size_t len = pcre2_get_ovector_pointer(s->match)[1];
    return len > SPLIT_PIECE_MAX ? SPLIT_PIECE_MAX : len > 0 ? len : 1;
}
