/* SPDX-License-Identifier: Apache-2.0
 *
 * attach: the root's connections to the step's owner (srun) and watchers (sattach).
 *
 * The owner is flow-controlled: while it does not read, the tasks' pipes fill. A watcher
 * that does not keep up loses output and is told so: it must not slow the step.
 *
 * stdin: the owner may have STDIN_CHUNKS_MAX IO_DATA frames under way; each frame that the
 * step has taken in is answered by an empty IO_DATA{fd 0}.
 */
#ifndef SL_STEPD_ATTACH_H
#define SL_STEPD_ATTACH_H

#include "stepd/stepd.h"

#define STDIN_CHUNKS_MAX 16

struct attach *attach_create(struct step *s);
void attach_destroy(struct attach *a);
/* A connected peer that said IO_ATTACH with kind 1 or 2; the link is owned from here.
 * Negative and an ERROR frame sent when it is refused. */
int attach_accept(struct step *s, struct wire_link *l, uint32_t tag, const Sl__IoAttach *m);
bool attach_owned(const struct attach *a); /* an owner has been there */
void attach_output(struct step *s, uint32_t rank, unsigned fd, const void *p, size_t n,
                   bool eof);
/* To the owner and to watchers. */
void attach_event(struct step *s, enum wire_type type, const ProtobufCMessage *m);
/* To the owner only: one chunk of stdin was taken in. */
void attach_input_grant(struct step *s);
/* For an owner that does not wait for grants: stop reading from it for a while. */
void attach_input_pause(struct step *s, bool pause);
void attach_done(struct step *s); /* STEP_DONE to all, with the step's outcome */
size_t attach_queued(const struct attach *a);

#endif
