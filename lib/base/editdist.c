/* SPDX-License-Identifier: Apache-2.0 */
#include "base/editdist.h"

#include <stdint.h>

/* row[j]: the distance of a's first i letters to b's first j. */
size_t edit_distance(const char *a, size_t na, const char *b, size_t nb)
{
    size_t row[EDIT_WORD_MAX + 1];
    if (na > EDIT_WORD_MAX || nb > EDIT_WORD_MAX)
        return SIZE_MAX;
    for (size_t j = 0; j <= nb; j++)
        row[j] = j;
    for (size_t i = 1; i <= na; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= nb; j++) {
            size_t best = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[nb];
}
