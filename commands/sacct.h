/* SPDX-License-Identifier: Apache-2.0
 *
 * sacct_format: sacct's columns: which fields, how wide, in which units.
 */
#ifndef SL_COMMANDS_SACCT_H
#define SL_COMMANDS_SACCT_H

#include "base/buf.h"
#include "base/err.h"
#include "job/field.h"

#include <stdio.h>

struct sacct_column {
    const struct field *field;
    int width; /* characters; at least 1 */
    bool left;
    size_t cell; /* of the query's row */
};

struct sacct_format {
    struct sacct_column *columns;
    size_t count;
    bool parsable, delimiter_last; /* -P, -p */
    const char *delimiter;
    char unit; /* 'K' 'M' 'G' 'T' 'P'; 0: the largest that is exact */
    bool noconvert;
};

/* "jobid,name%30,state%-20", "ALL". */
int sacct_format_init(struct sacct_format *f, const char *text, struct err *err);
void sacct_format_fini(struct sacct_format *f);
void sacct_print_header(const struct sacct_format *f, FILE *out);
void sacct_print_row(const struct sacct_format *f, char *const *cells, struct buf *line,
                     FILE *out);
/* --helpformat */
void sacct_print_fields(FILE *out);
/* "4567K" in another unit; other texts as they are. Appends. */
void sacct_convert(const struct sacct_format *f, const char *size, struct buf *out);

#endif
