/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.c - the client side of SASL mechanisms
 *
 * Our own and not GNU SASL's, which has no XOAUTH2: small mechanisms over OpenSSL's digests, which
 * need nothing that the sandbox of smtp does not have. Channel binding is not offered ("n,,").
 *
 * Runs in: smtp. The server is hostile: a SCRAM server that cannot prove that it knows the password
 * has failed, and may not make us count for ever.
 */
#include "sasl/client.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/mem.h"
#include "base/rand.h"
#include "io/fiber.h"
#include "sasl/scram_math.h"

enum {
    ITERATIONS_MAX = 1000000,
    NONCE_BYTES = 18
}; /* as many iterations take half a second of a helper thread */

struct sasl_client_mech {
    const char *name;
    int (*step)(struct sasl_client *c, struct span challenge, struct str *ret);
    bool client_first, plaintext, token;
};

/* ---- PLAIN, LOGIN, tokens ---- */

static int step_plain(struct sasl_client *c, struct span challenge, struct str *ret)
{
    (void)challenge;
    if (c->step > 1)
        return -EINVAL;
    str_add_char(ret, '\0');
    str_add(ret, c->user);
    str_add_char(ret, '\0');
    str_add(ret, c->password);
    c->verified = true;
    return 0;
}

/* Whatever the server calls them: the first question is for the name, the second for the password.
 */
static int step_login(struct sasl_client *c, struct span challenge, struct str *ret)
{
    (void)challenge;
    if (c->step > 2)
        return -EINVAL;
    str_add(ret, c->step == 1 ? c->user : c->password);
    c->verified = c->step == 2;
    return 0;
}

/* A second challenge tells why the token is refused, in JSON; an empty answer ends the exchange. */
static int step_xoauth2(struct sasl_client *c, struct span challenge, struct str *ret)
{
    (void)challenge;
    if (c->step == 1)
        str_addf(ret, "user=" SPAN_FMT "\001auth=Bearer " SPAN_FMT "\001\001", SPAN_ARG(c->user),
                 SPAN_ARG(c->password));
    c->verified = true;
    return c->step > 2 ? -EINVAL : 0;
}

static int step_oauthbearer(struct sasl_client *c, struct span challenge, struct str *ret)
{
    (void)challenge;
    if (c->step == 1) {
        str_add_str(ret, "n,a=");
        scram_math_add_name(ret, c->user);
        str_addf(ret, ",\001host=" SPAN_FMT "\001auth=Bearer " SPAN_FMT "\001\001",
                 SPAN_ARG(c->host), SPAN_ARG(c->password));
    } else {
        str_add_char(ret, '\001');
    }
    c->verified = true;
    return c->step > 2 ? -EINVAL : 0;
}

/* ---- CRAM-MD5 ---- */

static int step_cram_md5(struct sasl_client *c, struct span challenge, struct str *ret)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = sizeof digest;

    if (c->step > 1 || challenge.len == 0 || c->password.len > INT32_MAX)
        return -EINVAL;
    if (!HMAC(EVP_md5(), c->password.ptr, (int)c->password.len,
              (const unsigned char *)challenge.ptr, challenge.len, digest, &len))
        return -EINVAL;
    str_add(ret, c->user);
    str_add_char(ret, ' ');
    str_add_hex(ret, span_make(digest, len));
    c->verified = true;
    return 0;
}

/* ---- SCRAM ---- */

/* client-first-message (RFC 5802 section 7): gs2-header, then client-first-message-bare, which is
 * kept */
static int scram_first(struct sasl_client *c, struct str *ret)
{
    unsigned char bytes[NONCE_BYTES];

    if (c->nonce.len == 0) {
        rand_bytes(bytes, sizeof bytes);
        str_add_base64(&c->nonce, span_make(bytes, sizeof bytes));
    }
    str_add_str(&c->first, "n=");
    scram_math_add_name(&c->first, c->user);
    str_addf(&c->first, ",r=%s", str_cstr(&c->nonce));
    str_addf(ret, "n,,%s", str_cstr(&c->first));
    return 0;
}

/* "x=value" at the front, up to a comma */
static bool take_attribute(struct span *in, char name, struct span *ret)
{
    struct span word = span_cut(in, ',');

    *ret = span_from(word, 2);
    return word.len >= 2 && word.ptr[0] == name && word.ptr[1] == '=';
}

/* What takes long, for a helper thread */
struct salting {
    enum scram_math hash;
    struct span password, salt;
    uint32_t iterations;
    struct scram_math_digest salted;
};

static int run_salting(void *arg)
{
    struct salting *s = arg;

    return scram_math_salted_password(s->hash, s->password, s->salt, s->iterations, &s->salted);
}

static int scram_final(struct sasl_client *c, enum scram_math h, struct span challenge,
                       struct str *ret)
{
    struct span in = challenge, nonce, salt64, count;
    struct scram_math_digest client_key, stored_key, server_key, signature;
    struct salting job = { .hash = h, .password = c->password };
    _cleanup_(str_free) struct str salt = STR_INIT, bare = STR_INIT, auth = STR_INIT;

    if (!take_attribute(&in, 'r', &nonce) || !take_attribute(&in, 's', &salt64) ||
        !take_attribute(&in, 'i', &count) || nonce.len <= c->nonce.len ||
        !span_starts(nonce, str_span(&c->nonce)) || str_add_unbase64(&salt, salt64) < 0 ||
        span_u32(count, ITERATIONS_MAX, &job.iterations) < 0)
        return -EINVAL;
    job.salt = str_span(&salt);
    if (offload(run_salting, &job) < 0)
        return -EINVAL;
    str_addf(&bare, "c=biws,r=" SPAN_FMT, SPAN_ARG(nonce));
    str_addf(&auth, "%s," SPAN_FMT ",%s", str_cstr(&c->first), SPAN_ARG(challenge),
             str_cstr(&bare));
    scram_math_keys(h, &job.salted, &client_key, &stored_key, &server_key);
    scram_math_hmac(h, &stored_key, str_span(&auth), &signature);
    scram_math_xor(&client_key, &signature);
    str_addf(ret, "%s,p=", str_cstr(&bare));
    str_add_base64(ret, span_make(client_key.bytes, client_key.len));
    scram_math_hmac(h, &server_key, str_span(&auth), &signature);
    str_add_base64(&c->server_signature, span_make(signature.bytes, signature.len));
    OPENSSL_cleanse(&job.salted, sizeof job.salted);
    OPENSSL_cleanse(&client_key, sizeof client_key);
    return 0;
}

/* server-final-message: "v=" and the proof that it knows the password */
static int scram_last(struct sasl_client *c, struct span challenge)
{
    struct span proof;

    if (!take_attribute(&challenge, 'v', &proof))
        return -EINVAL;
    c->verified = proof.len == c->server_signature.len &&
                  CRYPTO_memcmp(proof.ptr, c->server_signature.data, proof.len) == 0;
    return c->verified ? 0 : -EACCES;
}

static int step_scram(struct sasl_client *c, enum scram_math h, struct span challenge,
                      struct str *ret)
{
    switch (c->step) {
    case 1:
        return scram_first(c, ret);
    case 2:
        return scram_final(c, h, challenge, ret);
    case 3:
        return scram_last(c, challenge);
    }
    return -EINVAL;
}

static int step_scram_sha1(struct sasl_client *c, struct span challenge, struct str *ret)
{
    return step_scram(c, SCRAM_MATH_SHA1, challenge, ret);
}

static int step_scram_sha256(struct sasl_client *c, struct span challenge, struct str *ret)
{
    return step_scram(c, SCRAM_MATH_SHA256, challenge, ret);
}

/* ---- choice ---- */

/* Strongest first */
static const struct sasl_client_mech mechs[] = {
    /* name           step               client first  plaintext  token */
    { "SCRAM-SHA-256", step_scram_sha256, true,  false, false },
    { "SCRAM-SHA-1",   step_scram_sha1,   true,  false, false },
    { "CRAM-MD5",      step_cram_md5,     false, false, false },
    { "OAUTHBEARER",   step_oauthbearer,  true,  true,  true },
    { "XOAUTH2",       step_xoauth2,      true,  true,  true },
    { "PLAIN",         step_plain,        true,  true,  false },
    { "LOGIN",         step_login,        false, true,  false },
};

/* 1 named, -1 named with '!', 0 not named */
static int in_list(struct span list, const char *name)
{
    struct span word;

    while (span_word(&list, ", \t\r\n", &word)) {
        bool negated = span_take(&word, '!');
        if (span_eq_nocase_str(word, name))
            return negated ? -1 : 1;
    }
    return 0;
}

/* Does the filter name anything that is to pass? */
static bool names_some(struct span filter)
{
    struct span word;

    while (span_word(&filter, ", \t\r\n", &word))
        if (word.ptr[0] != '!')
            return true;
    return false;
}

const struct sasl_client_mech *sasl_client_choose(struct span offered, struct span filter,
                                                  unsigned forbidden)
{
    bool some = names_some(filter);

    for (size_t i = 0; i < ARRAY_LEN(mechs); i++) {
        int named = in_list(filter, mechs[i].name);
        if (in_list(offered, mechs[i].name) != 1 || named < 0 ||
            (named == 0 && (some || mechs[i].token)) ||
            (mechs[i].plaintext && forbidden & SASL_NO_PLAINTEXT))
            continue;
        return &mechs[i];
    }
    return NULL;
}

const char *sasl_client_name(const struct sasl_client_mech *m)
{
    return m->name;
}

bool sasl_client_first(const struct sasl_client_mech *m)
{
    return m->client_first;
}

void sasl_client_init(struct sasl_client *c, const struct sasl_client_mech *m, struct span user,
                      struct span password, struct span host)
{
    *c = (struct sasl_client){ .mech = m, .user = user, .password = password, .host = host };
}

void sasl_client_done(struct sasl_client *c)
{
    str_free(&c->nonce);
    str_free(&c->first);
    str_free(&c->server_signature);
}

int sasl_client_step(struct sasl_client *c, struct span challenge, struct str *ret)
{
    str_reset(ret);
    c->step++;
    return c->mech->step(c, challenge, ret);
}
