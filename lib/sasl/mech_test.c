/* SPDX-License-Identifier: Apache-2.0 */
/* mech_test.c - SASL exchanges from the server's side */
#include "sasl/mech.h"

#include <errno.h>
#include <gsasl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static void test_a_plain_message_is_taken_only_as_rfc_4616_writes_it(void **state)
{
    static const struct {
        struct span message;
        int result;
        const char *user, *password; /* NULL: malformed */
    } cases[] = {
        { SPAN("\0ann\0secret"), SASL_DONE, "ann", "secret" },
        { SPAN("ann\0ann\0secret"), SASL_DONE, "ann", "secret" },
        { SPAN("\0ann\0"), SASL_DONE, "ann", "" },
        { SPAN("bob\0ann\0secret"), -EACCES, "ann", "secret" },
        { SPAN("\0\0secret"), -EINVAL, NULL, NULL },
        { SPAN("\0ann"), -EINVAL, NULL, NULL },
        { SPAN("ann"), -EINVAL, NULL, NULL },
        { SPAN(""), -EINVAL, NULL, NULL },
        { SPAN("\0ann\0sec\0ret"), -EINVAL, NULL, NULL },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        _cleanup_(sasl_credentials_done) struct sasl_credentials c = { STR_INIT, STR_INIT };
        int r = sasl_plain_parse(cases[i].message, &c);
        assert_int_equal(r, cases[i].result);
        if (cases[i].user) {
            assert_string_equal(str_cstr(&c.user), cases[i].user);
            assert_string_equal(str_cstr(&c.password), cases[i].password);
        }
    }
}

static void test_login_asks_for_name_and_password(void **state)
{
    struct sasl_exchange x;
    _cleanup_(str_free) struct str challenge = STR_INIT;

    (void)state;
    assert_int_equal(sasl_start(&x, span_of("login"), NULL), 0);
    assert_int_equal(sasl_step(&x, SPAN_NULL, &challenge), SASL_CHALLENGE);
    assert_string_equal(str_cstr(&challenge), "Username:");
    str_reset(&challenge);
    assert_int_equal(sasl_step(&x, span_of("ann"), &challenge), SASL_CHALLENGE);
    assert_string_equal(str_cstr(&challenge), "Password:");
    assert_int_equal(sasl_step(&x, span_of("secret"), &challenge), SASL_DONE);
    assert_string_equal(str_cstr(&x.credentials.user), "ann");
    assert_string_equal(str_cstr(&x.credentials.password), "secret");
    sasl_end(&x);
}

static void test_an_unknown_mechanism_is_told_from_a_malformed_exchange(void **state)
{
    struct sasl_exchange x;
    _cleanup_(str_free) struct str challenge = STR_INIT;

    (void)state;
    assert_int_equal(sasl_start(&x, span_of("X-NONE"), NULL), -ENOTSUP);
    assert_int_equal(sasl_start(&x, span_of("LOGIN"), NULL), 0);
    assert_int_equal(sasl_step(&x, span_make("", 0), &challenge), -EINVAL);
    sasl_end(&x);
}

/* ---- SCRAM, with GNU SASL's client on the other side ---- */

struct scram_case {
    const char *mechanism, *password, *client_binding, *server_binding;
    bool plus_offered;
    int wanted;
};

static int secret_of_ann(void *arg, const char *mechanism, struct span user, struct scram_secret *ret)
{
    const int *failure = arg;

    if (*failure < 0)
        return *failure;
    assert_int_equal(scram_secret_derive(span_of(mechanism), span_of("s\303\251cret"), span_of("salt of ann"), 4096, ret), 0);
    if (!span_eq_str(user, "ann"))
        ret->stored_key[0] ^= 1;
    return 0;
}

static Gsasl_session *client_of(Gsasl *lib, const struct scram_case *c, const char *user)
{
    Gsasl_session *session;

    assert_int_equal(gsasl_client_start(lib, c->mechanism, &session), GSASL_OK);
    gsasl_property_set(session, GSASL_AUTHID, user);
    gsasl_property_set(session, GSASL_PASSWORD, c->password);
    if (c->client_binding) {
        _cleanup_(str_free) struct str text = STR_INIT;
        str_add_base64(&text, span_of(c->client_binding));
        gsasl_property_set(session, GSASL_CB_TLS_EXPORTER, str_cstr(&text));
    }
    return session;
}

/* Let both talk until the server has an answer. */
static int converse(const struct scram_case *c, const char *user, int lookup, bool *ret_server_proved)
{
    Gsasl *lib;
    struct sasl_server server = { secret_of_ann, &lookup, span_of(c->server_binding ? c->server_binding : ""),
                                  c->plus_offered };
    struct sasl_exchange x;
    _cleanup_(str_free) struct str challenge = STR_INIT;
    char *out = NULL;
    size_t len = 0;
    int r;

    assert_int_equal(gsasl_init(&lib), GSASL_OK);
    Gsasl_session *client = client_of(lib, c, user);
    assert_int_equal(sasl_start(&x, span_of(c->mechanism), &server), 0);
    do {
        int said = gsasl_step(client, challenge.data, challenge.len, &out, &len);
        *ret_server_proved = said == GSASL_OK;
        str_reset(&challenge);
        r = said == GSASL_OK || said == GSASL_NEEDS_MORE ? sasl_step(&x, span_make(out ? out : "", len), &challenge) : -EPROTO;
        gsasl_free(out);
        out = NULL;
    } while (r == SASL_CHALLENGE);
    if (r == SASL_DONE) {
        assert_true(x.proved);
        assert_string_equal(str_cstr(&x.credentials.user), user);
    }
    sasl_end(&x);
    gsasl_finish(client);
    gsasl_done(lib);
    return r;
}

static void test_scram_proves_the_password_and_the_channel(void **state)
{
    static const struct scram_case cases[] = {
        { "SCRAM-SHA-256", "s\303\251cret", NULL, NULL, false, SASL_DONE },
        { "SCRAM-SHA-1", "s\303\251cret", NULL, NULL, false, SASL_DONE },
        { "SCRAM-SHA-256", "secret", NULL, NULL, false, -EACCES },
        { "SCRAM-SHA-1", "", NULL, NULL, false, -EACCES },
        { "SCRAM-SHA-256-PLUS", "s\303\251cret", "channel one", "channel one", true, SASL_DONE },
        { "SCRAM-SHA-1-PLUS", "s\303\251cret", "channel one", "channel one", true, SASL_DONE },
        { "SCRAM-SHA-256-PLUS", "s\303\251cret", "channel of the thief", "channel one", true, -EACCES },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bool proved = false;
        int r = converse(&cases[i], "ann", 0, &proved);
        if (r != cases[i].wanted)
            fail_msg("case %zu, %s: %d", i, cases[i].mechanism, r);
        assert_int_equal(proved, r == SASL_DONE);   /* the server proves itself to those who know */
    }
}

static void test_scram_tells_a_stranger_as_late_as_a_wrong_password(void **state)
{
    static const struct scram_case c = { "SCRAM-SHA-256", "s\303\251cret", NULL, NULL, false, 0 };
    bool proved;

    (void)state;
    assert_int_equal(converse(&c, "bob", 0, &proved), -EACCES);
    assert_int_equal(converse(&c, "ann", -EIO, &proved), -EAGAIN);
}

/* RFC 5802 section 6 */
static void test_a_client_that_was_told_that_we_cannot_bind_is_refused_if_we_can(void **state)
{
    int lookup = 0;
    struct sasl_server server = { secret_of_ann, &lookup, span_of("channel"), true };

    (void)state;
    for (int offered = 0; offered < 2; offered++) {
        struct sasl_exchange x;
        _cleanup_(str_free) struct str challenge = STR_INIT;
        server.plus_offered = offered;
        assert_int_equal(sasl_start(&x, span_of("SCRAM-SHA-256"), &server), 0);
        assert_int_equal(sasl_step(&x, span_of("y,,n=ann,r=abcdefgh"), &challenge), offered ? -EACCES : SASL_CHALLENGE);
        sasl_end(&x);
    }
}

static void test_malformed_scram_messages_are_refused(void **state)
{
    static const struct span messages[] = {
        SPAN(""), SPAN("n,,"), SPAN("x"), SPAN("n,,n=ann"), SPAN("n,,r=abc"), SPAN("p=tls-none,,n=ann,r=abc"),
        SPAN("n,,n=ann,r=abc\0"), SPAN("n,,m=ext,n=ann,r=abc"), SPAN("\0\0\0"),
    };
    int lookup = 0;
    struct sasl_server server = { secret_of_ann, &lookup, SPAN_NULL, false };

    (void)state;
    for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++) {
        struct sasl_exchange x;
        _cleanup_(str_free) struct str challenge = STR_INIT;
        assert_int_equal(sasl_start(&x, span_of("SCRAM-SHA-256"), &server), 0);
        if (sasl_step(&x, messages[i], &challenge) >= 0)
            fail_msg("message %zu was taken", i);
        sasl_end(&x);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_plain_message_is_taken_only_as_rfc_4616_writes_it),
        cmocka_unit_test(test_login_asks_for_name_and_password),
        cmocka_unit_test(test_scram_proves_the_password_and_the_channel),
        cmocka_unit_test(test_scram_tells_a_stranger_as_late_as_a_wrong_password),
        cmocka_unit_test(test_a_client_that_was_told_that_we_cannot_bind_is_refused_if_we_can),
        cmocka_unit_test(test_malformed_scram_messages_are_refused),
        cmocka_unit_test(test_an_unknown_mechanism_is_told_from_a_malformed_exchange),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
