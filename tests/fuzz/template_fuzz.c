/* SPDX-License-Identifier: Apache-2.0 */
/*
 * template_fuzz.c - a template is taken whole or not at all; nothing of it can end a header line
 */
#include <assert.h>

#include "mail/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(templates_done) struct templates t;
    _cleanup_(str_free) struct str problems = STR_INIT;

    templates_init(&t);
    size_t n = templates_parse(&t, span_make(data, size), &problems);

    assert((n > 0) == (problems.len > 0));
    for (size_t i = 0; i < TEMPLATE_KINDS; i++) {
        const struct str *fields[] = { &t.of[i].charset, &t.of[i].from, &t.of[i].subject };

        for (size_t j = 0; j < 3; j++)
            assert(fields[j]->len > 0 && span_chr(str_span(fields[j]), '\n') < 0);
        assert(span_chr(str_span(&t.of[i].text), '\0') < 0);
    }
    return 0;
}
