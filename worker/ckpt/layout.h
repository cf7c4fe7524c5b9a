/* SPDX-License-Identifier: Apache-2.0
 *
 * layout: where a rank's slice lies in the tensors of a checkpoint file.
 */
#ifndef WORKER_CKPT_LAYOUT_H
#define WORKER_CKPT_LAYOUT_H

#include "model/graph.h"
#include "parallel/shards.h"
#include <hdf5.h>

#define CKPT_FORMAT "slurmlike-checkpoint"
#define CKPT_VERSION 1

/* The arrays that a checkpoint holds of each parameter. */
#define CKPT_ARRAYS 3
extern const char *const ckpt_groups[CKPT_ARRAYS];
/* Element `begin` of the slice of array a. */
real *ckpt_array(const struct shards *s, int a);

struct span { /* elements of one tensor that a rank owns */
    size_t from, count; /* within the tensor */
    size_t at;          /* of the first in the rank's slice */
};
struct span span_of(const struct param *p, size_t begin, size_t end);

/* A tensor's dataspace: two dimensions, or one for vectors. */
hid_t tensor_space(const struct param *p);
/* Selects a span of it: up to three rectangles. */
void tensor_select(hid_t space, const struct param *p, struct span span);

struct piece { /* checksum of a span */
    uint32_t crc;
    uint32_t pad;
    uint64_t bytes;
};
/* pieces: [CKPT_ARRAYS * params_count] of this rank; crcs: the same number, of
 * the whole tensors. Collective. */
void tensor_crcs(const struct shards *s, const struct piece *pieces, uint32_t *crcs);

#endif
