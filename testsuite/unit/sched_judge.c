/* SPDX-License-Identifier: Apache-2.0 */
#include "sched_judge.h"

#include "base/hostlist.h"
#include "sched/advres.h"
#include "sched/plan.h"
#include "sched/tenant.h"
#include "sched_truth.h"
#include "sched_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct start {
    struct world *w;
    const struct core *c;
    const struct job *j;
    const Sl__JobSpec *spec;
    uint32_t part;
};

/* Is the word one of those that the separators part? */
static bool among(const char *text, const char *separators, const char *word, size_t n)
{
    for (const char *p = text; *p;) {
        size_t k = strcspn(p, separators);
        if (k == n && strncmp(p, word, n) == 0)
            return true;
        p += k + (p[k] != '\0');
    }
    return false;
}

static const struct node *node_at(const struct start *s, uint32_t i)
{
    return &s->c->node[s->j->alloc->node[i].node];
}

/* ---- what was asked for -------------------------------------------------------------- */

static uint64_t gres_held(const struct start *s, uint32_t i, const char *name)
{
    const struct node *n = node_at(s, i);
    uint64_t held = 0;
    for (uint32_t p = 0; p < n->pools_count; p++)
        if (s->j->alloc->node[i].gres[p] && strcmp(text_of(s->c, n->pool[p].name), name) == 0)
            held += bs_count(s->j->alloc->node[i].gres[p], BS_WORDS(n->pool[p].count));
    return held;
}

static void size_of_node(const struct start *s, uint32_t i)
{
    const struct alloc_node *k = &s->j->alloc->node[i];
    const Sl__JobSpec *spec = s->spec;
    uint32_t each = spec->cpus_per_task ? spec->cpus_per_task : 1;
    uint64_t cpus = (uint64_t)k->tasks * each;
    if (!spec->overcommit && (uint64_t)k->cores * node_at(s, i)->threads < cpus)
        broken(s->w, "size: job %u has %u tasks of %u cpus on %u cores", s->j->id, k->tasks,
               each, k->cores);
    if (k->mem < spec->mem_per_cpu_mib * cpus ||
        (spec->mem_per_node_mib != MEM_ALL && k->mem < spec->mem_per_node_mib))
        broken(s->w, "size: job %u has %llu MiB of a node, too little", s->j->id,
               (unsigned long long)k->mem);
    for (size_t g = 0; g < spec->n_gres; g++)
        if (spec->gres[g]->per == SL__GRES_PER__GRES_PER_NODE &&
            gres_held(s, i, spec->gres[g]->name) < spec->gres[g]->count)
            broken(s->w, "size: job %u lacks gres of a node", s->j->id);
}

static void rule_size(const struct start *s)
{
    const struct alloc *a = s->j->alloc;
    uint32_t tasks = 0, least = s->spec->nodes_min ? s->spec->nodes_min : 1;
    uint32_t most = s->spec->nodes_max ? s->spec->nodes_max : s->spec->nodes_min;
    for (uint32_t i = 0; i < a->count; i++) {
        tasks += a->node[i].tasks;
        size_of_node(s, i);
    }
    if (strchr(s->spec->constraints, '*') || s->spec->nodelist[0])
        most = 0; /* they may want more */
    if (a->count < least || (most && a->count > most) || tasks < s->spec->ntasks)
        broken(s->w, "size: job %u has %u tasks on %u nodes, asked for %u on %u to %u",
               s->j->id, tasks, a->count, s->spec->ntasks, least, most);
}

static uint32_t nodes_with(const struct start *s, const char *feature, size_t n)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < s->j->alloc->count; i++) {
        uint32_t at = world_node(s->w, s->j->alloc->node[i].node);
        count += among(s->w->node[at].features, ",", feature, n);
    }
    return count;
}

/* The forms that people draw (sched_people.c). */
static bool features_good(const struct start *s, const char *text)
{
    uint32_t all = s->j->alloc->count, either = 0;
    bool one_of = text[0] == '[', alternatives = strchr(text, '|') != NULL;
    for (const char *p = text + one_of; *p && *p != ']';) {
        size_t n = strcspn(p, "&|]*");
        uint32_t with = nodes_with(s, p, n), want = all;
        if (p[n] == '*')
            want = (uint32_t)strtoul(p + n + 1, NULL, 10);
        if (!alternatives && with < want)
            return false;
        if (one_of && with == all)
            return true;
        either += with;
        p += n;
        p += strcspn(p, "&|]");
        p += *p == '&' || *p == '|';
    }
    return !alternatives || (!one_of && either >= all);
}

static void rule_nodes(const struct start *s)
{
    const struct alloc *a = s->j->alloc;
    uint32_t lo = UINT32_MAX, hi = 0, required = 0;
    struct hostlist *want = hostlist_create(s->spec->nodelist, NULL);
    struct hostlist *bar = hostlist_create(s->spec->exclude, NULL);
    for (uint32_t i = 0; i < a->count; i++) {
        const struct node *n = node_at(s, i);
        lo = n->order < lo ? n->order : lo;
        hi = n->order > hi ? n->order : hi;
        for (size_t k = 0; k < hostlist_count(want); k++)
            required += strcmp(hostlist_nth(want, k), n->name) == 0;
        for (size_t k = 0; k < hostlist_count(bar); k++)
            if (strcmp(hostlist_nth(bar, k), n->name) == 0)
                broken(s->w, "exclude: job %u is on %s", s->j->id, n->name);
    }
    if (required < hostlist_count(want))
        broken(s->w, "nodelist: job %u is on %u of the nodes of %s (constraint '%s', prefer '%s')",
               s->j->id, required, s->spec->nodelist, s->spec->constraints, s->spec->prefer);
    if (s->spec->contiguous && hi - lo + 1 != a->count)
        broken(s->w, "contiguous: job %u has %u nodes from %u to %u", s->j->id, a->count, lo,
               hi);
    bool preferred = s->spec->prefer[0] && features_good(s, s->spec->prefer);
    if (s->spec->constraints[0] && !preferred && !features_good(s, s->spec->constraints))
        broken(s->w, "features: job %u is not on nodes with %s", s->j->id,
               s->spec->constraints);
    hostlist_destroy(want);
    hostlist_destroy(bar);
}

static void rule_time(const struct start *s)
{
    const struct job *j = s->j;
    usec_t now = s->w->last;
    if (j->hold)
        broken(s->w, "hold: job %u started while held", j->id);
    if (j->begin > now)
        broken(s->w, "begin: job %u started %lld us before its time", j->id,
               (long long)(j->begin - now));
    if (j->deadline && j->deadline <= now)
        broken(s->w, "deadline: job %u started behind it", j->id);
}

/* ---- what may be used ------------------------------------------------------------------ */

static bool alone(const struct start *s, const struct job *j)
{
    long part = parts_find(s->c, text_of(s->c, j->partition));
    return s->c->request[j->request].exclusive ||
           (part >= 0 && s->c->part[part].conf.oversubscribe_exclusive);
}

static void rule_node(const struct start *s, uint32_t i)
{
    const struct alloc_node *own = &s->j->alloc->node[i];
    struct node_view v;
    if (!core_node_view(s->c, own->node, &v) || v.state == NODE_DOWN || !v.connected ||
        v.flags & (NODEF_DRAIN | NODEF_FAIL | NODEF_NO_RESPOND | NODEF_INVALID_REG))
        broken(s->w, "usable: job %u started on node %s, flags %u", s->j->id, v.name, v.flags);
    if (!core_partition_has(s->c, s->part, own->node))
        broken(s->w, "partition: node %s of job %u is not of it", v.name, s->j->id);
    for (uint32_t r = 0; r < s->c->running.count; r++) {
        const struct job *o = s->c->running.v[r];
        for (uint32_t k = 0; o != s->j && k < o->alloc->count; k++)
            if (o->alloc->node[k].node == own->node && !o->alloc->node[k].clean &&
                (alone(s, o) || alone(s, s->j)))
                broken(s->w, "exclusive: jobs %u and %u are on node %s", s->j->id, o->id,
                       v.name);
    }
}

static void rule_partition(const struct start *s)
{
    const struct partition *p = &s->c->part[s->part];
    const char *name = p->conf.name;
    if (p->state == PART_DOWN || p->state == PART_INACTIVE)
        broken(s->w, "partition: job %u started in %s, which is closed", s->j->id, name);
    if (!among(text_of(s->c, s->j->parts), ",", name, strlen(name)))
        broken(s->w, "partition: job %u did not ask for %s", s->j->id, name);
    if (s->j->limit > p->conf.time_max ||
        (p->conf.nodes_max && s->j->alloc->count > p->conf.nodes_max))
        broken(s->w, "partition: job %u is over the bounds of %s", s->j->id, name);
}

static struct advres *advres_at(const struct core *c, uint32_t id)
{
    for (uint32_t i = 0; id && i < c->advress; i++)
        if (c->advres[i]->id == id)
            return c->advres[i];
    return NULL;
}

static bool advres_has(const struct start *s, const struct advres *r, uint32_t i)
{
    return r->gen == s->c->nodes_gen && bs_test(r->set, s->j->alloc->node[i].node);
}

/* It is one of those whom the reservation is for. */
static void rule_member(const struct start *s, const struct advres *mine)
{
    const char *user = text_of(s->c, s->j->user);
    bool denies = mine->users[0] == '-';
    char minus[NAME_LEN_MAX + 2];
    snprintf(minus, sizeof minus, "-%s", user);
    const char *word = denies ? minus : user;
    if (mine->users[0] && !mine->groups[0] &&
        among(mine->users, ",", word, strlen(word)) == denies)
        broken(s->w, "reserved: job %u runs in %s, which is not for %s", s->j->id, mine->name,
               user);
    if (!among(s->spec->reservation, ",", mine->name, strlen(mine->name)))
        broken(s->w, "reserved: job %u runs in %s, and did not ask", s->j->id, mine->name);
}

static void rule_reserved(const struct start *s)
{
    const struct advres *mine = advres_at(s->c, s->j->advres_id);
    usec_t now = s->w->last;
    usec_t end = s->j->limit == SPAN_INFINITE ? SPAN_INFINITE : now + s->j->limit;
    if (mine)
        rule_member(s, mine);
    if (mine && !(mine->flags & RESV_FLEX)) {
        if (now < mine->start || now >= mine->end ||
            (mine->end != SPAN_INFINITE && s->j->until != mine->end))
            broken(s->w, "reserved: job %u is not bound to the time of %s", s->j->id,
                   mine->name);
        end = end < mine->end ? end : mine->end;
    }
    for (uint32_t i = 0; i < s->j->alloc->count; i++) {
        bool in = mine && advres_has(s, mine, i);
        if (mine && !in && !(mine->flags & RESV_FLEX))
            broken(s->w, "reserved: job %u left the nodes of %s", s->j->id, mine->name);
        for (uint32_t k = 0; k < s->c->advress; k++) {
            const struct advres *r = s->c->advres[k];
            bool laid_over = in && mine->flags & (RESV_MAINT | RESV_OVERLAP);
            if (r != mine && r->start < end && now < r->end && advres_has(s, r, i) &&
                !laid_over)
                broken(s->w, "reserved: job %u runs into %s on node %s", s->j->id, r->name,
                       node_at(s, i)->name);
        }
    }
}

/* ---- limits ------------------------------------------------------------------------------ */

struct layer {
    bool qos;
    uint32_t id;
    const struct limits *limits;
};

static uint32_t layers_of(const struct start *s, struct layer *out)
{
    const struct tenants *tn = s->c->tenants;
    uint32_t qos[] = {s->j->part_qos, s->j->qos_id}, n = 0;
    if (qos[1] != NONE && tn->qos[qos[1]].flags & QOSF_OVER_PART_QOS) {
        qos[0] = s->j->qos_id;
        qos[1] = s->j->part_qos;
    }
    for (int k = 0; k < 2; k++)
        if (qos[k] != NONE)
            out[n++] = (struct layer){true, qos[k], &tn->qos[qos[k]].limits};
    for (uint32_t i = s->j->assoc; i != NONE; i = tn->assoc[i].parent)
        out[n++] = (struct layer){false, i, &tn->assoc[i].limits};
    return n;
}

static bool counts_for(const struct core *c, const struct job *j, const struct layer *l)
{
    if (l->qos)
        return j->qos_id == l->id || j->part_qos == l->id;
    for (uint32_t i = j->assoc; i != NONE; i = c->tenants->assoc[i].parent)
        if (i == l->id)
            return true;
    return false;
}

static uint64_t has(const struct job *j, uint32_t tres)
{
    return tres == TRES_CPU   ? j->alloc->cpus
           : tres == TRES_MEM ? j->alloc->mem
                              : j->alloc->count; /* TRES_NODE */
}

/* In this batch, so that it was not there when j was allowed to start. */
static bool started_after(const struct start *s, const struct job *r)
{
    const struct batch *b = &s->w->batch;
    size_t i = 0;
    while (i < b->effects_count && !(b->effects[i].kind == EFFECT_LAUNCH &&
                                     b->effects[i].job_id == s->j->id))
        i++;
    for (; i < b->effects_count; i++)
        if (b->effects[i].kind == EFFECT_LAUNCH && b->effects[i].job_id == r->id && r != s->j)
            return true;
    return false;
}

enum unit_of { OF_JOBS, OF_TRES, OF_MINUTES };

/* By those who run for the layer, of one user or account if one is named. */
static uint64_t in_use(const struct start *s, const struct layer *l, enum unit_of what,
                       uint32_t tres, uint32_t user, uint32_t account)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < s->c->running.count; i++) {
        const struct job *r = s->c->running.v[i];
        if ((r->state != JOB_RUNNING && r->state != JOB_SUSPENDED) ||
            !counts_for(s->c, r, l) || started_after(s, r) || (user && r->user != user) ||
            (account && r->account != account))
            continue;
        usec_t left = r->start + r->suspended_total + r->limit - s->w->last;
        if (what == OF_MINUTES && (r->state == JOB_SUSPENDED || left < 0))
            continue;
        sum += what == OF_JOBS   ? 1
               : what == OF_TRES ? has(r, tres)
                                 : has(r, tres) * (uint64_t)(left / USEC_PER_SEC);
    }
    return sum;
}

static bool group_kind(unsigned kind)
{
    return kind == LIMIT_GRP_JOBS || kind == LIMIT_GRP_TRES || kind == LIMIT_GRP_RUN_MINS;
}

/* sacctmgr(1): a QOS' limit stands instead of an association's, a user's instead of the
 * account's; those of groups hold for each account up to the root. */
static bool overridden(const struct layer *v, uint32_t at, unsigned kind, uint32_t tres)
{
    for (uint32_t i = 0; i < at; i++) {
        if (group_kind(kind) && !v[i].qos)
            return false;
        if (limits_get(v[i].limits, (enum limit_kind)kind, tres) != UINT64_MAX ||
            (kind == LIMIT_MAX_JOBS &&
             limits_get(v[i].limits, LIMIT_MAX_JOBS_PU, 0) != UINT64_MAX))
            return true;
    }
    return false;
}

static uint64_t most_on_a_node(const struct start *s)
{
    uint64_t most = 0;
    for (uint32_t i = 0; i < s->j->alloc->count; i++)
        if (s->j->alloc->node[i].cores * node_at(s, i)->threads > most)
            most = s->j->alloc->node[i].cores * node_at(s, i)->threads;
    return most;
}

static bool within(const struct start *s, const struct layer *l, const struct limit_value *v)
{
    const struct job *j = s->j;
    const struct layer own = {false, j->assoc, NULL};
    switch (v->kind) {
    case LIMIT_GRP_JOBS:
        return in_use(s, l, OF_JOBS, 0, 0, 0) <= v->value;
    case LIMIT_GRP_TRES:
        return in_use(s, l, OF_TRES, v->tres, 0, 0) <= v->value;
    case LIMIT_GRP_RUN_MINS:
        return in_use(s, l, OF_MINUTES, v->tres, 0, 0) <= v->value * 60;
    case LIMIT_MAX_JOBS:
        return in_use(s, &own, OF_JOBS, 0, 0, 0) <= v->value;
    case LIMIT_MAX_TRES:
        return has(j, v->tres) <= v->value;
    case LIMIT_MAX_TRES_NODE:
        return v->tres != TRES_CPU || most_on_a_node(s) <= v->value;
    case LIMIT_MAX_WALL:
        return j->limit <= (usec_t)v->value * 60 * USEC_PER_SEC;
    case LIMIT_MAX_TRES_PU:
        return in_use(s, l, OF_TRES, v->tres, j->user, 0) <= v->value;
    case LIMIT_MAX_JOBS_PU:
        return in_use(s, l, OF_JOBS, 0, j->user, 0) <= v->value;
    case LIMIT_MAX_TRES_PA:
        return in_use(s, l, OF_TRES, v->tres, 0, j->account) <= v->value;
    case LIMIT_MAX_JOBS_PA:
        return in_use(s, l, OF_JOBS, 0, 0, j->account) <= v->value;
    case LIMIT_MIN_TRES:
        return has(j, v->tres) >= v->value;
    default: /* of submission, or of what was used before */
        return true;
    }
}

static void rule_limits(const struct start *s)
{
    struct layer layer[80];
    uint32_t n = layers_of(s, layer);
    if (!(s->c->policy.enforce & ENFORCE_LIMITS))
        return;
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t k = 0; k < layer[i].limits->count; k++) {
            const struct limit_value *v = &layer[i].limits->v[k];
            if (v->tres > TRES_NODE || v->tres == TRES_ENERGY ||
                overridden(layer, i, v->kind, v->tres) || within(s, &layer[i], v))
                continue;
            broken(s->w, "limits: job %u breaks %s=%llu of %s %u", s->j->id,
                   limit_table[v->kind].name, (unsigned long long)v->value,
                   layer[i].qos ? "QOS" : "association", layer[i].id);
        }
    }
}

/* ---- a start ------------------------------------------------------------------------------- */

static void rule_throttle(const struct start *s)
{
    uint32_t running = 0;
    for (uint32_t i = 0; s->j->throttle && i < s->c->running.count; i++) {
        const struct job *o = s->c->running.v[i];
        running += o->array_id == s->j->array_id &&
                   (o->state == JOB_RUNNING || o->state == JOB_SUSPENDED);
    }
    if (running > s->j->throttle)
        broken(s->w, "throttle: %u tasks of array %u run, its limit is %u", running,
               s->j->array_id, s->j->throttle);
}

/* Without backfill nobody passes whom the partition has no room for. */
static void rule_turn(const struct start *s)
{
    if (s->c->policy.backfill != BACKFILL_NONE)
        return;
    for (uint32_t i = 0; i < s->c->resv_count; i++) {
        struct reservation *r = s->c->resv[i];
        const struct job *before = r->job, *j = s->j;
        if (r->part == s->part && judge_promised(&s->w->judge, before->id) &&
            before->submit < j->submit && before->array_id == 0 && !s->c->request[before->request].licenses &&
            queue_order(&before, &j, (void *)s->c) < 0)
            broken(s->w, "turn: job %u passed job %u, which waits for resources", j->id,
                   before->id);
    }
}

void judge_start(struct world *w, uint32_t job_id)
{
    struct job_view v;
    struct start s = {.w = w, .c = w->core, .j = job_find(w->core, job_id)};
    if (!s.j || !core_job_view(w->core, job_id, true, &v))
        broken(w, "start: job %u started and is not there", job_id);
    if (s.j->state != JOB_RUNNING || !s.j->alloc) /* it was ended in the same pass */
        return;
    long part = parts_find(s.c, text_of(s.c, s.j->partition));
    if (part < 0)
        broken(w, "partition: job %u started in none", job_id);
    s.part = (uint32_t)part;
    s.spec = v.spec;
    w->judge.starts++;
    rule_time(&s);
    rule_size(&s);
    rule_nodes(&s);
    rule_partition(&s);
    for (uint32_t i = 0; i < s.j->alloc->count; i++)
        rule_node(&s, i);
    rule_reserved(&s);
    rule_limits(&s);
    rule_throttle(&s);
    rule_turn(&s);
}
