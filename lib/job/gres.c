/* SPDX-License-Identifier: Apache-2.0 */
#include "job/jobspec.h"

#include "base/limits.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define GRES_LIST_MAX 64u /* entries in one request */

static bool name_ok(const char *p, size_t n)
{
    if (n == 0 || n > NAME_LEN_MAX || strchr("_-.", *p) != NULL)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!((p[i] >= 'a' && p[i] <= 'z') || (p[i] >= 'A' && p[i] <= 'Z') ||
              (p[i] >= '0' && p[i] <= '9') || strchr("_-.", p[i]) != NULL))
            return false;
    return true;
}

/* Whole text of n bytes as a count with K M G T P. false: not a count. */
static bool count_parse(const char *p, size_t n, uint64_t *count)
{
    static const char units[] = "kmgtp";
    char *end;
    if (n == 0 || *p < '0' || *p > '9')
        return false;
    unsigned long long v = strtoull(p, &end, 10);
    if (end < p + n) {
        const char *u = strchr(units, *end | 0x20);
        if (u == NULL || *u == '\0')
            return false;
        unsigned shift = 10u * (unsigned)(u - units + 1);
        if (v > (UINT64_MAX >> shift))
            return false;
        v <<= shift;
        end++;
    }
    *count = v;
    return end == p + n;
}

/* "7", "7k": in the place of a type it is a misplaced or too large count. */
static bool looks_like_count(const char *p, size_t n)
{
    size_t digits = strspn(p, "0123456789");
    return digits >= n || (digits + 1 == n && digits > 0 && strchr("kKmMgGtTpP", p[digits]));
}

/* One "[gres[:/]]name[:type][:count]" of n bytes. */
static int item_parse(const char *text, const char *p, size_t n, Sl__GresReq *req,
                      struct arena *a, struct err *err)
{
    if (n > 5 && strncmp(p, "gres", 4) == 0 && (p[4] == ':' || p[4] == '/')) {
        p += 5;
        n -= 5;
    }
    const char *end = p + n, *part[3] = {p, NULL, NULL};
    size_t len[3] = {0}, parts = 0;
    for (const char *q = p; parts < 3; parts++) {
        const char *colon = memchr(q, ':', (size_t)(end - q));
        part[parts] = q;
        len[parts] = (size_t)((colon != NULL ? colon : end) - q);
        if (colon == NULL) {
            parts++;
            break;
        }
        q = colon + 1;
        if (parts == 2)
            parts = 4; /* a fourth part */
    }
    req->count = 1;
    bool ok = parts <= 3 && name_ok(part[0], len[0]);
    if (ok && parts >= 2 && count_parse(part[parts - 1], len[parts - 1], &req->count))
        parts--;
    else if (ok && parts == 3)
        ok = false; /* name:type:not-a-count */
    if (ok && parts >= 2)
        ok = parts == 2 && name_ok(part[1], len[1]) && !looks_like_count(part[1], len[1]);
    if (!ok || req->count > UINT32_MAX)
        return err_set(err, SL_EINVAL_GRES,
                       "Invalid generic resource (gres) specification: \"%.*s\" in \"%s\"", (int)n,
                       p, text);
    req->name = arena_printf(a, "%.*s", (int)len[0], part[0]);
    if (parts >= 2)
        req->type = arena_printf(a, "%.*s", (int)len[1], part[1]);
    return 0;
}

int gres_parse(const char *text, Sl__GresPer per, struct arena *a, Sl__GresReq ***list,
               size_t *count, struct err *err)
{
    Sl__GresReq *items[GRES_LIST_MAX];
    size_t n = 0;

    if (*text == '\0' || strcasecmp(text, "none") == 0)
        return 0;
    for (const char *p = text;; p++) {
        size_t len = strcspn(p, ",");
        Sl__GresReq req = SL__GRES_REQ__INIT;
        if (*count + n >= GRES_LIST_MAX)
            return err_set(err, SL_EINVAL_GRES, "more than %u generic resources", GRES_LIST_MAX);
        req.per = per;
        int rc = item_parse(text, p, len, &req, a, err);
        if (rc != 0)
            return rc;
        if (req.count != 0) { /* "gpu:0" asks for none */
            items[n] = arena_alloc(a, sizeof(req));
            *items[n++] = req;
        }
        p += len;
        if (*p == '\0')
            break;
    }
    if (n == 0)
        return 0;
    Sl__GresReq **all = arena_alloc(a, (*count + n) * sizeof(*all));
    if (*count != 0)
        memcpy(all, *list, *count * sizeof(*all));
    memcpy(all + *count, items, n * sizeof(*all));
    *list = all;
    *count += n;
    return 0;
}
