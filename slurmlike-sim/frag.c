/* SPDX-License-Identifier: Apache-2.0 */
#include "frag.h"

#include "base/buf.h"
#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

#define WHOLE 1000u

static int by_ask(const void *a, const void *b)
{
    const struct frag_class *x = a, *y = b;
    if (x->gpus != y->gpus)
        return x->gpus < y->gpus ? -1 : 1;
    if (x->milli != y->milli)
        return x->milli < y->milli ? -1 : 1;
    return x->cpus < y->cpus ? -1 : x->cpus > y->cpus;
}

void frag_init(struct frag *f, const struct cluster *cl, const struct trace *t)
{
    *f = (struct frag){.class = xcalloc(t->count, sizeof *f->class),
                       .nodes = (uint32_t)cl->nodes};
    for (size_t i = 0; i < t->count; i++) {
        const struct trace_job *j = &t->job[i];
        uint32_t cpus = j->procs ? j->procs : j->cpus;
        f->class[i] = (struct frag_class){cpus, j->gpus, j->gpu_milli, 1.0 / (double)t->count};
    }
    qsort(f->class, t->count, sizeof *f->class, by_ask);
    for (size_t i = 0; i < t->count; i++) {
        if (f->count && by_ask(&f->class[f->count - 1], &f->class[i]) == 0)
            f->class[f->count - 1].share += f->class[i].share;
        else
            f->class[f->count++] = f->class[i];
    }
}

void frag_fini(struct frag *f)
{
    free(f->class);
    memset(f, 0, sizeof *f);
}

double frag_node(const struct frag *f, uint32_t cpus_free, const uint16_t *gpu, size_t gpus)
{
    double idle = 0, sum = 0;
    for (size_t g = 0; g < gpus; g++)
        idle += gpu[g];
    for (size_t i = 0; i < f->count && idle > 0; i++) {
        const struct frag_class *k = &f->class[i];
        double small = 0; /* on GPUs that have too little */
        uint32_t enough = 0;
        for (size_t g = 0; g < gpus; g++) {
            enough += gpu[g] >= k->milli;
            small += gpu[g] < k->milli ? gpu[g] : 0;
        }
        bool fits = k->gpus > 0 && enough >= k->gpus && cpus_free >= k->cpus;
        sum += k->share * (fits ? small : idle);
    }
    return sum;
}

struct frag_sum frag_measure(const struct frag *f, const struct core *core)
{
    struct frag_sum s = {0};
    uint16_t gpu[GRES_PER_NODE_MAX];
    for (uint32_t n = 0; n < f->nodes; n++) {
        uint32_t cpus;
        size_t gpus = core_node_free(core, n, &cpus, gpu, GRES_PER_NODE_MAX);
        for (size_t g = 0; g < gpus; g++)
            s.idle += (double)gpu[g] / WHOLE;
        s.fragment += frag_node(f, cpus, gpu, gpus) / WHOLE;
    }
    return s;
}
