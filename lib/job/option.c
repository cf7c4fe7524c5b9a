/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads options from a command line, the environment and a script's #SBATCH
 * lines, all through the one table. The command line follows getopt_long():
 * "--name=value", "--name value", unambiguous beginnings of names, clusters of
 * letters, "--" ends, the first word that is no option ends.
 */
#include "job/option.h"

#include "base/editdist.h"
#include "base/limits.h"
#include "job/state.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define LINE_WORDS_MAX 256u /* words on one #SBATCH line */

/* ---- look-up --------------------------------------------------------------------- */

const struct option *option_by_letter(enum job_command command, char letter)
{
    size_t n;
    const struct option *t = option_table(&n);
    for (size_t i = 0; letter != '\0' && i < n; i++)
        if (t[i].letter == letter && (t[i].commands & command))
            return &t[i];
    return NULL;
}

static int unknown_name(enum job_command command, const char *name, size_t n, struct err *err)
{
    size_t count;
    const struct option *t = option_table(&count), *near = NULL;
    size_t best = 3; /* farther than two edits is no help */
    for (size_t i = 0; i < count; i++) {
        size_t d = t[i].commands & command
                       ? edit_distance(name, n, t[i].name, strlen(t[i].name))
                       : best;
        if (d < best) {
            best = d;
            near = &t[i];
        }
    }
    if (near != NULL)
        return err_set(err, SL_EINVAL_FIELD, "unrecognized option '--%.*s' (did you mean --%s?)",
                       (int)n, name, near->name);
    return err_set(err, SL_EINVAL_FIELD, "unrecognized option '--%.*s'", (int)n, name);
}

static int ambiguous_name(enum job_command command, const char *name, size_t n, struct err *err)
{
    size_t count;
    const struct option *t = option_table(&count);
    struct buf b;
    buf_init(&b);
    for (size_t i = 0; i < count; i++)
        if ((t[i].commands & command) && strncmp(t[i].name, name, n) == 0)
            buf_printf(&b, " '--%s'", t[i].name);
    int rc = err_set(err, SL_EINVAL_FIELD, "option '--%.*s' is ambiguous; possibilities:%s", (int)n,
                     name, buf_str(&b));
    buf_fini(&b);
    return rc;
}

const struct option *option_by_name(enum job_command command, const char *name, size_t n,
                                    struct err *err)
{
    size_t count;
    const struct option *t = option_table(&count), *found = NULL;
    bool several = false;
    for (size_t i = 0; i < count; i++) {
        if (!(t[i].commands & command) || strncmp(t[i].name, name, n) != 0)
            continue;
        if (t[i].name[n] == '\0')
            return &t[i];
        several = several || found != NULL;
        found = &t[i];
    }
    if (found != NULL && !several)
        return found;
    if (several)
        ambiguous_name(command, name, n, err);
    else
        unknown_name(command, name, n < 48 ? n : 48, err);
    return NULL;
}

/* ---- applying a value ----------------------------------------------------------------- */

/* "cpu_bind" and "cpu-bind" are one option: the first row that stores there. */
static size_t option_index(const struct option *o)
{
    size_t count;
    const struct option *t = option_table(&count);
    for (const struct option *p = t; p < o; p++)
        if (p->set == o->set && p->where == o->where && p->where_step == o->where_step &&
            p->min == o->min && p->arg == o->arg)
            return (size_t)(p - t);
    return (size_t)(o - t);
}

/* true: the value counts. May clear what a lower rank set; *rc on a conflict. */
static bool group_enter(struct request *r, const struct option *o, enum opt_rank rank, int *rc,
                        struct err *err)
{
    const struct option *other = r->group_set[o->group];
    if (o->group == OPT_GROUP_NONE)
        return true;
    if (rank < r->group_rank[o->group])
        return false;
    if (other != NULL && other != o && o->group == OPT_GROUP_MEM) {
        if (rank == r->group_rank[o->group]) {
            *rc = err_set(err, SL_EINVAL_FIELD,
                          "--mem, --mem-per-cpu, and --mem-per-gpu are mutually exclusive");
            return false;
        }
        Sl__JobSpec *s = &r->pub.spec;
        s->mem_per_node_mib = s->mem_per_cpu_mib = s->mem_per_gpu_mib = 0;
        r->pub.step.mem_per_node_mib = r->pub.step.mem_per_cpu_mib = 0;
    }
    r->group_rank[o->group] = (uint8_t)rank;
    r->group_set[o->group] = o;
    return true;
}

int option_apply(struct request *r, const struct option *o, const char *value,
                 enum opt_rank rank, const char *label, struct err *err)
{
    size_t index = option_index(o);
    int rc = 0;

    if (o->unsupported != NULL)
        rc = err_set(err, SL_ENOT_BUILT, "not built yet: %s", o->unsupported);
    else if (rank >= r->rank[index] && group_enter(r, o, rank, &rc, err)) {
        r->rank[index] = (uint8_t)rank;
        r->now = rank;
        r->label = label;
        rc = o->set(r, o, value, err);
        if (o->deprecated != NULL)
            r->pub.warning = arena_printf(&r->pub.arena, "%s is deprecated; use %s", label,
                                          o->deprecated);
    }
    if (rc != 0 && err != NULL)
        err_prefix(err, "%s", label);
    return rc;
}

/* ---- command lines ------------------------------------------------------------------------ */

struct words {
    int argc, at;
    char **argv;
    enum opt_rank rank;
    const char *place; /* "job.sh line 3: " or "" */
};

static char *next_word(struct words *w)
{
    return w->at < w->argc ? w->argv[w->at++] : NULL;
}

static int apply_named(struct request *r, struct words *w, const struct option *o,
                       const char *value, struct err *err)
{
    return option_apply(r, o, value, w->rank,
                        arena_printf(&r->pub.arena, "%s--%s", w->place, o->name), err);
}

static int long_option(struct request *r, struct words *w, const char *word, struct err *err)
{
    size_t n = strcspn(word, "=");
    const char *value = word[n] == '=' ? word + n + 1 : NULL;
    const struct option *o = option_by_name(r->pub.command, word, n, err);
    int rc = 0;

    if (o == NULL)
        rc = SL_EINVAL_FIELD;
    else if (o->arg == OPT_ARG_NONE && value != NULL)
        rc = err_set(err, SL_EINVAL_FIELD, "option '--%s' doesn't allow an argument", o->name);
    else if (o->arg == OPT_ARG_REQUIRED && value == NULL) {
        value = next_word(w);
        if (value == NULL)
            rc = err_set(err, SL_EINVAL_FIELD, "option '--%s' requires an argument", o->name);
    }
    if (rc != 0) {
        if (err != NULL && w->place[0] != '\0')
            err_prefix(err, "%.*s", (int)strlen(w->place) - 2, w->place);
        return rc;
    }
    return apply_named(r, w, o, value, err);
}

static int letters(struct request *r, struct words *w, const char *word, struct err *err)
{
    for (const char *p = word; *p != '\0'; p++) {
        const struct option *o = option_by_letter(r->pub.command, *p);
        const char *value = NULL;
        if (o == NULL)
            return err_set(err, SL_EINVAL_FIELD, "%sinvalid option -- '%c'", w->place, *p);
        if (o->arg != OPT_ARG_NONE && p[1] != '\0') /* "-n4": the rest is the value */
            value = p + 1;
        else if (o->arg == OPT_ARG_REQUIRED) {
            value = next_word(w);
            if (value == NULL)
                return err_set(err, SL_EINVAL_FIELD, "%soption requires an argument -- '%c'",
                               w->place, *p);
        }
        int rc = apply_named(r, w, o, value, err);
        if (rc != 0 || value != NULL)
            return rc;
    }
    return 0;
}

/* Applies options up to the first word that is none; w->at stands there. */
static int words_apply(struct request *r, struct words *w, struct err *err)
{
    while (w->at < w->argc) {
        const char *word = w->argv[w->at];
        int rc;
        if (word[0] != '-' || word[1] == '\0')
            break;
        w->at++;
        if (strcmp(word, "--") == 0)
            break;
        rc = word[1] == '-' ? long_option(r, w, word + 2, err) : letters(r, w, word + 1, err);
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* What the user typed, for scontrol and sacct: words with blanks in single quotes. */
static char *line_join(struct arena *a, int argc, char **argv)
{
    enum { LINE_MAX_BYTES = 16384 };
    struct buf b;
    buf_init(&b);
    for (int i = 0; i < argc && b.len < LINE_MAX_BYTES; i++) {
        bool quote = argv[i][strcspn(argv[i], " \t\n'\"\\$`;&|<>()*?")] != '\0';
        if (i != 0)
            buf_putc(&b, ' ');
        if (quote)
            buf_putc(&b, '\'');
        for (const char *p = argv[i]; *p != '\0'; p++)
            buf_putc(&b, (unsigned char)*p < 0x20 || *p == 0x7f ? ' ' : *p);
        if (quote)
            buf_putc(&b, '\'');
    }
    char *line = arena_strdup(a, buf_str(&b));
    if (strlen(line) > LINE_MAX_BYTES)
        strcpy(line + LINE_MAX_BYTES - 3, "...");
    buf_fini(&b);
    return line;
}

/* The command of one component of srun ends at the next ":". */
static int command_words(const struct words *w, bool srun)
{
    int n = 0;
    while (w->at + n < w->argc && !(srun && strcmp(w->argv[w->at + n], ":") == 0 &&
                                    w->at + n + 1 < w->argc))
        n++;
    return n;
}

/* What concerns the command itself may be said with any component. */
static void request_merge(struct job_request *to, const struct job_request *from)
{
    to->help |= from->help;
    to->usage |= from->usage;
    to->version |= from->version;
    to->test_only |= from->test_only;
    to->parsable |= from->parsable;
    to->wait |= from->wait;
    to->quiet |= from->quiet;
    to->json |= from->json;
    to->no_shell |= from->no_shell;
    to->wrap = from->wrap != NULL ? from->wrap : to->wrap;
    to->export_file = from->export_file != NULL ? from->export_file : to->export_file;
}

int job_request_argv(struct job_request *pub, int argc, char **argv, struct err *err)
{
    struct words w = {.argc = argc, .at = 1, .argv = argv, .rank = OPT_RANK_ARGV, .place = ""};
    bool srun = pub->command == JOB_CMD_SRUN;

    for (struct job_request *p = pub;; p = request_component(p)) {
        int rc = words_apply((struct request *)p, &w, err);
        if (rc != 0)
            return rc;
        if (p != pub)
            request_merge(pub, p);
        int n = w.at < argc && strcmp(argv[w.at], ":") == 0 ? 0 : command_words(&w, srun);
        struct job_request *whose = srun ? p : pub; /* a script is the whole job's */
        whose->argc = n;
        whose->argv = argv + w.at;
        w.at += n + 1;
        if (w.at >= argc)
            break;
    }
    pub->spec.submit_line = line_join(&pub->arena, argc, argv);
    return 0;
}

/* ---- environment --------------------------------------------------------------------------- */

/* Which of a row's variables is name (n bytes)? Its place in the list from 1, 0: none. */
static unsigned env_listed(const struct option *o, enum job_command command, const char *name,
                           size_t n)
{
    static const struct {
        const char *prefix;
        enum job_command command;
    } owners[] = {{"SBATCH_", JOB_CMD_SBATCH}, {"SALLOC_", JOB_CMD_SALLOC},
                  {"SLURM_", JOB_CMD_SRUN},    {"SLURMD_", JOB_CMD_SRUN},
                  {"SRUN_", JOB_CMD_SRUN}};
    unsigned place = 0;
    for (const char *p = o->env; p != NULL && *p != '\0'; p += strspn(p, " ")) {
        size_t len = strcspn(p, " ");
        const char *word = *p == '*' ? p + 1 : p;
        size_t wlen = len - (size_t)(word - p);
        bool mine = *p == '*';
        for (size_t i = 0; !mine && i < sizeof(owners) / sizeof(owners[0]); i++)
            mine = owners[i].command == command &&
                   strncmp(word, owners[i].prefix, strlen(owners[i].prefix)) == 0;
        place++;
        if (mine && wlen == n && strncmp(word, name, n) == 0)
            return place;
        p += len;
    }
    return 0;
}

/* Rows of the command that list a variable; several rows may share one. */
static int env_apply(struct request *r, const char *name, size_t n, const char *value,
                     uint8_t *place_set, struct err *err)
{
    size_t count;
    const struct option *t = option_table(&count);
    for (size_t i = 0; i < count; i++) {
        if (!(t[i].commands & r->pub.command) || t[i].env == NULL)
            continue;
        unsigned place = env_listed(&t[i], r->pub.command, name, n);
        /* Of two variables for one option, the one listed first (the newer) counts. */
        if (place == 0 || (place_set[i] != 0 && place_set[i] < place))
            continue;
        place_set[i] = (uint8_t)place;
        int rc = option_apply(r, &t[i], t[i].arg == OPT_ARG_NONE || *value != '\0' ? value : NULL,
                              OPT_RANK_ENV, arena_printf(&r->pub.arena, "%.*s", (int)n, name), err);
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* SBATCH_WAIT4SWITCH and its like: how long --switches waits where it does not say so itself. */
static int env_wait(struct request *r, const char *name, size_t n, const char *value,
                    struct err *err)
{
    static const char *const names[] = {[JOB_CMD_SBATCH] = "SBATCH_WAIT4SWITCH",
                                        [JOB_CMD_SALLOC] = "SALLOC_WAIT4SWITCH",
                                        [JOB_CMD_SRUN] = "SLURM_WAIT4SWITCH"};
    const char *mine = (size_t)r->pub.command < sizeof names / sizeof *names
                           ? names[r->pub.command] : NULL;
    if (mine == NULL || strlen(mine) != n || memcmp(mine, name, n) != 0)
        return 0;
    int rc = span_parse(value, &r->switches_wait, err);
    if (rc != 0 && err)
        err_prefix(err, "%s", mine);
    return rc;
}

static int env_read(struct job_request *pub, char *const *env, struct err *err)
{
    uint8_t place_set[OPT_ROWS_MAX] = {0};
    for (; *env != NULL; env++) {
        const char *eq = (*env)[0] == 'S' ? strchr(*env, '=') : NULL;
        if (eq == NULL || eq[1] == '\0')
            continue;
        int rc = env_apply((struct request *)pub, *env, (size_t)(eq - *env), eq + 1, place_set, err);
        if (rc == 0)
            rc = env_wait((struct request *)pub, *env, (size_t)(eq - *env), eq + 1, err);
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* Of each component, as heterogeneous jobs have it. */
int job_request_env(struct job_request *pub, char *const *env, struct err *err)
{
    int rc = 0;
    for (; rc == 0 && pub != NULL; pub = pub->next)
        rc = env_read(pub, env, err);
    return rc;
}

/* ---- scripts ----------------------------------------------------------------------------------- */

/* One word at *p with shell-like quotes and backslashes into the arena. 1 a
 * word, 0 the line is over, negative: a quote is not closed. */
static int script_word(const char **p, const char *end, struct arena *a, char **word,
                       struct err *err)
{
    const char *q = *p;
    char quote = '\0';
    while (q < end && isspace((unsigned char)*q))
        q++;
    if (q == end || *q == '#')
        return 0;
    char *out = arena_alloc(a, (size_t)(end - q) + 1);
    size_t n = 0;
    for (; q < end && (quote != '\0' || !isspace((unsigned char)*q)); q++) {
        if (*q == '\\' && quote != '\'' && q + 1 < end)
            out[n++] = *++q;
        else if (quote != '\0' && *q == quote)
            quote = '\0';
        else if (quote == '\0' && (*q == '"' || *q == '\''))
            quote = *q;
        else
            out[n++] = *q;
    }
    if (quote != '\0')
        return err_set(err, SL_EINVAL_FIELD, "unmatched %c", quote);
    *p = q;
    *word = out;
    return 1;
}

/* 1: "hetjob", what follows is the next component's. */
static int directive(struct request *r, const char *place, const char *p, const char *end,
                     struct err *err)
{
    char *argv[LINE_WORDS_MAX];
    struct words w = {.argv = argv, .rank = OPT_RANK_SCRIPT, .place = place};
    int rc;

    while ((rc = script_word(&p, end, &r->pub.arena, &argv[w.argc], err)) == 1)
        if (++w.argc == LINE_WORDS_MAX) {
            rc = err_set(err, SL_EINVAL_FIELD, "more than %u words", LINE_WORDS_MAX - 1);
            break;
        }
    if (rc < 0) {
        if (err != NULL)
            err_prefix(err, "%.*s", (int)strlen(place) - 2, place);
        return rc;
    }
    if (w.argc == 1 && (strcmp(argv[0], "hetjob") == 0 || strcmp(argv[0], "packjob") == 0))
        return 1;
    rc = words_apply(r, &w, err);
    if (rc == 0 && w.at < w.argc)
        rc = err_set(err, SL_EINVAL_FIELD, "%sInvalid directive found in batch script: %.64s",
                     place, argv[w.at]);
    return rc;
}

int job_request_script(struct job_request *pub, const char *name, const char *text, size_t n,
                       struct err *err)
{
    static const char magic[] = "#SBATCH";
    const size_t len = sizeof(magic) - 1;
    const char *p = text, *stop = text + n;
    struct job_request *at = pub;

    for (unsigned line = 1; p < stop; line++) {
        const char *end = memchr(p, '\n', (size_t)(stop - p));
        const char *next = end != NULL ? end + 1 : stop;
        if (end == NULL)
            end = stop;
        const char *q = p;
        while (q < end && isspace((unsigned char)*q))
            q++;
        if (q < end && *q != '#')
            break; /* the first command ends the directives */
        if ((size_t)(end - p) >= len && memcmp(p, magic, len) == 0 &&
            (p + len == end || isspace((unsigned char)p[len]))) {
            char *place = arena_printf(&pub->arena, "%s line %u: ", name, line);
            int rc = directive((struct request *)at, place, p + len, end, err);
            if (rc < 0)
                return rc;
            if (rc == 1)
                at = request_component(at);
        }
        p = next;
    }
    return 0;
}
