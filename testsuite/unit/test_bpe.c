/* SPDX-License-Identifier: Apache-2.0
 *
 * Text to pieces to tokens and back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/buf.h"
#include "data/bpe.h"
#include "data/split.h"
#include "data/text.h"
#include "philox.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SEED 7
static const char WORDS[] =
    "the quick brown fox isn't 1234 years older than the lazy dog; they're in the "
    "kitchen\n\n  with 3 caf\xc3\xa9s, \xe4\xb8\xad\xe6\x96\x87 \xf0\x9f\x98\x80!\r\n\tthe end ";

/* Kinds of text: words over and over, any bytes, runs of few bytes. */
static void text_make(struct buf *b, int kind, size_t n)
{
    buf_init(b);
    for (uint64_t i = 0; b->len < n; i++) {
        uint32_t r = philox(SEED, (uint64_t)kind, i).v[0];
        if (kind == 0)
            buf_put(b, WORDS + r % 40, 1 + (r >> 8) % (sizeof(WORDS) - 41));
        else
            buf_putc(b, kind == 1 ? (char)(r >> 16) : "aab \n"[r % 5]);
    }
}

static void feed(struct bpe_trainer *t, struct split *s, const char *p, size_t n)
{
    for (size_t at = 0, len; at < n; at += len) {
        len = split_next(s, p + at, n - at, true);
        bpe_trainer_add(t, p + at, len);
    }
}

static void train(struct vocab *v, int pattern, uint32_t count, const struct buf *b)
{
    struct err err;
    struct split *s = split_create(pattern, &err);
    struct bpe_trainer *t = bpe_trainer_create();
    assert_non_null(s);
    feed(t, s, b->data, b->len);
    assert_int_equal(bpe_train(t, pattern, count, v, &err), 0);
    bpe_trainer_destroy(t);
    split_destroy(s);
}

static void any_bytes_come_back(void **state)
{
    struct vocab v;
    struct err err;
    struct buf training;
    (void)state;
    text_make(&training, 0, 20000);
    for (int pattern = 0; pattern < 2; pattern++) {
        train(&v, pattern, 600, &training);
        struct bpe_encoder *e = bpe_encoder_create(&v);
        struct split *s = split_create(pattern, &err);
        for (int kind = 0; kind < 3; kind++) {
            struct buf in, out;
            text_make(&in, kind, 30000);
            buf_init(&out);
            for (size_t at = 0, len; at < in.len; at += len) {
                const uint32_t *tokens;
                len = split_next(s, in.data + at, in.len - at, true);
                size_t n = bpe_encode(e, in.data + at, len, &tokens);
                for (size_t i = 0; i < n; i++) {
                    assert_true(tokens[i] < vocab_end_of_text(&v));
                    buf_put(&out, v.bytes + v.offsets[tokens[i]],
                            v.offsets[tokens[i] + 1] - v.offsets[tokens[i]]);
                }
            }
            assert_int_equal(in.len, out.len);
            assert_memory_equal(in.data, out.data, in.len);
            buf_fini(&in);
            buf_fini(&out);
        }
        split_destroy(s);
        bpe_encoder_destroy(e);
        vocab_fini(&v);
    }
    buf_fini(&training);
}

/* The definition, slowly: while some pair is a merge, apply the earliest one at
 * its leftmost place. */
static size_t encode_slowly(const struct vocab *v, const char *p, size_t n, uint32_t *t)
{
    for (size_t i = 0; i < n; i++)
        t[i] = (unsigned char)p[i];
    for (;;) {
        uint32_t best = v->merges_count;
        size_t where = 0;
        for (size_t i = 0; i + 1 < n; i++)
            for (uint32_t m = 0; m < best; m++)
                if (v->merges[m].left == t[i] && v->merges[m].right == t[i + 1]) {
                    best = m;
                    where = i;
                }
        if (best == v->merges_count)
            return n;
        t[where] = VOCAB_BYTES + best;
        memmove(t + where + 1, t + where + 2, (n - where - 2) * sizeof(*t));
        n--;
    }
}

static void encoding_applies_the_earliest_merge_first(void **state)
{
    struct vocab v;
    struct buf b;
    uint32_t want[64];
    (void)state;
    text_make(&b, 2, 4000);
    train(&v, 0, 320, &b);
    assert_true(v.merges_count > 20);
    struct bpe_encoder *e = bpe_encoder_create(&v);
    for (size_t i = 0; i + 64 < b.len; i += 17) {
        size_t len = 1 + i % 60, n = encode_slowly(&v, b.data + i, len, want);
        for (int again = 0; again < 2; again++) { /* the second time from memory */
            const uint32_t *got;
            assert_int_equal(bpe_encode(e, b.data + i, len, &got), n);
            assert_memory_equal(got, want, n * sizeof(*want));
        }
    }
    bpe_encoder_destroy(e);
    vocab_fini(&v);
    buf_fini(&b);
}

/* Counting everything anew before each merge gives the same merges. */
static void training_merges_the_most_frequent_pair(void **state)
{
    static const char *const words[] = {"low", "lower", "lowest", "newer", "wider", "aaaa"};
    static const int counts[] = {5, 2, 3, 6, 3, 4};
    uint32_t t[6][8], len[6];
    struct bpe_trainer *trainer = bpe_trainer_create();
    struct vocab v;
    struct err err;
    (void)state;
    for (int w = 0; w < 6; w++) {
        len[w] = (uint32_t)strlen(words[w]);
        for (uint32_t i = 0; i < len[w]; i++)
            t[w][i] = (unsigned char)words[w][i];
        for (int i = 0; i < counts[w]; i++)
            bpe_trainer_add(trainer, words[w], len[w]);
    }
    assert_int_equal(bpe_train(trainer, 0, VOCAB_MIN + 12, &v, &err), 0);
    bpe_trainer_destroy(trainer);
    assert_int_equal(v.merges_count, 12);
    for (uint32_t m = 0; m < v.merges_count; m++) {
        static int seen[300][300];
        uint32_t left = 0, right = 0;
        int most = 0;
        memset(seen, 0, sizeof(seen));
        for (int w = 0; w < 6; w++)
            for (uint32_t i = 0; i + 1 < len[w]; i++)
                seen[t[w][i]][t[w][i + 1]] += counts[w];
        for (uint32_t a = 0; a < 300; a++)
            for (uint32_t b = 0; b < 300; b++)
                if (seen[a][b] > most) {
                    most = seen[a][b];
                    left = a;
                    right = b;
                }
        assert_int_equal(v.merges[m].left, left);
        assert_int_equal(v.merges[m].right, right);
        for (int w = 0; w < 6; w++) {
            uint32_t to = 0;
            for (uint32_t i = 0; i < len[w]; to++) {
                int hit = i + 1 < len[w] && t[w][i] == left && t[w][i + 1] == right;
                t[w][to] = hit ? VOCAB_BYTES + m : t[w][i];
                i += hit ? 2 : 1;
            }
            len[w] = to;
        }
    }
    vocab_fini(&v);
}

static void order_of_the_text_does_not_matter(void **state)
{
    struct vocab v[2];
    struct buf b, turned;
    struct err err;
    (void)state;
    text_make(&b, 0, 20000);
    buf_init(&turned);
    struct split *s = split_create(0, &err);
    struct bpe_trainer *t = bpe_trainer_create();
    size_t ends[20000], count = 0;
    for (size_t at = 0; at < b.len; count++)
        at = ends[count] = at + split_next(s, b.data + at, b.len - at, true);
    while (count-- > 0) {
        size_t from = count ? ends[count - 1] : 0;
        bpe_trainer_add(t, b.data + from, ends[count] - from);
    }
    assert_int_equal(bpe_train(t, 0, 500, &v[0], &err), 0);
    train(&v[1], 0, 500, &b);
    assert_int_equal(v[0].count, v[1].count);
    assert_memory_equal(v[0].merges, v[1].merges, v[0].merges_count * sizeof(struct merge));
    bpe_trainer_destroy(t);
    split_destroy(s);
    vocab_fini(&v[0]);
    vocab_fini(&v[1]);
    buf_fini(&turned);
    buf_fini(&b);
}

static void vocabularies_that_cannot_be_are_refused(void **state)
{
    struct err err;
    struct vocab v;
    struct merge *m = xcalloc(2, sizeof(*m));
    (void)state;
    m[0] = (struct merge){'a', 256}; /* of itself */
    assert_true(vocab_init(&v, 0, m, 1, &err) < 0);
    assert_non_null(strstr(err.text, "merge 0"));
    m = xcalloc(20, sizeof(*m));
    for (uint32_t i = 0; i < 20; i++) /* doubles each time */
        m[i] = (struct merge){i ? 255 + i : 'a', i ? 255 + i : 'a'};
    assert_true(vocab_init(&v, 0, m, 20, &err) < 0);
    assert_non_null(strstr(err.text, "longer"));
}

static void pieces_of_gpt2(void **state)
{
    static const char text[] = "Hello, world's  12 \xc3\xa9t\xc3\xa9 \xff!\n\n x";
    static const char *const want[] = {"Hello", ",", " world", "'s", " ", " 12",
                                       " \xc3\xa9t\xc3\xa9", " ", "\xff", "!", "\n\n", " x"};
    struct err err;
    struct split *s = split_create(0, &err);
    size_t at = 0;
    (void)state;
    for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
        size_t len = split_next(s, text + at, sizeof(text) - 1 - at, true);
        assert_int_equal(len, strlen(want[i]));
        assert_memory_equal(text + at, want[i], len);
        at += len;
    }
    assert_int_equal(at, sizeof(text) - 1);
    split_destroy(s);
}

/* --- documents --------------------------------------------------------------------- */

static char *file_make(const char *data, size_t n)
{
    char *path = xstrdup("/tmp/slurmlike-text-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, n), (ssize_t)n);
    close(fd);
    return path;
}

/* Reads with pieces as the tokenizer does; documents are joined by '|'. */
static void documents_read(const char *path, const char *separator, struct buf *out)
{
    struct text t;
    struct text_view view;
    struct err err;
    struct split *s = split_create(0, &err);
    assert_int_equal(text_open(&t, path, separator, false, &err), 0);
    buf_init(out);
    while (text_next(&t, &view, &err) == 1) {
        size_t at = 0, len;
        while (at < view.len &&
               (len = split_next(s, view.data + at, view.len - at, view.final)) > 0)
            at += len;
        assert_true(at > 0);
        buf_put(out, view.data, at);
        text_consume(&t, &view, at);
        if (view.final) {
            assert_int_equal(at, view.len);
            buf_putc(out, '|');
        }
    }
    text_close(&t);
    split_destroy(s);
}

static void separators_cut_documents(void **state)
{
    static const struct {
        const char *text, *separator, *want;
    } cases[] = {
        {"one\n%\ntwo\n%\n", "%", "one\n|two\n|"},
        {"%\n%\none\n%\n%\n%", "%", "one\n|"},
        {"one\n%%\n%x\nx%\ntwo", "%", "one\n%%\n%x\nx%\ntwo|"},
        {"one\n%\ntwo\n%\n", "", "one\n%\ntwo\n%\n|"},
        {"one\n<end>\ntwo", "<end>", "one\n|two|"},
        {"", "%", ""},
        {"%", "%", ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *path = file_make(cases[i].text, strlen(cases[i].text));
        struct buf out;
        documents_read(path, cases[i].separator, &out);
        assert_string_equal(buf_str(&out), cases[i].want);
        buf_fini(&out);
        unlink(path);
        free(path);
    }
}

/* Separators at every place around the end of a block. */
static void blocks_do_not_hide_separators(void **state)
{
    (void)state;
    for (int shift = -6; shift <= 6; shift++) {
        struct buf b, out;
        buf_init(&b);
        while (b.len < TEXT_BLOCK + SPLIT_VIEW + 258 - 10)
            buf_puts(&b, "word ");
        b.len -= (size_t)(6 + shift);
        size_t first = b.len;
        buf_puts(&b, "\n<end>\nlast");
        char *path = file_make(b.data, b.len);
        documents_read(path, "<end>", &out);
        assert_int_equal(out.len, first + 1 + 1 + 4 + 1);
        assert_memory_equal(out.data, b.data, first);
        assert_string_equal(out.data + first, "\n|last|");
        unlink(path);
        free(path);
        buf_fini(&out);
        buf_fini(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vocabularies_that_cannot_be_are_refused),
        cmocka_unit_test(pieces_of_gpt2),
        cmocka_unit_test(any_bytes_come_back),
        cmocka_unit_test(encoding_applies_the_earliest_merge_first),
        cmocka_unit_test(training_merges_the_most_frequent_pair),
        cmocka_unit_test(order_of_the_text_does_not_matter),
        cmocka_unit_test(separators_cut_documents),
        cmocka_unit_test(blocks_do_not_hide_separators),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
