/* SPDX-License-Identifier: Apache-2.0
 *
 * Tenants as rows of text, for sacctmgr, sshare and sprio: one table of columns. A limit is a
 * column of its own by its number in job/limit.h.
 */
#include "sched/fairshare.h"
#include "sched/priority.h"
#include "sched/tenant.h"
#include "sched/tenant_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define COLUMN_LIMIT 1000u /* and the limit's kind */

struct view_row {
    struct core *c;
    uint32_t i; /* index in the table of its kind, or job id */
    struct job_factors *factors;
};
typedef void (*fill_f)(const struct view_row *r, struct buf *out);

static void number(struct buf *out, uint64_t v)
{
    buf_printf(out, "%llu", (unsigned long long)v);
}

/* ---- associations and shares ------------------------------------------------------------- */

static const struct assoc *assoc_of(const struct view_row *r)
{
    return &r->c->tenants->assoc[r->i];
}

static void a_id(const struct view_row *r, struct buf *o) { number(o, r->i); }
static void a_account(const struct view_row *r, struct buf *o) { buf_puts(o, text_of(r->c, assoc_of(r)->account)); }
static void a_user(const struct view_row *r, struct buf *o) { buf_puts(o, text_of(r->c, assoc_of(r)->user)); }
static void a_partition(const struct view_row *r, struct buf *o) { buf_puts(o, text_of(r->c, assoc_of(r)->partition)); }

static void a_share(const struct view_row *r, struct buf *o)
{
    if (assoc_of(r)->shares == SHARES_PARENT)
        buf_puts(o, "parent");
    else
        number(o, assoc_of(r)->shares);
}

static void a_priority(const struct view_row *r, struct buf *o)
{
    if (assoc_of(r)->has_priority)
        number(o, assoc_of(r)->priority);
}

static void a_qos(const struct view_row *r, struct buf *o) { assoc_qos_list(r->c, r->i, o); }
static void a_qos_raw(const struct view_row *r, struct buf *o) { buf_puts(o, text_of(r->c, assoc_of(r)->qos_list)); }
static void a_qos_default(const struct view_row *r, struct buf *o) { buf_puts(o, text_of(r->c, assoc_qos_default(r->c, r->i))); }

static void a_parent_id(const struct view_row *r, struct buf *o)
{
    if (assoc_of(r)->parent != NONE)
        number(o, assoc_of(r)->parent);
}

static void a_parent(const struct view_row *r, struct buf *o)
{
    uint32_t p = assoc_of(r)->parent; /* sacctmgr names a parent of accounts only */
    if (p != NONE && !assoc_of(r)->user)
        buf_puts(o, text_of(r->c, r->c->tenants->assoc[p].account));
}

static void a_depth(const struct view_row *r, struct buf *o)
{
    uint32_t n = 0;
    for (uint32_t i = assoc_of(r)->parent; i != NONE; i = r->c->tenants->assoc[i].parent)
        n++;
    number(o, n);
}

static void a_is_default(const struct view_row *r, struct buf *o) { buf_puts(o, assoc_of(r)->is_default ? "1" : "0"); }
static void a_running(const struct view_row *r, struct buf *o) { number(o, assoc_of(r)->usage.running); }
static void a_submitted(const struct view_row *r, struct buf *o) { number(o, assoc_of(r)->usage.submitted); }
static void a_raw_usage(const struct view_row *r, struct buf *o) { number(o, usage_seconds(&assoc_of(r)->usage, TRES_BILLING)); }

static void a_norm_shares(const struct view_row *r, struct buf *o)
{
    if (r->i != ASSOC_ROOT)
        factor_format(fairshare_norm_shares(r->c, r->i), 6, o);
}

static void a_norm_usage(const struct view_row *r, struct buf *o) { factor_format(fairshare_norm_usage(r->c, r->i), 6, o); }
static void a_eff_usage(const struct view_row *r, struct buf *o) { factor_format(fairshare_effective_usage(r->c, r->i), 6, o); }

static void a_fair_share(const struct view_row *r, struct buf *o)
{
    if (assoc_of(r)->user)
        factor_format(assoc_of(r)->fs, 6, o);
}

static void a_level_fs(const struct view_row *r, struct buf *o)
{
    if (r->i == ASSOC_ROOT)
        return;
    if (assoc_of(r)->level_fs == LEVEL_FS_INF)
        buf_puts(o, "inf");
    else
        factor_format(assoc_of(r)->level_fs, 6, o);
}

static void tres_minutes(const struct view_row *r, bool running, struct buf *o)
{
    const struct tenants *tn = r->c->tenants;
    bool first = true;
    for (uint32_t t = 0; t < tn->tres_count; t++) {
        if (t == TRES_WALL)
            continue;
        amount_t v = running ? usage_due(&assoc_of(r)->usage, t, r->c->now) : assoc_of(r)->usage.used[t];
        buf_printf(o, "%s%s=%llu", first ? "" : ",", tn->tres[t], (unsigned long long)(v / AMOUNT_PER_SEC / 60));
        first = false;
    }
}

static void a_tres_run_mins(const struct view_row *r, struct buf *o) { tres_minutes(r, true, o); }
static void a_tres_mins(const struct view_row *r, struct buf *o) { tres_minutes(r, false, o); }

/* ---- QOS -------------------------------------------------------------------------------------- */

static const struct qos *qos_of(const struct view_row *r)
{
    return &r->c->tenants->qos[r->i];
}

static void q_id(const struct view_row *r, struct buf *o) { number(o, r->i + 1); }
static void q_name(const struct view_row *r, struct buf *o) { buf_puts(o, text_of(r->c, qos_of(r)->name)); }
static void q_descr(const struct view_row *r, struct buf *o) { buf_puts(o, text_of(r->c, qos_of(r)->description)); }
static void q_priority(const struct view_row *r, struct buf *o) { number(o, qos_of(r)->priority); }
static void q_preempt(const struct view_row *r, struct buf *o) { buf_puts(o, text_of(r->c, qos_of(r)->preempt)); }
static void q_preempt_mode(const struct view_row *r, struct buf *o) { buf_puts(o, text_of(r->c, qos_of(r)->preempt_mode)); }
static void q_flags(const struct view_row *r, struct buf *o) { qos_flags_format(qos_of(r)->flags, o); }
static void q_usage(const struct view_row *r, struct buf *o) { number(o, usage_seconds(&qos_of(r)->usage, TRES_BILLING)); }

static void q_grace(const struct view_row *r, struct buf *o)
{
    char text[SPAN_TEXT_MAX];
    buf_puts(o, span_format((usec_t)qos_of(r)->grace_sec * USEC_PER_SEC, text));
}

static void thousandths(uint32_t v, struct buf *o) { buf_printf(o, "%u.%03u000", v / 1000, v % 1000); }
static void q_factor(const struct view_row *r, struct buf *o) { thousandths(qos_of(r)->usage_factor, o); }

static void q_limit_factor(const struct view_row *r, struct buf *o)
{
    if (qos_of(r)->limit_factor)
        thousandths(qos_of(r)->limit_factor, o);
}

static void q_threshold(const struct view_row *r, struct buf *o)
{
    if (qos_of(r)->usage_threshold)
        thousandths(qos_of(r)->usage_threshold / 1000, o);
}

/* ---- accounts, users, resources, transactions -------------------------------------------------- */

static const struct account *account_of(const struct view_row *r) { return &r->c->tenants->account[r->i]; }
static const struct tenant_user *user_of(const struct view_row *r) { return &r->c->tenants->user[r->i]; }
static const struct transaction *log_of(const struct view_row *r) { return &r->c->tenants->log[r->i]; }

static void c_name(const struct view_row *r, struct buf *o) { buf_puts(o, text_of(r->c, account_of(r)->name)); }
static void c_descr(const struct view_row *r, struct buf *o) { buf_puts(o, text_of(r->c, account_of(r)->description)); }
static void c_org(const struct view_row *r, struct buf *o) { buf_puts(o, text_of(r->c, account_of(r)->organization)); }
static void c_coord(const struct view_row *r, struct buf *o) { buf_puts(o, text_of(r->c, account_of(r)->coordinators)); }

static void u_name(const struct view_row *r, struct buf *o) { buf_puts(o, text_of(r->c, user_of(r)->name)); }
static void u_account(const struct view_row *r, struct buf *o) { buf_puts(o, text_of(r->c, user_of(r)->default_account)); }
static void u_wckey(const struct view_row *r, struct buf *o) { buf_puts(o, text_of(r->c, user_of(r)->default_wckey)); }

static void u_level(const struct view_row *r, struct buf *o)
{
    static const char *const names[] = {"None", "Operator", "Administrator"};
    buf_puts(o, names[user_of(r)->level]);
}

static void u_coord(const struct view_row *r, struct buf *o)
{
    const struct tenants *tn = r->c->tenants;
    size_t from = o->len;
    for (uint32_t i = 0; i < tn->accounts; i++)
        if (names_has(text_of(r->c, tn->account[i].coordinators), text_of(r->c, user_of(r)->name)))
            buf_printf(o, "%s%s", o->len > from ? "," : "", text_of(r->c, tn->account[i].name));
}

/* "gres/gpu": type gres, name gpu. */
static void t_type(const struct view_row *r, struct buf *o)
{
    const char *name = r->c->tenants->tres[r->i];
    buf_printf(o, "%.*s", (int)strcspn(name, "/"), name);
}

static void t_name(const struct view_row *r, struct buf *o)
{
    const char *slash = strchr(r->c->tenants->tres[r->i], '/');
    buf_puts(o, slash ? slash + 1 : "");
}

static void t_id(const struct view_row *r, struct buf *o)
{
    number(o, r->i < TRES_WALL ? r->i + 1 : 1001 + r->i - TRES_FIRST_NAMED);
}

static void l_time(const struct view_row *r, struct buf *o)
{
    char text[TIME_TEXT_MAX];
    buf_puts(o, time_format(log_of(r)->time, text));
}

static void l_usec(const struct view_row *r, struct buf *o) { number(o, (uint64_t)log_of(r)->time); }
static void l_action(const struct view_row *r, struct buf *o) { buf_puts(o, log_of(r)->action); }
static void l_actor(const struct view_row *r, struct buf *o) { buf_puts(o, log_of(r)->actor); }
static void l_where(const struct view_row *r, struct buf *o) { buf_puts(o, log_of(r)->where); }
static void l_info(const struct view_row *r, struct buf *o) { buf_puts(o, log_of(r)->info); }

/* ---- priorities ------------------------------------------------------------------------------------ */

static const struct job *job_of(const struct view_row *r) { return job_find(r->c, r->i); }

static void p_id(const struct view_row *r, struct buf *o)
{
    const struct job *j = job_of(r);
    if (j->is_task)
        buf_printf(o, "%u_%u", j->array_id, j->array_task);
    else
        number(o, j->id);
}

static void p_job(const struct view_row *r, struct buf *o) { number(o, job_of(r)->array_id ? job_of(r)->array_id : r->i); }
static void p_part(const struct view_row *r, struct buf *o) { buf_puts(o, text_of(r->c, job_of(r)->parts)); }
static void p_user(const struct view_row *r, struct buf *o) { buf_puts(o, text_of(r->c, job_of(r)->user)); }
static void p_account(const struct view_row *r, struct buf *o) { buf_puts(o, text_of(r->c, job_of(r)->account)); }
static void p_qos(const struct view_row *r, struct buf *o) { buf_puts(o, text_of(r->c, job_of(r)->qos)); }
static void p_priority(const struct view_row *r, struct buf *o) { number(o, job_of(r)->hold ? 0 : job_of(r)->priority); }
static void p_norm(const struct view_row *r, struct buf *o) { factor_format(job_of(r)->hold ? 0 : job_of(r)->priority, 10, o); }
static void p_nice(const struct view_row *r, struct buf *o) { buf_printf(o, "%d", job_of(r)->nice); }

/* A priority that an operator set is his alone. */
static void p_site(const struct view_row *r, struct buf *o) { number(o, job_of(r)->prio_fixed ? job_of(r)->priority : 0); }

#define FACTOR(name, field, index)                                                          \
    static void p_##name##_norm(const struct view_row *r, struct buf *o)                    \
    {                                                                                       \
        factor_format(r->factors->field, 7, o);                                             \
    }                                                                                       \
    static void p_##name(const struct view_row *r, struct buf *o)                           \
    {                                                                                       \
        number(o, r->factors->weighted[index]);                                             \
    }
FACTOR(age, age, 0)
FACTOR(fs, fair_share, 1)
FACTOR(size, size, 2)
FACTOR(partition, partition, 3)
FACTOR(qos_factor, qos, 4)
FACTOR(assoc, assoc, 5)

static void p_tres(const struct view_row *r, struct buf *o)
{
    const struct tenants *tn = r->c->tenants;
    bool first = true;
    for (uint32_t t = 0; tn->weight_tres && t < tn->tres_count; t++) {
        if (!tn->weight_tres[t])
            continue;
        buf_printf(o, "%s%s=%llu", first ? "" : ",", tn->tres[t], (unsigned long long)r->factors->tres_weighted[t]);
        first = false;
    }
}

static void p_tres_norm(const struct view_row *r, struct buf *o)
{
    const struct tenants *tn = r->c->tenants;
    bool first = true;
    for (uint32_t t = 0; tn->weight_tres && t < tn->tres_count; t++) {
        if (!tn->weight_tres[t])
            continue;
        buf_printf(o, "%s%s=", first ? "" : ",", tn->tres[t]);
        factor_format(r->factors->tres[t], 2, o);
        first = false;
    }
}

/* ---- the table ---------------------------------------------------------------------------------------- */

enum view { VIEW_ASSOC, VIEW_QOS, VIEW_ACCOUNT, VIEW_USER, VIEW_TRES, VIEW_LOG, VIEW_PRIORITY, VIEW_COUNT };
static const char *const views[VIEW_COUNT] = {"assoc", "qos", "account", "user", "tres", "transaction", "priority"};

static const struct {
    enum view view;
    const char *name;
    fill_f fill;
} columns[] = {
    {VIEW_ASSOC, "ID", a_id}, {VIEW_ASSOC, "Account", a_account}, {VIEW_ASSOC, "User", a_user},
    {VIEW_ASSOC, "Partition", a_partition}, {VIEW_ASSOC, "Share", a_share},
    {VIEW_ASSOC, "Priority", a_priority}, {VIEW_ASSOC, "QOS", a_qos}, {VIEW_ASSOC, "QOSRaw", a_qos_raw},
    {VIEW_ASSOC, "DefaultQOS", a_qos_default}, {VIEW_ASSOC, "ParentID", a_parent_id},
    {VIEW_ASSOC, "ParentName", a_parent}, {VIEW_ASSOC, "Depth", a_depth},
    {VIEW_ASSOC, "IsDefault", a_is_default}, {VIEW_ASSOC, "Running", a_running},
    {VIEW_ASSOC, "Submitted", a_submitted}, {VIEW_ASSOC, "RawUsage", a_raw_usage},
    {VIEW_ASSOC, "NormShares", a_norm_shares}, {VIEW_ASSOC, "NormUsage", a_norm_usage},
    {VIEW_ASSOC, "EffectvUsage", a_eff_usage}, {VIEW_ASSOC, "FairShare", a_fair_share},
    {VIEW_ASSOC, "LevelFS", a_level_fs}, {VIEW_ASSOC, "TRESRunMins", a_tres_run_mins},
    {VIEW_ASSOC, "GrpTRESRaw", a_tres_mins},
    {VIEW_QOS, "ID", q_id}, {VIEW_QOS, "Name", q_name}, {VIEW_QOS, "Description", q_descr},
    {VIEW_QOS, "Priority", q_priority}, {VIEW_QOS, "GraceTime", q_grace},
    {VIEW_QOS, "Preempt", q_preempt}, {VIEW_QOS, "PreemptMode", q_preempt_mode},
    {VIEW_QOS, "Flags", q_flags}, {VIEW_QOS, "UsageFactor", q_factor},
    {VIEW_QOS, "LimitFactor", q_limit_factor}, {VIEW_QOS, "UsageThreshold", q_threshold},
    {VIEW_QOS, "RawUsage", q_usage},
    {VIEW_ACCOUNT, "Account", c_name}, {VIEW_ACCOUNT, "Description", c_descr},
    {VIEW_ACCOUNT, "Organization", c_org}, {VIEW_ACCOUNT, "Coordinators", c_coord},
    {VIEW_USER, "User", u_name}, {VIEW_USER, "DefaultAccount", u_account},
    {VIEW_USER, "DefaultWCKey", u_wckey}, {VIEW_USER, "AdminLevel", u_level},
    {VIEW_USER, "Coordinators", u_coord},
    {VIEW_TRES, "Type", t_type}, {VIEW_TRES, "Name", t_name}, {VIEW_TRES, "ID", t_id},
    {VIEW_LOG, "TimeStamp", l_time}, {VIEW_LOG, "Action", l_action}, {VIEW_LOG, "Actor", l_actor},
    {VIEW_LOG, "Where", l_where}, {VIEW_LOG, "Info", l_info}, {VIEW_LOG, "Usec", l_usec},
    {VIEW_PRIORITY, "JobID", p_id}, {VIEW_PRIORITY, "Job", p_job}, {VIEW_PRIORITY, "Partition", p_part},
    {VIEW_PRIORITY, "User", p_user}, {VIEW_PRIORITY, "Account", p_account}, {VIEW_PRIORITY, "QOSName", p_qos},
    {VIEW_PRIORITY, "Priority", p_priority}, {VIEW_PRIORITY, "PriorityNorm", p_norm},
    {VIEW_PRIORITY, "Site", p_site}, {VIEW_PRIORITY, "Nice", p_nice},
    {VIEW_PRIORITY, "Age", p_age}, {VIEW_PRIORITY, "AgeNorm", p_age_norm},
    {VIEW_PRIORITY, "FairShare", p_fs}, {VIEW_PRIORITY, "FairShareNorm", p_fs_norm},
    {VIEW_PRIORITY, "JobSize", p_size}, {VIEW_PRIORITY, "JobSizeNorm", p_size_norm},
    {VIEW_PRIORITY, "PartitionFactor", p_partition}, {VIEW_PRIORITY, "PartitionNorm", p_partition_norm},
    {VIEW_PRIORITY, "QOS", p_qos_factor}, {VIEW_PRIORITY, "QOSNorm", p_qos_factor_norm},
    {VIEW_PRIORITY, "Assoc", p_assoc}, {VIEW_PRIORITY, "AssocNorm", p_assoc_norm},
    {VIEW_PRIORITY, "TRES", p_tres}, {VIEW_PRIORITY, "TRESNorm", p_tres_norm},
};

static int view_find(const char *what)
{
    for (int v = 0; v < VIEW_COUNT; v++)
        if (strcmp(views[v], what) == 0)
            return v;
    return -1;
}

bool core_tenant_knows(const char *what)
{
    return view_find(what) >= 0;
}

static int column_find(int view, const char *name, size_t n)
{
    char word[64];
    snprintf(word, sizeof word, "%.*s", (int)n, name);
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
        if ((int)columns[i].view == view && strcasecmp(columns[i].name, word) == 0)
            return (int)i;
    unsigned owner = view == VIEW_ASSOC ? LIMIT_OF_ASSOC : view == VIEW_QOS ? LIMIT_OF_QOS : 0;
    int limit = limit_find(word, owner);
    return limit < 0 ? -1 : (int)COLUMN_LIMIT + limit;
}

int core_tenant_columns(const char *what, const char *names, uint16_t *out, size_t max, size_t *count, struct err *err)
{
    int view = view_find(what);
    *count = 0;
    for (const char *p = names; *p;) {
        size_t n = strcspn(p, ",");
        int at = column_find(view, p, n);
        if (at < 0)
            return err_set(err, SL_EINVAL_FIELD, "%s has no column \"%.*s\"", what, (int)(n < 64 ? n : 64), p);
        if (*count == max)
            return err_set(err, SL_ETOO_MANY, "more than %zu columns", max);
        out[(*count)++] = (uint16_t)at;
        p += n + (p[n] == ',');
    }
    return *count ? 0 : err_set(err, SL_EINVAL_FIELD, "no columns are named");
}

/* ---- rows ------------------------------------------------------------------------------------------------ */

static void order_add(struct tenants *tn, uint32_t i)
{
    tn->order[tn->orders++] = i;
    for (int accounts = 0; accounts < 2; accounts++) /* users before accounts */
        for (uint32_t k = tn->assoc[i].child; k != NONE; k = tn->assoc[k].next)
            if (!tn->assoc[k].user == (accounts != 0))
                order_add(tn, k);
}

/* The tree, depth first. */
static void order_make(struct core *c)
{
    struct tenants *tn = c->tenants;
    tn->order = xrealloc(tn->order, (tn->assocs + 1) * sizeof *tn->order);
    tn->orders = 0;
    order_add(tn, ASSOC_ROOT);
}

static void assoc_settle_all(struct core *c, usec_t now)
{
    struct tenants *tn = c->tenants;
    if (!c->policy.multifactor) { /* nothing but people reads the ranks */
        fairshare_rank(c, now);
        return;
    }
    for (uint32_t i = ASSOC_ROOT; i < tn->assocs; i++)
        if (tn->assoc[i].live)
            usage_settle(&tn->assoc[i].usage, &tn->decay, true, tn->tres_count, now);
}

uint32_t core_tenant_next(struct core *c, const char *what, uint32_t from, usec_t now)
{
    struct tenants *tn = c->tenants;
    uint32_t id;
    switch (view_find(what)) {
    case VIEW_ASSOC:
        if (from == 0) {
            order_make(c);
            assoc_settle_all(c, now);
        }
        while (from < tn->orders && (tn->order[from] >= tn->assocs || !tn->assoc[tn->order[from]].live))
            from++;
        return from < tn->orders ? from : UINT32_MAX;
    case VIEW_QOS:
        while (from < tn->qoses && !tn->qos[from].live)
            from++;
        return from < tn->qoses ? from : UINT32_MAX;
    case VIEW_ACCOUNT:
        return from < tn->accounts ? from : UINT32_MAX;
    case VIEW_USER:
        return from < tn->users ? from : UINT32_MAX;
    case VIEW_TRES:
        return from == TRES_WALL ? from + 1 < tn->tres_count ? from + 1 : UINT32_MAX
               : from < tn->tres_count ? from : UINT32_MAX;
    case VIEW_LOG:
        return from < tn->log_count ? from : UINT32_MAX;
    case VIEW_PRIORITY:
        for (uint32_t at = from ? from - 1 : 0; (at = core_job_next(c, at, &id)) != UINT32_MAX;)
            if (job_find(c, id)->state == JOB_PENDING)
                return id;
        return UINT32_MAX;
    default:
        return UINT32_MAX;
    }
}

void core_tenant_cell(struct core *c, const char *what, uint32_t row, uint16_t column, struct buf *out)
{
    struct tenants *tn = c->tenants;
    int view = view_find(what);
    struct job_factors f;
    struct view_row r = {.c = c, .i = view == VIEW_ASSOC ? tn->order[row] : row, .factors = &f};
    if (column >= COLUMN_LIMIT) {
        limit_format(c, view == VIEW_QOS ? &tn->qos[r.i].limits : &tn->assoc[r.i].limits,
                     (enum limit_kind)(column - COLUMN_LIMIT), out);
        return;
    }
    if (view == VIEW_PRIORITY)
        priority_factors(c, job_find(c, row), c->now, &f);
    columns[column].fill(&r, out);
}
