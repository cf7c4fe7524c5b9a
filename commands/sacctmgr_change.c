/* SPDX-License-Identifier: Apache-2.0 */
#include "sacctmgr.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

struct words {
    struct arena arena;
    Sl__KeyValue *where[256], *set[256];
    Sl__TenantRequest request;
};

/* "key=value", "key+=value", "key-=value"; a bare word is a name. */
static Sl__KeyValue *pair_parse(struct arena *a, const char *word)
{
    Sl__KeyValue *kv = arena_alloc(a, sizeof(*kv));
    size_t n = strcspn(word, "=");
    sl__key_value__init(kv);
    if (word[n] == '\0') {
        kv->key = (char *)"Names";
        kv->value = arena_strdup(a, word);
        return kv;
    }
    kv->key = arena_printf(a, "%.*s", (int)n, word);
    kv->value = arena_strdup(a, word + n + 1);
    size_t len = strlen(kv->value); /* quotes that the shell was asked to leave */
    if (len >= 2 && (kv->value[0] == '"' || kv->value[0] == '\'') && kv->value[len - 1] == kv->value[0]) {
        kv->value[len - 1] = '\0';
        kv->value++;
    }
    return kv;
}

static bool is_cluster(const char *key)
{
    return key[0] != '\0' && strncasecmp(key, "Clusters", strlen(key)) == 0;
}

static int words_parse(struct sacctmgr *m, Sl__TenantOp op, int argc, char **argv,
                       struct words *w, struct err *err)
{
    bool add = op == SL__TENANT_OP__TENANT_OP_ADD, set = add;
    w->request.where = w->where;
    w->request.set = w->set;
    for (int i = 0; i < argc; i++) {
        if (!add && strcasecmp(argv[i], "set") == 0) {
            set = true;
            continue;
        }
        if (strcasecmp(argv[i], "where") == 0) {
            set = false;
            continue;
        }
        Sl__KeyValue *kv = pair_parse(&w->arena, argv[i]);
        if (is_cluster(kv->key)) {
            if (!tenant_listed(kv->value, m->client.conf->cluster_name))
                return err_set(err, SL_EINVAL_FIELD, "This cluster '%.64s' doesn't exist. This one is '%s'",
                               kv->value, m->client.conf->cluster_name);
            continue;
        }
        size_t *n = set || add ? &w->request.n_set : &w->request.n_where;
        if (*n == 256)
            return err_set(err, SL_ETOO_MANY, "more than 256 options");
        (set || add ? w->set : w->where)[(*n)++] = kv;
    }
    return 0;
}

int sacctmgr_request(struct sacctmgr *m, const Sl__TenantRequest *r, struct buf *text, struct err *err)
{
    struct wire_msg reply;
    int rc = client_call(&m->client, WIRE_TENANT, &r->base, WIRE_TENANT_REPLY, 0, &reply, err);
    if (rc < 0)
        return rc;
    buf_puts(text, ((const Sl__TenantReply *)reply.body)->text);
    wire_msg_clear(&reply);
    return 0;
}

bool sacctmgr_commit(const struct sacctmgr *m)
{
    char line[16] = "";
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
    if (m->immediate)
        return true;
    printf("Would you like to commit changes? (You have 30 seconds to decide)\n(N/y): ");
    fflush(stdout);
    if (poll(&in, 1, 30 * 1000) > 0 && fgets(line, sizeof(line), stdin) != NULL &&
        strncasecmp(line, "y", 1) == 0)
        return true;
    puts(" Changes Discarded");
    return false;
}

static int run(struct sacctmgr *m, struct words *w, struct err *err)
{
    struct buf text;
    buf_init(&text);
    w->request.dry_run = !m->immediate;
    int rc = sacctmgr_request(m, &w->request, &text, err);
    if (rc == 0 && !m->quiet)
        fputs(buf_str(&text), stdout);
    bool go = rc == 0 && w->request.dry_run && sacctmgr_commit(m);
    if (go) {
        buf_clear(&text);
        w->request.dry_run = false;
        rc = sacctmgr_request(m, &w->request, &text, err);
    }
    buf_fini(&text);
    return rc;
}

static const char *what_name(enum entity what)
{
    switch (what) {
    case ENTITY_ACCOUNT:
        return "account";
    case ENTITY_USER:
        return "user";
    case ENTITY_QOS:
        return "qos";
    case ENTITY_COORDINATOR:
        return "coordinator";
    case ENTITY_CLUSTER:
        return "cluster";
    default:
        return NULL;
    }
}

/* A cluster is what its controller is: it can only be named as what it is. */
static int cluster_add(struct sacctmgr *m, int argc, char **argv)
{
    const char *own = m->client.conf->cluster_name, *name = argc ? argv[0] : "";
    if (strncasecmp(name, "name=", 5) == 0)
        name += 5;
    if (strcasecmp(name, own) == 0)
        return sacctmgr_fail("This cluster %s already exists.  Not adding.", own);
    return sacctmgr_fail("cluster \"%s\": this controller is the cluster \"%s\" (cluster_name), "
                         "and there is one cluster a controller", name, own);
}

int sacctmgr_change(struct sacctmgr *m, Sl__TenantOp op, enum entity what, int argc, char **argv)
{
    struct words w;
    struct err err = {0};
    const char *name = what_name(what);

    if (m->readonly)
        return sacctmgr_fail("Can't run this command in readonly mode.");
    if (name == NULL)
        return sacctmgr_fail("No valid entity: account, cluster, coordinator, qos or user can be changed");
    if (what == ENTITY_CLUSTER && op != SL__TENANT_OP__TENANT_OP_MODIFY)
        return cluster_add(m, argc, argv);
    memset(&w, 0, sizeof(w));
    arena_init(&w.arena);
    sl__tenant_request__init(&w.request);
    w.request.op = op;
    w.request.what = (char *)name;
    int rc = words_parse(m, op, argc, argv, &w, &err);
    if (rc == 0 && what == ENTITY_CLUSTER)
        w.request.n_where = 0; /* it is this one */
    if (rc == 0)
        rc = run(m, &w, &err);
    arena_fini(&w.arena);
    return rc < 0 ? sacctmgr_fail("%s", err.text) : 0;
}
