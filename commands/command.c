/* SPDX-License-Identifier: Apache-2.0 */
#include "command.h"

#include "config.h"
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define STDOUT_BYTES (256u << 10)

void command_version(void)
{
    puts(PACKAGE_NAME " " PACKAGE_VERSION);
}

int command_exit_error(void)
{
    const char *text = getenv("SLURM_EXIT_ERROR");
    int code = text != NULL ? atoi(text) : 1;
    return code > 0 && code < 256 ? code : 1;
}

int command_fail(const char *program, const struct err *err)
{
    fflush(stdout);
    fprintf(stderr, "%s: error: %s\n", program, err->text);
    return command_exit_error();
}

int command_usage_fail(const char *program, const struct err *err)
{
    command_fail(program, err);
    fprintf(stderr, "Try \"%s --help\" for more information\n", program);
    return command_exit_error();
}

void command_say(const char *program, const char *fmt, ...)
{
    va_list ap;
    struct buf b; /* one write, so that lines of two writers do not mix */
    char *text = NULL;

    va_start(ap, fmt);
    int n = vasprintf(&text, fmt, ap);
    va_end(ap);
    if (n < 0)
        return;
    buf_init(&b);
    buf_printf(&b, "%s: %s\n", program, text);
    fwrite(b.data, 1, b.len, stderr);
    buf_fini(&b);
    free(text);
}

void command_error(const char *program, const char *fmt, ...)
{
    va_list ap;
    char *text = NULL;

    va_start(ap, fmt);
    int n = vasprintf(&text, fmt, ap);
    va_end(ap);
    if (n >= 0)
        command_say(program, "error: %s", text);
    free(text);
}

/* ---- options ------------------------------------------------------------------------ */

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

int command_options(const struct command_option *table, int argc, char **argv, int *rest,
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

void command_help(const char *name, const char *rest, const struct command_option *table)
{
    bool missing = false;
    printf("Usage: %s %s\n", name, rest);
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

void command_usage(const char *name, const char *rest, const struct command_option *table)
{
    int at = printf("Usage: %s", name);
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
    const char *operands = strchr(rest, ' ');
    printf("%s\n", operands != NULL ? operands : "");
}

/* ---- queries ----------------------------------------------------------------------------- */

Sl__QueryRequest *command_query(struct arena *a, const char *what)
{
    Sl__QueryRequest *q = arena_alloc(a, sizeof(*q));
    sl__query_request__init(q);
    q->what = arena_strdup(a, what);
    return q;
}

void command_filter(struct arena *a, Sl__QueryRequest *q, const char *key, const char *value)
{
    if (value == NULL || *value == '\0')
        return;
    Sl__KeyValue **all = arena_alloc(a, (q->n_filters + 1) * sizeof(*all));
    Sl__KeyValue *kv = arena_alloc(a, sizeof(*kv));
    sl__key_value__init(kv);
    kv->key = arena_strdup(a, key);
    kv->value = arena_strdup(a, value);
    if (q->n_filters != 0)
        memcpy(all, q->filters, q->n_filters * sizeof(*all));
    all[q->n_filters++] = kv;
    q->filters = all;
}

size_t command_field(struct arena *a, Sl__QueryRequest *q, unsigned field_id)
{
    for (size_t i = 0; i < q->n_fields; i++)
        if (q->fields[i] == field_id)
            return i;
    uint32_t *all = arena_alloc(a, (q->n_fields + 1) * sizeof(*all));
    if (q->n_fields != 0)
        memcpy(all, q->fields, q->n_fields * sizeof(*all));
    all[q->n_fields] = field_id;
    q->fields = all;
    return q->n_fields++;
}

int command_ack(const char *program, const char *verb, const Sl__Ack *ack)
{
    for (size_t i = 0; i < ack->n_errors; i++) {
        const Sl__JobError *e = ack->errors[i];
        /* These two speak of the id that stands in front anyway. */
        bool plain = e->code == SL_EINVAL_JOB_ID || e->code == SL_EALREADY_DONE;
        const char *text = plain || e->text[0] == '\0' ? err_name(e->code) : e->text;
        if (e->what[0] != '\0')
            command_error(program, "%s %s: %s", verb, e->what, text);
        else
            command_error(program, "%s", text);
    }
    if (ack->n_errors == 0 && ack->code != 0)
        command_error(program, "%s: %s", verb,
                      ack->text[0] != '\0' ? ack->text : err_name(ack->code));
    return ack->n_errors != 0 || ack->code != 0 ? command_exit_error() : 0;
}

void command_warn(const char *program, const struct job_request *r)
{
    if (r->warning != NULL)
        command_say(program, "warning: %s", r->warning);
}

int command_end(const char *program, int code)
{
    bool broken = ferror(stdout) != 0; /* an earlier write: errno is another's by now */

    errno = 0;
    if (fflush(stdout) == 0 && !broken)
        return code;
    /* A reader that has seen enough needs no message. */
    if (errno != EPIPE)
        command_error(program, "cannot write standard output%s%s", errno != 0 ? ": " : "",
                      errno != 0 ? strerror(errno) : "");
    return code != 0 ? code : command_exit_error();
}

void command_stdout_buffer(void)
{
    static char space[STDOUT_BYTES];
    setvbuf(stdout, space, _IOFBF, sizeof(space));
}
