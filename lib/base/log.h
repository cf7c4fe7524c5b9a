/* SPDX-License-Identifier: Apache-2.0
 *
 * log: one line a message, `level area key=value ... message`.
 *
 * Log once, where the error is handled; never in the core. LOG_ERROR means
 * that a person must act. After LOG_BURST messages of one format string within
 * a second its repeats are counted and summed up in one line (errors, warnings
 * and info; who asks for verbose or debug gets all of it). Thread-safe, and safe
 * in the child of fork(): this is one of the two places in the tree that hold a
 * mutex.
 *
 * Targets: "stderr", "syslog", "journald" (native protocol; "journald:PATH" for
 * another socket than the standard one), or a file path beginning with "/" or
 * "./" (opened O_APPEND|O_CLOEXEC, reopened by log_reopen() for logrotate).
 * Before log_init() messages go to stderr at level info.
 */
#ifndef SL_BASE_LOG_H
#define SL_BASE_LOG_H

#include "err.h"

#include <stdbool.h>

#define LOG_BURST 10       /* of one format, a second, before repeats are summed up */
#define LOG_LINE_MAX 4096  /* bytes; a longer line is cut with "..." */

enum log_level { LOG_NONE, LOG_L_ERROR, LOG_L_WARN, LOG_L_INFO, LOG_L_VERBOSE, LOG_L_DEBUG, LOG_L_COUNT };

/* program: name in front of each line; target as above, NULL = stderr.
 * Returns 0 or a negative code (file cannot be opened ...). Callable again. */
int log_init(const char *program, const char *target, enum log_level level,
             struct err *err);
void log_fini(void);
int log_reopen(struct err *err);
/* Writes out the sums of repeats whose second is over. Any message does so too;
 * a daemon calls it from a timer so that a burst before silence is told. */
void log_flush(void);
bool log_is_stderr(void);
void log_level_set(enum log_level level);
enum log_level log_level_get(void);
/* "error" "warn" "info" "verbose" "debug" -> level, or LOG_NONE. */
enum log_level log_level_parse(const char *name);
const char *log_level_name(enum log_level level);

void log_msg(enum log_level level, const char *area, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#define log_error(area, ...) log_msg(LOG_L_ERROR, area, __VA_ARGS__)
#define log_warn(area, ...) log_msg(LOG_L_WARN, area, __VA_ARGS__)
#define log_info(area, ...) log_msg(LOG_L_INFO, area, __VA_ARGS__)
#define log_verbose(area, ...) log_msg(LOG_L_VERBOSE, area, __VA_ARGS__)
#define log_debug(area, ...) log_msg(LOG_L_DEBUG, area, __VA_ARGS__)

#endif
