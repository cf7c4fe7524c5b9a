/* SPDX-License-Identifier: Apache-2.0 */
#include "stepd/environ.h"

#include "stepd/mpi.h"
#include "stepd/route.h"

#include <stdlib.h>
#include <string.h>

static void env_user(struct env_list *e, const Sl__StepSpec *spec)
{
    for (size_t i = 0; i < spec->n_env; i++) {
        const char *eq = strchr(spec->env[i], '=');
        if (!eq || eq == spec->env[i])
            continue;
        char *name = arena_strdup(e->arena, spec->env[i]);
        name[eq - spec->env[i]] = '\0';
        env_list_set(e, name, "%s", eq + 1);
    }
}

static void env_manager(struct env_list *e, const struct step *s)
{
    if (s->manager && s->local)
        env_list_set(e, ENV_JOB_SOCK, "%s", route_socket_path(s, s->step_id, e->arena));
}

static void env_supervisor(struct env_list *e, const struct step *s)
{
    const Sl__JobInfo *job = s->launch->job;
    char hex[65] = "";
    for (size_t i = 0; i < job->secret.len && i < 32; i++)
        snprintf(hex + 2 * i, 3, "%02x", job->secret.data[i]);
    env_list_set(e, ENV_SECRET, "%s:%u:%s", hex, s->step_id, s->opts->node);
    if (job->alloc && job->alloc->n_nodes > 0)
        env_list_set(e, ENV_JOB_ADDR, "%s:%u", job->alloc->nodes[0]->addr,
                     job->alloc->nodes[0]->port);
}

static bool job_has_gpus(const struct step *s)
{
    const Sl__StepNode *node = s->launch->layout->nodes[s->node_index];
    const Sl__Allocation *alloc = s->launch->job->alloc;
    if (!alloc || node->alloc_index >= alloc->n_nodes)
        return false;
    const Sl__AllocNode *n = alloc->nodes[node->alloc_index];
    for (size_t i = 0; i < n->n_gres; i++)
        if (strcmp(n->gres[i]->name, "gpu") == 0)
            return true;
    return false;
}

static void env_bind(struct env_list *e, const struct step *s, const struct bind *b)
{
    /* each vendor's runtime reads its own name */
    static const char *const gpu_names[] = {"CUDA_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL",
                                            "ROCR_VISIBLE_DEVICES"};
    if (b->type) {
        env_list_set(e, "SLURM_CPU_BIND", "%s,%s%s", b->verbose ? "verbose" : "quiet",
                     b->type, b->list ? b->list : "");
        env_list_set(e, "SLURM_CPU_BIND_VERBOSE", "%s", b->verbose ? "verbose" : "quiet");
        env_list_set(e, "SLURM_CPU_BIND_TYPE", "%s", b->type);
        env_list_set(e, "SLURM_CPU_BIND_LIST", "%s", b->list ? b->list : "");
    }
    for (size_t i = 0; i < sizeof(gpu_names) / sizeof(*gpu_names); i++)
        if (b->gpus)
            env_list_set(e, gpu_names[i], "%s", b->gpus);
        else if (job_has_gpus(s)) /* the batch script's are not this step's */
            env_list_unset(e, gpu_names[i]);
}

char **environ_task(struct step *s, const struct task *t, const struct bind *b,
                    struct arena *a, struct err *err)
{
    const Sl__StepLaunch *m = s->launch;
    struct env_list e;

    env_list_init(&e, a);
    env_user(&e, m->spec);
    env_job(&e, m->job);
    if (!s->batch) /* a script's SLURM_NTASKS and so on are its job's */
        env_step(&e, m->job, m->spec, m->layout, s->node_index);
    env_task(&e, m->layout, s->node_index, t->rank, t->local, INT32_MAX); /* room for its own */
    env_supervisor(&e, s);
    env_manager(&e, s);
    env_bind(&e, s, b);
    if (mpi_task_env(s, t, &e, err) < 0)
        return NULL;
    char **envp = arena_alloc(a, (e.count + 1) * sizeof(*envp));
    memcpy(envp, e.v, e.count * sizeof(*envp));
    return envp;
}

void environ_task_pid(char **envp, int pid)
{
    char *pair = (char *)environ_get(envp, "SLURM_TASK_PID");
    if (pair)
        snprintf(pair, strlen(pair) + 1, "%d", pid);
}

const char *environ_get(char *const *envp, const char *name)
{
    size_t n = strlen(name);
    for (; *envp; envp++)
        if (strncmp(*envp, name, n) == 0 && (*envp)[n] == '=')
            return *envp + n + 1;
    return NULL;
}
