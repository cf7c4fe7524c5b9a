/* SPDX-License-Identifier: Apache-2.0
 *
 * Advance reservations: whom they let in, whom they keep out, when they begin and end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sched_scene.h"

#include <stdio.h>
#include <string.h>

#define ANY JOB_REASON_COUNT
#define MINUTE (60 * SEC)

/* pairs: "Key=value Key=value" */
static int resv(struct scene *s, enum command_kind kind, const char *name, const char *pairs)
{
    char text[512], *save = NULL;
    const char *key[16], *value[16];
    struct command cmd = {.kind = kind, .actor = {.admin = true},
                          .resv = {.name = name, .key = key, .value = value}};
    snprintf(text, sizeof text, "%s", pairs);
    for (char *p = strtok_r(text, " ", &save); p; p = strtok_r(NULL, " ", &save)) {
        key[cmd.resv.count] = p;
        p[strcspn(p, "=")] = '\0';
        value[cmd.resv.count++] = p + strlen(p) + 1;
    }
    return scene_apply(s, &cmd);
}

static void make(struct scene *s, const char *name, const char *pairs)
{
    if (resv(s, CMD_RESV_CREATE, name, pairs) < 0)
        fail_msg("%s", s->err.text);
}

static bool find(struct scene *s, const char *name, struct resv_view *v)
{
    for (uint32_t i = 0; core_resv_view(s->c, i, v); i++)
        if (strcmp(v->name, name) == 0)
            return true;
    return false;
}

static uint32_t job(struct scene *s, uint32_t uid, const char *reservation, int minutes)
{
    Sl__JobSpec spec;
    spec_begin(&spec);
    spec.reservation = (char *)reservation;
    spec.time_limit_usec = minutes * MINUTE;
    if (scene_submit_as(s, uid, &spec) < 0)
        fail_msg("%s", s->err.text);
    return s->b.job_id;
}

static void what_makes_no_sense_is_refused(void **unused)
{
    static const struct { const char *pairs; int code; const char *word; } cases[] = {
        {"Duration=10 Nodes=n1 Users=u1000", SL_EINVAL_TIME, "StartTime"},
        {"StartTime=now Nodes=n1 Users=u1000", SL_EINVAL_TIME, "Duration"},
        {"StartTime=now Duration=10 Users=u1000", SL_EINVAL_NODE, "NodeCnt"},
        {"StartTime=now Duration=10 Nodes=n1", SL_EINVAL_FIELD, "Users"},
        {"StartTime=now Duration=10 Nodes=n9 Users=u", SL_EINVAL_NODE, "n9"},
        {"StartTime=now Duration=10 NodeCnt=4 Users=u", SL_EBUSY_NODES, "3 of 4"},
        {"StartTime=now Duration=0 Nodes=n1 Users=u", SL_EINVAL_TIME, "Duration"},
        {"StartTime=soon Duration=1 Nodes=n1 Users=u", SL_EINVAL_TIME, "StartTime"},
        {"StartTime=2001-01-01 Duration=1 Nodes=n1 Users=u", SL_EINVAL_TIME, "past"},
        {"StartTime=now+1hour EndTime=now Nodes=n1 Users=u", SL_EINVAL_TIME, "after"},
        {"StartTime=now Duration=1 Nodes=n1 Users=a,-b", SL_EINVAL_FIELD, "Users"},
        {"StartTime=now Duration=1 Nodes=n1 Users=u Flags=BLUE", SL_ENOT_BUILT, "BLUE"},
        {"StartTime=now Duration=1 Nodes=n1 Users=u Flags=DAILY,WEEKLY", SL_EINVAL_FIELD, "only one"},
        {"StartTime=now Duration=UNLIMITED Nodes=n1 Users=u Flags=DAILY", SL_EINVAL_TIME, "recurs"},
        {"StartTime=now Duration=1 Nodes=n1 Users=u CoreCnt=2", SL_ENOT_BUILT, "CoreCnt"},
        {"StartTime=now Duration=1 Nodes=n1 Users=u Licenses=a", SL_ENOT_BUILT, "Licenses"},
        {"StartTime=now Duration=1 Nodes=n1 Users=u Color=red", SL_EINVAL_FIELD, "Color"},
        {"StartTime=now Duration=1 Nodes=n1 Users=u PartitionName=x", SL_EINVAL_PARTITION, "x"},
        {"StartTime=now Duration=1 Nodes=n1 Users=u Flags=PART_NODES", SL_EINVAL_FIELD, "PART_NODES"}};
    struct scene s;
    struct resv_view v;
    (void)unused;
    scene_begin(&s, 3);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int rc = resv(&s, CMD_RESV_CREATE, "r", cases[i].pairs);
        if (rc != cases[i].code || !strstr(s.err.text, cases[i].word))
            fail_msg("%s: %d %s", cases[i].pairs, rc, s.err.text);
        assert_false(core_resv_view(s.c, 0, &v));
    }
    make(&s, "r", "StartTime=now Duration=10 Nodes=n1 Users=u1000");
    assert_int_equal(resv(&s, CMD_RESV_CREATE, "R", "StartTime=now Duration=1 Nodes=n2 Users=u"), SL_EINVAL_FIELD);
    assert_int_equal(resv(&s, CMD_RESV_CREATE, "q", "StartTime=now Duration=1 Nodes=n[1-2] Users=u"), SL_EBUSY_NODES);
    assert_int_equal(resv(&s, CMD_RESV_DELETE, "none", ""), SL_EINVAL_FIELD);
    struct command cmd = {.kind = CMD_RESV_DELETE, .actor = {.uid = 1000}, .resv = {.name = "r"}};
    assert_int_equal(scene_apply(&s, &cmd), SL_EACCESS);
    make(&s, "", "StartTime=now Duration=1 Nodes=n2 Users=alice,bob");
    assert_string_equal(s.b.resv_name, "alice_2");
    Sl__JobSpec spec;
    spec_begin(&spec);
    spec.reservation = (char *)"none";
    scene_refuses(&s, &spec, SL_EINVAL_FIELD, "none");
    spec.reservation = (char *)"alice_2";
    scene_refuses(&s, &spec, SL_EACCESS, "alice_2");
    scene_end(&s);
}

static void others_never_run_into_it_and_its_users_only_inside(void **unused)
{
    struct scene s;
    struct resv_view v;
    struct node_view n;
    (void)unused;
    scene_begin(&s, 1);
    make(&s, "r", "StartTime=now+30minutes Duration=60 Nodes=n1 Users=u1000");
    uint32_t fits = job(&s, 1001, "", 30), over = job(&s, 1001, "", 31), in = job(&s, 1000, "r", 240);
    scene_expect(&s, fits, JOB_RUNNING, ANY);
    scene_expect(&s, over, JOB_PENDING, ANY);
    scene_expect(&s, in, JOB_PENDING, REASON_RESERVATION);
    scene_done(&s, fits, 0);
    scene_restart(&s);
    scene_node(&s, "n1", "");
    assert_true(find(&s, "r", &v) && !v.active);
    scene_tick(&s, T0 + 30 * MINUTE);
    assert_true(find(&s, "r", &v) && v.active);
    scene_expect(&s, in, JOB_RUNNING, ANY);
    scene_expect(&s, over, JOB_PENDING, ANY);
    assert_true(core_node_view(s.c, 0, &n) && n.flags & NODEF_RESERVED);
    assert_int_equal(resv(&s, CMD_RESV_DELETE, "r", ""), SL_EBUSY_NODES);
    scene_restart(&s);
    scene_node(&s, "n1", "");
    scene_tick(&s, T0 + 90 * MINUTE - 1);
    scene_expect(&s, in, JOB_RUNNING, ANY);
    scene_tick(&s, T0 + 90 * MINUTE); /* it ends, and its jobs with it */
    scene_expect(&s, in, JOB_TIMEOUT, ANY);
    assert_false(find(&s, "r", &v));
    scene_expect(&s, over, JOB_RUNNING, ANY);
    assert_true(core_node_view(s.c, 0, &n) && !(n.flags & NODEF_RESERVED));
    scene_end(&s);
}

static void who_may_is_listed_and_who_may_not_with_a_minus(void **unused)
{
    static const struct { const char *users; uint32_t uid; bool in; } cases[] = {
        {"Users=u1000,u1001", 1001, true}, {"Users=u1000", 1001, false},
        {"Users=-u1001", 1001, false}, {"Users=-u1001", 1000, true},
        {"Accounts=acc", 1000, false}, {"Accounts=-acc", 1000, true}};
    (void)unused;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct scene s;
        char pairs[128];
        Sl__JobSpec spec;
        scene_begin(&s, 1);
        snprintf(pairs, sizeof pairs, "StartTime=now Duration=10 Nodes=n1 %s", cases[i].users);
        make(&s, "r", pairs);
        spec_begin(&spec);
        spec.reservation = (char *)"r";
        assert_int_equal(scene_submit_as(&s, cases[i].uid, &spec), cases[i].in ? 0 : SL_EACCESS);
        scene_end(&s);
    }
}

static void a_flexible_one_lets_its_jobs_out_and_run_on(void **unused)
{
    struct scene s;
    (void)unused;
    scene_begin(&s, 2);
    make(&s, "r", "StartTime=now+10minutes Duration=10 Nodes=n1 Users=u1000 Flags=FLEX");
    uint32_t early = job(&s, 1000, "r", 60);
    scene_expect(&s, early, JOB_RUNNING, ANY);
    scene_tick(&s, T0 + 20 * MINUTE);
    scene_expect(&s, early, JOB_RUNNING, ANY);
    scene_end(&s);
}

static void maintenance_is_laid_over_others_and_shown(void **unused)
{
    struct scene s;
    struct node_view n;
    (void)unused;
    scene_begin(&s, 2);
    uint32_t before = job(&s, 1000, "", 60);
    assert_int_equal(resv(&s, CMD_RESV_CREATE, "m", "StartTime=now+30minutes Duration=60 Nodes=ALL Users=root Flags=MAINT"),
                     SL_EBUSY_NODES);
    make(&s, "r", "StartTime=now Duration=120 Nodes=n2 Users=u1000");
    make(&s, "m", "StartTime=now+30minutes Duration=60 Nodes=ALL Users=root Flags=MAINT,IGNORE_JOBS");
    scene_expect(&s, before, JOB_RUNNING, ANY);
    uint32_t in = job(&s, 1000, "r", 31);
    scene_expect(&s, in, JOB_PENDING, ANY); /* it would run into the maintenance */
    scene_tick(&s, T0 + 30 * MINUTE);
    assert_true(core_node_view(s.c, 1, &n) && n.flags & NODEF_MAINT);
    scene_tick(&s, T0 + 90 * MINUTE);
    scene_expect(&s, in, JOB_RUNNING, ANY);
    scene_end(&s);
}

static void what_recurs_comes_again_and_what_is_over_holds_its_jobs(void **unused)
{
    struct scene s;
    struct resv_view v;
    (void)unused;
    scene_begin(&s, 1);
    make(&s, "d", "StartTime=now Duration=60 Nodes=n1 Users=u1000 Flags=DAILY");
    scene_tick(&s, T0 + 60 * MINUTE);
    assert_true(find(&s, "d", &v));
    assert_int_equal((v.start - T0) / SEC, 24 * 3600);
    uint32_t again = job(&s, 1000, "d", 10);
    scene_expect(&s, again, JOB_PENDING, REASON_RESERVATION);
    scene_tick(&s, T0 + 24 * 60 * MINUTE);
    scene_expect(&s, again, JOB_RUNNING, ANY);
    scene_done(&s, again, 0);
    uint32_t late = job(&s, 1000, "d", 10);
    scene_op(&s, CMD_CANCEL, late);
    scene_tick(&s, s.now + 60 * MINUTE);
    late = job(&s, 1000, "d", 10);
    assert_int_equal(resv(&s, CMD_RESV_DELETE, "d", ""), 0);
    scene_expect(&s, late, JOB_PENDING, REASON_HELD_USER);
    assert_true(scene_job(&s, late).flags & JOBF_RESV_DEL_HOLD);
    scene_restart(&s);
    scene_node(&s, "n1", "");
    scene_expect(&s, late, JOB_PENDING, REASON_HELD_USER);
    scene_op(&s, CMD_RELEASE, late);
    scene_expect(&s, late, JOB_RUNNING, ANY);
    scene_end(&s);
}

static void an_idle_one_goes_when_asked_to(void **unused)
{
    struct scene s;
    struct resv_view v;
    (void)unused;
    scene_begin(&s, 1);
    make(&s, "p", "StartTime=now Duration=60 Nodes=n1 Users=u1000 Flags=PURGE_COMP=10");
    uint32_t a = job(&s, 1000, "p", 30);
    scene_tick(&s, T0 + 20 * MINUTE);
    assert_true(find(&s, "p", &v));
    scene_done(&s, a, 0);
    scene_tick(&s, T0 + 29 * MINUTE);
    assert_true(find(&s, "p", &v));
    scene_tick(&s, T0 + 30 * MINUTE);
    assert_false(find(&s, "p", &v));
    scene_end(&s);
}

static void a_longer_one_lets_its_jobs_run_longer(void **unused)
{
    struct scene s;
    (void)unused;
    scene_begin(&s, 2);
    make(&s, "r", "StartTime=now Duration=10 NodeCnt=1 Users=u1000");
    uint32_t a = job(&s, 1000, "r", 60);
    assert_string_equal(scene_job(&s, a).nodelist, "n1");
    assert_int_equal(resv(&s, CMD_RESV_UPDATE, "r", "Duration=20 Users=u1001"), 0);
    scene_tick(&s, T0 + 10 * MINUTE);
    scene_expect(&s, a, JOB_RUNNING, ANY);
    scene_tick(&s, T0 + 20 * MINUTE);
    scene_expect(&s, a, JOB_TIMEOUT, ANY);
    scene_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_makes_no_sense_is_refused),
        cmocka_unit_test(others_never_run_into_it_and_its_users_only_inside),
        cmocka_unit_test(who_may_is_listed_and_who_may_not_with_a_minus),
        cmocka_unit_test(a_flexible_one_lets_its_jobs_out_and_run_on),
        cmocka_unit_test(maintenance_is_laid_over_others_and_shown),
        cmocka_unit_test(what_recurs_comes_again_and_what_is_over_holds_its_jobs),
        cmocka_unit_test(an_idle_one_goes_when_asked_to),
        cmocka_unit_test(a_longer_one_lets_its_jobs_run_longer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
