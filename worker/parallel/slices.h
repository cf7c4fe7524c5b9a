/* SPDX-License-Identifier: Apache-2.0
 *
 * slices: which part of the flat buffers a rank owns, and the way there.
 *
 * The unit is SUM_CHUNK elements. A block's ranks cut the whole evenly; then
 * blocks at distance 1, 2, 4 ... halve what they hold together (recursive
 * halving). With gradients as terms this is the binary tree over ranks
 *
 *   ((r0 + r1) + (r2 + r3)) + ((r4 + r5) + (r6 + r7))
 *
 * whatever part of it is done in shared memory and what by messages.
 */
#ifndef WORKER_PARALLEL_SLICES_H
#define WORKER_PARALLEL_SLICES_H

#include <stddef.h>

#define SLICE_LEVELS_MAX 24

struct slice { /* chunks */
    size_t begin, end;
};

struct slices {
    int levels;                             /* halvings between blocks */
    struct slice held[SLICE_LEVELS_MAX + 1]; /* [0] of the block's rank, [levels] own */
};

/* block_ranks and ranks are powers of two. Pure: any rank can ask for any other. */
void slices_of(struct slices *s, size_t chunks, int rank, int block_ranks, int ranks);
/* The part of held[level] that the peer across this level owns after it. */
struct slice slices_given(const struct slices *s, int level);
/* Rank across this level. */
int slices_peer(int rank, int block_ranks, int level);

#endif
