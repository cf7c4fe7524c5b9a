/* SPDX-License-Identifier: Apache-2.0
 *
 * place: one attempt to find a job its nodes. Private to place*.c.
 *
 * Bounds first: what a leaf's summary says is the most its nodes could give, so that an
 * attempt that cannot succeed costs a look at each leaf and at no node. Then the smallest
 * piece of the fabric that is sufficient, best fit among its likes, is looked at node by
 * node; each leaf at most once.
 */
#ifndef SL_SCHED_PLACE_H
#define SL_SCHED_PLACE_H

#include "sched/model.h"

struct candidate {
    uint32_t node, tasks, weight; /* tasks: how many it could take */
    uint32_t line;                /* its place along the fabric */
    uint32_t cores, left;         /* free cores, and those that would stay free */
    uint32_t gpu;                 /* the GPU for its only share; NONE: the fullest */
    int64_t score;                /* less is better; compared before `left` */
};
struct leaf_try {
    uint32_t nodes, cores;        /* at most */
    bool seen;                    /* its candidates are v[first] ... [first + count - 1] */
    uint32_t first, count;
};
struct attempt {
    struct core *c;
    struct request *q;
    const struct partition *p;
    struct rooms *rooms;
    const uint64_t *closed;
    bool whole;              /* nodes without any other job */
    bool in_all;             /* some gres is asked for the job as a whole */
    uint32_t at_least, most; /* nodes */
    uint32_t weight_most;    /* heavier nodes are left out */
    uint32_t gpu;            /* for the only share, when one was chosen; else NONE */
    uint32_t job;            /* its id */
    usec_t span;             /* how long it is planned to run */
    struct leaf_try *leaf;   /* [leafs] */
    struct candidate *v;
    uint32_t n;
    uint32_t *avail, *take;  /* [pieces], [leafs]: of pick_nodes() */
    uint64_t *spare;         /* [leafs]: node-seconds that stay free while it runs; NULL: not known */
};

/* place.c */
uint32_t tasks_most(const struct attempt *a, uint32_t i, uint32_t want);
uint32_t cores_for(const struct attempt *a, const struct node *n, uint32_t tasks);
bool pool_matches(const struct pool *p, const struct req_gres *g);
/* On the first k candidates of v; false: it does not fit after all. */
bool place_on(struct attempt *a, const struct candidate *v, uint32_t k, struct placement *out);
/* The candidates in their order of preference, as many or as few as the request wants. */
bool place_some(struct attempt *a, struct candidate *v, uint32_t n, bool many,
                struct placement *out);
/* How many of them, in their order: 0 when it cannot be done. */
uint32_t nodes_wanted(const struct attempt *a, const struct candidate *v, uint32_t n, bool many);

/* place_piece() for just this node. */
bool piece_find(struct core *c, const struct job *j, uint32_t part, uint32_t node,
                struct demand *d);

/* place_bounds.c */
struct least { uint32_t cores, step /* log2 */; uint64_t mem, gres[GRES_ITEMS_MAX]; };
/* The least that so many tasks take of one node, of whatever hardware. */
void least_find(const struct attempt *a, uint32_t tasks, struct least *l);
/* May one of the leaf's nodes give that? */
bool leaf_holds(const struct attempt *a, const struct leaf_room *r, const struct least *l);
/* Fills in what each leaf could give; false: all of them together are not enough. */
bool bounds_pass(struct attempt *a);
bool node_suits(const struct attempt *a, uint32_t i); /* whatever is free on it */
void leaf_look(struct attempt *a, uint32_t leaf); /* its candidates into v */
/* At most so many nodes of the leaf take so many tasks. */
uint32_t leaf_nodes(const struct attempt *a, uint32_t leaf, uint32_t tasks);

/* place_gpu.c */
/* Takes the item's shares of pool m for so many tasks into d->gpu, each of the fullest GPU
 * that holds it. False: they do not fit. */
bool gpu_share(const struct attempt *a, uint32_t node, uint32_t m, const struct req_gres *g,
               uint32_t tasks, struct demand *d);
/* Is the job's place on a single node chosen by score? */
bool gpu_scored(const struct attempt *a);
void gpu_score(struct attempt *a, struct candidate *v, uint32_t tasks);
bool node_takes(const struct attempt *a, uint32_t i, uint32_t tasks, struct demand *d);

/* place_fabric.c */
bool place_one(struct attempt *a, struct placement *out);    /* on the best single node */
bool place_pieces(struct attempt *a, struct placement *out); /* on the smallest piece */
bool place_whole(struct attempt *a, bool many, struct placement *out); /* wherever */

#endif
