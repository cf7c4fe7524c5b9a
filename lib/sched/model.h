/* SPDX-License-Identifier: Apache-2.0
 *
 * model: the tables of the core, private to lib/sched. core.h is the contract.
 *
 * Strings, packed specifications, requests and topologies are interned: equal ones
 * are kept once and named by an id. Jobs are kept in one array by ascending id
 * (ids grow, so a new one goes to the end) with an index by id. The queue holds
 * those pending jobs that no gate holds back, best first; jobs that a plan cannot tell
 * apart are a class, and one failure in a pass is every member's.
 *
 * Invariants (core_check): a core, gres index and MiB of a node is held by at most one
 * job; free counts equal capacity minus what jobs hold; a job has an allocation exactly
 * while it is RUNNING, SUSPENDED or COMPLETING; a pending job is in the queue exactly when
 * its gate is open.
 */
#ifndef SL_SCHED_MODEL_H
#define SL_SCHED_MODEL_H

#include "base/limits.h"
#include "sched/bitset.h"
#include "sched/core.h"
#include "sched/intern.h"
#include "sched/predict.h"
#include "topo/fabric.h"

#define NONE UINT32_MAX
#define GRES_POOLS_MAX 16  /* distinct gres name:type pairs on one node */
#define GRES_ITEMS_MAX 8   /* gres items in one request */
#define LICENSE_ITEMS_MAX 8 /* licenses in one request */
#define WEIGHTS_MAX 8      /* of nodes that placement tells apart */
#define GPUS_SHARED_MAX 16 /* on a node whose GPUs are looked at one by one */
#define SHARES_MAX 1000    /* of one GPU */
#define KINDS_MAX 32       /* gres name:type pairs that summaries tell apart; the last: all more */
#define DEPS_MAX 1024      /* dependencies of one job */
#define PRIORITY_TOP 4294901759u /* first job's under "basic", as Slurm's */
#define LIMIT_NOT_GIVEN (-1)
#define SPAN_UNKNOWN (365 * 24 * 3600 * USEC_PER_SEC) /* stands for "no limit" in forecasts */

#define GROW(ptr, cap, need)                                                    \
    do {                                                                        \
        if ((need) > (cap)) {                                                   \
            (cap) = (need) + (need) / 2 + 8;                                    \
            (ptr) = xrealloc((ptr), (size_t)(cap) * sizeof *(ptr));             \
        }                                                                       \
    } while (0)

/* ---- requests (request.c) --------------------------------------------------------- */

enum mem_kind { MEM_BY_SHARE, MEM_BY_NODE, MEM_BY_CPU, MEM_BY_GPU, MEM_WHOLE };

struct req_gres {
    uint32_t name, type; /* interned; type 0: any */
    uint32_t count;
    uint32_t per;        /* Sl__GresPer; PER_SOCKET is folded into PER_NODE */
    bool share;          /* of one GPU; per task: each of its own */
};
struct req_license { uint32_t name /* interned */, count; };
struct request {
    uint64_t serial;               /* one for each that there ever was */
    uint32_t nodes_min, nodes_max; /* nodes_max NONE: as few as it takes */
    uint32_t ntasks;               /* 0: one a node */
    uint32_t cpus_per_task, tasks_per_node, tasks_per_core, tasks_per_socket;
    uint32_t tasks_per_gpu, threads, mincpus, sockets_min, cores_per_socket;
    uint32_t cpus_per_gpu;
    uint64_t tmp_mib, mem_mib;
    enum mem_kind mem_kind;
    uint32_t switches;             /* leaf switches at most; 0: any number */
    usec_t switches_wait;          /* ... for so long after it could have started */
    bool nodes_given, nodes_many /* of a range, as many as there are */, contiguous, exclusive, exclusive_user, overcommit, has_names, spread;
    uint32_t gres_count;
    struct req_gres gres[GRES_ITEMS_MAX];
    uint32_t constraint, prefer;   /* constraint.h; 0: none */
    uint32_t reservation;          /* interned comma list */
    struct req_license license[LICENSE_ITEMS_MAX];
    uint32_t licenses;
    char *nodelist, *exclude;
    uint64_t *required, *excluded; /* node sets of generation `names_gen` */
    uint32_t required_count, names_gen;
    bool names_missing;            /* nodelist names a node that does not exist */
};

/* Queued jobs that a plan cannot tell apart: where one does not fit, none does. */
struct jobclass_key {
    uint32_t request, parts; /* parts: interned text */
    usec_t limit;            /* 0: the partition's */
    uint32_t user, account, qos; /* interned; 0 unless limits are enforced */
    usec_t limit_min;
    uint32_t het;            /* a heterogeneous job is a class of its own: its id */
    uint64_t like;           /* of order_like(): predictions are alike */
};
struct jobclass { /* by the id of its key in core.class_keys (queue.c) */
    struct job **job;     /* [head, head + count): in the queue's order, but for those that
                             have a reservation */
    uint32_t head, count, cap;
    uint64_t failed_pass; /* in this pass (core.pass) it did not fit; an older one: it may */
    uint64_t up_gen;      /* of core: then it would fit if no job ran */
    uint32_t *part, parts, parts_gen; /* its partitions, as of core.nodes_gen */
    uint64_t barred_sweep; /* of core: then it was not tried, behind one that waits */
    bool counted_out;     /* it failed for licenses or limits, not for nodes */
    uint8_t reason;       /* why it did not fit: shown for those that were not looked at */
    /* order.c */
    struct predict_class like;
    uint32_t uid;
    usec_t limit, expected; /* expected 0: nothing is known */
};

/* ---- partitions and nodes (configure.c, nodes.c, shape.c) --------------------------- */

enum part_state { PART_UP, PART_DOWN, PART_DRAIN, PART_INACTIVE, PART_STATE_COUNT };

struct override { char *key, *value; }; /* scontrol update, kept over restarts */

struct partition {
    struct core_partition conf; /* strings owned here */
    enum part_state state;
    uint64_t *nodes;            /* node set */
    uint32_t nodes_count;
    char *nodes_text;           /* ranged, built on demand */
    struct override *override;
    size_t overrides_count;
    uint64_t *weight;           /* [TRES_MAX] of billing, billionths; NULL: cpus count */
    uint32_t promised;          /* reservations here */
    uint32_t promised_first;    /* of them, of jobs that have waited for long (order.h) */
    uint64_t headed;            /* planner: its first reservation was seen in this pass */
};

struct shape { /* a topology, shared by nodes that have the same */
    bool pool;               /* its cores are a number, not told apart: no tables */
    uint32_t cores, sockets, numas, threads, cpus;
    uint16_t *core_numa, *core_socket, *numa_socket;
    uint32_t *core_pu;       /* [cores * threads], NONE: no such thread */
    uint32_t *numa_os;       /* [numas] */
};
struct kind { uint32_t name, type; }; /* of gres, in the whole cluster; interned */
struct pool { /* one gres name:type on one node */
    uint32_t name, type;     /* interned */
    uint32_t kind;           /* in core.kind */
    uint32_t first;          /* of GPUs: the number of its first in room.gpu; else NONE */
    uint32_t share;          /* of shares (shard, gpu_milli): their number on one GPU; else 0 */
    uint32_t count, free;
    uint64_t *used;          /* index set */
    int16_t *numa;           /* [count] logical NUMA node, -1 unknown */
};
struct orphan { uint32_t job_id, restart; };

enum down_cause { DOWN_NONE, DOWN_ADMIN, DOWN_SILENT, DOWN_CONF, DOWN_REBOOT };

struct node {
    char *name;
    uint32_t order;          /* place among all nodes by name, n2 before n10 */
    uint32_t model;          /* in core.models (piece.c); 0: to be found */
    uint32_t leaf, line;     /* of the fabric, place along it; by core.leafs_gen */
    /* configuration */
    bool configured;
    char *addr_conf, *gres_conf, *features_conf;
    uint32_t port_conf, cpus_conf, weight;
    uint64_t mem_conf;
    /* what an operator changed; NULL: nothing */
    char *features_set, *gres_set, *comment;
    uint32_t feature_list;   /* in core.feature_lists, by core.feature_gen */
    bool weight_set;
    /* registration */
    Sl__NodeRegister *reg;   /* the last, without jobs and reports; NULL: never */
    bool connected;
    usec_t last_seen, last_busy, lost_at; /* lost_at 0: connected or already given up */
    uint64_t mem_free_mib;
    double load1;
    /* state */
    bool drain, fail, future, invalid_reg;
    enum down_cause down;
    char *reason;
    uint32_t reason_uid;
    usec_t reason_time;
    /* capacity and use */
    uint32_t shape;          /* NONE: unknown */
    uint32_t cores, threads, cores_free;
    uint64_t mem, mem_used;
    uint64_t *core_used;     /* NULL: unknown, or a pool */
    uint32_t pools_count;
    struct pool *pool;
    uint32_t gpus;           /* of all types; 0: none, or more than GPUS_SHARED_MAX */
    uint32_t gpu_whole;      /* equal parts that a GPU of it is counted in */
    uint16_t gpu_shared[GPUS_SHARED_MAX]; /* parts of each GPU that jobs share */
    uint32_t jobs_count;     /* jobs that hold something here */
    uint32_t completing;     /* of them, ended and not yet clean */
    uint32_t exclusive;      /* of them, alone on the node */
    uint32_t partitions_mark;
    char *partitions_text, *gres_text, *gres_used_text; /* views, built on demand */
};

/* ---- allocations (place.c, alloc.c) ---------------------------------------------------- */

struct room { /* what is free on a node, now or at some time */
    uint32_t cores;
    uint32_t jobs;           /* jobs on it: whole-node requests need 0 */
    uint32_t exclusive;      /* a whole-node job is on it */
    uint64_t mem;
    uint32_t gres[GRES_POOLS_MAX]; /* of shares: the most that one GPU has left */
    uint16_t gpu[GPUS_SHARED_MAX]; /* free parts of each GPU; whole ones are in gres too */
};
#define LEAF_STEPS 13 /* 2^12 cores, CPUS_PER_NODE_MAX, on a node */
struct leaf_room { /* of the nodes of one leaf that can be used: at most this is free */
    uint32_t nodes, idle;    /* idle: no job on it */
    uint32_t cores, cores_max;
    uint64_t mem_max;
    uint32_t roomy[LEAF_STEPS]; /* nodes with at least 2^i cores free */
    uint32_t gres[KINDS_MAX], gres_max[KINDS_MAX];
};
struct rooms { /* what is free now, or at some time */
    struct room *v;          /* [nodes]; after a change: rooms_touch() */
    struct leaf_room *leaf;  /* [leafs], read through rooms_leaf() */
    uint64_t *stale;         /* leafs to be summed up again */
    uint32_t nodes, leafs, gen;
    bool any_state;          /* nodes that can't be used now count too */
};
enum rooms_kind {
    ROOMS_NOW,   /* what is free */
    ROOMS_UP,    /* what would be if no job ran */
    ROOMS_EMPTY, /* ... and if all nodes that were ever seen could be used */
    ROOMS_KINDS
};
struct demand { /* what a placement takes of one node */
    uint32_t node, tasks, cores;
    uint64_t mem;
    uint32_t gres[GRES_POOLS_MAX];
    uint16_t gpu[GPUS_SHARED_MAX]; /* parts of GPUs, as shares */
};
struct placement {
    struct demand *node;     /* in rank order: along the fabric */
    uint32_t count, cap;
    uint32_t leafs;          /* of the fabric that it is spread over; 0: there is none */
    bool over_switches;      /* more than --switches asked for; not before place_switches_wait() */
};
struct alloc_node {
    uint32_t node, tasks, cores;
    uint64_t mem;
    uint64_t *core;          /* core set; NULL: of a pool */
    uint64_t *gres[GRES_POOLS_MAX]; /* index sets by the node's pool, NULL: none */
    uint16_t *gpu;           /* [node.gpus] parts of each, NULL: none */
    bool launched, clean;
};
struct alloc {
    uint32_t count, unclean, unlaunched, cpus;
    uint64_t mem;
    struct alloc_node *node; /* in rank order, by node index */
    char *nodelist;          /* built on demand */
};

/* ---- jobs (job.c, depend.c) ------------------------------------------------------------- */

/* Why a pending job is not in the queue; the first that applies is the reason shown. */
enum gate { GATE_OPEN, GATE_HOLD, GATE_DEPENDENCY, GATE_BEGIN, GATE_ARRAY_LIMIT,
            GATE_HET /* the leader waits for other components, they for it */ };
enum { HOLD_USER = 1, HOLD_ADMIN = 2, HOLD_LAUNCH = 4 };
enum then { THEN_NOTHING, THEN_REQUEUE, THEN_REQUEUE_HOLD };

enum dep_kind { DEP_NONE, DEP_AFTER, DEP_AFTERANY, DEP_AFTEROK, DEP_AFTERNOTOK,
                DEP_AFTERCORR, DEP_SINGLETON, DEP_KIND_COUNT };
enum dep_state { DEP_WAIT, DEP_MET, DEP_NEVER };
struct waited;
struct dep {
    uint8_t kind, state;
    uint32_t target, task;   /* job id; NO_VAL: not a task */
    usec_t delay;            /* after:ID+minutes */
    usec_t due;              /* when the delay is over; 0: not known yet */
    struct job *job;         /* kin.h: whose it is, and among those that wait for the target */
    struct waited *list;     /* NULL: in none */
    struct dep *prev, *next;
};

enum job_set {
    SET_RUNNING, /* has an allocation */
    SET_THROTTLED, /* behind GATE_ARRAY_LIMIT: in its array's own set */
    SET_COUNT
};
struct jobset { /* in no order; each member knows its place */
    struct job **v;
    uint32_t count, cap;
};

struct job {
    uint32_t id, restart;
    uint32_t array_id, array_task; /* 0; NO_VAL: not a single task */
    bool is_task;
    uint32_t het_id, het_offset, het_size; /* het.h: the leader's id; size 0: it is none */
    uint32_t *rest;          /* array tasks not yet started, ascending */
    uint32_t rest_count, throttle, array_count, array_min, array_max, array_step;
    uint32_t request, class; /* class: while it is queued */
    uint32_t place[SET_COUNT]; /* in its set; NONE: not a member */
    struct array *array;     /* kin.h; NULL: not of an array */
    struct namesakes *namesakes; /* while it is live */
    struct job *name_prev, *name_next;
    uint32_t kin_task;       /* as which task it is filed */
    uint8_t tally;
    bool kin_running, woken;
    bool array_failed;       /* of the array's own record: a failed task's record went */
    uint32_t tail, ident;    /* core.blobs: the rest of the packed JobSpec */
    uint32_t user, name, account, qos, parts, reason_text; /* interned; parts: comma list */
    uint32_t partition;      /* interned name of the run's */
    uint32_t ran_on, ran_tres, ran_host; /* interned: the last run's nodes, TRES, first node */
    uint32_t ran_nodes, ran_cpus;
    uint64_t ran_mem;
    uint32_t uid, gid;
    int32_t nice;
    uint32_t priority;
    uint32_t tier;           /* of its best partition */
    uint8_t state, type, hold, gate, reason, last_state, then;
    uint8_t warn_signal;     /* --signal; 0: none */
    uint8_t why, placed_by;  /* of its last start (explain_started.c) */
    bool warn_batch, warn_sent, kill_dep, no_kill;
    uint32_t warn_sec;       /* before the limit */
    uint16_t flags;
    bool alone;              /* while it has an allocation: nobody else is on its nodes */
    bool limit_given, prio_fixed, client_lost, requeue, deps_any, queued;
    uint32_t exit_status, derived_exit, last_exit, launch_failures, cancelled_by;
    usec_t submit, eligible, begin, start, end, deadline, limit;
    usec_t limit_min;        /* --time-min: a start under this limit would do; 0: no */
    usec_t limit_asked;      /* the run's is shorter, the next has this again; 0: it is not,
                              * LIMIT_NOT_GIVEN */
    usec_t expected;         /* how long a run is planned to take; 0: its limit */
    usec_t predicted;        /* ... was predicted to take when it started; 0: not known */
    bool outran;             /* it runs for longer */
    usec_t free_at;          /* when what it holds is planned to be free (timeline.h) */
    struct reservation *resv; /* owned; NULL: none */
    usec_t suspended_since, suspended_total, estimate, last_end, client_lost_at;
    uint32_t why_job, placed_leafs; /* ahead of whose promise it started; 0: none */
    uint32_t advres_id;      /* of the advance reservation that it runs in; 0: none */
    usec_t preempt_at;       /* preempted: its grace is over then; 0: it is not */
    usec_t until;            /* ... which ends it then; 0: does not */
    struct dep *deps;
    uint32_t deps_count;
    /* tenant.c: what it counts for. NONE: no QOS of that name */
    uint32_t assoc, qos_id, part_qos, bound_account; /* bound_account: as counted */
    uint32_t counted;        /* jobs that it counts as among those submitted */
    uint32_t prio_made;      /* generation of prio_static; 0: to be made */
    int64_t prio_static;     /* priority without age and fair-share */
    struct charge *charge;   /* while it runs */
    struct alloc *alloc;
    Sl__StepRecord **steps;
    uint32_t steps_count, steps_cap;
};

enum timer_kind { TIMER_NONE, TIMER_BEGIN, TIMER_LIMIT, TIMER_DEADLINE, TIMER_PURGE,
                  TIMER_NODE, TIMER_CLIENT, TIMER_AFTER, TIMER_WARN,
                  TIMER_PRIORITY, TIMER_PLAN, TIMER_RESV, TIMER_PREEMPT,
                  TIMER_EXPECT };
struct timer {
    usec_t at;
    uint32_t kind, id;       /* job id, node index */
};

/* ---- the timeline (timeline.h) ------------------------------------------------------------ */

enum take_kind { TAKE_NONE, TAKE_JOB /* owner: job id */, TAKE_COUNT };

struct hold {
    usec_t end;
    const struct job *job;
    const struct alloc_node *piece;
};
struct take {
    usec_t start, end;
    uint32_t kind, owner;
    bool exclusive;
    struct demand what;
};
struct stretch { /* free from `at` to the next level; the last one: for ever */
    usec_t at;
    int64_t mem;
    int32_t cores, jobs, exclusive;
    int32_t gres[];          /* [pools] (of GPUs that are looked at one by one: whole ones, less
                              * those promised), then int16_t [gpus] parts */
};
struct line {
    struct hold *hold;       /* by end */
    uint32_t holds, holds_cap;
    struct take *take;       /* by start */
    uint32_t takes, takes_cap;
    char *level;             /* by time; each `stride` bytes */
    uint32_t levels, levels_cap, stride, pools, gpus;
};
struct timeline {
    struct line *line;       /* [cap], one a node */
    uint32_t cap;
    uint64_t *taken;         /* nodes with takes */
    uint32_t taken_words;
    struct rooms later;      /* of timeline_rooms_at */
    uint64_t *later_set;     /* nodes that have room there */
};

struct core {
    struct core_policy policy;
    bool dynamic_nodes, loading;
    usec_t now;              /* of the last call; views need it */
    struct intern text, blobs, request_keys, shape_keys;
    struct intern class_keys; /* a reference a queued job */
    struct jobclass *class;
    uint32_t class_cap;
    struct request *request;
    struct intern constraint_keys, feature_lists;
    struct constraint **constraint; /* by id */
    uint32_t constraint_cap, feature_gen;
    struct advres **advres;  /* advres.h: by id */
    uint32_t advress, advres_next;
    struct license *license; /* license.h */
    uint32_t licenses;
    struct shape *shape;
    uint32_t request_cap, shape_cap;
    struct partition *part;
    uint32_t parts;
    struct node *node;
    struct idmap node_by_name; /* hash of the name -> index */
    uint32_t nodes, nodes_cap, words; /* words of a node set */
    uint32_t nodes_gen;      /* the node table or partitions changed */
    struct kind kind[KINDS_MAX];
    uint32_t kinds;
    uint32_t leafs, leafs_gen; /* derived for nodes_gen: leafs_derive() */
    uint32_t *leaf_first, *leaf_node; /* nodes of leaf i: leaf_node[leaf_first[i]...] */
    uint32_t threads_most;   /* of a core, on any node */
    uint32_t cores_most, gpus_most; /* of a node */
    uint64_t mem_most;
    uint32_t weights[WEIGHTS_MAX], weights_count; /* of nodes, ascending; more count as the last */
    struct fabric *fabric;   /* NULL: not known */
    struct intern models;    /* kinds of nodes (piece.c), by nodes_gen models_gen */
    uint32_t models_gen;
    uint64_t models_serial, request_serial;
    bool models_stale;       /* some node's is to be found */
    struct pieces *pieces;
    struct candidate *candidate; /* scratch of place(), kept: [candidates_cap] */
    struct leaf_try *leaf_try;   /* [leaf_tries_cap] */
    uint32_t candidates_cap, leaf_tries_cap;
    uint32_t gpu_name;       /* interned "gpu" */
    struct gpu_target *gpu_target; /* what GPU jobs ask for (place_gpu.c) */
    struct rooms rooms[ROOMS_KINDS]; /* through rooms_of() */
    struct job **job;        /* by ascending id */
    uint32_t jobs, jobs_cap;
    uint32_t pending;
    uint32_t job_id_next, priority_next;
    uint32_t queued;         /* jobs that no gate holds back */
    bool queue_sorted;       /* the classes' jobs are in order */
    struct jobset running;   /* SET_RUNNING */
    struct array *arrays;    /* kin.h: by id */
    struct namesakes *namesakes;
    struct waited *waited;   /* by target */
    struct woken *woken;     /* to be looked at again: something they wait for started or ended */
    uint32_t woken_count, woken_cap;
    bool woken_sorted;
    struct timer *timer;     /* binary heap by time; stale entries are harmless */
    uint32_t timers, timers_cap;
    /* the planner (plan.h) */
    bool plan_wanted;
    bool plan_afresh;        /* from the front: something may fit that did not */
    struct tenants *tenants; /* tenant.h */
    uint64_t pass;           /* since the last that started afresh, failures count */
    uint64_t passes;         /* all */
    uint64_t up_gen;         /* nodes came, went or changed */
    struct reservation **resv; /* in the queue's order */
    uint32_t resv_count, resv_cap;
    uint64_t round;          /* of looking whether reservations can be earlier */
    uint64_t sweep;          /* over the reservations, in one pass or its slices */
    bool sweep_new;          /* the next slice begins another */
    bool counts_freed;       /* since the last pass a run was over: its licenses, its part in limits */
    bool early;              /* something is or will be free earlier than planned */
    uint32_t *relief;        /* nodes with something free, or free earlier, since the last pass */
    uint32_t relief_count, relief_cap;
    uint32_t relief_spent;   /* of them, the classes have looked at; kept for reservations */
    uint64_t relief_base;    /* nodes that got relief before relief[0] */
    uint64_t relief_looked;  /* ... that some reservation has looked at */
    usec_t *at;              /* [at_cap] by node, of the last search (reserve.c) */
    uint32_t at_cap;
    struct timeline timeline;
    struct predict *predict; /* what run times are predicted from */
    usec_t promised_by;      /* a run that its limit lets go on after it counts by the limit (order.h);
                              * 0: nobody waits for that long */
    struct arena scratch;    /* of one view */
};

/* Words of a core set of the node: none where cores are not told apart. */
static inline size_t core_words(const struct node *n)
{
    return n->core_used ? BS_WORDS(n->cores) : 0;
}

/* core.c */
void jobset_put(struct jobset *s, enum job_set set, struct job *j, bool member);
void timer_add(struct core *c, usec_t at, enum timer_kind kind, uint32_t id);
bool timer_take(struct core *c, usec_t now, struct timer *t);
void batch_change(struct batch *b, enum change_kind kind, uint32_t id, uint32_t sub);
struct effect *batch_effect(struct batch *b, enum effect_kind kind);
static inline const char *text_of(const struct core *c, uint32_t id)
{
    return intern_str(&c->text, id);
}

/* configure.c */
long parts_find(const struct core *c, const char *name);
int parts_set(struct core *c, uint32_t i, const char *key, const char *value, struct err *err);
void parts_derive(struct core *c); /* node sets again */
usec_t parts_limit(const struct partition *p, usec_t asked);
void parts_fini(struct core *c);
int part_override(struct core *c, uint32_t i, const char *key, const char *value, struct err *err);

/* shape.c */
bool gres_is_share(const char *name);
uint32_t shape_get(struct core *c, const Sl__NodeTopo *t, struct err *err);
void shape_drop(struct core *c, uint32_t id);
int pools_parse(struct core *c, const char *text, struct pool **out, uint32_t *count, struct err *err);
int pools_read(struct core *c, const struct shape *s, Sl__NodeGres *const *gres, size_t n,
               struct pool **out, uint32_t *count, struct err *err);
/* Numbers the GPUs of a node and finds what its shares are parts of. */
int pools_share(struct core *c, struct pool *pool, uint32_t count, uint32_t *gpus,
                uint32_t *whole, struct err *err);
void pools_free(struct core *c, struct pool *pool, uint32_t count);

/* nodes.c */
uint32_t nodes_add(struct core *c, const char *name);
void nodes_fini(struct core *c);
int nodes_capacity(struct core *c, uint32_t i, struct err *err);
bool nodes_usable(const struct node *n); /* may get new jobs now */
bool nodes_up(const struct node *n);     /* may get new jobs once it answers again */
const char *nodes_features(const struct node *n);
uint32_t nodes_weight(const struct node *n);
void nodes_reason(struct node *n, const char *reason, uint32_t uid, usec_t now);
void nodes_room(const struct node *n, struct room *r, bool empty);
void nodes_changed(struct core *c, uint32_t i, struct batch *out); /* state or capacity */
void nodes_used(struct core *c, uint32_t i); /* other jobs hold it: not in its record */
void nodes_given(struct core *c, uint32_t i, struct batch *out); /* given back: last_busy is */
int nodes_enrol(struct core *c, const Sl__NodeRegister *reg, usec_t now, struct batch *out, struct err *err);
void nodes_set_lost(struct core *c, uint32_t i, usec_t now, struct batch *out);
void nodes_set_down(struct core *c, uint32_t i, enum down_cause why, const char *reason, usec_t now, struct batch *out);
int nodes_change(struct core *c, const char *name, const char *key, const char *value,
                 const struct actor *who, usec_t now, struct batch *out, struct err *err);

/* rooms.c. A struct rooms belongs to one state of the node table (gen): use one within a
 * plan, or fill it again. */
void rooms_init(struct rooms *rs, struct core *c, bool any_state); /* nothing is free */
void rooms_fini(struct rooms *rs);
void rooms_copy(struct rooms *to, const struct rooms *from); /* to: any, or all zero */
/* The core's own, kept up to date as jobs start and end (alloc.c) and nodes come and go:
 * who wants to change them copies them first. */
struct rooms *rooms_of(struct core *c, enum rooms_kind kind);
void rooms_fill(struct rooms *rs, struct core *c, bool empty); /* empty: as if no job ran */
void rooms_take(struct rooms *rs, const struct core *c, const struct placement *p, bool exclusive);
const struct leaf_room *rooms_leaf(struct rooms *rs, const struct core *c, uint32_t leaf);
void rooms_node(struct core *c, uint32_t i); /* the node has changed: core.rooms follow */
int rooms_check(const struct core *c, struct err *err);
void room_take(const struct node *n, struct room *r, const struct demand *d, bool exclusive);
/* What a job holds on the node comes free again. */
void room_give(const struct node *n, struct room *r, const struct alloc_node *k, bool exclusive);
void room_shares(const struct node *n, struct room *r); /* after a change of r->gpu */
void leafs_derive(struct core *c);
static inline void rooms_touch(struct rooms *rs, const struct core *c, uint32_t node)
{
    bs_set(rs->stale, c->node[node].leaf);
}

/* place.c: where would it run? 1 placed, 0 not with what `rooms` says is free. `closed`:
 * node set not to use, or NULL. */
int place(struct core *c, const struct job *j, uint32_t part, struct rooms *rooms,
          const uint64_t *closed, struct placement *out); /* constraint.c */
/* ... of one alternative; without regard to features but for what is closed */
int place_open(struct core *c, const struct job *j, uint32_t part, struct rooms *rooms,
               const uint64_t *closed, struct placement *out);
/* piece.c: the least that the job takes of a node on which it runs, or all of it when it runs
 * on one node; but for d->node. NULL: it can not run there. Valid until the next call. */
const struct demand *place_piece(struct core *c, const struct job *j, uint32_t part,
                                 uint32_t node);
void models_forget(struct core *c, uint32_t node); /* its state or capacity changed */
void pieces_free(struct core *c);
int pieces_check(const struct core *c, struct err *err);
/* Could there be room for that? */
bool place_fits(struct core *c, const struct job *j, uint32_t part, uint32_t node,
                const struct room *r);
/* The nodes of the partition that could take one task of it. */
void place_nodes(struct core *c, const struct job *j, uint32_t part, struct rooms *rooms,
                 const uint64_t *closed, uint64_t *set);
/* When may a placement over more switches than asked start? 0: at once. */
usec_t place_switches_wait(const struct core *c, const struct job *j, const struct placement *p);
/* place_fabric.c: how far the placement is spread. */
void placement_measure(const struct core *c, const struct request *q, struct placement *p);

/* place_report.c */
void placement_report(const struct core *c, const struct alloc *a, struct job_view *v);
void topology_address(const struct core *c, uint32_t node, struct arena *a, char **address,
                      char **pattern);

/* place_gpu.c: what jobs with GPUs look like, learned as they are submitted. */
void gpu_target_note(struct core *c, const struct request *q, uint32_t jobs);
void gpu_target_free(struct core *c);

/* alloc.c */
void alloc_make(struct core *c, struct job *j, const struct placement *p);
void alloc_take(struct core *c, struct job *j); /* counts a loaded allocation in */
void alloc_give_node(struct core *c, struct job *j, struct alloc_node *k);
void alloc_free(struct core *c, struct job *j);
void alloc_set(struct core *c, struct job *j, struct alloc *a);
void job_ran(struct core *c, struct job *j); /* view.c: notes what the run holds */
/* Does it want its nodes for itself when it runs there; has it them? */
bool part_whole(const struct core *c, const struct job *j, uint32_t part);
bool job_exclusive(const struct core *c, const struct job *j);

/* job.c */
struct job *job_find(const struct core *c, uint32_t id);
struct job *job_add(struct core *c, uint32_t id);
void job_drop(struct core *c, struct job *j, struct batch *out);
uint32_t job_id_take(struct core *c);
void job_gate(struct core *c, struct job *j, usec_t now);
/* The gate of a loaded job. What would change its record (a dependency met, a begin time that
 * has come) is left to the first pass and the timers, which have a batch to say so. */
void job_gate_load(struct core *c, struct job *j, usec_t now);
int job_submit(struct core *c, const struct command *cmd, usec_t now, struct batch *out, struct err *err);
bool task_waits(const struct job *j, uint32_t task); /* is it one that j still stands for? */
struct job *job_split(struct core *c, struct job *j, uint32_t task, struct batch *out);
void job_unsplit(struct core *c, struct job *j, struct job *t, uint32_t id_next);
void job_start(struct core *c, struct job *j, uint32_t part, const struct placement *p, usec_t now, struct batch *out);
/* Ends a run: final state, TERMINATE to nodes that are not clean (unless `done_clean`). */
void job_end(struct core *c, struct job *j, enum job_state state, enum job_reason reason,
             uint32_t exit_status, enum then then, usec_t now, struct batch *out, const char *text);
void job_node_clean(struct core *c, struct job *j, uint32_t node, usec_t now, struct batch *out);
/* Timers of a running job's limit and of its --signal; again whenever the limit moves. */
void job_limit_timers(struct core *c, struct job *j);
/* --deadline: when it must have started to end in time, and the timer of it. */
usec_t job_start_latest(const struct job *j);
void job_deadline_timer(struct core *c, struct job *j);
void job_deadline(struct core *c, struct job *j, usec_t now, struct batch *out);
void job_warn(struct core *c, struct job *j, usec_t now, struct batch *out);
/* --kill-on-invalid-dep: ends a job whose dependency can not be satisfied any more. */
void job_drop_invalid(struct core *c, struct job *j, usec_t now, struct batch *out);
void job_cancel_pending(struct core *c, struct job *j, enum job_state state, uint32_t by, usec_t now, struct batch *out);
void job_changed(struct core *c, struct job *j, struct batch *out, bool notify);
void terminate(struct core *c, struct job *j, uint32_t node, usec_t kill_wait, struct batch *out, const char *text);
/* The steps that were cancelled and have not ended, to a node that may not know. */
void step_cancels_send(struct core *c, struct job *j, uint32_t node, struct batch *out);
void suspend_send(struct core *c, struct job *j, uint32_t node, bool suspend, struct batch *out);

/* queue.c */
int queue_order(const void *a, const void *b, void *core); /* qsort_r(3), of struct job * */
void queue_put(struct core *c, struct job *j);
void queue_del(struct core *c, struct job *j);
void queue_sort(struct core *c);
void queue_unsorted(struct core *c); /* a priority changed */
bool queue_in_order(struct core *c); /* still, after priorities were computed again */
void queue_reclass(struct core *c);  /* what tells classes apart changed */
void classes_fini(struct core *c);

/* plan.c */
/* Anything may fit now that did not fit before, or no longer fit. */
static inline void plan_afresh(struct core *c)
{
    c->plan_wanted = c->plan_afresh = true;
    c->up_gen++;
}
/* The time that j waits for has come. */
void plan_again(struct core *c, struct job *j);
/* On this node something is free that was not; early: sooner than was planned. */
void plan_relief(struct core *c, uint32_t node, bool early);
/* When what a job holds is to be free, as it stands. */
usec_t plan_end(const struct job *j);
/* admit.c */
struct admit { /* on whose behalf */
    const struct actor *actor;
    const char *const *groups; /* of the job's owner, NULL-terminated; may be NULL */
    const char *account, *qos;
};
/* The comma list of the names, or of the default partition when there are none. */
int admit_partitions(const struct core *c, char *const *names, size_t count,
                     const struct admit *who, struct buf *out, uint32_t *tier, struct err *err);
/* 0: it could run were its partitions empty, or their nodes are not known yet. */
int admit_fits(struct core *c, struct job *j, struct err *err);

/* depend.c */
int depend_parse(struct core *c, struct job *j, const char *text, struct err *err);
/* Dependencies that were changed: does one of the jobs wait for j itself? A job that is
 * only being submitted has nobody waiting for it. */
int depend_circle(const struct core *c, const struct job *j, struct err *err);
enum dep_state depend_eval(struct core *c, struct job *j, usec_t now);
/* aftercorr: does the array's record stand for tasks that wait for different ones? When
 * there is an answer for one of them, it is split off with its dependencies. */
bool depend_pairs(const struct job *j);
/* All that wait for something which has started or ended since the last call. */
void depend_again(struct core *c, usec_t now, struct batch *out);
const char *depend_kind_name(enum dep_kind kind); /* "afterok" */
char *depend_text(const struct core *c, const struct job *j, struct arena *a);

/* apply.c */
void job_hold(struct job *j, const struct actor *who, bool as_user);

/* report.c, update.c */
void report_apply(struct core *c, const char *node, const Sl__JobReport *r, usec_t now, struct batch *out);
int update_job(struct core *c, const struct command *cmd, usec_t now, struct batch *out, struct err *err);

#endif
