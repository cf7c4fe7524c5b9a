/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "topo/topo.h"

static void put(char **s, const char *text)
{
    free(*s);
    *s = xstrdup(text);
}

static void hostile_sources_are_refused(void **state)
{
    static const char *const bad[] = {"", "synthetic:", "synthetic:zork:2", "/nonexistent",
        "/dev/null", "/", "synthetic:pack:1000 core:1000 pu:1000",
        "synthetic:core:4294967297 pu:1", "synthetic:core:99999999999999999999 pu:1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct err err = {0};
        if (topo_read(bad[i], NULL, &err))
            fail_msg("\"%s\" was accepted", bad[i]);
        assert_true(err.code < 0 && err.text[0]);
    }
}

static void a_description_becomes_tables(void **state)
{
    struct err err;
    uint64_t mib = 0;
    Sl__NodeTopo *t = topo_read("synthetic:pack:2 numa:2 core:8 pu:2", &mib, &err);
    assert_non_null(t);
    assert_int_equal(t->sockets, 2);
    assert_int_equal(t->cores, 32);
    assert_int_equal(t->cpus, 64);
    assert_int_equal(t->threads_per_core, 2);
    assert_int_equal(t->n_numa, 4);
    assert_true(t->synthetic);
    assert_string_equal(t->core_cpus[0], "0-1");
    assert_int_equal(t->core_socket[31], 1);
    assert_int_equal(t->core_numa[8], 1);
    assert_string_equal(t->numa[3]->cpus, "48-63");
    assert_int_equal(t->digest.len, 32);
    assert_true(mib > 0);
    char *s = topo_describe(t);
    assert_string_equal(s, "2 sockets, 4 NUMA nodes, 32 cores, 64 CPUs");
    free(s);
    Sl__NodeTopo *same = topo_read("synthetic:pack:2 numa:2 core:8 pu:2", NULL, NULL);
    Sl__NodeTopo *other = topo_read("synthetic:pack:2 numa:2 core:8 pu:1", NULL, NULL);
    assert_memory_equal(t->digest.data, same->digest.data, 32);
    assert_memory_not_equal(t->digest.data, other->digest.data, 32);
    sl__node_topo__free_unpacked(same, NULL);
    sl__node_topo__free_unpacked(other, NULL);
    sl__node_topo__free_unpacked(t, NULL);
}

static void this_machine_can_be_read(void **state)
{
    struct err err;
    uint64_t mib;
    Sl__NodeTopo *t = topo_read("real", &mib, &err);
    if (!t)
        fail_msg("%s", err.text);
    assert_true(t->cpus >= 1);
    assert_int_equal(topo_check(t, NULL), 0);
    sl__node_topo__free_unpacked(t, NULL);
}

enum damage { CORES, CPUS, SOCKETS, THREADS, TABLE, NUMA_NONE, SOCKET_INDEX, NUMA_INDEX,
              CPU_TWICE, CPU_HUGE, CPU_ENDLESS, CPU_NONE, CPU_TEXT, CPU_BACKWARDS, CPU_COMMA,
              NUMA_TEXT, DIGEST, DAMAGE_COUNT };

static void damage(Sl__NodeTopo *t, enum damage d)
{
    switch (d) {
    case CORES: t->cores = UINT32_MAX; break;
    case CPUS: t->cpus++; break;
    case SOCKETS: t->sockets = 0; break;
    case THREADS: t->threads_per_core = 0; break;
    case TABLE: t->n_core_numa--; break;
    case NUMA_NONE: t->n_numa = 0; break;
    case SOCKET_INDEX: t->core_socket[1] = 2; break;
    case NUMA_INDEX: t->core_numa[1] = UINT32_MAX; break;
    case CPU_TWICE: put(&t->core_cpus[1], "0"); break;
    case CPU_HUGE: put(&t->core_cpus[1], "4294967295"); break;
    case CPU_ENDLESS: put(&t->core_cpus[1], "1-"); break;
    case CPU_NONE: put(&t->core_cpus[1], ""); break;
    case CPU_TEXT: put(&t->core_cpus[1], "x"); break;
    case CPU_BACKWARDS: put(&t->core_cpus[1], "3-1"); break;
    case CPU_COMMA: put(&t->core_cpus[1], "1,"); break;
    case NUMA_TEXT: put(&t->numa[0]->cpus, "0-99999999999999999999"); break;
    case DIGEST: t->digest.len = 31; break;
    case DAMAGE_COUNT: break;
    }
}

static void damaged_tables_are_refused(void **state)
{
    for (int d = 0; d < DAMAGE_COUNT; d++) {
        struct err err = {0};
        Sl__NodeTopo *t = topo_read("synthetic:pack:2 core:2 pu:1", NULL, NULL);
        assert_int_equal(topo_check(t, &err), 0);
        size_t numa = t->n_numa;
        damage(t, (enum damage)d);
        if (topo_check(t, &err) >= 0)
            fail_msg("damage %d was accepted", d);
        assert_true(err.text[0]);
        t->n_numa = numa;
        t->n_core_numa = 4;
        sl__node_topo__free_unpacked(t, NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hostile_sources_are_refused),
        cmocka_unit_test(a_description_becomes_tables),
        cmocka_unit_test(this_machine_can_be_read),
        cmocka_unit_test(damaged_tables_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
