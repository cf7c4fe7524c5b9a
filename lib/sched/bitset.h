/* SPDX-License-Identifier: Apache-2.0
 *
 * bitset: fixed-width sets of small integers (nodes, cores, gres indices, array
 * tasks) as arrays of 64-bit words. Plain words and not hwloc bitmaps because
 * the planner intersects thousands of them a pass and must inline to vector
 * code. The number of bits is the caller's; tail bits stay 0.
 */
#ifndef SL_SCHED_BITSET_H
#define SL_SCHED_BITSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BS_WORDS(bits) (((size_t)(bits) + 63) / 64)

static inline void bs_set(uint64_t *w, size_t i)
{
    w[i / 64] |= UINT64_C(1) << (i % 64);
}

static inline void bs_clear(uint64_t *w, size_t i)
{
    w[i / 64] &= ~(UINT64_C(1) << (i % 64));
}

static inline bool bs_test(const uint64_t *w, size_t i)
{
    return (w[i / 64] >> (i % 64)) & 1;
}

static inline void bs_put(uint64_t *w, size_t i, bool on)
{
    if (on)
        bs_set(w, i);
    else
        bs_clear(w, i);
}

/* Sets bits 0 .. bits-1. */
static inline void bs_fill(uint64_t *w, size_t bits)
{
    for (size_t i = 0; i < BS_WORDS(bits); i++)
        w[i] = bits - 64 * i >= 64 ? UINT64_MAX : (UINT64_C(1) << (bits - 64 * i)) - 1;
}

static inline size_t bs_count(const uint64_t *w, size_t words)
{
    size_t n = 0;
    for (size_t i = 0; i < words; i++)
        n += (size_t)__builtin_popcountll(w[i]);
    return n;
}

/* First set bit at or after `from`, or SIZE_MAX. */
static inline size_t bs_next(const uint64_t *w, size_t words, size_t from)
{
    size_t i = from / 64;
    if (i >= words)
        return SIZE_MAX;
    uint64_t v = w[i] & (UINT64_MAX << (from % 64));
    while (v == 0) {
        if (++i >= words)
            return SIZE_MAX;
        v = w[i];
    }
    return i * 64 + (size_t)__builtin_ctzll(v);
}

static inline bool bs_empty(const uint64_t *w, size_t words)
{
    for (size_t i = 0; i < words; i++)
        if (w[i] != 0)
            return false;
    return true;
}

static inline bool bs_meets(const uint64_t *a, const uint64_t *b, size_t words)
{
    for (size_t i = 0; i < words; i++)
        if (a[i] & b[i])
            return true;
    return false;
}

static inline void bs_or(uint64_t *a, const uint64_t *b, size_t words)
{
    for (size_t i = 0; i < words; i++)
        a[i] |= b[i];
}

static inline void bs_and(uint64_t *a, const uint64_t *b, size_t words)
{
    for (size_t i = 0; i < words; i++)
        a[i] &= b[i];
}

static inline void bs_andnot(uint64_t *a, const uint64_t *b, size_t words)
{
    for (size_t i = 0; i < words; i++)
        a[i] &= ~b[i];
}

#define BS_EACH(i, w, words)                                                    \
    for (size_t i = bs_next(w, words, 0); i != SIZE_MAX; i = bs_next(w, words, i + 1))

#endif
