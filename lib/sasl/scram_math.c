/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scram_math.c - the arithmetic of SCRAM (RFC 5802, RFC 7677)
 *
 * Runs in: smtp. Logs nothing.
 */
#include "sasl/scram_math.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

static const EVP_MD *digest(enum scram_math h)
{
    return h == SCRAM_MATH_SHA1 ? EVP_sha1() : EVP_sha256();
}

int scram_math_salted_password(enum scram_math h, struct span password, struct span salt,
                               uint32_t iterations, struct scram_math_digest *ret)
{
    const EVP_MD *md = digest(h);

    ret->len = (size_t)EVP_MD_size(md);
    if (iterations == 0 || iterations > INT32_MAX || password.len > INT32_MAX ||
        salt.len > INT32_MAX ||
        PKCS5_PBKDF2_HMAC(password.ptr ? password.ptr : "", (int)password.len,
                          (const unsigned char *)salt.ptr, (int)salt.len, (int)iterations, md,
                          (int)ret->len, ret->bytes) != 1)
        return -EINVAL;
    return 0;
}

void scram_math_hmac(enum scram_math h, const struct scram_math_digest *key, struct span text,
                     struct scram_math_digest *ret)
{
    unsigned len = sizeof ret->bytes;

    HMAC(digest(h), key->bytes, (int)key->len, (const unsigned char *)text.ptr, text.len,
         ret->bytes, &len);
    ret->len = len;
}

void scram_math_hash(enum scram_math h, struct span text, struct scram_math_digest *ret)
{
    unsigned len = sizeof ret->bytes;

    EVP_Digest(text.ptr, text.len, ret->bytes, &len, digest(h), NULL);
    ret->len = len;
}

void scram_math_xor(struct scram_math_digest *a, const struct scram_math_digest *b)
{
    for (size_t i = 0; i < a->len; i++)
        a->bytes[i] ^= b->bytes[i];
}

void scram_math_keys(enum scram_math h, const struct scram_math_digest *salted,
                     struct scram_math_digest *ret_client_key,
                     struct scram_math_digest *ret_stored_key,
                     struct scram_math_digest *ret_server_key)
{
    static const struct span client = SPAN("Client Key"), server = SPAN("Server Key");

    scram_math_hmac(h, salted, client, ret_client_key);
    scram_math_hash(h, span_make(ret_client_key->bytes, ret_client_key->len), ret_stored_key);
    scram_math_hmac(h, salted, server, ret_server_key);
}

void scram_math_add_name(struct str *ret, struct span name)
{
    for (size_t i = 0; i < name.len; i++) {
        if (name.ptr[i] == ',')
            str_add_str(ret, "=2C");
        else if (name.ptr[i] == '=')
            str_add_str(ret, "=3D");
        else
            str_add_char(ret, name.ptr[i]);
    }
}
