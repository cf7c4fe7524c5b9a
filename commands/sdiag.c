/* SPDX-License-Identifier: Apache-2.0
 *
 * sdiag: what the controller has done and how long that took, sdiag(1). What Slurm prints
 * of threads, agents and a second scheduler has no counterpart here and is left out.
 */
#include "command.h"
#include "print.h"

#include "job/field.h"
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char program[] = "sdiag";

static struct {
    bool all, by_id, by_time, by_mean, reset;
} opt;

static const struct command_option options[] = {
    {"all", 'a', NULL, "report everything (always so)", NULL, &opt.all, NULL},
    {"help", 'h', NULL, "show this help and exit", NULL, &command_shared.help, NULL},
    {"reset", 'r', NULL, "count from zero again", NULL, &opt.reset, NULL},
    {"sort-by-id", 'i', NULL, "requests by type and uid", NULL, &opt.by_id, NULL},
    {"sort-by-time", 't', NULL, "requests by total time", NULL, &opt.by_time, NULL},
    {"sort-by-time2", 'T', NULL, "requests by average time", NULL, &opt.by_mean, NULL},
    {NULL, 0, NULL, NULL, NULL, NULL, NULL},
};

struct figure {
    char *key;
    char *value;
    uint64_t count, usec; /* of a request */
};

struct figures {
    struct arena arena;
    struct figure *v;
    size_t count, cap;
    uint64_t running;
};

static int figure_take(char *const *cells, size_t count, void *arg)
{
    struct figures *f = arg;
    char *end;
    if (count != 2)
        return SL_EPROTO;
    if (f->count == f->cap) {
        f->cap = f->cap != 0 ? 2 * f->cap : 64;
        f->v = xrealloc(f->v, f->cap * sizeof(*f->v));
    }
    struct figure *x = &f->v[f->count++];
    x->key = arena_strdup(&f->arena, cells[0]);
    x->value = arena_strdup(&f->arena, cells[1]);
    x->count = strtoull(x->value, &end, 10);
    x->usec = strtoull(end, NULL, 10);
    return 0;
}

static int running_take(char *const *cells, size_t count, void *arg)
{
    (void)cells, (void)count;
    ++*(uint64_t *)arg;
    return 0;
}

static int ask(struct client *c, struct figures *f, struct err *err)
{
    Sl__QueryRequest *jobs = command_query(&f->arena, "job");
    int rc = client_query(c, command_query(&f->arena, "stats"), figure_take, f, err);
    command_filter(&f->arena, jobs, "state", "RUNNING");
    command_field(&f->arena, jobs, FIELD_JOB_ID);
    jobs->all = true;
    return rc == 0 ? client_query(c, jobs, running_take, &f->running, err) : rc;
}

static uint64_t value_of(const struct figures *f, const char *key)
{
    for (size_t i = 0; i < f->count; i++)
        if (strcmp(f->v[i].key, key) == 0)
            return f->v[i].count;
    return 0;
}

/* "Tue Nov 24 21:10:30 2026 (1795554630)" */
static void time_line(const char *label, uint64_t seconds)
{
    char text[64];
    time_t when = (time_t)seconds;
    struct tm tm;
    if (localtime_r(&when, &tm) != NULL && strftime(text, sizeof(text), "%a %b %d %T %Y", &tm) != 0)
        printf("%s%s (%" PRIu64 ")\n", label, text, seconds);
}

static uint64_t mean(const struct figure *f)
{
    return f->count != 0 ? f->usec / f->count : 0;
}

static int figure_compare(const void *pa, const void *pb)
{
    const struct figure *a = pa, *b = pb;
    uint64_t x = opt.by_time ? a->usec : opt.by_mean ? mean(a) : a->count;
    uint64_t y = opt.by_time ? b->usec : opt.by_mean ? mean(b) : b->count;
    if (opt.by_id || x == y)
        return strverscmp(a->key, b->key);
    return x < y ? 1 : -1;
}

static void requests_print(const struct figures *f, const char *prefix, const char *title)
{
    size_t n = strlen(prefix);
    printf("\n%s\n", title);
    for (size_t i = 0; i < f->count; i++) {
        const struct figure *x = &f->v[i];
        if (strncmp(x->key, prefix, n) != 0)
            continue;
        const char *id = x->key + n, *name = strchr(id, '.');
        if (name == NULL)
            printf("\t%-39s", id);
        else
            printf("\t%-15s (%8.*s)", name + 1, (int)(name - id), id);
        printf(" count:%-6" PRIu64 " ave_time:%-6" PRIu64 " total_time:%" PRIu64 "\n", x->count,
               mean(x), x->usec);
    }
}

static void report(const struct figures *f)
{
    static const char stars[] = "*******************************************************";
    uint64_t minutes = (value_of(f, "now") - value_of(f, "since")) / 60;
    puts(stars);
    time_line("sdiag output at ", value_of(f, "now"));
    time_line("Data since      ", value_of(f, "since"));
    puts(stars);
    printf("Server thread count:  1\nClients connected:    %" PRIu64 "\n\n", value_of(f, "clients"));
    printf("Jobs submitted: %" PRIu64 "\nJobs started:   %" PRIu64 "\nJobs completed: %" PRIu64
           "\nJobs canceled:  %" PRIu64 "\nJobs failed:    %" PRIu64 "\n\n",
           value_of(f, "jobs_submitted"), value_of(f, "jobs_started"), value_of(f, "jobs_completed"),
           value_of(f, "jobs_cancelled"), value_of(f, "jobs_failed"));
    time_line("Job states ts:  ", value_of(f, "now"));
    printf("Jobs pending:   %" PRIu64 "\nJobs running:   %" PRIu64 "\n\n", value_of(f, "jobs_pending"),
           f->running);
    printf("Main schedule statistics (microseconds):\n\tLast cycle:   %" PRIu64 "\n\tMax cycle:    %" PRIu64
           "\n\tTotal cycles: %" PRIu64 "\n\tMean cycle:   %" PRIu64 "\n\tCycles per minute: %" PRIu64
           "\n\tLast queue length: %" PRIu64 "\n\n",
           value_of(f, "plan_usec_last"), value_of(f, "plan_usec_max"), value_of(f, "plans"),
           value_of(f, "plan_usec_mean"), minutes != 0 ? value_of(f, "plans") / minutes : value_of(f, "plans"),
           value_of(f, "jobs_pending"));
    printf("Commit statistics (microseconds):\n\tMax commit:    %" PRIu64 "\n\tTotal commits: %" PRIu64
           "\n\tMean commit:   %" PRIu64 "\n\tFailed commits: %" PRIu64 "\n",
           value_of(f, "commit_usec_max"), value_of(f, "commits"), value_of(f, "commit_usec_mean"),
           value_of(f, "commit_failures"));
    requests_print(f, "request.", "Remote Procedure Call statistics by message type");
    requests_print(f, "user.", "Remote Procedure Call statistics by user");
}

/* {"jobs_submitted": 3, ..., "requests": {"QUERY": {"count": 1, "total_time": 90}}} */
static void structured(const struct figures *f)
{
    json_t *all = json_object(), *requests = json_object(), *users = json_object();
    for (size_t i = 0; i < f->count; i++) {
        const struct figure *x = &f->v[i];
        bool request = strncmp(x->key, "request.", 8) == 0, user = strncmp(x->key, "user.", 5) == 0;
        if (!request && !user) {
            json_object_set_new(all, x->key, json_integer((json_int_t)x->count));
            continue;
        }
        const char *name = strrchr(x->key, '.') + 1;
        json_object_set_new(request ? requests : users, name,
                            json_pack("{s:I,s:I}", "count", (json_int_t)x->count, "total_time",
                                      (json_int_t)x->usec));
    }
    json_object_set_new(all, "jobs_running", json_integer((json_int_t)f->running));
    json_object_set_new(all, "requests", requests);
    json_object_set_new(all, "users", users);
    print_json_value(program, "statistics", all, stdout);
}

static int reset(struct client *c, struct err *err)
{
    struct wire_msg m;
    Sl__ControlRequest q = SL__CONTROL_REQUEST__INIT;
    q.op = SL__CONTROL_OP__CONTROL_STATS_RESET;
    int rc = client_call(c, WIRE_CONTROL, &q.base, WIRE_CONTROL_REPLY, 0, &m, err);
    if (rc != 0)
        return rc;
    wire_msg_clear(&m);
    puts("Reset scheduling statistics");
    return 0;
}

static int show(struct client *c, struct err *err)
{
    struct figures f = {.v = NULL};
    if (opt.reset)
        return reset(c, err);
    arena_init(&f.arena);
    int rc = ask(c, &f, err);
    if (rc == 0) {
        if (f.count != 0)
            qsort(f.v, f.count, sizeof(*f.v), figure_compare);
        (command_structured() ? structured : report)(&f);
    }
    arena_fini(&f.arena);
    free(f.v);
    return rc;
}

static const struct command command = {.program = program, .options = options, .usage = "[OPTIONS]",
                                       .clusters = true, .structured = true, .show = show};

int main(int argc, char **argv)
{
    return command_show(&command, argc, argv);
}
