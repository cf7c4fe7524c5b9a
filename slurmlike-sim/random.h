/* SPDX-License-Identifier: Apache-2.0
 *
 * random: numbers that are a function of their seed alone (xorshift64*, seeded through
 * splitmix64). For simulations; not for secrets.
 */
#ifndef SL_SIM_RANDOM_H
#define SL_SIM_RANDOM_H

#include <stdint.h>

struct random { uint64_t state; };

static inline void random_init(struct random *r, uint64_t seed)
{
    uint64_t z = seed + UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    r->state = (z ^ (z >> 31)) | 1;
}

static inline uint64_t random_next(struct random *r)
{
    r->state ^= r->state >> 12;
    r->state ^= r->state << 25;
    r->state ^= r->state >> 27;
    return r->state * UINT64_C(2685821657736338717);
}

/* In [0, 1). */
static inline double random_unit(struct random *r)
{
    return (double)(random_next(r) >> 11) / 9007199254740992.0;
}

/* In [0, n); n is far below 2^53. */
static inline uint64_t random_below(struct random *r, uint64_t n)
{
    return (uint64_t)(random_unit(r) * (double)n);
}

#endif
