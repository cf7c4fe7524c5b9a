/* SPDX-License-Identifier: Apache-2.0
 *
 * worker: one program, a subcommand for each task. main.c holds their table;
 * each takes its own argv (argv[0] is its name), prints its errors as one line
 * each on stderr and returns the exit code.
 */
#ifndef WORKER_COMMAND_H
#define WORKER_COMMAND_H

#include "base/err.h"

/* Exit codes, also in worker --help. */
enum {
    EXIT_OK = 0,
    EXIT_ERROR = 1,    /* something failed */
    EXIT_USAGE = 2,    /* wrong options or values */
    EXIT_DIVERGED = 3, /* loss or gradient is not finite: retrying will not help */
    EXIT_REQUEUE = 75, /* stopped by a signal after a checkpoint: run me again */
};

int tokenize_main(int argc, char **argv);
int pretrain_main(int argc, char **argv);
int inspect_main(int argc, char **argv);

/* "worker NAME: text" on stderr; returns code. */
int command_fail(const char *name, const struct err *err, int code);

#endif
