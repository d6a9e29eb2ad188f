/* SPDX-License-Identifier: Apache-2.0 */
/*
 * password.c - stored passwords: a table of schemes over libcrypt, libargon2 and OpenSSL
 *
 * Runs in: auth (the password is hostile, the stored text is the administrator's), postuser. Logs nothing.
 */
#include "sasl/password.h"

#include <argon2.h>
#include <crypt.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/rand.h"
#include "sasl/digest.h"
#include "sasl/scram.h"

enum { PASSWORD_MAX = CRYPT_MAX_PASSPHRASE_SIZE - 1 };

/* Argon2id for new passwords: memory and passes as OWASP's cheat sheet has them for sign-in servers, so that
 * sixteen helper threads do not need a gigabyte (RFC 9106 section 4 leaves this to the application). */
enum { ARGON2_PASSES = 2, ARGON2_KIB = 19456, ARGON2_LANES = 1, ARGON2_SALT = 16, ARGON2_HASH = 32 };

/* Equal bytes? In a time that depends on the lengths only. */
static bool same(struct span a, struct span b)
{
    return a.len == b.len && CRYPTO_memcmp(a.ptr, b.ptr, a.len) == 0;
}

/* ---- verifying ---- */

static int verify_plain(struct span scheme, struct span stored, struct span password)
{
    (void)scheme;
    return same(stored, password);
}

static int verify_crypt(struct span scheme, struct span stored, struct span password)
{
    _cleanup_free_ char *setting = mem_dup_span(stored), *phrase = mem_dup_span(password);
    _cleanup_free_ struct crypt_data *data = mem_new(struct crypt_data);

    (void)scheme;
    if (password.len > PASSWORD_MAX || strlen(phrase) != password.len)
        return 0;
    const char *hash = crypt_rn(phrase, setting, data, sizeof *data);
    OPENSSL_cleanse(phrase, password.len);
    if (!hash || hash[0] == '*')
        return -EINVAL;
    return same(span_of(hash), stored);
}

static int verify_argon2(struct span scheme, struct span stored, struct span password)
{
    _cleanup_free_ char *encoded = mem_dup_span(stored);
    argon2_type type = span_eq_nocase_str(scheme, "ARGON2I") ? Argon2_i : Argon2_id;

    if (password.len > PASSWORD_MAX)
        return 0;
    int r = argon2_verify(encoded, password.ptr, password.len, type);
    return r == ARGON2_OK ? 1 : r == ARGON2_VERIFY_MISMATCH ? 0 : -EINVAL;
}

static int verify_scram(struct span scheme, struct span stored, struct span password)
{
    return password.len > PASSWORD_MAX ? 0 : scram_verify(scheme, stored, password);
}

/* ---- making ---- */

static int hash_crypt(const char *scheme, const char *prefix, struct span password, struct str *ret)
{
    char setting[CRYPT_GENSALT_OUTPUT_SIZE];
    _cleanup_free_ char *phrase = mem_dup_span(password);
    _cleanup_free_ struct crypt_data *data = mem_new(struct crypt_data);

    if (strlen(phrase) != password.len)
        return -EINVAL;
    if (!crypt_gensalt_rn(prefix, 0, NULL, 0, setting, sizeof setting))
        return -errno;
    const char *hash = crypt_rn(phrase, setting, data, sizeof *data);
    OPENSSL_cleanse(phrase, password.len);
    if (!hash || hash[0] == '*')
        return -EINVAL;
    str_addf(ret, "{%s}%s", scheme, hash);
    return 0;
}

static int hash_argon2(const char *scheme, const char *prefix, struct span password, struct str *ret)
{
    unsigned char salt[ARGON2_SALT];
    char encoded[256];

    (void)prefix;
    rand_bytes(salt, sizeof salt);
    if (argon2id_hash_encoded(ARGON2_PASSES, ARGON2_KIB, ARGON2_LANES, password.ptr, password.len, salt, sizeof salt,
                              ARGON2_HASH, encoded, sizeof encoded) != ARGON2_OK)
        return -ENOMEM;
    str_addf(ret, "{%s}%s", scheme, encoded);
    return 0;
}

static int hash_scram(const char *scheme, const char *prefix, struct span password, struct str *ret)
{
    (void)prefix;
    str_addf(ret, "{%s}", scheme);
    return scram_hash(span_of(scheme), password, ret);
}

/* ---- the table ---- */

static const struct scheme {
    struct span name;
    int (*verify)(struct span scheme, struct span stored, struct span password);
    int (*hash)(const char *scheme, const char *prefix, struct span password, struct str *ret); /* NULL: not for new ones */
    const char *prefix;     /* crypt(5)'s; NULL: the system's preferred method */
    bool weak;
} schemes[] = {
    { SPAN("CRYPT"),         verify_crypt,  hash_crypt,  NULL,   false },
    { SPAN("SHA512-CRYPT"),  verify_crypt,  hash_crypt,  "$6$",  false },
    { SPAN("SHA256-CRYPT"),  verify_crypt,  NULL,        NULL,   false },
    { SPAN("BLF-CRYPT"),     verify_crypt,  hash_crypt,  "$2b$", false },
    { SPAN("MD5-CRYPT"),     verify_crypt,  NULL,        NULL,   true  },
    { SPAN("DES-CRYPT"),     verify_crypt,  NULL,        NULL,   true  },
    { SPAN("ARGON2ID"),      verify_argon2, hash_argon2, NULL,   false },
    { SPAN("ARGON2I"),       verify_argon2, NULL,        NULL,   false },
    { SPAN("SCRAM-SHA-256"), verify_scram,  hash_scram,  NULL,   false },
    { SPAN("SCRAM-SHA-1"),   verify_scram,  hash_scram,  NULL,   false },
    { SPAN("PBKDF2"),        digest_verify_pbkdf2, NULL, NULL,   false },
    { SPAN("PLAIN"),         verify_plain,  NULL,        NULL,   true  },
    { SPAN("CLEARTEXT"),     verify_plain,  NULL,        NULL,   true  },
    { SPAN("SSHA512"),       digest_verify, NULL,        NULL,   true  },
    { SPAN("SSHA256"),       digest_verify, NULL,        NULL,   true  },
    { SPAN("SSHA"),          digest_verify, NULL,        NULL,   true  },
    { SPAN("SMD5"),          digest_verify, NULL,        NULL,   true  },
    { SPAN("SHA512"),        digest_verify, NULL,        NULL,   true  },
    { SPAN("SHA256"),        digest_verify, NULL,        NULL,   true  },
    { SPAN("SHA"),           digest_verify, NULL,        NULL,   true  },
    { SPAN("SHA1"),          digest_verify, NULL,        NULL,   true  },
    { SPAN("LDAP-MD5"),      digest_verify, NULL,        NULL,   true  },
    { SPAN("PLAIN-MD5"),     digest_verify, NULL,        NULL,   true  },
};

static const struct scheme *find(struct span name)
{
    name = span_cut(&name, '.');        /* without the suffix of an encoding */
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++)
        if (span_eq_nocase(name, schemes[i].name))
            return &schemes[i];
    return NULL;
}

bool password_scheme(struct span *stored, struct span *ret_scheme)
{
    *ret_scheme = span_of("CRYPT");
    if (stored->len == 0 || stored->ptr[0] != '{')
        return true;
    if (span_chr(*stored, '}') < 0)
        return false;
    *stored = span_from(*stored, 1);
    *ret_scheme = span_cut(stored, '}');
    return true;
}

int password_verify(struct span stored, struct span password)
{
    struct span name;

    if (!password_scheme(&stored, &name))
        return -EINVAL;
    const struct scheme *scheme = find(name);
    if (!scheme || stored.len == 0)     /* an empty stored password never matches */
        return -EINVAL;
    return scheme->verify(name, stored, password);
}

int password_hash(const char *name, struct span password, struct str *ret)
{
    const struct scheme *scheme = find(span_of(name));

    if (!scheme || !scheme->hash)
        return -ENOTSUP;
    if (password.len > PASSWORD_MAX)
        return -EINVAL;
    _cleanup_free_ char *canonical = mem_dup_span(scheme->name);
    return scheme->hash(canonical, scheme->prefix, password, ret);
}

/* crypt(5): a text without a method's "$" is DES, "$1$" is MD5. */
static bool weak_crypt(struct span stored)
{
    return stored.len == 0 || stored.ptr[0] != '$' || span_starts(stored, span_of("$1$"));
}

bool password_is_weak(struct span stored)
{
    struct span name;

    if (!password_scheme(&stored, &name))
        return false;
    const struct scheme *scheme = find(name);
    return scheme && (scheme->weak || (scheme->verify == verify_crypt && weak_crypt(stored)));
}
