/* SPDX-License-Identifier: Apache-2.0 */
/*
 * secret.h - text that must not stay in memory: passwords, and the lines they came in
 */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include <string.h>

#include "base/str.h"

/* str_free, with the bytes overwritten first; for _cleanup_ as well. */
static inline void secret_free(struct str *s)
{
    if (s->data && s->cap > 0)
        explicit_bzero(s->data, s->cap);
    str_free(s);
}

#endif
