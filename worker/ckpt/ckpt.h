/* SPDX-License-Identifier: Apache-2.0
 *
 * ckpt: checkpoints, one parallel HDF5 file each.
 *
 *   FOLDER/step_0000000120.h5    complete, never changed again
 *   FOLDER/LATEST                name of the newest one
 *   FOLDER/NAME.tmp              being written, or left by a killed writer
 *
 *   /params/NAME  /adamw_m/NAME  /adamw_v/NAME
 *        f32, whole tensors by their logical names, so that any number of ranks
 *        reads what any other number wrote; attribute crc32c of the tensor's bytes
 *   attributes of /: format, version, state (JSON: step, seeds, options ...)
 *
 * All ranks write their slices to the temporary name; then the data is flushed,
 * the file and the folder are synced, the file is renamed, and LATEST
 * is replaced the same way. At no instant is the last good checkpoint touched.
 * HDF5 itself guards its metadata with checksums (format of 1.8 and later).
 */
#ifndef WORKER_CKPT_CKPT_H
#define WORKER_CKPT_CKPT_H

#include "parallel/shards.h"
#include <jansson.h>

/* All functions are collective and agree on their result. */

/* Writes `step`, then removes all but the newest `keep`. */
int ckpt_save(const char *folder, int64_t step, const struct shards *s, const json_t *state,
              int keep, struct err *err);

/* The files to try for a resume, best first: LATEST, then by falling step.
 * *list is malloc'd, each name ends with a NUL, an empty name ends the list. */
int ckpt_list(const struct comm *c, const char *folder, char **list, struct err *err);

/* The state of a checkpoint file without its tensors. -EIO: damaged or not one. */
int ckpt_state(const struct comm *c, const char *path, json_t **state, struct err *err);
/* Tensors into the shards, checksums compared. -EIO: damaged; -EINVAL: of a model
 * of another shape. */
int ckpt_load(const char *path, struct shards *s, struct err *err);

/* Not collective, for looking at a file: its state; and each tensor in the order
 * of the file, checked against its checksum first. */
int ckpt_read_state(const char *path, json_t **state, struct err *err);
typedef int ckpt_tensor_f(const char *name, const size_t dims[2], uint32_t crc, void *arg);
int ckpt_each_tensor(const char *path, ckpt_tensor_f *f, void *arg, struct err *err);

#endif
