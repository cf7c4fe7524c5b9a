/* SPDX-License-Identifier: Apache-2.0
 *
 * The tables of tenants and how a job's changes reach them.
 */
#include "sched/tenant.h"

#include "base/buf.h"
#include "sched/priority.h"
#include "sched/tres.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct assoc_key { uint32_t account, user, partition; }; /* interned */

/* ---- life -------------------------------------------------------------------------- */

/* At a place of its own; NULL when that is taken. */
struct assoc *assoc_at(struct core *c, uint32_t i, uint32_t parent, const char *account,
                       const char *user, const char *partition)
{
    struct tenants *tn = c->tenants;
    if (i < tn->assocs && tn->assoc[i].live)
        return NULL;
    GROW(tn->assoc, tn->assocs_cap, i + 1);
    for (; tn->assocs <= i; tn->assocs++)
        tn->assoc[tn->assocs] = (struct assoc){.parent = NONE, .child = NONE, .next = NONE};
    struct assoc *a = &tn->assoc[i];
    *a = (struct assoc){.live = true, .parent = parent, .shares = 1, .child = NONE, .next = NONE,
                        .account = intern_text(&c->text, account),
                        .user = intern_text(&c->text, user),
                        .partition = intern_text(&c->text, partition), .level_fs = LEVEL_FS_INF};
    struct assoc_key key = {a->account, a->user, a->partition};
    a->key = intern_get(&tn->assoc_keys, &key, sizeof key, NULL);
    GROW(tn->assoc_by_key, tn->assoc_keys_cap, a->key + 1);
    tn->assoc_by_key[a->key] = i;
    tn->dirty = true;
    return a;
}

uint32_t assoc_add(struct core *c, uint32_t parent, const char *account, const char *user,
                   const char *partition)
{
    uint32_t i = ASSOC_ROOT;
    while (i < c->tenants->assocs && c->tenants->assoc[i].live)
        i++;
    ASSERT(assoc_at(c, i, parent, account, user, partition));
    return i;
}

void assoc_remove(struct core *c, uint32_t i)
{
    struct assoc *a = &c->tenants->assoc[i];
    intern_drop(&c->text, a->account);
    intern_drop(&c->text, a->user);
    intern_drop(&c->text, a->partition);
    intern_drop(&c->text, a->qos_default);
    intern_drop(&c->text, a->qos_list);
    intern_drop(&c->tenants->assoc_keys, a->key);
    free(a->limits.v);
    *a = (struct assoc){.parent = NONE, .child = NONE, .next = NONE};
    c->tenants->dirty = true;
}

struct account *account_add(struct core *c, const char *name)
{
    struct tenants *tn = c->tenants;
    GROW(tn->account, tn->accounts_cap, tn->accounts + 1);
    tn->account[tn->accounts] = (struct account){.name = intern_text(&c->text, name)};
    return &tn->account[tn->accounts++];
}

struct tenant_user *user_add(struct core *c, const char *name)
{
    struct tenants *tn = c->tenants;
    GROW(tn->user, tn->users_cap, tn->users + 1);
    tn->user[tn->users] = (struct tenant_user){.name = intern_text(&c->text, name)};
    return &tn->user[tn->users++];
}

uint32_t qos_add(struct core *c, const char *name)
{
    struct tenants *tn = c->tenants;
    uint32_t i = 0;
    while (i < tn->qoses && tn->qos[i].live)
        i++;
    if (i == tn->qoses) {
        GROW(tn->qos, tn->qoses_cap, tn->qoses + 1);
        tn->qoses++;
    }
    tn->qos[i] = (struct qos){.live = true, .name = intern_text(&c->text, name),
                              .description = intern_text(&c->text, name), .usage_factor = 1000,
                              .preempt_mode = intern_text(&c->text, "cluster")};
    return i;
}

void qos_remove(struct core *c, uint32_t i)
{
    struct qos *q = &c->tenants->qos[i];
    intern_drop(&c->text, q->name);
    intern_drop(&c->text, q->description);
    intern_drop(&c->text, q->preempt);
    intern_drop(&c->text, q->preempt_mode);
    free(q->limits.v);
    memset(q, 0, sizeof *q);
}

void tenants_create(struct core *c)
{
    static const char *const fixed[] = {"cpu", "mem", "energy", "node", "billing", ""};
    struct tenants *tn = xcalloc(1, sizeof *tn);
    c->tenants = tn;
    intern_init(&tn->assoc_keys);
    idmap_init(&tn->part_by_key);
    tn->parts_free = NONE;
    for (uint32_t t = 0; t < TRES_FIRST_NAMED; t++)
        tn->tres[t] = xstrdup(fixed[t]);
    tn->tres_count = TRES_FIRST_NAMED;
    tn->log_next = 1;
    tn->generation = 1;
    ASSERT(assoc_at(c, ASSOC_ROOT, NONE, "root", "", ""));
    account_add(c, "root")->description = intern_text(&c->text, "default root account");
    tn->account[0].organization = intern_text(&c->text, "root");
    qos_add(c, "normal");
    assocs_link(c);
}

void tenants_destroy(struct core *c)
{
    struct tenants *tn = c->tenants;
    for (uint32_t i = 1; i < tn->assocs; i++)
        free(tn->assoc[i].limits.v);
    for (uint32_t i = 0; i < tn->qoses; i++)
        free(tn->qos[i].limits.v);
    for (uint32_t i = 0; i < tn->log_count; i++)
        transaction_fini(&tn->log[i]);
    for (uint32_t t = 0; t < tn->tres_count; t++)
        free(tn->tres[t]);
    intern_fini(&tn->assoc_keys);
    idmap_fini(&tn->part_by_key);
    free(tn->assoc_by_key);
    free(tn->assoc);
    free(tn->qos);
    free(tn->account);
    free(tn->user);
    free(tn->log);
    free(tn->part);
    free(tn->weight_tres);
    free(tn->order);
    free(tn);
}

void transaction_fini(struct transaction *t)
{
    free(t->actor);
    free(t->action);
    free(t->where);
    free(t->info);
}

static const struct {
    const char *name;
    uint32_t flags;
} enforce_words[] = {
    {"associations", ENFORCE_ASSOCIATIONS},
    {"limits", ENFORCE_ASSOCIATIONS | ENFORCE_LIMITS},
    {"qos", ENFORCE_ASSOCIATIONS | ENFORCE_QOS},
    {"safe", ENFORCE_ASSOCIATIONS | ENFORCE_LIMITS | ENFORCE_SAFE},
    {"all", ENFORCE_ASSOCIATIONS | ENFORCE_LIMITS | ENFORCE_QOS | ENFORCE_SAFE},
    {"none", 0},
};

int enforce_parse(const char *text, struct err *err)
{
    int flags = 0;
    for (const char *p = text; *p;) {
        size_t n = strcspn(p, ","), k = 0, words = sizeof enforce_words / sizeof *enforce_words;
        if (strncasecmp(p, "nojobs", n) == 0 || strncasecmp(p, "nosteps", n) == 0 ||
            strncasecmp(p, "wckeys", n) == 0)
            return err_set(err, SL_ENOT_BUILT, "%.*s is not built yet", (int)n, p);
        while (k < words && (strlen(enforce_words[k].name) != n ||
                             strncasecmp(enforce_words[k].name, p, n) != 0))
            k++;
        if (k == words)
            return err_set(err, SL_EINVAL_FIELD,
                           "\"%.*s\" is none of associations, limits, qos, safe, all, none",
                           (int)n, p);
        flags |= (int)enforce_words[k].flags;
        p += n + (p[n] == ',');
    }
    return flags;
}

int tenants_configure(struct core *c, const struct core_policy *policy, struct err *err)
{
    struct tenants *tn = c->tenants;
    uint64_t weight[TRES_MAX];
    bool weighs = policy->weight_tres[0];
    if (weighs && tres_weights_parse(c, policy->weight_tres, weight, err) < 0)
        return err_prefix(err, "priority.weight_tres");
    free(tn->weight_tres);
    tn->weight_tres = NULL;
    if (weighs) {
        tn->weight_tres = xmalloc(sizeof weight);
        memcpy(tn->weight_tres, weight, sizeof weight);
    }
    tn->decay = decay_make(policy->priority_period, policy->priority_half_life);
    tn->generation++;
    return 0;
}

/* ---- look-ups ------------------------------------------------------------------------ */

uint32_t assoc_find(const struct core *c, const char *account, const char *user,
                    const char *partition)
{
    struct assoc_key key = {intern_find(&c->text, account, strlen(account)),
                            intern_find(&c->text, user, strlen(user)),
                            intern_find(&c->text, partition, strlen(partition))};
    uint32_t k = intern_find(&c->tenants->assoc_keys, &key, sizeof key);
    return k == NONE ? NONE : c->tenants->assoc_by_key[k];
}

uint32_t qos_find(const struct core *c, const char *name)
{
    const struct tenants *tn = c->tenants;
    uint32_t id = intern_find(&c->text, name, strlen(name));
    for (uint32_t i = 0; id != NONE && i < tn->qoses; i++)
        if (tn->qos[i].live && tn->qos[i].name == id)
            return i;
    return NONE;
}

/* Accounts and users are looked up when an administrator works, or a job says none. */
uint32_t account_find(const struct core *c, const char *name)
{
    const struct tenants *tn = c->tenants;
    uint32_t id = intern_find(&c->text, name, strlen(name));
    for (uint32_t i = 0; id != NONE && i < tn->accounts; i++)
        if (tn->account[i].name == id)
            return i;
    return NONE;
}

uint32_t user_find(const struct core *c, const char *name)
{
    const struct tenants *tn = c->tenants;
    uint32_t id = intern_find(&c->text, name, strlen(name));
    for (uint32_t i = 0; id != NONE && i < tn->users; i++)
        if (tn->user[i].name == id)
            return i;
    return NONE;
}

enum admin_level tenant_level(const struct core *c, const char *user)
{
    uint32_t i = user ? user_find(c, user) : NONE;
    return i == NONE ? ADMIN_NONE : c->tenants->user[i].level;
}

/* Children in the order of their indices, so that equal trees are walked alike. */
void assocs_link(struct core *c)
{
    struct tenants *tn = c->tenants;
    for (uint32_t i = 1; i < tn->assocs; i++)
        tn->assoc[i].child = tn->assoc[i].next = NONE;
    for (uint32_t i = tn->assocs; i-- > 1;) {
        struct assoc *a = &tn->assoc[i];
        if (!a->live || a->parent == NONE)
            continue;
        a->next = tn->assoc[a->parent].child;
        tn->assoc[a->parent].child = i;
    }
}

/* ---- QOS lists -------------------------------------------------------------------------- */

static bool word_in(const char *list, const char *word, size_t n)
{
    for (const char *p = list; *p;) {
        size_t len = strcspn(p, ",");
        if (len == n && memcmp(p, word, n) == 0)
            return true;
        p += len + (p[len] == ',');
    }
    return false;
}

void names_edit(struct buf *list, const char *word, size_t n, bool add)
{
    struct buf kept;
    if (add) {
        if (!word_in(buf_str(list), word, n)) {
            buf_puts(list, list->len ? "," : "");
            buf_put(list, word, n);
        }
        return;
    }
    buf_init(&kept);
    for (const char *p = buf_str(list); *p;) {
        size_t len = strcspn(p, ",");
        if (len != n || memcmp(p, word, n) != 0) {
            buf_puts(&kept, kept.len ? "," : "");
            buf_put(&kept, p, len);
        }
        p += len + (p[len] == ',');
    }
    buf_clear(list);
    buf_puts(list, buf_str(&kept));
    buf_fini(&kept);
}

bool names_has(const char *list, const char *word)
{
    return word_in(list, word, strlen(word));
}

void assoc_qos_list(const struct core *c, uint32_t assoc, struct buf *out)
{
    const struct assoc *a = &c->tenants->assoc[assoc];
    const char *own = text_of(c, a->qos_list);
    bool edits = own[0] == '+' || own[0] == '-';
    if (!own[0] || edits) {
        if (a->parent != NONE)
            assoc_qos_list(c, a->parent, out);
        else
            buf_puts(out, "normal");
    }
    if (!edits) {
        buf_puts(out, own);
        return;
    }
    for (const char *p = own; *p;) {
        size_t len = strcspn(p, ",");
        names_edit(out, p + 1, len - 1, p[0] == '+');
        p += len + (p[len] == ',');
    }
}

uint32_t assoc_qos_default(const struct core *c, uint32_t assoc)
{
    for (uint32_t i = assoc; i != NONE; i = c->tenants->assoc[i].parent)
        if (c->tenants->assoc[i].qos_default)
            return c->tenants->assoc[i].qos_default;
    return 0;
}

/* ---- limits as a table --------------------------------------------------------------------- */

uint64_t limits_get(const struct limits *l, enum limit_kind kind, uint32_t tres)
{
    for (uint32_t i = 0; i < l->count; i++)
        if (l->v[i].kind == kind && l->v[i].tres == tres)
            return l->v[i].value;
    return UINT64_MAX;
}

void limits_set(struct limits *l, enum limit_kind kind, uint32_t tres, uint64_t value)
{
    uint32_t i = 0;
    while (i < l->count && (l->v[i].kind < kind || (l->v[i].kind == kind && l->v[i].tres < tres)))
        i++;
    bool there = i < l->count && l->v[i].kind == kind && l->v[i].tres == tres;
    if (value == UINT64_MAX) {
        if (there)
            memmove(l->v + i, l->v + i + 1, (--l->count - i) * sizeof *l->v);
        return;
    }
    if (!there) {
        l->v = xrealloc(l->v, (l->count + 1) * sizeof *l->v);
        memmove(l->v + i + 1, l->v + i, (l->count++ - i) * sizeof *l->v);
    }
    l->v[i] = (struct limit_value){(uint8_t)kind, (uint8_t)tres, value};
}

/* ---- what one user or account has within a QOS ------------------------------------------------ */

static uint64_t part_key(uint32_t qos, bool is_account, uint32_t name)
{
    return (uint64_t)qos << 33 | (uint64_t)is_account << 32 | name;
}

struct qos_part *qos_part_get(struct core *c, uint32_t qos, bool is_account, uint32_t name,
                              bool make)
{
    struct tenants *tn = c->tenants;
    uint64_t key = part_key(qos, is_account, name);
    uint32_t i = idmap_get(&tn->part_by_key, key);
    if (i != NONE)
        return &tn->part[i];
    if (!make)
        return NULL;
    i = tn->parts_free;
    if (i == NONE) {
        GROW(tn->part, tn->parts_cap, tn->parts + 1);
        i = tn->parts++;
    } else {
        tn->parts_free = tn->part[i].name;
    }
    tn->part[i] = (struct qos_part){.qos = qos, .is_account = is_account,
                                    .name = intern_ref(&c->text, name)};
    idmap_put(&tn->part_by_key, key, i);
    return &tn->part[i];
}

static void part_drop(struct core *c, struct qos_part *p)
{
    struct tenants *tn = c->tenants;
    if (p->usage.submitted || p->usage.running)
        return;
    idmap_del(&tn->part_by_key, part_key(p->qos, p->is_account, p->name));
    intern_drop(&c->text, p->name);
    p->qos = NONE;
    p->name = tn->parts_free;
    tn->parts_free = (uint32_t)(p - tn->part);
}

/* ---- a job's place --------------------------------------------------------------------------------- */

struct place_of { uint32_t assoc, qos, part_qos; };

uint32_t part_qos(const struct core *c, uint32_t part, uint32_t job_qos)
{
    const char *name = part == NONE ? NULL : c->part[part].conf.qos;
    uint32_t q = name && name[0] ? qos_find(c, name) : NONE;
    return q == job_qos ? NONE : q;
}

static struct place_of place_with(const struct core *c, const struct job *j,
                                  const char *account, const char *qos)
{
    const char *user = text_of(c, j->user);
    char part[NAME_LEN_MAX + 1];
    bool ran = j->state != JOB_PENDING && j->partition;
    const char *parts = text_of(c, ran ? j->partition : j->parts);
    snprintf(part, sizeof part, "%.*s", (int)strcspn(parts, ","), parts);
    struct place_of p = {assoc_find(c, account, user, part), qos_find(c, qos), NONE};
    if (p.assoc == NONE)
        p.assoc = assoc_find(c, account, user, "");
    if (p.assoc == NONE)
        p.assoc = ASSOC_ROOT;
    long at = parts_find(c, part);
    p.part_qos = part_qos(c, at < 0 ? NONE : (uint32_t)at, p.qos);
    return p;
}

static struct place_of job_place(const struct core *c, const struct job *j)
{
    return place_with(c, j, text_of(c, j->account), text_of(c, j->qos));
}

/* Everything that a job counts for: its path, its QOS and its partition's, and its user's
 * and account's part of each. */
static void usages_of(struct core *c, const struct job *j, bool make, void (*fn)(struct core *, struct usage *, bool, const struct job *, int64_t), int64_t arg)
{
    struct tenants *tn = c->tenants;
    const uint32_t qos[] = {j->qos_id, j->part_qos};
    for (uint32_t i = j->assoc; i != NONE; i = tn->assoc[i].parent)
        fn(c, &tn->assoc[i].usage, true, j, arg);
    for (int k = 0; k < 2; k++) {
        if (qos[k] == NONE)
            continue;
        fn(c, &tn->qos[qos[k]].usage, !(tn->qos[qos[k]].flags & QOSF_NO_DECAY), j, arg);
        for (int a = 0; a < 2; a++) {
            struct qos_part *p = qos_part_get(c, qos[k], a == 1, a ? j->bound_account : j->user, make);
            ASSERT(p);
            fn(c, &p->usage, false, j, arg);
            part_drop(c, p);
        }
    }
}

static void add_submitted(struct core *c, struct usage *u, bool decays, const struct job *j, int64_t n)
{
    (void)c, (void)decays, (void)j;
    u->submitted += (uint32_t)n;
}

/* arg: 0 while loading, when what is recorded already says until when it was settled */
static void settle_one(struct core *c, struct usage *u, bool decays, const struct job *j, int64_t live)
{
    struct tenants *tn = c->tenants;
    (void)j;
    if (live)
        usage_settle(u, &tn->decay, decays, tn->tres_count, c->now);
}

static void hold_one(struct core *c, struct usage *u, bool decays, const struct job *j, int64_t sign)
{
    (void)decays;
    usage_hold(u, j->charge, c->tenants->tres_count, (int)sign);
}

static void rate_one(struct core *c, struct usage *u, bool decays, const struct job *j, int64_t sign)
{
    (void)decays;
    usage_rate(u, j->charge, c->tenants->tres_count, (int)sign);
}

static void usages_changed(struct core *c, const struct job *j, struct batch *out)
{
    if (!out)
        return;
    for (uint32_t i = j->assoc; i != NONE; i = c->tenants->assoc[i].parent)
        batch_change(out, CHANGE_TENANT, i, TENANT_ASSOC);
    if (j->qos_id != NONE)
        batch_change(out, CHANGE_TENANT, j->qos_id, TENANT_QOS);
    if (j->part_qos != NONE)
        batch_change(out, CHANGE_TENANT, j->part_qos, TENANT_QOS);
}

static usec_t limit_end(const struct job *j)
{
    usec_t limit = j->limit == SPAN_INFINITE ? SPAN_UNKNOWN : j->limit;
    return j->start + j->suspended_total + limit;
}

static void charge_begin(struct core *c, struct job *j, struct batch *out)
{
    const struct tenants *tn = c->tenants;
    j->charge = xcalloc(1, sizeof *j->charge);
    tres_of_alloc(c, j, j->charge->tres);
    j->charge->factor = j->qos_id == NONE ? 1000 : tn->qos[j->qos_id].usage_factor;
    j->charge->end = limit_end(j);
    usages_of(c, j, true, settle_one, out != NULL);
    usages_of(c, j, true, hold_one, 1);
    if (j->state == JOB_RUNNING) {
        j->charge->on = true;
        usages_of(c, j, true, rate_one, 1);
    }
    usages_changed(c, j, out);
}

static void charge_end(struct core *c, struct job *j, struct batch *out)
{
    usages_of(c, j, false, settle_one, out != NULL);
    if (j->charge->on)
        usages_of(c, j, false, rate_one, -1);
    usages_of(c, j, false, hold_one, -1);
    usages_changed(c, j, out);
    free(j->charge);
    j->charge = NULL;
}

/* Suspended, resumed, or its limit moved. */
static void charge_change(struct core *c, struct job *j, struct batch *out)
{
    bool on = j->state == JOB_RUNNING;
    usec_t end = limit_end(j);
    if (on == j->charge->on && (!on || end == j->charge->end))
        return;
    usages_of(c, j, false, settle_one, 1);
    if (j->charge->on)
        usages_of(c, j, false, rate_one, -1);
    j->charge->on = on;
    j->charge->end = end;
    if (on)
        usages_of(c, j, false, rate_one, 1);
    usages_changed(c, j, out);
}

static void bind(struct core *c, struct job *j, uint32_t tasks)
{
    struct place_of p = job_place(c, j);
    bool moved = p.assoc != j->assoc || p.qos != j->qos_id || p.part_qos != j->part_qos ||
                 j->account != j->bound_account;
    if (j->counted && moved)
        usages_of(c, j, false, add_submitted, -(int64_t)j->counted);
    if (j->counted && moved)
        j->counted = 0;
    j->assoc = p.assoc;
    j->qos_id = p.qos;
    j->part_qos = p.part_qos;
    j->bound_account = j->account;
    if (tasks != j->counted)
        usages_of(c, j, true, add_submitted, (int64_t)tasks - (int64_t)j->counted);
    j->counted = tasks;
}

void tenant_place(struct core *c, struct job *j)
{
    struct place_of p = job_place(c, j);
    j->assoc = p.assoc;
    j->qos_id = p.qos;
    j->part_qos = p.part_qos;
    j->bound_account = j->account;
}

void tenant_forget(struct core *c, struct job *j)
{
    if (j->charge)
        charge_end(c, j, NULL);
    if (j->counted)
        usages_of(c, j, false, add_submitted, -(int64_t)j->counted);
    j->counted = 0;
}

void tenant_follow(struct core *c, struct job *j, struct batch *out)
{
    bool live = j->state == JOB_PENDING || j->state == JOB_RUNNING || j->state == JOB_SUSPENDED;
    bool runs = j->alloc && live && j->state != JOB_PENDING;
    uint32_t tasks = !live ? 0 : j->rest_count ? j->rest_count : 1;
    if (j->charge && !runs)
        charge_end(c, j, out);
    if (!j->charge && tasks)
        bind(c, j, tasks);
    if (runs && !j->charge)
        charge_begin(c, j, out);
    else if (runs)
        charge_change(c, j, out);
    if (!tasks && j->counted) {
        usages_of(c, j, false, add_submitted, -(int64_t)j->counted);
        j->counted = 0;
    }
}

void tenant_rebind(struct core *c, struct job *j, struct batch *out)
{
    struct place_of p = job_place(c, j);
    if (j->charge && (p.assoc != j->assoc || p.qos != j->qos_id || p.part_qos != j->part_qos))
        charge_end(c, j, out);
    tenant_follow(c, j, out);
}

/* ---- admission ---------------------------------------------------------------------------------------- */

static int qos_admit(const struct core *c, const char *name, uint32_t assoc, struct err *err)
{
    struct buf list;
    if (qos_find(c, name) == NONE)
        return err_set(err, SL_EINVAL_QOS, "%s: there is no QOS %s", err_name(SL_EINVAL_QOS), name);
    buf_init(&list);
    assoc_qos_list(c, assoc, &list);
    int rc = names_has(buf_str(&list), name)
                 ? 0
                 : err_set(err, SL_EINVAL_QOS, "%s: QOS %s is not among those of the association (%s)",
                           err_name(SL_EINVAL_QOS), name, buf_str(&list));
    buf_fini(&list);
    return rc;
}

int tenant_may(const struct core *c, const struct job *j, const char *account, const char *qos,
               struct err *err)
{
    uint32_t enforce = c->policy.enforce, assoc = place_with(c, j, account, qos).assoc;
    if (enforce & ENFORCE_ASSOCIATIONS && assoc == ASSOC_ROOT && j->uid != 0)
        return err_set(err, SL_EINVAL_ACCOUNT, "%s: user %s has no association with account %s",
                       err_name(SL_EINVAL_ACCOUNT), text_of(c, j->user),
                       account[0] ? account : "(none given)");
    return enforce & ENFORCE_QOS && qos[0] ? qos_admit(c, qos, assoc, err) : 0;
}

int tenant_admit(struct core *c, struct job *j, struct err *err)
{
    const struct tenants *tn = c->tenants;
    uint32_t u = user_find(c, text_of(c, j->user));
    if (!j->account && u != NONE)
        j->account = intern_ref(&c->text, tn->user[u].default_account);
    if (!j->qos) {
        uint32_t q = assoc_qos_default(c, job_place(c, j).assoc);
        j->qos = q ? intern_ref(&c->text, q) : intern_text(&c->text, "normal");
    }
    return tenant_may(c, j, text_of(c, j->account), text_of(c, j->qos), err);
}
