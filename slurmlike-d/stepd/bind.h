/* SPDX-License-Identifier: Apache-2.0
 *
 * bind: which cpus, memory nodes and GPUs one task gets, --cpu-bind, --mem-bind,
 * --gpu-bind of srun(1).
 *
 * Everything is relative to what the step was granted on this node. A cpu that this
 * machine does not have (a made-up topology) is left out; with none left nothing is bound.
 */
#ifndef SL_STEPD_BIND_H
#define SL_STEPD_BIND_H

#include "stepd/stepd.h"
#include <sched.h>

#define BIND_MASK_WORDS ((CPUS_PER_NODE_MAX + 63) / 64)
#define BIND_MEM_NODES_MAX 1024

struct bind {
    bool cpus;                          /* mask below is to be set */
    cpu_set_t *mask;                    /* from the arena */
    size_t mask_bytes;
    int mem_policy;                     /* MPOL_*, MPOL_DEFAULT: none */
    unsigned long mem_nodes[BIND_MEM_NODES_MAX / (8 * sizeof(long))];
    const char *type;                   /* SLURM_CPU_BIND_TYPE: "mask_cpu:" or "none" ... */
    const char *list;                   /* SLURM_CPU_BIND_LIST: "0x3" */
    bool verbose;
    const char *gpus;                   /* CUDA_VISIBLE_DEVICES, NULL: none granted */
};

/* Computes it; strings and mask come from the arena. A malformed option is an error. */
int bind_make(struct step *s, const struct task *t, struct arena *a, struct bind *out,
              struct err *err);
/* In the task's process. 0 or -errno; allocates nothing. */
int bind_apply(const struct bind *b);
/* "0-3,8" into bits of mask (n of them); numbers beyond are left out. */
void bind_cpus_parse(const char *text, uint64_t *mask, unsigned n);

#endif
