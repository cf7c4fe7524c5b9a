/* SPDX-License-Identifier: Apache-2.0
 *
 * philox: random numbers as a pure function of (key, counter).
 *
 * Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy
 * as 1, 2, 3", SC 2011). There is no generator state: any rank or thread draws
 * number i of stream s directly, which is what makes runs independent of how
 * the work is divided and lets a checkpoint hold a seed and nothing more.
 */
#ifndef WORKER_PHILOX_H
#define WORKER_PHILOX_H

#include <stdint.h>

/* Streams of one seed; the second half of the key. */
enum philox_stream {
    PHILOX_INIT = 1,   /* + tensor index in the counter */
    PHILOX_SAMPLER = 2,
    PHILOX_SPLIT = 3,  /* training / validation documents */
};

struct philox4 {
    uint32_t v[4];
};

static inline struct philox4 philox(uint64_t seed, uint64_t hi, uint64_t lo)
{
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    struct philox4 c = {{(uint32_t)lo, (uint32_t)(lo >> 32), (uint32_t)hi,
                         (uint32_t)(hi >> 32)}};
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c.v[0];
        uint64_t p1 = (uint64_t)0xCD9E8D57u * c.v[2];
        c = (struct philox4){{(uint32_t)(p1 >> 32) ^ c.v[1] ^ k0, (uint32_t)p1,
                              (uint32_t)(p0 >> 32) ^ c.v[3] ^ k1, (uint32_t)p0}};
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return c;
}

/* Uniform in (0, 1): never 0, so its logarithm is finite. */
static inline double philox_unit(uint32_t x)
{
    return ((double)x + 0.5) * (1.0 / 4294967296.0);
}

#endif
