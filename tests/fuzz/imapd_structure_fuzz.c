/* SPDX-License-Identifier: Apache-2.0 */
/*
 * imapd_structure_fuzz.c - ENVELOPE and BODYSTRUCTURE of any message close all that they open
 */
#include <assert.h>

#include "imapd/bodystructure.h"
#include "imapd/envelope.h"

/* The first "(...)" of in; its strings may hold anything. Returns its length. */
static size_t parenthesized_len(struct span in)
{
    size_t depth = 0;

    for (size_t i = 0; i < in.len; i++) {
        if (in.ptr[i] == '"') {
            for (i++; i < in.len && in.ptr[i] != '"'; i++)
                i += in.ptr[i] == '\\';
        } else if (in.ptr[i] == '{') {
            struct span number = span_from(in, i + 1);
            uint64_t n = 0;

            number = span_cut(&number, '}');
            assert(span_u64(number, in.len, &n) == 0);
            i += number.len + 3 + n;
        } else if (in.ptr[i] == '(') {
            depth++;
        } else if (in.ptr[i] == ')' && --depth == 0) {
            return i + 1;
        }
    }
    assert(!"never closed");
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(mime_done) struct mime m = MIME_INIT;
    _cleanup_(str_free) struct str out = STR_INIT;

    mime_parse(span_make(data, size), 10, 100, NULL, &m);
    put_bodystructure(&out, &m, BODY_EXTENDED, 20, NULL);
    assert(parenthesized_len(str_span(&out)) == out.len);
    str_reset(&out);
    put_bodystructure(&out, &m, BODY_BASIC, 20, NULL);
    assert(parenthesized_len(str_span(&out)) == out.len);
    str_reset(&out);
    put_envelope(&out, m.parts[0].header, 20);
    assert(parenthesized_len(str_span(&out)) == out.len);
    return 0;
}
