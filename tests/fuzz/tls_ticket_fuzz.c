/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_ticket_fuzz.c - what tlsmgr says: the keys of session tickets
 */
#include <assert.h>

#include "ipc/shape.h"
#include "tls/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct tickets *tickets;
    struct ticket_keys keys = { .current = STR_INIT };
    struct span body = span_make(data, size), type;

    if (!tickets)
        tickets = tickets_new(&(struct tls_server_config){ .protocol = "smtp" });
    if (ipc_decode_type(&body, &type) == 0 && ipc_decode_fields(body, &ticket_keys_shape, &keys) == 0 &&
        tickets_accept(tickets, &keys) == 0)
        assert(keys.valid_ms == 0 || keys.current.len == TICKET_KEY_BYTES);
    ticket_keys_msg_done(&keys);
    return 0;
}
