/* SPDX-License-Identifier: Apache-2.0
 *
 * store_bench DIR [JOBS [JOBS_PER_COMMIT]]: what the store costs the submit path,
 * a job's whole life, a start-up and an accounting query. One result a line:
 * `name value unit n=...`.
 */
#include "unit/store_sample.h"

#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static void die(const struct err *err)
{
    fprintf(stderr, "store_bench: %s\n", err->text);
    exit(1);
}

static int usec_compare(const void *a, const void *b)
{
    usec_t x = *(const usec_t *)a, y = *(const usec_t *)b;
    return x < y ? -1 : x > y;
}

static void report(const char *name, uint32_t jobs, size_t rows, usec_t *took, size_t n)
{
    usec_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += took[i];
    qsort(took, n, sizeof(*took), usec_compare);
    printf("store_%s_rate %.0f jobs/s n=%u\n", name, jobs * 1e6 / sum, jobs);
    printf("store_%s_row_rate %.0f rows/s n=%zu\n", name, rows * 1e6 / sum, rows);
    printf("store_%s_commit_p50 %.2f ms n=%zu\n", name, took[n / 2] / 1e3, n);
    printf("store_%s_commit_p99 %.2f ms n=%zu\n", name, took[n * 99 / 100] / 1e3, n);
    printf("store_%s_commit_max %.2f ms n=%zu\n", name, took[n - 1] / 1e3, n);
}

enum phase { PHASE_SUBMIT, PHASE_START, PHASE_END, PHASE_RETIRE, PHASE_COUNT };
static const char *const phase_names[PHASE_COUNT] = {"submit", "start", "end",
                                                     "retire"};

static size_t put(struct store_txn *t, uint32_t job_id, enum phase phase)
{
    struct store_job job = sample_job(job_id);
    char script[64];
    size_t rows = 1;
    if (phase == PHASE_RETIRE) {
        store_txn_retire_job(t, job_id);
        return 1;
    }
    if (phase >= PHASE_START)
        sample_start(&job);
    if (phase >= PHASE_END)
        sample_end(&job);
    if (phase == PHASE_SUBMIT) { /* own script, common environment */
        int n = snprintf(script, sizeof(script), "#!/bin/sh\nexit 0 # %u\n", job_id);
        static const char env[4096] = "PATH=/bin";
        store_txn_put_blob(t, script, (size_t)n, job.script);
        store_txn_put_blob(t, env, sizeof(env), job.env);
        rows++;
    } else {
        struct store_alloc alloc = sample_alloc(&job);
        struct store_step step = sample_step(&job, 0xfffffffbu);
        store_txn_put_alloc(t, &alloc);
        store_txn_put_step(t, &step);
        rows += 2;
    }
    store_txn_put_job(t, &job);
    return rows;
}

static void bench_phase(struct store *s, enum phase phase, uint32_t jobs,
                        uint32_t per_commit)
{
    size_t commits = 0, rows = 0;
    usec_t *took = xcalloc(jobs / per_commit + 1, sizeof(*took));
    struct err err;
    for (uint32_t first = 1; first <= jobs; first += per_commit) {
        usec_t begin = clock_mono_usec();
        struct store_txn *t = store_txn_create();
        for (uint32_t id = first; id < first + per_commit && id <= jobs; id++)
            rows += put(t, id, phase);
        if (store_commit(s, t, &err))
            die(&err);
        store_txn_destroy(t);
        took[commits++] = clock_mono_usec() - begin;
    }
    report(phase_names[phase], jobs, rows, took, commits);
    free(took);
}

static int count_record(const char *name, uint64_t key, struct store_bytes record,
                        void *arg)
{
    (void)name;
    (void)key;
    *(size_t *)arg += record.n == SAMPLE_RECORD_BYTES;
    return 0;
}

static int count_job(const struct store_job *row, void *arg)
{
    (void)row;
    ++*(size_t *)arg;
    return 0;
}

static void bench_load(const char *url)
{
    struct err err;
    usec_t begin = clock_mono_usec();
    struct store *s = store_open(url, false, &err);
    if (!s)
        die(&err);
    usec_t opened = clock_mono_usec();
    size_t n = 0;
    if (store_each_live_job(s, count_record, &n, &err))
        die(&err);
    usec_t end = clock_mono_usec();
    printf("store_open %.2f ms\n", (opened - begin) / 1e3);
    printf("store_load %.2f ms n=%zu\n", (end - opened) / 1e3, n);
    store_close(s);
}

static void bench_query(const char *url, const char *name, const struct store_filter *f)
{
    struct err err;
    struct store *s = store_open(url, true, &err);
    if (!s)
        die(&err);
    size_t n = 0;
    usec_t begin = clock_mono_usec();
    if (store_query_jobs(s, f, count_job, &n, &err))
        die(&err);
    printf("store_query_%s %.2f ms n=%zu\n", name, (clock_mono_usec() - begin) / 1e3,
           n);
    store_close(s);
}

static void print_size(const char *path, const char *suffix, uint32_t jobs)
{
    char *name = xasprintf("%s%s", path, suffix);
    struct stat st;
    if (stat(name, &st) == 0)
        printf("store_size%s %.0f byte/job n=%u\n", suffix, (double)st.st_size / jobs,
               jobs);
    free(name);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: store_bench DIR [JOBS [JOBS_PER_COMMIT]]\n");
        return 2;
    }
    uint32_t jobs = argc > 2 ? (uint32_t)atoi(argv[2]) : 100000;
    uint32_t per_commit = argc > 3 ? (uint32_t)atoi(argv[3]) : 100;
    char *path = xasprintf("%s/store_bench.db", argv[1]);
    char *url = xasprintf("sqlite:%s", path);
    struct err err;
    struct store *s = store_open(url, false, &err);
    if (!s)
        die(&err);
    for (enum phase p = PHASE_SUBMIT; p < PHASE_COUNT; p++) {
        bench_phase(s, p, jobs, per_commit);
        if (p == PHASE_END) {
            print_size(path, "-wal", jobs);
            store_close(s);
            bench_load(url);
            if (!(s = store_open(url, false, &err)))
                die(&err);
        }
    }
    uint32_t uid = 1001;
    usec_t end = SAMPLE_SUBMIT + jobs * INT64_C(1000) + 60 * USEC_PER_SEC;
    bench_query(url, "all", &(struct store_filter){0});
    bench_query(url, "last_1000", &(struct store_filter){.start = end});
    bench_query(url, "other_user",
                &(struct store_filter){.start = 1, .uids = &uid, .uids_count = 1});
    store_close(s);
    print_size(path, "", jobs);
    free(url);
    free(path);
    return 0;
}
