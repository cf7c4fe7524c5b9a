/* SPDX-License-Identifier: Apache-2.0
 *
 * kernels: the CPU backend's loops over rows and elements.
 *
 * kernels.c is compiled once per instruction set (x86-64 baseline, AVX2+FMA,
 * AVX-512); kernels_select() picks the best that the processor has. All sums
 * run over KERNEL_LANES fixed lanes which are then added in a fixed order, so a
 * kernel's result does not depend on alignment, length class or threads. It may
 * differ in rounding between instruction sets, because only some fuse
 * multiplications and additions.
 *
 * Kernels are serial; the caller divides work among threads.
 */
#ifndef WORKER_BACKEND_KERNELS_H
#define WORKER_BACKEND_KERNELS_H

#include "base/err.h"
#include "real.h"
#include <stdbool.h>

#define KERNEL_LANES 16

struct adamw {
    double lr, beta1, beta2, eps, weight_decay;
    double correction1, correction2; /* 1 - beta^t */
    double grad_scale;               /* clipping, and 1 / number of terms */
};

struct kernels {
    const char *name;
    /* y += x; z = x + y */
    void (*add)(real *y, const real *x, size_t n);
    void (*sum2)(real *z, const real *x, const real *y, size_t n);
    double (*sum_squares)(const real *x, size_t n);
    /* One row of c elements. gain/bias may be NULL. stats: mean, 1/deviation. */
    void (*norm_forward)(real *out, real stats[2], const real *x, const real *gain,
                         const real *bias, size_t c, double eps, bool rms);
    /* dx = (add ? dx : 0) + gradient through the norm. */
    void (*norm_backward)(real *dx, const real *dout, const real *x, const real stats[2],
                          const real *gain, size_t c, bool rms, bool add);
    /* dgain[0..c) += dout * normalised x; dbias += dout (NULL: absent). */
    void (*norm_params)(real *dgain, real *dbias, const real *dout, const real *x,
                        const real stats[2], size_t c);
    void (*gelu_forward)(real *out, const real *x, size_t n);
    void (*gelu_backward)(real *dx, const real *x, size_t n); /* dx *= gelu'(x) */
    /* s[0..n) := exp(scale * s - max); returns sum, *max as found. */
    double (*exp_row)(real *s, size_t n, real scale, real *max);
    /* s := exp(scale * s - lse) */
    void (*exp_known)(real *s, size_t n, real scale, real lse);
    /* ds := p * (ds - d) * scale */
    void (*softmax_backward)(real *ds, const real *p, size_t n, real d, real scale);
    double (*dot)(const real *x, const real *y, size_t n);
    void (*scale)(real *x, size_t n, real by);
    void (*adamw)(const struct adamw *h, real *p, real *m, real *v, const real *g,
                  size_t n, double weight_decay);
    /* Runs 2 * KERNEL_LANES * 8 * n multiply-adds that the compiler cannot drop. */
    real (*fma_burn)(size_t n);
};

/* name NULL: the best for this processor; else "base", "avx2", "avx512". NULL
 * and *err when the name is unknown or the processor lacks it. */
const struct kernels *kernels_select(const char *name, struct err *err);

#endif
