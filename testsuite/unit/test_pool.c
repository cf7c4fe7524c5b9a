/* SPDX-License-Identifier: Apache-2.0
 *
 * How a job's allocation is shared out among its steps.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "stepd/pool.h"
#include "stepd/stepd.h"

#include <string.h>

/* bind.c tells users of bindings; nothing is bound here. */
void step_note(struct step *s, const char *fmt, ...)
{
    (void)s;
    (void)fmt;
    fail_msg("step_note");
}

struct world {
    Sl__Allocation alloc;
    Sl__AllocNode node[2], *nodes[2];
    Sl__GresAlloc gpu[2], *gpus[2][1];
    uint32_t index[2];
    uint32_t pus[8];
    struct pool *pool;
    struct arena arena;
    Sl__StepSpec spec;
    Sl__StepLayout *layout;
    struct err err;
};

/* Two nodes of four cores, 1000 MiB and two GPUs; threads: siblings are i and i + 4. */
static void world_init(struct world *w, bool threads)
{
    *w = (struct world){.index = {0, 1}};
    sl__allocation__init(&w->alloc);
    for (unsigned i = 0; i < 2; i++) {
        sl__alloc_node__init(&w->node[i]);
        sl__gres_alloc__init(&w->gpu[i]);
        w->gpu[i].name = (char *)"gpu";
        w->gpu[i].index = w->index;
        w->gpu[i].n_index = 2;
        w->gpus[i][0] = &w->gpu[i];
        w->node[i].name = (char *)(i ? "n2" : "n1");
        w->node[i].cpus = (char *)(threads ? "0-7" : "0-3");
        w->node[i].mem_mib = 1000;
        w->node[i].gres = w->gpus[i];
        w->node[i].n_gres = 1;
        w->nodes[i] = &w->node[i];
        for (unsigned k = 0; threads && k < 8; k++)
            w->pus[k] = k / 2 + k % 2 * 4;
        w->node[i].threads = threads ? 2 : 0;
        w->node[i].core_pus = threads ? w->pus : NULL;
        w->node[i].n_core_pus = threads ? 8 : 0;
    }
    w->alloc.nodes = w->nodes;
    w->alloc.n_nodes = 2;
    w->pool = pool_create(&w->alloc, 0);
    arena_init(&w->arena);
    sl__step_spec__init(&w->spec);
}

static void world_fini(struct world *w)
{
    pool_destroy(w->pool);
    arena_fini(&w->arena);
}

static int place(struct world *w, uint32_t step_id)
{
    return pool_place(w->pool, &w->spec, step_id, &w->arena, &w->layout, &w->err);
}

static void more_than_there_is_never_fits(void **state)
{
    struct world w;
    (void)state;
    world_init(&w, false);
    w.spec.ntasks = 9;
    assert_int_equal(place(&w, 0), SL_EBAD_CONFIG);
    assert_string_equal(w.err.text, "More processors requested than permitted");
    w.spec.ntasks = 1;
    w.spec.nodes_min = w.spec.nodes_max = 3;
    assert_int_equal(place(&w, 0), SL_EBAD_CONFIG);
    w.spec.nodes_min = w.spec.nodes_max = 0;
    w.spec.mem_per_node_mib = 1001;
    assert_int_equal(place(&w, 0), SL_EBAD_CONFIG);
    assert_string_equal(w.err.text, "Memory required by task is not available");
    w.spec.mem_per_node_mib = 0;
    w.spec.nodelist = (char *)"n3";
    assert_int_equal(place(&w, 0), SL_EBAD_CONFIG);
    world_fini(&w);
}

static void a_step_takes_all_of_its_nodes_and_gives_it_back(void **state)
{
    struct world w;
    (void)state;
    world_init(&w, false);
    w.spec.ntasks = 1;
    assert_int_equal(place(&w, 0), 0);
    assert_int_equal(w.layout->n_nodes, 1);
    assert_string_equal(w.layout->nodes[0]->cpus, "0-3");
    assert_int_equal(place(&w, 1), 0);
    assert_int_equal(w.layout->nodes[0]->alloc_index, 1);
    assert_int_equal(place(&w, 2), SL_EBUSY_NODES);
    assert_int_equal(pool_fits(w.pool, &w.spec, &w.arena, &w.err), 0);
    pool_release(w.pool, 0);
    assert_int_equal(place(&w, 2), 0);
    assert_int_equal(w.layout->nodes[0]->alloc_index, 0);
    world_fini(&w);
}

static void exact_steps_share_a_node_and_overlap_holds_nothing(void **state)
{
    struct world w;
    (void)state;
    world_init(&w, false);
    w.spec.ntasks = 1;
    w.spec.cpus_per_task = 2;
    w.spec.exact = true;
    assert_int_equal(place(&w, 0), 0);
    assert_string_equal(w.layout->nodes[0]->cpus, "0-1");
    assert_int_equal(place(&w, 1), 0);
    assert_string_equal(w.layout->nodes[0]->cpus, "2-3");
    assert_int_equal(w.layout->nodes[0]->alloc_index, 0);
    w.spec.overlap = true;
    w.spec.exact = false;
    w.spec.ntasks = 4;
    assert_int_equal(place(&w, 2), 0);
    assert_string_equal(w.layout->nodes[0]->cpus, "0-3");
    w.spec.overlap = false;
    w.spec.exact = true;
    w.spec.ntasks = 2;
    assert_int_equal(place(&w, 3), 0);
    assert_int_equal(w.layout->nodes[0]->alloc_index, 1);
    world_fini(&w);
}

static void cores_are_not_split_between_steps(void **state)
{
    struct world w;
    (void)state;
    world_init(&w, true);
    w.spec.ntasks = 1;
    w.spec.cpus_per_task = 3;
    w.spec.exact = true;
    assert_int_equal(place(&w, 0), 0);
    assert_string_equal(w.layout->nodes[0]->cpus, "0-1,4-5");
    w.spec.threads_per_core = 1; /* three cpus are three cores then */
    assert_int_equal(place(&w, 1), 0);
    assert_int_equal(w.layout->nodes[0]->alloc_index, 1);
    assert_string_equal(w.layout->nodes[0]->cpus, "0-2,4-6");
    world_fini(&w);
}

static void named_memory_and_gres_are_held_unnamed_are_shared(void **state)
{
    struct world w;
    Sl__GresReq req = SL__GRES_REQ__INIT, *reqs[] = {&req};
    (void)state;
    world_init(&w, false);
    w.spec.ntasks = 1;
    w.spec.exact = true;
    w.spec.nodelist = (char *)"n1";
    w.spec.nodes_max = 1;
    assert_int_equal(place(&w, 0), 0);
    assert_int_equal(w.layout->nodes[0]->mem_mib, 1000);
    assert_int_equal(w.layout->nodes[0]->gres[0]->n_index, 2);
    req.name = (char *)"gpu";
    req.count = 2;
    w.spec.gres = reqs;
    w.spec.n_gres = 1;
    w.spec.mem_per_node_mib = 600;
    assert_int_equal(place(&w, 1), 0);
    assert_int_equal(place(&w, 2), SL_EBUSY_NODES);
    pool_release(w.pool, 1);
    assert_int_equal(place(&w, 2), 0);
    req.count = 3;
    assert_int_equal(place(&w, 3), SL_EINVAL_GRES);
    world_fini(&w);
}

static void gres_of_the_whole_step_are_dealt_over_its_nodes(void **state)
{
    struct world w;
    Sl__GresReq req = SL__GRES_REQ__INIT, *reqs[] = {&req};
    (void)state;
    world_init(&w, false);
    req.name = (char *)"gpu";
    req.count = 3;
    req.per = SL__GRES_PER__GRES_PER_JOB;
    w.spec.gres = reqs;
    w.spec.n_gres = 1;
    w.spec.ntasks = 2;
    w.spec.nodes_min = w.spec.nodes_max = 2;
    assert_int_equal(place(&w, 0), 0);
    assert_int_equal(w.layout->nodes[0]->gres[0]->n_index, 2);
    assert_int_equal(w.layout->nodes[1]->gres[0]->n_index, 1);
    world_fini(&w);
}

static void a_lost_node_takes_no_more_steps(void **state)
{
    struct world w;
    (void)state;
    world_init(&w, false);
    pool_node_lost(w.pool, 0);
    w.spec.ntasks = 4;
    assert_int_equal(place(&w, 0), 0);
    assert_int_equal(w.layout->nodes[0]->alloc_index, 1);
    w.spec.ntasks = 5;
    assert_int_equal(place(&w, 1), SL_EBAD_CONFIG);
    world_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(more_than_there_is_never_fits),
        cmocka_unit_test(a_step_takes_all_of_its_nodes_and_gives_it_back),
        cmocka_unit_test(exact_steps_share_a_node_and_overlap_holds_nothing),
        cmocka_unit_test(cores_are_not_split_between_steps),
        cmocka_unit_test(named_memory_and_gres_are_held_unnamed_are_shared),
        cmocka_unit_test(gres_of_the_whole_step_are_dealt_over_its_nodes),
        cmocka_unit_test(a_lost_node_takes_no_more_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
