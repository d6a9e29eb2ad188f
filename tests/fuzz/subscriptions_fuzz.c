/* SPDX-License-Identifier: Apache-2.0 */
/* subscriptions_fuzz.c - a subscriptions file by whomever: what was read is written and read again */
#include <assert.h>
#include <stdlib.h>

#include "base/own.h"
#include "mailbox/subscribe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(name_list_done) struct name_list a = { 0 }, b = { 0 };
    _cleanup_(str_free) struct str text = STR_INIT;

    subscriptions_parse(span_make(data, size), &a);
    subscriptions_print(&a, &text);
    subscriptions_parse(str_span(&text), &b);
    assert(a.len == b.len);
    for (size_t i = 0; i < a.len; i++)
        assert(strcmp(a.items[i], b.items[i]) == 0);
    return 0;
}
