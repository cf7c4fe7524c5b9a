/* SPDX-License-Identifier: Apache-2.0
 *
 * jobctl: requests that change existing jobs, nodes and partitions. Each
 * object is one core command; what fails is told object by object in the Ack.
 */
#ifndef SL_CTLD_JOBCTL_H
#define SL_CTLD_JOBCTL_H

#include "session.h"

void jobctl_cancel(struct ctld *d, struct session *s, struct wire_msg *m);
void jobctl_op(struct ctld *d, struct session *s, struct wire_msg *m);
void jobctl_update(struct ctld *d, struct session *s, struct wire_msg *m);

#endif
