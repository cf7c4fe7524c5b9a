/* SPDX-License-Identifier: Apache-2.0
 *
 * text: reads files as documents, in views of bounded size.
 *
 * A document is a file, or with a separator each part of it between lines that
 * consist of the separator alone. Empty documents do not exist. A file is never
 * in memory whole.
 */
#ifndef WORKER_DATA_TEXT_H
#define WORKER_DATA_TEXT_H

#include "base/err.h"
#include "data/split.h"
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdint.h>

#define TEXT_BLOCK ((size_t)1 << 20)
#define TEXT_SEPARATOR_MAX 256

struct text {
    const char *path;
    int fd;
    const char *separator; /* NULL or "": none */
    char *data;            /* [TEXT_BLOCK + room for what is kept] */
    size_t from, len;      /* unread part */
    bool end;              /* of the file */
    bool line_start;       /* data[from] begins a line */
    EVP_MD_CTX *digest;    /* SHA-256 of the whole file; NULL: not wanted */
    uint64_t bytes;        /* read so far */
};

struct text_view {
    const char *data;
    size_t len;
    bool final; /* the document ends with this view */
};

/* "-" is not special. The strings must outlive the text. */
int text_open(struct text *t, const char *path, const char *separator, bool digest,
              struct err *err);
void text_close(struct text *t);
/* 1: *view holds bytes of the current document (at least SPLIT_VIEW of them, or
 * final); 0: the file is at its end; or negative. */
int text_next(struct text *t, struct text_view *view, struct err *err);
/* Drops n bytes of the view; with the last bytes of a final view the document
 * ends and the next call of text_next gives the next one. */
void text_consume(struct text *t, const struct text_view *view, size_t n);

#endif
