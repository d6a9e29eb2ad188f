/* SPDX-License-Identifier: Apache-2.0 */
/*
 * header_fuzz.c - header fields, and what is in them: addresses, dates, encoded words
 */
#include <assert.h>

#include "base/own.h"
#include "mail/address.h"
#include "mail/date.h"
#include "mail/header.h"

/* Change every second address */
static int change(struct span in, struct str *out, void *arg)
{
    unsigned *n = arg;

    str_set(out, in);
    str_add_str(out, "@example.com");
    return (int)(++*n & 1);
}

static void use_value(struct span value)
{
    _cleanup_(str_free) struct str text = STR_INIT;
    struct header_address_list list;
    unsigned n = 0;
    int64_t seconds;
    int zone;

    header_addresses_parse(value, 50, &list);
    assert(list.len <= 50);
    header_addresses_done(&list);
    header_addresses_rewrite(value, change, &n, &text);
    str_reset(&text);
    header_decode(value, &text);
    date_parse(value, &seconds, &zone);
    date_parse_imap(value, &seconds);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span in = span_make(data, size);
    struct header_field f;

    while (header_next(&in, 2000, &f) != 0) {
        assert(f.raw.len > 0);
        use_value(f.value);
    }
    use_value(in);
    return 0;
}
