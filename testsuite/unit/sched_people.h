/* SPDX-License-Identifier: Apache-2.0
 *
 * people: what users and operators ask for, drawn from the world's seed.
 */
#ifndef SL_TEST_SCHED_PEOPLE_H
#define SL_TEST_SCHED_PEOPLE_H

#include "sched_world.h"

void people_user(struct world *w);
void people_operate(struct world *w);
void people_tick(struct world *w);
void people_time_passes(struct world *w);
void people_heal(struct world *w); /* nothing is closed, reserved or limited any more */

#endif
