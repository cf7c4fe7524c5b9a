/* SPDX-License-Identifier: Apache-2.0 */
#include "submit.h"

#define UID_FIRST 1000

struct parts { /* what a spec points to */
    Sl__GresReq gres, *list[1];
};

/* The fewest nodes that take equal shares of the GPUs. */
static uint32_t gpu_nodes(uint32_t gpus, uint32_t most)
{
    uint32_t n = most ? (gpus + most - 1) / most : 1;
    while (gpus % n)
        n++;
    return n;
}

static uint32_t share(uint32_t all, uint32_t nodes)
{
    return (all + nodes - 1) / nodes;
}

static void spec_gpus(Sl__JobSpec *s, struct parts *p, const struct cluster *cl,
                      const struct trace_job *t)
{
    uint32_t nodes = t->nodes ? t->nodes : gpu_nodes(t->gpus ? t->gpus : 1, cl->gpus_node_max);
    s->nodes_min = s->nodes_max = s->ntasks = nodes;
    s->cpus_per_task = t->cpus ? share(t->cpus, nodes) : 1;
    if (t->mem_mib)
        s->mem_per_node_mib = (t->mem_mib + nodes - 1) / nodes;
    if (!t->gpus)
        return;
    bool part = cl->gpu_shares && t->gpus == 1 && t->gpu_milli < 1000;
    p->gres.name = part ? "gpu_milli" : "gpu";
    p->gres.count = part ? t->gpu_milli : share(t->gpus, nodes);
    p->gres.per = SL__GRES_PER__GRES_PER_NODE;
    p->list[0] = &p->gres;
    s->gres = p->list;
    s->n_gres = 1;
}

static void spec_procs(Sl__JobSpec *s, const struct cluster *cl, const struct trace_job *t)
{
    s->ntasks = submit_procs(t);
    if (cl->is_pool)
        s->nodes_min = s->nodes_max = 1;
    else if (t->mem_mib)
        s->mem_per_cpu_mib = (t->mem_mib + s->ntasks - 1) / s->ntasks;
}

uint32_t submit_procs(const struct trace_job *t)
{
    return t->procs ? t->procs : t->cpus;
}

long submit_job(struct core *core, const struct cluster *cl, const struct trace_job *t,
                usec_t now, struct batch *out, struct err *err)
{
    Sl__JobSpec s = SL__JOB_SPEC__INIT;
    struct parts p = {.gres = SL__GRES_REQ__INIT};
    s.type = SL__JOB_TYPE__JOB_TYPE_BATCH;
    s.name = (char *)t->name;
    s.account = (char *)t->account;
    s.time_limit_usec = t->limit > 0 ? t->limit * USEC_PER_SEC : SPAN_INFINITE;
    if (t->procs || (!t->gpus && !t->nodes && t->cpus))
        spec_procs(&s, cl, t);
    else
        spec_gpus(&s, &p, cl, t);
    struct command cmd = {
        .kind = CMD_SUBMIT,
        .actor = {.uid = UID_FIRST + t->user_id, .gid = UID_FIRST, .user = t->user},
        .submit = {.spec = &s, .user = t->user},
    };
    out->job_id = 0;
    int rc = core_apply(core, &cmd, now, out, err);
    return rc < 0 ? rc : (long)out->job_id;
}
