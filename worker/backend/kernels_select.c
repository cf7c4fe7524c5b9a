/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/kernels.h"

#include <errno.h>
#include <string.h>

extern const struct kernels kernels_base;
#if defined(__x86_64__) && !defined(REAL_DOUBLE)
extern const struct kernels kernels_avx2, kernels_avx512;

static bool has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
           __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
}

static bool has_avx512(void)
{
    return has_avx2() && __builtin_cpu_supports("avx512f") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
#endif

static bool has_always(void)
{
    return true;
}

static const struct {
    const struct kernels *kernels;
    bool (*usable)(void);
} TABLE[] = {
#if defined(__x86_64__) && !defined(REAL_DOUBLE)
    {&kernels_avx512, has_avx512},
    {&kernels_avx2, has_avx2},
#endif
    {&kernels_base, has_always},
};

const struct kernels *kernels_select(const char *name, struct err *err)
{
    for (size_t i = 0; i < sizeof(TABLE) / sizeof(TABLE[0]); i++) {
        const struct kernels *k = TABLE[i].kernels;
        if (name && strcmp(name, k->name) != 0)
            continue;
        if (TABLE[i].usable())
            return k;
        if (name) {
            err_set(err, -ENOTSUP, "this processor cannot run the %s kernels", name);
            return NULL;
        }
    }
    err_set(err, -EINVAL, "kernels \"%s\": base, avx2 and avx512 exist", name);
    return NULL;
}
