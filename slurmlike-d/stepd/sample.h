/* SPDX-License-Identifier: Apache-2.0
 *
 * sample: what a step uses: CPU time, memory, I/O.
 *
 * CPU time and I/O are exact: each process's own figures when it is reaped, plus those of
 * the living when asked. Memory is the largest sum over a task's processes seen
 * at a sample, and at least ru_maxrss of its largest process, so that a step shorter
 * than a sample has a value too.
 */
#ifndef SL_STEPD_SAMPLE_H
#define SL_STEPD_SAMPLE_H

#include "stepd/stepd.h"

struct sampler *sampler_create(struct step *s);
void sampler_destroy(struct sampler *sp);
/* A child has ended and is not reaped yet: its I/O can be read. t NULL: not a task. */
void sample_zombie(struct step *s, const struct task *t, pid_t pid);
void sample_reaped(struct step *s, const struct task *t, const struct rusage *ru);
/* Looks at every living process now. Returns their memory in KiB. */
uint64_t sample_now(struct step *s);
/* This node's figures so far into *u (texts stay owned by the step). */
void sample_fill(struct step *s, Sl__StepUsage *u);
/* Adds b (another node's) to a; the larger maximum wins. node: buffer of a's
 * rss_max_node, NAME_LEN_MAX + 1 bytes. */
void usage_merge(Sl__StepUsage *a, const Sl__StepUsage *b, char *node);

#endif
