/* SPDX-License-Identifier: Apache-2.0
 *
 * core_check: every invariant of model.h, recomputed from the jobs and compared with
 * what the core keeps. It trusts no count that it checks.
 */
#include "sched/advres.h"
#include "sched/kin.h"
#include "sched/license.h"
#include "sched/plan.h"

#include "base/buf.h"
#include "sched/tenant.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct held { /* on one node, by its jobs */
    uint32_t cores, jobs, completing, exclusive;
    uint64_t mem;
    uint64_t *core;
    uint64_t *gres[GRES_POOLS_MAX];
    uint32_t gpu[GPUS_SHARED_MAX]; /* parts */
};

static int check_job(const struct job *j, struct err *err)
{
    bool holds = j->state == JOB_RUNNING || j->state == JOB_SUSPENDED ||
                 (j->flags & JOBF_COMPLETING);
    bool pending = j->state == JOB_PENDING && !(j->flags & JOBF_COMPLETING);
    if (holds != (j->alloc != NULL))
        return err_set(err, -EINVAL, "job %u: state %s, flags %u, %s allocation", j->id,
                       job_state_name((enum job_state)j->state), j->flags,
                       j->alloc ? "an" : "no");
    if (j->queued != (pending && j->gate == GATE_OPEN))
        return err_set(err, -EINVAL, "job %u: queued=%d, gate %d, state %d", j->id,
                       j->queued, j->gate, j->state);
    if ((j->suspended_since != 0) != (j->state == JOB_SUSPENDED))
        return err_set(err, -EINVAL, "job %u: state %d, suspended since %lld", j->id,
                       j->state, (long long)j->suspended_since);
    if (j->is_task && j->rest_count)
        return err_set(err, -EINVAL, "job %u is one task and stands for %u more", j->id,
                       j->rest_count);
    return 0;
}

/* A queued job stands in its class, in order, or has a reservation. */
static int check_queue(const struct core *c, struct err *err)
{
    uint32_t queued = c->resv_count;
    for (uint32_t i = 0; i < c->class_cap; i++) {
        const struct jobclass *k = &c->class[i];
        queued += k->count;
        for (uint32_t n = 0; n < k->count; n++) {
            struct job *const *j = &k->job[k->head + n];
            if ((*j)->class != i || (*j)->resv || !(*j)->queued ||
                (n && c->queue_sorted && queue_order(j - 1, j, (void *)c) >= 0))
                return err_set(err, -EINVAL, "job %u stands wrong in its class", (*j)->id);
        }
    }
    if (queued != c->queued)
        return err_set(err, -EINVAL, "%u jobs in classes and reservations, but counted %u",
                       queued, c->queued);
    return 0;
}

/* Promises are in the queue's order, and on the timeline as they were made. In due order
 * that is so within a pass: afterwards time goes on, and the next one makes them anew. */
static int check_reservations(const struct core *c, struct err *err)
{
    bool in_order = c->queue_sorted && c->policy.plan_order != PLAN_DUE;
    uint32_t takes = 0, count = 0, promised = 0;
    for (uint32_t i = 0; i < c->resv_count; i++) {
        const struct reservation *r = c->resv[i];
        takes += r->count;
        promised += r->count;
        if (r->job->resv != r || r->aside || !r->job->queued ||
            (i && in_order && queue_order(&c->resv[i - 1]->job, &r->job, (void *)c) >= 0))
            return err_set(err, -EINVAL, "job %u has a wrong reservation", r->job->id);
        for (uint32_t k = 0; k < r->count; k++) {
            const struct line *l = &c->timeline.line[r->node[k].node];
            for (uint32_t t = 0; t < l->takes; t++)
                count += l->take[t].owner == r->job->id && l->take[t].start == r->start &&
                         l->take[t].end == r->end && l->take[t].what.cores == r->node[k].cores;
        }
    }
    for (uint32_t i = 0; i < c->timeline.cap; i++)
        takes -= c->timeline.line[i].takes;
    if (takes != 0 || count != promised)
        return err_set(err, -EINVAL, "reservations and the timeline's takes differ");
    return 0;
}

static int check_jobs(const struct core *c, struct err *err)
{
    uint32_t pending = 0, running = 0, queued = 0;
    for (uint32_t i = 0; i < c->jobs; i++) {
        const struct job *j = c->job[i];
        if (i && c->job[i - 1]->id >= j->id)
            return err_set(err, -EINVAL, "job %u stands behind job %u", j->id,
                           c->job[i - 1]->id);
        if (check_job(j, err) < 0)
            return err->code;
        pending += j->state == JOB_PENDING;
        running += j->alloc != NULL;
        if (j->place[SET_RUNNING] != NONE && c->running.v[j->place[SET_RUNNING]] != j)
            return err_set(err, -EINVAL, "job %u is not where the set of running ones has it",
                           j->id);
        queued += j->queued;
    }
    if (pending != c->pending || running != c->running.count || queued != c->queued)
        return err_set(err, -EINVAL,
                       "%u pending, %u running, %u queued, but counted %u, %u, %u", pending,
                       running, queued, c->pending, c->running.count, c->queued);
    return check_queue(c, err);
}

/* Adds what one job holds on one node; held twice is an error. */
static int held_add(const struct core *c, const struct job *j,
                    const struct alloc_node *an, struct held *h, struct err *err)
{
    const struct node *n = &c->node[an->node];
    if (bs_meets(h->core, an->core, core_words(n)))
        return err_set(err, -EINVAL, "node %s: a core is held twice, by job %u too",
                       n->name, j->id);
    bs_or(h->core, an->core, core_words(n));
    for (uint32_t p = 0; p < n->pools_count; p++) {
        size_t words = BS_WORDS(n->pool[p].count);
        if (!an->gres[p])
            continue;
        if (bs_meets(h->gres[p], an->gres[p], words))
            return err_set(err, -EINVAL, "node %s: a %s is held twice, by job %u too",
                           n->name, text_of(c, n->pool[p].name), j->id);
        bs_or(h->gres[p], an->gres[p], words);
    }
    for (uint32_t g = 0; an->gpu && g < n->gpus; g++)
        h->gpu[g] += an->gpu[g];
    h->cores += an->cores;
    h->mem += an->mem;
    h->jobs++;
    h->exclusive += job_exclusive(c, j);
    h->completing += (j->flags & JOBF_COMPLETING) != 0;
    return 0;
}

static int check_held(const struct core *c, struct held *held, struct err *err)
{
    for (uint32_t i = 0; i < c->jobs; i++) {
        const struct job *j = c->job[i];
        uint32_t unclean = 0, unlaunched = 0;
        for (uint32_t k = 0; j->alloc && k < j->alloc->count; k++) {
            const struct alloc_node *an = &j->alloc->node[k];
            unlaunched += !an->launched;
            unclean += !an->clean;
            if (!an->clean && held_add(c, j, an, &held[an->node], err) < 0)
                return err->code;
        }
        if (j->alloc && (unclean != j->alloc->unclean || unclean == 0 ||
                         (unlaunched == 0) != (j->alloc->unlaunched == 0)))
            return err_set(
                err, -EINVAL,
                "job %u: %u nodes not clean, %u not launched, counted %u, %u", j->id,
                unclean, unlaunched, j->alloc->unclean, j->alloc->unlaunched);
    }
    return 0;
}

/* GPUs of the pool of which some job holds a share. */
static uint32_t gpus_shared(const struct pool *pool, const struct held *h)
{
    uint32_t n = 0;
    for (uint32_t i = 0; pool->first != NONE && i < pool->count; i++)
        n += h->gpu[pool->first + i] != 0;
    return n;
}

/* A GPU is held whole by one job, or in parts that make no more than one. */
static int check_shares(const struct core *c, const struct node *n, const struct held *h,
                        struct err *err)
{
    for (uint32_t p = 0; p < n->pools_count; p++) {
        const struct pool *pool = &n->pool[p];
        uint32_t parts = 0;
        for (uint32_t i = 0; pool->first != NONE && i < pool->count; i++) {
            uint32_t g = pool->first + i;
            if (h->gpu[g] > n->gpu_whole || h->gpu[g] != n->gpu_shared[g] ||
                (h->gpu[g] && bs_test(h->gres[p], i)))
                return err_set(err, -EINVAL, "node %s: GPU %u: %u of %u parts are held, counted "
                               "%u", n->name, g, h->gpu[g], n->gpu_whole, n->gpu_shared[g]);
        }
        for (uint32_t q = 0; pool->share && q < n->pools_count; q++)
            for (uint32_t i = 0; n->pool[q].first != NONE && i < n->pool[q].count; i++)
                parts += !pool->type || pool->type == n->pool[q].type
                             ? h->gpu[n->pool[q].first + i] : 0;
        if (pool->share && (pool->count - pool->free) * n->gpu_whole != parts * pool->share)
            return err_set(err, -EINVAL, "node %s: %u of %u %s are counted free", n->name,
                           pool->free, pool->count, text_of(c, pool->name));
    }
    return 0;
}

static int check_node(const struct core *c, const struct node *n, const struct held *h,
                      struct err *err)
{
    if (h->cores != n->cores - n->cores_free || h->mem != n->mem_used ||
        h->jobs != n->jobs_count || h->completing != n->completing ||
        h->exclusive != n->exclusive)
        return err_set(err, -EINVAL,
                       "node %s: jobs hold %u cores, %llu MiB (%u jobs, %u completing, "
                       "%u exclusive), "
                       "counted are %u, %llu (%u, %u, %u)",
                       n->name, h->cores, (unsigned long long)h->mem, h->jobs,
                       h->completing, h->exclusive, n->cores - n->cores_free,
                       (unsigned long long)n->mem_used, n->jobs_count, n->completing,
                       n->exclusive);
    if (n->core_used && memcmp(h->core, n->core_used, BS_WORDS(n->cores) * 8) != 0)
        return err_set(err, -EINVAL, "node %s: other cores are used than jobs hold",
                       n->name);
    for (uint32_t p = 0; p < n->pools_count; p++) {
        const struct pool *pool = &n->pool[p];
        size_t words = BS_WORDS(pool->count);
        if (pool->share)
            continue;
        if (memcmp(h->gres[p], pool->used, words * 8) != 0 ||
            pool->free != pool->count - bs_count(h->gres[p], words) - gpus_shared(pool, h))
            return err_set(err, -EINVAL, "node %s: %u of %u %s are counted free",
                           n->name, pool->free, pool->count, text_of(c, pool->name));
    }
    if (check_shares(c, n, h, err) < 0)
        return err->code;
    if (h->exclusive && h->jobs > 1)
        return err_set(err, -EINVAL, "node %s: %u jobs, %u of them exclusive", n->name,
                       h->jobs, h->exclusive);
    return 0;
}

int core_check(const struct core *c, struct err *err)
{
    struct held *held = xcalloc(c->nodes, sizeof *held);
    struct err own = {0};
    err = err ? err : &own;
    for (uint32_t i = 0; i < c->nodes; i++) {
        held[i].core = xcalloc(BS_WORDS(c->node[i].cores) + 1, sizeof *held[i].core);
        for (uint32_t p = 0; p < c->node[i].pools_count; p++)
            held[i].gres[p] = xcalloc(BS_WORDS(c->node[i].pool[p].count) + 1,
                                      sizeof *held[i].gres[p]);
    }
    int rc = check_jobs(c, err);
    if (rc == 0)
        rc = kin_check(c, err);
    if (rc == 0)
        rc = license_verify(c, err);
    if (rc == 0)
        rc = tenants_check(c, err);
    if (rc == 0)
        rc = advres_check(c, err);
    if (rc == 0)
        rc = check_held(c, held, err);
    for (uint32_t i = 0; rc == 0 && i < c->nodes; i++)
        rc = check_node(c, &c->node[i], &held[i], err);
    if (rc == 0)
        rc = rooms_check(c, err);
    if (rc == 0)
        rc = pieces_check(c, err);
    if (rc == 0)
        rc = check_reservations(c, err);
    if (rc == 0)
        rc = timeline_check(c, err);
    for (uint32_t i = 0; i < c->nodes; i++) {
        free(held[i].core);
        for (uint32_t p = 0; p < GRES_POOLS_MAX; p++)
            free(held[i].gres[p]);
    }
    free(held);
    return rc;
}
