/* SPDX-License-Identifier: Apache-2.0
 *
 * command: what every user command does at its edges: version and error lines,
 * exit codes. For the query commands also the command line (command_options.c) and
 * the round from there to the answer.
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
/* What all query commands have behind their own rows: --help, --usage, --version and
 * --verbose, and those that say so --clusters and --federation, --json and --yaml. */
struct command_shared {
    bool help, usage, version, verbose, federated, json, yaml;
    const char *clusters;
};
extern struct command_shared command_shared;
/* --json or --yaml. */
static inline bool command_structured(void)
{
    return command_shared.json || command_shared.yaml;
}

/* A query command as its edges see it. */
struct command {
    const char *program;
    const struct command_option *options; /* an entry without name ends the table */
    const char *usage;                    /* behind the name: "[OPTIONS] [JOB...]" */
    bool operands;                        /* words may stand beside options */
    bool clusters;                        /* has --clusters and --federation */
    bool structured;                      /* has --json and --yaml */
    void (*help)(const struct command *cmd); /* instead of command_help() */
    /* The rest is for command_show(). NULL: there is no such thing. */
    bool (*answered)(void);        /* without the controller (--helpformat) */
    int (*check)(struct err *err); /* the values of options */
    int (*show)(struct client *c, struct err *err);
    const char **iterate;          /* seconds between two rounds of show */
};
/* Environment, then command line; *rest is the first word that is no option. True: go on.
 * False: it was answered (--help ...) or is wrong, and was said so; *code is the exit code. */
bool command_begin(const struct command *cmd, int argc, char **argv, int *rest, int *code);
/* The whole of a command that asks and prints: returns the exit code. */
int command_show(const struct command *cmd, int argc, char **argv);
/* "Usage: program usage" and the options. */
void command_help(const struct command *cmd);

/* A query under construction; arena-owned. */
Sl__QueryRequest *command_query(struct arena *a, const char *what);
void command_filter(struct arena *a, Sl__QueryRequest *q, const char *key, const char *value);
/* Adds a field, returns its column. The same field is asked for once. */
size_t command_field(struct arena *a, Sl__QueryRequest *q, unsigned field_id);

/* Prints an Ack's per-object errors; exit code (0 when the Ack is clean). */
int command_ack(const char *program, const char *verb, const Sl__Ack *ack);

/* "sbatch: text" for each item of an explanation (job/explain.h). */
void command_explain(const char *program, const char *lines);

/* "sbatch: warning: ..." when the request has one. */
void command_warn(const char *program, const struct job_request *r);
/* The last act of a command: writes out stdout and returns code, or the error code when
 * something that was printed could not be written (a full disk). */
int command_end(const char *program, int code);

/* "CLUSTER: name" over a listing for which --clusters was given. */
void command_cluster_line(const struct client *c);
/* stdout with a large buffer, for long lists. */
void command_stdout_buffer(void);

#endif
