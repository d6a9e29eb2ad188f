/* SPDX-License-Identifier: Apache-2.0 */
/*
 * smtpd_content_fuzz.c - dotstuff_feed: however the input is cut, the content is the same, and it
 * never holds a line end that is not CRLF
 */
#include <assert.h>

#include "smtpd/dotstuff.h"

#include "base/own.h"

static int run(struct span in, size_t cut, unsigned flags, struct str *out)
{
    struct dotstuff d;
    struct span first = span_first(in, cut);
    struct span rest = span_from(in, cut);

    dotstuff_init(&d, flags);

    int found = dotstuff_feed(&d, &first, out);

    if (!found)
        found = dotstuff_feed(&d, &rest, out);
    if (!found)
        dotstuff_finish(&d, out);
    return found;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(str_free) struct str whole = STR_INIT;
    _cleanup_(str_free) struct str parts = STR_INIT;

    if (size < 2)
        return 0;

    struct span in = span_make(data + 2, size - 2);
    unsigned flags = data[0] & DOTSTUFF_BDAT;

    assert(run(in, in.len, flags, &whole) == run(in, data[1], flags, &parts));
    assert(span_eq(str_span(&whole), str_span(&parts)));
    for (size_t i = 0; i < whole.len; i++)
        if (whole.data[i] == '\n')
            assert(i > 0 && whole.data[i - 1] == '\r');
    return 0;
}
