/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pass.c - what lets a parked session be woken as the user it belongs to
 *
 *     expires u64 (big-endian, ms)  protocol NUL  user  HMAC-SHA-256 of all before it
 *
 * A session process gets a pass with its user, and leaves it with its front when it parks (ipc/msg_session.h). Unlike a
 * ticket it costs auth no memory, of which ten thousand parked sessions would need some. The key is made from a secret that master
 * tells auth alone, so that sessions which were parked under one auth can be woken under the next. A front can show a pass for nobody
 * but those who have signed in through it; whether such a user still has a mailbox is looked up each time.
 *
 * Runs in: auth. Logs nothing.
 */
#include "auth/auth.h"

#include <endian.h>

#include <openssl/crypto.h>

#include "sasl/scram_math.h"

enum { EXPIRES_SIZE = sizeof(uint64_t), MAC_SIZE = 32 };

static void seal(const unsigned char key[static PASS_KEY_SIZE], struct span text, struct scram_math_digest *ret)
{
    struct scram_math_digest k = { .len = PASS_KEY_SIZE };

    memcpy(k.bytes, key, PASS_KEY_SIZE);
    scram_math_hmac(SCRAM_MATH_SHA256, &k, text, ret);
    OPENSSL_cleanse(&k, sizeof k);
}

void pass_derive_key(const unsigned char secret[static MASTER_SECRET_SIZE], const char *purpose,
                     unsigned char ret[static PASS_KEY_SIZE])
{
    struct scram_math_digest mac;

    seal(secret, span_of(purpose), &mac);
    memcpy(ret, mac.bytes, PASS_KEY_SIZE);
    OPENSSL_cleanse(&mac, sizeof mac);
}

void pass_issue(const unsigned char key[static PASS_KEY_SIZE], const char *protocol, struct span user,
                uint64_t expires_ms, struct str *ret)
{
    const uint64_t expires = htobe64(expires_ms);
    struct scram_math_digest mac;

    str_set(ret, span_make(&expires, sizeof expires));
    str_add(ret, span_make(protocol, strlen(protocol) + 1));
    str_add(ret, user);
    seal(key, str_span(ret), &mac);
    str_add(ret, span_make(mac.bytes, MAC_SIZE));
}

bool pass_redeem(const unsigned char key[static PASS_KEY_SIZE], struct span pass, const char *protocol, uint64_t now_ms,
                 struct str *user)
{
    const size_t head = EXPIRES_SIZE + strlen(protocol) + 1;
    struct scram_math_digest mac;
    uint64_t expires;

    if (pass.len < head + MAC_SIZE)
        return false;
    struct span text = span_first(pass, pass.len - MAC_SIZE);
    seal(key, text, &mac);
    if (CRYPTO_memcmp(mac.bytes, pass.ptr + text.len, MAC_SIZE) != 0)
        return false;
    memcpy(&expires, pass.ptr, sizeof expires);
    if (be64toh(expires) <= now_ms || memcmp(pass.ptr + EXPIRES_SIZE, protocol, strlen(protocol) + 1) != 0)
        return false;
    str_set(user, span_from(text, head));
    return true;
}
