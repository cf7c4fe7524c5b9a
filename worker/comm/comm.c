/* SPDX-License-Identifier: Apache-2.0 */
#include "comm/comm.h"

#include "base/buf.h"
#include "memory.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#define MESSAGE_MAX ((size_t)1 << 24) /* elements */

/* MPI's own waiting takes a processor for itself. Where ranks are more than
 * processors that one is missing where the work is done, so a wait looks for a
 * while, then sleeps shortly between looks, then longer. */
#define LOOKS_BEFORE_SLEEP 2000
#define LOOKS_BEFORE_LONG_SLEEP 2200
#define SLEEP_NSEC 20000
#define LONG_SLEEP_NSEC 200000

static void wait_for(MPI_Request *request)
{
    int done = 0;
    for (int64_t looks = 0; !done; looks++) {
        MPI_Test(request, &done, MPI_STATUS_IGNORE);
        if (done || looks < LOOKS_BEFORE_SLEEP)
            continue;
        long nsec = looks < LOOKS_BEFORE_LONG_SLEEP ? SLEEP_NSEC : LONG_SLEEP_NSEC;
        nanosleep(&(struct timespec){.tv_nsec = nsec}, NULL);
    }
}

/* Can all ranks be cut into aligned groups of this size, each inside one node?
 * nodes[i] names the node of rank i. */
static bool block_fits(const int *nodes, int ranks, int size)
{
    if (ranks % size != 0)
        return false;
    for (int i = 0; i < ranks; i++)
        if (nodes[i] != nodes[i / size * size])
            return false;
    return true;
}

static void block_choose(struct comm *c, int block_max)
{
    int *nodes = xcalloc((size_t)c->ranks, sizeof(*nodes)), first = c->rank, size = 1;
    MPI_Bcast(&first, 1, MPI_INT, 0, c->node);
    MPI_Allgather(&first, 1, MPI_INT, nodes, 1, MPI_INT, c->world);
    while (2 * size <= block_max && block_fits(nodes, c->ranks, 2 * size))
        size *= 2;
    free(nodes);
    c->block_ranks = size;
    c->block_rank = c->rank % size;
    c->block_index = c->rank / size;
    c->blocks = c->ranks / size;
    MPI_Comm_split(c->world, c->block_index, c->rank, &c->block);
    MPI_Comm_set_errhandler(c->block, MPI_ERRORS_RETURN);
}

int comm_open(struct comm *c, int block_max, struct err *err)
{
    *c = (struct comm){.node = MPI_COMM_NULL, .block = MPI_COMM_NULL};
    if (block_max == 0 || block_max > COMM_BLOCK_MAX)
        block_max = COMM_BLOCK_MAX;
    prctl(PR_SET_TIMERSLACK, 1000); /* sleeps of 20 us, not of 70 */
    MPI_Comm_dup(MPI_COMM_WORLD, &c->world);
    MPI_Comm_rank(c->world, &c->rank);
    MPI_Comm_size(c->world, &c->ranks);
    MPI_Comm_split_type(c->world, MPI_COMM_TYPE_SHARED, c->rank, MPI_INFO_NULL, &c->node);
    MPI_Comm_size(c->node, &c->node_ranks);
    block_choose(c, block_max);
    /* Ranks that say they share a node may still not share memory (containers
     * with their own /dev/shm): a trial decides. */
    struct window w = {0};
    int rc = comm_agree(c, comm_share(c, 4096, &w, err), err);
    comm_unshare(&w);
    if (rc < 0 && c->block_ranks > 1) {
        MPI_Comm_free(&c->block);
        block_choose(c, 1);
        rc = 0;
    }
    return rc;
}

void comm_close(struct comm *c)
{
    if (c->block != MPI_COMM_NULL)
        MPI_Comm_free(&c->block);
    if (c->node != MPI_COMM_NULL)
        MPI_Comm_free(&c->node);
    MPI_Comm_free(&c->world);
}

int comm_agree(const struct comm *c, int rc, struct err *err)
{
    struct {
        int rc, rank;
    } mine = {rc, c->rank}, least;
    struct err told = {0};
    MPI_Request request;
    MPI_Iallreduce(&mine, &least, 1, MPI_2INT, MPI_MINLOC, c->world, &request);
    wait_for(&request);
    if (least.rc >= 0)
        return rc;
    if (least.rank == c->rank && err)
        told = *err;
    MPI_Ibcast(&told, (int)sizeof(told), MPI_BYTE, least.rank, c->world, &request);
    wait_for(&request);
    if (err) {
        *err = told;
        if (least.rank != 0)
            err_prefix(err, "rank %d", least.rank);
    }
    return least.rc;
}

void comm_merge(const struct comm *c, double *x, size_t n)
{
    MPI_Request request;
    ASSERT(n <= MESSAGE_MAX);
    MPI_Iallreduce(MPI_IN_PLACE, x, (int)n, MPI_DOUBLE, MPI_SUM, c->world, &request);
    wait_for(&request);
}

int comm_share(const struct comm *c, size_t bytes, struct window *w, struct err *err)
{
    void *mine = NULL;
    *w = (struct window){0};
    bytes = memory_round(bytes);
    int st = MPI_Win_allocate_shared((MPI_Aint)bytes, 1, MPI_INFO_NULL, c->block, &mine,
                                     &w->win);
    if (st != MPI_SUCCESS) {
        char text[MPI_MAX_ERROR_STRING] = "";
        int len;
        MPI_Error_string(st, text, &len);
        return err_set(err, -ENOMEM, "cannot share %zu MiB of memory among %d ranks: %s",
                       bytes >> 20, c->block_ranks, text);
    }
    w->open = true;
    for (int i = 0; i < c->block_ranks; i++) {
        MPI_Aint size;
        int unit;
        MPI_Win_shared_query(w->win, i, &size, &unit, &w->parts[i]);
        if (size == 0)
            w->parts[i] = NULL;
    }
    if (bytes) {
        memory_advise(mine, bytes);
        memset(mine, 0, bytes);
    }
    MPI_Win_lock_all(MPI_MODE_NOCHECK, w->win);
    return 0;
}

void comm_unshare(struct window *w)
{
    if (!w->open)
        return;
    MPI_Win_unlock_all(w->win);
    MPI_Win_free(&w->win);
    w->open = false;
}

void comm_fence(const struct comm *c, const struct window *w)
{
    MPI_Request request;
    MPI_Win_sync(w->win);
    if (c->block_ranks > 1) {
        MPI_Ibarrier(c->block, &request);
        wait_for(&request);
    }
    MPI_Win_sync(w->win);
}

void comm_exchange(const struct comm *c, int peer, const real *send, size_t send_count,
                   real *receive, size_t receive_count)
{
    MPI_Datatype type = sizeof(real) == sizeof(double) ? MPI_DOUBLE : MPI_FLOAT;
    while (send_count || receive_count) {
        size_t out = send_count < MESSAGE_MAX ? send_count : MESSAGE_MAX;
        size_t in = receive_count < MESSAGE_MAX ? receive_count : MESSAGE_MAX;
        MPI_Request requests[2];
        MPI_Irecv(receive, (int)in, type, peer, 0, c->world, &requests[0]);
        MPI_Isend(send, (int)out, type, peer, 0, c->world, &requests[1]);
        wait_for(&requests[0]);
        wait_for(&requests[1]);
        send += out;
        send_count -= out;
        receive += in;
        receive_count -= in;
    }
}
