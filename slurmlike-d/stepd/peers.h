/* SPDX-License-Identifier: Apache-2.0
 *
 * peers: the manager's links to the daemons of the job's nodes. Its own daemon is reached
 * over dlink, the others over TCP; a link is made when it is first needed and kept.
 *
 *   out   STEP_LAUNCH (tag), STEP_WATCH, STEP_TERMINATE
 *   in    STEP_LAUNCH_REPLY (tag), STEP_DONE (tag = step id)
 *
 * What was sent over a link that breaks may be lost: manager_node_up() is called when
 * the daemon is there again, and says again what still counts.
 */
#ifndef SL_STEPD_PEERS_H
#define SL_STEPD_PEERS_H

#include "stepd/stepd.h"

#define PEER_LOST_USEC (60 * USEC_PER_SEC) /* unreachable for so long: the node is lost */

struct peers *peers_create(struct step *s);
void peers_destroy(struct peers *p);
/* To the daemon of a node of the allocation. Without a link the message is dropped, and
 * manager_node_up() follows. */
void peers_send(struct peers *p, uint32_t alloc_index, enum wire_type type, uint32_t tag,
                const ProtobufCMessage *m);

#endif
