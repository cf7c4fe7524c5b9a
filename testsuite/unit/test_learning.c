/* SPDX-License-Identifier: Apache-2.0
 *
 * What the float build must do: the optimizer against its formulas, the loss of
 * an untrained model, and learning one batch by heart.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "backend/backend.h"
#include "base/buf.h"
#include "parallel/shards.h"
#include "philox.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SEED 11
#define N 1000 /* elements; no multiple of a vector */

static double random_at(uint64_t stream, uint64_t i)
{
    return 2 * philox_unit(philox(SEED, stream, i).v[0]) - 1;
}

/* AdamW as published (Loshchilov and Hutter, 2019, algorithm 2), in double. */
static void reference(double *p, double *m, double *v, double g, const struct adamw *h,
                      double decay, int t)
{
    *m = h->beta1 * *m + (1 - h->beta1) * g;
    *v = h->beta2 * *v + (1 - h->beta2) * g * g;
    double mh = *m / (1 - pow(h->beta1, t)), vh = *v / (1 - pow(h->beta2, t));
    *p -= h->lr * (mh / (sqrt(vh) + h->eps) + decay * *p);
}

static void check_kernels(const struct kernels *k)
{
    static real p[N], m[N], v[N], g[N];
    static double pd[N], md[N], vd[N];
    struct adamw h = {.lr = 1e-2, .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8,
                      .weight_decay = 0.1};
    for (int i = 0; i < N; i++) {
        p[i] = (real)random_at(1, (uint64_t)i);
        pd[i] = (double)p[i];
        m[i] = v[i] = 0;
        md[i] = vd[i] = 0;
    }
    for (int t = 1; t <= 10; t++) {
        h.correction1 = 1 - pow(h.beta1, t);
        h.correction2 = 1 - pow(h.beta2, t);
        h.grad_scale = t % 2 ? 1 : 0.25;
        for (int i = 0; i < N; i++) {
            g[i] = (real)random_at(2, (uint64_t)(t * N + i));
            reference(&pd[i], &md[i], &vd[i], (double)g[i] * h.grad_scale, &h,
                      i < 500 ? h.weight_decay : 0, t);
        }
        k->adamw(&h, p, m, v, g, 500, h.weight_decay);
        k->adamw(&h, p + 500, m + 500, v + 500, g + 500, N - 500, 0);
        for (int i = 0; i < N; i++)
            if (fabs((double)p[i] - pd[i]) > 1e-6)
                fail_msg("%s, step %d, element %d: %.9g, not %.9g", k->name, t, i,
                         (double)p[i], pd[i]);
    }
}

static void adamw_equals_its_formula(void **state)
{
    static const char *const names[] = {"base", "avx2", "avx512"};
    struct err err;
    (void)state;
    for (int i = 0; i < 3; i++) {
        const struct kernels *k = kernels_select(names[i], &err);
        if (k)
            check_kernels(k);
    }
    assert_null(kernels_select("sse9", &err));
}

static void sums_of_pairs_are_a_tree(void **state)
{
    (void)state;
    const double x[] = {1e16, 1, -1e16, 1, 3};
    assert_true(sum_pairs(x, 0) == 0);
    assert_true(sum_pairs(x, 1) == 1e16);
    assert_true(sum_pairs(x, 5) == ((x[0] + x[1]) + (x[2] + x[3])) + x[4]);
}

struct model {
    struct graph *g;
    struct backend *be;
    real *p, *m, *v, *grads, *weights, *losses;
    uint32_t *tokens, *targets;
};

static void model_open(struct model *x, const struct shape *shape, int batch)
{
    struct shape s = *shape;
    struct err err;
    assert_int_equal(shape_check(&s, &err), 0);
    x->g = decoder_create(&s, batch);
    x->be = backend_cpu.create(x->g, 1, NULL, &err);
    assert_non_null(x->be);
    size_t rows = (size_t)x->g->rows, n = x->g->flat_count;
    real **flat[] = {&x->p, &x->m, &x->v, &x->grads};
    for (int i = 0; i < 4; i++)
        *flat[i] = xcalloc(n, sizeof(real));
    x->weights = xcalloc(rows, sizeof(real));
    x->losses = xcalloc(rows, sizeof(real));
    x->tokens = xcalloc(rows, sizeof(uint32_t));
    x->targets = xcalloc(rows, sizeof(uint32_t));
    params_init(x->g, SEED, x->p, 0, n);
    for (size_t r = 0; r < rows; r++) {
        x->tokens[r] = philox(SEED, 3, r).v[0] % (uint32_t)s.vocab;
        x->targets[r] = philox(SEED, 3, r + 1).v[0] % (uint32_t)s.vocab;
        x->weights[r] = (real)(1.0 / (double)rows);
    }
}

static void model_close(struct model *x)
{
    x->be->class->destroy(x->be);
    graph_destroy(x->g);
    void *all[] = {x->p, x->m, x->v, x->grads, x->weights, x->losses, x->tokens, x->targets};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        free(all[i]);
}

static double model_loss(struct model *x, bool train)
{
    struct exec run = {.batch = {x->tokens, x->targets, x->weights},
                       .params = x->p,
                       .grads = train ? x->grads : NULL};
    double sum = 0;
    backend_run(x->be, &run);
    x->be->class->losses(x->be, x->losses);
    for (int r = 0; r < x->g->rows; r++)
        sum += (double)x->losses[r];
    return sum / x->g->rows;
}

static const struct shape SHAPES[] = {
    {.layers = 2, .heads = 2, .width = 32, .context = 16, .vocab = 311, .norm_eps = 1e-5,
     .rope_theta = 10000, .bias = true, .tied = true},
    {.layers = 2, .heads = 4, .kv_heads = 2, .width = 32, .context = 16, .vocab = 311,
     .norm_eps = 1e-5, .rope_theta = 10000, .positions = POSITIONS_ROPE, .norm = NORM_RMS},
};

static void an_untrained_model_knows_nothing(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct model x;
        model_open(&x, &SHAPES[i], 4);
        assert_true(fabs(model_loss(&x, false) - log(311)) < 0.05);
        model_close(&x);
    }
}

static void one_batch_is_learnt_by_heart(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct model x;
        struct adamw h = {.lr = 3e-3, .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8,
                          .grad_scale = 1};
        model_open(&x, &SHAPES[i], 4);
        for (int t = 1; t <= 400; t++) {
            model_loss(&x, true);
            h.correction1 = 1 - pow(h.beta1, t);
            h.correction2 = 1 - pow(h.beta2, t);
            x.be->class->adamw(x.be, &h, x.p, x.m, x.v, x.grads, x.g->flat_count, 0);
        }
        double loss = model_loss(&x, false);
        if (!(loss < 0.01))
            fail_msg("shape %d: loss %g after 400 steps", i, loss);
        model_close(&x);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adamw_equals_its_formula),
        cmocka_unit_test(sums_of_pairs_are_a_tree),
        cmocka_unit_test(an_untrained_model_knows_nothing),
        cmocka_unit_test(one_batch_is_learnt_by_heart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
