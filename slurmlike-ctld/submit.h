/* SPDX-License-Identifier: Apache-2.0
 *
 * submit: a submission from the wire to a job id, and its script back.
 */
#ifndef SL_CTLD_SUBMIT_H
#define SL_CTLD_SUBMIT_H

#include "session.h"

void submit_handle(struct ctld *d, struct session *s, struct wire_msg *m);
/* The batch script of one's own job. */
void submit_script(struct ctld *d, struct session *s, struct wire_msg *m);

#endif
