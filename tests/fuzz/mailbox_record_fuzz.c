/* SPDX-License-Identifier: Apache-2.0 */
/* mailbox_record_fuzz.c - values of the mailbox index: what is accepted is what would be written */
#include <assert.h>
#include <stdlib.h>

#include "base/own.h"
#include "mailbox/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(str_free) struct str again = STR_INIT;
    struct span in = span_make(data, size);
    struct index_message m = { 0 };
    struct index_mailbox b;

    if (record_message_decode(in, &m) == 0) {
        record_message_encode(&m, &again);
        assert(span_eq(str_span(&again), in));
    }
    if (record_mailbox_decode(in, &b) == 0) {
        record_mailbox_encode(&b, &again);
        assert(span_eq(str_span(&again), in));
    }
    return 0;
}
