/* SPDX-License-Identifier: Apache-2.0
 *
 * The table printed: canonical text, `scontrol show config`, annotated example.
 */
#include "conf/table.h"

#include <stdlib.h>
#include <string.h>

#define WRAP_COLUMN 78

/* "jobs" of "jobs.kill_wait"; length 0 at the top level. */
static size_t group_len(const char *path)
{
    const char *dot = strchr(path, '.');
    return dot ? (size_t)(dot - path) : 0;
}

static bool same_group(const char *a, const char *b)
{
    return group_len(a) == group_len(b) && strncmp(a, b, group_len(a)) == 0;
}

/* Ends the group of the row before (`last`, "" at first) and begins path's when
 * they differ; `gap` comes in front of the new group or row. */
static void switch_group(struct buf *out, const char *last, const char *path,
                         const char *gap)
{
    bool same = same_group(last, path);
    if (!same && group_len(last))
        buf_puts(out, "};\n");
    buf_puts(out, gap);
    if (!same && group_len(path))
        buf_printf(out, "%.*s = {\n", (int)group_len(path), path);
}

static const char *key_of(const char *path)
{
    size_t len = group_len(path);
    return len ? path + len + 1 : path;
}

static void save_list(const struct conf_table *t, const void *entries, size_t count,
                      struct buf *out)
{
    buf_printf(out, "%s = (", t->name);
    for (size_t i = 0; i < count; i++) {
        const void *entry = (const char *)entries + i * t->entry_size;
        buf_printf(out, "%s\n  {", i ? "," : "");
        for (size_t r = 0; r < t->count; r++) {
            buf_printf(out, " %s = ", t->rows[r].path);
            conf_value_print(&t->rows[r], entry, true, out);
            buf_putc(out, ';');
        }
        buf_puts(out, " }");
    }
    buf_puts(out, "\n);\n");
}

char *conf_save_text(const struct conf *conf)
{
    struct buf out;
    const char *last = "";
    buf_init(&out);
    for (size_t i = 0; i < conf_top.count; i++) {
        const struct conf_row *row = &conf_top.rows[i];
        switch_group(&out, last, row->path, "");
        last = row->path;
        buf_printf(&out, "%s%s = ", group_len(row->path) ? "  " : "", key_of(row->path));
        conf_value_print(row, conf, true, &out);
        buf_puts(&out, ";\n");
    }
    switch_group(&out, last, "", "");
    for (size_t i = 0; i < conf_lists_count; i++)
        save_list(conf_lists[i].table,
                  *(void *const *)((const char *)conf + conf_lists[i].entries),
                  *(const size_t *)((const char *)conf + conf_lists[i].count), &out);
    return buf_steal(&out);
}

void conf_each(const struct conf *conf,
               void (*fn)(const char *key, const char *value, void *arg), void *arg)
{
    struct buf value;
    buf_init(&value);
    for (size_t i = 0; i < conf_top.count; i++) {
        buf_clear(&value);
        conf_value_print(&conf_top.rows[i], conf, false, &value);
        fn(conf_top.rows[i].path, buf_str(&value), arg);
    }
    buf_fini(&value);
}

/* ---- example -------------------------------------------------------------------- */

/* Words of text as comment lines. */
static void print_comment(struct buf *out, const char *indent, const char *text)
{
    size_t column = 0;
    for (const char *p = text; *p;) {
        size_t n = strcspn(p, " ");
        if (column && column + 1 + n > WRAP_COLUMN) {
            buf_putc(out, '\n');
            column = 0;
        }
        if (column == 0) {
            buf_printf(out, "%s#", indent);
            column = strlen(indent) + 1;
        }
        buf_putc(out, ' ');
        buf_put(out, p, n);
        column += 1 + n;
        p += n + strspn(p + n, " ");
    }
    buf_putc(out, '\n');
}

/* What may be written, where the help does not say it. */
static void print_range(struct buf *out, const char *indent, const struct conf_row *row)
{
    char text[128];
    switch (row->type) {
    case CONF_U32:
        snprintf(text, sizeof text, "A number from %llu to %llu.",
                 (unsigned long long)row->min, (unsigned long long)row->max);
        break;
    case CONF_SECONDS:
        snprintf(text, sizeof text, "%llu to %llu seconds, or a time as \"1:30:00\".",
                 (unsigned long long)row->min, (unsigned long long)row->max);
        break;
    case CONF_LIMIT:
        snprintf(text, sizeof text, "A time as \"1:30:00\" or \"UNLIMITED\", or seconds.");
        break;
    case CONF_MEM:
        snprintf(text, sizeof text, "Megabytes, or a size as \"16G\".");
        break;
    case CONF_CHOICE:
    case CONF_LEVEL:
        snprintf(text, sizeof text, "One of: %s", row->choices[0] == '|' ? "empty, " : "");
        for (const char *p = row->choices + (row->choices[0] == '|'); *p; p++)
            snprintf(text + strlen(text), sizeof text - strlen(text), *p == '|' ? ", " : "%c",
                     *p);
        break;
    default:
        return;
    }
    print_comment(out, indent, text);
}

/* A default that depends on who reads it is shown, but not set. */
static bool differs_by_user(const struct conf_row *row)
{
    return row->value_user || row->offset == offsetof(struct conf, run_dir);
}

static void print_rows(struct buf *out, const struct conf_table *t, const void *values,
                       const char *indent)
{
    for (size_t i = 0; i < t->count; i++) {
        const struct conf_row *row = &t->rows[i];
        print_comment(out, indent, row->help);
        print_range(out, indent, row);
        buf_printf(out, "%s%s = ", indent, row->path);
        conf_value_print(row, values, true, out);
        buf_puts(out, ";\n");
    }
}

static void print_top(struct buf *out)
{
    struct conf values = {0};
    const char *last = "";
    conf_entry_init(&conf_top, &values);
    for (size_t i = 0; i < conf_top.count; i++) {
        const struct conf_row *row = &conf_top.rows[i];
        bool trial = differs_by_user(row);
        const char *indent = group_len(row->path) ? "  " : "";
        switch_group(out, last, row->path, "\n");
        last = row->path;
        print_comment(out, indent, row->help);
        if (trial && row->value_user)
            buf_printf(out, "%s# One-user trial: \"%s\".\n", indent, row->value_user);
        print_range(out, indent, row);
        buf_printf(out, "%s%s%s = ", indent, trial ? "#" : "", key_of(row->path));
        conf_value_print(row, &values, true, out);
        buf_puts(out, ";\n");
    }
    switch_group(out, last, "", "");
    conf_entry_fini(&conf_top, &values);
}

/* An entry of a list that is empty by default, as a comment. */
static void print_entry_example(struct buf *out, const struct conf_table *t, const void *entry)
{
    struct buf rows;
    buf_init(&rows);
    print_rows(&rows, t, entry, "    ");
    buf_puts(out, " An entry:\n#   {\n");
    for (const char *p = rows.data; *p;) { /* every line as a comment */
        size_t len = strcspn(p, "\n");
        buf_printf(out, "# %.*s\n", (int)len, p);
        p += len + 1;
    }
    buf_printf(out, "#   }\n%s = ( );\n", t->name);
    buf_fini(&rows);
}

static void print_node_example(struct buf *out)
{
    struct conf_node n;
    conf_entry_init(&conf_node_table, &n);
    free(n.names);
    n.names = xstrdup("n[1-4]");
    buf_puts(out, "\n# Nodes that must exist, or that need more said than they report. With\n"
                  "# node.dynamic the list may stay empty.");
    print_entry_example(out, &conf_node_table, &n);
    conf_entry_fini(&conf_node_table, &n);
}

static void print_switch_examples(struct buf *out)
{
    struct conf_switch s, b;
    conf_entry_init(&conf_switch_table, &s);
    conf_entry_init(&conf_block_table, &b);
    free(s.name);
    s.name = xstrdup("s1");
    free(s.nodes);
    s.nodes = xstrdup("n[1-4]");
    free(b.name);
    b.name = xstrdup("b1");
    free(b.nodes);
    b.nodes = xstrdup("n[1-18]");
    buf_puts(out, "\n# Switches between the nodes: jobs are placed on as few as possible.");
    print_entry_example(out, &conf_switch_table, &s);
    buf_puts(out, "\n# Or blocks of nodes (NVLink domains).");
    print_entry_example(out, &conf_block_table, &b);
    conf_entry_fini(&conf_switch_table, &s);
    conf_entry_fini(&conf_block_table, &b);
}

static void print_partition_example(struct buf *out)
{
    struct conf conf = {0};
    conf_partitions_default(&conf);
    buf_puts(out, "\n# Partitions (queues). Without this list: the one below.\n"
                  "partitions = (\n  {\n");
    print_rows(out, &conf_partition_table, conf.partitions, "    ");
    buf_puts(out, "  }\n);\n");
    conf_entry_fini(&conf_partition_table, conf.partitions);
    free(conf.partitions);
}

void conf_print_example(FILE *file)
{
    struct buf out;
    buf_init(&out);
    buf_puts(&out, "# slurmlike.conf: every key with its default. A key that is left out\n"
                   "# keeps it, so that a real file is short. Syntax: libconfig. In paths:\n"
                   "# %h host name, %u user that owns this file, %r run_dir, %n node name.\n");
    print_top(&out);
    print_node_example(&out);
    print_partition_example(&out);
    print_switch_examples(&out);
    fwrite(out.data, 1, out.len, file);
    buf_fini(&out);
}
