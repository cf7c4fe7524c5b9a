/* SPDX-License-Identifier: Apache-2.0
 *
 * Every write, sync and truncation that a commit makes fails in turn: an SQLite
 * VFS over the system's counts down and then refuses. Whatever fails, the store
 * afterwards holds the transaction wholly or not at all, wholly if the commit
 * said so, and the same transaction can be tried again.
 */
#include "unit/store_dir.h"
#include "unit/store_sample.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sqlite3.h>
#include <cmocka.h>

static struct {
    int countdown; /* operations until the failure; negative: never */
    int failure;   /* SQLITE_IOERR_WRITE or SQLITE_FULL */
    int lasting;   /* fails until disarmed, as a full disk does; else once */
    int operations, syncs;
} fault;

static struct err err;

static int fault_due(int code)
{
    fault.operations++;
    if (fault.countdown < 0)
        return SQLITE_OK;
    if (fault.countdown > 0) {
        fault.countdown--;
        return SQLITE_OK;
    }
    if (!fault.lasting)
        fault.countdown = -1;
    return fault.failure == SQLITE_FULL ? SQLITE_FULL : code;
}

/* ---- the shim: the system's file methods with three of them replaced ------- */

struct shim_file {
    sqlite3_file base;
    sqlite3_file *real;
};

static sqlite3_vfs *real_vfs;
#define REAL(file) (((struct shim_file *)(file))->real)
#define PASS(name, params, args)                                                       \
    static int shim_##name params                                                      \
    {                                                                                  \
        return REAL(f)->pMethods->x##name args;                                        \
    }

PASS(Read, (sqlite3_file * f, void *p, int n, sqlite3_int64 at), (REAL(f), p, n, at))
PASS(FileSize, (sqlite3_file * f, sqlite3_int64 *n), (REAL(f), n))
PASS(Lock, (sqlite3_file * f, int lock), (REAL(f), lock))
PASS(Unlock, (sqlite3_file * f, int lock), (REAL(f), lock))
PASS(CheckReservedLock, (sqlite3_file * f, int *out), (REAL(f), out))
PASS(FileControl, (sqlite3_file * f, int op, void *arg), (REAL(f), op, arg))
PASS(SectorSize, (sqlite3_file * f), (REAL(f)))
PASS(DeviceCharacteristics, (sqlite3_file * f), (REAL(f)))
PASS(ShmMap, (sqlite3_file * f, int region, int size, int extend, void volatile **p),
     (REAL(f), region, size, extend, p))
PASS(ShmLock, (sqlite3_file * f, int at, int n, int flags), (REAL(f), at, n, flags))
PASS(ShmUnmap, (sqlite3_file * f, int remove), (REAL(f), remove))

static void shim_ShmBarrier(sqlite3_file *f)
{
    REAL(f)->pMethods->xShmBarrier(REAL(f));
}

static int shim_Close(sqlite3_file *f)
{
    int rc = REAL(f)->pMethods->xClose(REAL(f));
    sqlite3_free(REAL(f));
    return rc;
}

static int shim_Write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
    int rc = fault_due(SQLITE_IOERR_WRITE);
    return rc ? rc : REAL(f)->pMethods->xWrite(REAL(f), p, n, at);
}

static int shim_Truncate(sqlite3_file *f, sqlite3_int64 n)
{
    int rc = fault_due(SQLITE_IOERR_TRUNCATE);
    return rc ? rc : REAL(f)->pMethods->xTruncate(REAL(f), n);
}

static int shim_Sync(sqlite3_file *f, int flags)
{
    fault.syncs++;
    int rc = fault_due(SQLITE_IOERR_FSYNC);
    if (rc)
        return rc == SQLITE_FULL ? SQLITE_IOERR_FSYNC : rc;
    return REAL(f)->pMethods->xSync(REAL(f), flags);
}

static const sqlite3_io_methods shim_methods = {
    .iVersion = 2,
    .xClose = shim_Close,
    .xRead = shim_Read,
    .xWrite = shim_Write,
    .xTruncate = shim_Truncate,
    .xSync = shim_Sync,
    .xFileSize = shim_FileSize,
    .xLock = shim_Lock,
    .xUnlock = shim_Unlock,
    .xCheckReservedLock = shim_CheckReservedLock,
    .xFileControl = shim_FileControl,
    .xSectorSize = shim_SectorSize,
    .xDeviceCharacteristics = shim_DeviceCharacteristics,
    .xShmMap = shim_ShmMap,
    .xShmLock = shim_ShmLock,
    .xShmBarrier = shim_ShmBarrier,
    .xShmUnmap = shim_ShmUnmap,
};

static int shim_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags,
                     int *out)
{
    (void)vfs;
    struct shim_file *file = (struct shim_file *)f;
    file->base.pMethods = NULL;
    file->real = sqlite3_malloc(real_vfs->szOsFile);
    memset(file->real, 0, (size_t)real_vfs->szOsFile);
    int rc = real_vfs->xOpen(real_vfs, name, file->real, flags, out);
    if (rc == SQLITE_OK)
        file->base.pMethods = &shim_methods;
    else
        sqlite3_free(file->real);
    return rc;
}

static int shim_install(void **state)
{
    (void)state;
    static sqlite3_vfs vfs;
    real_vfs = sqlite3_vfs_find(NULL);
    vfs = *real_vfs;
    vfs.pNext = NULL;
    vfs.zName = "fault";
    vfs.szOsFile = sizeof(struct shim_file);
    vfs.xOpen = shim_open;
    fault.countdown = -1;
    return sqlite3_vfs_register(&vfs, 1);
}

/* ---- the drill ------------------------------------------------------------- */

static int count_record(const char *name, uint64_t key, struct store_bytes record,
                        void *arg)
{
    (void)name;
    (void)key;
    (void)record;
    ++*(int *)arg;
    return 0;
}

static int count_step(const struct store_step *row, void *arg)
{
    (void)row;
    ++*(int *)arg;
    return 0;
}

#define JOBS 20u

/* How much of the second transaction is there, in parts of 2 * JOBS + 2. */
static int parts(struct store *s)
{
    int live = 0, meta = 0, steps = 0, blob = 0;
    assert_int_equal(store_each_live_job(s, count_record, &live, &err), 0);
    assert_int_equal(store_each_meta(s, count_record, &meta, &err), 0);
    for (uint32_t id = 100; id < 100 + JOBS; id++)
        assert_int_equal(store_query_steps(s, id, 0, count_step, &steps, &err), 0);
    void *p;
    size_t n;
    if (store_job_blob(s, 100, "script", &p, &n, &err) == 0) {
        free(p);
        blob = 1;
    }
    return live - 1 + meta - 1 + steps + blob;
}

static struct store *open_ok(struct store_dir *d)
{
    struct store *s = store_open(d->url, false, &err);
    if (!s)
        fail_msg("%s", err.text);
    return s;
}

static struct store_txn *first_txn(void)
{
    struct store_txn *t = store_txn_create();
    struct store_job job = sample_job(1);
    store_txn_put_job(t, &job);
    store_txn_put_meta(t, "a", (struct store_bytes){"1", 1});
    return t;
}

static struct store_txn *second_txn(size_t script_bytes)
{
    struct store_txn *t = store_txn_create();
    unsigned char digest[32];
    char *script = calloc(1, script_bytes);
    store_txn_put_blob(t, script, script_bytes, digest);
    free(script);
    for (uint32_t id = 100; id < 100 + JOBS; id++) {
        struct store_job job = sample_job(id);
        struct store_step step = sample_step(&job, 0);
        memcpy(job.script, digest, 32);
        store_txn_put_job(t, &job);
        store_txn_put_step(t, &step);
    }
    store_txn_put_meta(t, "b", (struct store_bytes){"2", 1});
    return t;
}

/* The nth operation of the second commit fails. true: the commit needed fewer. */
static bool drill(size_t script_bytes, int nth, int failure, int lasting)
{
    const int all = 2 * JOBS + 2;
    struct store_dir d;
    store_dir_init(&d);
    struct store *s = open_ok(&d);
    struct store_txn *t = first_txn();
    assert_int_equal(store_commit(s, t, &err), 0);
    store_txn_destroy(t);
    t = second_txn(script_bytes);
    fault.countdown = nth;
    fault.failure = failure;
    fault.lasting = lasting;
    int rc = store_commit(s, t, &err);
    bool reached = fault.countdown < 0 || (lasting && fault.countdown == 0);
    fault.countdown = -1;
    assert_int_equal(parts(s), rc ? 0 : all);
    if (rc)
        assert_int_equal(rc, SL_ESTORE);
    if (nth % 2) { /* restart in between, or not */
        store_close(s);
        s = open_ok(&d);
        int n = parts(s);
        assert_true(n == all || (rc && n == 0));
    }
    assert_int_equal(store_commit(s, t, &err), 0);
    assert_int_equal(parts(s), all);
    store_txn_destroy(t);
    assert_int_equal(store_integrity_check(s, &err), 0);
    store_close(s);
    s = open_ok(&d);
    assert_int_equal(parts(s), all);
    store_close(s);
    store_dir_fini(&d);
    return !reached;
}

static void each_operation_of_a_commit_fails_in_turn(void **state)
{
    (void)state;
    static const int failures[] = {SQLITE_IOERR_WRITE, SQLITE_FULL};
    for (int i = 0; i < 2; i++)
        for (int lasting = 0; lasting < 2; lasting++) {
            int nth = 0;
            while (!drill(100, nth, failures[i], lasting))
                nth++;
            print_message("%d operations failed in turn\n", nth);
            assert_true(nth > 10);
        }
}

/* Large enough for a checkpoint: the commit is durable before it, so that a
 * failure there is not the transaction's. */
static void failures_of_the_checkpoint_lose_nothing(void **state)
{
    (void)state;
    int nth = 3, drills = 0;
    while (!drill(17 << 20, nth, SQLITE_FULL, 1)) {
        nth += 1499;
        drills++;
    }
    print_message("%d drills over %d operations\n", drills, nth);
    assert_true(drills > 3);
}

static void an_acknowledged_commit_was_synced(void **state)
{
    (void)state;
    struct store_dir d;
    store_dir_init(&d);
    struct store *s = open_ok(&d);
    for (uint32_t i = 0; i < 10; i++) {
        struct store_txn *t = store_txn_create();
        store_txn_put_meta(t, "n", (struct store_bytes){&i, sizeof(i)});
        fault.syncs = 0;
        assert_int_equal(store_commit(s, t, &err), 0);
        assert_true(fault.syncs >= 1);
        store_txn_destroy(t);
    }
    store_close(s);
    store_dir_fini(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_operation_of_a_commit_fails_in_turn),
        cmocka_unit_test(failures_of_the_checkpoint_lose_nothing),
        cmocka_unit_test(an_acknowledged_commit_was_synced),
    };
    return cmocka_run_group_tests(tests, shim_install, NULL);
}
