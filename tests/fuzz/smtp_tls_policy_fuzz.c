/* SPDX-License-Identifier: Apache-2.0 */
/*
 * smtp_tls_policy_fuzz.c - lines of the TLS policy table, and the lists within them
 */
#include "smtp/tls_policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct tls_line line;    /* used again, as a process does */
    _cleanup_(str_free) struct str err = STR_INIT, hex = STR_INIT;
    struct span text = span_make(data, size);
    uint64_t off;

    tls_line_parse(text, &line, &err);
    tls_protocols_parse(text, &off);
    tls_fingerprint_parse(text, &hex);
    return 0;
}
