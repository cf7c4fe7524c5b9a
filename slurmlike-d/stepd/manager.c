/* SPDX-License-Identifier: Apache-2.0 */
#include "stepd/manager.h"

#include "stepd/dlink.h"

#include <stdlib.h>

struct manager {
    struct step *step;
};

struct manager *manager_create(struct step *s)
{
    struct manager *m = xcalloc(1, sizeof(*m));
    m->step = s;
    return m;
}

void manager_destroy(struct manager *m)
{
    free(m);
}

bool manager_accept(struct step *s, struct wire_link *l, struct wire_msg *m)
{
    Sl__ErrorReply e = SL__ERROR_REPLY__INIT;
    (void)s;
    if (m->type != WIRE_STEP_CREATE)
        return false;
    e.code = SL_ENOT_BUILT;
    e.text = (char *)err_name(SL_ENOT_BUILT);
    wire_link_send(l, WIRE_ERROR, m->tag, &e.base, NULL);
    wire_link_finish(l);
    return true;
}

void manager_launch_reply(struct step *s, uint32_t tag, const Sl__StepLaunchReply *r)
{
    (void)s;
    (void)tag;
    (void)r;
}

void manager_step_done(struct step *s, uint32_t step_id)
{
    (void)s;
    (void)step_id;
}

void manager_daemon_gone(struct step *s)
{
    (void)s;
}

void manager_watch(struct step *s)
{
    (void)s;
}

void manager_tell_done(struct step *s)
{
    Sl__StepDone d = SL__STEP_DONE__INIT;
    if (s->root && !s->manager)
        dlink_send(s, WIRE_STEP_DONE, s->step_id, &d.base, NULL);
}

bool manager_told(const struct step *s)
{
    (void)s;
    return true;
}
