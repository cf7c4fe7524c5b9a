/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/explain_parts.h"

#include "sched/advres.h"

#include <stdlib.h>
#include <string.h>

#define PARTS_TOLD_MAX 4u /* partitions whose nodes are told */

void explain_add(struct explanation *e, enum explain_code code,
                 const struct explain_value *values, size_t count)
{
    if (e->count == EXPLAIN_ITEMS_MAX)
        return;
    ASSERT(count - 1 <= EXPLAIN_VALUES_MAX);
    struct explain_item *it = &e->item[e->count++];
    *it = (struct explain_item){.code = code};
    for (size_t i = 1; i < count; i++)
        it->value[i - 1] = values[i];
}

const struct explain_item *explanation_find(const struct explanation *e, enum explain_code code)
{
    for (uint32_t i = 0; i < e->count; i++)
        if (e->item[i].code == code)
            return &e->item[i];
    return NULL;
}

/* ---- a pending job ---------------------------------------------------------------------- */

/* The nodes of each partition that takes it. *reserved: reservations of others are in its
 * way. */
static void rooms_tell(struct core *c, const struct job *j, usec_t now, bool *reserved,
                       struct explanation *e)
{
    struct jobclass own = {.parts_gen = NONE};
    const struct advres *in_way[1];
    class_parts(c, &own, text_of(c, j->parts));
    for (uint32_t i = 0; i < own.parts && i < PARTS_TOLD_MAX; i++) {
        const struct partition *p = &c->part[own.part[i]];
        if (p->state == PART_DOWN || p->state == PART_INACTIVE)
            continue;
        explain_room(c, j, own.part[i], now, e);
        *reserved = *reserved || advres_closing(c, j, own.part[i], in_way, 1);
    }
    free(own.part);
}

static void start_tell(struct whatif *w, usec_t start, uint32_t part, enum explain_after after,
                       struct explanation *e)
{
    const struct core *c = w->c;
    bool predicted = c->policy.predict && order_believes(c, c->now, 0);
    const char *list = text_of(c, w->j->parts);
    const char *name = part != NONE && strchr(list, ',') ? c->part[part].conf.name : "";
    if (start == INT64_MAX)
        EXPLAIN(e, EX_START_UNKNOWN, EX_N(after));
    else if (start <= w->now && after == AFTER_NONE)
        EXPLAIN(e, EX_START_NOW);
    else if (w->counted < w->ahead)
        EXPLAIN(e, EX_START_LEAST, EX_N(start), EX_N(w->ahead), EX_N(w->counted));
    else
        EXPLAIN(e, predicted ? EX_START_PREDICTED : EX_START_LIMITS, EX_N(start), EX_N(after),
                EX_S(name));
}

/* When it starts as it is. A promise that was made for it counts. */
static usec_t start_find(struct whatif *w, uint32_t *part, struct placement *p)
{
    const struct reservation *r = w->j->resv;
    if (r && r->start > w->now) {
        *part = r->part;
        return r->start;
    }
    return whatif_start(w, w->j, part, p);
}

static usec_t pending_full(struct whatif *w, enum explain_after after, bool reserved,
                           struct placement *p, struct explanation *e)
{
    uint32_t part = NONE;
    usec_t start = INT64_MAX;
    whatif_ahead(w);
    if (w->from != INT64_MAX)
        start = start_find(w, &part, p);
    if (start == INT64_MAX && after == AFTER_NONE)
        after = reserved ? AFTER_CLOSED : AFTER_NODES;
    start_tell(w, start, part, after, e);
    if (w->from != INT64_MAX && after != AFTER_RELEASE && after != AFTER_DEPENDENCY)
        whatif_sooner(w, start, e);
    return start;
}

static usec_t pending_tell(struct core *c, struct job *j, enum explain_depth depth, usec_t now,
                           struct placement *p, struct explanation *e)
{
    struct whatif w;
    usec_t start = INT64_MAX;
    bool reserved = false;
    whatif_begin(&w, c, j, now);
    now = w.now;
    enum explain_after after = explain_held(c, j, now, &w.from, e);
    rooms_tell(c, j, now, &reserved, e);
    if (w.ahead)
        EXPLAIN(e, EX_AHEAD, EX_N(w.ahead), EX_N(w.first));
    if (e->count == 0)
        EXPLAIN(e, EX_PASS);
    if (depth == EXPLAIN_FULL)
        start = pending_full(&w, after, reserved, p, e);
    else if (j->resv)
        start_tell(&w, j->resv->start, j->resv->part, after, e);
    whatif_end(&w);
    return start;
}

bool core_explain(struct core *c, uint32_t job_id, enum explain_depth depth, usec_t now,
                  struct arena *a, struct explanation *out)
{
    struct job *j = job_find(c, job_id);
    out->count = 0;
    out->arena = a;
    if (!j)
        return false;
    if (j->state == JOB_PENDING && !(j->flags & JOBF_COMPLETING))
        pending_tell(c, j, depth, now, NULL, out);
    else if (j->state == JOB_PENDING)
        EXPLAIN(out, EX_CLEANING);
    else if (j->start)
        explain_started(c, j, out);
    return true;
}

usec_t explain_job(struct core *c, struct job *j, usec_t now, struct arena *a,
                   struct placement *p, struct explanation *out)
{
    out->count = 0;
    out->arena = a;
    return pending_tell(c, j, EXPLAIN_FULL, now, p, out);
}
