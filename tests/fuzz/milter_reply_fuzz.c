/* SPDX-License-Identifier: Apache-2.0 */
/*
 * milter_reply_fuzz.c - a hostile filter: the first byte says which of its answers is parsed
 */
#include <stdlib.h>

#include "milter/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(str_free) struct str text = STR_INIT;
    struct milter_options offered, options;
    struct milter_reply reply;
    const char *why;

    if (size < 1)
        return 0;
    struct span in = span_make(data + 1, size - 1);

    if (data[0] & 1) {
        if (!milter_options_of_version(2 + data[0] % 5, &offered))
            abort();
        milter_options_parse(in, &offered, &options, &why);
    } else if (milter_reply_parse(in, &reply) == 0 && reply.kind == MILTER_R_REPLYCODE) {
        if (milter_reply_text(reply.text, 1000, &text) == 0 && text.len > 1000)
            abort();
    }
    return 0;
}
