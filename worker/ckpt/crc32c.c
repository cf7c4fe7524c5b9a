/* SPDX-License-Identifier: Apache-2.0 */
#include "ckpt/crc32c.h"

#include <stdbool.h>
#include <string.h>

#define POLYNOMIAL UINT32_C(0x82F63B78) /* bits reversed */

static uint32_t step_byte(uint32_t crc, unsigned char byte)
{
    crc ^= byte;
    for (int bit = 0; bit < 8; bit++)
        crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
    return crc;
}

static uint32_t run_table(uint32_t crc, const unsigned char *p, size_t len)
{
    uint32_t table[256];
    for (unsigned i = 0; i < 256; i++)
        table[i] = step_byte(0, (unsigned char)i);
    for (; len > 0; len--)
        crc = crc >> 8 ^ table[(crc ^ *p++) & 255];
    return crc;
}

#ifdef __x86_64__
__attribute__((target("sse4.2"))) static uint32_t run_sse42(uint32_t crc,
                                                            const unsigned char *p,
                                                            size_t len)
{
    uint64_t wide = crc;
    for (; len >= 8; len -= 8, p += 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        wide = __builtin_ia32_crc32di(wide, word);
    }
    crc = (uint32_t)wide;
    for (; len > 0; len--)
        crc = __builtin_ia32_crc32qi(crc, *p++);
    return crc;
}
#endif

uint32_t crc32c(uint32_t crc, const void *data, size_t len)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("sse4.2"))
        return ~run_sse42(~crc, data, len);
#endif
    return ~run_table(~crc, data, len);
}

/* a * b modulo the polynomial; bit 31 is x^0 in this bit order. */
static uint32_t multiply(uint32_t a, uint32_t b)
{
    uint32_t product = 0;
    for (uint32_t bit = UINT32_C(1) << 31; bit; bit >>= 1) {
        if (a & bit)
            product ^= b;
        b = b >> 1 ^ (b & 1 ? POLYNOMIAL : 0);
    }
    return product;
}

/* Appending len bytes multiplies by x^(8 len): square and multiply. */
uint32_t crc32c_combine(uint32_t a, uint32_t b, uint64_t len_b)
{
    uint32_t power = UINT32_C(1) << 23; /* x^8 */
    for (; len_b; len_b >>= 1) {
        if (len_b & 1)
            a = multiply(a, power);
        power = multiply(power, power);
    }
    return a ^ b;
}
