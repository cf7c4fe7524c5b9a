/* SPDX-License-Identifier: Apache-2.0
 *
 * Life of a struct conf: defaults, the search for a file, the % sequences.
 */
#include "conf/conf.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/conftext.h"
#include "conf/table.h"

#define CONF_ENV "SLURMLIKE_CONF"

struct site { /* what the % sequences and the defaults of a trial depend on */
    uid_t uid;
    char host[256];
    char user[64];
};

static void site_init(struct site *site, uid_t uid)
{
    *site = (struct site){.uid = uid};
    if (gethostname(site->host, sizeof site->host - 1) < 0 || !site->host[0])
        strcpy(site->host, "localhost");
    struct passwd pw, *found = NULL;
    char mem[4096];
    if (getpwuid_r(uid, &pw, mem, sizeof mem, &found) == 0 && found &&
        strlen(pw.pw_name) < sizeof site->user)
        strcpy(site->user, pw.pw_name);
    else
        snprintf(site->user, sizeof site->user, "%u", (unsigned)uid);
}

void conf_entry_init(const struct conf_table *t, void *entry)
{
    memset(entry, 0, t->entry_size);
    for (size_t i = 0; i < t->count; i++)
        conf_value_default(&t->rows[i], entry, false);
}

void conf_entry_fini(const struct conf_table *t, void *entry)
{
    for (size_t i = 0; i < t->count; i++)
        conf_value_free(&t->rows[i], entry);
}

void conf_partitions_default(struct conf *conf)
{
    conf->partitions = xcalloc(1, sizeof conf->partitions[0]);
    conf->partitions_count = 1;
    conf_entry_init(&conf_partition_table, conf->partitions);
    free(conf->partitions[0].name);
    conf->partitions[0].name = xstrdup("main");
    conf->partitions[0].is_default = true;
}

/* Everything as in the table, % sequences not yet filled in, no partitions. */
static struct conf *conf_new(const struct site *site)
{
    struct conf *conf = xcalloc(1, sizeof *conf);
    bool is_user = site->uid != 0;
    for (size_t i = 0; i < conf_top.count; i++)
        conf_value_default(&conf_top.rows[i], conf, is_user);
    if (is_user) {
        const char *dir = site->uid == geteuid() ? getenv("XDG_RUNTIME_DIR") : NULL;
        free(conf->run_dir);
        conf->run_dir = dir && dir[0] == '/'
                            ? xasprintf("%s/slurmlike", dir)
                            : xasprintf("/tmp/slurmlike-%u", (unsigned)site->uid);
    }
    conf->path = xstrdup("");
    return conf;
}

void conf_destroy(struct conf *conf)
{
    if (!conf)
        return;
    for (size_t l = 0; l < conf_lists_count; l++) {
        const struct conf_list *list = &conf_lists[l];
        char *entries = *(char **)((char *)conf + list->entries);
        for (size_t i = 0; i < *(size_t *)((char *)conf + list->count); i++)
            conf_entry_fini(list->table, entries + i * list->table->entry_size);
        free(entries);
    }
    conf_entry_fini(&conf_top, conf);
    free(conf->path);
    free(conf);
}

/* ---- % sequences -------------------------------------------------------------- */

static int expand(const struct site *site, const char *run_dir, const char *text,
                  struct buf *out, struct err *err)
{
    for (const char *p = text; *p; p++) {
        if (*p != '%') {
            buf_putc(out, *p);
            continue;
        }
        switch (*++p) {
        case 'h':
            buf_puts(out, site->host);
            break;
        case 'u':
            buf_puts(out, site->user);
            break;
        case 'n': /* the node daemon's */
            buf_puts(out, "%n");
            break;
        case 'r':
            if (run_dir) {
                buf_puts(out, run_dir);
                break;
            }
            return err_set(err, -EINVAL, "\"%.64s\": %%r cannot be used here", text);
        default:
            return err_set(err, -EINVAL, "\"%.64s\": unknown sequence %%%.1s (known: %%h "
                           "host, %%u user, %%r run directory, %%n node)", text, p);
        }
    }
    return 0;
}

static int expand_field(const struct site *site, struct conf *conf,
                        const struct conf_row *row, const char *run_dir, struct err *err)
{
    char **s = (char **)((char *)conf + row->offset);
    struct buf out;
    buf_init(&out);
    int rc = expand(site, run_dir, *s, &out, err);
    if (rc == 0 && out.len > row->max)
        rc = err_set(err, -ENAMETOOLONG, "is too long");
    if (rc < 0) {
        buf_fini(&out);
        return err ? err_prefix(err, "%s: %s", conf->path, row->path) : rc;
    }
    free(*s);
    *s = buf_steal(&out);
    return 0;
}

static int conf_expand(const struct site *site, struct conf *conf, struct err *err)
{
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < conf_top.count; i++) {
            const struct conf_row *row = &conf_top.rows[i];
            bool is_run_dir = row->offset == offsetof(struct conf, run_dir);
            if ((row->type != CONF_PATH && row->type != CONF_FILE) || is_run_dir != !pass)
                continue;
            int rc = expand_field(site, conf, row, pass ? conf->run_dir : NULL, err);
            if (rc < 0)
                return rc;
        }
    }
    return 0;
}

/* ---- loading ------------------------------------------------------------------ */

/* From a parsed libconfig tree (or NULL: defaults alone) to a finished conf. */
static struct conf *conf_build(const config_t *cfg, const char *name, uid_t owner,
                               struct err *err)
{
    struct site site;
    site_init(&site, owner);
    struct conf *conf = conf_new(&site);
    free(conf->path);
    conf->path = xstrdup(name);
    int rc = cfg ? conf_read_root(config_root_setting(cfg), name, conf, err) : 0;
    if (rc == 0 && conf->partitions_count == 0)
        conf_partitions_default(conf);
    if (rc == 0)
        rc = conf_expand(&site, conf, err);
    if (rc == 0)
        rc = conf_check(conf, err);
    if (rc < 0) {
        conf_destroy(conf);
        return NULL;
    }
    return conf;
}

struct conf *conf_defaults(void)
{
    struct err err;
    struct conf *conf = conf_build(NULL, "", geteuid(), &err);
    ASSERT(conf != NULL);
    return conf;
}

/* One text, whoever wrote it: `owner` decides the defaults of a trial. */
static struct conf *load_text(const char *text, const char *name, uid_t owner,
                              struct err *err)
{
    if (conftext_check(text, name, err) < 0)
        return NULL;
    struct conf *conf = NULL;
    config_t cfg;
    config_init(&cfg);
    if (config_read_string(&cfg, text) != CONFIG_TRUE)
        err_set(err, -EINVAL, "%s:%d: %s", name, config_error_line(&cfg),
                config_error_text(&cfg));
    else
        conf = conf_build(&cfg, name, owner, err);
    config_destroy(&cfg);
    return conf;
}

struct conf *conf_load_text(const char *text, const char *name, struct err *err)
{
    if (strnlen(text, CONF_TEXT_BYTES_MAX + 1) > CONF_TEXT_BYTES_MAX) {
        err_set(err, -EFBIG, "%s: larger than %u bytes", name, CONF_TEXT_BYTES_MAX);
        return NULL;
    }
    return load_text(text, name, geteuid(), err);
}

static int open_regular(const char *path, struct stat *st, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return err_errno(err, "configuration file %s", path);
    int rc = 0;
    if (fstat(fd, st) < 0)
        rc = err_errno(err, "configuration file %s", path);
    else if (!S_ISREG(st->st_mode))
        rc = err_set(err, -EINVAL, "configuration file %s: not a regular file", path);
    else if (st->st_size > CONF_TEXT_BYTES_MAX)
        rc = err_set(err, -EFBIG, "configuration file %s: larger than %u bytes", path,
                     CONF_TEXT_BYTES_MAX);
    if (rc < 0)
        close(fd);
    return rc < 0 ? rc : fd;
}

static int read_whole(int fd, const char *path, struct buf *text, struct err *err)
{
    for (;;) {
        buf_reserve(text, 16384);
        ssize_t n = read(fd, text->data + text->len, 16384);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(err, "configuration file %s", path);
        if (n == 0)
            break;
        text->len += (size_t)n;
        text->data[text->len] = '\0';
        if (text->len > CONF_TEXT_BYTES_MAX) /* it grew since fstat() */
            return err_set(err, -EFBIG, "configuration file %s: larger than %u bytes",
                           path, CONF_TEXT_BYTES_MAX);
    }
    if (memchr(buf_str(text), '\0', text->len))
        return err_set(err, -EINVAL, "configuration file %s: has a NUL byte", path);
    return 0;
}

static struct conf *load_file(const char *path, struct err *err)
{
    struct stat st;
    struct conf *conf = NULL;
    int fd = open_regular(path, &st, err);
    if (fd < 0)
        return NULL;
    struct buf text;
    buf_init(&text);
    if (read_whole(fd, path, &text, err) == 0)
        conf = load_text(buf_str(&text), path, st.st_uid, err);
    buf_fini(&text);
    close(fd);
    return conf;
}

struct conf *conf_load(const char *path, struct err *err)
{
    const char *env = getenv(CONF_ENV);
    if (path && *path)
        return load_file(path, err);
    if (env && *env)
        return load_file(env, err);
    /* Only its absence leads to the defaults; a file that cannot be read is an error. */
    if (access(SL_SYSCONFDIR "/slurmlike.conf", F_OK) == 0 || errno != ENOENT)
        return load_file(SL_SYSCONFDIR "/slurmlike.conf", err);
    return conf_defaults();
}
