/* SPDX-License-Identifier: Apache-2.0 */
/* mailbox_record_fuzz.c - values of the mailbox index: what is accepted is what would be written, or what older ones have written */
#include <assert.h>
#include <endian.h>
#include <stdlib.h>

#include "base/own.h"
#include "mailbox/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Under a wrong checksum nothing is accepted; under the right one it depends on the rest. */
static void check(struct span in)
{
    _cleanup_(str_free) struct str again = STR_INIT;
    struct index_mailbox b;
    struct index_page p;
    struct span name, name_again;
    bool whole, whole_again;

    if (record_name_decode(in, &name, &whole) == 0) {
        record_name_encode(name, whole, &again);
        assert(record_name_decode(str_span(&again), &name_again, &whole_again) == 0);
        assert(whole_again == whole && span_eq(name_again, name));
    }
    if (record_mailbox_decode(in, &b) == 0) {
        record_mailbox_encode(&b, &again);
        assert(span_eq(str_span(&again), in));
    }
    _cleanup_(late_names_done) struct late_names late = { .stamp = 0 };
    if (record_late_decode(in, &late) == 0) {
        record_late_encode(&late, &again);
        assert(span_eq(str_span(&again), in));
    }
    if (record_page_decode(in, 0, &p) == 0) {
        record_page_encode(&p, &again);
        assert(span_eq(str_span(&again), in));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(str_free) struct str summed = STR_INIT;
    uint32_t sum = htole32(record_sum(span_make(data, size)));

    check(span_make(data, size));
    str_add(&summed, span_make(&sum, sizeof sum));
    str_add(&summed, span_make(data, size));
    check(str_span(&summed));
    return 0;
}
