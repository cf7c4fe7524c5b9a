/* SPDX-License-Identifier: Apache-2.0
 *
 * What is said about jobs: all that holds one back, when it starts and by what change it would
 * start sooner, which a copy of the core then really does; why one started just then.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sched_scene.h"

#include "sched/explain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANY JOB_REASON_COUNT
#define MIN (60 * SEC)
#define COUNT(a) (sizeof(a) / sizeof *(a))

static const struct core_partition parts[] = {
    {.name = "main", .nodes = "n[1-4]", .is_default = true, .time_max = SPAN_INFINITE},
    {.name = "other", .nodes = "n[5-8]", .time_max = 600 * MIN}};

struct told {
    struct explanation e;
    struct arena a;
};

static void begin(struct scene *s, unsigned nodes, struct told *t)
{
    *s = (struct scene){.policy = scene_policy, .parts = parts, .parts_count = 2};
    s->policy.licenses = "tool:3";
    s->policy.backfill_depth = 1000;
    scene_begin_with(s, nodes);
    arena_init(&t->a);
}

static void end(struct scene *s, struct told *t)
{
    scene_end(s);
    arena_fini(&t->a);
}

static uint32_t submit(struct scene *s, uint32_t nodes, uint32_t cpus, int64_t minutes)
{
    Sl__JobSpec spec;
    spec_begin(&spec);
    spec.nodes_min = spec.nodes_max = nodes;
    spec.ntasks = nodes ? nodes : 1;
    spec.cpus_per_task = cpus;
    spec.time_limit_usec = minutes * MIN;
    return scene_submit(s, &spec);
}

/* What is said of the job is about it as it is: asking changes nothing. */
static void ask(struct scene *s, uint32_t job, struct told *t)
{
    struct buf before, after;
    struct err broken;
    buf_init(&before);
    buf_init(&after);
    assert_true(core_job_save(s->c, job, &before));
    assert_true(core_explain(s->c, job, EXPLAIN_FULL, s->now, &t->a, &t->e));
    if (core_check(s->c, &broken) < 0)
        fail_msg("after an explanation: %s", broken.text);
    assert_true(core_job_save(s->c, job, &after));
    assert_int_equal(before.len, after.len);
    assert_memory_equal(before.data, after.data, before.len);
    buf_fini(&before);
    buf_fini(&after);
}

static int64_t number(const struct told *t, enum explain_code code, const char *key)
{
    const struct explain_item *it = explanation_find(&t->e, code);
    if (!it || !explain_get(it, key)) {
        struct buf b;
        buf_init(&b);
        for (uint32_t i = 0; i < t->e.count; i++)
            explain_put(&b, &t->e.item[i]);
        fail_msg("nothing is said of %s %s, but:\n%s", explain_name(code), key, buf_str(&b));
    }
    return explain_get(it, key)->n;
}

static bool says(const struct told *t, enum explain_code code)
{
    return explanation_find(&t->e, code) != NULL;
}

static void words(const struct told *t, enum explain_code code, const char *wanted)
{
    const struct explain_item *it = explanation_find(&t->e, code);
    struct buf b;
    buf_init(&b);
    assert_non_null(it);
    explain_words(it, &b);
    assert_string_equal(buf_str(&b), wanted);
    buf_fini(&b);
}

/* ---- the table ------------------------------------------------------------------------------ */

static void every_item_goes_over_a_line_and_into_words(void **unused)
{
    struct arena a;
    struct buf line, again, text;
    (void)unused;
    arena_init(&a);
    buf_init(&line);
    buf_init(&again);
    buf_init(&text);
    for (int code = EX_NONE + 1; code < EX_CODE_COUNT; code++) {
        for (int filled = 0; filled < 2; filled++) {
            struct explain_item it = {.code = (enum explain_code)code}, back;
            struct explain_key key;
            for (unsigned i = 0; filled && explain_key(it.code, i, &key); i++) {
                assert_true(i < EXPLAIN_VALUES_MAX);
                assert_non_null(strchr("ntdmpsc", key.kind));
                it.value[i] = (struct explain_value){.n = key.kind == 's' ? 0 : 2, .s = key.kind == 's' ? "a\tb\n" : NULL};
            }
            buf_clear(&line);
            buf_clear(&again);
            buf_clear(&text);
            explain_put(&line, &it);
            const char *p = buf_str(&line);
            assert_int_equal(explain_read(&p, &a, &back), 1);
            explain_put(&again, &back);
            assert_string_equal(buf_str(&line), buf_str(&again));
            assert_int_equal(explain_read(&p, &a, &back), 0);
            explain_words(&back, &text);
            assert_true(text.len > 0);
            assert_null(strpbrk(buf_str(&text), "{}[]\n\t"));
        }
    }
    buf_fini(&line);
    buf_fini(&again);
    buf_fini(&text);
    arena_fini(&a);
}

static void lines_that_are_not_understood_are_passed_over(void **unused)
{
    struct arena a;
    struct explain_item it;
    const char *p = "no-such-code\t1\nbegin\nbegin\tsoon\n\n\tx\nbegin\t5\t6\nlast";
    (void)unused;
    arena_init(&a);
    assert_int_equal(explain_read(&p, &a, &it), 1);
    assert_int_equal(it.code, EX_BEGIN);
    assert_int_equal(it.value[0].n, 5);
    assert_int_equal(explain_read(&p, &a, &it), 0);
    arena_fini(&a);
}

/* ---- what holds a job -------------------------------------------------------------------------- */

static void missing_nodes_are_counted(void **unused)
{
    struct scene s;
    struct told t;
    Sl__JobSpec spec;
    (void)unused;
    begin(&s, 4, &t);
    scene_node(&s, "n1", "a100");
    scene_node(&s, "n2", "a100");
    scene_node(&s, "n3", "a100");
    spec_begin(&spec);
    spec.constraints = (char *)"a100";
    spec.nodes_min = spec.nodes_max = 2;
    spec.ntasks = 2;
    spec.cpus_per_task = 4;
    spec.time_limit_usec = 60 * MIN;
    uint32_t first = scene_submit(&s, &spec), waits = scene_submit(&s, &spec);
    scene_expect(&s, first, JOB_RUNNING, ANY);
    scene_expect(&s, waits, JOB_PENDING, REASON_RESOURCES);
    ask(&s, waits, &t);
    words(&t, EX_NODES, "waits for 1 more node with a100 in partition main: it asks for 2, and 1 of 3 are free");
    words(&t, EX_SHORT, "2 nodes of partition main would do but for CPUs: it asks for 4 on a node, "
                        "and 0 is the most that one of them has free");
    assert_int_equal(number(&t, EX_START_LIMITS, "time"), T0 + 60 * MIN);
    assert_false(says(&t, EX_AHEAD));
    ask(&s, first, &t);
    assert_true(says(&t, EX_WHY_FREE));
    assert_true(says(&t, EX_BY_FIT));
    end(&s, &t);
}

static void each_gate_is_told_at_once(void **unused)
{
    struct scene s;
    struct told t;
    Sl__JobSpec spec;
    (void)unused;
    begin(&s, 4, &t);
    uint32_t runs = submit(&s, 4, 4, 30);
    spec_begin(&spec);
    char after[32];
    snprintf(after, sizeof after, "afterok:%u", runs);
    spec.dependency = after;
    spec.begin_usec = T0 + 90 * MIN;
    spec.hold = true;
    spec.time_limit_usec = 10 * MIN;
    uint32_t job = scene_submit(&s, &spec);
    ask(&s, job, &t);
    assert_true(says(&t, EX_HELD_USER));
    assert_int_equal(number(&t, EX_DEPENDENCY, "job"), runs);
    assert_int_equal(number(&t, EX_DEPENDENCY, "until"), T0 + 30 * MIN);
    assert_int_equal(number(&t, EX_BEGIN, "time"), T0 + 90 * MIN);
    assert_int_equal(number(&t, EX_START_LIMITS, "time"), T0 + 90 * MIN);
    assert_int_equal(number(&t, EX_START_LIMITS, "after"), AFTER_RELEASE);
    scene_done(&s, runs, 1 << 8);
    ask(&s, job, &t);
    assert_int_equal(number(&t, EX_DEPENDENCY_NEVER, "job"), runs);
    assert_true(says(&t, EX_START_UNKNOWN));
    end(&s, &t);
}

static void an_array_says_its_limit(void **unused)
{
    struct scene s;
    struct told t;
    Sl__JobSpec spec;
    (void)unused;
    begin(&s, 4, &t);
    spec_begin(&spec);
    spec.array = (char *)"0-4%2";
    spec.time_limit_usec = 20 * MIN;
    uint32_t array = scene_submit(&s, &spec);
    ask(&s, array, &t);
    assert_int_equal(number(&t, EX_ARRAY_LIMIT, "running"), 2);
    assert_int_equal(number(&t, EX_ARRAY_LIMIT, "limit"), 2);
    assert_int_equal(number(&t, EX_START_LIMITS, "time"), T0 + 20 * MIN);
    end(&s, &t);
}

static void licenses_say_what_is_missing(void **unused)
{
    struct scene s;
    struct told t;
    Sl__JobSpec spec;
    (void)unused;
    begin(&s, 4, &t);
    spec_begin(&spec);
    spec.licenses = (char *)"tool:2";
    spec.time_limit_usec = 40 * MIN;
    scene_submit(&s, &spec);
    uint32_t waits = scene_submit(&s, &spec);
    scene_expect(&s, waits, JOB_PENDING, REASON_LICENSES);
    ask(&s, waits, &t);
    assert_int_equal(number(&t, EX_LICENSE, "missing"), 1);
    assert_int_equal(number(&t, EX_LICENSE, "free"), 1);
    assert_int_equal(number(&t, EX_LICENSE, "total"), 3);
    assert_int_equal(number(&t, EX_LICENSE, "until"), T0 + 40 * MIN);
    assert_int_equal(number(&t, EX_START_LIMITS, "time"), T0 + 40 * MIN);
    assert_int_equal(number(&t, EX_SOONER_LICENSES, "now"), 1);
    end(&s, &t);
}

static void partitions_and_nodes_that_can_not_be_used_are_named(void **unused)
{
    struct scene s;
    struct told t;
    Sl__JobSpec spec;
    (void)unused;
    begin(&s, 8, &t);
    struct command down = {.kind = CMD_PARTITION_UPDATE, .actor = {.admin = true},
                           .update = {.object = "other", .key = "State", .value = "DOWN"}};
    if (scene_apply(&s, &down) < 0)
        fail_msg("%s", s.err.text);
    struct command because = {.kind = CMD_NODE_UPDATE, .actor = {.admin = true},
                              .update = {.object = "n1", .key = "Reason", .value = "disk"}};
    struct command drain = {.kind = CMD_NODE_UPDATE, .actor = {.admin = true},
                            .update = {.object = "n1", .key = "State", .value = "DRAIN"}};
    assert_int_equal(scene_apply(&s, &because), 0);
    assert_int_equal(scene_apply(&s, &drain), 0);
    spec_begin(&spec);
    char *names[] = {(char *)"other"};
    spec.partitions = names;
    spec.n_partitions = 1;
    uint32_t job = scene_submit(&s, &spec);
    ask(&s, job, &t);
    words(&t, EX_PART_DOWN, "partition other is down");
    assert_int_equal(number(&t, EX_START_UNKNOWN, "after"), AFTER_PARTITION);
    assert_int_equal(number(&t, EX_SOONER_PART, "now"), 1);
    uint32_t wide = submit(&s, 4, 1, 10);
    ask(&s, wide, &t);
    assert_int_equal(number(&t, EX_NODES_FEW, "suitable"), 3);
    assert_int_equal(number(&t, EX_NODES_DOWN, "nodes"), 1);
    assert_int_equal(number(&t, EX_START_UNKNOWN, "after"), AFTER_NODES);
    assert_int_equal(number(&t, EX_SOONER_NODES, "nodes"), 3);
    end(&s, &t);
}

static void a_reservation_in_the_way_is_named(void **unused)
{
    struct scene s;
    struct told t;
    const char *keys[] = {"StartTime", "Duration", "Nodes", "Users"};
    char start[32];
    (void)unused;
    begin(&s, 4, &t);
    snprintf(start, sizeof start, "uts%lld", (long long)((T0 + 60 * MIN) / SEC));
    const char *values[] = {start, "60", "n[1-4]", "root"};
    struct command make = {.kind = CMD_RESV_CREATE, .actor = {.admin = true},
                           .resv = {.name = "maint", .key = keys, .value = values, .count = 4}};
    if (scene_apply(&s, &make) < 0)
        fail_msg("%s", s.err.text);
    uint32_t job = submit(&s, 1, 1, 120);
    scene_expect(&s, job, JOB_PENDING, ANY);
    ask(&s, job, &t);
    assert_int_equal(number(&t, EX_NODES_RESERVED, "nodes"), 4);
    assert_int_equal(number(&t, EX_NODES_RESERVED, "start"), T0 + 60 * MIN);
    assert_int_equal(number(&t, EX_SOONER_TIME, "now"), 1);
    assert_true(number(&t, EX_SOONER_TIME, "limit") <= 60 * MIN);
    assert_true(number(&t, EX_SOONER_TIME, "limit") >= 50 * MIN);
    end(&s, &t);
}

/* ---- when, and what would be sooner --------------------------------------------------------------- */

static void a_shorter_limit_fits_before_a_promise(void **unused)
{
    struct scene s;
    struct told t;
    (void)unused;
    begin(&s, 4, &t);
    uint32_t runs = submit(&s, 3, 4, 60), wide = submit(&s, 4, 4, 60), waits = submit(&s, 1, 4, 120);
    scene_expect(&s, runs, JOB_RUNNING, ANY);
    scene_expect(&s, wide, JOB_PENDING, REASON_RESOURCES);
    ask(&s, waits, &t);
    assert_int_equal(number(&t, EX_AHEAD, "jobs"), 1);
    assert_int_equal(number(&t, EX_AHEAD, "job"), wide);
    assert_int_equal(number(&t, EX_PROMISED, "job"), wide);
    assert_int_equal(number(&t, EX_PROMISED, "start"), T0 + 60 * MIN);
    assert_int_equal(number(&t, EX_START_LIMITS, "time"), T0 + 120 * MIN);
    assert_int_equal(number(&t, EX_SOONER_TIME, "now"), 1);
    assert_int_equal(number(&t, EX_SOONER_TIME, "before"), wide);
    assert_true(number(&t, EX_SOONER_TIME, "limit") > 50 * MIN);
    assert_int_equal(scene_update(&s, waits, "TimeLimit", "60"), 0);
    scene_expect(&s, waits, JOB_RUNNING, ANY);
    ask(&s, waits, &t);
    assert_int_equal(number(&t, EX_WHY_BACKFILL, "job"), wide);
    assert_true(says(&t, EX_BY_NODE));
    end(&s, &t);
}

static void restart(struct scene *s, unsigned nodes)
{
    scene_restart(s);
    for (unsigned i = 1; i <= nodes; i++) {
        char name[16];
        snprintf(name, sizeof name, "n%u", i);
        scene_node(s, name, "");
    }
}

static void why_a_job_started_survives_a_restart(void **unused)
{
    struct scene s;
    struct told t;
    (void)unused;
    begin(&s, 4, &t);
    uint32_t runs = submit(&s, 3, 4, 60), wide = submit(&s, 4, 4, 60), small = submit(&s, 1, 4, 30);
    scene_expect(&s, small, JOB_RUNNING, ANY);
    restart(&s, 4);
    ask(&s, small, &t);
    assert_int_equal(number(&t, EX_WHY_BACKFILL, "job"), wide);
    scene_tick(&s, T0 + 30 * MIN);
    scene_done(&s, small, 0);
    scene_done(&s, runs, 0);
    scene_expect(&s, wide, JOB_RUNNING, ANY);
    restart(&s, 4);
    ask(&s, wide, &t);
    assert_int_equal(number(&t, EX_WHY_TURN, "waited"), 30 * MIN);
    scene_done(&s, wide, 0);
    ask(&s, wide, &t);
    assert_true(says(&t, EX_WHY_TURN));
    end(&s, &t);
}

static void jobs_ahead_without_a_promise_get_their_place(void **unused)
{
    struct scene s;
    struct told t;
    (void)unused;
    *(&s) = (struct scene){.policy = scene_policy, .parts = parts, .parts_count = 2};
    s.policy.backfill = BACKFILL_EASY;
    scene_begin_with(&s, 4);
    arena_init(&t.a);
    submit(&s, 4, 4, 60);
    submit(&s, 4, 4, 60);
    submit(&s, 4, 4, 60);
    uint32_t last = submit(&s, 4, 4, 60);
    ask(&s, last, &t);
    assert_int_equal(number(&t, EX_AHEAD, "jobs"), 2);
    assert_int_equal(number(&t, EX_START_LIMITS, "time"), T0 + 180 * MIN);
    end(&s, &t);
}

static void a_submission_that_is_only_tested_is_explained(void **unused)
{
    struct scene s;
    struct told t;
    struct explain_item it;
    Sl__JobSpec spec;
    (void)unused;
    begin(&s, 4, &t);
    submit(&s, 4, 4, 60);
    spec_begin(&spec);
    spec.time_limit_usec = 10 * MIN;
    struct command cmd = {.kind = CMD_SUBMIT, .actor = {.uid = 1000, .gid = 1000, .user = "u1000"},
                          .submit = {.spec = &spec, .user = "u1000", .test_only = true}};
    assert_int_equal(scene_apply(&s, &cmd), 0);
    assert_int_equal(s.b.start_estimate, T0 + 60 * MIN);
    const char *p = buf_str(&s.b.explained);
    bool nodes = false, start = false;
    while (explain_read(&p, &t.a, &it)) {
        nodes = nodes || it.code == EX_NODES;
        start = start || (it.code == EX_START_LIMITS && explain_get(&it, "time")->n == T0 + 60 * MIN);
    }
    assert_true(nodes && start);
    assert_int_equal(core_job_count(s.c, false), 1);
    end(&s, &t);
}

/* ---- the property: what is suggested helps ----------------------------------------------------------- */

struct dice { uint64_t x; };

static uint32_t roll(struct dice *d, uint32_t n)
{
    d->x = d->x * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(d->x >> 33) % n;
}

static uint32_t random_job(struct scene *s, struct dice *d)
{
    static char *const lists[] = {(char *)"", (char *)"", (char *)"", (char *)"n1", (char *)"n[2-3]"};
    static char *names[2] = {(char *)"main", (char *)"other"};
    Sl__JobSpec spec;
    spec_begin(&spec);
    spec.nodes_min = spec.nodes_max = 1 + roll(d, 4);
    spec.ntasks = spec.nodes_min;
    spec.cpus_per_task = 1 + roll(d, 4);
    spec.mem_per_node_mib = 256 * (1 + roll(d, 16));
    spec.time_limit_usec = (10 + roll(d, 300)) * MIN;
    spec.partitions = &names[roll(d, 3) == 0];
    spec.n_partitions = 1;
    spec.exclusive = roll(d, 8) == 0;
    if (spec.partitions[0] == names[0] && spec.nodes_min <= 2) {
        spec.nodelist = lists[roll(d, COUNT(lists))];
        if (strcmp(spec.nodelist, "n[2-3]") == 0)
            spec.nodes_min = spec.nodes_max = spec.ntasks = 2;
    }
    return scene_submit_as(s, 1000 + roll(d, 3), &spec) == 0 ? s->b.job_id : 0;
}

/* The same history: seeds make the same core. */
static uint32_t history(struct scene *s, struct told *t, uint64_t seed, uint32_t jobs)
{
    struct dice d = {seed * 2654435761u + 1};
    uint32_t last = 0;
    begin(s, 8, t);
    for (uint32_t i = 0; i < jobs; i++) {
        uint32_t id = random_job(s, &d);
        last = id ? id : last;
    }
    return last;
}

static bool any_over(struct scene *s, usec_t now)
{
    uint32_t cursor = 0, id;
    while ((cursor = core_job_next(s->c, cursor, &id)) != UINT32_MAX) {
        struct job_view v = scene_job(s, id);
        if (v.state == JOB_RUNNING && v.start + v.time_limit <= now) {
            scene_done(s, id, 0);
            return true;
        }
    }
    return false;
}

/* Every job uses its full limit. When does this one start? */
static usec_t run_until_started(struct scene *s, uint32_t job)
{
    for (;;) {
        struct job_view v = scene_job(s, job);
        if (v.state != JOB_PENDING)
            return v.start;
        uint32_t cursor = 0, id;
        usec_t next = INT64_MAX;
        while ((cursor = core_job_next(s->c, cursor, &id)) != UINT32_MAX) {
            v = scene_job(s, id);
            if (v.state == JOB_RUNNING && v.start + v.time_limit < next)
                next = v.start + v.time_limit;
        }
        if (next == INT64_MAX)
            return INT64_MAX;
        s->now = next > s->now ? next : s->now;
        while (any_over(s, s->now))
            ;
        scene_tick(s, s->now + 2); /* what was late by one instant */
    }
}

struct advice { char key[32], value[64]; usec_t start; };

static uint32_t advice_take(const struct told *t, usec_t now, struct advice *v, uint32_t max)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < t->e.count && n < max; i++) {
        const struct explain_item *it = &t->e.item[i];
        if (explain_section(it->code) != EXPLAIN_SOONER)
            continue;
        const char *update = explain_get(it, "update")->s;
        const char *eq = strchr(update ? update : "", '=');
        if (!eq)
            continue;
        snprintf(v[n].key, sizeof v[n].key, "%.*s", (int)(eq - update), update);
        snprintf(v[n].value, sizeof v[n].value, "%s", eq + 1);
        v[n].start = explain_get(it, "now")->n ? now : explain_get(it, "start")->n;
        n++;
    }
    return n;
}

static void what_is_suggested_really_starts_it_sooner(void **unused)
{
    uint32_t checked = 0, at_once = 0;
    const char *only = getenv("EXPLAIN_SEED");
    (void)unused;
    for (uint64_t seed = only ? strtoull(only, NULL, 10) : 1; seed <= (only ? strtoull(only, NULL, 10) : 150); seed++) {
        struct scene s;
        struct told t;
        struct advice advice[8];
        uint32_t job = history(&s, &t, seed, 4 + seed % 20);
        struct job_view v = scene_job(&s, job);
        if (job == 0 || v.state != JOB_PENDING) {
            end(&s, &t);
            continue;
        }
        ask(&s, job, &t);
        const struct explain_item *it = explanation_find(&t.e, EX_START_LIMITS);
        usec_t told = it ? explain_get(it, "time")->n : 0, asked = s.now;
        uint32_t n = advice_take(&t, s.now, advice, 8);
        usec_t as_it_is = run_until_started(&s, job);
        end(&s, &t);
        if (told && as_it_is > told + 10 * SEC) /* a promise that gives way makes it earlier */
            fail_msg("seed %llu: job %u was to start %lld s on, and did %lld s on", (unsigned long long)seed, job,
                     (long long)((told - asked) / SEC), (long long)((as_it_is - asked) / SEC));
        for (uint32_t i = 0; i < n; i++) {
            job = history(&s, &t, seed, 4 + seed % 20);
            if (scene_update(&s, job, advice[i].key, advice[i].value) < 0)
                fail_msg("seed %llu: %s=%s: %s", (unsigned long long)seed, advice[i].key,
                         advice[i].value, s.err.text);
            usec_t start = run_until_started(&s, job);
            if (start >= (told ? told : as_it_is) || start > advice[i].start + 10 * SEC)
                fail_msg("seed %llu: %s=%s: job %u starts %lld s on, was told %lld, is without %lld",
                         (unsigned long long)seed, advice[i].key, advice[i].value, job,
                         (long long)((start - asked) / SEC), (long long)((advice[i].start - asked) / SEC),
                         (long long)((as_it_is - asked) / SEC));
            checked++;
            at_once += start == asked;
            end(&s, &t);
        }
    }
    print_message("%u suggestions, %u of them start at once\n", checked, at_once);
    assert_true(only || (checked > 50 && at_once > 5));
}

/* Under every policy: asking about any job, in between anything, changes nothing, and what
 * would start at once does. */
static void asking_changes_nothing_under_any_policy(void **unused)
{
    uint32_t asked = 0, at_once = 0;
    (void)unused;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct scene s = {.policy = scene_policy, .parts = parts, .parts_count = 2};
        struct told t;
        struct dice d = {seed * 7919};
        struct advice advice[8];
        s.policy.backfill = (enum backfill)(seed % BACKFILL_COUNT);
        s.policy.backfill_candidates = (enum backfill_candidates)(seed % CANDIDATES_COUNT);
        s.policy.plan_order = (enum plan_order)(seed / 3 % PLAN_ORDER_COUNT);
        s.policy.predict = seed % 4 == 0;
        s.policy.due_factor = 3;
        s.policy.due_max = 3600 * SEC;
        s.policy.wait_first = 600 * SEC;
        s.policy.wait_strict = 1200 * SEC;
        scene_begin_with(&s, 8);
        arena_init(&t.a);
        for (uint32_t i = 0; i < 25; i++) {
            uint32_t job = random_job(&s, &d);
            if (job == 0)
                continue;
            if (roll(&d, 5) == 0 && scene_job(&s, job).state == JOB_PENDING)
                scene_op(&s, CMD_HOLD, job);
            ask(&s, 1 + roll(&d, job), &t);
            ask(&s, job, &t);
            asked += 2;
            if (roll(&d, 3) == 0) {
                scene_tick(&s, s.now + (usec_t)roll(&d, 1800) * SEC);
                while (any_over(&s, s.now))
                    ;
            }
        }
        uint32_t job = random_job(&s, &d);
        if (job && scene_job(&s, job).state == JOB_PENDING && seed % BACKFILL_COUNT != BACKFILL_NONE) {
            ask(&s, job, &t);
            uint32_t n = advice_take(&t, s.now, advice, 8);
            for (uint32_t i = 0; i < n && scene_job(&s, job).state == JOB_PENDING; i++) {
                if (advice[i].start > s.now)
                    continue;
                assert_int_equal(scene_update(&s, job, advice[i].key, advice[i].value), 0);
                if (scene_job(&s, job).state != JOB_RUNNING)
                    fail_msg("seed %llu: %s=%s does not start job %u", (unsigned long long)seed,
                             advice[i].key, advice[i].value, job);
                at_once++;
            }
        }
        end(&s, &t);
    }
    print_message("asked %u times; %u started at once\n", asked, at_once);
    assert_true(at_once > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_that_are_not_understood_are_passed_over),
        cmocka_unit_test(every_item_goes_over_a_line_and_into_words),
        cmocka_unit_test(missing_nodes_are_counted),
        cmocka_unit_test(each_gate_is_told_at_once),
        cmocka_unit_test(an_array_says_its_limit),
        cmocka_unit_test(licenses_say_what_is_missing),
        cmocka_unit_test(partitions_and_nodes_that_can_not_be_used_are_named),
        cmocka_unit_test(a_reservation_in_the_way_is_named),
        cmocka_unit_test(a_shorter_limit_fits_before_a_promise),
        cmocka_unit_test(why_a_job_started_survives_a_restart),
        cmocka_unit_test(jobs_ahead_without_a_promise_get_their_place),
        cmocka_unit_test(a_submission_that_is_only_tested_is_explained),
        cmocka_unit_test(asking_changes_nothing_under_any_policy),
        cmocka_unit_test(what_is_suggested_really_starts_it_sooner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
