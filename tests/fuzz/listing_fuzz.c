/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listing_fuzz.c - batches of a listing: what is taken packs to a record that is taken again
 */
#include <assert.h>

#include "queue/listing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(str_free) struct str again = STR_INIT;
    struct span in = span_make(data, size), copy;
    struct listed_message m, m2;
    struct listed_rcpt r, r2;

    while (in.len > 0 && listing_take_message(&in, &m) == 0) {
        str_reset(&again);
        listing_put_message(&again, &m);
        copy = str_span(&again);
        assert(listing_take_message(&copy, &m2) == 0 && copy.len == 0 && span_eq(m.sender, m2.sender));
        for (uint32_t i = 0; i < m.n_rcpts && listing_take_rcpt(&in, &r) == 0; i++) {
            str_reset(&again);
            listing_put_rcpt(&again, &r);
            copy = str_span(&again);
            assert(listing_take_rcpt(&copy, &r2) == 0 && copy.len == 0 && span_eq(r.address, r2.address));
        }
    }
    return 0;
}
