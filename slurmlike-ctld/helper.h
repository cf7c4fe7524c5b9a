/* SPDX-License-Identifier: Apache-2.0
 *
 * helper: a thread that does blocking work for the loop, one piece at a time.
 *
 * The loop posts a work whose run() is called on the helper's thread and whose
 * done() is called back on the loop. Between the two the work belongs to the
 * helper: neither side shares anything else. Works are run in order.
 */
#ifndef SL_CTLD_HELPER_H
#define SL_CTLD_HELPER_H

#include "base/err.h"

#include <event2/event.h>

struct helper;

struct work { /* embed as the first member of the piece of work */
    void (*run)(struct work *w);  /* helper's thread */
    void (*done)(struct work *w); /* loop thread; frees the work */
    struct work *next;
};

struct helper *helper_create(struct event_base *base, const char *name, struct err *err);
void helper_post(struct helper *h, struct work *w);
/* Waits for the work under way; works that have run get their done() call,
 * works not yet run are run first. */
void helper_destroy(struct helper *h);

#endif
