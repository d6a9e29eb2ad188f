/* SPDX-License-Identifier: Apache-2.0 */
/* login_deflate_fuzz.c - what a client says compressed is the same to one that rests at every turn and one that never does */
#include <assert.h>
#include <stdint.h>

#include "login/deflate.h"

enum { TEXT_MAX = 1 << 20 };

static int read_piece(struct deflate *d, struct span in, struct str *ret)
{
    char buf[1024];
    int n;

    while ((n = deflate_in(d, &in, buf, sizeof buf)) > 0 && ret->len < TEXT_MAX)
        str_add(ret, span_make(buf, (size_t)n));
    return n > 0 ? -1 : n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct deflate *one = deflate_new(100), *other = deflate_new(100);
    _cleanup_(str_free) struct str a = STR_INIT, b = STR_INIT;
    struct span in = span_make(data, size);
    int r = 0;

    /* The first byte of what is left says how much comes at once. */
    while (r == 0 && in.len > 0) {
        struct span piece = span_first(in, 1 + (unsigned char)in.ptr[0] % 64);

        r = read_piece(one, piece, &a);
        int s = read_piece(other, piece, &b);
        deflate_rest(other);
        assert(r == s && span_eq(str_span(&a), str_span(&b)));
        in = span_from(in, piece.len);
    }
    deflate_free(one);
    deflate_free(other);
    return 0;
}
