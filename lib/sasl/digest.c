/* SPDX-License-Identifier: Apache-2.0 */
/*
 * digest.c - stored passwords that are a digest
 *
 * Kept so that a database of users can be taken over as it is; auth_upgrade_directory replaces them by
 * something better when their users sign in.
 *
 * Runs in: auth (the password is hostile, the stored text is the administrator's), postuser. Logs nothing.
 */
#include "sasl/digest.h"

#include <assert.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "base/chars.h"
#include "base/mem.h"
#include "base/str.h"

enum { SALT_MAX = 256, ROUNDS_MAX = 10000000 };

static const struct digest {
    struct span scheme;
    const EVP_MD *(*md)(void);
    bool salted;
} digests[] = {
    { SPAN("SHA"), EVP_sha1, false },        { SPAN("SHA1"), EVP_sha1, false },
    { SPAN("SHA256"), EVP_sha256, false },   { SPAN("SHA512"), EVP_sha512, false },
    { SPAN("LDAP-MD5"), EVP_md5, false },    { SPAN("PLAIN-MD5"), EVP_md5, false },
    { SPAN("SSHA"), EVP_sha1, true },        { SPAN("SSHA256"), EVP_sha256, true },
    { SPAN("SSHA512"), EVP_sha512, true },   { SPAN("SMD5"), EVP_md5, true },
};

static int unhex(struct span text, struct str *ret)
{
    if (text.len % 2 != 0)
        return -EINVAL;
    for (size_t i = 0; i < text.len; i += 2) {
        int high = char_hex(text.ptr[i]), low = char_hex(text.ptr[i + 1]);
        if (high < 0 || low < 0)
            return -EINVAL;
        str_add_char(ret, (char)(high << 4 | low));
    }
    return 0;
}

/* Base64, its padding being optional: some tools leave it out. */
static int unbase64(struct span text, struct str *ret)
{
    _cleanup_(str_free) struct str padded = STR_INIT;

    str_add(&padded, text);
    while (padded.len % 4 != 0)
        str_add_char(&padded, '=');
    return str_add_unbase64(ret, str_span(&padded));
}

/* Without a suffix: hexadecimal when it can be nothing else. `size` is the digest's. */
static int decode(struct span suffix, struct span stored, size_t size, bool salted, struct str *ret)
{
    bool hex = suffix.len > 0 ? span_eq_nocase_str(suffix, "HEX") : !salted && stored.len == 2 * size;

    return hex ? unhex(stored, ret) : unbase64(stored, ret);
}

int digest_verify(struct span scheme, struct span stored, struct span password)
{
    struct span suffix = scheme, name = span_cut(&suffix, '.');
    _cleanup_(str_free) struct str raw = STR_INIT, text = STR_INIT;
    unsigned char computed[EVP_MAX_MD_SIZE];
    const struct digest *d = NULL;

    for (size_t i = 0; i < ARRAY_LEN(digests) && !d; i++)
        if (span_eq_nocase(name, digests[i].scheme))
            d = &digests[i];
    assert(d);
    size_t size = (size_t)EVP_MD_get_size(d->md());
    if (decode(suffix, stored, size, d->salted, &raw) < 0 || raw.len < size || raw.len > size + SALT_MAX ||
        (!d->salted && raw.len != size))
        return -EINVAL;
    str_add(&text, password);
    str_add(&text, span_from(str_span(&raw), size));    /* the salt */
    int ok = EVP_Digest(text.data, text.len, computed, NULL, d->md(), NULL);
    OPENSSL_cleanse(text.data, text.len);
    assert(ok);
    return CRYPTO_memcmp(computed, raw.data, size) == 0;
}

int digest_verify_pbkdf2(struct span scheme, struct span stored, struct span password)
{
    _cleanup_(str_free) struct str raw = STR_INIT;
    unsigned char computed[20];
    uint32_t rounds;

    (void)scheme;
    if (!span_starts(stored, span_of("$1$")))
        return -EINVAL;
    stored = span_from(stored, 3);
    struct span salt = span_cut(&stored, '$'), count = span_cut(&stored, '$');
    if (span_u32(count, ROUNDS_MAX, &rounds) < 0 || rounds == 0 || unhex(stored, &raw) < 0 ||
        raw.len != sizeof computed)
        return -EINVAL;
    int ok = PKCS5_PBKDF2_HMAC(password.ptr, (int)password.len, (const unsigned char *)salt.ptr, (int)salt.len,
                               (int)rounds, EVP_sha1(), sizeof computed, computed);
    assert(ok);
    return CRYPTO_memcmp(computed, raw.data, sizeof computed) == 0;
}
