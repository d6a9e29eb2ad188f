/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_tlsa_fuzz.c - any bytes as the answer to a question for TLSA records, and as one record, up to the
 * connection that is to use them
 */
#include <assert.h>

#include "dns/internal.h"
#include "tls/client.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(SSL_CTX *ctx, const unsigned char *rdata, size_t len)
{
    struct tls_tlsa t;
    struct tls_need need = { .level = TLS_LEVEL_DANE, .tlsa = &t, .n_tlsa = 1 };

    if (tls_tlsa_parse(rdata, len, &t) == 0 && tls_tlsa_usable(&t))
        SSL_free(tls_client_new(ctx, &need, NULL, ""));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static SSL_CTX *ctx;
    _cleanup_(str_free) struct str err = STR_INIT;
    struct dns_answer a;

    if (!ctx)
        assert(tls_client_context(&(struct tls_client_config){ 0 }, &ctx, &err) == 0);
    use(ctx, data, size);
    dns_message_parse(data, size, DNS_TLSA, &a);
    for (size_t i = 0; i < a.len; i++)
        use(ctx, a.records[i].data, a.records[i].data_len);
    dns_answer_done(&a);
    return 0;
}
