/* SPDX-License-Identifier: Apache-2.0
 *
 * comm: the ranks of a run and the memory that some of them share.
 *
 * Ranks are laid out in blocks: aligned groups of a power of two that share
 * memory. Within a block, arrays of all ranks are read in place (a window);
 * between blocks, data moves by messages. Blocks are as large as the placement
 * of the ranks allows, down to one rank each, and results never depend on them.
 *
 *   rank    0 1 2 3 | 4 5 6 7     two nodes of four ranks: two blocks of four
 *   rank    0 2 | 1 3             ranks dealt out in turn: four blocks of one
 */
#ifndef WORKER_COMM_COMM_H
#define WORKER_COMM_COMM_H

#include "base/err.h"
#include "real.h"
#include <mpi.h>
#include <stdbool.h>

struct comm {
    MPI_Comm world, node, block;
    int rank, ranks;
    int node_ranks;
    int block_rank, block_ranks;
    int block_index, blocks;
};

/* After MPI_Init. block_max: largest block; 0: as large as possible. */
int comm_open(struct comm *c, int block_max, struct err *err);
void comm_close(struct comm *c);

/* Every rank gives its rc and *err; every rank gets the lowest rc and, when it is
 * negative, the text of the first rank that has it. Collective. */
int comm_agree(const struct comm *c, int rc, struct err *err);

/* x[i] := sum over ranks. Exact when at most one rank has a non-zero x[i]. */
void comm_merge(const struct comm *c, double *x, size_t n);

/* An array of each rank of the block, visible to the whole block. */
struct window {
    MPI_Win win;
    bool open;
    void *parts[64]; /* [block_ranks], NULL where a rank gave none */
};
#define COMM_BLOCK_MAX 64

/* bytes of this rank's array, zeroed. Collective over the block, and all ranks
 * get the same result. */
int comm_share(const struct comm *c, size_t bytes, struct window *w, struct err *err);
void comm_unshare(struct window *w);
/* What any rank of the block wrote before is visible to all after. */
void comm_fence(const struct comm *c, const struct window *w);

/* Sends and receives at once, in pieces that MPI can count. */
void comm_exchange(const struct comm *c, int peer, const real *send, size_t send_count,
                   real *receive, size_t receive_count);

#endif
