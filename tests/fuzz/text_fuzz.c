/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text_fuzz.c - any bytes through the text functions of lib/base, whose laws must hold
 */
#include <assert.h>

#include "base/own.h"
#include "base/str.h"
#include "base/utf8.h"
#include "io/socket.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* round_trip - what is encoded decodes to the same */
static void round_trip(struct span in)
{
    _cleanup_(str_free) struct str text = STR_INIT, back = STR_INIT;

    str_add_base64(&text, in);
    int r = str_add_unbase64(&back, str_span(&text));
    assert(r == 0 && span_eq(str_span(&back), in));
    str_reset(&back);
    if (str_add_unbase64(&back, in) == 0) { /* strict: one text for one value */
        str_reset(&text);
        str_add_base64(&text, str_span(&back));
        assert(span_eq(str_span(&text), in));
    }
}

/* words - are parts of the input, none is lost */
static void words(struct span in)
{
    struct span rest = in, word;
    size_t total = 0;

    while (span_word(&rest, " \t,", &word)) {
        assert(word.len == 0 || (word.ptr >= in.ptr && word.ptr + word.len <= in.ptr + in.len));
        total += word.len;
    }
    assert(total <= in.len && rest.len == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span in = span_make(data, size);
    _cleanup_(str_free) struct str shown = STR_INIT, json = STR_INIT;
    union sockaddr_any addr;
    uint64_t n;
    int64_t i;

    round_trip(in);
    words(in);
    str_add_escaped(&shown, in, size / 2, STR_UTF8);
    assert(shown.len <= size / 2 && utf8_valid(str_span(&shown)));
    str_add_json(&json, in);
    assert(utf8_valid(str_span(&json)));
    (void)span_u64(in, UINT32_MAX, &n);
    (void)span_i64(in, &i);
    (void)socket_addr_parse(in, 25, &addr);
    return 0;
}
