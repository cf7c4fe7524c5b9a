/* SPDX-License-Identifier: Apache-2.0 */
#include "clock.h"

void clock_start(struct clock *c, usec_t wall, usec_t mono, usec_t floor)
{
    c->last = wall > floor ? wall : floor;
    c->offset = c->last - mono;
    c->mono_last = mono;
}

usec_t clock_step(struct clock *c, usec_t wall, usec_t mono)
{
    usec_t passed = mono - c->mono_last;
    usec_t slew = passed * CLOCK_SLEW_PPM / 1000000;

    if (slew > 0) {
        usec_t drift = wall - (mono + c->offset);
        c->offset += drift > slew ? slew : drift < -slew ? -slew : drift;
        c->mono_last = mono;
    }
    usec_t now = mono + c->offset;
    if (now > c->last)
        c->last = now;
    return c->last;
}

usec_t clock_now(struct clock *c)
{
    return clock_step(c, clock_wall_usec(), clock_mono_usec());
}
