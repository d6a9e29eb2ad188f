/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recipients_test.c - aliases are expanded as virtual(5) says, each address is delivered to once
 */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <errno.h>

#include "base/mem.h"
#include "cleanup/recipients.h"

static struct params params = {
    .append_at_myorigin = true,
    .myorigin = "example.com",
    .mydomain = "example.com",
    .mydestination = "example.com, localhost",
    .recipient_delimiter = "+",
    .enable_original_recipient = true,
    .propagate_unmatched_extensions = "canonical, virtual",
    .virtual_alias_expansion_limit = 20,
    .virtual_alias_recursion_limit = 5,
    .virtual_alias_maps =
        "inline:{"
        "{ team@example.com = ann@example.com, bob@example.com },"
        "{ self@example.com = self@example.com, other@example.com },"
        "{ loop1@example.com = loop2@example.com },"
        "{ loop2@example.com = loop1@example.com },"
        "{ root = ann },"
        "{ @alias.example = @example.org },"
        "{ @catch.example = one@example.net },"
        "{ deep@d.example = d1@d.example },"
        "{ d1@d.example = d2@d.example }, { d2@d.example = d3@d.example },"
        "{ d3@d.example = d4@d.example }, { d4@d.example = d5@d.example },"
        "{ d5@d.example = d6@d.example },"
        "{ wide@w.example = w1@x,w2@x,w3@x,w4@x,w5@x,w6@x,w7@x,w8@x,w9@x,w10@x,w11@x,w12@x,w13@x,"
        "w14@x,w15@x,w16@x,w17@x,w18@x,w19@x,w20@x,w21@x },"
        "{ nothing@example.com = , }"
        "}",
};

struct row {
    const char *given, *want; /* want: address (orig) ... */
    int r;
};

static void add_all(struct str *s, const struct recipients *r)
{
    for (size_t i = 0; i < r->len; i++) {
        str_addf(s, "%s%s", i ? " " : "", r->items[i].address);
        if (r->items[i].orig)
            str_addf(s, " (%s)", r->items[i].orig);
    }
}

/* given: addresses separated by '|' */
static void check(const struct row *row, enum recipients_mode mode)
{
    _cleanup_(aliases_close) struct aliases a = {0};
    _cleanup_(recipients_done) struct recipients list = {0};
    _cleanup_(str_free) struct str err = STR_INIT;
    _cleanup_(str_free) struct str got = STR_INIT;
    struct span in = span_of(row->given);
    int r = aliases_open(&params, &a, &err);

    if (r < 0)
        fail_msg("%s", str_cstr(&err));
    do {
        struct submit_rcpt rcpt = {0};

        str_add(&rcpt.address, span_cut(&in, '|'));
        r = recipients_add(&list, &a, &rcpt, mode);
        str_free(&rcpt.address);
    } while (r == 0 && in.len > 0);
    add_all(&got, &list);
    if (r != row->r || (r == 0 && strcmp(str_cstr(&got), row->want) != 0))
        fail_msg("%s: %d, %s", row->given, r, str_cstr(&got));
}

static void test_aliases_are_expanded_and_remember_what_was_asked_for(void **state)
{
    static const struct row rows[] = {
        {"ann@example.org",                  "ann@example.org",                                       0      },
        {"team@example.com",
         "ann@example.com (team@example.com) bob@example.com (team@example.com)",                     0      },
        {"TEAM@Example.Com",
         "ann@example.com (TEAM@Example.Com) bob@example.com (TEAM@Example.Com)",                     0      },
        {"team+x@example.com",
         "ann+x@example.com (team+x@example.com) bob+x@example.com (team+x@example.com)",             0      },
        {"self@example.com",                 "self@example.com other@example.com (self@example.com)", 0      },
        {"loop1@example.com",                "loop1@example.com",                                     0      },
        {"root",                             "ann@example.com (root)",                                0      },
        {"root@localhost",                   "ann@example.com (root@localhost)",                      0      },
        {"root@example.org",                 "root@example.org",                                      0      },
        {"joe@alias.example",                "joe@example.org (joe@alias.example)",                   0      },
        {"joe@catch.example",                "one@example.net (joe@catch.example)",                   0      },
        {"bob@example.com|team@example.com", "bob@example.com ann@example.com (team@example.com)",
         0                                                                                                   },
        {"x@example.net|X@EXAMPLE.NET",      "x@example.net",                                         0      },
        {"d1@d.example",                     "d6@d.example (d1@d.example)",                           0      },
        {"nothing@example.com",              "nothing@example.com",                                   0      },
        {"deep@d.example",                   "",                                                      -ELOOP },
        {"wide@w.example",                   "",                                                      -E2BIG },
        {"",                                 "",                                                      -EINVAL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        check(&rows[i], RECIPIENTS_EXPAND);
}

static void test_without_expansion_addresses_are_only_completed(void **state)
{
    static const struct row rows[] = {
        {"team@example.com", "team@example.com",        0},
        {"team",             "team@example.com (team)", 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        check(&rows[i], RECIPIENTS_AS_GIVEN);
}

static void test_dsn_parameters_and_the_original_recipient_go_to_every_address(void **state)
{
    _cleanup_(aliases_close) struct aliases a = {0};
    _cleanup_(recipients_done) struct recipients list = {0};
    _cleanup_(str_free) struct str err = STR_INIT;
    struct submit_rcpt rcpt = {.dsn_notify = DSN_NEVER};

    (void)state;
    assert_int_equal(aliases_open(&params, &a, &err), 0);
    str_add_str(&rcpt.address, "team@example.com");
    str_add_str(&rcpt.orig, "before@example.com");
    str_add_str(&rcpt.dsn_orcpt, "rfc822;before@example.com");
    assert_int_equal(recipients_add(&list, &a, &rcpt, RECIPIENTS_EXPAND), 0);
    assert_int_equal(list.len, 2);
    for (size_t i = 0; i < list.len; i++) {
        assert_string_equal(list.items[i].orig, "before@example.com");
        assert_string_equal(list.items[i].dsn_orcpt, "rfc822;before@example.com");
        assert_int_equal(list.items[i].dsn_notify, DSN_NEVER);
    }
    str_free(&rcpt.address);
    str_free(&rcpt.orig);
    str_free(&rcpt.dsn_orcpt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_aliases_are_expanded_and_remember_what_was_asked_for),
        cmocka_unit_test(test_without_expansion_addresses_are_only_completed),
        cmocka_unit_test(test_dsn_parameters_and_the_original_recipient_go_to_every_address),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
