/* SPDX-License-Identifier: Apache-2.0
 *
 * sinfo: partitions and their nodes; nodes that look the same share a line.
 */
#include "command.h"
#include "print.h"
#include "rows.h"
#include "sinfo.h"

#include "base/hostlist.h"
#include "job/state.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char program[] = "sinfo";

struct sinfo_opt opt;

static const struct command_option options[] = {
    {"Format", 'O', "format", "columns by name: Name[:[.]width],...", &opt.format2, NULL, NULL},
    {"Node", 'N', NULL, "one line for each node and partition", NULL, &opt.node, "SINFO_NODE"},
    {"all", 'a', NULL, "hidden partitions too", NULL, &opt.all, "SINFO_ALL"},
    {"dead", 'd', NULL, "only nodes that do not respond", NULL, &opt.dead, NULL},
    {"exact", 'e', NULL, "nodes of different size on lines of their own", NULL, &opt.exact, NULL},
    {"format", 'o', "format", "columns by letter: \"%P %.5a\"", &opt.format, NULL, "SINFO_FORMAT"},
    {"hide", 0, NULL, "no hidden partitions", NULL, &opt.hide, NULL},
    {"iterate", 'i', "seconds", "again and again", &opt.iterate, NULL, NULL},
    {"list-reasons", 'R', NULL, "why nodes are down, drained or failing", NULL, &opt.reasons, NULL},
    {"long", 'l', NULL, "more columns", NULL, &opt.longform, NULL},
    {"noconvert", 0, NULL, "accepted: units are never converted", NULL, &opt.noconvert, NULL},
    {"nodes", 'n', "nodes", "only these nodes", &opt.nodes, NULL, NULL},
    {"noheader", 'h', NULL, "no header line", NULL, &opt.noheader, NULL},
    {"partition", 'p', "names", "only these partitions", &opt.partition, NULL, "SINFO_PARTITION"},
    {"reservation", 'T', NULL, "advance reservations instead of nodes", NULL, &opt.reservations, NULL},
    {"responding", 'r', NULL, "only nodes that respond", NULL, &opt.responding, NULL},
    {"sort", 'S', "keys", "sort by these letters, - in front: descending", &opt.sort, NULL,
     "SINFO_SORT"},
    {"states", 't', "states", "only nodes in these states", &opt.states, NULL, NULL},
    {"summarize", 's', NULL, "one line for each partition", NULL, &opt.summarize, NULL},
    {NULL, 0, NULL, NULL, NULL, NULL, NULL},
};

/* sinfo(1) --format: the defaults of each kind of listing. */
static const char *format_letters(void)
{
    if (opt.format != NULL)
        return opt.format;
    if (opt.summarize)
        return "%#P %.5a %.10l %.16F  %N";
    if (opt.reasons)
        return opt.longform ? "%20E %12U %19H %6t %N" : "%20E %9u %19H %N";
    if (opt.node)
        return opt.longform ? "%#N %.6D %#P %.11T %.4c %.8z %.6m %.8d %.6w %.8f %20E"
                            : "%#N %.6D %#P %6t";
    return opt.longform ? "%#P %.5a %.10l %.10s %.4r %.8h %.10g %.6D %.11T %N"
                        : "%#P %.5a %.10l %.6D %.6t %N";
}

/* ---- asking ------------------------------------------------------------------------ */

static int ask(struct client *c, struct sinfo_data *d, const struct field_format *f,
               struct err *err)
{
    Sl__QueryRequest *nodes = command_query(&d->arena, "node");
    Sl__QueryRequest *parts = command_query(&d->arena, "partition");

    d->at.name = command_field(&d->arena, nodes, FIELD_NODE_NAME);
    d->at.state = command_field(&d->arena, nodes, FIELD_NODE_STATE);
    d->at.partitions = command_field(&d->arena, nodes, FIELD_NODE_PARTITIONS);
    d->at.cpus = command_field(&d->arena, nodes, FIELD_NODE_CPUS);
    d->at.cpus_alloc = command_field(&d->arena, nodes, FIELD_NODE_CPUS_ALLOC);
    d->at.reason = command_field(&d->arena, nodes, FIELD_NODE_REASON);
    d->at.reason_user = command_field(&d->arena, nodes, FIELD_NODE_REASON_USER);
    d->at.reason_uid = command_field(&d->arena, nodes, FIELD_NODE_REASON_UID);
    d->at.features = command_field(&d->arena, nodes, FIELD_NODE_FEATURES);
    d->at.part_name = command_field(&d->arena, parts, FIELD_PART_NAME);
    d->at.part_default = command_field(&d->arena, parts, FIELD_PART_DEFAULT);
    for (size_t i = 0; i < f->count; i++) {
        const struct field *field = f->columns[i].field;
        if (field->what == FIELD_OF_NODE)
            d->columns[i] = command_field(&d->arena, nodes, field->id);
        else if (field->what == FIELD_OF_PARTITION)
            d->columns[i] = command_field(&d->arena, parts, field->id);
    }
    nodes->all = parts->all = opt.all || opt.partition != NULL;
    int rc = rows_query(&d->parts, c, parts, err);
    return rc == 0 ? rows_query(&d->nodes, c, nodes, err) : rc;
}

/* ---- output -------------------------------------------------------------------------- */

static void widths_find(struct field_format *f, const struct sinfo_data *d)
{
    for (size_t k = 0; k < f->count; k++) {
        struct field_column *col = &f->columns[k];
        if (col->width != FIELD_WIDTH_WIDEST)
            continue;
        col->width = (int)strlen(col->field->header);
        for (size_t i = 0; i < d->groups_count; i++) {
            int n = (int)strlen(d->groups[i].cells[k]);
            if (n > col->width)
                col->width = n;
        }
    }
}

static void groups_print(struct field_format *f, const struct sinfo_data *d)
{
    struct buf scratch;
    if (opt.longform || opt.iterate != NULL)
        print_date(stdout);
    buf_init(&scratch);
    widths_find(f, d);
    if (!opt.noheader)
        print_header(f, stdout);
    for (size_t i = 0; i < d->groups_count; i++)
        print_row(f, (const char *const *)d->groups[i].cells, &scratch, stdout);
    fflush(stdout);
    buf_fini(&scratch);
}

static int show_table(struct client *c, struct err *err)
{
    struct sinfo_data d;
    struct field_format f;
    int rc = opt.format2 != NULL
                 ? field_format_names(FIELD_OF_SINFO, opt.format2, &f, err)
                 : field_format_letters(FIELD_OF_SINFO, format_letters(), &f, err);
    if (rc != 0)
        return rc;
    sinfo_data_init(&d, &f);
    rc = ask(c, &d, &f, err);
    if (rc == 0)
        rc = sinfo_group(&d, &f, err);
    if (rc == 0 && !opt.noheader)
        command_cluster_line(c);
    if (rc == 0)
        groups_print(&f, &d);
    sinfo_data_fini(&d);
    field_format_fini(&f);
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
    Sl__QueryRequest *q = command_query(&a, "node");
    j.fields = arena_alloc(&a, n * sizeof(*j.fields));
    for (size_t i = 0; i < n; i++)
        if (t[i].what == FIELD_OF_NODE)
            j.fields[command_field(&a, q, t[i].id)] = &t[i];
    q->all = opt.all;
    print_json_begin(&j.json, program, "nodes", stdout);
    int rc = client_query(c, q, json_row, &j, err);
    if (rc == 0)
        print_json_end(&j.json);
    arena_fini(&a);
    return rc;
}

/* -T: name, state, times and nodes of each reservation. */
static int show_reservations(struct client *c, struct err *err)
{
    static const unsigned ids[] = {FIELD_RESV_NAME, FIELD_RESV_STATE, FIELD_RESV_START,
                                   FIELD_RESV_END, FIELD_RESV_DURATION, FIELD_RESV_NODES};
    enum { COLUMNS = sizeof(ids) / sizeof(ids[0]) };
    struct rows rows;
    struct arena a;
    struct buf cell;
    int name = (int)strlen("RESV_NAME");

    arena_init(&a);
    buf_init(&cell);
    rows_init(&rows);
    Sl__QueryRequest *q = command_query(&a, "reservation");
    for (size_t i = 0; i < COLUMNS; i++)
        command_field(&a, q, ids[i]);
    int rc = rows_query(&rows, c, q, err);
    for (size_t i = 0; i < rows.count; i++)
        name = (int)strlen(rows.v[i].cells[0]) > name ? (int)strlen(rows.v[i].cells[0]) : name;
    if (rc == 0 && rows.count == 0)
        puts("No reservations in the system");
    else if (rc == 0 && !opt.noheader)
        printf("%-*s %8s %19s %19s %11s  %s\n", name, "RESV_NAME", "STATE", "START_TIME",
               "END_TIME", "DURATION", "NODELIST");
    for (size_t i = 0; i < rows.count; i++) {
        static const int width[COLUMNS] = {0, 8, 19, 19, 11, 0};
        printf("%-*s", name, rows.v[i].cells[0]);
        for (size_t k = 1; k < COLUMNS; k++) {
            buf_clear(&cell);
            field_show(field_by_id(ids[k]), rows.v[i].cells[k], &cell);
            printf("%s%*s", k + 1 == COLUMNS ? "  " : " ", width[k], buf_str(&cell));
        }
        putchar('\n');
    }
    buf_fini(&cell);
    rows_fini(&rows);
    arena_fini(&a);
    return rc;
}

static int options_check(struct err *err)
{
    if (opt.hide)
        opt.all = false;
    for (const char *p = opt.states; p != NULL && *p != '\0';) {
        char word[32];
        size_t n = strcspn(p, ",&");
        snprintf(word, sizeof(word), "%.*s", (int)n, p);
        if (strcasecmp(word, "all") != 0 && node_state_matches(word, NODE_IDLE, 0) < 0)
            return err_set(err, SL_EINVAL_FIELD, "Bad state string: \"%s\"", word);
        p += n + (p[n] != '\0');
    }
    return 0;
}

static int show(struct client *c, struct err *err)
{
    return opt.reservations ? show_reservations(c, err)
           : command_structured()       ? show_json(c, err)
                            : show_table(c, err);
}

static const struct command command = {.program = program, .options = options, .usage = "[OPTIONS]",
                                       .clusters = true, .structured = true, .check = options_check, .show = show,
                                       .iterate = &opt.iterate};

int main(int argc, char **argv)
{
    return command_show(&command, argc, argv);
}
