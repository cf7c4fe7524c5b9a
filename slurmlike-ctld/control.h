/* SPDX-License-Identifier: Apache-2.0
 *
 * control: the controller itself as an object of requests: ping, reconfigure,
 * shutdown, log level, configuration text.
 */
#ifndef SL_CTLD_CONTROL_H
#define SL_CTLD_CONTROL_H

#include "session.h"

void control_handle(struct ctld *d, struct session *s, struct wire_msg *m);
/* Reads the configuration again; on failure everything stays as it was. */
int control_reconfigure(struct ctld *d, struct err *err);
/* Stops accepting, lets the commit under way and its replies go out, leaves the loop. */
void control_shutdown(struct ctld *d, const char *why);

#endif
