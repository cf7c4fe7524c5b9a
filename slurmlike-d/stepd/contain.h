/* SPDX-License-Identifier: Apache-2.0
 *
 * contain: what holds the processes of one step on this node together.
 *
 * Always: session, subreaper, and the walk of procs.h, which is exact while the supervisor
 * lives. With cgroup v2 also a group of our own, SLICE/job_J.R/step_S: killed in one
 * write, its memory limited, its out-of-memory kills counted.
 */
#ifndef SL_STEPD_CONTAIN_H
#define SL_STEPD_CONTAIN_H

#include "stepd/stepd.h"

struct contain;

/* The zygote, once: the cgroup v2 directory that steps' groups go in, made when it
 * is missing; NULL: none usable (or opts say "none"). Caller frees. */
char *contain_slice(const struct node_opts *opts);
/* Never fails: without a usable cgroup the walk alone has to do. slice may be NULL. */
struct contain *contain_create(const struct step *s, const char *slice);
void contain_destroy(struct contain *c); /* removes the group; NULL is a no-op */
/* fork(2), with the child in the group from its first instruction. No handler of
 * pthread_atfork(3) is called, and mpi_keep_from_tasks() took code away: the child must
 * only exec or _exit. */
pid_t contain_fork(struct contain *c);
/* To every process of the step but this one. */
void contain_signal(struct contain *c, int signal);
/* The kernel killed for want of memory in the group since contain_create. */
bool contain_oom(const struct contain *c);

#endif
