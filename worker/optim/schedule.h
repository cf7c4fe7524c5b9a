/* SPDX-License-Identifier: Apache-2.0
 *
 * schedule: the learning rate of a step; a pure function.
 *
 * Linear from 0 over `warmup` steps, then half a cosine from `peak` down to
 * `least` at step `total`, and `least` from there on.
 */
#ifndef WORKER_OPTIM_SCHEDULE_H
#define WORKER_OPTIM_SCHEDULE_H

#include <stdint.h>

struct schedule {
    double peak, least;
    int64_t warmup, total;
};

/* step: 1 for the first update. */
double schedule_rate(const struct schedule *s, int64_t step);

#endif
