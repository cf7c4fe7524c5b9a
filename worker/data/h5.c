/* SPDX-License-Identifier: Apache-2.0 */
#include "data/h5.h"

#include "base/buf.h"
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void h5_quiet(void)
{
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

hid_t h5_create_plist(hid_t class)
{
    hid_t plist = H5Pcreate(class);
    H5Pset_obj_track_times(plist, false);
    return plist;
}

/* The walk goes upward: the first entry is where the failure began. */
static herr_t innermost(unsigned n, const H5E_error2_t *entry, void *text)
{
    if (n == 0 && entry->desc)
        snprintf(text, ERR_TEXT_MAX, "%s", entry->desc);
    return 0;
}

int h5_failed(struct err *err, const char *what)
{
    char text[ERR_TEXT_MAX] = "HDF5 does not say why";
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, innermost, text);
    H5Eclear2(H5E_DEFAULT);
    return err_set(err, -EIO, "%s: %s", what, text);
}

/* --- attributes ------------------------------------------------------------------ */

static int put(hid_t object, const char *name, hid_t file_type, hid_t mem_type,
               const void *data, struct err *err)
{
    hid_t space = H5Screate(H5S_SCALAR);
    hid_t a = H5Acreate2(object, name, file_type, space, H5P_DEFAULT, H5P_DEFAULT);
    int rc = 0;
    if (a < 0 || H5Awrite(a, mem_type, data) < 0)
        rc = h5_failed(err, name);
    if (a >= 0)
        H5Aclose(a);
    H5Sclose(space);
    return rc;
}

int h5_put_u64(hid_t object, const char *name, uint64_t value, struct err *err)
{
    return put(object, name, H5T_STD_U64LE, H5T_NATIVE_UINT64, &value, err);
}

int h5_put_text(hid_t object, const char *name, const char *text, struct err *err)
{
    size_t len = strlen(text);
    if (len > H5_TEXT_MAX)
        return err_set(err, -E2BIG, "%s: text of more than %zu bytes", name, H5_TEXT_MAX);
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, len + 1);
    int rc = put(object, name, type, type, text, err);
    H5Tclose(type);
    return rc;
}

int h5_get_u64(hid_t object, const char *name, uint64_t *value, struct err *err)
{
    hid_t a = H5Aopen(object, name, H5P_DEFAULT);
    int rc = 0;
    hid_t space = a < 0 ? -1 : H5Aget_space(a);
    if (a < 0 || H5Sget_simple_extent_npoints(space) != 1 ||
        H5Aread(a, H5T_NATIVE_UINT64, value) < 0)
        rc = h5_failed(err, name);
    if (space >= 0)
        H5Sclose(space);
    if (a >= 0)
        H5Aclose(a);
    return rc;
}

int h5_get_text(hid_t object, const char *name, char **text, struct err *err)
{
    hid_t a = H5Aopen(object, name, H5P_DEFAULT);
    if (a < 0)
        return h5_failed(err, name);
    hid_t type = H5Aget_type(a), space = H5Aget_space(a);
    size_t size = H5Tget_size(type);
    int rc = 0;
    char *data = NULL;
    if (H5Tget_class(type) != H5T_STRING || H5Tis_variable_str(type) != 0 || size == 0 ||
        size > H5_TEXT_MAX + 1 || H5Sget_simple_extent_npoints(space) != 1) {
        rc = err_set(err, -EINVAL, "%s is not a text", name);
    } else {
        data = xcalloc(1, size + 1);
        if (H5Aread(a, type, data) < 0)
            rc = h5_failed(err, name);
    }
    H5Sclose(space);
    H5Tclose(type);
    H5Aclose(a);
    if (rc < 0)
        free(data);
    else
        *text = data;
    return rc;
}

/* --- arrays ------------------------------------------------------------------------ */

int h5_put_array(hid_t parent, const char *name, hid_t file_type, hid_t mem_type,
                 size_t count, const void *data, struct err *err)
{
    hsize_t dims[1] = {count};
    hid_t space = H5Screate_simple(1, dims, NULL);
    hid_t plist = h5_create_plist(H5P_DATASET_CREATE);
    hid_t d = H5Dcreate2(parent, name, file_type, space, H5P_DEFAULT, plist, H5P_DEFAULT);
    int rc = 0;
    if (d < 0 ||
        (count && H5Dwrite(d, mem_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0))
        rc = h5_failed(err, name);
    if (d >= 0)
        H5Dclose(d);
    H5Pclose(plist);
    H5Sclose(space);
    return rc;
}

static int64_t dataset_count(hid_t d)
{
    hid_t space = H5Dget_space(d);
    int64_t n = -1;
    if (space >= 0 && H5Sget_simple_extent_ndims(space) == 1)
        n = (int64_t)H5Sget_simple_extent_npoints(space);
    if (space >= 0)
        H5Sclose(space);
    return n;
}

int64_t h5_array_count(hid_t parent, const char *name, struct err *err)
{
    hid_t d = H5Dopen2(parent, name, H5P_DEFAULT);
    if (d < 0)
        return h5_failed(err, name);
    int64_t n = dataset_count(d);
    H5Dclose(d);
    return n < 0 ? err_set(err, -EINVAL, "%s is not a one-dimensional array", name) : n;
}

int h5_get_array(hid_t parent, const char *name, hid_t mem_type, size_t count, void *data,
                 struct err *err)
{
    hid_t d = H5Dopen2(parent, name, H5P_DEFAULT);
    int rc = 0;
    if (d < 0)
        return h5_failed(err, name);
    if (dataset_count(d) != (int64_t)count)
        rc = err_set(err, -EINVAL, "%s does not have %zu elements", name, count);
    else if (count && H5Dread(d, mem_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0)
        rc = h5_failed(err, name);
    H5Dclose(d);
    return rc;
}

/* --- durability -------------------------------------------------------------------- */

int file_sync(const char *path, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, "cannot open %s", path);
    int rc = fsync(fd) < 0 ? err_errno(err, "cannot sync %s", path) : 0;
    close(fd);
    return rc;
}

int folder_sync(const char *path, struct err *err)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash ? xasprintf("%.*s", slash == path ? 1 : (int)(slash - path), path)
                         : xstrdup(".");
    int rc = file_sync(folder, err);
    free(folder);
    return rc;
}
