/* SPDX-License-Identifier: Apache-2.0
 *
 * Walks a parsed libconfig tree: each setting is looked up in the table by its
 * path, so that nothing is silently ignored.
 */
#include "conf/table.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/editdist.h"
#include "base/limits.h"

#define KEY_LEN_MAX 128 /* "group.key"; longer is no known key anyway */

/* "file:line: key" in front of the error's text; table: "" or the list's name. */
static int fail_at(const config_setting_t *s, const char *name, const char *table,
                   const char *key, struct err *err, int rc)
{
    const char *file = config_setting_source_file(s);
    if (err)
        err_prefix(err, "%s:%u: %s%s%s", file ? file : name, config_setting_source_line(s),
                   table, table[0] && key[0] ? "." : "", key);
    return rc;
}

static const char *last_part(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot ? dot + 1 : path;
}

/* The known key most like this one, or NULL when none is near. A key that stands
 * in the wrong group is nearest to its namesake. */
static const char *nearest_key(const struct conf_table *t, const char *key)
{
    const char *best = NULL;
    size_t best_distance = strlen(key) / 3 + 2;
    for (size_t i = 0; i < t->count; i++) {
        const char *path = t->rows[i].path;
        size_t d = edit_distance(path, strlen(path), key, strlen(key));
        if (d > 1 && strcmp(last_part(path), last_part(key)) == 0)
            d = 1;
        if (d < best_distance) {
            best = path;
            best_distance = d;
        }
    }
    return best;
}

static int unknown_key(const struct conf_table *t, const char *key, struct err *err)
{
    const char *near = nearest_key(t, key);
    if (near)
        return err_set(err, -EINVAL, "unknown key; did you mean %s?", near);
    return err_set(err, -EINVAL, "unknown key");
}

static const struct conf_row *row_find(const struct conf_table *t, const char *path)
{
    for (size_t i = 0; i < t->count; i++)
        if (strcmp(t->rows[i].path, path) == 0)
            return &t->rows[i];
    return NULL;
}

static bool is_group(const struct conf_table *t, const char *name)
{
    size_t n = strlen(name);
    for (size_t i = 0; i < t->count; i++)
        if (strncmp(t->rows[i].path, name, n) == 0 && t->rows[i].path[n] == '.')
            return true;
    return false;
}

static int read_setting(const struct conf_table *t, const config_setting_t *s,
                        const char *key, const char *name, void *base, struct err *err)
{
    const struct conf_row *row = row_find(t, key);
    int rc = row ? conf_value_set(row, base, s, err) : unknown_key(t, key, err);
    return rc < 0 ? fail_at(s, name, t->name, key, err, rc) : 0;
}

static int read_group(const config_setting_t *group, const char *name, struct conf *conf,
                      struct err *err)
{
    const char *group_name = config_setting_name(group);
    if (config_setting_type(group) != CONFIG_TYPE_GROUP)
        return fail_at(group, name, "", group_name, err,
                       err_set(err, -EINVAL, "is a group: write %s = { KEY = VALUE; };",
                               group_name));
    for (int i = 0; i < config_setting_length(group); i++) {
        const config_setting_t *s = config_setting_get_elem(group, (unsigned)i);
        char key[KEY_LEN_MAX];
        snprintf(key, sizeof key, "%s.%s", group_name, config_setting_name(s));
        int rc = read_setting(&conf_top, s, key, name, conf, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int read_entry(const struct conf_table *t, const config_setting_t *s, const char *name,
                      void *entry, struct err *err)
{
    if (config_setting_type(s) != CONFIG_TYPE_GROUP)
        return fail_at(s, name, t->name, "", err,
                       err_set(err, -EINVAL, "each entry is a group: { KEY = VALUE; }"));
    for (int i = 0; i < config_setting_length(s); i++) {
        const config_setting_t *child = config_setting_get_elem(s, (unsigned)i);
        int rc = read_setting(t, child, config_setting_name(child), name, entry, err);
        if (rc < 0)
            return rc;
    }
    for (size_t i = 0; i < t->count; i++) {
        const struct conf_row *row = &t->rows[i];
        if (!row->value && !config_setting_get_member(s, row->path))
            return fail_at(s, name, t->name, "", err,
                           err_set(err, -EINVAL, "an entry without `%s`", row->path));
    }
    return 0;
}

/* Reads a list of groups. *entries and *count are grown entry by entry, so that
 * the owner frees what is there after a failure too. */
static int read_list(const struct conf_table *t, const config_setting_t *list,
                     const char *name, size_t max, void **entries, size_t *count,
                     struct err *err)
{
    if (config_setting_type(list) != CONFIG_TYPE_LIST)
        return fail_at(list, name, t->name, "", err,
                       err_set(err, -EINVAL, "is a list: write %s = ( { KEY = VALUE; } );",
                               t->name));
    size_t n = (size_t)config_setting_length(list);
    if (n > max)
        return fail_at(list, name, t->name, "", err,
                       err_set(err, -E2BIG, "has %zu entries; %zu are allowed", n, max));
    *entries = xcalloc(n, t->entry_size);
    for (size_t i = 0; i < n; i++) {
        void *entry = (char *)*entries + i * t->entry_size;
        conf_entry_init(t, entry);
        *count = i + 1;
        int rc = read_entry(t, config_setting_get_elem(list, (unsigned)i), name, entry, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static const struct conf_list *list_find(const char *key)
{
    for (size_t i = 0; i < conf_lists_count; i++)
        if (strcmp(key, conf_lists[i].table->name) == 0)
            return &conf_lists[i];
    return NULL;
}

int conf_read_root(const config_setting_t *root, const char *name, struct conf *conf,
                   struct err *err)
{
    for (int i = 0; i < config_setting_length(root); i++) {
        const config_setting_t *s = config_setting_get_elem(root, (unsigned)i);
        const char *key = config_setting_name(s);
        const struct conf_list *list = list_find(key);
        int rc;
        if (list) {
            rc = read_list(list->table, s, name, list->max,
                           (void **)((char *)conf + list->entries),
                           (size_t *)((char *)conf + list->count), err);
        } else if (is_group(&conf_top, key)) {
            rc = read_group(s, name, conf, err);
        } else {
            rc = read_setting(&conf_top, s, key, name, conf, err);
        }
        if (rc < 0)
            return rc;
    }
    return 0;
}
