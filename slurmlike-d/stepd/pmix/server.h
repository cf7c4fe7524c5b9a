/* SPDX-License-Identifier: Apache-2.0
 *
 * mpi_pmix.so: the supervisor as PMIx server of its tasks, through libpmix.
 *
 *   module.c    start, stop, environment of tasks; the table mpi_module
 *   nspace.c    what clients may ask about job, nodes and ranks
 *   folders.c   the step's folders for clients
 *   topology.c  the machine's hwloc topology, read once by the zygote
 *   upcall.c    libpmix's calls to us, and the queue that brings them to the loop
 *   fence.c     collectives over the tree of supervisors
 *   modex.c     one rank's data, asked of its node
 *   exchange.c  publish and look up, kept by the step's first node
 *   notify.c    events for all nodes
 *
 * libpmix has a thread of its own and calls us on it. upcall.c copies what it is given
 * and queues it; all else runs on the supervisor's loop. Calls the other way (results of
 * requests, PMIx_*) may be made from any thread.
 *
 * A process can be a PMIx server once, so that there is one struct server in it.
 */
#ifndef SL_STEPD_PMIX_SERVER_H
#define SL_STEPD_PMIX_SERVER_H

#include "stepd/mpi_module.h"

#include <hwloc.h>
#include <pmix.h>
#include <pmix_server.h>

enum kind { /* mpi_msg.kind */
    KIND_LOST,       /* node `from` and all below it; up to node 0, with number 1 down to all */
    KIND_FENCE,      /* up: what a subtree contributes */
    KIND_FENCE_DONE, /* down: all contributions */
    KIND_GET,        /* to the node of `rank`: its data, please */
    KIND_PUBLISH,    /* to node 0 */
    KIND_LOOKUP,     /* to node 0 */
    KIND_UNPUBLISH,  /* to node 0 */
    KIND_NOTIFY,     /* to node 0, which tells all */
    KIND_EVENT,      /* down */
    KIND_STARTED,    /* up and down, once a node: a task of the step has called PMIx_Init */
    KIND_ANSWER      /* to who asked, by its request number */
};

enum client_state { CLIENT_NONE, CLIENT_CONNECTED, CLIENT_FINALIZED };

struct server {
    const struct mpi_host *host; /* NULL: not started */
    struct step *step;
    pmix_nspace_t nspace;
    uint32_t ntasks;
    uint32_t *node_of;           /* by rank: layout index */
    bool *node_lost;             /* by layout index */
    enum client_state *client;   /* by local index */
    bool started;                /* some task of the step has called PMIx_Init */
    char *dir;                   /* the user's, for files of clients */
    char *shm;                   /* the user's, in memory, for files that clients share */
};
extern struct server server;

#define say(level, ...) server.host->log(level, "pmix", __VA_ARGS__)

/* One call of libpmix, on its way to the loop. Texts and data are owned. */
struct upcall {
    void (*run)(struct upcall *u);
    struct upcall *next;
    uint32_t rank;      /* who calls, or whom it is about */
    int status;
    char *text;
    char *data;
    size_t data_bytes;
    uint32_t number;
    int64_t timeout;    /* seconds; 0: none */
    union {
        pmix_op_cbfunc_t op;
        pmix_modex_cbfunc_t modex;
        pmix_lookup_cbfunc_t lookup;
        pmix_info_cbfunc_t info;
    } done;
    void *done_arg;
};

/* upcall.c */
extern pmix_server_module_t upcall_table;
int upcall_start(struct err *err);
void upcall_started(void); /* here or on another node; does something the first time */
void upcall_stop(void);
void upcall_ignore(void); /* from here on; libpmix may still call */
/* From any thread; owns u. */
void upcall_post(struct upcall *u);
void upcall_free(struct upcall *u);
/* Answers an `op` request. */
void upcall_op_done(struct upcall *u, pmix_status_t status);

/* nspace.c */
int nspace_register(struct err *err);

/* folders.c: made in the step's own folder, which goes with the step. */
#define FOLDERS_ENV_COUNT 4
int folders_make(struct err *err);
void folders_free(void);
/* FOLDERS_ENV_COUNT variables for a task, from the arena. */
void folders_env(char **env, struct arena *a);

/* topology.c: the machine's, which lives as long as the process. */
extern hwloc_topology_t topology;
extern char *topology_xml; /* the same as text; NULL: none */
int topology_load(struct err *err);

/* fence.c; `text` of the upcall is the set: one letter for the operation, then ranks. */
void fence_call(struct upcall *u);
void fence_arrived(const struct mpi_msg *m);
void fence_done(const struct mpi_msg *m);
void fence_node_lost(uint32_t node);
void fence_fini(void);
/* "0-3,7"; the caller frees. NULL: not all are ranks of this step. */
char *ranks_format(const pmix_proc_t *procs, size_t procs_count);
/* False when the text is malformed or names other ranks than the step's. */
bool ranks_parse(const char *text, hwloc_bitmap_t ranks);

/* modex.c: requests to other nodes and their answers. */
void request_send(struct upcall *u, enum kind kind, uint32_t node); /* owns u */
void request_answer(const struct mpi_msg *m);
/* To who sent m. */
void answer_send(const struct mpi_msg *m, pmix_status_t status, const void *data, size_t n,
                 uint32_t number);
void request_node_lost(uint32_t node);
void request_fini(void);
void modex_call(struct upcall *u);
void modex_asked(const struct mpi_msg *m);

/* exchange.c */
void exchange_call_publish(struct upcall *u);
void exchange_call_lookup(struct upcall *u);
void exchange_call_unpublish(struct upcall *u);
void exchange_publish(const struct mpi_msg *m);
void exchange_lookup(const struct mpi_msg *m);
void exchange_unpublish(const struct mpi_msg *m);
/* The answer of a lookup to libpmix. */
void exchange_found(struct upcall *u, pmix_status_t status, const struct mpi_msg *m);
void exchange_fini(void);

/* notify.c */
void notify_call(struct upcall *u);
void notify_asked(const struct mpi_msg *m);
void notify_event(const struct mpi_msg *m);

/* tree.c of the supervisor, in numbers: is node below (or the same as) top? */
bool node_below(uint32_t node, uint32_t top);

#endif
