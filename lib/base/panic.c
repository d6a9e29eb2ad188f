/* SPDX-License-Identifier: Apache-2.0 */
/*
 * panic.c - a failed assertion says so in the log, where the operator looks, not only on stderr
 *
 * Takes the place of the C library's function of that name, which assert(3) calls.
 */
#include <assert.h>

#include "base/log.h"

_Noreturn void __assert_fail(const char *assertion, const char *file, unsigned line, const char *function)
{
    log_line(LOG_LV_PANIC, "%s:%u: %s: assertion failed: %s", file, line, function, assertion);
    log_flush();
    abort();
}
