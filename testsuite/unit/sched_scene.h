/* SPDX-License-Identifier: Apache-2.0
 *
 * scene: one core with a few nodes, for tests that say what happens after what. Each call
 * that changes something is followed by a full pass and by core_check().
 */
#ifndef SL_TEST_SCHED_SCENE_H
#define SL_TEST_SCHED_SCENE_H

#include "base/buf.h"
#include "sched/core.h"

#define SEC USEC_PER_SEC
#define T0 (INT64_C(1700000000) * SEC)

struct scene {
    struct core_policy policy;
    const struct core_partition *parts;
    size_t parts_count;
    struct core *c;
    struct batch b; /* what the last call and the pass behind it did */
    usec_t now;
    struct err err;
};

/* Nodes n1.. of 4 cores and 4 GiB, in one partition "main" unless others are given before:
 * then the caller fills `policy` (scene_policy) and `parts` first. */
extern const struct core_policy scene_policy;
void scene_begin(struct scene *s, unsigned nodes);
void scene_begin_with(struct scene *s, unsigned nodes); /* policy and parts are set */
void scene_end(struct scene *s);
/* The same core from its records, as after a crash of the controller. */
void scene_restart(struct scene *s);
int scene_apply(struct scene *s, const struct command *cmd);
void scene_tick(struct scene *s, usec_t when);
void scene_node(struct scene *s, const char *name, const char *features);

void spec_begin(Sl__JobSpec *spec); /* one task, 1 MiB, batch */
uint32_t scene_submit(struct scene *s, const Sl__JobSpec *spec); /* as uid 1000 */
int scene_submit_as(struct scene *s, uint32_t uid, const Sl__JobSpec *spec);
/* The submission is refused with this code and this word, and nothing is kept of it. */
void scene_refuses(struct scene *s, const Sl__JobSpec *spec, int code, const char *word);
/* Launched on and over with this wait status on all of its nodes. */
void scene_done(struct scene *s, uint32_t job, int status);
void scene_op(struct scene *s, enum command_kind kind, uint32_t job); /* as an operator */
int scene_update(struct scene *s, uint32_t job, const char *key, const char *value);
struct job_view scene_job(struct scene *s, uint32_t job);
/* Fails with the job's state and reason when they are others. reason REASON_COUNT: any. */
void scene_expect(struct scene *s, uint32_t job, enum job_state state, enum job_reason reason);

#endif
