/* SPDX-License-Identifier: Apache-2.0
 *
 * wire: framed protobuf messages between programs, and who is on the other end.
 *
 * Frame: 12 bytes in network order, then the payload.
 *
 *     0        4      6       8            12
 *     | length | type | vers  | tag        | payload (length bytes)
 *
 * `length` counts the payload only and is checked against msg.def's bound for
 * the type before a byte of it is allocated. `tag` pairs replies and events
 * with the request; 0 is for messages that want none. `vers` is major<<8|minor;
 * another major, or a minor more than one older, is answered SL_EVERSION.
 *
 * Unix socket: the kernel vouches for the peer (SO_PEERCRED).
 * TCP: one plaintext HELLO { magic, version, munge credential, route } in which
 * the munge credential's encrypted payload is a fresh 32-byte key that only
 * the service uid can decode; then TLS 1.3 (psk_dhe_ke,
 * TLS_AES_128_GCM_SHA256) with that key as external PSK. doc/wire.md says why
 * the credential travels before the handshake and not as PSK identity: it is
 * decoded off the loop thread, and a connection meant for a step supervisor
 * (`route`) is handed over by the node daemon before TLS begins, so that a
 * node needs one port only. `route` is "" for the daemon itself,
 * "job:ID" for a job's manager, "step:ID.STEP" for a supervisor.
 *
 * TLS and munge live in a module that is loaded on first use (wire_tls.so), so
 * that a command on the controller's own machine starts without OpenSSL.
 *
 * wire never looks inside a payload beyond unpacking it, and never retries.
 * Connections are used from one thread.
 */
#ifndef SL_WIRE_WIRE_H
#define SL_WIRE_WIRE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/timefmt.h"
#include "wire/slurmlike.pb-c.h"
#include <stdbool.h>
#include <sys/types.h>

#define WIRE_VERSION_MAJOR 1
#define WIRE_VERSION_MINOR 0
#define WIRE_HEADER_BYTES 12

enum wire_type {
    WIRE_NONE,
#define MSG(sym, num, message, bound, who) WIRE_##sym = num,
#include "wire/msg.def"
#undef MSG
};
enum wire_who { WIRE_WHO_ANY, WIRE_WHO_USER, WIRE_WHO_NODE, WIRE_WHO_ADMIN };

struct wire_type_info { /* one row of msg.def */
    enum wire_type type;
    const char *name;
    const ProtobufCMessageDescriptor *descriptor;
    uint32_t payload_bytes_max;
    enum wire_who who;
};
/* NULL for an unknown number. */
const struct wire_type_info *wire_type_info(unsigned type);
/* All rows, for tests and fuzzers; *count set. */
const struct wire_type_info *wire_types(size_t *count);

struct wire_peer {
    uid_t uid;
    gid_t gid;
    pid_t pid;      /* Unix socket only, else 0 */
    bool local;     /* Unix socket */
    char addr[128]; /* "unix", "127.0.0.1:4711": for logs */
};

/* May this peer send this type at all? 0 or SL_EACCESS. Receivers (daemons) ask for
 * each message; node_uid and admin_uid are the configured users beside root. */
int wire_who_check(const struct wire_type_info *info, const struct wire_peer *peer,
                   uid_t node_uid, uid_t admin_uid);

/* A received message. `body` is owned by the struct; wire_msg_clear frees it. */
struct wire_msg {
    enum wire_type type;
    uint32_t tag;
    ProtobufCMessage *body; /* cast to the type that msg.def names */
};
void wire_msg_clear(struct wire_msg *m);

/* Appends one frame to out. Negative when the payload is over the bound. Bytes of
 * texts that are not UTF-8 are sent as '?'; `env`, `argv`, `work_dir`, `std_*` and
 * `command` hold what execve(2) and open(2) take and go as they are. */
int wire_pack(struct buf *out, enum wire_type type, uint32_t tag,
              const ProtobufCMessage *body, struct err *err);
/* Takes one frame off in's front: 1 a message in *m, 0 need more bytes,
 * negative: protocol error (the connection must be closed). `auth` false applies
 * FRAME_BYTES_MAX_UNAUTH. Unpacking is strict: trailing bytes, unknown types,
 * strings with bad UTF-8 or inner NULs, singular fields given twice and payloads
 * that unpack to more than four times FRAME_BYTES_MAX are errors. */
int wire_unpack(struct buf *in, bool auth, struct wire_msg *m, struct err *err);

/* ---- blocking connections (commands, tests) ---------------------------------- */

struct wire_conn;

struct wire_dial_opts {
    const char *munge_socket; /* NULL or "": munge's default */
    uid_t service_uid;        /* who may decode the credential: the uid the peer runs as */
    const char *route;        /* NULL: "" */
    usec_t timeout;           /* whole dial; 0: 2 s */
};
/* target: "unix:/path" or "host:port" (IPv6 in brackets). On a Unix socket with a route
 * the peer must run as root or service_uid. */
struct wire_conn *wire_dial(const char *target, const struct wire_dial_opts *opts,
                            struct err *err);
void wire_conn_close(struct wire_conn *c);
int wire_conn_fd(const struct wire_conn *c); /* for poll() together with wire_conn_pending */
const struct wire_peer *wire_conn_peer(const struct wire_conn *c);
/* Sends a whole frame; blocks. */
int wire_send(struct wire_conn *c, enum wire_type type, uint32_t tag,
              const ProtobufCMessage *body, struct err *err);
/* Sends bytes made by wire_pack(); blocks. */
int wire_send_packed(struct wire_conn *c, const void *frames, size_t n, struct err *err);
/* 1 a message, 0 timeout (0: poll, negative: for ever), -ECONNRESET at end of
 * file, other negative: error. */
int wire_recv(struct wire_conn *c, usec_t timeout, struct wire_msg *m, struct err *err);
/* True when a message may already be buffered, so that poll() must not be slept on
 * before wire_recv() has returned 0. */
bool wire_conn_pending(const struct wire_conn *c);

/* ---- event-driven connections (daemons, supervisors) --------------------------- */

struct event_base;
struct wire_link; /* one connection on a libevent loop */

struct wire_link_ops {
    /* The link is usable: TLS done, peer known. For dialled and accepted ones. */
    void (*up)(struct wire_link *l, void *arg);
    /* One message; the callee may clear or keep m->body (set it NULL to keep). */
    void (*message)(struct wire_link *l, struct wire_msg *m, void *arg);
    /* Closed by the peer or by an error (why; "" for a plain end of file). Called at
     * most once; the link is destroyed after it returns. Not called for
     * wire_link_close(). */
    void (*down)(struct wire_link *l, const char *why, void *arg);
    /* The output queue fell below half of its bound after wire_link_full() (may be NULL). */
    void (*drained)(struct wire_link *l, void *arg);
};

struct wire_link *wire_link_dial(struct event_base *base, const char *target,
                                 const struct wire_dial_opts *opts,
                                 const struct wire_link_ops *ops, void *arg, struct err *err);
/* Takes over an accepted socket whose HELLO was already read and verified
 * (StepRoute): TLS accept with this key follows. fd is owned from here on. */
struct wire_link *wire_link_accept_psk(struct event_base *base, int fd,
                                       const unsigned char psk[32], const struct wire_peer *peer,
                                       const struct wire_link_ops *ops, void *arg, struct err *err);
/* Takes over a connected Unix socket (socketpair or accepted). */
struct wire_link *wire_link_unix(struct event_base *base, int fd,
                                 const struct wire_link_ops *ops, void *arg, struct err *err);
/* Flushes nothing: frames not yet written are lost. wire_link_finish() first writes them out,
 * for 10 s at most, with no further callback; a link that is not up yet it closes. */
void wire_link_close(struct wire_link *l);
void wire_link_finish(struct wire_link *l);
const struct wire_peer *wire_link_peer(const struct wire_link *l);
bool wire_link_is_up(const struct wire_link *l);
/* Queues a frame (copied). Before `up` it is kept. Negative when over a bound. */
int wire_link_send(struct wire_link *l, enum wire_type type, uint32_t tag,
                   const ProtobufCMessage *body, struct err *err);
/* Queues bytes made by wire_pack (several frames at once). */
int wire_link_send_packed(struct wire_link *l, const void *frames, size_t n);
/* With an fd as SCM_RIGHTS on a Unix link; the fd is closed here after sending,
 * and stays the caller's on failure. */
int wire_link_send_fd(struct wire_link *l, enum wire_type type, uint32_t tag,
                      const ProtobufCMessage *body, int fd, struct err *err);
/* The fd that came with the message being delivered, or -1; the caller owns it. */
int wire_link_take_fd(struct wire_link *l);
size_t wire_link_queued(const struct wire_link *l); /* bytes waiting to be written */
/* More wait than CLIENT_OUTQ_BYTES_MAX/4, or than was set: pause producing. */
bool wire_link_full(const struct wire_link *l);
void wire_link_set_full(struct wire_link *l, size_t bytes);
void wire_link_pause_reading(struct wire_link *l, bool pause);
void wire_link_set_ops(struct wire_link *l, const struct wire_link_ops *ops, void *arg);
void *wire_link_arg(const struct wire_link *l);

struct wire_listener;
struct wire_listener_ops {
    /* A Unix peer, or a TCP peer with route "", is connected and known. Set its
     * ops with wire_link_set_ops() before returning, or close it. */
    void (*accepted)(struct wire_link *l, void *arg);
    /* A TCP peer asks for a route; the credential was verified. The callee owns
     * fd. NULL: routes are refused. On a Unix socket without `accepted` every peer asks for
     * one; the kernel vouches for it (peer->local), nothing is encrypted, psk is unused. */
    void (*routed)(int fd, const char *route, const struct wire_peer *peer,
                   const unsigned char psk[32], void *arg);
};
/* target: "unix:/path" (mode: socket file permissions, an old socket file is
 * replaced) or "host:port" (port 0: any; wire_listener_port tells). Credentials
 * are decoded on helper threads. */
struct wire_listener *wire_listen(struct event_base *base, const char *target, mode_t mode,
                                  const char *munge_socket, const struct wire_listener_ops *ops,
                                  void *arg, struct err *err);
void wire_listener_close(struct wire_listener *l);
/* Of a Unix socket: ends the listener but for its socket and file; the socket is the
 * caller's. wire_listen_again() goes on with it, by the path that the file has then; who
 * connected before is dropped. It owns fd, also on failure (NULL). */
int wire_listener_detach(struct wire_listener *l);
struct wire_listener *wire_listen_again(struct event_base *base, int fd, const char *target,
                                        const struct wire_listener_ops *ops, void *arg,
                                        struct err *err);
unsigned wire_listener_port(const struct wire_listener *l);

#endif
