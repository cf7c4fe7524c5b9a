/* SPDX-License-Identifier: Apache-2.0
 *
 * stdio: where the tasks' stdin, stdout and stderr lead.
 *
 *   /dev/null   "none", or nobody to read it
 *   file        opened here with the user's rights; tasks write to it directly
 *   root        a file for the whole of a step on several nodes: up the tree, the
 *               root writes it, so that one process truncates and appends
 *   stream      a pipe (or pty) through the tree to srun
 *
 * Backpressure: stdio_pause() while the way up is full; the pipes fill and the tasks block.
 */
#ifndef SL_STEPD_STDIO_H
#define SL_STEPD_STDIO_H

#include "stepd/stepd.h"

/* Decides and opens what the whole step shares. A negative return is for the
 * record; the step then ends with STATUS_IO_SETUP. */
int stdio_create(struct step *s, struct err *err);
void stdio_destroy(struct step *s);

struct stdio_child { /* what becomes 0, 1, 2 of a task; owned by the caller */
    int fd[3];
    bool pty; /* fd[0] is to be the controlling terminal */
};
/* Opens the task's own files and pipes; the parent's ends go to *t. */
int stdio_task_open(struct step *s, struct task *t, struct stdio_child *c, struct err *err);
/* Closes the child's ends in the parent and listens on ours. started: false when the
 * task could not be forked. */
void stdio_task_started(struct step *s, struct task *t, struct stdio_child *c, bool started);
/* Reads what an ended task left in its pipes. */
void stdio_task_flush(struct step *s, struct task *t);
/* Data for stdin of one task, or all (UINT32_MAX). */
void stdio_input(struct step *s, uint32_t rank, const void *p, size_t n, bool eof);
/* Largest stdin queue among the local tasks. */
size_t stdio_input_queued(const struct step *s);
void stdio_pause(struct step *s, bool pause);
bool stdio_paused(const struct step *s);
/* Everything below this process is gone: reads what is left, closes all. */
void stdio_finish(struct step *s);
void stdio_window(struct step *s, uint32_t rows, uint32_t cols);
/* At the root: data of a step-wide file. False when fd is not such a one. */
bool stdio_sink(struct step *s, unsigned fd, const void *p, size_t n);
/* A line for the user's stderr, when that is a file here. False: it is not. */
bool stdio_tell(struct step *s, const char *line);

#endif
