/* SPDX-License-Identifier: Apache-2.0 */
/* takeover_fuzz.c - UID lists, keywords and POP3 unique-ids of other mail servers, by whomever */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "mailbox/saved_uidl.h"
#include "mailbox/takeover.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(takeover_done) struct takeover t = { .uidvalidity = 0 };
    _cleanup_(str_free) struct str names = STR_INIT, lines = STR_INIT;
    struct span text = span_make(data, size);

    if (takeover_parse(text, &t)) {
        assert(t.uidvalidity > 0 && t.uidnext > 0);
        for (size_t i = 0; i < t.len; i++)
            assert(t.messages[i].uid < t.uidnext);
    }
    takeover_courier_parse(text, &t, &names);
    saved_uidls_parse_courier(text, &lines);
    return 0;
}
