/* SPDX-License-Identifier: Apache-2.0
 *
 * The machine's topology, for libpmix and for clients (which else would each ask the kernel
 * for it). Reading it costs 13 ms, loading libhwloc's plugins 2 ms more (hwloc 2.9, 4
 * cores, 2026-11): the zygote does the one, once, and nobody needs the other.
 */
#include "stepd/pmix/server.h"

hwloc_topology_t topology;
char *topology_xml;

int topology_load(struct err *err)
{
    hwloc_topology_t t;
    int bytes;
    if (hwloc_topology_init(&t) < 0)
        return err_errno(err, "hwloc cannot start");
    hwloc_topology_set_io_types_filter(t, HWLOC_TYPE_FILTER_KEEP_IMPORTANT);
    if (hwloc_topology_load(t) < 0) {
        err_errno(err, "hwloc cannot read this machine's topology");
        hwloc_topology_destroy(t);
        return err->code;
    }
    if (hwloc_topology_export_xmlbuffer(t, &topology_xml, &bytes, 0) < 0)
        topology_xml = NULL; /* clients read the machine themselves */
    topology = t;
    return 0;
}
