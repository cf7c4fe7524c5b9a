/* SPDX-License-Identifier: Apache-2.0
 *
 * cells: the table cells of QueryRows.cells, row-major.
 *
 *     | varint length | length bytes of text | varint length | ...
 *
 * The varint is protobuf's (7 bits a byte, low first).
 */
#ifndef SL_WIRE_CELLS_H
#define SL_WIRE_CELLS_H

#include "base/buf.h"
#include "base/err.h"
#include <stddef.h>
#include <stdint.h>

/* Appends one cell. */
void cells_put(struct buf *out, const char *text, size_t n);

struct cells_iter {
    const uint8_t *p, *end;
};
void cells_begin(struct cells_iter *it, const void *cells, size_t n);
/* 1: the next cell in *text (not NUL-terminated, points into the blob) and *n;
 * 0: the end; SL_EPROTO: broken. */
int cells_next(struct cells_iter *it, const char **text, size_t *n);

#endif
