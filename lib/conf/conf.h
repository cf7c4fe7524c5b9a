/* SPDX-License-Identifier: Apache-2.0
 *
 * conf: slurmlike.conf (libconfig syntax) to one checked struct.
 *
 * Every key is one row of the table in table.c: path, type, range, default, help,
 * and where its value lands. The parser, --check-config, `scontrol show config`,
 * the example, slurmlike.conf(5) and the tests read that table. Unknown keys and
 * wrong values are errors that name file, line and key, with the nearest known
 * key. conf never opens a socket and reads no clock.
 *
 * The defaults are a complete one-machine configuration: conf_defaults() needs
 * no file. Some (run_dir, state, users) differ between a system installation and
 * a trial of one user: the owner of the file decides, so that every reader of a
 * file sees the same; without a file, the reader. Paths may hold %h (host name),
 * %u (that owner), %r (run directory), which are filled in here, and %n (node
 * name), which the node daemon fills in. Spans are seconds or, in quotes, Slurm's
 * time notation; sizes are MiB or, in quotes, with a unit.
 *
 * Node daemons get their part over the wire (configless): conf_save_text()
 * gives the canonical text, conf_load_text() reads it back. libconfig's
 * @include is refused: a configuration is one text.
 *
 *   cluster_name = "linux";
 *   controller = { host = "localhost"; port = 6817; socket = "%r/ctld.sock"; };
 *   nodes = ( { names = "n[1-4]"; cpus = 8; memory = "16G"; gres = "gpu:a100:4";
 *               features = "ib,a100"; weight = 1; } );
 *   partitions = ( { name = "main"; nodes = "ALL"; default = true;
 *                    max_time = "UNLIMITED"; default_time = "1:00:00"; } );
 *   switches = ( { name = "s1"; nodes = "n[1-2]"; }, { name = "s2"; nodes = "n[3-4]"; },
 *                { name = "top"; switches = "s[1-2]"; } );
 */
#ifndef SL_CONF_CONF_H
#define SL_CONF_CONF_H

#include "base/err.h"
#include "base/log.h"
#include "base/timefmt.h"
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct conf_node { /* one entry of `nodes`; names expanded by the user */
    char *names;       /* hostlist expression */
    char *addr;        /* hostlist, one for each name; "": the names (or what the nodes report) */
    uint32_t port;     /* 0: node_port below */
    uint32_t cpus;     /* 0: what the node reports; else the node must have as many */
    uint64_t memory_mib; /* 0: what the node reports */
    char *gres;        /* "" : what the node reports */
    char *features;    /* comma list */
    uint32_t weight;
    char *state;       /* "" | "DRAIN" | "DOWN" | "FUTURE" */
    char *reason;
};

struct conf_partition {
    char *name;
    char *nodes;          /* hostlist, "ALL" */
    bool is_default;
    bool is_hidden;
    usec_t time_max;      /* SPAN_INFINITE: none */
    usec_t time_default;  /* 0: time_max */
    uint32_t nodes_max;   /* 0: none */
    uint32_t nodes_min;
    uint32_t priority_tier;
    uint32_t priority_job_factor;
    char *state;          /* UP DOWN DRAIN INACTIVE */
    char *allow_groups, *allow_accounts, *deny_accounts, *allow_qos; /* "" : all */
    char *qos;                  /* partition QOS; "" : none */
    char *tres_billing_weights; /* "cpu=1.0,mem=0.25G"; "" : cpus count */
    bool exclusive_user, oversubscribe_exclusive, root_only;
    uint64_t mem_default_per_cpu_mib, mem_default_per_node_mib;
    uint64_t mem_max_per_cpu_mib, mem_max_per_node_mib;
    usec_t grace_time;
    char *preempt_mode;   /* "" | "off" | "cancel" | "requeue" */
};

struct conf_switch { /* one entry of `switches` or `blocks` */
    char *name;
    char *switches;       /* host list of switches below it; not in blocks */
    char *nodes;          /* host list */
};

struct conf {
    /* identity */
    char *cluster_name;
    char *run_dir;         /* sockets, pid files; %r elsewhere */
    char *state_url;       /* "sqlite:PATH" */
    /* controller */
    char *ctld_host;       /* where nodes and remote clients dial */
    uint32_t ctld_port;    /* 0: no TCP listener */
    char *ctld_socket;     /* Unix socket for commands on the controller's machine */
    char *ctld_user;       /* uid the controller runs as; trusted as operator */
    usec_t message_timeout; /* a command waits for an answer */
    char *munge_socket;    /* "" : munge's default */
    /* node daemons */
    uint32_t node_port;
    char *node_spool_dir;  /* %n */
    char *node_user;       /* "root", or a user for one-user trials */
    usec_t node_timeout;   /* silent for longer: DOWN */
    usec_t node_ping_interval;
    uint32_t return_to_service; /* 0, 1, 2 as slurm.conf(5) ReturnToService */
    bool node_dynamic;     /* nodes that `nodes` does not name may register */
    /* jobs */
    usec_t kill_wait;      /* SIGTERM to SIGKILL */
    usec_t over_time_limit;
    usec_t inactive_limit; /* interactive job without its client; 0: never */
    uint32_t job_id_first, job_id_max;
    uint32_t jobs_max;     /* pending + running */
    uint32_t array_size_max;
    bool requeue_default;  /* JobRequeue */
    uint32_t requeue_max;  /* restarts after launch failures before held */
    usec_t job_keep;       /* MinJobAge: finished jobs stay visible in squeue/scontrol */
    uint64_t mem_default_per_cpu_mib, mem_default_per_node_mib;
    bool memory_enforce;   /* kill a job over its memory where cgroups are not usable */
    char *prolog, *epilog, *mail_program;
    char *mpi_default;     /* "pmix" or "none" */
    char *task_plugin_cpu_bind; /* "cores" "threads" "none" : default --cpu-bind */
    usec_t sample_interval;
    char *preempt, *preempt_mode;
    usec_t preempt_exempt;
    char *licenses;        /* "name:count,..." of the cluster */
    /* scheduling (grows in the scheduling issue) */
    usec_t sched_interval; /* a full pass at least this often */
    uint32_t sched_work_budget; /* placement attempts per slice */
    char *plan_order;           /* priority fcfs */
    char *backfill;             /* none easy conservative */
    uint32_t backfill_depth;    /* reservations of a partition under conservative */
    char *backfill_candidates;  /* queue shortest */
    bool predict;
    uint32_t due_factor;
    usec_t due_max, wait_first, wait_strict;
    char *priority_type;   /* "basic" | "multifactor" */
    char *fabric_placement; /* nearest leafs first */
    char *gpu_placement;   /* fgd bestfit packing random */
    uint32_t gpu_seed;
    /* topology */
    char *topology_kind;        /* what `switches` describes: tree dragonfly rails */
    char *topology_generate, *topology_file; /* "" : not from there */
    char *topology_block_sizes;
    /* tenants: associations and QOS (sacctmgr), multi-factor priority */
    char *accounting_enforce; /* comma list: associations limits qos safe all none */
    usec_t priority_half_life; /* 0: usage does not decay */
    usec_t priority_period;   /* between two computations of priorities */
    usec_t priority_max_age;  /* when the age factor is 1 */
    bool priority_favor_small;
    uint32_t weight_age, weight_fair_share, weight_job_size, weight_partition, weight_qos,
        weight_assoc;
    char *weight_tres;        /* "cpu=1000,mem=2000" */
    /* logging */
    char *log_target;      /* "" : stderr */
    enum log_level log_level;
    /* tables */
    struct conf_node *nodes;
    size_t nodes_count;
    struct conf_partition *partitions;
    size_t partitions_count;
    struct conf_switch *switches, *blocks;
    size_t switches_count, blocks_count;
    /* where it came from */
    char *path;            /* "" : embedded defaults */
};

/* Search order used by every program: --config argument, $SLURMLIKE_CONF,
 * the installed default, embedded defaults. path NULL: apply that order.
 * NULL and *err on any problem. */
struct conf *conf_load(const char *path, struct err *err);
struct conf *conf_load_text(const char *text, const char *name, struct err *err);
struct conf *conf_defaults(void);
void conf_destroy(struct conf *conf);
/* Canonical text of everything (loads back equal); caller frees. */
char *conf_save_text(const struct conf *conf);
/* Key ("jobs.kill_wait") and value, for `scontrol show config`: calls fn once per
 * key in order; the lists are left out. */
void conf_each(const struct conf *conf,
               void (*fn)(const char *key, const char *value, void *arg), void *arg);
/* Annotated example with each key, default and help (etc/slurmlike.conf.example). */
void conf_print_example(FILE *out);

#endif
