/* SPDX-License-Identifier: Apache-2.0
 *
 * Licenses: fields 800 and on.
 */
#include "cells.h"

static void cell_name(const struct cell_source *s, struct buf *out)
{
    buf_puts(out, s->license->name);
}

#define CELL_NUM(what)                                                                     \
    static void cell_##what(const struct cell_source *s, struct buf *out)                  \
    {                                                                                      \
        cell_u64(out, s->license->what);                                                   \
    }
CELL_NUM(total)
CELL_NUM(used)
CELL_NUM(free)
CELL_NUM(reserved)

const struct cell cells_license[] = {
    {FIELD_LICENSE_NAME, CELL_NARROW, cell_name},
    {FIELD_LICENSE_TOTAL, CELL_NARROW, cell_total},
    {FIELD_LICENSE_USED, CELL_NARROW, cell_used},
    {FIELD_LICENSE_FREE, CELL_NARROW, cell_free},
    {FIELD_LICENSE_RESERVED, CELL_NARROW, cell_reserved},
};
const size_t cells_license_count = sizeof(cells_license) / sizeof(cells_license[0]);
