/* SPDX-License-Identifier: Apache-2.0 */
#include "setup/setup.h"

#include "base/buf.h"
#include "base/hostlist.h"
#include "topo/fabric.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int setup_policy(const struct conf *conf, struct core_policy *p, struct err *err)
{
    int enforce = enforce_parse(conf->accounting_enforce, err);
    if (enforce < 0)
        return err_prefix(err, "accounting.enforce");
    *p = (struct core_policy){
        .kill_wait = conf->kill_wait,
        .over_time_limit = conf->over_time_limit,
        .inactive_limit = conf->inactive_limit,
        .node_timeout = conf->node_timeout,
        .job_keep = conf->job_keep,
        .job_id_first = conf->job_id_first,
        .job_id_max = conf->job_id_max,
        .jobs_max = conf->jobs_max,
        .array_size_max = conf->array_size_max,
        .requeue_max = conf->requeue_max,
        .requeue_default = conf->requeue_default,
        .return_to_service = conf->return_to_service,
        .plan_order = (enum plan_order)plan_order_find(conf->plan_order),
        .backfill = (enum backfill)backfill_find(conf->backfill),
        .backfill_depth = conf->backfill_depth,
        .backfill_candidates =
            (enum backfill_candidates)backfill_candidates_find(conf->backfill_candidates),
        .multifactor = strcmp(conf->priority_type, "multifactor") == 0,
        .priority_favor_small = conf->priority_favor_small,
        .priority_period = conf->priority_period,
        .priority_half_life =
            conf->priority_half_life == SPAN_INFINITE ? 0 : conf->priority_half_life,
        .priority_max_age = conf->priority_max_age,
        .weight_age = conf->weight_age,
        .weight_fair_share = conf->weight_fair_share,
        .weight_job_size = conf->weight_job_size,
        .weight_partition = conf->weight_partition,
        .weight_qos = conf->weight_qos,
        .weight_assoc = conf->weight_assoc,
        .enforce = (uint32_t)enforce,
        .predict = conf->predict,
        .due_factor = conf->due_factor,
        .due_max = conf->due_max,
        .wait_first = conf->wait_first,
        .wait_strict = conf->wait_strict,
        .licenses = conf->licenses,
        .preempt = strcmp(conf->preempt, "partition") == 0 ? PREEMPT_TIER
                   : strcmp(conf->preempt, "qos") == 0     ? PREEMPT_QOS
                                                           : PREEMPT_NONE,
        .preempt_mode = strcmp(conf->preempt_mode, "off") == 0      ? PREEMPT_OFF
                        : strcmp(conf->preempt_mode, "cancel") == 0 ? PREEMPT_CANCEL
                                                                    : PREEMPT_REQUEUE,
        .preempt_exempt = conf->preempt_exempt,
        .mem_default_per_cpu_mib = conf->mem_default_per_cpu_mib,
        .mem_default_per_node_mib = conf->mem_default_per_node_mib,
    };
    if (strlen(conf->weight_tres) >= sizeof p->weight_tres)
        return err_set(err, SL_EINVAL_FIELD, "priority.weight_tres: over %zu characters",
                       sizeof p->weight_tres - 1);
    snprintf(p->weight_tres, sizeof p->weight_tres, "%s", conf->weight_tres);
    snprintf(p->priority_type, sizeof p->priority_type, "%s", conf->priority_type);
    p->gpu_placement = strcmp(conf->gpu_placement, "bestfit") == 0   ? GPU_BESTFIT
                       : strcmp(conf->gpu_placement, "packing") == 0 ? GPU_PACKING
                       : strcmp(conf->gpu_placement, "random") == 0  ? GPU_RANDOM
                                                                     : GPU_FGD;
    p->gpu_seed = conf->gpu_seed;
    p->fabric_choice = strcmp(conf->fabric_placement, "leafs") == 0   ? CHOOSE_LEAFS
                       : strcmp(conf->fabric_placement, "first") == 0 ? CHOOSE_FIRST
                                                                      : CHOOSE_NEAREST;
    return 0;
}

static void partition_fill(const struct conf_partition *from, struct core_partition *to)
{
    *to = (struct core_partition){
        .name = from->name,
        .nodes = from->nodes,
        .is_default = from->is_default,
        .is_hidden = from->is_hidden,
        .root_only = from->root_only,
        .exclusive_user = from->exclusive_user,
        .oversubscribe_exclusive = from->oversubscribe_exclusive,
        .time_max = from->time_max,
        .time_default = from->time_default,
        .nodes_min = from->nodes_min,
        .nodes_max = from->nodes_max,
        .priority_tier = from->priority_tier,
        .priority_job_factor = from->priority_job_factor,
        .state = from->state,
        .allow_groups = from->allow_groups,
        .allow_accounts = from->allow_accounts,
        .deny_accounts = from->deny_accounts,
        .allow_qos = from->allow_qos,
        .qos = from->qos,
        .tres_billing_weights = from->tres_billing_weights,
        .mem_default_per_cpu_mib = from->mem_default_per_cpu_mib,
        .mem_default_per_node_mib = from->mem_default_per_node_mib,
        .mem_max_per_cpu_mib = from->mem_max_per_cpu_mib,
        .mem_max_per_node_mib = from->mem_max_per_node_mib,
        .grace_time = from->grace_time,
        .preempt_mode = from->preempt_mode,
    };
}

struct node_list {
    struct arena arena;
    struct core_node_conf *v;
    size_t count, cap;
};

/* One configured line "n[1-4]" becomes four nodes. */
static int node_line(const struct conf_node *line, struct node_list *out, struct err *err)
{
    struct hostlist *names = hostlist_create(line->names, err);
    struct hostlist *addrs = names ? hostlist_create(line->addr, err) : NULL;
    int rc = 0;

    if (!addrs)
        rc = err_prefix(err, "nodes \"%s\"", line->names);
    else if (hostlist_count(addrs) && hostlist_count(addrs) != hostlist_count(names))
        rc = err_set(err, SL_EINVAL_NODE, "nodes \"%s\": %zu names but %zu addresses",
                     line->names, hostlist_count(names), hostlist_count(addrs));
    for (size_t i = 0; rc == 0 && i < hostlist_count(names); i++) {
        if (out->count == out->cap) {
            out->cap = out->cap ? 2 * out->cap : 64;
            out->v = xrealloc(out->v, out->cap * sizeof *out->v);
        }
        out->v[out->count++] = (struct core_node_conf){
            .name = arena_strdup(&out->arena, hostlist_nth(names, i)),
            .addr = hostlist_count(addrs)
                        ? arena_strdup(&out->arena, hostlist_nth(addrs, i))
                        : "",
            .gres = line->gres,
            .features = line->features,
            .state = line->state,
            .reason = line->reason,
            .port = line->port,
            .cpus = line->cpus,
            .weight = line->weight,
            .memory_mib = line->memory_mib,
        };
    }
    hostlist_destroy(names);
    hostlist_destroy(addrs);
    return rc;
}

/* The nodes of `nodes`, for a fabric that is generated. */
static char *node_names(const struct node_list *nodes)
{
    struct buf b;
    buf_init(&b);
    for (size_t i = 0; i < nodes->count; i++)
        buf_printf(&b, "%s%s", i ? "," : "", nodes->v[i].name);
    char *text = buf_steal(&b);
    return text ? text : xstrdup("");
}

static struct fabric_switch *switches_fill(const struct conf_switch *from, size_t count)
{
    struct fabric_switch *to = xcalloc(count ? count : 1, sizeof *to);
    for (size_t i = 0; i < count; i++)
        to[i] = (struct fabric_switch){from[i].name, from[i].switches, from[i].nodes};
    return to;
}

static int fabric_fill(const struct conf *conf, const struct node_list *nodes,
                       struct fabric **out, struct err *err)
{
    struct fabric_switch *switches = switches_fill(conf->switches, conf->switches_count);
    struct fabric_switch *blocks = switches_fill(conf->blocks, conf->blocks_count);
    char *names = node_names(nodes);
    struct fabric_source from = {
        .kind = strcmp(conf->topology_kind, "dragonfly") == 0 ? FABRIC_DRAGONFLY
                : strcmp(conf->topology_kind, "rails") == 0   ? FABRIC_RAILS
                                                              : FABRIC_TREE,
        .switches = switches, .switches_count = conf->switches_count,
        .blocks = blocks, .blocks_count = conf->blocks_count,
        .block_sizes = conf->topology_block_sizes, .generate = conf->topology_generate,
        .nodes = names, .ibnetdiscover = conf->topology_file};
    int rc = fabric_load(&from, out, err);
    free(switches);
    free(blocks);
    free(names);
    return rc;
}

int setup_configure(struct core *core, const struct conf *conf,
                    const struct core_policy *policy, usec_t now, struct err *err)
{
    struct core_partition *partitions = xcalloc(conf->partitions_count, sizeof *partitions);
    struct node_list nodes = {.v = NULL};
    struct fabric *fabric = NULL;
    int rc = 0;

    arena_init(&nodes.arena);
    for (size_t i = 0; i < conf->partitions_count; i++)
        partition_fill(&conf->partitions[i], &partitions[i]);
    for (size_t i = 0; rc == 0 && i < conf->nodes_count; i++)
        rc = node_line(&conf->nodes[i], &nodes, err);
    if (rc == 0)
        rc = fabric_fill(conf, &nodes, &fabric, err);
    if (rc == 0)
        rc = core_configure(core, policy, partitions, conf->partitions_count, nodes.v,
                            nodes.count, conf->node_dynamic, now, err);
    if (rc == 0)
        core_fabric(core, fabric);
    else
        fabric_destroy(fabric);
    free(partitions);
    free(nodes.v);
    arena_fini(&nodes.arena);
    return rc;
}
