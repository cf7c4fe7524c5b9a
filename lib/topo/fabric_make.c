/* SPDX-License-Identifier: Apache-2.0
 *
 * Fabrics from lists of switches and blocks, and generated ones.
 */
#include "topo/fabric.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/hostlist.h"
#include "base/limits.h"
#include "topo/fabric_draft.h"

static struct hostlist *list_read(const char *owner, const char *what, const char *text,
                                  struct err *err)
{
    struct hostlist *hl = hostlist_create(text, err);
    if (!hl && err)
        err_prefix(err, "topology: %s: %s", owner, what);
    return hl;
}

/* ---- switches -------------------------------------------------------------------------- */

/* Puts the switches named below piece p there. names: sorted, their numbers in `at`. */
static int switch_adopt(struct fabric_draft *d, uint32_t p, const char *names, struct err *err)
{
    struct hostlist *hl = list_read(d->piece[p].name, "switches", names, err);
    int rc = hl ? 0 : -EINVAL;
    for (size_t i = 0; rc == 0 && i < hostlist_count(hl); i++) {
        const char *name = hostlist_nth(hl, i);
        uint32_t k = 0;
        while (k < d->pieces && strcmp(d->piece[k].name, name) != 0)
            k++;
        if (k == d->pieces)
            rc = err_set(err, -ENOENT, "topology: switch %s: there is no switch %s",
                         d->piece[p].name, name);
        else if (d->piece[k].parent != FABRIC_NO)
            rc = err_set(err, -EEXIST, "topology: switch %s is below %s and below %s", name,
                         d->piece[d->piece[k].parent].name, d->piece[p].name);
        else
            d->piece[k].parent = p;
        d->piece[p].has_pieces = true;
    }
    hostlist_destroy(hl);
    return rc;
}

static int nodes_add(struct fabric_draft *d, uint32_t p, const char *names, struct err *err)
{
    struct hostlist *hl = list_read(d->piece[p].name, "nodes", names, err);
    int rc = hl ? 0 : -EINVAL;
    for (size_t i = 0; rc == 0 && i < hostlist_count(hl); i++)
        rc = draft_node(d, hostlist_nth(hl, i), p, err);
    hostlist_destroy(hl);
    return rc;
}

static int name_check(const struct fabric_switch *sw, size_t i, struct err *err)
{
    if (!sw[i].name || !sw[i].name[0])
        return err_set(err, -EINVAL, "topology: switch or block %zu has no name", i + 1);
    for (size_t k = 0; k < i; k++)
        if (strcmp(sw[k].name, sw[i].name) == 0)
            return err_set(err, -EEXIST, "topology: %s is described twice", sw[i].name);
    return 0;
}

struct fabric *fabric_switches(enum fabric_kind kind, const struct fabric_switch *sw,
                               size_t count, struct err *err)
{
    struct fabric_draft d;
    int rc = 0;
    draft_init(&d);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        rc = name_check(sw, i, err);
        if (rc == 0 && draft_piece(&d, sw[i].name, FABRIC_NO, err) == FABRIC_NO)
            rc = -E2BIG;
        if (rc == 0 && sw[i].nodes && sw[i].nodes[0])
            rc = nodes_add(&d, (uint32_t)i, sw[i].nodes, err);
    }
    for (size_t i = 0; rc == 0 && i < count; i++)
        if (sw[i].switches && sw[i].switches[0])
            rc = switch_adopt(&d, (uint32_t)i, sw[i].switches, err);
    if (rc == 0)
        return draft_seal(&d, kind, err);
    draft_fini(&d);
    return NULL;
}

/* ---- blocks ------------------------------------------------------------------------------ */

/* The first size is the base block's; each of the others joins so many of the last. Sets
 * join[level], 0 after the last. */
static int sizes_read(const char *sizes, uint32_t *base, uint32_t *join, struct err *err)
{
    uint64_t last = 0;
    uint32_t n = 0;
    for (const char *p = sizes; *p;) {
        char *end;
        uint64_t v = strtoul(p, &end, 10);
        if (end == p || v == 0 || v > NODES_MAX || (*end != ',' && *end != '\0') ||
            n == FABRIC_LEVELS_MAX - 2)
            return err_set(err, -EINVAL, "topology: block_sizes \"%.64s\": numbers of nodes "
                           "are wanted, as 4,16", sizes);
        uint64_t times = last ? v / last : 2;
        if (last && (v % last || times < 2 || (times & (times - 1))))
            return err_set(err, -EINVAL, "topology: block_sizes \"%.64s\": %llu is not a power "
                           "of two times %llu", sizes, (unsigned long long)v,
                           (unsigned long long)last);
        if (last)
            join[n++] = (uint32_t)times;
        else
            *base = (uint32_t)v;
        last = v;
        p = *end ? end + 1 : end;
    }
    join[n] = 0;
    return 0;
}

/* Pieces first ... first + count - 1 joined by `times`; sets them to the new ones. */
static int join_pieces(struct fabric_draft *d, uint32_t *first, uint32_t *count, uint32_t times,
                       struct err *err)
{
    uint32_t from = d->pieces, made = 0;
    for (uint32_t i = 0; i < *count; i++) {
        if (i % times == 0) {
            if (draft_piece(d, "", FABRIC_NO, err) == FABRIC_NO)
                return -E2BIG;
            made++;
        }
        d->piece[*first + i].parent = from + made - 1;
        d->piece[from + made - 1].has_pieces = true;
    }
    *first = from;
    *count = made;
    return 0;
}

struct fabric *fabric_blocks(const struct fabric_switch *block, size_t count,
                             const char *sizes, struct err *err)
{
    struct fabric_draft d;
    uint32_t base = 0, join[FABRIC_LEVELS_MAX] = {0}, first = 0, n = 0;
    int rc = sizes_read(sizes ? sizes : "", &base, join, err);
    draft_init(&d);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        uint32_t before = d.nodes;
        rc = name_check(block, i, err);
        if (rc == 0 && draft_piece(&d, block[i].name, FABRIC_NO, err) == FABRIC_NO)
            rc = -E2BIG;
        if (rc == 0)
            rc = nodes_add(&d, (uint32_t)i, block[i].nodes ? block[i].nodes : "", err);
        if (rc == 0 && base && d.nodes - before < base)
            rc = err_set(err, -EINVAL, "topology: block %s has %u nodes; block_sizes begins "
                         "with %u", block[i].name, d.nodes - before, base);
    }
    n = d.pieces;
    for (uint32_t k = 0; rc == 0 && join[k]; k++)
        rc = join_pieces(&d, &first, &n, join[k], err);
    if (rc == 0)
        return draft_seal(&d, FABRIC_BLOCKS, err);
    draft_fini(&d);
    return NULL;
}

/* ---- generated ----------------------------------------------------------------------------- */

struct params { uint32_t radix, levels, a, p, h, nodes, units; char sizes[64]; };

static const struct { const char *name; size_t at; uint32_t max; } param_names[] = {
    {"radix", offsetof(struct params, radix), 1024},
    {"levels", offsetof(struct params, levels), 4},
    {"a", offsetof(struct params, a), 1024},
    {"p", offsetof(struct params, p), 1024},
    {"h", offsetof(struct params, h), 1024},
    {"nodes", offsetof(struct params, nodes), NODES_MAX},
    {"units", offsetof(struct params, units), NODES_MAX},
};

/* "radix=16,levels=3" after the colon; what is not one of `allowed` is refused. */
static int params_read(const char *text, const char *allowed, struct params *out,
                       struct err *err)
{
    const char *p = strchr(text, ':');
    p = p ? p + 1 : "";
    while (*p) {
        size_t i = 0, n = strcspn(p, "=,");
        char word[16] = {' '}, *end = NULL;
        while (i < sizeof param_names / sizeof *param_names &&
               (strlen(param_names[i].name) != n || memcmp(param_names[i].name, p, n) != 0))
            i++;
        snprintf(word + 1, sizeof word - 1, "%.8s ",
                 i < sizeof param_names / sizeof *param_names ? param_names[i].name : "?");
        uint64_t v = p[n] == '=' ? strtoul(p + n + 1, &end, 10) : 0;
        if (!strstr(allowed, word) || !end || v == 0 || v > param_names[i].max ||
            (*end != ',' && *end != '\0'))
            return err_set(err, -EINVAL, "topology: \"%.64s\": at \"%.32s\": one of%s= and a "
                           "number is wanted", text, p, allowed);
        *(uint32_t *)((char *)out + param_names[i].at) = (uint32_t)v;
        p = *end ? end + 1 : end;
    }
    return 0;
}

/* A tree whose pieces of level i have below[i] children (level 1: nodes); filled from
 * the front until there are no more nodes. */
static int tree_make(struct fabric_draft *d, const struct hostlist *hl, const uint32_t *below,
                     uint32_t levels, const char *const *names, struct err *err)
{
    uint32_t at[FABRIC_LEVELS_MAX + 1], made[FABRIC_LEVELS_MAX + 1] = {0};
    uint64_t holds = 1;
    for (uint32_t l = 0; l < levels; l++)
        holds *= below[l + 1];
    if (hostlist_count(hl) > holds)
        return err_set(err, -E2BIG, "topology: it has room for %llu nodes, not for %zu",
                       (unsigned long long)holds, hostlist_count(hl));
    for (size_t i = 0; i < hostlist_count(hl); i++) {
        uint64_t size = holds;
        for (uint32_t l = levels; l > 0; l--) {
            char name[32];
            if (i % size == 0) {
                snprintf(name, sizeof name, "%s%u", names[l], made[l]++);
                at[l] = draft_piece(d, name, l == levels ? FABRIC_NO : at[l + 1], err);
                if (at[l] == FABRIC_NO)
                    return -E2BIG;
            }
            size /= below[l];
        }
        int rc = draft_node(d, hostlist_nth(hl, i), at[1], err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* Of switches with `radix` ports, half of them down: all paths have the full rate. */
static int fat_tree(struct fabric_draft *d, const char *text, const struct hostlist *hl,
                    struct err *err)
{
    static const char *const names[] = {"", "leaf", "pod", "core", "top"};
    struct params p = {.levels = 3};
    int rc = params_read(text, " radix levels ", &p, err);
    uint32_t half = p.radix / 2;
    if (rc == 0 && half < 1)
        rc = err_set(err, -EINVAL, "topology: \"%.64s\": radix= is missing", text);
    if (rc < 0)
        return rc;
    uint32_t below[5] = {0, half, half, half, half};
    below[p.levels] = p.radix; /* the top has no way up */
    return tree_make(d, hl, below, p.levels, names, err);
}

static int dragonfly(struct fabric_draft *d, const char *text, const struct hostlist *hl,
                     struct params *p, struct err *err)
{
    static const char *const names[] = {"", "router", "group", ""};
    int rc = params_read(text, " a p h ", p, err);
    if (rc == 0 && (!p->a || !p->p || !p->h))
        rc = err_set(err, -EINVAL, "topology: \"%.64s\": a= routers in a group, p= nodes and "
                     "h= global links of each are wanted", text);
    uint32_t below[] = {0, p->p, p->a, p->a * p->h + 1};
    return rc < 0 ? rc : tree_make(d, hl, below, 3, names, err);
}

static int rails(struct fabric_draft *d, const char *text, const struct hostlist *hl,
                 struct err *err)
{
    static const char *const names[] = {"", "unit", ""};
    struct params p = {.units = 1};
    int rc = params_read(text, " nodes units ", &p, err);
    if (rc == 0 && !p.nodes)
        rc = err_set(err, -EINVAL, "topology: \"%.64s\": nodes= in a unit is missing", text);
    uint32_t n = (uint32_t)hostlist_count(hl);
    uint32_t below[] = {0, p.nodes, p.units > 1 || !p.nodes ? p.units : (n - 1) / p.nodes + 1};
    return rc < 0 ? rc : tree_make(d, hl, below, 2, names, err);
}

static bool is_kind(const char *text, const char *kind)
{
    size_t n = strlen(kind);
    return strncmp(text, kind, n) == 0 && (text[n] == ':' || text[n] == '\0');
}

struct fabric *fabric_generate(const char *text, const char *nodes, struct err *err)
{
    struct hostlist *hl = list_read(text, "nodes", nodes, err);
    struct fabric_draft d;
    struct params p = {0};
    struct fabric *f = NULL;
    enum fabric_kind kind = FABRIC_TREE;
    int rc;
    if (!hl)
        return NULL;
    draft_init(&d);
    if (is_kind(text, "fat-tree")) {
        rc = fat_tree(&d, text, hl, err);
    } else if (is_kind(text, "dragonfly")) {
        kind = FABRIC_DRAGONFLY;
        rc = dragonfly(&d, text, hl, &p, err);
    } else if (is_kind(text, "rails")) {
        kind = FABRIC_RAILS;
        rc = rails(&d, text, hl, err);
    } else if (is_kind(text, "blocks")) {
        kind = FABRIC_BLOCKS;
        rc = rails(&d, text, hl, err);
    } else {
        rc = err_set(err, -EINVAL, "topology: \"%.64s\": fat-tree:radix=, dragonfly:a=,p=,h=, "
                     "rails:nodes= or blocks:nodes= is wanted", text);
    }
    hostlist_destroy(hl);
    if (rc == 0)
        f = draft_seal(&d, kind, err);
    draft_fini(&d);
    if (f && kind == FABRIC_DRAGONFLY) {
        f->routers = p.a;
        f->hosts = p.p;
        f->links = p.h;
    }
    return f;
}
