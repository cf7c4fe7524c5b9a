/* SPDX-License-Identifier: Apache-2.0
 *
 * mutate: random valid messages of any type, made by walking its descriptor, and
 * damaged copies of their bytes. Everything follows from a seed.
 */
#ifndef SL_TEST_MUTATE_H
#define SL_TEST_MUTATE_H

#include "wire/wire.h"

struct mutate { /* the state of a splitmix64 generator */
    uint64_t state;
};

void mutate_seed(struct mutate *r, uint64_t seed);
uint64_t mutate_next(struct mutate *r);
/* 0 .. n-1 */
size_t mutate_below(struct mutate *r, size_t n);

/* A message with random fields; protobuf_c_message_free_unpacked(m, NULL) frees it. */
ProtobufCMessage *mutate_message(struct mutate *r, const ProtobufCMessageDescriptor *d);
/* Changes about one in `odds` of its fields, at any depth: other values, gone, or more. */
void mutate_change(struct mutate *r, ProtobufCMessage *m, size_t odds);
/* Appends one frame of this type with a random message; the bytes before the payload
 * are a right header. */
void mutate_frame(struct mutate *r, const struct wire_type_info *info, uint32_t tag,
                  struct buf *out);
/* Damages frame (a whole one, from out's offset `at` to its end): flipped bits, bytes
 * set to edge values, cut, grown, doubled or swapped pieces, a lying length. With
 * keep_header the payload is damaged and the header made right again, so that the
 * receiver looks at it. */
void mutate_damage(struct mutate *r, struct buf *out, size_t at, bool keep_header);

#endif
