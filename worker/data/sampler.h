/* SPDX-License-Identifier: Apache-2.0
 *
 * sampler: which part of a token set sample number i of a run is.
 *
 * The tokens are cut into windows of `context` tokens and their targets. A
 * permutation that depends on the seed alone sets some windows aside for
 * validation; another one for each epoch orders the rest. All are pure functions
 * (a Feistel network over Philox, walked until it falls inside), so there is no
 * loader state: a checkpoint holds the seed and the step and nothing more, and
 * any rank finds any sample.
 */
#ifndef WORKER_DATA_SAMPLER_H
#define WORKER_DATA_SAMPLER_H

#include "base/err.h"
#include <stdint.h>

struct sampler {
    uint64_t seed;
    uint64_t context;
    uint64_t windows;    /* of the token set */
    uint64_t validation; /* of them, set aside */
};

/* fraction: of the windows for validation, at least one unless it is 0. */
int sampler_init(struct sampler *s, uint64_t seed, uint64_t tokens, uint64_t context,
                 double fraction, struct err *err);
/* First token of training sample i, i from 0 without end. */
uint64_t sampler_train(const struct sampler *s, uint64_t i);
/* First token of validation sample i < validation. */
uint64_t sampler_validation(const struct sampler *s, uint64_t i);

/* The place of i in a permutation of 0 .. n-1 chosen by seed and stream; i < n. */
uint64_t permute(uint64_t seed, uint64_t stream, uint64_t n, uint64_t i);

#endif
