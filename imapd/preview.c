/* SPDX-License-Identifier: Apache-2.0 */
/*
 * preview.c - the first words of a message (RFC 8970)
 *
 * Plain text is preferred to HTML. Of HTML what stands between tags is taken, but for scripts and style
 * sheets. Only as much of a part is looked at as could matter.
 *
 * Runs in: imapd (content is hostile). Logs nothing.
 */
#include "preview.h"

#include "base/chars.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "mail/charset.h"

#define CHARACTERS_MAX 200
#define PART_MAX       (64 * 1024)

static const struct {
    const char *name;
    uint32_t cp;
} entities[] = {
    { "amp;", '&' },        { "lt;", '<' },         { "gt;", '>' },         { "quot;", '"' },       { "apos;", '\'' },
    { "ensp;", 0x2002 },    { "emsp;", 0x2003 },    { "thinsp;", 0x2009 },  { "zwnj;", 0x200C },    { "zwj;", 0x200D },
    { "ndash;", 0x2013 },   { "mdash;", 0x2014 },   { "lsquo;", 0x2018 },   { "rsquo;", 0x2019 },   { "sbquo;", 0x201A },
    { "ldquo;", 0x201C },   { "rdquo;", 0x201D },   { "bdquo;", 0x201E },   { "bull;", 0x2022 },    { "hellip;", 0x2026 },
    { "lsaquo;", 0x2039 },  { "rsaquo;", 0x203A },  { "euro;", 0x20AC },    { "trade;", 0x2122 },   { "OElig;", 0x152 },
    { "oelig;", 0x153 },    { "Scaron;", 0x160 },   { "scaron;", 0x161 },
};

/* Those of Latin-1, from U+00A0 on; the case matters */
static const char *const latin1[] = {
    "nbsp;",   "iexcl;",  "cent;",   "pound;",  "curren;", "yen;",    "brvbar;", "sect;",   "uml;",    "copy;",   "ordf;",   "laquo;",
    "not;",    "shy;",    "reg;",    "macr;",   "deg;",    "plusmn;", "sup2;",   "sup3;",   "acute;",  "micro;",  "para;",   "middot;",
    "cedil;",  "sup1;",   "ordm;",   "raquo;",  "frac14;", "frac12;", "frac34;", "iquest;", "Agrave;", "Aacute;", "Acirc;",  "Atilde;",
    "Auml;",   "Aring;",  "AElig;",  "Ccedil;", "Egrave;", "Eacute;", "Ecirc;",  "Euml;",   "Igrave;", "Iacute;", "Icirc;",  "Iuml;",
    "ETH;",    "Ntilde;", "Ograve;", "Oacute;", "Ocirc;",  "Otilde;", "Ouml;",   "times;",  "Oslash;", "Ugrave;", "Uacute;", "Ucirc;",
    "Uuml;",   "Yacute;", "THORN;",  "szlig;",  "agrave;", "aacute;", "acirc;",  "atilde;", "auml;",   "aring;",  "aelig;",  "ccedil;",
    "egrave;", "eacute;", "ecirc;",  "euml;",   "igrave;", "iacute;", "icirc;",  "iuml;",   "eth;",    "ntilde;", "ograve;", "oacute;",
    "ocirc;",  "otilde;", "ouml;",   "divide;", "oslash;", "ugrave;", "uacute;", "ucirc;",  "uuml;",   "yacute;", "thorn;",  "yuml;",
};

/* What has been taken so far */
struct words {
    struct str *out;
    size_t characters;
    bool blank;             /* one is due before the next character */
};

static void add_character(struct words *w, uint32_t cp)
{
    char bytes[4];

    if (cp <= ' ' || cp == 0xA0 || !utf8_printable(cp)) {
        w->blank = w->characters > 0;
        return;
    }
    if (w->blank && w->characters < CHARACTERS_MAX) {
        str_add_char(w->out, ' ');
        w->characters++;
    }
    w->blank = false;
    if (w->characters < CHARACTERS_MAX) {
        str_add(w->out, span_make(bytes, utf8_encode(cp, bytes)));
        w->characters++;
    }
}

/* Take one character off the front; what is no UTF-8 is U+FFFD. */
static uint32_t take_character(struct span *in)
{
    uint32_t cp = 0xFFFD;
    size_t n = utf8_decode(*in, &cp);

    *in = span_from(*in, n > 0 ? n : 1);
    return cp;
}

static void add_plain(struct words *w, struct span in)
{
    while (in.len > 0 && w->characters < CHARACTERS_MAX)
        add_character(w, take_character(&in));
}

/* "65", "x41" */
static bool read_number(struct span s, uint32_t *ret)
{
    uint32_t cp = 0;

    if (!span_take(&s, 'x') && !span_take(&s, 'X'))
        return span_u32(s, 0x10FFFF, ret) == 0;
    if (s.len == 0 || s.len > 6)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (char_hex(s.ptr[i]) < 0)
            return false;
        cp = cp << 4 | (uint32_t)char_hex(s.ptr[i]);
    }
    *ret = cp;
    return cp <= 0x10FFFF;
}

static bool take_name(struct span *in, const char *name)
{
    if (!span_starts(*in, span_of(name)))
        return false;
    *in = span_from(*in, strlen(name));
    return true;
}

/* "&lt;", "&#65;", "&#x41;" after the ampersand; what is none is taken as it stands */
static uint32_t take_entity(struct span *in)
{
    struct span rest = *in;
    uint32_t cp;

    for (size_t i = 0; i < ARRAY_LEN(entities); i++)
        if (take_name(in, entities[i].name))
            return entities[i].cp;
    for (uint32_t i = 0; i < ARRAY_LEN(latin1); i++)
        if (take_name(in, latin1[i]))
            return 0xA0 + i;
    if (!span_take(&rest, '#'))
        return '&';

    ptrdiff_t end = span_chr(span_first(rest, 8), ';');

    if (end < 0 || !read_number(span_first(rest, (size_t)end), &cp) || (cp >= 0xD800 && cp < 0xE000))
        return '&';
    *in = span_from(rest, (size_t)end + 1);
    return cp;
}

/* After "<": the tag, the comment, or all of an element that holds no text */
static void skip_tag(struct span *in)
{
    static const struct {
        const char *open, *close;
    } hidden[] = { { "!--", "-->" }, { "style", "</style" }, { "script", "</script" }, { "head", "</head" } };
    ptrdiff_t at;

    for (size_t i = 0; i < ARRAY_LEN(hidden); i++) {
        if (!span_take_nocase(in, hidden[i].open))
            continue;
        at = span_find_nocase(*in, span_of(hidden[i].close));
        *in = at < 0 ? SPAN_NULL : span_from(*in, (size_t)at);
    }
    at = span_chr(*in, '>');
    *in = at < 0 ? SPAN_NULL : span_from(*in, (size_t)at + 1);
}

static void add_html(struct words *w, struct span in)
{
    while (in.len > 0 && w->characters < CHARACTERS_MAX) {
        if (span_take(&in, '<')) {
            skip_tag(&in);
            add_character(w, ' ');
        } else if (span_take(&in, '&')) {
            add_character(w, take_entity(&in));
        } else {
            add_character(w, take_character(&in));
        }
    }
}

/* The first leaf of this type that is no attachment's inside; NULL if none */
static const struct mime_part *find_text(const struct mime *m, const char *subtype)
{
    for (size_t i = 0; i < m->len; i++)
        if (m->parts[i].kind == MIME_LEAF && span_eq_nocase_str(m->parts[i].type, "text") &&
            span_eq_nocase_str(m->parts[i].subtype, subtype))
            return &m->parts[i];
    return NULL;
}

/* The front of a part as UTF-8 */
static void decode(const struct mime_part *p, struct str *ret)
{
    _cleanup_(str_free) struct str bytes = STR_INIT, charset = STR_INIT;
    struct span params = p->content_type, type, subtype;

    mime_decode(span_first(p->body, PART_MAX), mime_encoding(p), NULL, &bytes);
    if (params.len > 0 && mime_type(&params, &type, &subtype) && mime_param_find(params, "charset", &charset) &&
        !charset_is_ours(str_span(&charset)) && charset_convert(str_span(&bytes), str_span(&charset), NULL, ret))
        return;
    str_add(ret, str_span(&bytes));
}

void preview_make(const struct mime *m, struct str *ret)
{
    _cleanup_(str_free) struct str text = STR_INIT;
    const struct mime_part *plain = find_text(m, "plain"), *html = find_text(m, "html");
    struct words w = { .out = ret };

    if (plain) {
        decode(plain, &text);
        add_plain(&w, str_span(&text));
    }
    if (w.characters == 0 && html) {
        str_reset(&text);
        decode(html, &text);
        add_html(&w, str_span(&text));
    }
}
