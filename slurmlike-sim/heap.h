/* SPDX-License-Identifier: Apache-2.0
 *
 * heap: events to come, by time; those of one time come out in the order in which they
 * were put in.
 */
#ifndef SL_SIM_HEAP_H
#define SL_SIM_HEAP_H

#include "base/timefmt.h"

#include <stddef.h>
#include <stdint.h>

enum event_kind { EVENT_NONE, EVENT_END, EVENT_FAIL, EVENT_REPAIR };
struct event {
    usec_t at;
    uint64_t order;    /* set by heap_put */
    enum event_kind kind;
    uint32_t id;       /* job of the trace, or node */
    uint32_t ticket;
};
struct heap {
    struct event *v;
    size_t count, cap;
    uint64_t order_next;
};

void heap_put(struct heap *h, struct event e);
struct event heap_take(struct heap *h); /* the first; not of an empty heap */
usec_t heap_next(const struct heap *h); /* INT64_MAX: empty */
void heap_fini(struct heap *h);

#endif
