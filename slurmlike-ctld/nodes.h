/* SPDX-License-Identifier: Apache-2.0
 *
 * nodes: sessions that are node daemons.
 *
 * A node is reachable while its session lives; the session is closed when it
 * has been silent for NODE_SILENT_PINGS ping intervals, and the core is told. What a
 * node reports is acknowledged when its commit is durable, not before.
 */
#ifndef SL_CTLD_NODES_H
#define SL_CTLD_NODES_H

#include "base/limits.h"
#include "session.h"

struct nodes *nodes_create(struct ctld *d);
void nodes_destroy(struct nodes *n);

void nodes_register(struct ctld *d, struct session *s, struct wire_msg *m);
void nodes_ping(struct ctld *d, struct session *s, struct wire_msg *m);
void nodes_reports(struct ctld *d, struct session *s, struct wire_msg *m);
void nodes_session_gone(struct session *s);

/* The node's session, NULL when it is not connected. index: the core's. */
struct session *nodes_session(const struct ctld *d, uint32_t index);
/* EFFECT_TERMINATE; without effect when the node is not connected: the core asks
 * again when it registers. */
void nodes_terminate(struct ctld *d, const struct effect *e);
/* EFFECT_NODE_SHUT */
void nodes_shut(struct ctld *d, uint32_t index, const char *why);
/* A new configuration for every connected node. */
void nodes_conf_changed(struct ctld *d);

#endif
