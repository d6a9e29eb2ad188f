/* SPDX-License-Identifier: Apache-2.0 */
/*
 * smtp_reply_fuzz.c - what a server answers to EHLO: bounded, printable, and with a status of its class
 */
#include <assert.h>

#include "base/own.h"
#include "base/utf8.h"
#include "smtp/smtp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct smtp_reply reply = { .text = STR_INIT };
    struct span in = span_make(data, size), text;
    struct ehlo ehlo = { 0 };
    int r = 1;

    for (unsigned i = 0; r == 1 && in.len > 0; i++) {
        r = reply_add_line(&reply, i, span_cut(&in, '\n'), &text);
        if (r >= 0)
            ehlo_note_line(&ehlo, text, span_of("chunking"));
    }
    if (r == 0) {
        reply_set_dsn(&reply);
        assert(reply.dsn[0] - '0' == reply.code / 100);
        assert(utf8_valid(str_span(&reply.text)));
    }
    assert(!(ehlo.features & FEATURE_CHUNKING));
    assert(ehlo.auth.len <= 512 && ehlo.xforward.len <= 512);
    ehlo_done(&ehlo);
    str_free(&reply.text);
    return 0;
}
