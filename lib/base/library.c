/* SPDX-License-Identifier: Apache-2.0 */
/*
 * library.c - dlopen(3), and a table of functions
 *
 * Runs in: programs that read tables of a kind for which a library is needed.
 */
#include "base/library.h"

#include <dlfcn.h>
#include <errno.h>

static int explain(struct str *err, const char *soname)
{
    const char *why = dlerror();

    str_addf(err, "cannot use the library %s: %s", soname, why ? why : "unknown error");
    return -ELIBACC;
}

int library_load(const char *soname, const struct library_function *functions, size_t n, struct str *err)
{
    void *library = dlopen(soname, RTLD_NOW | RTLD_LOCAL);

    if (!library)
        return explain(err, soname);
    for (size_t i = 0; i < n; i++) {
        void *found = dlsym(library, functions[i].name);

        if (!found)
            return explain(err, soname);
        memcpy(functions[i].address, &found, sizeof found);
    }
    return 0;
}
