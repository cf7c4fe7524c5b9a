/* SPDX-License-Identifier: Apache-2.0
 *
 * Nothing of a peer's topology is trusted. CPU lists are checked here by
 * character before hwloc sees them, because hwloc allocates up to the largest
 * number and takes an open range ("3-") as infinite.
 */
#include "topo/topo.h"

#include <ctype.h>
#include <errno.h>
#include <hwloc.h>
#include <stdbool.h>
#include <string.h>

#include "base/limits.h"

#define LIST_LEN_MAX 32768
#define DIGEST_BYTES 32

/* One number of a list; -1 when there is none or it is too large. */
static long list_number(const char **p)
{
    long v = 0;
    if (!isdigit((unsigned char)**p))
        return -1;
    for (; isdigit((unsigned char)**p); (*p)++) {
        v = v * 10 + (**p - '0');
        if (v > (long)TOPO_CPU_INDEX_MAX)
            return -1;
    }
    return v;
}

/* "" or "0-3,8": into set. */
static int list_read(const char *what, size_t index, const char *text, hwloc_bitmap_t set,
                     struct err *err)
{
    const char *p = text;
    bool good = strnlen(text, LIST_LEN_MAX + 1) <= LIST_LEN_MAX;
    hwloc_bitmap_zero(set);
    while (good && *p) {
        long lo = list_number(&p), hi = lo;
        if (*p == '-') {
            p++;
            hi = list_number(&p);
        }
        good = lo >= 0 && hi >= lo && (*p == '\0' || (*p == ',' && p[1]));
        if (good)
            hwloc_bitmap_set_range(set, (unsigned)lo, (int)hi);
        p += *p == ',';
    }
    if (!good)
        return err_set(err, -EINVAL, "%s %zu: \"%.64s\" is not a list of CPUs (numbers up "
                       "to %u)", what, index, text, TOPO_CPU_INDEX_MAX);
    return 0;
}

static int check_counts(const Sl__NodeTopo *t, struct err *err)
{
    if (t->cores < 1 || t->cores > CPUS_PER_NODE_MAX || t->cpus < t->cores ||
        t->cpus > CPUS_PER_NODE_MAX)
        return err_set(err, -ERANGE, "%u cores with %u CPUs (1 to %u are possible)",
                       t->cores, t->cpus, CPUS_PER_NODE_MAX);
    if (t->sockets < 1 || t->sockets > t->cores)
        return err_set(err, -ERANGE, "%u sockets for %u cores", t->sockets, t->cores);
    if (t->threads_per_core < 1 || t->threads_per_core > t->cpus)
        return err_set(err, -ERANGE, "%u threads in a core, %u CPUs in all",
                       t->threads_per_core, t->cpus);
    if (t->n_numa < 1 || t->n_numa > TOPO_NUMA_MAX)
        return err_set(err, -ERANGE, "%zu NUMA nodes (1 to %u are possible)", t->n_numa,
                       TOPO_NUMA_MAX);
    if (t->n_core_cpus != t->cores || t->n_core_socket != t->cores ||
        t->n_core_numa != t->cores)
        return err_set(err, -EINVAL, "%u cores, but tables of %zu, %zu and %zu", t->cores,
                       t->n_core_cpus, t->n_core_socket, t->n_core_numa);
    if (t->digest.len != 0 && t->digest.len != DIGEST_BYTES)
        return err_set(err, -EINVAL, "a digest of %zu bytes", t->digest.len);
    return 0;
}

/* `set` is scratch; `seen` collects the PUs of all cores. */
static int check_core(const Sl__NodeTopo *t, size_t i, hwloc_bitmap_t set,
                      hwloc_bitmap_t seen, struct err *err)
{
    if (t->core_socket[i] >= t->sockets)
        return err_set(err, -ERANGE, "core %zu: socket %u of %u", i, t->core_socket[i],
                       t->sockets);
    if (t->core_numa[i] >= t->n_numa)
        return err_set(err, -ERANGE, "core %zu: NUMA node %u of %zu", i, t->core_numa[i],
                       t->n_numa);
    int rc = list_read("core", i, t->core_cpus[i], set, err);
    if (rc < 0)
        return rc;
    int threads = hwloc_bitmap_weight(set);
    if (threads < 1 || (unsigned)threads > t->threads_per_core)
        return err_set(err, -ERANGE, "core %zu: %d CPUs, at most %u in a core", i, threads,
                       t->threads_per_core);
    if (hwloc_bitmap_intersects(set, seen))
        return err_set(err, -EEXIST, "core %zu: CPUs %.64s belong to another core too", i,
                       t->core_cpus[i]);
    hwloc_bitmap_or(seen, seen, set);
    return 0;
}

static int check_tables(const Sl__NodeTopo *t, hwloc_bitmap_t set, hwloc_bitmap_t seen,
                        struct err *err)
{
    int rc;
    for (size_t i = 0; i < t->cores; i++)
        if ((rc = check_core(t, i, set, seen, err)) < 0)
            return rc;
    if ((unsigned)hwloc_bitmap_weight(seen) != t->cpus)
        return err_set(err, -EINVAL, "%u CPUs, but the cores hold %d", t->cpus,
                       hwloc_bitmap_weight(seen));
    for (size_t i = 0; i < t->n_numa; i++)
        if ((rc = list_read("NUMA node", i, t->numa[i]->cpus, set, err)) < 0)
            return rc;
    return 0;
}

int topo_check(const Sl__NodeTopo *t, struct err *err)
{
    int rc = check_counts(t, err);
    if (rc < 0)
        return rc;
    hwloc_bitmap_t set = hwloc_bitmap_alloc(), seen = hwloc_bitmap_alloc();
    ASSERT(set && seen);
    rc = check_tables(t, set, seen, err);
    hwloc_bitmap_free(set);
    hwloc_bitmap_free(seen);
    return rc;
}
