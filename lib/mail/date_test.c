/* SPDX-License-Identifier: Apache-2.0 */
/* date_test.c - tests of date.c */
#include "mail/date.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/own.h"

static const struct {
    const char *text;
    int64_t want; /* -1: refused */
    int zone;
} dates[] = {
    { "Tue, 03 Nov 2026 14:05:09 +0100", 1793711109, 60 },
    { "3 Nov 2026 14:05:09 +0100", 1793711109, 60 },
    { " Tue,3 Nov 2026 14:05:09 +0100 (CET)", 1793711109, 60 },
    { "Tue (a (nested) comment), 03 Nov 2026 14:05:09 CET", 1793711109, 60 },
    { "Tue, 03 Nov 2026 14(comment):   05  :  09 +0100", 1793711109, 60 },
    { "03 Nov 2026 13:05 GMT", 1793711100, 0 },
    { "03 november 26 13:05:09 UT", 1793711109, 0 },
    { "03 Nov 2026 08:05:09 EST", 1793711109, -300 },
    { "03 Nov 2026 13:05:09 Z", 1793711109, 0 },
    { "03 Nov 2026 13:05:09", 1793711109, 0 },
    { "03 Nov 2026 07:35:09 -05:30", 1793711109, -330 },
    { "03 Nov 126 13:05:09 GMT", 1793711109, 0 },
    { "01 Jan 70 00:00:00 +0000", 0, 0 },
    { "29 Feb 2024 00:00:00 +0000", 1709164800, 0 },
    { "29 Feb 2023 00:00:00 +0000", -1, 0 },
    { "31 Nov 2026 00:00:00 +0000", -1, 0 },
    { "0 Nov 2026 00:00:00 +0000", -1, 0 },
    { "03 Nov 2026 24:00:00 +0000", -1, 0 },
    { "03 Nov 2026 12:60:00 +0000", -1, 0 },
    { "03 Foo 2026 12:00:00 +0000", -1, 0 },
    { "03 Nov 99999999999999999999 12:00:00 +0000", -1, 0 },
    { "Tue", -1, 0 },
    { "((((", -1, 0 },
    { "", -1, 0 },
};

static void test_dates_as_mail_has_them_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(dates); i++) {
        int64_t got = -1;
        int zone = 0;
        int r = date_parse(span_of(dates[i].text), &got, &zone);

        if (got != dates[i].want || (dates[i].want >= 0) != (r == 0) || zone != dates[i].zone)
            fail_msg("%s: %d %lld %d", dates[i].text, r, (long long)got, zone);
    }
}

static const struct {
    const char *text;
    int64_t want;
} imap[] = {
    { "03-Nov-2026 14:05:09 +0100", 1793711109 }, { " 3-Nov-2026 14:05:09 +0100", 1793711109 },
    { "3-nov-2026 14:05:09 +0100", 1793711109 },  { "03-Nov-2026 14:05 +0100", -1 },
    { "03-Nov-26 14:05:09 +0100", -1 },           { "03-Nov-2026 14:05:09 CET", -1 },
    { "03-November-2026 14:05:09 +0100", -1 },    { "03-Nov-2026 14:05:09", -1 },
    { "", -1 },
};

static void test_imap_date_times_are_read_strictly(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(imap); i++) {
        int64_t got = -1;

        date_parse_imap(span_of(imap[i].text), &got);
        if (got != imap[i].want)
            fail_msg("%s: %lld", imap[i].text, (long long)got);
    }
}

static void test_an_imap_day_must_exist(void **state)
{
    (void)state;
    int y, m, d;

    assert_int_equal(date_parse_imap_day(span_of("1-Feb-1994"), &y, &m, &d), 0);
    assert_true(y == 1994 && m == 2 && d == 1);
    assert_true(date_parse_imap_day(span_of("30-Feb-1994"), &y, &m, &d) < 0);
    assert_true(date_parse_imap_day(span_of("1-Feb-94"), &y, &m, &d) < 0);
    assert_true(date_parse_imap_day(span_of("1 Feb 1994"), &y, &m, &d) < 0);
}

static void test_every_day_of_800_years_goes_there_and_back(void **state)
{
    (void)state;
    int64_t first = date_days(1600, 1, 1);
    int y, m, d;

    for (int64_t day = first; day < first + 292194; day++) {
        date_civil(day, &y, &m, &d);
        assert_true(date_days(y, m, d) == day);
        assert_true(m >= 1 && m <= 12 && d >= 1 && d <= 31);
    }
    assert_true(date_days(1970, 1, 1) == 0);
}

static void test_dates_are_written_in_local_time(void **state)
{
    (void)state;
    _cleanup_(str_free) struct str got = STR_INIT;

    date_rfc5322(&got, 1793711109);
    assert_string_equal(str_cstr(&got), "Tue, 03 Nov 2026 07:35:09 -0530");
    str_reset(&got);
    date_imap(&got, 1793711109);
    assert_string_equal(str_cstr(&got), " 3-Nov-2026 07:35:09 -0530");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dates_as_mail_has_them_are_read),
        cmocka_unit_test(test_imap_date_times_are_read_strictly),
        cmocka_unit_test(test_an_imap_day_must_exist),
        cmocka_unit_test(test_every_day_of_800_years_goes_there_and_back),
        cmocka_unit_test(test_dates_are_written_in_local_time),
    };

    setenv("TZ", "XXX5:30", 1);
    tzset();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
