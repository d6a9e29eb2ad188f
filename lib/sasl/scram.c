/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scram.c - what a server stores of a password for SCRAM
 *
 *     SaltedPassword = PBKDF2(SASLprep(password), salt, iterations)
 *     StoredKey      = H(HMAC(SaltedPassword, "Client Key"))
 *     ServerKey      = HMAC(SaltedPassword, "Server Key")          RFC 5802 section 3
 *
 * Runs in: auth (the password is hostile, the stored text is the administrator's), postuser. Logs nothing.
 */
#include "sasl/scram.h"

#include <assert.h>
#include <errno.h>
#include <gsasl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/rand.h"

enum { SALT_BYTES = 16 };

/* Copy one Base64 field that decodes; `size` bytes if that is not 0. */
static int take_field(struct span text, size_t size, char ret[static SCRAM_TEXT_MAX])
{
    _cleanup_(str_free) struct str raw = STR_INIT;

    if (text.len == 0 || text.len >= SCRAM_TEXT_MAX || str_add_unbase64(&raw, text) < 0 ||
        (size > 0 && raw.len != size))
        return -EINVAL;
    snprintf(ret, SCRAM_TEXT_MAX, SPAN_FMT, SPAN_ARG(text));
    return 0;
}

int scram_secret_parse(struct span stored, struct scram_secret *ret)
{
    struct scram_secret s;
    struct span count = span_cut(&stored, ','), salt = span_cut(&stored, ','), key = span_cut(&stored, ',');

    if (span_u32(count, SCRAM_ITERATIONS_MAX, &s.iterations) < 0 || s.iterations == 0 ||
        take_field(salt, 0, s.salt) < 0 || take_field(key, 0, s.stored_key) < 0 ||
        take_field(stored, 0, s.server_key) < 0)
        return -EINVAL;
    *ret = s;
    return 0;
}

static void put_base64(const unsigned char *bytes, size_t n, char ret[static SCRAM_TEXT_MAX])
{
    _cleanup_(str_free) struct str text = STR_INIT;

    str_add_base64(&text, span_make(bytes, n));
    snprintf(ret, SCRAM_TEXT_MAX, "%s", str_cstr(&text));
}

static const EVP_MD *digest_of(struct span mechanism)
{
    return span_eq_nocase_str(mechanism, "SCRAM-SHA-1") ? EVP_sha1() : EVP_sha256();
}

static void derive(const EVP_MD *md, const char *prepared, struct span salt, uint32_t iterations,
                   struct scram_secret *ret)
{
    unsigned char salted[EVP_MAX_MD_SIZE], client_key[EVP_MAX_MD_SIZE], key[EVP_MAX_MD_SIZE];
    int size = EVP_MD_get_size(md);
    unsigned len;
    int ok = PKCS5_PBKDF2_HMAC(prepared, (int)strlen(prepared), (const unsigned char *)salt.ptr, (int)salt.len,
                               (int)iterations, md, size, salted);

    assert(ok);
    HMAC(md, salted, size, (const unsigned char *)"Client Key", 10, client_key, &len);
    ok = EVP_Digest(client_key, (size_t)size, key, NULL, md, NULL);
    assert(ok);
    put_base64(key, (size_t)size, ret->stored_key);
    HMAC(md, salted, size, (const unsigned char *)"Server Key", 10, key, &len);
    put_base64(key, (size_t)size, ret->server_key);
    put_base64((const unsigned char *)salt.ptr, salt.len, ret->salt);
    ret->iterations = iterations;
    OPENSSL_cleanse(salted, sizeof salted);
    OPENSSL_cleanse(client_key, sizeof client_key);
}

int scram_secret_derive(struct span mechanism, struct span password, struct span salt, uint32_t iterations,
                        struct scram_secret *ret)
{
    _cleanup_free_ char *text = mem_dup_span(password);
    char *prepared = NULL;

    if (strlen(text) != password.len || gsasl_saslprep(text, 0, &prepared, NULL) != GSASL_OK) {
        OPENSSL_cleanse(text, password.len);
        return -EINVAL;
    }
    derive(digest_of(mechanism), prepared, salt, iterations, ret);
    OPENSSL_cleanse(text, password.len);
    OPENSSL_cleanse(prepared, strlen(prepared));
    gsasl_free(prepared);
    return 0;
}

int scram_verify(struct span mechanism, struct span stored, struct span password)
{
    struct scram_secret kept, made;
    _cleanup_(str_free) struct str salt = STR_INIT;

    if (scram_secret_parse(stored, &kept) < 0 || str_add_unbase64(&salt, span_of(kept.salt)) < 0)
        return -EINVAL;
    if (scram_secret_derive(mechanism, password, str_span(&salt), kept.iterations, &made) < 0)
        return 0;
    size_t n = strlen(made.stored_key);
    return strlen(kept.stored_key) == n && CRYPTO_memcmp(kept.stored_key, made.stored_key, n) == 0;
}

int scram_hash(struct span mechanism, struct span password, struct str *ret)
{
    struct scram_secret s;
    unsigned char salt[SALT_BYTES];

    rand_bytes(salt, sizeof salt);
    int r = scram_secret_derive(mechanism, password, span_make(salt, sizeof salt), SCRAM_ITERATIONS, &s);
    if (r == 0)
        str_addf(ret, "%u,%s,%s,%s", s.iterations, s.salt, s.stored_key, s.server_key);
    return r;
}
