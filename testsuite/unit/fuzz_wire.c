/* SPDX-License-Identifier: Apache-2.0
 *
 * Damaged messages of every type against wire_unpack(): no crash, no sanitizer
 * report, no message that cannot be packed again. Deterministic: fuzz_wire [SEED
 * [COUNT [TYPE]]], by default a fixed seed and 10,000 a type.
 */
#include "lib/mutate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEED_DEFAULT 20261123
#define COUNT_DEFAULT 10000

static unsigned long accepted, refused, short_of;

static void feed(struct buf *in, uint64_t seed, unsigned long round)
{
    struct wire_msg m = {0};
    struct err err = {0};
    struct buf again;
    int rc = wire_unpack(in, true, &m, &err);
    if (rc == 0)
        short_of++;
    if (rc < 0)
        refused++;
    if (rc < 0 && (err.code != rc || !err.text[0])) {
        fprintf(stderr, "seed %lu round %lu: refused without a reason\n",
                (unsigned long)seed, round);
        exit(1);
    }
    if (rc != 1)
        return;
    accepted++;
    buf_init(&again);
    /* What was taken is a message like any other. It may be too large only by the
     * fields that a damaged one encodes more tightly than protobuf does. */
    (void)wire_pack(&again, m.type, m.tag, m.body, &err);
    buf_fini(&again);
    wire_msg_clear(&m);
}

static void fuzz(const struct wire_type_info *info, uint64_t seed, unsigned long count)
{
    struct mutate r;
    struct buf frame;
    buf_init(&frame);
    /* a type's messages do not depend on which others were asked for */
    mutate_seed(&r, seed ^ ((uint64_t)info->type << 32));
    for (unsigned long i = 0; i < count; i++) {
        buf_clear(&frame);
        mutate_frame(&r, info, (uint32_t)i, &frame);
        mutate_damage(&r, &frame, 0, mutate_below(&r, 8) != 0);
        feed(&frame, seed, i);
    }
    buf_fini(&frame);
}

int main(int argc, char **argv)
{
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : SEED_DEFAULT;
    unsigned long count = argc > 2 ? strtoul(argv[2], NULL, 10) : COUNT_DEFAULT;
    size_t types_count;
    const struct wire_type_info *types = wire_types(&types_count);
    for (size_t i = 0; i < types_count; i++)
        if (argc <= 3 || strcmp(argv[3], types[i].name) == 0)
            fuzz(&types[i], seed, count);
    printf("seed %lu, %lu a type: %lu accepted, %lu refused, %lu incomplete\n",
           (unsigned long)seed, count, accepted, refused, short_of);
    if (accepted == 0 || refused == 0) {
        fprintf(stderr, "the mutations do not reach both sides of the check\n");
        return 1;
    }
    return 0;
}
