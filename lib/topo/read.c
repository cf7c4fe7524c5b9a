/* SPDX-License-Identifier: Apache-2.0
 *
 * From hwloc's tree to flat tables. A machine whose kernel shows no cores (some
 * containers and virtual machines) counts each PU as a core.
 */
#include "topo/topo.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/limits.h"
#include "topo/source.h"

static char *cpus_text(hwloc_const_bitmap_t set)
{
    char *s = NULL;
    ASSERT(hwloc_bitmap_list_asprintf(&s, set) >= 0);
    return s;
}

static uint32_t count_of(hwloc_topology_t h, hwloc_obj_type_t type)
{
    int n = hwloc_get_nbobjs_by_type(h, type);
    return n > 0 ? (uint32_t)n : 0;
}

/* The NUMA node nearest to a core: the smallest whose CPUs include it; of several
 * (memory of two kinds) the first, which hwloc orders as the ordinary one. */
static uint32_t core_numa(hwloc_topology_t h, hwloc_obj_t core)
{
    uint32_t best = 0;
    int best_weight = -1;
    for (uint32_t i = 0; i < count_of(h, HWLOC_OBJ_NUMANODE); i++) {
        hwloc_obj_t n = hwloc_get_obj_by_type(h, HWLOC_OBJ_NUMANODE, i);
        int weight = hwloc_bitmap_weight(n->cpuset);
        if (hwloc_bitmap_intersects(core->cpuset, n->cpuset) &&
            (best_weight < 0 || weight < best_weight)) {
            best = i;
            best_weight = weight;
        }
    }
    return best;
}

static void read_cores(hwloc_topology_t h, hwloc_obj_type_t type, Sl__NodeTopo *t)
{
    t->n_core_cpus = t->n_core_socket = t->n_core_numa = t->cores;
    t->core_cpus = xcalloc(t->cores, sizeof t->core_cpus[0]);
    t->core_socket = xcalloc(t->cores, sizeof t->core_socket[0]);
    t->core_numa = xcalloc(t->cores, sizeof t->core_numa[0]);
    for (uint32_t i = 0; i < t->cores; i++) {
        hwloc_obj_t core = hwloc_get_obj_by_type(h, type, i);
        hwloc_obj_t socket = hwloc_get_ancestor_obj_by_type(h, HWLOC_OBJ_PACKAGE, core);
        uint32_t threads = (uint32_t)hwloc_bitmap_weight(core->cpuset);
        t->core_cpus[i] = cpus_text(core->cpuset);
        t->core_socket[i] = socket ? socket->logical_index : 0;
        t->core_numa[i] = core_numa(h, core);
        t->cpus += threads;
        if (threads > t->threads_per_core)
            t->threads_per_core = threads;
    }
}

static void read_numa(hwloc_topology_t h, Sl__NodeTopo *t)
{
    t->n_numa = count_of(h, HWLOC_OBJ_NUMANODE);
    t->numa = xcalloc(t->n_numa, sizeof t->numa[0]);
    for (size_t i = 0; i < t->n_numa; i++) {
        hwloc_obj_t n = hwloc_get_obj_by_type(h, HWLOC_OBJ_NUMANODE, (unsigned)i);
        Sl__NumaNode *m = t->numa[i] = xmalloc(sizeof *m);
        sl__numa_node__init(m);
        m->os_index = n->os_index;
        m->cpus = cpus_text(n->cpuset);
        m->mem_mib = n->attr->numanode.local_memory >> 20;
    }
}

/* Equal tables give equal digests: protobuf-c packs fields in number order. */
static void add_digest(Sl__NodeTopo *t)
{
    size_t n = sl__node_topo__get_packed_size(t);
    uint8_t *packed = xmalloc(n);
    unsigned char md[EVP_MAX_MD_SIZE];
    unsigned md_len = 0;
    sl__node_topo__pack(t, packed);
    ASSERT(EVP_Digest(packed, n, md, &md_len, EVP_sha256(), NULL) == 1);
    free(packed);
    t->digest.data = xmalloc(md_len);
    t->digest.len = md_len;
    for (unsigned i = 0; i < md_len; i++)
        t->digest.data[i] = md[i];
}

Sl__NodeTopo *topo_read(const char *source, uint64_t *mem_mib, struct err *err)
{
    hwloc_topology_t h;
    if (topo_source_load(source, &h, err) < 0)
        return NULL;
    Sl__NodeTopo *t = xmalloc(sizeof *t);
    sl__node_topo__init(t);
    hwloc_obj_type_t core_type =
        count_of(h, HWLOC_OBJ_CORE) ? HWLOC_OBJ_CORE : HWLOC_OBJ_PU;
    uint32_t sockets = count_of(h, HWLOC_OBJ_PACKAGE);
    t->sockets = sockets ? sockets : 1;
    t->cores = count_of(h, core_type);
    t->synthetic = !hwloc_topology_is_thissystem(h);
    uint64_t memory = hwloc_get_root_obj(h)->total_memory;
    if (t->cores <= CPUS_PER_NODE_MAX) {
        read_cores(h, core_type, t);
        read_numa(h, t);
        add_digest(t);
    }
    hwloc_topology_destroy(h);
    if (topo_check(t, err) < 0) {
        if (err)
            err_prefix(err, "topology %.128s", source);
        sl__node_topo__free_unpacked(t, NULL);
        return NULL;
    }
    if (mem_mib)
        *mem_mib = memory >> 20;
    return t;
}

static void describe_count(struct buf *out, unsigned n, const char *what)
{
    buf_printf(out, "%s%u %s%s", out->len ? ", " : "", n, what, n == 1 ? "" : "s");
}

char *topo_describe(const Sl__NodeTopo *t)
{
    struct buf out;
    buf_init(&out);
    describe_count(&out, t->sockets, "socket");
    describe_count(&out, (unsigned)t->n_numa, "NUMA node");
    describe_count(&out, t->cores, "core");
    describe_count(&out, t->cpus, "CPU");
    return buf_steal(&out);
}
