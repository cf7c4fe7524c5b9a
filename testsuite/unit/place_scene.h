/* SPDX-License-Identifier: Apache-2.0
 *
 * A core with made-up nodes, for tests of placement. Jobs start at once and stay
 * until they are ended.
 */
#ifndef SL_TEST_PLACE_SCENE_H
#define SL_TEST_PLACE_SCENE_H

#include "sched/core.h"

struct scene {
    struct core *c;
    struct batch b;
    usec_t now;
    struct err err;
};
struct scene_node { /* of `numas` NUMA nodes; GPUs are spread over them in order */
    const char *name;
    uint32_t cores, numas, gpus, nvme;
    const char *gpu_type;
    uint64_t mem_mib;
    uint32_t shards;         /* in all; 0: GPUs are not shared */
};

void scene_begin(struct scene *s, const struct core_policy *policy);
void scene_end(struct scene *s);
void scene_node(struct scene *s, const struct scene_node *n);
void scene_nodes(struct scene *s, const char *names, uint32_t cores);
/* Submits and plans; the job's id. */
uint32_t scene_submit(struct scene *s, const Sl__JobSpec *spec);
void scene_finish(struct scene *s, uint32_t id); /* ended and clean everywhere */
void scene_plan(struct scene *s);
/* Nodes in rank order, "" while it waits. Valid until the next call. */
const char *scene_where(struct scene *s, uint32_t id);
extern const struct core_policy scene_policy;

#endif
