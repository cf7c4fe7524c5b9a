/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "topo/fabric.h"

static uint32_t hops(const struct fabric *f, const char *a, const char *b)
{
    uint32_t x = fabric_find(f, a), y = fabric_find(f, b);
    assert_true(x != FABRIC_NO && y != FABRIC_NO);
    assert_int_equal(fabric_hops(f, x, y), fabric_hops(f, y, x));
    return fabric_hops(f, x, y);
}

/* Every piece is made of the pieces below, without gap or overlap, to the last node. */
static void check_shape(const struct fabric *f)
{
    for (uint32_t l = 1; l <= f->levels; l++) {
        uint32_t first, n = fabric_level(f, l, &first), at = 0;
        for (uint32_t i = first; i < first + n; i++) {
            const struct fabric_piece *p = &f->piece[i];
            assert_true(p->first >= at);
            at = p->first + p->count;
            assert_true(at <= f->nodes);
            if (p->parent == FABRIC_NO)
                continue;
            const struct fabric_piece *up = &f->piece[p->parent];
            assert_true(up->level > l && up->first <= p->first &&
                        at <= up->first + up->count);
        }
    }
    assert_int_equal(f->piece[f->pieces - 1].count, f->nodes);
    for (uint32_t i = 0; i < f->nodes; i++)
        assert_int_equal(fabric_find(f, f->node[i]), i);
}

static void refused(struct fabric *f, struct err *err, const char *word)
{
    assert_null(f);
    if (err->code >= 0 || !strstr(err->text, word))
        fail_msg("\"%s\" does not say \"%s\"", err->text, word);
}

static void switches_that_make_no_tree_are_refused(void **state)
{
    struct err err = {0};
    const struct fabric_switch twice[] = {{"s0", NULL, "n[0-3]"}, {"s1", NULL, "n[3-5]"}};
    const struct fabric_switch circle[] = {{"s0", "s1", NULL}, {"s1", "s0", NULL},
                                           {"s2", NULL, "n0"}};
    const struct fabric_switch missing[] = {{"s0", "s9", NULL}};
    const struct fabric_switch both[] = {{"s0", NULL, "n0"}, {"s1", "s0", "n1"}};
    const struct fabric_switch two_up[] = {{"s0", NULL, "n0"}, {"a", "s0", ""}, {"b", "s0", ""}};
    const struct fabric_switch same[] = {{"s0", NULL, "n0"}, {"s0", NULL, "n1"}};
    const struct fabric_switch bad[] = {{"s0", NULL, "n[0-"}};
    refused(fabric_switches(FABRIC_TREE, twice, 2, &err), &err, "n3 is connected twice");
    refused(fabric_switches(FABRIC_TREE, circle, 3, &err), &err, "circle");
    refused(fabric_switches(FABRIC_TREE, missing, 1, &err), &err, "no switch s9");
    refused(fabric_switches(FABRIC_TREE, both, 2, &err), &err, "s1 has nodes and other switches");
    refused(fabric_switches(FABRIC_TREE, two_up, 3, &err), &err, "below a and below b");
    refused(fabric_switches(FABRIC_TREE, same, 2, &err), &err, "described twice");
    refused(fabric_switches(FABRIC_TREE, bad, 1, &err), &err, "s0");
    refused(fabric_switches(FABRIC_TREE, bad, 0, &err), &err, "no node");
}

static void a_tree_has_its_pieces_and_distances(void **state)
{
    const struct fabric_switch sw[] = {
        {"top", "pod[0-1],lone", NULL}, {"pod0", "s[0-1]", NULL}, {"pod1", "s[2-3]", NULL},
        {"s3", NULL, "n[12-15]"}, {"s2", NULL, "n[8-11]"}, {"s1", NULL, "n[4-7]"},
        {"s0", NULL, "n[0-3]"}, {"lone", NULL, "login"}};
    struct err err = {0};
    struct fabric *f = fabric_switches(FABRIC_TREE, sw, 8, &err);
    uint32_t first;
    assert_non_null(f);
    check_shape(f);
    assert_int_equal(f->levels, 3);
    assert_int_equal(f->leafs, 5);
    assert_int_equal(fabric_level(f, 2, &first), 2);
    assert_string_equal(f->piece[first].name, "pod0");
    assert_int_equal(f->piece[first].count, 8);
    assert_int_equal(f->piece[first].leafs, 2);
    assert_int_equal(hops(f, "n0", "n0"), 0);
    assert_int_equal(hops(f, "n0", "n3"), 2);
    assert_int_equal(hops(f, "n3", "n4"), 4);
    assert_int_equal(hops(f, "n3", "n15"), 6);
    assert_int_equal(hops(f, "n3", "login"), 5); /* up three, down two */
    assert_int_equal(fabric_find(f, "n16"), FABRIC_NO);
    uint32_t a = fabric_find(f, "n5"), b = fabric_find(f, "n7");
    assert_string_equal(f->piece[fabric_common(f, a, b)].name, "s1");
    fabric_destroy(f);
}

static void switches_that_are_not_connected_get_a_top(void **state)
{
    const struct fabric_switch sw[] = {{"s0", NULL, "n[0-1]"}, {"s1", NULL, "n[2-3]"}};
    struct err err = {0};
    struct fabric *f = fabric_switches(FABRIC_TREE, sw, 2, &err);
    assert_non_null(f);
    check_shape(f);
    assert_string_equal(f->piece[f->pieces - 1].name, "");
    assert_int_equal(hops(f, "n0", "n2"), 4);
    fabric_destroy(f);
}

static void blocks_join_by_powers_of_two(void **state)
{
    struct fabric_switch b[] = {{"b0", NULL, "n[0-3]"}, {"b1", NULL, "n[4-7]"},
                                {"b2", NULL, "n[8-11]"}, {"b3", NULL, "n[12-16]"},
                                {"b4", NULL, "n[17-20]"}};
    struct err err = {0};
    struct fabric *f = fabric_blocks(b, 5, "4,8,16", &err);
    assert_non_null(f);
    check_shape(f);
    assert_int_equal(f->levels, 4);
    assert_int_equal(hops(f, "n0", "n3"), 2);
    assert_int_equal(hops(f, "n0", "n4"), 4);
    assert_int_equal(hops(f, "n0", "n8"), 6);
    assert_int_equal(hops(f, "n0", "n20"), 8);
    fabric_destroy(f);
    refused(fabric_blocks(b, 5, "4,12", &err), &err, "not a power of two");
    refused(fabric_blocks(b, 5, "5", &err), &err, "block b0 has 4 nodes");
    refused(fabric_blocks(b, 5, "4,,8", &err), &err, "numbers of nodes");
}

static void generated_fabrics_have_the_published_sizes(void **state)
{
    struct err err = {0};
    uint32_t first;
    struct fabric *f = fabric_generate("fat-tree:radix=16", "n[0-1023]", &err);
    assert_non_null(f);
    check_shape(f);
    assert_int_equal(f->leafs, 128); /* radix^3/4 nodes in radix pods of radix/2 leafs */
    assert_int_equal(fabric_level(f, 2, &first), 16);
    assert_int_equal(hops(f, "n0", "n7"), 2);
    assert_int_equal(hops(f, "n0", "n8"), 4);
    assert_int_equal(hops(f, "n0", "n64"), 6);
    fabric_destroy(f);
    refused(fabric_generate("fat-tree:radix=16", "n[0-1024]", &err), &err, "1024 nodes");
    refused(fabric_generate("fat-tree:radix=x", "n[0-3]", &err), &err, "a number is wanted");
    refused(fabric_generate("fat-tree", "n[0-3]", &err), &err, "radix=");
    refused(fabric_generate("fat-tree:h=2", "n[0-3]", &err), &err, "radix");
    refused(fabric_generate("torus:x=2", "n[0-3]", &err), &err, "dragonfly");
    f = fabric_generate("rails:nodes=4", "g[1-10]", &err);
    assert_non_null(f);
    check_shape(f);
    assert_int_equal(f->leafs, 3);
    assert_int_equal(hops(f, "g1", "g5"), 4);
    fabric_destroy(f);
}

/* Minimal routing: breadth first search over the routers of the two groups. */
static void a_dragonflys_distances_are_shortest_ways(void **state)
{
    enum { A = 3, P = 2, H = 2, G = A * H + 1, R = A * G };
    static bool link[R][R];
    struct err err = {0};
    struct fabric *f = fabric_generate("dragonfly:a=3,p=2,h=2", "n[0-41]", &err);
    assert_non_null(f);
    check_shape(f);
    for (int r = 0; r < R; r++) {
        for (int s = 0; s < R; s++)
            link[r][s] = r != s && r / A == s / A;
        for (int k = 0; k < H; k++) { /* link q of a group leads q + 1 groups further */
            int q = r % A * H + k, to = (r / A + q + 1) % G, back = G - 2 - q;
            link[r][to * A + back / H] = true;
        }
    }
    for (int r = 0; r < R; r++) {
        for (int g = 0; g < G; g++) { /* to group g, through no third group */
            int dist[R], queue[R], head = 0, tail = 0;
            memset(dist, -1, sizeof dist);
            dist[queue[tail++] = r] = 0;
            for (; head < tail; head++)
                for (int s = 0; s < R; s++)
                    if (link[queue[head]][s] && dist[s] < 0 && (s / A == r / A || s / A == g)) {
                        assert_true(link[s][queue[head]]);
                        dist[s] = dist[queue[head]] + 1;
                        queue[tail++] = s;
                    }
            for (int s = g * A; s < g * A + A; s++)
                assert_int_equal(fabric_hops(f, (uint32_t)(r * P), (uint32_t)(s * P + 1)),
                                 dist[s] + 2);
        }
    }
    fabric_destroy(f);
}

static char *fixture(const char *name, size_t *len)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", FIXTURES, name);
    FILE *in = fopen(path, "re");
    assert_non_null(in);
    char *text = xcalloc(1, 1 << 16);
    *len = fread(text, 1, (1 << 16) - 1, in);
    fclose(in);
    return text;
}

static void a_recorded_tree_is_found(void **state)
{
    struct err err = {0};
    size_t len;
    char *text = fixture("ibnetdiscover.tree", &len);
    struct fabric *f = fabric_ibnetdiscover(text, len, "tree", &err);
    uint32_t first;
    assert_non_null(f);
    check_shape(f);
    assert_int_equal(f->kind, FABRIC_TREE);
    assert_int_equal(f->nodes, 12);
    assert_int_equal(f->leafs, 4);
    assert_int_equal(f->levels, 3);
    assert_int_equal(fabric_level(f, 2, &first), 2);
    assert_string_equal(f->piece[0].name, "leaf0");
    assert_string_equal(f->node[2], "n10"); /* under leaf0 with n1 and n2 */
    assert_int_equal(hops(f, "n1", "n10"), 2);
    assert_int_equal(hops(f, "n1", "n3"), 4);
    assert_int_equal(hops(f, "n6", "n9"), 4);
    assert_int_equal(hops(f, "n5", "n6"), 6);
    fabric_destroy(f);
    free(text);
}

static void recorded_rails_are_one_leaf(void **state)
{
    struct err err = {0};
    size_t len;
    char *text = fixture("ibnetdiscover.rails", &len);
    struct fabric *f = fabric_ibnetdiscover(text, len, "rails", &err);
    assert_non_null(f);
    check_shape(f);
    assert_int_equal(f->kind, FABRIC_RAILS);
    assert_int_equal(f->nodes, 8);
    assert_int_equal(f->leafs, 2);
    assert_string_equal(f->piece[0].name, "su0-rail0");
    assert_int_equal(hops(f, "g01", "g04"), 2);
    assert_int_equal(hops(f, "g04", "g05"), 4);
    fabric_destroy(f);
    free(text);
}

/* A cut text is refused or gives a smaller fabric; damaged bytes never do harm. */
static void damaged_recordings_do_no_harm(void **state)
{
    size_t len;
    char *text = fixture("ibnetdiscover.tree", &len);
    struct err err = {0};
    uint32_t seed = 1;
    refused(fabric_ibnetdiscover("Switch 36 nothing\n", 18, "x", &err), &err, "x:1");
    refused(fabric_ibnetdiscover("", 0, "x", &err), &err, "no host");
    for (size_t n = 0; n < len; n += 7) {
        struct fabric *f = fabric_ibnetdiscover(text, n, "cut", &err);
        if (f)
            check_shape(f);
        fabric_destroy(f);
    }
    for (int round = 0; round < 300; round++) {
        char *bad = xmalloc(len);
        memcpy(bad, text, len);
        for (int k = 0; k < 8; k++) {
            seed = seed * 1103515245u + 12345u;
            bad[seed % len] = "\"[]#S\nH-"[seed >> 13 & 7];
        }
        struct fabric *f = fabric_ibnetdiscover(bad, len, "bad", &err);
        if (f)
            check_shape(f);
        fabric_destroy(f);
        free(bad);
    }
    free(text);
}

/* ---- fitting ------------------------------------------------------------------------------ */

static uint64_t take_hops(const struct fabric *f, const uint32_t *take)
{
    uint32_t last = FABRIC_NO;
    uint64_t hops = 0;
    for (uint32_t l = 0; l < f->leafs; l++) {
        if (take[l] == 0)
            continue;
        hops += 2 * (uint64_t)(take[l] - 1);
        if (last != FABRIC_NO)
            hops += fabric_hops(f, f->piece[last].first, f->piece[l].first);
        last = l;
    }
    return hops;
}

/* The shortest ways of any selection of leafs, each tried with as many nodes as it has. */
static uint64_t hops_least(const struct fabric *f, const uint32_t *avail, uint32_t n)
{
    uint64_t best = UINT64_MAX;
    for (uint32_t set = 1; set < 1u << f->leafs; set++) {
        uint32_t take[16] = {0}, left = n;
        for (uint32_t l = 0; l < f->leafs; l++) {
            if (!(set >> l & 1) || avail[l] == 0)
                continue;
            take[l] = avail[l] < left ? avail[l] : left;
            left -= take[l];
        }
        if (left == 0 && take_hops(f, take) < best)
            best = take_hops(f, take);
    }
    return best;
}

static void fit_is_the_shortest_of_all_selections(void **state)
{
    struct err err = {0};
    uint32_t seed = 1;
    for (int kind = 0; kind < 3; kind++) { /* 12 leafs of 4: in threes; in twos of twos; routers */
        static const char *const texts[] = {"fat-tree:radix=8", "fat-tree:radix=4,levels=4",
                                            "dragonfly:a=4,p=4,h=1"};
        struct fabric *f = fabric_generate(texts[kind], kind == 1 ? "n[0-23]" : "n[0-47]", &err);
        assert_non_null(f);
        assert_int_equal(f->leafs, 12);
        for (int round = 0; round < 300; round++) {
            uint32_t avail[12], take[12], all = 0, given = 0;
            uint64_t spare[12] = {0};
            for (uint32_t l = 0; l < 12; l++) {
                seed = seed * 1664525u + 1013904223u;
                avail[l] = (seed >> 20) % (f->piece[l].count + 1);
                all += avail[l];
            }
            seed = seed * 1664525u + 1013904223u;
            uint32_t n = all ? 1 + (seed >> 20) % all : 0;
            assert_int_equal(fabric_fit(f, avail, spare, n, take), n > 0);
            for (uint32_t l = 0; n && l < 12; l++) {
                assert_true(take[l] <= avail[l]);
                given += take[l];
            }
            assert_int_equal(given, n);
            /* links between a dragonfly's groups count as if each began at the next router */
            if (n && f->kind == FABRIC_TREE)
                assert_int_equal(take_hops(f, take), hops_least(f, avail, n));
            assert_false(fabric_fit(f, avail, spare, all + 1, take));
        }
        fabric_destroy(f);
    }
}

static void fit_prefers_the_fullest_leaf_then_the_least_spare(void **state)
{
    struct err err = {0};
    struct fabric *f = fabric_generate("fat-tree:radix=8", "n[0-47]", &err);
    uint32_t avail[12] = {4, 3, 2, 2, 2, 4, 4, 4, 0, 0, 0, 0}, take[12];
    uint64_t spare[12] = {0, 0, 20, 10, 30};
    assert_true(fabric_fit(f, avail, spare, 2, take));
    assert_int_equal(take[3], 2);
    assert_true(fabric_fit(f, avail, spare, 3, take));
    assert_int_equal(take[1], 3);
    assert_true(fabric_fit(f, avail, spare, 6, take)); /* 4 + 2 in a pod */
    assert_int_equal(take[0], 4);
    assert_int_equal(take[3], 2);
    fabric_destroy(f);
}

static void order_follows_the_links_of_a_dragonfly(void **state)
{
    struct err err = {0};
    struct fabric *f = fabric_generate("dragonfly:a=4,p=2,h=2", "n[0-71]", &err);
    /* group 0: routers 0 to 3, and so on; link q of group i leads to group i + q + 1 */
    uint32_t leaf[] = {0, 1, 2, 3, 8, 9, 10, 11}, seen = 0;
    uint64_t was = 0, is = 0;
    for (uint32_t i = 1; i < 8; i++)
        was += fabric_hops(f, f->piece[leaf[i - 1]].first, f->piece[leaf[i]].first);
    fabric_order(f, leaf, 8);
    for (uint32_t i = 0; i < 8; i++) {
        seen |= 1u << leaf[i];
        if (i)
            is += fabric_hops(f, f->piece[leaf[i - 1]].first, f->piece[leaf[i]].first);
    }
    assert_int_equal(seen, 0xf0f);
    assert_int_equal(is, 7 * 3); /* over the link between the two groups */
    assert_true(is < was);
    fabric_destroy(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(switches_that_make_no_tree_are_refused),
        cmocka_unit_test(a_tree_has_its_pieces_and_distances),
        cmocka_unit_test(switches_that_are_not_connected_get_a_top),
        cmocka_unit_test(blocks_join_by_powers_of_two),
        cmocka_unit_test(generated_fabrics_have_the_published_sizes),
        cmocka_unit_test(a_dragonflys_distances_are_shortest_ways),
        cmocka_unit_test(a_recorded_tree_is_found),
        cmocka_unit_test(recorded_rails_are_one_leaf),
        cmocka_unit_test(damaged_recordings_do_no_harm),
        cmocka_unit_test(fit_is_the_shortest_of_all_selections),
        cmocka_unit_test(fit_prefers_the_fullest_leaf_then_the_least_spare),
        cmocka_unit_test(order_follows_the_links_of_a_dragonfly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
