/* SPDX-License-Identifier: Apache-2.0
 *
 * procs: the processes below this one.
 *
 * A supervisor is a child subreaper: whatever its tasks start stays below it, also when it
 * daemonizes, so walking down from it finds everything, and wait(2)'s ECHILD proves
 * that nothing is left. The zygote is one too: what a killed supervisor leaves
 * behind falls to it and is killed there.
 */
#ifndef SL_STEPD_PROCS_H
#define SL_STEPD_PROCS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct proc_list { /* parents before their children */
    pid_t *pids;
    size_t count, cap;
};
void proc_list_fini(struct proc_list *l);
/* Appends the direct children of pid (of all its threads). */
void procs_children(pid_t pid, struct proc_list *out);
/* Appends all below pid, without itself. */
void procs_below(pid_t pid, struct proc_list *out);
/* Sends the signal to everything below pid, again until a walk finds no process that was
 * not signalled yet (forks race with the walk). Returns how many got it. */
size_t procs_signal(pid_t pid, int signal);

struct proc_usage { /* sums over a set of processes, now */
    uint64_t rss_kib, vsize_kib, read_bytes, write_bytes, faults;
    int64_t user_usec, system_usec;
};
/* Adds one process's figures; false when it is gone. */
bool proc_usage_add(pid_t pid, struct proc_usage *u);
/* Only its I/O; works for a zombie too, and then includes its reaped children's. */
bool proc_io_add(pid_t pid, struct proc_usage *u);
void proc_usage_sum(struct proc_usage *a, const struct proc_usage *b);

#endif
