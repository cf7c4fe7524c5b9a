/* SPDX-License-Identifier: Apache-2.0 */
#include "cells.h"

#include "users.h"

#include <ctype.h>
#include <string.h>

static void put_text(struct buf *out, const char *text)
{
    if (text)
        buf_puts(out, text);
}

#define CELL_TEXT(name, expr)                                                              \
    static void cell_##name(const struct cell_source *s, struct buf *out)                  \
    {                                                                                      \
        put_text(out, expr);                                                               \
    }
#define CELL_NUM(name, expr)                                                               \
    static void cell_##name(const struct cell_source *s, struct buf *out)                  \
    {                                                                                      \
        cell_u64(out, expr);                                                               \
    }
#define CELL_TIME(name, expr)                                                              \
    static void cell_##name(const struct cell_source *s, struct buf *out)                  \
    {                                                                                      \
        cell_time(out, expr);                                                              \
    }

/* ---- nodes -------------------------------------------------------------------------------- */

static void node_state(const struct cell_source *s, struct buf *out, bool compact)
{
    char text[NODE_STATE_TEXT_MAX];
    buf_puts(out, node_state_shown(s->node->state, s->node->flags, compact, text, sizeof(text)));
}

static void cell_node_state(const struct cell_source *s, struct buf *out)
{
    node_state(s, out, false);
}

static void cell_node_state_compact(const struct cell_source *s, struct buf *out)
{
    node_state(s, out, true);
}

/* "mixed+drain": every flag, in lower case as sinfo shows it */
static void cell_node_state_full(const struct cell_source *s, struct buf *out)
{
    char text[NODE_STATE_TEXT_MAX];
    node_state_shown(s->node->state, s->node->flags, false, text, sizeof(text));
    for (char *p = text; *p; p++)
        buf_putc(out, (char)tolower((unsigned char)*p));
}

static void cell_node_comment(const struct cell_source *s, struct buf *out)
{
    buf_puts(out, s->node->comment);
}

/* allocated/idle/other/total */
static void cell_cpus_state(const struct cell_source *s, struct buf *out)
{
    const struct node_view *v = s->node;
    uint32_t rest = v->cpus > v->cpus_alloc ? v->cpus - v->cpus_alloc : 0;
    bool other = v->state == NODE_DOWN || v->state == NODE_UNKNOWN || v->state == NODE_FUTURE ||
                 (v->flags & (NODEF_DRAIN | NODEF_FAIL | NODEF_NO_RESPOND));
    buf_printf(out, "%u/%u/%u/%u", v->cpus_alloc, other ? 0 : rest, other ? rest : 0, v->cpus);
}

static void cell_sct(const struct cell_source *s, struct buf *out)
{
    buf_printf(out, "%u:%u:%u", s->node->sockets, s->node->cores, s->node->threads);
}

static void cell_load(const struct cell_source *s, struct buf *out)
{
    buf_printf(out, "%.2f", s->node->load1);
}

static void cell_reason_user(const struct cell_source *s, struct buf *out)
{
    if (s->node->reason && s->node->reason[0])
        buf_puts(out, users_get(s->d->users, s->node->reason_uid, s->now)->name);
}

/* The field for notes is Comment. */
static void cell_node_extra(const struct cell_source *s, struct buf *out)
{
    (void)s;
    (void)out;
}

static void cell_reason_uid(const struct cell_source *s, struct buf *out)
{
    if (s->node->reason && s->node->reason[0])
        cell_u64(out, s->node->reason_uid);
}

CELL_TEXT(node_name, s->node->name)
CELL_TEXT(node_addr, s->node->addr)
CELL_NUM(node_port, s->node->port)
CELL_NUM(node_cpus, s->node->cpus)
CELL_NUM(node_cpus_alloc, s->node->cpus_alloc)
CELL_NUM(node_sockets, s->node->sockets)
CELL_NUM(node_cores, s->node->cores)
CELL_NUM(node_threads, s->node->threads)
CELL_NUM(node_memory, s->node->mem_mib)
CELL_NUM(node_mem_alloc, s->node->mem_alloc_mib)
CELL_NUM(node_mem_free, s->node->mem_free_mib)
CELL_NUM(node_tmp, s->node->tmp_mib)
CELL_NUM(node_weight, s->node->weight)
CELL_TEXT(node_features, s->node->features)
CELL_TEXT(node_gres, s->node->gres)
CELL_TEXT(node_gres_used, s->node->gres_used)
CELL_TEXT(node_reason, s->node->reason)
CELL_TIME(node_reason_time, s->node->reason_time)
CELL_TEXT(node_partitions, s->node->partitions)
CELL_TIME(node_boot, s->node->boot_time)
CELL_TIME(node_daemon_start, s->node->daemon_start)
CELL_TEXT(node_version, s->node->version)
CELL_TEXT(node_arch, s->node->arch)
CELL_TEXT(node_os, s->node->os)
CELL_NUM(node_boards, s->node->sockets ? 1 : 0)
CELL_TIME(node_last_busy, s->node->last_busy)
CELL_TEXT(node_hostname, s->node->hostname)

const struct cell cells_node[] = {
    {FIELD_NODE_NAME, CELL_NARROW, cell_node_name},
    {FIELD_NODE_ADDR, CELL_NARROW, cell_node_addr},
    {FIELD_NODE_PORT, CELL_NARROW, cell_node_port},
    {FIELD_NODE_STATE, CELL_NARROW, cell_node_state},
    {FIELD_NODE_STATE_COMPACT, CELL_NARROW, cell_node_state_compact},
    {FIELD_NODE_CPUS, CELL_NARROW, cell_node_cpus},
    {FIELD_NODE_CPUS_ALLOC, CELL_NARROW, cell_node_cpus_alloc},
    {FIELD_NODE_CPUS_STATE, CELL_NARROW, cell_cpus_state},
    {FIELD_NODE_SOCKETS, CELL_NARROW, cell_node_sockets},
    {FIELD_NODE_CORES, CELL_NARROW, cell_node_cores},
    {FIELD_NODE_THREADS, CELL_NARROW, cell_node_threads},
    {FIELD_NODE_SCT, CELL_NARROW, cell_sct},
    {FIELD_NODE_MEMORY, CELL_NARROW, cell_node_memory},
    {FIELD_NODE_MEM_ALLOC, CELL_NARROW, cell_node_mem_alloc},
    {FIELD_NODE_MEM_FREE, CELL_NARROW, cell_node_mem_free},
    {FIELD_NODE_TMP, CELL_NARROW, cell_node_tmp},
    {FIELD_NODE_WEIGHT, CELL_NARROW, cell_node_weight},
    {FIELD_NODE_FEATURES, CELL_NARROW, cell_node_features},
    {FIELD_NODE_GRES, CELL_NARROW, cell_node_gres},
    {FIELD_NODE_GRES_USED, CELL_NARROW, cell_node_gres_used},
    {FIELD_NODE_REASON, CELL_NARROW, cell_node_reason},
    {FIELD_NODE_COMMENT, CELL_NARROW, cell_node_comment},
    {FIELD_NODE_STATE_FULL, CELL_NARROW, cell_node_state_full},
    {FIELD_NODE_REASON_USER, CELL_NARROW, cell_reason_user},
    {FIELD_NODE_REASON_TIME, CELL_NARROW, cell_node_reason_time},
    {FIELD_NODE_PARTITIONS, CELL_NARROW, cell_node_partitions},
    {FIELD_NODE_LOAD, CELL_NARROW, cell_load},
    {FIELD_NODE_BOOT, CELL_NARROW, cell_node_boot},
    {FIELD_NODE_DAEMON_START, CELL_NARROW, cell_node_daemon_start},
    {FIELD_NODE_VERSION, CELL_NARROW, cell_node_version},
    {FIELD_NODE_ARCH, CELL_NARROW, cell_node_arch},
    {FIELD_NODE_OS, CELL_NARROW, cell_node_os},
    {FIELD_NODE_BOARDS, CELL_NARROW, cell_node_boards},
    {FIELD_NODE_LAST_BUSY, CELL_NARROW, cell_node_last_busy},
    {FIELD_NODE_HOSTNAME, CELL_NARROW, cell_node_hostname},
    {FIELD_NODE_REASON_UID, CELL_NARROW, cell_reason_uid},
    {FIELD_NODE_EXTRA, CELL_NARROW, cell_node_extra},
};
const size_t cells_node_count = sizeof(cells_node) / sizeof(cells_node[0]);

/* ---- partitions ------------------------------------------------------------------------------ */

/* sinfo(1) "up", "down", "drain", "inact" */
static void cell_avail(const struct cell_source *s, struct buf *out)
{
    const char *state = s->partition->conf.state;
    char text[16];
    size_t n = 0;

    for (; state[n] && n + 1 < sizeof(text); n++)
        text[n] = (char)(state[n] | 0x20);
    text[n] = '\0';
    buf_puts(out, strcmp(text, "inactive") == 0 ? "inact" : text);
}

static void cell_time_default(const struct cell_source *s, struct buf *out)
{
    if (s->partition->conf.time_default)
        cell_span(out, s->partition->conf.time_default);
    else
        buf_puts(out, "NONE");
}

static void cell_nodes_max(const struct cell_source *s, struct buf *out)
{
    if (s->partition->conf.nodes_max)
        cell_u64(out, s->partition->conf.nodes_max);
    else
        buf_puts(out, "UNLIMITED");
}

static void cell_size(const struct cell_source *s, struct buf *out)
{
    const struct core_partition *p = &s->partition->conf;
    cell_u64(out, p->nodes_min ? p->nodes_min : 1);
    if (!p->nodes_max)
        buf_puts(out, "-infinite");
    else if (p->nodes_max != p->nodes_min)
        buf_printf(out, "-%u", p->nodes_max);
}

static void mem_put(uint64_t mib, struct buf *out)
{
    if (mib)
        cell_u64(out, mib);
    else
        buf_puts(out, "UNLIMITED");
}

static void cell_def_mem(const struct cell_source *s, struct buf *out)
{
    mem_put(s->partition->conf.mem_default_per_cpu_mib, out);
}

static void cell_def_mem_node(const struct cell_source *s, struct buf *out)
{
    mem_put(s->partition->conf.mem_default_per_node_mib, out);
}

static void cell_max_mem(const struct cell_source *s, struct buf *out)
{
    mem_put(s->partition->conf.mem_max_per_node_mib, out);
}

static void cell_max_mem_cpu(const struct cell_source *s, struct buf *out)
{
    mem_put(s->partition->conf.mem_max_per_cpu_mib, out);
}

static const char *preempt_mode(const struct cell_source *s)
{
    const char *own = s->partition->conf.preempt_mode;
    return own && own[0] ? own : s->d->conf->preempt_mode;
}

/* "CANCEL", "REQUEUE", "OFF" */
static void cell_preempt(const struct cell_source *s, struct buf *out)
{
    for (const char *p = preempt_mode(s); *p; p++)
        buf_putc(out, (char)toupper((unsigned char)*p));
}

static void cell_max_cpus(const struct cell_source *s, struct buf *out)
{
    (void)s; /* no partition keeps CPUs of a node from its jobs */
    buf_puts(out, "UNLIMITED");
}

static void cell_alloc_nodes(const struct cell_source *s, struct buf *out)
{
    (void)s; /* jobs are taken from every host */
    buf_puts(out, "all");
}

static const char *or_all(const char *list, const char *all)
{
    return list && list[0] ? list : all;
}

static void cell_time_max(const struct cell_source *s, struct buf *out)
{
    cell_span(out, s->partition->conf.time_max);
}

static void cell_grace(const struct cell_source *s, struct buf *out)
{
    cell_span(out, s->partition->conf.grace_time);
}

CELL_TEXT(part_name, s->partition->conf.name)
CELL_NUM(part_default, s->partition->conf.is_default)
CELL_TEXT(part_state, s->partition->conf.state)
CELL_TEXT(part_nodes, s->partition->nodes_text)
CELL_NUM(part_nodes_total, s->partition->nodes_total)
CELL_NUM(part_cpus_total, s->partition->cpus_total)
CELL_NUM(part_nodes_min, s->partition->conf.nodes_min)
CELL_NUM(part_tier, s->partition->conf.priority_tier)
CELL_NUM(part_factor, s->partition->conf.priority_job_factor)
CELL_TEXT(part_groups, or_all(s->partition->conf.allow_groups, "all"))
CELL_TEXT(part_accounts, or_all(s->partition->conf.allow_accounts, "ALL"))
CELL_TEXT(part_qos, or_all(s->partition->conf.allow_qos, "ALL"))
CELL_TEXT(part_deny, or_all(s->partition->conf.deny_accounts, ""))
CELL_TEXT(part_cluster, s->d->conf->cluster_name)
CELL_TEXT(part_own_qos, s->partition->conf.qos)
CELL_NUM(part_hidden, s->partition->conf.is_hidden)
CELL_NUM(part_root, s->partition->conf.root_only)
CELL_TEXT(part_oversubscribe,
          s->partition->conf.oversubscribe_exclusive ? "EXCLUSIVE" : "NO")

const struct cell cells_partition[] = {
    {FIELD_PART_NAME, CELL_NARROW, cell_part_name},
    {FIELD_PART_DEFAULT, CELL_NARROW, cell_part_default},
    {FIELD_PART_AVAIL, CELL_NARROW, cell_avail},
    {FIELD_PART_STATE, CELL_NARROW, cell_part_state},
    {FIELD_PART_TIME_MAX, CELL_NARROW, cell_time_max},
    {FIELD_PART_TIME_DEFAULT, CELL_NARROW, cell_time_default},
    {FIELD_PART_NODES, CELL_NARROW, cell_part_nodes},
    {FIELD_PART_NODES_TOTAL, CELL_NARROW, cell_part_nodes_total},
    {FIELD_PART_CPUS_TOTAL, CELL_NARROW, cell_part_cpus_total},
    {FIELD_PART_NODES_MIN, CELL_NARROW, cell_part_nodes_min},
    {FIELD_PART_NODES_MAX, CELL_NARROW, cell_nodes_max},
    {FIELD_PART_PRIO_TIER, CELL_NARROW, cell_part_tier},
    {FIELD_PART_PRIO_FACTOR, CELL_NARROW, cell_part_factor},
    {FIELD_PART_ALLOW_GROUPS, CELL_NARROW, cell_part_groups},
    {FIELD_PART_ALLOW_ACCOUNTS, CELL_NARROW, cell_part_accounts},
    {FIELD_PART_HIDDEN, CELL_NARROW, cell_part_hidden},
    {FIELD_PART_ROOT, CELL_NARROW, cell_part_root},
    {FIELD_PART_OVERSUBSCRIBE, CELL_NARROW, cell_part_oversubscribe},
    {FIELD_PART_GRACE, CELL_NARROW, cell_grace},
    {FIELD_PART_DEF_MEM, CELL_NARROW, cell_def_mem},
    {FIELD_PART_SIZE, CELL_NARROW, cell_size},
    {FIELD_PART_MAX_CPUS, CELL_NARROW, cell_max_cpus},
    {FIELD_PART_PREEMPT, CELL_NARROW, cell_preempt},
    {FIELD_PART_ALLOC_NODES, CELL_NARROW, cell_alloc_nodes},
    {FIELD_PART_CLUSTER, CELL_NARROW, cell_part_cluster},
    {FIELD_PART_QOS, CELL_NARROW, cell_part_own_qos},
    {FIELD_PART_MAX_MEM, CELL_NARROW, cell_max_mem},
    {FIELD_PART_ALLOW_QOS, CELL_NARROW, cell_part_qos},
    {FIELD_PART_DENY_ACCOUNTS, CELL_NARROW, cell_part_deny},
    {FIELD_PART_DEF_MEM_NODE, CELL_NARROW, cell_def_mem_node},
    {FIELD_PART_MAX_MEM_CPU, CELL_NARROW, cell_max_mem_cpu},
};
const size_t cells_partition_count = sizeof(cells_partition) / sizeof(cells_partition[0]);
