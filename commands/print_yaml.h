/* SPDX-License-Identifier: Apache-2.0
 *
 * print_yaml: JSON values as a YAML document, through libyaml, piece by piece. What cannot
 * be written is left to ferror(out).
 */
#ifndef SL_COMMANDS_PRINT_YAML_H
#define SL_COMMANDS_PRINT_YAML_H

#include <jansson.h>
#include <stdio.h>

struct print_yaml;

/* A document that is one mapping. Ends with print_yaml_close(), which frees. */
struct print_yaml *print_yaml_open(FILE *out);
void print_yaml_close(struct print_yaml *y);
/* The key of what is put next. */
void print_yaml_key(struct print_yaml *y, const char *key);
void print_yaml_put(struct print_yaml *y, const json_t *value);
/* A list whose elements are put one by one. */
void print_yaml_list(struct print_yaml *y);
void print_yaml_list_end(struct print_yaml *y);

#endif
