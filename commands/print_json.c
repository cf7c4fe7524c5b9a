/* SPDX-License-Identifier: Apache-2.0 */
#include "print.h"

#include "base/err.h"
#include "command.h"
#include "config.h"
#include "job/explain.h"
#include "print_yaml.h"
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

void print_json_begin(struct print_json *j, const char *command, const char *name, FILE *out)
{
    *j = (struct print_json){.out = out, .command = command, .name = name};
}

static json_t *meta_value(const char *command)
{
    return json_pack("{s:{s:s,s:s},s:s}", "plugin", "type", "command", "name", command, "version",
                     PACKAGE_NAME " " PACKAGE_VERSION);
}

/* What every answer has beside its own: "meta", "errors", "warnings". */
static json_t *root_value(const char *command, json_t *errors)
{
    return json_pack("{s:o,s:o,s:[]}", "meta", meta_value(command), "errors", errors, "warnings");
}

static void yaml_head(struct print_json *j, json_t *root)
{
    const char *key;
    json_t *member;
    j->yaml = print_yaml_open(j->out);
    json_object_foreach(root, key, member)
    {
        print_yaml_key(j->yaml, key);
        print_yaml_put(j->yaml, member);
    }
    print_yaml_key(j->yaml, j->name);
    print_yaml_list(j->yaml);
}

static void json_head(struct print_json *j, json_t *root)
{
    char *text = json_dumps(root, 0);
    if (text != NULL) /* "{...}" without its end */
        fprintf(j->out, "%.*s, \"%s\": [", (int)strlen(text) - 1, text, j->name);
    free(text);
}

static void head(struct print_json *j)
{
    if (j->begun)
        return;
    j->begun = true;
    json_t *root = root_value(j->command, json_array());
    (command_shared.yaml ? yaml_head : json_head)(j, root);
    json_decref(root);
}

static json_t *list_value(const char *cell)
{
    json_t *a = json_array();
    for (const char *p = cell; *p != '\0';) {
        size_t n = strcspn(p, ",");
        json_array_append_new(a, json_stringn_nocheck(p, n));
        p += n + (p[n] == ',');
    }
    return a;
}

/* Names and paths may hold any bytes; what is not UTF-8 is shown as '?'. */
static json_t *text_value(const char *cell)
{
    json_t *v = json_string(cell);
    if (v != NULL)
        return v;
    char *copy = strdup(cell);
    for (char *p = copy; p != NULL && *p != '\0'; p++)
        if ((unsigned char)*p >= 0x80)
            *p = '?';
    v = json_string(copy);
    free(copy);
    return v;
}

static json_t *number_value(const char *cell)
{
    char *end;
    long long n = strtoll(cell, &end, 10);
    if (end == cell || *end != '\0')
        return *cell == '\0' || strcmp(cell, "inf") == 0 ? json_null() : text_value(cell);
    return json_integer(n);
}

static json_t *exit_value(const char *cell)
{
    char *end;
    long code = strtol(cell, &end, 10);
    long sig = *end == ':' ? strtol(end + 1, NULL, 10) : 0;
    return json_pack("{s:i,s:i}", "return_code", (int)code, "signal", (int)sig);
}

/* Slurm's JSON has time limits in minutes and all other spans in seconds. */
static json_t *limit_value(const char *cell)
{
    char *end;
    long long n = strtoll(cell, &end, 10);
    return end != cell && *end == '\0' ? json_integer((n + 59) / 60) : json_null();
}

/* Times and spans in seconds, as elsewhere. */
static json_t *explain_value_json(char kind, const struct explain_value *v)
{
    switch (kind) {
    case 's':
        return text_value(v->s != NULL ? v->s : "");
    case 't':
    case 'd':
        return json_integer(v->n / USEC_PER_SEC);
    case 'p':
        return json_real((double)v->n / 1000);
    case 'c':
        return text_value(explain_after_name(v->n));
    default:
        return json_integer(v->n);
    }
}

static json_t *explain_json(const char *lines)
{
    json_t *list = json_array();
    struct arena a;
    struct buf words;
    struct explain_item it;
    arena_init(&a);
    buf_init(&words);
    while (explain_read(&lines, &a, &it)) {
        json_t *values = json_object();
        struct explain_key key;
        for (unsigned i = 0; explain_key(it.code, i, &key); i++)
            json_object_set_new(values, key.name, explain_value_json(key.kind, &it.value[i]));
        buf_clear(&words);
        explain_words(&it, &words);
        json_array_append_new(list, json_pack("{s:s,s:s,s:o,s:o}", "section",
                                              explain_section_name(explain_section(it.code)), "code",
                                              explain_name(it.code), "text",
                                              text_value(buf_str(&words)), "values", values));
    }
    buf_fini(&words);
    arena_fini(&a);
    return list;
}

static json_t *value(const struct field *f, const char *cell)
{
    switch ((unsigned)f->id) {
    case FIELD_JOB_TIME_LIMIT:
    case FIELD_JOB_TIME_MIN:
    case FIELD_PART_TIME_MAX:
    case FIELD_PART_TIME_DEFAULT:
    case FIELD_ACCT_TIMELIMIT:
        return limit_value(cell);
    case FIELD_JOB_ARRAY_TASK_ID:
    case FIELD_ACCT_ARRAY_TASK_ID:
        return number_value(cell); /* or a list of them, or null outside an array */
    default:
        break;
    }
    switch (f->kind) {
    case FIELD_NUM:
    case FIELD_TIME:
    case FIELD_SPAN:
    case FIELD_MIB:
    case FIELD_MEM:
        return number_value(cell);
    case FIELD_BOOL:
        return json_boolean(cell[0] == '1');
    case FIELD_EXIT:
        return exit_value(cell);
    case FIELD_LIST:
        return list_value(cell);
    case FIELD_EXPLAIN:
        return explain_json(cell);
    default:
        return text_value(cell);
    }
}

/* "time.start": the member "start" of the object "time", made when it is missing. */
static void member_set(json_t *row, const char *key, json_t *v)
{
    const char *dot = strchr(key, '.');
    char outer[32];

    if (dot == NULL || (size_t)(dot - key) >= sizeof(outer)) {
        json_object_set_new(row, key, v);
        return;
    }
    memcpy(outer, key, (size_t)(dot - key));
    outer[dot - key] = '\0';
    json_t *o = json_object_get(row, outer);
    if (o == NULL)
        json_object_set_new(row, outer, o = json_object());
    json_object_set_new(o, dot + 1, v);
}

json_t *print_json_object(const struct field *const *fields, size_t count, char *const *cells)
{
    json_t *row = json_object();
    for (size_t i = 0; i < count; i++)
        member_set(row, fields[i]->json, value(fields[i], cells[i]));
    return row;
}

void print_json_put(struct print_json *j, json_t *row)
{
    head(j);
    if (j->yaml != NULL) {
        print_yaml_put(j->yaml, row);
    } else {
        fputs(j->rows == 0 ? "\n  " : ",\n  ", j->out);
        json_dumpf(row, j->out, JSON_COMPACT);
    }
    j->rows++;
    json_decref(row);
}

void print_json_row(struct print_json *j, const struct field *const *fields, size_t count,
                    char *const *cells)
{
    print_json_put(j, print_json_object(fields, count, cells));
}

void print_json_end(struct print_json *j)
{
    head(j);
    if (j->yaml != NULL) {
        print_yaml_list_end(j->yaml);
        print_yaml_close(j->yaml);
        j->yaml = NULL;
    } else
        fprintf(j->out, "%s]}\n", j->rows == 0 ? "" : "\n");
}

/* Prints the members of an object, which it takes over. */
static void root_print(json_t *root, FILE *out)
{
    const char *key;
    json_t *member;
    if (command_shared.yaml) {
        struct print_yaml *y = print_yaml_open(out);
        json_object_foreach(root, key, member)
        {
            print_yaml_key(y, key);
            print_yaml_put(y, member);
        }
        print_yaml_close(y);
    } else {
        json_dumpf(root, out, JSON_INDENT(2));
        fputc('\n', out);
    }
    json_decref(root);
}

size_t print_json_ack(const char *command, const Sl__Ack *ack, FILE *out)
{
    json_t *errors = json_array();
    for (size_t i = 0; i < ack->n_errors; i++) {
        const Sl__JobError *e = ack->errors[i];
        json_array_append_new(errors,
                              json_pack("{s:o,s:i,s:o}", "object", text_value(e->what),
                                        "error_number", (int)e->code, "error",
                                        text_value(e->text[0] != '\0' ? e->text : err_name(e->code))));
    }
    if (ack->n_errors == 0 && ack->code != 0)
        json_array_append_new(errors, json_pack("{s:i,s:o}", "error_number", (int)ack->code, "error",
                                                text_value(ack->text)));
    size_t count = json_array_size(errors);
    root_print(root_value(command, errors), out);
    return count;
}

void print_json_value(const char *command, const char *name, json_t *v, FILE *out)
{
    json_t *root = root_value(command, json_array());
    json_object_set_new(root, name, v);
    root_print(root, out);
}
