/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/constraint.h"

#include "base/buf.h"
#include "sched/advres.h"
#include "sched/request.h"

#include <stdlib.h>
#include <string.h>

#define NESTING_MAX 32

/* ---- parsing ---------------------------------------------------------------------------- */

struct parse {
    struct core *c;
    const char *option;  /* for errors */
    const char *p, *end; /* what is left */
    unsigned depth;
};

static int wrong(const struct parse *f, const char *what, struct err *err)
{
    return err_set(err, SL_EINVAL_FIELD, "%s: %s at \"%.*s\"", f->option, what,
                   (int)(f->end - f->p), f->p);
}

static void op_push(struct feature_expr *x, int op, uint32_t name)
{
    x->op = xrealloc(x->op, (x->ops + 1) * sizeof *x->op);
    x->op[x->ops].op = op;
    x->op[x->ops++].name = name;
}

static bool at(const struct parse *f, char ch)
{
    return f->p < f->end && *f->p == ch;
}

static bool at_and(const struct parse *f)
{
    return at(f, '&') || at(f, ',');
}

static int parse_or(struct parse *f, struct feature_expr *x, struct err *err);

static int parse_item(struct parse *f, struct feature_expr *x, struct err *err)
{
    const char *from = f->p;
    if (at(f, '(')) {
        if (++f->depth > NESTING_MAX)
            return wrong(f, "nested too deep", err);
        f->p++;
        if (parse_or(f, x, err) < 0)
            return err->code;
        if (!at(f, ')'))
            return wrong(f, "\")\" is missing", err);
        f->p++;
        f->depth--;
        return 0;
    }
    while (f->p < f->end && !strchr("&|,()[]*: \t", *f->p))
        f->p++;
    if (f->p == from)
        return wrong(f, "a feature's name is wanted", err);
    op_push(x, FEATURE_NAME, intern_get(&f->c->text, from, (size_t)(f->p - from), NULL));
    return 0;
}

static int parse_and(struct parse *f, struct feature_expr *x, struct err *err)
{
    int rc = parse_item(f, x, err);
    while (rc == 0 && at_and(f)) {
        f->p++;
        rc = parse_item(f, x, err);
        op_push(x, FEATURE_AND, 0);
    }
    return rc;
}

static int parse_or(struct parse *f, struct feature_expr *x, struct err *err)
{
    int rc = parse_and(f, x, err);
    while (rc == 0 && at(f, '|')) {
        f->p++;
        rc = parse_and(f, x, err);
        op_push(x, FEATURE_OR, 0);
    }
    return rc;
}

/* The whole of [p, end) as one expression. */
static int parse_all(const struct parse *f, const char *p, const char *end,
                     struct feature_expr *x, struct err *err)
{
    struct parse one = {.c = f->c, .option = f->option, .p = p, .end = end};
    int rc = parse_or(&one, x, err);
    return rc == 0 && one.p != end ? wrong(&one, "unexpected", err) : rc;
}

/* Another expression joins the one that all nodes must satisfy. */
static void base_join(struct constraint *k, struct feature_expr *x)
{
    bool first = k->base.ops == 0;
    for (uint32_t i = 0; i < x->ops; i++)
        op_push(&k->base, x->op[i].op, x->op[i].name);
    if (!first)
        op_push(&k->base, FEATURE_AND, 0);
    free(x->op);
    x->op = NULL;
}

/* End of the part at p: the next of these characters outside any bracket. */
static const char *part_end(const char *p, const char *end, const char *stops)
{
    int depth = 0;
    for (; p < end; p++) {
        depth += *p == '(' || *p == '[';
        depth -= *p == ')' || *p == ']';
        if (depth == 0 && strchr(stops, *p))
            return p;
    }
    return end;
}

static int count_parse(const struct parse *f, const char *p, const char *end, uint32_t *n,
                       struct err *err)
{
    uint64_t v = 0;
    const char *from = p;
    for (; p < end && *p >= '0' && *p <= '9' && v <= NODES_MAX; p++)
        v = 10 * v + (uint64_t)(*p - '0');
    if (p != end || p == from || v == 0 || v > NODES_MAX)
        return err_set(err, SL_EINVAL_FIELD, "%s: \"*%.*s\": a count of nodes is wanted",
                       f->option, (int)(end - from), from);
    *n = (uint32_t)v;
    return 0;
}

/* "item" or "item*N" into base or counted. must: a count is. */
static int part_parse(const struct parse *f, struct constraint *k, const char *p,
                      const char *end, bool must, struct err *err)
{
    const char *star = part_end(p, end, "*");
    struct feature_expr x = {0};
    if (star == end && must)
        return err_set(err, SL_EINVAL_FIELD,
                       "%s: \"%.*s\": features joined by & within [] need a count each",
                       f->option, (int)(end - p), p);
    int rc = parse_all(f, p, star, &x, err);
    if (rc == 0 && star != end)
        rc = count_parse(f, star + 1, end, &x.nodes, err);
    if (rc == 0 && star != end && k->counts == CONSTRAINT_PARTS_MAX)
        rc = err_set(err, SL_EINVAL_FIELD, "%s: more than %d counts", f->option,
                     CONSTRAINT_PARTS_MAX);
    if (rc == 0 && star != end) {
        k->nodes += x.nodes;
        k->counted[k->counts++] = x;
        return 0;
    }
    base_join(k, &x); /* also of a failure: its names are dropped with it */
    return rc;
}

/* What stands within the brackets: alternatives or counts. */
static int bracket_parse(const struct parse *f, struct constraint *k, const char *p,
                         const char *end, struct err *err)
{
    bool counts = part_end(p, end, "|") == end;
    if (counts && part_end(p, end, "&,") == end && part_end(p, end, "*") == end)
        return part_parse(f, k, p, end, false, err); /* [a] */
    for (const char *stop; p <= end; p = stop + 1) {
        stop = part_end(p, end, counts ? "&," : "|");
        int rc;
        if (counts) {
            rc = part_parse(f, k, p, stop, true, err);
        } else if (k->alts == CONSTRAINT_PARTS_MAX) {
            rc = err_set(err, SL_EINVAL_FIELD, "%s: more than %d alternatives", f->option,
                         CONSTRAINT_PARTS_MAX);
        } else {
            rc = parse_all(f, p, stop, &k->alt[k->alts++], err);
        }
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int constraint_parse(struct core *c, struct constraint *k, const char *option,
                            const char *text, struct err *err)
{
    const char *p = text, *end = text + strlen(text);
    struct parse f = {.c = c, .option = option, .p = p, .end = end};
    bool bracketed = false;
    if (part_end(p, end, "|") != end) { /* '|' binds less than all that is joined by '&' */
        struct feature_expr x = {0};
        int rc = parse_all(&f, p, end, &x, err);
        base_join(k, &x);
        return rc;
    }
    for (const char *stop; p <= end; p = stop + 1) {
        stop = part_end(p, end, "&,");
        bool bracket = stop - p >= 2 && *p == '[' && stop[-1] == ']';
        if (bracket && bracketed)
            return err_set(err, SL_EINVAL_FIELD, "%s: only one [] is possible", option);
        bracketed = bracketed || bracket;
        int rc = bracket ? bracket_parse(&f, k, p + 1, stop - 1, err)
                         : part_parse(&f, k, p, stop, false, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* ---- kept by text ------------------------------------------------------------------------ */

static void expr_fini(struct core *c, struct feature_expr *x)
{
    for (uint32_t i = 0; i < x->ops; i++)
        intern_drop(&c->text, x->op[i].op == FEATURE_NAME ? x->op[i].name : 0);
    free(x->op);
    free(x->set);
}

static void constraint_fini(struct core *c, struct constraint *k)
{
    expr_fini(c, &k->base);
    for (uint32_t i = 0; i < k->alts; i++)
        expr_fini(c, &k->alt[i]);
    for (uint32_t i = 0; i < k->counts; i++)
        expr_fini(c, &k->counted[i]);
    free(k);
}

uint32_t constraint_get(struct core *c, const char *option, const char *text, struct err *err)
{
    bool fresh;
    struct err own = {0};
    uint32_t id = intern_get(&c->constraint_keys, text, strlen(text), &fresh);
    if (id == 0 || !fresh)
        return id;
    GROW(c->constraint, c->constraint_cap, id + 1);
    struct constraint *k = c->constraint[id] = xcalloc(1, sizeof *k);
    k->gen = NONE;
    if (constraint_parse(c, k, option, text, err ? err : &own) == 0)
        return id;
    constraint_drop(c, id);
    return NONE;
}

void constraint_drop(struct core *c, uint32_t id)
{
    if (id != 0 && id != NONE && intern_drop(&c->constraint_keys, id))
        constraint_fini(c, c->constraint[id]);
}

void constraints_fini(struct core *c)
{
    intern_fini(&c->constraint_keys); /* gone with the last request */
    free(c->constraint);
    intern_fini(&c->feature_lists);
}

uint32_t constraint_nodes(const struct core *c, uint32_t id)
{
    return id ? c->constraint[id]->nodes : 0;
}

/* ---- which nodes ------------------------------------------------------------------------- */

static bool listed(const char *list, const char *name)
{
    size_t n = strlen(name);
    for (const char *p = list; *p;) {
        size_t len = strcspn(p, ",");
        if (len == n && memcmp(p, name, n) == 0)
            return true;
        p += len + (p[len] == ',');
    }
    return false;
}

static bool expr_holds(const struct core *c, const struct feature_expr *x, const char *features)
{
    bool stack[NESTING_MAX * 2 + 4]; /* two a level, which parse_item bounds */
    size_t n = 0;
    for (uint32_t i = 0; i < x->ops; i++) {
        const struct feature_op *op = &x->op[i];
        if (op->op == FEATURE_NAME) {
            stack[n++] = listed(features, text_of(c, op->name));
            continue;
        }
        n--;
        stack[n - 1] = op->op == FEATURE_AND ? stack[n - 1] && stack[n]
                                             : stack[n - 1] || stack[n];
    }
    return n == 0 || stack[0];
}

static void lists_derive(struct core *c)
{
    if (c->feature_gen == c->nodes_gen)
        return;
    for (uint32_t i = 0; i < c->nodes; i++) {
        struct node *n = &c->node[i];
        uint32_t had = n->feature_list;
        n->feature_list = intern_text(&c->feature_lists, nodes_features(n));
        intern_drop(&c->feature_lists, had);
    }
    c->feature_gen = c->nodes_gen;
}

static void expr_derive(const struct core *c, struct feature_expr *x)
{
    enum { UNKNOWN, NO, YES };
    uint8_t *known = xcalloc(c->feature_lists.count + 1, 1); /* by list */
    free(x->set);
    x->set = xcalloc(c->words + 1, sizeof *x->set);
    for (uint32_t i = 0; i < c->nodes; i++) {
        uint32_t list = c->node[i].feature_list;
        if (known[list] == UNKNOWN)
            known[list] = expr_holds(c, x, intern_str(&c->feature_lists, list)) ? YES : NO;
        if (known[list] == YES)
            bs_set(x->set, i);
    }
    free(known);
}

static struct constraint *constraint_of(struct core *c, uint32_t id)
{
    struct constraint *k = c->constraint[id];
    if (k->gen == c->nodes_gen)
        return k;
    lists_derive(c);
    expr_derive(c, &k->base);
    for (uint32_t i = 0; i < k->alts; i++)
        expr_derive(c, &k->alt[i]);
    for (uint32_t i = 0; i < k->counts; i++)
        expr_derive(c, &k->counted[i]);
    k->gen = c->nodes_gen;
    return k;
}

void constraint_ready(struct core *c, const struct request *q)
{
    if (q->constraint)
        constraint_of(c, q->constraint);
    if (q->prefer)
        constraint_of(c, q->prefer);
}

static const char *expr_unknown(const struct core *c, const struct feature_expr *x)
{
    for (uint32_t i = 0; i < x->ops; i++) {
        bool known = x->op[i].op != FEATURE_NAME;
        for (uint32_t n = 0; !known && n < c->nodes; n++)
            known = listed(nodes_features(&c->node[n]), text_of(c, x->op[i].name));
        if (!known)
            return text_of(c, x->op[i].name);
    }
    return NULL;
}

const char *constraint_unknown(struct core *c, uint32_t id)
{
    const struct constraint *k = id ? c->constraint[id] : NULL;
    const char *name = k ? expr_unknown(c, &k->base) : NULL;
    for (uint32_t i = 0; k && !name && i < k->alts; i++)
        name = expr_unknown(c, &k->alt[i]);
    for (uint32_t i = 0; k && !name && i < k->counts; i++)
        name = expr_unknown(c, &k->counted[i]);
    return name;
}

static bool allows(const struct core *c, uint32_t id, uint32_t node)
{
    const struct constraint *k = c->constraint[id];
    if (k->gen != c->nodes_gen)
        return true;
    bool some = k->alts == 0;
    for (uint32_t i = 0; !some && i < k->alts; i++)
        some = bs_test(k->alt[i].set, node);
    return some && bs_test(k->base.set, node);
}

bool constraint_allows(const struct core *c, const struct request *q, uint32_t node)
{
    return !q->constraint || allows(c, q->constraint, node) ||
           (q->prefer && allows(c, q->prefer, node));
}

/* ---- counted features: which nodes for which ------------------------------------------------ */

struct choice { /* a node that could be used, and which count it serves */
    uint32_t node, weight, order, counted;
};
struct matching {
    const struct constraint *k;
    struct choice *v;
    uint32_t n;
    bool tried[CONSTRAINT_PARTS_MAX];
};

static int by_weight(const void *a, const void *b)
{
    const struct choice *x = a, *y = b;
    if (x->weight != y->weight)
        return x->weight < y->weight ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

/* One node more for count g: a free one, or one whose count g finds another for
 * (augmenting paths; each count is tried once a path, so it is at most as long as those are
 * many). */
static bool match_one(struct matching *m, uint32_t g)
{
    m->tried[g] = true;
    for (uint32_t i = 0; i < m->n; i++) {
        if (m->v[i].counted == NONE && bs_test(m->k->counted[g].set, m->v[i].node)) {
            m->v[i].counted = g;
            return true;
        }
    }
    for (uint32_t i = 0; i < m->n; i++) {
        uint32_t other = m->v[i].counted;
        if (other == NONE || m->tried[other] || !bs_test(m->k->counted[g].set, m->v[i].node))
            continue;
        if (match_one(m, other)) {
            m->v[i].counted = g;
            return true;
        }
    }
    return false;
}

/* Nodes for each count, of those that could be used; false: not so many. */
static bool match_all(struct core *c, const struct job *j, uint32_t part, struct rooms *rooms,
                      const uint64_t *closed, const struct constraint *k, uint64_t *chosen)
{
    struct matching m = {.k = k, .v = xmalloc((c->nodes + 1) * sizeof *m.v)};
    bool good = true;
    uint64_t *could = xcalloc(c->words + 1, sizeof *could);
    place_nodes(c, j, part, rooms, closed, could);
    BS_EACH(i, could, c->words)
    m.v[m.n++] = (struct choice){(uint32_t)i, nodes_weight(&c->node[i]), c->node[i].line, NONE};
    free(could);
    qsort(m.v, m.n, sizeof *m.v, by_weight);
    for (uint32_t g = 0; good && g < k->counts; g++) {
        for (uint32_t x = 0; good && x < k->counted[g].nodes; x++) {
            memset(m.tried, 0, sizeof m.tried);
            good = match_one(&m, g);
        }
    }
    for (uint32_t i = 0; good && i < m.n; i++)
        if (m.v[i].counted != NONE)
            bs_set(chosen, m.v[i].node);
    free(m.v);
    return good;
}

/* ---- placement ------------------------------------------------------------------------------- */

/* With the nodes of `chosen` among the job's. */
static int place_chosen(struct core *c, const struct job *j, uint32_t part, struct rooms *rooms,
                        const uint64_t *closed, uint64_t *chosen, struct placement *out)
{
    struct request *q = &c->request[j->request];
    struct request had = *q;
    if (had.has_names && had.required)
        bs_or(chosen, had.required, c->words);
    uint64_t *none = had.excluded ? NULL : xcalloc(c->words + 1, sizeof *none);
    q->has_names = true;
    q->names_gen = c->nodes_gen; /* not to be made again while they are borrowed */
    q->required = chosen;
    q->required_count = (uint32_t)bs_count(chosen, c->words);
    q->excluded = had.excluded ? had.excluded : none;
    int rc = place_open(c, j, part, rooms, closed, out);
    q = &c->request[j->request];
    q->has_names = had.has_names;
    q->names_gen = had.names_gen;
    q->required = had.required;
    q->required_count = had.required_count;
    q->excluded = had.excluded;
    free(none);
    return rc;
}

/* With the alternative alt of the constraint: nodes that it does not allow are closed too. */
static int place_alternative(struct core *c, const struct job *j, uint32_t part,
                             struct rooms *rooms, const uint64_t *closed,
                             const struct constraint *k, const struct feature_expr *alt,
                             struct placement *out)
{
    uint64_t *shut = xcalloc(c->words + 1, sizeof *shut), *chosen = NULL;
    for (uint32_t w = 0; w < c->words; w++)
        shut[w] = ~(k->base.set[w] & (alt ? alt->set[w] : UINT64_MAX)) |
                  (closed ? closed[w] : 0);
    int rc = 0;
    if (k->counts == 0) {
        rc = place_open(c, j, part, rooms, shut, out);
    } else {
        request_names(c, &c->request[j->request]);
        chosen = xcalloc(c->words + 1, sizeof *chosen);
        if (match_all(c, j, part, rooms, shut, k, chosen))
            rc = place_chosen(c, j, part, rooms, shut, chosen, out);
    }
    free(shut);
    free(chosen);
    return rc;
}

static int place_constrained(struct core *c, const struct job *j, uint32_t part,
                             struct rooms *rooms, const uint64_t *closed, uint32_t id,
                             struct placement *out)
{
    const struct constraint *k = constraint_of(c, id);
    if (k->alts == 0)
        return place_alternative(c, j, part, rooms, closed, k, NULL, out);
    int rc = 0;
    for (uint32_t i = 0; rc != 1 && i < k->alts; i++)
        rc = place_alternative(c, j, part, rooms, closed, k, &k->alt[i], out);
    return rc;
}

static int place_featured(struct core *c, const struct job *j, uint32_t part,
                          struct rooms *rooms, const uint64_t *closed, struct placement *out)
{
    const struct request *q = &c->request[j->request];
    uint32_t constraint = q->constraint;
    if (q->prefer && place_constrained(c, j, part, rooms, closed, q->prefer, out) == 1)
        return 1;
    if (constraint)
        return place_constrained(c, j, part, rooms, closed, constraint, out);
    return place_open(c, j, part, rooms, closed, out);
}

/* Admission asks what could be some day: reservations come and go. */
int place(struct core *c, const struct job *j, uint32_t part, struct rooms *rooms,
          const uint64_t *closed, struct placement *out)
{
    if (c->advress == 0 || rooms->any_state)
        return place_featured(c, j, part, rooms, closed, out);
    uint64_t *set = xcalloc(c->words + 1, sizeof *set);
    if (closed)
        bs_or(set, closed, c->words);
    advres_close(c, j, part, set);
    int rc = place_featured(c, j, part, rooms, set, out);
    free(set);
    return rc;
}
