/* SPDX-License-Identifier: Apache-2.0 */
#include "topo/source.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include "base/limits.h"
#include "topo/topo.h"

#define SYNTHETIC_LEN_MAX 1023

/* hwloc builds every object that the text asks for, so that the product of the
 * level counts is bounded first. Attributes in () hold no counts. */
static int synthetic_check(const char *desc, struct err *err)
{
    uint64_t product = 1;
    if (strlen(desc) > SYNTHETIC_LEN_MAX)
        return err_set(err, -EINVAL, "synthetic topology: longer than %d characters",
                       SYNTHETIC_LEN_MAX);
    for (const char *p = desc; *p;) {
        if (*p == '(') {
            p += strcspn(p, ")");
            p += *p == ')';
        } else if (isdigit((unsigned char)*p) &&
                   (p == desc || p[-1] == ':' || p[-1] == ' ')) {
            uint64_t n = 0;
            for (; isdigit((unsigned char)*p); p++)
                n = n <= CPUS_PER_NODE_MAX ? n * 10 + (uint64_t)(*p - '0') : n;
            product *= n ? n : 1;
            if (product > CPUS_PER_NODE_MAX)
                return err_set(err, -E2BIG, "synthetic topology \"%.64s\": more than %u "
                               "CPUs", desc, CPUS_PER_NODE_MAX);
        } else {
            p++;
        }
    }
    return 0;
}

static int set_synthetic(hwloc_topology_t topo, const char *desc, struct err *err)
{
    int rc = synthetic_check(desc, err);
    if (rc < 0)
        return rc;
    if (hwloc_topology_set_synthetic(topo, desc) < 0)
        return err_set(err, -EINVAL, "synthetic topology \"%.128s\": hwloc does not "
                       "understand it (an example: \"pack:2 numa:2 core:8 pu:1\")", desc);
    return 0;
}

static int set_xml(hwloc_topology_t topo, const char *path, struct err *err)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return err_errno(err, "topology %s is neither real, synthetic:DESC nor an XML file",
                         path);
    if (!S_ISREG(st.st_mode) || st.st_size > (off_t)TOPO_XML_BYTES_MAX)
        return err_set(err, -EINVAL, "topology file %s: not a regular file of at most %u "
                       "bytes", path, TOPO_XML_BYTES_MAX);
    if (hwloc_topology_set_xml(topo, path) < 0)
        return err_set(err, -EINVAL, "topology file %s: not an hwloc XML file (make one "
                       "with lstopo FILE.xml)", path);
    return 0;
}

int topo_source_load(const char *source, hwloc_topology_t *topo, struct err *err)
{
    static const char synthetic[] = "synthetic:";
    hwloc_topology_t t;
    int rc = 0;
    if (hwloc_topology_init(&t) < 0)
        return err_set(err, -ENOMEM, "hwloc cannot start");
    if (strncmp(source, synthetic, sizeof synthetic - 1) == 0)
        rc = set_synthetic(t, source + sizeof synthetic - 1, err);
    else if (strcmp(source, "real") != 0)
        rc = set_xml(t, source, err);
    if (rc == 0 && hwloc_topology_load(t) < 0)
        rc = err_set(err, -EINVAL, "topology %.128s: hwloc cannot load it", source);
    if (rc < 0) {
        hwloc_topology_destroy(t);
        return rc;
    }
    *topo = t;
    return 0;
}
