/* SPDX-License-Identifier: Apache-2.0 */
#include "job/explain.h"

#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct row {
    const char *name;
    enum explain_section section;
    const char *values, *words;
} rows[EX_CODE_COUNT] = {
#define X(sym, code, section, values, words) [sym] = {code, EXPLAIN_##section, values, words},
    EXPLAIN_MAP(X)
#undef X
};

static const struct { const char *name, *words; } afters[AFTER_COUNT] = {
    [AFTER_NONE] = {"", ""},
#define X(sym, name, words) [sym] = {name, words},
    EXPLAIN_AFTER_MAP(X)
#undef X
};

const char *explain_after_name(int64_t after)
{
    return after > AFTER_NONE && after < AFTER_COUNT ? afters[after].name : "";
}

bool explain_key(enum explain_code code, unsigned i, struct explain_key *key)
{
    const char *p = rows[code].values;
    for (; p && *p && i; i--) {
        p += strcspn(p, " ");
        p += *p == ' ';
    }
    if (!p || !*p)
        return false;
    size_t n = strcspn(p, ":");
    ASSERT(n < sizeof key->name);
    memcpy(key->name, p, n);
    key->name[n] = '\0';
    key->kind = p[n + 1];
    return true;
}

const char *explain_name(enum explain_code code)
{
    return rows[code].name;
}

enum explain_section explain_section(enum explain_code code)
{
    return rows[code].section;
}

static const struct { const char *name, *label, *lead; } sections[EXPLAIN_SECTION_COUNT] = {
    [EXPLAIN_HELD] = {"held_by", "HeldBy", ""},
    [EXPLAIN_START] = {"expected_start", "ExpectedStart", "expected start: "},
    [EXPLAIN_SOONER] = {"sooner", "Sooner", "sooner: "},
    [EXPLAIN_WHY] = {"started_because", "StartedBecause", "started because: "},
    [EXPLAIN_PLACED] = {"placed_by", "PlacedBy", "placed by: "},
};

const char *explain_section_name(enum explain_section s)
{
    return sections[s].name;
}

const char *explain_section_label(enum explain_section s)
{
    return sections[s].label;
}

const char *explain_lead(enum explain_section s)
{
    return sections[s].lead;
}

/* Which value of the item has the key of that name; EXPLAIN_VALUES_MAX: none. */
static unsigned key_find(enum explain_code code, const char *name, size_t n, struct explain_key *key)
{
    unsigned i = 0;
    while (i < EXPLAIN_VALUES_MAX && explain_key(code, i, key)) {
        if (strlen(key->name) == n && memcmp(key->name, name, n) == 0)
            return i;
        i++;
    }
    return EXPLAIN_VALUES_MAX;
}

const struct explain_value *explain_get(const struct explain_item *it, const char *name)
{
    struct explain_key key;
    unsigned i = key_find(it->code, name, strlen(name), &key);
    return i < EXPLAIN_VALUES_MAX ? &it->value[i] : NULL;
}

/* ---- as a line: the code and its values, with tabs between them ------------------------- */

void explain_put(struct buf *out, const struct explain_item *it)
{
    struct explain_key key;
    buf_puts(out, rows[it->code].name);
    for (unsigned i = 0; explain_key(it->code, i, &key); i++) {
        const struct explain_value *v = &it->value[i];
        buf_putc(out, '\t');
        if (key.kind != 's')
            buf_printf(out, "%lld", (long long)v->n);
        for (const char *p = key.kind == 's' && v->s ? v->s : ""; *p; p++)
            buf_putc(out, (unsigned char)*p < 0x20 || *p == 0x7f ? ' ' : *p);
    }
    buf_putc(out, '\n');
}

static enum explain_code code_find(const char *name, size_t n)
{
    for (int k = EX_NONE + 1; k < EX_CODE_COUNT; k++)
        if (strlen(rows[k].name) == n && memcmp(rows[k].name, name, n) == 0)
            return (enum explain_code)k;
    return EX_NONE;
}

/* False: a value is missing, or is no number where one is wanted. */
static bool line_read(char *line, struct explain_item *it)
{
    struct explain_key key;
    char *p = line, *end;
    *it = (struct explain_item){.code = code_find(line, strcspn(line, "\t"))};
    if (it->code == EX_NONE)
        return false;
    for (unsigned i = 0; explain_key(it->code, i, &key); i++) {
        p += strcspn(p, "\t");
        if (*p == '\0')
            return false;
        *p++ = '\0';
        if (key.kind == 's') {
            it->value[i].s = p;
            continue;
        }
        it->value[i].n = strtoll(p, &end, 10);
        if (end == p || (*end && *end != '\t'))
            return false;
    }
    p[strcspn(p, "\t")] = '\0'; /* what a newer version says in addition */
    return true;
}

int explain_read(const char **text, struct arena *a, struct explain_item *it)
{
    while (**text) {
        size_t n = strcspn(*text, "\n");
        char *line = arena_alloc(a, n + 1);
        memcpy(line, *text, n);
        *text += n + ((*text)[n] == '\n');
        if (line_read(line, it))
            return 1;
    }
    return 0;
}

/* ---- in words ---------------------------------------------------------------------------- */

static void value_words(char kind, const struct explain_value *v, struct buf *out)
{
    char text[TIME_TEXT_MAX];
    switch (kind) {
    case 's':
        buf_puts(out, v->s ? v->s : "");
        break;
    case 't':
        buf_puts(out, time_format(v->n, text));
        break;
    case 'd':
        buf_puts(out, span_format(v->n, text));
        break;
    case 'm':
        buf_puts(out, mem_format_mib((uint64_t)v->n, text));
        break;
    case 'c':
        buf_puts(out, v->n > AFTER_NONE && v->n < AFTER_COUNT ? afters[v->n].words : "");
        break;
    case 'p':
        buf_printf(out, "%.2f", (double)v->n / 1000);
        break;
    default:
        buf_printf(out, "%lld", (long long)v->n);
    }
}

static bool is_set(char kind, const struct explain_value *v)
{
    return kind == 's' ? v->s && v->s[0] : v->n != 0;
}

/* "key" or "key|one|many", up to the brace. */
static void brace_words(const struct explain_item *it, const char *p, size_t n, struct buf *out)
{
    struct explain_key key;
    size_t name = strcspn(p, "|}");
    unsigned i = key_find(it->code, p, name, &key);
    ASSERT(i < EXPLAIN_VALUES_MAX);
    if (name == n) {
        value_words(key.kind, &it->value[i], out);
        return;
    }
    const char *one = p + name + 1, *many = one + strcspn(one, "|") + 1;
    if (it->value[i].n == 1)
        buf_put(out, one, (size_t)(many - 1 - one));
    else
        buf_put(out, many, (size_t)(p + n - many));
}

static void some_words(const struct explain_item *it, const char *p, size_t n, struct buf *out)
{
    const char *end = p + n;
    while (p < end) {
        size_t plain = strcspn(p, "{[");
        if (plain > (size_t)(end - p))
            plain = (size_t)(end - p);
        buf_put(out, p, plain);
        p += plain;
        if (p == end)
            return;
        size_t inner = strcspn(p, *p == '{' ? "}" : "]");
        if (*p == '{') {
            brace_words(it, p + 1, inner - 1, out);
        } else {
            struct explain_key key;
            size_t name = strcspn(p + 1, ":");
            unsigned i = key_find(it->code, p + 1, name, &key);
            ASSERT(i < EXPLAIN_VALUES_MAX);
            if (is_set(key.kind, &it->value[i]))
                some_words(it, p + name + 2, inner - name - 2, out);
        }
        p += inner + 1;
    }
}

void explain_words(const struct explain_item *it, struct buf *out)
{
    if (it->code > EX_NONE && it->code < EX_CODE_COUNT)
        some_words(it, rows[it->code].words, strlen(rows[it->code].words), out);
}
