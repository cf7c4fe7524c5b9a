/* SPDX-License-Identifier: Apache-2.0 */
#include "job/field.h"

#include "job/explain.h"

#include "base/timefmt.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define COLUMNS_MAX 256u     /* more columns than fields are a mistake */
#define WIDTH_MAX 4096       /* of one column */
#define NAMES_WIDTH_DEFAULT 20 /* squeue -O, sinfo -O without ":size" */

enum {
#define F(sym, num, what, kind, name, letter, header, width, json) ROW_##sym,
#include "job/field.def"
#undef F
};

static const struct field table[] = {
#define F(sym, num, what, kind, name, letter, header, width, json)                        \
    {FIELD_##sym, what, kind, name, letter, header, width, json},
#include "job/field.def"
#undef F
};

/* Row of each wire number, plus one so that a gap reads 0. */
static const uint16_t rows_by_id[] = {
#define F(sym, num, what, kind, name, letter, header, width, json) [num] = ROW_##sym + 1,
#include "job/field.def"
#undef F
};

const struct field *field_by_id(unsigned id)
{
    if (id >= COUNT(rows_by_id) || rows_by_id[id] == 0)
        return NULL;
    return &table[rows_by_id[id] - 1];
}

/* A line of sinfo speaks of nodes in a partition: it has the fields of both. */
static const enum field_what sinfo_falls_to[] = {FIELD_OF_NODE, FIELD_OF_PARTITION};

/* Other names that Slurm's commands know a field by. */
static const struct {
    enum field_what what;
    const char *name;
    unsigned id;
} aliases[] = {
    {FIELD_OF_JOB, "Nodes", FIELD_JOB_NODELIST},
    {FIELD_OF_JOB, "NTPerNode", FIELD_JOB_NTASKS_PER_NODE},
    {FIELD_OF_JOB, "AllocSID", FIELD_JOB_ALLOC_HOST},
    {FIELD_OF_JOB, "AccrueTime", FIELD_JOB_ELIGIBLE},
    {FIELD_OF_JOB, "SchedNodes", FIELD_JOB_SCHED_NODES},
    {FIELD_OF_STEP, "JobID", FIELD_STEP_JOB_ID},
    {FIELD_OF_STEP, "Name", FIELD_STEP_NAME},
    {FIELD_OF_STEP, "Partition", FIELD_STEP_PARTITION},
    {FIELD_OF_STEP, "UserName", FIELD_STEP_USER},
    {FIELD_OF_STEP, "State", FIELD_STEP_STATE},
    {FIELD_OF_STEP, "TimeUsed", FIELD_STEP_TIME_USED},
    {FIELD_OF_STEP, "NodeList", FIELD_STEP_NODELIST},
    {FIELD_OF_STEP, "Nodes", FIELD_STEP_NODELIST},
    {FIELD_OF_STEP, "NumTasks", FIELD_STEP_NTASKS},
    {FIELD_OF_STEP, "NumCPUs", FIELD_STEP_CPUS},
    {FIELD_OF_STEP, "StartTime", FIELD_STEP_START},
    {FIELD_OF_STEP, "tres-per-node", FIELD_STEP_GRES},
    {FIELD_OF_STEP, "ArrayJobID", FIELD_STEP_ARRAY_JOB_ID},
    {FIELD_OF_STEP, "ArrayTaskID", FIELD_STEP_ARRAY_TASK_ID},
    {FIELD_OF_STEP, "Cluster", FIELD_STEP_CLUSTER},
    {FIELD_OF_STEP, "Container", FIELD_STEP_CONTAINER},
    {FIELD_OF_STEP, "Network", FIELD_STEP_NETWORK},
    {FIELD_OF_STEP, "TimeLimit", FIELD_STEP_TIME_LIMIT},
    {FIELD_OF_STEP, "UserID", FIELD_STEP_UID},
    {FIELD_OF_STEP, "NumNodes", FIELD_STEP_NODES},
    {FIELD_OF_STEP, "tres-bind", FIELD_STEP_TRES_BIND},
    {FIELD_OF_STEP, "tres-freq", FIELD_STEP_TRES_FREQ},
    {FIELD_OF_STEP, "tres-per-step", FIELD_STEP_TRES_PER_STEP},
    {FIELD_OF_STEP, "tres-per-task", FIELD_STEP_TRES_PER_TASK},
    {FIELD_OF_PARTITION, "Groups", FIELD_PART_ALLOW_GROUPS},
    {FIELD_OF_PARTITION, "Root", FIELD_PART_ROOT},
    {FIELD_OF_PARTITION, "Priority", FIELD_PART_PRIO_TIER},
    {FIELD_OF_ACCT, "Reserved", FIELD_ACCT_RESERVED},
};

const struct field *field_by_name(enum field_what what, const char *name)
{
    for (size_t i = 0; i < COUNT(aliases); i++)
        if (aliases[i].what == what && strcasecmp(aliases[i].name, name) == 0)
            return field_by_id(aliases[i].id);
    for (size_t i = 0; i < COUNT(table); i++)
        if (table[i].what == what && strcasecmp(table[i].name, name) == 0)
            return &table[i];
    const struct field *f = NULL;
    for (size_t i = 0; what == FIELD_OF_SINFO && f == NULL && i < COUNT(sinfo_falls_to); i++)
        f = field_by_name(sinfo_falls_to[i], name);
    return f;
}

const struct field *field_by_letter(enum field_what what, char letter)
{
    for (size_t i = 0; letter != '\0' && i < COUNT(table); i++)
        if (table[i].what == what && table[i].letter == letter)
            return &table[i];
    const struct field *f = NULL;
    for (size_t i = 0; what == FIELD_OF_SINFO && f == NULL && i < COUNT(sinfo_falls_to); i++)
        f = field_by_letter(sinfo_falls_to[i], letter);
    return f;
}

const struct field *field_table(size_t *count)
{
    *count = COUNT(table);
    return table;
}

/* ---- formats ------------------------------------------------------------------- */

static struct field_column *column_add(struct field_format *f, const struct field *field)
{
    f->columns = xrealloc(f->columns, (f->count + 1) * sizeof(*f->columns));
    struct field_column *c = &f->columns[f->count++];
    memset(c, 0, sizeof(*c));
    c->field = field;
    return c;
}

void field_format_fini(struct field_format *f)
{
    free(f->columns);
    f->columns = NULL;
    f->count = 0;
}

/* Digits at *p as a column width. */
static int width_parse(const char **p, int *width, struct err *err)
{
    long w = 0;
    for (; isdigit((unsigned char)**p); (*p)++) {
        w = w * 10 + (**p - '0');
        if (w > WIDTH_MAX)
            return err_set(err, SL_EINVAL_FIELD, "column width over %d", WIDTH_MAX);
    }
    *width = (int)w;
    return 0;
}

static int text_copy(char *to, size_t size, const char *p, size_t n, struct err *err)
{
    if (n >= size)
        return err_set(err, SL_EINVAL_FIELD, "more than %zu characters between two columns",
                       size - 1);
    memcpy(to, p, n);
    to[n] = '\0';
    return 0;
}

/* One "%[#][.][size]letter" at *p, which stands behind the '%'. */
static int letter_parse(enum field_what what, const char **p, struct field_format *out,
                        struct err *err)
{
    bool right = false, widest = **p == '#';
    int width = 0;

    if (widest)
        (*p)++;
    if (**p == '.') {
        right = true;
        (*p)++;
    }
    int rc = width_parse(p, &width, err);
    if (rc != 0)
        return rc;
    if (widest)
        width = FIELD_WIDTH_WIDEST;
    const struct field *field = field_by_letter(what, **p);
    if (field == NULL)
        return **p == '\0'
                   ? err_set(err, SL_EINVAL_FIELD,
                             "Invalid format specification: nothing follows the last %%")
                   : err_set(err, SL_EINVAL_FIELD, "Invalid format specification: %%%c", **p);
    (*p)++;
    struct field_column *c = column_add(out, field);
    c->width = width;
    c->right = right;
    return 0;
}

/* "%all" of squeue and sinfo: every field that has a letter, with bars between. */
static int all_parse(enum field_what what, bool lettered, struct field_format *out)
{
    for (size_t i = 0; i < COUNT(table); i++) {
        const struct field *f = &table[i];
        bool fits = f->what == what || (what == FIELD_OF_SINFO && (f->what == FIELD_OF_NODE ||
                                                                   f->what == FIELD_OF_PARTITION));
        if (!fits || (lettered && f->letter == '\0') ||
            (lettered && field_by_letter(what, f->letter) != f))
            continue;
        strcpy(column_add(out, f)->suffix, "|");
    }
    if (out->count != 0)
        out->columns[out->count - 1].suffix[0] = '\0';
    return 0;
}

static int letters_parse(enum field_what what, const char *text, struct field_format *out,
                         struct err *err)
{
    if (strcasecmp(text, "%all") == 0)
        return all_parse(what, true, out);
    const char *p = strchrnul(text, '%');
    size_t lead = (size_t)(p - text);
    int rc = 0;

    while (rc == 0 && *p == '%') {
        if (out->count == COLUMNS_MAX)
            return err_set(err, SL_EINVAL_FIELD, "more than %u columns", COLUMNS_MAX);
        p++;
        rc = letter_parse(what, &p, out, err);
        if (rc != 0)
            break;
        struct field_column *c = &out->columns[out->count - 1];
        if (out->count == 1)
            rc = text_copy(c->prefix, sizeof(c->prefix), text, lead, err);
        const char *end = strchrnul(p, '%');
        if (rc == 0)
            rc = text_copy(c->suffix, sizeof(c->suffix), p, (size_t)(end - p), err);
        p = end;
    }
    if (rc == 0 && out->count == 0)
        rc = err_set(err, SL_EINVAL_FIELD, "format \"%s\" names no field (%%i ...)", text);
    return rc;
}

int field_format_letters(enum field_what what, const char *text, struct field_format *out,
                         struct err *err)
{
    *out = (struct field_format){NULL, 0};
    int rc = letters_parse(what, text, out, err);
    if (rc != 0)
        field_format_fini(out);
    return rc;
}

/* "name[:[.][size][suffix]]" of n bytes. */
static int name_parse(enum field_what what, const char *p, size_t n,
                      struct field_format *out, struct err *err)
{
    char item[128];
    int width = NAMES_WIDTH_DEFAULT;
    bool right = false;

    if (n >= sizeof(item))
        return err_set(err, SL_EINVAL_FIELD, "field name \"%.40s...\" is too long", p);
    memcpy(item, p, n);
    item[n] = '\0';
    char *colon = strchr(item, ':');
    const char *suffix = "";
    if (colon != NULL) {
        *colon++ = '\0';
        const char *q = colon;
        if (*q == '.') {
            right = true;
            q++;
        }
        if (isdigit((unsigned char)*q)) {
            int rc = width_parse(&q, &width, err);
            if (rc != 0)
                return rc;
        }
        suffix = q;
    }
    const struct field *field = field_by_name(what, item);
    if (field == NULL)
        return err_set(err, SL_EINVAL_FIELD, "Invalid %s format specification: %s",
                       what == FIELD_OF_SINFO ? "node" : "job", item);
    struct field_column *c = column_add(out, field);
    c->width = width;
    c->right = right;
    return text_copy(c->suffix, sizeof(c->suffix), suffix, strlen(suffix), err);
}

int field_format_names(enum field_what what, const char *text, struct field_format *out,
                       struct err *err)
{
    int rc = 0;

    *out = (struct field_format){NULL, 0};
    if (strcasecmp(text, "all") == 0)
        return all_parse(what, false, out);
    for (const char *p = text; rc == 0;) {
        size_t n = strcspn(p, ",");
        if (out->count == COLUMNS_MAX)
            rc = err_set(err, SL_EINVAL_FIELD, "more than %u columns", COLUMNS_MAX);
        else if (n != 0)
            rc = name_parse(what, p, n, out, err);
        if (p[n] == '\0')
            break;
        p += n + 1;
    }
    if (rc == 0 && out->count == 0)
        rc = err_set(err, SL_EINVAL_FIELD, "format names no field");
    if (rc != 0)
        field_format_fini(out);
    return rc;
}

/* ---- cells ------------------------------------------------------------------------ */

static const char *time_none(enum field_what what)
{
    switch (what) {
    case FIELD_OF_ACCT:
        return "Unknown";
    case FIELD_OF_NODE:
        return "Unknown";
    default:
        return "N/A";
    }
}

static void span_show(const struct field *f, const char *cell, struct buf *out)
{
    char text[SPAN_TEXT_MAX];

    if (strcmp(cell, "inf") == 0) {
        buf_puts(out, f->what == FIELD_OF_PARTITION ? "infinite" : "UNLIMITED");
        return;
    }
    usec_t span = (usec_t)strtoll(cell, NULL, 10) * USEC_PER_SEC;
    buf_puts(out, f->what == FIELD_OF_ACCT ? span_format(span, text)
                                           : span_format_short(span, text));
}

void field_time(usec_t when, const char *none, struct buf *out)
{
    const char *style = getenv("SLURM_TIME_FORMAT");
    char text[TIME_STYLE_MAX];
    if (when <= 0)
        buf_puts(out, none);
    else
        buf_puts(out, time_format_style(style != NULL ? style : "standard", when,
                                        clock_wall_usec(), text));
}

const char *field_empty(const struct field *f)
{
    switch ((unsigned)f->id) {
    case FIELD_JOB_ACCOUNT:
    case FIELD_JOB_QOS:
    case FIELD_JOB_COMMENT:
    case FIELD_JOB_COMMAND:
    case FIELD_JOB_DEPENDENCY:
    case FIELD_JOB_FEATURES:
    case FIELD_JOB_LICENSES:
    case FIELD_JOB_RESERVATION:
    case FIELD_JOB_WCKEY:
    case FIELD_JOB_SCHED_NODES:
    case FIELD_JOB_ADMIN_COMMENT:
    case FIELD_JOB_BURST_BUFFER:
    case FIELD_JOB_BURST_STATE:
    case FIELD_JOB_CLUSTER_FEATURE:
    case FIELD_JOB_CONTAINER:
    case FIELD_JOB_NETWORK:
    case FIELD_JOB_PREFER:
    case FIELD_JOB_PROFILE:
    case FIELD_JOB_SYSTEM_COMMENT:
    case FIELD_STEP_CONTAINER:
    case FIELD_NODE_EXTRA:
    case FIELD_NODE_COMMENT:
    case FIELD_STEP_NETWORK:
        return "(null)";
    case FIELD_JOB_ARRAY_TASK_ID:
    case FIELD_JOB_GRES:
    case FIELD_JOB_TRES_PER_JOB:
    case FIELD_JOB_TRES_PER_TASK:
    case FIELD_JOB_TRES_PER_SOCKET:
    case FIELD_STEP_GRES:
    case FIELD_JOB_MCS:
    case FIELD_JOB_BOARDS:
    case FIELD_JOB_CPUS_PER_TRES:
    case FIELD_JOB_LAST_SCHED:
    case FIELD_JOB_MEM_PER_TRES:
    case FIELD_JOB_NT_PER_BOARD:
    case FIELD_JOB_ORIGIN:
    case FIELD_JOB_ORIGIN_RAW:
    case FIELD_JOB_SIBLINGS_ACTIVE:
    case FIELD_JOB_SIBLINGS_ACTIVE_RAW:
    case FIELD_JOB_SIBLINGS_VIABLE:
    case FIELD_JOB_SIBLINGS_VIABLE_RAW:
    case FIELD_JOB_SOCKETS_PER_BOARD:
    case FIELD_JOB_TRES_BIND:
    case FIELD_JOB_TRES_FREQ:
    case FIELD_JOB_TRES_PER_STEP:
    case FIELD_STEP_ARRAY_TASK_ID:
    case FIELD_STEP_CPU_FREQ:
    case FIELD_STEP_RESV_PORT:
    case FIELD_STEP_TIME_LIMIT:
    case FIELD_STEP_TRES_BIND:
    case FIELD_STEP_TRES_FREQ:
    case FIELD_STEP_TRES_PER_STEP:
    case FIELD_STEP_TRES_PER_TASK:
        return "N/A";
    case FIELD_NODE_REASON_USER:
        return "Unknown";
    default:
        return "";
    }
}

static void explain_show(const char *lines, struct buf *out)
{
    struct arena a;
    struct explain_item it;
    arena_init(&a);
    for (bool first = true; explain_read(&lines, &a, &it); first = false) {
        buf_puts(out, first ? "" : "; ");
        buf_puts(out, explain_lead(explain_section(it.code)));
        explain_words(&it, out);
    }
    arena_fini(&a);
}

void field_show(const struct field *f, const char *cell, struct buf *out)
{
    char text[SIZE_TEXT_MAX], *end;
    unsigned long long mib;
    long long n;

    switch (f->kind) {
    case FIELD_TIME:
        n = strtoll(cell, &end, 10);
        if (*end != '\0') { /* not a number: already a word ("Unknown") */
            buf_puts(out, cell);
            return;
        }
        field_time((usec_t)n * USEC_PER_SEC, time_none(f->what), out);
        return;
    case FIELD_SPAN:
        strtoll(cell, &end, 10);
        if ((*end != '\0' || end == cell) && strcmp(cell, "inf") != 0)
            buf_puts(out, cell);
        else
            span_show(f, cell, out);
        return;
    case FIELD_MEM:
        mib = strtoull(cell, &end, 10);
        buf_puts(out, *end != '\0' || end == cell ? cell : mem_format_mib(mib, text));
        return;
    case FIELD_BOOL:
        /* of jobs a number, of partitions a word */
        if (f->what == FIELD_OF_JOB || (cell[0] != '1' && cell[0] != '0'))
            buf_puts(out, cell);
        else
            buf_puts(out, cell[0] == '1' ? "yes" : "no");
        return;
    case FIELD_EXPLAIN:
        explain_show(cell, out);
        return;
    default:
        buf_puts(out, cell);
    }
}
