/* SPDX-License-Identifier: Apache-2.0 */
#include "base/library.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/own.h"

static struct {
    double (*cos)(double);
    void (*no_such_function)(void);
} lib;

static void a_function_of_a_library_can_be_called(void **state)
{
    static const struct library_function functions[] = { LIBRARY_FUNCTION(lib, cos) };
    _cleanup_(str_free) struct str err = STR_INIT;

    (void)state;
    assert_int_equal(library_load("libm.so.6", functions, 1, &err), 0);
    assert_true(lib.cos(0) == 1);
    assert_int_equal(err.len, 0);
}

static void what_is_missing_is_named(void **state)
{
    static const struct library_function functions[] = { LIBRARY_FUNCTION(lib, no_such_function) };
    _cleanup_(str_free) struct str err = STR_INIT;

    (void)state;
    assert_int_equal(library_load("libm.so.6", functions, 1, &err), -ELIBACC);
    assert_non_null(strstr(str_cstr(&err), "no_such_function"));
    str_reset(&err);
    assert_int_equal(library_load("libthere-is-none.so.1", functions, 0, &err), -ELIBACC);
    assert_non_null(strstr(str_cstr(&err), "libthere-is-none.so.1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_function_of_a_library_can_be_called),
        cmocka_unit_test(what_is_missing_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
