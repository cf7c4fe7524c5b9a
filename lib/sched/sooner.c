/* SPDX-License-Identifier: Apache-2.0
 *
 * Changes of a request by which the job would start sooner. Each is made on a copy, checked
 * as `scontrol update` checks it, and planned; what is told is what the planner said.
 *
 * Of a change with an amount (a shorter limit, fewer nodes) the largest that helps is looked
 * for: the earliest start is no later for less, so it is searched by halves. The changes are
 * told by how much of the request they give up, thousandths: of an amount its share, of the
 * others a fixed cost in the table below.
 */
#include "sched/explain_parts.h"
#include "sched/request.h"

#include "job/jobspec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOLD_MAX 3u      /* changes told */
#define GAIN_SHARE 8     /* ... that save at least this part of the wait */
#define STEPS_MAX 10u    /* of a search by halves */
#define PARTS_MAX 16u    /* other partitions tried */
#define LIMIT_UNIT (60 * USEC_PER_SEC)

struct trial {
    struct whatif *w;
    struct arena arena;
    struct job job;          /* the changed copy; its own references */
    Sl__JobSpec *spec;       /* what it asks for, to be changed */
    usec_t start;            /* as it is; INT64_MAX: it does not */
    usec_t wanted;           /* a start that is worth telling is not after */
};
struct found {
    const struct easing *change;
    uint64_t value;
    uint32_t part;           /* of another partition */
    uint32_t before;         /* job whose promise it would come before, 0: none */
    usec_t start;
    uint32_t cost;
};
struct easing {
    enum explain_code code;
    uint32_t cost;           /* of the change as a whole; 0: it has an amount */
    /* The amount now; the change is to a value below it, 0: does not apply. */
    uint64_t (*amount)(struct trial *t);
    void (*apply)(struct trial *t, uint64_t value);
    const char *update;      /* key of `scontrol update`, "": none has this */
};

/* ---- the changed copy ----------------------------------------------------------------------- */

static void trial_copy(struct trial *t)
{
    struct core *c = t->w->c;
    t->job = *t->w->j;
    t->job.resv = NULL;
    intern_ref(&c->request_keys, t->job.request);
    intern_ref(&c->blobs, t->job.tail);
    intern_ref(&c->blobs, t->job.ident);
    intern_ref(&c->text, t->job.parts);
    t->spec = spec_unpack(c, &t->job, &t->arena);
}

static void trial_drop(struct trial *t)
{
    spec_drop(t->w->c, &t->job);
    intern_drop(&t->w->c->text, t->job.parts);
    arena_reset(&t->arena);
}

/* The start after the change; INT64_MAX: it is not possible or never starts. */
static usec_t trial_start(struct trial *t, const struct easing *ch, uint64_t value,
                          struct found *out)
{
    struct core *c = t->w->c;
    struct placement p = {0};
    struct err refused;
    usec_t start = INT64_MAX;
    uint32_t part = NONE;
    trial_copy(t);
    ch->apply(t, value);
    if (jobspec_check(t->spec, &refused) == 0 && spec_store(c, &t->job, t->spec, &refused) == 0 &&
        admit_fits(c, &t->job, &refused) == 0)
        start = whatif_start(t->w, &t->job, &part, &p);
    if (start <= t->wanted && out) {
        *out = (struct found){.change = ch, .value = value, .start = start, .part = part};
        bool whole = start <= t->w->now && job_exclusive(c, &t->job);
        const struct job *j = t->w->j;
        usec_t end = t->w->now + plan_span(j, parts_limit(&c->part[part], j->limit_given ? j->limit : 0));
        for (uint32_t i = 0; start <= t->w->now && i < p.count && !out->before; i++) {
            const struct take *in = timeline_obstacle(c, p.node[i].node, &p.node[i], whole, end);
            out->before = in ? in->owner : 0;
        }
    }
    free(p.node);
    trial_drop(t);
    return start;
}

/* ---- the changes ----------------------------------------------------------------------------- */

static uint64_t limit_amount(struct trial *t)
{
    const struct job *j = t->w->j;
    struct jobclass own = {.parts_gen = NONE};
    usec_t limit = SPAN_INFINITE;
    class_parts(t->w->c, &own, text_of(t->w->c, j->parts));
    if (own.parts)
        limit = parts_limit(&t->w->c->part[own.part[0]], j->limit_given ? j->limit : 0);
    free(own.part);
    if (limit == SPAN_INFINITE)
        limit = SPAN_UNKNOWN;
    return (uint64_t)((limit + LIMIT_UNIT - 1) / LIMIT_UNIT);
}

static void limit_apply(struct trial *t, uint64_t v)
{
    t->job.limit = t->spec->time_limit_usec = (usec_t)v * LIMIT_UNIT;
    t->job.limit_given = true;
}

static uint64_t nodes_amount(struct trial *t)
{
    return t->spec->nodes_min > 1 && !t->spec->nodelist[0] ? t->spec->nodes_min : 0;
}

static void nodes_apply(struct trial *t, uint64_t v)
{
    t->spec->nodes_min = t->spec->nodes_max = (uint32_t)v;
}

static uint64_t tasks_amount(struct trial *t)
{
    return t->spec->ntasks > 1 && t->spec->ntasks > t->spec->nodes_min ? t->spec->ntasks : 0;
}

static void tasks_apply(struct trial *t, uint64_t v)
{
    t->spec->ntasks = (uint32_t)v;
}

static uint64_t cpus_amount(struct trial *t)
{
    return t->spec->cpus_per_task > 1 ? t->spec->cpus_per_task : 0;
}

static void cpus_apply(struct trial *t, uint64_t v)
{
    t->spec->cpus_per_task = (uint32_t)v;
}

static uint64_t *memory_of(Sl__JobSpec *s)
{
    return s->mem_per_node_mib ? &s->mem_per_node_mib : &s->mem_per_cpu_mib;
}

static uint64_t memory_amount(struct trial *t)
{
    uint64_t mib = *memory_of(t->spec);
    return mib != MEM_ALL ? mib : 0;
}

static void memory_apply(struct trial *t, uint64_t v)
{
    *memory_of(t->spec) = v;
}

static uint64_t gres_amount(struct trial *t)
{
    const Sl__JobSpec *s = t->spec;
    return s->n_gres == 1 && s->gres[0]->per == SL__GRES_PER__GRES_PER_NODE ? s->gres[0]->count : 0;
}

static void gres_apply(struct trial *t, uint64_t v)
{
    t->spec->gres[0]->count = v;
}

static uint64_t exclusive_amount(struct trial *t)
{
    return t->spec->exclusive == 1;
}

static void exclusive_apply(struct trial *t, uint64_t v)
{
    (void)v;
    t->spec->exclusive = 0;
}

static void partition_apply(struct trial *t, uint64_t v)
{
    struct core *c = t->w->c;
    uint32_t had = t->job.parts;
    t->job.parts = intern_text(&c->text, c->part[v].conf.name);
    intern_drop(&c->text, had);
}

#define DROP_TEXT(name, field)                                                              \
    static uint64_t name##_amount(struct trial *t)                                          \
    {                                                                                       \
        return t->spec->field[0] != '\0';                                                   \
    }                                                                                       \
    static void name##_apply(struct trial *t, uint64_t v)                                   \
    {                                                                                       \
        (void)v;                                                                            \
        t->spec->field = (char *)"";                                                        \
    }
#define DROP_NUMBER(name, field)                                                            \
    static uint64_t name##_amount(struct trial *t)                                          \
    {                                                                                       \
        return t->spec->field != 0;                                                         \
    }                                                                                       \
    static void name##_apply(struct trial *t, uint64_t v)                                   \
    {                                                                                       \
        (void)v;                                                                            \
        t->spec->field = 0;                                                                 \
    }
DROP_TEXT(nodelist, nodelist)
DROP_TEXT(exclude, exclude)
DROP_TEXT(features, constraints)
DROP_TEXT(licenses, licenses)
DROP_TEXT(reservation, reservation)
DROP_NUMBER(contiguous, contiguous)
DROP_NUMBER(switches, switches)

static const struct easing changes[] = {
    {EX_SOONER_TIME, 0, limit_amount, limit_apply, "TimeLimit"},
    {EX_SOONER_NODES, 0, nodes_amount, nodes_apply, "NumNodes"},
    {EX_SOONER_TASKS, 0, tasks_amount, tasks_apply, "NumTasks"},
    {EX_SOONER_CPUS, 0, cpus_amount, cpus_apply, "CPUsPerTask"},
    {EX_SOONER_MEM, 0, memory_amount, memory_apply, "MinMemory"},
    {EX_SOONER_GRES, 0, gres_amount, gres_apply, "Gres"},
    {EX_SOONER_SWITCHES, 150, switches_amount, switches_apply, ""},
    {EX_SOONER_CONTIGUOUS, 150, contiguous_amount, contiguous_apply, ""},
    {EX_SOONER_EXCLUDE, 200, exclude_amount, exclude_apply, "ExcNodeList"},
    {EX_SOONER_NODELIST, 200, nodelist_amount, nodelist_apply, "ReqNodeList"},
    {EX_SOONER_EXCLUSIVE, 300, exclusive_amount, exclusive_apply, ""},
    {EX_SOONER_RESV, 300, reservation_amount, reservation_apply, "ReservationName"},
    {EX_SOONER_FEATURES, 400, features_amount, features_apply, "Features"},
    {EX_SOONER_LICENSES, 600, licenses_amount, licenses_apply, "Licenses"},
};
static const struct easing to_partition = {EX_SOONER_PART, 100, NULL, partition_apply, "Partition"};

/* ---- the search ------------------------------------------------------------------------------ */

/* The largest amount below `most` that is worth it; steps of an eighth at the coarsest. */
static bool less_find(struct trial *t, const struct easing *ch, uint64_t most, struct found *out)
{
    struct found f;
    uint64_t bad = most, good = 1;
    const unsigned keep = t->w->work - t->w->work / 3; /* for the other changes */
    if (most < 2 || trial_start(t, ch, good, out) > t->wanted)
        return false;
    for (uint32_t i = 0; i < STEPS_MAX && bad - good > 1 && t->w->work > keep; i++) {
        uint64_t mid = bad / good >= 8 ? good * 4 : good + (bad - good) / 2;
        if (trial_start(t, ch, mid, &f) <= t->wanted) {
            good = mid;
            *out = f;
        } else {
            bad = mid;
        }
    }
    out->cost = (uint32_t)(1000 - 1000 * good / most);
    return true;
}

static bool change_find(struct trial *t, const struct easing *ch, struct found *out)
{
    t->spec = spec_unpack(t->w->c, t->w->j, &t->arena);
    uint64_t amount = ch->amount(t);
    arena_reset(&t->arena);
    if (amount == 0)
        return false;
    if (ch->cost == 0)
        return less_find(t, ch, amount, out);
    if (trial_start(t, ch, 0, out) > t->wanted)
        return false;
    out->cost = ch->cost;
    return true;
}

/* Some partition that takes the job and that it does not name. Groups of its owner are not
 * known here: partitions for some groups only are left out. */
static bool part_open(const struct trial *t, uint32_t part)
{
    struct core *c = t->w->c;
    const struct job *j = t->w->j;
    const struct actor owner = {.uid = j->uid, .gid = j->gid, .user = text_of(c, j->user)};
    const struct admit who = {.actor = &owner, .account = text_of(c, j->account),
                              .qos = text_of(c, j->qos)};
    const char *name = c->part[part].conf.name, *list = text_of(c, j->parts);
    char *names[1] = {(char *)name};
    struct buf ignored;
    struct err refused;
    uint32_t tier;
    for (size_t n; *list; list += n + (list[n] == ',')) {
        n = strcspn(list, ",");
        if (strlen(name) == n && memcmp(name, list, n) == 0)
            return false;
    }
    buf_init(&ignored);
    int rc = c->part[part].conf.is_hidden
                 ? -1
                 : admit_partitions(c, names, 1, &who, &ignored, &tier, &refused);
    buf_fini(&ignored);
    return rc == 0;
}

static bool partition_find(struct trial *t, struct found *out)
{
    struct core *c = t->w->c;
    struct found f;
    uint32_t tried = 0;
    bool any = false;
    for (uint32_t i = 0; i < c->parts && tried < PARTS_MAX; i++) {
        if (!part_open(t, i))
            continue;
        tried++;
        if (trial_start(t, &to_partition, i, &f) > t->wanted || (any && f.start >= out->start))
            continue;
        *out = f;
        out->cost = to_partition.cost;
        any = true;
    }
    return any;
}

/* ---- what is told ------------------------------------------------------------------------------ */

static const char *update_text(const struct trial *t, const struct found *f, struct arena *a)
{
    const struct easing *ch = f->change;
    char text[TIME_TEXT_MAX];
    switch (ch->code) {
    case EX_SOONER_TIME:
        return arena_printf(a, "TimeLimit=%s", span_format((usec_t)f->value * LIMIT_UNIT, text));
    case EX_SOONER_PART:
        return arena_printf(a, "Partition=%s", t->w->c->part[f->part].conf.name);
    case EX_SOONER_MEM:
        return arena_printf(a, "MinMemory%s=%lluM", t->spec->mem_per_node_mib ? "Node" : "CPU",
                            (unsigned long long)f->value);
    case EX_SOONER_GRES:
        return arena_printf(a, "Gres=%s%s%s:%llu", t->spec->gres[0]->name,
                            t->spec->gres[0]->type[0] ? ":" : "", t->spec->gres[0]->type,
                            (unsigned long long)f->value);
    default:
        break;
    }
    if (!ch->update[0])
        return "";
    return ch->cost ? arena_printf(a, "%s=", ch->update)
                    : arena_printf(a, "%s=%llu", ch->update, (unsigned long long)f->value);
}

static void found_tell(struct trial *t, const struct found *f, struct explanation *e)
{
    const bool now = f->start <= t->w->now; /* later: something is late, too */
    t->spec = spec_unpack(t->w->c, t->w->j, &t->arena);
    const struct explain_value start = EX_N(now ? 0 : f->start), at_once = EX_N(now);
    const struct explain_value update = EX_S(update_text(t, f, e->arena));
    const struct explain_value value = EX_N(f->value);
    switch (f->change->code) {
    case EX_SOONER_TIME:
        EXPLAIN(e, EX_SOONER_TIME, EX_N((usec_t)f->value * LIMIT_UNIT), start, at_once,
                EX_N(f->before), update);
        break;
    case EX_SOONER_PART:
        EXPLAIN(e, EX_SOONER_PART, EX_S(t->w->c->part[f->part].conf.name), start, at_once, update);
        break;
    case EX_SOONER_MEM:
        EXPLAIN(e, EX_SOONER_MEM, value, EX_S(t->spec->mem_per_node_mib ? "node" : "CPU"), start,
                at_once, update);
        break;
    case EX_SOONER_GRES:
        EXPLAIN(e, EX_SOONER_GRES, EX_S(arena_strdup(e->arena, t->spec->gres[0]->name)), value,
                start, at_once, update);
        break;
    default:
        if (f->change->cost)
            EXPLAIN(e, f->change->code, start, at_once, update);
        else
            EXPLAIN(e, f->change->code, value, start, at_once, update);
    }
    arena_reset(&t->arena);
}

static int by_cost(const void *a, const void *b)
{
    const struct found *x = a, *y = b;
    if (x->cost != y->cost)
        return x->cost < y->cost ? -1 : 1;
    return x->change->code < y->change->code ? -1 : x->change->code > y->change->code;
}

void whatif_sooner(struct whatif *w, usec_t start, struct explanation *e)
{
    enum { CHANGES = sizeof changes / sizeof *changes };
    struct trial t = {.w = w, .start = start};
    struct found f[CHANGES + 1];
    uint32_t n = 0;
    if (start <= w->now + USEC_PER_SEC)
        return;
    t.wanted = start == INT64_MAX ? INT64_MAX - 1 : start - (start - w->now) / GAIN_SHARE - 1;
    arena_init(&t.arena);
    n += partition_find(&t, &f[n]);
    for (uint32_t i = 0; i < CHANGES; i++)
        n += change_find(&t, &changes[i], &f[n]);
    qsort(f, n, sizeof *f, by_cost);
    for (uint32_t i = 0; i < n && i < TOLD_MAX; i++)
        found_tell(&t, &f[i], e);
    arena_fini(&t.arena);
}
