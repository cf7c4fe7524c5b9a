/* SPDX-License-Identifier: Apache-2.0
 *
 * tenant_set: what sacctmgr may set of an association, an account, a user and a QOS, and the
 * words it says it with. Each setter is called twice, first to check with `commit` false,
 * then, when everything of the request was found right, to change.
 */
#ifndef SL_SCHED_TENANT_SET_H
#define SL_SCHED_TENANT_SET_H

#include "sched/tenant.h"

enum tenant_key {
    KEY_NONE,
    KEY_NAME, KEY_ACCOUNT, KEY_USER, KEY_CLUSTER, KEY_PARTITION, KEY_PARENT,
    KEY_DESCRIPTION, KEY_ORGANIZATION, KEY_DEFAULT_ACCOUNT, KEY_DEFAULT_WCKEY, KEY_ADMIN_LEVEL,
    KEY_SHARES, KEY_PRIORITY, KEY_QOS, KEY_DEFAULT_QOS, KEY_RAW_USAGE,
    KEY_FLAGS, KEY_USAGE_FACTOR, KEY_LIMIT_FACTOR, KEY_USAGE_THRESHOLD, KEY_PREEMPT,
    KEY_PREEMPT_MODE, KEY_GRACE,
    KEY_LIMIT, /* one of limit_table */
    KEY_COUNT
};
struct tenant_pair {
    enum tenant_key key;
    int limit;      /* of KEY_LIMIT */
    char op;        /* '=' '+' '-' */
    const char *value;
};

/* A key as written: whole, or a beginning that is long enough; "+" or "-" at its end. */
int tenant_pair_parse(const Sl__KeyValue *kv, unsigned owner, struct tenant_pair *p, struct err *err);
const char *tenant_key_name(const struct tenant_pair *p);
/* The value of a key among pairs, NULL when it is not there. */
const char *tenant_value(const struct tenant_pair *v, size_t n, enum tenant_key key);

/* Does not apply to this kind of thing: SL_EINVAL_FIELD. */
int assoc_set(struct core *c, uint32_t i, const struct tenant_pair *p, bool commit, struct err *err);
int qos_set(struct core *c, uint32_t i, const struct tenant_pair *p, bool commit, struct err *err);
bool assoc_has_key(enum tenant_key key);
void tenant_text(struct core *c, uint32_t *id, const char *text);
/* Takes what an association has used off it and all that count it. */
void assoc_usage_reset(struct core *c, uint32_t i);
/* An account's association under another parent, with what it has used. */
void assoc_move(struct core *c, uint32_t i, uint32_t parent);

#endif
