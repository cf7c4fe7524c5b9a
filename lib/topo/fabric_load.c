/* SPDX-License-Identifier: Apache-2.0 */
#include "topo/fabric.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"

/* All of a regular file; grown since fstat() is cut. */
static int file_read(const char *path, struct buf *out, struct err *err)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), rc = 0;
    if (fd < 0)
        return err_errno(err, "topology.ibnetdiscover: %s", path);
    if (fstat(fd, &st) < 0)
        rc = err_errno(err, "topology.ibnetdiscover: %s", path);
    else if (!S_ISREG(st.st_mode) || st.st_size > (off_t)FABRIC_TEXT_BYTES_MAX)
        rc = err_set(err, -EINVAL, "topology.ibnetdiscover: %s: not a regular file of at most "
                     "%u bytes", path, FABRIC_TEXT_BYTES_MAX);
    while (rc == 0 && out->len < FABRIC_TEXT_BYTES_MAX) {
        buf_reserve(out, 65536);
        ssize_t n = read(fd, out->data + out->len, 65536);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            rc = err_errno(err, "topology.ibnetdiscover: %s", path);
        if (n <= 0)
            break;
        out->len += (size_t)n;
    }
    close(fd);
    return rc;
}

int fabric_load(const struct fabric_source *from, struct fabric **out, struct err *err)
{
    struct err own = {0};
    err = err ? err : &own;
    *out = NULL;
    if (from->switches_count) {
        *out = fabric_switches(from->kind, from->switches, from->switches_count, err);
    } else if (from->blocks_count) {
        *out = fabric_blocks(from->blocks, from->blocks_count, from->block_sizes, err);
    } else if (from->generate && from->generate[0]) {
        *out = fabric_generate(from->generate, from->nodes, err);
    } else if (from->ibnetdiscover && from->ibnetdiscover[0]) {
        struct buf text;
        buf_init(&text);
        if (file_read(from->ibnetdiscover, &text, err) == 0)
            *out = fabric_ibnetdiscover(buf_str(&text), text.len, from->ibnetdiscover, err);
        buf_fini(&text);
    } else {
        return 0;
    }
    return *out ? 0 : err->code;
}
