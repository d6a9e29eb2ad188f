/* SPDX-License-Identifier: Apache-2.0 */
/*
 * set_gid_sanitizer.c - in builds with AddressSanitizer: no leak check in a set-gid program
 *
 * The check attaches to the process as a debugger, which the kernel does not allow there, and
 * what is in the environment is not read.
 */
const char *__asan_default_options(void);

const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}
