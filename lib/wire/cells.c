/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/cells.h"

void cells_put(struct buf *out, const char *text, size_t n)
{
    size_t len = n;
    while (len >= 0x80) {
        buf_putc(out, (char)(len | 0x80));
        len >>= 7;
    }
    buf_putc(out, (char)len);
    buf_put(out, text, n);
}

void cells_begin(struct cells_iter *it, const void *cells, size_t n)
{
    it->p = cells;
    it->end = n ? it->p + n : it->p;
}

int cells_next(struct cells_iter *it, const char **text, size_t *n)
{
    if (it->p == it->end)
        return 0;
    uint64_t len = 0;
    for (unsigned shift = 0;; shift += 7) {
        if (it->p == it->end || shift > 28)
            return SL_EPROTO;
        uint8_t c = *it->p++;
        len |= (uint64_t)(c & 0x7f) << shift;
        if (!(c & 0x80))
            break;
    }
    if (len > (size_t)(it->end - it->p))
        return SL_EPROTO;
    *text = (const char *)it->p;
    *n = (size_t)len;
    it->p += len;
    return 1;
}
