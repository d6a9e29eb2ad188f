/* SPDX-License-Identifier: Apache-2.0 */
/*
 * password.c - stored passwords: a table of schemes over libcrypt
 *
 * Runs in: auth (the password is hostile, the stored text is the administrator's), postuser. Logs nothing.
 */
#include "sasl/password.h"

#include <crypt.h>
#include <errno.h>
#include <openssl/crypto.h>

#include "base/mem.h"

enum { PASSWORD_MAX = CRYPT_MAX_PASSPHRASE_SIZE - 1 };

/* Equal bytes? In a time that depends on the lengths only. */
static bool same(struct span a, struct span b)
{
    return a.len == b.len && CRYPTO_memcmp(a.ptr, b.ptr, a.len) == 0;
}

static int verify_plain(struct span stored, struct span password)
{
    return same(stored, password);
}

static int verify_crypt(struct span stored, struct span password)
{
    _cleanup_free_ char *setting = mem_dup_span(stored), *phrase = mem_dup_span(password);
    _cleanup_free_ struct crypt_data *data = mem_new(struct crypt_data);

    if (password.len > PASSWORD_MAX || strlen(phrase) != password.len)
        return 0;
    const char *hash = crypt_rn(phrase, setting, data, sizeof *data);
    OPENSSL_cleanse(phrase, password.len);
    if (!hash || hash[0] == '*')
        return -EINVAL;
    return same(span_of(hash), stored);
}

static const struct scheme {
    struct span name;
    int (*verify)(struct span stored, struct span password);
} schemes[] = {
    { SPAN("PLAIN"), verify_plain },        { SPAN("CRYPT"), verify_crypt },
    { SPAN("SHA512-CRYPT"), verify_crypt }, { SPAN("SHA256-CRYPT"), verify_crypt },
    { SPAN("BLF-CRYPT"), verify_crypt },    { SPAN("MD5-CRYPT"), verify_crypt },
    { SPAN("DES-CRYPT"), verify_crypt },
};

int password_verify(struct span stored, struct span password)
{
    struct span name = SPAN("CRYPT");

    if (span_take(&stored, '{')) {
        if (span_chr(stored, '}') < 0)
            return -EINVAL;
        name = span_cut(&stored, '}');
    }
    if (stored.len == 0)
        return -EINVAL;     /* an empty stored password never matches */
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++)
        if (span_eq_nocase(name, schemes[i].name))
            return schemes[i].verify(stored, password);
    return -EINVAL;
}

int password_hash(struct span password, struct str *ret)
{
    char setting[CRYPT_GENSALT_OUTPUT_SIZE];
    _cleanup_free_ char *phrase = mem_dup_span(password);
    _cleanup_free_ struct crypt_data *data = mem_new(struct crypt_data);

    if (password.len > PASSWORD_MAX || strlen(phrase) != password.len)
        return -EINVAL;
    if (!crypt_gensalt_rn(NULL, 0, NULL, 0, setting, sizeof setting))
        return -errno;
    const char *hash = crypt_rn(phrase, setting, data, sizeof *data);
    if (!hash || hash[0] == '*')
        return -EINVAL;
    str_addf(ret, "{CRYPT}%s", hash);
    return 0;
}

void password_waste(struct span password)
{
    _cleanup_(str_free) struct str hash = STR_INIT;

    if (password_hash(span_first(password, PASSWORD_MAX), &hash) < 0)
        password_hash(span_of("no such user"), &hash);
}
