/* SPDX-License-Identifier: Apache-2.0 */
/*
 * imapd_preview_fuzz.c - the preview of any message is short UTF-8
 */
#include "imapd/preview.h"

#include <assert.h>

#include "base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(mime_done) struct mime m = MIME_INIT;
    _cleanup_(str_free) struct str text = STR_INIT;

    mime_parse(span_make(data, size), 10, 100, NULL, &m);
    preview_make(&m, &text);
    assert(text.len <= 800 && utf8_valid(str_span(&text)));
    return 0;
}
