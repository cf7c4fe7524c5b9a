/* SPDX-License-Identifier: Apache-2.0
 *
 * h5: what the worker's files share: errors as sentences, text and number
 * attributes. Every function reports through struct err; HDF5 prints nothing.
 */
#ifndef WORKER_DATA_H5_H
#define WORKER_DATA_H5_H

#include "base/err.h"
#include <hdf5.h>
#include <stdint.h>

#define H5_TEXT_MAX ((size_t)60000) /* an attribute must fit an object header */

/* "what: innermost reason that HDF5 knows", -EIO. */
int h5_failed(struct err *err, const char *what);
void h5_quiet(void); /* once, before the first call of HDF5 */
/* Creation properties without time stamps, so that the same content gives the same
 * bytes. To be closed. */
hid_t h5_create_plist(hid_t class);

int h5_put_u64(hid_t object, const char *name, uint64_t value, struct err *err);
int h5_put_text(hid_t object, const char *name, const char *text, struct err *err);
int h5_get_u64(hid_t object, const char *name, uint64_t *value, struct err *err);
/* *text is the caller's to free. */
int h5_get_text(hid_t object, const char *name, char **text, struct err *err);

/* A whole one-dimensional dataset. */
int h5_put_array(hid_t parent, const char *name, hid_t file_type, hid_t mem_type,
                 size_t count, const void *data, struct err *err);
/* Elements of a one-dimensional dataset, or negative. */
int64_t h5_array_count(hid_t parent, const char *name, struct err *err);
/* Exactly count elements, which it must have. */
int h5_get_array(hid_t parent, const char *name, hid_t mem_type, size_t count, void *data,
                 struct err *err);

/* fsync of a path (file or folder). */
int file_sync(const char *path, struct err *err);
/* fsync of the folder that holds path. */
int folder_sync(const char *path, struct err *err);

#endif
