/* SPDX-License-Identifier: Apache-2.0
 *
 * bind: listening sockets, non-blocking. Internal to lib/wire.
 */
#ifndef SL_WIRE_BIND_H
#define SL_WIRE_BIND_H

#include "wire/addr.h"
#include <sys/stat.h>

/* The descriptor or negative. A socket file that nobody listens on is replaced, one
 * that is in use refused; *file identifies the new one. */
int bind_unix(const struct target *t, mode_t mode, struct stat *file, struct err *err);
/* Host "" is any address, port 0 any port; *port is the one taken. May block on the
 * name service. */
int bind_tcp(const struct target *t, unsigned *port, struct err *err);

#endif
