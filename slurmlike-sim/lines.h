/* SPDX-License-Identifier: Apache-2.0
 *
 * lines: a text file line by line, plain or xz-compressed (told by its first bytes).
 * Holds one block of the file and one line at a time.
 */
#ifndef SL_SIM_LINES_H
#define SL_SIM_LINES_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

struct lines;

/* NULL and *err when the file can not be opened. */
struct lines *lines_open(const char *path, struct err *err);
void lines_close(struct lines *l); /* NULL is fine */
/* 1: *line is the next line without its end, NUL-terminated, the caller's to change until
 * the next call. 0: the end. Negative: a read error, a damaged archive, a NUL byte, or a
 * line beyond LINE_BYTES_MAX. */
int lines_next(struct lines *l, char **line, struct err *err);
/* "path:number", of the line last given. */
int lines_fail(const struct lines *l, struct err *err); /* prefixes *err; its code */
uint64_t lines_number(const struct lines *l);

#endif
