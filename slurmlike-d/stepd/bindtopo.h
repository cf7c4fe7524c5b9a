/* SPDX-License-Identifier: Apache-2.0
 *
 * bindtopo: this machine's cpus as binding needs them, from sysfs.
 *
 * The grant names OS cpu numbers, so the kernel's own description is what is asked;
 * it is read once a step, and only when the kind of binding needs it.
 */
#ifndef SL_STEPD_BINDTOPO_H
#define SL_STEPD_BINDTOPO_H

#include "stepd/stepd.h"

enum bind_unit { UNIT_CPU, UNIT_CORE, UNIT_SOCKET, UNIT_NUMA };

struct bind_topo {
    unsigned cpus_count;   /* highest OS cpu number + 1 */
    unsigned numa_count;   /* at least 1 */
    unsigned *order;       /* cpu numbers, those of a core next to each other */
    unsigned *core, *socket, *numa; /* by cpu number; NULL: not read */
};
/* Owned by the step (its arena). units: also core, socket and NUMA node. */
const struct bind_topo *bind_topo_get(struct step *s, bool units);
unsigned bind_topo_unit(const struct bind_topo *t, unsigned cpu, enum bind_unit unit);

#endif
