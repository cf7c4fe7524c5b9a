/* SPDX-License-Identifier: Apache-2.0 */
#include "stepd/mpi.h"

#include <string.h>

static const char *mpi_name(const struct step *s)
{
    const char *name = s->launch->spec->mpi;
    if (s->batch || s->step_id == STEP_EXTERN)
        return "none";
    return name[0] ? name : s->opts->mpi_default;
}

int mpi_start(struct step *s, struct err *err)
{
    const char *name = mpi_name(s);
    if (strcmp(name, "none") == 0)
        return 0;
    return err_set(err, SL_ENOT_BUILT, "--mpi=%s is not built; built are: none", name);
}

void mpi_stop(struct step *s)
{
    (void)s;
}

void mpi_task_env(struct step *s, const struct task *t, struct env_list *e)
{
    (void)s;
    (void)t;
    (void)e;
}

bool mpi_task_ended(struct step *s, const struct task *t)
{
    (void)s;
    (void)t;
    return false;
}

void mpi_message(struct step *s, const Sl__PmixMsg *m, long child)
{
    (void)s;
    (void)m;
    (void)child;
}

void mpi_node_lost(struct step *s, uint32_t node_index)
{
    (void)s;
    (void)node_index;
}
