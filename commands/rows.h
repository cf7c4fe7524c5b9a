/* SPDX-License-Identifier: Apache-2.0
 *
 * rows: the answer to a query kept in memory, sorted, and read back.
 */
#ifndef SL_COMMANDS_ROWS_H
#define SL_COMMANDS_ROWS_H

#include "command.h"
#include "job/field.h"

#define ROWS_SORT_KEYS_MAX 8

struct row {
    char **cells;
    int64_t keys[ROWS_SORT_KEYS_MAX]; /* numbers of the sort columns */
};
struct rows_key {
    size_t column;
    bool descending;
    bool text; /* compare the cells, else keys[] */
};
struct rows {
    struct arena arena;
    struct row *v;
    size_t count, cap, columns;
    struct rows_key keys[ROWS_SORT_KEYS_MAX];
    size_t keys_count;
    const struct field *fields[256]; /* of the columns, set by rows_query */
};

void rows_init(struct rows *r);
void rows_fini(struct rows *r);
void rows_clear(struct rows *r); /* keeps the sort keys */
/* "P,t,-p": letters of `what`, +/- in front; adds their fields to q. Words of
 * more than one letter are field names. */
int rows_sort_keys(struct rows *r, enum field_what what, const char *text, Sl__QueryRequest *q,
                   struct arena *a, struct err *err);
/* Adds a copy; cells has q's number of columns. */
void rows_add(struct rows *r, char *const *cells);
/* Asks and keeps every row. 0 or negative. */
int rows_query(struct rows *r, struct client *c, const Sl__QueryRequest *q, struct err *err);
void rows_sort(struct rows *r);

#endif
