/* SPDX-License-Identifier: Apache-2.0
 *
 * topo: what one node is made of, and (later) the fabric between nodes.
 *
 * topo_read() asks hwloc: the real machine, an XML file that lstopo recorded, or
 * hwloc's synthetic notation ("pack:2 numa:2 core:8 pu:1"), and turns it into
 * the flat tables that the wire carries (Sl__NodeTopo) and the core plans with:
 * cores in hwloc logical order, so that neighbours in index share caches, each
 * with its socket, NUMA node and PUs. Accelerators and RDMA NICs are read from
 * sysfs by slurmlike-d, which adds their locality.
 *
 * The fabric graph (tree, fat-tree, dragonfly, rails, blocks) lands here with the
 * scheduling issue; its place in the node record is `uplink`.
 */
#ifndef SL_TOPO_TOPO_H
#define SL_TOPO_TOPO_H

#include "base/err.h"
#include "wire/slurmlike.pb-c.h"

/* Bounds beside those of limits.h. */
#define TOPO_CPU_INDEX_MAX 65535u     /* operating system numbers may have gaps */
#define TOPO_NUMA_MAX 1024u
#define TOPO_XML_BYTES_MAX (64u << 20)

/* source: "real", "synthetic:DESC", or a path of an hwloc XML file. Returns an
 * allocated message (sl__node_topo__free_unpacked(t, NULL) frees it; it is
 * malloc-allocated throughout) or NULL. mem_mib: total memory (may be NULL). */
Sl__NodeTopo *topo_read(const char *source, uint64_t *mem_mib, struct err *err);
/* One line: "2 sockets, 4 NUMA nodes, 16 cores, 32 CPUs". */
char *topo_describe(const Sl__NodeTopo *t); /* caller frees */
/* Range checks on a topology from the wire: counts agree, indices in range,
 * no PU twice, bounds as above and in limits.h. */
int topo_check(const Sl__NodeTopo *t, struct err *err);

#endif
