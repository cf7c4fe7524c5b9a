/* SPDX-License-Identifier: Apache-2.0
 *
 * tls: what libwire takes from the module wire_tls.so, which alone links OpenSSL and
 * libmunge. The module calls nothing of libwire or libbase: a program that was
 * linked statically to them exports no symbols. Internal to lib/wire.
 */
#ifndef SL_WIRE_TLS_H
#define SL_WIRE_TLS_H

#include "base/err.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define PSK_BYTES 32
#define CRED_BYTES_MAX 3072 /* a munge credential's text with its NUL; usual are 190   \
                             */
#define ROUTE_BYTES_MAX 256 /* "step:ID.STEP" with its NUL */

/* One session. Functions that take err set it when they return a negative code other
 * than -EAGAIN. */
struct wire_tls {
    const struct wire_tls_module *module;
};

struct wire_tls_module {
    const char
        *version; /* PACKAGE_VERSION: module and program must be of one release */

    /* Blocks on munged; any thread. A fresh key is drawn, a credential made of it that
     * only service_uid can decode; psk is derived from key and route. */
    int (*cred_encode)(const char *munge_socket, uid_t service_uid, const char *route,
                       char cred[CRED_BYTES_MAX], unsigned char psk[PSK_BYTES],
                       struct err *err);
    /* Blocks on munged; any thread. Refuses replayed and expired credentials and those
     * not made for this process's user. */
    int (*cred_decode)(const char *munge_socket, const char *cred, const char *route,
                       unsigned char psk[PSK_BYTES], uid_t *uid, gid_t *gid,
                       struct err *err);

    /* A session on a connected non-blocking socket, which stays the caller's. */
    struct wire_tls *(*create)(int fd, bool server, const unsigned char psk[PSK_BYTES],
                               struct err *err);
    void (*destroy)(struct wire_tls *t);
    /* 1 done and both ends proved the key; 0 wait for the socket to be readable, or
     * writable when *want_write; negative. */
    int (*handshake)(struct wire_tls *t, bool *want_write, struct err *err);
    /* Bytes, 0 end of file, -EAGAIN or another negative error. */
    ssize_t (*read)(struct wire_tls *t, void *p, size_t n, struct err *err);
    ssize_t (*write)(struct wire_tls *t, const void *p, size_t n, struct err *err);
    /* Says goodbye, as far as the socket takes it. */
    void (*finish)(struct wire_tls *t);
};

/* The module's only symbol. */
extern const struct wire_tls_module wire_tls_module;

/* Loads the module on the first call; NULL and *err when it cannot be loaded, with the
 * same answer ever after. Any thread. */
const struct wire_tls_module *wire_tls_load(struct err *err);

#endif
