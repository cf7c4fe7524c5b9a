/* SPDX-License-Identifier: Apache-2.0
 *
 * query: start-up sweeps and accounting reads.
 *
 * A query for jobs goes in two steps. The first asks for the ids that match and
 * keeps them (4 bytes a job). The second reads one row after the other, each
 * in a read transaction of its own that is over before the callback runs, so
 * that no reader, however slow its client, keeps the write-ahead log from
 * being reset.
 */
#include "store/engine.h"
#include "store/rows.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- sweeps ---------------------------------------------------------------- */

static struct store_bytes column_bytes(sqlite3_stmt *st, int i)
{
    const void *p = sqlite3_column_blob(st, i);
    return (struct store_bytes){p ? p : "", (size_t)sqlite3_column_bytes(st, i)};
}

static int each(struct store *s, enum statement slot, store_record_f fn, void *arg,
                struct err *err)
{
    sqlite3_stmt *st = engine_statement(s, slot, err);
    if (!st)
        return SL_ESTORE;
    int rc, result = 0;
    while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(st, 0);
        uint64_t key = (uint64_t)sqlite3_column_int64(st, 1);
        if (fn(name ? name : "", key, column_bytes(st, 2), arg))
            break;
    }
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        result = engine_fail(s, err, "read its records");
    sqlite3_reset(st);
    return result;
}

int store_each_meta(struct store *s, store_record_f fn, void *arg, struct err *err)
{
    return each(s, STATEMENT_EACH_META, fn, arg, err);
}

int store_each_node(struct store *s, store_record_f fn, void *arg, struct err *err)
{
    return each(s, STATEMENT_EACH_NODE, fn, arg, err);
}

int store_each_partition(struct store *s, store_record_f fn, void *arg, struct err *err)
{
    return each(s, STATEMENT_EACH_PARTITION, fn, arg, err);
}

int store_each_tenant(struct store *s, store_record_f fn, void *arg, struct err *err)
{
    return each(s, STATEMENT_EACH_TENANT, fn, arg, err);
}

int store_each_live_job(struct store *s, store_record_f fn, void *arg, struct err *err)
{
    return each(s, STATEMENT_EACH_LIVE, fn, arg, err);
}

int store_job_blob(struct store *s, uint32_t job_id, const char *which, void **p,
                   size_t *n, struct err *err)
{
    ASSERT(strcmp(which, "script") == 0 || strcmp(which, "env") == 0);
    bool script = strcmp(which, "script") == 0;
    sqlite3_stmt *st =
        engine_statement(s, script ? STATEMENT_BLOB_SCRIPT : STATEMENT_BLOB_ENV, err);
    if (!st)
        return SL_ESTORE;
    sqlite3_bind_int64(st, 1, job_id);
    int rc = sqlite3_step(st), result = 0;
    if (rc == SQLITE_ROW) {
        struct store_bytes b = column_bytes(st, 0);
        char *copy = xmalloc(b.n + 1);
        if (b.n)
            memcpy(copy, b.p, b.n);
        copy[b.n] = '\0';
        *p = copy;
        *n = b.n;
    } else if (rc == SQLITE_DONE) {
        result = err_set(err, -ENOENT, "job %u has no %s in the store", job_id, which);
    } else {
        result = engine_fail(s, err, "read a script or environment");
    }
    sqlite3_reset(st);
    return result;
}

/* ---- rows ------------------------------------------------------------------ */

static void read_column(sqlite3_stmt *st, int i, const struct column *c, char *row)
{
    void *p = row + c->offset;
    switch (c->kind) {
    case COLUMN_U32:
    case COLUMN_STEP:
        *(uint32_t *)p = (uint32_t)sqlite3_column_int64(st, i);
        break;
    case COLUMN_U64:
        *(uint64_t *)p = (uint64_t)sqlite3_column_int64(st, i);
        break;
    case COLUMN_I64:
        *(int64_t *)p = sqlite3_column_int64(st, i);
        break;
    case COLUMN_TEXT: {
        const char *text = (const char *)sqlite3_column_text(st, i);
        *(const char **)p = text ? text : "";
        break;
    }
    case COLUMN_DIGEST:
        if (sqlite3_column_bytes(st, i) == 32)
            memcpy(p, sqlite3_column_blob(st, i), 32);
        break;
    case COLUMN_NONE:
        break;
    }
}

struct rows { /* whole rows of one kind, in an arena */
    struct arena arena;
    void **row;
    size_t count, cap;
};

static void rows_fini(struct rows *r)
{
    arena_fini(&r->arena);
    free(r->row);
}

/* Reads all rows that the statement gives and resets it. */
static int rows_read(struct store *s, sqlite3_stmt *st, const struct table *t,
                     struct rows *r, struct err *err)
{
    int rc;
    while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
        union {
            struct store_job job;
            struct store_alloc alloc;
            struct store_step step;
        } row;
        memset(&row, 0, sizeof(row));
        for (size_t i = 0; i < t->columns_count; i++)
            read_column(st, (int)i, &t->columns[i], (char *)&row);
        if (r->count == r->cap) {
            r->cap = r->cap ? 2 * r->cap : 8;
            r->row = xrealloc(r->row, r->cap * sizeof(*r->row));
        }
        r->row[r->count++] = row_copy(t, &row, &r->arena);
    }
    int result = rc == SQLITE_DONE ? 0 : engine_fail(s, err, "read its rows");
    sqlite3_reset(st);
    return result;
}

static int rows_get(struct store *s, enum statement slot, const struct table *t,
                    uint32_t job_id, const uint32_t *restart, struct rows *r,
                    struct err *err)
{
    sqlite3_stmt *st = engine_statement(s, slot, err);
    if (!st)
        return SL_ESTORE;
    sqlite3_bind_int64(st, 1, job_id);
    if (restart)
        sqlite3_bind_int64(st, 2, *restart);
    return rows_read(s, st, t, r, err);
}

int store_query_steps(struct store *s, uint32_t job_id, uint32_t restart,
                      store_step_f fn, void *arg, struct err *err)
{
    struct rows r = {0};
    arena_init(&r.arena);
    int rc = rows_get(s, STATEMENT_GET_STEPS, &table_step, job_id, &restart, &r, err);
    for (size_t i = 0; i < r.count && !rc; i++)
        if (fn(r.row[i], arg))
            break;
    rows_fini(&r);
    return rc;
}

int store_query_allocs(struct store *s, uint32_t job_id, store_alloc_f fn, void *arg,
                       struct err *err)
{
    struct rows r = {0};
    arena_init(&r.arena);
    int rc = rows_get(s, STATEMENT_GET_ALLOCS, &table_alloc, job_id, NULL, &r, err);
    for (size_t i = 0; i < r.count && !rc; i++)
        if (fn(r.row[i], arg))
            break;
    rows_fini(&r);
    return rc;
}

/* ---- which jobs ------------------------------------------------------------ */

/* A list of values goes to the database as one JSON array, so that the statement
 * does not depend on its length. */
static void json_numbers(struct buf *b, const uint32_t *v, size_t count)
{
    buf_putc(b, '[');
    for (size_t i = 0; i < count; i++)
        buf_printf(b, "%s%u", i ? "," : "", v[i]);
    buf_putc(b, ']');
}

static void json_texts(struct buf *b, const char *const *v, size_t count)
{
    buf_putc(b, '[');
    for (size_t i = 0; i < count; i++) {
        buf_puts(b, i ? ",\"" : "\"");
        for (const char *c = v[i]; *c; c++) {
            if (*c == '"' || *c == '\\')
                buf_printf(b, "\\%c", *c);
            else if ((unsigned char)*c < 0x20)
                buf_printf(b, "\\u%04x", *c);
            else
                buf_putc(b, *c);
        }
        buf_putc(b, '"');
    }
    buf_putc(b, ']');
}

#define IN_LIST(param) " IN (SELECT value FROM json_each(" param "))"

static void where_states(const struct store_filter *f, struct buf *b)
{
    if (!f->states_count && !f->was_pending && !f->was_running)
        return;
    buf_puts(b, " AND (0");
    if (f->states_count)
        buf_puts(b, " OR (state" IN_LIST(
                        ":states") " AND (end_time = 0 OR end_time <= :end))");
    if (f->was_running)
        buf_puts(b, " OR (start_time > 0 AND start_time <= :end)");
    if (f->was_pending)
        buf_puts(b, " OR (eligible > 0 AND CASE WHEN start_time > 0"
                    " THEN start_time >= :start ELSE 1 END)");
    if (f->duplicates)
        buf_puts(b, " OR restart > 0"); /* an earlier run may have had it */
    buf_puts(b, ")");
}

/* Conditions on a row of job beside the one that chose the index. */
static void where_rest(const struct store_filter *f, struct buf *b)
{
    if (f->uids_count && f->users_count)
        buf_puts(b, " AND (uid" IN_LIST(":uids") " OR user_name" IN_LIST(":users") ")");
    else if (f->users_count)
        buf_puts(b, " AND user_name" IN_LIST(":users"));
    else if (f->uids_count)
        buf_puts(b, " AND uid" IN_LIST(":uids"));
    if (f->accounts_count)
        buf_puts(b, " AND account" IN_LIST(":accounts"));
    if (f->partitions_count)
        buf_puts(b, " AND partition_name" IN_LIST(":partitions"));
    if (f->names_count)
        buf_puts(b, " AND name" IN_LIST(":names"));
    if (f->job_ids_count)
        buf_puts(b, " AND submit <= :end");
    else
        /* sacct(1): a job that waits must be eligible; one that is over was there
         * whatever it waited for */
        buf_puts(b, " AND (CASE WHEN eligible > 0 THEN eligible <= :end"
                    " ELSE end_time > 0 AND submit <= :end END)");
    where_states(f, b);
}

static void ids_sql(const struct store_filter *f, struct buf *b)
{
    static const char window[] = " AND (end_time = 0 OR end_time >= :start)";
    if (f->job_ids_count) {
        buf_printf(b, "SELECT job_id FROM job WHERE job_id" IN_LIST(":jobs") "%s",
                   window);
        where_rest(f, b);
        buf_printf(b,
                   " UNION SELECT job_id FROM job WHERE array_job_id > 0"
                   " AND array_job_id" IN_LIST(":jobs") "%s",
                   window);
        where_rest(f, b);
        buf_printf(b,
                   " UNION SELECT job_id FROM job WHERE het_job_id > 0"
                   " AND het_job_id" IN_LIST(":jobs") "%s",
                   window);
        where_rest(f, b);
    } else if (f->start > 0) {
        buf_puts(b, "SELECT job_id FROM job INDEXED BY job_end WHERE end_time > 0"
                    " AND end_time >= :start");
        where_rest(f, b);
        buf_puts(b,
                 " UNION SELECT job.job_id FROM job_live CROSS JOIN job USING (job_id)"
                 " WHERE end_time = 0");
        where_rest(f, b);
    } else {
        buf_puts(b, "SELECT job_id FROM job WHERE 1");
        where_rest(f, b);
    }
    buf_puts(b, " ORDER BY job_id");
    if (f->limit)
        buf_puts(b, " LIMIT :limit");
}

static void bind_number(sqlite3_stmt *st, const char *name, int64_t value)
{
    int i = sqlite3_bind_parameter_index(st, name);
    if (i)
        sqlite3_bind_int64(st, i, value);
}

/* Binds and empties b. */
static void bind_list(sqlite3_stmt *st, const char *name, struct buf *b)
{
    int i = sqlite3_bind_parameter_index(st, name);
    if (i)
        sqlite3_bind_text(st, i, buf_str(b), (int)b->len, SQLITE_TRANSIENT);
    buf_clear(b);
}

static void ids_bind(const struct store_filter *f, sqlite3_stmt *st)
{
    struct buf b;
    buf_init(&b);
    json_numbers(&b, f->job_ids, f->job_ids_count);
    bind_list(st, ":jobs", &b);
    json_numbers(&b, f->uids, f->uids_count);
    bind_list(st, ":uids", &b);
    json_numbers(&b, f->states, f->states_count);
    bind_list(st, ":states", &b);
    json_texts(&b, f->users, f->users_count);
    bind_list(st, ":users", &b);
    json_texts(&b, f->accounts, f->accounts_count);
    bind_list(st, ":accounts", &b);
    json_texts(&b, f->partitions, f->partitions_count);
    bind_list(st, ":partitions", &b);
    json_texts(&b, f->names, f->names_count);
    bind_list(st, ":names", &b);
    bind_number(st, ":start", f->start);
    bind_number(st, ":end", f->end > 0 ? f->end : INT64_MAX);
    bind_number(st, ":limit", f->limit);
    buf_fini(&b);
}

int store_query_job_ids(struct store *s, const struct store_filter *f, uint32_t **ids,
                        size_t *count, struct err *err)
{
    struct buf sql;
    buf_init(&sql);
    ids_sql(f, &sql);
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(s->db, buf_str(&sql), -1, &st, NULL);
    buf_fini(&sql);
    if (rc != SQLITE_OK)
        return engine_fail(s, err, "prepare a query");
    ids_bind(f, st);
    uint32_t *v = NULL;
    size_t n = 0, cap = 0;
    while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
        if (n == cap) {
            cap = cap ? 2 * cap : 1024;
            v = xrealloc(v, cap * sizeof(*v));
        }
        v[n++] = (uint32_t)sqlite3_column_int64(st, 0);
    }
    int result = rc == SQLITE_DONE ? 0 : engine_fail(s, err, "query its jobs");
    sqlite3_finalize(st);
    if (result) {
        free(v);
        return result;
    }
    *ids = v;
    *count = n;
    return 0;
}

#define STOP_ASKED_EVERY 10000 /* steps of SQLite's machine: well under a millisecond  \
                                */

static int stop_ask(void *arg)
{
    struct store *s = arg;
    return s->stop(s->stop_arg);
}

void store_set_stop(struct store *s, bool (*stop)(void *arg), void *arg)
{
    s->stop = stop;
    s->stop_arg = arg;
    sqlite3_progress_handler(s->db, STOP_ASKED_EVERY, stop ? stop_ask : NULL, s);
}

/* ---- jobs ------------------------------------------------------------------ */

static bool run_matches(const struct store_filter *f, const struct store_alloc *run)
{
    if ((run->end && run->end < f->start) || (f->end > 0 && run->start > f->end))
        return false;
    if (f->was_running || (!f->states_count && !f->was_pending))
        return true;
    for (size_t i = 0; i < f->states_count; i++)
        if (run->state == f->states[i])
            return true;
    return false;
}

/* An earlier run as sacct -D shows it: the job's row with that run's values. */
static struct store_job run_overlay(const struct store_job *job,
                                    const struct store_alloc *run)
{
    struct store_job row = *job;
    row.restart = run->restart;
    row.state = run->state;
    row.state_flags = 0;
    row.reason = 0;
    row.cancelled_by = 0;
    row.exit_status = run->exit_status;
    row.derived_exit = 0;
    row.nodes_count = run->nodes_count;
    row.cpus = run->cpus;
    row.start = run->start;
    row.end = run->end;
    row.suspended = run->suspended;
    row.partition = run->partition;
    row.account = run->account;
    row.qos = run->qos;
    row.nodelist = run->nodelist;
    row.tres_alloc = run->tres;
    return row;
}

/* 1: fn wants to stop. */
static int earlier_runs(struct store *s, const struct store_filter *f,
                        const struct store_job *job, store_job_f fn, void *arg,
                        struct err *err)
{
    struct rows r = {0};
    arena_init(&r.arena);
    int rc = rows_get(s, STATEMENT_GET_RUNS, &table_alloc, job->job_id, &job->restart,
                      &r, err);
    for (size_t i = 0; i < r.count && !rc; i++) {
        const struct store_alloc *run = r.row[i];
        if (!run_matches(f, run))
            continue;
        struct store_job row = run_overlay(job, run);
        if (fn(&row, arg))
            rc = 1;
    }
    rows_fini(&r);
    return rc;
}

/* 1: fn wants to stop. */
static int one_job(struct store *s, const struct store_filter *f, uint32_t job_id,
                   store_job_f fn, void *arg, struct err *err)
{
    struct rows r = {0};
    arena_init(&r.arena);
    int rc = rows_get(s, STATEMENT_GET_JOB, &table_job, job_id, NULL, &r, err);
    const struct store_job *job = !rc && r.count ? r.row[0] : NULL;
    if (job && f->duplicates && job->restart)
        rc = earlier_runs(s, f, job, fn, arg, err);
    if (job && !rc && fn(job, arg))
        rc = 1;
    rows_fini(&r);
    return rc;
}

int store_query_job(struct store *s, const struct store_filter *f, uint32_t job_id,
                    store_job_f fn, void *arg, struct err *err)
{
    int rc = one_job(s, f, job_id, fn, arg, err);
    return rc < 0 ? rc : 0;
}

int store_query_jobs(struct store *s, const struct store_filter *f, store_job_f fn,
                     void *arg, struct err *err)
{
    uint32_t *ids = NULL;
    size_t count = 0;
    int rc = store_query_job_ids(s, f, &ids, &count, err);
    for (size_t i = 0; i < count && !rc; i++)
        rc = one_job(s, f, ids[i], fn, arg, err);
    free(ids);
    return rc < 0 ? rc : 0;
}
