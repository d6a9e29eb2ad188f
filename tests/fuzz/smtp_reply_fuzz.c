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
    unsigned features = 0;
    uint64_t size_limit = 0;
    int r = 1;

    for (unsigned i = 0; r == 1 && in.len > 0; i++) {
        r = reply_add_line(&reply, i, span_cut(&in, '\n'), &text);
        if (r >= 0)
            ehlo_note_feature(text, &features, &size_limit);
    }
    if (r == 0) {
        reply_set_dsn(&reply);
        assert(reply.dsn[0] - '0' == reply.code / 100);
        assert(utf8_valid(str_span(&reply.text)));
    }
    str_free(&reply.text);
    return 0;
}
