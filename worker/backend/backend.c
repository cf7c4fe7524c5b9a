/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/backend.h"

#include <errno.h>
#include <string.h>

const struct backend_class *backend_find(const char *device, struct err *err)
{
    if (strcmp(device, "cpu") == 0)
        return &backend_cpu;
    if (strcmp(device, "cuda") == 0)
        err_set(err, SL_ENOT_BUILT, "device cuda: the CUDA back end is not built yet");
    else
        err_set(err, -EINVAL, "device \"%s\": cpu and cuda exist", device);
    return NULL;
}

void backend_run(struct backend *be, const struct exec *x)
{
    const struct graph *g = be->graph;
    for (int i = 0; i < g->nodes_count; i++)
        be->class->forward[g->nodes[i].op](be, x, &g->nodes[i]);
    if (!x->grads)
        return;
    for (int i = g->nodes_count - 1; i >= 0; i--)
        be->class->backward[g->nodes[i].op](be, x, &g->nodes[i]);
}
