/* SPDX-License-Identifier: Apache-2.0 */
#include "data/text.h"

#include "base/buf.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEXT_KEEP (SPLIT_VIEW + TEXT_SEPARATOR_MAX + 2) /* bytes wanted in a view */
#define TEXT_CAPACITY (TEXT_BLOCK + TEXT_KEEP)

int text_open(struct text *t, const char *path, const char *separator, bool digest,
              struct err *err)
{
    struct stat st;
    *t = (struct text){.path = path, .separator = separator, .fd = -1, .line_start = true};
    if (separator && (strlen(separator) > TEXT_SEPARATOR_MAX || strchr(separator, '\n')))
        return err_set(err, -EINVAL, "separator: one line of at most %d bytes is possible",
                       TEXT_SEPARATOR_MAX);
    t->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (t->fd < 0 || fstat(t->fd, &st) < 0) {
        int rc = err_errno(err, "cannot read %s", path);
        text_close(t);
        return rc;
    }
    if (S_ISDIR(st.st_mode)) {
        text_close(t);
        return err_set(err, -EISDIR, "cannot read %s: it is a directory; name its files",
                       path);
    }
    t->data = xmalloc(TEXT_CAPACITY);
    if (digest) {
        t->digest = EVP_MD_CTX_new();
        ASSERT(t->digest && EVP_DigestInit_ex(t->digest, EVP_sha256(), NULL) == 1);
    }
    return 0;
}

void text_close(struct text *t)
{
    if (t->fd >= 0)
        close(t->fd);
    EVP_MD_CTX_free(t->digest);
    free(t->data);
    *t = (struct text){.fd = -1};
}

static int fill(struct text *t, struct err *err)
{
    memmove(t->data, t->data + t->from, t->len);
    t->from = 0;
    while (!t->end && t->len < TEXT_CAPACITY) {
        ssize_t n = read(t->fd, t->data + t->len, TEXT_CAPACITY - t->len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(err, "cannot read %s", t->path);
        t->end = n == 0;
        if (t->digest)
            ASSERT(EVP_DigestUpdate(t->digest, t->data + t->len, (size_t)n) == 1);
        t->len += (size_t)n;
        t->bytes += (uint64_t)n;
    }
    return 0;
}

/* Offset of the next separator line in the unread part, or t->len. */
static size_t separator_find(const struct text *t, size_t sep)
{
    const char *data = t->data + t->from;
    size_t at = 0;
    if (!t->line_start) {
        const char *nl = memchr(data, '\n', t->len);
        at = nl ? (size_t)(nl - data) + 1 : t->len;
    }
    while (at + sep <= t->len) {
        if (memcmp(data + at, t->separator, sep) == 0 &&
            (at + sep == t->len ? t->end : data[at + sep] == '\n'))
            return at;
        const char *nl = memchr(data + at, '\n', t->len - at);
        if (!nl)
            break;
        at = (size_t)(nl - data) + 1;
    }
    return t->len;
}

int text_next(struct text *t, struct text_view *view, struct err *err)
{
    size_t sep = t->separator ? strlen(t->separator) : 0;
    for (;;) {
        if (!t->end && t->len < TEXT_KEEP) {
            int rc = fill(t, err);
            if (rc < 0)
                return rc;
        }
        if (t->len == 0)
            return 0;
        size_t at = sep ? separator_find(t, sep) : t->len;
        if (at == 0) { /* between two documents */
            size_t drop = sep < t->len ? sep + 1 : sep;
            t->from += drop;
            t->len -= drop;
            t->line_start = true;
            continue;
        }
        *view = (struct text_view){.data = t->data + t->from,
                                   .len = at,
                                   .final = at < t->len || t->end};
        if (!view->final && sep)
            view->len -= sep + 1; /* may be the beginning of a separator line */
        return 1;
    }
}

void text_consume(struct text *t, const struct text_view *view, size_t n)
{
    ASSERT(n <= view->len);
    if (n == 0)
        return;
    t->line_start = t->data[t->from + n - 1] == '\n';
    t->from += n;
    t->len -= n;
}
