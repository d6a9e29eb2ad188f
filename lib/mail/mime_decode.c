/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mime_decode.c - undo base64 and quoted-printable of a stranger's making
 *
 * RFC 2045 section 6.7 and 6.8 tell a robust decoder to go on after bytes that should not
 * be there. This is for searching and showing, where a strict refusal would
 * hide a message; str_add_unbase64() is the strict one for protocols.
 *
 * Runs in: imapd (input is hostile). Logs nothing.
 */
#include "base/chars.h"
#include "mail/mime.h"

#define PIECE 65536

/* 0-63, or 64 for a byte that is none of the alphabet */
static unsigned base64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (unsigned)(c - 'A');
    if (c >= 'a' && c <= 'z')
        return (unsigned)(c - 'a') + 26;
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0') + 52;
    return c == '+' ? 62 : c == '/' ? 63 : 64;
}

/* What a piece has left over for the next */
struct base64 {
    uint32_t bits;
    unsigned n;
};

static void decode_base64_piece(struct base64 *b, struct span in, struct str *ret)
{
    uint32_t bits = b->bits;
    unsigned n = b->n;

    for (size_t i = 0; i < in.len; i++) {
        unsigned v = base64_value(in.ptr[i]);

        if (v == 64) {
            if (in.ptr[i] == '=')
                n = 0; /* the end, or the end of one of several encoded runs */
            continue;
        }
        bits = bits << 6 | v;
        n += 6;
        if (n == 6)
            continue;
        n -= 8;
        str_add_char(ret, (char)(bits >> n));
        if (n == 0)
            bits = 0;
    }
    *b = (struct base64){ bits, n };
}

static void decode_base64(struct span in, struct pace *pace, struct str *ret)
{
    struct base64 state = { 0, 0 };

    str_reserve(ret, in.len / 4 * 3 + 3);
    while (in.len > 0) {
        struct span piece = span_first(in, PIECE);

        if (!pace_on(pace, piece.len))
            return;
        decode_base64_piece(&state, piece, ret);
        in = span_from(in, piece.len);
    }
}

/* One line, without its line end; true when it ends in a soft line break. */
static bool decode_qp_line(struct span line, struct str *ret)
{
    while (line.len > 0 && char_is(line.ptr[line.len - 1], CHAR_BLANK))
        line.len--; /* added in transport: rule 3 */
    for (size_t i = 0; i < line.len; i++) {
        if (line.ptr[i] == '=') {
            if (i + 1 == line.len)
                return true;
            if (i + 2 < line.len && char_hex(line.ptr[i + 1]) >= 0 &&
                char_hex(line.ptr[i + 2]) >= 0) {
                int c = char_hex(line.ptr[i + 1]) * 16 + char_hex(line.ptr[i + 2]);

                str_add_char(ret, (char)c);
                i += 2;
                continue;
            }
        }
        str_add_char(ret, line.ptr[i]);
    }
    return false;
}

static void decode_quoted_printable(struct span in, struct pace *pace, struct str *ret)
{
    while (in.len > 0) {
        bool ended = span_chr(in, '\n') >= 0;
        struct span line = span_cut(&in, '\n');

        if (!pace_on(pace, line.len + 1))
            return;
        if (line.len > 0 && line.ptr[line.len - 1] == '\r')
            line.len--;
        if (!decode_qp_line(line, ret) && ended)
            str_add_str(ret, "\r\n");
    }
}

void mime_decode(struct span body, enum mime_encoding encoding, struct pace *pace, struct str *ret)
{
    switch (encoding) {
    case MIME_IDENTITY:
        str_add(ret, body);
        return;
    case MIME_BASE64:
        decode_base64(body, pace, ret);
        return;
    case MIME_QUOTED_PRINTABLE:
        decode_quoted_printable(body, pace, ret);
        return;
    case MIME_UNKNOWN:
        return;
    }
}
