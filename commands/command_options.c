/* SPDX-License-Identifier: Apache-2.0
 *
 * The command line of the query commands: a table a command, and one that all share.
 */
#include "command.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct command_shared command_shared;

static const struct command_option shared[] = {
    {"help", 0, NULL, "show this help and exit", NULL, &command_shared.help, NULL},
    {"usage", 0, NULL, "show a short usage and exit", NULL, &command_shared.usage, NULL},
    {"verbose", 'v', NULL, "say what is asked", NULL, &command_shared.verbose, NULL},
    {"version", 'V', NULL, "show the version and exit", NULL, &command_shared.version, NULL},
    {NULL, 0, NULL, NULL, NULL, NULL, NULL},
};
static const struct command_option of_clusters[] = {
    {"clusters", 'M', "names", "this cluster, or all: there is one", &command_shared.clusters, NULL, "SLURM_CLUSTERS"},
    {"federation", 0, NULL, "accepted: there is one cluster", NULL, &command_shared.federated, NULL},
    {"local", 0, NULL, "accepted: there is one cluster", NULL, &command_shared.federated, NULL},
    {"sibling", 0, NULL, "accepted: there is one cluster", NULL, &command_shared.federated, NULL},
    {NULL, 0, NULL, NULL, NULL, NULL, NULL},
};
static const struct command_option of_structured[] = {
    {"json", 0, NULL, "print as JSON", NULL, &command_shared.json, NULL},
    {"yaml", 0, NULL, "print as YAML", NULL, &command_shared.yaml, NULL},
    {NULL, 0, NULL, NULL, NULL, NULL, NULL},
};
#define ROWS_MAX 96u

static bool has_name(const struct command_option *rows, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(rows[i].name, name) == 0)
            return true;
    return false;
}

/* Adds the rows of a table that are not there yet, in front of the end mark. */
static size_t rows_add(struct command_option *to, size_t count, const struct command_option *table)
{
    size_t own = count;
    for (; table->name != NULL; table++) {
        if (has_name(to, own, table->name))
            continue;
        ASSERT(count + 1 < ROWS_MAX);
        to[count++] = *table;
    }
    return count;
}

static int by_name(const void *a, const void *b)
{
    return strcasecmp(((const struct command_option *)a)->name, ((const struct command_option *)b)->name);
}

/* The command's own rows, which win, and those that it shares; rows has ROWS_MAX. */
static void rows_all(const struct command *cmd, struct command_option *rows)
{
    size_t count = rows_add(rows, 0, cmd->options);
    count = rows_add(rows, count, shared);
    if (cmd->clusters)
        count = rows_add(rows, count, of_clusters);
    if (cmd->structured)
        count = rows_add(rows, count, of_structured);
    qsort(rows, count, sizeof(*rows), by_name);
    rows[count] = (struct command_option){NULL, 0, NULL, NULL, NULL, NULL, NULL};
}

static bool takes_value(const struct command_option *o)
{
    return o->metavar != NULL;
}

static bool value_optional(const struct command_option *o)
{
    return o->metavar != NULL && o->metavar[0] == '[';
}

static bool is_built(const struct command_option *o)
{
    return o->value != NULL || o->flag != NULL;
}

static int not_built(const struct command_option *o, struct err *err)
{
    return err_set(err, SL_ENOT_BUILT, "option '--%s' is not built yet: %s", o->name, o->help);
}

/* Lists grow when they are given again: `sacct -j 12 -j 13`. */
static bool is_list(const struct command_option *o)
{
    static const char *const lists[] = {"names", "ids", "[ids", "users", "states", "groups",
                                        "nodes", "fields"};
    for (size_t i = 0; o->metavar != NULL && i < sizeof(lists) / sizeof(lists[0]); i++)
        if (strcmp(o->metavar, lists[i]) == 0)
            return true;
    return false;
}

/* again: it has a value from the command line already. */
static void option_store(const struct command_option *o, const char *value, bool again)
{
    if (o->value != NULL && value != NULL)
        *o->value = again && is_list(o) ? xasprintf("%s,%s", *o->value, value) : value;
    if (o->flag != NULL)
        *o->flag = true;
}

static const struct command_option *find_name(const struct command_option *table,
                                              const char *name, size_t n, struct err *err)
{
    const struct command_option *found = NULL;
    bool several = false;
    for (const struct command_option *o = table; o->name != NULL; o++) {
        if (strncmp(o->name, name, n) != 0)
            continue;
        if (o->name[n] == '\0')
            return o;
        several = several || found != NULL;
        found = o;
    }
    if (found != NULL && !several)
        return found;
    err_set(err, SL_EINVAL_FIELD, several ? "option '--%.*s' is ambiguous"
                                          : "unrecognized option '--%.*s'", (int)n, name);
    return NULL;
}

struct words {
    const struct command_option *table;
    int argc, at;
    char **argv;
    bool *given; /* by row: on the command line */
};

static void row_store(struct words *w, const struct command_option *o, const char *value)
{
    bool *given = &w->given[o - w->table];
    option_store(o, value, *given && o->value != NULL && *o->value != NULL);
    *given = true;
}

/* The value of an option that may have none: `squeue -j 12`, `squeue --jobs 12`, as Slurm's
 * commands take it. NULL: the next word is an option, or there is none. */
static const char *word_if_any(struct words *w)
{
    return w->at < w->argc && w->argv[w->at][0] != '-' ? w->argv[w->at++] : NULL;
}

static int long_option(struct words *w, const char *word, struct err *err)
{
    size_t n = strcspn(word, "=");
    const char *value = word[n] == '=' ? word + n + 1 : NULL;
    const struct command_option *o = find_name(w->table, word, n, err);

    if (o == NULL)
        return err->code;
    if (!is_built(o))
        return not_built(o, err);
    if (!takes_value(o) && value != NULL)
        return err_set(err, SL_EINVAL_FIELD, "option '--%s' doesn't allow an argument", o->name);
    if (takes_value(o) && !value_optional(o) && value == NULL) {
        if (w->at >= w->argc)
            return err_set(err, SL_EINVAL_FIELD, "option '--%s' requires an argument", o->name);
        value = w->argv[w->at++];
    } else if (takes_value(o) && value == NULL)
        value = word_if_any(w);
    row_store(w, o, value);
    return 0;
}

static int letters(struct words *w, const char *word, struct err *err)
{
    for (const char *p = word; *p != '\0'; p++) {
        const struct command_option *o = w->table;
        while (o->name != NULL && o->letter != *p)
            o++;
        if (o->name == NULL)
            return err_set(err, SL_EINVAL_FIELD, "invalid option -- '%c'", *p);
        if (!is_built(o))
            return not_built(o, err);
        if (!takes_value(o)) {
            row_store(w, o, NULL);
            continue;
        }
        const char *value = p[1] != '\0' ? p + 1 : NULL;
        if (value == NULL && !value_optional(o)) {
            if (w->at >= w->argc)
                return err_set(err, SL_EINVAL_FIELD, "option requires an argument -- '%c'", *p);
            value = w->argv[w->at++];
        } else if (value == NULL)
            value = word_if_any(w);
        row_store(w, o, value);
        return 0;
    }
    return 0;
}

/* *rest: the first word that is no option. */
static int command_line(const struct command_option *table, int argc, char **argv, int *rest,
                        struct err *err)
{
    size_t rows = 0;
    for (const struct command_option *o = table; o->name != NULL; o++, rows++) {
        const char *value = o->env != NULL ? getenv(o->env) : NULL;
        if (value != NULL && (takes_value(o) || strcmp(value, "0") != 0))
            option_store(o, value, false);
    }
    /* Options may stand behind other words, as with getopt_long(3): `scancel 12 -b`. The
     * words found on the way are moved to the end, in their order. */
    struct words w = {.table = table, .argc = argc, .at = 1, .argv = argv,
                      .given = xcalloc(rows + 1, sizeof(bool))};
    char **word = xcalloc((size_t)argc, sizeof(*word));
    int words = 0, rc = 0;
    bool options_end = false;
    while (w.at < argc && rc == 0) {
        char *p = argv[w.at++];
        if (options_end || p[0] != '-' || p[1] == '\0')
            word[words++] = p;
        else if (strcmp(p, "--") == 0)
            options_end = true;
        else
            rc = p[1] == '-' ? long_option(&w, p + 2, err) : letters(&w, p + 1, err);
    }
    *rest = argc - words;
    for (int i = 0; rc == 0 && i < words; i++)
        argv[*rest + i] = word[i];
    free(word);
    free(w.given);
    return rc;
}

static void help_row(const struct command_option *o)
{
    char head[96];
    const char *meta = o->metavar;
    int n = o->letter != '\0' ? snprintf(head, sizeof(head), "  -%c, --%s", o->letter, o->name)
                              : snprintf(head, sizeof(head), "      --%s", o->name);
    if (meta != NULL && n > 0)
        snprintf(head + n, sizeof(head) - (size_t)n, meta[0] == '[' ? "[=%s]" : "=%s",
                 meta + (meta[0] == '['));
    printf("%-30s %s\n", head, o->help);
}

static void help_print(const struct command *cmd, const struct command_option *table)
{
    bool missing = false;
    printf("Usage: %s %s\n", cmd->program, cmd->usage);
    for (const struct command_option *o = table; o->name != NULL; o++) {
        missing = missing || !is_built(o);
        if (is_built(o))
            help_row(o);
    }
    if (missing)
        printf("\nKnown, but not built yet (refused with the reason):\n");
    for (const struct command_option *o = table; o->name != NULL; o++)
        if (!is_built(o))
            help_row(o);
}

static void usage_print(const struct command *cmd, const struct command_option *table)
{
    int at = printf("Usage: %s", cmd->program);
    for (const struct command_option *o = table; o->name != NULL; o++) {
        const char *meta = o->metavar != NULL ? o->metavar + (o->metavar[0] == '[') : NULL;
        if (!is_built(o))
            continue;
        if (at > 64) {
            printf("\n       ");
            at = 7;
        }
        if (o->letter != '\0')
            at += printf(" [-%c%s%s]", o->letter, meta != NULL ? " " : "", meta != NULL ? meta : "");
        else
            at += printf(" [--%s%s%s]", o->name, meta != NULL ? "=" : "", meta != NULL ? meta : "");
    }
    const char *operands = strchr(cmd->usage, ' ');
    printf("%s\n", operands != NULL ? operands : "");
}

void command_help(const struct command *cmd)
{
    struct command_option rows[ROWS_MAX];
    rows_all(cmd, rows);
    help_print(cmd, rows);
}

bool command_begin(const struct command *cmd, int argc, char **argv, int *rest, int *code)
{
    struct command_option rows[ROWS_MAX];
    struct err err = {0};

    *code = 0;
    rows_all(cmd, rows);
    int rc = command_line(rows, argc, argv, rest, &err);
    if (rc == 0 && command_shared.help) {
        (cmd->help != NULL ? cmd->help : command_help)(cmd);
        return false;
    }
    if (rc == 0 && command_shared.usage) {
        usage_print(cmd, rows);
        return false;
    }
    if (rc == 0 && command_shared.version) {
        command_version();
        return false;
    }
    if (rc == 0 && *rest < argc && !cmd->operands)
        rc = err_set(&err, SL_EINVAL_FIELD, "Unrecognized option: %s", argv[*rest]);
    if (rc != 0)
        *code = command_usage_fail(cmd->program, &err);
    return rc == 0;
}
