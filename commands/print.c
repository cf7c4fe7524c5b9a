/* SPDX-License-Identifier: Apache-2.0 */
#include "print.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static void pad(struct buf *line, size_t n)
{
    static const char blanks[] = "                                ";
    while (n > 0) {
        size_t k = n < sizeof(blanks) - 1 ? n : sizeof(blanks) - 1;
        buf_put(line, blanks, k);
        n -= k;
    }
}

/* Bytes of the first `width` characters of UTF-8 text; *shown counts them. */
static size_t cut(const char *text, size_t width, size_t *shown)
{
    size_t n = 0, chars = 0;
    while (text[n] != '\0') {
        if (((unsigned char)text[n] & 0xc0) != 0x80) {
            if (chars == width)
                break;
            chars++;
        }
        n++;
    }
    *shown = chars;
    return n;
}

void print_column(struct buf *line, const struct field_column *c, const char *text)
{
    if (c->prefix[0] != '\0')
        buf_puts(line, c->prefix);
    if (c->width <= 0)
        buf_puts(line, text);
    else {
        size_t shown, width = (size_t)c->width, n = cut(text, width, &shown);
        if (c->right)
            pad(line, width - shown);
        buf_put(line, text, n);
        if (!c->right)
            pad(line, width - shown);
    }
    if (c->suffix[0] != '\0')
        buf_puts(line, c->suffix);
}

void print_date(FILE *out)
{
    char text[64];
    time_t now = time(NULL);
    struct tm tm;
    if (localtime_r(&now, &tm) != NULL && strftime(text, sizeof(text), "%a %b %d %T %Y", &tm) != 0)
        fprintf(out, "%s\n", text);
}

void print_header(const struct field_format *f, FILE *out)
{
    struct buf line;
    buf_init(&line);
    for (size_t i = 0; i < f->count; i++)
        print_column(&line, &f->columns[i], f->columns[i].field->header);
    buf_putc(&line, '\n');
    fwrite(line.data, 1, line.len, out);
    buf_fini(&line);
}

void print_row(const struct field_format *f, const char *const *cells, struct buf *scratch,
               FILE *out)
{
    struct buf shown;
    buf_init(&shown);
    buf_clear(scratch);
    for (size_t i = 0; i < f->count; i++) {
        const struct field_column *c = &f->columns[i];
        const char *text = cells[i][0] != '\0' ? cells[i] : field_empty(c->field);
        if (c->field->kind != FIELD_TEXT && c->field->kind != FIELD_NUM) {
            buf_clear(&shown);
            field_show(c->field, text, &shown);
            text = buf_str(&shown);
        }
        print_column(scratch, c, text);
    }
    for (size_t i = 0; i < scratch->len; i++) /* of texts of several lines: a row is one */
        if (scratch->data[i] == '\n')
            scratch->data[i] = ' ';
    buf_putc(scratch, '\n');
    fwrite(scratch->data, 1, scratch->len, out);
    buf_fini(&shown);
}
