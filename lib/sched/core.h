/* SPDX-License-Identifier: Apache-2.0
 *
 * core: all cluster state and every decision. Pure: no I/O, no clock, no
 * thread, no global, no randomness; the same commands and times give the same
 * bytes. The controller, the simulator and the fault tester run this code.
 *
 *     core_apply(command, now) -> 0 or an error (then nothing changed), and in
 *                                 `batch`: what to persist, what to do
 *     core_plan(now, budget)   -> starts pending jobs; bounded work, resumable
 *
 * The caller commits batch.changes durably and only then carries out
 * batch.effects and tells anyone (rule 2 of the architecture).
 *
 * Times are microseconds of a clock that never runs backwards (the caller's
 * duty); timers come out of core_next_wakeup() and are served by CMD_TICK.
 *
 * Life of a job (base state / flags; transitions are one table, core_states_print):
 *
 *   submit -> PENDING --plan--> RUNNING+CONFIGURING --LAUNCHED by each node-->
 *   RUNNING --JOB_DONE--> <final>+COMPLETING --NODE_CLEAN by each node--> <final>
 *   time limit, cancel, node failure: TERMINATE to each node, <final>+COMPLETING at once.
 *   requeue: as above, then PENDING with restart+1; a (job_id, restart) pair is
 *   launched at most once a node and never reused.
 *
 * What the core never does: keep scripts or environments (the store has them),
 * format text for a particular command, log.
 */
#ifndef SL_SCHED_CORE_H
#define SL_SCHED_CORE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/timefmt.h"
#include "job/state.h"
#include "wire/slurmlike.pb-c.h"
#include <stdbool.h>
#include <stdint.h>

struct core;
struct fabric; /* topo/fabric.h */

/* ---- policy and tables that come from the configuration --------------------------- */

/* How the queue is ordered, within a partition's priority tier. */
enum plan_order {
    PLAN_BY_PRIORITY, /* highest first, then the lower job id */
    PLAN_FCFS,        /* by time of submission, then the lower job id */
    PLAN_DUE,         /* by due time, whoever has waited for long first (order.h) */
    PLAN_ORDER_COUNT
};
/* What may start before a job that does not fit. */
enum backfill {
    BACKFILL_NONE,         /* nothing that wants one of its partitions */
    BACKFILL_EASY,         /* what does not delay the first such job of each partition */
    BACKFILL_CONSERVATIVE, /* what does not delay the first `backfill_depth` of each */
    BACKFILL_COUNT
};
/* In which order the jobs behind the first that does not fit are tried. */
enum backfill_candidates {
    CANDIDATES_QUEUE,    /* as they stand in the queue */
    CANDIDATES_SHORTEST, /* by planned run time, then as they stand (EASY-SJBF) */
    CANDIDATES_COUNT
};

/* What is enforced of associations and QOS. Each implies ASSOCIATIONS. */
enum enforce { ENFORCE_ASSOCIATIONS = 1, ENFORCE_LIMITS = 2, ENFORCE_QOS = 4,
               ENFORCE_SAFE = 8 /* start only what can end within its group's minutes */ };
/* "associations,limits,qos,safe,all", "" and "none": nothing. -1 with *err. */
int enforce_parse(const char *text, struct err *err);

/* Which node, and which of its GPUs, for a job that one node can hold. */
enum gpu_placement {
    GPU_FGD,     /* least new fragmentation for jobs like those seen (ATC'23) */
    GPU_BESTFIT, /* least left over, all resources alike */
    GPU_PACKING, /* GPUs in use, then nodes in use */
    GPU_RANDOM,
    GPU_FGD_ALONE, /* FGD's measure as published, for comparison */
    GPU_PLACEMENTS
};

/* Which nodes of the fabric, for a job of several. */
enum fabric_choice {
    CHOOSE_NEAREST, /* the smallest sufficient piece; in it the shortest ways between ranks */
    CHOOSE_LEAFS,   /* ... the fewest leaf switches (Slurm's topology/tree) */
    CHOOSE_FIRST,   /* the first that are free, for comparison */
    FABRIC_CHOICES
};

/* The planner's fields make the textbook policies of one queue exact:
 *   EASY            fcfs, easy, queue         EASY-SJBF   fcfs, easy, shortest
 *   conservative    fcfs, conservative with a depth of UINT32_MAX, queue
 *   FCFS            fcfs, none
 * Order inside one instant is the caller's: all ends, all submissions, then one core_plan()
 * is the batch rule. For the rule by which each submission and each end has a pass of its
 * own and a run that reaches its estimate now counts as over, the caller applies the ends
 * of such runs first, without a pass. */
enum preempt { PREEMPT_NONE, PREEMPT_TIER /* of partitions */, PREEMPT_QOS };
enum preempt_mode { PREEMPT_INHERIT, PREEMPT_OFF, PREEMPT_CANCEL, PREEMPT_REQUEUE };

struct core_policy {
    usec_t kill_wait, over_time_limit, inactive_limit, node_timeout, job_keep;
    uint32_t job_id_first, job_id_max, jobs_max, array_size_max;
    uint32_t requeue_max;        /* launch failures in a row before the job is held */
    bool requeue_default;
    uint32_t return_to_service;  /* 0 1 2 */
    bool core_pools;             /* a node may register a number of cores without saying which
                                  * they are (a simulation's interchangeable processors) */
    enum plan_order plan_order;
    enum backfill backfill;
    uint32_t backfill_depth;     /* reservations in a partition, of BACKFILL_CONSERVATIVE */
    enum backfill_candidates backfill_candidates;
    /* multi-factor priority: the weights of factors that are 0 to 1; spans as in slurm.conf(5) */
    bool multifactor;
    bool priority_favor_small;
    usec_t priority_period, priority_half_life /* 0: no decay */, priority_max_age;
    uint32_t weight_age, weight_fair_share, weight_job_size, weight_partition, weight_qos, weight_assoc;
    char weight_tres[256];       /* "cpu=1000,mem=2000"; "": none */
    uint32_t enforce;            /* enum enforce */
    bool predict;                /* plan with predicted run times; limits stay what they are */
    uint32_t due_factor;         /* PLAN_DUE (order.h) */
    usec_t due_max, wait_first, wait_strict;
    uint64_t mem_default_per_cpu_mib, mem_default_per_node_mib;
    char priority_type[16];
    enum gpu_placement gpu_placement;
    uint32_t gpu_seed;           /* of GPU_RANDOM */
    enum fabric_choice fabric_choice;
    enum preempt preempt;
    enum preempt_mode preempt_mode; /* where a partition or QOS says nothing */
    usec_t preempt_exempt;       /* a job that has run for less is left alone */
    const char *licenses;        /* "a:10,b"; read by core_configure only; NULL: none */
};
struct core_partition { /* strings are copied */
    const char *name;
    const char *nodes; /* hostlist or "ALL" */
    bool is_default, is_hidden, root_only, exclusive_user, oversubscribe_exclusive;
    usec_t time_max, time_default;
    uint32_t nodes_min, nodes_max, priority_tier, priority_job_factor;
    const char *state; /* UP DOWN DRAIN INACTIVE */
    const char *allow_groups, *allow_accounts, *deny_accounts, *allow_qos;
    const char *qos;                  /* partition QOS; "" or NULL: none */
    const char *tres_billing_weights; /* "cpu=1.0,mem=0.25G,gres/gpu=2"; NULL, "": cpus count */
    uint64_t mem_default_per_cpu_mib, mem_default_per_node_mib, mem_max_per_cpu_mib, mem_max_per_node_mib;
    usec_t grace_time;
    const char *preempt_mode; /* "": the policy's */
};
struct core_node_conf { /* one configured node; 0/"" : whatever it registers with */
    const char *name, *addr, *gres, *features, *state, *reason;
    uint32_t port, cpus, weight;
    uint64_t memory_mib;
};

/* The value that a name in the configuration stands for, -1: there is none such. */
int plan_order_find(const char *name);          /* priority fcfs due */
int backfill_find(const char *name);            /* none easy conservative */
int backfill_candidates_find(const char *name); /* queue shortest */

struct core *core_create(const struct core_policy *policy, struct err *err);
void core_destroy(struct core *c);
/* Replaces policy, partitions and configured nodes (start and reconfigure): all
 * checked first, nothing changes on failure. Jobs are kept; nodes that vanish
 * from the configuration go DOWN with a reason while they hold jobs. A node
 * that is not configured may register when dynamic_nodes is true. */
int core_configure(struct core *c, const struct core_policy *policy,
                   const struct core_partition *partitions, size_t partitions_count,
                   const struct core_node_conf *nodes, size_t nodes_count,
                   bool dynamic_nodes, usec_t now, struct err *err);

/* The fabric between nodes; the core owns it from now on. NULL: it is not known. Running
 * jobs keep their places. */
void core_fabric(struct core *c, struct fabric *f);
const struct fabric *core_fabric_view(const struct core *c); /* the core's; NULL: not known */

/* ---- commands ------------------------------------------------------------------------ */

enum command_kind {
    CMD_NONE,
    CMD_SUBMIT,        /* submit */
    CMD_CANCEL,        /* job: cancel or signal one job */
    CMD_HOLD, CMD_RELEASE, CMD_REQUEUE, CMD_SUSPEND, CMD_RESUME, CMD_TOP, /* job */
    CMD_COMPLETE,      /* job: the command that an allocation was made for has ended */
    CMD_JOB_UPDATE,    /* update */
    CMD_NODE_REGISTER, /* reg: a node daemon connected */
    CMD_NODE_LOST,     /* node: its connection is gone (node_timeout starts) */
    CMD_NODE_PING,     /* node: load, free memory, step usage samples */
    CMD_NODE_UPDATE,   /* update: scontrol update nodename= */
    CMD_PARTITION_UPDATE, /* update */
    CMD_RESV_CREATE, CMD_RESV_UPDATE, CMD_RESV_DELETE, /* resv: advance reservations */
    CMD_REPORT,        /* report: one JobReport from a node */
    CMD_CLIENT_LOST,   /* job: the client that owns an interactive job is gone */
    CMD_CLIENT_BACK,
    CMD_TENANT,        /* tenant: sacctmgr add, modify, delete */
    CMD_TICK,          /* timers due at `now` */
    CMD_COUNT
};

struct actor { uint32_t uid, gid; bool admin; /* root or the controller's user */ const char *user; };

struct command {
    enum command_kind kind;
    struct actor actor;
    union {
        struct {
            const Sl__JobSpec *spec;   /* checked with jobspec_check() */
            const Sl__JobSpec *const *het; /* components after the first, het_count of them */
            size_t het_count;
            bool test_only, immediate;
            const char *user;          /* owner's name */
            const char *const *groups; /* owner's group names, NULL-terminated; may be NULL */
        } submit;
        struct {
            uint32_t job_id;           /* one task's own id, or the array's: all tasks; or the
                                        * first component's: all, unless only_it */
            bool only_it;
            bool has_task; uint32_t task_id; /* 12_3 */
            uint32_t signal;           /* CMD_CANCEL: 0 cancel */
            bool batch, full, hurry, has_step; uint32_t step_id;
            bool user_hold;            /* CMD_HOLD: scontrol uhold */
            bool gone;                 /* CMD_CLIENT_LOST: it has ended and will not come back */
            bool requeue_hold, incomplete;
            uint32_t exit_status;      /* CMD_COMPLETE: wait(2) status */
            const char *reason;        /* "" or text for the record */
        } job;
        struct {
            const char *object;        /* job id text, node name, partition name */
            uint32_t job_id; bool has_task; uint32_t task_id;
            const char *key, *value;   /* one pair a command */
            const char *const *groups; /* of a job's owner, as in submit */
        } update;
        struct {
            const char *name;          /* "": a new one gets its own */
            const char *const *key, *const *value;
            size_t count;
        } resv;
        const Sl__NodeRegister *reg;
        const Sl__TenantRequest *tenant;
        struct { const char *name; double load1; uint64_t mem_free_mib; const Sl__StepUsage *const *usage; size_t usage_count; } node;
        struct { const char *node; const Sl__JobReport *report; } report;
    };
};

/* ---- what comes out -------------------------------------------------------------------- */

/* "This entity is different now": the caller asks core_*_save() for its record
 * before the next core_apply and writes it. Each entity appears once a batch. */
enum change_kind { CHANGE_NONE, CHANGE_JOB /* save, or delete when core_job_find fails */,
                   CHANGE_NODE, CHANGE_PARTITION, CHANGE_STEP, CHANGE_META,
                   CHANGE_TENANT /* id, of the kind that sub says: core_tenant_save */,
                   CHANGE_RESV /* id: a reservation's; save, or delete when that fails */,
                   CHANGE_NODE_EVENT /* a node's state or capacity changed: accounting row */,
                   CHANGE_PREDICT /* id: a page of what run times are predicted from */ };
enum tenant_kind { TENANT_NONE, TENANT_ASSOC, TENANT_QOS, TENANT_ACCOUNT, TENANT_USER, TENANT_LOG, TENANT_KIND_COUNT };
struct change { enum change_kind kind; uint32_t id /* job id, node/partition index */; uint32_t sub /* step id */; };

enum effect_kind {
    EFFECT_NONE,
    EFFECT_LAUNCH,    /* job_id on each of its nodes (core_job_alloc) */
    EFFECT_LAUNCH_NODE, /* again on one node: it registered without having it */
    EFFECT_TERMINATE, /* term: to one node */
    EFFECT_NOTIFY,    /* job changed state: watchers want to know */
    EFFECT_GONE,      /* job record dropped (job_keep over); watchers and blobs may go */
    EFFECT_NODE_SHUT, /* node refused: close its connection (text) */
};
struct effect {
    enum effect_kind kind;
    uint32_t job_id, restart;
    uint32_t node;         /* index */
    struct {
        uint32_t signal; bool batch_only, full, has_step, suspend, resume, unowned, part_lost; uint32_t step_id;
        usec_t kill_wait; bool any_restart; uint32_t state;
    } term;
    char text[128];        /* reason shown to the job, or why refused */
};
struct batch {
    struct change *changes; size_t changes_count, changes_cap;
    struct effect *effects; size_t effects_count, effects_cap;
    /* result of CMD_SUBMIT */
    uint32_t job_id;       /* array: the array's id */
    usec_t start_estimate; /* test_only */
    char nodes_estimate[256];
    struct buf explained;  /* test_only: lines of job/explain.h */
    struct buf said;       /* CMD_TENANT: what was done, or would be, in lines for people */
    char resv_name[256];   /* result of CMD_RESV_CREATE */
};
void batch_init(struct batch *b);
void batch_clear(struct batch *b);
void batch_fini(struct batch *b);

/* 0, or a negative code with text in err (user errors: bad partition, not owner, ...). */
int core_apply(struct core *c, const struct command *cmd, usec_t now, struct batch *out, struct err *err);
/* Starts what fits. work_budget: placement attempts. Returns 1 when it stopped
 * for the budget and wants to be called again, 0 when nothing more can start. */
int core_plan(struct core *c, usec_t now, unsigned work_budget, struct batch *out);
/* True when a change since the last full pass could let something start, or decide what waits. */
bool core_plan_wanted(const struct core *c);
usec_t core_next_wakeup(const struct core *c); /* INT64_MAX: none */

/* ---- reading --------------------------------------------------------------------------- */

struct job_view { /* pointers are valid until the next core_apply/core_plan */
    uint32_t job_id, restart, array_job_id, array_task_id; bool is_array_task;
    bool is_array_rest;        /* one record that stands for tasks not yet started */
    const uint32_t *array_rest; size_t array_rest_count; /* their task ids */
    uint32_t array_throttle;
    uint32_t het_id, het_offset, het_size; /* of a heterogeneous job; size 0: it is none */
    const char *array_text;    /* "0-9%2" of what is left, "" */
    enum job_state state; uint32_t flags; enum job_reason reason; const char *reason_text;
    uint32_t uid, gid; const char *user;
    const Sl__JobSpec *spec;   /* unpacked on demand; shared scratch */
    const char *name, *partition, *account, *qos;
    uint32_t priority; int32_t nice;
    uint32_t assoc_id;         /* as sshare shows it */
    usec_t submit, eligible, start, end, deadline, suspended_since, suspended_total, start_estimate;
    usec_t time_limit;
    uint32_t nodes_count, cpus, ntasks;  /* allocated when it has an allocation, else requested */
    uint64_t mem_mib;          /* in all */
    const char *nodelist;      /* ranged; "" without an allocation */
    const char *batch_host;
    uint32_t exit_status;      /* wait(2) */
    uint32_t derived_exit;
    const char *tres_req, *tres_alloc; /* "cpu=4,mem=8G,node=1,billing=4,gres/gpu=2" */
    /* wide, while it has an allocation: leaf switches, links between neighbours in rank order,
     * NUMA nodes under a task; 0: not known */
    uint32_t leafs;
    double hops_mean, numas_per_task;
    bool client_lost;
    uint32_t type;             /* Sl__JobType; also without wide */
    uint32_t cancelled_by;     /* uid + 1 of who cancelled it, 0: nobody */
    /* of the array as it was submitted, for SLURM_ARRAY_TASK_*; 0: not an array */
    uint32_t array_count, array_min, array_max, array_step;
    /* How the run before `restart` ended, for accounting; JOB_NONE when restart is 0.
     * Need not survive core_job_save. */
    enum job_state last_run_state; usec_t last_run_end; uint32_t last_run_exit;
};
/* cursor: 0 to begin, then what was returned; UINT32_MAX at the end. Order: by
 * (submit order) ascending. */
uint32_t core_job_next(const struct core *c, uint32_t cursor, uint32_t *job_id);
size_t core_job_count(const struct core *c, bool pending_only);
/* wide: also the fields that cost work (spec, nodelist, tres). false: no such job. */
bool core_job_view(const struct core *c, uint32_t job_id, bool wide, struct job_view *v);
/* Job id of an array's task, 0 when none; not yet split tasks have the array's record. */
uint32_t core_job_task(const struct core *c, uint32_t array_job_id, uint32_t task_id);
/* How many nodes the job holds, and the index of the i-th in rank order (UINT32_MAX: none). */
uint32_t core_job_nodes(const struct core *c, uint32_t job_id);
uint32_t core_job_node(const struct core *c, uint32_t job_id, uint32_t i);
/* How far the job's nodes are spread: leaf switches used, and links between neighbouring
 * nodes in rank order, on average. False without an allocation or a fabric. */
bool core_job_spread(const struct core *c, uint32_t job_id, uint32_t *leafs, double *hops);
/* The allocation as the wire carries it (arena), NULL without one. */
Sl__Allocation *core_job_alloc(const struct core *c, uint32_t job_id, struct arena *a);

struct node_view {
    uint32_t index; const char *name, *addr, *hostname; uint32_t port;
    enum node_state state; uint32_t flags; const char *reason, *comment; uint32_t reason_uid; usec_t reason_time;
    uint32_t sockets, cores /* a socket */, threads, cpus, cpus_alloc, weight;
    uint64_t mem_mib, mem_alloc_mib, mem_free_mib, tmp_mib;
    const char *gres, *gres_used, *features, *partitions, *version, *arch, *os;
    double load1; usec_t boot_time, daemon_start, last_seen, last_busy; uint32_t jobs_count;
    bool connected;
};
size_t core_node_count(const struct core *c);
bool core_node_view(const struct core *c, uint32_t index, struct node_view *v);
long core_node_find(const struct core *c, const char *name);
const char *core_node_name(const struct core *c, uint32_t index); /* index: below the count */
/* What is free on a node: cpus, and thousandths of each of its GPUs (up to cap); how many GPUs
 * it has. For measurements. */
size_t core_node_free(const struct core *c, uint32_t index, uint32_t *cpus, uint16_t *gpu_milli,
                      size_t cap);
/* May uid reach processes on the node (has a job there)? For PAM and routes. */
bool core_node_has_user(const struct core *c, uint32_t index, uint32_t uid);

struct partition_view { struct core_partition conf; uint32_t nodes_total, cpus_total; const char *nodes_text; };
size_t core_partition_count(const struct core *c);
bool core_partition_view(const struct core *c, uint32_t index, struct partition_view *v);
/* True when node belongs to partition. */
bool core_partition_has(const struct core *c, uint32_t partition, uint32_t node);

struct resv_view { /* pointers are valid until the core is asked for something else */
    uint32_t id; const char *name, *nodes, *partition, *users, *accounts, *groups, *comment, *flags;
    usec_t start, end; bool active; uint32_t nodes_count, cores, cpus;
};
bool core_resv_view(const struct core *c, uint32_t index, struct resv_view *v);

struct license_view { const char *name; uint32_t total, used, free, reserved; };
/* false: there are not so many. */
bool core_license_view(const struct core *c, uint32_t index, struct license_view *v);

/* Tenants, for sacctmgr, sshare and sprio: rows of named columns (sched/tenant_view.c has
 * the table). what: "assoc", "qos", "account", "user", "tres", "transaction", "priority".
 * core_tenant_next: the first row from `from` on, UINT32_MAX when there is none; begin with 0. */
bool core_tenant_knows(const char *what);
int core_tenant_columns(const char *what, const char *names, uint16_t *columns, size_t max, size_t *count, struct err *err);
uint32_t core_tenant_next(struct core *c, const char *what, uint32_t from, usec_t now);
/* The cell of the row that core_tenant_next() returned. */
void core_tenant_cell(struct core *c, const char *what, uint32_t row, uint16_t column, struct buf *out);
/* Does this user act as an operator or administrator? 0 no, 1 operator, 2 administrator. */
int core_user_level(const struct core *c, const char *user);

/* Live steps of a job (records of running steps; ended ones only in the store). */
size_t core_step_count(const struct core *c, uint32_t job_id);
const Sl__StepRecord *core_step_at(const struct core *c, uint32_t job_id, size_t i);

/* How good the predicted run times of the jobs were that ended since the start. Shares in
 * 1/1000; what was right of a prediction is the smaller of predicted and actual run time by
 * the larger, and limit_right is the same with the limit in place of a prediction. */
struct predict_view {
    bool on;
    uint64_t ended, predicted, under; /* under: ran longer than predicted */
    uint32_t right_permille, limit_right_permille;
};
void core_predict_view(const struct core *c, struct predict_view *v);

/* ---- persistence: opaque, versioned records ---------------------------------------------- */

/* Append the entity's record. false: it does not exist (delete it). */
bool core_job_save(const struct core *c, uint32_t job_id, struct buf *out);
bool core_node_save(const struct core *c, uint32_t index, struct buf *out);
bool core_partition_save(const struct core *c, uint32_t index, struct buf *out);
bool core_resv_save(const struct core *c, uint32_t id, struct buf *out);
/* name: the record's key in the store, "assoc.12". */
bool core_tenant_save(const struct core *c, enum tenant_kind kind, uint32_t id, char name[64], struct buf *out);
bool core_predict_save(const struct core *c, uint32_t page, struct buf *out);
void core_meta_save(const struct core *c, struct buf *out); /* counters: next job id ... */
/* Load order: core_configure, meta, tenants, nodes, partitions, reservations, jobs,
 * core_load_end. A
 * record that does not parse is reported and not loaded; the caller decides. */
int core_meta_load(struct core *c, const void *p, size_t n, struct err *err);
int core_tenant_load(struct core *c, const void *p, size_t n, struct err *err);
int core_predict_load(struct core *c, uint32_t page, const void *p, size_t n, struct err *err);
int core_node_load(struct core *c, const void *p, size_t n, struct err *err);
int core_partition_load(struct core *c, const void *p, size_t n, struct err *err);
int core_resv_load(struct core *c, const void *p, size_t n, struct err *err);
int core_job_load(struct core *c, const void *p, size_t n, struct err *err);
/* Rebuilds everything derived, checks it, starts node_timeout for nodes that hold jobs. */
int core_load_end(struct core *c, usec_t now, struct err *err);

/* Every invariant, exhaustively (tests, `scontrol` debugging); *err names the first broken. */
int core_check(const struct core *c, struct err *err);
/* Prints the transition table (slurmlike-ctld --print-states). */
void core_states_print(struct buf *out);

#endif
