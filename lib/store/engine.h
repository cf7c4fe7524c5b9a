/* SPDX-License-Identifier: Apache-2.0
 *
 * engine: one SQLite connection, shared by the files of this room only.
 *
 * The writer holds PATH.lock (flock, pid inside) for as long as it is open, so
 * that two controllers never write one store; readers do not take it.
 */
#ifndef SL_STORE_ENGINE_H
#define SL_STORE_ENGINE_H

#include "store/store.h"

#include <sqlite3.h>

#define DIGESTS_RECENT 1024u /* blobs known to be in the file; power of two */
#define BUSY_WAIT_MSEC 5000  /* readers wait for a checkpoint, never for a commit */

/* Statements are prepared at first use and kept; one slot each. */
enum statement {
    STATEMENT_BEGIN,
    STATEMENT_COMMIT,
    STATEMENT_ROLLBACK,
    STATEMENT_PUT_JOB,
    STATEMENT_PUT_LIVE,
    STATEMENT_DELETE_LIVE,
    STATEMENT_PUT_ALLOC,
    STATEMENT_PUT_STEP,
    STATEMENT_PUT_NODE,
    STATEMENT_PUT_PARTITION,
    STATEMENT_PUT_TENANT,
    STATEMENT_PUT_META,
    STATEMENT_DELETE_NODE,
    STATEMENT_DELETE_PARTITION,
    STATEMENT_DELETE_TENANT,
    STATEMENT_DELETE_META,
    STATEMENT_CLOSE_NODE_EVENT,
    STATEMENT_PUT_NODE_EVENT,
    STATEMENT_PUT_BLOB,
    STATEMENT_EACH_META,
    STATEMENT_EACH_NODE,
    STATEMENT_EACH_PARTITION,
    STATEMENT_EACH_TENANT,
    STATEMENT_EACH_LIVE,
    STATEMENT_BLOB_SCRIPT,
    STATEMENT_BLOB_ENV,
    STATEMENT_GET_JOB,
    STATEMENT_GET_ALLOCS,
    STATEMENT_GET_RUNS,
    STATEMENT_GET_STEPS,
    STATEMENT_COUNT
};

struct store {
    char *path;
    bool read_only;
    int lock_fd; /* -1 for readers */
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENT_COUNT];
    int wal_pages;           /* in the write-ahead log after the last commit */
    int checkpoint_at;       /* wal_pages that cause the next checkpoint */
    bool (*stop)(void *arg); /* store_set_stop */
    void *stop_arg;
    unsigned char digests[DIGESTS_RECENT][32]; /* direct mapped by the first bytes */
};

/* The one translation from SQLite's failures: sets err ("store PATH: cannot
 * WHAT: why; what to do") and returns SL_ESTORE. */
int engine_fail(struct store *s, struct err *err, const char *what);
/* The slot's statement, reset and unbound; prepared from sql() at first use. NULL
 * and *err when it cannot be prepared. */
sqlite3_stmt *engine_statement(struct store *s, enum statement slot, struct err *err);
/* Runs SQL text without results. */
int engine_exec(struct store *s, const char *sql, const char *what, struct err *err);

/* schema.c */
int schema_check(struct store *s, struct err *err);   /* readers: exactly our version */
int schema_migrate(struct store *s, struct err *err); /* writer */
/* statement.c: caller frees. */
char *statement_sql(enum statement slot);

/* lock.c: creates missing parent directories (0700), the file (0600) and takes the
 * lock; *lock_fd. */
int lock_take(const char *path, int *lock_fd, struct err *err);

#endif
