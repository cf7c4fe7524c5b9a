/* SPDX-License-Identifier: Apache-2.0
 *
 * constraint: features of nodes, sbatch(1) --constraint and --prefer.
 *
 *     expr := and { '|' and }          and := item { '&' item }      (',' is '&' too)
 *     item := NAME | '(' expr ')'
 *
 * is asked of each node. On the top level, joined by '&', there may also stand
 *
 *     item '*' N          at least N nodes with it, the others without
 *     '[' expr '|' ... ']'            all nodes of one and the same of these
 *     '[' item*N '&' item*M ... ']'   N nodes with the one, M others with the other
 *
 * Equal texts are parsed once. A feature list that many nodes have is evaluated once, and
 * again only when the node table has changed (nodes_gen); what is kept is node sets.
 *
 * place() is here: it narrows the nodes to what the constraint allows, one alternative
 * after the other (--prefer before --constraint), and what advance reservations leave
 * (advres.h); the rest is place.c's.
 */
#ifndef SL_SCHED_CONSTRAINT_H
#define SL_SCHED_CONSTRAINT_H

#include "sched/model.h"

#define CONSTRAINT_PARTS_MAX 16 /* alternatives, and counted features, of one constraint */

struct feature_op { /* reverse Polish: a feature's interned name, or an operator */
    enum { FEATURE_NAME, FEATURE_AND, FEATURE_OR } op;
    uint32_t name;
};
struct feature_expr { /* no operation: any node */
    struct feature_op *op;
    uint32_t ops;
    uint32_t nodes;   /* with a count: so many; 0: none given */
    uint64_t *set;    /* nodes that have it */
};
struct constraint {
    uint32_t gen;     /* nodes_gen of the sets */
    struct feature_expr base; /* of all nodes */
    struct feature_expr alt[CONSTRAINT_PARTS_MAX], counted[CONSTRAINT_PARTS_MAX];
    uint32_t alts, counts;
    uint32_t nodes;   /* sum of the counts */
};

/* The id of the text with a reference more, 0 for "". NONE and *err: malformed. */
uint32_t constraint_get(struct core *c, const char *option, const char *text, struct err *err);
void constraint_drop(struct core *c, uint32_t id);
void constraints_fini(struct core *c);
/* Nodes that it asks for by counts: at least so many. */
uint32_t constraint_nodes(const struct core *c, uint32_t id);
/* A name that no node has, NULL when each has one. */
const char *constraint_unknown(struct core *c, uint32_t id);
/* May the node be one of the job's, whatever the others are? true as well when the sets are
 * not those of the present node table. */
bool constraint_allows(const struct core *c, const struct request *q, uint32_t node);

/* The request's constraints know the nodes as they are now. */
void constraint_ready(struct core *c, const struct request *q);

#endif
