/* SPDX-License-Identifier: Apache-2.0
 *
 * mpi_module: the line between a supervisor and a module that starts MPI (mpi_pmix.so).
 *
 * Both sides run on the supervisor's loop thread only. What a module says to its
 * like on other nodes of the step is opaque to the supervisors that carry it.
 */
#ifndef SL_STEPD_MPI_MODULE_H
#define SL_STEPD_MPI_MODULE_H

#include "stepd/stepd.h"

struct mpi_msg { /* PmixMsg of slurmlike.proto, borrowed */
    uint32_t kind;      /* of the module; 0: node `from`, a child of this one, is lost */
    uint64_t sequence;
    const char *set;    /* "" or a text */
    const void *data;
    size_t data_bytes;
    int32_t status;
    uint32_t rank;
    uint32_t from, to;  /* layout indices */
    uint64_t request;
    uint32_t number;
};

enum mpi_way {
    MPI_WAY_UP,   /* to the next supervisor above */
    MPI_WAY_DOWN, /* to all that are directly below */
    MPI_WAY_TO    /* to msg.to, wherever it is; to this node itself: at once */
};

/* What the supervisor does for a module. */
struct mpi_host {
    struct step *step;
    /* False when nobody can get it. */
    bool (*send)(struct step *s, enum mpi_way way, const struct mpi_msg *m);
    /* Ends the whole step with that wait(2) status. */
    void (*abort)(struct step *s, int status, const char *text);
    /* Removes a folder with all in it, which may be the user's. */
    void (*remove)(const char *dir);
    /* A line for the user's stderr. */
    void (*tell)(struct step *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
    void (*log)(enum log_level level, const char *area, const char *fmt, ...)
        __attribute__((format(printf, 3, 4)));
};

/* What a module does; the symbol mpi_module. */
struct mpi_module {
    const char *version; /* PACKAGE_VERSION of its build */
    /* In the zygote: what all its supervisors can inherit. It may set the environment, which
     * threads of a supervisor read; it must not start a thread. */
    int (*preload)(struct err *err);
    int (*start)(const struct mpi_host *h, struct err *err);
    /* orderly: no task can be in the middle of something. Else threads may go on and the
     * process has to end by _exit(2). */
    void (*stop)(bool orderly);
    /* The task's further environment, NAME=VALUE, NULL-terminated; from the arena. */
    char **(*task_env)(const struct task *t, struct arena *a, struct err *err);
    /* Has this task, which has ended, left the others waiting for ever? */
    bool (*task_broke)(const struct task *t);
    void (*message)(const struct mpi_msg *m);
};

#endif
