/* SPDX-License-Identifier: Apache-2.0 */
/*
 * list_test.c - smtpd_milters means what is written there, or says what is wrong
 */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <errno.h>

#include "base/mem.h"
#include "milter/milter.h"

static struct params params = {
    .milter_connect_timeout = 30,
    .milter_command_timeout = 31,
    .milter_content_timeout = 300,
    .milter_protocol = 6,
    .milter_default_action = "tempfail",
    .queue_directory = "/queue",
};

static void each_filter_has_its_settings_or_the_general_ones(void **state)
{
    _cleanup_(milter_list_done) struct milter_list l = { 0 };
    _cleanup_(str_free) struct str err = STR_INIT;
    const char *text = "inet:127.0.0.1:8891, { unix:run/x.sock, command_timeout=5s, {protocol = 4} "
                       "default_action=ACCEPT } 7357@localhost";

    (void)state;
    assert_int_equal(milter_list_parse(&params, text, MILTER_BY_ADDRESS, &l, &err), -EINVAL); /* no inet: */
    text = "inet:127.0.0.1:8891, { unix:run/x.sock, command_timeout=5s, {protocol = 4} default_action=ACCEPT } "
           "inet:7357@localhost";
    str_reset(&err);
    assert_int_equal(milter_list_parse(&params, text, MILTER_BY_ADDRESS, &l, &err), 0);
    assert_int_equal(l.len, 3);
    assert_int_equal(socket_addr_port(&l.items[0].addr), 8891);
    assert_int_equal(l.items[0].command_s, 31);
    assert_int_equal(l.items[0].default_action, MILTER_DEFAULT_TEMPFAIL);
    assert_string_equal(l.items[1].path, "/queue/run/x.sock");
    assert_int_equal(l.items[1].command_s, 5);
    assert_int_equal(l.items[1].content_s, 300);
    assert_int_equal(l.items[1].protocol, 4);
    assert_int_equal(l.items[1].default_action, MILTER_DEFAULT_ACCEPT);
    assert_int_equal(socket_addr_port(&l.items[2].addr), 7357);
    assert_true(milter_list_has_inet(&l));
}

static void a_wrong_setting_is_named(void **state)
{
    static const struct {
        const char *text, *why;
    } cases[] = {
        { "127.0.0.1:25",                                    "inet:host:port or unix:path is wanted" },
        { "unix:",                                           "the path is missing"                   },
        { "inet:not.numeric:25",                             "milter inet:not.numeric:25"            },
        { "inet:127.0.0.1:port",                             "milter inet:127.0.0.1:port"            },
        { "{ inet:127.0.0.1:1, nonsense=1 }",                "\"nonsense=1\" is no setting of it"    },
        { "{ inet:127.0.0.1:1, connect_timeout=soon }",      "connect_timeout=soon"                  },
        { "{ inet:127.0.0.1:1, protocol=1 }",                "protocol=1"                            },
        { "{ }",                                             "is wanted"                             },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(str_free) struct str err = STR_INIT;
        struct milter_list l = { 0 };

        if (milter_list_parse(&params, cases[i].text, MILTER_BY_ADDRESS, &l, &err) == 0 ||
            !strstr(str_cstr(&err), cases[i].why))
            fail_msg("case %zu: %s", i, str_cstr(&err));
    }
}

static void more_filters_than_a_session_can_lend_are_refused(void **state)
{
    _cleanup_(str_free) struct str text = STR_INIT, err = STR_INIT;
    struct milter_list l = { 0 };

    (void)state;
    for (int i = 0; i <= SUBMIT_MILTERS_MAX; i++)
        str_add_str(&text, "inet:127.0.0.1:1 ");
    assert_int_equal(milter_list_parse(&params, str_cstr(&text), MILTER_BY_ADDRESS, &l, &err), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_filter_has_its_settings_or_the_general_ones),
        cmocka_unit_test(a_wrong_setting_is_named),
        cmocka_unit_test(more_filters_than_a_session_can_lend_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
