/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/order.h"

#include "sched/plan.h"

#define PRIORITY_HALF (UINT32_MAX / 2)

/* ---- the order ------------------------------------------------------------------------- */

static int group_of(const struct job *j)
{
    return !j->prio_fixed ? 1 : j->priority > PRIORITY_HALF ? 0 : 2;
}

static usec_t since(const struct job *j)
{
    return j->eligible + (usec_t)j->nice * USEC_PER_SEC;
}

bool order_waited(const struct core *c, const struct job *j, usec_t span)
{
    return c->now - since(j) >= span;
}

static usec_t expected_of(const struct core *c, const struct job *j)
{
    const struct jobclass *k = &c->class[j->class];
    usec_t span = k->expected ? k->expected : k->limit;
    return span == SPAN_INFINITE ? SPAN_UNKNOWN : span;
}

static usec_t due(const struct core *c, const struct job *j)
{
    usec_t span = expected_of(c, j), factor = c->policy.due_factor;
    if (factor && span > c->policy.due_max / factor)
        span = c->policy.due_max;
    else
        span *= factor;
    return since(j) + span;
}

int order_due(const struct core *c, const struct job *x, const struct job *y)
{
    int gx = group_of(x), gy = group_of(y);
    if (gx != gy)
        return gx - gy;
    if (gx != 1 && x->priority != y->priority)
        return x->priority > y->priority ? -1 : 1;
    bool first = order_waited(c, x, c->policy.wait_first);
    if (first != order_waited(c, y, c->policy.wait_first))
        return first ? -1 : 1;
    usec_t dx = first ? since(x) : due(c, x), dy = first ? since(y) : due(c, y);
    if (dx != dy)
        return dx < dy ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

/* ---- expectations ------------------------------------------------------------------------ */

static usec_t limit_asked(const struct job *j)
{
    return j->limit_given ? j->limit : 0;
}

uint64_t order_like(const struct core *c, const struct job *j, struct predict_class *like)
{
    *like = (struct predict_class){0};
    if (!c->policy.predict)
        return 0;
    predict_classify(like, j->uid, text_of(c, j->account), text_of(c, j->name), limit_asked(j));
    return like->key[0];
}

static void class_predict(struct core *c, struct jobclass *k)
{
    k->expected = c->policy.predict ? predict_span(c->predict, &k->like, k->limit) : 0;
}

void order_class(struct core *c, struct jobclass *k, const struct job *j)
{
    order_like(c, j, &k->like);
    k->uid = j->uid;
    class_parts(c, k, text_of(c, j->parts));
    k->limit = k->parts ? parts_limit(&c->part[k->part[0]], limit_asked(j)) : SPAN_INFINITE;
    class_predict(c, k);
}

void order_expect(const struct core *c, struct job *j)
{
    const struct jobclass *k = &c->class[j->class];
    j->expected = order_believes(c, c->now, k->limit) ? k->expected : 0;
}

usec_t order_length(const struct core *c, const struct job *j, usec_t limit)
{
    usec_t expected = c->class[j->class].expected;
    return expected && expected < limit ? expected : limit;
}

void order_start(struct core *c, struct job *j)
{
    struct predict_class like;
    j->outran = false;
    j->predicted = 0;
    if (order_like(c, j, &like))
        j->predicted = predict_span(c->predict, &like, j->limit);
    order_limit(c, j);
}

void order_limit(const struct core *c, struct job *j)
{
    bool believed = order_believes(c, j->start + j->suspended_total, j->limit);
    j->expected = c->policy.predict && believed && !j->outran ? j->predicted : 0;
}

void order_timer(struct core *c, struct job *j)
{
    if (j->predicted && !j->outran && j->predicted < j->limit)
        timer_add(c, j->start + j->suspended_total + j->predicted, TIMER_EXPECT, j->id);
}

void order_outran(struct core *c, struct job *j, usec_t now)
{
    if (!j->alloc || (j->flags & JOBF_COMPLETING) || !j->predicted || j->outran ||
        j->state == JOB_SUSPENDED)
        return;
    if (now < j->start + j->suspended_total + j->predicted)
        return; /* it was suspended meanwhile: another timer comes */
    j->outran = true;
    j->expected = 0;
    /* Nothing is free that was not: only promises come later, and those are made again when
     * something else calls for a pass: in due order by each, in others by one afresh. */
    bool wanted = c->plan_wanted;
    timeline_move(c, j, plan_end(j));
    c->plan_wanted = wanted;
    c->plan_afresh = c->plan_afresh || c->policy.plan_order != PLAN_DUE;
}

void order_ended(struct core *c, const struct job *j, usec_t now, struct batch *out)
{
    struct predict_class like;
    uint32_t page[PREDICT_LEVELS];
    if (!order_like(c, j, &like) ||
        (j->state != JOB_COMPLETED && j->state != JOB_FAILED && j->state != JOB_TIMEOUT &&
         j->state != JOB_OOM))
        return;
    predict_feed(c->predict, &like, now - j->start - j->suspended_total, j->predicted, j->limit);
    uint32_t n = predict_dirty(c->predict, page, PREDICT_LEVELS);
    for (uint32_t i = 0; i < n; i++)
        batch_change(out, CHANGE_PREDICT, page[i], 0);
    for (uint32_t i = 0; i < c->class_cap; i++) {
        struct jobclass *k = &c->class[i];
        if (k->uid == j->uid && k->like.key[0])
            class_predict(c, k);
    }
}

/* What plans count with for a job that runs. */
static void run_expect(struct core *c, struct job *j)
{
    if (j->flags & JOBF_COMPLETING)
        return;
    order_limit(c, j);
    timeline_move(c, j, plan_end(j));
}

void order_predict(struct core *c)
{
    c->promised_by = 0;
    for (uint32_t i = 0; i < c->running.count; i++)
        run_expect(c, c->running.v[i]);
    for (uint32_t i = 0; i < c->jobs; i++) { /* into classes of the other kind */
        struct job *j = c->job[i];
        if (!j->queued)
            continue;
        queue_del(c, j);
        queue_put(c, j);
    }
    plan_afresh(c);
}

/* ---- passes -------------------------------------------------------------------------------- */

/* By when the first of those is to run who have waited for long and could. */
static usec_t promise(const struct core *c)
{
    usec_t first = 0;
    for (uint32_t i = 0; i < c->class_cap; i++) {
        const struct jobclass *k = &c->class[i];
        if (k->count == 0 || (k->failed_pass == c->pass && k->reason != REASON_PRIORITY))
            continue;
        const struct job *j = k->job[k->head];
        usec_t by = since(j) + c->policy.wait_strict;
        if (order_waited(c, j, c->policy.wait_first) && (first == 0 || by < first))
            first = by;
    }
    return first;
}

void order_pass(struct core *c)
{
    usec_t by = c->policy.predict ? promise(c) : 0;
    if (by == c->promised_by)
        return;
    c->promised_by = by;
    for (uint32_t i = 0; i < c->running.count; i++)
        run_expect(c, c->running.v[i]);
    plan_afresh(c);
}

/* ---- views and records ------------------------------------------------------------------------ */

void core_predict_view(const struct core *c, struct predict_view *v)
{
    struct predict_error e;
    predict_error(c->predict, &e);
    *v = (struct predict_view){
        .on = c->policy.predict,
        .ended = e.ended,
        .predicted = e.predicted,
        .under = e.under,
        .right_permille = e.predicted ? (uint32_t)(e.right_permille / e.predicted) : 0,
        .limit_right_permille =
            e.predicted ? (uint32_t)(e.limit_right_permille / e.predicted) : 0,
    };
}

bool core_predict_save(const struct core *c, uint32_t page, struct buf *out)
{
    return predict_page_save(c->predict, page, out);
}

int core_predict_load(struct core *c, uint32_t page, const void *p, size_t n, struct err *err)
{
    return predict_page_load(c->predict, page, p, n, err);
}
