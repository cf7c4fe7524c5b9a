/* SPDX-License-Identifier: Apache-2.0
 *
 * hostlist: node name lists in Slurm's notation, `n[001-128,200],gpu[1-2]-ib`.
 *
 * Expansion keeps the order written and duplicates; hostlist_ranged() sorts
 * nothing but joins neighbouring numbers of equal prefix, suffix and width.
 * A list may hold several bracket groups (`r[1-2]n[01-16]`), as Slurm's do.
 * Bounds: HOSTLIST_MAX names, name length HOSTNAME_LEN_MAX, so that a hostile
 * `n[0-999999999]` is an error and not an allocation. Names are letters, digits
 * and -_.:+ and begin with neither '.' nor '-', because they become file names
 * and arguments. White space separates items as commas do.
 * Source: Slurm's scontrol(1) "show hostnames/hostlist".
 */
#ifndef SL_BASE_HOSTLIST_H
#define SL_BASE_HOSTLIST_H

#include "err.h"
#include <stddef.h>

#define HOSTLIST_MAX 131072
#define HOSTNAME_LEN_MAX 255

struct hostlist; /* ordered list of names */

/* NULL and *err on a malformed or too large expression. "" gives an empty list. */
struct hostlist *hostlist_create(const char *expr, struct err *err);
void hostlist_destroy(struct hostlist *hl);
size_t hostlist_count(const struct hostlist *hl);
/* Valid until the list changes; NULL when i is out of range. */
const char *hostlist_nth(const struct hostlist *hl, size_t i);
/* Appends one plain name (no brackets); 0 or negative. */
int hostlist_push(struct hostlist *hl, const char *name, struct err *err);
/* Index of name, or -1. */
long hostlist_find(const struct hostlist *hl, const char *name);
void hostlist_sort(struct hostlist *hl); /* natural order: n2 before n10 */
void hostlist_uniq(struct hostlist *hl); /* sorts, then drops duplicates */
/* Natural order of two names: < 0, 0 (only when equal), > 0. */
int hostname_compare(const char *a, const char *b);
/* `n[1-3],m1`; caller frees. */
char *hostlist_ranged(const struct hostlist *hl);

#endif
