/* SPDX-License-Identifier: Apache-2.0
 *
 * record: what the cluster keeps of a step: StepRecord and the reports that carry it.
 */
#ifndef SL_STEPD_RECORD_H
#define SL_STEPD_RECORD_H

#include "stepd/stepd.h"

struct step_record { /* m's texts live in arena or in the step */
    Sl__StepRecord m;
    Sl__StepUsage usage;
    struct arena arena;
};
/* The step as it is now. */
void record_fill(struct step *s, struct step_record *r);
void record_fini(struct step_record *r);
/* Reports the start; no-op when it was, or is not the root's to say. */
void record_report_start(struct step *s);
/* Result to disk, then to the daemon. */
void record_report_end(struct step *s);

#endif
