/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_client [OPTIONS] TARGET TYPE[,TYPE...]|ALL COUNT SEED: hostile messages for a
 * running daemon, COUNT of each type.
 *
 * Half are right messages of which fields were changed, so that they pass the first
 * checks; a third have damaged bytes; the others have random fields. Each frame is
 * looked at: one that wire_unpack() refuses must make the daemon hang up, and the
 * next goes over a fresh connection. After each type the daemon must take a
 * connection and hang up on nonsense. One line a type tells what was sent and answered.
 *
 * Exit status 0: it does all that; 1: it does not (the seed and the frame's number are
 * printed); 2: usage.
 */
#include "lib/specimen.h"

#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ANSWER_SEC 60
#define SYNC_TAG 0xfffffff0u

struct counts {
    unsigned long sent, whole, answers, errors, hangups, connects;
};
struct target {
    const char *name;
    struct wire_dial_opts dial;
    struct wire_conn *conn; /* NULL: none */
    struct specimen_args args;
    bool tame, sync, say;
    struct counts now;
};

static char doing[128];

/* A daemon that neither reads nor answers is as good as dead. */
static void on_alarm(int sig)
{
    (void)sig;
    (void)!write(STDERR_FILENO, doing, strlen(doing));
    (void)!write(STDERR_FILENO, ": no answer\n", 12);
    _exit(1);
}

static bool target_connect(struct target *t)
{
    struct err err;
    t->conn = wire_dial(t->name, &t->dial, &err);
    t->now.connects++;
    if (!t->conn)
        fprintf(stderr, "%s: %s\n", t->name, err.text);
    return t->conn != NULL;
}

static void target_close(struct target *t)
{
    wire_conn_close(t->conn);
    t->conn = NULL;
}

static void answer_count(struct target *t, const struct wire_msg *m)
{
    if (m->type != WIRE_ERROR) {
        t->now.answers++;
        return;
    }
    t->now.errors++;
    if (t->say)
        printf("  %s\n", ((Sl__ErrorReply *)m->body)->text);
}

/* Takes in what the daemon says, until it has nothing to say or (to_end) hangs up. */
static void target_drain(struct target *t, bool to_end)
{
    struct wire_msg m = {0};
    int rc;
    while ((rc = wire_recv(t->conn, to_end ? -1 : 0, &m, NULL)) == 1) {
        answer_count(t, &m);
        wire_msg_clear(&m);
    }
    if (rc < 0) {
        t->now.hangups++;
        target_close(t);
    }
}

/* Waits until all that was sent is answered; what comes next ends the connection and
 * with it the answers under way. An operation on no job is answered after those before. */
static void target_sync(struct target *t)
{
    Sl__JobOpRequest q = SL__JOB_OP_REQUEST__INIT;
    struct wire_msg m = {0};
    bool done = false;
    int rc = 1;
    q.op = SL__JOB_OP__JOB_OP_HOLD;
    if (wire_send(t->conn, WIRE_JOB_OP, SYNC_TAG, &q.base, NULL) < 0)
        return;
    while (!done && (rc = wire_recv(t->conn, -1, &m, NULL)) == 1) {
        done = m.tag == SYNC_TAG;
        if (!done)
            answer_count(t, &m);
        wire_msg_clear(&m);
    }
}

static bool target_alive(struct target *t)
{
    static const uint8_t nonsense[WIRE_HEADER_BYTES] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                                        0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    if (t->conn)
        target_close(t);
    alarm(ANSWER_SEC);
    if (!target_connect(t))
        return false;
    if (wire_send_packed(t->conn, nonsense, sizeof(nonsense), NULL) == 0)
        target_drain(t, true);
    if (t->conn)
        target_close(t);
    alarm(0);
    return true;
}

/* What a receiver makes of these bytes: 1 messages and nothing else, 0 it waits for
 * more, negative it hangs up. */
static int fate(const struct buf *frame)
{
    struct buf in;
    struct wire_msg m = {0};
    int rc = 1;
    buf_init(&in);
    buf_put(&in, frame->data, frame->len);
    while (in.len > 0 && (rc = wire_unpack(&in, true, &m, NULL)) == 1)
        wire_msg_clear(&m);
    buf_fini(&in);
    return rc;
}

/* What would end the daemon or step that the others are still to be sent to. */
static void message_tame(struct mutate *r, ProtobufCMessage *m)
{
    static const uint32_t signals[] = {0, SIGCONT, SIGURG, SIGWINCH, 65, 1000, INT32_MAX};
    if (m->descriptor == &sl__step_signal__descriptor) {
        ((Sl__StepSignal *)m)->terminate = false;
        ((Sl__StepSignal *)m)->signal = signals[mutate_below(r, 7)];
    } else if (m->descriptor == &sl__control_request__descriptor &&
               ((Sl__ControlRequest *)m)->op == SL__CONTROL_OP__CONTROL_SHUTDOWN) {
        ((Sl__ControlRequest *)m)->op = SL__CONTROL_OP__CONTROL_PING;
    }
}

static void frame_make(struct mutate *r, const struct target *t,
                       const struct wire_type_info *info, uint32_t tag, struct buf *frame)
{
    static const size_t odds[] = {8, 40, 200}; /* some messages have a hundred fields */
    size_t how = mutate_below(r, 6);
    buf_clear(frame);
    for (;;) { /* a random message may be over the bound of a small type */
        ProtobufCMessage *m = how ? specimen_make(r, info->type, &t->args) : NULL;
        if (m)
            mutate_change(r, m, odds[mutate_below(r, 3)]);
        else
            m = mutate_message(r, info->descriptor);
        if (t->tame)
            message_tame(r, m);
        int rc = wire_pack(frame, info->type, tag, m, NULL);
        protobuf_c_message_free_unpacked(m, NULL);
        if (rc == 0)
            break;
    }
    if (how > 3 && !(t->tame && (info->type == WIRE_STEP_SIGNAL || info->type == WIRE_CONTROL)))
        mutate_damage(r, frame, 0, mutate_below(r, 8) != 0);
}

static int fuzz(struct target *t, const struct wire_type_info *info, unsigned long count,
                uint64_t seed)
{
    struct mutate r;
    struct buf frame;
    int rc = 0;
    t->now = (struct counts){0};
    buf_init(&frame);
    mutate_seed(&r, seed ^ ((uint64_t)info->type << 32));
    for (unsigned long i = 0; i < count && rc == 0; i++) {
        snprintf(doing, sizeof(doing), "%s seed %llu frame %lu", info->name,
                 (unsigned long long)seed, i);
        frame_make(&r, t, info, (uint32_t)i + 1, &frame);
        alarm(ANSWER_SEC);
        if (!t->conn && !target_connect(t)) {
            rc = 1;
            break;
        }
        int end = fate(&frame);
        if (end <= 0 && t->sync)
            target_sync(t);
        t->now.sent++;
        t->now.whole += end == 1;
        bool cut = wire_send_packed(t->conn, frame.data, frame.len, NULL) < 0;
        if (cut || end == 0)
            target_close(t);
        else
            target_drain(t, end < 0);
        t->now.hangups += cut;
    }
    alarm(0);
    buf_fini(&frame);
    if (t->conn && t->sync)
        target_sync(t);
    if (rc == 0 && !target_alive(t))
        rc = 1;
    if (rc != 0)
        fprintf(stderr, "%s: no answer\n", doing);
    printf("%-18s sent=%lu whole=%lu answers=%lu errors=%lu hangups=%lu connects=%lu %s\n",
           info->name, t->now.sent, t->now.whole, t->now.answers, t->now.errors, t->now.hangups,
           t->now.connects, rc ? "DEAD" : "alive");
    fflush(stdout);
    return rc;
}

static bool wanted(const char *list, const char *name)
{
    size_t n = strlen(name);
    if (strcmp(list, "ALL") == 0)
        return true;
    for (const char *p = list; p; p = strchr(p, ','), p = p ? p + 1 : NULL)
        if (strncmp(p, name, n) == 0 && (p[n] == ',' || p[n] == '\0'))
            return true;
    return false;
}

static int usage(void)
{
    fprintf(stderr,
            "usage: fuzz_client [--user NAME] [--route ROUTE] [--munge SOCKET] [--service UID]\n"
            "         [--jobs N] [--tame] [--sync] [--say] TARGET TYPE[,TYPE...]|ALL COUNT SEED\n"
            "  --user     becomes that user first: root's messages may be valid orders\n"
            "  --service  uid that the daemon at HOST:PORT runs as\n"
            "  --jobs     job ids up to N are named\n"
            "  --sync     of a controller: waits for answers before it is cut off\n"
            "  --say      prints each error that the daemon answers\n"
            "  --tame     sends nothing that ends the daemon or step by right\n");
    return 2;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"user", required_argument, NULL, 'u'},    {"route", required_argument, NULL, 'r'},
        {"munge", required_argument, NULL, 'm'},   {"service", required_argument, NULL, 's'},
        {"jobs", required_argument, NULL, 'j'},    {"tame", no_argument, NULL, 't'},
        {"sync", no_argument, NULL, 'y'},
        {"say", no_argument, NULL, 'v'},
        {NULL, 0, NULL, 0}};
    struct target t = {.dial.timeout = ANSWER_SEC * USEC_PER_SEC};
    const struct passwd *user = NULL;
    int c;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
        case 'u':
            if (!(user = getpwnam(optarg)))
                return usage();
            break;
        case 'r': t.dial.route = optarg; break;
        case 'm': t.dial.munge_socket = optarg; break;
        case 's': t.dial.service_uid = (uid_t)strtoul(optarg, NULL, 10); break;
        case 'j': t.args.job_max = (uint32_t)strtoul(optarg, NULL, 10); break;
        case 't': t.tame = true; break;
        case 'y': t.sync = true; break;
        case 'v': t.say = true; break;
        default: return usage();
        }
    }
    if (argc - optind != 4)
        return usage();
    if (user && (setgroups(0, NULL) < 0 || setgid(user->pw_gid) < 0 ||
                 setuid(user->pw_uid) < 0)) {
        perror("setuid");
        return 2;
    }
    signal(SIGALRM, on_alarm);
    signal(SIGPIPE, SIG_IGN);
    t.name = argv[optind];
    t.args.uid = getuid();
    t.args.gid = getgid();
    size_t types_count;
    const struct wire_type_info *types = wire_types(&types_count);
    int rc = 0, known = 0;
    for (size_t i = 0; i < types_count && rc == 0; i++)
        if (wanted(argv[optind + 1], types[i].name)) {
            known = 1;
            rc = fuzz(&t, &types[i], strtoul(argv[optind + 2], NULL, 10),
                      strtoull(argv[optind + 3], NULL, 10));
        }
    if (!known)
        fprintf(stderr, "%s: no such message type\n", argv[optind + 1]);
    return known ? rc : 2;
}
