/* SPDX-License-Identifier: Apache-2.0
 *
 * fabric_draft: pieces and nodes in any order, from which a fabric is sealed. Internal to
 * lib/topo.
 */
#ifndef SL_TOPO_FABRIC_DRAFT_H
#define SL_TOPO_FABRIC_DRAFT_H

#include "topo/fabric.h"

struct draft_piece {
    char *name;
    uint32_t parent;         /* FABRIC_NO: none yet */
    bool has_nodes, has_pieces;
};
struct draft_node { char *name; uint32_t piece; };
struct fabric_draft {
    struct draft_piece *piece;
    struct draft_node *node;
    uint32_t pieces, pieces_cap, nodes, nodes_cap;
};

void draft_init(struct fabric_draft *d);
void draft_fini(struct fabric_draft *d);
/* FABRIC_NO and *err: too many. */
uint32_t draft_piece(struct fabric_draft *d, const char *name, uint32_t parent, struct err *err);
int draft_node(struct fabric_draft *d, const char *name, uint32_t piece, struct err *err);
/* Orders it, adds the top piece when there are several, checks it. The draft is empty
 * afterwards. Children and nodes keep the order in which they were added. */
struct fabric *draft_seal(struct fabric_draft *d, enum fabric_kind kind, struct err *err);

#endif
