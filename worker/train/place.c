/* SPDX-License-Identifier: Apache-2.0 */
#include "train/place.h"

#include "base/buf.h"
#include <errno.h>
#include <omp.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>

void place_before_mpi(void)
{
    /* Waiting ranks give the processor away: without it, four ranks on two
     * processors wait for each other's time slices. */
    setenv("OMPI_MCA_mpi_yield_when_idle", "1", 0);
}

static int env_number(const char *name)
{
    const char *text = getenv(name);
    return text ? atoi(text) : 0;
}

int place_launcher_rank(void)
{
    static const char *const names[] = {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "SLURM_PROCID"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (getenv(names[i]))
            return env_number(names[i]);
    return 0;
}

int place_check_launch(struct err *err)
{
    int tasks = env_number("SLURM_STEP_NUM_TASKS");
    if (tasks < 1 || getenv("OMPI_COMM_WORLD_SIZE") || getenv("PMIX_RANK"))
        return 0;
    return err_set(err, -EINVAL,
                   "the tasks of this step (%d) cannot find each other: start it with "
                   "srun --mpi=pmix", tasks);
}

/* Masks of the node's ranks; malloc'd; *mine is one of them. */
static cpu_set_t *masks_gather(const struct comm *c, cpu_set_t *mine)
{
    cpu_set_t *all = xcalloc((size_t)c->node_ranks, sizeof(*all));
    CPU_ZERO(mine);
    if (sched_getaffinity(0, sizeof(*mine), mine) < 0)
        CPU_SET(0, mine);
    MPI_Allgather(mine, sizeof(*mine), MPI_BYTE, all, sizeof(*mine), MPI_BYTE, c->node);
    return all;
}

static bool masks_meet(const cpu_set_t *a, const cpu_set_t *b)
{
    cpu_set_t both;
    CPU_AND(&both, a, b);
    return CPU_COUNT(&both) > 0;
}

/* Processors that this rank may use, divided among the ranks of the node that
 * may use some of the same. */
static int share_of_processors(const struct comm *c)
{
    cpu_set_t mine, *all = masks_gather(c, &mine);
    int users = 0;
    for (int i = 0; i < c->node_ranks; i++)
        users += masks_meet(&mine, &all[i]);
    free(all);
    int share = CPU_COUNT(&mine) / (users > 0 ? users : 1);
    return share > 0 ? share : 1;
}

double place_processors(const struct comm *c, int threads)
{
    cpu_set_t mine, *all = masks_gather(c, &mine);
    int total = 0;
    MPI_Allreduce(&threads, &total, 1, MPI_INT, MPI_SUM, c->node);
    for (int i = 0; i < c->node_ranks; i++)
        CPU_OR(&mine, &mine, &all[i]);
    free(all);
    int cpus = CPU_COUNT(&mine);
    return cpus < total ? threads * (double)cpus / total : threads;
}

int place_threads(const struct comm *c)
{
    int share = share_of_processors(c), asked = env_number("SLURM_CPUS_PER_TASK");
    if (env_number("OMP_NUM_THREADS") > 0)
        return omp_get_max_threads();
    return asked > 0 && asked < share ? asked : share;
}

static volatile sig_atomic_t stop_flag;

static void on_signal(int sig)
{
    (void)sig;
    stop_flag = 1;
}

void place_catch_signals(void)
{
    struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&sa.sa_mask);
    sigaction(SIGTERM, &sa, NULL);
    sigaction(SIGUSR1, &sa, NULL);
}

bool place_asked_to_stop(void)
{
    return stop_flag != 0;
}
