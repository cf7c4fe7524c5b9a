/* SPDX-License-Identifier: Apache-2.0 */
#include "model/graph.h"
#include "philox.h"

#include <math.h>

/* Element i of a tensor is half of a Box-Muller pair drawn from its own
 * counter, so any range of any tensor can be filled anywhere. */
static real normal_at(uint64_t seed, int tensor, size_t i, double std)
{
    struct philox4 r = philox(seed, (uint64_t)PHILOX_INIT << 32 | (uint64_t)tensor, i / 2);
    double radius = sqrt(-2.0 * log(philox_unit(r.v[0])));
    double angle = 6.283185307179586 * philox_unit(r.v[1]);
    return (real)(std * radius * (i % 2 ? sin(angle) : cos(angle)));
}

void params_init(const struct graph *g, uint64_t seed, real *flat, size_t begin, size_t end)
{
    for (int t = 0; t < g->params_count; t++) {
        const struct param *p = &g->params[t];
        size_t from = p->offset > begin ? p->offset : begin;
        size_t to = p->offset + param_count(p);
        if (to > end)
            to = end;
        for (size_t i = from; i < to; i++) {
            switch (p->init) {
            case INIT_ZERO:
                flat[i] = 0;
                break;
            case INIT_ONE:
                flat[i] = 1;
                break;
            case INIT_NORMAL:
                flat[i] = normal_at(seed, t, i - p->offset, p->init_std);
                break;
            }
        }
    }
}
