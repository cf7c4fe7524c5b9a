/* SPDX-License-Identifier: Apache-2.0
 *
 * logtarget: where log lines go. Internal to log.c, which holds the lock.
 */
#ifndef SL_BASE_LOGTARGET_H
#define SL_BASE_LOGTARGET_H

#include "err.h"
#include "log.h"

enum logtarget_kind { LOGTARGET_STDERR, LOGTARGET_SYSLOG, LOGTARGET_JOURNALD, LOGTARGET_FILE };

struct logtarget {
    enum logtarget_kind kind;
    int fd;        /* socket or file; -1: none */
    char *path;    /* of socket or file; owned; may be NULL */
    char *program; /* owned; may be NULL before log_init() */
};

/* On failure *t is not touched. */
int logtarget_open(struct logtarget *t, const char *program, const char *target,
                   struct err *err);
void logtarget_close(struct logtarget *t);
/* 0, or -errno when the line was lost. */
int logtarget_write(struct logtarget *t, enum log_level level, const char *area,
                    const char *message);

#endif
