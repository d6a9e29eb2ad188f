/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_chain_fuzz.c - a value of tls_server_sni_maps: Base64 or file names, and the PEM text within
 */
#include <assert.h>

#include "tls/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void parse(struct span pem)
{
    struct tls_chains chains;

    if (tls_chains_parse(pem, &chains) < 0)
        return;
    assert(chains.len > 0);
    for (size_t i = 0; i < chains.len; i++)
        assert(chains.items[i].key && chains.items[i].leaf);
    tls_chains_done(&chains);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span in = span_make(data, size);
    _cleanup_(str_free) struct str pem = STR_INIT;
    bool files;

    parse(in);
    if (sni_value_parse(in, &pem, &files) == 0 && !files)
        parse(str_span(&pem));
    return 0;
}
