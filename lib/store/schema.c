/* SPDX-License-Identifier: Apache-2.0
 *
 * schema: how an empty file becomes today's, one version at a time. A released
 * migration is never edited; a change is a new one at the end, and
 * STORE_SCHEMA_VERSION is their number.
 *
 * Indexes are few because each one is paid for at every submission:
 *   job_end    only finished jobs; holds uid, so that "this user's jobs since
 *              midnight" reads the index and nothing else. Written once a job.
 *   job_array  only array tasks.
 *   job_het    only components of heterogeneous jobs.
 *   alloc_end  reports: runs that ended in a window. Written once a run.
 * Unfinished jobs are found through job_live, which is small.
 *
 * job_live keeps the core's records apart from the history: a start-up reads
 * them in one dense sweep, and they leave no hole in the job table.
 */
#include "store/engine.h"

#include "base/timefmt.h"

#include <stdio.h>

static const char schema_1[] =
    "CREATE TABLE meta (name TEXT NOT NULL PRIMARY KEY, record BLOB NOT NULL) WITHOUT "
    "ROWID;"
    "CREATE TABLE node (name TEXT NOT NULL PRIMARY KEY, record BLOB NOT NULL) WITHOUT "
    "ROWID;"
    "CREATE TABLE partition (name TEXT NOT NULL PRIMARY KEY, record BLOB NOT NULL)"
    " WITHOUT ROWID;"
    "CREATE TABLE job_live (job_id INTEGER PRIMARY KEY, record BLOB NOT NULL);"
    "CREATE TABLE job ("
    " job_id INTEGER PRIMARY KEY, array_job_id INTEGER, array_task_id INTEGER,"
    " uid INTEGER, gid INTEGER, restart INTEGER, state INTEGER, state_flags INTEGER,"
    " priority INTEGER, reason INTEGER, cancelled_by INTEGER,"
    " submit INTEGER, eligible INTEGER, start_time INTEGER, end_time INTEGER,"
    " time_limit INTEGER, suspended INTEGER,"
    " req_cpus INTEGER, req_nodes INTEGER, ntasks INTEGER, req_mem_mib INTEGER,"
    " nodes_count INTEGER, cpus INTEGER, exit_status INTEGER, derived_exit INTEGER,"
    " user_name TEXT, group_name TEXT, account TEXT, partition_name TEXT, qos TEXT,"
    " name TEXT, wckey TEXT, comment TEXT, work_dir TEXT, submit_line TEXT,"
    " reservation TEXT, constraints TEXT, array_tasks TEXT,"
    " tres_req TEXT, tres_alloc TEXT, nodelist TEXT, script BLOB, env BLOB);"
    "CREATE INDEX job_end ON job (end_time, uid) WHERE end_time > 0;"
    "CREATE INDEX job_array ON job (array_job_id) WHERE array_job_id > 0;"
    "CREATE TABLE alloc ("
    " job_id INTEGER NOT NULL, restart INTEGER NOT NULL, state INTEGER,"
    " exit_status INTEGER, nodes_count INTEGER, cpus INTEGER, mem_mib INTEGER,"
    " start_time INTEGER, end_time INTEGER, suspended INTEGER,"
    " partition_name TEXT, account TEXT, user_name TEXT, qos TEXT, nodelist TEXT, tres "
    "TEXT,"
    " PRIMARY KEY (job_id, restart)) WITHOUT ROWID;"
    "CREATE INDEX alloc_end ON alloc (end_time) WHERE end_time > 0;"
    "CREATE TABLE step ("
    " job_id INTEGER NOT NULL, restart INTEGER NOT NULL, step_id INTEGER NOT NULL,"
    " state INTEGER, exit_status INTEGER, nodes_count INTEGER, ntasks INTEGER,"
    " cpus INTEGER, cancelled_by INTEGER,"
    " start_time INTEGER, end_time INTEGER, suspended INTEGER,"
    " user_cpu_usec INTEGER, system_cpu_usec INTEGER, rss_max_kib INTEGER,"
    " rss_ave_kib INTEGER, vsize_max_kib INTEGER, read_bytes INTEGER, write_bytes "
    "INTEGER,"
    " page_faults INTEGER, rss_max_task INTEGER, rss_max_node TEXT,"
    " name TEXT, nodelist TEXT, tres TEXT, layout TEXT, command TEXT,"
    " PRIMARY KEY (job_id, restart, step_id)) WITHOUT ROWID;"
    "CREATE TABLE node_event ("
    " node TEXT NOT NULL, start_time INTEGER NOT NULL, end_time INTEGER NOT NULL,"
    " state INTEGER, flags INTEGER, cpus INTEGER, mem_mib INTEGER, tres TEXT,"
    " reason TEXT, reason_uid INTEGER, PRIMARY KEY (node, start_time)) WITHOUT ROWID;"
    "CREATE INDEX node_event_open ON node_event (node) WHERE end_time = 0;"
    "CREATE TABLE blob (digest BLOB NOT NULL UNIQUE, data BLOB NOT NULL);";

/* Accounts, users, QOS and what they have used: one record each, by name. */
static const char schema_2[] =
    "CREATE TABLE tenant (name TEXT NOT NULL PRIMARY KEY, record BLOB NOT NULL)"
    " WITHOUT ROWID;";

/* Components of heterogeneous jobs. */
static const char schema_3[] =
    "ALTER TABLE job ADD COLUMN het_job_id INTEGER;"
    "ALTER TABLE job ADD COLUMN het_offset INTEGER;"
    "CREATE INDEX job_het ON job (het_job_id) WHERE het_job_id > 0;";

static const char *const migrations[STORE_SCHEMA_VERSION] = {schema_1, schema_2, schema_3};

static int version_read(struct store *s, int *version, struct err *err)
{
    sqlite3_stmt *st = NULL;
    *version = 0;
    /* 0 for a file without tables, -1 for tables that are not ours. */
    int rc = sqlite3_prepare_v2(s->db,
                                "SELECT count(*), sum(name = 'schema_version')"
                                " FROM sqlite_schema WHERE type = 'table'",
                                -1, &st, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    int tables = rc == SQLITE_ROW ? sqlite3_column_int(st, 0) : 0;
    int ours = rc == SQLITE_ROW ? sqlite3_column_int(st, 1) : 0;
    sqlite3_finalize(st);
    if (rc != SQLITE_ROW)
        return engine_fail(s, err, "read its schema version");
    if (!ours)
        *version = tables ? -1 : 0;
    if (!ours)
        return 0;
    st = NULL;
    rc = sqlite3_prepare_v2(s->db, "SELECT max(version) FROM schema_version", -1, &st,
                            NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    if (rc == SQLITE_ROW)
        *version = sqlite3_column_int(st, 0);
    sqlite3_finalize(st);
    return rc == SQLITE_ROW ? 0 : engine_fail(s, err, "read its schema version");
}

static int version_check(struct store *s, int *version, struct err *err)
{
    int rc = version_read(s, version, err);
    if (rc)
        return rc;
    if (*version < 0)
        return err_set(err, SL_ESTORE,
                       "store %s: this is a database of another program; "
                       "choose another path",
                       s->path);
    if (*version > STORE_SCHEMA_VERSION)
        return err_set(err, SL_ESTORE,
                       "store %s: its schema version %d is newer than this "
                       "program's %d; use the newer program",
                       s->path, *version, STORE_SCHEMA_VERSION);
    return 0;
}

int schema_check(struct store *s, struct err *err)
{
    int version, rc = version_check(s, &version, err);
    if (!rc && version < STORE_SCHEMA_VERSION)
        return err_set(err, SL_ESTORE,
                       "store %s: its schema version %d is older than this "
                       "program's %d; start the controller once to migrate it",
                       s->path, version, STORE_SCHEMA_VERSION);
    return rc;
}

static int version_write(struct store *s, int version, struct err *err)
{
    char sql[160];
    snprintf(sql, sizeof(sql),
             "INSERT INTO schema_version (version, migrated) VALUES (%d, %lld)",
             version, (long long)clock_wall_usec());
    return engine_exec(s, sql, "migrate its schema", err);
}

int schema_migrate(struct store *s, struct err *err)
{
    int version, rc = version_check(s, &version, err);
    if (rc || version == STORE_SCHEMA_VERSION)
        return rc;
    rc = engine_exec(s, "BEGIN EXCLUSIVE", "migrate its schema", err);
    if (!rc)
        rc = engine_exec(s,
                         "CREATE TABLE IF NOT EXISTS schema_version"
                         " (version INTEGER PRIMARY KEY, migrated INTEGER NOT NULL)",
                         "migrate its schema", err);
    for (; !rc && version < STORE_SCHEMA_VERSION; version++) {
        rc = engine_exec(s, migrations[version], "migrate its schema", err);
        if (!rc)
            rc = version_write(s, version + 1, err);
    }
    if (!rc)
        rc = engine_exec(s, "COMMIT", "migrate its schema", err);
    if (rc && !sqlite3_get_autocommit(s->db))
        sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
    return rc;
}
