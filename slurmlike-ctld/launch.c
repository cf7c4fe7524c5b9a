/* SPDX-License-Identifier: Apache-2.0 */
#include "launch.h"

#include "fetch.h"
#include "job/jobspec.h"
#include "loop.h"
#include "nodes.h"
#include "session.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

#define SECRET_BYTES 16
#define EVERY_NODE UINT32_MAX

void job_info_fill(const struct ctld *d, const struct job_view *v, Sl__Allocation *alloc,
                   Sl__JobInfo *out)
{
    sl__job_info__init(out);
    out->job_id = v->job_id;
    out->restart = v->restart;
    if (v->is_array_task || v->is_array_rest) {
        out->array_job_id = v->array_job_id;
        out->array_task_id = v->is_array_task ? v->array_task_id : NO_VAL;
        out->array_count = v->array_count;
        out->array_min = v->array_min;
        out->array_max = v->array_max;
        out->array_step = v->array_step;
    }
    out->uid = v->uid;
    out->gid = v->gid;
    out->user = (char *)v->user;
    out->spec = (Sl__JobSpec *)v->spec;
    out->alloc = alloc;
    out->cluster = d->conf->cluster_name;
    out->account = (char *)v->account;
    out->qos = (char *)v->qos;
    out->priority = v->priority;
}

void launch_secret(const struct ctld *d, uint32_t job_id, uint32_t restart,
                   unsigned char out[SECRET_BYTES])
{
    unsigned char text[8], digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;

    for (int i = 0; i < 4; i++) {
        text[i] = (unsigned char)(job_id >> (8 * i));
        text[4 + i] = (unsigned char)(restart >> (8 * i));
    }
    ASSERT(HMAC(EVP_sha256(), d->secret_key, sizeof(d->secret_key), text, sizeof(text), digest,
                &n) &&
           n >= SECRET_BYTES);
    memcpy(out, digest, SECRET_BYTES);
}

void job_info_het(const struct ctld *d, uint32_t het_id, uint32_t het_size, struct arena *a,
                  ProtobufCBinaryData **out, size_t *count)
{
    *out = arena_alloc(a, het_size * sizeof(**out) + 1);
    *count = 0;
    for (uint32_t k = 0; k < het_size; k++) {
        struct job_view v;
        Sl__JobInfo info;
        ProtobufCBinaryData *p = &(*out)[*count];
        if (!core_job_view(d->core, het_id + k, true, &v) || v.het_id != het_id)
            continue;
        job_info_fill(d, &v, core_job_alloc(d->core, v.job_id, a), &info);
        p->len = sl__job_info__get_packed_size(&info);
        p->data = arena_alloc(a, p->len + 1);
        sl__job_info__pack(&info, p->data);
        (*count)++;
    }
}

/* ---- the layout of a run's step 0 ------------------------------------------------------------ */

static Sl__StepNode *step_node(const Sl__Allocation *alloc, uint32_t index,
                               const struct layout *l, struct arena *a)
{
    const Sl__AllocNode *from = alloc->nodes[index];
    Sl__StepNode *n = arena_alloc(a, sizeof(*n));

    sl__step_node__init(n);
    n->alloc_index = index;
    n->cpus = from->cpus;
    n->mem_mib = from->mem_mib;
    n->gres = from->gres;
    n->n_gres = from->n_gres;
    n->tasks = arena_alloc(a, l->tasks_per_node[index] * sizeof(*n->tasks) + 1);
    return n;
}

/* Step 0 takes the whole allocation; nodes without a task are left out. */
static Sl__StepLayout *step_layout(const Sl__Allocation *alloc, const Sl__StepSpec *spec,
                                   struct arena *a, struct err *err)
{
    uint32_t *cpus = arena_alloc(a, alloc->n_nodes * sizeof(*cpus) + 1);
    Sl__StepNode **by_index = arena_alloc(a, alloc->n_nodes * sizeof(Sl__StepNode *) + 1);
    uint32_t ntasks = spec->ntasks;
    struct layout l;

    for (size_t i = 0; i < alloc->n_nodes; i++) {
        cpus[i] = alloc->nodes[i]->cpus_count;
        if (!spec->ntasks)
            ntasks += alloc->nodes[i]->ntasks ? alloc->nodes[i]->ntasks : 1;
    }
    if (layout_make(cpus, (uint32_t)alloc->n_nodes, ntasks,
                    spec->cpus_per_task ? spec->cpus_per_task : 1, spec->ntasks_per_node,
                    spec->distribution, spec->overcommit, a, &l, err) < 0)
        return NULL;
    Sl__StepLayout *out = arena_alloc(a, sizeof(*out));
    sl__step_layout__init(out);
    out->job_id = alloc->job_id;
    out->restart = alloc->restart;
    out->ntasks = ntasks;
    out->nodes = arena_alloc(a, alloc->n_nodes * sizeof(Sl__StepNode *) + 1);
    for (uint32_t i = 0; i < alloc->n_nodes; i++)
        if (l.tasks_per_node[i])
            out->nodes[out->n_nodes++] = by_index[i] = step_node(alloc, i, &l, a);
    for (uint32_t r = 0; r < ntasks; r++) {
        Sl__StepNode *n = by_index[l.rank_node[r]];
        n->tasks[n->n_tasks++] = r;
    }
    return out;
}

static bool layout_has(const Sl__StepLayout *l, uint32_t alloc_index)
{
    for (size_t i = 0; i < l->n_nodes; i++)
        if (l->nodes[i]->alloc_index == alloc_index)
            return true;
    return false;
}

/* ---- launching ---------------------------------------------------------------------------------- */

struct launch {
    uint32_t job_id, restart;
    uint32_t node; /* index, or EVERY_NODE */
};

static void launch_failed(struct ctld *d, const struct launch *l, const Sl__Allocation *alloc,
                          const char *why)
{
    Sl__JobReport report = SL__JOB_REPORT__INIT;
    struct command cmd = {.kind = CMD_REPORT, .actor = {.admin = true, .user = ""}};
    struct err err;

    log_error("job", "job=%u restart=%u not launched: %s", l->job_id, l->restart, why);
    report.kind = SL__REPORT_KIND__REPORT_LAUNCH_FAILED;
    report.job_id = l->job_id;
    report.restart = l->restart;
    report.time = ctld_now(d);
    report.text = (char *)why;
    cmd.report.node = alloc->nodes[0]->name;
    cmd.report.report = &report;
    if (loop_apply(d, &cmd, &err) < 0)
        log_error("job", "job=%u failed launch not recorded: %s", l->job_id, err.text);
}

static void launch_send(struct ctld *d, const struct launch *l, Sl__Launch *m,
                        const Sl__SubmitRequest *blob)
{
    const Sl__Allocation *alloc = m->job->alloc;
    bool batch = m->job->spec->type == SL__JOB_TYPE__JOB_TYPE_BATCH;
    Sl__StepLayout *layout = m->layout;

    for (uint32_t i = 0; i < alloc->n_nodes; i++) {
        long index = core_node_find(d->core, alloc->nodes[i]->name);
        struct session *s = index < 0 ? NULL : nodes_session(d, (uint32_t)index);
        if (!s || (l->node != EVERY_NODE && (uint32_t)index != l->node))
            continue;
        bool step = layout && layout_has(layout, i);
        bool env = step || (batch && i == 0);
        m->node_index = i;
        m->script = (ProtobufCBinaryData){0, NULL};
        if (batch && i == 0)
            m->script = blob->script;
        m->env = env ? blob->env : NULL;
        m->n_env = env ? blob->n_env : 0;
        m->step = step ? blob->step : NULL;
        m->layout = step ? layout : NULL;
        session_send_now(s, WIRE_LAUNCH, 0, &m->base);
    }
}

/* Only what still is to run: it may have been cancelled meanwhile. */
static bool launch_is_due(struct ctld *d, const struct launch *l, struct job_view *v)
{
    return core_job_view(d->core, l->job_id, true, v) && v->restart == l->restart &&
           (v->state == JOB_RUNNING || v->state == JOB_SUSPENDED);
}

static void launch_fetched(struct ctld *d, uint32_t blob_id, const Sl__SubmitRequest *blob,
                           const struct err *why, void *arg)
{
    struct launch *l = arg;
    unsigned char secret[SECRET_BYTES];
    Sl__JobInfo info;
    struct job_view v;
    struct arena a;
    struct err err;
    (void)blob_id;

    ProtobufCBinaryData *het = NULL;
    size_t het_count = 0;
    arena_init(&a);
    if (launch_is_due(d, l, &v) && v.het_size && v.het_offset == 0) /* the view is made again */
        job_info_het(d, v.het_id, v.het_size, &a, &het, &het_count);
    Sl__Allocation *alloc = launch_is_due(d, l, &v) ? core_job_alloc(d->core, l->job_id, &a) : NULL;
    if (!alloc || !alloc->n_nodes)
        goto out;
    if (!blob) {
        launch_failed(d, l, alloc, why->text);
        goto out;
    }
    Sl__Launch m = SL__LAUNCH__INIT;
    job_info_fill(d, &v, alloc, &info);
    info.het = het;
    info.n_het = het_count;
    launch_secret(d, l->job_id, l->restart, secret);
    info.secret = (ProtobufCBinaryData){sizeof(secret), secret};
    m.epoch = d->epoch;
    m.job = &info;
    if (blob->step && !(m.layout = step_layout(alloc, blob->step, &a, &err))) {
        launch_failed(d, l, alloc, err.text);
        goto out;
    }
    launch_send(d, l, &m, blob);
out:
    arena_fini(&a);
    free(l);
}

static void launch_start(struct ctld *d, uint32_t job_id, uint32_t restart, uint32_t node)
{
    struct launch *l = xmalloc(sizeof(*l));
    struct job_view v;

    *l = (struct launch){job_id, restart, node};
    if (!launch_is_due(d, l, &v)) {
        free(l);
        return;
    }
    if (v.type == SL__JOB_TYPE__JOB_TYPE_ALLOC) { /* it has no script and no environment */
        static const Sl__SubmitRequest none = SL__SUBMIT_REQUEST__INIT;
        launch_fetched(d, job_id, &none, NULL, l);
        return;
    }
    fetch_blobs(d, v.array_job_id ? v.array_job_id : job_id, launch_fetched, l);
}

void launch_job(struct ctld *d, uint32_t job_id, uint32_t restart)
{
    launch_start(d, job_id, restart, EVERY_NODE);
}

void launch_node(struct ctld *d, uint32_t job_id, uint32_t restart, uint32_t node)
{
    launch_start(d, job_id, restart, node);
}
