/* SPDX-License-Identifier: Apache-2.0
 *
 * rows: the store's tables as data. Each row struct of store.h has one table of
 * columns; copying a row into a transaction, the INSERT and SELECT statements,
 * binding and reading all walk it. A new column is one line here, one in the
 * struct and one in a migration of schema.c.
 */
#ifndef SL_STORE_ROWS_H
#define SL_STORE_ROWS_H

#include "base/buf.h"
#include "store/store.h"

enum column_kind {
    COLUMN_NONE,
    COLUMN_U32,
    COLUMN_STEP, /* uint32_t kept as a signed number: batch and extern sort before 0 */
    COLUMN_U64,
    COLUMN_I64,
    COLUMN_TEXT,
    COLUMN_DIGEST, /* 32 bytes; all zero is NULL */
};

struct column {
    const char *name;
    enum column_kind kind;
    size_t offset;
};

struct table {
    const char *name;
    const struct column *columns;
    size_t columns_count;
    size_t keys_count; /* the first columns are the primary key */
    size_t row_bytes;
};

extern const struct table table_job, table_alloc, table_step;

/* Shallow copy plus its strings; everything lives in the arena. */
void *row_copy(const struct table *t, const void *row, struct arena *a);
/* "a,b,c" of the columns, each with `prefix` in front. */
void table_column_list(const struct table *t, const char *prefix, struct buf *out);

/* ---- a transaction as a value ---------------------------------------------- */

enum txn_kind {
    TXN_NONE,
    TXN_JOB,
    TXN_RETIRE,
    TXN_ALLOC,
    TXN_STEP,
    TXN_NODE,
    TXN_PARTITION,
    TXN_TENANT,
    TXN_META,
    TXN_NODE_EVENT,
    TXN_BLOB,
};

struct txn_named { /* TXN_NODE, TXN_PARTITION, TXN_TENANT, TXN_META */
    const char *name;
    struct store_bytes record;
};
struct txn_blob {
    unsigned char digest[32];
    struct store_bytes data;
};

struct txn_op;
/* Iterates in the order of the puts; NULL after the last. */
struct txn_op *txn_first(const struct store_txn *t);
struct txn_op *txn_next(const struct txn_op *op);
enum txn_kind txn_op_kind(const struct txn_op *op);
const void *txn_op_row(const struct txn_op *op); /* TXN_RETIRE: uint32_t job id */

#endif
