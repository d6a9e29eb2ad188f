/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cleanup_headers_fuzz.c - the header pass; the first two bytes say what is rewritten and where the
 * input is cut
 */
#include <stdlib.h>

#include "cleanup/headers.h"

static int complete(struct span in, struct str *out, void *arg)
{
    (void)arg;
    str_add(out, in);
    str_add_str(out, "@example.com");
    return span_chr(in, '@') < 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct header_rules rules = {
        .field_max = 1000, .section_max = 4000, .extract_max = 50, .complete = complete};
    _cleanup_(header_pass_done) struct header_pass p = {0};
    _cleanup_(str_free) struct str out = STR_INIT;
    struct span rest;

    if (size < 2)
        return 0;
    struct span in = span_make(data + 2, size - 2);
    size_t piece = data[1] + 1u;

    header_rules_parse_drop("bcc, return-path", &rules);
    header_pass_init(&p, &rules, &out);
    p.rewrite = data[0] & 1;
    p.extract = data[0] & 2;
    while (in.len > 0 && p.end == HEADER_GOES_ON) {
        header_pass_feed(&p, span_first(in, piece), &rest);
        in = span_from(in, piece);
    }
    if (p.end == HEADER_GOES_ON)
        header_pass_finish(&p, &rest);
    free(rules.drop);
    return 0;
}
