/* SPDX-License-Identifier: Apache-2.0
 *
 * Job and node states and reasons with Slurm's names (squeue(1) "JOB STATE
 * CODES", "JOB REASON CODES"; sinfo(1) "NODE STATE CODES"). One table each;
 * everything that prints or parses a state reads these.
 * A job has one base state and a set of flags; so has a node.
 */
#ifndef SL_JOB_STATE_H
#define SL_JOB_STATE_H

#include "base/err.h"
#include "job/reason.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* X(symbol, long name, compact name, is finished) */
#define JOB_STATE_MAP(X)                                                        \
    X(JOB_NONE, "NONE", "--", false)                                            \
    X(JOB_PENDING, "PENDING", "PD", false)                                      \
    X(JOB_RUNNING, "RUNNING", "R", false)                                       \
    X(JOB_SUSPENDED, "SUSPENDED", "S", false)                                   \
    X(JOB_COMPLETED, "COMPLETED", "CD", true)                                   \
    X(JOB_CANCELLED, "CANCELLED", "CA", true)                                   \
    X(JOB_FAILED, "FAILED", "F", true)                                          \
    X(JOB_TIMEOUT, "TIMEOUT", "TO", true)                                       \
    X(JOB_NODE_FAIL, "NODE_FAIL", "NF", true)                                   \
    X(JOB_PREEMPTED, "PREEMPTED", "PR", true)                                   \
    X(JOB_BOOT_FAIL, "BOOT_FAIL", "BF", true)                                   \
    X(JOB_DEADLINE, "DEADLINE", "DL", true)                                     \
    X(JOB_OOM, "OUT_OF_MEMORY", "OOM", true)                                    \
    X(JOB_LAUNCH_FAILED, "LAUNCH_FAILED", "LF", true)
enum job_state {
#define X(sym, name, compact, fin) sym,
    JOB_STATE_MAP(X)
#undef X
    JOB_STATE_COUNT
};

/* X(symbol, bit, long name, compact name): shown instead of the base state. */
#define JOB_FLAG_MAP(X)                                                         \
    X(JOBF_CONFIGURING, 0, "CONFIGURING", "CF")   /* launched, not confirmed by each node */ \
    X(JOBF_COMPLETING, 1, "COMPLETING", "CG")     /* ended, not yet clean on each node */ \
    X(JOBF_REQUEUED, 2, "REQUEUED", "RQ")                                       \
    X(JOBF_REQUEUE_HOLD, 3, "REQUEUE_HOLD", "RH")                               \
    X(JOBF_SPECIAL_EXIT, 4, "SPECIAL_EXIT", "SE")                               \
    X(JOBF_RESIZING, 5, "RESIZING", "RS")                                       \
    X(JOBF_SIGNALING, 6, "SIGNALING", "SI")                                     \
    X(JOBF_STOPPED, 7, "STOPPED", "ST")                                         \
    X(JOBF_STAGE_OUT, 8, "STAGE_OUT", "SO")                                     \
    X(JOBF_RESV_DEL_HOLD, 9, "RESV_DEL_HOLD", "RD")
enum job_flag {
#define X(sym, bit, name, compact) sym = 1 << bit,
    JOB_FLAG_MAP(X)
#undef X
};

/* X(symbol, text): pending and end reasons, Slurm's spelling. */
#define JOB_REASON_MAP(X)                                                       \
    X(REASON_NONE, "None")                                                      \
    X(REASON_PRIORITY, "Priority")                                              \
    X(REASON_RESOURCES, "Resources")                                            \
    X(REASON_DEPENDENCY, "Dependency")                                          \
    X(REASON_DEPENDENCY_NEVER, "DependencyNeverSatisfied")                      \
    X(REASON_BEGIN_TIME, "BeginTime")                                           \
    X(REASON_HELD_USER, "JobHeldUser")                                          \
    X(REASON_HELD_ADMIN, "JobHeldAdmin")                                        \
    X(REASON_PART_DOWN, "PartitionDown")                                        \
    X(REASON_PART_INACTIVE, "PartitionInactive")                                \
    X(REASON_PART_NODE_LIMIT, "PartitionNodeLimit")                             \
    X(REASON_PART_TIME_LIMIT, "PartitionTimeLimit")                             \
    X(REASON_PART_CONFIG, "PartitionConfig")                                    \
    X(REASON_NODE_NOT_AVAIL, "ReqNodeNotAvail")                                 \
    X(REASON_NODES_DOWN, "Nodes required for job are DOWN, DRAINED or reserved for jobs in higher priority partitions") \
    X(REASON_BAD_CONSTRAINTS, "BadConstraints")                                 \
    X(REASON_LICENSES, "Licenses")                                              \
    X(REASON_RESERVATION, "Reservation")                                        \
    X(REASON_ARRAY_TASK_LIMIT, "JobArrayTaskLimit")                             \
    X(REASON_LAUNCH_FAILED_HELD, "launch failed requeued held")                 \
    X(REASON_SYSTEM_FAILURE, "SystemFailure")                                   \
    X(REASON_CLEANING, "Cleaning")                                              \
    X(REASON_TIME_LIMIT, "TimeLimit")                                           \
    X(REASON_NONZERO_EXIT, "NonZeroExitCode")                                   \
    X(REASON_NODE_FAIL, "NodeFail")                                             \
    X(REASON_JOB_LAUNCH_FAILURE, "JobLaunchFailure")                            \
    X(REASON_RAISED_SIGNAL, "RaisedSignal")                                     \
    X(REASON_OUT_OF_MEMORY, "OutOfMemory")                                      \
    X(REASON_INACTIVE_LIMIT, "InactiveLimit")                                   \
    X(REASON_DEADLINE, "DeadLine")                                              \
    X(REASON_SUPERVISOR_DIED, "StepSupervisorDied")
enum job_reason {
#define X(sym, text) sym,
    JOB_REASON_MAP(X)
    LIMIT_REASON_MAP(X)
#undef X
    JOB_REASON_COUNT
};

/* Node base states and flags, sinfo(1). X(symbol, long, compact of sinfo %t) */
#define NODE_STATE_MAP(X)                                                       \
    X(NODE_UNKNOWN, "UNKNOWN", "unk")                                           \
    X(NODE_DOWN, "DOWN", "down")                                                \
    X(NODE_IDLE, "IDLE", "idle")                                                \
    X(NODE_ALLOCATED, "ALLOCATED", "alloc")                                     \
    X(NODE_MIXED, "MIXED", "mix")                                               \
    X(NODE_FUTURE, "FUTURE", "futr")
enum node_state {
#define X(sym, name, compact) sym,
    NODE_STATE_MAP(X)
#undef X
    NODE_STATE_COUNT
};
enum node_flag {
    NODEF_DRAIN = 1 << 0,
    NODEF_COMPLETING = 1 << 1,
    NODEF_NO_RESPOND = 1 << 2, /* the "*" suffix */
    NODEF_FAIL = 1 << 3,
    NODEF_MAINT = 1 << 4,
    NODEF_RESERVED = 1 << 5,
    NODEF_INVALID_REG = 1 << 6, /* registered with less than configured */
    NODEF_PLANNED = 1 << 7,
};

const char *job_state_name(enum job_state s);    /* "PENDING" */
const char *job_state_compact(enum job_state s); /* "PD" */
/* What squeue shows: the strongest flag, else the base state. */
const char *job_state_shown(enum job_state s, uint32_t flags, bool compact);
bool job_state_finished(enum job_state s);
/* Long or compact name, any case, also flag names ("CG"). false when unknown. */
bool job_state_parse(const char *name, enum job_state *s, uint32_t *flags);
const char *job_reason_name(enum job_reason r);
/* "IDLE+DRAIN+NOT_RESPONDING" of scontrol; compact: "drain*" of sinfo %t. Writes
 * at most n bytes, returns out. The first form is what cells and records hold. */
#define NODE_STATE_TEXT_MAX 96
char *node_state_shown(enum node_state s, uint32_t flags, bool compact, char *out, size_t n);
/* sinfo's word: "drained*" (%T), compact "drain*" (%t). */
char *node_state_word(enum node_state s, uint32_t flags, bool compact, char *out, size_t n);
/* Reads the first form back. false: a word that is not in the tables. */
bool node_state_parse(const char *text, enum node_state *s, uint32_t *flags);
/* Does a node match a state word of `sinfo -t`? 1 yes, 0 no, -1 no such word. */
int node_state_matches(const char *word, enum node_state s, uint32_t flags);

/* Step ids with a meaning, slurm.h. */
#define STEP_BATCH 0xfffffffbu
#define STEP_EXTERN 0xfffffffcu
#define STEP_INTERACTIVE 0xfffffffau
#define STEP_MAX 0xfffffff0u
#define MEM_ALL UINT64_MAX
#define NO_VAL UINT32_MAX

#endif
