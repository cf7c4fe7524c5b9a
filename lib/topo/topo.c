/* SPDX-License-Identifier: Apache-2.0 */
#include "topo/topo.h"

#include "base/buf.h"
#include "base/limits.h"

#include <errno.h>
#include <hwloc.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define DIGEST_BYTES 32

static char *set_text(hwloc_const_bitmap_t set)
{
    char *text = NULL;
    if (hwloc_bitmap_list_asprintf(&text, set) < 0 || !text)
        return xstrdup("");
    return text;
}

/* The topology object, loaded; NULL and *err. *synthetic: not this machine's. */
static hwloc_topology_t topology_load(const char *source, bool *synthetic, struct err *err)
{
    static const char SYNTHETIC[] = "synthetic:";
    hwloc_topology_t t;
    int rc = 0;

    *synthetic = strcmp(source, "real") != 0;
    if (hwloc_topology_init(&t) < 0) {
        err_errno(err, "hwloc_topology_init");
        return NULL;
    }
    if (strncmp(source, SYNTHETIC, strlen(SYNTHETIC)) == 0)
        rc = hwloc_topology_set_synthetic(t, source + strlen(SYNTHETIC));
    else if (*synthetic)
        rc = hwloc_topology_set_xml(t, source);
    if (rc < 0 || hwloc_topology_load(t) < 0) {
        err_set(err, -EINVAL,
                "topology \"%s\" cannot be read: give real, synthetic:\"pack:2 core:4 pu:1\" "
                "or a file that lstopo wrote",
                source);
        hwloc_topology_destroy(t);
        return NULL;
    }
    return t;
}

static uint32_t ancestor_index(hwloc_obj_t core, hwloc_obj_type_t type)
{
    for (hwloc_obj_t o = core; o; o = o->parent)
        if (o->type == type)
            return o->logical_index;
    return 0;
}

/* Logical index of the first NUMA node near the core. */
static uint32_t core_numa(hwloc_topology_t t, hwloc_obj_t core)
{
    for (hwloc_obj_t n = NULL; (n = hwloc_get_next_obj_by_type(t, HWLOC_OBJ_NUMANODE, n));)
        if (hwloc_bitmap_isincluded(core->cpuset, n->cpuset))
            return n->logical_index;
    return 0;
}

static void cores_fill(hwloc_topology_t t, Sl__NodeTopo *out)
{
    /* a topology without cores (some XML files) counts each PU as one */
    int have = hwloc_get_nbobjs_by_type(t, HWLOC_OBJ_CORE);
    hwloc_obj_type_t type = have > 0 ? HWLOC_OBJ_CORE : HWLOC_OBJ_PU;
    size_t n = (size_t)hwloc_get_nbobjs_by_type(t, type);
    out->cores = (uint32_t)n;
    out->n_core_cpus = out->n_core_socket = out->n_core_numa = n;
    out->core_cpus = xcalloc(n, sizeof(*out->core_cpus));
    out->core_socket = xcalloc(n, sizeof(*out->core_socket));
    out->core_numa = xcalloc(n, sizeof(*out->core_numa));
    for (size_t i = 0; i < n; i++) {
        hwloc_obj_t core = hwloc_get_obj_by_type(t, type, (unsigned)i);
        uint32_t threads = (uint32_t)hwloc_bitmap_weight(core->cpuset);
        out->core_cpus[i] = set_text(core->cpuset);
        out->core_socket[i] = ancestor_index(core, HWLOC_OBJ_PACKAGE);
        out->core_numa[i] = core_numa(t, core);
        out->cpus += threads;
        if (threads > out->threads_per_core)
            out->threads_per_core = threads;
    }
}

static void numa_fill(hwloc_topology_t t, Sl__NodeTopo *out)
{
    size_t n = (size_t)hwloc_get_nbobjs_by_type(t, HWLOC_OBJ_NUMANODE);
    out->numa = xcalloc(n, sizeof(*out->numa));
    out->n_numa = n;
    for (size_t i = 0; i < n; i++) {
        hwloc_obj_t o = hwloc_get_obj_by_type(t, HWLOC_OBJ_NUMANODE, (unsigned)i);
        Sl__NumaNode *m = xmalloc(sizeof(*m));
        sl__numa_node__init(m);
        m->os_index = o->os_index;
        m->cpus = set_text(o->cpuset);
        m->mem_mib = o->attr->numanode.local_memory >> 20;
        out->numa[i] = m;
    }
}

static int digest_fill(hwloc_topology_t t, Sl__NodeTopo *out, struct err *err)
{
    char *xml = NULL;
    int len = 0;
    unsigned n = DIGEST_BYTES;
    if (hwloc_topology_export_xmlbuffer(t, &xml, &len, 0) < 0)
        return err_errno(err, "hwloc cannot export the topology");
    out->digest.data = xmalloc(DIGEST_BYTES);
    out->digest.len = DIGEST_BYTES;
    int good = EVP_Digest(xml, (size_t)len, out->digest.data, &n, EVP_sha256(), NULL);
    hwloc_free_xmlbuffer(t, xml);
    return good == 1 ? 0 : err_set(err, -EIO, "SHA-256 of the topology failed");
}

Sl__NodeTopo *topo_read(const char *source, uint64_t *mem_mib, struct err *err)
{
    bool synthetic;
    hwloc_topology_t t = topology_load(source, &synthetic, err);
    if (!t)
        return NULL;
    Sl__NodeTopo *out = xmalloc(sizeof(*out));
    sl__node_topo__init(out);
    int sockets = hwloc_get_nbobjs_by_type(t, HWLOC_OBJ_PACKAGE);
    out->sockets = sockets > 0 ? (uint32_t)sockets : 1;
    out->synthetic = synthetic;
    cores_fill(t, out);
    numa_fill(t, out);
    int rc = digest_fill(t, out, err);
    hwloc_topology_destroy(t);
    if (rc == 0)
        rc = topo_check(out, err);
    if (rc < 0) {
        sl__node_topo__free_unpacked(out, NULL);
        return NULL;
    }
    if (mem_mib) {
        *mem_mib = 0;
        for (size_t i = 0; i < out->n_numa; i++)
            *mem_mib += out->numa[i]->mem_mib;
    }
    return out;
}

char *topo_describe(const Sl__NodeTopo *t)
{
    return xasprintf("%u socket%s, %zu NUMA node%s, %u core%s, %u CPU%s", t->sockets,
                     t->sockets == 1 ? "" : "s", t->n_numa, t->n_numa == 1 ? "" : "s",
                     t->cores, t->cores == 1 ? "" : "s", t->cpus, t->cpus == 1 ? "" : "s");
}

/* The core's PUs join `seen`; an error when one is in it already or is out of range. */
static int core_check(const Sl__NodeTopo *t, size_t i, hwloc_bitmap_t seen, struct err *err)
{
    hwloc_bitmap_t set = hwloc_bitmap_alloc();
    int rc = 0;
    if (!set || hwloc_bitmap_list_sscanf(set, t->core_cpus[i]) < 0)
        rc = err_set(err, -EINVAL, "topology: core %zu: \"%.64s\" is no CPU list", i,
                     t->core_cpus[i]);
    else if (hwloc_bitmap_iszero(set) || hwloc_bitmap_last(set) < 0)
        rc = err_set(err, -EINVAL, "topology: core %zu has no CPU, or endless ones", i);
    else if (hwloc_bitmap_intersects(set, seen))
        rc = err_set(err, -EINVAL, "topology: a CPU of core %zu belongs to another too", i);
    else if (t->core_socket[i] >= t->sockets)
        rc = err_set(err, -EINVAL, "topology: core %zu: socket %u of %u", i,
                     t->core_socket[i], t->sockets);
    else if (t->n_numa && t->core_numa[i] >= t->n_numa)
        rc = err_set(err, -EINVAL, "topology: core %zu: NUMA node %u of %zu", i,
                     t->core_numa[i], t->n_numa);
    else
        hwloc_bitmap_or(seen, seen, set);
    hwloc_bitmap_free(set);
    return rc;
}

int topo_check(const Sl__NodeTopo *t, struct err *err)
{
    int rc = 0;
    if (t->cores == 0 || t->cpus > CPUS_PER_NODE_MAX || t->cores > t->cpus)
        return err_set(err, -EINVAL, "topology: %u cores with %u CPUs (at most %u)",
                       t->cores, t->cpus, CPUS_PER_NODE_MAX);
    if (t->n_core_cpus != t->cores || t->n_core_socket != t->cores ||
        t->n_core_numa != t->cores)
        return err_set(err, -EINVAL, "topology: %u cores but tables of %zu, %zu and %zu",
                       t->cores, t->n_core_cpus, t->n_core_socket, t->n_core_numa);
    if (t->sockets == 0 || t->sockets > t->cores || t->n_numa > t->cpus ||
        t->threads_per_core == 0)
        return err_set(err, -EINVAL, "topology: %u sockets, %zu NUMA nodes, %u threads a core",
                       t->sockets, t->n_numa, t->threads_per_core);
    hwloc_bitmap_t seen = hwloc_bitmap_alloc();
    for (size_t i = 0; rc == 0 && i < t->cores; i++)
        rc = core_check(t, i, seen, err);
    if (rc == 0 && hwloc_bitmap_weight(seen) != (int)t->cpus)
        rc = err_set(err, -EINVAL, "topology: cores hold %d CPUs, %u are claimed",
                     hwloc_bitmap_weight(seen), t->cpus);
    hwloc_bitmap_free(seen);
    return rc;
}
