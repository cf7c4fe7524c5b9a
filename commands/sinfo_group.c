/* SPDX-License-Identifier: Apache-2.0
 *
 * Every (partition, node) pair has a key: the text of those columns that must be
 * equal on one line. Pairs are sorted by key; each run of equal keys is a group.
 * Counts and lists are computed over the group; sizes of unequal nodes show the
 * smallest and "+", unless --exact makes them part of the key.
 */
#include "sinfo.h"

#include "base/hostlist.h"
#include "job/state.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct pair {
    size_t partition, node; /* rows; node == SIZE_MAX: a partition without nodes */
    enum node_state state;
    uint32_t flags;
    char *key;
};

void sinfo_data_init(struct sinfo_data *d, const struct field_format *f)
{
    memset(d, 0, sizeof(*d));
    arena_init(&d->arena);
    rows_init(&d->nodes);
    rows_init(&d->parts);
    d->columns = arena_alloc(&d->arena, (f->count + 1) * sizeof(*d->columns));
}

void sinfo_data_fini(struct sinfo_data *d)
{
    rows_fini(&d->nodes);
    rows_fini(&d->parts);
    arena_fini(&d->arena);
}

static bool list_has(const char *list, const char *word)
{
    size_t len = strlen(word);
    for (const char *p = list; *p != '\0';) {
        size_t n = strcspn(p, ",");
        if (n == len && strncmp(p, word, n) == 0)
            return true;
        p += n + (p[n] == ',');
    }
    return false;
}

/* --states: any of a list, each one word or several with '&' that must all hold. */
static bool states_match(enum node_state s, uint32_t flags)
{
    bool all = true;
    if (opt.states == NULL)
        return true;
    for (const char *p = opt.states; *p != '\0';) {
        char word[32];
        size_t n = strcspn(p, ",&");
        snprintf(word, sizeof(word), "%.*s", (int)n, p);
        all = all && (strcasecmp(word, "all") == 0 || node_state_matches(word, s, flags) == 1);
        if (p[n] != '&') {
            if (all)
                return true;
            all = true;
        }
        p += n + (p[n] != '\0');
    }
    return false;
}

static bool wanted(const struct sinfo_data *d, const struct row *node, const struct pair *p,
                   const struct hostlist *names)
{
    bool silent = p->state == NODE_DOWN || (p->flags & NODEF_NO_RESPOND);
    if (opt.reasons && (node->cells[d->at.reason][0] == '\0' ||
                        !(p->state == NODE_DOWN || (p->flags & (NODEF_DRAIN | NODEF_FAIL)))))
        return false;
    if ((opt.dead && !silent) || (opt.responding && silent))
        return false;
    if (names != NULL && hostlist_find(names, node->cells[d->at.name]) < 0)
        return false;
    return states_match(p->state, p->flags);
}

/* ---- keys ---------------------------------------------------------------------------- */

enum role { ROLE_KEY, ROLE_SUM /* over the group */, ROLE_SIZE /* smallest and "+" */ };

static enum role role_of(const struct field *f)
{
    switch (f->id) {
    case FIELD_SINFO_NODES:
    case FIELD_SINFO_NODELIST:
    case FIELD_SINFO_NODES_AI:
    case FIELD_SINFO_NODES_AIOT:
    case FIELD_NODE_CPUS_STATE:
        return ROLE_SUM;
    case FIELD_NODE_CPUS:
    case FIELD_NODE_SOCKETS:
    case FIELD_NODE_CORES:
    case FIELD_NODE_THREADS:
    case FIELD_NODE_SCT:
    case FIELD_NODE_MEMORY:
    case FIELD_NODE_TMP:
    case FIELD_NODE_WEIGHT:
    case FIELD_NODE_MEM_FREE:
    case FIELD_NODE_LOAD:
        return opt.exact ? ROLE_KEY : ROLE_SIZE;
    default:
        return ROLE_KEY;
    }
}

/* The cell of one pair for a column that is the same all over a group. */
static const char *pair_cell(struct sinfo_data *d, const struct field *f, size_t column,
                             const struct pair *p)
{
    char text[NODE_STATE_TEXT_MAX];
    const struct row *part = &d->parts.v[p->partition];
    const struct row *node = p->node != SIZE_MAX ? &d->nodes.v[p->node] : NULL;
    bool is_default = strcmp(part->cells[d->at.part_default], "1") == 0;

    if (f->what == FIELD_OF_PARTITION)
        return part->cells[d->columns[column]];
    if (f->id == FIELD_SINFO_PARTITION)
        return arena_printf(&d->arena, "%s%s", part->cells[d->at.part_name], is_default ? "*" : "");
    if (node == NULL)
        return "n/a";
    switch ((int)f->id) {
    case FIELD_NODE_STATE:
    case FIELD_NODE_STATE_COMPACT:
        node_state_word(p->state, p->flags, f->id == FIELD_NODE_STATE_COMPACT, text, sizeof(text));
        return arena_strdup(&d->arena, text);
    case FIELD_SINFO_FEATURES_ACT:
        return node->cells[d->at.features][0] != '\0' ? node->cells[d->at.features] : "(null)";
    case FIELD_SINFO_REASON_USER:
        if (node->cells[d->at.reason][0] == '\0')
            return "Unknown";
        return arena_printf(&d->arena, "%s(%s)", node->cells[d->at.reason_user],
                            node->cells[d->at.reason_uid]);
    case FIELD_NODE_REASON:
        return node->cells[d->at.reason][0] != '\0' ? node->cells[d->at.reason] : "none";
    case FIELD_NODE_FEATURES:
    case FIELD_NODE_GRES_USED:
    case FIELD_NODE_GRES: {
        const char *cell = node->cells[d->columns[column]];
        return cell[0] != '\0' ? cell : "(null)";
    }
    default:
        return node->cells[d->columns[column]];
    }
}

/* Partition columns in a format make partitions separate lines; without any, a
 * node that is in several partitions appears once. */
static bool has_partition(const struct field_format *f)
{
    for (size_t i = 0; i < f->count; i++)
        if (f->columns[i].field->what == FIELD_OF_PARTITION ||
            f->columns[i].field->id == FIELD_SINFO_PARTITION)
            return true;
    return false;
}

static char *key_make(struct sinfo_data *d, const struct field_format *f, const struct pair *p)
{
    struct buf b;
    buf_init(&b);
    if (has_partition(f))
        buf_printf(&b, "%06zu\001", p->partition);
    if (opt.node && p->node != SIZE_MAX)
        buf_printf(&b, "%s\001", d->nodes.v[p->node].cells[d->at.name]);
    for (size_t k = 0; k < f->count; k++)
        if (role_of(f->columns[k].field) == ROLE_KEY)
            buf_printf(&b, "%s\001", pair_cell(d, f->columns[k].field, k, p));
    char *key = arena_strdup(&d->arena, buf_str(&b));
    buf_fini(&b);
    return key;
}

static int pair_compare(const void *pa, const void *pb)
{
    const struct pair *a = pa, *b = pb;
    int c = strcmp(a->key, b->key);
    return c != 0 ? c : (a->node > b->node) - (a->node < b->node);
}

/* ---- values over a group ---------------------------------------------------------------- */

struct counts {
    unsigned long alloc, idle, other, total;
};

static void count_nodes(const struct pair *p, size_t n, struct counts *c)
{
    for (size_t i = 0; i < n && p[i].node != SIZE_MAX; i++) {
        bool off = p[i].state == NODE_DOWN || p[i].state == NODE_UNKNOWN ||
                   p[i].state == NODE_FUTURE ||
                   (p[i].flags & (NODEF_DRAIN | NODEF_FAIL | NODEF_NO_RESPOND | NODEF_INVALID_REG));
        bool busy = p[i].state == NODE_ALLOCATED || p[i].state == NODE_MIXED ||
                    (p[i].flags & NODEF_COMPLETING);
        *(busy ? &c->alloc : off ? &c->other : &c->idle) += 1;
        c->total++;
    }
}

static void count_cpus(const struct sinfo_data *d, const struct pair *p, size_t n, struct counts *c)
{
    for (size_t i = 0; i < n && p[i].node != SIZE_MAX; i++) {
        const struct row *node = &d->nodes.v[p[i].node];
        unsigned long all = strtoul(node->cells[d->at.cpus], NULL, 10);
        unsigned long used = strtoul(node->cells[d->at.cpus_alloc], NULL, 10);
        bool off = p[i].state == NODE_DOWN || (p[i].flags & (NODEF_DRAIN | NODEF_FAIL));
        c->alloc += used;
        *(off ? &c->other : &c->idle) += all > used ? all - used : 0;
        c->total += all;
    }
}

static char *nodes_ranged(struct sinfo_data *d, const struct pair *p, size_t n)
{
    struct hostlist *hl = hostlist_create("", NULL);
    for (size_t i = 0; i < n && p[i].node != SIZE_MAX; i++)
        hostlist_push(hl, d->nodes.v[p[i].node].cells[d->at.name], NULL);
    hostlist_sort(hl);
    char *ranged = hostlist_ranged(hl);
    char *text = arena_strdup(&d->arena, ranged);
    free(ranged);
    hostlist_destroy(hl);
    return text;
}

static const char *size_cell(struct sinfo_data *d, size_t column, const struct pair *p, size_t n)
{
    const char *least = NULL;
    bool differ = false;
    for (size_t i = 0; i < n && p[i].node != SIZE_MAX; i++) {
        const char *cell = d->nodes.v[p[i].node].cells[d->columns[column]];
        if (least != NULL && strcmp(cell, least) != 0)
            differ = true;
        if (least == NULL || strverscmp(cell, least) < 0)
            least = cell;
    }
    if (least == NULL)
        return "0";
    return differ ? arena_printf(&d->arena, "%s+", least) : least;
}

static const char *sum_cell(struct sinfo_data *d, const struct field *f, const struct pair *p,
                            size_t n)
{
    struct counts c = {0};
    if (f->id == FIELD_NODE_CPUS_STATE)
        count_cpus(d, p, n, &c);
    else
        count_nodes(p, n, &c);
    if (f->id == FIELD_SINFO_NODELIST)
        return nodes_ranged(d, p, n);
    if (f->id == FIELD_SINFO_NODES)
        return arena_printf(&d->arena, "%lu", c.total);
    if (f->id == FIELD_SINFO_NODES_AI)
        return arena_printf(&d->arena, "%lu/%lu", c.alloc, c.idle);
    return arena_printf(&d->arena, "%lu/%lu/%lu/%lu", c.alloc, c.idle, c.other, c.total);
}

static void group_fill(struct sinfo_data *d, const struct field_format *f, const struct pair *p,
                       size_t n, struct sinfo_group *g)
{
    g->cells = arena_alloc(&d->arena, f->count * sizeof(*g->cells));
    g->partition = p->partition;
    g->state = (int)p->state;
    g->first = p->node != SIZE_MAX ? d->nodes.v[p->node].cells[d->at.name] : "";
    for (size_t k = 0; k < f->count; k++) {
        const struct field *field = f->columns[k].field;
        enum role role = role_of(field);
        g->cells[k] = (char *)(role == ROLE_KEY   ? pair_cell(d, field, k, p)
                               : role == ROLE_SUM ? sum_cell(d, field, p, n)
                                                  : size_cell(d, k, p, n));
    }
}

/* ---- order ---------------------------------------------------------------------------------- */

static struct {
    const struct field_format *format;
    const char *keys; /* --sort or the default */
} order;

static int letter_compare(const struct sinfo_group *a, const struct sinfo_group *b, bool hash,
                          char letter)
{
    if (letter == 'P' && hash)
        return (a->partition > b->partition) - (a->partition < b->partition);
    if (letter == 't' || letter == 'T')
        return (a->state > b->state) - (a->state < b->state);
    if (letter == 'N')
        return strverscmp(a->first, b->first);
    for (size_t k = 0; k < order.format->count; k++)
        if (order.format->columns[k].field->letter == letter)
            return strverscmp(a->cells[k], b->cells[k]);
    return 0;
}

static int group_compare(const void *pa, const void *pb)
{
    for (const char *p = order.keys; *p != '\0'; p++) {
        bool down = false, hash = false;
        for (; *p == '-' || *p == '+' || *p == '#'; p++) {
            down = down || *p == '-';
            hash = hash || *p == '#';
        }
        int c = letter_compare(pa, pb, hash, *p);
        if (c != 0)
            return down ? -c : c;
        if (*p == '\0' || p[1] == '\0')
            break;
        p += p[1] == ',';
    }
    return 0;
}

static int sort_check(const char *keys, struct err *err)
{
    for (const char *p = keys; *p != '\0';) {
        p += strspn(p, "-+#");
        if (field_by_letter(FIELD_OF_SINFO, *p) == NULL || (p[1] != '\0' && p[1] != ','))
            return err_set(err, SL_EINVAL_FIELD, "Invalid sort specification: %s", keys);
        p += 1 + (p[1] == ',');
    }
    return 0;
}

/* ---- pairs -------------------------------------------------------------------------------------- */

static size_t pairs_make(struct sinfo_data *d, const struct field_format *f, struct pair *pairs,
                         const struct hostlist *names)
{
    bool by_partition = has_partition(f);
    size_t count = 0;
    for (size_t i = 0; i < d->parts.count; i++) {
        const char *part = d->parts.v[i].cells[d->at.part_name];
        size_t before = count;
        if (opt.partition != NULL && !list_has(opt.partition, part))
            continue;
        for (size_t k = 0; k < d->nodes.count; k++) {
            const struct row *node = &d->nodes.v[k];
            struct pair p = {.partition = i, .node = k};
            if (!list_has(node->cells[d->at.partitions], part))
                continue;
            node_state_parse(node->cells[d->at.state], &p.state, &p.flags);
            if (wanted(d, node, &p, names))
                pairs[count++] = p;
        }
        bool filtered = opt.states || opt.nodes || opt.dead || opt.responding || opt.reasons;
        if (count == before && by_partition && !filtered && !opt.node)
            pairs[count++] = (struct pair){.partition = i, .node = SIZE_MAX};
    }
    for (size_t i = 0; i < count; i++)
        pairs[i].key = key_make(d, f, &pairs[i]);
    return count;
}

/* A node that several partitions share counts once on a line without partition. */
static size_t pairs_unique(struct pair *pairs, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || pairs[i].node != pairs[kept - 1].node ||
            strcmp(pairs[i].key, pairs[kept - 1].key) != 0)
            pairs[kept++] = pairs[i];
    return kept;
}

int sinfo_group(struct sinfo_data *d, const struct field_format *f, struct err *err)
{
    struct hostlist *names = NULL;
    order.format = f;
    order.keys = opt.sort != NULL ? opt.sort : opt.node ? "N" : opt.reasons ? "N" : "#P,-t";
    int rc = sort_check(order.keys, err);
    if (rc != 0)
        return rc;
    if (opt.nodes != NULL && (names = hostlist_create(opt.nodes, err)) == NULL)
        return err->code;
    size_t pairs_max = d->parts.count * (d->nodes.count + 1) + 1;
    struct pair *pairs = xcalloc(pairs_max, sizeof(*pairs));
    size_t count = pairs_make(d, f, pairs, names);
    qsort(pairs, count, sizeof(*pairs), pair_compare);
    if (!has_partition(f))
        count = pairs_unique(pairs, count);
    d->groups = arena_alloc(&d->arena, (count + 1) * sizeof(*d->groups));
    for (size_t i = 0; i < count;) {
        size_t n = 1;
        while (i + n < count && strcmp(pairs[i].key, pairs[i + n].key) == 0)
            n++;
        group_fill(d, f, &pairs[i], n, &d->groups[d->groups_count++]);
        i += n;
    }
    qsort(d->groups, d->groups_count, sizeof(*d->groups), group_compare);
    free(pairs);
    hostlist_destroy(names);
    return 0;
}
