/* SPDX-License-Identifier: Apache-2.0 */
/* mutf7_fuzz.c - modified UTF-7 there and back */
#include <assert.h>
#include <stdlib.h>

#include "base/own.h"
#include "mailbox/mutf7.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(str_free) struct str text = STR_INIT, back = STR_INIT;
    struct span in = span_make(data, size);

    if (mutf7_encode(in, ".", &text) == 0) {
        assert(mutf7_decode(str_span(&text), &back) == 0);
        assert(span_eq(str_span(&back), in));
    }
    str_reset(&text);
    mutf7_decode(in, &text);
    return 0;
}
