/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_test.c - contexts, protocol lists, and handshakes over a socket pair
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>

#include <cmocka.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/clock.h"
#include "base/mem.h"
#include "io/loop.h"
#include "io/stream.h"
#include "tls/internal.h"

static char dir[] = "/tmp/tls_test.XXXXXX";
static char pem_file[64], key_file[64], cert_file[64], empty_file[64];

/* add_name - the certificate is mx.example.com's */
static void add_name(X509 *x)
{
    X509_NAME *name = X509_get_subject_name(x);
    X509_EXTENSION *alt =
        X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:mx.example.com,IP:192.0.2.1");

    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"mx.example.com",
                               -1, -1, 0);
    X509_set_issuer_name(x, name);
    X509_add_ext(x, alt, -1);
    X509_EXTENSION_free(alt);
}

static void write_pem(const char *file, EVP_PKEY *key, X509 *x)
{
    FILE *f = fopen(file, "w");

    assert_non_null(f);
    if (key)
        PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL);
    if (x)
        PEM_write_X509(f, x);
    fclose(f);
}

static int make_files(void **state)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = X509_new();

    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(pem_file, sizeof pem_file, "%s/both.pem", dir);
    snprintf(key_file, sizeof key_file, "%s/key.pem", dir);
    snprintf(cert_file, sizeof cert_file, "%s/cert.pem", dir);
    snprintf(empty_file, sizeof empty_file, "%s/empty.pem", dir);
    X509_set_version(x, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    X509_set_pubkey(x, key);
    add_name(x);
    assert_true(X509_sign(x, key, EVP_sha256()) > 0);
    write_pem(pem_file, key, x);
    write_pem(key_file, key, NULL);
    write_pem(cert_file, NULL, x);
    write_pem(empty_file, NULL, NULL);
    X509_free(x);
    EVP_PKEY_free(key);
    return 0;
}

static int remove_files(void **state)
{
    (void)state;
    unlink(pem_file);
    unlink(key_file);
    unlink(cert_file);
    unlink(empty_file);
    return rmdir(dir);
}

static void test_protocol_lists_mean_what_they_mean_to_postfix(void **state)
{
    static const uint64_t tls1213 = SSL_OP_NO_SSLv3 | SSL_OP_NO_TLSv1 | SSL_OP_NO_TLSv1_1;
    static const uint64_t all = tls1213 | SSL_OP_NO_TLSv1_2 | SSL_OP_NO_TLSv1_3;
    static const struct {
        const char *text;
        int r;
        uint64_t off;
    } cases[] = {
        { "",                                         0,       tls1213                     },
        { NULL,                                       0,       tls1213                     },
        { ">=TLSv1.2",                                0,       tls1213                     },
        { ">=tlsv1.2, <=TLSv1.2",                     0,       tls1213 | SSL_OP_NO_TLSv1_3 },
        { "!SSLv2, !SSLv3",                           0,       SSL_OP_NO_SSLv3             },
        { "!SSLv2:!SSLv3:!TLSv1:!TLSv1.1",            0,       tls1213                     },
        { "TLSv1.3",                                  0,       tls1213 | SSL_OP_NO_TLSv1_2 },
        { "TLSv1.2 TLSv1.3",                          0,       tls1213                     },
        { "TLSv1.2, !TLSv1.2",                        -EINVAL, 0                           },
        { ">=TLSv1.4",                                -EINVAL, 0                           },
        { "!",                                        -EINVAL, 0                           },
        { "SSLv2",                                    -EINVAL, 0                           },
        { ">=TLSv1.3 <=TLSv1.2",                      -EINVAL, 0                           },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        SSL_CTX *ctx = SSL_CTX_new(TLS_method());
        int r = tls_set_protocols(ctx, cases[i].text);

        if (r != cases[i].r || (r == 0 && (SSL_CTX_get_options(ctx) & all) != cases[i].off))
            fail_msg("row %zu: \"%s\" gives %d", i, cases[i].text, r);
        SSL_CTX_free(ctx);
    }
}

static void test_unusable_files_are_named(void **state)
{
    const struct {
        struct tls_server_config cfg;
        const char *named;
    } cases[] = {
        { { .chain_files = "/nowhere/x.pem" },                           "/nowhere/x.pem" },
        { { .chain_files = empty_file },                                 empty_file       },
        { { .chain_files = cert_file },                                  cert_file        },
        { { .chain_files = key_file },                                   key_file         },
        { { .cert_file = cert_file },                                    cert_file        },
        { { .cert_file = cert_file, .key_file = "/nowhere/k" },          "/nowhere/k"     },
        { { .cert_file = pem_file, .ciphers = "NOSUCH" },                "NOSUCH"         },
        { { .cert_file = pem_file, .protocols = "SSLv9" },               "SSLv9"          },
        { { .cert_file = pem_file, .ask = TLS_ASK_CERT, .ca_file = key_file }, key_file   },
        { { .cert_file = pem_file, .ask = TLS_ASK_CERT, .ca_path = "/nowhere" }, "/nowhere" },
        { { .cert_file = pem_file, .groups = "P-1" },                    "P-1"            },
        { { .cert_file = pem_file, .ec_cert_file = "/nowhere/e" },       "/nowhere/e"     },
        { { .cert_file = pem_file, .sni_maps = "nosuch:type" },          "nosuch"         },
        { { 0 },                                                         "none"           },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(str_free) struct str err = STR_INIT;
        struct tls_server *srv = NULL;

        if (tls_server_open(&cases[i].cfg, &srv, &err) >= 0 || srv ||
            span_find(str_span(&err), span_of(cases[i].named)) < 0)
            fail_msg("row %zu: %s", i, str_cstr(&err));
    }
}

static void test_key_and_chain_may_be_in_one_file_or_in_two(void **state)
{
    _cleanup_(str_free) struct str two = STR_INIT, err = STR_INIT;
    struct tls_server_config cfgs[] = {
        { .chain_files = pem_file },
        { .cert_file = pem_file },
        { .cert_file = cert_file, .key_file = key_file },
        { 0 },
    };

    (void)state;
    str_addf(&two, "%s, %s", key_file, cert_file);
    cfgs[3].chain_files = two.data;
    for (size_t i = 0; i < ARRAY_LEN(cfgs); i++) {
        struct tls_server *srv = NULL;

        if (tls_server_open(&cfgs[i], &srv, &err) != 0)
            fail_msg("row %zu: %s", i, str_cstr(&err));
        tls_server_free(srv);
    }
}

/* One side of a conversation, and what became of it. */
struct side {
    SSL_CTX *ctx;               /* the client's */
    struct tls_server *server;
    const struct tls_need *need;    /* NULL: the server */
    struct tls_sessions *sessions;
    int fd, result;
    bool enough, resumed;
    char trust[16], description[192], error[128];
};

enum { BULK = 300 * 1000 };

/* talk - handshake; the client sends a line and gets BULK bytes; both close */
static void talk(void *arg)
{
    struct side *s = arg;
    _cleanup_(stream_free_ptr_) struct stream *st = stream_new(s->fd);
    _cleanup_(str_free) struct str text = STR_INIT;
    _cleanup_free_ char *bulk = mem_calloc(BULK, 1);
    struct span line;

    stream_set_timeout(st, 5000);
    s->result = s->need ? stream_start_tls(st, tls_client_new(s->ctx, s->need, s->sessions, "mx.example.com"))
                        : tls_server_handshake(s->server, st);
    snprintf(s->error, sizeof s->error, "%s", stream_tls_error(st));
    if (s->result < 0)
        return;
    tls_describe(stream_ssl(st), &text);
    snprintf(s->description, sizeof s->description, "%s", text.data);
    snprintf(s->trust, sizeof s->trust, "%s", tls_trust(stream_ssl(st)));
    if (s->need) {
        enum tls_verdict verdict = tls_client_judge(stream_ssl(st), s->need);
        snprintf(s->trust, sizeof s->trust, "%s", tls_verdict_name(verdict));
        s->enough = tls_client_satisfied(stream_ssl(st), s->need, verdict);
        s->resumed = SSL_session_reused(stream_ssl(st));
        snprintf(s->error, sizeof s->error, "%s", tls_client_reason(stream_ssl(st), s->need, verdict));
        stream_puts(st, "give\r\n");
        s->result = stream_read(st, bulk, BULK);
        assert_int_equal(bulk[BULK - 1], 'x');
        return;     /* without close_notify, as after QUIT */
    }
    s->result = stream_getline(st, 100, &line);
    if (s->result < 0)
        return;
    memset(bulk, 'x', BULK);
    stream_write(st, span_make(bulk, BULK));
    assert_int_equal(stream_getline(st, 100, &line), -ENODATA);
}

static struct tls_server *open_server(const char *protocols, const char *ca_file)
{
    _cleanup_(str_free) struct str err = STR_INIT;
    const struct tls_server_config cfg = { .chain_files = pem_file,
                                           .protocols = protocols,
                                           .ask = *ca_file ? TLS_ASK_CERT : TLS_ASK_NOTHING,
                                           .ca_file = ca_file,
                                           .verify_depth = 9,
                                           .session_timeout_ms = 3600 * 1000 };
    struct tls_server *srv = NULL;

    assert_int_equal(tls_server_open(&cfg, &srv, &err), 0);
    return srv;
}

static SSL_CTX *client_context(const char *ca_file)
{
    _cleanup_(str_free) struct str err = STR_INIT;
    SSL_CTX *ctx = NULL;

    assert_int_equal(
        tls_client_context(&(struct tls_client_config){ .ca_file = ca_file }, &ctx, &err), 0);
    return ctx;
}

static void meet(struct side *server, struct side *client)
{
    int sv[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
    server->fd = sv[0];
    client->fd = sv[1];
    fiber_start(talk, server);
    fiber_start(talk, client);
    assert_int_equal(loop_run(), 0);
    SSL_CTX_free(client->ctx);
}

/* own_digests - SHA-256 of the certificate and of its public key, in hex, as fingerprints and TLSA records have it */
static void own_digests(struct str *cert, struct str *key)
{
    _cleanup_(str_free) struct str of_cert = STR_INIT, of_key = STR_INIT;
    FILE *f = fopen(cert_file, "r");
    X509 *x = PEM_read_X509(f, NULL, NULL, NULL);

    fclose(f);
    tls_fingerprints(x, EVP_sha256(), &of_cert, &of_key);
    assert_int_equal(tls_fingerprint_parse(str_span(&of_cert), cert), 0);
    assert_int_equal(tls_fingerprint_parse(str_span(&of_key), key), 0);
    X509_free(x);
}

static void unhex(const char *hex, unsigned char bytes[32])
{
    for (size_t i = 0; i < 32; i++)
        bytes[i] = (unsigned char)strtoul((char[]){ hex[2 * i], hex[2 * i + 1], '\0' }, NULL, 16);
}

/* What stands for the real digests in the table below */
#define CERT "(cert)"
#define KEY  "(key)"

static const struct meeting {
    enum tls_level level;
    bool know_ca;
    const char *match;
    const char *trust;
    bool enough;
    unsigned tlsa[3];           /* usage, selector, matching; all 0: none */
    const char *tlsa_of;
} meetings[] = {
    { TLS_LEVEL_MAY,         true,  "",                            "Trusted",   true,  { 0 }, NULL },
    { TLS_LEVEL_MAY,         false, "",                            "Untrusted", true,  { 0 }, NULL },
    { TLS_LEVEL_ENCRYPT,     false, "other.example.com",           "Untrusted", true,  { 0 }, NULL },
    { TLS_LEVEL_VERIFY,      true,  "mx.example.com",              "Verified",  true,  { 0 }, NULL },
    { TLS_LEVEL_VERIFY,      true,  "no.example.com .example.com", "Verified",  true,  { 0 }, NULL },
    { TLS_LEVEL_VERIFY,      true,  "MX.Example.COM",              "Verified",  true,  { 0 }, NULL },
    { TLS_LEVEL_VERIFY,      true,  "192.0.2.1",                   "Verified",  true,  { 0 }, NULL },
    { TLS_LEVEL_VERIFY,      true,  "192.0.2.2",                   "Trusted",   false, { 0 }, NULL },
    { TLS_LEVEL_VERIFY,      true,  "example.com x.example.com",   "Trusted",   false, { 0 }, NULL },
    { TLS_LEVEL_VERIFY,      true,  "",                            "Trusted",   false, { 0 }, NULL },
    { TLS_LEVEL_SECURE,      false, "mx.example.com",              "Untrusted", false, { 0 }, NULL },
    { TLS_LEVEL_FINGERPRINT, false, "00ff " CERT,                  "Verified",  true,  { 0 }, NULL },
    { TLS_LEVEL_FINGERPRINT, false, KEY,                           "Verified",  true,  { 0 }, NULL },
    { TLS_LEVEL_FINGERPRINT, true,  "00ff",                        "Untrusted", false, { 0 }, NULL },
    { TLS_LEVEL_DANE,        false, "other.example.com",           "Verified",  true,  { 3, 1, 1 }, KEY },
    { TLS_LEVEL_DANE,        false, "other.example.com",           "Verified",  true,  { 3, 0, 1 }, CERT },
    { TLS_LEVEL_DANE,        true,  "mx.example.com",              "Untrusted", false, { 3, 1, 1 }, CERT },
    { TLS_LEVEL_DANE,        true,  "mx.example.com",              "Untrusted", false, { 2, 1, 1 }, CERT },
};

static void test_a_server_is_trusted_as_far_as_its_certificate_goes(void **state)
{
    _cleanup_(str_free) struct str cert = STR_INIT, key = STR_INIT;

    (void)state;
    own_digests(&cert, &key);
    for (size_t i = 0; i < ARRAY_LEN(meetings); i++) {
        const struct meeting *m = &meetings[i];
        _cleanup_(str_free) struct str match = STR_INIT;
        unsigned char digest[32];
        struct tls_tlsa tlsa = { (uint8_t)m->tlsa[0], (uint8_t)m->tlsa[1], (uint8_t)m->tlsa[2], digest, 32 };
        struct tls_need need = { .level = m->level, .digest = "sha256", .tlsa = &tlsa, .n_tlsa = m->tlsa_of ? 1 : 0 };
        struct side server = { .server = open_server("", "") };
        struct side client = { .ctx = client_context(m->know_ca ? cert_file : ""), .need = &need };
        struct span list = span_of(m->match), word;

        while (span_word(&list, " ", &word))
            str_addf(&match, "%s" SPAN_FMT, match.len ? " " : "",
                     SPAN_ARG(span_eq_str(word, CERT) ? str_span(&cert) : span_eq_str(word, KEY) ? str_span(&key) : word));
        need.match = str_cstr(&match);
        if (m->tlsa_of)
            unhex(strcmp(m->tlsa_of, KEY) == 0 ? key.data : cert.data, digest);
        meet(&server, &client);
        tls_server_free(server.server);
        if (client.result != 0 || strcmp(client.trust, m->trust) != 0 || client.enough != m->enough)
            fail_msg("row %zu: %d %s %d %s", i, client.result, client.trust, client.enough, client.error);
        if (!client.enough)
            assert_true(strlen(client.error) > 0);
        assert_string_equal(server.trust, "Anonymous");
        assert_string_equal(client.description,
                            "TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange X25519 "
                            "server-signature ECDSA (P-256) server-digest SHA256");
    }
}

static void test_an_older_protocol_is_spoken_when_only_that_is_allowed(void **state)
{
    static const struct tls_need need = { .level = TLS_LEVEL_MAY };
    struct side server = { .server = open_server("TLSv1.2", cert_file) };
    struct side client = { .ctx = client_context(cert_file), .need = &need };

    (void)state;
    meet(&server, &client);
    tls_server_free(server.server);
    assert_int_equal(client.result, 0);
    assert_true(strncmp(server.description, "TLSv1.2 with cipher ", 20) == 0);
    assert_string_equal(server.trust, "Anonymous");
}

static void test_a_protocol_that_the_policy_excludes_is_not_spoken(void **state)
{
    struct tls_need need = { .level = TLS_LEVEL_MAY };
    struct side server = { .server = open_server("TLSv1.2", "") };
    struct side client = { .ctx = client_context(""), .need = &need };

    (void)state;
    assert_int_equal(tls_protocols_parse(span_of("!TLSv1.2"), &need.protocols_off), 0);
    meet(&server, &client);
    tls_server_free(server.server);
    assert_int_equal(client.result, -EPROTO);
    assert_true(strlen(client.error) > 0);
}

/* Both versions of TLS, since their tickets come at different times. */
static void test_a_session_is_resumed_only_if_its_server_was_good_enough(void **state)
{
    static const struct {
        const char *protocols;
        struct tls_need need;
        bool resumed;
    } cases[] = {
        { "TLSv1.2", { .level = TLS_LEVEL_VERIFY, .match = "mx.example.com" }, true  },
        { "TLSv1.3", { .level = TLS_LEVEL_VERIFY, .match = "mx.example.com" }, true  },
        { "TLSv1.2", { .level = TLS_LEVEL_VERIFY, .match = "x.example.com" },  false },
        { "TLSv1.3", { .level = TLS_LEVEL_VERIFY, .match = "x.example.com" },  false },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct tls_sessions *sessions = tls_sessions_new(10, 60);
        struct tls_server *srv = open_server(cases[i].protocols, "");
        SSL_CTX *client_ctx = client_context(cert_file);

        for (int round = 0; round < 2; round++) {
            struct side server = { .server = srv };
            struct side client = { .ctx = client_ctx, .need = &cases[i].need, .sessions = sessions };

            SSL_CTX_up_ref(client_ctx);
            meet(&server, &client);
            if (client.result != 0 || client.enough != cases[i].resumed ||
                client.resumed != (round == 1 && cases[i].resumed))
                fail_msg("row %zu, round %d: %d %d %s", i, round, client.resumed, client.enough, client.error);
        }
        tls_server_free(srv);
        SSL_CTX_free(client_ctx);
        tls_sessions_free(sessions);
    }
}

static void test_fingerprints_are_hexadecimal_with_colons_or_without(void **state)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        { "AB:cd:09", "abcd09" }, { "abcd09", "abcd09" }, { "", NULL },       { "a", NULL },   { "ab:", NULL },
        { ":ab", NULL },          { "abc:d", NULL },      { "ab:c", NULL },   { "gg", NULL },  { "ab::cd", NULL },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(str_free) struct str got = STR_INIT;
        int r = tls_fingerprint_parse(span_of(cases[i].text), &got);

        if (cases[i].want ? r != 0 || strcmp(str_cstr(&got), cases[i].want) != 0 : r != -EINVAL || got.len != 0)
            fail_msg("row %zu: %d %s", i, r, str_cstr(&got));
    }
}

static void test_tlsa_records_that_mean_nothing_to_smtp_are_unusable(void **state)
{
    static const struct {
        struct span rdata;
        bool usable;
    } cases[] = {
#define D32 "0123456789abcdef0123456789abcdef"
        { SPAN("\3\1\1" D32), true },  { SPAN("\2\0\1" D32), true },   { SPAN("\3\1\2" D32 D32), true },
        { SPAN("\0\1\1" D32), false }, { SPAN("\1\0\1" D32), false },  { SPAN("\4\1\1" D32), false },
        { SPAN("\3\2\1" D32), false }, { SPAN("\3\1\3" D32), false },  { SPAN("\3\1\2" D32), false },
        { SPAN("\3\1\1x" D32), false }, { SPAN("\3\0\0" D32), false }, { SPAN("\3\1\0" D32), false },
        { SPAN("\3\1\1"), false },     { SPAN(""), false },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct tls_tlsa t;
        bool usable = tls_tlsa_parse((const unsigned char *)cases[i].rdata.ptr, cases[i].rdata.len, &t) == 0 &&
                      tls_tlsa_usable(&t);
        if (usable != cases[i].usable)
            fail_msg("row %zu", i);
    }
}

/* chatter - what a peer that speaks no TLS sends */
static void chatter(void *arg)
{
    _cleanup_(stream_free_ptr_) struct stream *st = stream_new(*(int *)arg);
    struct span answer;

    stream_set_timeout(st, 5000);
    stream_puts(st, "EHLO this is no handshake at all\r\n");
    while (stream_peek(st, &answer) == 0)
        stream_consume(st, answer.len);
}

static void test_a_peer_that_speaks_no_tls_fails_the_handshake_with_a_reason(void **state)
{
    struct side server = { .server = open_server("", "") };
    int sv[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
    server.fd = sv[0];
    fiber_start(talk, &server);
    fiber_start(chatter, &sv[1]);
    assert_int_equal(loop_run(), 0);
    assert_int_equal(server.result, -EPROTO);
    assert_true(strlen(server.error) > 0);
    tls_server_free(server.server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_protocol_lists_mean_what_they_mean_to_postfix),
        cmocka_unit_test(test_unusable_files_are_named),
        cmocka_unit_test(test_key_and_chain_may_be_in_one_file_or_in_two),
        cmocka_unit_test(test_a_server_is_trusted_as_far_as_its_certificate_goes),
        cmocka_unit_test(test_an_older_protocol_is_spoken_when_only_that_is_allowed),
        cmocka_unit_test(test_a_protocol_that_the_policy_excludes_is_not_spoken),
        cmocka_unit_test(test_a_session_is_resumed_only_if_its_server_was_good_enough),
        cmocka_unit_test(test_fingerprints_are_hexadecimal_with_colons_or_without),
        cmocka_unit_test(test_tlsa_records_that_mean_nothing_to_smtp_are_unusable),
        cmocka_unit_test(test_a_peer_that_speaks_no_tls_fails_the_handshake_with_a_reason),
    };

    return cmocka_run_group_tests(tests, make_files, remove_files);
}
