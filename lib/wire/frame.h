/* SPDX-License-Identifier: Apache-2.0
 *
 * frame: one frame's bytes to a message, without moving what follows it.
 * Internal to lib/wire; wire_unpack() is the public form.
 */
#ifndef SL_WIRE_FRAME_H
#define SL_WIRE_FRAME_H

#include "wire/wire.h"

/* Memory that one unpacked message may take. protobuf-c's representation can be
 * fifty times the size of its encoding (an empty submessage is two bytes), so
 * the payload bound alone does not bound it. */
#define UNPACK_BYTES_MAX ((size_t)4 * FRAME_BYTES_MAX)

/* One frame at the front of p[0..n): 1 a message in *m and its length with the
 * header in *used, 0 more bytes are needed (*used: whole length when the header is
 * complete, else 0), negative: protocol error. */
int frame_parse(const uint8_t *p, size_t n, bool auth, struct wire_msg *m, size_t *used,
                struct err *err);

/* Checks a payload against its descriptor before protobuf-c sees it: complete
 * fields, right wire types, no singular field twice, strings without NUL and in
 * UTF-8, and the memory that unpacking takes within UNPACK_BYTES_MAX. */
int payload_check(const ProtobufCMessageDescriptor *desc, const uint8_t *p, size_t n,
                  struct err *err);
/* Replaces bytes that are not UTF-8 in a payload packed here by '?', so that a text
 * made from a user's bytes does not cost the connection. Negative when the receiver
 * would refuse the payload for its unpacked size. */
int payload_repair(const ProtobufCMessageDescriptor *desc, uint8_t *p, size_t n,
                   struct err *err);

#endif
