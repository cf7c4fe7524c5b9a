/* SPDX-License-Identifier: Apache-2.0
 *
 * Rules that join several keys.
 */
#include "conf/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/hostlist.h"
#include "base/limits.h"

static int fail(const struct conf *conf, struct err *err, int rc)
{
    if (err && conf->path[0])
        err_prefix(err, "%s", conf->path);
    return rc;
}

/* As many addresses as names. */
static int check_node_addr(const struct conf_node *n, size_t count, struct err *err)
{
    if (!n->addr[0])
        return 0;
    struct hostlist *hl = hostlist_create(n->addr, err);
    if (!hl)
        return err ? err_prefix(err, "nodes: %.64s: addr", n->names) : -EINVAL;
    size_t addrs = hostlist_count(hl);
    hostlist_destroy(hl);
    if (addrs == count)
        return 0;
    return err_set(err, -EINVAL, "nodes: %.64s: %zu addresses for %zu nodes", n->names,
                   addrs, count);
}

/* Adds the entry's names to `all`. */
static int check_node_entry(const struct conf_node *n, struct hostlist *all,
                            struct err *err)
{
    struct hostlist *hl = hostlist_create(n->names, err);
    if (!hl)
        return -EINVAL;
    int rc = 0;
    size_t count = hostlist_count(hl);
    if (strcasecmp(n->names, "ALL") == 0)
        rc = err_set(err, -EINVAL, "nodes: names = \"ALL\" describes no node");
    else if (count == 0)
        rc = err_set(err, -EINVAL, "nodes: names = \"%.64s\" names no node", n->names);
    else if (hostlist_count(all) + count > NODES_MAX)
        rc = err_set(err, -E2BIG, "nodes: more than %u nodes", NODES_MAX);
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = hostlist_push(all, hostlist_nth(hl, i), err);
    hostlist_destroy(hl);
    return rc == 0 ? check_node_addr(n, count, err) : rc;
}

/* Expands every entry into `all`, sorted; a node may be described once. */
static int check_nodes(const struct conf *conf, struct hostlist *all, struct err *err)
{
    for (size_t i = 0; i < conf->nodes_count; i++) {
        int rc = check_node_entry(&conf->nodes[i], all, err);
        if (rc < 0)
            return rc;
    }
    hostlist_sort(all);
    for (size_t i = 1; i < hostlist_count(all); i++)
        if (strcmp(hostlist_nth(all, i - 1), hostlist_nth(all, i)) == 0)
            return err_set(err, -EEXIST, "nodes: %s is described twice",
                           hostlist_nth(all, i));
    return 0;
}

static bool is_sorted_in(const struct hostlist *sorted, const char *name)
{
    size_t lo = 0, hi = hostlist_count(sorted);
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int c = hostname_compare(hostlist_nth(sorted, mid), name);
        if (c == 0)
            return true;
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return false;
}

/* Where only configured nodes may register, a partition must name such. */
static int check_partition_nodes(const struct conf *conf, const struct conf_partition *p,
                                 const struct hostlist *all, struct err *err)
{
    if (strcasecmp(p->nodes, "ALL") == 0 || conf->node_dynamic)
        return 0;
    struct hostlist *hl = hostlist_create(p->nodes, err);
    if (!hl)
        return -EINVAL;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < hostlist_count(hl); i++)
        if (!is_sorted_in(all, hostlist_nth(hl, i)))
            rc = err_set(err, -ENOENT, "partition %s: node %s is not in `nodes`, and "
                         "node.dynamic is false", p->name, hostlist_nth(hl, i));
    hostlist_destroy(hl);
    return rc;
}

static int check_partition(const struct conf_partition *p, struct err *err)
{
    if (p->nodes_max && p->nodes_min > p->nodes_max)
        return err_set(err, -EINVAL, "partition %s: min_nodes is above max_nodes", p->name);
    if (p->time_default != SPAN_INFINITE && p->time_default > p->time_max)
        return err_set(err, -EINVAL, "partition %s: default_time is above max_time",
                       p->name);
    if (p->time_default == SPAN_INFINITE && p->time_max != SPAN_INFINITE)
        return err_set(err, -EINVAL, "partition %s: default_time is above max_time",
                       p->name);
    if (p->mem_max_per_cpu_mib && p->mem_default_per_cpu_mib > p->mem_max_per_cpu_mib)
        return err_set(err, -EINVAL, "partition %s: mem_default_per_cpu is above "
                       "mem_max_per_cpu", p->name);
    if (p->mem_max_per_node_mib && p->mem_default_per_node_mib > p->mem_max_per_node_mib)
        return err_set(err, -EINVAL, "partition %s: mem_default_per_node is above "
                       "mem_max_per_node", p->name);
    return 0;
}

static int check_partitions(const struct conf *conf, const struct hostlist *all,
                            struct err *err)
{
    const char *the_default = NULL;
    for (size_t i = 0; i < conf->partitions_count; i++) {
        const struct conf_partition *p = &conf->partitions[i];
        for (size_t j = 0; j < i; j++)
            if (strcmp(p->name, conf->partitions[j].name) == 0)
                return err_set(err, -EEXIST, "partition %s is described twice", p->name);
        if (p->is_default && the_default)
            return err_set(err, -EEXIST, "partitions %s and %s are both the default",
                           the_default, p->name);
        if (p->is_default)
            the_default = p->name;
        int rc = check_partition(p, err);
        if (rc == 0)
            rc = check_partition_nodes(conf, p, all, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int check_top(const struct conf *conf, struct err *err)
{
    if (conf->job_id_first > conf->job_id_max)
        return err_set(err, -EINVAL, "jobs.id_first is above jobs.id_max");
    if (conf->node_ping_interval >= conf->node_timeout)
        return err_set(err, -EINVAL, "node.ping_interval must be below node.timeout");
    if (strncmp(conf->state_url, "sqlite:/", 8) == 0)
        return 0;
    if (strncmp(conf->state_url, "postgresql:", 11) == 0)
        return err_set(err, SL_ENOT_BUILT, "state: the PostgreSQL store is not built yet; "
                       "use sqlite:PATH");
    return err_set(err, -EINVAL, "state: \"%.64s\" is not sqlite: with an absolute path",
                   conf->state_url);
}

/* The fabric is described in one way. */
static int check_topology(const struct conf *conf, struct err *err)
{
    int ways = (conf->switches_count > 0) + (conf->blocks_count > 0) +
               (conf->topology_generate[0] != '\0') + (conf->topology_file[0] != '\0');
    if (ways > 1)
        return err_set(err, -EINVAL, "topology: give one of switches, blocks, topology.generate "
                       "and topology.ibnetdiscover");
    if (conf->topology_block_sizes[0] && conf->blocks_count == 0)
        return err_set(err, -EINVAL, "topology.block_sizes: there are no blocks");
    return 0;
}

int conf_check(const struct conf *conf, struct err *err)
{
    int rc = check_top(conf, err);
    if (rc == 0)
        rc = check_topology(conf, err);
    if (rc < 0)
        return fail(conf, err, rc);
    struct hostlist *all = hostlist_create("", err);
    rc = check_nodes(conf, all, err);
    if (rc == 0)
        rc = check_partitions(conf, all, err);
    hostlist_destroy(all);
    return rc < 0 ? fail(conf, err, rc) : 0;
}
