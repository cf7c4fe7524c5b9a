/* SPDX-License-Identifier: Apache-2.0 */
#include "lines.h"

#include "base/buf.h"
#include "sim.h"

#include <errno.h>
#include <fcntl.h>
#include <lzma.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK_BYTES 65536u
#define XZ_MEMORY_MAX (UINT64_C(256) << 20) /* xz -9 needs 65 MiB */

struct lines {
    char *path;
    int fd;
    bool is_xz, eof; /* eof: nothing more comes into text */
    lzma_stream xz;
    uint8_t in[BLOCK_BYTES];
    char *text;      /* [cap + 1] */
    size_t pos, len, cap;
    uint64_t number;
};

static ssize_t read_some(int fd, void *p, size_t n)
{
    ssize_t got;
    do
        got = read(fd, p, n);
    while (got < 0 && errno == EINTR);
    return got;
}

/* Plain bytes into text; what was read to tell the kind comes first. */
static int fill_plain(struct lines *l, struct err *err)
{
    size_t room = l->cap - l->len;
    if (l->xz.avail_in) {
        size_t n = l->xz.avail_in < room ? l->xz.avail_in : room;
        memcpy(l->text + l->len, l->xz.next_in, n);
        l->xz.next_in += n;
        l->xz.avail_in -= n;
        l->len += n;
        return 0;
    }
    ssize_t got = read_some(l->fd, l->text + l->len, room);
    if (got < 0)
        return err_errno(err, "%s", l->path);
    l->eof = got == 0;
    l->len += (size_t)got;
    return 0;
}

static const char *xz_text(lzma_ret rc)
{
    return rc == LZMA_MEMLIMIT_ERROR    ? "needs more than 256 MiB to unpack"
           : rc == LZMA_BUF_ERROR       ? "the xz data ends too early"
           : rc == LZMA_DATA_ERROR      ? "the xz data is damaged"
           : rc == LZMA_FORMAT_ERROR    ? "not xz data"
           : rc == LZMA_OPTIONS_ERROR   ? "packed with options this liblzma does not know"
                                        : "cannot be unpacked";
}

static int fill_xz(struct lines *l, struct err *err)
{
    lzma_action action = LZMA_RUN;
    l->xz.next_out = (uint8_t *)l->text + l->len;
    l->xz.avail_out = l->cap - l->len;
    if (l->xz.avail_in == 0) {
        ssize_t got = read_some(l->fd, l->in, sizeof l->in);
        if (got < 0)
            return err_errno(err, "%s", l->path);
        l->xz.next_in = l->in;
        l->xz.avail_in = (size_t)got;
        action = got ? LZMA_RUN : LZMA_FINISH;
    }
    lzma_ret rc = lzma_code(&l->xz, action);
    l->len = l->cap - l->xz.avail_out;
    if (rc != LZMA_OK && rc != LZMA_STREAM_END)
        return err_set(err, -EBADMSG, "%s: %s", l->path, xz_text(rc));
    l->eof = rc == LZMA_STREAM_END;
    return 0;
}

static int open_kind(struct lines *l, struct err *err)
{
    static const uint8_t magic[6] = {0xfd, '7', 'z', 'X', 'Z', 0};
    ssize_t got = read_some(l->fd, l->in, sizeof l->in);
    if (got < 0)
        return err_errno(err, "%s", l->path);
    l->is_xz = got >= (ssize_t)sizeof magic && memcmp(l->in, magic, sizeof magic) == 0;
    if (l->is_xz &&
        lzma_stream_decoder(&l->xz, XZ_MEMORY_MAX, LZMA_CONCATENATED) != LZMA_OK)
        return err_set(err, -ENOMEM, "%s: liblzma can not be set up", l->path);
    l->xz.next_in = l->in;
    l->xz.avail_in = (size_t)got;
    return 0;
}

struct lines *lines_open(const char *path, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        err_errno(err, "%s", path);
        return NULL;
    }
    struct lines *l = xcalloc(1, sizeof *l);
    l->fd = fd;
    l->path = xstrdup(path);
    l->xz = (lzma_stream)LZMA_STREAM_INIT;
    l->cap = LINE_BYTES_MAX + BLOCK_BYTES;
    l->text = xmalloc(l->cap + 1);
    if (open_kind(l, err) < 0) {
        lines_close(l);
        return NULL;
    }
    return l;
}

void lines_close(struct lines *l)
{
    if (!l)
        return;
    lzma_end(&l->xz);
    close(l->fd);
    free(l->text);
    free(l->path);
    free(l);
}

/* Makes room behind what is left of text, and reads into it. */
static int fill(struct lines *l, struct err *err)
{
    memmove(l->text, l->text + l->pos, l->len - l->pos);
    l->len -= l->pos;
    l->pos = 0;
    return l->is_xz ? fill_xz(l, err) : fill_plain(l, err);
}

int lines_next(struct lines *l, char **line, struct err *err)
{
    char *end;
    while (!(end = memchr(l->text + l->pos, '\n', l->len - l->pos)) && !l->eof) {
        if (l->len - l->pos > LINE_BYTES_MAX)
            break;
        if (fill(l, err) < 0)
            return err ? err->code : -EIO;
    }
    if (!end && l->pos == l->len)
        return 0;
    l->number++;
    size_t n = end ? (size_t)(end - l->text) - l->pos : l->len - l->pos;
    *line = l->text + l->pos;
    if (n > LINE_BYTES_MAX) {
        err_set(err, -E2BIG, "a line of more than %u bytes", LINE_BYTES_MAX);
        return lines_fail(l, err);
    }
    if (memchr(*line, '\0', n)) {
        err_set(err, -EINVAL, "a NUL byte: not a text");
        return lines_fail(l, err);
    }
    l->pos += n + (end != NULL);
    (*line)[n] = '\0';
    if (n && (*line)[n - 1] == '\r')
        (*line)[n - 1] = '\0';
    return 1;
}

int lines_fail(const struct lines *l, struct err *err)
{
    return err_prefix(err, "%s:%llu", l->path, (unsigned long long)l->number);
}

uint64_t lines_number(const struct lines *l)
{
    return l->number;
}
