/* SPDX-License-Identifier: Apache-2.0
 *
 * command: what every user command does at its edges: version and error lines,
 * exit codes, option parsing of the query commands, user names.
 */
#ifndef SL_COMMANDS_COMMAND_H
#define SL_COMMANDS_COMMAND_H

#include "base/buf.h"
#include "base/err.h"
#include "client/client.h"
#include "job/jobspec.h"
#include <stdbool.h>
#include <stdio.h>

/* "slurmlike 0.1.0" on stdout. */
void command_version(void);
/* $SLURM_EXIT_ERROR, else 1. */
int command_exit_error(void);
/* "sbatch: error: text" on stderr; returns command_exit_error(). */
int command_fail(const char *program, const struct err *err);
/* The same for a wrong command line, with the hint at --help. */
int command_usage_fail(const char *program, const struct err *err);
/* "srun: text" on stderr. */
void command_say(const char *program, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void command_error(const char *program, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Options of a query command: one table a command. `value` gets the argument, `flag`
 * is set. With neither the option is known but not built: refused, with its help as reason. */
struct command_option {
    const char *name;
    char letter;
    const char *metavar; /* NULL: takes none; "[x": an optional one, "x" in help */
    const char *help;
    const char **value;
    bool *flag;
    const char *env; /* input variable or NULL */
};
/* Environment first, then the command line; *rest is the first word that is no
 * option. 0 or negative with *err. An entry without name ends the table. */
int command_options(const struct command_option *table, int argc, char **argv, int *rest,
                    struct err *err);
/* help: "Usage: name rest" and the options. */
void command_help(const char *name, const char *rest, const struct command_option *table);
void command_usage(const char *name, const char *rest, const struct command_option *table);

/* A query under construction; arena-owned. */
Sl__QueryRequest *command_query(struct arena *a, const char *what);
void command_filter(struct arena *a, Sl__QueryRequest *q, const char *key, const char *value);
/* Adds a field, returns its column. The same field is asked for once. */
size_t command_field(struct arena *a, Sl__QueryRequest *q, unsigned field_id);

/* Prints an Ack's per-object errors; exit code (0 when the Ack is clean). */
int command_ack(const char *program, const char *verb, const Sl__Ack *ack);

/* "sbatch: warning: ..." when the request has one. */
void command_warn(const char *program, const struct job_request *r);
/* The last act of a command: writes out stdout and returns code, or the error code when
 * something that was printed could not be written (a full disk). */
int command_end(const char *program, int code);

/* stdout with a large buffer, for long lists. */
void command_stdout_buffer(void);

#endif
