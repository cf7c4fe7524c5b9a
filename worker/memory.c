/* SPDX-License-Identifier: Apache-2.0 */
#include "memory.h"

#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>

#define HUGE_BYTES ((size_t)2 << 20)

void memory_advise(void *p, size_t bytes)
{
    uintptr_t from = ((uintptr_t)p + HUGE_BYTES - 1) / HUGE_BYTES * HUGE_BYTES;
    uintptr_t to = ((uintptr_t)p + bytes) / HUGE_BYTES * HUGE_BYTES;
    /* Advice only: a kernel without large pages runs slower, not wrongly. */
    if (to > from)
        (void)madvise((void *)from, to - from, MADV_HUGEPAGE);
}

int memory_init(struct memory *mem, size_t bytes, struct err *err)
{
    bytes = (bytes + HUGE_BYTES - 1) / HUGE_BYTES * HUGE_BYTES;
    if (bytes == 0)
        bytes = HUGE_BYTES;
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                   0);
    if (p == MAP_FAILED)
        return err_errno(err, "cannot map %zu MiB of memory", bytes >> 20);
    memory_advise(p, bytes);
    *mem = (struct memory){.base = p, .bytes = bytes};
    return 0;
}

void memory_fini(struct memory *mem)
{
    if (mem->base)
        munmap(mem->base, mem->bytes);
    *mem = (struct memory){0};
}

void *memory_take(struct memory *mem, size_t bytes)
{
    bytes = memory_round(bytes);
    ASSERT(bytes <= mem->bytes - mem->used);
    void *p = mem->base + mem->used;
    mem->used += bytes;
    return p;
}
