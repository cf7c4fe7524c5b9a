/* SPDX-License-Identifier: Apache-2.0
 *
 * options: the command line of slurmlike-sim, one table for parser and --help.
 */
#ifndef SL_SIM_OPTIONS_H
#define SL_SIM_OPTIONS_H

#include "base/err.h"
#include "base/timefmt.h"
#include "engine.h"

#include <stdio.h>

#define POLICIES_MAX 16

struct options {
    const char *trace;
    const char *policy[POLICIES_MAX]; /* several: side by side */
    size_t policies;
    bool compare;
    const char *baseline;             /* policy that users' waits are compared with */
    const char *cluster, *nodes;      /* files */
    uint32_t procs;                   /* 0: as the trace says */
    bool gpu_nodes;                   /* of the table: nodes with GPUs only */
    enum ties ties;
    bool no_memory;                   /* jobs ask for none */
    bool exact;                       /* limits are the run times */
    int half;                         /* 0: all, 1, 2 */
    usec_t mtbf, mttr;
    uint64_t seed;
    bool arrive;                      /* jobs only arrive, in random order */
    uint32_t until, runs;             /* percent of the GPUs; seeds */
    const char *curve;                /* file */
    const char *jobs_csv, *svg;
    bool quiet, help, version;
};

/* 0, or negative with the option and the value named. Texts point into argv. */
int options_parse(struct options *o, int argc, char **argv, struct err *err);
void options_help(FILE *out);

#endif
