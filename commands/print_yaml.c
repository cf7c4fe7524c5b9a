/* SPDX-License-Identifier: Apache-2.0 */
#include "print_yaml.h"

#include "base/buf.h"
#include "base/err.h"
#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <yaml.h>

struct print_yaml {
    yaml_emitter_t emitter;
};

/* Events are freed by the emitter, also when it fails. */
static void emit(struct print_yaml *y, yaml_event_t *event)
{
    (void)yaml_emitter_emit(&y->emitter, event);
}

static void map_begin(struct print_yaml *y)
{
    yaml_event_t e;
    ASSERT(yaml_mapping_start_event_initialize(&e, NULL, NULL, 1, YAML_BLOCK_MAPPING_STYLE));
    emit(y, &e);
}

static void map_end(struct print_yaml *y)
{
    yaml_event_t e;
    ASSERT(yaml_mapping_end_event_initialize(&e));
    emit(y, &e);
}

static void list_begin(struct print_yaml *y, yaml_sequence_style_t style)
{
    yaml_event_t e;
    ASSERT(yaml_sequence_start_event_initialize(&e, NULL, NULL, 1, style));
    emit(y, &e);
}

struct print_yaml *print_yaml_open(FILE *out)
{
    struct print_yaml *y = xcalloc(1, sizeof(*y));
    yaml_event_t e;

    ASSERT(yaml_emitter_initialize(&y->emitter));
    yaml_emitter_set_output_file(&y->emitter, out);
    yaml_emitter_set_unicode(&y->emitter, 1);
    yaml_emitter_set_width(&y->emitter, -1); /* no text is folded */
    ASSERT(yaml_stream_start_event_initialize(&e, YAML_UTF8_ENCODING));
    emit(y, &e);
    ASSERT(yaml_document_start_event_initialize(&e, NULL, NULL, NULL, 0));
    emit(y, &e);
    map_begin(y);
    return y;
}

void print_yaml_close(struct print_yaml *y)
{
    yaml_event_t e;
    map_end(y);
    ASSERT(yaml_document_end_event_initialize(&e, 1));
    emit(y, &e);
    ASSERT(yaml_stream_end_event_initialize(&e));
    emit(y, &e);
    yaml_emitter_delete(&y->emitter);
    free(y);
}

static void scalar(struct print_yaml *y, const char *text, size_t n, bool plain)
{
    yaml_event_t e;
    ASSERT(yaml_scalar_event_initialize(&e, NULL, NULL, (const yaml_char_t *)text, (int)n, plain, 1,
                                        plain ? YAML_PLAIN_SCALAR_STYLE
                                              : YAML_DOUBLE_QUOTED_SCALAR_STYLE));
    emit(y, &e);
}

/* Would a reader of YAML 1.1 or 1.2 take the plain text for a string? "no", "null", "12:30"
 * and "1e3" it would not; what begins with a letter and is no such word it would. */
static bool reads_as_text(const char *text)
{
    static const char *const words[] = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strcasecmp(words[i], text) == 0)
            return false;
    return isalpha((unsigned char)text[0]) || text[0] == '/';
}

static void text_put(struct print_yaml *y, const char *text, size_t n)
{
    scalar(y, text, n, reads_as_text(text));
}

void print_yaml_key(struct print_yaml *y, const char *key)
{
    text_put(y, key, strlen(key));
}

void print_yaml_list(struct print_yaml *y)
{
    list_begin(y, YAML_BLOCK_SEQUENCE_STYLE);
}

void print_yaml_list_end(struct print_yaml *y)
{
    yaml_event_t e;
    ASSERT(yaml_sequence_end_event_initialize(&e));
    emit(y, &e);
}

static void object_put(struct print_yaml *y, const json_t *value)
{
    const char *key;
    json_t *member;
    map_begin(y);
    json_object_foreach((json_t *)value, key, member)
    {
        print_yaml_key(y, key);
        print_yaml_put(y, member);
    }
    map_end(y);
}

static void array_put(struct print_yaml *y, const json_t *value)
{
    print_yaml_list(y);
    for (size_t i = 0; i < json_array_size(value); i++)
        print_yaml_put(y, json_array_get(value, i));
    print_yaml_list_end(y);
}

void print_yaml_put(struct print_yaml *y, const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        object_put(y, value);
        break;
    case JSON_ARRAY:
        array_put(y, value);
        break;
    case JSON_STRING:
        text_put(y, json_string_value(value), json_string_length(value));
        break;
    default: { /* numbers, true, false and null are the same in both */
        char *text = json_dumps(value, JSON_ENCODE_ANY);
        if (text != NULL)
            scalar(y, text, strlen(text), true);
        free(text);
    }
    }
}
