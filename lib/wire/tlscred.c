/* SPDX-License-Identifier: Apache-2.0
 *
 * wire_tls.so: munge credentials that carry a key.
 *
 * The payload is 32 random bytes, encrypted by munge and restricted to the uid that
 * the service runs as. The pre-shared key is HMAC-SHA256 of them over a label and the
 * route, so that a man in the middle who changes the plaintext route only makes the
 * handshake fail.
 */
#include "wire/tlscred.h"

#include <errno.h>
#include <munge.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LABEL "slurmlike wire 1:"
#define KEY_BYTES 32

static int psk_derive(const unsigned char key[KEY_BYTES], const char *route,
                      unsigned char psk[PSK_BYTES], struct err *err)
{
    char text[sizeof(LABEL) + ROUTE_BYTES_MAX];
    int n = snprintf(text, sizeof(text), LABEL "%s", route);
    unsigned len = PSK_BYTES;
    if (n < 0 || (size_t)n >= sizeof(text) ||
        !HMAC(EVP_sha256(), key, KEY_BYTES, (const unsigned char *)text, (size_t)n, psk,
              &len))
        return module_fail(err, SL_EAUTH, "the key cannot be derived");
    return 0;
}

static munge_ctx_t context(const char *munge_socket, struct err *err)
{
    munge_ctx_t ctx = munge_ctx_create();
    if (!ctx)
        module_fail(err, -ENOMEM, "munge: out of memory");
    else if (munge_socket && *munge_socket &&
             munge_ctx_set(ctx, MUNGE_OPT_SOCKET, munge_socket) != EMUNGE_SUCCESS) {
        module_fail(err, SL_EAUTH, "munge socket %s: %s", munge_socket,
                    munge_ctx_strerror(ctx));
        munge_ctx_destroy(ctx);
        ctx = NULL;
    }
    return ctx;
}

static int fail_munge(struct err *err, munge_ctx_t ctx, munge_err_t e)
{
    const char *text = munge_ctx_strerror(ctx);
    return module_fail(err, SL_EAUTH, "munge: %s", text ? text : munge_strerror(e));
}

int cred_encode(const char *munge_socket, uid_t service_uid, const char *route,
                char cred[CRED_BYTES_MAX], unsigned char psk[PSK_BYTES],
                struct err *err)
{
    unsigned char key[KEY_BYTES];
    char *text = NULL;
    munge_ctx_t ctx = context(munge_socket, err);
    if (!ctx)
        return SL_EAUTH;
    int rc;
    /* A site's default may be to encrypt nothing. */
    munge_err_t e = munge_ctx_set(ctx, MUNGE_OPT_CIPHER_TYPE, MUNGE_CIPHER_AES256);
    if (e == EMUNGE_SUCCESS)
        e = munge_ctx_set(ctx, MUNGE_OPT_ZIP_TYPE, MUNGE_ZIP_NONE);
    if (e == EMUNGE_SUCCESS)
        e = munge_ctx_set(ctx, MUNGE_OPT_UID_RESTRICTION, service_uid);
    if (e == EMUNGE_SUCCESS && RAND_bytes(key, sizeof(key)) != 1) {
        rc = module_fail(err, SL_EAUTH, "no random numbers");
        goto out;
    }
    if (e == EMUNGE_SUCCESS)
        e = munge_encode(&text, ctx, key, sizeof(key));
    if (e != EMUNGE_SUCCESS)
        rc = fail_munge(err, ctx, e);
    else if (strlen(text) >= CRED_BYTES_MAX)
        rc = module_fail(err, SL_EAUTH, "munge: credential of %zu bytes is too long",
                         strlen(text));
    else
        rc = psk_derive(key, route, psk, err);
    if (rc == 0)
        strcpy(cred, text);
out:
    OPENSSL_cleanse(key, sizeof(key));
    free(text);
    munge_ctx_destroy(ctx);
    return rc;
}

int cred_decode(const char *munge_socket, const char *cred, const char *route,
                unsigned char psk[PSK_BYTES], uid_t *uid, gid_t *gid, struct err *err)
{
    void *key = NULL;
    int len = 0, rc;
    uid_t only = (uid_t)-1;
    munge_ctx_t ctx = context(munge_socket, err);
    if (!ctx)
        return SL_EAUTH;
    munge_err_t e = munge_decode(cred, ctx, &key, &len, uid, gid);
    if (e == EMUNGE_SUCCESS)
        e = munge_ctx_get(ctx, MUNGE_OPT_UID_RESTRICTION, &only);
    if (e != EMUNGE_SUCCESS)
        rc = fail_munge(err, ctx, e);
    else if (only != geteuid())
        /* One that anybody can decode carries a key that anybody may know. */
        rc =
            module_fail(err, SL_EAUTH, "munge: the credential is not for this service");
    else if (len != KEY_BYTES)
        rc = module_fail(err, SL_EAUTH, "munge: the credential carries %d bytes", len);
    else
        rc = psk_derive(key, route, psk, err);
    /* A replayed or expired credential's payload is handed out, too. */
    if (key)
        OPENSSL_cleanse(key, len > 0 ? (size_t)len : 0);
    free(key);
    munge_ctx_destroy(ctx);
    return rc;
}
