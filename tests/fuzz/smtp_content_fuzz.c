/* SPDX-License-Identifier: Apache-2.0 */
/*
 * smtp_content_fuzz.c - what the client dot-stuffs, in pieces cut anywhere, is what the server gets
 */
#include <assert.h>

#include "smtp/smtp.h"
#include "smtpd/dotstuff.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(str_free) struct str stored = STR_INIT, wire = STR_INIT, got = STR_INIT;
    struct content_state s = { .stuff = true, .keep_bare_cr = true };
    struct dotstuff d;

    if (size < 1)
        return 0;
    struct span in = span_make(data + 1, size - 1);

    dotstuff_init(&d, DOTSTUFF_BDAT);       /* CRLF lines, as in a queue file */
    dotstuff_feed(&d, &in, &stored);
    dotstuff_finish(&d, &stored);
    content_clean(span_first(str_span(&stored), data[0]), &s, &wire);
    content_clean(span_from(str_span(&stored), data[0]), &s, &wire);
    str_add_str(&wire, s.column == 0 ? ".\r\n" : "\r\n.\r\n");

    struct span rest = str_span(&wire);
    dotstuff_init(&d, 0);
    assert(dotstuff_feed(&d, &rest, &got) == 1 && rest.len == 0);
    assert(span_eq(str_span(&got), str_span(&stored)));
    return 0;
}
