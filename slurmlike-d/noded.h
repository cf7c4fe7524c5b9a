/* SPDX-License-Identifier: Apache-2.0
 *
 * noded: slurmlike-d, one per node (or several with distinct names, ports and
 * spools on one machine).
 *
 * It registers what the node is made of, keeps one link to the controller,
 * starts a supervisor (stepd/) for every step through the zygote, hands
 * connections for supervisors over to them, and makes sure that every report
 * reaches the controller and that no process of a finished job is left. It
 * decides nothing about jobs and holds no user's data beyond the spool files.
 *
 * One thread, one libevent loop. What it knows is on disk before it is acted on:
 *
 *   spool/start.ID.RESTART      the Launch, mode 0600, until its first step is up
 *   spool/job.ID.RESTART        ... and from then on
 *   spool/spare.N               launch files of past jobs, for later ones
 *   spool/idle.PID/             folders of supervisors that wait for a step (stepd/idle.h)
 *   spool/reports               reports that the controller has not acknowledged
 *   spool/boot_id               boot in which the spool was written
 *   spool/step.J.R.S/           a supervisor's own folder: pid, result
 *   spool/d.sock                supervisors dial this
 *   spool/port                  the TCP port that --port 0 came to
 *
 * A killed daemon therefore finds its jobs again: supervisors re-dial d.sock, and a
 * step folder whose process is gone is a supervisor that died.
 */
#ifndef SL_NODED_H
#define SL_NODED_H

#include "conf/conf.h"
#include "wire/wire.h"
#include <event2/event.h>
#include <uthash.h>

struct noded;

/* ---- options (command line over configuration) -------------------------------- */

struct noded_opts {
    const char *name;       /* node name; NULL: host name up to the first dot */
    const char *addr;       /* where peers reach us; NULL: host name */
    uint32_t port;          /* with port_given; 0: any */
    bool port_given;
    const char *topology;   /* "real", "synthetic:...", FILE.xml; NULL: real */
    const char *gres;       /* "gpu:a100:4,nic:2"; NULL: configured */
    const char *features;
    uint64_t memory_mib;    /* 0: what the topology or the machine has */
    const char *controller; /* "host:port"; NULL: configured */
    const char *spool;      /* NULL: configured */
    const char *stepd;      /* supervisor program; NULL: installed */
    const char *munge_socket;
};

/* ---- jobs and steps on this node ------------------------------------------------ */

struct step_key { uint32_t job_id, restart, step_id; };
struct job_key { uint32_t job_id, restart; };

enum step_state {
    STEP_SPAWNED,   /* asked the zygote, no hello yet */
    STEP_LINKED,    /* supervisor connected */
    STEP_DETACHED,  /* found in the spool, or its link broke while its process lives */
    STEP_CLEANING,  /* supervisor died: killing what it left */
};

struct step { /* one supervisor; owned by its job */
    struct step_key key;
    struct job *job;
    enum step_state state;
    bool manager, ended; /* ended: its STEP_END was reported */
    pid_t pid;
    uint64_t pid_start;      /* /proc/PID/stat field 22, tells a reused pid */
    struct wire_link *link;
    struct event *timer;     /* hello deadline, liveness check, kill rounds */
    unsigned check_msec;     /* next liveness check */
    struct wire_link *asker; /* who sent STEP_LAUNCH and waits for the reply */
    uint32_t asker_tag;
    struct wire_link *watcher; /* manager that wants to know of the step's end */
    bool done_told;          /* ... and does */
    bool unwanted;           /* to be ended as soon as it says hello */
    bool cancelled;          /* ... with the usual grace */
    uint64_t spawn_tag;
    Sl__StepRecord *record;  /* from its hello, to report a death; NULL: none */
    Sl__StepUsage usage;     /* last living figures; texts are the daemon's */
    bool usage_fresh;        /* not sent to the controller yet */
    bool unrecorded;         /* a report of its could not be written: it will be asked again */
    UT_hash_handle hh;       /* in noded.steps */
};

enum job_phase { JOB_PROLOG, JOB_PRESENT, JOB_ENDING, JOB_EPILOG };

struct job { /* owned by noded.jobs */
    struct job_key key;
    struct noded *d;
    Sl__Launch *launch;      /* without script and env after the start */
    enum job_phase phase;
    bool done_reported;      /* JOB_DONE went out */
    bool launched_reported;
    bool clean_reported;     /* JOB_DONE said node_clean: no NODE_CLEAN follows */
    bool started;            /* its first supervisor said hello: start.J.R is now job.J.R */
    unsigned steps_count;
    struct script_run *script; /* prolog or epilog under way */
    UT_hash_handle hh;
};

struct noded {
    struct noded_opts opts;
    struct conf *conf;       /* own file or defaults, then the controller's text */
    struct event_base *base;
    char *name, *addr, *spool, *controller, *munge_socket, *conf_text;
    uint32_t port;
    uid_t node_uid, ctld_uid;
    char boot_id[64];
    usec_t started;
    struct job *jobs;
    unsigned spares;         /* spool/spare.0 ... are there */
    struct step *steps;
    struct ctld_link *ctld;
    struct report_log *reports;
    int starting_fd;         /* spool/starting, shared lock: see spool_settle() */
    struct zygote *zygote;
    struct route_table *routes;
    struct wire_listener *supervisors;
    struct ask *asks;        /* step launches that wait for their job */
    size_t asks_count;
    bool stopping;
};

/* ---- inventory.c: what the node is made of ------------------------------------------ */

/* A registration without jobs and reports; sl__node_register__free_unpacked(r, NULL).
 * NULL and *err when the topology cannot be read or a gres text is malformed. */
Sl__NodeRegister *inventory_read(const struct noded *d, struct err *err);
void inventory_load(double *load1, uint64_t *mem_free_mib);
void inventory_boot_id(char *out, size_t n);

/* ---- ctld_link.c: the connection to the controller ------------------------------------ */

int ctld_link_start(struct noded *d, struct err *err);
void ctld_link_stop(struct noded *d);
/* Sends what report_log has queued, when registered. */
void ctld_link_kick(struct noded *d);
/* The same, in 10 ms if nothing goes before. */
void ctld_link_kick_later(struct noded *d);

/* ---- reports.c: at-least-once reports ---------------------------------------------------- */

struct report_log *report_log_open(const char *path, struct err *err);
void report_log_close(struct report_log *log);
/* Gives the report its seq, appends it to the file, queues it. 0 or negative: the
 * caller must not acknowledge the supervisor then. */
int report_log_add(struct report_log *log, Sl__JobReport *report, struct err *err);
/* For what nobody would repeat: queued in memory when the file cannot be written. A daemon
 * that dies before it is sent leaves it to the comparison at its registration. */
void report_log_keep(struct report_log *log, Sl__JobReport *report);
void report_log_ack(struct report_log *log, uint64_t seq);
/* Not acknowledged, oldest first; valid until the log changes. */
Sl__JobReport **report_log_pending(struct report_log *log, size_t *count);
/* Those added since the last call (or all after report_log_rewind). */
Sl__JobReport **report_log_unsent(struct report_log *log, size_t *count);
void report_log_rewind(struct report_log *log);
/* The run is over and clean here, and the controller has not said that it knows. */
bool report_log_has_end(const struct report_log *log, uint32_t job_id, uint32_t restart);

/* ---- jobs.c: presence of jobs, prolog to epilog ------------------------------------------- */

void jobs_load(struct noded *d);
void jobs_fini(struct noded *d); /* forgets them; the jobs go on */
void job_launch(struct noded *d, Sl__Launch *launch); /* owns launch */
/* Its first step need not be started by this daemon any more. */
void job_started(struct noded *d, struct job *j);
void job_terminate(struct noded *d, const Sl__Terminate *t);
struct job *job_find(struct noded *d, uint32_t job_id, uint32_t restart);
struct job *job_find_any(struct noded *d, uint32_t job_id); /* highest restart */
/* A supervisor of the job is gone for good: go on with ending when it was the last. */
void job_step_gone(struct noded *d, struct job *j);
void job_report(struct noded *d, const struct job *j, Sl__ReportKind kind, const char *text);

/* ---- steps.c: supervisors -------------------------------------------------------------------- */

int zygote_start(struct noded *d, struct err *err);
void zygote_stop(struct noded *d);
/* The next step gets a new one, with the settings of then; what this one was asked for it
 * still does. */
void zygote_retire(struct noded *d);
int supervisors_listen(struct noded *d, struct err *err);
void supervisors_close(struct noded *d);
void step_drop(struct noded *d, struct step *s); /* the record, not the step */
/* Starts a supervisor for this node's part of the step. asker: gets STEP_LAUNCH_REPLY
 * with tag when it is up or has failed; NULL for none. */
int step_spawn(struct noded *d, struct job *j, const Sl__StepLaunch *launch,
               struct wire_link *asker, uint32_t tag, struct err *err);
struct step *step_find(struct noded *d, uint32_t job_id, uint32_t restart, uint32_t step_id);
/* Step folders of a former daemon: waits for their supervisors or finds them dead. */
void steps_load(struct noded *d);
void step_send_terminate(struct step *s, const Sl__Terminate *t);
/* STEP_LAUNCH from a manager on any node. */
void step_launch_request(struct noded *d, struct wire_link *from, uint32_t tag,
                         const Sl__StepLaunch *m);
/* STEP_WATCH from a manager on any node. */
void step_watch_request(struct noded *d, struct wire_link *from, const Sl__StepWatch *m);
/* STEP_TERMINATE from a manager: one step, whose launch has failed elsewhere. */
void step_end_request(struct noded *d, const Sl__Terminate *t);
/* The job is present now: serves the requests that waited for it, and refuses those
 * that waited too long (also with j NULL). */
void steps_job_present(struct noded *d, struct job *j);
/* Living figures that came since the last call, for the next ping; valid until the loop
 * goes on. */
size_t steps_usage(struct noded *d, Sl__StepUsage **out, size_t max);
void steps_forget_link(struct noded *d, struct wire_link *l);

/* ---- routes.c: the TCP port ---------------------------------------------------------------------- */

int routes_listen(struct noded *d, struct err *err);
void routes_close(struct noded *d);
/* A supervisor came up: hand over the connections that wait for it. */
void routes_step_up(struct noded *d, struct step *s);
/* Peers that wait for a supervisor of this job need not wait any longer. */
void routes_job_gone(struct noded *d, uint32_t job_id);

/* ---- script.c: prolog and epilog --------------------------------------------------------------------- */

typedef void (*script_done_f)(struct noded *d, int status, const char *output, void *arg);
/* Runs path with the job's variables as this process's user; done is called once, also
 * for a timeout (status -1). NULL and *err when it cannot be started. */
struct script_run *script_start(struct noded *d, const char *path, const Sl__JobInfo *job,
                                const char *context, script_done_f done, void *arg,
                                struct err *err);
void script_cancel(struct script_run *r);

/* ---- procs.c: processes of a job --------------------------------------------------------------------- */

/* SIGKILLs every process of the step on this node: those whose environment carries the
 * job's secret, this step id and this (perhaps virtual) node's name. Returns how many were found (0: none left). */
unsigned procs_kill(const ProtobufCBinaryData *secret, uint32_t step_id, const char *node);
uint64_t proc_start_time(pid_t pid); /* 0: no such process */

#endif
