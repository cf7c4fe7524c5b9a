/* SPDX-License-Identifier: Apache-2.0 */
#include "optim/schedule.h"

#include <math.h>

double schedule_rate(const struct schedule *s, int64_t step)
{
    if (step <= s->warmup)
        return s->peak * (double)step / (double)s->warmup;
    if (step >= s->total)
        return s->least;
    double along = (double)(step - s->warmup) / (double)(s->total - s->warmup);
    return s->least + (s->peak - s->least) * 0.5 * (1 + cos(3.14159265358979323846 * along));
}
