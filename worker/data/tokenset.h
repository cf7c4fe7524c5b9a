/* SPDX-License-Identifier: Apache-2.0
 *
 * tokenset: a text as tokens in one HDF5 file.
 *
 *   /tokens               u16 or u32 [n]   all documents, each ends with end of text
 *   /documents            u64 [d + 1]      where document i begins; the last is n
 *   /vocabulary/merges    u32 [2 m]        left, right of each merge
 *   attributes of /       format, version, vocabulary (tokens), pattern,
 *                         manifest (a line per source: SHA-256, bytes, name),
 *                         manifest_digest (SHA-256 of the manifest),
 *                         digest (SHA-256 of tokens, documents and vocabulary)
 *
 * `digest` says whether two sets hold the same tokens; a checkpoint keeps it.
 * The writer works on a temporary name and renames when all is on disk.
 */
#ifndef WORKER_DATA_TOKENSET_H
#define WORKER_DATA_TOKENSET_H

#include "data/vocab.h"

#define TOKENSET_DIGEST_TEXT 65 /* hex digits of a SHA-256 and the NUL */

struct tokenset_writer;
/* v must outlive the writer. */
struct tokenset_writer *tokenset_create(const char *path, const struct vocab *v,
                                        struct err *err);
int tokenset_append(struct tokenset_writer *w, const uint32_t *tokens, size_t count,
                    struct err *err);
/* Appends end of text; the next token begins another document. */
int tokenset_end_document(struct tokenset_writer *w, struct err *err);
/* Makes the file visible under its name. The writer is to be closed either way. */
int tokenset_finish(struct tokenset_writer *w, const char *manifest, struct err *err);
/* Unfinished work is removed. NULL is fine. */
void tokenset_writer_close(struct tokenset_writer *w);

struct tokenset {
    char *path;
    int64_t file, tokens; /* HDF5 handles */
    uint64_t count;       /* tokens */
    uint64_t documents;
    uint32_t vocab;
    char digest[TOKENSET_DIGEST_TEXT];
};

int tokenset_open(struct tokenset *ts, const char *path, struct err *err);
void tokenset_close(struct tokenset *ts);
/* count tokens from `from` on; an error when one is not of the vocabulary. */
int tokenset_read(struct tokenset *ts, uint64_t from, size_t count, uint32_t *out,
                  struct err *err);
/* Checks tokens, documents and vocabulary against the digest; reads all. */
int tokenset_verify(struct tokenset *ts, struct err *err);
int tokenset_vocab(const struct tokenset *ts, struct vocab *v, struct err *err);

#endif
