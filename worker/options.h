/* SPDX-License-Identifier: Apache-2.0
 *
 * options: one table per subcommand says what can be configured.
 *
 * Command line, configuration file (libconfig), help text, JSON copy in
 * checkpoints and error messages all read the same rows. Values live in one
 * plain struct of the subcommand; the command line wins over the file, the file
 * over the defaults, wherever --config stands. A key that no row has is an error
 * that names the nearest one.
 */
#ifndef WORKER_OPTIONS_H
#define WORKER_OPTIONS_H

#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define OPTION_TEXT_MAX 4096

/* The field's type beside each. */
enum option_type {
    OPTION_INT,    /* int64_t */
    OPTION_REAL,   /* double */
    OPTION_BOOL,   /* bool */
    OPTION_TEXT,   /* char *, never NULL */
    OPTION_CHOICE, /* int, the index in choices */
};

struct option_row {
    const char *name;
    enum option_type type;
    size_t offset;
    double min, max;     /* inclusive, numbers only */
    const char *def;
    const char *choices; /* "cpu|cuda" */
    const char *help;    /* one sentence */
};

struct option_table {
    const char *command;   /* "pretrain" */
    const char *arguments; /* "FILE..." or "" */
    const char *about;     /* what the subcommand does, before the options */
    const char *after;     /* exit codes and the like, after them */
    const struct option_row *rows;
    size_t count;
};

struct option_args { /* what is not an option; points into argv */
    char **list;
    int count;
};

void options_init(const struct option_table *t, void *values); /* the defaults */
void options_fini(const struct option_table *t, void *values);
/* argv[0] is the subcommand. 0; 1: --help was asked for; or negative. argv is
 * permuted; args may be NULL: then there must be none. */
int options_parse(const struct option_table *t, void *values, int argc, char **argv,
                  struct option_args *args, struct err *err);
void options_help(const struct option_table *t, FILE *out);
/* All values as a JSON object (jansson); the caller owns it. */
struct json_t *options_json(const struct option_table *t, const void *values);

#endif
