/* SPDX-License-Identifier: Apache-2.0
 *
 * What ibnetdiscover(8) prints: a paragraph for each switch and each channel adapter,
 *
 *     Switch  36 "S-GUID"      # "description" base port 0 lid 48 lmc 0
 *     [1]     "H-GUID"[1](PORTGUID)   # "node018 HCA-1" lid 67 4xEDR
 *     Ca      1 "H-GUID"       # "node018 HCA-1"
 *     [1](PORTGUID)  "S-GUID"[1]      # lid 67 lmc 0 "description" lid 48 4xEDR
 *
 * Each link is printed at both of its ends. Hosts with the same set of leaf switches are a
 * leaf; what is connected by switches at most k links above the hosts is a piece of level
 * k + 1. Lines of other kinds (comments, GUIDs, routers) are passed over.
 */
#include "topo/fabric.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/hostlist.h"
#include "base/limits.h"
#include "topo/fabric_draft.h"

#define RAILS_MAX 32u       /* leaf switches of one host */
#define GUID_LEN_MAX 32
#define IB_PARTS_MAX (FABRIC_PIECES_MAX + NODES_MAX * RAILS_MAX)
#define IB_LINKS_MAX (8u << 20)

struct part { /* a switch or an adapter, by GUID */
    char id[GUID_LEN_MAX];
    char *name;
    bool is_switch;
    uint32_t level;          /* of a switch: links to the nearest host; 0: none */
    uint32_t group;          /* of union-find: another part, or itself */
};
struct ib {
    const char *name;        /* of the text */
    struct part *part;
    uint32_t parts, parts_cap;
    uint32_t *slot, slots;   /* hash of ids */
    struct { uint32_t a, b; } *link;
    uint32_t links, links_cap;
};

static uint32_t *id_slot(const struct ib *ib, const char *id)
{
    uint32_t h = 2166136261u;
    for (const char *s = id; *s; s++)
        h = (h ^ (unsigned char)*s) * 16777619u;
    for (uint32_t i = h & (ib->slots - 1);; i = (i + 1) & (ib->slots - 1))
        if (ib->slot[i] == FABRIC_NO || strcmp(ib->part[ib->slot[i]].id, id) == 0)
            return &ib->slot[i];
}

static void slots_grow(struct ib *ib)
{
    free(ib->slot);
    ib->slots = ib->slots ? ib->slots * 2 : 1024;
    ib->slot = xmalloc(ib->slots * sizeof *ib->slot);
    memset(ib->slot, 0xff, ib->slots * sizeof *ib->slot);
    for (uint32_t i = 0; i < ib->parts; i++)
        *id_slot(ib, ib->part[i].id) = i;
}

/* The part with the id, made when it is new; FABRIC_NO: too many. */
static uint32_t part_get(struct ib *ib, const char *id)
{
    if (2 * ib->parts >= ib->slots)
        slots_grow(ib);
    uint32_t *slot = id_slot(ib, id);
    if (*slot != FABRIC_NO || ib->parts == IB_PARTS_MAX)
        return *slot;
    if (ib->parts == ib->parts_cap) {
        ib->parts_cap = ib->parts_cap * 2 + 256;
        ib->part = xrealloc(ib->part, ib->parts_cap * sizeof *ib->part);
    }
    struct part *p = &ib->part[ib->parts];
    *p = (struct part){.is_switch = id[0] == 'S', .group = ib->parts};
    memcpy(p->id, id, strlen(id) + 1);
    return *slot = ib->parts++;
}

static void ib_fini(struct ib *ib)
{
    for (uint32_t i = 0; i < ib->parts; i++)
        free(ib->part[i].name);
    free(ib->part);
    free(ib->slot);
    free(ib->link);
}

/* ---- reading ------------------------------------------------------------------------------ */

/* "S-0002c9..." after p into id; where it ends, NULL when there is none. */
static const char *id_read(const char *p, const char *end, char *id)
{
    const char *from = memchr(p, '"', (size_t)(end - p));
    const char *to = from ? memchr(from + 1, '"', (size_t)(end - from - 1)) : NULL;
    if (!to || to - from - 1 >= GUID_LEN_MAX || to - from < 4 || from[2] != '-')
        return NULL;
    memcpy(id, from + 1, (size_t)(to - from - 1));
    id[to - from - 1] = '\0';
    return to + 1;
}

/* The description after #: of a host its first word, of a switch all of it. */
static char *name_read(const char *p, const char *end, bool whole)
{
    const char *hash = memchr(p, '#', (size_t)(end - p));
    const char *from = hash ? memchr(hash, '"', (size_t)(end - hash)) : NULL;
    size_t n = 0;
    if (!from)
        return xstrdup("");
    from++;
    while (from + n < end && from[n] != '"' && n < HOSTNAME_LEN_MAX &&
           (whole || !isspace((unsigned char)from[n])))
        n++;
    char *name = xmalloc(n + 1);
    memcpy(name, from, n);
    name[n] = '\0';
    err_text_clean(name);
    return name;
}

static int fail(const struct ib *ib, size_t line, struct err *err, const char *why)
{
    return err_set(err, -EINVAL, "%s:%zu: %s", ib->name, line, why);
}

/* One line; *at: the part whose paragraph it is in. */
static int line_read(struct ib *ib, const char *p, const char *end, size_t line, uint32_t *at,
                     struct err *err)
{
    char id[GUID_LEN_MAX];
    size_t n = (size_t)(end - p);
    bool sw = n > 6 && memcmp(p, "Switch", 6) == 0 && isspace((unsigned char)p[6]);
    bool ca = n > 2 && memcmp(p, "Ca", 2) == 0 && isspace((unsigned char)p[2]);
    if (sw || ca) {
        const char *rest = id_read(p, end, id);
        if (!rest || id[0] != (sw ? 'S' : 'H'))
            return fail(ib, line, err, "a switch or adapter without its \"S-...\" or \"H-...\"");
        *at = part_get(ib, id);
        if (*at == FABRIC_NO)
            return fail(ib, line, err, "too many switches and adapters");
        free(ib->part[*at].name);
        ib->part[*at].name = name_read(rest, end, sw);
        return 0;
    }
    if (n > 0 && p[0] != '[') {
        if (n > 2 && memcmp(p, "Rt", 2) == 0)
            *at = FABRIC_NO;
        return 0;
    }
    if (n == 0 || *at == FABRIC_NO)
        return 0;
    if (!id_read(p, end, id))
        return fail(ib, line, err, "a port that leads to no \"S-...\" or \"H-...\"");
    if (id[0] != 'S' && id[0] != 'H')
        return 0; /* a router */
    uint32_t to = part_get(ib, id);
    if (to == FABRIC_NO || ib->links == IB_LINKS_MAX)
        return fail(ib, line, err, "too many switches, adapters or links");
    if (ib->links == ib->links_cap) {
        ib->links_cap = ib->links_cap * 2 + 1024;
        ib->link = xrealloc(ib->link, ib->links_cap * sizeof *ib->link);
    }
    ib->link[ib->links].a = *at;
    ib->link[ib->links++].b = to;
    return 0;
}

static int text_read(struct ib *ib, const char *text, size_t len, struct err *err)
{
    const char *p = text, *stop = text + len;
    uint32_t at = FABRIC_NO;
    int rc = 0;
    for (size_t line = 1; rc == 0 && p < stop; line++) {
        const char *end = memchr(p, '\n', (size_t)(stop - p));
        end = end ? end : stop;
        rc = line_read(ib, p, end, line, &at, err);
        p = end + 1;
    }
    for (uint32_t i = 0; rc == 0 && i < ib->parts; i++)
        if (!ib->part[i].name)
            rc = err_set(err, -EINVAL, "%s: %s is at the end of a link, but not described: is "
                         "the text complete?", ib->name, ib->part[i].id);
    return rc;
}

/* ---- hosts and levels ----------------------------------------------------------------------- */

struct host { const char *name; uint32_t sw[RAILS_MAX], count; };
struct hosts { struct host *v; uint32_t count; };

static int by_host(const void *a, const void *b)
{
    return hostname_compare(((const struct host *)a)->name, ((const struct host *)b)->name);
}

static void host_sw(struct host *h, uint32_t sw)
{
    uint32_t i = h->count;
    for (uint32_t k = 0; k < h->count; k++)
        if (h->sw[k] == sw)
            return;
    if (h->count == RAILS_MAX)
        return;
    for (; i > 0 && h->sw[i - 1] > sw; i--)
        h->sw[i] = h->sw[i - 1];
    h->sw[i] = sw;
    h->count++;
}

/* Hosts by name with their leaf switches; adapters of one host are joined. */
static void hosts_find(struct ib *ib, struct hosts *out)
{
    uint32_t n = 0, *host = xmalloc((ib->parts + 1) * sizeof *host);
    out->v = xcalloc(ib->links + 1, sizeof *out->v);
    for (uint32_t i = 0; i < ib->parts; i++)
        host[i] = FABRIC_NO;
    for (uint32_t i = 0; i < ib->links; i++) {
        uint32_t a = ib->link[i].a, b = ib->link[i].b;
        if (ib->part[a].is_switch == ib->part[b].is_switch)
            continue;
        uint32_t ca = ib->part[a].is_switch ? b : a, sw = ca == a ? b : a;
        if (ib->part[ca].name[0] == '\0')
            continue;
        if (host[ca] == FABRIC_NO) {
            host[ca] = n;
            out->v[n++].name = ib->part[ca].name;
        }
        host_sw(&out->v[host[ca]], sw);
        ib->part[sw].level = 1;
    }
    free(host);
    qsort(out->v, n, sizeof *out->v, by_host);
    for (uint32_t i = 0; i < n; i++) {
        if (out->count && strcmp(out->v[out->count - 1].name, out->v[i].name) == 0) {
            for (uint32_t k = 0; k < out->v[i].count; k++)
                host_sw(&out->v[out->count - 1], out->v[i].sw[k]);
        } else {
            out->v[out->count++] = out->v[i];
        }
    }
}

/* Levels of the other switches, link by link; the highest. */
static uint32_t levels_find(struct ib *ib)
{
    uint32_t level = 1;
    for (bool more = true; more && level < FABRIC_LEVELS_MAX - 2;) {
        more = false;
        for (uint32_t i = 0; i < ib->links; i++) {
            struct part *a = &ib->part[ib->link[i].a], *b = &ib->part[ib->link[i].b];
            if (!a->is_switch || !b->is_switch)
                continue;
            if (a->level == 0 && b->level == level)
                a->level = level + 1, more = true;
            if (b->level == 0 && a->level == level)
                b->level = level + 1, more = true;
        }
        level += more;
    }
    return level;
}

static uint32_t group_of(struct ib *ib, uint32_t i)
{
    while (ib->part[i].group != i) {
        ib->part[i].group = ib->part[ib->part[i].group].group;
        i = ib->part[i].group;
    }
    return i;
}

static void group_join(struct ib *ib, uint32_t a, uint32_t b)
{
    ib->part[group_of(ib, a)].group = group_of(ib, b);
}

/* ---- the draft --------------------------------------------------------------------------------- */

static bool same_leaf(const struct host *a, const struct host *b)
{
    return a->count == b->count && memcmp(a->sw, b->sw, a->count * sizeof *a->sw) == 0;
}

/* Leafs: the hosts are in order of names, and so are leafs by their first host. */
static int leafs_draft(struct ib *ib, struct hosts *hosts, struct fabric_draft *d,
                       uint32_t *leaf_sw, struct err *err)
{
    uint32_t *leaf = xmalloc((ib->parts + 1) * sizeof *leaf); /* by first switch: its leafs */
    uint32_t *next = xmalloc((hosts->count + 1) * sizeof *next);
    const struct host **of = xmalloc((hosts->count + 1) * sizeof *of);
    int rc = 0;
    memset(leaf, 0xff, (ib->parts + 1) * sizeof *leaf);
    for (uint32_t i = 0; rc == 0 && i < hosts->count; i++) {
        struct host *h = &hosts->v[i];
        uint32_t l = leaf[h->sw[0]];
        while (l != FABRIC_NO && !same_leaf(of[l], h))
            l = next[l];
        if (l == FABRIC_NO) {
            l = draft_piece(d, ib->part[h->sw[0]].name, FABRIC_NO, err);
            if (l == FABRIC_NO) {
                rc = -E2BIG;
                break;
            }
            next[l] = leaf[h->sw[0]];
            leaf[h->sw[0]] = l;
            of[l] = h;
            leaf_sw[l] = h->sw[0];
            for (uint32_t k = 1; k < h->count; k++) /* rails of a leaf belong together */
                group_join(ib, h->sw[0], h->sw[k]);
        }
        rc = draft_node(d, h->name, l, err);
    }
    free(leaf);
    free(next);
    free(of);
    return rc;
}

/* Pieces of one level above `from` ... : what switches up to `level` connect. A piece that
 * would hold only one of the last level is left out. */
static int level_draft(struct ib *ib, struct fabric_draft *d, uint32_t level, uint32_t *piece_sw,
                       struct err *err)
{
    uint32_t pieces = d->pieces, *mine = xmalloc((ib->parts + 1) * sizeof *mine);
    uint32_t *count = xcalloc(ib->parts + 1, sizeof *count);
    int rc = 0;
    for (uint32_t i = 0; i < ib->links; i++) {
        const struct part *a = &ib->part[ib->link[i].a], *b = &ib->part[ib->link[i].b];
        if (a->is_switch && b->is_switch && a->level && b->level && a->level <= level &&
            b->level <= level)
            group_join(ib, ib->link[i].a, ib->link[i].b);
    }
    memset(mine, 0xff, (ib->parts + 1) * sizeof *mine);
    for (uint32_t i = 0; i < pieces; i++)
        if (d->piece[i].parent == FABRIC_NO)
            count[group_of(ib, piece_sw[i])]++;
    for (uint32_t i = 0; rc == 0 && i < pieces; i++) {
        uint32_t g = group_of(ib, piece_sw[i]);
        if (d->piece[i].parent != FABRIC_NO || count[g] < 2)
            continue;
        if (mine[g] == FABRIC_NO) {
            mine[g] = draft_piece(d, "", FABRIC_NO, err);
            if (mine[g] == FABRIC_NO) {
                rc = -E2BIG;
                break;
            }
            piece_sw[mine[g]] = piece_sw[i];
        }
        d->piece[i].parent = mine[g];
        d->piece[mine[g]].has_pieces = true;
    }
    free(mine);
    free(count);
    return rc;
}

struct fabric *fabric_ibnetdiscover(const char *text, size_t len, const char *name,
                                    struct err *err)
{
    struct ib ib = {.name = name};
    struct hosts hosts = {0};
    struct fabric_draft d;
    if (len > FABRIC_TEXT_BYTES_MAX) {
        err_set(err, -EFBIG, "%s: larger than %u bytes", name, FABRIC_TEXT_BYTES_MAX);
        return NULL;
    }
    draft_init(&d);
    int rc = text_read(&ib, text, len, err);
    if (rc == 0) {
        hosts_find(&ib, &hosts);
        uint32_t top = levels_find(&ib);
        uint32_t *sw = xmalloc((2 * (size_t)hosts.count + 1) * sizeof *sw);
        bool rails = false;
        if (hosts.count == 0)
            rc = err_set(err, -EINVAL, "%s: no host is connected to a switch", name);
        else
            rc = leafs_draft(&ib, &hosts, &d, sw, err);
        for (uint32_t i = 0; i < hosts.count; i++)
            rails = rails || hosts.v[i].count > 1;
        for (uint32_t level = 1; rc == 0 && level <= top; level++)
            rc = level_draft(&ib, &d, level, sw, err);
        free(sw);
        ib_fini(&ib);
        free(hosts.v);
        if (rc == 0)
            return draft_seal(&d, rails ? FABRIC_RAILS : FABRIC_TREE, err);
    } else {
        ib_fini(&ib);
    }
    draft_fini(&d);
    return NULL;
}
