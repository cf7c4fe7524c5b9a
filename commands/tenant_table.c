/* SPDX-License-Identifier: Apache-2.0 */
#include "tenant_table.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- rows ------------------------------------------------------------------------------ */

static int row_arrived(char *const *cells, size_t count, void *arg)
{
    struct tenant_rows *r = arg;
    if (count != r->columns)
        return SL_EPROTO;
    if (r->count == r->cap) {
        r->cap = r->cap ? 2 * r->cap : 64;
        r->v = xrealloc(r->v, r->cap * sizeof(*r->v));
    }
    char **row = r->v[r->count++] = arena_alloc(&r->arena, count * sizeof(*row));
    for (size_t i = 0; i < count; i++)
        row[i] = arena_strdup(&r->arena, cells[i]);
    return 0;
}

int tenant_rows_get(struct tenant_rows *r, struct client *c, const char *what,
                    const char *columns, struct err *err)
{
    memset(r, 0, sizeof(*r));
    arena_init(&r->arena);
    r->names = columns;
    r->columns = 1;
    for (const char *p = columns; *p != '\0'; p++)
        r->columns += *p == ',';
    Sl__QueryRequest *q = command_query(&r->arena, what);
    command_filter(&r->arena, q, "columns", columns);
    return client_query(c, q, row_arrived, r, err);
}

void tenant_rows_fini(struct tenant_rows *r)
{
    arena_fini(&r->arena);
    free(r->v);
}

int tenant_column(const struct tenant_rows *r, const char *name)
{
    int at = 0;
    for (const char *p = r->names; *p != '\0'; at++) {
        size_t n = strcspn(p, ",");
        if (strlen(name) == n && strncasecmp(p, name, n) == 0)
            return at;
        p += n + (p[n] == ',');
    }
    return -1;
}

const char *tenant_cell(const struct tenant_rows *r, size_t row, const char *name)
{
    int at = tenant_column(r, name);
    return at < 0 ? "" : r->v[row][at];
}

bool tenant_listed(const char *list, const char *word)
{
    size_t want = strlen(word);
    if (list == NULL || *list == '\0')
        return true;
    for (const char *p = list; *p != '\0';) {
        size_t n = strcspn(p, ",");
        if (n == want && strncasecmp(p, word, n) == 0)
            return true;
        p += n + (p[n] == ',');
    }
    return false;
}

/* ---- formats ---------------------------------------------------------------------------- */

static const struct tenant_field *field_find(const struct tenant_field *table, const char *word, size_t n)
{
    const struct tenant_field *begins = NULL;
    for (const struct tenant_field *t = table; t->name != NULL; t++) {
        if (strncasecmp(t->name, word, n) != 0)
            continue;
        if (t->name[n] == '\0')
            return t;
        begins = begins ? begins : t;
    }
    return begins;
}

int tenant_format_parse(const struct tenant_field *table, const char *text,
                        struct tenant_format *f, struct err *err)
{
    f->count = 0;
    for (const char *p = text; *p != '\0';) {
        size_t n = strcspn(p, ","), name = strcspn(p, "%,");
        const struct tenant_field *t = name ? field_find(table, p, name) : NULL;
        if (t == NULL)
            return err_set(err, SL_EINVAL_FIELD, "Unknown field '%.*s'", (int)(n < 64 ? n : 64), p);
        if (f->count == sizeof(f->field) / sizeof(f->field[0]))
            return err_set(err, SL_EINVAL_FIELD, "more than %zu columns", f->count);
        f->field[f->count] = *t;
        if (p[name] == '%') {
            char *end;
            long width = strtol(p + name + 1, &end, 10);
            if (end != p + n || width == 0 || width < -4096 || width > 4096)
                return err_set(err, SL_EINVAL_FIELD, "'%.*s': not a width", (int)(n < 64 ? n : 64), p);
            f->field[f->count].width = (int)width;
        }
        f->count++;
        p += n + (p[n] == ',');
    }
    return f->count ? 0 : err_set(err, SL_EINVAL_FIELD, "the format names no field");
}

/* What does not fit ends in '+'. */
static void aligned(const char *text, int width)
{
    int w = abs(width), n = (int)strlen(text);
    if (n > w)
        printf("%.*s+ ", w - 1, text);
    else if (width < 0)
        printf("%-*s ", w, text);
    else
        printf("%*s ", w, text);
}

void tenant_print_row(const struct tenant_format *f, const char *const *cells,
                      enum tenant_style style)
{
    for (size_t i = 0; i < f->count; i++)
        if (style == TENANT_ALIGNED)
            aligned(cells[i], f->field[i].width);
        else
            printf("%s%s", cells[i], style == TENANT_PARSABLE || i + 1 < f->count ? "|" : "");
    putchar('\n');
}

void tenant_print_header(const struct tenant_format *f, enum tenant_style style)
{
    const char *cells[96];
    for (size_t i = 0; i < f->count; i++)
        cells[i] = f->field[i].header;
    tenant_print_row(f, cells, style);
    if (style != TENANT_ALIGNED)
        return;
    for (size_t i = 0; i < f->count; i++) {
        for (int k = abs(f->field[i].width); k > 0; k--)
            putchar('-');
        putchar(' ');
    }
    putchar('\n');
}
