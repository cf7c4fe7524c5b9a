/* SPDX-License-Identifier: Apache-2.0
 *
 * Checkpoints of one rank: what is written is read, and damage is seen.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/buf.h"
#include "ckpt/ckpt.h"
#include "ckpt/crc32c.h"
#include "ckpt/store.h"
#include "data/h5.h"
#include "philox.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Open MPI's plug-ins are unloaded before leaks are looked for, so theirs cannot
 * be told from ours by name; HDF5 loses memory when a file is damaged. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

static struct comm comm;
static struct graph *graph;
static struct backend *backend;
static struct shards *shards;
static json_t *state_json;
static char folder[64];

static int open_all(void **state)
{
    struct shape shape = {.layers = 1, .heads = 2, .width = 10, .context = 6, .vocab = 37,
                          .norm_eps = 1e-5, .rope_theta = 100, .bias = true};
    struct err err;
    (void)state;
    MPI_Init(NULL, NULL);
    h5_quiet();
    assert_int_equal(comm_open(&comm, 0, &err), 0);
    assert_int_equal(shape_check(&shape, &err), 0);
    graph = decoder_create(&shape, 1);
    backend = backend_cpu.create(graph, 1, NULL, &err);
    shards = shards_create(graph, backend, &comm, 4, &err);
    assert_non_null(shards);
    state_json = json_pack("{s:i}", "step", 3);
    snprintf(folder, sizeof(folder), "/tmp/slurmlike-ckpt-XXXXXX");
    assert_non_null(mkdtemp(folder));
    return 0;
}

static void folder_clear(void)
{
    char *command = xasprintf("rm -rf %s/*", folder);
    assert_int_equal(system(command), 0);
    free(command);
}

static int close_all(void **state)
{
    (void)state;
    folder_clear();
    rmdir(folder);
    json_decref(state_json);
    shards_destroy(shards);
    backend_cpu.destroy(backend);
    graph_destroy(graph);
    comm_close(&comm);
    MPI_Finalize();
    return 0;
}

/* Known values everywhere; salt tells checkpoints apart. */
static void shards_fill(uint64_t salt)
{
    shards_init(shards, salt);
    for (size_t i = 0; i < shards->end; i++) {
        shards->m[i] = (real)philox_unit(philox(salt, 1, i).v[0]);
        shards->v[i] = (real)philox_unit(philox(salt, 2, i).v[0]);
    }
}

/* The parameters themselves; what lies between them is not saved. */
static bool shards_equal(uint64_t salt)
{
    size_t bytes = shards->end * sizeof(real);
    real *was[3] = {xmalloc(bytes), xmalloc(bytes), xmalloc(bytes)};
    const real *now[3] = {shards->params, shards->m, shards->v};
    bool equal = true;
    for (int a = 0; a < 3; a++)
        memcpy(was[a], now[a], bytes);
    shards_fill(salt);
    for (int a = 0; a < 3; a++)
        for (int i = 0; i < graph->params_count; i++) {
            const struct param *p = &graph->params[i];
            equal = equal && memcmp(was[a] + p->offset, now[a] + p->offset,
                                    param_count(p) * sizeof(real)) == 0;
        }
    for (int a = 0; a < 3; a++)
        free(was[a]);
    return equal;
}

static char *save(int64_t step, int keep)
{
    struct err err = {0};
    if (ckpt_save(folder, step, shards, state_json, keep, &err) < 0)
        fail_msg("%s", err.text);
    return store_path(folder, step);
}

static void what_is_saved_is_loaded(void **state)
{
    struct err err;
    json_t *back = NULL;
    (void)state;
    shards_fill(5);
    char *path = save(3, 2);
    shards_fill(6);
    assert_int_equal(ckpt_state(&comm, path, &back, &err), 0);
    assert_true(json_equal(back, state_json));
    json_decref(back);
    assert_int_equal(ckpt_load(path, shards, &err), 0);
    assert_true(shards_equal(5));
    free(path);
    folder_clear();
}

static int load_all(const char *path, struct err *err)
{
    json_t *back = NULL;
    int rc = ckpt_state(&comm, path, &back, err);
    if (rc == 0 && !json_equal(back, state_json))
        rc = -EILSEQ; /* read as good, but not what was written */
    json_decref(back);
    return rc == 0 ? ckpt_load(path, shards, err) : rc;
}

/* Any flipped bit either is told or lies where nothing is kept. */
static void no_flipped_bit_is_loaded(void **state)
{
    struct err err;
    struct stat st;
    int told = 0, harmless = 0;
    (void)state;
    shards_fill(5);
    char *path = save(3, 2);
    assert_int_equal(stat(path, &st), 0);
    for (int i = 0; i < 300; i++) {
        struct philox4 r = philox(99, 0, (uint64_t)i);
        off_t at = (off_t)(r.v[0] % (uint32_t)st.st_size);
        unsigned char byte, bit = (unsigned char)(1u << r.v[1] % 8);
        int fd = open(path, O_RDWR | O_CLOEXEC);
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        byte ^= bit;
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
        shards_fill(6);
        int rc = load_all(path, &err);
        assert_int_not_equal(rc, -EILSEQ);
        if (rc == 0 && !shards_equal(5))
            fail_msg("bit %u of byte %ld was loaded", bit, (long)at);
        told += rc < 0;
        harmless += rc == 0;
        byte ^= bit;
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
        close(fd);
    }
    assert_true(told > 100);
    (void)harmless;
    assert_int_equal(load_all(path, &err), 0);
    free(path);
    folder_clear();
}

static void a_short_file_is_told(void **state)
{
    struct err err;
    struct stat st;
    (void)state;
    char *path = save(3, 2);
    assert_int_equal(stat(path, &st), 0);
    for (off_t size = st.st_size - 1; size > 0; size /= 2) {
        assert_int_equal(truncate(path, size), 0);
        assert_true(load_all(path, &err) < 0);
        assert_non_null(strstr(err.text, path));
    }
    free(path);
    folder_clear();
}

static void write_file(const char *name, const char *text)
{
    char *path = xasprintf("%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    free(path);
}

static void assert_list(const char *const *names)
{
    struct err err;
    char *list;
    assert_int_equal(ckpt_list(&comm, folder, &list, &err), 0);
    const char *p = list;
    for (; *names; names++, p += strlen(p) + 1)
        assert_string_equal(*p ? strrchr(p, '/') + 1 : "(none)", *names);
    assert_string_equal(p, "");
    free(list);
}

static void the_newest_stay_and_latest_comes_first(void **state)
{
    (void)state;
    for (int64_t step = 8; step <= 12; step++)
        free(save(step, 3));
    assert_list((const char *const[]){"step_0000000012.h5", "step_0000000011.h5",
                                      "step_0000000010.h5", NULL});
    write_file("LATEST", "step_0000000011.h5\n");
    assert_list((const char *const[]){"step_0000000011.h5", "step_0000000012.h5",
                                      "step_0000000010.h5", NULL});
    write_file("LATEST", "/etc/passwd\n");
    assert_list((const char *const[]){"step_0000000012.h5", "step_0000000011.h5",
                                      "step_0000000010.h5", NULL});
    folder_clear();
    assert_list((const char *const[]){NULL});
}

static void what_a_killed_writer_left_does_no_harm(void **state)
{
    char *left = xasprintf("%s/step_0000000013.h5.tmp", folder);
    (void)state;
    free(save(12, 3));
    write_file("step_0000000013.h5.tmp", "half a file");
    write_file("step_1x.h5", "a stranger's");
    assert_list((const char *const[]){"step_0000000012.h5", NULL});
    free(save(14, 3));
    assert_true(access(left, F_OK) < 0);
    assert_list((const char *const[]){"step_0000000014.h5", "step_0000000012.h5", NULL});
    free(left);
    folder_clear();
}

static void a_folder_that_cannot_be_is_told(void **state)
{
    struct err err;
    (void)state;
    assert_true(ckpt_save("/nowhere/at/all", 1, shards, state_json, 1, &err) < 0);
    assert_non_null(strstr(err.text, "/nowhere/at/all"));
    assert_true(ckpt_save("/proc/x", 1, shards, state_json, 1, &err) < 0);
}

static void crc32c_has_its_published_values(void **state)
{
    unsigned char zeros[32] = {0}, ones[32];
    char text[4000];
    (void)state;
    memset(ones, 0xff, sizeof(ones));
    assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
    assert_int_equal(crc32c(0, zeros, 32), 0x8a9136aa); /* RFC 3720, B.4 */
    assert_int_equal(crc32c(0, ones, 32), 0x62a8ab43);
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (char)philox(1, 1, i).v[0];
    uint32_t whole = crc32c(0, text, sizeof(text));
    for (size_t cut = 0; cut <= sizeof(text); cut += 97) {
        uint32_t a = crc32c(0, text, cut), b = crc32c(0, text + cut, sizeof(text) - cut);
        assert_int_equal(crc32c(a, text + cut, sizeof(text) - cut), whole);
        assert_int_equal(crc32c_combine(a, b, sizeof(text) - cut), whole);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc32c_has_its_published_values),
        cmocka_unit_test(a_folder_that_cannot_be_is_told),
        cmocka_unit_test(what_is_saved_is_loaded),
        cmocka_unit_test(no_flipped_bit_is_loaded),
        cmocka_unit_test(a_short_file_is_told),
        cmocka_unit_test(the_newest_stay_and_latest_comes_first),
        cmocka_unit_test(what_a_killed_writer_left_does_no_harm),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
