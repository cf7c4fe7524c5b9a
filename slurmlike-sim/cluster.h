/* SPDX-License-Identifier: Apache-2.0
 *
 * cluster: the machine of a simulation, as a struct conf with nodes and partitions, and what
 * each of its nodes registers with.
 */
#ifndef SL_SIM_CLUSTER_H
#define SL_SIM_CLUSTER_H

#include "conf/conf.h"
#include "sched/core.h"

struct cluster_node {
    const char *name;      /* of the conf's host lists, kept in the arena */
    uint32_t cores, gpus;
    uint64_t mem_mib;
};
struct cluster {
    struct conf *conf;
    struct cluster_node *node;
    size_t nodes;
    bool is_pool;          /* interchangeable processors: one node, its cores not told apart */
    uint32_t procs, gpus;  /* in all */
    bool gpu_shares;       /* GPUs can be shared out in thousandths (gres gpu_milli) */
    uint32_t gpus_node_max; /* of the node with most */
    struct arena arena;
};

/* N interchangeable processors. */
int cluster_procs(struct cluster *cl, uint32_t procs, struct err *err);
/* The nodes and partitions of a file as slurmlike.conf; each entry needs `cpus`. */
int cluster_conf(struct cluster *cl, const char *path, struct err *err);
/* A table with the columns sn, cpu_milli, memory_mib, gpu, model, or JSON (live.h). gpus_only:
 * leaves nodes without GPUs out of the table. */
int cluster_table(struct cluster *cl, const char *path, bool gpus_only, struct err *err);
void cluster_fini(struct cluster *cl);

/* The core with this machine under this policy; all nodes registered at `now`. NULL: *err. */
struct core *cluster_core(const struct cluster *cl, const struct core_policy *policy,
                          usec_t now, struct err *err);
/* Registers one node (again: boot > 0). */
int cluster_register(const struct cluster *cl, struct core *core, uint32_t node,
                     uint32_t boot, usec_t now, struct batch *out, struct err *err);

#endif
