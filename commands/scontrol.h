/* SPDX-License-Identifier: Apache-2.0
 *
 * scontrol: looks at and changes what the controller has.
 *
 *   scontrol.c       options, the commands by name, interactive mode
 *   scontrol_show.c  show: blocks of Key=Value from tables of fields
 *   scontrol_do.c    hold, release, requeue, update, ping, write, ...
 */
#ifndef SL_COMMANDS_SCONTROL_H
#define SL_COMMANDS_SCONTROL_H

#include "command.h"

extern const char scontrol_program[];

struct scontrol {
    struct client client;
    bool all, detail, oneliner, quiet, json;
};

/* Each gets the words behind its name; returns an exit code and has said why. */
typedef int scontrol_f(struct scontrol *s, int argc, char **argv);
scontrol_f scontrol_show;
scontrol_f scontrol_job_op; /* argv[-1] is the operation's name */
scontrol_f scontrol_create, scontrol_delete; /* reservations */
scontrol_f scontrol_update, scontrol_ping, scontrol_reconfigure, scontrol_shutdown,
    scontrol_write, scontrol_wait_job, scontrol_completing, scontrol_errnumstr, scontrol_setdebug,
    scontrol_listpids, scontrol_pidinfo;

/* show hostnames/hostlist, and show config. */
int scontrol_hosts(const char *kind, int argc, char **argv);
int scontrol_config(struct scontrol *s);
/* show aliases (host NULL: of this machine), show daemons, write config. */
int scontrol_aliases(struct scontrol *s, const char *host);
int scontrol_daemons(struct scontrol *s);
int scontrol_write_config(struct scontrol *s, const char *file);
/* A request about the controller itself. */
int scontrol_control(struct scontrol *s, Sl__ControlOp op, const char *argument,
                     struct wire_msg *reply, struct err *err);

/* "Keyword" typed so far: at least min letters of name, any case. */
bool scontrol_word(const char *typed, const char *name, size_t min);
int scontrol_fail(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
