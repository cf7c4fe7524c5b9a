/* SPDX-License-Identifier: Apache-2.0
 *
 * stepd: slurmlike-stepd, the supervisor of one step on one node.
 *
 * slurmlike-d starts one `slurmlike-stepd` (the zygote, zygote.c) with a socketpair
 * on fd 3. For each STEP_SPAWN the zygote forks, or an idle child has it (idle.h);
 * that is the supervisor (supervisor.c). It runs the tasks as the user (tasks.c, user.c,
 * bind.c),
 * carries their stdio (stdio.c) along a tree of supervisors (tree.c) to srun and
 * sattach (attach.c), hands out steps within the allocation when it is the job's
 * manager (manager.c), measures (sample.c), leaves no process behind
 * (contain.c), and puts the result on disk (spool.c) before it tells its daemon (dlink.c).
 *
 * A supervisor has one thread and one libevent loop. (PMIx has a thread of its own in
 * mpi_pmix.so; it hands everything over by a queue.) Its life is one line:
 *
 *   WAITING owner attached -> RUNNING last task ended -> DRAINING nothing left, output
 *   out, children done -> REPORTING daemon has the result -> exit, or idle (idle.h)
 *
 * It outlives its daemon, and re-dials spool/d.sock until one is there again.
 * It never interprets what a user's program prints, never opens a user's file with
 * more rights than the user has, and never decides about resources outside its
 * job's allocation.
 */
#ifndef SL_STEPD_H
#define SL_STEPD_H

#include "base/buf.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/timefmt.h"
#include "job/state.h"
#include "wire/wire.h"
#include <event2/event.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/resource.h>

/* ---- limits ------------------------------------------------------------------------- */

#define TREE_WIDTH 16u                   /* children of a supervisor in the step's tree */
#define STDIO_CHUNK_BYTES (64u << 10)    /* one read of a task's pipe: a pipe's capacity */
#define STDIN_QUEUE_BYTES_MAX (1u << 20) /* kept for a task that does not read */
#define TASKS_PER_NODE_MAX 16384u
#define WATCHERS_MAX 64u                 /* sattach connections of one step */
#define ATTACH_WAIT_USEC (60 * USEC_PER_SEC) /* for srun, and for a parent supervisor */
#define ABORT_GRACE_USEC (2 * USEC_PER_SEC)  /* TERM to KILL when a task's failure ends the step */
#define REPORT_DELAY_USEC (100 * 1000)   /* a step that is shorter is only reported ended */
#define REDIAL_USEC_MIN (50 * 1000)
#define REDIAL_USEC_MAX (1 * USEC_PER_SEC)

/* ---- what the daemon says once for all steps (zygote's command line) ----------------- */

struct node_opts {
    const char *spool;        /* the node's spool directory; d.sock is in it */
    const char *node;         /* node name */
    const char *mpi_default;  /* "pmix" or "none" */
    const char *cpu_bind;     /* default --cpu-bind */
    const char *munge_socket; /* "" : munge's default */
    const char *cgroup;       /* "auto", "none", or a cgroup v2 directory that is ours */
    const char *slice;        /* what the zygote made of it; NULL: none usable */
    const char *module_dir;   /* where mpi_pmix.so is */
    uid_t node_uid;           /* who runs the node daemons */
    usec_t kill_wait;         /* where a termination names none */
    usec_t sample_interval;   /* 0: only at the end */
    bool synthetic;           /* cpu numbers are not this machine's: nothing is bound */
    bool starting;            /* STARTING_FD is open: close it once the folder is there */
    bool memory_enforce;      /* a step over its memory is killed where cgroups do not */
};

/* Shared lock on spool/starting: a new daemon waits until nobody holds it any more who
 * might still start a step. */
#define STARTING_FD 4

/* ---- one task --------------------------------------------------------------------------- */

struct step;
struct task;

struct stream_out { /* stdout or stderr of one task, when it comes through us */
    struct task *task;
    unsigned number; /* 1 or 2 */
    int fd;          /* -1: closed, or not through us */
    struct event *ev;
};
struct stream_in { /* stdin of one task */
    int fd;          /* -1: closed, or not through us */
    bool eof;        /* close when the queue is out */
    struct buf queue;
    struct event *ev;
};
struct task {
    struct step *step;
    uint32_t rank;  /* in the step */
    uint32_t local; /* on this node */
    pid_t pid;      /* 0: not started */
    bool ended;
    bool told;      /* its end went up */
    bool pty;
    int status;     /* wait(2) status */
    struct rusage ru;
    struct stream_in in;
    struct stream_out out[2]; /* stdout, stderr */
};

/* ---- one step ---------------------------------------------------------------------------- */

enum step_phase { PHASE_NONE, PHASE_WAITING, PHASE_RUNNING, PHASE_DRAINING, PHASE_REPORTING };

struct user {
    uid_t uid;
    gid_t gid;
    char *name;
    gid_t *groups; /* supplementary */
    int groups_count;
    bool drop;     /* we are root and must become the user; false: we already are */
};

struct step {
    const struct node_opts *opts;
    struct event_base *base;
    Sl__StepLaunch *launch; /* owned; job, spec and layout are never NULL */
    uint32_t job_id, restart, step_id;
    uint32_t node_index;    /* of layout.nodes */
    uint32_t nodes_count;
    char name[48];          /* "12.0", "12.batch" */
    bool batch;             /* script, no srun behind it */
    bool root;              /* node 0 of the step's tree */
    bool manager;
    char *dir;              /* spool/step.J.R.S */
    struct user user;
    struct arena arena;     /* lives as long as the step */
    enum step_phase phase;

    struct task *tasks;
    uint32_t tasks_count, tasks_running;

    /* outcome */
    usec_t clock_offset;    /* wall - monotonic at its birth */
    usec_t start, end;
    int status;             /* worst wait(2) status so far, of the whole subtree */
    uint32_t state;         /* job_state to record: 0 from the status */
    bool oom;
    char text[256];         /* why it failed, for the record */
    Sl__StepUsage usage;    /* of the subtree; rss_max_node lives in usage_node */
    char usage_node[NAME_LEN_MAX + 1];
    bool start_reported, local_done;
    bool over;              /* the daemon has the result: this process may end */
    struct err setup;       /* why the tasks cannot be started; code 0: they can */
    int setup_status;

    /* ending */
    bool terminating, killed;
    bool aborted;           /* root: tree_abort gave the status; who we kill does not */
    bool childless;         /* wait(2) said that no process is left below */
    usec_t kill_deadline;   /* monotonic */
    usec_t suspended_since, suspended_total;
    struct event *kill_timer, *limit_timer, *attach_timer, *start_timer, *prepare_timer;
    struct event *sigchld_ev;
    int sigchld_fd;

    struct bind_topo *bind_topo; /* in the arena; NULL: not asked for yet */
    struct stdio *stdio;
    struct contain *contain;
    struct dlink *dlink;
    struct wire_listener *local; /* clients on this machine; NULL: none */
    struct tree *tree;
    struct attach *attach;   /* root only */
    struct manager *steps;   /* manager only */
    struct sampler *sampler;
    struct mpi *mpi;
};

/* ---- supervisor.c ---------------------------------------------------------------------------- */

/* Becomes the supervisor of this step, and of later ones (idle.h); does not return. Owns
 * launch. */
struct idle_seat;
void supervisor_run(const struct node_opts *opts, Sl__StepLaunch *launch,
                    const struct idle_seat *seat) __attribute__((noreturn));
/* The owner is there (or none is needed): start the tasks. No-op when they were. */
void step_go(struct step *s);
/* SIGTERM and after kill_wait SIGKILL to everything of this node's part; 0: SIGKILL at
 * once. state: what the step is recorded as, 0 keeps what it is. Repeating it can
 * only make it sooner. */
void step_terminate(struct step *s, usec_t kill_wait, uint32_t state);
/* Carries out a termination, signal or suspension from the daemon or srun. */
void step_signal(struct step *s, int signal, const uint32_t *ranks, size_t ranks_count);
void step_suspend(struct step *s, bool stop);
/* A line for the user's stderr: "slurmstepd: error: ..."; step_note without that prefix. */
void step_tell(struct step *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void step_note(struct step *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void step_tell_line(struct step *s, const char *line); /* as it is, without newline */
/* Worst of two wait(2) statuses: the higher shell exit code (128+signal). */
int status_worst(int a, int b);
/* Looks whether the step can go on to its next phase. Cheap; call after any change. */
void step_advance(struct step *s);

/* ---- one-shot timers ---------------------------------------------------------------------------- */

void timer_set(struct step *s, struct event **ev, usec_t delay,
               void (*fn)(evutil_socket_t, short, void *), void *arg);
void timer_stop(struct event **ev);

#endif
