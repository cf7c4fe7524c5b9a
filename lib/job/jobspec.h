/* SPDX-License-Identifier: Apache-2.0
 *
 * job: from what a user typed to a checked Sl__JobSpec, and to SLURM_* variables.
 *
 * The option table (option.c) is the one list of sbatch/srun/salloc options:
 * long and short name, argument, which commands know it, input environment
 * variables, where the value goes, help, and `unsupported` with its reason for
 * those not built. The parser, #SBATCH lines, --help, --usage, completion, manual
 * pages and tests read it. job never talks to the controller.
 */
#ifndef SL_JOB_JOBSPEC_H
#define SL_JOB_JOBSPEC_H

#include "base/buf.h"
#include "base/err.h"
#include "base/timefmt.h"
#include "wire/slurmlike.pb-c.h"
#include <stdbool.h>

enum job_command { JOB_CMD_NONE, JOB_CMD_SBATCH = 1, JOB_CMD_SALLOC = 2, JOB_CMD_SRUN = 4 };

/* Everything one command line says. Strings live in `arena`. */
struct job_request {
    struct arena arena;
    enum job_command command;
    Sl__JobSpec spec;   /* initialised; pointers into arena */
    Sl__StepSpec step;  /* srun: the step (also inside an allocation) */
    /* options that act in the command itself */
    bool help, usage, version, test_only, parsable, wait, quiet, json, no_shell, immediate, pty;
    bool disable_status, quit_on_interrupt;
    int bell;               /* salloc: -1 by itself, 0 never, 1 always */
    int kill_command;       /* salloc -K: signal for the command, 0 none */
    int verbose;
    int64_t immediate_usec; /* how long -I waits; 0: start at once or fail */
    const char *wrap, *export_file, *mpi, *jobid;
    const char *warning;    /* for the user, one line; NULL: none */
    const char *srun_prolog, *srun_epilog; /* run by srun itself; NULL: none */
    /* srun --output/--error given as a task number: only that task is shown */
    bool has_stdout_task, has_stderr_task;
    uint32_t stdout_task, stderr_task;
    int argc;           /* what follows the options */
    char **argv;
    const char *het_group;    /* srun --het-group; NULL: not given */
    struct job_request *next; /* the next component of a heterogeneous job, owned; NULL: none */
};

struct job_request *job_request_create(enum job_command command);
void job_request_destroy(struct job_request *r);
/* Specifications of the components behind the first, in the first's arena. */
Sl__JobSpec **job_request_het(struct job_request *r, size_t *count);
/* Order as sbatch(1): #SBATCH lines < environment < command line; each call
 * overrides what earlier calls with a lower rank set. Errors name the source
 * ("job.sh line 3", "SBATCH_TIMELIMIT", "--time"), the option and the value. */
int job_request_script(struct job_request *r, const char *name, const char *text, size_t n, struct err *err);
int job_request_env(struct job_request *r, char *const *env, struct err *err);
int job_request_argv(struct job_request *r, int argc, char **argv, struct err *err);
/* Cross-field rules, defaults, derived sizes; last step before sending. */
int job_request_finish(struct job_request *r, usec_t now, struct err *err);
/* Variables for the job from the caller's: --export and --export-file (text of
 * NUL-separated pairs, may be NULL). The result is NULL-terminated, in the arena. */
int job_request_export(struct job_request *r, char *const *env, const char *file, size_t file_n,
                       char ***out, size_t *count, struct err *err);
void job_print_help(enum job_command command, void *file);
void job_print_usage(enum job_command command, void *file);

/* The same checks on a spec from the wire: ranges, lengths, counts, names. The
 * controller calls this on every submission. */
int jobspec_check(const Sl__JobSpec *spec, struct err *err);
int stepspec_check(const Sl__StepSpec *spec, struct err *err);

/* --gres / --gpus / --tres-per-* syntax: "gpu:a100:2,mps:50". Appends. */
int gres_parse(const char *text, Sl__GresPer per, struct arena *a, Sl__GresReq ***list,
               size_t *count, struct err *err);
/* "0-15:4,20%2" -> sorted task ids below task_max (0: ARRAY_TASKS_MAX) (arena), count, *throttle (0: none). */
int array_parse(const char *text, uint32_t task_max, struct arena *a, uint32_t **ids,
                size_t *count, uint32_t *throttle, struct err *err);
/* Smallest text for a set of task ids: "0-15:4,20"; arena. */
char *array_format(struct arena *a, const uint32_t *ids, size_t count);

/* Tasks over nodes: how many tasks on each node, and which ranks, from cpus per
 * node, ntasks, cpus_per_task, ntasks_per_node and distribution (srun(1) -m
 * "block" "cyclic" "plane=N" and their combinations' first part). tasks_out[i] gets
 * the count; rank_node[r] the node of rank r (arrays from the arena). */
/* A node may get no task when ntasks < nodes_count. "arbitrary" is SL_ENOT_BUILT. */
struct layout {
    uint32_t nodes_count, ntasks;
    uint32_t *tasks_per_node; /* [nodes_count] */
    uint32_t *rank_node;      /* [ntasks] */
};
int layout_make(const uint32_t *cpus_per_node, uint32_t nodes_count, uint32_t ntasks,
                uint32_t cpus_per_task, uint32_t ntasks_per_node, const char *distribution,
                bool overcommit, struct arena *a, struct layout *out, struct err *err);
/* Checks a -m text ("" is fine); *plane (may be NULL) gets N of "plane=N", else 0. */
int distribution_check(const char *text, uint32_t *plane, struct err *err);
/* "2(x3),1" of SLURM_TASKS_PER_NODE / SLURM_JOB_CPUS_PER_NODE; arena. */
char *layout_counts(struct arena *a, const uint32_t *counts, size_t n);

/* Output variables (sbatch(1), srun(1) "OUTPUT ENVIRONMENT VARIABLES") as
 * NAME=VALUE, appended to env (arena strings; later wins over earlier). v is
 * NULL-terminated once it holds something. env_job is complete for a batch script
 * (but SLURM_TASK_PID) and for salloc's command; env_step holds all that env_job
 * does for the job itself; env_task adds one task's (pid 0: not known yet). */
struct env_list { char **v; size_t count, cap; struct arena *arena; };
void env_list_init(struct env_list *e, struct arena *a);
void env_list_set(struct env_list *e, const char *name, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
const char *env_list_get(const struct env_list *e, const char *name);
void env_list_unset(struct env_list *e, const char *name);
void env_job(struct env_list *e, const Sl__JobInfo *job);              /* batch script, salloc */
void env_step(struct env_list *e, const Sl__JobInfo *job, const Sl__StepSpec *spec, const Sl__StepLayout *layout, uint32_t node_index);
void env_task(struct env_list *e, const Sl__StepLayout *layout, uint32_t node_index, uint32_t rank, uint32_t local_rank, int pid);

/* Filename patterns of sbatch(1)/srun(1): %% %A %a %J %j %N %n %s %t %u %x %b
 * and %5j padding; `\\\\` anywhere: nothing is replaced. pattern "": sbatch's
 * "slurm-%j.out" or "slurm-%A_%a.out". Relative results are joined to the job's
 * work_dir. rank NO_VAL: a step-wide file. Returns arena text, or NULL and *err. */
char *filename_expand(struct arena *a, const char *pattern, const Sl__JobInfo *job,
                      uint32_t step_id, uint32_t rank, uint32_t node_index, const char *node,
                      struct err *err);
/* True when the pattern gives one file a task (%t) or a node (%N %n). */
bool filename_per_task(const char *pattern);
bool filename_per_node(const char *pattern);

/* srun --multi-prog: the command of one rank from the configuration's text; `more` are the
 * arguments of srun's own command line. argv is NULL-terminated, in the arena. */
int multiprog_argv(const char *text, size_t n, uint32_t rank, char *const *more,
                   size_t more_count, struct arena *a, char ***argv, size_t *argc,
                   struct err *err);

/* Signals by name or number, with or without SIG. Negative when unknown. */
int signal_parse(const char *text);
const char *signal_name(int number);
/* --signal "[R|B:]sig[@sec]": what to send, how long before the limit, to whom. */
struct signal_option { int signal; uint32_t before_sec; bool batch_only; };
int signal_option_parse(const char *text, struct signal_option *out, struct err *err);

/* Job ids as typed: "12", "12_3", "12_[1-5,9]", "12.0", "12_3.batch", "12+1". */
struct job_sel { uint32_t job_id; bool has_het; uint32_t het_offset; bool has_array; uint32_t *task_ids; size_t tasks_count; bool has_step; uint32_t step_id; };
/* "0", "batch", "extern", "interactive". */
#define STEP_ID_TEXT_MAX 16
char *step_id_format(uint32_t step_id, char out[STEP_ID_TEXT_MAX]);
int job_sel_parse(const char *text, struct arena *a, struct job_sel *out, struct err *err);

#endif
