/* SPDX-License-Identifier: Apache-2.0
 *
 * overwrite: new contents for a file that is used again.
 */
#ifndef SL_BASE_OVERWRITE_H
#define SL_BASE_OVERWRITE_H

#include <stddef.h>
#include <sys/types.h>

/* The file holds n bytes of p from offset `at` on, and ends there. Written over the old
 * contents and only then cut: a file that is cut to nothing first gets new blocks, and ext4
 * writes those out when it is closed (auto_da_alloc in ext4(5)). A crash in between leaves
 * parts of both, so the caller has a name or a lock that says so. 0 or -errno. */
int fd_overwrite(int fd, off_t at, const void *p, size_t n);

#endif
