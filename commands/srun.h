/* SPDX-License-Identifier: Apache-2.0
 *
 * srun: one step from the user's terminal.
 *
 *   srun.c         options, the two ways to a step (own job, or inside an allocation)
 *   srun_step.c    the connection to the step's first node: attach, messages, its end
 *   srun_io.c      the tasks' output to ours, our input to the tasks
 *   srun_signal.c  Ctrl-C and other signals, task states
 *   pty.c          the terminal in raw mode
 *
 * One loop polls the signal descriptor, the controller, the step and stdin. All is
 * in one thread and one struct; nothing here outlives main().
 */
#ifndef SL_COMMANDS_SRUN_H
#define SL_COMMANDS_SRUN_H

#include "alloc.h"
#include "job/jobspec.h"

enum task_state { TASK_WAITING, TASK_RUNNING, TASK_ENDED };

struct line { /* what a task has written of a line that is not complete */
    struct buf text;
};

struct srun {
    struct job_request *req;
    struct alloc alloc;
    bool own_job;            /* outside an allocation: the job ends with the step */
    uint32_t job_id, step_id;
    struct wire_conn *manager; /* inside an allocation, until we own the step; else NULL */
    bool local;              /* the manager was reached on this machine */
    char *root_sock;         /* the root's Unix socket there; NULL: none */
    struct wire_conn *step;  /* to the step's root supervisor */
    Sl__Allocation *nodes;   /* the allocation, for names */
    Sl__StepLayout *layout;
    bool attached, done;
    int signal_fd;
    /* tasks */
    uint32_t ntasks;
    uint8_t *state;          /* enum task_state by rank */
    uint32_t running, ended;
    int code;                /* srun's exit code so far: the worst task's */
    bool oom;
    bool said_why;           /* a task's event told what went wrong */
    struct buf told;         /* what the supervisors told the user, for not saying it again */
    /* output */
    struct line *lines[2];   /* by rank; NULL: pass through */
    int label_width;
    bool out_gone[2];        /* our stdout or stderr takes no more */
    int out_error;           /* errno of output that was lost; 0: none, or nobody reads it */
    /* input */
    bool input_on, input_over;
    unsigned input_credit;
    /* signals */
    usec_t interrupted;      /* monotonic time of the last Ctrl-C, 0: none */
    unsigned aborts;         /* how often the user asked to abort */
    usec_t terminate_at;     /* monotonic: when tasks that did not heed it are ended; 0: never */
    bool raw;
};

extern const char srun_program[];

/* srun_step.c */
int srun_attach(struct srun *s, struct err *err);
/* Asks the job's manager for a step; waits for resources. */
int srun_create_step(struct srun *s, struct err *err);
/* Takes in what the step sent; negative: the connection is lost. */
int srun_step_pump(struct srun *s, struct err *err);
int srun_signal_tasks(struct srun *s, int signal);
int srun_terminate(struct srun *s);
const char *srun_node_name(const struct srun *s, uint32_t node_index);
/* "0-3,7" of ranks. */
char *srun_ranks(const uint32_t *ranks, size_t n);

/* srun_io.c */
void srun_io_start(struct srun *s);
void srun_io_output(struct srun *s, const Sl__IoData *d);
void srun_io_finish(struct srun *s);
void srun_io_fini(struct srun *s);
bool srun_input_wanted(const struct srun *s);
/* Reads stdin once and sends it. */
int srun_input_forward(struct srun *s, struct err *err);

/* srun_signal.c */
int srun_signals_open(struct srun *s, struct err *err);
/* Handles what has arrived. 1: give up now. */
int srun_signals_handle(struct srun *s);
/* For a child process: the caller's signal mask and handlers. */
void srun_signals_restore(void);

/* pty.c: the terminal on stdin; no-ops when it is none. */
void pty_size(uint32_t *rows, uint32_t *cols);
bool pty_raw(void);
void pty_restore(void);

#endif
