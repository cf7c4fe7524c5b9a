/* SPDX-License-Identifier: Apache-2.0 */
#include "sacct.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define WIDTH_MAX 4096
#define FIELDS_A_LINE 4

/* ---- fields --------------------------------------------------------------------- */

/* By name without regard to case, whole or so much of it as the user cared to type. */
static const struct field *field_find(const char *name, size_t n)
{
    size_t count;
    const struct field *t = field_table(&count), *found = NULL;
    for (size_t i = 0; i < count; i++) {
        if (t[i].what != FIELD_OF_ACCT || strncasecmp(t[i].name, name, n) != 0)
            continue;
        if (t[i].name[n] == '\0')
            return &t[i];
        if (!found)
            found = &t[i];
    }
    return found;
}

static struct sacct_column *column_add(struct sacct_format *f,
                                       const struct field *field)
{
    f->columns = xrealloc(f->columns, (f->count + 1) * sizeof(*f->columns));
    struct sacct_column *c = &f->columns[f->count++];
    *c = (struct sacct_column){.field = field, .width = field->width};
    c->left = field->id == FIELD_ACCT_JOB_ID || field->id == FIELD_ACCT_JOB_ID_RAW;
    return c;
}

static void column_add_all(struct sacct_format *f)
{
    size_t count;
    const struct field *t = field_table(&count);
    for (size_t i = 0; i < count; i++)
        if (t[i].what == FIELD_OF_ACCT)
            column_add(f, &t[i]);
}

/* "name", "name%30", "name%-30": n bytes. */
static int column_parse(struct sacct_format *f, const char *text, size_t n,
                        struct err *err)
{
    size_t name = strcspn(text, "%,");
    if (name > n)
        name = n;
    if (name == 3 && strncasecmp(text, "all", 3) == 0) {
        column_add_all(f);
        return 0;
    }
    char whole[64]; /* another name of a field is known only in full: "Reserved" */
    snprintf(whole, sizeof(whole), "%.*s", (int)name, text);
    const struct field *field = name ? field_by_name(FIELD_OF_ACCT, whole) : NULL;
    if (!field && name)
        field = field_find(text, name);
    if (!field)
        return err_set(err, SL_EINVAL_FIELD, "Invalid field requested: \"%.*s\"",
                       (int)name, text);
    struct sacct_column *c = column_add(f, field);
    if (name == n)
        return 0;
    char *end;
    long width = strtol(text + name + 1, &end, 10);
    if (end != text + n || width == 0 || labs(width) > WIDTH_MAX)
        return err_set(err, SL_EINVAL_FIELD, "Invalid width of field \"%.*s\"", (int)n,
                       text);
    c->width = (int)labs(width);
    c->left = width < 0;
    return 0;
}

int sacct_format_init(struct sacct_format *f, const char *text, struct err *err)
{
    int rc = 0;
    *f = (struct sacct_format){.delimiter = "|"};
    for (const char *p = text; !rc;) {
        size_t n = strcspn(p, ",");
        if (n)
            rc = column_parse(f, p, n, err);
        if (!p[n])
            break;
        p += n + 1;
    }
    if (!rc && !f->count)
        rc = err_set(err, SL_EINVAL_FIELD, "--format: no field is named");
    if (rc)
        sacct_format_fini(f);
    return rc;
}

void sacct_format_fini(struct sacct_format *f)
{
    free(f->columns);
    f->columns = NULL;
    f->count = 0;
}

void sacct_print_fields(FILE *out)
{
    size_t count, shown = 0;
    const struct field *t = field_table(&count);
    for (size_t i = 0; i < count; i++)
        if (t[i].what == FIELD_OF_ACCT)
            fprintf(out, "%-19s%s", t[i].name, ++shown % FIELDS_A_LINE ? " " : "\n");
    if (shown % FIELDS_A_LINE)
        fputc('\n', out);
}

/* ---- units ----------------------------------------------------------------- */

static const char units[] = "KMGTP";

static int unit_power(char c)
{
    const char *p = c ? strchr(units, c) : NULL;
    return p ? (int)(p - units) + 1 : 0;
}

static void put_size(double n, int power, struct buf *out)
{
    char unit[2] = {power ? units[power - 1] : '\0', '\0'};
    if (n == (double)(uint64_t)n)
        buf_printf(out, "%llu%s", (unsigned long long)n, unit);
    else
        buf_printf(out, "%.2f%s", n, unit);
}

void sacct_convert(const struct sacct_format *f, const char *size, struct buf *out)
{
    char *end;
    uint64_t n = strtoull(size, &end, 10);
    int power = unit_power(*end);
    if (f->noconvert || end == size || n == 0 || (*end && (!power || end[1]))) {
        buf_puts(out, size);
        return;
    }
    if (f->unit) {
        double value = (double)n;
        for (; power < unit_power(f->unit); power++)
            value /= 1024;
        for (; power > unit_power(f->unit); power--)
            value *= 1024;
        put_size(value, power, out);
        return;
    }
    for (; n % 1024 == 0 && power < (int)sizeof(units) - 1; power++)
        n /= 1024;
    put_size((double)n, power, out);
}

static bool is_size(const struct field *field)
{
    switch ((unsigned)field->id) {
    case FIELD_ACCT_MAX_RSS:
    case FIELD_ACCT_AVE_RSS:
    case FIELD_ACCT_MAX_VSIZE:
    case FIELD_ACCT_REQ_MEM:
    case FIELD_ACCT_MAX_DISK_READ:
    case FIELD_ACCT_MAX_DISK_WRITE:
        return true;
    default:
        return false;
    }
}

/* ---- lines ----------------------------------------------------------------- */

/* Bytes of the first `chars` characters of UTF-8 text; *shown counts them. */
static size_t head_bytes(const char *text, size_t chars, size_t *shown)
{
    size_t n = 0, seen = 0;
    for (; text[n]; n++) {
        bool begins = ((unsigned char)text[n] & 0xc0) != 0x80;
        if (begins && seen == chars)
            break;
        seen += begins;
    }
    *shown = seen;
    return n;
}

static void put_blanks(size_t n, struct buf *line)
{
    while (n-- > 0)
        buf_putc(line, ' ');
}

/* What does not fit ends in '+'. */
static void put_column(const struct sacct_column *c, const char *text, struct buf *line)
{
    size_t width = (size_t)c->width, shown, n = head_bytes(text, width, &shown);
    bool is_cut = text[n] != '\0';
    if (is_cut)
        n = head_bytes(text, width - 1, &shown);
    size_t blanks = width - shown - is_cut;
    if (!c->left)
        put_blanks(blanks, line);
    buf_put(line, text, n);
    if (is_cut)
        buf_putc(line, '+');
    if (c->left)
        put_blanks(blanks, line);
    buf_putc(line, ' ');
}

static void put_cell(const struct sacct_format *f, size_t i, const char *text,
                     struct buf *line)
{
    if (!f->parsable) {
        put_column(&f->columns[i], text, line);
        return;
    }
    buf_puts(line, text);
    if (f->delimiter_last || i + 1 < f->count)
        buf_puts(line, f->delimiter);
}

static void put_line(struct buf *line, FILE *out)
{
    buf_putc(line, '\n');
    fwrite(line->data, 1, line->len, out);
    buf_clear(line);
}

void sacct_print_header(const struct sacct_format *f, FILE *out)
{
    struct buf line;
    buf_init(&line);
    for (size_t i = 0; i < f->count; i++)
        put_cell(f, i, f->columns[i].field->header, &line);
    put_line(&line, out);
    for (size_t i = 0; i < f->count && !f->parsable; i++) {
        for (int k = 0; k < f->columns[i].width; k++)
            buf_putc(&line, '-');
        buf_putc(&line, ' ');
    }
    if (!f->parsable)
        put_line(&line, out);
    buf_fini(&line);
}

void sacct_print_row(const struct sacct_format *f, char *const *cells, struct buf *line,
                     FILE *out)
{
    struct buf text;
    buf_init(&text);
    buf_clear(line);
    for (size_t i = 0; i < f->count; i++) {
        const struct sacct_column *c = &f->columns[i];
        buf_clear(&text);
        if (is_size(c->field))
            sacct_convert(f, cells[c->cell], &text);
        else
            field_show(c->field, cells[c->cell], &text);
        put_cell(f, i, buf_str(&text), line);
    }
    put_line(line, out);
    buf_fini(&text);
}
