/* SPDX-License-Identifier: Apache-2.0
 *
 * print: rows of cells as Slurm's columns, and as JSON.
 */
#ifndef SL_COMMANDS_PRINT_H
#define SL_COMMANDS_PRINT_H

#include "base/buf.h"
#include "job/field.h"
#include "wire/slurmlike.pb-c.h"
#include <stdbool.h>
#include <stdio.h>

/* Appends text as one column: cut at the width, padded left or right; width 0 as is. */
void print_column(struct buf *line, const struct field_column *c, const char *text);
/* "Tue Nov 24 21:10:30 2026": the line over a long listing. */
void print_date(FILE *out);
/* The header line of a format. */
void print_header(const struct field_format *f, FILE *out);
/* One line; cells in the order of the columns, canonical form (job/field.h). */
void print_row(const struct field_format *f, const char *const *cells, struct buf *scratch,
               FILE *out);

/* {"meta": {...}, "errors": [], "warnings": [], "<name>": [ row, row, ... ]}, row by row, as
 * JSON or, with --yaml, as YAML. */
struct print_json {
    FILE *out;
    struct print_yaml *yaml;
    const char *command, *name;
    size_t rows;
    bool begun; /* by the first row or the end: an error before it prints no JSON */
};
void print_json_begin(struct print_json *j, const char *command, const char *name, FILE *out);
void print_json_row(struct print_json *j, const struct field *const *fields, size_t count,
                    char *const *cells);
/* The two halves of it, for rows that hold others: an object (jansson's json_t),
 * and printing it, which takes it over. */
struct json_t *print_json_object(const struct field *const *fields, size_t count,
                                 char *const *cells);
void print_json_put(struct print_json *j, struct json_t *row);
void print_json_end(struct print_json *j);
/* The answer to a request that changes something: an error for each object that failed.
 * Returns how many there are. */
size_t print_json_ack(const char *command, const Sl__Ack *ack, FILE *out);
/* {"meta": {...}, "errors": [], "warnings": [], name: value}; takes value over. */
void print_json_value(const char *command, const char *name, struct json_t *value, FILE *out);

#endif
