/* SPDX-License-Identifier: Apache-2.0 */
/* imapd_kept_fuzz.c - notes in the index: what is accepted is what would be written; what is made is accepted */
#include <assert.h>

#include "base/own.h"
#include "imapd/kept.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(struct span envelope, struct span header)
{
    _cleanup_(str_free) struct str bytes = STR_INIT, fields = STR_INIT;
    struct kept back, k = { .envelope = envelope };

    kept_header(header, &fields);
    k.header = str_span(&fields);
    kept_encode(&k, 7, &bytes);
    assert(kept_decode(str_span(&bytes), 8, &back) < 0);
    assert((kept_decode(str_span(&bytes), 7, &back) == 0) == (envelope.len > 0));
    if (envelope.len > 0)
        assert(span_eq(back.envelope, envelope) && span_eq(back.header, k.header) && !back.structure.ptr);
    bytes.data[header.len % bytes.len] ^= 1; /* one bit anywhere */
    assert(kept_decode(str_span(&bytes), 7, &back) < 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(str_free) struct str again = STR_INIT;
    struct span in = span_make(data, size);
    struct kept k;

    if (kept_decode(in, 1, &k) == 0) {
        kept_encode(&k, 1, &again);
        assert(span_eq(str_span(&again), in));
    }
    check(span_first(in, size / 2), span_from(in, size / 2));
    return 0;
}
