/* SPDX-License-Identifier: Apache-2.0
 *
 * admit: what a job asks for against what its partitions allow and the nodes have. A
 * request that can never run is refused with the reason; one that only has to wait is not.
 */
#include "sched/model.h"

#include "base/buf.h"
#include "base/hostlist.h"
#include "sched/constraint.h"
#include "sched/license.h"
#include "sched/request.h"

#include <stdlib.h>
#include <string.h>

static bool list_has(const char *list, const char *word)
{
    size_t want = strlen(word);
    while (list && *list) {
        size_t n = strcspn(list, ",");
        if (n == want && strncasecmp(list, word, n) == 0)
            return true;
        list += n + (list[n] == ',');
    }
    return false;
}

/* A list of names that is not given or says "all" leaves everyone in. */
static bool list_open(const char *list)
{
    return !list || !list[0] || strcasecmp(list, "ALL") == 0;
}

static bool groups_allowed(const struct partition *p, const struct admit *who)
{
    if (list_open(p->conf.allow_groups) || who->actor->uid == 0)
        return true;
    for (const char *const *g = who->groups; g && *g; g++)
        if (list_has(p->conf.allow_groups, *g))
            return true;
    return false;
}

static int part_admits(const struct partition *p, const struct admit *who, struct err *err)
{
    const char *name = p->conf.name;
    if (p->state == PART_DRAIN || p->state == PART_INACTIVE)
        return err_set(err, SL_EPART_DOWN, "%s: %s", err_name(SL_EPART_DOWN), name);
    if (p->conf.root_only && who->actor->uid != 0)
        return err_set(err, SL_EACCESS, "partition %s is for root only", name);
    if (!groups_allowed(p, who))
        return err_set(err, SL_EACCESS, "User's group not permitted to use this partition: %s (AllowGroups=%s)",
                       name, p->conf.allow_groups);
    if (!list_open(p->conf.allow_accounts) && !list_has(p->conf.allow_accounts, who->account))
        return err_set(err, SL_EINVAL_ACCOUNT, "%s: partition %s takes the accounts %s",
                       err_name(SL_EINVAL_ACCOUNT), name, p->conf.allow_accounts);
    if (who->account[0] && list_has(p->conf.deny_accounts, who->account))
        return err_set(err, SL_EINVAL_ACCOUNT, "%s: partition %s does not take account %s",
                       err_name(SL_EINVAL_ACCOUNT), name, who->account);
    if (!list_open(p->conf.allow_qos) && !list_has(p->conf.allow_qos, who->qos))
        return err_set(err, SL_EINVAL_QOS, "%s: partition %s takes the qos %s",
                       err_name(SL_EINVAL_QOS), name, p->conf.allow_qos);
    return 0;
}

int admit_partitions(const struct core *c, char *const *names, size_t count,
                     const struct admit *who, struct buf *out, uint32_t *tier,
                     struct err *err)
{
    *tier = 0;
    for (size_t i = 0; i < count; i++) {
        long p = parts_find(c, names[i]);
        if (p < 0)
            return err_set(err, SL_EINVAL_PARTITION, "invalid partition specified: %s", names[i]);
        if (part_admits(&c->part[p], who, err) < 0)
            return err->code;
        if (c->part[p].conf.priority_tier > *tier)
            *tier = c->part[p].conf.priority_tier;
        buf_printf(out, "%s%s", out->len ? "," : "", names[i]);
    }
    for (uint32_t p = 0; p < c->parts && out->len == 0; p++) {
        if (!c->part[p].conf.is_default)
            continue;
        if (part_admits(&c->part[p], who, err) < 0)
            return err->code;
        buf_puts(out, c->part[p].conf.name);
        *tier = c->part[p].conf.priority_tier;
    }
    if (out->len == 0)
        return err_set(err, SL_EINVAL_PARTITION,
                       "No partition specified or system default partition");
    return 0;
}

/* ---- why it never fits: the first cause that can be named ------------------------------ */

static int names_known(const struct core *c, const struct request *q, struct err *err)
{
    struct hostlist *hl = hostlist_create(q->nodelist, NULL);
    int rc = 0;
    for (size_t i = 0; hl && rc == 0 && i < hostlist_count(hl); i++)
        if (core_node_find(c, hostlist_nth(hl, i)) < 0)
            rc = err_set(err, SL_EINVAL_NODE, "%s: %s", err_name(SL_EINVAL_NODE),
                         hostlist_nth(hl, i));
    hostlist_destroy(hl);
    return rc;
}

static int gres_known(const struct core *c, const struct request *q, struct err *err)
{
    for (uint32_t k = 0; k < q->gres_count; k++) {
        bool known = false;
        for (uint32_t i = 0; i < c->nodes; i++)
            for (uint32_t m = 0; m < c->node[i].pools_count; m++)
                known = known || c->node[i].pool[m].name == q->gres[k].name;
        if (!known)
            return err_set(err, SL_EINVAL_GRES, "%s: no node has %s", err_name(SL_EINVAL_GRES),
                           text_of(c, q->gres[k].name));
    }
    return 0;
}

static int features_known(struct core *c, const struct request *q, struct err *err)
{
    const char *name = constraint_unknown(c, q->constraint);
    if (!name)
        name = constraint_unknown(c, q->prefer);
    if (!name)
        return 0;
    return err_set(err, SL_EINVAL_FIELD, "Invalid feature specification: no node has %s", name);
}

/* Limits of one partition that the request itself breaks. */
static int part_bounds(const struct partition *p, const struct request *q, struct err *err)
{
    char asked[SIZE_TEXT_MAX], most[SIZE_TEXT_MAX];
    const struct core_partition *conf = &p->conf;
    uint64_t max = q->mem_kind == MEM_BY_NODE  ? conf->mem_max_per_node_mib
                   : q->mem_kind == MEM_BY_CPU ? conf->mem_max_per_cpu_mib
                                               : 0;
    if (conf->nodes_max && q->nodes_min > conf->nodes_max)
        return err_set(err, SL_EBAD_CONFIG,
                       "Node count specification invalid: %u nodes, partition %s allows %u",
                       q->nodes_min, conf->name, conf->nodes_max);
    if (max && q->mem_mib > max)
        return err_set(err, SL_EBAD_CONFIG,
                       "Memory specification can not be satisfied: %s per %s, partition %s allows %s",
                       mem_format_mib(q->mem_mib, asked),
                       q->mem_kind == MEM_BY_NODE ? "node" : "cpu", conf->name,
                       mem_format_mib(max, most));
    return 0;
}

/* bounds: the partition limit that it breaks, or NULL. */
static int never_fits(struct core *c, const struct job *j, const struct err *bounds,
                      struct err *err)
{
    const struct request *q = &c->request[j->request];
    int rc = gres_known(c, q, err);
    if (rc == 0)
        rc = features_known(c, q, err);
    if (rc == 0 && bounds) {
        *err = *bounds;
        rc = err->code;
    }
    return rc < 0 ? rc : err_set(err, SL_EBAD_CONFIG, "%s", err_name(SL_EBAD_CONFIG));
}

int admit_fits(struct core *c, struct job *j, struct err *err)
{
    const struct request *q = &c->request[j->request];
    if (names_known(c, q, err) < 0 || license_admit(c, q, err) < 0)
        return err->code;
    struct placement p = {0};
    char *save = NULL, *list = xstrdup(text_of(c, j->parts));
    struct err bounds = {0};
    bool fits = false, unknown = false, within = false; /* some partition's bounds */
    for (char *name = strtok_r(list, ",", &save); name && !fits;
         name = strtok_r(NULL, ",", &save)) {
        long at = parts_find(c, name);
        if (at < 0 || part_bounds(&c->part[at], q, &bounds) < 0)
            continue;
        within = true;
        fits = place(c, j, (uint32_t)at, rooms_of(c, ROOMS_EMPTY), NULL, &p) == 1;
    }
    free(list);
    free(p.node);
    for (uint32_t i = 0; !fits && i < c->nodes; i++)
        unknown = unknown || (c->node[i].shape == NONE && !c->node[i].future);
    if (fits || (unknown && within))
        return 0;
    return never_fits(c, j, within ? NULL : &bounds, err);
}
