/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ipc_fuzz.c - the body of an IPC message; what is taken must be composed to the same again
 */
#include <assert.h>

#include "ipc/msg_auth.h"
#include "ipc/shape.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct auth_start msg = { .initial = STR_INIT, .channel_binding = STR_INIT };
    struct span body = span_make(data, size), type;
    _cleanup_(str_free) struct str out = STR_INIT;

    if (ipc_decode_type(&body, &type) == 0 && ipc_decode_fields(body, &auth_start_shape, &msg) == 0)
        assert(ipc_encode(&auth_start_shape, &msg, &out) == 0);
    str_free(&msg.initial);
    str_free(&msg.channel_binding);
    return 0;
}
