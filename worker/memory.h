/* SPDX-License-Identifier: Apache-2.0
 *
 * memory: one mapping for all large arrays of a rank.
 *
 * Everything that lives for the whole run is carved from mappings made before
 * the first step, so the step loop allocates nothing. Mappings ask for 2 MiB
 * pages (madvise): with 4 KiB pages streaming kernels lose 25-35 % here.
 */
#ifndef WORKER_MEMORY_H
#define WORKER_MEMORY_H

#include "base/err.h"
#include <stddef.h>

#define MEMORY_ALIGN ((size_t)64)

struct memory {
    char *base; /* NULL: none */
    size_t bytes;
    size_t used;
};

/* Zeroed pages; nothing is resident until touched. 0 or -ENOMEM. */
int memory_init(struct memory *mem, size_t bytes, struct err *err);
void memory_fini(struct memory *mem);
/* The next `bytes`, aligned to MEMORY_ALIGN. Asking for more than was mapped is
 * a programming error: sizes are added up with memory_round() before. */
void *memory_take(struct memory *mem, size_t bytes);

static inline size_t memory_round(size_t bytes)
{
    return (bytes + MEMORY_ALIGN - 1) / MEMORY_ALIGN * MEMORY_ALIGN;
}

/* Asks for large pages in a mapping made elsewhere (shared windows). */
void memory_advise(void *p, size_t bytes);

#endif
