/* SPDX-License-Identifier: Apache-2.0
 *
 * editdist: how much two short words differ, for "did you mean".
 */
#ifndef SL_BASE_EDITDIST_H
#define SL_BASE_EDITDIST_H

#include <stddef.h>

#define EDIT_WORD_MAX 128 /* longer ones are far from everything */

/* Levenshtein distance of a[0..na) and b[0..nb); SIZE_MAX when one is too long. */
size_t edit_distance(const char *a, size_t na, const char *b, size_t nb);

#endif
