/* SPDX-License-Identifier: Apache-2.0
 *
 * Queries: chunks of cells to rows.
 */
#include "client/client.h"

#include "wire/cells.h"

#include <stdlib.h>
#include <string.h>

struct rows {
    size_t columns;
    struct buf text; /* the cells of one row, each with a NUL */
    size_t *at;      /* their places in text; columns of them */
    char **cells;
    client_row_f fn;
    void *arg;
};

/* 1 a row was given to fn (*stop: what fn returned), 0 the end, negative: broken. */
static int row_next(struct rows *r, struct cells_iter *it, int *stop)
{
    buf_clear(&r->text);
    for (size_t i = 0; i < r->columns; i++) {
        const char *text;
        size_t n;
        int rc = cells_next(it, &text, &n);
        if (rc < 0 || (rc == 0 && i > 0))
            return SL_EPROTO;
        if (rc == 0)
            return 0;
        r->at[i] = r->text.len;
        buf_put(&r->text, text, n);
        buf_putc(&r->text, '\0');
    }
    for (size_t i = 0; i < r->columns; i++)
        r->cells[i] = r->text.data + r->at[i];
    *stop = r->fn(r->cells, r->columns, r->arg);
    return 1;
}

/* Without fields in the request ("config") the answer decides how wide it is. */
static int columns_set(struct rows *r, const Sl__QueryRows *chunk)
{
    struct cells_iter it;
    const char *text;
    size_t n, count = 0;
    int rc;
    if (r->columns > 0 || chunk->rows == 0)
        return 0;
    cells_begin(&it, chunk->cells.data, chunk->cells.len);
    while ((rc = cells_next(&it, &text, &n)) == 1)
        count++;
    if (rc < 0 || count == 0 || count % chunk->rows != 0)
        return SL_EPROTO;
    r->columns = count / chunk->rows;
    r->at = xcalloc(r->columns, sizeof(*r->at));
    r->cells = xcalloc(r->columns, sizeof(*r->cells));
    return 0;
}

static int rows_each(struct rows *r, const Sl__QueryRows *chunk, int *stop)
{
    if (columns_set(r, chunk) < 0)
        return SL_EPROTO;
    if (r->columns == 0)
        return chunk->cells.len ? SL_EPROTO : 0;
    struct cells_iter it;
    uint32_t rows = 0;
    int rc = 1;
    cells_begin(&it, chunk->cells.data, chunk->cells.len);
    while (*stop == 0 && (rc = row_next(r, &it, stop)) == 1)
        rows++;
    if (rc < 0)
        return rc;
    return *stop == 0 && rows != chunk->rows ? SL_EPROTO : 0;
}

int client_query(struct client *c, const Sl__QueryRequest *q, client_row_f fn,
                 void *arg, struct err *err)
{
    uint32_t tag;
    int rc = client_send(c, WIRE_QUERY, &q->base, &tag, err);
    if (rc < 0)
        return rc;

    struct rows r = {.columns = q->n_fields, .fn = fn, .arg = arg};
    buf_init(&r.text);
    if (r.columns > 0) {
        r.at = xcalloc(r.columns, sizeof(*r.at));
        r.cells = xcalloc(r.columns, sizeof(*r.cells));
    }
    bool last = false;
    int stop = 0;
    while (rc == 0 && !last && stop == 0) {
        struct wire_msg m;
        rc = client_reply(c, tag, WIRE_QUERY_ROWS, 0, &m, err);
        if (rc < 0)
            break;
        const Sl__QueryRows *chunk = (const Sl__QueryRows *)m.body;
        last = chunk->last;
        rc = rows_each(&r, chunk, &stop);
        if (rc < 0)
            err_set(err, rc, "the controller sent broken rows");
        wire_msg_clear(&m);
    }
    buf_fini(&r.text);
    free(r.at);
    free(r.cells);
    /* The rest of the answer would be in the way of the next call. */
    if (rc == SL_EPROTO || (rc == 0 && !last))
        client_disconnect(c);
    if (rc == 0 && stop < 0)
        rc = stop;
    return rc;
}
