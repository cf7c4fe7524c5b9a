/* SPDX-License-Identifier: Apache-2.0
 *
 * A writer is killed with SIGKILL at random instants. What it has acknowledged
 * is there afterwards, each transaction wholly, and at most one more.
 * SEED=N repeats a run.
 */
#include "unit/store_dir.h"
#include "unit/store_sample.h"

#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <cmocka.h>

#define ROUNDS 25
#define ROUND_USEC_MAX 40000 /* life of a writer */
#define JOBS_PER_TXN 5u

static struct err err;

/* Transaction n: its jobs become live, those of n - 3 retire, "last" says n. */
static void writer_commit(struct store *s, uint32_t n)
{
    struct store_txn *t = store_txn_create();
    for (uint32_t i = 0; i < JOBS_PER_TXN; i++) {
        struct store_job job = sample_job(n * JOBS_PER_TXN + i);
        struct store_alloc alloc = sample_alloc(&job);
        store_txn_put_blob(t, &job.job_id, sizeof(job.job_id), job.script);
        store_txn_put_job(t, &job);
        store_txn_put_alloc(t, &alloc);
        if (n > 3)
            store_txn_retire_job(t, (n - 3) * JOBS_PER_TXN + i);
    }
    store_txn_put_meta(t, "last", (struct store_bytes){&n, sizeof(n)});
    if (store_commit(s, t, &err))
        _exit(2);
    store_txn_destroy(t);
}

static void writer_run(const char *url, uint32_t next, int acks)
{
    struct store *s = store_open(url, false, &err);
    if (!s)
        _exit(3);
    for (;; next++) {
        writer_commit(s, next);
        if (write(acks, &next, sizeof(next)) != sizeof(next))
            _exit(4);
    }
}

static int read_last(const char *name, uint64_t key, struct store_bytes record,
                     void *arg)
{
    (void)key;
    if (strcmp(name, "last") == 0)
        memcpy(arg, record.p, sizeof(uint32_t));
    return 0;
}

struct check {
    struct store *s;
    uint32_t jobs, live;
};

static int check_alloc(const struct store_alloc *row, void *arg)
{
    (void)row;
    ++*(int *)arg;
    return 0;
}

static int check_live(const char *name, uint64_t key, struct store_bytes record,
                      void *arg)
{
    (void)name;
    (void)key;
    struct check *c = arg;
    assert_int_equal(record.n, SAMPLE_RECORD_BYTES);
    c->live++;
    return 0;
}

static void check_job(struct store *s, uint32_t id)
{
    int allocs = 0;
    void *p;
    size_t n;
    assert_int_equal(store_query_allocs(s, id, check_alloc, &allocs, &err), 0);
    assert_int_equal(allocs, 1);
    assert_int_equal(store_job_blob(s, id, "script", &p, &n, &err), 0);
    assert_memory_equal(p, &id, sizeof(id));
    free(p);
}

static int count_job(const struct store_job *row, void *arg)
{
    (void)row;
    ++((struct check *)arg)->jobs;
    return 0;
}

/* Everything up to the acknowledged one is whole; the last committed is returned. */
static uint32_t check_store(const char *url, uint32_t acked)
{
    uint32_t last = 0;
    struct store *s = store_open(url, false, &err);
    if (!s)
        fail_msg("%s", err.text);
    struct check c = {.s = s};
    assert_int_equal(store_each_meta(s, read_last, &last, &err), 0);
    assert_true(last == acked || last == acked + 1);
    assert_int_equal(
        store_query_jobs(s, &(struct store_filter){0}, count_job, &c, &err), 0);
    assert_int_equal(c.jobs, last * JOBS_PER_TXN);
    for (uint32_t id = JOBS_PER_TXN; id < (last + 1) * JOBS_PER_TXN; id++)
        check_job(s, id);
    assert_int_equal(store_each_live_job(s, check_live, &c, &err), 0);
    assert_int_equal(c.live, (last < 3 ? last : 3) * JOBS_PER_TXN);
    assert_int_equal(store_integrity_check(s, &err), 0);
    store_close(s);
    return last;
}

/* Lets a writer go on from next for a while, kills it; the last acknowledged. */
static uint32_t writer_live(const char *url, uint32_t next, int usec)
{
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(fds[0]);
        writer_run(url, next, fds[1]);
    }
    close(fds[1]);
    uint32_t acked = next - 1, n;
    usec_t deadline = clock_mono_usec() + usec;
    for (;;) {
        usec_t left = deadline - clock_mono_usec();
        struct timespec ts = {.tv_nsec = left > 0 ? left * 1000 : 0};
        struct pollfd p = {.fd = fds[0], .events = POLLIN};
        if (left <= 0 || ppoll(&p, 1, &ts, NULL) == 0)
            break;
        assert_int_equal(read(fds[0], &n, sizeof(n)), sizeof(n));
        acked = n;
    }
    assert_int_equal(kill(pid, SIGKILL), 0);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    while (read(fds[0], &n, sizeof(n)) == sizeof(n)) /* acknowledged before it died */
        acked = n;
    close(fds[0]);
    return acked;
}

static void what_was_acknowledged_survives_a_kill(void **state)
{
    (void)state;
    const char *text = getenv("SEED");
    unsigned seed = text ? (unsigned)strtoul(text, NULL, 10) : (unsigned)getpid();
    print_message("SEED=%u\n", seed);
    struct store_dir d;
    store_dir_init(&d);
    uint32_t last = 0, unacked = 0;
    store_close(store_open(d.url, false, &err));
    for (int round = 0; round < ROUNDS; round++) {
        int usec = 1000 + rand_r(&seed) % ROUND_USEC_MAX;
        uint32_t acked = writer_live(d.url, last + 1, usec);
        last = check_store(d.url, acked);
        unacked += last - acked;
    }
    print_message("%u transactions, %d kills, %u durable but not acknowledged\n", last,
                  ROUNDS, unacked);
    assert_true(last > ROUNDS);
    store_dir_fini(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_acknowledged_survives_a_kill),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
