/* SPDX-License-Identifier: Apache-2.0
 *
 * route: connections that the daemon hands over because their HELLO asked for this step
 * or job. The peer's first message says what it is: srun or sattach, a supervisor
 * of the same step, or a client of the job's manager.
 */
#ifndef SL_STEPD_ROUTE_H
#define SL_STEPD_ROUTE_H

#include "stepd/stepd.h"

struct kept_socket { /* listening, of the step before; its file is in the kept folder */
    int fd;          /* -1: none */
    uid_t uid;       /* whose the file is */
};

/* fd is owned; without a key in r it is a connected Unix socket. */
void route_accept(struct step *s, const Sl__StepRoute *r, int fd);
/* Clients on this machine need no daemon, no munge and no TLS: the step's folder has a socket,
 * and the kernel tells who they are. The path is valid while it lives, NULL without one. */
void route_listen(struct step *s, struct kept_socket *kept);
void route_unlisten(struct step *s);
/* Instead of route_unlisten: for the next step of the same user. */
void route_keep(struct step *s, struct kept_socket *kept);
char *route_socket_path(const struct step *s, uint32_t step_id, struct arena *a);
/* May this uid act as the step's owner? */
bool route_may_own(const struct step *s, uid_t uid);
/* Is this uid another part of the system (a supervisor, a daemon)? */
bool route_is_system(const struct step *s, uid_t uid);

#endif
