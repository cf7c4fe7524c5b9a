/* SPDX-License-Identifier: Apache-2.0 */
#include "rows.h"

#include "job/state.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

void rows_init(struct rows *r)
{
    memset(r, 0, sizeof(*r));
    arena_init(&r->arena);
}

void rows_fini(struct rows *r)
{
    arena_fini(&r->arena);
    free(r->v);
    r->v = NULL;
    r->count = r->cap = 0;
}

void rows_clear(struct rows *r)
{
    arena_reset(&r->arena);
    r->count = 0;
}

/* Ids such as 12_3 and 12.0 sort by their numbers, states in the table's order. */
static bool is_id(const struct field *f)
{
    return f->id == FIELD_JOB_ARRAY_ID || f->id == FIELD_STEP_ID || f->id == FIELD_ACCT_JOB_ID;
}

static bool is_job_state(const struct field *f)
{
    return f->id == FIELD_JOB_STATE || f->id == FIELD_JOB_STATE_COMPACT;
}

int rows_sort_keys(struct rows *r, enum field_what what, const char *text, Sl__QueryRequest *q,
                   struct arena *a, struct err *err)
{
    for (const char *p = text; *p != '\0';) {
        struct rows_key key = {0};
        while (*p == '-' || *p == '+')
            key.descending = *p++ == '-';
        size_t n = strcspn(p, ",");
        char word[64];
        if (n == 0 || n >= sizeof(word))
            return err_set(err, SL_EINVAL_FIELD, "Invalid sort specification: %s", text);
        memcpy(word, p, n);
        word[n] = '\0';
        const struct field *f = n == 1 ? field_by_letter(what, word[0]) : field_by_name(what, word);
        if (f == NULL)
            return err_set(err, SL_EINVAL_FIELD, "Invalid sort specification: %s", word);
        if (r->keys_count == ROWS_SORT_KEYS_MAX)
            return err_set(err, SL_EINVAL_FIELD, "more than %d sort keys", ROWS_SORT_KEYS_MAX);
        key.column = command_field(a, q, f->id);
        key.text = !is_job_state(f) && (f->kind == FIELD_TEXT || f->kind == FIELD_LIST ||
                                        f->kind == FIELD_EXIT);
        r->keys[r->keys_count++] = key;
        p += n + (p[n] == ',');
    }
    return 0;
}

static int64_t number_of(const struct field *f, const char *cell)
{
    if (is_job_state(f)) {
        enum job_state s;
        uint32_t flags;
        return job_state_parse(cell, &s, &flags) ? (flags != 0 ? JOB_STATE_COUNT : (int64_t)s) : 0;
    }
    return strcmp(cell, "inf") == 0 ? INT64_MAX : strtoll(cell, NULL, 10);
}

void rows_add(struct rows *r, char *const *cells)
{
    if (r->count == r->cap) {
        r->cap = r->cap != 0 ? r->cap * 2 : 256;
        r->v = xrealloc(r->v, r->cap * sizeof(*r->v));
    }
    size_t bytes = r->columns * sizeof(char *);
    for (size_t i = 0; i < r->columns; i++)
        bytes += strlen(cells[i]) + 1;
    struct row *row = &r->v[r->count++];
    row->cells = arena_alloc(&r->arena, bytes);
    char *at = (char *)(row->cells + r->columns);
    for (size_t i = 0; i < r->columns; i++) {
        size_t n = strlen(cells[i]) + 1;
        row->cells[i] = memcpy(at, cells[i], n);
        at += n;
    }
    for (size_t k = 0; k < r->keys_count; k++)
        if (!r->keys[k].text)
            row->keys[k] = number_of(r->fields[r->keys[k].column], cells[r->keys[k].column]);
}

static int row_arrived(char *const *cells, size_t count, void *arg)
{
    struct rows *r = arg;
    if (count != r->columns)
        return SL_EPROTO;
    rows_add(r, cells);
    return 0;
}

int rows_query(struct rows *r, struct client *c, const Sl__QueryRequest *q, struct err *err)
{
    r->columns = q->n_fields;
    if (q->n_fields > sizeof(r->fields) / sizeof(r->fields[0]))
        return err_set(err, SL_EINVAL_FIELD, "too many columns");
    for (size_t i = 0; i < q->n_fields; i++)
        r->fields[i] = field_by_id(q->fields[i]);
    return client_query(c, q, row_arrived, r, err);
}

static const struct rows *sorting; /* qsort_r's argument order is not portable */

static int row_compare(const void *pa, const void *pb)
{
    const struct row *a = pa, *b = pb;
    for (size_t k = 0; k < sorting->keys_count; k++) {
        const struct rows_key *key = &sorting->keys[k];
        int d;
        if (!key->text)
            d = (a->keys[k] > b->keys[k]) - (a->keys[k] < b->keys[k]);
        else if (is_id(sorting->fields[key->column]))
            d = strverscmp(a->cells[key->column], b->cells[key->column]);
        else
            d = strcmp(a->cells[key->column], b->cells[key->column]);
        if (d != 0)
            return key->descending ? -d : d;
    }
    return 0;
}

/* glibc's qsort is a merge sort while memory allows: equal rows keep their order. */
void rows_sort(struct rows *r)
{
    if (r->keys_count == 0 || r->count < 2)
        return;
    sorting = r;
    qsort(r->v, r->count, sizeof(*r->v), row_compare);
}
