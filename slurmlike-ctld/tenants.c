/* SPDX-License-Identifier: Apache-2.0 */
#include "tenants.h"

#include "loop.h"
#include "wire/cells.h"

#include <string.h>

#define COLUMNS_MAX 128u

void tenants_handle(struct ctld *d, struct session *s, struct wire_msg *m)
{
    const Sl__TenantRequest *r = (const Sl__TenantRequest *)m->body;
    struct actor actor = session_actor(s);
    struct command cmd = {.kind = CMD_TENANT, .actor = actor, .tenant = r};
    Sl__TenantReply reply = SL__TENANT_REPLY__INIT;
    struct err err;

    cmd.actor.admin = s->admin; /* the core knows the levels of the others */
    if (loop_apply(d, &cmd, &err) < 0) {
        session_error(s, m->tag, &err);
        return;
    }
    reply.text = (char *)buf_str(&loop_result(d)->said);
    session_send(s, WIRE_TENANT_REPLY, m->tag, &reply.base, loop_generation(d));
    if (!r->dry_run)
        log_info("tenant", "user=%s uid=%u %s changed", actor.user, (unsigned)s->uid, r->what);
}

bool tenants_knows(const char *what)
{
    return core_tenant_knows(what);
}

static const char *columns_of(const Sl__QueryRequest *r)
{
    for (size_t i = 0; i < r->n_filters; i++)
        if (strcmp(r->filters[i]->key, "columns") == 0)
            return r->filters[i]->value;
    return "";
}

/* Tables of tenants are short, and a tree that changes between two pages would be no
 * tree: all rows in one turn, in frames of QUERY_CHUNK_BYTES. */
void tenants_query(struct ctld *d, struct session *s, uint32_t tag, const Sl__QueryRequest *r)
{
    uint16_t columns[COLUMNS_MAX];
    size_t count;
    struct buf cells, text;
    struct err err;
    Sl__QueryRows m = SL__QUERY_ROWS__INIT;

    if (core_tenant_columns(r->what, columns_of(r), columns, COLUMNS_MAX, &count, &err) < 0) {
        session_error(s, tag, &err);
        return;
    }
    buf_init(&cells);
    buf_init(&text);
    uint32_t row = core_tenant_next(d->core, r->what, 0, ctld_now(d));
    do {
        buf_clear(&cells);
        for (m.rows = 0; row != UINT32_MAX && cells.len < QUERY_CHUNK_BYTES; m.rows++) {
            for (size_t i = 0; i < count; i++) {
                buf_clear(&text);
                core_tenant_cell(d->core, r->what, row, columns[i], &text);
                cells_put(&cells, buf_str(&text), text.len);
            }
            row = core_tenant_next(d->core, r->what, row + 1, ctld_now(d));
        }
        m.cells.data = (uint8_t *)cells.data;
        m.cells.len = cells.len;
        m.last = row == UINT32_MAX;
        session_send(s, WIRE_QUERY_ROWS, tag, &m.base, loop_generation_read(d));
    } while (row != UINT32_MAX);
    buf_fini(&cells);
    buf_fini(&text);
}
