/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire.c - packets of the milter protocol
 *
 * A reply is a row of a table: its letter, the change it asks for, and the shape of its data. What has not
 * exactly that shape is refused, for it means that the two sides do not agree where a packet ends.
 *
 * Runs in: smtpd, cleanup. Replies are mistrusted. Logs nothing.
 */
#include "milter/wire.h"

#include <arpa/inet.h>
#include <errno.h>

#include "base/chars.h"
#include "base/mem.h"

#define REPLY_LINE_MAX 512 /* RFC 5321 section 4.5.3.1.5, without CRLF rather than with it */

/* ---- commands ---- */

const char *milter_command_name(enum milter_command c)
{
    switch (c) {
    case MILTER_CMD_ABORT:
        return "SMFIC_ABORT";
    case MILTER_CMD_BODY:
        return "SMFIC_BODY";
    case MILTER_CMD_CONNECT:
        return "SMFIC_CONNECT";
    case MILTER_CMD_MACRO:
        return "SMFIC_MACRO";
    case MILTER_CMD_BODYEOB:
        return "SMFIC_BODYEOB";
    case MILTER_CMD_HELO:
        return "SMFIC_HELO";
    case MILTER_CMD_HEADER:
        return "SMFIC_HEADER";
    case MILTER_CMD_MAIL:
        return "SMFIC_MAIL";
    case MILTER_CMD_EOH:
        return "SMFIC_EOH";
    case MILTER_CMD_OPTNEG:
        return "SMFIC_OPTNEG";
    case MILTER_CMD_QUIT:
        return "SMFIC_QUIT";
    case MILTER_CMD_RCPT:
        return "SMFIC_RCPT";
    case MILTER_CMD_DATA:
        return "SMFIC_DATA";
    case MILTER_CMD_UNKNOWN:
        return "SMFIC_UNKNOWN";
    }
    return "SMFIC_?";
}

size_t milter_packet_begin(struct str *out, enum milter_command c)
{
    size_t begin = out->len;

    milter_add_u32(out, 0);
    str_add_char(out, (char)c);
    return begin;
}

void milter_packet_end(struct str *out, size_t begin)
{
    uint32_t net = htonl((uint32_t)(out->len - begin - sizeof(uint32_t)));

    memcpy(out->data + begin, &net, sizeof(net));
}

void milter_add_u32(struct str *out, uint32_t n)
{
    uint32_t net = htonl(n);

    str_add(out, span_make(&net, sizeof(net)));
}

void milter_add_text(struct str *out, struct span text)
{
    ptrdiff_t nul = span_chr(text, '\0');

    str_add(out, nul < 0 ? text : span_first(text, (size_t)nul));
    str_add_char(out, '\0');
}

/* ---- taking data apart ---- */

static bool take_u32(struct span *in, uint32_t *ret)
{
    uint32_t net;

    if (in->len < sizeof(net))
        return false;
    memcpy(&net, in->ptr, sizeof(net));
    *ret = ntohl(net);
    *in = span_from(*in, sizeof(net));
    return true;
}

static bool take_text(struct span *in, struct span *ret)
{
    if (span_chr(*in, '\0') < 0)
        return false;
    *ret = span_cut(in, '\0');
    return true;
}

/* ---- option negotiation ---- */

static const struct version {
    uint32_t number, actions, steps;
} versions[] = {
    { 2, 0x03f, 0x0000ff },
    { 3, 0x03f, 0x0001ff },
    { 4, 0x03f, 0x0003ff },
    { 5, 0x03f, 0x0003ff }, /* was never released; filters that name it mean the fourth */
    { 6, 0x1ff, 0x1fffff },
};

bool milter_options_of_version(uint32_t version, struct milter_options *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(versions); i++)
        if (versions[i].number == version) {
            *ret = (struct milter_options){ .version = version,
                                            .actions = versions[i].actions,
                                            .steps = versions[i].steps };
            return true;
        }
    return false;
}

static int parse_symlists(struct span data, struct milter_options *ret, const char **why)
{
    while (data.len > 0) {
        uint32_t stage;
        struct span list;

        if (!take_u32(&data, &stage) || !take_text(&data, &list)) {
            *why = "a symbol list is truncated";
            return -EPROTO;
        }
        if (stage > MILTER_EOH) {
            *why = "a symbol list for an unknown stage";
            return -EPROTO;
        }
        ret->symlists[stage] = list;
        ret->symlists_given |= 1u << stage;
    }
    return 0;
}

int milter_options_parse(struct span data, const struct milter_options *offered, struct milter_options *ret,
                         const char **why)
{
    struct milter_options o = { 0 };

    *why = NULL;
    if (!take_u32(&data, &o.version) || !take_u32(&data, &o.actions) || !take_u32(&data, &o.steps))
        *why = "the options are truncated";
    else if (o.version < 2 || o.version > offered->version)
        *why = "protocol version conflict";
    else if (o.actions & ~offered->actions)
        *why = "it asks for actions that were not offered";
    else if (o.steps & ~offered->steps)
        *why = "it asks for protocol steps that were not offered";
    if (*why)
        return -EPROTO;

    int r = parse_symlists(data, &o, why);

    if (r == 0)
        *ret = o;
    return r;
}

/* ---- replies ---- */

/* shape: n number, s string, o string that may be missing, b bytes up to the end */
static const struct row {
    char letter;
    enum milter_kind kind;
    uint32_t needs;
    const char *shape;
} rows[] = {
    { '+', MILTER_R_ADDRCPT,     MILTER_ADDS_RCPT,       "s"   },
    { '2', MILTER_R_ADDRCPT_PAR, MILTER_ADDS_RCPT_ARGS,  "so"  },
    { '-', MILTER_R_DELRCPT,     MILTER_DELETES_RCPT,    "s"   },
    { '4', MILTER_R_SHUTDOWN,    0,                      ""    },
    { 'a', MILTER_R_ACCEPT,      0,                      ""    },
    { 'b', MILTER_R_REPLBODY,    MILTER_CHANGES_BODY,    "b"   },
    { 'c', MILTER_R_CONTINUE,    0,                      ""    },
    { 'd', MILTER_R_DISCARD,     0,                      ""    },
    { 'e', MILTER_R_CHGFROM,     MILTER_CHANGES_SENDER,  "so"  },
    { 'f', MILTER_R_CONN_FAIL,   0,                      ""    },
    { 'h', MILTER_R_ADDHEADER,   MILTER_ADDS_HEADERS,    "ss"  },
    { 'i', MILTER_R_INSHEADER,   MILTER_ADDS_HEADERS,    "nss" },
    { 'm', MILTER_R_CHGHEADER,   MILTER_CHANGES_HEADERS, "nss" },
    { 'p', MILTER_R_PROGRESS,    0,                      ""    },
    { 'q', MILTER_R_QUARANTINE,  MILTER_QUARANTINES,     "s"   },
    { 'r', MILTER_R_REJECT,      0,                      ""    },
    { 's', MILTER_R_SKIP,        0,                      ""    },
    { 't', MILTER_R_TEMPFAIL,    0,                      ""    },
    { 'y', MILTER_R_REPLYCODE,   0,                      "s"   },
};

uint32_t milter_reply_needs(enum milter_kind kind)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i].kind == kind)
            return rows[i].needs;
    return 0;
}

static bool take_shape(const char *shape, struct span *data, struct milter_reply *r)
{
    struct span *texts[] = { &r->text, &r->text2 };
    size_t n = 0;
    bool ok = true;

    for (; *shape && ok; shape++) {
        if (*shape == 'n') {
            ok = take_u32(data, &r->number);
        } else if (*shape == 'b') {
            *texts[n++] = *data;
            *data = SPAN_NULL;
        } else if (*shape == 's' || data->len > 0) {
            ok = take_text(data, texts[n++]);
        }
    }
    return ok && data->len == 0;
}

int milter_reply_parse(struct span packet, struct milter_reply *ret)
{
    if (packet.len == 0)
        return -EPROTO;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct milter_reply r = { .kind = rows[i].kind };
        struct span data = span_from(packet, 1);

        if (rows[i].letter != packet.ptr[0])
            continue;
        if (!take_shape(rows[i].shape, &data, &r))
            return -EPROTO;
        *ret = r;
        return 0;
    }
    return -EPROTO;
}

/* ---- the text of a reply ---- */

static bool is_digit(struct span s, size_t i)
{
    return i < s.len && char_is(s.ptr[i], CHAR_DIGIT);
}

/* "5.7.1" and its blank off the front, when its class is that of the code (RFC 3463 section 2); else empty */
static struct span take_enhanced(char class, struct span *text)
{
    size_t i = 1;

    if (text->len < 5 || text->ptr[0] != class)
        return SPAN_NULL;
    for (int part = 0; part < 2; part++) {
        size_t digits = 0;

        if (i >= text->len || text->ptr[i++] != '.')
            return SPAN_NULL;
        for (; is_digit(*text, i); i++)
            digits++;
        if (digits < 1 || digits > 3)
            return SPAN_NULL;
    }
    if (i < text->len && text->ptr[i] != ' ')
        return SPAN_NULL;

    struct span code = span_first(*text, i);

    *text = span_from(*text, i < text->len ? i + 1 : i);
    return code;
}

/* "550-5.7.1 text": checked against the first line's code */
static int parse_reply_line(struct span line, struct span code, struct span *ret_text)
{
    if (line.len < 3 || !span_eq(span_first(line, 3), code))
        return -EPROTO;
    if (line.len > 3 && line.ptr[3] != ' ' && line.ptr[3] != '-')
        return -EPROTO;
    *ret_text = span_from(line, 4);
    return 0;
}

int milter_reply_text(struct span text, size_t max, struct str *ret)
{
    struct span code = span_first(text, 3);
    size_t start = ret->len, last = ret->len;

    if (code.len < 3 || (code.ptr[0] != '4' && code.ptr[0] != '5') || !is_digit(code, 1) || !is_digit(code, 2))
        return -EPROTO;
    while (text.len > 0) {
        _cleanup_(str_free) struct str line = STR_INIT;
        struct span rest, raw = span_cut(&text, '\n');

        if (parse_reply_line(span_trim(raw), code, &rest) < 0) {
            str_truncate(ret, start);
            return -EPROTO;
        }

        struct span enhanced = take_enhanced(code.ptr[0], &rest);

        str_addf(&line, SPAN_FMT " ", SPAN_ARG(code));
        if (enhanced.len > 0)
            str_add(&line, enhanced);
        else
            str_addf(&line, "%c.7.1", code.ptr[0]);
        str_add_char(&line, ' ');
        str_add_escaped(&line, rest, REPLY_LINE_MAX - line.len, STR_UTF8);
        if (ret->len - start + line.len + 2 > max)
            break;
        if (ret->len > start) {
            ret->data[last + 3] = '-';
            str_add_str(ret, "\r\n");
        }
        last = ret->len;
        str_add(ret, str_span(&line));
    }
    return ret->len > start ? 0 : -EPROTO;
}
