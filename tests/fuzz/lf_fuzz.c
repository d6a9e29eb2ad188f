/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lf_fuzz.c - line ends to those of a Maildir file and back: the same wherever the input is cut, and
 * nothing but bare LFs is changed
 */
#include <assert.h>
#include <stdint.h>

#include "base/own.h"
#include "mailbox/lf.h"

static struct lf_writer convert(struct span in, size_t cut, struct str *out)
{
    struct lf_writer w = { 0 };

    str_reserve(out, in.len + 3);
    str_advance(out, lf_feed(&w, span_first(in, cut), out->data));
    str_advance(out, lf_feed(&w, span_from(in, cut), out->data + out->len));
    str_advance(out, lf_finish(&w, out->data + out->len));
    assert(w.size == out->len);
    return w;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(str_free) struct str whole = STR_INIT, parts = STR_INIT;
    bool after_cr = false;

    if (size < 1)
        return 0;
    struct span in = span_make(data + 1, size - 1);
    struct lf_writer w = convert(in, in.len, &whole);

    convert(in, data[0], &parts);
    assert(span_eq(str_span(&whole), str_span(&parts)));
    size_t bare = lf_bare(in, &after_cr);
    lf_expand(&whole, 0);
    assert(whole.len == w.vsize && whole.len == in.len + bare);
    assert(bare > 0 || span_eq(str_span(&whole), in));
    return 0;
}
