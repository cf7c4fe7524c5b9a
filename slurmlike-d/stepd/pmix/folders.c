/* SPDX-License-Identifier: Apache-2.0
 *
 * The step's folders for its MPI processes, the user's own:
 *
 *   SPOOL/step.J.R.S/pmix/RANK   session folders (clients reach libpmix by TCP, so that a
 *                                long path is no matter)
 *   /dev/shm/slurmlike.J.S....   files that ranks of one node map together
 *
 * Open MPI names its shared memory after host, user, job and the rank on the node. Virtual
 * nodes that no root runs have one host, and would map each other's without a folder each. And
 * killed ranks leave theirs behind: it goes with the folder, which the link "shm" in the
 * step's folder names for whoever cleans up after a killed supervisor.
 */
#include "stepd/pmix/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int folder_make(const char *path, struct err *err)
{
    const struct user *user = &server.step->user;
    if (mkdir(path, 0700) < 0)
        return err_errno(err, "%s", path);
    if (user->drop && chown(path, user->uid, user->gid) < 0)
        return err_errno(err, "%s", path);
    return 0;
}

/* Anyone may make a folder of that name first; then there is none in memory. */
static void shm_make(void)
{
    struct err err;
    const struct step *s = server.step;
    const Sl__Allocation *alloc = s->launch->job->alloc;
    /* job ids begin again in every cluster: the start time tells them apart */
    char *path = xasprintf("/dev/shm/slurmlike.%u.%u.%u.%llx.%s", s->job_id, s->step_id,
                           s->restart, alloc ? (unsigned long long)alloc->start : 0,
                           s->opts->node);
    char *link = xasprintf("%s/shm", s->dir);
    if (symlink(path, link) == 0 && folder_make(path, &err) == 0) {
        server.shm = path;
    } else {
        unlink(link);
        free(path);
        server.shm = xstrdup(server.dir);
    }
    free(link);
}

int folders_make(struct err *err)
{
    const struct step *s = server.step;
    server.dir = xasprintf("%s/pmix", s->dir);
    int rc = folder_make(server.dir, err);
    for (uint32_t i = 0; rc == 0 && i < s->tasks_count; i++) {
        char *path = xasprintf("%s/%u", server.dir, s->tasks[i].rank);
        rc = folder_make(path, err);
        free(path);
    }
    if (rc == 0)
        shm_make();
    return rc;
}

void folders_free(void)
{
    if (server.shm && strcmp(server.shm, server.dir) != 0)
        server.host->remove(server.shm);
    free(server.shm);
    free(server.dir);
    server.shm = server.dir = NULL;
}

void folders_env(char **env, struct arena *a)
{
    env[0] = arena_printf(a, "OMPI_MCA_btl_vader_backing_directory=%s", server.shm);
    env[1] = arena_printf(a, "OMPI_MCA_btl_sm_backing_directory=%s", server.shm);
    env[2] = arena_printf(a, "OMPI_MCA_osc_sm_backing_directory=%s", server.shm);
    env[3] = arena_printf(a, "OMPI_MCA_osc_rdma_backing_directory=%s", server.shm);
}
