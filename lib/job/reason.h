/* SPDX-License-Identifier: Apache-2.0
 *
 * reason: names of the reasons that limits give, as Slurm's documentation of job reason
 * codes spells them. A family has one for each kind of trackable resource, in the order of
 * enum tres_class. Part of JOB_REASON_MAP (state.h).
 */
#ifndef SL_JOB_REASON_H
#define SL_JOB_REASON_H

enum tres_class {
    TRES_CLASS_CPU,
    TRES_CLASS_MEM,
    TRES_CLASS_NODE,
    TRES_CLASS_BILLING,
    TRES_CLASS_ENERGY,
    TRES_CLASS_GRES,
    TRES_CLASS_LICENSE,
    TRES_CLASS_COUNT
};

/* Each: before, then the words for cpu and for memory, after. Slurm says "CpuLimit" of
 * counts and "CPUMinutesLimit" of minutes, and "Limit" only of cpus and nodes. */
#define REASON_FAMILY(X, sym, before, cpu, mem, node, after)                             \
    X(sym##_CPU, before cpu)                                                             \
    X(sym##_MEM, before mem after)                                                       \
    X(sym##_NODE, before node)                                                           \
    X(sym##_BILLING, before "Billing" after)                                             \
    X(sym##_ENERGY, before "Energy" after)                                               \
    X(sym##_GRES, before "GRES" after)                                                   \
    X(sym##_LICENSE, before "License" after)

#define LIMIT_REASON_MAP(X)                                                              \
    REASON_FAMILY(X, REASON_ASSOC_GRP, "AssocGrp", "CpuLimit", "MemLimit", "NodeLimit", "") \
    REASON_FAMILY(X, REASON_ASSOC_GRP_MINS, "AssocGrp", "CPUMinutesLimit", "Mem",        \
                  "NodeMinutes", "Minutes")                                              \
    REASON_FAMILY(X, REASON_ASSOC_GRP_RUN, "AssocGrp", "CPURunMinutesLimit", "Mem",      \
                  "NodeRunMinutes", "RunMinutes")                                        \
    REASON_FAMILY(X, REASON_ASSOC_MAX, "AssocMax", "CpuPerJobLimit", "Mem",              \
                  "NodePerJobLimit", "PerJob")                                           \
    REASON_FAMILY(X, REASON_ASSOC_MAX_NODE, "AssocMax", "CpuPerNode", "Mem", "NodePerNode", \
                  "PerNode")                                                             \
    REASON_FAMILY(X, REASON_ASSOC_MAX_MINS, "AssocMax", "CPUMinutesPerJobLimit", "Mem",  \
                  "NodeMinutesPerJob", "MinutesPerJob")                                  \
    REASON_FAMILY(X, REASON_QOS_GRP, "QOSGrp", "CpuLimit", "MemLimit", "NodeLimit", "")  \
    REASON_FAMILY(X, REASON_QOS_GRP_MINS, "QOSGrp", "CPUMinutesLimit", "Mem",            \
                  "NodeMinutes", "Minutes")                                              \
    REASON_FAMILY(X, REASON_QOS_GRP_RUN, "QOSGrp", "CPURunMinutesLimit", "Mem",          \
                  "NodeRunMinutes", "RunMinutes")                                        \
    REASON_FAMILY(X, REASON_QOS_MAX, "QOSMax", "CpuPerJobLimit", "Memory",               \
                  "NodePerJobLimit", "PerJob")                                           \
    REASON_FAMILY(X, REASON_QOS_MAX_NODE, "QOSMax", "CpuPerNode", "Memory", "NodePerNode", \
                  "PerNode")                                                             \
    REASON_FAMILY(X, REASON_QOS_MAX_MINS, "QOSMax", "CPUMinutesPerJobLimit", "Memory",   \
                  "NodeMinutesPerJob", "MinutesPerJob")                                  \
    REASON_FAMILY(X, REASON_QOS_USER, "QOSMax", "CpuPerUserLimit", "Memory",             \
                  "NodePerUserLimit", "PerUser")                                         \
    REASON_FAMILY(X, REASON_QOS_ACCT, "Max", "CpuPerAccount", "Memory", "NodePerAccount", \
                  "PerAccount")                                                          \
    REASON_FAMILY(X, REASON_QOS_MIN, "QOSMin", "CpuNotSatisfied", "Memory", "Node", "")  \
    X(REASON_ASSOC_GRP_JOBS, "AssocGrpJobsLimit")                                        \
    X(REASON_ASSOC_GRP_SUBMIT, "AssocGrpSubmitJobsLimit")                                \
    X(REASON_ASSOC_GRP_WALL, "AssocGrpWallLimit")                                        \
    X(REASON_ASSOC_MAX_JOBS, "AssocMaxJobsLimit")                                        \
    X(REASON_ASSOC_MAX_SUBMIT, "AssocMaxSubmitJobLimit")                                 \
    X(REASON_ASSOC_MAX_WALL, "AssocMaxWallDurationPerJobLimit")                          \
    X(REASON_QOS_GRP_JOBS, "QOSGrpJobsLimit")                                            \
    X(REASON_QOS_GRP_SUBMIT, "QOSGrpSubmitJobsLimit")                                    \
    X(REASON_QOS_GRP_WALL, "QOSGrpWallLimit")                                            \
    X(REASON_QOS_MAX_WALL, "QOSMaxWallDurationPerJobLimit")                              \
    X(REASON_QOS_USER_JOBS, "QOSMaxJobsPerUserLimit")                                    \
    X(REASON_QOS_USER_SUBMIT, "QOSMaxSubmitJobPerUserLimit")                             \
    X(REASON_QOS_ACCT_JOBS, "MaxJobsPerAccount")                                         \
    X(REASON_QOS_ACCT_SUBMIT, "MaxSubmitJobsPerAccount")                                 \
    X(REASON_QOS_USAGE_THRESHOLD, "QOSUsageThreshold")                                   \
    X(REASON_INVALID_ACCOUNT, "InvalidAccount")                                          \
    X(REASON_INVALID_QOS, "InvalidQOS")

#endif
