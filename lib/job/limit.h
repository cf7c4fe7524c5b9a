/* SPDX-License-Identifier: Apache-2.0
 *
 * limit: the limits of associations and QOS, sacctmgr(1). One table: sacctmgr's keys
 * and columns, the checks of the scheduling core and the reason that a job shows
 * (squeue(1) "JOB REASON CODES") all read it.
 *
 * A limit of trackable resources has a value a resource ("GrpTRES=cpu=10,mem=20G") and
 * a reason a kind of resource; the others have one of each.
 */
#ifndef SL_JOB_LIMIT_H
#define SL_JOB_LIMIT_H

#include "job/state.h"
#include <stdbool.h>
#include <stdint.h>

enum limit_unit {
    LIMIT_COUNT,     /* jobs, or a priority */
    LIMIT_SPAN,      /* minutes */
    LIMIT_TRES,      /* of each resource; memory in MiB */
    LIMIT_TRES_MINS, /* minutes of each resource */
};
enum { LIMIT_OF_ASSOC = 1, LIMIT_OF_QOS = 2, LIMIT_OF_BOTH = 3 };

/* L(symbol, name, short name, header, unit, owners, reason of an association's, of a QOS'
 * or NONE). Records hold the numbers: a new one goes to the end. A reason of a unit of
 * resources is the first of a family, in the order of enum tres_class. */
#define LIMIT_MAP(L)                                                                     \
    L(LIMIT_GRP_JOBS, "GrpJobs", "GrpJobs", "GrpJobs", LIMIT_COUNT, LIMIT_OF_BOTH,       \
      REASON_ASSOC_GRP_JOBS, REASON_QOS_GRP_JOBS)                                        \
    L(LIMIT_GRP_SUBMIT, "GrpSubmitJobs", "GrpSubmit", "GrpSubmit", LIMIT_COUNT,          \
      LIMIT_OF_BOTH, REASON_ASSOC_GRP_SUBMIT, REASON_QOS_GRP_SUBMIT)                     \
    L(LIMIT_GRP_TRES, "GrpTRES", "GrpTRES", "GrpTRES", LIMIT_TRES, LIMIT_OF_BOTH,        \
      REASON_ASSOC_GRP_CPU, REASON_QOS_GRP_CPU)                                          \
    L(LIMIT_GRP_TRES_MINS, "GrpTRESMins", "GrpTRESMins", "GrpTRESMins", LIMIT_TRES_MINS, \
      LIMIT_OF_BOTH, REASON_ASSOC_GRP_MINS_CPU, REASON_QOS_GRP_MINS_CPU)                 \
    L(LIMIT_GRP_RUN_MINS, "GrpTRESRunMins", "GrpTRESRunMins", "GrpTRESRunMins",          \
      LIMIT_TRES_MINS, LIMIT_OF_BOTH, REASON_ASSOC_GRP_RUN_CPU, REASON_QOS_GRP_RUN_CPU)  \
    L(LIMIT_GRP_WALL, "GrpWall", "GrpWall", "GrpWall", LIMIT_SPAN, LIMIT_OF_BOTH,        \
      REASON_ASSOC_GRP_WALL, REASON_QOS_GRP_WALL)                                        \
    L(LIMIT_MAX_JOBS, "MaxJobs", "MaxJobs", "MaxJobs", LIMIT_COUNT, LIMIT_OF_ASSOC,      \
      REASON_ASSOC_MAX_JOBS, REASON_NONE)                                                \
    L(LIMIT_MAX_SUBMIT, "MaxSubmitJobs", "MaxSubmit", "MaxSubmit", LIMIT_COUNT,          \
      LIMIT_OF_ASSOC, REASON_ASSOC_MAX_SUBMIT, REASON_NONE)                              \
    L(LIMIT_MAX_TRES, "MaxTRESPerJob", "MaxTRES", "MaxTRES", LIMIT_TRES, LIMIT_OF_BOTH,  \
      REASON_ASSOC_MAX_CPU, REASON_QOS_MAX_CPU)                                          \
    L(LIMIT_MAX_TRES_NODE, "MaxTRESPerNode", "MaxTRESPN", "MaxTRESPerNode", LIMIT_TRES,  \
      LIMIT_OF_BOTH, REASON_ASSOC_MAX_NODE_CPU, REASON_QOS_MAX_NODE_CPU)                 \
    L(LIMIT_MAX_TRES_MINS, "MaxTRESMinsPerJob", "MaxTRESMins", "MaxTRESMins",            \
      LIMIT_TRES_MINS, LIMIT_OF_BOTH, REASON_ASSOC_MAX_MINS_CPU, REASON_QOS_MAX_MINS_CPU) \
    L(LIMIT_MAX_WALL, "MaxWallDurationPerJob", "MaxWall", "MaxWall", LIMIT_SPAN,         \
      LIMIT_OF_BOTH, REASON_ASSOC_MAX_WALL, REASON_QOS_MAX_WALL)                         \
    L(LIMIT_MAX_TRES_PU, "MaxTRESPerUser", "MaxTRESPU", "MaxTRESPU", LIMIT_TRES,         \
      LIMIT_OF_QOS, REASON_NONE, REASON_QOS_USER_CPU)                                    \
    L(LIMIT_MAX_JOBS_PU, "MaxJobsPerUser", "MaxJobsPU", "MaxJobsPU", LIMIT_COUNT,        \
      LIMIT_OF_QOS, REASON_NONE, REASON_QOS_USER_JOBS)                                   \
    L(LIMIT_MAX_SUBMIT_PU, "MaxSubmitJobsPerUser", "MaxSubmitPU", "MaxSubmitPU",         \
      LIMIT_COUNT, LIMIT_OF_QOS, REASON_NONE, REASON_QOS_USER_SUBMIT)                    \
    L(LIMIT_MAX_TRES_PA, "MaxTRESPerAccount", "MaxTRESPA", "MaxTRESPA", LIMIT_TRES,      \
      LIMIT_OF_QOS, REASON_NONE, REASON_QOS_ACCT_CPU)                                    \
    L(LIMIT_MAX_JOBS_PA, "MaxJobsPerAccount", "MaxJobsPA", "MaxJobsPA", LIMIT_COUNT,     \
      LIMIT_OF_QOS, REASON_NONE, REASON_QOS_ACCT_JOBS)                                   \
    L(LIMIT_MAX_SUBMIT_PA, "MaxSubmitJobsPerAccount", "MaxSubmitPA", "MaxSubmitPA",      \
      LIMIT_COUNT, LIMIT_OF_QOS, REASON_NONE, REASON_QOS_ACCT_SUBMIT)                    \
    L(LIMIT_MIN_TRES, "MinTRESPerJob", "MinTRES", "MinTRES", LIMIT_TRES, LIMIT_OF_QOS,   \
      REASON_NONE, REASON_QOS_MIN_CPU)

enum limit_kind {
#define L(sym, name, alias, header, unit, owners, assoc, qos) sym,
    LIMIT_MAP(L)
#undef L
    LIMIT_KIND_COUNT
};

struct limit_row {
    const char *name, *alias, *header;
    enum limit_unit unit;
    unsigned owners;
    enum job_reason reason_assoc, reason_qos;
};
extern const struct limit_row limit_table[LIMIT_KIND_COUNT];

/* By name or short name, in any case; -1: unknown, or not one of this owner. */
int limit_find(const char *name, unsigned owner);

/* Kind of a trackable resource by its name: "cpu", "gres/gpu:a100", "license/x". */
enum tres_class tres_class(const char *tres);
/* The reason that names a limit; tres: the resource, "" where the limit has none. */
enum job_reason limit_reason(enum limit_kind kind, unsigned owner, const char *tres);

#endif
