/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of frame types, from msg.def.
 */
#include "wire/wire.h"

static const struct wire_type_info types[] = {
#define MSG(sym, num, message, bound, who_name)                                        \
    {WIRE_##sym, #sym, &message##__descriptor, bound, WIRE_WHO_##who_name},
#include "wire/msg.def"
#undef MSG
};

const struct wire_type_info *wire_type_info(unsigned type)
{
    /* Rows are in ascending order of the number (a unit test checks it). */
    size_t lo = 0, hi = sizeof(types) / sizeof(types[0]);
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (types[mid].type == type)
            return &types[mid];
        if (types[mid].type < type)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

const struct wire_type_info *wire_types(size_t *count)
{
    *count = sizeof(types) / sizeof(types[0]);
    return types;
}

int wire_who_check(const struct wire_type_info *info, const struct wire_peer *peer,
                   uid_t node_uid, uid_t admin_uid)
{
    switch (info->who) {
    case WIRE_WHO_ANY:
    case WIRE_WHO_USER:
        return 0;
    case WIRE_WHO_NODE:
        return peer->uid == 0 || peer->uid == node_uid ? 0 : SL_EACCESS;
    case WIRE_WHO_ADMIN:
        return peer->uid == 0 || peer->uid == admin_uid ? 0 : SL_EACCESS;
    }
    return SL_EACCESS;
}
