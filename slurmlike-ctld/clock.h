/* SPDX-License-Identifier: Apache-2.0
 *
 * clock: wall-clock time that never runs backwards.
 *
 * The time is the monotonic clock plus an offset. When the wall clock is
 * stepped the offset follows at CLOCK_SLEW_PPM of the time that passes, so
 * that neither a time limit nor an accounting record jumps; a step of a second
 * is worked off in less than two minutes. A start below `floor` (the last time
 * a former controller recorded) begins at floor.
 */
#ifndef SL_CTLD_CLOCK_H
#define SL_CTLD_CLOCK_H

#include "base/timefmt.h"

#define CLOCK_SLEW_PPM 10000

struct clock {
    usec_t offset;    /* time - monotonic */
    usec_t mono_last; /* when the offset was last adjusted */
    usec_t last;      /* last answer */
};

void clock_start(struct clock *c, usec_t wall, usec_t mono, usec_t floor);
/* The time for these readings; pure, for tests. */
usec_t clock_step(struct clock *c, usec_t wall, usec_t mono);
usec_t clock_now(struct clock *c);

#endif
