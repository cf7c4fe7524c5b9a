/* SPDX-License-Identifier: Apache-2.0
 *
 * Output environment variables of sbatch(1), salloc(1) and srun(1).
 */
#include "job/jobspec.h"

#include "base/hostlist.h"
#include "job/state.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- the list -------------------------------------------------------------------- */

void env_list_init(struct env_list *e, struct arena *a)
{
    *e = (struct env_list){.arena = a};
}

static size_t env_find(const struct env_list *e, const char *name)
{
    size_t n = strlen(name);
    for (size_t i = 0; i < e->count; i++)
        if (strncmp(e->v[i], name, n) == 0 && e->v[i][n] == '=')
            return i;
    return e->count;
}

/* v stays NULL-terminated, so that it can be given to execve(). */
static void env_put(struct env_list *e, const char *name, char *pair)
{
    size_t i = env_find(e, name);
    if (i < e->count) {
        e->v[i] = pair;
        return;
    }
    if (e->count + 2 > e->cap) {
        size_t cap = e->cap != 0 ? e->cap * 2 : 128;
        char **v = arena_alloc(e->arena, cap * sizeof(*v));
        if (e->count != 0)
            memcpy(v, e->v, e->count * sizeof(*v));
        e->v = v;
        e->cap = cap;
    }
    e->v[e->count++] = pair;
    e->v[e->count] = NULL;
}

void env_list_set(struct env_list *e, const char *name, const char *fmt, ...)
{
    va_list ap;
    char *value = NULL;

    va_start(ap, fmt);
    int n = vasprintf(&value, fmt, ap);
    va_end(ap);
    ASSERT(n >= 0);
    env_put(e, name, arena_printf(e->arena, "%s=%s", name, value));
    free(value);
}

const char *env_list_get(const struct env_list *e, const char *name)
{
    size_t i = env_find(e, name);
    return i < e->count ? e->v[i] + strlen(name) + 1 : NULL;
}

void env_list_unset(struct env_list *e, const char *name)
{
    size_t i = env_find(e, name);
    if (i == e->count)
        return;
    memmove(&e->v[i], &e->v[i + 1], (e->count - i) * sizeof(*e->v));
    e->count--;
}

static void set_text(struct env_list *e, const char *name, const char *value)
{
    if (value != NULL && *value != '\0')
        env_list_set(e, name, "%s", value);
}

static void set_count(struct env_list *e, const char *name, uint64_t value)
{
    if (value != 0)
        env_list_set(e, name, "%llu", (unsigned long long)value);
}

/* ---- what was asked for ------------------------------------------------------------- */

static void set_mem(struct env_list *e, const char *name, uint64_t mib)
{
    if (mib == MEM_ALL) /* --mem=0 */
        env_list_set(e, name, "0");
    else
        set_count(e, name, mib);
}

/* "type:2,other:3" of the gpu requests with this `per`; nothing when there are none. */
static void set_gpus(struct env_list *e, const char *name, Sl__GresReq *const *gres, size_t n,
                     Sl__GresPer per)
{
    struct buf b;
    buf_init(&b);
    for (size_t i = 0; i < n; i++) {
        if (gres[i]->per != per || strcmp(gres[i]->name, "gpu") != 0)
            continue;
        buf_printf(&b, "%s%s%s%llu", b.len != 0 ? "," : "", gres[i]->type,
                   gres[i]->type[0] != '\0' ? ":" : "", (unsigned long long)gres[i]->count);
    }
    set_text(e, name, buf_str(&b));
    buf_fini(&b);
}

static void set_distribution(struct env_list *e, const char *distribution)
{
    uint32_t plane = 0;
    if (distribution[0] == '\0' || distribution_check(distribution, &plane, NULL) != 0)
        return;
    env_list_set(e, "SLURM_DISTRIBUTION", "%s", plane != 0 ? "plane" : distribution);
    set_count(e, "SLURM_DIST_PLANESIZE", plane);
}

static void env_request(struct env_list *e, const Sl__JobSpec *spec)
{
    set_count(e, "SLURM_CPUS_PER_GPU", spec->cpus_per_gpu);
    set_count(e, "SLURM_CPUS_PER_TASK", spec->cpus_per_task);
    set_distribution(e, spec->distribution);
    set_text(e, "SLURM_EXPORT_ENV", spec->export_env);
    set_gpus(e, "SLURM_GPUS", spec->gres, spec->n_gres, SL__GRES_PER__GRES_PER_JOB);
    set_gpus(e, "SLURM_GPUS_PER_NODE", spec->gres, spec->n_gres, SL__GRES_PER__GRES_PER_NODE);
    set_gpus(e, "SLURM_GPUS_PER_SOCKET", spec->gres, spec->n_gres,
             SL__GRES_PER__GRES_PER_SOCKET);
    set_gpus(e, "SLURM_GPUS_PER_TASK", spec->gres, spec->n_gres, SL__GRES_PER__GRES_PER_TASK);
    set_text(e, "SLURM_JOB_DEPENDENCY", spec->dependency);
    set_text(e, "SLURM_JOB_RESERVATION", spec->reservation);
    set_mem(e, "SLURM_MEM_PER_CPU", spec->mem_per_cpu_mib);
    set_mem(e, "SLURM_MEM_PER_GPU", spec->mem_per_gpu_mib);
    set_mem(e, "SLURM_MEM_PER_NODE", spec->mem_per_node_mib);
    set_count(e, "SLURM_NTASKS", spec->ntasks);
    set_count(e, "SLURM_NPROCS", spec->ntasks);
    set_count(e, "SLURM_NTASKS_PER_CORE", spec->ntasks_per_core);
    set_count(e, "SLURM_NTASKS_PER_GPU", spec->ntasks_per_gpu);
    set_count(e, "SLURM_NTASKS_PER_NODE", spec->ntasks_per_node);
    set_count(e, "SLURM_NTASKS_PER_SOCKET", spec->ntasks_per_socket);
    set_count(e, "SLURM_THREADS_PER_CORE", spec->threads_per_core);
    set_text(e, "SLURM_HINT", spec->hint);
    if (spec->overcommit)
        env_list_set(e, "SLURM_OVERCOMMIT", "1");
    for (size_t i = 0; i < spec->n_extra; i++)
        set_text(e, spec->extra[i]->key, spec->extra[i]->value);
}

/* ---- who and where ------------------------------------------------------------------- */

static uint32_t gres_count(Sl__GresAlloc *const *gres, size_t n, const char *name)
{
    uint32_t count = 0;
    for (size_t i = 0; i < n; i++)
        if (strcmp(gres[i]->name, name) == 0)
            count += (uint32_t)gres[i]->n_index;
    return count;
}

/* "0,1,4" of one node's gres. */
static void set_gres_index(struct env_list *e, const char *name, Sl__GresAlloc *const *gres,
                           size_t n, const char *what)
{
    struct buf b;
    buf_init(&b);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; strcmp(gres[i]->name, what) == 0 && k < gres[i]->n_index; k++)
            buf_printf(&b, "%s%u", b.len != 0 ? "," : "", gres[i]->index[k]);
    set_text(e, name, buf_str(&b));
    buf_fini(&b);
}

static void env_identity(struct env_list *e, const Sl__JobInfo *job)
{
    env_list_set(e, "SLURM_JOB_ID", "%u", job->job_id);
    env_list_set(e, "SLURM_JOBID", "%u", job->job_id);
    set_text(e, "SLURM_CLUSTER_NAME", job->cluster);
    set_text(e, "SLURM_JOB_USER", job->user);
    env_list_set(e, "SLURM_JOB_UID", "%u", job->uid);
    env_list_set(e, "SLURM_JOB_GID", "%u", job->gid);
    set_text(e, "SLURM_JOB_ACCOUNT", job->account);
    set_text(e, "SLURM_JOB_QOS", job->qos);
    if (job->restart != 0)
        env_list_set(e, "SLURM_RESTART_COUNT", "%u", job->restart);
    if (job->array_job_id == 0)
        return;
    env_list_set(e, "SLURM_ARRAY_JOB_ID", "%u", job->array_job_id);
    env_list_set(e, "SLURM_ARRAY_TASK_ID", "%u", job->array_task_id);
    env_list_set(e, "SLURM_ARRAY_TASK_COUNT", "%u", job->array_count);
    env_list_set(e, "SLURM_ARRAY_TASK_MIN", "%u", job->array_min);
    env_list_set(e, "SLURM_ARRAY_TASK_MAX", "%u", job->array_max);
    env_list_set(e, "SLURM_ARRAY_TASK_STEP", "%u", job->array_step != 0 ? job->array_step : 1);
}

/* Tasks of the job's own layout; where none was made, as many as its cpus allow. */
static void env_tasks_per_node(struct env_list *e, const Sl__Allocation *alloc,
                               uint32_t cpus_per_task)
{
    size_t n = alloc->n_nodes;
    uint32_t *cpus = arena_alloc(e->arena, n * sizeof(*cpus));
    uint32_t *tasks = arena_alloc(e->arena, n * sizeof(*tasks));
    uint64_t sum = 0;

    for (size_t i = 0; i < n; i++) {
        cpus[i] = alloc->nodes[i]->cpus_count;
        tasks[i] = alloc->nodes[i]->ntasks;
        sum += tasks[i];
    }
    for (size_t i = 0; sum == 0 && i < n; i++) {
        tasks[i] = cpus[i] / (cpus_per_task != 0 ? cpus_per_task : 1);
        if (tasks[i] == 0)
            tasks[i] = 1;
    }
    env_list_set(e, "SLURM_JOB_CPUS_PER_NODE", "%s", layout_counts(e->arena, cpus, n));
    env_list_set(e, "SLURM_TASKS_PER_NODE", "%s", layout_counts(e->arena, tasks, n));
}

static void env_allocation(struct env_list *e, const Sl__Allocation *alloc,
                           const Sl__JobSpec *spec)
{
    set_text(e, "SLURM_JOB_PARTITION", alloc->partition);
    env_list_set(e, "SLURM_JOB_NODELIST", "%s", alloc->nodelist);
    env_list_set(e, "SLURM_NODELIST", "%s", alloc->nodelist);
    env_list_set(e, "SLURM_JOB_NUM_NODES", "%zu", alloc->n_nodes);
    env_list_set(e, "SLURM_JOB_NODES", "%zu", alloc->n_nodes);
    env_list_set(e, "SLURM_NNODES", "%zu", alloc->n_nodes);
    env_tasks_per_node(e, alloc, spec->cpus_per_task);
    if (alloc->start > 0)
        env_list_set(e, "SLURM_JOB_START_TIME", "%lld",
                     (long long)(alloc->start / USEC_PER_SEC));
    if (alloc->end > 0 && alloc->end != SPAN_INFINITE)
        env_list_set(e, "SLURM_JOB_END_TIME", "%lld", (long long)(alloc->end / USEC_PER_SEC));
    if (alloc->n_nodes == 0)
        return;
    const Sl__AllocNode *first = alloc->nodes[0];
    set_gres_index(e, "SLURM_JOB_GPUS", first->gres, first->n_gres, "gpu");
    /* Where a step inside the allocation finds the job's manager. */
    if (first->addr[0] != '\0')
        env_list_set(e, "SLURMLIKE_JOB_ADDR", strchr(first->addr, ':') ? "[%s]:%u" : "%s:%u",
                     first->addr, first->port);
}

/* Everything that batch script, salloc's command and tasks have in common. */
static void env_common(struct env_list *e, const Sl__JobInfo *job)
{
    const Sl__JobSpec *spec = job->spec;

    env_identity(e, job);
    if (spec != NULL) {
        set_text(e, "SLURM_JOB_NAME", spec->name);
        set_text(e, "SLURM_SUBMIT_DIR", spec->work_dir); /* `extra` says when it differs */
        set_text(e, "SLURM_SUBMIT_HOST", spec->submit_host);
        env_request(e, spec);
    }
    if (job->alloc != NULL && spec != NULL)
        env_allocation(e, job->alloc, spec);
}

static void env_node(struct env_list *e, const char *name, Sl__GresAlloc *const *gres, size_t n)
{
    env_list_set(e, "SLURMD_NODENAME", "%s", name);
    env_list_set(e, "SLURM_TOPOLOGY_ADDR", "%s", name);
    env_list_set(e, "SLURM_TOPOLOGY_ADDR_PATTERN", "node");
    set_count(e, "SLURM_GPUS_ON_NODE", gres_count(gres, n, "gpu"));
    set_count(e, "SLURM_SHARDS_ON_NODE", gres_count(gres, n, "shard"));
}

/* Where the node is in the fabric; without one nothing is set. */
static void env_topology(struct env_list *e, const Sl__AllocNode *n)
{
    set_text(e, "SLURM_TOPOLOGY_ADDR", n->topology_addr);
    set_text(e, "SLURM_TOPOLOGY_ADDR_PATTERN", n->topology_pattern);
}

/* sbatch(1) SLURM_HET_SIZE and SLURM_*_HET_GROUP_#: the variables of each component. */
static void env_het(struct env_list *e, const Sl__JobInfo *job)
{
    for (size_t k = 0; k < job->n_het; k++) {
        Sl__JobInfo *part = sl__job_info__unpack(NULL, job->het[k].len, job->het[k].data);
        struct env_list own;
        if (part == NULL)
            continue;
        env_list_init(&own, e->arena);
        env_common(&own, part);
        for (size_t i = 0; i < own.count; i++) {
            size_t n = strcspn(own.v[i], "=");
            env_list_set(e, arena_printf(e->arena, "%.*s_HET_GROUP_%zu", (int)n, own.v[i], k),
                         "%s", own.v[i] + n + 1);
        }
        sl__job_info__free_unpacked(part, NULL);
    }
    set_count(e, "SLURM_HET_SIZE", job->n_het);
}

void env_job(struct env_list *e, const Sl__JobInfo *job)
{
    env_common(e, job);
    env_het(e, job);
    if (job->spec == NULL || job->spec->type != SL__JOB_TYPE__JOB_TYPE_BATCH)
        return;
    /* The batch script is its step's one task, on the first node. */
    env_list_set(e, "ENVIRONMENT", "BATCH");
    env_list_set(e, "SLURM_NODEID", "0");
    env_list_set(e, "SLURM_PROCID", "0");
    env_list_set(e, "SLURM_LOCALID", "0");
    env_list_set(e, "SLURM_GTIDS", "0");
    if (job->alloc == NULL || job->alloc->n_nodes == 0)
        return;
    const Sl__AllocNode *first = job->alloc->nodes[0];
    env_list_set(e, "SLURM_CPUS_ON_NODE", "%u", first->cpus_count);
    env_node(e, first->name, first->gres, first->n_gres);
    env_topology(e, first);
}

/* ---- a step ----------------------------------------------------------------------------- */

/* --cpu-bind / --mem-bind "[quiet|verbose,]type[:list]" in its parts. */
static void set_bind(struct env_list *e, const char *prefix, const char *text)
{
    static const char *const plain[] = {"quiet", "q", "verbose", "v"};
    char name[64];
    const char *verbosity = "quiet", *type = "", *list = "";

    if (text == NULL || *text == '\0')
        return;
    snprintf(name, sizeof(name), "%s", prefix);
    env_list_set(e, name, "%s", text);
    for (const char *p = text; *p != '\0' && *type == '\0';) {
        size_t n = strcspn(p, ",:");
        size_t k = 0;
        while (k < 4 && !(strlen(plain[k]) == n && strncasecmp(p, plain[k], n) == 0))
            k++;
        if (k < 4) {
            verbosity = k >= 2 ? "verbose" : "quiet";
            p += n + (p[n] != '\0');
            continue;
        }
        if (p[n] == ':') { /* the type keeps its colon, as in "mask_cpu:" */
            type = arena_printf(e->arena, "%.*s", (int)n + 1, p);
            list = p + n + 1;
        } else
            type = arena_printf(e->arena, "%.*s", (int)n, p);
    }
    snprintf(name, sizeof(name), "%s_VERBOSE", prefix);
    env_list_set(e, name, "%s", verbosity);
    snprintf(name, sizeof(name), "%s_TYPE", prefix);
    env_list_set(e, name, "%s", type);
    snprintf(name, sizeof(name), "%s_LIST", prefix);
    env_list_set(e, name, "%s", list);
}

/* Number of cpus in "0-3,8"; 0 when the text is not a list. */
static uint32_t cpus_count(const char *list)
{
    uint32_t count = 0;
    while (*list >= '0' && *list <= '9') {
        char *end;
        unsigned long a = strtoul(list, &end, 10), b = a;
        if (*end == '-')
            b = strtoul(end + 1, &end, 10);
        count += b >= a ? (uint32_t)(b - a + 1) : 0;
        list = *end == ',' ? end + 1 : end;
    }
    return count;
}

static const char *step_node_name(const Sl__JobInfo *job, const Sl__StepNode *node)
{
    if (job->alloc == NULL || node->alloc_index >= job->alloc->n_nodes)
        return "";
    return job->alloc->nodes[node->alloc_index]->name;
}

static void env_step_nodes(struct env_list *e, const Sl__JobInfo *job,
                           const Sl__StepLayout *layout)
{
    struct hostlist *hl = hostlist_create("", NULL);
    uint32_t *tasks = arena_alloc(e->arena, layout->n_nodes * sizeof(*tasks));

    for (size_t i = 0; i < layout->n_nodes; i++) {
        hostlist_push(hl, step_node_name(job, layout->nodes[i]), NULL);
        tasks[i] = (uint32_t)layout->nodes[i]->n_tasks;
    }
    char *ranged = hostlist_ranged(hl);
    char *counts = layout_counts(e->arena, tasks, layout->n_nodes);
    env_list_set(e, "SLURM_STEP_NODELIST", "%s", ranged);
    env_list_set(e, "SLURM_STEP_NUM_NODES", "%zu", layout->n_nodes);
    env_list_set(e, "SLURM_NNODES", "%zu", layout->n_nodes);
    env_list_set(e, "SLURM_STEP_TASKS_PER_NODE", "%s", counts);
    env_list_set(e, "SLURM_TASKS_PER_NODE", "%s", counts);
    free(ranged);
    hostlist_destroy(hl);
}

static void env_gtids(struct env_list *e, const Sl__StepNode *node)
{
    struct buf b;
    buf_init(&b);
    for (size_t i = 0; i < node->n_tasks; i++)
        buf_printf(&b, "%s%u", i == 0 ? "" : ",", node->tasks[i]);
    env_list_set(e, "SLURM_GTIDS", "%s", buf_str(&b));
    buf_fini(&b);
}

void env_step(struct env_list *e, const Sl__JobInfo *job, const Sl__StepSpec *spec,
              const Sl__StepLayout *layout, uint32_t node_index)
{
    char id[STEP_ID_TEXT_MAX];
    const Sl__StepNode *node = layout->nodes[node_index];

    env_common(e, job);
    step_id_format(layout->step_id, id);
    env_list_set(e, "SLURM_STEP_ID", "%s", id);
    env_list_set(e, "SLURM_STEPID", "%s", id);
    env_list_set(e, "SLURM_STEP_NUM_TASKS", "%u", layout->ntasks);
    env_list_set(e, "SLURM_NTASKS", "%u", layout->ntasks);
    env_list_set(e, "SLURM_NPROCS", "%u", layout->ntasks);
    env_step_nodes(e, job, layout);

    set_count(e, "SLURM_CPUS_PER_TASK", spec->cpus_per_task);
    set_distribution(e, spec->distribution);
    set_gpus(e, "SLURM_GPUS_PER_TASK", spec->gres, spec->n_gres, SL__GRES_PER__GRES_PER_TASK);
    if (spec->overcommit)
        env_list_set(e, "SLURM_OVERCOMMIT", "1");
    env_list_set(e, "SLURM_UMASK", "%04o", spec->umask);
    set_text(e, "SLURM_LAUNCH_NODE_IPADDR", spec->srun_host);
    set_text(e, "SLURM_SRUN_COMM_HOST", spec->srun_host);
    if (env_list_get(e, "SRUN_DEBUG") == NULL) /* srun sends it with -v or -Q */
        env_list_set(e, "SRUN_DEBUG", "3");
    set_bind(e, "SLURM_CPU_BIND", spec->cpu_bind);
    set_bind(e, "SLURM_MEM_BIND", spec->mem_bind);

    env_list_set(e, "SLURM_NODEID", "%u", node_index);
    uint32_t cpus = cpus_count(node->cpus);
    if (cpus == 0 && job->alloc != NULL && node->alloc_index < job->alloc->n_nodes)
        cpus = job->alloc->nodes[node->alloc_index]->cpus_count;
    env_list_set(e, "SLURM_CPUS_ON_NODE", "%u", cpus);
    env_node(e, step_node_name(job, node), node->gres, node->n_gres);
    if (job->alloc != NULL && node->alloc_index < job->alloc->n_nodes)
        env_topology(e, job->alloc->nodes[node->alloc_index]);
    set_gres_index(e, "SLURM_STEP_GPUS", node->gres, node->n_gres, "gpu");
    env_gtids(e, node);
    env_list_unset(e, "ENVIRONMENT");
}

void env_task(struct env_list *e, const Sl__StepLayout *layout, uint32_t node_index,
              uint32_t rank, uint32_t local_rank, int pid)
{
    (void)layout;
    env_list_set(e, "SLURM_NODEID", "%u", node_index);
    env_list_set(e, "SLURM_PROCID", "%u", rank);
    env_list_set(e, "SLURM_LOCALID", "%u", local_rank);
    if (pid > 0)
        env_list_set(e, "SLURM_TASK_PID", "%d", pid);
}
