/* SPDX-License-Identifier: Apache-2.0 */
#include "model/shape.h"

#include <errno.h>

int shape_check(struct shape *s, struct err *err)
{
    if (s->kv_heads == 0)
        s->kv_heads = s->heads;
    if (s->ffn == 0)
        s->ffn = 4 * s->width;
    if (s->width % s->heads != 0)
        return err_set(err, -EINVAL, "width %d is not a multiple of heads %d", s->width,
                       s->heads);
    if (s->kv_heads > s->heads || s->heads % s->kv_heads != 0)
        return err_set(err, -EINVAL, "heads %d is not a multiple of kv_heads %d",
                       s->heads, s->kv_heads);
    if (s->positions == POSITIONS_ROPE && (s->width / s->heads) % 2 != 0)
        return err_set(err, -EINVAL,
                       "positions rope needs an even head width, width/heads is %d",
                       s->width / s->heads);
    if (s->vocab < 2 || s->vocab > SHAPE_VOCAB_MAX)
        return err_set(err, -EINVAL, "vocabulary of %d tokens: 2 to %d are possible",
                       s->vocab, SHAPE_VOCAB_MAX);
    return 0;
}

size_t shape_head_width(const struct shape *s)
{
    return (size_t)(s->width / s->heads);
}

double shape_flop_per_token(const struct shape *s)
{
    double c = s->width, hd = (double)shape_head_width(s);
    double layer = c * (c + 2.0 * s->kv_heads * hd) /* query, key, value */
                   + c * c                          /* attention output */
                   + 2.0 * c * s->ffn;
    return 6.0 * (s->layers * layer + c * s->vocab) + 12.0 * s->layers * c * s->context;
}
