/* SPDX-License-Identifier: Apache-2.0
 *
 * Frames: every type there and back, cut at each byte, and what must be refused.
 */
#include "wire/cells.h"
#include "wire/wire.h"

#include "lib/mutate.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SEED 42

static void the_table_is_in_order(void **state)
{
    (void)state;
    size_t n;
    const struct wire_type_info *t = wire_types(&n);
    for (size_t i = 0; i < n; i++) {
        assert_ptr_equal(wire_type_info(t[i].type), &t[i]);
        assert_true(i == 0 || t[i].type > t[i - 1].type);
        assert_in_range(t[i].payload_bytes_max, 1, FRAME_BYTES_MAX);
    }
    assert_null(wire_type_info(0));
    assert_null(wire_type_info(3));
    assert_null(wire_type_info(65535));
}

/* The walk over a payload is recursive; the schema bounds its depth. */
static unsigned depth_of(const ProtobufCMessageDescriptor *d, unsigned above)
{
    unsigned deepest = 0;
    assert_true(above < 16);
    assert_true(d->n_fields <= 128);
    for (unsigned i = 0; i < d->n_fields; i++)
        if (d->fields[i].type == PROTOBUF_C_TYPE_MESSAGE) {
            unsigned n = depth_of(d->fields[i].descriptor, above + 1);
            deepest = n > deepest ? n : deepest;
        }
    return deepest + 1;
}

static void no_message_contains_itself(void **state)
{
    (void)state;
    size_t n;
    const struct wire_type_info *t = wire_types(&n);
    for (size_t i = 0; i < n; i++)
        depth_of(t[i].descriptor, 0);
}

static void every_type_comes_back(void **state)
{
    (void)state;
    size_t n;
    const struct wire_type_info *t = wire_types(&n);
    struct mutate r;
    struct err err = {0};
    mutate_seed(&r, SEED);
    print_message("seed %d\n", SEED);
    for (size_t i = 0; i < n * 50; i++) {
        const struct wire_type_info *info = &t[i % n];
        struct buf a, b;
        struct wire_msg m = {0};
        buf_init(&a);
        buf_init(&b);
        mutate_frame(&r, info, 7, &a);
        mutate_frame(&r, info, 8, &a); /* what follows stays */
        buf_put(&b, a.data, a.len);
        size_t before = a.len;
        if (wire_unpack(&a, true, &m, &err) != 1)
            fail_msg("%s: %s", info->name, err.text);
        assert_int_equal(m.type, info->type);
        assert_int_equal(m.tag, 7);
        assert_ptr_equal(m.body->descriptor, info->descriptor);
        size_t first = before - a.len;
        struct buf again;
        buf_init(&again);
        assert_int_equal(wire_pack(&again, m.type, 7, m.body, &err), 0);
        assert_int_equal(again.len, first);
        assert_memory_equal(again.data, b.data, first);
        wire_msg_clear(&m);
        assert_null(m.body);
        assert_int_equal(wire_unpack(&a, true, &m, &err), 1);
        assert_int_equal(m.tag, 8);
        assert_int_equal(a.len, 0);
        wire_msg_clear(&m);
        assert_int_equal(wire_unpack(&a, true, &m, &err), 0);
        buf_fini(&a);
        buf_fini(&b);
        buf_fini(&again);
    }
}

/* Cut short, a frame waits; with its length shortened to match, it is refused or a
 * smaller message, never read beyond. Exact allocations let ASan see it. */
static void a_cut_frame_waits_or_is_refused(void **state)
{
    (void)state;
    size_t n;
    const struct wire_type_info *t = wire_types(&n);
    struct mutate r;
    mutate_seed(&r, SEED);
    for (size_t i = 0; i < n; i++) {
        struct buf whole;
        buf_init(&whole);
        mutate_frame(&r, &t[i], 1, &whole);
        for (size_t cut = 0; cut < whole.len; cut++) {
            struct wire_msg m = {0};
            struct err err;
            char *copy = malloc(cut ? cut : 1);
            memcpy(copy, whole.data, cut);
            struct buf in = {.data = copy, .len = cut, .cap = cut};
            assert_int_equal(wire_unpack(&in, true, &m, &err), 0);
            assert_int_equal(in.len, cut);
            if (cut >= WIRE_HEADER_BYTES) {
                size_t len = cut - WIRE_HEADER_BYTES;
                for (int k = 0; k < 4; k++)
                    copy[k] = (char)(len >> (24 - 8 * k));
                struct buf out;
                buf_init(&out);
                buf_put(&out, copy, cut);
                if (wire_unpack(&out, true, &m, &err) == 1)
                    wire_msg_clear(&m);
                buf_fini(&out);
            }
            free(copy);
        }
        buf_fini(&whole);
    }
}

/* Unpacks one frame with this payload; the caller frees *m on 1. */
static int unpack(enum wire_type type, const void *payload, size_t n, uint16_t version,
                  bool auth, struct wire_msg *m, struct err *err)
{
    uint8_t h[WIRE_HEADER_BYTES] = {(uint8_t)(n >> 24),      (uint8_t)(n >> 16),
                                    (uint8_t)(n >> 8),       (uint8_t)n,
                                    (uint8_t)(type >> 8),    (uint8_t)type,
                                    (uint8_t)(version >> 8), (uint8_t)version};
    struct buf b;
    buf_init(&b);
    buf_put(&b, h, sizeof(h));
    buf_put(&b, payload, n);
    memset(m, 0, sizeof(*m));
    int rc = wire_unpack(&b, auth, m, err);
    buf_fini(&b);
    return rc;
}

static void refuse(enum wire_type type, const char *payload, size_t n, const char *why)
{
    struct wire_msg m;
    struct err err = {0};
    int rc = unpack(type, payload, n, 0x0100, true, &m, &err);
    if (rc != SL_EPROTO || !strstr(err.text, why))
        fail_msg("expected '%s': %d %s", why, rc, err.text);
}
#define REFUSE(type, payload, why) refuse(type, payload, sizeof(payload) - 1, why)

static void broken_payloads_are_refused(void **state)
{
    (void)state;
    /* ErrorReply { sint32 code = 1; string text = 2; } */
    REFUSE(WIRE_ERROR, "\x12\x02\xff\xfe", "UTF-8");
    REFUSE(WIRE_ERROR, "\x12\x02\xc0\x80", "UTF-8");         /* overlong */
    REFUSE(WIRE_ERROR, "\x12\x03\xed\xa0\x80", "UTF-8");     /* surrogate */
    REFUSE(WIRE_ERROR, "\x12\x04\xf4\x90\x80\x80", "UTF-8"); /* over U+10FFFF */
    REFUSE(WIRE_ERROR, "\x12\x02\xc3", "broken field");
    REFUSE(WIRE_ERROR, "\x12\x01\xc3", "UTF-8");
    REFUSE(WIRE_ERROR,
           "\x12\x03"
           "a\0b",
           "UTF-8");
    REFUSE(WIRE_ERROR, "\x08\x02\x08\x04", "given twice");
    REFUSE(WIRE_ERROR, "\x0a\x00", "wrong encoding");
    REFUSE(WIRE_ERROR, "\x10\x01", "wrong encoding");
    REFUSE(WIRE_ERROR, "\x08", "broken field");
    REFUSE(WIRE_ERROR, "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
           "broken field");
    REFUSE(WIRE_ERROR, "\x00\x00", "broken field"); /* field 0 */
    REFUSE(WIRE_ERROR, "\x0b\x0c", "broken field"); /* a group */
    REFUSE(WIRE_ERROR, "\x12\xff\xff\xff\xff\x0f", "broken field");
    REFUSE(WIRE_QUERY, "\x12\x02\xff\xff", "packed");
}

static void raw_strings_may_hold_any_byte(void **state)
{
    (void)state;
    Sl__StepSpec spec = SL__STEP_SPEC__INIT;
    Sl__StepCreate c = SL__STEP_CREATE__INIT;
    char *env[] = {(char *)"A=\xff\xfe"};
    spec.env = env;
    spec.n_env = 1;
    spec.name = (char *)"na\xffme";
    c.spec = &spec;
    struct buf b;
    struct wire_msg m = {0};
    struct err err = {0};
    buf_init(&b);
    assert_int_equal(wire_pack(&b, WIRE_STEP_CREATE, 1, &c.base, &err), 0);
    if (wire_unpack(&b, true, &m, &err) != 1)
        fail_msg("%s", err.text);
    const Sl__StepSpec *got = ((Sl__StepCreate *)m.body)->spec;
    assert_string_equal(got->env[0], "A=\xff\xfe");
    assert_string_equal(got->name, "na?me"); /* made text by the sender */
    wire_msg_clear(&m);
    buf_fini(&b);
}

static void bounds_hold(void **state)
{
    (void)state;
    struct wire_msg m;
    struct err err = {0};
    static char payload[70000];
    assert_int_equal(unpack(WIRE_NODE_PONG, payload, 1025, 0x0100, true, &m, &err),
                     SL_EPROTO);
    assert_non_null(strstr(err.text, "NODE_PONG"));
    /* nobody is known yet: 4 KiB, whatever the type */
    assert_int_equal(unpack(WIRE_ERROR, payload, 4097, 0x0100, false, &m, &err),
                     SL_EPROTO);
    assert_int_equal(unpack(WIRE_ERROR, "", 0, 0x0100, false, &m, &err), 1);
    wire_msg_clear(&m);
    /* the sender is told, too */
    Sl__ErrorReply e = SL__ERROR_REPLY__INIT;
    memset(payload, 'x', sizeof(payload) - 1);
    e.text = payload;
    struct buf b;
    buf_init(&b);
    buf_puts(&b, "before");
    assert_int_equal(wire_pack(&b, WIRE_ERROR, 1, &e.base, &err), -EMSGSIZE);
    assert_string_equal(buf_str(&b), "before");
    buf_fini(&b);
}

/* 20 MiB of two-byte elements would become gigabytes. */
static void a_bomb_is_refused_before_it_is_unpacked(void **state)
{
    (void)state;
    size_t n = 20u << 20;
    char *payload = malloc(n);
    for (size_t i = 0; i < n; i += 2)
        memcpy(payload + i, "\x0a\x00", 2); /* JobReports.reports */
    refuse(WIRE_JOB_REPORTS, payload, n, "needs more than");
    free(payload);
}

static void versions_are_checked(void **state)
{
    (void)state;
    struct wire_msg m;
    struct err err = {0};
    assert_int_equal(unpack(WIRE_ERROR, "", 0, 0x0200, true, &m, &err), SL_EVERSION);
    assert_int_equal(unpack(WIRE_ERROR, "", 0, 0x0000, true, &m, &err), SL_EVERSION);
    assert_int_equal(unpack(WIRE_ERROR, "", 0, 0x0105, true, &m, &err), 1);
    wire_msg_clear(&m);
    /* a newer peer's fields pass */
    assert_int_equal(
        unpack(WIRE_ERROR, "\xf8\x07\x01\x08\x02", 5, 0x0101, true, &m, &err), 1);
    assert_int_equal(((Sl__ErrorReply *)m.body)->code, 1);
    wire_msg_clear(&m);
}

static void who_may_send_is_checked(void **state)
{
    (void)state;
    const struct wire_type_info *launch = wire_type_info(WIRE_LAUNCH);
    const struct wire_type_info *submit = wire_type_info(WIRE_SUBMIT);
    struct wire_type_info admin = *launch;
    admin.who = WIRE_WHO_ADMIN;
    struct wire_peer user = {.uid = 1000}, node = {.uid = 50}, boss = {.uid = 60},
                     root = {.uid = 0};
    assert_int_equal(wire_who_check(submit, &user, 50, 60), 0);
    assert_int_equal(wire_who_check(launch, &user, 50, 60), SL_EACCESS);
    assert_int_equal(wire_who_check(launch, &boss, 50, 60), SL_EACCESS);
    assert_int_equal(wire_who_check(launch, &node, 50, 60), 0);
    assert_int_equal(wire_who_check(launch, &root, 50, 60), 0);
    assert_int_equal(wire_who_check(&admin, &node, 50, 60), SL_EACCESS);
    assert_int_equal(wire_who_check(&admin, &boss, 50, 60), 0);
}

static void cells_come_back(void **state)
{
    (void)state;
    static char big[20000];
    memset(big, 'b', sizeof(big));
    const size_t sizes[] = {0, 1, 127, 128, 16383, 16384, 20000};
    struct buf b;
    struct cells_iter it;
    const char *text;
    size_t n;
    buf_init(&b);
    for (size_t i = 0; i < 7; i++)
        cells_put(&b, big, sizes[i]);
    cells_begin(&it, b.data, b.len);
    for (size_t i = 0; i < 7; i++) {
        assert_int_equal(cells_next(&it, &text, &n), 1);
        assert_int_equal(n, sizes[i]);
        assert_memory_equal(text, big, n);
    }
    assert_int_equal(cells_next(&it, &text, &n), 0);
    /* cut anywhere: an end or an error, never a cell beyond */
    for (size_t cut = 0; cut < b.len; cut += cut < 600 ? 1 : 500) {
        int rc;
        char *copy = malloc(cut ? cut : 1);
        memcpy(copy, b.data, cut);
        cells_begin(&it, copy, cut);
        while ((rc = cells_next(&it, &text, &n)) == 1)
            assert_true(text + n <= copy + cut);
        assert_true(rc == 0 || rc == SL_EPROTO);
        free(copy);
    }
    cells_begin(&it, "\xff\xff\xff\xff\xff\xff", 6);
    assert_int_equal(cells_next(&it, &text, &n), SL_EPROTO);
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_is_in_order),
        cmocka_unit_test(no_message_contains_itself),
        cmocka_unit_test(every_type_comes_back),
        cmocka_unit_test(a_cut_frame_waits_or_is_refused),
        cmocka_unit_test(broken_payloads_are_refused),
        cmocka_unit_test(raw_strings_may_hold_any_byte),
        cmocka_unit_test(bounds_hold),
        cmocka_unit_test(a_bomb_is_refused_before_it_is_unpacked),
        cmocka_unit_test(versions_are_checked),
        cmocka_unit_test(who_may_send_is_checked),
        cmocka_unit_test(cells_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
