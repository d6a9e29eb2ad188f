/* SPDX-License-Identifier: Apache-2.0 */
/* quota_fuzz.c - limits in maildirsize, which is the user's file, and rules of the users file */
#include <stdint.h>

#include "mailbox/quota.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = span_make((const char *)data, size);
    struct quota_limits limits;

    quota_limits_parse(text, &limits);
    quota_rule_parse(text, &limits);
    return 0;
}
