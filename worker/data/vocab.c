/* SPDX-License-Identifier: Apache-2.0 */
#include "data/vocab.h"

#include "base/buf.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static size_t token_len(const struct vocab *v, uint32_t id)
{
    return v->offsets[id + 1] - v->offsets[id];
}

/* Fills the offsets; the sizes of merged tokens are sums. */
static int offsets_fill(struct vocab *v, struct err *err)
{
    for (uint32_t id = 0; id < VOCAB_BYTES; id++)
        v->offsets[id + 1] = v->offsets[id] + 1;
    for (uint32_t i = 0; i < v->merges_count; i++) {
        uint32_t id = VOCAB_BYTES + i;
        struct merge m = v->merges[i];
        if (m.left >= id || m.right >= id)
            return err_set(err, -EINVAL,
                           "vocabulary: merge %u uses a token that comes after it", i);
        size_t len = token_len(v, m.left) + token_len(v, m.right);
        if (len > VOCAB_TOKEN_BYTES_MAX)
            return err_set(err, -EINVAL, "vocabulary: token %u is longer than %zu bytes", id,
                           VOCAB_TOKEN_BYTES_MAX);
        v->offsets[id + 1] = v->offsets[id] + len;
    }
    v->offsets[v->count] = v->offsets[v->count - 1];
    return 0;
}

int vocab_init(struct vocab *v, int pattern, struct merge *merges, uint32_t count,
               struct err *err)
{
    *v = (struct vocab){.pattern = pattern,
                        .count = VOCAB_MIN + count,
                        .merges_count = count,
                        .merges = merges};
    v->offsets = xcalloc((size_t)v->count + 1, sizeof(*v->offsets));
    int rc = offsets_fill(v, err);
    if (rc < 0) {
        vocab_fini(v);
        return rc;
    }
    v->bytes = xmalloc(v->offsets[v->count]);
    for (uint32_t id = 0; id < VOCAB_BYTES; id++)
        v->bytes[id] = (char)id;
    for (uint32_t i = 0; i < count; i++) {
        char *to = v->bytes + v->offsets[VOCAB_BYTES + i];
        size_t left = token_len(v, merges[i].left);
        memcpy(to, v->bytes + v->offsets[merges[i].left], left);
        memcpy(to + left, v->bytes + v->offsets[merges[i].right],
               token_len(v, merges[i].right));
    }
    return 0;
}

void vocab_fini(struct vocab *v)
{
    free(v->merges);
    free(v->offsets);
    free(v->bytes);
    *v = (struct vocab){0};
}
