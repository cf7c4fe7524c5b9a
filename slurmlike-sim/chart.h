/* SPDX-License-Identifier: Apache-2.0
 *
 * chart: use and queue over time, and the distribution of waits, as SVG files that stand by
 * themselves. Several policies share one drawing.
 */
#ifndef SL_SIM_CHART_H
#define SL_SIM_CHART_H

#include "engine.h"

struct series {
    const char *name;
    const struct engine_result *res; /* with samples */
};

/* 0, or negative: the file cannot be written. */
int chart_use(const char *path, const struct cluster *cl, const struct series *s, size_t n,
              struct err *err);
int chart_wait(const char *path, const struct series *s, size_t n, struct err *err);

#endif
