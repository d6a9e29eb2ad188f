/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mutf7.c - modified UTF-7, the ASCII form of mailbox names
 *
 * Implements RFC 3501 section 5.1.3: printable ASCII stands for itself, '&' is "&-", all else is UTF-16
 * in Base64 with ',' for '/', between '&' and '-'. The decoder is strict about what would
 * give two spellings of one character (padding bits, lone surrogates, raw 8-bit), so that a
 * name has one directory.
 *
 * Runs in: imapd, pop3d. Names come from the client and from the directory.
 */
#include "mailbox/mutf7.h"

#include <errno.h>

#include "base/utf8.h"

static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

/* ---- encoding ---- */

/* Base64 digits of one run, bits kept between UTF-16 units */
struct encoder {
    struct str *out;
    uint32_t bits;
    unsigned n_bits;
    bool in_run;
};

static void put_unit(struct encoder *e, uint32_t unit)
{
    if (!e->in_run)
        str_add_char(e->out, '&');
    e->in_run = true;
    e->bits = e->bits << 16 | unit;
    e->n_bits += 16;
    while (e->n_bits >= 6) {
        e->n_bits -= 6;
        str_add_char(e->out, base64[e->bits >> e->n_bits & 63]);
    }
}

static void end_run(struct encoder *e)
{
    if (!e->in_run)
        return;
    if (e->n_bits > 0)
        str_add_char(e->out, base64[e->bits << (6 - e->n_bits) & 63]);
    str_add_char(e->out, '-');
    *e = (struct encoder){ .out = e->out };
}

int mutf7_encode(struct span utf8, const char *escape, struct str *ret)
{
    size_t start = ret->len;
    struct encoder e = { .out = ret };

    while (utf8.len > 0) {
        uint32_t c;
        size_t n = utf8_decode(utf8, &c);

        if (n == 0 || c < 0x20 || c == 0x7f) {
            if (ret->len > start)
                str_truncate(ret, start);
            return -EINVAL;
        }
        utf8 = span_from(utf8, n);
        if (c < 0x7f && !strchr(escape, (int)c)) {
            end_run(&e);
            str_add_char(ret, (char)c);
            if (c == '&')
                str_add_char(ret, '-');
        } else if (c < 0x10000) {
            put_unit(&e, c);
        } else {
            put_unit(&e, 0xd800 + ((c - 0x10000) >> 10));
            put_unit(&e, 0xdc00 + ((c - 0x10000) & 0x3ff));
        }
    }
    end_run(&e);
    return 0;
}

/* ---- decoding ---- */

static int digit_of(char c)
{
    const char *p = c ? strchr(base64, c) : NULL;

    return p ? (int)(p - base64) : -1;
}

/* One UTF-16 unit; *high is the first half of a pair, 0 if none. */
static int take_unit(uint32_t unit, uint32_t *high, struct str *ret)
{
    bool is_high = unit >= 0xd800 && unit < 0xdc00, is_low = unit >= 0xdc00 && unit < 0xe000;

    if (is_low != (*high != 0))
        return -EINVAL;
    if (is_high) {
        *high = unit;
        return 0;
    }
    if (is_low) {
        unit = 0x10000 + ((*high - 0xd800) << 10) + (unit - 0xdc00);
        *high = 0;
    }
    if (unit == 0)
        return -EINVAL;
    char text[4];

    str_add(ret, span_make(text, utf8_encode(unit, text)));
    return 0;
}

/* What stands between '&' and '-' */
static int decode_run(struct span run, struct str *ret)
{
    uint32_t bits = 0, high = 0;
    unsigned n_bits = 0;

    for (size_t i = 0; i < run.len; i++) {
        int digit = digit_of(run.ptr[i]);

        if (digit < 0)
            return -EINVAL;
        bits = bits << 6 | (uint32_t)digit;
        n_bits += 6;
        if (n_bits >= 16) {
            n_bits -= 16;
            int r = take_unit(bits >> n_bits & 0xffff, &high, ret);
            if (r < 0)
                return r;
        }
    }
    /* What is left is padding: less than a digit, and zero. */
    if (high || n_bits >= 6 || (bits & ((1u << n_bits) - 1)))
        return -EINVAL;
    return 0;
}

static int decode(struct span text, struct str *ret)
{
    while (text.len > 0) {
        char c = text.ptr[0];

        if (c < 0x20 || c > 0x7e)
            return -EINVAL;
        text = span_from(text, 1);
        if (c != '&') {
            str_add_char(ret, c);
            continue;
        }
        ptrdiff_t end = span_chr(text, '-');

        if (end < 0)
            return -EINVAL;
        if (end == 0)
            str_add_char(ret, '&');
        int r = decode_run(span_first(text, (size_t)end), ret);
        if (r < 0)
            return r;
        text = span_from(text, (size_t)end + 1);
    }
    return 0;
}

int mutf7_decode(struct span text, struct str *ret)
{
    size_t start = ret->len;
    int r = decode(text, ret);

    if (r < 0 && ret->len > start)
        str_truncate(ret, start);
    return r;
}
