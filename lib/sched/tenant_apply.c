/* SPDX-License-Identifier: Apache-2.0
 *
 * sacctmgr's add, modify and delete. A request is worked through twice by the same code: to
 * check, saying what would be done, and, when all of it is right and it is meant, to do it.
 * So a request is done as a whole or not at all, and what the user confirms is what is done.
 *
 * Operators and administrators may do everything, only administrators give levels; a
 * coordinator may work below the accounts that he coordinates; anyone may choose his own
 * default account.
 */
#include "sched/priority.h"
#include "sched/tenant.h"
#include "sched/tenant_set.h"
#include "sched/tenant_text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define TREE_DEPTH_MAX 60 /* limits.c walks it with every job */
#define PAIRS_MAX 256

struct work {
    struct core *c;
    const struct command *cmd;
    bool commit, operator, admin;
    struct tenant_pair where[PAIRS_MAX], set[PAIRS_MAX];
    size_t wheres, sets;
    struct buf *say;
    struct batch *out;
    uint32_t changed;
    struct err *err;
};
typedef int (*name_f)(struct work *w, const char *name, const void *arg);

/* ---- pieces ------------------------------------------------------------------------------ */

static int each_name(struct work *w, const char *list, name_f fn, const void *arg)
{
    char *copy = xstrdup(list ? list : ""), *save = NULL;
    int rc = 0;
    for (char *p = strtok_r(copy, ",", &save); p && rc == 0; p = strtok_r(NULL, ",", &save))
        rc = fn(w, p, arg);
    free(copy);
    return rc;
}

static const char *given(const struct work *w, enum tenant_key a, enum tenant_key b)
{
    bool add = w->cmd->tenant->op == SL__TENANT_OP__TENANT_OP_ADD;
    const struct tenant_pair *v = add ? w->set : w->where;
    size_t n = add ? w->sets : w->wheres;
    const char *value = tenant_value(v, n, a);
    return value || b == KEY_NONE ? value : tenant_value(v, n, b);
}

static int name_check(const char *what, const char *name, struct err *err)
{
    if (name[0] == '\0' || strlen(name) > NAME_LEN_MAX || strpbrk(name, " ,/\\\"'=|:*\t\n"))
        return err_set(err, SL_EINVAL_FIELD, "%s \"%.64s\" is not a name", what, name);
    return 0;
}

static bool coordinates(const struct work *w, uint32_t assoc)
{
    const struct tenants *tn = w->c->tenants;
    for (uint32_t i = assoc; i != NONE; i = tn->assoc[i].parent) {
        uint32_t a = account_find(w->c, text_of(w->c, tn->assoc[i].account));
        if (a != NONE && w->cmd->actor.user && names_has(text_of(w->c, tn->account[a].coordinators), w->cmd->actor.user))
            return true;
    }
    return false;
}

static int may(const struct work *w, uint32_t assoc)
{
    if (w->operator || (assoc != NONE && coordinates(w, assoc)))
        return 0;
    return err_set(w->err, SL_EACCESS, "%s: only operators and coordinators of the account may do that",
                   err_name(SL_EACCESS));
}

static void note(struct work *w, enum tenant_kind kind, uint32_t id)
{
    w->changed++;
    if (w->commit)
        batch_change(w->out, CHANGE_TENANT, id, kind);
}

static void say_assoc(struct work *w, const char *account, const char *user, const char *part)
{
    buf_printf(w->say, "  A = %-10s", account);
    if (user && user[0])
        buf_printf(w->say, " U = %-9s", user);
    if (part && part[0])
        buf_printf(w->say, " P = %s", part);
    while (w->say->len && w->say->data[w->say->len - 1] == ' ')
        w->say->len--;
    buf_putc(w->say, '\n');
}

static int assoc_attributes(struct work *w, uint32_t i)
{
    for (size_t k = 0; k < w->sets; k++)
        if (assoc_has_key(w->set[k].key) && assoc_set(w->c, i, &w->set[k], w->commit, w->err) < 0)
            return w->err->code;
    return 0;
}

/* Keys that an operation knows besides those of associations: others are errors. */
static int keys_allowed(struct work *w, const struct tenant_pair *v, size_t n, const enum tenant_key *also)
{
    for (size_t i = 0; i < n; i++) {
        bool ok = assoc_has_key(v[i].key) || v[i].key == KEY_CLUSTER;
        for (const enum tenant_key *k = also; *k != KEY_NONE; k++)
            ok = ok || v[i].key == *k;
        if (!ok)
            return err_set(w->err, SL_EINVAL_FIELD, "Unknown option: %s=%.64s", tenant_key_name(&v[i]), v[i].value);
    }
    return 0;
}

static uint32_t depth_of(const struct tenants *tn, uint32_t i)
{
    uint32_t n = 0;
    for (; i != NONE; i = tn->assoc[i].parent)
        n++;
    return n;
}

/* ---- add ------------------------------------------------------------------------------------ */

static int add_account(struct work *w, const char *name, const void *arg)
{
    struct core *c = w->c;
    const char *parent = given(w, KEY_PARENT, KEY_NONE), *d = given(w, KEY_DESCRIPTION, KEY_NONE),
               *o = given(w, KEY_ORGANIZATION, KEY_NONE);
    (void)arg;
    uint32_t up = assoc_find(c, parent ? parent : "root", "", "");
    if (name_check("account", name, w->err) < 0)
        return w->err->code;
    if (up == NONE)
        return err_set(w->err, SL_EINVAL_ACCOUNT, "Parent account %.64s doesn't exist.", parent);
    if (may(w, up) < 0)
        return w->err->code;
    if (depth_of(c->tenants, up) >= TREE_DEPTH_MAX || c->tenants->accounts >= TENANT_NAMES_MAX)
        return err_set(w->err, SL_ETOO_MANY, "account %s: there are %u accounts, at a depth of %u here", name,
                       c->tenants->accounts, depth_of(c->tenants, up));
    if (assoc_find(c, name, "", "") != NONE)
        return 0; /* as sacctmgr: nothing new */
    buf_printf(w->say, "  %s\n", name);
    if (!w->commit) {
        w->changed++;
        return assoc_attributes(w, NONE);
    }
    struct account *a = account_add(c, name);
    a->description = intern_text(&c->text, d ? d : name);
    a->organization = intern_text(&c->text, o ? o : parent && strcmp(parent, "root") != 0 ? parent : name);
    uint32_t i = assoc_add(c, up, name, "", "");
    note(w, TENANT_ACCOUNT, a->name);
    note(w, TENANT_ASSOC, i);
    return assoc_attributes(w, i);
}

struct user_of { const char *user, *account; };

static int level_parse(const char *text, enum admin_level *level, struct err *err)
{
    static const char *const names[] = {"none", "operator", "administrator"};
    for (int i = 0; i < ADMIN_COUNT; i++)
        if (text[0] && strncasecmp(names[i], text, strlen(text)) == 0) {
            *level = (enum admin_level)i;
            return 0;
        }
    return err_set(err, SL_EINVAL_FIELD, "AdminLevel: \"%.32s\" is none of None, Operator, Admin", text);
}

static int add_user_assoc(struct work *w, const char *part, const void *arg)
{
    const struct user_of *u = arg;
    struct core *c = w->c;
    uint32_t up = assoc_find(c, u->account, "", "");
    if (assoc_find(c, u->account, u->user, part) != NONE)
        return 0;
    if (c->tenants->assocs >= TENANT_NAMES_MAX)
        return err_set(w->err, SL_ETOO_MANY, "there are %u associations", c->tenants->assocs);
    say_assoc(w, u->account, u->user, part);
    if (!w->commit) {
        w->changed++;
        return assoc_attributes(w, NONE);
    }
    uint32_t i = assoc_add(c, up, u->account, u->user, part);
    uint32_t at = user_find(c, u->user);
    struct tenant_user *own = at == NONE ? user_add(c, u->user) : &c->tenants->user[at];
    if (!own->default_account)
        tenant_text(c, &own->default_account, u->account);
    c->tenants->assoc[i].is_default = own->default_account == c->tenants->assoc[i].account;
    note(w, TENANT_ASSOC, i);
    note(w, TENANT_USER, own->name);
    return assoc_attributes(w, i);
}

static int add_user_account(struct work *w, const char *account, const void *arg)
{
    struct user_of u = {arg, account};
    const char *parts = given(w, KEY_PARTITION, KEY_NONE);
    uint32_t up = assoc_find(w->c, account, "", "");
    if (up == NONE)
        return err_set(w->err, SL_EINVAL_ACCOUNT,
                       "This account '%.64s' doesn't exist.  Contact your admin to add this account.", account);
    if (may(w, up) < 0)
        return w->err->code;
    return parts && parts[0] ? each_name(w, parts, add_user_assoc, &u) : add_user_assoc(w, "", &u);
}

static int user_attributes(struct work *w, const char *name)
{
    struct core *c = w->c;
    for (size_t k = 0; k < w->sets; k++) {
        const struct tenant_pair *p = &w->set[k];
        enum admin_level level;
        uint32_t at = user_find(c, name);
        struct tenant_user *u = w->commit && at != NONE ? &c->tenants->user[at] : NULL;
        if (p->key == KEY_ADMIN_LEVEL) {
            if (!w->admin)
                return err_set(w->err, SL_EACCESS, "%s: only administrators give levels", err_name(SL_EACCESS));
            if (level_parse(p->value, &level, w->err) < 0)
                return w->err->code;
            if (u)
                u->level = level;
        } else if (p->key == KEY_DEFAULT_ACCOUNT) {
            const char *accounts = given(w, KEY_ACCOUNT, KEY_NONE);
            bool adding = w->cmd->tenant->op == SL__TENANT_OP__TENANT_OP_ADD && (!accounts || names_has(accounts, p->value));
            if (!adding && assoc_find(c, p->value, name, "") == NONE)
                return err_set(w->err, SL_EINVAL_ACCOUNT, "user %s has no association with account %.64s", name, p->value);
            if (u)
                tenant_text(c, &u->default_account, p->value);
            for (uint32_t i = ASSOC_ROOT; u && i < c->tenants->assocs; i++) {
                struct assoc *a = &c->tenants->assoc[i];
                bool is = a->live && a->user == u->name && a->account == u->default_account;
                if (a->live && a->user == u->name && a->is_default != is) {
                    a->is_default = is;
                    note(w, TENANT_ASSOC, i);
                }
            }
        } else if (p->key == KEY_DEFAULT_WCKEY) {
            if (u)
                tenant_text(c, &u->default_wckey, p->value);
        } else {
            continue;
        }
        w->changed++;
        if (u)
            note(w, TENANT_USER, u->name);
    }
    return 0;
}

static int add_user(struct work *w, const char *name, const void *arg)
{
    const char *accounts = given(w, KEY_ACCOUNT, KEY_DEFAULT_ACCOUNT);
    uint32_t before = w->changed;
    (void)arg;
    if (name_check("user", name, w->err) < 0)
        return w->err->code;
    if (!accounts || !accounts[0])
        return err_set(w->err, SL_EINVAL_FIELD, "Need name of account to add user %s to: account=", name);
    int rc = each_name(w, accounts, add_user_account, name);
    return rc == 0 && w->changed != before ? user_attributes(w, name) : rc;
}

static int add_qos(struct work *w, const char *name, const void *arg)
{
    struct core *c = w->c;
    (void)arg;
    if (name_check("QOS", name, w->err) < 0)
        return w->err->code;
    if (qos_find(c, name) != NONE)
        return 0;
    if (c->tenants->qoses >= QOS_MAX)
        return err_set(w->err, SL_ETOO_MANY, "there are %u QOS", c->tenants->qoses);
    buf_printf(w->say, "  %s\n", name);
    uint32_t i = w->commit ? qos_add(c, name) : NONE;
    note(w, TENANT_QOS, i);
    for (size_t k = 0; k < w->sets; k++)
        if (w->set[k].key != KEY_NAME && qos_set(c, i, &w->set[k], w->commit, w->err) < 0)
            return w->err->code;
    return 0;
}

/* ---- coordinators ---------------------------------------------------------------------------- */

static int coordinator_edit(struct work *w, const char *user, const void *arg)
{
    const char *account = arg;
    struct core *c = w->c;
    bool add = w->cmd->tenant->op == SL__TENANT_OP__TENANT_OP_ADD;
    uint32_t a = account_find(c, account);
    struct buf list;
    if (user_find(c, user) == NONE)
        return err_set(w->err, SL_EINVAL_FIELD, "user %.64s: add the user first", user);
    if (names_has(text_of(c, c->tenants->account[a].coordinators), user) == add)
        return 0;
    buf_printf(w->say, "  %s of account %s\n", user, account);
    w->changed++;
    if (!w->commit)
        return 0;
    buf_init(&list);
    buf_puts(&list, text_of(c, c->tenants->account[a].coordinators));
    names_edit(&list, user, strlen(user), add);
    tenant_text(c, &c->tenants->account[a].coordinators, buf_str(&list));
    buf_fini(&list);
    note(w, TENANT_ACCOUNT, c->tenants->account[a].name);
    return 0;
}

static int coordinators_of(struct work *w, const char *account, const void *arg)
{
    uint32_t up = assoc_find(w->c, account, "", "");
    if (up == NONE)
        return err_set(w->err, SL_EINVAL_ACCOUNT, "account %.64s doesn't exist", account);
    if (may(w, w->c->tenants->assoc[up].parent) < 0)
        return w->err->code;
    return each_name(w, arg, coordinator_edit, account);
}

static int coordinator(struct work *w)
{
    const char *names = given(w, KEY_NAME, KEY_USER), *accounts = given(w, KEY_ACCOUNT, KEY_NONE);
    if (!names || !accounts)
        return err_set(w->err, SL_EINVAL_FIELD, "a coordinator needs account= and names=");
    return each_name(w, accounts, coordinators_of, names);
}

/* ---- modify, delete: associations that match ---------------------------------------------------- */

static bool matches(const struct work *w, enum tenant_key key, enum tenant_key or, const char *name)
{
    const char *list = tenant_value(w->where, w->wheres, key);
    if (!list && or != KEY_NONE)
        list = tenant_value(w->where, w->wheres, or);
    return !list || names_has(list, name);
}

static bool assoc_matches(const struct work *w, const struct assoc *a, bool of_user)
{
    const char *account = text_of(w->c, a->account);
    if (!a->live || (a->user != 0) != of_user)
        return false;
    if (!of_user)
        return matches(w, KEY_NAME, KEY_ACCOUNT, account) &&
               (!tenant_value(w->where, w->wheres, KEY_PARENT) ||
                (a->parent != NONE && matches(w, KEY_PARENT, KEY_NONE, text_of(w->c, w->c->tenants->assoc[a->parent].account))));
    return matches(w, KEY_NAME, KEY_USER, text_of(w->c, a->user)) && matches(w, KEY_ACCOUNT, KEY_NONE, account) &&
           matches(w, KEY_PARTITION, KEY_NONE, text_of(w->c, a->partition));
}

static int account_reparent(struct work *w, uint32_t i, const char *parent)
{
    struct core *c = w->c;
    uint32_t up = assoc_find(c, parent, "", "");
    if (up == NONE)
        return err_set(w->err, SL_EINVAL_ACCOUNT, "Parent account %.64s doesn't exist.", parent);
    if (i == ASSOC_ROOT)
        return err_set(w->err, SL_EINVAL_ACCOUNT, "the root account has no parent");
    for (uint32_t k = up; k != NONE; k = c->tenants->assoc[k].parent)
        if (k == i)
            return err_set(w->err, SL_EINVAL_ACCOUNT, "account %s can not stand below itself",
                           text_of(c, c->tenants->assoc[i].account));
    if (may(w, up) < 0)
        return w->err->code;
    if (w->commit) {
        for (uint32_t k = c->tenants->assoc[i].parent; k != NONE; k = c->tenants->assoc[k].parent)
            note(w, TENANT_ASSOC, k);
        for (uint32_t k = up; k != NONE; k = c->tenants->assoc[k].parent)
            note(w, TENANT_ASSOC, k);
        assoc_move(c, i, up);
    }
    return 0;
}

static int modify_account(struct work *w, uint32_t i)
{
    struct core *c = w->c;
    uint32_t at = account_find(c, text_of(c, c->tenants->assoc[i].account));
    struct account *a = &c->tenants->account[at];
    for (size_t k = 0; k < w->sets; k++) {
        const struct tenant_pair *p = &w->set[k];
        if (p->key == KEY_PARENT && account_reparent(w, i, p->value) < 0)
            return w->err->code;
        if (w->commit && p->key == KEY_DESCRIPTION)
            tenant_text(c, &a->description, p->value);
        if (w->commit && p->key == KEY_ORGANIZATION)
            tenant_text(c, &a->organization, p->value);
    }
    note(w, TENANT_ACCOUNT, a->name);
    return 0;
}

/* Resetting usage changes all that count it. */
static void note_usage(struct work *w, uint32_t i)
{
    const struct tenants *tn = w->c->tenants;
    if (!w->commit || !tenant_value(w->set, w->sets, KEY_RAW_USAGE))
        return;
    for (uint32_t k = 0; k < tn->assocs; k++)
        if (tn->assoc[k].live)
            batch_change(w->out, CHANGE_TENANT, k, TENANT_ASSOC);
    (void)i;
}

static int modify_assocs(struct work *w, bool of_user)
{
    static const enum tenant_key account_keys[] = {KEY_DESCRIPTION, KEY_ORGANIZATION, KEY_PARENT, KEY_NONE};
    static const enum tenant_key user_keys[] = {KEY_ADMIN_LEVEL, KEY_DEFAULT_ACCOUNT, KEY_DEFAULT_WCKEY, KEY_NONE};
    struct tenants *tn = w->c->tenants;
    bool attributes = false;
    if (w->sets == 0)
        return err_set(w->err, SL_EINVAL_FIELD, "No changes specified: set KEY=VALUE");
    if (keys_allowed(w, w->set, w->sets, of_user ? user_keys : account_keys) < 0)
        return w->err->code;
    for (size_t k = 0; k < w->sets; k++)
        attributes = attributes || assoc_has_key(w->set[k].key) || !of_user;
    for (uint32_t i = ASSOC_ROOT; attributes && i < tn->assocs; i++) {
        if (!assoc_matches(w, &tn->assoc[i], of_user))
            continue;
        if (may(w, tn->assoc[i].parent == NONE ? i : tn->assoc[i].parent) < 0)
            return w->err->code;
        say_assoc(w, text_of(w->c, tn->assoc[i].account), text_of(w->c, tn->assoc[i].user),
                  text_of(w->c, tn->assoc[i].partition));
        if (assoc_attributes(w, i) < 0 || (!of_user && modify_account(w, i) < 0))
            return w->err->code;
        note(w, TENANT_ASSOC, i);
        note_usage(w, i);
    }
    return 0;
}

static int modify_one_user(struct work *w, const char *name)
{
    bool own = w->cmd->actor.user && strcmp(name, w->cmd->actor.user) == 0;
    bool only_default = true, any = false;
    for (size_t k = 0; k < w->sets; k++) {
        only_default = only_default && w->set[k].key == KEY_DEFAULT_ACCOUNT;
        any = any || w->set[k].key == KEY_ADMIN_LEVEL || w->set[k].key == KEY_DEFAULT_ACCOUNT ||
              w->set[k].key == KEY_DEFAULT_WCKEY;
    }
    if (!any)
        return 0;
    if (!w->operator && !(own && only_default))
        return may(w, NONE);
    buf_printf(w->say, "  %s\n", name);
    return user_attributes(w, name);
}

static int modify_user(struct work *w)
{
    const struct tenants *tn = w->c->tenants;
    int rc = modify_assocs(w, true);
    for (uint32_t i = 0; rc == 0 && i < tn->users; i++)
        if (matches(w, KEY_NAME, KEY_USER, text_of(w->c, tn->user[i].name)))
            rc = modify_one_user(w, text_of(w->c, tn->user[i].name));
    return rc;
}

static int modify_qos(struct work *w)
{
    struct tenants *tn = w->c->tenants;
    if (w->sets == 0)
        return err_set(w->err, SL_EINVAL_FIELD, "No changes specified: set KEY=VALUE");
    if (may(w, NONE) < 0)
        return w->err->code;
    for (uint32_t i = 0; i < tn->qoses; i++) {
        if (!tn->qos[i].live || !matches(w, KEY_NAME, KEY_QOS, text_of(w->c, tn->qos[i].name)))
            continue;
        buf_printf(w->say, "  %s\n", text_of(w->c, tn->qos[i].name));
        note(w, TENANT_QOS, i);
        for (size_t k = 0; k < w->sets; k++)
            if (qos_set(w->c, i, &w->set[k], w->commit, w->err) < 0)
                return w->err->code;
    }
    return 0;
}

static int modify_cluster(struct work *w)
{
    if (may(w, NONE) < 0)
        return w->err->code;
    static const enum tenant_key none[] = {KEY_NONE};
    if (keys_allowed(w, w->set, w->sets, none) < 0 || assoc_attributes(w, ASSOC_ROOT) < 0)
        return w->err->code;
    say_assoc(w, "root", "", "");
    note(w, TENANT_ASSOC, ASSOC_ROOT);
    note_usage(w, ASSOC_ROOT);
    return 0;
}

/* ---- delete ------------------------------------------------------------------------------------------ */

static int delete_assoc(struct work *w, uint32_t i)
{
    const struct assoc *a = &w->c->tenants->assoc[i];
    if (a->usage.submitted || a->usage.running)
        return err_set(w->err, SL_EINVAL_STATE,
                       "Job(s) active, cancel job(s) before remove: account %s%s%s has %u jobs",
                       text_of(w->c, a->account), a->user ? ", user " : "", text_of(w->c, a->user),
                       a->usage.submitted);
    say_assoc(w, text_of(w->c, a->account), text_of(w->c, a->user), text_of(w->c, a->partition));
    note(w, TENANT_ASSOC, i);
    if (w->commit)
        assoc_remove(w->c, i);
    return 0;
}

static void user_gone(struct work *w, uint32_t at)
{
    struct tenants *tn = w->c->tenants;
    struct tenant_user u = tn->user[at];
    batch_change(w->out, CHANGE_TENANT, u.name, TENANT_USER);
    memmove(tn->user + at, tn->user + at + 1, (--tn->users - at) * sizeof *tn->user);
    intern_drop(&w->c->text, u.default_account);
    intern_drop(&w->c->text, u.default_wckey);
    /* u.name stays interned: the change names the record by it */
}

/* Users without any association left are forgotten; others get another default. */
static void users_settle(struct work *w)
{
    struct tenants *tn = w->c->tenants;
    for (uint32_t u = tn->users; u-- > 0;) {
        uint32_t any = NONE, right = NONE;
        for (uint32_t i = ASSOC_ROOT; i < tn->assocs; i++) {
            if (!tn->assoc[i].live || tn->assoc[i].user != tn->user[u].name)
                continue;
            any = any == NONE ? i : any;
            right = tn->assoc[i].account == tn->user[u].default_account ? i : right;
        }
        if (any == NONE) {
            user_gone(w, u);
        } else if (right == NONE) {
            tenant_text(w->c, &tn->user[u].default_account, text_of(w->c, tn->assoc[any].account));
            tn->assoc[any].is_default = true;
            note(w, TENANT_USER, tn->user[u].name);
            note(w, TENANT_ASSOC, any);
        }
    }
}

static int delete_user(struct work *w)
{
    struct tenants *tn = w->c->tenants;
    if (w->wheres == 0)
        return err_set(w->err, SL_EINVAL_FIELD, "No condition given: which users?");
    for (uint32_t i = ASSOC_ROOT; i < tn->assocs; i++) {
        if (!assoc_matches(w, &tn->assoc[i], true))
            continue;
        if (may(w, tn->assoc[i].parent) < 0 || delete_assoc(w, i) < 0)
            return w->err->code;
    }
    if (w->commit)
        users_settle(w);
    return 0;
}

static bool below_match(const struct work *w, uint32_t i)
{
    const struct tenants *tn = w->c->tenants;
    for (; i != NONE; i = tn->assoc[i].parent)
        if (!tn->assoc[i].user && assoc_matches(w, &tn->assoc[i], false))
            return true;
    return false;
}

static void account_gone(struct work *w, uint32_t name)
{
    struct tenants *tn = w->c->tenants;
    uint32_t at = account_find(w->c, text_of(w->c, name));
    if (at == NONE)
        return;
    struct account a = tn->account[at];
    batch_change(w->out, CHANGE_TENANT, a.name, TENANT_ACCOUNT);
    memmove(tn->account + at, tn->account + at + 1, (--tn->accounts - at) * sizeof *tn->account);
    intern_drop(&w->c->text, a.description);
    intern_drop(&w->c->text, a.organization);
    intern_drop(&w->c->text, a.coordinators);
}

static int delete_account(struct work *w)
{
    struct tenants *tn = w->c->tenants;
    if (w->wheres == 0)
        return err_set(w->err, SL_EINVAL_FIELD, "No condition given: which accounts?");
    if (assoc_matches(w, &tn->assoc[ASSOC_ROOT], false))
        return err_set(w->err, SL_EINVAL_ACCOUNT, "the root account can not be removed");
    bool *gone = xcalloc(tn->assocs, sizeof *gone); /* its users and accounts go with it */
    int rc = 0;
    for (uint32_t i = ASSOC_ROOT; i < tn->assocs; i++)
        gone[i] = tn->assoc[i].live && below_match(w, i);
    for (uint32_t i = ASSOC_ROOT; rc == 0 && i < tn->assocs; i++) {
        uint32_t name = tn->assoc[i].account;
        bool account = gone[i] && !tn->assoc[i].user;
        if (gone[i] && (may(w, tn->assoc[i].parent) < 0 || delete_assoc(w, i) < 0))
            rc = w->err->code;
        if (rc == 0 && account && w->commit)
            account_gone(w, name);
    }
    if (rc == 0 && w->commit)
        users_settle(w);
    free(gone);
    return rc;
}

static int delete_qos(struct work *w)
{
    struct tenants *tn = w->c->tenants;
    if (w->wheres == 0)
        return err_set(w->err, SL_EINVAL_FIELD, "No condition given: which QOS?");
    if (may(w, NONE) < 0)
        return w->err->code;
    for (uint32_t i = 0; i < tn->qoses; i++) {
        const char *name = text_of(w->c, tn->qos[i].name);
        if (!tn->qos[i].live || !matches(w, KEY_NAME, KEY_QOS, name))
            continue;
        if (strcmp(name, "normal") == 0)
            return err_set(w->err, SL_EINVAL_QOS, "the QOS normal is the default and can not be removed");
        if (tn->qos[i].usage.submitted)
            return err_set(w->err, SL_EINVAL_STATE, "Job(s) active, cancel job(s) before remove: QOS %s has %u jobs",
                           name, tn->qos[i].usage.submitted);
        buf_printf(w->say, "  %s\n", name);
        note(w, TENANT_QOS, i);
        if (w->commit)
            qos_remove(w->c, i);
    }
    return 0;
}

/* ---- the request ---------------------------------------------------------------------------------------- */

static const enum tenant_key add_account_keys[] = {KEY_NAME, KEY_ACCOUNT, KEY_PARENT, KEY_DESCRIPTION, KEY_ORGANIZATION, KEY_NONE};
static const enum tenant_key add_user_keys[] = {KEY_NAME, KEY_USER, KEY_ACCOUNT, KEY_PARTITION, KEY_DEFAULT_ACCOUNT, KEY_DEFAULT_WCKEY, KEY_ADMIN_LEVEL, KEY_NONE};

static int add_named(struct work *w, enum tenant_key key, enum tenant_key or, name_f fn, const enum tenant_key *keys)
{
    const char *names = given(w, key, or);
    if (!names || !names[0])
        return err_set(w->err, SL_EINVAL_FIELD, "Need a name: name=");
    if (keys && keys_allowed(w, w->set, w->sets, keys) < 0)
        return w->err->code;
    return each_name(w, names, fn, NULL);
}

static int op_add_account(struct work *w) { return add_named(w, KEY_NAME, KEY_ACCOUNT, add_account, add_account_keys); }
static int op_add_user(struct work *w) { return add_named(w, KEY_NAME, KEY_USER, add_user, add_user_keys); }
static int op_add_qos(struct work *w) { return may(w, NONE) < 0 ? w->err->code : add_named(w, KEY_NAME, KEY_QOS, add_qos, NULL); }
static int op_modify_account(struct work *w) { return modify_assocs(w, false); }

static const struct {
    Sl__TenantOp op;
    const char *what, *action, *says;
    unsigned owner;
    int (*run)(struct work *w);
} ops[] = {
    {SL__TENANT_OP__TENANT_OP_ADD, "account", "Add Accounts", " Adding Account(s)", LIMIT_OF_ASSOC, op_add_account},
    {SL__TENANT_OP__TENANT_OP_ADD, "user", "Add Users", " Adding User(s) to", LIMIT_OF_ASSOC, op_add_user},
    {SL__TENANT_OP__TENANT_OP_ADD, "qos", "Add QOS", " Adding QOS(s)", LIMIT_OF_QOS, op_add_qos},
    {SL__TENANT_OP__TENANT_OP_ADD, "coordinator", "Add Coordinators", " Adding Coordinator(s)", LIMIT_OF_ASSOC, coordinator},
    {SL__TENANT_OP__TENANT_OP_MODIFY, "account", "Modify Accounts", " Modified account associations...", LIMIT_OF_ASSOC, op_modify_account},
    {SL__TENANT_OP__TENANT_OP_MODIFY, "user", "Modify Users", " Modified user associations...", LIMIT_OF_ASSOC, modify_user},
    {SL__TENANT_OP__TENANT_OP_MODIFY, "qos", "Modify QOS", " Modified qos...", LIMIT_OF_QOS, modify_qos},
    {SL__TENANT_OP__TENANT_OP_MODIFY, "cluster", "Modify Clusters", " Modified cluster...", LIMIT_OF_ASSOC, modify_cluster},
    {SL__TENANT_OP__TENANT_OP_DELETE, "account", "Remove Accounts", " Deleting accounts...", LIMIT_OF_ASSOC, delete_account},
    {SL__TENANT_OP__TENANT_OP_DELETE, "user", "Remove Users", " Deleting user associations...", LIMIT_OF_ASSOC, delete_user},
    {SL__TENANT_OP__TENANT_OP_DELETE, "qos", "Remove QOS", " Deleting QOS(s)...", LIMIT_OF_QOS, delete_qos},
    {SL__TENANT_OP__TENANT_OP_DELETE, "coordinator", "Remove Coordinators", " Removing Coordinator(s)", LIMIT_OF_ASSOC, coordinator},
};

static char *pairs_text(Sl__KeyValue *const *v, size_t n)
{
    struct buf b;
    buf_init(&b);
    for (size_t i = 0; i < n && b.len < 4096; i++)
        buf_printf(&b, "%s%.64s=%.255s", i ? " " : "", v[i]->key, v[i]->value);
    char *text = buf_steal(&b);
    return text ? text : xstrdup("");
}

static void transaction_add(struct work *w, const char *action)
{
    struct tenants *tn = w->c->tenants;
    const Sl__TenantRequest *r = w->cmd->tenant;
    if (tn->log_count == TRANSACTIONS_MAX) {
        batch_change(w->out, CHANGE_TENANT, tn->log[0].id, TENANT_LOG);
        transaction_fini(&tn->log[0]);
        memmove(tn->log, tn->log + 1, --tn->log_count * sizeof *tn->log);
    }
    GROW(tn->log, tn->log_cap, tn->log_count + 1);
    tn->log[tn->log_count++] = (struct transaction){
        tn->log_next, w->c->now, xstrdup(w->cmd->actor.user ? w->cmd->actor.user : ""),
        xstrdup(action), pairs_text(r->where, r->n_where), pairs_text(r->set, r->n_set)};
    batch_change(w->out, CHANGE_TENANT, tn->log_next++, TENANT_LOG);
}

static int pairs_take(struct work *w, Sl__KeyValue *const *v, size_t n, unsigned owner, struct tenant_pair *to, size_t *count)
{
    if (n > PAIRS_MAX)
        return err_set(w->err, SL_ETOO_MANY, "%zu options, the limit is %d", n, PAIRS_MAX);
    for (size_t i = 0; i < n; i++)
        if (tenant_pair_parse(v[i], owner, &to[(*count)++], w->err) < 0)
            return w->err->code;
    return 0;
}

/* Jobs may be bound to what is new, and all is ranked anew. */
static void tenants_changed(struct work *w)
{
    struct core *c = w->c;
    assocs_link(c);
    for (uint32_t i = 0; i < c->jobs; i++)
        if (c->job[i]->state == JOB_PENDING || c->job[i]->charge)
            tenant_rebind(c, c->job[i], w->out);
    c->tenants->generation++;
    priority_totals(c);
    priority_all(c, c->now);
    plan_afresh(c);
}

int tenant_apply(struct core *c, const struct command *cmd, usec_t now, struct batch *out, struct err *err)
{
    const Sl__TenantRequest *r = cmd->tenant;
    enum admin_level level = tenant_level(c, cmd->actor.user);
    struct work *w = xcalloc(1, sizeof *w);
    size_t k = 0, count = sizeof ops / sizeof *ops;
    int rc = 0;
    (void)now;
    *w = (struct work){.c = c, .cmd = cmd, .out = out, .err = err, .say = &out->said,
                       .admin = cmd->actor.admin || level == ADMIN_ADMIN,
                       .operator = cmd->actor.admin || level >= ADMIN_OPERATOR};
    while (k < count && (ops[k].op != r->op || strcmp(ops[k].what, r->what) != 0))
        k++;
    if (k == count)
        rc = err_set(err, SL_EINVAL_FIELD, "%.32s: can not be changed like that", r->what);
    if (rc == 0)
        rc = pairs_take(w, r->where, r->n_where, ops[k].owner, w->where, &w->wheres);
    if (rc == 0)
        rc = pairs_take(w, r->set, r->n_set, ops[k].owner, w->set, &w->sets);
    buf_clear(w->say);
    if (rc == 0) {
        buf_printf(w->say, "%s\n", ops[k].says);
        rc = ops[k].run(w);
    }
    if (rc == 0 && w->changed == 0)
        rc = err_set(err, -ENOENT, "%s", r->op == SL__TENANT_OP__TENANT_OP_ADD ? "Nothing new added."
                                         : r->op == SL__TENANT_OP__TENANT_OP_MODIFY ? "Nothing modified" : "Nothing deleted");
    if (rc == 0 && !r->dry_run) {
        w->commit = true;
        buf_clear(w->say);
        buf_printf(w->say, "%s\n", ops[k].says);
        ASSERT(ops[k].run(w) == 0);
        transaction_add(w, ops[k].action);
        tenants_changed(w);
    }
    if (rc < 0)
        buf_clear(w->say);
    free(w);
    return rc;
}

int core_user_level(const struct core *c, const char *user)
{
    return (int)tenant_level(c, user);
}
