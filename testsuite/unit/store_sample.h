/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows as a controller would write them, for the store's tests and benchmark.
 */
#ifndef SL_TESTSUITE_STORE_SAMPLE_H
#define SL_TESTSUITE_STORE_SAMPLE_H

#include "store/store.h"

#include <string.h>

#define SAMPLE_RECORD_BYTES 300
#define SAMPLE_SUBMIT (INT64_C(1700000000) * USEC_PER_SEC)

static const unsigned char sample_record[SAMPLE_RECORD_BYTES] = {0xa5, 1, 2, 3};

static inline struct store_job sample_job(uint32_t job_id)
{
    return (struct store_job){
        .job_id = job_id,
        .array_task_id = UINT32_MAX,
        .uid = 1000,
        .gid = 1000,
        .state = 1,
        .priority = 4294901758u - job_id,
        .live = true,
        .user = "alice",
        .group = "users",
        .account = "physics",
        .partition = "main",
        .qos = "normal",
        .name = "train.sbatch",
        .work_dir = "/home/alice/project/run",
        .submit_line = "sbatch -n 4 --time=1:00:00 train.sbatch --epochs 3",
        .submit = SAMPLE_SUBMIT + job_id * INT64_C(1000),
        .eligible = SAMPLE_SUBMIT + job_id * INT64_C(1000),
        .time_limit = 3600 * USEC_PER_SEC,
        .req_cpus = 4,
        .req_nodes = 1,
        .ntasks = 4,
        .req_mem_mib = 4096,
        .tres_req = "cpu=4,mem=4G,node=1,billing=4",
        .state_record = {sample_record, sizeof(sample_record)},
    };
}

static inline struct store_alloc sample_alloc(const struct store_job *job)
{
    return (struct store_alloc){
        .job_id = job->job_id,
        .restart = job->restart,
        .state = job->state,
        .nodes_count = 1,
        .cpus = 4,
        .mem_mib = 4096,
        .start = job->start,
        .end = job->end,
        .partition = "main",
        .account = "physics",
        .user = "alice",
        .qos = "normal",
        .nodelist = "n007",
        .tres = "cpu=4,mem=4G,node=1,billing=4",
    };
}

static inline struct store_step sample_step(const struct store_job *job,
                                            uint32_t step_id)
{
    return (struct store_step){
        .job_id = job->job_id,
        .restart = job->restart,
        .step_id = step_id,
        .state = job->state,
        .nodes_count = 1,
        .ntasks = 1,
        .cpus = 4,
        .name = "batch",
        .nodelist = "n007",
        .tres = "cpu=4,mem=4G,node=1",
        .start = job->start,
        .end = job->end,
        .user_cpu_usec = 12345,
        .rss_max_kib = 4567,
        .rss_max_node = "n007",
    };
}

/* The job runs, and then it has ended well. */
static inline void sample_start(struct store_job *job)
{
    job->state = 2;
    job->start = job->submit + USEC_PER_SEC;
    job->nodelist = "n007";
    job->tres_alloc = job->tres_req;
    job->nodes_count = 1;
    job->cpus = 4;
}

static inline void sample_end(struct store_job *job)
{
    job->state = 4;
    job->end = job->start + 60 * USEC_PER_SEC;
}

#endif
