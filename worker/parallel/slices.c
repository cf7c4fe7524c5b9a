/* SPDX-License-Identifier: Apache-2.0 */
#include "parallel/slices.h"

void slices_of(struct slices *s, size_t chunks, int rank, int block_ranks, int ranks)
{
    size_t at = (size_t)(rank % block_ranks), count = (size_t)block_ranks;
    int block = rank / block_ranks, blocks = ranks / block_ranks;
    s->held[0] = (struct slice){chunks * at / count, chunks * (at + 1) / count};
    s->levels = 0;
    for (int bit = 1; bit < blocks; bit *= 2) {
        struct slice h = s->held[s->levels];
        size_t middle = h.begin + (h.end - h.begin) / 2;
        if (block & bit)
            h.begin = middle;
        else
            h.end = middle;
        s->held[++s->levels] = h;
    }
}

struct slice slices_given(const struct slices *s, int level)
{
    struct slice whole = s->held[level], own = s->held[level + 1];
    if (own.begin == whole.begin)
        return (struct slice){own.end, whole.end};
    return (struct slice){whole.begin, own.begin};
}

int slices_peer(int rank, int block_ranks, int level)
{
    return rank ^ block_ranks << level;
}
