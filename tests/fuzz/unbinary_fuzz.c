/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unbinary_fuzz.c - binary parts become base64: wherever the message is cut the result is the same, and bytes of a part that is surely
 * binary come back
 */
#include <assert.h>

#include "base/own.h"
#include "mail/mime.h"
#include "mail/unbinary.h"

static void convert(struct span in, size_t cut, struct str *out)
{
    struct unbinary u;

    unbinary_init(&u);
    unbinary_feed(&u, span_first(in, cut), out);
    if (cut < in.len)
        unbinary_feed(&u, span_from(in, cut), out);
    unbinary_finish(&u, out);
    unbinary_done(&u);
}

static void check_bytes(struct span data)
{
    _cleanup_(str_free) struct str in = STR_INIT, out = STR_INIT, back = STR_INIT;
    struct mime tree = MIME_INIT;

    if (span_find(data, span_of("--b")) >= 0)
        return;
    str_add_str(&in, "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Transfer-Encoding: binary\r\n\r\n");
    str_add(&in, data);
    str_add_str(&in, "\r\n--b--\r\n");
    convert(str_span(&in), in.len / 2, &out);
    mime_parse(str_span(&out), 10, 10, NULL, &tree);
    assert(tree.len == 2);
    mime_decode(tree.parts[1].body, MIME_BASE64, NULL, &back);
    assert(span_eq(str_span(&back), data));
    mime_done(&tree);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(str_free) struct str whole = STR_INIT, parts = STR_INIT;

    if (size < 1)
        return 0;
    struct span in = span_make(data + 1, size - 1);

    convert(in, in.len, &whole);
    convert(in, data[0], &parts);
    assert(span_eq(str_span(&whole), str_span(&parts)));
    check_bytes(in);
    return 0;
}
