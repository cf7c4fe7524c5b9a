/* SPDX-License-Identifier: Apache-2.0
 *
 * Events that a task raises for others. They go to the first node, which sends them down
 * to all; each hands them to its libpmix, but for the one that it came from, whose
 * libpmix has told its own clients already.
 */
#include "stepd/pmix/server.h"

#include <stdlib.h>
#include <string.h>

void notify_call(struct upcall *u)
{
    struct mpi_msg m = {.kind = KIND_NOTIFY, .rank = u->rank, .status = u->status,
                        .sequence = (uint64_t)u->timeout, .number = u->number,
                        .data = u->data, .data_bytes = u->data_bytes,
                        .from = server.step->node_index, .to = 0};
    server.host->send(server.step, MPI_WAY_TO, &m);
    upcall_free(u);
}

void notify_asked(const struct mpi_msg *m)
{
    struct mpi_msg e = *m;
    if (!server.step->root)
        return;
    e.kind = KIND_EVENT;
    notify_event(&e);
}

struct told { /* libpmix reads it until it calls back */
    pmix_info_t *info;
    size_t info_count;
};

static void told_free(pmix_status_t status, void *arg)
{
    struct told *t = arg;
    (void)status;
    if (t->info)
        PMIX_INFO_FREE(t->info, t->info_count);
    free(t);
}

static bool infos_unpack(const struct mpi_msg *m, struct told *t)
{
    pmix_data_buffer_t b;
    pmix_byte_object_t in;
    int32_t count = (int32_t)m->number;
    if (count <= 0 || (size_t)count > m->data_bytes)
        return count == 0;
    /* a copy: the buffer owns and frees what it is given */
    in.bytes = malloc(m->data_bytes);
    ASSERT(in.bytes);
    memcpy(in.bytes, m->data, m->data_bytes);
    in.size = m->data_bytes;
    PMIX_DATA_BUFFER_CONSTRUCT(&b);
    PMIx_Data_load(&b, &in);
    PMIX_INFO_CREATE(t->info, (size_t)count);
    t->info_count = (size_t)count;
    pmix_status_t st = PMIx_Data_unpack(NULL, &b, t->info, &count, PMIX_INFO);
    PMIX_DATA_BUFFER_DESTRUCT(&b);
    return st == PMIX_SUCCESS && (size_t)count == t->info_count;
}

void notify_event(const struct mpi_msg *m)
{
    pmix_proc_t source;
    server.host->send(server.step, MPI_WAY_DOWN, m);
    if (m->from == server.step->node_index)
        return;
    struct told *t = xcalloc(1, sizeof(*t));
    PMIX_LOAD_PROCID(&source, server.nspace, m->rank);
    pmix_status_t st = PMIX_ERR_BAD_PARAM;
    if (infos_unpack(m, t))
        st = PMIx_Notify_event(m->status, &source, (pmix_data_range_t)m->sequence, t->info,
                               t->info_count, told_free, t);
    if (st != PMIX_SUCCESS)
        told_free(st, t);
}
