/* SPDX-License-Identifier: Apache-2.0
 *
 * sacct: jobs and steps from the accounting store, through the controller. Rows
 * are printed as they come.
 */
#include "command.h"
#include "print.h"
#include "sacct.h"

#include "job/state.h"
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

static const char program[] = "sacct";

static const char format_default[] =
    "jobid,jobname,partition,account,alloccpus,state,exitcode";
static const char format_brief[] = "jobid,state,exitcode";
/* sacct(1) --long */
static const char format_long[] =
    "jobid,jobidraw,jobname,partition,maxvmsize,maxvmsizenode,maxvmsizetask,avevmsize,maxrss,"
    "maxrssnode,maxrsstask,averss,maxpages,maxpagesnode,maxpagestask,avepages,mincpu,mincpunode,"
    "mincputask,avecpu,ntasks,alloccpus,elapsed,state,exitcode,avecpufreq,reqcpufreqmin,"
    "reqcpufreqmax,reqcpufreqgov,reqmem,consumedenergy,maxdiskread,maxdiskreadnode,maxdiskreadtask,"
    "avediskread,maxdiskwrite,maxdiskwritenode,maxdiskwritetask,avediskwrite,reqtres,alloctres,"
    "tresusageinave,tresusageinmax,tresusageinmaxnode,tresusageinmaxtask,tresusageinmin,"
    "tresusageinminnode,tresusageinmintask,tresusageintot,tresusageoutmax,tresusageoutmaxnode,"
    "tresusageoutmaxtask,tresusageoutave,tresusageouttot";

static struct {
    const char *accounts, *delimiter, *end, *format, *group, *jobs, *name, *ncpus,
        *nnodes, *nodelist, *partition, *qos, *start, *state, *timelimit_max,
        *timelimit_min, *units, *user, *wckeys;
    bool allocations, allusers, brief, duplicates, helpformat, longform, noconvert,
        noheader, parsable, parsable2, truncate;
} opt;

static const struct command_option options[] = {
    {"accounts", 'A', "names", "only jobs of these accounts", &opt.accounts, NULL,
     NULL},
    {"allclusters", 'L', NULL, "there is one cluster", NULL, NULL, NULL},
    {"allocations", 'X', NULL, "jobs only, no steps", NULL, &opt.allocations, NULL},
    {"allusers", 'a', NULL, "jobs of all users", NULL, &opt.allusers, NULL},
    {"associations", 'x', "ids", "there are no association ids", NULL, NULL, NULL},
    {"batch-script", 'B', NULL, "see scontrol write batch_script", NULL, NULL, NULL},
    {"brief", 'b', NULL, "JobID, State and ExitCode", NULL, &opt.brief, NULL},
    {"completion", 'c', NULL, "there is no job completion log", NULL, NULL, NULL},
    {"constraints", 'C', "list", "selection by constraint", NULL, NULL, NULL},
    {"delimiter", 0, "text", "between fields with -p and -P; default |", &opt.delimiter,
     NULL, NULL},
    {"duplicates", 'D', NULL, "earlier runs of requeued jobs too", NULL,
     &opt.duplicates, NULL},
    {"endtime", 'E', "time", "end of the time window; default now", &opt.end, NULL,
     NULL},
    {"env-vars", 0, NULL, "stored environments", NULL, NULL, NULL},
    {"file", 'f', "file", "reading a file", NULL, NULL, NULL},
    {"flags", 'F', "list", "selection by flags", NULL, NULL, NULL},
    {"format", 'o', "fields", "columns: name[%[-]width],...", &opt.format, NULL,
     "SACCT_FORMAT"},
    {"gid", 0, "groups", "only jobs of these groups", &opt.group, NULL, NULL},
    {"group", 'g', "groups", "the same", &opt.group, NULL, NULL},
    {"help", 'h', NULL, "show this help and exit", NULL, &command_shared.help, NULL},
    {"helpformat", 'e', NULL, "list the fields and exit", NULL, &opt.helpformat, NULL},
    {"jobs", 'j', "ids", "only these jobs or steps: 12, 12_3, 12.0, 12.batch",
     &opt.jobs, NULL, NULL},
    {"long", 'l', NULL, "more columns", NULL, &opt.longform, NULL},
    {"name", 0, "names", "only jobs of these names", &opt.name, NULL, NULL},
    {"ncpus", 'I', "min[-max]", "only jobs of so many CPUs", &opt.ncpus, NULL, NULL},
    {"nnodes", 'i', "min[-max]", "only jobs of so many nodes", &opt.nnodes, NULL, NULL},
    {"noconvert", 0, NULL, "sizes in the unit they were measured in", NULL,
     &opt.noconvert, NULL},
    {"nodelist", 'N', "nodes", "only jobs that ran on any of these", &opt.nodelist,
     NULL, NULL},
    {"noheader", 'n', NULL, "no header lines", NULL, &opt.noheader, NULL},
    {"parsable", 'p', NULL, "fields end in |", NULL, &opt.parsable, NULL},
    {"parsable2", 'P', NULL, "fields are separated by |", NULL, &opt.parsable2, NULL},
    {"partition", 'r', "names", "only jobs in these partitions", &opt.partition, NULL,
     NULL},
    {"qos", 'q', "names", "only jobs of these qualities of service", &opt.qos, NULL,
     NULL},
    {"reason", 'R', "list", "selection by reason", NULL, NULL, NULL},
    {"starttime", 'S', "time", "start of the time window; default today 00:00",
     &opt.start, NULL, NULL},
    {"state", 's', "states", "only jobs in these states during the window", &opt.state,
     NULL, NULL},
    {"timelimit-max", 'K', "time", "with --timelimit-min: the upper end",
     &opt.timelimit_max, NULL, NULL},
    {"timelimit-min", 'k', "time", "only jobs with this time limit", &opt.timelimit_min,
     NULL, NULL},
    {"truncate", 'T', NULL, "cut times to the window", NULL, &opt.truncate, NULL},
    {"uid", 0, "users", "only jobs of these users", &opt.user, NULL, NULL},
    {"units", 0, "KMGTP", "sizes in this unit", &opt.units, NULL, NULL},
    {"use-local-uid", 0, NULL, "users of other clusters", NULL, NULL, NULL},
    {"user", 'u', "users", "only jobs of these users", &opt.user, NULL, NULL},
    {"wckeys", 'W', "names", "only jobs of these wckeys", &opt.wckeys, NULL, NULL},
    {"whole-hetjob", 0, "[yes|no", "heterogeneous jobs", NULL, NULL, NULL},
    {NULL, 0, NULL, NULL, NULL, NULL, NULL},
};

/* ---- what is asked --------------------------------------------------------- */

/* sacct(1) "DEFAULT TIME WINDOW". An end of 0 is open, so that a job of this very
 * second is seen. */
static int window(usec_t now, usec_t *start, usec_t *end, struct err *err)
{
    int rc = 0;
    bool at_once = opt.state && !opt.jobs && !opt.start;
    *start = *end = 0;
    if (opt.start)
        rc = time_parse_past(opt.start, now, start, err);
    else if (at_once)
        *start = now;
    else if (!opt.jobs)
        rc = time_parse_past("today", now, start, err);
    if (!rc && opt.end)
        rc = time_parse_past(opt.end, now, end, err);
    else if (!rc && opt.state && opt.start)
        *end = *start;
    else if (!rc && (at_once || opt.truncate))
        *end = now;
    if (rc)
        return rc;
    if (*end && *start > *end)
        return err_set(
            err, SL_EINVAL_TIME, "the start time %s is after the end time %s",
            opt.start ? opt.start : "(default)", opt.end ? opt.end : "(now)");
    return 0;
}

static void window_filters(struct arena *a, Sl__QueryRequest *q, usec_t start,
                           usec_t end)
{
    char from[TIME_TEXT_MAX], to[TIME_TEXT_MAX];
    if (start)
        command_filter(a, q, "start",
                       arena_printf(a, "%" PRId64, start / USEC_PER_SEC));
    if (end) /* the whole of that second */
        command_filter(
            a, q, "end",
            arena_printf(a, "%" PRId64, (end + USEC_PER_SEC - 1) / USEC_PER_SEC));
    if (command_shared.verbose)
        command_say(program, "Jobs eligible from %s to %s",
                    time_format_or(start, "ever", from),
                    time_format_or(end, "now", to));
}

static void user_filters(struct arena *a, Sl__QueryRequest *q)
{
    if (opt.user)
        command_filter(a, q, "user", opt.user);
    else if (!opt.allusers && !opt.jobs && geteuid() != 0)
        command_filter(a, q, "me", "1");
}

/* "2:00:00" and such, in whole minutes. */
static int timelimit_filter(struct arena *a, Sl__QueryRequest *q, struct err *err)
{
    usec_t min, max;
    if (!opt.timelimit_min)
        return 0;
    int rc = span_parse(opt.timelimit_min, &min, err);
    max = min;
    if (!rc && opt.timelimit_max)
        rc = span_parse(opt.timelimit_max, &max, err);
    if (!rc)
        command_filter(a, q, "timelimit",
                       arena_printf(a, "%" PRId64 "-%" PRId64,
                                    min / (60 * USEC_PER_SEC),
                                    max / (60 * USEC_PER_SEC)));
    return rc;
}

static int filters(struct arena *a, Sl__QueryRequest *q, struct err *err)
{
    usec_t start, end;
    int rc = window(clock_wall_usec(), &start, &end, err);
    if (rc)
        return rc;
    window_filters(a, q, start, end);
    user_filters(a, q);
    command_filter(a, q, "account", opt.accounts);
    command_filter(a, q, "group", opt.group);
    command_filter(a, q, "job", opt.jobs);
    command_filter(a, q, "name", opt.name);
    command_filter(a, q, "ncpus", opt.ncpus);
    command_filter(a, q, "nnodes", opt.nnodes);
    command_filter(a, q, "nodes", opt.nodelist);
    command_filter(a, q, "partition", opt.partition);
    command_filter(a, q, "qos", opt.qos);
    command_filter(a, q, "state", opt.state);
    command_filter(a, q, "wckey", opt.wckeys);
    command_filter(a, q, "allocations", opt.allocations ? "1" : NULL);
    command_filter(a, q, "duplicates", opt.duplicates ? "1" : NULL);
    command_filter(a, q, "truncate", opt.truncate ? "1" : NULL);
    return timelimit_filter(a, q, err);
}

/* ---- table ----------------------------------------------------------------- */

struct table {
    struct sacct_format format;
    struct buf line;
    bool begun; /* the header is out: after the first sign of an answer, not before an
                   error */
};

static void table_begin(struct table *t)
{
    if (!t->begun && !opt.noheader)
        sacct_print_header(&t->format, stdout);
    t->begun = true;
}

static int table_row(char *const *cells, size_t count, void *arg)
{
    struct table *t = arg;
    (void)count;
    table_begin(t);
    sacct_print_row(&t->format, cells, &t->line, stdout);
    return ferror(stdout);
}

static int format_init(struct sacct_format *f, struct err *err)
{
    const char *text = opt.brief      ? format_brief
                       : opt.longform ? format_long
                       : opt.format   ? opt.format
                                      : format_default;
    int rc = sacct_format_init(f, text, err);
    if (rc)
        return rc;
    f->parsable = opt.parsable || opt.parsable2;
    f->delimiter_last = opt.parsable && !opt.parsable2;
    if (opt.delimiter)
        f->delimiter = opt.delimiter;
    f->unit = opt.units ? opt.units[0] : '\0';
    f->noconvert = opt.noconvert && !opt.units;
    return 0;
}

static int show_table(struct client *c, struct arena *a, struct err *err)
{
    struct table t = {.begun = false};
    int rc = format_init(&t.format, err);
    if (rc)
        return rc;
    Sl__QueryRequest *q = command_query(a, "acct_job");
    for (size_t i = 0; i < t.format.count; i++)
        t.format.columns[i].cell = command_field(a, q, t.format.columns[i].field->id);
    buf_init(&t.line);
    rc = filters(a, q, err);
    if (!rc)
        rc = client_query(c, q, table_row, &t, err);
    if (!rc)
        table_begin(&t);
    buf_fini(&t.line);
    sacct_format_fini(&t.format);
    return rc;
}

/* ---- JSON: a job holds its steps ------------------------------------------- */

struct tree {
    struct print_json json;
    const struct field **fields;
    size_t raw; /* column of JobIDRaw */
    json_t *job;
    char job_id[32];
};

static void tree_put(struct tree *t)
{
    if (t->job)
        print_json_put(&t->json, t->job);
    t->job = NULL;
}

/* A step that was asked for alone comes without its job's line. */
static void tree_begin(struct tree *t, const char *job_id)
{
    tree_put(t);
    snprintf(t->job_id, sizeof(t->job_id), "%s", job_id);
    t->job = json_object();
    json_object_set_new(t->job, "job_id", json_integer(atoll(job_id)));
    json_object_set_new(t->job, "steps", json_array());
}

static int tree_row(char *const *cells, size_t count, void *arg)
{
    struct tree *t = arg;
    char job_id[32];
    const char *raw = cells[t->raw];
    size_t n = strcspn(raw, ".");
    snprintf(job_id, sizeof(job_id), "%.*s", (int)n, raw);
    json_t *row = print_json_object(t->fields, count, cells);
    if (!raw[n]) { /* earlier runs (-D) have the same id and are objects of their own */
        tree_begin(t, job_id);
        json_object_set_new(row, "job_id", json_integer(atoll(job_id)));
        json_object_update_missing(row, t->job);
        json_decref(t->job);
        t->job = row;
        return ferror(stdout);
    }
    if (!t->job || strcmp(t->job_id, job_id) != 0)
        tree_begin(t, job_id);
    json_array_append_new(json_object_get(t->job, "steps"), row);
    return 0;
}

static int show_json(struct client *c, struct arena *a, struct err *err)
{
    size_t n;
    const struct field *all = field_table(&n);
    struct tree t = {.fields = arena_alloc(a, n * sizeof(*t.fields))};
    Sl__QueryRequest *q = command_query(a, "acct_job");
    for (size_t i = 0; i < n; i++)
        if (all[i].what == FIELD_OF_ACCT)
            t.fields[command_field(a, q, all[i].id)] = &all[i];
    t.raw = command_field(a, q, FIELD_ACCT_JOB_ID_RAW);
    int rc = filters(a, q, err);
    print_json_begin(&t.json, program, "jobs", stdout);
    if (!rc)
        rc = client_query(c, q, tree_row, &t, err);
    if (!rc) {
        tree_put(&t);
        print_json_end(&t.json);
    }
    json_decref(t.job);
    return rc;
}

static int options_check(struct err *err)
{
    if (opt.units && (strlen(opt.units) != 1 || !strchr("KMGTP", opt.units[0])))
        return err_set(err, SL_EINVAL_FIELD, "--units=%s: not one of K, M, G, T, P",
                       opt.units);
    if (opt.delimiter && !*opt.delimiter)
        return err_set(err, SL_EINVAL_FIELD, "--delimiter: is empty");
    return 0;
}

static bool answered(void)
{
    if (opt.helpformat)
        sacct_print_fields(stdout);
    return opt.helpformat;
}

static int show(struct client *c, struct err *err)
{
    struct arena a;
    arena_init(&a);
    int rc = command_structured() ? show_json(c, &a, err) : show_table(c, &a, err);
    arena_fini(&a);
    return rc;
}

static const struct command command = {.program = program, .options = options, .usage = "[OPTIONS]",
                                       .clusters = true, .structured = true, .answered = answered,
                                       .check = options_check, .show = show};

int main(int argc, char **argv)
{
    return command_show(&command, argc, argv);
}
