/* SPDX-License-Identifier: Apache-2.0
 *
 * arrive: how full a machine becomes when jobs only arrive: the setting of "Beware of
 * Fragmentation" (ATC'23). All jobs of the trace, and further ones drawn from it until their
 * GPUs make up the wished share of the machine's, come in random order; each is placed at
 * once or turned away; nothing ends.
 */
#ifndef SL_SIM_ARRIVE_H
#define SL_SIM_ARRIVE_H

#include "engine.h"

#define ARRIVE_PERCENT_MAX 400

struct arrive_result { /* means over the seeds, by percent of the machine's GPUs arrived */
    double alloc[ARRIVE_PERCENT_MAX + 1];    /* % of all GPUs allocated */
    double fragment[ARRIVE_PERCENT_MAX + 1]; /* % of the idle GPUs that is fragments */
    uint32_t percent;   /* the last */
    uint32_t seeds;
    size_t jobs, placed; /* of all seeds */
};

/* Seeds o->seed and the following ones. */
int arrive_run(const struct engine_options *o, uint32_t percent, uint32_t seeds,
               struct arrive_result *res, struct err *err);

#endif
