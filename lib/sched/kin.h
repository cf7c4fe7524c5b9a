/* SPDX-License-Identifier: Apache-2.0
 *
 * kin: jobs that belong together, kept so that an end or a start looks only at those whom
 * it concerns: the records of an array, a user's live jobs of one name, and who waits for
 * whom. All of it is derived from the jobs: kin_note() after any change of one brings its
 * part up to date, and core_check() recomputes it.
 *
 * Who waits: each dependency that is not decided yet hangs in the list of its target (a job
 * id or an array's), or of its job's name for singletons. kin_wake() puts those who wait
 * for a job on the list `woken`, which a pass takes up in the order of their ids: so the
 * outcome depends on no list's order.
 */
#ifndef SL_SCHED_KIN_H
#define SL_SCHED_KIN_H

#include "sched/model.h"

#include <uthash.h>

struct waited { /* dependencies that wait for one thing */
    uint32_t target; /* job id, or an array's; 0: jobs of one name */
    struct dep *head;
    UT_hash_handle hh;
};

enum { TALLY_OPEN = 1, TALLY_FAILED = 2, TALLY_UNSTARTED = 4 }; /* of struct job.tally */

struct array {
    uint32_t id;
    struct job *rest;   /* its record of the tasks not started; NULL: all have their own */
    struct job **task;  /* records of single tasks, by task id */
    uint32_t tasks, tasks_cap;
    uint32_t open;      /* records that are not over, or not yet clean */
    uint32_t failed;    /* over, not COMPLETED */
    uint32_t unstarted;
    uint32_t running;   /* with an allocation */
    struct jobset throttled; /* behind GATE_ARRAY_LIMIT */
    UT_hash_handle hh;
};

struct namesake_key { uint32_t uid, name; };
struct namesakes { /* a user's live jobs of one name, by id */
    struct namesake_key key;
    struct job *head;
    uint32_t running;
    struct waited waited;
    UT_hash_handle hh;
};

struct woken { uint32_t job_id, task; }; /* task NO_VAL: all that it waits for */

/* Of two jobs the one with the lower was submitted first: a task's own id is from the time
 * when it was split off. Equal for tasks of one array. */
static inline uint32_t kin_age(const struct job *j)
{
    return j->array_id ? j->array_id : j->id;
}
struct array *kin_array(const struct core *c, uint32_t array_id);
/* The record of one task of it, NULL when there is none. */
struct job *kin_task(const struct array *a, uint32_t task);
struct namesakes *kin_namesakes(const struct core *c, const struct job *j);
/* Has any task failed, also one whose record is gone? */
bool kin_array_failed(const struct core *c, const struct array *a);

/* Ids of its records, ascending; the caller frees. */
uint32_t *kin_ids(const struct core *c, uint32_t array_id, uint32_t *count);

/* After any change of state, name, allocation, tasks. Idempotent. */
void kin_note(struct core *c, struct job *j);
/* Before the job's record goes. */
void kin_leave(struct core *c, struct job *j);
/* j started, ended or is not what it was: who waits for it is to be looked at again. */
void kin_wake(struct core *c, struct job *j);
void kin_wake_one(struct core *c, struct job *j);
/* The next that is to be looked at, in the order of ids; false: nobody. */
bool kin_woken(struct core *c, struct woken *w);
/* Hangs the undecided dependencies of j into their targets' lists, or takes all out. */
void kin_wait(struct core *c, struct job *j, bool waits);
bool kin_waits(const struct job *j);
void kin_throttle(struct core *c, struct job *j, bool behind);
int kin_check(const struct core *c, struct err *err);
void kin_fini(struct core *c);

#endif
