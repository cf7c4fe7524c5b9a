/* SPDX-License-Identifier: Apache-2.0
 *
 * statement: the text of every prepared statement. Those of the row tables are
 * made from rows.c.
 */
#include "store/engine.h"
#include "store/rows.h"

#define PUT_NAMED(table)                                                               \
    "INSERT INTO " table " (name, record) VALUES (?1, ?2)"                             \
    " ON CONFLICT (name) DO UPDATE SET record = excluded.record"

static const char *const fixed[STATEMENT_COUNT] = {
    [STATEMENT_BEGIN] = "BEGIN IMMEDIATE",
    [STATEMENT_COMMIT] = "COMMIT",
    [STATEMENT_ROLLBACK] = "ROLLBACK",
    [STATEMENT_PUT_LIVE] =
        "INSERT INTO job_live (job_id, record) VALUES (?1, ?2)"
        " ON CONFLICT (job_id) DO UPDATE SET record = excluded.record",
    [STATEMENT_DELETE_LIVE] = "DELETE FROM job_live WHERE job_id = ?1",
    [STATEMENT_PUT_NODE] = PUT_NAMED("node"),
    [STATEMENT_PUT_PARTITION] = PUT_NAMED("partition"),
    [STATEMENT_PUT_TENANT] = PUT_NAMED("tenant"),
    [STATEMENT_PUT_META] = PUT_NAMED("meta"),
    [STATEMENT_DELETE_NODE] = "DELETE FROM node WHERE name = ?1",
    [STATEMENT_DELETE_PARTITION] = "DELETE FROM partition WHERE name = ?1",
    [STATEMENT_DELETE_TENANT] = "DELETE FROM tenant WHERE name = ?1",
    [STATEMENT_DELETE_META] = "DELETE FROM meta WHERE name = ?1",
    [STATEMENT_CLOSE_NODE_EVENT] =
        "UPDATE node_event SET end_time = ?2 WHERE node = ?1 AND end_time = 0",
    [STATEMENT_PUT_NODE_EVENT] = "INSERT OR REPLACE INTO node_event (node, start_time, "
                                 "end_time, state, flags, cpus,"
                                 " mem_mib, tres, reason, reason_uid) VALUES (?1, ?2, "
                                 "0, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    [STATEMENT_PUT_BLOB] = "INSERT OR IGNORE INTO blob (digest, data) VALUES (?1, ?2)",
    [STATEMENT_EACH_META] = "SELECT name, 0, record FROM meta ORDER BY name",
    [STATEMENT_EACH_NODE] = "SELECT name, 0, record FROM node ORDER BY name",
    [STATEMENT_EACH_PARTITION] = "SELECT name, 0, record FROM partition ORDER BY name",
    [STATEMENT_EACH_TENANT] = "SELECT name, 0, record FROM tenant ORDER BY name",
    [STATEMENT_EACH_LIVE] = "SELECT '', job_id, record FROM job_live ORDER BY job_id",
    [STATEMENT_BLOB_SCRIPT] =
        "SELECT data FROM blob"
        " WHERE digest = (SELECT script FROM job WHERE job_id = ?1)",
    [STATEMENT_BLOB_ENV] = "SELECT data FROM blob"
                           " WHERE digest = (SELECT env FROM job WHERE job_id = ?1)",
};

static void sql_put(const struct table *t, struct buf *b)
{
    buf_printf(b, "INSERT INTO %s (", t->name);
    table_column_list(t, "", b);
    buf_puts(b, ") VALUES (");
    for (size_t i = 0; i < t->columns_count; i++)
        buf_puts(b, i ? ",?" : "?");
    buf_puts(b, ") ON CONFLICT (");
    for (size_t i = 0; i < t->keys_count; i++)
        buf_printf(b, "%s%s", i ? "," : "", t->columns[i].name);
    buf_puts(b, ") DO UPDATE SET ");
    for (size_t i = t->keys_count; i < t->columns_count; i++) {
        const struct column *c = &t->columns[i];
        /* a digest that is not given keeps the row's */
        const char *comma = i > t->keys_count ? "," : "";
        if (c->kind == COLUMN_DIGEST)
            buf_printf(b, "%s%s=coalesce(excluded.%s,%s)", comma, c->name, c->name,
                       c->name);
        else
            buf_printf(b, "%s%s=excluded.%s", comma, c->name, c->name);
    }
}

static void sql_get(const struct table *t, const char *where, struct buf *b)
{
    buf_puts(b, "SELECT ");
    table_column_list(t, "", b);
    buf_printf(b, " FROM %s WHERE %s", t->name, where);
}

char *statement_sql(enum statement slot)
{
    struct buf b;
    buf_init(&b);
    switch (slot) {
    case STATEMENT_PUT_JOB:
        sql_put(&table_job, &b);
        break;
    case STATEMENT_PUT_ALLOC:
        sql_put(&table_alloc, &b);
        break;
    case STATEMENT_PUT_STEP:
        sql_put(&table_step, &b);
        break;
    case STATEMENT_GET_JOB:
        sql_get(&table_job, "job_id = ?1", &b);
        break;
    case STATEMENT_GET_ALLOCS:
        sql_get(&table_alloc, "job_id = ?1 ORDER BY restart", &b);
        break;
    case STATEMENT_GET_RUNS:
        sql_get(&table_alloc, "job_id = ?1 AND restart < ?2 ORDER BY restart", &b);
        break;
    case STATEMENT_GET_STEPS:
        sql_get(&table_step, "job_id = ?1 AND restart = ?2 ORDER BY step_id", &b);
        break;
    default:
        ASSERT(slot < STATEMENT_COUNT && fixed[slot]);
        buf_puts(&b, fixed[slot]);
    }
    return buf_steal(&b);
}
