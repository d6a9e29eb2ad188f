/* SPDX-License-Identifier: Apache-2.0 */
/*
 * library.h - shared libraries that are loaded by the process that needs them, not by every program that could
 *
 * What a process has mapped is paid for at each fork and each end, by those that are forked for a session more than by others.
 */
#ifndef BASE_LIBRARY_H
#define BASE_LIBRARY_H

#include "base/str.h"

struct library_function {
    const char *name;
    void *address;              /* of the function pointer that is set */
};
#define LIBRARY_FUNCTION(table, name) { #name, &(table).name }

/*
 * Load a library by its soname and find all functions. 0; -ELIBACC, and err has the reason. It stays loaded. Before the
 * sandbox: files are opened and mapped.
 */
int library_load(const char *soname, const struct library_function *functions, size_t n, struct str *err);

#endif
