/* SPDX-License-Identifier: Apache-2.0
 *
 * Accounting queries as a session sees them: a request in, lines of cells out.
 */
#include "unit/store_dir.h"
#include "unit/store_sample.h"

#include "acct.h"
#include "base/buf.h"
#include "job/field.h"
#include "job/state.h"
#include "wire/cells.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define DEADLINE_SEC 20
#define T(seconds) ((seconds)*USEC_PER_SEC)

static struct err err;

struct fixture {
    struct store_dir dir;
    struct store *store;
    struct event_base *base;
    struct acct *acct;
    /* what came back */
    struct buf text; /* cells joined with '|', lines with '\n' */
    size_t columns, rows, chunks;
    bool last, done;
    int code;
    char why[ERR_TEXT_MAX];
    /* what the callback does */
    bool pause_each, cancel_first;
    struct acct_query *query;
};

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    store_dir_init(&f->dir);
    f->store = store_open(f->dir.url, false, &err);
    assert_non_null(f->store);
    f->base = event_base_new();
    f->acct = acct_create(f->base, f->dir.url, "linux", &err);
    assert_non_null(f->acct);
    buf_init(&f->text);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    acct_destroy(f->acct);
    event_base_free(f->base);
    store_close(f->store);
    store_dir_fini(&f->dir);
    buf_fini(&f->text);
    free(f);
    return 0;
}

static void on_rows(struct acct_query *q, const Sl__QueryRows *rows, void *arg)
{
    struct fixture *f = arg;
    struct cells_iter it;
    const char *text;
    size_t n, i = 0;
    f->chunks++;
    f->rows += rows->rows;
    f->last = rows->last;
    cells_begin(&it, rows->cells.data, rows->cells.len);
    while (cells_next(&it, &text, &n) == 1) {
        buf_put(&f->text, text, n);
        buf_putc(&f->text, ++i % f->columns ? '|' : '\n');
    }
    assert_int_equal(i, rows->rows * f->columns);
    if (f->pause_each)
        acct_query_pause(q, true);
    if (f->cancel_first)
        acct_query_cancel(q);
}

static void on_done(struct acct_query *q, int code, const char *text, void *arg)
{
    struct fixture *f = arg;
    assert_ptr_equal(q, f->query);
    f->done = true;
    f->code = code;
    snprintf(f->why, sizeof(f->why), "%s", text);
    event_base_loopbreak(f->base);
}

static const struct acct_ops ops = {on_rows, on_done};

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    (void)arg;
    fail_msg("no answer within %d s", DEADLINE_SEC);
}

/* filters: "key=value" pairs, NULL-terminated after them. */
static struct acct_query *start(struct fixture *f, const uint32_t *fields,
                                size_t fields_count, const char *const *filters)
{
    Sl__QueryRequest request = SL__QUERY_REQUEST__INIT;
    Sl__KeyValue kv[8], *kvs[8];
    char text[8][128];
    request.what = (char *)"acct_job";
    request.fields = (uint32_t *)fields;
    request.n_fields = fields_count;
    request.filters = kvs;
    for (size_t i = 0; filters && filters[i]; i++) {
        snprintf(text[i], sizeof(text[i]), "%s", filters[i]);
        char *value = strchr(text[i], '=');
        *value++ = '\0';
        sl__key_value__init(&kv[i]);
        kv[i].key = text[i];
        kv[i].value = value;
        kvs[request.n_filters++] = &kv[i];
    }
    f->columns = fields_count;
    f->rows = f->chunks = 0;
    f->done = f->last = false;
    buf_clear(&f->text);
    f->query = acct_query_start(f->acct, &request, 1000, &ops, f, &err);
    return f->query;
}

static void wait_done(struct fixture *f)
{
    struct event *deadline = evtimer_new(f->base, on_deadline, NULL);
    evtimer_add(deadline, &(struct timeval){.tv_sec = DEADLINE_SEC});
    while (!f->done)
        event_base_loop(f->base, EVLOOP_ONCE);
    event_free(deadline);
}

static const uint32_t id_state[] = {FIELD_ACCT_JOB_ID, FIELD_ACCT_STATE};

static const char *ask_fields(struct fixture *f, const uint32_t *fields, size_t count,
                              const char *const *filters)
{
    if (!start(f, fields, count, filters))
        fail_msg("%s", err.text);
    wait_done(f);
    if (f->code)
        fail_msg("%s", f->why);
    assert_true(f->last);
    return buf_str(&f->text);
}

#define FILTERS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define ASK(f, ...) ask_fields(f, id_state, 2, FILTERS(__VA_ARGS__))

static void commit(struct fixture *f, struct store_txn *t)
{
    if (store_commit(f->store, t, &err))
        fail_msg("%s", err.text);
    store_txn_destroy(t);
}

/* A batch job of two steps that has ended. */
static struct store_job put_batch(struct fixture *f, uint32_t id)
{
    struct store_job job = sample_job(id);
    struct store_txn *t = store_txn_create();
    sample_start(&job);
    job.start = T(1000);
    job.submit = job.eligible = T(990);
    sample_end(&job);
    job.state = JOB_COMPLETED;
    static const uint32_t ids[] = {1, 0, STEP_BATCH, STEP_EXTERN};
    static const char *const names[] = {"second", "first", "batch", "extern"};
    for (size_t i = 0; i < 4; i++) {
        struct store_step step = sample_step(&job, ids[i]);
        step.name = names[i];
        step.user_cpu_usec = 1000000;
        step.system_cpu_usec = 500000;
        store_txn_put_step(t, &step);
    }
    store_txn_put_job(t, &job);
    commit(f, t);
    return job;
}

static void put_job(struct fixture *f, const struct store_job *job)
{
    struct store_txn *t = store_txn_create();
    store_txn_put_job(t, job);
    commit(f, t);
}

static void a_job_comes_with_its_steps_in_order(void **state)
{
    struct fixture *f = *state;
    static const uint32_t fields[] = {FIELD_ACCT_JOB_ID,     FIELD_ACCT_NAME,
                                      FIELD_ACCT_PARTITION,  FIELD_ACCT_ACCOUNT,
                                      FIELD_ACCT_ALLOC_CPUS, FIELD_ACCT_STATE,
                                      FIELD_ACCT_EXIT_CODE};
    put_batch(f, 12);
    assert_string_equal(ask_fields(f, fields, 7, NULL),
                        "12|train.sbatch|main|physics|4|COMPLETED|0:0\n"
                        "12.batch|batch||physics|4|COMPLETED|0:0\n"
                        "12.extern|extern||physics|4|COMPLETED|0:0\n"
                        "12.0|first||physics|4|COMPLETED|0:0\n"
                        "12.1|second||physics|4|COMPLETED|0:0\n");
    assert_string_equal(ASK(f, "allocations=1"), "12|COMPLETED\n");
}

static void times_and_use_are_summed(void **state)
{
    struct fixture *f = *state;
    static const uint32_t fields[] = {FIELD_ACCT_ELAPSED,   FIELD_ACCT_CPU_TIME,
                                      FIELD_ACCT_TOTAL_CPU, FIELD_ACCT_MAX_RSS,
                                      FIELD_ACCT_REQ_MEM,   FIELD_ACCT_TIMELIMIT,
                                      FIELD_ACCT_RESERVED,  FIELD_ACCT_END};
    put_batch(f, 12);
    assert_string_equal(ask_fields(f, fields, 8, FILTERS("job=12,12.0")),
                        "60|240|00:00:06||4096M|3600|10|1060\n"
                        "60|240|00:01.500|4567K||||1060\n"
                        "60|240|00:01.500|4567K||||1060\n"
                        "60|240|00:01.500|4567K||||1060\n"
                        "60|240|00:01.500|4567K||||1060\n");
    assert_string_equal(
        ask_fields(f, fields, 8,
                   FILTERS("truncate=1", "start=1010", "end=1030", "allocations=1")),
        "20|80|00:00:00||4096M|3600|10|1030\n");
}

static void a_step_may_be_asked_for_alone(void **state)
{
    struct fixture *f = *state;
    put_batch(f, 12);
    put_batch(f, 13);
    assert_string_equal(ASK(f, "job=12.batch,13.1"),
                        "12.batch|COMPLETED\n13.1|COMPLETED\n");
    assert_string_equal(ASK(f, "job=13", "allocations=1"), "13|COMPLETED\n");
    assert_string_equal(ASK(f, "job=99"), "");
}

static void states_and_array_ids_are_slurms(void **state)
{
    struct fixture *f = *state;
    struct store_job job = sample_job(20);
    job.state = JOB_CANCELLED, job.cancelled_by = 1000 + 1, job.end = T(100),
    job.live = false;
    put_job(f, &job);
    job = sample_job(21);
    job.array_job_id = 21, job.array_tasks = "3-9%2";
    put_job(f, &job);
    job = sample_job(22);
    job.array_job_id = 21, job.array_task_id = 2, job.exit_status = 9,
    job.state = JOB_FAILED;
    job.start = T(100), job.end = T(120), job.live = false;
    put_job(f, &job);
    static const uint32_t fields[] = {FIELD_ACCT_JOB_ID, FIELD_ACCT_JOB_ID_RAW,
                                      FIELD_ACCT_STATE,  FIELD_ACCT_EXIT_CODE,
                                      FIELD_ACCT_START,  FIELD_ACCT_ALLOC_CPUS};
    assert_string_equal(ask_fields(f, fields, 6, NULL),
                        "20|20|CANCELLED by 1000|0:0|None|0\n"
                        "21_[3-9%2]|21|PENDING|0:0|0|0\n"
                        "21_2|22|FAILED|0:9|100|0\n");
    assert_string_equal(ASK(f, "job=21_2"), "21_2|FAILED\n");
    assert_string_equal(ASK(f, "job=21_4"), "21_[3-9%2]|PENDING\n");
    assert_string_equal(ASK(f, "job=21"), "21_[3-9%2]|PENDING\n21_2|FAILED\n");
    assert_string_equal(ASK(f, "state=F,CA"), "20|CANCELLED by 1000\n21_2|FAILED\n");
    assert_string_equal(ASK(f, "state=pending", "limit=1"), "20|CANCELLED by 1000\n");
}

static void filters_select(void **state)
{
    struct fixture *f = *state;
    struct store_job job = put_batch(f, 1);
    job.job_id = 2, job.uid = 2000, job.user = "no such user", job.gid = 7,
    job.qos = "high";
    job.nodelist = "n[010-012]", job.nodes_count = 3, job.cpus = 12, job.wckey = "k";
    job.time_limit = T(60);
    put_job(f, &job);
    assert_string_equal(ASK(f, "me=1", "allocations=1"), "1|COMPLETED\n");
    assert_string_equal(ASK(f, "user=2000"), "2|COMPLETED\n");
    assert_string_equal(ASK(f, "user=no such user"), "2|COMPLETED\n");
    assert_string_equal(ASK(f, "user=nobody at all"), "");
    assert_string_equal(ASK(f, "group=7"), "2|COMPLETED\n");
    assert_string_equal(ASK(f, "qos=low,high"), "2|COMPLETED\n");
    assert_string_equal(ASK(f, "wckey=k"), "2|COMPLETED\n");
    assert_string_equal(ASK(f, "nodes=n[011,099]"), "2|COMPLETED\n");
    assert_string_equal(ASK(f, "nnodes=2-3"), "2|COMPLETED\n");
    assert_string_equal(ASK(f, "ncpus=12"), "2|COMPLETED\n");
    assert_string_equal(ASK(f, "timelimit=1"), "2|COMPLETED\n");
    assert_string_equal(ASK(f, "partition=main", "user=2000"), "2|COMPLETED\n");
    assert_string_equal(ASK(f, "account=none"), "");
    assert_string_equal(ASK(f, "start=1061"), "");
}

static void wrong_requests_are_named(void **state)
{
    struct fixture *f = *state;
    static const uint32_t squeue_field[] = {FIELD_JOB_NAME};
    assert_true(acct_knows("acct_job"));
    assert_false(acct_knows("job"));
    static const struct {
        const char *filter, *names;
    } wrong[] = {{"colour=red", "colour"},
                 {"state=ASLEEP", "ASLEEP"},
                 {"state=CG", "CG"},
                 {"job=12x", "12x"},
                 {"start=yesterday", "start"},
                 {"nodes=n[1-", "n[1-"},
                 {"duplicates=yes", "duplicates"},
                 {"user=,", "user"}};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_null(start(f, id_state, 2, FILTERS(wrong[i].filter)));
        if (!strstr(err.text, wrong[i].names))
            fail_msg("%s: %s", wrong[i].filter, err.text);
    }
    assert_null(start(f, squeue_field, 1, NULL));
    assert_null(start(f, NULL, 0, NULL));
    assert_non_null(start(f, id_state, 2, FILTERS("group=no such group")));
    wait_done(f);
    assert_int_equal(f->code, SL_EINVAL_FIELD);
}

static void a_store_that_is_gone_is_an_answer(void **state)
{
    struct fixture *f = *state;
    struct acct *acct = f->acct;
    f->acct = acct_create(f->base, "sqlite:/nonexistent/store.db", "linux", &err);
    assert_non_null(start(f, id_state, 2, NULL));
    wait_done(f);
    assert_int_equal(f->code, SL_ESTORE);
    assert_non_null(strstr(f->why, "/nonexistent/store.db"));
    assert_int_equal(f->chunks, 0);
    acct_destroy(f->acct);
    f->acct = acct;
}

static void put_many(struct fixture *f, uint32_t count)
{
    struct store_txn *t = store_txn_create();
    for (uint32_t id = 1; id <= count; id++) {
        struct store_job job = sample_job(id);
        store_txn_put_job(t, &job);
    }
    commit(f, t);
}

static const uint32_t wide[] = {FIELD_ACCT_JOB_ID, FIELD_ACCT_SUBMIT_LINE,
                                FIELD_ACCT_WORKDIR};

static void a_paused_query_gives_no_more(void **state)
{
    struct fixture *f = *state;
    put_many(f, 20000);
    f->pause_each = true;
    assert_non_null(start(f, wide, 3, NULL));
    size_t chunks = 0;
    while (!f->done) {
        event_base_loop(f->base, EVLOOP_ONCE);
        if (f->done)
            break;
        assert_int_equal(f->chunks, ++chunks);
        event_base_loop(f->base, EVLOOP_NONBLOCK); /* nothing is under way */
        assert_int_equal(f->chunks, chunks);
        acct_query_pause(f->query, false);
    }
    assert_true(f->chunks > 4);
    assert_int_equal(f->rows, 20000);
    assert_true(f->text.len > 1 << 20);
}

static void queries_share_the_helpers(void **state)
{
    struct fixture *f = *state, other = {.base = f->base, .acct = f->acct};
    put_many(f, 5000);
    buf_init(&other.text);
    f->pause_each = true; /* stays where it is ... */
    assert_non_null(start(f, wide, 3, NULL));
    for (int i = 0; i < 6; i++) { /* ... and others go on */
        assert_non_null(start(&other, id_state, 2, FILTERS("job=77")));
        wait_done(&other);
        assert_string_equal(buf_str(&other.text), "77|PENDING\n");
    }
    assert_false(f->done);
    acct_query_cancel(f->query);
    buf_fini(&other.text);
}

static void a_cancelled_query_is_silent(void **state)
{
    struct fixture *f = *state;
    put_many(f, 5000);
    for (int i = 0; i < 20; i++) {
        assert_non_null(start(f, wide, 3, NULL));
        if (i % 2)
            event_base_loop(f->base, EVLOOP_ONCE);
        size_t chunks = f->chunks;
        if (f->done)
            continue;
        acct_query_cancel(f->query);
        event_base_loop(f->base, EVLOOP_NONBLOCK);
        assert_int_equal(f->chunks, chunks);
        assert_false(f->done);
    }
    f->cancel_first = true; /* from within the callback */
    assert_non_null(start(f, wide, 3, NULL));
    while (f->chunks == 0)
        event_base_loop(f->base, EVLOOP_ONCE);
    assert_false(f->done);
    f->cancel_first = false;
    assert_non_null(start(f, wide, 3, NULL)); /* and teardown meets one under way */
}

static void too_many_queries_are_refused(void **state)
{
    struct fixture *f = *state;
    for (unsigned i = 0; i < ACCT_QUERIES_MAX; i++)
        assert_non_null(start(f, id_state, 2, NULL));
    assert_null(start(f, id_state, 2, NULL));
    assert_int_equal(err.code, SL_ETOO_MANY);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_job_comes_with_its_steps_in_order),
        TEST(times_and_use_are_summed),
        TEST(a_step_may_be_asked_for_alone),
        TEST(states_and_array_ids_are_slurms),
        TEST(filters_select),
        TEST(wrong_requests_are_named),
        TEST(a_store_that_is_gone_is_an_answer),
        TEST(a_paused_query_gives_no_more),
        TEST(queries_share_the_helpers),
        TEST(a_cancelled_query_is_silent),
        TEST(too_many_queries_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
