/* SPDX-License-Identifier: Apache-2.0
 *
 * worker inspect: says what a token set or a checkpoint holds, and whether it is
 * undamaged. Without MPI, one file after the other.
 */
#include "base/buf.h"
#include "ckpt/ckpt.h"
#include "command.h"
#include "data/h5.h"
#include "data/tokenset.h"
#include "options.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct settings {
    bool text;
};
static const struct option_row ROWS[] = {
    {"text", OPTION_BOOL, offsetof(struct settings, text), 0, 0, "false", NULL,
     "Print the text of a token set instead."},
};
static const struct option_table TABLE = {
    .command = "inspect",
    .arguments = "FILE...",
    .about = "Describes token sets and checkpoints and checks them against their digests and\n"
             "checksums. Exit code 1 when one is damaged.",
    .after = "",
    .rows = ROWS,
    .count = sizeof(ROWS) / sizeof(ROWS[0]),
};

#define TEXT_TOKENS ((size_t)65536) /* decoded at a time */

static int print_text(struct tokenset *ts, const struct vocab *v, struct err *err)
{
    uint32_t *tokens = xmalloc(TEXT_TOKENS * sizeof(*tokens));
    int rc = 0;
    for (uint64_t at = 0; at < ts->count && rc == 0; at += TEXT_TOKENS) {
        size_t n = ts->count - at < TEXT_TOKENS ? (size_t)(ts->count - at) : TEXT_TOKENS;
        rc = tokenset_read(ts, at, n, tokens, err);
        for (size_t i = 0; i < n && rc == 0; i++) {
            size_t from = v->offsets[tokens[i]];
            fwrite(v->bytes + from, 1, v->offsets[tokens[i] + 1] - from, stdout);
        }
    }
    free(tokens);
    return rc;
}

static int inspect_tokens(const char *path, bool text, struct err *err)
{
    struct tokenset ts;
    struct vocab v;
    char *manifest = NULL;
    int rc = tokenset_open(&ts, path, err);
    if (rc < 0)
        return rc;
    rc = tokenset_verify(&ts, err);
    if (rc == 0)
        rc = tokenset_vocab(&ts, &v, err);
    if (rc == 0 && text)
        rc = print_text(&ts, &v, err);
    if (rc == 0)
        vocab_fini(&v);
    if (rc == 0 && !text)
        rc = h5_get_text(ts.file, "manifest", &manifest, err);
    if (rc == 0 && !text)
        printf("%s: token set, %" PRIu64 " tokens, %" PRIu64
               " documents, vocabulary %u, digest %s\n%s",
               path, ts.count, ts.documents, ts.vocab, ts.digest, manifest);
    free(manifest);
    tokenset_close(&ts);
    return rc;
}

static int print_tensor(const char *name, const size_t dims[2], uint32_t crc, void *arg)
{
    (void)arg;
    printf("  %-40s %8zu x %-8zu crc32c %08" PRIx32 "\n", name, dims[0], dims[1], crc);
    return 0;
}

static int inspect_checkpoint(const char *path, struct err *err)
{
    json_t *state = NULL;
    int rc = ckpt_read_state(path, &state, err);
    if (rc < 0)
        return rc;
    printf("%s: checkpoint\n", path);
    json_dumpf(state, stdout, JSON_INDENT(2) | JSON_SORT_KEYS | JSON_REAL_PRECISION(17));
    putchar('\n');
    json_decref(state);
    return ckpt_each_tensor(path, print_tensor, NULL, err);
}

static int inspect(const char *path, bool text, struct err *err)
{
    char *format = NULL;
    if (access(path, R_OK) < 0)
        return err_errno(err, "cannot read %s", path);
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    int rc = file < 0 ? h5_failed(err, path) : h5_get_text(file, "format", &format, err);
    if (file >= 0)
        H5Fclose(file);
    if (rc < 0)
        return err_set(err, -EINVAL, "%s is neither a token set nor a checkpoint, or it is "
                                     "damaged", path);
    bool tokens = strstr(format, "tokens") != NULL;
    free(format);
    if (!tokens && text)
        return err_set(err, -EINVAL, "%s is a checkpoint and has no text", path);
    return tokens ? inspect_tokens(path, text, err) : inspect_checkpoint(path, err);
}

int inspect_main(int argc, char **argv)
{
    struct settings s;
    struct option_args args = {0};
    struct err err = {0};
    options_init(&TABLE, &s);
    int rc = options_parse(&TABLE, &s, argc, argv, &args, &err), code = EXIT_OK;
    if (rc == 1) {
        options_help(&TABLE, stdout);
        return EXIT_OK;
    }
    if (rc == 0 && args.count == 0)
        rc = err_set(&err, -EINVAL, "no file given");
    if (rc < 0)
        return command_fail("inspect", &err, EXIT_USAGE);
    h5_quiet();
    for (int i = 0; i < args.count; i++)
        if (inspect(args.list[i], s.text, &err) < 0)
            code = command_fail("inspect", &err, EXIT_ERROR);
    options_fini(&TABLE, &s);
    return code;
}
