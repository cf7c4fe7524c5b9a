/* SPDX-License-Identifier: Apache-2.0
 *
 * The list itself and the expansion of an expression. An item is a template of
 * literal runs and bracket groups; all counts are known, and checked, before the
 * first name is made. hostlist_ranged() is in hostrange.c.
 */
#include "hostlist.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"

#define GROUPS_MAX 8      /* bracket groups in one name */
#define DIGITS_MAX 18     /* of one number; fits 64 bits with room */

struct hostlist {
    struct arena names_mem;
    char **names; /* in names_mem */
    size_t count, cap;
};

struct range {
    uint64_t lo, hi;
    int width; /* zero-padded to */
};
struct group { /* "literal[ranges]" */
    const char *literal; /* in the expression */
    size_t literal_len;
    struct range *ranges; /* in the parser's arena */
    size_t ranges_count;
    uint64_t total; /* names of all ranges */
};
struct item {
    struct group groups[GROUPS_MAX];
    size_t groups_count;
    const char *tail; /* literal after the last group */
    size_t tail_len;
    uint64_t total;
};

static struct hostlist *hostlist_new(void)
{
    return xcalloc(1, sizeof(struct hostlist));
}

void hostlist_destroy(struct hostlist *hl)
{
    if (!hl)
        return;
    arena_fini(&hl->names_mem);
    free(hl->names);
    free(hl);
}

size_t hostlist_count(const struct hostlist *hl)
{
    return hl->count;
}

const char *hostlist_nth(const struct hostlist *hl, size_t i)
{
    return i < hl->count ? hl->names[i] : NULL;
}

long hostlist_find(const struct hostlist *hl, const char *name)
{
    for (size_t i = 0; i < hl->count; i++)
        if (strcmp(hl->names[i], name) == 0)
            return (long)i;
    return -1;
}

/* Names become file names, environment values and addresses, so that they keep
 * to what host names and Slurm's node names use. */
static bool name_char_ok(char c)
{
    return isalnum((unsigned char)c) || (c && strchr("-_.:+", c));
}

static int name_check(const char *name, struct err *err)
{
    size_t n = strlen(name);
    if (n == 0 || n > HOSTNAME_LEN_MAX)
        return err_set(err, SL_EINVAL_NODE, "node name of %zu characters (1 to %d are "
                       "allowed)", n, HOSTNAME_LEN_MAX);
    for (size_t i = 0; i < n; i++)
        if (!name_char_ok(name[i]))
            return err_set(err, SL_EINVAL_NODE, "node name \"%.64s\": character %zu is not "
                           "a letter, a digit or one of -_.:+", name, i + 1);
    if (name[0] == '.' || name[0] == '-')
        return err_set(err, SL_EINVAL_NODE, "node name \"%.64s\" begins with '%c'", name,
                       name[0]);
    return 0;
}

int hostlist_push(struct hostlist *hl, const char *name, struct err *err)
{
    int rc = name_check(name, err);
    if (rc < 0)
        return rc;
    if (hl->count >= HOSTLIST_MAX)
        return err_set(err, -E2BIG, "node list has more than %d names", HOSTLIST_MAX);
    if (hl->count == hl->cap) {
        hl->cap = hl->cap ? hl->cap * 2 : 16;
        hl->names = xrealloc(hl->names, hl->cap * sizeof hl->names[0]);
    }
    hl->names[hl->count++] = arena_strdup(&hl->names_mem, name);
    return 0;
}

/* ---- parsing ---------------------------------------------------------------- */

struct parser {
    const char *expr; /* whole, for messages */
    const char *p;
    struct arena mem;
    struct err *err;
};

static int parse_fail(struct parser *ps, const char *what)
{
    return err_set(ps->err, SL_EINVAL_NODE, "node list \"%.80s\", character %zu: %s",
                   ps->expr, (size_t)(ps->p - ps->expr) + 1, what);
}

static int parse_number(struct parser *ps, uint64_t *value, int *digits)
{
    const char *s = ps->p;
    uint64_t v = 0;
    while (isdigit((unsigned char)*s) && s - ps->p < DIGITS_MAX)
        v = v * 10 + (uint64_t)(*s++ - '0');
    if (s == ps->p)
        return parse_fail(ps, "a number is expected");
    if (isdigit((unsigned char)*s))
        return parse_fail(ps, "the number is too long");
    *value = v;
    *digits = (int)(s - ps->p);
    ps->p = s;
    return 0;
}

static int parse_range(struct parser *ps, struct range *r)
{
    int rc = parse_number(ps, &r->lo, &r->width);
    if (rc < 0)
        return rc;
    r->hi = r->lo;
    if (*ps->p == '-') {
        int digits;
        ps->p++;
        rc = parse_number(ps, &r->hi, &digits);
        if (rc < 0)
            return rc;
        if (r->hi < r->lo)
            return parse_fail(ps, "the range ends before it begins");
    }
    if (*ps->p != ',' && *ps->p != ']')
        return parse_fail(ps, *ps->p ? "',', '-' or ']' is expected" : "no closing ']'");
    return 0;
}

/* At the character after '['; ends after ']'. */
static int parse_ranges(struct parser *ps, struct group *g)
{
    size_t count_max = 1;
    for (const char *s = ps->p; *s && *s != ']'; s++)
        count_max += *s == ',';
    if (count_max > HOSTLIST_MAX)
        return parse_fail(ps, "too many ranges");
    g->ranges = arena_alloc(&ps->mem, count_max * sizeof g->ranges[0]);
    do {
        struct range *r = &g->ranges[g->ranges_count++];
        int rc = parse_range(ps, r);
        if (rc < 0)
            return rc;
        g->total += r->hi - r->lo + 1; /* each at most 10^18, at most 2^17 of them */
        if (g->total > HOSTLIST_MAX)
            return parse_fail(ps, "the range has too many names");
    } while (*ps->p++ == ',');
    return 0;
}

static const char *parse_literal(struct parser *ps, size_t *len)
{
    const char *start = ps->p;
    while (name_char_ok(*ps->p))
        ps->p++;
    *len = (size_t)(ps->p - start);
    return start;
}

static bool is_separator(char c)
{
    return c == ',' || c == ' ' || c == '\t' || c == '\n';
}

static int parse_item(struct parser *ps, struct item *it)
{
    *it = (struct item){.total = 1};
    for (;;) {
        size_t len;
        const char *literal = parse_literal(ps, &len);
        if (*ps->p != '[') {
            it->tail = literal;
            it->tail_len = len;
            break;
        }
        if (it->groups_count == GROUPS_MAX)
            return parse_fail(ps, "too many bracket groups in one name");
        ps->p++;
        struct group *g = &it->groups[it->groups_count++];
        g->literal = literal;
        g->literal_len = len;
        int rc = parse_ranges(ps, g);
        if (rc < 0)
            return rc;
        it->total *= g->total;
        if (it->total > HOSTLIST_MAX)
            return parse_fail(ps, "the brackets make too many names");
    }
    if (*ps->p && !is_separator(*ps->p))
        return parse_fail(ps, *ps->p == ']' ? "']' without '['"
                                            : "this character cannot be in a node name");
    return 0;
}

/* The k-th number of a group. */
static uint64_t group_number(const struct group *g, uint64_t k, int *width)
{
    size_t i = 0;
    while (k > g->ranges[i].hi - g->ranges[i].lo) {
        k -= g->ranges[i].hi - g->ranges[i].lo + 1;
        i++;
    }
    *width = g->ranges[i].width;
    return g->ranges[i].lo + k;
}

/* The name with these per-group indices; false when it is too long. */
static bool item_name(const struct item *it, const uint64_t index[], char *out, size_t size)
{
    size_t n = 0;
    for (size_t i = 0; i < it->groups_count; i++) {
        const struct group *g = &it->groups[i];
        int width;
        uint64_t number = group_number(g, index[i], &width);
        if (g->literal_len >= size - n)
            return false;
        memcpy(out + n, g->literal, g->literal_len);
        n += g->literal_len;
        int k = snprintf(out + n, size - n, "%0*llu", width, (unsigned long long)number);
        if (k < 0 || (size_t)k >= size - n)
            return false;
        n += (size_t)k;
    }
    if (it->tail_len >= size - n)
        return false;
    memcpy(out + n, it->tail, it->tail_len);
    out[n + it->tail_len] = '\0';
    return true;
}

/* Odometer over the groups, the last one turning fastest. */
static int expand_item(struct parser *ps, const struct item *it, struct hostlist *hl)
{
    uint64_t index[GROUPS_MAX] = {0};
    char name[HOSTNAME_LEN_MAX + 1];
    if (it->total > HOSTLIST_MAX - hl->count)
        return err_set(ps->err, -E2BIG, "node list \"%.80s\" has more than %d names",
                       ps->expr, HOSTLIST_MAX);
    for (uint64_t k = 0; k < it->total; k++) {
        if (!item_name(it, index, name, sizeof name))
            return parse_fail(ps, "a name is longer than 255 characters");
        int rc = hostlist_push(hl, name, ps->err);
        if (rc < 0)
            return rc;
        for (size_t g = it->groups_count; g-- > 0;) {
            if (++index[g] < it->groups[g].total)
                break;
            index[g] = 0;
        }
    }
    return 0;
}

struct hostlist *hostlist_create(const char *expr, struct err *err)
{
    struct parser ps = {.expr = expr, .p = expr, .err = err};
    struct hostlist *hl = hostlist_new();
    int rc = 0;
    for (;;) {
        while (is_separator(*ps.p))
            ps.p++;
        if (*ps.p == '\0')
            break;
        struct item it;
        rc = parse_item(&ps, &it);
        if (rc == 0)
            rc = expand_item(&ps, &it, hl);
        if (rc < 0)
            break;
        arena_reset(&ps.mem);
    }
    arena_fini(&ps.mem);
    if (rc < 0) {
        hostlist_destroy(hl);
        return NULL;
    }
    return hl;
}

/* ---- order ------------------------------------------------------------------ */

/* Runs of digits compare as numbers of any length, all else by byte. */
int hostname_compare(const char *a, const char *b)
{
    const char *pa = a, *pb = b;
    while (*pa && *pb) {
        if (isdigit((unsigned char)*pa) && isdigit((unsigned char)*pb)) {
            pa += strspn(pa, "0");
            pb += strspn(pb, "0");
            size_t na = strspn(pa, "0123456789"), nb = strspn(pb, "0123456789");
            int c = na != nb ? (na < nb ? -1 : 1) : strncmp(pa, pb, na);
            if (c)
                return c;
            pa += na;
            pb += nb;
        } else if (*pa != *pb) {
            return (unsigned char)*pa < (unsigned char)*pb ? -1 : 1;
        } else {
            pa++, pb++;
        }
    }
    if (*pa || *pb)
        return *pa ? 1 : -1;
    return strcmp(a, b); /* n1 and n01: a total order for the sort */
}

static int compare_names(const void *a, const void *b)
{
    return hostname_compare(*(char *const *)a, *(char *const *)b);
}

void hostlist_sort(struct hostlist *hl)
{
    if (hl->count > 1)
        qsort(hl->names, hl->count, sizeof hl->names[0], compare_names);
}

void hostlist_uniq(struct hostlist *hl)
{
    hostlist_sort(hl);
    size_t kept = 0;
    for (size_t i = 0; i < hl->count; i++)
        if (kept == 0 || strcmp(hl->names[kept - 1], hl->names[i]) != 0)
            hl->names[kept++] = hl->names[i];
    hl->count = kept;
}
