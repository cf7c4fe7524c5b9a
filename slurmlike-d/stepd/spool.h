/* SPDX-License-Identifier: Apache-2.0
 *
 * spool: a supervisor's folder, spool/step.JOB.RESTART.STEP, numbers in decimal.
 *
 *   pid           "PID STARTTIME\n"; STARTTIME is field 22 of /proc/PID/stat, which
 *                 tells a reused pid
 *   slurm_script  the batch script, 0700, owned by the user
 *   result        the pid file's line, then a packed JobReports: the step is over and
 *                 this is what is to be reported. It appears whole, in the pid file's
 *                 place: a second file would cost a short step as much as its fork. It
 *                 must survive all processes, not the machine, and so is not synced: with
 *                 the machine the job goes down, and the controller is told so.
 *
 * The folder is 0711 and root's: a user can run the script by its path but list
 * nothing. The supervisor makes the folder and removes it once its daemon has
 * acknowledged the result; a daemon removes that of a supervisor that died. A supervisor
 * that goes on to another step (idle.h) keeps its folder, as idle.PID, meanwhile: files
 * that are made and removed are what a short step costs most. Its script file serves again
 * only for the same user, and when nobody holds it open.
 */
#ifndef SL_STEPD_SPOOL_H
#define SL_STEPD_SPOOL_H

#include "base/err.h"
#include "wire/slurmlike.pb-c.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* "SPOOL/step.J.R.S"; caller frees. */
char *spool_step_dir(const char *spool, uint32_t job_id, uint32_t restart, uint32_t step_id);
/* Makes the folder with its pid file, of `kept` when that is not NULL. -EEXIST: this very
 * step was started before. */
int spool_create(const char *dir, const char *kept, struct err *err);
/* Turns the folder of a step that is over into `kept`, or removes it (false). */
bool spool_keep(const char *dir, const char *kept);
/* Writes the script for uid/gid and returns 0; the path is DIR/slurm_script. */
int spool_script(const char *dir, const ProtobufCBinaryData *script, uid_t uid, gid_t gid,
                 struct err *err);
int spool_result_write(const char *dir, const Sl__JobReports *reports, struct err *err);
/* Removes the folder and all in it (PMIx leaves folders of its own). No-op without it. */
void spool_remove(const char *dir);

#endif
