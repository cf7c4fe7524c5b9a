/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "ckpt/ckpt.h"
#include "ckpt/crc32c.h"
#include "ckpt/layout.h"
#include "ckpt/store.h"
#include "data/h5.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int ckpt_list(const struct comm *c, const char *folder, char **list, struct err *err)
{
    struct buf paths;
    buf_init(&paths);
    int rc = c->rank == 0 ? store_list(folder, &paths, err) : 0;
    rc = comm_agree(c, rc, err);
    buf_putc(&paths, '\0');
    uint64_t len = paths.len;
    MPI_Bcast(&len, 1, MPI_UINT64_T, 0, c->world);
    *list = xcalloc(1, len);
    if (c->rank == 0)
        memcpy(*list, paths.data, len);
    MPI_Bcast(*list, (int)len, MPI_BYTE, 0, c->world);
    buf_fini(&paths);
    if (rc < 0) {
        free(*list);
        *list = NULL;
    }
    return rc;
}

/* Files are read by plain, independent reads: nothing of it needs MPI. */
static hid_t open_file(const char *path, struct err *err)
{
    if (access(path, R_OK) < 0) {
        err_errno(err, "cannot be read");
        return -1;
    }
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    if (file < 0)
        h5_failed(err, "is damaged or not a checkpoint");
    return file;
}

static int read_state(hid_t file, json_t **state, struct err *err)
{
    char *format = NULL, *text = NULL;
    uint64_t version = 0;
    json_error_t why;
    int rc = h5_get_text(file, "format", &format, err);
    if (rc < 0 || strcmp(format, CKPT_FORMAT) != 0)
        rc = err_set(err, -EIO, "it is not a checkpoint of this worker");
    if (rc == 0)
        rc = h5_get_u64(file, "version", &version, err);
    if (rc == 0 && version != CKPT_VERSION)
        rc = err_set(err, -EINVAL, "it has version %" PRIu64 ", this worker reads %d",
                     version, CKPT_VERSION);
    if (rc == 0)
        rc = h5_get_text(file, "state", &text, err);
    if (rc == 0) {
        *state = json_loads(text, 0, &why);
        if (!*state)
            rc = err_set(err, -EIO, "its state is damaged: %s", why.text);
    }
    free(text);
    free(format);
    return rc;
}

int ckpt_read_state(const char *path, json_t **state, struct err *err)
{
    *state = NULL;
    hid_t file = open_file(path, err);
    int rc = file < 0 ? -EIO : read_state(file, state, err);
    if (file >= 0)
        H5Fclose(file);
    return rc < 0 ? err_prefix(err, "checkpoint %s", path), rc : 0;
}

int ckpt_state(const struct comm *c, const char *path, json_t **state, struct err *err)
{
    int rc = comm_agree(c, ckpt_read_state(path, state, err), err);
    if (rc < 0) {
        json_decref(*state);
        *state = NULL;
    }
    return rc;
}

/* dims of a vector: 1 and its length. False: neither vector nor matrix. */
static bool tensor_dims(hid_t d, size_t dims[2])
{
    hsize_t size[2] = {1, 1};
    hid_t space = H5Dget_space(d);
    int rank = H5Sget_simple_extent_ndims(space);
    if (rank == 1 || rank == 2)
        H5Sget_simple_extent_dims(space, size + (2 - rank), NULL);
    H5Sclose(space);
    dims[0] = (size_t)size[0];
    dims[1] = (size_t)size[1];
    return rank == 1 || rank == 2;
}

static int check_dims(hid_t d, const struct param *p, struct err *err)
{
    size_t dims[2];
    if (tensor_dims(d, dims) && dims[0] == (size_t)p->rows && dims[1] == (size_t)p->cols)
        return 0;
    return err_set(err, -EINVAL, "%s is %zu x %zu, the model's is %d x %d", p->name, dims[0],
                   dims[1], p->rows, p->cols);
}

static int read_tensor(hid_t d, const struct param *p, struct span span, real *data,
                       struct err *err)
{
    hsize_t count[1] = {span.count};
    if (span.count == 0)
        return 0;
    hid_t file = tensor_space(p), mem = H5Screate_simple(1, count, NULL);
    tensor_select(file, p, span);
    herr_t st = H5Dread(d, H5T_NATIVE_FLOAT, mem, file, H5P_DEFAULT, data + span.at);
    H5Sclose(mem);
    H5Sclose(file);
    return st < 0 ? h5_failed(err, p->name) : 0;
}

static int read_tensors(hid_t file, struct shards *s, int a, struct piece *pieces,
                        uint64_t *wanted, struct err *err)
{
    const struct graph *g = s->graph;
    int rc = 0;
    for (int i = 0; i < g->params_count && rc == 0; i++) {
        const struct param *p = &g->params[i];
        struct span span = span_of(p, s->begin, s->end);
        char name[TENSOR_NAME_MAX + 32];
        snprintf(name, sizeof(name), "%s/%s", ckpt_groups[a], p->name);
        hid_t d = H5Dopen2(file, name, H5P_DEFAULT);
        if (d < 0)
            return err_set(err, -EINVAL, "it has no tensor %s", name);
        rc = check_dims(d, p, err);
        if (rc == 0)
            rc = h5_get_u64(d, "crc32c", &wanted[i], err);
        if (rc == 0)
            rc = read_tensor(d, p, span, ckpt_array(s, a), err);
        H5Dclose(d);
        pieces[i] = (struct piece){.bytes = span.count * sizeof(real)};
        pieces[i].crc = crc32c(0, ckpt_array(s, a) + span.at, span.count * sizeof(real));
    }
    return rc;
}

static int compare_crcs(const struct shards *s, const uint32_t *crcs,
                        const uint64_t *wanted, struct err *err)
{
    int n = s->graph->params_count;
    for (int i = 0; i < CKPT_ARRAYS * n; i++)
        if (crcs[i] != wanted[i])
            return err_set(err, -EIO, "is damaged: %s/%s has checksum %08" PRIx32
                           ", not %08" PRIx64, ckpt_groups[i / n],
                           s->graph->params[i % n].name, crcs[i], wanted[i]);
    return 0;
}

int ckpt_load(const char *path, struct shards *s, struct err *err)
{
    int n = s->graph->params_count;
    size_t count = (size_t)CKPT_ARRAYS * (size_t)n;
    struct piece *pieces = xcalloc(count, sizeof(*pieces));
    uint64_t *wanted = xcalloc(count, sizeof(*wanted));
    uint32_t *crcs = xcalloc(count, sizeof(*crcs));
    hid_t file = open_file(path, err);
    int rc = file < 0 ? -EIO : 0;
    for (int a = 0; a < CKPT_ARRAYS && rc == 0; a++)
        rc = read_tensors(file, s, a, pieces + a * n, wanted + a * n, err);
    if (file >= 0)
        H5Fclose(file);
    rc = comm_agree(s->comm, rc, err);
    if (rc == 0) {
        tensor_crcs(s, pieces, crcs);
        rc = compare_crcs(s, crcs, wanted, err);
    }
    if (rc < 0)
        err_prefix(err, "checkpoint %s", path);
    else
        shards_publish(s);
    free(crcs);
    free(wanted);
    free(pieces);
    return rc;
}

/* --- looking at a file ------------------------------------------------------------ */

#define TENSOR_BYTES_MAX ((size_t)1 << 38)

static int check_tensor(hid_t d, const char *name, size_t dims[2], uint32_t *crc,
                        struct err *err)
{
    uint64_t wanted = 0;
    int rc = h5_get_u64(d, "crc32c", &wanted, err);
    if (rc < 0 || !tensor_dims(d, dims) || !dims[1] ||
        dims[0] * sizeof(real) > TENSOR_BYTES_MAX / dims[1])
        return err_set(err, -EIO, "%s is damaged or not a tensor", name);
    size_t bytes = dims[0] * dims[1] * sizeof(real);
    real *data = xmalloc(bytes);
    if (H5Dread(d, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0)
        rc = h5_failed(err, name);
    *crc = crc32c(0, data, bytes);
    free(data);
    if (rc == 0 && *crc != wanted)
        rc = err_set(err, -EIO, "%s is damaged: it has checksum %08" PRIx32 ", not %08" PRIx64,
                     name, *crc, wanted);
    return rc;
}

struct visit {
    ckpt_tensor_f *f;
    void *arg;
    const char *group;
    struct err *err;
    int rc;
};

static herr_t visit_link(hid_t group, const char *link, const H5L_info_t *info, void *arg)
{
    struct visit *v = arg;
    size_t dims[2] = {0, 0};
    uint32_t crc = 0;
    (void)info;
    hid_t d = H5Dopen2(group, link, H5P_DEFAULT);
    char *name = xasprintf("%s/%s", v->group, link);
    v->rc = d < 0 ? h5_failed(v->err, name) : check_tensor(d, name, dims, &crc, v->err);
    if (v->rc == 0)
        v->rc = v->f(name, dims, crc, v->arg);
    free(name);
    if (d >= 0)
        H5Dclose(d);
    return v->rc < 0 ? 1 : 0; /* 1 ends the walk */
}

int ckpt_each_tensor(const char *path, ckpt_tensor_f *f, void *arg, struct err *err)
{
    struct visit v = {.f = f, .arg = arg, .err = err};
    hid_t file = open_file(path, err);
    if (file < 0)
        return -EIO;
    for (int a = 0; a < CKPT_ARRAYS && v.rc == 0; a++) {
        v.group = ckpt_groups[a];
        hid_t group = H5Gopen2(file, v.group, H5P_DEFAULT);
        if (group < 0 ||
            H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, NULL, visit_link, &v) < 0)
            v.rc = h5_failed(err, v.group);
        if (group >= 0)
            H5Gclose(group);
    }
    H5Fclose(file);
    return v.rc < 0 ? err_prefix(err, "checkpoint %s", path), v.rc : 0;
}
