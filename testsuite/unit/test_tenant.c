/* SPDX-License-Identifier: Apache-2.0
 *
 * Tenants in the core: usage and its decay, Fair Tree, shares over a month, priorities,
 * records, and that each invariant of their counters fires.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sched/fairshare.h"
#include "sched/priority.h"
#include "tenant_core.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- usage -------------------------------------------------------------------------- */

static void decay_halves_after_a_half_life(void **state)
{
    (void)state;
    const usec_t periods[] = {MINUTE, 5 * MINUTE, 60 * MINUTE};
    for (int i = 0; i < 3; i++) {
        usec_t half = 7 * 1440 * MINUTE;
        struct decay d = decay_make(periods[i], half);
        struct usage u = {.settled = half * 100};
        u.used[TRES_CPU] = AMOUNT_PER_SEC * 1000000;
        usage_settle(&u, &d, true, TRES_MAX, half * 101);
        uint64_t left = usage_seconds(&u, TRES_CPU);
        assert_in_range(left, 499990, 500010);
    }
    assert_int_equal(decay_make(MINUTE, 0).period, 0);
    struct decay d = decay_make(MINUTE, MINUTE); /* one half-life a period: exactly a half */
    assert_int_equal(d.factor, UINT64_C(1) << 31);
}

static void settling_often_or_once_gives_the_same(void **state)
{
    (void)state;
    struct decay d = decay_make(5 * MINUTE, 1440 * MINUTE);
    struct charge c = {.factor = 1500, .end = T0 + 99999 * MINUTE};
    struct usage often = {.settled = T0 + 17}, once = {.settled = T0 + 17};
    c.tres[TRES_CPU] = 12345;
    c.tres[TRES_MEM] = UINT64_C(10000000000);
    usage_rate(&often, &c, TRES_MAX, 1);
    usage_rate(&once, &c, TRES_MAX, 1);
    for (usec_t t = T0; t < T0 + 3000 * MINUTE; t += 7 * MINUTE + 13)
        usage_settle(&often, &d, true, TRES_MAX, t);
    usage_settle(&often, &d, true, TRES_MAX, T0 + 3000 * MINUTE);
    usage_settle(&once, &d, true, TRES_MAX, T0 + 3000 * MINUTE);
    assert_memory_equal(&often, &once, sizeof once);
}

static void usage_is_exact_to_the_microsecond_over_a_month_of_the_largest_memory(void **state)
{
    (void)state;
    struct decay none = {0};
    struct charge c = {.factor = 1000, .end = T0};
    struct usage u = {.settled = T0};
    c.tres[TRES_MEM] = UINT64_C(10000000000); /* MiB */
    usage_rate(&u, &c, TRES_MAX, 1);
    for (int i = 1; i <= 1000; i++)
        usage_settle(&u, &none, true, TRES_MAX, T0 + (usec_t)i * 2592 * USEC_PER_SEC + i % 7);
    amount_t want = (amount_t)c.tres[TRES_MEM] * 1000 * (2592000 * USEC_PER_SEC + 1000 % 7);
    assert_true(u.used[TRES_MEM] == want);
}

/* What a job counted for is what its account, its QOS and the cluster counted, to the unit. */
static void usage_is_what_the_jobs_were(void **state)
{
    struct tc t;
    struct err err = {0};
    (void)state;
    tc_init(&t, "none", 2, 8);
    t.policy.priority_half_life = 0;
    assert_int_equal(core_configure(t.c, &t.policy, t.part, 2, NULL, 0, true, t.now, &err), 0);
    tc_must(&t, "add account name=a");
    tc_must(&t, "add account name=b parent=a");
    tc_must(&t, "add user name=u account=b");
    uint64_t cpu_usec = 0, seed = 7;
    for (int i = 0; i < 200; i++) {
        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
        struct wish w = {.cpus = 1 + (uint32_t)(seed >> 40) % 4, .minutes = 100};
        uint32_t id = tc_submit(&t, &w, &err);
        usec_t span = 1 + (usec_t)(seed >> 33) % (50 * USEC_PER_SEC);
        tc_pass(&t, t.now + span);
        tc_end(&t, id);
        if (i % 20 == 19) {
            tc_reload(&t);
            tc_connect(&t);
        }
        cpu_usec += (uint64_t)span * w.cpus;
    }
    const struct tenants *tn = t.c->tenants;
    amount_t want = (amount_t)cpu_usec * 1000;
    uint32_t path[] = {assoc_find(t.c, "b", "u", ""), assoc_find(t.c, "b", "", ""),
                       assoc_find(t.c, "a", "", ""), ASSOC_ROOT};
    for (int k = 0; k < 4; k++)
        assert_true(tn->assoc[path[k]].usage.used[TRES_CPU] == want);
    assert_true(tn->qos[qos_find(t.c, "normal")].usage.used[TRES_CPU] == want);
    tc_must(&t, "modify account name=b set rawusage=0");
    for (int k = 0; k < 4; k++)
        assert_true(tn->assoc[path[k]].usage.used[TRES_CPU] == 0);
    tc_fini(&t);
}

static void a_suspended_job_holds_and_does_not_accrue(void **state)
{
    struct tc t;
    struct err err = {0};
    const struct wish w = {.cpus = 4, .minutes = 100};
    (void)state;
    tc_init(&t, "none", 1, 8);
    uint32_t id = tc_submit(&t, &w, &err);
    tc_pass(&t, t.now + MINUTE);
    struct command cmd = {.kind = CMD_SUSPEND, .actor = {.admin = true}, .job = {.job_id = id}};
    assert_int_equal(core_apply(t.c, &cmd, t.now, &t.b, &err), 0);
    tc_pass(&t, t.now + 10 * MINUTE);
    cmd.kind = CMD_RESUME;
    assert_int_equal(core_apply(t.c, &cmd, t.now, &t.b, &err), 0);
    tc_pass(&t, t.now + MINUTE);
    tc_end(&t, id);
    uint64_t used = usage_seconds(&t.c->tenants->assoc[ASSOC_ROOT].usage, TRES_CPU);
    assert_in_range(used, 478, 480); /* a little has decayed */
    tc_fini(&t);
}

static void billing_weights_and_usage_factors_count(void **state)
{
    struct tc t;
    struct err err = {0};
    const struct wish w = {.cpus = 2, .mem_mib = 4096, .gpus = 1, .minutes = 100};
    (void)state;
    tc_init(&t, "none", 1, 8);
    t.part[0].tres_billing_weights = "cpu=1.5,mem=0.25G,gres/gpu=10";
    t.policy.priority_half_life = 0;
    assert_int_equal(core_configure(t.c, &t.policy, t.part, 2, NULL, 0, true, t.now, &err), 0);
    tc_must(&t, "modify qos name=normal set usagefactor=0.5");
    uint32_t id = tc_submit(&t, &w, &err);
    assert_non_null(strstr(tc_view(&t, id).tres_alloc, "billing=14")); /* 3 + 1 + 10 */
    tc_pass(&t, t.now + 100 * USEC_PER_SEC);
    tc_end(&t, id);
    assert_int_equal(usage_seconds(&t.c->tenants->assoc[ASSOC_ROOT].usage, TRES_BILLING), 700);
    tc_fini(&t);
}

/* ---- Fair Tree ------------------------------------------------------------------------- */

static void uses(struct tc *t, const char *account, const char *user, uint64_t seconds)
{
    for (uint32_t i = assoc_find(t->c, account, user, ""); i != NONE; i = t->c->tenants->assoc[i].parent) {
        t->c->tenants->assoc[i].usage.used[TRES_BILLING] += seconds * AMOUNT_PER_SEC;
        t->c->tenants->assoc[i].usage.settled = t->now;
    }
}

static double fs(struct tc *t, const char *account, const char *user)
{
    return (double)t->c->tenants->assoc[assoc_find(t->c, account, user, "")].fs / (double)FACTOR_ONE;
}

#define ASSERT_FS(account, user, rank, users) \
    assert_true(fs(&t, account, user) > (double)(rank) / (users) - 1e-6 && fs(&t, account, user) < (double)(rank) / (users) + 1e-6)

/* Worked by hand: physics has shares 60 of 100 and used 50 of 100: 1.2; biology 40 and 50:
 * 0.8. In physics p1 has 1/2 of the shares and 40/50 of the usage: 0.625, p2 2.5. In
 * biology b1 and b2 have the same shares and usage. p2 > p1 > b1 = b2. */
static void fair_tree_ranks_as_by_hand(void **state)
{
    struct tc t;
    char cell[64];
    (void)state;
    tc_init(&t, "none", 1, 4);
    tc_must(&t, "add account name=physics fairshare=60");
    tc_must(&t, "add account name=biology fairshare=40");
    tc_must(&t, "add user name=p1,p2 account=physics");
    tc_must(&t, "add user name=b1,b2 account=biology");
    uses(&t, "physics", "p1", 40);
    uses(&t, "physics", "p2", 10);
    uses(&t, "biology", "b1", 25);
    uses(&t, "biology", "b2", 25);
    fairshare_rank(t.c, t.now);
    ASSERT_FS("physics", "p2", 4, 4);
    ASSERT_FS("physics", "p1", 3, 4);
    ASSERT_FS("biology", "b1", 2, 4);
    ASSERT_FS("biology", "b2", 2, 4); /* users that are equal have one rank */
    tc_cell(&t, "assoc", "Account", "physics", "User", "", "LevelFS", cell, sizeof cell);
    assert_string_equal(cell, "1.200000");
    tc_cell(&t, "assoc", "Account", "physics", "User", "p1", "LevelFS", cell, sizeof cell);
    assert_string_equal(cell, "0.625000");
    tc_cell(&t, "assoc", "Account", "physics", "User", "p1", "EffectvUsage", cell, sizeof cell);
    assert_string_equal(cell, "0.800000");
    tc_cell(&t, "assoc", "Account", "physics", "User", "p1", "NormShares", cell, sizeof cell);
    assert_string_equal(cell, "0.500000");
    tc_fini(&t);
}

/* All of the better account stand before all of the worse, whatever they did themselves. */
static void a_better_account_goes_with_all_its_users(void **state)
{
    struct tc t;
    (void)state;
    tc_init(&t, "none", 1, 4);
    tc_must(&t, "add account name=a fairshare=1");
    tc_must(&t, "add account name=b fairshare=1");
    tc_must(&t, "add user name=greedy,modest account=a");
    tc_must(&t, "add user name=idle,busy account=b");
    uses(&t, "a", "greedy", 100);
    uses(&t, "b", "busy", 101);
    fairshare_rank(t.c, t.now);
    ASSERT_FS("a", "modest", 4, 4);
    ASSERT_FS("a", "greedy", 3, 4);
    ASSERT_FS("b", "idle", 2, 4);
    ASSERT_FS("b", "busy", 1, 4);
    tc_fini(&t);
}

/* Two accounts tie at 1.0: their users are compared as one account's. x1 1/2 : 30/50 = 0.83,
 * x2 1/2 : 20/50 = 1.25, y1 1/1 : 50/50 = 1.0. */
static void accounts_that_tie_are_walked_as_one(void **state)
{
    struct tc t;
    (void)state;
    tc_init(&t, "none", 1, 4);
    tc_must(&t, "add account name=x fairshare=5");
    tc_must(&t, "add account name=y fairshare=5");
    tc_must(&t, "add user name=x1,x2 account=x");
    tc_must(&t, "add user name=y1 account=y");
    uses(&t, "x", "x1", 30);
    uses(&t, "x", "x2", 20);
    uses(&t, "y", "y1", 50);
    fairshare_rank(t.c, t.now);
    ASSERT_FS("x", "x2", 3, 3);
    ASSERT_FS("y", "y1", 2, 3);
    ASSERT_FS("x", "x1", 1, 3);
    tc_fini(&t);
}

/* A user beside an account of the same level: the account's first has the user's rank. */
static void an_account_that_ties_with_a_user_shares_its_rank(void **state)
{
    struct tc t;
    (void)state;
    tc_init(&t, "none", 1, 4);
    tc_must(&t, "add account name=top");
    tc_must(&t, "add account name=below parent=top");
    tc_must(&t, "add user name=beside account=top");
    tc_must(&t, "add user name=first,second account=below");
    uses(&t, "top", "beside", 50);
    uses(&t, "below", "first", 10);
    uses(&t, "below", "second", 40);
    fairshare_rank(t.c, t.now);
    ASSERT_FS("top", "beside", 3, 3);
    ASSERT_FS("below", "first", 3, 3);
    ASSERT_FS("below", "second", 1, 3);
    tc_fini(&t);
}

/* Fairshare=parent on an account: its users are ranked among its siblings. */
static void a_parent_account_lifts_its_children(void **state)
{
    struct tc t;
    char cell[64];
    (void)state;
    tc_init(&t, "none", 1, 4);
    tc_must(&t, "add account name=p fairshare=parent");
    tc_must(&t, "add account name=q fairshare=1");
    tc_must(&t, "add user name=p1 account=p fairshare=3");
    tc_must(&t, "add user name=q1 account=q");
    uses(&t, "p", "p1", 50);
    uses(&t, "q", "q1", 50);
    fairshare_rank(t.c, t.now);
    ASSERT_FS("p", "p1", 2, 2);
    tc_cell(&t, "assoc", "Account", "p", "User", "p1", "NormShares", cell, sizeof cell);
    assert_string_equal(cell, "0.750000");
    tc_fini(&t);
}

/* ---- a month ------------------------------------------------------------------------------ */

#define CORES 20
static const struct {
    const char *account, *user;
    uint32_t share;
} month[] = {{"half", "a", 50}, {"third", "b", 30}, {"fifth", "c", 20}};

struct running { uint32_t id, who; usec_t start, end; };

/* Three tenants that always have work waiting; returns core-seconds of each. */
static void month_run(struct tc *t, uint64_t *seconds)
{
    struct running run[CORES];
    uint32_t queue[3][32], queued[3] = {0}, running = 0;
    uint64_t seed = 12345;
    struct err err = {0};
    const usec_t end = T0 + 30 * 1440 * MINUTE;
    memset(seconds, 0, 3 * sizeof *seconds);
    while (t->now < end) {
        for (uint32_t k = 0; k < 3; k++)
            while (queued[k] < CORES) {
                const struct wish w = {.minutes = 240, .user = month[k].user};
                queue[k][queued[k]++] = tc_submit(t, &w, &err);
            }
        for (uint32_t k = 0; k < 3; k++)
            for (uint32_t i = 0; i < queued[k]; i++) {
                struct job_view v;
                assert_true(core_job_view(t->c, queue[k][i], false, &v));
                if (v.state != JOB_RUNNING)
                    continue;
                seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
                usec_t span = (30 + (usec_t)(seed >> 40) % 60) * MINUTE; /* half to one and a half hours */
                run[running++] = (struct running){v.job_id, k, v.start, v.start + span};
                queue[k][i--] = queue[k][--queued[k]];
            }
        uint32_t next = 0;
        assert_int_equal(running, CORES);
        for (uint32_t i = 1; i < running; i++)
            if (run[i].end < run[next].end)
                next = i;
        tc_pass(t, run[next].end);
        seconds[run[next].who] += (uint64_t)((run[next].end - run[next].start) / USEC_PER_SEC);
        tc_end(t, run[next].id);
        run[next] = run[--running];
    }
}

static void three_tenants_get_their_shares_in_a_month(void **state)
{
    struct tc t;
    uint64_t seconds[3], sum = 0;
    char words[80];
    (void)state;
    tc_init(&t, "associations", 1, CORES);
    for (int k = 0; k < 3; k++) {
        snprintf(words, sizeof words, "add account name=%s fairshare=%u", month[k].account, month[k].share);
        tc_must(&t, words);
        snprintf(words, sizeof words, "add user name=%s account=%s", month[k].user, month[k].account);
        tc_must(&t, words);
    }
    month_run(&t, seconds);
    for (int k = 0; k < 3; k++)
        sum += seconds[k];
    for (int k = 0; k < 3; k++) {
        double share = 100.0 * (double)seconds[k] / (double)sum;
        print_message("%s: share %u, got %.3f %%\n", month[k].account, month[k].share, share);
        assert_true(share > month[k].share * 0.99 && share < month[k].share * 1.01);
    }
    tc_fini(&t);
}

/* ---- priorities ------------------------------------------------------------------------------ */

static void each_factor_has_its_weight(void **state)
{
    struct tc t;
    struct err err = {0};
    struct job_factors f;
    const struct wish w = {.cpus = 8, .nodes = 1, .qos = "high"};
    (void)state;
    tc_init(&t, "none", 2, 8);
    t.policy.weight_age = 1000;
    t.policy.weight_job_size = 400;
    t.policy.weight_partition = 300;
    t.policy.weight_qos = 200;
    t.policy.weight_assoc = 50;
    snprintf(t.policy.weight_tres, sizeof t.policy.weight_tres, "cpu=80");
    t.part[0].priority_job_factor = 10;
    t.part[1].priority_job_factor = 40;
    assert_int_equal(core_configure(t.c, &t.policy, t.part, 2, NULL, 0, true, t.now, &err), 0);
    tc_must(&t, "add qos name=high priority=5");
    tc_must(&t, "add qos name=top priority=20");
    tc_must(&t, "add account name=a priority=8");
    tc_must(&t, "add user name=u account=a priority=4");
    const struct wish all = {.cpus = 16, .nodes = 2};
    assert_int_not_equal(tc_submit(&t, &all, &err), 0);
    uint32_t id = tc_submit(&t, &w, &err);
    tc_pass(&t, t.now + 720 * MINUTE); /* half of the age that counts */
    priority_factors(t.c, job_find(t.c, id), t.now, &f);
    assert_in_range(f.weighted[0], 495, 500);
    assert_int_equal(f.weighted[1], 100000); /* the only user */
    assert_int_equal(f.weighted[2], 200);    /* half of the nodes and of the cpus */
    assert_int_equal(f.weighted[3], 75);     /* 10 of 40 */
    assert_int_equal(f.weighted[4], 50);     /* 5 of 20 */
    assert_int_equal(f.weighted[5], 25);     /* 4 of 8 */
    assert_int_equal(f.tres_weighted[TRES_CPU], 40);
    assert_in_range(f.priority, 100885, 100890);
    tc_fini(&t);
}

static void a_better_priority_goes_first(void **state)
{
    struct tc t;
    struct err err = {0};
    const struct wish all = {.cpus = 8, .user = "a"}, late = {.cpus = 8, .user = "b"};
    (void)state;
    tc_init(&t, "none", 1, 8);
    tc_must(&t, "add account name=x");
    tc_must(&t, "add user name=a,b account=x");
    uint32_t runs = tc_submit(&t, &all, &err), second = tc_submit(&t, &all, &err), other = tc_submit(&t, &late, &err);
    tc_pass(&t, t.now + 6 * MINUTE); /* a period: a has used, b has not */
    assert_true(tc_view(&t, other).priority > tc_view(&t, second).priority);
    tc_end(&t, runs);
    assert_int_equal(tc_view(&t, other).state, JOB_RUNNING);
    assert_int_equal(tc_view(&t, second).state, JOB_PENDING);
    tc_fini(&t);
}

/* ---- records and invariants ---------------------------------------------------------------------- */

static void all_survives_its_records(void **state)
{
    struct tc t;
    struct err err = {0};
    char before[64], after[64];
    const struct wish w = {.cpus = 4, .minutes = 500}, waits = {.cpus = 4, .array = 5};
    (void)state;
    tc_init(&t, "limits,qos", 1, 4);
    for (int i = 0; i < 12; i++) { /* records come back in another order than they were made */
        char words[64];
        snprintf(words, sizeof words, "add account name=a%d", i);
        tc_must(&t, words);
    }
    tc_must(&t, "add account name=deep parent=a11");
    tc_must(&t, "add qos name=q priority=3 flags=NoDecay grptres=gres/gpu=7 preempt=normal");
    tc_must(&t, "add user name=u account=deep,a2 maxjobs=9 qos+=q defaultqos=q");
    tc_must(&t, "delete account name=a3");
    assert_int_not_equal(tc_submit(&t, &w, &err), 0);
    assert_int_not_equal(tc_submit(&t, &waits, &err), 0);
    tc_pass(&t, t.now + 33 * MINUTE + 7);
    const char *columns[] = {"RawUsage", "QOS", "MaxJobs", "DefaultQOS", "Running", "Submitted", "ParentID", "TRESRunMins", "LevelFS"};
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
        tc_cell(&t, "assoc", "Account", "deep", "User", "u", columns[i], before, sizeof before);
        tc_reload(&t);
        tc_cell(&t, "assoc", "Account", "deep", "User", "u", columns[i], after, sizeof after);
        assert_string_equal(before, after);
    }
    tc_cell(&t, "qos", "Name", "q", NULL, NULL, "GrpTRES", after, sizeof after);
    assert_string_equal(after, "gres/gpu=7");
    assert_int_equal(assoc_find(t.c, "a3", "", ""), NONE);
    tc_fini(&t);
}

static void must_fail(struct tc *t, const char *word)
{
    struct err err = {0};
    if (core_check(t->c, &err) == 0 || !strstr(err.text, word))
        fail_msg("\"%s\" instead of something with \"%s\"", err.text, word);
}

#define BREAK(what, change, back, word) \
    do {                                \
        (void)(what);                   \
        change;                         \
        must_fail(&t, word);            \
        back;                           \
        assert_int_equal(core_check(t.c, &err), 0); \
    } while (0)

static void each_invariant_fires_when_it_is_broken(void **state)
{
    struct tc t;
    struct err err = {0};
    const struct wish w = {.cpus = 2};
    (void)state;
    tc_init(&t, "limits,qos", 1, 4);
    tc_must(&t, "add account name=a");
    tc_must(&t, "add user name=u account=a");
    uint32_t id = tc_submit(&t, &w, &err);
    struct job *j = job_find(t.c, id);
    struct tenants *tn = t.c->tenants;
    struct assoc *a = &tn->assoc[assoc_find(t.c, "a", "", "")];
    struct usage *q = &tn->qos[0].usage, *p = &tn->part[0].usage;
    uint32_t parent = a->parent;
    BREAK("held", a->usage.alloc[TRES_CPU]++, a->usage.alloc[TRES_CPU]--, "hold");
    BREAK("rate", a->usage.rate[TRES_MEM]++, a->usage.rate[TRES_MEM]--, "accrues");
    BREAK("due", q->due[TRES_CPU]++, q->due[TRES_CPU]--, "accrues");
    BREAK("running", q->running++, q->running--, "run");
    BREAK("submitted", tn->assoc[ASSOC_ROOT].usage.submitted++, tn->assoc[ASSOC_ROOT].usage.submitted--, "submitted");
    BREAK("part", p->alloc[TRES_NODE]++, p->alloc[TRES_NODE]--, "part of a QOS");
    BREAK("counted", j->counted++, j->counted--, "counted");
    BREAK("charge", j->charge->on = false, j->charge->on = true, "charged");
    BREAK("assoc", j->assoc = 77, j->assoc = assoc_find(t.c, "a", "u", ""), "association");
    BREAK("tree", a->parent = assoc_find(t.c, "a", "u", ""), a->parent = parent, "root");
    a->usage.used[TRES_CPU] += 5;
    a->usage.settled = tn->assoc[ASSOC_ROOT].usage.settled;
    must_fail(&t, "more");
    a->usage.used[TRES_CPU] -= 5;
    tc_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decay_halves_after_a_half_life),
        cmocka_unit_test(settling_often_or_once_gives_the_same),
        cmocka_unit_test(usage_is_exact_to_the_microsecond_over_a_month_of_the_largest_memory),
        cmocka_unit_test(usage_is_what_the_jobs_were),
        cmocka_unit_test(a_suspended_job_holds_and_does_not_accrue),
        cmocka_unit_test(billing_weights_and_usage_factors_count),
        cmocka_unit_test(fair_tree_ranks_as_by_hand),
        cmocka_unit_test(a_better_account_goes_with_all_its_users),
        cmocka_unit_test(accounts_that_tie_are_walked_as_one),
        cmocka_unit_test(an_account_that_ties_with_a_user_shares_its_rank),
        cmocka_unit_test(a_parent_account_lifts_its_children),
        cmocka_unit_test(three_tenants_get_their_shares_in_a_month),
        cmocka_unit_test(each_factor_has_its_weight),
        cmocka_unit_test(a_better_priority_goes_first),
        cmocka_unit_test(all_survives_its_records),
        cmocka_unit_test(each_invariant_fires_when_it_is_broken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
