/* SPDX-License-Identifier: Apache-2.0
 *
 * hostlist_ranged(): names back to the bracket notation. Successive names that
 * differ in one number only become one item, `prefix[...]suffix`; which of a
 * name's numbers that is shows when the second name arrives.
 */
#include "hostlist.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "buf.h"

#define DIGITS_MAX 18 /* as hostlist.c: a longer number is plain text */

struct piece { /* the item being collected */
    const char *first;  /* its first name */
    size_t at, len;     /* the number that varies, in `first` */
    size_t names;
    uint64_t lo, hi;
    int width;
};

static uint64_t number_at(const char *s, size_t len)
{
    uint64_t v = 0;
    for (size_t i = 0; i < len; i++)
        v = v * 10 + (uint64_t)(s[i] - '0');
    return v;
}

/* The last run of digits, of a length that parses back. */
static bool last_number(const char *name, size_t *at, size_t *len)
{
    size_t end = strlen(name);
    while (end > 0 && !isdigit((unsigned char)name[end - 1]))
        end--;
    size_t start = end;
    while (start > 0 && isdigit((unsigned char)name[start - 1]))
        start--;
    *at = start;
    *len = end - start;
    return *len > 0 && *len <= DIGITS_MAX;
}

/* The one run of digits in which the names differ; equal names: the last. */
static bool differing_number(const char *a, const char *b, size_t *at, size_t *len)
{
    size_t d = 0;
    while (a[d] && a[d] == b[d])
        d++;
    if (!a[d] && !b[d])
        return last_number(a, at, len);
    while (d > 0 && isdigit((unsigned char)a[d - 1]))
        d--;
    *at = d;
    *len = strspn(a + d, "0123456789");
    return *len > 0 && *len <= DIGITS_MAX;
}

/* True when b is a with another number at `at`; *b_len its digits. */
static bool same_but_number(const char *a, size_t at, size_t len, const char *b,
                            size_t *b_len)
{
    if (strncmp(a, b, at) != 0)
        return false;
    *b_len = strspn(b + at, "0123456789");
    return *b_len > 0 && *b_len <= DIGITS_MAX && strcmp(a + at + len, b + at + *b_len) == 0;
}

static void put_range(struct buf *out, const struct piece *pc)
{
    buf_printf(out, "%0*" PRIu64, pc->width, pc->lo);
    if (pc->hi > pc->lo)
        buf_printf(out, "-%0*" PRIu64, pc->width, pc->hi);
}

static void piece_start(struct piece *pc, const char *name)
{
    *pc = (struct piece){.first = name, .names = 1};
}

static void piece_finish(struct buf *out, const struct piece *pc)
{
    if (pc->names == 1) {
        buf_puts(out, pc->first);
        return;
    }
    put_range(out, pc);
    buf_putc(out, ']');
    buf_puts(out, pc->first + pc->at + pc->len);
}

/* Adds the name to the item when it fits there. */
static bool piece_add(struct buf *out, struct piece *pc, const char *name)
{
    size_t len;
    if (pc->names == 1 && !differing_number(pc->first, name, &pc->at, &pc->len))
        return false;
    if (!same_but_number(pc->first, pc->at, pc->len, name, &len))
        return false;
    if (pc->names == 1) {
        buf_put(out, pc->first, pc->at);
        buf_putc(out, '[');
        pc->lo = pc->hi = number_at(pc->first + pc->at, pc->len);
        pc->width = (int)pc->len;
    }
    pc->names++;
    uint64_t v = number_at(name + pc->at, len);
    char padded[32];
    int n = snprintf(padded, sizeof padded, "%0*" PRIu64, pc->width, v);
    if (v == pc->hi + 1 && (size_t)n == len) {
        pc->hi = v;
        return true;
    }
    put_range(out, pc);
    buf_putc(out, ',');
    pc->lo = pc->hi = v;
    pc->width = (int)len;
    return true;
}

char *hostlist_ranged(const struct hostlist *hl)
{
    struct buf out;
    struct piece pc;
    buf_init(&out);
    for (size_t i = 0; i < hostlist_count(hl); i++) {
        const char *name = hostlist_nth(hl, i);
        if (i == 0) {
            piece_start(&pc, name);
        } else if (!piece_add(&out, &pc, name)) {
            piece_finish(&out, &pc);
            buf_putc(&out, ',');
            piece_start(&pc, name);
        }
    }
    if (hostlist_count(hl))
        piece_finish(&out, &pc);
    return buf_steal(&out);
}
