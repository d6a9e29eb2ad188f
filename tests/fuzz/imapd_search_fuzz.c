/* SPDX-License-Identifier: Apache-2.0 */
/*
 * imapd_search_fuzz.c - search programs (the first line), and text sought in a message (the rest)
 */
#include "imapd/search.h"
#include "imapd/search_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(search_done) struct search q = SEARCH_INIT;
    _cleanup_(parse_done) struct parse p = { .in = SPAN_NULL };
    _cleanup_(mime_done) struct mime m = MIME_INIT;
    struct span in = span_make(data, size);
    struct span program = span_cut(&in, '\n');

    parse_init(&p, program);
    parse_search(&p, &(struct search_context){ .max_depth = 20, .max_keys = 100 }, &q);
    mime_parse(in, 10, 100, NULL, &m);
    search_header(m.parts[0].header, SPAN_NULL, span_first(program, 5), NULL);
    search_body(&m, span_first(program, 5), NULL);
    return 0;
}
