/* SPDX-License-Identifier: Apache-2.0
 *
 * buf: a growable run of bytes with one owner, and a bump arena.
 *
 * buf is used for text that is built piece by piece and for serialised
 * messages. `data` is always followed by a NUL that `len` does not count, so
 * that a text buffer is a C string. Allocation failure stops the program
 * (ASSERT): sizes that a peer chose are checked before they come here.
 */
#ifndef SL_BASE_BUF_H
#define SL_BASE_BUF_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
    char *data; /* NULL only before the first write */
    size_t len;
    size_t cap;
};

void buf_init(struct buf *b);
void buf_fini(struct buf *b); /* frees; the buf may be used again */
void buf_clear(struct buf *b); /* len = 0, keeps the memory */
void buf_reserve(struct buf *b, size_t more);
void buf_put(struct buf *b, const void *p, size_t n);
void buf_puts(struct buf *b, const char *s);
void buf_putc(struct buf *b, char c);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *b, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));
void buf_consume(struct buf *b, size_t n); /* drops n bytes from the front */
/* Hands the memory to the caller (free()); the buf is empty afterwards. */
char *buf_steal(struct buf *b);
/* The text, "" when nothing was written. */
const char *buf_str(const struct buf *b);

/* Arena: allocations live until arena_fini/arena_reset; freed whole. */
struct arena {
    struct arena_chunk *head;
    size_t bytes; /* handed out since the last reset */
};
void arena_init(struct arena *a);
void arena_reset(struct arena *a);
void arena_fini(struct arena *a);
void *arena_alloc(struct arena *a, size_t n); /* zeroed, 16-byte aligned */
char *arena_strdup(struct arena *a, const char *s);
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* malloc family that ASSERTs on failure; n == 0 gives a valid pointer. */
void *xmalloc(size_t n);
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *p, size_t n);
char *xstrdup(const char *s);
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
