/* SPDX-License-Identifier: Apache-2.0
 *
 * option: the one list of sbatch, salloc and srun options (option_table.c), and
 * what the parser (option.c), the setters (option_set.c) and the help
 * (option_help.c) share. Only lib/job and its tests include this header.
 *
 * A value arrives with a rank: a script line yields to the environment, that to
 * the command line. Rows of one `group` are alternatives: a value from a lower
 * rank than the group already has is dropped.
 */
#ifndef SL_JOB_OPTION_H
#define SL_JOB_OPTION_H

#include "job/jobspec.h"

enum opt_rank { OPT_RANK_NONE, OPT_RANK_SCRIPT, OPT_RANK_ENV, OPT_RANK_ARGV };
enum opt_arg { OPT_ARG_NONE, OPT_ARG_REQUIRED, OPT_ARG_OPTIONAL };
enum opt_group {
    OPT_GROUP_NONE,
    OPT_GROUP_MEM,     /* --mem --mem-per-cpu --mem-per-gpu: exclude each other */
    OPT_GROUP_REQUEUE, /* --requeue --no-requeue: the later wins */
    OPT_GROUP_HOSTS,   /* --nodelist --nodefile: the later wins */
    OPT_GROUP_COUNT
};
enum { OPT_ALL = JOB_CMD_SBATCH | JOB_CMD_SALLOC | JOB_CMD_SRUN };

/* gres requests are kept as text until all are known (finish), one per option. */
enum opt_gres { OPT_GRES, OPT_GPUS, OPT_GPUS_PER_NODE, OPT_GPUS_PER_SOCKET, OPT_GPUS_PER_TASK, OPT_GRES_COUNT };

struct request;
struct option {
    const char *name;     /* long name */
    char letter;          /* 0: none */
    enum opt_arg arg;
    unsigned commands;    /* enum job_command bits */
    const char *metavar;  /* NULL: no argument */
    const char *help;     /* one line, starts in lower case */
    /* Input variables, blank separated; the prefix says whose: SBATCH_ SALLOC_,
     * SLURM_/SRUN_ srun's; "*SLURM_X" all three. NULL: none. */
    const char *env;
    /* Stores the value; label names its source for errors (the caller puts it in
     * front). NULL when `unsupported` is set. */
    int (*set)(struct request *r, const struct option *o, const char *value, struct err *err);
    size_t where;         /* offset in Sl__JobSpec / struct job_request, as `set` says */
    size_t where_step;    /* offset in Sl__StepSpec, or OPT_NOWHERE */
    uint32_t min, max;    /* of numbers */
    enum opt_group group;
    const char *unsupported; /* why the option is refused; NULL: it is built */
    const char *deprecated;  /* what to write instead: taken with a warning */
};
#define OPT_NOWHERE SIZE_MAX
#define OPT_ROWS_MAX 192

struct request {
    struct job_request pub; /* first: job_request_* cast between the two */
    uint8_t rank[OPT_ROWS_MAX];
    uint8_t group_rank[OPT_GROUP_COUNT];
    const struct option *group_set[OPT_GROUP_COUNT];
    const char *gres[OPT_GRES_COUNT];
    const char *begin, *deadline;              /* parsed by finish, which knows the time */
    const char *begin_label, *deadline_label;  /* where they were written */
    const char *propagate;
    const char *label;      /* source of the value that is being set */
    enum opt_rank now;      /* its rank */
    bool chdir_set, nodes_set;
    bool switches_timed;    /* --switches=N@time said how long to wait */
    usec_t switches_wait;   /* what SBATCH_WAIT4SWITCH and its like say; 0: nothing */
};

const struct option *option_table(size_t *count);
/* By letter for one command, NULL when unknown. */
const struct option *option_by_letter(enum job_command command, char letter);
/* Exact or unambiguous prefix, n bytes. NULL and *err. */
const struct option *option_by_name(enum job_command command, const char *name, size_t n,
                                    struct err *err);
/* Applies rank and group rules, then the row's setter. value NULL: none given. */
int option_apply(struct request *r, const struct option *o, const char *value,
                 enum opt_rank rank, const char *label, struct err *err);

/* The request of the component behind this one; made when there is none. */
struct job_request *request_component(struct job_request *pub);

/* Setters named by the table. */
typedef int option_set_f(struct request *r, const struct option *o, const char *value,
                         struct err *err);
option_set_f opt_text, opt_u32, opt_flag, opt_pub_flag, opt_pub_text, opt_mem_mib,
    opt_time_limit, opt_partition, opt_nodes, opt_exclusive, opt_gres_text, opt_gpus,
    opt_export, opt_begin, opt_hold, opt_nice, opt_switches, opt_priority, opt_requeue, opt_open_mode,
    opt_kill_dep, opt_signal, opt_distribution, opt_mail_type, opt_extra_node_info,
    opt_chdir, opt_user, opt_group_id, opt_no_kill, opt_hint, opt_verbose, opt_immediate,
    opt_input, opt_output, opt_bad_exit, opt_wait_srun, opt_wait_nodes, opt_relative, opt_mpi,
    opt_cpu_bind, opt_pty, opt_profile_text, opt_propagate, opt_nodefile, opt_hosts, opt_job_name,
    opt_kill_command, opt_bell, opt_array, opt_ignore;

/* --propagate: are all names of the list known? And the limits it selects. */
bool rlimits_known(const char *list);
void rlimits_collect(const char *list, Sl__JobSpec *spec, struct arena *a);

#endif
