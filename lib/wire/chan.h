/* SPDX-License-Identifier: Apache-2.0
 *
 * chan: one non-blocking connection's bytes: input and output buffers, frames and
 * passed descriptors, over a plain socket or TLS. Blocking connections (conn.c)
 * and links (link.c) are both a chan and a way to wait. Internal to lib/wire.
 *
 * A descriptor travels with the first byte of its frame, and that byte is sent
 * alone: the kernel ends a read behind the bytes that a descriptor came with, so
 * the reader knows exactly which frame it belongs to.
 */
#ifndef SL_WIRE_CHAN_H
#define SL_WIRE_CHAN_H

#include "wire/tls.h"
#include "wire/wire.h"
#include <sys/queue.h>

#define CHAN_FDS_QUEUED_MAX 256 /* descriptors waiting to be sent */
#define READ_TURN_BYTES 262144u /* read from one connection in one turn of a loop */

struct chan_fd {
    TAILQ_ENTRY(chan_fd) next;
    uint64_t at; /* position in the output stream of its frame's first byte */
    int fd;
};

struct chan {
    int fd;
    struct wire_tls *tls; /* NULL: plain. Owned */
    bool tls_unread;      /* tls may hold input that the socket no longer announces */
    struct wire_peer peer;

    struct buf in;
    size_t in_pos;     /* parsed up to here */
    uint64_t in_start; /* position in the input stream of in.data[0] */
    /* Received with frames not yet parsed: that of the incomplete frame which the last
     * read ended in, and that of the one which the next read ends in. */
    struct {
        int fd;
        uint64_t at;
    } in_fds[2];
    unsigned in_fds_count;

    struct buf out;
    size_t out_pos;     /* written up to here */
    uint64_t out_start; /* position in the output stream of out.data[0] */
    TAILQ_HEAD(chan_fds, chan_fd) out_fds;
    size_t out_fds_count;
};

/* Takes over a connected socket, made non-blocking, and its TLS session if any. */
void chan_init(struct chan *c, int fd);
void chan_set_tls(struct chan *c, struct wire_tls *tls);
void chan_fini(struct chan *c);

/* Reads once, at most max bytes: >0 bytes, -EAGAIN none now, -ECONNRESET end of file
 * (empty text when it is between two frames), other negative error. */
ssize_t chan_fill(struct chan *c, size_t max, struct err *err);
/* Next frame of the input: 1, 0 or negative as wire_unpack(). *fd: the descriptor
 * that came with it (the caller's) or -1. */
int chan_next(struct chan *c, struct wire_msg *m, int *fd, struct err *err);
/* True when chan_next() would not return 0. */
bool chan_has_frame(const struct chan *c);
/* Writes what it can: 1 all written, 0 the socket is full, negative error. */
int chan_flush(struct chan *c, struct err *err);
/* All is written: tells the peer that nothing follows. */
void chan_finish(struct chan *c);
/* Bytes waiting to be written. */
size_t chan_queued(const struct chan *c);
/* A frame is about to be appended to out with this descriptor. */
int chan_queue_fd(struct chan *c, int fd, struct err *err);
/* That frame was not appended after all; the descriptor stays the caller's. */
void chan_unqueue_fd(struct chan *c);

#endif
