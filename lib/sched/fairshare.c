/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/fairshare.h"

#include <stdlib.h>
#include <string.h>

struct list { uint32_t *v, count, cap; };

static void list_add(struct list *l, uint32_t i)
{
    GROW(l->v, l->cap, l->count + 1);
    l->v[l->count++] = i;
}

/* Children of an account, those of accounts with Fairshare=parent instead of these. */
static void children_add(const struct tenants *tn, uint32_t of, struct list *out)
{
    for (uint32_t i = tn->assoc[of].child; i != NONE; i = tn->assoc[i].next) {
        const struct assoc *a = &tn->assoc[i];
        if (a->shares == SHARES_PARENT && !a->user)
            children_add(tn, i, out);
        else
            list_add(out, i);
    }
}

static amount_t billed(const struct tenants *tn, uint32_t i)
{
    return tn->assoc[i].usage.used[TRES_BILLING];
}

/* ---- level_fs ---------------------------------------------------------------------- */

struct level { /* sums over one account's children */
    uint64_t shares;
    amount_t usage;
};

static struct level level_of(const struct tenants *tn, const struct list *l)
{
    struct level s = {0};
    for (uint32_t i = 0; i < l->count; i++)
        if (tn->assoc[l->v[i]].shares != SHARES_PARENT)
            s.shares += tn->assoc[l->v[i]].shares;
    for (uint32_t i = 0; i < l->count; i++)
        s.usage += billed(tn, l->v[i]);
    return s;
}

/* (shares / sum of shares) / (usage / sum of usage), in 1/2^32, below LEVEL_FS_INF. */
static uint64_t level_fs(uint64_t shares, amount_t usage, const struct level *s)
{
    amount_t all = s->usage;
    if (usage == 0)
        return LEVEL_FS_INF;
    if (shares == 0)
        return 0;
    for (; all >> 60; all >>= 1)
        usage = usage >> 1 ? usage >> 1 : 1;
    /* shares <= 2^20, sums <= 2^37 and 2^60: both products fit */
    amount_t num = (amount_t)shares * all << 32, den = (amount_t)s->shares * usage;
    amount_t q = num / den;
    return q >= LEVEL_FS_INF ? LEVEL_FS_INF - 1 : (uint64_t)q;
}

static void levels_set(struct tenants *tn, uint32_t of, const struct list *l)
{
    struct level s = level_of(tn, l);
    for (uint32_t i = 0; i < l->count; i++) {
        struct assoc *a = &tn->assoc[l->v[i]];
        /* a user with Fairshare=parent is as its account is among the account's own */
        a->level_fs = a->shares == SHARES_PARENT ? tn->assoc[of].level_fs
                                                 : level_fs(a->shares, billed(tn, l->v[i]), &s);
    }
}

/* ---- the walk ------------------------------------------------------------------------ */

struct walk {
    struct tenants *tn;
    uint32_t users; /* all */
    uint32_t next, rank; /* of the next user that has no equal; of the last one */
};

static int by_level(const void *pa, const void *pb, void *arg)
{
    const struct tenants *tn = arg;
    uint32_t x = *(const uint32_t *)pa, y = *(const uint32_t *)pb;
    const struct assoc *a = &tn->assoc[x], *b = &tn->assoc[y];
    if (a->level_fs != b->level_fs)
        return a->level_fs > b->level_fs ? -1 : 1;
    if (!a->user != !b->user)
        return a->user ? -1 : 1;
    return x < y ? -1 : x > y;
}

static void walk(struct walk *w, struct list *l, bool tied)
{
    struct tenants *tn = w->tn;
    if (l->count)
        qsort_r(l->v, l->count, sizeof *l->v, by_level, tn);
    for (uint32_t i = 0; i < l->count; i++) {
        struct assoc *a = &tn->assoc[l->v[i]];
        bool equal = i ? tn->assoc[l->v[i - 1]].level_fs == a->level_fs : tied;
        if (a->user) {
            if (!equal)
                w->rank = w->next;
            w->next--;
            a->fs = (uint64_t)w->rank * FACTOR_ONE / w->users;
            continue;
        }
        struct list merged = {0};
        for (;; i++) { /* accounts of one level_fs stand side by side */
            struct list own = {0};
            children_add(tn, l->v[i], &own);
            levels_set(tn, l->v[i], &own);
            for (uint32_t k = 0; k < own.count; k++)
                list_add(&merged, own.v[k]);
            free(own.v);
            if (i + 1 == l->count || tn->assoc[l->v[i + 1]].level_fs != a->level_fs)
                break;
        }
        walk(w, &merged, equal);
        free(merged.v);
    }
}

void fairshare_rank(struct core *c, usec_t now)
{
    struct tenants *tn = c->tenants;
    struct walk w = {.tn = tn};
    struct list top = {0};
    for (uint32_t i = ASSOC_ROOT; i < tn->assocs; i++) {
        if (!tn->assoc[i].live)
            continue;
        usage_settle(&tn->assoc[i].usage, &tn->decay, true, tn->tres_count, now);
        w.users += tn->assoc[i].user != 0;
    }
    for (uint32_t i = 0; i < tn->qoses; i++)
        if (tn->qos[i].live)
            usage_settle(&tn->qos[i].usage, &tn->decay, !(tn->qos[i].flags & QOSF_NO_DECAY),
                         tn->tres_count, now);
    w.next = w.rank = w.users;
    children_add(tn, ASSOC_ROOT, &top);
    levels_set(tn, ASSOC_ROOT, &top);
    walk(&w, &top, false);
    free(top.v);
    tn->ranked = now;
    tn->dirty = false;
}

/* ---- what sshare shows ------------------------------------------------------------------ */

/* The account among whose children it is counted. */
static uint32_t level_parent(const struct tenants *tn, uint32_t i)
{
    uint32_t p = tn->assoc[i].parent;
    while (p != NONE && p != ASSOC_ROOT && tn->assoc[p].shares == SHARES_PARENT)
        p = tn->assoc[p].parent;
    return p;
}

static uint64_t fraction(amount_t part, amount_t all)
{
    for (; all >> 95; all >>= 1)
        part >>= 1;
    return all ? (uint64_t)((part << 32) / all) : 0;
}

static struct level level_around(const struct tenants *tn, uint32_t i)
{
    struct list l = {0};
    children_add(tn, level_parent(tn, i), &l);
    struct level s = level_of(tn, &l);
    free(l.v);
    return s;
}

uint64_t fairshare_norm_shares(const struct core *c, uint32_t assoc)
{
    const struct tenants *tn = c->tenants;
    if (assoc == ASSOC_ROOT || tn->assoc[assoc].shares == SHARES_PARENT)
        return 0;
    struct level s = level_around(tn, assoc);
    return fraction(tn->assoc[assoc].shares, s.shares);
}

uint64_t fairshare_effective_usage(const struct core *c, uint32_t assoc)
{
    const struct tenants *tn = c->tenants;
    if (assoc == ASSOC_ROOT)
        return FACTOR_ONE;
    struct level s = level_around(tn, assoc);
    return fraction(billed(tn, assoc), s.usage);
}

uint64_t fairshare_norm_usage(const struct core *c, uint32_t assoc)
{
    return fraction(billed(c->tenants, assoc), billed(c->tenants, ASSOC_ROOT));
}
