/* SPDX-License-Identifier: Apache-2.0
 *
 * engine: one run of a trace through the core on virtual time.
 *
 * At each instant at which something happens, under TIES_BATCH: all ends, all submissions,
 * timers, then one pass. Under TIES_PYSS (the rule of the pyss simulator, which all figures of
 * "Improving Backfilling by using Machine Learning to predict Running Times", SC'15, follow):
 * each submission has a pass of its own, in file order, then each end, in the order of the
 * starts; and the processors of a run that reaches its limit now are free from the first of
 * these passes on.
 */
#ifndef SL_SIM_ENGINE_H
#define SL_SIM_ENGINE_H

#include "cluster.h"
#include "trace.h"

enum ties { TIES_BATCH, TIES_PYSS };

struct engine_options {
    const struct cluster *cluster;
    const struct trace *trace;
    const struct core_policy *policy;
    enum ties ties;
    bool samples;            /* keep the course of use and queue */
    usec_t mtbf, mttr;       /* of each node; 0: nodes do not fail */
    uint64_t seed;
    /* Called now and then with the share that is done; NULL: not. */
    void (*progress)(double share, void *arg);
    void *progress_arg;
};

struct job_run { /* what became of trace->job[i] */
    usec_t submit, start, end; /* start 0: it was refused or never ran */
    uint32_t procs, gpus, nodes;
    uint32_t restarts;
    uint32_t leafs;          /* switches that its nodes are under; 0: no fabric is known */
    float hops;              /* links between neighbouring nodes in rank order, on average */
};
struct sample { /* from `at` on */
    usec_t at;
    uint32_t procs, gpus, queued; /* in use; jobs waiting */
};
struct engine_result {
    struct job_run *run;     /* [trace->count] */
    size_t runs;
    struct sample *sample;
    size_t samples, samples_cap;
    size_t refused;          /* jobs that the core did not take */
    char refused_text[ERR_TEXT_MAX]; /* why, of the first */
    size_t starts;           /* decisions to start a job, restarts included */
    size_t passes, failures; /* of nodes */
    double fragment, idle;   /* GPUs that are of no use, and idle ones: means over time */
    size_t measured;         /* so many times */
    uint32_t queued_max;
    usec_t wall, cpu;        /* time that it took, and that of the processor */
};

/* 0, or negative: the core could not be set up, or a job can never start. */
int engine_run(const struct engine_options *o, struct engine_result *res, struct err *err);
void engine_result_fini(struct engine_result *res);

#endif
