/* SPDX-License-Identifier: Apache-2.0
 *
 * pidlock: a file that one process at a time holds locked, with its pid inside. The
 * lock goes with the process however that dies.
 */
#ifndef SL_BASE_PIDLOCK_H
#define SL_BASE_PIDLOCK_H

#include "base/err.h"

#include <sys/types.h>

/* How long a killed predecessor may take to be gone: its lock lives until its last
 * thread has ended, which takes a while with gigabytes to free. */
#define PIDLOCK_WAIT_MSEC 2000

/* Creates path with mode when missing, locks it and writes the own pid. When another
 * process holds it, waits up to wait_msec for the end of that process, so that a daemon
 * may be started in the instant in which the former one is killed. The descriptor, to be
 * kept open for as long as the lock is needed; -EBUSY with *holder (0: not known) when
 * the other lives on; another negative code when the file cannot be used. */
int pidlock_take(const char *path, mode_t mode, int wait_msec, pid_t *holder, struct err *err);

#endif
