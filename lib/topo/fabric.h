/* SPDX-License-Identifier: Apache-2.0
 *
 * fabric: how nodes are connected, as one model for trees and fat-trees, dragonflies,
 * rails and blocks (NVLink domains).
 *
 * The nodes stand in fabric order, so that neighbours in it are near each other. Each
 * piece of the fabric (leaf switch, pod, group, block) is a run of them:
 *
 *     positions  0 1 2 3   4 5 6 7   8 9 ...
 *     level 1    [leaf 0]  [leaf 1]  [leaf 2] ...    nodes are in leafs
 *     level 2    [     pod 0      ]  [ pod 1  ...    made of pieces below
 *     level n    [            the whole         ]    always one piece
 *
 * Nodes on the same set of leaf switches (several rails) are one leaf. Switches that are
 * not connected are held together by a top piece without a name.
 *
 * Where it comes from: a list of switches, of blocks, a description to generate, or what
 * `ibnetdiscover` prints. A fabric is plain data and does not change once made; it knows
 * nodes by name only. What it does not know: link rates, routing, load.
 */
#ifndef SL_TOPO_FABRIC_H
#define SL_TOPO_FABRIC_H

#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FABRIC_NO UINT32_MAX
#define FABRIC_LEVELS_MAX 16u       /* switches between a node and the top */
#define FABRIC_PIECES_MAX 131072u
#define FABRIC_TEXT_BYTES_MAX (256u << 20) /* of ibnetdiscover: 65,536 nodes, 8 rails */

enum fabric_kind { FABRIC_NONE, FABRIC_TREE, FABRIC_DRAGONFLY, FABRIC_RAILS, FABRIC_BLOCKS };

struct fabric_piece {
    char *name;              /* of its switch or block; "" : it has none */
    uint32_t level;          /* 1: a leaf */
    uint32_t parent;         /* FABRIC_NO: the top */
    uint32_t first, count;   /* nodes: positions first ... first + count - 1 */
    uint32_t leaf, leafs;    /* the same in leafs */
};
struct fabric {
    enum fabric_kind kind;
    uint32_t nodes, pieces, leafs, levels;
    char **node;             /* [nodes] names in fabric order */
    struct fabric_piece *piece; /* by level, in a level by position: leafs first */
    uint32_t *leaf_of;       /* [nodes] */
    uint32_t routers, hosts, links; /* a generated dragonfly's, in a group; else 0 */
    struct fabric_index *index;
};

/* A switch with either nodes or switches below it; host lists. Blocks have nodes. */
struct fabric_switch { const char *name, *switches, *nodes; };

struct fabric_source { /* one way of: nothing of it, then there is no fabric */
    enum fabric_kind kind;   /* of switches */
    const struct fabric_switch *switches, *blocks;
    size_t switches_count, blocks_count;
    const char *block_sizes, *generate, *nodes /* of generate */;
    const char *ibnetdiscover; /* path */
};
/* 0 and *out, NULL without a source; negative and *err. Reads the file. */
int fabric_load(const struct fabric_source *from, struct fabric **out, struct err *err);

/* Each returns NULL and *err on bad input; fabric_destroy() frees what they return.
 * fabric_switches: kind FABRIC_TREE, or FABRIC_DRAGONFLY (routers in groups), FABRIC_RAILS. */
struct fabric *fabric_switches(enum fabric_kind kind, const struct fabric_switch *sw,
                               size_t count, struct err *err);
/* sizes: "4,16": nodes in a base block, then in joined ones, each the last one times a
 * power of two; "": the blocks as they are. */
struct fabric *fabric_blocks(const struct fabric_switch *block, size_t count,
                             const char *sizes, struct err *err);
/* text: "fat-tree:radix=16[,levels=3]", "dragonfly:a=8,p=4,h=4", "rails:nodes=32[,units=4]",
 * "blocks:nodes=18[,sizes=...]"; nodes: host list, filled in from the front. */
struct fabric *fabric_generate(const char *text, const char *nodes, struct err *err);
/* What ibnetdiscover(8) printed. Hosts are named by the first word of their adapters'
 * descriptions. `name` is of the text, for messages. */
struct fabric *fabric_ibnetdiscover(const char *text, size_t len, const char *name,
                                    struct err *err);
void fabric_destroy(struct fabric *f);

/* Position of a node, FABRIC_NO when it is unknown. */
uint32_t fabric_find(const struct fabric *f, const char *node);
/* Links on a shortest way between two positions: 0 for the same node, 2 under one leaf.
 * Exact for trees and generated dragonflies; else by the lowest piece that holds both. */
uint32_t fabric_hops(const struct fabric *f, uint32_t a, uint32_t b);
/* Pieces of a level: piece[*first] ... count of them. */
uint32_t fabric_level(const struct fabric *f, uint32_t level, uint32_t *first);
/* The smallest piece with all of positions first ... last. */
uint32_t fabric_common(const struct fabric *f, uint32_t first, uint32_t last);
/* n nodes of those that leafs have available, so that ways between neighbours are as short as
 * they can be; among equals full leafs before roomy ones, then those with the least to spare.
 * take[leafs]: how many of each. False: there are not so many, or the fabric is so large that
 * it would take longer than some 20 ms to find out. */
bool fabric_fit(const struct fabric *f, const uint32_t *avail, const uint64_t *spare, uint32_t n,
                uint32_t *take);
/* Puts leafs that stand in the fabric's order into one with shorter ways from each to the
 * next, where there is one: between the groups of a dragonfly whose links are known. */
void fabric_order(const struct fabric *f, uint32_t *leaf, uint32_t n);

#endif
