/* SPDX-License-Identifier: Apache-2.0
 *
 * Each limit of each owner, below, at and above: it blocks exactly when it should and names
 * itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "job/limit.h"
#include "tenant_core.h"

#include <stdio.h>
#include <string.h>

enum dim { CPUS, MEM, NODES, GPUS, MINUTES, RUNNING, SUBMITTED, USED };

static const struct {
    const char *owner;  /* account user qos part: the partition's QOS */
    const char *limit;
    enum dim dim;
    uint32_t before;    /* jobs of one cpu that run already */
    uint32_t at;        /* the most that may be */
    bool low;           /* it is the least that must be */
    const char *reason;
} cases[] = {
    /* associations: of a group */
    {"account", "GrpJobs=3", RUNNING, 0, 2, false, "AssocGrpJobsLimit"},
    {"account", "GrpSubmitJobs=5", SUBMITTED, 0, 5, false, "AssocGrpSubmitJobsLimit"},
    {"account", "GrpSubmitJobs=5", SUBMITTED, 2, 3, false, "AssocGrpSubmitJobsLimit"},
    {"account", "GrpTRES=cpu=6", CPUS, 0, 6, false, "AssocGrpCpuLimit"},
    {"account", "GrpTRES=cpu=6", CPUS, 2, 4, false, "AssocGrpCpuLimit"},
    {"account", "GrpTRES=mem=4G", MEM, 0, 4096, false, "AssocGrpMemLimit"},
    {"account", "GrpTRES=node=2", NODES, 0, 2, false, "AssocGrpNodeLimit"},
    {"account", "GrpTRES=gres/gpu=3", GPUS, 0, 3, false, "AssocGrpGRES"},
    {"account", "GrpTRES=billing=7", CPUS, 0, 7, false, "AssocGrpBilling"},
    {"account", "GrpTRESMins=cpu=50", USED, 0, 49, false, "AssocGrpCPUMinutesLimit"},
    {"account", "GrpTRESMins=node=50", USED, 0, 49, false, "AssocGrpNodeMinutes"},
    {"account", "GrpTRESMins=billing=50", USED, 0, 49, false, "AssocGrpBillingMinutes"},
    {"account", "GrpTRESRunMins=cpu=60", MINUTES, 0, 60, false, "AssocGrpCPURunMinutesLimit"},
    {"account", "GrpTRESRunMins=cpu=60", MINUTES, 1, 50, false, "AssocGrpCPURunMinutesLimit"},
    {"account", "GrpTRESRunMins=mem=60", MINUTES, 0, 60, false, "AssocGrpMemRunMinutes"},
    {"account", "GrpTRESRunMins=node=60", MINUTES, 0, 60, false, "AssocGrpNodeRunMinutes"},
    {"account", "GrpWall=50", USED, 0, 49, false, "AssocGrpWallLimit"},
    {"user", "GrpTRES=cpu=6", CPUS, 0, 6, false, "AssocGrpCpuLimit"},
    /* of a job, set on the account and inherited, or on the user */
    {"account", "MaxJobs=3", RUNNING, 0, 2, false, "AssocMaxJobsLimit"},
    {"user", "MaxJobs=3", RUNNING, 0, 2, false, "AssocMaxJobsLimit"},
    {"user", "MaxSubmitJobs=4", SUBMITTED, 0, 4, false, "AssocMaxSubmitJobLimit"},
    {"account", "MaxSubmitJobs=4", SUBMITTED, 1, 3, false, "AssocMaxSubmitJobLimit"},
    {"user", "MaxTRESPerJob=cpu=5", CPUS, 0, 5, false, "AssocMaxCpuPerJobLimit"},
    {"account", "MaxTRES=mem=1G", MEM, 0, 1024, false, "AssocMaxMemPerJob"},
    {"user", "MaxTRES=node=2", NODES, 0, 2, false, "AssocMaxNodePerJobLimit"},
    {"user", "MaxTRES=gres/gpu=2", GPUS, 0, 2, false, "AssocMaxGRESPerJob"},
    {"user", "MaxTRES=billing=5", CPUS, 0, 5, false, "AssocMaxBillingPerJob"},
    {"user", "MaxTRESPerNode=cpu=5", CPUS, 0, 5, false, "AssocMaxCpuPerNode"},
    {"user", "MaxTRESPerNode=mem=1G", MEM, 0, 1024, false, "AssocMaxMemPerNode"},
    {"user", "MaxTRESPerNode=gres/gpu=2", GPUS, 0, 2, false, "AssocMaxGRESPerNode"},
    {"user", "MaxTRESMinsPerJob=cpu=30", MINUTES, 0, 30, false, "AssocMaxCPUMinutesPerJobLimit"},
    {"user", "MaxTRESMins=node=30", MINUTES, 0, 30, false, "AssocMaxNodeMinutesPerJob"},
    {"user", "MaxWallDurationPerJob=45", MINUTES, 0, 45, false, "AssocMaxWallDurationPerJobLimit"},
    {"account", "MaxWall=45", MINUTES, 0, 45, false, "AssocMaxWallDurationPerJobLimit"},
    /* the job's QOS */
    {"qos", "GrpJobs=3", RUNNING, 0, 2, false, "QOSGrpJobsLimit"},
    {"qos", "GrpSubmitJobs=5", SUBMITTED, 0, 5, false, "QOSGrpSubmitJobsLimit"},
    {"qos", "GrpTRES=cpu=6", CPUS, 2, 4, false, "QOSGrpCpuLimit"},
    {"qos", "GrpTRES=mem=4G", MEM, 0, 4096, false, "QOSGrpMemLimit"},
    {"qos", "GrpTRES=node=2", NODES, 0, 2, false, "QOSGrpNodeLimit"},
    {"qos", "GrpTRES=gres/gpu=3", GPUS, 0, 3, false, "QOSGrpGRES"},
    {"qos", "GrpTRESMins=cpu=50", USED, 0, 49, false, "QOSGrpCPUMinutesLimit"},
    {"qos", "GrpTRESRunMins=cpu=60", MINUTES, 1, 50, false, "QOSGrpCPURunMinutesLimit"},
    {"qos", "GrpWall=50", USED, 0, 49, false, "QOSGrpWallLimit"},
    {"qos", "MaxTRESPerJob=cpu=5", CPUS, 0, 5, false, "QOSMaxCpuPerJobLimit"},
    {"qos", "MaxTRESPerJob=mem=1G", MEM, 0, 1024, false, "QOSMaxMemoryPerJob"},
    {"qos", "MaxTRESPerJob=node=2", NODES, 0, 2, false, "QOSMaxNodePerJobLimit"},
    {"qos", "MaxTRESPerNode=cpu=5", CPUS, 0, 5, false, "QOSMaxCpuPerNode"},
    {"qos", "MaxTRESMinsPerJob=cpu=30", MINUTES, 0, 30, false, "QOSMaxCPUMinutesPerJobLimit"},
    {"qos", "MaxWall=45", MINUTES, 0, 45, false, "QOSMaxWallDurationPerJobLimit"},
    {"qos", "MaxTRESPerUser=cpu=6", CPUS, 2, 4, false, "QOSMaxCpuPerUserLimit"},
    {"qos", "MaxTRESPU=mem=1G", MEM, 0, 1024, false, "QOSMaxMemoryPerUser"},
    {"qos", "MaxTRESPU=node=2", NODES, 0, 2, false, "QOSMaxNodePerUserLimit"},
    {"qos", "MaxTRESPU=gres/gpu=2", GPUS, 0, 2, false, "QOSMaxGRESPerUser"},
    {"qos", "MaxJobsPerUser=3", RUNNING, 0, 2, false, "QOSMaxJobsPerUserLimit"},
    {"qos", "MaxSubmitJobsPerUser=4", SUBMITTED, 1, 3, false, "QOSMaxSubmitJobPerUserLimit"},
    {"qos", "MaxTRESPerAccount=cpu=6", CPUS, 2, 4, false, "MaxCpuPerAccount"},
    {"qos", "MaxTRESPA=mem=1G", MEM, 0, 1024, false, "MaxMemoryPerAccount"},
    {"qos", "MaxJobsPerAccount=3", RUNNING, 0, 2, false, "MaxJobsPerAccount"},
    {"qos", "MaxSubmitJobsPerAccount=4", SUBMITTED, 0, 4, false, "MaxSubmitJobsPerAccount"},
    {"qos", "MinTRESPerJob=cpu=3", CPUS, 0, 3, true, "QOSMinCpuNotSatisfied"},
    {"qos", "MinTRES=mem=1G", MEM, 0, 1024, true, "QOSMinMemory"},
    {"qos", "MinTRES=gres/gpu=2", GPUS, 0, 2, true, "QOSMinGRES"},
    /* the partition's QOS */
    {"part", "MaxTRESPerJob=cpu=5", CPUS, 0, 5, false, "QOSMaxCpuPerJobLimit"},
    {"part", "GrpTRES=cpu=6", CPUS, 2, 4, false, "QOSGrpCpuLimit"},
    {"part", "MaxJobsPerUser=3", RUNNING, 0, 2, false, "QOSMaxJobsPerUserLimit"},
};

static void tenants(struct tc *t)
{
    tc_must(t, "add qos name=labqos");
    tc_must(t, "add account name=top");
    tc_must(t, "add account name=lab parent=top");
    tc_must(t, "add user name=u account=lab");
    tc_must(t, "add user name=v account=lab");
}

/* The job of a case with `x` in its dimension; 0 when its submission is refused. */
static uint32_t job_of(struct tc *t, size_t i, uint32_t x, struct err *err)
{
    struct wish w = {.partition = strcmp(cases[i].owner, "part") == 0 ? "lab" : "main"}, small = w;
    uint32_t before = cases[i].before + (cases[i].dim == RUNNING ? x : 0);
    for (uint32_t k = 0; k < before; k++) {
        uint32_t id = tc_submit(t, &small, err);
        assert_int_not_equal(id, 0);
        assert_int_equal(tc_view(t, id).state, JOB_RUNNING);
    }
    switch (cases[i].dim) {
    case CPUS:
        w.cpus = x;
        break;
    case MEM:
        w.mem_mib = x;
        break;
    case NODES:
        w.nodes = x;
        break;
    case GPUS:
        w.gpus = x;
        break;
    case MINUTES:
        w.minutes = x;
        break;
    case SUBMITTED:
        w.array = x;
        break;
    case USED: {
        small.minutes = x + 1;
        uint32_t id = tc_submit(t, &small, err);
        tc_pass(t, t->now + (usec_t)x * MINUTE);
        tc_end(t, id);
        break;
    }
    case RUNNING:
        break;
    }
    return tc_submit(t, &w, err);
}

static void case_try(size_t i, uint32_t x, bool blocks)
{
    struct tc t;
    struct err err = {0};
    char words[128];
    bool qos = strcmp(cases[i].owner, "qos") == 0, part = strcmp(cases[i].owner, "part") == 0;
    tc_init(&t, "limits,qos", 3, 8);
    t.policy.priority_half_life = 0;
    assert_int_equal(core_configure(t.c, &t.policy, t.part, 2, NULL, 0, true, t.now, &err), 0);
    tenants(&t);
    snprintf(words, sizeof words, "modify %s name=%s set %s", qos || part ? "qos" : cases[i].owner,
             qos ? "normal" : part ? "labqos" : strcmp(cases[i].owner, "user") == 0 ? "u" : "lab",
             cases[i].limit);
    tc_must(&t, words);
    uint32_t id = job_of(&t, i, x, &err);
    const char *shown = id ? tc_view(&t, id).reason_text : err.text;
    bool runs = id && (cases[i].dim == SUBMITTED || tc_view(&t, id).state == JOB_RUNNING);
    size_t n = strlen(cases[i].reason);
    bool named = strncmp(shown, cases[i].reason, n) == 0 && (shown[n] == '\0' || shown[n] == ':');
    if (runs == blocks || (blocks && !named))
        fail_msg("%s %s with %u: %s, \"%s\" instead of %s", cases[i].owner, cases[i].limit, x,
                 runs ? "runs" : "does not run", shown, blocks ? cases[i].reason : "running");
    tc_fini(&t);
}

static void each_limit_blocks_when_it_should_and_names_itself(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t at = cases[i].at;
        case_try(i, at - 1, cases[i].low);
        case_try(i, at, false);
        case_try(i, at + 1, !cases[i].low);
    }
}

static void every_row_of_the_table_has_a_case(void **state)
{
    (void)state;
    for (int k = 0; k < LIMIT_KIND_COUNT; k++)
        for (unsigned owner = LIMIT_OF_ASSOC; owner <= LIMIT_OF_QOS; owner++) {
            bool found = !(limit_table[k].owners & owner);
            for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                char name[64];
                bool assoc = cases[i].owner[0] == 'a' || cases[i].owner[0] == 'u';
                snprintf(name, sizeof name, "%.*s", (int)strcspn(cases[i].limit, "="), cases[i].limit);
                found = found || (assoc == (owner == LIMIT_OF_ASSOC) && limit_find(name, owner) == k);
            }
            if (!found)
                fail_msg("no case for %s of owner %u", limit_table[k].name, owner);
        }
}

/* ---- which of several holds ------------------------------------------------------------------ */

static const char *reason_of(struct tc *t, const struct wish *w)
{
    static char text[128];
    struct err err = {0};
    uint32_t id = tc_submit(t, w, &err);
    if (!id) {
        snprintf(text, sizeof text, "%.100s", err.text);
        return text;
    }
    struct job_view v = tc_view(t, id);
    snprintf(text, sizeof text, "%s", v.state == JOB_RUNNING ? "runs" : v.reason_text);
    tc_cancel(t, id);
    return text;
}

static void the_first_that_sets_a_job_limit_speaks_and_the_strictest_group(void **state)
{
    struct tc t;
    const struct wish four = {.cpus = 4}, six = {.cpus = 6}, in_lab = {.cpus = 6, .partition = "lab"};
    (void)state;
    tc_init(&t, "limits,qos", 2, 8);
    tenants(&t);
    /* the user's own overrides its account's, also when it is looser */
    tc_must(&t, "modify account name=lab set maxtres=cpu=3");
    assert_string_equal(reason_of(&t, &four), "AssocMaxCpuPerJobLimit");
    tc_must(&t, "modify user name=u set maxtres=cpu=5");
    assert_string_equal(reason_of(&t, &four), "runs");
    assert_string_equal(reason_of(&t, &six), "AssocMaxCpuPerJobLimit");
    /* a QOS overrides associations, a partition's QOS the job's, and OverPartQOS turns it */
    tc_must(&t, "modify qos name=normal set maxtres=cpu=8");
    assert_string_equal(reason_of(&t, &six), "runs");
    tc_must(&t, "modify qos name=labqos set maxtres=cpu=5");
    assert_string_equal(reason_of(&t, &in_lab), "QOSMaxCpuPerJobLimit");
    tc_must(&t, "modify qos name=normal set flags=OverPartQOS");
    assert_string_equal(reason_of(&t, &in_lab), "runs");
    /* limits of groups hold at each level */
    tc_must(&t, "modify account name=top set grptres=cpu=5");
    tc_must(&t, "modify account name=lab set grptres=cpu=7");
    assert_string_equal(reason_of(&t, &six), "AssocGrpCpuLimit");
    assert_string_equal(reason_of(&t, &four), "runs");
    tc_fini(&t);
}

static void a_users_limit_in_a_qos_is_each_users_own(void **state)
{
    struct tc t;
    struct err err = {0};
    const struct wish u = {.cpus = 4}, v = {.cpus = 4, .user = "v"};
    (void)state;
    tc_init(&t, "limits,qos", 2, 8);
    tenants(&t);
    tc_must(&t, "modify qos name=normal set maxtrespu=cpu=4");
    uint32_t first = tc_submit(&t, &u, &err), second = tc_submit(&t, &u, &err), other = tc_submit(&t, &v, &err);
    assert_int_equal(tc_view(&t, first).state, JOB_RUNNING);
    assert_string_equal(tc_view(&t, second).reason_text, "QOSMaxCpuPerUserLimit");
    assert_int_equal(tc_view(&t, other).state, JOB_RUNNING);
    tc_end(&t, first); /* and what it held back starts */
    assert_int_equal(tc_view(&t, second).state, JOB_RUNNING);
    tc_fini(&t);
}

static void safe_starts_only_what_can_end_within_its_minutes(void **state)
{
    struct tc t;
    const struct wish hour = {.minutes = 60}, more = {.minutes = 61};
    (void)state;
    tc_init(&t, "safe", 1, 8);
    tenants(&t);
    tc_must(&t, "modify account name=lab set grptresmins=cpu=60");
    assert_string_equal(reason_of(&t, &more), "AssocGrpCPUMinutesLimit");
    assert_string_equal(reason_of(&t, &hour), "runs");
    tc_fini(&t);
}

static void a_group_that_used_its_minutes_up_is_ended(void **state)
{
    struct tc t;
    struct err err = {0};
    const struct wish w = {.minutes = 600};
    (void)state;
    tc_init(&t, "limits", 1, 8);
    tenants(&t);
    tc_must(&t, "modify account name=lab set grptresmins=cpu=30");
    uint32_t id = tc_submit(&t, &w, &err);
    tc_pass(&t, t.now + 29 * MINUTE);
    assert_int_equal(tc_view(&t, id).state, JOB_RUNNING);
    tc_pass(&t, t.now + 6 * MINUTE); /* the next period */
    assert_int_equal(tc_view(&t, id).state, JOB_TIMEOUT);
    assert_string_equal(tc_view(&t, id).reason_text, "AssocGrpCPUMinutesLimit");
    tc_fini(&t);
}

static void deny_on_limit_refuses_what_can_never_run(void **state)
{
    struct tc t;
    struct err err = {0};
    const struct wish four = {.cpus = 4}, six = {.cpus = 6};
    (void)state;
    tc_init(&t, "limits,qos", 2, 8);
    tenants(&t);
    tc_must(&t, "modify qos name=normal set flags=DenyOnLimit grptres=cpu=5");
    assert_int_equal(tc_submit(&t, &six, &err), 0);
    assert_int_equal(err.code, SL_ELIMIT);
    assert_non_null(strstr(err.text, "QOSGrpCpuLimit"));
    uint32_t first = tc_submit(&t, &four, &err), second = tc_submit(&t, &four, &err);
    assert_int_equal(tc_view(&t, first).state, JOB_RUNNING);
    assert_string_equal(tc_view(&t, second).reason_text, "QOSGrpCpuLimit");
    tc_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_of_the_table_has_a_case),
        cmocka_unit_test(each_limit_blocks_when_it_should_and_names_itself),
        cmocka_unit_test(the_first_that_sets_a_job_limit_speaks_and_the_strictest_group),
        cmocka_unit_test(a_users_limit_in_a_qos_is_each_users_own),
        cmocka_unit_test(safe_starts_only_what_can_end_within_its_minutes),
        cmocka_unit_test(a_group_that_used_its_minutes_up_is_ended),
        cmocka_unit_test(deny_on_limit_refuses_what_can_never_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
