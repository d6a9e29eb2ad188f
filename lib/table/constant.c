/* SPDX-License-Identifier: Apache-2.0 */
/*
 * constant.c - static: one answer for every key; fail: a temporary failure for every key
 *
 * Runs in: every program that reads tables.
 */
#include <errno.h>

#include "base/mem.h"
#include "table/type.h"

/* "static:text" or "static:{ text with blanks }" */
int static_open(const struct table_opening *o, void **ret)
{
    struct span value = span_of(o->name);

    if (value.len >= 2 && value.ptr[0] == '{' && value.ptr[value.len - 1] == '}')
        value = span_trim(span_make(value.ptr + 1, value.len - 2));
    *ret = mem_dup_span(value);
    return 0;
}

int static_get(void *impl, struct span key, struct str *value)
{
    (void)key;
    str_add_str(value, impl);
    return 1;
}

void static_close(void *impl)
{
    free(impl);
}

int fail_open(const struct table_opening *o, void **ret)
{
    *ret = mem_strdup(o->name);
    return 0;
}

int fail_get(void *impl, struct span key, struct str *value)
{
    (void)impl, (void)key, (void)value;
    return -EIO;
}

void fail_close(void *impl)
{
    free(impl);
}
