/* SPDX-License-Identifier: Apache-2.0
 *
 * acct: queries go round: a piece of work makes one chunk on a helper, the
 * chunk is delivered on the loop, and the query goes to the helper's end of
 * the line again. The query belongs to the helper while it is posted (busy)
 * and to the loop otherwise; `cancelled` is the one thing both look at.
 */
#include "acct.h"

#include "acctcells.h"
#include "acctfilter.h"
#include "helper.h"

#include "wire/cells.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define HELPERS 2u /* a long search does not hold up short ones */
#define CHUNK_BYTES (256u << 10)
#define CHUNK_USEC (50 * USEC_PER_SEC / 1000) /* then another query has its turn */
#define FIELDS_MAX 256u

struct acct_helper {
    struct helper *thread;
    struct store *store; /* the helper's; opened at the first query */
    const char *url;
    struct acct_query *running; /* the helper's */
};

struct acct {
    struct acct_helper helpers[HELPERS];
    unsigned next; /* helper of the next query */
    char *url, *cluster;
    struct acct_query *queries;
    unsigned count;
};

struct acct_query {
    struct work work; /* first */
    struct acct *a;
    struct acct_helper *helper;
    struct acct_query *prev, *next;
    struct acct_ops ops;
    void *arg;
    bool busy, paused, calling;
    atomic_bool cancelled;
    /* what was asked */
    struct acct_filter filter;
    uint32_t *fields;
    size_t fields_count;
    /* how far it is: the helper's while busy */
    bool searched, finished;
    uint32_t *ids;
    size_t ids_count, at;
    struct buf cells, steps, cell; /* the chunk; a job's steps; one cell */
    uint32_t rows, steps_rows;
    usec_t now;
    struct err err;
};

bool acct_knows(const char *what)
{
    return strcmp(what, "acct_job") == 0;
}

/* ---- one chunk, on the helper ---------------------------------------------- */

static bool query_stop(void *arg)
{
    struct acct_helper *h = arg;
    return h->running && atomic_load(&h->running->cancelled);
}

static int helper_open(struct acct_helper *h, struct err *err)
{
    if (h->store)
        return 0;
    h->store = store_open(h->url, true, err);
    if (!h->store)
        return err->code;
    store_set_stop(h->store, query_stop, h);
    return 0;
}

static int query_search(struct acct_query *q)
{
    int rc = acct_filter_resolve(&q->filter, &q->err);
    if (!rc)
        rc = store_query_job_ids(q->helper->store, &q->filter.store, &q->ids,
                                 &q->ids_count, &q->err);
    q->searched = true;
    return rc;
}

static void query_line(struct acct_query *q, const struct acct_line *line,
                       struct buf *out)
{
    for (size_t i = 0; i < q->fields_count; i++) {
        buf_clear(&q->cell);
        acct_cell(line, q->fields[i], &q->cell);
        cells_put(out, buf_str(&q->cell), q->cell.len);
    }
}

struct one_job {
    struct acct_query *q;
    struct acct_line line;
};

/* Steps are made first, because the job's line has their sums. */
static int query_step(const struct store_step *row, void *arg)
{
    struct one_job *one = arg;
    struct acct_query *q = one->q;
    one->line.user_cpu_usec += row->user_cpu_usec;
    one->line.system_cpu_usec += row->system_cpu_usec;
    if (!acct_filter_step(&q->filter, one->line.job, row))
        return 0;
    struct acct_line line = one->line;
    line.step = row;
    query_line(q, &line, &q->steps);
    q->steps_rows++;
    return 0;
}

static int query_job(const struct store_job *row, void *arg)
{
    struct acct_query *q = arg;
    const struct store_filter *f = &q->filter.store;
    struct one_job one = {.q = q,
                          .line = {.job = row,
                                   .now = q->now,
                                   .cut_start = q->filter.truncate ? f->start : 0,
                                   .cut_end = q->filter.truncate ? f->end : 0,
                                   .cluster = q->a->cluster}};
    if (!acct_filter_job(&q->filter, row))
        return 0;
    buf_clear(&q->steps);
    q->steps_rows = 0;
    if (q->filter.steps && store_query_steps(q->helper->store, row->job_id,
                                             row->restart, query_step, &one, &q->err))
        return 1;
    if (acct_filter_job_line(&q->filter, row)) {
        query_line(q, &one.line, &q->cells);
        q->rows++;
    }
    buf_put(&q->cells, q->steps.data, q->steps.len);
    q->rows += q->steps_rows;
    return 0;
}

static int query_chunk(struct acct_query *q)
{
    int rc = helper_open(q->helper, &q->err);
    if (!rc && !q->searched)
        rc = query_search(q);
    usec_t until = clock_mono_usec() + CHUNK_USEC;
    while (!rc && q->at < q->ids_count && q->cells.len < CHUNK_BYTES &&
           clock_mono_usec() < until && !atomic_load(&q->cancelled)) {
        rc = store_query_job(q->helper->store, &q->filter.store, q->ids[q->at++],
                             query_job, q, &q->err);
        if (!rc)
            rc = q->err.code; /* of a job's steps */
    }
    q->finished = rc || q->at == q->ids_count;
    return rc;
}

static void query_run(struct work *w)
{
    struct acct_query *q = (struct acct_query *)w;
    if (atomic_load(&q->cancelled))
        return;
    buf_clear(&q->cells);
    q->rows = 0;
    q->err.code = 0;
    q->now = clock_wall_usec();
    q->helper->running = q;
    int rc = query_chunk(q);
    q->helper->running = NULL;
    q->err.code = rc;
}

/* ---- on the loop ----------------------------------------------------------- */

static void query_free(struct acct_query *q)
{
    if (q->prev)
        q->prev->next = q->next;
    else
        q->a->queries = q->next;
    if (q->next)
        q->next->prev = q->prev;
    q->a->count--;
    acct_filter_fini(&q->filter);
    buf_fini(&q->cells);
    buf_fini(&q->steps);
    buf_fini(&q->cell);
    free(q->fields);
    free(q->ids);
    free(q);
}

static void query_post(struct acct_query *q)
{
    q->busy = true;
    helper_post(q->helper->thread, &q->work);
}

static void query_deliver(struct acct_query *q)
{
    Sl__QueryRows rows = SL__QUERY_ROWS__INIT;
    rows.rows = q->rows;
    rows.cells.data = (uint8_t *)q->cells.data;
    rows.cells.len = q->cells.len;
    rows.last = q->finished;
    if (q->rows || q->finished)
        q->ops.rows(q, &rows, q->arg);
}

static void query_done(struct work *w)
{
    struct acct_query *q = (struct acct_query *)w;
    q->busy = false;
    q->calling = true; /* a callback that cancels does not pull q from under us */
    if (!atomic_load(&q->cancelled) && !q->err.code)
        query_deliver(q);
    if (!atomic_load(&q->cancelled) && q->finished)
        q->ops.done(q, q->err.code, q->err.code ? q->err.text : "", q->arg);
    q->calling = false;
    if (q->finished || atomic_load(&q->cancelled))
        query_free(q);
    else if (!q->paused)
        query_post(q);
}

void acct_query_pause(struct acct_query *q, bool pause)
{
    q->paused = pause;
    if (!pause && !q->busy && !q->calling)
        query_post(q);
}

void acct_query_cancel(struct acct_query *q)
{
    atomic_store(&q->cancelled, true);
    if (!q->busy && !q->calling)
        query_free(q);
}

static int fields_take(struct acct_query *q, const Sl__QueryRequest *request,
                       struct err *err)
{
    if (request->n_fields == 0 || request->n_fields > FIELDS_MAX)
        return err_set(err, SL_EINVAL_FIELD,
                       "accounting query: %zu fields; 1 to %u are possible",
                       request->n_fields, FIELDS_MAX);
    for (size_t i = 0; i < request->n_fields; i++)
        if (!acct_cell_known(request->fields[i]))
            return err_set(err, SL_EINVAL_FIELD, "accounting has no field number %u",
                           request->fields[i]);
    q->fields_count = request->n_fields;
    q->fields = xcalloc(q->fields_count, sizeof(*q->fields));
    memcpy(q->fields, request->fields, q->fields_count * sizeof(*q->fields));
    return 0;
}

struct acct_query *acct_query_start(struct acct *a, const Sl__QueryRequest *request,
                                    uid_t viewer, const struct acct_ops *ops, void *arg,
                                    struct err *err)
{
    struct acct_filter filter;
    if (a->count >= ACCT_QUERIES_MAX) {
        err_set(err, SL_ETOO_MANY,
                "%u accounting queries are under way; try again later", a->count);
        return NULL;
    }
    if (acct_filter_init(&filter, request, viewer, err))
        return NULL;
    struct acct_query *q = xcalloc(1, sizeof(*q));
    if (fields_take(q, request, err)) {
        acct_filter_fini(&filter);
        free(q);
        return NULL;
    }
    q->work.run = query_run;
    q->work.done = query_done;
    q->a = a;
    q->helper = &a->helpers[a->next++ % HELPERS];
    q->ops = *ops;
    q->arg = arg;
    q->filter = filter;
    buf_init(&q->cells);
    buf_init(&q->steps);
    buf_init(&q->cell);
    q->next = a->queries;
    if (q->next)
        q->next->prev = q;
    a->queries = q;
    a->count++;
    query_post(q);
    return q;
}

struct acct *acct_create(struct event_base *base, const char *store_url,
                         const char *cluster, struct err *err)
{
    struct acct *a = xcalloc(1, sizeof(*a));
    a->url = xstrdup(store_url);
    a->cluster = xstrdup(cluster);
    for (unsigned i = 0; i < HELPERS; i++) {
        a->helpers[i].url = a->url;
        a->helpers[i].thread = helper_create(base, "acct", err);
        if (!a->helpers[i].thread) {
            acct_destroy(a);
            return NULL;
        }
    }
    return a;
}

void acct_destroy(struct acct *a)
{
    if (!a)
        return;
    for (struct acct_query *q = a->queries, *next; q; q = next) {
        next = q->next;
        acct_query_cancel(q);
    }
    for (unsigned i = 0; i < HELPERS; i++) {
        helper_destroy(
            a->helpers[i].thread); /* delivers, and so frees, what was posted */
        store_close(a->helpers[i].store);
    }
    free(a->url);
    free(a->cluster);
    free(a);
}
