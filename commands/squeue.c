/* SPDX-License-Identifier: Apache-2.0
 *
 * squeue: jobs and steps of the controller.
 */
#include "command.h"
#include "print.h"
#include "rows.h"

#include "job/explain.h"
#include "job/state.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char program[] = "squeue";

/* Default formats as squeue(1) documents them. */
static const char format_default[] = "%.18i %.9P %.8j %.8u %.2t %.10M %.6D %R";
static const char format_long[] = "%.18i %.9P %.8j %.8u %.8T %.10M %.9l %.6D %R";
static const char format_start[] = "%.18i %.9P %.8j %.8u %.2t  %.19S %.6D %20Y %R";
static const char format_steps[] = "%.15i %.8j %.9P %.8u %.9M %N";
/* Not finished, or finished and still cleaning up. */
static const char states_default[] = "PENDING,RUNNING,SUSPENDED,CONFIGURING,COMPLETING,RESIZING,"
                                     "STOPPED,SIGNALING,STAGE_OUT,REQUEUE_HOLD,SPECIAL_EXIT";

static struct {
    const char *account, *format, *format2, *iterate, *jobs, *licenses, *name, *nodelist, *partition, *qos,
        *reservation, *sort, *states, *steps, *user;
    bool all, array, hide, longform, me, noconvert, noheader, priority, start, steps_set;
} opt;

static const struct command_option options[] = {
    {"Format", 'O', "format", "columns by name: Name[:[.]width],...", &opt.format2, NULL,
     "SQUEUE_FORMAT2"},
    {"account", 'A', "names", "only jobs of these accounts", &opt.account, NULL, "SQUEUE_ACCOUNT"},
    {"all", 'a', NULL, "jobs of hidden partitions too", NULL, &opt.all, "SQUEUE_ALL"},
    {"array", 'r', NULL, "one line for each task of an array", NULL, &opt.array, "SQUEUE_ARRAY"},
    {"array-unique", 0, NULL, "the same: waiting tasks are never grouped", NULL, &opt.array, "SQUEUE_ARRAY_UNIQUE"},
    {"format", 'o', "format", "columns by letter: \"%.18i %.9P\"", &opt.format, NULL,
     "SQUEUE_FORMAT"},
    {"hide", 0, NULL, "no jobs of hidden partitions", NULL, &opt.hide, NULL},
    {"iterate", 'i', "seconds", "again and again", &opt.iterate, NULL, NULL},
    {"jobs", 'j', "[ids", "only these jobs", &opt.jobs, NULL, NULL},
    {"licenses", 'L', "names", "only jobs that ask for these licenses", &opt.licenses, NULL, "SQUEUE_LICENSES"},
    {"long", 'l', NULL, "more columns", NULL, &opt.longform, NULL},
    {"me", 0, NULL, "only one's own jobs", NULL, &opt.me, NULL},
    {"name", 'n', "names", "only jobs of these names", &opt.name, NULL, "SQUEUE_NAMES"},
    {"noconvert", 0, NULL, "sizes in M, as they were asked for", NULL, &opt.noconvert, NULL},
    {"nodelist", 'w', "nodes", "only jobs on these nodes", &opt.nodelist, NULL, NULL},
    {"noheader", 'h', NULL, "no header line", NULL, &opt.noheader, NULL},
    {"partition", 'p', "names", "only jobs in these partitions", &opt.partition, NULL,
     "SQUEUE_PARTITION"},
    {"priority", 'P', NULL, "a line for each of a job's partitions", NULL, &opt.priority, "SQUEUE_PRIORITY"},
    {"qos", 'q', "names", "only jobs of these qualities of service", &opt.qos, NULL, "SQUEUE_QOS"},
    {"reservation", 'R', "name", "only jobs in this reservation", &opt.reservation, NULL, NULL},
    {"sort", 'S', "keys", "sort by these letters, - in front: descending", &opt.sort, NULL,
     "SQUEUE_SORT"},
    {"start", 0, NULL, "when pending jobs are expected to start", NULL, &opt.start, NULL},
    {"states", 't', "states", "only jobs in these states; all", &opt.states, NULL,
     "SQUEUE_STATES"},
    {"steps", 's', "[ids", "steps instead of jobs", &opt.steps, &opt.steps_set, NULL},
    {"user", 'u', "names", "only jobs of these users", &opt.user, NULL, "SQUEUE_USERS"},
    {NULL, 0, NULL, NULL, NULL, NULL, NULL},
};

static enum field_what what(void)
{
    return opt.steps_set ? FIELD_OF_STEP : FIELD_OF_JOB;
}

/* squeue(1) -w: "localhost" is this machine's own name. */
static const char *nodelist(void)
{
    static char name[256];
    if (opt.nodelist == NULL || strcmp(opt.nodelist, "localhost") != 0)
        return opt.nodelist;
    if (gethostname(name, sizeof(name) - 1) != 0)
        return opt.nodelist;
    name[strcspn(name, ".")] = '\0';
    return name;
}

static void filters(struct arena *a, Sl__QueryRequest *q)
{
    command_filter(a, q, "account", opt.account);
    command_filter(a, q, "job", opt.steps_set ? opt.steps : opt.jobs);
    command_filter(a, q, "name", opt.name);
    command_filter(a, q, "license", opt.licenses);
    command_filter(a, q, "nodes", nodelist());
    command_filter(a, q, "partition", opt.partition);
    command_filter(a, q, "qos", opt.qos);
    command_filter(a, q, "reservation", opt.reservation);
    command_filter(a, q, "user", opt.me ? arena_printf(a, "%u", geteuid()) : opt.user);
    if (opt.steps_set)
        return;
    const char *states = opt.states != NULL ? opt.states
                         : opt.start        ? "PENDING"
                         : opt.jobs != NULL ? NULL
                                            : states_default;
    command_filter(a, q, "state", states);
}

static int format_parse(struct field_format *f, struct err *err)
{
    if (opt.format2 != NULL)
        return field_format_names(what(), opt.format2, f, err);
    const char *letters = opt.format    ? opt.format
                          : opt.start     ? format_start
                          : opt.steps_set ? format_steps
                          : opt.longform  ? format_long
                                          : format_default;
    return field_format_letters(what(), letters, f, err);
}

/* ---- arrays, one line a task ------------------------------------------------------- */

/* squeue -r: "12_[3-5%2]" becomes 12_3, 12_4, 12_5. */
static void row_expand(struct rows *r, const struct row *row, size_t id_column, long task_column)
{
    const char *id = row->cells[id_column], *open = strchr(id, '[');
    struct arena a;
    uint32_t *tasks, throttle;
    size_t count;

    arena_init(&a);
    char *list = arena_strdup(&a, open + 1);
    list[strcspn(list, "]")] = '\0';
    if (array_parse(list, 0, &a, &tasks, &count, &throttle, NULL) == 0) {
        char **cells = arena_alloc(&a, r->columns * sizeof(*cells));
        for (size_t i = 0; i < count; i++) {
            char id_text[48], task_text[16];
            memcpy(cells, row->cells, r->columns * sizeof(*cells));
            snprintf(id_text, sizeof(id_text), "%.*s%u", (int)(open - id), id, tasks[i]);
            snprintf(task_text, sizeof(task_text), "%u", tasks[i]);
            cells[id_column] = id_text;
            if (task_column >= 0)
                cells[task_column] = task_text;
            rows_add(r, cells);
        }
    }
    arena_fini(&a);
}

static long column_of(const struct rows *r, unsigned id)
{
    for (size_t i = 0; i < r->columns; i++)
        if (r->fields[i]->id == id)
            return (long)i;
    return -1;
}

/* Drops the rows whose cells were taken. */
static void rows_close_up(struct rows *r)
{
    size_t kept = 0;
    for (size_t i = 0; i < r->count; i++)
        if (r->v[i].cells != NULL)
            r->v[kept++] = r->v[i];
    r->count = kept;
}

static void arrays_expand(struct rows *r)
{
    long id = column_of(r, FIELD_JOB_ARRAY_ID), task = column_of(r, FIELD_JOB_ARRAY_TASK_ID);
    size_t n = r->count;
    for (size_t i = 0; id >= 0 && i < n; i++)
        if (strchr(r->v[i].cells[id], '[') != NULL) {
            struct row row = r->v[i]; /* rows_add may move the rows */
            row_expand(r, &row, (size_t)id, task);
            r->v[i].cells = NULL;
        }
    rows_close_up(r);
}

/* --priority: a job that waits in several partitions has a row in each. */
static void partitions_expand(struct rows *r)
{
    long at = column_of(r, FIELD_JOB_PARTITION);
    size_t n = r->count;
    char **cells = xcalloc(r->columns, sizeof(*cells));
    for (size_t i = 0; at >= 0 && i < n; i++) {
        if (strchr(r->v[i].cells[at], ',') == NULL)
            continue;
        memcpy(cells, r->v[i].cells, r->columns * sizeof(*cells));
        r->v[i].cells = NULL;
        char *save = NULL;
        for (char *p = strtok_r(cells[at], ",", &save); p != NULL; p = strtok_r(NULL, ",", &save)) {
            cells[at] = p;
            rows_add(r, cells);
        }
    }
    free(cells);
    rows_close_up(r);
}

/* ---- what of a cell is shown -------------------------------------------------------------- */

#define BITSTR_LEN_DEFAULT 64

/* $SLURM_BITSTR_LEN: so much of the tasks of an array, then "..."; 0: all of them. */
static size_t tasks_length_max(void)
{
    const char *text = getenv("SLURM_BITSTR_LEN");
    char *end;
    if (text == NULL)
        return BITSTR_LEN_DEFAULT;
    long n = strtol(text, &end, 10);
    return n < 0 || *end != '\0' || end == text ? BITSTR_LEN_DEFAULT : n == 0 ? SIZE_MAX : (size_t)n;
}

/* "7_[1,3,5,...%2]": cut behind a comma, the throttle kept. */
static const char *tasks_cut(struct arena *a, const char *cell)
{
    size_t most = tasks_length_max();
    const char *list = strchr(cell, '[') != NULL ? strchr(cell, '[') + 1 : cell;
    size_t n = strcspn(list, "]%"), keep = most;
    if (n <= most)
        return cell;
    while (keep > 0 && list[keep - 1] != ',')
        keep--;
    return arena_printf(a, "%.*s...%s", (int)(list - cell + (long)keep), cell, list + n);
}

static const char *shown(struct arena *a, const struct field *f, const char *cell)
{
    if (f->id == FIELD_JOB_ARRAY_ID || f->id == FIELD_JOB_ARRAY_TASK_ID)
        return tasks_cut(a, cell);
    if (f->kind == FIELD_MEM && opt.noconvert && cell[0] != '\0' && strcmp(cell, "0") != 0)
        return arena_printf(a, "%sM", cell);
    return cell;
}

/* ---- output --------------------------------------------------------------------------- */

static void rows_print(const struct rows *r, const struct field_format *f, const size_t *columns)
{
    struct buf scratch;
    struct arena a;
    const char **cells = xcalloc(f->count, sizeof(*cells));
    arena_init(&a);
    buf_init(&scratch);
    if (opt.longform || opt.iterate != NULL)
        print_date(stdout);
    if (!opt.noheader)
        print_header(f, stdout);
    for (size_t i = 0; i < r->count; i++) {
        for (size_t k = 0; k < f->count; k++)
            cells[k] = shown(&a, f->columns[k].field, r->v[i].cells[columns[k]]);
        print_row(f, cells, &scratch, stdout);
    }
    fflush(stdout);
    buf_fini(&scratch);
    arena_fini(&a);
    free(cells);
}

/* "-j 12" alone asks for that very job: it is an error when there is none. */
static bool one_job(void)
{
    return opt.jobs != NULL && !opt.steps_set && opt.states == NULL && opt.user == NULL &&
           !opt.me && opt.jobs[0] != '\0' && strpbrk(opt.jobs, ",[") == NULL;
}

/* --start of some jobs: what the table has no room for, below it. Of the whole queue it would
 * be too much to read. A format of one's own, or no header: the output is for a program. */
static bool explains(void)
{
    bool some = opt.jobs != NULL || opt.me || opt.user != NULL || opt.name != NULL;
    return opt.start && some && !opt.steps_set && !opt.noheader && opt.format == NULL &&
           opt.format2 == NULL;
}

/* A job without a promise has the start that was found for it on demand. */
static void starts_fill(struct rows *r, size_t start, size_t explain, struct arena *a)
{
    for (size_t i = 0; i < r->count; i++) {
        struct explain_item it;
        const char *p = r->v[i].cells[explain];
        if (r->v[i].cells[start][0] != '\0' && strcmp(r->v[i].cells[start], "0") != 0)
            continue;
        while (explain_read(&p, a, &it)) {
            if (it.code != EX_START_LIMITS && it.code != EX_START_PREDICTED)
                continue;
            int64_t at = explain_get(&it, "time")->n / USEC_PER_SEC;
            r->v[i].cells[start] = arena_printf(a, "%lld", (long long)at);
            for (size_t k = 0; k < r->keys_count; k++)
                if (r->keys[k].column == start)
                    r->v[i].keys[k] = at;
        }
    }
}

static void explanations_print(const struct rows *r, size_t id, size_t explain)
{
    struct arena a;
    struct buf words;
    arena_init(&a);
    buf_init(&words);
    for (size_t i = 0; i < r->count; i++) {
        struct explain_item it;
        const char *p = r->v[i].cells[explain];
        while (explain_read(&p, &a, &it)) {
            buf_clear(&words);
            explain_words(&it, &words);
            printf("    %s: %s%s\n", r->v[i].cells[id], explain_lead(explain_section(it.code)),
                   buf_str(&words));
        }
    }
    buf_fini(&words);
    arena_fini(&a);
}

static int show_table(struct client *c, struct err *err)
{
    struct arena a;
    struct rows r;
    struct field_format f;
    const char *sort = opt.sort != NULL ? opt.sort
                       : opt.steps_set  ? "P,i"
                       : opt.start      ? "S"
                                        : "P,t,-Q,i";
    int rc = format_parse(&f, err);
    if (rc != 0)
        return rc;
    arena_init(&a);
    rows_init(&r);
    Sl__QueryRequest *q = command_query(&a, opt.steps_set ? "step" : "job");
    size_t *columns = arena_alloc(&a, f.count * sizeof(*columns));
    for (size_t i = 0; i < f.count; i++)
        columns[i] = command_field(&a, q, f.columns[i].field->id);
    filters(&a, q);
    q->all = opt.all || opt.jobs != NULL || opt.partition != NULL;
    if (opt.array && !opt.steps_set)
        command_field(&a, q, FIELD_JOB_ARRAY_ID);
    if (opt.priority && !opt.steps_set)
        command_field(&a, q, FIELD_JOB_PARTITION);
    const bool why = explains();
    size_t explain = why ? command_field(&a, q, FIELD_JOB_EXPLAIN) : 0;
    size_t start = why ? command_field(&a, q, FIELD_JOB_START) : 0;
    size_t id = why ? command_field(&a, q, FIELD_JOB_ARRAY_ID) : 0;
    rc = rows_sort_keys(&r, what(), sort, q, &a, err);
    if (rc == 0)
        rc = rows_query(&r, c, q, err);
    if (rc == 0 && r.count == 0 && one_job())
        rc = err_set(err, SL_EINVAL_JOB_ID, "slurm_load_jobs error: %s",
                     err_name(SL_EINVAL_JOB_ID));
    if (rc == 0) {
        if (opt.array && !opt.steps_set)
            arrays_expand(&r);
        if (opt.priority && !opt.steps_set)
            partitions_expand(&r);
        if (why)
            starts_fill(&r, start, explain, &a);
        rows_sort(&r);
        if (!opt.noheader)
            command_cluster_line(c);
        rows_print(&r, &f, columns);
        if (why)
            explanations_print(&r, id, explain);
    }
    rows_fini(&r);
    field_format_fini(&f);
    arena_fini(&a);
    return rc;
}

struct json_arg {
    struct print_json json;
    const struct field **fields;
};

static int json_row(char *const *cells, size_t count, void *arg)
{
    struct json_arg *j = arg;
    print_json_row(&j->json, j->fields, count, cells);
    return 0;
}

static int show_json(struct client *c, struct err *err)
{
    struct arena a;
    struct json_arg j;
    size_t n;
    const struct field *t = field_table(&n);

    arena_init(&a);
    Sl__QueryRequest *q = command_query(&a, opt.steps_set ? "step" : "job");
    j.fields = arena_alloc(&a, n * sizeof(*j.fields));
    for (size_t i = 0; i < n; i++)
        if (t[i].what == what() && (t[i].id != FIELD_JOB_EXPLAIN || opt.start || opt.jobs != NULL))
            j.fields[command_field(&a, q, t[i].id)] = &t[i];
    filters(&a, q);
    q->all = opt.all || opt.jobs != NULL || opt.partition != NULL;
    print_json_begin(&j.json, program, opt.steps_set ? "steps" : "jobs", stdout);
    int rc = client_query(c, q, json_row, &j, err);
    if (rc == 0)
        print_json_end(&j.json);
    arena_fini(&a);
    return rc;
}

static int options_check(struct err *err)
{
    if (opt.hide)
        opt.all = false;
    for (const char *p = opt.states; p != NULL && *p != '\0';) {
        char word[32];
        enum job_state s;
        uint32_t flags;
        size_t n = strcspn(p, ",");
        snprintf(word, sizeof(word), "%.*s", (int)n, p);
        if (strcasecmp(word, "all") != 0 && !job_state_parse(word, &s, &flags))
            return err_set(err, SL_EINVAL_FIELD, "Invalid job state specified: %s", word);
        p += n + (p[n] == ',');
    }
    return 0;
}

static int show(struct client *c, struct err *err)
{
    return command_structured() ? show_json(c, err) : show_table(c, err);
}

static const struct command command = {.program = program, .options = options, .usage = "[OPTIONS]",
                                       .clusters = true, .structured = true, .check = options_check, .show = show,
                                       .iterate = &opt.iterate};

int main(int argc, char **argv)
{
    return command_show(&command, argc, argv);
}
