/* SPDX-License-Identifier: Apache-2.0
 *
 * A limit on everything that a peer or a user chooses: unit and reason beside
 * each. Edge code checks them before it allocates.
 */
#ifndef SL_BASE_LIMITS_H
#define SL_BASE_LIMITS_H

#define FRAME_BYTES_MAX (64u << 20)    /* one message; a script + environment fit well within */
#define FRAME_BYTES_MAX_UNAUTH 4096u   /* before the peer is known */
#define SCRIPT_BYTES_MAX (4u << 20)    /* Slurm's MaxScriptSize default */
#define ENV_BYTES_MAX (8u << 20)       /* environment sent with a job */
#define ENV_VARS_MAX 65536u
#define ARGV_MAX 65536u                /* arguments of a step's command */
#define NAME_LEN_MAX 255u              /* job, partition, account, node, gres names */
#define PATH_LEN_MAX 4095u
#define COMMENT_LEN_MAX 4095u
#define JOBS_PER_REQUEST_MAX 100000u   /* job ids in one scancel/scontrol request */
#define HET_SIZE_MAX 128 /* components of a heterogeneous job, as Slurm's */
#define ARRAY_TASKS_MAX 1000001u       /* Slurm's MaxArraySize upper bound */
#define TASKS_PER_STEP_MAX 1048576u
#define NODES_MAX 65536u
#define CPUS_PER_NODE_MAX 4096u
#define GRES_PER_NODE_MAX 1024u
#define NODE_SILENT_PINGS 3u             /* ping intervals without a word: the link is dead */
#define CLIENTS_MAX 8192u              /* controller sessions at once */
#define CLIENTS_PER_USER_MAX (CLIENTS_MAX / 2) /* so that nobody shuts out the others */
#define CLIENT_OUTQ_BYTES_MAX (64u << 20) /* a slow reader is paused beyond this */

#endif
