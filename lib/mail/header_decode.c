/* SPDX-License-Identifier: Apache-2.0 */
/*
 * header_decode.c - encoded words in header fields, to UTF-8
 *
 * RFC 2047. White space between two encoded words is no part of the text. Words
 * of one charset that follow each other are put together before they are
 * converted, because senders cut them in the middle of a character.
 *
 * Runs in: imapd, cleanup (input is hostile). Logs nothing.
 */
#include "base/chars.h"
#include "base/own.h"
#include "mail/charset.h"
#include "mail/header.h"

#define CHARSET_MAX 64

struct word {
    struct span charset;
    char encoding;          /* 'B' or 'Q' */
    struct span text;
    size_t len;             /* of the whole encoded word */
};

/* encoded-word = "=?" charset "?" encoding "?" encoded-text "?=" (section 2) at the front of s */
static bool parse_word(struct span s, struct word *ret)
{
    struct span rest = s;

    if (!span_take(&rest, '=') || !span_take(&rest, '?'))
        return false;

    struct span charset = span_cut(&rest, '?');
    struct span encoding = span_cut(&rest, '?');
    ptrdiff_t end = span_chr(rest, '?');

    if (charset.len == 0 || encoding.len != 1 || end < 0 || (size_t)end + 1 >= rest.len ||
        rest.ptr[end + 1] != '=')
        return false;
    for (size_t i = 0; i < charset.len; i++)
        if (!char_is(charset.ptr[i], CHAR_ATEXT))
            return false;
    ret->charset = span_cut(&charset, '*'); /* RFC 2231 section 5: the language after "*" */
    ret->encoding = char_upper(encoding.ptr[0]);
    ret->text = span_first(rest, (size_t)end);
    ret->len = (size_t)(rest.ptr + end + 2 - s.ptr);
    return (ret->encoding == 'B' || ret->encoding == 'Q') && ret->charset.len < CHARSET_MAX &&
           span_chr(ret->text, ' ') < 0;
}

/* Section 4.2: "_" is a space, "=XX" a byte */
static void add_q(struct span text, struct str *ret)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];

        if (c == '_') {
            c = ' ';
        } else if (c == '=' && i + 2 < text.len && char_hex(text.ptr[i + 1]) >= 0 &&
                   char_hex(text.ptr[i + 2]) >= 0) {
            c = (char)(char_hex(text.ptr[i + 1]) << 4 | char_hex(text.ptr[i + 2]));
            i += 2;
        }
        str_add_char(ret, c);
    }
}

/* Section 4.1; some senders leave out the padding */
static int add_b(struct span text, struct str *ret)
{
    _cleanup_(str_free) struct str padded = STR_INIT;

    if (text.len % 4 == 0)
        return str_add_unbase64(ret, text);
    str_add(&padded, text);
    while (padded.len % 4 != 0)
        str_add_char(&padded, '=');
    return str_add_unbase64(ret, str_span(&padded));
}

/* Take the run of encoded words of one charset off the front of *in and decode it. False: it cannot be
 * decoded, or (nothing taken) there is none. */
static bool decode_run(struct span *in, struct str *ret)
{
    _cleanup_(str_free) struct str bytes = STR_INIT;
    struct word first, w;
    struct span rest = *in;
    bool good = true;

    if (!parse_word(rest, &first))
        return false;
    w = first;
    do {
        if (w.encoding == 'Q')
            add_q(w.text, &bytes);
        else if (add_b(w.text, &bytes) < 0)
            good = false;
        *in = span_from(rest, w.len);
        rest = span_skip_ws(*in);
    } while (parse_word(rest, &w) && span_eq_nocase(w.charset, first.charset));
    return good && charset_convert_all(str_span(&bytes), first.charset, ret) == 0;
}

void header_decode(struct span value, struct str *ret)
{
    _cleanup_(str_free) struct str text = STR_INIT;
    struct word next;
    bool after_word = false;

    header_unfold(value, &text);

    struct span in = str_span(&text);

    while (in.len > 0) {
        struct span start = in;

        if (in.ptr[0] == '=' && decode_run(&in, ret)) {
            after_word = true;
            continue;
        }
        if (in.len < start.len) {
            /* Kept as a whole: trying each of its words again would take quadratic time. */
            str_add(ret, span_first(start, start.len - in.len));
            after_word = false;
            continue;
        }

        struct span blanks = span_first(in, in.len - span_skip_ws(in).len);

        if (after_word && blanks.len > 0 && parse_word(span_from(in, blanks.len), &next)) {
            in = span_from(in, blanks.len);
            continue;
        }
        after_word = false;

        size_t len = blanks.len > 0 ? blanks.len : 1;

        str_add(ret, span_first(in, len));
        in = span_from(in, len);
    }
}
