/* SPDX-License-Identifier: Apache-2.0
 *
 * Whole GPUs and shares of them: what fits, where it goes under each rule, and that it all
 * comes free again. core_check follows each step.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "place_scene.h"

static uint32_t run(struct scene *s, uint32_t cpus, const char *gres, uint32_t count)
{
    Sl__JobSpec spec = SL__JOB_SPEC__INIT;
    Sl__GresReq g = SL__GRES_REQ__INIT, *list[1] = {&g};
    char name[64] = "", *type = strchr(gres, ':');
    snprintf(name, sizeof name, "%.*s", (int)strcspn(gres, ":"), gres);
    spec.type = SL__JOB_TYPE__JOB_TYPE_BATCH;
    spec.name = (char *)"job";
    spec.ntasks = 1;
    spec.cpus_per_task = cpus;
    spec.mem_per_node_mib = 1;
    g.name = name;
    g.type = type ? type + 1 : (char *)"";
    g.count = count;
    spec.gres = list;
    spec.n_gres = count ? 1 : 0;
    return scene_submit(s, &spec);
}

static const char *used(struct scene *s, const char *node)
{
    struct node_view v;
    long i = core_node_find(s->c, node);
    assert_true(i >= 0 && core_node_view(s->c, (uint32_t)i, &v));
    return v.gres_used;
}

static void begin(struct scene *s, enum gpu_placement how, unsigned nodes, uint32_t gpus,
                  uint32_t shards)
{
    struct core_policy p = scene_policy;
    p.gpu_placement = how;
    scene_begin(s, &p);
    for (unsigned i = 1; i <= nodes; i++) {
        char name[8];
        snprintf(name, sizeof name, "g%u", i);
        scene_node(s, &(struct scene_node){.name = name, .cores = 16, .numas = 2, .gpus = gpus,
                                           .gpu_type = "a100", .shards = shards});
    }
}

static void shares_of_a_gpu_are_counted(void **state)
{
    struct scene s;
    begin(&s, GPU_FGD, 1, 2, 6); /* three on each */
    uint32_t a = run(&s, 1, "shard", 2);
    assert_string_equal(scene_where(&s, a), "g1");
    assert_string_equal(used(&s, "g1"), "gpu:a100:0,shard:2");
    uint32_t whole = run(&s, 1, "gpu", 1);
    assert_string_equal(scene_where(&s, whole), "g1");
    /* one share is left, on the GPU in use */
    uint32_t b = run(&s, 1, "shard", 2), c = run(&s, 1, "shard", 1);
    assert_string_equal(scene_where(&s, b), "");
    assert_string_equal(scene_where(&s, c), "g1");
    struct job_view v;
    assert_true(core_job_view(s.c, a, true, &v));
    assert_non_null(strstr(v.tres_alloc, "gres/shard=2"));
    scene_finish(&s, whole);
    assert_string_equal(scene_where(&s, b), "g1");
    scene_finish(&s, a);
    scene_finish(&s, b);
    scene_finish(&s, c);
    assert_string_equal(used(&s, "g1"), "gpu:a100:0,shard:0");
    assert_string_equal(scene_where(&s, run(&s, 1, "gpu", 2)), "g1");
    scene_end(&s);
}

static void a_job_of_a_share_sees_its_gpu_alone(void **state)
{
    struct scene s;
    struct arena a;
    begin(&s, GPU_FGD, 1, 4, 8);
    run(&s, 1, "gpu", 1);
    uint32_t id = run(&s, 1, "shard", 1);
    arena_init(&a);
    Sl__Allocation *m = core_job_alloc(s.c, id, &a);
    assert_non_null(m);
    assert_int_equal(m->nodes[0]->n_gres, 1);
    assert_string_equal(m->nodes[0]->gres[0]->name, "gpu");
    assert_int_equal(m->nodes[0]->gres[0]->n_index, 1);
    assert_int_not_equal(m->nodes[0]->gres[0]->index[0], 0); /* another job's */
    arena_fini(&a);
    scene_end(&s);
}

static void more_than_one_gpu_has_is_refused(void **state)
{
    struct scene s;
    begin(&s, GPU_FGD, 1, 2, 8);
    Sl__JobSpec spec = SL__JOB_SPEC__INIT;
    Sl__GresReq g = SL__GRES_REQ__INIT, *list[1] = {&g};
    spec.type = SL__JOB_TYPE__JOB_TYPE_BATCH;
    spec.name = (char *)"job";
    spec.ntasks = 1;
    spec.mem_per_node_mib = 1;
    g.name = (char *)"shard";
    g.count = 5;
    spec.gres = list;
    spec.n_gres = 1;
    struct command cmd = {.kind = CMD_SUBMIT, .actor = {.uid = 1000, .user = "u"},
                          .submit = {.spec = &spec, .user = "u"}};
    assert_int_equal(core_apply(s.c, &cmd, s.now, &s.b, &s.err), SL_EBAD_CONFIG);
    g.count = 1;
    g.per = SL__GRES_PER__GRES_PER_JOB;
    assert_int_equal(core_apply(s.c, &cmd, s.now, &s.b, &s.err), SL_EINVAL_GRES);
    scene_end(&s);
}

static void shares_survive_a_restart(void **state)
{
    struct scene s, t;
    struct buf rec;
    begin(&s, GPU_FGD, 1, 2, 8);
    uint32_t a = run(&s, 1, "shard", 3);
    begin(&t, GPU_FGD, 0, 0, 0);
    buf_init(&rec);
    struct core *fresh = core_create(&scene_policy, &s.err);
    static const struct core_partition parts[] = {
        {.name = "main", .nodes = "ALL", .is_default = true, .time_max = SPAN_INFINITE}};
    assert_int_equal(core_configure(fresh, &scene_policy, parts, 1, NULL, 0, true, s.now, &s.err), 0);
    core_meta_save(s.c, &rec);
    assert_int_equal(core_meta_load(fresh, rec.data, rec.len, &s.err), 0);
    buf_clear(&rec);
    assert_true(core_node_save(s.c, 0, &rec));
    assert_int_equal(core_node_load(fresh, rec.data, rec.len, &s.err), 0);
    buf_clear(&rec);
    assert_true(core_job_save(s.c, a, &rec));
    if (core_job_load(fresh, rec.data, rec.len, &s.err) < 0)
        fail_msg("%s", s.err.text);
    assert_int_equal(core_load_end(fresh, s.now, &s.err), 0);
    if (core_check(fresh, &s.err) < 0)
        fail_msg("%s", s.err.text);
    buf_fini(&rec);
    core_destroy(t.c);
    t.c = fresh;
    assert_string_equal(used(&t, "g1"), "gpu:a100:0,shard:3");
    scene_finish(&t, a);
    assert_string_equal(used(&t, "g1"), "gpu:a100:0,shard:0");
    scene_end(&t);
    scene_end(&s);
}

/* Jobs of two GPUs are most of the workload. Two nodes of two GPUs; one has a share taken:
 * a job of one GPU does least harm there, though the other node fits as well. */
static void fgd_keeps_pairs_for_jobs_of_two(void **state)
{
    struct scene s;
    begin(&s, GPU_FGD, 2, 2, 8);
    for (int i = 0; i < 8; i++) {
        uint32_t id = run(&s, 1, "gpu", 2);
        scene_finish(&s, id);
    }
    assert_string_equal(scene_where(&s, run(&s, 8, "shard", 1)), "g1");
    assert_string_equal(scene_where(&s, run(&s, 1, "gpu", 1)), "g1");
    assert_string_equal(scene_where(&s, run(&s, 1, "gpu", 2)), "g2");
    scene_end(&s);
}

/* Shares of half a GPU are what comes: 3/8 more on the GPU that has 5/8 leaves a quarter
 * that nobody can use; on a fresh one it leaves 5/8, of which one more half fits. */
static void fgd_chooses_the_gpu_too(void **state)
{
    struct scene s;
    begin(&s, GPU_FGD, 1, 2, 16);
    for (int i = 0; i < 50; i++) {
        uint32_t id = run(&s, 1, "shard", 4);
        scene_finish(&s, id);
    }
    uint32_t first = run(&s, 1, "shard", 2);
    run(&s, 1, "shard", 3); /* 2 + 3 would leave 3: no half; 8 - 3 leaves 5: a half */
    assert_string_equal(scene_where(&s, first), "g1");
    assert_string_equal(used(&s, "g1"), "gpu:a100:0,shard:5");
    /* so that both GPUs still have a half */
    assert_string_equal(scene_where(&s, run(&s, 1, "shard", 4)), "g1");
    assert_string_equal(scene_where(&s, run(&s, 1, "shard", 4)), "g1");
    scene_end(&s);
}

static void bestfit_fills_the_node_in_use(void **state)
{
    struct scene s;
    begin(&s, GPU_BESTFIT, 3, 4, 0);
    run(&s, 4, "gpu", 1);
    assert_string_equal(scene_where(&s, run(&s, 4, "gpu", 2)), "g1");
    assert_string_equal(scene_where(&s, run(&s, 4, "gpu", 2)), "g2");
    assert_string_equal(scene_where(&s, run(&s, 4, "gpu", 1)), "g1");
    scene_end(&s);
}

static void packing_prefers_gpus_in_use(void **state)
{
    struct scene s;
    begin(&s, GPU_PACKING, 2, 2, 8);
    run(&s, 8, "shard", 1);
    assert_string_equal(scene_where(&s, run(&s, 1, "shard", 3)), "g1");
    assert_string_equal(scene_where(&s, run(&s, 1, "gpu", 1)), "g1");
    assert_string_equal(scene_where(&s, run(&s, 1, "gpu", 1)), "g2");
    scene_end(&s);
}

static void random_is_the_same_for_the_same_seed(void **state)
{
    struct scene s, t;
    bool differ = false;
    begin(&s, GPU_RANDOM, 8, 4, 32);
    begin(&t, GPU_RANDOM, 8, 4, 32);
    const char *first = NULL;
    char was[16] = "";
    for (int i = 0; i < 12; i++) {
        uint32_t a = run(&s, 1, "shard", 3), b = run(&t, 1, "shard", 3);
        char x[16];
        snprintf(x, sizeof x, "%s", scene_where(&s, a));
        first = scene_where(&t, b);
        assert_string_equal(x, first);
        differ = differ || (was[0] && strcmp(was, x) != 0);
        snprintf(was, sizeof was, "%s", x);
    }
    assert_true(differ);
    scene_end(&s);
    scene_end(&t);
}

static void types_are_told_apart(void **state)
{
    struct scene s;
    scene_begin(&s, &scene_policy);
    scene_node(&s, &(struct scene_node){.name = "a", .cores = 8, .gpus = 2, .gpu_type = "a100"});
    scene_node(&s, &(struct scene_node){.name = "h", .cores = 8, .gpus = 2, .gpu_type = "h100"});
    assert_string_equal(scene_where(&s, run(&s, 1, "gpu:h100", 2)), "h");
    assert_string_equal(scene_where(&s, run(&s, 1, "gpu:h100", 1)), "");
    assert_string_equal(scene_where(&s, run(&s, 1, "gpu", 1)), "a");
    scene_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_of_a_gpu_are_counted),
        cmocka_unit_test(a_job_of_a_share_sees_its_gpu_alone),
        cmocka_unit_test(more_than_one_gpu_has_is_refused),
        cmocka_unit_test(shares_survive_a_restart),
        cmocka_unit_test(fgd_keeps_pairs_for_jobs_of_two),
        cmocka_unit_test(fgd_chooses_the_gpu_too),
        cmocka_unit_test(bestfit_fills_the_node_in_use),
        cmocka_unit_test(packing_prefers_gpus_in_use),
        cmocka_unit_test(random_is_the_same_for_the_same_seed),
        cmocka_unit_test(types_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
