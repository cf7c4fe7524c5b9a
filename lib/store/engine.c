/* SPDX-License-Identifier: Apache-2.0
 *
 * engine: opening, statements and failures of the SQLite connection.
 */
#include "store/engine.h"

#include "base/buf.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define URL_SQLITE "sqlite:"
/* Below this the log of a database that had a burst is cut back on disk. */
#define SETTINGS_WRITER                                                                \
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=OFF;"       \
    "PRAGMA temp_store=MEMORY; PRAGMA wal_autocheckpoint=0; PRAGMA cache_size=-16384;" \
    "PRAGMA journal_size_limit=67108864;"
#define SETTINGS_READER "PRAGMA temp_store=MEMORY; PRAGMA query_only=ON;"

static const char *advice(int code)
{
    switch (code & 0xff) {
    case SQLITE_FULL:
        return "; free space on its file system";
    case SQLITE_IOERR:
        return "; check the disk and its file system";
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return "; restore it from a backup";
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
        return "; check its permissions and its directory's";
    default:
        return "";
    }
}

int engine_fail(struct store *s, struct err *err, const char *what)
{
    int code = sqlite3_extended_errcode(s->db);
    int os = sqlite3_system_errno(s->db);
    bool os_known =
        os && ((code & 0xff) == SQLITE_IOERR || (code & 0xff) == SQLITE_CANTOPEN ||
               (code & 0xff) == SQLITE_FULL);
    return err_set(err, SL_ESTORE, "store %s: cannot %s: %s%s%s%s", s->path, what,
                   sqlite3_errmsg(s->db), os_known ? ": " : "",
                   os_known ? strerror(os) : "", advice(code));
}

sqlite3_stmt *engine_statement(struct store *s, enum statement slot, struct err *err)
{
    if (s->statements[slot])
        return s->statements[slot];
    char *sql = statement_sql(slot);
    int rc = sqlite3_prepare_v3(s->db, sql, -1, SQLITE_PREPARE_PERSISTENT,
                                &s->statements[slot], NULL);
    free(sql);
    if (rc != SQLITE_OK) {
        engine_fail(s, err, "prepare a statement");
        return NULL;
    }
    return s->statements[slot];
}

int engine_exec(struct store *s, const char *sql, const char *what, struct err *err)
{
    if (sqlite3_exec(s->db, sql, NULL, NULL, NULL) != SQLITE_OK)
        return engine_fail(s, err, what);
    return 0;
}

static int wal_pages_note(void *arg, sqlite3 *db, const char *name, int pages)
{
    struct store *s = arg;
    (void)db;
    (void)name;
    s->wal_pages = pages;
    return SQLITE_OK;
}

static int connection_open(struct store *s, struct err *err)
{
    int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE |
                (s->read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE);
    int rc = sqlite3_open_v2(s->path, &s->db, flags, NULL);
    ASSERT(s->db);
    sqlite3_extended_result_codes(s->db, 1);
    if (rc != SQLITE_OK)
        return engine_fail(s, err, "open");
    sqlite3_busy_timeout(s->db, BUSY_WAIT_MSEC);
    return engine_exec(s, s->read_only ? SETTINGS_READER : SETTINGS_WRITER, "open",
                       err);
}

static int url_path(const char *url, char **path, struct err *err)
{
    if (strncmp(url, "postgresql:", 11) == 0 || strncmp(url, "postgres:", 9) == 0)
        return err_set(err, SL_ENOT_BUILT,
                       "store %s: PostgreSQL is not built yet; use "
                       "sqlite:PATH",
                       url);
    const char *rest = url + strlen(URL_SQLITE);
    if (strncmp(url, URL_SQLITE, strlen(URL_SQLITE)) != 0 || !*rest || *rest == ':')
        return err_set(err, SL_ESTORE, "store \"%s\": not a store; write sqlite:PATH",
                       url);
    *path = xstrdup(rest);
    return 0;
}

struct store *store_open(const char *url, bool read_only, struct err *err)
{
    char *path = NULL;
    if (url_path(url, &path, err))
        return NULL;
    struct store *s = xcalloc(1, sizeof(*s));
    s->path = path;
    s->read_only = read_only;
    s->lock_fd = -1;
    int rc = read_only ? 0 : lock_take(path, &s->lock_fd, err);
    if (!rc)
        rc = connection_open(s, err);
    if (!rc)
        rc = read_only ? schema_check(s, err) : schema_migrate(s, err);
    if (rc) {
        store_close(s);
        return NULL;
    }
    if (!read_only)
        sqlite3_wal_hook(s->db, wal_pages_note, s);
    return s;
}

void store_close(struct store *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < STATEMENT_COUNT; i++)
        sqlite3_finalize(s->statements[i]);
    sqlite3_close(s->db);
    if (s->lock_fd >= 0)
        close(s->lock_fd);
    free(s->path);
    free(s);
}

int store_integrity_check(struct store *s, struct err *err)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(s->db, "PRAGMA quick_check(1)", -1, &st, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    const char *text =
        rc == SQLITE_ROW ? (const char *)sqlite3_column_text(st, 0) : NULL;
    int result = 0;
    if (!text)
        result = engine_fail(s, err, "check its integrity");
    else if (strcmp(text, "ok") != 0)
        result =
            err_set(err, SL_ESTORE, "store %s: damaged: %s; restore it from a backup",
                    s->path, text);
    sqlite3_finalize(st);
    return result;
}
