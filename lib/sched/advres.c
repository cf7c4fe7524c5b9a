/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/advres.h"

#include "base/buf.h"
#include "base/hostlist.h"
#include "sched/record.pb-c.h"
#include "sched/request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

static const struct {
    unsigned flag;
    const char *name;
} flag_names[] = {
#define X(sym, bit, text) {sym, text},
    ADVRES_FLAG_MAP(X)
#undef X
};
#define FLAGS_COUNT (sizeof flag_names / sizeof *flag_names)

static struct advres *find(const struct core *c, const char *name, size_t n)
{
    for (uint32_t i = 0; i < c->advress; i++)
        if (strlen(c->advres[i]->name) == n && strncasecmp(c->advres[i]->name, name, n) == 0)
            return c->advres[i];
    return NULL;
}

static void advres_free(struct advres *r)
{
    free(r->name);
    free(r->nodes);
    free(r->partition);
    free(r->users);
    free(r->accounts);
    free(r->groups);
    free(r->comment);
    free(r->set);
    free(r);
}

void advres_fini(struct core *c)
{
    for (uint32_t i = 0; i < c->advress; i++)
        advres_free(c->advres[i]);
    free(c->advres);
}

static bool active(const struct advres *r, usec_t now)
{
    return r->start <= now && now < r->end;
}

/* ---- lists of names, some of them with '-' in front ------------------------------------ */

static bool in_list(const char *list, const char *name, bool minus)
{
    size_t want = strlen(name);
    for (const char *p = list; *p;) {
        size_t n = strcspn(p, ",");
        bool denies = *p == '-';
        if (want && n - denies == want && denies == minus && strncmp(p + denies, name, want) == 0)
            return true;
        p += n + (p[n] == ',');
    }
    return false;
}

static bool only_denies(const char *list)
{
    return list[0] == '-';
}

/* All of the list's signs are the same: it names those who may or those who may not. */
static int list_check(const char *key, const char *list, struct err *err)
{
    bool minus = only_denies(list);
    for (const char *p = list; *p;) {
        size_t n = strcspn(p, ",");
        if (n <= (size_t)(*p == '-') || (*p == '-') != minus || n > NAME_LEN_MAX ||
            strcspn(p, " \t/\\\"'|") < n)
            return err_set(err, SL_EINVAL_FIELD,
                           "%s=%s: names are wanted, all or none of them with a \"-\"", key, list);
        p += n + (p[n] == ',');
    }
    return 0;
}

/* -1: the list is empty, 0: not on it, 1: may */
static int list_allows(const char *list, const char *const *names)
{
    bool there = false;
    if (!list[0])
        return -1;
    for (; names && *names; names++)
        there = there || in_list(list, *names, only_denies(list));
    return there != only_denies(list);
}

static bool takes(const struct advres *r, const char *user, const char *account,
                  const char *const *groups)
{
    const char *const u[] = {user, NULL}, *const a[] = {account, NULL};
    int by_user = list_allows(r->users, u), by_account = list_allows(r->accounts, a);
    int by_group = list_allows(r->groups, groups);
    if ((by_user == 0 && only_denies(r->users)) || (by_account == 0 && only_denies(r->accounts)))
        return false;
    /* those who may: users and accounts together when both are given; groups stand alone */
    if (by_group >= 0)
        return by_group == 1;
    return by_user != 0 && by_account != 0;
}

/* ---- nodes ------------------------------------------------------------------------------- */

static void set_derive(struct core *c, struct advres *r)
{
    if (r->gen == c->nodes_gen)
        return;
    free(r->set);
    r->set = xcalloc(c->words + 1, sizeof *r->set);
    r->gen = c->nodes_gen;
    long part = r->partition[0] ? parts_find(c, r->partition) : -1;
    if (r->flags & RESV_PART_NODES && part >= 0) {
        bs_or(r->set, c->part[part].nodes, c->words);
        return;
    }
    if (r->flags & RESV_ALL_NODES) {
        for (uint32_t i = 0; i < c->nodes; i++)
            bs_set(r->set, i);
        return;
    }
    struct hostlist *hl = hostlist_create(r->nodes, NULL);
    for (size_t i = 0; hl && i < hostlist_count(hl); i++) {
        long n = core_node_find(c, hostlist_nth(hl, i));
        if (n >= 0)
            bs_set(r->set, (size_t)n);
    }
    hostlist_destroy(hl);
}

static bool shares(const struct advres *r)
{
    return r->flags & (RESV_MAINT | RESV_OVERLAP);
}

static bool overlaps(const struct advres *a, const struct advres *b)
{
    return a->start < b->end && b->start < a->end;
}

static usec_t busy_until(const struct job *j, usec_t now)
{
    usec_t end = j->limit == SPAN_INFINITE ? SPAN_INFINITE
                                           : j->start + j->suspended_total + j->limit;
    return j->until && j->until < end ? j->until : end > now ? end : now + 1;
}

/* Nodes that another reservation or a running job has during r. */
static void taken(struct core *c, const struct advres *r, usec_t now, uint64_t *resv,
                  uint64_t *busy)
{
    for (uint32_t i = 0; i < c->advress && !shares(r); i++) {
        struct advres *o = c->advres[i];
        if (o == r || o->id == r->id || shares(o) || !overlaps(o, r))
            continue;
        set_derive(c, o);
        bs_or(resv, o->set, c->words);
    }
    for (uint32_t i = 0; i < c->running.count && !(r->flags & RESV_IGNORE_JOBS); i++) {
        const struct job *j = c->running.v[i];
        if (j->advres_id == r->id || busy_until(j, now) <= r->start)
            continue;
        for (uint32_t k = 0; k < j->alloc->count; k++)
            bs_set(busy, j->alloc->node[k].node);
    }
}

/* Chooses node_count nodes of the partition (or of all) for r, free ones by name order. */
static int nodes_choose(struct core *c, struct advres *r, const uint64_t *no, struct err *err)
{
    long part = r->partition[0] ? parts_find(c, r->partition) : -1;
    struct hostlist *hl = hostlist_create("", NULL);
    uint32_t *by_order = xmalloc((c->nodes + 1) * sizeof *by_order), n = 0;
    for (uint32_t i = 0; i < c->nodes; i++)
        by_order[c->node[i].order] = i;
    for (uint32_t o = 0; o < c->nodes && n < r->node_count; o++) {
        uint32_t i = by_order[o];
        if (bs_test(no, i) || !nodes_up(&c->node[i]) ||
            (part >= 0 && !bs_test(c->part[part].nodes, i)))
            continue;
        hostlist_push(hl, c->node[i].name, NULL);
        n++;
    }
    free(by_order);
    free(r->nodes);
    r->nodes = hostlist_ranged(hl);
    hostlist_destroy(hl);
    r->gen = NONE;
    return n == r->node_count ? 0
                              : err_set(err, SL_EBUSY_NODES, "%s: %u of %u nodes are free then",
                                        err_name(SL_EBUSY_NODES), n, r->node_count);
}

static int nodes_named(struct core *c, struct advres *r, const uint64_t *resv,
                       const uint64_t *busy, struct err *err)
{
    set_derive(c, r);
    struct hostlist *hl = hostlist_create(r->flags & (RESV_ALL_NODES | RESV_PART_NODES) ? "" : r->nodes,
                                          err);
    if (!hl)
        return err_prefix(err, "Nodes=%s", r->nodes);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < hostlist_count(hl); i++)
        if (core_node_find(c, hostlist_nth(hl, i)) < 0)
            rc = err_set(err, SL_EINVAL_NODE, "%s: %s", err_name(SL_EINVAL_NODE),
                         hostlist_nth(hl, i));
    hostlist_destroy(hl);
    BS_EACH(i, r->set, c->words)
    {
        if (rc == 0 && bs_test(resv, i))
            rc = err_set(err, SL_EBUSY_NODES, "%s: node %s is reserved then (see Flags=OVERLAP)",
                         err_name(SL_EBUSY_NODES), c->node[i].name);
        if (rc == 0 && bs_test(busy, i))
            rc = err_set(err, SL_EBUSY_NODES, "%s: node %s has a job then (see Flags=IGNORE_JOBS)",
                         err_name(SL_EBUSY_NODES), c->node[i].name);
    }
    r->node_count = (uint32_t)bs_count(r->set, c->words);
    if (rc == 0 && r->node_count == 0)
        rc = err_set(err, SL_EINVAL_NODE, "%s: no node", err_name(SL_EINVAL_NODE));
    return rc;
}

static int nodes_take(struct core *c, struct advres *r, bool count, usec_t now, struct err *err)
{
    uint64_t *resv = xcalloc(c->words + 1, sizeof *resv), *busy = xcalloc(c->words + 1, sizeof *busy);
    taken(c, r, now, resv, busy);
    int rc;
    if (count) {
        bs_or(resv, busy, c->words);
        rc = nodes_choose(c, r, resv, err);
        set_derive(c, r);
    } else {
        rc = nodes_named(c, r, resv, busy, err);
    }
    free(resv);
    free(busy);
    return rc;
}

/* ---- keys --------------------------------------------------------------------------------- */

struct change_of { /* what one command says, before it is checked as a whole */
    struct core *c;
    struct advres *r;
    usec_t now, duration;
    bool has_start, has_end, has_duration, has_count, has_nodes;
};

static int text_take(char **at, const char *value)
{
    free(*at);
    *at = xstrdup(value);
    return 0;
}

static int flags_take(struct advres *r, const char *value, struct err *err)
{
    int sign = *value == '+' ? 1 : *value == '-' ? -1 : 0;
    uint32_t flags = 0;
    for (const char *p = value + (sign != 0); *p;) {
        size_t n = strcspn(p, ","), k = 0, word = strcspn(p, ",=");
        while (k < FLAGS_COUNT && !(strlen(flag_names[k].name) == word &&
                                    strncasecmp(flag_names[k].name, p, word) == 0))
            k++;
        bool alias = word == 12 && strncasecmp(p, "STATIC_ALLOC", word) == 0;
        if (k == FLAGS_COUNT && !alias)
            return err_set(err, SL_ENOT_BUILT, "Flags=%.*s: no such flag, or it is not built",
                           (int)word, p);
        flags |= alias ? RESV_STATIC : flag_names[k].flag;
        if (word < n) {
            char span[64];
            snprintf(span, sizeof span, "%.*s", (int)(n - word - 1), p + word + 1);
            if (alias || flag_names[k].flag != RESV_PURGE_COMP || n - word > sizeof span ||
                span_parse(span, &r->purge, err) < 0)
                return err_set(err, SL_EINVAL_FIELD, "Flags=%.*s: only PURGE_COMP takes a time",
                               (int)n, p);
        } else if (flags & RESV_PURGE_COMP && r->purge == 0) {
            r->purge = 300 * USEC_PER_SEC; /* scontrol(1) */
        }
        p += n + (p[n] == ',');
    }
    if (flags & RESV_SPEC_NODES)
        return err_set(err, SL_EINVAL_FIELD, "Flags=SPEC_NODES is only shown, not given");
    r->flags = sign > 0 ? r->flags | flags
               : sign < 0 ? r->flags & ~flags
                          : flags | (r->flags & (RESV_SPEC_NODES | RESV_ALL_NODES));
    if (__builtin_popcount(r->flags & RESV_AGAIN) > 1)
        return err_set(err, SL_EINVAL_FIELD, "Flags: only one of HOURLY, DAILY, WEEKDAY, WEEKEND, WEEKLY");
    if (!(r->flags & RESV_PURGE_COMP))
        r->purge = 0;
    return 0;
}

static int nodes_key(struct change_of *x, const char *value, struct err *err)
{
    struct advres *r = x->r;
    x->has_nodes = true;
    r->flags &= ~(uint32_t)RESV_ALL_NODES;
    r->flags |= RESV_SPEC_NODES;
    r->gen = NONE;
    if (strcasecmp(value, "ALL") == 0) {
        r->flags |= RESV_ALL_NODES;
        return text_take(&r->nodes, "");
    }
    struct hostlist *hl = hostlist_create(value, err);
    if (!hl)
        return err_prefix(err, "Nodes=%s", value);
    free(r->nodes);
    r->nodes = hostlist_ranged(hl);
    hostlist_destroy(hl);
    return 0;
}

static int count_key(struct change_of *x, const char *value, struct err *err)
{
    char digits[24];
    size_t n = strspn(value, "0123456789");
    uint64_t count;
    bool kilo = (value[n] == 'k' || value[n] == 'K') && value[n + 1] == '\0';
    snprintf(digits, sizeof digits, "%.*s", (int)n, value);
    if (n >= sizeof digits || (value[n] && !kilo))
        return err_set(err, SL_EINVAL_FIELD, "NodeCnt=%s: a number of nodes is wanted", value);
    if (num_parse_u64("NodeCnt", digits, 1, NODES_MAX / (kilo ? 1024 : 1), &count, err) < 0)
        return err->code;
    x->r->node_count = (uint32_t)count * (kilo ? 1024 : 1);
    x->has_count = true;
    x->r->flags &= ~(uint32_t)(RESV_SPEC_NODES | RESV_ALL_NODES);
    return 0;
}

static int name_list(const char *key, char **at, const char *value, struct err *err)
{
    if (strstr(value, "+=") || value[0] == '+')
        return err_set(err, SL_ENOT_BUILT, "%s: adding to a list is not built; give all of it", key);
    return list_check(key, value, err) < 0 ? err->code : text_take(at, value);
}

static int time_key(struct change_of *x, const char *key, const char *value, struct err *err)
{
    usec_t *at = strcasecmp(key, "StartTime") == 0 ? &x->r->start : &x->r->end;
    if (time_parse(value, x->now, at, err) < 0)
        return err_prefix(err, "%s", key);
    *(at == &x->r->start ? &x->has_start : &x->has_end) = true;
    return 0;
}

static int duration_key(struct change_of *x, const char *value, struct err *err)
{
    if (strcasecmp(value, "infinite") == 0)
        value = "UNLIMITED";
    x->has_duration = true;
    if (span_parse(value, &x->duration, err) < 0)
        return err_prefix(err, "Duration");
    return x->duration > 0 ? 0 : err_set(err, SL_EINVAL_TIME, "Duration=%s", value);
}

static int key_take(struct change_of *x, const char *key, const char *value, struct err *err)
{
    static const char *const later[] = {"CoreCnt", "Licenses", "BurstBuffer", "Features", "TRES",
                                        "Watts", "MaxStartDelay", "Skip"};
    struct advres *r = x->r;
    if (strcasecmp(key, "StartTime") == 0 || strcasecmp(key, "EndTime") == 0)
        return time_key(x, key, value, err);
    if (strcasecmp(key, "Duration") == 0)
        return duration_key(x, value, err);
    if (strcasecmp(key, "Nodes") == 0)
        return nodes_key(x, value, err);
    if (strcasecmp(key, "NodeCnt") == 0)
        return count_key(x, value, err);
    if (strcasecmp(key, "Flags") == 0)
        return flags_take(r, value, err);
    if (strcasecmp(key, "Users") == 0)
        return name_list(key, &r->users, value, err);
    if (strcasecmp(key, "Accounts") == 0)
        return name_list(key, &r->accounts, value, err);
    if (strcasecmp(key, "Groups") == 0)
        return name_list(key, &r->groups, value, err);
    if (strcasecmp(key, "Comment") == 0)
        return text_take(&r->comment, value);
    if (strcasecmp(key, "PartitionName") == 0) {
        if (value[0] && parts_find(x->c, value) < 0)
            return err_set(err, SL_EINVAL_PARTITION, "invalid partition specified: %s", value);
        r->gen = NONE;
        return text_take(&r->partition, value);
    }
    for (size_t i = 0; i < sizeof later / sizeof *later; i++)
        if (strcasecmp(key, later[i]) == 0)
            return err_set(err, SL_ENOT_BUILT, "%s of a reservation is not built yet", later[i]);
    return err_set(err, SL_EINVAL_FIELD, "a reservation has no %s", key);
}

/* ---- the next time -------------------------------------------------------------------------- */

static void step_day(struct tm *t, int days)
{
    t->tm_mday += days;
    t->tm_isdst = -1;
    mktime(t); /* normalises, and finds the day of the week */
}

static bool weekend(const struct tm *t)
{
    return t->tm_wday == 0 || t->tm_wday == 6;
}

/* Moves a recurring one on until it is not over. */
static void roll(struct advres *r, usec_t now)
{
    usec_t span = r->end - r->start;
    while (r->end <= now) {
        if (r->flags & RESV_HOURLY) {
            r->start += 3600 * USEC_PER_SEC;
        } else {
            time_t at = (time_t)(r->start / USEC_PER_SEC);
            struct tm t;
            localtime_r(&at, &t);
            do
                step_day(&t, r->flags & RESV_WEEKLY ? 7 : 1);
            while ((r->flags & RESV_WEEKDAY && weekend(&t)) ||
                   (r->flags & RESV_WEEKEND && !weekend(&t)));
            r->start = mktime(&t) * USEC_PER_SEC;
        }
        r->end = r->start + span;
    }
}

/* What is still to come of it: a timer in the past would come at once, again and again. */
static void timers(struct core *c, const struct advres *r)
{
    usec_t at[] = {r->start, r->end, r->idle_since ? r->idle_since + r->purge : 0};
    for (size_t i = 0; i < sizeof at / sizeof *at; i++)
        if (at[i] > c->now)
            timer_add(c, at[i], TIMER_RESV, r->id);
}

/* ---- commands --------------------------------------------------------------------------------- */

static struct advres *copy_of(const struct advres *from)
{
    struct advres *r = xmalloc(sizeof *r);
    *r = *from;
    r->name = xstrdup(from->name);
    r->nodes = xstrdup(from->nodes);
    r->partition = xstrdup(from->partition);
    r->users = xstrdup(from->users);
    r->accounts = xstrdup(from->accounts);
    r->groups = xstrdup(from->groups);
    r->comment = xstrdup(from->comment);
    r->set = NULL;
    r->gen = NONE;
    return r;
}

static int times_settle(struct change_of *x, struct err *err)
{
    struct advres *r = x->r;
    if (x->has_duration && x->has_end && !x->has_start)
        r->start = r->end - x->duration;
    else if (x->has_duration)
        r->end = x->duration == SPAN_INFINITE ? SPAN_INFINITE : r->start + x->duration;
    if (r->start == 0)
        return err_set(err, SL_EINVAL_TIME, "A reservation needs StartTime");
    if (r->end == 0)
        return err_set(err, SL_EINVAL_TIME, "A reservation needs EndTime or Duration");
    if (r->end <= r->start)
        return err_set(err, SL_EINVAL_TIME, "EndTime is not after StartTime");
    if (r->end <= x->now)
        return err_set(err, SL_EINVAL_TIME, "EndTime is in the past");
    if (x->has_start && r->start < x->now - 60 * USEC_PER_SEC)
        return err_set(err, SL_EINVAL_TIME, "StartTime is in the past");
    if (r->flags & RESV_AGAIN && r->end == SPAN_INFINITE)
        return err_set(err, SL_EINVAL_TIME, "what recurs needs an end");
    return 0;
}

/* Applies all pairs to r and checks the whole. */
static int settle(struct core *c, struct advres *r, const struct command *cmd, usec_t now,
                  bool fresh, struct err *err)
{
    struct change_of x = {.c = c, .r = r, .now = now};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < cmd->resv.count; i++)
        rc = key_take(&x, cmd->resv.key[i], cmd->resv.value[i], err);
    if (rc == 0)
        rc = times_settle(&x, err);
    if (rc == 0 && r->flags & RESV_PART_NODES && (!r->partition[0] || !(r->flags & RESV_ALL_NODES)))
        rc = err_set(err, SL_EINVAL_FIELD, "Flags=PART_NODES needs PartitionName and Nodes=ALL");
    if (rc == 0 && !r->users[0] && !r->accounts[0] && !r->groups[0])
        rc = err_set(err, SL_EINVAL_FIELD, "A reservation needs Users, Accounts or Groups");
    if (rc == 0 && fresh && !x.has_count && !x.has_nodes)
        rc = err_set(err, SL_EINVAL_NODE, "A reservation needs Nodes or NodeCnt");
    bool count = x.has_count && !x.has_nodes;
    bool placed = fresh || x.has_count || x.has_nodes || x.has_start || x.has_end || x.has_duration;
    if (rc == 0 && placed)
        rc = nodes_take(c, r, count, now, err);
    return rc;
}

static void changed(struct core *c, const struct advres *r, struct batch *out)
{
    batch_change(out, CHANGE_RESV, r->id, 0);
    for (uint32_t i = 0; i < c->nodes; i++) /* states of nodes are part of accounting */
        if (r->set && bs_test(r->set, i))
            batch_change(out, CHANGE_NODE_EVENT, i, 0);
    plan_afresh(c);
}

/* "alice_3" when no name is given, as scontrol(1). */
static char *default_name(const struct core *c, const struct advres *r)
{
    const char *from = r->users[0] ? r->users : r->accounts[0] ? r->accounts : r->groups;
    from += only_denies(from);
    return xasprintf("%.*s_%u", (int)strcspn(from, ","), from, c->advres_next);
}

int advres_create(struct core *c, const struct command *cmd, usec_t now, struct batch *out,
                  struct err *err)
{
    const char *name = cmd->resv.name;
    if (!cmd->actor.admin)
        return err_set(err, SL_EACCESS, "%s", err_name(SL_EACCESS));
    if (c->advress >= ADVRES_MAX)
        return err_set(err, SL_ETOO_MANY, "there are %d reservations, the most", ADVRES_MAX);
    if (strlen(name) > NAME_LEN_MAX || strpbrk(name, " ,/\\\"'\t=|+"))
        return err_set(err, SL_EINVAL_FIELD, "ReservationName=%.64s: not a name", name);
    if (find(c, name, strlen(name)))
        return err_set(err, SL_EINVAL_FIELD, "Duplicate reservation name: %s", name);
    const char *none = "";
    struct advres blank = {.id = c->advres_next, .name = (char *)none, .nodes = (char *)none,
                           .partition = (char *)none, .users = (char *)none,
                           .accounts = (char *)none, .groups = (char *)none,
                           .comment = (char *)none};
    struct advres *r = copy_of(&blank);
    if (settle(c, r, cmd, now, true, err) < 0) {
        advres_free(r);
        return err->code;
    }
    free(r->name);
    r->name = name[0] ? xstrdup(name) : default_name(c, r);
    if (find(c, r->name, strlen(r->name))) {
        int rc = err_set(err, SL_EINVAL_FIELD, "Duplicate reservation name: %s", r->name);
        advres_free(r);
        return rc;
    }
    c->advres_next++;
    c->advres = xrealloc(c->advres, (c->advress + 1) * sizeof(struct advres *));
    c->advres[c->advress++] = r;
    timers(c, r);
    changed(c, r, out);
    batch_change(out, CHANGE_META, 0, 0);
    snprintf(out->resv_name, sizeof out->resv_name, "%s", r->name);
    return 0;
}

static struct advres *named(struct core *c, const struct command *cmd, struct err *err)
{
    struct advres *r = find(c, cmd->resv.name, strlen(cmd->resv.name));
    if (!cmd->actor.admin)
        err_set(err, SL_EACCESS, "%s", err_name(SL_EACCESS));
    else if (!r)
        err_set(err, SL_EINVAL_FIELD, "Requested reservation is invalid: %s", cmd->resv.name);
    return cmd->actor.admin ? r : NULL;
}

int advres_update(struct core *c, const struct command *cmd, usec_t now, struct batch *out,
                  struct err *err)
{
    struct advres *r = named(c, cmd, err);
    if (!r)
        return err->code;
    struct advres *fresh = copy_of(r);
    if (settle(c, fresh, cmd, now, false, err) < 0) {
        advres_free(fresh);
        return err->code;
    }
    set_derive(c, fresh);
    changed(c, r, out); /* nodes that leave */
    for (uint32_t i = 0; i < c->advress; i++)
        if (c->advres[i] == r)
            c->advres[i] = fresh;
    advres_free(r);
    timers(c, fresh);
    changed(c, fresh, out);
    for (uint32_t i = 0; i < c->running.count; i++) { /* its jobs end with it */
        struct job *j = c->running.v[i];
        if (j->advres_id != fresh->id || !j->until)
            continue;
        j->until = fresh->end;
        job_limit_timers(c, j);
        job_changed(c, j, out, false);
    }
    return 0;
}

static bool names_it(const struct core *c, const struct job *j, const struct advres *r)
{
    const char *list = text_of(c, c->request[j->request].reservation);
    size_t want = strlen(r->name);
    for (const char *p = list; *p;) {
        size_t n = strcspn(p, ",");
        if (n == want && strncasecmp(p, r->name, n) == 0)
            return true;
        p += n + (p[n] == ',');
    }
    return false;
}

/* It is over for good: who waits for it alone is held. */
static void drop(struct core *c, struct advres *r, usec_t now, struct batch *out)
{
    uint32_t at = 0;
    while (c->advres[at] != r)
        at++;
    memmove(c->advres + at, c->advres + at + 1, (c->advress - at - 1) * sizeof *c->advres);
    c->advress--;
    changed(c, r, out);
    for (uint32_t i = 0; i < c->jobs && !(r->flags & RESV_NO_HOLD); i++) {
        struct job *j = c->job[i];
        const char *list = text_of(c, c->request[j->request].reservation);
        if (j->state != JOB_PENDING || (j->flags & JOBF_COMPLETING) || strchr(list, ',') ||
            !names_it(c, j, r))
            continue;
        j->hold |= HOLD_USER;
        j->flags |= JOBF_RESV_DEL_HOLD;
        job_gate(c, j, now);
        job_changed(c, j, out, true);
    }
    advres_free(r);
}

int advres_delete(struct core *c, const struct command *cmd, usec_t now, struct batch *out,
                  struct err *err)
{
    struct advres *r = named(c, cmd, err);
    if (!r)
        return err->code;
    for (uint32_t i = 0; i < c->running.count; i++)
        if (c->running.v[i]->advres_id == r->id && !(c->running.v[i]->flags & JOBF_COMPLETING))
            return err_set(err, SL_EBUSY_NODES, "Requested reservation is in use: job %u runs in it",
                           c->running.v[i]->id);
    drop(c, r, now, out);
    return 0;
}

/* ---- time --------------------------------------------------------------------------------------- */

static bool idle(const struct core *c, const struct advres *r)
{
    for (uint32_t i = 0; i < c->running.count; i++)
        if (c->running.v[i]->advres_id == r->id)
            return false;
    for (uint32_t i = 0; i < c->jobs; i++)
        if (c->job[i]->state == JOB_PENDING && names_it(c, c->job[i], r))
            return false;
    return true;
}

static void idle_note(struct core *c, struct advres *r, usec_t now)
{
    if (!(r->flags & RESV_PURGE_COMP) || !active(r, now))
        return;
    bool is = idle(c, r);
    if (is && r->idle_since == 0)
        r->idle_since = now;
    else if (!is)
        r->idle_since = 0;
    timers(c, r);
}

void advres_idle(struct core *c, const struct job *j, usec_t now)
{
    for (uint32_t i = 0; j->advres_id && i < c->advress; i++)
        if (c->advres[i]->id == j->advres_id)
            idle_note(c, c->advres[i], now);
}

void advres_tick(struct core *c, uint32_t id, usec_t now, struct batch *out)
{
    struct advres *r = NULL;
    for (uint32_t i = 0; i < c->advress; i++)
        if (c->advres[i]->id == id)
            r = c->advres[i];
    if (!r)
        return;
    set_derive(c, r);
    idle_note(c, r, now);
    bool spent = r->idle_since && now >= r->idle_since + r->purge;
    if (r->end > now && !spent) {
        changed(c, r, out);
        return;
    }
    if (!(r->flags & RESV_AGAIN)) {
        drop(c, r, now, out);
        return;
    }
    r->idle_since = 0;
    if (spent && r->end > now) /* this time is over early */
        r->end = now;
    roll(r, now);
    timers(c, r);
    changed(c, r, out);
}

/* ---- jobs ----------------------------------------------------------------------------------------- */

int advres_admit(const struct core *c, const char *names, const struct admit *who,
                 const char *user, struct err *err)
{
    for (const char *p = names; *p;) {
        size_t n = strcspn(p, ",");
        const struct advres *r = find(c, p, n);
        if (!r)
            return err_set(err, SL_EINVAL_FIELD, "Requested reservation is invalid: %.*s", (int)n, p);
        if (!takes(r, user, who->account, who->groups))
            return err_set(err, SL_EACCESS, "Access denied to requested reservation: %s", r->name);
        p += n + (p[n] == ',');
    }
    return 0;
}

/* The reservation that j would start in now: the first of its list that is open. *known: it
 * names one that exists. */
static struct advres *own(const struct core *c, const struct job *j, usec_t now, bool *known)
{
    const char *list = text_of(c, c->request[j->request].reservation);
    struct advres *found = NULL;
    *known = false;
    for (const char *p = list; *p;) {
        size_t n = strcspn(p, ",");
        struct advres *r = find(c, p, n);
        *known = *known || r;
        if (r && !found && (active(r, now) || r->flags & RESV_FLEX))
            found = r;
        p += n + (p[n] == ',');
    }
    return found;
}

bool advres_open(const struct core *c, const struct job *j, usec_t now)
{
    bool known;
    return own(c, j, now, &known) || !known;
}

static usec_t run_end(const struct core *c, const struct job *j, uint32_t part)
{
    usec_t limit = parts_limit(&c->part[part], j->limit_given ? j->limit : 0);
    return limit == SPAN_INFINITE ? SPAN_INFINITE : c->now + limit;
}

void advres_close(struct core *c, const struct job *j, uint32_t part, uint64_t *set)
{
    bool known;
    struct advres *mine = own(c, j, c->now, &known);
    usec_t end = run_end(c, j, part);
    if (mine)
        set_derive(c, mine);
    if (mine && !(mine->flags & RESV_FLEX)) {
        for (uint32_t w = 0; w < c->words; w++)
            set[w] |= ~mine->set[w];
        end = end < mine->end ? end : mine->end;
    } else if (known && !mine) {
        memset(set, 0xff, c->words * sizeof *set);
        return;
    }
    for (uint32_t i = 0; i < c->advress; i++) {
        struct advres *r = c->advres[i];
        if (r == mine || r->start >= end || r->end <= c->now)
            continue;
        set_derive(c, r);
        bs_or(set, r->set, c->words);
    }
    if (mine && shares(mine)) /* laid over others, with their nodes */
        bs_andnot(set, mine->set, c->words);
}

uint32_t advres_closing(struct core *c, const struct job *j, uint32_t part,
                        const struct advres **out, uint32_t max)
{
    bool known;
    const struct advres *mine = own(c, j, c->now, &known);
    usec_t end = run_end(c, j, part);
    uint32_t n = 0;
    for (uint32_t i = 0; i < c->advress && n < max; i++) {
        struct advres *r = c->advres[i];
        if (r == mine || r->start >= end || r->end <= c->now)
            continue;
        set_derive(c, r);
        out[n++] = r;
    }
    return n;
}

void advres_enter(struct core *c, struct job *j, usec_t now)
{
    bool known;
    struct advres *r = own(c, j, now, &known);
    j->advres_id = r ? r->id : 0;
    j->until = r && !(r->flags & RESV_FLEX) && r->end != SPAN_INFINITE ? r->end : 0;
    if (r)
        r->idle_since = 0;
}

uint32_t advres_node_flags(const struct core *c, uint32_t node)
{
    uint32_t flags = 0;
    for (uint32_t i = 0; i < c->advress; i++) {
        struct advres *r = c->advres[i];
        if (!active(r, c->now))
            continue;
        set_derive((struct core *)c, r);
        if (bs_test(r->set, node))
            flags |= r->flags & RESV_MAINT ? NODEF_MAINT : NODEF_RESERVED;
    }
    return flags;
}

/* ---- reading and records ------------------------------------------------------------------------- */

static const char *flags_text(const struct advres *r, struct arena *a)
{
    struct buf b;
    char span[SPAN_TEXT_MAX];
    buf_init(&b);
    for (size_t i = 0; i < FLAGS_COUNT; i++) {
        if (!(r->flags & flag_names[i].flag))
            continue;
        buf_printf(&b, "%s%s", b.len ? "," : "", flag_names[i].name);
        if (flag_names[i].flag == RESV_PURGE_COMP)
            buf_printf(&b, "=%s", span_format(r->purge, span));
    }
    const char *text = arena_strdup(a, buf_str(&b));
    buf_fini(&b);
    return text;
}

bool core_resv_view(const struct core *core, uint32_t index, struct resv_view *v)
{
    struct core *c = (struct core *)core;
    if (index >= c->advress)
        return false;
    struct advres *r = c->advres[index];
    struct hostlist *hl = hostlist_create("", NULL);
    arena_reset(&c->scratch);
    set_derive(c, r);
    *v = (struct resv_view){.id = r->id, .name = r->name, .partition = r->partition,
                            .users = r->users, .accounts = r->accounts, .groups = r->groups,
                            .comment = r->comment, .start = r->start, .end = r->end,
                            .active = active(r, c->now), .flags = flags_text(r, &c->scratch)};
    BS_EACH(i, r->set, c->words)
    {
        hostlist_push(hl, c->node[i].name, NULL);
        v->nodes_count++;
        v->cores += c->node[i].cores;
        v->cpus += c->node[i].cores * c->node[i].threads;
    }
    hostlist_sort(hl);
    char *text = hostlist_ranged(hl);
    v->nodes = arena_strdup(&c->scratch, text);
    free(text);
    hostlist_destroy(hl);
    return true;
}

bool core_resv_save(const struct core *c, uint32_t id, struct buf *out)
{
    for (uint32_t i = 0; i < c->advress; i++) {
        const struct advres *r = c->advres[i];
        Sl__ReservationRecord m = SL__RESERVATION_RECORD__INIT;
        if (r->id != id)
            continue;
        m.id = r->id;
        m.name = r->name;
        m.nodes = r->nodes;
        m.partition = r->partition;
        m.users = r->users;
        m.accounts = r->accounts;
        m.groups = r->groups;
        m.comment = r->comment;
        m.flags = r->flags;
        m.node_count = r->node_count;
        m.start = r->start;
        m.end = r->end;
        m.purge = r->purge;
        size_t n = sl__reservation_record__get_packed_size(&m);
        buf_reserve(out, n);
        out->len += sl__reservation_record__pack(&m, (uint8_t *)out->data + out->len);
        out->data[out->len] = '\0';
        return true;
    }
    return false;
}

int core_resv_load(struct core *c, const void *p, size_t n, struct err *err)
{
    Sl__ReservationRecord *m = sl__reservation_record__unpack(NULL, n, p);
    if (!m)
        return err_set(err, SL_EPROTO, "a reservation's record does not parse");
    if (!m->name[0] || m->end <= m->start || find(c, m->name, strlen(m->name)) ||
        c->advress >= ADVRES_MAX) {
        int rc = err_set(err, SL_EPROTO, "reservation \"%s\": its record is not usable", m->name);
        sl__reservation_record__free_unpacked(m, NULL);
        return rc;
    }
    const struct advres from = {.id = m->id, .name = m->name, .nodes = m->nodes,
                                .partition = m->partition, .users = m->users,
                                .accounts = m->accounts, .groups = m->groups,
                                .comment = m->comment, .flags = m->flags,
                                .node_count = m->node_count, .start = m->start, .end = m->end,
                                .purge = m->purge};
    c->advres = xrealloc(c->advres, (c->advress + 1) * sizeof(struct advres *));
    c->advres[c->advress++] = copy_of(&from);
    if (m->id >= c->advres_next)
        c->advres_next = m->id + 1;
    sl__reservation_record__free_unpacked(m, NULL);
    return 0;
}

void advres_load_end(struct core *c)
{
    for (uint32_t i = 0; i < c->advress; i++) {
        idle_note(c, c->advres[i], c->now);
        timers(c, c->advres[i]);
        if (c->advres[i]->end <= c->now) /* it ended while no controller ran */
            timer_add(c, c->now, TIMER_RESV, c->advres[i]->id);
    }
}

/* No two that do not share have a node at the same time. */
int advres_check(const struct core *core, struct err *err)
{
    struct core *c = (struct core *)core;
    for (uint32_t i = 0; i < c->advress; i++) {
        for (uint32_t k = 0; k < i; k++) {
            struct advres *a = c->advres[i], *b = c->advres[k];
            if (shares(a) || shares(b) || !overlaps(a, b) || (a->flags | b->flags) & RESV_AGAIN ||
                (a->flags | b->flags) & (RESV_ALL_NODES | RESV_PART_NODES))
                continue; /* those may come to meet as nodes are added, or as they recur */
            set_derive(c, a);
            set_derive(c, b);
            if (bs_meets(a->set, b->set, c->words))
                return err_set(err, -EINVAL, "reservations %s and %s share nodes", a->name, b->name);
        }
    }
    return 0;
}
