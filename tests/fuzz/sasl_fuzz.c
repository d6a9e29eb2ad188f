/* SPDX-License-Identifier: Apache-2.0 */
/* sasl_fuzz.c - SASL messages of a client */
#include <stddef.h>
#include <stdint.h>

#include "sasl/mech.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sasl_exchange x;
    _cleanup_(str_free) struct str challenge = STR_INIT;
    struct span rest = span_make(data, size);

    if (sasl_start(&x, span_of(size % 2 ? "PLAIN" : "LOGIN")) < 0)
        return 0;
    for (int i = 0; i < 4 && sasl_step(&x, span_cut(&rest, '\n'), &challenge) == SASL_CHALLENGE; i++)
        ;
    sasl_credentials_done(&x.credentials);
    return 0;
}
