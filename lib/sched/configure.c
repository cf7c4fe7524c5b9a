/* SPDX-License-Identifier: Apache-2.0
 *
 * Partitions and configured nodes, from the configuration and from scontrol.
 */
#include "sched/license.h"
#include "sched/order.h"
#include "sched/plan.h"

#include "base/buf.h"
#include "base/hostlist.h"
#include "sched/priority.h"
#include "sched/tres.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *const part_state_name[PART_STATE_COUNT] = {"UP", "DOWN", "DRAIN",
                                                              "INACTIVE"};

long parts_find(const struct core *c, const char *name)
{
    for (uint32_t i = 0; i < c->parts; i++)
        if (strcmp(c->part[i].conf.name, name) == 0)
            return i;
    return -1;
}

static const char *copy(const char *s)
{
    return xstrdup(s ? s : "");
}

static void part_copy(struct partition *p, const struct core_partition *from)
{
    p->conf = *from;
    p->conf.name = copy(from->name);
    p->conf.nodes = copy(from->nodes);
    p->conf.state = copy(from->state && from->state[0] ? from->state : "UP");
    p->conf.allow_groups = copy(from->allow_groups);
    p->conf.allow_accounts = copy(from->allow_accounts);
    p->conf.deny_accounts = copy(from->deny_accounts);
    p->conf.allow_qos = copy(from->allow_qos);
    p->conf.preempt_mode = copy(from->preempt_mode);
    p->conf.qos = copy(from->qos);
    p->conf.tres_billing_weights = copy(from->tres_billing_weights);
}

static void part_fini(struct partition *p)
{
    free((char *)p->conf.name);
    free((char *)p->conf.nodes);
    free((char *)p->conf.state);
    free((char *)p->conf.allow_groups);
    free((char *)p->conf.allow_accounts);
    free((char *)p->conf.deny_accounts);
    free((char *)p->conf.allow_qos);
    free((char *)p->conf.preempt_mode);
    free((char *)p->conf.qos);
    free((char *)p->conf.tres_billing_weights);
    free(p->weight);
    free(p->nodes);
    free(p->nodes_text);
    for (size_t i = 0; i < p->overrides_count; i++) {
        free(p->override[i].key);
        free(p->override[i].value);
    }
    free(p->override);
    memset(p, 0, sizeof *p);
}

void parts_fini(struct core *c)
{
    for (uint32_t i = 0; i < c->parts; i++)
        part_fini(&c->part[i]);
    free(c->part);
    c->part = NULL;
    c->parts = 0;
}

static int part_state_parse(const char *text)
{
    for (int i = 0; i < PART_STATE_COUNT; i++)
        if (strcasecmp(text, part_state_name[i]) == 0)
            return i;
    return -1;
}

usec_t parts_limit(const struct partition *p, usec_t asked)
{
    if (asked)
        return asked;
    return p->conf.time_default ? p->conf.time_default : p->conf.time_max;
}

/* Node set of one partition; unknown names stay out until such a node registers. */
static void part_derive(struct core *c, struct partition *p)
{
    free(p->nodes);
    free(p->nodes_text);
    p->nodes_text = NULL;
    p->nodes_count = 0;
    p->nodes = xcalloc(c->words ? c->words : 1, sizeof *p->nodes);
    if (strcasecmp(p->conf.nodes, "ALL") == 0) {
        for (uint32_t i = 0; i < c->nodes; i++)
            bs_set(p->nodes, i);
    } else {
        struct hostlist *hl = hostlist_create(p->conf.nodes, NULL);
        for (size_t i = 0; hl && i < hostlist_count(hl); i++) {
            long n = core_node_find(c, hostlist_nth(hl, i));
            if (n >= 0)
                bs_set(p->nodes, (size_t)n);
        }
        hostlist_destroy(hl);
    }
    p->nodes_count = (uint32_t)bs_count(p->nodes, c->words);
}

void parts_derive(struct core *c)
{
    for (uint32_t i = 0; i < c->parts; i++)
        part_derive(c, &c->part[i]);
    for (uint32_t i = 0; i < c->nodes; i++) {
        free(c->node[i].partitions_text);
        c->node[i].partitions_text = NULL;
    }
    c->nodes_gen++;
    plan_afresh(c);
}

/* ---- scontrol update partitionname= ---------------------------------------------------- */

static int set_span(const char *key, const char *value, usec_t *out, struct err *err)
{
    if (span_parse(value, out, err) < 0)
        return err_prefix(err, "%s", key);
    return 0;
}

static int set_u32(const char *key, const char *value, uint32_t *out, struct err *err)
{
    uint64_t n;
    if (num_parse_u64(key, value, 0, UINT32_MAX, &n, err) < 0)
        return err->code;
    *out = (uint32_t)n;
    return 0;
}

static int set_yes(const char *key, const char *value, bool *out, struct err *err)
{
    if (strcasecmp(value, "yes") != 0 && strcasecmp(value, "no") != 0)
        return err_set(err, SL_EINVAL_FIELD, "%s=%s: YES or NO is wanted", key, value);
    *out = strcasecmp(value, "yes") == 0;
    return 0;
}

static int set_text(const char **at, const char *value)
{
    free((char *)*at);
    *at = xstrdup(value);
    return 0;
}

static int set_mem(const char *key, const char *value, uint64_t *out, struct err *err)
{
    if (strcasecmp(value, "UNLIMITED") == 0) {
        *out = 0;
        return 0;
    }
    return mem_parse_mib(value, out, err) < 0 ? err_prefix(err, "%s", key) : 0;
}

static int set_state(struct partition *p, const char *value, struct err *err)
{
    int s = part_state_parse(value);
    if (s < 0)
        return err_set(err, SL_EINVAL_FIELD, "State=%s: UP, DOWN, DRAIN or INACTIVE is wanted",
                       value);
    p->state = (enum part_state)s;
    return set_text(&p->conf.state, part_state_name[s]);
}

static int set_default(struct core *c, uint32_t i, const char *value, struct err *err)
{
    bool on;
    int rc = set_yes("Default", value, &on, err);
    for (uint32_t k = 0; rc == 0 && on && k < c->parts; k++)
        c->part[k].conf.is_default = false;
    if (rc == 0)
        c->part[i].conf.is_default = on;
    return rc;
}

static int set_nodes(struct core *c, struct partition *p, const char *value, struct err *err)
{
    struct hostlist *hl = hostlist_create(strcasecmp(value, "ALL") == 0 ? "" : value, err);
    if (!hl)
        return err_prefix(err, "Nodes=%s", value);
    hostlist_destroy(hl);
    set_text(&p->conf.nodes, value);
    part_derive(c, p);
    return 0;
}

enum part_kind { PART_SPAN, PART_U32, PART_YES, PART_TEXT, PART_MEM, PART_SECONDS };
static const struct {
    const char *key;
    enum part_kind kind;
    size_t where; /* in struct core_partition */
} part_keys[] = {
#define AT(member) offsetof(struct core_partition, member)
    {"MaxTime", PART_SPAN, AT(time_max)},
    {"DefaultTime", PART_SPAN, AT(time_default)},
    {"MinNodes", PART_U32, AT(nodes_min)},
    {"MaxNodes", PART_U32, AT(nodes_max)},
    {"PriorityTier", PART_U32, AT(priority_tier)},
    {"PriorityJobFactor", PART_U32, AT(priority_job_factor)},
    {"Hidden", PART_YES, AT(is_hidden)},
    {"RootOnly", PART_YES, AT(root_only)},
    {"AllowGroups", PART_TEXT, AT(allow_groups)},
    {"AllowAccounts", PART_TEXT, AT(allow_accounts)},
    {"DenyAccounts", PART_TEXT, AT(deny_accounts)},
    {"AllowQos", PART_TEXT, AT(allow_qos)},
    {"DefMemPerCPU", PART_MEM, AT(mem_default_per_cpu_mib)},
    {"DefMemPerNode", PART_MEM, AT(mem_default_per_node_mib)},
    {"MaxMemPerCPU", PART_MEM, AT(mem_max_per_cpu_mib)},
    {"MaxMemPerNode", PART_MEM, AT(mem_max_per_node_mib)},
    {"GraceTime", PART_SECONDS, AT(grace_time)},
#undef AT
};
#define PART_KEYS_COUNT (sizeof part_keys / sizeof *part_keys)

static int set_key(struct core_partition *p, size_t k, const char *value, struct err *err)
{
    void *at = (char *)p + part_keys[k].where;
    const char *key = part_keys[k].key;
    uint32_t seconds;
    int rc;
    switch (part_keys[k].kind) {
    case PART_SPAN:
        return set_span(key, value, at, err);
    case PART_U32: /* the only ones that may be unlimited are counts of nodes: 0 */
        return set_u32(key, strcasecmp(value, "UNLIMITED") == 0 ? "0" : value, at, err);
    case PART_YES:
        return set_yes(key, value, at, err);
    case PART_MEM:
        return set_mem(key, value, at, err);
    case PART_SECONDS:
        rc = set_u32(key, value, &seconds, err);
        if (rc == 0)
            *(usec_t *)at = seconds * USEC_PER_SEC;
        return rc;
    default:
        return set_text(at, strcasecmp(value, "ALL") == 0 ? "" : value);
    }
}

int parts_set(struct core *c, uint32_t i, const char *key, const char *value,
              struct err *err)
{
    struct partition *p = &c->part[i];
    size_t k = 0;
    int rc;
    while (k < PART_KEYS_COUNT && strcasecmp(part_keys[k].key, key) != 0)
        k++;
    if (k < PART_KEYS_COUNT)
        rc = set_key(&p->conf, k, value, err);
    else if (strcasecmp(key, "State") == 0)
        rc = set_state(p, value, err);
    else if (strcasecmp(key, "Default") == 0)
        rc = set_default(c, i, value, err);
    else if (strcasecmp(key, "Nodes") == 0)
        rc = set_nodes(c, p, value, err);
    else
        rc = err_set(err, SL_EINVAL_FIELD,
                     "Update of partition field %s is not built, or there is none", key);
    if (rc == 0) {
        c->nodes_gen++;
        plan_afresh(c);
    }
    return rc;
}

int part_override(struct core *c, uint32_t i, const char *key, const char *value,
                  struct err *err)
{
    struct partition *p = &c->part[i];
    int rc = parts_set(c, i, key, value, err);
    if (rc < 0)
        return rc;
    for (size_t k = 0; k < p->overrides_count; k++) {
        if (strcasecmp(p->override[k].key, key) != 0)
            continue;
        free(p->override[k].value);
        p->override[k].value = xstrdup(value);
        return 0;
    }
    p->override = xrealloc(p->override, (p->overrides_count + 1) * sizeof *p->override);
    p->override[p->overrides_count++] = (struct override){xstrdup(key), xstrdup(value)};
    return 0;
}

/* ---- configuration ----------------------------------------------------------------------------- */

static int conf_check(const struct core_partition *parts, size_t n,
                      const struct core_node_conf *nodes, size_t nodes_count,
                      struct err *err)
{
    bool has_default = false;
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < i; k++)
            if (strcmp(parts[i].name, parts[k].name) == 0)
                return err_set(err, SL_EINVAL_PARTITION, "partition %s is configured twice",
                               parts[i].name);
        if (parts[i].state && parts[i].state[0] && part_state_parse(parts[i].state) < 0)
            return err_set(err, SL_EINVAL_PARTITION, "partition %s: state %s is unknown",
                           parts[i].name, parts[i].state);
        if (parts[i].exclusive_user)
            return err_set(err, SL_ENOT_BUILT,
                           "partition %s: exclusive_user: nodes for one user are not built yet",
                           parts[i].name);
        if (parts[i].is_default && has_default)
            return err_set(err, SL_EINVAL_PARTITION, "partition %s: a second default",
                           parts[i].name);
        has_default = has_default || parts[i].is_default;
    }
    for (size_t i = 0; i < nodes_count; i++)
        if (!nodes[i].name || !nodes[i].name[0])
            return err_set(err, SL_EINVAL_NODE, "a configured node has no name");
    return 0;
}

static void node_conf(struct core *c, const struct core_node_conf *from, usec_t now)
{
    long at = core_node_find(c, from->name);
    uint32_t i = at >= 0 ? (uint32_t)at : nodes_add(c, from->name);
    struct node *n = &c->node[i];
    free(n->addr_conf);
    free(n->gres_conf);
    free(n->features_conf);
    n->configured = true;
    n->addr_conf = (char *)copy(from->addr);
    n->gres_conf = (char *)copy(from->gres);
    n->features_conf = (char *)copy(from->features);
    n->port_conf = from->port;
    n->cpus_conf = from->cpus;
    n->mem_conf = from->memory_mib;
    if (!n->weight_set)
        n->weight = from->weight;
    const char *state = from->state ? from->state : "";
    n->future = strcasecmp(state, "FUTURE") == 0;
    if (strncasecmp(state, "DRAIN", 5) == 0 && !n->drain) {
        n->drain = true;
        nodes_reason(n, from->reason ? from->reason : "configured", 0, now);
    }
    if (strcasecmp(state, "DOWN") == 0 && n->down == DOWN_NONE) {
        n->down = DOWN_ADMIN;
        nodes_reason(n, from->reason ? from->reason : "configured", 0, now);
    }
}

static int weights_check(struct core *c, const struct core_policy *policy,
                         const struct core_partition *p, size_t count, struct err *err)
{
    uint64_t ignored[TRES_MAX];
    int rc = 0;
    if (tres_weights_parse(c, policy->weight_tres, ignored, err) < 0)
        return err_prefix(err, "priority.weight_tres");
    for (size_t i = 0; rc == 0 && i < count; i++)
        if (p[i].tres_billing_weights &&
            tres_weights_parse(c, p[i].tres_billing_weights, ignored, err) < 0)
            rc = err_prefix(err, "partition %s: tres_billing_weights", p[i].name);
    return rc;
}

static void weights_set(struct core *c, struct partition *p)
{
    if (!p->conf.tres_billing_weights[0])
        return;
    p->weight = xcalloc(TRES_MAX, sizeof *p->weight);
    ASSERT(tres_weights_parse(c, p->conf.tres_billing_weights, p->weight, NULL) == 0);
}

int core_configure(struct core *c, const struct core_policy *policy,
                   const struct core_partition *partitions, size_t partitions_count,
                   const struct core_node_conf *nodes, size_t nodes_count,
                   bool dynamic_nodes, usec_t now, struct err *err)
{
    if (conf_check(partitions, partitions_count, nodes, nodes_count, err) < 0 ||
        license_check(policy->licenses, err) < 0 ||
        weights_check(c, policy, partitions, partitions_count, err) < 0)
        return err->code;
    bool predict = policy->predict != c->policy.predict ||
                   policy->plan_order != c->policy.plan_order;
    if (policy->plan_order != c->policy.plan_order)
        queue_unsorted(c);
    c->policy = *policy;
    c->policy.licenses = NULL;
    if (predict)
        order_predict(c);
    license_configure(c, policy->licenses);
    c->dynamic_nodes = dynamic_nodes;
    for (uint32_t i = 0; i < c->nodes; i++)
        c->node[i].configured = false;
    for (size_t i = 0; i < nodes_count; i++)
        node_conf(c, &nodes[i], now);
    for (uint32_t i = 0; i < c->nodes; i++) {
        struct node *n = &c->node[i];
        if (!n->configured && !dynamic_nodes && n->down == DOWN_NONE) {
            n->down = DOWN_CONF;
            nodes_reason(n, "not in the configuration", 0, now);
        } else if (n->down == DOWN_CONF && (n->configured || dynamic_nodes)) {
            n->down = DOWN_NONE;
        }
    }
    reservations_clear(c);
    parts_fini(c);
    c->part = xcalloc(partitions_count ? partitions_count : 1, sizeof *c->part);
    c->parts = (uint32_t)partitions_count;
    for (uint32_t i = 0; i < c->parts; i++) {
        part_copy(&c->part[i], &partitions[i]);
        c->part[i].state = (enum part_state)part_state_parse(c->part[i].conf.state);
    }
    for (uint32_t i = 0; i < c->parts; i++)
        weights_set(c, &c->part[i]);
    parts_derive(c);
    ASSERT(tenants_configure(c, policy, NULL) == 0);
    if (!c->loading) {
        queue_reclass(c);
        priority_start(c, now);
    }
    return 0;
}
