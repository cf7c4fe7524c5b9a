/* SPDX-License-Identifier: Apache-2.0
 *
 * frag: how much of the idle GPUs is of no use, by "Beware of Fragmentation: Scheduling
 * GPU-Sharing Workloads with Fragmentation Gradient Descent" (Weng et al., ATC'23).
 *
 * What the jobs of a trace ask for are classes, each with its share of the jobs. For one class
 * all idle GPU time of a node is a fragment when the node lacks the processors or GPUs for a
 * job of it, or when it asks for none; else what is left on GPUs that have too little for
 * it. A node's fragment is the mean over the classes, by their shares.
 */
#ifndef SL_SIM_FRAG_H
#define SL_SIM_FRAG_H

#include "cluster.h"
#include "trace.h"

struct frag_class {
    uint32_t cpus, gpus, milli;
    double share;
};
struct frag {
    struct frag_class *class;
    size_t count;
    uint32_t nodes;
};
struct frag_sum { /* of all nodes, in GPUs */
    double idle, fragment;
};

void frag_init(struct frag *f, const struct cluster *cl, const struct trace *t);
void frag_fini(struct frag *f);
struct frag_sum frag_measure(const struct frag *f, const struct core *core);
/* One node: free processors, thousandths of each GPU. In thousandths. */
double frag_node(const struct frag *f, uint32_t cpus_free, const uint16_t *gpu, size_t gpus);

#endif
