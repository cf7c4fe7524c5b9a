/* SPDX-License-Identifier: Apache-2.0
 *
 * offload: blocking calls of an event loop (munged, name look-ups) on helper threads.
 *
 * Two threads serve the process. A job is handed to them with all that it needs and
 * comes back to the loop with its results; nothing is shared meanwhile. Results come
 * by an eventfd a port; a port belongs to one loop. Not usable in a child after
 * fork() without exec. Internal to lib/wire.
 */
#ifndef SL_WIRE_OFFLOAD_H
#define SL_WIRE_OFFLOAD_H

#include "base/err.h"
#include <stdbool.h>

struct event_base;
struct offload_port;

struct offload_job {
    void (*work)(struct offload_job *job); /* on a helper thread */
    void (*done)(struct offload_job *job); /* on the loop; frees the job in the end */
    void (*drop)(struct offload_job *job); /* frees it, any thread: the port is gone */
    struct offload_port *port;
    struct offload_job *next;
};

struct offload_port *offload_port_create(struct event_base *base, struct err *err);
/* Jobs under way are dropped. May be called within `done`. */
void offload_port_destroy(struct offload_port *port);
/* Negative when too many jobs are waiting; the job is then still the caller's. */
int offload_run(struct offload_port *port, struct offload_job *job, struct err *err);

#endif
