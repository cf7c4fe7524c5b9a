/* SPDX-License-Identifier: Apache-2.0
 *
 * tenant: who may use the cluster, private to lib/sched.
 *
 *   root --- physics --- lab1 --- (lab1, alice)         an account's association has no
 *        \           \                                  user; a user's has its account as
 *         \           --- (physics, bob, gpu)           parent, and maybe a partition
 *          --- chemistry ...
 *
 * Associations are dense and keep their index (which is the id that users see) for life, so that a
 * job holds a number. ASSOC_ROOT is the cluster's, never deleted. A job without an
 * association of its own is the root's, so that each resource-second has an owner.
 *
 * usage.h counts what jobs hold and have used, fairshare.h ranks users, priority.h makes job
 * priorities, limits.h says what a job may not do. tenant_follow() is the one place where a
 * job's change reaches all of that.
 *
 * Without any configuration there is the root, the QOS "normal", and no enforcement: anyone
 * may submit under any account, as in a Slurm without AccountingStorageEnforce.
 */
#ifndef SL_SCHED_TENANT_H
#define SL_SCHED_TENANT_H

#include "base/buf.h"
#include "job/limit.h"
#include "sched/model.h"
#include "sched/usage.h"

#define ASSOC_ROOT 1u /* 0 means none where ids are written */
#define SHARES_PARENT UINT32_MAX
#define FAIRSHARE_MAX 1048576u     /* keeps level_fs within 128 bits */
#define FACTOR_ONE (UINT64_C(1) << 32) /* 1.0 of a factor in fixed point */
#define LEVEL_FS_INF UINT64_MAX /* no usage */
#define TENANT_NAMES_MAX 100000u /* associations, accounts, users of each: 2 KiB each */
#define QOS_MAX 4096u
#define TRANSACTIONS_MAX 20000u /* kept; the oldest go first */
#define TENANT_TEXT_MAX 255u

struct limit_value {
    uint8_t kind, tres; /* tres: index, 0 where the limit has none */
    uint64_t value;
};
struct limits { /* few: those that are set, by kind and resource */
    struct limit_value *v;
    uint32_t count;
};

struct assoc {
    bool live, is_default;    /* is_default: its user's, of several */
    uint32_t key;             /* in tenants.assoc_keys */
    uint32_t parent;          /* index; NONE: the root */
    uint32_t account, user, partition; /* interned; user 0: the account's own */
    uint32_t shares;          /* or SHARES_PARENT */
    bool has_priority;
    uint32_t priority;
    uint32_t qos_default;     /* interned name; 0: the parent's */
    uint32_t qos_list;        /* interned: "a,b", or "+a,-b" on the parent's; 0: the parent's */
    struct limits limits;
    struct usage usage;
    /* derived */
    uint32_t child, next;     /* first child, next sibling, ascending index; NONE */
    uint64_t level_fs;        /* Q32.32: norm shares / usage among its siblings */
    uint64_t fs;              /* 0 .. FACTOR_ONE */
};

enum qos_flag {
    QOSF_DENY_ON_LIMIT = 1, QOSF_NO_DECAY = 2, QOSF_OVER_PART_QOS = 4, QOSF_NO_RESERVE = 8,
    QOSF_PART_TIME_LIMIT = 16, QOSF_USAGE_FACTOR_SAFE = 32, QOSF_ENFORCE_THRESHOLD = 64,
    QOSF_PART_MAX_NODES = 128, QOSF_PART_MIN_NODES = 256, QOSF_RESERVATION = 512,
};
struct qos {
    bool live;
    uint32_t name, description; /* interned */
    uint32_t flags, priority;
    uint32_t usage_factor, limit_factor; /* thousandths; limit_factor 0: none */
    uint32_t usage_threshold; /* millionths of a fair-share factor; 0: none */
    uint32_t preempt;         /* interned: comma list of QOS that it may preempt */
    uint32_t preempt_mode;    /* interned: "cluster", "cancel", ... */
    uint32_t grace_sec;
    struct limits limits;
    struct usage usage;
};

struct account {
    uint32_t name, description, organization, coordinators; /* interned; comma list of users */
};
enum admin_level { ADMIN_NONE, ADMIN_OPERATOR, ADMIN_ADMIN, ADMIN_COUNT };
struct tenant_user {
    uint32_t name, default_account, default_wckey;
    enum admin_level level;
};
struct transaction {
    uint32_t id;
    usec_t time;
    char *actor, *action, *where, *info;
};

struct qos_part { /* what one user, or one account, holds within a QOS */
    uint32_t qos, name; /* name: interned */
    bool is_account;
    struct usage usage; /* its counters only */
};

struct tenants {
    struct assoc *assoc;
    uint32_t assocs, assocs_cap;
    struct intern assoc_keys; /* (account, user, partition) */
    uint32_t *assoc_by_key, assoc_keys_cap;
    struct qos *qos;
    uint32_t qoses, qoses_cap;
    struct account *account;
    uint32_t accounts, accounts_cap;
    struct tenant_user *user;
    uint32_t users, users_cap;
    struct transaction *log; /* ascending id */
    uint32_t log_count, log_cap, log_next;
    struct qos_part *part;
    uint32_t parts, parts_cap, parts_free; /* parts_free: head of a list by `name` */
    struct idmap part_by_key;
    uint32_t *order, orders; /* of a listing: associations, depth first */
    char *tres[TRES_MAX]; /* names by index */
    uint32_t tres_count;
    struct decay decay;
    /* derived: priorities */
    uint64_t cpus_total, nodes_total, tres_total[TRES_MAX];
    uint32_t qos_priority_max, assoc_priority_max;
    uint32_t generation; /* of what static parts of priorities were made from */
    uint64_t *weight_tres; /* [TRES_MAX], of priority.weight_tres */
    usec_t tick_at;      /* of the timer that counts */
    usec_t ranked;       /* when users were last ranked */
    bool dirty;          /* to be ranked again */
};

void tenants_create(struct core *c);
void tenants_destroy(struct core *c);
/* After the policy changed. */
int tenants_configure(struct core *c, const struct core_policy *policy, struct err *err);

/* Their fields are for the caller to fill; an association is linked by assocs_link(). */
uint32_t assoc_add(struct core *c, uint32_t parent, const char *account, const char *user, const char *partition);
struct assoc *assoc_at(struct core *c, uint32_t i, uint32_t parent, const char *account, const char *user, const char *partition);
struct account *account_add(struct core *c, const char *name);
struct tenant_user *user_add(struct core *c, const char *name);
void assoc_remove(struct core *c, uint32_t i);
uint32_t qos_add(struct core *c, const char *name);
void qos_remove(struct core *c, uint32_t i);
void transaction_fini(struct transaction *t);
struct qos_part *qos_part_get(struct core *c, uint32_t qos, bool is_account, uint32_t name, bool make);
/* Comma lists of names. */
bool names_has(const char *list, const char *word);
void names_edit(struct buf *list, const char *word, size_t n, bool add);

/* Names to indices, NONE when there is none. */
uint32_t assoc_find(const struct core *c, const char *account, const char *user, const char *partition);
uint32_t qos_find(const struct core *c, const char *name);
uint32_t account_find(const struct core *c, const char *name);
uint32_t user_find(const struct core *c, const char *name);
/* Effective lists of an association, its own or inherited; text in the scratch of `out`. */
void assoc_qos_list(const struct core *c, uint32_t assoc, struct buf *out);
uint32_t assoc_qos_default(const struct core *c, uint32_t assoc); /* interned name or 0 */
void assocs_link(struct core *c); /* children again */

uint64_t limits_get(const struct limits *l, enum limit_kind kind, uint32_t tres); /* UINT64_MAX: none */
void limits_set(struct limits *l, enum limit_kind kind, uint32_t tres, uint64_t value);

/* A job was submitted, started, suspended, ended, changed, or is to be forgotten: what it
 * counts for follows. Safe to call at any time. out may be NULL while loading. */
void tenant_follow(struct core *c, struct job *j, struct batch *out);
/* ... or tenants have changed: what it counts for from now on, also while it runs, is what it
 * would by its account, user and QOS after a restart. */
void tenant_rebind(struct core *c, struct job *j, struct batch *out);
/* The partition's QOS where it is another than the job's, or NONE. */
uint32_t part_qos(const struct core *c, uint32_t part, uint32_t job_qos);
/* Its association and QOS, without counting it yet. */
void tenant_place(struct core *c, struct job *j);
void tenant_forget(struct core *c, struct job *j);
/* At submission: the job's account and QOS by default and by right. */
int tenant_admit(struct core *c, struct job *j, struct err *err);
/* May the job have these, by accounting.enforce? */
int tenant_may(const struct core *c, const struct job *j, const char *account, const char *qos, struct err *err);
/* Who does he act as? An operator by the users' table counts as one. */
enum admin_level tenant_level(const struct core *c, const char *user);

/* tenant_apply.c */
int tenant_apply(struct core *c, const struct command *cmd, usec_t now, struct batch *out, struct err *err);
/* tenant_check.c: counters against a rebuild from the jobs */
int tenants_check(const struct core *c, struct err *err);

#endif
