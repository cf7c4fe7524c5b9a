/* SPDX-License-Identifier: Apache-2.0
 *
 * wire_tls.so: TLS 1.3 sessions under an external pre-shared key.
 *
 * The only suite is TLS_AES_128_GCM_SHA256 (its hash fits the 32-byte key), the only
 * key exchange psk_dhe_ke: OpenSSL does not do psk_ke unless told to. There are no
 * certificates, no tickets and no session cache. A client takes no session that
 * did not resume from its key.
 */
#include "config.h"
#include "wire/tls.h"
#include "wire/tlscred.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static const char identity[] = "sl";
static const unsigned char suite_id[2] = {0x13, 0x01}; /* TLS_AES_128_GCM_SHA256 */

struct session {
    struct wire_tls tls;
    SSL *ssl;
    SSL_SESSION *psk; /* holds the key until the handshake is done */
    bool server;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static SSL_CTX *contexts[2]; /* client, server; live as long as the process */
static BIO_METHOD *socket_method;

int module_fail(struct err *err, int code, const char *fmt, ...)
{
    if (err) {
        va_list ap;
        va_start(ap, fmt);
        err->code = code;
        vsnprintf(err->text, sizeof(err->text), fmt, ap);
        va_end(ap);
    }
    return code;
}

static int fail_ssl(struct err *err, int code, const char *what)
{
    unsigned long e = ERR_get_error();
    const char *reason = e ? ERR_reason_error_string(e) : NULL;
    ERR_clear_error();
    return module_fail(err, code, "%s: %s", what, reason ? reason : "unknown error");
}

/* ---- a socket BIO that raises no SIGPIPE ---------------------------------------- */

static int bio_fd(BIO *b)
{
    return (int)(intptr_t)BIO_get_data(b);
}

static int bio_result(BIO *b, ssize_t n, bool reading)
{
    BIO_clear_retry_flags(b);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        if (reading)
            BIO_set_retry_read(b);
        else
            BIO_set_retry_write(b);
    }
    return (int)n;
}

static int bio_read(BIO *b, char *p, int n)
{
    return bio_result(b, recv(bio_fd(b), p, (size_t)n, MSG_DONTWAIT), true);
}

static int bio_write(BIO *b, const char *p, int n)
{
    ssize_t put = send(bio_fd(b), p, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
    return bio_result(b, put, false);
}

static long bio_ctrl(BIO *b, int cmd, long num, void *ptr)
{
    (void)b;
    (void)num;
    (void)ptr;
    return cmd == BIO_CTRL_FLUSH;
}

static BIO_METHOD *bio_method_create(void)
{
    BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "wire");
    if (!m)
        return NULL;
    BIO_meth_set_read(m, bio_read);
    BIO_meth_set_write(m, bio_write);
    BIO_meth_set_ctrl(m, bio_ctrl);
    return m;
}

/* ---- contexts -------------------------------------------------------------------- */

/* Both callbacks hand out a reference of their own. */
static int use_psk(SSL *ssl, const EVP_MD *md, const unsigned char **id, size_t *id_len,
                   SSL_SESSION **sess)
{
    struct session *s = SSL_get_app_data(ssl);
    (void)md;
    *sess = NULL;
    if (!s->psk || !SSL_SESSION_up_ref(s->psk))
        return 0;
    *id = (const unsigned char *)identity;
    *id_len = sizeof(identity) - 1;
    *sess = s->psk;
    return 1;
}

static int find_psk(SSL *ssl, const unsigned char *id, size_t id_len,
                    SSL_SESSION **sess)
{
    struct session *s = SSL_get_app_data(ssl);
    *sess = NULL;
    if (id_len != sizeof(identity) - 1 || memcmp(id, identity, id_len) != 0 || !s->psk)
        return 1;
    if (!SSL_SESSION_up_ref(s->psk))
        return 0;
    *sess = s->psk;
    return 1;
}

static SSL_CTX *context_create(bool server)
{
    SSL_CTX *ctx = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
    if (!ctx)
        return NULL;
    if (!SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) ||
        !SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) ||
        !SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256") ||
        !SSL_CTX_set_num_tickets(ctx, 0)) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    SSL_CTX_clear_options(ctx, SSL_OP_ALLOW_NO_DHE_KEX);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(ctx, 1);
    if (server) {
        SSL_CTX_set_psk_find_session_callback(ctx, find_psk);
    } else {
        /* There are no trusted roots, so no certificate passes. */
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
        SSL_CTX_set_psk_use_session_callback(ctx, use_psk);
    }
    return ctx;
}

static void contexts_create(void)
{
    socket_method = bio_method_create();
    contexts[0] = context_create(false);
    contexts[1] = context_create(true);
}

/* ---- sessions -------------------------------------------------------------------- */

static void session_destroy(struct wire_tls *t)
{
    struct session *s = (struct session *)t;
    if (!s)
        return;
    SSL_free(s->ssl);
    SSL_SESSION_free(s->psk); /* OpenSSL clears the key */
    OPENSSL_free(s);
}

static SSL_SESSION *psk_session(SSL *ssl, const unsigned char psk[PSK_BYTES])
{
    const SSL_CIPHER *cipher = SSL_CIPHER_find(ssl, suite_id);
    SSL_SESSION *sess = SSL_SESSION_new();
    if (sess && cipher && SSL_SESSION_set1_master_key(sess, psk, PSK_BYTES) &&
        SSL_SESSION_set_cipher(sess, cipher) &&
        SSL_SESSION_set_protocol_version(sess, TLS1_3_VERSION))
        return sess;
    SSL_SESSION_free(sess);
    return NULL;
}

static struct wire_tls *
session_create(int fd, bool server, const unsigned char psk[PSK_BYTES], struct err *err)
{
    pthread_once(&once, contexts_create);
    if (!contexts[server] || !socket_method) {
        fail_ssl(err, -EIO, "TLS cannot be set up");
        return NULL;
    }
    struct session *s = OPENSSL_zalloc(sizeof(*s));
    if (!s) {
        module_fail(err, -ENOMEM, "no memory for a TLS session");
        return NULL;
    }
    s->tls.module = &wire_tls_module;
    s->server = server;
    s->ssl = SSL_new(contexts[server]);
    BIO *bio = BIO_new(socket_method);
    s->psk = s->ssl ? psk_session(s->ssl, psk) : NULL;
    if (!s->psk || !bio) {
        fail_ssl(err, -EIO, "TLS cannot be set up");
        BIO_free(bio);
        session_destroy(&s->tls);
        return NULL;
    }
    BIO_set_data(bio, (void *)(intptr_t)fd);
    BIO_set_init(bio, 1);
    SSL_set_bio(s->ssl, bio, bio);
    SSL_set_app_data(s->ssl, s);
    if (server)
        SSL_set_accept_state(s->ssl);
    else
        SSL_set_connect_state(s->ssl);
    return &s->tls;
}

/* Result of an SSL call that did not succeed: 0 end of file, else negative. */
static int ssl_result(struct session *s, int rc, struct err *err)
{
    int saved = errno;
    switch (SSL_get_error(s->ssl, rc)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return -EAGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    case SSL_ERROR_SYSCALL:
        ERR_clear_error();
        if (saved == 0)
            return 0;
        return module_fail(err, -saved, "connection lost: %s", strerror(saved));
    default:
        /* A peer that died sends no goodbye. Frames have lengths, so that an early end
         * cannot pass for a complete message. */
        if (ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
            ERR_clear_error();
            return 0;
        }
        return fail_ssl(err, SL_EPROTO, "TLS");
    }
}

static int session_handshake(struct wire_tls *t, bool *want_write, struct err *err)
{
    struct session *s = (struct session *)t;
    ERR_clear_error();
    errno = 0;
    int rc = SSL_do_handshake(s->ssl);
    if (rc != 1) {
        *want_write = SSL_want_write(s->ssl);
        rc = ssl_result(s, rc, err);
        if (rc == -EAGAIN)
            return 0;
        if (rc == 0)
            module_fail(err, SL_EAUTH, "the connection was closed in the handshake");
        else if (err && rc == SL_EPROTO)
            err->code = SL_EAUTH;
        return SL_EAUTH;
    }
    if (!SSL_session_reused(s->ssl))
        return module_fail(err, SL_EAUTH, "TLS: the peer does not know the key");
    SSL_SESSION_free(s->psk);
    s->psk = NULL;
    return 1;
}

static ssize_t session_read(struct wire_tls *t, void *p, size_t n, struct err *err)
{
    struct session *s = (struct session *)t;
    ERR_clear_error();
    errno = 0;
    int rc = SSL_read(s->ssl, p, n > INT32_MAX ? INT32_MAX : (int)n);
    return rc > 0 ? rc : ssl_result(s, rc, err);
}

static ssize_t session_write(struct wire_tls *t, const void *p, size_t n,
                             struct err *err)
{
    struct session *s = (struct session *)t;
    ERR_clear_error();
    errno = 0;
    int rc = SSL_write(s->ssl, p, n > INT32_MAX ? INT32_MAX : (int)n);
    if (rc > 0)
        return rc;
    rc = ssl_result(s, rc, err);
    return rc ? rc : module_fail(err, -EPIPE, "connection closed by the peer");
}

static void session_finish(struct wire_tls *t)
{
    struct session *s = (struct session *)t;
    ERR_clear_error();
    (void)SSL_shutdown(s->ssl);
    ERR_clear_error();
}

const struct wire_tls_module wire_tls_module = {
    .version = PACKAGE_VERSION,
    .cred_encode = cred_encode,
    .cred_decode = cred_decode,
    .create = session_create,
    .destroy = session_destroy,
    .handshake = session_handshake,
    .read = session_read,
    .write = session_write,
    .finish = session_finish,
};
