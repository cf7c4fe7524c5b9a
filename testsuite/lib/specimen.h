/* SPDX-License-Identifier: Apache-2.0
 *
 * specimen: messages that a daemon takes in earnest, as a start for damaged ones. A
 * message of random fields fails at the first check; one that was right until a
 * field or two were changed reaches what lies behind.
 */
#ifndef SL_TEST_SPECIMEN_H
#define SL_TEST_SPECIMEN_H

#include "lib/mutate.h"

struct specimen_args {
    uint32_t job_max;  /* ids 1 .. job_max are meant; 0: any */
    uint32_t uid, gid; /* whose jobs */
};

/* Owned by the caller; NULL: there is none of this type, its fields are random. */
ProtobufCMessage *specimen_make(struct mutate *r, enum wire_type type,
                                const struct specimen_args *a);

#endif
