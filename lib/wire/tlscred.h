/* SPDX-License-Identifier: Apache-2.0
 *
 * tlscred: the module's half that talks to munged. Internal to wire_tls.so.
 */
#ifndef SL_WIRE_TLSCRED_H
#define SL_WIRE_TLSCRED_H

#include "wire/tls.h"

/* As wire_tls_module. */
int cred_encode(const char *munge_socket, uid_t service_uid, const char *route,
                char cred[CRED_BYTES_MAX], unsigned char psk[PSK_BYTES],
                struct err *err);
int cred_decode(const char *munge_socket, const char *cred, const char *route,
                unsigned char psk[PSK_BYTES], uid_t *uid, gid_t *gid, struct err *err);

/* Sets *err and returns code. */
int module_fail(struct err *err, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
