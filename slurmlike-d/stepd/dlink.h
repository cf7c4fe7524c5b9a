/* SPDX-License-Identifier: Apache-2.0
 *
 * dlink: the supervisor's link to its node's daemon, spool/d.sock.
 *
 * The supervisor dials, says STEP_HELLO, and when the link breaks dials again
 * until a daemon is there: a daemon may be killed and started at any time.
 *
 *   up     STEP_HELLO, STEP_REPORT (tag 0; repeated until acknowledged), STEP_USAGE,
 *          STEP_DONE (a step's root: it is over); from a manager also STEP_LAUNCH (tag),
 *          STEP_WATCH, STEP_TERMINATE
 *   down   REPORT_ACK{seq}, STEP_ROUTE + fd, STEP_TERMINATE, STEP_LAUNCH_REPLY,
 *          STEP_DONE (tag = step id, to a manager)
 *
 * A report's seq is this supervisor's own count from 1. A non-root supervisor ends
 * with a REPORT_NONE: its part is over, there is nothing to record.
 */
#ifndef SL_STEPD_DLINK_H
#define SL_STEPD_DLINK_H

#include "stepd/stepd.h"

struct dlink *dlink_create(struct step *s);
void dlink_destroy(struct dlink *d);
/* Queues the reports (borrowed) and sends them until they are acknowledged. */
void dlink_report(struct step *s, Sl__JobReport **reports, size_t count);
/* Nothing reported waits for its acknowledgement. */
bool dlink_idle(const struct dlink *d);
/* Figures of the living step, for sstat; lost when no daemon is there. */
void dlink_usage(struct step *s);
/* 0, or negative when no daemon is connected. */
int dlink_send(struct step *s, enum wire_type type, uint32_t tag,
               const ProtobufCMessage *m, struct err *err);

#endif
