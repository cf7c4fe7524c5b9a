/* SPDX-License-Identifier: Apache-2.0
 *
 * Every parameter gradient of the model against central differences, compiled
 * in double precision; one row of CASES per combination of shape options.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "backend/backend.h"
#include "base/buf.h"
#include "philox.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEED 20261123
#define PROBES 12 /* elements of each tensor that are perturbed */
#define STEP 1e-5
#define TOLERANCE 1e-6

struct model {
    struct graph *g;
    struct backend *be;
    real *params, *grads, *weights, *losses;
    uint32_t *tokens, *targets;
};

static void model_open(struct model *m, struct shape shape, int batch, int threads)
{
    struct err err;
    assert_int_equal(shape_check(&shape, &err), 0);
    m->g = decoder_create(&shape, batch);
    m->be = backend_cpu.create(m->g, threads, NULL, &err);
    assert_non_null(m->be);
    m->params = xcalloc(m->g->flat_count, sizeof(real));
    m->grads = xcalloc(m->g->flat_count, sizeof(real));
    size_t rows = (size_t)m->g->rows;
    m->weights = xcalloc(rows, sizeof(real));
    m->losses = xcalloc(rows, sizeof(real));
    m->tokens = xcalloc(rows, sizeof(*m->tokens));
    m->targets = xcalloc(rows, sizeof(*m->targets));
    params_init(m->g, SEED, m->params, 0, m->g->flat_count);
    for (size_t i = 0; i < m->g->flat_count; i++) /* away from zeros and ones */
        m->params[i] += 0.1 * (philox_unit(philox(SEED, 77, i).v[0]) - 0.5);
    for (size_t r = 0; r < rows; r++) {
        struct philox4 x = philox(SEED, 78, r);
        m->tokens[r] = x.v[0] % (uint32_t)shape.vocab;
        m->targets[r] = x.v[1] % (uint32_t)shape.vocab;
        m->weights[r] = r % 5 == 3 ? 0 : 0.5 + philox_unit(x.v[2]); /* masks too */
    }
}

static void model_close(struct model *m)
{
    backend_cpu.destroy(m->be);
    graph_destroy(m->g);
    free(m->params);
    free(m->grads);
    free(m->weights);
    free(m->losses);
    free(m->tokens);
    free(m->targets);
}

static double model_run(struct model *m, real *grads)
{
    struct exec x = {.batch = {m->tokens, m->targets, m->weights},
                     .params = m->params,
                     .grads = grads};
    backend_run(m->be, &x);
    backend_cpu.losses(m->be, m->losses);
    double sum = 0;
    for (int r = 0; r < m->g->rows; r++)
        sum += (double)m->losses[r] * (double)m->weights[r];
    return sum;
}

static double difference(struct model *m, size_t at)
{
    real kept = m->params[at];
    m->params[at] = kept + STEP;
    double up = model_run(m, NULL);
    m->params[at] = kept - STEP;
    double down = model_run(m, NULL);
    m->params[at] = kept;
    return (up - down) / (2 * STEP);
}

static void check_param(struct model *m, const struct param *p)
{
    double norm = 0, error = 0;
    for (size_t i = 0; i < param_count(p); i++)
        norm = fmax(norm, fabs((double)m->grads[p->offset + i]));
    for (uint64_t k = 0; k < PROBES; k++) {
        size_t i = philox(SEED, 79, k).v[0] % param_count(p);
        double want = difference(m, p->offset + i);
        error = fmax(error, fabs((double)m->grads[p->offset + i] - want));
    }
    if (!(norm > 0) || error > TOLERANCE * norm)
        fail_msg("%s: largest error %g of largest gradient %g", p->name, error, norm);
}

#define SMALL                                                                   \
    .layers = 2, .heads = 2, .width = 12, .ffn = 20, .context = 7, .vocab = 23,     \
    .norm_eps = 1e-5, .rope_theta = 100

static const struct shape CASES[] = {
    {SMALL, .bias = true, .tied = true},
    {SMALL, .bias = false, .tied = false},
    {SMALL, .positions = POSITIONS_ROPE, .bias = true, .tied = true},
    {SMALL, .positions = POSITIONS_ROPE, .norm = NORM_RMS, .kv_heads = 1},
    /* longer than one attention tile, more rows than one product tile */
    {.layers = 1, .heads = 2, .width = 8, .ffn = 8, .context = 71, .vocab = 11,
     .norm_eps = 1e-5, .bias = true, .tied = true},
};

static void gradients_equal_central_differences(void **state)
{
    (void)state;
    for (size_t c = 0; c < sizeof(CASES) / sizeof(CASES[0]); c++) {
        struct model m;
        model_open(&m, CASES[c], 2, 2);
        /* What was there before must not matter. */
        for (size_t i = 0; i < m.g->flat_count; i++)
            m.grads[i] = 1e6;
        model_run(&m, m.grads);
        for (int i = 0; i < m.g->params_count; i++)
            check_param(&m, &m.g->params[i]);
        model_close(&m);
    }
}

static void threads_do_not_change_a_bit(void **state)
{
    (void)state;
    struct model m[2];
    for (int i = 0; i < 2; i++) {
        model_open(&m[i], CASES[4], 3, i + 1);
        model_run(&m[i], m[i].grads);
    }
    assert_memory_equal(m[0].losses, m[1].losses, (size_t)m[0].g->rows * sizeof(real));
    assert_memory_equal(m[0].grads, m[1].grads, m[0].g->flat_count * sizeof(real));
    for (int i = 0; i < 2; i++)
        model_close(&m[i]);
}

static void evaluation_gives_the_losses_of_training(void **state)
{
    (void)state;
    struct model m;
    model_open(&m, CASES[0], 2, 1);
    double with = model_run(&m, m.grads);
    double without = model_run(&m, NULL);
    assert_true(with == without);
    model_close(&m);
}

static void shapes_that_cannot_work_are_named(void **state)
{
    (void)state;
    struct err err;
    struct shape s = {SMALL};
    s.heads = 5;
    assert_true(shape_check(&s, &err) < 0);
    assert_non_null(strstr(err.text, "width 12"));
    s = (struct shape){SMALL, .positions = POSITIONS_ROPE};
    s.heads = 4;
    assert_true(shape_check(&s, &err) < 0);
    assert_non_null(strstr(err.text, "rope"));
    s = (struct shape){SMALL, .kv_heads = 3};
    assert_true(shape_check(&s, &err) < 0);
    assert_non_null(strstr(err.text, "kv_heads"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes_that_cannot_work_are_named),
        cmocka_unit_test(gradients_equal_central_differences),
        cmocka_unit_test(threads_do_not_change_a_bit),
        cmocka_unit_test(evaluation_gives_the_losses_of_training),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
