/* SPDX-License-Identifier: Apache-2.0
 *
 * A transaction as a value: operations in the order of their puts, rows in an
 * arena, and a hash from key to operation so that a later put replaces the
 * earlier one in place. Independent of the engine.
 */
#include "store/rows.h"

#include <openssl/evp.h>
#include <string.h>
#include <uthash.h>

#define KEY_BYTES_MAX 512 /* node, partition and meta names are at most NAME_LEN_MAX   \
                           */

struct txn_op {
    enum txn_kind kind;
    const void *row;
    struct txn_op *next;
    UT_hash_handle hh; /* key bytes are in the arena, the kind first */
};

struct store_txn {
    struct arena arena;
    struct txn_op *first, **tail;
    struct txn_op *by_key;
};

struct store_txn *store_txn_create(void)
{
    struct store_txn *t = xcalloc(1, sizeof(*t));
    arena_init(&t->arena);
    t->tail = &t->first;
    return t;
}

void store_txn_destroy(struct store_txn *t)
{
    if (!t)
        return;
    HASH_CLEAR(hh, t->by_key);
    arena_fini(&t->arena);
    free(t);
}

bool store_txn_empty(const struct store_txn *t)
{
    return !t->first;
}

struct txn_op *txn_first(const struct store_txn *t)
{
    return t->first;
}

struct txn_op *txn_next(const struct txn_op *op)
{
    return op->next;
}

enum txn_kind txn_op_kind(const struct txn_op *op)
{
    return op->kind;
}

const void *txn_op_row(const struct txn_op *op)
{
    return op->row;
}

static void *bytes_copy(struct store_txn *t, const void *p, size_t n)
{
    char *copy = arena_alloc(&t->arena, n + 1);
    if (n)
        memcpy(copy, p, n);
    return copy;
}

static struct txn_op *op_append(struct store_txn *t, enum txn_kind kind,
                                const void *row)
{
    struct txn_op *op = arena_alloc(&t->arena, sizeof(*op));
    op->kind = kind;
    op->row = row;
    *t->tail = op;
    t->tail = &op->next;
    return op;
}

/* Keys are bytes that begin with the kind. */
static const char *key_make(struct store_txn *t, enum txn_kind kind, const void *p,
                            size_t n)
{
    uint32_t number = kind;
    char *key = arena_alloc(&t->arena, sizeof(number) + n);
    memcpy(key, &number, sizeof(number));
    memcpy(key + sizeof(number), p, n);
    return key;
}

static struct txn_op *op_find(struct store_txn *t, enum txn_kind kind, const void *p,
                              size_t n)
{
    char key[sizeof(uint32_t) + KEY_BYTES_MAX];
    uint32_t number = kind;
    struct txn_op *op;
    ASSERT(n <= KEY_BYTES_MAX);
    memcpy(key, &number, sizeof(number));
    memcpy(key + sizeof(number), p, n);
    HASH_FIND(hh, t->by_key, key, sizeof(number) + n, op);
    return op;
}

static void op_put(struct store_txn *t, enum txn_kind kind, const void *p, size_t n,
                   const void *row)
{
    struct txn_op *op = op_find(t, kind, p, n);
    if (op) {
        op->row = row;
        return;
    }
    op = op_append(t, kind, row);
    HASH_ADD_KEYPTR(hh, t->by_key, key_make(t, kind, p, n), sizeof(uint32_t) + n, op);
}

/* A digest that is not given keeps the one of the earlier put. */
static void digest_keep(unsigned char digest[32], const unsigned char earlier[32])
{
    static const unsigned char none[32];
    if (memcmp(digest, none, 32) == 0)
        memcpy(digest, earlier, 32);
}

void store_txn_put_job(struct store_txn *t, const struct store_job *row)
{
    struct store_job *copy = row_copy(&table_job, row, &t->arena);
    struct txn_op *op = op_find(t, TXN_JOB, &row->job_id, sizeof(row->job_id));
    if (op) {
        const struct store_job *earlier = op->row;
        digest_keep(copy->script, earlier->script);
        digest_keep(copy->env, earlier->env);
    }
    if (copy->live)
        copy->state_record.p = bytes_copy(t, row->state_record.p, row->state_record.n);
    else
        copy->state_record = (struct store_bytes){0};
    op_put(t, TXN_JOB, &row->job_id, sizeof(row->job_id), copy);
}

void store_txn_retire_job(struct store_txn *t, uint32_t job_id)
{
    struct txn_op *op = op_find(t, TXN_JOB, &job_id, sizeof(job_id));
    if (op) {
        struct store_job *row = (struct store_job *)op->row;
        row->live = false;
        return;
    }
    uint32_t *row = arena_alloc(&t->arena, sizeof(*row));
    *row = job_id;
    op_append(t, TXN_RETIRE, row);
}

void store_txn_put_alloc(struct store_txn *t, const struct store_alloc *row)
{
    uint32_t key[] = {row->job_id, row->restart};
    op_put(t, TXN_ALLOC, key, sizeof(key), row_copy(&table_alloc, row, &t->arena));
}

void store_txn_put_step(struct store_txn *t, const struct store_step *row)
{
    uint32_t key[] = {row->job_id, row->restart, row->step_id};
    op_put(t, TXN_STEP, key, sizeof(key), row_copy(&table_step, row, &t->arena));
}

static void put_named(struct store_txn *t, enum txn_kind kind, const char *name,
                      struct store_bytes record)
{
    struct txn_named *row = arena_alloc(&t->arena, sizeof(*row));
    row->name = arena_strdup(&t->arena, name);
    row->record = (struct store_bytes){bytes_copy(t, record.p, record.n), record.n};
    op_put(t, kind, name, strlen(name), row);
}

void store_txn_put_node(struct store_txn *t, const char *name,
                        struct store_bytes state_record)
{
    put_named(t, TXN_NODE, name, state_record);
}

void store_txn_put_partition(struct store_txn *t, const char *name,
                             struct store_bytes state_record)
{
    put_named(t, TXN_PARTITION, name, state_record);
}

void store_txn_put_tenant(struct store_txn *t, const char *name, struct store_bytes record)
{
    put_named(t, TXN_TENANT, name, record);
}

void store_txn_put_meta(struct store_txn *t, const char *key, struct store_bytes value)
{
    put_named(t, TXN_META, key, value);
}

void store_txn_put_node_event(struct store_txn *t, const struct store_node_event *row)
{
    struct store_node_event *copy = bytes_copy(t, row, sizeof(*row));
    copy->node = arena_strdup(&t->arena, row->node);
    copy->tres = arena_strdup(&t->arena, row->tres ? row->tres : "");
    copy->reason = arena_strdup(&t->arena, row->reason ? row->reason : "");
    op_append(t, TXN_NODE_EVENT, copy);
}

void store_txn_put_blob(struct store_txn *t, const void *p, size_t n,
                        unsigned char digest_out[32])
{
    unsigned len = 0;
    ASSERT(EVP_Digest(p, n, digest_out, &len, EVP_sha256(), NULL) == 1 && len == 32);
    if (op_find(t, TXN_BLOB, digest_out, 32))
        return;
    struct txn_blob *row = arena_alloc(&t->arena, sizeof(*row));
    memcpy(row->digest, digest_out, 32);
    row->data = (struct store_bytes){bytes_copy(t, p, n), n};
    op_put(t, TXN_BLOB, digest_out, 32, row);
}
