/* SPDX-License-Identifier: Apache-2.0
 *
 * store: durable state and accounting history in one schema.
 *
 * The controller builds a transaction as a value on its loop thread
 * (store_txn_put_*: copies everything), hands it to the commit thread, and
 * releases replies and launches when store_commit() has returned 0. Live state
 * and history share their tables: a finished job is a row that no longer
 * changes. `state` columns hold the core's opaque records; the other columns
 * are what accounting filters and sums.
 *
 * Engines: "sqlite:PATH" (WAL, synchronous=FULL: an acknowledged commit survives
 * power loss). "postgresql://..." answers SL_ENOT_BUILT until its issue.
 *
 * A connection (struct store) is used by one thread at a time; open a second
 * one for queries (readers do not block the writer under WAL).
 * Tables: meta, node, partition, tenant, job (one row per job id), alloc (one row per
 * (job_id, restart): the accounting truth), step, node_event, blob (scripts and
 * environments by digest). store never interprets `state`.
 */
#ifndef SL_STORE_STORE_H
#define SL_STORE_STORE_H

#include "base/err.h"
#include "base/timefmt.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STORE_SCHEMA_VERSION 3

struct store;
struct store_txn;

/* Opens, creates or migrates forward in a transaction; refuses a newer schema
 * and a file that another controller holds (lock), and runs a quick integrity check
 * when check is true. read_only: for queries. The file is created mode 0600. */
struct store *store_open(const char *url, bool read_only, struct err *err);
void store_close(struct store *s);
int store_integrity_check(struct store *s, struct err *err);

struct store_bytes { const void *p; size_t n; };

struct store_job { /* one row per job id */
    uint32_t job_id, array_job_id, array_task_id; /* array_task_id NO_VAL: none */
    uint32_t uid, gid, restart, state, state_flags, priority, reason;
    bool live;                 /* not finished and clean, or kept visible: loaded at start */
    uint32_t cancelled_by;     /* uid + 1 of who cancelled it, 0: nobody (sacct "CANCELLED by 1000") */
    const char *user, *group, *account, *partition, *qos, *name, *wckey, *comment, *work_dir, *submit_line, *reservation, *constraints;
    uint32_t het_job_id, het_offset; /* of a heterogeneous job: the first component's id; 0: none */
    const char *array_tasks;   /* a record that stands for tasks not yet started: "3-9%2", else "" */
    usec_t submit, eligible, start, end, time_limit, suspended;
    uint32_t req_cpus, req_nodes, ntasks; uint64_t req_mem_mib;
    const char *tres_req, *tres_alloc, *nodelist; uint32_t nodes_count, cpus;
    uint32_t exit_status, derived_exit;
    unsigned char script[32], env[32]; /* digests; all zero: none in a new row, kept in an existing one */
    struct store_bytes state_record;
};
struct store_alloc { /* one run of a job: what is charged */
    uint32_t job_id, restart, state, exit_status, nodes_count, cpus; uint64_t mem_mib;
    usec_t start, end /* 0: running */, suspended;
    const char *partition, *account, *user, *qos, *nodelist, *tres; /* tres: "cpu=4,mem=..." */
};
struct store_step {
    uint32_t job_id, restart, step_id, state, exit_status, nodes_count, ntasks, cpus;
    uint32_t cancelled_by;     /* uid + 1, as store_job */
    const char *name, *nodelist, *tres, *layout, *command;
    usec_t start, end, suspended;
    int64_t user_cpu_usec, system_cpu_usec; uint64_t rss_max_kib, rss_ave_kib, vsize_max_kib, read_bytes, write_bytes, page_faults;
    const char *rss_max_node; uint32_t rss_max_task;
};
struct store_node_event { const char *node; usec_t start; uint32_t state, flags, cpus; uint64_t mem_mib; const char *tres, *reason; uint32_t reason_uid; };

struct store_txn *store_txn_create(void);
void store_txn_destroy(struct store_txn *t);
bool store_txn_empty(const struct store_txn *t);
/* Upserts. Every string and byte run is copied; NULL strings count as "". A later
 * put of the same key in the same transaction replaces the earlier one. The
 * state_record of a job that is not live is not kept. */
void store_txn_put_job(struct store_txn *t, const struct store_job *row);
/* The job is not loaded at start any more; its row stays as history. */
void store_txn_retire_job(struct store_txn *t, uint32_t job_id);
void store_txn_put_alloc(struct store_txn *t, const struct store_alloc *row);
void store_txn_put_step(struct store_txn *t, const struct store_step *row);
/* Named records; an empty state_record removes the name. */
void store_txn_put_node(struct store_txn *t, const char *name, struct store_bytes state_record);
void store_txn_put_partition(struct store_txn *t, const char *name, struct store_bytes state_record);
void store_txn_put_tenant(struct store_txn *t, const char *name, struct store_bytes record);
void store_txn_put_meta(struct store_txn *t, const char *key, struct store_bytes value);
/* Closes the node's open event row at `start` and opens this one. */
void store_txn_put_node_event(struct store_txn *t, const struct store_node_event *row);
/* Content-addressed; digest_out is SHA-256. Written once however often it is put. */
void store_txn_put_blob(struct store_txn *t, const void *p, size_t n, unsigned char digest_out[32]);

/* One transaction, durable on 0. On failure (disk full, I/O error) nothing of it is
 * in the store and it may be tried again. Blocks: commit thread only. */
int store_commit(struct store *s, struct store_txn *t, struct err *err);

/* ---- start-up and queries: streaming; fn returning non-zero stops ------------------------ */

typedef int (*store_record_f)(const char *name, uint64_t key, struct store_bytes state_record, void *arg);
int store_each_meta(struct store *s, store_record_f fn, void *arg, struct err *err);
int store_each_node(struct store *s, store_record_f fn, void *arg, struct err *err);
int store_each_tenant(struct store *s, store_record_f fn, void *arg, struct err *err);
int store_each_partition(struct store *s, store_record_f fn, void *arg, struct err *err);
int store_each_live_job(struct store *s, store_record_f fn, void *arg, struct err *err); /* by job_id */
/* The blob of a job: which "script" or "env". caller frees *p. -ENOENT when none. */
int store_job_blob(struct store *s, uint32_t job_id, const char *which, void **p, size_t *n, struct err *err);

struct store_filter { /* sacct(1); 0/NULL: any */
    const uint32_t *job_ids; size_t job_ids_count;
    const uint32_t *uids; size_t uids_count; /* any of these or of users */
    const char *const *users; size_t users_count; /* names as recorded: users that are no more */
    const char *const *accounts; size_t accounts_count;
    const char *const *partitions; size_t partitions_count;
    const char *const *names; size_t names_count;
    const uint32_t *states; size_t states_count;
    usec_t start, end;         /* overlap with [start, end) as sacct -S -E */
    /* With either of these a job also matches that was waiting (running) at some time in
     * [start, end), whatever became of it: sacct -s PD, -s R. States in `states` then mean: in that state,
     * ended in [start, end) or not yet. */
    bool was_pending, was_running;
    const char *node;          /* one node name, matched against the expanded nodelist by the caller */
    bool duplicates;           /* sacct -D: every run, from alloc */
    uint32_t limit;            /* of jobs, lowest ids first */
};
/* Rows come by job id. Each is read in its own short read transaction and nothing is held during
 * fn, which may take as long as a slow client does and may query the same connection.
 * Jobs that never became eligible are found only by job id, as sacct's. job_ids match array ids too.
 * Earlier runs (duplicates) come before the job's last. Steps: batch and extern first, then by number. */
typedef int (*store_job_f)(const struct store_job *row, void *arg);
typedef int (*store_step_f)(const struct store_step *row, void *arg);
typedef int (*store_alloc_f)(const struct store_alloc *row, void *arg);
int store_query_jobs(struct store *s, const struct store_filter *f, store_job_f fn, void *arg, struct err *err);
/* The two halves of it, for callers that go on later: the ids that match (*ids is freed by the
 * caller), and the rows of one of them (none when it was removed since). */
int store_query_job_ids(struct store *s, const struct store_filter *f, uint32_t **ids, size_t *count, struct err *err);
int store_query_job(struct store *s, const struct store_filter *f, uint32_t job_id, store_job_f fn, void *arg, struct err *err);
int store_query_steps(struct store *s, uint32_t job_id, uint32_t restart, store_step_f fn, void *arg, struct err *err);
int store_query_allocs(struct store *s, uint32_t job_id, store_alloc_f fn, void *arg, struct err *err);

/* stop(arg) is asked now and then while a statement of s works; true makes the
 * query under way fail soon. NULL: none. */
void store_set_stop(struct store *s, bool (*stop)(void *arg), void *arg);

#endif
