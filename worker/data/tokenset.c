/* SPDX-License-Identifier: Apache-2.0 */
#include "data/tokenset.h"

#include "base/buf.h"
#include "data/h5.h"
#include "data/split.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FORMAT_NAME "slurmlike-tokens"
#define FORMAT_VERSION 1
#define CHUNK_TOKENS ((size_t)256 << 10) /* 1 MiB as u32 */

/* --- digest: merges, tokens (u32 each), documents (u64 each) -------------------- */

static EVP_MD_CTX *digest_create(void)
{
    EVP_MD_CTX *d = EVP_MD_CTX_new();
    ASSERT(d && EVP_DigestInit_ex(d, EVP_sha256(), NULL) == 1);
    return d;
}

static void digest_add(EVP_MD_CTX *d, const void *data, size_t bytes)
{
    ASSERT(EVP_DigestUpdate(d, data, bytes) == 1);
}

static void digest_text(EVP_MD_CTX *d, char out[TOKENSET_DIGEST_TEXT])
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    ASSERT(EVP_DigestFinal_ex(d, sum, &len) == 1 && 2 * len + 1 == TOKENSET_DIGEST_TEXT);
    for (unsigned i = 0; i < len; i++)
        snprintf(out + 2 * (size_t)i, 3, "%02x", sum[i]);
}

/* --- writing -------------------------------------------------------------------- */

struct tokenset_writer {
    char *path, *tmp;
    const struct vocab *vocab;
    hid_t file, tokens;
    EVP_MD_CTX *digest;
    uint32_t *pending; /* [CHUNK_TOKENS] */
    size_t pending_count;
    uint64_t written;
    struct buf documents; /* uint64_t each */
};

static hid_t tokens_create(hid_t file, uint32_t vocab)
{
    hsize_t none[1] = {0}, most[1] = {H5S_UNLIMITED}, chunk[1] = {CHUNK_TOKENS};
    hid_t space = H5Screate_simple(1, none, most);
    hid_t plist = h5_create_plist(H5P_DATASET_CREATE);
    H5Pset_chunk(plist, 1, chunk);
    hid_t d = H5Dcreate2(file, "tokens", vocab <= 65536 ? H5T_STD_U16LE : H5T_STD_U32LE,
                         space, H5P_DEFAULT, plist, H5P_DEFAULT);
    H5Pclose(plist);
    H5Sclose(space);
    return d;
}

struct tokenset_writer *tokenset_create(const char *path, const struct vocab *v,
                                        struct err *err)
{
    struct tokenset_writer *w = xcalloc(1, sizeof(*w));
    w->path = xstrdup(path);
    w->tmp = xasprintf("%s.%d.tmp", path, (int)getpid());
    w->vocab = v;
    w->tokens = -1;
    w->digest = digest_create();
    w->pending = xmalloc(CHUNK_TOKENS * sizeof(*w->pending));
    buf_init(&w->documents);
    digest_add(w->digest, v->merges, v->merges_count * sizeof(*v->merges));
    /* HDF5 would not say why it cannot create a file. */
    int fd = open(w->tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) {
        err_errno(err, "cannot create %s", w->tmp);
        w->file = -1;
        tokenset_writer_close(w);
        return NULL;
    }
    close(fd);
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_libver_bounds(access, H5F_LIBVER_LATEST, H5F_LIBVER_LATEST);
    hid_t create = h5_create_plist(H5P_FILE_CREATE);
    w->file = H5Fcreate(w->tmp, H5F_ACC_TRUNC, create, access);
    H5Pclose(create);
    H5Pclose(access);
    if (w->file >= 0)
        w->tokens = tokens_create(w->file, v->count);
    if (w->tokens < 0) {
        h5_failed(err, w->tmp);
        tokenset_writer_close(w);
        return NULL;
    }
    return w;
}

void tokenset_writer_close(struct tokenset_writer *w)
{
    if (!w)
        return;
    if (w->tokens >= 0)
        H5Dclose(w->tokens);
    if (w->file >= 0) {
        H5Fclose(w->file);
        unlink(w->tmp);
    }
    EVP_MD_CTX_free(w->digest);
    buf_fini(&w->documents);
    free(w->pending);
    free(w->tmp);
    free(w->path);
    free(w);
}

static int flush(struct tokenset_writer *w, struct err *err)
{
    hsize_t from[1] = {w->written}, count[1] = {w->pending_count};
    hsize_t size[1] = {w->written + w->pending_count};
    if (w->pending_count == 0)
        return 0;
    if (H5Dset_extent(w->tokens, size) < 0)
        return h5_failed(err, w->tmp);
    hid_t file = H5Dget_space(w->tokens), mem = H5Screate_simple(1, count, NULL);
    H5Sselect_hyperslab(file, H5S_SELECT_SET, from, NULL, count, NULL);
    herr_t st = H5Dwrite(w->tokens, H5T_NATIVE_UINT32, mem, file, H5P_DEFAULT, w->pending);
    H5Sclose(mem);
    H5Sclose(file);
    if (st < 0)
        return h5_failed(err, w->tmp);
    digest_add(w->digest, w->pending, w->pending_count * sizeof(*w->pending));
    w->written += w->pending_count;
    w->pending_count = 0;
    return 0;
}

int tokenset_append(struct tokenset_writer *w, const uint32_t *tokens, size_t count,
                    struct err *err)
{
    uint64_t at = w->written + w->pending_count;
    if (count && w->documents.len == 0)
        buf_put(&w->documents, &at, sizeof(at));
    while (count > 0) {
        size_t room = CHUNK_TOKENS - w->pending_count, n = count < room ? count : room;
        memcpy(w->pending + w->pending_count, tokens, n * sizeof(*tokens));
        w->pending_count += n;
        tokens += n;
        count -= n;
        int rc = w->pending_count == CHUNK_TOKENS ? flush(w, err) : 0;
        if (rc < 0)
            return rc;
    }
    return 0;
}

int tokenset_end_document(struct tokenset_writer *w, struct err *err)
{
    uint32_t end = vocab_end_of_text(w->vocab);
    int rc = tokenset_append(w, &end, 1, err);
    uint64_t at = w->written + w->pending_count;
    buf_put(&w->documents, &at, sizeof(at));
    return rc;
}

static int write_vocabulary(struct tokenset_writer *w, struct err *err)
{
    const struct vocab *v = w->vocab;
    hid_t plist = h5_create_plist(H5P_GROUP_CREATE);
    hid_t group = H5Gcreate2(w->file, "vocabulary", H5P_DEFAULT, plist, H5P_DEFAULT);
    H5Pclose(plist);
    if (group < 0)
        return h5_failed(err, w->tmp);
    int rc = h5_put_array(group, "merges", H5T_STD_U32LE, H5T_NATIVE_UINT32,
                          2 * (size_t)v->merges_count, v->merges, err);
    H5Gclose(group);
    return rc;
}

static int write_attributes(struct tokenset_writer *w, const char *manifest,
                            struct err *err)
{
    char digest[TOKENSET_DIGEST_TEXT], sources[TOKENSET_DIGEST_TEXT];
    digest_add(w->digest, w->documents.data, w->documents.len);
    digest_text(w->digest, digest);
    EVP_MD_CTX *d = digest_create();
    digest_add(d, manifest, strlen(manifest));
    digest_text(d, sources);
    EVP_MD_CTX_free(d);
    int rc = h5_put_text(w->file, "format", FORMAT_NAME, err);
    if (rc == 0)
        rc = h5_put_u64(w->file, "version", FORMAT_VERSION, err);
    if (rc == 0)
        rc = h5_put_u64(w->file, "vocabulary_size", w->vocab->count, err);
    if (rc == 0)
        rc = h5_put_text(w->file, "pattern", split_name(w->vocab->pattern), err);
    if (rc == 0)
        rc = h5_put_text(w->file, "manifest", manifest, err);
    if (rc == 0)
        rc = h5_put_text(w->file, "manifest_digest", sources, err);
    return rc == 0 ? h5_put_text(w->file, "digest", digest, err) : rc;
}

int tokenset_finish(struct tokenset_writer *w, const char *manifest, struct err *err)
{
    int rc = flush(w, err);
    if (rc == 0)
        rc = write_vocabulary(w, err);
    if (rc == 0)
        rc = h5_put_array(w->file, "documents", H5T_STD_U64LE, H5T_NATIVE_UINT64,
                          w->documents.len / sizeof(uint64_t), w->documents.data, err);
    if (rc == 0)
        rc = write_attributes(w, manifest, err);
    if (rc < 0)
        return rc;
    H5Dclose(w->tokens);
    w->tokens = -1;
    if (H5Fclose(w->file) < 0)
        rc = h5_failed(err, w->tmp);
    w->file = -1;
    if (rc == 0)
        rc = file_sync(w->tmp, err);
    if (rc == 0 && rename(w->tmp, w->path) < 0)
        rc = err_errno(err, "cannot rename %s to %s", w->tmp, w->path);
    if (rc < 0) {
        unlink(w->tmp);
        return rc;
    }
    return folder_sync(w->path, err);
}

/* --- reading -------------------------------------------------------------------- */

static int check_format(struct tokenset *ts, struct err *err)
{
    char *format = NULL;
    uint64_t version = 0;
    int rc = h5_get_text(ts->file, "format", &format, err);
    if (rc == 0 && strcmp(format, FORMAT_NAME) != 0)
        rc = -EINVAL;
    if (rc == 0)
        rc = h5_get_u64(ts->file, "version", &version, err);
    free(format);
    if (rc < 0)
        return err_set(err, -EINVAL, "it is not a token set (worker tokenize makes them)");
    if (version != FORMAT_VERSION)
        return err_set(err, -EINVAL, "it is a token set of version %" PRIu64
                                     ", this worker reads version %d", version,
                       FORMAT_VERSION);
    return 0;
}

static int read_header(struct tokenset *ts, struct err *err)
{
    uint64_t vocab = 0;
    char *digest = NULL;
    int rc = check_format(ts, err);
    if (rc < 0)
        return rc;
    rc = h5_get_u64(ts->file, "vocabulary_size", &vocab, err);
    if (rc == 0)
        rc = h5_get_text(ts->file, "digest", &digest, err);
    if (rc == 0 && strlen(digest) != TOKENSET_DIGEST_TEXT - 1)
        rc = err_set(err, -EINVAL, "its digest is not a SHA-256");
    if (rc == 0) {
        memcpy(ts->digest, digest, TOKENSET_DIGEST_TEXT);
        ts->vocab = (uint32_t)vocab;
    }
    free(digest);
    if (rc == 0 && (vocab < VOCAB_MIN || vocab > VOCAB_MAX))
        rc = err_set(err, -EINVAL, "a vocabulary of %" PRIu64 " tokens is not possible",
                     vocab);
    if (rc < 0)
        return rc;
    int64_t tokens = h5_array_count(ts->file, "tokens", err);
    int64_t documents = tokens < 0 ? tokens : h5_array_count(ts->file, "documents", err);
    if (documents < 0)
        return (int)documents;
    ts->count = (uint64_t)tokens;
    ts->documents = documents > 0 ? (uint64_t)documents - 1 : 0;
    ts->tokens = H5Dopen2(ts->file, "tokens", H5P_DEFAULT);
    return ts->tokens < 0 ? h5_failed(err, "tokens") : 0;
}

int tokenset_open(struct tokenset *ts, const char *path, struct err *err)
{
    *ts = (struct tokenset){.file = -1, .tokens = -1};
    if (access(path, R_OK) < 0)
        return err_errno(err, "cannot read token set %s", path);
    ts->path = xstrdup(path);
    ts->file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    int rc = ts->file < 0 ? h5_failed(err, "it is not a token set") : read_header(ts, err);
    if (rc < 0) {
        err_prefix(err, "token set %s", path);
        tokenset_close(ts);
    }
    return rc;
}

void tokenset_close(struct tokenset *ts)
{
    if (ts->tokens >= 0)
        H5Dclose(ts->tokens);
    if (ts->file >= 0)
        H5Fclose(ts->file);
    free(ts->path);
    *ts = (struct tokenset){.file = -1, .tokens = -1};
}

int tokenset_read(struct tokenset *ts, uint64_t from, size_t count, uint32_t *out,
                  struct err *err)
{
    hsize_t start[1] = {from}, size[1] = {count};
    hid_t file = H5Dget_space(ts->tokens), mem = H5Screate_simple(1, size, NULL);
    H5Sselect_hyperslab(file, H5S_SELECT_SET, start, NULL, size, NULL);
    herr_t st = H5Dread(ts->tokens, H5T_NATIVE_UINT32, mem, file, H5P_DEFAULT, out);
    H5Sclose(mem);
    H5Sclose(file);
    if (st < 0) {
        h5_failed(err, "reading tokens");
        return err_prefix(err, "token set %s", ts->path);
    }
    for (size_t i = 0; i < count; i++)
        if (out[i] >= ts->vocab)
            return err_set(err, -EINVAL,
                           "token set %s is damaged: token %" PRIu64 " is %u of a "
                           "vocabulary of %u", ts->path, from + i, out[i], ts->vocab);
    return 0;
}

int tokenset_vocab(const struct tokenset *ts, struct vocab *v, struct err *err)
{
    uint32_t count = ts->vocab - VOCAB_MIN;
    char *pattern = NULL;
    struct merge *merges = xcalloc((size_t)count + 1, sizeof(*merges));
    int rc = h5_get_text(ts->file, "pattern", &pattern, err), index = -1;
    if (rc == 0)
        index = split_find(pattern);
    if (rc == 0 && index < 0)
        rc = err_set(err, -EINVAL, "pattern %.64s is not known to this worker", pattern);
    if (rc == 0)
        rc = h5_get_array(ts->file, "vocabulary/merges", H5T_NATIVE_UINT32,
                          2 * (size_t)count, merges, err);
    free(pattern);
    if (rc < 0) {
        free(merges);
        return err_prefix(err, "token set %s", ts->path);
    }
    return vocab_init(v, index, merges, count, err);
}

static int digest_tokens(struct tokenset *ts, EVP_MD_CTX *d, struct err *err)
{
    uint32_t *data = xmalloc(CHUNK_TOKENS * sizeof(*data));
    int rc = 0;
    for (uint64_t at = 0; at < ts->count && rc == 0; at += CHUNK_TOKENS) {
        size_t n = ts->count - at < CHUNK_TOKENS ? (size_t)(ts->count - at) : CHUNK_TOKENS;
        rc = tokenset_read(ts, at, n, data, err);
        if (rc == 0)
            digest_add(d, data, n * sizeof(*data));
    }
    free(data);
    return rc;
}

static int digest_documents(struct tokenset *ts, EVP_MD_CTX *d, struct err *err)
{
    size_t count = ts->documents ? (size_t)ts->documents + 1 : 0;
    uint64_t *data = xcalloc(count + 1, sizeof(*data));
    int rc = h5_get_array(ts->file, "documents", H5T_NATIVE_UINT64, count, data, err);
    if (rc == 0)
        digest_add(d, data, count * sizeof(*data));
    free(data);
    return rc;
}

int tokenset_verify(struct tokenset *ts, struct err *err)
{
    struct vocab v;
    char digest[TOKENSET_DIGEST_TEXT] = "";
    int rc = tokenset_vocab(ts, &v, err);
    if (rc < 0)
        return rc;
    EVP_MD_CTX *d = digest_create();
    digest_add(d, v.merges, v.merges_count * sizeof(*v.merges));
    vocab_fini(&v);
    rc = digest_tokens(ts, d, err);
    if (rc == 0)
        rc = digest_documents(ts, d, err);
    if (rc == 0)
        digest_text(d, digest);
    EVP_MD_CTX_free(d);
    if (rc == 0 && strcmp(digest, ts->digest) != 0)
        rc = err_set(err, -EIO, "token set %s is damaged: its digest is not that of its "
                                "tokens", ts->path);
    return rc;
}
