/* SPDX-License-Identifier: Apache-2.0
 *
 * sacctmgr: accounts, users, QOS and their limits, sacctmgr(1).
 */
#include "sacctmgr.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

const char sacctmgr_program[] = "sacctmgr";
#define LINE_WORDS_MAX 512

static struct {
    bool associations, immediate, noheader, parsable, parsable2, quiet, readonly;
} opt;

static const struct command_option options[] = {
    {"associations", 's', NULL, "with show and list: the associations of each", NULL, &opt.associations, NULL},
    {"help", 'h', NULL, "show this help and exit", NULL, &command_shared.help, NULL},
    {"immediate", 'i', NULL, "change without asking", NULL, &opt.immediate, NULL},
    {"noheader", 'n', NULL, "no header line", NULL, &opt.noheader, NULL},
    {"parsable", 'p', NULL, "columns end in '|'", NULL, &opt.parsable, NULL},
    {"parsable2", 'P', NULL, "columns are separated by '|'", NULL, &opt.parsable2, NULL},
    {"quiet", 'Q', NULL, "say nothing but errors", NULL, &opt.quiet, NULL},
    {"readonly", 'r', NULL, "refuse to change anything", NULL, &opt.readonly, NULL},
    {NULL, 0, NULL, NULL, NULL, NULL, NULL},
};

static const char usage_words[] =
    "[OPTIONS] [COMMAND]\n"
    "  add|create ENTITY SPECS        account, user, qos, coordinator\n"
    "  modify ENTITY [where] SPECS set SPECS\n"
    "  delete|remove ENTITY [where] SPECS\n"
    "  list|show ENTITY [SPECS] [format=FIELDS]\n"
    "                                 account, association, cluster, qos, transaction, tres, user\n"
    "  dump CLUSTER [file=NAME]       associations to a file\n"
    "  load FILE                      and back\n"
    "Without a command, commands are read line by line";

static const struct command command = {.program = sacctmgr_program, .options = options,
                                       .usage = usage_words, .operands = true};

int sacctmgr_fail(const char *fmt, ...)
{
    va_list ap;
    fflush(stdout);
    fputc(' ', stderr);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    return 1;
}

enum tenant_style sacctmgr_style(const struct sacctmgr *m)
{
    return m->parsable2 ? TENANT_PARSABLE2 : m->parsable ? TENANT_PARSABLE : TENANT_ALIGNED;
}

/* ---- words --------------------------------------------------------------------------------- */

enum entity sacctmgr_entity(const char *word)
{
    static const struct {
        const char *name;
        size_t least;
        enum entity entity;
    } names[] = {
        {"accounts", 3, ENTITY_ACCOUNT},       {"associations", 3, ENTITY_ASSOC},
        {"clusters", 2, ENTITY_CLUSTER},       {"configuration", 3, ENTITY_CONFIG},
        {"coordinators", 4, ENTITY_COORDINATOR}, {"qos", 1, ENTITY_QOS},
        {"transactions", 4, ENTITY_TRANSACTION}, {"txn", 3, ENTITY_TRANSACTION},
        {"tres", 4, ENTITY_TRES},              {"users", 1, ENTITY_USER},
        {"events", 1, ENTITY_OTHER},           {"federations", 1, ENTITY_OTHER},
        {"jobs", 1, ENTITY_OTHER},             {"problems", 1, ENTITY_OTHER},
        {"reservations", 4, ENTITY_OTHER},     {"resources", 4, ENTITY_OTHER},
        {"runawayjobs", 2, ENTITY_OTHER},      {"stats", 1, ENTITY_OTHER},
        {"wckeys", 1, ENTITY_OTHER},           {"archive", 3, ENTITY_OTHER},
    };
    size_t n = strlen(word);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (n >= names[i].least && n <= strlen(names[i].name) && strncasecmp(names[i].name, word, n) == 0)
            return names[i].entity;
    return ENTITY_NONE;
}

static bool is_word(const char *word, const char *name, size_t least)
{
    size_t n = strlen(word);
    return n >= least && n <= strlen(name) && strncasecmp(name, word, n) == 0;
}

static int with_entity(struct sacctmgr *m, Sl__TenantOp op, int argc, char **argv)
{
    enum entity what = argc > 1 ? sacctmgr_entity(argv[1]) : ENTITY_NONE;
    if (what == ENTITY_NONE)
        return sacctmgr_fail("No valid entity in %s command: account, association, cluster, coordinator, "
                             "qos, transaction, tres, user", argv[0]);
    if (what == ENTITY_OTHER)
        return sacctmgr_fail("%s are not built yet", argv[1]);
    if (op == SL__TENANT_OP__TENANT_OP_NONE)
        return sacctmgr_show(m, what, argc - 2, argv + 2);
    return sacctmgr_change(m, op, what, argc - 2, argv + 2);
}

static int command_run(struct sacctmgr *m, int argc, char **argv)
{
    const char *w = argv[0];
    if (is_word(w, "add", 1) || is_word(w, "create", 2))
        return with_entity(m, SL__TENANT_OP__TENANT_OP_ADD, argc, argv);
    if (is_word(w, "modify", 1) || is_word(w, "update", 1))
        return with_entity(m, SL__TENANT_OP__TENANT_OP_MODIFY, argc, argv);
    if (is_word(w, "delete", 2) || is_word(w, "remove", 3))
        return with_entity(m, SL__TENANT_OP__TENANT_OP_DELETE, argc, argv);
    if (is_word(w, "list", 1) || is_word(w, "show", 2))
        return with_entity(m, SL__TENANT_OP__TENANT_OP_NONE, argc, argv);
    if (is_word(w, "associations", 3))
        return sacctmgr_show(m, ENTITY_ASSOC, argc - 1, argv + 1);
    if (is_word(w, "dump", 2))
        return sacctmgr_dump(m, argc - 1, argv + 1);
    if (is_word(w, "load", 2))
        return sacctmgr_load(m, argc - 1, argv + 1);
    if (is_word(w, "help", 1)) {
        command_help(&command);
        return 0;
    }
    if (is_word(w, "version", 4)) {
        command_version();
        return 0;
    }
    if (is_word(w, "archive", 2) || is_word(w, "clear", 2) || is_word(w, "reconfigure", 3) || is_word(w, "shutdown", 3))
        return sacctmgr_fail("%s: there is no accounting daemon of its own here; see scontrol(1)", w);
    return sacctmgr_fail("Invalid command: %s (see --help)", w);
}

/* ---- interactive ------------------------------------------------------------------------------ */

/* Words of a line; quotes hold blanks together and are left to the values. */
static int line_split(char *line, char **words)
{
    int n = 0;
    char *p = line;
    while (n < LINE_WORDS_MAX) {
        char quote = '\0';
        p += strspn(p, " \t\r\n");
        if (*p == '\0')
            return n;
        words[n++] = p;
        for (; *p != '\0' && (quote || strchr(" \t\r\n", *p) == NULL); p++)
            if (*p == quote)
                quote = '\0';
            else if (!quote && (*p == '"' || *p == '\''))
                quote = *p;
        if (*p != '\0')
            *p++ = '\0';
    }
    return n;
}

static int interactive(struct sacctmgr *m)
{
    char *line = NULL, *last = NULL, *words[LINE_WORDS_MAX];
    size_t cap = 0;
    int rc = 0;
    bool tty = isatty(STDIN_FILENO);
    for (;;) {
        if (tty) {
            fputs("sacctmgr: ", stdout);
            fflush(stdout);
        }
        if (getline(&line, &cap, stdin) < 0)
            break;
        char *text = xstrdup(strncmp(line, "!!", 2) == 0 && last ? last : line);
        free(last);
        last = xstrdup(text);
        int n = line_split(text, words);
        bool end = n && (is_word(words[0], "exit", 1) || is_word(words[0], "quit", 4));
        if (n && is_word(words[0], "quiet", 4))
            m->quiet = true;
        else if (n && is_word(words[0], "verbose", 4))
            m->verbose = true;
        else if (n && !end && words[0][0] != '#')
            rc = command_run(m, n, words);
        free(text);
        if (end)
            break;
    }
    free(line);
    free(last);
    return rc;
}

static int run(int argc, char **argv)
{
    struct err err = {0};
    struct sacctmgr m = {.quiet = false};
    int at, code;

    if (!command_begin(&command, argc, argv, &at, &code))
        return code;
    m.immediate = opt.immediate;
    m.noheader = opt.noheader;
    m.parsable = opt.parsable;
    m.parsable2 = opt.parsable2;
    m.quiet = opt.quiet;
    m.readonly = opt.readonly;
    m.associations = opt.associations;
    m.verbose = command_shared.verbose;
    if (client_init(&m.client, sacctmgr_program, &err) != 0)
        return command_fail(sacctmgr_program, &err);
    int rc = at < argc ? command_run(&m, argc - at, argv + at) : interactive(&m);
    client_fini(&m.client);
    return rc;
}

int main(int argc, char **argv)
{
    return command_end(sacctmgr_program, run(argc, argv));
}
