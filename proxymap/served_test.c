/* SPDX-License-Identifier: Apache-2.0 */
/*
 * served_test.c - only tables that are listed are answered from
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "base/str.h"
#include "proxymap/proxymap.h"

static struct str failures;

static void keep_failure(const char *text)
{
    str_addf(&failures, "%s\n", text);
}

static void test_only_tables_listed_with_proxy_are_answered_from(void **state)
{
    static const char list[] = "example.com, proxy:inline:{a=1, b=2} inline:{c=3}\n\tproxy:fail:x "
                               "proxy:hash:/nonexistent/table hash:/also/absent proxy:unix:passwd.byname";
    static const struct {
        const char *table, *key;
        uint32_t want;
        const char *value;
    } rows[] = {
        { "inline:{a=1, b=2}",       "a",    MAP_FOUND,     "1" },
        { "inline:{a=1, b=2}",       "x",    MAP_NOT_FOUND, ""  },
        { "inline:{a=1}",            "a",    MAP_REFUSED,   ""  },
        { "inline:{c=3}",            "c",    MAP_REFUSED,   ""  },
        { "fail:x",                  "c",    MAP_TEMPORARY, ""  },
        { "hash:/nonexistent/table", "c",    MAP_TEMPORARY, ""  },
        { "hash:/also/absent",       "c",    MAP_REFUSED,   ""  },
        { "texthash:/etc/passwd",    "root", MAP_REFUSED,   ""  },
        { "unix:passwd.byname",      "nobody-of-that-name", MAP_NOT_FOUND, "" },
        { "proxy:fail:x",            "c",    MAP_REFUSED,   ""  },
        { "",                        "",     MAP_REFUSED,   ""  },
    };
    struct served s = { 0 };

    (void)state;
    served_open(&s, list, keep_failure);
    assert_non_null(strstr(str_cstr(&failures), "/nonexistent/table."));
    assert_null(strstr(str_cstr(&failures), "/also/absent"));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct map_query q = { 0 };
        struct map_answer a = { .status = 99 };

        str_add_str(&q.table, rows[i].table);
        str_add_str(&q.key, rows[i].key);
        served_answer(&s, &q, &a);
        if (a.status != rows[i].want || strcmp(str_cstr(&a.value), rows[i].value) != 0)
            fail_msg("%s %s: status %u, value %s", rows[i].table, rows[i].key, a.status, a.value.data);
        str_free(&q.table);
        str_free(&q.key);
        str_free(&a.value);
    }
    served_done(&s);
    str_free(&failures);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_tables_listed_with_proxy_are_answered_from),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
