/* SPDX-License-Identifier: Apache-2.0
 *
 * A list of chunks; the head is the one that is being filled. Chunk sizes double
 * so that a large user pays few mallocs and a small one little memory.
 */
#include "buf.h"

#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"

#define ARENA_ALIGN ((size_t)16)
#define ARENA_CHUNK_MIN ((size_t)4096)
#define ARENA_CHUNK_MAX ((size_t)1 << 20)

struct arena_chunk {
    struct arena_chunk *next;
    size_t size, used; /* of data */
    alignas(16) unsigned char data[];
};

void arena_init(struct arena *a)
{
    *a = (struct arena){0};
}

static void arena_free_chunks(struct arena_chunk *c)
{
    while (c) {
        struct arena_chunk *next = c->next;
        free(c);
        c = next;
    }
}

void arena_fini(struct arena *a)
{
    arena_free_chunks(a->head);
    arena_init(a);
}

/* Keeps one chunk, so that a user who resets in a loop allocates once; one
 * huge allocation is not kept for ever. */
void arena_reset(struct arena *a)
{
    struct arena_chunk *keep = a->head;
    if (keep) {
        arena_free_chunks(keep->next);
        keep->next = NULL;
        keep->used = 0;
        if (keep->size > ARENA_CHUNK_MAX) {
            free(keep);
            keep = NULL;
        }
    }
    a->head = keep;
    a->bytes = 0;
}

static struct arena_chunk *arena_grow(struct arena *a, size_t n)
{
    size_t size = a->head ? a->head->size * 2 : ARENA_CHUNK_MIN;
    if (size > ARENA_CHUNK_MAX)
        size = ARENA_CHUNK_MAX;
    if (size < n)
        size = n;
    struct arena_chunk *c = xmalloc(sizeof *c + size);
    c->size = size;
    c->used = 0;
    c->next = a->head;
    a->head = c;
    return c;
}

void *arena_alloc(struct arena *a, size_t n)
{
    ASSERT(n < SIZE_MAX / 2);
    n = n ? (n + ARENA_ALIGN - 1) & ~(ARENA_ALIGN - 1) : ARENA_ALIGN;
    struct arena_chunk *c = a->head;
    if (!c || c->size - c->used < n)
        c = arena_grow(a, n);
    void *p = c->data + c->used;
    c->used += n;
    a->bytes += n;
    return memset(p, 0, n);
}

char *arena_strdup(struct arena *a, const char *s)
{
    size_t n = strlen(s) + 1;
    return memcpy(arena_alloc(a, n), s, n);
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    ASSERT(n >= 0);
    char *s = arena_alloc(a, (size_t)n + 1);
    vsnprintf(s, (size_t)n + 1, fmt, again);
    va_end(again);
    va_end(ap);
    return s;
}
