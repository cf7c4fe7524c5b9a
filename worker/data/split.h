/* SPDX-License-Identifier: Apache-2.0
 *
 * split: cuts text into the pieces that byte-pair merges never cross.
 *
 * A piece is a match of the pattern (PCRE2, compiled to machine code), a single
 * byte where the text is not UTF-8, and never longer than SPLIT_PIECE_MAX bytes:
 * a longer match is cut there. Where a piece ends depends only on the bytes from
 * its beginning on, and on no more than SPLIT_VIEW of them, so pieces are the
 * same however the text arrives.
 */
#ifndef WORKER_DATA_SPLIT_H
#define WORKER_DATA_SPLIT_H

#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>

#define SPLIT_PIECE_MAX ((size_t)4096)
#define SPLIT_VIEW (SPLIT_PIECE_MAX + 16)

struct split;

/* Names of the patterns for an option's choices: "gpt2|llama3". */
extern const char split_choices[];
const char *split_name(int pattern);
/* Index of the pattern with this name, or -1. */
int split_find(const char *name);

struct split *split_create(int pattern, struct err *err);
void split_destroy(struct split *s);
/* Length of the piece at the beginning of text[0..n), n > 0; 0: it cannot be
 * told without more text, which never happens when final (nothing follows) or
 * when n >= SPLIT_VIEW. */
size_t split_next(struct split *s, const char *text, size_t n, bool final);

#endif
