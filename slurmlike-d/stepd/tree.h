/* SPDX-License-Identifier: Apache-2.0
 *
 * tree: the supervisors of one step as a tree (TREE_WIDTH children each, node 0 of the
 * layout is the root), and the root's connections to srun and sattach (attach.h).
 *
 * A child dials its parent's daemon with route "step:J.S" and says IO_ATTACH{kind 3}.
 *
 *   up    IO_DATA, TASK_EVENT, STEP_TEXT, STEP_NODE_DONE (once, for the whole
 *         subtree, after all its output), PMIX, STEP_SIGNAL (asks the root to end the step)
 *   down  IO_ATTACHED (go: the owner is there), IO_DATA (stdin), STEP_SIGNAL, WIN_SIZE,
 *         PMIX
 *
 * A child whose link breaks before its STEP_NODE_DONE is lost with its subtree; one
 * that loses its parent ends its part at once.
 */
#ifndef SL_STEPD_TREE_H
#define SL_STEPD_TREE_H

#include "stepd/stepd.h"

struct tree *tree_create(struct step *s);
void tree_destroy(struct tree *t);

/* A verified supervisor that said IO_ATTACH{kind 3}. False: it is no child of ours that
 * is still missing; else the link is owned from here. */
bool tree_child_accept(struct step *s, struct wire_link *l, const Sl__IoAttach *m);

/* ---- from here upward (the root: to files, srun, sattach) ------------------------------- */

void tree_output(struct step *s, uint32_t rank, unsigned fd, const void *p, size_t n,
                 bool eof);
void tree_tasks_started(struct step *s);
/* Tells about all ended tasks that were not told about yet. */
void tree_tasks_ended(struct step *s);
void tree_task_failed(struct step *s, struct task *t, const char *why);
/* A line for the user's stderr, without newline. */
void tree_text(struct step *s, const char *line);
/* The supervisor on that node has died: it is not waited for where it is not linked yet. */
void tree_node_died(struct step *s, const char *node);
/* Asks the root (which may be this process) to end the step with that status. */
void tree_abort(struct step *s, int status, const char *text);
/* False: nobody is there. */
bool tree_pmix_up(struct step *s, const Sl__PmixMsg *m);
/* Our tasks and all below are over: STEP_NODE_DONE upward, STEP_DONE at the root. Once. */
void tree_node_done(struct step *s);

/* ---- downward ------------------------------------------------------------------------------ */

void tree_go(struct step *s); /* the owner is there: children may start */
void tree_input(struct step *s, const Sl__IoData *m);
/* stdin queues here got shorter. */
void tree_input_drained(struct step *s);
void tree_signal(struct step *s, const Sl__StepSignal *m); /* to the children only */
void tree_window(struct step *s, const Sl__WinSize *m);
void tree_pmix_down(struct step *s, const Sl__PmixMsg *m); /* to all children */
/* Towards one node below (layout index); false when it is not below us. */
bool tree_pmix_to(struct step *s, uint32_t node_index, const Sl__PmixMsg *m);

/* ---- state ----------------------------------------------------------------------------------- */

bool tree_below_done(const struct tree *t); /* every child's STEP_NODE_DONE came, or it is lost */
/* The way up is full: whoever produces must pause. */
void tree_pause(struct step *s, bool pause);
size_t tree_queued(const struct step *s); /* bytes not yet written to any peer */
uint32_t tree_children_count(const struct step *s);

#endif
