/* SPDX-License-Identifier: Apache-2.0 */
/* thread_id_test.c - names of conversations */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "thread_id.h"

#define ROOT "Message-ID: <a@b>\r\n\r\n"

static void test_replies_have_the_name_of_the_first_message(void **state)
{
    static const struct {
        const char *header;
        bool same;
    } cases[] = {
        { "Message-ID: <c@d>\r\nReferences: <a@b>\r\n\r\n", true },
        { "References: <a@b> <x@y>\r\n\t<c@d>\r\nIn-Reply-To: <c@d>\r\n\r\n", true },
        { "In-Reply-To: Your message of today <a@b>\r\n\r\n", true },
        { "References: \r\nIn-Reply-To: <a@b> <c@d>\r\n\r\n", true },
        { "References: <\r\n a@b>\r\n", true },
        { "subject: x\r\nmessage-id:<a@b>", true },
        { "References: <c@d> <a@b>\r\n\r\n", false },
        { "References: <a@b\r\n\r\n", false },
        { "Message-ID: <A@b>\r\n\r\n", false },
        { "Subject: <a@b>\r\n\r\n", false },
        { "", false },
    };
    _cleanup_(str_free) struct str root = STR_INIT;

    (void)state;
    thread_id_add(span_of(ROOT), &root);
    assert_int_equal(root.len, 33);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(str_free) struct str id = STR_INIT;

        thread_id_add(span_of(cases[i].header), &id);
        if ((strcmp(id.data, root.data) == 0) != cases[i].same)
            fail_msg("%s: %s", cases[i].header, id.data);
    }
}

static void test_a_message_without_ids_is_named_by_what_is_kept_of_it(void **state)
{
    _cleanup_(str_free) struct str all = STR_INIT, kept = STR_INIT, other = STR_INIT;

    (void)state;
    thread_id_add(span_of("X-A: 1\r\nSubject: a\r\nDate: b\r\n\r\n"), &all);
    thread_id_add(span_of("Subject: a\r\nDate: b\r\n"), &kept);
    thread_id_add(span_of("Subject: a\r\nDate: c\r\n"), &other);
    assert_string_equal(all.data, kept.data);
    assert_string_not_equal(all.data, other.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replies_have_the_name_of_the_first_message),
        cmocka_unit_test(test_a_message_without_ids_is_named_by_what_is_kept_of_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
