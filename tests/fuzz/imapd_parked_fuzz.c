/* SPDX-License-Identifier: Apache-2.0 */
/* imapd_parked_fuzz.c - states of parked sessions; the mailbox's part as well without the sum before it */
#include "imapd/parked.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct span bytes = span_make(data, size);
    struct snapshot s;
    struct parked p;

    if (parked_decode(bytes, &p) == 0)
        seqset_done(&p.saved);
    snapshot_parse(bytes, &s);
    return 0;
}
