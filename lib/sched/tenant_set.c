/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/tenant_set.h"

#include "sched/tenant_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- words ------------------------------------------------------------------------------ */

static const struct {
    const char *name;
    size_t least; /* letters that are enough; a plural s is taken too */
    enum tenant_key key;
} words[] = {
    {"Names", 1, KEY_NAME},
    {"Accounts", 3, KEY_ACCOUNT},
    {"Acct", 4, KEY_ACCOUNT},
    {"Users", 1, KEY_USER},
    {"Clusters", 1, KEY_CLUSTER},
    {"Partitions", 4, KEY_PARTITION},
    {"Parent", 4, KEY_PARENT},
    {"Description", 3, KEY_DESCRIPTION},
    {"Organization", 1, KEY_ORGANIZATION},
    {"DefaultAccount", 8, KEY_DEFAULT_ACCOUNT},
    {"DefaultWCKey", 8, KEY_DEFAULT_WCKEY},
    {"AdminLevel", 2, KEY_ADMIN_LEVEL},
    {"Fairshare", 2, KEY_SHARES},
    {"Shares", 1, KEY_SHARES},
    {"Priority", 3, KEY_PRIORITY},
    {"QosLevel", 1, KEY_QOS},
    {"DefaultQOS", 8, KEY_DEFAULT_QOS},
    {"RawUsage", 2, KEY_RAW_USAGE},
    {"Flags", 2, KEY_FLAGS},
    {"UsageFactor", 6, KEY_USAGE_FACTOR},
    {"LimitFactor", 1, KEY_LIMIT_FACTOR},
    {"UsageThreshold", 6, KEY_USAGE_THRESHOLD},
    {"Preempt", 3, KEY_PREEMPT},
    {"PreemptMode", 8, KEY_PREEMPT_MODE},
    {"GraceTime", 3, KEY_GRACE},
};

static const char not_built[] = ",GrpJobsAccrue,MaxJobsAccrue,MaxJobsAccruePU,MaxJobsAccruePA,"
                                "MaxJobsAccruePerUser,MaxJobsAccruePerAccount,PreemptExemptTime,"
                                "MinPrioThreshold,NewName,WCKeys,Federation,Features,FedState,"
                                "Classification,";

static enum tenant_key word_find(const char *text, size_t n)
{
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (n >= words[i].least && n <= strlen(words[i].name) && strncasecmp(words[i].name, text, n) == 0)
            return words[i].key;
    return KEY_NONE;
}

int tenant_pair_parse(const Sl__KeyValue *kv, unsigned owner, struct tenant_pair *p, struct err *err)
{
    size_t n = strlen(kv->key);
    char word[80];
    *p = (struct tenant_pair){.op = '=', .value = kv->value, .limit = -1};
    if (n > 1 && (kv->key[n - 1] == '+' || kv->key[n - 1] == '-'))
        p->op = kv->key[--n];
    snprintf(word, sizeof word, "%.*s", (int)n, kv->key);
    p->limit = limit_find(word, owner);
    p->key = p->limit >= 0 ? KEY_LIMIT : word_find(word, strlen(word));
    if (p->key != KEY_NONE && (p->op == '=' || p->key == KEY_QOS || p->key == KEY_PREEMPT || p->key == KEY_FLAGS))
        return 0;
    char look[96];
    snprintf(look, sizeof look, ",%s,", word);
    if (n && strcasestr(not_built, look))
        return err_set(err, SL_ENOT_BUILT, "%s is not built yet", word);
    return err_set(err, SL_EINVAL_FIELD, "Unknown option: %.64s=%.64s", kv->key, kv->value);
}

const char *tenant_key_name(const struct tenant_pair *p)
{
    if (p->key == KEY_LIMIT)
        return limit_table[p->limit].name;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (words[i].key == p->key)
            return words[i].name;
    return "?";
}

const char *tenant_value(const struct tenant_pair *v, size_t n, enum tenant_key key)
{
    for (size_t i = 0; i < n; i++)
        if (v[i].key == key)
            return v[i].value;
    return NULL;
}

void tenant_text(struct core *c, uint32_t *id, const char *text)
{
    uint32_t had = *id;
    *id = intern_text(&c->text, text);
    intern_drop(&c->text, had);
}

/* ---- associations ------------------------------------------------------------------------- */

static int shares_parse(const char *text, uint32_t *out, struct err *err)
{
    uint64_t v = 1;
    if (strcasecmp(text, "parent") == 0)
        v = SHARES_PARENT;
    else if (strcmp(text, "-1") != 0 && num_parse_u64("Fairshare", text, 0, FAIRSHARE_MAX, &v, err) < 0)
        return err->code;
    *out = (uint32_t)v;
    return 0;
}

static int qos_names_check(const struct core *c, const char *list, struct err *err)
{
    char *copy = xstrdup(list), *save = NULL;
    int rc = 0;
    for (char *p = strtok_r(copy, ",", &save); p && rc == 0; p = strtok_r(NULL, ",", &save))
        if (qos_find(c, p) == NONE)
            rc = err_set(err, SL_EINVAL_QOS, "You gave a bad qos '%.64s'.  Use 'sacctmgr list qos' to get complete list", p);
    free(copy);
    return rc;
}

/* On a list of its own, the names; else edits of the parent's list: "+a,-b". */
static void qos_list_edit(struct core *c, uint32_t *id, char op, const char *names)
{
    struct buf list;
    char *copy = xstrdup(names), *save = NULL, sign[NAME_LEN_MAX + 2];
    buf_init(&list);
    if (op != '=')
        buf_puts(&list, text_of(c, *id));
    bool edits = op != '=' && (list.len == 0 || list.data[0] == '+' || list.data[0] == '-');
    for (char *p = strtok_r(copy, ",", &save); p; p = strtok_r(NULL, ",", &save)) {
        if (!edits) {
            names_edit(&list, p, strlen(p), op != '-');
            continue;
        }
        snprintf(sign, sizeof sign, "%c%s", op == '+' ? '-' : '+', p);
        names_edit(&list, sign, strlen(sign), false);
        sign[0] = op;
        names_edit(&list, sign, strlen(sign), true);
    }
    tenant_text(c, id, buf_str(&list));
    buf_fini(&list);
    free(copy);
}

static bool empty_value(const char *v)
{
    return v[0] == '\0' || strcmp(v, "-1") == 0 || strcmp(v, "''") == 0;
}

bool assoc_has_key(enum tenant_key key)
{
    return key == KEY_SHARES || key == KEY_PRIORITY || key == KEY_QOS || key == KEY_DEFAULT_QOS ||
           key == KEY_RAW_USAGE || key == KEY_LIMIT;
}

int assoc_set(struct core *c, uint32_t i, const struct tenant_pair *p, bool commit, struct err *err)
{
    struct assoc *a = commit ? &c->tenants->assoc[i] : NULL;
    const char *v = p->value;
    uint32_t shares;
    uint64_t n = 0;
    switch (p->key) {
    case KEY_LIMIT:
        return limit_parse(c, (enum limit_kind)p->limit, v, a ? &a->limits : NULL, err);
    case KEY_SHARES:
        if (shares_parse(v, &shares, err) < 0)
            return err->code;
        if (a)
            a->shares = shares;
        return 0;
    case KEY_PRIORITY:
        if (strcmp(v, "-1") != 0 && num_parse_u64("Priority", v, 0, UINT32_MAX - 1, &n, err) < 0)
            return err->code;
        if (a) {
            a->has_priority = strcmp(v, "-1") != 0;
            a->priority = (uint32_t)n;
        }
        return 0;
    case KEY_QOS:
        if (!empty_value(v) && qos_names_check(c, v, err) < 0)
            return err->code;
        if (a)
            qos_list_edit(c, &a->qos_list, p->op, empty_value(v) ? "" : v);
        return 0;
    case KEY_DEFAULT_QOS:
        if (!empty_value(v) && qos_find(c, v) == NONE)
            return err_set(err, SL_EINVAL_QOS, "DefaultQOS: there is no QOS %.64s", v);
        if (a)
            tenant_text(c, &a->qos_default, empty_value(v) ? "" : v);
        return 0;
    case KEY_RAW_USAGE:
        if (strcmp(v, "0") != 0)
            return err_set(err, SL_EINVAL_FIELD, "RawUsage=%.32s: only 0 can be set", v);
        if (a)
            assoc_usage_reset(c, i);
        return 0;
    default:
        return err_set(err, SL_EINVAL_FIELD, "%s can not be set here", tenant_key_name(p));
    }
}

static void usage_less(struct usage *u, const struct usage *off, uint32_t tres_count)
{
    for (uint32_t t = 0; t < tres_count; t++)
        u->used[t] -= off->used[t] < u->used[t] ? off->used[t] : u->used[t];
}

static void settle_path(struct core *c, uint32_t i)
{
    struct tenants *tn = c->tenants;
    for (; i != NONE; i = tn->assoc[i].parent)
        usage_settle(&tn->assoc[i].usage, &tn->decay, true, tn->tres_count, c->now);
}

static void usage_clear(struct tenants *tn, uint32_t i)
{
    memset(tn->assoc[i].usage.used, 0, sizeof tn->assoc[i].usage.used);
    for (uint32_t k = tn->assoc[i].child; k != NONE; k = tn->assoc[k].next)
        usage_clear(tn, k);
}

static void settle_below(struct core *c, uint32_t i)
{
    struct tenants *tn = c->tenants;
    usage_settle(&tn->assoc[i].usage, &tn->decay, true, tn->tres_count, c->now);
    for (uint32_t k = tn->assoc[i].child; k != NONE; k = tn->assoc[k].next)
        settle_below(c, k);
}

void assoc_usage_reset(struct core *c, uint32_t i)
{
    struct tenants *tn = c->tenants;
    settle_path(c, i);
    settle_below(c, i);
    for (uint32_t k = tn->assoc[i].parent; k != NONE; k = tn->assoc[k].parent)
        usage_less(&tn->assoc[k].usage, &tn->assoc[i].usage, tn->tres_count);
    usage_clear(tn, i);
}

/* sign 1: all that it counts goes to the path from `at` up; -1: comes off it. */
static void path_add(struct core *c, uint32_t at, const struct usage *u, int sign)
{
    struct tenants *tn = c->tenants;
    for (; at != NONE; at = tn->assoc[at].parent) {
        struct usage *to = &tn->assoc[at].usage;
        for (uint32_t t = 0; t < tn->tres_count; t++) {
            amount_t had = to->used[t];
            to->alloc[t] += sign > 0 ? u->alloc[t] : -u->alloc[t];
            to->rate[t] += sign > 0 ? u->rate[t] : -u->rate[t];
            to->due[t] += sign > 0 ? u->due[t] : -u->due[t];
            to->used[t] = sign > 0 ? had + u->used[t] : u->used[t] < had ? had - u->used[t] : 0;
        }
        to->running += sign > 0 ? u->running : -u->running;
        to->submitted += sign > 0 ? u->submitted : -u->submitted;
    }
}

void assoc_move(struct core *c, uint32_t i, uint32_t parent)
{
    struct tenants *tn = c->tenants;
    settle_path(c, i);
    settle_path(c, parent);
    path_add(c, tn->assoc[i].parent, &tn->assoc[i].usage, -1);
    tn->assoc[i].parent = parent;
    path_add(c, parent, &tn->assoc[i].usage, 1);
    assocs_link(c);
}

/* ---- QOS --------------------------------------------------------------------------------------- */

static int qos_flags_set(struct qos *q, uint32_t now, const struct tenant_pair *p, struct err *err)
{
    uint32_t flags;
    if (qos_flags_parse(p->value, &flags, err) < 0)
        return err->code;
    if (q)
        q->flags = p->op == '+' ? now | flags : p->op == '-' ? now & ~flags : flags;
    return 0;
}

static int preempt_mode_check(const char *v, struct err *err)
{
    static const char *const modes[] = {"cluster", "cancel", "requeue", "off"};
    if (strcasecmp(v, "suspend") == 0 || strcasecmp(v, "gang") == 0)
        return err_set(err, SL_ENOT_BUILT, "PreemptMode=%.32s: preemption by suspending is not built", v);
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        if (strcasecmp(modes[i], v) == 0)
            return 0;
    return err_set(err, SL_EINVAL_FIELD, "PreemptMode: \"%.32s\" is none of cluster, cancel, requeue, off", v);
}

static int qos_number(struct qos *q, const struct tenant_pair *p, struct err *err)
{
    const char *v = strcmp(p->value, "-1") == 0 ? "0" : p->value;
    uint32_t thousandths = 0;
    uint64_t n = 0;
    usec_t span;
    switch (p->key) {
    case KEY_PRIORITY:
        if (num_parse_u64("Priority", v, 0, UINT32_MAX - 1, &n, err) < 0)
            return err->code;
        if (q)
            q->priority = (uint32_t)n;
        return 0;
    case KEY_USAGE_FACTOR:
    case KEY_LIMIT_FACTOR:
        if (thousandths_parse(tenant_key_name(p), v, 1000000, &thousandths, err) < 0)
            return err->code;
        if (q && p->key == KEY_USAGE_FACTOR)
            q->usage_factor = strcmp(p->value, "-1") == 0 ? 1000 : thousandths;
        else if (q)
            q->limit_factor = thousandths;
        return 0;
    case KEY_USAGE_THRESHOLD:
        if (thousandths_parse("UsageThreshold", v, 1000, &thousandths, err) < 0)
            return err->code;
        if (q)
            q->usage_threshold = thousandths * 1000;
        return 0;
    default: /* KEY_GRACE: seconds, or a span */
        if (strchr(v, ':') || strchr(v, '-')) {
            if (span_parse(v, &span, err) < 0)
                return err_prefix(err, "GraceTime");
            n = span == SPAN_INFINITE ? UINT32_MAX - 1 : (uint64_t)(span / USEC_PER_SEC);
        } else if (num_parse_u64("GraceTime", v, 0, UINT32_MAX - 1, &n, err) < 0) {
            return err->code;
        }
        if (q)
            q->grace_sec = (uint32_t)n;
        return 0;
    }
}

int qos_set(struct core *c, uint32_t i, const struct tenant_pair *p, bool commit, struct err *err)
{
    struct qos *q = commit ? &c->tenants->qos[i] : NULL;
    switch (p->key) {
    case KEY_LIMIT:
        return limit_parse(c, (enum limit_kind)p->limit, p->value, q ? &q->limits : NULL, err);
    case KEY_DESCRIPTION:
        if (q)
            tenant_text(c, &q->description, p->value);
        return 0;
    case KEY_FLAGS:
        return qos_flags_set(q, q ? q->flags : 0, p, err);
    case KEY_PREEMPT:
        if (!empty_value(p->value) && qos_names_check(c, p->value, err) < 0)
            return err->code;
        if (q)
            qos_list_edit(c, &q->preempt, p->op == '+' && !q->preempt ? '=' : p->op,
                          empty_value(p->value) ? "" : p->value);
        return 0;
    case KEY_PREEMPT_MODE:
        if (preempt_mode_check(p->value, err) < 0)
            return err->code;
        if (q)
            tenant_text(c, &q->preempt_mode, p->value);
        return 0;
    case KEY_RAW_USAGE:
        if (strcmp(p->value, "0") != 0)
            return err_set(err, SL_EINVAL_FIELD, "RawUsage=%.32s: only 0 can be set", p->value);
        if (q) {
            usage_settle(&q->usage, &c->tenants->decay, true, c->tenants->tres_count, c->now);
            memset(q->usage.used, 0, sizeof q->usage.used);
        }
        return 0;
    case KEY_PRIORITY:
    case KEY_USAGE_FACTOR:
    case KEY_LIMIT_FACTOR:
    case KEY_USAGE_THRESHOLD:
    case KEY_GRACE:
        return qos_number(q, p, err);
    default:
        return err_set(err, SL_EINVAL_FIELD, "%s can not be set of a QOS", tenant_key_name(p));
    }
}
