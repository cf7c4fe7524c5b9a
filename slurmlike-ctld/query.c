/* SPDX-License-Identifier: Apache-2.0 */
#include "query.h"

#include "acct.h"
#include "base/hostlist.h"
#include "cells.h"
#include "filter.h"
#include "loop.h"
#include "stats.h"
#include "tenants.h"
#include "topo/fabric.h"
#include "wire/cells.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define QUERY_FIELDS_MAX 512u
/* Rows that an explanation costs as much as: in depth, a page. */
#define EXPLAIN_VISITS(in_depth) ((in_depth) ? QUERY_ROWS_PER_PAGE : QUERY_ROWS_PER_PAGE / 10)

/* What of one turn: rows printed and the bytes they take. */
struct page {
    struct buf cells;
    uint32_t rows;
    unsigned visited; /* also rows that a filter dropped: they cost as well */
    bool end;
};

struct query {
    struct session *s;
    uint32_t tag;
    const struct query_kind *kind;
    struct arena arena;  /* the request's: filter, fields */
    struct arena row;    /* one row's */
    struct buf text;     /* one cell */
    const struct cell **cells;
    size_t cells_count;
    enum cell_need need;
    bool explains, named;   /* the cells want explanations; jobs are named */
    bool all;
    struct job_filter *filter;
    struct hostlist *hosts; /* of nodes; NULL: every one */
    const char *names;      /* of partitions, reservations, licenses: comma list, "": every one */
    struct buf hidden;      /* partitions whose jobs are not shown: comma list */
    uint32_t *ids;          /* the only jobs to look at; NULL: every one. Nodes by name */
    size_t ids_count;
    uint32_t cursor;        /* of the kind's walk */
    struct acct_query *acct; /* instead of all this */
    struct query *prev, *next; /* of the session */
    bool ready;                /* in the ring */
    struct query *ring_prev, *ring_next;
};

struct queries {
    struct query *ring; /* those that can send; the first is next */
    struct event *pump;
};

/* A partition, reservation or license. */
union thing_view {
    struct partition_view partition;
    struct resv_view resv;
    struct license_view license;
};

struct query_kind {
    const char *what;
    enum field_what fields;
    void (*walk)(struct query *q, struct page *p);
    /* Of walk_things(): sets v and src to the i-th and returns its name; NULL: no such. */
    const char *(*view)(const struct core *c, uint32_t i, union thing_view *v,
                        struct cell_source *src);
};

/* ---- rows ------------------------------------------------------------------------------- */

static bool page_full(const struct page *p)
{
    return p->end || p->visited >= QUERY_ROWS_PER_PAGE || p->cells.len >= QUERY_CHUNK_BYTES;
}

static void row_put(struct query *q, struct page *p, struct cell_source *src)
{
    src->d = q->s->d;
    src->arena = &q->row;
    src->named = q->named;
    for (size_t i = 0; i < q->cells_count; i++) {
        buf_clear(&q->text);
        q->cells[i]->fill(src, &q->text);
        cells_put(&p->cells, buf_str(&q->text), q->text.len);
    }
    p->rows++;
    p->visited += q->explains ? EXPLAIN_VISITS(q->named) : 0;
    if (q->row.bytes)
        arena_reset(&q->row);
}

/* One that is hidden and was not asked for with --all. */
static bool partition_hidden(const struct query *q, const char *name)
{
    return q->hidden.len != 0 && list_has(buf_str(&q->hidden), name);
}

static void hidden_take(struct query *q)
{
    struct partition_view v;
    for (uint32_t i = 0; !q->all && core_partition_view(q->s->d->core, i, &v); i++)
        if (v.conf.is_hidden)
            buf_printf(&q->hidden, "%s%s", q->hidden.len ? "," : "", v.conf.name);
}

static bool job_need_wide(const struct query *q, const struct job_view *v)
{
    return q->need == CELL_WIDE || (q->need == CELL_WIDE_RUN && v->start);
}

/* The job's view when it passes the filter. */
static bool job_view_passing(const struct query *q, uint32_t job_id, struct job_view *v)
{
    const struct core *core = q->s->d->core;
    bool wide = filter_wide(q->filter);

    if (!core_job_view(core, job_id, wide, v) || !filter_match(q->filter, v) ||
        partition_hidden(q, v->partition))
        return false;
    return wide || !job_need_wide(q, v) || core_job_view(core, job_id, true, v);
}

/* The next job's id, by the list of the only ones or by the core's cursor. */
static bool job_next(struct query *q, uint32_t *job_id)
{
    if (q->ids) {
        if (q->cursor >= q->ids_count)
            return false;
        *job_id = q->ids[q->cursor++];
        return true;
    }
    q->cursor = core_job_next(q->s->d->core, q->cursor, job_id);
    return q->cursor != UINT32_MAX;
}

static void walk_jobs(struct query *q, struct page *p)
{
    struct job_view v;
    struct cell_source src = {.now = ctld_now(q->s->d), .job = &v};
    uint32_t job_id;

    while (!page_full(p)) {
        if (!job_next(q, &job_id)) {
            p->end = true;
        } else {
            p->visited++;
            if (job_view_passing(q, job_id, &v))
                row_put(q, p, &src);
        }
    }
}

static void walk_steps(struct query *q, struct page *p)
{
    const struct core *core = q->s->d->core;
    struct job_view v;
    struct cell_source src = {.now = ctld_now(q->s->d), .job = &v};
    uint32_t job_id;

    while (!page_full(p)) {
        if (!job_next(q, &job_id)) {
            p->end = true;
            return;
        }
        p->visited++;
        size_t count = core_step_count(core, job_id);
        if (!count || !job_view_passing(q, job_id, &v))
            continue;
        for (size_t i = 0; i < count; i++)
            if ((src.step = core_step_at(core, job_id, i)) &&
                filter_match_step(q->filter, &v, src.step->step_id))
                row_put(q, p, &src);
        p->visited += (unsigned)count;
    }
}

static void walk_nodes(struct query *q, struct page *p)
{
    struct node_view v;
    struct cell_source src = {.now = ctld_now(q->s->d), .node = &v};

    while (!page_full(p)) {
        if (q->cursor >= q->ids_count) {
            p->end = true;
            return;
        }
        ASSERT(core_node_view(q->s->d->core, q->ids[q->cursor++], &v));
        p->visited++;
        if (!q->hosts || hostlist_find(q->hosts, v.name) >= 0)
            row_put(q, p, &src);
    }
}

static const char *partition_at(const struct core *c, uint32_t i, union thing_view *v,
                                struct cell_source *src)
{
    src->partition = &v->partition;
    return core_partition_view(c, i, &v->partition) ? v->partition.conf.name : NULL;
}

static const char *resv_at(const struct core *c, uint32_t i, union thing_view *v,
                           struct cell_source *src)
{
    src->resv = &v->resv;
    return core_resv_view(c, i, &v->resv) ? v->resv.name : NULL;
}

static const char *license_at(const struct core *c, uint32_t i, union thing_view *v,
                              struct cell_source *src)
{
    src->license = &v->license;
    return core_license_view(c, i, &v->license) ? v->license.name : NULL;
}

/* What there are few of. One that is asked for by name is shown though it is hidden. */
static void walk_things(struct query *q, struct page *p)
{
    union thing_view v;
    struct cell_source src = {.now = ctld_now(q->s->d)};

    while (!page_full(p)) {
        const char *name = q->kind->view(q->s->d->core, q->cursor, &v, &src);
        if (!name) {
            p->end = true;
            return;
        }
        q->cursor++;
        p->visited++;
        if (q->names[0] ? list_has(q->names, name) : !src.partition || !partition_hidden(q, name))
            row_put(q, p, &src);
    }
}

/* ---- key and value: settings and counters -------------------------------------------------- */

static void pair_put(const char *key, const char *value, void *arg)
{
    struct page *p = arg;
    cells_put(&p->cells, key, strlen(key));
    cells_put(&p->cells, value, strlen(value));
    p->rows++;
}

static void walk_config(struct query *q, struct page *p)
{
    conf_each(q->s->d->conf, pair_put, p);
    p->end = true;
}

static void walk_stats(struct query *q, struct page *p)
{
    stats_each(q->s->d, pair_put, p);
    p->end = true;
}

/* Names [first, first + count) of nodes, or those of the switches right below p, ranged. */
static char *fabric_names(const struct fabric *f, uint32_t p, bool switches)
{
    struct hostlist *hl = hostlist_create("", NULL);
    const struct fabric_piece *at = &f->piece[p];
    for (uint32_t i = 0; hl && !switches && i < at->count; i++)
        hostlist_push(hl, f->node[at->first + i], NULL);
    for (uint32_t i = 0; hl && switches && i < p; i++)
        if (f->piece[i].parent == p && f->piece[i].name[0])
            hostlist_push(hl, f->piece[i].name, NULL);
    char *text = hl ? hostlist_ranged(hl) : xstrdup("");
    hostlist_destroy(hl);
    return text;
}

/* A row for each switch or block with a name, leafs first. */
static void walk_topology(struct query *q, struct page *p)
{
    const struct fabric *f = core_fabric_view(q->s->d->core);
    while (!page_full(p)) {
        if (!f || q->cursor >= f->pieces) {
            p->end = true;
            return;
        }
        uint32_t i = (uint32_t)q->cursor++;
        p->visited++;
        if (!f->piece[i].name[0])
            continue;
        char *nodes = fabric_names(f, i, false), *below = fabric_names(f, i, true);
        bool block = f->kind == FABRIC_BLOCKS;
        pair_put(f->piece[i].name,
                 arena_printf(&q->row, "%sName=%s %s=%u %sNodes=%s%s%s",
                              block ? "Block" : "Switch", f->piece[i].name,
                              block ? "BlockIndex" : "Level", block ? i : f->piece[i].level - 1,
                              block ? "" : "LinkSpeed=1 ", nodes, below[0] ? " Switches=" : "",
                              below), p);
        arena_reset(&q->row);
        free(nodes);
        free(below);
    }
}

static const struct query_kind kinds[] = {
    {"job", FIELD_OF_JOB, walk_jobs, NULL},
    {"step", FIELD_OF_STEP, walk_steps, NULL},
    {"node", FIELD_OF_NODE, walk_nodes, NULL},
    {"partition", FIELD_OF_PARTITION, walk_things, partition_at},
    {"reservation", FIELD_OF_RESV, walk_things, resv_at},
    {"license", FIELD_OF_LICENSE, walk_things, license_at},
    {"config", FIELD_OF_NONE, walk_config, NULL},
    {"stats", FIELD_OF_NONE, walk_stats, NULL},
    {"topology", FIELD_OF_NONE, walk_topology, NULL},
};

/* ---- whose turn it is -------------------------------------------------------------------- */

static void pump_arm(struct queries *all)
{
    struct timeval zero = {0, 0};
    if (!evtimer_pending(all->pump, NULL))
        event_add(all->pump, &zero);
}

static void ring_enter(struct query *q)
{
    struct queries *all = q->s->d->queries;
    if (q->ready)
        return;
    DL_APPEND2(all->ring, q, ring_prev, ring_next);
    q->ready = true;
    pump_arm(all);
}

static void ring_leave(struct query *q)
{
    if (q->ready)
        DL_DELETE2(q->s->d->queries->ring, q, ring_prev, ring_next);
    q->ready = false;
}

/* ---- life -------------------------------------------------------------------------------------- */

static void query_free(struct query *q)
{
    DL_DELETE(q->s->queries, q);
    ring_leave(q);
    hostlist_destroy(q->hosts);
    arena_fini(&q->arena);
    arena_fini(&q->row);
    buf_fini(&q->text);
    buf_fini(&q->hidden);
    free(q->ids);
    free(q);
}

void query_session_gone(struct session *s)
{
    while (s->queries) {
        if (s->queries->acct)
            acct_query_cancel(s->queries->acct);
        query_free(s->queries);
    }
}

void query_resume(struct session *s)
{
    struct query *q;

    if (session_full(s))
        return;
    DL_FOREACH(s->queries, q) {
        if (q->acct)
            acct_query_pause(q->acct, false);
        else
            ring_enter(q);
    }
}

/* One page; frees the query behind the last. */
static void query_page(struct query *q)
{
    struct page p = {.rows = 0};
    Sl__QueryRows m = SL__QUERY_ROWS__INIT;

    buf_init(&p.cells);
    q->kind->walk(q, &p);
    m.rows = p.rows;
    m.cells.data = (uint8_t *)p.cells.data;
    m.cells.len = p.cells.len;
    m.last = p.end;
    if (p.rows || p.end)
        session_send(q->s, WIRE_QUERY_ROWS, q->tag, &m.base, loop_generation_read(q->s->d));
    buf_fini(&p.cells);
    if (p.end)
        query_free(q);
    else if (!session_full(q->s)) /* else query_resume() comes when it has drained */
        ring_enter(q);
}

/* The queries' part of a turn of the loop. */
static void queries_pump(evutil_socket_t fd, short what, void *arg)
{
    struct queries *all = arg;
    usec_t until = clock_mono_usec() + QUERY_USEC_PER_TURN;
    (void)fd;
    (void)what;

    while (all->ring) {
        struct query *q = all->ring;
        ring_leave(q);
        query_page(q);
        if (clock_mono_usec() >= until)
            break;
    }
    if (all->ring)
        pump_arm(all);
}

struct queries *queries_create(struct ctld *d)
{
    struct queries *all = xcalloc(1, sizeof(*all));
    all->pump = evtimer_new(d->base, queries_pump, all);
    ASSERT(all->pump);
    return all;
}

void queries_destroy(struct queries *all)
{
    if (!all)
        return;
    event_free(all->pump);
    free(all);
}

/* ---- the request ---------------------------------------------------------------------------------- */

static int fields_take(struct query *q, const Sl__QueryRequest *r, struct err *err)
{
    if (q->kind->fields == FIELD_OF_NONE)
        return 0;
    if (!r->n_fields || r->n_fields > QUERY_FIELDS_MAX)
        return err_set(err, SL_EINVAL_FIELD, "%zu fields, 1 to %u are possible", r->n_fields,
                       QUERY_FIELDS_MAX);
    q->cells = arena_alloc(&q->arena, r->n_fields * sizeof(struct cell *));
    for (size_t i = 0; i < r->n_fields; i++) {
        const struct cell *c = cell_find(q->kind->fields, r->fields[i]);
        if (!c)
            return err_set(err, SL_EINVAL_FIELD, "a %s has no field %u", q->kind->what,
                           r->fields[i]);
        q->cells[q->cells_count++] = c;
        q->explains = q->explains || c->field == FIELD_JOB_EXPLAIN;
        if (c->need > q->need)
            q->need = c->need;
    }
    return 0;
}

static int filter_take(struct query *q, const char *key, const char *value, struct err *err)
{
    enum field_what what = q->kind->fields;

    if (!value[0])
        return 0;
    if (what == FIELD_OF_JOB || what == FIELD_OF_STEP) {
        if (strcmp(key, "me") == 0)
            return filter_add(q->filter, "user",
                              arena_printf(&q->arena, "%u", (unsigned)q->s->uid), err);
        return filter_add(q->filter, key, value, err);
    }
    if (what == FIELD_OF_NODE && (strcmp(key, "nodes") == 0 || strcmp(key, "name") == 0)) {
        hostlist_destroy(q->hosts);
        q->hosts = hostlist_create(value, err);
        return q->hosts ? 0 : SL_EINVAL_NODE;
    }
    if (q->kind->view && (strcmp(key, "name") == 0 || strcmp(key, q->kind->what) == 0)) {
        q->names = arena_strdup(&q->arena, value);
        return 0;
    }
    return err_set(err, SL_EINVAL_FIELD, "filter \"%s\" does not apply to a %s", key,
                   q->kind->what);
}

/* When only plain jobs are asked for by id, only these are looked at. */
static void ids_take(struct query *q)
{
    const struct core *core = q->s->d->core;
    size_t count;
    const struct job_sel *sel = filter_jobs(q->filter, &count);
    struct job_view v;

    q->named = count != 0;
    for (size_t i = 0; i < count; i++)
        if (sel[i].has_array || !core_job_view(core, sel[i].job_id, false, &v) ||
            v.array_job_id == sel[i].job_id || /* all tasks, one of which may have the array's id */
            (v.het_size && v.het_offset == 0)) /* ... or all components */
            return;
    if (!count)
        return;
    q->ids = xcalloc(count, sizeof(*q->ids));
    for (size_t i = 0; i < count; i++)
        q->ids[q->ids_count++] = sel[i].job_id;
}

/* Nodes are numbered as they came; people look for them by name. */
static int by_name(const void *a, const void *b, void *core)
{
    return strverscmp(core_node_name(core, *(const uint32_t *)a),
                      core_node_name(core, *(const uint32_t *)b));
}

static void nodes_take(struct query *q)
{
    struct core *core = q->s->d->core;
    q->ids_count = core_node_count(core);
    q->ids = xcalloc(q->ids_count + 1, sizeof(*q->ids));
    for (uint32_t i = 0; i < q->ids_count; i++)
        q->ids[i] = i;
    qsort_r(q->ids, q->ids_count, sizeof(*q->ids), by_name, core);
}

static int request_take(struct query *q, const Sl__QueryRequest *r, struct err *err)
{
    int rc = fields_take(q, r, err);
    q->all = r->all;
    q->names = "";
    hidden_take(q);
    q->filter = filter_create(&q->arena);
    for (size_t i = 0; rc == 0 && i < r->n_filters; i++)
        rc = filter_take(q, r->filters[i]->key, r->filters[i]->value, err);
    if (rc == 0 && q->kind->fields == FIELD_OF_NODE)
        nodes_take(q);
    else if (rc == 0)
        ids_take(q);
    return rc;
}

static struct query *query_create(struct session *s, uint32_t tag, const struct query_kind *k)
{
    struct query *q = xcalloc(1, sizeof(*q));
    q->s = s;
    q->tag = tag;
    q->kind = k;
    arena_init(&q->arena);
    arena_init(&q->row);
    buf_init(&q->text);
    buf_init(&q->hidden);
    DL_APPEND(s->queries, q);
    return q;
}

/* ---- accounting ------------------------------------------------------------------------------------- */

static void acct_rows(struct acct_query *aq, const Sl__QueryRows *rows, void *arg)
{
    struct query *q = arg;
    /* what the store says is durable */
    session_send(q->s, WIRE_QUERY_ROWS, q->tag, &rows->base, 0);
    if (session_full(q->s))
        acct_query_pause(aq, true);
}

static void acct_done(struct acct_query *aq, int code, const char *text, void *arg)
{
    struct query *q = arg;
    struct err err;
    (void)aq;

    if (code < 0) {
        err_set(&err, code, "%s", text);
        session_error(q->s, q->tag, &err);
    }
    query_free(q);
}

static const struct acct_ops acct_query_ops = {.rows = acct_rows, .done = acct_done};

static void acct_begin(struct ctld *d, struct session *s, uint32_t tag,
                       const Sl__QueryRequest *r)
{
    struct query *q = query_create(s, tag, NULL);
    struct err err;

    q->acct = acct_query_start(d->acct, r, s->uid, &acct_query_ops, q, &err);
    if (!q->acct) {
        query_free(q);
        session_error(s, tag, &err);
    }
}

void query_handle(struct ctld *d, struct session *s, struct wire_msg *m)
{
    const Sl__QueryRequest *r = (const Sl__QueryRequest *)m->body;
    const struct query_kind *kind = NULL;
    struct err err;

    if (acct_knows(r->what)) {
        acct_begin(d, s, m->tag, r);
        return;
    }
    if (tenants_knows(r->what)) {
        tenants_query(d, s, m->tag, r);
        return;
    }
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strcmp(kinds[i].what, r->what) == 0)
            kind = &kinds[i];
    if (!kind) {
        err_set(&err, SL_EINVAL_FIELD, "there is nothing to ask about \"%s\"", r->what);
        session_error(s, m->tag, &err);
        return;
    }
    struct query *q = query_create(s, m->tag, kind);
    if (request_take(q, r, &err) < 0) {
        query_free(q);
        session_error(s, m->tag, &err);
        return;
    }
    if (!d->queries->ring)
        query_page(q); /* at once: most answers are one page */
    else
        ring_enter(q);
}
