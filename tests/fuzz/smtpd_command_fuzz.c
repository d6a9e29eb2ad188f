/* SPDX-License-Identifier: Apache-2.0 */
/*
 * smtpd_command_fuzz.c - the address and parameters of MAIL FROM and RCPT TO
 */
#include <assert.h>

#include "base/own.h"
#include "mail/address.h"
#include "smtpd/mail_args.h"

/* What was read can be written, and read again to the same */
static void check_address(const struct str *address)
{
    _cleanup_(str_free) struct str wire = STR_INIT;
    _cleanup_(str_free) struct str again = STR_INIT;

    str_add_char(&wire, '<');
    address_quote(&wire, str_span(address));
    str_add_char(&wire, '>');

    struct span in = str_span(&wire);
    int r = address_parse_path(&in, ADDRESS_UTF8 | ADDRESS_NULL | ADDRESS_NODOMAIN, 4096, &again);

    assert(r == 0 && in.len == 0);
    assert(span_eq(str_span(address), str_span(&again)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(str_free) struct str address = STR_INIT;
    _cleanup_(mail_args_done) struct mail_args mail = { 0 };
    _cleanup_(rcpt_args_done) struct rcpt_args rcpt = { 0 };
    struct span bad;

    if (size < 1)
        return 0;

    struct span in = span_make(data + 1, size - 1);

    if (address_parse_path(&in, data[0] & 15, 1024, &address) == 0)
        check_address(&address);
    mail_args_parse(in, &mail, &bad);
    rcpt_args_parse(in, &rcpt, &bad);
    return 0;
}
