/* SPDX-License-Identifier: Apache-2.0
 *
 * Records of tenants. Resources are written by name: their indices are those of one run.
 */
#include "sched/tenant.h"

#include "sched/record.pb-c.h"
#include "sched/tres.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- save ---------------------------------------------------------------------------- */

static void save_limits(const struct core *c, const struct limits *l, Sl__LimitRecord ***out,
                        size_t *count, struct arena *a)
{
    *out = arena_alloc(a, (l->count + 1) * sizeof **out);
    for (uint32_t i = 0; i < l->count; i++) {
        Sl__LimitRecord *r = (*out)[i] = arena_alloc(a, sizeof *r);
        sl__limit_record__init(r);
        r->kind = l->v[i].kind;
        r->tres = c->tenants->tres[l->v[i].tres];
        r->value = l->v[i].value;
    }
    *count = l->count;
}

static Sl__UsageRecord *save_usage(const struct core *c, const struct usage *u, struct arena *a)
{
    const struct tenants *tn = c->tenants;
    Sl__UsageRecord *r = arena_alloc(a, sizeof *r);
    sl__usage_record__init(r);
    r->settled = u->settled;
    r->used = arena_alloc(a, TRES_MAX * sizeof *r->used);
    for (uint32_t t = 0; t < tn->tres_count; t++) {
        if (u->used[t] == 0)
            continue;
        Sl__UsedRecord *k = r->used[r->n_used++] = arena_alloc(a, sizeof *k);
        sl__used_record__init(k);
        k->tres = t == TRES_WALL ? (char *)"wall" : tn->tres[t];
        k->high = (uint64_t)(u->used[t] >> 64);
        k->low = (uint64_t)u->used[t];
    }
    return r;
}

#define TEXT(id) ((char *)text_of(c, id))

static bool save_assoc(const struct core *c, uint32_t id, Sl__TenantRecord *out, struct arena *a)
{
    const struct tenants *tn = c->tenants;
    const struct assoc *s = &tn->assoc[id];
    if (id >= tn->assocs || !s->live)
        return false;
    Sl__AssocRecord *r = out->assoc = arena_alloc(a, sizeof *r);
    sl__assoc_record__init(r);
    r->id = id;
    r->parent = s->parent == NONE ? 0 : s->parent;
    r->account = TEXT(s->account);
    r->user = TEXT(s->user);
    r->partition = TEXT(s->partition);
    r->shares = s->shares;
    r->has_priority = s->has_priority;
    r->priority = s->priority;
    r->is_default = s->is_default;
    r->qos_default = TEXT(s->qos_default);
    r->qos_list = TEXT(s->qos_list);
    save_limits(c, &s->limits, &r->limits, &r->n_limits, a);
    r->usage = save_usage(c, &s->usage, a);
    return true;
}

static bool save_qos(const struct core *c, uint32_t id, Sl__TenantRecord *out, struct arena *a)
{
    const struct tenants *tn = c->tenants;
    if (id >= tn->qoses || !tn->qos[id].live)
        return false;
    const struct qos *q = &tn->qos[id];
    Sl__QosRecord *r = out->qos = arena_alloc(a, sizeof *r);
    sl__qos_record__init(r);
    r->id = id;
    r->name = TEXT(q->name);
    r->description = TEXT(q->description);
    r->flags = q->flags;
    r->priority = q->priority;
    r->usage_factor = q->usage_factor;
    r->limit_factor = q->limit_factor;
    r->usage_threshold = q->usage_threshold;
    r->preempt = TEXT(q->preempt);
    r->preempt_mode = TEXT(q->preempt_mode);
    r->grace_sec = q->grace_sec;
    save_limits(c, &q->limits, &r->limits, &r->n_limits, a);
    r->usage = save_usage(c, &q->usage, a);
    return true;
}

/* Accounts and users are named by the id of their interned name. */
static bool save_account(const struct core *c, uint32_t id, Sl__TenantRecord *out, struct arena *a)
{
    const struct tenants *tn = c->tenants;
    uint32_t i = 0;
    while (i < tn->accounts && tn->account[i].name != id)
        i++;
    if (i == tn->accounts)
        return false;
    Sl__AccountRecord *r = out->account = arena_alloc(a, sizeof *r);
    sl__account_record__init(r);
    r->name = TEXT(tn->account[i].name);
    r->description = TEXT(tn->account[i].description);
    r->organization = TEXT(tn->account[i].organization);
    r->coordinators = TEXT(tn->account[i].coordinators);
    return true;
}

static bool save_user(const struct core *c, uint32_t id, Sl__TenantRecord *out, struct arena *a)
{
    const struct tenants *tn = c->tenants;
    uint32_t i = 0;
    while (i < tn->users && tn->user[i].name != id)
        i++;
    if (i == tn->users)
        return false;
    Sl__UserRecord *r = out->user = arena_alloc(a, sizeof *r);
    sl__user_record__init(r);
    r->name = TEXT(tn->user[i].name);
    r->default_account = TEXT(tn->user[i].default_account);
    r->default_wckey = TEXT(tn->user[i].default_wckey);
    r->level = tn->user[i].level;
    return true;
}

static bool save_log(const struct core *c, uint32_t id, Sl__TenantRecord *out, struct arena *a)
{
    const struct tenants *tn = c->tenants;
    uint32_t i = 0;
    while (i < tn->log_count && tn->log[i].id != id)
        i++;
    if (i == tn->log_count)
        return false;
    Sl__TransactionRecord *r = out->transaction = arena_alloc(a, sizeof *r);
    sl__transaction_record__init(r);
    r->id = id;
    r->time = tn->log[i].time;
    r->actor = tn->log[i].actor;
    r->action = tn->log[i].action;
    r->where = tn->log[i].where;
    r->info = tn->log[i].info;
    return true;
}

static const struct {
    const char *name;
    bool (*save)(const struct core *c, uint32_t id, Sl__TenantRecord *out, struct arena *a);
} kinds[TENANT_KIND_COUNT] = {
    [TENANT_ASSOC] = {"assoc", save_assoc},       [TENANT_QOS] = {"qos", save_qos},
    [TENANT_ACCOUNT] = {"account", save_account}, [TENANT_USER] = {"user", save_user},
    [TENANT_LOG] = {"transaction", save_log},
};

/* The key in the store must not depend on ids of interned names, which are those of one run. */
bool core_tenant_save(const struct core *c, enum tenant_kind kind, uint32_t id, char name[64],
                      struct buf *out)
{
    Sl__TenantRecord r = SL__TENANT_RECORD__INIT;
    struct arena *a = &((struct core *)c)->scratch;
    bool named = kind == TENANT_ACCOUNT || kind == TENANT_USER;
    arena_reset(a);
    if (named)
        snprintf(name, 64, "%s.%016llx", kinds[kind].name,
                 (unsigned long long)hash_bytes(text_of(c, id), intern_len(&c->text, id)));
    else
        snprintf(name, 64, "%s.%u", kinds[kind].name, id);
    if (!kinds[kind].save(c, id, &r, a))
        return false;
    size_t n = sl__tenant_record__get_packed_size(&r);
    buf_reserve(out, n);
    sl__tenant_record__pack(&r, (uint8_t *)out->data + out->len);
    out->len += n;
    out->data[out->len] = '\0';
    return true;
}

/* ---- load ------------------------------------------------------------------------------ */

static int load_limits(struct core *c, Sl__LimitRecord *const *v, size_t n, struct limits *to,
                       struct err *err)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t t = v[i]->tres[0] ? tres_find(c, v[i]->tres, true) : 0;
        if (v[i]->kind >= LIMIT_KIND_COUNT || t == NONE)
            return err_set(err, SL_EPROTO, "a limit of kind %u on \"%s\"", v[i]->kind, v[i]->tres);
        bool whole = limit_table[v[i]->kind].unit == LIMIT_COUNT || limit_table[v[i]->kind].unit == LIMIT_SPAN;
        limits_set(to, (enum limit_kind)v[i]->kind, whole ? 0 : t, v[i]->value);
    }
    return 0;
}

static void load_usage(struct core *c, const Sl__UsageRecord *r, struct usage *u)
{
    if (!r)
        return;
    u->settled = r->settled;
    for (size_t i = 0; i < r->n_used; i++) {
        const Sl__UsedRecord *k = r->used[i];
        uint32_t t = strcmp(k->tres, "wall") == 0 ? (uint32_t)TRES_WALL : tres_find(c, k->tres, true);
        if (t != NONE)
            u->used[t] = (amount_t)k->high << 64 | k->low;
    }
}

/* Associations keep their ids; what lies between is filled with places that are free. */
static int load_assoc(struct core *c, const Sl__AssocRecord *r, struct err *err)
{
    uint32_t i = r->id;
    if (i != ASSOC_ROOT) {
        if (i == 0 || i > 2 * TENANT_NAMES_MAX || r->parent == 0 ||
            assoc_find(c, r->account, r->user, r->partition) != NONE)
            return err_set(err, SL_EPROTO, "association %u (%s, %s): no place for it", i, r->account, r->user);
        if (!assoc_at(c, i, r->parent, r->account, r->user, r->partition))
            return err_set(err, SL_EPROTO, "association %u is described twice", i);
    }
    struct assoc *s = &c->tenants->assoc[i];
    s->shares = r->shares;
    s->has_priority = r->has_priority;
    s->priority = r->priority;
    s->is_default = r->is_default;
    s->qos_default = intern_text(&c->text, r->qos_default);
    s->qos_list = intern_text(&c->text, r->qos_list);
    load_usage(c, r->usage, &s->usage);
    return load_limits(c, r->limits, r->n_limits, &s->limits, err);
}

static int load_qos(struct core *c, const Sl__QosRecord *r, struct err *err)
{
    struct tenants *tn = c->tenants;
    if (r->id >= QOS_MAX)
        return err_set(err, SL_EPROTO, "QOS %s has the number %u", r->name, r->id);
    while (tn->qoses <= r->id) {
        GROW(tn->qos, tn->qoses_cap, tn->qoses + 1);
        tn->qos[tn->qoses++] = (struct qos){0};
    }
    struct qos *q = &tn->qos[r->id];
    if (q->live)
        qos_remove(c, r->id); /* the "normal" that every core begins with */
    *q = (struct qos){.live = true, .name = intern_text(&c->text, r->name),
                      .description = intern_text(&c->text, r->description), .flags = r->flags,
                      .priority = r->priority, .usage_factor = r->usage_factor,
                      .limit_factor = r->limit_factor, .usage_threshold = r->usage_threshold,
                      .preempt = intern_text(&c->text, r->preempt),
                      .preempt_mode = intern_text(&c->text, r->preempt_mode),
                      .grace_sec = r->grace_sec};
    load_usage(c, r->usage, &q->usage);
    return load_limits(c, r->limits, r->n_limits, &q->limits, err);
}

static void load_rest(struct core *c, const Sl__TenantRecord *r)
{
    struct tenants *tn = c->tenants;
    if (r->account) {
        uint32_t at = account_find(c, r->account->name); /* every core begins with the root's */
        struct account *a = at == NONE ? account_add(c, r->account->name) : &tn->account[at];
        a->description = intern_text(&c->text, r->account->description);
        a->organization = intern_text(&c->text, r->account->organization);
        a->coordinators = intern_text(&c->text, r->account->coordinators);
    } else if (r->user) {
        struct tenant_user *u = user_add(c, r->user->name);
        u->default_account = intern_text(&c->text, r->user->default_account);
        u->default_wckey = intern_text(&c->text, r->user->default_wckey);
        u->level = r->user->level < ADMIN_COUNT ? (enum admin_level)r->user->level : ADMIN_NONE;
    } else if (r->transaction) {
        uint32_t i = tn->log_count;
        GROW(tn->log, tn->log_cap, tn->log_count + 1);
        while (i > 0 && tn->log[i - 1].id > r->transaction->id)
            i--;
        memmove(tn->log + i + 1, tn->log + i, (tn->log_count++ - i) * sizeof *tn->log);
        tn->log[i] = (struct transaction){
            r->transaction->id, r->transaction->time, xstrdup(r->transaction->actor),
            xstrdup(r->transaction->action), xstrdup(r->transaction->where),
            xstrdup(r->transaction->info)};
        if (r->transaction->id >= tn->log_next)
            tn->log_next = r->transaction->id + 1;
    }
}

int core_tenant_load(struct core *c, const void *p, size_t n, struct err *err)
{
    Sl__TenantRecord *r = sl__tenant_record__unpack(NULL, n, p);
    int rc = 0;
    if (!r)
        return err_set(err, SL_EPROTO, "a tenant's record does not parse");
    if (r->assoc)
        rc = load_assoc(c, r->assoc, err);
    else if (r->qos)
        rc = load_qos(c, r->qos, err);
    else
        load_rest(c, r);
    sl__tenant_record__free_unpacked(r, NULL);
    return rc;
}
