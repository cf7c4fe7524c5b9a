/* SPDX-License-Identifier: Apache-2.0 */
#include "heap.h"

#include "base/buf.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static bool before(const struct event *a, const struct event *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

void heap_put(struct heap *h, struct event e)
{
    if (h->count == h->cap) {
        h->cap = h->cap ? 2 * h->cap : 256;
        h->v = xrealloc(h->v, h->cap * sizeof *h->v);
    }
    e.order = h->order_next++;
    size_t i = h->count++;
    for (; i > 0 && before(&e, &h->v[(i - 1) / 2]); i = (i - 1) / 2)
        h->v[i] = h->v[(i - 1) / 2];
    h->v[i] = e;
}

struct event heap_take(struct heap *h)
{
    ASSERT(h->count > 0);
    struct event first = h->v[0], last = h->v[--h->count];
    size_t i = 0, k;
    while ((k = 2 * i + 1) < h->count) {
        if (k + 1 < h->count && before(&h->v[k + 1], &h->v[k]))
            k++;
        if (!before(&h->v[k], &last))
            break;
        h->v[i] = h->v[k];
        i = k;
    }
    h->v[i] = last;
    return first;
}

usec_t heap_next(const struct heap *h)
{
    return h->count ? h->v[0].at : INT64_MAX;
}

void heap_fini(struct heap *h)
{
    free(h->v);
    memset(h, 0, sizeof *h);
}
