/* SPDX-License-Identifier: Apache-2.0 */
#include "options.h"

#include "base/buf.h"
#include "base/conftext.h"
#include "base/editdist.h"
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <libconfig.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CONFIG_BYTES_MAX ((size_t)1 << 20)

static void *field(const struct option_row *row, void *values)
{
    return (char *)values + row->offset;
}

static const void *field_const(const struct option_row *row, const void *values)
{
    return (const char *)values + row->offset;
}

/* --- one value -------------------------------------------------------------- */

static int choice_index(const struct option_row *row, const char *text)
{
    size_t len = strlen(text);
    int index = 0;
    for (const char *p = row->choices; *p; index++) {
        size_t n = strcspn(p, "|");
        if (n == len && strncmp(p, text, n) == 0)
            return index;
        p += n + (p[n] == '|');
    }
    return -1;
}

static const char *choice_name(const struct option_row *row, int index, size_t *len)
{
    const char *p = row->choices;
    for (; index > 0; index--)
        p += strcspn(p, "|") + 1;
    *len = strcspn(p, "|");
    return p;
}

static int bool_parse(const char *text, bool *value)
{
    static const char *const words[] = {"true", "yes", "on", "1", "false", "no", "off", "0"};
    for (size_t i = 0; i < 8; i++)
        if (strcmp(text, words[i]) == 0) {
            *value = i < 4;
            return 0;
        }
    return -EINVAL;
}

static int number_parse(const struct option_row *row, const char *text, double *value,
                        int64_t *integer)
{
    char *end;
    errno = 0;
    if (row->type == OPTION_INT) {
        *integer = strtoll(text, &end, 10);
        *value = (double)*integer;
    } else {
        *value = strtod(text, &end);
    }
    return end == text || *end || errno || !isfinite(*value) ? -EINVAL : 0;
}

static int set_number(const struct option_row *row, void *values, const char *text,
                      struct err *err)
{
    double value = 0;
    int64_t integer = 0;
    if (number_parse(row, text, &value, &integer) < 0)
        return err_set(err, -EINVAL, "%s: \"%.64s\" is not %s", row->name, text,
                       row->type == OPTION_INT ? "a whole number" : "a number");
    if (value < row->min || value > row->max)
        return err_set(err, -ERANGE, "%s: %.64s is out of range (%.12g to %.12g)",
                       row->name, text, row->min, row->max);
    if (row->type == OPTION_INT)
        *(int64_t *)field(row, values) = integer;
    else
        *(double *)field(row, values) = value;
    return 0;
}

static int set_text(const struct option_row *row, void *values, const char *text,
                    struct err *err)
{
    if (strlen(text) > OPTION_TEXT_MAX)
        return err_set(err, -ERANGE, "%s: longer than %d bytes", row->name,
                       OPTION_TEXT_MAX);
    char **at = field(row, values);
    free(*at);
    *at = xstrdup(text);
    return 0;
}

static int set(const struct option_row *row, void *values, const char *text,
               struct err *err)
{
    int index;
    switch (row->type) {
    case OPTION_INT:
    case OPTION_REAL:
        return set_number(row, values, text, err);
    case OPTION_TEXT:
        return set_text(row, values, text, err);
    case OPTION_BOOL:
        if (bool_parse(text, field(row, values)) == 0)
            return 0;
        return err_set(err, -EINVAL, "%s: \"%.64s\" is neither true nor false", row->name,
                       text);
    case OPTION_CHOICE:
        index = choice_index(row, text);
        if (index < 0)
            return err_set(err, -EINVAL, "%s: \"%.64s\" is not one of %s", row->name, text,
                           row->choices);
        *(int *)field(row, values) = index;
        return 0;
    }
    return -EINVAL;
}

void options_init(const struct option_table *t, void *values)
{
    for (size_t i = 0; i < t->count; i++)
        if (t->rows[i].type == OPTION_TEXT)
            *(char **)field(&t->rows[i], values) = NULL;
    for (size_t i = 0; i < t->count; i++)
        ASSERT(set(&t->rows[i], values, t->rows[i].def, NULL) == 0);
}

void options_fini(const struct option_table *t, void *values)
{
    for (size_t i = 0; i < t->count; i++)
        if (t->rows[i].type == OPTION_TEXT) {
            free(*(char **)field(&t->rows[i], values));
            *(char **)field(&t->rows[i], values) = NULL;
        }
}

/* --- names -------------------------------------------------------------------- */

/* Is b[0..len) the name a of a row? "_" may be written for "-". */
static bool name_equal(const char *a, const char *b, size_t len)
{
    if (strlen(a) != len)
        return false;
    for (size_t i = 0; i < len; i++)
        if (a[i] != b[i] && !(a[i] == '-' && b[i] == '_'))
            return false;
    return true;
}

static const struct option_row *find(const struct option_table *t, const char *name,
                                     size_t len)
{
    for (size_t i = 0; i < t->count; i++)
        if (name_equal(t->rows[i].name, name, len))
            return &t->rows[i];
    return NULL;
}

static int unknown(const struct option_table *t, const char *name, size_t len,
                   struct err *err)
{
    const char *best = t->rows[0].name;
    size_t least = SIZE_MAX;
    for (size_t i = 0; i < t->count; i++) {
        size_t d = edit_distance(t->rows[i].name, strlen(t->rows[i].name), name, len);
        if (d < least) {
            least = d;
            best = t->rows[i].name;
        }
    }
    return err_set(err, -EINVAL, "%.*s: no such option of worker %s; the nearest is %s",
                   len > 64 ? 64 : (int)len, name, t->command, best);
}

/* --- configuration file -------------------------------------------------------- */

static int read_file(const char *path, char **text, struct err *err)
{
    FILE *f = fopen(path, "re");
    if (!f)
        return err_errno(err, "cannot read configuration %s", path);
    char *data = xmalloc(CONFIG_BYTES_MAX + 1);
    size_t n = fread(data, 1, CONFIG_BYTES_MAX + 1, f);
    bool failed = ferror(f) != 0;
    fclose(f);
    if (failed || n > CONFIG_BYTES_MAX || memchr(data, '\0', n)) {
        free(data);
        return err_set(err, -EINVAL, "configuration %s is not a text below 1 MiB", path);
    }
    data[n] = '\0';
    *text = data;
    return 0;
}

static int setting_text(const config_setting_t *s, char *out, size_t size)
{
    switch (config_setting_type(s)) {
    case CONFIG_TYPE_INT:
    case CONFIG_TYPE_INT64:
        snprintf(out, size, "%lld", config_setting_get_int64(s));
        return 0;
    case CONFIG_TYPE_FLOAT:
        snprintf(out, size, "%.17g", config_setting_get_float(s));
        return 0;
    case CONFIG_TYPE_BOOL:
        snprintf(out, size, "%s", config_setting_get_bool(s) ? "true" : "false");
        return 0;
    case CONFIG_TYPE_STRING:
        snprintf(out, size, "%s", config_setting_get_string(s));
        return 0;
    default:
        return -EINVAL;
    }
}

static int apply_setting(const struct option_table *t, void *values,
                         const config_setting_t *s, struct err *err)
{
    const char *name = config_setting_name(s);
    const struct option_row *row = find(t, name, strlen(name));
    char text[OPTION_TEXT_MAX + 2];
    if (!row)
        return unknown(t, name, strlen(name), err);
    if (setting_text(s, text, sizeof(text)) < 0)
        return err_set(err, -EINVAL, "%s: a group or list is not a value", name);
    return set(row, values, text, err);
}

static int read_config(const struct option_table *t, void *values, const char *path,
                       struct err *err)
{
    char *text = NULL;
    int rc = read_file(path, &text, err);
    if (rc < 0)
        return rc;
    config_t cfg;
    config_init(&cfg);
    rc = conftext_check(text, path, err);
    if (rc == 0 && !config_read_string(&cfg, text))
        rc = err_set(err, -EINVAL, "%s:%d: %s", path, config_error_line(&cfg),
                     config_error_text(&cfg));
    const config_setting_t *root = config_root_setting(&cfg);
    int count = rc == 0 ? config_setting_length(root) : 0;
    for (int i = 0; i < count && rc == 0; i++) {
        config_setting_t *s = config_setting_get_elem(root, (unsigned)i);
        rc = apply_setting(t, values, s, err);
        if (rc < 0)
            err_prefix(err, "%s:%d", path, (int)config_setting_source_line(s));
    }
    config_destroy(&cfg);
    free(text);
    return rc;
}

/* --- command line ---------------------------------------------------------------- */

struct word { /* one option as written */
    const struct option_row *row;
    const char *value;
    bool is_config;
};

/* Reads argv[*at]; moves *at to the last word that it took. */
static int word_read(const struct option_table *t, int argc, char **argv, int *at,
                     struct word *w, struct err *err)
{
    const char *name = argv[*at] + 2;
    size_t len = strcspn(name, "=");
    bool dummy;
    *w = (struct word){.value = name[len] == '=' ? name + len + 1 : NULL,
                       .is_config = name_equal("config", name, len)};
    w->row = find(t, name, len);
    if (!w->row && !w->is_config && strncmp(name, "no-", 3) == 0 && !w->value) {
        w->row = find(t, name + 3, len - 3);
        if (w->row && w->row->type == OPTION_BOOL) {
            w->value = "false";
            return 0;
        }
        w->row = NULL;
    }
    if (!w->row && !w->is_config)
        return unknown(t, name, len, err);
    const char *next = *at + 1 < argc ? argv[*at + 1] : NULL;
    if (!w->value && w->row && w->row->type == OPTION_BOOL &&
        !(next && bool_parse(next, &dummy) == 0))
        w->value = "true";
    if (w->value)
        return 0;
    if (!next)
        return err_set(err, -EINVAL, "--%.64s needs a value", name);
    w->value = next;
    (*at)++;
    return 0;
}

static bool is_option(const char *arg)
{
    return arg[0] == '-' && arg[1] == '-' && arg[2];
}

/* One pass over the words: configuration files, or everything else. */
static int apply_words(const struct option_table *t, void *values, int argc, char **argv,
                       bool config, struct err *err)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        struct word w;
        if (!is_option(argv[i]))
            continue;
        int rc = word_read(t, argc, argv, &i, &w, err);
        if (rc == 0 && w.is_config == config)
            rc = config ? read_config(t, values, w.value, err)
                        : set(w.row, values, w.value, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int collect_args(const struct option_table *t, int argc, char **argv,
                        struct option_args *args, struct err *err)
{
    int count = 0;
    bool only_args = false;
    for (int i = 1; i < argc; i++) {
        struct word w;
        if (!only_args && strcmp(argv[i], "--") == 0) {
            only_args = true;
        } else if (!only_args && is_option(argv[i])) {
            word_read(t, argc, argv, &i, &w, NULL);
        } else if (!only_args && argv[i][0] == '-' && argv[i][1]) {
            return err_set(err, -EINVAL,
                           "%.64s: options of worker %s begin with two dashes", argv[i],
                           t->command);
        } else if (!args) {
            return err_set(err, -EINVAL, "%.64s: worker %s takes options only", argv[i],
                           t->command);
        } else {
            argv[count++] = argv[i];
        }
    }
    if (args)
        *args = (struct option_args){argv, count};
    return 0;
}

int options_parse(const struct option_table *t, void *values, int argc, char **argv,
                  struct option_args *args, struct err *err)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return 1;
    int rc = apply_words(t, values, argc, argv, true, err);
    if (rc == 0)
        rc = apply_words(t, values, argc, argv, false, err);
    if (rc == 0)
        rc = collect_args(t, argc, argv, args, err);
    return rc;
}

/* --- printing --------------------------------------------------------------------- */

static const char *type_word(const struct option_row *row)
{
    static const char *const words[] = {[OPTION_INT] = "N",
                                        [OPTION_REAL] = "X",
                                        [OPTION_BOOL] = "true|false",
                                        [OPTION_TEXT] = "TEXT"};
    return row->type == OPTION_CHOICE ? row->choices : words[row->type];
}

void options_help(const struct option_table *t, FILE *out)
{
    fprintf(out, "Usage: worker %s [--KEY VALUE]...%s%s\n%s\n\nOptions:\n", t->command,
            *t->arguments ? " " : "", t->arguments, t->about);
    fprintf(out, "  --config FILE\n        Reads options from a libconfig file of KEY = "
                 "VALUE; lines;\n        the command line wins.\n");
    for (size_t i = 0; i < t->count; i++) {
        const struct option_row *row = &t->rows[i];
        fprintf(out, "  --%s %s\n        %s\n        ", row->name, type_word(row), row->help);
        if (row->type == OPTION_INT || row->type == OPTION_REAL)
            fprintf(out, "From %.12g to %.12g. ", row->min, row->max);
        if (*row->def)
            fprintf(out, "Default: %s.\n", row->def);
        else
            fprintf(out, "Default: none.\n");
    }
    if (*t->after)
        fprintf(out, "\n%s", t->after);
}

json_t *options_json(const struct option_table *t, const void *values)
{
    json_t *o = json_object();
    for (size_t i = 0; i < t->count; i++) {
        const struct option_row *row = &t->rows[i];
        const void *at = field_const(row, values);
        json_t *v = NULL;
        size_t len;
        const char *name;
        switch (row->type) {
        case OPTION_INT:
            v = json_integer(*(const int64_t *)at);
            break;
        case OPTION_REAL:
            v = json_real(*(const double *)at);
            break;
        case OPTION_BOOL:
            v = json_boolean(*(const bool *)at);
            break;
        case OPTION_TEXT:
            v = json_string(*(char *const *)at);
            break;
        case OPTION_CHOICE:
            name = choice_name(row, *(const int *)at, &len);
            v = json_stringn(name, len);
            break;
        }
        if (v)
            json_object_set_new(o, row->name, v);
    }
    return o;
}
