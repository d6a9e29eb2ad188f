/* SPDX-License-Identifier: Apache-2.0 */
/* sasl_fuzz.c - SASL messages of a client; the first byte chooses the mechanism */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "sasl/mech.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int secret(void *arg, const char *mechanism, struct span user, struct scram_secret *ret)
{
    (void)arg, (void)mechanism, (void)user;
    *ret = (struct scram_secret){ .iterations = 4096 };
    snprintf(ret->salt, sizeof ret->salt, "c2FsdA==");
    snprintf(ret->stored_key, sizeof ret->stored_key, "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=");
    snprintf(ret->server_key, sizeof ret->server_key, "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=");
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = { "PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-1-PLUS" };
    const struct sasl_server server = { secret, NULL, span_of("channel"), false };
    _cleanup_(sasl_end) struct sasl_exchange x = { .mech = NULL };
    _cleanup_(str_free) struct str challenge = STR_INIT;

    if (size == 0 || sasl_start(&x, span_of(names[data[0] % 4]), &server) < 0)
        return 0;
    struct span rest = span_make(data + 1, size - 1);
    for (int i = 0; i < 4 && sasl_step(&x, span_cut(&rest, '\n'), &challenge) == SASL_CHALLENGE; i++)
        str_reset(&challenge);
    return 0;
}
