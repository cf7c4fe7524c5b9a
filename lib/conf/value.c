/* SPDX-License-Identifier: Apache-2.0
 *
 * One value: from a libconfig setting or a default's text to its field, and back.
 */
#include "conf/table.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/hostlist.h"

struct raw { /* what was written, whichever way */
    enum { RAW_INT, RAW_BOOL, RAW_TEXT, RAW_OTHER } kind;
    long long number;
    const char *text;
};

static void *field(const struct conf_row *row, void *base)
{
    return (char *)base + row->offset;
}

static const void *field_const(const struct conf_row *row, const void *base)
{
    return (const char *)base + row->offset;
}

bool conf_type_is_text(enum conf_type type)
{
    return type >= CONF_STR && type <= CONF_CHOICE;
}

static void store_text(const struct conf_row *row, void *base, const char *text, size_t n)
{
    char **s = field(row, base);
    char *fresh = xmalloc(n + 1);
    memcpy(fresh, text, n);
    fresh[n] = '\0';
    free(*s);
    *s = fresh;
}

void conf_value_free(const struct conf_row *row, void *base)
{
    if (!conf_type_is_text(row->type))
        return;
    char **s = field(row, base);
    free(*s);
    *s = NULL;
}

/* The spelling of the table for a word in any case; NULL when it is none. */
static const char *choice_find(const char *choices, const char *text, size_t *len)
{
    size_t n = strlen(text);
    for (const char *c = choices;; c += *len + 1) {
        *len = strcspn(c, "|");
        if (*len == n && strncasecmp(c, text, n) == 0)
            return c;
        if (c[*len] == '\0')
            return NULL;
    }
}

static int set_choice(const struct conf_row *row, void *base, const char *text,
                      struct err *err)
{
    size_t len;
    const char *word = choice_find(row->choices, text, &len);
    if (!word)
        return err_set(err, -EINVAL, "\"%.64s\" is not one of %s", text, row->choices);
    if (row->type == CONF_LEVEL)
        *(enum log_level *)field(row, base) = log_level_parse(text);
    else
        store_text(row, base, word, len);
    return 0;
}

static int check_chars(const struct conf_row *row, const char *text, struct err *err)
{
    for (const char *p = text; *p; p++) {
        unsigned char c = (unsigned char)*p;
        if (c < 0x20 || c == 0x7f)
            return err_set(err, -EINVAL, "control characters are not allowed");
        if (row->type == CONF_NAME && !isalnum(c) && !strchr("-_.+", c))
            return err_set(err, -EINVAL, "\"%.64s\": only letters, digits and -_.+ are "
                           "allowed", text);
    }
    return 0;
}

static int check_hosts(const char *text, struct err *err)
{
    if (strcasecmp(text, "ALL") == 0)
        return 0;
    struct hostlist *hl = hostlist_create(text, err);
    if (!hl)
        return -EINVAL;
    hostlist_destroy(hl);
    return 0;
}

static int set_text(const struct conf_row *row, void *base, const char *text,
                    struct err *err)
{
    size_t n = strlen(text);
    if (n < row->min)
        return err_set(err, -EINVAL, "must not be empty");
    if (n > row->max)
        return err_set(err, -EINVAL, "has %zu characters; %" PRIu64 " are allowed", n,
                       row->max);
    int rc = check_chars(row, text, err);
    if (rc == 0 && row->type == CONF_HOSTS)
        rc = check_hosts(text, err);
    if (rc == 0 && row->type == CONF_FILE && n && text[0] != '/' &&
        strncmp(text, "%r", 2) != 0)
        rc = err_set(err, -EINVAL, "\"%.64s\" is not an absolute path", text);
    if (rc == 0)
        store_text(row, base, text, n);
    return rc;
}

static int check_range(const struct conf_row *row, bool negative, uint64_t v,
                       struct err *err)
{
    if (!negative && v >= row->min && v <= row->max)
        return 0;
    const char *unit = row->type == CONF_MEM   ? " MiB"
                       : row->type == CONF_U32 ? ""
                                               : " seconds";
    if (row->max == UINT64_MAX)
        return err_set(err, -ERANGE, "must be at least %" PRIu64 "%s", row->min, unit);
    return err_set(err, -ERANGE, "must be from %" PRIu64 " to %" PRIu64 "%s", row->min,
                   row->max, unit);
}

static int set_span(const struct conf_row *row, void *base, const struct raw *raw,
                    struct err *err)
{
    usec_t span;
    bool negative = raw->kind == RAW_INT && raw->number < 0;
    if (raw->kind == RAW_INT) {
        span = negative || raw->number > INT64_MAX / USEC_PER_SEC
                   ? SPAN_INFINITE - 1 : raw->number * USEC_PER_SEC;
    } else {
        if (row->type == CONF_SECONDS && raw->text[0] &&
            raw->text[strspn(raw->text, "0123456789")] == '\0')
            return err_set(err, -EINVAL, "write %s for seconds, or \"%s:00\" for minutes",
                           raw->text, raw->text);
        int rc = span_parse(raw->text, &span, err);
        if (rc < 0)
            return rc;
    }
    if (row->type == CONF_LIMIT && span == SPAN_INFINITE) {
        *(usec_t *)field(row, base) = span;
        return 0;
    }
    int rc = check_range(row, negative, (uint64_t)(span / USEC_PER_SEC), err);
    if (rc == 0 && span == SPAN_INFINITE - 1)
        rc = err_set(err, -ERANGE, "is too long; say \"UNLIMITED\"");
    if (rc == 0)
        *(usec_t *)field(row, base) = span;
    return rc;
}

static int set_number(const struct conf_row *row, void *base, const struct raw *raw,
                      struct err *err)
{
    uint64_t v = (uint64_t)raw->number;
    bool negative = raw->kind == RAW_INT && raw->number < 0;
    if (raw->kind == RAW_TEXT) {
        int rc = mem_parse_mib(raw->text, &v, err);
        if (rc < 0)
            return rc;
    }
    int rc = check_range(row, negative, v, err);
    if (rc < 0)
        return rc;
    if (row->type == CONF_MEM)
        *(uint64_t *)field(row, base) = v;
    else
        *(uint32_t *)field(row, base) = (uint32_t)v;
    return 0;
}

static const struct { /* what may be written for a type */
    bool number, text;
    const char *wanted;
} type_forms[CONF_TYPE_COUNT] = {
    [CONF_STR] = {false, true, "a text in \"\""},
    [CONF_NAME] = {false, true, "a text in \"\""},
    [CONF_PATH] = {false, true, "a text in \"\""},
    [CONF_FILE] = {false, true, "a path in \"\""},
    [CONF_HOSTS] = {false, true, "a host list in \"\""},
    [CONF_CHOICE] = {false, true, "a word in \"\""},
    [CONF_LEVEL] = {false, true, "a word in \"\""},
    [CONF_BOOL] = {false, false, "true or false"},
    [CONF_U32] = {true, false, "a whole number"},
    [CONF_SECONDS] = {true, true, "seconds, or a time as \"1:30:00\""},
    [CONF_LIMIT] = {true, true, "a time as \"1:30:00\" or \"UNLIMITED\", or seconds"},
    [CONF_MEM] = {true, true, "megabytes, or a size as \"16G\""},
};

static int value_set(const struct conf_row *row, void *base, const struct raw *raw,
                     struct err *err)
{
    bool fits = raw->kind == RAW_BOOL   ? row->type == CONF_BOOL
                : raw->kind == RAW_INT  ? type_forms[row->type].number
                : raw->kind == RAW_TEXT ? type_forms[row->type].text
                                        : false;
    if (!fits)
        return err_set(err, -EINVAL, "%s is expected", type_forms[row->type].wanted);
    switch (row->type) {
    case CONF_BOOL:
        *(bool *)field(row, base) = raw->number != 0;
        return 0;
    case CONF_U32:
    case CONF_MEM:
        return set_number(row, base, raw, err);
    case CONF_SECONDS:
    case CONF_LIMIT:
        return set_span(row, base, raw, err);
    case CONF_CHOICE:
    case CONF_LEVEL:
        return set_choice(row, base, raw->text, err);
    default:
        return set_text(row, base, raw->text, err);
    }
}

int conf_value_set(const struct conf_row *row, void *base, const config_setting_t *s,
                   struct err *err)
{
    struct raw raw = {.kind = RAW_OTHER};
    switch (config_setting_type(s)) {
    case CONFIG_TYPE_INT:
    case CONFIG_TYPE_INT64:
        raw.kind = RAW_INT;
        raw.number = config_setting_get_int64(s);
        break;
    case CONFIG_TYPE_BOOL:
        raw.kind = RAW_BOOL;
        raw.number = config_setting_get_bool(s);
        break;
    case CONFIG_TYPE_STRING:
        raw.kind = RAW_TEXT;
        raw.text = config_setting_get_string(s);
        break;
    }
    return value_set(row, base, &raw, err);
}

void conf_value_default(const struct conf_row *row, void *base, bool is_user)
{
    const char *text = is_user && row->value_user ? row->value_user : row->value;
    struct raw raw = {.kind = RAW_TEXT, .text = text ? text : ""};
    struct err err;
    if (!text) { /* a key that must be given: the caller sees the empty text */
        store_text(row, base, "", 0);
        return;
    }
    if (row->type == CONF_BOOL) {
        raw.kind = RAW_BOOL;
        raw.number = strcmp(text, "true") == 0;
    } else if (!conf_type_is_text(row->type) && text[0] &&
               text[strspn(text, "0123456789")] == '\0') {
        raw.kind = RAW_INT;
        raw.number = strtoll(text, NULL, 10);
    }
    ASSERT(value_set(row, base, &raw, &err) == 0);
}

static void print_text(const char *text, bool quoted, struct buf *out)
{
    if (!quoted) {
        buf_puts(out, text);
        return;
    }
    buf_putc(out, '"');
    for (const char *p = text; *p; p++) {
        if (*p == '"' || *p == '\\')
            buf_putc(out, '\\');
        buf_putc(out, *p);
    }
    buf_putc(out, '"');
}

/* In the largest unit that keeps it exact. */
static void print_mem(uint64_t mib, bool quoted, struct buf *out)
{
    static const char units[] = "MGTP";
    size_t u = 0;
    while (mib && mib % 1024 == 0 && units[u + 1]) {
        mib /= 1024;
        u++;
    }
    const char *quote = quoted && mib ? "\"" : "";
    if (mib)
        buf_printf(out, "%s%" PRIu64 "%c%s", quote, mib, units[u], quote);
    else
        buf_putc(out, '0');
}

void conf_value_print(const struct conf_row *row, const void *base, bool quoted,
                      struct buf *out)
{
    const void *f = field_const(row, base);
    char text[SPAN_TEXT_MAX];
    switch (row->type) {
    case CONF_BOOL:
        buf_puts(out, *(const bool *)f ? "true" : "false");
        break;
    case CONF_U32:
        /* above 31 bits libconfig wants its 64-bit form */
        buf_printf(out, "%" PRIu32 "%s", *(const uint32_t *)f,
                   quoted && *(const uint32_t *)f > INT32_MAX ? "L" : "");
        break;
    case CONF_MEM:
        print_mem(*(const uint64_t *)f, quoted, out);
        break;
    case CONF_SECONDS:
        buf_printf(out, "%" PRId64, *(const usec_t *)f / USEC_PER_SEC);
        break;
    case CONF_LIMIT:
        print_text(span_format(*(const usec_t *)f, text), quoted, out);
        break;
    case CONF_LEVEL:
        print_text(log_level_name(*(const enum log_level *)f), quoted, out);
        break;
    default:
        print_text(*(char *const *)f, quoted, out);
    }
}
