/* SPDX-License-Identifier: Apache-2.0 */
/*
 * domain_fuzz.c - domains in A-label form stay as they are; xtext comes back
 */
#include <assert.h>
#include <stdint.h>

#include "base/own.h"
#include "mail/idna.h"
#include "mail/xtext.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(str_free) struct str name = STR_INIT, again = STR_INIT, text = STR_INIT;
    struct span in = span_make(data, size);

    if (idna_to_ascii(in, &name) == 0) {
        assert(idna_is_ascii(str_span(&name)));
        assert(idna_to_ascii(str_span(&name), &again) == 0);
        assert(span_eq(str_span(&name), str_span(&again)));
    }
    xtext_encode(&text, in);
    assert(xtext_decode(str_span(&text), &again) == 0 && span_eq(str_span(&again), in));
    xtext_decode(in, &text);
    return 0;
}
