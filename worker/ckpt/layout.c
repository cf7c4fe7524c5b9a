/* SPDX-License-Identifier: Apache-2.0 */
#include "ckpt/layout.h"

#include "base/buf.h"
#include "ckpt/crc32c.h"
#include <stdlib.h>

const char *const ckpt_groups[CKPT_ARRAYS] = {"params", "adamw_m", "adamw_v"};

real *ckpt_array(const struct shards *s, int a)
{
    return a == 0 ? s->params + s->begin : a == 1 ? s->m : s->v;
}

struct span span_of(const struct param *p, size_t begin, size_t end)
{
    size_t from = p->offset > begin ? p->offset : begin;
    size_t to = p->offset + param_count(p) < end ? p->offset + param_count(p) : end;
    if (from >= to)
        return (struct span){0};
    return (struct span){.from = from - p->offset, .count = to - from, .at = from - begin};
}

hid_t tensor_space(const struct param *p)
{
    hsize_t dims[2] = {(hsize_t)p->rows, (hsize_t)p->cols};
    return p->rows > 1 ? H5Screate_simple(2, dims, NULL)
                       : H5Screate_simple(1, dims + 1, NULL);
}

static void add_block(hid_t space, const struct param *p, size_t row, size_t col,
                      size_t rows, size_t cols)
{
    hsize_t from[2] = {row, col}, count[2] = {rows, cols};
    int skip = p->rows > 1 ? 0 : 1;
    if (rows && cols)
        H5Sselect_hyperslab(space, H5S_SELECT_OR, from + skip, NULL, count + skip, NULL);
}

void tensor_select(hid_t space, const struct param *p, struct span span)
{
    size_t cols = (size_t)p->cols, end = span.from + span.count;
    size_t row = span.from / cols, col = span.from % cols;
    size_t last = end / cols, rest = end % cols;
    H5Sselect_none(space);
    if (span.count == 0)
        return;
    if (row == last) {
        add_block(space, p, row, col, 1, span.count);
        return;
    }
    if (col) {
        add_block(space, p, row, col, 1, cols - col);
        row++;
    }
    add_block(space, p, row, 0, last - row, cols);
    add_block(space, p, last, 0, 1, rest);
}

struct owner {
    size_t begin;
    int rank;
};

static int owner_compare(const void *a, const void *b)
{
    const struct owner *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return x->rank - y->rank;
}

/* Ranks in the order of their slices. */
static struct owner *owners(const struct shards *s)
{
    const struct comm *c = s->comm;
    struct owner *list = xcalloc((size_t)c->ranks, sizeof(*list));
    for (int r = 0; r < c->ranks; r++) {
        struct slices x;
        slices_of(&x, s->graph->flat_count / SUM_CHUNK, r, c->block_ranks, c->ranks);
        list[r] = (struct owner){x.held[x.levels].begin, r};
    }
    qsort(list, (size_t)c->ranks, sizeof(*list), owner_compare);
    return list;
}

void tensor_crcs(const struct shards *s, const struct piece *pieces, uint32_t *crcs)
{
    const struct comm *c = s->comm;
    size_t n = (size_t)CKPT_ARRAYS * (size_t)s->graph->params_count;
    struct piece *all = xcalloc(n * (size_t)c->ranks, sizeof(*all));
    struct owner *order = owners(s);
    int bytes = (int)(n * sizeof(*all));
    MPI_Allgather(pieces, bytes, MPI_BYTE, all, bytes, MPI_BYTE, c->world);
    for (size_t i = 0; i < n; i++) {
        crcs[i] = 0;
        for (int r = 0; r < c->ranks; r++) {
            const struct piece *p = &all[(size_t)order[r].rank * n + i];
            crcs[i] = crc32c_combine(crcs[i], p->crc, p->bytes);
        }
    }
    free(order);
    free(all);
}
