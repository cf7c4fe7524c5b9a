/* SPDX-License-Identifier: Apache-2.0
 *
 * store: the folder of checkpoints as files. Only rank 0 comes here.
 */
#ifndef WORKER_CKPT_STORE_H
#define WORKER_CKPT_STORE_H

#include "base/buf.h"
#include "base/err.h"
#include <stdint.h>

#define STORE_TMP ".tmp"

char *store_path(const char *folder, int64_t step); /* malloc'd */
/* Makes the folder, removes what killed writers left, checks the free space. */
int store_prepare(const char *folder, uint64_t bytes, struct err *err);
/* tmp is complete: sync, rename to path, point LATEST at it, sync, prune. */
int store_publish(const char *folder, const char *tmp, const char *path, int keep,
                  struct err *err);
/* Removes tmp; returns rc. */
int store_abandon(const char *tmp, int rc);
/* Appends paths with their NULs, LATEST's first, then by falling step. */
int store_list(const char *folder, struct buf *paths, struct err *err);

#endif
