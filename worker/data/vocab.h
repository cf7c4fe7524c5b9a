/* SPDX-License-Identifier: Apache-2.0
 *
 * vocab: the tokens of a byte-level BPE vocabulary.
 *
 *   id 0 .. 255            the bytes
 *   id 256 + i             merge i: the bytes of its left and right token
 *   id count - 1           end of text, which no text contains
 */
#ifndef WORKER_DATA_VOCAB_H
#define WORKER_DATA_VOCAB_H

#include "base/err.h"
#include <stddef.h>
#include <stdint.h>

#define VOCAB_BYTES 256u
#define VOCAB_MIN (VOCAB_BYTES + 1) /* no merges */
#define VOCAB_MAX (1u << 20)
#define VOCAB_TOKEN_BYTES_MAX ((size_t)4096)

struct merge {
    uint32_t left, right;
};

struct vocab {
    int pattern; /* of data/split.h */
    uint32_t count;
    uint32_t merges_count;
    struct merge *merges;
    size_t *offsets; /* [count + 1]: token i is bytes[offsets[i] .. offsets[i+1]) */
    char *bytes;
};

/* Takes over merges (malloc'd). -EINVAL when a merge names a token that does not
 * exist yet or is too long. *v needs no vocab_fini then. */
int vocab_init(struct vocab *v, int pattern, struct merge *merges, uint32_t count,
               struct err *err);
void vocab_fini(struct vocab *v);

static inline uint32_t vocab_end_of_text(const struct vocab *v)
{
    return v->count - 1;
}

#endif
