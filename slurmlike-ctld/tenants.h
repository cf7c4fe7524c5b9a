/* SPDX-License-Identifier: Apache-2.0
 *
 * tenants: sacctmgr's requests, and the rows that sacctmgr, sshare and sprio show. Who may
 * change what is the core's to say (lib/sched/tenant_apply.c); anyone may look.
 */
#ifndef SL_CTLD_TENANTS_H
#define SL_CTLD_TENANTS_H

#include "session.h"

void tenants_handle(struct ctld *d, struct session *s, struct wire_msg *m);
/* A query for rows of tenants: its one filter "columns" names what is wanted. */
bool tenants_knows(const char *what);
void tenants_query(struct ctld *d, struct session *s, uint32_t tag, const Sl__QueryRequest *r);

#endif
