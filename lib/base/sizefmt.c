/* SPDX-License-Identifier: Apache-2.0 */
#include "timefmt.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char size_units[] = "BKMGTPE"; /* each 1024 times the one before */
#define UNIT_BYTES 0
#define UNIT_MIB 2

/* Reads decimal digits at *p; false when there is none or it does not fit. */
static bool digits_u64(const char **p, uint64_t *value)
{
    const char *s = *p;
    uint64_t v = 0;
    if (!isdigit((unsigned char)*s))
        return false;
    for (; isdigit((unsigned char)*s); s++) {
        unsigned d = (unsigned)(*s - '0');
        if (v > (UINT64_MAX - d) / 10)
            return false;
        v = v * 10 + d;
    }
    *p = s;
    *value = v;
    return true;
}

int num_parse_u64(const char *what, const char *text, uint64_t min, uint64_t max,
                  uint64_t *value, struct err *err)
{
    const char *p = text;
    uint64_t v;
    bool is_number = digits_u64(&p, &v) && *p == '\0';
    if (!is_number && isdigit((unsigned char)text[0]) &&
        text[strspn(text, "0123456789")] == '\0')
        v = UINT64_MAX, is_number = max < UINT64_MAX; /* digits beyond 64 bits */
    if (!is_number)
        return err_set(err, -EINVAL, "%s: \"%.64s\" is not a number from %" PRIu64
                       " to %" PRIu64, what, text, min, max);
    if (v < min || v > max)
        return err_set(err, -ERANGE, "%s: %.64s is out of range (%" PRIu64 " to %" PRIu64
                       ")", what, text, min, max);
    *value = v;
    return 0;
}

/* "", "B", "iB" after the unit letter. */
static bool is_byte_suffix(const char *s)
{
    return *s == '\0' || strcasecmp(s, "B") == 0 || strcasecmp(s, "iB") == 0;
}

/* Exponent of 1024 named by the text after the number, or -1. */
static int size_unit_parse(const char *s)
{
    if (*s == '\0')
        return UNIT_MIB;
    const char *u = strchr("KMGTP", toupper((unsigned char)*s));
    if (!u || !is_byte_suffix(s + 1))
        return -1;
    return (int)(u - "KMGTP") + 1;
}

/* ceil(whole.frac * 1024^unit / 1 MiB), frac in millionths; false beyond the limit. */
static bool size_to_mib(uint64_t whole, uint64_t frac, int unit, uint64_t *mib)
{
    const uint64_t million = 1000000;
    if (whole > SIZE_MIB_MAX * 1024)
        return false;
    unsigned __int128 v = (unsigned __int128)whole * million + frac;
    if (unit < UNIT_MIB)
        v = (v + 1023) / 1024;
    else
        v <<= 10 * (unit - UNIT_MIB);
    v = (v + million - 1) / million;
    if (v > SIZE_MIB_MAX)
        return false;
    *mib = (uint64_t)v;
    return true;
}

int mem_parse_mib(const char *text, uint64_t *mib, struct err *err)
{
    const char *p = text;
    uint64_t whole, frac = 0;
    bool fits = digits_u64(&p, &whole);
    if (!fits && !isdigit((unsigned char)text[0]))
        return err_set(err, -EINVAL, "memory size \"%.64s\" is not a number with an "
                       "optional unit K, M, G or T (without one: megabytes)", text);
    if (fits && *p == '.') {
        size_t digits = strspn(++p, "0123456789");
        uint64_t scale = 100000;
        for (size_t i = 0; i < digits; i++, scale /= 10)
            frac += scale * (uint64_t)(p[i] - '0');
        p += digits;
        if (digits == 0 || digits > 6)
            return err_set(err, -EINVAL, "memory size \"%.64s\": one to six decimals "
                           "may follow the point", text);
    }
    int unit = fits ? size_unit_parse(p) : UNIT_MIB;
    if (unit < 0)
        return err_set(err, -EINVAL, "memory size \"%.64s\": unknown unit \"%.16s\" "
                       "(K, M, G, T or P)", text, p);
    uint64_t v = 0;
    if (!fits || !size_to_mib(whole, frac, unit, &v))
        return err_set(err, -ERANGE, "memory size \"%.64s\" is too large", text);
    *mib = v;
    return 0;
}

/* Slurm's form: a whole number where it is one, else two decimals. */
static char *size_format(uint64_t n, unsigned unit, char out[SIZE_TEXT_MAX])
{
    double v = (double)n;
    while (v >= 1024 && size_units[unit + 1])
        v /= 1024, unit++;
    if (v >= 1023.995 && size_units[unit + 1]) /* would print as 1024.00 */
        v /= 1024, unit++;
    const char suffix[2] = {unit == UNIT_BYTES || n == 0 ? '\0' : size_units[unit]};
    if (v == (double)(uint64_t)v)
        snprintf(out, SIZE_TEXT_MAX, "%" PRIu64 "%s", (uint64_t)v, suffix);
    else
        snprintf(out, SIZE_TEXT_MAX, "%.2f%s", v, suffix);
    return out;
}

char *mem_format_mib(uint64_t mib, char out[SIZE_TEXT_MAX])
{
    return size_format(mib, UNIT_MIB, out);
}

char *size_format_bytes(uint64_t bytes, char out[SIZE_TEXT_MAX])
{
    return size_format(bytes, UNIT_BYTES, out);
}
