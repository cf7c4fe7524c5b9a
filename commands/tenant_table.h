/* SPDX-License-Identifier: Apache-2.0
 *
 * tenant_table: rows of tenants from the controller by the names of their columns, and
 * printing them as sacctmgr, sshare and sprio do. Shared by these three.
 */
#ifndef SL_COMMANDS_TENANT_TABLE_H
#define SL_COMMANDS_TENANT_TABLE_H

#include "command.h"

struct tenant_rows { /* texts by row and column */
    struct arena arena;
    char ***v;
    size_t count, cap, columns;
    const char *names; /* of the columns, comma list */
};
/* Asks for all rows of `what`. The caller frees with tenant_rows_fini, on failure too. */
int tenant_rows_get(struct tenant_rows *r, struct client *c, const char *what,
                    const char *columns, struct err *err);
void tenant_rows_fini(struct tenant_rows *r);
/* Column of a name; -1 when it was not asked for. */
int tenant_column(const struct tenant_rows *r, const char *name);
const char *tenant_cell(const struct tenant_rows *r, size_t row, const char *name);

struct tenant_field { /* one column as people see it */
    const char *name;   /* in format=, any beginning of it */
    const char *column; /* of the controller; NULL: the command computes it */
    const char *header;
    int width;          /* negative: left justified */
};
enum tenant_style { TENANT_ALIGNED, TENANT_PARSABLE /* | behind each */, TENANT_PARSABLE2 };

struct tenant_format {
    struct tenant_field field[96];
    size_t count;
};
/* "Account,User%20,Share%-8": names of the table. */
int tenant_format_parse(const struct tenant_field *table, const char *text,
                        struct tenant_format *f, struct err *err);
void tenant_print_header(const struct tenant_format *f, enum tenant_style style);
void tenant_print_row(const struct tenant_format *f, const char *const *cells,
                      enum tenant_style style);
/* Is word in the comma list? NULL or "": everything is. */
bool tenant_listed(const char *list, const char *word);

#endif
