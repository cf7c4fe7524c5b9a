/* SPDX-License-Identifier: Apache-2.0
 *
 * source: a loaded hwloc topology from "real", "synthetic:DESC" or an XML file.
 * Internal to lib/topo.
 */
#ifndef SL_TOPO_SOURCE_H
#define SL_TOPO_SOURCE_H

#include <hwloc.h>

#include "base/err.h"

/* 0 and *topo (hwloc_topology_destroy() it), or negative and *err. */
int topo_source_load(const char *source, hwloc_topology_t *topo, struct err *err);

#endif
