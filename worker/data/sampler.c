/* SPDX-License-Identifier: Apache-2.0 */
#include "data/sampler.h"

#include "philox.h"
#include <errno.h>
#include <inttypes.h>

#define ROUNDS 6

/* An alternating Feistel network on 2 * half bits is a permutation of them; those
 * of its values that are not below n are walked on from. At most 4 n values
 * exist, so four steps are expected at worst. */
uint64_t permute(uint64_t seed, uint64_t stream, uint64_t n, uint64_t i)
{
    unsigned half = 1;
    while (half < 32 && (UINT64_C(1) << 2 * half) < n)
        half++;
    uint64_t mask = (UINT64_C(1) << half) - 1;
    do {
        uint64_t left = i >> half, right = i & mask;
        for (uint64_t round = 0; round < ROUNDS; round++) {
            struct philox4 r = philox(seed, stream << 8 | round, right);
            uint64_t mixed = (left ^ r.v[0]) & mask;
            left = right;
            right = mixed;
        }
        i = left << half | right;
    } while (i >= n);
    return i;
}

int sampler_init(struct sampler *s, uint64_t seed, uint64_t tokens, uint64_t context,
                 double fraction, struct err *err)
{
    *s = (struct sampler){.seed = seed, .context = context};
    s->windows = tokens > 0 ? (tokens - 1) / context : 0;
    s->validation = (uint64_t)((double)s->windows * fraction);
    if (fraction > 0 && s->validation == 0)
        s->validation = 1;
    if (s->windows <= s->validation)
        return err_set(err, -EINVAL,
                       "%" PRIu64 " tokens are too few for training and validation with a "
                       "context of %" PRIu64, tokens, context);
    return 0;
}

static uint64_t window_at(const struct sampler *s, uint64_t place)
{
    return permute(s->seed, (uint64_t)PHILOX_SPLIT << 32, s->windows, place) * s->context;
}

uint64_t sampler_train(const struct sampler *s, uint64_t i)
{
    uint64_t count = s->windows - s->validation, epoch = i / count;
    uint64_t stream = (uint64_t)PHILOX_SAMPLER << 32 | (epoch & UINT32_MAX);
    return window_at(s, s->validation + permute(s->seed, stream, count, i % count));
}

uint64_t sampler_validation(const struct sampler *s, uint64_t i)
{
    return window_at(s, i);
}
