/* SPDX-License-Identifier: Apache-2.0
 *
 * crc32c: Castagnoli's CRC (RFC 3720, appendix B.4), by the processor's own
 * instruction where it has one.
 */
#ifndef WORKER_CKPT_CRC32C_H
#define WORKER_CKPT_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* crc: 0 to begin, else the value of what came before. */
uint32_t crc32c(uint32_t crc, const void *data, size_t len);
/* The value of A followed by B from those of A and B and the length of B. */
uint32_t crc32c_combine(uint32_t a, uint32_t b, uint64_t len_b);

#endif
