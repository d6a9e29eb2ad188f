/* SPDX-License-Identifier: Apache-2.0 */
/*
 * subject_fuzz.c - base subjects and their comparable form; neither grows beyond reason
 */
#include <assert.h>

#include "mail/casemap.h"
#include "mail/subject.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(str_free) struct str base = STR_INIT, form = STR_INIT;

    subject_base(span_make(data, size), &base);
    assert(base.len <= size);
    casemap_add(&form, str_span(&base));
    assert(form.len <= 18 * base.len);
    return 0;
}
