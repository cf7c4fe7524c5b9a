/* SPDX-License-Identifier: Apache-2.0
 *
 * Why a job started just then and there. Noted at its start as two codes, a job id and a
 * number of switches, which are in its record; the words come later.
 */
#include "sched/explain_parts.h"

#include "sched/place.h"

/* Records have these numbers: a new one goes to the end. */
static const enum explain_code why_code[] = {
    EX_NONE, EX_WHY_FREE, EX_WHY_TURN, EX_WHY_BACKFILL, EX_WHY_PREDICTED};
static const enum explain_code place_code[] = {
    EX_NONE, EX_BY_NODELIST, EX_BY_NODE, EX_BY_FRAGMENTATION, EX_BY_GPU_FIT, EX_BY_GPU_PACKING,
    EX_BY_GPU_RANDOM, EX_BY_PIECE, EX_BY_FIRST, EX_BY_FIT, EX_BY_SPREAD, EX_BY_CONTIGUOUS};
#define WHYS (sizeof why_code / sizeof *why_code)
#define PLACES (sizeof place_code / sizeof *place_code)

static uint8_t number_of(const enum explain_code *v, size_t n, enum explain_code code)
{
    size_t i = 0;
    while (i + 1 < n && v[i] != code)
        i++;
    ASSERT(v[i] == code);
    return (uint8_t)i;
}

#define AT_ONCE (1 * USEC_PER_SEC) /* a pass follows a submission in the same turn of the loop */
#define PROMISES_LOOKED_AT 64u

/* The first promise in the partition that was made to a job ahead of j, or NULL. */
static const struct reservation *promise_ahead(struct core *c, struct job *j, uint32_t part)
{
    for (uint32_t i = 0; i < c->resv_count && i < PROMISES_LOOKED_AT; i++) {
        const struct reservation *r = c->resv[i];
        if (r->job == j)
            return NULL;
        if (r->part == part)
            return queue_order(&r->job, &j, c) < 0 ? r : NULL;
    }
    return NULL;
}

/* Would it run into a promise if it used its limit? */
static bool by_prediction(struct core *c, const struct job *j, uint32_t part,
                          const struct placement *p, usec_t now)
{
    usec_t limit = parts_limit(&c->part[part], j->limit_given ? j->limit : 0);
    struct job cautious = {.expected = 0};
    if (!j->expected || j->expected >= limit)
        return false;
    bool whole = c->request[j->request].exclusive || c->part[part].conf.oversubscribe_exclusive;
    for (uint32_t i = 0; i < p->count; i++)
        if (timeline_obstacle(c, p->node[i].node, &p->node[i], whole,
                              now + plan_span(&cautious, limit)))
            return true;
    return false;
}

static enum explain_code placed_by(const struct core *c, const struct job *j,
                                   const struct placement *p)
{
    static const enum explain_code gpu[GPU_PLACEMENTS] = {
        [GPU_FGD] = EX_BY_FRAGMENTATION, [GPU_BESTFIT] = EX_BY_GPU_FIT,
        [GPU_PACKING] = EX_BY_GPU_PACKING, [GPU_RANDOM] = EX_BY_GPU_RANDOM};
    const struct request *q = &c->request[j->request];
    const struct attempt as_asked = {.c = (struct core *)c, .q = (struct request *)q};
    if (q->has_names && q->required_count)
        return EX_BY_NODELIST;
    if (q->spread)
        return EX_BY_SPREAD;
    if (p->count == 1)
        return gpu_scored(&as_asked) ? gpu[c->policy.gpu_placement] : EX_BY_NODE;
    if (q->contiguous)
        return EX_BY_CONTIGUOUS;
    if (c->policy.fabric_choice == CHOOSE_FIRST)
        return EX_BY_FIRST;
    return p->leafs ? EX_BY_PIECE : EX_BY_FIT;
}

void explain_note(struct core *c, struct job *j, uint32_t part, const struct placement *p,
                  usec_t now)
{
    const struct reservation *ahead = c->part[part].promised ? promise_ahead(c, j, part) : NULL;
    j->why_job = ahead ? ahead->job->id : 0;
    enum explain_code why = ahead ? EX_WHY_BACKFILL : EX_WHY_TURN;
    if (ahead && by_prediction(c, j, part, p, now))
        why = EX_WHY_PREDICTED;
    else if (!ahead && !j->resv && now - j->eligible < AT_ONCE)
        why = EX_WHY_FREE;
    j->why = number_of(why_code, WHYS, why);
    j->placed_by = number_of(place_code, PLACES, placed_by(c, j, p));
    j->placed_leafs = p->leafs;
}

void explain_started(const struct core *c, const struct job *j, struct explanation *e)
{
    struct job_view v = {.leafs = 0};
    const struct explain_value waited = EX_N(j->start > j->eligible && j->eligible ? j->start - j->eligible : 0);
    enum explain_code why = j->why < WHYS ? why_code[j->why] : EX_NONE;
    if (why == EX_WHY_TURN)
        EXPLAIN(e, why, waited);
    else if (why == EX_WHY_BACKFILL)
        EXPLAIN(e, why, EX_N(j->why_job), waited);
    else if (why == EX_WHY_PREDICTED)
        EXPLAIN(e, why, EX_N(j->why_job), EX_N(j->predicted), waited);
    else if (why != EX_NONE)
        EXPLAIN(e, why);
    enum explain_code place = j->placed_by < PLACES ? place_code[j->placed_by] : EX_NONE;
    if (place != EX_NONE)
        EXPLAIN(e, place, EX_N(j->placed_leafs));
    if (!j->alloc)
        return;
    placement_report(c, j->alloc, &v);
    if (v.hops_mean > 0)
        EXPLAIN(e, EX_BY_HOPS, EX_N(v.hops_mean * 1000 + 0.5));
    if (v.numas_per_task > 0)
        EXPLAIN(e, EX_BY_NUMA, EX_N(v.numas_per_task * 1000 + 0.5));
}
