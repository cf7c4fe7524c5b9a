/* SPDX-License-Identifier: Apache-2.0
 *
 * world: the core among simulated parts, for fault tests. All of it is drawn from one
 * seed: a disk that keeps what was committed, node daemons with their jobs and
 * unacknowledged reports, links that deliver in order until they are cut, a wall clock
 * that jumps. The parts keep to the protocol of the real ones (slurmlike-ctld/loop.h,
 * slurmlike-d/noded.h):
 *
 *   world_apply/plan -> changes and effects of the generation being gathered
 *   world_seal       -> its records as they are now: the transaction in flight
 *   world_commit     -> on the disk; promises count (truth.h), effects are carried out
 *   world_crash      -> what is not on the disk is gone, and with it every link
 *
 * It never decides what happens next: that is the test's (test_sched_fault.c).
 */
#ifndef SL_TEST_SCHED_WORLD_H
#define SL_TEST_SCHED_WORLD_H

#include "base/buf.h"
#include "sched/core.h"
#include "sched_disk.h"
#include "sched_judge.h"
#include "sched_setting.h"
#include "slurmlike-ctld/clock.h"

#include <stdbool.h>
#include <stdint.h>

#define WORLD_NODES 5u
#define WORLD_LATE 64u /* delivered reports kept to be repeated much later */

struct truth;

/* ---- what travels --------------------------------------------------------------- */

struct sim_report {
    uint64_t seq;
    Sl__ReportKind kind;
    uint32_t job_id, restart, step_id, status;
    bool clean;
};
struct run_key {
    uint32_t job_id, restart;
};

enum sim_kind { SIM_LAUNCH, SIM_TERMINATE, SIM_ACK, SIM_REGISTER, SIM_REPORTS };
struct sim_msg {
    enum sim_kind kind;
    struct run_key run;
    uint32_t index; /* LAUNCH: of the allocation's nodes */
    bool single;    /* LAUNCH: the allocation's only node */
    bool final;     /* TERMINATE: ends it, is not just a signal */
    bool suspend, resume;
    uint64_t seq;               /* ACK */
    uint32_t boot;              /* REGISTER */
    struct sim_report *reports; /* REGISTER, REPORTS; owned */
    size_t reports_count;
    struct run_key *jobs; /* REGISTER; owned */
    size_t jobs_count;
};
struct sim_queue {
    struct sim_msg *v;
    size_t count, cap;
};

/* ---- nodes ---------------------------------------------------------------------- */

struct sim_job {
    struct run_key run;
    bool manager, single, suspended, ending, done, stepping;
};
struct sim_node {
    char name[8];
    uint32_t cores, numas, gpus;
    const char *features;
    uint32_t boot;
    bool dialled, registered; /* link up; the controller has its registration */
    bool loss_due;            /* cut, and the controller has not noticed */
    uint32_t session; /* counts links, so that an ack for a former one is dropped */
    struct sim_job *job;
    size_t jobs_count, jobs_cap;
    struct sim_report *log; /* not acknowledged, oldest first */
    size_t log_count, log_cap, log_sent;
    uint64_t seq_last;
    struct sim_queue down, up; /* from and to the controller */
};

struct world {
    uint64_t seed, random;
    const struct setting *setting;
    struct core_policy policy;
    struct core *core;
    struct truth *truth;
    struct judge judge;
    struct clock clock;
    usec_t wall, mono, last; /* last: latest time given to this core */
    struct batch batch;
    struct generation gather, flight;
    bool in_flight;
    struct records disk[TABLE_COUNT];
    usec_t disk_clock;
    struct books books, disk_books;
    uint64_t changes, checked; /* calls of the core; at the last check */
    struct effect *late; /* launches whose scripts are being read */
    size_t late_count, late_cap;
    struct sim_node node[WORLD_NODES];
    struct {
        uint32_t node;
        struct sim_report report;
    } past[WORLD_LATE];
    size_t past_count;
    bool trace;
    bool calm;       /* no faults: nodes launch what they are told to */
    uint64_t digest; /* of every batch: equal for equal seeds */
    struct {
        uint64_t commands, refused, starts, crashes, cuts, reboots, commits, repeats;
    } stats;
};

struct world *world_create(uint64_t seed, struct truth *truth);
/* One line of the story, when SLURMLIKE_TRACE is set. */
void world_say(const struct world *w, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void world_destroy(struct world *w);
void world_begin(struct world *w); /* another core, from the disk */
/* Index in the world of the core's; node tables of two cores may differ in order. */
uint32_t world_node(const struct world *w, uint32_t index);

uint64_t world_random(struct world *w);
uint32_t world_below(struct world *w, uint32_t n); /* 0 .. n-1; 0 for n 0 */
bool world_chance(struct world *w, uint32_t percent);

usec_t world_now(struct world *w);
void world_pass(struct world *w, usec_t span);      /* both clocks */
void world_wall_jump(struct world *w, usec_t span); /* only the wall clock */

/* core_apply; what it brought goes to the generation. Refused commands must change
 * nothing: checked. */
int world_apply(struct world *w, const struct command *cmd, struct err *err);
int world_plan(struct world *w, unsigned budget);
void world_promise(struct world *w, struct promise p);
void world_seal(struct world *w);
void world_commit(struct world *w);
void world_settle(struct world *w); /* all that was gathered is committed */
/* lands: the transaction in flight reached the disk, though nobody was told. */
void world_crash(struct world *w, bool lands);
void world_late(struct world *w); /* carries out one delayed launch */

void world_dial(struct world *w, uint32_t node);
void world_cut(struct world *w, uint32_t node);
void world_notice(struct world *w, uint32_t node); /* the controller sees a cut */
void world_reboot(struct world *w, uint32_t node, bool keep_spool);
void world_deliver_up(struct world *w, uint32_t node, bool shuffle);
void world_deliver_down(struct world *w, uint32_t node);
void world_work(struct world *w,
                uint32_t node);          /* something happens to one of its jobs */
void world_repeat_late(struct world *w); /* an old report once more */
bool world_quiet(const struct world *w); /* nothing is under way */

void world_check(struct world *w);
void world_check_disk(struct world *w); /* disk_check, with nothing under way */

#endif
