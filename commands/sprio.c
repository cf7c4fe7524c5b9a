/* SPDX-License-Identifier: Apache-2.0
 *
 * sprio: what the priorities of pending jobs are made of, sprio(1).
 */
#include "command.h"
#include "print.h"
#include "tenant_table.h"

#include <ctype.h>
#include <jansson.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char program[] = "sprio";

static struct {
    const char *format, *jobs, *partition, *sort, *user;
    bool longform, noheader, norm, weights;
} opt;

static const struct command_option options[] = {
    {"format", 'o', "format", "columns by letter: \"%.15i %.10Y\"", &opt.format, NULL, "SPRIO_FORMAT"},
    {"jobs", 'j', "[ids", "only these jobs", &opt.jobs, NULL, NULL},
    {"long", 'l', NULL, "more columns", NULL, &opt.longform, NULL},
    {"noheader", 'h', NULL, "no header line", NULL, &opt.noheader, NULL},
    {"norm", 'n', NULL, "factors from 0 to 1 instead of weighted ones", NULL, &opt.norm, NULL},
    {"partition", 'p', "names", "only jobs in these partitions", &opt.partition, NULL, NULL},
    {"sort", 'S', "keys", "sort by these letters, - in front: descending", &opt.sort, NULL, NULL},
    {"user", 'u', "users", "only jobs of these users", &opt.user, NULL, NULL},
    {"users", 0, "users", "the same", &opt.user, NULL, NULL},
    {"weights", 'w', NULL, "the configured weights instead of jobs", NULL, &opt.weights, NULL},
    {NULL, 0, NULL, NULL, NULL, NULL, NULL},
};

static const struct letter {
    char letter;
    const char *column, *header;
    const char *weight; /* key of the configuration */
    const char *json;
} letters[] = {
    {'a', "AgeNorm", "AGE", NULL, NULL},
    {'A', "Age", "AGE", "priority.weight_age", "age"},
    {'b', "AssocNorm", "ASSOC", NULL, NULL},
    {'B', "Assoc", "ASSOC", "priority.weight_assoc", "association"},
    {'f', "FairShareNorm", "FAIRSHARE", NULL, NULL},
    {'F', "FairShare", "FAIRSHARE", "priority.weight_fairshare", "fair_share"},
    {'i', "JobID", "JOBID", NULL, NULL},
    {'j', "JobSizeNorm", "JOBSIZE", NULL, NULL},
    {'J', "JobSize", "JOBSIZE", "priority.weight_job_size", "job_size"},
    {'N', "Nice", "NICE", NULL, "nice"},
    {'p', "PartitionNorm", "PARTITION", NULL, NULL},
    {'P', "PartitionFactor", "PARTITION", "priority.weight_partition", "partition"},
    {'q', "QOSNorm", "QOS", NULL, NULL},
    {'Q', "QOS", "QOS", "priority.weight_qos", "qos"},
    {'r', "Partition", "PARTITION", NULL, NULL},
    {'S', "Site", "SITE", NULL, "site"},
    {'t', "TRESNorm", "TRES", NULL, NULL},
    {'T', "TRES", "TRES", "priority.weight_tres", NULL},
    {'u', "User", "USER", NULL, NULL},
    {'o', "Account", "ACCOUNT", NULL, NULL},
    {'n', "QOSName", "QOS", NULL, NULL},
    {'Y', "Priority", "PRIORITY", NULL, "priority"},
    {'y', "PriorityNorm", "PRIORITY", NULL, NULL},
};
#define LETTERS (sizeof(letters) / sizeof(letters[0]))
static const char columns[] =
    "AgeNorm,Age,AssocNorm,Assoc,FairShareNorm,FairShare,JobID,JobSizeNorm,JobSize,Nice,PartitionNorm,"
    "PartitionFactor,QOSNorm,QOS,Partition,Site,TRESNorm,TRES,User,Account,QOSName,Priority,PriorityNorm,Job";

struct column { /* of the format: text in front, then a letter's cell */
    const struct letter *l;
    int width;
    bool right;
    char text[64];
};
struct format {
    struct column v[64];
    size_t count;
};

static const struct letter *letter_find(char c)
{
    for (size_t i = 0; i < LETTERS; i++)
        if (letters[i].letter == c)
            return &letters[i];
    return NULL;
}

/* sprio(1): '.' means right justified here, as in squeue and unlike what its page says;
 * Slurm's program does the same. */
static int format_parse(const char *p, struct format *f, struct err *err)
{
    char text[64] = "";
    size_t n = 0;
    f->count = 0;
    for (; *p != '\0'; p++) {
        if (*p != '%') {
            if (n + 1 < sizeof(text))
                text[n++] = *p;
            text[n] = '\0';
            continue;
        }
        struct column *c = &f->v[f->count];
        if (f->count++ == 64)
            return err_set(err, SL_EINVAL_FIELD, "more than 64 columns");
        memcpy(c->text, text, sizeof(text));
        text[n = 0] = '\0';
        c->right = p[1] == '.';
        p += 1 + c->right;
        c->width = 0;
        for (; isdigit((unsigned char)*p) && c->width < 4096; p++)
            c->width = c->width * 10 + (*p - '0');
        c->l = letter_find(*p);
        if (c->l == NULL)
            return err_set(err, SL_EINVAL_FIELD, "Invalid job format specification: %%%c", *p ? *p : '%');
    }
    return f->count ? 0 : err_set(err, SL_EINVAL_FIELD, "the format names no column");
}

/* The default leaves out what has no weight. */
static int format_default(const struct conf *conf, struct format *f, struct err *err)
{
    char text[256] = "%.15i %9r";
    const struct {
        bool there;
        const char *weighted, *norm;
    } parts[] = {
        {opt.longform, " %.8u", " %.8u"},
        {true, " %.10Y", " %.12y"},
        {!opt.norm, " %.10S", ""},
        {conf->weight_age, " %.10A", " %.10a"},
        {conf->weight_assoc, " %.10B", " %.10b"},
        {conf->weight_fair_share, " %.10F", " %.10f"},
        {conf->weight_job_size, " %.10J", " %.10j"},
        {conf->weight_partition, " %.10P", " %.10p"},
        {conf->weight_qos, " %.10Q", " %.10q"},
        {opt.longform, " %.11N", " %.11N"},
        {conf->weight_tres[0] != '\0', " %20T", " %20t"},
    };
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        if (parts[i].there)
            strcat(text, opt.norm ? parts[i].norm : parts[i].weighted);
    return format_parse(text, f, err);
}

static void column_print(const struct column *c, const char *text)
{
    fputs(c->text, stdout);
    if (c->width == 0)
        fputs(text, stdout);
    else if (c->right)
        printf("%*.*s", c->width, c->width, text);
    else
        printf("%-*.*s", c->width, c->width, text);
}

static void header_print(const struct client *c, const struct format *f)
{
    command_cluster_line(c);
    for (size_t i = 0; i < f->count; i++)
        column_print(&f->v[i], f->v[i].l->header);
    putchar('\n');
}

/* ---- weights -------------------------------------------------------------------------------- */

struct setting { const char *key; char value[256]; };

static int setting_take(char *const *cells, size_t count, void *arg)
{
    struct setting *s = arg;
    if (count == 2 && strcmp(cells[0], s->key) == 0)
        snprintf(s->value, sizeof(s->value), "%s", cells[1]);
    return 0;
}

/* The controller's, which may differ from this machine's file. */
static int weights_print(struct client *c, const struct format *f, struct err *err)
{
    struct arena a;
    int rc = 0;
    arena_init(&a);
    Sl__QueryRequest *q = command_query(&a, "config");
    if (!opt.noheader)
        header_print(c, f);
    for (size_t i = 0; i < f->count && rc == 0; i++) {
        struct setting s = {.key = f->v[i].l->weight ? f->v[i].l->weight : ""};
        if (f->v[i].l->weight)
            rc = client_query(c, q, setting_take, &s, err);
        column_print(&f->v[i], i == 0 ? "Weights" : f->v[i].l->letter == 'S' ? "1" : s.value);
    }
    if (rc == 0)
        putchar('\n');
    arena_fini(&a);
    return rc;
}

/* ---- jobs -------------------------------------------------------------------------------------- */

static const struct tenant_rows *sorting;

static int key_compare(const struct letter *l, char *const *a, char *const *b)
{
    int at = tenant_column(sorting, l->column);
    bool text = strchr("ruontT", l->letter) != NULL;
    if (text)
        return strcmp(a[at], b[at]);
    double x = strtod(a[at], NULL), y = strtod(b[at], NULL);
    return (x > y) - (x < y);
}

static int row_compare(const void *pa, const void *pb)
{
    char *const *a = *(char *const *const *)pa, *const *b = *(char *const *const *)pb;
    bool down = false;
    for (const char *p = opt.sort ? opt.sort : "i"; *p != '\0'; p++) {
        const struct letter *l = letter_find(*p);
        if (*p == '-' || *p == '+')
            down = *p == '-';
        int d = l ? key_compare(l, a, b) : 0;
        if (d != 0)
            return down ? -d : d;
        if (*p == ',')
            down = false;
    }
    return 0;
}

static bool user_listed(const char *user)
{
    char id[24];
    const struct passwd *pw = opt.user ? getpwnam(user) : NULL;
    if (tenant_listed(opt.user, user))
        return true;
    snprintf(id, sizeof(id), "%u", pw ? (unsigned)pw->pw_uid : 0);
    return pw != NULL && tenant_listed(opt.user, id);
}

static bool parts_listed(const char *parts)
{
    char list[1024], *save = NULL;
    snprintf(list, sizeof(list), "%s", parts);
    for (char *p = strtok_r(list, ",", &save); p != NULL; p = strtok_r(NULL, ",", &save))
        if (tenant_listed(opt.partition, p))
            return true;
    return false;
}

static bool wanted(const struct tenant_rows *r, size_t i)
{
    return (tenant_listed(opt.jobs, tenant_cell(r, i, "JobID")) || tenant_listed(opt.jobs, tenant_cell(r, i, "Job"))) &&
           user_listed(tenant_cell(r, i, "User")) && parts_listed(tenant_cell(r, i, "Partition"));
}

static void jobs_print(const struct client *c, const struct tenant_rows *r, const struct format *f)
{
    if (!opt.noheader)
        header_print(c, f);
    for (size_t i = 0; i < r->count; i++) {
        if (!wanted(r, i))
            continue;
        for (size_t k = 0; k < f->count; k++)
            column_print(&f->v[k], tenant_cell(r, i, f->v[k].l->column));
        putchar('\n');
    }
}

static void json_print(const struct tenant_rows *r)
{
    json_t *list = json_array();
    for (size_t i = 0; i < r->count; i++) {
        if (!wanted(r, i))
            continue;
        json_t *job = json_pack("{s:s,s:s,s:s,s:s,s:s,s:s}", "job_id", tenant_cell(r, i, "JobID"), "user",
                                tenant_cell(r, i, "User"), "account", tenant_cell(r, i, "Account"), "partitions",
                                tenant_cell(r, i, "Partition"), "qos_name", tenant_cell(r, i, "QOSName"), "tres",
                                tenant_cell(r, i, "TRES"));
        for (size_t k = 0; k < LETTERS; k++)
            if (letters[k].json != NULL)
                json_object_set_new(job, letters[k].json,
                                    json_integer(strtoll(tenant_cell(r, i, letters[k].column), NULL, 10)));
        json_t *norm = json_object();
        for (size_t k = 0; k < LETTERS; k++) /* the letter beside it: %A and %a */
            if (letters[k].weight != NULL && letters[k].json != NULL)
                json_object_set_new(norm, letters[k].json,
                                    json_real(strtod(tenant_cell(r, i, letter_find((char)tolower(letters[k].letter))->column), NULL)));
        json_object_set_new(job, "normalized", norm);
        json_array_append_new(list, job);
    }
    print_json_value(program, "jobs", list, stdout);
}

static int show(struct client *c, struct err *err)
{
    struct format f;
    struct tenant_rows r;
    for (const char *p = opt.sort; p != NULL && *p != '\0'; p++)
        if (!strchr("+-,", *p) && letter_find(*p) == NULL)
            return err_set(err, SL_EINVAL_FIELD, "Invalid sort specification: %c", *p);
    int rc = opt.format ? format_parse(opt.format, &f, err) : format_default(c->conf, &f, err);
    if (rc < 0)
        return rc;
    if (opt.weights)
        return weights_print(c, &f, err);
    if (strcmp(c->conf->priority_type, "multifactor") != 0)
        return err_set(err, SL_EINVAL_STATE,
                       "You are not running a supported priority plugin (%s). Only \"multifactor\" is "
                       "supported: scheduler.priority_type", c->conf->priority_type);
    rc = tenant_rows_get(&r, c, "priority", columns, err);
    if (rc == 0) {
        sorting = &r;
        if (r.count > 1)
            qsort(r.v, r.count, sizeof(*r.v), row_compare);
        if (command_structured())
            json_print(&r);
        else
            jobs_print(c, &r, &f);
    }
    tenant_rows_fini(&r);
    return rc;
}

static const struct command command = {.program = program, .options = options, .usage = "[OPTIONS]",
                                       .clusters = true, .structured = true, .show = show};

int main(int argc, char **argv)
{
    return command_show(&command, argc, argv);
}
