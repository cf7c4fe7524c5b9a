/* SPDX-License-Identifier: Apache-2.0
 *
 * commit: carries a transaction out between BEGIN IMMEDIATE and COMMIT, which
 * appends to the write-ahead log and syncs it once. Copying the log into the
 * database (a checkpoint) happens here as well, when it has grown enough that
 * a page written often is copied once; a reader in the middle of a statement
 * can hold it up, but each query reads row by row (query.c), so not for long.
 */
#include "store/engine.h"
#include "store/rows.h"

#include "base/log.h"

#include <string.h>

#define CHECKPOINT_PAGES 4000 /* 16 MB */

static int bind_column(sqlite3_stmt *st, int i, const struct column *c, const char *row)
{
    static const unsigned char none[32];
    const void *p = row + c->offset;
    switch (c->kind) {
    case COLUMN_U32:
        return sqlite3_bind_int64(st, i, *(const uint32_t *)p);
    case COLUMN_STEP:
        return sqlite3_bind_int64(st, i, (int32_t) * (const uint32_t *)p);
    case COLUMN_U64:
        return sqlite3_bind_int64(st, i, (int64_t) * (const uint64_t *)p);
    case COLUMN_I64:
        return sqlite3_bind_int64(st, i, *(const int64_t *)p);
    case COLUMN_TEXT:
        return sqlite3_bind_text(st, i, *(const char *const *)p, -1, SQLITE_STATIC);
    case COLUMN_DIGEST:
        if (memcmp(p, none, sizeof(none)) == 0)
            return sqlite3_bind_null(st, i);
        return sqlite3_bind_blob(st, i, p, sizeof(none), SQLITE_STATIC);
    case COLUMN_NONE:
        break;
    }
    ASSERT(!"column kind");
    return SQLITE_MISUSE;
}

/* Steps a statement that gives no rows. Bindings point into the transaction, so
 * they are cleared. */
static int run(struct store *s, sqlite3_stmt *st, struct err *err)
{
    int rc = sqlite3_step(st);
    if (rc != SQLITE_DONE)
        engine_fail(s, err, "write");
    sqlite3_reset(st);
    return rc == SQLITE_DONE ? 0 : SL_ESTORE;
}

static int run_slot(struct store *s, enum statement slot, struct err *err)
{
    sqlite3_stmt *st = engine_statement(s, slot, err);
    return st ? run(s, st, err) : SL_ESTORE;
}

static int put_row(struct store *s, enum statement slot, const struct table *t,
                   const void *row, struct err *err)
{
    sqlite3_stmt *st = engine_statement(s, slot, err);
    if (!st)
        return SL_ESTORE;
    for (size_t i = 0; i < t->columns_count; i++)
        if (bind_column(st, (int)i + 1, &t->columns[i], row) != SQLITE_OK)
            return engine_fail(s, err, "write a row");
    return run(s, st, err);
}

static int delete_live(struct store *s, uint32_t job_id, struct err *err)
{
    sqlite3_stmt *st = engine_statement(s, STATEMENT_DELETE_LIVE, err);
    if (!st)
        return SL_ESTORE;
    sqlite3_bind_int64(st, 1, job_id);
    return run(s, st, err);
}

static int put_job(struct store *s, const struct store_job *row, struct err *err)
{
    int rc = put_row(s, STATEMENT_PUT_JOB, &table_job, row, err);
    if (rc)
        return rc;
    if (!row->live)
        return delete_live(s, row->job_id, err);
    sqlite3_stmt *st = engine_statement(s, STATEMENT_PUT_LIVE, err);
    if (!st)
        return SL_ESTORE;
    sqlite3_bind_int64(st, 1, row->job_id);
    if (sqlite3_bind_blob64(st, 2, row->state_record.p, row->state_record.n,
                            SQLITE_STATIC) != SQLITE_OK)
        return engine_fail(s, err, "write a job record");
    return run(s, st, err);
}

static int put_named(struct store *s, enum statement put, enum statement delete,
                     const struct txn_named *row, struct err *err)
{
    bool keep = row->record.n > 0;
    sqlite3_stmt *st = engine_statement(s, keep ? put : delete, err);
    if (!st)
        return SL_ESTORE;
    int rc = sqlite3_bind_text(st, 1, row->name, -1, SQLITE_STATIC);
    if (rc == SQLITE_OK && keep)
        rc = sqlite3_bind_blob64(st, 2, row->record.p, row->record.n, SQLITE_STATIC);
    return rc == SQLITE_OK ? run(s, st, err) : engine_fail(s, err, "write a record");
}

static int put_node_event(struct store *s, const struct store_node_event *row,
                          struct err *err)
{
    sqlite3_stmt *st = engine_statement(s, STATEMENT_CLOSE_NODE_EVENT, err);
    if (!st)
        return SL_ESTORE;
    sqlite3_bind_text(st, 1, row->node, -1, SQLITE_STATIC);
    sqlite3_bind_int64(st, 2, row->start);
    int rc = run(s, st, err);
    if (rc || !(st = engine_statement(s, STATEMENT_PUT_NODE_EVENT, err)))
        return SL_ESTORE;
    sqlite3_bind_text(st, 1, row->node, -1, SQLITE_STATIC);
    sqlite3_bind_int64(st, 2, row->start);
    sqlite3_bind_int64(st, 3, row->state);
    sqlite3_bind_int64(st, 4, row->flags);
    sqlite3_bind_int64(st, 5, row->cpus);
    sqlite3_bind_int64(st, 6, (int64_t)row->mem_mib);
    sqlite3_bind_text(st, 7, row->tres, -1, SQLITE_STATIC);
    sqlite3_bind_text(st, 8, row->reason, -1, SQLITE_STATIC);
    sqlite3_bind_int64(st, 9, row->reason_uid);
    return run(s, st, err);
}

static unsigned char *digest_slot(struct store *s, const unsigned char digest[32])
{
    unsigned i = digest[0] | (unsigned)digest[1] << 8;
    return s->digests[i % DIGESTS_RECENT];
}

static int put_blob(struct store *s, const struct txn_blob *row, struct err *err)
{
    if (memcmp(digest_slot(s, row->digest), row->digest, 32) == 0)
        return 0;
    sqlite3_stmt *st = engine_statement(s, STATEMENT_PUT_BLOB, err);
    if (!st)
        return SL_ESTORE;
    sqlite3_bind_blob(st, 1, row->digest, 32, SQLITE_STATIC);
    if (sqlite3_bind_blob64(st, 2, row->data.p, row->data.n, SQLITE_STATIC) !=
        SQLITE_OK)
        return engine_fail(s, err, "write a script or environment");
    return run(s, st, err);
}

static int put_op(struct store *s, const struct txn_op *op, struct err *err)
{
    const void *row = txn_op_row(op);
    switch (txn_op_kind(op)) {
    case TXN_JOB:
        return put_job(s, row, err);
    case TXN_RETIRE:
        return delete_live(s, *(const uint32_t *)row, err);
    case TXN_ALLOC:
        return put_row(s, STATEMENT_PUT_ALLOC, &table_alloc, row, err);
    case TXN_STEP:
        return put_row(s, STATEMENT_PUT_STEP, &table_step, row, err);
    case TXN_NODE:
        return put_named(s, STATEMENT_PUT_NODE, STATEMENT_DELETE_NODE, row, err);
    case TXN_PARTITION:
        return put_named(s, STATEMENT_PUT_PARTITION, STATEMENT_DELETE_PARTITION, row,
                         err);
    case TXN_TENANT:
        return put_named(s, STATEMENT_PUT_TENANT, STATEMENT_DELETE_TENANT, row, err);
    case TXN_META:
        return put_named(s, STATEMENT_PUT_META, STATEMENT_DELETE_META, row, err);
    case TXN_NODE_EVENT:
        return put_node_event(s, row, err);
    case TXN_BLOB:
        return put_blob(s, row, err);
    case TXN_NONE:
        break;
    }
    ASSERT(!"transaction operation");
    return SL_ESTORE;
}

/* Only what a commit made durable may be skipped next time. */
static void digests_remember(struct store *s, const struct store_txn *t)
{
    for (const struct txn_op *op = txn_first(t); op; op = txn_next(op)) {
        const struct txn_blob *row = txn_op_row(op);
        if (txn_op_kind(op) == TXN_BLOB)
            memcpy(digest_slot(s, row->digest), row->digest, 32);
    }
}

/* The commit itself is durable already, so that a failure here (no space to
 * grow the database) is a warning: the log keeps the pages and it is tried
 * again when the log has grown as much again. */
static void checkpoint(struct store *s)
{
    s->checkpoint_at = s->wal_pages + CHECKPOINT_PAGES;
    int rc =
        sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    if (rc == SQLITE_OK || rc == SQLITE_BUSY || rc == SQLITE_LOCKED)
        return;
    struct err err;
    engine_fail(s, &err, "copy its log into the database");
    log_warn("store", "%s", err.text);
}

int store_commit(struct store *s, struct store_txn *t, struct err *err)
{
    if (s->read_only)
        return err_set(err, SL_ESTORE, "store %s: cannot write: opened for reading",
                       s->path);
    if (store_txn_empty(t))
        return 0;
    int rc = run_slot(s, STATEMENT_BEGIN, err);
    for (const struct txn_op *op = txn_first(t); op && !rc; op = txn_next(op))
        rc = put_op(s, op, err);
    if (!rc)
        rc = run_slot(s, STATEMENT_COMMIT, err);
    if (rc) {
        /* SQLite may have rolled back by itself. */
        if (!sqlite3_get_autocommit(s->db))
            run_slot(s, STATEMENT_ROLLBACK, NULL);
        return rc;
    }
    digests_remember(s, t);
    if (s->wal_pages < CHECKPOINT_PAGES) /* the log began anew */
        s->checkpoint_at = CHECKPOINT_PAGES;
    else if (s->wal_pages >= s->checkpoint_at)
        checkpoint(s);
    return 0;
}
