/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/usage.h"

#define ONE_Q63 (UINT64_C(1) << 63)

/* Square root, rounded down: digit by digit. */
static uint64_t root(amount_t v)
{
    amount_t r = 0, bit = (amount_t)1 << 126;
    while (bit > v)
        bit >>= 2;
    for (; bit; bit >>= 2) {
        if (v >= r + bit) {
            v -= r + bit;
            r = (r >> 1) + bit;
        } else {
            r >>= 1;
        }
    }
    return (uint64_t)r;
}

static uint64_t mul_q63(uint64_t a, uint64_t b)
{
    return (uint64_t)(((amount_t)a * b) >> 63);
}

/* 2^-(period/half_life) in whole numbers, so that every machine has the same: the binary
 * digits of the exponent choose among 2^-1/2, 2^-1/4, ..., each the root of the last. */
struct decay decay_make(usec_t period, usec_t half_life)
{
    struct decay d = {.period = period};
    if (half_life <= 0 || period <= 0)
        return (struct decay){0};
    amount_t x = ((amount_t)period << 32) / (amount_t)half_life;
    if (x >> 37) /* over 32 half-lives */
        return d;
    uint64_t f = ONE_Q63, step = ONE_Q63 / 2;
    for (int i = 31; i >= 0; i--) {
        step = root((amount_t)step << 63);
        if (x >> i & 1)
            f = mul_q63(f, step);
    }
    f >>= (unsigned)(x >> 32);
    f = (f + (1u << 30)) >> 31;
    d.factor = f > UINT32_MAX ? UINT32_MAX : (uint32_t)f;
    return d;
}

static amount_t decayed(amount_t v, uint32_t factor)
{
    /* in two halves: v may have more than 96 bits */
    return (v >> 32) * factor + (((v & UINT32_MAX) * factor) >> 32);
}

static void accrue(struct usage *u, uint32_t tres_count, usec_t span)
{
    for (uint32_t t = 0; t < tres_count; t++)
        u->used[t] += (amount_t)u->rate[t] * (amount_t)span;
}

void usage_settle(struct usage *u, const struct decay *d, bool decays, uint32_t tres_count,
                  usec_t now)
{
    if (now <= u->settled)
        return;
    while (u->settled && decays && d->period) {
        usec_t edge = (u->settled / d->period + 1) * d->period;
        bool idle = true;
        if (edge > now)
            break;
        accrue(u, tres_count, edge - u->settled);
        for (uint32_t t = 0; t < tres_count; t++) {
            u->used[t] = decayed(u->used[t], d->factor);
            idle = idle && u->used[t] == 0 && u->rate[t] == 0;
        }
        u->settled = edge;
        if (idle) /* nothing is left that could decay */
            u->settled = now;
    }
    if (u->settled)
        accrue(u, tres_count, now - u->settled);
    u->settled = now;
}

void usage_rate(struct usage *u, const struct charge *c, uint32_t tres_count, int sign)
{
    for (uint32_t t = 0; t < tres_count; t++) {
        uint64_t rate = c->tres[t] * c->factor;
        amount_t due = (amount_t)rate * (amount_t)c->end;
        u->rate[t] += sign > 0 ? rate : -rate;
        u->due[t] += sign > 0 ? due : -due;
    }
}

void usage_hold(struct usage *u, const struct charge *c, uint32_t tres_count, int sign)
{
    for (uint32_t t = 0; t < tres_count; t++)
        u->alloc[t] += sign > 0 ? c->tres[t] : -c->tres[t];
    u->running += (uint32_t)sign;
}

uint64_t usage_seconds(const struct usage *u, uint32_t tres)
{
    amount_t s = u->used[tres] / AMOUNT_PER_SEC;
    return s > UINT64_MAX ? UINT64_MAX : (uint64_t)s;
}

amount_t usage_due(const struct usage *u, uint32_t tres, usec_t now)
{
    amount_t passed = (amount_t)u->rate[tres] * (amount_t)now;
    return u->due[tres] > passed ? u->due[tres] - passed : 0;
}
