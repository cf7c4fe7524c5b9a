/* SPDX-License-Identifier: Apache-2.0
 *
 * Compiled several times with different instruction sets; KERNELS_TABLE names
 * the table that this compilation defines, KERNELS_NAME what it is called.
 *
 * Vectors are the compilers' vector extension: 16 lanes whatever the hardware
 * width, so that the order of every sum is written in the source.
 */
#include "backend/kernels.h"

#include <math.h>
#include <string.h>

#define LANES KERNEL_LANES
typedef real vec __attribute__((vector_size(LANES * sizeof(real))));
#ifdef REAL_DOUBLE
typedef int64_t ivec __attribute__((vector_size(LANES * sizeof(int64_t))));
#else
typedef int32_t ivec __attribute__((vector_size(LANES * sizeof(int32_t))));
#endif

static inline vec vec_load(const real *p)
{
    vec v;
    memcpy(&v, p, sizeof(v));
    return v;
}

static inline void vec_store(real *p, vec v)
{
    memcpy(p, &v, sizeof(v));
}

static inline vec vec_set(real x)
{
    return (vec){0} + x;
}

/* The last n < LANES elements, padded with `fill`. */
static inline vec vec_load_part(const real *p, size_t n, real fill)
{
    vec v = vec_set(fill);
    memcpy(&v, p, n * sizeof(real));
    return v;
}

static inline void vec_store_part(real *p, vec v, size_t n)
{
    memcpy(p, &v, n * sizeof(real));
}

static inline double vec_sum(vec v)
{
    double s[LANES / 2];
    for (int i = 0; i < LANES / 2; i++)
        s[i] = (double)v[i] + (double)v[i + LANES / 2];
    return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
}

static inline real vec_max(vec v)
{
    real m = v[0];
    for (int i = 1; i < LANES; i++)
        m = v[i] > m ? v[i] : m;
    return m;
}

static inline vec vec_select(ivec mask, vec a, vec b)
{
    return (vec)(((ivec)a & mask) | ((ivec)b & ~mask));
}

#ifdef REAL_DOUBLE
static inline vec vec_exp(vec x)
{
    vec y;
    for (int i = 0; i < LANES; i++)
        y[i] = exp(x[i]);
    return y;
}
#else
/* exp to about 1.5 ulp: 2^n times a degree 6 polynomial on [-ln2/2, ln2/2]
 * (Cephes expf). Below -87 the result is 0, above 88 it is the value at 88. */
static inline vec vec_exp(vec x)
{
    ivec tiny = x < -87.0f;
    x = vec_select(x > 88.0f, vec_set(88.0f), x);
    x = vec_select(tiny, vec_set(-87.0f), x);
    vec shifted = x * 1.44269504088896341f + 12582912.0f; /* round to nearest */
    vec n = shifted - 12582912.0f;
    vec r = x - n * 0.693359375f;
    r = r - n * -2.12194440e-4f;
    vec p = vec_set(1.9875691500e-4f);
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    ivec bits = (__builtin_convertvector(n, ivec) + 127) << 23;
    return vec_select(tiny, vec_set(0), p * (vec)bits);
}
#endif

static void k_add(real *y, const real *x, size_t n)
{
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        vec_store(y + i, vec_load(y + i) + vec_load(x + i));
    for (; i < n; i++)
        y[i] += x[i];
}

static void k_sum2(real *z, const real *x, const real *y, size_t n)
{
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        vec_store(z + i, vec_load(x + i) + vec_load(y + i));
    for (; i < n; i++)
        z[i] = x[i] + y[i];
}

static void k_scale(real *x, size_t n, real by)
{
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        vec_store(x + i, vec_load(x + i) * by);
    for (; i < n; i++)
        x[i] *= by;
}

static double k_dot(const real *x, const real *y, size_t n)
{
    vec s = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        s += vec_load(x + i) * vec_load(y + i);
    if (i < n)
        s += vec_load_part(x + i, n - i, 0) * vec_load_part(y + i, n - i, 0);
    return vec_sum(s);
}

static double k_sum_squares(const real *x, size_t n)
{
    return k_dot(x, x, n);
}

static double k_sum(const real *x, size_t n)
{
    vec s = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        s += vec_load(x + i);
    if (i < n)
        s += vec_load_part(x + i, n - i, 0);
    return vec_sum(s);
}

static double k_sum_squared_from(const real *x, size_t n, real mean)
{
    vec s = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        vec d = vec_load(x + i) - mean;
        s += d * d;
    }
    if (i < n) {
        vec d = vec_load_part(x + i, n - i, mean) - mean;
        s += d * d;
    }
    return vec_sum(s);
}

static void k_norm_forward(real *out, real stats[2], const real *x, const real *gain,
                           const real *bias, size_t c, double eps, bool rms)
{
    real mean = rms ? 0 : (real)(k_sum(x, c) / (double)c);
    real inv = (real)(1.0 / sqrt(k_sum_squared_from(x, c, mean) / (double)c + eps));
    stats[0] = mean;
    stats[1] = inv;
    size_t i = 0;
    for (; i + LANES <= c; i += LANES) {
        vec y = (vec_load(x + i) - mean) * inv * vec_load(gain + i);
        vec_store(out + i, bias ? y + vec_load(bias + i) : y);
    }
    for (; i < c; i++)
        out[i] = (x[i] - mean) * inv * gain[i] + (bias ? bias[i] : 0);
}

/* With h = (x - mean) inv and e = dout gain:
 * dx = inv (e - mean(e) - h mean(e h)); RMSNorm has no mean(e) term. */
static void k_norm_backward(real *dx, const real *dout, const real *x, const real stats[2],
                            const real *gain, size_t c, bool rms, bool add)
{
    real mean = stats[0], inv = stats[1];
    vec se = {0}, seh = {0};
    size_t i = 0;
    for (; i + LANES <= c; i += LANES) {
        vec e = vec_load(dout + i) * vec_load(gain + i);
        se += e;
        seh += e * (vec_load(x + i) - mean);
    }
    if (i < c) {
        vec e = vec_load_part(dout + i, c - i, 0) * vec_load_part(gain + i, c - i, 0);
        se += e;
        seh += e * (vec_load_part(x + i, c - i, 0) - mean);
    }
    real me = rms ? 0 : (real)(vec_sum(se) / (double)c);
    real mh = (real)(vec_sum(seh) * (double)inv / (double)c);
    for (i = 0; i + LANES <= c; i += LANES) {
        vec e = vec_load(dout + i) * vec_load(gain + i);
        vec d = (e - me - (vec_load(x + i) - mean) * inv * mh) * inv;
        vec_store(dx + i, add ? vec_load(dx + i) + d : d);
    }
    for (; i < c; i++) {
        real d = (dout[i] * gain[i] - me - (x[i] - mean) * inv * mh) * inv;
        dx[i] = add ? dx[i] + d : d;
    }
}

static void k_norm_params(real *dgain, real *dbias, const real *dout, const real *x,
                          const real stats[2], size_t c)
{
    real mean = stats[0], inv = stats[1];
    size_t i = 0;
    for (; i + LANES <= c; i += LANES) {
        vec d = vec_load(dout + i);
        vec_store(dgain + i, vec_load(dgain + i) + d * (vec_load(x + i) - mean) * inv);
        if (dbias)
            vec_store(dbias + i, vec_load(dbias + i) + d);
    }
    for (; i < c; i++) {
        dgain[i] += dout[i] * (x[i] - mean) * inv;
        if (dbias)
            dbias[i] += dout[i];
    }
}

/* gelu(x) = x/2 (1 + tanh(u)) = x sigmoid(2 u), u = sqrt(2/pi) (x + 0.044715 x^3):
 * the tanh form of GPT-2. */
#define GELU_K ((real)1.5957691216057308) /* 2 sqrt(2/pi) */
#define GELU_C ((real)0.044715)

static inline vec gelu_sigmoid(vec x)
{
    return 1 / (1 + vec_exp(-(GELU_K * (x + GELU_C * x * x * x))));
}

static void k_gelu_forward(real *out, const real *x, size_t n)
{
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        vec v = vec_load(x + i);
        vec_store(out + i, v * gelu_sigmoid(v));
    }
    if (i < n) {
        vec v = vec_load_part(x + i, n - i, 0);
        vec_store_part(out + i, v * gelu_sigmoid(v), n - i);
    }
}

static inline vec gelu_slope(vec x)
{
    vec s = gelu_sigmoid(x);
    return s + x * s * (1 - s) * GELU_K * (1 + 3 * GELU_C * x * x);
}

static void k_gelu_backward(real *dx, const real *x, size_t n)
{
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        vec_store(dx + i, vec_load(dx + i) * gelu_slope(vec_load(x + i)));
    if (i < n) {
        vec d = vec_load_part(dx + i, n - i, 0) * gelu_slope(vec_load_part(x + i, n - i, 0));
        vec_store_part(dx + i, d, n - i);
    }
}

static double k_exp_row(real *s, size_t n, real scale, real *max)
{
    vec m = vec_load_part(s, n < LANES ? n : LANES, s[0]), sum = {0};
    size_t i = LANES;
    for (; i + LANES <= n; i += LANES) {
        vec v = vec_load(s + i);
        m = vec_select(v > m, v, m);
    }
    real top = vec_max(m);
    for (; i < n; i++)
        top = s[i] > top ? s[i] : top;
    for (i = 0; i + LANES <= n; i += LANES) {
        vec e = vec_exp((vec_load(s + i) - top) * scale);
        sum += e;
        vec_store(s + i, e);
    }
    if (i < n) {
        vec e = vec_exp((vec_load_part(s + i, n - i, (real)-1e30) - top) * scale);
        vec_store_part(s + i, e, n - i);
        sum += vec_load_part(s + i, n - i, 0);
    }
    *max = top * scale;
    return vec_sum(sum);
}

static void k_exp_known(real *s, size_t n, real scale, real lse)
{
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        vec_store(s + i, vec_exp(vec_load(s + i) * scale - lse));
    if (i < n)
        vec_store_part(s + i, vec_exp(vec_load_part(s + i, n - i, 0) * scale - lse), n - i);
}

static void k_softmax_backward(real *ds, const real *p, size_t n, real d, real scale)
{
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        vec_store(ds + i, vec_load(p + i) * (vec_load(ds + i) - d) * scale);
    for (; i < n; i++)
        ds[i] = p[i] * (ds[i] - d) * scale;
}

/* Decoupled weight decay (Loshchilov and Hutter, 2019), one pass: 28 bytes per
 * parameter move, which is all this step costs. */
static void k_adamw(const struct adamw *h, real *p, real *m, real *v, const real *g,
                    size_t n, double weight_decay)
{
    real b1 = (real)h->beta1, b2 = (real)h->beta2, eps = (real)h->eps;
    real c1 = (real)(1 - h->beta1), c2 = (real)(1 - h->beta2);
    real step = (real)(h->lr / h->correction1), inv2 = (real)(1 / h->correction2);
    real shrink = (real)(1 - h->lr * weight_decay), gs = (real)h->grad_scale;
    for (size_t i = 0; i < n; i++) {
        real gi = g[i] * gs;
        real mi = b1 * m[i] + c1 * gi;
        real vi = b2 * v[i] + c2 * gi * gi;
        m[i] = mi;
        v[i] = vi;
#ifdef REAL_DOUBLE
        p[i] = p[i] * shrink - step * mi / (sqrt(vi * inv2) + eps);
#else
        p[i] = p[i] * shrink - step * mi / (sqrtf(vi * inv2) + eps);
#endif
    }
}

/* Eight different chains of multiply-adds hide the latency of one; they are
 * variables, not an array, so that they live in registers. */
static real k_fma_burn(size_t n)
{
    vec x = vec_set((real)0.999), y = vec_set((real)1e-3);
    vec a = y, b = 2 * y, c = 3 * y, d = 4 * y, e = 5 * y, f = 6 * y, g = 7 * y, h = 8 * y;
    for (size_t i = 0; i < n; i++) {
        a = a * x + y;
        b = b * x + y;
        c = c * x + y;
        d = d * x + y;
        e = e * x + y;
        f = f * x + y;
        g = g * x + y;
        h = h * x + y;
    }
    return (real)vec_sum(((a + b) + (c + d)) + ((e + f) + (g + h)));
}

extern const struct kernels KERNELS_TABLE;
const struct kernels KERNELS_TABLE = {
    .name = KERNELS_NAME,
    .add = k_add,
    .sum2 = k_sum2,
    .sum_squares = k_sum_squares,
    .norm_forward = k_norm_forward,
    .norm_backward = k_norm_backward,
    .norm_params = k_norm_params,
    .gelu_forward = k_gelu_forward,
    .gelu_backward = k_gelu_backward,
    .exp_row = k_exp_row,
    .exp_known = k_exp_known,
    .softmax_backward = k_softmax_backward,
    .dot = k_dot,
    .scale = k_scale,
    .adamw = k_adamw,
    .fma_burn = k_fma_burn,
};
