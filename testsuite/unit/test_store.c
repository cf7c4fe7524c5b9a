/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/store_dir.h"
#include "unit/store_sample.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "base/buf.h"

static struct err err;

static int setup(void **state)
{
    struct store_dir *d = xcalloc(1, sizeof(*d));
    store_dir_init(d);
    *state = d;
    return 0;
}

static int teardown(void **state)
{
    store_dir_fini(*state);
    free(*state);
    return 0;
}

static struct store *open_ok(struct store_dir *d, bool read_only)
{
    struct store *s = store_open(d->url, read_only, &err);
    if (!s)
        fail_msg("%s", err.text);
    return s;
}

static void commit_ok(struct store *s, struct store_txn *t)
{
    if (store_commit(s, t, &err))
        fail_msg("%s", err.text);
    store_txn_destroy(t);
}

static void put_jobs(struct store *s, const struct store_job *jobs, size_t n)
{
    struct store_txn *t = store_txn_create();
    for (size_t i = 0; i < n; i++)
        store_txn_put_job(t, &jobs[i]);
    commit_ok(s, t);
}

/* The file as another program sees it: one number. */
static long long sql_number(struct store_dir *d, const char *sql)
{
    sqlite3 *db;
    sqlite3_stmt *st;
    assert_int_equal(sqlite3_open(d->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    long long n = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    sqlite3_close(db);
    return n;
}

static void sql_run(const char *path, const char *sql)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

/* ---- opening --------------------------------------------------------------------- */

static void wrong_urls_are_refused(void **state)
{
    (void)state;
    assert_null(store_open("sqlite:", false, &err));
    assert_null(store_open("sqlite::memory:", false, &err));
    assert_null(store_open("/tmp/x", false, &err));
    assert_non_null(strstr(err.text, "sqlite:PATH"));
    assert_null(store_open("postgresql://db/slurmlike", false, &err));
    assert_int_equal(err.code, SL_ENOT_BUILT);
}

static void a_new_store_is_private(void **state)
{
    struct store_dir *d = *state;
    struct stat st;
    char name[160];
    umask(0);
    struct store *s = open_ok(d, false);
    struct store_job job = sample_job(1);
    put_jobs(s, &job, 1);
    assert_int_equal(stat(d->path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    snprintf(name, sizeof(name), "%s-wal", d->path);
    assert_int_equal(stat(name, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    snprintf(name, sizeof(name), "%s/state", d->dir);
    assert_int_equal(stat(name, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    store_close(s);
    umask(022);
}

static void a_second_writer_is_told_the_pid(void **state)
{
    struct store_dir *d = *state;
    struct store *s = open_ok(d, false);
    char pid[32];
    snprintf(pid, sizeof(pid), "process %d", (int)getpid());
    assert_null(store_open(d->url, false, &err));
    assert_int_equal(err.code, SL_ESTORE);
    assert_non_null(strstr(err.text, pid));
    store_close(open_ok(d, true));
    store_close(s);
    store_close(open_ok(d, false));
}

static void a_missing_store_is_not_made_by_a_reader(void **state)
{
    struct store_dir *d = *state;
    assert_null(store_open(d->url, true, &err));
    assert_int_equal(err.code, SL_ESTORE);
    assert_non_null(strstr(err.text, d->path));
    assert_int_equal(access(d->path, F_OK), -1);
}

static void a_newer_schema_is_refused(void **state)
{
    struct store_dir *d = *state;
    store_close(open_ok(d, false));
    sql_run(d->path, "INSERT INTO schema_version VALUES (99, 0)");
    assert_null(store_open(d->url, false, &err));
    assert_non_null(strstr(err.text, "99"));
    assert_non_null(strstr(err.text, "newer"));
    assert_null(store_open(d->url, true, &err));
    assert_non_null(strstr(err.text, "newer"));
}

static void another_programs_database_is_refused(void **state)
{
    struct store_dir *d = *state;
    store_close(open_ok(d, false));
    sql_run(d->path, "DROP TABLE schema_version");
    assert_null(store_open(d->url, false, &err));
    assert_non_null(strstr(err.text, "another program"));
}

static void garbage_is_refused(void **state)
{
    struct store_dir *d = *state;
    store_close(open_ok(d, false));
    FILE *f = fopen(d->path, "w");
    for (int i = 0; i < 4096; i++)
        fputc('x', f);
    fclose(f);
    assert_null(store_open(d->url, false, &err));
    assert_int_equal(err.code, SL_ESTORE);
    assert_non_null(strstr(err.text, "backup"));
}

static void damage_is_found(void **state)
{
    struct store_dir *d = *state;
    struct store *s = open_ok(d, false);
    for (uint32_t id = 1; id < 200; id++) {
        struct store_job job = sample_job(id);
        put_jobs(s, &job, 1);
    }
    assert_int_equal(store_integrity_check(s, &err), 0);
    store_close(s);
    struct stat st;
    assert_int_equal(stat(d->path, &st), 0);
    FILE *f = fopen(d->path, "r+");
    for (long at = st.st_size / 2; at < st.st_size; at += 512) {
        fseek(f, at, SEEK_SET);
        fputs("damage", f);
    }
    fclose(f);
    s = open_ok(d, true);
    assert_int_equal(store_integrity_check(s, &err), SL_ESTORE);
    assert_non_null(strstr(err.text, "damaged"));
    store_close(s);
}

static void a_reader_cannot_commit(void **state)
{
    struct store_dir *d = *state;
    store_close(open_ok(d, false));
    struct store *s = open_ok(d, true);
    struct store_txn *t = store_txn_create();
    assert_true(store_txn_empty(t));
    store_txn_retire_job(t, 1);
    assert_false(store_txn_empty(t));
    assert_int_equal(store_commit(s, t, &err), SL_ESTORE);
    store_txn_destroy(t);
    store_close(s);
}

/* ---- what is put comes back ------------------------------------------------ */

struct seen {
    char text[512];
    size_t count;
};

static int see_record(const char *name, uint64_t key, struct store_bytes record,
                      void *arg)
{
    struct seen *seen = arg;
    size_t n = strlen(seen->text);
    snprintf(seen->text + n, sizeof(seen->text) - n, "%s%s%llu=%.*s", n ? " " : "",
             name, (unsigned long long)key, (int)record.n, (const char *)record.p);
    seen->count++;
    return 0;
}

static const char *live(struct store *s)
{
    static struct seen seen;
    seen = (struct seen){0};
    assert_int_equal(store_each_live_job(s, see_record, &seen, &err), 0);
    return seen.text;
}

static struct store_job live_job(uint32_t id, const char *record)
{
    struct store_job job = sample_job(id);
    job.state_record = (struct store_bytes){record, strlen(record)};
    return job;
}

static void live_jobs_come_back_in_order(void **state)
{
    struct store_dir *d = *state;
    struct store *s = open_ok(d, false);
    struct store_job jobs[] = {live_job(7, "g"), live_job(3, "c"), live_job(5, "e")};
    put_jobs(s, jobs, 3);
    assert_string_equal(live(s), "3=c 5=e 7=g");
    jobs[1].live = false; /* the row has it */
    put_jobs(s, &jobs[1], 1);
    struct store_txn *t = store_txn_create();
    store_txn_retire_job(t, 7); /* only the id is known */
    store_txn_retire_job(t, 4711);
    commit_ok(s, t);
    store_close(s);
    s = open_ok(d, false);
    assert_string_equal(live(s), "5=e");
    store_close(s);
    assert_int_equal(sql_number(d, "SELECT count(*) FROM job"), 3);
}

static void the_last_put_of_a_transaction_counts(void **state)
{
    struct store_dir *d = *state;
    struct store *s = open_ok(d, false);
    struct store_txn *t = store_txn_create();
    struct store_job a = live_job(1, "old"), b = live_job(1, "new"),
                     c = live_job(2, "x");
    store_txn_put_job(t, &a);
    store_txn_put_job(t, &c);
    store_txn_put_job(t, &b);
    store_txn_retire_job(t, 2); /* after its put */
    store_txn_retire_job(t, 3);
    c.job_id = 3;
    store_txn_put_job(t, &c); /* after its retirement */
    store_txn_put_meta(t, "k", (struct store_bytes){"1", 1});
    store_txn_put_meta(t, "k", (struct store_bytes){"2", 1});
    commit_ok(s, t);
    assert_string_equal(live(s), "1=new 3=x");
    struct seen seen = {0};
    store_each_meta(s, see_record, &seen, &err);
    assert_string_equal(seen.text, "k0=2");
    store_close(s);
    assert_int_equal(sql_number(d, "SELECT count(*) FROM job"), 3);
}

static void a_put_copies(void **state)
{
    struct store_dir *d = *state;
    struct store *s = open_ok(d, false);
    struct store_txn *t = store_txn_create();
    char record[] = "abc", name[] = "n1";
    struct store_job job = live_job(1, record);
    store_txn_put_job(t, &job);
    store_txn_put_node(t, name, job.state_record);
    memset(record, 'z', 3);
    memset(name, 'z', 2);
    commit_ok(s, t);
    assert_string_equal(live(s), "1=abc");
    struct seen seen = {0};
    store_each_node(s, see_record, &seen, &err);
    assert_string_equal(seen.text, "n10=abc");
    store_close(s);
}

static void an_empty_record_removes_a_name(void **state)
{
    struct store_dir *d = *state;
    struct store *s = open_ok(d, false);
    struct store_txn *t = store_txn_create();
    store_txn_put_partition(t, "b", (struct store_bytes){"2", 1});
    store_txn_put_partition(t, "a", (struct store_bytes){"1", 1});
    commit_ok(s, t);
    t = store_txn_create();
    store_txn_put_partition(t, "a", (struct store_bytes){NULL, 0});
    commit_ok(s, t);
    struct seen seen = {0};
    store_each_partition(s, see_record, &seen, &err);
    assert_string_equal(seen.text, "b0=2");
    store_close(s);
}

static void blobs_are_kept_once_and_found_by_job(void **state)
{
    struct store_dir *d = *state;
    struct store *s = open_ok(d, false);
    static const unsigned char abc[32] = {
        /* SHA-256("abc"), FIPS 180-2 */
        0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40,
        0xde, 0x5d, 0xae, 0x22, 0x23, 0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17,
        0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad};
    for (uint32_t id = 1; id <= 3; id++) {
        struct store_txn *t = store_txn_create();
        struct store_job job = sample_job(id);
        store_txn_put_blob(t, "abc", 3, job.script);
        store_txn_put_blob(t, "abc", 3, job.env);
        assert_memory_equal(job.script, abc, 32);
        store_txn_put_job(t, &job);
        memset(job.script, 0, 32); /* not given: the earlier digest stays, here ... */
        store_txn_put_job(t, &job);
        commit_ok(s, t);
        memset(job.env, 0, 32);
        put_jobs(s, &job, 1); /* ... and in the file */
        if (id == 2) {
            store_close(s);
            s = open_ok(d, false);
        }
    }
    void *p;
    size_t n;
    assert_int_equal(store_job_blob(s, 2, "script", &p, &n, &err), 0);
    assert_int_equal(n, 3);
    assert_string_equal(p, "abc");
    free(p);
    assert_int_equal(store_job_blob(s, 3, "env", &p, &n, &err), 0);
    free(p);
    assert_int_equal(store_job_blob(s, 9, "script", &p, &n, &err), -ENOENT);
    store_close(s);
    assert_int_equal(sql_number(d, "SELECT count(*) FROM blob"), 1);
}

static void a_node_event_closes_the_one_before(void **state)
{
    struct store_dir *d = *state;
    struct store *s = open_ok(d, false);
    static const struct store_node_event events[] = {
        {.node = "n1", .start = 100, .state = 2, .cpus = 8},
        {.node = "n2", .start = 100, .state = 2},
        {.node = "n1", .start = 200, .state = 1, .reason = "lost"},
        {.node = "n1", .start = 200, .state = 1, .reason = "lost, really"},
        {.node = "n1", .start = 300, .state = 2},
    };
    for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
        struct store_txn *t = store_txn_create();
        store_txn_put_node_event(t, &events[i]);
        commit_ok(s, t);
    }
    store_close(s);
    assert_int_equal(sql_number(d, "SELECT count(*) FROM node_event"), 4);
    assert_int_equal(sql_number(d, "SELECT end_time FROM node_event"
                                   " WHERE node = 'n1' AND start_time = 100"),
                     200);
    assert_int_equal(sql_number(d, "SELECT end_time FROM node_event"
                                   " WHERE reason = 'lost, really'"),
                     300);
    assert_int_equal(
        sql_number(d, "SELECT count(*) FROM node_event WHERE end_time = 0"), 2);
}

/* Every value of the row differs, so that a forgotten or swapped column shows. */
static int compare_job(const struct store_job *row, void *arg)
{
    const struct store_job *want = arg;
    assert_memory_equal(&row->job_id, &want->job_id, 10 * sizeof(uint32_t));
    assert_int_equal(row->cancelled_by, want->cancelled_by);
    assert_memory_equal(&row->submit, &want->submit, 6 * sizeof(usec_t));
    assert_int_equal(row->req_cpus, want->req_cpus);
    assert_int_equal(row->req_nodes, want->req_nodes);
    assert_int_equal(row->ntasks, want->ntasks);
    assert_int_equal(row->req_mem_mib, want->req_mem_mib);
    assert_int_equal(row->nodes_count, want->nodes_count);
    assert_int_equal(row->cpus, want->cpus);
    assert_int_equal(row->exit_status, want->exit_status);
    assert_int_equal(row->derived_exit, want->derived_exit);
    const char *const *got = &row->user, *const *texts = &want->user;
    for (size_t i = 0; i < 13; i++)
        assert_string_equal(got[i], texts[i]);
    assert_string_equal(row->tres_req, want->tres_req);
    assert_string_equal(row->tres_alloc, want->tres_alloc);
    assert_string_equal(row->nodelist, want->nodelist);
    assert_memory_equal(row->script, want->script, 32);
    assert_memory_equal(row->env, want->env, 32);
    return 0;
}

static void every_field_of_a_job_comes_back(void **state)
{
    struct store_dir *d = *state;
    struct store *s = open_ok(d, false);
    static char texts[16][32];
    struct store_job job = {.job_id = 4000000001u,
                            .array_job_id = 2,
                            .array_task_id = UINT32_MAX,
                            .uid = 4,
                            .gid = 5,
                            .restart = 6,
                            .state = 7,
                            .state_flags = 0x80000001u,
                            .priority = 9,
                            .reason = 10,
                            .cancelled_by = 11,
                            .submit = 12,
                            .eligible = 13,
                            .start = 14,
                            .end = INT64_C(1) << 60,
                            .time_limit = SPAN_INFINITE,
                            .suspended = 17,
                            .req_cpus = 18,
                            .req_nodes = 19,
                            .ntasks = 20,
                            .req_mem_mib = UINT64_MAX,
                            .nodes_count = 22,
                            .cpus = 23,
                            .exit_status = 24,
                            .derived_exit = 25,
                            .script = {26},
                            .env = {27}};
    for (size_t i = 0; i < 16; i++)
        snprintf(texts[i], sizeof(texts[i]), "t%zu '\"\\\t%s", i, "\xc3\xa9");
    const char **p = &job.user;
    for (size_t i = 0; i < 13; i++)
        p[i] = texts[i];
    job.tres_req = texts[13];
    job.tres_alloc = texts[14];
    job.nodelist = texts[15];
    put_jobs(s, &job, 1);
    struct store_filter f = {.job_ids = &job.job_id, .job_ids_count = 1};
    assert_int_equal(store_query_jobs(s, &f, compare_job, &job, &err), 0);
    store_close(s);
}

static int see_step(const struct store_step *row, void *arg)
{
    struct seen *seen = arg;
    size_t n = strlen(seen->text);
    snprintf(seen->text + n, sizeof(seen->text) - n, "%s%d:%llu", n ? " " : "",
             (int)row->step_id, (unsigned long long)row->rss_max_kib);
    return 0;
}

static void steps_come_special_ones_first(void **state)
{
    struct store_dir *d = *state;
    struct store *s = open_ok(d, false);
    struct store_job job = sample_job(1);
    static const uint32_t ids[] = {10, 2, 0xfffffffcu, 0, 0xfffffffbu};
    struct store_txn *t = store_txn_create();
    for (size_t i = 0; i < 5; i++) {
        struct store_step step = sample_step(&job, ids[i]);
        step.rss_max_kib = ids[i];
        store_txn_put_step(t, &step);
        step.restart = 1;
        store_txn_put_step(t, &step);
    }
    commit_ok(s, t);
    struct seen seen = {0};
    assert_int_equal(store_query_steps(s, 1, 1, see_step, &seen, &err), 0);
    assert_string_equal(seen.text, "-5:4294967291 -4:4294967292 0:0 2:2 10:10");
    store_close(s);
}

/* ---- which jobs ------------------------------------------------------------ */

static int see_job(const struct store_job *row, void *arg)
{
    struct seen *seen = arg;
    size_t n = strlen(seen->text);
    snprintf(seen->text + n, sizeof(seen->text) - n, "%s%u", n ? " " : "", row->job_id);
    if (row->restart || row->state == 11)
        snprintf(seen->text + strlen(seen->text), 32, ".%u(%u,%s)", row->restart,
                 row->state, row->nodelist);
    return 0;
}

static const char *found(struct store *s, const struct store_filter *f)
{
    static struct seen seen;
    seen = (struct seen){0};
    if (store_query_jobs(s, f, see_job, &seen, &err))
        fail_msg("%s", err.text);
    return seen.text;
}

#define T(seconds) ((seconds)*USEC_PER_SEC)

/* id, eligible, start, end, state */
static const struct {
    uint32_t id, state;
    int eligible, start, end;
} history[] = {
    {1, 4, 100, 110, 120}, /* COMPLETED */
    {2, 6, 100, 130, 140}, /* FAILED */
    {3, 2, 105, 135, 0},   /* RUNNING */
    {4, 1, 115, 0, 0},     /* PENDING */
    {5, 5, 100, 0, 125},   /* CANCELLED while it waited */
    {6, 1, 0, 0, 0},       /* held since its submission */
    {7, 5, 0, 0, 127},     /* CANCELLED while held */
};

static struct store *history_open(struct store_dir *d)
{
    struct store *s = open_ok(d, false);
    for (size_t i = 0; i < sizeof(history) / sizeof(history[0]); i++) {
        struct store_job job = sample_job(history[i].id);
        job.submit = T(100);
        job.eligible = T(history[i].eligible);
        job.start = T(history[i].start);
        job.end = T(history[i].end);
        job.state = history[i].state;
        job.live = !job.end;
        put_jobs(s, &job, 1);
    }
    return s;
}

static void a_window_shows_who_was_there(void **state)
{
    struct store *s = history_open(*state);
    struct store_filter f = {0};
    assert_string_equal(found(s, &f), "1 2 3 4 5 7");
    f.start = T(121), f.end = T(200);
    assert_string_equal(found(s, &f), "2 3 4 5 7");
    f.start = T(126);
    assert_string_equal(found(s, &f), "2 3 4 7");
    f.start = T(90), f.end = T(102);
    assert_string_equal(found(s, &f), "1 2 5 7");
    f.limit = 2;
    assert_string_equal(found(s, &f), "1 2");
    f = (struct store_filter){.start = T(141)};
    assert_string_equal(found(s, &f), "3 4");
    /* by id even a job that never was eligible is found */
    static const uint32_t ids[] = {6, 1, 99};
    f = (struct store_filter){.job_ids = ids, .job_ids_count = 3};
    assert_string_equal(found(s, &f), "1 6");
    store_close(s);
}

static void a_state_is_one_during_the_window(void **state)
{
    struct store *s = history_open(*state);
    static const uint32_t ended[] = {4, 6};
    struct store_filter f = {.start = T(112), .end = T(118), .was_running = true};
    assert_string_equal(found(s, &f), "1");
    f = (struct store_filter){.start = T(112), .end = T(118), .was_pending = true};
    assert_string_equal(found(s, &f), "2 3 4 5");
    f = (struct store_filter){
        .start = T(100), .end = T(130), .states = ended, .states_count = 2};
    assert_string_equal(found(s, &f), "1");
    f.was_running = true;
    assert_string_equal(found(s, &f), "1 2");
    f = (struct store_filter){.states = ended, .states_count = 2};
    assert_string_equal(found(s, &f), "1 2");
    store_close(s);
}

static void lists_select(void **state)
{
    struct store *s = open_ok(*state, false);
    struct store_job jobs[4];
    for (uint32_t i = 0; i < 4; i++)
        jobs[i] = sample_job(i + 1);
    jobs[1].uid = 2000, jobs[1].user = "bob", jobs[1].account = "chemistry";
    jobs[2].name = "o'\"brien\\", jobs[2].partition = "gpu";
    jobs[3].array_job_id = 3, jobs[3].array_task_id = 7;
    put_jobs(s, jobs, 4);
    static const uint32_t uid = 2000, id = 3;
    static const char *const bob = "bob", *const odd = "o'\"brien\\",
                             *const gpu = "gpu",
                             *const account[] = {"chemistry", "none"};
    assert_string_equal(found(s, &(struct store_filter){.uids = &uid, .uids_count = 1}),
                        "2");
    assert_string_equal(
        found(s, &(struct store_filter){.users = &bob, .users_count = 1}), "2");
    assert_string_equal(
        found(s, &(struct store_filter){.accounts = account, .accounts_count = 2}),
        "2");
    assert_string_equal(
        found(s, &(struct store_filter){.names = &odd, .names_count = 1}), "3");
    assert_string_equal(
        found(s, &(struct store_filter){.partitions = &gpu, .partitions_count = 1}),
        "3");
    assert_string_equal(
        found(s, &(struct store_filter){.job_ids = &id, .job_ids_count = 1}), "3 4");
    assert_string_equal(found(s, &(struct store_filter){.names = &odd,
                                                        .names_count = 1,
                                                        .uids = &uid,
                                                        .uids_count = 1}),
                        "");
    store_close(s);
}

static void duplicates_are_the_earlier_runs(void **state)
{
    struct store *s = open_ok(*state, false);
    struct store_job job = sample_job(1);
    struct store_txn *t = store_txn_create();
    job.start = T(100), job.end = T(110), job.state = 8;
    job.restart = 0;
    struct store_alloc run = sample_alloc(&job);
    run.nodelist = "n1";
    store_txn_put_alloc(t, &run);
    job.start = T(120), job.end = T(130), job.state = 4, job.restart = 1;
    job.nodelist = "n2";
    run = sample_alloc(&job);
    store_txn_put_alloc(t, &run);
    store_txn_put_job(t, &job);
    commit_ok(s, t);
    struct store_filter f = {0};
    static const uint32_t node_fail = 8;
    assert_string_equal(found(s, &f), "1.1(4,n2)");
    f.duplicates = true;
    assert_string_equal(found(s, &f), "1 1.1(4,n2)");
    f.states = &node_fail, f.states_count = 1;
    assert_string_equal(found(s, &f), "1 1.1(4,n2)");
    f.start = T(115);
    assert_string_equal(found(s, &f), "1.1(4,n2)");
    store_close(s);
}

static int stop_at_once(const struct store_job *row, void *arg)
{
    (void)row;
    ++*(int *)arg;
    return 1;
}

static void the_callback_may_stop_and_ask_more(void **state)
{
    struct store *s = history_open(*state);
    int n = 0;
    assert_int_equal(
        store_query_jobs(s, &(struct store_filter){0}, stop_at_once, &n, &err), 0);
    assert_int_equal(n, 1);
    store_close(s);
}

/* ---- failures -------------------------------------------------------------- */

static void a_full_disk_refuses_and_recovers(void **state)
{
    struct store_dir *d = *state;
    struct store *s = open_ok(d, false);
    struct store_job job = live_job(1, "before");
    put_jobs(s, &job, 1);
    struct rlimit old, tight;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    tight = old;
    tight.rlim_cur = 128 << 10;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    struct store_txn *t = store_txn_create();
    static char script[256 << 10];
    job = live_job(2, "after");
    store_txn_put_job(t, &job);
    store_txn_put_blob(t, script, sizeof(script), job.script);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(store_commit(s, t, &err), SL_ESTORE);
        assert_non_null(strstr(err.text, d->path));
        assert_string_equal(live(s), "1=before");
    }
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, handler);
    commit_ok(s, t);
    assert_string_equal(live(s), "1=before 2=after");
    store_close(s);
    assert_int_equal(sql_number(d, "SELECT count(*) FROM blob"), 1);
}

struct slow {
    struct store_dir *d;
    struct store *writer;
    uint32_t rows;
};

/* A reader that takes its time: at each row many commits happen. */
static int slow_row(const struct store_job *row, void *arg)
{
    struct slow *slow = arg;
    (void)row;
    slow->rows++;
    for (uint32_t i = 0; i < 100; i++) {
        struct store_txn *t = store_txn_create();
        static char text[64 << 10];
        unsigned char digest[32];
        memcpy(text, (uint32_t[]){slow->rows, i}, 8);
        store_txn_put_blob(t, text, sizeof(text), digest);
        commit_ok(slow->writer, t);
    }
    return 0;
}

static void a_slow_reader_does_not_keep_the_log_growing(void **state)
{
    struct store_dir *d = *state;
    struct slow slow = {.d = d, .writer = history_open(d)};
    struct store *reader = open_ok(d, true);
    assert_int_equal(
        store_query_jobs(reader, &(struct store_filter){0}, slow_row, &slow, &err), 0);
    assert_int_equal(slow.rows, 6);
    char name[160];
    struct stat st;
    snprintf(name, sizeof(name), "%s-wal", d->path);
    assert_int_equal(stat(name, &st), 0);
    /* 32 MB were written; a checkpoint is due every 16 */
    assert_true(st.st_size < 24 << 20);
    store_close(reader);
    store_close(slow.writer);
}

static bool stop_now(void *arg)
{
    ++*(int *)arg;
    return true;
}

static void a_stopped_query_fails_and_the_next_does_not(void **state)
{
    struct store *s = open_ok(*state, false);
    struct store_txn *t = store_txn_create();
    for (uint32_t id = 1; id <= 5000; id++) {
        struct store_job job = sample_job(id);
        store_txn_put_job(t, &job);
    }
    commit_ok(s, t);
    uint32_t *ids;
    size_t count;
    int asked = 0;
    store_set_stop(s, stop_now, &asked);
    assert_int_equal(
        store_query_job_ids(s, &(struct store_filter){0}, &ids, &count, &err),
        SL_ESTORE);
    assert_int_equal(asked, 1);
    store_set_stop(s, NULL, NULL);
    assert_int_equal(
        store_query_job_ids(s, &(struct store_filter){0}, &ids, &count, &err), 0);
    assert_int_equal(count, 5000);
    free(ids);
    store_close(s);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(wrong_urls_are_refused),
        TEST(a_new_store_is_private),
        TEST(a_second_writer_is_told_the_pid),
        TEST(a_missing_store_is_not_made_by_a_reader),
        TEST(a_newer_schema_is_refused),
        TEST(another_programs_database_is_refused),
        TEST(garbage_is_refused),
        TEST(damage_is_found),
        TEST(a_reader_cannot_commit),
        TEST(live_jobs_come_back_in_order),
        TEST(the_last_put_of_a_transaction_counts),
        TEST(a_put_copies),
        TEST(an_empty_record_removes_a_name),
        TEST(blobs_are_kept_once_and_found_by_job),
        TEST(a_node_event_closes_the_one_before),
        TEST(every_field_of_a_job_comes_back),
        TEST(steps_come_special_ones_first),
        TEST(a_window_shows_who_was_there),
        TEST(a_state_is_one_during_the_window),
        TEST(lists_select),
        TEST(duplicates_are_the_earlier_runs),
        TEST(the_callback_may_stop_and_ask_more),
        TEST(a_full_disk_refuses_and_recovers),
        TEST(a_slow_reader_does_not_keep_the_log_growing),
        TEST(a_stopped_query_fails_and_the_next_does_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
