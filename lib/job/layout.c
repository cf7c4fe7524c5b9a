/* SPDX-License-Identifier: Apache-2.0
 *
 * Tasks over nodes. First how many each node gets, then which ranks:
 *
 *   block    every node one, then fill in order;  ranks run through the nodes
 *   cyclic   round robin over nodes with room;    ranks as dealt
 *   plane=N  counts as cyclic;                    ranks dealt N at a time
 *
 * Source: srun(1) --distribution.
 */
#include "job/jobspec.h"

#include "base/limits.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum method { METHOD_DEFAULT, METHOD_BLOCK, METHOD_CYCLIC, METHOD_PLANE };
enum pack { PACK_DEFAULT, PACK_TIGHT, PACK_EVEN };

struct distribution {
    enum method method;
    enum pack pack;
    uint32_t plane;
};

static bool word_is(const char *p, size_t n, const char *word)
{
    return strlen(word) == n && strncasecmp(p, word, n) == 0;
}

static int method_parse(const char *text, const char *p, size_t n, struct distribution *d,
                        struct err *err)
{
    if (word_is(p, n, "*") || n == 0)
        d->method = METHOD_DEFAULT;
    else if (word_is(p, n, "block"))
        d->method = METHOD_BLOCK;
    else if (word_is(p, n, "cyclic"))
        d->method = METHOD_CYCLIC;
    else if (word_is(p, n, "arbitrary"))
        return err_set(err, SL_ENOT_BUILT, "not built yet: distribution \"arbitrary\"");
    else if (n > 6 && strncasecmp(p, "plane=", 6) == 0) {
        char *end;
        unsigned long v = strtoul(p + 6, &end, 10);
        if (end != p + n || p[6] < '0' || p[6] > '9' || v == 0 || v > TASKS_PER_STEP_MAX)
            return err_set(err, SL_EINVAL_FIELD,
                           "distribution \"%s\": plane size must be 1 to %u", text,
                           TASKS_PER_STEP_MAX);
        d->method = METHOD_PLANE;
        d->plane = (uint32_t)v;
    } else
        return err_set(err, SL_EINVAL_FIELD,
                       "distribution \"%s\": must be block, cyclic or plane=SIZE", text);
    return 0;
}

/* Second and third method: how a task's cpus are taken inside its node. */
static int binding_check(const char *text, const char *p, size_t n, struct err *err)
{
    static const char *const words[] = {"*", "block", "cyclic", "fcyclic"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (word_is(p, n, words[i]))
            return 0;
    return err_set(err, SL_EINVAL_FIELD,
                   "distribution \"%s\": \"%.*s\" must be block, cyclic or fcyclic", text,
                   (int)n, p);
}

static int distribution_parse(const char *text, struct distribution *d, struct err *err)
{
    *d = (struct distribution){METHOD_DEFAULT, PACK_DEFAULT, 0};
    if (text == NULL || *text == '\0')
        return 0;
    const char *comma = strchrnul(text, ',');
    const char *p = text;
    for (int level = 0; p <= comma; level++) {
        size_t n = strcspn(p, ":,");
        int rc = level == 0 ? method_parse(text, p, n, d, err)
                            : level <= 2 ? binding_check(text, p, n, err)
                                         : err_set(err, SL_EINVAL_FIELD,
                                                   "distribution \"%s\": more than three parts", text);
        if (rc != 0)
            return rc;
        if (d->method == METHOD_PLANE && p[n] == ':')
            return err_set(err, SL_EINVAL_FIELD,
                           "distribution \"%s\": plane combines with nothing", text);
        p += n + 1;
    }
    if (*comma == '\0')
        return 0;
    if (strcasecmp(comma + 1, "pack") == 0)
        d->pack = PACK_TIGHT;
    else if (strcasecmp(comma + 1, "nopack") == 0)
        d->pack = PACK_EVEN;
    else
        return err_set(err, SL_EINVAL_FIELD, "distribution \"%s\": \"%s\" must be Pack or NoPack",
                       text, comma + 1);
    return 0;
}

int distribution_check(const char *text, uint32_t *plane, struct err *err)
{
    struct distribution d;
    int rc = distribution_parse(text, &d, err);
    if (rc == 0 && plane != NULL)
        *plane = d.plane;
    return rc;
}

/* Deals `left` tasks round robin over nodes below their cap. */
static void deal_even(uint32_t *count, const uint32_t *cap, uint32_t nodes, uint32_t left)
{
    while (left > 0)
        for (uint32_t i = 0; i < nodes && left > 0; i++)
            if (count[i] < cap[i]) {
                count[i]++;
                left--;
            }
}

static void deal_block(uint32_t *count, const uint32_t *cap, uint32_t nodes, uint32_t left,
                       bool one_each)
{
    for (uint32_t i = 0; one_each && i < nodes && left > 0; i++)
        if (cap[i] > 0) {
            count[i] = 1;
            left--;
        }
    for (uint32_t i = 0; i < nodes && left > 0; i++) {
        uint32_t room = cap[i] - count[i];
        uint32_t take = left < room ? left : room;
        count[i] += take;
        left -= take;
    }
}

/* Ranks in turns of `turn` a node until each has its count. */
static void rank_turns(struct layout *l, uint32_t turn, uint32_t *given)
{
    uint32_t rank = 0;
    while (rank < l->ntasks)
        for (uint32_t i = 0; i < l->nodes_count; i++)
            for (uint32_t k = 0; k < turn && given[i] < l->tasks_per_node[i]; k++) {
                l->rank_node[rank++] = i;
                given[i]++;
            }
}

static void rank_block(struct layout *l)
{
    uint32_t rank = 0;
    for (uint32_t i = 0; i < l->nodes_count; i++)
        for (uint32_t k = 0; k < l->tasks_per_node[i]; k++)
            l->rank_node[rank++] = i;
}

/* How many tasks each node may take; the sum. */
static uint64_t caps_fill(uint32_t *cap, const uint32_t *cpus, uint32_t nodes, uint32_t ntasks,
                          uint32_t cpus_per_task, uint32_t ntasks_per_node, bool overcommit)
{
    uint64_t room = 0;
    for (uint32_t i = 0; i < nodes; i++) {
        cap[i] = cpus[i] / cpus_per_task;
        if (overcommit && cap[i] == 0)
            cap[i] = 1;
        if (ntasks_per_node != 0 && (overcommit || cap[i] > ntasks_per_node))
            cap[i] = ntasks_per_node;
        room += cap[i];
    }
    if (overcommit && room < ntasks && ntasks_per_node == 0) {
        /* Over-commit spreads what does not fit evenly. */
        uint64_t over = ntasks - room;
        for (uint32_t i = 0; i < nodes; i++)
            cap[i] += (uint32_t)(over / nodes + (i < over % nodes));
        room = ntasks;
    }
    return room;
}

int layout_make(const uint32_t *cpus_per_node, uint32_t nodes_count, uint32_t ntasks,
                uint32_t cpus_per_task, uint32_t ntasks_per_node, const char *distribution,
                bool overcommit, struct arena *a, struct layout *out, struct err *err)
{
    struct distribution d;
    int rc = distribution_parse(distribution, &d, err);
    if (rc != 0)
        return rc;
    if (nodes_count == 0 || ntasks == 0)
        return err_set(err, SL_EINVAL_FIELD, "a layout needs at least one node and one task");
    if (ntasks > TASKS_PER_STEP_MAX || nodes_count > NODES_MAX)
        return err_set(err, SL_EINVAL_FIELD, "%u tasks on %u nodes are more than the limits %u, %u",
                       ntasks, nodes_count, TASKS_PER_STEP_MAX, NODES_MAX);

    uint32_t *cap = arena_alloc(a, nodes_count * sizeof(*cap));
    uint64_t room = caps_fill(cap, cpus_per_node, nodes_count, ntasks,
                              cpus_per_task != 0 ? cpus_per_task : 1, ntasks_per_node, overcommit);
    if (room < ntasks)
        return err_set(err, SL_EBAD_CONFIG,
                       "More processors requested than permitted: %u tasks, room for %llu", ntasks,
                       (unsigned long long)room);

    out->nodes_count = nodes_count;
    out->ntasks = ntasks;
    out->tasks_per_node = arena_alloc(a, nodes_count * sizeof(uint32_t));
    out->rank_node = arena_alloc(a, ntasks * sizeof(uint32_t));
    enum method method = d.method;
    if (method == METHOD_DEFAULT)
        method = ntasks > nodes_count ? METHOD_BLOCK : METHOD_CYCLIC;
    if (method == METHOD_BLOCK && d.pack != PACK_EVEN)
        deal_block(out->tasks_per_node, cap, nodes_count, ntasks, d.pack != PACK_TIGHT);
    else
        deal_even(out->tasks_per_node, cap, nodes_count, ntasks);
    if (method == METHOD_BLOCK)
        rank_block(out);
    else
        rank_turns(out, method == METHOD_PLANE ? d.plane : 1,
                   arena_alloc(a, nodes_count * sizeof(uint32_t)));
    return 0;
}

char *layout_counts(struct arena *a, const uint32_t *counts, size_t n)
{
    struct buf b;
    buf_init(&b);
    for (size_t i = 0; i < n;) {
        size_t same = 1;
        while (i + same < n && counts[i + same] == counts[i])
            same++;
        buf_printf(&b, "%s%u", i == 0 ? "" : ",", counts[i]);
        if (same > 1)
            buf_printf(&b, "(x%zu)", same);
        i += same;
    }
    char *text = arena_strdup(a, buf_str(&b));
    buf_fini(&b);
    return text;
}
