/* SPDX-License-Identifier: Apache-2.0
 *
 * To add a key: add its field to conf.h and one row here. Parser, printer,
 * example and tests follow.
 */
#include "conf/table.h"

#include "base/limits.h"

/* Offset of a field, refused by the compiler when its type is another one. */
#define AT(S, T, field)                                                         \
    (offsetof(struct S, field) +                                                \
     0 * sizeof(char[__builtin_types_compatible_p(T, __typeof__(((struct S *)0)->field)) \
                         ? 1 : -1]))

#define TEXT(S, TYPE, path, field, len_min, def, user, help)                    \
    {path, TYPE, AT(S, char *, field), len_min, PATH_LEN_MAX, def, user, NULL, help}
#define NAME(S, path, field, len_min, def, help)                                \
    {path, CONF_NAME, AT(S, char *, field), len_min, NAME_LEN_MAX, def, NULL, NULL, help}
#define CHOICE(S, path, field, def, choices, help)                              \
    {path, CONF_CHOICE, AT(S, char *, field), 0, NAME_LEN_MAX, def, NULL, choices, help}
#define BOOL(S, path, field, def, help)                                         \
    {path, CONF_BOOL, AT(S, bool, field), 0, 1, def, NULL, NULL, help}
#define U32(S, path, field, min, max, def, help)                                \
    {path, CONF_U32, AT(S, uint32_t, field), min, max, def, NULL, NULL, help}
#define SECONDS(S, path, field, min, max, def, help)                            \
    {path, CONF_SECONDS, AT(S, usec_t, field), min, max, def, NULL, NULL, help}
#define LIMIT(S, path, field, min, def, help)                                   \
    {path, CONF_LIMIT, AT(S, usec_t, field), min, UINT64_MAX, def, NULL, NULL, help}
#define MEM(S, path, field, def, help)                                          \
    {path, CONF_MEM, AT(S, uint64_t, field), 0, SIZE_MIB_MAX, def, NULL, NULL, help}

#define DAY UINT64_C(86400)
#define YEAR (366 * DAY)

static const struct conf_row top_rows[] = {
    NAME(conf, "cluster_name", cluster_name, 1, "linux",
         "Name of this cluster, in accounting and in SLURM_CLUSTER_NAME."),
    TEXT(conf, CONF_FILE, "run_dir", run_dir, 1, "/run/slurmlike", NULL,
         "Directory of sockets and pid files; %r elsewhere. One-user trial: "
         "$XDG_RUNTIME_DIR/slurmlike, or /tmp/slurmlike-UID."),
    TEXT(conf, CONF_PATH, "state", state_url, 1, "sqlite:/var/lib/slurmlike/state.db",
         "sqlite:%r/state.db",
         "Where the controller keeps its state and accounting: sqlite:PATH."),
    TEXT(conf, CONF_FILE, "munge_socket", munge_socket, 0, "", NULL,
         "Socket of the munge daemon. Empty: munge's own default."),

    TEXT(conf, CONF_PATH, "controller.host", ctld_host, 1, "localhost", NULL,
         "Name or address at which nodes and remote clients reach the controller."),
    U32(conf, "controller.port", ctld_port, 0, 65535, "6817",
        "TCP port of the controller. 0: no TCP, commands on this machine only."),
    TEXT(conf, CONF_FILE, "controller.socket", ctld_socket, 1, "%r/ctld.sock", NULL,
         "Unix socket for commands on the controller's own machine."),
    TEXT(conf, CONF_PATH, "controller.user", ctld_user, 1, "root", "%u",
         "User that the controller runs as, and who may act as operator. Best an "
         "unprivileged user of its own."),
    SECONDS(conf, "controller.message_timeout", message_timeout, 1, DAY, "10",
            "How long a command waits for an answer of a controller that is there but does "
            "not answer. It says after 2 seconds that it waits."),

    U32(conf, "node.port", node_port, 1, 65535, "6818", "TCP port of the node daemons."),
    TEXT(conf, CONF_FILE, "node.spool_dir", node_spool_dir, 1, "/var/spool/slurmlike/%n",
         "%r/spool/%n",
         "Directory of a node daemon for scripts and results of running jobs."),
    TEXT(conf, CONF_PATH, "node.user", node_user, 1, "root", "%u",
         "User that the node daemons run as. Only root can run jobs of several users."),
    SECONDS(conf, "node.timeout", node_timeout, 1, YEAR, "300",
            "A node that is silent for longer is set DOWN and its jobs are requeued or "
            "failed."),
    SECONDS(conf, "node.ping_interval", node_ping_interval, 1, DAY, "30",
            "How often a node daemon reports that it is alive. Below node.timeout."),
    U32(conf, "node.return_to_service", return_to_service, 0, 2, "1",
        "When a DOWN node is used again. 0: never by itself; 1: when it registers after "
        "having been silent; 2: when it registers, whatever the reason."),
    BOOL(conf, "node.dynamic", node_dynamic, "true",
         "Nodes that `nodes` does not name may register too."),

    SECONDS(conf, "jobs.kill_wait", kill_wait, 0, DAY, "30",
            "Time between SIGTERM and SIGKILL when a job reaches its time limit or is "
            "cancelled."),
    LIMIT(conf, "jobs.over_time_limit", over_time_limit, 0, "00:00:00",
          "How long a job may run over its time limit before it is ended."),
    SECONDS(conf, "jobs.inactive_limit", inactive_limit, 0, YEAR, "60",
            "An interactive allocation whose command has gone is released after this "
            "time. 0: never."),
    U32(conf, "jobs.id_first", job_id_first, 1, 67043328, "1", "Smallest job id."),
    U32(conf, "jobs.id_max", job_id_max, 1, 67043328, "67043328",
        "Largest job id; ids start again from jobs.id_first after it."),
    U32(conf, "jobs.max", jobs_max, 1, 10000000, "1000000",
        "Pending and running jobs at once; more submissions are refused."),
    U32(conf, "jobs.array_size_max", array_size_max, 1, ARRAY_TASKS_MAX, "100001",
        "A task index of a job array must be smaller than this."),
    BOOL(conf, "jobs.requeue", requeue_default, "true",
         "Jobs are requeued after a node failure unless they say --no-requeue."),
    U32(conf, "jobs.requeue_max", requeue_max, 0, 1000, "5",
        "Launch failures in a row after which a job is held."),
    SECONDS(conf, "jobs.keep", job_keep, 0, YEAR, "300",
            "How long squeue and scontrol still show a finished job."),
    MEM(conf, "jobs.mem_default_per_cpu", mem_default_per_cpu_mib, "0",
        "Memory of a job for each CPU when it asks for none. 0: see "
        "mem_default_per_node."),
    MEM(conf, "jobs.mem_default_per_node", mem_default_per_node_mib, "0",
        "Memory of a job on each node when it asks for none. 0: all of the node's."),
    BOOL(conf, "jobs.memory_enforce", memory_enforce, "true",
         "End a job that uses more memory than it asked for, where cgroups cannot."),
    TEXT(conf, CONF_FILE, "jobs.prolog", prolog, 0, "", NULL,
         "Program that a node daemon runs before a job's first step. Empty: none."),
    TEXT(conf, CONF_FILE, "jobs.epilog", epilog, 0, "", NULL,
         "Program that a node daemon runs after a job's last step. Empty: none."),
    TEXT(conf, CONF_FILE, "jobs.mail_program", mail_program, 0, "/usr/bin/mail", NULL,
         "Program that sends mail for --mail-type. Empty: no mail."),
    CHOICE(conf, "jobs.mpi_default", mpi_default, "pmix", "pmix|none",
           "srun's --mpi when it is not given."),
    CHOICE(conf, "jobs.cpu_bind", task_plugin_cpu_bind, "cores", "cores|threads|none",
           "srun's --cpu-bind when it is not given."),
    SECONDS(conf, "jobs.sample_interval", sample_interval, 0, DAY, "30",
            "How often the usage of a running step is sampled. 0: only at its end."),

    TEXT(conf, CONF_STR, "licenses", licenses, 0, "", NULL,
         "Licenses of the cluster for --licenses, for example matlab:10,ansys:4."),

    CHOICE(conf, "scheduler.preempt", preempt, "none", "none|partition|qos",
           "Who may end running jobs to start. partition: jobs of a higher priority_tier; "
           "qos: as the Preempt lists of QOS say."),
    CHOICE(conf, "scheduler.preempt_mode", preempt_mode, "requeue", "off|cancel|requeue",
           "What becomes of a preempted job, where its partition or QOS says nothing. "
           "requeue: it runs again, if it may. Suspending is not built."),
    SECONDS(conf, "scheduler.preempt_exempt_time", preempt_exempt, 0, YEAR, "0",
            "A job that has run for less is not preempted."),
    SECONDS(conf, "scheduler.interval", sched_interval, 1, DAY, "60",
            "A full scheduling pass is made at least this often."),
    U32(conf, "scheduler.work_budget", sched_work_budget, 1, 100000000, "10000",
        "Placement attempts before a pass yields to requests."),
    CHOICE(conf, "scheduler.order", plan_order, "priority", "priority|fcfs|due",
           "In which order jobs are placed. fcfs: first come, first served, whatever their "
           "priority. due: by due time, so that short jobs pass long ones for a while."),
    CHOICE(conf, "scheduler.backfill", backfill, "conservative", "none|easy|conservative",
           "What may start before a job that has to wait for resources. none: nothing in "
           "its partitions; easy: what does not delay the first waiting job of a partition; "
           "conservative: what delays none of the first scheduler.backfill_depth."),
    U32(conf, "scheduler.backfill_depth", backfill_depth, 1, 10000000, "100",
        "Waiting jobs of a partition that get a reservation under scheduler.backfill = "
        "\"conservative\"."),
    CHOICE(conf, "scheduler.backfill_candidates", backfill_candidates, "queue",
           "queue|shortest",
           "The order in which jobs behind the first waiting one are tried. shortest: by "
           "their time limits."),
    BOOL(conf, "scheduler.predict", predict, "false",
         "Plan with run times predicted from earlier jobs where these are below the limit. "
         "No job is ended by a prediction."),
    U32(conf, "scheduler.due_factor", due_factor, 0, 1000000, "31",
        "scheduler.order = \"due\": a job is due so many times its expected run time after it "
        "became eligible."),
    SECONDS(conf, "scheduler.due_max", due_max, 0, YEAR, "129600",
            "... and at most so long after."),
    SECONDS(conf, "scheduler.wait_first", wait_first, 0, YEAR, "172800",
            "... A job that has waited for so long stands first, the oldest before all."),
    SECONDS(conf, "scheduler.wait_strict", wait_strict, 0, YEAR, "288000",
            "... and is to run by the time that it has waited for so long: no prediction is "
            "believed of a job whose limit lets it go on after that."),
    CHOICE(conf, "scheduler.priority_type", priority_type, "basic", "basic|multifactor",
           "How priorities are made. basic: order of submission; multifactor: by the "
           "weights of priority.*."),

    CHOICE(conf, "scheduler.fabric_placement", fabric_placement, "nearest", "nearest|leafs|first",
           "Which nodes a job of several gets. nearest: of the smallest sufficient piece of the "
           "fabric, those with the shortest ways between neighbouring ranks; leafs: of that "
           "piece, those on the fewest leaf switches; first: the first free ones."),
    CHOICE(conf, "scheduler.gpu_placement", gpu_placement, "fgd", "fgd|bestfit|packing|random",
           "Which GPUs a job on a single node gets. fgd: those whose loss leaves least that jobs "
           "like the recent ones cannot use; bestfit: least left over; packing: GPUs in use "
           "first; random: for comparison."),
    U32(conf, "scheduler.gpu_seed", gpu_seed, 0, UINT32_MAX, "1",
        "Where scheduler.gpu_placement = \"random\" begins."),

    TEXT(conf, CONF_STR, "accounting.enforce", accounting_enforce, 0, "", NULL,
         "What is enforced of sacctmgr's associations and QOS, a comma list of: "
         "associations, limits, qos, safe, all, none. Empty: nothing, anyone may use any "
         "account."),
    LIMIT(conf, "priority.decay_half_life", priority_half_life, 0, "7-00:00:00",
          "Time after which usage counts half in fair-share and in limits of minutes. 0: "
          "it never decays."),
    SECONDS(conf, "priority.calc_period", priority_period, 1, DAY, "300",
            "How often usage decays, users are ranked and priorities are computed."),
    LIMIT(conf, "priority.max_age", priority_max_age, 1, "7-00:00:00",
          "Waiting time after which a job has its full age factor."),
    BOOL(conf, "priority.favor_small", priority_favor_small, "false",
         "The job size factor is largest for small jobs, not for large ones."),
    U32(conf, "priority.weight_age", weight_age, 0, UINT32_MAX, "0",
        "Weight of the time a job has waited (PriorityWeightAge)."),
    U32(conf, "priority.weight_fairshare", weight_fair_share, 0, UINT32_MAX, "0",
        "Weight of the user's fair-share factor (PriorityWeightFairshare)."),
    U32(conf, "priority.weight_job_size", weight_job_size, 0, UINT32_MAX, "0",
        "Weight of the job's size (PriorityWeightJobSize)."),
    U32(conf, "priority.weight_partition", weight_partition, 0, UINT32_MAX, "0",
        "Weight of the partition's priority_job_factor (PriorityWeightPartition)."),
    U32(conf, "priority.weight_qos", weight_qos, 0, UINT32_MAX, "0",
        "Weight of the QOS's priority (PriorityWeightQOS)."),
    U32(conf, "priority.weight_assoc", weight_assoc, 0, UINT32_MAX, "0",
        "Weight of the association's priority (PriorityWeightAssoc)."),
    TEXT(conf, CONF_STR, "priority.weight_tres", weight_tres, 0, "", NULL,
         "Weights of resources that a job asks for, as \"cpu=1000,gres/gpu=3000\" "
         "(PriorityWeightTRES)."),

    CHOICE(conf, "topology.kind", topology_kind, "tree", "tree|dragonfly|rails",
           "What `switches` describes. tree: also fat-trees; dragonfly: routers below groups; "
           "rails: units of nodes that share all rail switches."),
    TEXT(conf, CONF_STR, "topology.generate", topology_generate, 0, "", NULL,
         "A regular fabric of the nodes in `nodes`, in their order: fat-tree:radix=16, "
         "dragonfly:a=8,p=4,h=4, rails:nodes=32 or blocks:nodes=18."),
    TEXT(conf, CONF_FILE, "topology.ibnetdiscover", topology_file, 0, "", NULL,
         "File with what ibnetdiscover printed, on the controller's machine."),
    TEXT(conf, CONF_STR, "topology.block_sizes", topology_block_sizes, 0, "", NULL,
         "Nodes of a block of `blocks` and of blocks joined, as 18,36,72. Empty: the blocks "
         "as they are."),

    TEXT(conf, CONF_PATH, "log.target", log_target, 0, "", NULL,
         "stderr, syslog, journald, or a path. Empty: stderr."),
    {"log.level", CONF_LEVEL, AT(conf, enum log_level, log_level), 0, NAME_LEN_MAX, "info",
     NULL, "error|warn|info|verbose|debug", "Least important messages that are logged."},
};

static const struct conf_row node_rows[] = {
    TEXT(conf_node, CONF_HOSTS, "names", names, 1, NULL, NULL,
         "Nodes that this entry describes, for example n[1-4]."),
    TEXT(conf_node, CONF_STR, "addr", addr, 0, "", NULL,
         "Address of the node; for several a host list as long. Empty: its name."),
    U32(conf_node, "port", port, 0, 65535, "0", "Port of its daemon. 0: node.port."),
    U32(conf_node, "cpus", cpus, 0, CPUS_PER_NODE_MAX, "0",
        "CPUs the node must have. 0: what it reports."),
    MEM(conf_node, "memory", memory_mib, "0",
        "Memory the node must have. 0: what it reports."),
    TEXT(conf_node, CONF_STR, "gres", gres, 0, "", NULL,
         "Generic resources, for example gpu:a100:4. Empty: what the node reports."),
    TEXT(conf_node, CONF_STR, "features", features, 0, "", NULL,
         "Comma list of names for --constraint."),
    U32(conf_node, "weight", weight, 0, UINT32_MAX - 2, "1",
        "Nodes of a lower weight are used first."),
    CHOICE(conf_node, "state", state, "", "|DRAIN|DOWN|FUTURE",
           "State in which the node begins. Empty: usable."),
    TEXT(conf_node, CONF_STR, "reason", reason, 0, "", NULL, "Why it is in that state."),
};

static const struct conf_row partition_rows[] = {
    NAME(conf_partition, "name", name, 1, NULL, "Name of the partition."),
    TEXT(conf_partition, CONF_HOSTS, "nodes", nodes, 0, "ALL", NULL,
         "Its nodes, as a host list, or ALL."),
    BOOL(conf_partition, "default", is_default, "false",
         "Jobs that name no partition go here."),
    BOOL(conf_partition, "hidden", is_hidden, "false",
         "squeue and sinfo show it only with --all."),
    LIMIT(conf_partition, "max_time", time_max, 1, "UNLIMITED", "Longest time limit."),
    LIMIT(conf_partition, "default_time", time_default, 0, "00:00:00",
          "Time limit of a job that asks for none. 0: max_time."),
    U32(conf_partition, "max_nodes", nodes_max, 0, NODES_MAX, "0",
        "Most nodes of one job. 0: no limit."),
    U32(conf_partition, "min_nodes", nodes_min, 0, NODES_MAX, "0",
        "Fewest nodes of one job."),
    U32(conf_partition, "priority_tier", priority_tier, 0, 65533, "1",
        "Jobs of a higher tier are placed first."),
    U32(conf_partition, "priority_job_factor", priority_job_factor, 0, 65533, "1",
        "The partition's part in a job's priority."),
    CHOICE(conf_partition, "state", state, "UP", "UP|DOWN|DRAIN|INACTIVE",
           "UP: jobs queue and run; DOWN: queue only; DRAIN: run only; INACTIVE: neither."),
    TEXT(conf_partition, CONF_STR, "allow_groups", allow_groups, 0, "", NULL,
         "Comma list of Unix groups that may use it. Empty: all."),
    TEXT(conf_partition, CONF_STR, "allow_accounts", allow_accounts, 0, "", NULL,
         "Comma list of accounts that may use it. Empty: all."),
    TEXT(conf_partition, CONF_STR, "deny_accounts", deny_accounts, 0, "", NULL,
         "Comma list of accounts that may not."),
    TEXT(conf_partition, CONF_STR, "allow_qos", allow_qos, 0, "", NULL,
         "Comma list of QOS that may be used in it. Empty: all."),
    TEXT(conf_partition, CONF_STR, "qos", qos, 0, "", NULL,
         "QOS whose limits hold for each job in it, whatever the job's own. Empty: none."),
    TEXT(conf_partition, CONF_STR, "tres_billing_weights", tres_billing_weights, 0, "", NULL,
         "What a unit of each resource is billed, as \"cpu=1.0,mem=0.25G,gres/gpu=2.0\". "
         "Empty: each cpu 1."),
    BOOL(conf_partition, "exclusive_user", exclusive_user, "false",
         "A node is never shared by jobs of two users."),
    BOOL(conf_partition, "exclusive", oversubscribe_exclusive, "false",
         "A job always gets whole nodes."),
    BOOL(conf_partition, "root_only", root_only, "false", "Only root may submit to it."),
    MEM(conf_partition, "mem_default_per_cpu", mem_default_per_cpu_mib, "0",
        "As jobs.mem_default_per_cpu, for this partition. 0: that one."),
    MEM(conf_partition, "mem_default_per_node", mem_default_per_node_mib, "0",
        "As jobs.mem_default_per_node, for this partition. 0: that one."),
    MEM(conf_partition, "mem_max_per_cpu", mem_max_per_cpu_mib, "0",
        "Most memory a job may ask for each CPU. 0: no limit."),
    MEM(conf_partition, "mem_max_per_node", mem_max_per_node_mib, "0",
        "Most memory a job may ask for on each node. 0: no limit."),
    SECONDS(conf_partition, "grace_time", grace_time, 0, DAY, "0",
            "Time a preempted job gets to save its work."),
    CHOICE(conf_partition, "preempt_mode", preempt_mode, "", "|off|cancel|requeue",
           "What becomes of its preempted jobs. Empty: scheduler.preempt_mode."),
};

static const struct conf_row switch_rows[] = {
    NAME(conf_switch, "name", name, 1, NULL, "Name of the switch."),
    TEXT(conf_switch, CONF_STR, "switches", switches, 0, "", NULL,
         "Host list of the switches below it."),
    TEXT(conf_switch, CONF_STR, "nodes", nodes, 0, "", NULL,
         "Host list of its nodes, when there is no switch below it."),
};

static const struct conf_row block_rows[] = {
    NAME(conf_switch, "name", name, 1, NULL, "Name of the block (NVLink domain)."),
    TEXT(conf_switch, CONF_HOSTS, "nodes", nodes, 1, NULL, NULL, "Host list of its nodes."),
};

#define TABLE(name, rows, S) {name, rows, sizeof rows / sizeof rows[0], sizeof(struct S)}
const struct conf_table conf_top = TABLE("", top_rows, conf);
const struct conf_table conf_node_table = TABLE("nodes", node_rows, conf_node);
const struct conf_table conf_partition_table =
    TABLE("partitions", partition_rows, conf_partition);
const struct conf_table conf_switch_table = TABLE("switches", switch_rows, conf_switch);
const struct conf_table conf_block_table = TABLE("blocks", block_rows, conf_switch);

#define LIST(table, field, max)                                                 \
    {&table, offsetof(struct conf, field), offsetof(struct conf, field##_count), max}
const struct conf_list conf_lists[] = {
    LIST(conf_node_table, nodes, NODES_MAX),
    LIST(conf_partition_table, partitions, CONF_PARTITIONS_MAX),
    LIST(conf_switch_table, switches, CONF_SWITCHES_MAX),
    LIST(conf_block_table, blocks, CONF_SWITCHES_MAX),
};
const size_t conf_lists_count = sizeof conf_lists / sizeof conf_lists[0];
