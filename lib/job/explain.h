/* SPDX-License-Identifier: Apache-2.0
 *
 * explain: what is said about a job: what holds it back, when it is expected to start, what
 * would start it sooner; why a started one started when it did, and what placed it.
 *
 * An item is a code with values. EXPLAIN_MAP is the one table: it names the values of each
 * code and has its words. The scheduling core makes items (sched/explain.h) and no text;
 * they travel as lines of a cell or a reply (explain_put, explain_read), and commands turn
 * them into words or JSON. A code that a reader does not know is left out, so an older
 * command still shows the rest.
 *
 * Values, "key:kind": n number, t time, d span, m memory in MiB, p thousandths, s text,
 * c condition (enum explain_after).
 * Words: {key} the value; {key|one|many} a word by number; [key:words] words only when the
 * value is not 0 and not "".
 */
#ifndef SL_JOB_EXPLAIN_H
#define SL_JOB_EXPLAIN_H

#include "base/buf.h"
#include "base/timefmt.h"
#include <stdbool.h>
#include <stdint.h>

#define EXPLAIN_ITEMS_MAX 48u /* of one job */
#define EXPLAIN_VALUES_MAX 7u
#define EXPLAIN_BYTES_MAX 16384u /* of one job's lines */

enum explain_section {
    EXPLAIN_HELD,   /* what holds it back */
    EXPLAIN_START,  /* when it is expected to start, and what that assumes */
    EXPLAIN_SOONER, /* a change that would start it sooner: the smallest first */
    EXPLAIN_WHY,    /* why it started when it did */
    EXPLAIN_PLACED, /* what chose its place */
    EXPLAIN_SECTION_COUNT
};

/* What an expected start is subject to. X(symbol, name, words) */
#define EXPLAIN_AFTER_MAP(X)                                                                  \
    X(AFTER_RELEASE, "release", "it is released")                                             \
    X(AFTER_DEPENDENCY, "dependency", "what it depends on is over")                           \
    X(AFTER_LIMITS, "limits", "its limits let it start")                                      \
    X(AFTER_PARTITION, "partition", "its partition takes jobs like it")                       \
    X(AFTER_RESERVATION, "reservation", "its reservation has begun")                          \
    X(AFTER_LICENSES, "licenses", "there are enough licenses")                                \
    X(AFTER_CLOSED, "reservations", "the reservations in its way are over")                   \
    X(AFTER_NODES, "nodes", "enough nodes that suit can be used")
enum explain_after {
    AFTER_NONE,
#define X(sym, name, words) sym,
    EXPLAIN_AFTER_MAP(X)
#undef X
    AFTER_COUNT
};
const char *explain_after_name(int64_t after); /* "" for what is none */

/* X(symbol, code, section, values, words) */
#define EXPLAIN_MAP(X)                                                                        \
    X(EX_HELD_USER, "held-by-user", HELD, "",                                                 \
      "is held by its owner, until it is released")                                           \
    X(EX_HELD_ADMIN, "held-by-operator", HELD, "", "is held by an operator, until it is released") \
    X(EX_HELD_LAUNCH, "held-launch-failed", HELD, "failures:n",                               \
      "is held after {failures} failed {failures|launch|launches} in a row, until it is released") \
    X(EX_HELD_RESV, "held-reservation-deleted", HELD, "",                                     \
      "is held because the reservation that it named is gone")                                \
    X(EX_DEPENDENCY, "dependency", HELD, "kind:s job:n task:s state:s until:t",               \
      "waits for job {job}[task:_{task}] ({kind}), which is {state}[until: until {until} at the latest]") \
    X(EX_DEPENDENCY_DELAY, "dependency-delay", HELD, "job:n until:t",                         \
      "waits until {until}, a while after the start of job {job}")                            \
    X(EX_SINGLETON, "singleton", HELD, "name:s job:n",                                        \
      "waits until its owner's other jobs named {name} are over[job:, first job {job}]")      \
    X(EX_DEPENDENCY_NEVER, "dependency-never", HELD, "kind:s job:n task:s",                   \
      "waits for job {job}[task:_{task}] ({kind}), which can not happen any more")            \
    X(EX_BEGIN, "begin", HELD, "time:t", "is not to start before {time}")                     \
    X(EX_ARRAY_LIMIT, "array-limit", HELD, "running:n limit:n",                               \
      "{running} of its array's tasks run, and its limit is {limit} at a time")               \
    X(EX_CLEANING, "cleaning", HELD, "", "its last run is still being cleaned up")            \
    X(EX_PART_NONE, "partition-gone", HELD, "partition:s", "there is no partition {partition} any more") \
    X(EX_PART_DOWN, "partition-down", HELD, "partition:s", "partition {partition} is down")   \
    X(EX_PART_INACTIVE, "partition-inactive", HELD, "partition:s",                            \
      "partition {partition} is inactive")                                                    \
    X(EX_PART_TIME, "partition-time", HELD, "partition:s asks:d allows:d",                    \
      "asks for {asks}, and partition {partition} allows {allows}")                           \
    X(EX_ACCOUNT, "account-invalid", HELD, "account:s",                                       \
      "its owner has no association with account {account}")                                  \
    X(EX_QOS, "qos-invalid", HELD, "qos:s", "there is no QOS {qos} any more")                 \
    X(EX_THRESHOLD, "qos-threshold", HELD, "qos:s",                                           \
      "its fair-share factor is below what QOS {qos} wants")                                  \
    X(EX_LIMIT_USE, "limit-in-use", HELD, "limit:s resource:s owner:s allows:n used:n asks:n unit:s", \
      "limit {limit}[resource:={resource}] of {owner}: {used} of {allows}[unit: {unit}] are in " \
      "use, and it asks for {asks}")                                                          \
    X(EX_LIMIT_MOST, "limit-most", HELD, "limit:s resource:s owner:s allows:n asks:n unit:s", \
      "limit {limit}[resource:={resource}] of {owner}: {allows}[unit: {unit}] are allowed, and " \
      "it asks for {asks}")                                                                   \
    X(EX_LIMIT_LEAST, "limit-least", HELD, "limit:s resource:s owner:s least:n asks:n unit:s", \
      "limit {limit}[resource:={resource}] of {owner}: at least {least}[unit: {unit}] are "   \
      "wanted, and it asks for {asks}")                                                       \
    X(EX_LICENSE, "license", HELD, "license:s missing:n asks:n free:n total:n until:t",       \
      "waits for {missing} more of license {license}: it asks for {asks}, {free} of {total} are " \
      "free[until:, enough by {until}]")                                                      \
    X(EX_LICENSE_PROMISED, "license-promised", HELD, "license:s asks:n until:t",              \
      "license {license} is promised to a job ahead of it at {until}, before it would end")   \
    X(EX_RESV_BEGINS, "reservation-begins", HELD, "reservation:s start:t",                    \
      "waits for reservation {reservation}, which begins at {start}")                         \
    X(EX_RESV_NONE, "reservation-gone", HELD, "reservation:s",                                \
      "reservation {reservation} is over or was deleted")                                     \
    X(EX_NODES, "nodes", HELD, "missing:n asks:n free:n suitable:n partition:s features:s idle:s", \
      "waits for {missing} more[idle: {idle}] {missing|node|nodes}[features: with "           \
      "{features}] in partition {partition}: it asks for {asks}, and {free} of {suitable} are free") \
    X(EX_CPUS, "cpus", HELD, "missing:n asks:n free:n partition:s features:s",                \
      "waits for {missing} more {missing|CPU|CPUs}[features: on nodes with {features}] in "   \
      "partition {partition}: it asks for {asks}, and {free} are free")                       \
    X(EX_SHORT, "short", HELD, "resource:s asks:n most:n nodes:n partition:s",                \
      "{nodes} {nodes|node|nodes} of partition {partition} would do but for {resource}: it asks " \
      "for {asks} on a node, and {most} is the most that one of them has free")               \
    X(EX_SHORT_MEM, "short-memory", HELD, "asks:m most:m nodes:n partition:s",                \
      "{nodes} {nodes|node|nodes} of partition {partition} would do but for memory: it asks for " \
      "{asks} on a node, and {most} is the most that one of them has free")                   \
    X(EX_NODES_DOWN, "nodes-down", HELD, "nodes:n partition:s",                               \
      "{nodes} {nodes|node|nodes} of partition {partition} that would suit {nodes|is|are} down, " \
      "drained or silent")                                                                    \
    X(EX_NODES_FEW, "nodes-few", HELD, "asks:n suitable:n partition:s features:s",            \
      "asks for {asks} {asks|node|nodes}[features: with {features}] of partition {partition}, and " \
      "{suitable} {suitable|is|are} there that can be used now")                              \
    X(EX_NODES_RESERVED, "nodes-reserved", HELD, "nodes:n reservation:s start:t",             \
      "{nodes} {nodes|node|nodes} that would suit {nodes|is|are} kept for reservation "       \
      "{reservation}, which begins at {start}")                                               \
    X(EX_PROMISED, "nodes-promised", HELD, "nodes:n job:n start:t",                           \
      "{nodes} {nodes|node|nodes} that {nodes|is|are} free {nodes|is|are} promised to job {job} " \
      "at {start}, before it would end")                                                      \
    X(EX_SCATTERED, "nodes-scattered", HELD, "free:n partition:s",                            \
      "{free} {free|node is|nodes are} free in partition {partition}, but not together as it "    \
      "asks for them")                                                                        \
    X(EX_SWITCHES, "switches", HELD, "switches:n until:t",                                    \
      "waits until {until} for nodes under {switches} leaf {switches|switch|switches}")        \
    X(EX_AHEAD, "ahead", HELD, "jobs:n job:n",                                                \
      "{jobs} {jobs|job stands|jobs stand} ahead of it in the queue, first job {job}")             \
    X(EX_PASS, "pass", HELD, "", "has not been looked at since it could start: a pass is due") \
                                                                                              \
    X(EX_START_NOW, "start-now", START, "", "can start now")                                  \
    X(EX_START_LIMITS, "start-by-limits", START, "time:t after:c partition:s",                \
      "{time}[partition: in partition {partition}], if running jobs use their full limits"    \
      "[after:, provided that {after}]")                                                      \
    X(EX_START_PREDICTED, "start-by-prediction", START, "time:t after:s partition:s",         \
      "{time}[partition: in partition {partition}], if running jobs end as predicted"         \
      "[after: and {after}]")                                                                 \
    X(EX_START_LEAST, "start-at-least", START, "time:t jobs:n counted:n",                     \
      "not before {time}: of the {jobs} jobs ahead of it only the first {counted} are counted in") \
    X(EX_START_UNKNOWN, "start-unknown", START, "after:c",                                    \
      "not known[after: until {after}]")                                                          \
                                                                                              \
    X(EX_SOONER_TIME, "sooner-time", SOONER, "limit:d start:t now:n before:n update:s",       \
      "with a time limit of {limit} or less it would start [now:now][start:at {start}]"        \
      "[before:, ahead of what is promised to job {before}]")                                 \
    X(EX_SOONER_NODES, "sooner-nodes", SOONER, "nodes:n start:t now:n update:s",              \
      "with {nodes} {nodes|node|nodes} it would start [now:now][start:at {start}]")            \
    X(EX_SOONER_TASKS, "sooner-tasks", SOONER, "tasks:n start:t now:n update:s",              \
      "with {tasks} {tasks|task|tasks} it would start [now:now][start:at {start}]")            \
    X(EX_SOONER_CPUS, "sooner-cpus", SOONER, "cpus:n start:t now:n update:s",                 \
      "with {cpus} {cpus|CPU|CPUs} a task it would start [now:now][start:at {start}]")         \
    X(EX_SOONER_MEM, "sooner-memory", SOONER, "memory:m per:s start:t now:n update:s",        \
      "with {memory} of memory a {per} it would start [now:now][start:at {start}]")            \
    X(EX_SOONER_GRES, "sooner-gres", SOONER, "gres:s count:n start:t now:n update:s",         \
      "with {count} {gres} a node it would start [now:now][start:at {start}]")                 \
    X(EX_SOONER_PART, "sooner-partition", SOONER, "partition:s start:t now:n update:s",       \
      "in partition {partition} it would start [now:now][start:at {start}]")                   \
    X(EX_SOONER_EXCLUSIVE, "sooner-shared", SOONER, "start:t now:n update:s",                 \
      "without --exclusive it would start [now:now][start:at {start}]")                        \
    X(EX_SOONER_NODELIST, "sooner-nodelist", SOONER, "start:t now:n update:s",                \
      "without its node list it would start [now:now][start:at {start}]")                      \
    X(EX_SOONER_EXCLUDE, "sooner-exclude", SOONER, "start:t now:n update:s",                  \
      "without excluding nodes it would start [now:now][start:at {start}]")                    \
    X(EX_SOONER_FEATURES, "sooner-features", SOONER, "start:t now:n update:s",                \
      "without its constraint it would start [now:now][start:at {start}]")                     \
    X(EX_SOONER_CONTIGUOUS, "sooner-contiguous", SOONER, "start:t now:n update:s",            \
      "without --contiguous it would start [now:now][start:at {start}]")                       \
    X(EX_SOONER_SWITCHES, "sooner-switches", SOONER, "start:t now:n update:s",                \
      "without --switches it would start [now:now][start:at {start}]")                         \
    X(EX_SOONER_LICENSES, "sooner-licenses", SOONER, "start:t now:n update:s",                \
      "without its licenses it would start [now:now][start:at {start}]")                       \
    X(EX_SOONER_RESV, "sooner-reservation", SOONER, "start:t now:n update:s",                 \
      "outside its reservation it would start [now:now][start:at {start}]")                    \
                                                                                              \
    X(EX_WHY_FREE, "why-free", WHY, "",                                                       \
      "what it asked for was free when it came")                                              \
    X(EX_WHY_TURN, "why-turn", WHY, "waited:d",                                               \
      "its turn had come: nobody ahead of it waited for what it got, after {waited}")         \
    X(EX_WHY_BACKFILL, "why-backfill", WHY, "job:n waited:d",                                 \
      "backfill: it fitted in ahead of what is promised to job {job}, after {waited}")        \
    X(EX_WHY_PREDICTED, "why-prediction", WHY, "job:n predicted:d waited:d",                  \
      "backfill by prediction: it is expected to take {predicted}, so it fitted in ahead of " \
      "what is promised to job {job}, after {waited}")                                        \
                                                                                              \
    X(EX_BY_NODELIST, "placed-by-node-list", PLACED, "", "its node list")                     \
    X(EX_BY_NODE, "placed-on-best-node", PLACED, "",                                          \
      "best fit: the node on which the least is left over")                                   \
    X(EX_BY_FRAGMENTATION, "placed-by-fragmentation", PLACED, "",                             \
      "the node and GPUs that leave the least fragmentation for jobs like those seen")        \
    X(EX_BY_GPU_FIT, "placed-by-gpu-fit", PLACED, "",                                         \
      "the node and GPUs with the least left over")                                           \
    X(EX_BY_GPU_PACKING, "placed-by-gpu-packing", PLACED, "", "GPUs in use first")            \
    X(EX_BY_GPU_RANDOM, "placed-at-random", PLACED, "", "a random node that fits")            \
    X(EX_BY_PIECE, "placed-on-smallest-piece", PLACED, "leafs:n",                             \
      "best fit: the smallest sufficient piece of the fabric, {leafs} leaf "                  \
      "{leafs|switch|switches}")                                                              \
    X(EX_BY_FIRST, "placed-on-first-nodes", PLACED, "leafs:n",                                \
      "the first nodes that were free[leafs:, {leafs} leaf {leafs|switch|switches}]")         \
    X(EX_BY_FIT, "placed-by-best-fit", PLACED, "", "best fit: the nodes with the least left over") \
    X(EX_BY_SPREAD, "placed-spread", PLACED, "leafs:n",                                       \
      "spread over as many nodes as fit[leafs:, {leafs} leaf {leafs|switch|switches}]")       \
    X(EX_BY_CONTIGUOUS, "placed-contiguous", PLACED, "", "the first run of neighbouring nodes") \
    X(EX_BY_HOPS, "placed-hops", PLACED, "hops:p",                                            \
      "{hops} links between neighbours in rank order, on average")                            \
    X(EX_BY_NUMA, "placed-numa", PLACED, "numas:p",                                           \
      "NUMA-compact: cores and memory of {numas} NUMA nodes under a task, on average")

enum explain_code {
    EX_NONE,
#define X(sym, code, section, values, words) sym,
    EXPLAIN_MAP(X)
#undef X
    EX_CODE_COUNT
};

struct explain_value { /* by the kind of its key: one of the two */
    int64_t n;
    const char *s; /* NULL as "" */
};
struct explain_item {
    enum explain_code code;
    struct explain_value value[EXPLAIN_VALUES_MAX];
};

/* The i-th key of a code and its kind; false: it has not so many. */
struct explain_key {
    char name[16];
    char kind;
};
bool explain_key(enum explain_code code, unsigned i, struct explain_key *key);
const char *explain_name(enum explain_code code);
enum explain_section explain_section(enum explain_code code);
const char *explain_section_name(enum explain_section s);  /* of JSON: "held_by" */
const char *explain_section_label(enum explain_section s); /* of scontrol: "HeldBy" */
const char *explain_lead(enum explain_section s); /* in front of words: "expected start: " */

/* The value of that key: NULL when the code has none such. */
const struct explain_value *explain_get(const struct explain_item *it, const char *key);

/* An item as one line. Control characters in texts become blanks. */
void explain_put(struct buf *out, const struct explain_item *it);
/* The next item of such lines; *text is moved behind it, texts are of the arena. 0: the end.
 * Lines that are not understood are passed over. */
int explain_read(const char **text, struct arena *a, struct explain_item *it);
/* In words, without a full stop. */
void explain_words(const struct explain_item *it, struct buf *out);

#endif
