/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dns_message_fuzz.c - any bytes as the answer to a question of any type
 */
#include "dns/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum dns_type types[] = {DNS_A, DNS_AAAA, DNS_CNAME, DNS_MX, DNS_PTR, DNS_TXT, DNS_TLSA};

    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        struct dns_answer a;

        dns_message_parse(data, size, types[i], &a);
        dns_answer_done(&a);
    }
    return 0;
}
