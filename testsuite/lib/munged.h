/* SPDX-License-Identifier: Apache-2.0
 *
 * munged: a private munge daemon for tests: own key, own socket, own directory.
 */
#ifndef SL_TEST_MUNGED_H
#define SL_TEST_MUNGED_H

#include <sys/types.h>

struct munged {
    char dir[64];
    char socket[96];
    pid_t pid;
};

/* Starts one with a random key, or with the key of `same` (NULL: random), and waits
 * until it answers. 0 or -1 (munged is not installed, ...). */
int munged_start(struct munged *m, const struct munged *same);
/* Stops it and removes its directory. */
void munged_stop(struct munged *m);

#endif
