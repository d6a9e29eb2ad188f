/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ticket.c - sessions are resumed by tickets, sealed by keys that all processes share (RFC 5077, RFC 8446
 * section 4.6.1)
 *
 * The server keeps nothing of a session; the client brings it back, sealed. tlsmgr makes the keys and is
 * asked before a handshake, when those at hand have run out, since within OpenSSL's callback nothing
 * may wait. Where tlsmgr cannot be reached the process makes a key of its own for a minute: its sessions are
 * then resumed only where they were made.
 *
 * Runs in: smtpd and the login fronts; tickets are hostile until their seal is checked, which OpenSSL does.
 */
#include <assert.h>
#include <errno.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rand.h"
#include "base/secret.h"
#include "io/fiber.h"
#include "tls/internal.h"

enum { ASK_MS = 5000, OWN_KEY_MS = 60000, NAME_BYTES = 16, SECRET_BYTES = 32 };
_Static_assert(NAME_BYTES + 2 * SECRET_BYTES == TICKET_KEY_BYTES, "the parts of a key");

struct ticket_key {
    unsigned char name[NAME_BYTES], cipher[SECRET_BYTES], mac[SECRET_BYTES];
};

struct tickets {
    const char *asked;          /* the service with the keys; "" none */
    const char *service;        /* our own */
    struct ticket_key keys[2];  /* the first makes tickets, the others only open them */
    size_t n_keys;              /* 0: no resumption */
    uint64_t valid_until;       /* clock_ms(); then they are asked for */
    bool asking, complained;
    struct waitq answered;
    EVP_CIPHER *cipher;
};

/* ---- the keys ---- */

struct tickets *tickets_new(const struct tls_server_config *cfg)
{
    struct tickets *t = mem_new(struct tickets);

    t->asked = cfg->ticket_service ? cfg->ticket_service : "";
    t->service = cfg->service ? cfg->service : "";
    t->cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
    assert(t->cipher);
    waitq_init(&t->answered);
    return t;
}

void tickets_free(struct tickets *t)
{
    if (!t)
        return;
    EVP_CIPHER_free(t->cipher);
    explicit_bzero(t->keys, sizeof t->keys);
    free(t);
}

static void use_own_key(struct tickets *t)
{
    rand_bytes(&t->keys[0], sizeof t->keys[0]);
    t->n_keys = 1;
    t->valid_until = clock_deadline_ms(OWN_KEY_MS);
}

static void take_key(struct tickets *t, const struct str *key)
{
    if (key->len > 0)
        memcpy(&t->keys[t->n_keys++], key->data, TICKET_KEY_BYTES);
}

int tickets_accept(struct tickets *t, const struct ticket_keys *keys)
{
    if (keys->valid_ms > 0 && keys->current.len != TICKET_KEY_BYTES)
        return -EPROTO;
    if (keys->previous.len != 0 && keys->previous.len != TICKET_KEY_BYTES)
        return -EPROTO;
    t->n_keys = 0;
    if (keys->valid_ms == 0) {
        t->valid_until = clock_deadline_ms(OWN_KEY_MS);
        return 0;
    }
    take_key(t, &keys->current);
    take_key(t, &keys->previous);
    t->valid_until = clock_deadline_ms((int64_t)keys->valid_ms);
    return 0;
}

static int ask(struct tickets *t)
{
    _cleanup_(ipc_free_ptr_) struct ipc *c = NULL;
    struct ticket_keys_ask question = {.service = ""};
    struct ticket_keys keys = {.current = STR_INIT, .previous = STR_INIT};
    uint64_t deadline = clock_deadline_ms(ASK_MS);
    int r = ipc_connect(t->asked, deadline, &c);

    if (r < 0)
        return r;
    stream_set_deadline(ipc_stream(c), deadline);
    snprintf(question.service, sizeof question.service, "%s", t->service);
    ipc_send(c, &ticket_keys_ask_shape, &question);
    r = ipc_recv(c, &ticket_keys_shape, &keys);
    if (r == 0)
        r = tickets_accept(t, &keys);
    secret_free(&keys.current);
    secret_free(&keys.previous);
    return r;
}

static void renew(struct tickets *t)
{
    int r = *t->asked ? ask(t) : -ENOENT;

    if (r == 0) {
        t->complained = false;
        return;
    }
    use_own_key(t);
    if (*t->asked && !t->complained)
        tls_problem("cannot get the keys of TLS session tickets from service %s: %s; sessions are resumed "
                    "only by the process that has made them", t->asked, strerror(-r));
    t->complained = true;
}

void tickets_refresh(struct tickets *t)
{
    if (!t || clock_ms() < t->valid_until)
        return;
    if (t->asking) {
        waitq_wait(&t->answered, clock_deadline_ms(ASK_MS));
        return;
    }
    t->asking = true;
    renew(t);
    t->asking = false;
    waitq_wake(&t->answered, SIZE_MAX);
}

/* ---- OpenSSL's callback ---- */

static const struct ticket_key *key_named(const struct tickets *t, const unsigned char *name)
{
    for (size_t i = 0; i < t->n_keys; i++)
        if (memcmp(t->keys[i].name, name, NAME_BYTES) == 0)
            return &t->keys[i];
    return NULL;
}

static bool set_mac(EVP_MAC_CTX *mac, const struct ticket_key *key)
{
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_octet_string(OSSL_MAC_PARAM_KEY, (void *)key->mac, sizeof key->mac),
        OSSL_PARAM_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, sizeof digest - 1),
        OSSL_PARAM_END,
    };

    return EVP_MAC_CTX_set_params(mac, params) == 1;
}

/* use_key - OpenSSL's answers: 1 go on, 2 and give the client a new ticket, 0 no ticket, -1 failure */
static int use_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                   EVP_MAC_CTX *mac, int making)
{
    const struct tls_handshake *h = SSL_get_app_data(ssl);
    const struct tickets *t = h ? h->tickets : NULL;
    const struct ticket_key *key = !t || t->n_keys == 0 ? NULL : making ? &t->keys[0] : key_named(t, name);

    if (!key)
        return 0;
    if (making) {
        memcpy(name, key->name, NAME_BYTES);
        rand_bytes(iv, EVP_MAX_IV_LENGTH);
    }
    int ok = making ? EVP_EncryptInit_ex(cipher, t->cipher, NULL, key->cipher, iv)
                    : EVP_DecryptInit_ex(cipher, t->cipher, NULL, key->cipher, iv);

    if (ok != 1 || !set_mac(mac, key))
        return -1;
    return key == &t->keys[0] ? 1 : 2;
}

void tickets_use(SSL_CTX *ctx)
{
    SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, use_key);
}
