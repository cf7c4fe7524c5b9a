/* SPDX-License-Identifier: Apache-2.0
 *
 * worker tokenize: two passes over the sources, the first to train the
 * vocabulary (unless one is given), the second to encode.
 */
#include "base/buf.h"
#include "command.h"
#include "data/bpe.h"
#include "data/h5.h"
#include "data/split.h"
#include "data/text.h"
#include "data/tokenset.h"
#include "options.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct settings {
    char *output, *separator, *vocabulary;
    int64_t vocabulary_size;
    int pattern;
};

#define AT(field) offsetof(struct settings, field)
static const struct option_row ROWS[] = {
    {"output", OPTION_TEXT, AT(output), 0, 0, "", NULL, "Token set (HDF5) to write."},
    {"vocabulary-size", OPTION_INT, AT(vocabulary_size), VOCAB_MIN, VOCAB_MAX, "4096", NULL,
     "Tokens of the trained vocabulary: 256 bytes, merges, end of text."},
    {"vocabulary", OPTION_TEXT, AT(vocabulary), 0, 0, "", NULL,
     "A token set whose vocabulary is used instead of training one."},
    {"separator", OPTION_TEXT, AT(separator), 0, 0, "", NULL,
     "A line of just this text separates documents; else a file is a document."},
    {"pattern", OPTION_CHOICE, AT(pattern), 0, 0, "gpt2", split_choices,
     "Pre-tokenizer: what merges never cross."},
};
static const struct option_table TABLE = {
    .command = "tokenize",
    .arguments = "FILE...",
    .about = "Trains a byte-level BPE vocabulary on the text of all FILEs and writes them as\n"
             "a token set. \"-\" reads standard input (kept in a temporary file).",
    .after = "",
    .rows = ROWS,
    .count = sizeof(ROWS) / sizeof(ROWS[0]),
};

struct pass { /* over all sources; one of trainer and writer */
    struct bpe_trainer *trainer;
    struct bpe_encoder *encoder;
    struct tokenset_writer *writer;
    struct buf *manifest;
    uint64_t bytes;
};

static double seconds(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

static int take_piece(struct pass *p, const char *piece, size_t len, struct err *err)
{
    if (p->trainer) {
        bpe_trainer_add(p->trainer, piece, len);
        return 0;
    }
    const uint32_t *tokens;
    size_t count = bpe_encode(p->encoder, piece, len, &tokens);
    return tokenset_append(p->writer, tokens, count, err);
}

static int take_text(struct pass *p, struct text *t, struct split *split, struct err *err)
{
    struct text_view view;
    int rc;
    while ((rc = text_next(t, &view, err)) > 0) {
        size_t at = 0, len;
        while (at < view.len &&
               (len = split_next(split, view.data + at, view.len - at, view.final)) > 0) {
            rc = take_piece(p, view.data + at, len, err);
            if (rc < 0)
                return rc;
            at += len;
        }
        text_consume(t, &view, at);
        if (view.final && p->writer)
            rc = tokenset_end_document(p->writer, err);
        if (rc < 0)
            return rc;
    }
    return rc;
}

/* "SHA-256  bytes  name" */
static void manifest_add(struct buf *manifest, struct text *t, const char *name)
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    ASSERT(EVP_DigestFinal_ex(t->digest, sum, &len) == 1);
    for (unsigned i = 0; i < len; i++)
        buf_printf(manifest, "%02x", sum[i]);
    buf_printf(manifest, "  %" PRIu64 "  %s\n", t->bytes, name);
}

struct sources {
    char **names;
    int count;
    char stdin_copy[32]; /* /proc/self/fd/N of the unlinked copy, or "" */
    FILE *stdin_file;
};

static int pass_run(struct pass *p, const struct sources *src, const struct settings *s,
                    int pattern, struct err *err)
{
    struct split *split = split_create(pattern, err);
    int rc = split ? 0 : -EINVAL;
    for (int i = 0; i < src->count && rc == 0; i++) {
        struct text t;
        bool is_stdin = strcmp(src->names[i], "-") == 0;
        rc = text_open(&t, is_stdin ? src->stdin_copy : src->names[i], s->separator,
                       p->manifest != NULL, err);
        if (rc < 0)
            break;
        rc = take_text(p, &t, split, err);
        if (rc == 0 && p->manifest)
            manifest_add(p->manifest, &t, src->names[i]);
        p->bytes += t.bytes;
        text_close(&t);
    }
    split_destroy(split);
    return rc;
}

/* Two passes need a file that can be read twice. */
static int stdin_keep(struct sources *src, struct err *err)
{
    int count = 0;
    for (int i = 0; i < src->count; i++)
        count += strcmp(src->names[i], "-") == 0;
    if (count == 0)
        return 0;
    if (count > 1)
        return err_set(err, -EINVAL, "- (standard input) can be given once");
    src->stdin_file = tmpfile();
    if (!src->stdin_file)
        return err_errno(err, "cannot make a temporary file");
    static char block[1 << 16];
    size_t n;
    while ((n = fread(block, 1, sizeof(block), stdin)) > 0)
        if (fwrite(block, 1, n, src->stdin_file) != n)
            return err_errno(err, "cannot write a temporary file");
    if (ferror(stdin) || fflush(src->stdin_file) != 0)
        return err_errno(err, "cannot keep standard input");
    snprintf(src->stdin_copy, sizeof(src->stdin_copy), "/proc/self/fd/%d",
             fileno(src->stdin_file));
    return 0;
}

static int vocab_reuse(const char *path, struct vocab *v, struct err *err)
{
    struct tokenset ts;
    int rc = tokenset_open(&ts, path, err);
    if (rc < 0)
        return rc;
    rc = tokenset_vocab(&ts, v, err);
    tokenset_close(&ts);
    return rc;
}

static int vocab_train(const struct settings *s, const struct sources *src, struct vocab *v,
                       struct err *err)
{
    double from = seconds();
    struct pass p = {.trainer = bpe_trainer_create()};
    int rc = pass_run(&p, src, s, s->pattern, err);
    if (rc == 0 && p.bytes == 0)
        rc = err_set(err, -EINVAL, "%s: there is no text to train a vocabulary on",
                     src->names[0]);
    if (rc == 0)
        rc = bpe_train(p.trainer, s->pattern, (uint32_t)s->vocabulary_size, v, err);
    bpe_trainer_destroy(p.trainer);
    if (rc < 0)
        return rc;
    printf("vocabulary: %u tokens from %" PRIu64 " bytes in %.1f s\n", v->count, p.bytes,
           seconds() - from);
    if (v->count < s->vocabulary_size)
        printf("vocabulary: fewer than the %" PRId64
               " asked for: no other pair occurs twice\n", s->vocabulary_size);
    return 0;
}

static int encode(const struct settings *s, const struct sources *src,
                  const struct vocab *v, struct err *err)
{
    double from = seconds();
    struct buf manifest;
    buf_init(&manifest);
    struct pass p = {.encoder = bpe_encoder_create(v), .manifest = &manifest};
    p.writer = tokenset_create(s->output, v, err);
    int rc = p.writer ? pass_run(&p, src, s, v->pattern, err) : -EIO;
    if (rc == 0)
        rc = tokenset_finish(p.writer, buf_str(&manifest), err);
    tokenset_writer_close(p.writer);
    bpe_encoder_destroy(p.encoder);
    buf_fini(&manifest);
    struct tokenset ts;
    if (rc == 0)
        rc = tokenset_open(&ts, s->output, err);
    if (rc < 0)
        return rc;
    double took = seconds() - from;
    printf("%s: %" PRIu64 " tokens, %" PRIu64 " documents, %.2f bytes a token, %.1f MB/s\n",
           s->output, ts.count, ts.documents,
           ts.count ? (double)p.bytes / (double)ts.count : 0, (double)p.bytes / took / 1e6);
    tokenset_close(&ts);
    return 0;
}

static int tokenize(const struct settings *s, struct sources *src, struct err *err)
{
    struct vocab v;
    int rc = stdin_keep(src, err);
    if (rc == 0)
        rc = *s->vocabulary ? vocab_reuse(s->vocabulary, &v, err)
                            : vocab_train(s, src, &v, err);
    if (rc < 0)
        return rc;
    rc = encode(s, src, &v, err);
    vocab_fini(&v);
    return rc;
}

int tokenize_main(int argc, char **argv)
{
    struct settings s;
    struct option_args args = {0};
    struct err err = {0};
    options_init(&TABLE, &s);
    int rc = options_parse(&TABLE, &s, argc, argv, &args, &err), code = EXIT_OK;
    if (rc == 1) {
        options_help(&TABLE, stdout);
    } else {
        if (rc == 0 && !*s.output)
            rc = err_set(&err, -EINVAL, "--output FILE is missing");
        if (rc == 0 && args.count == 0)
            rc = err_set(&err, -EINVAL, "no text file given");
        code = rc < 0 ? EXIT_USAGE : EXIT_ERROR;
        struct sources src = {.names = args.list, .count = args.count};
        h5_quiet();
        if (rc == 0)
            rc = tokenize(&s, &src, &err);
        if (src.stdin_file)
            fclose(src.stdin_file);
        code = rc < 0 ? command_fail("tokenize", &err, code) : EXIT_OK;
    }
    options_fini(&TABLE, &s);
    return code;
}
